"""The lab of lesson 00: from sentences to batches, and what filling up costs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch

from masklab.labs.controls import Choice, Toggle, control, settings
from masklab.labs.guess import NO_GUESS, Guess, GuessState, painting
from masklab.labs.lab import Lab
from masklab.labs.sentences import SENTENCES, check_counts, chips, grid_labels
from masklab.panels import Panel, Picture, Sentence, counted
from masklab.text import Batch, batch_of_words, tokenize, word_id

LONG = ("The hungry cat ate all the fish pie by the door", "A dog waits by the door and sees the cat")
SIX = (*SENTENCES, LONG[0], "The dog waits", LONG[1])
SIDES = {"none": "none", "left": "left", "right": "right"}
WIDTHS = {0: "longest", 6: "6", 7: "7", 8: "8"}
WIDTH_HELP = "Each batch is as wide as its longest sentence, but at least this wide."
ORDERS = {"typed": "as typed", "length": "by length"}
NONE_NEEDED = "✓ No padding is needed: within each batch all sentences are equally long."
NO_PADDING = "Nothing is filled up, so there is nothing to paint."
MOST_IDS = 40  # of a line of code; more would take the panels' room
PAINT = "Paint the padding of a batch before you see it, then reveal."
TOLD = ("the padding of this batch", "You found {found} of {cells} of padding")
Group = Sequence[int]  # the numbers of a batch's sentences


@dataclass(frozen=True, kw_only=True)
class State(GuessState):
    """What can be changed in this lab: how sentences are filled up, their order, how many make a batch."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"Six sentences": {"sentences": SIX, **NO_GUESS}}

    side: str = control("right", Choice(label="Padding", sets=NO_GUESS, options=SIDES))
    pad_to: int = control(0, Choice(label="Pad to", sets=NO_GUESS, options=WIDTHS, help=WIDTH_HELP))
    order: str = control("typed", Choice(label="Order", sets=NO_GUESS, options=ORDERS))
    batch_size: int = control(3, Choice(label="Batches of", sets=NO_GUESS, options={n: str(n) for n in (1, 2, 3, 6)}))
    predict: bool = control(False, Toggle(label="Predict first", sets=NO_GUESS, help=PAINT))


def lab(*, panels: Sequence[str] | None = None, controls: Sequence[str] | None = None, **changes) -> Lab:
    """The lab of lesson 00; keywords change the first state, for example ``side="left"``.

    Reset goes back to that state. ``panels`` and ``controls`` name those of a small lab.
    Raises TypeError for a keyword that is not part of the state, ValueError for a value or a name
    that the lab doesn't have.

    >>> print(str(lab(side="left")).splitlines()[0])
    ▸ ·[PAD]· ·[PAD]· The cat ate   3 of 5 are words
    """
    first = settings(State(), changes)
    return Lab(draw, state=first, label="Lab: from sentences to a batch", panels=panels, controls=controls)


def draw(state: State) -> Picture:
    """The whole picture for a state; a pure function. Raises BadInput when nothing can be drawn.

    >>> [panel.name for panel in draw(State(batch_size=2)).panels]
    ['ids', 'is_word', 'ids2', 'is_word2']
    """
    words = [tokenize(sentence) for sentence in state.sentences]
    lengths = list(map(len, words))
    check_counts(lengths)
    shown = min(max(state.shown, 0), len(words) - 1)
    groups = groups_of(lengths, order=state.order, size=state.batch_size)
    if state.side == "none":
        picture = _without_padding(words, groups, shown)
        return replace(picture, summary=f"{NO_PADDING} {picture.summary}") if state.predict else picture
    batches = [batch_of_words([words[i] for i in group], side=state.side, at_least=state.pad_to) for group in groups]
    here = next(k for k, group in enumerate(groups) if shown in group)
    guess = state.guess(batches[here].is_word)
    if guess and not guess.reveal:  # neither ids nor chips give the answer away
        panel = _mask_panel(here, batches[here], groups[here], guess)
        return Picture(panels=[panel], sentences=list(map(_plain, words)), shown=shown, summary=guess.told(*TOLD))
    panels: list[Panel] = []
    lines: dict[int, Sentence] = {}  # by the sentences' numbers
    for k, (group, batch) in enumerate(zip(groups, batches, strict=True)):
        panels += [_ids_panel(k, batch, group, _title(k, batch, len(groups)), shown)]
        panels += [_mask_panel(k, batch, group, guess if k == here else None)]
        lines.update(zip(group, chips(batch, batch.ids), strict=True))
    return Picture(
        panels=panels,
        sentences=[lines[i] for i in range(len(words))],
        shown=shown,
        summary=(f"{guess.told(*TOLD)} " if guess else "") + _cost(state, lengths),
        code=_code(batches[0].ids.tolist()) if len(batches) == 1 else "",  # several batches need the room
    )


def groups_of(lengths: Sequence[int], *, order: str, size: int) -> list[list[int]]:
    """Which sentences make each batch: as they were "typed", or the shortest first, by their "length".

    >>> groups_of([3, 5, 4], order="length", size=2)
    [[0, 2], [1]]
    """
    numbers = sorted(range(len(lengths)), key=lambda i: lengths[i] if order == "length" else i)
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]


