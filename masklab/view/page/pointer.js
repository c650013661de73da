/* Pointer and keyboard in the panels. */

import { clamp } from "./dom.js";
import { isToggle, setBlocked } from "./edit.js";
import { select, selectCell, showSelection } from "./selection.js";

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
  on(row, "pointerover", (event) => pointAt(view, event));
  on(row, "pointermove", (event) => pointAt(view, event));
  on(row, "pointerleave", () => {
    view.under = null;
    select(view, "pointed", null);
  });
  on(row, "pointerdown", (event) => press(view, event));
  on(globalThis, "pointerup", () => (view.sweeping = null));
  on(globalThis, "pointercancel", () => (view.sweeping = null));
  on(row, "focusin", ({ target }) => {
    const panel = panelOf(view, target);
    const i = panel ? panel.stopAt(target) : -1;
    if (target.matches(":focus-visible")) view.pointed = null; // the keyboard spoke last
    if (i >= 0) selectCell(view, "chosen", panel, i);
  });
  on(row, "keydown", (event) => walk(view, event));
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
  if (!(event.buttons & 1)) view.sweeping = null; // the button was let go elsewhere
  selectCell(view, "pointed", at.panel, at.i);
  if (view.sweeping !== null && isToggle(at.panel.data.edits)) setBlocked(view, at.panel, at.i, view.sweeping);
}

/** A press chooses a cell; where cells can be toggled, it toggles this one, and a sweep does the same to the next ones.
 * @param {View} view @param {any} event */
function press(view, event) {
  const at = cellUnder(view, event);
  if (!at || event.button !== 0) return;
  selectCell(view, "chosen", at.panel, at.i);
  if (!isToggle(at.panel.data.edits)) return;
  event.target.releasePointerCapture?.(event.pointerId); // else a finger would stay on the first cell
  view.sweeping = !at.panel.data.blocked[at.i];
  setBlocked(view, at.panel, at.i, view.sweeping);
}

/** @param {View} view @param {any} event */
function walk(view, event) {
  const panel = panelOf(view, event.target);
  const at = panel ? panel.stopAt(event.target) : -1;
  if (at < 0) return;
  const to = event.altKey ? undefined : destination(event, panel.data, at);
  if (to !== undefined) {
    view.pointed = null; // the keyboard spoke last
    panel.focus(to, { really: true });
    selectCell(view, "chosen", panel, to);
  } else if ((event.key === " " || event.key === "Enter") && isToggle(panel.data.edits)) {
    setBlocked(view, panel, at, !panel.data.blocked[at]);
    showSelection(view);
  } else if (event.key !== " ") return; // a space would scroll the page
  event.preventDefault();
  event.stopPropagation();
}

/* The cell that a key leads to, if it leads to one. */
function destination({ key, ctrlKey }, { rowCount, columnCount }, at) {
  const [r, c] = [Math.floor(at / columnCount), at % columnCount];
  const moves = {
    ArrowLeft: [r, c - 1], ArrowRight: [r, c + 1], ArrowUp: [r - 1, c], ArrowDown: [r + 1, c],
    Home: [ctrlKey ? 0 : r, 0], End: [ctrlKey ? rowCount - 1 : r, columnCount - 1],
    PageUp: [0, c], PageDown: [rowCount - 1, c],
  };
  if (!(key in moves)) return undefined;
  return clamp(moves[key][0], 0, rowCount - 1) * columnCount + clamp(moves[key][1], 0, columnCount - 1);
}
