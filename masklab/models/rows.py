"""Rows of padded sentences: where the words begin, how to move them to one side, and how to hide the pads."""

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from masklab import validate


def pads_before(lengths: Tensor, *, total: int, side: str) -> Tensor:
    """How many pads stand before the first word of each sentence.

    Shapes: ``lengths`` (B,) int64 → (B,). Raises ValueError for an unknown side.

    >>> lengths = torch.tensor([3, 1])
    >>> pads_before(lengths, total=4, side="left"), pads_before(lengths, total=4, side="right")
    (tensor([1, 3]), tensor([0, 0]))
    """
    validate.one_of(("left", "right"), side=side)
    return total - lengths if side == "left" else torch.zeros_like(lengths)


def roll_rows(x: Tensor, steps: Tensor) -> Tensor:
    """Roll each row to the left by its own number of steps; what leaves on the left comes back on the right.

    Shapes: ``x`` (B, L, …), ``steps`` (B,) → (B, L, …).

    >>> roll_rows(torch.tensor([[0, 0, 7, 8], [5, 6, 7, 8]]), torch.tensor([2, 0]))
    tensor([[7, 8, 0, 0],
            [5, 6, 7, 8]])
    """
    if not steps.any():  # as with all padding on the right: nothing moves
        return x
    B, L = x.shape[:2]
    where = (torch.arange(L, device=steps.device) + steps[:, None]) % L  # (B, L)
    return x[torch.arange(B, device=steps.device)[:, None], where]  # (B, L, …)


def packed(x: Tensor, lengths: Tensor, before: Tensor) -> PackedSequence:
    """The words of all sentences without a pad, as torch's recurrent networks read them.

    Shapes: ``x`` (B, L, dim), ``lengths`` (B,), ``before`` (B,) as of `pads_before` → ``data`` (words, dim).

    >>> x, lengths = torch.tensor([[[0.0], [1.0]], [[2.0], [3.0]]]), torch.tensor([1, 2])
    >>> packed(x, lengths, pads_before(lengths, total=2, side="left")).data.flatten()  # first words first
    tensor([2., 1., 3.])
    """
    at_the_left = roll_rows(x, before)  # (B, L, dim); packing expects each sentence there
    return pack_padded_sequence(at_the_left, lengths.cpu(), batch_first=True, enforce_sorted=False)  # (words, dim)


def at_the_right(ids: Tensor, lengths: Tensor, *, side: str | None) -> Tensor:
    """Move each sentence to the right end of its row, with its pads on the left.

    Shapes: ``ids`` (B, L), ``lengths`` (B,) → (B, L). ``side`` says where the padding is now; None is fine without
    any. Raises ValueError for an unknown side, and where there is padding and no side.

    >>> at_the_right(torch.tensor([[5, 6, 0], [7, 8, 9]]), torch.tensor([2, 3]), side="right")
    tensor([[0, 5, 6],
            [7, 8, 9]])
    """
    if side is not None:
        validate.one_of(("left", "right"), side=side)
    elif (lengths < ids.shape[1]).any():
        raise ValueError(
            "some sentences are padded, so say on which side: side='left' or side='right'. A Batch has it: batch.side."
        )
    return roll_rows(ids, lengths.to(ids.device)) if side == "right" else ids
