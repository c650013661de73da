"""The checks of lesson 06: answers as learners write them (see test_checks.py), and what else each check says."""

import copy
import math
import pickle
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.bias import causal_lower_right

from masklab import masks
from masklab.check import cases, oracles
from masklab.check import causal_masks as check
from masklab.check.language_models import models_and_ids
from masklab.losses import next_token_labels

NONE = -math.inf

# Answers as learners write them, apart from the checks' own code.


def ones(rows: int, columns: int | None = None) -> Tensor:
    return torch.ones(rows, columns or rows, dtype=torch.bool)


def row_by_row(length):
    mask = torch.zeros(length, length, dtype=torch.bool)
    for q in range(length):
        mask[q, : q + 1] = True
    return mask


def column_by_column(length):
    mask = torch.zeros(length, length, dtype=torch.bool)
    for k in range(length):
        mask[: k + 1, k] = True
    return mask


def one_key_too_many(length):
    mask = torch.zeros(length, length, dtype=torch.bool)
    for q in range(length):
        mask[q, : q + 2] = True
    return mask


def with_indices(length):
    rows, columns = torch.tril_indices(length, length)
    mask = torch.zeros(length, length, dtype=torch.bool)
    mask[rows, columns] = True
    return mask


def by_a_loop(mask):
    found = []
    for row in mask.tolist():
        n = 0
        while n < len(row) and row[n]:
            n += 1
        found.append(-1 if any(row[n:]) else n)
    return torch.tensor(found)


def until_the_first_false(mask):
    found = []
    for row in mask:
        n = 0
        for may_attend in row:
            if not may_attend:
                break
            n += 1
        found.append(n)
    return torch.tensor(found)


def after_the_last_true(mask):
    return torch.tensor([int(row.nonzero()[-1]) + 1 if row.any() else 0 for row in mask])


def by_argmin(mask):
    n = mask.int().argmin(-1)
    return torch.where(mask.sum(-1) == n, n, -1)


def by_argmin_and_a_false_more(mask):
    n = F.pad(mask.int(), (0, 1)).argmin(-1)
    return torch.where(mask.sum(-1) == n, n, -1)


def as_text(mask):
    rows = ["".join("01"[cell] for cell in row) for row in mask.int().tolist()]
    return torch.tensor([-1 if "01" in row else row.count("1") for row in rows])


def none_is_no_prefix(mask):
    return torch.where(mask.any(-1), by_a_loop(mask), -1)


def follows(ids: Tensor, end: int = -100) -> Tensor:
    return F.pad(ids[:, 1:], (0, 1), value=end)


def counts(is_word: Tensor) -> Tensor:
    return F.pad(is_word[:, :-1] & is_word[:, 1:], (0, 1))


def labels(ids: Tensor, is_word: Tensor, ignored: int = -100) -> Tensor:
    return torch.where(counts(is_word), follows(ids), ignored)


def token_by_token(ids, is_word):
    found = torch.full_like(ids, -100)
    for i in range(len(ids)):
        for t in range(ids.shape[1] - 1):
            if is_word[i, t] and is_word[i, t + 1]:
                found[i, t] = ids[i, t + 1]
    return found


def words_only(ids, is_word):
    found = torch.full_like(ids, -100)
    for i, words in enumerate(is_word):
        places = words.nonzero()[:, 0]
        found[i, places[:-1]] = ids[i, places[1:]]
    return found


def filled_first(ids, is_word):
    return follows(ids.masked_fill(~is_word, -100)).masked_fill(~is_word, -100)


def two_steps(ids, is_word):
    found = torch.full_like(ids, -100)
    found[:, :-2] = ids[:, 2:]
    return found.masked_fill(~is_word, -100)


def one_step_back(ids, is_word):
    found = torch.full_like(ids, -100)
    found[:, 1:] = ids[:, :-1]
    return found.masked_fill(~is_word, -100)


def from_the_lengths(ids, is_word):
    found = ids.roll(-1, 1)
    for i, n in enumerate(is_word.sum(-1)):
        found[i, n - 1 :] = -100
    return found


def one_more_label(ids, is_word):
    """Each last word predicts an end that is not there."""
    return labels(ids, is_word).masked_fill(is_word & ~counts(is_word), 2)


def changed(ids: Tensor, t: int, to: int | None = None) -> Tensor:
    ids = ids.clone()
    ids[:, t] = (ids[:, t] + 1) % 10 if to is None else to
    return ids


