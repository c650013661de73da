"""What a machine lacks is said in one line each, with what to do."""

import math
from importlib import metadata
from pathlib import Path

import pytest

from masklab import figures, machine


def test_here_everything_is_there():
    """The tests run where the course runs, so nothing but memory and processors could be missing."""
    *lines, end = machine.machine().splitlines()
    names = [line.split()[1].rstrip(":") for line in lines]
    assert names[0] == "Python" and {"torch", "matplotlib", "anywidget", "memory", "threads"} <= set(names)
    bad = [line for line in lines if line[0] != "✓"]
    assert [line for line in bad if not line.startswith(("✗ memory", "✗ threads"))] == []
    assert bad or end == "Everything that the course needs is here."


def test_only_what_a_lesson_imports_is_asked_for():
    names = {line.what.split()[0] for line in machine.packages()}
    assert "nbval" in names and not names & {"pytest", "transformers", "ruff"}


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
    assert bad[0].startswith("✗ anywidget is not installed: the course needs ==0.11")
    assert bad[1].startswith("✗ torch 0.1: the course needs ==2.13.0. ")


@pytest.mark.parametrize(("most", "good"), [(0.5, False), (0.999, False), (1, True), (16, True), (math.inf, True)])
def test_the_lessons_need_a_gigabyte(most, good):
    assert machine.memory(most * 1e9).good is good


def test_a_container_may_allow_less_than_the_machine_has(monkeypatch):
    whole = machine._allowed()
    monkeypatch.setattr(Path, "read_text", lambda self: "12345678\n")
    assert machine._allowed() == 12345678 < whole
    monkeypatch.setattr(Path, "read_text", lambda self: "max\n")
    assert whole <= machine._allowed()


def test_where_nobody_says_how_much_memory_there_is_it_is_taken_as_enough(monkeypatch):
    monkeypatch.delattr("os.sysconf")  # as on Windows
    monkeypatch.setattr(Path, "read_text", lambda self: "max\n")
    assert str(machine.memory(machine._allowed())) == "✓ memory: nobody says how much"


def test_too_many_threads_are_too_many():
    assert machine.threads(1, 1).good and machine.threads(2, 8).good
    assert str(machine.threads(8, 2)).startswith("✗ threads: torch computes with 8, on 2 processors. Type ")
    assert machine._cores() >= 1


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
    monkeypatch.setattr(machine, "_allowed", lambda: 0.0)
    monkeypatch.setattr(machine, "_cores", lambda: 0)
    *_, widgets, end = machine.machine().splitlines()
    assert widgets == f"✗ the page lacks no-such-extension. {machine.AGAIN}"
    assert end == f"3 of {whole} need fixing."
