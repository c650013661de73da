"""What padding does where nobody masks it: each claim from three seeds, and controls in which nothing may differ."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from masklab import corpus
from masklab.corpus import VOCABULARY
from masklab.experiments import padding
from masklab.models import Classifier
from masklab.text import batch_of_words

EXPERIMENTS = (
    padding.read_state,
    padding.tag_loss_mask,
    padding.accumulated_gradients,
    padding.denominators,
)
STEPS = 6  # where only sameness is asked


@pytest.fixture(scope="module")
def read_state():
    return padding.read_state()


@pytest.fixture(scope="module")
def tagged():
    return {over: padding.tag_loss_mask(over=over) for over in ("words", "positions")}


@pytest.fixture(scope="module")
def gradients():
    return padding.accumulated_gradients()


@pytest.fixture(scope="module")
def written():
    return padding.denominators()


def average(values):
    return sum(values) / len(values)


# --- Which state is read ---------------------------------------------------------------------------------------------


def test_reading_pads_is_worse(read_state):
    ours = min(read_state.scores["packed"])
    assert ours > read_state.level + 0.4
    for other in ("last step", "last step, pads are new"):
        assert read_state.wins(other) and ours - max(read_state.scores[other]) > 0.04


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
    near = average([carried(padded_to=14, seed=seed, steps=150) for seed in (0, 1, 2)])
    assert packed - near < (packed - far) / 3
    assert carried(padded_to=padding.PADDED_TO, seed=0, steps=450) > max(read_state.scores["packed"])


@pytest.mark.parametrize("more", [0, 3])
def test_behind_is_the_last_step_of_each_sentence_alone(more):
    sentences = padding.padded(corpus.sentences(n=12), total=14)
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
    return lambda total: (padding.padded(known, total=words), padding.padded(new, total=words))


def test_without_padding_every_way_to_read_is_the_same(monkeypatch):
    monkeypatch.setattr(padding, "labelled", of_one_length())
    monkeypatch.setattr(padding, "MORE", (0, 0))
    scores = list(padding.read_state(seeds=(0, 1), steps=40).scores.values())
    assert scores[0][0] != scores[0][1]  # it did learn something, from each seed
    assert all(score == pytest.approx(scores[0], abs=0.01) for score in scores)


# --- The loss mask of a tagger ---------------------------------------------------------------------------------------


def test_without_the_mask_words_are_learned_later(tagged):
    words = tagged["words"]
    assert words.wins("without mask")
    assert min(words.scores["with mask"]) - max(words.scores["without mask"]) > 0.05
    assert min(words.scores["without mask"]) > words.level  # it learns, only later


def test_the_misleading_number_says_the_opposite(tagged):
    positions = tagged["positions"]
    assert positions.loses("without mask") and 0.6 < positions.level < 0.8
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
    sentences = padding.padded(examples, total=15)
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
    sentences = padding.padded(corpus.RUNNING, total=10)  # DET NOUN VERB, one NOUN more, two NOUNs more; 18 pads
    assert padding.most_common_tag_share(sentences, over="words") == pytest.approx(6 / 12)
    assert padding.most_common_tag_share(sentences, over="positions") == pytest.approx(18 / 30)


# --- Denominators ----------------------------------------------------------------------------------------------------


def test_the_published_figures():
    """Lengths 6 and 2; and 10 + 2 tokens, with one loss and two gradients."""
    token, sequence, position = (
        padding.token_weights(torch.tensor([6, 2]), per=per) for per in ("token", "sequence", "position")
    )
    assert token[0, 0].item() == token[1, 0].item() == 0.125
    assert sequence[:, 0].tolist() == pytest.approx([1 / 12, 1 / 4])
    assert [weights.sum().item() for weights in (token, sequence)] == pytest.approx([1, 1])
    assert position.sum().item() == pytest.approx(2 / 3)
    one, two, cosine = padding.same_loss(torch.tensor([10, 2]), classes=7)
    assert one == pytest.approx(1.9459, abs=5e-5) and two == pytest.approx(one, abs=1e-6)
    # Every row of the gradient has the same length: weights 1/12 against ten times 1/20 and twice 1/4.
    assert cosine == pytest.approx(1 / (12 * (10 / 20**2 + 2 / 4**2)) ** 0.5, abs=1e-6)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_token_weights_by_a_slow_loop(lengths):
    longest, count = max(lengths), len(lengths)
    weight = {
        "token": lambda n: 1 / sum(lengths),
        "sequence": lambda n: 1 / n / count,
        "position": lambda n: 1 / (count * longest),
    }
    for per, of in weight.items():
        expected = torch.tensor([[of(n) if i < n else 0.0 for i in range(longest)] for n in lengths])
        assert torch.allclose(padding.token_weights(torch.tensor(lengths), per=per), expected)


def test_one_count_alone_gives_the_gradient_of_the_whole_batch(gradients):
    assert max(gradients.scores["one count"]) < 1e-5  # rounding
    for other in ("mean of means", "mean over positions"):
        assert gradients.wins(other) and min(gradients.scores[other]) > 0.2
        assert float(gradients.samples[other].split()[1].rstrip(",")) < 0.95  # the cosine: another direction


def labels_of(batch):
    """Labels as F.cross_entropy wants them: the next id, and −100 where there is none."""
    labels = torch.full_like(batch.ids, -100)
    for b, length in enumerate(batch.lengths.tolist()):
        labels[b, : length - 1] = batch.ids[b, 1:length]
    return labels


def by_hand(model, batches, per):
    """The accumulated loss, written out."""
    (short, long), (few, many) = (
        [F.cross_entropy(model(x.ids).transpose(1, 2), labels_of(x), reduction="sum") for x in batches],
        [(labels_of(x) != -100).sum() for x in batches],
    )
    return {
        "count": (short + long) / (few + many),
        "token": (short / few + long / many) / 2,
        "position": (short / batches[0].ids.numel() + long / batches[1].ids.numel()) / 2,
    }[per]


@pytest.mark.parametrize("per", ["count", "token", "position"])
def test_losses_by_cross_entropy(per):
    model, batches = padding.tiny_gpt(0), padding.micro_batches(0, seed=0)
    ours, theirs = padding.accumulated_loss(model, batches, per=per), by_hand(model, batches, per)
    assert torch.allclose(ours, theirs)
    assert torch.allclose(padding.gradient(model, ours), padding.gradient(model, theirs), atol=1e-6)


def test_the_whole_batch_is_padded_to_its_longest():
    short, long = padding.micro_batches(0, seed=0)
    whole = padding.joined([short, long])
    assert whole.ids.shape == (32, 16) and torch.equal(whole.lengths, torch.cat([short.lengths, long.lengths]))
    assert torch.equal(whole.ids[:16, :7], short.ids) and torch.equal(whole.ids[16:], long.ids)


def test_micro_batches_are_of_very_different_lengths():
    short, long = padding.micro_batches(3, seed=1)
    assert max(short.lengths) <= 7 and min(long.lengths) >= 15  # with [BOS] and [EOS]


def test_a_model_that_weighs_short_texts_more_writes_more_of_them(written):
    assert max(written.scores["one count"]) < 0.09
    for other in ("mean of means", "mean over positions"):
        assert written.wins(other) and average(written.scores[other]) > 0.12
        assert int(written.samples[other].split("%")[0]) > 58  # too many, not too few


def test_the_misleading_loss_looks_best(written):
    """Over positions the same knowledge is a lower number: here already at the first step."""
    for honest, naive in zip(written.curves["one count"], written.curves["mean over positions"], strict=True):
        assert naive[0] < honest[0] and naive[-1] < honest[-1]


@pytest.fixture
def one_length(monkeypatch):
    """Both micro-batches have sentences of 13 words: nothing is short, nothing is padded."""
    rows = [["[BOS]", *e.words, "[EOS]"] for e in corpus.sentences(n=2000) if len(e.words) == 13]
    half = [batch_of_words(part, to_id=VOCABULARY.id) for part in (rows[::2], rows[1::2])]
    monkeypatch.setattr(padding, "short_and_long", lambda: half)


def test_with_one_length_all_denominators_point_the_same_way(one_length):
    found = padding.accumulated_gradients(seeds=[0], steps=STEPS)
    assert max(found.scores["one count"] + found.scores["mean of means"]) < 1e-5
    assert found.samples["mean over positions"] == "cosine 1.000, length 0.933"  # 14 of 15 positions have a label
    assert found.scores["mean over positions"] == [pytest.approx(1 / 15, abs=1e-5)]


def test_with_one_length_training_is_the_same(one_length):
    curves = padding.denominators(seeds=[0], steps=STEPS).curves
    assert curves["one count"][0] == pytest.approx(curves["mean of means"][0], rel=1e-5)


# --- All of them -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_same_seeds_give_the_same_numbers_and_nothing_else_is_touched(experiment):
    torch.manual_seed(1)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    one = experiment(seeds=(0, 1), steps=STEPS)
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads
    torch.manual_seed(2)
    two = experiment(seeds=(0, 1), steps=STEPS)
    assert (one.scores, one.curves, one.samples) == (two.scores, two.curves, two.samples)
    assert any(values[0] != values[1] for values in one.scores.values())  # a seed is a seed


@pytest.mark.parametrize("experiment", [padding.read_state, padding.tag_loss_mask, padding.denominators])
def test_all_variants_of_a_seed_begin_alike_and_see_the_same(experiment, monkeypatch):
    begins, seen = [], []
    train, draws = padding.train, padding.draws

    def spy_train(model, loss_of, *, steps, rate):
        begins.append(torch.cat([weights.detach().flatten() for weights in model.parameters()]))
        seen.append([])
        assert (steps, rate) == (3, padding.RATE)
        return train(model, loss_of, steps=steps, rate=rate)

    def spy_draws(*args, **options):
        batch_of = draws(*args, **options)
        return lambda step: seen[-1].append(batch_of(step)) or seen[-1][-1]

    monkeypatch.setattr(padding, "train", spy_train)
    monkeypatch.setattr(padding, "draws", spy_draws)
    experiment(seeds=[7], steps=3)
    assert len(begins) > 1 and all(torch.equal(begins[0], other) for other in begins)
    assert len(seen[0]) >= 3 and all(seen[0] == other for other in seen)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="'words' or 'positions', and is 'all'"):
        padding.tag_loss_mask(over="all")
    with pytest.raises(ValueError, match="between 0 and total=4"):
        padding.padded(corpus.RUNNING, total=4)
    with pytest.raises(ValueError, match="between 0 and total=13"):
        padding.read_state(padded_to=13)
