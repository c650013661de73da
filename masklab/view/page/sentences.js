/* Boxes to type sentences in, each with its words as chips. */

import { NO_SENTENCE, drawChips, listenToChips, moveStop, newChips, pressChips } from "./chips.js";
import { setValue } from "./controls.js";
import { attributes, clamp, make, newId, setFlag, setText } from "./dom.js";
import { setState } from "./link.js";

const MOST = 100_000; // characters: a longer text is not sent, for it would block the line to the kernel

/** The boxes follow the state, the chips follow the kernel's answer; without `name`, the chips alone.
 * @param {View} view @returns {Control} */
export function sentenceBoxes(view, { name, label = "sentences", max = 6, sets = {} }) {
  const list = make("div", "mlab-sentences");
  const add = make("button", "mlab-button mlab-add", { type: "button", textContent: "+ add" });
  attributes(add, { "aria-label": "+ add sentence" });
  const node = attributes(make("div", "mlab-sentence-box", {}, list), { role: "group", "aria-label": label });
  if (name) node.append(add);
  const boxes = { name, sets, rows: [], refused: [], isOurs: false, group: newId() };
  view.on(add, "click", () => {
    change(view, boxes, { [name]: [...textsOf(view, boxes), ""] }, { force: true });
    boxes.rows.at(-1).input.focus();
  });
  const fit = (count) => {
    while (boxes.rows.length < count) {
      boxes.rows.push(sentenceRow(view, boxes, boxes.rows.length));
      list.append(boxes.rows.at(-1).node);
    }
    while (boxes.rows.length > count) boxes.rows.pop().node.remove();
    view.chipRows = boxes.rows.map((row) => row.chips);
    add.hidden = count >= max;
  };
  const sync = (state) => {
    if (name) fit(textsOf(view, boxes).length);
    showRow(view, boxes, state);
    if (name) syncTexts(view, boxes);
    boxes.rows.forEach((row, i) => pressChips(row.chips, i, state, i === view.shown));
  };
  const draw = () => {
    if (!name) fit(view.sentences.length), showRow(view, boxes, view.link.state());
    boxes.rows.forEach((row, i) => {
      setText(row.note, view.sentences[i]?.note ?? "");
      drawChips(row.chips, view.sentences[i] ?? NO_SENTENCE, i === view.shown);
      pressChips(row.chips, i, view.link.state(), i === view.shown);
    });
  };
  return { node, sync, draw };
}

const textsOf = (view, { name }) => view.link.state()[name] ?? [];

/* A change that comes from these boxes: what was refused stays in them. */
function change(view, boxes, changes, options = {}) {
  boxes.isOurs = true;
  setState(view, changes, options);
  boxes.isOurs = false;
}

/* Another sentence may need more to change: a guess begins anew. */
const showing = (view, { sets }, i) => (view.shown === i ? {} : { ...structuredClone(sets), shown: i });

function showRow(view, { rows }, state) {
  view.shown = clamp(state.shown ?? view.picture?.shown ?? 0, 0, Math.max(rows.length - 1, 0));
  rows.forEach((row, i) => {
    setFlag(row.node, "data-shown", i === view.shown);
    row.radio.checked = i === view.shown;
    row.remove.disabled = rows.length <= 1;
    moveStop(row.chips, row.chips.active, i === view.shown);
  });
}

function syncTexts(view, boxes) {
  if (view.force && !boxes.isOurs) boxes.refused.length = 0; // Reset
  textsOf(view, boxes).forEach((text, i) => {
    const [row, refused] = [boxes.rows[i], boxes.refused[i]];
    setValue(view, row.input, refused ?? text);
    setText(row.refusal, refused === undefined ? "" : refusalOf(refused));
    setFlag(row.input, "aria-invalid", refused !== undefined);
  });
}

const refusalOf = ({ length }) =>
  `This text has ${length.toLocaleString("en")} characters, and up to ${MOST.toLocaleString("en")} are sent: ` +
  "it is kept here, shorten it to see it.";

function sentenceRow(view, boxes, i) {
  const { name, group } = boxes;
  const named = (node, label) => attributes(node, { "aria-label": label });
  const radio = named(make("input", "", { type: "radio", name: group }), `show sentence ${i + 1}`);
  const text = { type: "text", dir: "auto", spellcheck: false, autocomplete: "off" };
  const input = named(make("input", "mlab-text", text), `sentence ${i + 1}`);
  const strip = named(attributes(make("div", "mlab-chips"), { role: "toolbar" }), `words of sentence ${i + 1}`);
  const note = make("span", "mlab-sentence-note");
  const removal = make("button", "mlab-button mlab-remove", { type: "button", textContent: "×" });
  const remove = named(removal, `remove sentence ${i + 1}`);
  const refusal = attributes(make("p", "mlab-refusal", { id: newId() }), { role: "status" });
  input.setAttribute("aria-describedby", refusal.id);
  const chips = newChips(strip);
  const show = (changes = {}) => change(view, boxes, { ...showing(view, boxes, i), ...changes });
  view.on(radio, "change", () => show());
  view.on(input, "input", () => typeText(view, boxes, i, input.value));
  view.on(remove, "click", () => removeRow(view, boxes, i));
  listenToChips(view, chips, i, show);
  const parts = name ? [radio, input, strip, note, remove, refusal] : [radio, strip, note];
  return { node: make("div", "mlab-sentence", {}, ...parts), radio, input, note, remove, refusal, chips };
}

/* What is typed is shown, and sent unless it is too long. */
function typeText(view, boxes, i, text) {
  if (text.length > MOST) {
    boxes.refused[i] = text;
    syncTexts(view, boxes);
    return;
  }
  delete boxes.refused[i];
  change(view, boxes, { ...showing(view, boxes, i), [boxes.name]: textsOf(view, boxes).with(i, text) });
}

function removeRow(view, boxes, i) {
  const texts = textsOf(view, boxes);
  const isBefore = view.shown > i || view.shown === texts.length - 1;
  const shown = isBefore ? Math.max(view.shown - 1, 0) : view.shown;
  boxes.refused.splice(i, 1);
  change(view, boxes, { [boxes.name]: texts.filter((_, k) => k !== i), shown }, { force: true });
  boxes.rows[Math.min(i, boxes.rows.length - 1)].input.focus(); // the button is gone, and the focus would be, too
}
