"""Lesson 06's own definitions, read from its source, are the library's; and its instruments find what they claim."""

import math
import re

import pytest
import torch
import torch.nn.functional as F
from torch.nn.attention.bias import causal_lower_right

from masklab import masks
from masklab.attention import attend
from masklab.losses import next_token_labels
from masklab.models import language_loss
from masklab.tiny import texts, tiny_gpt
from masklab.training import rows
from tests.lessons import cells, codes

RULE = masks.causal()


@pytest.fixture(scope="module")
def lesson():
    """What the cells of part 3 define, and those of part 6 that train nothing."""
    return cells(
        "causal_masks", "A_causal = ", "def no_future", "def attend", "def run_cached", "lower_right = ",
        "from masklab import masks", "def weights_of", "from masklab.toy", "A_weights", "output = ", "def shifted",
        "class Suspect", "def later_gradient",
    )  # fmt: skip


@pytest.mark.parametrize("length", [1, 2, 5, 9])
def test_the_mask_is_the_librarys(lesson, length):
    library = RULE.tensor(queries=length, keys=length)[0, 0]
    assert torch.equal(lesson["no_future"](length), library)
    bias = torch.triu(torch.full((length, length), -math.inf), diagonal=1)
    assert torch.equal(bias == 0, library)


def test_the_bias_by_full_and_triu_is_the_librarys(lesson):
    assert torch.equal(lesson["A_causal"] == 0, RULE.tensor(queries=5, keys=5)[0, 0])
    assert lesson["A_causal"].unique().tolist() == [-math.inf, 0]


def test_one_too_far_is_triu_with_diagonal_2(lesson):
    blocked = torch.triu(torch.ones(6, 6), diagonal=2).bool()
    assert torch.equal(~lesson["rules"]["too far"].tensor(queries=6, keys=6)[0, 0], blocked)


def test_the_steps_by_hand_are_the_librarys_attention(lesson):
    q, k, v = (lesson[name][None, None] for name in "QKV")
    stages = attend(q, k, v, RULE.tensor(queries=5, keys=5))
    torch.testing.assert_close(lesson["A_masked"], stages.masked[0, 0])
    torch.testing.assert_close(lesson["A_weights"], stages.weights[0, 0])
    torch.testing.assert_close(lesson["output"], stages.output[0, 0])
    by_function = lesson["attend"](lesson["Q"], lesson["K"], lesson["V"], lesson["no_future"](5))
    torch.testing.assert_close(by_function, stages.output[0, 0])


@pytest.mark.parametrize(("new", "total"), [(1, 6), (3, 6), (6, 6), (2, 3)])
def test_the_mask_with_a_cache_is_the_librarys_and_torchs(lesson, new, total):
    ours = lesson["no_future"](total)[-new:]  # as in run_cached
    assert torch.equal(ours, RULE.tensor(queries=new, keys=total)[0, 0]) is (new == total)
    assert torch.equal(ours, masks.causal(offset=total - new).tensor(queries=new, keys=total)[0, 0])
    q, k = torch.randn(2, 1, 1, total, 4, generator=torch.Generator().manual_seed(0))
    q, eye = q[..., -new:, :], torch.eye(total)[None, None]
    by_torch = F.scaled_dot_product_attention(q, k, eye, attn_mask=causal_lower_right(new, total))
    assert torch.equal(by_torch[0, 0] > 0, ours)
    assert torch.equal(lesson["lower_right"], masks.causal(offset=3).tensor(queries=3, keys=6)[0, 0])


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1, 1, 1), (3, 3), (6,), (2, 1, 3), (5, 1)])
def test_a_cache_gives_the_same_in_any_chunks(lesson, sizes):
    parts, cache = [], [(torch.empty(0, 4), torch.empty(0, 4))] * 2
    for chunk in lesson["x"].split(list(sizes)):
        part, cache = lesson["run_cached"](chunk, cache)
        parts.append(part)
    torch.testing.assert_close(torch.cat(parts), lesson["run"](lesson["x"], lesson["no_future"](6)))


def test_under_the_hint_multihead_attention_takes_a_plain_causal_mask(lesson):
    """What the lesson says of the line in which the hint changes the output."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer, x = torch.nn.MultiheadAttention(4, num_heads=2, batch_first=True), torch.randn(1, 5, 4)
    ignore = ~lesson["no_future"](5)
    ours = ignore.clone()
    ours[1:, 0] = True
    hinted, _ = layer(x, x, x, attn_mask=ours, need_weights=False, is_causal=True)
    causal, _ = layer(x, x, x, attn_mask=ignore, need_weights=False)
    torch.testing.assert_close(hinted, causal)


# Labels


@pytest.mark.parametrize("times", [0, 1, 2])
def test_shifted_labels_by_a_slow_loop(lesson, times):
    some = rows(texts()[0], range(12))
    labels = lesson["shifted"](some.ids, some.is_word, times)
    for row, length, found in zip(some.ids.tolist(), some.lengths.tolist(), labels.tolist(), strict=True):
        assert found == [row[i + times] if i + times < length else -100 for i in range(len(row))]


def test_labels_shifted_once_are_the_librarys_and_so_is_the_loss(lesson):
    some, model = rows(texts()[0], range(12)), tiny_gpt(0)
    labels = lesson["shifted"](some.ids, some.is_word, 1)
    library, supervised = next_token_labels(some.ids, some.is_word)
    assert torch.equal(labels != -100, supervised) and torch.equal(labels[supervised], library[supervised])
    loss = F.cross_entropy(model(some.ids).flatten(0, 1), labels.flatten())
    torch.testing.assert_close(loss, language_loss(model, some, RULE))


# Leaks

LOOKS_AHEAD = {  # the later positions on which position 3 of 8 depends
    "causal attention": [], "attention with −2": [4, 5, 6, 7], "attention, no mask": [4, 5, 6, 7],
    "Conv1d, padding=1": [4], "bidirectional RNN": [4, 5, 6, 7], "mean over positions": [4, 5, 6, 7],
    "BatchNorm": [4, 5, 6, 7],
}  # fmt: skip


def suspect(lesson, kind):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return lesson["Suspect"](kind)


@pytest.mark.parametrize("kind", LOOKS_AHEAD)
@pytest.mark.parametrize("train", [True, False])
def test_the_gradient_says_what_changing_a_later_token_says(lesson, kind, train):
    model, ids = suspect(lesson, kind).train(train), torch.arange(16).view(2, 8)
    with torch.no_grad():
        before = model(ids)[0, 3]
        moved = []
        for t in range(4, 8):
            other = ids.clone()
            other[0, t] = 30
            moved += [t] if not torch.allclose(model(other)[0, 3], before, atol=1e-6) else []
    assert moved == (LOOKS_AHEAD[kind] if train or kind != "BatchNorm" else [])
    assert (lesson["later_gradient"](model) > 0) is bool(moved)


def test_batchnorm_leaks_across_the_batch_too(lesson):
    model, ids = suspect(lesson, "BatchNorm").train(), torch.arange(16).view(2, 8)
    with torch.no_grad():
        assert not torch.allclose(model(ids)[0, 3], model(ids + torch.tensor([[0], [8]]))[0, 3], atol=1e-6)


def test_every_kind_of_the_lesson_is_tried_here(lesson):
    """The lesson's table of kinds begins with those of attention."""
    (table,) = [code for code in codes("causal_masks") if "KINDS = " in code]
    others = re.findall(r'"([^"]*)"', re.search(r"KINDS = \[\*BLOCKING, (.*)\]", table)[1])
    assert list(LOOKS_AHEAD) == [*lesson["BLOCKING"], *others]
