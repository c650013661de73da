"""What padding does where nobody masks it: each claim from several seeds, and controls in which nothing may differ."""

import pytest
import torch

from masklab import corpus
from masklab.corpus import VOCABULARY
from masklab.experiments import padding
from masklab.models import Classifier
from tests.comparisons import apart

SEEDS = (0, 1)  # `make bench` takes three
STEPS = 3  # where only sameness is asked


@pytest.fixture(scope="module")
def read_state():
    return padding.read_state(seeds=SEEDS)


@pytest.fixture(scope="module")
def tagged():
    return {over: padding.tag_loss_mask(seeds=SEEDS, over=over) for over in ("words", "positions")}


def average(values):
    return sum(values) / len(values)


# --- Which state is read ---------------------------------------------------------------------------------------------


def test_reading_pads_is_worse(read_state):
    ours = min(read_state.scores["packed"])
    assert ours > read_state.level + 0.4
    for other in ("last step", "last step, pads are new"):
        assert average(read_state.scores["packed"]) - average(read_state.scores[other]) > 0.1


def test_packed_and_last_word_are_the_same_computation(read_state):
    for name in ("packed", "last word"):
        assert all(len(set(curve)) == 1 for curve in read_state.curves[name])  # whatever the pads
        assert read_state.samples[name] == "20 more pads change 0.0% of the predictions."
    assert read_state.scores["packed"] == pytest.approx(read_state.scores["last word"], abs=0.01)


def test_pads_that_are_new_are_worse_the_more_there_are(read_state):
    curves = read_state.curves["last step, pads are new"]
    assert [curve[0] for curve in curves] == [curve[0] for curve in read_state.curves["packed"]]  # the same weights
    assert all(none > few > many for none, few, many in curves)


def carried(*, padded_to, seed, steps):
    """The accuracy of a GRU that read the last step in training, with 20 more pads."""
    known, new = padding.labelled(padded_to)
    model = padding.trained_classifier(known, read="last_step", seed=seed, steps=steps)
    found = padding.predicted_topics(model, new, read="last_step", more=20)
    return (found == new.topics).float().mean().item()


def test_a_gru_that_met_the_pads_learns_to_carry(read_state):
    """Packed, the number of pads changes nothing: its scores are the same for every ``padded_to``."""
    packed, far = (average(read_state.scores[name]) for name in ("packed", "last step"))
    near = average([carried(padded_to=14, seed=seed, steps=150) for seed in SEEDS])
    assert packed - near < (packed - far) / 3
    assert carried(padded_to=padding.PADDED_TO, seed=0, steps=450) > max(read_state.scores["packed"])


@pytest.mark.parametrize("more", [0, 3])
def test_behind_is_the_last_step_of_each_sentence_alone(more):
    sentences = corpus.padded(corpus.sentences(n=12), total=14)
    model = Classifier(len(VOCABULARY), 40, read="packed", seed=1)  # many classes, so that few agree by chance
    found = padding.predicted_topics(model, sentences, read="behind", more=more)
    alone = Classifier(len(VOCABULARY), 40, read="last_step", seed=1)
    for example, topic in zip(corpus.sentences(n=12), found, strict=True):
        ids = torch.tensor([VOCABULARY.encode(example.words) + [0] * more])
        assert alone(ids, torch.tensor([len(example.words)])).argmax() == topic
    assert model.read == "packed"  # it was only looked at


def of_one_length(words=5):
    """Sentences for training and for a test in which nothing is padded."""
    known, new = corpus.split([example for example in corpus.sentences(n=1000) if len(example.words) == words])
    return lambda total: (corpus.padded(known, total=words), corpus.padded(new, total=words))


def test_without_padding_every_way_to_read_is_the_same(monkeypatch):
    monkeypatch.setattr(padding, "labelled", of_one_length())
    monkeypatch.setattr(padding, "MORE", (0, 0))
    scores = list(padding.read_state(seeds=(0, 1, 2), steps=40).scores.values())
    assert len(set(scores[0])) > 1  # it did learn something, from each seed
    assert all(score == pytest.approx(scores[0], abs=0.01) for score in scores)


# --- The loss mask of a tagger ---------------------------------------------------------------------------------------


def test_without_the_mask_words_are_learned_later(tagged):
    words = tagged["words"]
    assert apart(words, "without mask")
    assert min(words.scores["with mask"]) - max(words.scores["without mask"]) > 0.05
    assert min(words.scores["without mask"]) > words.level  # it learns, only later


def test_the_misleading_number_says_the_opposite(tagged):
    positions = tagged["positions"]
    assert apart(positions, "with mask", right="without mask") and 0.6 < positions.level < 0.8
    assert min(positions.scores["without mask"]) > max(tagged["words"].scores["without mask"]) + 0.05
    assert all(curve[1] > positions.level for curve in positions.curves["without mask"])  # after ten steps
    assert all(curve[1] < 0.6 for curve in tagged["words"].curves["without mask"])


def test_without_the_mask_words_are_learned_in_the_end():
    scores = padding.tag_loss_mask(seeds=[0], steps=150).scores
    assert scores["with mask"][0] - scores["without mask"][0] < 0.02


def test_without_padding_the_mask_changes_nothing(monkeypatch):
    monkeypatch.setattr(padding, "labelled", of_one_length())
    found = padding.tag_loss_mask(seeds=(0, 1), steps=STEPS)
    assert found.scores["with mask"] == found.scores["without mask"]


def test_accuracy_by_a_slow_loop():
    examples = corpus.sentences(n=8)
    sentences = corpus.padded(examples, total=15)
    logits = torch.randn(8, 15, 12, generator=torch.Generator().manual_seed(0))
    logits[:, 10:, 0] += 9  # so that some pads are right, too
    right, right_words = 0, 0
    for b, example in enumerate(examples):
        for i in range(15):
            tag = 1 + corpus.TAGS.index(example.tags[i]) if i < len(example.words) else 0
            right += int(logits[b, i].argmax() == tag)
            right_words += int(logits[b, i].argmax() == tag and i < len(example.words))
    words = sum(len(example.words) for example in examples)
    assert 0 < right_words < right
    assert padding.accuracy(logits, sentences, over="words") == pytest.approx(right_words / words)
    assert padding.accuracy(logits, sentences, over="positions") == pytest.approx(right / (8 * 15))


def test_the_most_common_tag():
    sentences = corpus.padded(corpus.RUNNING, total=10)  # DET NOUN VERB, one NOUN more, two NOUNs more; 18 pads
    assert padding.most_common_tag_share(sentences, over="words") == pytest.approx(6 / 12)
    assert padding.most_common_tag_share(sentences, over="positions") == pytest.approx(18 / 30)


# --- All of them -----------------------------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="'words' or 'positions', got 'all'"):
        padding.tag_loss_mask(over="all")
    with pytest.raises(ValueError, match="at least 14, the longest sentence, got 13"):
        padding.read_state(padded_to=13)
