"""Letters: how wide a text is, and how it is written exactly as it is."""

import os
import re
import textwrap
from functools import lru_cache

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties, get_font
from matplotlib.path import Path
from matplotlib.textpath import text_to_path

from masklab.panels import clean, one_line

DPI = 96  # so that one unit of the sheet is one CSS pixel, in PNG and in SVG
INK, GREY = "#000000", "#5c6068"
FONTS = {"regular": "DejaVuSans.ttf", "bold": "DejaVuSans-Bold.ttf", "italic": "DejaVuSans-Oblique.ttf"}


def write(
    axes: Axes, x: float, y: float, string: str, *, size: float, font: str = "regular", colour: str = INK,
    ha: str = "left", va: str = "center", rotation: float = 0,
) -> None:  # fmt: skip
    """Write a string at a point: no mathtext, no TeX, and a "�" for what the font doesn't have.

    >>> from matplotlib.figure import Figure
    >>> axes = Figure().add_axes((0, 0, 1, 1))
    >>> write(axes, 0, 0, "$x$", size=11)
    >>> axes.texts[0].get_text()
    '$x$'
    """
    seen = drawable(string, font)
    if seen:
        axes.text(
            x, y, seen, color=colour, ha=ha, va=va, rotation=rotation, parse_math=False, usetex=False,
            fontproperties=_font(font, size), rotation_mode="default",
        )  # fmt: skip


def drawable(string: str, font: str = "regular") -> str:
    """A string as far as the font can draw it: `clean`, "�" for a missing character, no invisible joiners, not endless.

    >>> drawable("a\\u200d日\\n")
    'a��'
    """
    seen = re.sub("[\u00ad\u200b-\u200d\u2060\ufe00-\ufe0f\ufeff]", "", clean(string[:200]))
    return "".join(c if c.isprintable() and ord(c) in letters(font) else "�" for c in seen)


@lru_cache(maxsize=4096)
def width(string: str, size: float, font: str = "regular") -> float:
    """How many pixels wide a string is.

    >>> width("mm", 10) == 2 * width("m", 10) > width("ii", 10) > width("", 10) == 0
    True
    """
    seen = drawable(string, font)
    if not seen:
        return 0.0
    return text_to_path.get_text_width_height_descent(seen, _font(font, size), ismath=False)[0] * DPI / 72


def folded(string: str, pixels: float, *, size: float = 11) -> list[str]:
    """Break a text into lines of about so many pixels.

    >>> folded("one number a word", 60)
    ['one', 'number a', 'word']
    """
    return textwrap.wrap(one_line(string), max(8, int(pixels / (0.56 * size))), max_lines=12, placeholder=" …")


def shape(string: str, size: float, middle: tuple[float, float]) -> Path:
    """A string as a shape around a point.

    >>> left, right = shape("0.50", 10, (100, 20)).get_extents().intervalx
    >>> bool(left < 100 < right)
    True
    """
    vertices, codes = _outline(string)
    return Path(vertices * size + middle, codes)


@lru_cache
def letters(font: str) -> frozenset[int]:
    """The characters that a font can draw.

    >>> ord("√") in letters("bold"), ord("日") in letters("bold")
    (True, False)
    """
    return frozenset(get_font(_font_file(font)).get_charmap())


@lru_cache(maxsize=4096)
def _outline(string: str) -> tuple[np.ndarray, np.ndarray]:
    """A string as a shape one pixel high, centred on (0, 0), y downwards."""
    vertices, codes = text_to_path.get_text_path(_font("regular", 1), drawable(string))
    vertices = np.array(vertices) / text_to_path.FONT_SCALE
    return (vertices - (width(string, 100) / 200, 0.36)) * (1, -1), codes


@lru_cache
def _font(font: str, size: float) -> FontProperties:
    """A font of so many pixels: matplotlib's own file, the same on every machine."""
    return FontProperties(fname=_font_file(font), size=size * 72 / DPI)


def _font_file(font: str) -> str:
    """Where matplotlib keeps its own copy of a font."""
    return os.path.join(matplotlib.get_data_path(), "fonts", "ttf", FONTS[font])
