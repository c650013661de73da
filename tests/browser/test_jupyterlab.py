"""The lesson in the real JupyterLab, as `make lab` serves it: one server, one page and one kernel for all tests."""

import linecache
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from masklab.check import attention_padding as check
from masklab.labs.attention_padding import State, draw
from masklab.labs.controls import BadInput
from masklab.labs.sentences import SENTENCES
from masklab.panels import number
from tests.browser import lab as labs
from tests.browser.lab import ROOT, WAIT_MS, settled, shown_by, state_with, wait_until_shown
from tests.browser.page import ARTEFACTS
from tests.browser.server import (
    CELLS,
    RUN_MS,
    Server,
    jupyterlab,
    record_requests,
    run_all,
    transcript,
    wait_for_kernel,
)

expect.set_options(timeout=WAIT_MS)
REPOSITORY = Path(__file__).parents[2]
LESSON = "notebooks/05_attention_padding.ipynb"
SOLVED = "notebooks/solutions/05_attention_padding.ipynb"
LAPTOP = {"width": 1280, "height": 720}
TALL = {"width": 1280, "height": 1800}  # a whole lab fits: no scrolling, so a picture of it is always the same
# Console errors that are no fault of ours, by their beginnings, each with its reason.
ALLOWED_ERRORS = (
    # JupyterLab's own debugger asks a kernel that is being restarted, and says so when it gets no answer.
    "console: Could not restore the debugger state",
)


@dataclass(frozen=True)
class Lesson:
    """The page with the lesson in it, and all that it complained of or asked for."""

    page: Page
    start: dict
    requests: list[str]
    errors: list[str] = field(default_factory=list)

    @property
    def lab(self) -> Locator:
        """The lab's root."""
        return self.page.locator(ROOT).first

    def box(self, i: int = 0) -> Locator:
        """The box of sentence ``i``."""
        return self.lab.locator(".mlab-text").nth(i)

    def cell(self, panel: str, query: int, key: int) -> Locator:
        """One cell of a panel."""
        return self.lab.locator(f".mlab-step[data-name={panel}] tbody tr").nth(query).locator(".mlab-cell").nth(key)

    def output(self) -> list[list[str]]:
        """The rows of the output panel."""
        return self.lab.evaluate(labs.READ)["panels"]["output"]

    def shows(self, **changes) -> None:
        """Wait until the lab shows what it should for its first state with these changes."""
        wait_until_shown(self.page, shown_by(state_with(**changes)))

    def mend(self) -> None:
        """Open the lesson's file again if a failed test has left the notebook with other cells."""
        if self.page.evaluate("() => jupyterapp.shell.currentWidget.content.widgets.length") != self.start["cells"]:
            self.page.evaluate("() => jupyterapp.shell.currentWidget.context.revert()")
            run_all(self.page)

    def reset(self) -> None:
        """Back to the state at first sight."""
        self.lab.get_by_role("button", name="Reset").click()
        self.shows()

    def choose(self, name: str) -> None:
        """Click a radio button or a switch by its label."""
        self.show_more()
        self.lab.get_by_label(name, exact=True).click()  # it may lie over its words

    def show_more(self) -> None:
        """Show the controls that are rarely used, too."""
        button = self.lab.locator(".mlab-more-button[aria-expanded=false]")
        if button.is_visible():
            button.click()

    def picture(self, name: str) -> None:
        """Keep a picture of the whole lab among the test artefacts."""
        settled(self.lab).screenshot(path=ARTEFACTS / f"jupyterlab-{name}.png")


