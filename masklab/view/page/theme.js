/* A canvas knows no style sheet: what the theme says is read from the page, for those that paint. */

import { make } from "./dom.js";

const NAMES = ["bg", "ink", "muted", "line", "neutral", "hatch", "hole", "bar", "key", "right", "wrong"];

/** Until the page is there: any theme will do. @type {Theme} */
export const PLAIN = {
  colours: Object.fromEntries(NAMES.map((name) => [name, "#888"])),
  family: "sans-serif",
  em: 13,
  ratio: 1,
};

/** Read what the theme gives. True if anything is new.
 * @param {View} view */
export function readTheme(view) {
  if (!view.root.isConnected) return false;
  /** @type {Record<string, string>} */
  const colours = {};
  for (const name of NAMES) {
    view.probe.style.color = `var(--mlab-${name})`;
    colours[name] = getComputedStyle(view.probe).color;
  }
  const { fontFamily: family, fontSize } = getComputedStyle(view.probe);
  const theme = { colours, family, em: parseFloat(fontSize), ratio: globalThis.devicePixelRatio || 1 };
  if (JSON.stringify(theme) === JSON.stringify(view.theme)) return false;
  view.theme = theme;
  view.patterns = {};
  return true;
}

/** A pattern of diagonal lines ("hatch") or of dots, made once a theme.
 * @param {View} view @param {CanvasRenderingContext2D} pen @param {"hatch" | "dots"} which */
export function pattern(view, pen, which) {
  return (view.patterns[which] ??= pen.createPattern(tile(view.theme.colours.hatch, which), "repeat"));
}

function tile(colour, which) {
  const [size, node] = [6, make("canvas", "", { width: 6, height: 6 })];
  const pen = node.getContext("2d");
  pen.fillStyle = pen.strokeStyle = colour;
  pen.lineWidth = 1.4;
  for (const at of which === "hatch" ? [-size, 0, size] : []) pen.moveTo(at, size), pen.lineTo(at + size, 0);
  pen.stroke();
  if (which === "dots") pen.arc(size / 2, size / 2, 1.3, 0, 7), pen.fill();
  return node;
}
