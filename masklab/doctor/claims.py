"""What a model's outputs may depend on, by what its author says."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from masklab import validate
from masklab.doctor.inputs import Case
from masklab.masks import Rule, causal, everything, receptive_field


@dataclass(frozen=True)
class Claim:
    """What may depend on what.

    ``rule`` (B, L, L) bool is one attention's, with the diagonal and without padding; ``reach`` is the same after all
    layers. ``keys`` (B, L, L) says what is no padding, ``read`` (B, L, 1) which outputs anybody reads. ``documents``
    (B, L) numbers the groups of positions that the rule keeps apart.
    """

    name: str
    rule: Tensor
    reach: Tensor
    keys: Tensor
    read: Tensor
    documents: Tensor

    @property
    def may(self) -> Tensor:
        """What may depend on what, (B, L, L) bool; outputs that nobody reads may depend on all."""
        return self.reach & self.keys | ~self.read

    def after(self, layers: int) -> Claim:
        """The claim for the output of the first so many layers."""
        return replace(self, reach=receptive_field(self.rule, layers=layers) & self.reach)


def make_claim(allowed: str | Tensor | Rule, case: Case, *, layers: int) -> Claim:
    """The claim of ``allowed``: "causal", "full" or a keep-mask, for a stack of so many layers (0 = any number).

    Raises TypeError and ValueError for anything else, and for a mask that doesn't fit.

    >>> from masklab.doctor.inputs import make_case
    >>> make_claim("causal", make_case(len, torch.tensor([[7, 8]]), None), layers=1).may.int()
    tensor([[[1, 0],
             [1, 1]]], dtype=torch.int32)
    """
    B, L = case.x.shape[:2]
    own = torch.eye(L, dtype=torch.bool, device=case.x.device)
    rule = _rule(allowed, B, L).to(case.x.device) | own
    reach = receptive_field(rule, layers=layers) if layers else _closed(rule)
    keys = torch.ones_like(rule)
    if case.pad is not None and case.main == case.padded:
        keys = case.pad[:, None, :] | own
    name = allowed if isinstance(allowed, str) else "your mask"
    return Claim(name, rule, reach, keys, case.words[:, :, None], _documents(rule))


def _rule(allowed: str | Tensor | Rule, batch: int, length: int) -> Tensor:
    """The keep-mask as (B, L, L) bool."""
    shape = (batch, length, length)
    if isinstance(allowed, str):
        validate.one_of(("causal", "full"), allowed=allowed)
        allowed = causal() if allowed == "causal" else everything()
    if isinstance(allowed, Rule):
        allowed = allowed.tensor(queries=length, keys=length)
    mask = validate.bool_mask("allowed", allowed)
    if mask.ndim == 4:
        mask = mask.any(dim=1)
    if mask.ndim not in (2, 3) or mask.shape[-2:] != shape[1:] or (mask.ndim == 3 and mask.shape[0] not in (1, batch)):
        raise ValueError(
            f"allowed must be 'causal', 'full' or a keep-mask (query, key) = {shape[1:]}, (batch, query, key) or "
            f"(batch, head, query, key), got {tuple(allowed.shape)}."
        )
    return mask.expand(shape).clone()


def _closed(rule: Tensor) -> Tensor:
    """What can be reached in any number of layers."""
    known = rule
    while True:
        further = (known.float() @ known.float()) > 0
        if torch.equal(further, known):
            return known
        known = further


def _documents(rule: Tensor) -> Tensor:
    """Number the groups that are not connected, (B, L): each has the number of its first position."""
    linked = _closed(rule | rule.transpose(1, 2))
    return linked.int().argmax(dim=-1)
