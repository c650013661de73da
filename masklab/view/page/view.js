/* The live view of masklab: the controls, and a row of linked heatmaps.
 *
 * The kernel computes; this page draws and listens. The picture is all that is shown (see `serialize`
 * in matrix.py), the state are the values of the controls. What is selected is known to this page alone.
 * No build step: join.py makes one script of these modules, which runs in JupyterLab and, with a
 * stand-in model, in a plain page.
 */

import { BarsPanel } from "./bars.js";
import { CanvasPanel } from "./canvas.js";
import { makeCode, showCode } from "./code.js";
import { CONTROLS, isUsed } from "./controls.js";
import { attributes, make, newId, setFlag, setText } from "./dom.js";
import { showEdits } from "./edit.js";
import { closeEditor } from "./editor.js";
import { Link } from "./link.js";
import { Memory } from "./memory.js";
import { makeNotice, showNotice } from "./notice.js";
import { number, shadesOf } from "./numbers.js";
import { EmptyPanel } from "./panel.js";
import { formOf, readPanels } from "./picture.js";
import { listenToPanels } from "./pointer.js";
import { keepSelection, select } from "./selection.js";
import { sentenceBoxes } from "./sentences.js";
import { TablePanel } from "./table.js";
import { PLAIN, readTheme } from "./theme.js";

const CHANGED_MS = 600; // how long a changed cell stays marked
const CHANGED_MAX = 400; // more changed cells than this are not marked
const AROUND = 120; // what JupyterLab needs of the window's height; boxes and words of a taller lab stay in sight
const SYNC_MS = 200; // the tables follow the canvases once typing rests

const PANELS = { table: TablePanel, canvas: CanvasPanel, bars: BarsPanel, empty: EmptyPanel };
const BUILDERS = { sentences: sentenceBoxes, ...CONTROLS };

/** @param {View} view */
function showState(view) {
  const state = view.link.state();
  for (const { spec, control } of view.controls) {
    control.node.hidden = !isUsed(spec, state);
    control.sync(state);
  }
  showEdits(view);
  showNotice(view);
}

/** @param {View} view */
function showControls(view) {
  const specs = view.link.controls();
  const all = specs.some((spec) => spec.type === "sentences") ? specs : [{ type: "sentences" }, ...specs];
  const known = all.filter((spec) => BUILDERS[spec.type]);
  view.controls = known.map((spec) => ({ spec, control: BUILDERS[spec.type](view, spec) }));
  const [ours, others] = [true, false].map((wanted) =>
    view.controls.filter(({ spec }) => (spec.type === "sentences") === wanted),
  );
  const [plain, more] = [false, true].map((isMore) => others.filter(({ spec }) => Boolean(spec.more) === isMore));
  const nodesOf = (controls) => controls.map(({ control }) => control.node);
  view.sentencesNode.replaceChildren(...nodesOf(ours));
  view.controlsNode.replaceChildren(...nodesOf(plain), view.moreButton, view.more);
  view.moreButton.hidden = more.length === 0;
  view.more.replaceChildren(...nodesOf(more));
  showState(view);
  drawControls(view);
}

/** What in the controls comes from the kernel's answer: the words of the sentences.
 * @param {View} view */
function drawControls(view) {
  for (const { control } of view.controls) control.draw?.();
}

/** @param {View} view */
function showPicture(view) {
  const picture = view.link.picture();
  if (!picture.panels) return; // the kernel has not shown anything yet
  view.picture = picture;
  view.sentences = picture.sentences.map((sentence) => ({ ...picture.lines[sentence.line], ...sentence }));
  showPanels(view);
  markChanged(view);
  paintPanels(view);
  drawControls(view);
  setText(view.problem, picture.problem && `⚠ ${picture.problem}`);
  setText(view.summary, picture.summary);
  showCode(view);
  setText(view.text, picture.text);
  view.textBox.hidden = !picture.text;
  keepSelection(view);
  view.root.dataset.serial = picture.serial; // last: who waits for it may look at the page now
  clearTimeout(view.syncing);
  view.syncing = setTimeout(syncPanels, SYNC_MS, view);
}