def differ(some: Tensor, others: Tensor, atol: float = 1e-5) -> bool:
    return not torch.allclose(some, others, atol=atol)


def any_change(looks, to: int | None = None):
    """An answer: change each token in turn, and look at the logits of before and after."""

    def answer(model, ids):
        return any(looks(model(ids), model(changed(ids, t, to)), t) for t in range(1, ids.shape[1]))

    return answer


def earlier_changes_stay(model, ids):
    other = ids.clone()
    for t in range(6):
        other[0, t] = (other[0, t] + 1) % 10
        if differ(model(other)[:, :t], model(ids)[:, :t]):
            return True
    return False


def shorter_texts(model, ids):
    return any(differ(model(ids[:, :n]), model(ids)[:, :n]) for n in range(1, ids.shape[1]))


def last_of_shorter_texts(model, ids):
    logits = model(ids)
    return any(differ(model(ids[:, :n])[:, -1], logits[:, n - 1]) for n in range(1, 6))


def all_in_one_batch(model, ids):
    texts = ids.repeat(6, 1)
    texts[range(6), range(6)] = (texts[range(6), range(6)] + 1) % 10
    change = (model(texts) - model(ids)).abs().amax(-1) > 1e-4  # (token, position)
    return change.tril(-1).any()


def every_id(model, ids):
    logits = model(ids)
    for t in range(1, 6):
        for other in range(10):
            if (model(changed(ids, t, other)) - logits)[:, :t].abs().max() > 1e-6:
                return True
    return False


def other_endings(model, ids):
    for t in range(1, 6):
        other = ids.clone()
        other[:, t:] = 9 - other[:, t:]
        if differ(model(other)[:, :t], model(ids)[:, :t]):
            return True
    return False


def with_numpy(model, ids):
    logits = model(ids).numpy()
    return np.any([not np.allclose(model(ids[:, :n]).numpy(), logits[:, :n], atol=1e-5) for n in range(1, 6)])


def query_by_query(queries, keys):
    mask = torch.zeros(queries, keys, dtype=torch.bool)
    for q in range(queries):
        mask[q, : keys - queries + q + 1] = True
    return mask


