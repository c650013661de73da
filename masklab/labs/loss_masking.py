"""The lab of lesson 01: which losses count, and what their sum is divided by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar
from zlib import crc32

import torch
from torch import Tensor

from masklab.labs.controls import Cells, Choice, Number, Sentences, Slider, Toggle, control, settings
from masklab.labs.denominators import BY, divided, dividing, in_words
from masklab.labs.guess import NO_GUESS, PAINT_LOSSES, TOLD_OF_LOSSES, GuessState, guess_of, painting
from masklab.labs.lab import Lab
from masklab.labs.sentences import SENTENCES, batch_of, chips, grid_labels
from masklab.losses import reduce
from masklab.panels import Edit, Panel, Picture, Sentence, number
from masklab.text import Batch

LOSSES = (  # the source's, padding included
    (0.5135, 0.5513, 0.9017, 0.4005, 0.0784),
    (0.4215, 0.5581, 0.8376, 0.8771, 0.9324),
    (0.2851, 0.7234, 0.5639, 0.6350, 0.9162),
)
SIX_AND_TWO = ("The hungry cat ate fish pie", "Dogs bark")
GIVEN = {  # by sentence, position and word
    (row, place, token): LOSSES[row][place]
    for row, tokens in enumerate(batch_of(SENTENCES).tokens)
    for place, token in enumerate(tokens)
}


@dataclass(frozen=True, kw_only=True)
class State(GuessState):
    """What can be changed in this lab: the losses, which of them count, and what their sum is divided by."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "6 and 2 words": {"sentences": SIX_AND_TWO, "losses": "ones", "set_losses": [], "toggled": [], **NO_GUESS}
    }

    sentences: tuple[str, ...] = control(SENTENCES, Sentences(label="Sentences"))  # a guess is about all of them
    by: str = control("token", Choice(label="Divide by", options={name: name for name in BY}))
    count: int = control(12, Number(label="The count", low=1, high=9999, help="The number that count divides by."))
    micro: int = control(
        1,
        Choice(
            label="Micro-batches", options={1: "1", 2: "2", 3: "3"},
            help="The batch in parts, one after the other: the mean of their losses, or under count the sum.",
        ),
    )  # fmt: skip
    more: float = control(0.0, Slider(label="More padding", low=0, high=5, step=1, sets=NO_GUESS))
    losses: str = control("words", Choice(label="Losses", options={"words": "each its own", "ones": "all 1"}))
    predict: bool = control(False, Toggle(label="Predict first", sets=NO_GUESS, help=PAINT_LOSSES))
    set_losses: tuple[tuple[int, int, float], ...] = control((), Cells(how="number", low=0))
    toggled: tuple[tuple[int, int], ...] = control((), Cells())


def lab(*, panels: Sequence[str] | None = None, controls: Sequence[str] | None = None, **changes) -> Lab:
    """The lab of lesson 01; keywords change the first state, for example ``losses="ones"``.

    Reset goes back to that state. ``panels`` and ``controls`` name those of a small lab.
    Raises TypeError for a keyword that is not part of the state, ValueError for a value or a name
    that the lab doesn't have.

    >>> print(str(lab(panels=["losses"])).splitlines()[0])
    ▸ The cat ate ·[PAD]· ·[PAD]·   3 of 5 are words
    """
    first = settings(State(), changes)
    return Lab(draw, state=first, label="Lab: loss masking", panels=panels, controls=controls)


def draw(state: State) -> Picture:
    """The whole picture for a state; a pure function. Raises BadInput when nothing can be drawn.

    >>> picture = draw(State())
    >>> [panel.name for panel in picture.panels], picture.summary
    (['losses', 'mask', 'counted', 'numbers', 'gradient'], 'By token: 7.801 / 12 = 0.650.')
    """
    batch = batch_of(state.sentences, more=int(state.more))
    losses, guess = losses_of(batch, state), state.guess(batch.is_word)
    flips = guess_of(state.toggled, mask=batch.is_word, reveal=False).painted
    mask = guess.used if guess else batch.is_word ^ flips
    parts = torch.arange(len(mask)).tensor_split(min(state.micro, len(mask)))  # the sentences of each micro-batch
    found = {by: divided(losses, mask, by=by, count=state.count, parts=parts) for by in BY}
    flags = painting(guess, title="mask") if guess else {"edits": Edit("toggled", cells=flips.nonzero().tolist())}
    counts = counting(losses, mask, {"title": "mask"} | flags)
    told = [guess.told(*TOLD_OF_LOSSES) if guess else "", *in_words(state.by, found), *_warned(losses, mask, parts)]
    return Picture(
        panels=[_losses(losses, state), *counts, *dividing(state.by, found)],
        sentences=_sentences(batch, parts),
        shown=min(max(state.shown, 0), len(mask) - 1),
        summary=" ".join(filter(None, told)),
    )


