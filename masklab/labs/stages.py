"""Attention from the vectors to the output, stage by stage: what any lab of attention shows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from masklab import toy
from masklab.attention import Attention, attend
from masklab.labs.controls import Number, Toggle, control
from masklab.labs.guess import Guess, GuessState, painting
from masklab.labs.sentences import chips
from masklab.panels import Panel, Picture, largest, number
from masklab.text import Batch


@dataclass(frozen=True, kw_only=True)
class AttentionState(GuessState):
    """What all labs of attention with toy vectors share."""

    seed: int = control(1, Number(label="Seed", low=0, high=999, more=True))
    qkv: bool = control(False, Toggle(label="Show Q, K and V", more=True))


@dataclass(frozen=True, kw_only=True)
class Stages:
    """All stages of one or two layers for one sentence of L tokens: vectors, projections, attention."""

    first: Attention
    projected: toy.Projected
    second: Attention | None = None


def run(x: Tensor, mask: Tensor, *, seed: int, layers: int = 1) -> Stages:
    """Send vectors through attention; the second layer does the same to x + output, with the same mask.

    Shapes: ``x`` (L, DIM); ``mask`` (L, L) bool, True = may attend.

    >>> import torch
    >>> run(torch.zeros(3, toy.DIM), torch.ones(3, 3, dtype=torch.bool), seed=1).first.weights.shape
    torch.Size([1, 1, 3, 3])
    """
    projected = toy.qkv(x, seed=seed)
    first = _attend(projected, mask)
    if layers == 1:
        return Stages(first=first, projected=projected)
    again = toy.qkv(x + first.output[0, 0], seed=seed)
    return Stages(first=first, projected=projected, second=_attend(again, mask))


def _attend(projected: toy.Projected, mask: Tensor) -> Attention:
    """Attention of one sentence and one head; a fully masked row is NaN, as the formula has it."""
    q, k, v = (one[None, None] for one in projected)  # (1, 1, L, DIM)
    return attend(q, k, v, mask[None, None], on_empty="nan")


def attention_picture(
    state: AttentionState,
    batch: Batch,
    mask: Tensor,
    *,
    remark: Callable[[Tensor], str],
    pad: float = 1.0,
    layers: int = 1,
) -> Picture:
    """The whole picture of a lab of attention: the chips, every stage for the shown sentence, one line in words.

    Shape: ``mask`` (batch, 1, L, L) bool, True = may attend. ``remark`` says what to notice, given the mask
    (L, L) that is used; while a person guesses, the guess has the word.

    >>> import torch
    >>> from masklab.labs.sentences import batch_of
    >>> state, batch = AttentionState(shown=7), batch_of(["The cat", "The"])
    >>> mask = torch.ones(2, 1, 2, 2, dtype=torch.bool)
    >>> picture = attention_picture(state, batch, mask, remark=lambda used: f"{int(used.sum())} cells are open")
    >>> picture.shown, picture.summary, [panel.name for panel in picture.panels]
    (1, '4 cells are open', ['scores', 'mask', 'masked', 'weights', 'output'])
    """
    shown = min(max(state.shown, 0), len(batch.tokens) - 1)
    is_word, answer = batch.is_word[shown], mask[shown, 0]
    guess = state.guess(answer)
    used = guess.used if guess else answer
    x = toy.embed(batch.ids[shown], pad=pad, seed=state.seed)
    stages = run(x, used, seed=state.seed, layers=layers)
    ends = limits(run(x[is_word], answer[is_word][:, is_word], seed=state.seed, layers=layers))
    labels, square = labels_of(batch, shown)
    panels = projections(stages, ends, labels) if state.qkv else []
    panels += [*weighing(stages.first, ends, square, guess), *outputs(stages, ends, labels)]
    summary = guess.told() if guess else remark(used)
    return Picture(panels=panels, sentences=chips(batch, batch.ids), shown=shown, summary=summary)


def labels_of(batch: Batch, shown: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The words of one sentence beside the rows of a panel; and the same with its words above the columns, too.

    >>> from masklab.labs.sentences import batch_of
    >>> labels_of(batch_of(["The cat", "The"]), 1)[0]
    {'rows': ('The', '[PAD]'), 'row_pads': [False, True]}
    """
    words, pads = batch.tokens[shown], (~batch.is_word[shown]).tolist()
    rows = {"rows": words, "row_pads": pads}
    return rows, {**rows, "columns": words, "column_pads": pads}


