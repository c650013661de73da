"""Write the notebooks of the course: two from each source, both of them run.

    python notebooks/build.py                  write every notebook that has changed
    python notebooks/build.py 05               only those whose names start with 05
    python notebooks/build.py --check          list the notebooks that are out of date
    python notebooks/build.py --check --run    the same, and compare the outputs too

``notebooks/src/NN_name.md`` is a MyST notebook, and all that an author edits. It gives two notebooks:

- ``notebooks/NN_name.ipynb`` is the learner's. Its exercises are open, and it gives nothing away: it keeps no
  output but the pictures of the labs, so that a page without a kernel shows what a lab looks like.
- ``notebooks/solutions/NN_name.ipynb`` is solved, and keeps every output. A page without exercises has one, too:
  there it is what the page looks like once it was run.

In a code cell tagged ``exercise``, the lines between ``### BEGIN SOLUTION`` and ``### END SOLUTION`` are the solution.

``--check`` compares cells, order, types, tags, ids, text and metadata. It asks that every code cell of a solved
notebook was run, in order, and that a learner's notebook shows labs alone. It runs nothing: that the outputs are
right is proven by nbval, which runs every notebook again (``make test``). nbval compares the cells that have an
execution count: all cells of a solved notebook, the labs of a learner's. The others must only run.

``--run`` compares what nbval leaves out, too: the size of a lab's picture, and the words of a lab whose numbers come
from training. A picture whose colours alone have changed is not found. ``make test`` does this on another processor.
"""

import argparse
import base64
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import jupytext
import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from traitlets import default

HERE = Path(__file__).resolve().parent
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
SOLUTION = re.compile(rf"^(?P<indent>[ \t]*){BEGIN}[ \t]*\n(?P<lines>(?:.*\n)*?)[ \t]*{END}[ \t]*$", re.MULTILINE)
STUB = "...  # your code here"
NEGATIVE_ZERO = re.compile(r"-(0\.0*)(?!\d)")  # as in tests/notebooks/sanitize.cfg
WIDGET = "application/vnd.jupyter.widget-view+json"
LAB = {"masklab": "lab"}  # the metadata of an output that was a lab, when its live view is gone
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "pygments_lexer": "ipython3",
    },
}


class SourceError(Exception):
    """What an author has to fix, in one sentence that names the file and the cell."""


# --- from a source to a notebook that was not run yet ------------------------------------------------------


def read(source: Path) -> NotebookNode:
    """Read a lesson's source as a notebook with our metadata and ids that do not change from run to run."""
    notebook = jupytext.read(source, fmt="md:myst")
    for cell, name in zip(notebook.cells, ids([cell.cell_type + cell.source for cell in notebook.cells]), strict=True):
        cell.id = name
    notebook.metadata = nbformat.from_dict(METADATA)
    return notebook


def ids(texts: list[str]) -> list[str]:
    """Name each text by its content, so that a cell keeps its id when others come and go.

    >>> ids(["a", "b", "a"])
    ['ca978112', '3e23e816', 'ca978112-2']
    """
    names = [hashlib.sha256(text.encode()).hexdigest()[:8] for text in texts]
    repeats = [names[: i + 1].count(name) for i, name in enumerate(names)]
    return [name if n == 1 else f"{name}-{n}" for name, n in zip(names, repeats, strict=True)]


def prepare(source: Path, *, solved: bool) -> NotebookNode:
    """Make the learner's or the solved notebook of a source, not run.

    Raises SourceError for markers that don't match, and for code that ruff would format differently.
    """
    notebook = read(source)
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code":
            cell.source = cut(
                cell.source, exercise=is_exercise(cell), solved=solved, where=f"{source.name}, cell {number}"
            )
        elif solved:
            cell.source = one_folder_down(cell.source)
    require_format(notebook, name=source.name)
    return notebook


def is_exercise(cell: NotebookNode) -> bool:
    """Whether a cell is a code cell that a learner has to fill."""
    return cell.cell_type == "code" and "exercise" in cell.metadata.get("tags", [])


def cut(code: str, *, exercise: bool, solved: bool, where: str) -> str:
    """Open an exercise, or keep its solution and drop the two markers.

    Raises SourceError when the markers are not in pairs, or not in an exercise.

    >>> code = "def f():\\n    ### BEGIN SOLUTION\\n    return 1\\n    ### END SOLUTION"
    >>> print(cut(code, exercise=True, solved=False, where=""))
    def f():
        ...  # your code here
    """
    require_markers(code, exercise=exercise, where=where)
    return SOLUTION.sub(lambda at: at["lines"].removesuffix("\n") if solved else at["indent"] + STUB, code)


