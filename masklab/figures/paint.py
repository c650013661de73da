"""Colours: what each cell is filled with, and what is written on it."""

import matplotlib
import numpy as np

from masklab.panels import Panel

MAPS = {"signed": "PuOr", "unit": "cividis"}
PAPER = "#fcfcfd"
PLAIN, BLOCKED, HOLE = "#e3e9f0", "#f4f4f4", "#ffe8ee"  # a cell with no colour scale, a blocked one, one with no number
HATCH, WASH = "#b4b4b4", "#e6e6e8"  # light enough for black text on top: 10:1
BAR = "#3b6ea5"  # 4:1 on PLAIN


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
    numbers = values(panel)
    if panel.scale not in MAPS:
        rgb = np.tile(rgb_of(PLAIN), (*numbers.shape, 1))
    else:
        low, high = panel.limits
        rgb = matplotlib.colormaps[MAPS[panel.scale]](np.clip((numbers - low) / (high - low), 0, 1))[..., :3]
    rgb = np.where(_pads(panel)[..., None], 0.4 * rgb + 0.6 * rgb_of(WASH), rgb)
    rgb[blocked(panel)] = rgb_of(BLOCKED)
    rgb[np.isnan(numbers)] = rgb_of(HOLE)
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


def values(panel: Panel) -> np.ndarray:
    """The values as float64, whatever their type was. Shape: (rows, columns).

    >>> import torch
    >>> values(Panel(name="m", kind="mask", values=torch.tensor([[True]]), rows="a", columns="b", title="", meaning=""))
    array([[1.]])
    """
    return panel.values.detach().cpu().double().numpy()


def blocked(panel: Panel) -> np.ndarray:
    """Which cells are drawn as blocked: those that the panel names, and every −∞. Shape: (rows, columns) bool.

    >>> import torch
    >>> blocked(Panel(name="m", kind="mask", values=torch.tensor([[0, -torch.inf, torch.nan]]), rows="a", columns="bcd",
    ...               title="mask", meaning=""))
    array([[False,  True, False]])
    """
    named = False if panel.blocked is None else panel.blocked.cpu().numpy()
    return (named | np.isneginf(values(panel))) & ~np.isnan(values(panel))


def rgb_of(colour: str) -> np.ndarray:
    """Red, green and blue of "#rrggbb", from 0 to 1.

    >>> rgb_of("#ff0033").tolist()
    [1.0, 0.0, 0.2]
    """
    return np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def hexes(rgb: np.ndarray) -> np.ndarray:
    """Colours as "#rrggbb". Shape: (rows, columns, 3) → (rows, columns).

    >>> hexes(np.array([[[1.0, 0.0, 0.2]]])).tolist()
    [['#ff0033']]
    """
    whole = (rgb * 255).round().astype(int)
    return np.array([[f"#{r:02x}{g:02x}{b:02x}" for r, g, b in row] for row in whole]).reshape(rgb.shape[:2])


def _pads(panel: Panel) -> np.ndarray:
    """Which cells stand in a row or a column of padding. Shape: (rows, columns) bool."""
    rows = np.array(panel.row_pads or [False] * len(panel.rows), dtype=bool)
    columns = np.array(panel.column_pads or [False] * len(panel.columns), dtype=bool)
    return rows[:, None] | columns[None, :]
