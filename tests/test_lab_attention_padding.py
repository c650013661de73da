"""The lab of lesson 05: what its picture shows for each state, and that it never dies."""

import json

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from masklab.labs import attention_padding as lesson
from masklab.labs.lab import BadInput
from masklab.panels import EXTRA, MISSED, RIGHT
from tests.strategies import hostile, sides


def state(**changes) -> dict:
    return lesson.INITIAL | changes


def drawn(**changes) -> dict:
    """The panels of a state, by name."""
    return {panel.name: panel for panel in lesson.draw(state(**changes)).panels}


def values(panel, name: str) -> torch.Tensor:
    return panel[name].values


def test_first_sight_shows_the_point():
    panels = drawn()
    assert values(panels, "ids").tolist() == [[1, 2, 3, 0, 0], [1, 2, 3, 4, 5], [1, 2, 3, 4, 0]]
    bias = values(panels, "mask")
    assert (bias[:, 3:] == -torch.inf).all() and (bias[:, :3] == 0).all()  # the last two columns only
    assert torch.allclose(values(panels, "weights").sum(dim=-1), torch.ones(5))
    assert panels["weights"].row_notes == ["1.00"] * 5


def test_the_panels_are_torchs_attention():
    panels = drawn(qkv=True, shown=2)
    q, k, v = (values(panels, name)[None, None] for name in "QKV")
    mask = values(panels, "mask") == 0
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    torch.testing.assert_close(values(panels, "output"), out[0, 0])


@pytest.mark.parametrize("side", ["right", "left"])
def test_the_pads_vector_moves_the_words_only_without_a_mask(side):
    words = slice(0, 3) if side == "right" else slice(2, 5)
    for mask, moves in {"none": True, "columns": False, "both": False}.items():
        one, three = (values(drawn(mask=mask, pad=pad, side=side), "output")[words] for pad in (1.0, 3.0))
        assert ((one - three).abs().max() > 0.1).item() is moves


def test_left_and_right_give_words_the_same_output():
    right, left = values(drawn(), "output")[:3], values(drawn(side="left"), "output")[2:]
    torch.testing.assert_close(right, left)


def test_blocked_rows_are_nan_and_the_summary_says_so():
    picture = lesson.draw(state(mask="both"))
    output = picture.panels[-1].values
    assert output[3:].isnan().all() and output[:3].isfinite().all()
    assert picture.summary == "2 rows have no key left: softmax is 0/0 there, which is NaN."


def test_an_empty_sentence_has_no_key():
    picture = lesson.draw(state(sentences=["", "The cat"]))
    assert picture.panels[-1].values.isnan().all()
    assert picture.sentences[0].note == "no word yet: all padding"


def test_editing_one_word_moves_its_row_and_column_only():
    before, after = drawn(), drawn(sentences=["The dog ate", *lesson.SENTENCES[1:]])
    changed = values(before, "scores") != values(after, "scores")
    expected = torch.zeros(5, 5, dtype=torch.bool)
    expected[1, :] = expected[:, 1] = True
    assert torch.equal(changed, expected)
    assert (values(before, "ids") != values(after, "ids")).nonzero().tolist() == [[0, 1]]


def test_another_sentence_moves_nothing_here():
    before, after = drawn(), drawn(sentences=["The cat ate", "A bird sang all day", "The cat ate fish"])
    assert torch.equal(values(before, "output"), values(after, "output"))


def test_predict_first_starts_empty_and_follows_the_brush():
    panels = drawn(predict=True)
    assert (values(panels, "mask") == 0).all() and panels["mask"].edits.key == "painted"
    painted = drawn(predict=True, painted=[[1, 3]])
    assert values(painted, "weights")[1, 3] == 0 and values(painted, "weights")[0, 3] > 0
    assert (
        drawn(predict=True, painted=[[7, 7], [-1, 0]])["mask"].marks is None
    )  # cells of a longer sentence are kept, not drawn


def test_reveal_marks_and_counts():
    painted = [[0, 3], [1, 3], [2, 2]]
    picture = lesson.draw(state(predict=True, reveal=True, painted=painted))
    marks = {panel.name: panel for panel in picture.panels}["mask"].marks
    assert marks[0, 3] == RIGHT and marks[2, 2] == EXTRA and marks[4, 4] == MISSED and marks[0, 0] == 0
    assert picture.summary == "You blocked 2 of the 10 cells to block (✓ 2, ✗ 8 missed), and 1 too many (!)."


