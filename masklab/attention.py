"""Scaled dot-product attention with every stage kept, so that each can be looked at."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Attention:
    """All that attention computes on its way, in order.

    Shapes, for B sentences, H heads, L queries, S keys and width D:
    ``scores``, ``bias``, ``masked``, ``weights`` (B, H, L, S); ``output`` (B, H, L, D).
    """

    scores: Tensor  # q·k/√d
    bias: Tensor  # 0 where the query may attend, −∞ where it may not
    masked: Tensor  # scores + bias, and −∞ in a blocked cell even if its score is NaN
    weights: Tensor  # softmax of each row of `masked`
    output: Tensor  # weights · v


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, *, on_empty: str = "zeros") -> Attention:
    """Scaled dot-product attention: softmax(q·kᵀ/√d + bias)·v.

    Shapes: ``q`` (B, H, L, D); ``k``, ``v`` (B, H, S, D); ``mask`` bool, True = may
    attend, either (L, S) or with all four axes (B, H, L, S), each of which may be 1.
    ``on_empty`` says what the weights are in a row with no allowed key, where softmax is
    0/0: ``"zeros"`` (as `F.scaled_dot_product_attention` with a bool mask gives) or
    ``"nan"`` (what the formula gives).
    Raises TypeError for a mask that is not bool, ValueError for shapes that don't fit.
    Source: Vaswani et al. 2017, arXiv 1706.03762, eq. 1.

    >>> q = k = torch.zeros(1, 1, 2, 4)
    >>> v = torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 0]])[None, None]
    >>> attend(q, k, v, torch.tensor([[True, False], [True, True]])).weights[0, 0]
    tensor([[1.0000, 0.0000],
            [0.5000, 0.5000]])
    """
    if on_empty not in ("zeros", "nan"):
        raise ValueError(f"on_empty must be 'zeros' or 'nan', got {on_empty!r}.")
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # (B, H, L, S)
    allowed = torch.ones_like(scores, dtype=torch.bool) if mask is None else checked_mask(mask, scores.shape)
    bias = torch.zeros_like(scores).masked_fill(~allowed, -math.inf)
    masked = scores.masked_fill(~allowed, -math.inf)
    weights = softmax_rows(masked, allowed) if on_empty == "zeros" else masked.softmax(dim=-1)
    return Attention(scores=scores, bias=bias, masked=masked, weights=weights, output=weights @ v)


def softmax_rows(scores: Tensor, allowed: Tensor) -> Tensor:
    """Softmax over the allowed keys of each row; zeros where a row has none.

    A row with no key is computed *without* its mask and then zeroed: so there is
    no 0/0 on the way, and gradients stay finite.
    Shapes: ``scores`` (..., S); ``allowed`` bool, broadcasts to it.

    >>> softmax_rows(torch.zeros(2, 2), torch.tensor([[True, False], [False, False]]))
    tensor([[1., 0.],
            [0., 0.]])
    """
    empty = ~allowed.any(dim=-1, keepdim=True)
    return scores.masked_fill(~allowed, -math.inf).masked_fill(empty, 0.0).softmax(dim=-1).masked_fill(empty, 0.0)


def checked_mask(mask: Tensor, shape: torch.Size) -> Tensor:
    """Return the mask with every axis of ``shape``, or say what is wrong with it.

    ``shape`` is that of the scores, (batch, head, query, key). Raises TypeError for a mask that is
    not bool, ValueError for axes that don't fit; torch would add the one, and broadcast the other.

    >>> checked_mask(torch.tensor([[True, False]]), torch.Size([1, 2, 1, 2])).shape
    torch.Size([1, 2, 1, 2])
    """
    if mask.dtype != torch.bool:
        raise TypeError(
            f"the mask must be bool, True = may attend, and is {mask.dtype} of shape {tuple(mask.shape)}. "
            "For 1 = keep use mask.bool(); for 0 and −∞ use masklab.dialects.from_bias(mask)."
        )
    fits = mask.ndim in (2, len(shape)) and all(
        have in (1, want) for have, want in zip(mask.shape[::-1], shape[::-1], strict=False)
    )
    if not fits:
        raise ValueError(
            f"the mask must be (query, key) = {tuple(shape[-2:])} or (batch, head, query, key) = {tuple(shape)}, "
            f"and is {tuple(mask.shape)}. A padding mask (batch, key) becomes mask[:, None, None, :]."
        )
    return mask.expand(shape)
