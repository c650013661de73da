"""What can happen between a lab and its kernel, in the real JupyterLab: nothing typed is lost, and silence is said."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page, expect

from masklab.labs import attention_padding
from tests.browser.lab import ROOT, WAIT_MS, LabPage
from tests.browser.server import RUN_MS, Server, wait_for_kernel
from tests.odd import CHANGES, CONTENTS, VALUES

NOTEBOOK = "link.ipynb"
SENTENCES = attention_padding.State().sentences
LOSSY = Path(__file__).parent / "lossy.js"
CELLS = {
    "lab": "from masklab.labs import attention_padding\nlab = attention_padding.lab()\nlab",
    "sleep": "import time\ntime.sleep(20)",
    "block": "import ctypes\nctypes.PyDLL(None).usleep(5_000_000)  # with the lock that every thread of Python needs",
    "set": "lab.state = lab.state | {'sentences': ['Set in Python']}",
}
GONE = "⚠ The kernel was restarted or has ended"
SILENT = "⚠ The kernel doesn't answer."
BUSY = "⚠ The kernel is busy with another cell."
CUT = "⚠ The connection to the kernel is lost."
OFFER = "Bring back what you typed"
SOON_MS = 10_000  # 3 s (test_link.py holds the page to that) and what a busy machine needs


@pytest.fixture(scope="module")
def opened(server, browser) -> Iterator[Page]:
    """A notebook with a lab, in a page whose connection can be cut."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS.values()])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, server.folder / NOTEBOOK)
    context = browser.new_context(viewport={"width": 1280, "height": 1400})
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    page.add_init_script(path=LOSSY)
    page.on("dialog", lambda dialog: dialog.accept())
    open_apart(page, server, "one")
    yield page
    context.close()


def open_apart(page: Page, server: Server, workspace: str) -> None:
    """Open the notebook in a workspace of its own: JupyterLab would open it again for the next test, too."""
    page.goto(f"{server.url}/lab/workspaces/{workspace}/tree/{NOTEBOOK}?token={server.token}", timeout=RUN_MS)
    wait_for_kernel(page)


@pytest.fixture
def page(opened) -> Page:
    """The page with a fresh lab, and nothing kept of what was typed before."""
    opened.evaluate("() => { lossy.mend(); sessionStorage.clear(); }")
    make_lab(opened)
    return opened


def run_cell(page: Page, name: str) -> None:
    """Start a cell; it may take long."""
    page.evaluate(
        """(index) => {
          jupyterapp.shell.currentWidget.content.activeCellIndex = index;
          jupyterapp.commands.execute("notebook:run-cell");
        }""",
        list(CELLS).index(name),
    )


def make_lab(page: Page) -> None:
    """Run the lab's cell and wait until a new lab is there."""
    wait_for_kernel(page)
    page.evaluate("(root) => { for (const lab of document.querySelectorAll(root)) lab.dataset.old = true; }", ROOT)
    run_cell(page, "lab")
    expect(page.locator(f"{ROOT}:not([data-old])")).to_have_count(1, timeout=RUN_MS)
    expect(page.locator(ROOT)).to_have_count(1)
    shows(page)


def shows(page: Page, **changes) -> None:
    """Wait until the lab shows what it should for its first state with these changes."""
    expect(page.locator(ROOT)).to_have_count(1, timeout=WAIT_MS)
    LabPage(page, attention_padding).shows(**changes)


def box(page: Page, i: int = 0):
    """The box of a sentence."""
    return page.locator(".mlab-text").nth(i)


def type_in(page: Page, text: str) -> list[str]:
    """Type over the first sentence, key by key; return all sentences."""
    box(page).fill("")
    box(page).press_sequentially(text)
    return [text, *SENTENCES[1:]]


def trouble(page: Page):
    """Where the page says what is wrong."""
    return page.locator(".mlab-trouble")


def kernel(page: Page, what: str):
    """Something of the notebook's kernel."""
    return page.evaluate(f"() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.{what}")


def python(page: Page, expression: str):
    """What an expression gives in the kernel."""
    return page.evaluate(
        """async (expression) => {
          const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
          const request = { code: "", user_expressions: { it: `__import__("json").dumps(${expression})` } };
          const { content } = await kernel.requestExecute(request).done;
          return JSON.parse(content.user_expressions.it.data["text/plain"].slice(1, -1));
        }""",
        expression,
    )


