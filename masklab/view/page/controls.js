/* The controls but the sentences. Each builder returns { node, sync(state) }: sync shows a state,
 * from here or from the kernel. */

import { attributes, clamp, isFocused, make, newId, setText } from "./dom.js";
import { setState } from "./link.js";
import { select } from "./selection.js";

/** @type {Record<string, (view: View, spec: any) => Control>} */
export const CONTROLS = { choice, slider, number: numberBox, toggle, button };

/** What is being typed is never overwritten, unless a button asked for it.
 * @param {View} view @param {HTMLInputElement} input @param {any} value */
export function setValue(view, input, value) {
  if (input.value !== String(value) && (view.force || !isFocused(input))) input.value = value;
}

function labelled(spec, input, ...more) {
  const name = make("span", "mlab-control-name", { textContent: spec.label });
  const help = spec.help ? [make("span", "mlab-help", { textContent: spec.help, id: newId() })] : [];
  if (spec.help) attributes(input, { "aria-describedby": help[0].id });
  return make("div", "mlab-control", {}, make("label", "", {}, name, input, ...more), ...help);
}

function choice(view, spec) {
  const group = newId();
  const radios = spec.options.map(([value]) => {
    const radio = make("input", "", { type: "radio", name: group });
    view.on(radio, "change", () => setState(view, { ...structuredClone(spec.sets ?? {}), [spec.name]: value }));
    return radio;
  });
  const textOf = (text) => make("span", "", { textContent: text });
  const labels = spec.options.map(([, text], i) => make("label", "", {}, radios[i], textOf(text)));
  const name = make("span", "mlab-control-name", { textContent: spec.label, id: newId() });
  const segments = make("div", "mlab-segments", {}, ...labels);
  attributes(segments, { role: "radiogroup", "aria-labelledby": name.id });
  const node = make("div", "mlab-control", {}, name, segments);
  if (spec.help) node.append(make("span", "mlab-help", { textContent: spec.help }));
  const sync = (state) => radios.forEach((radio, i) => (radio.checked = state[spec.name] === spec.options[i][0]));
  return { node, sync };
}

function slider(view, { min = 0, max = 1, step = 0.01, ...spec }) {
  const input = make("input", "", { type: "range", min, max, step });
  const output = make("output", "mlab-value");
  view.on(input, "input", () => setState(view, { [spec.name]: Number(input.value) }));
  const sync = (state) => {
    if (Number(input.value) !== state[spec.name]) input.value = state[spec.name];
    setText(output, String(state[spec.name] ?? "").replace("-", "−"));
  };
  return { node: labelled(spec, input, output), sync };
}

function numberBox(view, { min = 0, max = 999, step = 1, ...spec }) {
  const input = make("input", "", { type: "number", min, max, step });
  view.on(input, "input", () => {
    const value = parseInt(input.value, 10);
    if (Number.isFinite(value)) setState(view, { [spec.name]: clamp(value, min, max) });
  });
  view.on(input, "blur", () => (input.value = view.link.state()[spec.name] ?? ""));
  return { node: labelled(spec, input), sync: (state) => setValue(view, input, state[spec.name] ?? "") };
}

function toggle(view, spec) {
  const input = attributes(make("input", "mlab-switch", { type: "checkbox" }), { role: "switch" });
  // As a button does, a switch may set more: a guess begins with nothing painted.
  const change = () => setState(view, { ...structuredClone(spec.sets ?? {}), [spec.name]: input.checked });
  view.on(input, "change", change);
  return { node: labelled(spec, input), sync: (state) => (input.checked = Boolean(state[spec.name])) };
}

function button(view, spec) {
  const node = make("button", "mlab-button", { type: "button", textContent: spec.label, title: spec.help ?? "" });
  view.on(node, "click", () => {
    select(view, "chosen", null);
    setState(view, structuredClone(spec.sets), { force: true });
  });
  return { node: make("div", "mlab-control", {}, node), sync() {} };
}
