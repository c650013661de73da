"""The tiny models that lessons, labs and experiments share: their texts, their batches, and what they learn."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from masklab import masks, tiny, training
from masklab.corpus import EOS, MASK, VOCABULARY
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
        tiny.fit_encoder(tiny.tiny_encoder(0), seed=0, steps=1, progress=progress)
        tiny.fit_tagger(tiny.tiny_tagger(0), seed=0, steps=1, progress=progress)
    assert shown == ["training steps"] * 4


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


# --- the encoder that restores words --------------------------------------------------------------------


@torch.no_grad()
def restored(model):
    """The share of words of new sentences that are found, each hidden alone."""
    _, new = tiny.mlm_texts()
    rows, places = new.is_word.nonzero(as_tuple=True)
    hidden = F.one_hot(places, new.ids.shape[1]).bool()
    ids = new.ids[rows].masked_fill(hidden, VOCABULARY.id(MASK))
    found = model(ids, new.is_word[rows][:, None, None, :])[hidden].argmax(dim=1)
    return (found == new.ids[rows, places]).float().mean().item()


def test_a_tiny_encoder_restores_words_and_learns_more_from_more_of_them():
    """But not from too many, as lesson 03 shows: then there is too little left to restore them from."""
    few, many, most = (tiny.tiny_encoder(0) for _ in range(3))
    tiny.fit_encoder(few, seed=0)
    for model, probability in ((many, 0.4), (most, 0.8)):
        tiny.fit_encoder(model, seed=0, probability=probability)
    assert 0.34 < restored(most) + 0.02 < restored(few) < restored(many) < 0.6
    ids = torch.tensor([VOCABULARY.encode(["The", "cat", "ate", "[MASK]", "pie"])])
    for model in (few, many):
        assert VOCABULARY.decode(model(ids, None)[0, 3].argmax()[None]) == ["fish"]


def test_an_encoder_of_a_seed_is_always_the_same_and_its_options_reach_the_corruption(monkeypatch):
    def trained(seed, **options):
        model = tiny.tiny_encoder(seed)
        tiny.fit_encoder(model, seed=seed, steps=2, **options)
        return model.head.weight

    calls, bert = [], tiny.bert

    def spy(ids, may_choose, **options):
        new = bert(ids, may_choose, **options)
        calls.append((options["probability"], options["shares"], ids, new.chosen))
        return new

    monkeypatch.setattr(tiny, "bert", spy)
    assert torch.equal(trained(0), trained(0)) and not torch.equal(trained(0), trained(1))
    calls.clear()
    trained(0), trained(0, probability=0.4, shares=(1.0, 0.0, 0.0))
    assert [one[:2] for one in calls[1:3]] == [(0.15, (0.8, 0.1, 0.1)), (0.4, (1.0, 0.0, 0.0))]
    for (_, _, ids, some), (_, _, same, more) in zip(calls[:2], calls[2:], strict=True):
        assert torch.equal(ids, same) and (some <= more).all() and some.sum() < more.sum()
    assert not torch.equal(calls[0][2], calls[1][2])


def test_no_sentence_with_a_hole_is_both_trained_and_held_out():
    known, new = tiny.mlm_texts()
    assert not set(known.tokens) & set(new.tokens)
    assert min(known.lengths) >= 2 and known.ids.shape[1] == max(known.lengths) == tiny.MLM_WORDS
