"""Each lesson has its parts where CONTRIBUTING says, and every list of lessons and files is complete."""

import re
import tomllib

import build
import jupytext
import pytest
import yaml

ROOT = build.HERE.parent
SOURCES = sorted((build.HERE / "src").glob("*.md"))
LESSONS = [source for source in SOURCES if any(map(build.is_exercise, build.read(source).cells))]
FORM = ROOT / ".github" / "ISSUE_TEMPLATE" / "stumbled.yml"
each_lesson = pytest.mark.parametrize("source", LESSONS, ids=[source.stem for source in LESSONS])
each_page = pytest.mark.parametrize("source", SOURCES, ids=[source.stem for source in SOURCES])


def module(source):
    """The name that everything of a lesson has in its own: 05_attention_padding.md → attention_padding."""
    return source.stem.split("_", 1)[1]


@each_lesson
def test_a_lesson_has_a_lab_a_check_figures_and_tests(source):
    name = module(source)
    for part in (f"masklab/labs/{name}.py", f"masklab/check/{name}.py", f"figures/{name}.py"):
        assert (ROOT / part).is_file(), part
    for part in ("lab", "check"):
        assert (ROOT / "tests" / f"test_{part}_{name}.py").is_file(), part


@each_page
def test_a_page_has_two_digits_and_a_name_that_no_other_page_contains(source):
    """`make test LESSON=05` chooses its tests by this name."""
    assert re.fullmatch(r"\d\d_[a-z][a-z0-9_]*", source.stem)
    assert [other.stem for other in SOURCES if other != source and module(source) in module(other)] == []


@each_lesson
def test_an_exercise_has_hints_and_a_check(source):
    cells = jupytext.read(source, fmt="md:myst").cells
    exercises = [i for i, cell in enumerate(cells) if build.is_exercise(cell)]
    assert [i for i in exercises if "\ncheck." not in cells[i].source] == []
    assert [i for i in exercises if cells[i + 1].source.count("<details><summary>Hint") < 2] == []


@each_page
def test_every_list_of_lessons_has_this_one(source):
    number, title = source.stem[:2], build.read(source).cells[0].source.splitlines()[0]
    title = title.removeprefix("# ").removeprefix(f"{number} · ")
    assert f"{number} {title}" in yaml.safe_load(FORM.read_text("utf-8"))["body"][0]["attributes"]["options"]
    for page in (ROOT / "README.md", build.HERE / "src" / "00_start_here.md"):
        row = re.search(rf"^\| \**{number}\** \|.*", page.read_text("utf-8"), re.MULTILINE)
        assert row and title in row[0] and "to come" not in row[0], page.name


@each_page
def test_the_readme_says_the_minutes_that_the_page_says(source):
    first = build.read(source).cells[0].source
    (said,) = [line for line in first.splitlines() if "minutes" in line]
    row = re.search(rf"^\| \**{source.stem[:2]}\** \|.*", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)[0]
    assert re.findall(r"\d+", row.split("|")[-2]) == re.findall(r"\d+", said) != []


def test_figures_are_drawn_without_the_tests():
    scripts = [path.read_text("utf-8") for path in (ROOT / "figures").glob("*.py")]
    assert len(scripts) > 1
    assert [
        line for script in scripts for line in re.findall(r"^\s*(?:from|import) tests.*", script, re.MULTILINE)
    ] == []


def named_files(text):
    """What a page names in code as a file or folder of this repository; names with a lesson's place-holder are none."""
    parts = (path.name for path in ROOT.iterdir())
    pattern = re.compile(rf"^(?:{'|'.join(map(re.escape, parts))})(?:/[\w./-]*)?$")
    return {code for code in re.findall(r"`([^`\n]+)`", text) if "/" in code and pattern.match(code)}


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_file_that_a_page_names_is_there(page):
    found = named_files((ROOT / page).read_text("utf-8"))
    names = {name for name in found if not re.search("causal_masks|NN_", name)}
    assert len(names) > 5
    assert sorted(name for name in names if not (ROOT / name).exists()) == []


def test_the_workflow_runs_what_a_fresh_clone_is_proven_with():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text("utf-8"))["jobs"]
    assert {"run": ".ci/run"} in jobs["everything"]["steps"]
    assert jobs["notebooks"]["strategy"]["matrix"]["os"] == ["macos-latest", "windows-latest"]
    assert "--nbval-sanitize-with=tests/notebooks/sanitize.cfg notebooks" in jobs["notebooks"]["steps"][-1]["run"]


def test_the_citation_names_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
