"""The pictures of lesson 00: the map of the course, and what padding does to a batch.

    python figures/start_here.py [folder]

writes the SVG files (beside this script, when no folder is named), and prints for
each the alt text to use in Markdown. The same data gives the same bytes.
"""

import sys
from dataclasses import replace
from pathlib import Path

from masklab.figures.diagrams import Arrow, Box, Diagram, Note
from masklab.figures.drawings import Drawing, write
from masklab.labs.sentences import SENTENCES, batch_of, grid_labels
from masklab.panels import Panel
from masklab.text import Batch

SOURCES = Path(__file__).parents[1] / "notebooks" / "src"
COLUMNS, WIDTHS = (60, 216, 424, 626, 790), (108, 144, 212, 132, 136)
# Each lesson's box: its number, what it says, and where it is.
LESSONS = {
    "00": ("Start here", COLUMNS[0], 120),
    "01": ("Loss masking", COLUMNS[1], 70),
    "02": ("Padding in recurrent networks", COLUMNS[2], 30),
    "03": ("Masked language modelling", COLUMNS[2], 70),
    "04": ("Masks that are weights", COLUMNS[2], 110),
    "05": ("Attention padding", COLUMNS[1], 170),
    "06": ("Causal masks", COLUMNS[2], 170),
    "07": ("Masks combined", COLUMNS[3], 170),
    "08": ("Patterns", COLUMNS[4], 140),
    "09": ("Masks at speed", COLUMNS[4], 180),
    "10": ("The mask doctor", COLUMNS[4], 220),
    "11": ("Capstone", COLUMNS[3], 70),
}
# What a lesson builds on.
BUILDS_ON = {
    "01": ("00",), "02": ("01",), "03": ("01",), "04": ("01",), "05": ("00",), "06": ("05",), "07": ("06",),
    "08": ("07",), "09": ("07",), "10": ("07",), "11": ("02", "03", "04", "07"),
}  # fmt: skip


def drawings() -> list[Drawing | Diagram]:
    """The lesson's pictures, in its order."""
    return [the_map(), padded(), sides()]


# --- The map ---------------------------------------------------------------------------------------------------------


def the_map() -> Diagram:
    """Lessons as boxes; an arrow leads from a lesson to one that builds on it."""
    ready = {path.stem[:2] for path in SOURCES.glob("[0-9][0-9]_*.md")}
    boxes = [
        Box(x=x, y=y, text=f"{number} {name}", width=width(x), style="part" if number in ready else "given")
        for number, (name, x, y) in LESSONS.items()
    ]
    arrows = [arrow(before, after) for after, those in BUILDS_ON.items() for before in those]
    notes = [
        Note(x=COLUMNS[1], y=30, text="What counts", centred=True),
        Note(x=COLUMNS[1], y=212, text="Who sees what", centred=True),
        Note(x=COLUMNS[0] - 52, y=238, text="shaded: ready; white: to come"),
    ]
    return Diagram(
        name="map",
        title="The map of the course",
        point="Boxes are lessons, and an arrow leads from a lesson to one that builds on it. From lesson 00, Start "
        "here, two ways lead on. The upper one is about what counts in the loss: 01, and after it 02, 03 and 04. "
        "The lower one is about who sees what in attention: 05, 06, 07, and after it 08, 09 and 10. Both end in 11, "
        "the capstone.",
        size=(866, 254),
        parts=[*arrows, *boxes, *notes],
    )


def arrow(before: str, after: str) -> Arrow:
    """From the box of one lesson to the box of another: to its left side, or upwards to its lower one."""
    (_, x0, y0), (_, x1, y1) = LESSONS[before], LESSONS[after]
    if x0 == x1:
        return Arrow(start=(x0, y0 - 12), end=(x1, y1 + 12), style="says")
    return Arrow(start=(x0 + width(x0) / 2, y0), end=(x1 - width(x1) / 2, y1), style="says")


def width(x: float) -> float:
    """How wide the boxes of a column are."""
    return WIDTHS[COLUMNS.index(x)]


# --- The batch -------------------------------------------------------------------------------------------------------


def padded() -> Drawing:
    """The running batch: ids, and which of them are words."""
    batch = batch_of(SENTENCES)
    return Drawing(
        name="padded",
        title="The batch after padding",
        point="Three sentences of 3, 5 and 4 words make a table of 3 rows and 5 columns. 3 of its 15 cells are "
        "padding.",
        panels=[ids(batch, "ids"), words(batch)],
    )


def sides() -> Drawing:
    """The same three sentences, padded on the right and on the left."""
    right, left = (ids(batch_of(SENTENCES, side=side), side) for side in ("right", "left"))
    return Drawing(
        name="sides",
        title="Padding on the right, and on the left",
        point="On the right all sentences begin in the same column, on the left all end in the same one.",
        panels=[right, left],
    )


def ids(batch: Batch, name: str) -> Panel:
    """The table of ids; a [PAD] is hatched."""
    titles = {"ids": "ids", "right": "padded on the right", "left": "padded on the left"}
    return Panel(
        name=name, kind="ids", values=batch.ids, blocked=~batch.is_word, title=titles[name],
        meaning="One row per sentence; 0 is [PAD].", **grid_labels(batch.ids),
    )  # fmt: skip


def words(batch: Batch) -> Panel:
    """Which positions are words."""
    return replace(
        ids(batch, "ids"), name="words", kind="mask", values=batch.is_word.int(), blocked=~batch.is_word,
        title="is_word", meaning="1 where there is a word.",
    )  # fmt: skip


if __name__ == "__main__":
    here = Path(__file__)
    write(drawings(), Path(sys.argv[1]) if len(sys.argv) > 1 else here.parent, module=here.stem)