/** Panels of the same form keep their nodes.
 * @param {View} view */
function showPanels(view) {
  const before = new Map(view.panels.map((panel) => [panel.form, panel]));
  const all = readPanels(view.picture, view.link.state());
  view.panels = all.map((data) => before.get(formOf(data)) ?? new PANELS[data.mode](data));
  const steps = view.panels.map((panel) => panel.step);
  const isSame = steps.length === view.row.children.length && steps.every((step, i) => step === view.row.children[i]);
  if (!isSame) view.row.replaceChildren(...steps);
  if (view.editor && !view.panels.includes(view.editor.panel)) closeEditor(view);
  view.panels.forEach((panel, i) => panel.update(all[i]));
}

/** Paint what can be seen, so that it is answered first; the rest follows once this frame is on the screen.
 * @param {View} view */
function paintPanels(view) {
  for (const panel of view.panels) {
    panel.isStale = panel.isOutside;
    if (!panel.isStale) panel.paint(view);
  }
  cancelAnimationFrame(view.following);
  const nextFrame = (then) => (view.following = requestAnimationFrame(then));
  nextFrame(() => nextFrame(() => setTimeout(paintStale, 0, view)));
}

/** @param {View} view */
function paintStale(view) {
  for (const panel of view.panels.filter(({ isStale }) => isStale)) {
    panel.isStale = false;
    repaint(view, panel);
  }
}

/** @param {View} view @param {import("./panel.js").Panel} panel */
function repaint(view, panel) {
  panel.paint(view);
  panel.highlight(...panel.highlighted);
}

/** The eye has its picture; now the tables say the same to those who read them.
 * @param {View} view */
function syncPanels(view) {
  paintStale(view); // a page in the background has no frames
  for (const panel of view.panels) panel.sync(), panel.highlight(...panel.highlighted);
  view.root.dataset.synced = view.root.dataset.serial;
}

/** Mark the changed cells for a moment: not many at once, and not for those who want no motion.
 * @param {View} view */
function markChanged(view) {
  const countAll = () => view.panels.reduce((sum, panel) => sum + panel.changed.size, 0);
  const count = countAll();
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (count > CHANGED_MAX || isCalm) view.panels.forEach((panel) => panel.changed.clear());
  view.root.dataset.changed = String(countAll());
  clearTimeout(view.unmarking);
  if (count) view.unmarking = setTimeout(unmark, CHANGED_MS, view);
}

/** @param {View} view */
function unmark(view) {
  view.root.dataset.changed = "0";
  for (const panel of view.panels.filter(({ changed }) => changed.size)) panel.changed.clear(), panel.paint(view);
}

/** @param {View} view */
function buildFrame(view) {
  const labelId = newId();
  const twin = { "aria-labelledby": labelId, role: "region" };
  Object.assign(view, {
    root: make("div", "mlab-root"),
    // To read the theme from.
    probe: attributes(make("span", "mlab-probe", { hidden: true }), { "aria-hidden": "true" }),
    sentencesNode: make("div", ""),
    problem: attributes(make("p", "mlab-problem"), { role: "status" }),
    controlsNode: make("div", "mlab-controls"),
    moreButton: make("button", "mlab-button mlab-more-button", { type: "button", textContent: "More" }),
    more: make("div", "mlab-more", { id: newId(), hidden: true }),
    summary: attributes(make("p", "mlab-summary"), { role: "status" }),
    row: make("div", "mlab-panels"),
    hint: attributes(make("p", "mlab-hint"), { "aria-hidden": "true" }), // heard with the panel or the control
    status: attributes(make("p", "mlab-status"), { "aria-hidden": "true" }), // the next one speaks
    spoken: attributes(make("p", "mlab-hidden mlab-spoken"), { "aria-live": "polite" }),
    text: attributes(make("pre", "mlab-text-twin", { tabIndex: 0 }), twin),
  });
  view.top = make("div", "mlab-top", {}, view.sentencesNode, view.problem, makeNotice(view));
  const name = make("p", "mlab-control-name", { id: labelId, textContent: "the same as text" });
  view.textBox = make("div", "mlab-text-box", { hidden: true }, name, view.text);
  // JupyterLab's shortcuts would fire from inside: `x` cuts the learner's cell. This keeps them off.
  const flags = { "data-lm-suppress-shortcuts": "true", role: "group", "aria-label": view.link.label() };
  attributes(view.root, flags).append(
    view.probe, view.top, view.controlsNode, view.summary, view.row, makeCode(view),
    make("div", "mlab-words", {}, view.status, view.hint), view.spoken, view.textBox,
  );
}

