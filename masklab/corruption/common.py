"""Small steps that the ways to corrupt have in common."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from masklab import validate


def shift_right(mask: Tensor) -> Tensor:
    """Each position gets what was before it, the first one False. Shape: (B, L).

    >>> shift_right(torch.tensor([[True, False, True]]))
    tensor([[False,  True, False]])
    """
    return F.pad(mask, (1, 0))[:, : mask.shape[1]]


def at_least_one(share: float, *, of: int) -> int:
    """A share of a number, rounded; at least 1 if there is a share, and something to share.

    >>> at_least_one(0.15, of=20), at_least_one(0.15, of=2), at_least_one(0.0, of=2), at_least_one(0.15, of=0)
    (3, 1, 0, 0)
    """
    return max(round(share * of), 1) if share and of else 0


def int64(tokens: Sequence[int] | Tensor, *, like: Tensor) -> Tensor:
    """Ids as a tensor where ``like`` is, also when there are none: an empty list would become float.

    >>> int64([7, 8], like=torch.zeros(1)), int64([], like=torch.zeros(1))
    (tensor([7, 8]), tensor([], dtype=torch.int64))
    """
    return torch.as_tensor(tokens, dtype=torch.int64, device=like.device)


def uniform(*shape: int, like: Tensor, generator: torch.Generator) -> Tensor:
    """Draws from 0 to 1, made where the generator is, and moved to where ``like`` is.

    >>> uniform(2, like=torch.zeros(1), generator=torch.Generator().manual_seed(0))
    tensor([0.4963, 0.7682])
    """
    return torch.rand(shape, generator=generator, dtype=torch.float32, device=generator.device).to(like.device)


def check(*axes: str, ids: Tensor | None = None, spans: Tensor | None = None, **masks: Tensor) -> None:
    """All have one shape with these axes; ``ids`` and ``spans`` are int64, all others bool masks.

    Raises TypeError for another dtype, ValueError for another shape.

    >>> check("batch", "length", ids=torch.tensor([[7, 8]]), chosen=torch.tensor([[True]]))
    Traceback (most recent call last):
    ValueError: ids and chosen must have one shape (batch, length), got (1, 2) and (1, 1).
    """
    numbers = {name: values for name, values in {"ids": ids, "spans": spans}.items() if values is not None}
    for name, values in numbers.items():
        validate.int64(name, values)
    for name, mask in masks.items():
        validate.bool_mask(name, mask, true="yes")
    fix = "Give one sentence at a time, without padding." if axes == ("length",) else ""
    validate.same_shape(*axes, fix=fix, **numbers, **masks)
