"""Checks of the exercises, one module a lesson, and predictions: what a function does is judged, not its form."""
