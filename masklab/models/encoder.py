"""A tiny Transformer encoder: each position reads what the mask allows, in both directions.

One head for each token serves masked language modelling (classes = the vocabulary) and tagging; the mean
over the words serves a class for the sentence. Source: Devlin et al. 2019, arXiv 1810.04805, §3.
"""

from torch import Tensor, nn

from masklab.models.embeddings import Embeddings
from masklab.models.inputs import checked_words
from masklab.models.layers import Block
from masklab.models.private import private_seed


def masked_mean(x: Tensor, word: Tensor) -> Tensor:
    """The mean over words, not over pads: how long the padding is must not matter.

    Shapes: ``x`` (B, L, dim), ``word`` (B, L) bool, True = a word → (B, dim); zeros without any word.
    Raises TypeError for a mask that is not bool, ValueError for one that does not fit ``x``.

    >>> import torch
    >>> masked_mean(torch.tensor([[[2.0], [4.0], [99.0]]]), torch.tensor([[True, True, False]]))
    tensor([[3.]])
    """
    word = checked_words(word, shape=x.shape[:-1])
    total = x.masked_fill(~word[..., None], 0.0).sum(dim=1)  # (B, dim); a product would keep a NaN under a pad
    return total / word.sum(dim=1, keepdim=True).clamp(min=1)  # (B, dim)


class Encoder(nn.Module):
    """Embeddings → blocks → norm → a linear head.

    Shapes: ``ids`` (B, L) int64; ``mask`` bool, True = may attend, (B, heads, L, L), each of which
    may be 1; ``positions`` as for `Embeddings` → logits (B, L, classes). The mask has no default: to leave
    it out is the most common mistake, so write None if every query may attend to every key.
    ``max_len`` is the number of positions. Raises TypeError and ValueError for a mask that does not fit.

    >>> import torch
    >>> ids, word = torch.tensor([[1, 2, 3, 0]]), torch.tensor([[True, True, True, False]])
    >>> model = Encoder(10, 6)
    >>> model(ids, word[:, None, None, :]).shape
    torch.Size([1, 4, 6])
    >>> model.classify(ids, word[:, None, None, :], word).shape
    torch.Size([1, 6])
    """

    def __init__(
        self, vocab_size: int, classes: int, *, dim: int = 32, heads: int = 2, layers: int = 2, max_len: int = 64,
        dropout: float = 0.0, seed: int = 0,
    ):  # fmt: skip
        super().__init__()
        with private_seed(seed):
            self.embed = Embeddings(vocab_size, dim, max_len)
            self.blocks = nn.ModuleList(Block(dim, heads, dropout=dropout) for _ in range(layers))
            self.norm = nn.LayerNorm(dim)
            self.head = nn.Linear(dim, classes)

    def features(self, ids: Tensor, mask: Tensor | None, *, positions: Tensor | None = None) -> Tensor:
        """What each token has gathered, (B, L, dim)."""
        x = self.embed(ids, positions)  # (B, L, dim)
        for block in self.blocks:
            x, _ = block(x, mask)
        return self.norm(x)

    def forward(self, ids: Tensor, mask: Tensor | None, *, positions: Tensor | None = None) -> Tensor:
        """Logits of each token, (B, L, classes)."""
        return self.head(self.features(ids, mask, positions=positions))  # (B, L, classes)

    def classify(self, ids: Tensor, mask: Tensor | None, word: Tensor, *, positions: Tensor | None = None) -> Tensor:
        """Logits of each sentence, (B, classes), from the mean over its words; ``word`` (B, L) bool."""
        x = masked_mean(self.features(ids, mask, positions=positions), word)  # (B, dim)
        return self.head(x)  # (B, classes)
