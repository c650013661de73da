"""Words → ids → a padded batch with its labels; any pasted text becomes a batch, too."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from masklab import validate
from masklab.corpus.grammar import Example
from masklab.corpus.words import (
    AMBIGUOUS,
    CATS,
    DETERMINERS,
    LOOKS,
    MANNERS,
    MOODY,
    ONE_TAG,
    PEOPLE,
    TAGS,
    TIMES,
    TOPICS,
)
from masklab.text import PAD, Batch, batch_of_words, tokenize

UNK, MASK, BOS, EOS = "[UNK]", "[MASK]", "[BOS]", "[EOS]"
SPECIALS = (PAD, UNK, MASK, BOS, EOS)  # ids 0 to 4


@dataclass(frozen=True)
class Vocabulary:
    """Which id a word has: five special tokens first, then the words in their order.

    A capitalised word that is not there is looked up in lower case. Every other word is [UNK].
    Raises TypeError for one text, ValueError for words that come twice, or have the name of a special token.

    >>> VOCABULARY.encode(["The", "cat", "ate", "sushi", "[MASK]"])
    [5, 6, 7, 1, 2]
    >>> VOCABULARY.decode([5, 6, 7, 0])
    ['The', 'cat', 'ate', '[PAD]']
    """

    words: tuple[str, ...]

    def __post_init__(self):
        validate.list_of("words", "words", self.words, fix="tokenize(text)")
        twice = [token for token, count in Counter(self.tokens).items() if count > 1]
        if twice:
            raise ValueError(f"every word must come once, and none may be a special token {SPECIALS}, got {twice}.")

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """Every token, at the place that is its id."""
        return (*SPECIALS, *self.words)

    @cached_property
    def ids(self) -> dict[str, int]:
        """Every token's id."""
        return {token: i for i, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        """How many tokens there are, the special ones included."""
        return len(self.tokens)

    def id(self, word: str) -> int:
        """The id of one word; the id of [UNK] if it is unknown."""
        return self.ids.get(word, self.ids.get(word.lower(), self.ids[UNK]))

    def encode(self, words: Iterable[str]) -> list[int]:
        """The ids of some words. Raises TypeError for a text that is not split into words."""
        return [self.id(word) for word in validate.list_of("words", "words", words, fix="words_of(text)")]

    def decode(self, ids: Iterable[int] | Tensor) -> list[str]:
        """The tokens of one row of ids. Raises ValueError for an id that no token has, or for more than one row."""
        row = torch.as_tensor(ids if isinstance(ids, Tensor) else list(ids))
        if row.ndim != 1:
            raise ValueError(f"ids must be one row, got shape {tuple(row.shape)}. Decode row by row.")
        validate.between("ids", row, 0, len(self) - 1)
        return [self.tokens[i] for i in row.tolist()]


def _all_words() -> tuple[str, ...]:
    """Every word that a sentence can hold: the running ones, those of the tables, those that begin a sentence."""
    determiners = [word.partition("/")[0] for words in DETERMINERS.values() for word in words if word]
    bare = [several for _, several in CATS + PEOPLE]
    begin = [*determiners, *LOOKS, *MANNERS, *MOODY, *bare, *(time.split("/")[0].split()[0] for time in TIMES)]
    tables = [*ONE_TAG, *AMBIGUOUS]
    return tuple(dict.fromkeys(["The", "cat", "ate", "fish", "pie", *tables, *(word.capitalize() for word in begin)]))


VOCABULARY = Vocabulary(_all_words())


@dataclass(frozen=True)
class LabelledBatch(Batch):
    """A padded batch that carries the labels of its examples.

    Shapes: as `masklab.text.Batch`, and ``tags`` (batch, length) int64, indices into ``TAGS``; ``topics`` (batch,)
    int64, indices into ``TOPICS``; ``difficulty`` (batch, length) float32, 0, 1 or 2.
    A padded position has no tag and no difficulty: 0 and infinity stand there. Let ``is_word`` say where they count.
    """

    tags: Tensor
    topics: Tensor
    difficulty: Tensor


def batch(examples: Sequence[Example], *, side: str = "right", vocabulary: Vocabulary = VOCABULARY) -> LabelledBatch:
    """Turn examples into one padded batch with their labels.

    Shapes: n examples, the longest with L words → ids, tags, difficulty (n, L); topics (n,).
    Raises ValueError for an unknown side.

    >>> from masklab.corpus import RUNNING
    >>> two = batch(RUNNING[:2])
    >>> two.ids
    tensor([[5, 6, 7, 0],
            [5, 6, 7, 8]])
    >>> two.is_word.int()
    tensor([[1, 1, 1, 0],
            [1, 1, 1, 1]], dtype=torch.int32)
    >>> [TAGS[i] for i in two.tags[1]], [TOPICS[i] for i in two.topics]
    (['DET', 'NOUN', 'VERB', 'NOUN'], ['FOOD', 'FOOD'])
    """
    plain = batch_of_words([example.words for example in examples], side=side, to_id=vocabulary.id)
    tags = [TAGS.index(tag) for example in examples for tag in example.tags]
    difficulty = [float(level) for example in examples for level in example.difficulty]
    return LabelledBatch(
        **vars(plain),
        tags=torch.zeros_like(plain.ids).masked_scatter(plain.is_word, torch.tensor(tags, dtype=torch.int64)),
        topics=torch.tensor([TOPICS.index(example.topic) for example in examples], dtype=torch.int64),
        difficulty=torch.full(plain.ids.shape, torch.inf).masked_scatter(
            plain.is_word, torch.tensor(difficulty, dtype=torch.float32)
        ),
    )


def batch_text(
    texts: Sequence[str], *, side: str = "right", ends: bool = False, vocabulary: Vocabulary = VOCABULARY
) -> Batch:
    """Turn any texts into one padded batch, one row a text; unknown words are [UNK].

    With ``ends``, [BOS] and [EOS] stand around every text, as a language model wants them.
    ``tokens`` keep the words as they were written.
    Shapes: n texts, the longest with L words → ids (n, L); L is 0 when no text has a word.
    Raises TypeError for one text in place of a list, ValueError for an unknown side.

    >>> pasted = batch_text(["The cat ate...", "the [MASK] ate sushi!", ""])
    >>> pasted.ids
    tensor([[  5,   6,   7,   0],
            [292,   2,   7,   1],
            [  0,   0,   0,   0]])
    >>> pasted.tokens[1], pasted.lengths
    (('the', '[MASK]', 'ate', 'sushi'), tensor([3, 4, 0]))
    """
    first, last = ([BOS], [EOS]) if ends else ([], [])
    rows = [[*first, *words_of(text), *last] for text in validate.list_of("texts", "texts", texts)]
    return batch_of_words(rows, side=side, to_id=vocabulary.id)


def words_of(text: str) -> list[str]:
    """The words of any text, without its punctuation.

    Apostrophes and hyphens stay inside a word. "[MASK]" is the one special token that may be typed: a typed "[PAD]"
    is the word "PAD". Text without spaces (Chinese, Thai) is one word.

    >>> words_of("The cat's fish-pie: 'ate' (by 🐈), [MASK]!")
    ['The', "cat's", 'fish-pie', 'ate', 'by', '🐈', '[MASK]']
    """
    first, *others = (_plain_words(part) for part in text.split(MASK))
    return first + [word for part in others for word in (MASK, *part)]


def _plain_words(text: str) -> list[str]:
    """Words between white space and punctuation, without invisible characters at their ends."""
    inside = "'’-"
    spaced = "".join(" " if unicodedata.category(c)[0] == "P" and c not in inside else c for c in text)
    invisible = "".join({c for c in spaced if unicodedata.category(c) in ("Cc", "Cf")})
    bare = [word.strip(inside + invisible) for word in tokenize(spaced)]
    return [word for word in bare if word]