def bring_back(page: Page, sentences: list[str]) -> None:
    """Run the lab's cell again: it begins as stored, and gives back what was typed."""
    make_lab(page)
    expect(trouble(page)).to_have_text("")
    page.get_by_role("button", name=OFFER).click()
    shows(page, sentences=sentences)


# --- the kernel is busy ---------------------------------------------------------------------------------


def test_a_cell_that_takes_20_seconds_does_not_stop_the_lab(page):
    prompt = page.locator(".jp-CodeCell").nth(1).locator(".jp-InputPrompt")
    run_cell(page, "sleep")
    try:
        shows(page, sentences=type_in(page, "While it sleeps"))
        page.wait_for_timeout(4000)
        expect(trouble(page)).to_have_text("")
        expect(prompt).to_have_text("[*]:")  # or nothing would be shown by this
    finally:
        page.evaluate("() => { jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt(); }")
        expect(prompt).not_to_have_text("[*]:")


def test_a_kernel_that_can_do_nothing_else_is_said_to_be_silent_or_busy_and_then_shows_all(page):
    run_cell(page, "block")
    sentences = type_in(page, "While it is blocked")
    expect(trouble(page)).to_have_text(re.compile(f"^({SILENT}|{BUSY})"), timeout=SOON_MS)
    shows(page, sentences=sentences)
    expect(trouble(page)).to_have_text("")


def test_what_python_sets_is_shown_even_where_one_has_typed(page):
    type_in(page, "Typed")
    page.wait_for_timeout(2100)  # nobody types any more
    run_cell(page, "set")
    shows(page, sentences=["Set in Python"])
    assert box(page).input_value() == "Set in Python"


# --- the connection is cut ------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", ["nothing", "out", "in"])
def test_a_connection_cut_while_typing_loses_nothing(page, lost):
    box(page).fill("")
    box(page).press_sequentially("Cut in the ")
    page.evaluate("(way) => lossy.lose(way)", lost)
    box(page).press_sequentially("middle ")
    page.evaluate("() => lossy.cut()")
    box(page).press_sequentially("of it")
    expect(trouble(page)).to_contain_text(CUT, timeout=SOON_MS)
    page.evaluate("() => lossy.mend()")
    kernel(page, "reconnect()")  # as JupyterLab does by itself, after some seconds left to chance
    shows(page, sentences=["Cut in the middle of it", *SENTENCES[1:]])
    expect(trouble(page)).to_have_text("")
    shows(page, sentences=type_in(page, "Not mute"))
    assert python(page, "lab.state['sentences'][0]") == "Not mute"


def test_a_connection_that_only_stalls_loses_nothing(page):
    page.evaluate("() => lossy.hold()")
    sentences = type_in(page, "Out of reach")
    expect(trouble(page)).to_contain_text(SILENT, timeout=SOON_MS)
    page.evaluate("() => lossy.mend()")
    shows(page, sentences=sentences)
    expect(trouble(page)).to_have_text("")


# --- the page is loaded again, or there are two ---------------------------------------------------------


def test_a_page_that_is_loaded_again_shows_what_the_kernel_has(page):
    sentences = type_in(page, "Still here")
    shows(page, sentences=sentences)
    page.evaluate("() => jupyterapp.shell.currentWidget.context.save()")
    page.reload()
    wait_for_kernel(page)
    shows(page, sentences=sentences)
    expect(page.get_by_role("button", name=OFFER)).to_have_count(0)
    shows(page, sentences=type_in(page, "And alive"))
    bring_back(page, ["And alive", *SENTENCES[1:]])


