"""The frame of the experiments: verdicts that the numbers decide, and training that repeats."""

import random
from importlib import import_module
from inspect import signature

import pytest
import torch
from torch import nn

from masklab import experiments
from masklab.experiments.result import Result
from masklab.experiments.training import draws, train


def result(scores, **changes) -> Result:
    given = {"question": "?", "measure": "accuracy", "better": "higher", "right": "a", "scores": scores}
    return Result(**given | changes)


@pytest.mark.parametrize(
    ("better", "other", "wins", "loses", "words"),
    [
        ("higher", [0.1, 0.2], True, False, "a is better than b: by 0.4000"),
        ("higher", [0.8, 0.9], False, True, "a is WORSE than b: by 0.3000"),
        ("higher", [0.1, 0.55], False, False, "a and b: no clear difference; means differ by +0.2250"),
        ("higher", [0.5, 0.6], False, False, "a and b: the same in every seed."),  # a tie is no win
        ("higher", [0.6, 0.7], False, False, "no clear difference"),
        ("lower", [0.8, 0.9], True, False, "a is better than b: by 0.3000"),
        ("lower", [0.1, 0.2], False, True, "a is WORSE than b: by 0.4000"),
        ("lower", [0.1, 0.55], False, False, "no clear difference"),
    ],
)
def test_a_verdict_needs_every_pair_of_seeds(better, other, wins, loses, words):
    found = result({"a": [0.5, 0.6], "b": other}, better=better)
    assert (found.wins("b"), found.loses("b")) == (wins, loses)
    assert words in found.verdict()


def test_a_nan_never_wins():
    for better in ("higher", "lower"):
        for a, b in (([float("nan")], [0.5]), ([0.5], [float("nan")]), ([0.5, float("nan")], [0.1, 0.1])):
            found = result({"a": a, "b": b}, better=better)
            assert not found.wins("b") and not found.loses("b")
            assert found.verdict().startswith("a and b cannot be compared: a run gave no number (NaN).")


@pytest.mark.parametrize(("better", "level", "named"), [
    ("higher", 0.55, "b, c"), ("higher", 0.2, ""), ("lower", 0.55, "a, c"), ("lower", None, ""),
])  # fmt: skip
def test_the_verdict_names_who_is_no_better_than_the_level(better, level, named):
    scores = {"a": [0.5, 0.7], "b": [0.25, 0.25], "c": [0.55, 0.55]}
    found = result(scores, better=better, level=level, level_name="chance").verdict()
    if named:
        assert found.endswith(f"\nNo better than the level (chance) in the mean: {named}.")
    else:
        assert "level" not in found


def test_one_seed_is_called_what_it_is():
    assert result({"a": [0.5], "b": [0.4]}).verdict().endswith("One seed: no spread, so this may be luck.")
    assert "One seed" not in result({"a": [0.5, 0.6], "b": [0.4, 0.4]}).verdict()


def test_the_table_has_the_level_to_compare_with():
    table = result({"a": [0.5, 0.7], "b": [0.25, 0.25]}, level=0.25, level_name="chance").table()
    assert [line.split() for line in table.splitlines()] == [
        ["variant", "accuracy", "lowest", "highest"],
        ["a", "0.6000", "0.5000", "0.7000"],
        ["b", "0.2500", "0.2500", "0.2500"],
        ["chance", "0.2500"],
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"better": "more"}, "'higher' or 'lower', and is 'more'"),
        ({"right": "c"}, r"one of the variants, \['a', 'b'\], and is 'c'"),
        ({"scores": {"a": [1.0], "b": [1.0, 2.0]}}, r"at least one: \[1, 2\]"),
        ({"scores": {"a": [], "b": []}}, r"as many seeds, at least one: \[0, 0\]"),
    ],
)
def test_what_does_not_fit_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        result(**{"scores": {"a": [1.0], "b": [1.0]}} | changes)


def trained(*, steps=30, lr=0.05):
    generator = torch.Generator().manual_seed(0)
    model = nn.Linear(3, 1)
    with torch.no_grad():
        model.weight.fill_(0.1), model.bias.fill_(0.0)
    x = torch.randn(64, 3, generator=generator)
    y = x @ torch.tensor([[1.0], [-2.0], [0.5]])
    return model, train(model, lambda step: (model(x) - y).square().mean(), steps=steps, lr=lr, keep_every=5)


