/* The words of one sentence, as chips: they choose a word, and where the lab says so they can be toggled, picked, or
 * clicked through what they may be. */

import { attributes, clamp, isolated, make, newId, setFlag, setText } from "./dom.js";
import { cycled, toggled } from "./edit.js";
import { setState } from "./link.js";
import { turnedPlaces } from "./picture.js";
import { select } from "./selection.js";

/** @type {Sentence} */
export const NO_SENTENCE = { labels: [], words: [], pads: [], note: "", below: [], pressed: [], edits: null };

/** @returns {Chips} */
export const newChips = (node) => ({ node, buttons: [], active: 0, drawn: "", sentence: NO_SENTENCE, pressed: "" });

/** @param {Chips} chips @param {Sentence} sentence @param {boolean} isShown */
export function drawChips(chips, sentence, isShown) {
  const { labels, words, pads, below } = sentence;
  chips.sentence = sentence;
  const drawn = JSON.stringify([labels, words, pads, below]);
  if (drawn === chips.drawn) return;
  chips.drawn = drawn;
  setFlag(chips.node, "data-below", below.length);
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
 * @param {Chips} chips @param {number} row @param {State} state @param {boolean} isShown */
export function pressChips(chips, row, state, isShown) {
  const { edits, pressed, labels } = chips.sentence;
  const now = JSON.stringify([edits, pressed, labels.length, isShown, edits && state[edits.key]]);
  if (now === chips.pressed) return;
  chips.pressed = now;
  const isOn = edits ? onIn(chips.sentence, row, state, isShown) : null;
  chips.buttons.forEach((chip, i) => {
    if (isOn) chip.setAttribute("aria-pressed", String(isOn(i)));
    else chip.removeAttribute("aria-pressed");
  });
}

/* Of chips to pick from, the picked one is on, or the nearest that there is; others are on or off by themselves, and
 * only the kernel knows what comes next in a cycle. */
function onIn({ edits, pressed, labels }, row, state, isShown) {
  const now = state[edits.key];
  if (edits.how === "pick") return (i) => isShown && i === clamp(now, 0, labels.length - 1);
  if (edits.how === "cycle") return (i) => Boolean(pressed[i]);
  const turned = turnedPlaces(edits.cells, now ?? [], ([r, c]) => (r === row ? c : -1));
  return (i) => Boolean(pressed[i]) !== turned.has(i);
}

/* What a click on a chip changes in the state. */
function changeOf({ edits }, row, i, state) {
  if (!edits) return {};
  if (edits.how === "pick") return { [edits.key]: i };
  const cells = state[edits.key] ?? [];
  return { [edits.key]: edits.how === "cycle" ? cycled(cells, [row, i], edits.high) : toggled(cells, [row, i]) };
}

/** Tab comes in at one chip of the shown sentence.
 * @param {Chips} chips @param {number} i @param {boolean} isShown */
export function moveStop(chips, i, isShown) {
  if (chips.buttons[chips.active]) chips.buttons[chips.active].tabIndex = -1;
  chips.active = i;
  if (chips.buttons[i]) chips.buttons[i].tabIndex = isShown ? 0 : -1;
}

/** Chips of the shown sentence choose a word as query and as key; any other shows its sentence.
 * Where chips can be toggled, picked or clicked through, a click does that, too.
 * @param {View} view @param {Chips} chips @param {number} row @param {(changes?: State) => void} show */
export function listenToChips(view, chips, row, show) {
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
    const change = changeOf(chips.sentence, row, indexOf(event), view.link.state());
    if (!isShown()) return show(change);
    if (chips.sentence.edits) setState(view, change);
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
