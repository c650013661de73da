"""An exercise may ask for anything: numbers, tuples, dicts, a gradient, draws from a generator, work on a module."""

import itertools
import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention.bias import causal_lower_right

from masklab.check import cases
from masklab.check.answers import form, same, settled
from masklab.check.exercise import Exercise
from masklab.check.misconceptions import Misconception, Note
from masklab.check.running import gradient


def loss_and_gradient(function, logits, labels):
    leaf = logits.clone().requires_grad_()
    loss = function(leaf, labels)
    return {"loss": loss, "gradient": gradient(loss, leaf)}


def masked_mean(logits, labels):
    total, count = 0.0, 0
    for row, label in zip(logits, labels.tolist(), strict=True):
        if label >= 0:
            total, count = total - row.log_softmax(-1)[label], count + 1
    return total / count


def with_softmax_rule(logits, labels):
    """The loss, and (p − onehot)/n at counted positions."""
    counted = labels >= 0
    rows = (logits.softmax(-1) - F.one_hot(labels.clamp(min=0), logits.shape[-1])) * counted[:, None]
    return {"loss": masked_mean(logits, labels).item(), "gradient": rows / counted.sum()}


mean_loss = Exercise(
    name="mean_loss",
    asks="the mean loss over labels that are not −100",
    takes="logits, labels",
    cases=[(torch.randn(5, 3, generator=cases.generator(i)), torch.tensor([0, 2, -100, 1, -100])) for i in range(3)],
    definition=with_softmax_rule,
    observed=loss_and_gradient,
    wrong=[
        Misconception(
            "pads counted",
            "you divide by all positions.",
            gives=lambda logits, labels: F.cross_entropy(logits, labels, reduction="sum") / len(labels),
        )
    ],
)

pairs = Exercise(
    name="pairs",
    asks="a batch of two, drawn from a generator, and what is left",
    takes="ids, generator",
    cases=[([3, 1, 2], torch.Generator().manual_seed(i)) for i in range(3)],
    definition=lambda ids, generator: (torch.randperm(3, generator=generator)[:2], {"left": [1], "name": "x"}),
)

smallest = Exercise(
    name="smallest", asks="the smallest parameter", takes="layer", cases=[(nn.Linear(2, 3),)],
    definition=lambda layer: min(p.min().item() for p in layer.parameters()),
    notes=[Note("infinite", "It is −∞ here.", case=(nn.Linear(1, 1),), shows=lambda answer: answer == -math.inf)],
)  # fmt: skip


@pytest.mark.parametrize("answer", [F.cross_entropy, masked_mean])
def test_a_number_and_its_gradient_are_judged_together(answer):
    assert mean_loss(answer).state == "right"


def test_the_slow_loop_runs_once_for_each_input_however_often_the_check_is_asked():
    calls = []
    slow = Exercise(
        name="twice", asks="2·x", takes="x", cases=[(1,), (2,)], definition=lambda x: calls.append(x) or 2 * x
    )
    assert calls == [], "an import computes nothing"
    assert [slow(answer).state for answer in (lambda x: x + x, lambda x: x, lambda x: 2 * x)] == [
        "right",
        "wrong",
        "right",
    ]
    assert calls == [1, 2]


def fails_on_the_last(function):
    """The same function, but that it raises an error for the last case of `mean_loss`."""

    def answer(logits, labels):
        return 1 / 0 if torch.equal(logits, mean_loss.cases[-1][0]) else function(logits, labels)

    return answer


def test_a_known_fault_is_named_even_if_the_function_fails_later():
    verdict = mean_loss(fails_on_the_last(mean_loss.wrong[0].gives))
    assert verdict.misconception == "pads counted"


@pytest.mark.parametrize("answer", [F.cross_entropy, lambda x, y: F.cross_entropy(x, y) * 2])
def test_what_is_right_or_unknown_before_the_function_fails_is_told_about_the_error(answer):
    verdict = mean_loss(fails_on_the_last(answer))
    assert verdict.misconception == "" and "raised ZeroDivisionError" in verdict.message


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x, y: F.cross_entropy(x, y, reduction="sum") / len(y), "you divide by all positions"),
        (lambda x, y: F.cross_entropy(x, y, reduction="none"), "your answer must be a single number, got shape (5,)."),
        (lambda x, y: F.cross_entropy(x, y).detach(), "no gradient flows back"),
        (lambda x, y: F.cross_entropy(x, y) * 2, "some cells differ for 3 of 3 inputs."),
        (lambda x, y: F.cross_entropy(x, y).item(), "must be a tensor, got a float"),
    ],
)
def test_a_wrong_number_gets_a_sentence(answer, words):
    assert words in mean_loss(answer).message