def limits(words: Stages) -> dict[str, float]:
    """The ends of the panels' colour scales, by name, from the stages of a sentence without its padding.

    So the colour of a word's number depends on no padding, and stays put while that changes.

    >>> import torch
    >>> limits(run(torch.zeros(3, toy.DIM), torch.ones(3, 3, dtype=torch.bool), seed=1))["scores"]
    1.0
    """
    first, second, made = words.first, words.second, words.projected
    stages = {"Q": made.q, "K": made.k, "V": made.v, "scores": first.scores, "weights": first.weights}
    stages |= {"output": first.output} | ({"output2": second.output} if second else {})
    return {name: largest(values) or 1.0 for name, values in stages.items()}


def projections(stages: Stages, limits: Mapping[str, float], labels: Mapping[str, Any]) -> list[Panel]:
    """Q, K and V, for the stages and their labels.

    >>> import torch
    >>> stages = run(torch.zeros(1, toy.DIM), torch.ones(1, 1, dtype=torch.bool), seed=1)
    >>> [panel.name for panel in projections(stages, limits(stages), {"rows": ["cat"], "row_pads": [False]})]
    ['Q', 'K', 'V']
    """
    made = stages.projected
    parts = (
        ("Q", made.q, "query", "What each word asks for."),
        ("K", made.k, "key", "What each word can be found by."),
        ("V", made.v, "key", "What each word passes on when it is found."),
    )
    return [
        Panel(name=name, kind="vector", values=values, axes=(axis, "feature"), title=name, meaning=meaning,
              limit=limits[name], columns=_features(values), say="{}", **labels)
        for name, values, axis, meaning in parts
    ]  # fmt: skip


def weighing(
    stage: Attention, limits: Mapping[str, float], labels: Mapping[str, Any], guess: Guess | None
) -> list[Panel]:
    """Four panels, from the scores of the first head to its weights: one row a query, one column a key.

    ``limits`` are the ends of the colour scales of "scores" and "weights"; ``labels`` name the rows and columns.

    >>> import torch
    >>> one = attend(*torch.zeros(3, 1, 1, 1, 4))
    >>> panels = weighing(one, {"scores": 1.0, "weights": 1.0}, {"rows": ["The"], "columns": ["The"]}, None)
    >>> [panel.name for panel in panels], panels[3].values
    (['scores', 'mask', 'masked', 'weights'], tensor([[1.]]))
    """
    scores, bias, masked, weights = (getattr(stage, name)[0, 0] for name in ("scores", "bias", "masked", "weights"))
    blocked, top = bias < 0, limits["scores"]
    return [
        Panel(
            name="scores", kind="score", values=scores, title="scores QKᵀ/√d", sign="→", say="score {}", limit=top,
            meaning="How well each query (row) matches each key (column), before any mask.", **labels,
        ),
        Panel(
            name="mask", kind="mask", values=bias, blocked=blocked, sign="+",
            meaning="0 where a query may attend, −∞ where it may not.", **painting(guess, title="mask"), **labels,
        ),
        Panel(
            name="masked", kind="score", values=masked, blocked=blocked, title="masked scores", sign="=", say=" → {}",
            meaning="A score plus −∞ is −∞; the others stay as they are.", limit=top, **labels,
        ),
        Panel(
            name="weights", kind="weight", values=weights, blocked=blocked, title="weights", sign="softmax →",
            say=", weight {}", meaning="Softmax makes each row sum to 1; −∞ becomes exactly 0.",
            row_notes=[number(total) for total in weights.sum(dim=-1).tolist()], notes_title="sum",
            limit=limits["weights"], **labels,
        ),
    ]  # fmt: skip


def outputs(stages: Stages, limits: Mapping[str, float], labels: Mapping[str, Any]) -> list[Panel]:
    """What comes out of each layer.

    >>> import torch
    >>> stages = run(torch.zeros(1, toy.DIM), torch.ones(1, 1, dtype=torch.bool), seed=1, layers=2)
    >>> [panel.name for panel in outputs(stages, limits(stages), {"rows": ["cat"], "row_pads": [False]})]
    ['output', 'output2']
    """
    first, second = stages.first.output[0, 0], stages.second
    wide = {**labels, "kind": "output", "axes": ("query", "feature"), "columns": _features(first), "say": "{}"}
    output = Panel(
        name="output", values=first, title="output of layer 1" if second else "output", sign="× V →",
        meaning="Each row is the weighted mean of the value vectors.", limit=limits["output"], **wide,
    )  # fmt: skip
    if second is None:
        return [output]
    again = Panel(
        name="output2", values=second.output[0, 0], title="output of layer 2", sign="layer 2 →",
        meaning="Once more, with the same mask, on x + output: each token's vector plus what layer 1 gave it.",
        limit=limits["output2"], **wide,
    )  # fmt: skip
    return [output, again]


def _features(values: Tensor) -> list[str]:
    """Names for the numbers of a vector."""
    return [str(i) for i in range(values.shape[-1])]
