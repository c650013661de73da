"""Answers to each check of lesson 07, right and wrong, which test_checks.py tries, and what its sentences claim."""

import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masklab.check import cases, oracles
from masklab.check import combined_masks as check
from masklab.models import positions_of

NONE = -math.inf

# Answers as learners write them, apart from the checks' own code.


def key(words: Tensor) -> Tensor:
    return words[:, None, None, :]


def query(words: Tensor) -> Tensor:
    return words[:, None, :, None]


def past(words: Tensor, diagonal: int = 0) -> Tensor:
    return torch.ones(words.shape[1], words.shape[1]).tril(diagonal).bool()


def both(words: Tensor) -> Tensor:
    return key(words) & past(words)


def bias(mask: Tensor, value: float = NONE) -> Tensor:
    return torch.zeros(mask.shape).masked_fill(~mask, value)


def cell_by_cell(words):
    result = torch.full((len(words), 1, words.shape[1], words.shape[1]), NONE)
    for b, sentence in enumerate(words):
        for q in range(len(sentence)):
            for k in range(q + 1):
                if sentence[k]:
                    result[b, 0, q, k] = 0
    return result


def number_by_number(words):
    numbers = torch.zeros(words.shape, dtype=torch.long)
    for b, sentence in enumerate(words):
        numbers[b, sentence] = torch.arange(int(sentence.sum()))
    return numbers


def one_count_for_all(words):
    numbers = torch.zeros(words.shape, dtype=torch.long)
    for count, (b, p) in enumerate(words.nonzero().tolist()):
        numbers[b, p] = count
    return numbers


def from_the_first_word(words):
    numbers = torch.zeros(words.shape, dtype=torch.long)
    for b, sentence in enumerate(words):
        first = sentence.nonzero()[0]  # there is one: each sentence has a word
        numbers[b, first:] = torch.arange(words.shape[1] - int(first))
    return numbers * words


def place(words: Tensor) -> Tensor:
    return torch.arange(words.shape[1]).expand(words.shape)


def head_by_head(mask, heads):
    return torch.stack([~mask[b, h % mask.shape[1]] for b in range(len(mask)) for h in range(heads)])


def merged(mask: Tensor, heads: int) -> Tensor:
    return mask.expand(-1, heads, -1, -1).flatten(0, 1)


def three(source, target):
    return key(source), both(target), key(source)


def nested(source, target):
    return torch.nested.nested_tensor([source[0], target[0]], layout=torch.jagged)


def three_full(source, target):
    return (
        key(source).expand(-1, 1, source.shape[1], -1),
        both(target),
        key(source).expand(-1, 1, target.shape[1], -1),
    )


def empty(mask: Tensor) -> Tensor:
    return ~mask.any(-1, keepdim=True)


def eye(mask: Tensor) -> Tensor:
    return torch.eye(mask.shape[-1]).bool()


def row_by_row(mask):
    mask = mask.clone()
    for sentence in mask[:, 0]:
        for q in range(len(sentence)):
            if not sentence[q].any():
                sentence[q, q] = True
    return mask


def by_index(mask):
    mask = mask.clone()
    b, h, q = empty(mask)[..., 0].nonzero(as_tuple=True)
    mask[b, h, q, q] = True
    return mask


def first_empty_row_only(mask):
    mask = mask.clone()
    for sentence in mask[:, 0]:
        for q in range(len(sentence)):
            if not sentence[q].any():
                sentence[q, q] = True
                break
    return mask


def in_place(mask):
    mask |= empty(mask) & eye(mask)
    return mask


