"""Where am I? The exercises solved in each lesson, read from the notebooks as they were last saved.

Nothing else is stored: an exercise is solved when the output of its cell says so.
"""

import json
from dataclasses import dataclass
from html import escape
from pathlib import Path

SIGNS = {"✓": "solved", "✗": "not right yet", "○": "open"}  # the signs that the checks print
SAVE = "This is read from the saved notebooks: save a lesson (Ctrl+S or Cmd+S), then run this cell again."
NO_LESSON = "There is no lesson with exercises in this folder: open the start page in the folder of the lessons."
UNREADABLE = "This notebook cannot be read. Save it again, or get a fresh copy of it."


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """One lesson: its file and title, and a sign for each exercise, in order; or what is wrong with its file."""

    file: str
    title: str
    signs: str = ""
    problem: str = ""

    def __str__(self) -> str:
        """How many exercises are solved, in words."""
        return self.problem or f"{self.signs.count('✓')} of {len(self.signs)} solved"


@dataclass(frozen=True)
class Progress:
    """The lessons that have exercises; a notebook shows them as a table."""

    lessons: tuple[Lesson, ...]

    def __repr__(self) -> str:
        """The table as text."""
        width = max((len(lesson.title) for lesson in self.lessons), default=0)
        lines = [f"{lesson.title:{width}}  {lesson.signs}  {lesson}" for lesson in self.lessons]
        return "\n".join([*lines, SAVE] if lines else [NO_LESSON])

    def _repr_html_(self) -> str:
        """The table as HTML, each title a link."""
        rows = "".join(_row(lesson) for lesson in self.lessons)
        head = '<thead><tr><th scope="col">lesson</th><th scope="col" colspan="2">exercises</th></tr></thead>'
        return f"<table>{head}<tbody>{rows}</tbody></table><p>{SAVE}</p>" if rows else f"<p>{NO_LESSON}</p>"


def progress(folder: str | Path = ".") -> Progress:
    """Read the lessons ``NN_name.ipynb`` of a folder; those without exercises are left out.

    >>> progress("a folder that is not there")
    There is no lesson with exercises in this folder: open the start page in the folder of the lessons.
    """
    lessons = [read(path) for path in sorted(Path(folder).glob("[0-9][0-9]_*.ipynb"))]
    return Progress(tuple(lesson for lesson in lessons if lesson.signs or lesson.problem))


def read(path: Path) -> Lesson:
    """Read one notebook; whatever is wrong with the file becomes a sentence.

    >>> print(read(Path("05_not_there.ipynb")))
    This notebook cannot be read. Save it again, or get a fresh copy of it.
    """
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return Lesson(file=path.name, title=title(cells) or path.stem, signs="".join(map(sign, exercises(cells))))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # not a file, not JSON, not a notebook
        return Lesson(file=path.name, title=path.stem, problem=UNREADABLE)


def title(cells: list[dict]) -> str:
    """The first heading of a notebook, or nothing.

    >>> title([{"cell_type": "markdown", "source": ["# 05 · Attention padding\\n", "and more"]}])
    '05 · Attention padding'
    """
    lines = [line for cell in cells if cell["cell_type"] == "markdown" for line in _text(cell["source"]).splitlines()]
    return next((line.removeprefix("# ").strip() for line in lines if line.startswith("# ")), "")


def exercises(cells: list[dict]) -> list[dict]:
    """The cells that a learner has to fill.

    >>> exercises([{"cell_type": "code", "metadata": {"tags": ["exercise"]}}, {"cell_type": "code", "metadata": {}}])
    [{'cell_type': 'code', 'metadata': {'tags': ['exercise']}}]
    """
    return [cell for cell in cells if cell["cell_type"] == "code" and "exercise" in cell["metadata"].get("tags", [])]


def sign(cell: dict) -> str:
    """What the check last said in the output of a cell: ✓, ✗ or ○. An error is ✗, and a cell that was not run is ○.

    >>> sign({"outputs": [{"output_type": "stream", "text": ["✓ word_mask: right, on 20 random inputs."]}]})
    '✓'
    """
    outputs = cell["outputs"]
    texts = [_text(output.get("text") or output.get("data", {}).get("text/plain", "")) for output in outputs]
    said = [line[0] for text in texts for line in text.splitlines() if line[:1] in SIGNS and line[1:2] == " "]
    failed = any(output["output_type"] == "error" for output in outputs)
    return said[-1] if said else "✗" if failed else "○"


def _text(lines: str | list[str]) -> str:
    """Notebooks store text in one piece or line by line."""
    return lines if isinstance(lines, str) else "".join(lines)


def _row(lesson: Lesson) -> str:
    """One lesson as a row; the signs are said in words to a screen reader."""
    words = ", ".join(f"{i} {SIGNS[sign]}" for i, sign in enumerate(lesson.signs, start=1))
    signs = f'<span role="img" aria-label="{words}">{lesson.signs}</span>' if words else ""
    link = f'<a href="{escape(lesson.file)}">{escape(lesson.title)}</a>'
    return f"<tr><th scope='row'>{link}</th><td>{signs}</td><td>{escape(str(lesson))}</td></tr>"
