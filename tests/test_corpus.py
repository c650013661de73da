"""The corpus says what it promises: tags, topics and agreement that need context; any text becomes a batch."""

import random
import re
from collections import Counter, defaultdict
from zlib import crc32

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from masklab import corpus
from masklab.corpus import AMBIGUOUS, TAGS, TOPICS, VOCABULARY, batch, batch_text, sentences, split, words_of
from masklab.losses import curriculum_weights
from masklab.text import PAD, Batch
from tests.strategies import hostile, in_threads, seeds, sides

UNIVERSAL = set(re.findall(r"\w+", "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X"))
ALL = sentences(n=8000)
EXAMPLES = ALL[:4000]  # what `sentences()` gives
SINGULAR = {one: many for many, one, _ in corpus.VERBS}  # the forms that follow "the cat", and those after "the cats"
PLURAL = {many for many, _, _ in corpus.VERBS}
PAST = {past for _, _, past in corpus.VERBS} - PLURAL


def share(found):
    found = list(found)
    return sum(found) / len(found)


# --- what the sentences are ---


def test_the_same_sentences_everywhere():
    whole = "\n".join(f"{e.text}|{' '.join(e.tags)}|{e.topic}|{e.cue}|{e.agreement}" for e in EXAMPLES)
    assert crc32(whole.encode()) == 3588232869  # strings hash differently in every run: a set's order would show here
    assert sentences() == EXAMPLES  # a smaller n is a beginning


def test_another_seed_gives_other_sentences():
    here, there = ({e.text for e in found} for found in (EXAMPLES[:500], sentences(n=500, seed=1)))
    assert len(here & there) < 100


def test_distinct_sentences_of_2_to_14_words_in_balanced_topics():
    assert len({e.text for e in ALL}) == len(ALL) == 8000
    assert [e.text for e in EXAMPLES[:3]] == ["The cat ate", "The cat ate fish", "The cat ate fish pie"]
    assert {len(e.words) for e in EXAMPLES} == set(range(2, 15))
    assert max(Counter(len(e.words) for e in EXAMPLES).values()) < 0.15 * len(EXAMPLES)  # no length prevails
    assert Counter(e.topic for e in EXAMPLES) == dict.fromkeys(TOPICS, 1000)


@given(st.integers(0, 40), seeds)
def test_any_n_and_seed(n, seed):
    random.seed(0)
    torch.manual_seed(0)
    before = random.getstate(), torch.get_rng_state()
    found = sentences(n=n, seed=seed)
    assert len(found) == n and found == sentences(n=40, seed=seed)[:n]
    if n > 8:
        count = Counter(e.topic for e in found).values()
        assert len(count) == 4 and max(count) - min(count) <= 2
    assert random.getstate() == before[0] and torch.equal(torch.get_rng_state(), before[1])


def test_seeds_hold_in_threads():
    assert in_threads(lambda seed: sentences(n=9, seed=seed)) == [sentences(n=9, seed=seed) for seed in range(40)]
    found = in_threads(lambda seed: split(EXAMPLES[:20], seed=seed))
    assert found == [split(EXAMPLES[:20], seed=seed) for seed in range(40)]


def test_what_cannot_be_had_is_said():
    with pytest.raises(ValueError, match="n must be an integer, got 2.5"):
        sentences(n=2.5)
    with pytest.raises(ValueError, match="seed must be an integer, got 0.5"):
        split(EXAMPLES, seed=0.5)
    assert sentences(n=np.int64(9), seed=np.int64(1)) == sentences(n=9, seed=1)
    assert split(EXAMPLES[:9], seed=np.int64(1)) == split(EXAMPLES[:9], seed=1)
    with pytest.raises(ValueError, match="between 0 and 100000, got -1"):
        sentences(n=-1)
    with pytest.raises(ValueError, match="got 100001"):
        sentences(n=100_001)
    with pytest.raises(ValueError, match="test must be between 0 and 1, got 20"):
        split(EXAMPLES, test=20)


