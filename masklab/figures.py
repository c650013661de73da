"""Panels → still pictures, for pages, slides and print: the layout is the formula.

The values come with the panel; nothing is computed here but colours and places.
Everything is placed in pixels from the top left corner, on one plain sheet.
No pyplot: its global state gets mixed up when a widget's callback draws on
another thread.
"""

import html
import io
import os
import re
import textwrap
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path as File
from zlib import crc32

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, get_font
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path
from matplotlib.textpath import text_to_path
from PIL import Image

from masklab.panels import EXTRA, MISSED, RIGHT, SIGNS, WRITTEN, Panel, Picture, Sentence, label, number

DPI = 96  # so that one unit of the sheet is one CSS pixel, in PNG and in SVG
# Up to so many rows and columns: the width and height of a cell, the size of its number, the size of a label.
SIZES = ((8, 36, 32, 10, 11), (12, 31, 26, 9, 11), (WRITTEN, 25.5, 24, 8, 10))
MAPS = {"signed": "PuOr", "unit": "cividis"}
PAPER, INK, GREY = "#fcfcfd", "#000000", "#5c6068"  # GREY on PAPER: 6.2:1
PLAIN, BLOCKED, HOLE = "#e3e9f0", "#f4f4f4", "#ffe8ee"  # a cell with no colour scale, a blocked one, one with no number
HATCH, WASH = "#b4b4b4", "#e6e6e8"  # light enough for black text on top: 10:1
HATCHES = {RIGHT: "++", MISSED: "xx", EXTRA: "--"}  # a mark where there is no room for its sign
FONTS = {"regular": "DejaVuSans.ttf", "bold": "DejaVuSans-Bold.ttf", "italic": "DejaVuSans-Oblique.ttf"}
MARGIN, GAP, LINE = 14, 12, 15  # around everything; between panels; height of a line of small text
SIGN_GAP = 15  # around a sign, most of it after: "× 2" must not read as a product with a row's label
CAPTION_WIDTH = 150  # a caption is at least so wide, however narrow its panel
_settings = threading.Lock()  # matplotlib's settings belong to all threads


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


def draw(picture: Picture | Sequence[Panel], *, width: int = 1000, captions: bool = True) -> Figure:
    """Lay the panels out in lines, as one reads a formula, and draw them.

    ``picture`` may be panels alone. ``width`` is in pixels; the figure is narrower when
    the panels are, and wider only when one panel is. ``captions`` puts each panel's
    meaning under it.

    >>> import torch
    >>> panel = Panel(name="mask", title="mask", meaning="1 = may attend", kind="mask",
    ...               values=torch.tensor([[1, 0]]), rows=["q"], columns=["a", "b"])
    >>> type(draw([panel])).__name__
    'Figure'
    """
    picture = picture if isinstance(picture, Picture) else Picture(panels=list(picture))
    chips, words = _chip_lines(picture, width), _words(picture, width)
    top = MARGIN + (len(chips) * 28 + 10 if chips else 0)
    blocks, bottom = _placed(_lines(_blocks(picture.panels, captions), width - 2 * MARGIN), top)
    right = [b.x + b.body for b in blocks] + [x + w for line in chips for x, w, *_ in line]
    wide = max(right + [MARGIN + _width(line, 12) for line in words], default=CAPTION_WIDTH) + MARGIN
    axes = _sheet(wide, bottom + 20 * len(words) + (MARGIN if words or not blocks else 0))
    for i, line in enumerate(chips):
        _draw_chips(axes, line, MARGIN + 28 * i)
    for block in blocks:
        _draw_block(axes, block)
    for i, line in enumerate(words):
        _write(axes, MARGIN, bottom + 20 * i + 8, line, size=12)
    return axes.figure


def png(picture: Picture | Sequence[Panel], *, width: int = 1000) -> bytes:
    """The picture as a PNG file, for a notebook that is read without a kernel.

    256 colours are plenty for it, and make a quarter of the size.

    >>> png([])[1:4]
    b'PNG'
    """
    canvas, buffer = draw(picture, width=width).canvas, io.BytesIO()
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    image.quantize(256, dither=Image.Dither.NONE).save(buffer, "png", dpi=(DPI, DPI))
    return buffer.getvalue()


