"""Wrong answers that have a name, and right answers that have a limit."""

from collections.abc import Callable
from dataclasses import dataclass

from masklab.check.answers import tensors


@dataclass(frozen=True)
class Misconception:
    """A wrong answer that has a name, and what a teacher says to it.

    It is recognised in one of two ways. ``gives(*case)`` is the wrong answer itself: whoever gives the same
    on *every* case gets the sentence. ``shows(answer, right, *case)`` looks for a symptom, where many wrong
    answers have one cause: *one* case with the symptom is enough; with ``always``, every case that is answered
    wrongly must have it.

    >>> inverted = Misconception("inverted", "True means a word.", gives=lambda is_word: ~is_word)
    >>> inverted.name
    'inverted'
    """

    name: str
    says: str
    gives: Callable | None = None
    shows: Callable[..., bool] | None = None
    always: bool = False


@dataclass(frozen=True)
class Note:
    """What to know about an answer that is right: ``shows(answer)`` looks at what it gives for one more ``case``.

    >>> Note("too large", "exp(100) is infinite.", case=(100.0,), shows=lambda answer: answer > 1e9).name
    'too large'
    """

    name: str
    says: str
    case: tuple
    shows: Callable[..., bool]


def has_nan(answer, right, *_case) -> bool:
    """Whether a number is NaN where it should not be.

    >>> import torch
    >>> has_nan(torch.tensor([float("nan")]), torch.tensor([0.0]))
    True
    """
    return any(bool((a.isnan() & ~r.isnan()).any()) for a, r in zip(tensors(answer), tensors(right), strict=True))


# For every exercise, after its own.
SHARED = (Misconception("NaN", "some numbers are NaN: look for 0/0, ∞ − ∞ or 0 × ∞.", shows=has_nan),)