RIGHT = {
    "causal_mask": [
        lambda length: ones(length).tril(),
        lambda length: torch.ones(length, length).tril().bool(),
        lambda length: ~ones(length).triu(1),
        lambda length: torch.triu(torch.ones(length, length), diagonal=1) == 0,
        lambda length: torch.full((length, length), NONE).triu(1) == 0,
        lambda length: torch.arange(length) <= torch.arange(length)[:, None],
        lambda length: torch.stack([torch.arange(length) <= q for q in range(length)]),
        lambda length: torch.tensor([[k <= q for k in range(length)] for q in range(length)]),
        lambda length: torch.nn.Transformer.generate_square_subsequent_mask(length) == 0,
        lambda length: torch.eye(length).cumsum(0).bool(),
        lambda length: torch.from_numpy(np.tril(np.ones((length, length), dtype=bool))),
        lambda length: masks.causal().tensor(queries=length, keys=length)[0, 0],
        row_by_row,
        with_indices,
    ],
    "prefix_lengths": [
        lambda mask: torch.where(
            (mask == (torch.arange(mask.shape[1]) < mask.sum(-1, keepdim=True))).all(-1), mask.sum(-1), -1
        ),
        lambda mask: torch.where((mask[:, 1:] <= mask[:, :-1]).all(-1), mask.sum(-1), -1),
        lambda mask: mask.sum(-1).masked_fill((mask[:, 1:] & ~mask[:, :-1]).any(-1), -1),
        lambda mask: torch.where(mask.int().cumprod(-1).sum(-1) == mask.sum(-1), mask.sum(-1), -1),
        lambda mask: torch.where((mask.int().diff(dim=-1) <= 0).all(-1), mask.sum(-1), -1).int(),
        lambda mask: torch.where((mask.int().cummin(-1).values == mask).all(-1), mask.sum(-1), -1),
        lambda mask: torch.where(after_the_last_true(mask) == mask.sum(-1), mask.sum(-1).float(), -1.0),
        lambda mask: torch.where(mask.int().sort(-1, descending=True).values.eq(mask).all(-1), mask.sum(-1), -1),
        lambda mask: torch.vmap(lambda row: torch.where((row[1:] <= row[:-1]).all(), row.sum(), -1))(mask),
        by_a_loop,
        by_argmin_and_a_false_more,
        as_text,
    ],
    "shift_labels": [
        labels,
        lambda ids, is_word: ids.roll(-1, 1).masked_fill(~counts(is_word), -100),
        lambda ids, is_word: torch.cat([labels(ids, is_word)[:, :-1], torch.full((len(ids), 1), -100)], dim=1),
        lambda ids, is_word: torch.stack([labels(i[None], w[None])[0] for i, w in zip(ids, is_word, strict=True)]),
        lambda ids, is_word: (follows(ids, 0) + 100) * counts(is_word) - 100,
        lambda ids, is_word: torch.from_numpy(np.where(counts(is_word), np.roll(ids.numpy(), -1, 1), -100)),
        lambda ids, is_word: torch.where(*reversed(next_token_labels(ids, is_word)), -100),
        lambda ids, is_word: labels(ids, is_word).float(),
        token_by_token,
        words_only,
        filled_first,
    ],
    "leaks": [
        shorter_texts,
        last_of_shorter_texts,
        lambda model, ids: any(not torch.allclose(model(ids[:, :n]), model(ids)[:, :n]) for n in range(1, 6)),
        any_change(lambda before, after, t: differ(before[:, :t], after[:, :t])),
        any_change(lambda before, after, t: any(differ(before[:, i], after[:, i]) for i in range(t))),
        any_change(lambda before, after, t: differ(before[:, :t].softmax(-1), after[:, :t].softmax(-1), 1e-6)),
        any_change(
            lambda before, after, t: bool((before[:, :t].round(decimals=4) != after[:, :t].round(decimals=4)).any())
        ),
        lambda model, ids: bool(oracles.dependencies(model, ids).triu(1).any()),
        torch.no_grad()(shorter_texts),
        all_in_one_batch,
        every_id,
        other_endings,
        with_numpy,
    ],
    "cached_mask": [
        lambda queries, keys: ones(queries, keys).tril(keys - queries),
        lambda queries, keys: ones(keys).tril()[-queries:],
        lambda queries, keys: ~ones(queries, keys).triu(keys - queries + 1),
        lambda queries, keys: torch.cat([ones(queries, keys - queries + 1)[:, 1:], ones(queries).tril()], dim=1),
        lambda queries, keys: torch.arange(keys) <= torch.arange(keys - queries, keys)[:, None],
        lambda queries, keys: ones(queries, keys).triu().flip(0, 1),
        lambda queries, keys: F.pad(torch.ones(queries, queries).tril(), (keys - queries, 0), value=1).bool(),
        lambda queries, keys: torch.nn.Transformer.generate_square_subsequent_mask(keys)[-queries:] == 0,
        lambda queries, keys: torch.from_numpy(np.tril(np.ones((queries, keys), dtype=bool), keys - queries)),
        lambda queries, keys: masks.causal(offset=keys - queries).tensor(queries=queries, keys=keys)[0, 0],
        query_by_query,
    ],
}
WRONG = {
    ("causal_mask", "inverted"): [
        lambda length: ones(length).triu(1),
        lambda length: torch.nn.Transformer.generate_square_subsequent_mask(length) == NONE,
        lambda length: torch.arange(length) > torch.arange(length)[:, None],
    ],
    ("causal_mask", "one too far"): [
        lambda length: ones(length).tril(1),
        lambda length: ~ones(length).triu(2),
        one_key_too_many,
    ],
    ("causal_mask", "diagonal blocked"): [
        lambda length: ones(length).tril(-1),
        lambda length: ~ones(length).triu(),
        lambda length: torch.arange(length) < torch.arange(length)[:, None],
    ],
    ("causal_mask", "the past is blocked"): [
        lambda length: ones(length).triu(),
        lambda length: torch.arange(length)[:, None] <= torch.arange(length),
        column_by_column,
    ],
    ("causal_mask", "only itself"): lambda length: torch.eye(length).bool(),
    ("causal_mask", "nothing is blocked"): ones,
    ("causal_mask", "one row"): [
        lambda length: torch.arange(length) <= torch.arange(length),
        lambda length: torch.arange(length) <= length,
    ],
    ("prefix_lengths", "counts"): [lambda mask: mask.sum(-1), lambda mask: mask.cumsum(-1)[:, -1]],
    ("prefix_lengths", "stops at the first False"): [
        until_the_first_false,
        lambda mask: mask.int().cumprod(-1).sum(-1),
    ],
    ("prefix_lengths", "last True"): after_the_last_true,
    ("prefix_lengths", "other rows are not −1"): lambda mask: by_a_loop(mask).clamp(min=0),
    ("prefix_lengths", "index of the last"): lambda mask: (by_a_loop(mask) - 1).clamp(min=-1),
    ("prefix_lengths", "columns"): lambda mask: mask.sum(0),
    ("prefix_lengths", "one key too many"): lambda mask: torch.where(
        (mask == (torch.arange(mask.shape[1]) <= mask.sum(-1, keepdim=True))).all(-1), mask.sum(-1), -1
    ),
    ("prefix_lengths", "all rows or none"): [
        lambda mask: torch.where((mask[:, 1:] <= mask[:, :-1]).all(), mask.sum(-1), -1),
        lambda mask: mask.sum(-1) if (by_a_loop(mask) >= 0).all() else torch.full((len(mask),), -1),
    ],
    ("prefix_lengths", "a full row"): [by_argmin, lambda mask: mask.int().argmin(-1)],
    ("prefix_lengths", "a fully masked row"): none_is_no_prefix,
    ("shift_labels", "not shifted"): [
        lambda ids, is_word: ids,
        lambda ids, is_word: ids.masked_fill(~is_word, -100),
        lambda ids, is_word: torch.where(counts(is_word), ids, -100),
    ],
    ("shift_labels", "shifted twice"): [
        lambda ids, is_word: follows(labels(ids, is_word)),
        lambda ids, is_word: ids.roll(-2, 1),
        two_steps,
    ],
    ("shift_labels", "shifted the wrong way"): [one_step_back, lambda ids, is_word: ids.roll(1, 1)],
    ("shift_labels", "pads as labels"): [
        lambda ids, is_word: follows(ids),
        lambda ids, is_word: follows(ids, 0),
        lambda ids, is_word: ids.roll(-1, 1),
        lambda ids, is_word: torch.cat([ids[:, 1:], ids[:, -1:]], dim=1),
    ],
    ("shift_labels", "inverted"): [
        lambda ids, is_word: follows(ids).masked_fill(is_word, -100),
        lambda ids, is_word: torch.where(counts(is_word), -100, follows(ids)),
    ],
    ("shift_labels", "the last word predicts a pad"): [
        lambda ids, is_word: follows(ids).masked_fill(~is_word, -100),
        lambda ids, is_word: ids.roll(-1, 1).masked_fill(~is_word, -100),
        lambda ids, is_word: follows(ids).where(is_word | F.pad(is_word[:, 1:], (0, 1)), -100),
    ],
    ("shift_labels", "a pad predicts the first word"): [
        lambda ids, is_word: follows(ids.masked_fill(~is_word, -100)),
        lambda ids, is_word: ids.roll(-1, 1).masked_fill(~is_word.roll(-1, 1), -100),
    ],
    ("shift_labels", "padding always on the right"): from_the_lengths,
    ("shift_labels", "wraps around"): [
        lambda ids, is_word: ids.roll(-1, 1).masked_fill(~(is_word & is_word.roll(-1, 1)), -100),
        lambda ids, is_word: ids.roll(-1).masked_fill(~(is_word & is_word.roll(-1)), -100),
    ],
    ("shift_labels", "id 0 is padding"): [
        lambda ids, is_word: labels(ids, ids != 0),
        lambda ids, is_word: labels(ids, is_word & (ids != 0)),
        lambda ids, is_word: labels(ids, is_word).masked_fill(labels(ids, is_word) == 0, -100),
    ],
    ("shift_labels", "another number than −100"): [
        lambda ids, is_word: labels(ids, is_word, -1),
        lambda ids, is_word: labels(ids, is_word, 0),
        lambda ids, is_word: F.pad(ids[:, 1:] * is_word[:, 1:], (0, 1)),
    ],
    ("shift_labels", "a label at the end"): [
        lambda ids, is_word: F.pad(labels(ids, is_word)[:, :-1], (0, 1)),
        lambda ids, is_word: torch.where(is_word & F.pad(is_word[:, 1:], (0, 1), value=True), follows(ids, 0), -100),
    ],
    ("shift_labels", "one column short"): lambda ids, is_word: ids[:, 1:],
    ("leaks", "always True"): [
        lambda model, ids: True,
        lambda model, ids: differ(model(ids), model(ids.flip(1)).flip(1)),
    ],
    ("leaks", "always False"): [
        lambda model, ids: False,
        lambda model, ids: np.bool_(False),
        lambda model, ids: differ(model(ids), model(ids)),
        any_change(lambda before, after, t: differ(before.softmax(-1).sum(-1), after.softmax(-1).sum(-1))),
    ],
    ("leaks", "inverted"): [
        lambda model, ids: not shorter_texts(model, ids),
        lambda model, ids: torch.allclose(model(ids)[:, :-1], model(ids[:, :-1])),
    ],
    ("leaks", "the token itself"): [
        earlier_changes_stay,
        any_change(lambda before, after, t: differ(before, after)),
        any_change(lambda before, after, t: differ(before[:, t], after[:, t])),
        any_change(lambda before, after, t: differ(before[:, : t + 1], after[:, : t + 1])),
        lambda model, ids: differ(model(ids), model(ids.flip(1))),
    ],
    ("leaks", "earlier tokens"): [
        any_change(lambda before, after, t: differ(before[:, t + 1 :], after[:, t + 1 :])),
        lambda model, ids: differ(model(ids)[:, -1], model(changed(ids, 0))[:, -1]),
    ],
    ("leaks", "no mask is missed"): any_change(lambda before, after, t: differ(before[:, :t], after[:, :t], 1.0)),
    ("leaks", "a faint leak"): [
        any_change(lambda before, after, t: not torch.equal(before[:, :t].argmax(-1), after[:, :t].argmax(-1))),
        any_change(lambda before, after, t: differ(before[:, :t], after[:, :t], 0.1)),
    ],
    ("leaks", "the next token"): [
        any_change(lambda before, after, t: differ(before[:, : t - 1], after[:, : t - 1])),
        lambda model, ids: differ(model(ids)[:, 0], model(changed(ids, 5))[:, 0]),
    ],
    ("leaks", "a leak at the start"): [
        lambda model, ids: differ(model(ids)[:, :-1], model(changed(ids, 5))[:, :-1]),
        lambda model, ids: differ(model(ids)[:, :-1], model(ids[:, :-1])),
        lambda model, ids: all(differ(model(ids)[:, :n], model(ids[:, :n])) for n in range(1, 6)),
        lambda model, ids: any(differ(model(ids)[:, :n], model(ids[:, :n])) for n in range(2, 6)),
        lambda model, ids: [differ(model(ids)[:, :n], model(ids[:, :n])) for n in range(1, 6)][-1],
        any_change(lambda before, after, t: differ(before[:, :t], after[:, :t]), to=1),
    ],
    ("leaks", "a leak at the end"): [
        any_change(lambda before, after, t: differ(before[:, 0], after[:, 0])),
        any_change(lambda before, after, t: differ(before[:, :t], after[:, :t]), to=0),
        lambda model, ids: differ(model(ids)[:, 0], model(changed(ids, 1))[:, 0]),
    ],
    ("leaks", "a leak in the middle"): [
        any_change(lambda before, after, t: differ(before[:, t - 1], after[:, t - 1])),
        any_change(lambda before, after, t: differ(before[:, :t], after[:, :t]), to=9),
    ],
    ("leaks", "a sum over the vocabulary"): [
        any_change(lambda before, after, t: differ(before[:, :t].sum(-1), after[:, :t].sum(-1))),
        any_change(lambda before, after, t: differ(before[:, :t].mean(), after[:, :t].mean())),
        any_change(lambda before, after, t: differ(before[:, :t].amax(-1), after[:, :t].amax(-1))),
        any_change(lambda before, after, t: differ(before[:, :t].norm(dim=-1), after[:, :t].norm(dim=-1))),
        any_change(lambda before, after, t: differ(before[:, :t, 0], after[:, :t, 0])),
    ],
    ("leaks", "rounding"): [
        any_change(lambda before, after, t: not torch.equal(before[:, :t], after[:, :t])),
        lambda model, ids: any(bool((model(ids[:, :n]) != model(ids)[:, :n]).any()) for n in range(1, 6)),
    ],
    ("cached_mask", "upper left"): [
        lambda queries, keys: ones(queries, keys).tril(),
        lambda queries, keys: ones(keys).tril()[:queries],
        lambda queries, keys: torch.arange(keys) <= torch.arange(queries)[:, None],
    ],
    ("cached_mask", "the wrong sign"): lambda queries, keys: ones(queries, keys).tril(queries - keys),
    ("cached_mask", "one too far"): lambda queries, keys: ones(queries, keys).tril(keys - queries + 1),
    ("cached_mask", "one too few"): lambda queries, keys: (
        torch.arange(keys) < torch.arange(keys - queries, keys)[:, None]
    ),
    ("cached_mask", "the cache is blocked"): lambda queries, keys: F.pad(ones(queries).tril(), (keys - queries, 0)),
    ("cached_mask", "the cache on the right"): lambda queries, keys: F.pad(
        ones(queries).tril(), (0, keys - queries), value=True
    ),
    ("cached_mask", "nothing is blocked"): [ones, lambda queries, keys: ones(queries, keys).tril(keys)],
    ("cached_mask", "inverted"): lambda queries, keys: ones(queries, keys).triu(keys - queries + 1),
    ("cached_mask", "only the new keys"): lambda queries, keys: ones(queries).tril(),
    ("cached_mask", "a row for every key"): lambda queries, keys: ones(keys).tril(),
    ("cached_mask", "the past is blocked"): [
        lambda queries, keys: ones(queries, keys).triu(keys - queries),
        lambda queries, keys: torch.arange(keys) >= torch.arange(keys - queries, keys)[:, None],
    ],
}
L = 5  # as the lesson has it


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("causal_mask", lambda length: ones(L).tril(), "`L` from the notebook"),
        ("causal_mask", lambda length: torch.full((length, length), -1e9).triu(1), "this is the additive form"),
        ("causal_mask", lambda length: ones(length).tril()[None], "size 1 is too many"),
        ("causal_mask", lambda length: torch.ones(length, length).tril(), r".bool\(\) converts zeros and ones"),
        ("causal_mask", torch.nn.Transformer.generate_square_subsequent_mask, "this is the additive form"),
        ("causal_mask", lambda length: np.tril(np.ones((length, length))), "got a numpy array"),
        ("causal_mask", lambda length: torch.rand(length, length) < 0.5, "a different answer each time"),
        ("prefix_lengths", lambda mask: by_a_loop(mask) >= 0, "must hold numbers .* got bool"),
        ("prefix_lengths", lambda mask: by_a_loop(mask).tolist(), "got a list"),
        (
            "prefix_lengths",
            lambda mask: torch.where((mask[:, 1:] ^ mask[:, :-1]).sum(-1) <= 1, mask.sum(-1), -1),
            "1 of",
        ),
        ("shift_labels", lambda ids, is_word: ids.masked_fill_(~is_word, -100), "changes its input `ids`"),
        ("shift_labels", lambda ids, is_word: labels(ids, is_word)[:, :-1], r"shape \(2, 6\), got \(2, 5\)"),
        ("shift_labels", one_more_label, "some cells differ"),
        ("shift_labels", lambda ids, is_word: (labels(ids, is_word), is_word), "only the tensor that is asked for"),
        ("leaks", lambda model, ids: (model(ids) - model(changed(ids, 5))).abs().max(), "got a number"),
        ("leaks", lambda model, ids: 1, "must be True or False, got a number"),
        ("leaks", lambda model, ids: (model(ids) != model(changed(ids, 5))).any(-1), r"got shape \(1, 6\): .any\(\)"),
        ("leaks", lambda model, ids: [True], "must be True or False, got a list"),
        ("leaks", lambda model, ids: differ(model(ids), model(ids + 1)), "An embedding of V ids knows 0 to V − 1"),
        ("leaks", lambda model, ids: model.train() and True, "changes its input `model`"),
        ("cached_mask", lambda queries, keys: ones(keys, queries), "its last two axes are swapped"),
        ("cached_mask", causal_lower_right, "a plain tensor, got a CausalBias"),
    ],
)
def test_other_answers_get_a_sentence_too(name, answer, words):
    verdict = getattr(check, name)(answer)
    assert verdict.state == "wrong"
    assert re.search(words, repr(verdict)), verdict