def svg(
    picture: Picture | Sequence[Panel],
    path: str | os.PathLike | None = None,
    *,
    title: str,
    description: str,
    width: int = 900,
    captions: bool = True,
) -> str:
    """The picture as an SVG file that says in words what it shows; the same input gives the same bytes.

    Letters are stored as shapes, so that it looks the same where the font is missing.
    Writes the file, too, when ``path`` is given.

    >>> "<title" in svg([], title="nothing", description="an empty picture")
    True
    """
    figure, buffer = draw(picture, width=width, captions=captions), io.StringIO()
    quiet = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with _settings, matplotlib.rc_context({"svg.hashsalt": "masklab", "svg.fonttype": "path", "svg.id": None}):
        FigureCanvasSVG(figure).print_svg(buffer, metadata=quiet)
    text = _worded(buffer.getvalue(), title, description)
    if path is not None:
        File(path).write_text(text, encoding="utf-8", newline="\n")
    return text


def alt(picture: Picture | Sequence[Panel]) -> str:
    """What a row of panels shows, in words, for the alt text of a picture.

    >>> import torch
    >>> print(alt([Panel(name="ids", kind="ids", values=torch.tensor([[1, 0]]), rows=["1"], columns=["The", "[PAD]"],
    ...                  title="ids", meaning="One number a word.")]))
    ids, 1 × 2: One number a word.
    """
    panels = picture.panels if isinstance(picture, Picture) else picture
    return " ".join(_panel_alt(panel, sign=panel.sign if i else "") for i, panel in enumerate(panels))


def colours(panel: Panel) -> np.ndarray:
    """The colour of every cell. Shape: (rows, columns, 3), red, green and blue from 0 to 1.

    Cells of pads are washed out with grey; blocked cells and cells with no number
    get the paper on which their hatching is drawn.

    >>> import torch
    >>> panel = Panel(name="weights", title="weights", meaning="Each row sums to 1.", kind="weight",
    ...               values=torch.tensor([[0.0, 1.0]]), rows=["q"], columns=["a", "b"])
    >>> luminance(colours(panel)).round(1).tolist()  # dark is 0, bright is 1
    [[0.0, 0.8]]
    """
    values = _values(panel)
    if panel.scale not in MAPS:
        rgb = np.tile(_rgb(PLAIN), (*values.shape, 1))
    else:
        low, high = panel.limits
        rgb = matplotlib.colormaps[MAPS[panel.scale]](np.clip((values - low) / (high - low), 0, 1))[..., :3]
    rgb = np.where(_pads(panel)[..., None], 0.4 * rgb + 0.6 * _rgb(WASH), rgb)
    rgb[_blocked(panel)] = _rgb(BLOCKED)
    rgb[np.isnan(values)] = _rgb(HOLE)
    return rgb


def luminance(rgb: np.ndarray) -> np.ndarray:
    """How bright a colour is, 0 to 1. Shape: (..., 3) → (...). Source: WCAG 2.2, relative luminance.

    >>> luminance(np.array([[0.0, 0, 0], [1, 1, 1], [0, 1, 0]])).round(4).tolist()
    [0.0, 1.0, 0.7152]
    """
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def inks(rgb: np.ndarray) -> np.ndarray:
    """Black or white, whichever is read more easily on a colour: always at least 4.5:1.

    Shape: (..., 3) → (...) of strings.

    >>> inks(np.array([[1.0, 1, 1], [0, 0, 0.5]])).tolist()
    ['#000000', '#ffffff']
    """
    bright = luminance(rgb)
    return np.where((bright + 0.05) / 0.05 >= 1.05 / (bright + 0.05), "#000000", "#ffffff")


# What a cell is


def _values(panel: Panel) -> np.ndarray:
    """The values as float64, whatever their type was. Shape: (rows, columns)."""
    return panel.values.detach().cpu().double().numpy()


def _blocked(panel: Panel) -> np.ndarray:
    """Which cells are drawn as blocked: those that the panel names, and every −∞. Shape: (rows, columns) bool."""
    named = False if panel.blocked is None else panel.blocked.cpu().numpy()
    return (named | np.isneginf(_values(panel))) & ~np.isnan(_values(panel))


