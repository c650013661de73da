"""The canary: which leaks it finds, and that nothing but the leak differs."""

import math

import pytest
import torch

from masklab import masks
from masklab.experiments import leaks
from masklab.experiments.leaks import canary
from tests.comparisons import apart

RIGHT = masks.causal()


@pytest.fixture(scope="module")
def canaries():
    return canary(seeds=(0, 1))  # `make bench` takes three


def test_the_canary_finds_every_leak_but_one(canaries):
    assert canaries.scores["correct"] == [0, 0]
    for leak in ("no mask", "one token too far", "a bias of −2"):
        assert apart(canaries, leak) and min(canaries.scores[leak]) > 3.2  # it knows nearly all of 3.466
    assert apart(canaries, "mean over all positions") and 0.03 < min(canaries.scores["mean over all positions"]) < 1
    assert not canaries.wins("BatchNorm")
    assert all(curve[-1] == pytest.approx(math.log(32), abs=0.05) for curve in canaries.curves["correct"])


@pytest.mark.parametrize("name", leaks.CANARIES)
def test_the_gradient_finds_every_leak(canaries, name):
    gradient = leaks.later_gradient(leaks.leaking_gpt(name, seed=0), leaks.RULES.get(name, RIGHT))
    assert gradient == 0 if name == "correct" else gradient > 1e-3
    assert canaries.samples[name] == f"gradient of later tokens: {gradient:.4f}"


@pytest.mark.parametrize("name", leaks.CANARIES)
def test_the_gradient_by_changing_a_later_token(name):
    """The output at position 4 moves when token 5, 6 or 7 is another one; in train mode, where BatchNorm leaks."""
    model, rule = leaks.leaking_gpt(name, seed=0).train(), leaks.RULES.get(name, RIGHT)
    mask = rule.tensor(queries=8, keys=8)
    with torch.no_grad():
        before = model(torch.arange(8)[None], mask)[0, 4]
        after = [model(torch.arange(8).where(torch.arange(8) != i, 30)[None], mask)[0, 4] for i in (5, 6, 7)]
    moved = [not torch.allclose(before, other, atol=1e-6) for other in after]
    assert moved == {"correct": [False] * 3, "one token too far": [True, False, False]}.get(name, [True] * 3)


def test_a_canary_without_a_leak_is_the_correct_model(monkeypatch):
    monkeypatch.setattr(leaks, "RULES", {})
    plain = leaks.leaking_gpt("correct", seed=0)
    monkeypatch.setattr(leaks, "leaking_gpt", lambda name, *, seed: type(plain)(32, layers=1, max_len=8, seed=seed))
    result = canary(seeds=[0], steps=6)
    assert len({str(curves) for curves in result.curves.values()}) == 1
