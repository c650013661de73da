"""A whole picture on one sheet: as a figure, a PNG or an SVG file."""

import io
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from PIL import Image

from masklab.figures import chips
from masklab.figures.cells import draw_block
from masklab.figures.layout import CAPTION_WIDTH, MARGIN, blocks, in_lines, placed
from masklab.figures.letters import DPI, folded, width, write
from masklab.figures.paint import PAPER
from masklab.figures.words import worded
from masklab.panels import Panel, Picture

_settings = threading.Lock()  # matplotlib's settings belong to all threads


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
    rows, words = chips.chip_lines(picture.sentences, picture.shown, width), _words(picture, width)
    step = chips.height(rows)
    top = MARGIN + (len(rows) * step + 10 if rows else 0)
    panels, bottom = placed(in_lines(blocks(picture.panels, captions=captions), width - 2 * MARGIN), top)
    figure = sheet(_right(panels, rows, words) + MARGIN, bottom + 20 * len(words) + MARGIN * bool(words or not panels))
    axes = figure.axes[0]
    for i, line in enumerate(rows):
        chips.draw_chips(axes, line, MARGIN + step * i)
    for block in panels:
        draw_block(axes, block)
    for i, line in enumerate(words):
        write(axes, MARGIN, bottom + 20 * i + 8, line, size=12)
    return figure


def png(picture: Picture | Sequence[Panel], *, width: int = 1000) -> bytes:
    """The picture as a PNG file, for a notebook that is read without a kernel.

    256 colours are plenty for it, and make a quarter of the size.

    >>> png([])[1:4]
    b'PNG'
    """
    canvas, buffer = FigureCanvasAgg(draw(picture, width=width)), io.BytesIO()
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
    return save(draw(picture, width=width, captions=captions), path, title=title, description=description)


def save(figure: Figure, path: str | os.PathLike | None = None, *, title: str, description: str) -> str:
    """A sheet as an SVG file, written when ``path`` is given; the same sheet gives the same bytes.

    >>> "<title" in save(sheet(10, 10), title="nothing", description="an empty sheet")
    True
    """
    buffer, quiet = io.StringIO(), dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with _settings, matplotlib.rc_context({"svg.hashsalt": "masklab", "svg.fonttype": "path", "svg.id": None}):
        FigureCanvasSVG(figure).print_svg(buffer, metadata=quiet)
    text = worded(buffer.getvalue(), title=title, description=description)
    if path is not None:
        Path(path).write_text(text, encoding="utf-8", newline="\n")
    return text


def sheet(wide: float, high: float) -> Figure:
    """An empty sheet of so many pixels, with one pair of axes; (0, 0) is its top left corner.

    >>> [float(end) for end in sheet(100, 50).axes[0].get_ylim()]
    [50.0, 0.0]
    """
    size = (np.ceil(wide) / DPI, np.ceil(high) / DPI)
    figure = Figure(figsize=size, dpi=DPI, facecolor=PAPER, layout="none")  # type: ignore[arg-type]  # "none" is right
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, np.ceil(wide)), ylim=(np.ceil(high), 0), autoscale_on=False)
    return figure


def _right(panels: Sequence, rows: Sequence[Sequence[chips.Chip]], words: Sequence[str]) -> float:
    """Where the widest thing on the sheet ends."""
    ends = [block.x + block.body for block in panels] + [chip.end for line in rows for chip in line]
    return max(ends + [MARGIN + width(line, 12) for line in words], default=CAPTION_WIDTH)


def _words(picture: Picture, pixels: float) -> list[str]:
    """The picture's own lines: what to notice, and what is wrong."""
    return [line for text in (picture.summary, picture.problem) for line in folded(text, pixels - 2 * MARGIN, size=12)]
