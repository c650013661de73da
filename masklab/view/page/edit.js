/* What a learner changes in a panel: at once on the page, and into the state for the kernel.
 * The state holds a list of cells: for flags [row, column], for numbers [row, column, value], for what goes in a cycle
 * [row, column, clicks]. */

import { clamp } from "./dom.js";
import { setState } from "./link.js";
import { applyEdits } from "./picture.js";

/** @param {PanelData} data */
export const canToggle = (data) => data.edits?.how === "toggle";
/** @param {PanelData} data */
export const canSet = (data) => data.edits?.how === "number";

/** @returns {number[]} */
const cellOf = ({ columnCount }, i) => [Math.floor(i / columnCount), i % columnCount];
/** @param {number[][]} cells @param {number[]} cell */
const without = (cells, [row, column]) => cells.filter(([r, c]) => r !== row || c !== column);
const changesOf = (view, edits) => view.link.state()[edits.key] ?? [];

/** A list of cells with one more, or one less if it is there. @param {number[][]} cells @param {number[]} cell */
export function toggled(cells, cell) {
  const others = without(cells, cell);
  return others.length < cells.length ? others : [...cells, cell];
}

/** A list of clicks with one more at a cell; after `most` of them it is as it was.
 * @param {number[][]} cells @param {number[]} cell @param {number} most */
export function cycled(cells, cell, most) {
  const [row, column] = cell;
  const before = cells.find(([r, c]) => r === row && c === column)?.[2] ?? 0;
  return [...without(cells, cell), ...(before < most ? [[row, column, before + 1]] : [])];
}

/** Give one cell's flag the value `blocked`.
 * @param {View} view @param {PanelData} data @param {number} i @param {boolean} blocked */
export function setBlocked(view, data, i, blocked) {
  if (Boolean(data.blocked[i]) === blocked) return;
  setState(view, { [data.edits.key]: toggled(changesOf(view, data.edits), cellOf(data, i)) });
}

/** Set one cell's number; null gives back the lab's own. JSON has no NaN and no infinity: they go by name.
 * @param {View} view @param {PanelData} data @param {number} i @param {number | null} value */
export function setNumber(view, data, i, value) {
  const [cell, cells] = [cellOf(data, i), changesOf(view, data.edits)];
  const set = value === null ? [] : [[...cell, Number.isFinite(value) ? value : String(value)]];
  setState(view, { [data.edits.key]: [...without(cells, cell), ...set] });
}

/** The number that is so many steps from another, within the limits.
 * @param {Edits} edits @param {number} value @param {number} steps */
export function stepped({ low, high, step }, value, steps) {
  const start = Number.isFinite(value) ? Number(value.toPrecision(7)) : 0; // as written, not as a float32 holds it
  return clamp(Number((start + steps * step).toFixed(10)), low ?? -Infinity, high ?? Infinity);
}

const NAMED = { nan: NaN, inf: Infinity, infinity: Infinity, "∞": Infinity };

/** What was typed → { value }, or { problem } in one sentence.
 * @param {Edits} edits @param {string} text @returns {{ value?: number, problem?: string }} */
export function readNumber({ low, high }, text) {
  const plain = text.trim().toLowerCase().replace("−", "-").replace(",", ".");
  const [sign, name] = plain.startsWith("-") ? [-1, plain.slice(1)] : [1, plain];
  const value = name in NAMED ? sign * NAMED[name] : plain === "" ? NaN : Number(plain);
  const isRight = Number.isNaN(value) ? name === "nan" && (low === null || high === null) : !isOut(value, low, high);
  return isRight ? { value } : { problem: `Type ${rangeWords(low, high)}; Escape leaves it as it was.` };
}

const isOut = (value, low, high) => (low !== null && value < low) || (high !== null && value > high);

function rangeWords(low, high) {
  const [least, most] = [low, high].map((end) => String(end).replace("-", "−"));
  if (low !== null && high !== null) return `a number from ${least} to ${most}`;
  if (low !== null) return `a number of at least ${least}, nan or inf`;
  return high !== null ? `a number of at most ${most}, nan or -inf` : "a number, such as 0.5";
}

/** The state says what was changed; show it. @param {View} view */
export function showEdits(view) {
  const state = view.link.state();
  for (const panel of view.panels.filter(({ data }) => data.edits && data.applied !== state[data.edits.key])) {
    applyEdits(panel.data, state);
    panel.refresh();
    panel.paint(view);
    panel.sync();
  }
}
