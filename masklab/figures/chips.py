"""Sentences as rows of chips."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from masklab.figures.cells import look
from masklab.figures.layout import MARGIN
from masklab.figures.letters import GREY, INK, width, write
from masklab.figures.paint import WASH
from masklab.panels import PRESSED, Sentence, label

STEP, BELOW = 28, 13  # from one line of chips to the next, and what a line below the chips adds


@dataclass(frozen=True, kw_only=True)
class Chip:
    """One box or piece of text in a line of chips; ``style`` is "word", "pad", "on", "plain" or "grey"."""

    x: float
    width: float
    text: str
    style: str = "plain"
    below: str = ""

    @property
    def end(self) -> float:
        """Where it ends, in pixels from the left."""
        return self.x + self.width


def chip_lines(sentences: Sequence[Sentence], shown: int, pixels: float) -> list[list[Chip]]:
    """A line of chips a sentence, its pointer before it and its note after it, cut where the sheet ends.

    >>> [[chip.text for chip in line] for line in chip_lines([Sentence(tokens=["cat"], pads=[False])], 0, 900)]
    [['', 'cat', '']]
    """
    several = len(sentences) > 1
    return [_chips(s, "▸" if several and i == shown else "", pixels) for i, s in enumerate(sentences)]


def height(lines: Sequence[Sequence[Chip]]) -> float:
    """How high one line of chips is.

    >>> height([]), height([[Chip(x=0, width=9, text="cat", below="2")]])
    (28, 41)
    """
    return STEP + BELOW * any(chip.below for line in lines for chip in line)


def draw_chips(axes: Axes, line: Sequence[Chip], y: float) -> None:
    """Draw a sentence as a row of boxes: those of pads grey, italic and dashed, those that are on with a sign.

    >>> from matplotlib.figure import Figure
    >>> axes = Figure().add_axes((0, 0, 1, 1))
    >>> draw_chips(axes, [Chip(x=0, width=40, text="cat", style="on", below="2")], 0)
    >>> [text.get_text() for text in axes.texts]
    ['● cat', '2']
    """
    for chip in line:
        middle, boxed = chip.x + chip.width / 2, chip.style in ("word", "pad", "on")
        if boxed:
            axes.add_artist(FancyBboxPatch((chip.x + 3, y + 3), chip.width - 6, 16, **_box(chip.style)))
        how = look(chip.style == "pad", 11) if boxed else {"size": 11, "colour": GREY if chip.style == "grey" else INK}
        write(axes, middle, y + 11, _text(chip.text, chip.style == "on"), ha="center", **how)
        write(axes, middle, y + 11 + STEP - 8, chip.below, ha="center", size=9, colour=GREY)


def _chips(sentence: Sentence, arrow: str, pixels: float) -> list[Chip]:
    """One line of chips."""
    note = width(sentence.note, 11)
    line, x = [Chip(x=MARGIN, width=10, text=arrow)], MARGIN + 18
    for i, (token, pad) in enumerate(zip(sentence.tokens, sentence.pads, strict=True)):
        on = bool(sentence.pressed and sentence.pressed[i])
        below = label(sentence.below[i]) if sentence.below else ""
        wide = max(width(_text(label(token), on), 11), width(below, 9), 8) + 14
        if x + wide + note + 40 > pixels - MARGIN:
            line.append(Chip(x=x, width=14, text="…"))
            x += 20
            break
        line.append(
            Chip(x=x, width=wide, text=label(token), style="on" if on else "pad" if pad else "word", below=below)
        )
        x += wide + 4
    return [*line, Chip(x=x + 8, width=note, text=sentence.note, style="grey")]


def _text(word: str, on: bool) -> str:
    """A chip's word, with the sign of a chip that is on."""
    return f"{PRESSED} {word}" if on else word


def _box(style: str) -> dict:
    """How the box of a chip looks."""
    face = {"facecolor": WASH, "linestyle": "--"} if style == "pad" else {"facecolor": "#ffffff"}
    edge = {"edgecolor": INK, "linewidth": 1.6} if style == "on" else {"edgecolor": "#9aa0a8"}
    return {"boxstyle": "round,pad=3"} | face | edge
