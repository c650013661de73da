"""What arguments must be. Each check stands here once: what was expected, what came, and how to fix it.

Check at the public edge, not again inside. Something of the wrong kind raises TypeError; a size, a number or a name
that doesn't fit raises ValueError. Checks of a tensor return it.
"""

from collections.abc import Iterable, Sequence
from reprlib import repr as shortened

import numpy as np
import torch
from torch import Tensor

INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
AXES = ("batch", "head", "query", "key")  # of every attention mask, in this order


def got(value: object) -> str:
    """What came, in a few words, to end the sentence "must be …, got …".

    >>> got(torch.zeros(2, 3)), got([1, 2]), got("a")
    ('torch.float32 of shape (2, 3)', '[1, 2]', "'a'")
    """
    if isinstance(value, Tensor):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    if isinstance(value, np.ndarray):
        return f"a NumPy array of {value.dtype} and shape {value.shape}"
    return "a rule" if _is_rule(value) else shortened(value)


def _is_rule(value: object) -> bool:
    """Whether this is a `masklab.masks.Rule`, told by its name: rules are made with the help of this module."""
    return type(value).__name__ == "Rule"


# --- Tensors ---------------------------------------------------------------------------------------------------------


def tensor(name: str, value: Tensor) -> Tensor:
    """A tensor of any dtype and shape. Raises TypeError.

    >>> tensor("mask", [True, False])
    Traceback (most recent call last):
    TypeError: mask must be a tensor, got [True, False]. Use torch.tensor(mask).
    """
    return _typed(name, value, "a tensor")


def integers(name: str, values: Tensor, *, axes: Sequence[str] | None = None, least: int | None = None) -> Tensor:
    """A tensor of integers of any width, with these axes. Raises TypeError; ValueError for a number below ``least``.

    >>> integers("lengths", torch.tensor([2, 3]), axes=("batch",), least=0)
    tensor([2, 3])
    >>> integers("lengths", torch.tensor([2.5]), axes=("batch",))
    Traceback (most recent call last):
    TypeError: lengths must be a tensor of integers with axes (batch), got torch.float32 of shape (1,).
    """
    _typed(name, values, "a tensor of integers", dtypes=INTEGERS, axes=axes)
    if least is not None and values.numel() and values.min().item() < least:
        raise ValueError(f"{name} must be at least {least}, got {values.min().item()}.")
    return values


def int64(name: str, values: Tensor, *, axes: Sequence[str] | None = None) -> Tensor:
    """A tensor of int64, the dtype of ids and labels. Raises TypeError.

    >>> int64("ids", torch.tensor([1.0]))
    Traceback (most recent call last):
    TypeError: ids must be int64, got torch.float32 of shape (1,). Use ids.long() if they are integers.
    """
    return _typed(
        name, values, "int64", dtypes=INTEGERS[-1:], axes=axes, fix=f"Use {name}.long() if they are integers."
    )


def floats(name: str, values: Tensor, *, axes: Sequence[str] | None = None, fix: str | None = None) -> Tensor:
    """A floating-point tensor. Raises TypeError.

    >>> floats("losses", torch.tensor([1, 2]))
    Traceback (most recent call last):
    TypeError: losses must be floating-point, got torch.int64 of shape (2,). Use losses.float().
    """
    return _typed(name, values, "floating-point", dtypes=FLOATS, axes=axes, fix=fix or f"Use {name}.float().")


def bool_mask(
    name: str, values: Tensor, *, true: str = "may attend", axes: Sequence[str] | None = None, fix: str | None = None
) -> Tensor:
    """A bool tensor; ``true`` says what True means, ``fix`` what else to do with another dtype. Raises TypeError.

    >>> bool_mask("is_word", torch.tensor([1, 0]), true="a word")
    Traceback (most recent call last):
    TypeError: is_word must be bool, True = a word, got torch.int64 of shape (2,). Use is_word.bool() if 1 = a word.
    """
    if fix is None and true == "may attend":
        fix = f"If it holds 0 and −∞, use masklab.dialects.from_bias({name})."
    fix = f"Use {name}.bool() if 1 = {true}. {fix or ''}"
    return _typed(name, values, f"bool, True = {true}", dtypes=(torch.bool,), axes=axes, fix=fix)


