"""Where every panel stands, in pixels from the top left corner."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from masklab.figures.letters import folded, width
from masklab.panels import WRITTEN, Panel, label, number, row_labels

# Up to so many rows and columns: the width and height of a cell, the size of its number, the size of a label.
SIZES = ((8, 36, 32, 10, 11), (12, 31, 26, 9, 11), (WRITTEN, 25.5, 24, 8, 10))
BAR_WIDTH = 110  # of the longest bar
MARGIN, GAP, LINE = 14, 12, 15  # around everything; between panels; height of a line of small text
SIGN_GAP = 15  # around a sign, most of it after: "× 2" must not read as a product with a row's label
CAPTION_WIDTH = 150  # a caption is at least so wide, however narrow its panel


@dataclass(frozen=True, kw_only=True)
class Block:
    """Where one panel stands, in pixels: from left to right its sign, row labels, grid and row notes.

    ``x``, ``y`` is the grid's top left corner; ``cell`` the width and height of a cell.
    ``number`` and ``name`` are sizes of letters; no cell shows its number when ``number`` is 0.
    ``middle`` is where all signs of the line stand.
    """

    panel: Panel
    cell: tuple[float, float]
    number: float
    name: float
    sign: float
    labels: float
    upright: bool
    header: float
    body: float
    caption: tuple[str, ...]
    x: float = 0.0
    y: float = 0.0
    middle: float = 0.0

    @property
    def width(self) -> float:
        """From the sign to the end of the notes."""
        return self.sign + self.labels + self.body

    @property
    def grid(self) -> tuple[float, float]:
        """Width and height of all cells together."""
        return len(self.panel.columns) * self.cell[0], len(self.panel.rows) * self.cell[1]

    @property
    def below(self) -> float:
        """Height of the grid and what stands under it."""
        return self.grid[1] + len(self.caption) * LINE + (6 if self.caption else 0)


def blocks(panels: Sequence[Panel], *, captions: bool) -> list[Block]:
    """How much room each panel takes; cells are as large in one panel as in the next.

    >>> import torch
    >>> panel = Panel(name="p", kind="score", values=torch.zeros(2, 3), rows="ab", columns="cde", title="", meaning="")
    >>> [block.grid for block in blocks([panel], captions=False)]
    [(108, 64)]
    """
    longest = max((max(len(p.rows), len(p.columns)) for p in panels if p.scale != "bars"), default=0)
    return [_block(panel, longest, sign=panel.sign if i else "", captions=captions) for i, panel in enumerate(panels)]


def in_lines(blocks: list[Block], pixels: float) -> list[list[Block]]:
    """Break the row of panels where it gets too wide; the sign goes down with its panel.

    >>> in_lines([], 900)
    []
    """
    lines: list[list[Block]] = []
    used = 0.0
    for block in blocks:
        if not lines or used + GAP + block.width > pixels:
            lines.append([])
            used = -GAP
        lines[-1].append(block)
        used += GAP + block.width
    return lines


def placed(lines: list[list[Block]], top: float) -> tuple[list[Block], float]:
    """Give every block its place; titles and grids of one line begin at one height.

    Also returns where the last line ends.

    >>> placed([], 14)
    ([], 14)
    """
    found = []
    for line in lines:
        x: float = MARGIN
        header, tallest = max(b.header for b in line), max(b.grid[1] for b in line)
        for block in line:
            left, y = x + block.sign + block.labels, top + header
            found.append(replace(block, x=left, y=y, header=header, middle=y + tallest / 2))
            x += block.width + GAP
        top += header + max(block.below for block in line) + MARGIN
    return found, top


def _block(panel: Panel, longest: int, *, sign: str, captions: bool) -> Block:
    """How much room one panel takes, when the longest side of all has ``longest`` cells."""
    across, down, digits, name = _sizes(panel, longest)
    names = max((width(label(c), name) for c in panel.columns), default=0)
    upright = names > across - 2
    notes = max((width(n, 11) for n in [panel.notes_title, *panel.row_notes]), default=0) if panel.row_notes else 0
    body = max(len(panel.columns) * across + (notes + 10 if notes else 0), width(panel.title, 13, "bold"))
    text = panel.meaning if digits else f"{panel.meaning} {panel.legend}"
    caption = tuple(folded(text, max(body, CAPTION_WIDTH))) if captions else ()
    return Block(
        panel=replace(panel, sign=sign), cell=(across, down), number=digits, name=name, upright=upright,
        caption=caption,
        sign=width(sign, 13, "bold") + SIGN_GAP if sign else 0,
        labels=max((width(r, name) for r in row_labels(panel)), default=0) + 6,
        header=40 + (names + 4 if upright else 16),
        body=max([body, *(width(line, 11) for line in caption)]),
    )  # fmt: skip


def _sizes(panel: Panel, longest: int) -> tuple[float, float, float, float]:
    """A cell's width and height, and the sizes of numbers and labels; no number where the cells are many.

    Many cells are so small that the whole panel fits; a panel with few columns gets
    wider ones, or it would be a thread.
    """
    if panel.scale == "bars":
        return BAR_WIDTH + width(_longest_number(panel), 10) + 26, 24, 10, 11
    for most, across, down, digits, name in SIZES:
        if longest <= most:
            return max(across, width(_longest_number(panel), digits) + 1), down, digits, name
    side = 320 / longest
    across, down = (max(side, 13) if n <= WRITTEN else side for n in (len(panel.columns), len(panel.rows)))
    return across, down, 0, 11


def _longest_number(panel: Panel) -> str:
    """The longest number of a panel as it is written; cells have to hold it."""
    return max((number(value, panel.kind) for row in panel.values.tolist() for value in row), key=len, default="")