def _pads(panel: Panel) -> np.ndarray:
    """Which cells stand in a row or a column of padding. Shape: (rows, columns) bool."""
    rows = np.array(panel.row_pads or [False] * len(panel.rows), dtype=bool)
    columns = np.array(panel.column_pads or [False] * len(panel.columns), dtype=bool)
    return rows[:, None] | columns[None, :]


def _rgb(colour: str) -> np.ndarray:
    """Red, green and blue of "#rrggbb", from 0 to 1."""
    return np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])


# Where everything stands


def _blocks(panels: Sequence[Panel], captions: bool) -> list[Block]:
    """How much room each panel takes; cells are as large in one panel as in the next."""
    longest = max((max(len(p.rows), len(p.columns)) for p in panels), default=0)
    return [_block(panel, longest, sign=panel.sign if i else "", captions=captions) for i, panel in enumerate(panels)]


def _block(panel: Panel, longest: int, *, sign: str, captions: bool) -> Block:
    """How much room one panel takes, when the longest side of all has ``longest`` cells."""
    *cell, digits, name = _sizes(panel, longest)
    names = max((_width(label(c), name) for c in panel.columns), default=0)
    upright = names > cell[0] - 2
    notes = max((_width(n, 11) for n in [panel.notes_title, *panel.row_notes]), default=0) if panel.row_notes else 0
    body = max(len(panel.columns) * cell[0] + (notes + 10 if notes else 0), _width(panel.title, 13, "bold"))
    text = panel.meaning if digits else f"{panel.meaning} {panel.legend}"
    caption = tuple(_folded(text, max(body, CAPTION_WIDTH))) if captions else ()
    return Block(
        panel=replace(panel, sign=sign), cell=tuple(cell), number=digits, name=name, upright=upright, caption=caption,
        sign=_width(sign, 13, "bold") + SIGN_GAP if sign else 0,
        labels=max((_width(label(r), name) for r in panel.rows), default=0) + 6,
        header=40 + (names + 4 if upright else 16),
        body=max([body, *(_width(line, 11) for line in caption)]),
    )  # fmt: skip


def _longest_number(panel: Panel) -> str:
    """The longest number of a panel as it is written; cells have to hold it."""
    return max((number(value, panel.kind) for row in panel.values.tolist() for value in row), key=len, default="")


def _sizes(panel: Panel, longest: int) -> tuple[float, float, float, float]:
    """A cell's width and height, and the sizes of numbers and labels; no number where the cells are many.

    Many cells are so small that the whole panel fits; a panel with few columns gets
    wider ones, or it would be a thread.
    """
    for most, width, height, digits, name in SIZES:
        if longest <= most:
            return max(width, _width(_longest_number(panel), digits) + 1), height, digits, name
    side = 320 / longest
    width, height = (max(side, 13) if n <= WRITTEN else side for n in (len(panel.columns), len(panel.rows)))
    return width, height, 0, 11


def _lines(blocks: list[Block], width: float) -> list[list[Block]]:
    """Break the row of panels where it gets too wide; the sign goes down with its panel."""
    lines, used = [], 0.0
    for block in blocks:
        if not lines or used + GAP + block.width > width:
            lines.append([])
            used = -GAP
        lines[-1].append(block)
        used += GAP + block.width
    return lines


def _placed(lines: list[list[Block]], top: float) -> tuple[list[Block], float]:
    """Give every block its place; titles and grids of one line begin at one height.

    Also returns where the last line ends.
    """
    placed = []
    for line in lines:
        x, header, tallest = MARGIN, max(b.header for b in line), max(b.grid[1] for b in line)
        place = {"y": top + header, "header": header, "middle": top + header + tallest / 2}
        for block in line:
            placed.append(replace(block, x=x + block.sign + block.labels, **place))
            x += block.width + GAP
        top += header + max(block.below for block in line) + MARGIN
    return placed, top


# How it is drawn


def _sheet(width: float, height: float) -> Axes:
    """An empty sheet of so many pixels; (0, 0) is its top left corner."""
    figure = Figure(figsize=(np.ceil(width) / DPI, np.ceil(height) / DPI), dpi=DPI, facecolor=PAPER, layout="none")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, np.ceil(width)), ylim=(np.ceil(height), 0), autoscale_on=False)
    return axes