# --- the course, as `make lab` serves it --------------------------------------------------------------


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    """A copy of what a learner opens: JupyterLab writes into it."""
    folder = tmp_path_factory.mktemp("course")
    for name in ("notebooks", "figures"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    for name in ("README.md", "Makefile"):
        shutil.copy(REPOSITORY / name, folder)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.fixture(scope="module")
def server(course, browser) -> Iterator[Server]:
    """The server that `make lab` starts in the copy."""
    with jupyterlab(course, command=make_lab(course)) as server:
        yield server


def make_lab(folder: Path) -> list[str]:
    """The command that `make lab` runs; what is added to its end comes where ARGS would."""
    ask = ["make", "--silent", "--dry-run", "--old-file=.venv/.done", "lab", 'ARGS="$$@"']
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    recipe = subprocess.run(ask, cwd=folder, env=clean, capture_output=True, text=True, check=True).stdout
    return ["sh", "-c", "exec " + recipe[recipe.index(".venv/bin/jupyter-lab") :], "make lab"]


@pytest.fixture(scope="module")
def opened(server, browser) -> Iterator[Lesson]:
    """The lesson, opened from the start page by its link, with every cell run."""
    ARTEFACTS.mkdir(exist_ok=True)
    context = browser.new_context(viewport=TALL)
    context.set_default_timeout(RUN_MS)  # a busy machine is slow to start
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    lesson = Lesson(page=page, start={}, requests=record_requests(page))
    page.on("pageerror", lambda error: lesson.errors.append(f"uncaught: {error}"))
    page.on("console", lambda message: message.type == "error" and lesson.errors.append(f"console: {message.text}"))
    page.goto(server.address())
    wait_for_kernel(page)
    lesson.start.update(page.evaluate(START_PAGE))
    page.screenshot(path=ARTEFACTS / "jupyterlab-start.png")
    page.get_by_role("link", name="lesson 05").first.click()
    page.wait_for_function("(path) => jupyterapp.shell.currentWidget?.context?.path === path", arg=LESSON)
    run_all(page)
    expect(lesson.lab).to_have_count(1)
    lesson.start["cells"] = len(page.evaluate(NOTEBOOK)["cells"])
    yield lesson
    context.close()


START_PAGE = """async () => {
  const settings = await jupyterapp.serviceManager.settings.fetch("@jupyterlab/apputils-extension:notification");
  return {
    path: jupyterapp.shell.currentWidget.context.path,
    popups: [...document.querySelectorAll(".Toastify__toast, .jp-Dialog")].map((node) => node.textContent),
    news: settings.schema.properties.fetchNews.default,
  };
}"""


@pytest.fixture
def lesson(opened) -> Iterator[Lesson]:
    """The lesson with its lab as at first sight; the test fails if the page complains or asks another machine."""
    opened.mend()
    opened.reset()
    yield opened
    assert complaints(opened) == []
    assert elsewhere(opened.requests) == []


def complaints(lesson: Lesson) -> list[str]:
    """The console errors and uncaught exceptions that have no excuse."""
    return [error for error in lesson.errors if not error.startswith(ALLOWED_ERRORS)]


def elsewhere(urls: list[str]) -> list[str]:
    """The addresses that are not on this machine."""
    here = {"127.0.0.1", "localhost"}
    return [url for url in urls if urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).hostname not in here]


def test_the_recorders_hear_an_error_and_a_request_elsewhere(lesson):
    lesson.page.route("http://elsewhere.invalid/*", lambda route: route.abort())
    lesson.page.evaluate("() => console.error('canary')")
    lesson.page.evaluate("() => fetch('http://elsewhere.invalid/x').catch(Boolean)")
    lesson.page.evaluate("() => new Promise((done) => setTimeout(() => { done(); throw Error('thrown'); }))")
    lesson.page.wait_for_function("() => true")  # the events above come before this answer
    heard = [error.partition(":")[2].strip() for error in complaints(lesson)]
    assert "canary" in heard and "thrown" in heard
    assert elsewhere(lesson.requests) == ["http://elsewhere.invalid/x"]
    lesson.errors.clear()
    lesson.requests.clear()


# --- opening and running ------------------------------------------------------------------------------


def test_make_lab_opens_the_start_page_with_no_pop_up(opened):
    assert opened.start["path"] == "notebooks/00_start_here.ipynb"
    assert opened.start["popups"] == []
    assert opened.start["news"] == "false"


