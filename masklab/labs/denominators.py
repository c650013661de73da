"""The losses that count as one number: four denominators, the whole batch beside its micro-batches, the gradients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from masklab.labs.sentences import grid_labels
from masklab.losses import reduce
from masklab.panels import LARGE, Panel, largest, number

BY = {"token": "token", "sentence": "sequence", "position": "position", "count": "count"}  # as `reduce` names them


@dataclass(frozen=True)
class Divided:
    """One number by one denominator: the sum and the divisor, and what comes out for the whole batch and its parts.

    Shapes: ``numbers`` (1,) for one part, else (parts + 2,): the whole batch, each part, all parts accumulated;
    ``gradient`` and ``accumulated``, those of the first and the last number, (B, L).
    """

    total: float
    divisor: int
    numbers: Tensor
    gradient: Tensor
    accumulated: Tensor


def divided(losses: Tensor, mask: Tensor, *, by: str, count: int, parts: Sequence[Tensor]) -> Divided:
    """The losses that count as one number: of the whole batch, and accumulated over its parts.

    Shapes: ``losses`` (B, L); ``mask`` (B, L) bool, True = counts; ``parts``, the rows of each.

    >>> losses, mask = torch.tensor([[1.0, 3.0], [8.0, 0.0]]), torch.tensor([[True, True], [True, False]])
    >>> found = divided(losses, mask, by="token", count=1, parts=torch.tensor([[0], [1]]))
    >>> f"{found.total:.0f} / {found.divisor}", found.numbers, found.accumulated
    ('12 / 3', tensor([4., 2., 8., 5.]), tensor([[0.2500, 0.2500],
            [0.5000, 0.0000]]))
    """
    divide = partial(reduce, per=BY[by], count=count if by == "count" else None, on_empty="nan")
    with torch.enable_grad():  # a lab draws without
        leaf = losses.clone().requires_grad_()
        numbers = [divide(leaf, mask)]
        if len(parts) > 1:
            each = torch.stack([divide(leaf[rows], mask[rows]) for rows in parts])
            numbers += [*each, each.sum() if by == "count" else each.mean()]
        first, last = (torch.autograd.grad(one, leaf, retain_graph=True)[0] for one in (numbers[0], numbers[-1]))
    sentences = int(mask.any(dim=1).sum())  # in which something counts
    divisor = {"token": int(mask.sum()), "sentence": sentences, "position": mask.numel(), "count": count}[by]
    total = divisor and numbers[0].item() * divisor
    return Divided(total, divisor, torch.stack(numbers).detach(), first, last)


def dividing(by: str, found: Mapping[str, Divided]) -> list[Panel]:
    """One number by each denominator, and the gradient of the chosen one; with micro-batches that of each way.

    >>> losses, mask, parts = torch.ones(1, 2), torch.tensor([[True, False]]), [torch.tensor([0])]
    >>> found = {by: divided(losses, mask, by=by, count=4, parts=parts) for by in BY}
    >>> numbers, gradient = dividing("position", found)
    >>> numbers.row_notes, gradient.values
    (['1.00 / 1', '1.00 / 1', '1.00 / 2', '1.00 / 4'], tensor([[0.5000, 0.0000]]))
    """
    one = found[by]
    numbers = torch.stack([each.numbers for each in found.values()])
    parts = numbers.shape[1] - 2
    names = ["whole batch"] + [f"{i + 1} of {parts}" for i in range(parts)] + ["accumulated"] * (parts > 0)
    made = Panel(
        name="numbers", kind="loss", values=numbers, rows=list(found), columns=names, title="one number", sign="÷",
        axes=("by", "loss of"), say="{}", current=list(found).index(by), limit=1.0,
        row_notes=[] if parts > 0 else [f"{number(each.total)} / {each.divisor}" for each in found.values()],
        meaning="The sum of what counts, divided in four ways; by sentence, the mean of the sentences' means.",
    )  # fmt: skip
    limit = max(largest(one.gradient), largest(one.accumulated))
    ways = [("gradient", "gradient", one.gradient), ("accumulated", "accumulated gradient", one.accumulated)]
    return [made] + [
        Panel(
            name=name, kind="gradient", values=values, title=title, sign="vs" if i else "∂ →", limit=limit, small=i > 0,
            meaning=f"How far the number by {by} moves with each loss: how hard each position pulls on the model.",
            say=f", {title} {{}}", **grid_labels(values),
        )
        for i, (name, title, values) in enumerate(ways[: len(one.numbers)])
    ]  # fmt: skip


def in_words(by: str, found: Mapping[str, Divided]) -> list[str]:
    """The chosen number in words, and how it compares: with the accumulated one, and with other denominators.

    >>> losses, mask, parts = torch.ones(1, 2), torch.tensor([[True, False]]), [torch.tensor([0])]
    >>> in_words("token", {by: divided(losses, mask, by=by, count=1, parts=parts) for by in BY})
    ['By token: 1.000 / 1 = 1.000.', '']
    """
    one = found[by]
    written = {name: _exact(other.numbers[0].item()) for name, other in found.items()}
    told = [f"By {by}: {_exact(one.total)} / {one.divisor} = {written[by]}."]
    if len(one.numbers) > 1:
        sign = "✓" if _alike(one.gradient, one.accumulated) else "✗ not"
        told.append(f"Accumulated: {_exact(one.numbers[-1].item())}, {sign} the gradient of the whole batch.")
    others = [name for name, other in found.items() if not _alike(other.gradient, one.gradient)]
    exact = abs(one.numbers[0]) < LARGE  # written with all its decimals; NaN is like nothing
    twins = [name for name in others if exact and written[name] == written[by]]
    return [*told, f"By {' and by '.join(twins)}: the same loss, a different gradient." if twins else ""]


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether two gradients are equal but for rounding."""
    return torch.allclose(one, other, atol=1e-6)


def _exact(value: float) -> str:
    """A number with three decimals, if it is not too large for them."""
    return f"{value:.3f}" if abs(value) < LARGE else number(value)
