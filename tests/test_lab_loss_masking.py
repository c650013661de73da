"""The lab of lesson 01: each number and each gradient is what plain torch gives, and only what should move moves."""

import math

import pytest
import torch

from masklab.labs import denominators
from masklab.labs import loss_masking as lesson
from masklab.panels import EXTRA, MISSED, NOT_MARKED, RIGHT, Panel
from masklab.text import word_positions

IS_WORD = word_positions(torch.tensor([3, 5, 4]), total=5)
PLAIN = {  # as one writes them by hand
    "token": lambda losses, mask, count: losses[mask].sum() / mask.sum(),
    "sentence": lambda losses, mask, count: (torch.where(mask, losses, 0).sum(dim=1) / mask.sum(dim=1)).mean(),
    "position": lambda losses, mask, count: losses[mask].sum() / mask.numel(),
    "count": lambda losses, mask, count: losses[mask].sum() / count,
}
ALL = tuple((row, place) for row, length in enumerate((3, 5, 4)) for place in range(length))  # the words' cells


def state(**changes) -> lesson.State:
    return lesson.State().changed(changes)


def drawn(**changes) -> dict[str, Panel]:
    """The panels of a state, by name."""
    return {panel.name: panel for panel in lesson.draw(state(**changes)).panels}


def values(name: str, **changes) -> torch.Tensor:
    return drawn(**changes)[name].values


def numbers(**changes) -> dict[str, list[float]]:
    """The numbers by each denominator: of the whole batch, of its parts, accumulated."""
    panel = drawn(**changes)["numbers"]
    return dict(zip(panel.rows, panel.values.tolist(), strict=True))


def summary(**changes) -> str:
    return lesson.draw(state(**changes)).summary


def by_backward(mask: torch.Tensor, losses: torch.Tensor, *, by: str, parts: int, count: int = 12):
    """The loss and the gradient as a training loop gets them: `backward` after each micro-batch."""
    leaf, total = losses.clone().requires_grad_(), 0.0
    for rows in torch.arange(len(mask)).tensor_split(parts):
        loss = PLAIN[by](leaf[rows], mask[rows], count) / (1 if by == "count" else parts)
        loss.backward()
        total += loss.item()
    return total, leaf.grad


# --- first sight ----------------------------------------------------------------------------------------


def test_first_sight_is_the_sources_mean_of_0_650():
    picture, panels = lesson.draw(state()), drawn()
    assert list(panels) == ["losses", "mask", "counted", "numbers", "gradient"]
    assert torch.equal(panels["losses"].values, torch.tensor(lesson.LOSSES))
    assert torch.equal(panels["mask"].values.bool(), IS_WORD) and torch.equal(panels["mask"].blocked, ~IS_WORD)
    assert torch.equal(panels["counted"].values, torch.where(IS_WORD, torch.tensor(lesson.LOSSES), 0.0))
    assert torch.equal(panels["counted"].blocked, ~IS_WORD)
    assert panels["counted"].row_notes == ["0.66", "0.73", "0.55"]
    assert panels["numbers"].row_notes == ["7.80 / 12", "1.93 / 3", "7.80 / 15", "7.80 / 12"]
    assert panels["numbers"].current == 0 and panels["numbers"].columns == ["whole batch"]
    assert picture.summary == "By token: 7.801 / 12 = 0.650."
    torch.testing.assert_close(panels["gradient"].values, IS_WORD / 12)


@pytest.mark.parametrize("by", denominators.BY)
def test_each_denominator_is_named_in_the_words_as_in_the_panel(by):
    panel = drawn(by=by)["numbers"]
    assert panel.rows[panel.current] == by
    assert summary(by=by).startswith(f"By {by}: ") and summary(by=by).endswith(f"{numbers()[by][0]:.3f}.")


# --- the numbers and their gradients are torch's ----------------------------------------------------------