@pytest.mark.parametrize(
    ("sentence", "tags"),
    [  # written by hand, by the Universal Dependencies guidelines for English
        ("The cat ate fish pie", "DET NOUN VERB NOUN NOUN"),
        ("Our tabbies that the boys like hunted in the garden", "PRON NOUN PRON DET NOUN VERB VERB ADP DET NOUN"),
        ("The kitten wants to rest while the tabbies eat from the bowl",
         "DET NOUN VERB PART VERB SCONJ DET NOUN VERB ADP DET NOUN"),
        ("That cat that the playful bird chases gives her fur two licks",
         "DET NOUN PRON DET ADJ NOUN VERB VERB PRON NOUN NUM NOUN"),
        ("Our tabby can bite the ball outside before dinner", "PRON NOUN AUX VERB DET NOUN ADV ADP NOUN"),
        ("Small tabbies will cough while the child warms the milk", "ADJ NOUN AUX VERB SCONJ DET NOUN VERB DET NOUN"),
    ],
)  # fmt: skip
def test_tags_against_a_hand(sentence, tags):
    (found,) = [e for e in EXAMPLES if e.text == sentence]
    assert " ".join(found.tags) == tags


PIECES = {  # by hand as well: the words that need their neighbours
    "watch the kittens play": "VERB DET NOUN VERB", "watch the cats drink": "VERB DET NOUN VERB",
    "watch the cat sleep": "VERB DET NOUN VERB", "watch the kittens wash": "VERB DET NOUN VERB",
    "watch the cats fish": "VERB DET NOUN VERB", "sick kitten rest": "ADJ NOUN VERB", "to fish": "PART VERB",
    "to play": "PART VERB", "to drink": "PART VERB", "to wash": "PART VERB", "to rest": "PART VERB",
    "to snack on": "PART VERB ADP", "to the door": "ADP DET NOUN", "the fish": "DET NOUN", "cook fish": "VERB NOUN",
    "can of tuna": "NOUN ADP NOUN", "the can": "DET NOUN", "after play": "ADP NOUN", "before sleep": "ADP NOUN",
    "two licks": "NUM NOUN", "three bites": "NUM NOUN", "two naps": "NUM NOUN", "two drinks": "NUM NOUN",
    "two snacks": "NUM NOUN", "two checks": "NUM NOUN", "two walks": "NUM NOUN", "two looks": "NUM NOUN",
    "a cold": "DET NOUN", "cold floor": "ADJ NOUN", "a cough": "DET NOUN", "a limp": "DET NOUN",
    "a trim": "DET NOUN", "a wash": "DET NOUN", "a check": "DET NOUN", "a look at": "DET NOUN ADP",
    "a walk": "DET NOUN", "a scratch": "DET NOUN", "a brush": "DET NOUN", "a drink": "DET NOUN",
    "a nap": "DET NOUN", "a snack": "DET NOUN", "the comb": "DET NOUN", "the combs": "DET NOUN",
    "the brushes": "DET NOUN", "the hunt": "DET NOUN", "the chase": "DET NOUN", "the smell of": "DET NOUN ADP",
    "the treats": "DET NOUN", "need help": "VERB NOUN", "need rest": "VERB NOUN", "need sleep": "VERB NOUN",
    "need two": "VERB NUM", "smell like fish pie": "VERB ADP NOUN NOUN", "smell like soap": "VERB ADP NOUN",
    "run like the wind": "VERB ADP DET NOUN", "shine like silk": "VERB ADP NOUN",
    "sleep like the dog": "VERB ADP DET NOUN", "like the brush": "VERB DET NOUN", "like to": "VERB PART",
    "like the soap": "VERB DET NOUN", "clean fur": "ADJ NOUN", "clean their fur": "VERB PRON NOUN",
    "clean bowl": "ADJ NOUN", "dry food": "ADJ NOUN", "dry paws": "ADJ NOUN", "dry their fur": "VERB PRON NOUN",
    "warm milk": "ADJ NOUN", "warm the milk": "VERB DET NOUN", "outside the house": "ADP DET NOUN",
    "near that window": "ADP DET NOUN", "before that": "SCONJ DET", "that the": "PRON DET",
}  # fmt: skip


def test_pieces_against_a_hand():
    found = Counter()
    for example in ALL:
        for piece, tags in PIECES.items():
            width = len(piece.split())
            if f" {piece} " in f" {example.text} ":
                places = [i for i in range(len(example.words)) if " ".join(example.words[i : i + width]) == piece]
                assert {" ".join(example.tags[i : i + width]) for i in places} == {tags}, (piece, example)
                found[piece] += 1
    assert not PIECES.keys() - found.keys()


