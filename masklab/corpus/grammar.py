"""The grammar: how sentences are made of the tables, with topics, tags and difficulty.

Every function of it gives a list of (word, tag).
"""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from masklab import validate
from masklab.corpus.words import (
    AMBIGUOUS,
    ANIMALS,
    BETWEEN,
    CATS,
    CATS_DO,
    DETERMINERS,
    FORMS,
    JOINTS,
    LOOKS,
    MANNERS,
    MEET,
    MODALS,
    MOODS,
    MOODY,
    NEUTRAL,
    OTHER_NUMBER,
    PAIRS,
    PEOPLE,
    PEOPLE_DO,
    PLACES,
    STATES,
    STEMS,
    THINGS,
    TIMES,
    TOPICS,
    USUAL,
)

LONGEST = 14
MOST = 100_000  # sentences that `sentences` will look for


@dataclass(frozen=True)
class Example:
    """A sentence with its labels.

    ``words`` and ``tags`` (Universal POS) go word by word; ``topic`` is one of ``TOPICS``.
    ``cue`` is the position of the last word of what belongs to the topic, a phrase or an adjective ("hungry"):
    nothing after it is needed to tell the topic, because it is neutral, or misleads.
    ``agreement`` is (subject, verb), the positions of the main clause's two words that agree in number,
    or None where the verb does not show it ("ate", "can eat").

    >>> example = RUNNING[2]
    >>> example.text, example.topic, example.tags
    ('The cat ate fish pie', 'FOOD', ('DET', 'NOUN', 'VERB', 'NOUN', 'NOUN'))
    >>> example.difficulty
    (0, 0, 0, 1, 0)
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    topic: str
    cue: int
    agreement: tuple[int, int] | None = None

    @property
    def text(self) -> str:
        """The words with a space between them."""
        return " ".join(self.words)

    @property
    def difficulty(self) -> tuple[int, ...]:
        """How hard each word's tag is for someone who knows the words, but not the context.

        0: the word has one tag. 1: it has two, and this is the usual one. 2: this is the other one, so that
        a guess from the word alone is wrong.
        """
        return tuple(_difficulty(word, tag) for word, tag in zip(self.words, self.tags, strict=True))

    @property
    def hardness(self) -> float:
        """How hard the sentence's tags are: the mean difficulty of its words."""
        return sum(self.difficulty) / len(self.words)

    @property
    def attractors(self) -> int:
        """How many nouns of the *other* number stand between the subject and the verb that agrees with it.

        They mislead a model that looks at the nearest noun; 0 where nothing agrees.
        Source: Linzen et al. 2016, arXiv 1611.01368.
        """
        if self.agreement is None:
            return 0
        subject, verb = self.agreement
        between = [self.words[i] for i in range(subject + 1, verb) if self.tags[i] == "NOUN"]
        return sum(is_plural(noun) != is_plural(self.words[subject]) for noun in between)

    def with_wrong_number(self) -> tuple[str, ...]:
        """The words with the main verb in the other number: a model should find these less likely.

        Raises ValueError where the verb does not show a number.

        >>> example = next(e for e in sentences(n=300) if e.attractors)
        >>> example.text, example.agreement
        ('The gray kittens that the thirsty mouse sees like the brush', (2, 8))
        >>> " ".join(example.with_wrong_number())
        'The gray kittens that the thirsty mouse sees likes the brush'
        """
        if self.agreement is None:
            raise ValueError(
                f"agreement must be a pair of positions, got None: the verb of {self.text!r} has one form."
            )
        verb = self.agreement[1]
        return (*self.words[:verb], OTHER_NUMBER[self.words[verb]], *self.words[verb + 1 :])


def is_plural(noun: str) -> bool:
    """Whether a noun that can be a subject is in the plural.

    >>> is_plural("cat"), is_plural("Mice")
    (False, True)
    """
    return any(noun.lower() == several for _, several in PAIRS)


def _difficulty(word: str, tag: str) -> int:
    """0 for a word of one tag, 1 for the usual one of two, 2 for the other."""
    tags = AMBIGUOUS.get(word, (tag,))
    return 0 if len(tags) == 1 else 1 + tags.index(tag)


Tagged = list[tuple[str, str]]


@dataclass(frozen=True)
class _Clause:
    """Someone does something: with the positions that the labels need, and whether a place may follow."""

    words: Tagged
    who: tuple[str, str]
    subject: int
    verb: int
    cue: int
    takes_place: bool


