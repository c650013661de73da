"""The lab of lesson 05: what its picture shows for each state, and that it never dies."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from masklab import figures, panels, toy
from masklab.labs import attention_padding as lesson
from masklab.labs.controls import BadInput
from masklab.labs.sentences import SENTENCES
from masklab.panels import EXTRA, MISSED, RIGHT
from tests.lessons import cells


def state(**changes) -> lesson.State:
    return lesson.State(**changes)


def raw(**changes) -> dict:
    """A state as a page sends it."""
    return lesson.State().raw() | changes


def drawn(**changes) -> dict:
    """The panels of a state, by name."""
    return {panel.name: panel for panel in lesson.draw(state(**changes)).panels}


def values(panel, name: str) -> torch.Tensor:
    return panel[name].values


def test_first_sight_shows_the_point():
    panels = drawn()
    ids = [[int(one) for one in sentence.below] for sentence in lesson.draw(state()).sentences]
    assert ids == [[1, 2, 3, 0, 0], [1, 2, 3, 4, 5], [1, 2, 3, 4, 0]]
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
    assert picture.summary == "2 fully masked rows: no key is left, so softmax is 0/0 there, which is NaN."
    one = lesson.draw(state(mask="both", shown=2)).summary
    assert one == "1 fully masked row: no key is left, so softmax is 0/0 there, which is NaN."


def test_nan_and_blocked_cells_are_told_apart_in_every_still_picture():
    weights = drawn(mask="both")["weights"]
    assert panels.cell(weights, 0, 3) == "0.00▨" and panels.cell(weights, 3, 0) == "NaN"
    rgb = figures.colours(weights)
    assert not np.allclose(rgb[0, 3], rgb[3, 0])


def test_an_empty_sentence_has_no_key():
    picture = lesson.draw(state(sentences=["", "The cat"]))
    assert picture.panels[-1].values.isnan().all()
    assert picture.sentences[0].note == "no word yet: all padding"


def test_editing_one_word_moves_its_row_and_column_only():
    before, after = drawn(), drawn(sentences=["The dog ate", *SENTENCES[1:]])
    changed = values(before, "scores") != values(after, "scores")
    expected = torch.zeros(5, 5, dtype=torch.bool)
    expected[1, :] = expected[:, 1] = True
    assert torch.equal(changed, expected)
    one, other = (lesson.draw(state(sentences=[first, *SENTENCES[1:]])) for first in ("The cat ate", "The dog ate"))
    below = [np.array([sentence.below for sentence in picture.sentences]) for picture in (one, other)]
    assert np.argwhere(below[0] != below[1]).tolist() == [[0, 1]]


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
    lab.state = raw(sentences=["word " * 257])
    assert lab.picture["problem"] == (
        "Sentence 1 has 257 words and the lab draws up to 256: your text is kept, shorten it to see it."
    )
    assert repr(lab) == f"{good}\n\n{lab.picture['problem']}"
    lab.state = raw(sentences=["word " * 256])
    assert lab.picture["problem"] == "" and lab.picture["panels"][-1]["shape"] == [256, toy.DIM]


@pytest.mark.parametrize("sentences", [[], [""], ["  ", "\n"]])
def test_no_word_at_all_is_one_sentence(sentences):
    with pytest.raises(BadInput, match="There is no word yet"):
        lesson.draw(state(sentences=sentences))


def test_a_typed_pad_is_a_word_and_the_lab_says_so():
    picture = lesson.draw(state(sentences=["[PAD] ate", "The cat ate"]))
    assert picture.sentences[0].pads == [False, False, True]
    assert picture.sentences[0].note == "2 of 3 are words; a [PAD] that you type is a word, too"


def test_rarely_used_controls_stand_behind_more():
    assert [spec["name"] for spec in lesson.lab().controls] == [
        "reset", "mask", "side", "pad", "layers", "sentences", "predict", "reveal", "text", "seed", "qkv",
    ]  # fmt: skip
    assert [spec["name"] for spec in lesson.lab().controls if spec.get("more")] == ["text", "seed", "qkv"]


def test_the_repr_is_the_text_twin():
    assert repr(lesson.lab()).startswith("▸ The cat ate ·[PAD]· ·[PAD]·   3 of 5 are words\n  1   2   3   0       0\n")


# Colours


def colours(**changes) -> dict[str, np.ndarray]:
    """Each cell's colour, by panel."""
    return {name: figures.colours(panel) for name, panel in drawn(**changes).items()}