def test_every_word_has_the_tags_that_the_tables_say():
    seen = defaultdict(Counter)
    for example in ALL:
        for word, tag in zip(example.words, example.tags, strict=True):
            seen[word][tag] += 1
    assert {tag for tags in seen.values() for tag in tags} == set(TAGS) <= UNIVERSAL
    assert {word for word, tags in seen.items() if len(tags) > 1} == set(AMBIGUOUS)
    for word, tags in AMBIGUOUS.items():  # the usual tag really is the usual one
        assert set(seen[word]) == set(tags) and seen[word].most_common(1)[0][0] == tags[0], (word, seen[word])
    assert set(seen) == set(VOCABULARY.words)  # no word is missing, and none is idle


def test_difficulty_is_what_the_word_alone_does_not_tell():
    for example in EXAMPLES:
        for word, tag, level in zip(example.words, example.tags, example.difficulty, strict=True):
            usual, other = AMBIGUOUS.get(word, (tag, None))
            assert level == (0 if word not in AMBIGUOUS else 1 if tag == usual else 2)
            assert tag in (usual, other)
        assert example.hardness == pytest.approx(sum(example.difficulty) / len(example.words))


def test_sentences_read_well():
    colors = {"black", "white", "gray", "big", "small", "old", "young"}
    people = {noun for pair in corpus.PEOPLE for noun in pair}
    for example in ALL:
        first, *others = example.words
        assert first[0].isupper() and all(word == word.lower() for word in [first[1:], *others])
        pairs = list(zip(map(str.lower, example.words), example.words[1:], strict=False))
        assert not any(a in colors and b in people for a, b in pairs)  # said of cats only
        assert not any(a == b or (a, b) == ("can", "need") for a, b in pairs)
        tagged = zip(example.words, example.tags, strict=True)
        content = [stem(word.lower()) for word, tag in tagged if tag in ("NOUN", "VERB", "ADJ")]
        assert len(content) == len(set(content)), example.text
        if "now" in example.words:
            before = [i for i in range(example.words.index("now")) if example.tags[i] == "VERB"]
            assert example.words[before[-1]] not in PAST


def stem(word):
    """The first form of a verb, the singular of a noun."""
    for forms in [*corpus.VERBS, *((one, several) for one, several in corpus.PAIRS)]:
        if word in forms:
            return forms[0]
    return word


def test_what_is_no_vocabulary_is_refused():
    with pytest.raises(TypeError, match=r"got the text 'The cat'\. Write words_of\(text\)"):
        VOCABULARY.encode("The cat")
    for words in (("a", "a"), ("[MASK]", "a")):
        with pytest.raises(ValueError, match="every word must come once"):
            corpus.Vocabulary(words)
    with pytest.raises(
        TypeError, match=r"words must be a list of words, got the text 'Thecat'\. Write tokenize\(text\)"
    ):
        corpus.Vocabulary("Thecat")  # no letter comes twice
    assert corpus.Vocabulary(["ate"]).tokens[-1] == "ate"


def test_another_vocabulary_gives_its_own_ids():
    small = corpus.Vocabulary(("ate", "cat", "the"))
    assert batch(corpus.RUNNING[:1], vocabulary=small).ids.tolist() == [[7, 6, 5]]
    assert batch_text(["the cat sat"], vocabulary=small).ids.tolist() == [[7, 6, 1]]


# --- what needs context ---


def test_the_verb_agrees_with_its_subject():
    several = {many for _, many in corpus.CATS + corpus.PEOPLE}
    agreeing = [e for e in ALL if e.agreement]
    for example in agreeing:
        subject, verb = example.agreement
        assert example.tags[subject] == "NOUN" and example.tags[verb] == "VERB"
        assert example.words[verb] in (PLURAL if example.words[subject].lower() in several else SINGULAR)
        wrong = example.with_wrong_number()
        assert [i for i, (a, b) in enumerate(zip(example.words, wrong, strict=True)) if a != b] == [verb]
        assert wrong[verb] in (SINGULAR if example.words[verb] in PLURAL else PLURAL)
        assert SINGULAR.get(wrong[verb], wrong[verb]) == SINGULAR.get(example.words[verb], example.words[verb])
    assert 0.48 < share(e.words[e.agreement[1]] in PLURAL for e in agreeing) < 0.52  # both numbers, equally often
    silent = [e for e in ALL if not e.agreement]
    assert all(e.attractors == 0 for e in silent)
    with pytest.raises(ValueError, match="'The cat ate' has one form"):
        EXAMPLES[0].with_wrong_number()


