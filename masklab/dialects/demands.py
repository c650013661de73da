"""What every dialect demands of a mask, or a sentence on what to do."""

import torch
from torch import Tensor

from masklab.masks.rule import tensor_only


def bool_mask(mask: Tensor) -> Tensor:
    """Return the mask if it is bool, or say what to do.

    Raises TypeError.

    >>> bool_mask(torch.tensor([True, False]))
    tensor([ True, False])
    """
    if tensor_only(mask).dtype != torch.bool:
        raise TypeError(
            f"expected a bool mask, True = may attend, and got {mask.dtype} of shape {tuple(mask.shape)}. "
            "Use mask.bool() if 1 means keep, or from_bias(mask) if it holds 0 and −∞."
        )
    return mask


def four_only(mask: Tensor) -> Tensor:
    """Return the mask if it is bool and has all four axes, or say what to do.

    Raises TypeError for a mask that is not bool, ValueError for another number of axes.

    >>> four_only(torch.tensor([[[[True, False]]]]))
    tensor([[[[ True, False]]]])
    """
    if bool_mask(mask).ndim != 4:
        raise ValueError(
            f"expected axes (batch, head, query, key), and this mask has shape {tuple(mask.shape)}. "
            "Give it all four with four_axes(mask, batch=…, heads=…, queries=…, keys=…)."
        )
    return mask


def batch_key(mask: Tensor, name: str) -> Tensor:
    """Return the mask if it has two axes, or say what to do.

    Raises ValueError; ``name`` is what the library calls it.

    >>> batch_key(torch.tensor([[True, False]]), "key padding mask")
    tensor([[ True, False]])
    """
    if tensor_only(mask).ndim != 2:
        raise ValueError(
            f"a {name} has axes (batch, key), and this mask has shape {tuple(mask.shape)}. "
            "Of four axes take mask[:, 0, 0], if all heads and queries see the same keys."
        )
    return mask


def floating(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of a bias if it is floating-point, or say what to do.

    Raises TypeError.

    >>> floating(torch.bool)
    Traceback (most recent call last):
    TypeError: a bias is added to the scores: its dtype must be theirs, floating-point, and is torch.bool.
    """
    if not dtype.is_floating_point:
        raise TypeError(f"a bias is added to the scores: its dtype must be theirs, floating-point, and is {dtype}.")
    return dtype
