"""A real JupyterLab for browser tests and the benchmark, apart from the learner's own settings."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page

START_SECONDS = 120
STOP_SECONDS = 10
RUN_MS = 120_000
# A server of one's own: its port or an error, its token, and `jupyterapp` for the tests to ask.
OPTIONS = ["--no-browser", "--ServerApp.ip=127.0.0.1", "--ServerApp.port_retries=0",
           "--LabApp.expose_app_in_browser=True"]  # fmt: skip
NO_AUTOSAVE = {"lab/user-settings/@jupyterlab/docmanager-extension/plugin.jupyterlab-settings": '{"autosave": false}'}
COMMAND = (sys.executable, "-m", "jupyterlab", "--allow-root")


@dataclass(frozen=True)
class Server:
    """A JupyterLab that answers; ``folder`` is the root of its files."""

    url: str
    token: str
    folder: Path

    @property
    def workspace(self) -> str:
        """The address of what JupyterLab remembers of open files."""
        return f"{self.url}/lab/api/workspaces/default?token={self.token}"

    def address(self, path: str = "") -> str:
        """The address of a file in JupyterLab, in a fresh workspace; "" is where the server's own settings lead."""
        return f"{self.url}/lab/tree/{path}?token={self.token}&reset" if path else f"{self.url}/?token={self.token}"


@contextmanager
def jupyterlab(folder: Path, *, command: Sequence[str] = (), options: Sequence[str] = ()) -> Iterator[Server]:
    """Serve a folder with JupyterLab on a free port until the block ends; nothing of the learner's home is touched.

    ``command`` starts JupyterLab in ``folder`` when it is not to be this Python's own; it gets the options at its end.
    Raises RuntimeError, with the server's last lines, when it does not start.
    """
    port, token = _free_port(), secrets.token_hex(16)
    root = () if command else (f"--ServerApp.root_dir={folder}",)
    ours = [*OPTIONS, f"--ServerApp.port={port}", f"--IdentityProvider.token={token}", *root, *options]
    with TemporaryDirectory(prefix="masklab-jupyter-", ignore_cleanup_errors=True) as home:
        log = Path(home) / "log"
        with log.open("w") as out:
            process = subprocess.Popen(
                [*(command or COMMAND), *ours],
                cwd=folder,
                env=_private(Path(home)),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        try:
            server = Server(url=f"http://127.0.0.1:{port}", token=token, folder=folder)
            _wait(lambda: _answers(server, process, log), seconds=START_SECONDS, what="JupyterLab's start", log=log)
            yield server
        finally:
            _stop(process)


def _free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _private(home: Path) -> dict[str, str]:
    """This process's environment with every folder that Jupyter writes to in ``home``."""
    for name, text in NO_AUTOSAVE.items():
        file = home / "config" / name
        file.parent.mkdir(parents=True)
        file.write_text(text)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "JPY_", "MPLBACKEND"))}
    folders = {"HOME": home, "IPYTHONDIR": home / "ipython", "JUPYTER_CONFIG_DIR": home / "config",
               "JUPYTER_DATA_DIR": home / "data", "JUPYTER_RUNTIME_DIR": home / "runtime"}  # fmt: skip
    return {**kept, **{name: str(path) for name, path in folders.items()}, "JUPYTER_PREFER_ENV_PATH": "1"}


def _answers(server: Server, process: subprocess.Popen, log: Path) -> bool:
    """Whether the server answers; RuntimeError when it has ended."""
    if process.poll() is not None:
        raise RuntimeError(f"JupyterLab ended with {process.returncode}:\n{_tail(log)}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never by way of a proxy
    try:
        return opener.open(f"{server.url}/api", timeout=2).status == 200
    except OSError:
        return False


def _wait(is_done: Callable[[], bool], *, seconds: float, what: str, log: Path) -> None:
    """Ask until it is done; RuntimeError after so many seconds."""
    end = time.monotonic() + seconds
    while not is_done():
        if time.monotonic() > end:
            raise RuntimeError(f"{what} took more than {seconds} s:\n{_tail(log)}")
        time.sleep(0.05)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-3000:]


def _stop(process: subprocess.Popen) -> None:
    """End the server, which ends its kernels; by force if it does not go."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, how)  # its own group: it was started with a new session
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue


# --- in the page ------------------------------------------------------------------------------------

READY = """() => {
  const context = globalThis.jupyterapp?.shell.currentWidget?.sessionContext;
  const kernel = context?.session?.kernel;
  return Boolean(context?.isReady && kernel?.connectionStatus === "connected" && kernel.status === "idle");
}"""
CELLS = """() => {
  const cells = jupyterapp.shell.currentWidget.content.widgets.filter((cell) => cell.model.type === "code");
  return cells.map(({ model }) => ({
    count: model.executionCount,
    source: model.sharedModel.getSource(),
    outputs: model.outputs.toJSON(),
    mayFail: (model.getMetadata("tags") ?? []).includes("raises-exception"),
  }));
}"""
RUN_ALL = """() => {
  globalThis.ranAll = false;
  const cells = jupyterapp.shell.currentWidget.content.widgets.filter((cell) => cell.model.type === "code");
  for (const cell of cells) cell.model.sharedModel.execution_count = null;
  // The command is over at the first error, even one that is meant; the kernel's answer to a request comes after all.
  const { kernel } = jupyterapp.shell.currentWidget.sessionContext.session;
  const answered = () => kernel.requestExecute({ code: "", silent: true }).done;
  const all = jupyterapp.commands.execute("notebook:run-all-cells").then(answered, answered);
  all.finally(() => (globalThis.ranAll = true));
}"""


def open_notebook(page: Page, server: Server, path: str) -> None:
    """Open a notebook of the server's folder and wait until its kernel can be used."""
    page.goto(server.address(path), timeout=RUN_MS)
    wait_for_kernel(page)


def wait_for_kernel(page: Page) -> None:
    """Wait until the notebook in front has a kernel that is connected and idle."""
    page.wait_for_function(READY, timeout=RUN_MS)


def run_all(page: Page) -> None:
    """Run every cell of the notebook in front; AssertionError, with every output, if one fails or was not run."""
    wait_for_kernel(page)
    page.evaluate(RUN_ALL)
    page.wait_for_function("() => ranAll", timeout=RUN_MS)
    wait_for_kernel(page)
    cells = page.evaluate(CELLS)
    failed = [cell for cell in cells if cell["count"] is None or (errors_of(cell) and not cell["mayFail"])]
    assert cells and not failed, f"{len(failed)} of {len(cells)} cells did not run through.\n{transcript(cells)}"


def errors_of(cell: dict) -> list[dict]:
    """A cell's outputs that are errors."""
    return [output for output in cell["outputs"] if output["output_type"] == "error"]


def transcript(cells: list[dict]) -> str:
    """Every cell with its outputs in words: a Python error looks like a missing selector otherwise."""
    return "\n".join(f"[{cell['count']}] {cell['source']}\n{''.join(map(said, cell['outputs']))}" for cell in cells)


def said(output: dict) -> str:
    """One output as text."""
    if output["output_type"] == "error":
        return "\n".join(output["traceback"]) + "\n"
    return _joined(output.get("text") or output.get("data", {}).get("text/plain", "")) + "\n"


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def record_requests(page: Page) -> list[str]:
    """A list that fills with the address of every request and websocket of the page from now on."""
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    page.on("websocket", lambda socket: urls.append(socket.url))
    return urls