def test_two_tabs_on_one_kernel_show_the_same(page, server):
    page.evaluate("() => jupyterapp.shell.currentWidget.context.save()")
    other = page.context.new_page()
    try:
        open_apart(other, server, "other")
        shows(other)
        both = (page, other)
        for typing, text in ((page, "From here"), (other, "From there"), (page, "And here")):
            typing.bring_to_front()
            sentences = type_in(typing, text)
            for one in both:
                shows(one, sentences=sentences)
        box(other, 1).fill("Another sentence")
        page.get_by_role("radio", name="no mask").click()
        page.wait_for_timeout(2100)  # nobody types any more
        other.get_by_role("radio", name="left").click()
        sentences = ["And here", "Another sentence", SENTENCES[2]]
        for one in both:
            shows(one, sentences=sentences, mask="none", side="left", shown=1)  # one types in the second
            assert [box(one, i).input_value() for i in range(3)] == sentences
            expect(trouble(one)).to_have_text("")
    finally:
        other.close()


# --- the kernel goes ------------------------------------------------------------------------------------


def test_a_kernel_that_was_restarted_is_noticed_and_what_was_typed_comes_back(page):
    sentences = type_in(page, "Before the restart")
    page.evaluate("() => { jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart(); }")
    expect(trouble(page)).to_contain_text(GONE)
    bring_back(page, sentences)


def test_a_kernel_that_was_restarted_by_another_page_is_noticed(page):
    shows(page, sentences=type_in(page, "Before the restart"))
    page.evaluate(
        """async () => {
          const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
          await jupyterapp.serviceManager.kernels._kernelAPIClient.restart(kernel.id);
        }"""
    )
    box(page).fill("Into the void")
    expect(trouble(page)).to_contain_text(SILENT, timeout=SOON_MS)
    bring_back(page, ["Into the void", *SENTENCES[1:]])


def test_a_kernel_that_was_killed_is_noticed_and_what_was_typed_comes_back(page):
    shows(page, sentences=type_in(page, "Before the end"))
    os.kill(python(page, "__import__('os').getpid()"), signal.SIGKILL)
    box(page).fill("After the end")
    expect(trouble(page)).to_contain_text("⚠", timeout=SOON_MS)  # silent, until the server has made another
    expect(trouble(page)).to_contain_text(GONE)
    page.get_by_role("dialog", name="Kernel Restarting").get_by_role("button", name="Ok").click()
    bring_back(page, ["After the end", *SENTENCES[1:]])


def test_a_kernel_that_was_shut_down_is_noticed_and_what_was_typed_comes_back(page):
    sentences = type_in(page, "Before the end")
    shows(page, sentences=sentences)
    page.evaluate("() => { jupyterapp.shell.currentWidget.sessionContext.shutdown(); }")
    expect(trouble(page)).to_contain_text(GONE, timeout=SOON_MS)  # nobody types: it is asked every 3 s
    page.evaluate("() => { jupyterapp.shell.currentWidget.sessionContext.startKernel(); }")
    bring_back(page, sentences)


# --- nonsense -------------------------------------------------------------------------------------------

SEND = """([modelId, text]) => {
  const { kernel } = jupyterapp.shell.currentWidget.sessionContext.session;
  const comm = kernel._comms.get(modelId);
  for (const data of JSON.parse(text)) comm.send(data);
}"""


def test_odd_messages_from_a_page_do_not_stop_the_lab(page):
    state = attention_padding.State().raw()
    odd = [content for content in CONTENTS if content is not None]
    odd += [{"page": "odd", "number": i + 1, "changes": changes} for i, changes in enumerate(CHANGES)]
    values = [
        value for name, value in VALUES.items() if name not in ("half a pair", "halves of pairs")
    ]  # the socket refuses them
    odd += [
        {"page": "odd", "number": 100 + i * len(state) + k, "changes": {key: value}}
        for i, value in enumerate(values)
        for k, key in enumerate(state)
        if len(str(value)) < 10_000 or key in ("sentences", "painted", "seed")
    ]
    contents = [{"method": "custom", "content": content} for content in odd]
    contents += [{"method": "update", "state": {"state": value, "picture": value}} for value in (None, 3, {"a": 1}, [])]
    contents += [{"method": "nonsense"}, {}]
    assert len(contents) > 300
    text = json.dumps(contents).replace("NaN", "null").replace("Infinity", "1e999")
    page.evaluate(SEND, [python(page, "lab.model_id"), text])
    page.get_by_role("button", name="Reset").click()
    shows(page, sentences=type_in(page, "As if nothing had happened"))
    assert python(page, "sorted(lab.state)") == sorted(state)
