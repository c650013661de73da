"""Scaled dot-product attention with every stage kept, so that each can be looked at."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from masklab import validate


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

    Shapes: ``q`` (B, H, L, D); ``k``, ``v`` (B, H, S, D); ``mask`` bool, True = may attend,
    (B, H, L, S), each of which may be 1. ``on_empty`` says what the weights of a fully masked row
    are, where softmax is 0/0: ``"zeros"`` (as `F.scaled_dot_product_attention` gives with a bool
    mask) or ``"nan"`` (as the formula gives).
    Raises TypeError for a mask that is not bool, ValueError for one without all four axes and for
    shapes that don't fit. Source: Vaswani et al. 2017, arXiv 1706.03762, eq. 1.

    >>> q = k = torch.zeros(1, 1, 2, 4)
    >>> v = torch.tensor([[1.0, 0, 0, 0], [0, 1.0, 0, 0]])[None, None]
    >>> attend(q, k, v, torch.tensor([[[[True, False], [True, True]]]])).weights[0, 0]
    tensor([[1.0000, 0.0000],
            [0.5000, 0.5000]])
    """
    validate.one_of(("zeros", "nan"), on_empty=on_empty)
    _check_shapes(q, k, v)
    scores = (q / math.sqrt(q.shape[-1])) @ k.mT  # (B, H, L, S); scaled first, or half precision overflows
    if mask is None:
        allowed = torch.ones_like(scores, dtype=torch.bool)
    else:
        allowed = validate.four_axes(mask, shape=scores.shape).expand(scores.shape)
    bias = torch.zeros_like(scores).masked_fill(~allowed, -math.inf)
    masked = scores.masked_fill(~allowed, -math.inf)
    weights = softmax_rows(scores, allowed) if on_empty == "zeros" else masked.softmax(dim=-1)
    return Attention(scores=scores, bias=bias, masked=masked, weights=weights, output=weights @ v)


def softmax_rows(scores: Tensor, allowed: Tensor) -> Tensor:
    """Softmax over the allowed keys of each row; zeros in a fully masked row.

    Such a row is computed *without* its mask and then zeroed: so there is no 0/0 on the way,
    and gradients stay finite. Shapes: ``scores`` (..., S); ``allowed`` bool, broadcasts to it.

    >>> softmax_rows(torch.zeros(2, 2), torch.tensor([[True, False], [False, False]]))
    tensor([[1., 0.],
            [0., 0.]])
    """
    empty = ~allowed.any(dim=-1, keepdim=True)
    return scores.masked_fill(~allowed, -math.inf).masked_fill(empty, 0.0).softmax(dim=-1).masked_fill(empty, 0.0)


def _check_shapes(q: Tensor, k: Tensor, v: Tensor) -> None:
    """Refuse q, k and v that don't belong together: torch would broadcast one sentence over many."""
    for name, values in {"q": q, "k": k, "v": v}.items():
        validate.floats(name, values, axes=("batch", "head", "position", "feature"))
    if not (q.shape[:2] == k.shape[:2] and q.shape[3] == k.shape[3] and k.shape[:3] == v.shape[:3]):
        raise ValueError(
            "q must be (batch, head, query, feature), k and v (batch, head, key, feature), "
            f"got {tuple(q.shape)}, {tuple(k.shape)} and {tuple(v.shape)}."
        )
