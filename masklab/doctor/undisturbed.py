"""Look at a model and leave it as it was: modes, gradients, hooks, buffers, attributes, and all random states."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import nn

CONTAINERS = (dict, list, set)


def modules_of(model: Callable) -> list[nn.Module]:
    """The modules behind a callable: itself, what a method or a partial holds, what a function closes over.

    >>> layer = nn.Linear(2, 2)
    >>> modules_of(lambda x: layer(x)) == [layer]
    True
    """
    found: list[nn.Module] = []
    todo, seen = [model], set()
    while todo:
        part = todo.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, nn.Module):
            found.append(part)
        else:
            todo += _behind(part)
    return found


def _behind(part: Any) -> list:
    """What a callable holds, one step further."""
    if isinstance(part, partial):
        return [part.func, *part.args, *part.keywords.values()]
    if isinstance(part, MethodType):
        return [part.__self__, part.__func__]
    if isinstance(part, FunctionType):
        cells = [cell.cell_contents for cell in part.__closure__ or () if _filled(cell)]
        named = [part.__globals__.get(name) for name in part.__code__.co_names]
        values = [*cells, *named, *(part.__defaults__ or ()), *(part.__kwdefaults__ or {}).values()]
        return [value for value in values if isinstance(value, nn.Module | partial | MethodType | FunctionType)]
    if isinstance(part, list | tuple):
        return [value for value in part if isinstance(value, nn.Module)]
    return [value for value in vars(part).values() if isinstance(value, nn.Module)] if hasattr(part, "__dict__") else []


def _filled(cell: Any) -> bool:
    """Whether a closure's cell has a value yet."""
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def named_parts(model: Callable) -> list[tuple[str, nn.Module]]:
    """Every module behind a model with its name, each once.

    >>> [name for name, part in named_parts(nn.Sequential(nn.Linear(1, 1)))]
    ['', '0']
    """
    parts: dict[int, tuple[str, nn.Module]] = {}
    for root in modules_of(model):
        for name, part in root.named_modules():
            parts.setdefault(id(part), (name, part))
    return list(parts.values())


@contextmanager
def undisturbed(model: Callable) -> Iterator[None]:
    """Whatever happens inside ``with``, errors too, the model and all generators are as they were afterwards.

    >>> model = nn.BatchNorm1d(2)
    >>> with undisturbed(model):
    ...     _ = model.eval(), model.running_mean.add_(1)
    >>> model.training, model.running_mean
    (True, tensor([0., 0.]))
    """
    undo = [step for _, part in named_parts(model) for step in _undo(part)] + _undo_generators()
    try:
        yield
    finally:
        for step in undo:
            step()


def _undo(part: nn.Module) -> list[Callable[[], None]]:
    """Steps that bring one module back: its attributes, what its containers hold, buffers, gradients, generators."""
    undo: list[Callable[[], None]] = [partial(_attributes_back, part, dict(vars(part)))]
    for held in vars(part).values():
        if isinstance(held, CONTAINERS):  # hooks among them; in place, since a hook's handle knows the dict
            undo.append(partial(_contents_back, held, held.copy()))
        if isinstance(held, torch.Generator):
            undo.append(partial(_state_back, held, held.get_state()))
        elif isinstance(held, random.Random):
            undo.append(partial(held.setstate, held.getstate()))
        elif isinstance(held, np.random.Generator):
            undo.append(partial(setattr, held.bit_generator, "state", held.bit_generator.state))
    for buffer in part.buffers(recurse=False):
        undo.append(partial(_values_back, buffer, buffer.detach().clone()))
    for parameter in part.parameters(recurse=False):
        undo.append(partial(setattr, parameter, "grad", parameter.grad))
        if parameter.grad is not None:
            undo.append(partial(_values_back, parameter.grad, parameter.grad.clone()))
    return undo


def _state_back(generator: torch.Generator, before: torch.Tensor) -> None:
    """A generator where it was."""
    generator.set_state(before)


def _attributes_back(part: nn.Module, before: dict) -> None:
    """The module's attributes as they were; what came in the meantime goes."""
    vars(part).clear()
    vars(part).update(before)


def _contents_back(held: Any, before: Any) -> None:
    """The contents of a dict, a list or a set as they were."""
    held.clear()
    held.extend(before) if isinstance(held, list) else held.update(before)


def _values_back(tensor: torch.Tensor, before: torch.Tensor) -> None:
    """The numbers of a tensor as they were, if they changed."""
    with torch.no_grad():
        if tensor.shape != before.shape or not torch.equal(tensor, before):
            tensor.data = before if tensor.shape != before.shape else tensor.copy_(before)


def seed_all(seed: int) -> None:
    """Seed torch's global generators; `torch.manual_seed` also notes a traceback, which takes longer than a layer.

    >>> seed_all(0)
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


@contextmanager
def buffers_kept(model: Callable) -> Iterator[None]:
    """Inside ``with`` a forward pass may change buffers, as BatchNorm's does; afterwards they are as before.

    >>> model = nn.BatchNorm1d(1)
    >>> with buffers_kept(model):
    ...     _ = model(torch.tensor([[1.0], [3.0]]))
    >>> model.running_mean
    tensor([0.])
    """
    kept = [(buffer, buffer.detach().clone()) for _, part in named_parts(model) for buffer in part.buffers(False)]
    try:
        yield
    finally:
        for buffer, before in kept:
            _values_back(buffer, before)


@contextmanager
def in_float32(model: Callable) -> Iterator[bool]:
    """Inside ``with`` all float16 and bfloat16 numbers of a model are float32; whether there were any.

    >>> model = nn.Linear(1, 1).bfloat16()
    >>> with in_float32(model):
    ...     print(model.weight.dtype)
    torch.float32
    >>> model.weight.dtype
    torch.bfloat16
    """
    tensors = [t for _, part in named_parts(model) for t in (*part.parameters(False), *part.buffers(False))]
    narrow = [(t, t.data) for t in tensors if t.dtype in (torch.float16, torch.bfloat16)]
    try:
        for tensor, data in narrow:
            tensor.data = data.float()
        yield bool(narrow)
    finally:
        for tensor, data in narrow:
            tensor.data = data


def _undo_generators() -> list[Callable[[], None]]:
    """Steps that bring the global generators of torch, numpy and Python back."""
    undo: list[Callable[[], None]] = [partial(torch.set_rng_state, torch.get_rng_state())]
    if torch.cuda.is_initialized():
        undo.append(partial(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all()))
    undo.append(partial(random.setstate, random.getstate()))
    undo.append(partial(np.random.set_state, np.random.get_state()))
    return undo


def set_mode(model: Callable, *, train: bool) -> None:
    """Train or eval mode in every part, but no dropout: layers of that name stay in eval mode.

    >>> model = nn.Sequential(nn.Linear(1, 1), nn.Dropout(0.5)).eval()
    >>> set_mode(model, train=True)
    >>> [part.training for part in model]
    [True, False]
    """
    for _, part in named_parts(model):
        part.training = train and not any(name in type(part).__name__.lower() for name in ("drop", "stochasticdepth"))
        if isinstance(part, nn.RNNBase):
            part.dropout = 0.0
