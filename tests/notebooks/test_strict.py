"""Canaries: what `make test` relies on nbval to find must be seen to fail.

A cell with an execution count is compared: every cell of a solved notebook, and the labs of a learner's. A cell
without one must only run, so nbval is strict on the solved notebooks and lax on the open ones in one go.
"""

import re
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tests.notebooks.nbval_run import nbval

CODE = "import sys\nprint(sys.executable == PYTHON, 6 * 7)"
RIGHT, WRONG = ([new_output("stream", text=f"True {answer}\n")] for answer in (42, 43))
# name → code, execution count, stored outputs
CANARIES = {
    "right": (CODE, 1, RIGHT),
    "wrong": (CODE, 1, WRONG),
    "empty": (CODE, 1, []),
    "open": (CODE, None, []),
    "open_raises": ("1 / 0", None, []),
    "open_tells": (CODE, None, RIGHT),
}


def write(path, code, count, outputs):
    """Write a notebook of one cell that says which Python runs it, with the outputs that are stored for it."""
    cell = new_code_cell(code.replace("PYTHON", repr(sys.executable)), execution_count=count, outputs=outputs, id="a")
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=[cell], metadata=kernel), path)


def home_with_a_broken_kernel(home):
    """Put a `python3` kernel that cannot start into a home folder, where Jupyter usually looks first."""
    folder = home / ".local" / "share" / "jupyter" / "kernels" / "python3"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(
        '{"argv": ["false", "{connection_file}"], "display_name": "broken", "language": "python"}'
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """What pytest says of all canaries, as one text."""
    folder = tmp_path_factory.mktemp("canary")
    home_with_a_broken_kernel(folder / "home")
    paths = [folder / f"{name}.ipynb" for name in CANARIES]
    for path in paths:
        write(path, *CANARIES[path.stem])
    return nbval(paths, rootdir=folder, HOME=str(folder / "home"), JUPYTER_PREFER_ENV_PATH="0").stdout


def test_a_right_output_passes_in_the_kernel_of_this_environment(report):
    assert re.search(r"PASSED \S*right.ipynb::Cell 0", report), report


def test_a_wrong_output_fails_for_its_own_reason(report):
    assert re.search(r"FAILED \S*wrong.ipynb::Cell 0", report), report
    assert "True 43" in report and "mismatch 'stdout'" in report, report


def test_a_missing_output_fails_when_the_cell_counts_as_run(report):
    """So counts 1..n, which test_notebooks.py asks for, and nbval together prove every output."""
    assert re.search(r"FAILED \S*empty.ipynb::Cell 0", report), report
    assert "Unexpected output fields" in report, report


def test_an_open_cell_must_run_and_is_not_compared(report):
    assert re.search(r"PASSED \S*open.ipynb::Cell 0", report), report


def test_an_open_cell_that_raises_fails(report):
    assert re.search(r"FAILED \S*open_raises.ipynb::Cell 0", report), report
    assert "ZeroDivisionError: division by zero" in report, report


def test_an_open_cell_that_stores_an_output_fails(report):
    """`build.spoiler`, which test_build.py tests, finds it too, and says what is wrong."""
    assert re.search(r"FAILED \S*open_tells.ipynb::Cell 0", report), report
    assert "Unrun reference cell has outputs" in report, report
