"""What lesson 05 alone shows in the real JupyterLab: both themes over every state, and a wrong answer explained."""

import linecache

import pytest
import torch
from playwright.sync_api import expect

from masklab.check import attention_padding as check
from tests.browser import lab as labs
from tests.browser.lab import WAIT_MS, settled, violations
from tests.browser.page import ARTEFACTS
from tests.browser.server import run_all

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


def test_restart_and_run_all_brings_a_fresh_lab(lesson):
    lesson.shows(**lesson.change("something else"))
    lesson.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    run_all(lesson.page)
    expect(lesson.count()).to_have_count(lesson.start["labs"])
    lesson.shows()
    lesson.shows(**lesson.change("The dog"))
