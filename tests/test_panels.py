"""A panel checks its parts; its text twin shows all that the picture shows."""

import re
import unicodedata

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from masklab import panels
from masklab.panels import MISSED, NOT_MARKED, RIGHT, Edit, Panel, Picture, Sentence
from tests.strategies import hostile

# What a learner's own exception may hold, and words in which marks are stacked.
RAISED = '\x1b[31mTraceback (most recent call last):\n  File "<cell>", line 1\x1b[0m\n\ud800\u2028\u202e' + "x" * 10_000
STACKED = [
    "a" + 40 * "\u0301",
    40 * "\u0489",
    "e\u0301\u200d" * 40,
    "ก" + "\u0e49" * 40,
    "o" + "\u0301\u200d\u0302" * 40,
]
anything = st.one_of(hostile, st.sampled_from([RAISED, *STACKED]))


def panel(**changes) -> Panel:
    parts = {
        "name": "weights", "kind": "weight", "values": torch.tensor([[0.25, 0.75], [1.0, 0.0]]), "rows": ["The", "cat"],
        "columns": ["The", "cat"], "title": "weights", "meaning": "Rows sum to 1.",
    }  # fmt: skip
    return Panel(**parts | changes)


def test_text_twin_shows_values_blocked_cells_marks_and_notes():
    shown = panels.text(
        panel(
            blocked=torch.tensor([[False, False], [False, True]]),
            marks=torch.tensor([[0, 0], [0, 2]], dtype=torch.uint8),
            row_notes=["1.00", "1.00"],
            notes_title="sum",
            sign="softmax →",
        )
    )
    assert shown.splitlines() == [
        "softmax →  weights: Rows sum to 1.",
        "      The     cat   sum",
        "The  0.25    0.75  1.00",
        "cat  1.00  0.00▨✗  1.00",
    ]


def test_a_wide_panel_is_cut_and_says_so():
    n = 40
    shown = panels.text(panel(values=torch.zeros(n, n), rows=["a"] * n, columns=["b"] * n))
    assert shown.endswith("(the first 17 of 40 rows and 17 of 40 columns)")
    assert len(shown.splitlines()) == 17 + 3


