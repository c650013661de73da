"""The checks of lesson 05: answers as learners write them (see test_checks.py), and what else each check says."""

import math
import re
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masklab.attention import softmax_rows
from masklab.check import attention_padding as check

NONE = -math.inf

# Answers as learners write them, apart from the checks' own code.


def fill(scores: Tensor, mask: Tensor, value: float = NONE) -> Tensor:
    return scores.masked_fill(~mask, value)


def keys(words: Tensor) -> Tensor:
    return words[:, None, :].expand(-1, words.shape[1], -1)


def heads(layer: nn.MultiheadAttention, mask: Tensor) -> Tensor:
    return mask.repeat_interleave(layer.num_heads, dim=0)


def empty(bias: Tensor) -> Tensor:
    return (bias == NONE).all(-1, keepdim=True)


def opened(scores: Tensor, bias: Tensor) -> Tensor:
    return (scores + bias.masked_fill(empty(bias), 0)).softmax(-1)


def loop_over_sentences(lengths, total):
    mask = torch.zeros(len(lengths), total, dtype=torch.bool)
    for i, length in enumerate(lengths.tolist()):
        mask[i, total - length :] = True
    return mask


def last_positions(lengths: Tensor, total: int) -> Tensor:
    """Right but for a sentence without a word: -0 is 0."""
    mask = torch.zeros(len(lengths), total, dtype=torch.bool)
    for i, length in enumerate(lengths):
        mask[i, -length:] = True
    return mask


def own_copy(lengths, total):
    lengths = lengths.clone()
    lengths -= total
    return torch.arange(total) >= -lengths[:, None]


def nested_function(lengths, total):
    def row(length):
        return torch.tensor([position >= total - length for position in range(total)])

    return torch.stack([row(length) for length in lengths.tolist()])


def first_keys(words):
    mask = torch.zeros(len(words), words.shape[1], words.shape[1], dtype=torch.bool)
    for i, sentence in enumerate(words):
        mask[i, :, : int(sentence.sum())] = True
    return mask


def row_by_row(scores, mask):
    weights = torch.zeros_like(scores)
    for q in range(len(scores)):
        weights[q, mask[q]] = scores[q, mask[q]].softmax(0)
    return weights


def written_into_a_clone(scores, mask):
    masked = scores.clone()
    masked[~mask] = NONE
    return masked.softmax(-1)


def identity_values(scores, mask):
    values = torch.eye(len(scores))[None, None]
    return F.scaled_dot_product_attention(scores[None, None], values, values, attn_mask=mask[None, None], scale=1)[0, 0]


def each_sentence_alone(layer, x, words):
    output = torch.zeros_like(x)
    for i in range(len(x)):
        alone = x[i][words[i]][None]
        output[i, words[i]] = layer(alone, alone, alone)[0][0]
    return output


def by_hand(layer, x, words):
    batch, length, width = x.shape
    q, k, v = (
        part.view(batch, length, layer.num_heads, -1).transpose(1, 2)
        for part in F.linear(x, layer.in_proj_weight, layer.in_proj_bias).chunk(3, -1)
    )
    output = F.scaled_dot_product_attention(q, k, v, attn_mask=words[:, None, None, :])
    return layer.out_proj(output.transpose(1, 2).reshape(batch, length, width))


def zeroed_clone(layer, x, words):
    x = x.clone()
    x[~words] = 0
    return layer(x, x, x, key_padding_mask=~words)[0]


def without_gradient(layer, x, words):
    with torch.no_grad():  # torch's fast path
        return layer(x, x, x, key_padding_mask=~words)[0]


def rows_of_zeros(scores, bias):
    rows = []
    for s, b in zip(scores, bias, strict=True):
        rows.append(torch.zeros_like(s) if (b == NONE).all() else (s + b).softmax(-1))
    return torch.stack(rows)


def only_the_others(scores, bias):
    weights, others = torch.zeros_like(scores), ~empty(bias)[:, 0]
    weights[others] = (scores[others] + bias[others]).softmax(-1)
    return weights


def an_extra_key(scores, bias):
    extra = torch.where(empty(bias), 0.0, NONE)
    return torch.cat([scores + bias, extra], -1).softmax(-1)[:, :-1]


def written_into_softmax(scores, bias):
    weights = (scores + bias).softmax(-1)
    weights[empty(bias)[:, 0]] = 0
    return weights


def written_into_softmax_by_method(scores, bias):
    return opened(scores, bias).masked_fill_(empty(bias), 0)


def only_in_no_grad(scores, bias):
    with torch.no_grad():
        return opened(scores, bias).masked_fill(empty(bias), 0)


def returned_in_the_loop(lengths, total):
    mask = torch.zeros(len(lengths), total, dtype=torch.bool)
    for i, length in enumerate(lengths):
        mask[i, total - length :] = True
        return mask


def on_the_side_of_the_first_word(words):
    n, place = words.sum(-1, keepdim=True), torch.arange(words.shape[1])
    return keys(torch.where(words[:, :1], place < n, place >= words.shape[1] - n))


