"""The tiny models that lessons, labs and experiments share: their texts, their batches, and what they learn."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from masklab import masks, tiny, training
from masklab.corpus import EOS, VOCABULARY
from masklab.models import language_loss

RIGHT = masks.causal()


def test_every_variant_of_a_seed_sees_the_same_batches():
    def batches(seed):
        model, seen = tiny.tiny_gpt(seed), []

        def loss_of(batch):
            seen.append(batch.ids)
            return language_loss(model, batch, RIGHT)

        tiny.fit(model, loss_of, seed=seed, steps=3)
        return torch.stack(seen)

    assert torch.equal(batches(0), batches(0))
    assert not torch.equal(batches(0), batches(1))
    assert not torch.equal(*batches(0)[:2])


def test_a_bar_is_shown_when_asked_for(monkeypatch):
    shown = []
    monkeypatch.setattr(training, "progress_bar", lambda items, label: shown.append(label) or items)
    for progress in (False, True):
        model = tiny.tiny_gpt(0)
        tiny.fit(model, partial(language_loss, model, rule=RIGHT), seed=0, steps=1, progress=progress)
        tiny.fit_classifier(tiny.tiny_classifier(0), seed=0, steps=1, progress=progress)
    assert shown == ["training steps"] * 2


def test_no_text_is_both_trained_and_held_out_and_all_have_their_ends():
    first, second = (batch.tokens for batch in tiny.texts())
    assert len(first) > 700 and len(second) > 150 and not set(first) & set(second)
    for row, length in zip(second, tiny.texts()[1].lengths.tolist(), strict=True):
        assert row[0] == "[BOS]" and row[length - 1] == EOS and 4 <= length <= 9
        assert "[UNK]" not in VOCABULARY.decode(VOCABULARY.encode(row))


# --- the classifier of topics ---------------------------------------------------------------------------


def accuracy(model, read, *, more=0):
    """The share of held-out topics that are found, with more pads on the right."""
    _, new = tiny.topics()
    model.read = read
    with torch.no_grad():
        found = model(F.pad(new.ids, (0, more)), new.lengths).argmax(dim=1)
    return (found == new.topics).float().mean().item()


@pytest.mark.parametrize("bidirectional", [False, True], ids=["one", "both"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_tiny_classifier_learns_the_topics_and_loses_some_to_pads(seed, bidirectional):
    model = tiny.tiny_classifier(seed, bidirectional=bidirectional)
    tiny.fit_classifier(model, seed=seed)
    assert accuracy(model, "packed") > 0.88 and accuracy(model, "packed") == accuracy(model, "packed", more=20)
    assert accuracy(model, "last_step", more=20) < accuracy(model, "packed") - 0.1
    last_word = accuracy(model, "last_word", more=20)  # a second direction has read the pads first
    assert last_word < accuracy(model, "packed") - 0.03 if bidirectional else last_word == accuracy(model, "packed")
    assert model.head.in_features == 8


def test_a_classifier_of_a_seed_is_always_the_same():
    def trained(seed):
        model = tiny.tiny_classifier(seed)
        tiny.fit_classifier(model, seed=seed, steps=3)
        return model.head.weight

    assert torch.equal(trained(0), trained(0)) and not torch.equal(trained(0), trained(1))
    first, second = tiny.tiny_classifier(0, read="last_step"), tiny.tiny_classifier(1)  # before they are trained
    assert not torch.equal(first.head.weight, second.head.weight)
    assert (first.read, second.read) == ("last_step", "packed")


def test_more_pads_in_training_follow_each_sentence():
    seen = []

    class Spy(torch.nn.Linear):
        def forward(self, ids, lengths):
            seen.append((ids, lengths))
            return super().forward(lengths[:, None].float())

    for more_pads in (0, 3):
        tiny.fit_classifier(Spy(1, 4), seed=0, steps=1, more_pads=more_pads)
    (ids, lengths), (longer, same) = seen
    assert torch.equal(F.pad(ids, (0, 3)), longer) and torch.equal(lengths, same)


def test_no_sentence_with_a_topic_is_both_trained_and_held_out():
    known, new = tiny.topics()
    assert not {one[:k] for one, k in zip(known.tokens, known.lengths.tolist(), strict=True)} & {
        one[:k] for one, k in zip(new.tokens, new.lengths.tolist(), strict=True)
    }
    assert set(new.topics.tolist()) == {0, 1, 2, 3} and known.side == "right"
