"""A prediction to click, and later, at the evidence, a sentence about the learner's own choice."""

from collections.abc import Mapping
from pathlib import Path

import anywidget
import traitlets

from masklab.panels import clean

HERE = Path(__file__).parent
_earlier: dict[tuple[str, ...], int] = {}  # what was chosen in this kernel: running a cell again forgets no prediction


class _Shown(anywidget.AnyWidget):
    """Lines of words in a notebook, and the same lines where there is no page."""

    _esm = HERE / "question.js"
    _css = HERE / "question.css"

    def _lines(self) -> list[str]:
        raise NotImplementedError

    def __repr__(self) -> str:
        """The lines as plain text, without an address: stored notebooks compare equal."""
        return "\n".join(self._lines())

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        return {**data, "text/plain": repr(self)}, metadata


class Question(_Shown):
    """A question with a few answers, one of which can be chosen; see `question`.

    ``chosen`` is the number of the chosen answer, from 1 on, and 0 as long as there is none.
    """

    text = traitlets.Unicode().tag(sync=True)
    options = traitlets.List(traitlets.Unicode()).tag(sync=True)
    chosen = traitlets.Int(0).tag(sync=True)

    def __init__(self, text: str, options: Mapping[str, str], *, right: str):
        if len(options) < 2 or right not in options:
            raise ValueError(f"right must be one of at least 2 options, got {right!r} and {list(options)}.")
        self._gets_right = [clean(part) for part in options.values()]
        self._right = 1 + list(options).index(right)
        super().__init__(text=clean(text), options=[clean(option) for option in options])
        self.chosen = _earlier.get((self.text, *self.options), 0)

    @traitlets.validate("chosen")
    def _in_range(self, proposal) -> int:
        """A number that the page cannot have meant counts as none."""
        return proposal["value"] if 0 <= proposal["value"] <= len(self.options) else 0

    @traitlets.observe("chosen")
    def _keep(self, change) -> None:
        _earlier[(self.text, *self.options)] = change["new"]

    def choose(self, number: int) -> None:
        """Choose an answer by its number, where there is no page to click in."""
        if number not in range(1, len(self.options) + 1):
            raise ValueError(f"number must be from 1 to {len(self.options)}, got {number!r}.")
        self.chosen = number

    def answer(self) -> "Answer":
        """What is to be said about the choice; it follows the choice when that changes."""
        return Answer(self)

    def _lines(self) -> list[str]:
        options = [f"{'●' if i == self.chosen else ' '} {i}. {option}" for i, option in enumerate(self.options, 1)]
        return [self.text, *options, f"(No buttons here? Use .choose(1) to .choose({len(self.options)}).)"]

    def _said(self) -> list[str]:
        """The sentences of the answer, one a line."""
        each = [f"{i}. {option} {self._gets_right[i - 1]}" for i, option in enumerate(self.options, 1)]
        if self.chosen == self._right:
            return [f"✓ You chose {each[self._right - 1]}"]
        if self.chosen:
            return [f"✗ You chose {each[self.chosen - 1]}", f"✓ The answer is {each[self._right - 1]}"]
        signs = ["✓" if i == self._right else "✗" for i in range(1, len(each) + 1)]
        return [
            "No answer was chosen. This is what each gets right:",
            *(f"{sign} {one}" for sign, one in zip(signs, each, strict=True)),
        ]


class Answer(_Shown):
    """What is said about the choice of a `Question`; it changes when the choice does."""

    lines = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(self, question: Question):
        super().__init__(lines=question._said())
        question.observe(lambda _: self.set_trait("lines", question._said()), names="chosen")

    def _lines(self) -> list[str]:
        return list(self.lines)


def question(text: str, options: Mapping[str, str], *, right: str) -> Question:
    """Ask for a prediction: buttons in a notebook, and `.choose` elsewhere; `.answer()` comes later.

    ``options`` maps each answer to a sentence: what this answer gets right, and what it misses.
    ``right`` is one of the answers. A choice is kept when the cell is run again.
    Raises ValueError for fewer than 2 options, or if ``right`` is none of them.

    >>> prediction = question("Does a zero vector get attention?",
    ...     {"No.": "Its score is 0. But exp(0) is 1.", "Yes.": "exp(0) = 1 takes its share."}, right="Yes.")
    >>> prediction
    Does a zero vector get attention?
      1. No.
      2. Yes.
    (No buttons here? Use .choose(1) to .choose(2).)
    >>> prediction.answer()
    No answer was chosen. This is what each gets right:
    ✗ 1. No. Its score is 0. But exp(0) is 1.
    ✓ 2. Yes. exp(0) = 1 takes its share.
    >>> prediction.choose(1)
    >>> prediction.answer()
    ✗ You chose 1. No. Its score is 0. But exp(0) is 1.
    ✓ The answer is 2. Yes. exp(0) = 1 takes its share.
    """
    return Question(text, options, right=right)