def random_state(seed: int, **changes) -> dict:
    """Losses set at random, some words masked and some pads counted; in every sentence something counts."""
    g = torch.Generator().manual_seed(seed)
    cells = [(row, place, round(torch.rand((), generator=g).item() * 5, 2)) for row in range(3) for place in range(5)]
    flips = [(row, place) for row in range(3) for place in range(1, 5) if torch.rand((), generator=g) < 0.4]
    return {"set_losses": cells, "toggled": flips, "count": 7 + seed} | changes


@pytest.mark.parametrize("micro", [1, 2, 3])
@pytest.mark.parametrize("by", denominators.BY)
@pytest.mark.parametrize("seed", range(4))
def test_numbers_and_gradients_are_those_of_plain_formulas_and_of_backward(by, micro, seed):
    panels = drawn(**random_state(seed, by=by, micro=micro))
    losses, mask, count = panels["losses"].values, panels["mask"].values.bool(), 7 + seed
    row = panels["numbers"].values[panels["numbers"].rows.index(by)]
    parts = torch.arange(3).tensor_split(micro)
    each = [PLAIN[by](losses[rows], mask[rows], count) for rows in parts] if micro > 1 else []
    torch.testing.assert_close(row[: 1 + len(each)], torch.stack([PLAIN[by](losses, mask, count), *each]))
    for name, k in {"gradient": 1, "accumulated": micro}.items():
        if name in panels:
            total, slope = by_backward(mask, losses, by=by, parts=k, count=count)
            torch.testing.assert_close(panels[name].values, slope)
            assert row[0 if k == 1 else -1].item() == pytest.approx(total)
    assert ("accumulated" in panels) == (micro > 1)
    slopes = [panels[name] for name in ("gradient", "accumulated") if name in panels]  # one scale for both
    assert {panel.limit for panel in slopes} == {max(panel.values.max().item() for panel in slopes)}


def test_a_sum_and_its_divisor_give_the_number():
    for changes in ({}, {"toggled": [(0, 3), (1, 1)], "count": 5, "more": 3.0}):
        found = drawn(**changes)["numbers"]
        for note, number in zip(found.row_notes, found.values[:, 0].tolist(), strict=True):
            total, divisor = note.split(" / ")
            assert float(total) / int(divisor) == pytest.approx(number, abs=0.005)


# --- 1: padding moves the number by position, and no other -------------------------------------------------


@pytest.mark.parametrize("more", [1.0, 3.0, 5.0])
def test_more_padding_moves_the_number_by_position_and_nothing_else(more):
    before, after = numbers(), numbers(more=more)
    assert {by for by in before if after[by] != pytest.approx(before[by])} == {"position"}
    assert after["position"][0] == pytest.approx(before["token"][0] * 12 / (3 * (5 + more)))
    for by in denominators.BY:
        was, now = values("gradient", by=by), values("gradient", by=by, more=more)
        assert now.shape == (3, 5 + more) and (now[:, 5:] == 0).all()
        assert torch.allclose(now[:, :5], was) == (by != "position")
    assert [len(one.tokens) for one in lesson.draw(state(more=more)).sentences] == [5 + more] * 3
    assert torch.equal(values("losses", more=more)[:, :5], values("losses"))


# --- 2: the same loss, a different gradient --------------------------------------------------------------------


def test_losses_of_1_give_the_same_loss_by_two_denominators_and_other_gradients():
    found = numbers(losses="ones")
    assert found == {"token": [1.0], "sentence": [1.0], "position": [pytest.approx(0.8)], "count": [1.0]}
    assert "By sentence: the same loss, a different gradient." in summary(losses="ones")
    assert "By token and by count: the same loss, a different gradient." in summary(losses="ones", by="sentence")
    assert "the same loss" not in summary(losses="ones", by="position") + summary()
    by_sentence = values("gradient", losses="ones", by="sentence")
    torch.testing.assert_close(by_sentence, IS_WORD / (3 * IS_WORD.sum(dim=1, keepdim=True)))


