"""One browser for all browser tests, found where it is, and a page a test."""

import os

import pytest
from playwright.sync_api import Error, sync_playwright

from masklab.view.plain_page import FLAGS, chromium_path

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
