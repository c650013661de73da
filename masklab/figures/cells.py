"""How one panel is drawn: its sign, title, labels, cells or bars, notes and caption."""

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from masklab.figures.layout import BAR_WIDTH, LINE, SIGN_GAP, Block
from masklab.figures.letters import GREY, INK, shape, write
from masklab.figures.paint import BAR, BLOCKED, HATCH, HOLE, blocked, colours, hexes, inks, values
from masklab.panels import EXTRA, MISSED, RIGHT, SET, SIGNS, Panel, label, number, row_labels, was_set

HATCHES = {RIGHT: "++", MISSED: "xx", EXTRA: "--"}  # a mark where there is no room for its sign


def draw_block(axes: Axes, block: Block) -> None:
    """One panel: sign, title, labels, cells, notes and caption.

    >>> import torch
    >>> from matplotlib.figure import Figure
    >>> from masklab.figures.layout import blocks
    >>> panel = Panel(name="w", kind="weight", values=torch.ones(1, 1), rows="a", columns="b", title="one", meaning="")
    >>> axes = Figure().add_axes((0, 0, 1, 1))
    >>> draw_block(axes, blocks([panel], captions=False)[0])
    >>> [text.get_text() for text in axes.texts]
    ['one', 'query ↓   key →', 'a', 'b']
    """
    panel, (_, height) = block.panel, block.grid
    write(axes, block.x - block.labels - SIGN_GAP + 4, block.middle, panel.sign, size=13, font="bold", ha="right")
    write(axes, block.x, block.y - block.header + 8, panel.title, size=13, font="bold")
    write(axes, block.x, block.y - block.header + 25, "{} ↓   {} →".format(*panel.axes), size=10, colour=GREY)
    _draw_labels(axes, block)
    (_draw_bars if panel.scale == "bars" else _draw_written if block.number else _draw_image)(axes, block)
    _draw_notes(axes, block)
    for i, line in enumerate(block.caption):
        write(axes, block.x, block.y + height + 6 + LINE * (i + 0.5), line, size=11, colour=GREY)


def look(pad: bool, size: float) -> dict:
    """How a word's label looks, and a pad's: grey and italic.

    >>> look(True, 11)["font"], look(False, 11)
    ('italic', {'size': 11})
    """
    return {"size": size, "font": "italic", "colour": GREY} if pad else {"size": size}


def _draw_labels(axes: Axes, block: Block) -> None:
    """Names of rows and columns; only some where they would overlap."""
    panel, (w, h), rows = block.panel, block.cell, row_labels(block.panel)
    columns = {"rotation": 90, "va": "bottom"} if block.upright else {"va": "bottom"}
    for i in range(0, len(panel.rows), _every(h)):
        how = look(bool(panel.row_pads and panel.row_pads[i]), block.name)
        write(axes, block.x - 5, block.y + (i + 0.5) * h, rows[i], ha="right", **how)
    for j in range(0, len(panel.columns), _every(w)):
        how = look(bool(panel.column_pads and panel.column_pads[j]), block.name) | columns
        write(axes, block.x + (j + 0.5) * w, block.y - 4, label(panel.columns[j]), ha="center", **how)


def _every(side: float) -> int:
    """How many cells of this size share one label."""
    return max(1, int(np.ceil(13 / side)))


def _draw_written(axes: Axes, block: Block) -> None:
    """Cells as separate squares with their numbers and marks."""
    panel, rgb = block.panel, colours(block.panel)
    closed, holes = blocked(panel), np.isnan(values(panel))
    plain = ~(closed | holes)
    for colour in dict.fromkeys(hexes(rgb)[plain].tolist()):
        _fill(axes, block, plain & (hexes(rgb) == colour), colour)
    _fill(axes, block, closed, BLOCKED, hatch="////")
    _fill(axes, block, holes, HOLE, hatch="..")
    _draw_numbers(axes, block, inks(rgb))


def _draw_numbers(axes: Axes, block: Block, ink: np.ndarray) -> None:
    """The number in every cell; where cells have signs, it makes room for them in the corner.

    All numbers of one colour are one shape: hundreds of text objects would take seconds.
    """
    panel, (w, h), signs = block.panel, block.cell, _signs(block.panel)
    middle = h * (0.64 if signs else 0.5)
    shapes: dict[str, list[Path]] = {}
    for i, row in enumerate(panel.values.tolist()):
        for j, value in enumerate(row):
            x, y = block.x + j * w, block.y + i * h
            size = block.number + (2 if np.isinf(value) else 0)  # "−∞" has to stand out from its hatching
            shapes.setdefault(ink[i, j], []).append(shape(number(value, panel.kind), size, (x + w / 2, y + middle)))
            look = {"size": block.number, "font": "bold", "colour": ink[i, j], "ha": "right"}
            write(axes, x + w - 4, y + h / 4, signs.get((i, j), ""), **look)
    for colour, parts in shapes.items():
        axes.add_artist(PathPatch(Path.make_compound_path(*parts), facecolor=colour, edgecolor="none", linewidth=0))


