"""Random inputs for the checks: always the same ones, drawn from private generators."""

import math

import torch
from torch import Tensor

from masklab.check.oracles import word_positions

SEED = 5


def generator(seed: int = SEED) -> torch.Generator:
    """A generator of its own: the global random numbers stay as they are.

    >>> torch.equal(torch.rand(2, generator=generator()), torch.rand(2, generator=generator()))
    True
    """
    return torch.Generator().manual_seed(seed)


def lengths_and_total(count: int) -> list[tuple[Tensor, int]]:
    """Batches of 2 to 4 different lengths from 1 to 6, padded to 6 or 7 by turns.

    >>> lengths_and_total(2)
    [(tensor([6, 1]), 6), (tensor([5, 4, 2]), 7)]
    """
    g = generator()
    return [(torch.randperm(6, generator=g)[: 2 + i % 3] + 1, 6 + i % 2) for i in range(count)]


def ragged(count: int) -> list[tuple[list[list[int]], str]]:
    """Sentences of different lengths as lists of ids, and the side of the padding; each third time one is empty.

    >>> ragged(1)
    [([[54, 22, 89, 4, 9, 53], [56]], 'left')]
    """
    g, found = generator(), []
    for i, (lengths, _) in enumerate(lengths_and_total(count)):
        sentences = [torch.randint(1, 100, (length,), generator=g).tolist() for length in lengths.tolist()]
        if i % 3 == 1:
            sentences[i // 3 % len(sentences)] = []
        found.append((sentences, ("left", "right")[i % 2]))
    return found


def padded_batches(count: int) -> list[Tensor]:
    """Which positions are words, with the padding on the left and on the right by turns.

    Shapes: (batch, length) bool each, True = a word.

    >>> padded_batches(1)[0].int()
    tensor([[1, 1, 1, 1, 1, 1],
            [0, 0, 0, 0, 0, 1]], dtype=torch.int32)
    """
    sides = ("left", "right")
    return [word_positions(n, total, side=sides[i % 2]) for i, (n, total) in enumerate(lengths_and_total(count))]


def losses_and_masks(count: int, *, empty_rows: bool = False) -> list[tuple[Tensor, Tensor]]:
    """Losses of padded batches, and which count: the words, and each third time only some of them.

    Now and then the loss of a word is exactly 0. With ``empty_rows`` each second batch has a sentence of which
    nothing counts. Something counts in each batch.

    Shapes: (batch, length) floats and bool, True = counts.

    >>> losses_and_masks(1)[0][1].int()
    tensor([[1, 1, 1, 1, 1, 1],
            [0, 0, 0, 0, 0, 1]], dtype=torch.int32)
    """
    g, found = generator(), []
    for i, mask in enumerate(padded_batches(count)):
        losses = 3 * torch.rand(mask.shape, generator=g)
        losses[torch.rand(mask.shape, generator=g) < 0.15] = 0
        if i % 3 == 2:
            mask = mask & (torch.rand(mask.shape, generator=g) < 0.7)
        if empty_rows and i % 2:
            mask = mask & (torch.arange(len(mask)) != i // 2 % len(mask))[:, None]
        found.append((losses, mask))
    return found


def micro_batches(count: int) -> list[list[tuple[Tensor, Tensor]]]:
    """Batches in 2 to 4 parts, each with its own losses, mask and width; in each second batch nothing counts in one.

    Shapes: (sentences, length) floats and bool for each part, True = counts.

    >>> [len(parts) for parts in micro_batches(3)]
    [2, 3, 4]
    """
    every, found = losses_and_masks(4 * count), []
    for i in range(count):
        parts = every[4 * i : 4 * i + 2 + i % 3]
        if i % 2:
            losses, mask = parts[i // 2 % len(parts)]
            parts[i // 2 % len(parts)] = (losses, torch.zeros_like(mask))
        found.append(parts)
    return found


def labels_and_masks(count: int) -> list[tuple[Tensor, Tensor]]:
    """Labels from 0 to 4, and which count. One that counts is 0 for certain; those that don't are 0, or any, by turns.

    Shapes: (batch, length) int64 and bool, True = counts.

    >>> labels_and_masks(1)[0][0]
    tensor([[0, 4, 2, 0, 1, 0],
            [0, 0, 0, 0, 0, 0]])
    """
    g, found = generator(), []
    for i, (_, mask) in enumerate(losses_and_masks(count)):
        labels = torch.randint(5, mask.shape, generator=g)
        labels[tuple(mask.nonzero()[0])] = 0
        found.append((labels.masked_fill(~mask, 0) if i % 2 == 0 else labels, mask))
    return found


def losses_with_odd_ones(count: int) -> list[tuple[Tensor, Tensor]]:
    """As `losses_and_masks`, with NaN, ∞ or −∞ where nothing counts, by turns; each fourth time nothing counts at all.

    Shapes: (batch, length) floats and bool, True = counts.

    >>> losses_with_odd_ones(2)[1][0].isnan().sum() > 0
    tensor(True)
    """
    found = []
    for i, (losses, mask) in enumerate(losses_and_masks(count)):
        if i % 4 == 3:
            mask = torch.zeros_like(mask)
        odd = (None, math.nan, math.inf, -math.inf, math.nan)[i % 5]
        where = ~mask & (torch.arange(mask.shape[1]) % 3 != i % 3)  # other losses that don't count stay finite
        found.append((losses if odd is None else losses.masked_fill(where, odd), mask))
    return found


def scores_and_masks(count: int, *, empty_rows: bool = False) -> list[tuple[Tensor, Tensor]]:
    """Random scores and masks of 4 to 6 queries and keys; each row has a key.

    With ``empty_rows`` one row, two rows or no row loses its keys, by turns.

    Shapes: (query, key) floats and (query, key) bool, True = may attend.

    >>> [(scores, mask)] = scores_and_masks(1, empty_rows=True)
    >>> scores.shape, mask.any(dim=-1)
    (torch.Size([4, 4]), tensor([False,  True,  True,  True]))
    """
    g, found = generator(), []
    for i in range(count):
        length = 4 + i % 3
        mask = torch.rand(length, length, generator=g) < 0.6
        mask[torch.arange(length), torch.randint(length, (length,), generator=g)] = True
        mask[0, (int(mask[0].int().argmax()) + 1) % length] = False  # something is blocked for certain
        if empty_rows:
            mask[[i % length, (i + 2) % length][: (1, 2, 0, 1)[i % 4]]] = False
        found.append((torch.randn(length, length, generator=g), mask))
    return found


def prefix_masks(count: int) -> list[Tensor]:
    """Masks of 4 to 6 queries and 5 to 8 keys whose rows are prefixes, prefixes with one more key, and neither.

    Shapes: (query, key) bool each, True = may attend.

    >>> prefix_masks(1)[0].int()
    tensor([[1, 1, 1, 1, 1],
            [0, 0, 0, 0, 0],
            [1, 0, 1, 0, 0],
            [1, 1, 1, 0, 0]], dtype=torch.int32)
    """
    g, found = generator(), []
    for i in range(count):
        queries, keys = 4 + i % 3, 5 + i % 4
        n = torch.randint(keys + 1, (queries, 1), generator=g)  # 0: a fully masked row; keys: an open one
        mask = torch.arange(keys) < n
        mask[2] = mask[2] | (torch.arange(keys) == n[2] + 1)
        mask[3] = mask[3] ^ (torch.rand(keys, generator=g) < 0.3 * (i % 2))
        found.append(mask)
    return found


def padded_ids(count: int) -> list[tuple[Tensor, Tensor]]:
    """Batches of ids with real zeros among the words; the pads are 0, or another word's id.

    Shapes: (batch, length) int64 and bool, True = a word.

    >>> padded_ids(1)[0][0]
    tensor([[ 0, 22, 89,  4,  9, 53],
            [ 0,  0,  0,  0,  0, 76]])
    """
    g, found = generator(), []
    for i, is_word in enumerate(padded_batches(count)):
        ids = torch.randint(1, 100, is_word.shape, generator=g)
        ids[torch.rand(is_word.shape, generator=g) < 0.2] = 0
        pad = int(ids[is_word][-1]) if i % 3 == 2 else 0  # many models have one id for the end and for padding
        found.append((ids.masked_fill(~is_word, pad), is_word))
    return found


def sources_and_targets(count: int) -> list[tuple[Tensor, Tensor]]:
    """Which positions are words in a batch of sources and in their targets, which are of another length.

    The padding is on the left or on the right, in all four combinations by turns.

    Shapes: (batch, source length) bool and (batch, target length) bool, True = a word.

    >>> [(source, target)] = sources_and_targets(1)
    >>> source.shape, target.shape
    (torch.Size([2, 6]), torch.Size([2, 7]))
    """
    sources = lengths_and_total(count)
    targets = lengths_and_total(count + 3)[3:]  # three further on a batch is as large, and its total another
    sides = ("left", "right")
    return [
        (word_positions(*source, side=sides[i % 2]), word_positions(*target, side=sides[i // 2 % 2]))
        for i, (source, target) in enumerate(zip(sources, targets, strict=True))
    ]


def masks_and_heads(count: int) -> list[tuple[Tensor, int]]:
    """Random masks of 1 to 3 sentences and a number of heads; each second time every head has a mask of its own.

    Shapes: (batch, 1 or heads, length, length) bool, True = may attend.

    >>> [(mask.shape, heads) for mask, heads in masks_and_heads(2)]
    [(torch.Size([2, 1, 4, 4]), 2), (torch.Size([3, 3, 5, 5]), 3)]
    """
    g, found = generator(), []
    for i in range(count):
        batch, heads, length = (2, 3, 1)[i % 3], (2, 3)[i % 2], 4 + i % 2
        found.append((torch.rand(batch, (1, heads)[i % 2], length, length, generator=g) < 0.6, heads))
    return found


def masks_with_empty_rows(count: int) -> list[Tensor]:
    """Random masks of 2 or 3 sentences in which about a third of the rows are fully masked.

    Shape: (batch, 1, length, length) bool, True = may attend.

    >>> (~masks_with_empty_rows(1)[0].any(dim=-1)).int()
    tensor([[[1, 0, 1, 1]],
    <BLANKLINE>
            [[1, 0, 0, 1]]], dtype=torch.int32)
    """
    g, found = generator(), []
    for i in range(count):
        batch, length = 2 + i % 2, 4 + i % 3
        has_keys = torch.rand(batch, 1, length, 1, generator=g) < 0.7
        found.append(has_keys & (torch.rand(batch, 1, length, length, generator=g) < 0.5))
    return found


def states_and_words(count: int, *, pads: float = 8.0) -> list[tuple[Tensor, Tensor]]:
    """Random states of padded batches, 4 features each; those of the padding are ``pads`` times as large, or NaN.

    Shapes: (batch, length, 4) floats and (batch, length) bool, True = a word.

    >>> [(states, is_word)] = states_and_words(1, pads=float("nan"))
    >>> torch.equal(states.isfinite().all(dim=-1), is_word)
    True
    """
    g, found = generator(), []
    for is_word in padded_batches(count):
        states = torch.randn(*is_word.shape, 4, generator=g)
        found.append((torch.where(is_word[:, :, None], states, pads * states), is_word))
    return found
