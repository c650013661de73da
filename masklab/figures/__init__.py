"""Panels → still pictures, for pages, slides and print: the layout is the formula.

The values come with the panel; nothing is computed here but colours and places.
Everything is placed in pixels from the top left corner, on one plain sheet.
No pyplot: its global state gets mixed up when a widget's callback draws on
another thread.
"""

from masklab.figures.layout import Block
from masklab.figures.paint import colours, inks, luminance
from masklab.figures.sheet import draw, png, svg
from masklab.figures.words import alt
from masklab.panels import WRITTEN

__all__ = ["WRITTEN", "Block", "alt", "colours", "draw", "inks", "luminance", "png", "svg"]
