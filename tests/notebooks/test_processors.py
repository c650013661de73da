"""A solved notebook prints the same on every processor.

Torch chooses its code by the processor: vectors of 4, 8 or 16 numbers, or none. Then sums differ in their last digits,
and a tensor of ones prints as `1.` here and as `1.00` there. ``ATEN_CPU_CAPABILITY=default`` is the code without
vectors, four threads are more than `make test` gives; what passes so and as it is passes everywhere that we know of.
"""

import build
import pytest

from tests.notebooks.nbval_run import nbval

SOLVED = sorted(build.HERE.glob("solutions/*.ipynb"))
ANOTHER = {"ATEN_CPU_CAPABILITY": "default", "OMP_NUM_THREADS": "4", "MKL_DYNAMIC": "FALSE"}


@pytest.mark.parametrize("path", SOLVED, ids=[path.stem for path in SOLVED])
def test_a_processor_without_vectors_and_with_four_threads_prints_the_same(path):
    ran = nbval([path], rootdir=build.HERE, **ANOTHER)
    assert ran.returncode == 0, (
        f"{path.stem} prints something else on another processor: format the numbers that it prints.\n{ran.stdout}"
    )


def test_the_notebook_runs_as_on_another_processor(tmp_path):
    """A canary: a notebook that prints its processor's capability and its threads must be seen to differ."""
    from nbformat.v4 import new_code_cell, new_notebook, new_output, writes

    code = "import torch\nprint(torch.backends.cpu.get_cpu_capability(), torch.get_num_threads())"
    cell = new_code_cell(code, execution_count=1, outputs=[new_output("stream", text="AVX2 1\n")], id="a")
    (tmp_path / "a.ipynb").write_text(writes(new_notebook(cells=[cell])))
    ran = nbval([tmp_path / "a.ipynb"], rootdir=tmp_path, **ANOTHER)
    assert ran.returncode == 1 and "DEFAULT 4" in ran.stdout and "mismatch" in ran.stdout, ran.stdout
