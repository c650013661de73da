"""The sentence boxes: from typed text to a padded batch, and the chips with their ids and notes."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from masklab.labs.controls import BadInput
from masklab.panels import Sentence
from masklab.text import PAD, Batch, batch_of_words, tokenize

MAX_TOKENS = 256
SENTENCES = ("The cat ate", "The cat ate fish pie", "The cat ate fish")


def batch_of(sentences: Sequence[str], *, side: str = "right", more: int = 0) -> Batch:
    """The typed sentences as a padded batch, with so much ``more`` padding than the longest of them needs.

    Raises BadInput when there is no word, or too many.

    >>> batch_of(["The cat", "The"]).ids.tolist(), batch_of(["The cat", "The"], more=1).ids.tolist()
    ([[1, 2], [1, 0]], [[1, 2, 0], [1, 0, 0]])
    """
    words = [tokenize(sentence) for sentence in sentences]
    check_counts(list(map(len, words)))  # first, since a long text takes its time
    return batch_of_words(words, side=side, at_least=max(map(len, words)) + more)


def check_counts(counts: Sequence[int], *, most: int = MAX_TOKENS, reader: str = "the lab draws") -> None:
    """Raise BadInput when no sentence has a word, or when one has more than ``most``.

    >>> check_counts([2, 40], most=31, reader="the model reads")
    Traceback (most recent call last):
    masklab.labs.controls.BadInput: Sentence 2 has 40 words and the model reads up to 31: your text is kept, shorten \
it to see it.
    """
    if not any(counts):
        raise BadInput("There is no word yet: type at least one to see the picture again.")
    if max(counts) > most:
        raise BadInput(
            f"Sentence {counts.index(max(counts)) + 1} has {max(counts):,} words and {reader} up to {most}: "
            "your text is kept, shorten it to see it."
        )


def chips(batch: Batch, below: Tensor | None = None) -> list[Sentence]:
    """The sentences as chips, each with a note on how much of it is words, and a number ``below`` each chip.

    Without numbers nothing is there: each line less leaves more of the panels in sight.
    Shape: ``below`` (batch, length) int64.

    >>> batch = batch_of(["The cat", "The"])
    >>> first, second = chips(batch, batch.ids)
    >>> second.tokens, second.below, second.note
    (('The', '[PAD]'), ['1', '0'], '1 of 2 are words')
    """
    numbers = [[] for _ in batch.tokens] if below is None else below.tolist()
    rows = zip(batch.tokens, batch.is_word.tolist(), numbers, strict=True)
    return [
        Sentence(
            tokens=tokens, pads=[not one for one in is_word], below=list(map(str, under)), note=_note(tokens, is_word)
        )
        for tokens, is_word, under in rows
    ]


def grid_labels(grid: Tensor, numbers: Sequence[int] | None = None) -> dict[str, Any]:
    """The labels of a panel with a row for each sentence; ``numbers`` says which ones they are, from 0.

    Sentences are counted as their boxes are, from 1; positions as torch counts them.
    Shape: ``grid`` (sentences, positions).

    >>> grid_labels(batch_of(["The cat"]).ids, [4])
    {'rows': ['5'], 'columns': ['0', '1'], 'axes': ('sentence', 'position')}
    """
    rows = [str(i + 1) for i in (range(len(grid)) if numbers is None else numbers)]
    return {"rows": rows, "columns": [str(i) for i in range(grid.shape[1])], "axes": ("sentence", "position")}


def _note(tokens: Sequence[str], is_word: Sequence[bool]) -> str:
    """What to say beside a sentence's chips."""
    if not any(is_word):
        return "no word yet: all padding"
    typed = any(word and token == PAD for token, word in zip(tokens, is_word, strict=True))
    note = f"{sum(is_word)} of {len(tokens)} are words"
    return note + ("; a [PAD] that you type is a word, too" if typed else "")
