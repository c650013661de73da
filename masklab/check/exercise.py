"""One exercise in one place: what is handed over, the definition, the wrong answers that have a name, the picture."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from masklab.check.answers import form, same, settled
from masklab.check.misconceptions import AFTER, BEFORE, Misconception, Note
from masklab.check.reading import borrowed
from masklab.check.running import Complaint, NotAttempted, Run
from masklab.check.verdict import Verdict
from masklab.panels import Panel, counted
from masklab.threads import one_thread


def result(function: Callable, *case):
    """What an exercise looks at if it says nothing else: what the function returns.

    >>> result(max, 1, 2)
    2
    """
    return function(*case)


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One exercise: call it with a learner's function, and it says what the function does.

    ``asks`` is the task in a sentence, ``takes`` the names of the arguments. ``cases`` are the argument lists:
    tensors, modules, generators, whatever `copy.deepcopy` can copy, for each call gets copies of its own.
    ``definition(*case)`` is the right answer: a tensor, a number, or a tuple, list or dict of such. Where it says
    `...`, anything is right: if many answers are, let ``observed`` give the properties that they share.
    ``observed(function, *case)`` is what is compared with it: what the function returns, or, for example,
    that and a gradient. ``wrong`` are the wrong answers that have a name, the likeliest first. ``notes`` look
    at right answers. ``picture(answer, right, *case)`` draws a difference. ``tolerance`` is the largest
    difference that still counts as equal.

    >>> import torch
    >>> double = Exercise(name="double", asks="twice x", takes="x", cases=[(torch.ones(2),)],
    ...                   definition=lambda x: 2 * x)
    >>> double(lambda x: x + x)
    ✓ double: right, on 1 random input.
    >>> double(lambda x: x)
    ✗ double: some cells differ for 1 of 1 input.
    """

    name: str
    asks: str
    takes: str
    cases: Sequence[tuple]
    definition: Callable
    observed: Callable = result
    wrong: Sequence[Misconception] = ()
    notes: Sequence[Note] = ()
    picture: Callable[..., Sequence[Panel]] | None = None
    tolerance: float = 1e-5

    def __call__(self, function: Callable) -> Verdict:
        """Run the function on every case and say what it does; never raises on a learner's error."""
        try:
            with one_thread():  # tensors are tiny: on a busy machine a second thread costs seconds of the limit
                return self._judged(Run(function, name=self.name, takes=self.takes))
        except NotAttempted:
            return self._verdict("open", "not attempted yet: replace `...` and return a result.")
        except Complaint as found:
            return self._verdict("wrong", found.says, misconception=found.name)

    def __repr__(self) -> str:
        """The call and the task: a check is looked at by its name, too."""
        return f"{self.name}({self.takes}): {self.asks}"

    def _judged(self, run: Run) -> Verdict:
        """Compare what the function gives with the definition, from the plainest fault to the least known."""
        answers, rights = self._answers(run), self._rights
        fault = (
            self._edit(run, answers, rights)
            or self._misconception(answers, rights)
            or self._wrong_form(run, answers, rights)
            or self._difference(run, answers, rights)
        )
        if fault:
            panels = self._panels(answers, rights)
            return self._verdict("wrong", fault.says, misconception=fault.name, panels=panels)
        return self._right(run)

    def _answers(self, run: Run) -> list:
        """What the function gives, case by case; a Complaint when it fails."""
        answers: list = []
        try:
            for case in self.cases:
                answers.append(self._answer(run, case))
        except Complaint as found:
            raise found if found.name else self._known(answers) or self._unnamed(run, found.says) from None
        return answers

    def _known(self, answers: list) -> Complaint | None:
        """A misconception that explains what the function gave for the first cases, before it failed."""
        first, rights = replace(self, cases=self.cases[: len(answers)]), self._rights[: len(answers)]
        if all(map(self._same, answers, rights)):
            return None
        known = first._misconception(answers, rights)
        return Complaint(known.says, name=known.name) if known else None

    def _answer(self, function: Callable, case: tuple):
        """What a function gives for fresh copies of one case."""
        return settled(self.observed(function, *copy.deepcopy(case)))

    @cached_property
    def _rights(self) -> list:
        """The right answers, case by case: slow loops, run when the check is first asked."""
        return [settled(self.definition(*case)) for case in self._copies()]

    def _copies(self) -> list[tuple]:
        """All cases, copied: what somebody does to one reaches nobody else."""
        return [copy.deepcopy(case) for case in self.cases]

    def _same(self, answer, right) -> bool:
        return same(answer, right, tolerance=self.tolerance)

    def _edit(self, run: Run, answers: list, rights: list) -> Complaint | None:
        """An argument was written into."""
        if not run.edited:
            return None
        values = "the values are right, but" if all(map(self._same, answers, rights)) else "some values are wrong, and"
        whose = "which belongs to the caller: leave it as it is, or work on a copy."
        return Complaint(f"{values} your function changes its input `{run.edited}`, {whose}", name="edits")

    def _misconception(self, answers: list, rights: list) -> Misconception | None:
        """The first misconception that explains the answers."""
        fits, copies = not any(map(form, answers, rights)), self._copies()
        for one in (*BEFORE, *self.wrong, *AFTER):
            if one.gives and not one.part and self._given(one.gives, answers):
                return one
            if one.gives and one.part and fits and self._given_in_part(one, answers, rights, copies):
                return one
            if one.shows and fits and self._seen(one, answers, rights, copies):
                return one
        return None

    def _given(self, gives: Callable, answers: list) -> bool:
        """Whether the answers are what a wrong answer gives, in every case."""
        return all(
            self._same(answer, self._answer(gives, case)) for answer, case in zip(answers, self.cases, strict=True)
        )

    def _given_in_part(self, one: Misconception, answers: list, rights: list, copies: list) -> bool:
        """Whether a part of the answers is wrong, and what a wrong answer gives, in every case that has this part."""
        assert one.gives is not None and one.part is not None, "it must be told by a part"
        wrong = False
        for answer, right, case in zip(answers, rights, copies, strict=True):
            part, right_part = one.part(answer, *case), one.part(right, *case)
            if part is ... or not part.numel():
                continue
            if not self._same(part, settled(one.gives(*case))):
                return False
            wrong = wrong or not self._same(part, right_part)
        return wrong

    def _seen(self, one: Misconception, answers: list, rights: list, copies: list) -> bool:
        """Whether a symptom is seen in some case, or in every case that is answered wrongly."""
        assert one.shows is not None, "it must be told by a symptom"
        found = [
            one.shows(answer, right, *case)
            for answer, right, case in zip(answers, rights, copies, strict=True)
            if not (one.always and self._same(answer, right))
        ]
        return bool(found) and (all if one.always else any)(found)

    def _wrong_form(self, run: Run, answers: list, rights: list) -> Complaint | None:
        """The wrong type, shape or dtype."""
        fault = next(filter(None, map(form, answers, rights)), "")
        return self._unnamed(run, fault) if fault else None

    def _difference(self, run: Run, answers: list, rights: list) -> Complaint | None:
        """Other values, and nothing else is known; drawn at random, they differ from call to call."""
        differ = len(answers) - sum(map(self._same, answers, rights))
        if not differ:
            return None
        if not all(map(self._same, self._answers(run), answers)):
            return Complaint(
                "your function gives a different answer each time it is called with the same input. "
                "Nothing in it may be random or remembered from an earlier call.", name="random",
            )  # fmt: skip
        see = "; see the picture" if self.picture else ""
        return self._unnamed(run, f"some cells differ for {differ} of {counted(len(answers), 'input')}{see}.")

    def _unnamed(self, run: Run, says: str) -> Complaint:
        """A fault without a name; if the function uses variables of the notebook, that may be the cause."""
        names = borrowed(run.function)
        if not names:
            return Complaint(says)
        listed = " and ".join(f"`{name}`" for name in names)
        return Complaint(
            f"your function uses {listed} from the notebook. If that depends on the batch, take it from the "
            f"arguments ({self.takes}): the check calls your function with other inputs. As it is, {says}",
            name="notebook's variable",
        )

    def _right(self, run: Run) -> Verdict:
        """Praise, and what to know about a right answer that has a limit."""
        message = f"right, on {counted(len(self.cases), 'random input')}."
        for note in self.notes:
            try:
                with torch.enable_grad():
                    noted = note.shows(self.observed(run, *copy.deepcopy(note.case)))
            except Complaint:  # the case is outside the task: an error there is none
                continue
            if noted:
                return self._verdict("right", f"{message} {note.says}", note=note.name)
        return self._verdict("right", message)

    def _panels(self, answers: list, rights: list) -> Sequence[Panel]:
        """The first case that differs, drawn; nothing when the forms don't fit."""
        for answer, right, case in zip(answers, rights, self._copies(), strict=True):
            if self.picture and not form(answer, right) and not self._same(answer, right):
                return self.picture(answer, right, *case)
        return ()

    def _verdict(self, state: str, message: str, **parts) -> Verdict:
        return Verdict(exercise=self.name, state=state, message=message, **parts)
