"""The canary: which leaks it finds, and that nothing but the leak differs."""

import math

import pytest
import torch

from masklab import masks
from masklab.experiments import leaks
from masklab.experiments.leaks import canary

RIGHT = masks.causal()


@pytest.fixture(scope="module")
def canaries():
    return canary()


def test_the_canary_finds_every_leak_but_one(canaries):
    assert canaries.scores["correct"] == [0, 0, 0]
    for leak in ("no mask", "one token too far", "a bias of −2"):
        assert canaries.wins(leak) and min(canaries.scores[leak]) > 3.2  # it knows nearly all of 3.466
    assert canaries.wins("mean over all positions") and 0.03 < min(canaries.scores["mean over all positions"]) < 1
    assert not canaries.wins("BatchNorm")
    assert all(curve[-1] == pytest.approx(math.log(32), abs=0.05) for curve in canaries.curves["correct"])


@pytest.mark.parametrize("name", leaks.CANARIES)
def test_the_gradient_finds_every_leak(name):
    """The output at position 3 must not depend on the embedding of token 5; in train mode, where BatchNorm leaks."""
    model, rule = leaks.leaking_gpt(name, seed=0), leaks.RULES.get(name, RIGHT)
    inputs = {}
    part = model.embed.embed if name == "mean over all positions" else model.embed
    part.register_forward_hook(lambda module, given, made: inputs.update(x=made.requires_grad_()) or made)
    model.train()
    ids = torch.arange(8)[None]
    out = model(ids, rule.tensor(queries=8, keys=8))[0, 3]
    cotangent = torch.randn(out.shape, generator=torch.Generator().manual_seed(0))  # a sum would vanish after a norm
    gradient = torch.autograd.grad(out, inputs["x"], cotangent)[0][0]  # (8, dim)
    seen_by = gradient[4:].abs().amax(dim=1) > 0
    seen = {"correct": [False] * 4, "one token too far": [True, False, False, False]}.get(name, [True] * 4)
    assert seen_by.tolist() == seen and gradient[:4].any()


def test_a_canary_without_a_leak_is_the_correct_model(monkeypatch):
    monkeypatch.setattr(leaks, "RULES", {})
    plain = leaks.leaking_gpt("correct", seed=0)
    monkeypatch.setattr(leaks, "leaking_gpt", lambda name, *, seed: type(plain)(32, layers=1, longest=8, seed=seed))
    result = canary(seeds=[0], steps=6)
    assert len({str(curves) for curves in result.curves.values()}) == 1
