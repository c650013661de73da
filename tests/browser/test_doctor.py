"""A report of the mask doctor in a page: its panels are live, no word in it is markup, and nothing is asked for."""

import pytest
import torch

from masklab.doctor import check_mask, diagnosis, finding


@pytest.fixture
def shown(browser):
    """A function that shows a report; what is wrong in the page, or asked of another machine, fails the test."""
    page, errors = browser.new_page(viewport={"width": 1000, "height": 800}), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda sent: sent.url.startswith("http") and errors.append(sent.url))

    def show(report):
        page.set_content(f"<!doctype html><title>notebook</title>{report._repr_html_()}")
        return page

    yield show
    assert errors == []
    page.close()


def test_the_panels_of_a_report_are_live(shown):
    page = shown(check_mask(torch.ones(4, 4, dtype=torch.bool).tril(1), causal=True))
    frame = page.frame_locator("iframe")
    frame.get_by_text("mask", exact=True).wait_for()
    assert frame.get_by_role("heading", name="view").count() == 0
    assert "Point at a cell" in frame.locator("body").inner_text()
    frame.get_by_text("True").first.hover()
    frame.locator("body").filter(has_not_text="Point at a cell").wait_for()
    assert "off-by-one" in page.inner_text("li")


def test_no_word_of_a_report_is_markup(shown):
    evil = "<img src=x onerror=\"document.title='run'\"></iframe><script>document.title='run'</script>"
    panels = check_mask(torch.ones(2, 2, dtype=torch.bool), causal=True).panels
    page = shown(diagnosis([finding("inverted", evil, where=evil)], panels, [evil]))
    page.frame_locator("iframe").get_by_text("mask", exact=True).wait_for()
    assert page.title() == "notebook" and page.locator("img").count() == 0
    assert page.frame_locator("iframe").locator("img").count() == 0