def test_the_definitions_are_those_of_the_library():
    for queries, keys in ((1, 1), (4, 4), (2, 5)):
        rule = masks.causal(offset=keys - queries).tensor(queries=queries, keys=keys)[0, 0]
        assert torch.equal(oracles.causal_mask(queries, keys), rule)
    for ids, is_word in cases.padded_ids(6):
        found, supervised = next_token_labels(ids, is_word)
        assert torch.equal(oracles.next_tokens(ids, is_word), found.where(supervised, -100))


def test_a_causal_row_is_a_prefix():
    assert oracles.prefix_lengths(oracles.causal_mask(3, 5)).tolist() == [3, 4, 5]


@pytest.mark.parametrize(
    ("dtype", "note"), [(torch.int64, ""), (torch.float32, "not int64"), (torch.int32, "not int64")]
)
def test_labels_that_a_loss_would_not_take_get_a_note(dtype, note):
    verdict = check.shift_labels(lambda ids, is_word: labels(ids, is_word).to(dtype))
    assert (verdict.state, verdict.note) == ("right", note)
    if note:  # it is true
        with pytest.raises(RuntimeError):
            F.cross_entropy(torch.zeros(2, 3), torch.tensor([1, 2], dtype=dtype))


# --- the models -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=models_and_ids(), ids=lambda case: case[0].kind)
def case(request):
    return request.param


