"""Does this machine have what the course needs? One line each, ✓ or ✗, and how to fix it."""

import math
import os
import platform
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch
from jupyter_core.paths import jupyter_path
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from masklab import figures
from masklab.labs import attention_padding

AGAIN = "Make the environment again: delete the folder .venv and type 'make lab' (conda: see the README)."
WIDGETS = ("@jupyter-widgets/jupyterlab-manager", "anywidget")  # what JupyterLab's page needs to show a lab


@dataclass(frozen=True)
class Line:
    """One thing that was looked at: whether it is as it should be, what it is, and what to do if not."""

    good: bool
    what: str
    fix: str = AGAIN

    def __str__(self) -> str:
        """The line as a learner reads it."""
        return f"✓ {self.what}" if self.good else f"✗ {self.what}. {self.fix}"


def machine() -> str:
    """Look at Python, the packages, memory, threads, and whether labs can be drawn and shown; say it, line by line.

    >>> print(machine()[:8])
    ✓ Python
    """
    lines = [*packages(), memory(_allowed()), threads(torch.get_num_threads(), _cores()), drawing(), widgets()]
    bad = sum(not line.good for line in lines)
    end = f"{bad} of {len(lines)} need fixing." if bad else "Everything that the course needs is here."
    return "\n".join([*map(str, lines), end])


def packages(name: str = "masklab") -> Iterator[Line]:
    """Python and each package that a lesson imports, compared with what pyproject.toml asks for.

    >>> [str(line) for line in packages("no-such-package")]
    ["✗ no-such-package is not installed. In the course's folder, type 'pip install --no-deps -e .'"]
    """
    try:
        asks, python = metadata.requires(name) or [], metadata.metadata(name)["Requires-Python"] or ""
    except metadata.PackageNotFoundError:
        yield Line(False, f"{name} is not installed", "In the course's folder, type 'pip install --no-deps -e .'")
        return
    yield compared("Python", platform.python_version(), python)
    for one in sorted(map(Requirement, asks), key=lambda one: one.name):
        if one.marker is None or one.marker.evaluate({"extra": ""}):
            yield compared(one.name, _installed(one.name), str(one.specifier))


def compared(name: str, have: str, asked: str) -> Line:
    """A version, compared with the ones that are asked for; "" is a package that is not there.

    >>> print(compared("torch", "2.13.0+cpu", "==2.13.0"))
    ✓ torch 2.13.0+cpu
    >>> compared("torch", "2.12.1", "==2.13.0").what, compared("torch", "", "==2.13.0").what
    ('torch 2.12.1: the course needs ==2.13.0', 'torch is not installed: the course needs ==2.13.0')
    """
    if have and SpecifierSet(asked).contains(have, prereleases=True):
        return Line(True, f"{name} {have}")
    return Line(False, f"{name} {have or 'is not installed'}: the course needs {asked}")


def _installed(name: str) -> str:
    """The version of a package, or "" if it is not there."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def memory(most: float) -> Line:
    """Whether this many bytes are enough.

    >>> print(memory(8.2e9))
    ✓ memory: 8.2 GB
    """
    have = "nobody says how much" if math.isinf(most) else f"{most / 1e9:.1f} GB"
    return Line(most >= 1e9, f"memory: {have}", "The lessons need 1 GB: close other notebooks and programs.")


def _allowed() -> float:
    """How many bytes this machine has, or its container allows; infinity where nobody says."""
    found = [math.inf]
    with suppress(AttributeError, OSError, ValueError):  # Windows has no sysconf
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError):  # no container, or one that says "max"
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(found)


def threads(count: int, most: int) -> Line:
    """Whether torch has no more threads than there are processors: the others would only be waited for.

    >>> print(threads(2, 4)), threads(8, 2).good
    ✓ threads: torch computes with 2
    (None, False)
    """
    fix = f"Type 'torch.set_num_threads({most})' in a cell, or set OMP_NUM_THREADS={most} before you start Jupyter."
    what = f"threads: torch computes with {count}" + (f", on {most} processors" if count > most else "")
    return Line(count <= most, what, fix)


def _cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def drawing() -> Line:
    """Whether a lab's picture can be drawn, from the sentences to the pixels.

    >>> print(drawing())
    ✓ a lab can be drawn
    """
    try:
        pixels = figures.png(attention_padding.draw(attention_padding.State()))
    except Exception as error:  # whatever it is, it belongs in a sentence
        return Line(False, f"a lab could not be drawn ({type(error).__name__}: {error})")
    return Line(pixels.startswith(b"\x89PNG"), "a lab can be drawn")


def widgets() -> Line:
    """Whether this environment has the parts of JupyterLab's page that show a lab.

    >>> print(widgets())
    ✓ JupyterLab can show a lab
    """
    folders = [Path(folder) for folder in jupyter_path("labextensions")]
    missing = [name for name in WIDGETS if not any((folder / name).is_dir() for folder in folders)]
    return Line(not missing, f"the page lacks {', '.join(missing)}" if missing else "JupyterLab can show a lab")
