"""One browser for all browser tests, found where it is, and a page a test."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Error, sync_playwright

from masklab.view.plain_page import FLAGS, chromium_path
from tests.browser.lesson import copy_of_the_course, make_lab
from tests.browser.server import Server, jupyterlab

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
