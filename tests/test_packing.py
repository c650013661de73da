"""Rows that hold every document once and whole, and what they save."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from masklab import corpus, masks
from masklab.packing import document_positions, first_fit, pack, waste
from masklab.text import Batch
from masklab.tiny import texts
from masklab.training import draws, rows
from tests.strategies import seeds


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
    with pytest.raises(ValueError, match="fit in a row of 4 tokens, got one of 5"):
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
        assert (row[end:] == 0).all() and (positions[end:] == 0).all()
    expected = [ids[i, :n].tolist() for i, n in enumerate(lengths)]
    assert found == [expected[i] for row in first_fit(lengths, total=total) for i in row]
    assert sorted(found) == sorted(expected)


@given(st.lists(st.lists(st.integers(1, 5), max_size=4), min_size=1, max_size=4), st.integers(0, 3))
def test_positions_begin_anew_in_each_document(lengths, pads):
    total = max(map(sum, lengths)) + pads
    found = document_positions(masks.document_ids(lengths, total=total))
    for row, found_row in zip(lengths, found.tolist(), strict=True):
        places = [i for length in row for i in range(length)]
        assert found_row == places + [0] * (total - len(places))


def test_packing_saves_most_of_the_padding():
    """Batches of 64 sentences, of 2 to 14 words between [BOS] and [EOS], in rows of 64 tokens or one sentence a row."""
    lengths = [len(example.words) + 2 for example in corpus.sentences(n=2000)]
    for seed in range(3):
        batches = [draws(lengths, size=64, seed=seed)(step) for step in range(20)]
        alone = [waste(batch, total=max(batch), rows=len(batch)) for batch in batches]
        packed = [waste(batch, total=64, rows=len(first_fit(batch, total=64))) for batch in batches]
        assert sum(alone) / 20 > 0.2 and sum(packed) / 20 < 0.12


def test_the_waste_is_the_share_of_pads_in_the_tensors():
    some = rows(texts()[0], range(50))
    lengths = some.lengths.tolist()
    one_a_row = waste(lengths, total=some.ids.shape[1], rows=len(lengths))
    assert one_a_row == pytest.approx((~some.is_word).float().mean().item(), abs=1e-6)
    empty = (pack(some, total=64).documents < 0).float().mean().item()
    assert waste(lengths, total=64, rows=len(first_fit(lengths, total=64))) == pytest.approx(empty, abs=1e-6)
