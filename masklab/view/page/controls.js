/* The controls but the sentences. Each builder returns { node, sync(state) }: sync shows a state,
 * from here or from the kernel. */

import { attributes, clamp, isFocused, make, newId, setText } from "./dom.js";
import { setState } from "./link.js";
import { ask, select } from "./selection.js";

/** @type {Record<string, (view: View, spec: any) => Control>} */
export const CONTROLS = { choice, slider, number: numberBox, toggle, button };

const TYPING_MS = 2000; // a box is being typed in until so long after the last key

/** Whether a control is of use now: `when` names a toggle, or a value that a choice has ("view=text") or not ("!=").
 * @param {Spec} spec @param {State} state */
export function isUsed({ when = "" }, state) {
  const [, name, not, value] = when.match(/^(\w+)(?:(!?)=(.*))?$/) ?? [];
  return !name || (value === undefined ? Boolean(state[name]) : (String(state[name]) === value) !== (not === "!"));
}

/** What is being typed is never overwritten, unless a button asked for it.
 * @param {View} view @param {HTMLInputElement} input @param {any} value */
export function setValue(view, input, value) {
  const isTyping = isFocused(input) && performance.now() - view.changedAt < TYPING_MS;
  if (input.value !== String(value) && (view.force || !isTyping)) input.value = value;
}

/* A control, whose help is heard with it, and seen in the line of words while it is pointed at or has the focus. */
function helped(view, { help }, input, ...parts) {
  const node = make("div", "mlab-control", {}, ...parts);
  if (!help) return node;
  const text = make("span", "mlab-hidden", { textContent: help, id: newId() });
  attributes(input, { "aria-describedby": text.id });
  node.append(text);
  for (const start of ["pointerenter", "focusin"]) view.on(node, start, () => ask(view, help));
  for (const end of ["pointerleave", "focusout"]) view.on(node, end, () => ask(view, ""));
  return node;
}

function labelled(view, spec, input, ...more) {
  const name = make("span", "mlab-control-name", { textContent: spec.label });
  return helped(view, spec, input, make("label", "", {}, name, input, ...more));
}

/* What an option sets: its example, where there still is that of another option. What a learner typed stays. */
function examples(each, i, state) {
  const isExample = (key) => each.some((one) => JSON.stringify(one[key]) === JSON.stringify(state[key]));
  return Object.fromEntries(Object.entries(each?.[i] ?? {}).filter((entry) => isExample(entry[0])));
}

function choice(view, spec) {
  const group = newId();
  const radios = spec.options.map(([value], i) => {
    const radio = make("input", "", { type: "radio", name: group });
    const more = () => structuredClone({ ...spec.sets, ...examples(spec.each, i, view.link.state()) });
    view.on(radio, "change", () => setState(view, { ...more(), [spec.name]: value }));
    return radio;
  });
  const textOf = (text) => make("span", "", { textContent: text });
  const labels = spec.options.map(([, text], i) => make("label", "", {}, radios[i], textOf(text)));
  const name = make("span", "mlab-control-name", { textContent: spec.label, id: newId() });
  const segments = make("div", "mlab-segments", {}, ...labels);
  attributes(segments, { role: "radiogroup", "aria-labelledby": name.id });
  const node = helped(view, spec, segments, name, segments);
  const sync = (state) => radios.forEach((radio, i) => (radio.checked = state[spec.name] === spec.options[i][0]));
  return { node, sync };
}

function slider(view, { min = 0, max = 1, step = 0.01, ...spec }) {
  const input = make("input", "", { type: "range", min, max, step });
  const output = make("output", "mlab-value");
  const change = () => setState(view, { ...structuredClone(spec.sets ?? {}), [spec.name]: Number(input.value) });
  view.on(input, "input", change);
  const sync = (state) => {
    if (Number(input.value) !== state[spec.name]) input.value = state[spec.name];
    setText(output, String(state[spec.name] ?? "").replace("-", "−"));
  };
  return { node: labelled(view, spec, input, output), sync };
}

function numberBox(view, { min = 0, max = 999, step = 1, ...spec }) {
  const input = make("input", "", { type: "number", min, max, step });
  view.on(input, "input", () => {
    const value = parseInt(input.value, 10);
    if (Number.isFinite(value)) setState(view, { [spec.name]: clamp(value, min, max) });
  });
  view.on(input, "blur", () => (input.value = view.link.state()[spec.name] ?? ""));
  return { node: labelled(view, spec, input), sync: (state) => setValue(view, input, state[spec.name] ?? "") };
}

function toggle(view, spec) {
  const input = attributes(make("input", "mlab-switch", { type: "checkbox" }), { role: "switch" });
  // As a button does, a switch may set more: a guess begins with nothing painted.
  const change = () => setState(view, { ...structuredClone(spec.sets ?? {}), [spec.name]: input.checked });
  view.on(input, "change", change);
  return { node: labelled(view, spec, input), sync: (state) => (input.checked = Boolean(state[spec.name])) };
}

function button(view, spec) {
  const node = make("button", "mlab-button", { type: "button", textContent: spec.label });
  view.on(node, "click", () => {
    select(view, "chosen", null);
    setState(view, structuredClone(spec.sets), { force: true });
  });
  return { node: helped(view, spec, node, node), sync() {} };
}
