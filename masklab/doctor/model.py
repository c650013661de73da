"""The doctor of a model: `check_model`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from masklab.doctor import cache, padding
from masklab.doctor import dependence as look
from masklab.doctor.claims import Claim, make_claim
from masklab.doctor.dependence import Measured
from masklab.doctor.inputs import Case, Watch, call, make_case, precision, widened, with_lookups
from masklab.doctor.report import Finding, Report, diagnosis, finding
from masklab.doctor.undisturbed import buffers_kept, in_float32, named_parts, seed_all, set_mode, undisturbed
from masklab.doctor.verdicts import Leak, leaks, sees_less, sees_nothing
from masklab.doctor.words import RECURRENT, begins, depends, fix_for, pairs, token
from masklab.masks import Rule
from masklab.panels import EXTRA, MISSED, NOT_MARKED, Panel

EVAL, TRAIN, FAST = "eval mode", "train mode", "eval mode without gradients"


@dataclass
class Exam:
    """One examination: the case, the claim, what each mode gave, and what was found so far."""

    case: Case
    outputs: dict[str, Tensor]
    errors: dict[str, Exception]
    claim: Claim = field(init=False)
    tolerance: float = 0.0
    measured: dict[str, Measured] = field(default_factory=dict)
    mixed: dict[str, Tensor] = field(default_factory=dict)
    found: list[Finding] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    panels: list[Panel] = field(default_factory=list)

    @property
    def first(self) -> str:
        """The mode to look at first: eval, if the model runs in it."""
        return next(iter(self.outputs))

    def case_in(self, mode: str) -> Case:
        """The case as it is run in a mode."""
        return self.case.unwatched if mode == FAST else self.case

    def has(self, *codes: str) -> bool:
        """Whether one of these was found, and is more than a note."""
        return any(one.code in codes and one.severity != "note" for one in self.found)


def check_model(
    model: Callable, inputs: Tensor | Mapping[str, Any], *, allowed: str | Tensor | Rule, pad: Tensor | None = None,
    layers: bool = False,
) -> Report:  # fmt: skip
    """Measure what each output of a model depends on, and say in plain words what is wrong.

    ``model`` is any callable whose output is a tensor (B, L, …) or has ``.logits`` or ``.last_hidden_state``.
    ``inputs``: ids (B, L), floats (B, L, d), or a dict of keyword arguments, as Transformers models take them.
    ``allowed``: ``"causal"``, ``"full"``, or a keep-mask (query, key), True = may depend on it. ``pad`` (B, S) bool,
    True = a real token; by default the ``attention_mask`` among the inputs. With ``layers`` the measured matrix is
    also shown after every layer. The model is left as it was, also when it raises.
    Raises TypeError and ValueError for inputs that don't fit; what the model itself raises goes through.

    >>> from masklab.models import GPT
    >>> ids = torch.tensor([[5, 3, 8, 2], [4, 9, 1, 7]])
    >>> check_model(GPT(10, dim=8), ids, allowed="causal").ok
    True
    >>> everything = torch.ones(1, 1, 4, 4, dtype=torch.bool)
    >>> check_model(lambda ids: GPT(10, dim=8)(ids, everything), ids, allowed="causal").codes
    ('future-visible',)
    """
    with undisturbed(model):
        case = make_case(model, inputs, pad)
        make_claim(allowed, case, layers=1)  # a mask that doesn't fit is said before anything runs
        exam = Exam(case, *_runs(case))
        if not exam.outputs:
            raise exam.errors[EVAL]
        _finite(exam)
        with in_float32(model) if _widened(exam) else nullcontext():
            _examine(exam, allowed, layers=layers)
    return diagnosis(exam.found, exam.panels, exam.checked)


def _runs(case: Case) -> tuple[dict[str, Tensor], dict[str, Exception]]:
    """The outputs of each mode, and what each mode raised instead."""
    outputs: dict[str, Tensor] = {}
    errors: dict[str, Exception] = {}
    for mode in (EVAL, FAST, TRAIN):
        try:
            outputs[mode] = _run(case, mode)
        except Exception as error:
            errors[mode] = error
    return outputs, errors


def _examine(exam: Exam, allowed: str | Tensor | Rule, *, layers: bool) -> None:
    """Everything but finiteness. In float16 and bfloat16 rounding hides small leaks: here they are float32."""
    _prepare(exam, allowed)
    for step in (_randomness, _dependence, _batch, _modes, _padding, _cache, _hidden):
        step(exam)
    _pictures(exam, layers=layers)


def _widened(exam: Exam) -> bool:
    """Take the outputs in float32, if there is something narrower, and the model runs in float32, too."""
    with in_float32(exam.case.model) as narrow:
        wide = widened(exam.case)
        if not narrow and wide.x is exam.case.x:
            return False
        outputs, errors = _runs(wide)
    if outputs.keys() != exam.outputs.keys():
        return False
    exam.case, exam.outputs = wide, outputs
    return True


def _prepare(exam: Exam, allowed: str | Tensor | Rule) -> None:
    """Find the embeddings, count the attentions, and measure what rounding does."""
    mode = exam.first
    case = exam.case_in(mode)
    with _mode(case, mode):
        watch = Watch()
        if mode != FAST:
            seed_all(0)
            with watch, torch.no_grad():
                call(case.model, case.inputs)
            exam.case = case = with_lookups(case, watch)
        exam.tolerance = look.noise(case, exam.outputs[mode])
    recurrent = any(isinstance(part, RECURRENT) for _, part in named_parts(case.model))
    exam.claim = make_claim(allowed, case, layers=0 if recurrent else watch.attentions)


@contextmanager
def _mode(case: Case, mode: str) -> Iterator[None]:
    """Inside ``with`` the model is in a mode, without dropout; what a run does to its buffers is undone."""
    set_mode(case.model, train=mode == TRAIN)
    with torch.set_grad_enabled(mode != FAST), buffers_kept(case.model):
        yield


def _run(case: Case, mode: str) -> Tensor:
    """The output of one mode."""
    with _mode(case, mode):
        return (case.unwatched if mode == FAST else case).run().detach()


# --- The steps --------------------------------------------------------------------------------------------------------

LEAKS = ("inverted", "off-by-one", "future-visible", "batch-leak", "document-leak", "depends-on-padding")


def _finite(exam: Exam) -> None:
    """First of all: is every number finite? A NaN hides what comes after."""
    exam.checked.append("finite outputs")
    for mode, output in exam.outputs.items():
        bad = ~output.isfinite().all(dim=-1)  # (B, L)
        if bad.any():
            b, i = bad.nonzero()[0].tolist()
            share = "all outputs are" if bad.all() else f"{int(bad.sum())} of {bad.numel()} outputs are"
            says = f"In {mode} {share} not finite, the first at {token(exam.case, b, i)} of sentence {b}."
            says += begins(_first_bad(exam.case, mode))
            exam.found.append(finding("non-finite", says, where=f"sentence {b}, output {i}"))
            return


def _first_bad(case: Case, mode: str) -> tuple[str, nn.Module] | None:
    """The first module that returns a number that is not finite."""
    bad: list[tuple[str, nn.Module]] = []

    def keep(name: str, module: nn.Module, output: Tensor) -> None:
        if not output.isfinite().all():
            bad.append((name, module))

    with look.recorded(named_parts(case.model), keep):
        _run(case, mode)
    return bad[0] if bad else None


def _randomness(exam: Exam) -> None:
    """Does a run in eval mode with another seed, dropout and all, agree with the first, without dropout?"""
    if EVAL not in exam.outputs:
        return
    exam.checked.append("two runs in eval mode")
    with _mode(exam.case, EVAL), torch.no_grad():
        again = exam.case.run(random=True, seed=1)
    if look.differ(again, exam.outputs[EVAL], exam.tolerance).any():
        exam.found.append(finding(
            "train-eval-differ", "Two runs in eval mode with the same inputs differ: something is drawn at random.",
            fix="dropout_p=self.dropout if self.training else 0.0  # for F.scaled_dot_product_attention",
        ))  # fmt: skip


def _dependence(exam: Exam) -> None:
    """What does each output depend on, in each mode whose outputs are its own?"""
    L = exam.case.x.shape[1]
    some = f" of {look.MOST_ROWS} of {L} outputs" if L > look.MOST_ROWS else ""
    exam.checked.append(f"dependence{some} on each position, against {exam.claim.name}")
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
        with _mode(case, mode), look.for_gradients():
            found = _by_gradients(exam, mode)
    with _mode(case, mode):
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
        if not outputs.requires_grad:
            return None
        exam.mixed[mode] = mixed = _mixed(exam, outputs, nudge)
        return look.by_gradients(case, exam.claim.may, outputs, nudge, apart=bool(mixed.any()))
    except look.NOT_RUN:
        return None


def _joined(found: Measured, changes: Measured, exam: Exam) -> Measured:
    """Two measurements as one, if a gradient was not finite: a NaN is no proof of anything."""
    if not exam.has("non-finite"):
        exam.found.append(finding("non-finite", "The outputs are finite, but a gradient on the way back is not."))
    finite = found.size.isfinite()
    real = found.real & finite | changes.real[:, found.rows]
    return replace(found, real=real, size=found.size.nan_to_num(nan=0.0, posinf=0.0) + real)


@torch.no_grad()
def _with_ids(exam: Exam, found: Measured, base: Tensor) -> Measured:
    """A look past the embedding: other ids at all forbidden positions of a few outputs. What else reads the ids?"""
    case, claim = replace(exam.case, lookups={}), exam.claim
    if case.x.is_floating_point() or (found.real & ~claim.may[:, found.rows]).any():  # a leak is found already
        return found
    for i in sorted({0, case.x.shape[1] // 2}):
        where = ~claim.may[:, i] & (case.pad if case.pad is not None and case.padded == case.main else True)
        try:
            after = look.outputs_after(case, case.main, where) if where.any() else base
        except look.NOT_RUN:
            return found
        if look.differ(after[:, i], base[:, i], exam.tolerance).any():
            return look.by_changes(case, case.main, base, exam.tolerance)
    return found


def _first_layer(exam: Exam, mode: str) -> list[Leak]:
    """The leaks after the first layer that has any: there their kind is seen best. Later layers smear it."""
    for layer, measured in _after_layers(exam, mode):
        found = leaks(exam.case, exam.claim.after(layer), measured)
        if found:
            return found
    return []


def _after_layers(exam: Exam, mode: str) -> Iterator[tuple[int, Measured]]:
    """The measured matrix after each layer, counted from 1. A layer is an entry of a ModuleList."""
    case, layer = exam.case, 0
    if case.width(case.main) is None:
        return
    nudge = case.nudge(case.main).requires_grad_()
    with _mode(case, mode), look.for_gradients():
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
    with _mode(case, mode):
        place = look.where_it_begins(case, case.main, (b, i), where)
    code = "future-visible" if leak.code == "off-by-one" and j > i and fix_for(place) else leak.code  # it has no mask
    if any(one.code == code for one in exam.found):
        return
    only = f" This is so in {mode} only." if len(exam.measured) > 1 or exam.errors else ""
    more = f", and so it is with {leak.count - 1} more pairs" if leak.count > 1 else ""
    first = "The model sees what it must not see, and not what it should. " if code == "inverted" else ""
    design = code in ("depends-on-padding", "document-leak") and j < i and _one_way(case.model)
    says = (
        f"{first}{depends(case, leak.cell)}{more}.{begins(place)}{only}"
        + " A recurrent network can't help it." * design
    )
    exam.found.append(finding(
        code, says, where=pairs(case, leak.cell), severity="note" if design else None, fix=fix_for(place),
    ))  # fmt: skip


def _one_way(model: Callable) -> bool:
    """Whether a model is recurrent, and reads from left to right only."""
    parts = [part for _, part in named_parts(model) if isinstance(part, RECURRENT)]
    return bool(parts) and not any(getattr(part, "bidirectional", False) for part in parts)


def _mixed(exam: Exam, outputs: Tensor, nudge: Tensor) -> Tensor:
    """Which sentence depends on which other one, (B, B) bool, by gradients."""
    size = look.across_batch(outputs, nudge).nan_to_num(nan=0.0, posinf=0.0)
    limit = 2 * precision(exam.case, outputs) * outputs[..., 0].numel() ** 0.5 * size.amax()
    return (size > limit) & ~torch.eye(len(size), dtype=torch.bool, device=size.device)


def _batch(exam: Exam) -> None:
    """Does a sentence depend on another one of the batch?"""
    case = exam.case
    if len(case.x) < 2:
        exam.checked.append("not sentences apart: there is only one")
        return
    exam.checked.append("sentences apart")
    for mode in exam.measured:
        with _mode(case, mode):
            b, j = _mixed_pair(exam, mode) or (0, 0)
        if b != j:
            _report_batch(exam, mode, b, j)
            return


def _mixed_pair(exam: Exam, mode: str) -> tuple[int, int] | None:
    """Two sentences of which the first depends on the second."""
    case = exam.case_in(mode)
    mixed = exam.mixed.get(mode)
    if mixed is not None and mixed.any():
        b, j = mixed.nonzero()[0].tolist()
        return b, j
    with torch.no_grad():
        for j in range(1 if mixed is not None else 2):  # gradients have told already, all but what the ids may do
            after = look.outputs_after(case, case.main, _whole(case, j))
            hit = look.differ(after, exam.outputs[mode], exam.tolerance).any(dim=1)
            hit[j] = False
            if hit.any():
                return int(hit.nonzero()[0]), j
    return None


def _whole(case: Case, j: int) -> Tensor:
    """All positions of one sentence, (B, L) bool."""
    where = torch.zeros(case.x.shape[:2], dtype=torch.bool, device=case.x.device)
    where[j] = True
    return where


def _report_batch(exam: Exam, mode: str, b: int, j: int) -> None:
    """Say that two sentences are mixed; what the same module lets through within a sentence is the same mistake."""
    case = exam.case_in(mode)
    with _mode(case, mode):
        with torch.no_grad():
            after = look.outputs_after(case, case.main, _whole(case, j))
        i = int((after - exam.outputs[mode])[b].nan_to_num().abs().amax(dim=-1).argmax())
        place = look.where_it_begins(case, case.main, (b, i), _whole(case, j))
    only = f" This is so in {mode} only." if len(exam.measured) > 1 else ""
    says = f"The outputs of sentence {b} depend on sentence {j}, another one of the batch.{begins(place)}{only}"
    same = begins(place)
    exam.found[:] = [one for one in exam.found if one.code not in LEAKS or not same or same not in one.says]
    exam.found.append(finding("batch-leak", says, where=f"sentence {b}, sentence {j}", fix=fix_for(place)))


def _modes(exam: Exam) -> None:
    """Do train and eval mode agree, with dropout off?"""
    exam.checked.append("train and eval mode")
    for mode, error in exam.errors.items():
        runs = " and ".join(exam.outputs)
        says = f"In {mode} the model raises {type(error).__name__} ({error}); it runs in {runs}."
        exam.found.append(finding("train-eval-differ", says))
        return
    if exam.has(*LEAKS, "non-finite"):
        return  # a leak in one mode is the cause of the difference
    base = exam.outputs[EVAL]
    for mode in (TRAIN, FAST):
        apart = look.differ(exam.outputs[mode], base, exam.tolerance)
        if not apart.any():
            continue
        words = apart & exam.case.words
        b, i = (words if words.any() else apart).nonzero()[0].tolist()
        says = f"The outputs of {mode} and of {EVAL} differ, first at {token(exam.case, b, i)} of sentence {b}"
        says += ", without dropout." if words.any() else ", at padding only: read the real positions only."
        exam.found.append(
            finding(
                "train-eval-differ", says, where=f"sentence {b}, output {i}", severity=None if words.any() else "note"
            )
        )
        return


def _padding(exam: Exam) -> None:
    """Do outputs at real positions depend on the padding?"""
    case = exam.case
    mode = exam.first
    if case.pad is None and not case.told:
        exam.checked.append("not padding: no pad was given")
        return
    if mode == FAST or exam.has("inverted", "batch-leak", "depends-on-padding", "non-finite"):
        exam.checked.append("no more of padding: what was found comes first" if mode != FAST else "not padding")
        return
    base = exam.outputs[mode]
    with _mode(case, mode):
        _scrambled(exam, base)
        _more_pads(exam, base)
        _alone(exam, base)


def _scrambled(exam: Exam, base: Tensor) -> None:
    """Something else stands in the pads."""
    case = exam.case
    if case.pad is None or case.pad.all() or case.width(case.padded) is None:
        return
    exam.checked.append("other vectors under the pads")
    _hit(exam, padding.scrambled(case, base, exam.tolerance), "when something else stands in its padding")


def _more_pads(exam: Exam, base: Tensor) -> None:
    """More pads on each side; without a mask among the inputs only on the side where padding is."""
    case = exam.case
    for side in ("right", "left"):
        if not case.told and not _pads_on(case, side):
            continue
        hit = padding.added(case, base, side, exam.tolerance)
        if hit is not None:
            exam.checked.append(f"more pads on the {side}")
            _hit(exam, hit, f"when {padding.ADDED} pads are added on the {side}", side=side)


def _alone(exam: Exam, base: Tensor) -> None:
    """Each sentence alone, without its pads."""
    hit = padding.alone(exam.case, base, exam.tolerance)
    if hit is not None:
        exam.checked.append("each sentence alone")
        side = "left" if _pads_on(exam.case, "left") else "right"
        _hit(exam, hit, "when it runs alone, without its padding", side=side)


def _pads_on(case: Case, side: str) -> bool:
    """Whether a sentence has padding on this side."""
    return case.pad is not None and not bool(case.pad[:, 0 if side == "left" else -1].all())


def _hit(exam: Exam, hit: padding.Change, how: str, *, side: str = "") -> None:
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
    design = side != "right" and _pads_on(case, "left") and (_one_way(case.model) or _anchored(exam))
    says = f"The output at {token(case, b, i)} of sentence {b} {'is NaN' if hit.broken else 'changes'} {how}"
    says += ", which nobody does here: it matters if you pad on the left." if unused else "."
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


def _cache(exam: Exam) -> None:
    """Does a model that keeps a cache say the same as without?"""
    causal = not exam.claim.reach.triu(1).any()
    if not causal:
        return
    if exam.has(*LEAKS, "non-finite", "depends-on-pad-side"):
        exam.checked.append("not a cache: what was found comes first")
        return
    mode = exam.first
    with _mode(exam.case, mode):
        hit = cache.cached(exam.case, exam.outputs[mode], exam.tolerance)
    if hit is None:
        exam.checked.append("not a cache: none was found, or it can't be read in pieces")
        return
    exam.checked.append("with and without a cache")
    if hit.any():
        b, i = hit.nonzero()[0].tolist()
        says = f"With a cache the output at {token(exam.case, b, i)} of sentence {b} is another one than without."
        exam.found.append(finding("misaligned-cache", says, where=f"sentence {b}, output {i}"))


def _hidden(exam: Exam) -> None:
    """What can't be decided, and what is not seen though it might be."""
    gates = _gates(exam.case.model)
    if gates:
        says = (
            f"{', '.join(gates[:3])} {'is' if len(gates) == 1 else 'are'} zero: what stands behind can't be measured."
        )
        exam.found.append(finding(
            "undecided", says, fix="train a few steps, or set these weights to small random numbers, and look again"
        ))  # fmt: skip
    measured = next(iter(exam.measured.values()))
    if exam.has("non-finite"):
        return
    if not measured.size.any():
        exam.found.append(
            finding("undecided", "The outputs don't depend on the inputs at all, so nothing can be measured.")
        )
    elif not exam.has(*LEAKS, "non-finite") and not gates and measured.how == "gradients":
        cell = sees_less(exam.claim, measured, exam.case)
        if cell is not None:
            b, i, j = cell
            less = "sees no other position" if sees_nothing(measured) else f"doesn't depend on {token(exam.case, b, j)}"
            says = f"In sentence {b} the output at {token(exam.case, b, i)} {less}, though it may. Is there a window?"
            exam.found.append(finding("over-blocked", says, where=pairs(exam.case, cell)))