def require_markers(code: str, *, exercise: bool, where: str) -> None:
    """Raise SourceError unless an exercise has its markers in pairs, and any other cell has none."""
    markers = [line.strip() for line in code.splitlines() if line.strip() in (BEGIN, END)]
    if markers and not exercise:
        raise SourceError(f"{where}: '{markers[0]}' is in a cell that is not tagged 'exercise'.")
    if exercise and not markers:
        raise SourceError(f"{where}: the cell is tagged 'exercise' and has no '{BEGIN}' … '{END}'.")
    if markers != [BEGIN, END] * (len(markers) // 2):
        raise SourceError(f"{where}: write '{BEGIN}' and '{END}' in pairs, got {', '.join(markers)}.")


def one_folder_down(text: str) -> str:
    """Fix the links of a page that moves from notebooks/ to notebooks/solutions/.

    Only links to files (with an ending) move: ``f[i](x)`` in a formula is no link.

    >>> one_folder_down("![p](../figures/p.svg) [next](06_causal.ipynb#a) [site](https://a.b/c.d) [above](#a) f[i](x)")
    '![p](../../figures/p.svg) [next](../06_causal.ipynb#a) [site](https://a.b/c.d) [above](#a) f[i](x)'
    """
    return re.sub(r"""(\]\(|(?:src|href)=["'])(?![a-z]+:|[/#])(?=[^)\s"'#]*\.\w)""", r"\1../", text)


def require_format(notebook: NotebookNode, *, name: str) -> None:
    """Raise SourceError, with what ruff would write, if a code cell is not formatted."""
    named = ["--stdin-filename", str(HERE / "cells.ipynb")]
    command = [sys.executable, "-m", "ruff", "format", "--diff", "--quiet", *named, "-"]
    ran = subprocess.run(command, input=nbformat.writes(notebook), text=True, capture_output=True)
    if ran.returncode:
        hint = "(An open exercise needs a docstring above it, or ruff puts '...' on the line of its def.)"
        raise SourceError(f"{name}: ruff would format some code cells differently. {hint}\n{ran.stdout}{ran.stderr}")


# --- running, and keeping only what is the same on every machine ---------------------------------------------


class ThisPython(AsyncKernelManager):
    """Start the kernel of the Python that runs this script, whatever kernels the home folder holds."""

    @default("kernel_spec_manager")
    def _only_the_native_kernel(self):
        return KernelSpecManager(kernel_dirs=[])


def finished(notebook: NotebookNode, *, target: Path) -> NotebookNode:
    """Run a notebook where it belongs, and keep what is to be shipped: every output if it is solved, else the labs."""
    source = f"{target.stem}.md"
    ran = execute(notebook, folder=target.parent, name=source)
    return ran if is_solved(target) else without_spoilers(ran, name=source)


def execute(notebook: NotebookNode, *, folder: Path, name: str) -> NotebookNode:
    """Run a notebook from top to bottom in ``folder`` and keep its outputs, normalised.

    Raises SourceError for an exception in a cell not tagged ``raises-exception``.
    """
    notebook = nbformat.from_dict(notebook)  # a copy: the client writes outputs into what it runs
    client = NotebookClient(
        notebook,
        kernel_manager_class=ThisPython,
        timeout=300,
        resources={"metadata": {"path": str(folder)}},
        store_widget_state=False,
        record_timing=False,
    )
    try:
        client.execute(stderr=subprocess.DEVNULL)  # the kernel's own chatter, not the cells'
    except CellExecutionError as error:
        raise SourceError(f"{name}: a cell failed. {error}") from None
    return normalise(notebook)


def normalise(notebook: NotebookNode) -> NotebookNode:
    """Keep what a reader sees and what is the same in every run: no times, no widget models, no versions."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for count, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), start=1):
        cell.execution_count = count
        cell.metadata.pop("execution", None)
        cell.outputs = [clean(output, count) for output in merged(cell.outputs)]
    return notebook


def merged(outputs: list[NotebookNode]) -> Iterator[NotebookNode]:
    """Join neighbouring pieces of one stream: where they break depends on timing. Drop what only a kernel can show."""
    last = None
    for output in outputs:
        if set(output.get("data", {})) == {WIDGET}:
            continue
        if last is not None and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
            continue
        if last is not None:
            yield last
        last = output
    if last is not None:
        yield last


def clean(output: NotebookNode, count: int) -> NotebookNode:
    """Take from one output what belongs to this machine or this kernel; what was a lab is marked as one."""
    if output.get("data", {}).pop(WIDGET, None) and "image/png" in output.data:
        output.metadata.update(LAB)
    if output.output_type == "execute_result":
        output.execution_count = count
    if output.output_type == "error":  # the rest of a traceback is paths and line numbers of this machine
        output.traceback = [f"{output.ename}: {output.evalue}"]
    return output


def without_spoilers(notebook: NotebookNode, *, name: str) -> NotebookNode:
    """Drop what a learner is to find out: every output but the labs' pictures, and the counts of cells with none.

    Raises SourceError for a cell that shows a lab and something else: nbval would miss the something.
    """
    for count, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), start=1):
        labs = [output for output in cell.outputs if is_lab(output)]
        if labs and labs != cell.outputs:
            raise SourceError(f"{name}, code cell {count}: a lab and another output; give the lab a cell of its own.")
        cell.outputs, cell.execution_count = labs, count if labs else None
    return notebook


def is_lab(output: NotebookNode) -> bool:
    """Whether a stored output is the picture of a lab. Other widgets and figures are not."""
    return output.get("metadata", {}).items() >= LAB.items()


# --- comparing -------------------------------------------------------------------------------------------------


def without_outputs(notebook: NotebookNode) -> NotebookNode:
    """A copy of a notebook as if it had not been run."""
    bare = nbformat.from_dict(notebook)
    for cell in bare.cells:
        if cell.cell_type == "code":
            cell.execution_count, cell.outputs = None, []
    return bare


def comparable(notebook: NotebookNode) -> NotebookNode:
    """A copy without what differs from machine to machine, or from training to training.

    That is the pixels, the sign of a rounded zero, and outputs tagged ``nbval-ignore-output``; of a lab tagged so
    the words are kept, and of any other lab the size of its picture.
    """
    masked = nbformat.from_dict(notebook)
    for cell in (cell for cell in masked.cells if cell.cell_type == "code"):
        trained = "nbval-ignore-output" in cell.metadata.get("tags", [])
        if trained:
            cell.outputs = list(filter(is_lab, cell.outputs))
        for output in cell.outputs:
            data = output.get("data", {})
            if "image/png" in data:
                data["image/png"] = size(data["image/png"]) if is_lab(output) and not trained else "a picture"
            for place in (output, data):
                for kind in {"text", "text/plain"} & set(place):
                    place[kind] = words(place[kind]) if trained else NEGATIVE_ZERO.sub(r"\1", place[kind])
    return masked


def size(png: str) -> str:
    """The size of a picture, in words. Pixels differ from machine to machine, layouts don't.

    >>> size("iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAYAAAA=")
    'a picture of 2 × 3'
    """
    width, height = (int.from_bytes(base64.b64decode(png)[at : at + 4], "big") for at in (16, 20))
    return f"a picture of {width} × {height}"


def words(twin: str) -> str:
    """The words of a lab's text: its titles, labels and sentences without the numbers, and of bars only the title.

    >>> words("loss: What it costs.\\n     ate   fish\\nall  0.25  −1.50")
    'loss: What it costs.\\n ate fish\\nall # #'
    >>> words("next word: Its best guesses.\\n           p\\nfish  ▮▮  0.55✓")
    'next word: Its best guesses.\\n p'
    """
    panels = [panel.split("\n") for panel in re.sub(r"[-−]?\d+(\.\d+)?", "#", twin).split("\n\n")]
    kept = [lines[:2] if "▮" in "".join(lines) else lines for lines in panels]  # the best guesses may be others
    return re.sub(" +", " ", "\n\n".join(map("\n".join, kept)))


def difference(stored: NotebookNode, expected: NotebookNode) -> str | None:
    """Say where two notebooks differ first, or None."""
    if len(stored.cells) != len(expected.cells):
        return f"it has {len(stored.cells)} cells, its source has {len(expected.cells)}"
    for number, (have, want) in enumerate(zip(stored.cells, expected.cells, strict=True), start=1):
        for part in sorted({*have, *want} - {"id"}) + ["id"]:  # an id follows from the text: say that first
            if have.get(part) != want.get(part):
                shown = changed(have.outputs, want.outputs) if part == "outputs" else ""
                return f"cell {number} differs in its {part.replace('_', ' ')}{shown}"
    return None if stored == expected else "its metadata differs"


def changed(stored: list[NotebookNode], now: list[NotebookNode]) -> str:
    """Say which line of a cell's outputs is the first that has changed."""
    old, new = (
        [line for output in outputs for part in (output, output.get("data", {})) for _, text in sorted(part.items())
         if isinstance(text, str) for line in text.split("\n")]
        for outputs in (stored, now)
    )  # fmt: skip
    lines = next(((a, b) for a, b in zip_longest(old, new, fillvalue="") if a != b), None)
    return f": it has {lines[0]!r}, but now it is {lines[1]!r}" if lines else ""


def not_run(notebook: NotebookNode) -> str | None:
    """Say which code cell was not run in its turn, or None. nbval compares nothing in a cell that was not run."""
    for count, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), start=1):
        if cell.execution_count != count:
            return f"code cell {count} was not run in its turn (its count is {cell.execution_count})"
    return None


