"""What a lab on a page shows, what it should show, and a few ways to look at it."""

from collections.abc import Mapping

from playwright.sync_api import Locator, Page
from playwright.sync_api import TimeoutError as Late

from masklab import panels
from masklab.labs.attention_padding import State, draw
from tests.browser.page import LIT as PANEL_LIT

ROOT = ".mlab-root:has(.mlab-text)"  # the whole lab: a small one before it has no boxes to type in
WAIT_MS = 20_000  # nothing takes so long but on a machine with much else to do
# What is shown, as `shown_by` describes a Picture. A cell is written as in the text twin.
READ = """(root) => {
  const all = (node, selector) => [...node.querySelectorAll(selector)];
  const cell = (td) => td.textContent + (td.dataset.blocked && !td.dataset.nan ? "▨" : "") + (td.dataset.mark ?? "");
  return {
    chips: all(root, ".mlab-chips").map((row) => all(row, ".mlab-chip").map((chip) => chip.textContent)),
    notes: all(root, ".mlab-sentence-note").map((note) => note.textContent),
    panels: Object.fromEntries(all(root, ".mlab-step").map((step) => [
      step.dataset.name, all(step, "tbody tr").map((row) => all(row, ".mlab-cell").map(cell)),
    ])),
    summary: root.querySelector(".mlab-summary").textContent,
    problem: root.querySelector(".mlab-problem").textContent,
  };
}"""
# Every lit row and column, by panel, and the words marked as query and key.
LIT = f"""(root) => {{
  const chips = [...root.querySelectorAll("[data-shown] .mlab-chip")];
  const lit = (step) => ({PANEL_LIT})(step).map((i) => (i === -1 ? [] : [i]));
  return {{
    panels: Object.fromEntries([...root.querySelectorAll(".mlab-step")].map((step) => [step.dataset.name, lit(step)])),
    query: chips.findIndex((chip) => chip.dataset.query),
    key: chips.findIndex((chip) => chip.dataset.key),
  }};
}}"""
# The contrast of every piece of visible text with what lies behind it, by WCAG 2: [ratio, text, element].
CONTRAST = """(root) => {
  const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const layered = (colours) => {
    for (const colour of ["#fff", ...colours]) (pen.fillStyle = colour), pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim()) continue;
    if (!node.checkVisibility({ visibilityProperty: true, opacityProperty: true })) continue;
    if (node.closest(".mlab-hidden")) continue; // for a screen reader
    const behind = [];
    for (let at = node; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
    const both = [layered(behind), layered([...behind, getComputedStyle(node).color])].map(light);
    const ratio = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    found.push([ratio, walker.currentNode.data, node.outerHTML.slice(0, 120)]);
  }
  // What the canvases are written with. (The palettes' own inks are tested in the plain page.)
  const probe = root.appendChild(document.createElement("i"));
  const colour = (name) => ((probe.style.color = `var(--mlab-${name})`), getComputedStyle(probe).color);
  const inks = [["ink", "neutral"], ["ink", "hole"], ["ink", "bg"], ["muted", "bg"], ["right", "bg"], ["wrong", "bg"]];
  for (const [ink, back] of inks) {
    const both = [layered([colour("bg"), colour(back)]), layered([colour("bg"), colour(ink)])].map(light);
    found.push([(Math.max(...both) + 0.05) / (Math.min(...both) + 0.05), `painted: ${ink} on ${back}`, ""]);
  }
  probe.remove();
  return found;
}"""
# The theme as it was painted and as the style sheet says: a plain cell, and the chip in a blocked one.
PAINTED = """(root) => {
  const pixel = (cell, inset) => {
    const paper = cell.closest(".mlab-sheet").querySelector("canvas");
    const [at, from] = [cell.getBoundingClientRect(), paper.getBoundingClientRect()];
    const [x, y] = [at.left - from.left + inset, at.top - from.top + inset].map((v) => v * (paper.width / from.width));
    return [...paper.getContext("2d").getImageData(x, y, 1, 1).data].slice(0, 3);
  };
  const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const probe = root.appendChild(document.createElement("i"));
  const themed = (name) => {
    probe.style.color = `var(--mlab-${name})`;
    pen.fillStyle = getComputedStyle(probe).color;
    pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const cells = [...root.querySelectorAll("[data-name=mask] .mlab-cell")];
  const found = [
    [pixel(cells.find((cell) => !cell.dataset.blocked), 3), themed("neutral")],
    [pixel(cells.find((cell) => cell.dataset.blocked), 6), themed("bg")],
  ];
  probe.remove();
  return found;
}"""
# What is wider than its place: the lab in the page, or a part of the lab in the lab.
TOO_WIDE = """(root) => {
  const right = root.getBoundingClientRect().right;
  const place = root.closest(".jp-OutputArea-output") ?? root.parentElement;
  const inside = [...root.querySelectorAll("*")].filter((node) => !node.closest(".mlab-hidden"));
  const over = inside.filter((node) => node.getBoundingClientRect().right > right + 1);
  const scrolled = [place, ...inside].filter((node) => {
    return node.scrollWidth > node.clientWidth + 1 && ["auto", "scroll"].includes(getComputedStyle(node).overflowX);
  });
  return [...over, ...scrolled].map((node) => `${node.tagName}.${node.className}: ${node.textContent.slice(0, 40)}`);
}"""
# Numbers that reach over the edges of their cells: [panel, number, width, the cell's width].
SPILLED = """(root) => [...root.querySelectorAll(".mlab-cell")].flatMap((cell) => {
  const range = document.createRange();
  range.selectNodeContents(cell);
  const [text, box] = [range.getBoundingClientRect(), cell.getBoundingClientRect()];
  const isInside = text.left >= box.left && text.right <= box.right;
  return isInside ? [] : [[cell.closest(".mlab-step").dataset.name, cell.textContent, text.width, box.width]];
})"""
SETTLED = """(root) => root.dataset.changed === "0" && root.dataset.synced === root.dataset.serial"""


def state_with(**changes) -> dict:
    """The lab's first state with some keys changed."""
    return State().raw() | changes


def shown_by(state: Mapping) -> dict:
    """What the lab of lesson 05 must show for a state, in the form of `READ`."""
    picture = draw(State().changed(state))
    return {
        "chips": [[panels.label(token) for token in sentence.tokens] for sentence in picture.sentences],
        "notes": [sentence.note for sentence in picture.sentences],
        "panels": {panel.name: cells(panel) for panel in picture.panels},
        "summary": picture.summary,
        "problem": picture.problem,
    }


def cells(panel: panels.Panel) -> list[list[str]]:
    """Every cell of a panel as its text twin writes it."""
    return [[panels.cell(panel, r, c) for c in range(len(panel.columns))] for r in range(len(panel.rows))]


def wait_until_shown(page: Page, expected: Mapping, *, root: int = 0) -> None:
    """Wait until a lab (the first by default) shows this; AssertionError, with the difference, if it does not."""
    test = f"([i, want]) => JSON.stringify(({READ})(document.querySelectorAll('{ROOT}')[i])) === JSON.stringify(want)"
    try:
        page.wait_for_function(test, arg=[root, expected], timeout=WAIT_MS)
    except Late:
        assert page.locator(ROOT).nth(root).evaluate(READ) == expected
        raise


def settled(lab: Locator) -> Locator:
    """The same lab once no cell is marked as changed any more, with the pointer away from it."""
    lab.page.mouse.move(0, 0)
    handle = lab.element_handle()
    lab.page.wait_for_function(SETTLED, arg=handle, timeout=WAIT_MS)
    return lab
