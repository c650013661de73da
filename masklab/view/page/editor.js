/* A box over one cell, to type its number in. */

import { attributes, make } from "./dom.js";
import { readNumber, setNumber } from "./edit.js";
import { number } from "./numbers.js";
import { showSelection, wordsOfCell } from "./selection.js";

const WIDTH = 64; // room for some digits, in CSS pixels

/** Open the box; with `text`, what was typed already, else with the cell's own number to be replaced.
 * @param {View} view @param {import("./panel.js").Panel} panel @param {number} i @param {string} [text] */
export function openEditor(view, panel, i, text) {
  closeEditor(view);
  const box = panel.boxOf(i);
  const input = make("input", "mlab-cell-input", { type: "text", inputMode: "decimal", autocomplete: "off" });
  attributes(input, { "aria-label": `new number for ${wordsOfCell(view, panel, i)}` });
  const [width, room] = [Math.max(WIDTH, box.width), panel.sheet.clientWidth];
  const left = Math.max(0, Math.min(box.x + (box.width - width) / 2, room - width));
  input.style.cssText = `left:${left}px;top:${box.y}px;width:${width}px;height:${box.height}px`;
  view.editor = { panel, i, input, problem: "" };
  panel.sheet.append(input);
  input.value = text ?? number(panel.data.values[i], panel.data.kind);
  input.focus();
  if (text === undefined) input.select();
  view.on(input, "keydown", (event) => finishBy(view, event));
  view.on(input, "blur", () => view.editor?.input === input && commit(view, { goBack: false }));
}

function finishBy(view, event) {
  if (event.key === "Enter") commit(view, { goBack: true });
  else if (event.key === "Escape") leave(view, { goBack: true });
  else return;
  event.preventDefault();
  event.stopPropagation(); // Escape would take the selection, too
}

/* What cannot be read stays in the box, with a sentence. */
function commit(view, { goBack }) {
  const { panel, i, input } = view.editor;
  const { value, problem } = readNumber(panel.data.edits, input.value);
  if (problem) {
    view.editor.problem = problem;
    input.setAttribute("aria-invalid", "true");
    view.pointed = null; // so that the sentence is seen
    showSelection(view);
    return;
  }
  const isSame = input.value === number(panel.data.values[i], panel.data.kind);
  leave(view, { goBack });
  if (!isSame) setNumber(view, panel.data, i, value);
  showSelection(view);
}

function leave(view, { goBack }) {
  const { panel, i } = view.editor;
  closeEditor(view);
  if (goBack) panel.focus(i, { really: true });
  showSelection(view);
}

/** @param {View} view */
export function closeEditor(view) {
  const input = view.editor?.input;
  view.editor = null; // first: to be removed takes the focus, which would commit
  input?.remove();
}
