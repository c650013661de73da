"""Train tiny models and compare them fairly: the loop, the draws, and a result whose verdict the numbers decide."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import isnan
from statistics import mean
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from masklab import validate
from masklab.models.private import seeded
from masklab.progress_bar import progress_bar
from masklab.text import Batch
from masklab.threads import one_thread

DIGITS = 4
AnyBatch = TypeVar("AnyBatch", bound=Batch)

# --- Training --------------------------------------------------------------------------------------------------------


def train(
    model: nn.Module,
    loss_of: Callable[[int], Tensor],
    *,
    steps: int,
    lr: float = 3e-3,
    keep_every: int = 10,
    progress: bool = False,
) -> list[float]:
    """Train with Adam; return the loss of every ``keep_every``-th step.

    ``loss_of(step)`` computes the loss of one batch, a scalar with a gradient. ``model`` is changed, and is in eval
    mode afterwards. Gradients are clipped to a norm of 1, so that one unlucky batch spoils nothing.
    ``progress`` shows a bar under the cell of a notebook. Source: Kingma and Ba 2015, arXiv 1412.6980.

    >>> model = nn.Linear(1, 1, bias=False)
    >>> losses = train(model, lambda step: (model(torch.ones(1, 1)) - 2).square().sum(), steps=100, lr=0.1)
    >>> len(losses), losses[-1] < 0.1
    (10, True)
    """
    validate.at_least(0, steps=steps)
    validate.at_least(1, keep_every=keep_every)
    weights, kept = list(model.parameters()), []
    adam_step = _adam(weights, lr=lr)
    model.train()
    with one_thread():
        for step in progress_bar(range(steps), label="training steps") if progress else range(steps):
            model.zero_grad()
            loss = loss_of(step)
            loss.backward()
            nn.utils.clip_grad_norm_(weights, 1.0)
            adam_step()
            if step % keep_every == 0:
                kept.append(loss.item())
    model.eval()
    return kept


def _adam(weights: Sequence[Tensor], *, lr: float) -> Callable[[], None]:
    """One step of Adam, to be called again and again: torch's own kernel, one for all weights.

    It is what `torch.optim.Adam(weights, lr=lr, fused=True)` does. But to make that class imports torch's compiler,
    and a learner would wait three seconds for it (ten on a slow machine) in every lesson that trains.
    """
    means, squares = [[torch.zeros_like(one) for one in weights] for _ in range(2)]
    counts = [torch.zeros(()) for _ in weights]

    @torch.no_grad()
    def step() -> None:
        used = [i for i, one in enumerate(weights) if one.grad is not None]
        ours, firsts, seconds, steps = ([several[i] for i in used] for several in (weights, means, squares, counts))
        adam(
            ours, [one.grad for one in ours if one.grad is not None], firsts, seconds, [], steps, fused=True,
            amsgrad=False, maximize=False, lr=lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0,
        )  # fmt: skip

    return step


def draws(examples: Sequence, *, size: int, seed: int) -> Callable[[int], list]:
    """A function from a step to the examples of its batch, drawn at random with a private generator.

    All variants that use the same seed see the same batches in the same order.

    >>> batch_of = draws("abcdef", size=3, seed=0)
    >>> batch_of(0) == batch_of(0), len(batch_of(1))
    (True, 3)
    """

    def batch_of(step: int) -> list:
        generator = seeded(1_000_003 * int(seed) + step)
        return [examples[i] for i in torch.randint(len(examples), (size,), generator=generator).tolist()]

    return batch_of


def rows(batch: AnyBatch, chosen: Sequence[int]) -> AnyBatch:
    """Some rows of a batch, with their labels, in the order in which they are named.

    >>> from masklab.text import make_batch
    >>> rows(make_batch(["The cat ate", "The cat"]), [1]).tokens
    (('The', 'cat', '[PAD]'),)
    """
    changed: dict[str, Any] = {name: one[chosen] for name, one in vars(batch).items() if isinstance(one, Tensor)}
    return replace(batch, tokens=tuple(batch.tokens[i] for i in chosen), **changed)


# --- Comparing -------------------------------------------------------------------------------------------------------


class Run(NamedTuple):
    """What one variant gives with one seed: a number, a curve and a text."""

    score: float
    curve: Sequence[float]
    sample: str = ""


def collect(
    run: Callable[[str, int], Run], variants: Iterable[str], seeds: Sequence[int], *, progress: bool = False
) -> dict[str, Any]:
    """Run each variant with each seed: ``scores``, ``curves`` and ``samples`` (of the first seed) for a `Result`.

    ``progress`` shows a bar under the cell of a notebook.

    >>> collect(lambda variant, seed: Run(seed, [0.5], "text"), ["a", "b"], [7, 8])["scores"]
    {'a': [7, 8], 'b': [7, 8]}
    """
    names = list(variants)
    pairs = list(product(names, seeds))
    with one_thread():
        runs = {pair: run(*pair) for pair in (progress_bar(pairs, label="runs") if progress else pairs)}
    several = {name: [runs[name, seed] for seed in seeds] for name in names}
    return {
        "scores": {name: [one.score for one in found] for name, found in several.items()},
        "curves": {name: [one.curve for one in found] for name, found in several.items()},
        "samples": {name: found[0].sample for name, found in several.items() if found and found[0].sample},
    }


@dataclass(frozen=True, kw_only=True)
class Result:
    """One comparison: a question, what was tried, and the numbers, seed by seed.

    ``scores`` gives one number a seed for each variant, with the seeds in the same order: the variants of a seed begin
    alike and see the same batches, so their *differences* are compared. ``measure`` says what the number is, and
    ``better`` whether "higher" or "lower" is good. ``curves`` gives one list a seed for each variant, for example the
    loss at every tenth step; ``samples`` may hold a text a variant. ``level`` is a line to compare with, such as
    chance or ln V, and ``level_name`` its name. ``right`` is the variant that the lesson recommends:
    the verdict compares it with each of the others.
    Raises ValueError for an unknown ``better`` or ``right``, or for variants with different numbers of seeds.

    >>> result = Result(
    ...     question="Which state should be read?", measure="accuracy", better="higher", right="last word",
    ...     scores={"last word": [0.9, 0.92, 0.91], "last step": [0.5, 0.6, 0.55]})
    >>> print(result.table())
    variant    accuracy  lowest  highest
    last word  0.9100    0.9000  0.9200
    last step  0.5500    0.5000  0.6000
    >>> print(result.verdict())
    last word is better than last step: by 0.3600 on average, and in all 3 seeds.
    If they were equally good, the 3 seeds would still agree 1 time in 4.
    """

    question: str
    measure: str
    better: str
    right: str
    scores: Mapping[str, Sequence[float]]
    curves: Mapping[str, Sequence[Sequence[float]]] = field(default_factory=dict)
    samples: Mapping[str, str] = field(default_factory=dict)
    level: float | None = None
    level_name: str = ""

    def __post_init__(self):
        validate.one_of(("higher", "lower"), better=self.better)
        validate.one_of(tuple(self.scores), right=self.right)
        seeds = [len(values) for values in self.scores.values()]
        if len(set(seeds)) != 1 or not seeds[0]:
            raise ValueError(f"every variant must have the same number of seeds, at least one, got {seeds}.")

    def table(self) -> str:
        """The mean of each variant and its spread over the seeds, as text."""
        lines: list[list] = [[name, mean(one), min(one), max(one)] for name, one in self.scores.items()]
        if self.level is not None:
            lines.append([self.level_name, self.level, "", ""])
        cells = [["variant", self.measure, "lowest", "highest"]] + [[_text(cell) for cell in line] for line in lines]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
        )

    def verdict(self) -> str:
        """What the numbers say about ``right`` and each other variant, about chance, and about the level."""
        others = [name for name in self.scores if name != self.right]
        lines = [self.compared(other) for other in others]
        seeds = len(self.scores[self.right])
        if seeds > 1 and any(self.wins(other) or self.loses(other) for other in others):
            lines.append(
                f"If they were equally good, the {seeds} seeds would still agree 1 time in {2 ** (seeds - 1)}."
            )
        below = [name for name in self.scores if not self._passes_the_level(name)]
        if below:
            lines.append(f"On average no better than the level ({self.level_name}): {', '.join(below)}.")
        if seeds == 1:
            lines.append("One seed: no spread, so this may be luck.")
        return "\n".join(lines)

    def compared(self, other: str) -> str:
        """The sentence about ``right`` and one other variant.

        >>> one = {"question": "?", "measure": "accuracy", "better": "higher", "right": "a"}
        >>> Result(scores={"a": [0.5, 0.6], "b": [0.5, 0.6]}, **one).compared("b")
        'a and b: the same in every seed.'
        """
        ours, theirs = self.scores[self.right], self.scores[other]
        if any(map(isnan, [*ours, *theirs])):
            return f"{self.right} and {other} cannot be compared: a run gave no number (NaN)."
        if list(ours) == list(theirs):
            return f"{self.right} and {other}: the same in every seed."
        gap, seeds = mean(ours) - mean(theirs), len(ours)
        if self.wins(other) or self.loses(other):
            word = "better" if self.wins(other) else "WORSE"
            every = f" on average, and in {'both' if seeds == 2 else f'all {seeds}'} seeds" if seeds > 1 else ""
            return f"{self.right} is {word} than {other}: by {abs(gap):.{DIGITS}f}{every}."
        won = sum(self._better(*pair) for pair in self._pairs(other))
        return (
            f"{self.right} and {other}: no clear difference; means differ by {gap:+.{DIGITS}f}, "
            f"and {self.right} is better in {won} of {seeds} seeds."
        )

    def wins(self, other: str) -> bool:
        """Whether ``right`` is better than ``other`` in every seed."""
        return all(self._better(ours, theirs) for ours, theirs in self._pairs(other))

    def loses(self, other: str) -> bool:
        """Whether ``right`` is worse than ``other`` in every seed."""
        return all(self._better(theirs, ours) for ours, theirs in self._pairs(other))

    def _pairs(self, other: str) -> list[tuple[float, float]]:
        """The numbers of ``right`` and of another variant, seed by seed."""
        return list(zip(self.scores[self.right], self.scores[other], strict=True))

    def _passes_the_level(self, name: str) -> bool:
        """Whether a variant is better than the line to compare with, if there is one."""
        return self.level is None or self._better(mean(self.scores[name]), self.level)

    def _better(self, one: float, two: float) -> bool:
        return one > two if self.better == "higher" else one < two  # a NaN is never better


def _text(cell: str | float) -> str:
    """A word as it is, a number with four digits."""
    return cell if isinstance(cell, str) else f"{cell:.{DIGITS}f}"