def first_empty_row_only(scores, bias):
    row = torch.zeros(len(bias), 1, dtype=torch.bool)
    row[int(empty(bias).int().argmax())] = True
    return (scores + bias.masked_fill(row, 0)).softmax(-1).masked_fill(row, 0)


def returned_at_the_first_empty_row(scores, bias):
    for i, row in enumerate(bias):
        if (row == NONE).all():
            weights = (scores + torch.where(torch.arange(len(bias))[:, None] == i, 0, bias)).softmax(-1)
            return torch.where(torch.arange(len(bias))[:, None] == i, 0, weights)


def empty_columns(scores, bias):
    columns = (bias == NONE).all(0, keepdim=True)
    return (scores + bias.masked_fill(columns, 0)).softmax(-1).masked_fill(columns, 0)


def exp_by_hand(scores, bias):
    parts = (scores + bias).exp()
    return parts / (parts.sum(-1, keepdim=True) + 1e-9)


def exp_times_mask(scores, bias):
    parts = scores.exp() * (bias == 0)
    return parts / parts.sum(-1, keepdim=True).clamp_min(1e-9)


def sum_detached(scores, bias):
    parts = (scores + bias).exp()
    return parts / (parts.sum(-1, keepdim=True).detach() + 1e-12)


RIGHT = {
    "word_mask": [
        lambda lengths, total: torch.arange(total) >= total - lengths[:, None],
        lambda lengths, total: torch.stack([torch.arange(total) + n >= total for n in lengths]),
        lambda lengths, total: (torch.arange(total) < lengths[:, None]).flip(-1),
        lambda lengths, total: torch.logical_not(torch.arange(total) < (total - lengths).unsqueeze(1)),
        lambda lengths, total: torch.where(torch.arange(total).double() >= total - lengths[:, None], True, False),
        lambda lengths, total: torch.ones(total + 1, total).tril(-1).flip(-1).bool()[lengths],
        lambda lengths, total: torch.from_numpy(np.arange(total) >= total - lengths.numpy()[:, None]),
        lambda lengths, total: torch.tensor([[False] * (total - n) + [True] * n for n in lengths.tolist()]),
        lambda lengths, total: torch.ones(len(lengths), total).cumsum(-1) > (total - lengths)[:, None],
        loop_over_sentences,
        own_copy,
        nested_function,
    ],
    "attention_mask": [
        lambda words: words[:, None, :].expand(-1, words.shape[1], -1),
        lambda words: words.unsqueeze(1).repeat(1, words.shape[1], 1),
        lambda words: torch.stack([words] * words.shape[1], dim=1),
        lambda words: torch.einsum("bq,bk->bqk", torch.ones(words.shape), words.float()).bool(),
        lambda words: words[:, None, :] & torch.ones(words.shape[1], 1, dtype=torch.bool),
        lambda words: torch.logical_and(words[:, None, :], torch.ones_like(words)[:, :, None]),
        lambda words: torch.where(keys(words), 1.0, 0.0) > 0,
        lambda words: torch.stack([torch.stack([row for _ in row]) for row in words]),
        lambda words: torch.vmap(lambda row: row.expand(len(row), -1).clone())(words),
        lambda words: torch.stack([torch.meshgrid(row, row, indexing="xy")[0] for row in words]),
        lambda words: words.repeat(1, words.shape[1]).view(len(words), words.shape[1], -1),
    ],
    "masked_weights": [
        lambda scores, mask: fill(scores, mask).softmax(dim=-1),
        lambda scores, mask: torch.nn.functional.softmax(torch.where(mask, scores, -torch.inf), -1),
        lambda scores, mask: (scores.exp() * mask) / (scores.exp() * mask).sum(-1, keepdim=True),
        lambda scores, mask: F.normalize(scores.softmax(-1) * mask, p=1, dim=-1),
        lambda scores, mask: (scores + mask.log()).softmax(-1),
        lambda scores, mask: fill(scores.double(), mask).softmax(-1),
        lambda scores, mask: fill(scores, mask, -1e9).softmax(-1),
        lambda scores, mask: (scores + (~mask) * -1e4).softmax(-1),
        lambda scores, mask: fill(scores, mask).T.softmax(0).T,
        lambda scores, mask: (fill(scores, mask) - fill(scores, mask).logsumexp(-1, keepdim=True)).exp(),
        lambda scores, mask: softmax_rows(scores, mask),
        lambda scores, mask: fill(nn.Parameter(scores), mask).softmax(-1),
        row_by_row,
        written_into_a_clone,
        identity_values,
    ],
    "run_layer": [
        lambda layer, x, words: layer(x, x, x, key_padding_mask=~words)[0],
        lambda layer, x, words: layer(x, x, x, key_padding_mask=~words, need_weights=False)[0],
        lambda layer, x, words: layer(
            x, x, x, attn_mask=(~words)[:, None, :].expand(-1, x.shape[1], -1).repeat_interleave(layer.num_heads, 0)
        )[0],
        lambda layer, x, words: layer(x, x, x, key_padding_mask=torch.zeros(words.shape).masked_fill(~words, NONE))[0],
        lambda layer, x, words: layer(x, x, x, key_padding_mask=torch.where(words, 0.0, -1e9))[0],
        lambda layer, x, words: layer(x, x, x, attn_mask=heads(layer, words[:, :, None] != words[:, None, :]))[0],
        lambda layer, x, words: layer.eval().forward(x, x, x, words.logical_not())[0] * words[..., None],
        lambda layer, x, words: layer(x, x, x, key_padding_mask=~words)[0].double(),
        each_sentence_alone,
        by_hand,
        zeroed_clone,
        without_gradient,
    ],
    "safe_weights": [
        lambda s, b: (s + b.masked_fill((b < 0).all(-1, keepdim=True), 0)).softmax(-1) * (b == 0).any(-1, keepdim=True),
        lambda s, b: (
            s.masked_fill(b < 0, -math.inf).softmax(-1).nan_to_num()
        ),  # no gradient runs back through a filled cell
        lambda s, b: torch.where(empty(b), 0.0, opened(s, b)),
        lambda s, b: (s + b).exp() / ((s + b).exp().sum(-1, keepdim=True) + 1e-12),
        lambda s, b: s.exp() * (b == 0) / (s.exp() * (b == 0)).sum(-1, keepdim=True).clamp_min(1e-9),
        lambda s, b: (s + b.clamp(min=torch.finfo(s.dtype).min)).softmax(-1) * (b == 0),
        lambda s, b: (s + b.clamp(min=-1e9)).softmax(-1).masked_fill(empty(b), 0),
        lambda s, b: opened(s.double(), b.double()).masked_fill(empty(b), 0),
        lambda s, b: opened(s, b).clone().masked_fill_(empty(b), 0),
        lambda s, b: identity_values(s, b == 0),
        rows_of_zeros,
        only_the_others,
        an_extra_key,
    ],
}
WRONG = {
    ("word_mask", "inverted"): lambda lengths, total: torch.arange(total) < total - lengths[:, None],
    ("word_mask", "wrong side"): [
        lambda lengths, total: torch.arange(total) < lengths[:, None],
        lambda lengths, total: torch.arange(1, total + 1) <= lengths[:, None],
    ],
    ("word_mask", "wrong side, inverted"): [
        lambda lengths, total: torch.arange(total) >= lengths[:, None],
        lambda lengths, total: ~(torch.arange(total) < lengths[:, None]),
    ],
    ("word_mask", "one too many"): [
        lambda lengths, total: torch.arange(total) >= total - 1 - lengths[:, None],
        lambda lengths, total: torch.arange(1, total + 1) >= total - lengths[:, None],
    ],
    ("word_mask", "one too few"): lambda lengths, total: torch.arange(total) > total - lengths[:, None],
    ("word_mask", "one length for all"): lambda lengths, total: (torch.arange(total) >= total - max(lengths)).expand(
        len(lengths), -1
    ),
    ("word_mask", "as wide as the longest"): lambda lengths, total: (
        torch.arange(max(lengths)) >= max(lengths) - lengths[:, None]
    ),
    ("word_mask", "minus zero"): last_positions,
    ("word_mask", "nothing is blocked"): lambda lengths, total: torch.ones(len(lengths), total) > 0,
    ("attention_mask", "rows"): [
        lambda words: words[:, :, None].expand(-1, -1, words.shape[1]),
        lambda words: torch.stack([words] * words.shape[1], dim=2),
        lambda words: words.repeat_interleave(words.shape[1], dim=1).view(len(words), words.shape[1], -1),
    ],
    ("attention_mask", "rows and columns"): [
        lambda words: words[:, :, None] & words[:, None, :],
        lambda words: torch.bmm(words[:, :, None].float(), words[:, None, :].float()).bool(),
    ],
    ("attention_mask", "rows or columns"): lambda words: words[:, :, None] | words[:, None, :],
    ("attention_mask", "words among words, pads among pads"): lambda words: words[:, :, None] == words[:, None, :],
    ("attention_mask", "inverted"): lambda words: ~words[:, None, :].expand(-1, words.shape[1], -1),
    ("attention_mask", "rows, inverted"): lambda words: ~words[:, :, None].expand(-1, -1, words.shape[1]),
    ("attention_mask", "padding always on the right"): first_keys,
    ("attention_mask", "causal as well"): lambda words: keys(words).tril(),
    ("attention_mask", "causal only"): lambda words: torch.ones_like(keys(words)).tril(),
    ("attention_mask", "nothing is blocked"): lambda words: torch.ones_like(keys(words)),
    ("attention_mask", "diagonal open"): lambda words: keys(words) | torch.eye(words.shape[1]).bool(),
    ("attention_mask", "additive"): lambda words: torch.where(words, 0.0, -math.inf)[:, None, :].expand(
        -1, words.shape[1], -1
    ),
    ("attention_mask", "one row"): lambda words: words[:, None, :],
    ("attention_mask", "one sentence for all"): lambda words: words[0].expand(len(words), words.shape[1], -1),
    ("masked_weights", "no mask"): lambda scores, mask: scores.softmax(-1),
    ("masked_weights", "scaled twice"): lambda scores, mask: (fill(scores, mask) / math.sqrt(len(mask))).softmax(-1),
    ("masked_weights", "no softmax"): [
        lambda scores, mask: fill(scores, mask),
        lambda scores, mask: scores + fill(scores * 0, mask),
    ],
    ("masked_weights", "blocked scores of 0"): [
        lambda scores, mask: (scores * mask).softmax(-1),
        lambda scores, mask: fill(scores, mask, 0).softmax(-1),
        lambda scores, mask: fill(scores, mask, torch.finfo(scores.dtype).tiny).softmax(-1),
    ],
    ("masked_weights", "mask after the softmax"): [
        lambda scores, mask: scores.softmax(-1) * mask,
        lambda scores, mask: fill(scores.softmax(-1), mask, 0),
    ],
    ("masked_weights", "normalised along the wrong axis"): [
        lambda scores, mask: (scores.softmax(-1) * mask) / (scores.softmax(-1) * mask).sum(-1),
        lambda scores, mask: (scores.exp() * mask) / (scores.exp() * mask).sum(-1),
        lambda scores, mask: fill(scores, mask).exp() / fill(scores, mask).exp().sum(-1),
    ],
    ("masked_weights", "−∞ too late"): lambda scores, mask: fill(scores.softmax(-1), mask),
    ("masked_weights", "adds 0 and 1"): [
        lambda scores, mask: (scores + mask.float()).softmax(-1),
        lambda scores, mask: (scores - (~mask).float()).softmax(-1),
    ],
    ("masked_weights", "0 × −∞"): [
        lambda scores, mask: (scores + (~mask) * NONE).softmax(-1),
        lambda scores, mask: (scores + (1 - mask.float()) * NONE).softmax(-1),
    ],
    ("masked_weights", "+∞"): lambda scores, mask: fill(scores, mask, math.inf).softmax(-1),
    ("masked_weights", "inverted"): [
        lambda scores, mask: fill(scores, ~mask).softmax(-1),
        lambda scores, mask: torch.where(mask, NONE, scores).softmax(-1),
    ],
    ("masked_weights", "wrong axis"): lambda scores, mask: fill(scores, mask).softmax(0),
    ("masked_weights", "one softmax for all rows"): [
        lambda scores, mask: fill(scores, mask).flatten().softmax(0).view_as(scores),
        lambda scores, mask: fill(scores, mask).softmax(-1) / fill(scores, mask).softmax(-1).sum(),
        lambda scores, mask: (scores.softmax(-1) * mask) / (scores.softmax(-1) * mask).sum(),
    ],
    ("masked_weights", "only blocked keys"): [
        lambda scores, mask: (scores + 1e9 * ~mask).softmax(-1),
        lambda scores, mask: fill(scores, ~mask, -1e9).softmax(-1),
    ],
    ("masked_weights", "logarithms"): lambda scores, mask: F.log_softmax(fill(scores, mask), -1),
    ("masked_weights", "exp, not normalised"): [
        lambda scores, mask: fill(scores, mask).exp(),
        lambda scores, mask: scores.exp() * mask,
    ],
    ("masked_weights", "softmax twice"): [
        lambda scores, mask: fill(scores, mask).softmax(-1).softmax(-1),
        lambda scores, mask: fill(scores.softmax(-1), mask).softmax(-1),
        lambda scores, mask: (scores.softmax(-1) * mask).softmax(-1),
    ],
    ("masked_weights", "not quite −∞"): [
        lambda scores, mask: fill(scores, mask, -20).softmax(-1),
        lambda scores, mask: fill(scores, mask, -5).softmax(-1),
        lambda scores, mask: fill(scores, mask, -100).softmax(-1),
        lambda scores, mask: fill(scores, mask, scores.min()).softmax(-1),
        lambda scores, mask: fill(scores, mask).softmax(-1).clamp(min=1e-9),
    ],
    ("run_layer", "no mask"): [
        lambda layer, x, words: layer(x, x, x)[0],
        lambda layer, x, words: layer(x, x, x)[0] * words[..., None],
    ],
    ("run_layer", "zeros for the padding"): lambda layer, x, words: layer(
        x, x * words[..., None], x * words[..., None]
    )[0],
    ("run_layer", "inverted"): [
        lambda layer, x, words: layer(x, x, x, key_padding_mask=words)[0],
        lambda layer, x, words: layer(x, x, x, attn_mask=heads(layer, keys(words)))[0],
    ],
    ("run_layer", "a float is added"): [
        lambda layer, x, words: layer(x, x, x, key_padding_mask=1.0 - words.float())[0],
        lambda layer, x, words: layer(x, x, x, attn_mask=heads(layer, ~keys(words)).float())[0],
    ],
    ("run_layer", "a float is added, inverted"): lambda layer, x, words: layer(x, x, x, key_padding_mask=words.float())[
        0
    ],
    ("run_layer", "weights, not the output"): lambda layer, x, words: layer(x, x, x, key_padding_mask=~words)[1],
    ("run_layer", "heads mixed up"): lambda layer, x, words: layer(
        x, x, x, attn_mask=~keys(words).repeat(layer.num_heads, 1, 1)
    )[0],
    ("run_layer", "rows"): lambda layer, x, words: layer(x, x, x, attn_mask=heads(layer, ~keys(words).mT))[0],
    ("run_layer", "causal as well"): [
        lambda layer, x, words: layer(
            x, x, x, key_padding_mask=~words, attn_mask=torch.full((x.shape[1],) * 2, True).triu(1)
        )[0],
        lambda layer, x, words: layer(x, x, x, attn_mask=heads(layer, ~keys(words).tril()))[0],
    ],
    ("run_layer", "padding always on the right"): lambda layer, x, words: layer(
        x, x, x, key_padding_mask=torch.arange(x.shape[1]) >= words.sum(-1, keepdim=True)
    )[0],
    ("run_layer", "one sentence for all"): lambda layer, x, words: layer(
        x, x, x, key_padding_mask=(~words[0]).expand(len(x), -1)
    )[0],
    ("run_layer", "residual"): lambda layer, x, words: x + layer(x, x, x, key_padding_mask=~words)[0],
    ("run_layer", "NaN in the padding"): [
        lambda layer, x, words: layer(x, x, x, attn_mask=heads(layer, ~(keys(words) & keys(words).mT)))[0],
        lambda layer, x, words: layer(x, x, x, key_padding_mask=~words)[0].masked_fill(~words[..., None], math.nan),
    ],
    ("safe_weights", "NaN in the fully masked row"): [
        lambda scores, bias: (scores + bias).softmax(-1),
        lambda scores, bias: scores.masked_fill(bias == -math.inf, -math.inf).softmax(-1),
        lambda scores, bias: (scores + bias).exp() / (scores + bias).exp().sum(-1, keepdim=True),
        lambda scores, bias: (scores + bias).softmax(-1) * ~empty(bias),
        first_empty_row_only,
    ],
    ("safe_weights", "empty columns"): empty_columns,
    ("safe_weights", "no mask"): [
        lambda scores, bias: scores.softmax(-1),
        lambda scores, bias: scores.softmax(-1).masked_fill(empty(bias), 0),
        lambda scores, bias: (scores + bias.masked_fill(~empty(bias), 0)).softmax(-1),
    ],
    ("safe_weights", "multiplied"): [
        lambda scores, bias: (scores * bias).softmax(-1),
        lambda scores, bias: (scores * bias.masked_fill(empty(bias), 0)).softmax(-1).masked_fill(empty(bias), 0),
    ],
    ("safe_weights", "+∞"): lambda scores, bias: (scores - bias).softmax(-1),
    ("safe_weights", "wrong axis"): [
        lambda scores, bias: (scores + bias).softmax(0),
        lambda scores, bias: (scores + bias.masked_fill(empty(bias), 0)).softmax(0).masked_fill(empty(bias), 0),
    ],
    ("safe_weights", "mask after the softmax"): [
        lambda scores, bias: scores.softmax(-1) * (bias == 0),
        lambda scores, bias: scores.softmax(-1).masked_fill(bias < 0, 0),
    ],
    ("safe_weights", "no softmax"): [
        lambda scores, bias: scores + bias,
        lambda scores, bias: (scores + bias.masked_fill(empty(bias), 0)).masked_fill(empty(bias), 0),
    ],
    ("safe_weights", "−∞ too late"): [
        lambda scores, bias: opened(scores, bias).masked_fill(empty(bias), NONE),
        lambda scores, bias: scores.softmax(-1) + bias,
    ],
    ("safe_weights", "uniform"): [
        lambda scores, bias: (scores + bias.clamp(min=torch.finfo(torch.float32).min)).softmax(-1),
        lambda scores, bias: (scores + bias.clamp(min=-1e9)).softmax(-1),
        lambda scores, bias: opened(scores, bias).masked_fill(empty(bias), 1 / len(bias)),
        lambda scores, bias: (scores + bias).masked_fill(empty(bias), 0).softmax(-1),
    ],
    ("safe_weights", "not zeroed"): lambda scores, bias: (
        scores + bias.masked_fill((bias < 0).all(-1, keepdim=True), 0)
    ).softmax(-1),
    ("safe_weights", "large number"): [
        lambda scores, bias: (scores + bias.clamp(min=-1e4)).softmax(-1),
        lambda scores, bias: (scores + bias.nan_to_num(neginf=-1e6)).softmax(-1),
        lambda scores, bias: opened(scores, bias).masked_fill(empty(bias), 1),
        lambda scores, bias: (scores + torch.where(empty(bias) & (torch.arange(len(bias)) == 0), 0, bias)).softmax(-1),
    ],
    ("safe_weights", "any, not all"): lambda scores, bias: opened(scores, bias).masked_fill(
        (bias < 0).any(-1, keepdim=True), 0
    ),
    ("safe_weights", "no keepdim"): lambda scores, bias: torch.where(
        (bias < 0).all(-1), 0.0, (scores + bias.masked_fill((bias < 0).all(-1), 0)).softmax(-1)
    ),
    ("safe_weights", "not quite −∞"): lambda scores, bias: (
        (scores + bias.clamp(min=-20)).softmax(-1).masked_fill(empty(bias), 0)
    ),
    ("safe_weights", "NaN gradient"): [
        lambda scores, bias: torch.nan_to_num((scores + bias).softmax(-1), nan=0.0),
        lambda scores, bias: (scores + bias).softmax(-1).masked_fill(empty(bias), 0),
    ],
    ("safe_weights", "wrong gradient"): sum_detached,
}
L, PAD, words = 5, 0, torch.ones(3, 5, dtype=torch.bool)  # as the lesson has them


