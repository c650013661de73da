"""Keystroke to painted pixels, in a real JupyterLab: the lab, a bare echo, and matplotlib in an Output widget."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from playwright.sync_api import Browser, Error, Page, sync_playwright

from tests.bench.report import Against
from tests.bench.sentences import letters, sentences, splits
from tests.browser.conftest import FLAGS, MISSING, chromium_path
from tests.browser.server import Server, jupyterlab, open_notebook, run_all
from tests.lessons import labs

HERE = Path(__file__).parent
KINDS = ("lab", "echo", "pyplot")
WINDOW = {"width": 1440, "height": 900}  # a laptop's
SHOWN, LONGEST = 0, 1  # which of the three sentences
PAUSE_MS = 120  # between an answer and the next key: as a fast typist, and time for the last messages to pass
TIMEOUT_MS = 60_000
KERNEL = "both => bench.kernel(both)"

Results = dict[tuple, list[float]]


@dataclass(frozen=True)
class Plan:
    """What to measure: how often to press for each kind, the widths in tokens, and the one where a word is added."""

    presses: Mapping[str, int]
    sizes: Sequence[int] = (5, 8, 16, 32, 64, 128)
    split_size: int = 8
    lab_size: int = 16  # where each lesson's lab is measured


FULL = Plan({"lab": 30, "echo": 30, "pyplot": 8})
QUICK = Plan({"lab": 8, "echo": 8, "pyplot": 3}, sizes=(5, 16, 128))


@contextmanager
def lab_server() -> Iterator[tuple[Server, Browser]]:
    """A JupyterLab that serves the bench's notebooks, and a Chromium; SystemExit, in one sentence, if there is none."""
    with TemporaryDirectory(prefix="masklab-bench-") as folder, sync_playwright() as playwright:
        for name, cells in notebooks().items():
            nbformat.write(cells, Path(folder) / f"{name}.ipynb")
        with jupyterlab(Path(folder)) as server:
            try:
                browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
            except Error as error:
                raise SystemExit(f"The keystrokes need a browser: {MISSING}") from error
            yield server, browser


def notebooks() -> dict[str, nbformat.NotebookNode]:
    """One notebook a kind, one a lesson with its lab, and one in which the steps of lesson 05's lab are timed."""
    kinds = {kind: notebook(kind) for kind in KINDS}
    lessons = {f"lab-{name}": notebook("lab", lesson=name) for name in labs()}
    return kinds | lessons | {"timed": notebook("clock", "lab")}


def notebook(*names: str, lesson: str = "attention_padding") -> nbformat.NotebookNode:
    """A notebook whose cells are the files of these names in cells/, with this lesson in the place of lesson 05."""
    sources = [(HERE / "cells" / f"{name}.py").read_text(encoding="utf-8") for name in names]
    cells = [nbformat.v4.new_code_cell(source.replace("attention_padding", lesson)) for source in sources]
    made = nbformat.v4.new_notebook(cells=cells)
    for cell in made.cells:
        cell.metadata.jupyter = {"source_hidden": True}  # the window is for what is measured
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    return made


def opened(browser: Browser, server: Server, name: str, *, scripts: Sequence[str] = ()) -> Page:
    """A notebook in a page of its own, run, ready for keys."""
    page = browser.new_context(viewport=WINDOW).new_page()
    for script in (*scripts, "page.js"):
        page.add_init_script(path=HERE / script)
    open_notebook(page, server, f"{name}.ipynb")
    run_all(page)
    return page


def measure(server: Server, browser: Browser, plan: Plan, say: Callable[[str], None]) -> Results:
    """Milliseconds of every press: {(kind, tokens, "letter" or "word"): [...]}."""
    pages = {kind: opened(browser, server, kind) for kind in KINDS}
    results = {}
    for tokens in plan.sizes:
        say(f"keystrokes at {tokens} tokens")
        results |= rounds(pages, tokens, plan, edit="letter", box=SHOWN)
    say(f"a word more or less at {plan.split_size} tokens")
    results |= rounds(pages, plan.split_size, plan, edit="word", box=LONGEST)
    for page in pages.values():
        page.context.close()
    return results


def measure_labs(server: Server, browser: Browser, plan: Plan, say: Callable[[str], None]) -> dict[str, Against]:
    """Each lesson's lab that has sentences beside the floor, a letter changed in a sentence without padding."""
    echo, results = opened(browser, server, "echo"), {}
    for name, module in labs().items():
        if not hasattr(module.State(), "sentences"):
            continue
        say(f"keystrokes in the lab of {name}")
        page = opened(browser, server, f"lab-{name}")
        found = rounds({"lab": page, "echo": echo}, plan.lab_size, plan, edit="letter", box=LONGEST)
        has_model = "models" in inspect.signature(module.lab).parameters
        results[name] = Against(*found.values(), has_model=has_model)
        page.context.close()
    echo.context.close()
    return results


def rounds(pages: Mapping[str, Page], tokens: int, plan: Plan, *, edit: str, box: int) -> Results:
    """Press keys in turn, one of each kind in a round, so that whatever else the machine does hits all alike."""
    edits = {}
    for kind, page in pages.items():
        resize(page, tokens)
        edits[kind] = {"letter": letters, "word": splits}[edit](sentences(tokens)[box if kind != "echo" else 0])
        for _ in range(2):  # the first ones fill caches
            press(page, kind, box, next(edits[kind]))
    results = {(kind, tokens, edit): [] for kind in pages}
    for number in range(max(plan.presses.values())):
        for kind in turned(list(pages), number):
            if number < plan.presses[kind]:
                stamps = press(pages[kind], kind, box, next(edits[kind]))
                results[kind, tokens, edit].append(stamps["painted"] - stamps["pressed"])
    return results


def turned(kinds: Sequence[str], by: int) -> list[str]:
    """The kinds in another order each round, so that none always comes after the slowest.

    >>> turned(["a", "b", "c"], by=4)
    ['b', 'c', 'a']
    """
    start = by % len(kinds)
    return [*kinds[start:], *kinds[:start]]


def resize(page: Page, tokens: int) -> None:
    """Show sentences of this many tokens, set from the kernel, at the top of the window; wait until they are drawn."""
    page.evaluate("() => document.activeElement.blur()")  # the lab never overwrites a box that has the focus
    page.evaluate(KERNEL, [f"resize({sentences(tokens)!r})", "'0'"])
    page.evaluate("() => bench.toTop()")
    page.wait_for_timeout(5 * PAUSE_MS)


def press(page: Page, kind: str, box: int, edit: tuple[int, int, str]) -> dict[str, float]:
    """Press one real key and wait for its answer: when it was pressed, answered and painted, in ms of the page."""
    start, end, key = edit
    page.bring_to_front()
    page.evaluate("what => bench.arm(what)", [kind, box, start, end])
    page.wait_for_timeout(PAUSE_MS)
    page.keyboard.press("Space" if key == " " else key)
    return page.evaluate("limit => bench.answerWithin(limit)", TIMEOUT_MS)
