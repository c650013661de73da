"""Every lesson in the real JupyterLab, as `make lab` serves it: a page and a kernel a lesson.

What is the same for every lab, such as its keys beside JupyterLab's, is tried in lesson 05 alone.
"""

import re

import nbformat
import pytest
from playwright.sync_api import expect

from masklab.labs.controls import Sentences
from tests.browser import lab as labs
from tests.browser.lab import WAIT_MS, settled
from tests.browser.lesson import LESSONS, REPOSITORY, TALL, Lesson
from tests.browser.page import ARTEFACTS
from tests.browser.server import CELLS, transcript

expect.set_options(timeout=WAIT_MS)
pytestmark = pytest.mark.parametrize("opened_lesson", LESSONS, indirect=True, scope="module")
SCREEN = {"width": 1366, "height": 768}  # where the first state fits, the file browser open or not
ROOM = "() => document.querySelector('.jp-NotebookPanel:not(.lm-mod-hidden) .jp-WindowedPanel-outer').clientHeight"


def test_the_recorders_hear_an_error_and_a_request_elsewhere(lesson):
    lesson.page.route("http://elsewhere.invalid/*", lambda route: route.abort())
    lesson.page.evaluate("() => console.error('canary')")
    lesson.page.evaluate("() => fetch('http://elsewhere.invalid/x').catch(Boolean)")
    lesson.page.evaluate("() => new Promise((done) => setTimeout(() => { done(); throw Error('thrown'); }))")
    lesson.page.wait_for_function("() => true")  # the events above come before this answer
    heard = [error.partition(":")[2].strip() for error in lesson.complaints()]
    assert "canary" in heard and "thrown" in heard
    assert lesson.elsewhere() == ["http://elsewhere.invalid/x"]
    lesson.errors.clear()
    lesson.requests.clear()


def test_make_lab_opens_the_start_page_with_no_pop_up(opened_lesson):
    assert opened_lesson.start["path"] == "notebooks/00_start_here.ipynb"
    assert opened_lesson.start["popups"] == []
    assert opened_lesson.start["news"] == "false"


def test_every_cell_runs_and_each_check_says_that_its_exercise_is_open(lesson):
    """The learner's notebook: opening it has run it, and raises if a cell fails. nbval runs the solved one."""
    cells = lesson.page.evaluate(CELLS)
    assert [cell["count"] for cell in cells] == list(range(1, len(cells) + 1))
    said = transcript([cell for cell in cells if "\ncheck." in cell["source"]])
    assert said.count("○") == said.count("not attempted yet") == len(exercises(lesson)) >= 1


def exercises(lesson: Lesson) -> list[str]:
    """The lesson's exercises, solved."""
    cells = nbformat.read(REPOSITORY / f"notebooks/solutions/{LESSONS[lesson.name]}.ipynb", as_version=4).cells
    return [cell.source for cell in cells if "exercise" in cell.metadata.get("tags", [])]


def test_every_picture_of_the_lesson_is_loaded(lesson):
    images = lesson.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-RenderedMarkdown img")
    widths = images.evaluate_all(
        "async (all) => { for (const i of all) await i.decode(); return all.map((i) => i.naturalWidth); }"
    )
    source = (REPOSITORY / f"notebooks/src/{LESSONS[lesson.name]}.md").read_text(encoding="utf-8")
    assert len(widths) == source.count("![") > 0 and all(widths)


def test_typing_moves_the_chips_the_words_the_pixels(lesson):
    before = pixels(lesson)
    assert pixels(lesson) == before  # so a difference is one of the picture
    lesson.picture("light")
    words = [lesson.sentences[0] + " soup", *lesson.sentences[1:]]
    lesson.box().click()
    lesson.page.keyboard.press("End")
    lesson.page.keyboard.type(" soup")
    lesson.shows(sentences=words, shown=0)
    after = pixels(lesson)
    assert {name for name in before if before[name] == after[name]} == set()
    lesson.picture("typed")


def pixels(lesson: Lesson) -> dict[str, bytes]:
    """A picture of each panel, and of the chips."""
    settled(lesson.lab).scroll_into_view_if_needed()
    parts = {panel.name: f".mlab-step[data-name={panel.name}]" for panel in lesson.drawn().panels}
    if lesson.of_type(Sentences):
        parts["chips"] = ".mlab-chips"
    return {name: lesson.lab.locator(part).first.screenshot() for name, part in parts.items()}


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


# Sizes of the window, and whether the file browser is open. A projector of 1920×1080 at a zoom of 150 % has as many CSS
# pixels as a small laptop; in class the file browser is closed.
LAPTOP = {"width": 1280, "height": 720}
SIZES = {"laptop": (LAPTOP, True), "projector": (LAPTOP, False), "tablet": ({"width": 1024, "height": 768}, False)}


@pytest.mark.parametrize("place", SIZES)
def test_the_lab_fits_its_place(lesson, place):
    size, sidebar = SIZES[place]
    if not sidebar:
        lesson.page.evaluate("() => { jupyterapp.shell.collapseLeft(); }")
    try:
        lesson.page.set_viewport_size(size)
        lesson.lab.locator("input, [tabindex='0']").first.click()
        assert settled(lesson.lab).evaluate(labs.TOO_WIDE) == []
        lesson.page.screenshot(path=ARTEFACTS / f"jupyterlab-{place}.png")
        lesson.page.set_viewport_size({**size, "height": TALL["height"]})
        lesson.picture(f"{place}-lab")
    finally:
        lesson.page.set_viewport_size(TALL)
        lesson.page.evaluate("() => { jupyterapp.shell.expandLeft(); }")


# --- predictions and exercises ------------------------------------------------------------------------


def test_a_prediction_is_clicked_and_answered_at_the_evidence(lesson):
    question, answer = (lesson.page.locator(f"{node}.mlab-question").first for node in ("form", "div"))
    signs = []
    for number, option in enumerate(question.locator(".mlab-option").all(), start=1):
        option.click()
        expect(answer).to_have_text(re.compile(rf"^[✓✗] You chose {number}\. "))
        signs.append(answer.text_content()[0])
    assert signs.count("✓") == 1 < len(signs)
    answer.screenshot(path=ARTEFACTS / "jupyterlab-answer.png")


def test_a_right_answer_typed_into_an_exercise_is_praised(lesson):
    solution = exercises(lesson)[0]
    name = re.search(r"check\.(\w+)\(", solution)[1]
    expect(lesson.answer(name, solution)).to_have_text(re.compile(f"^✓ {name}: right"))
