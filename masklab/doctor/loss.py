"""The X-ray of a loss: what each position is taught, read off one backward pass."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from masklab import validate
from masklab.doctor.codes import NOTE, WARNING
from masklab.doctor.report import Finding, Report, diagnosis, finding
from masklab.doctor.rows import LEAST_LEFT, Rows, read_rows
from masklab.panels import Panel, counted, number

SHIFTS = (1, 0, 2, -1, 3)  # where a label may come from: the next position first, so that a tie is no fault
MATCHES = 0.9  # of the labels that a shift must explain; repeated words let a wrong one explain a few
FOCAL = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0)  # the powers that people use
MOST_ROWS, MOST_COLUMNS = 16, 64  # of the panels


def check_loss(
    loss: Tensor, logits: Tensor, *, ids: Tensor, pad: Tensor | None = None, eos: int | None = None
) -> Report:
    """Read off a loss which positions it teaches, which label, shifted how far, with what weight.

    Call it before ``loss.backward()``, with the logits as the model gave them, before any slice or view. The graph
    stays usable, and no gradient is accumulated.
    Shapes: ``loss`` a scalar; ``logits`` (batch, position, class); ``ids`` (batch, position) int64, what the model
    read (the decoder, if there are two); ``pad`` the same, bool, True = a real token; ``eos`` the id that ends a
    sentence.
    Raises TypeError or ValueError for other tensors, or a loss that doesn't come from these logits.

    >>> import torch.nn.functional as F
    >>> ids, logits = torch.tensor([[5, 3, 7, 1]]), torch.zeros(1, 4, 9, requires_grad=True)
    >>> check_loss(F.cross_entropy(logits[0], ids[0]), logits, ids=ids).codes
    ('unshifted',)
    >>> check_loss(F.cross_entropy(logits[0, :-1], ids[0, 1:]), logits, ids=ids)
    Mask doctor: nothing found.
    Checked: 3 of 4 positions teach a label, it is the next token, each weighs 1/3, not padding: no pad was given, \
not the end: no eos was given.
    """
    _check_arguments(loss, logits, ids, pad)
    slopes = _gradient(loss, logits)
    real = torch.ones_like(ids, dtype=torch.bool) if pad is None else pad
    rows = read_rows(logits.detach(), slopes.nan_to_num(0.0, 0.0, 0.0))
    broken = ~slopes.isfinite().all(-1).cpu()
    taught = Taught(rows, broken, ids.cpu(), real.cpu(), eos, logits.dtype, loss.item())
    left_out = ["not padding: no pad was given"] * (pad is None) + ["not the end: no eos was given"] * (eos is None)
    findings = filter(None, (check(taught) for check in CHECKS))
    return diagnosis(findings, _panels(taught), [*_read(taught), *left_out])


def _check_arguments(loss: Tensor, logits: Tensor, ids: Tensor, pad: Tensor | None) -> None:
    """Refuse what is no loss, no logits, or doesn't belong together."""
    validate.floats("loss", loss, fix="Give the loss itself, before .item().")
    if loss.numel() != 1:
        raise ValueError(f"loss must be one number, got {validate.got(loss)}. Reduce it as you train with it.")
    validate.floats("logits", logits)
    validate.int64("ids", ids, axes=("batch", "position"))
    if logits.ndim != 3 or logits.shape[:2] != ids.shape or logits.shape[2] < 2 or not ids.numel():
        raise ValueError(
            f"logits must be (batch, position, class) for ids (batch, position), got {tuple(logits.shape)} and "
            f"{tuple(ids.shape)}. Give the model's own output, before any slice, view or transpose."
        )
    if pad is not None:
        validate.bool_mask("pad", pad, true="a real token", axes=("batch", "position"))
        validate.same_shape(ids=ids, pad=pad)