def _draw_block(axes: Axes, block: Block) -> None:
    """One panel: sign, title, labels, cells, notes and caption."""
    panel, (_, height) = block.panel, block.grid
    _write(axes, block.x - block.labels - SIGN_GAP + 4, block.middle, panel.sign, size=13, font="bold", ha="right")
    _write(axes, block.x, block.y - block.header + 8, panel.title, size=13, font="bold")
    _write(axes, block.x, block.y - block.header + 25, "{} ↓   {} →".format(*panel.axes), size=10, colour=GREY)
    _draw_labels(axes, block)
    (_draw_written if block.number else _draw_image)(axes, block)
    _draw_notes(axes, block)
    for i, line in enumerate(block.caption):
        _write(axes, block.x, block.y + height + 6 + LINE * (i + 0.5), line, size=11, colour=GREY)


def _draw_labels(axes: Axes, block: Block) -> None:
    """Names of rows and columns, those of pads grey and italic; only some where they would overlap."""
    panel, (w, h) = block.panel, block.cell
    columns = {"rotation": 90, "va": "bottom"} if block.upright else {"va": "bottom"}
    for i in range(0, len(panel.rows), _every(h)):
        look = _look(bool(panel.row_pads and panel.row_pads[i]), block.name)
        _write(axes, block.x - 5, block.y + (i + 0.5) * h, label(panel.rows[i]), ha="right", **look)
    for j in range(0, len(panel.columns), _every(w)):
        look = _look(bool(panel.column_pads and panel.column_pads[j]), block.name) | columns
        _write(axes, block.x + (j + 0.5) * w, block.y - 4, label(panel.columns[j]), ha="center", **look)


def _look(pad: bool, size: float) -> dict:
    """How a word's label looks, and a pad's."""
    return {"size": size, "font": "italic", "colour": GREY} if pad else {"size": size}


def _every(side: float) -> int:
    """How many cells of this size share one label."""
    return max(1, int(np.ceil(13 / side)))


def _draw_written(axes: Axes, block: Block) -> None:
    """Cells as separate squares with their numbers and marks."""
    panel, rgb = block.panel, colours(block.panel)
    blocked, holes = _blocked(panel), np.isnan(_values(panel))
    plain = ~(blocked | holes)
    for colour in dict.fromkeys(_hexes(rgb)[plain].tolist()):
        _fill(axes, block, plain & (_hexes(rgb) == colour), colour)
    _fill(axes, block, blocked, BLOCKED, hatch="////")
    _fill(axes, block, holes, HOLE, hatch="..")
    _draw_numbers(axes, block, inks(rgb))


def _draw_numbers(axes: Axes, block: Block, ink: np.ndarray) -> None:
    """The number in every cell; where cells are marked, it makes room for the sign in the corner.

    All numbers of one colour are one shape: hundreds of text objects would take seconds.
    """
    panel, (w, h) = block.panel, block.cell
    middle = h * (0.5 if panel.marks is None else 0.64)
    shapes = {}
    for i, row in enumerate(panel.values.tolist()):
        for j, value in enumerate(row):
            x, y = block.x + j * w, block.y + i * h
            size = block.number + (2 if np.isinf(value) else 0)  # "−∞" has to stand out from its hatching
            shapes.setdefault(ink[i, j], []).append(_shape(number(value, panel.kind), size, (x + w / 2, y + middle)))
            if panel.marks is not None:
                sign = SIGNS[int(panel.marks[i, j])]
                _write(axes, x + w - 4, y + h / 4, sign, size=block.number, font="bold", colour=ink[i, j], ha="right")
    for colour, parts in shapes.items():
        axes.add_artist(PathPatch(Path.make_compound_path(*parts), facecolor=colour, edgecolor="none", linewidth=0))


def _shape(string: str, size: float, middle: tuple[float, float]) -> Path:
    """A string as a shape around a point."""
    vertices, codes = _outline(string)
    return Path(vertices * size + middle, codes)