def _typed(
    name: str, values: Tensor, expected: str, *, dtypes: Sequence[torch.dtype] | None = None,
    axes: Sequence[str] | None = None, fix: str = "",
) -> Tensor:  # fmt: skip
    """The same tensor if it has one of the dtypes and as many axes, or a TypeError; None stands for any."""
    if not isinstance(values, Tensor):
        fix = _how_to_make_a_tensor(name, values)
        expected = expected if expected.startswith("a tensor") else f"a tensor ({expected})"
    elif dtypes is None or values.dtype in dtypes:
        if axes is None or values.ndim == len(axes):
            return values
        fix = f"A single one becomes {name}[None]." if values.ndim == len(axes) - 1 else ""
    wanted = expected if axes is None else f"{expected} with axes ({', '.join(axes)})"
    raise TypeError(f"{name} must be {wanted}, got {got(values)}. {fix}".rstrip())


def _how_to_make_a_tensor(name: str, value: object) -> str:
    """What to do with something that is no tensor, if it can become one."""
    if _is_rule(value):
        return "Use rule.tensor(queries=…, keys=…)."
    if isinstance(value, np.ndarray):
        return f"Use torch.from_numpy({name})."
    return f"Use torch.tensor({name})." if isinstance(value, (list, tuple)) else ""


# --- Shapes ----------------------------------------------------------------------------------------------------------


