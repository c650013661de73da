"""One browser for all browser tests, found where it is, and a page a test."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Error, sync_playwright

from masklab.view.plain_page import FLAGS, chromium_path
from tests.browser.lab import TALL, LabPage, open_lab
from tests.browser.lesson import Lesson, change_theme, copy_of_the_course, make_lab, open_lesson
from tests.browser.server import Server, jupyterlab
from tests.lessons import labs

MISSING = (
    "no Chromium was found; install one with: apt-get install chromium (or: python -m playwright install chromium)"
)


@pytest.fixture(scope="session")
def browser():
    """A Chromium for the session; without one the tests are skipped, and under CI=true they fail."""
    with sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        except Error as error:
            stop = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            stop(MISSING if "Executable doesn't exist" in str(error) else f"Chromium did not start: {error}")
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory, browser) -> Iterator[Server]:
    """The server that `make lab` starts, in a copy of what a learner opens: JupyterLab writes into it."""
    course = copy_of_the_course(tmp_path_factory.mktemp("course"))
    with jupyterlab(course, command=make_lab(course)) as server:
        yield server


@pytest.fixture(scope="module")
def opened_lab(request, browser) -> Iterator[LabPage]:
    """A lab in a plain page; what is wrong in the page, or asked of another machine, fails the last test."""
    page = browser.new_page(viewport=TALL)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda sent: sent.url.startswith("http") and errors.append(sent.url))
    yield open_lab(page, labs()[lesson_of(request, "test_")])
    assert errors == []
    page.close()


@pytest.fixture
def lab(opened_lab) -> LabPage:
    """The lab as at first sight."""
    opened_lab.page.set_viewport_size(TALL)
    opened_lab.page.emulate_media(color_scheme="light")
    opened_lab.show_less()
    opened_lab.reset()
    return opened_lab


@pytest.fixture(scope="module")
def opened_lesson(request, server, browser) -> Iterator[Lesson]:
    """A lesson in JupyterLab, every cell run."""
    with open_lesson(browser, server, lesson_of(request, "test_jupyterlab_")) as lesson:
        yield lesson


@pytest.fixture
def lesson(opened_lesson) -> Iterator[Lesson]:
    """The lesson with its lab as at first sight; the test fails if the page complains or asks another machine."""
    opened_lesson.begin()
    yield opened_lesson
    opened_lesson.end()


@pytest.fixture(params=["Dark", "Light"], scope="module")
def theme(request, opened_lesson) -> Iterator[str]:
    """JupyterLab in a theme; the light one comes last, and stays for the other tests."""
    change_theme(opened_lesson.page, f"JupyterLab {request.param}")
    yield request.param.lower()


def lesson_of(request, start: str) -> str:
    """The lesson that a fixture is asked for by its parameter, or else by the name of the test's file."""
    return getattr(request, "param", None) or request.module.__name__.rpartition(start)[2]
