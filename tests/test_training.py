"""Training repeats and shows how far it is; verdicts compare seed by seed, and say what chance would do."""

import copy
import random
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
import torch
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from torch import nn

from masklab.corpus import RUNNING, batch
from masklab.text import make_batch
from masklab.training import Result, Run, collect, draws, rows, train


def result(scores, **changes) -> Result:
    given = {"question": "?", "measure": "accuracy", "better": "higher", "right": "a", "scores": scores}
    return Result(**given | changes)


@pytest.mark.parametrize(
    ("better", "other", "wins", "loses", "words"),
    [
        ("higher", [0.1, 0.2], True, False, "a is better than b: by 0.4000 on average, and in both seeds."),
        ("higher", [0.8, 0.9], False, True, "a is WORSE than b: by 0.3000"),
        ("higher", [0.45, 0.55], True, False, "a is better than b: by 0.0500"),  # the seeds overlap, the pairs agree
        ("higher", [0.1, 0.65], False, False, "a and b: no clear difference; means differ by +0.1750"),
        ("higher", [0.1, 0.65], False, False, "and a is better in 1 of 2 seeds."),
        ("higher", [0.6, 0.5], False, False, "means differ by +0.0000, and a is better in 1 of 2 seeds."),
        ("higher", [0.5, 0.6], False, False, "a and b: the same in every seed."),  # a tie is no win
        ("higher", [0.5, 0.1], False, False, "no clear difference"),  # nor is a tie in one seed
        ("higher", [0.5, 0.7], False, False, "a is better in 0 of 2 seeds"),
        ("lower", [0.8, 0.9], True, False, "a is better than b: by 0.3000"),
        ("lower", [0.1, 0.2], False, True, "a is WORSE than b: by 0.4000"),
        ("lower", [0.1, 0.65], False, False, "a and b: no clear difference; means differ by +0.1750"),
    ],
)
def test_a_verdict_needs_every_seed(better, other, wins, loses, words):
    found = result({"a": [0.5, 0.6], "b": other}, better=better)
    assert (found.wins("b"), found.loses("b")) == (wins, loses)
    assert words in found.verdict()


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_a_verdict_says_what_chance_would_do(seeds):
    """Every way in which the signs of the differences can fall, counted."""
    signs = list(product([-1, 1], repeat=seeds))
    decided = sum(len(set(one)) == 1 for one in signs)
    sentence = f"If they were equally good, the {seeds} seeds would still agree 1 time in {len(signs) // decided}."
    for better in ("higher", "lower"):
        for scores in ([0.1] * seeds, [0.9] * seeds):
            found = result({"a": [0.5] * seeds, "b": scores, "c": [0.5] * seeds}, better=better).verdict()
            assert found.count("1 time in") == 1 and found.endswith(f"\n{sentence}")
    undecided = {"b": [0.5] * seeds, "c": [0.6] + [0.4] * (seeds - 1)}
    assert "1 time in" not in result({"a": [0.5] * seeds} | undecided).verdict()


def test_the_chance_is_that_of_an_experiment_in_which_nothing_differs():
    """Two variants that draw from the same numbers: 3 seeds agree 1 time in 4."""
    rng = random.Random(0)
    agree = 0
    for _ in range(4000):
        found = result({name: [rng.random() for _ in range(3)] for name in "ab"})
        agree += found.wins("b") or found.loses("b")
    assert agree / 4000 == pytest.approx(1 / 4, abs=0.03)


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
        assert found.endswith(f"\nOn average no better than the level (chance): {named}.")
    else:
        assert "level" not in found


def test_one_seed_is_called_what_it_is():
    assert result({"a": [0.5], "b": [0.4]}).verdict().endswith("One seed: no spread, so this may be luck.")
    assert result({"a": [0.5], "b": [0.4]}).verdict().startswith("a is better than b: by 0.1000.\n")
    assert "1 time in" not in result({"a": [0.5], "b": [0.4]}).verdict()
    assert "One seed" not in result({"a": [0.5, 0.6], "b": [0.4, 0.4]}).verdict()


def test_the_table_has_the_level_to_compare_with():
    table = result({"a": [0.5, 0.7], "b": [0.25, 0.25]}, level=0.25, level_name="chance").table()
    assert [line.split() for line in table.splitlines()] == [
        ["variant", "accuracy", "lowest", "highest"],
        ["a", "0.6000", "0.5000", "0.7000"],
        ["b", "0.2500", "0.2500", "0.2500"],
        ["chance", "0.2500"],
    ]


@pytest.mark.parametrize(("changes", "words"), [
    ({"better": "more"}, "'higher' or 'lower', got 'more'"),
    ({"right": "c"}, "right must be 'a' or 'b', got 'c'"),
    ({"scores": {"a": [1.0], "b": [1.0, 2.0]}}, r"at least one, got \[1, 2\]"),
    ({"scores": {"a": [], "b": []}}, r"same number of seeds, at least one, got \[0, 0\]"),
])  # fmt: skip
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


def test_a_model_is_in_train_mode_while_it_trains_and_the_first_loss_is_kept():
    model = nn.Linear(1, 1).eval()
    modes = []
    kept = train(model, lambda step: modes.append(model.training) or model(torch.ones(1, 1)).sum() * 0 + step, steps=6,
                 keep_every=5)  # fmt: skip
    assert modes == [True] * 6 and kept == [0, 5]


