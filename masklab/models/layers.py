"""What the transformers share: attention with a mask, and the block.

A block is "pre-norm": it normalizes what it reads, and adds its result to a stream that nothing
else touches. Source: Vaswani et al. 2017, arXiv 1706.03762; Xiong et al. 2020, arXiv 2002.04745.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masklab import validate
from masklab.models.private import Dropout


class Attend(nn.Module):
    """`masklab.attention.attend` by torch's fused kernel: fast, and only the output is kept.

    Shapes and errors: as for `attend`; a fully masked row gives zeros. See the stages with `trace_attention`.
    """

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        """Softmax(q·kᵀ/√d + bias)·v."""
        if mask is not None:  # torch would *add* a float mask, and broadcast axes that disagree
            validate.four_axes(mask, shape=q.shape[:-1] + k.shape[-2:-1])
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # (B, H, L, D)


class MultiHeadAttention(nn.Module):
    """Queries from ``x``, keys and values from ``source``; each head has its own dim/heads of the width.

    Shapes: ``x`` (B, L, dim); ``source`` (B, S, dim), which is ``x`` itself in self-attention; ``past``, keys and
    values (B, H, P, D) from earlier calls, come before those of ``source``; ``mask`` bool, True =
    may attend, (B, H, L, P+S), each of which may be 1 → (B, L, dim), and the keys and values for the next call.
    Raises TypeError for a mask that is not bool; ValueError for one that does not fit, and for heads that do not
    divide the width.

    >>> x = torch.zeros(1, 3, 4)
    >>> out, (keys, values) = MultiHeadAttention(4, heads=2)(x, x, torch.ones(1, 1, 3, 3, dtype=torch.bool))
    >>> out.shape, keys.shape
    (torch.Size([1, 3, 4]), torch.Size([1, 2, 3, 2]))
    """

    def __init__(self, dim: int, heads: int):
        super().__init__()
        if heads < 1 or dim % heads:
            raise ValueError(f"dim must be a multiple of heads, at least 1, got dim={dim} and heads={heads}.")
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
