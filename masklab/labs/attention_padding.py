"""The lab of lesson 05: padding in attention, from the sentence to the output."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from masklab import masks
from masklab.labs.controls import Choice, Slider, control, settings
from masklab.labs.guess import NO_GUESS
from masklab.labs.lab import Lab
from masklab.labs.sentences import batch_of
from masklab.labs.stages import AttentionState, attention_picture
from masklab.panels import Picture, counted
from masklab.text import Batch

MASKS = {"none": "no mask", "columns": "mask columns", "both": "mask rows and columns"}


@dataclass(frozen=True, kw_only=True)
class State(AttentionState):
    """What can be changed in this lab: which cells are masked, and everything about the padding."""

    mask: str = control("columns", Choice(label="Mask", options=MASKS))
    side: str = control(
        "right", Choice(label="Padding side", sets=NO_GUESS, options={"left": "left", "right": "right"})
    )
    pad: float = control(
        1.0,
        Slider(label="Embedding of [PAD]", low=-3, high=3, step=0.1, help="Drag it, and watch the words' outputs."),
    )
    layers: int = control(1, Choice(label="Layers", options={1: "1", 2: "2"}))


def lab(*, panels: Sequence[str] | None = None, controls: Sequence[str] | None = None, **changes) -> Lab:
    """The lab of lesson 05; keywords change the first state, for example ``mask="none"``.

    Reset goes back to that state. ``panels`` and ``controls`` name those of a small lab.
    Raises TypeError for a keyword that is not part of the state, ValueError for a value or a name
    that the lab doesn't have.

    >>> print(str(lab(mask="none")).splitlines()[0])
    ▸ The cat ate ·[PAD]· ·[PAD]·   3 of 5 are words
    >>> [panel["name"] for panel in lab(panels=["weights", "output"], controls=["pad"]).picture["panels"]]
    ['weights', 'output']
    """
    first = settings(State(), changes)
    return Lab(draw, state=first, label="Lab: padding in attention", panels=panels, controls=controls)


def draw(state: State) -> Picture:
    """The whole picture for a state; a pure function. Raises BadInput when nothing can be drawn.

    >>> [panel.name for panel in draw(State()).panels]
    ['scores', 'mask', 'masked', 'weights', 'output']
    """
    batch = batch_of(state.sentences, side=state.side)
    mask = mask_of(batch, kind=state.mask)
    return attention_picture(state, batch, mask, remark=_remark, pad=state.pad, layers=state.layers)


def mask_of(batch: Batch, *, kind: str) -> Tensor:
    """The attention mask of every sentence: "none", "columns" or "both" (rows and columns).

    Shape: (batch, 1, length, length) bool, True = may attend.

    >>> mask_of(batch_of(["The cat", "The"]), kind="both")[1, 0].int()
    tensor([[1, 0],
            [0, 0]], dtype=torch.int32)
    """
    total = batch.ids.shape[1]
    columns = masks.padding(batch.lengths, total=total, side=batch.side)
    rows = masks.padding_queries(batch.lengths, total=total, side=batch.side)
    mask = {"none": masks.everything(), "columns": columns, "both": rows & columns}[kind]
    return mask.tensor(batch=len(batch.tokens), queries=total, keys=total)


def _remark(mask: Tensor) -> str:
    """What to notice: rows with no key left."""
    empty = int((~mask.any(dim=-1)).sum())
    rows = counted(empty, "fully masked row")
    return f"{rows}: no key is left, so softmax is 0/0 there, which is NaN." if empty else ""
