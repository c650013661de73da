"""A panel checks its parts; its text twin shows all that the picture shows."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from masklab import panels
from masklab.panels import Panel, Picture, Sentence
from tests.strategies import hostile


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
    assert shown.endswith("(the first 16 of 40 rows and 16 of 40 columns)")
    assert len(shown.splitlines()) == 16 + 3


@pytest.mark.parametrize("shape", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_small_panels_have_a_text_twin(shape):
    small = panel(values=torch.zeros(shape), rows=["a"] * shape[0], columns=["b"] * shape[1])
    assert panels.text(small).startswith("weights: Rows sum to 1.")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "colour"}, "kind must be one of"),
        ({"values": torch.zeros(2, 3)}, r"must be \(2, 2\), as its labels say, and is \(2, 3\)"),
        ({"blocked": torch.zeros(1, 2, dtype=torch.bool)}, "blocked of panel 'weights'"),
        ({"row_notes": ["1"]}, "must have 2 entries, and has 1"),
        ({"column_pads": [True]}, "must have 2 entries, and has 1"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        panel(**changes)


def test_values_must_be_a_tensor():
    with pytest.raises(TypeError, match=r"values of panel .* must be a tensor, and is list"):
        panel(values=[[1.0, 2.0], [3.0, 4.0]])


def test_limits_are_even_and_finite():
    values = torch.tensor([[0.5, -2.0], [float("nan"), -torch.inf]])
    assert panel(kind="score", values=values).limits == (-2.0, 2.0)
    assert panel(kind="score", values=torch.full((2, 2), torch.nan)).limits == (-1.0, 1.0)
    assert panel(kind="score", values=torch.zeros(2, 2)).limits == (-1.0, 1.0)
    assert panel(kind="score", values=values, limit=3.0).limits == (-3.0, 3.0)
    assert panel().limits == (0.0, 1.0)


@pytest.mark.parametrize(("n", "limits", "caption"), [
    (16, (0.0, 1.0), "Rows sum to 1."),
    (17, (0.0, 0.05), "Rows sum to 1. 0 is dark blue, 0.05 is yellow."),
])  # fmt: skip
def test_without_numbers_the_largest_weight_is_the_brightest_and_the_caption_says_so(n, limits, caption):
    values = torch.full((1, n), 0.01)
    values[0, 3] = 0.05
    wide = panel(kind="weight", values=values, rows=["q"], columns=[str(i) for i in range(n)], meaning="Rows sum to 1.")
    assert wide.written == (n == 16) and wide.limits == pytest.approx(limits) and wide.caption == caption


def test_without_numbers_a_mask_needs_no_legend_and_zeros_are_dark():
    wide = {"rows": ["q"], "columns": [str(i) for i in range(20)], "values": torch.zeros(1, 20), "meaning": "All."}
    assert panel(kind="mask", **wide).caption == "All." and panel(kind="weight", **wide).limits == (0.0, 1.0)
    assert panel(kind="score", **wide | {"values": torch.full((1, 20), 0.004)}).caption == (
        "All. −0.004 is orange, 0.004 is purple."
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
        problem="a problem",
    )
    parts = panels.picture_text(picture).split("\n\n")
    assert parts[0] == "  a\n▸ b ·[PAD]·   1 of 2"
    assert parts[2:] == ["a summary", "a problem"]