def _tagged(phrase: str) -> Tagged:
    """The words of a phrase, each with the tag written after it, or its usual one."""
    parts = [part.partition("/") for part in phrase.split()]
    return [(word, tag or USUAL[word]) for word, _, tag in parts]


def _verb_phrase(phrase: str, *, plural: bool, tense: str) -> Tagged:
    """A phrase of the tables, for one or several, in its tense: "lick her paws" → "licks her paws"."""
    verb, *rest = phrase.split()
    several, one, past = FORMS[verb]
    form = past if tense == "past" else one if tense == "present" and not plural else several
    own = ["their" if plural and word == "her" else word for word in rest]
    return [(form, "VERB"), *_tagged(" ".join(own))]


def _noun_phrase(pair: tuple[str, str], *, plural: bool, determiner: str, adjective: str = "") -> Tagged:
    """A determiner, perhaps an adjective, and a noun."""
    return _tagged(f"{determiner} {adjective} {pair[plural]}")


def _between(rng: random.Random, *, subject: tuple[str, str]) -> Tagged:
    """What comes between a subject and its verb: nouns whose number has nothing to do with the subject's.

    "near the dogs"; "that the dogs see", "that the dogs near the house see"; "that helped the dogs".
    The last is in the past because "helps" would give away the subject's number.
    """
    plural = rng.random() < 0.5
    pair = rng.choice([pair for pair in CATS + PEOPLE + ANIMALS if pair != subject])
    adjective = rng.choice(MANNERS if pair in PEOPLE else MOODY) if rng.random() < 0.3 else ""
    kind = rng.choice(("beside", "object", "object", "subject"))
    determiner = "that/DET" if kind == "beside" and not plural else "the"
    noun = _noun_phrase(pair, plural=plural, determiner=determiner, adjective=adjective)
    if kind == "beside":
        return [*_tagged(rng.choice(BETWEEN)), *noun]
    if kind == "subject":
        return [("that", "PRON"), *_verb_phrase(rng.choice(MEET), plural=plural, tense="past"), *noun]
    house = _noun_phrase(rng.choice(THINGS), plural=rng.random() < 0.5, determiner="the")
    beside = [*_tagged(rng.choice(BETWEEN[:3])), *house] if rng.random() < 0.4 else []
    return [("that", "PRON"), *noun, *beside, *_verb_phrase(rng.choice(MEET), plural=plural, tense="present")]


def _clause(
    rng: random.Random, *, topic: str, tense: str, plain: bool, other: tuple[str, str] | None = None
) -> _Clause:
    """Cats or people do something that belongs to the topic, or a cat of a mood does something neutral.

    A clause that follows another one has an ``other`` subject, which acts.
    """
    kind = rng.choices(("cats", "people", "mood"), (5, 2, 3))[0]
    said = {"cats": CATS_DO[topic], "people": PEOPLE_DO[topic], "mood": NEUTRAL}[kind]
    phrase = rng.choice([phrase for phrase in said if not other or phrase.split()[0] not in STATES])
    pair = rng.choice([pair for pair in (PEOPLE if kind == "people" else CATS) if pair != other])
    plural = rng.random() < 0.5
    look = rng.choice(MANNERS if pair in PEOPLE else LOOKS) if not plain and rng.random() < 0.3 else ""
    adjective = rng.choice(MOODS[topic]) if kind == "mood" else look
    determiner = rng.choice(DETERMINERS["several" if plural else "one"])
    subject = _noun_phrase(pair, plural=plural, determiner=determiner, adjective=adjective)
    between = [] if plain or rng.random() < 0.4 else _between(rng, subject=pair)
    state = phrase.split()[0] in STATES
    modal = [(rng.choice(MODALS[state:]), "AUX")] if tense == "modal" else []
    action = _verb_phrase(phrase, plural=plural, tense=tense)
    words = [*subject, *between, *modal, *action]
    return _Clause(
        words=words,
        who=pair,
        subject=len(subject) - 1,
        verb=len(words) - len(action),
        cue=len(subject) - 2 if kind == "mood" else len(words) - 1,
        takes_place=not state and not {"ADP", "ADV"} & set(dict(action).values()),
    )


