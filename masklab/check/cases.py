"""Random inputs for the checks: always the same ones, drawn from private generators."""

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


def padded_batches(count: int) -> list[Tensor]:
    """Which positions are words, with the padding on the left and on the right by turns.

    Shapes: (batch, length) bool each, True = a word.

    >>> padded_batches(1)[0].int()
    tensor([[1, 1, 1, 1, 1, 1],
            [0, 0, 0, 0, 0, 1]], dtype=torch.int32)
    """
    sides = ("left", "right")
    return [word_positions(n, total, side=sides[i % 2]) for i, (n, total) in enumerate(lengths_and_total(count))]


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
