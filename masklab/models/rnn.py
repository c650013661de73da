"""Recurrent networks on padded sentences: which state to read, and what the network must never see.

A GRU carries one state from word to word. Pads *before* a word change the state that the word meets; pads *after*
the last word change the state that you read. Packing hides every pad. Source: Cho et al. 2014, arXiv 1406.1078.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_packed_sequence

from masklab import validate
from masklab.models.inputs import checked_ids, checked_lengths
from masklab.models.private import private_seed
from masklab.models.rows import packed, pads_before, roll_rows

READS = ("last_step", "last_word", "packed")


class Classifier(nn.Module):
    """One class for a sentence: embedding → GRU → the state at one step → linear.

    Shapes: ``ids`` (B, L) int64, ``lengths`` (B,) integers → logits (B, classes). ``read`` names the state:

    - ``"last_step"``: after the last column. With padding on the right it has read the pads: the bug.
    - ``"last_word"``: after the last word. Right if the padding is on the right. With padding on the left
      it *is* the last step, and also wrong: the pads were read first.
    - ``"packed"``: after the last word, with no pad read. Right with padding on either side.

    ``bidirectional`` adds a second GRU that reads from right to left, and each direction is read at its own end:
    the second after the first column or the first word. With padding on the right it *starts* in the pads.

    ``side`` says where the padding is. Raises ValueError for an unknown ``read`` or ``side``, and TypeError
    or ValueError for lengths that do not fit (`checked_lengths`).

    >>> Classifier(10, 4)(torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([3, 2])).shape
    torch.Size([2, 4])
    """

    def __init__(
        self, vocab_size: int, classes: int, *, dim: int = 32, bidirectional: bool = False, read: str = "packed",
        seed: int = 0,
    ):  # fmt: skip
        super().__init__()
        validate.one_of(READS, read=read)
        self.read = read
        with private_seed(seed):
            self.token = nn.Embedding(vocab_size, dim)
            self.rnn = nn.GRU(dim, dim, batch_first=True, bidirectional=bidirectional)
            self.head = nn.Linear(dim * (2 if bidirectional else 1), classes)

    def forward(self, ids: Tensor, lengths: Tensor, *, side: str = "right") -> Tensor:
        """Return logits (B, classes)."""
        validate.one_of(READS, read=self.read)  # a lesson sets it anew, to read a trained model in another way
        ids = checked_ids(ids)
        B, L = ids.shape
        lengths = checked_lengths(lengths, batch=B, total=L)  # (B,)
        before = pads_before(lengths, total=L, side=side)  # (B,)
        x = self.token(ids)  # (B, L, dim)
        if B == 0:  # torch packs no empty batch
            return x.new_zeros(0, self.head.out_features)  # (B, classes)
        if self.read == "last_word":
            out = self.rnn(x)[0].unflatten(-1, (-1, self.rnn.hidden_size))  # (B, L, directions, dim)
            ends = torch.stack([before + lengths - 1, before], dim=1)[:, : out.shape[2]]  # (B, directions)
            state = out[torch.arange(B)[:, None], ends, torch.arange(out.shape[2])]  # (B, directions, dim)
        else:
            last = self.rnn(packed(x, lengths, before) if self.read == "packed" else x)[1]  # (directions, B, dim)
            state = last.transpose(0, 1)  # (B, directions, dim)
        return self.head(state.flatten(1))  # (B, classes)


class Tagger(nn.Module):
    """One tag for each word: embedding → GRU → linear.

    Shapes: ``ids`` (B, L) int64, ``lengths`` (B,) integers → logits (B, L, tags), meaningless at pads.
    ``bidirectional`` adds a second GRU that reads from right to left. ``packed=False`` lets both read the pads:
    with padding on the right the second one starts in them, and even the logits of real words are wrong.
    ``side`` and errors: as for `Classifier`. Source: Schuster and Paliwal 1997, doi 10.1109/78.650093.

    >>> Tagger(10, 6, bidirectional=True)(torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([3, 2])).shape
    torch.Size([2, 3, 6])
    """

    def __init__(
        self, vocab_size: int, tags: int, *, dim: int = 32, bidirectional: bool = False, packed: bool = True,
        seed: int = 0,
    ):  # fmt: skip
        super().__init__()
        self.packed = packed
        with private_seed(seed):
            self.token = nn.Embedding(vocab_size, dim)
            self.rnn = nn.GRU(dim, dim, batch_first=True, bidirectional=bidirectional)
            self.head = nn.Linear(dim * (2 if bidirectional else 1), tags)

    def forward(self, ids: Tensor, lengths: Tensor, *, side: str = "right") -> Tensor:
        """Return logits (B, L, tags)."""
        ids = checked_ids(ids)
        B, L = ids.shape
        lengths = checked_lengths(lengths, batch=B, total=L)  # (B,)
        before = pads_before(lengths, total=L, side=side)  # (B,)
        x = self.token(ids)  # (B, L, dim)
        if not self.packed:
            return self.head(self.rnn(x)[0])  # (B, L, tags)
        if B == 0:  # torch packs no empty batch
            return x.new_zeros(0, L, self.head.out_features)  # (B, L, tags)
        words, _ = self.rnn(packed(x, lengths, before))  # (words, dim or 2·dim)
        out, _ = pad_packed_sequence(words, batch_first=True, total_length=L)  # (B, L, dim or 2·dim)
        return self.head(roll_rows(out, -before))  # (B, L, tags), each word back in its place
