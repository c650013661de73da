"""What a language model is asked: each loss by a slow loop, writing with and without a cache, and left padding."""

from collections import Counter
from dataclasses import replace
from statistics import mean

import pytest
import torch
import torch.nn.functional as F

from masklab import corpus, masks
from masklab.corpus import RUNNING, TOPICS, VOCABULARY, until_end
from masklab.models import language_loss, left_to_right_loss, next_logits, positions_of, write
from masklab.text import batch_of_words, word_positions
from masklab.tiny import fit, texts, tiny_gpt
from masklab.training import rows

RIGHT = masks.causal()
RULES = {"causal": RIGHT, "one token too far": masks.causal(offset=1), "no mask": masks.everything()}


# --- Losses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RULES)
def test_left_to_right_by_a_slow_loop(name):
    """One sentence at a time, one prefix at a time; the mask written out."""
    model, some = tiny_gpt(3), rows(texts()[1], range(6))
    ahead = {"causal": 0, "one token too far": 1, "no mask": 99}[name]
    losses = []
    for ids, length in zip(some.ids, some.lengths.tolist(), strict=True):
        for n in range(1, length):
            mask = torch.tensor([[k <= q + ahead for k in range(n)] for q in range(n)])
            with torch.no_grad():
                logits = model(ids[None, :n], mask[None, None])[0, -1]
            losses.append(F.cross_entropy(logits, ids[n]).item())
    assert left_to_right_loss(model, some, RULES[name]) == pytest.approx(mean(losses), abs=1e-5)


def test_with_a_causal_mask_training_is_reading_from_left_to_right():
    model, some = tiny_gpt(3), rows(texts()[1], range(30))
    with torch.no_grad():
        together = language_loss(model, some, RIGHT).item()
        assert left_to_right_loss(model, some, RIGHT) == pytest.approx(together, abs=1e-5)
        future = language_loss(model, some, masks.everything()).item()
    assert abs(left_to_right_loss(model, some, masks.everything()) - future) > 1e-4


def test_no_rule_shows_the_pads():
    model, some = tiny_gpt(0), rows(texts()[1], range(20))
    other = replace(some, ids=some.ids.masked_fill(~some.is_word, 7))
    assert not torch.equal(other.ids, some.ids)
    for rule in RULES.values():
        assert torch.equal(language_loss(model, some, rule), language_loss(model, other, rule))


def test_the_side_of_the_padding_does_not_change_a_loss():
    model, examples = tiny_gpt(0, max_len=18), corpus.sentences(n=20)
    left, right = (corpus.with_ends(examples, side=side) for side in ("left", "right"))
    for rule in RULES.values():
        assert language_loss(model, left, rule).item() == pytest.approx(language_loss(model, right, rule).item())
    with pytest.raises(ValueError, match="on the right, got side='left'"):
        left_to_right_loss(model, left, RIGHT)


# --- Writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_writing_the_slow_way_is_writing_with_a_cache(temperature):
    model = tiny_gpt(1)
    prompt = torch.tensor([VOCABULARY.encode(["[BOS]", "The", "cat"])]).expand(5, -1)
    options = {"max_new_tokens": 6, "temperature": temperature, "seed": 4}
    slow = write(lambda ids: next_logits(model, ids, RIGHT), prompt, **options)
    assert torch.equal(slow, model.generate(prompt, **options)[0])


# --- Left padding: exact, so no seeds and no verdict -----------------------------------------------------------------

PADDINGS = {  # whether pads are masked, and whether positions count the words alone
    "mask and positions": (True, True),
    "mask only": (True, False),
    "positions only": (False, True),
    "neither": (False, False),
}
NEW = 4  # tokens to write: with prompts of at most 5 tokens, every position was trained


def prompts():
    """The first 2, 3, 4 and 5 tokens of 64 held-out texts in turn, padded on the left."""
    _, held_out = texts()
    long = [tokens for tokens, length in zip(held_out.tokens, held_out.lengths.tolist(), strict=True) if length > 5]
    return batch_of_words([one[: 2 + n % 4] for n, one in enumerate(long[:64])], side="left", to_id=VOCABULARY.id)


def padded_logits(model, ids, *, pads, masked, placed):
    """The logits of the next word, (B, V), of texts (B, L) with ``pads`` (B,) pads on their left."""
    total = ids.shape[1]
    is_word = word_positions(total - pads, total=total, side="left")
    mask = RIGHT.tensor(queries=total, keys=total)
    mask = mask & is_word[:, None, None, :] if masked else mask
    return model(ids, mask, positions=positions_of(is_word) if placed else None)[:, -1]


