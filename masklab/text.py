"""Sentences → tokens → ids → a padded batch that carries its own mask."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from zlib import crc32

import torch
from torch import Tensor

from masklab import validate

PAD = "[PAD]"
PAD_ID = 0
WORD_IDS = {"The": 1, "cat": 2, "ate": 3, "fish": 4, "pie": 5}
VOCAB_SIZE = 30_522  # as many slots as BERT's vocabulary has


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
    hashed = first_free + crc32(word.encode("utf-8", "surrogatepass")) % (VOCAB_SIZE - first_free)
    return WORD_IDS.get(word, hashed)


def word_positions(lengths: Tensor, *, total: int, side: str = "right") -> Tensor:
    """Which of ``total`` positions hold words, when sentences are padded on one side.

    Shapes: ``lengths`` (batch,) integers → (batch, total) bool, True = a word.
    Raises TypeError for other lengths, ValueError for a length over ``total`` or an unknown side.

    >>> word_positions(torch.tensor([1, 3]), total=4, side="left").int()
    tensor([[0, 0, 0, 1],
            [0, 1, 1, 1]], dtype=torch.int32)
    """
    validate.one_of(("left", "right"), side=side)
    position = torch.arange(total, device=validate.lengths(lengths, total=total).device)
    return (position.flip(0) if side == "left" else position) < lengths[:, None]


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
    sentence has a word. Raises TypeError for one text in place of a list, ValueError for an unknown side.

    >>> batch = make_batch(["The cat ate", "The cat ate fish pie", "The cat ate fish"])
    >>> batch.ids
    tensor([[1, 2, 3, 0, 0],
            [1, 2, 3, 4, 5],
            [1, 2, 3, 4, 0]])
    >>> batch.lengths
    tensor([3, 5, 4])
    """
    sentences = validate.list_of("sentences", "sentences", sentences)
    return batch_of_words([tokenize(sentence) for sentence in sentences], side=side)


def batch_of_words(
    rows: Sequence[Sequence[str]], *, side: str = "right", to_id: Callable[[str], int] = word_id, at_least: int = 0
) -> Batch:
    """Turn rows of words into one padded batch; ``to_id`` says which id a word has, ``at_least`` how wide it must be.

    Shapes and errors: as for `make_batch`.

    >>> batch_of_words([["a", "bb"], ["ccc"]], side="left", to_id=len).ids
    tensor([[1, 2],
            [0, 3]])
    """
    rows = [validate.list_of("words", "each row", row, fix="tokenize(text)") for row in rows]
    total = max(at_least, *map(len, rows), 0)
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64)
    is_word = word_positions(lengths, total=total, side=side)
    ids = torch.full((len(rows), total), PAD_ID, dtype=torch.int64)
    ids[is_word] = torch.tensor([to_id(word) for row in rows for word in row], dtype=torch.int64)
    tokens = tuple(pad_tokens(row, total=total, side=side) for row in rows)
    return Batch(tokens=tokens, ids=ids, lengths=lengths, side=side)


def vectors(ids: Tensor, *, dim: int, seed: int) -> Tensor:
    """Give every id a random vector that depends on the id and the seed alone.

    It stands in for a trained embedding table, one row per id.
    Shapes: ``ids`` any shape → the same shape with ``dim`` at the end, float32,
    drawn from a standard normal distribution.
    Raises TypeError for ids that are not integers, ValueError for a ``dim`` below 0.

    >>> table = vectors(torch.tensor([2, 3, 2]), dim=2, seed=0)
    >>> table.shape, bool((table[0] == table[2]).all()), bool((table[0] == table[1]).all())
    (torch.Size([3, 2]), True, False)
    """
    validate.at_least(0, dim=dim)
    validate.at_least(None, seed=seed)
    unique, where = validate.integers("ids", ids).unique(return_inverse=True)
    rows = [_vector(one, int(dim), int(seed)) for one in unique.tolist()]
    table = torch.stack(rows) if rows else torch.zeros(0, dim)
    return table.to(ids.device)[where]


@lru_cache(maxsize=4096)  # the same few words come at every keystroke; the kept tensor is never edited
def _vector(one: int, dim: int, seed: int) -> Tensor:
    """The vector of one id: the same on every device, whatever torch's default dtype is."""
    g = torch.Generator().manual_seed(seed * VOCAB_SIZE + one)
    return torch.randn(dim, generator=g, dtype=torch.float32, device="cpu")