@pytest.mark.parametrize(("last", "same"), [(0.6008, True), (0.6016, False)])
def test_two_losses_are_the_same_if_they_are_written_alike(last, same):
    """Lengths 3 and 1: by token 0.6002 and by sentence 0.6004, or 0.6004 and 0.6008."""
    cells = [*((0, place, 0.6) for place in range(3)), (1, 0, last)]
    words = [summary(sentences=("a b c", "d"), set_losses=cells, by=by) for by in ("token", "sentence")]
    assert len({one.rpartition(" = ")[2][:5] for one in words}) == (1 if same else 2)
    assert ["the same loss, a different gradient" in one for one in words] == [same] * 2
    for odd in (math.nan, math.inf, 1e6):  # 1e6 by token and 1.01e6 by sentence are both written 1.0e6
        cells = [*((0, place, odd) for place in range(3)), (1, 0, 1.02 * odd)]
        assert "the same loss" not in summary(sentences=("a b c", "d"), set_losses=cells)


def test_of_6_and_2_words_each_weighs_125_by_token_and_083_or_250_by_sentence():
    changes = lesson.State.presets["6 and 2 words"]
    by_token, by_sentence = (values("gradient", by=by, **changes) for by in ("token", "sentence"))
    torch.testing.assert_close(by_token, torch.tensor([[0.125] * 6, [0.125] * 2 + [0.0] * 4]))
    torch.testing.assert_close(by_sentence, torch.tensor([[1 / 12] * 6, [0.25] * 2 + [0.0] * 4]))
    assert values("gradient", by="position", **changes).sum() == pytest.approx(2 / 3)
    assert numbers(**changes)["token"] == numbers(**changes)["sentence"] == [1.0]
    cleared = state(set_losses=[(0, 0, 9.0)], toggled=[(0, 1)]).changed(changes)  # the button starts anew
    assert cleared.set_losses == cleared.toggled == ()


def test_a_word_clicked_away_gives_its_weight_to_all_by_token_and_to_its_sentence_by_sentence():
    """The lesson's third thing to try: "ate" of the first sentence."""
    left = IS_WORD.clone()
    left[0, 2] = False
    torch.testing.assert_close(values("gradient", toggled=[(0, 2)]), left / 11)
    torch.testing.assert_close(
        values("gradient", by="sentence", toggled=[(0, 2)]), left / (3 * left.sum(dim=1, keepdim=True))
    )


# --- 3: micro-batches --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("micro", "right"), [(2, {"count"}), (3, {"count", "sentence", "position"})])
def test_only_one_count_gives_the_whole_batch_for_any_parts(micro, right):
    """Parts of one sentence each, equally padded, are fair by sentence and by position, too."""
    found = numbers(micro=micro)
    assert {by for by, row in found.items() if row[-1] == pytest.approx(row[0])} == right
    for by in denominators.BY:
        panels, words = drawn(micro=micro, by=by), summary(micro=micro, by=by)
        same = torch.allclose(panels["gradient"].values, panels["accumulated"].values)
        assert same == (by in right) and ("✓ the gradient of the whole batch." in words) == same
        assert ("✗ not the gradient of the whole batch." in words) != same
        assert f" = {found[by][0]:.3f}. Accumulated: {found[by][-1]:.3f}, " in words


def test_the_chips_say_which_micro_batch_a_sentence_is_in():
    notes = [one.note for one in lesson.draw(state(micro=2)).sentences]
    assert [note.rpartition(" · ")[2] for note in notes] == ["micro-batch 1", "micro-batch 1", "micro-batch 2"]
    assert drawn(micro=2)["numbers"].columns == ["whole batch", "1 of 2", "2 of 2", "accumulated"]
    assert lesson.draw(state()).sentences[0].note == "3 of 5 are words"


def test_there_are_no_more_micro_batches_than_sentences():
    assert drawn(sentences=("The cat", "The"), micro=3)["numbers"].columns[-2] == "2 of 2"
    assert drawn(sentences=("The cat",), micro=3)["numbers"].columns == ["whole batch"]


