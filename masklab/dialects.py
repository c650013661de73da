"""One mask as each library wants it, and back.

Inside masklab a mask is bool and True = may attend. Libraries differ, so the
name of each function says what its result means.
"""

import math

import torch
from torch import Tensor


def to_bias(mask: Tensor, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """The additive form: 0 where a query may attend, −∞ where it may not.

    For `F.scaled_dot_product_attention(attn_mask=…)` and for adding to scores by hand.
    Shape: as ``mask``. Raises TypeError for a mask that is not bool.

    >>> to_bias(torch.tensor([[True, False]]))
    tensor([[0., -inf]])
    """
    return torch.zeros(mask.shape, dtype=dtype).masked_fill(~_bool(mask), -math.inf)


def from_bias(bias: Tensor) -> Tensor:
    """The mask that an additive bias of zeros and −∞ stands for.

    Shape: as ``bias``. Raises TypeError for a bias that is not floating-point, ValueError
    for any other value: 0 and 1, or a large finite number, do not block anything.

    >>> from_bias(torch.tensor([[0.0, -math.inf]]))
    tensor([[ True, False]])
    """
    if not bias.is_floating_point():
        raise TypeError(
            f"a bias must be floating-point, 0 and −∞, and is {bias.dtype} of shape {tuple(bias.shape)}. "
            "A bool mask needs no change; integers become one with (mask == 1) if 1 means keep."
        )
    allowed = bias == 0
    if not (allowed | (bias == -math.inf)).all():
        strange = bias[~(allowed | (bias == -math.inf))][0].item()
        raise ValueError(
            f"a bias must hold 0 (may attend) and −∞ (may not) only, and holds {strange:.4g} (shape "
            f"{tuple(bias.shape)}). If 1 means keep, use (mask == 1); nothing but −∞ blocks for certain."
        )
    return allowed


def to_sdpa(mask: Tensor) -> Tensor:
    """The bool ``attn_mask`` of `F.scaled_dot_product_attention`: True = may attend, as in masklab.

    Shape: as ``mask``, broadcasting to (batch, head, query, key).
    Raises TypeError for a mask that is not bool.

    >>> to_sdpa(torch.tensor([[True, False]]))
    tensor([[ True, False]])
    """
    return _bool(mask)


def to_key_padding_mask(mask: Tensor) -> Tensor:
    """The ``key_padding_mask`` of `nn.MultiheadAttention`: True = **ignore** this key.

    Also the ``src_key_padding_mask`` of `nn.TransformerEncoder`.
    Shape: (batch, key) bool, True = a word → the same shape, True = padding.
    Raises TypeError for a mask that is not bool, ValueError for another number of axes.

    >>> to_key_padding_mask(torch.tensor([[True, True, False]]))
    tensor([[False, False,  True]])
    """
    if mask.ndim != 2:
        raise ValueError(f"a key padding mask has axes (batch, key), and this mask has shape {tuple(mask.shape)}.")
    return ~_bool(mask)


def to_mha_attn_mask(mask: Tensor, *, heads: int) -> Tensor:
    """The ``attn_mask`` of `nn.MultiheadAttention`: True = **blocked**, one matrix a head.

    Shape: (batch, 1 or head, query, key) bool → (batch·heads, query, key), True = blocked;
    the heads of one sentence stand together.
    Raises TypeError for a mask that is not bool, ValueError for another number of axes.

    >>> to_mha_attn_mask(torch.tensor([[[[True, False]]]]), heads=2)
    tensor([[[False,  True]],
    <BLANKLINE>
            [[False,  True]]])
    """
    if mask.ndim != 4 or mask.shape[1] not in (1, heads):
        raise ValueError(
            f"expected axes (batch, 1 or {heads}, query, key), and this mask has shape {tuple(mask.shape)}."
        )
    return ~_bool(mask).expand(-1, heads, -1, -1).flatten(0, 1)


def _bool(mask: Tensor) -> Tensor:
    """Return the mask if it is bool, or say what to do."""
    if mask.dtype != torch.bool:
        raise TypeError(
            f"expected a bool mask, True = may attend, and got {mask.dtype} of shape {tuple(mask.shape)}. "
            "Use mask.bool() if 1 means keep, or from_bias(mask) if it holds 0 and −∞."
        )
    return mask
