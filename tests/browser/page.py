"""A plain page with the live view in it: no JupyterLab, no kernel, no network."""

import base64
import json
from pathlib import Path

from masklab.view import MatrixView, serialize
from masklab.view.palette import PALETTE
from masklab.view.plain_page import PAGE, STAND_IN

ARTEFACTS = Path(__file__).parents[2] / "test-artefacts"

# Which row and column of a panel (a .mlab-step) the bands lie on, by the table under them; -1 for none.
LIT = """(step) => {
  const lies = (name, nodes, [from, to]) => {
    const band = step.querySelector(`.mlab-band-${name}`);
    if (!band || band.hidden) return -1;
    const on = band.getBoundingClientRect();
    const found = [...nodes].findIndex((node) => {
      const at = node.getBoundingClientRect();
      return Math.abs(at[from] - on[from]) < 2 && Math.abs(at[to] - on[to]) < 3;
    });
    return found >= 0 ? found : "the band lies on nothing";
  };
  return [
    lies("row", step.querySelectorAll("tbody tr"), ["top", "bottom"]),
    lies("column", step.querySelectorAll("thead th.mlab-head"), ["left", "right"]),
  ];
}"""


# How tall and wide a lab is, what of it lies outside, and its smallest parts, all in CSS pixels.
RULER = """(width) => {
  document.getElementById("a").style.width = `${width}px`;
  const root = document.querySelector(".mlab-root");
  const all = (selector) => [...root.querySelectorAll(selector)];
  const box = (node) => node.getBoundingClientRect();
  const least = (selector, side) => Math.min(...all(selector).map((node) => box(node)[side]));
  const seen = all(":not(.mlab-hidden, .mlab-probe)").filter((node) => !node.closest(".mlab-scroll, .mlab-hidden"));
  const lines = new Set(all(".mlab-step").map((step) => Math.round(box(step).top)));
  return {
    height: box(root).height,
    width: box(root).width,
    outside: seen.filter((node) => box(node).right > box(root).right + 1).map((node) => node.className),
    scrolled: all(".mlab-scroll").filter((node) => node.scrollWidth > node.clientWidth + 1).length,
    lines: lines.size,
    cell: [least(".mlab-cell", "width"), least(".mlab-cell", "height")],
    chips: least(".mlab-chips", "width"),
    cut: all("[data-shown] .mlab-chip bdi").filter((node) => node.scrollWidth > node.clientWidth + 1).length,
  };
}"""


def ruler(page, width: int) -> dict:
    """Give the lab so many pixels of width, and measure it."""
    page.evaluate(RULER, width)
    page.wait_for_timeout(100)  # until what depends on the width is painted
    return page.evaluate(RULER, width)


def packed(picture, *, serial: int = 1, text: str = "") -> dict:
    """A picture as `serialize` makes it, with base64 in the place of bytes, so that it can go as JSON."""
    data = serialize(picture, serial=serial, text=text)
    return {k: base64.b64encode(v).decode() if isinstance(v, bytes) else v for k, v in data.items()}


def open_view(page, picture=None, *, controls=(), state=None, text: str = "", label: str = "a lab") -> None:
    """Draw a picture in a plain page; the page then has `model`, `view`, `show(picture)` and `cleanup()`."""
    page.set_content(PAGE)
    page.add_script_tag(content=STAND_IN)
    values = {
        "picture": packed(picture, text=text) if picture is not None else {},
        "state": state or {},
        "controls": list(controls),
        "palette": PALETTE,
        "label": label,
    }
    page.evaluate("([source, values, css]) => start(source, values, css)",
                  [str(MatrixView._esm), json.loads(json.dumps(values)), str(MatrixView._css)])  # fmt: skip


def show(page, picture, *, serial: int = 2, text: str = "") -> None:
    """Send the next picture, as the kernel does."""
    page.evaluate("picture => show(picture)", packed(picture, serial=serial, text=text))
    page.wait_for_function(
        f"() => document.querySelector('.mlab-root').dataset.synced === '{serial}'"
    )  # the tables, too


def state(page) -> dict:
    """What the page has told the kernel."""
    return page.evaluate("() => model.get('state')")