def _signs(panel: Panel) -> dict[tuple[int, int], str]:
    """The signs of every cell of a panel that can have some: a pencil where it was set, and its mark."""
    changed = was_set(panel)
    if panel.marks is None and not changed:
        return {}
    marks = np.zeros(panel.values.shape, dtype=int) if panel.marks is None else panel.marks.cpu().numpy()
    return {at: SET * (at in changed) + SIGNS[int(mark)] for at, mark in np.ndenumerate(marks)}


def _draw_bars(axes: Axes, block: Block) -> None:
    """Each row a bar on its track, its number and its sign; grey for padding."""
    panel, signs, (_, top) = block.panel, _signs(block.panel), block.panel.limits
    closed, tracks = blocked(panel)[:, 0], hexes(colours(panel))[:, 0]
    for i, value in enumerate(values(panel)[:, 0]):
        y, hole = block.y + i * block.cell[1], np.isnan(value)
        hatch = ".." if hole else "////" if closed[i] else ""
        share = 0 if hole else min(max(value / top, 0), 1)
        _box(axes, block.x, y, BAR_WIDTH, block.cell[1], tracks[i], hatch=hatch)
        grey = bool(panel.row_pads and panel.row_pads[i])
        _box(axes, block.x, y, share * BAR_WIDTH, block.cell[1], GREY if grey else BAR)
        x, y = block.x + BAR_WIDTH + 6, y + block.cell[1] / 2
        write(axes, x, y, number(value, panel.kind), size=block.number)
        write(axes, block.x + block.cell[0], y, signs.get((i, 0), ""), size=block.number, font="bold", ha="right")


def _draw_image(axes: Axes, block: Block) -> None:
    """Many cells as one image: writing in each would take seconds, and nobody could read it."""
    panel, (w, h) = block.panel, block.grid
    if w and h:
        place = (block.x, block.x + w, block.y + h, block.y)
        axes.imshow(colours(panel), extent=place, aspect="auto", interpolation="nearest", origin="upper")
    _fill(axes, block, blocked(panel), "none", hatch="////")
    _fill(axes, block, np.isnan(values(panel)), "none", hatch="..")
    for mark, hatch in HATCHES.items():
        if panel.marks is not None:
            _fill(axes, block, panel.marks.cpu().numpy() == mark, "none", hatch=hatch, ink=INK)
    changed = np.zeros(panel.values.shape, dtype=bool)
    for at in was_set(panel):
        changed[at] = True
    _fill(axes, block, changed, "none", hatch="oo", ink=INK)


def _draw_notes(axes: Axes, block: Block) -> None:
    """A column of words beside the rows, such as their sums, under its title."""
    panel, x = block.panel, block.x + block.grid[0] + 8
    if panel.row_notes:
        write(axes, x, block.y - 4, panel.notes_title, size=11, colour=GREY, va="bottom")
    for i in range(0, len(panel.row_notes), _every(block.cell[1])):
        write(axes, x, block.y + (i + 0.5) * block.cell[1], panel.row_notes[i], size=11)


def _fill(axes: Axes, block: Block, where: np.ndarray, colour: str, *, hatch: str = "", ink: str = HATCH) -> None:
    """Fill all cells of one kind at once, as one shape. ``where``: (rows, columns) bool."""
    _add(axes, [corner for box in _boxes(where, block) for corner in box], colour, hatch=hatch, ink=ink)


def _box(axes: Axes, x: float, y: float, wide: float, high: float, colour: str, *, hatch: str = "") -> None:
    """Fill one box, with a gap above and below."""
    if wide > 0:
        _add(axes, _corners(x, y + 4, x + wide, y + high - 4), colour, hatch=hatch)


def _add(axes: Axes, corners: list[tuple[float, float]], colour: str, *, hatch: str = "", ink: str = HATCH) -> None:
    """Fill boxes, given by five corners each, as one shape."""
    if not corners:
        return
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * (len(corners) // 5)
    patch = PathPatch(Path(corners, codes), facecolor=colour, edgecolor="none", linewidth=0, hatch=hatch or None)
    patch.set_hatchcolor(ink)
    patch.set_hatch_linewidth(0.8)
    axes.add_artist(patch)  # not add_patch, which measures every shape to scale axes that never scale


def _boxes(where: np.ndarray, block: Block) -> Iterator[list[tuple[float, float]]]:
    """The corners of the cells to fill: each cell with a gap around it, or whole runs where cells are tiny."""
    (w, h), gap = block.cell, 0.75 if block.number else 0.0
    for i, row in enumerate(where):
        if block.number:
            runs = [(j, j + 1) for j in np.flatnonzero(row)]
        else:
            runs = np.flatnonzero(np.diff(row.astype(int), prepend=0, append=0)).reshape(-1, 2)
        top, bottom = block.y + i * h + gap, block.y + (i + 1) * h - gap
        for start, end in runs:
            yield _corners(block.x + start * w + gap, top, block.x + end * w - gap, bottom)


def _corners(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    """A box as a closed path."""
    return [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
