"""Patients for the doctor, and zoos of them: each ill one has one planted mistake, and the code that must be found."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from masklab.doctor import Report, check_loss, check_mask, check_model

SEEDS = 20
DTYPES = (torch.float32, torch.float64, torch.bfloat16)  # they take turns over the seeds

# The bugs that people really have, as the docs page lists them. Whoever plants a mistake says which one it is.
BUGS = (
    "a mask is inverted",
    "no causal mask, or one step off",
    "a row with no allowed key",
    "0 and 1 are added as a mask",
    "“minus infinity” is too small, or times 0",
    "the mask is applied at the wrong place",
    "a mask is dropped beside `is_causal`",
    "axes are confused, or broadcast silently",
    "a window sees one key more",
    "packed documents see each other",
    "no padding mask",
    "padding is guessed from the ids",
    "cross-attention reads the source's padding",
    "a mean counts the padding",
    "an RNN reads the padding",
    "left padding without mask or positions",
    "pads that aren't numbers",
    "a leak outside attention",
    "a leak past the embedding",
    "a model that keeps something",
    "train and eval mode differ",
    "the mask doesn't fit the cache",
    "nothing gets through yet",
    "labels not shifted, or twice",
    "padding counts in the loss",
    "the end has the padding's id, and is wiped",
    "nothing counts in the loss",
    "the loss is divided by the pads, too",
)


@dataclass(frozen=True)
class Patient:
    """What `check_model` is called with."""

    model: Callable
    inputs: Any
    allowed: Any
    pad: Tensor | None = None

    def report(self) -> Report:
        return check_model(self.model, self.inputs, allowed=self.allowed, pad=self.pad)


@dataclass(frozen=True)
class Mask:
    """What `check_mask` is called with."""

    mask: Tensor
    claims: dict[str, Any] = field(default_factory=dict)

    def report(self) -> Report:
        return check_mask(self.mask, **self.claims)


@dataclass(frozen=True)
class Loss:
    """What `check_loss` is called with."""

    loss: Tensor
    logits: Tensor
    claims: dict[str, Any]

    def report(self) -> Report:
        return check_loss(self.loss, self.logits, **self.claims)


Make = Callable[[int, torch.dtype], Patient | Mask | Loss]


@dataclass(frozen=True)
class Planted:
    """A mistake: the code under which it must be found, which bug it is, and who has it, for a seed and a dtype.

    ``also``: other codes that come with it for some seeds, because there are two causes.
    """

    code: str
    bug: str
    make: Make
    also: frozenset[str] = frozenset()


class Zoo:
    """The ill and the healthy, by name; ``notes`` has the code of the note that a healthy one's design earns."""

    def __init__(self):
        self.ill: dict[str, Planted] = {}
        self.healthy: dict[str, Make] = {}
        self.notes: dict[str, str] = {}

    def plants(self, bug: str, code: str, *also: str) -> Callable[[Make], Make]:
        """Register what the decorated function makes as ill."""
        assert bug in BUGS, bug

        def keep(make: Make) -> Make:
            self.ill[make.__name__] = Planted(code, bug, make, frozenset(also))
            return make

        return keep

    def is_healthy(self, make: Make | None = None, *, note: str = "") -> Callable:
        """Register what the decorated function makes as healthy."""

        def keep(make: Make) -> Make:
            self.healthy[make.__name__] = make
            if note:
                self.notes[make.__name__] = note
            return make

        return keep(make) if make else keep


def examined(make: Make, seed: int) -> Report:
    """The report on one patient."""
    return make(seed, DTYPES[seed % len(DTYPES)]).report()


def bad(report: Report) -> frozenset[str]:
    """The codes that are more than a note."""
    return frozenset(one.code for one in report.findings if one.severity != "note")


def assert_found(planted: Planted) -> None:
    """With every seed the mistake is found under its code, and nothing else is."""
    found = [bad(examined(planted.make, seed)) for seed in range(SEEDS)]
    assert all(planted.code in codes for codes in found), found
    assert frozenset().union(*found) == {planted.code} | planted.also  # the cause, and once


def assert_healthy(make: Make, note: str | None) -> None:
    """With no seed there is more than this note, and with some there is the note."""
    reports = [examined(make, seed) for seed in range(SEEDS)]
    assert all(report.ok for report in reports)
    assert {code for report in reports for code in report.codes} == {note} - {None}, reports