RIGHT = {
    "combined_bias": [
        lambda words: bias(both(words)),
        lambda words: torch.where(both(words), 0.0, NONE),
        lambda words: bias(key(words)) + bias(past(words)),  # −∞ + −∞ is −∞
        lambda words: bias(key(words)) + torch.full((words.shape[1],) * 2, NONE).triu(1),
        lambda words: both(words).log(),
        lambda words: both(words).double().log(),
        lambda words: bias(both(words)).half(),
        lambda words: bias(key(words).expand(-1, 1, words.shape[1], -1).tril()),
        lambda words: torch.full_like(both(words), NONE, dtype=torch.float).masked_fill(both(words), 0),
        lambda words: torch.minimum(bias(key(words)), bias(past(words))),
        lambda words: -torch.where(both(words), 0, math.inf),
        lambda words: 1 - 1 / both(words).float(),
        lambda words: torch.from_numpy(np.where(both(words).numpy(), 0, -np.inf)),
        lambda words: torch.stack([bias(row[None] & past(words))[None] for row in words]),
        lambda words: nn.Parameter(bias(both(words))) * 1,
        cell_by_cell,
    ],
    "position_ids": [
        lambda words: (words.cumsum(-1) - 1).clamp(min=0),
        lambda words: (words.cumsum(-1) - 1) * words,
        lambda words: (words.cumsum(-1) - 1).masked_fill(~words, 1),  # as Transformers does it
        lambda words: words.cumsum(-1) - words.long(),
        lambda words: torch.relu(words.cumsum(-1) - 1),
        lambda words: torch.where(words, words.cumsum(-1) - 1, 0),
        lambda words: (words.cumsum(-1) - 1).abs(),
        lambda words: (words.cumsum(-1) - 1) % words.shape[1],
        lambda words: (words.cumsum(-1) - 1).clamp(min=0).int(),
        lambda words: (words.float().cumsum(-1) - 1).clamp(min=0).long(),
        lambda words: F.pad(words.cumsum(-1), (1, 0))[:, :-1],
        lambda words: (words[:, None] & past(words, -1)).sum(-1),
        lambda words: torch.maximum(words.cumsum(-1) - 1, torch.tensor(0)),
        lambda words: torch.from_numpy(np.maximum(words.numpy().cumsum(-1) - 1, 0)),
        lambda words: torch.tensor(
            [[max(sum(row[: i + 1]) - 1, 0) for i in range(len(row))] for row in words.tolist()]
        ),
        number_by_number,
        positions_of,
    ],
    "for_multihead": [
        lambda mask, heads: (~mask).expand(-1, heads, -1, -1).flatten(0, 1),
        lambda mask, heads: (~mask).expand(-1, heads, -1, -1).reshape(-1, *mask.shape[2:]),
        lambda mask, heads: (~mask).repeat_interleave(heads // mask.shape[1], 1).flatten(0, 1),
        lambda mask, heads: (~mask).repeat(1, heads // mask.shape[1], 1, 1).view(-1, *mask.shape[2:]),
        lambda mask, heads: (~mask).flatten(0, 1).repeat_interleave(heads // mask.shape[1], 0),
        lambda mask, heads: (
            (~mask).flatten(0, 1) if mask.shape[1] == heads else (~mask[:, 0]).repeat_interleave(heads, 0)
        ),
        lambda mask, heads: torch.broadcast_to(~mask, (len(mask), heads, *mask.shape[2:])).flatten(0, 1),
        lambda mask, heads: torch.logical_not(mask | torch.zeros(heads, 1, 1).bool()).flatten(0, 1),
        lambda mask, heads: torch.cat([one.expand(heads, -1, -1) for one in ~mask]),
        lambda mask, heads: merged(1 - mask.float(), heads).bool(),
        lambda mask, heads: merged(mask, heads).logical_not(),
        lambda mask, heads: merged(torch.where(mask, False, True), heads),
        lambda mask, heads: ~torch.vmap(lambda one: one.expand(heads, -1, -1).clone())(mask).flatten(0, 1),
        lambda mask, heads: torch.stack([~one for sentence in mask for one in sentence.expand(heads, -1, -1)]),
        lambda mask, heads: merged(mask, heads) == 0,
        head_by_head,
    ],
    "decoder_masks": [
        three,
        three_full,
        lambda source, target: list(three(source, target)),
        lambda source, target: tuple(oracles.encoder_decoder_masks(source, target).values()),
        lambda source, target: (three_full(source, target)[0], both(target), key(source)),
        lambda source, target: (key(source), both(target), three_full(source, target)[2]),
        lambda source, target: (key(source), key(target).expand(-1, 1, target.shape[1], -1).tril(), key(source)),
        lambda source, target: (key(source), torch.logical_and(key(target), past(target)[None, None]), key(source)),
        lambda source, target: (key(source), ~(~key(target) | ~past(target)), ~~key(source)),
        lambda source, target: (key(source), key(target) * past(target), key(source)),
        lambda source, target: (key(source), bias(both(target)) == 0, bias(key(source)) == 0),
        lambda source, target: (key(source), both(target), torch.ones_like(query(target)) & key(source)),
        lambda source, target: (source.view(len(source), 1, 1, -1), both(target), source.unsqueeze(1).unsqueeze(1)),
        lambda source, target: (key(source) | torch.zeros(source.shape[1], 1).bool(), both(target), key(source)),
        lambda source, target: (
            key(source),
            (place(target)[0][:, None] >= place(target)[0]) & key(target),
            key(source),
        ),
    ],
    "no_empty_rows": [
        lambda mask: mask | (empty(mask) & eye(mask)),
        lambda mask: torch.where(empty(mask), eye(mask), mask),
        lambda mask: mask | ((mask.sum(-1, keepdim=True) == 0) & eye(mask)),
        lambda mask: mask | ((~mask).all(-1, keepdim=True) & eye(mask)),
        lambda mask: mask.masked_fill(empty(mask) & eye(mask), True),
        lambda mask: mask | torch.diag_embed(~mask.any(-1)),
        lambda mask: mask ^ (empty(mask) & eye(mask)),
        lambda mask: (mask.float() + (empty(mask) & eye(mask)).float()) > 0,
        lambda mask: mask | (eye(mask) & empty(mask).mT),  # the diagonal is the same either way
        lambda mask: torch.maximum(mask, empty(mask) & eye(mask)),
        lambda mask: torch.logical_or(mask, torch.logical_and(empty(mask), eye(mask))),
        lambda mask: ~(~mask & ~(empty(mask) & eye(mask))),
        lambda mask: (mask.int() + (empty(mask) & eye(mask)).int()).bool(),
        lambda mask: in_place(mask.clone()),
        row_by_row,
        by_index,
    ],
}
WRONG = {
    ("combined_bias", "padding only"): lambda words: bias(key(words).expand(-1, 1, words.shape[1], -1)),
    ("combined_bias", "causal only"): lambda words: bias(past(words)).expand(len(words), 1, -1, -1),
    ("combined_bias", "or"): lambda words: bias(key(words) | past(words)),
    ("combined_bias", "rows"): lambda words: bias(query(words) & past(words)),
    ("combined_bias", "rows as well as columns"): lambda words: bias(query(words) & both(words)),
    ("combined_bias", "past blocked"): lambda words: bias(key(words) & past(words).T),
    ("combined_bias", "transposed"): lambda words: bias(both(words)).mT,
    ("combined_bias", "diagonal blocked"): lambda words: bias(key(words) & past(words, -1)),
    ("combined_bias", "one too far"): lambda words: bias(key(words) & past(words, 1)),
    ("combined_bias", "diagonal open"): lambda words: bias(both(words) | eye(words)),
    ("combined_bias", "words blocked"): lambda words: bias(~key(words) & past(words)),
    ("combined_bias", "inverted"): lambda words: bias(~both(words)),
    ("combined_bias", "nothing is blocked"): lambda words: torch.zeros(both(words).shape),  # masked_fill's is dropped
    ("combined_bias", "+∞"): lambda words: bias(both(words), math.inf),
    ("combined_bias", "ones"): lambda words: both(words).float(),
    ("combined_bias", "two large numbers added"): lambda words: (
        bias(key(words), torch.finfo(torch.float).min) + bias(past(words), torch.finfo(torch.float).min)
    ),
    ("combined_bias", "finite"): lambda words: bias(both(words), -1e9),
    ("combined_bias", "0 × −∞"): lambda words: (1 - both(words).float()) * NONE,
    ("combined_bias", "bool"): both,
    ("combined_bias", "no head axis"): lambda words: bias(both(words))[:, 0],
    ("combined_bias", "fully masked rows opened"): lambda words: bias(both(words) | empty(both(words))),
    ("position_ids", "padding counted"): place,
    ("position_ids", "from 1"): lambda words: words.cumsum(-1),
    ("position_ids", "padding always on the left"): lambda words: place(words) - (~words).sum(-1, keepdim=True),
    ("position_ids", "pads numbered"): lambda words: ((~words).cumsum(-1) - 1).clamp(min=0),
    ("position_ids", "how many words"): lambda words: words.sum(-1),
    ("position_ids", "backwards"): lambda words: (words.flip(-1).cumsum(-1).flip(-1) - 1).clamp(min=0),
    ("position_ids", "wrong axis"): lambda words: (words.cumsum(0) - 1).clamp(min=0),
    ("position_ids", "runs on"): [
        lambda words: words.flatten().cumsum(0).view_as(words) - 1,
        lambda words: (words.flatten().cumsum(0).view_as(words) - 1).clamp(min=0),
        one_count_for_all,
    ],
    ("position_ids", "no such position"): lambda words: words.cumsum(-1) - 1,
    ("position_ids", "not an index"): lambda words: (words.float().cumsum(-1) - 1).clamp(min=0),
    ("for_multihead", "not inverted"): merged,
    ("for_multihead", "heads mixed up"): lambda mask, heads: (~mask[:, 0]).repeat(heads, 1, 1),
    ("for_multihead", "heads mixed up, not inverted"): lambda mask, heads: mask[:, 0].repeat(heads, 1, 1),
    ("for_multihead", "first head for all"): lambda mask, heads: (~mask[:, 0]).repeat_interleave(heads, 0),
    ("for_multihead", "one mask for each sentence"): lambda mask, heads: ~mask[:, 0],
    ("for_multihead", "four axes"): lambda mask, heads: ~mask.expand(-1, heads, -1, -1),
    ("for_multihead", "repeated twice"): lambda mask, heads: (~mask).squeeze(1).repeat_interleave(heads, dim=0),
    ("decoder_masks", "causal only"): lambda source, target: (key(source), past(target)[None, None], key(source)),
    ("decoder_masks", "padding only"): lambda source, target: (key(source), key(target), key(source)),
    ("decoder_masks", "or"): lambda source, target: (key(source), key(target) | past(target), key(source)),
    ("decoder_masks", "rows as well as columns"): lambda source, target: (
        key(source), both(target) & query(target), key(source)
    ),
    ("decoder_masks", "rows"): lambda source, target: (key(source), query(target) & past(target), key(source)),
    ("decoder_masks", "past blocked"): lambda source, target: (key(source), key(target) & past(target).T, key(source)),
    ("decoder_masks", "transposed"): lambda source, target: (key(source), both(target).mT, key(source)),
    ("decoder_masks", "diagonal blocked"): lambda source, target: (
        key(source), key(target) & past(target, -1), key(source)
    ),
    ("decoder_masks", "one too far"): lambda source, target: (key(source), key(target) & past(target, 1), key(source)),
    ("decoder_masks", "diagonal open"): lambda source, target: (key(source), both(target) | eye(target), key(source)),
    ("decoder_masks", "words blocked"): lambda source, target: (key(~source), both(~target), key(~source)),
    ("decoder_masks", "fully masked rows opened"): lambda source, target: (
        key(source), row_by_row(both(target)), key(source)
    ),
    ("decoder_masks", "causal where the source is read"): lambda source, target: (
        key(source), both(target), key(source) & torch.ones(target.shape[1], source.shape[1]).tril().bool()
    ),
    ("decoder_masks", "the target's pads in the cross mask"): lambda source, target: (
        key(source), both(target), key(target)
    ),
    ("decoder_masks", "rows as well as columns, of the source or the cross mask"): lambda source, target: (
        key(source) & query(source), both(target), key(source)
    ),
    ("decoder_masks", "rows of the source or the cross mask"): lambda source, target: (
        key(source), both(target), query(target)
    ),
    ("decoder_masks", "inverted"): lambda source, target: tuple(~mask for mask in three(source, target)),
    ("decoder_masks", "nothing is blocked"): lambda source, target: (
        key(source), both(target), torch.ones_like(key(source))
    ),
    ("no_empty_rows", "unchanged"): lambda mask: mask | (mask.all(-1, keepdim=True) & eye(mask)),
    ("no_empty_rows", "inverted"): [
        lambda mask: ~row_by_row(mask),
        lambda mask: mask & ~(mask.all(-1, keepdim=True) & eye(mask)),
    ],
    ("no_empty_rows", "empty columns"): lambda mask: mask | (~mask.any(-2, keepdim=True) & eye(mask)),
    ("no_empty_rows", "other rows opened"): lambda mask: mask | eye(mask),
    ("no_empty_rows", "whole row opened"): lambda mask: mask | empty(mask),
    ("no_empty_rows", "column opened"): lambda mask: mask | empty(mask).mT,
    ("no_empty_rows", "no keepdim"): lambda mask: mask | (~mask.any(-1) & eye(mask)),
    ("no_empty_rows", "rows with keys changed"): lambda mask: torch.where(empty(mask), mask, eye(mask)),
    ("no_empty_rows", "more than itself"): lambda mask: mask | (empty(mask) & torch.ones_like(mask).tril()),
    ("no_empty_rows", "still empty"): first_empty_row_only,
}  # fmt: skip
# More forms of these, and of what every exercise knows.
FORMS = [
    ("combined_bias", "padding only", lambda words: bias(key(words))),
    ("combined_bias", "causal only", lambda words: bias(past(words))),
    ("combined_bias", "or", lambda words: bias(key(words) + past(words))),
    ("combined_bias", "past blocked", lambda words: bias(key(words) & past(words).logical_not())),
    ("combined_bias", "inverted", lambda words: torch.zeros(both(words).shape).masked_fill(both(words), NONE)),
    ("combined_bias", "ones", lambda words: (~both(words)).float()),
    ("combined_bias", "ones", lambda words: both(words).long()),
    ("combined_bias", "ones", lambda words: bias(past(words)) + (~key(words)).float()),
    ("combined_bias", "two large numbers added", lambda words: bias(key(words), -3e38) + bias(past(words), -3e38)),
    ("combined_bias", "finite", lambda words: bias(key(words), -1e9) + bias(past(words), -1e9)),
    ("combined_bias", "finite", lambda words: bias(key(words)) + bias(past(words), -1e9)),
    ("combined_bias", "finite", lambda words: bias(both(words)).nan_to_num()),
    ("combined_bias", "0 × −∞", lambda words: (~key(words)) * NONE + (~past(words)) * NONE),
    ("combined_bias", "0 × −∞", lambda words: bias(key(words)) + torch.ones(past(words).shape).triu(1) * NONE),
    ("combined_bias", "fully masked rows opened", lambda words: bias(row_by_row(both(words)))),
    ("combined_bias", "NaN", lambda words: bias(both(words)).softmax(-1)),
    ("position_ids", "padding counted", lambda words: place(words) * words),
    ("position_ids", "padding counted", lambda words: torch.arange(words.shape[1])),
    ("position_ids", "padding counted", lambda words: torch.arange(words.shape[1])[None]),
    ("position_ids", "padding counted", lambda words: place(words).float()),
    ("position_ids", "from 1", lambda words: words.cumsum(-1) * words),
    ("position_ids", "no such position", lambda words: words.cumsum(-1) * words - 1),
    ("position_ids", "no such position", lambda words: (words.cumsum(-1) - 1).masked_fill(~words, 9999)),
    ("position_ids", "no such position", lambda words: place(words) - words.int().argmax(-1, keepdim=True)),
    ("position_ids", "pads numbered", lambda words: (~words).cumsum(-1)),
    ("position_ids", "not an index", lambda words: (words.cumsum(-1) - 1).clamp(min=0).to(torch.int8)),
    ("for_multihead", "heads mixed up", lambda mask, heads: torch.cat([~mask[:, 0]] * heads)),
    ("for_multihead", "heads mixed up", lambda m, heads: merged(~m.expand(-1, heads, -1, -1).transpose(0, 1), len(m))),
    ("for_multihead", "four axes", lambda mask, heads: mask),
    ("for_multihead", "one mask for each sentence", lambda mask, heads: mask.squeeze(1)),
    ("for_multihead", "one mask for each sentence", lambda mask, heads: ~mask.flatten(0, 1)),
    ("for_multihead", "one mask for each sentence", lambda mask, heads: mask.flatten(0, 1)),
    ("for_multihead", "repeated twice", lambda mask, heads: (~mask).repeat_interleave(heads, 1).flatten(0, 1)),
    ("for_multihead", "edits", lambda mask, heads: merged(mask.logical_not_(), heads)),
    ("decoder_masks", "causal where the source is read", lambda s, t: (both(s), both(t), key(s))),
    ("decoder_masks", "inverted", lambda source, target: (~key(source), both(target), key(source))),
    (
        "decoder_masks",
        "rows as well as columns, of the source or the cross mask",
        lambda source, target: (key(source), both(target), key(source) & query(target)),
    ),
    ("decoder_masks", "the target's pads in the cross mask", lambda source, target: (key(source), *[both(target)] * 2)),
    (
        "decoder_masks",
        "the target's pads in the cross mask",
        lambda source, target: (key(source), both(target), key(target).expand(-1, 1, target.shape[1], -1)),
    ),
    ("decoder_masks", "nothing is blocked", lambda s, t: tuple(torch.ones_like(mask) for mask in three(s, t))),
    ("no_empty_rows", "unchanged", lambda mask: mask),
    ("no_empty_rows", "edits", in_place),
    ("no_empty_rows", "more than itself", lambda mask: mask | (empty(mask) & (torch.arange(mask.shape[-1]) == 0))),
    ("no_empty_rows", "more than itself", lambda mask: mask | (empty(mask) & (eye(mask) | eye(mask).roll(1, -1)))),
    ("no_empty_rows", "rows with keys changed", lambda mask: empty(mask) & eye(mask)),
    ("no_empty_rows", "other rows opened", lambda mask: mask | (empty(mask).any(-2, keepdim=True) & eye(mask))),
]  # fmt: skip
L, words = 5, torch.ones(3, 5, dtype=torch.bool)  # as the lesson has them


@pytest.mark.parametrize("answer", RIGHT["position_ids"])
def test_counted_words_need_no_note(answer):
    assert check.position_ids(answer).note == ""


@pytest.mark.parametrize(("name", "misconception", "answer"), FORMS)
def test_another_form_of_a_wrong_answer_is_known_too(name, misconception, answer):
    verdict = getattr(check, name)(answer)
    assert (verdict.state, verdict.misconception) == ("wrong", misconception), verdict


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("combined_bias", lambda words: key(words) and past(words), "write & | ~ in place of and"),
        ("combined_bias", lambda words: ~both(words), "must hold numbers"),
        ("combined_bias", lambda words: bias(both(words)).squeeze(), "an axis of size 1 is missing"),
        ("combined_bias", lambda words: bias(words[None, :, None] & past(words)), "of size 1 is in the wrong place"),
        ("combined_bias", lambda words: key(words) & past(words).float(), "~ & | need bool tensors"),
        ("combined_bias", lambda words: list(bias(both(words))), "got a list"),
        ("combined_bias", lambda words: bias(both(words)).to_sparse(), "a plain tensor"),
        ("position_ids", lambda words: words.cumsum(-1) > 1, "must hold numbers"),
        ("position_ids", lambda words: words[0].cumsum(-1), "the first axis is missing"),
        ("position_ids", lambda words: words.cumsum(-1).to_sparse(), "a plain tensor"),
        ("position_ids", lambda words: words.cumsum(-1) + 1j, "a plain tensor"),
        ("position_ids", lambda words: words.cumsum(-1) + 1, "some cells differ"),
        ("for_multihead", lambda mask, heads: bias(merged(mask, heads)), "this is the additive form"),
        ("for_multihead", lambda mask, heads: merged(~mask, heads).float(), r"\.bool\(\) converts"),
        ("for_multihead", lambda mask, heads: merged(~mask, 2), "must match the existing size"),
        ("for_multihead", lambda mask, heads: -mask, "heads = 2"),
        ("decoder_masks", lambda source, target: both(target), "must be a tuple of 3, got a Tensor"),
        ("decoder_masks", lambda source, target: three(source, target)[:2], "must be a tuple of 3, got a tuple of 2"),
        ("decoder_masks", lambda s, t: (key(s), both(t), None), "'cross' of your answer must be a tensor"),
        ("decoder_masks", lambda s, t: (s, both(t), key(s)), "'encoder self' must have four axes"),
        ("decoder_masks", lambda source, target: (key(source), past(target), key(source)), r"got shape \(7, 7\)"),
        ("decoder_masks", lambda s, t: (key(t), both(t), key(s)), r"got \(2, 1, 1, 7\)"),  # as the learner wrote it
        ("decoder_masks", lambda s, t: (key(s), key(s), both(t)), r"got \(2, 1, 1, 6\)"),
        ("decoder_masks", lambda s, t: [bias(mask) for mask in three(s, t)], "this is the additive form"),
        ("decoder_masks", lambda s, t: three_full(s, t)[:2] + (three_full(s, t)[2].mT,), "two axes are swapped"),
        ("decoder_masks", lambda s, t: (key(s), both(t), key(s).to_sparse()), "a plain tensor"),
        ("decoder_masks", lambda s, t: (key(s), both(t), nested(s, t)), "a plain tensor"),
        ("no_empty_rows", lambda mask: row_by_row(mask)[:, 0], "an axis of size 1 is missing"),
        ("no_empty_rows", lambda mask: row_by_row(mask).float(), "must be bool"),
        ("no_empty_rows", lambda mask: mask.masked_fill_(empty(mask), True), "changes its input `mask`"),
    ],
)  # fmt: skip
def test_other_answers_get_a_sentence_too(name, answer, message):
    verdict = getattr(check, name)(answer)
    assert verdict.state == "wrong"
    assert re.search(message, repr(verdict)), verdict


# --- true for that answer ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "answer"),
    [  # in a case or two they do what somebody else does in all
        ("combined_bias", lambda words: bias(key(words) == past(words))),
        ("combined_bias", lambda words: bias(both(words[:1])).expand(len(words), -1, -1, -1)),
        ("combined_bias", lambda words: bias(both(words) | ~query(words))),
        ("position_ids", lambda words: place(words) - words.sum(-1, keepdim=True)),
        ("position_ids", lambda words: torch.zeros_like(words).long()),
        ("position_ids", lambda words: (words.cumsum(-1) - 1).clamp(max=3)),
        ("decoder_masks", lambda source, target: [mask[:1] for mask in three(source, target)]),
        ("decoder_masks", lambda source, target: (key(source) == query(source), both(target), key(source))),
    ],
)
def test_a_symptom_of_one_case_is_not_taken_for_the_cause(name, answer):
    verdict = getattr(check, name)(answer)
    assert (verdict.state, verdict.misconception) == ("wrong", ""), verdict
    assert verdict.message.startswith("some cells differ for ")