def _gradient(loss: Tensor, logits: Tensor) -> Tensor:
    """The loss's gradient at the logits; the graph is kept, and nothing is accumulated."""
    if not logits.requires_grad or not loss.requires_grad:
        name = "loss" if logits.requires_grad else "logits"
        raise ValueError(f"{name} must carry a gradient: compute the loss without torch.no_grad() or .detach().")
    try:
        with torch.enable_grad():
            (found,) = torch.autograd.grad(loss.sum(), logits, retain_graph=True, allow_unused=True)
    except RuntimeError as error:
        if "second time" not in str(error):
            raise
        raise ValueError("the graph of loss is gone: call check_loss before loss.backward().") from error
    if found is None:
        raise ValueError(
            "loss must come from these logits, and it doesn't. Give the very tensor that the loss was computed from, "
            "not a slice, a view or a copy of it."
        )
    return found


@dataclass(frozen=True, eq=False)
class Taught:
    """What every position is taught. Shapes: (batch, position); ``real``: True = a real token; ``broken``: NaN or ∞."""

    rows: Rows
    broken: Tensor
    ids: Tensor
    real: Tensor
    eos: int | None
    dtype: torch.dtype
    loss: float

    @cached_property
    def shift(self) -> int | None:
        """How many positions after its own each position's label stands in the ids; None where no shift explains it."""
        shares = {shift: self._share(shift) for shift in SHIFTS}
        best = max(shares, key=lambda shift: shares[shift])  # of equal ones the first
        return best if shares[best] >= MATCHES else None

    def _share(self, shift: int) -> float:
        """How many of the labels are the ids so far away, of those that can be; beyond the end nothing can be told."""
        there, wanted = self.rows.read & self._inside(shift), self.moved(self.ids, shift)
        return ((self.rows.label == wanted) & there).sum().item() / max(1, int(there.sum()))

    @cached_property
    def of_the_next_sentence(self) -> bool:
        """Whether labels are the ids of the next or the last sentence, as after a shift along the wrong axis."""
        read = self.rows.read
        for step in (-1, 1) if len(self.ids) > 1 and read.any() else ():
            if ((self.rows.label == self.ids.roll(step, 0)) & read).sum() >= MATCHES * read.sum():
                return True
        return False

    def _inside(self, shift: int) -> Tensor:
        """Whether there is a position so far away."""
        places = torch.arange(self.ids.shape[1]) + shift
        return ((places >= 0) & (places < self.ids.shape[1])).expand_as(self.ids)

    def moved(self, values: Tensor, shift: int) -> Tensor:
        """What stands ``shift`` positions further on, or at the end where there is nothing."""
        places = (torch.arange(self.ids.shape[1]) + shift).clamp(0, self.ids.shape[1] - 1)
        return values[:, places]

    @cached_property
    def learned(self) -> Tensor:
        """Which tokens are learned as labels, if the shift is known."""
        assert self.shift is not None
        return self.moved(self.rows.alive, -self.shift) & self._inside(-self.shift)

    @cached_property
    def even(self) -> bool:
        """Whether all weights are equal, but for rounding."""
        return not len(self.weights) or bool(self.weights.max() <= self.weights.min() * (1 + self.tolerance))

    @cached_property
    def tolerance(self) -> float:
        """How far equal weights may be apart: rounding moves a gradient by a few units in its last place."""
        return max(1e-3, 8 * torch.finfo(self.dtype).eps)

    @property
    def all_certain(self) -> bool:
        """Whether the model may be so certain of all labels that no gradient is seen: the mean of none would be NaN."""
        hidden, words = (self.rows.certain & self.real).sum(), self.real.sum()
        return bool(2 * hidden > words) and not math.isnan(self.loss)

    @cached_property
    def sure(self) -> Tensor:
        """Where the weight is known well: the model isn't certain of the label."""
        return self.rows.read & (1 - self.rows.p > LEAST_LEFT)

    @cached_property
    def weights(self) -> Tensor:
        """The weights that are known well."""
        return self.rows.weight[self.sure]

    def at(self, positions: Tensor, *, label: bool = True) -> str:
        """The first of these positions in words, its token and label, and how many more there are."""
        b, t = positions.nonzero()[0].tolist()
        words = [f"sentence {b}"] * (len(positions) > 1) + [f"position {t} (id {self.ids[b, t]})"]
        more = int(positions.sum()) - 1
        learns = f" learns id {self.rows.label[b, t]}" if label and self.rows.read[b, t] else ""
        return ", ".join(words) + learns + f", and {counted(more, 'more position')}" * bool(more)


