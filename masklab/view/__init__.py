"""Panels → the live view in a notebook: one widget, a page of small modules, no build step."""

from masklab.view.matrix import MatrixView, serialize

__all__ = ["MatrixView", "serialize"]
