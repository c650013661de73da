"""Wrong answers that have a name, and right answers that have a limit."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from masklab.check.answers import same, settled, tensors


@dataclass(frozen=True)
class Misconception:
    """A wrong answer that has a name, and what a teacher says to it.

    It is recognised in one of two ways. ``gives(*case)`` is the wrong answer itself: whoever gives the same
    on *every* case gets the sentence. With ``part``, only ``part(answer, *case)`` is compared with it; a case in
    which that is `...` or holds no number is left out. ``shows(answer, right, *case)`` looks for a symptom, where
    many wrong answers have one cause: *one* case with the symptom is enough; with ``always``, every case that is
    answered wrongly must have it.

    >>> inverted = Misconception("inverted", "True means a word.", gives=lambda is_word: ~is_word)
    >>> inverted.name
    'inverted'
    """

    name: str
    says: str
    gives: Callable | None = None
    part: Callable | None = None
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
    pairs = zip(tensors(answer, right), tensors(right), strict=True)
    return any(bool((a.isnan() & ~r.isnan()).any()) for a, r in pairs)


def only_the_first(answer, right, *_case) -> bool:
    """Whether the first row is right, and all others hold one value: that of a tensor to be filled.

    >>> import torch
    >>> first = torch.tensor([1, 0, 0])
    >>> only_the_first(first, torch.tensor([1, 2, 3])), only_the_first((first, first), (torch.arange(1, 4), first))
    (True, True)
    """
    if isinstance(answer, tuple) and answer:  # several tensors: all of them
        return all(map(only_the_first, answer, right))
    if not isinstance(answer, Tensor) or answer.ndim == 0 or len(answer) < 2:
        return False
    return same(answer[0], right[0]) and len(answer[1:].unique()) == 1


def forms(name: str, says: str, *ways: Callable, part: Callable | None = None) -> list[Misconception]:
    """One misconception in several forms, each told by what it gives, or by a part of it.

    >>> [one.name for one in forms("halved", "Don't halve it.", lambda x: x / 2, lambda x: x // 2)]
    ['halved', 'halved']
    """
    return [Misconception(name, says, gives=way, part=part) for way in ways]


def one_of(*ways: Callable) -> Callable[..., bool]:
    """The symptom of a misconception that has several forms: the answer is what one of these ways gives.

    >>> import torch
    >>> half = one_of(lambda x: x / 2, lambda x: x // 2)
    >>> half(torch.tensor(2.0), torch.tensor(5.0), 5), half(torch.tensor(5.0), torch.tensor(5.0), 5)
    (True, False)
    """

    def shows(answer, right, *case) -> bool:
        return not same(answer, right) and any(same(answer, settled(way(*case))) for way in ways)

    return shows


def only_in_rows(rows_of: Callable[..., Tensor]) -> Callable[..., bool]:
    """The symptom of an answer that goes wrong in rows of one kind, ``rows_of(*case)``, and in all of them.

    >>> import torch
    >>> empty = only_in_rows(lambda is_word: ~is_word.any(dim=1))
    >>> empty(torch.tensor([0, 0]), torch.tensor([0, -1]), torch.tensor([[True], [False]]))
    True
    """

    def shows(answer: Tensor, right: Tensor, *case) -> bool:
        rows = rows_of(*case)
        wrong = [not same(one, other) for one, other in zip(answer, right, strict=True)]
        return bool(rows.any()) and wrong == rows.tolist()

    return shows


def no_gradient(*case) -> Note:
    """What to know about an answer from which no gradient flows back, tried on ``case``.

    >>> import torch
    >>> no_gradient(torch.ones(2, requires_grad=True)).shows(torch.ones(2))
    True
    >>> no_gradient(torch.ones(2, requires_grad=True)).shows(torch.ones(2, requires_grad=True))  # a new tensor
    True
    """
    return Note(
        "no gradient",
        "One thing to know: no gradient flows back (`detach`, `no_grad`, torch.tensor or .item() cut it). That is fine "
        "to look at, but useless for training.",
        case=case,
        shows=lambda answer: not any(one.grad_fn for one in tensors(answer)),
    )


# For every exercise: before its own misconceptions, and after them.
BEFORE = (
    Misconception(
        "return in the loop",
        "only the first row is filled in, and the rest is what it was before the loop. "
        "Is the `return` inside the loop?",
        shows=only_the_first,
        always=True,
    ),
)
AFTER = (Misconception("NaN", "some numbers are NaN: look for 0/0, ∞ − ∞ or 0 × ∞.", shows=has_nan),)