def test_too_long_is_one_sentence_and_keeps_the_last_picture():
    lab = lesson.lab()
    good = repr(lab)
    lab.state = state(sentences=["word " * 257])
    assert lab.picture["problem"] == (
        "Sentence 1 has 257 words and the lab draws up to 256: your text is kept, shorten it to see it."
    )
    assert repr(lab) == f"{good}\n\n{lab.picture['problem']}"
    lab.state = state(sentences=["word " * 256])
    assert lab.picture["problem"] == "" and lab.picture["panels"][-1]["shape"] == [256, lesson.DIM]


@pytest.mark.parametrize("sentences", [[], [""], ["  ", "\n"]])
def test_no_word_at_all_is_one_sentence(sentences):
    with pytest.raises(BadInput, match="There is no word yet"):
        lesson.draw(state(sentences=sentences))


def test_a_typed_pad_is_a_word_and_the_lab_says_so():
    picture = lesson.draw(state(sentences=["[PAD] ate", "The cat ate"]))
    assert picture.sentences[0].pads == [False, False, True]
    assert picture.sentences[0].note == "2 of 3 are words; a [PAD] that you type is a word, too"


def test_settings_that_the_lab_does_not_have_are_refused():
    with pytest.raises(TypeError, match="no setting 'colour'"):
        lesson.lab(colour="red")
    with pytest.raises(ValueError, match="mask must be one of none, columns, both, and is 'bth'"):
        lesson.lab(mask="bth")
    with pytest.raises(ValueError, match="side must be one of right, left"):
        lesson.lab(side="middle")


def test_reset_goes_back_to_the_state_that_the_lab_began_with():
    lab = lesson.lab(mask="none", shown=1)
    reset = next(spec for spec in lab.controls if spec["name"] == "reset")
    assert reset["sets"] == lesson.INITIAL | {"mask": "none", "shown": 1}


def test_a_lab_may_begin_with_nothing_to_draw():
    lab = lesson.lab(sentences=[""])
    assert lab.picture["problem"].startswith("There is no word yet")
    lab.state = state()
    assert lab.picture["problem"] == "" and len(lab.picture["panels"]) == 6


def test_a_fault_of_ours_is_said_and_logged_and_the_lab_lives_on(caplog):
    lab = lesson.lab()
    lab.state = state(mask="unheard of")
    assert lab.picture["problem"].startswith("The lab could not draw this (KeyError).") and caplog.records
    assert len(lab.picture["panels"]) == 6
    lab.state = state()
    assert lab.picture["problem"] == ""


def test_the_repr_is_the_text_twin_and_stable():
    assert repr(lesson.lab()) == repr(lesson.lab())
    assert repr(lesson.lab()).startswith("▸ The cat ate ·[PAD]· ·[PAD]·   3 of 5 are words\n")


LAB = lesson.lab()


@settings(max_examples=1000)
@given(
    sentences=st.lists(hostile, min_size=0, max_size=7),
    shown=st.integers(-2, 9),
    side=sides,
    mask=st.sampled_from(["none", "columns", "both"]),
    predict=st.booleans(),
    reveal=st.booleans(),
    text=st.booleans(),
    painted=st.lists(st.tuples(st.integers(-1, 8), st.integers(-1, 8)).map(list), max_size=4),
)
def test_a_thousand_strings_never_break_the_lab(**changes):
    before = LAB.picture
    LAB.state = state(**changes)
    lengths = [len(sentence.split()) for sentence in changes["sentences"][:6]]
    drawable = 0 < max(lengths, default=0) <= 256
    assert (LAB.picture["problem"] == "") == drawable
    assert LAB.picture["panels"]
    if drawable:
        lines = [LAB.picture["lines"][sentence["line"]] for sentence in LAB.picture["sentences"]]
        assert [line["pads"].count(False) for line in lines] == lengths
    else:
        assert all(LAB.picture[name] == before[name] for name in ("panels", "lines", "values"))  # the last good one
    text_only = {key: value for key, value in LAB.picture.items() if not isinstance(value, bytes)}
    json.dumps(text_only, ensure_ascii=False).encode("utf-8")  # it can travel to the page
