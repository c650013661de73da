"""Where a transformer begins: a vector for each id, and one for its place in the sentence."""

import torch
from torch import Tensor, nn

from masklab.models.inputs import checked_ids, checked_positions, checked_words


def positions_of(is_word: Tensor) -> Tensor:
    """Number the words of each sentence 0, 1, 2 …, wherever its padding is.

    A sentence keeps its numbers when it is padded on the left, so it means the same.
    Shapes: ``is_word`` (batch, length) bool, True = a word → the same shape, int64; 0 before the first word.
    Raises TypeError for a mask that is not bool, ValueError for other axes.

    >>> positions_of(torch.tensor([[False, False, True, True], [True, True, True, False]]))
    tensor([[0, 0, 0, 1],
            [0, 1, 2, 2]])
    """
    return (checked_words(is_word).cumsum(dim=-1) - 1).clamp(min=0)


class Embeddings(nn.Module):
    """A learned vector for each id, plus a learned vector for each position.

    Shapes: ``ids`` (B, L) → (B, L, dim). ``positions``, (B, L) or (L,), is the place of each id in its
    sentence; by default it counts from ``start``: wrong under left padding and in packed rows.
    Raises TypeError for anything but integers; ValueError for other axes, and for a position outside 0 … max_len − 1.

    >>> Embeddings(vocab_size=10, dim=4, max_len=8)(torch.tensor([[1, 2, 3]])).shape
    torch.Size([1, 3, 4])
    """

    def __init__(self, vocab_size: int, dim: int, max_len: int):
        super().__init__()
        self.token = nn.Embedding(vocab_size, dim)
        self.position = nn.Embedding(max_len, dim)

    def forward(self, ids: Tensor, positions: Tensor | None = None, *, start: int = 0) -> Tensor:
        """Sum the two vectors of each id."""
        ids = checked_ids(ids)
        B, L = ids.shape
        if positions is None:  # the ends are known: a look at the tensor would wait for the device
            positions, first, last = torch.arange(start, start + L, device=ids.device), start, start + L - 1
        else:
            positions = checked_positions(positions, batch=B, length=L)
            looked_at = positions.numel() and not positions.is_meta  # the meta device has shapes only, no numbers
            first, last = (end.item() for end in positions.aminmax()) if looked_at else (0, 0)
        max_len = self.position.num_embeddings
        if L and not 0 <= first <= last < max_len:
            raise ValueError(
                f"positions must lie between 0 and max_len - 1 = {max_len - 1}, got {first} to {last}. "
                "Shorten the text, or build the model with a larger max_len."
            )
        return self.token(ids) + self.position(positions)  # (B, L, dim)
