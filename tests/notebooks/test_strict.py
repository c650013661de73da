"""A canary: strict comparison by nbval, as `make test` runs it, must be seen to fail."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

SANITIZE = Path(__file__).with_name("sanitize.cfg")
CODE = "import sys\nprint(sys.executable == PYTHON, 6 * 7)"
STORED = {
    "right": [new_output("stream", text="True 42\n")],
    "wrong": [new_output("stream", text="True 43\n")],
    "empty": [],
}


def write(path, outputs):
    """Write a notebook of one cell that says which Python runs it, with the outputs that are stored for it."""
    code = CODE.replace("PYTHON", repr(sys.executable))
    cell = new_code_cell(code, execution_count=1, outputs=outputs, id="a")
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=[cell], metadata=kernel), path)


def home_with_a_broken_kernel(home):
    """Lay a `python3` kernel that cannot start into a home folder, where Jupyter looks first as a rule."""
    folder = home / ".local" / "share" / "jupyter" / "kernels" / "python3"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(
        '{"argv": ["false", "{connection_file}"], "display_name": "broken", "language": "python"}'
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """What pytest says of the three notebooks, as one text."""
    folder = tmp_path_factory.mktemp("canary")
    home_with_a_broken_kernel(folder / "home")
    for name, outputs in STORED.items():
        write(folder / f"{name}.ipynb", outputs)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "--rootdir", folder, "-c", os.devnull]
    nbval = ["--nbval", "--nbval-current-env", f"--nbval-sanitize-with={SANITIZE}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "PYTEST"))}
    ran = subprocess.run(
        [*command, *nbval, *(folder / f"{name}.ipynb" for name in STORED)],
        env=environment | {"HOME": str(folder / "home"), "JUPYTER_PREFER_ENV_PATH": "0"},
        capture_output=True,
        text=True,
        timeout=180,
    )
    return re.sub(r"\x1b\[[0-9;]*m", "", ran.stdout)


def test_a_right_output_passes_in_the_kernel_of_this_environment(report):
    assert re.search(r"PASSED \S*right.ipynb::Cell 0", report), report


def test_a_wrong_output_fails_for_its_own_reason(report):
    assert re.search(r"FAILED \S*wrong.ipynb::Cell 0", report), report
    assert "True 43" in report and "mismatch 'stdout'" in report, report


def test_a_missing_output_fails_when_the_cell_counts_as_run(report):
    """So counts 1..n, which test_notebooks.py asks for, and nbval together prove every output."""
    assert re.search(r"FAILED \S*empty.ipynb::Cell 0", report), report
    assert "Unexpected output fields" in report, report