def test_training_learns_repeats_and_leaves_everything_else_alone():
    model = nn.Linear(1, 1)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    train(model, lambda step: model(torch.ones(1, 1)).sum(), steps=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.training and torch.get_num_threads() == threads
    (_, losses), (_, again) = trained(), trained()
    assert losses == again and len(losses) == 6 and losses[-1] < losses[0] / 2


def test_one_wild_batch_spoils_nothing():
    """Without clipping, Adam's memory of one gradient of 1e6 would freeze the steps that follow."""
    model = nn.Linear(1, 1, bias=False)
    x = torch.ones(1, 1)

    def loss_of(step):
        return (model(x) - 2).square().sum() * (1e6 if step == 0 else 1)

    assert train(model, loss_of, steps=150, lr=0.1)[-1] < 0.05


def test_every_variant_sees_the_same_batches_and_every_seed_others():
    letters = "abcdefghijklmnopqrstuvwxyz"
    one, same, other = (draws(letters, size=8, seed=seed) for seed in (0, 0, 1))
    assert [one(step) for step in range(5)] == [same(step) for step in reversed(range(5))][::-1]
    assert [one(step) for step in range(5)] != [other(step) for step in range(5)]
    assert one(0) != one(1) and set(one(0)) <= set(letters)


def test_every_experiment_has_a_name_and_takes_seeds_and_steps():
    for name in experiments.NAMES:
        module, function = name.split(".")
        found = getattr(import_module(f"masklab.experiments.{module}"), function)
        assert {"seeds", "steps"} <= set(signature(found).parameters)
    with pytest.raises(ValueError, match="an experiment is one of padding.read_state.* and is 'padding.none'"):
        experiments.run("padding.none")


def test_an_experiment_is_run_by_its_name():
    result = experiments.run("packing.padding_saved", seeds=(0,), steps=2)
    assert isinstance(result, Result) and len(result.scores[result.right]) == 1


def module_of(name):
    return import_module(f"masklab.experiments.{name.split('.')[0]}")


def run_anew(name, **options):
    """Run an experiment that remembers nothing."""
    for kept in vars(module_of(name)).values():
        if hasattr(kept, "cache_clear"):
            kept.cache_clear()
    return experiments.run(name, **options)


@pytest.mark.parametrize("name", experiments.NAMES)
def test_the_same_seeds_give_the_same_numbers_and_nothing_else_is_touched(name):
    state, python, threads = torch.get_rng_state(), random.getstate(), torch.get_num_threads()
    one = run_anew(name, seeds=(0, 1), steps=4)
    assert torch.equal(torch.get_rng_state(), state) and random.getstate() == python
    assert torch.get_num_threads() == threads
    torch.manual_seed(123), random.seed(123)
    two = run_anew(name, seeds=(0, 1), steps=4)
    assert (one.scores, one.curves, one.samples) == (two.scores, two.curves, two.samples)
    assert any(first != second for first, second in [*one.scores.values(), *one.curves.values()])  # a seed is a seed


@pytest.mark.parametrize("name", ["padding.read_state", "padding.tag_loss_mask", "accumulation.denominators"])
def test_all_variants_of_a_seed_begin_alike_and_see_the_same(name, monkeypatch):
    begins, seen, module = [], [], module_of(name)
    train, draws = module.train, module.draws

    def spy_train(model, loss_of, *, steps, lr):
        begins.append(torch.cat([weights.detach().flatten() for weights in model.parameters()]))
        seen.append([])
        assert (steps, lr) == (3, module.LR)
        return train(model, loss_of, steps=steps, lr=lr)

    def spy_draws(*args, **options):
        batch_of = draws(*args, **options)
        return lambda step: seen[-1].append(batch_of(step)) or seen[-1][-1]

    monkeypatch.setattr(module, "train", spy_train)
    monkeypatch.setattr(module, "draws", spy_draws)
    experiments.run(name, seeds=[7], steps=3)
    assert len(begins) > 1 and all(torch.equal(begins[0], other) for other in begins)
    assert len(seen[0]) >= 3 and all(seen[0] == other for other in seen)