def test_a_loss_that_is_the_same_in_parts_may_have_another_gradient():
    found = summary(losses="ones", micro=2)
    assert "By token: 12.000 / 12 = 1.000. Accumulated: 1.000, ✗ not the gradient of the whole batch." in found
    assert "By sentence: the same loss" in summary(losses="ones", micro=3)  # of the whole batch, not of the parts


def test_both_gradients_have_one_scale_whichever_is_larger():
    panels = drawn(sentences=("a", "a b", "a b c d"), by="sentence", micro=2)
    limits = {panels[name].limit for name in ("gradient", "accumulated")}
    assert limits == {panels["gradient"].values.max().item()} and panels["accumulated"].values.max() < max(limits)


# --- 4: what is masked changes nothing, whatever it is -----------------------------------------------------


@pytest.mark.parametrize("odd", [math.nan, math.inf, 1e6])
@pytest.mark.parametrize("micro", [1, 2])
def test_a_masked_loss_changes_nothing_and_a_counted_one_does(odd, micro):
    masked, counting = {"set_losses": [(0, 4, odd)], "micro": micro}, {"set_losses": [(0, 0, odd)], "micro": micro}
    assert numbers(**masked) == numbers(micro=micro)
    for by in denominators.BY:
        assert torch.equal(values("gradient", by=by, **masked), values("gradient", by=by))
    assert all(math.isnan(odd) == math.isnan(row[0]) and row[0] != before[0]
               for row, before in zip(numbers(**counting).values(), numbers().values(), strict=True))  # fmt: skip
    assert drawn(**masked)["counted"].values[0, 4] == 0


@pytest.mark.parametrize(("odd", "name"), [(math.nan, "NaN"), (math.inf, "∞")])
def test_the_words_say_what_a_product_would_have_given(odd, name):
    changes = {"set_losses": [(0, 4, odd)]}
    said = f"The masked {name} changes nothing; (losses * mask).sum() would be NaN, for 0 × {name} is NaN."
    assert summary(**changes) == f"{summary()} {said}"
    panels = drawn(**changes)
    assert (panels["losses"].values * panels["mask"].values).sum().isnan()  # it would
    assert "changes nothing" not in summary(set_losses=[(0, 0, odd)]) + summary(set_losses=[(0, 4, 1e6)])


# --- 5: nothing supervised ---------------------------------------------------------------------------------


@pytest.mark.parametrize("micro", [1, 3])
def test_nothing_supervised_is_said_and_is_nan_by_the_plain_formula(micro):
    found, panels = numbers(toggled=ALL, micro=micro), drawn(toggled=ALL, micro=micro)
    assert all(math.isnan(one) for by in ("token", "sentence") for one in found[by])
    assert set(found["position"] + found["count"]) == {0.0}
    assert all((panels[name].values == 0).all() for name in panels if name in ("gradient", "accumulated"))
    assert summary(toggled=ALL).startswith("By token: 0.000 / 0 = NaN. Nothing is supervised: by token and by sentence")
    assert panels["counted"].row_notes == ["–"] * 3
    assert "In micro-batch" not in summary(toggled=ALL, micro=micro)  # it is said once


def test_a_sentence_with_nothing_that_counts_is_left_out_and_its_micro_batch_is_nan():
    changes = {"toggled": [(2, place) for place in range(4)]}
    assert drawn(**changes)["numbers"].row_notes[1] == "1.38 / 2" and drawn(**changes)["counted"].row_notes[2] == "–"
    found = numbers(micro=2, **changes)
    assert math.isnan(found["token"][-1]) and math.isnan(found["sentence"][-1]) and found["count"][-1] > 0
    assert summary(micro=2, **changes).endswith("In micro-batch 2 nothing counts: a mean there is 0 / 0, NaN.")


# --- which losses ------------------------------------------------------------------------------------------


