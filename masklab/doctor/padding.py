"""Whether outputs at real positions depend on the padding: what is in it, how much there is, and on which side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from masklab.doctor.dependence import NOT_RUN, differ, outputs_after
from masklab.doctor.inputs import OF_THE_TARGET, PADS, TARGETS, ZEROS, Case

ADDED = 2  # so many pads are added on a side


class Change(NamedTuple):
    """Which outputs (B, L) changed, and whether one of them is no longer finite."""

    cells: Tensor
    broken: bool


def changed(case: Case, after: Tensor, base: Tensor, tolerance: float) -> Change:
    """What changed at real positions."""
    cells = differ(after, base, tolerance) & case.words
    return Change(cells, bool((base.isfinite() & ~after.isfinite())[cells].any()))


def scrambled(case: Case, base: Tensor, tolerance: float) -> Change:
    """Which real outputs change when something else stands in the pads."""
    assert case.pad is not None
    return changed(case, outputs_after(case, case.padded, ~case.pad), base, tolerance)


def added(case: Case, base: Tensor, side: str, tolerance: float) -> Change | None:
    """Which real outputs change when pads are added on a side; None where that can't be tried."""
    more = with_pads(case, side)
    if more is None:
        return None
    try:
        output = more.run()
    except NOT_RUN:
        return None
    if case.padded == case.main:
        output = output[:, ADDED:] if side == "left" else output[:, :-ADDED]
    return changed(case, output, base, tolerance) if output.shape == base.shape else None


def with_pads(case: Case, side: str) -> Case | None:
    """The case with more pads on a side, if its inputs say which positions are pads."""
    ids = case.inputs[case.padded]
    fill: float | int | bool = 0
    if not ids.is_floating_point() and case.pad is not None and not case.pad.all():
        known = ids[~case.pad].unique()
        if len(known) > 1 and not case.told:
            return None
        fill = int(known[0])
    if not case.told and (ids.is_floating_point() or case.pad is None or case.pad.all()):
        return None
    inputs = dict(case.inputs)
    for name, value in case.inputs.items():
        if not isinstance(value, Tensor) or not _belongs(case, name, value):
            continue
        if name != case.padded and name not in PADS and name not in ZEROS:
            return None
        inputs[name] = _longer(value, fill if name == case.padded else PADS.get(name, 0), side)
    pad = None if case.pad is None else _longer(case.pad, False, side)
    words = _longer(case.words, False, side) if case.main == case.padded else case.words
    return replace(case, inputs=inputs, pad=pad, words=words)


def _belongs(case: Case, name: str, value: Tensor) -> bool:
    """Whether an input has one entry for each position of the padded input."""
    length = case.inputs[case.padded].shape[1]
    if case.main != case.padded and name.startswith(OF_THE_TARGET):
        return False
    return name == case.padded or length in value.shape[1:]


def _longer(value: Tensor, fill: float | int | bool, side: str) -> Tensor:
    """More of the same value on a side of axis 1."""
    more = torch.full((len(value), ADDED, *value.shape[2:]), fill, dtype=value.dtype, device=value.device)
    return torch.cat([more, value] if side == "left" else [value, more], dim=1)


def alone(case: Case, base: Tensor, tolerance: float) -> Change | None:
    """Which real outputs differ from those of the sentence alone, without its pads; None: can't be tried."""
    after = base.clone()
    tried = False
    for b, one in _each_alone(case):
        try:
            output = one.run()
        except NOT_RUN:
            return None
        kept = case.words[b] if case.main == case.padded else torch.ones_like(case.words[b])
        if output.shape != (1, int(kept.sum()), base.shape[-1]):
            return None
        after[b, kept] = output[0].detach()
        tried = True
    return changed(case, after, base, tolerance) if tried else None


def _each_alone(case: Case) -> Iterator[tuple[int, Case]]:
    """Each sentence by itself, cut to its real positions, with everything that belongs to it."""
    if case.pad is None or len(case.x) == case.x.shape[1]:  # with as many sentences as positions axes can't be told
        return
    for b, real in enumerate(case.pad):
        if not real.any():
            continue
        inputs = {name: _cut(case, name, value, b, real) for name, value in case.inputs.items()}
        words = case.words[b : b + 1, real] if case.main == case.padded else case.words[b : b + 1]
        yield b, replace(case, inputs=inputs, pad=real[real][None], words=words)


def _cut(case: Case, name: str, value: object, b: int, real: Tensor) -> object:
    """One sentence of an input, without its pads."""
    if not isinstance(value, Tensor) or value.ndim == 0:
        return value
    axes = _axes_of_positions(value, len(case.x), len(real))
    if value.shape[0] == len(case.x):
        value = value[b : b + 1]
    of_target = name.startswith((*OF_THE_TARGET, *TARGETS)) and not name.startswith("memory")
    if case.main != case.padded and of_target:
        return value
    for axis in axes:
        value = value.index_select(axis, real.nonzero()[:, 0])
    return value


def _axes_of_positions(value: Tensor, batch: int, length: int) -> list[int]:
    """The axes of an input that count positions, not sentences, heads or features.

    A mask is (query, key), (batch, query, key) or (batch, head, query, key); vectors are (batch, position, features).
    """
    if value.shape == (length, length):
        return [0, 1]
    features = value.ndim == 3 and value.is_floating_point()
    return [axis for axis in range(1, 2 if features else value.ndim) if value.shape[axis] == length]
