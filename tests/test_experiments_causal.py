"""Language models: what the experiments claim, and that their comparisons are fair."""

import random
import re
from collections import Counter

import pytest
import torch
import torch.nn.functional as F

from masklab import masks
from masklab.corpus import VOCABULARY
from masklab.experiments import causal
from masklab.experiments.causal import causal_mask, label_shift
from masklab.training import rows
from tests.comparisons import apart

RIGHT = masks.causal()
SEEDS = (0, 1)  # `make bench` takes three


# --- What is claimed -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seen_future():
    return causal_mask(seeds=SEEDS)


@pytest.mark.parametrize("bug", ["one token too far", "no mask"])
def test_a_model_that_saw_the_future_looks_too_good_and_cannot_write(seen_future, bug):
    assert apart(seen_future, bug)
    assert max(seen_future.scores["causal"]) < seen_future.level - 2  # it has learned
    assert min(seen_future.scores[bug]) > seen_future.level  # worse than guessing
    last = {name: [curve[-1] for curve in curves] for name, curves in seen_future.curves.items()}
    assert max(last[bug]) < 0.7 < 1.5 < min(last["causal"])
    known = {name: int(re.search(r"(\d+)% of", text)[1]) for name, text in seen_future.samples.items()}
    assert known["causal"] > 85 and known[bug] < 50


def test_the_causal_mask_at_writing_time_does_not_save_a_model_that_was_trained_without():
    model, (_, held_out) = causal.tiny_gpt(0), causal.texts()
    curve = causal.fit(
        model, lambda batch: causal.language_loss(model, batch, masks.everything()), seed=0, steps=101
    )  # fmt: skip
    assert curve[-1] < 1.5
    with torch.no_grad():
        assert causal.language_loss(model, held_out, RIGHT) > 4.5


def test_one_token_too_far_is_triu_with_diagonal_2():
    blocked = torch.triu(torch.ones(5, 5), diagonal=2).bool()
    assert torch.equal(~causal.RULES["one token too far"].tensor(queries=5, keys=5)[0, 0], blocked)


@pytest.fixture(scope="module")
def shifts():
    return label_shift(seeds=SEEDS)


def test_labels_are_shifted_once(shifts):
    assert apart(shifts, "not shifted") and apart(shifts, "shifted twice")
    assert min(shifts.scores["shifted once"]) > shifts.level + 0.1
    assert max(shifts.scores["not shifted"]) < 0.02
    assert max(shifts.scores["shifted twice"]) < shifts.level + 0.04
    last = {name: [curve[-1] for curve in curves] for name, curves in shifts.curves.items()}
    assert max(last["not shifted"]) < 0.2 and min(last["shifted twice"]) > 1.5
    assert set(shifts.samples["not shifted"].split()) == {"The", "cat"}  # it repeats what it reads


# --- That the comparison is fair -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("experiment", "table"), [(causal_mask, "RULES"), (label_shift, "SHIFTS")])
def test_variants_differ_in_the_entry_of_their_table_and_in_nothing_else(monkeypatch, experiment, table):
    entries = getattr(causal, table)
    monkeypatch.setattr(causal, table, dict.fromkeys(entries, next(iter(entries.values()))))
    result = experiment(seeds=[0, 1], steps=2)
    assert len({str(scores) for scores in result.scores.values()}) == 1
    assert len({str(curves) for curves in result.curves.values()}) == 1
    assert len(set(result.samples.values())) == 1
    assert all(
        result.compared(other).endswith("the same in every seed.") for other in result.scores if other != result.right
    )


# --- That each measure is what it says -------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_shifted_labels_by_a_slow_loop(shift):
    some = rows(causal.texts()[0], range(12))
    labels, supervised = causal.shifted_labels(some, shift)
    for row, length, found, counted in zip(some.ids, some.lengths.tolist(), labels, supervised, strict=True):
        assert counted.tolist() == [i < length - max(shift, 1) for i in range(len(row))]  # there is a word to say
        assert all(found[i] == row[i + shift] for i in range(len(row)) if counted[i])


class Oracle(torch.nn.Module):
    """Predicts the token that is ``ahead`` places later."""

    def __init__(self, ahead):
        super().__init__()
        self.ahead = ahead

    def forward(self, ids):
        return F.one_hot(ids.roll(-self.ahead, dims=1), len(VOCABULARY)).float()


def test_the_accuracy_is_that_of_the_next_word():
    batch = causal.texts()[1]
    assert causal.next_word_accuracy(Oracle(1), batch) == 1
    assert causal.next_word_accuracy(Oracle(0), batch) == 0  # no word comes twice in a row
    assert causal.next_word_accuracy(Oracle(2), batch) < 0.05


def test_the_level_is_that_of_the_most_common_token():
    batch = causal.texts()[1]
    following = Counter(t for tokens in batch.tokens for t in tokens[1:] if t != "[PAD]")
    assert causal.most_common_share(batch) == pytest.approx(max(following.values()) / following.total())


def test_known_pairs_are_those_of_the_corpus():
    sentences = [[t for t in tokens[1:] if t != "[PAD]"] for tokens in causal.texts()[1].tokens]
    assert causal.known_pairs(sentences) == 1
    rng = random.Random(0)
    assert causal.known_pairs([rng.sample(words, len(words)) for words in sentences]) < 0.5
