"""The stored notebooks: up to date, run or giving nothing away, and with nothing of one machine in them.

That their outputs are right is nbval's part; see test_strict.py for what nbval proves.
"""

import re
from pathlib import Path

import build
import nbformat
import pytest

ROOT = Path(build.HERE).parent
SOURCES = sorted((build.HERE / "src").glob("*.md"))
OPEN, SOLVED = sorted(build.HERE.glob("*.ipynb")), sorted(build.HERE.glob("solutions/*.ipynb"))
NOTEBOOKS = [*OPEN, *SOLVED]
LINK = re.compile(r"""(?:\]\(|(?:src|href)=["'])(?![a-z]+:|[/#])([^)\s"'#]*\.\w+)""")
MACHINE = re.compile(
    "|".join(
        [
            re.escape(str(ROOT)),
            re.escape(str(Path.home())) + "/",
            "ipykernel_",
            r"0x[0-9a-f]{6,}",
            r"\b\d\d:\d\d:\d\d\b",
        ]
    )
)


def each(paths):
    """Run a test once for each of these notebooks."""
    return pytest.mark.parametrize("path", paths, ids=[f"{path.parent.name}/{path.stem}" for path in paths])


each_notebook, each_open, each_solved = each(NOTEBOOKS), each(OPEN), each(SOLVED)


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def outputs(path):
    return [output for cell in code_cells(path) for output in cell.outputs]


def printed(output):
    """All the text of one output."""
    return "\n".join([output.get("text", ""), *output.get("traceback", []), *map(str, output.get("data", {}).values())])


@pytest.mark.parametrize("source", SOURCES, ids=[source.stem for source in SOURCES])
def test_every_notebook_is_what_its_source_gives(source):
    assert build.problems([source]) == []


def test_no_notebook_is_without_a_source():
    assert NOTEBOOKS, "there must be notebooks"
    assert [path.name for path in OPEN] == [path.name for path in SOLVED]
    assert build.orphans(SOURCES, out=build.HERE) == []


@each_open
def test_a_learners_notebook_shows_its_labs_and_gives_nothing_else_away(path):
    assert build.spoiler(nbformat.read(path, as_version=4)) is None


def test_a_lab_is_seen_without_a_kernel():
    """The picture that GitHub shows, with its text twin for who cannot see it."""
    labs = [output for path in OPEN for output in outputs(path)]
    assert labs and all(set(output.data) == {"image/png", "text/plain"} for output in labs)
    assert all(len(output.data["text/plain"]) > 500 for output in labs), "the text twin is whole"


@each_open
def test_a_learner_sees_the_labs_that_the_solved_notebook_shows(path):
    """Only the solved notebook is run again on another processor; see test_processors.py."""
    learners, solved = (
        [output.data for output in outputs(of) if build.is_lab(output)]
        for of in (path, path.parent / "solutions" / path.name)
    )
    assert learners == solved


@each_solved
def test_every_code_cell_was_run_in_its_turn(path):
    """Then nbval compares every cell, those without a stored output too; see test_strict.py."""
    assert build.not_run(nbformat.read(path, as_version=4)) is None
    assert any(cell.outputs for cell in code_cells(path)), "a page whose cells all say nothing was not run"


@each_solved
def test_no_cell_ends_in_an_error_that_is_not_meant(path):
    for cell in code_cells(path):
        failed = any(output.output_type == "error" for output in cell.outputs)
        assert failed == ("raises-exception" in cell.metadata.get("tags", [])), cell.source


@each_notebook
def test_no_output_belongs_to_one_machine_or_one_run(path):
    notebook = nbformat.read(path, as_version=4)
    assert "widgets" not in notebook.metadata
    for output in outputs(path):
        assert build.WIDGET not in output.get("data", {}), "a widget's model is gone with its kernel"
        data = {kind: value for kind, value in output.get("data", {}).items() if not kind.startswith("image/")}
        found = MACHINE.search(printed({**output, "data": data}))
        assert found is None, f"{found[0]!r} is of one machine or one run"


@each_notebook
def test_no_output_is_a_warning(path):
    """A warning on stderr holds a path and a line number; a lesson that shows one has to catch and print it."""
    assert [output.text for output in outputs(path) if output.get("name") == "stderr"] == []


@each_notebook
def test_every_link_to_a_file_leads_somewhere(path):
    cells = nbformat.read(path, as_version=4).cells
    links = [link for cell in cells if cell.cell_type == "markdown" for link in LINK.findall(cell.source)]
    assert [link for link in links if not (path.parent / link).exists()] == []


@each_notebook
def test_every_picture_has_words(path):
    """An image without an alt text is nothing to a screen reader."""
    cells = nbformat.read(path, as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert re.findall(r"!\[\s*\]\([^)]*\)", prose) == []