# --- The checks, in the order in which they are told ------------------------------------------------------------------


def _non_finite(taught: Taught) -> Finding | None:
    """A gradient that is NaN or infinite."""
    if not taught.broken.any():
        return None
    says = (
        "The gradient of the loss is NaN or infinite here, and one such position spoils every weight of the model. "
        "Leave positions out before the logarithm: 0 · NaN is NaN."
    )
    fix = "losses = F.cross_entropy(logits[supervised], labels[supervised])  # in place of losses * supervised"
    return finding("non-finite", says, where=taught.at(taught.broken, label=False), fix=fix)


def _nothing(taught: Taught) -> Finding | None:
    """No position has a gradient; or a whole sentence has none, which is worth a note."""
    alive = taught.rows.alive | taught.broken
    if not alive.any() and not taught.all_certain:
        says = f"No position teaches anything: the loss is {number(taught.loss)} and its gradient is zero everywhere."
        return finding("nothing-supervised", says, where=f"all {counted(alive.numel(), 'position')}")
    idle = alive.any() & ~(alive | taught.rows.certain).any(dim=1) & (taught.real.sum(dim=1) > 1)
    if not idle.any():
        return None
    says = "This sentence teaches nothing. Was its answer truncated?"
    first, more = int(idle.nonzero()[0]), int(idle.sum()) - 1
    where = f"sentence {first}" + f" and {counted(more, 'more sentence')}" * bool(more)
    fix = "assert (labels != -100).any(dim=1).all()  # look for what turned all labels of a sentence into −100"
    return finding("nothing-supervised", says, where=where, severity=NOTE, fix=fix)


def _unread(taught: Taught) -> Finding | None:
    """Rows that are no cross-entropy of these logits."""
    unread = taught.rows.alive & ~taught.rows.read & ~taught.broken
    if unread.any():
        says = (
            f"At {counted(int(unread.sum()), 'position')} the gradient is not that of a cross-entropy of these logits, "
            "w · (p − onehot). Are there soft targets, a temperature, a second loss? Is there a softmax before "
            "cross_entropy, or none before nll_loss? Labels and weights can't be read there."
        )
        return finding("undecided", says, where=taught.at(unread))
    if not (taught.rows.alive | taught.broken).any() and taught.all_certain:
        says = "The model is certain nearly everywhere, so no gradient is left that would show what is supervised."
        return finding("undecided", says, where=taught.at(taught.rows.certain), fix="check it before training")
    return None


def _shifted(taught: Taught) -> Finding | None:
    """Labels that are not the next token."""
    shift = taught.shift
    if shift is None and taught.of_the_next_sentence:
        says = "Each position learns the token at its own place in another sentence: the shift is along the batch."
        return finding("unshifted", says, where=taught.at(taught.rows.read))
    if shift in (1, None) or not taught.rows.read.any():
        return None
    where = taught.at(taught.rows.read & (taught.rows.label == taught.moved(taught.ids, shift or 0)))
    if shift == 0:
        says = "Each position learns the token that it has just read: the loss falls to 0, and nothing is predicted."
        return finding("unshifted", says, where=where)
    if shift == -1:
        says = "Each position learns the token before it, which it has read: the labels are shifted the wrong way."
        return finding("unshifted", says, where=where)
    says = f"Each position learns the token {shift} positions on: the labels were shifted {shift} times."
    return finding("double-shift", says, where=where)


