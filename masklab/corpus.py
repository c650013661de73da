"""The cat corpus: a small grammar whose sentences carry topics, part-of-speech tags and difficulty.

Three things in it need context, on purpose:

* **tags**: "fish" is a noun in "eats fish" and a verb in "cats fish in the pond";
* **topic**: the *main* clause decides, and often with one early word ("The hungry cat waits by the door while
  the girl brushes the kittens" is FOOD). What follows it is neutral, or speaks of another topic;
* **agreement**: in "The cat that the dogs near the house see sleeps" the verb looks back over two other nouns.
"""

import random
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from masklab.text import PAD, Batch, batch_of_words, tokenize

TOPICS = ("FOOD", "BEHAVIOR", "GROOMING", "HEALTH")
TAGS = ("ADJ", "ADP", "ADV", "AUX", "DET", "NOUN", "NUM", "PART", "PRON", "SCONJ", "VERB")  # Universal POS tags

UNK, MASK, BOS, EOS = "[UNK]", "[MASK]", "[BOS]", "[EOS]"
SPECIALS = (PAD, UNK, MASK, BOS, EOS)  # ids 0 to 4


def _listed(text: str) -> tuple[str, ...]:
    """The items of a table that is written as text, with commas."""
    return tuple(" ".join(item.split()) for item in text.split(","))


# --- The words -------------------------------------------------------------------------------------------------------
# Words with two tags: the usual one first. A tagger that looks at the word alone gets the second one wrong.
AMBIGUOUS = {
    "fish": ("NOUN", "VERB"), "treats": ("NOUN", "VERB"), "can": ("AUX", "NOUN"), "cold": ("ADJ", "NOUN"),
    "play": ("NOUN", "VERB"), "licks": ("NOUN", "VERB"), "bites": ("NOUN", "VERB"), "drink": ("NOUN", "VERB"),
    "nap": ("NOUN", "VERB"), "rest": ("VERB", "NOUN"), "sleep": ("NOUN", "VERB"), "scratch": ("VERB", "NOUN"),
    "cough": ("NOUN", "VERB"), "chase": ("VERB", "NOUN"), "check": ("NOUN", "VERB"), "snack": ("VERB", "NOUN"),
    "brush": ("NOUN", "VERB"), "comb": ("NOUN", "VERB"), "clean": ("VERB", "ADJ"), "dry": ("VERB", "ADJ"),
    "warm": ("ADJ", "VERB"), "like": ("ADP", "VERB"), "that": ("PRON", "DET"), "to": ("ADP", "PART"),
    "before": ("ADP", "SCONJ"), "after": ("ADP", "SCONJ"), "outside": ("ADV", "ADP"), "wash": ("NOUN", "VERB"),
    "trim": ("NOUN", "VERB"), "help": ("VERB", "NOUN"), "limp": ("VERB", "NOUN"), "hunt": ("NOUN", "VERB"),
    "smell": ("VERB", "NOUN"), "walk": ("NOUN", "VERB"), "look": ("VERB", "NOUN"), "combs": ("NOUN", "VERB"),
    "brushes": ("NOUN", "VERB"), "drinks": ("VERB", "NOUN"), "snacks": ("NOUN", "VERB"), "naps": ("NOUN", "VERB"),
    "checks": ("NOUN", "VERB"), "looks": ("NOUN", "VERB"), "walks": ("NOUN", "VERB"),
}  # fmt: skip

# Nouns with both numbers. Only these are subjects, or stand between a subject and its verb.
CATS = (("cat", "cats"), ("kitten", "kittens"), ("tabby", "tabbies"))
PEOPLE = (("girl", "girls"), ("boy", "boys"), ("child", "children"), ("neighbor", "neighbors"), ("vet", "vets"))
ANIMALS = (("dog", "dogs"), ("bird", "birds"), ("mouse", "mice"))
THINGS = (("house", "houses"), ("tree", "trees"), ("wall", "walls"))

