"""Packing: what the experiments claim, that their comparisons are fair, and rows that hold what they should."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from masklab import masks
from masklab.experiments import language, packing
from masklab.experiments.packing import documents, first_fit, neighbors, pack, padding_saved
from masklab.text import Batch
from tests.comparisons import apart
from tests.strategies import seeds

WAYS = list(packing.PACKINGS)


# --- What is claimed -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    return documents(seeds=(0, 1))  # `make bench` takes three


@pytest.mark.parametrize("bug", WAYS[1:])
def test_a_document_mask_and_new_positions_are_better(trained, bug):
    assert apart(trained, bug)
    assert max(trained.scores["mask and positions"]) < 3.2  # they have learned; guessing gives 5.98
    assert max(trained.scores["positions only"]) < min(trained.scores["concatenated"])  # each part helps


@pytest.fixture(scope="module")
def neighboring():
    return neighbors()


def test_only_a_document_mask_hides_the_neighbor(neighboring):
    assert neighboring.scores["mask and positions"] == neighboring.scores["mask only"] == [0, 0, 0]
    for bug in ("positions only", "concatenated"):
        assert apart(neighboring, bug) and min(neighboring.scores[bug]) > 0.5
        assert all(min(curve) > 0.05 for curve in neighboring.curves[bug])  # at every token of B
    moved = {way: float(text.split()[0]) for way, text in neighboring.samples.items()}  # when A gets a word shorter
    assert moved["mask and positions"] == 0 and min(moved[way] for way in WAYS[1:]) > 1


def test_without_new_positions_a_document_changes_with_the_length_of_its_neighbor():
    model = language.tiny_gpt(0, max_len=packing.ROW)
    b = torch.tensor([[3, 7, 8, 4]])
    for way, changes in {"mask and positions": False, "mask only": True}.items():
        masked, reset = packing.PACKINGS[way]
        after = [
            packing.packed_logits(model, packing.pairs_of_rows(a, b), masked=masked, reset=reset)[:, -4:]
            for a in (torch.tensor([[3, 5, 6, 4]]), torch.tensor([[3, 5, 4]]))
        ]
        assert ((after[0] - after[1]).abs().max() > 1e-2) == changes


def test_packing_saves_most_of_the_padding():
    result = padding_saved()
    assert apart(result, "one a row")
    assert min(result.scores["one a row"]) > 0.2 and max(result.scores["packed"]) < 0.12


def test_the_waste_is_the_share_of_pads_in_the_tensors():
    some = language.rows(language.texts()[0], range(50))
    lengths = some.lengths.tolist()
    one_a_row = packing.waste(lengths, total=some.ids.shape[1], count=len(lengths))
    assert one_a_row == pytest.approx((~some.is_word).float().mean().item(), abs=1e-6)
    empty = (pack(some, total=64).documents < 0).float().mean().item()
    assert packing.waste(lengths, total=64, count=len(first_fit(lengths, total=64))) == pytest.approx(empty, abs=1e-6)


# --- That the comparison is fair -------------------------------------------------------------------------------------


@pytest.mark.parametrize("experiment", [documents, neighbors])
@pytest.mark.parametrize("way", [(True, True), (False, False)])
def test_variants_differ_in_the_entry_of_their_table_and_in_nothing_else(monkeypatch, experiment, way):
    monkeypatch.setattr(packing, "PACKINGS", dict.fromkeys(WAYS, way))
    result = experiment(seeds=[0, 1], steps=4)
    assert len({str(scores) for scores in result.scores.values()}) == 1
    assert len({str(curves) for curves in result.curves.values()}) == 1
    assert all(
        result.compared(other).endswith("the same in every seed.") for other in result.scores if other != result.right
    )


def test_the_four_ways_are_four_different_ways():
    model, packed = language.tiny_gpt(0, max_len=64), pack(language.rows(language.texts()[0], range(12)), total=64)
    losses = {packing.packed_loss(model, packed, masked=m, reset=r).item() for m, r in packing.PACKINGS.values()}
    assert len(losses) == 4


def test_with_mask_and_positions_a_packed_row_is_its_sentences_one_by_one():
    """The same loss and the same gradients as one sentence a row; without a mask, another loss."""
    some, model = language.rows(language.texts()[0], range(20)), language.tiny_gpt(0, max_len=packing.ROW)
    packed = pack(some, total=packing.ROW)
    alone = language.language_loss(model, some, masks.causal())
    together = packing.packed_loss(model, packed, masked=True, reset=True)
    assert torch.allclose(alone, together, atol=1e-5)
    weights = list(model.parameters())
    for one, two in zip(torch.autograd.grad(alone, weights), torch.autograd.grad(together, weights), strict=True):
        assert torch.allclose(one, two, atol=1e-5)
    assert abs(packing.packed_loss(model, packed, masked=False, reset=True) - alone) > 1e-3


def test_sentences_next_to_each_other_have_one_length_and_differ():
    same = packing._of_one_length(6)
    assert same.shape[1] == 8 and len(same) > 10 and (same[:, 0] == 3).all() and (same[:, -1] == 4).all()
    first, other = same.roll(1, dims=0), same.roll(2, dims=0)
    assert (first != same).any(dim=1).all() and (first != other).any(dim=1).all()


# --- Rows ------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 9), max_size=12), st.integers(9, 20))
def test_first_fit_by_a_slow_loop(lengths, total):
    room, where = [], []
    for length in lengths:
        row = 0
        while row < len(room) and room[row] < length:
            row += 1
        room += [total] * (row == len(room))
        room[row] -= length
        where.append(row)
    assert first_fit(lengths, total=total) == [[i for i, w in enumerate(where) if w == row] for row in range(len(room))]


def test_a_document_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="fit in a row of 4, and the longest has 5 tokens"):
        first_fit([2, 5], total=4)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=8), st.integers(6, 15), seeds)
def test_a_packed_row_holds_every_document_once_and_whole(lengths, total, seed):
    ids = torch.randint(1, 50, (len(lengths), 6), generator=torch.Generator().manual_seed(seed))
    batch = Batch(tokens=(), ids=ids, lengths=torch.tensor(lengths), side="right")
    packed = pack(batch, total=total)
    found = []
    for row, numbers, positions in zip(packed.ids, packed.documents, packed.positions, strict=True):
        for document in range(int(numbers.max()) + 1):
            here = numbers == document
            found.append(row[here].tolist())
            assert positions[here].tolist() == list(range(int(here.sum())))
        end = int((numbers >= 0).sum())
        assert (numbers[end:] == -1).all() and (numbers[:end] >= 0).all()
    expected = [ids[i, :n].tolist() for i, n in enumerate(lengths)]
    assert found == [expected[i] for row in first_fit(lengths, total=total) for i in row]
    assert sorted(found) == sorted(expected)
