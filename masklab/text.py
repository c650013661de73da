"""Sentences → tokens → ids → a padded batch that carries its own mask."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import torch
from torch import Tensor

PAD = "[PAD]"
PAD_ID = 0
WORD_IDS = {"The": 1, "cat": 2, "ate": 3, "fish": 4, "pie": 5}
VOCABULARY_SIZE = 30_522  # as many slots as BERT's vocabulary has
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


@dataclass(frozen=True)
class Batch:
    """Padded sentences, with the lengths that say which positions are words.

    Shapes: ``ids`` (batch, length) int64; ``lengths`` (batch,) int64;
    ``is_word`` (batch, length) bool, True = a word, False = padding.
    ``tokens`` holds the same grid as strings.
    """

    tokens: tuple[tuple[str, ...], ...]
    ids: Tensor
    lengths: Tensor
    side: str

    @property
    def is_word(self) -> Tensor:
        """Which positions are words: counted from the lengths, never guessed from an id.

        Shape: (batch, length) bool.

        >>> make_batch(["The cat ate", "The cat ate fish pie"]).is_word.int()
        tensor([[1, 1, 1, 0, 0],
                [1, 1, 1, 1, 1]], dtype=torch.int32)
        """
        return word_positions(self.lengths, total=self.ids.shape[1], side=self.side)


def tokenize(sentence: str) -> list[str]:
    """Split a sentence at white space: a token is a word.

    Real models split words further (Byte-Pair Encoding, WordPiece); a mask does not care.

    >>> tokenize("  The cat   ate ")
    ['The', 'cat', 'ate']
    """
    return sentence.split()


def word_id(word: str) -> int:
    """The id of a word: fixed for the five running words, a hash for every other.

    A word's id depends on the word alone, so that editing one word moves no other.
    Two words share an id about once in 30,000 pairs ("the hashing trick",
    Weinberger et al. 2009, arXiv 0902.2206). Id 0 belongs to padding only.

    >>> word_id("cat"), word_id("dog") == word_id("dog"), word_id("[PAD]") == PAD_ID
    (2, True, False)
    """
    first_free = len(WORD_IDS) + 1
    hashed = first_free + crc32(word.encode("utf-8", "surrogatepass")) % (VOCABULARY_SIZE - first_free)
    return WORD_IDS.get(word, hashed)


def checked(
    name: str, values: Tensor, *, axes: Sequence[str] = ("batch",), dtypes: Sequence[torch.dtype] = INTEGERS
) -> Tensor:
    """The same tensor, if it has this many axes and one of these dtypes, or a sentence on what is wrong with it.

    Raises TypeError for anything else.

    >>> checked("lengths", torch.tensor([2, 3]))
    tensor([2, 3])
    >>> checked("lengths", torch.tensor([2.5]))
    Traceback (most recent call last):
    TypeError: lengths must be a tensor of integers with axes (batch), and is torch.float32 of shape (1,).
    """
    if isinstance(values, Tensor) and values.dtype in dtypes and values.ndim == len(axes):
        return values
    found = f"{values.dtype} of shape {tuple(values.shape)}" if isinstance(values, Tensor) else repr(values)
    wanted = "integers" if dtypes == INTEGERS else "bool"
    raise TypeError(f"{name} must be a tensor of {wanted} with axes ({', '.join(axes)}), and is {found}.")


def word_positions(lengths: Tensor, *, total: int, side: str = "right") -> Tensor:
    """Which of ``total`` positions hold words, when sentences are padded on one side.

    Shapes: ``lengths`` (batch,) integers → (batch, total) bool, True = a word.
    Raises TypeError for lengths that are not a tensor of integers with one axis, ValueError for
    an unknown side, or for a length that does not fit.

    >>> word_positions(torch.tensor([1, 3]), total=4, side="left").int()
    tensor([[0, 0, 0, 1],
            [0, 1, 1, 1]], dtype=torch.int32)
    """
    if side not in ("left", "right"):
        raise ValueError(f"side must be 'left' or 'right', and is {side!r}.")
    if checked("lengths", lengths).numel() and (lengths.min().item() < 0 or lengths.max().item() > total):
        raise ValueError(f"every length must be between 0 and total={total}, and lengths are {lengths.tolist()}.")
    from_the_end = torch.arange(total).flip(0) if side == "left" else torch.arange(total)
    return from_the_end < lengths[:, None]


def pad_tokens(tokens: Sequence[str], *, total: int, side: str = "right") -> tuple[str, ...]:
    """Add [PAD] tokens on one side until there are ``total``.

    >>> pad_tokens(["The", "cat"], total=4)
    ('The', 'cat', '[PAD]', '[PAD]')
    """
    pads = (PAD,) * (total - len(tokens))
    return pads + tuple(tokens) if side == "left" else tuple(tokens) + pads


def make_batch(sentences: Sequence[str], *, side: str = "right") -> Batch:
    """Turn sentences into one padded batch.

    Shapes: n sentences, the longest with L words → ids (n, L). L is 0 when no
    sentence has a word. Raises ValueError for an unknown side.

    >>> batch = make_batch(["The cat ate", "The cat ate fish pie", "The cat ate fish"])
    >>> batch.ids
    tensor([[1, 2, 3, 0, 0],
            [1, 2, 3, 4, 5],
            [1, 2, 3, 4, 0]])
    >>> batch.lengths
    tensor([3, 5, 4])
    """
    return batch_of_words([tokenize(sentence) for sentence in sentences], side=side)


def batch_of_words(
    rows: Sequence[Sequence[str]], *, side: str = "right", to_id: Callable[[str], int] = word_id
) -> Batch:
    """Turn rows of words into one padded batch; ``to_id`` says which id a word has.

    Shapes and errors: as for `make_batch`.

    >>> batch_of_words([["a", "bb"], ["ccc"]], side="left", to_id=len).ids
    tensor([[1, 2],
            [0, 3]])
    """
    total = max((len(row) for row in rows), default=0)
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64)
    mask = word_positions(lengths, total=total, side=side)
    ids = torch.full((len(rows), total), PAD_ID, dtype=torch.int64)
    ids[mask] = torch.tensor([to_id(word) for row in rows for word in row], dtype=torch.int64)
    return Batch(
        tokens=tuple(pad_tokens(row, total=total, side=side) for row in rows),
        ids=ids,
        lengths=lengths,
        side=side,
    )


def vectors(ids: Tensor, *, dim: int, seed: int) -> Tensor:
    """Give every id a random vector that depends on the id and the seed alone.

    It stands in for a trained embedding table, one row per id.
    Shapes: ``ids`` any shape → the same shape with ``dim`` at the end, float32,
    drawn from a standard normal distribution.

    >>> table = vectors(torch.tensor([2, 3, 2]), dim=2, seed=0)
    >>> table.shape, bool((table[0] == table[2]).all()), bool((table[0] == table[1]).all())
    (torch.Size([3, 2]), True, False)
    """
    unique, where = ids.unique(return_inverse=True)
    rows = [_vector(one, dim, seed) for one in unique.tolist()]
    table = torch.stack(rows) if rows else torch.zeros(0, dim)
    return table[where]


@lru_cache(maxsize=4096)  # the same few words come at every keystroke; nobody edits the one that is kept
def _vector(one: int, dim: int, seed: int) -> Tensor:
    """The vector of one id."""
    return torch.randn(dim, generator=torch.Generator().manual_seed(seed * VOCABULARY_SIZE + one))
