"""Does this machine have what the course needs? One line each, ✓ or ✗, and how to fix it.

Only what every kernel has is imported at the top: whatever else is missing becomes a line, not an error.
"""

import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from jupyter_core.paths import jupyter_path
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
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
    """Look at Python, the packages, and whether labs can be drawn and shown; say it, line by line.

    >>> print(machine()[:8])
    ✓ Python
    """
    lines = [*packages(), drawing(), widgets()]
    bad = sum(not line.good for line in lines)
    need = "needs" if bad == 1 else "need"
    end = f"{bad} of {len(lines)} {need} fixing." if bad else "Everything that the course needs is here."
    return "\n".join([*map(str, lines), end])


def packages(project: Path = PROJECT) -> Iterator[Line]:
    """Python and each package that a lesson imports, compared with what pyproject.toml asks for.

    The file is read, not what was once installed from it: an update of the course may ask for more.

    >>> [str(line) for line in packages(Path("no such file"))]
    ["✗ masklab is installed as a copy. In the course's folder, type 'pip install --no-deps -e .'"]
    """
    if not project.exists():
        yield Line(False, "masklab is installed as a copy", "In the course's folder, type 'pip install --no-deps -e .'")
        return
    asks = tomllib.loads(project.read_text("utf-8"))["project"]
    yield compared("Python", ".".join(map(str, sys.version_info[:3])), asks["requires-python"])
    for one in map(Requirement, asks["dependencies"]):
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


def drawing() -> Line:
    """Whether a lab's picture can be drawn, from the sentences to the pixels.

    >>> print(drawing())
    ✓ a lab can be drawn
    """
    try:
        from masklab import figures
        from masklab.labs import attention_padding as lab

        pixels = figures.png(lab.draw(lab.State()))
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