@cache
def verdict_on(name, misconception):
    """What the check says to the first wrong answer with this misconception."""
    answers = WRONG[name, misconception]
    return getattr(check, name)(answers[0] if isinstance(answers, list) else answers)


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("word_mask", lambda lengths, total: 1 / 0, "raised ZeroDivisionError: division by zero"),
        ("word_mask", lambda lengths: None, r"calls word_mask\(lengths, total\), but your function takes \(lengths\)"),
        ("word_mask", lambda lengths, total: [True], "must be a tensor, got a list"),
        (
            "word_mask",
            lambda lengths, total: (torch.arange(total) >= total - lengths[:, None]).float(),
            r"must be bool, got float32: .*\.bool\(\)",
        ),
        (
            "word_mask",
            lambda lengths, total: torch.ones(1, total, dtype=torch.bool),
            r"must have shape \(2, 6\), got \(1, 6\)",
        ),
        ("run_layer", lambda layer, x, words: layer(x, x, x, key_padding_mask=~words), "got a tuple of 2"),
        ("masked_weights", lambda scores, mask: scores.masked_fill_(~mask, -math.inf).softmax(-1), "changes its input"),
        ("masked_weights", lambda scores, mask: scores * 0, "some cells differ"),
        (
            "masked_weights",
            lambda s, m: row_by_row(s, m) * (torch.arange(len(s)) == 0)[:, None],
            "only the first row is filled",
        ),
        ("safe_weights", lambda scores, bias: scores.detach(), "no gradient can flow back"),
        ("safe_weights", lambda scores, bias: scores[0], r"must have shape \(4, 4\), got \(4,\)"),
        ("safe_weights", lambda scores, bias: scores.add_(bias).softmax(-1), "changes its input"),
        ("safe_weights", lambda scores, bias: scores.double() * 1, "some cells differ"),
        ("run_layer", lambda layer, x, words: x.double(), "some cells differ"),
        ("masked_weights", lambda scores, mask: scores.to_sparse(), "a plain tensor"),
        ("word_mask", lambda lengths, total: (torch.arange(total) >= lengths[:, None]).numpy(), "got a numpy array"),
        (
            "word_mask",
            lambda lengths, total: torch.arange(total)[:, None] >= total - lengths,
            "its last two axes are swapped",
        ),
        ("attention_mask", lambda words: words[:, None, None].expand(-1, 1, words.shape[1], -1), "size 1 is too many"),
        ("attention_mask", lambda words: keys(words)[0], "the first axis is missing"),
        ("word_mask", lambda n, total: torch.arange(total) >= total - n[0], r"did you take \[0\]"),
        ("word_mask", returned_in_the_loop, "Is the `return` inside the loop"),
        (
            "word_mask",
            lambda n, total: torch.arange(8)[:total] >= total - n[:, None],
            r"must have shape \(2, 12\), got \(2, 8\)",
        ),
        ("attention_mask", lambda words: keys(words).squeeze(), "an axis of size 1 is missing"),
        ("attention_mask", on_the_side_of_the_first_word, "some cells differ for 1 of 20 inputs"),
        (
            "run_layer",
            lambda layer, x, words: layer(x, x, x, attn_mask=~keys(words).repeat_interleave(2, 0))[0],
            "layer.num_heads heads",
        ),
        (
            "run_layer",
            lambda layer, x, words: layer(x, x, x, src_key_padding_mask=~words)[0],
            "In nn.MultiheadAttention it is key_padding_mask",
        ),
        (
            "run_layer",
            lambda layer, x, words: layer(*[x.transpose(0, 1)] * 3, key_padding_mask=~words)[0].transpose(0, 1),
            "nothing to transpose",
        ),
        ("run_layer", lambda layer, x, words: layer(x, x, x, attn_mask=~words)[0], "is the key_padding_mask"),
        ("masked_weights", lambda s, m: s.masked_fill(~m, -inf).softmax(-1), "Infinity is math.inf"),  # noqa: F821
        ("safe_weights", returned_at_the_first_empty_row, "returned nothing for some inputs"),
        ("attention_mask", lambda words: keys(torch.where(words, 0.0, -1e9)), "this is the additive form"),
        ("masked_weights", lambda scores, mask: fill(scores, mask).half().softmax(-1), "some cells differ"),
        ("masked_weights", lambda scores, mask: scores.masked_fill(mask.float(), NONE), r"\.bool\(\) converts"),
        ("masked_weights", lambda scores, mask: fill(scores, mask.T).softmax(-1), "some numbers are NaN"),
        ("run_layer", lambda layer, x, words: layer(x, x, x, attn_mask=~words)[0], r"is_word of shape \(2, 6\)"),
    ],
)
def test_other_answers_get_a_sentence_too(name, answer, words):
    verdict = getattr(check, name)(answer)
    assert verdict.state == "wrong"
    assert re.search(words, repr(verdict)), verdict


