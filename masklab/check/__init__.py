"""Checks of the exercises, one module a lesson: they judge what a function does, not how it is written."""