def test_a_check_computes_with_one_thread_and_brings_the_others_back():
    before, seen = torch.get_num_threads(), set()
    pairs(lambda ids, generator: seen.add(torch.get_num_threads()) or 0)
    assert seen == {1} and torch.get_num_threads() == before


def test_a_number_of_numpy_is_a_number():
    assert smallest(lambda layer: np.float32(smallest.definition(layer))).state == "right"


@pytest.mark.parametrize("answer", [2**64, [10**400], np.longdouble(1)])
def test_a_number_that_no_tensor_holds_is_a_wrong_answer(answer):
    verdict = smallest(lambda layer: answer)
    assert verdict.state == "wrong" and re.search("must be a tensor, got an? (int|list|longdouble)", verdict.message)


@pytest.mark.parametrize("answer", [True, np.bool_(True), np.float64(3) > 2, torch.tensor(True)])
def test_a_yes_is_a_yes_from_anybody(answer):
    assert form(settled(answer), torch.tensor(True)) == "" and same(settled(answer), torch.tensor(True))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (1, "got a number (int64): a comparison gives one."),
        (0.3, "got a number (float32): a comparison gives one."),
        (torch.tensor([True]), "got shape (1,): .any() or .all() makes one of many."),
        ("yes", "got a string."),
        (np.array([True]), "got a numpy array."),
    ],
)
def test_what_is_neither_yes_nor_no_is_said(answer, words):
    assert form(settled(answer), torch.tensor(True)) == f"your answer must be True or False, {words}"


def test_every_call_gets_the_generator_as_it_was():
    assert pairs(lambda ids, g: (torch.randperm(3, generator=g)[:2], {"left": [1], "name": "x"})).state == "right"
    assert pairs(lambda ids, g: (torch.rand(2), {"left": [1], "name": "x"})).misconception == "random"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((torch.ones(2), {"left": [1], "name": "y"}), "some cells differ"),
        ((torch.ones(2), {"left": [1]}), "part 1 of your answer must be a dict with the keys 'left', 'name'."),
        ((torch.ones(2), {"left": [1, 2], "name": "x"}), "must be a list of 1, got a list"),
        ((torch.ones(2), {"left": [1], "name": 3}), "'name' of part 1 of your answer must be a string"),
        (torch.ones(2), "your answer must be a tuple of 2, got a Tensor"),
        (({"left": [1], "name": "x"}, torch.ones(2)), "part 0 of your answer must be a tensor, got a dict"),
    ],
)
def test_the_part_that_does_not_fit_is_named(answer, words):
    assert words in pairs(lambda ids, generator: answer).message


def test_lists_and_generators_that_are_used_up_are_no_edits_but_changed_lists_are():
    assert pairs(lambda ids, g: (ids.sort(), torch.ones(2))).misconception == "edits"


def test_what_the_right_answer_leaves_open_is_not_judged():
    halves = Exercise(
        name="halves", asks="two numbers that add up to x, and their sum", takes="x", cases=[(4.0,)],
        definition=lambda x: {"halves": ..., "sum": x},
    )  # fmt: skip
    assert halves(lambda x: {"halves": [1.0, x - 1], "sum": x}).state == "right"
    assert halves(lambda x: {"halves": torch.tensor(math.nan), "sum": x}).state == "right"
    assert "some cells differ" in halves(lambda x: {"halves": [1.0, x - 1], "sum": 0}).message
    assert "keys 'halves', 'sum'" in halves(lambda x: {"sum": x}).message


def test_what_a_generator_yields_is_a_list():
    upwards = Exercise(name="upwards", asks="1 to x", takes="x", cases=[(3,)],
                       definition=lambda x: list(range(1, x + 1)))  # fmt: skip

    def yields(x, *, wrong=0):
        for i in range(x):
            yield i + 1 + wrong // i if wrong else i + 1

    assert upwards(yields).state == "right"
    assert "got a list of 2" in upwards(lambda x: yields(x - 1)).message
    assert "raised ZeroDivisionError" in upwards(lambda x: yields(x, wrong=1)).message
    assert upwards(lambda x: map(int, "123")).state == "right"
    assert "must be a list of 3" in upwards(lambda x: itertools.count()).message  # it has no end


def test_a_module_may_be_handed_over_and_numbers_come_back():
    assert smallest(lambda layer: min(layer.weight.min(), layer.bias.min()).item()).state == "right"
    assert smallest(lambda layer: torch.cat([p.flatten() for p in layer.parameters()]).min()).state == "right"
    assert smallest(lambda layer: layer.weight).message.startswith(
        "your answer must be a single number, got shape (3, 2)"
    )


