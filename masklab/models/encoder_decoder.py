"""A tiny encoder–decoder with its three masks: source to source, target to target, target to source.

Source: Vaswani et al. 2017, arXiv 1706.03762, §3.1 and §3.2.3.
"""

from torch import Tensor, nn

from masklab import masks
from masklab.models.embeddings import Embeddings
from masklab.models.inputs import checked_ids
from masklab.models.layers import Block, MultiHeadAttention, feed_forward
from masklab.models.private import Dropout, private_seed


class DecoderBlock(nn.Module):
    """Self-attention, then attention to the source, then each position by itself; each adds to the stream.

    Without dropout it equals `nn.TransformerDecoderLayer(…, norm_first=True)`.

    >>> import torch
    >>> DecoderBlock(4, heads=2)(torch.zeros(1, 3, 4), torch.zeros(1, 5, 4), None, None).shape
    torch.Size([1, 3, 4])
    """

    def __init__(self, dim: int, heads: int, *, dropout: float = 0.0):
        super().__init__()
        self.norm_attention, self.attention = nn.LayerNorm(dim), MultiHeadAttention(dim, heads)
        self.norm_cross, self.cross = nn.LayerNorm(dim), MultiHeadAttention(dim, heads)
        self.norm_feed, self.feed = nn.LayerNorm(dim), feed_forward(dim)
        self.drop = Dropout(dropout)

    def forward(self, x: Tensor, source: Tensor, mask: Tensor | None, cross_mask: Tensor | None) -> Tensor:
        """``x`` (B, T, dim), ``source`` (B, S, dim), masks (…, T, T) and (…, T, S) → (B, T, dim)."""
        h = self.norm_attention(x)
        x = x + self.drop(self.attention(h, h, mask)[0])
        x = x + self.drop(self.cross(self.norm_cross(x), source, cross_mask)[0])
        return x + self.drop(self.feed(self.norm_feed(x)))


class EncoderDecoder(nn.Module):
    """Reads a source, then predicts each next token of a target.

    Shapes: ``source`` (B, S) and ``target`` (B, T) int64 → logits (B, T, target_vocab_size). The masks are
    bool, True = may attend, with the axes (batch, head, query, key), each of which may be 1:

    - ``source_mask`` (…, S, S): who in the source sees whom in the source; blocks its pads, as columns.
    - ``cross_mask`` (…, T, S): which source words a target token sees; blocks the same columns.
    - ``target_mask`` (…, T, T): the past, and no pads; None means causal.

    The first two have no default: write None if every query may attend to every key. Positions as for
    `Embeddings`. Raises TypeError and ValueError for a mask that does not fit, and ValueError for a target with
    another number of sentences.

    >>> import torch
    >>> source, is_word = torch.tensor([[1, 2, 3, 0]]), torch.tensor([[True, True, True, False]])
    >>> keys = is_word[:, None, None, :]
    >>> EncoderDecoder(10, 12)(source, torch.tensor([[1, 5]]), source_mask=keys, cross_mask=keys).shape
    torch.Size([1, 2, 12])
    """

    def __init__(
        self, source_vocab_size: int, target_vocab_size: int, *, dim: int = 32, heads: int = 2, layers: int = 2,
        max_len: int = 64, dropout: float = 0.0, seed: int = 0,
    ):  # fmt: skip
        super().__init__()
        with private_seed(seed):
            self.embed_source = Embeddings(source_vocab_size, dim, max_len)
            self.encoder = nn.ModuleList(Block(dim, heads, dropout=dropout) for _ in range(layers))
            self.norm_source = nn.LayerNorm(dim)
            self.embed_target = Embeddings(target_vocab_size, dim, max_len)
            self.decoder = nn.ModuleList(DecoderBlock(dim, heads, dropout=dropout) for _ in range(layers))
            self.norm_target = nn.LayerNorm(dim)
            self.head = nn.Linear(dim, target_vocab_size, bias=False)

    def encode(self, source: Tensor, mask: Tensor | None, *, positions: Tensor | None = None) -> Tensor:
        """Read the source, (B, S) → (B, S, dim): once, however many target tokens follow."""
        x = self.embed_source(source, positions)  # (B, S, dim)
        for block in self.encoder:
            x, _ = block(x, mask)
        return self.norm_source(x)

    def decode(
        self, target: Tensor, source: Tensor, *, target_mask: Tensor | None = None, cross_mask: Tensor | None,
        positions: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Logits (B, T, vocab_size) of the target, (B, T), given what `encode` read, (B, S, dim)."""
        B, T = checked_ids(target).shape
        if source.shape[0] != B:
            raise ValueError(f"source and target must have as many sentences, got {source.shape[0]} and {B}.")
        if target_mask is None:
            target_mask = masks.causal().tensor(queries=T, keys=T, device=target.device)  # (1, 1, T, T)
        x = self.embed_target(target, positions)  # (B, T, dim)
        for block in self.decoder:
            x = block(x, source, target_mask, cross_mask)
        return self.head(self.norm_target(x))  # (B, T, vocab_size)

    def forward(
        self, source: Tensor, target: Tensor, *, source_mask: Tensor | None, target_mask: Tensor | None = None,
        cross_mask: Tensor | None, source_positions: Tensor | None = None, target_positions: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Logits (B, T, vocab_size)."""
        read = self.encode(source, source_mask, positions=source_positions)  # (B, S, dim)
        return self.decode(
            target, read, target_mask=target_mask, cross_mask=cross_mask, positions=target_positions
        )  # (B, T, vocab_size)
