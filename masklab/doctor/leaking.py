"""What each output depends on in each mode, and what of that is not allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from masklab.doctor import dependence as look
from masklab.doctor.codes import CODES, NOTE
from masklab.doctor.dependence import Measured
from masklab.doctor.exam import EVAL, FAST, TRAIN, Exam, in_mode
from masklab.doctor.inputs import Case, other_ids, precision
from masklab.doctor.report import finding
from masklab.doctor.undisturbed import named_parts
from masklab.doctor.verdicts import Leak, leaks
from masklab.doctor.words import RECURRENT, begins, depends, fix_for, one_way, pairs

OTHER = 100  # times the tolerance: no other order of sums makes such a difference, but another mask does


def look_for_leaks(exam: Exam) -> None:
    """What does each output depend on, in each mode whose outputs are its own?

    >>> from masklab.models import GPT
    >>> exam = Exam.of(GPT(10, dim=8), torch.tensor([[5, 3, 8], [4, 9, 1]]), allowed="causal")
    >>> exam.prepare()
    >>> look_for_leaks(exam)
    >>> exam.measured["eval mode"].real[0].int()
    tensor([[1, 0, 0],
            [1, 1, 0],
            [1, 1, 1]], dtype=torch.int32)
    """
    L = exam.case.x.shape[1]
    some = f" of {look.MOST_ROWS} of {L} outputs" if L > look.MOST_ROWS else ""
    of_main = f" of {exam.case.main}" if exam.case.main else ""
    exam.checked.append(f"dependence{some} on each position{of_main}, against {exam.claim.name}")
    known: list[Tensor] = []
    for mode in (EVAL, TRAIN, FAST):
        output = exam.outputs.get(mode)
        if output is None or any(not look.differ(output, other, exam.tolerance).any() for other in known):
            continue
        known.append(output)
        exam.measured[mode] = measured = _measure(exam, mode)
        found = leaks(exam.case, exam.claim, measured)
        if found and mode != FAST:
            found = _first_layer(exam, mode) or found
        for leak in found:
            _report_leak(exam, leak, mode)


def _measure(exam: Exam, mode: str) -> Measured:
    """The measured matrix of one mode: by gradients, or by changes where there are none, or one is not finite."""
    case, base = exam.case_in(mode), exam.outputs[mode]
    found = None
    if mode != FAST and case.width(case.main) is not None:
        with in_mode(case, mode), look.for_gradients():
            found = _by_gradients(exam, mode)
    with in_mode(case, mode):
        if found is None or found.broken or not found.size.any():
            changes = look.by_changes(case, case.main, base, exam.tolerance)
            return changes if found is None or not found.size.any() else _joined(found, changes, exam)
        return _with_ids(exam, found, base)


def _by_gradients(exam: Exam, mode: str) -> Measured | None:
    """Measure by gradients; sentences one by one if they depend on each other. None if that can't be done."""
    case = exam.case
    nudge = case.nudge(case.main).requires_grad_()
    try:
        outputs = case.run({case.main: nudge})
        if not outputs.requires_grad or look.differ(outputs.detach(), exam.outputs[mode], OTHER * exam.tolerance).any():
            return None  # with the plain kernel it says something else: its gradients would be another model's
        exam.mixed[mode] = mixed = _mixed(exam, outputs, nudge)
        return look.by_gradients(case, exam.claim.may, outputs, nudge, apart=bool(mixed.any()))
    except look.NOT_RUN:
        return None


def _joined(found: Measured, changes: Measured, exam: Exam) -> Measured:
    """Two measurements as one, if a gradient was not finite: a NaN is no proof of anything."""
    finite = found.size.isfinite()
    if not exam.has("non-finite"):
        case = exam.case
        read = finite | ~case.words[:, found.rows, None]  # of outputs that nobody reads no gradient is taken
        at_words = ~read.all(dim=1) & (case.words if case.main == case.padded else True)
        says = "The outputs are finite, but a gradient on the way back is not"
        says += "." if at_words.any() else ": that of the padding's own vector, and no other."
        exam.found.append(finding("non-finite", says, severity=None if at_words.any() else NOTE))
    real = found.real & finite | changes.real[:, found.rows]
    return replace(found, real=real, size=found.size.nan_to_num(nan=0.0, posinf=0.0) + real)


