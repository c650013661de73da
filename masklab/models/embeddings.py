"""Where a transformer begins: a vector for each id, and one for its place in the sentence."""

import torch
from torch import Tensor, nn

from masklab.models.inputs import batch_and_length, checked_words


def positions_of(word: Tensor) -> Tensor:
    """Number the words of each sentence 0, 1, 2 …, wherever its padding stands.

    A sentence keeps its numbers when it is padded on the left, and so it means the same.
    Shapes: ``word`` (batch, length) bool, True = a word → the same shape, int64; 0 before the first word.
    Raises TypeError for a mask that is not bool, ValueError for other axes.

    >>> positions_of(torch.tensor([[False, False, True, True], [True, True, True, False]]))
    tensor([[0, 0, 0, 1],
            [0, 1, 2, 2]])
    """
    return (checked_words(word).cumsum(dim=-1) - 1).clamp(min=0)


class Embeddings(nn.Module):
    """A learned vector for each id, plus a learned vector for each position.

    Shapes: ``ids`` (B, L) → (B, L, dim). ``positions`` int64, (B, L) or (L,), says which place each id
    has in its sentence; by default it counts from ``start``: wrong under left padding and in packed rows.
    Raises ValueError for ids with other axes, and for a position that the table, of ``max_len`` rows, does not have.

    >>> Embeddings(vocab_size=10, dim=4, max_len=8)(torch.tensor([[1, 2, 3]])).shape
    torch.Size([1, 3, 4])
    """

    def __init__(self, vocab_size: int, dim: int, max_len: int):
        super().__init__()
        self.token = nn.Embedding(vocab_size, dim)
        self.position = nn.Embedding(max_len, dim)

    def forward(self, ids: Tensor, positions: Tensor | None = None, *, start: int = 0) -> Tensor:
        """Sum the two vectors of each id."""
        B, L = batch_and_length(ids)
        if B * L == 0:
            return self.token(ids)  # (B, L, dim) with no number in it, and no position to ask for
        if positions is None:  # the ends are known: a look at the tensor would wait for the device
            positions, first, last = torch.arange(start, start + L, device=ids.device), start, start + L - 1
        else:
            first, last = positions.min().item(), positions.max().item()
        max_len = self.position.num_embeddings
        if not 0 <= first <= last < max_len:
            raise ValueError(
                f"positions must lie between 0 and max_len - 1 = {max_len - 1}, and these go from "
                f"{first} to {last}. Shorten the text, or build the model with a larger max_len."
            )
        return self.token(ids) + self.position(positions)  # (B, L, dim)
