"""Masks drawn by chance, before the softmax: pairs, keys, heads or blocks are dropped."""

import math

import torch
from torch import Tensor

from masklab.masks.rule import Rule
from masklab.masks.tables import at_least


def dropout(rate: float, *, batch: int, heads: int, queries: int, keys: int, seed: int) -> Rule:
    """Each pair of query and key is dropped by chance, before the softmax.

    So the other weights of a row still sum to 1; `nn.Dropout` on the weights is another thing.
    Drawn once: one ``seed``, one rule. A row may become empty: ``(dropout(…) | diagonal()) & …`` never
    drops a query's own key. ``rate`` is the chance to be dropped, 0 to 1; ValueError for another.
    Source: DropKey, Li et al. 2022, arXiv 2208.02646.

    >>> from masklab.masks import itself
    >>> (dropout(0.5, batch=1, heads=1, queries=3, keys=4, seed=0) | diagonal()).tensor(queries=3, keys=4)[0, 0].int()
    tensor([[1, 1, 0, 0],
            [0, 1, 0, 1],
            [0, 1, 1, 0]], dtype=torch.int32)
    """
    kept = _kept(rate, (batch, heads, queries, keys), seed)
    return Rule(lambda b, h, q, k: kept[b, h, q, k], "the pair is not dropped", batch=batch, heads=heads)


def key_dropout(rate: float, *, batch: int, keys: int, seed: int) -> Rule:
    """Whole keys are dropped by chance: no query of any head sees them.

    ``rate``, ``seed`` and empty rows: as for `dropout`.

    >>> key_dropout(0.5, batch=1, keys=4, seed=0).tensor(queries=2, keys=4)[0, 0].int()
    tensor([[0, 1, 0, 0],
            [0, 1, 0, 0]], dtype=torch.int32)
    """
    kept = _kept(rate, (batch, keys), seed)
    return Rule(lambda b, h, q, k: kept[b, k], "the key is not dropped", batch=batch)


def head_dropout(rate: float, *, batch: int, heads: int, seed: int) -> Rule:
    """Whole heads are dropped by chance: all their rows are empty.

    ``rate``, ``seed`` and empty rows: as for `dropout`. Source: DropHead, Zhou et al. 2020, arXiv 2004.13342.

    >>> head_dropout(0.5, batch=1, heads=4, seed=0).tensor(queries=1, keys=2)[0, :, 0].int()
    tensor([[0, 0],
            [1, 1],
            [0, 0],
            [0, 0]], dtype=torch.int32)
    """
    kept = _kept(rate, (batch, heads), seed)
    return Rule(lambda b, h, q, k: kept[b, h], "the head is not dropped", batch=batch, heads=heads)


def block_dropout(rate: float, *, batch: int, heads: int, queries: int, keys: int, size: int, seed: int) -> Rule:
    """Square blocks of ``size`` queries and ``size`` keys are dropped by chance, each as a whole.

    ``rate``, ``seed`` and empty rows: as for `dropout`. Raises ValueError for a size below 1.

    >>> block_dropout(0.5, batch=1, heads=1, queries=4, keys=4, size=2, seed=0).tensor(queries=4, keys=4)[0, 0].int()
    tensor([[0, 0, 1, 1],
            [0, 0, 1, 1],
            [0, 0, 0, 0],
            [0, 0, 0, 0]], dtype=torch.int32)
    """
    at_least(1, size=size)
    kept = _kept(rate, (batch, heads, math.ceil(queries / size), math.ceil(keys / size)), seed)
    meaning = "the block of the pair is not dropped"
    return Rule(lambda b, h, q, k: kept[b, h, q // size, k // size], meaning, batch=batch, heads=heads)


def _kept(rate: float, shape: tuple[int, ...], seed: int) -> Tensor:
    """A table of what dropout keeps, True with a chance of 1 − rate.

    float32 always: torch draws other numbers for another default dtype, and a seed shall give one rule.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"rate is the chance to be dropped, from 0 to 1, and is {rate}.")
    return torch.rand(shape, dtype=torch.float32, generator=torch.Generator().manual_seed(seed)) >= rate