def test_her_and_their_agree_with_the_verb_before_them():
    found = Counter()
    for example in ALL:
        for i, word in enumerate(example.words):
            if word in ("her", "their"):
                verb = max(j for j in range(i) if example.tags[j] == "VERB")
                bare = example.tags[verb - 1] in ("AUX", "PART")
                form = "any" if bare else "one" if example.words[verb] in SINGULAR else "many"
                form = "any" if form == "many" and example.words[verb] not in PLURAL else form  # the past
                found[word, form] += 1
    assert found["her", "one"] > 50 and found["their", "many"] > 50
    assert found["her", "many"] == found["their", "one"] == 0


def nearest_noun_is_right(example):
    subject, verb = example.agreement
    nearest = max(i for i in range(verb) if example.tags[i] == "NOUN")
    return corpus.is_plural(example.words[nearest]) == corpus.is_plural(example.words[subject])


def test_attractors_by_a_slow_loop():
    numbers = {one: 1 for one, _ in corpus.PAIRS} | {many: 2 for _, many in corpus.PAIRS}
    for example in ALL:
        if example.agreement:
            subject, verb = example.agreement
            count = 0
            for i in range(subject + 1, verb):
                if example.tags[i] == "NOUN":
                    count += numbers[example.words[i]] != numbers[example.words[subject].lower()]
            assert example.attractors == count


def test_long_range_agreement_needs_the_subject():
    agreeing = [e for e in ALL if e.agreement]
    apart = [e for e in agreeing if e.agreement[1] - e.agreement[0] > 1]
    wrong = 1 - share(map(nearest_noun_is_right, agreeing))
    wrong_apart = 1 - share(map(nearest_noun_is_right, apart))
    print(f"\nagreement shows in {len(agreeing) / len(ALL):.1%}; {len(apart) / len(agreeing):.1%} have words between,")
    print(f"the nearest noun is wrong in {wrong:.1%} of all, in {wrong_apart:.1%} of those with words between")
    assert 0.12 < wrong < 0.20 and 0.45 < wrong_apart < 0.55
    assert {1, 4, 5, 6, 8} <= {e.agreement[1] - e.agreement[0] for e in agreeing}
    train, test = split(apart)
    votes = defaultdict(Counter)  # the two words before the verb, as a table: they do not tell its number either
    for e in train:
        votes[e.words[e.agreement[1] - 2 : e.agreement[1]]][e.words[e.agreement[1]] in PLURAL] += 1
    guesses = [votes[e.words[e.agreement[1] - 2 : e.agreement[1]]] or Counter([False]) for e in test]
    right = share(
        g.most_common(1)[0][0] == (e.words[e.agreement[1]] in PLURAL) for g, e in zip(guesses, test, strict=True)
    )
    print(f"the two words before the verb tell its number in {right:.1%}")
    assert 0.4 < right < 0.6


def test_a_tagger_needs_context():
    train, test = split(EXAMPLES)
    votes = defaultdict(Counter)
    for example in train:
        for word, tag in zip(example.words, example.tags, strict=True):
            votes[word][tag] += 1
    tokens = [pair for e in test for pair in zip(e.words, e.tags, strict=True)]
    right = share(bool(votes[word]) and votes[word].most_common(1)[0][0] == tag for word, tag in tokens)
    ambiguous = share(word in AMBIGUOUS for word, _ in tokens)
    print(f"\n{ambiguous:.1%} of the words are ambiguous; the most frequent tag of each word is right in {right:.1%}")
    assert 0.92 < right < 0.96 and 0.15 < ambiguous < 0.22


def bag_accuracy(train, test, words):
    """How often a linear classifier is right that sees which words ``words`` picks, and not their order (ridge)."""

    def counts(examples):
        rows = [torch.bincount(torch.tensor(VOCABULARY.encode(map(str.lower, words(e)))), minlength=len(VOCABULARY))
                for e in examples]  # fmt: skip
        return torch.stack(rows).double(), torch.tensor([TOPICS.index(e.topic) for e in examples])

    (x, y), (x_test, y_test) = counts(train), counts(test)
    penalty = 3 * torch.eye(len(VOCABULARY), dtype=torch.float64)
    weight = torch.linalg.solve(x.T @ x + penalty, x.T @ F.one_hot(y).double())
    return float(share((x_test @ weight).argmax(1) == y_test))