def spoiler(notebook: NotebookNode) -> str | None:
    """Say which code cell of a learner's notebook shows more, or other, than the lab that it ran; or None."""
    for count, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), start=1):
        if not all(map(is_lab, cell.outputs)):
            return f"code cell {count} has an output that is not the picture of a lab"
        if cell.execution_count != (count if cell.outputs else None):
            return f"code cell {count} must have a count only if it shows a lab, got {cell.execution_count}"
    return None


def check(target: Path, expected: NotebookNode, *, run: bool) -> str | None:
    """Say in one sentence why a stored notebook is out of date, or None."""
    if not target.exists():
        return f"{name_of(target)} is missing."
    stored = nbformat.read(target, as_version=4)
    problem = (not_run if is_solved(target) else spoiler)(stored) or difference(without_outputs(stored), expected)
    if run and not problem:
        problem = difference(comparable(stored), comparable(finished(expected, target=target)))
    return f"{name_of(target)} is out of date: {problem}." if problem else None


# --- all lessons -----------------------------------------------------------------------------------------------


def all_sources() -> list[Path]:
    """List the sources, last lesson first: the start page reads the notebooks of the lessons, so it comes last."""
    return sorted((HERE / "src").glob("*.md"), reverse=True)


def chosen(names: list[str], every: list[Path]) -> list[Path]:
    """Choose the sources whose names start with one of these; all of them when no name is given.

    Raises SourceError when there is none.

    >>> [path.name for path in chosen(["05"], [Path("src/05_a.md"), Path("src/00_b.md")])]
    ['05_a.md']
    """
    found = [source for source in every if source.name.startswith(tuple(names) or "")]
    if not found:
        there_are = ", ".join(sorted(source.stem for source in every))
        raise SourceError(f"No source's name starts with {' or '.join(names)}. The sources are: {there_are}.")
    return found


