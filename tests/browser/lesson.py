"""A lesson in the real JupyterLab, as `make lab` serves it: opened from the start page, every cell run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.lab import ROOT, LabPage, settled
from tests.browser.page import ARTEFACTS
from tests.browser.server import RUN_MS, Server, record_requests, run_all, wait_for_kernel
from tests.lessons import SOURCES, labs

REPOSITORY = Path(__file__).parents[2]
LESSONS = {name: SOURCES[name].stem for name in labs() if name in SOURCES}
TALL = {"width": 1280, "height": 1800}  # a whole lab fits: no scrolling, so a picture of it is always the same
# Console errors that are no fault of ours, by their beginnings, each with its reason.
ALLOWED_ERRORS = (
    # JupyterLab's own debugger asks a kernel that is being restarted, and says so when it gets no answer.
    "console: Could not restore the debugger state",
)
START_PAGE = """async () => {
  const settings = await jupyterapp.serviceManager.settings.fetch("@jupyterlab/apputils-extension:notification");
  return {
    path: jupyterapp.shell.currentWidget.context.path,
    popups: [...document.querySelectorAll(".Toastify__toast, .jp-Dialog")].map((node) => node.textContent),
    news: settings.schema.properties.fetchNews.default,
  };
}"""
NOTEBOOK = """() => {
  const notebook = jupyterapp.shell.currentWidget.content;
  const cells = notebook.widgets.map(({ model }) => [model.type, model.sharedModel.getSource(), model.executionCount]);
  return { cells, active: notebook.activeCellIndex, mode: notebook.mode, selected: notebook.selectedCells.length };
}"""
CELL_WITH = """(code) => jupyterapp.shell.currentWidget.content.widgets.findLastIndex(
  ({ model }) => model.type === "code" && model.sharedModel.getSource().includes(code)
)"""
AT_CELL = """([index, command]) => {
  jupyterapp.shell.currentWidget.content.activeCellIndex = index;
  globalThis.done = false;
  jupyterapp.commands.execute(command).finally(() => (globalThis.done = true));
}"""


@dataclass(frozen=True)
class Lesson(LabPage):
    """The page with the lesson and its lab in it, and all that the page complained of or asked for."""

    start: dict = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """As at first sight; open the file again if a failed test has left the notebook with other cells."""
        if self.page.evaluate("() => jupyterapp.shell.currentWidget.content.widgets.length") != self.start["cells"]:
            self.page.evaluate("() => jupyterapp.shell.currentWidget.context.revert()")
            run_all(self.page)
        self.reset()

    def end(self) -> None:
        """Fail if the page complained, or asked another machine."""
        assert self.complaints() == []
        assert self.elsewhere() == []

    def complaints(self) -> list[str]:
        """The console errors and uncaught exceptions that have no excuse."""
        return [error for error in self.errors if not error.startswith(ALLOWED_ERRORS)]

    def elsewhere(self) -> list[str]:
        """The addresses that were asked and are not on this machine."""
        here = {"127.0.0.1", "localhost"}
        asked = [urlsplit(url) for url in self.requests]
        return [url.geturl() for url in asked if url.scheme not in ("data", "blob") and url.hostname not in here]

    def count(self) -> Locator:
        """All labs on the page."""
        return self.page.locator(ROOT)

    def at_the_lab(self, command: str) -> None:
        """Do a command of JupyterLab at the cell of the whole lab, the last one with a lab."""
        index = self.page.evaluate(CELL_WITH, f"{self.name}.lab(")
        self.page.evaluate(AT_CELL, [index, command])
        self.page.wait_for_function("() => done", timeout=RUN_MS)

    def answer(self, exercise: str, code: str) -> Locator:
        """Type code over an exercise and run it; return the sentence that its check prints."""
        index = self.page.evaluate(CELL_WITH, f"check.{exercise}(")
        cell = self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell").nth(index)
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(code)
        self.page.keyboard.press("Control+Enter")
        return cell.locator(".jp-OutputArea-output pre").first

    def picture(self, name: str) -> None:
        """Keep a picture of the whole lab among the test artefacts."""
        settled(self.lab).screenshot(path=ARTEFACTS / f"jupyterlab-{self.name}-{name}.png")


@contextmanager
def open_lesson(browser: Browser, server: Server, name: str) -> Iterator[Lesson]:
    """The lesson, opened from the start page by its link, with every cell run."""
    ARTEFACTS.mkdir(exist_ok=True)
    context = browser.new_context(viewport=TALL)
    context.set_default_timeout(RUN_MS)  # a busy machine is slow to start
    page = context.new_page()
    requests, errors, start = record_requests(page), [], {}
    page.on("pageerror", lambda error: errors.append(f"uncaught: {error}"))
    page.on("console", lambda message: message.type == "error" and errors.append(f"console: {message.text}"))
    page.request.delete(server.workspace)  # or JupyterLab would open again what an earlier test had open
    page.goto(server.address())
    wait_for_kernel(page)
    start.update(page.evaluate(START_PAGE))
    page.screenshot(path=ARTEFACTS / "jupyterlab-start.png")
    path = f"notebooks/{LESSONS[name]}.ipynb"
    if path != start["path"]:  # the start page is a lesson, too
        page.locator(f".jp-RenderedMarkdown a[href*='{LESSONS[name]}.ipynb']:visible").first.click()
    page.wait_for_function("(path) => jupyterapp.shell.currentWidget?.context?.path === path", arg=path)
    run_all(page)
    expect(page.locator(ROOT).last).to_be_attached()
    start["cells"] = len(page.evaluate(NOTEBOOK)["cells"])
    start["labs"] = page.locator(ROOT).count()  # the whole lab is the last one
    yield Lesson(page, labs()[name], start["labs"] - 1, start=start, requests=requests, errors=errors)
    context.close()


def change_theme(page: Page, name: str) -> None:
    """Change JupyterLab's theme and wait for its style sheet."""
    page.evaluate("(theme) => { jupyterapp.commands.execute('apputils:change-theme', { theme }); }", name)
    page.wait_for_function("(name) => document.body.dataset.jpThemeName === name", arg=name)
    page.wait_for_function(
        "(isDark) => (parseInt(getComputedStyle(document.body).getPropertyValue('--jp-layout-color1').slice(1, 3), 16)"
        " < 128) === isDark",
        arg="Dark" in name,
    )


def copy_of_the_course(folder: Path) -> Path:
    """A copy of what a learner opens: JupyterLab writes into it."""
    for name in ("notebooks", "figures"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    for name in ("README.md", "Makefile"):
        shutil.copy(REPOSITORY / name, folder)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def make_lab(folder: Path) -> list[str]:
    """The command that `make lab` runs; what is added to its end comes where ARGS would."""
    ask = ["make", "--silent", "--dry-run", "--old-file=.venv/.done", "lab", 'ARGS="$$@"']
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    recipe = subprocess.run(ask, cwd=folder, env=clean, capture_output=True, text=True, check=True).stdout
    return ["sh", "-c", "exec " + recipe[recipe.index(".venv/bin/jupyter-lab") :], "make lab"]