# --- what the gradient shows ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [written_into_softmax, written_into_softmax_by_method])
def test_writing_into_softmaxs_result_is_named_and_is_no_error_of_autograd(answer):
    verdict = check.safe_weights(answer)
    assert verdict.misconception == "written in place"
    assert "writes into softmax's result" in verdict.message and "torch.where" in verdict.message


@pytest.mark.parametrize("answer", [
    only_in_no_grad,
    lambda scores, bias: opened(scores, bias).masked_fill(empty(bias), 0).detach(),
    lambda scores, bias: torch.tensor(opened(scores, bias).masked_fill(empty(bias), 0).tolist()),
])  # fmt: skip
def test_right_weights_without_a_gradient_are_told_about_detach(answer):
    verdict = check.safe_weights(answer)
    assert verdict.misconception == "cut off"
    for cut in ("`detach`", "`no_grad`", "torch.tensor"):
        assert cut in verdict.message
    assert verdict.message.startswith("the values are right, but no gradient flows back: ")


@pytest.mark.parametrize("answer", [torch.zeros_like, torch.rand_like, lambda s: nn.Parameter(torch.ones_like(s)) * 1])
def test_weights_that_do_not_come_from_the_scores_are_not_told_about_detach(answer):
    verdict = check.safe_weights(lambda scores, bias: answer(scores))
    assert verdict.misconception == "unrelated" and "detach" not in verdict.message


