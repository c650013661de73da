"""What every experiment keeps: a name, seeds, and variants of a seed that begin alike and see the same batches."""

import random
from importlib import import_module
from inspect import signature

import pytest
import torch

from masklab import experiments
from masklab.training import Result


def test_every_experiment_has_a_name_and_takes_seeds_and_steps():
    for name in experiments.NAMES:
        module, function = name.split(".")
        found = getattr(import_module(f"masklab.experiments.{module}"), function)
        assert {"seeds", "steps"} <= set(signature(found).parameters)
    with pytest.raises(ValueError, match="name must be 'packing.documents'.* got 'packing.none'"):
        experiments.run("packing.none")


def test_an_experiment_is_run_by_its_name():
    result = experiments.run("packing.documents", seeds=(0,), steps=2)
    assert isinstance(result, Result) and len(result.scores[result.right]) == 1


def module_of(name):
    return import_module(f"masklab.experiments.{name.split('.')[0]}")


@pytest.mark.parametrize("name", experiments.NAMES)
def test_the_same_seeds_give_the_same_numbers_and_nothing_else_is_touched(name):
    state, python, threads = torch.get_rng_state(), random.getstate(), torch.get_num_threads()
    one = experiments.run(name, seeds=(0, 1), steps=2)
    assert torch.equal(torch.get_rng_state(), state) and random.getstate() == python
    assert torch.get_num_threads() == threads
    torch.manual_seed(123), random.seed(123)
    two = experiments.run(name, seeds=(0, 1), steps=2)
    assert (one.scores, one.curves, one.samples) == (two.scores, two.curves, two.samples)
    assert any(first != second for first, second in [*one.scores.values(), *one.curves.values()])  # a seed is a seed


@pytest.mark.parametrize("name", ["packing.documents"])
def test_all_variants_of_a_seed_begin_alike_and_see_the_same(name, monkeypatch):
    begins, seen, how, module = [], [], [], module_of(name)
    train, draws = module.train, module.draws

    def spy_train(model, loss_of, *, steps, lr):
        begins.append(torch.cat([weights.detach().flatten() for weights in model.parameters()]))
        seen.append([])
        how.append((steps, lr))
        return train(model, loss_of, steps=steps, lr=lr)

    def spy_draws(*args, **options):
        batch_of = draws(*args, **options)
        return lambda step: seen[-1].append(batch_of(step)) or seen[-1][-1]

    monkeypatch.setattr(module, "train", spy_train)
    monkeypatch.setattr(module, "draws", spy_draws)
    experiments.run(name, seeds=[7], steps=3)
    assert len(begins) > 1 and len(set(how)) == 1 and how[0][0] == 3
    assert all(torch.equal(begins[0], other) for other in begins)
    assert len(seen[0]) >= 3 and all(seen[0] == other for other in seen)
