"""A bar under a notebook's cell while something takes long; what stays afterwards is the same in every run."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
EVERY = 0.1  # seconds between two updates of the bar


def progress_bar(items: Sequence[Item], *, label: str) -> Iterator[Item]:
    """Go through the items; in a notebook, a bar under the cell shows how many are done.

    It begins and ends as the line "label: n". No time is in it, so a stored output can be compared with another run.
    Outside a notebook nothing is shown.

    >>> list(progress_bar("abc", label="letters"))
    ['a', 'b', 'c']
    """
    line = f"{label}: {len(items)}"
    shown, drawn = _shown(line), time.monotonic()
    for done, item in enumerate(items):
        if shown and time.monotonic() - drawn >= EVERY:
            shown.update(_frame(line, bar=f'<progress value="{done}" max="{len(items)}"></progress> '), raw=True)
            drawn = time.monotonic()
        yield item
    if shown:
        shown.update(_frame(line), raw=True)


def _frame(line: str, *, bar: str = "") -> dict[str, str]:
    """The line with its bar for a page, and without for a place that shows no HTML."""
    return {"text/plain": line, "text/html": f"<label>{bar}{line}</label>"}


def _shown(line: str):
    """The handle of an output under the cell, or None outside a notebook."""
    ipython = sys.modules.get("IPython")  # a notebook's kernel has imported it
    shell = ipython.get_ipython() if ipython else None
    if not hasattr(shell, "kernel"):
        return None
    from IPython.display import display  # only a notebook needs it

    return display(_frame(line), raw=True, display_id=True)
