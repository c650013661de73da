"""What lesson 05 alone shows in the real JupyterLab: both themes over every state, and a wrong answer explained.

And what is the same for every lab: its keys beside JupyterLab's, a second view, run again, a restart.
"""

import linecache

import pytest
import torch
from playwright.sync_api import expect

from masklab.check import attention_padding as check
from masklab.labs.controls import Sentences
from tests.browser import lab as labs
from tests.browser.lab import FOCUSED, WAIT_MS, LabPage, settled, violations
from tests.browser.lesson import NOTEBOOK
from tests.browser.page import ARTEFACTS
from tests.browser.server import run_all, wait_for_kernel

expect.set_options(timeout=WAIT_MS)


# --- looks --------------------------------------------------------------------------------------------


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


# --- exercises ----------------------------------------------------------------------------------------

WRONG = {
    "pads on the other side": "torch.arange(total) < lengths[:, None]",
    "off by one": "torch.arange(total) > total - lengths[:, None]",
    "an error": "lengths.no_such_thing",
}


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


# --- the keyboard -------------------------------------------------------------------------------------

KEYS = ["a", "b", "x", "c", "v", "d", "d", "y", "m", "r", "z", "ArrowDown", "ArrowUp", "j", "k", "Shift+M", "0", "0",
        "Escape", "Shift+ArrowDown", "Shift+Enter", "Alt+Enter", "Control+Enter", "Control+A", "Control+Backspace",
        "Control+Shift+M", "Control+Shift+ArrowDown"]  # fmt: skip


def test_no_shortcut_of_jupyterlab_fires_from_the_lab(lesson):
    lesson.show_more()  # a switch may be there
    for place in ("tbody .mlab-cell", "[data-shown] .mlab-chip", "input[type=range]", "[role=switch]"):
        for one in lesson.lab.locator(f"{place}:visible").all()[:1]:
            one.click()
            before = lesson.page.evaluate(NOTEBOOK)
            for key in KEYS:
                lesson.page.keyboard.press(key)
                assert lesson.page.evaluate(FOCUSED) != "outside", f"{key} at {place} took the focus out of the lab"
                assert lesson.page.evaluate(NOTEBOOK) == before, f"{key} at {place} did something to the notebook"
    lesson.show_less()


def test_shift_enter_in_a_sentence_box_does_not_run_the_cell_again(lesson):
    sentences = [lesson.sentences[0] + "x", *lesson.sentences[1:]]
    lesson.box().click()
    before = lesson.page.evaluate(NOTEBOOK)
    for key in ("Shift+Enter", "Control+Enter", "Escape", "End"):
        lesson.page.keyboard.press(key)
    lesson.page.keyboard.type("x")
    lesson.shows(sentences=sentences, shown=0)
    assert lesson.page.evaluate(NOTEBOOK) == before


# --- again --------------------------------------------------------------------------------------------


def test_a_second_view_of_the_same_lab_stays_in_step(lesson):
    lesson.at_the_lab("notebook:create-output-view")
    expect(lesson.count()).to_have_count(lesson.start["labs"] + 1)
    try:
        views = [LabPage(lesson.page, lesson.module, root) for root in (lesson.root, lesson.start["labs"])]
        changes = views[1].change()
        for one in views:
            one.shows(**changes)
            if lesson.of_type(Sentences):
                assert one.box().input_value() == changes["sentences"][0]
    finally:
        lesson.page.evaluate("() => { jupyterapp.shell.currentWidget.close(); }")
        expect(lesson.count()).to_have_count(lesson.start["labs"])


def test_the_cell_of_the_lab_can_be_run_again_and_again(lesson):
    for i in range(2):
        lesson.shows(**lesson.change(f"something else {i}"))
        lesson.at_the_lab("notebook:run-cell")
        wait_for_kernel(lesson.page)
        expect(lesson.count()).to_have_count(lesson.start["labs"])
        lesson.shows()


def test_restart_and_run_all_brings_a_fresh_lab(lesson):
    lesson.shows(**lesson.change("something else"))
    lesson.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    run_all(lesson.page)
    expect(lesson.count()).to_have_count(lesson.start["labs"])
    lesson.shows()
    lesson.shows(**lesson.change("The dog"))
