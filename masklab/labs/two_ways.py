"""Two ways to weigh the same losses, side by side: the loss of each, its gradient, and where its step points."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from masklab.labs.sentences import grid_labels
from masklab.losses import reduce
from masklab.panels import Panel, largest, number

MOST_CLASSES = 7  # so many columns of the step fit beside the other panels
SAME = 0.05  # degrees: less is written as 0.0, and comes from rounding


@dataclass(frozen=True)
class Way:
    """What to learn, and how much each position counts.

    Shapes: ``labels`` (B, L) int64; ``weights`` (B, L) float, 0 at padding.
    """

    name: str
    labels: Tensor
    weights: Tensor


@dataclass(frozen=True)
class Learned:
    """What a way makes of a batch.

    Shapes: ``losses``, ``pull`` (B, L), the gradient of the loss by each position's loss; ``loss`` a scalar;
    ``step`` (T,), one step down on the model's last bias: which classes it makes more and less likely.
    """

    losses: Tensor
    loss: float
    pull: Tensor
    step: Tensor


def learned(way: Way, logits: Tensor) -> Learned:
    """The weighted mean of the cross-entropy, and its gradients. Shape: ``logits`` (B, L, T).

    >>> found = learned(Way("all 1", torch.tensor([[0, 0]]), torch.ones(1, 2)), torch.zeros(1, 2, 2))
    >>> f"{found.loss:.3f}", found.pull, found.step
    ('0.693', tensor([[0.5000, 0.5000]]), tensor([ 0.5000, -0.5000]))
    """
    with torch.enable_grad():  # a lab draws without
        bias = torch.zeros(logits.shape[-1], requires_grad=True)
        losses = F.cross_entropy((logits + bias).transpose(1, 2), way.labels, reduction="none")
        loss = reduce(losses, way.weights, on_empty="nan")
        pull, slope = torch.autograd.grad(loss, (losses, bias))
    return Learned(losses.detach(), loss.item(), pull, -slope)


def degrees(one: Tensor, other: Tensor) -> float:
    """The angle between two steps; NaN if one of them goes nowhere. Shapes: (T,) both.

    >>> round(degrees(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0])))
    45
    """
    one, other = one.double(), other.double()
    lengths = one.norm() * other.norm()
    return math.degrees(math.acos(max(-1.0, min(1.0, (one @ other / lengths).item())))) if lengths > 0 else math.nan


def panels_of(
    ways: Sequence[Way],
    logits: Tensor,
    classes: Sequence[str],
    *,
    flags: Mapping[str, Any],
    meaning: str = "",
) -> list[Panel]:
    """Losses × weights → the loss → its gradient, by the first way, and the step by both.

    ``flags`` are of the panel of the weights: its title, and its edits and marks if it has any; ``meaning`` is that of
    the losses. Shape: ``logits`` (B, L, T).

    >>> ways = [Way("weights", torch.tensor([[0, 1]]), torch.tensor([[3.0, 1.0]]))] * 2
    >>> panels = panels_of(ways, torch.zeros(1, 2, 2), ["NOUN", "VERB"], flags={"title": "weights"})
    >>> panels[-2].values, panels[-1].values[0]
    (tensor([[0.7500, 0.2500]]), tensor([ 0.2500, -0.2500]))
    """
    found = [learned(way, logits) for way in ways]
    one, weights = found[0], ways[0].weights
    grid = grid_labels(weights) | {"small": True}
    return [
        Panel(
            name="losses", kind="loss", values=one.losses, title="losses", say="loss {}", limit=3.0, **grid,
            meaning=meaning,
        ),
        Panel(
            name="weights", kind="weight", values=weights, sign="×", say=" × weight {}", **grid, **flags,
            meaning="How much each loss counts.", blocked=weights == 0,
        ),
        Panel(
            name="weighted", kind="loss", values=torch.where(weights > 0, one.losses * weights, 0.0), sign="=",
            title="weighted", say=" = {}", limit=3.0, blocked=weights == 0, **grid,
            meaning="These are added up, and their sum is divided by the sum of the weights.",
        ),
        Panel(
            name="numbers", kind="loss", values=torch.tensor([[each.loss] for each in found]), title="the loss",
            rows=[way.name for way in ways], columns=["loss"], axes=("way", "number"), sign="÷", current=0, limit=3.0,
            say="{}",
            meaning="The sum of the weighted losses, divided by the sum of the weights: in two ways.",
        ),
        Panel(
            name="pull", kind="gradient", values=one.pull, title="gradient of each loss", sign="∂ →", **grid,
            say=", gradient {}", meaning="How far the loss moves with each position's loss: its share of the weights.",
        ),
        _steps(ways, found, classes),
    ]  # fmt: skip


def _steps(ways: Sequence[Way], found: Sequence[Learned], classes: Sequence[str]) -> Panel:
    """Where one step points, by each way: two rows of numbers, and the angle between them."""
    steps = torch.stack([each.step for each in found])[:, :MOST_CLASSES]
    angle = degrees(found[0].step, found[1].step)
    turned = "" if math.isnan(angle) else f": {angle:.1f}° apart"
    left_out = f"; {MOST_CLASSES} of {len(classes)} words" if len(classes) > MOST_CLASSES else ""
    return Panel(
        name="step", kind="gradient", values=steps, rows=[way.name for way in ways], columns=classes[:MOST_CLASSES],
        title=f"the step{turned}{left_out}", axes=("way", "class"),
        sign="−∂ →", current=0, limit=largest(steps) or None, say="{}",
        meaning="Minus the gradient of the model's last bias: what one step makes more likely (+) and less likely (−).",
    )  # fmt: skip


def in_words(ways: Sequence[Way], logits: Tensor) -> str:
    """Both losses, and how far apart the two steps point.

    >>> labels = torch.tensor([[0, 1]])
    >>> ways = [Way("weights", labels, torch.eye(2)[:1]), Way("all 1", labels, torch.ones(1, 2))]
    >>> in_words(ways, torch.zeros(1, 2, 3))
    'Loss with weights: 1.10 / 1.00 = 1.10, with all 1: 2.20 / 2.00 = 1.10. The steps point 60.0° apart.'
    """
    found = [learned(way, logits) for way in ways]
    one, other = (f"{way.name}: {_sum(way, each)}" for way, each in zip(ways, found, strict=True))
    told = f"Loss with {one}, with {other}."
    angle = degrees(found[0].step, found[1].step)
    if not ways[0].weights.any():
        return "✗ Nothing is supervised: 0 / 0 is NaN, and every gradient is 0."
    if math.isnan(angle):
        return told
    turned = "Both steps point the same way." if angle < SAME else f"The steps point {angle:.1f}° apart."
    return f"{told} {turned}"


def _sum(way: Way, found: Learned) -> str:
    """The sum of the weighted losses over the sum of the weights, and what that is."""
    total = torch.where(way.weights > 0, found.losses * way.weights, 0.0).sum().item()
    return f"{number(total)} / {number(way.weights.sum().item())} = {number(found.loss)}"
