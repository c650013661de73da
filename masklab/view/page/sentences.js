/* Boxes to type sentences in, each with its words as chips. */

import { setValue } from "./controls.js";
import { attributes, clamp, isolated, make, newId, setFlag, setText } from "./dom.js";
import { toggled } from "./edit.js";
import { setState } from "./link.js";
import { turnedPlaces } from "./picture.js";
import { select } from "./selection.js";

/** @type {Sentence} */
const NOTHING = { labels: [], words: [], pads: [], note: "", below: [], pressed: [], edits: null };

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
    rows.forEach((row, i) => pressChips(row.chips, i, state));
  };
  const draw = () => {
    if (!name) fit(view.sentences.length), show(view.link.state().shown);
    rows.forEach((row, i) => {
      setText(row.note, view.sentences[i]?.note ?? "");
      drawChips(row.chips, view.sentences[i] ?? NOTHING, i === view.shown);
      pressChips(row.chips, i, view.link.state());
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
  const chips = { node: strip, buttons: [], active: 0, drawn: "", sentence: NOTHING };
  const show = (changes = {}) => setState(view, { ...structuredClone(sets), shown: i, ...changes });
  view.on(radio, "change", () => show());
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

/** @param {Chips} chips @param {Sentence} sentence @param {boolean} isShown */
function drawChips(chips, sentence, isShown) {
  const { labels, words, pads, below } = sentence;
  chips.sentence = sentence;
  const drawn = JSON.stringify([labels, words, pads, below]);
  if (drawn === chips.drawn) return;
  chips.drawn = drawn;
  while (chips.buttons.length > labels.length) chips.buttons.pop().parentElement.remove();
  while (chips.buttons.length < labels.length) addChip(chips);
  chips.buttons.forEach((chip, i) => {
    setText(chip.firstChild, labels[i]);
    chip.title = words[i] === labels[i] ? "" : words[i];
    setFlag(chip, "data-pad", pads[i]);
    setText(chip.nextSibling, below[i] ?? "");
  });
  moveStop(chips, clamp(chips.active, 0, Math.max(labels.length - 1, 0)), isShown);
}

/* A chip, and the small line under it. */
function addChip(chips) {
  const below = make("small", "mlab-below", { id: newId() });
  const chip = make("button", "mlab-chip", { type: "button", tabIndex: -1 }, isolated(""));
  attributes(chip, { "aria-describedby": below.id, "data-i": String(chips.buttons.length) });
  chips.buttons.push(chip);
  chips.node.append(make("span", "mlab-chip-box", {}, chip, below));
}

/** Which chips are on, at once, before the kernel answers.
 * @param {Chips} chips @param {number} row @param {State} state */
function pressChips({ buttons, sentence }, row, state) {
  const { edits, pressed } = sentence;
  const turned = edits && turnedPlaces(edits.cells, state[edits.key] ?? [], ([r, c]) => (r === row ? c : -1));
  buttons.forEach((chip, i) => {
    if (edits) chip.setAttribute("aria-pressed", String(Boolean(pressed[i]) !== turned.has(i)));
    else chip.removeAttribute("aria-pressed");
  });
}

/* Tab comes in at one chip of the shown sentence. */
function moveStop(chips, i, isShown) {
  if (chips.buttons[chips.active]) chips.buttons[chips.active].tabIndex = -1;
  chips.active = i;
  if (chips.buttons[i]) chips.buttons[i].tabIndex = isShown ? 0 : -1;
}

/** Chips of the shown sentence choose a word as query and as key; any other shows its sentence.
 * Where chips can be toggled, a click does that, too.
 * @param {View} view @param {Chips} chips @param {number} row @param {(changes?: State) => void} show */
function listenToChips(view, chips, row, show) {
  const chipOf = (event) => event.target.closest(".mlab-chip");
  const indexOf = (event) => Number(chipOf(event).dataset.i);
  const choose = (how, i) => select(view, how, { query: i, key: i, sentence: row, position: i });
  const isShown = () => view.shown === row;
  view.on(chips.node, "pointerover", (event) => chipOf(event) && isShown() && choose("pointed", indexOf(event)));
  view.on(chips.node, "pointerleave", () => select(view, "pointed", null));
  view.on(chips.node, "focusin", (event) => {
    if (!chipOf(event) || !isShown()) return;
    moveStop(chips, indexOf(event), true);
    choose("chosen", chips.active);
  });
  view.on(chips.node, "click", (event) => {
    if (!chipOf(event)) return;
    const { edits } = chips.sentence;
    const change = edits && { [edits.key]: toggled(view.link.state()[edits.key] ?? [], [row, indexOf(event)]) };
    if (!isShown()) return show(change ?? {});
    if (change) setState(view, change);
    choose("chosen", indexOf(event));
  });
  view.on(chips.node, "keydown", (event) => {
    const last = chips.buttons.length - 1;
    const to = { ArrowLeft: chips.active - 1, ArrowRight: chips.active + 1, Home: 0, End: last }[event.key];
    if (to === undefined || !isShown()) return;
    view.pointed = null; // the keyboard spoke last
    chips.buttons[clamp(to, 0, last)].focus();
    event.preventDefault();
  });
}
