"""Whether a sentence depends on another one of its batch."""

from __future__ import annotations

import torch
from torch import Tensor

from masklab.doctor import dependence as look
from masklab.doctor.exam import LEAKS, Exam, in_mode
from masklab.doctor.inputs import Case
from masklab.doctor.report import finding
from masklab.doctor.words import begins, fix_for_batch


def look_across(exam: Exam) -> None:
    """Does a sentence depend on another one of the batch?

    >>> from masklab.models import GPT
    >>> exam = Exam.of(GPT(10, dim=8), torch.tensor([[5, 3, 8], [4, 9, 1]]), allowed="causal")
    >>> exam.prepare()
    >>> look_across(exam)
    >>> exam.found, exam.checked
    ([], ['sentences apart'])
    """
    case = exam.case
    if len(case.x) < 2:
        exam.checked.append("not sentences apart: there is only one")
        return
    exam.checked.append("sentences apart")
    for mode in exam.measured:
        with in_mode(case, mode):
            b, j = _mixed_pair(exam, mode) or (0, 0)
        if b != j:
            _report_batch(exam, mode, b, j)
            return


def _mixed_pair(exam: Exam, mode: str) -> tuple[int, int] | None:
    """Two sentences of which the first depends on the second."""
    case = exam.case_in(mode)
    mixed = exam.mixed.get(mode)
    if mixed is not None and mixed.any():
        b, j = mixed.nonzero()[0].tolist()
        return b, j
    for j in range(min(2, len(case.x))):
        after = look.outputs_after(case, case.main, _whole(case, j))
        hit = look.differ(after, exam.outputs[mode], exam.tolerance).any(dim=1)
        hit[j] = False
        if hit.any():
            return int(hit.nonzero()[0]), j
    return None


def _whole(case: Case, j: int) -> Tensor:
    """All positions of one sentence, (B, L) bool."""
    where = torch.zeros(case.x.shape[:2], dtype=torch.bool, device=case.x.device)
    where[j] = True
    return where


def _report_batch(exam: Exam, mode: str, b: int, j: int) -> None:
    """Say that two sentences are mixed; what the same module lets through within a sentence is the same mistake."""
    case = exam.case_in(mode)
    with in_mode(case, mode):
        after = look.outputs_after(case, case.main, _whole(case, j))
        i = int((after - exam.outputs[mode])[b].nan_to_num().abs().amax(dim=-1).argmax())
        place = look.where_it_begins(case, case.main, (b, i), _whole(case, j))
    only = f" This is so in {mode} only." if len(exam.measured) > 1 else ""
    says = f"The outputs of sentence {b} depend on sentence {j}, another one of the batch.{begins(place)}{only}"
    same = begins(place)
    exam.found[:] = [one for one in exam.found if one.code not in LEAKS or not same or same not in one.says]
    exam.found.append(finding("batch-leak", says, where=f"sentence {b}, sentence {j}", fix=fix_for_batch(place)))