def _pads(taught: Taught) -> Finding | None:
    """A label that is padding; at a padding position, a real label is a note: shifting under left padding makes it."""
    alive = taught.rows.alive
    if taught.shift is None:
        wrong, beside = taught.rows.read & ~taught.real, alive & False
    else:
        label_is_pad = taught.moved(~taught.real, taught.shift) & taught.rows.read
        wrong = label_is_pad & (taught.rows.label == taught.moved(taught.ids, taught.shift))
        beside = alive & ~taught.real & ~wrong
    if wrong.any():
        says = "Padding is learned as if it were a word: the model learns to write it, and it counts in the mean."
        return finding("pad-supervised", says, where=taught.at(wrong))
    if not beside.any():
        return None
    first = taught.shift == 1 and bool(taught.rows.read[beside].any())
    says = "A padding position predicts the first word, from nothing: a model that shifts by itself does so."
    if not first:
        says = "The loss pulls on the logits at padding, too. Does it have a second term that is not masked?"
    return finding("pad-supervised", says, where=taught.at(beside), severity=NOTE)


def _ends(taught: Taught) -> Finding | None:
    """The end of a sentence whose words are learned, and which is not learned itself."""
    if taught.eos is None or taught.shift is None or not taught.rows.alive.any():
        return None
    ends = (taught.ids == taught.eos) & taught.real
    if not ends.any():
        says = f"The end (id {taught.eos}) occurs in no sentence, so nothing teaches the model when to stop."
        return finding("eos-unsupervised", says, severity=NOTE, fix="ids = ids + [eos]  # before padding")
    before = taught.moved(taught.learned & (taught.ids != taught.eos), -1)
    known = taught.moved(taught.rows.certain, -taught.shift)  # whether it counts there can't be told
    wrong = ends & before & ~taught.learned & ~known
    if not wrong.any():
        return None
    says = (
        f"The words before it are learned, but not the end (id {taught.eos}) itself: the model never learns to stop. "
        "If padding has the same id, labels were wiped by id."
    )
    return finding("eos-unsupervised", says, where=taught.at(wrong, label=False))


def _weights(taught: Taught) -> Finding | None:
    """Weights that differ; or that are all alike, but divided by positions that don't count."""
    if len(taught.weights) == 0:
        return None
    if not taught.even:
        low, high = taught.weights.min().item(), taught.weights.max().item()
        why, meant = _why_uneven(taught)
        says = f"Positions weigh between {_share(low)} and {_share(high)}: {why}."
        most = taught.sure & (taught.rows.weight >= high * (1 - 1e-9))
        fix = "leave it, if you mean it: this is no mean over the words" if meant else None
        return finding("uneven-weights", says, where=taught.at(most), fix=fix)
    return _counts_too_many(taught)


def _counts_too_many(taught: Taught) -> Finding | None:
    """A mean over all positions, where only some of them count: by the one that all weights are 1 over."""
    counting, divisor = int((taught.rows.alive | taught.rows.certain).sum()), 1 / taught.weights.mean().item()
    batch, length = taught.ids.shape
    for whole in {batch * length, batch * (length - 1)} - {0}:
        if abs(divisor - whole) > taught.tolerance * whole or whole <= counting * (1 + taught.tolerance):
            continue
        if taught.shift in (1, None) and counting == batch * (length - 1):
            continue  # the last position has no label: nothing else is left out
        says = (
            f"{counted(int(taught.rows.alive.sum()), 'position')} count, and each weighs 1/{whole}: the mean is over "
            "all positions, so the loss and the step shrink with every one that is left out."
        )
        severity = NOTE if whole % counting == 0 else WARNING  # a whole multiple may be steps of accumulation
        return finding("uneven-weights", says, where=taught.at(taught.rows.alive), severity=severity)
    return None


