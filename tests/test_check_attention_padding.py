"""Each check of lesson 05: the solution passes, the stub and each wrong answer get their own sentence."""

import math
import re
from functools import cache

import pytest
import torch
from torch import Tensor

from masklab.check import attention_padding as check

# Answers as learners write them, apart from the checks' own code.


def fill(scores: Tensor, mask: Tensor) -> Tensor:
    return scores.masked_fill(~mask, -math.inf)


def last_positions(lengths: Tensor, total: int) -> Tensor:
    """Right but for a sentence without a word: -0 is 0."""
    mask = torch.zeros(len(lengths), total, dtype=torch.bool)
    for i, length in enumerate(lengths):
        mask[i, -length:] = True
    return mask


RIGHT = {
    "word_mask": [
        lambda lengths, total: torch.arange(total) >= total - lengths[:, None],
        lambda lengths, total: torch.stack([torch.arange(total) + n >= total for n in lengths]),
    ],
    "attention_mask": [
        lambda words: words[:, None, :].expand(-1, words.shape[1], -1),
        lambda words: words.unsqueeze(1).repeat(1, words.shape[1], 1),
    ],
    "masked_weights": [
        lambda scores, mask: fill(scores, mask).softmax(dim=-1),
        lambda scores, mask: torch.nn.functional.softmax(torch.where(mask, scores, -torch.inf), -1),
        lambda scores, mask: (scores.exp() * mask) / (scores.exp() * mask).sum(-1, keepdim=True),
    ],
    "run_layer": [
        lambda layer, x, words: layer(x, x, x, key_padding_mask=~words)[0],
        lambda layer, x, words: layer(x, x, x, key_padding_mask=~words, need_weights=False)[0],
        lambda layer, x, words: layer(
            x, x, x, attn_mask=(~words)[:, None, :].expand(-1, x.shape[1], -1).repeat_interleave(layer.num_heads, 0)
        )[0],
    ],
    "safe_weights": [
        lambda s, b: (s + b.masked_fill((b < 0).all(-1, keepdim=True), 0)).softmax(-1) * (b == 0).any(-1, keepdim=True),
        lambda s, b: (
            s.masked_fill(b < 0, -math.inf).softmax(-1).nan_to_num()
        ),  # no gradient runs back through a filled cell
    ],
}
WRONG = {
    "word_mask": {
        "inverted": lambda lengths, total: torch.arange(total) < total - lengths[:, None],
        "wrong side": lambda lengths, total: torch.arange(total) < lengths[:, None],
        "one too many": lambda lengths, total: torch.arange(total) >= total - 1 - lengths[:, None],
        "one too few": lambda lengths, total: torch.arange(total) > total - lengths[:, None],
        "one length for all": lambda lengths, total: (torch.arange(total) >= total - max(lengths)).expand(
            len(lengths), -1
        ),
    },
    "attention_mask": {
        "rows": lambda words: words[:, :, None].expand(-1, -1, words.shape[1]),
        "rows and columns": lambda words: words[:, :, None] & words[:, None, :],
        "rows or columns": lambda words: words[:, :, None] | words[:, None, :],
        "inverted": lambda words: ~words[:, None, :].expand(-1, words.shape[1], -1),
        "additive": lambda words: torch.where(words, 0.0, -math.inf)[:, None, :].expand(-1, words.shape[1], -1),
        "one row": lambda words: words[:, None, :],
    },
    "masked_weights": {
        "no mask": lambda scores, mask: scores.softmax(-1),
        "multiplies the scores": lambda scores, mask: (scores * mask).softmax(-1),
        "multiplies the weights": lambda scores, mask: scores.softmax(-1) * mask,
        "−∞ too late": lambda scores, mask: fill(scores.softmax(-1), mask),
        "adds 0 and 1": lambda scores, mask: (scores + mask.float()).softmax(-1),
        "inverted": lambda scores, mask: fill(scores, ~mask).softmax(-1),
        "wrong axis": lambda scores, mask: fill(scores, mask).softmax(0),
    },
    "run_layer": {
        "no mask": lambda layer, x, words: layer(x, x, x)[0],
        "inverted": lambda layer, x, words: layer(x, x, x, key_padding_mask=words)[0],
        "a float is added": lambda layer, x, words: layer(x, x, x, key_padding_mask=1.0 - words.float())[0],
        "a float is added, inverted": lambda layer, x, words: layer(x, x, x, key_padding_mask=words.float())[0],
    },
    "safe_weights": {
        "nan": lambda scores, bias: (scores + bias).softmax(-1),
        "nan, filled": lambda scores, bias: scores.masked_fill(bias == -math.inf, -math.inf).softmax(-1),
        "uniform": lambda scores, bias: (scores + bias.clamp(min=torch.finfo(torch.float32).min)).softmax(-1),
        "large number": lambda scores, bias: (scores + bias.clamp(min=-1e4)).softmax(-1),
        "not zeroed": lambda scores, bias: (scores + bias.masked_fill((bias < 0).all(-1, keepdim=True), 0)).softmax(-1),
        "no keepdim": lambda scores, bias: torch.where(
            (bias < 0).all(-1), 0.0, (scores + bias.masked_fill((bias < 0).all(-1), 0)).softmax(-1)
        ),
        "nan gradient": lambda scores, bias: torch.nan_to_num((scores + bias).softmax(-1), nan=0.0),
    },
}


