"""Attention masks: a predicate on indices, and the bool tensor that it gives.

True = may attend. Axes are always (batch, head, query, key).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from masklab.text import word_positions

Predicate = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Mask:
    """A rule that says which query may attend to which key.

    ``allows(b, h, q, k)`` takes index tensors that broadcast, and gives a bool
    tensor, True = may attend. The same signature as FlexAttention's ``mask_mod``.
    ``meaning`` says the rule in words; ``batch`` is how many sentences it knows, None for any
    number. Rules compose with ``&``, ``|`` and ``~``; ValueError if they know different batches.

    >>> both = causal() & padding(torch.tensor([2]), total=4)
    >>> both.tensor(batch=1, queries=4, keys=4).int()[0, 0]
    tensor([[1, 0, 0, 0],
            [1, 1, 0, 0],
            [1, 1, 0, 0],
            [1, 1, 0, 0]], dtype=torch.int32)
    >>> both.meaning
    'the key is not after the query and the key is a word'
    """

    allows: Predicate
    meaning: str
    batch: int | None = None

    def tensor(self, *, batch: int | None = None, heads: int = 1, queries: int, keys: int) -> Tensor:
        """The rule for every pair of positions.

        Shape: (batch, heads, queries, keys) bool, True = may attend; ``batch`` is by default
        what the rule knows, or 1. Raises ValueError for another batch than the rule knows.

        >>> causal().tensor(queries=2, keys=2)
        tensor([[[[ True, False],
                  [ True,  True]]]])
        """
        batch = _one_batch(self.batch, batch) or 1
        b = torch.arange(batch)[:, None, None, None]
        h = torch.arange(heads)[None, :, None, None]
        q = torch.arange(queries)[None, None, :, None]
        k = torch.arange(keys)[None, None, None, :]
        return self.allows(b, h, q, k).expand(batch, heads, queries, keys)

    def __and__(self, other: "Mask") -> "Mask":
        """Allowed by both rules."""
        meaning = f"{self.meaning} and {other.meaning}"
        batch = _one_batch(self.batch, other.batch)
        return Mask(lambda b, h, q, k: self.allows(b, h, q, k) & other.allows(b, h, q, k), meaning, batch)

    def __or__(self, other: "Mask") -> "Mask":
        """Allowed by either rule."""
        meaning = f"({self.meaning} or {other.meaning})"
        batch = _one_batch(self.batch, other.batch)
        return Mask(lambda b, h, q, k: self.allows(b, h, q, k) | other.allows(b, h, q, k), meaning, batch)

    def __invert__(self) -> "Mask":
        """Allowed where the rule blocks, and the other way round."""
        return Mask(lambda b, h, q, k: ~self.allows(b, h, q, k), f"not ({self.meaning})", self.batch)


def _one_batch(first: int | None, second: int | None) -> int | None:
    """The one number of sentences that two parts agree on; None agrees with any."""
    if None not in (first, second) and first != second:
        raise ValueError(f"a rule for {first} sentences does not fit a batch of {second}.")
    return second if first is None else first


def everything() -> Mask:
    """Every query may attend to every key: no mask at all.

    >>> bool(everything().tensor(queries=3, keys=5).all())
    True
    """
    return Mask(lambda b, h, q, k: torch.ones((), dtype=torch.bool), "every key is allowed")


def padding(lengths: Tensor, *, total: int, side: str = "right") -> Mask:
    """Only words may be attended to: padding *keys*, the columns, are blocked.

    Shapes: ``lengths`` (batch,) integers, ``total`` the padded length.
    Raises ValueError for an unknown side, or for a length over ``total``.

    >>> padding(torch.tensor([2]), total=3).tensor(queries=3, keys=3)[0, 0].int()
    tensor([[1, 1, 0],
            [1, 1, 0],
            [1, 1, 0]], dtype=torch.int32)
    """
    word = word_positions(lengths, total=total, side=side)
    return Mask(lambda b, h, q, k: word[b, k], "the key is a word", batch=len(lengths))


def padding_queries(lengths: Tensor, *, total: int, side: str = "right") -> Mask:
    """Only words may ask: padding *queries*, the rows, are blocked.

    Rarely what you want: a blocked row has no key left, and its softmax is undefined.
    Shapes and errors: as for `padding`.

    >>> padding_queries(torch.tensor([2]), total=3).tensor(queries=3, keys=3)[0, 0].int()
    tensor([[1, 1, 1],
            [1, 1, 1],
            [0, 0, 0]], dtype=torch.int32)
    """
    word = word_positions(lengths, total=total, side=side)
    return Mask(lambda b, h, q, k: word[b, q], "the query is a word", batch=len(lengths))


def causal(*, offset: int = 0) -> Mask:
    """A query sees itself and what came before, never what comes after.

    ``offset`` is the position of query 0 among the keys: with 6 keys, 5 of them
    cached, and one new query, ``offset=5``. Source: Vaswani et al. 2017, arXiv 1706.03762, §3.2.3.

    >>> causal().tensor(queries=3, keys=3)[0, 0].int()
    tensor([[1, 0, 0],
            [1, 1, 0],
            [1, 1, 1]], dtype=torch.int32)
    >>> causal(offset=5).tensor(queries=1, keys=6)[0, 0].int()
    tensor([[1, 1, 1, 1, 1, 1]], dtype=torch.int32)
    """
    return Mask(lambda b, h, q, k: k <= q + offset, "the key is not after the query")
