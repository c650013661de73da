"""Boxes, arrows and words at places that a script chooses: a picture of who reads what, where no number matters."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from masklab.figures.letters import GREY, INK, write
from masklab.figures.paint import WASH
from masklab.figures.sheet import save, sheet
from masklab.panels import Panel

HEIGHT = 24  # of a box
# A box is "given", "made" (the model's own words), "part" (of a model) or a "pad", which is grey and dashed;
# an arrow "reads", "says" or is a "leak".
FACES = {"given": "#ffffff", "made": "#dbe7f5", "part": "#e3e9f0", "pad": WASH}
ARROWS: dict[str, dict[str, Any]] = {
    "reads": {"color": "#8b93a0", "linewidth": 0.9, "arrowstyle": "-"},
    "says": {"color": INK, "linewidth": 1.1, "arrowstyle": "-|>", "mutation_scale": 9},
    "leak": {"color": "#c2410c", "linewidth": 2.2, "arrowstyle": "-|>", "mutation_scale": 14, "linestyle": (0, (4, 2))},
}


@dataclass(frozen=True, kw_only=True)
class Box:
    """A box around a text; ``x``, ``y`` is its middle."""

    x: float
    y: float
    text: str = ""
    width: float = 60
    style: str = "given"

    def draw(self, axes: Axes) -> None:
        """Draw it above all arrows; what a model made has bold letters, too."""
        corner, shape = (self.x - self.width / 2 + 3, self.y - HEIGHT / 2 + 3), "round,pad=3,rounding_size=4"
        look: dict[str, Any] = {"facecolor": FACES[self.style], "edgecolor": "#9aa0a8", "linewidth": 1.0, "zorder": 2}
        look |= {"linestyle": "--"} if self.style == "pad" else {}
        axes.add_artist(FancyBboxPatch(corner, self.width - 6, HEIGHT - 6, boxstyle=shape, **look))
        font = "bold" if self.style == "made" else "regular"
        colour = GREY if self.style == "pad" else INK
        write(axes, self.x, self.y, self.text, size=11, font=font, colour=colour, ha="center")


@dataclass(frozen=True, kw_only=True)
class Arrow:
    """An arrow from a point to a point; one that "reads" is a plain line, a "leak" is dashed."""

    start: tuple[float, float]
    end: tuple[float, float]
    style: str = "reads"

    def draw(self, axes: Axes) -> None:
        """Draw it below all boxes."""
        look = ARROWS[self.style] | {"zorder": 1}
        axes.add_artist(FancyArrowPatch(self.start, self.end, shrinkA=0, shrinkB=0, **look))


@dataclass(frozen=True, kw_only=True)
class Note:
    """A text without a box; ``x``, ``y`` is the middle of its left end, or of its middle with ``centred``."""

    x: float
    y: float
    text: str
    centred: bool = False
    grey: bool = True

    def draw(self, axes: Axes) -> None:
        """Write it."""
        colour, ha = GREY if self.grey else INK, "center" if self.centred else "left"
        write(axes, self.x, self.y, self.text, size=12, colour=colour, ha=ha)


@dataclass(frozen=True, kw_only=True)
class Diagram:
    """One picture: the name of its file, what it is called, what it says in words, its size, and its parts.

    >>> one = Diagram(name="one", title="One box", point="A box.", size=(100, 40), parts=[Box(x=50, y=20, text="cat")])
    >>> one.description, [text.get_text() for text in one.draw().axes[0].texts]
    ('A box.', ['cat'])
    """

    name: str
    title: str
    point: str
    size: tuple[float, float]
    parts: Sequence[Box | Arrow | Note]
    panels: ClassVar[Sequence[Panel]] = ()  # so that a lesson's pictures are all looked at in one way

    @property
    def description(self) -> str:
        """All of it in words."""
        return self.point

    def draw(self) -> Figure:
        """Draw all parts on a sheet."""
        figure = sheet(*self.size)
        for part in self.parts:
            part.draw(figure.axes[0])
        return figure

    def save(self, path: Path) -> None:
        """Write it as an SVG file."""
        save(self.draw(), path, title=self.title, description=self.description)
