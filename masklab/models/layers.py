"""What the transformers share: embeddings with positions, attention with a mask, and the block.

A block is "pre-norm": it normalises what it reads, and adds what it finds to a stream that nothing
else touches. Source: Vaswani et al. 2017, arXiv 1706.03762; Xiong et al. 2020, arXiv 2002.04745.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masklab.attention import checked_mask
from masklab.models.private import Dropout


def positions_of(word: Tensor) -> Tensor:
    """Number the words of each sentence 0, 1, 2 …, wherever its padding stands.

    A sentence keeps its numbers when it is padded on the left, and so it means the same.
    Shapes: ``word`` (batch, length) bool, True = a word → the same shape, int64; 0 before the first word.

    >>> positions_of(torch.tensor([[False, False, True, True], [True, True, True, False]]))
    tensor([[0, 0, 0, 1],
            [0, 1, 2, 2]])
    """
    return (word.cumsum(dim=-1) - 1).clamp(min=0)


class Embeddings(nn.Module):
    """A learned vector for each id, plus a learned vector for each position.

    Shapes: ``ids`` (B, L) → (B, L, dim). ``positions`` int64, (B, L) or (L,), says which place each id
    has in its sentence; by default it counts from ``start``: wrong under left padding and in packed rows.
    Raises ValueError for a position that the table, of ``longest`` rows, does not have.

    >>> Embeddings(vocabulary=10, dim=4, longest=8)(torch.tensor([[1, 2, 3]])).shape
    torch.Size([1, 3, 4])
    """

    def __init__(self, vocabulary: int, dim: int, longest: int):
        super().__init__()
        self.token = nn.Embedding(vocabulary, dim)
        self.position = nn.Embedding(longest, dim)

    def forward(self, ids: Tensor, positions: Tensor | None = None, *, start: int = 0) -> Tensor:
        """Sum the two vectors of each id."""
        B, L = ids.shape
        if positions is None:
            positions = torch.arange(start, start + L)
        longest = self.position.num_embeddings
        if positions.numel() and not 0 <= positions.min() <= positions.max() < longest:
            raise ValueError(
                f"positions must lie between 0 and longest - 1 = {longest - 1}, and these go from "
                f"{positions.min()} to {positions.max()}. Shorten the text, or build the model with a larger longest."
            )
        return self.token(ids) + self.position(positions)  # (B, L, dim)


class Attend(nn.Module):
    """`masklab.attention.attend`, by torch's fused kernel: fast, and only the output is kept.

    Shapes and errors: as for `attend`; a row with no allowed key gives zeros. See the stages with `look`.
    """

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """Softmax(q·kᵀ/√d + bias)·v."""
        if mask is not None:  # torch would *add* a float mask, and broadcast where it should ask
            mask = checked_mask(mask, q.shape[:-1] + k.shape[-2:-1])
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # (B, H, L, D)


class MultiHeadAttention(nn.Module):
    """Queries from ``x``, keys and values from ``source``; each head has its own dim/heads of the width.

    Shapes: ``x`` (B, L, dim); ``source`` (B, S, dim), which is ``x`` itself in self-attention; ``past``, keys and
    values (B, H, P, D) that earlier calls returned, stands before those of ``source``; ``mask`` bool, True =
    may attend, (L, P+S) or (B, 1 or H, L, P+S) → (B, L, dim), and the keys and values for the next call.

    >>> x = torch.zeros(1, 3, 4)
    >>> out, (keys, values) = MultiHeadAttention(4, heads=2)(x, x, torch.ones(3, 3, dtype=torch.bool))
    >>> out.shape, keys.shape
    (torch.Size([1, 3, 4]), torch.Size([1, 2, 3, 2]))
    """

    def __init__(self, dim: int, heads: int):
        super().__init__()
        if dim % heads:
            raise ValueError(f"dim must be a multiple of heads, and {dim} is not a multiple of {heads}.")
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(dim, dim) for _ in range(4))
        self.attend = Attend()

    def forward(self, x: Tensor, source: Tensor, mask: Tensor | None, past: tuple[Tensor, Tensor] | None = None):
        """Project, attend in each head, join the heads."""
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, L or S, dim) → (B, H, L or S, D)
            for part in (self.query(x), self.key(source), self.value(source))
        )
        if past is not None:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)  # (B, H, P+S, D)
        y = self.attend(q, k, v, mask)  # (B, H, L, D)
        return self.out(y.transpose(1, 2).flatten(2)), (k, v)  # (B, L, dim)


def feed_forward(dim: int) -> nn.Sequential:
    """Each position by itself: four times as wide, ReLU, and back. Shape: (…, dim) → (…, dim).

    >>> feed_forward(4)(torch.zeros(2, 3, 4)).shape
    torch.Size([2, 3, 4])
    """
    return nn.Sequential(nn.Linear(dim, 4 * dim), nn.ReLU(), nn.Linear(4 * dim, dim))


class Block(nn.Module):
    """Self-attention, then each position by itself; both add to the stream. Shapes: `MultiHeadAttention`.

    Without dropout it equals `nn.TransformerEncoderLayer(…, norm_first=True)`.

    >>> x, keys_values = Block(4, heads=2)(torch.zeros(1, 3, 4), None)
    >>> x.shape
    torch.Size([1, 3, 4])
    """

    def __init__(self, dim: int, heads: int, *, dropout: float = 0.0):
        super().__init__()
        self.norm_attention, self.attention = nn.LayerNorm(dim), MultiHeadAttention(dim, heads)
        self.norm_feed, self.feed = nn.LayerNorm(dim), feed_forward(dim)
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None, past: tuple[Tensor, Tensor] | None = None):
        """Return the stream (B, L, dim), and the keys and values for a cache."""
        h = self.norm_attention(x)
        y, keys_values = self.attention(h, h, mask, past)
        x = x + self.drop(y)
        return x + self.drop(self.feed(self.norm_feed(x))), keys_values  # (B, L, dim)
