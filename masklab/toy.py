"""Toy words: each has a fixed random vector, and from it a query, a key and a value.

They stand in for a trained model's, so that lessons, labs and pictures show the same numbers.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from masklab.text import PAD_ID, vectors

DIM = 4  # the width of a vector: small enough to read every number


class Projected(NamedTuple):
    """Queries, keys and values of one sentence. Shapes: (length, DIM) each."""

    q: Tensor
    k: Tensor
    v: Tensor


def embed(ids: Tensor, *, pad: float = 1.0, seed: int = 1) -> Tensor:
    """Look up the words' vectors. Shapes: ``ids`` (length,) → (length, DIM).

    A word's vector depends on its id and the seed alone; that of [PAD] is a fixed one, times ``pad``.

    >>> x = embed(torch.tensor([2, 0]), pad=3.0)
    >>> bool(torch.equal(x, embed(torch.tensor([2, 0])) * torch.tensor([[1.0], [3.0]])))
    True
    """
    x = vectors(ids, dim=DIM, seed=seed)
    return torch.where((ids == PAD_ID)[:, None], pad * x, x)


def qkv(x: Tensor, *, seed: int = 1) -> Projected:
    """Project vectors to queries, keys and values, by three random matrices. Shape: ``x`` (length, DIM).

    >>> qkv(torch.zeros(3, DIM)).k.shape
    torch.Size([3, 4])
    """
    generator = torch.Generator().manual_seed(-1 - seed)  # apart from every word's seed
    to_q, to_k, to_v = torch.randn(3, DIM, DIM, generator=generator) / DIM**0.5
    return Projected(x @ to_q, x @ to_k, x @ to_v)


def project(ids: Tensor, *, pad: float = 1.0, seed: int = 1) -> Projected:
    """Queries, keys and values of a sentence: `embed`, then `qkv`.

    >>> q, k, v = project(torch.tensor([1, 2, 0]), pad=1.0, seed=1)
    >>> q.shape
    torch.Size([3, 4])
    """
    return qkv(embed(ids, pad=pad, seed=seed), seed=seed)
