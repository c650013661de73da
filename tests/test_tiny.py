"""The tiny language model that several experiments share: its texts and its batches."""

from functools import partial

import torch

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
    assert shown == ["training steps"]


def test_no_text_is_both_trained_and_held_out_and_all_have_their_ends():
    first, second = (batch.tokens for batch in tiny.texts())
    assert len(first) > 700 and len(second) > 150 and not set(first) & set(second)
    for row, length in zip(second, tiny.texts()[1].lengths.tolist(), strict=True):
        assert row[0] == "[BOS]" and row[length - 1] == EOS and 4 <= length <= 9
        assert "[UNK]" not in VOCABULARY.decode(VOCABULARY.encode(row))