def test_every_cell_runs_and_each_check_says_that_its_exercise_is_open(lesson):
    cells = lesson.page.evaluate(CELLS)
    assert [cell["count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert transcript(cells).count("○") == 5
    assert transcript(cells).count("not attempted yet") == 5


def test_every_picture_of_the_lesson_is_loaded(lesson):
    lesson.page.wait_for_function(
        "() => [...document.querySelectorAll('.jp-RenderedMarkdown img')].every((image) => image.complete)"
    )
    widths = lesson.page.locator(".jp-RenderedMarkdown img").evaluate_all("all => all.map((i) => i.naturalWidth)")
    assert len(widths) >= 6 and all(widths)


# --- typing -------------------------------------------------------------------------------------------


def test_typing_moves_the_chips_the_words_the_ids_and_the_pixels(lesson):
    before = pixels(lesson)
    assert pixels(lesson) == before  # so a difference is one of the picture
    lesson.picture("light")
    lesson.box().click()
    lesson.page.keyboard.press("End")
    lesson.page.keyboard.type(" soup")
    lesson.shows(sentences=["The cat ate soup", *SENTENCES[1:]])
    after = pixels(lesson)
    assert {name for name in before if before[name] == after[name]} == set()
    lesson.picture("typed")


def pixels(lesson: Lesson) -> dict[str, bytes]:
    """A picture of each panel, and of the chips."""
    settled(lesson.lab).scroll_into_view_if_needed()
    parts = {name: f".mlab-step[data-name={name}]" for name in ("scores", "mask", "masked", "weights", "output")}
    parts["chips"] = ".mlab-chips"
    return {name: lesson.lab.locator(part).first.screenshot() for name, part in parts.items()}


def test_what_is_typed_in_the_middle_is_kept_and_the_caret_stays(lesson):
    text = "The hungry black cat ate"
    lesson.box().click()
    lesson.page.keyboard.press("Home")
    for _ in range(4):
        lesson.page.keyboard.press("ArrowRight")
    lesson.page.keyboard.type("hungry  black ")
    lesson.shows(sentences=["The hungry  black cat ate", *SENTENCES[1:]])
    assert lesson.box().evaluate("box => [box.value, box.selectionStart, box.selectionEnd]") == [
        text.replace("y ", "y  "), 18, 18,
    ]  # fmt: skip
    assert lesson.box().evaluate("box => box === document.activeElement")


def test_sentences_are_added_chosen_and_removed(lesson):
    lesson.lab.get_by_role("button", name="+ add sentence").click()
    lesson.page.keyboard.type("A dog")
    lesson.shows(sentences=[*SENTENCES, "A dog"], shown=3)  # what is typed is shown
    for shown in (0, 3):
        lesson.lab.get_by_role("radio", name=f"show sentence {shown + 1}").click()
        lesson.shows(sentences=[*SENTENCES, "A dog"], shown=shown)
    lesson.lab.get_by_role("button", name="remove sentence 2").click()
    lesson.shows(sentences=[SENTENCES[0], SENTENCES[2], "A dog"], shown=2)


# --- pointing -----------------------------------------------------------------------------------------


def test_pointing_at_a_cell_lights_the_same_words_everywhere_and_says_them(lesson):
    lesson.cell("weights", 2, 3).hover()
    assert lesson.lab.evaluate(labs.LIT) == {
        "panels": {**dict.fromkeys(("scores", "mask", "masked", "weights"), [[2], [3]]), "output": [[2], []]},
        "query": 2,
        "key": 3,
    }  # fmt: skip
    expect(lesson.lab.locator(".mlab-status")).to_have_text(
        f"query ate → key [PAD]: blocked, score {value('scores', 2, 3)} → −∞, weight 0.00"
    )
    lesson.page.screenshot(path=ARTEFACTS / "jupyterlab-pointing.png")


def value(panel: str, row: int, column: int, **changes) -> str:
    """A number as the lab must write it."""
    found = next(p for p in draw(State().changed(state_with(**changes))).panels if p.name == panel)
    return number(found.values[row, column], found.kind)


def test_pointing_at_a_chip_lights_its_row_and_its_column(lesson):
    lesson.lab.locator("[data-shown] .mlab-chip").nth(1).hover()
    lit = lesson.lab.evaluate(labs.LIT)
    assert (lit["query"], lit["key"], lit["panels"]["weights"]) == (1, 1, [[1], [1]])


# --- the keyboard alone -------------------------------------------------------------------------------

FOCUSED = """() => {
  const node = document.activeElement;
  const panel = node.closest(".mlab-step")?.dataset.name;
  const name = node.getAttribute("aria-label") ?? node.closest("label")?.textContent ?? node.textContent;
  return node.closest(".mlab-root") ? (panel ? `panel ${panel}` : name.trim()) : "outside";
}"""


def tab_to(page: Page, name: str, *, key: str = "Tab") -> list[str]:
    """Press Tab until something has the focus; return all that had it on the way."""
    passed = []
    while not passed or not passed[-1].startswith(name):
        page.keyboard.press(key)
        passed.append(page.evaluate(FOCUSED))
        assert len(passed) < 40, f"Tab never came to {name!r}: {passed}"
    return passed


STOPS = ["sentence 2", "sentence 3", "+ add sentence", "mask columns", "right", "Embedding of [PAD]", "Seed",
         "Show Q, K and V", "Show as text", "Predict first", "Reset", "panel scores", "panel mask",
         "panel masked", "panel weights", "panel output"]  # fmt: skip


def test_tab_reaches_every_control_and_every_panel(lesson):
    lesson.show_more()
    lesson.box().focus()
    passed = tab_to(lesson.page, STOPS[-1])
    assert [stop for stop in STOPS if not any(name.startswith(stop) for name in passed)] == []
    assert [name for name in passed if name.startswith("panel")] == STOPS[-5:]  # one stop a panel, in order
    assert "outside" not in passed


def test_predict_first_with_the_keyboard_alone(lesson):
    keyboard = lesson.page.keyboard
    lesson.box().focus()
    tab_to(lesson.page, "Predict first")
    keyboard.press("Space")
    lesson.shows(predict=True)
    tab_to(lesson.page, "panel mask")
    keyboard.press("End")
    painted = []
    for row, down in enumerate([False, True, True, True, True]):
        if down:
            keyboard.press("ArrowDown")
        keyboard.press("Space")
        painted.append([row, 4])
    keyboard.press("ArrowLeft")
    keyboard.press("Enter")
    painted.append([4, 3])
    lesson.shows(predict=True, painted=painted)
    expect(lesson.lab.locator(".mlab-status")).to_have_text(
        f"query [PAD] → key [PAD]: blocked, score {value('scores', 4, 3)} → −∞, weight 0.00"
    )
    tab_to(lesson.page, "Reveal", key="Shift+Tab")
    keyboard.press("Space")
    lesson.shows(predict=True, reveal=True, painted=painted)
    expect(lesson.lab.locator(".mlab-summary")).to_have_text(
        "You blocked 6 of the 10 cells to block (✓ 6, ✗ 4 missed), and 0 too many (!)."
    )


NOTEBOOK = """() => {
  const notebook = jupyterapp.shell.currentWidget.content;
  const cells = notebook.widgets.map(({ model }) => [model.type, model.sharedModel.getSource(), model.executionCount]);
  return { cells, active: notebook.activeCellIndex, mode: notebook.mode, selected: notebook.selectedCells.length };
}"""
KEYS = ["a", "b", "x", "c", "v", "d", "d", "y", "m", "r", "z", "ArrowDown", "ArrowUp", "j", "k", "Shift+M", "0", "0",
        "Escape", "Shift+ArrowDown", "Shift+Enter", "Alt+Enter", "Control+Enter", "Control+A", "Control+Backspace",
        "Control+Shift+M", "Control+Shift+ArrowDown"]  # fmt: skip


@pytest.mark.parametrize("place", ["tbody .mlab-cell", "[data-shown] .mlab-chip", "input[type=range]", "[role=switch]"])
def test_no_shortcut_of_jupyterlab_fires_from_the_lab(lesson, place):
    lesson.lab.locator(place).first.click()
    before = lesson.page.evaluate(NOTEBOOK)
    for key in KEYS:
        lesson.page.keyboard.press(key)
        assert lesson.page.evaluate(FOCUSED) != "outside", f"{key} took the focus out of the lab"
        assert lesson.page.evaluate(NOTEBOOK) == before, f"{key} did something to the notebook"


def test_shift_enter_in_a_sentence_box_does_not_run_the_cell_again(lesson):
    lesson.box().click()
    before = lesson.page.evaluate(NOTEBOOK)
    for key in ("Shift+Enter", "Control+Enter", "Escape", "End"):
        lesson.page.keyboard.press(key)
    lesson.page.keyboard.type("x")
    lesson.shows(sentences=["The cat atex", *SENTENCES[1:]])
    assert lesson.page.evaluate(NOTEBOOK) == before


# --- what the lesson is about ---------------------------------------------------------------------------


def test_with_the_mask_only_the_pads_follow_the_slider_and_without_it_every_word_does(lesson):
    masked = lesson.output()
    slide(lesson, "End")
    lesson.shows(pad=3)
    moved = lesson.output()
    assert moved[:3] == masked[:3]
    assert all(now != then for now, then in zip(moved[3:], masked[3:], strict=True))
    lesson.choose("no mask")
    lesson.shows(pad=3, mask="none")
    unmasked = lesson.output()
    slide(lesson, "Home")
    lesson.shows(pad=-3, mask="none")
    assert all(now != then for now, then in zip(lesson.output(), unmasked, strict=True))


def slide(lesson: Lesson, key: str) -> None:
    """Move the slider of [PAD] with a key."""
    lesson.lab.locator("input[type=range]").focus()
    lesson.page.keyboard.press(key)


def test_masking_rows_too_gives_nan_and_says_so(lesson):
    lesson.choose("mask rows and columns")
    lesson.shows(mask="both")
    assert lesson.output()[3:] == [["NaN"] * 4] * 2
    lesson.picture("nan")


def test_left_padding_and_all_that_can_be_shown(lesson):
    lesson.choose("left")
    lesson.choose("Show Q, K and V")
    lesson.shows(side="left", qkv=True)
    lesson.choose("Show as text")
    expect(lesson.lab.locator(".mlab-text-twin")).to_contain_text("weights")
    lesson.picture("everything")


# --- predict first, by mouse --------------------------------------------------------------------------


def test_predict_first_by_dragging(lesson):
    lesson.choose("Predict first")
    lesson.shows(predict=True)
    drag(lesson, (0, 4), (3, 4))
    lesson.shows(predict=True, painted=[[r, 4] for r in range(4)])
    drag(lesson, (0, 2), (0, 3))
    lesson.shows(predict=True, painted=[*([r, 4] for r in range(4)), [0, 2], [0, 3]])
    lesson.picture("painting")
    lesson.choose("Reveal")
    expect(lesson.lab.locator(".mlab-summary")).to_have_text(
        "You blocked 5 of the 10 cells to block (✓ 5, ✗ 5 missed), and 1 too many (!)."
    )
    signs = [lesson.cell("mask", *at).get_attribute("data-mark") for at in ((0, 4), (4, 4), (0, 2), (0, 0))]
    assert signs == ["✓", "✗", "!", None]
    lesson.picture("revealed")


def drag(lesson: Lesson, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Paint from one cell of the mask to another with the button held."""
    lesson.cell("mask", *start).scroll_into_view_if_needed()
    lesson.cell("mask", *start).hover()
    lesson.page.mouse.down()
    rows = range(start[0], end[0] + 1)
    for at in [(row, column) for row in rows for column in range(start[1], end[1] + 1)]:
        lesson.cell("mask", *at).hover()
    lesson.page.mouse.up()


# --- looks --------------------------------------------------------------------------------------------


@pytest.fixture(params=["Dark", "Light"], scope="module")
def theme(request, opened) -> Iterator[str]:
    """JupyterLab in a theme; the light one comes last, and stays for the other tests."""
    change_theme(opened.page, f"JupyterLab {request.param}")
    yield request.param.lower()


def change_theme(page: Page, name: str) -> None:
    """Change JupyterLab's theme and wait for its style sheet."""
    page.evaluate("(theme) => { jupyterapp.commands.execute('apputils:change-theme', { theme }); }", name)
    page.wait_for_function("(name) => document.body.dataset.jpThemeName === name", arg=name)
    page.wait_for_function(
        "(isDark) => (parseInt(getComputedStyle(document.body).getPropertyValue('--jp-layout-color1').slice(1, 3), 16)"
        " < 128) === isDark",
        arg="Dark" in name,
    )


def test_every_number_lies_within_its_cell(lesson):
    lesson.choose("Show Q, K and V")
    lesson.shows(qkv=True)
    assert settled(lesson.lab).evaluate(labs.SPILLED) == []


@pytest.mark.parametrize("mask", ["columns", "both"])
def test_all_text_has_contrast_enough(lesson, theme, mask):
    lesson.choose({"columns": "mask columns", "both": "mask rows and columns"}[mask])
    lesson.shows(mask=mask)
    settled(lesson.lab)
    found = lesson.lab.evaluate(labs.CONTRAST)
    assert len(found) > 50
    assert [low for low in found if low[0] < 4.5] == []
    for painted, themed in lesson.lab.evaluate(labs.PAINTED):
        assert painted == themed  # the theme reached the canvas
    lesson.picture(f"{theme}-{mask}")


def test_axe_finds_no_serious_violation(lesson, theme):
    lesson.choose("Show as text")
    lesson.choose("Predict first")
    lesson.shows(predict=True, text=True)
    drag(lesson, (0, 3), (2, 3))
    lesson.shows(predict=True, text=True, painted=[[0, 3], [1, 3], [2, 3]])
    assert violations(lesson) == []
    lesson.choose("Reveal")
    lesson.shows(predict=True, text=True, reveal=True, painted=[[0, 3], [1, 3], [2, 3]])
    assert violations(lesson) == []


def violations(lesson: Lesson) -> list[tuple]:
    """What axe-core finds in the lab that is serious or critical."""
    settled(lesson.lab)
    found = Axe().run(lesson.page, context=ROOT).response
    assert found["testEngine"]["name"] == "axe-core"
    return [(rule["id"], node["html"], node["failureSummary"]) for rule in found["violations"]
            if rule["impact"] in ("serious", "critical") for node in rule["nodes"]]  # fmt: skip


# A projector of 1920×1080 at a zoom of 150 % has as many CSS pixels as a small laptop; in class the sidebar is closed.
PLACES = {"laptop": (LAPTOP, True), "projector": (LAPTOP, False), "tablet": ({"width": 1024, "height": 768}, False)}


@pytest.mark.parametrize("place", PLACES)
def test_the_lab_fits_its_place(lesson, place):
    size, sidebar = PLACES[place]
    if not sidebar:
        lesson.page.evaluate("() => { jupyterapp.shell.collapseLeft(); }")
    try:
        lesson.page.set_viewport_size(size)
        lesson.box().click()
        assert settled(lesson.lab).evaluate(labs.TOO_WIDE) == []
        lesson.page.screenshot(path=ARTEFACTS / f"jupyterlab-{place}.png")
        lesson.page.set_viewport_size({**size, "height": TALL["height"]})
        lesson.picture(f"{place}-lab")
    finally:
        lesson.page.set_viewport_size(TALL)
        lesson.page.evaluate("() => { jupyterapp.shell.expandLeft(); }")


# --- bad input ----------------------------------------------------------------------------------------

BAD = {
    "script": "<script>globalThis.ran = true</script> <b>cat</b>",
    "onerror": '"><img src=nowhere onerror="globalThis.ran=true"> cat',
    "entities": "&lt;b&gt; &amp; 'cat' \"ate\" \\n {} $& %s",
    "spaces": "      ",
    "emoji": "The 🐈‍⬛ ate 👩🏽‍🚀 🇳🇱",
    "right to left": "القطة أكلت \u202eshif\u202c חתול",
    "combining marks": "Z̷̨̛a̴̡l̵̛g̸o ate e\u0301",
    "a typed [PAD]": "The [PAD] ate",
    "one endless word": "x" * 10_000,
    "too many words": "word " * 2_000,
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_bad_input_is_kept_and_shown_as_text(lesson, text):
    lesson.box().click()
    lesson.page.keyboard.press("Control+A")
    paste(lesson.page, text)
    wait_until_shown(lesson.page, shown_or_problem(sentences=[text, *SENTENCES[1:]]))
    assert lesson.box().input_value() == text
    assert lesson.page.evaluate("() => globalThis.ran") is None
    assert lesson.lab.locator("script, img, b, iframe, a").count() == 0
    assert lesson.lab.evaluate(labs.TOO_WIDE) == []


def paste(page: Page, text: str) -> None:
    """Put a text on the clipboard and paste it with the keyboard."""
    page.evaluate("(text) => navigator.clipboard.writeText(text)", text)
    page.keyboard.press("Control+V")


def shown_or_problem(**changes) -> dict:
    """What the lab must show for a state: its picture, or the first one with a sentence about the problem."""
    try:
        return shown_by(state_with(**changes))
    except BadInput as problem:
        return shown_by(state_with()) | {"problem": f"⚠ {problem}"}


def test_markup_typed_letter_by_letter_never_runs(lesson):
    text = "<img src=x onerror=globalThis.ran=true>"
    lesson.box().fill("")
    lesson.box().press_sequentially(text)
    lesson.shows(sentences=[text, *SENTENCES[1:]])
    assert lesson.box().input_value() == text
    assert lesson.page.evaluate("() => globalThis.ran") is None
    assert lesson.lab.locator("img").count() == 0


def test_no_word_at_all_keeps_the_last_picture_and_says_why(lesson):
    for i in (3, 2):
        lesson.lab.get_by_role("button", name=f"remove sentence {i}").click()
    lesson.shows(sentences=[SENTENCES[0]])
    lesson.box().fill("   ")
    problem = "⚠ There is no word yet: type at least one to see the picture again."
    wait_until_shown(lesson.page, shown_by(state_with(sentences=[SENTENCES[0]])) | {"problem": problem})
    assert lesson.box().input_value() == "   "
    lesson.picture("problem")
    lesson.box().fill("cat")
    lesson.shows(sentences=["cat"])


def test_256_words_are_drawn_on_canvases(lesson):
    text = " ".join(f"word{i}" for i in range(256))
    lesson.box().fill(text)
    expect(lesson.lab.locator(".mlab-sentence-note").first).to_have_text("256 of 256 are words")
    drawn = lesson.lab.locator(".mlab-step").evaluate_all("all => all.map((step) => step.dataset.drawn)")
    assert drawn == ["canvas"] * 5
    assert lesson.box().input_value() == text
    lesson.lab.locator("canvas").nth(3).hover(position={"x": 100, "y": 100})
    expect(lesson.lab.locator(".mlab-status")).to_contain_text(re.compile(r"^query word\d+ → key word\d+: score"))
    lesson.picture("256")


# --- exercises ----------------------------------------------------------------------------------------

CELL_WITH = """(code) => jupyterapp.shell.currentWidget.content.widgets.findIndex(
  ({ model }) => model.type === "code" && model.sharedModel.getSource().includes(code)
)"""
WRONG = {
    "pads on the other side": "torch.arange(total) < lengths[:, None]",
    "off by one": "torch.arange(total) > total - lengths[:, None]",
    "an error": "lengths.no_such_thing",
}


def test_a_right_answer_typed_into_an_exercise_is_praised(lesson):
    cells = nbformat.read(REPOSITORY / SOLVED, as_version=4).cells
    solution = next(cell.source for cell in cells if "check.word_mask(" in cell.source)
    expect(answer(lesson, solution)).to_have_text(re.compile("^✓ word_mask: right"))


@pytest.mark.parametrize("line", WRONG.values(), ids=WRONG)
def test_a_wrong_answer_typed_into_an_exercise_is_explained(lesson, line):
    function = f"def word_mask(lengths, total):\n    return {line}"
    names: dict = {"torch": torch}
    linecache.cache["cell"] = (0, None, function.splitlines(keepends=True), "cell")  # an error names its line
    exec(compile(function, "cell", "exec"), names)
    expected = repr(check.word_mask(names["word_mask"]))
    assert expected.startswith("✗ word_mask: ")
    said = answer(lesson, f"{function}\n\n\ncheck.word_mask(word_mask)")
    expect(said).to_have_text(expected)
    cell = said.locator("xpath=ancestor::*[contains(@class, 'jp-CodeCell')]")
    expect(cell.locator(".jp-OutputArea-output img")).to_have_count(0 if "raised" in expected else 1)
    cell.screenshot(path=ARTEFACTS / "jupyterlab-exercise.png")


def answer(lesson: Lesson, code: str) -> Locator:
    """Type code over the first exercise and run it; return the sentence that its check prints."""
    index = lesson.page.evaluate(CELL_WITH, "check.word_mask(")
    cell = lesson.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell").nth(index)
    cell.locator(".cm-content").click()
    lesson.page.keyboard.press("Control+A")
    lesson.page.keyboard.insert_text(code)
    lesson.page.keyboard.press("Control+Enter")
    return cell.locator(".jp-OutputArea-output pre").first


# --- again --------------------------------------------------------------------------------------------

AT_CELL = """([index, command]) => {
  jupyterapp.shell.currentWidget.content.activeCellIndex = index;
  globalThis.done = false;
  jupyterapp.commands.execute(command).finally(() => (globalThis.done = true));
}"""


def at_the_lab(lesson: Lesson, command: str) -> None:
    """Do a command of JupyterLab at the cell of the lab."""
    index = lesson.page.evaluate(CELL_WITH, "attention_padding.lab()")
    lesson.page.evaluate(AT_CELL, [index, command])
    lesson.page.wait_for_function("() => done", timeout=RUN_MS)


def test_the_cell_of_the_lab_can_be_run_again_and_again(lesson):
    for i in range(2):
        lesson.box().fill(f"something else {i}")
        lesson.shows(sentences=[f"something else {i}", *SENTENCES[1:]])
        at_the_lab(lesson, "notebook:run-cell")
        wait_for_kernel(lesson.page)
        expect(lesson.page.locator(ROOT)).to_have_count(1)
        lesson.shows()


def test_a_second_view_of_the_same_lab_stays_in_step(lesson):
    at_the_lab(lesson, "notebook:create-output-view")
    expect(lesson.page.locator(ROOT)).to_have_count(2)
    try:
        lesson.page.locator(ROOT).nth(1).locator(".mlab-text").first.fill("The dog")
        for root in (0, 1):
            wait_until_shown(lesson.page, shown_by(state_with(sentences=["The dog", *SENTENCES[1:]])), root=root)
            assert lesson.page.locator(ROOT).nth(root).locator(".mlab-text").first.input_value() == "The dog"
    finally:
        lesson.page.evaluate("() => { jupyterapp.shell.currentWidget.close(); }")
        expect(lesson.page.locator(ROOT)).to_have_count(1)


def test_restart_and_run_all_brings_a_fresh_lab(lesson):
    lesson.box().fill("something else")
    lesson.page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    run_all(lesson.page)
    expect(lesson.page.locator(ROOT)).to_have_count(1)
    lesson.shows()
    lesson.box().fill("The dog")
    lesson.shows(sentences=["The dog", *SENTENCES[1:]])
