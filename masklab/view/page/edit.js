/* What a learner changes in a panel: at once on the page, and into the state for the kernel. */

import { setState } from "./link.js";
import { applyEdits } from "./picture.js";

/** @param {Edits | null} edits */
export const isToggle = (edits) => edits?.how === "toggle";

/** Give one cell's flag the value `blocked`.
 * @param {View} view @param {import("./panel.js").Panel} panel @param {number} i @param {boolean} blocked */
export function setBlocked(view, { data }, i, blocked) {
  if (Boolean(data.blocked[i]) === blocked) return;
  const cell = [Math.floor(i / data.columnCount), i % data.columnCount];
  setState(view, { [data.edits.key]: toggled(view.link.state()[data.edits.key] ?? [], cell) });
}

/** A list of cells with one more, or one less if it is there. @param {number[][]} cells @param {number[]} cell */
export function toggled(cells, [row, column]) {
  const others = cells.filter(([r, c]) => r !== row || c !== column);
  return others.length < cells.length ? others : [...cells, [row, column]];
}

/** The state says what was changed; show it. @param {View} view */
export function showEdits(view) {
  for (const panel of view.panels.filter(({ data }) => data.edits)) {
    applyEdits(panel.data, view.link.state());
    panel.paint(view);
    panel.sync();
  }
}
