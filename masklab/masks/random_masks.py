"""Masks drawn at random, before the softmax: pairs, keys, heads or blocks are dropped.

Each is drawn once, from its ``seed`` alone: one seed, one rule, on every ``device``. ``rate`` is the probability of
being dropped, 0 to 1. A row may be fully masked: ``(dropout(…) | diagonal()) & …`` never drops a query's own key.
"""

import torch
from torch import Tensor

from masklab import validate
from masklab.masks.rule import Rule

Device = torch.device | str | None


def dropout(
    rate: float, *, batch: int, heads: int, queries: int, keys: int, seed: int, device: Device = None
) -> Rule:  # fmt: skip
    """Each pair of query and key is dropped at random, before the softmax.

    So the other weights of a row still sum to 1; with `nn.Dropout` on the weights they do not.
    Raises ValueError for a rate outside 0 to 1, or a size that is negative or no integer.
    Source: DropKey, Li et al. 2022, arXiv 2208.02646.

    >>> from masklab.masks import diagonal
    >>> (dropout(0.5, batch=1, heads=1, queries=3, keys=4, seed=0) | diagonal()).tensor(queries=3, keys=4)[0, 0].int()
    tensor([[1, 1, 0, 0],
            [0, 1, 0, 1],
            [0, 1, 1, 0]], dtype=torch.int32)
    """
    kept = _kept(rate, seed, device, batch=batch, heads=heads, queries=queries, keys=keys)
    return Rule(
        lambda b, h, q, k: kept[b, h, q, k], "the pair is not dropped", batch=batch, heads=heads, device=kept.device
    )


def key_dropout(rate: float, *, batch: int, keys: int, seed: int, device: Device = None) -> Rule:
    """Whole keys are dropped at random: no query of any head sees them.

    Errors: as for `dropout`.

    >>> key_dropout(0.5, batch=1, keys=4, seed=0).tensor(queries=2, keys=4)[0, 0].int()
    tensor([[0, 1, 0, 0],
            [0, 1, 0, 0]], dtype=torch.int32)
    """
    kept = _kept(rate, seed, device, batch=batch, keys=keys)
    return Rule(lambda b, h, q, k: kept[b, k], "the key is not dropped", batch=batch, device=kept.device)


def head_dropout(rate: float, *, batch: int, heads: int, seed: int, device: Device = None) -> Rule:
    """Whole heads are dropped at random: all their rows are fully masked.

    Errors: as for `dropout`. Source: DropHead, Zhou et al. 2020, arXiv 2004.13342.

    >>> head_dropout(0.5, batch=1, heads=4, seed=0).tensor(queries=1, keys=2)[0, :, 0].int()
    tensor([[0, 0],
            [1, 1],
            [0, 0],
            [0, 0]], dtype=torch.int32)
    """
    kept = _kept(rate, seed, device, batch=batch, heads=heads)
    return Rule(lambda b, h, q, k: kept[b, h], "the head is not dropped", batch=batch, heads=heads, device=kept.device)


def block_dropout(
    rate: float, *, batch: int, heads: int, queries: int, keys: int, size: int, seed: int, device: Device = None
) -> Rule:
    """Square blocks of ``size`` queries and ``size`` keys are dropped at random, each as a whole.

    Errors: as for `dropout`; also ValueError for a size below 1.

    >>> block_dropout(0.5, batch=1, heads=1, queries=4, keys=4, size=2, seed=0).tensor(queries=4, keys=4)[0, 0].int()
    tensor([[0, 0, 1, 1],
            [0, 0, 1, 1],
            [0, 0, 0, 0],
            [0, 0, 0, 0]], dtype=torch.int32)
    """
    validate.at_least(1, size=size)
    validate.at_least(0, queries=queries, keys=keys)
    rows, columns = -(-queries // size), -(-keys // size)  # rounded up
    kept = _kept(rate, seed, device, batch=batch, heads=heads, rows=rows, columns=columns)
    meaning = "the block of the pair is not dropped"
    return Rule(
        lambda b, h, q, k: kept[b, h, q // size, k // size], meaning, batch=batch, heads=heads, device=kept.device
    )


def _kept(rate: float, seed: int, device: Device, **sizes: int) -> Tensor:
    """A table of what dropout keeps, True with the probability 1 − rate.

    Always in float32 and on the CPU: elsewhere torch draws other numbers, and a seed must give one rule.
    """
    validate.share(rate=rate)
    validate.at_least(0, **sizes)
    validate.at_least(None, seed=seed)
    g = torch.Generator().manual_seed(int(seed))  # of numpy's integers torch takes none
    draws = torch.rand(tuple(sizes.values()), dtype=torch.float32, generator=g, device="cpu")
    return (draws >= rate).to(device)
