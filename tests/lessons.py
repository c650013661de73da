"""What there is for each lesson, found by its name: its source, what its cells define, its lab."""

import io
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

import jupytext
import torch

import masklab.labs

# By the name that everything of a lesson has in its own: attention_padding → …/05_attention_padding.md
SOURCES = {
    path.stem.partition("_")[2]: path for path in sorted(Path(__file__).parents[1].glob("notebooks/src/[0-9]*.md"))
}


def cells(lesson: str, *starts: str) -> dict:
    """Run the code cells of a lesson that contain one of these strings, in the lesson's order; return all their names.

    An exercise's cell runs as it is solved. Raises LookupError for a string that no cell contains.
    What they print is dropped; torch's random numbers, print options and threads stay as they are.

    >>> cells("attention_padding", "is_word = torch.arange", "sequences = [")["is_word"].shape
    torch.Size([3, 5])
    """
    every = codes(lesson)
    for start in starts:
        if not any(start in code for code in every):
            raise LookupError(f"no code cell of {SOURCES[lesson].name} contains {start!r}")
    names: dict = {"__name__": lesson}
    threads = torch.get_num_threads()
    try:
        with torch.random.fork_rng(), redirect_stdout(io.StringIO()):
            for code in every:
                if any(start in code for start in starts):
                    exec(compile(code, SOURCES[lesson].name, "exec"), names)
    finally:
        torch.set_printoptions(profile="default")
        torch.set_num_threads(threads)
    return names


def labs() -> dict[str, ModuleType]:
    """Every lesson's lab by the name of its module."""
    modules = {name: import_module(f"masklab.labs.{name}") for _, name, _ in iter_modules(masklab.labs.__path__)}
    return {name: module for name, module in modules.items() if hasattr(module, "draw")}


def codes(lesson: str) -> list[str]:
    """The code cells of a lesson, as they are written in its source.

    >>> codes("attention_padding")[0].splitlines()[0]
    'from masklab.check.question import question'
    """
    return [cell.source for cell in jupytext.read(SOURCES[lesson], fmt="md:myst").cells if cell.cell_type == "code"]
