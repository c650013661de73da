"""Words with tags, for the lab of lesson 04: how hard each is to tell, and who votes for another one."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from masklab.corpus import AMBIGUOUS, USUAL, VOCABULARY
from masklab.text import Batch, tokenize, vectors

TAGS = ("DET", "NOUN", "VERB", "ADJ", "OTHER")
OTHER = TAGS.index("OTHER")
SECOND = {"DET": "OTHER", "NOUN": "VERB", "VERB": "NOUN", "ADJ": "NOUN", "OTHER": "NOUN"}  # who errs says this
SENTENCES = {  # the lab's own, with the tags that their words have there
    "The cat ate warm fish": "DET NOUN VERB ADJ NOUN",
    "The cats can fish": "DET NOUN AUX VERB",
    "Cats fish": "NOUN VERB",
}
UNKNOWN = 2.0  # how difficult a word is that the cat corpus doesn't know
ANNOTATORS, UNSURE = 10, 3  # where a word has two tags, so many of the ten are for the other one
SEED = 54  # of the made-up logits: with it, hard words have the larger losses


@dataclass(frozen=True)
class Tagged:
    """A batch of sentences and the tag of each word.

    ``words`` and ``tags`` have one row a sentence, without padding.
    """

    batch: Batch
    words: Sequence[Sequence[str]]
    tags: Sequence[Sequence[str]]

    @cached_property
    def labels(self) -> Tensor:
        """The tags as ids: OTHER for those that are not in the set, 0 at pads. Shape: (B, L) int64."""
        ids = [TAGS.index(tag) if tag in TAGS else OTHER for row in self.tags for tag in row]
        return torch.zeros_like(self.batch.ids).masked_scatter(self.batch.is_word, torch.tensor(ids))

    @cached_property
    def difficulty(self) -> Tensor:
        """How hard each word's tag is to tell, ∞ at pads. Shape: (B, L) float32."""
        pairs = (one for row in zip(self.words, self.tags, strict=True) for one in zip(*row, strict=True))
        levels = torch.tensor([difficulty_of(word, tag) for word, tag in pairs])
        return torch.full(self.batch.ids.shape, torch.inf).masked_scatter(self.batch.is_word, levels)

    @cached_property
    def logits(self) -> Tensor:
        """A made-up tagger's: random numbers for each word, which leans to its tag, an easy word most. (B, L, T)."""
        lean = (3 - self.difficulty).clamp(min=0)
        return vectors(self.batch.ids, dim=len(TAGS), seed=SEED) + lean[..., None] * F.one_hot(self.labels, len(TAGS))

    def below(self, labels: Tensor) -> list[list[str]]:
        """The names of labels, for the lines under the chips. Shape: ``labels`` (B, L) int64."""
        rows = zip(labels.tolist(), self.batch.is_word.tolist(), strict=True)
        return [[TAGS[tag] if word else "" for tag, word in zip(*row, strict=True)] for row in rows]


def tagged(batch: Batch, sentences: Sequence[str]) -> Tagged:
    """The words of a batch with their tags.

    >>> from masklab.labs.sentences import batch_of
    >>> found = tagged(batch_of(["Cats fish", "Cats"]), ["Cats fish", "Cats"])
    >>> found.labels, found.difficulty
    (tensor([[1, 2],
            [1, 0]]), tensor([[0., 2.],
            [0., inf]]))
    """
    words = list(map(tokenize, sentences))
    return Tagged(batch, words, list(map(tags_of, words)))


def tags_of(words: Sequence[str]) -> list[str]:
    """The tag of each word: in the lab's own sentences the true one, else its usual one; an unknown word is a noun.

    >>> tags_of(["Cats", "fish"]), tags_of(["Sushi", "and", "fish"])
    (['NOUN', 'VERB'], ['NOUN', 'NOUN', 'NOUN'])
    """
    given = SENTENCES.get(" ".join(words))
    return given.split() if given else [USUAL.get(word.lower(), "NOUN") for word in words]


def difficulty_of(word: str, tag: str) -> float:
    """As in the corpus: 0 for a word with one tag, 1 for the usual one of two, 2 for the other; 2 for an unknown word.

    >>> difficulty_of("The", "DET"), difficulty_of("Fish", "NOUN"), difficulty_of("fish", "VERB")
    (0.0, 1.0, 2.0)
    """
    if word.lower() not in USUAL:
        return UNKNOWN
    return 1.0 + (tag != USUAL[_spelt(word)]) if _spelt(word) in AMBIGUOUS else 0.0


def _spelt(word: str) -> str:
    """A word as the corpus spells it: "Fish" is "fish", but "Before" is a word of its own, with one tag."""
    return word if word in VOCABULARY.words else word.lower()


def candidates(word: str, tag: str) -> tuple[int, int]:
    """A word's label, and the one that annotators who err take for it.

    >>> [TAGS[label] for label in candidates("fish", "VERB")], [TAGS[label] for label in candidates("The", "DET")]
    (['VERB', 'NOUN'], ['DET', 'OTHER'])
    """
    first = tag if tag in TAGS else "OTHER"
    known = [one for one in AMBIGUOUS.get(_spelt(word), ()) if one in TAGS and one != first]
    return TAGS.index(first), TAGS.index(known[0] if known else SECOND[first])


def unsure(words: Sequence[str]) -> list[tuple[int, int]]:
    """[word, annotator] of each vote that is for the other tag at first: the last three, where a word has two tags.

    >>> unsure(["Cats", "fish"]), unsure(["Fish"])
    ([(1, 7), (1, 8), (1, 9)], [(0, 7), (0, 8), (0, 9)])
    """
    last = range(ANNOTATORS - UNSURE, ANNOTATORS)
    return [(place, one) for place, word in enumerate(words) if _spelt(word) in AMBIGUOUS for one in last]