def test_finite_numbers_do_give_their_weight_to_blocked_keys():
    left = torch.tensor([[False, True, True]])
    for value in (-10.0, -1e9, torch.finfo(torch.float).min):
        assert bias(both(left), value).softmax(-1)[0, 0, 0].sum() == 1  # row 0 has no key
    sums = bias(key(left), -1e9) + bias(past(left), -1e9)
    assert sums.softmax(-1)[0, 0, 0].sum() == 1


def test_a_bias_without_a_head_axis_puts_the_batch_on_the_heads():
    scores, two = torch.zeros(2, 2, 3, 3), torch.tensor([[True, True, False], [True, True, True]])
    mixed = scores + bias(both(two))[:, 0]
    assert torch.equal(mixed[0, 1], mixed[1, 1]) and not torch.equal(mixed[0, 0], mixed[0, 1])


def test_an_embedding_takes_no_position_below_0_and_no_float():
    table = nn.Embedding(4, 2)
    for numbers in (torch.tensor([-1]), torch.tensor([9999])):
        with pytest.raises(IndexError):
            table(numbers)
    for dtype in (torch.float, torch.int8):
        with pytest.raises(RuntimeError, match="to have one of the following scalar types: Long, Int"):
            table(torch.tensor([0]).to(dtype))
    assert table(torch.tensor([0], dtype=torch.int32)).shape == (1, 2)


