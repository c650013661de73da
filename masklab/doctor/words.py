"""What the doctor says about a model: sentences with positions and tokens, and the line to change."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from masklab.doctor.inputs import Case
from masklab.doctor.undisturbed import named_parts

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
RECURRENT = (nn.RNNBase, nn.RNNCellBase)
FIXES: list[tuple[tuple[type, ...], str]] = [  # the module in which it begins → the line to change
    (CONVOLUTIONS, "x = F.pad(x, (kernel_size - 1, 0))  # and Conv1d(…, padding=0): no step to the right"),
    (RECURRENT, "bidirectional=False  # the second direction reads the future; to hide pads, pack_padded_sequence"),
    ((nn.modules.batchnorm._BatchNorm,), "nn.LayerNorm(d) in place of BatchNorm: each position by itself"),
    ((nn.LayerNorm, nn.GroupNorm, nn.modules.instancenorm._InstanceNorm),
     "nn.LayerNorm(d) over the features alone, not over the positions"),
]  # fmt: skip


def token(case: Case, b: int, position: int) -> str:
    """A position and its token's id.

    >>> import torch
    >>> from masklab.doctor.inputs import make_case
    >>> token(make_case(len, torch.tensor([[7, 8]]), None), 0, 1)
    'position 1 (id 8)'
    """
    x = case.x
    return f"position {position}" + ("" if x.is_floating_point() else f" (id {int(x[b, position])})")


def pairs(cell: tuple[int, int, int]) -> str:
    """Where a leak is seen: the sentence, the output and the input.

    >>> pairs((0, 1, 2))
    'sentence 0, output 1, input 2'
    """
    b, i, j = cell
    return f"sentence {b}, output {i}, input {j}"


def depends(case: Case, cell: tuple[int, int, int]) -> str:
    """Two positions, and which comes first.

    >>> import torch
    >>> from masklab.doctor.inputs import make_case
    >>> depends(make_case(len, torch.tensor([[7, 8]]), None), (0, 0, 1))
    'In sentence 0 the output at position 0 (id 7) depends on position 1 (id 8), which comes later'
    """
    b, i, j = cell
    what = f"In sentence {b} the output at {token(case, b, i)} depends on {token(case, b, j)}"
    pad = case.pad is not None and case.main == case.padded and not case.pad[b, j]
    return f"{what}, which is padding" if pad else f"{what}, which comes {'later' if j > i else 'earlier'}"


def begins(place: tuple[str, nn.Module] | None) -> str:
    """The module in which it begins, in words.

    >>> begins(("head", nn.Linear(1, 1)))
    ' This begins in head (Linear).'
    """
    if place is None:
        return ""
    name, module = place
    return f" This begins in {name or 'the model'} ({type(module).__name__})."


def fix_for(place: tuple[str, nn.Module] | None) -> str | None:
    """The line to change, where the kind of module says more than the code.

    >>> fix_for(("norm", nn.BatchNorm1d(2)))
    'nn.LayerNorm(d) in place of BatchNorm: each position by itself'
    """
    if place is None:
        return None
    return next((fix for types, fix in FIXES if isinstance(place[1], types)), None)


def fix_for_batch(place: tuple[str, nn.Module] | None) -> str | None:
    """The line to change where sentences are mixed: many modules of torch take the first axis for the positions.

    >>> fix_for_batch(("rnn", nn.GRU(1, 1)))
    'batch_first=True  # without it the first axis is the positions, and sentences are mixed'
    >>> fix_for_batch(("rnn", nn.GRU(1, 1, batch_first=True)))
    """
    if place is not None and getattr(place[1], "batch_first", True) is False:
        return "batch_first=True  # without it the first axis is the positions, and sentences are mixed"
    return None if place is not None and isinstance(place[1], RECURRENT) else fix_for(place)


def one_way(model: Callable) -> bool:
    """Whether a model is recurrent, and reads from left to right only.

    >>> one_way(nn.GRU(1, 1)), one_way(nn.GRU(1, 1, bidirectional=True)), one_way(nn.Linear(1, 1))
    (True, False, False)
    """
    parts = [part for _, part in named_parts(model) if isinstance(part, RECURRENT)]
    return bool(parts) and not any(getattr(part, "bidirectional", False) for part in parts)
