"""Recurrent networks on padded sentences: which state to read, and what the network must never see.

A GRU carries one state from word to word. Pads *before* a word change the state that it meets; pads *after* the
last word change the state that you read. Packing hides every pad. Source: Cho et al. 2014, arXiv 1406.1078.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from masklab.models.private import private_seed


def pads_before(lengths: Tensor, *, total: int, side: str) -> Tensor:
    """How many pads stand before the first word of each sentence.

    Shapes: ``lengths`` (B,) → (B,). Raises ValueError for an unknown side, for a length over ``total``, and
    for a sentence with no word, which leaves a recurrent network no state to read.

    >>> lengths = torch.tensor([3, 1])
    >>> pads_before(lengths, total=4, side="left"), pads_before(lengths, total=4, side="right")
    (tensor([1, 3]), tensor([0, 0]))
    """
    if side not in ("left", "right"):
        raise ValueError(f"side must be 'left' or 'right', and is {side!r}.")
    if lengths.numel() and (lengths.min() < 1 or lengths.max() > total):
        raise ValueError(f"every sentence must have 1 to {total} words, and lengths are {lengths.tolist()}.")
    return total - lengths if side == "left" else torch.zeros_like(lengths)


def roll_rows(x: Tensor, steps: Tensor) -> Tensor:
    """Roll each row to the left by its own number of steps; what falls out comes in again on the right.

    Shapes: ``x`` (B, L, …), ``steps`` (B,) → (B, L, …).

    >>> roll_rows(torch.tensor([[0, 0, 7, 8], [5, 6, 7, 8]]), torch.tensor([2, 0]))
    tensor([[7, 8, 0, 0],
            [5, 6, 7, 8]])
    """
    B, L = x.shape[:2]
    where = (torch.arange(L) + steps[:, None]) % L  # (B, L)
    return x[torch.arange(B)[:, None], where]


class Classifier(nn.Module):
    """One class for a sentence: embedding → GRU → the state at one step → linear.

    Shapes: ``ids`` (B, L) int64, ``lengths`` (B,) int64 → logits (B, classes). ``read`` names the state:

    - ``"last_step"``: after the last column. With padding on the right it has read the pads: the bug.
    - ``"last_valid"``: after the last word. Right, if the padding is on the right. With padding on the left
      it *is* the last step, and wrong as well: the pads were read first.
    - ``"packed"``: after the last word, and no pad was read. Right with padding on either side.

    ``side`` says where the padding is. Raises ValueError for an unknown ``read`` or ``side``, and for a
    length that is 0 or over L.

    >>> Classifier(10, 4)(torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([3, 2])).shape
    torch.Size([2, 4])
    """

    def __init__(self, vocabulary: int, classes: int, *, dim: int = 32, read: str = "packed", seed: int = 0):
        super().__init__()
        if read not in ("last_step", "last_valid", "packed"):
            raise ValueError(f"read must be 'last_step', 'last_valid' or 'packed', and is {read!r}.")
        self.read = read
        with private_seed(seed):
            self.token = nn.Embedding(vocabulary, dim)
            self.rnn = nn.GRU(dim, dim, batch_first=True)
            self.head = nn.Linear(dim, classes)

    def forward(self, ids: Tensor, lengths: Tensor, *, side: str = "right") -> Tensor:
        """Return logits (B, classes)."""
        B, L = ids.shape
        before = pads_before(lengths, total=L, side=side)  # (B,)
        x = self.token(ids)  # (B, L, dim)
        if self.read == "packed":  # packing expects each sentence at the left
            words = pack_padded_sequence(roll_rows(x, before), lengths.cpu(), batch_first=True, enforce_sorted=False)
            state = self.rnn(words)[1][-1]  # (B, dim)
        else:
            out = self.rnn(x)[0]  # (B, L, dim)
            last = before + lengths - 1 if self.read == "last_valid" else torch.full_like(lengths, L - 1)
            state = out[torch.arange(B), last]  # (B, dim)
        return self.head(state)  # (B, classes)


class Tagger(nn.Module):
    """One tag for each word: embedding → GRU → linear.

    Shapes: ``ids`` (B, L) int64, ``lengths`` (B,) int64 → logits (B, L, tags); at pads they mean nothing.
    ``bidirectional`` adds a second GRU that reads from right to left. ``packed=False`` lets both read the pads:
    with padding on the right the second one starts there, and even the logits of real words are wrong.
    ``side`` and errors: as for `Classifier`. Source: Schuster and Paliwal 1997, doi 10.1109/78.650093.

    >>> Tagger(10, 6, bidirectional=True)(torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([3, 2])).shape
    torch.Size([2, 3, 6])
    """

    def __init__(
        self, vocabulary: int, tags: int, *, dim: int = 32, bidirectional: bool = False, packed: bool = True,
        seed: int = 0,
    ):  # fmt: skip
        super().__init__()
        self.packed = packed
        with private_seed(seed):
            self.token = nn.Embedding(vocabulary, dim)
            self.rnn = nn.GRU(dim, dim, batch_first=True, bidirectional=bidirectional)
            self.head = nn.Linear(dim * (2 if bidirectional else 1), tags)

    def forward(self, ids: Tensor, lengths: Tensor, *, side: str = "right") -> Tensor:
        """Return logits (B, L, tags)."""
        B, L = ids.shape
        before = pads_before(lengths, total=L, side=side)  # (B,)
        x = self.token(ids)  # (B, L, dim)
        if not self.packed:
            return self.head(self.rnn(x)[0])  # (B, L, tags)
        words = pack_padded_sequence(roll_rows(x, before), lengths.cpu(), batch_first=True, enforce_sorted=False)
        out, _ = pad_packed_sequence(self.rnn(words)[0], batch_first=True, total_length=L)  # (B, L, dim or 2·dim)
        return self.head(roll_rows(out, -before))  # (B, L, tags), each word where it was