def test_the_order_of_the_heads_is_the_one_of_multiheadattention():
    g = cases.generator()
    layer, x = nn.MultiheadAttention(4, 2, batch_first=True), torch.randn(3, 4, 4, generator=g)
    mask = (torch.rand(3, 1, 4, 4, generator=g) < 0.6) | torch.eye(4).bool()
    _, together = layer(x, x, x, attn_mask=head_by_head(mask, 2))
    _, mixed = layer(x, x, x, attn_mask=(~mask[:, 0]).repeat(2, 1, 1))
    _, alone = layer(x[1:2], x[1:2], x[1:2], attn_mask=~mask[1, 0])
    assert torch.allclose(together[1], alone[0], atol=1e-6)
    assert not torch.allclose(mixed[1], alone[0], atol=1e-3)


def test_a_number_for_each_word_may_rely_on_a_word():
    assert check.position_ids(from_the_first_word).state == "right"


def test_infinity_in_a_bias_makes_nan():
    assert torch.tensor([0.0, math.inf]).softmax(-1).isnan().any()


def test_numbers_with_gaps_are_right_with_a_note():
    verdict = check.position_ids(lambda words: (place(words) - words.int().argmax(-1, keepdim=True)).clamp(min=0))
    assert (verdict.state, verdict.note) == ("right", "gaps")