# Verbs: after a plural, after a singular, in the past.
VERBS = tuple(
    tuple(forms.split())
    for forms in _listed("""
        beg begs begged, bite bites bit, bring brings brought, brush brushes brushed, buy buys bought,
        chase chases chased, check checks checked, clean cleans cleaned, climb climbs climbed, comb combs combed,
        come comes came, cook cooks cooked, cough coughs coughed, drink drinks drank, dry dries dried, eat eats ate,
        enjoy enjoys enjoyed, feed feeds fed, feel feels felt, fill fills filled, find finds found,
        finish finishes finished, fish fishes fished, give gives gave, hate hates hated, have has had,
        help helps helped, hide hides hid, hold holds held, hunt hunts hunted, jump jumps jumped, know knows knew,
        lick licks licked, like likes liked, limp limps limped, look looks looked, love loves loved,
        meow meows meowed, nap naps napped, need needs needed, open opens opened, pet pets petted,
        play plays played, purr purrs purred, rest rests rested, run runs ran, scratch scratches scratched,
        see sees saw, shake shakes shook, shine shines shone, sit sits sat, sleep sleeps slept,
        smell smells smelled, snack snacks snacked, sneeze sneezes sneezed, stand stands stood, stay stays stayed,
        steal steals stole, take takes took, throw throws threw, train trains trained, treat treats treated,
        trim trims trimmed, wait waits waited, walk walks walked, want wants wanted, warm warms warmed,
        wash washes washed, watch watches watched, weigh weighs weighed
    """)
)

# Every other word has one tag.
WORDS = {
    "ADJ": "big black busy curious dizzy dusty friendly gray greedy hungry injured kind muddy naughty old playful "
    "quiet shiny sick small sore thirsty weak white young",
    "ADP": "across at behind beside by for from in near of on over through under with",
    "ADV": "again now quietly",
    "AUX": "may will",
    "DET": "a every the these this",
    "NOUN": "ball bath bed bowl chair chicken claws cream day dinner door ears fever floor food fur garden "
    "kitchen leaf meal medicine milk moon morning night nose paw paws pie pill plate pond rug silk soap "
    "sofa spoon string table toy tuna water whiskers wind window wound",
    "NUM": "two three",
    "PRON": "her our their",
    "SCONJ": "while",
}

# --- What is said ----------------------------------------------------------------------------------------------------
# A phrase is written after a plural subject, with "her" for "her" or "their"; a word takes its usual tag,
# or the one written after it. Topics share verbs and nouns: licking a plate, the fur or a wound are three topics.
CATS_DO = {
    "FOOD": _listed("""
        eat, eat fish, eat fish pie, eat chicken, eat dry/ADJ food, eat from the bowl, eat the treats,
        eat like the dog, drink, drink milk, drink warm milk, drink from the bowl, want a drink,
        want to/PART drink/VERB, take two drinks/NOUN of milk, lick the plate, lick the spoon, lick the cream,
        give the plate two licks, take two licks of cream, take three bites of fish, bite the chicken,
        steal the fish, steal the treats, steal a can/NOUN of tuna, lick the can/NOUN, snack on tuna, snack on fish,
        beg for a snack/NOUN, like to/PART snack on chicken, want two snacks, steal the snacks, smell fish,
        smell like fish pie, like the smell/NOUN of tuna, want fish, like fish, need water, need food,
        enjoy the cream, finish the meal, find the tuna
    """),
    "BEHAVIOR": _listed("""
        play, play with the ball, play with the brush, play with the spoon, like to/PART play/VERB,
        want to/PART play/VERB, fish, fish in the pond, like to/PART fish/VERB, want to/PART fish/VERB,
        watch the fish, watch the birds, chase the birds, chase the ball, enjoy the chase/NOUN, hunt mice,
        hunt in the garden, enjoy the hunt, hide, hide under the bed, hide behind the plate, nap on the rug,
        nap by the window, take two naps, sleep, sleep on the cold floor, sleep like the dog, scratch the sofa,
        scratch the door, climb the tree, jump over the bowl, run like the wind, run to the door, purr, meow,
        warm the bed, bite the ball, bite the comb, give the ball two bites, lick the window, steal the combs,
        steal the brushes, find the string, want the toy
    """),
    "GROOMING": _listed("""
        lick her paws, lick her fur, give her fur two licks, give her paw three licks, wash, wash her ears,
        wash her paws, like to/PART wash/VERB, want to/PART wash/VERB her fur, need a wash, need a trim,
        clean her claws, clean her fur, clean her whiskers, have clean/ADJ fur, dry her fur, dry her ears,
        have dry/ADJ paws, take a bath, need a bath, want a bath, enjoy a warm bath, finish the bath, need the comb,
        enjoy the comb, need a brush, like the brush, like the brushes, like the soap, hate the soap,
        smell like soap, shine like silk, bite her claws, scratch her muddy fur
    """),
    "HEALTH": _listed("""
        see the vet, need the vet, like the vet, need help/NOUN, rest, rest in bed, rest in the warm bed,
        want to/PART rest, need rest/NOUN, need sleep, need two checks, take the medicine, drink the medicine,
        hate the medicine, smell the medicine, eat the pill, take a pill, steal the pill, find the pill, cough,
        sneeze, have a cough, have a cold/NOUN, have a fever, limp, limp to the bed, have a limp/NOUN,
        limp like the old dog, lick the wound, lick her sore paws, give the wound two licks, wash the wound,
        scratch her sore ears, have a scratch/NOUN on the nose, feel sick, feel dizzy, shake like a leaf
    """),
}
PEOPLE_DO = {
    "FOOD": _listed("""
        feed the cats, feed the kitten, cook fish for the kittens, cook chicken in the kitchen,
        open a can/NOUN of tuna, open a can/NOUN of fish, warm the milk, fill the bowl with food, bring the treats,
        give the cat a drink, give the cat two bites of chicken, watch the cats drink/VERB, buy fish pie for the cat
    """),
    "BEHAVIOR": _listed("""
        play with the cats, play with the kitten, watch the kittens play/VERB, watch the cats fish/VERB,
        watch the cat sleep/VERB, pet the cat, throw the ball for the kittens, chase the kitten, train the cat,
        give the kittens a toy, hide the combs, walk the cat in the garden, take the cat for a walk
    """),
    "GROOMING": _listed("""
        brush the cat, brush the kittens, brush the fur, comb the kitten, comb the fur, wash the cat,
        watch the kittens wash/VERB, dry the cats, dry the kitten, trim the claws, clean the brush, clean the combs,
        buy a brush for the kitten, give the cat a wash, bring the soap
    """),
    "HEALTH": _listed("""
        treat the cat, treat the kittens, check the ears, check the sore paw, give the cat a check,
        give the kittens the pill, weigh the kittens, hold the sick cat, watch the sick kitten rest,
        help the sick cat, clean the wound, dry the wound, bring the medicine
    """),
}