def targets(source: Path, *, out: Path) -> Iterator[tuple[Path, NotebookNode]]:
    """Yield the two notebooks that a source gives, not run, and where they belong under ``out``."""
    name = f"{source.stem}.ipynb"
    yield out / name, prepare(source, solved=False)
    yield out / "solutions" / name, prepare(source, solved=True)


def is_solved(target: Path) -> bool:
    """Whether a notebook is a solved one, by its folder."""
    return target.parent.name == "solutions"


def name_of(target: Path) -> str:
    """A notebook's folder and name, for messages."""
    return f"{target.parent.name}/{target.name}"


def orphans(sources: list[Path], *, out: Path) -> list[Path]:
    """List the notebooks that no source gives."""
    wanted = {target for source in sources for target, _ in targets(source, out=out)}
    return sorted({*out.glob("*.ipynb"), *out.glob("solutions/*.ipynb")} - wanted)


def write(target: Path, notebook: NotebookNode) -> bool:
    """Write a notebook if that changes the file, and say whether it did."""
    text = nbformat.writes(notebook) + "\n"
    if target.exists() and target.read_text(encoding="utf-8") == text:
        return False
    target.parent.mkdir(exist_ok=True)
    target.write_text(text, encoding="utf-8")
    return True


def build(sources: list[Path], *, out: Path = HERE) -> None:
    """Write and run the notebooks of some sources, and say what was done."""
    for source in sources:
        for target, notebook in targets(source, out=out):
            print(f"{name_of(target)}: running … ", end="", flush=True)
            target.parent.mkdir(exist_ok=True)
            print("written" if write(target, finished(notebook, target=target)) else "unchanged")


def problems(sources: list[Path], *, out: Path = HERE, run: bool = False) -> list[str]:
    """List, a sentence each, the stored notebooks that are out of date."""
    found = [check(target, expected, run=run) for source in sources for target, expected in targets(source, out=out)]
    return [problem for problem in found if problem]


def main(arguments: list[str] | None = None) -> int:
    """Build or check, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="only sources whose names start with this (all by default)")
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    parser.add_argument("--run", action="store_true", help="with --check: run them, and compare the outputs too")
    options = parser.parse_args(arguments)
    os.environ.pop("MPLBACKEND", None)  # figures go into the notebook, whatever this shell says
    every = all_sources()
    try:
        sources = chosen(options.names, every)
        if not options.check:
            build(sources)
            return 0
        found = problems(sources, run=options.run)
        found += [f"{name_of(lost)} has no source in notebooks/src." for lost in orphans(every, out=HERE)]
    except SourceError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join([*found, "Run 'make notebooks'."] if found else ["Every notebook is up to date."]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