def _with_ids(exam: Exam, found: Measured, base: Tensor) -> Measured:
    """A look past the embedding, and past hard choices: other ids where some outputs must not look. Do these change?

    All become one id, which changes their largest and their number, or each becomes another one.
    """
    case, L = replace(exam.case, lookups={}), exam.case.x.shape[1]
    if case.x.is_floating_point() or (found.real & ~exam.claim.may[:, found.rows]).any():  # a leak is found already
        return found
    for i, same in ((0, True), (L // 2, False), (3 * L // 4, True)):
        where = ~exam.claim.may[:, i] & (case.pad if case.pad is not None and case.padded == case.main else True)
        try:
            hit = _outputs_hit(exam, case, where, base, same=same)
        except look.NOT_RUN:
            return found
        if hit.any():
            return _one_by_one(exam, case, where, base, same=same)
    return found


def _outputs_hit(exam: Exam, case: Case, where: Tensor, base: Tensor, *, same: bool) -> Tensor:
    """Which outputs (B, L) change with the ids at ``where`` (B, S), though they may look at none of them."""
    if not where.any():
        return torch.zeros_like(where)
    ids = case.x.masked_fill(where, int(case.x[case.words].min())) if same else other_ids(case, case.main, where)
    free = ~(exam.claim.may & where[:, None]).any(dim=-1)
    return look.differ(case.changed(case.main, ids).run().detach(), base, exam.tolerance) & free


def _one_by_one(exam: Exam, case: Case, where: Tensor, base: Tensor, *, same: bool) -> Measured:
    """Which positions change an output that they must not; where no single one does, those of one sentence together."""
    changes = look.by_changes(case, case.main, base, exam.tolerance)
    for b in range(len(where) * (not (changes.real & ~exam.claim.may).any())):
        own = where & (torch.arange(len(where), device=where.device) == b)[:, None]
        hit = _outputs_hit(exam, case, own, base, same=same)[b]
        changes.real[b] |= hit[:, None] & own[b]
    return changes


def _mixed(exam: Exam, outputs: Tensor, nudge: Tensor) -> Tensor:
    """Which sentence depends on which other one, (B, B) bool, by gradients."""
    size = look.across_batch(outputs, nudge).nan_to_num(nan=0.0, posinf=0.0)
    limit = 2 * precision(exam.case, outputs) * outputs[..., 0].numel() ** 0.5 * size.amax()
    return (size > limit) & ~torch.eye(len(size), dtype=torch.bool, device=size.device)


def _first_layer(exam: Exam, mode: str) -> list[Leak]:
    """The leaks after the first layer that has any: there their kind is seen best. Later layers smear it."""
    for layer, measured in after_layers(exam, mode):
        found = leaks(exam.case, exam.claim.after(layer), measured)
        if found:
            return found
    return []


def after_layers(exam: Exam, mode: str) -> Iterator[tuple[int, Measured]]:
    """The measured matrix after each layer, counted from 1. A layer is an entry of a ModuleList.

    >>> from masklab.models import GPT
    >>> exam = Exam.of(GPT(10, dim=8), torch.tensor([[5, 3, 8], [4, 9, 1]]), allowed="causal")
    >>> exam.prepare()
    >>> [layer for layer, measured in after_layers(exam, EVAL)]
    [1, 2]
    """
    case, layer = exam.case, 0
    if case.width(case.main) is None:
        return
    nudge = case.nudge(case.main).requires_grad_()
    with in_mode(case, mode), look.for_gradients():
        for output in _layer_outputs(case, nudge):
            measured = look.by_gradients(case, exam.claim.after(layer + 1).may, output, nudge)
            if measured is not None:  # None: a layer that doesn't read this input, as in the encoder of a translator
                layer += 1
                yield layer, measured


def _layer_outputs(case: Case, nudge: Tensor) -> list[Tensor]:
    """What each layer returns, (B, L, features) with its gradients."""
    B, L = case.x.shape[:2]
    kept: list[Tensor] = []

    def keep(name: str, module: nn.Module, output: Tensor) -> None:
        found = look.positions_last(output, B, L)
        if found is not None and output.shape[:2] in ((B, L), (L, B)) and found.requires_grad:
            kept.append(found)

    with look.recorded(_layers(case.model), keep):
        try:
            case.run({case.main: nudge})
        except look.NOT_RUN:
            return []
    return kept


def _layers(model: Callable) -> list[tuple[str, nn.Module]]:
    """The entries of every ModuleList that are no lists themselves."""
    lists = [part for _, part in named_parts(model) if isinstance(part, nn.ModuleList)]
    inside = {id(entry) for one in lists for entry in one}
    entries = [(name, part) for name, part in named_parts(model) if id(part) in inside]
    nested = {id(p) for _, entry in entries for p in list(entry.modules())[1:]}
    return [(name, part) for name, part in entries if id(part) not in nested]


def _report_leak(exam: Exam, leak: Leak, mode: str) -> None:
    """Put one leak in words, with the module in which it begins."""
    case, (b, i, j) = exam.case_in(mode), leak.cell
    where = torch.zeros(case.x.shape[:2], dtype=torch.bool, device=case.x.device)
    where[b, j] = True
    with in_mode(case, mode):
        place = look.where_it_begins(case, case.main, (b, i), where)
    code = "future-visible" if leak.code == "off-by-one" and j > i and fix_for(place) else leak.code  # it has no mask
    if any(one.code == code for one in exam.found):
        return
    backwards = code == "inverted" and any(isinstance(part, RECURRENT) for _, part in named_parts(case.model))
    fix = "x, not x.flip(1): a recurrent network must read from left to right" if backwards else fix_for(place)
    if code == "document-leak" and not exam.claim.documents[b].any():  # all are one group, as under a window
        fix = fix or "compare the two: your model's mask reaches farther back than the one you claim"
    if code == "future-visible":
        fix = fix or CODES[code].fix + "  # if it is causal: which axis has softmax, which view or mean comes after?"
    only = f" This is so in {mode} only." if len(exam.measured) > 1 or exam.errors else ""
    more = f" It is one of {leak.count} such pairs." * (leak.count > 1)
    first = "The model sees what it must not see, and not what it should. " if code == "inverted" else ""
    design = code in ("depends-on-padding", "document-leak") and j < i and one_way(case.model)
    says = (
        f"{first}{depends(case, leak.cell)}.{more}{begins(place)}{only}"
        + " A recurrent network can't help it." * design
    )
    exam.found.append(finding(
        code, says, where=pairs(leak.cell), severity="note" if design else None, fix=fix,
    ))  # fmt: skip
