"""Whether outputs at real positions depend on the padding: what is in it, how much there is, and on which side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from masklab.doctor.codes import WARNING
from masklab.doctor.dependence import NOT_RUN, differ, outputs_after
from masklab.doctor.exam import FAST, Exam, in_mode
from masklab.doctor.inputs import OF_THE_TARGET, PADS, TARGETS, ZEROS, Case
from masklab.doctor.report import finding
from masklab.doctor.words import one_way, token

ADDED = 2  # so many pads are added on a side


class Change(NamedTuple):
    """Which outputs (B, L) changed, and whether one of them is no longer finite."""

    cells: Tensor
    broken: bool


def look_at_padding(exam: Exam) -> None:
    """Do outputs at real positions depend on the padding?

    >>> from masklab.models import GPT
    >>> exam = Exam.of(GPT(10, dim=8), torch.tensor([[5, 3, 8], [4, 9, 1]]), allowed="causal")
    >>> exam.prepare()
    >>> look_at_padding(exam)
    >>> exam.checked
    ['not padding: no pad was given']
    """
    case = exam.case
    mode = exam.first
    _no_words(exam)
    if case.pad is None and not case.told:
        exam.checked.append("not padding: no pad was given")
        return
    if mode == FAST or exam.has("inverted", "batch-leak", "depends-on-padding", "non-finite"):
        exam.checked.append("no more of padding: what was found comes first" if mode != FAST else "not padding")
        return
    base = exam.outputs[mode]
    with in_mode(case, mode):
        _scrambled(exam, base)
        _more_pads(exam, base)
        _alone(exam, base)


def _no_words(exam: Exam) -> None:
    """A sentence of which nothing is real: the padding mask may be inverted."""
    pad = exam.case.pad
    if pad is None or pad.any(dim=1).all() or exam.has("inverted"):
        return
    b = int((~pad.any(dim=1)).nonzero()[0])
    says = f"Sentence {b} has no real token, so all its rows are fully masked. Is the padding mask inverted?"
    fix = "attention_mask = pad.long()  # 1 = a real token; a key_padding_mask of torch is the opposite"
    exam.found.append(finding("empty-row", says, where=f"sentence {b}", severity=WARNING, fix=fix))


def _scrambled(exam: Exam, base: Tensor) -> None:
    """The pads hold something else."""
    case = exam.case
    if case.pad is None or case.pad.all() or case.width(case.padded) is None:
        return
    exam.checked.append("other vectors under the pads")
    _hit(exam, _other_pads(case, base, exam.tolerance), "when its padding holds something else")


def _more_pads(exam: Exam, base: Tensor) -> None:
    """More pads on each side; without a mask among the inputs only on the side where padding is."""
    case = exam.case
    for side in ("right", "left"):
        if not case.told and not _pads_on(case, side):
            continue
        hit = _added(case, base, side, exam.tolerance)
        if hit is not None:
            exam.checked.append(f"more pads on the {side}")
            _hit(exam, hit, f"when {ADDED} pads are added on the {side}", side=side)


def _alone(exam: Exam, base: Tensor) -> None:
    """Each sentence alone, without its pads."""
    hit = _cut_alone(exam.case, base, exam.tolerance)
    if hit is not None:
        exam.checked.append("each sentence alone")
        side = "left" if _pads_on(exam.case, "left") else "right"
        _hit(exam, hit, "when it runs alone, without its padding", side=side)


def _pads_on(case: Case, side: str) -> bool:
    """Whether a sentence has padding on this side."""
    return case.pad is not None and not bool(case.pad[:, 0 if side == "left" else -1].all())


def _hit(exam: Exam, hit: Change, how: str, *, side: str = "") -> None:
    """Say that outputs change with the padding, unless a leak that was found explains it."""
    case = exam.case
    known = ("depends-on-padding", "depends-on-pad-side", "document-leak", "batch-leak")
    if case.main == case.padded and side != "left":
        known = (*known, "future-visible", "off-by-one")  # padding on the right is a part of the future
    if not hit.cells.any() or exam.has(*known) or any(one.code.startswith("depends-on-pad") for one in exam.found):
        return
    b, i = hit.cells.nonzero()[0].tolist()
    code = "depends-on-pad-side" if side == "left" else "depends-on-padding"
    unused = side == "left" and not _pads_on(case, "left")
    design = side != "right" and _pads_on(case, "left") and (one_way(case.model) or _anchored(exam))
    says = f"The output at {token(case, b, i)} of sentence {b} {'is NaN' if hit.broken else 'changes'} {how}"
    says += ". Your batch has no padding there: it matters if you pad on the left." if unused else "."
    says += " A recurrent or block-wise model can't help it: pad on the right." * design
    severity = "note" if unused or design else None
    exam.found.append(finding(code, says, where=f"sentence {b}, output {i}", severity=severity))


def _anchored(exam: Exam) -> bool:
    """Whether what is seen isn't the same from each position on: blocks are counted from the first one."""
    measured = next(iter(exam.measured.values()), None)
    if measured is None or measured.real.shape[1] != measured.real.shape[2]:
        return False
    words = exam.case.words
    seen = measured.size > 0
    both = words[:, 1:, None] & words[:, :-1, None] & words[:, None, 1:] & words[:, None, :-1]
    return bool(((seen[:, 1:, 1:] != seen[:, :-1, :-1]) & both).any())


# --- What changes -----------------------------------------------------------------------------------------------------


def _changed(case: Case, after: Tensor, base: Tensor, tolerance: float) -> Change:
    """What changed at real positions."""
    cells = differ(after, base, tolerance) & case.words
    return Change(cells, bool((base.isfinite() & ~after.isfinite())[cells].any()))


def _other_pads(case: Case, base: Tensor, tolerance: float) -> Change:
    """Which real outputs change when the pads hold something else."""
    assert case.pad is not None
    return _changed(case, outputs_after(case, case.padded, ~case.pad), base, tolerance)


def _added(case: Case, base: Tensor, side: str, tolerance: float) -> Change | None:
    """Which real outputs change when pads are added on a side; None where that can't be tried."""
    more = _with_pads(case, side)
    if more is None:
        return None
    try:
        output = more.run()
    except NOT_RUN:
        return None
    if case.padded == case.main:
        output = output[:, ADDED:] if side == "left" else output[:, :-ADDED]
    return _changed(case, output, base, tolerance) if output.shape == base.shape else None


def _with_pads(case: Case, side: str) -> Case | None:
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


def _cut_alone(case: Case, base: Tensor, tolerance: float) -> Change | None:
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
    return _changed(case, after, base, tolerance) if tried else None


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