# --- right, and what to know ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [
    lambda scores, mask: (scores.softmax(-1) * mask) / (scores.softmax(-1) * mask).sum(-1, keepdim=True),
    lambda scores, mask: (scores.exp() * mask) / (scores.exp() * mask).sum(-1, keepdim=True),
])  # fmt: skip
def test_masking_after_the_softmax_and_sharing_out_again_is_right_with_a_note(answer):
    verdict = check.masked_weights(answer)
    assert (verdict.state, verdict.note) == ("right", "mask after the softmax, normalised")
    assert "200 apart" in verdict.message
    far = torch.tensor([[0.0, 200.0]])
    assert not answer(far, torch.tensor([[True, False]])).isfinite().all()  # the note is true


@pytest.mark.parametrize("value", [-1e4, -1e9, torch.finfo(torch.float32).min])
def test_a_large_number_in_place_of_infinity_is_right_with_a_note(value):
    verdict = check.masked_weights(lambda scores, mask: fill(scores, mask, value).softmax(-1))
    assert (verdict.state, verdict.note) == ("right", "a large number for −∞")
    assert "fully masked row" in verdict.message


@pytest.mark.parametrize("answer", [exp_by_hand, exp_times_mask])
def test_exp_by_hand_is_right_with_a_note(answer):
    verdict = check.safe_weights(answer)
    assert (verdict.state, verdict.note) == ("right", "exp by hand")
    assert answer(torch.full((1, 2), 200.0), torch.zeros(1, 2)).isnan().all()  # the note is true


