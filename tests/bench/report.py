"""The results as tables, for the terminal and for two pages, with the targets that are met or missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from statistics import mean, median
from typing import TYPE_CHECKING

from masklab.training import Result

if TYPE_CHECKING:
    from tests.bench.doctor import Compared, Found  # only here: it imports torch and transformers

START, END = "<!-- bench:start -->", "<!-- bench:end -->"
FLOOR_AT_MOST = {5: 1.25, 8: 1.25, 16: 1.25, 32: 1.5, 128: 3.0}  # tokens: times the floor
FASTER_AT_LEAST = {5: 6.0, 16: 20.0}  # tokens: times faster than matplotlib
LAB_AT_MOST = {False: 1.25, True: 1.5}  # a lesson's lab without and with a trained model: times the floor
IMPORT_SECONDS, IMPORT_MB = 0.15, 40.0  # added to torch
NOISE = 0.02  # of a ratio between two ways to build a mask: the same work done twice differs by this much


@dataclass(frozen=True)
class Table:
    """A title, a line of headers, and lines of cells, all as text."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Against:
    """Milliseconds of a lab's presses beside the floor's, and whether the lab has a trained model."""

    lab: Sequence[float]
    floor: Sequence[float]
    has_model: bool


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that this many percent don't exceed, interpolated linearly.

    >>> percentile([4.0, 1.0, 2.0, 3.0, 5.0], 95)
    4.8
    """
    ordered = sorted(values)
    at = (len(ordered) - 1) * percent / 100
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return round(ordered[low] + (at - low) * (ordered[high] - ordered[low]), 9)


def verdict(value: float, *, at_most: float | None = None, at_least: float | None = None, noise: float = 0.0) -> str:
    """A ratio, and whether it meets its target; a miss within the ``noise`` of a run is a tie.

    >>> verdict(1.2, at_most=1.25), verdict(1.3, at_most=1.25), verdict(7, at_least=6), verdict(2)
    ('1.20 (≤ 1.25 met)', '1.30 (≤ 1.25 missed)', '7.00 (≥ 6 met)', '2.00')
    >>> verdict(0.99, at_least=1, noise=0.02), verdict(0.97, at_least=1, noise=0.02)
    ('0.99 (≥ 1 tie)', '0.97 (≥ 1 missed)')
    """
    if at_most is None and at_least is None:
        return f"{value:.2f}"
    sign, limit = ("≤", at_most) if at_least is None else ("≥", at_least)
    missed_by = value - limit if sign == "≤" else limit - value
    word = "met" if missed_by <= 0 else "tie" if missed_by <= noise else "missed"
    return f"{value:.2f} ({sign} {limit:g} {word})"


def keystrokes(results: Mapping[tuple, Sequence[float]], *, machine: str) -> Table:
    """One line for each width: the three kinds and the two ratios. ``machine`` says what they were measured on."""
    rows = []
    for tokens, edit in dict.fromkeys((tokens, edit) for _, tokens, edit in results):
        lab, echo, pyplot = (results[kind, tokens, edit] for kind in ("lab", "echo", "pyplot"))
        letter = edit == "letter"  # the targets are for shapes that stay the same
        floor = verdict(median(lab) / median(echo), at_most=FLOOR_AT_MOST.get(tokens) if letter else None)
        faster = verdict(median(pyplot) / median(lab), at_least=FASTER_AT_LEAST.get(tokens) if letter else None)
        name = str(tokens) if letter else f"{tokens} ± a word"
        rows.append([name, spread(lab), spread(echo), floor, spread(pyplot), faster])
    header = ["tokens", "lab", "floor", "lab ÷ floor", "matplotlib", "matplotlib ÷ lab"]
    return Table(f"Keystroke to painted pixels, in ms: median (p95), on {machine}", header, rows)


def labs(results: Mapping[str, Against], *, words: int) -> Table:
    """One line for each lesson's lab, beside the floor that was measured in turn with it."""
    rows = [
        [name, spread(one.lab), spread(one.floor),
         verdict(median(one.lab) / median(one.floor), at_most=LAB_AT_MOST[one.has_model])]
        for name, one in results.items()
    ]  # fmt: skip
    return Table(f"Keystroke to painted pixels in each lab at {words} words, in ms: median (p95)",
                 ["lesson", "lab", "floor", "lab ÷ floor"], rows)  # fmt: skip


