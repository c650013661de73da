"""The cat corpus: a small grammar whose sentences carry topics, part-of-speech tags and difficulty.

Three things in it need context, on purpose:

* **tags**: "fish" is a noun in "eats fish" and a verb in "cats fish in the pond";
* **topic**: the *main* clause decides, and often with one early word ("The hungry cat waits by the door while
  the girl brushes the kittens" is FOOD). What follows it is neutral, or speaks of another topic;
* **agreement**: in "The cat that the dogs near the house see sleeps" the verb looks back over two other nouns.
"""

from masklab.corpus.batches import (
    BOS,
    EOS,
    MASK,
    SPECIALS,
    UNK,
    VOCABULARY,
    LabelledBatch,
    Vocabulary,
    batch,
    batch_text,
    words_of,
)
from masklab.corpus.grammar import RUNNING, Example, is_plural, sentences, split
from masklab.corpus.texts import padded, until_end, with_ends
from masklab.corpus.words import AMBIGUOUS, CATS, CATS_DO, MOODS, PAIRS, PEOPLE, PEOPLE_DO, TAGS, TOPICS, USUAL, VERBS

__all__ = [
    "AMBIGUOUS", "BOS", "CATS", "CATS_DO", "EOS", "MASK", "MOODS", "PAIRS", "PEOPLE", "PEOPLE_DO", "RUNNING",
    "SPECIALS", "TAGS", "TOPICS", "UNK", "USUAL", "VERBS", "VOCABULARY", "Example", "LabelledBatch", "Vocabulary",
    "batch", "batch_text", "is_plural", "padded", "sentences", "split", "until_end", "with_ends", "words_of",
]  # fmt: skip
