"""How many words to choose and what to put there: each claim from two seeds, and controls without a treatment."""

from collections import Counter
from statistics import mean

import pytest
import torch
import torch.nn.functional as F

from masklab.corpus import MASK, TAGS, TOPICS, VOCABULARY, batch
from masklab.corruption import BERT_SHARES, bert
from masklab.experiments import masked_lm
from masklab.experiments.masked_lm import MEASURES, encoder, replacement, restoring_loss, share, texts
from tests.comparisons import apart

SEEDS = (0, 1)  # `make bench` takes three
ALWAYS_MASK = (1.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def shares():
    return share(seeds=SEEDS)


@pytest.fixture(scope="module")
def replaced():
    """Trained once, judged four times."""
    return {measure: replacement(seeds=SEEDS, measure=measure) for measure in MEASURES}


@pytest.fixture
def untrained_cache(monkeypatch):
    """Every call trains anew: nothing is remembered from another test."""
    monkeypatch.setattr(masked_lm, "pretrained", masked_lm.pretrained.__wrapped__)


def gain(result, other):
    """How far the right variant is above the other in the mean; every seed of it must be above every other one."""
    assert apart(result, other)
    return mean(result.scores[result.right]) - mean(result.scores[other])


# --- How many words to choose ----------------------------------------------------------------------------------------


def test_at_equal_steps_forty_percent_is_best(shares):
    assert gain(shares, "15 %") > 0.03 and gain(shares, "80 %") > 0.03
    assert shares.verdict().count("is better than") == 2
    assert min(min(scores) for scores in shares.scores.values()) > shares.level + 0.05


def test_at_equally_many_words_fewer_at_a_time_are_better():
    result = share(seeds=(0,), equal="words")
    assert max(result.scores["40 %"]) < min(result.scores["15 %"]) - 0.03
    assert gain(result, "80 %") > 0.05
    assert "40 % is WORSE than 15 %" in result.verdict()
    assert [len(result.curves[name][0]) for name in result.scores] == [32, 12, 6]  # 320, 120 and 60 steps


def test_equal_words_means_about_equally_many(untrained_cache, monkeypatch):
    counts = Counter()

    def counting(*args, probability, **options):
        new = bert(*args, probability=probability, **options)
        counts[probability] += int(new.chosen.sum())
        return new

    monkeypatch.setattr(masked_lm, "bert", counting)
    share(seeds=(0,), steps=12, equal="words")
    assert len(counts) == 3 and max(counts.values()) < 1.05 * min(counts.values())


def test_the_level_is_the_share_of_the_most_common_word(shares):
    _, unseen = texts()
    words = Counter(token for row in unseen.tokens for token in row if token != "[PAD]")
    assert shares.level == pytest.approx(words.most_common(1)[0][1] / words.total())


# --- What to put there -----------------------------------------------------------------------------------------------


def test_features_of_plain_text_tell_more_of_its_tags_after_80_10_10(replaced):
    """A little more: with other numbers of steps the seeds overlap."""
    result = replaced["tags"]
    assert mean(result.scores["80/10/10"]) - mean(result.scores["100/0/0"]) > 0.005
    assert min(result.scores["80/10/10"]) > result.level + 0.02


def test_only_80_10_10_knows_the_words_that_it_can_read(replaced):
    assert gain(replaced["plain words"], "100/0/0") > 0.05


def test_a_hidden_word_is_guessed_as_well_either_way(replaced):
    result = replaced["hidden words"]
    assert abs(mean(result.scores["80/10/10"]) - mean(result.scores["100/0/0"])) < 0.04


def test_no_topic_is_learned_in_so_few_steps(replaced):
    assert all(mean(scores) < replaced["topics"].level + 0.02 for scores in replaced["topics"].scores.values())


# --- What is held equal ----------------------------------------------------------------------------------------------


def spied(monkeypatch, run):
    """What `bert` was given and gave, call by call: (ids, words, choice)."""
    calls = []

    def spy(ids, word, **options):
        new = bert(ids, word, **options)
        calls.append((ids, word, new.chosen))
        return new

    monkeypatch.setattr(masked_lm, "bert", spy)
    run()
    return calls


def test_variants_read_the_same_sentences_and_choose_more_of_the_same_words(untrained_cache, monkeypatch):
    calls = spied(monkeypatch, lambda: share(seeds=(1,), steps=3))
    few, some, many = calls[:3], calls[3:6], calls[6:]
    for (ids, word, fifteen), (ids_2, _, forty), (ids_3, _, eighty) in zip(few, some, many, strict=True):
        assert torch.equal(ids, ids_2) and torch.equal(ids, ids_3)
        assert (fifteen <= forty).all() and (forty <= eighty).all() and (eighty <= word).all()
        assert fifteen.sum() < forty.sum() < eighty.sum()
    assert not torch.equal(calls[0][0], calls[1][0])  # another step has other sentences


def test_both_ways_to_replace_choose_the_same_words(untrained_cache, monkeypatch):
    calls = spied(monkeypatch, lambda: replacement(seeds=(1,), steps=3))
    for one, other in zip(calls[:3], calls[3:], strict=True):
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(one, other, strict=True))