def spread(values: Sequence[float]) -> str:
    """The median, and the 95th percentile in brackets.

    >>> spread([50.0, 40.0, 60.0])
    '50 (59)'
    """
    return f"{median(values):.0f} ({percentile(values, 95):.0f})"


def stages(results: Mapping[int, Mapping[str, float]]) -> Table:
    """One line for each width, one column for each stage."""
    names = list(next(iter(results.values())))
    rows = [[str(tokens), *(f"{one[name]:.1f}" for name in names)] for tokens, one in results.items()]
    return Table("Where the lab's time goes: ms, medians", ["tokens", *names], rows)


def masks(results: Mapping[tuple[str, int], Mapping[str, float]]) -> Table:
    """One line for each kind of mask and each size."""
    rows = []
    for (kind, tokens), one in results.items():
        ratios = [verdict(one[name] / one["ours"], at_least=1, noise=NOISE) for name in ("flex", "transformers")]
        ours, *others = (one[f"{name} peak"] for name in ("ours", "flex", "transformers"))
        memory = "" if isnan(ours) else f"{verdict(ours, at_most=1.05)}, {others[0]:.2f}, {others[1]:.2f}"
        rows.append([kind, str(tokens), f"{1e6 * one['predicate']:.0f}", f"{1e3 * one['ours']:.2f}", *ratios, memory])
    header = ["mask", "tokens", "rule, µs", "tensor, ms", "create_mask ÷ ours", "sdpa_mask ÷ ours"]
    memory = "peak memory in bool tensors: ours, create_mask, sdpa_mask"
    return Table("Building a mask, one thread, the fastest time of many", [*header, memory], rows)


def experiments(results: Mapping[str, tuple[Result, float]]) -> Table:
    """One line for each variant: its mean and spread, and what the recommended one is beside it."""
    rows, seeds = [], max(len(scores) for result, _ in results.values() for scores in result.scores.values())
    for name, (result, seconds) in results.items():
        for variant, scores in result.scores.items():
            first = [name, f"{seconds:.0f}"] if variant == next(iter(result.scores)) else ["", ""]
            spread = f"{mean(scores):.4f} ({min(scores):.4f} to {max(scores):.4f})"
            rows.append(
                [*first, variant, f"{result.measure}, {result.better} is better", spread, beside(result, variant)]
            )
    header = ["experiment", "seconds", "variant", "measure", "mean (lowest to highest)", "the lesson's way is"]
    chance = f"{seeds} seeds, which agree by chance 1 time in {2 ** (seeds - 1)}" if seeds > 1 else "1 seed"
    return Table(f"Experiments, one thread, {chance}", header, rows)


def beside(result: Result, variant: str) -> str:
    """What the numbers say about the recommended variant beside this one, seed by seed.

    >>> one = Result(question="", measure="", better="higher", right="a", scores={"a": [2.0], "b": [1.0], "c": [2.0]})
    >>> [beside(one, variant) for variant in "abc"]
    ['this one', 'better', 'not clearly better']
    """
    if variant == result.right:
        return "this one"
    return "better" if result.wins(variant) else "WORSE" if result.loses(variant) else "not clearly better"


def imports(results: Mapping[str, tuple[float, float]]) -> Table:
    """What torch costs, and what masklab adds."""
    seconds, size = results["core"]
    met = "met" if seconds < IMPORT_SECONDS and size < IMPORT_MB else "missed"
    target = f"{IMPORT_SECONDS:g} s and {IMPORT_MB:g} MB: {met}"
    lines = {"torch": ("import torch", ""), "core": ("masklab adds", target), "lab": ("the lab of lesson 05 adds", "")}
    rows = [[name, f"{results[key][0]:.2f}", f"{results[key][1]:.0f}", goal] for key, (name, goal) in lines.items()]
    return Table("Import: medians", ["", "seconds", "MB", "target: under"], rows)


