"""From a measured matrix to a code: which kind of mistake makes this picture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from masklab.doctor.claims import Claim
from masklab.doctor.dependence import Measured
from masklab.doctor.inputs import Case

MOST, FEW = 0.8, 0.2  # shares of cells: an inverted mask shows most of what is forbidden and little of what is allowed
STEPS = 2  # a mask that is moved by one or two
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


@dataclass(frozen=True)
class Leak:
    """One kind of forbidden dependence: its code, and where it is seen best, (sentence, output, input)."""

    code: str
    cell: tuple[int, int, int]
    count: int


def leaks(case: Case, claim: Claim, measured: Measured) -> list[Leak]:
    """What is measured and not allowed, by kind; of several, the cause comes first.

    `masklab.doctor.codes.SYMPTOMS` says which of them explains which.

    >>> from masklab.doctor.claims import make_claim
    >>> from masklab.doctor.inputs import make_case
    >>> case, all_seen = make_case(len, torch.tensor([[7, 8, 9, 6]]), None), torch.ones(1, 4, 4)
    >>> claim = make_claim("causal", case, layers=1)
    >>> [one.code for one in leaks(case, claim, Measured(torch.arange(4), all_seen, all_seen.bool()))]
    ['future-visible']
    """
    rows, seen = measured.rows, measured.real
    forbidden = seen & ~claim.may[:, rows]  # (B, R, L)
    if not forbidden.any():
        return []
    if _inverted(case, claim, measured):
        return [_leak("inverted", forbidden, measured)]
    keys = torch.arange(seen.shape[-1], device=seen.device)
    future = keys > rows[:, None]
    past = keys < rows[:, None]
    pads = torch.zeros_like(seen)
    if case.pad is not None and case.main == case.padded:
        pads = (~case.pad[:, None, :]).expand_as(seen) & claim.reach[:, rows]
    apart = claim.documents[:, rows, None] != claim.documents[:, None, :]
    rest = forbidden & ~pads
    kinds = {
        "depends-on-padding": forbidden & pads,
        "document-leak": rest & apart,
        "future-visible": rest & ~apart & future,
        "past": rest & ~apart & past,
    }
    found = [_leak(code, cells, measured) for code, cells in kinds.items() if cells.any()]
    if any(one.code == "future-visible" for one in found):  # it also opens the way to other documents, and to pads
        found = [one for one in found if one.code != "document-leak" or _back_too(kinds["document-leak"], past)]
    return [_named(one, kinds, claim, rows) for one in found]


def _back_too(cells: Tensor, past: Tensor) -> bool:
    """Whether an earlier document is seen, too."""
    return bool((cells & past).any())


def _leak(code: str, cells: Tensor, measured: Measured) -> Leak:
    """The kind of a leak with its strongest cell; a NaN counts as strongest."""
    size = measured.size.nan_to_num(nan=float("inf")).masked_fill(~cells, -1.0)
    b, r, j = torch.unravel_index(size.argmax(), size.shape)
    return Leak(code, (int(b), int(measured.rows[r]), int(j)), int(cells.sum()))


def _named(leak: Leak, kinds: dict[str, Tensor], claim: Claim, rows: Tensor) -> Leak:
    """A leak of the future or the past under its code: off-by-one if it goes one or two steps too far, no further."""
    if leak.code == "past":
        return Leak(
            "off-by-one" if _a_step_back(kinds["past"], claim, rows) else "document-leak", leak.cell, leak.count
        )
    if leak.code == "future-visible" and _a_step_ahead(kinds["future-visible"], claim, rows):
        return Leak("off-by-one", leak.cell, leak.count)
    return leak


def _a_step_ahead(cells: Tensor, claim: Claim, rows: Tensor) -> bool:
    """Whether nearly all rows see one key (or two) after themselves, and none sees more."""
    L = cells.shape[-1]
    distance = torch.arange(L, device=cells.device) - rows[:, None]
    steps = int(distance.expand_as(cells)[cells].max())
    band = (distance > 0) & (distance <= steps) & ~claim.may[:, rows]
    return steps <= STEPS < L - 1 and bool(cells[band].float().mean() >= MOST)


def _a_step_back(cells: Tensor, claim: Claim, rows: Tensor) -> bool:
    """Whether rows see one key farther back than they may, and none sees more."""
    first = claim.reach[:, rows].int().argmax(dim=-1, keepdim=True)  # (B, R, 1)
    distance = first - torch.arange(cells.shape[-1], device=cells.device)
    return bool((distance.expand_as(cells)[cells] <= STEPS).all())


def _inverted(case: Case, claim: Claim, measured: Measured) -> bool:
    """Whether most of what is forbidden is seen, and little of what is allowed; the diagonal tells nothing."""
    rows, seen = measured.rows, measured.real
    allowed, words = claim.reach[:, rows].clone(), torch.ones_like(seen)
    if case.pad is not None and case.main == case.padded:
        words = case.pad[:, None, :].expand_as(seen)
        allowed &= words
    others = torch.arange(seen.shape[-1], device=seen.device) != rows[:, None]
    reach = claim.reach[:, rows]
    for judged, forbidden in ((allowed, ~allowed), (reach, ~reach & words)):  # with the padding, or the rule alone
        bad = forbidden & others
        good = judged & others & bad.any(dim=-1, keepdim=True)  # a row that may see all tells nothing
        if bad.any() and good.any() and seen[bad].float().mean() >= MOST and seen[good].float().mean() <= FEW:
            return True
    return _only_pads(case, claim, measured, allowed, others)


def _only_pads(case: Case, claim: Claim, measured: Measured, allowed: Tensor, others: Tensor) -> bool:
    """Whether pads are seen and no words are: a padding mask that is inverted under a rule that is right."""
    if case.pad is None or case.main != case.padded or case.pad.all():
        return False
    rows, seen = measured.rows, measured.real
    with_pads = (~case.pad).any(dim=1)[:, None, None]
    bad = claim.reach[:, rows] & ~case.pad[:, None, :] & others & with_pads
    good = allowed & others & with_pads
    return bool(bad.any() and good.any() and seen[bad].float().mean() >= MOST and seen[good].float().mean() <= FEW)


def sees_less(claim: Claim, measured: Measured, case: Case) -> tuple[int, int, int] | None:
    """The nearest cell (sentence, output, input) that may be seen, and is not; None if all is seen.

    >>> from masklab.doctor.claims import make_claim
    >>> from masklab.doctor.inputs import make_case
    >>> case, alone = make_case(len, torch.tensor([[7, 8, 9]]), None), torch.eye(3)[None]
    >>> sees_less(make_claim("causal", case, layers=1), Measured(torch.arange(3), alone, alone.bool()), case)
    (0, 1, 0)
    """
    rows = measured.rows
    pads = case.pad[:, None, :] if case.pad is not None and case.main == case.padded else True
    blind = claim.may[:, rows] & claim.reach[:, rows] & case.words[:, rows, None] & pads & (measured.size == 0)
    keys = torch.arange(blind.shape[-1], device=blind.device)
    blind &= keys != rows[:, None]
    if not blind.any():
        return None
    far = (keys - rows[:, None]).abs().expand_as(blind).masked_fill(~blind, blind.shape[-1] + 1)
    b, r, j = torch.unravel_index(far.argmin(), far.shape)
    return int(b), int(rows[r]), int(j)


def sees_nothing(measured: Measured, case: Case) -> bool:
    """Whether no output at a real position depends on any other position.

    >>> from masklab.doctor.inputs import make_case
    >>> case, alone = make_case(len, torch.tensor([[7, 8, 9]]), None), torch.eye(3)[None]
    >>> sees_nothing(Measured(torch.arange(3), alone, alone.bool()), case)
    True
    """
    others = torch.arange(measured.size.shape[-1], device=measured.size.device) != measured.rows[:, None]
    return not bool((measured.size.nan_to_num(nan=1.0) * others)[case.words[:, measured.rows]].any())