def test_a_note_looks_at_right_answers_only():
    half = Exercise(
        name="half", asks="x/2", takes="x", cases=[(torch.ones(1),)], definition=lambda x: x / 2,
        notes=[Note("large", "But 1e39 is too much.", case=(1e39,), shows=lambda answer: answer > 1)],
    )  # fmt: skip
    assert half(lambda x: x / 2).message == "right, on 1 random input. But 1e39 is too much."
    assert half(lambda x: x / 2 if isinstance(x, torch.Tensor) else 1 / 0).note == ""
    assert half(lambda x: x).note == ""


def test_a_symptom_may_have_to_be_there_in_every_case_that_is_answered_wrongly():
    def larger(answer, right, x):
        return bool(answer > right)

    def twice(*, always):
        return Exercise(
            name="twice", asks="2x", takes="x", cases=[(1.0,), (2.0,), (3.0,)], definition=lambda x: 2 * x,
            wrong=[Misconception("larger", "too much.", shows=larger, always=always)],
        )  # fmt: skip

    square, two_larger = (lambda x: x * x), (lambda x: 2 * max(x, 2))
    assert twice(always=False)(square).misconception == "larger"
    assert twice(always=True)(square).misconception == ""  # 1 · 1 is too little
    assert twice(always=True)(two_larger).misconception == "larger"
    assert twice(always=True)(lambda x: x + x).state == "right"


def test_a_misconception_may_be_told_by_a_part_of_the_answer():
    """Whatever the rest is; a case without this part says nothing, and a part that is right everywhere is no fault."""
    two_things = Exercise(
        name="two_things", asks="twice x, and x + 1", takes="x", cases=[(torch.tensor(float(i)),) for i in range(4)],
        definition=lambda x: (2 * x, x + 1),
        wrong=[Misconception("squared", "too much.", gives=lambda x: x * x,
                             part=lambda answer, x: answer[0] if x != 1 else ...),
               Misconception("minus", "too little.", gives=lambda x: x - 1, part=lambda answer, x: answer[1][None][:0]),
               Misconception("the same", "as it was.", gives=lambda x: x + 1, part=lambda answer, x: answer[1])],
    )  # fmt: skip
    assert two_things(lambda x: (x * x, x + 1)).misconception == "squared"
    assert two_things(lambda x: (x * x if x != 1 else x, x)).misconception == "squared"
    assert two_things(lambda x: (x * x if x != 3 else x, x)).misconception == ""
    assert two_things(lambda x: (2 * x if x != 1 else x, x + 1)).misconception == ""
    assert two_things(lambda x: (2 * x, x - 1)).misconception == ""
    assert two_things(lambda x: (2 * x, x + 1)).state == "right"
    assert two_things(lambda x: x * x).misconception == ""


def test_a_return_in_the_loop_is_known_in_every_exercise():
    def add_one(*, stop):
        def answer(x):
            y = torch.zeros_like(x)
            for i in range(len(x)):
                y[i] = x[i] + 1
                if i + 1 == stop:
                    return y
            return y

        return answer

    exercise = Exercise(
        name="add", asks="x + 1", takes="x", cases=[(torch.ones(3, 2),), (torch.arange(4),), (torch.ones(1),)],
        definition=lambda x: x + 1,
        wrong=[Misconception("wrong", "no.", shows=lambda answer, right, x: not same(answer, right))],
    )  # fmt: skip
    assert exercise(add_one(stop=1)).misconception == "return in the loop"
    assert exercise(add_one(stop=2)).misconception == "wrong"  # not the first row alone
    assert exercise(torch.zeros_like).misconception == "wrong"  # not even the first
    assert exercise(add_one(stop=0)).state == "right"


def test_odd_tensors_get_a_form_not_an_error():
    right = torch.ones(2)
    odd = [
        torch.ones(2).to_sparse(),
        *(torch.ones(2).to(dtype) for dtype in (torch.complex64, torch.uint64, torch.float8_e5m2)),
        torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
        torch.empty(2, device="meta"),
        torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
        causal_lower_right(1, 2),
    ]
    assert all("plain tensor" in form(one, right) and not same(one, right) for one in odd)
    exercise = Exercise(name="one", asks="", takes="x", cases=[(right,)], definition=lambda x: x)
    assert all("plain tensor" in exercise(lambda x, one=one: one).message for one in odd)


def test_cases_are_drawn_from_private_generators_and_are_always_the_same():
    before = torch.get_rng_state()
    first, second = ((cases.lengths_and_total(3), cases.scores_and_masks(3, empty_rows=True)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert same(first, second, tolerance=0) and not first[1][0][1][0].any()