LONG = " ".join(f"w{i}" for i in range(18))  # too long for numbers: here the scale of weights is not fixed, either


@pytest.mark.parametrize("mask", ["none", "columns", "both"])
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("sentences", [SENTENCES, (LONG, LONG + " x y")], ids=["short", "long"])
def test_an_unmoved_cell_keeps_its_colour_for_every_padding_vector(sentences, side, mask):
    usual = {"sentences": sentences, "side": side, "mask": mask, "qkv": True, "layers": 2}
    panels, painted = drawn(**usual), colours(**usual)
    same = 0
    for tenths in range(-30, 31, 5):
        moved, repainted = drawn(pad=tenths / 10, **usual), colours(pad=tenths / 10, **usual)
        for name, panel in panels.items():
            unmoved = np.isclose(panel.values, moved[name].values, atol=0, rtol=0, equal_nan=True)
            assert (painted[name][unmoved] == repainted[name][unmoved]).all(), f"{name} at {tenths / 10}"
            same += unmoved.sum()
    assert same > 0


def test_the_words_keep_their_colours_while_the_padding_moves():
    """The cat's −0.80 stays what it is, and so does its colour."""
    one, three = colours(pad=1.0), colours(pad=3.0)
    assert (one["output"][:3] == three["output"][:3]).all() and (one["output"][3:] != three["output"][3:]).any()


def test_painting_and_other_masks_do_not_rescale_anything():
    limits = [
        {name: panel.limits for name, panel in drawn(**changes).items()}
        for changes in ({}, {"mask": "none"}, {"mask": "both"}, {"predict": True, "painted": [[0, 0], [1, 2]]},
                        {"side": "left"}, {"pad": -3.0})
    ]  # fmt: skip
    assert all(one == limits[0] for one in limits)


def test_a_sentence_with_no_word_has_a_scale():
    panels = drawn(sentences=["", "The cat"], mask="none", qkv=True, layers=2)
    assert {panel.limits for panel in panels.values()} == {(-1.0, 1.0), (0.0, 1.0)}


# Two layers


def test_the_second_layer_is_the_first_once_more_on_x_plus_output():
    panels, ids = drawn(layers=2, shown=2, pad=2.0), torch.tensor([1, 2, 3, 4, 0])
    x, mask = toy.embed(ids, pad=2.0), values(panels, "mask") == 0
    for name in ("output", "output2"):
        made = toy.qkv(x)
        out = F.scaled_dot_product_attention(*(one[None] for one in made), attn_mask=mask)[0]
        torch.testing.assert_close(values(panels, name), out)
        x = x + out
    assert "x + output" in panels["output2"].meaning


def test_the_second_layer_is_the_lessons_two_layers(monkeypatch):
    """With each vector as its own query, key and value, as the lesson has it."""
    names = cells("attention_padding", "sequences =", "is_word = torch", "key_bias =", "bias = key", "import project",
                  "def attend(", "def two_layers(")  # fmt: skip
    monkeypatch.setattr(toy, "qkv", lambda x, seed: toy.Projected(x, x, x))
    panels, x = drawn(layers=2), toy.embed(torch.tensor([1, 2, 3, 0, 0]))
    ours = x + values(panels, "output") + values(panels, "output2")
    torch.testing.assert_close(ours, names["two_layers"](x, values(panels, "mask")))


def test_with_one_layer_there_is_one_output():
    assert "output2" not in drawn() and drawn()["output"].title == "output"
    assert drawn(layers=2)["output"].title == "output of layer 1"


@pytest.mark.parametrize("side", ["right", "left"])
def test_nan_spreads_to_every_word_in_the_second_layer(side):
    panels = drawn(mask="both", layers=2, side=side)
    words = slice(0, 3) if side == "right" else slice(2, 5)
    assert values(panels, "output")[words].isfinite().all()
    assert values(panels, "output2").isnan().all()


@pytest.mark.parametrize(("mask", "moves"), [("none", True), ("columns", False)])
def test_masked_columns_protect_the_words_in_the_second_layer_too(mask, moves):
    one, three = (values(drawn(mask=mask, layers=2, pad=pad), "output2") for pad in (1.0, 3.0))
    assert one.isfinite().all() and ((one[:3] - three[:3]).abs().max() > 0.1).item() is moves
    if not moves:
        assert torch.equal(one[:3], three[:3]) and not torch.equal(one[3:], three[3:])