def padding_of(lengths: Sequence[int], groups: Sequence[Group], *, at_least: int = 0) -> tuple[int, int]:
    """How many cells are padding, of how many: each batch as wide as its longest sentence, but at least ``at_least``.

    >>> padding_of([3, 5, 4], [[0, 1, 2]]), padding_of([3, 5, 4], [[0, 2], [1]])
    ((3, 15), (1, 13))
    """
    cells = sum(len(group) * max(at_least, *(lengths[i] for i in group)) for group in groups)
    return cells - sum(lengths), cells


def _cost(state: State, lengths: Sequence[int]) -> str:
    """How much is padding; and of several batches, what another order or a single batch would make of it."""

    def padding(order: str, size: int) -> tuple[int, int]:
        return padding_of(lengths, groups_of(lengths, order=order, size=size), at_least=state.pad_to)

    now, count = padding(state.order, state.batch_size), math.ceil(len(lengths) / state.batch_size)
    told = f"{now[0]} of {now[1]} cells {'is' if now[0] == 1 else 'are'} padding ({now[0] / now[1]:.0%})"
    others = {label: padding(order, state.batch_size) for order, label in ORDERS.items()}
    others["in one batch"] = padding(state.order, len(lengths))
    compared = [f"{name} {pads} of {of} ({pads / of:.0%})" for name, (pads, of) in others.items() if (pads, of) != now]
    told += f", in {count} batches" if count > 1 else ""
    told += f". Compare: {', '.join(compared)}." if count > 1 and compared else "."
    return told.replace("%", " %")


def _without_padding(words: Sequence[Sequence[str]], groups: Sequence[Group], shown: int) -> Picture:
    """The picture of batches as they are: a tensor where all sentences are equally long, else a list beside a list."""
    is_tensor = [len({len(words[i]) for i in group}) == 1 for group in groups]
    panels: list[Panel] = []
    for k, group in enumerate(groups):
        for part in [group] if is_tensor[k] else [[i] for i in group]:
            batch = batch_of_words([words[i] for i in part])
            alone = f"sentence {part[0] + 1}: {counted(batch.ids.numel(), 'id')}"
            title = _title(k, batch, len(groups)) if is_tensor[k] else alone
            panels.append(_ids_panel(len(panels), batch, part, title, shown))
    refused = is_tensor.count(False)
    what = "the batch" if len(groups) == 1 else f"{refused} of {len(groups)} batches"
    here = next(group for group in groups if shown in group)
    return Picture(
        panels=panels,
        sentences=list(map(_plain, words)),
        shown=shown,
        summary=f"✗ torch refuses {what}: the rows differ in length." if refused else NONE_NEEDED,
        code=_code([list(map(word_id, words[i])) for i in here]),
    )


def _plain(words: Sequence[str]) -> Sentence:
    """A sentence's chips without padding."""
    ids = [str(word_id(word)) for word in words]
    return Sentence(tokens=words, pads=[False] * len(words), below=ids, note=counted(len(words), "word"))


def _title(k: int, batch: Batch, count: int) -> str:
    """What the ids of the k-th of so many batches are called."""
    rows, columns = batch.ids.shape
    return f"ids of {f'batch {k + 1}' if count > 1 else 'the batch'}: {rows} × {columns}"


def _ids_panel(k: int, batch: Batch, group: Group, title: str, shown: int) -> Panel:
    """The ids of the k-th batch, a row for each sentence."""
    return Panel(
        name=f"ids{k + 1 if k else ''}", kind="ids", values=batch.ids, title=title, say="id {}",
        meaning="A number for each word, and 0 for each [PAD].",
        current=group.index(shown) if shown in group else None, places=group, **grid_labels(batch.ids, group),
    )  # fmt: skip


def _mask_panel(k: int, batch: Batch, group: Group, guess: Guess | None) -> Panel:
    """Which cells of the k-th batch are words, or what was painted: then it stands alone, and has labels of its own."""
    is_word, is_alone = guess.used if guess else batch.is_word, bool(guess and not guess.reveal)
    return Panel(
        name=f"is_word{k + 1 if k else ''}", kind="ids", values=is_word.int(), blocked=~is_word, say=", is_word {}",
        meaning="1 at a word, 0 at padding. It comes from the lengths, not from the ids.",
        links=("row", "column") if is_alone else None, small=not is_alone,
        **painting(guess, title="is_word"), places=group, **grid_labels(batch.ids, group),
    )  # fmt: skip


def _code(rows: Sequence[Sequence[int]]) -> str:
    """The line that makes a batch a tensor, and what torch says to it: a shape, or its error. A long one is left out.

    >>> _code([[1, 2, 3], [1]])
    'torch.tensor([[1, 2, 3], [1]])  # ValueError: expected sequence of length 3 at dim 1 (got 1)'
    """
    try:
        said = f"shape {tuple(torch.tensor(rows).shape)}"
    except ValueError as error:
        said = f"ValueError: {error}"
    return f"torch.tensor({rows})  # {said}" if sum(map(len, rows)) <= MOST_IDS else ""