@pytest.mark.parametrize(("options", "words"), [
    ({"steps": -1}, "steps must be an integer, at least 0, got -1"),
    ({"steps": 1.5}, "steps must be"),
    ({"steps": 2, "keep_every": 0}, "keep_every must be an integer, at least 1, got 0"),
])  # fmt: skip
def test_training_takes_whole_steps(options, words):
    model = nn.Linear(1, 1)
    with pytest.raises(ValueError, match=words):
        train(model, lambda step: model(torch.ones(1, 1)).sum(), **options)


def test_a_step_is_that_of_torchs_adam():
    class Two(nn.Module):  # the first may sit out a step: its moments must not move; under a gradient of 0 they do
        def __init__(self):
            super().__init__()
            self.often, self.always = nn.Linear(3, 2), nn.Linear(3, 2)

    generator = torch.Generator().manual_seed(0)
    ours = Two()
    theirs = copy.deepcopy(ours)
    inputs = torch.randn(20, 5, 3, generator=generator)

    def loss_of(model, step):
        out = model.always(inputs[step])
        return ((out + model.often(inputs[step]) * (step % 3 - 1)) if step % 3 else out).square().sum()

    train(ours, lambda step: loss_of(ours, step), steps=20, lr=0.05)
    optimizer = torch.optim.Adam(theirs.parameters(), lr=0.05, fused=True)
    for step in range(20):
        optimizer.zero_grad()
        loss_of(theirs, step).backward()
        nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        optimizer.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_training_does_not_import_torchs_compiler():
    code = """
import sys, torch
from masklab.training import train
model = torch.nn.Linear(2, 1)
train(model, lambda step: model(torch.ones(1, 2)).sum(), steps=2)
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False", "a learner would wait three seconds for it"


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
    assert draws(letters, size=np.int64(8), seed=np.int64(1))(np.int64(2)) == other(2)


def test_rows_keep_everything_that_belongs_to_them():
    both = batch(RUNNING)
    some = rows(both, [2, 0])
    assert type(some) is type(both) and some.side == both.side
    for name, values in vars(both).items():
        if name != "side":
            assert [str(one) for one in getattr(some, name)] == [str(values[2]), str(values[0])]
    assert rows(make_batch(["a b", "c"], side="left"), []).ids.shape == (0, 2)


def test_collect_runs_each_variant_with_each_seed_once():
    called = []

    def run(name, seed):
        called.append((name, seed))
        return Run(len(called), [seed], name if seed == 5 else "")

    found = collect(run, (name for name in "ab"), (5, 6))
    assert called == [("a", 5), ("a", 6), ("b", 5), ("b", 6)]
    assert found["scores"] == {"a": [1, 2], "b": [3, 4]} and found["curves"] == {"a": [[5], [6]], "b": [[5], [6]]}
    assert found["samples"] == {"a": "a", "b": "b"}
    assert collect(run, "ab", ())["scores"] == {"a": [], "b": []}


# --- Progress --------------------------------------------------------------------------------------------------------


def messages(code):
    """What a fresh kernel of this Python sends to a page while it runs some code."""
    manager = KernelManager(kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    manager.start_kernel()
    client, found = manager.blocking_client(), []
    try:
        client.start_channels()
        client.wait_for_ready(timeout=60)
        reply = client.execute_interactive(code, output_hook=found.append, timeout=60)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert reply["content"]["status"] == "ok", reply["content"]
    return [(one["msg_type"], one["content"]) for one in found if one["msg_type"] not in ("status", "execute_input")]


def test_a_bar_moves_under_the_cell_and_leaves_what_every_run_leaves():
    """A stored notebook keeps the last frame, and nbval compares it with the first one of another run."""
    code = "from masklab import progress_bar as p; p.EVERY = 0; print(sum(p.progress_bar(range(4), label='steps')))"
    (first, shown), *updates, (_, printed) = messages(code)
    assert first == "display_data" and {kind for kind, _ in updates} == {"update_display_data"}
    assert len({content["transient"]["display_id"] for _, content in [(first, shown), *updates]}) == 1
    assert shown["data"] == updates[-1][1]["data"] == {"text/plain": "steps: 4", "text/html": "<label>steps: 4</label>"}
    for done, (_, content) in enumerate(updates[:-1]):
        assert content["data"]["text/plain"] == "steps: 4"
        assert f'<progress value="{done}" max="4"></progress>' in content["data"]["text/html"]
    assert len(updates) == 5 and printed["text"] == "6\n"


def test_training_and_collecting_show_a_bar_if_they_are_asked_to(monkeypatch):
    shown = []
    monkeypatch.setattr("masklab.training.progress_bar", lambda items, *, label: shown.append((label, items)) or items)
    model = nn.Linear(1, 1)
    for wanted in (False, True):
        train(model, lambda step: model(torch.ones(1, 1)).sum(), steps=3, progress=wanted)
        collect(lambda name, seed: Run(seed, []), "ab", (0, 1), progress=wanted)
    assert shown == [("training steps", range(3)), ("runs", [("a", 0), ("a", 1), ("b", 0), ("b", 1)])]


def test_outside_a_notebook_nothing_is_shown(capsys):
    model = nn.Linear(1, 1)
    train(model, lambda step: model(torch.ones(1, 1)).sum(), steps=3, progress=True)
    assert capsys.readouterr() == ("", "")