def _gates(model: Callable) -> list[str]:
    """Weights that are all zero and are multiplied with something: nothing comes through, whatever it is."""
    found = []
    for name, part in named_parts(model):
        for own, parameter in part.named_parameters(recurse=False):
            factor = parameter.numel() and parameter.is_floating_point() and _multiplies(part, own, parameter)
            if factor and not parameter.detach().any():
                found.append(f"{name}.{own}".lstrip("."))
    return found


def _multiplies(part: nn.Module, name: str, parameter: Tensor) -> bool:
    """Whether a parameter is a factor, as far as its name and its module tell; biases and tables are added."""
    if isinstance(part, nn.Embedding) or any(
        word in name.lower() for word in ("bias", "pos", "token", "beta", "shift")
    ):
        return False
    return name.startswith("weight") or name.endswith("weight") or parameter.ndim <= 1 or "lora_b" in name.lower()


# --- Pictures ---------------------------------------------------------------------------------------------------------


def _pictures(exam: Exam, *, layers: bool) -> None:
    """Claimed beside measured, for the sentence with the most to see; after every layer where asked."""
    claim = exam.claim
    wrong = [(one.real & ~claim.may[:, one.rows]).sum(dim=(1, 2)) for one in exam.measured.values()]
    b = int(torch.stack(wrong).sum(dim=0).argmax())
    exam.panels.append(_panel(exam, b, "claimed", "What each output may depend on.", claim.may[b], None))
    for mode, measured in exam.measured.items():
        name = "measured" if mode == EVAL else f"measured in {mode}"
        exam.panels.append(_measured_panel(exam, b, name, f"What each output depends on, in {mode}.", measured, claim))
    if layers:
        mode = next((mode for mode in exam.measured if mode != FAST), FAST)
        for layer, measured in _after_layers(exam, mode) if mode != FAST else ():
            meaning = f"What each position knows after layer {layer}."
            panel = _measured_panel(exam, b, f"after layer {layer}", meaning, measured, claim.after(layer))
            exam.panels.append(panel)