@lru_cache(maxsize=4096)
def _outline(string: str) -> tuple[np.ndarray, np.ndarray]:
    """A string as a shape one pixel high, centred on (0, 0), y downwards."""
    vertices, codes = text_to_path.get_text_path(_font("regular", 1), _clean(string, "regular"))
    vertices = np.array(vertices) / text_to_path.FONT_SCALE
    return (vertices - (_width(string, 100) / 200, 0.36)) * (1, -1), codes


def _draw_image(axes: Axes, block: Block) -> None:
    """Many cells as one image: writing in each would take seconds, and nobody could read it."""
    panel, (w, h) = block.panel, block.grid
    if w and h:
        place = (block.x, block.x + w, block.y + h, block.y)
        axes.imshow(colours(panel), extent=place, aspect="auto", interpolation="nearest", origin="upper")
    _fill(axes, block, _blocked(panel), "none", hatch="////")
    _fill(axes, block, np.isnan(_values(panel)), "none", hatch="..")
    for mark, hatch in HATCHES.items():
        if panel.marks is not None:
            _fill(axes, block, panel.marks.cpu().numpy() == mark, "none", hatch=hatch, ink=INK)


def _draw_notes(axes: Axes, block: Block) -> None:
    """A column of words beside the rows, such as their sums, under its title."""
    panel, x = block.panel, block.x + block.grid[0] + 8
    if panel.row_notes:
        _write(axes, x, block.y - 4, panel.notes_title, size=11, colour=GREY, va="bottom")
    for i in range(0, len(panel.row_notes), _every(block.cell[1])):
        _write(axes, x, block.y + (i + 0.5) * block.cell[1], panel.row_notes[i], size=11)


def _fill(axes: Axes, block: Block, where: np.ndarray, colour: str, *, hatch: str = "", ink: str = HATCH) -> None:
    """Fill all cells of one kind at once, as one shape. ``where``: (rows, columns) bool."""
    corners = [corner for box in _boxes(where, block) for corner in box]
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
            left, right = block.x + start * w + gap, block.x + end * w - gap
            yield [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]


def _hexes(rgb: np.ndarray) -> np.ndarray:
    """Colours as "#rrggbb". Shape: (rows, columns, 3) → (rows, columns)."""
    whole = (rgb * 255).round().astype(int)
    return np.array([[f"#{r:02x}{g:02x}{b:02x}" for r, g, b in row] for row in whole]).reshape(rgb.shape[:2])


# Sentences as chips, and lines of words


def _chip_lines(picture: Picture, width: float) -> list[list[tuple]]:
    """A line of chips a sentence: (x, width, text, is pad, is chip) each, cut where the sheet ends."""
    several = len(picture.sentences) > 1
    return [_chips(s, "▸" if several and i == picture.shown else "", width) for i, s in enumerate(picture.sentences)]


def _chips(sentence: Sentence, arrow: str, width: float) -> list[tuple]:
    """One line of chips, its pointer before it and its note after it."""
    note = _width(sentence.note, 11)
    line, x = [(MARGIN, 10, arrow, False, False)], MARGIN + 18
    for token, pad in zip(sentence.tokens, sentence.pads, strict=True):
        wide = max(_width(label(token), 11), 8) + 14
        if x + wide + note + 40 > width - MARGIN:
            line.append((x, 14, "…", False, False))
            x += 20
            break
        line.append((x, wide, label(token), bool(pad), True))
        x += wide + 4
    return [*line, (x + 8, note, sentence.note, True, False)]


def _draw_chips(axes: Axes, line: list[tuple], y: float) -> None:
    """A sentence as a row of boxes, those of pads grey, italic and with a dashed edge."""
    for x, wide, string, pad, boxed in line:
        if boxed:
            style = {"facecolor": WASH, "linestyle": "--"} if pad else {"facecolor": "#ffffff"}
            style |= {"boxstyle": "round,pad=3", "edgecolor": "#9aa0a8"}
            axes.add_artist(FancyBboxPatch((x + 3, y + 3), wide - 6, 16, **style))
        look = (_look(pad, 11) if boxed else {"size": 11, "colour": GREY if pad else INK}) | {"ha": "center"}
        _write(axes, x + wide / 2, y + 11, string, **look)


def _words(picture: Picture, width: float) -> list[str]:
    """The picture's own lines: what to notice, and what is wrong."""
    return [line for text in (picture.summary, picture.problem) for line in _folded(text, width - 2 * MARGIN, size=12)]


