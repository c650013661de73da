"""The additive form: a mask that is added to the scores."""

import math

import torch
from torch import Tensor

from masklab.dialects.demands import bool_mask, floating
from masklab.masks.rule import tensor_only

UNDERFLOW = -104.0  # exp of less is 0 in float32, in which softmax is computed


def to_bias(mask: Tensor, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """The additive form: 0 where a query may attend, −∞ where it may not.

    For adding to scores by hand, and for `F.scaled_dot_product_attention(attn_mask=…)`, which needs
    all four axes, see `to_sdpa`: what is missing it puts in front in silence. `four_axes` adds them.
    Shape: as ``mask``, whatever that is. Raises TypeError for a mask that is not bool, or a
    ``dtype`` that is not floating-point.

    >>> to_bias(torch.tensor([[True, False]]))
    tensor([[0., -inf]])
    """
    blocked = ~bool_mask(mask)
    return torch.zeros_like(blocked, dtype=floating(dtype)).masked_fill(blocked, -math.inf)


def from_bias(bias: Tensor) -> Tensor:
    """The mask that an additive bias of zeros and −∞ stands for.

    Shape: as ``bias``. Raises TypeError for a bias that is not floating-point, ValueError
    for any other value: 0 and 1, or a large finite number, do not block anything.

    >>> from_bias(torch.tensor([[0.0, -math.inf]]))
    tensor([[ True, False]])
    """
    if not tensor_only(bias).is_floating_point():
        raise TypeError(
            f"a bias must be floating-point, 0 and −∞, and is {bias.dtype} of shape {tuple(bias.shape)}. "
            "A bool mask needs no change; integers become one with (mask == 1) if 1 means keep."
        )
    allowed = bias == 0
    strange = bias[~(allowed | (bias == -math.inf))]
    if strange.numel():
        value = strange[0].item()
        raise ValueError(
            f"a bias must hold 0 (may attend) and −∞ (may not) only, and holds {value:.4g} (shape "
            f"{tuple(bias.shape)}). {_why_not(value)}"
        )
    return allowed


def _why_not(value: float) -> str:
    """What happens when a number other than 0 and −∞ is added to a score."""
    if not -math.inf < value < 0:
        return "If 1 means keep, use (mask == 1); nothing but −∞ blocks for certain."
    if value > UNDERFLOW:
        return (
            f"If that stands for −∞ it leaks: the key keeps {math.exp(value):.1e} times the weight of an allowed one "
            "with the same score, and a row with no allowed key attends to every key. Use −∞."
        )
    return (
        "If that stands for −∞ it blocks a key beside an allowed one with a like score, but a row with no allowed key "
        "attends to every key. Use −∞, or read the finfo.min of Transformers with from_transformers_4d."
    )