# One early adjective decides the topic, and what follows is neutral.
MOODS = {
    "FOOD": ("hungry", "thirsty", "greedy"),
    "BEHAVIOR": ("playful", "curious", "naughty"),
    "GROOMING": ("muddy", "dusty", "shiny"),
    "HEALTH": ("sick", "weak", "injured"),
}
MOODY = tuple(word for words in MOODS.values() for word in words)
NEUTRAL = _listed("""
        wait, wait by the door, sit near the window, sit on the old chair, stay in the kitchen, stay outside,
        stay outside/ADP the house, look at the moon, look through the window, take a look/NOUN at the moon,
        take two looks at the bird, walk, walk across the garden, walk to the house, take two walks,
        take a walk to the pond, come to the door, stand on the wall, stand behind the tree
    """)
LOOKS = ("old", "young", "small", "big", "black", "white", "gray")  # how cats look
MANNERS = ("kind", "friendly", "busy", "quiet")  # how people are

# Who: "" leaves the plural bare ("Cats purr"); "That cat" makes "that" ambiguous.
DETERMINERS = {
    "one": ("the", "the", "the", "this", "that/DET", "our", "every"),
    "several": ("the", "the", "the", "these", "our", "two", "", "", ""),
}
BETWEEN = ("near", "beside", "behind", "with")
MEET = ("see", "know", "like", "love", "chase", "help")
MODALS = ("can", "may", "will")

# How, where and when: neutral, or with a word that belongs to some topic, so that no single word gives the topic away.
# States go with a time only, and not with "can": nobody can need a bath under the table.
STATES = ("want", "need", "like", "have", "enjoy", "hate", "smell", "feel")
PLACES = _listed("""
        under the table, near that/DET window, on the sofa, in the kitchen, by the door, behind that/DET chair,
        beside the clean/ADJ bowl, near the brush, in the garden, on the cold floor, by the pond, near the warm bed,
        outside, outside/ADP the house, quietly, again, now
    """)
TIMES = _listed("""
        at night, in the morning, every day, before dinner, after a meal, after play, before play, before a walk,
        after two walks, after a nap, before sleep, after a drink, before the wash, after a wash, after the bath,
        after the hunt, before the check
    """)
JOINTS = ("while", "before", "after")

# --- What follows from the tables ------------------------------------------------------------------------------------
PAIRS = CATS + PEOPLE + ANIMALS + THINGS
FORMS = {forms[0]: forms for forms in VERBS}
OTHER_NUMBER = {form: other for many, one, _ in VERBS for form, other in ((many, one), (one, many))}
ONE_TAG = (
    {noun: "NOUN" for pair in PAIRS for noun in pair}
    | {form: "VERB" for forms in VERBS for form in forms}
    | {word: tag for tag, words in WORDS.items() for word in words.split()}
)
USUAL = ONE_TAG | {word: tags[0] for word, tags in AMBIGUOUS.items()}
LONGEST = 14
MOST = 100_000  # sentences that `sentences` will look for


