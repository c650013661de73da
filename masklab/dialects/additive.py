"""The additive form: a mask that is added to the scores."""

import math

import torch
from torch import Tensor

from masklab import validate

BLOCKS = -1e4  # a number this low, or lower, is meant as −∞
UNDERFLOW = -104.0  # exp of less is 0 in float32, in which softmax is computed


def to_bias(mask: Tensor, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """The additive form: 0 where a query may attend, −∞ where it may not.

    For adding to scores by hand, and for `F.scaled_dot_product_attention(attn_mask=…)`. That needs all
    four axes, see `to_sdpa`; `with_four_axes` adds them.
    Shape: as ``mask``. Raises TypeError for a mask that is not bool, or a ``dtype`` that is not floating-point.

    >>> to_bias(torch.tensor([[True, False]]))
    tensor([[0., -inf]])
    """
    blocked = ~validate.bool_mask("mask", mask)
    return torch.zeros_like(blocked, dtype=validate.float_dtype(dtype)).masked_fill(blocked, -math.inf)


def from_bias(bias: Tensor) -> Tensor:
    """The mask that an additive bias of zeros and −∞ stands for.

    Shape: as ``bias``. Raises TypeError for a bias that is not floating-point, ValueError for any other
    value: neither 1 nor a large finite number is certain to block anything.

    >>> from_bias(torch.tensor([[0.0, -math.inf]]))
    tensor([[ True, False]])
    """
    validate.floats("bias", bias, fix="A bool mask is no bias and needs no change; for integers use keep_mask.")
    allowed = bias == 0
    strange = bias[~(allowed | (bias == -math.inf))]
    if strange.numel():
        value = strange[0].item()
        raise ValueError(
            f"bias must hold 0 (may attend) and −∞ (may not) only, got {value:.4g} in shape {tuple(bias.shape)}. "
            f"{_why_not(value)}"
        )
    return allowed


def _why_not(value: float) -> str:
    """What happens when a number other than 0 and −∞ is added to a score."""
    if not -math.inf < value < 0:
        return "If 1 means keep, use mask == 1. Nothing but −∞ blocks for certain."
    if value > UNDERFLOW:
        return (
            f"As −∞ it leaks: the key keeps {math.exp(value):.1e} times the weight of an allowed one with the same "
            "score, and a fully masked row attends to every key. Use −∞."
        )
    return (
        "As −∞ it blocks a key beside an allowed one with a similar score, but a fully masked row attends to every "
        "key. Use −∞, or read the finfo.min of Transformers with from_transformers_4d."
    )
