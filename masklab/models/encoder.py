"""A tiny Transformer encoder: each position reads what the mask allows, in both directions.

One head for each token serves masked language modelling (classes = the vocabulary) and tagging; the mean
over the words serves a class for the sentence. Source: Devlin et al. 2019, arXiv 1810.04805, §3.
"""

from torch import Tensor, nn

from masklab.models.embeddings import Embeddings
from masklab.models.inputs import checked_words
from masklab.models.layers import Block
from masklab.models.private import private_seed


def masked_mean(x: Tensor, is_word: Tensor) -> Tensor:
    """The mean over words only, however long the padding is.

    Shapes: ``x`` (B, L, dim), ``is_word`` (B, L) bool, True = a word → (B, dim); zeros for a sentence without words.
    Raises TypeError for a mask that is not bool, ValueError for one that does not fit ``x``.

    >>> import torch
    >>> masked_mean(torch.tensor([[[2.0], [4.0], [99.0]]]), torch.tensor([[True, True, False]]))
    tensor([[3.]])
    """
    is_word = checked_words(is_word, shape=x.shape[:-1])
    total = x.masked_fill(~is_word[..., None], 0.0).sum(dim=1)  # (B, dim); a product would keep a NaN under a pad
    return total / is_word.sum(dim=1, keepdim=True).clamp(min=1)  # (B, dim)


class Encoder(nn.Module):
    """Embeddings → blocks → norm → a linear head.

    Shapes: ``ids`` (B, L) int64; ``mask`` bool, True = may attend, (B, heads, L, L), each of which
    may be 1; ``positions`` as for `Embeddings` → logits (B, L, classes). The mask has no default, since
    forgetting it is the most common mistake: write None if every query may attend to every key.
    ``max_len`` is the number of positions. Raises TypeError and ValueError for a mask that does not fit.

    >>> import torch
    >>> ids, is_word = torch.tensor([[1, 2, 3, 0]]), torch.tensor([[True, True, True, False]])
    >>> model = Encoder(10, 6)
    >>> model(ids, is_word[:, None, None, :]).shape
    torch.Size([1, 4, 6])
    >>> model.classify(ids, is_word[:, None, None, :], is_word).shape
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

    def classify(self, ids: Tensor, mask: Tensor | None, is_word: Tensor, *, positions: Tensor | None = None) -> Tensor:
        """Logits of each sentence, (B, classes), from the mean over its words; ``is_word`` (B, L) bool."""
        x = masked_mean(self.features(ids, mask, positions=positions), is_word)  # (B, dim)
        return self.head(x)  # (B, classes)
