"""Packing: what the experiment claims, that its comparison is fair, and who sees whom in a row."""

import pytest
import torch

from masklab import masks, tiny
from masklab.experiments import packing
from masklab.experiments.packing import PACKINGS, documents, packed_logits, packed_loss
from masklab.models import language_loss
from masklab.packing import Packed, pack
from masklab.training import draws, rows, train
from tests.comparisons import apart

NAMES = list(PACKINGS)


# --- What is claimed -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    return documents(seeds=(0, 1))  # `make bench` takes three


@pytest.mark.parametrize("bug", NAMES[1:])
def test_a_document_mask_and_new_positions_are_better(trained, bug):
    assert apart(trained, bug)
    assert max(trained.scores["mask and positions"]) < 3.2  # they have learned; guessing gives 5.98
    assert max(trained.scores["positions only"]) < min(trained.scores["concatenated"])  # each part helps


# --- That the comparison is fair -------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [(True, True), (False, False)])
def test_variants_differ_in_the_entry_of_their_table_and_in_nothing_else(monkeypatch, way):
    monkeypatch.setattr(packing, "PACKINGS", dict.fromkeys(NAMES, way))
    result = documents(seeds=[0, 1], steps=3)
    assert len({str(scores) for scores in result.scores.values()}) == 1
    assert len({str(curves) for curves in result.curves.values()}) == 1
    assert all(
        result.compared(other).endswith("the same in every seed.") for other in result.scores if other != result.right
    )


def test_the_four_ways_are_four_different_ways():
    model, packed = tiny.tiny_gpt(0, max_len=64), pack(rows(tiny.texts()[0], range(12)), total=64)
    losses = {packed_loss(model, packed, masked=m, reset=r).item() for m, r in PACKINGS.values()}
    assert len(losses) == 4


def test_with_mask_and_positions_a_packed_row_is_its_sentences_one_by_one():
    """The same loss and the same gradients as one sentence a row; without a mask, another loss."""
    some, model = rows(tiny.texts()[0], range(20)), tiny.tiny_gpt(0, max_len=packing.ROW)
    packed = pack(some, total=packing.ROW)
    alone = language_loss(model, some, masks.causal())
    together = packed_loss(model, packed, masked=True, reset=True)
    assert torch.allclose(alone, together, atol=1e-5)
    weights = list(model.parameters())
    for one, two in zip(torch.autograd.grad(alone, weights), torch.autograd.grad(together, weights), strict=True):
        assert torch.allclose(one, two, atol=1e-5)
    assert abs(packed_loss(model, packed, masked=False, reset=True) - alone) > 1e-3


# --- Who sees whom: exact, so no seeds and no verdict ----------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    """Trained on packed rows, the right way."""
    gpt, (train_texts, _) = tiny.tiny_gpt(0, max_len=packing.ROW), tiny.texts()
    chosen = draws(range(len(train_texts.ids)), size=packing.SENTENCES, seed=0)

    def loss_of(step):
        return packed_loss(gpt, pack(rows(train_texts, chosen(step)), total=packing.ROW), masked=True, reset=True)

    train(gpt, loss_of, steps=60, lr=packing.LR)
    return gpt


def of_one_length(words):
    """All held-out sentences of this many words, between [BOS] and [EOS]: (B, words + 2)."""
    _, held_out = tiny.texts()
    return held_out.ids[held_out.lengths == words + 2, : words + 2]


@torch.no_grad()
def after(model, first, second, way):
    """The logits of ``second`` when ``first`` is before it in the same row, used in one of the four ways."""
    ids = torch.cat([first, second], dim=1)
    numbers = (torch.arange(ids.shape[1]) >= first.shape[1]).long().expand_as(ids)
    masked, reset = PACKINGS[way]
    return packed_logits(model, Packed(ids, numbers), masked=masked, reset=reset)[:, first.shape[1] :]


def changes(model, way):
    """How a document changes, at each token, with its neighbor; and at most, if that also gets a word shorter."""
    same, shorter = of_one_length(6), of_one_length(5)
    same, shorter = same[: len(shorter)], shorter[: len(same)]
    before = after(model, same.roll(1, dims=0), same, way)  # each sentence after the one before it
    other = (after(model, same.roll(2, dims=0), same, way) - before).abs().amax(dim=(0, 2))
    return other, (after(model, shorter, same, way) - before).abs().max()


def test_only_a_document_mask_hides_the_neighbor(model):
    found = {way: changes(model, way) for way in NAMES}
    assert found["mask and positions"][0].max() == found["mask only"][0].max() == 0
    for bug in ("positions only", "concatenated"):
        assert found[bug][0].max() > 0.5
        assert found[bug][0].min() > 0.05  # at every token of the second document
    assert found["mask and positions"][1] < 5e-5 and min(found[way][1] for way in NAMES[1:]) > 1


def test_without_new_positions_a_document_changes_with_the_length_of_its_neighbor():
    model, b = tiny.tiny_gpt(0, max_len=packing.ROW), torch.tensor([[3, 7, 8, 4]])
    for way, changes_too in {"mask and positions": False, "mask only": True}.items():
        one, two = (after(model, a, b, way) for a in (torch.tensor([[3, 5, 6, 4]]), torch.tensor([[3, 5, 4]])))
        assert ((one - two).abs().max() > 1e-2) == changes_too


def test_sentences_next_to_each_other_have_one_length_and_differ():
    same = of_one_length(6)
    assert same.shape[1] == 8 and len(same) > 10 and (same[:, 0] == 3).all() and (same[:, -1] == 4).all()
    first, other = same.roll(1, dims=0), same.roll(2, dims=0)
    assert (first != same).any(dim=1).all() and (first != other).any(dim=1).all()
