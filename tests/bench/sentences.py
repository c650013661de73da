"""The sentences that are typed into, and the keys that are pressed."""

from collections.abc import Iterator
from itertools import count

RUNNING = ("The", "cat", "ate", "fish", "pie")
LETTERS = "bdfghjklmn"  # no middle word begins with one of them, so each press changes the word


def words(length: int) -> list[str]:
    """So many different words: the running example, then made-up ones.

    A real sentence repeats some, so fewer vectors must be made, and the lab is a little faster.

    >>> words(7)
    ['The', 'cat', 'ate', 'fish', 'pie', 'word5', 'word6']
    """
    return [RUNNING[i] if i < len(RUNNING) else f"word{i}" for i in range(length)]


def sentences(tokens: int) -> list[str]:
    """The lab's three sentences for a width of ``tokens``; at 5 they are those that it opens with.

    The first one is shown: three fifths are words, the rest is padding.

    >>> sentences(5)
    ['The cat ate', 'The cat ate fish pie', 'The cat ate fish']
    """
    every = words(tokens)
    return [" ".join(every[:end]) for end in (round(tokens * 3 / 5), tokens, round(tokens * 4 / 5))]


def middle(sentence: str) -> int:
    """Where the middle word starts.

    >>> middle("The cat ate")
    4
    """
    before = sentence.split()[: len(sentence.split()) // 2]
    return sum(len(word) + 1 for word in before)


def letters(sentence: str) -> Iterator[tuple[int, int, str]]:
    """Presses that change the middle word's first letter, so that no shape changes: (from, to, key) without end.

    The text from ``from`` to ``to`` is selected, and the key replaces it: one press, one change.
    """
    start = middle(sentence)
    for i in count():
        yield start, start + 1, LETTERS[i % len(LETTERS)]


def splits(sentence: str) -> Iterator[tuple[int, int, str]]:
    """Presses that split the middle word in two and join it again, so that each changes the shapes."""
    caret = middle(sentence) + 1
    while True:
        yield caret, caret, " "
        yield caret + 1, caret + 1, "Backspace"
