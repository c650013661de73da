"""Denominators: gradients against one padded batch, losses against F.cross_entropy, and what a model then writes."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from masklab import corpus
from masklab.corpus import VOCABULARY
from masklab.experiments import accumulation
from masklab.losses import reduce, token_losses
from masklab.text import batch_of_words, word_positions
from tests.comparisons import apart

STEPS = 3  # where only sameness is asked


def average(values):
    return sum(values) / len(values)


@pytest.fixture(scope="module")
def written():
    return accumulation.denominators(seeds=(0, 1))  # `make bench` takes three


# --- Gradients: exact, so no seeds and no verdict --------------------------------------------------------------------


def token_weights(lengths, *, per):
    """How much the loss of each token weighs in what `reduce` returns: its gradient, (B, longest)."""
    mask = word_positions(lengths, total=int(lengths.max()))
    losses = torch.zeros(mask.shape, requires_grad=True)
    return torch.autograd.grad(reduce(losses, mask, per=per), losses)[0]


def same_loss(lengths, *, classes):
    """The loss per token and per sequence of a model that knows nothing, and the cosine of their gradients."""
    mask = word_positions(lengths, total=int(lengths.max()))
    logits = torch.zeros(*mask.shape, classes, requires_grad=True)
    losses = token_losses(logits, torch.zeros_like(mask, dtype=torch.int64), mask)
    both = [reduce(losses, mask, per=per) for per in ("token", "sequence")]
    one, two = (torch.autograd.grad(loss, logits, retain_graph=True)[0].flatten() for loss in both)
    return both[0].item(), both[1].item(), F.cosine_similarity(one, two, dim=0).item()


def test_the_published_figures():
    """Lengths 6 and 2; and 10 + 2 tokens, with one loss and two gradients."""
    token, sequence, position = (
        token_weights(torch.tensor([6, 2]), per=per) for per in ("token", "sequence", "position")
    )
    assert token[0, 0].item() == token[1, 0].item() == 0.125
    assert sequence[:, 0].tolist() == pytest.approx([1 / 12, 1 / 4])
    assert [weights.sum().item() for weights in (token, sequence)] == pytest.approx([1, 1])
    assert position.sum().item() == pytest.approx(2 / 3)
    one, two, cosine = same_loss(torch.tensor([10, 2]), classes=7)
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
        assert torch.allclose(token_weights(torch.tensor(lengths), per=per), expected)


def gradient(model, loss):
    """The gradient of a loss with respect to all parameters, as one long vector."""
    return torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(model.parameters()))])


def joined(batches):
    """Several batches as one, padded to the longest sentence of all."""
    words = [row[:n] for batch in batches for row, n in zip(batch.tokens, batch.lengths.tolist(), strict=True)]
    return batch_of_words(words, to_id=VOCABULARY.id)


def compared(model, batches, name):
    """The accumulated gradient beside that of the whole batch: relative error, cosine, and length."""
    ours = gradient(model, accumulation.accumulated_loss(model, batches, per=accumulation.DENOMINATORS[name]))
    whole = gradient(model, reduce(*accumulation.language_losses(model, joined(batches))))
    error, length = (ours - whole).norm() / whole.norm(), ours.norm() / whole.norm()
    return error.item(), F.cosine_similarity(ours, whole, dim=0).item(), length.item()


@pytest.fixture(scope="module")
def model():
    """A model that is on its way: at first, all gradients point more or less the same way."""
    gpt = accumulation.tiny_gpt(0)
    accumulation.train(
        gpt,
        lambda step: accumulation.accumulated_loss(gpt, accumulation.micro_batches(step, seed=0), per="count"),
        steps=60,
        lr=accumulation.LR,
    )
    return gpt


def test_one_count_alone_gives_the_gradient_of_the_whole_batch(model):
    later = [accumulation.micro_batches(step, seed=0) for step in range(60, 70)]
    assert max(compared(model, batches, "one count")[0] for batches in later) < 1e-5  # rounding
    for other in ("mean of means", "mean over sentences", "mean over positions"):
        found = [compared(model, batches, other) for batches in later]
        assert average([error for error, _, _ in found]) > 0.2
        assert average([cosine for _, cosine, _ in found]) < 0.95  # another direction


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
        "sequence": sum(by_sentence(model, x) for x in batches) / 2,
        "position": (short / batches[0].ids.numel() + long / batches[1].ids.numel()) / 2,
    }[per]


def by_sentence(model, batch):
    """The mean of each sentence's own mean."""
    losses = F.cross_entropy(model(batch.ids).transpose(1, 2), labels_of(batch), reduction="none").sum(dim=1)
    return (losses / (labels_of(batch) != -100).sum(dim=1)).mean()


@pytest.mark.parametrize("per", ["count", "token", "sequence", "position"])
def test_losses_by_cross_entropy(per):
    model, batches = accumulation.tiny_gpt(0), accumulation.micro_batches(0, seed=0)
    ours, theirs = accumulation.accumulated_loss(model, batches, per=per), by_hand(model, batches, per)
    assert torch.allclose(ours, theirs)
    assert torch.allclose(gradient(model, ours), gradient(model, theirs), atol=1e-6)


def test_the_whole_batch_is_padded_to_its_longest():
    short, long = accumulation.micro_batches(0, seed=0)
    whole = joined([short, long])
    assert whole.ids.shape == (32, 16) and torch.equal(whole.lengths, torch.cat([short.lengths, long.lengths]))
    assert torch.equal(whole.ids[:16, :7], short.ids) and torch.equal(whole.ids[16:], long.ids)


def test_micro_batches_are_of_very_different_lengths():
    short, long = accumulation.micro_batches(3, seed=1)
    assert max(short.lengths) <= 7 and min(long.lengths) >= 15  # with [BOS] and [EOS]


# --- What a model then writes ----------------------------------------------------------------------------------------


def test_a_model_that_weighs_short_texts_more_writes_more_of_them(written):
    assert average(written.scores["one count"]) < 0.09
    for other in ("mean of means", "mean over sentences", "mean over positions"):
        assert apart(written, other) and average(written.scores[other]) > 0.15
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
    monkeypatch.setattr(accumulation, "short_and_long", lambda: half)


def test_with_one_length_all_denominators_point_the_same_way(one_length):
    model, batches = accumulation.tiny_gpt(0), accumulation.micro_batches(0, seed=0)
    for name in ("one count", "mean of means", "mean over sentences"):
        assert compared(model, batches, name)[0] < 1e-5
    error, cosine, length = compared(model, batches, "mean over positions")  # 14 of 15 positions have a label
    assert (error, cosine, length) == pytest.approx((1 / 15, 1, 14 / 15), abs=1e-5)


def test_with_one_length_training_is_the_same(one_length):
    curves = accumulation.denominators(seeds=[0], steps=STEPS).curves
    assert curves["one count"][0] == pytest.approx(curves["mean of means"][0], rel=1e-5)
