"""One examination of a model: its case, its modes, and what was found so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from masklab.doctor import dependence as look
from masklab.doctor.claims import Claim, make_claim
from masklab.doctor.dependence import Measured
from masklab.doctor.inputs import Case, Watch, call, features, make_case, precision, widened, with_lookups
from masklab.doctor.report import Finding, finding
from masklab.doctor.undisturbed import buffers_kept, in_float32, named_parts, seed_all, set_mode
from masklab.doctor.words import CONVOLUTIONS, RECURRENT
from masklab.masks import Rule
from masklab.panels import Panel

EVAL, TRAIN, FAST = "eval mode", "train mode", "eval mode without gradients"
LEAKS = ("inverted", "off-by-one", "future-visible", "batch-leak", "document-leak", "depends-on-padding")


@dataclass
class Exam:
    """One examination: the case, the claim, what each mode gave or raised, and what was found so far.

    ``measured`` and ``mixed`` have, for each mode, what depends on what, and which sentence on which other one.
    """

    case: Case
    allowed: str | Tensor | Rule
    outputs: dict[str, Tensor]
    errors: dict[str, Exception]
    claim: Claim = field(init=False)
    tolerance: float = 0.0
    measured: dict[str, Measured] = field(default_factory=dict)
    mixed: dict[str, Tensor] = field(default_factory=dict)
    found: list[Finding] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    panels: list[Panel] = field(default_factory=list)

    @classmethod
    def of(
        cls, model: Callable, inputs: Tensor | Mapping[str, Any], *, allowed: str | Tensor | Rule,
        pad: Tensor | None = None, main: str | None = None,
    ) -> Exam:  # fmt: skip
        """Run a model in all modes. Raises TypeError and ValueError for what doesn't fit, and what the model raises."""
        case = make_case(model, inputs, pad, main=main)
        make_claim(allowed, case, layers=1)  # a mask that doesn't fit is said before anything runs
        exam = cls(case, allowed, *_runs(case))
        if not exam.outputs:
            raise exam.errors[EVAL]
        return exam

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

    def widen(self) -> bool:
        """Take the outputs in float32, if there is something narrower, and the model runs in float32, too."""
        with in_float32(self.case.model) as narrow:
            wide = widened(self.case)
            if not narrow and wide.x is self.case.x:
                return False
            outputs, errors = _runs(wide)
        if outputs.keys() != self.outputs.keys():
            return False
        self.case, self.outputs = wide, outputs
        return True

    def prepare(self) -> None:
        """Find the embeddings, count the attentions, and measure what rounding does."""
        mode = self.first
        case = self.case_in(mode)
        watch = Watch()
        with in_mode(case, mode):
            if mode != FAST:
                seed_all(0)
                with watch:
                    again = features(call(case.model, case.inputs), case.x).detach()
                self._same_again(again, mode)
                self.case = case = with_lookups(case, watch)
            self.tolerance = look.noise(case, self.outputs[mode])
        self.claim = make_claim(self.allowed, case, layers=self._layers(watch.attentions))

    def _layers(self, attentions: int) -> int:
        """How often a claimed mask applies: in each attention, or once where there is none; 0 = any number of times."""
        parts = [part for _, part in named_parts(self.case.model)]
        recurrent = any(isinstance(part, RECURRENT) for part in parts)
        if not attentions and (recurrent or any(isinstance(part, CONVOLUTIONS) for part in parts)):
            return 1
        return 0 if recurrent else attentions

    def _same_again(self, again: Tensor, mode: str) -> None:
        """The same inputs, mode and seed must give the same: else what is kept would look like rounding."""
        base = self.outputs[mode]
        step = 8 * precision(self.case, base) * look.largest(base)
        if again.shape != base.shape or look.differ(again, base, step).any():
            says = f"Two runs in {mode} with the same inputs and the same seed differ: something is kept between runs."
            fix = "empty what the model keeps (a memory, a cache, a counter) before each new text"
            self.found.append(finding("train-eval-differ", says, fix=fix))


def _runs(case: Case) -> tuple[dict[str, Tensor], dict[str, Exception]]:
    """The outputs of each mode, and what each mode raised instead."""
    outputs: dict[str, Tensor] = {}
    errors: dict[str, Exception] = {}
    for mode in (EVAL, FAST, TRAIN):
        try:
            outputs[mode] = run_in(case, mode)
        except Exception as error:
            errors[mode] = error
    return outputs, errors


@contextmanager
def in_mode(case: Case, mode: str) -> Iterator[None]:
    """Inside ``with`` the model is in a mode, without dropout; what a run does to its buffers is undone.

    >>> model = torch.nn.Linear(2, 2)
    >>> with in_mode(make_case(model, torch.zeros(1, 1, 2), None), EVAL):
    ...     print(model.training)
    False
    """
    set_mode(case.model, train=mode == TRAIN)
    with torch.set_grad_enabled(mode != FAST), buffers_kept(case.model):
        yield


def run_in(case: Case, mode: str) -> Tensor:
    """The output of one mode.

    >>> run_in(make_case(torch.nn.Identity(), torch.ones(1, 1, 2), None), TRAIN)
    tensor([[[1., 1.]]])
    """
    with in_mode(case, mode):
        return (case.unwatched if mode == FAST else case).run().detach()
