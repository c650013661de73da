"""Answers side by side: is the form right, and are the values the same?

An answer is a tensor of any shape, a number, or a tuple, list or dict of such. Where the right answer has `...`,
anything is right: what is there is shown, but not judged.
"""

import copy
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from masklab.check.reading import tidy
from masklab.dialects.additive import BLOCKS

USUAL = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
         torch.float16, torch.bfloat16, torch.float32, torch.float64)  # fmt: skip
_LOST_AXIS = "Is a `return` inside a loop, did you take [0], or choose by a bool mask?"


def settled(answer):
    """A copy that nothing can change any more: tensors detached and on the CPU, part by part.

    Numbers, NumPy's too, become tensors of shape (), modules are copied; anything else comes back as it is.

    >>> settled({"loss": 0.5, "weights": torch.ones(1, requires_grad=True)})
    {'loss': tensor(0.5000), 'weights': tensor([1.])}
    """
    if isinstance(answer, Tensor):
        return answer.detach().clone().cpu() if plain(answer) else answer
    if isinstance(answer, bool | int | float | np.bool_ | np.number):
        try:
            return torch.tensor(answer)
        except (TypeError, ValueError):  # no tensor holds 2 ** 64
            return answer
    if isinstance(answer, nn.Module):
        return copy.deepcopy(answer)
    if isinstance(answer, dict):
        return {key: settled(part) for key, part in answer.items()}
    return type(answer)(map(settled, answer)) if type(answer) in (tuple, list) else answer


def as_lists(answer):
    """Tuples, arrays and tensors as lists, part by part; numbers as Python's.

    >>> as_lists((torch.tensor([1, 2]), np.int64(3)))
    [[1, 2], 3]
    """
    if isinstance(answer, np.ndarray | np.generic) or (isinstance(answer, Tensor) and plain(answer)):
        return answer.tolist()
    return [as_lists(part) for part in answer] if isinstance(answer, list | tuple | range) else answer


def tensors(answer, right=None) -> Iterator[Tensor]:
    """The tensors of an answer, part by part; without those parts of which ``right`` says `...`.

    >>> list(tensors({"loss": torch.tensor(1), "parts": [torch.tensor(2)]}))
    [tensor(1), tensor(2)]
    >>> list(tensors([torch.tensor(1), torch.tensor(2)], [..., torch.tensor(2)]))
    [tensor(2)]
    """
    if isinstance(answer, Tensor):
        yield answer
    elif isinstance(answer, dict | tuple | list):
        for key in answer if isinstance(answer, dict) else range(len(answer)):
            expected = None if right is None else right[key]
            if expected is not ...:
                yield from tensors(answer[key], expected)


def plain(tensor: Tensor) -> bool:
    """Whether a tensor is a grid of usual numbers: not sparse, nested, complex, without data or a class of its own.

    >>> plain(torch.ones(2)), plain(torch.ones(2).to_sparse())
    (True, False)
    """
    dense = type(tensor) in (Tensor, nn.Parameter) and tensor.layout == torch.strided and not tensor.is_nested
    return dense and tensor.dtype in USUAL and tensor.device.type != "meta"


def form(answer, right, *, what: str = "your answer") -> str:
    """Say what is wrong with an answer's type, shape or dtype, and how to fix it; nothing when they fit.

    >>> form([1, 0], torch.ones(2))
    'your answer must be a tensor, got a list: torch.tensor or torch.stack turns it into a tensor.'
    >>> form(torch.tensor([1, 0]), torch.tensor([True, False]))
    'your answer must be bool, got int64: a comparison gives bool, and .bool() converts zeros and ones.'
    >>> form(torch.ones(1, 2, 3), torch.ones(2, 1, 3))
    'your answer must have shape (2, 1, 3), got (1, 2, 3): an axis of size 1 is in the wrong place.'
    """
    if right is ...:
        return ""
    if isinstance(right, Tensor) and right.ndim == 0 and right.dtype == torch.bool:
        return _yes_or_no(answer, what)
    if isinstance(right, Tensor):
        return _type(answer, what) or _shape(answer, right, what) or _dtype(answer, right, what)
    if isinstance(right, dict):
        right, answer = list(right.items()), list(answer.items()) if isinstance(answer, dict) else answer
        if not isinstance(answer, list) or [key for key, _ in answer] != [key for key, _ in right]:
            return f"{what} must be a dict with the keys {', '.join(repr(key) for key, _ in right)}."
        parts = [(repr(key), a, r) for (key, a), (_, r) in zip(answer, right, strict=True)]
    elif isinstance(right, tuple | list):
        if not isinstance(answer, type(right)) or len(answer) != len(right):
            many = f" of {len(answer)}" if isinstance(answer, list) else ""
            return f"{what} must be a {type(right).__name__} of {len(right)}, got {_name(answer)}{many}."
        parts = [(f"part {i}", a, r) for i, (a, r) in enumerate(zip(answer, right, strict=True))]
    else:
        return "" if isinstance(answer, type(right)) else f"{what} must be {_name(right)}, got {_name(answer)}."
    return next(filter(None, (form(a, r, what=f"{name} of {what}") for name, a, r in parts)), "")