def test_every_change_of_a_model_that_leaks_everywhere_is_seen(case):
    model, ids = case
    if model.kind in ("no mask", "a faint mean", "another order"):
        for t in range(1, 6):
            assert differ(model(ids)[:, :t], model(changed(ids, t))[:, :t], 1e-3), t


def test_what_the_sentences_say_of_the_models_is_true(case):
    model, ids = case
    logits, depends = model(ids), oracles.dependencies(model, ids)
    others = [model(changed(ids, t, to))[:, :t] - logits[:, :t] for t in range(1, 6) for to in range(10)]
    change = max(other.abs().max().item() for other in others)
    extra = (depends & ~torch.ones(6, 6).tril().bool()).nonzero().tolist()
    match model.kind:
        case "no token":
            assert not depends.any()
        case "its own token":
            assert torch.equal(depends, torch.eye(6).bool())
        case "causal" | "earlier tokens" | "rounding":
            assert not extra and depends.tril(-1).sum() == 15
            assert change < 1e-6 and (change > 0) == (model.kind == "rounding")
        case "one too far":
            assert extra == [[t, t + 1] for t in range(5)]
        case "only the first":
            assert extra == [[0, 1]]
        case "only the last":
            assert extra == [[4, 5]]
        case "in the middle":
            assert extra == [[1, 3]]
        case "a faint mean":
            assert len(extra) == 15 and 0.003 < change < 0.05
            assert all(
                (logits[:, : o.shape[1]] + o).argmax(-1).equal(logits[:, : o.shape[1]].argmax(-1)) for o in others
            )
        case "another order":
            assert logits.sort(-1).values.equal(torch.arange(10.0).expand(1, 6, 10))
        case "no mask":
            assert depends.all()