@pytest.mark.parametrize("answer", RIGHT["safe_weights"][:3])
def test_torchs_softmax_needs_no_note(answer):
    assert check.safe_weights(answer).note == ""


@pytest.mark.parametrize(("name", "misconception", "lie"), [
    ("masked_weights", "not quite −∞", r"exp\(−20\)|a little"),
    ("safe_weights", "large number", "large number"),
    ("safe_weights", "uniform", "finite number"),
])  # fmt: skip
def test_a_sentence_claims_nothing_that_another_answer_with_this_symptom_did_not_do(name, misconception, lie):
    assert not re.search(lie, verdict_on(name, misconception).message)


@pytest.mark.parametrize(("name", "answer"), [
    ("masked_weights", lambda scores, mask: fill(scores, mask).softmax(-1).detach()),
    ("masked_weights", torch.no_grad()(lambda scores, mask: fill(scores, mask).softmax(-1))),
    ("masked_weights", lambda scores, mask: torch.tensor(fill(scores, mask).softmax(-1).tolist())),
    ("run_layer", without_gradient),
    ("run_layer", lambda layer, x, words: layer(x, x, x, key_padding_mask=~words)[0].detach()),
])  # fmt: skip
def test_a_right_answer_without_a_gradient_gets_a_note(name, answer):
    verdict = getattr(check, name)(answer)
    assert (verdict.state, verdict.note) == ("right", "no gradient")
    assert "useless for training" in verdict.message