@pytest.mark.parametrize(
    ("name", "answer", "named"),
    [
        ("combined_bias", lambda is_word: bias(key(is_word) & torch.ones(L, L).tril().bool()), "`L` from the notebook"),
        ("position_ids", lambda is_word: words.cumsum(-1) - 1, "`words` from the notebook"),
        ("no_empty_rows", lambda mask: mask | (empty(mask) & torch.eye(L).bool()), "`L` from the notebook"),
    ],
)
def test_a_variable_of_the_notebook_gets_a_sentence_of_its_own(name, answer, named):
    verdict = getattr(check, name)(answer)
    assert verdict.misconception == "notebook's variable" and named in verdict.message


# --- cases and pictures -----------------------------------------------------------------------------------------------


def test_the_definitions_agree_with_the_plain_answers():
    for (is_word,) in check.combined_bias.cases:
        assert torch.equal(oracles.padding_and_causal(is_word), both(is_word))
        assert torch.equal(oracles.word_numbers(is_word), (is_word.cumsum(-1) - 1) * is_word)
    for mask, heads in check.for_multihead.cases:
        assert torch.equal(oracles.ignored_by_head(mask, heads), merged(~mask, heads))
    for (mask,) in check.no_empty_rows.cases:
        assert torch.equal(oracles.with_itself(mask), by_index(mask)) and oracles.with_itself(mask).any(-1).all()


