"""Numbers that a model learns from: the value is judged, and the gradient that it sends back.

What is observed is ``{"value": …, "linked": …, "gradient": …}``: the number, whether `backward()` leads back to the
first argument, and the gradient there. ``counts(*case)`` says which positions are in the number: (batch, length) bool.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from masklab.check.answers import form, same, settled
from masklab.check.misconceptions import Misconception, one_of
from masklab.check.running import CUT, Complaint, followed_back


def value_and_gradient(counts: Callable[..., Tensor]) -> Callable[..., dict]:
    """Observe a function that makes a number of its first argument. Raises a Complaint for what is no number.

    >>> observed = value_and_gradient(lambda losses: losses > 0)
    >>> observed(lambda losses: losses.sum(), torch.tensor([3.0, 4.0]))
    {'value': tensor(7., grad_fn=<SumBackward0>), 'linked': True, 'gradient': tensor([1., 1.])}
    """

    def observed(function: Callable, first: Tensor, *others) -> dict:
        leaf = first.clone().requires_grad_()
        with torch.enable_grad():
            value = fitting(function(leaf.clone(), *others), torch.tensor(0.0))
            linked, (gradient,) = followed_back([value], [leaf])
        (linked_back,) = reached(linked, [leaf], [counts(first, *others)])
        return {"value": value, "linked": linked_back, "gradient": gradient}

    return observed


def reached(linked: Sequence[bool], leaves: Sequence[Tensor], masks: Sequence[Tensor]) -> list[bool]:
    """Which losses can be followed back to their leaf; where nothing counts they need not arrive there.

    >>> reached([True, True], [torch.ones(1), torch.ones(1)], [torch.tensor([True]), torch.tensor([False])])
    [False, True]
    """
    return [
        one and (leaf.grad is not None or not bool(mask.any()))
        for one, leaf, mask in zip(linked, leaves, masks, strict=True)
    ]


def fitting(answer, right):
    """The answer, if it has the form of the right one; else a Complaint.

    >>> fitting(0.5, torch.tensor(0.0))
    0.5
    """
    fault = form(settled(answer), right)
    if fault:
        raise Complaint(fault)
    return answer


def by_value(name: str, says: str, *ways: Callable) -> Misconception:
    """A misconception told by the value alone: wherever it is wrong, it is what one of the ways gives.

    >>> halved = by_value("halved", "Don't halve it.", lambda x: x / 2)
    >>> halved.shows({"value": torch.tensor(1.0)}, {"value": torch.tensor(2.0)}, torch.tensor(2.0))
    True
    """
    seen = one_of(*ways)

    def shows(answer: dict, right: dict, *case) -> bool:
        return seen(answer["value"], right["value"], *case)

    return Misconception(name, says, shows=shows, always=True)


def value_if_any(counts: Callable[..., Tensor]) -> Callable:
    """The part of an answer that a wrong mean is told by: its value, where something counts.

    >>> part = value_if_any(lambda losses: losses > 0)
    >>> part({"value": torch.tensor(2.0)}, torch.ones(1, 2)), part({"value": torch.tensor(2.0)}, torch.zeros(1, 2))
    (tensor(2.), Ellipsis)
    """
    return lambda answer, *case: answer["value"] if bool(counts(*case).any()) else ...


def value_is_not_finite(counts: Callable[..., Tensor], *, empty: bool) -> Callable[..., bool]:
    """The symptom of NaN or ∞ as the value: where nothing counts, or elsewhere.

    >>> shows = value_is_not_finite(lambda losses: losses > 0, empty=True)
    >>> shows({"value": torch.tensor(torch.nan)}, {}, torch.zeros(1, 2))
    True
    """
    return lambda answer, right, *case: not answer["value"].isfinite() and empty != bool(counts(*case).any())


def gradient_faults(counts: Callable[..., Tensor], *, to: str = "losses") -> list[Misconception]:
    """Right values with a gradient that is missing, NaN or wrong; ``to`` is where it should arrive.

    >>> [one.name for one in gradient_faults(lambda losses: losses > 0)]
    ['a plain 0', 'cut off', 'NaN gradient', 'wrong gradient']
    """

    def right_but(fault: Callable[..., bool]) -> Callable[..., bool]:
        return lambda answer, right, *case: same(answer["value"], right["value"]) and bool(fault(answer, right, *case))

    return [
        Misconception("a plain 0", "the values are right, but where nothing counts you return a plain 0. It has no "
                      f"link to the {to}, and `backward()` raises an error. A sum over nothing is 0, too, and has "
                      "that link.",
                      shows=right_but(lambda answer, right, *case: not answer["linked"] and not counts(*case).any()),
                      always=True),
        Misconception("cut off", CUT, shows=right_but(lambda answer, *_rest: not answer["linked"]), always=True),
        Misconception("NaN gradient", "the gradient is NaN. On the way there is a 0/0 or a NaN, and the gradient goes "
                      "back through it. Replacing it at the end is too late: don't let it arise.",
                      shows=lambda answer, *_rest: bool(answer["gradient"].isnan().any())),
        Misconception("wrong gradient", "the values are right, but the gradient is not: part of it never gets back to "
                      f"the {to}. Is something in your computation detached?",
                      shows=right_but(lambda answer, right, *_case: not same(answer["gradient"], right["gradient"])),
                      always=True),
    ]  # fmt: skip
