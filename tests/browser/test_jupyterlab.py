"""Every lesson in the real JupyterLab, as `make lab` serves it: a page and a kernel a lesson."""

from collections.abc import Iterator

import nbformat
import pytest
from playwright.sync_api import expect

from tests.browser.lab import WAIT_MS, settled
from tests.browser.lesson import LESSONS, REPOSITORY, TALL, Lesson, open_lesson
from tests.browser.page import ARTEFACTS
from tests.browser.server import CELLS, run_all, transcript, wait_for_kernel

expect.set_options(timeout=WAIT_MS)
SCREEN = {"width": 1366, "height": 768}  # where the first state fits, the file browser open or not
ROOM = "() => document.querySelector('.jp-NotebookPanel:not(.lm-mod-hidden) .jp-WindowedPanel-outer').clientHeight"


@pytest.fixture(scope="module", params=LESSONS)
def opened(request, server, browser) -> Iterator[Lesson]:
    with open_lesson(browser, server, request.param) as lesson:
        yield lesson


@pytest.fixture
def lesson(opened) -> Iterator[Lesson]:
    """The lesson with its lab as at first sight; the test fails if the page complains or asks another machine."""
    opened.begin()
    yield opened
    opened.end()


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


def test_make_lab_opens_the_start_page_with_no_pop_up(opened):
    assert opened.start["path"] == "notebooks/00_start_here.ipynb"
    assert opened.start["popups"] == []
    assert opened.start["news"] == "false"


def test_every_cell_runs_and_each_check_says_that_its_exercise_is_open(lesson):
    cells = lesson.page.evaluate(CELLS)
    assert [cell["count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert transcript(cells).count("○") == exercises(lesson)
    assert transcript(cells).count("not attempted yet") == exercises(lesson) >= 1


def exercises(lesson: Lesson) -> int:
    """How many exercises the lesson has."""
    cells = nbformat.read(REPOSITORY / f"notebooks/{LESSONS[lesson.name]}.ipynb", as_version=4).cells
    return sum("exercise" in cell.metadata.get("tags", []) for cell in cells)


def test_every_picture_of_the_lesson_is_loaded(lesson):
    lesson.page.wait_for_function(
        "() => [...document.querySelectorAll('.jp-RenderedMarkdown img')].every((image) => image.complete)"
    )
    widths = lesson.page.locator(".jp-RenderedMarkdown img").evaluate_all("all => all.map((i) => i.naturalWidth)")
    source = (REPOSITORY / f"notebooks/src/{LESSONS[lesson.name]}.md").read_text(encoding="utf-8")
    assert len(widths) == source.count("![") > 0 and all(widths)


def test_typing_moves_the_chips_the_words_the_pixels(lesson):
    before = pixels(lesson)
    assert pixels(lesson) == before  # so a difference is one of the picture
    lesson.picture("light")
    lesson.box().click()
    lesson.page.keyboard.press("End")
    lesson.page.keyboard.type(" soup")
    lesson.shows(sentences=[lesson.sentences[0] + " soup", *lesson.sentences[1:]], shown=0)
    after = pixels(lesson)
    assert {name for name in before if before[name] == after[name]} == set()
    lesson.picture("typed")


def pixels(lesson: Lesson) -> dict[str, bytes]:
    """A picture of each panel, and of the chips."""
    settled(lesson.lab).scroll_into_view_if_needed()
    parts = {panel.name: f".mlab-step[data-name={panel.name}]" for panel in lesson.drawn().panels}
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


def test_the_cell_of_the_lab_can_be_run_again_and_again(lesson):
    for i in range(2):
        lesson.box().fill(f"something else {i}")
        lesson.shows(sentences=[f"something else {i}", *lesson.sentences[1:]], shown=0)
        lesson.at_the_lab("notebook:run-cell")
        wait_for_kernel(lesson.page)
        expect(lesson.count()).to_have_count(lesson.start["labs"])
        lesson.shows()


def test_restart_and_run_all_brings_a_fresh_lab(lesson):
    lesson.box().fill("something else")
    lesson.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    run_all(lesson.page)
    expect(lesson.count()).to_have_count(lesson.start["labs"])
    lesson.shows()
    lesson.box().fill("The dog")
    lesson.shows(sentences=["The dog", *lesson.sentences[1:]], shown=0)