@dataclass(frozen=True)
class Example:
    """A sentence with its labels.

    ``words`` and ``tags`` (Universal POS) go word by word; ``topic`` is one of ``TOPICS``.
    ``cue`` is the position of the last word that is needed to tell the topic: what follows is neutral, or misleads.
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
        """How hard each word's tag is for somebody who knows the words, and not the context.

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

        They attract a model that looks at the nearest noun; 0 where nothing agrees.
        Source: Linzen et al. 2016, arXiv 1611.01368.
        """
        if self.agreement is None:
            return 0
        subject, verb = self.agreement
        between = [self.words[i] for i in range(subject + 1, verb) if self.tags[i] == "NOUN"]
        return sum(is_plural(noun) != is_plural(self.words[subject]) for noun in between)

    def with_wrong_number(self) -> tuple[str, ...]:
        """The words with the main verb in the other number: a model should find them less likely.

        Raises ValueError where the verb does not show a number.

        >>> example = next(e for e in sentences(n=300) if e.attractors)
        >>> example.text, example.agreement
        ('The gray kittens that the thirsty mouse sees like the brush', (2, 8))
        >>> " ".join(example.with_wrong_number())
        'The gray kittens that the thirsty mouse sees likes the brush'
        """
        if self.agreement is None:
            raise ValueError(
                f"agreement must be a pair of positions, and is None: the verb of {self.text!r} has one form."
            )
        verb = self.agreement[1]
        return (*self.words[:verb], OTHER_NUMBER[self.words[verb]], *self.words[verb + 1 :])


def is_plural(noun: str) -> bool:
    """Whether a noun that can be a subject speaks of several.

    >>> is_plural("cat"), is_plural("Mice")
    (False, True)
    """
    return any(noun.lower() == several for _, several in PAIRS)


def _difficulty(word: str, tag: str) -> int:
    """0 for a word of one tag, 1 for the usual one of two, 2 for the other."""
    tags = AMBIGUOUS.get(word, (tag,))
    return 0 if len(tags) == 1 else 1 + tags.index(tag)


# --- The grammar: every function gives a list of (word, tag) ---------------------------------------------------------
Tagged = list[tuple[str, str]]


@dataclass(frozen=True)
class _Clause:
    """Somebody does something: with the positions that the labels need, and whether a place may follow."""

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
    The last is in the past, for "helps" would give the subject's number away.
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

    A clause that follows another one has an ``other`` subject, and somebody in it acts.
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
    place = _tagged(rng.choice(PLACES)) if clause.takes_place and rng.random() < 0.6 else []
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
    """Whether a noun, verb, adjective or adverb comes twice, which reads badly."""
    content = [w for w, tag in zip(example.words, example.tags, strict=True) if tag in ("NOUN", "VERB", "ADJ", "ADV")]
    return len(set(content)) < len(content)


def _example(tagged: Tagged, *, topic: str, cue: int, agreement: tuple[int, int] | None = None) -> Example:
    """The labelled sentence, its first word with a capital."""
    words, tags = zip(*tagged, strict=True)
    return Example((words[0].capitalize(), *words[1:]), tags, topic, cue, agreement)


RUNNING = tuple(  # the course's three sentences
    _example(_tagged(words), topic="FOOD", cue=words.count(" "))
    for words in ("the cat ate", "the cat ate fish", "the cat ate fish pie")
)


def sentences(*, n: int = 4000, seed: int = 0) -> list[Example]:
    """Distinct sentences of 2 to 14 words: the three running ones, and then drawn ones.

    All topics come equally often (to within two). The same n and seed give the same sentences everywhere, and a
    smaller n gives the first of them. Raises ValueError for an n below 0 or over 100,000.

    >>> for example in sentences(n=5):
    ...     print(example.topic, example.text)
    FOOD The cat ate
    FOOD The cat ate fish
    FOOD The cat ate fish pie
    BEHAVIOR Our tabbies that the boys like hunted in the garden
    GROOMING The black tabby may want a bath before sleep
    """
    if not 0 <= n <= MOST:
        raise ValueError(f"n must be between 0 and {MOST}, and is {n}.")
    rng = random.Random(seed)
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
    Raises ValueError for a share that is not between 0 and 1.

    >>> train, test = split(sentences(n=100), test=0.25)
    >>> len(train), len(test), {e.text for e in train} & {e.text for e in test}
    (75, 25, set())
    """
    if not 0 <= test <= 1:
        raise ValueError(f"test must be a share between 0 and 1, and is {test}.")
    examples = list(examples)
    shuffled = random.Random(seed).sample(examples, len(examples))
    texts = list(dict.fromkeys(example.text for example in shuffled))
    held = set(texts[: round(test * len(texts))])
    return [e for e in shuffled if e.text not in held], [e for e in shuffled if e.text in held]


