"""What an experiment gives: numbers of every seed, curves, and a verdict that the numbers decide."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import isnan
from statistics import mean
from typing import NamedTuple

from masklab.threads import one_thread

DIGITS = 4


@dataclass(frozen=True, kw_only=True)
class Result:
    """One experiment: a question, what was tried, and what came out, seed by seed.

    ``scores`` gives for each variant one number a seed; ``measure`` says what the number is, and ``better``
    whether "higher" or "lower" is good. ``curves`` gives for each variant one list a seed, for example the
    loss at every tenth step; ``samples`` may hold a text a variant. ``level`` is a line to compare with, such as
    chance or ln V, and ``level_name`` says which. ``right`` is the variant that the lesson recommends:
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
    last word is better than last step: by 0.3600 in the mean, and its worst seed beats the other's best.
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
        if self.better not in ("higher", "lower"):
            raise ValueError(f"better must be 'higher' or 'lower', and is {self.better!r}.")
        if self.right not in self.scores:
            raise ValueError(f"right must be one of the variants, {list(self.scores)}, and is {self.right!r}.")
        seeds = [len(values) for values in self.scores.values()]
        if len(set(seeds)) != 1 or not seeds[0]:
            raise ValueError(f"every variant needs as many seeds, at least one: {seeds}.")

    def table(self) -> str:
        """The mean of each variant and its spread over the seeds, as text."""
        rows = [[name, mean(values), min(values), max(values)] for name, values in self.scores.items()]
        if self.level is not None:
            rows.append([self.level_name, self.level, "", ""])
        cells = [["variant", self.measure, "lowest", "highest"]] + [[_text(cell) for cell in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
        return "\n".join(line.rstrip() for line in lines)

    def verdict(self) -> str:
        """What the numbers say of ``right`` beside each other variant, one line each, and beside the level."""
        lines = [self.compared(other) for other in self.scores if other != self.right]
        below = [name for name in self.scores if not self._passes_the_level(name)]
        if below:
            lines.append(f"No better than the level ({self.level_name}) in the mean: {', '.join(below)}.")
        if len(self.scores[self.right]) == 1:
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
        gap = mean(ours) - mean(theirs)
        by = f"by {abs(gap):.{DIGITS}f} in the mean"
        if self.wins(other):
            return f"{self.right} is better than {other}: {by}, and its worst seed beats the other's best."
        if self.loses(other):
            return f"{self.right} is WORSE than {other}: {by}, and the other's worst seed beats its best."
        return (
            f"{self.right} and {other}: no clear difference; means differ by {gap:+.{DIGITS}f}, and the seeds overlap."
        )

    def wins(self, other: str) -> bool:
        """Whether every seed of ``right`` is better than every one of ``other``.

        Of three and three seeds that are all alike, chance orders them so once in 20 times.
        """
        return all(self._better(ours, theirs) for ours, theirs in self._pairs(other))

    def loses(self, other: str) -> bool:
        """Whether every seed of ``right`` is worse than every one of ``other``."""
        return all(self._better(theirs, ours) for ours, theirs in self._pairs(other))

    def _passes_the_level(self, name: str) -> bool:
        """Whether a variant is better than the line to compare with, if there is one."""
        return self.level is None or self._better(mean(self.scores[name]), self.level)

    def _pairs(self, other: str) -> Iterator[tuple[float, float]]:
        return product(self.scores[self.right], self.scores[other])

    def _better(self, one: float, two: float) -> bool:
        return one > two if self.better == "higher" else one < two  # a NaN is never better


def _text(cell: str | float) -> str:
    """A word as it is, a number with four digits."""
    return cell if isinstance(cell, str) else f"{cell:.{DIGITS}f}"


class Run(NamedTuple):
    """What one variant gives with one seed: a number, a curve and a text."""

    score: float
    curve: Sequence[float]
    sample: str = ""


def collect(run: Callable[[str, int], Run], variants: Iterable[str], seeds: Sequence[int]) -> dict[str, dict]:
    """Run each variant with each seed: ``scores``, ``curves`` and ``samples`` (of the first seed) for a `Result`.

    >>> collect(lambda variant, seed: Run(seed, [0.5], "text"), ["a", "b"], [7, 8])["scores"]
    {'a': [7, 8], 'b': [7, 8]}
    """
    with one_thread():
        runs = {name: [run(name, seed) for seed in seeds] for name in variants}
    return {
        "scores": {name: [one.score for one in several] for name, several in runs.items()},
        "curves": {name: [one.curve for one in several] for name, several in runs.items()},
        "samples": {name: several[0].sample for name, several in runs.items() if several and several[0].sample},
    }


def check_choice(name: str, given: str, choices: Sequence[str]) -> None:
    """Raise a ValueError that says which choices there are, if this is none of them.

    >>> check_choice("equal", "steps", ("steps", "words"))
    """
    if given not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, and is {given!r}.")
