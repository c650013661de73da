"""A trained language model reads one text under a mask: all at once, up to a word, or with a cache."""

import torch
from torch import Tensor

from masklab.attention import Attention
from masklab.models import GPT, trace_attention


@torch.no_grad()
def read(model: GPT, ids: Tensor, allowed: Tensor, *, first: int = 0) -> tuple[Tensor, Attention]:
    """The logits after each token from ``first`` on, and the last block's attention; the tokens before are cached.

    Shapes: ``ids`` (1, L); ``allowed`` (1, 1, L, L) bool, True = may attend → logits (L − first, V), attention with
    as many queries and L keys.

    >>> model, ids, all_keys = GPT(10, heads=1), torch.tensor([[3, 6, 7]]), torch.ones(1, 1, 3, 3, dtype=torch.bool)
    >>> logits, attention = read(model, ids, all_keys, first=2)
    >>> logits.shape, attention.weights.shape
    (torch.Size([1, 10]), torch.Size([1, 1, 1, 3]))
    """
    _, cache = model(ids[:, :first], allowed[..., :first, :first], cache=()) if first else (None, ())
    (logits, _), stages = trace_attention(model, ids[:, first:], allowed[..., first:, :], cache=cache)
    return logits[0], list(stages.values())[-1]


@torch.no_grad()
def logits_one_by_one(model: GPT, ids: Tensor, allowed: Tensor) -> Tensor:
    """The logits after each token, each from a text that ends there: what generation sees.

    Row n of a batch is the text with every key after its token n blocked, which is as if it had ended there.
    Shapes: ``ids`` (1, L); ``allowed`` (1, 1, L, L) bool → (L, V).

    >>> model, ids, all_keys = GPT(10), torch.tensor([[3, 6, 7]]), torch.ones(1, 1, 3, 3, dtype=torch.bool)
    >>> torch.allclose(logits_one_by_one(model, ids, all_keys)[0], model(ids[:, :1])[0, 0], atol=1e-5)
    True
    """
    L = ids.shape[1]
    is_there = torch.ones(L, L, dtype=torch.bool).tril()[:, None, None, :]  # (L, 1, 1, L): text n has the keys up to n
    logits = model(ids.expand(L, L), allowed & is_there)  # (L, L, V)
    return logits.diagonal().T  # text n's logits after its token n: (L, V)
