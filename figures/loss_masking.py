"""The pictures of lesson 01: where a loss mask acts, what is counted, and how much each word weighs.

    python figures/loss_masking.py [folder]

writes the SVG files (beside this script, when no folder is named), and prints for
each the alt text to use in Markdown. The same data gives the same bytes.
"""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from masklab.figures.diagrams import Arrow, Box, Diagram, Note
from masklab.figures.drawings import Drawing, write
from masklab.labs import loss_masking
from masklab.labs.loss_masking import State, draw
from masklab.labs.sentences import SENTENCES, batch_of, grid_labels
from masklab.panels import Panel

LOSSES = torch.tensor(loss_masking.LOSSES)
STEP, LEFT = 84, 110  # from one position to the next, and where the first one is


def drawings() -> list[Drawing | Diagram]:
    """The lesson's pictures, in its order."""
    return [idea(), counted(), weights()]


def idea() -> Diagram:
    """The mask acts after the model: on the losses, and on what goes back."""
    words = ("The", "cat", "ate", "[PAD]", "[PAD]")
    places = [LEFT + STEP * i for i in range(5)]
    parts: list[Box | Arrow | Note] = []
    for i, (x, word, loss) in enumerate(zip(places, words, LOSSES[0].tolist(), strict=True)):
        parts += [
            Box(x=x, y=250, text=word),
            Arrow(start=(x, 237), end=(x, 204), style="says"),
            Arrow(start=(x, 178), end=(x, 145), style="says"),
            Box(x=x, y=131, text=f"{loss:.3f}" if i < 3 else "✗", style="made" if i < 3 else "given"),
        ]
        if i < 3:
            parts += [Arrow(start=(x, 118), end=(LEFT + STEP, 66), style="reads")]
    parts += [
        Box(x=LEFT + 2 * STEP, y=191, width=5 * STEP - 10, text="any model", style="part"),
        Box(x=LEFT + STEP, y=53, width=150, text="sum ÷ 3 = 0.655", style="made"),
        Note(x=LEFT + STEP, y=20, text="one number, to be made smaller", centred=True),
        Note(x=LEFT + 3.5 * STEP, y=96, text="masked: not part of the sum,", centred=True),
        Note(x=LEFT + 3.5 * STEP, y=112, text="so it teaches nothing", centred=True),
        Note(x=LEFT + 4.6 * STEP, y=131, text="a loss at each position"),
        Note(x=LEFT + 4.6 * STEP, y=250, text="a padded sentence"),
    ]
    return Diagram(
        name="idea",
        title="Where a loss mask acts",
        point="The words “The cat ate” and two pads go into a box, any model. Above it there is a loss at each of the "
        "five positions: 0.513, 0.551 and 0.902 at the words, and crossed out at the pads. Lines lead from the three "
        "losses of words to one number, their sum divided by three. No line leads there from the pads.",
        size=(690, 272),
        parts=parts,
    )


def counted() -> Drawing:
    """The losses where the mask is 1: what is counted."""
    is_word = batch_of(SENTENCES).is_word
    kept = LOSSES.masked_fill(~is_word, 0.0)
    return Drawing(
        name="counted",
        title="The masked losses of a batch",
        point="Of 15 losses 12 are counted. Their sum is 7.80, and divided by 12 that is 0.65.",
        panels=[
            batch_panel("losses", "loss", LOSSES, "One loss for each position, padding included."),
            batch_panel("mask", "mask", is_word.int(), "1 where a position counts.", sign="where"),
            batch_panel("counted", "loss", kept, "0 at the padding. The sum, 7.80, divided by 12 is 0.65.", sign="→"),
        ],
    )  # fmt: skip


def batch_panel(name: str, kind: str, values: Tensor, meaning: str, sign: str = "") -> Panel:
    """One number for each position of the three sentences."""
    return Panel(
        name=name, kind=kind, values=values, title=name, meaning=meaning, sign=sign, limit=1.0, **grid_labels(values)
    )


def weights() -> Drawing:
    """The gradient of the one number with respect to each loss, for lengths 6 and 2."""
    meanings = {
        "token": "Each of the eight words weighs 0.125.",
        "sentence": "Each sentence weighs one half: 0.083 for each of six words, 0.25 for each of two.",
        "position": "Each word weighs 0.083, and what the four pads would weigh is lost.",
    }
    return Drawing(
        name="weights",
        title="How much each word weighs",
        point="Two sentences, of 6 and 2 words, under three denominators.",
        panels=[replace(gradient(by), name=by, title=f"by {by}", meaning=meanings[by]) for by in meanings],
    )


def gradient(by: str) -> Panel:
    """How much each loss of 6 and of 2 words weighs in the one number: the lab's own panel, the padding hatched."""
    panels = {panel.name: panel for panel in draw(State(by=by, **State.presets["6 and 2 words"])).panels}
    blocked, rows = panels["mask"].blocked, ["6 words", "2 words"]
    return replace(panels["gradient"], rows=rows, blocked=blocked, sign="", limit=0.25)


if __name__ == "__main__":
    here = Path(__file__)
    write(drawings(), Path(sys.argv[1]) if len(sys.argv) > 1 else here.parent, module=here.stem)