def _tail(rng: random.Random, clause: _Clause, *, topic: str, tense: str, timed: bool) -> Tagged:
    """What follows the main clause: another clause about another topic, or a place and a time."""
    if rng.random() < 0.4:
        another = rng.choice([one for one in TOPICS if one != topic])
        tense = "past" if tense == "past" else "present"
        meanwhile = _clause(rng, topic=another, tense=tense, plain=True, other=clause.who)
        return [(rng.choice(JOINTS), "SCONJ"), *meanwhile.words]
    places = [place for place in PLACES if (place, tense) != ("now", "past")]
    place = _tagged(rng.choice(places)) if clause.takes_place and rng.random() < 0.6 else []
    time = _tagged(rng.choice(TIMES)) if not timed and rng.random() < 0.5 else []
    return [*place, *time]


def _sentence(rng: random.Random, *, topic: str) -> Example:
    """One sentence about a topic; a quarter are plain ("Kittens play"), the others may be long."""
    plain = rng.random() < 0.25
    tense = rng.choices(("present", "past", "modal"), (6, 2, 2))[0]
    clause = _clause(rng, topic=topic, tense=tense, plain=plain)
    front = _tagged(rng.choice(TIMES)) if not plain and rng.random() < 0.2 else []
    tail = [] if plain else _tail(rng, clause, topic=topic, tense=tense, timed=bool(front))
    start = len(front)
    agreement = (start + clause.subject, start + clause.verb) if tense == "present" else None
    return _example([*front, *clause.words, *tail], topic=topic, cue=start + clause.cue, agreement=agreement)


def _repeats(example: Example) -> bool:
    """Whether a noun, verb, adjective or adverb comes twice, in any form: "two walks before a walk" reads badly."""
    tagged = zip(example.words, example.tags, strict=True)
    stems = [STEMS.get(word.lower(), word.lower()) for word, tag in tagged if tag in ("NOUN", "VERB", "ADJ", "ADV")]
    return len(set(stems)) < len(stems)


def _example(tagged: Tagged, *, topic: str, cue: int, agreement: tuple[int, int] | None = None) -> Example:
    """The labelled sentence, its first word with a capital."""
    words, tags = zip(*tagged, strict=True)
    return Example((words[0].capitalize(), *words[1:]), tags, topic, cue, agreement)


RUNNING = tuple(  # the course's three sentences
    _example(_tagged(words), topic="FOOD", cue=words.count(" "))
    for words in ("the cat ate", "the cat ate fish", "the cat ate fish pie")
)


def sentences(*, n: int = 4000, seed: int = 0) -> list[Example]:
    """Distinct sentences of 2 to 14 words: the three running ones, and then ones drawn at random.

    All topics come equally often (to within two). The same n and seed give the same sentences everywhere, and a
    smaller n gives the first of them. Raises ValueError for an n below 0, over 100,000 or no integer.

    >>> for example in sentences(n=5):
    ...     print(example.topic, example.text)
    FOOD The cat ate
    FOOD The cat ate fish
    FOOD The cat ate fish pie
    BEHAVIOR Our tabbies that the boys like hunted in the garden
    GROOMING The black tabby may want a bath before sleep
    """
    validate.at_least(None, n=n, seed=seed)
    if not 0 <= n <= MOST:
        raise ValueError(f"n must be between 0 and {MOST}, got {n}.")
    rng = random.Random(int(seed))
    found = {example.text: example for example in RUNNING}
    count = Counter(example.topic for example in RUNNING)
    while len(found) < n:
        example = _sentence(rng, topic=min(TOPICS, key=count.__getitem__))
        if len(example.words) <= LONGEST and not _repeats(example) and example.text not in found:
            found[example.text] = example
            count[example.topic] += 1
    return list(found.values())[:n]


def split(examples: Iterable[Example], *, test: float = 0.2, seed: int = 0) -> tuple[list[Example], list[Example]]:
    """Shuffle the examples and divide them into (train, test), so that no text is on both sides.

    ``test`` is the share of distinct texts that are kept for the test.
    Raises ValueError for a share outside 0 to 1.

    >>> train, test = split(sentences(n=100), test=0.25)
    >>> len(train), len(test), {e.text for e in train} & {e.text for e in test}
    (75, 25, set())
    """
    validate.share(test=test)
    validate.at_least(None, seed=seed)
    examples = list(examples)
    shuffled = random.Random(int(seed)).sample(examples, len(examples))
    texts = list(dict.fromkeys(example.text for example in shuffled))
    held = set(texts[: round(test * len(texts))])
    return [e for e in shuffled if e.text not in held], [e for e in shuffled if e.text in held]
