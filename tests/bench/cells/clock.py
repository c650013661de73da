"""Runs before the lab's cell: notes when the kernel starts and ends each step of an answer."""

import time

from masklab.labs import attention_padding
from masklab.labs.lab import Lab
from masklab.view import matrix

steps = []  # [name, start, end], in seconds since 1970


def timed(name, function):
    """The same function, its times noted."""

    def run(*arguments, **options):
        start = time.time()
        try:
            return function(*arguments, **options)
        finally:
            steps.append([name, start, time.time()])

    return run


def taken() -> list:
    """What was noted since the last call."""
    noted = steps[:]
    steps.clear()
    return noted


Lab._update = timed("update", Lab._update)
attention_padding.draw = timed("draw", attention_padding.draw)
matrix.serialize = timed("serialize", matrix.serialize)
