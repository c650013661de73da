"""What masks are made of, checked: numbers and tables of numbers, or a sentence on what is wrong with them."""

from collections.abc import Sequence

import torch
from torch import Tensor

INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def at_least(least: int, **numbers: int) -> None:
    """Refuse a number that is too small to mean anything.

    >>> at_least(1, size=0)
    Traceback (most recent call last):
    ValueError: size must be a whole number, at least 1, and is 0.
    """
    for name, number in numbers.items():
        if not isinstance(number, int) or number < least:
            raise ValueError(f"{name} must be a whole number, at least {least}, and is {number!r}.")


def table(name: str, values: Tensor, *, axes: Sequence[str] = ("batch",), dtypes=INTEGERS, least: int = 0) -> Tensor:
    """A copy of a table, which no later edit can change, or a sentence on what is wrong with it.

    >>> table("ids", torch.tensor([[0, 1]]), axes=("batch", "length"))
    tensor([[0, 1]])
    >>> table("ids", torch.tensor([0.5]))
    Traceback (most recent call last):
    TypeError: ids must be a tensor of integers with axes (batch), and is torch.float32 of shape (1,).
    """
    if not isinstance(values, Tensor) or values.dtype not in dtypes or values.ndim != len(axes):
        found = f"{values.dtype} of shape {tuple(values.shape)}" if isinstance(values, Tensor) else repr(values)
        wanted = "integers" if dtypes == INTEGERS else "bool"
        raise TypeError(f"{name} must be a tensor of {wanted} with axes ({', '.join(axes)}), and is {found}.")
    if values.numel() and values.min().item() < least:
        raise ValueError(f"{name} must be at least {least}, and the least is {values.min()}.")
    return values.clone() if values.dtype == torch.bool else values.clone().long()
