"""How long each notebook of the course takes from its kernel's start to its end."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import nbformat

from notebooks.build import execute

FOLDER = Path(__file__).parents[2] / "notebooks"


def measure(times: int, say: Callable[[str], None]) -> dict[str, float]:
    """Median seconds for each notebook, its files left as they are."""
    os.environ.pop("MPLBACKEND", None)
    paths = [*sorted(FOLDER.glob("*.ipynb")), *sorted(FOLDER.glob("solutions/*.ipynb"))]
    results = {}
    for path in paths:
        name = path.relative_to(FOLDER).as_posix()
        say(f"running {name}")
        results[name] = median(seconds(path) for _ in range(times))
    return results


def seconds(path: Path) -> float:
    """How long one run takes."""
    notebook = nbformat.read(path, as_version=4)
    start = time.perf_counter()
    execute(notebook, folder=path.parent, name=path.name)
    return time.perf_counter() - start
