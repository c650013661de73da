"""Lesson 01's own definitions, read from its source, are the library's; and what it says of other libraries is so."""

import math
import operator
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from masklab.corpus import VOCABULARY
from masklab.losses import label_weights, reduce
from masklab.text import batch_of_words, word_positions
from tests.lessons import cells

NAMES = {"token": "token", "sentence": "sequence", "position": "position"}  # the lesson's, and the library's


@pytest.fixture(scope="module")
def lesson():
    """What the cells of part 3 define, and those of part 4 that train nothing."""
    return cells(
        "loss_masking", "ids = torch", "mask = torch.arange", "counted = ", "class Reader", "def by_token",
        "def masked_late", "def by_sentence", "def accumulated", "def step_loss", "def short_for_each_long",
    )  # fmt: skip


def divided(lesson, per, losses, mask, count):
    """One number, by the lesson's function."""
    if per == "count":
        return lesson["by_count"](losses, mask, count)
    return lesson["DENOMINATORS"][per](losses, mask)


def library(per, losses, mask, count):
    """One number, by the library's."""
    return reduce(losses, mask, per=NAMES.get(per, per), count=count if per == "count" else None)


def test_the_lessons_settings_stay_in_the_lesson():
    """It writes three digits and computes with one thread; other tests must not."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        cells("loss_masking", "ids = torch")
        assert torch.get_num_threads() == 2 and repr(torch.tensor(0.12345)) == "tensor(0.1235)"
    finally:
        torch.set_num_threads(before)


# --- The mask and the denominators -----------------------------------------------------------------------------------


def test_the_mask_is_the_librarys_and_the_mean_the_sources(lesson):
    assert torch.equal(lesson["mask"], word_positions(lesson["lengths"], total=5))
    assert round(lesson["by_token"](lesson["losses"], lesson["mask"]).item(), 3) == 0.650
    assert torch.equal(lesson["ids"] != 0, lesson["mask"])  # here, as the lesson says


@pytest.mark.parametrize("per", ["token", "sentence", "position", "count"])
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_each_denominator_is_the_librarys(lesson, per, lengths, seed):
    mask = word_positions(torch.tensor(lengths), total=7)
    losses = torch.rand(mask.shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()
    ours, theirs = (f(losses, mask, 5) for f in (lambda *x: divided(lesson, per, *x), lambda *x: library(per, *x)))
    torch.testing.assert_close(ours, theirs)
    slopes = [torch.autograd.grad(one, losses)[0] for one in (ours, theirs)]
    torch.testing.assert_close(*slopes)
    assert (slopes[0][~mask] == 0).all()


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("per", ["token", "sentence", "position", "count"])
def test_a_masked_loss_that_is_no_number_is_harmless(lesson, per, odd):
    """The lesson's functions fill with zeros, so this holds for all of them."""
    losses = lesson["losses"].clone()
    losses[0, 3:] = odd
    assert divided(lesson, per, losses, lesson["mask"], 12) == divided(
        lesson, per, lesson["losses"], lesson["mask"], 12
    )
    slope = lesson["gradient"](losses, lesson["mask"], lesson["DENOMINATORS"][per])
    assert slope.isfinite().all() and (slope[0, 3:] == 0).all()


def test_a_mask_of_floats_is_the_librarys_weights_and_no_choice():
    names = cells("loss_masking", "ids = torch", "mask = torch.arange(5)", "weights_of_words = ")
    losses, weights = names["losses"], names["weights_of_words"]
    torch.testing.assert_close(names["loss"], reduce(losses, weights))
    assert weights.sum() == 11.5 and names["loss"] != reduce(losses, names["mask"])
    with pytest.raises(TypeError):
        operator.invert(weights)  # ~
    with pytest.raises(RuntimeError, match="boolean"):
        losses.masked_fill(weights, 0.0)


@pytest.mark.parametrize("keep", [lambda losses, mask: losses.masked_fill(~mask, 0), lambda losses, mask:
                                  torch.where(mask, losses, 0.0), lambda losses, mask: losses * mask])  # fmt: skip
def test_no_mask_after_the_log_saves_the_gradient(keep):
    p = torch.tensor([0.5, 0.25, 0.0], requires_grad=True)
    keep(-p.log(), torch.tensor([True, True, False])).sum().backward()
    assert p.grad[2].isnan()


def test_cross_entropy_under_a_mask_is_safe_while_the_logits_are_finite(lesson):
    mask, labels = torch.tensor([[True, False]]), torch.zeros(1, 2, dtype=torch.int64)
    for odd, safe in ((1e30, True), (math.nan, False), (math.inf, False)):
        logits = torch.tensor([[[0.0, 1.0], [0.0, odd]]], requires_grad=True)
        lesson["by_token"](F.cross_entropy(logits.transpose(1, 2), labels, reduction="none"), mask).backward()
        assert bool(logits.grad.isfinite().all()) is safe