def test_a_text_and_its_beginning_have_the_same_logits_unless_there_is_a_leak(case):
    model, ids = case
    if not oracles.dependencies(model, ids).triu(1).any() and model.kind != "rounding":
        assert all(torch.equal(model(ids[:, :n]), model(ids)[:, :n]) for n in range(1, 6))


def test_a_model_can_be_copied_and_sent(case):
    model, ids = case
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(ids), model(ids))


def test_the_picture_shows_the_model_that_the_sentence_is_about():
    for name, leaking in (
        ("a leak at the start", (0, 1)),
        ("a leak at the end", (4, 5)),
        ("a leak in the middle", (1, 3)),
    ):
        (panel,) = check.leaks(WRONG["leaks", name][0]).panels
        assert panel.values.triu(1).nonzero().tolist() == [list(leaking)] and "1 cell here" in panel.meaning


def test_the_pictures_show_what_the_function_was_given():
    mask, yours, right = check.prefix_lengths(lambda mask: mask.sum(-1)).panels
    assert torch.equal(oracles.prefix_lengths(mask.values), right.values[:, 0])
    ids, yours, right = check.shift_labels(lambda ids, is_word: ids).panels
    assert torch.equal(ids.values, yours.values) and ids.columns == right.columns


def test_the_picture_of_a_mask_beside_a_cache_counts_its_queries_from_where_they_are():
    yours, right = check.cached_mask(lambda queries, keys: ones(queries, keys)).panels
    assert (right.rows, len(right.columns)) == (["3", "4"], 5)
