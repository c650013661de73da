"""What can't be decided, and what is not seen though it might be."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from masklab.doctor.codes import WARNING
from masklab.doctor.dependence import Measured
from masklab.doctor.exam import LEAKS, Exam
from masklab.doctor.report import finding
from masklab.doctor.undisturbed import named_parts
from masklab.doctor.verdicts import sees_less, sees_nothing
from masklab.doctor.words import pairs, token


def look_for_gates(exam: Exam) -> None:
    """What can't be decided, and what is not seen though it might be.

    >>> import torch
    >>> from masklab.doctor.leaking import look_for_leaks
    >>> from masklab.models import GPT
    >>> model = GPT(10, dim=8)
    >>> _ = model.head.weight.data.zero_()
    >>> exam = Exam.of(model, torch.tensor([[5, 3, 8], [4, 9, 1]]), allowed="causal")
    >>> exam.prepare(), look_for_leaks(exam), look_for_gates(exam)
    (None, None, None)
    >>> exam.found[0].says
    "head.weight is zero: nothing gets through, so what is behind it can't be measured."
    """
    gates = _gates(exam.case.model)
    if gates:
        says = (
            f"{', '.join(gates[:3])}{f' and {len(gates) - 3} more' if len(gates) > 3 else ''} "
            f"{'is' if len(gates) == 1 else 'are'} zero: nothing gets through, so what is behind it can't be measured."
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
        _sees_less(exam, measured)


def _sees_less(exam: Exam, measured: Measured) -> None:
    """What is not seen though it might be: a window, a causal model; a warning only if nothing is seen at all."""
    cell = sees_less(exam.claim, measured, exam.case)
    if cell is None:
        return
    if sees_nothing(measured, exam.case):
        says = (
            "No output depends on any other position, though it may. Is a mask inverted, or batch_first=True missing?"
        )
        exam.found.append(finding("over-blocked", says, where=pairs(cell), severity=WARNING))
        return
    b, i, j = cell
    there, other = token(exam.case, b, i), token(exam.case, b, j)
    says = f"In sentence {b} the output at {there} doesn't depend on {other}, though it may."
    causal = len(measured.rows) == measured.size.shape[-1] and not measured.size.triu(1).any()
    says += " No output sees what comes later: the model is causal." if causal and j > i else " Is there a window?"
    exam.found.append(finding("over-blocked", says, where=pairs(cell)))


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
