"""A page that shows a view as it is now, without JupyterLab, a kernel or the network: for pictures and for tests."""

import json
import os
import shutil
from base64 import b64encode
from collections.abc import Sequence

from masklab.view.matrix import MatrixView

SHOWN = ("picture", "state", "answered", "controls", "palette", "label")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# No sandbox, which root can't have, and nothing that asks the network.
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>view</title></head>
<body><main><h1 style="font-size:1em">view</h1><div id="a"></div><div id="b"></div></main></body></html>"""
# A stand-in for ipywidgets' model: get, set, on, off, send, with change events; and for a kernel that answers at once
# (and draws nothing), unless `isMute`. `update` is what comes from the kernel: all is set before anybody hears of it.
STAND_IN = """
window.makeModel = (values) => {
  const listeners = {};
  return {
    saves: 0,
    messages: [],
    isMute: false,
    get: (name) => values[name],
    set(name, value) { this.update({ [name]: value }); },
    update(changes) {
      Object.assign(values, changes);
      for (const name of Object.keys(changes)) this.trigger(`change:${name}`);
    },
    save_changes() { this.saves += 1; },
    trigger(event) { (listeners[event] ?? []).forEach((f) => f()); },
    on(name, f) { (listeners[name] ??= []).push(f); },
    off(name, f) { listeners[name] = (listeners[name] ?? []).filter((g) => g !== f); },
    count: () => Object.values(listeners).flat().length,
    send(message) {
      this.messages.push(structuredClone(message));
      if (!this.isMute) this.answer(message);
    },
    answer({ page, number, changes }) {
      const state = { ...values.state, ...structuredClone(changes) };
      this.update({ answered: { ...values.answered, [page]: number }, state });
    },
  };
};
// Buffers come as DataViews that do not start at a multiple of four, as they may in JupyterLab.
window.unpack = (picture) => {
  for (const name of ["values", "blocked", "marks"]) {
    const bytes = Uint8Array.from(atob(picture[name]), (c) => c.charCodeAt(0));
    const padded = new Uint8Array(bytes.length + 3);
    padded.set(bytes, 3);
    picture[name] = new DataView(padded.buffer, 3, bytes.length);
  }
  return picture;
};
window.show = (picture) => model.set("picture", unpack(picture));
window.start = async (source, values, css) => {
  document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
  window.view = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  if (values.picture.panels) unpack(values.picture);
  window.model = makeModel(values);
  window.cleanup = view.default.render({ model, el: document.getElementById("a") });
};
"""


def html(view: MatrixView) -> str:
    """The page as one text. Once ``window.started`` is resolved, its `#a` holds the view.

    >>> html(MatrixView(label="</script>")).count("</script>")
    1
    """
    values = {name: getattr(view, name) for name in SHOWN}
    data = json.dumps([str(view._esm), values, str(view._css)], default=lambda data: b64encode(data).decode())
    safe = data.replace("<", r"\u003c")  # no text of a learner's ends the script
    return PAGE.replace("</body>", f"<script>{STAND_IN}window.started = start(...{safe});</script></body>")


def chromium_path(names: Sequence[str] = CHROMIUM) -> str | None:
    """Where Chromium is: $MASKLAB_CHROMIUM, else the first of these names on the PATH; None leaves it to Playwright.

    >>> chromium_path(names=["no-such-browser"]) == os.environ.get("MASKLAB_CHROMIUM")
    True
    """
    found = [os.environ.get("MASKLAB_CHROMIUM"), *map(shutil.which, names)]
    return next(filter(None, found), None)
