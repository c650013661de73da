/* One thing is selected on the whole page, and is highlighted everywhere and said in words below.
 * It is one index a link, { query: 2, key: 4 }, and the panel where it was made.
 * Pointing is for the moment; what was clicked or walked to stays. The kernel knows nothing of it. */

import { setText } from "./dom.js";
import { meaningOf } from "./panel.js";
import { isPair, placeOfRow } from "./picture.js";
import { cellWords } from "./words.js";

const SPEAK_MS = 150; // a screen reader hears the words once the selection rests

/** @param {View} view @returns {Selected} */
const selectedIn = (view) => view.pointed ?? view.chosen ?? { axes: {}, source: null };

/** @param {View} view @param {"pointed" | "chosen"} how @param {Record<string, number> | null} axes
 * @param {string | null} source */
export function select(view, how, axes, source = null) {
  view[how] = axes && { axes, source };
  showSelection(view);
}

/** @param {View} view @param {"pointed" | "chosen"} how @param {import("./panel.js").Panel} panel @param {number} i */
export function selectCell(view, how, { data }, i) {
  const { links, start, columnCount, name } = data;
  const [row, column] = [placeOfRow(data, Math.floor(i / columnCount)), start[1] + (i % columnCount)];
  select(view, how, { [links[0]]: row, [links[1]]: column }, name);
}

/** After another picture: forget what is no longer there, and show the rest. @param {View} view */
export function keepSelection(view) {
  if (!selectionWords(view)) view.pointed = view.chosen = null;
  showSelection(view, { speak: false });
}

/** @param {View} view */
export function showSelection(view, { speak = true } = {}) {
  const { axes } = selectedIn(view);
  for (const panel of view.panels) {
    const [row, column] = placeOf(panel.data, axes);
    if (row !== panel.highlighted[0] || column !== panel.highlighted[1]) panel.highlight(row, column);
    const [stopRow, stopColumn] = placeOf(panel.data, view.chosen?.axes ?? {});
    const stop = stopRow * panel.data.columnCount + stopColumn;
    if (stopRow >= 0 && stopColumn >= 0 && stop !== panel.active) panel.focus(stop, { really: false });
  }
  highlightChips(view, axes);
  const words = (!view.pointed && view.editor?.problem) || selectionWords(view);
  setText(view.status, words || "Point at a cell, or walk with the arrow keys.");
  setText(view.hint, view.asked || hintOf(view));
  clearTimeout(view.speaking);
  if (speak) view.speaking = setTimeout(() => setText(view.spoken, words), SPEAK_MS);
}

/** Where a selection is in one panel; -1 where it is not. In another batch than its own it is nowhere.
 * @param {PanelData} data @param {Record<string, number>} axes */
function placeOf({ links, shape, start, places }, axes) {
  const [row, column] = links.map((link, k) => {
    const at = axes[link] - start[k]; // NaN if nothing of this link is selected
    return at >= 0 && at < shape[k] ? at : -1;
  });
  const place = places.indexOf(axes[links[0]]);
  return places.length ? [place, place < 0 ? -1 : column] : [row, column];
}

/* A cell's words come from the panel where it was selected, else from the first of queries and keys. */
/** @param {View} view */
function selectionWords(view) {
  const { axes, source } = selectedIn(view);
  const here = view.panels.map(({ data }) => data).filter((data) => !placeOf(data, axes).includes(-1));
  const from = here.find(({ name }) => name === source) ?? here.find(isPair) ?? here[0];
  if (!from) return "";
  const [row, column] = placeOf(from, axes);
  return cellWords(here, from, row, column, view.sentences);
}

/* What the panel means in which something is selected. */
function hintOf(view) {
  const panel = view.panels.find(({ data }) => data.name === selectedIn(view).source);
  return panel ? `${panel.data.title}: ${meaningOf(panel.data)}` : "";
}

/** Say below what is pointed at, a panel or a control; "" for nothing. @param {View} view @param {string} sentence */
export function ask(view, sentence) {
  view.asked = sentence;
  setText(view.hint, sentence || hintOf(view));
}

/** @param {View} view @param {import("./panel.js").Panel} panel @param {number} i */
export function wordsOfCell(view, { data }, i) {
  const all = view.panels.map((panel) => panel.data);
  return cellWords(all, data, Math.floor(i / data.columnCount), i % data.columnCount, view.sentences);
}

/** @param {View} view @param {Record<string, number>} axes */
function highlightChips(view, axes) {
  for (const chip of view.markedChips) for (const name of ["query", "key", "here"]) delete chip.dataset[name];
  const buttons = view.chipRows[view.shown]?.buttons ?? [];
  const hasPairs = view.panels.some(({ data }) => ["query", "key"].some((link) => data.links.includes(link)));
  const [query, key] = hasPairs ? [buttons[axes.query], buttons[axes.key]] : [];
  if (query) query.dataset.query = "Q";
  if (key) key.dataset.key = "K";
  const here = !query && !key && view.chipRows[axes.sentence ?? view.shown]?.buttons[axes.position];
  if (here) here.dataset.here = "true";
  view.markedChips = [query, key, here].filter(Boolean);
}
