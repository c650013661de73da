"""Labels as losses want them: which positions count."""

import torch
from torch import Tensor

IGNORED = -100  # the label that torch's and Transformers' losses leave out


def to_labels(ids: Tensor, supervised: Tensor) -> Tensor:
    """Labels as losses want them: the id where a position counts, −100 where it does not.

    Shapes: ``ids`` int64 and ``supervised`` bool, both (batch, length) → the same, int64.
    Raises TypeError for ``supervised`` that is not bool or ids that are not int64, ValueError for
    shapes that differ, or a negative id that counts: −100 would be left out of the loss in silence.

    >>> to_labels(torch.tensor([[7, 8, 9]]), torch.tensor([[True, False, True]]))
    tensor([[   7, -100,    9]])
    """
    if ids.dtype != torch.int64:
        raise TypeError(f"ids must be int64, and are {ids.dtype} of shape {tuple(ids.shape)}.")
    if ids.shape != supervised.shape:
        raise ValueError(
            f"ids and supervised must have one shape, and have {tuple(ids.shape)} and {tuple(supervised.shape)}."
        )
    if supervised.dtype != torch.bool:
        raise TypeError(
            f"supervised must be bool, True = counts in the loss, and is {supervised.dtype} of shape "
            f"{tuple(supervised.shape)}. Use supervised.bool() if 1 means counts."
        )
    negative = ids[supervised & (ids < 0)]
    if negative.numel():
        raise ValueError(
            f"an id that counts in the loss must be 0 or more, and here is {negative[0]} (shape {tuple(ids.shape)}). "
            "If ids are labels already, let supervised be from_labels(ids)."
        )
    return ids.masked_fill(~supervised, IGNORED)


def from_labels(labels: Tensor) -> Tensor:
    """Which positions count in the loss: those whose label is not −100.

    Shape: as ``labels``, bool, True = counts. Raises TypeError for labels that are not int64,
    ValueError for another negative number, which no loss of torch takes for a class.

    >>> from_labels(torch.tensor([[7, -100, 9]]))
    tensor([[ True, False,  True]])
    """
    if labels.dtype != torch.int64:
        raise TypeError(f"labels must be int64, and are {labels.dtype} of shape {tuple(labels.shape)}.")
    counts = labels != IGNORED
    if (labels[counts] < 0).any():
        strange = labels[counts & (labels < 0)][0].item()
        raise ValueError(
            f"a label is an id, 0 or more, or {IGNORED} (left out), and here is {strange} (shape "
            f"{tuple(labels.shape)}). If it means left out, use labels.masked_fill(labels == {strange}, {IGNORED})."
        )
    return counts
