"""The checks of lesson 00: answers as learners write them (see test_checks.py), and what else each check says."""

import itertools
import math
import random
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence

from masklab import text
from masklab.check import start_here as check

# --- 1 · Fill sentences up ------------------------------------------------------------------------------------------


def by_lists(sequences, side):
    longest = max(len(ids) for ids in sequences)
    rows = []
    for ids in sequences:
        pads = [0] * (longest - len(ids))
        rows.append(ids + pads if side == "right" else pads + ids)
    return torch.tensor(rows)


def into_zeros(sequences, side):
    longest = max(map(len, sequences))
    batch = torch.zeros(len(sequences), longest, dtype=torch.long)
    for i, ids in enumerate(sequences):
        start = longest - len(ids) if side == "left" else 0
        for j, one in enumerate(ids):
            batch[i, start + j] = one
    return batch


def by_pad(sequences, side):
    longest = max(map(len, sequences))
    rows = []
    for ids in sequences:
        n = longest - len(ids)
        rows.append(F.pad(torch.tensor(ids, dtype=torch.long), (n, 0) if side == "left" else (0, n)))
    return torch.stack(rows)


def by_zip(sequences, side):
    if side == "right":
        return torch.tensor(list(zip(*itertools.zip_longest(*sequences, fillvalue=0), strict=True)))
    return by_zip([ids[::-1] for ids in sequences], "right").flip(1)


def by_numpy(sequences, side):
    batch = np.zeros((len(sequences), max(map(len, sequences))), dtype=np.int64)
    for row, ids in zip(batch, sequences, strict=True):
        if ids:
            row[slice(-len(ids), None) if side == "left" else slice(len(ids))] = ids
    return torch.from_numpy(batch)


def with_pad_sequence(sequences, side, **options):
    return pad_sequence([torch.tensor(ids, dtype=torch.long) for ids in sequences], padding_side=side, **options)


def nested(sequences, side):
    ragged = torch.nested.nested_tensor([torch.tensor(ids, dtype=torch.long) for ids in sequences])
    batch = ragged.to_padded_tensor(0)
    return batch if side == "right" else torch.stack([
        row.roll(batch.shape[1] - len(ids)) for row, ids in zip(batch, sequences, strict=True)
    ])  # fmt: skip


def at_the_left_backwards(sequences, side):
    return by_lists(sequences, "right").flip(1) if side == "left" else by_lists(sequences, side)


def one_more(sequences, side):
    longest = max(map(len, sequences)) + 1
    return torch.tensor([ids + [0] * (longest - len(ids)) if side == "right" else [0] * (longest - len(ids)) + ids
                         for ids in sequences])  # fmt: skip


def as_wide_as_the_first(sequences, side):
    longest = len(sequences[0])
    pads = [[0] * (longest - len(ids)) for ids in sequences]
    rows = zip(sequences, pads, strict=True) if side == "right" else zip(pads, sequences, strict=True)
    return torch.tensor([first + second for first, second in rows])


def the_same_row(sequences, side):
    longest = max(map(len, sequences))
    rows = [[0] * longest] * len(sequences)
    for row, ids in zip(rows, sequences, strict=True):
        for j, one in enumerate(ids):
            row[j if side == "right" else longest - len(ids) + j] = one
    return torch.tensor(rows)


# --- 2 · Which positions are words? ---------------------------------------------------------------------------------


def row_by_row(lengths, total, side):
    rows = []
    for length in lengths.tolist():
        words, pads = [True] * length, [False] * (total - length)
        rows.append(words + pads if side == "right" else pads + words)
    return torch.tensor(rows)


def cell_by_cell(lengths, total, side):
    mask = torch.zeros(len(lengths), total).bool()
    for i in range(len(lengths)):
        for position in range(total):
            if side == "right":
                mask[i, position] = position < lengths[i]
            else:
                mask[i, position] = position >= total - lengths[i]
    return mask


def ranges(lengths, total, side):
    position = torch.arange(total)
    return position < lengths[:, None] if side == "right" else position >= total - lengths[:, None]


def by_slices(lengths, total, side):
    mask = torch.zeros(len(lengths), total, dtype=torch.bool)
    for row, n in zip(mask, lengths, strict=True):
        if side == "right":
            row[:n] = True
        else:
            row[-n:] = True
    return mask