# --- Micro-batches ---------------------------------------------------------------------------------------------------


def gradient(model, loss):
    """The gradient with respect to all parameters, as one long vector."""
    return torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(model.parameters()))])


def joined(batches):
    """Several batches as one, padded to the longest sentence of all."""
    words = [row[:n] for batch in batches for row, n in zip(batch.tokens, batch.lengths.tolist(), strict=True)]
    return batch_of_words(words, to_id=VOCABULARY.id)


@pytest.fixture(scope="module")
def model(lesson):
    """A model that is on its way: at first, all gradients point more or less the same way."""
    gpt, divide = lesson["tiny_gpt"](0), lesson["by_count"]
    lesson["train"](
        gpt, lambda step: lesson["step_loss"](gpt, lesson["short_then_long"](step, 0), divide), steps=60, lr=0.01
    )
    return gpt


def test_one_count_alone_gives_the_gradient_of_the_whole_batch(lesson, model):
    cosines = {name: [] for name in lesson["DENOMINATORS"]}
    for step in range(60, 66):
        batches = lesson["short_then_long"](step, 0)
        whole = gradient(model, lesson["by_token"](*lesson["next_word_losses"](model, joined(batches))))
        for name, divide in lesson["DENOMINATORS"].items():
            ours = gradient(model, lesson["step_loss"](model, batches, divide))
            cosines[name].append(F.cosine_similarity(ours, whole, dim=0).item())
            if name == "count":
                assert (ours - whole).norm() / whole.norm() < 1e-5  # rounding
    assert min(cosines.pop("count")) > 1 - 1e-5
    assert all(sum(found) / len(found) < 0.95 for found in cosines.values())  # another direction


def labels_of(batch):
    """Labels as F.cross_entropy wants them: the next id, and −100 where there is none."""
    labels = torch.full_like(batch.ids, -100)
    for b, length in enumerate(batch.lengths.tolist()):
        labels[b, : length - 1] = batch.ids[b, 1:length]
    return labels


@pytest.mark.parametrize("per", ["count", "token", "sentence", "position"])
def test_the_loss_of_a_step_written_out_by_cross_entropy(lesson, per):
    model, batches = lesson["tiny_gpt"](0), lesson["short_then_long"](0, 0)
    sums, means, sizes = [], [], []
    for batch in batches:
        losses = F.cross_entropy(model(batch.ids).transpose(1, 2), labels_of(batch), reduction="none")
        counts = (labels_of(batch) != -100).sum(dim=1)
        sums, sizes = [*sums, losses.sum()], [*sizes, counts.sum()]
        means += [(losses.sum(dim=1) / counts).mean()]
    by_hand = {
        "count": sum(sums) / sum(sizes),
        "token": sum(one / size for one, size in zip(sums, sizes, strict=True)) / 2,
        "sentence": sum(means) / 2,
        "position": sum(one / batch.ids.numel() for one, batch in zip(sums, batches, strict=True)) / 2,
    }
    ours = lesson["step_loss"](model, batches, lesson["DENOMINATORS"][per])
    torch.testing.assert_close(ours, by_hand[per])
    torch.testing.assert_close(gradient(model, ours), gradient(model, by_hand[per]), atol=1e-6, rtol=1e-4)


def test_a_step_sees_16_short_and_16_long_sentences_the_same_for_every_denominator(lesson):
    for step, seed in ((0, 0), (3, 1)):
        few, many = lesson["short_then_long"](step, seed)
        assert len(few.ids) == len(many.ids) == 16
        assert few.lengths.max() <= 5 + 2 and many.lengths.min() >= 13 + 2  # with [BOS] and [EOS]
        again, _ = lesson["short_then_long"](step, seed)
        assert torch.equal(few.ids, again.ids)
    one, other = (lesson["short_then_long"](step, 0)[0] for step in (0, 1))
    assert one.tokens != other.tokens


def test_the_share_that_the_weights_predict_by_counting(lesson):
    few, many = (batch.is_word.sum(dim=1) - 1 for batch in lesson["short_then_long"](0, 0))  # words with a next one
    expected = {
        "token": many.sum() / few.sum(),
        "sentence": (1 / few).sum() / (1 / many).sum(),
        "position": torch.tensor(16 / 7),
        "count": torch.tensor(1.0),
    }
    for name, divide in lesson["DENOMINATORS"].items():
        assert lesson["short_for_each_long"](divide) == pytest.approx(expected[name].item(), rel=1e-5)


