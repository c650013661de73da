"""Claimed beside measured, as panels."""

from __future__ import annotations

import torch
from torch import Tensor

from masklab.doctor.claims import Claim
from masklab.doctor.dependence import Measured
from masklab.doctor.exam import EVAL, FAST, Exam
from masklab.doctor.leaking import after_layers
from masklab.panels import EXTRA, MISSED, NOT_MARKED, Panel


def draw(exam: Exam, *, layers: bool) -> None:
    """Claimed beside measured, for the sentence with the most to see; after every layer where asked.

    >>> from masklab.models import GPT
    >>> exam = Exam.of(GPT(10, dim=8), torch.tensor([[5, 3, 8], [4, 9, 1]]), allowed="causal")
    >>> exam.prepare()
    >>> from masklab.doctor.leaking import look_for_leaks
    >>> look_for_leaks(exam)
    >>> draw(exam, layers=True)
    >>> [panel.name for panel in exam.panels]
    ['claimed', 'measured', 'after layer 1', 'after layer 2']
    """
    claim = exam.claim
    wrong = [(one.real & ~claim.may[:, one.rows]).sum(dim=(1, 2)) for one in exam.measured.values()]
    b = int(torch.stack(wrong).sum(dim=0).argmax())
    exam.panels.append(_panel(exam, b, "claimed", "What each output may depend on.", claim.may[b], None))
    for mode, measured in exam.measured.items():
        name = "measured" if mode == EVAL else f"measured in {mode}"
        exam.panels.append(_measured_panel(exam, b, name, f"What each output depends on, in {mode}.", measured, claim))
    if layers:
        mode = next((mode for mode in exam.measured if mode != FAST), FAST)
        for layer, measured in after_layers(exam, mode) if mode != FAST else ():
            meaning = f"What each position knows after layer {layer}."
            panel = _measured_panel(exam, b, f"after layer {layer}", meaning, measured, claim.after(layer))
            exam.panels.append(panel)


def _measured_panel(exam: Exam, b: int, name: str, meaning: str, measured: Measured, claim: Claim) -> Panel:
    """A measured matrix, marked where it differs from what is claimed."""
    may, seen = claim.may[b, measured.rows], measured.real[b]
    marks = torch.full(seen.shape, NOT_MARKED, dtype=torch.uint8)
    marks[(seen & ~may).cpu()] = EXTRA
    marks[(may & claim.reach[b, measured.rows] & claim.read[b, measured.rows] & (measured.size[b] == 0)).cpu()] = MISSED
    return _panel(exam, b, name, meaning, seen, marks, measured.rows.tolist())


def _panel(
    exam: Exam, b: int, name: str, meaning: str, values: Tensor, marks: Tensor | None, rows: list[int] | None = None
) -> Panel:
    """One matrix of outputs and inputs as a panel."""
    case = exam.case
    words = [str(i) if case.x.is_floating_point() else str(int(case.x[b, i])) for i in range(case.x.shape[1])]
    pads = (~case.words[b]).tolist()
    rows = list(range(len(words))) if rows is None else rows
    return Panel(
        name=name, kind="mask", values=values.int().cpu(), blocked=(values == 0).cpu(), title=name,
        rows=[words[i] for i in rows], columns=words, meaning=f"{meaning} Sentence {b}.",
        axes=("output", "input"), marks=marks, places=rows,
        row_pads=[pads[i] for i in rows], column_pads=pads,
    )  # fmt: skip