def notebooks(results: Mapping[str, float]) -> Table:
    """How long each notebook takes."""
    return Table(
        "Running a notebook, its kernel's start included",
        ["notebook", "seconds"],
        [[name, f"{seconds:.1f}"] for name, seconds in results.items()],
    )


def doctor_costs(results: Mapping[tuple[int, int], Mapping[str, float]]) -> Table:
    """One line for each size of model: a whole examination, its matrix alone, and two other ways to that matrix."""
    rows = [
        [str(tokens), str(layers), f"{one['check_model']:.2f}", f"{one['matrix']:.2f}",
         *(verdict(one[name] / one["matrix"]) for name in ("loop", "certificate"))]
        for (tokens, layers), one in results.items()
    ]  # fmt: skip
    header = [
        "tokens",
        "layers",
        "check_model, s",
        "its matrix alone, s",
        "plain loop ÷ matrix",
        "causal-certificate ÷ matrix",
    ]
    return Table("What the doctor costs: a healthy GPT, 128 wide, 2 texts; the fastest of several", header, rows)


def doctor_zoo(results: Mapping[str, Found]) -> Table:
    """One line for each bug: how many models, masks or losses have it, and what each of their seeds was found as."""
    rows = []
    for bug, one in results.items():
        codes = ", ".join(f"`{code}` {count}" for code, count in one.codes.most_common())
        rows.append([bug, f"{one.patients} × {one.seeds}", codes or f"nothing: 0 of {one.patients * one.seeds}"])
    return Table("The zoo: what was planted × random seeds, and what was found", ["bug", "planted", "found as"], rows)


def doctor_compared(results: Mapping[str, Compared]) -> Table:
    """One line for the ill and one for the healthy: how many the doctor and causal-certificate judge right."""
    rows = [
        [kind, str(one.patients), str(one.patients - len(one.doctor)), str(one.patients - len(one.certificate)),
         ", ".join(name.replace("_", " ") for name in one.certificate)]
        for kind, one in results.items()
    ]  # fmt: skip
    header = ["", "models", "the doctor is right", "causal-certificate is right", "where it isn't"]
    return Table("Beside causal-certificate, on models that it takes, without padding", header, rows)


def plain(table: Table) -> str:
    """A table for the terminal.

    >>> print(plain(Table("Ages", ["name", "age"], [["Ann", "7"], ["Bo", "12"]])))
    Ages
    name  age
    Ann     7
    Bo     12
    """
    lines = [table.header, *table.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = [
        "  ".join([first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))])
        for first, *rest in lines
    ]
    return "\n".join([table.title, *map(str.rstrip, texts)])


def markdown(table: Table) -> str:
    """A table for the README.

    >>> print(markdown(Table("Ages", ["name", "age"], [["Ann", "7"]])))
    Ages:
    <BLANKLINE>
    | name | age |
    |---|--:|
    | Ann | 7 |
    """
    rule = "|---|" + "--:|" * (len(table.header) - 1)
    lines = ["| " + " | ".join(row) + " |" for row in (table.header, *table.rows)]
    return "\n".join([f"{table.title}:", "", lines[0], rule, *lines[1:]])


def placed(readme: str, part: str) -> str | None:
    """The README with ``part`` between its two markers; None when they are missing or in the wrong order.

    >>> placed("a\\n<!-- bench:start -->\\nold\\n<!-- bench:end -->\\nz", "new")
    'a\\n<!-- bench:start -->\\nnew\\n<!-- bench:end -->\\nz'
    """
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    return f"{before}{start}\n{part}\n{end}{after}" if start and end else None
