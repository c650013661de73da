"""The lesson in the real JupyterLab, as `make lab` serves it: one server, one page and one kernel for all tests."""

import linecache
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from masklab.check import attention_padding as check
from masklab.labs import attention_padding
from masklab.labs.sentences import SENTENCES
from tests.browser import lab as labs
from tests.browser.lab import ROOT, WAIT_MS, LabPage, settled, shown_by, wait_until_shown
from tests.browser.page import ARTEFACTS
from tests.browser.server import (
    CELLS,
    RUN_MS,
    Server,
    jupyterlab,
    record_requests,
    run_all,
    transcript,
    wait_for_kernel,
)

expect.set_options(timeout=WAIT_MS)
REPOSITORY = Path(__file__).parents[2]
LESSON = "notebooks/05_attention_padding.ipynb"
SOLVED = "notebooks/solutions/05_attention_padding.ipynb"
LABS, LAB = 2, 1  # the lesson begins with a small lab; the whole one comes second
LAPTOP = {"width": 1280, "height": 720}
TALL = {"width": 1280, "height": 1800}  # a whole lab fits: no scrolling, so a picture of it is always the same
# Console errors that are no fault of ours, by their beginnings, each with its reason.
ALLOWED_ERRORS = (
    # JupyterLab's own debugger asks a kernel that is being restarted, and says so when it gets no answer.
    "console: Could not restore the debugger state",
)


@dataclass(frozen=True)
class Lesson(LabPage):
    """The page with the lesson and its lab in it, and all that the page complained of or asked for."""

    start: dict = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def repair(self) -> None:
        """Open the lesson's file again if a failed test has left the notebook with other cells."""
        if self.page.evaluate("() => jupyterapp.shell.currentWidget.content.widgets.length") != self.start["cells"]:
            self.page.evaluate("() => jupyterapp.shell.currentWidget.context.revert()")
            run_all(self.page)

    def picture(self, name: str) -> None:
        """Keep a picture of the whole lab among the test artefacts."""
        settled(self.lab).screenshot(path=ARTEFACTS / f"jupyterlab-{name}.png")


# --- the course, as `make lab` serves it --------------------------------------------------------------


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    """A copy of what a learner opens: JupyterLab writes into it."""
    folder = tmp_path_factory.mktemp("course")
    for name in ("notebooks", "figures"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    for name in ("README.md", "Makefile"):
        shutil.copy(REPOSITORY / name, folder)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.fixture(scope="module")
def server(course, browser) -> Iterator[Server]:
    """The server that `make lab` starts in the copy."""
    with jupyterlab(course, command=make_lab(course)) as server:
        yield server


def make_lab(folder: Path) -> list[str]:
    """The command that `make lab` runs; what is added to its end comes where ARGS would."""
    ask = ["make", "--silent", "--dry-run", "--old-file=.venv/.done", "lab", 'ARGS="$$@"']
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    recipe = subprocess.run(ask, cwd=folder, env=clean, capture_output=True, text=True, check=True).stdout
    return ["sh", "-c", "exec " + recipe[recipe.index(".venv/bin/jupyter-lab") :], "make lab"]


@pytest.fixture(scope="module")
def opened(server, browser) -> Iterator[Lesson]:
    """The lesson, opened from the start page by its link, with every cell run."""
    ARTEFACTS.mkdir(exist_ok=True)
    context = browser.new_context(viewport=TALL)
    context.set_default_timeout(RUN_MS)  # a busy machine is slow to start
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    lesson = Lesson(page, attention_padding, LAB, requests=record_requests(page))
    page.on("pageerror", lambda error: lesson.errors.append(f"uncaught: {error}"))
    page.on("console", lambda message: message.type == "error" and lesson.errors.append(f"console: {message.text}"))
    page.goto(server.address())
    wait_for_kernel(page)
    lesson.start.update(page.evaluate(START_PAGE))
    page.screenshot(path=ARTEFACTS / "jupyterlab-start.png")
    page.get_by_role("link", name="lesson 05").first.click()
    page.wait_for_function("(path) => jupyterapp.shell.currentWidget?.context?.path === path", arg=LESSON)
    run_all(page)
    expect(page.locator(ROOT)).to_have_count(LABS)
    lesson.start["cells"] = len(page.evaluate(NOTEBOOK)["cells"])
    yield lesson
    context.close()


START_PAGE = """async () => {
  const settings = await jupyterapp.serviceManager.settings.fetch("@jupyterlab/apputils-extension:notification");
  return {
    path: jupyterapp.shell.currentWidget.context.path,
    popups: [...document.querySelectorAll(".Toastify__toast, .jp-Dialog")].map((node) => node.textContent),
    news: settings.schema.properties.fetchNews.default,
  };
}"""


@pytest.fixture
def lesson(opened) -> Iterator[Lesson]:
    """The lesson with its lab as at first sight; the test fails if the page complains or asks another machine."""
    opened.repair()
    opened.reset()
    yield opened
    assert complaints(opened) == []
    assert elsewhere(opened.requests) == []


def complaints(lesson: Lesson) -> list[str]:
    """The console errors and uncaught exceptions that have no excuse."""
    return [error for error in lesson.errors if not error.startswith(ALLOWED_ERRORS)]


def elsewhere(urls: list[str]) -> list[str]:
    """The addresses that are not on this machine."""
    here = {"127.0.0.1", "localhost"}
    return [url for url in urls if urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).hostname not in here]


