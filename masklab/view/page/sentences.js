/* Boxes to type sentences in, each with its words as chips. */

import { setValue } from "./controls.js";
import { attributes, clamp, isolated, make, newId, setFlag, setText } from "./dom.js";
import { setState } from "./link.js";
import { select } from "./selection.js";

const NOTHING = { labels: [], words: [], pads: [], note: "" };

/** The boxes follow the state, the chips follow the kernel's answer; without `name`, the chips alone.
 * @param {View} view @returns {Control} */
export function sentenceBoxes(view, { name, label = "sentences", max = 6, sets = {} }) {
  const list = make("div", "mlab-sentences");
  const add = make("button", "mlab-button mlab-add", { type: "button", textContent: "+ add sentence" });
  const node = attributes(make("div", "mlab-sentence-box", {}, list), { role: "group", "aria-label": label });
  if (name) node.append(add);
  const group = newId();
  const texts = () => view.link.state()[name] ?? [];
  const rows = [];
  view.on(add, "click", () => {
    setState(view, { [name]: [...texts(), ""] }, { force: true });
    rows.at(-1).input.focus();
  });
  const fit = (count) => {
    while (rows.length < count) {
      rows.push(sentenceRow(view, rows.length, { name, group, texts, sets, rows }));
      list.append(rows.at(-1).node);
    }
    while (rows.length > count) rows.pop().node.remove();
    view.chipRows = rows.map((row) => row.chips);
    add.hidden = count >= max;
  };
  const show = (shown) => {
    view.shown = clamp(shown ?? view.picture?.shown ?? 0, 0, Math.max(rows.length - 1, 0));
    rows.forEach((row, i) => {
      setFlag(row.node, "data-shown", i === view.shown);
      row.radio.checked = i === view.shown;
      row.remove.disabled = rows.length <= 1;
      moveStop(row.chips, row.chips.active, i === view.shown);
    });
  };
  const sync = (state) => {
    if (name) fit(texts().length);
    show(state.shown);
    if (name) rows.forEach((row, i) => setValue(view, row.input, texts()[i]));
  };
  const draw = () => {
    if (!name) fit(view.sentences.length), show(view.link.state().shown);
    rows.forEach((row, i) => {
      setText(row.note, view.sentences[i]?.note ?? "");
      drawChips(row.chips, view.sentences[i] ?? NOTHING, i === view.shown);
    });
  };
  return { node, sync, draw };
}

function sentenceRow(view, i, { name, group, texts, sets, rows }) {
  const named = (node, label) => attributes(node, { "aria-label": label });
  const radio = named(make("input", "", { type: "radio", name: group }), `show sentence ${i + 1}`);
  const text = { type: "text", dir: "auto", spellcheck: false, autocomplete: "off" };
  const input = named(make("input", "mlab-text", text), `sentence ${i + 1}`);
  const strip = named(attributes(make("div", "mlab-chips"), { role: "toolbar" }), `words of sentence ${i + 1}`);
  const note = make("span", "mlab-sentence-note");
  const removal = make("button", "mlab-button mlab-remove", { type: "button", textContent: "×" });
  const remove = named(removal, `remove sentence ${i + 1}`);
  const chips = { node: strip, buttons: [], active: 0, drawn: "" };
  const show = () => setState(view, { ...structuredClone(sets), shown: i });
  view.on(radio, "change", show);
  view.on(input, "input", () => setState(view, { [name]: texts().with(i, input.value) }));
  view.on(remove, "click", () => {
    const isBefore = view.shown > i || view.shown === texts().length - 1;
    const shown = isBefore ? Math.max(view.shown - 1, 0) : view.shown;
    setState(view, { [name]: texts().filter((_, k) => k !== i), shown }, { force: true });
    rows[Math.min(i, rows.length - 1)].input.focus(); // the button is gone, and the focus would be, too
  });
  listenToChips(view, chips, i, show);
  const parts = name ? [radio, input, strip, note, remove] : [radio, strip, note];
  return { node: make("div", "mlab-sentence", {}, ...parts), radio, input, note, remove, chips };
}

/** @param {Chips} chips @param {Line} sentence @param {boolean} isShown */
function drawChips(chips, { labels, words, pads }, isShown) {
  const drawn = JSON.stringify([labels, words, pads]);
  if (drawn === chips.drawn) return;
  chips.drawn = drawn;
  while (chips.buttons.length > labels.length) chips.buttons.pop().remove();
  while (chips.buttons.length < labels.length) {
    const chip = make("button", "mlab-chip", { type: "button", tabIndex: -1 }, isolated(""));
    chip.dataset.i = chips.buttons.length;
    chips.buttons.push(chip);
    chips.node.append(chip);
  }
  chips.buttons.forEach((chip, i) => {
    setText(chip.firstChild, labels[i]);
    chip.title = words[i] === labels[i] ? "" : words[i];
    setFlag(chip, "data-pad", pads[i]);
  });
  moveStop(chips, clamp(chips.active, 0, Math.max(labels.length - 1, 0)), isShown);
}

/* Tab comes in at one chip of the shown sentence. */
function moveStop(chips, i, isShown) {
  if (chips.buttons[chips.active]) chips.buttons[chips.active].tabIndex = -1;
  chips.active = i;
  if (chips.buttons[i]) chips.buttons[i].tabIndex = isShown ? 0 : -1;
}

/** Chips of the shown sentence choose a word as query and as key; any other shows its sentence.
 * @param {View} view @param {Chips} chips @param {number} row @param {() => void} show */
function listenToChips(view, chips, row, show) {
  const chipOf = (event) => event.target.closest(".mlab-chip");
  const indexOf = (chip) => Number(chip.dataset.i);
  const choose = (how, chip) => select(view, how, { query: indexOf(chip), key: indexOf(chip) });
  const isShown = () => view.shown === row;
  view.on(chips.node, "pointerover", (event) => chipOf(event) && isShown() && choose("pointed", chipOf(event)));
  view.on(chips.node, "pointerleave", () => select(view, "pointed", null));
  view.on(chips.node, "focusin", (event) => {
    if (!isShown()) return;
    moveStop(chips, indexOf(chipOf(event)), true);
    choose("chosen", chipOf(event));
  });
  view.on(chips.node, "click", (event) => chipOf(event) && (isShown() ? choose("chosen", chipOf(event)) : show()));
  view.on(chips.node, "keydown", (event) => {
    const last = chips.buttons.length - 1;
    const to = { ArrowLeft: chips.active - 1, ArrowRight: chips.active + 1, Home: 0, End: last }[event.key];
    if (to === undefined || !isShown()) return;
    view.pointed = null; // the keyboard spoke last
    chips.buttons[clamp(to, 0, last)].focus();
    event.preventDefault();
  });
}
