"""Several documents in one row: less padding, if no document sees another.

Source: Krell et al. 2021, "Efficient sequence packing without cross-contamination", arXiv 2107.02027.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from masklab import masks
from masklab.text import PAD_ID, Batch


@dataclass(frozen=True)
class Packed:
    """Rows that hold several documents each, with the padding after the last one.

    Shapes, all (rows, length) int64: ``ids``; ``documents`` as `masks.document_ids` gives them, −1 at padding.
    """

    ids: Tensor
    documents: Tensor

    @property
    def positions(self) -> Tensor:
        """The place of each token in its document, (rows, length)."""
        return document_positions(self.documents)


def first_fit(lengths: Sequence[int], *, total: int) -> list[list[int]]:
    """Put each document in the first row that has room for it; return the documents of each row.

    ``total`` is how many tokens a row holds. Raises ValueError for a document that is longer.

    >>> first_fit([3, 4, 2, 1], total=5)
    [[0, 2], [1, 3]]
    """
    if max(lengths, default=0) > total:
        raise ValueError(f"every document must fit in a row of {total} tokens, got one of {max(lengths)}.")
    packed: list[list[int]] = []
    for i, length in enumerate(lengths):
        with_room = [row for row in packed if sum(lengths[j] for j in row) + length <= total]
        if with_room:
            with_room[0].append(i)
        else:
            packed.append([i])
    return packed


def pack(batch: Batch, *, total: int) -> Packed:
    """Put the sentences of a batch one after the other, in rows of ``total`` tokens. Errors: as for `first_fit`.

    >>> two = Batch(tokens=(), ids=torch.tensor([[5, 6, 0], [7, 8, 9]]), lengths=torch.tensor([2, 3]), side="right")
    >>> packed = pack(two, total=6)
    >>> packed.ids, packed.documents, packed.positions
    (tensor([[5, 6, 7, 8, 9, 0]]), tensor([[ 0,  0,  1,  1,  1, -1]]), tensor([[0, 1, 0, 1, 2, 0]]))
    """
    plan = first_fit(batch.lengths.tolist(), total=total)
    documents = masks.document_ids([batch.lengths[row].tolist() for row in plan], total=total)
    order = [i for row in plan for i in row]
    words = batch.ids[order][batch.is_word[order]]
    return Packed(torch.full_like(documents, PAD_ID).masked_scatter(documents >= 0, words), documents)


def document_positions(documents: Tensor) -> Tensor:
    """Number the tokens of each document 0, 1, 2 …, so that it means the same wherever it is in its row.

    Shapes: ``documents`` (rows, length) int64, −1 at padding → the same shape, int64, 0 at padding.

    >>> document_positions(torch.tensor([[0, 0, 0, 1, 1, -1, -1]]))
    tensor([[0, 1, 2, 0, 1, 0, 0]])
    """
    places = torch.arange(documents.shape[-1], device=documents.device).expand_as(documents)
    begins = documents.diff(dim=-1, prepend=documents[:, :1] - 1) != 0  # True at the first token of each document
    return (places - places.masked_fill(~begins, 0).cummax(dim=-1).values).masked_fill(documents < 0, 0)


def waste(lengths: Sequence[int], *, total: int, rows: int) -> float:
    """The share of padding when documents of these lengths fill ``rows`` rows of ``total`` tokens.

    >>> waste([3, 1], total=4, rows=2)
    0.5
    """
    return 1 - sum(lengths) / (rows * total)
