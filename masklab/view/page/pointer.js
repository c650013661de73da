/* Pointer and keyboard in the panels. */

import { clamp } from "./dom.js";
import { canSet, canToggle, setBlocked, setNumber, stepped } from "./edit.js";
import { openEditor } from "./editor.js";
import { meaningOf } from "./panel.js";
import { ask, select, selectCell, showSelection } from "./selection.js";

const STEP_PX = 2; // so far a number is dragged for one step of it
const DRAG_PX = 4; // a hand that only clicks may move so far

/** @param {View} view @param {any} target */
const panelOf = (view, target) => view.panels.find((panel) => panel.step.contains(target));

/** The cell under the pointer, or null. @param {View} view @param {any} event */
function cellUnder(view, event) {
  const panel = panelOf(view, event.target);
  const i = panel ? panel.cellAt(event) : -1;
  return i < 0 ? null : { panel, i };
}

/** @param {View} view */
export function listenToPanels(view) {
  const { on, row } = view;
  on(row, "pointerover", (event) => {
    const panel = panelOf(view, event.target);
    ask(view, panel ? `${panel.data.title}: ${meaningOf(panel.data)}` : "");
    pointAt(view, event);
  });
  on(row, "pointermove", (event) => (view.drag ? dragTo(view, event) : pointAt(view, event)));
  on(row, "pointerleave", () => {
    view.under = null;
    ask(view, "");
    select(view, "pointed", null);
  });
  on(row, "pointerdown", (event) => press(view, event));
  on(row, "dblclick", (event) => {
    const at = cellUnder(view, event);
    if (at && canSet(at.panel.data)) openEditor(view, at.panel, at.i);
  });
  for (const end of ["pointerup", "pointercancel"]) on(globalThis, end, () => (view.sweep = view.drag = null));
  on(row, "focusin", ({ target }) => {
    const panel = panelOf(view, target);
    const i = panel ? panel.stopAt(target) : -1;
    if (target.matches(":focus-visible")) view.pointed = null; // the keyboard spoke last
    if (i >= 0) selectCell(view, "chosen", panel, i);
  });
  on(row, "keydown", (event) => onKey(view, event));
  // The browser says which panels it leaves out because they are outside the window.
  const look = (event) => {
    const panel = panelOf(view, event.target); // none, if another picture has come since
    if (panel) panel.isOutside = event.skipped;
  };
  row.addEventListener("contentvisibilityautostatechange", look, { capture: true });
}

/** @param {View} view @param {any} event */
function pointAt(view, event) {
  const at = cellUnder(view, event);
  if (!at) return;
  const isSame = view.under?.panel === at.panel && view.under.i === at.i;
  if (event.type === "pointermove" && isSame) return;
  view.under = at;
  if (!(event.buttons & 1)) view.sweep = null; // the button was let go elsewhere
  selectCell(view, "pointed", at.panel, at.i);
  if (view.sweep?.panel === at.panel) setBlocked(view, at.panel.data, at.i, view.sweep.blocked);
}

/** A press chooses a cell. Where cells can be toggled, it toggles this one, and a sweep does the same to the
 * next ones; where numbers can be set, it may become a drag.
 * @param {View} view @param {any} event */
function press(view, event) {
  const at = cellUnder(view, event);
  if (!at || event.button !== 0) return;
  const { panel, i } = at;
  selectCell(view, "chosen", panel, i);
  if (canToggle(panel.data)) {
    event.target.releasePointerCapture?.(event.pointerId); // else a finger would stay on the first cell
    view.sweep = { panel, blocked: !panel.data.blocked[i] };
    setBlocked(view, panel.data, i, view.sweep.blocked);
  } else if (canSet(panel.data)) {
    event.target.setPointerCapture?.(event.pointerId);
    view.drag = { panel, i, from: panel.data.values[i], y: event.clientY };
  }
}

/** @param {View} view @param {any} event */
function dragTo(view, event) {
  const { panel, i, from, y } = view.drag;
  if (!(event.buttons & 1)) return void (view.drag = null); // the button was let go elsewhere
  const up = y - event.clientY;
  if (Math.abs(up) < DRAG_PX && panel.data.values[i] === from) return;
  setNumber(view, panel.data, i, stepped(panel.data.edits, from, Math.round(up / STEP_PX)));
  showSelection(view);
}

/** @param {View} view @param {any} event */
function onKey(view, event) {
  const panel = panelOf(view, event.target);
  const at = panel ? panel.stopAt(event.target) : -1;
  if (at < 0 || event.altKey || event.metaKey) return;
  if (edit(view, panel, at, event)) showSelection(view);
  else if (!walk(view, panel, at, event) && event.key !== " ") return; // a space would scroll the page
  event.preventDefault();
  event.stopPropagation();
}

/** Do what a key does to the cell's flag or number. True if it does anything.
 * @param {View} view @param {import("./panel.js").Panel} panel @param {number} i @param {KeyboardEvent} event */
function edit(view, panel, i, { key, shiftKey, ctrlKey }) {
  const { data } = panel;
  if (ctrlKey) return false;
  if (canToggle(data) && (key === " " || key === "Enter")) return setBlocked(view, data, i, !data.blocked[i]), true;
  if (!canSet(data)) return false;
  const steps = STEPS[shiftKey && key.startsWith("Arrow") ? `Shift+${key}` : key];
  if (steps) setNumber(view, data, i, stepped(data.edits, data.values[i], steps));
  else if (key === "Delete" || key === "Backspace") setNumber(view, data, i, null);
  else if (key === "Enter" || key === "F2") openEditor(view, panel, i);
  else if (/^[\p{Letter}\d.,∞]$/u.test(key)) openEditor(view, panel, i, key); // a letter: nan, inf
  else return false;
  return true;
}

const STEPS = {
  "+": 1, "-": -1, "−": -1,
  "Shift+ArrowUp": 1, "Shift+ArrowRight": 1, "Shift+ArrowDown": -1, "Shift+ArrowLeft": -1,
};

/** Go to the cell that a key leads to. True if it leads to one.
 * @param {View} view @param {import("./panel.js").Panel} panel @param {number} at @param {KeyboardEvent} event */
function walk(view, panel, at, { key, ctrlKey }) {
  const { rowCount, columnCount } = panel.data;
  const [r, c] = [Math.floor(at / columnCount), at % columnCount];
  const moves = {
    ArrowLeft: [r, c - 1], ArrowRight: [r, c + 1], ArrowUp: [r - 1, c], ArrowDown: [r + 1, c],
    Home: [ctrlKey ? 0 : r, 0], End: [ctrlKey ? rowCount - 1 : r, columnCount - 1],
    PageUp: [0, c], PageDown: [rowCount - 1, c],
  };
  if (!(key in moves)) return false;
  const to = clamp(moves[key][0], 0, rowCount - 1) * columnCount + clamp(moves[key][1], 0, columnCount - 1);
  view.pointed = null; // the keyboard spoke last
  panel.focus(to, { really: true });
  selectCell(view, "chosen", panel, to);
  return true;
}
