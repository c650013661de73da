"""What masks are made of, checked: numbers and tables of numbers, or a sentence on what is wrong with them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from masklab.text import INTEGERS, checked


def at_least(least: int | None, **numbers: int) -> None:
    """Refuse a number that is not whole, or too small to mean anything; with None any whole number will do.

    >>> at_least(1, size=0)
    Traceback (most recent call last):
    ValueError: size must be a whole number, at least 1, and is 0.
    >>> at_least(None, offset=0.5)
    Traceback (most recent call last):
    ValueError: offset must be a whole number, and is 0.5.
    """
    wanted = "a whole number" if least is None else f"a whole number, at least {least}"
    for name, number in numbers.items():
        whole = isinstance(number, int) and not isinstance(number, bool)  # in Python True is a number, too
        if not whole or (least is not None and number < least):
            raise ValueError(f"{name} must be {wanted}, and is {number!r}.")


def table(
    name: str, values: Tensor, *, axes: Sequence[str] = ("batch",), dtypes: Sequence[torch.dtype] = INTEGERS,
    least: int = 0,
) -> Tensor:  # fmt: skip
    """A copy of a table, which no later edit can change, or a sentence on what is wrong with it.

    >>> table("ids", torch.tensor([[0, 1]]), axes=("batch", "length"))
    tensor([[0, 1]])
    >>> table("ids", torch.tensor([-1]))
    Traceback (most recent call last):
    ValueError: ids must be at least 0, and the least is -1.
    """
    if checked(name, values, axes=axes, dtypes=dtypes).numel() and values.min().item() < least:
        raise ValueError(f"{name} must be at least {least}, and the least is {values.min()}.")
    return values.clone() if values.dtype == torch.bool else values.clone().long()
