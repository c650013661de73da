/* A value as text, and as a colour. */

import { clamp } from "./dom.js";

/** Write one value as `masklab.panels.number` does; a browser test compares the two.
 * @param {number} value @param {string} kind */
export function number(value, kind) {
  if (kind === "bool") return value ? "True" : "False";
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const whole = kind === "ids" || kind === "mask";
  const size = Math.abs(value); // toFixed rounds halves up, so away from zero for a size
  const isLarge = size >= (whole ? 1e10 : 1e5);
  const digits = whole ? 0 : kind === "gradient" ? 3 : 2;
  const text = isLarge ? size.toExponential(1).replace("e+", "e") : size.toFixed(digits);
  return value < 0 && Number(text) !== 0 ? "−" + text : text;
}

const SHADES = 256;
export const NO_SHADE = SHADES; // neutral: no number, no finite number, or no colour scale

/** A palette's anchors → 256 colours.
 * @param {string[]} anchors @returns {Shades} */
export function shadesOf(anchors) {
  const shades = { fills: [], inks: [], pixels: new Uint8ClampedArray(4 * SHADES) };
  for (let i = 0; i < SHADES; i++) {
    const rgb = between(anchors, (i / (SHADES - 1)) * (anchors.length - 1));
    shades.fills.push(`rgb(${rgb.join(",")})`);
    shades.inks.push(luminance(rgb) > 0.179 ? "#000" : "#fff"); // where black and white contrast alike
    shades.pixels.set([...rgb, 255], 4 * i);
  }
  return shades;
}

/** @param {string[]} anchors @param {number} at */
function between(anchors, at) {
  const i = Math.min(Math.floor(at), anchors.length - 2);
  const channels = (hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16));
  const [low, high] = [anchors[i], anchors[i + 1]].map(channels);
  return low.map((channel, k) => Math.round(channel + (high[k] - channel) * (at - i)));
}

/* Relative luminance, WCAG 2. */
function luminance(rgb) {
  const [r, g, b] = rgb.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** Which of a scale's colours a value has.
 * @param {number} value @param {string} scale @param {[number, number]} limits */
export function shadeOf(value, scale, [low, high]) {
  if ((scale !== "signed" && scale !== "unit") || !Number.isFinite(value)) return NO_SHADE;
  return Math.round(clamp((value - low) / (high - low), 0, 1) * (SHADES - 1));
}
