"""A solved notebook prints the same on every processor, and its labs look the same.

Torch chooses its code by the processor: vectors of 4, 8 or 16 numbers, or none. Then sums differ in their last digits,
and a tensor of ones prints as `1.` here and as `1.00` there. ``ATEN_CPU_CAPABILITY=default`` is the code without
vectors, four threads are more than `make test` gives; what passes so and as it is passes everywhere that we know of.
"""

import build
import pytest

SOLVED = sorted(build.HERE.glob("solutions/*.ipynb"))
ANOTHER = {"ATEN_CPU_CAPABILITY": "default", "OMP_NUM_THREADS": "4", "MKL_DYNAMIC": "FALSE"}
CANARY = """# A page

```{code-cell}
import torch

print(torch.backends.cpu.get_cpu_capability(), torch.get_num_threads())
```
"""


@pytest.fixture(autouse=True)
def another_processor(monkeypatch):
    """Kernels that are started now compute as on another processor."""
    monkeypatch.delenv("MPLBACKEND", raising=False)
    for name, value in ANOTHER.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("path", SOLVED, ids=[path.stem for path in SOLVED])
def test_a_processor_without_vectors_and_with_four_threads_shows_the_same(path):
    """A lab whose numbers come from training, which nbval leaves out, is compared here: by its words."""
    expected = build.prepare(build.HERE / "src" / f"{path.stem}.md", solved=True)
    problem = build.check(path, expected, run=True)
    assert problem is None, f"{problem} Is a picture old (make notebooks), or a number that is printed not formatted?"


def test_the_notebook_runs_as_on_another_processor(tmp_path):
    """A canary: a notebook that prints its processor's capability and its threads must be seen to differ."""
    source, target = tmp_path / "a.md", tmp_path / "solutions" / "a.ipynb"
    source.write_text(CANARY, encoding="utf-8")
    target.parent.mkdir()
    expected = build.prepare(source, solved=True)
    stored = build.finished(expected, target=target)
    assert stored.cells[1].outputs[0].text == "DEFAULT 4\n"
    stored.cells[1].outputs[0].text = "AVX2 1\n"
    build.write(target, stored)
    assert "it has 'AVX2 1', but now it is 'DEFAULT 4'" in build.check(target, expected, run=True)