def test_a_notebook_that_has_switched_gradients_off_accuses_nobody():
    with torch.no_grad():
        assert check.masked_weights(RIGHT["masked_weights"][0]).note == ""
        assert check.run_layer(RIGHT["run_layer"][0]).note == ""


@pytest.mark.parametrize("answer", RIGHT["masked_weights"][:2])
def test_the_usual_answers_need_no_note(answer):
    assert check.masked_weights(answer).note == ""


# --- variables of the notebook ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "answer", "named"), [
    ("word_mask", lambda lengths, total: torch.arange(L) >= L - lengths[:, None], "`L` from the notebook"),
    ("attention_mask", lambda is_word: is_word[:, None, :].expand(-1, L, -1), "`L` from the notebook"),
    ("attention_mask", lambda is_word: keys(words), "`words` from the notebook"),
    ("masked_weights", lambda s, m: fill(s, words[0].expand(L, L)).softmax(-1), "`words` and `L` from the notebook"),
    ("run_layer", lambda layer, x, is_word: layer(x, x, x, key_padding_mask=~words)[0], "`words` from the notebook"),
    ("safe_weights", lambda s, b: opened(s, b).masked_fill(empty(b).expand(L, L), 0), "`L` from the notebook"),
])  # fmt: skip
def test_a_variable_of_the_notebook_gets_a_sentence_of_its_own(name, answer, named):
    verdict = getattr(check, name)(answer)
    assert verdict.misconception == "notebook's variable"
    assert named in verdict.message and f"arguments ({getattr(check, name).takes})" in verdict.message