def _folded(string: str, width: float, *, size: float = 11) -> list[str]:
    """Break a text into lines of about so many pixels."""
    return textwrap.wrap(string, max(8, int(width / (0.56 * size))), max_lines=12, placeholder=" …")


# Letters


def _write(
    axes: Axes, x: float, y: float, string: str, *, size: float, font: str = "regular", colour: str = INK,
    ha: str = "left", va: str = "center", rotation: float = 0,
) -> None:  # fmt: skip
    """Write a string exactly as it is: no mathtext, no TeX, and a "�" for what the font has not."""
    clean = _clean(string, font)
    if clean:
        axes.text(
            x, y, clean, color=colour, ha=ha, va=va, rotation=rotation, parse_math=False, usetex=False,
            fontproperties=_font(font, size), rotation_mode="default",
        )  # fmt: skip


@lru_cache
def _font(font: str, size: float) -> FontProperties:
    """A font of so many pixels: matplotlib's own file, the same on every machine."""
    return FontProperties(fname=_font_file(font), size=size * 72 / DPI)


def _font_file(font: str) -> str:
    """Where matplotlib keeps its own copy of a font."""
    return os.path.join(matplotlib.get_data_path(), "fonts", "ttf", FONTS[font])


@lru_cache
def _letters(font: str) -> frozenset[int]:
    """The characters that a font can draw."""
    return frozenset(get_font(_font_file(font)).get_charmap())


def _clean(string: str, font: str) -> str:
    """Put "�" for each character that the font can't draw, drop invisible joiners, and cut what no sheet could hold.

    >>> _clean("a\\u200d日\\n", "regular")
    'a��'
    """
    seen = re.sub("[\u00ad\u200b-\u200d\u2060\ufe00-\ufe0f\ufeff]", "", string[:200])
    return "".join(c if c.isprintable() and ord(c) in _letters(font) else "�" for c in seen)


@lru_cache(maxsize=4096)
def _width(string: str, size: float, font: str = "regular") -> float:
    """How many pixels wide a string is."""
    clean = _clean(string, font)
    if not clean:
        return 0.0
    return text_to_path.get_text_width_height_descent(clean, _font(font, size), ismath=False)[0] * DPI / 72


# Words for who can't see it


def _worded(text: str, title: str, description: str) -> str:
    """Give matplotlib's SVG a title and a description, and leave out what is about the file and not the picture."""
    root, picture = text[text.index("<svg ") :].split(">", 1)
    name = f"masklab-{crc32(title.encode('utf-8', 'replace')):08x}"
    root = root.replace("<svg ", f'<svg role="img" aria-labelledby="{name}-title {name}-desc" ', 1)
    title = f'<title id="{name}-title">{_escaped(title)}</title>'
    description = f'<desc id="{name}-desc">{_escaped(description)}</desc>'
    picture = re.sub(r"\s*<!--.*?-->", "", picture, flags=re.DOTALL)  # each text again, before its shapes
    picture = re.sub(r'(?<= d=")[^"]*', lambda match: _shorter(match[0]), picture)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{root}>\n {title}\n {description}{picture}'


def _shorter(path: str) -> str:
    """An SVG path in hundredths of a point: finer than any screen, and half the size.

    >>> _shorter("M 1.234567 2.5 \\nL 3 4.999 \\nz\\n")
    'M1.23 2.5L3 4.99z'
    """
    return re.sub(r"\s*([A-Za-z])\s*", r"\1", re.sub(r"(\.\d\d)\d+", r"\1", path)).strip()


def _escaped(string: str) -> str:
    """A string as XML text; what XML can't hold becomes "�"."""
    return html.escape("".join(c if c.isprintable() or c in " \n" else "�" for c in string), quote=False)


def _panel_alt(panel: Panel, *, sign: str) -> str:
    """One panel in words: sign, title, size, meaning, and how much of it is blocked."""
    cells = _blocked(panel)
    blocked = f" {int(cells.sum())} of {cells.size} cells are blocked." if cells.any() else ""
    return f"{sign} {panel.title}, {len(panel.rows)} × {len(panel.columns)}: {panel.meaning}{blocked}".strip()