def test_a_mean_by_sentence_is_saved_by_the_share_of_the_sentences(lesson):
    losses, mask = lesson["losses"], lesson["mask"]
    parts = [(losses[:1], mask[:1]), (losses[1:], mask[1:])]
    weighed = sum(lesson["by_sentence"](*part) * len(part[0]) / 3 for part in parts)
    torch.testing.assert_close(weighed, lesson["by_sentence"](losses, mask))


# --- Libraries -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def case(lesson):
    """Logits, labels, labels with −100, and the mask."""
    with torch.no_grad():
        logits = lesson["models"]["from left to right"](lesson["ids"])
    return logits, lesson["labels"], lesson["labels"].masked_fill(~lesson["mask"], -100), lesson["mask"]


def test_cross_entropy_divides_by_the_labels_that_count(lesson, case):
    logits, labels, ignored, mask = case
    losses = F.cross_entropy(logits.transpose(1, 2), ignored, reduction="none")
    assert (losses[~mask] == 0).all()
    for how, ours in (("mean", losses.sum() / 12), ("sum", losses.sum())):
        torch.testing.assert_close(F.cross_entropy(logits.transpose(1, 2), ignored, reduction=how), ours)
    plain = F.cross_entropy(logits.transpose(1, 2), labels, reduction="none")
    torch.testing.assert_close(lesson["by_token"](plain, mask), losses.sum() / 12)


def test_class_weights_change_the_denominator(case):
    logits, labels, ignored, mask = case
    weights = torch.tensor([1.0, 3.0, 0.5])
    total = F.cross_entropy(logits.transpose(1, 2), ignored, weight=weights, reduction="sum")
    found = F.cross_entropy(logits.transpose(1, 2), ignored, weight=weights)
    torch.testing.assert_close(found, total / label_weights(labels, mask, weights).sum())
    assert not torch.isclose(found, total / 12)


def test_label_smoothing_mixes_losses_and_keeps_the_denominator(case):
    logits, labels, ignored, mask = case
    log_p = logits.log_softmax(dim=-1)
    each = 0.9 * -log_p.gather(-1, labels[..., None])[..., 0] - 0.1 * log_p.mean(dim=-1)
    smooth = F.cross_entropy(logits.transpose(1, 2), ignored, label_smoothing=0.1)
    torch.testing.assert_close(smooth, each[mask].sum() / 12)


def test_label_0_is_ignored_where_padding_is_marked_with_it(case):
    """What the lesson warns of."""
    logits, labels, _, mask = case
    losses = F.cross_entropy(logits.transpose(1, 2), labels, ignore_index=0, reduction="none")
    assert (losses[mask & (labels == 0)] == 0).all() and (mask & (labels == 0)).sum() == 3


@pytest.mark.parametrize("count", [None, 12, 30, torch.tensor(12)])
def test_transformers_divides_by_num_items_in_batch_or_by_token(case, count):
    pytest.importorskip("transformers")
    from transformers.loss.loss_utils import ForCausalLMLoss, fixed_cross_entropy

    logits, _, ignored, mask = case
    total = F.cross_entropy(logits.transpose(1, 2), ignored, reduction="sum")
    found = fixed_cross_entropy(logits.flatten(0, 1), ignored.flatten(), count)
    torch.testing.assert_close(found, total / (12 if count is None else count))
    shifted = F.pad(ignored[:, 1:], (0, 1), value=-100)  # it shifts by itself
    total = F.cross_entropy(logits.transpose(1, 2), shifted, reduction="sum")
    found = ForCausalLMLoss(logits, ignored, vocab_size=3, num_items_in_batch=count)
    torch.testing.assert_close(found, total / ((shifted != -100).sum() if count is None else count))


def test_the_trainer_of_transformers_counts_the_labels_of_all_micro_batches():
    trainer = pytest.importorskip("transformers.trainer").Trainer
    batches = [{"labels": torch.tensor([[-100, 5, -100]])}, {"labels": torch.tensor([[-100, 5, 6]])}]
    one_machine = SimpleNamespace(average_tokens_across_devices=False, n_gpu=0, world_size=1)
    itself = SimpleNamespace(
        args=one_machine, model_accepts_loss_kwargs=True, compute_loss_func=None, _loss_shifts_labels=True,
        get_tp_size=lambda: 1, get_cp_size=lambda: 1, get_sp_size=lambda: 1,
    )  # fmt: skip
    assert trainer._get_num_items_in_batch(itself, batches, torch.device("cpu")) == 3