def alone(batch, result_of):
    """What each prompt gives without any padding, one after the other."""
    return torch.cat([result_of(ids[is_word][None]) for ids, is_word in zip(batch.ids, batch.is_word, strict=True)])


@pytest.fixture(scope="module")
def model():
    gpt = tiny_gpt(0)
    fit(gpt, lambda batch: language_loss(gpt, batch, RIGHT), seed=0, steps=150)
    return gpt


@torch.no_grad()
def left_padded(model, way):
    """The largest difference of a logit to the prompt alone, and the share of changed texts for 0, 1, 2 and 3 pads."""
    batch, (masked, placed) = prompts(), PADDINGS[way]
    pads = batch.ids.shape[1] - batch.lengths

    def used(ids):
        return padded_logits(model, ids, pads=pads, masked=masked, placed=placed)

    def used_alone(ids):
        return next_logits(model, ids, RIGHT)

    difference = (used(batch.ids) - alone(batch, used_alone)).abs().max().item()
    written = until_end(write(used, batch.ids, max_new_tokens=NEW))
    expected = until_end(alone(batch, lambda ids: write(used_alone, ids, max_new_tokens=NEW)))
    changed = [ours != theirs for ours, theirs in zip(written, expected, strict=True)]
    return difference, [mean(c for c, n in zip(changed, pads.tolist(), strict=True) if n == k) for k in range(4)]


def test_left_padding_needs_a_mask_and_positions(model):
    found = {way: left_padded(model, way) for way in PADDINGS}
    difference = {way: largest for way, (largest, _) in found.items()}
    assert difference["mask and positions"] < 1e-4  # rounding
    assert difference["mask only"] > difference["positions only"] > 1 and difference["neither"] > 1
    for way, (_, changed) in found.items():
        assert changed[0] == 0  # without pads nothing changes
        if way == "mask and positions":
            assert changed == [0, 0, 0, 0]
        else:
            assert mean(changed[1:]) > 0.2


def test_with_mask_and_positions_left_padding_is_what_generate_does():
    model, batch = tiny_gpt(1), prompts()
    pads = batch.ids.shape[1] - batch.lengths
    slow = write(
        lambda ids: padded_logits(model, ids, pads=pads, masked=True, placed=True), batch.ids, max_new_tokens=NEW
    )  # fmt: skip
    fast, _ = model.generate(batch.ids, batch.lengths, side=batch.side, max_new_tokens=NEW)
    assert torch.equal(slow, fast)


def test_prompts_are_held_out_and_use_trained_positions_only():
    batch, (train_texts, held_out) = prompts(), texts()
    beginnings = {tokens[:n] for tokens in held_out.tokens for n in (2, 3, 4, 5)}
    assert {tuple(t for t in row if t != "[PAD]") for row in batch.tokens} <= beginnings
    assert Counter(batch.lengths.tolist()) == {2: 16, 3: 16, 4: 16, 5: 16}
    # The last position that is read while writing, against the last one that predicts something in training.
    assert batch.ids.shape[1] + NEW - 2 <= train_texts.lengths.max() - 2


def test_alone_is_each_prompt_without_its_pads():
    batch = batch_of_words([["a"], ["bbb", "cc"]], side="left", to_id=len)
    assert alone(batch, lambda ids: ids.sum(dim=1)).tolist() == [1, 5]
    assert alone(batch, lambda ids: torch.tensor([ids.shape[1]])).tolist() == [1, 2]


# --- Batches of the corpus -------------------------------------------------------------------------------------------


def test_padded_to_a_fixed_length_is_the_batch_and_pads():
    short, long = corpus.batch(RUNNING), corpus.padded(RUNNING, total=9)
    assert torch.equal(long.ids[:, :5], short.ids) and torch.equal(long.tags[:, :5], short.tags)
    assert torch.equal(long.is_word.sum(dim=1), short.lengths) and long.is_word.shape == (3, 9)
    assert all(len(row) == 9 and set(row[5:]) == {"[PAD]"} for row in long.tokens)
    assert (long.ids[~long.is_word] == 0).all() and (long.difficulty[~long.is_word] == torch.inf).all()
    assert [TOPICS[i] for i in long.topics] == [example.topic for example in RUNNING]
    assert torch.equal(corpus.padded(RUNNING, total=5).ids, short.ids)
    with pytest.raises(ValueError, match="total must be at least 5, the longest sentence, got 4"):
        corpus.padded(RUNNING, total=4)