def right_only(wrong):
    """Wrong with the padding on the left only."""
    return lambda lengths, total, side: (ranges if side == "right" else wrong)(lengths, total, side)


# --- 3 · Batches with little padding --------------------------------------------------------------------------------


def cut(order, size):
    return [order[i : i + size] for i in range(0, len(order), size)]


def shuffled(numbers, seed):
    numbers = list(numbers)
    random.Random(seed).shuffle(numbers)
    return numbers


def sorted_by_length(lengths, order):
    return sorted(order, key=lambda i: lengths[i])


def shuffle_sort_cut_shuffle(lengths, size, seed):
    order = sorted_by_length(lengths, shuffled(range(len(lengths)), seed))
    return shuffled(cut(order, size), seed)


def in_torch(lengths, size, seed):
    g = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(lengths), generator=g)
    order = order[torch.tensor(lengths)[order].argsort(stable=True)]
    found = order.split(size)
    return [found[i] for i in torch.randperm(len(found), generator=g)]


def in_numpy(lengths, size, seed):
    rng = np.random.default_rng(seed)
    noisy = np.array(lengths) + rng.random(len(lengths))
    found = np.array_split(noisy.argsort(), range(size, len(lengths), size))
    return tuple(found[i] for i in rng.permutation(len(found)))


def within_windows(lengths, size, seed):
    order, found = shuffled(range(len(lengths)), seed), []
    for window in cut(order, 2 * size):
        found += cut(sorted_by_length(lengths, window), size)
    return found


def within_large_windows(lengths, size, seed):
    order, found = shuffled(range(len(lengths)), seed), []
    for window in cut(order, 8 * size):
        found += cut(sorted_by_length(lengths, window), size)
    return found


def buckets(lengths, size, seed):
    order = sorted_by_length(lengths, range(len(lengths)))
    found = [batch for bucket in cut(order, 3 * size) for batch in cut(shuffled(bucket, seed), size)]
    return shuffled(found, seed)


def by_exact_lengths(lengths, size, seed):
    random.seed(seed)
    groups = {}
    for i, length in enumerate(lengths):
        groups.setdefault(length, []).append(i)
    keys = list(groups)
    random.shuffle(keys)
    order = []
    for key in sorted(keys, reverse=True):
        random.shuffle(groups[key])
        order += groups[key]
    found = cut(order, size)
    random.shuffle(found)
    return found


def transformers_group_by_length(lengths, size, seed):
    from transformers.trainer_pt_utils import get_length_grouped_indices

    g = torch.Generator().manual_seed(seed)
    return cut(get_length_grouped_indices(lengths, size, generator=g), size)


def one_by_one(lengths, size, seed):
    yield from shuffle_sort_cut_shuffle(lengths, size, seed)


def from_a_start_that_differs(lengths, size, seed):
    order = sorted_by_length(lengths, shuffled(range(len(lengths)), seed))
    first = len(order) % size
    return shuffled(([order[:first]] if first else []) + cut(order[first:], size), seed)


def without(change):
    """The right answer, changed afterwards."""
    return lambda lengths, size, seed: change(shuffle_sort_cut_shuffle(lengths, size, seed), lengths)


def groups_of_equal_length(lengths, size, seed):
    groups = {}
    for i, length in enumerate(lengths):
        groups.setdefault(length, []).append(i)
    return shuffled([batch for group in groups.values() for batch in cut(shuffled(group, seed), size)], seed)


RIGHT = {
    "pad_batch": [by_lists, into_zeros, by_pad, by_zip, by_numpy, nested,
                  lambda sequences, side: with_pad_sequence(sequences, side, batch_first=True)],
    "word_mask": [
        row_by_row, cell_by_cell, ranges,
        lambda lengths, total, side: text.word_positions(lengths, total=total, side=side),
        lambda lengths, total, side: ranges(lengths, total, "right").flip([1] if side == "left" else []),
        lambda lengths, total, side: torch.stack([
            F.pad(torch.ones(n), (total - n, 0) if side == "left" else (0, total - n)) for n in lengths.tolist()
        ]) == 1,
        lambda lengths, total, side: torch.from_numpy(ranges(lengths, total, side).numpy().copy()),
    ],
    "batches": [shuffle_sort_cut_shuffle, in_torch, in_numpy, within_windows, buckets, by_exact_lengths, one_by_one,
                transformers_group_by_length,
                within_large_windows, from_a_start_that_differs],
}  # fmt: skip

