"""Lesson 05 in the real JupyterLab: shortcuts, themes, exercises, a second view; what no other lesson shows better."""

import linecache
import re
from collections.abc import Iterator

import nbformat
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from masklab.check import attention_padding as check
from masklab.labs.sentences import SENTENCES
from tests.browser import lab as labs
from tests.browser.lab import ROOT, WAIT_MS, settled, shown_by, wait_until_shown
from tests.browser.lesson import NOTEBOOK, REPOSITORY, TALL, Lesson, open_lesson
from tests.browser.page import ARTEFACTS

expect.set_options(timeout=WAIT_MS)
SOLVED = "notebooks/solutions/05_attention_padding.ipynb"
LAPTOP = {"width": 1280, "height": 720}


@pytest.fixture(scope="module")
def opened(server, browser) -> Iterator[Lesson]:
    with open_lesson(browser, server, "attention_padding") as lesson:
        yield lesson


@pytest.fixture
def lesson(opened) -> Iterator[Lesson]:
    """The lesson with its lab as at first sight; the test fails if the page complains or asks another machine."""
    opened.begin()
    yield opened
    opened.end()


# --- the keyboard alone -------------------------------------------------------------------------------

FOCUSED = """() => {
  const node = document.activeElement;
  const panel = node.closest(".mlab-step")?.dataset.name;
  const name = node.getAttribute("aria-label") ?? node.closest("label")?.textContent ?? node.textContent;
  return node.closest(".mlab-root") ? (panel ? `panel ${panel}` : name.trim()) : "outside";
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

WRONG = {
    "pads on the other side": "torch.arange(total) < lengths[:, None]",
    "off by one": "torch.arange(total) > total - lengths[:, None]",
    "an error": "lengths.no_such_thing",
}


def test_a_right_answer_typed_into_an_exercise_is_praised(lesson):
    cells = nbformat.read(REPOSITORY / SOLVED, as_version=4).cells
    solution = next(cell.source for cell in cells if "check.word_mask(" in cell.source)
    expect(lesson.answer("word_mask", solution)).to_have_text(re.compile("^✓ word_mask: right"))


@pytest.mark.parametrize("line", WRONG.values(), ids=WRONG)
def test_a_wrong_answer_typed_into_an_exercise_is_explained(lesson, line):
    function = f"def word_mask(lengths, total):\n    return {line}"
    names: dict = {"torch": torch}
    linecache.cache["cell"] = (0, None, function.splitlines(keepends=True), "cell")  # an error names its line
    exec(compile(function, "cell", "exec"), names)
    expected = repr(check.word_mask(names["word_mask"]))
    assert expected.startswith("✗ word_mask: ")
    said = lesson.answer("word_mask", f"{function}\n\n\ncheck.word_mask(word_mask)")
    expect(said).to_have_text(expected)
    cell = said.locator("xpath=ancestor::*[contains(@class, 'jp-CodeCell')]")
    expect(cell.locator(".jp-OutputArea-output img")).to_have_count(0 if "raised" in expected else 1)
    cell.screenshot(path=ARTEFACTS / "jupyterlab-exercise.png")


# --- again --------------------------------------------------------------------------------------------


def test_a_second_view_of_the_same_lab_stays_in_step(lesson):
    lesson.at_the_lab("notebook:create-output-view")
    expect(lesson.page.locator(ROOT)).to_have_count(lesson.start["labs"] + 1)
    try:
        lesson.page.locator(ROOT).nth(lesson.start["labs"]).locator(".mlab-text").first.fill("The dog")
        for root in (lesson.root, lesson.start["labs"]):
            wait_until_shown(lesson.page, shown_by(lesson.drawn(sentences=["The dog", *SENTENCES[1:]])), root=root)
            assert lesson.page.locator(ROOT).nth(root).locator(".mlab-text").first.input_value() == "The dog"
    finally:
        lesson.page.evaluate("() => { jupyterapp.shell.currentWidget.close(); }")
        expect(lesson.page.locator(ROOT)).to_have_count(lesson.start["labs"])
