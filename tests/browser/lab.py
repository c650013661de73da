"""What a lab on a page shows, what it should show, and a few ways to look at it."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page
from playwright.sync_api import TimeoutError as Late

from masklab import panels
from masklab.labs.controls import BadInput, Choice, Control, Sentences, Slider, Toggle, controls_of
from masklab.labs.lab import Lab
from masklab.view.plain_page import html
from tests.browser.page import ARTEFACTS
from tests.browser.page import LIT as PANEL_LIT

ROOT = ".mlab-root"
TALL = {"width": 1300, "height": 1800}  # a whole lab fits: no scrolling
WAIT_MS = 20_000  # nothing takes so long but on a machine with much else to do
# What is shown, as `shown_by` describes a Picture. A cell is written as in the text twin.
READ = """(root) => {
  const all = (node, selector) => [...node.querySelectorAll(selector)];
  const flags = ({ blocked, nan, set, mark }) => (blocked && !nan ? "▨" : "") + (set ? "✎" : "") + (mark ?? "");
  const cell = (td) => td.textContent + flags(td.dataset);
  return {
    chips: all(root, ".mlab-chips").map((row) => all(row, ".mlab-chip").map((chip) => chip.textContent)),
    notes: all(root, ".mlab-sentence-note").map((note) => note.textContent),
    panels: Object.fromEntries(all(root, ".mlab-step").map((step) => [
      step.dataset.name, all(step, "tbody tr").map((row) => all(row, ".mlab-cell").map(cell)),
    ])),
    summary: root.querySelector(".mlab-summary").textContent,
    code: root.querySelector(".mlab-code code").textContent,
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
# What has the focus: a panel, or a control by its label.
FOCUSED = """() => {
  const node = document.activeElement;
  const panel = node.closest(".mlab-step")?.dataset.name;
  const name = node.getAttribute("aria-label") ?? node.closest("label")?.textContent ?? node.textContent;
  return node.closest(".mlab-root") ? (panel ? `panel ${panel}` : name.trim()) : "outside";
}"""
SETTLED = """(root) => root.dataset.changed === "0" && root.dataset.synced === root.dataset.serial"""


# The lab's own Python behind a plain page: what the page sends is answered by a lab, as a kernel would.
CONNECT = """async () => {
  await started;
  model.answer = async (message) => {
    const { picture, ...rest } = await toKernel(message);
    model.update(picture ? { picture: unpack(picture), ...rest } : rest);
  };
}"""


@dataclass(frozen=True)
class LabPage:
    """A lab on a page: what it shows, what it should show, and the ways to use it."""

    page: Page
    module: ModuleType
    root: int = 0  # which of the labs on the page it is

    @property
    def lab(self) -> Locator:
        """The lab's root."""
        return self.page.locator(ROOT).nth(self.root)

    @property
    def name(self) -> str:
        """The lesson's name."""
        return self.module.__name__.rpartition(".")[2]

    @property
    def sentences(self) -> list[str]:
        """The sentences at first sight; a test that asks for them is skipped where there are none."""
        self.needs(Sentences)
        return list(self.module.State().sentences)

    def of_type(self, *types: type[Control]) -> dict:
        """The lab's controls of these types, by name."""
        return {name: how for name, how in controls_of(self.module.State).items() if isinstance(how, types)}

    def needs(self, kind: type[Control]) -> None:
        """Skip the test if the lab has no control of this type."""
        if not self.of_type(kind):
            pytest.skip(f"this lab has no control of type {kind.__name__}")

    def box(self, i: int = 0) -> Locator:
        """The box of sentence ``i``; a test that asks for it is skipped where there is none."""
        self.needs(Sentences)
        return self.lab.locator(".mlab-text").nth(i)

    def step(self, panel: str) -> Locator:
        """A panel with its sign."""
        return self.lab.locator(f".mlab-step[data-name={panel}]")

    def cell(self, panel: str, row: int, column: int) -> Locator:
        """One cell of a panel."""
        return self.step(panel).locator("tbody tr").nth(row).locator(".mlab-cell").nth(column)

    def rows(self, panel: str) -> list[list[str]]:
        """All numbers of a panel, as they are written."""
        return self.lab.evaluate(READ)["panels"][panel]

    def drawn(self, **changes) -> panels.Picture:
        """What the lab must show for its first state with these changes."""
        return self.module.draw(self.module.State().changed(changes))

    def shows(self, **changes) -> None:
        """Wait until the lab shows what it must for its first state with these changes."""
        wait_until_shown(self.page, shown_by(self.drawn(**changes)), root=self.root)

    def shows_or_says(self, *, kept: Mapping = MappingProxyType({}), **changes) -> None:
        """The same, or where that can't be drawn the picture of ``kept``, and a sentence about the problem."""
        try:
            self.shows(**changes)
        except BadInput as problem:
            wait_until_shown(self.page, shown_by(self.drawn(**kept)) | {"problem": f"⚠ {problem}"}, root=self.root)

    def reset(self) -> None:
        """Back to the state at first sight."""
        self.lab.get_by_role("button", name="Reset").click()
        self.shows()

    def choose(self, name: str) -> None:
        """Click a radio button or a switch by its label."""
        self.show_more()
        radio, switch = (self.lab.get_by_role(role, name=name, exact=True) for role in ("radio", "switch"))
        radio.or_(switch).click()

    def pick(self, control: str, option: str) -> None:
        """Click one option of a control; several controls may have options of the same name."""
        self.lab.get_by_role("radiogroup", name=control).get_by_role("radio", name=option, exact=True).click()

    def change(self, text: str = "The dog") -> dict:
        """Change one thing, whatever the lab has: its first sentence, a slider, a switch or a choice; return it."""
        if self.of_type(Sentences):
            self.paste(text)
            return {"sentences": [text, *self.sentences[1:]], "shown": 0}
        name, how = next(iter((self.of_type(Slider) or self.of_type(Toggle) or self.of_type(Choice)).items()))
        if isinstance(how, Slider):
            self.lab.get_by_label(how.label).focus()
            self.page.keyboard.press("End")
            return {name: how.high}
        if isinstance(how, Toggle):
            self.choose(how.label)
            return {name: True}
        value, label = list(how.options.items())[-1]
        self.choose(label)
        return {name: value}

    def show_more(self) -> None:
        """Show the controls that are rarely used, too."""
        button = self.lab.locator(".mlab-more-button[aria-expanded=false]")
        if button.is_visible():
            button.click()

    def show_less(self) -> None:
        """Hide them again, as they are at first sight."""
        button = self.lab.locator(".mlab-more-button[aria-expanded=true]")
        if button.is_visible():
            button.click()

    def drag(self, panel: str, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Paint from one cell of a panel to another with the button held."""
        self.cell(panel, *start).scroll_into_view_if_needed()
        self.cell(panel, *start).hover()
        self.page.mouse.down()
        rows = range(start[0], end[0] + 1)
        for at in [(row, column) for row in rows for column in range(start[1], end[1] + 1)]:
            self.cell(panel, *at).hover()
        self.page.mouse.up()

    def paste(self, text: str) -> None:
        """Put a text in the place of what is in the first box, as a paste does."""
        self.box().fill(text)

    def picture(self, name: str) -> Path:
        """Keep a picture of the whole lab among the test artefacts."""
        ARTEFACTS.mkdir(exist_ok=True)
        settled(self.lab).screenshot(path=ARTEFACTS / f"{self.name}-{name}.png")


def open_lab(page: Page, module: ModuleType, **options) -> LabPage:
    """A lesson's lab in a plain page, with its own `draw` behind it; for a page that has none yet."""
    lab = module.lab(**options)
    lab._send = lambda *_, **__: None  # there is no kernel; the page is told by `kernel`
    page.expose_function("toKernel", lambda message: kernel(lab, message))
    page.set_content(html(lab))
    page.evaluate(CONNECT)
    return LabPage(page, module)


def kernel(lab: Lab, message: Mapping) -> dict:
    """What a kernel answers to a page's message."""
    lab._handle_msg({"content": {"data": {"method": "custom", "content": message}}, "buffers": []})
    answer = {"answered": lab.answered, "state": lab.state}
    if lab.picture["serial"] != message["serial"]:
        answer["picture"] = {k: b64encode(v).decode() if isinstance(v, bytes) else v for k, v in lab.picture.items()}
    return answer


def shown_by(picture: panels.Picture) -> dict:
    """What a page must show for a picture, in the form of `READ`."""
    return {
        "chips": [[panels.label(token) for token in sentence.tokens] for sentence in picture.sentences],
        "notes": [sentence.note for sentence in picture.sentences],
        "panels": {panel.name: cells(panel) for panel in picture.panels},
        "summary": picture.summary,
        "code": picture.code,
        "problem": picture.problem,
    }


def cells(panel: panels.Panel) -> list[list[str]]:
    """Every cell of a panel as its text twin writes it; none where there is room for colours only."""
    if not panel.written:
        return []
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


def violations(lab: LabPage) -> list[tuple]:
    """What axe-core finds in the lab that is serious or critical."""
    settled(lab.lab)
    found = Axe().run(lab.page, context=ROOT).response
    assert found["testEngine"]["name"] == "axe-core"
    return [(rule["id"], node["html"], node["failureSummary"]) for rule in found["violations"]
            if rule["impact"] in ("serious", "critical") for node in rule["nodes"]]  # fmt: skip
