"""What all tests share: in CI, hypothesis tries the same examples in every run."""

import os

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.browser.lab", "tests.browser.lesson")  # their failures show the difference

settings.register_profile("here", deadline=None)  # the first call of a torch function may take a second
settings.register_profile("ci", parent=settings.get_profile("here"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
