"""Panels → the live view in a notebook: one widget, one JavaScript file, no build step."""

from masklab.view.matrix import MatrixView, serialize

__all__ = ["MatrixView", "serialize"]