# --- Words, ids, batches ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Vocabulary:
    """Which id a word has: five special tokens first, then the words in their order.

    A word with a capital that is not there is looked up without it. Every other word is [UNK].

    >>> VOCABULARY.encode(["The", "cat", "ate", "sushi", "[MASK]"])
    [5, 6, 7, 1, 2]
    >>> VOCABULARY.decode([5, 6, 7, 0])
    ['The', 'cat', 'ate', '[PAD]']
    """

    words: tuple[str, ...]

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        """Every token, at the place that is its id."""
        return SPECIALS + self.words

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
        """The ids of some words."""
        return [self.id(word) for word in words]

    def decode(self, ids: Iterable[int] | Tensor) -> list[str]:
        """The tokens of one row of ids. Raises ValueError for an id that no token has, or for more than one row."""
        if isinstance(ids, Tensor) and ids.ndim != 1:
            raise ValueError(f"ids must be one row, and have the shape {tuple(ids.shape)}. Decode row by row.")
        row = ids.tolist() if isinstance(ids, Tensor) else list(ids)
        wrong = [i for i in row if not 0 <= i < len(self)]
        if wrong:
            raise ValueError(f"every id must be between 0 and {len(self) - 1}, and there is {wrong[0]}.")
        return [self.tokens[i] for i in row]


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
    A padded position has no tag and no difficulty: tag 0 and infinity stand there. Let ``mask`` say where they count.
    """

    tags: Tensor
    topics: Tensor
    difficulty: Tensor


def batch(examples: Sequence[Example], *, side: str = "right", vocabulary: Vocabulary = VOCABULARY) -> LabelledBatch:
    """Turn examples into one padded batch with their labels.

    Shapes: n examples, the longest with L words → ids, tags, difficulty (n, L); topics (n,).
    Raises ValueError for an unknown side.

    >>> two = batch(RUNNING[:2])
    >>> two.ids
    tensor([[5, 6, 7, 0],
            [5, 6, 7, 8]])
    >>> two.mask.int()
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
        tags=torch.zeros_like(plain.ids).masked_scatter(plain.mask, torch.tensor(tags, dtype=torch.int64)),
        topics=torch.tensor([TOPICS.index(example.topic) for example in examples], dtype=torch.int64),
        difficulty=torch.full(plain.ids.shape, torch.inf).masked_scatter(
            plain.mask, torch.tensor(difficulty, dtype=torch.float32)
        ),
    )


def batch_text(
    texts: Sequence[str], *, side: str = "right", ends: bool = False, vocabulary: Vocabulary = VOCABULARY
) -> Batch:
    """Turn any texts into one padded batch, one row a text; unknown words are [UNK].

    With ``ends``, [BOS] and [EOS] stand around every text, as a language model wants them.
    ``tokens`` keep the words as they were written.
    Shapes: n texts, the longest with L words → ids (n, L); L is 0 when no text has a word.
    Raises TypeError for one text that is not in a list, ValueError for an unknown side.

    >>> pasted = batch_text(["The cat ate...", "the [MASK] ate sushi!", ""])
    >>> pasted.ids
    tensor([[  5,   6,   7,   0],
            [292,   2,   7,   1],
            [  0,   0,   0,   0]])
    >>> pasted.tokens[1], pasted.lengths
    (('the', '[MASK]', 'ate', 'sushi'), tensor([3, 4, 0]))
    """
    if isinstance(texts, str):
        raise TypeError(f"texts must be a list of texts, one a row, and is one text. Write [{texts[:20]!r}].")
    first, last = ([BOS], [EOS]) if ends else ([], [])
    return batch_of_words([first + words_of(text) + last for text in texts], side=side, to_id=vocabulary.id)


def words_of(text: str) -> list[str]:
    """The words of any text, without its punctuation.

    Apostrophes and hyphens stay inside a word. "[MASK]" is the one special token that may be typed: a typed "[PAD]"
    is the word "PAD". What has no spaces between its words (Chinese, Thai) is one word.

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