def test_the_recorders_hear_an_error_and_a_request_elsewhere(lesson):
    lesson.page.route("http://elsewhere.invalid/*", lambda route: route.abort())
    lesson.page.evaluate("() => console.error('canary')")
    lesson.page.evaluate("() => fetch('http://elsewhere.invalid/x').catch(Boolean)")
    lesson.page.evaluate("() => new Promise((done) => setTimeout(() => { done(); throw Error('thrown'); }))")
    lesson.page.wait_for_function("() => true")  # the events above come before this answer
    heard = [error.partition(":")[2].strip() for error in complaints(lesson)]
    assert "canary" in heard and "thrown" in heard
    assert elsewhere(lesson.requests) == ["http://elsewhere.invalid/x"]
    lesson.errors.clear()
    lesson.requests.clear()


# --- opening and running ------------------------------------------------------------------------------


def test_make_lab_opens_the_start_page_with_no_pop_up(opened):
    assert opened.start["path"] == "notebooks/00_start_here.ipynb"
    assert opened.start["popups"] == []
    assert opened.start["news"] == "false"


def test_every_cell_runs_and_each_check_says_that_its_exercise_is_open(lesson):
    cells = lesson.page.evaluate(CELLS)
    assert [cell["count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert transcript(cells).count("○") == 5
    assert transcript(cells).count("not attempted yet") == 5


def test_every_picture_of_the_lesson_is_loaded(lesson):
    lesson.page.wait_for_function(
        "() => [...document.querySelectorAll('.jp-RenderedMarkdown img')].every((image) => image.complete)"
    )
    widths = lesson.page.locator(".jp-RenderedMarkdown img").evaluate_all("all => all.map((i) => i.naturalWidth)")
    assert len(widths) >= 6 and all(widths)


# --- typing -------------------------------------------------------------------------------------------


def test_typing_moves_the_chips_the_words_the_pixels(lesson):
    before = pixels(lesson)
    assert pixels(lesson) == before  # so a difference is one of the picture
    lesson.picture("light")
    lesson.box().click()
    lesson.page.keyboard.press("End")
    lesson.page.keyboard.type(" soup")
    lesson.shows(sentences=["The cat ate soup", *SENTENCES[1:]])
    after = pixels(lesson)
    assert {name for name in before if before[name] == after[name]} == set()
    lesson.picture("typed")


def pixels(lesson: Lesson) -> dict[str, bytes]:
    """A picture of each panel, and of the chips."""
    settled(lesson.lab).scroll_into_view_if_needed()
    parts = {name: f".mlab-step[data-name={name}]" for name in ("scores", "mask", "masked", "weights", "output")}
    parts["chips"] = ".mlab-chips"
    return {name: lesson.lab.locator(part).first.screenshot() for name, part in parts.items()}


# --- the keyboard alone -------------------------------------------------------------------------------

FOCUSED = """() => {
  const node = document.activeElement;
  const panel = node.closest(".mlab-step")?.dataset.name;
  const name = node.getAttribute("aria-label") ?? node.closest("label")?.textContent ?? node.textContent;
  return node.closest(".mlab-root") ? (panel ? `panel ${panel}` : name.trim()) : "outside";
}"""


NOTEBOOK = """() => {
  const notebook = jupyterapp.shell.currentWidget.content;
  const cells = notebook.widgets.map(({ model }) => [model.type, model.sharedModel.getSource(), model.executionCount]);
  return { cells, active: notebook.activeCellIndex, mode: notebook.mode, selected: notebook.selectedCells.length };
}"""
KEYS = ["a", "b", "x", "c", "v", "d", "d", "y", "m", "r", "z", "ArrowDown", "ArrowUp", "j", "k", "Shift+M", "0", "0",
        "Escape", "Shift+ArrowDown", "Shift+Enter", "Alt+Enter", "Control+Enter", "Control+A", "Control+Backspace",
        "Control+Shift+M", "Control+Shift+ArrowDown"]  # fmt: skip


@pytest.mark.parametrize("place", ["tbody .mlab-cell", "[data-shown] .mlab-chip", "input[type=range]", "[role=switch]"])
def test_no_shortcut_of_jupyterlab_fires_from_the_lab(lesson, place):
    lesson.lab.locator(place).first.click()
    before = lesson.page.evaluate(NOTEBOOK)
    for key in KEYS:
        lesson.page.keyboard.press(key)
        assert lesson.page.evaluate(FOCUSED) != "outside", f"{key} took the focus out of the lab"
        assert lesson.page.evaluate(NOTEBOOK) == before, f"{key} did something to the notebook"


def test_shift_enter_in_a_sentence_box_does_not_run_the_cell_again(lesson):
    lesson.box().click()
    before = lesson.page.evaluate(NOTEBOOK)
    for key in ("Shift+Enter", "Control+Enter", "Escape", "End"):
        lesson.page.keyboard.press(key)
    lesson.page.keyboard.type("x")
    lesson.shows(sentences=["The cat atex", *SENTENCES[1:]])
    assert lesson.page.evaluate(NOTEBOOK) == before


# --- looks --------------------------------------------------------------------------------------------


@pytest.fixture(params=["Dark", "Light"], scope="module")
def theme(request, opened) -> Iterator[str]:
    """JupyterLab in a theme; the light one comes last, and stays for the other tests."""
    change_theme(opened.page, f"JupyterLab {request.param}")
    yield request.param.lower()


def change_theme(page: Page, name: str) -> None:
    """Change JupyterLab's theme and wait for its style sheet."""
    page.evaluate("(theme) => { jupyterapp.commands.execute('apputils:change-theme', { theme }); }", name)
    page.wait_for_function("(name) => document.body.dataset.jpThemeName === name", arg=name)
    page.wait_for_function(
        "(isDark) => (parseInt(getComputedStyle(document.body).getPropertyValue('--jp-layout-color1').slice(1, 3), 16)"
        " < 128) === isDark",
        arg="Dark" in name,
    )


@pytest.mark.parametrize("mask", ["columns", "both"])
def test_all_text_has_contrast_enough(lesson, theme, mask):
    lesson.choose({"columns": "mask columns", "both": "mask rows and columns"}[mask])
    lesson.shows(mask=mask)
    settled(lesson.lab)
    found = lesson.lab.evaluate(labs.CONTRAST)
    assert len(found) > 50
    assert [low for low in found if low[0] < 4.5] == []
    assert all(
        painted == themed for painted, themed in lesson.lab.evaluate(labs.PAINTED)
    )  # the theme reached the canvas
    lesson.picture(f"{theme}-{mask}")


def test_axe_finds_no_serious_violation(lesson, theme):
    lesson.choose("Show as text")
    lesson.choose("Predict first")
    lesson.shows(predict=True, text=True)
    lesson.drag("mask", (0, 3), (2, 3))
    lesson.shows(predict=True, text=True, painted=[[0, 3], [1, 3], [2, 3]])
    assert violations(lesson) == []
    lesson.choose("Reveal")
    lesson.shows(predict=True, text=True, reveal=True, painted=[[0, 3], [1, 3], [2, 3]])
    assert violations(lesson) == []


def violations(lesson: Lesson) -> list[tuple]:
    """What axe-core finds in the lab that is serious or critical."""
    settled(lesson.lab)
    found = Axe().run(lesson.page, context=ROOT).response
    assert found["testEngine"]["name"] == "axe-core"
    return [(rule["id"], node["html"], node["failureSummary"]) for rule in found["violations"]
            if rule["impact"] in ("serious", "critical") for node in rule["nodes"]]  # fmt: skip


# A projector of 1920×1080 at a zoom of 150 % has as many CSS pixels as a small laptop; in class the sidebar is closed.
PLACES = {"laptop": (LAPTOP, True), "projector": (LAPTOP, False), "tablet": ({"width": 1024, "height": 768}, False)}
SCREEN = {"width": 1366, "height": 768}  # where the first state fits, the file browser open or not
ROOM = "() => document.querySelector('.jp-NotebookPanel:not(.lm-mod-hidden) .jp-WindowedPanel-outer').clientHeight"


@pytest.mark.parametrize("place", PLACES)
def test_the_lab_fits_its_place(lesson, place):
    size, sidebar = PLACES[place]
    if not sidebar:
        lesson.page.evaluate("() => { jupyterapp.shell.collapseLeft(); }")
    try:
        lesson.page.set_viewport_size(size)
        lesson.box().click()
        assert settled(lesson.lab).evaluate(labs.TOO_WIDE) == []
        lesson.page.screenshot(path=ARTEFACTS / f"jupyterlab-{place}.png")
        lesson.page.set_viewport_size({**size, "height": TALL["height"]})
        lesson.picture(f"{place}-lab")
    finally:
        lesson.page.set_viewport_size(TALL)
        lesson.page.evaluate("() => { jupyterapp.shell.expandLeft(); }")


@pytest.mark.parametrize("sidebar", [False, True], ids=["folded", "file browser open"])
def test_the_first_state_fits_on_one_screen(lesson, sidebar):
    if not sidebar:
        lesson.page.evaluate("() => { jupyterapp.shell.collapseLeft(); }")
    try:
        lesson.page.set_viewport_size(SCREEN)
        settled(lesson.lab).scroll_into_view_if_needed()
        height, room = lesson.lab.bounding_box()["height"], lesson.page.evaluate(ROOM)
        lesson.page.screenshot(path=ARTEFACTS / f"jupyterlab-1366-{'open' if sidebar else 'folded'}.png")
    finally:
        lesson.page.set_viewport_size(TALL)
        lesson.page.evaluate("() => { jupyterapp.shell.expandLeft(); }")
    assert height <= room, f"{height:.0f} px of {room}"


# --- predictions and exercises ------------------------------------------------------------------------


def test_a_prediction_is_clicked_and_answered_at_the_evidence(lesson):
    question, answer = lesson.page.locator(".mlab-question").all()
    for option, sign in (
        ("Nothing. [PAD] is not a word.", "✗ You chose"),
        ("It changes, since softmax", "✓ You chose"),
    ):
        question.get_by_text(option).click()
        expect(answer).to_contain_text(sign)
    answer.screenshot(path=ARTEFACTS / "jupyterlab-answer.png")


# --- exercises ----------------------------------------------------------------------------------------

CELL_WITH = """(code) => jupyterapp.shell.currentWidget.content.widgets.findIndex(
  ({ model }) => model.type === "code" && model.sharedModel.getSource().includes(code)
)"""
WRONG = {
    "pads on the other side": "torch.arange(total) < lengths[:, None]",
    "off by one": "torch.arange(total) > total - lengths[:, None]",
    "an error": "lengths.no_such_thing",
}


def test_a_right_answer_typed_into_an_exercise_is_praised(lesson):
    cells = nbformat.read(REPOSITORY / SOLVED, as_version=4).cells
    solution = next(cell.source for cell in cells if "check.word_mask(" in cell.source)
    expect(answer(lesson, solution)).to_have_text(re.compile("^✓ word_mask: right"))


@pytest.mark.parametrize("line", WRONG.values(), ids=WRONG)
def test_a_wrong_answer_typed_into_an_exercise_is_explained(lesson, line):
    function = f"def word_mask(lengths, total):\n    return {line}"
    names: dict = {"torch": torch}
    linecache.cache["cell"] = (0, None, function.splitlines(keepends=True), "cell")  # an error names its line
    exec(compile(function, "cell", "exec"), names)
    expected = repr(check.word_mask(names["word_mask"]))
    assert expected.startswith("✗ word_mask: ")
    said = answer(lesson, f"{function}\n\n\ncheck.word_mask(word_mask)")
    expect(said).to_have_text(expected)
    cell = said.locator("xpath=ancestor::*[contains(@class, 'jp-CodeCell')]")
    expect(cell.locator(".jp-OutputArea-output img")).to_have_count(0 if "raised" in expected else 1)
    cell.screenshot(path=ARTEFACTS / "jupyterlab-exercise.png")


def answer(lesson: Lesson, code: str) -> Locator:
    """Type code over the first exercise and run it; return the sentence that its check prints."""
    index = lesson.page.evaluate(CELL_WITH, "check.word_mask(")
    cell = lesson.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell").nth(index)
    cell.locator(".cm-content").click()
    lesson.page.keyboard.press("Control+A")
    lesson.page.keyboard.insert_text(code)
    lesson.page.keyboard.press("Control+Enter")
    return cell.locator(".jp-OutputArea-output pre").first


# --- again --------------------------------------------------------------------------------------------

AT_CELL = """([index, command]) => {
  jupyterapp.shell.currentWidget.content.activeCellIndex = index;
  globalThis.done = false;
  jupyterapp.commands.execute(command).finally(() => (globalThis.done = true));
}"""


def at_the_lab(lesson: Lesson, command: str) -> None:
    """Do a command of JupyterLab at the cell of the lab."""
    index = lesson.page.evaluate(CELL_WITH, "attention_padding.lab()")
    lesson.page.evaluate(AT_CELL, [index, command])
    lesson.page.wait_for_function("() => done", timeout=RUN_MS)


def test_the_cell_of_the_lab_can_be_run_again_and_again(lesson):
    for i in range(2):
        lesson.box().fill(f"something else {i}")
        lesson.shows(sentences=[f"something else {i}", *SENTENCES[1:]])
        at_the_lab(lesson, "notebook:run-cell")
        wait_for_kernel(lesson.page)
        expect(lesson.page.locator(ROOT)).to_have_count(LABS)
        lesson.shows()


def test_a_second_view_of_the_same_lab_stays_in_step(lesson):
    at_the_lab(lesson, "notebook:create-output-view")
    expect(lesson.page.locator(ROOT)).to_have_count(LABS + 1)
    try:
        lesson.page.locator(ROOT).nth(LABS).locator(".mlab-text").first.fill("The dog")
        for root in (LAB, LABS):
            wait_until_shown(lesson.page, shown_by(lesson.drawn(sentences=["The dog", *SENTENCES[1:]])), root=root)
            assert lesson.page.locator(ROOT).nth(root).locator(".mlab-text").first.input_value() == "The dog"
    finally:
        lesson.page.evaluate("() => { jupyterapp.shell.currentWidget.close(); }")
        expect(lesson.page.locator(ROOT)).to_have_count(LABS)


def test_restart_and_run_all_brings_a_fresh_lab(lesson):
    lesson.box().fill("something else")
    lesson.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    run_all(lesson.page)
    expect(lesson.page.locator(ROOT)).to_have_count(LABS)
    lesson.shows()
    lesson.box().fill("The dog")
    lesson.shows(sentences=["The dog", *SENTENCES[1:]])