def each(answers: dict):
    """(exercise, answer) pairs, named for the report."""
    return [
        pytest.param(name, answer, id=f"{name}-{i}")
        for name, found in answers.items()
        for i, answer in enumerate(found)
    ]


@pytest.mark.parametrize(("name", "answer"), each(RIGHT))
def test_a_right_answer_passes_however_it_is_written(name, answer):
    verdict = getattr(check, name)(answer)
    assert verdict.state == "right", verdict
    assert repr(verdict).startswith(f"✓ {name}: right, on ")


@pytest.mark.parametrize("name", RIGHT)
def test_the_stub_is_told_kindly_what_is_missing(name):
    verdict = getattr(check, name)(lambda *arguments: None)
    assert verdict.state == "open"
    assert repr(verdict) == f"○ {name}: not filled in yet. Replace the line with the three dots, and end with a return."


@cache
def verdict_on(name, misconception):
    return getattr(check, name)(WRONG[name][misconception])


@pytest.mark.parametrize(
    ("name", "misconception"), [(name, m) for name, answers in WRONG.items() for m in answers], ids=lambda value: value
)
def test_each_wrong_answer_gets_its_own_sentence(name, misconception):
    verdict = verdict_on(name, misconception)
    assert (verdict.state, verdict.misconception) == ("wrong", misconception), verdict
    kind = misconception.split(",")[0]  # "nan" and "nan, filled" are one misconception, written in two ways
    others = {verdict_on(name, m).message for m in WRONG[name] if m.split(",")[0] != kind}
    assert verdict.message not in others


@pytest.mark.parametrize("name", WRONG)
def test_every_misconception_that_a_check_names_has_a_learners_answer_here(name):
    assert set(WRONG[name]) == set(getattr(check, f"_{name.upper()}").wrong)


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("word_mask", lambda lengths, total: 1 / 0, "raised ZeroDivisionError: division by zero"),
        ("word_mask", lambda lengths: None, "raised TypeError"),
        ("word_mask", lambda lengths, total: [True], "returned list"),
        (
            "word_mask",
            lambda lengths, total: (torch.arange(total) >= total - lengths[:, None]).float(),
            "torch.bool was expected",
        ),
        ("word_mask", lambda lengths, total: torch.ones(1, total, dtype=torch.bool), r"shape \(2, 6\) was expected"),
        ("run_layer", lambda layer, x, words: layer(x, x, x, key_padding_mask=~words), "returned a tuple of 2"),
        ("masked_weights", lambda scores, mask: scores.masked_fill_(~mask, -math.inf).softmax(-1), "changes its input"),
        ("masked_weights", lambda scores, mask: scores * 0, "some cells differ"),
        ("safe_weights", lambda scores, bias: scores.detach(), "the gradient is cut"),
        ("safe_weights", lambda scores, bias: scores[0], r"weights of shape \(4, 4\).*you gave shape \(4,\)"),
        ("safe_weights", lambda scores, bias: scores.add_(bias).softmax(-1), "changes its input"),
        ("safe_weights", lambda scores, bias: scores.double() * 1, "some cells differ"),
        ("run_layer", lambda layer, x, words: x.double(), "some cells differ"),
        ("masked_weights", lambda scores, mask: scores.to_sparse(), "a plain tensor"),
        ("word_mask", last_positions, "some cells differ"),
    ],
)
def test_other_answers_get_a_sentence_too(name, answer, words):
    verdict = getattr(check, name)(answer)
    assert verdict.state == "wrong"
    assert re.search(words, repr(verdict)), verdict


def test_a_difference_is_drawn():
    verdict = check.masked_weights(WRONG["masked_weights"]["wrong axis"])
    yours, right = verdict.panels
    assert yours.marks.any()
    assert right.marks is None
    assert torch.allclose(right.values.sum(-1), torch.ones(right.values.shape[0]))


def test_a_check_leaves_the_learners_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    check.run_layer(RIGHT["run_layer"][0])
    assert torch.equal(torch.rand(2), expected)


def test_a_wrong_answer_shows_its_sentence_and_a_picture_in_words_too(monkeypatch, capsys):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    verdict = verdict_on("masked_weights", "wrong axis")
    verdict._ipython_display_()
    assert capsys.readouterr().out == f"{verdict}\n"
    assert shown[0].data.startswith(b"\x89PNG")
    assert shown[0].alt.startswith(f"{verdict}: ") and "cells that differ" in shown[0].alt