/** The controls that are rarely used. @param {View} view @param {boolean} isOpen */
function showMore(view, isOpen) {
  view.more.hidden = !isOpen;
  attributes(view.moreButton, { "aria-expanded": String(isOpen), "aria-controls": view.more.id });
  setText(view.moreButton, isOpen ? "Less" : "More");
}

/** What is known before anything is drawn. @param {Model} model @param {Listen} on @returns {any} */
function newView(model, on) {
  const link = new Link(model);
  const palette = link.palette();
  return {
    link, on, memory: new Memory(link), theme: PLAIN, patterns: {},
    shades: { unit: shadesOf(palette.unit), signed: shadesOf(palette.signed) },
    picture: null, sentences: [], panels: [], controls: [], chipRows: [], markedChips: [], shown: 0,
    pointed: null, chosen: null, asked: "", under: null, sweep: null, drag: null, editor: null,
    force: false, changedAt: -Infinity,
  };
}

/** @param {View} view */
function listenToRoot(view) {
  showMore(view, false);
  view.on(view.moreButton, "click", () => showMore(view, view.more.hidden));
  view.on(view.root, "keydown", (event) => {
    if (event.key === "Escape") view.pointed = null, select(view, "chosen", null);
    event.stopPropagation(); // Control+Enter, too, would run the cell again; copy and paste are the browser's own
  });
}

/** The page may come later than the picture, the theme may change, the page may be zoomed.
 * @param {View} view */
function watchPage(view) {
  const look = () => readTheme(view) && view.panels.forEach((panel) => repaint(view, panel));
  const measure = () => {
    setFlag(view.root, "data-tall", view.root.offsetHeight > innerHeight - AROUND);
    view.root.style.setProperty("--mlab-top", `${view.top.offsetHeight}px`);
  };
  const resized = new ResizeObserver(() => (measure(), look()));
  resized.observe(view.root);
  view.on(globalThis, "resize", measure);
  // JupyterLab names a theme once it is there. Elsewhere the style sheet gives its colour a moment, whose end says so.
  const themed = new MutationObserver(look);
  themed.observe(document.body, { attributeFilter: ["data-jp-theme-name", "data-jp-theme-light"] });
  view.on(view.root, "transitionend", (event) => event.target === view.root && look());
  return () => (resized.disconnect(), themed.disconnect());
}

/** @param {{ model: Model, el: HTMLElement }} place */
function render({ model, el }) {
  const end = new AbortController();
  const on = (node, type, listener) => node.addEventListener(type, listener, { signal: end.signal });
  /** @type {View} */
  const view = newView(model, on);
  buildFrame(view);
  listenToPanels(view);
  listenToRoot(view);
  const stops = [
    watchPage(view),
    view.link.listen({
      picture: () => showPicture(view),
      state: () => showState(view),
      controls: () => showControls(view),
      trouble: () => showNotice(view),
    }),
  ];
  el.append(view.root);
  readTheme(view);
  showControls(view);
  showPicture(view);
  if (view.picture) syncPanels(view);
  return () => {
    end.abort();
    stops.forEach((stop) => stop());
    cancelAnimationFrame(view.following);
    [view.speaking, view.unmarking, view.syncing, view.copying].forEach(clearTimeout);
    view.root.remove();
  };
}

export { number, shadesOf }; // for the tests
export default { initialize() {}, render };
