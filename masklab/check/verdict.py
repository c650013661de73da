"""The judge that all checks share: run a learner's function, compare it, name the misconception."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from masklab.panels import MISSED, NOT_MARKED, Panel


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a check found: a sign and a sentence, and the panels that show the difference.

    ``state`` is "right", "open" (not filled in yet) or "wrong"; ``misconception``
    names a wrong answer that the check knows.
    """

    exercise: str
    state: str
    message: str
    misconception: str = ""
    panels: Sequence[Panel] = ()

    def __repr__(self) -> str:
        """The sign, the name of the exercise and the sentence."""
        sign = {"right": "✓", "open": "○", "wrong": "✗"}[self.state]
        return f"{sign} {self.exercise}: {self.message}"

    def _ipython_display_(self) -> None:
        """Print the sentence, so that it is text for everyone, then draw the difference."""
        print(self)
        if self.panels:
            from IPython.display import Image, display  # only a notebook needs them

            from masklab import figures

            display(Image(figures.png(self.panels), alt=f"{self}: {figures.alt(self.panels)}"))


class Complaint(Exception):
    """What is wrong with an answer before it can be compared; the message is the sentence for the learner."""


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One exercise: its random inputs, the definition as a slow loop, and the wrong answers that have a name.

    ``cases`` are the argument lists. ``oracle(*case)`` is the definition. ``wrong``
    maps a name to (function, sentence): an answer that equals the function on
    every case gets the sentence. ``picture(answer, right)`` draws a difference.
    ``tolerance`` is the largest difference that still counts as equal.
    """

    name: str
    cases: Sequence[tuple]
    oracle: Callable[..., Tensor]
    wrong: Mapping[str, tuple[Callable[..., Tensor], str]]
    picture: Callable[[Tensor, Tensor], Sequence[Panel]]
    tolerance: float = 1e-5

    def judge(self, function: Callable[..., Tensor]) -> Verdict:
        """Run the function on every case and say what it does; never raises on a learner's error."""
        try:
            answers = [function(*_copy(case)) for case in self.cases]
            return self._open() if answers[0] is None else self._compare(function, answers)
        except Complaint as complaint:
            return self._wrong(str(complaint))
        except Exception as error:  # whatever a learner's code raises becomes a sentence
            return self._wrong(f"your function raised {type(error).__name__}: {error}")

    def _open(self) -> Verdict:
        """Say that the function gives nothing yet."""
        message = "not filled in yet. Replace the line with the three dots, and end with a return."
        return Verdict(exercise=self.name, state="open", message=message)

    def _compare(self, function: Callable, answers: list) -> Verdict:
        """Compare the answers with the definition: form first, then values."""
        rights = [self.oracle(*_copy(case)) for case in self.cases]
        form = next(filter(None, map(_form, answers, rights)), "")
        for name, (wrong, sentence) in self.wrong.items():
            if all(_same(a, wrong(*_copy(c)), self.tolerance) for a, c in zip(answers, self.cases, strict=True)):
                return self._wrong(sentence, misconception=name, panels=self._picture(answers, rights))
        if form:
            return self._wrong(form)
        if not all(_same(a, r, self.tolerance) for a, r in zip(answers, rights, strict=True)):
            return self._wrong("some cells differ; see the picture.", panels=self._picture(answers, rights))
        if _edits_its_input(function, self.cases[0]):
            return self._wrong("right values, but your function changes its input: work on a copy.")
        return Verdict(exercise=self.name, state="right", message=f"right, on {len(self.cases)} random inputs.")

    def _picture(self, answers: list, rights: list[Tensor]) -> Sequence[Panel]:
        """The first case that differs, drawn; nothing when the shapes don't fit."""
        for answer, right in zip(answers, rights, strict=True):
            if _form(answer, right) == "" and not _same(answer, right, self.tolerance):
                return self.picture(answer, right)
        return ()

    def _wrong(self, message: str, *, misconception: str = "", panels: Sequence[Panel] = ()) -> Verdict:
        return Verdict(exercise=self.name, state="wrong", message=message, misconception=misconception, panels=panels)


def compared(answer: Tensor, right: Tensor, *, kind: str, title: str, rows: str, columns: str) -> list[Panel]:
    """Two panels side by side: what a function gave, its differing cells marked ✗, and what is right.

    Shapes: ``answer``, ``right`` (rows, columns). ``rows`` and ``columns`` name the axes.

    >>> yours, right = compared(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]]),
    ...                         kind="weight", title="weights", rows="query", columns="key")
    >>> yours.meaning, right.title
    ('✗ marks 1 cells that differ.', 'the weights to find')
    """
    differs = ~torch.isclose(answer.double(), right.double(), atol=1e-5, equal_nan=True)
    labels = {
        "rows": [f"{rows} {i}" for i in range(right.shape[0])],
        "columns": [str(i) for i in range(right.shape[1])],
        "kind": kind,
        "axes": (rows, columns),
    }
    marks = torch.where(differs, MISSED, NOT_MARKED).to(torch.uint8)
    return [
        Panel(
            name="yours", title=f"your {title}", meaning=f"✗ marks {int(differs.sum())} cells that differ.",
            values=answer, marks=marks, blocked=_blocked(answer), **labels,
        ),
        Panel(
            name="right", title=f"the {title} to find", meaning="By the definition, in a slow loop.",
            values=right, blocked=_blocked(right), **labels,
        ),
    ]  # fmt: skip


def _blocked(values: Tensor) -> Tensor | None:
    """In a bool mask False is blocked; other values have no blocked cells."""
    return ~values if values.dtype == torch.bool else None


def _copy(case: tuple) -> tuple:
    """Fresh tensors for every call, so that no call can spoil the next."""
    return tuple(part.clone() if isinstance(part, Tensor) else part for part in case)


def _form(answer, right: Tensor) -> str:
    """Say what is wrong with an answer's type, dtype or shape; nothing when they fit."""
    if isinstance(answer, tuple):
        return f"your function returned a tuple of {len(answer)}: return the one tensor that is asked for."
    if not isinstance(answer, Tensor):
        return f"a tensor was expected, and your function returned {type(answer).__name__}."
    if answer.layout != torch.strided or answer.is_complex():
        return f"a plain tensor was expected, and yours is {answer.dtype}, {answer.layout}."
    if answer.shape != right.shape:
        return f"shape {tuple(right.shape)} was expected, and yours is {tuple(answer.shape)}."
    if (answer.dtype == torch.bool) != (right.dtype == torch.bool):
        return f"{right.dtype} was expected, and yours is {answer.dtype}."
    return ""


def _same(answer, right, tolerance: float) -> bool:
    """Equal form and equal values; NaN equals NaN."""
    if _form(answer, right):
        return False
    return torch.allclose(
        answer.detach().double(), right.detach().double(), atol=tolerance, rtol=tolerance, equal_nan=True
    )


def _edits_its_input(function: Callable, case: tuple) -> bool:
    """Whether a call changes a tensor that was handed to it."""
    given = _copy(case)
    function(*given)
    return any(not _same(now, before, 0.0) for now, before in zip(given, case, strict=True) if isinstance(now, Tensor))