def test_sources_and_targets_have_other_lengths_and_padding_on_every_side():
    pairs = cases.sources_and_targets(8)
    assert all(len(source) == len(target) and source.shape != target.shape for source, target in pairs)
    assert all((~source).any() and (~target).any() for source, target in pairs)
    sides = {(bool(source[:, 0].all()), bool(target[:, 0].all())) for source, target in pairs}
    assert len(sides) == 4


def test_some_masks_have_a_mask_for_each_head_and_some_sentences_have_different_ones():
    masks = cases.masks_and_heads(8)
    assert {mask.shape[1] == 1 for mask, _ in masks} == {True, False}
    assert all(mask.shape[1] in (1, heads) for mask, heads in masks)
    assert any(len(mask) > 1 and mask.shape[1] == 1 for mask, _ in masks)


@pytest.mark.parametrize(("name", "misconception"), [
    ("combined_bias", "rows"), ("position_ids", "padding counted"), ("for_multihead", "heads mixed up"),
    ("decoder_masks", "padding only"), ("no_empty_rows", "whole row opened"),
])  # fmt: skip
def test_a_difference_is_drawn(name, misconception):
    yours, right = getattr(check, name)(WRONG[name, misconception]).panels
    assert yours.marks.any() and right.marks is None
    assert yours.title.startswith("your ") and right.title == "the right answer"


def test_the_picture_of_a_cross_mask_names_target_rows_and_source_columns():
    answer = WRONG["decoder_masks", "nothing is blocked"]
    yours, right = check.decoder_masks(answer).panels
    source, target = cases.sources_and_targets(1)[0]
    assert yours.title.startswith("your cross mask of sentence ")
    assert right.values.shape == (target.shape[1], source.shape[1])
    assert (~right.values).all(dim=0).tolist() == list(right.column_pads)


def test_the_picture_of_positions_says_where_the_words_are():
    yours, right = check.position_ids(place).panels
    for row, values in zip(right.rows, right.values, strict=True):
        first, *_, last = 2 * [int(place) for place in re.findall(r"\d+", row)]
        assert values[first] == 0 and values[last] == last - first
    assert "At the padding only" in right.meaning
    assert right.rows == ["words 0–5", "word 5"]
