"""Predict first: a learner paints the mask that they expect, then sees what is right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from masklab.labs.controls import Cells, Position, Sentences, State, Toggle, control
from masklab.labs.sentences import SENTENCES
from masklab.panels import EXTRA, MISSED, RIGHT, Edit, counted

NO_GUESS = {"painted": [], "reveal": False}  # another sentence has another mask: a guess starts anew
PAINT_LOSSES = "Paint what should not count, then reveal."  # where the mask is one of losses
TOLD_OF_LOSSES = ("the losses that should not count", "You masked {found} of the {cells} to mask")


@dataclass(frozen=True, kw_only=True)
class GuessState(State):
    """What all labs share in which a mask can be painted: sentences, and the guess."""

    sentences: tuple[str, ...] = control(SENTENCES, Sentences(label="Sentences", sets=NO_GUESS))
    shown: int = control(0, Position())
    predict: bool = control(
        False, Toggle(label="Predict first", sets=NO_GUESS, help="Paint what should be blocked, then reveal.")
    )
    reveal: bool = control(False, Toggle(label="Reveal", when="predict"))
    painted: tuple[tuple[int, int], ...] = control((), Cells())

    def guess(self, mask: Tensor) -> "Guess | None":
        """What was painted beside the right mask, if a guess is asked for. Shape: as for `guess_of`."""
        return guess_of(self.painted, mask=mask, reveal=self.reveal) if self.predict else None


@dataclass(frozen=True, kw_only=True)
class Guess:
    """A painted mask beside the right one.

    Shapes: ``painted`` (L, S) bool, True = blocked; ``mask`` (L, S) bool, True = may attend, or counts.
    """

    painted: Tensor
    mask: Tensor
    reveal: bool

    @property
    def used(self) -> Tensor:
        """The mask that is used, True = may attend, or counts: the painted one until the right one is revealed."""
        return self.mask if self.reveal else ~self.painted

    @property
    def edits(self) -> Edit | None:
        """What can be painted: every cell, until the right mask is revealed."""
        return None if self.reveal else Edit("painted", cells=self.painted.nonzero().tolist())

    @property
    def marks(self) -> Tensor | None:
        """Each cell judged, once the right mask is revealed. Shape: (L, S) uint8."""
        if not self.reveal:
            return None
        marks = torch.zeros(self.mask.shape, dtype=torch.uint8)
        marks[self.painted & ~self.mask] = RIGHT
        marks[~self.painted & ~self.mask] = MISSED
        marks[self.painted & self.mask] = EXTRA
        return marks

    def told(
        self,
        task: str = "the cells that should be blocked",
        judged: str = "You blocked {found} of the {cells} to block",
    ) -> str:
        """How to make a guess, or how it did, in the words of a lab: what to paint, and how much of it was found.

        >>> guess_of([(0, 0)], mask=torch.zeros(1, 1) > 0, reveal=True).told()
        'You blocked 1 of the 1 cell to block (✓ 1, ✗ 0 missed), and 0 too many (!).'
        """
        if not self.reveal:
            return f"Paint {task}: {int(self.painted.sum())} painted so far. Then reveal."
        found, extra = int((self.painted & ~self.mask).sum()), int((self.painted & self.mask).sum())
        missed = int((~self.painted & ~self.mask).sum())
        right = judged.format(found=found, cells=counted(found + missed, "cell"))
        return f"{right} (✓ {found}, ✗ {missed} missed), and {extra} too many (!)."


def painting(guess: Guess | None, *, title: str) -> dict[str, Any]:
    """What a guess changes in the panel that shows the mask: its title, its edits and its marks.

    >>> painting(None, title="mask"), painting(guess_of([], mask=torch.ones(1, 1) > 0, reveal=False), title="mask")
    ({'title': 'mask'}, {'title': 'your mask', 'edits': Edit(key='painted', how='toggle', cells=[], low=None, \
high=None, step=0.01), 'marks': None})
    """
    if guess is None:
        return {"title": title}
    return {"title": title if guess.reveal else "your mask", "edits": guess.edits, "marks": guess.marks}


def guess_of(cells: Sequence[tuple[int, int]], *, mask: Tensor, reveal: bool) -> Guess:
    """What a person painted, cells of a longer sentence left out. Shape: ``mask`` (L, S) bool, True = may attend.

    >>> guess_of([(0, 1), (7, 7)], mask=torch.ones(2, 2, dtype=torch.bool), reveal=False).painted.int()
    tensor([[0, 1],
            [0, 0]], dtype=torch.int32)
    """
    painted = torch.zeros_like(mask)
    places = torch.tensor(cells, dtype=torch.int64).reshape(-1, 2)
    inside = ((places >= 0) & (places < torch.tensor(mask.shape))).all(dim=1)
    painted[tuple(places[inside].T)] = True
    return Guess(painted=painted, mask=mask, reveal=reveal)
