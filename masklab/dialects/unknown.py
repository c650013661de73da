"""A mask of unknown origin: its numbers and its axes, read only if they can mean one thing."""

from collections.abc import Sequence

import torch
from torch import Tensor

from masklab import validate
from masklab.dialects.additive import from_bias
from masklab.validate import AXES

READINGS: dict[int, list[tuple[str, ...]]] = {  # what a mask with so many axes can be
    1: [("key",)],
    2: [("batch", "key"), ("query", "key")],
    3: [("batch", "query", "key"), ("head", "query", "key")],
    4: [AXES],
}


def keep_mask(values: Tensor, *, means: str | None = None) -> Tensor:
    """What a tensor says about who may attend, as a bool: True = may attend.

    ``means`` says how to read it: ``"keep"`` (1 or True = may attend), ``"block"`` (1 or
    True = may not), or ``"bias"`` (it is added to the scores: 0 and −∞). Without it, only a
    bool (True = may attend, as everywhere in masklab) and a bias with a −∞ in it are clear.
    Shape: as ``values``. Raises TypeError for integers and ValueError for a float of zeros and ones,
    unless ``means`` is given: both can mean several things. Raises TypeError for complex numbers,
    ValueError for other numbers that are no mask.

    >>> keep_mask(torch.tensor([[0.0, -torch.inf]]))
    tensor([[ True, False]])
    >>> keep_mask(torch.tensor([[1, 0]]), means="keep")
    tensor([[ True, False]])
    >>> keep_mask(torch.tensor([[1, 0]]), means="block")
    tensor([[False,  True]])
    """
    if means is not None:
        validate.one_of(("keep", "block", "bias"), means=means)
    if validate.tensor("values", values).is_complex():
        raise TypeError(f"a mask must not be complex, got {validate.got(values)}.")
    means = means or _only_meaning(values)
    if means == "bias":
        return from_bias(values)
    if not ((values == 0) | (values == 1)).all():
        strange = values[(values != 0) & (values != 1)][0].item()
        raise ValueError(
            f"a mask in which 1 means {means} must hold 0 and 1 only, got {strange:.4g} in shape "
            f"{tuple(values.shape)}. Is it a bias, or are these ids of documents?"
        )
    return values == 1 if means == "keep" else values == 0


def _only_meaning(values: Tensor) -> str:
    """What a tensor means when it can mean one thing only."""
    if values.dtype == torch.bool:
        return "keep"
    if not values.is_floating_point():
        raise TypeError(
            f"integers ({values.dtype}, shape {tuple(values.shape)}) could mean three things: 1 = keep, 1 = block, or "
            "ids of documents, in which equal ids may attend to each other. "
            "Say means='keep' or means='block', or use masklab.masks.documents."
        )
    if ((values == 0) | (values == 1)).all():
        raise ValueError(
            f"a float of zeros and ones ({values.dtype}, shape {tuple(values.shape)}) could mean three things: "
            "1 = keep, 1 = block, or a bias that is added to the scores, in which neither 0 nor 1 blocks anything. "
            "Say means='keep', means='block' or means='bias'."
        )
    return "bias"


def with_four_axes(
    mask: Tensor, *, batch: int, heads: int, queries: int, keys: int, axes: Sequence[str] | None = None
) -> Tensor:
    """The mask with all four axes (batch, head, query, key), if its shape can mean one thing only.

    Libraries put missing axes in front without asking, so that (batch, key) is silently taken for
    (query, key) when there are as many sentences as queries. Here that is refused.
    ``axes`` names the mask's axes in the order (batch, head, query, key), for example ``("batch", "key")``.
    Shape: bool with 1 to 4 axes → (batch, head, query, key), each of them its size or 1.
    Raises TypeError for a mask that is not bool, ValueError for a shape that could be two
    things or none, and for ``axes`` that do not fit.

    >>> words = torch.tensor([[True, True, False], [True, True, True]])
    >>> with_four_axes(words, batch=2, heads=4, queries=3, keys=3).shape
    torch.Size([2, 1, 1, 3])
    >>> with_four_axes(words[:, :2], batch=2, heads=4, queries=2, keys=2, axes=("query", "key")).shape
    torch.Size([1, 1, 2, 2])
    """
    sizes = (batch, heads, queries, keys)
    validate.bool_mask("mask", mask)
    readings = READINGS.get(mask.ndim, []) if axes is None else [_checked_axes(tuple(axes), mask)]
    shapes = {_placed(mask, reading): reading for reading in readings}  # equal shapes are the same mask
    fitting = {shape: reading for shape, reading in shapes.items() if _fits(shape, sizes)}
    if len(fitting) == 1:
        (shape,) = fitting
        return mask.reshape(shape)
    known = f"batch={batch}, heads={heads}, queries={queries}, keys={keys}"
    if not fitting:
        tried = " or ".join(_named(reading) for reading in readings) or "of 1 to 4 axes"
        raise ValueError(
            f"mask must be {tried} for {known}, each its size or 1, got {tuple(mask.shape)}. "
            "If its first axis is batch·heads, use from_mha_attn_mask."
        )
    both = " or ".join(_named(reading) for reading in fitting.values())
    choice = " or ".join(f"axes={reading}" for reading in fitting.values())
    raise ValueError(f"a mask of shape {tuple(mask.shape)} could be {both} for {known}: say {choice}.")


def _checked_axes(axes: tuple[str, ...], mask: Tensor) -> tuple[str, ...]:
    """The names, if they are axes of masklab in its order and as many as the mask has."""
    if axes != tuple(name for name in AXES if name in axes) or len(axes) != mask.ndim:
        raise ValueError(
            f"axes must name the {mask.ndim} axes of the mask in the order of {_named(AXES)}, got {axes!r}."
        )
    return axes


def _placed(mask: Tensor, reading: tuple[str, ...]) -> tuple[int, ...]:
    """The four-axis shape of a mask whose axes are called so: 1 where it has no such axis."""
    return tuple(mask.shape[reading.index(name)] if name in reading else 1 for name in AXES)


def _fits(shape: Sequence[int], sizes: Sequence[int]) -> bool:
    """Whether each axis has its size, or 1."""
    return all(have in (1, want) for have, want in zip(shape, sizes, strict=True))


def _named(axes: tuple[str, ...]) -> str:
    """The axes as people write them: (batch, key)."""
    return f"({', '.join(axes)})"