def _why_uneven(taught: Taught) -> tuple[str, bool]:
    """What the weights go by, if it can be told, and whether nobody does so by mistake."""
    weights, sure = taught.rows.weight, taught.sure
    if (weights[taught.rows.read] < 0).any():
        return "a negative one teaches the model not to say its label", True
    near = 1 + taught.tolerance
    rows = [weights[b][sure[b]] for b in range(len(weights)) if sure[b].any()]
    if len(rows) > 1 and all(row.max() <= row.min() * near for row in rows):
        return "each sentence weighs by itself, and a word of a short sentence counts more (a mean of means)", False
    labels = taught.rows.label[sure]
    each = [taught.weights[labels == label] for label in labels.unique()]
    if len(each) < len(labels) and all(one.max() <= one.min() * near for one in each):
        return "they go by the label (class weights)", True
    for power in FOCAL:
        rest = taught.weights / _focal(taught.rows.p[sure], power)
        if len(rest) > 2 and rest.max() <= rest.min() * near:
            return f"the surer the model, the less a position weighs (a focal loss, γ = {power:g})", True
    return "by weights of tokens, or by a denominator that differs", False


def _focal(p: Tensor, power: float) -> Tensor:
    """What a focal loss, (1 − p)^γ · −log p, weighs as a cross-entropy. Source: Lin et al. 2017, arXiv 1708.02002."""
    return (1 - p) ** power - power * p * p.log() * (1 - p) ** (power - 1)


def _share(weight: float) -> str:
    """A weight as 1/n where n is an integer, else with three digits."""
    whole = round(1 / weight) if weight else 0
    return f"1/{whole}" if whole > 1 and abs(1 / weight - whole) < 0.01 * whole else f"{weight:.3g}".replace("-", "−")


CHECKS: tuple[Callable[[Taught], Finding | None], ...] = (
    _non_finite, _nothing, _unread, _shifted, _pads, _ends, _weights,
)  # fmt: skip


# --- What was read, and the pictures ----------------------------------------------------------------------------------


def _read(taught: Taught) -> list[str]:
    """What the doctor read off the gradient, in a few words each."""
    rows = taught.rows
    found = [f"{int(rows.alive.sum())} of {counted(rows.alive.numel(), 'position')} teach a label"]
    if rows.read.any():
        names = {
            1: "it is the next token",
            0: "it is the token itself",
            -1: "it is the token before",
            None: "it is no neighbouring id, so no shift is told",
        }
        found.append(names.get(taught.shift, f"it is the token {taught.shift} positions on"))
        if taught.even and len(taught.weights):
            found.append(f"each weighs {_share(taught.weights.mean().item())}")
    if rows.smoothing:
        found.append(f"{rows.smoothing:.2g} of each target is spread over all classes")
    if (rows.extra != 0).any():
        found.append("a further term pulls on all logits (a z-loss)")
    if rows.certain.any():
        found.append(f"at {counted(int(rows.certain.sum()), 'position')} the model is certain, and nothing can be read")
    return found


def _panels(taught: Taught) -> list[Panel]:
    """What was read, what each position learns, and how much it weighs."""
    cut = (slice(MOST_ROWS), slice(MOST_COLUMNS))
    real, ids, rows = taught.real[cut], taught.ids[cut], taught.rows
    read, label, weight = rows.read[cut], rows.label[cut], rows.weight[cut].float().abs()
    shown = [
        ("ids", "ids", ids, ~real, "", "id {}", "What the model read; padding is hatched."),
        ("labels", "ids", label, ~read, "→", ", learns {}", "What each position learns; −1 where that isn't known."),
        ("weights", "loss", weight, ~read, "×", ", weighs {}", "How much each position weighs in the loss."),
    ]
    return [
        Panel(
            name=name, kind=kind, values=values, blocked=blocked, title=name, sign=sign, say=say, meaning=meaning,
            rows=[str(b) for b in range(len(ids))], columns=[str(t) for t in range(ids.shape[1])],
            axes=("sentence", "position"),
        )
        for name, kind, values, blocked, sign, say, meaning in shown
    ]  # fmt: skip
