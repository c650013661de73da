"""What a machine lacks is said in one line each, with what to do."""

import subprocess
import sys
from importlib import metadata

import pytest

from masklab import figures, machine


def test_here_everything_is_there():
    """The tests run where the course runs."""
    *lines, end = machine.machine().splitlines()
    assert [line.split()[1] for line in lines][:3] == ["Python", "torch", "matplotlib"]
    assert lines[0] == "✓ Python {}.{}.{}".format(*sys.version_info[:3])
    assert {line[0] for line in lines} == {"✓"} and end == "Everything that the course needs is here."


@pytest.mark.parametrize("name", ["torch", "matplotlib", "anywidget"])
def test_it_does_not_die_of_what_is_missing(name):
    """A package that cannot be imported is a line, the others are there, too."""
    code = f"import sys; sys.modules['{name}'] = None; from masklab.machine import machine; print(machine())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    *lines, end = done.stdout.splitlines()
    (bad,) = [line for line in lines if line[0] != "✓"]
    assert bad.startswith("✗ a lab could not be drawn (ModuleNotFoundError: ") and name in bad
    assert end == f"1 of {len(lines)} needs fixing."


def test_only_what_a_lesson_imports_is_asked_for():
    names = {line.what.split()[0] for line in machine.packages()}
    assert "nbval" in names and not names & {"pytest", "transformers", "ruff"}


def test_what_the_course_asks_for_now_counts_not_what_was_installed(tmp_path):
    project = tmp_path / "pyproject.toml"
    project.write_text('[project]\nrequires-python = ">=3.99"\ndependencies = ["torch>=99"]  # ✓', encoding="utf-8")
    python, torch = machine.packages(project)
    assert python.what.endswith(": the course needs >=3.99") and torch.what.endswith(": the course needs >=99")


@pytest.mark.parametrize(("have", "good"), [
    ("2.13.0", True), ("2.13.0+cpu", True), ("2.13.0+cu130", True), ("2.13.1", False), ("2.12.0", False), ("", False),
])  # fmt: skip
def test_a_version_is_compared_as_pip_does(have, good):
    assert machine.compared("torch", have, "==2.13.0").good is good


@pytest.mark.parametrize(("have", "good"), [("3.11.0", True), ("3.14.0rc1", True), ("3.10.9", False)])
def test_python_may_be_newer(have, good):
    assert machine.compared("Python", have, ">=3.11").good is good


def test_an_old_or_missing_package_is_named_with_what_to_do(monkeypatch):
    def version(name):
        if name == "anywidget":
            raise metadata.PackageNotFoundError(name)
        return "0.1" if name == "torch" else known(name)

    known = metadata.version
    monkeypatch.setattr(metadata, "version", version)
    bad = [str(line) for line in machine.packages() if not line.good]
    assert len(bad) == 2 and all(line.endswith(machine.AGAIN) for line in bad)
    assert bad[0].startswith("✗ torch 0.1: the course needs ==2.13.0. ")
    assert bad[1].startswith("✗ anywidget is not installed: the course needs ==0.11")


def test_a_lab_that_cannot_be_drawn_is_a_sentence(monkeypatch):
    def broken(picture):
        raise RuntimeError("no fonts")

    monkeypatch.setattr(figures, "png", broken)
    assert str(machine.drawing()).startswith("✗ a lab could not be drawn (RuntimeError: no fonts). ")


@pytest.mark.parametrize("there", [(), ("anywidget",), machine.WIDGETS])
def test_what_the_page_lacks_is_named(monkeypatch, tmp_path, there):
    for name in there:
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(machine, "jupyter_path", lambda name: [str(tmp_path / "none"), str(tmp_path)])
    line = machine.widgets()
    assert line.good is (len(there) == 2)
    assert [name for name in machine.WIDGETS if name in line.what] == [n for n in machine.WIDGETS if n not in there]


def test_the_last_line_counts_what_needs_fixing(monkeypatch):
    whole = len(machine.machine().splitlines()) - 1
    monkeypatch.setattr(machine, "WIDGETS", ("no-such-extension",))
    monkeypatch.setattr(figures, "png", lambda picture: b"")
    *_, widgets, end = machine.machine().splitlines()
    assert widgets == f"✗ the page lacks no-such-extension. {machine.AGAIN}"
    assert end == f"2 of {whole} need fixing."