def test_without_a_treatment_there_is_no_difference(untrained_cache, monkeypatch):
    monkeypatch.setattr(masked_lm, "PARTS", dict.fromkeys(masked_lm.PARTS, 0.4))
    monkeypatch.setattr(masked_lm, "BERT_SHARES", ALWAYS_MASK)
    options = {"seeds": (0,), "steps": 4}
    for result in (share(**options), share(**options, equal="words"), replacement(**options, measure="hidden words")):
        for found in (result.scores, result.curves):
            first, *others = found.values()
            assert others and all(other == first for other in others)


def test_all_start_from_the_same_weights(untrained_cache):
    assert len({tuple(scores) for scores in share(seeds=(0, 1), steps=0).scores.values()}) == 1
    one, same, other = encoder(0), encoder(0), encoder(1)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.embed.token.weight, other.embed.token.weight)


def test_held_out_sentences_are_new():
    seen, unseen = texts()
    assert not set(seen.tokens) & set(unseen.tokens)


# --- The loss and the measures, each against a slow loop -------------------------------------------------------------


def alone(model, row):
    """The logits of one sentence that has no padding: (words, vocabulary)."""
    return model(torch.tensor([row]), None)[0]


def sentences_of(text):
    return [ids[mask].tolist() for ids, mask in zip(text.ids, text.is_word, strict=True)]


@pytest.mark.parametrize("shares_of", [BERT_SHARES, ALWAYS_MASK])
def test_the_loss_is_the_mean_over_what_was_chosen(shares_of):
    ids, word, model = texts()[0].ids[:20], texts()[0].is_word[:20], encoder(3)
    new = bert(
        ids,
        word,
        mask_id=VOCABULARY.id(MASK),
        random_ids=range(5, len(VOCABULARY)),
        probability=0.4,
        shares=shares_of,
        generator=torch.Generator().manual_seed(7),
    )
    losses = []
    for row, read, mask, chosen in zip(ids, new.ids, word, new.chosen, strict=True):
        surprise = -alone(model, read[mask].tolist()).log_softmax(dim=-1)
        losses += [surprise[place, row[place]].item() for place in chosen.nonzero().flatten().tolist()]
    ours = restoring_loss(model, ids, word, probability=0.4, shares=shares_of, seed=7)
    assert len(losses) == new.chosen.sum() and ours.item() == pytest.approx(mean(losses), abs=1e-5)


@pytest.fixture(scope="module")
def briefly_trained():
    return masked_lm.pretrained(0, probability=0.4, shares=BERT_SHARES, steps=40)[0]


@pytest.fixture
def few_sentences(monkeypatch):
    seen, unseen = texts()
    some = [masked_lm.sentences(n=40)[i] for i in range(0, 40, 2)]
    few = batch([example for example in some if len(example.words) <= masked_lm.MAX_LEN])
    monkeypatch.setattr(masked_lm, "texts", lambda: (seen, few))
    return few


def test_hidden_words_hides_each_word_of_each_sentence_alone(briefly_trained, few_sentences):
    right = []
    for row in sentences_of(few_sentences):
        for place, truth in enumerate(row):
            hidden = [*row[:place], VOCABULARY.id(MASK), *row[place + 1 :]]
            right.append(alone(briefly_trained, hidden)[place].argmax().item() == truth)
    assert 0 < mean(right) < 1
    assert MEASURES["hidden words"](briefly_trained) == pytest.approx(mean(right))


def test_plain_words_hides_none(briefly_trained, few_sentences):
    right = [
        guess == truth
        for row in sentences_of(few_sentences)
        for guess, truth in zip(alone(briefly_trained, row).argmax(dim=-1).tolist(), row, strict=True)
    ]
    assert 0 < mean(right) < 1
    assert MEASURES["plain words"](briefly_trained) == pytest.approx(mean(right))


class Knows:
    """Its features are the labels of a text; at pads, they are loud and wrong."""

    def __init__(self, labels_of, classes):
        self.labels_of, self.classes = labels_of, classes

    def features(self, ids, mask):
        text = next(text for text in masked_lm.texts() if torch.equal(text.ids, ids))  # plain text, no [MASK]
        assert torch.equal(mask, text.is_word[:, None, None, :])
        known = F.one_hot(self.labels_of(text).expand(ids.shape), self.classes).float()
        return known.where(text.is_word[..., None], -100 * known)


def no_label(text):
    return torch.zeros_like(text.ids)


def most_common_share(seen, unseen):
    """The accuracy on ``unseen`` of the label that is most common in what a probe sees."""
    return (unseen == seen[: masked_lm.PROBED].mode().values).float().mean().item()


@pytest.mark.parametrize(("measure", "labels_of", "classes", "probed"), [
    ("tags", lambda text: text.tags, len(TAGS), lambda text: text.tags[text.is_word]),
    ("topics", lambda text: text.topics[:, None], len(TOPICS), lambda text: text.topics),
])  # fmt: skip
def test_a_probe_finds_what_features_know_and_nothing_else(measure, labels_of, classes, probed):
    assert MEASURES[measure](Knows(labels_of, classes)) == 1.0
    chance = most_common_share(*map(probed, texts()))
    assert MEASURES[measure](Knows(no_label, classes)) == pytest.approx(chance)


def test_an_unknown_choice_is_refused_by_name():
    for experiment in (share, replacement):
        with pytest.raises(ValueError, match="measure must be 'hidden words'.* got 'luck'"):
            experiment(measure="luck", steps=1)
    with pytest.raises(ValueError, match="equal must be 'steps' or 'words', got 'time'"):
        share(equal="time")