def test_a_variable_of_the_notebook_that_may_be_harmless_is_not_accused():
    verdict = check.word_mask(lambda lengths, total: torch.arange(total) >= total - lengths[:, None] + PAD + 2)
    assert "If that depends on the batch, take it from the arguments" in verdict.message


def test_constants_and_helpers_of_the_notebook_are_not_accused():
    assert check.masked_weights(lambda scores, mask: fill(scores, mask, NONE) * math.pi).misconception == ""


# --- modules, and random numbers --------------------------------------------------------------------------------------


def spoils_the_layer(layer, x, words):
    layer.batch_first = False
    x = x.transpose(0, 1)
    return layer(x, x, x, key_padding_mask=~words)[0].transpose(0, 1)


def empties_the_layer(layer, x, words):
    layer.out_proj.weight.data.zero_()
    return layer(x, x, x, key_padding_mask=~words)[0]


@pytest.mark.parametrize("answer", [spoils_the_layer, empties_the_layer, lambda layer, x, words: layer.train() and x])
def test_a_layer_that_was_changed_is_named_and_poisons_no_later_check(answer):
    verdict = check.run_layer(answer)
    assert verdict.misconception == "edits" and "`layer`" in verdict.message
    assert check.run_layer(RIGHT["run_layer"][0]).state == "right"


def test_an_answer_drawn_at_random_is_told_apart():
    verdict = check.word_mask(lambda lengths, total: torch.rand(len(lengths), total) < 0.5)
    assert verdict.misconception == "random" and "a different answer each time" in verdict.message


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_a_difference_is_drawn():
    verdict = verdict_on("masked_weights", "wrong axis")
    yours, right = verdict.panels
    assert yours.marks.any()
    assert right.marks is None
    assert torch.allclose(right.values.sum(-1), torch.ones(right.values.shape[0]))


def test_the_picture_of_word_masks_shows_the_lengths():
    yours, right = verdict_on("word_mask", "one too few").panels
    lengths = [int(row.split()[0]) for row in right.rows]
    assert lengths == right.values.sum(-1).tolist()
    assert {row.split()[1] for row in right.rows} <= {"word", "words"} and right.title == "the right answer"


def test_the_picture_of_attention_masks_shows_which_positions_are_padding():
    yours, right = verdict_on("attention_mask", "rows").panels
    assert [name == "[PAD]" for name in right.columns] == list(right.column_pads)
    assert (~right.values).all(dim=0).tolist() == list(right.column_pads)


@pytest.mark.parametrize("name", ["masked_weights", "safe_weights"])
def test_the_picture_of_weights_hatches_the_blocked_cells(name):
    yours, right = verdict_on(name, "no mask").panels
    assert torch.equal(yours.blocked, right.blocked) and yours.blocked.any()
    assert (right.values[right.blocked] == 0).all() and (yours.values[yours.blocked] != 0).any()
    assert "Blocked cells are hatched." in yours.meaning


def test_cells_are_counted_in_idiomatic_english():
    one_cell = check.word_mask(lambda lengths, total: loop_over_sentences(lengths, total).logical_xor(
        torch.arange(total) + torch.arange(len(lengths))[:, None] == 0))  # fmt: skip
    assert one_cell.panels[0].meaning == "✗ marks 1 cell that differs."
    assert verdict_on("word_mask", "one too few").panels[0].meaning == "✗ marks 2 cells that differ."


def test_a_difference_too_small_to_be_read_is_said():
    verdict = check.masked_weights(lambda scores, mask: fill(scores, mask).softmax(-1).round(decimals=2))
    assert re.search(r"by 0\.00\d at most", verdict.panels[0].meaning)


def test_a_wrong_answer_shows_its_sentence_and_a_picture_in_words_too(monkeypatch, capsys):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    verdict = verdict_on("masked_weights", "wrong axis")
    verdict._ipython_display_()
    assert capsys.readouterr().out == f"{verdict}\n"
    assert shown[0].data.startswith(b"\x89PNG")
    assert shown[0].alt.startswith(f"{verdict}: ") and "cells that differ" in shown[0].alt