def same_shape(*axes: str, fix: str = "", **tensors: Tensor | None) -> None:
    """All tensors have one shape, with these axes (by default any); None is passed over. Raises ValueError.

    >>> same_shape("batch", "length", ids=torch.zeros(1, 2), chosen=torch.zeros(1, 1))
    Traceback (most recent call last):
    ValueError: ids and chosen must have one shape (batch, length), got (1, 2) and (1, 1).
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items() if tensor is not None}
    if len(set(shapes.values())) > 1 or (axes and any(len(shape) != len(axes) for shape in shapes.values())):
        wanted = ("the shape" if len(shapes) == 1 else "one shape") + (f" ({', '.join(axes)})" if axes else "")
        came = _listed(map(str, shapes.values()), "and")
        raise ValueError(f"{_listed(shapes, 'and')} must have {wanted}, got {came}. {fix}".rstrip())


def _listed(items: Iterable[str], word: str) -> str:
    """The items in a sentence: "a, b and c"."""
    *others, last = items
    return f"{', '.join(others)} {word} {last}" if others else last


def four_axes(mask: Tensor, *, shape: Sequence[int] | None = None, name: str = "mask") -> Tensor:
    """An attention mask with all four axes, each its size in ``shape`` or 1.

    With fewer, (batch, key) looks like (query, key) when there are as many sentences as queries, and torch
    broadcasts it without a word. Raises TypeError for a mask that is not bool, ValueError for other axes or sizes.

    >>> four_axes(torch.tensor([[True, False]]), shape=(2, 1, 2, 2))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: mask must have the axes (batch, head, query, key) = (2, 1, 2, 2), each its size or 1, got (1, 2). ...
    """
    bool_mask(name, mask)
    wanted = mask.shape if shape is None else shape
    if mask.ndim == 4 and all(have in (1, want) for have, want in zip(mask.shape, wanted, strict=True)):
        return mask
    sizes = "" if shape is None else f" = {tuple(shape)}, each its size or 1"
    raise ValueError(
        f"{name} must have the axes ({', '.join(AXES)}){sizes}, got {tuple(mask.shape)}. A padding mask (batch, key) "
        f"becomes {name}[:, None, None, :], a mask of pairs (query, key) becomes {name}[None, None]; "
        f"see also masklab.dialects.with_four_axes({name}, …)."
    )


def batch_key(name: str, mask: Tensor) -> Tensor:
    """A tensor with the axes (batch, key). Raises TypeError for something else, ValueError for other axes.

    >>> batch_key("key_padding_mask", torch.tensor([True]))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: key_padding_mask must have the axes (batch, key), got shape (1,). ...
    """
    if tensor(name, mask).ndim != 2:
        raise ValueError(
            f"{name} must have the axes (batch, key), got shape {tuple(mask.shape)}. "
            f"Of four axes take {name}[:, 0, 0], if all heads and queries see the same keys."
        )
    return mask


# --- Numbers ---------------------------------------------------------------------------------------------------------


def at_least(least: int | None, **numbers: int) -> None:
    """Integers, none below ``least``; None allows any integer. Raises ValueError.

    >>> at_least(1, size=0)
    Traceback (most recent call last):
    ValueError: size must be an integer, at least 1, got 0.
    >>> at_least(None, offset=0.5)
    Traceback (most recent call last):
    ValueError: offset must be an integer, got 0.5.
    """
    for name, number in numbers.items():
        integer = isinstance(number, (int, np.integer)) and not isinstance(number, bool)  # True is an int in Python
        if not integer or (least is not None and number < least):
            wanted = "an integer" if least is None else f"an integer, at least {least}"
            raise ValueError(f"{name} must be {wanted}, got {got(number)}.")


def share(**numbers: float) -> None:
    """Numbers between 0 and 1. Raises ValueError.

    >>> share(probability=15)
    Traceback (most recent call last):
    ValueError: probability must be between 0 and 1, got 15. For percent divide by 100.
    """
    for name, number in numbers.items():
        if not 0 <= number <= 1:
            raise ValueError(f"{name} must be between 0 and 1, got {number}. For percent divide by 100.")


def between(name: str, values: Tensor, low: int, high: int, *, fix: str = "") -> None:
    """A tensor in which every number is between two others. Raises ValueError.

    >>> between("labels", torch.tensor([2, -100]), 0, 3)
    Traceback (most recent call last):
    ValueError: labels must be between 0 and 3, got -100.
    """
    wrong = values[(values < low) | (values > high)]
    if wrong.numel():
        raise ValueError(f"{name} must be between {low} and {high}, got {wrong[0].item()}. {fix}".rstrip())


def lengths(values: Tensor, *, total: int) -> Tensor:
    """How many words each sentence has, (batch,) integers, at most ``total``.

    Raises TypeError for another tensor, ValueError for a length or a ``total`` that doesn't fit.

    >>> lengths(torch.tensor([2, 4]), total=3)
    Traceback (most recent call last):
    ValueError: lengths must be between 0 and total=3, got [2, 4].
    """
    at_least(0, total=total)
    found = integers("lengths", values, axes=("batch",)).tolist()
    if found and not 0 <= min(found) <= max(found) <= total:
        raise ValueError(f"lengths must be between 0 and total={total}, got {shortened(found)}.")
    return values


# --- Names, texts, and what else there is ----------------------------------------------------------------------------


def one_of(choices: Sequence[str], **chosen: str) -> None:
    """One of these names. Raises ValueError.

    >>> one_of(("left", "right"), side="middle")
    Traceback (most recent call last):
    ValueError: side must be 'left' or 'right', got 'middle'.
    """
    for name, choice in chosen.items():
        if choice not in choices:
            raise ValueError(f"{name} must be {_listed(map(repr, choices), 'or')}, got {got(choice)}.")


def list_of(what: str, name: str, values: Iterable, *, fix: str | None = None) -> list:
    """A list, and not a text, whose letters Python would take for the items. Raises TypeError.

    >>> list_of("sentences", "sentences", "The cat ate")
    Traceback (most recent call last):
    TypeError: sentences must be a list of sentences, got the text 'The cat ate'. Write ['The cat ate'].
    """
    if isinstance(values, str):
        text = shortened(values)
        raise TypeError(f"{name} must be a list of {what}, got the text {text}. Write {fix or f'[{text}]'}.")
    return list(values)


def generator(generator: torch.Generator) -> None:
    """A generator of the caller's own: torch would take None for its global one. Raises TypeError.

    >>> generator(None)
    Traceback (most recent call last):
    TypeError: generator must be a torch.Generator, got None. Use torch.Generator().manual_seed(0).
    """
    if not isinstance(generator, torch.Generator):
        raise TypeError(
            f"generator must be a torch.Generator, got {got(generator)}. Use torch.Generator().manual_seed(0)."
        )


def float_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype of a bias, which is added to the scores. Raises TypeError.

    >>> float_dtype(torch.bool)
    Traceback (most recent call last):
    TypeError: dtype must be floating-point, as the scores that the bias is added to, got torch.bool.
    """
    if dtype not in FLOATS:
        raise TypeError(f"dtype must be floating-point, as the scores that the bias is added to, got {got(dtype)}.")
    return dtype
