"""Labels as losses want them: which positions count."""

from torch import Tensor

from masklab import validate

IGNORED = -100  # the label that torch's and Transformers' losses leave out


def to_labels(ids: Tensor, supervised: Tensor) -> Tensor:
    """Labels as losses want them: the id where a position counts, −100 where it does not.

    Shapes: ``ids`` int64 and ``supervised`` bool, of one shape → the same, int64.
    Raises TypeError for another dtype, ValueError for shapes that differ, or a negative id that counts:
    −100 would be left out of the loss silently.

    >>> import torch
    >>> to_labels(torch.tensor([[7, 8, 9]]), torch.tensor([[True, False, True]]))
    tensor([[   7, -100,    9]])
    """
    validate.int64("ids", ids)
    validate.bool_mask("supervised", supervised, true="counts in the loss")
    validate.same_shape(ids=ids, supervised=supervised)
    negative = ids[supervised & (ids < 0)]
    if negative.numel():
        raise ValueError(
            f"an id that counts in the loss must be 0 or more, got {negative[0]}. "
            "If ids are labels already, let supervised be from_labels(ids)."
        )
    return ids.masked_fill(~supervised, IGNORED)


def from_labels(labels: Tensor) -> Tensor:
    """Which positions count in the loss: those whose label is not −100.

    Shape: as ``labels``, bool, True = counts. Raises TypeError for labels that are not int64,
    ValueError for another negative number, which is no class.

    >>> import torch
    >>> from_labels(torch.tensor([[7, -100, 9]]))
    tensor([[ True, False,  True]])
    """
    counts = validate.int64("labels", labels) != IGNORED
    strange = labels[counts & (labels < 0)]
    if strange.numel():
        raise ValueError(
            f"labels must be ids, 0 or more, or {IGNORED} (left out), got {strange[0]}. "
            f"If it means left out, use labels.masked_fill(labels == {strange[0]}, {IGNORED})."
        )
    return counts