def test_a_topic_needs_the_whole_sentence_and_its_order():
    train, test = split(EXAMPLES)
    last = bag_accuracy(train, test, lambda e: e.words[-3:])
    first = bag_accuracy(train, test, lambda e: e.words[:3])
    bag = bag_accuracy(train, test, lambda e: e.words)
    print(f"\ntopic from the last 3 words {last:.1%}, the first 3 {first:.1%}, a bag of all words {bag:.1%}")
    assert 0.3 < last < 0.58 and 0.3 < first < 0.62 and 0.8 < bag < 0.92
    forgotten = share(len(e.words) - 1 - e.cue >= 4 for e in EXAMPLES)
    early = share(e.cue <= 2 and len(e.words) - 1 - e.cue >= 4 for e in EXAMPLES)
    print(f"4 words or more follow what tells the topic: {forgotten:.1%}; and it stands among the first 3: {early:.1%}")
    assert forgotten > 0.35 and early > 0.2


def test_no_word_is_the_key_to_a_topic():
    topics = defaultdict(Counter)
    for example in EXAMPLES:
        for word in {word.lower() for word in example.words}:
            topics[word][example.topic] += 1
    for word, count in topics.items():
        topic, often = count.most_common(1)[0]
        assert often < 0.25 * 1000 or often < 0.6 * count.total(), (word, topic, count)


def test_what_decides_the_topic_stands_where_it_is_said():
    moods = {mood: topic for topic, words in corpus.MOODS.items() for mood in words}
    said = Counter()
    for example in ALL:
        cue = example.words[example.cue].lower()
        if (
            example.tags[example.cue] == "ADJ"
            and cue in moods
            and example.tags[example.cue + 1 : example.cue + 2] == ("NOUN",)
        ):
            assert moods[cue] == example.topic
            said[cue] += 1
        elif example.agreement:
            end = example.words[example.agreement[1] + 1 : example.cue + 1]
            verb = example.words[example.agreement[1]]
            phrase = " ".join([SINGULAR.get(verb, verb), *end]).replace("their", "her")
            plain = {
                " ".join(w.split("/")[0] for w in p.split())
                for table in (corpus.CATS_DO, corpus.PEOPLE_DO)
                for p in table[example.topic]
            }
            assert phrase in plain, (phrase, example)
    assert set(said) == set(moods)


# --- train and test ---


