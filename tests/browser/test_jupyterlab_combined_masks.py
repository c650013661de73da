"""What lesson 07 alone shows in the real JupyterLab: both themes over a wrong reader, and code that is copied."""

import pytest
from playwright.sync_api import expect

from tests.browser import lab as labs
from tests.browser.lab import WAIT_MS, settled, violations

expect.set_options(timeout=WAIT_MS)


@pytest.mark.parametrize("written", ["mha", "eager"])
def test_all_text_has_contrast_enough(lesson, theme, written):
    lesson.pick("Written for", {"mha": "MHA", "eager": "HF eager"}[written])
    lesson.pick("Read by", "SDPA")
    lesson.shows(written=written, read="sdpa")
    settled(lesson.lab)
    found = lesson.lab.evaluate(labs.CONTRAST)
    assert any("attn_mask=given" in text for _, text, _ in found)  # the code is among it
    assert [low for low in found if low[0] < 4.5] == []
    lesson.picture(f"{theme}-{written}")


def test_axe_finds_no_serious_violation(lesson, theme):
    lesson.choose("Show as text")
    lesson.choose("Predict first")
    lesson.shows(predict=True, text=True)
    lesson.drag("mask", (0, 0), (2, 0))
    painted = [[0, 0], [1, 0], [2, 0]]
    lesson.shows(predict=True, text=True, painted=painted)
    assert violations(lesson) == []
    lesson.choose("Reveal")
    lesson.shows(predict=True, text=True, reveal=True, painted=painted)
    assert violations(lesson) == []
    lesson.picture(f"{theme}-revealed")


def test_the_code_is_on_the_clipboard(lesson):
    lesson.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    lesson.pick("Written for", "MHA")
    lesson.shows(written="mha")
    lesson.lab.get_by_role("button", name="Copy").click()
    expect(lesson.lab.locator(".mlab-copy")).to_have_text("Copied ✓")
    assert lesson.page.evaluate("() => navigator.clipboard.readText()") == lesson.drawn(written="mha").code