def _measured_panel(exam: Exam, b: int, name: str, meaning: str, measured: Measured, claim: Claim) -> Panel:
    """A measured matrix, marked where it differs from what is claimed."""
    may, seen = claim.may[b, measured.rows], measured.real[b]
    marks = torch.full(seen.shape, NOT_MARKED, dtype=torch.uint8)
    marks[(seen & ~may).cpu()] = EXTRA
    marks[(may & claim.reach[b, measured.rows] & claim.read[b, measured.rows] & (measured.size[b] == 0)).cpu()] = MISSED
    return _panel(exam, b, name, meaning, seen, marks, measured.rows.tolist())


def _panel(
    exam: Exam, b: int, name: str, meaning: str, values: Tensor, marks: Tensor | None, rows: list[int] | None = None
) -> Panel:
    """One matrix of outputs and inputs as a panel."""
    case = exam.case
    words = [str(i) if case.x.is_floating_point() else str(int(case.x[b, i])) for i in range(case.x.shape[1])]
    pads = (~case.words[b]).tolist()
    rows = list(range(len(words))) if rows is None else rows
    return Panel(
        name=name, kind="mask", values=values.int().cpu(), rows=[words[i] for i in rows], columns=words, title=name,
        meaning=f"{meaning} Sentence {b}.", axes=("output", "input"), marks=marks, places=rows,
        row_pads=[pads[i] for i in rows], column_pads=pads,
    )  # fmt: skip