@given(st.integers(0, 60), st.floats(0, 1), seeds)
def test_split_keeps_every_text_on_one_side(n, test, seed):
    examples = EXAMPLES[:n] + EXAMPLES[: n // 3]  # some come twice
    train, held = split(examples, test=test, seed=seed)
    assert not {e.text for e in train} & {e.text for e in held}
    assert Counter(train + held) == Counter(examples)
    assert len({e.text for e in held}) == round(test * n)
    assert (train, held) == split(examples, test=test, seed=seed)


def test_another_seed_is_another_split():
    assert split(EXAMPLES[:100], seed=0)[1] != split(EXAMPLES[:100], seed=1)[1]
    assert split(EXAMPLES[:100])[0] != [e for e in EXAMPLES[:100] if e in split(EXAMPLES[:100])[0]]  # shuffled


# --- words and ids ---


def test_the_vocabulary():
    assert VOCABULARY.tokens[:10] == (PAD, "[UNK]", "[MASK]", "[BOS]", "[EOS]", "The", "cat", "ate", "fish", "pie")
    assert len(VOCABULARY) == len(set(VOCABULARY.tokens)) == 394
    assert VOCABULARY.encode(VOCABULARY.tokens) == list(range(394))
    for example in ALL:
        ids = VOCABULARY.encode(example.words)
        assert min(ids) > 4 and VOCABULARY.decode(torch.tensor(ids)) == list(example.words)
    assert VOCABULARY.encode(["Fish", "CAT", "dinosaur", "[pad]", ""]) == VOCABULARY.encode(["fish", "cat"]) + [1, 1, 1]
    with pytest.raises(ValueError, match="between 0 and 393, got 394"):
        VOCABULARY.decode([5, 394])
    with pytest.raises(ValueError, match="got -1"):
        VOCABULARY.decode([-1])
    with pytest.raises(ValueError, match=r"one row, got shape \(2, 3\)"):
        VOCABULARY.decode(torch.ones(2, 3, dtype=torch.int64))


@given(st.lists(st.sampled_from(EXAMPLES), max_size=6), sides)
def test_a_batch_by_a_slow_loop(examples, side):
    found = batch(examples, side=side)
    total = max((len(e.words) for e in examples), default=0)
    assert isinstance(found, Batch) and found.ids.shape == found.tags.shape == found.difficulty.shape == (
        len(examples),
        total,
    )
    assert found.lengths.tolist() == [len(e.words) for e in examples]
    assert [TOPICS[i] for i in found.topics] == [e.topic for e in examples]
    for b, example in enumerate(examples):
        start = 0 if side == "right" else total - len(example.words)
        for i in range(total):
            inside = start <= i < start + len(example.words)
            assert found.is_word[b, i] == inside
            if inside:
                word = i - start
                assert VOCABULARY.tokens[found.ids[b, i]] == found.tokens[b][i] == example.words[word]
                assert TAGS[found.tags[b, i]] == example.tags[word]
                assert found.difficulty[b, i] == example.difficulty[word]
            else:
                assert found.ids[b, i] == 0 and found.tags[b, i] == 0 and found.difficulty[b, i] == torch.inf
    dtypes = found.ids.dtype, found.tags.dtype, found.topics.dtype, found.difficulty.dtype
    assert dtypes == (torch.int64, torch.int64, torch.int64, torch.float32)


def test_difficulty_is_what_a_curriculum_wants():
    found = batch(EXAMPLES[:50])
    easy = curriculum_weights(found.difficulty, stage=0)
    assert easy.sum() == sum(level == 0 for e in EXAMPLES[:50] for level in e.difficulty)
    assert torch.equal(curriculum_weights(found.difficulty, stage=2).bool(), found.is_word)


# --- any text ---


@given(st.lists(hostile, max_size=5), sides, st.booleans())
def test_any_text_becomes_a_batch(texts, side, ends):
    found = batch_text(texts, side=side, ends=ends)
    around = (["[BOS]"], ["[EOS]"]) if ends else ([], [])
    for row, ids, is_word, text in zip(found.tokens, found.ids, found.is_word, texts, strict=True):
        assert [token for token, word in zip(row, is_word, strict=True) if word] == around[0] + words_of(text) + around[
            1
        ]
        assert (ids[is_word] != 0).all() and (ids[~is_word] == 0).all()  # padding comes from the lengths alone
        if ends:
            assert ids[is_word][[0, -1]].tolist() == [3, 4] and not {3, 4} & set(ids[is_word][1:-1].tolist())
    assert found.ids.shape == (len(texts), max((len(words_of(t)) + 2 * ends for t in texts), default=0))


@given(hostile)
def test_words_are_words(text):
    words = words_of(text)
    assert all(word and word.split() == [word] for word in words)
    assert words_of(" ".join(words)) == words
    assert words_of(f"({text})\n") == words or "[MASK]" in text
    kept = "".join(words)
    assert all(c in kept for c in text if c.isalnum())  # no letter is lost


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The cat ate, and slept.", "The cat ate and slept"),
        ("cat—dog…fish/pie;milk", "cat dog fish pie milk"),
        ("“The cat’s fish-pie!” 'ate' --", "The cat’s fish-pie ate"),
        ("[MASK][MASK], x[MASK]", "[MASK] [MASK] x [MASK]"),
        ("[PAD] [BOS] [UNK]", "PAD BOS UNK"),
        ("\ufeffThe\u200b \u202ecat\u202c", "The cat"),  # a byte order mark, a zero-width space, a direction
        ("שלום, עולם!", "שלום עולם"),
        ("खाना 猫は魚を食べた。", "खाना 猫は魚を食べた"),
        ("👩‍👧 ❤️ e\u0301tude", "👩‍👧 ❤️ e\u0301tude"),
        ("... -- ' \x00", ""),
    ],
)
def test_words_of_hard_texts(text, words):
    assert words_of(text) == words.split()


def test_empty_texts():
    assert batch_text([]).ids.shape == (0, 0)
    nothing = batch_text(["", "...", "\n"])
    assert nothing.ids.shape == nothing.is_word.shape == (3, 0) and nothing.lengths.tolist() == [0, 0, 0]
    assert batch([]).tags.shape == (0, 0) and batch([]).topics.shape == (0,)


def test_one_text_is_not_a_list_of_texts():
    with pytest.raises(TypeError, match="texts must be a list of texts.*Write"):
        batch_text("The cat ate")
    with pytest.raises(ValueError, match="'middle'"):
        batch_text(["The cat ate"], side="middle")