def same(answer, right, *, tolerance: float = 1e-5) -> bool:
    """Equal form and equal values, part by part; NaN equals NaN.

    >>> same(torch.ones(2).double(), torch.ones(2)), same(torch.ones(2), torch.zeros(2)), same((1, 2), (1, 2))
    (True, False, True)
    """
    if form(answer, right):
        return False
    if right is ...:
        return True
    if isinstance(right, Tensor):
        one, other = answer.detach().cpu(), right.detach()
        if one.dtype == other.dtype and torch.equal(one, other):  # so it is as a rule, and this is the faster look
            return True
        return torch.allclose(one.double(), other.double(), atol=tolerance, rtol=tolerance, equal_nan=True)
    if isinstance(right, dict):
        return all(same(answer[key], right[key], tolerance=tolerance) for key in right)
    if isinstance(right, tuple | list):
        return all(same(a, r, tolerance=tolerance) for a, r in zip(answer, right, strict=True))
    if isinstance(right, nn.Module):
        return same(_inside(answer), _inside(right), tolerance=tolerance)
    return bool(answer == right)


def _yes_or_no(answer, what: str) -> str:
    """What is wrong with something that must be one True or False."""
    if not isinstance(answer, Tensor):
        return f"{what} must be True or False, got {_name(answer)}."
    if answer.ndim:
        return f"{what} must be True or False, got shape {tuple(answer.shape)}: .any() or .all() makes one of many."
    fault = f"{what} must be True or False, got a number ({_short(answer.dtype)}): a comparison gives one."
    return "" if answer.dtype == torch.bool else fault


def _type(answer, what: str) -> str:
    """What is wrong with the type of something that must be a tensor."""
    if isinstance(answer, Tensor):
        return "" if plain(answer) else f"{what} must be a plain tensor, got {_kind(answer)}."
    ways_out = {
        "tuple": "return only the tensor that is asked for.",
        "list": "torch.tensor or torch.stack turns it into a tensor.",
        "PackedSequence": "pad_packed_sequence turns it into one.",
        "ndarray": "stay in torch, or wrap it in torch.from_numpy.",
    }
    kind = type(answer).__name__
    way_out = ways_out.get("tuple" if isinstance(answer, tuple) and kind not in ways_out else kind)
    return f"{what} must be a tensor, got {_name(answer)}{': ' + way_out if way_out else '.'}"


def _shape(answer: Tensor, right: Tensor, what: str) -> str:
    """What is wrong with the shape of a tensor."""
    if answer.shape == right.shape:
        return ""
    if right.ndim == 0:
        return f"{what} must be a single number, got shape {tuple(answer.shape)}."
    got = tuple(answer.shape) if answer.ndim else "a single number"
    said = f"{what} must have shape {tuple(right.shape)}, got {got}"
    if answer.ndim > 1 and answer.mT.shape == right.shape:
        return f"{said}: its last two axes are swapped."
    if answer.squeeze().shape == right.squeeze().shape:
        more = answer.ndim - right.ndim
        fault = "in the wrong place" if more == 0 else "too many" if more > 0 else "missing"
        return f"{said}: an axis of size 1 is {fault}."
    if answer.ndim == right.ndim and len(answer) == 1 and answer.shape[1:] == right.shape[1:]:
        return f"{said}: one row in place of {len(right)}. {_LOST_AXIS}"
    first_missing = answer.ndim and answer.shape == right.shape[1:]
    return f"{said}: the first axis is missing. {_LOST_AXIS}" if first_missing else f"{said}."


def _dtype(answer: Tensor, right: Tensor, what: str) -> str:
    """What is wrong with the dtype: a mask must be bool, and a number must not."""
    if (answer.dtype == torch.bool) == (right.dtype == torch.bool):
        return ""
    if answer.dtype == torch.bool:
        return f"{what} must hold numbers ({_short(right.dtype)}), got bool."
    said = f"{what} must be bool, got {_short(answer.dtype)}"
    if bool(((answer == 0) | (answer <= BLOCKS)).all()) and bool((answer <= BLOCKS).any()):
        return f"{said}: this is the additive form, 0 and −∞; here True and False are asked for."
    zeros_and_ones = bool(((answer == 0) | (answer == 1)).all())
    return f"{said}: a comparison gives bool{', and .bool() converts zeros and ones' if zeros_and_ones else ''}."


def _kind(tensor: Tensor) -> str:
    """What is unusual about a tensor."""
    if tensor.is_nested:
        return "a nested one: .to_padded_tensor(0) fills it up"
    if tensor.layout != torch.strided:
        return f"a sparse one ({_short(tensor.layout)}): .to_dense() makes it plain"
    if type(tensor) not in (Tensor, nn.Parameter):
        return f"a {type(tensor).__name__}: only some functions of torch know what it stands for"
    return "one without data, on the device meta" if tensor.device.type == "meta" else f"one of {_short(tensor.dtype)}"


def _name(thing) -> str:
    """What a thing is, in a sentence: "a list", "None"."""
    if thing is None:
        return "None"
    if isinstance(thing, tuple) and type(thing).__name__ != "PackedSequence":
        return f"a tuple of {len(thing)}"
    names = {"ndarray": "numpy array", "str": "string", "function": "function (did you forget to call it?)"}
    name = tidy(names.get(type(thing).__name__, type(thing).__name__), length=40)
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _short(kind) -> str:
    """A dtype or layout without its "torch."."""
    return str(kind).removeprefix("torch.")


def _inside(module: nn.Module) -> dict:
    """All that a caller would miss if it changed: numbers, and settings such as batch_first."""
    settings = {
        f"{name}.{key}": value
        for name, part in module.named_modules()
        for key, value in vars(part).items()
        if isinstance(value, bool | int | float | str)
    }
    trained = {f"{name} is trained": part.requires_grad for name, part in module.named_parameters()}
    dtypes = {f"{name} is": str(part.dtype) for name, part in module.state_dict().items()}
    return {**module.state_dict(), **settings, **trained, **dtypes}