def test_another_word_moves_its_own_loss_and_no_other():
    typed = values("losses", sentences=("The dog ate", *lesson.SENTENCES[1:]))
    assert (typed != values("losses")).nonzero().tolist() == [[0, 1]]
    longer = values("losses", sentences=("The cat ate soup", *lesson.SENTENCES[1:]))
    assert (longer != values("losses")).nonzero().tolist() == [[0, 3]]  # a word where a pad was
    assert torch.equal(typed, values("losses", sentences=("The dog ate", *lesson.SENTENCES[1:])))
    assert ((typed >= 0) & (typed < 1)).all()
    assert len(values("losses", sentences=("dog dog", "dog")).unique()) == 4  # each word and place its own


def test_a_number_that_was_set_belongs_to_its_cell():
    changes = {"set_losses": [(0, 1, 4.0), (7, 7, 9.0), (-1, 0, 9.0), (0, 1, 3.0)]}
    for sentences in (lesson.SENTENCES, ("A dog",), ("The cat ate fish pie and soup", "")):
        found = values("losses", sentences=sentences, **changes)
        assert found[0, 1] == 3.0 and (found == 9.0).sum() == 0  # the last one counts
        assert values("losses", sentences=sentences, losses="ones", **changes)[0, 1] == 3.0
    assert drawn(**changes)["losses"].edits.low == 0 and drawn(**changes)["losses"].edits.high is None


def test_a_number_beyond_float32_is_infinite_as_on_the_page():
    assert values("losses", set_losses=[(0, 0, 1e300)])[0, 0] == math.inf


def test_a_click_on_the_mask_turns_a_cell_and_cells_that_are_not_there_wait():
    panel = drawn(toggled=[(0, 3), (1, 0), (9, 9), (-1, 2)])["mask"]
    expected = IS_WORD.clone()
    expected[0, 3], expected[1, 0] = True, False
    assert torch.equal(panel.values.bool(), expected)
    assert panel.edits.key == "toggled" and panel.edits.cells == [[0, 3], [1, 0]]


# --- predict first -----------------------------------------------------------------------------------------


def test_until_it_is_revealed_the_painted_mask_counts_then_the_right_one_does():
    changes = {"predict": True, "painted": [(0, 3), (1, 1)], "toggled": [(2, 0)]}
    painted, revealed = drawn(**changes), drawn(reveal=True, **changes)
    assert painted["mask"].title == "your mask" and painted["mask"].edits.key == "painted"
    assert painted["mask"].values.sum() == 13 and revealed["mask"].values.sum() == 12
    marks = {RIGHT: [[0, 3]], MISSED: [[0, 4], [2, 4]], EXTRA: [[1, 1]]}
    assert {mark: (revealed["mask"].marks == mark).nonzero().tolist() for mark in marks} == marks
    assert (revealed["mask"].marks == NOT_MARKED).sum() == 11 and revealed["mask"].edits is None
    assert torch.equal(revealed["gradient"].values, values("gradient"))
    assert summary(**changes).startswith(
        "Paint the losses that should not count: 2 painted so far. Then reveal. By token"
    )
    assert summary(reveal=True, **changes).startswith("You masked 1 of the 3 cells to mask")


# --- any text ----------------------------------------------------------------------------------------------


def test_any_number_of_sentences_and_256_words():
    long = " ".join(f"word{i}" for i in range(256))
    panels = drawn(sentences=[long, "", "a [PAD] b", "x", "y", "z"], micro=3, more=5.0)
    assert panels["losses"].values.shape == (6, 261) and panels["accumulated"].values.shape == (6, 261)
    assert panels["mask"].values.sum(dim=1).tolist() == [256, 0, 3, 1, 1, 1]
    assert all(len(panel.rows) in (4, 6) for panel in panels.values())
    two = summary(sentences=[long, "word " * 200], losses="ones")  # each word pulls 1/456, or 1/512 and 1/400
    assert "By sentence: the same loss, a different gradient." in two
    assert values("losses", sentences=("half an emoji \ud83d",)).shape == (1, 4)
    assert [lesson.draw(state(shown=i)).shown for i in (-1, 2, 9)] == [0, 2, 2]
