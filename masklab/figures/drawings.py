"""A lesson's pictures: each a row of panels with a name and a point, written as SVG files with their alt texts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from masklab.figures.diagrams import Diagram
from masklab.figures.sheet import svg
from masklab.figures.words import alt
from masklab.panels import Panel


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One picture: the name of its file, what it is called, what it shows, and its panels."""

    name: str
    title: str
    point: str
    panels: Sequence[Panel]

    @property
    def description(self) -> str:
        """All of it in words: the point, then each panel."""
        return f"{self.point} {alt(self.panels)}"

    def save(self, path: Path) -> None:
        """Write it as an SVG file."""
        svg(self.panels, path, title=self.title, description=self.description)


def write(drawings: Iterable[Drawing | Diagram], folder: Path, *, module: str) -> None:
    """Write each picture as ``<module>_<name>.svg``, and print the alt text to use in Markdown.

    >>> write([], Path("."), module="attention_padding")
    """
    for drawing in drawings:
        path = folder / f"{module}_{drawing.name}.svg"
        drawing.save(path)
        print(f"![{drawing.title}. {drawing.description}]({path.name})\n")


def transposed(panel: Panel) -> Panel:
    """The panel with its rows as columns.

    >>> import torch
    >>> k = Panel(name="K", kind="vector", values=torch.zeros(3, 2), rows="abc", columns="01", title="K", meaning="")
    >>> transposed(k).title, tuple(transposed(k).values.shape)
    ('Kᵀ', (2, 3))
    """
    return replace(
        panel,
        values=panel.values.T,
        rows=panel.columns,
        columns=panel.rows,
        row_pads=panel.column_pads,
        column_pads=panel.row_pads,
        axes=panel.axes[::-1],
        title=f"{panel.title}ᵀ",
    )