WRONG = {
    ("pad_batch", "always on the right"): [
        lambda sequences, side: by_lists(sequences, "right"),
        lambda sequences, side: with_pad_sequence(sequences, "right", batch_first=True),
    ],
    ("pad_batch", "always on the left"): lambda sequences, side: by_pad(sequences, "left"),
    ("pad_batch", "sides swapped"): lambda sequences, side: by_lists(sequences, "left" if side == "right" else "right"),
    ("pad_batch", "backwards"): [
        lambda sequences, side: by_lists([list(reversed(ids)) for ids in sequences], side),
        at_the_left_backwards,
    ],
    ("pad_batch", "as wide as the first"): [
        as_wide_as_the_first,
        lambda sequences, side: into_zeros([ids[: len(sequences[0])] for ids in sequences], side),
    ],
    ("pad_batch", "another order"): [
        lambda sequences, side: by_lists(sorted(sequences, key=len), side),
        lambda sequences, side: by_lists(sequences, side).flip(0),
    ],
    ("pad_batch", "cut to the shortest"): [
        lambda sequences, side: into_zeros([ids[: min(map(len, sequences))] for ids in sequences], side),
        lambda sequences, side: torch.tensor(list(zip(*sequences, strict=False)), dtype=torch.long).reshape(
            -1, len(sequences)).T,
    ],
    ("pad_batch", "one column too many"): [one_more, lambda sequences, side: F.pad(by_lists(sequences, side), (0, 1))],
    ("pad_batch", "empty sentences lost"): lambda sequences, side: by_lists(list(filter(None, sequences)), side),
    ("pad_batch", "positions first"): with_pad_sequence,
    ("pad_batch", "one row for all"): the_same_row,
    ("pad_batch", "another filler"): [
        lambda sequences, side: with_pad_sequence(sequences, side, batch_first=True, padding_value=-1),
        lambda sequences, side: with_pad_sequence(sequences, side, batch_first=True, padding_value=1),
    ],
    ("pad_batch", "not int64"): [
        lambda sequences, side: into_zeros(sequences, side).float(),
        lambda sequences, side: by_lists(sequences, side).int(),
        lambda sequences, side: pad_sequence(  # torch.tensor([]) is float32
            list(map(torch.tensor, sequences)), batch_first=True, padding_side=side
        ),
    ],
    ("word_mask", "inverted"): [lambda *case: ~ranges(*case), right_only(lambda *case: ~ranges(*case))],
    ("word_mask", "always on the right"): lambda lengths, total, side: torch.arange(total) < lengths[:, None],
    ("word_mask", "always on the left"): lambda lengths, total, side: torch.arange(total) >= total - lengths[:, None],
    ("word_mask", "sides swapped"): lambda lengths, total, side: row_by_row(
        lengths, total, {"left": "right", "right": "left"}[side]),
    ("word_mask", "as many as pads"): right_only(lambda lengths, total, side: torch.arange(total) >= lengths[:, None]),
    ("word_mask", "one too many"): [
        right_only(lambda lengths, total, side: torch.arange(total) >= total - lengths[:, None] - 1),
        lambda lengths, total, side: ranges(lengths + 1, total, side),
    ],
    ("word_mask", "one too few"): [
        right_only(lambda lengths, total, side: torch.arange(total) > total - lengths[:, None]),
        lambda lengths, total, side: ranges(lengths - 1, total, side),
    ],
    ("word_mask", "counted from 1"): lambda lengths, total, side: (
        torch.arange(1, total + 1) < lengths[:, None] if side == "right"
        else torch.arange(1, total + 1) >= total - lengths[:, None]),
    ("word_mask", "minus zero"): by_slices,
    ("word_mask", "one length for all"): lambda lengths, total, side: row_by_row(
        torch.full_like(lengths, lengths.max()), total, side),
    ("word_mask", "as wide as the longest"): lambda lengths, total, side: row_by_row(
        lengths, int(lengths.max()), side),
    ("word_mask", "counted from the longest"): right_only(
        lambda lengths, total, side: torch.arange(total) >= lengths.max() - lengths[:, None]),
    ("word_mask", "nothing is padding"): lambda lengths, total, side: torch.ones(len(lengths), total).bool(),
    ("word_mask", "positions first"): lambda lengths, total, side: (
        torch.arange(total)[:, None] < lengths if side == "right" else torch.arange(total)[:, None] >= total - lengths),
    ("batches", "lengths"): without(lambda found, lengths: [[lengths[i] for i in batch] for batch in found]),
    ("batches", "from 1"): without(lambda found, _: [[i + 1 for i in batch] for batch in found]),
    ("batches", "last batch lost"): [
        lambda lengths, size, seed: cut(shuffled(range(len(lengths)), seed)[: len(lengths) // size * size], size),
        lambda lengths, size, seed: [b for b in shuffle_sort_cut_shuffle(lengths, size, seed) if len(b) == size],
    ],
    ("batches", "no such sentence"): without(lambda found, lengths: [*found, [len(lengths)]]),
    ("batches", "twice"): [
        lambda lengths, size, seed: cut(random.Random(seed).choices(range(len(lengths)), k=len(lengths)), size),
        lambda lengths, size, seed: [
            sorted_by_length(lengths, range(len(lengths)))[i : i + size] for i in range(len(lengths) - size + 1)],
    ],
    ("batches", "missing"): [
        without(lambda found, _: found[:-1]),
        lambda lengths, size, seed: cut(shuffled(range(1, len(lengths)), seed), size),
    ],
    ("batches", "as many batches as size"): lambda lengths, size, seed: cut(
        shuffled(range(len(lengths)), seed), math.ceil(len(lengths) / size)),
    ("batches", "an empty batch"): without(lambda found, _: [*found, []]),
    ("batches", "larger batches"): lambda lengths, size, seed: shuffle_sort_cut_shuffle(lengths, size + 1, seed),
    ("batches", "smaller batches"): [
        groups_of_equal_length,
        lambda lengths, size, seed: shuffle_sort_cut_shuffle(lengths, size - 1, seed),
    ],
    ("batches", "not the same again"): lambda lengths, size, seed: shuffle_sort_cut_shuffle(
        lengths, size, random.random()),
    ("batches", "seed not used"): [
        lambda lengths, size, seed: cut(sorted_by_length(lengths, range(len(lengths))), size),
        lambda lengths, size, seed: shuffle_sort_cut_shuffle(lengths, size, 0),
        lambda lengths, size, seed: cut(list(range(len(lengths))), size),
    ],
    ("batches", "much padding"): [
        lambda lengths, size, seed: cut(shuffled(range(len(lengths)), seed), size),
        lambda lengths, size, seed: shuffled(cut(list(range(len(lengths))), size), seed),
        lambda lengths, size, seed: [
            sorted_by_length(lengths, b) for b in cut(shuffled(range(len(lengths)), seed), size)],
        lambda lengths, size, seed: cut(
            shuffled(sorted_by_length(lengths, range(len(lengths))), seed), size),
    ],
    ("batches", "same mates"): lambda lengths, size, seed: shuffled(
        cut(sorted_by_length(lengths, range(len(lengths))), size), seed),
    ("batches", "from short to long"): [
        lambda lengths, size, seed: cut(sorted_by_length(lengths, shuffled(range(len(lengths)), seed)), size),
        lambda lengths, size, seed: cut(
            sorted_by_length(lengths, shuffled(range(len(lengths)), seed))[::-1], size),
        lambda lengths, size, seed: cut(
            sorted(shuffled(range(len(lengths)), seed), key=lambda i: lengths[i] > 4), size),
    ],
    ("batches", "same order"): lambda lengths, size, seed: shuffled(
        cut(sorted_by_length(lengths, shuffled(range(len(lengths)), seed)), size), 7),
}  # fmt: skip


def from_the_end(sequences, side):
    batch = torch.zeros(len(sequences), max(map(len, sequences)), dtype=torch.long)
    for row, ids in zip(batch, sequences, strict=True):
        row[slice(-len(ids), None) if side == "left" else slice(len(ids))] = torch.tensor(ids)
    return batch


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("pad_batch", lambda sequences, side: torch.tensor(sequences), r"equally long.* = \[\[54, 22, .*\["),
        ("pad_batch", lambda sequences, side: torch.tensor([[*ids, [0]] for ids in sequences]), r"\+ joins two lists"),
        ("pad_batch", lambda sequences, side: by_lists(sequences, side).tolist(), "torch.tensor or torch.stack turns"),
        (
            "pad_batch",
            lambda sequences, side: by_lists(sequences, side)[:1],
            "one row in place of 2. Is a `return` inside",
        ),
        ("pad_batch", lambda sequences, side: by_lists(sequences, side) if side == "right" else None, "every path"),
        ("pad_batch", lambda sequences, side: torch.tensor([ids.append(0) for ids in sequences]), "and return None"),
        ("pad_batch", from_the_end, "One of the two is empty. Mind that x"),
        ("batches", lambda lengths, size, seed: [], "a sentence is in no batch"),
        (
            "batches",
            lambda lengths, size, seed: [
                random.Random(i).sample(range(len(lengths)), size) for i in range(len(lengths) // size)
            ],
            "a sentence comes twice",
        ),
        (
            "batches",
            lambda lengths, size, seed: [list(range(i, len(lengths), 7)) for i in range(7)],
            "several batches|more than `size`",
        ),
        ("word_mask", lambda *case: ranges(*case).int(), r"must be bool, got int32: .*\.bool\(\)"),
        ("word_mask", lambda *case: row_by_row(*case).tolist(), "must be a tensor, got a list"),
        ("word_mask", lambda lengths, total, side: [True] * total, "must be a tensor, got a list"),
        ("batches", lambda lengths, size, seed: list(range(len(lengths))), "list of lists.* Got one list of numbers"),
        ("batches", lambda lengths, size, seed: {0: [1]}, "list of lists.* Got something else"),
        ("batches", lambda lengths, size, seed: torch.arange(4.0)[None], "list of lists"),
        ("batches", lambda lengths, size, seed: torch.zeros(2, 2, dtype=torch.int64).to_sparse(), "list of lists"),
        ("batches", lambda lengths, size, seed: lengths.sort() or [lengths], "changes its input `lengths`"),
    ],
)
def test_other_answers_get_a_sentence_too(name, answer, words):
    verdict = getattr(check, name)(answer)
    assert verdict.state == "wrong" and re.search(words, repr(verdict)), verdict


def fills_up_in_place(sequences, side):
    longest = max(map(len, sequences))
    for ids in sequences:
        while len(ids) < longest:
            ids.insert(0 if side == "left" else len(ids), 0)
    return torch.tensor(sequences)


def test_a_list_that_is_filled_up_in_place_is_named():
    verdict = check.pad_batch(fills_up_in_place)
    assert verdict.misconception == "edits" and verdict.message.startswith("the values are right, but")


def test_a_return_inside_the_loop_is_named():
    def returns_early(sequences, side):
        batch = torch.zeros(len(sequences), max(map(len, sequences)), dtype=torch.long)
        for i, ids in enumerate(sequences):
            batch[i, len(batch[i]) - len(ids) if side == "left" else 0 :][: len(ids)] = torch.tensor(ids)
            return batch

    assert check.pad_batch(returns_early).misconception == "return in the loop"


@pytest.mark.parametrize("answer", RIGHT["batches"])
def test_batches_are_judged_by_a_wide_margin(answer, monkeypatch):
    monkeypatch.setattr(check, "LITTLE", 0.7)
    assert check.batches(answer).state == "right"
    monkeypatch.setattr(check, "LITTLE", 0.9)
    assert check.batches(WRONG["batches", "much padding"][0]).misconception == "much padding"


def test_who_changes_everyones_random_numbers_is_told():
    assert {answer for answer in RIGHT["batches"] if check.batches(answer).note} == {by_exact_lengths}


def test_the_picture_of_batches_shows_the_lengths_and_counts_the_pads(monkeypatch):
    (panel,) = check.batches(WRONG["batches", "much padding"][0]).panels
    assert "the first 10 of 24 batches" in panel.meaning and panel.values.shape == (10, 4)
    monkeypatch.setattr(check, "SHOWN", 24)
    (panel,) = check.batches(WRONG["batches", "much padding"][0]).panels
    pads = int((panel.values.amax(dim=1, keepdim=True) - panel.values)[panel.values > 0].sum())
    assert f"takes {pads} pads" in panel.meaning
