"""Panels → the live view in a notebook: one widget, one JavaScript file, no build step."""

from masklab.view.matrix import MatrixView, wire

__all__ = ["MatrixView", "wire"]