def losses_of(batch: Batch, state: State) -> Tensor:
    """The loss of each position: the source's, a made-up one for any other word or place, or one that was set.

    Shape: (batch, length) float32.

    >>> losses_of(batch_of(["The dog"]), State(set_losses=((0, 1, float("inf")),)))
    tensor([[0.5135,    inf]])
    """
    set_to = {(row, place): loss for row, place, loss in state.set_losses}
    given = (lambda *_: 1.0) if state.losses == "ones" else _loss
    return torch.tensor([
        [set_to.get((row, place), given(row, place, token)) for place, token in enumerate(tokens)]
        for row, tokens in enumerate(batch.tokens)
    ])  # fmt: skip


def made_up(row: int, place: int, token: str) -> float:
    """A loss from 0 to 1, always the same for a word at its place.

    >>> made_up(0, 1, "dog") == made_up(0, 1, "dog"), 0 <= made_up(0, 1, "dog") < 1
    (True, True)
    """
    return crc32(f"{row} {place} {token}".encode("utf-8", "surrogatepass")) % 10_000 / 10_000


def _loss(row: int, place: int, token: str) -> float:
    """The loss of a word at its place: the source's, or a made-up one."""
    return GIVEN.get((row, place, token), made_up(row, place, token))


def _losses(losses: Tensor, state: State) -> Panel:
    """The loss of each position, which can be set. Shape: (B, L)."""
    return Panel(
        name="losses", kind="loss", values=losses, title="losses", say="loss {}", limit=1.0,
        meaning="How wrong a model is at each position; made up for your own words. NaN and ∞ can be set, too.",
        edits=Edit("set_losses", how="number", cells=state.set_losses, low=0), **grid_labels(losses),
    )  # fmt: skip


def counting(losses: Tensor, mask: Tensor, flags: Mapping[str, Any], *, limit: float = 1.0) -> list[Panel]:
    """Which losses count, and the mean of each sentence; ``flags`` are the mask's title, edits and marks.

    Shapes: ``losses`` (B, L); ``mask`` (B, L) bool, True = counts.

    >>> losses, mask = torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([[True, True, False]])
    >>> _, counted = counting(losses, mask, {"title": "mask"})
    >>> counted.values, counted.row_notes
    (tensor([[1., 2., 0.]]), ['1.50'])
    """
    means = [reduce(*row, on_empty="nan").item() for row in zip(losses.split(1), mask.split(1), strict=True)]
    notes = [number(mean) if some else "–" for mean, some in zip(means, mask.any(dim=1).tolist(), strict=True)]
    grid = grid_labels(mask)
    return [
        Panel(
            name="mask", kind="ids", values=mask.int(), blocked=~mask, sign="where", say=", mask {}", small=True,
            meaning="1 where a loss counts.", **flags, **grid,
        ),
        Panel(
            name="counted", kind="loss", values=losses.masked_fill(~mask, 0.0), blocked=~mask, sign="→", limit=limit,
            title="counted", say=" → {}", row_notes=notes, notes_title="mean",
            meaning="These are added up. A masked loss is replaced by 0, whatever it is.", **grid,
        ),
    ]  # fmt: skip


def _sentences(batch: Batch, parts: Sequence[Tensor]) -> list[Sentence]:
    """The chips, with the micro-batch of each sentence."""
    part = {row: i + 1 for i, rows in enumerate(parts) for row in rows.tolist()}
    where = [f" · micro-batch {part[row]}" * (len(parts) > 1) for row in range(len(batch.tokens))]
    return [replace(one, note=one.note + more) for one, more in zip(chips(batch), where, strict=True)]


def _warned(losses: Tensor, mask: Tensor, parts: Sequence[Tensor]) -> list[str]:
    """What goes wrong: masked losses that are no numbers, and nothing that counts. Shapes: as for `divided`."""
    told, odd = [], losses[~mask & ~losses.isfinite()]
    if len(odd):
        name = number(odd[0].item())
        told.append(f"The masked {name} changes nothing; (losses * mask).sum() would be NaN, for 0 × {name} is NaN.")
    empty = [str(i + 1) for i, rows in enumerate(parts) if not mask[rows].any()]
    if not mask.any():
        told.append("Nothing is supervised: by token and by sentence that is 0 / 0, NaN, and every gradient is 0.")
    elif empty:
        told.append(f"In micro-batch {' and '.join(empty)} nothing counts: a mean there is 0 / 0, NaN.")
    return told