@pytest.mark.parametrize("shape", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_small_panels_have_a_text_twin(shape):
    small = panel(values=torch.zeros(shape), rows=["a"] * shape[0], columns=["b"] * shape[1])
    assert panels.text(small).startswith("weights: Rows sum to 1.")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "colour"}, "kind must be one of ids, .* got 'colour'"),
        ({"values": torch.zeros(2, 3)}, r"must be \(2, 2\), as its labels say, got \(2, 3\)"),
        ({"blocked": torch.zeros(1, 2, dtype=torch.bool)}, "blocked of panel 'weights'"),
        ({"row_notes": ["1"]}, "must have 2 entries, got 1"),
        ({"places": [4]}, "places of panel 'weights' must have 2 entries, got 1"),
        ({"column_pads": [True]}, "must have 2 entries, got 1"),
        ({"kind": "probability"}, r"bars must be one column of at most 64 rows, got \(2, 2\) in panel 'weights'"),
        ({"limit": -1.0}, r"limit of panel 'weights' must be a positive number, got -1.0"),
        ({"limit": float("nan")}, "limit of panel 'weights' must be a positive number, got nan"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        panel(**changes)


def test_values_must_be_a_tensor():
    with pytest.raises(TypeError, match=r"values of panel .* must be a tensor, got list"):
        panel(values=[[1.0, 2.0], [3.0, 4.0]])


def test_limits_are_even_and_finite():
    values = torch.tensor([[0.5, -2.0], [float("nan"), -torch.inf]])
    assert panel(kind="score", values=values).limits == (-2.0, 2.0)
    assert panel(kind="score", values=torch.full((2, 2), torch.nan)).limits == (-1.0, 1.0)
    assert panel(kind="score", values=torch.zeros(2, 2)).limits == (-1.0, 1.0)
    assert panel(kind="score", values=values, limit=3.0).limits == (-3.0, 3.0)
    assert panel().limits == (0.0, 1.0)


@pytest.mark.parametrize(("n", "limits", "legend"), [
    (17, (0.0, 1.0), "0 is dark blue, 1 is yellow."),
    (18, (0.0, 0.05), "0 is dark blue, 0.05 is yellow."),
])  # fmt: skip
def test_without_numbers_the_largest_weight_is_the_brightest_and_the_legend_says_so(n, limits, legend):
    values = torch.full((1, n), 0.01)
    values[0, 3] = 0.05
    wide = panel(kind="weight", values=values, rows=["q"], columns=[str(i) for i in range(n)], meaning="Rows sum to 1.")
    assert wide.written == (n == 17) and wide.limits == pytest.approx(limits) and wide.legend == legend


def test_without_numbers_a_mask_needs_no_legend_and_zeros_are_dark():
    wide = {"rows": ["q"], "columns": [str(i) for i in range(20)], "values": torch.zeros(1, 20), "meaning": "All."}
    assert panel(kind="mask", **wide).legend == "" and panel(kind="weight", **wide).limits == (0.0, 1.0)
    assert panel(kind="score", **wide | {"values": torch.full((1, 20), 0.004)}).legend == (
        "−0.004 is orange, 0.004 is purple."
    )


@given(hostile)
def test_a_label_is_short_and_has_nothing_that_turns_the_page(token):
    clean = panels.label(token)
    assert len(clean) <= panels.LABEL_LENGTH
    clean.encode("utf-8")  # a lone surrogate would fail here, and on its way to the page
    assert not set(clean) & set("\n\r\t\x00\u202e\u2067")


@given(st.floats(allow_nan=True, allow_infinity=True, width=32))
def test_every_number_has_a_short_name(value):
    shown = panels.number(value)
    assert shown and "-" not in shown and shown != "−0.00"


def test_picture_text_marks_the_shown_sentence_and_the_pads():
    picture = Picture(
        panels=[panel()],
        sentences=[
            Sentence(tokens=["a"], pads=[False]),
            Sentence(tokens=["b", "[PAD]"], pads=[False, True], note="1 of 2"),
        ],
        shown=1,
        summary="a summary",
        code="a = 1\n  b = '\u202e'",
        problem="a problem",
    )
    parts = panels.picture_text(picture).split("\n\n")
    assert parts[0] == "  a\n▸ b ·[PAD]·   1 of 2"
    assert parts[2:] == ["a summary", "a = 1\n  b = '�'", "a problem"]


def test_a_bool_is_written_as_python_writes_it():
    mask = panel(kind="bool", values=torch.tensor([[True, False], [True, True]]))
    assert [panels.cell(mask, 0, column) for column in (0, 1)] == ["True", "False"]
    assert mask.scale == "plain" and mask.legend == ""


def test_a_sign_stands_before_the_current_row():
    square = {"values": torch.zeros(2, 2), "rows": ["The", "cat"], "columns": ["The", "cat"]}
    assert panels.text(panel(current=1, **square)).splitlines()[2:] == ["The   0.00  0.00", "●cat  0.00  0.00"]
    assert "●" not in panels.text(panel(**square))
    with pytest.raises(ValueError, match="current must be one of the 2 rows of panel 'weights', got 2"):
        panel(current=2, **square)


# Bars


def bars(values, **changes) -> Panel:
    values = torch.tensor(values)[:, None]
    parts = {
        "name": "next", "kind": "probability", "values": values, "rows": [f"word{i}" for i in range(len(values))],
        "columns": ["share"], "title": "next word", "meaning": "The best guesses.",
    }  # fmt: skip
    return Panel(**parts | changes)


def test_bars_have_a_name_a_length_a_number_and_a_sign():
    marks = torch.tensor([[NOT_MARKED], [RIGHT], [MISSED]], dtype=torch.uint8)
    assert panels.text(bars([0.25, 0.5, 0.0], marks=marks, sign="→")).splitlines() == [
        "→  next word: The best guesses.",
        "                         share",
        "word0  ▮▮▮▮               0.25",
        "word1  ▮▮▮▮▮▮▮▮          0.50✓",
        "word2                    0.00✗",
    ]


def test_a_bar_ends_at_the_limit_and_what_is_no_number_has_none():
    lines = panels.text(bars([0.5, 2.0, torch.nan, torch.inf, -1.0], limit=0.5)).splitlines()[2:]
    assert [line.count("▮") for line in lines] == [panels.BAR_LENGTH, panels.BAR_LENGTH, 0, panels.BAR_LENGTH, 0]
    assert [line.split()[-1] for line in lines] == ["0.50", "2.00", "NaN", "∞", "−1.00"]


def test_bars_go_from_0_to_1_and_always_have_numbers():
    many = bars([0.1] * 30)
    assert many.limits == (0.0, 1.0) and many.written and many.legend == ""
    assert bars([0.1], limit=0.4).limits == (0.0, 0.4)
    assert panels.text(many).endswith("(the first 17 of 30 rows and 1 of 1 columns)")


# Scales


def test_losses_go_from_0_to_the_largest_or_to_the_limit():
    values = torch.tensor([[0.5, 2.0], [torch.nan, torch.inf]])
    assert panel(kind="loss", values=values).limits == (0.0, 2.0)
    assert panel(kind="loss", values=values, limit=3.0).limits == (0.0, 3.0)
    assert panel(kind="loss", values=torch.zeros(2, 2)).limits == (0.0, 1.0)
    assert panel(kind="gradient", values=values).limits == (-2.0, 2.0)
    assert panel(kind="bias", values=values).legend == ""


def test_a_limit_fixes_the_scale_of_weights_only_where_no_number_is_written():
    assert panel(limit=0.5).limits == (0.0, 1.0)
    wide = {"rows": ["q"], "columns": [str(i) for i in range(20)], "values": torch.full((1, 20), 0.05)}
    assert panel(limit=0.5, **wide).limits == (0.0, 0.5)


# What can be edited


def test_numbers_that_were_set_have_a_sign_and_the_text_says_what_can_be_set():
    edit = Edit("losses", how="number", cells=[[0, 1, 0.75], [9, 9, 1.0], [-1, 0, 1.0]], low=0, high=5)
    lines = panels.text(panel(kind="loss", edits=edit)).splitlines()
    assert lines[0].endswith("Rows sum to 1. Its numbers can be set, from 0 to 5.")
    assert [line.count("✎") for line in lines] == [0, 0, 1, 0] and lines[2].endswith("0.75✎")


def test_cells_that_can_be_toggled_are_announced_and_marked_by_their_flag_alone():
    toggled = panel(edits=Edit("painted", cells=[[0, 1]]), blocked=torch.tensor([[False, True], [False, False]]))
    lines = panels.text(toggled).splitlines()
    assert lines[0].endswith("Its cells can be toggled.") and "✎" not in "".join(lines) and lines[2].endswith("0.75▨")


def test_other_ways_to_edit_are_refused():
    with pytest.raises(ValueError, match="how must be one of toggle, number, pick, cycle, got 'drag'"):
        Edit("losses", how="drag")
    with pytest.raises(ValueError, match="high must be the number of clicks before a cycle begins anew, got None"):
        Edit("clicks", how="cycle")


def test_nan_is_told_apart_from_blocked():
    values = torch.tensor([[torch.nan, 0.0], [-torch.inf, torch.nan]])
    mixed = panel(values=values, blocked=torch.tensor([[True, True], [True, False]]))
    cells = [[panels.cell(mixed, r, c) for c in range(2)] for r in range(2)]
    assert cells == [["NaN", "0.00▨"], ["−∞▨", "NaN"]]


# Chips


def test_what_stands_below_a_chip_stands_below_its_word():
    lines = panels.chips_text(
        Sentence(
            tokens=["a", "cat", "日本", "[PAD]"],
            pads=[False, False, False, True],
            below=["23981", "2", "7", "0"],
            pressed=[True, False, False, False],
            note="3 of 4 are words",
        )  # fmt: skip
    )
    assert lines == ["●a    cat 日本 ·[PAD]·   3 of 4 are words", "23981 2   7    0"]


@pytest.mark.parametrize("part", ["pads", "below", "pressed"])
def test_a_sentences_parts_have_one_entry_a_token(part):
    with pytest.raises(ValueError, match=f"{part} of a sentence must have 2 entries, got 1"):
        Sentence(**{"tokens": ["a", "b"], "pads": [False, False], part: [True]})


# Any string


@pytest.mark.parametrize("word", STACKED, ids=ascii)
def test_marks_stacked_forty_high_are_cut(word):
    for shown in (panels.clean(word), panels.label(word)):
        runs = "".join("|" if unicodedata.category(c) in ("Mn", "Me") else c for c in shown if c != "\u200d")
        assert max(map(len, re.findall(r"\|+", runs))) <= panels.STACK


@pytest.mark.parametrize("word", ["בְּרֵאשִׁ֖ית", "Việt", "e\u0302\u0323", "กำลัง", "नमस्ते", "👩\u200d👧", "é"])
def test_no_living_script_loses_a_mark(word):
    assert panels.clean(word) == word


@given(anything, anything, anything)
def test_no_string_breaks_the_text_twin(first, second, third):
    one = panel(
        values=torch.tensor([[0.5, torch.nan]]), rows=[first], columns=[second, third], row_notes=[first], title=second,
        notes_title=third, meaning=first, sign=second, row_pads=[True],
    )  # fmt: skip
    bar = bars([0.5], rows=[third], columns=[first], title=second, meaning=third)
    sentence = Sentence(tokens=[first, second], pads=[False, True], note=third, below=[second, third], pressed=[1, 0])
    shown = panels.picture_text(Picture(panels=[one, bar], sentences=[sentence], summary=first, problem=second))
    shown.encode("utf-8")
    assert not set(shown) & set("\r\x1b\x00\u202e\u2028\x85")
    assert [len(panels.text(one).splitlines()), len(panels.text(bar).splitlines())] == [3, 3]
    assert len("\n".join(panels.chips_text(sentence)).splitlines()) in (1, 2)


@given(anything)
def test_one_line_is_one_line_and_short(words):
    line = panels.one_line(words)
    assert len(line) <= panels.LINE_LENGTH and len(line.splitlines()) <= 1 and panels.one_line(line) == line
