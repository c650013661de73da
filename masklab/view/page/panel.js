/* What every panel has, of whatever kind: a frame with its title, its sign and its meaning, and one
 * interface. Nobody outside asks which kind a panel is. This one alone is a panel with nothing to show. */

import { attributes, make, newId, setText } from "./dom.js";
import { formOf } from "./picture.js";

const HOW = {
  toggle: "Click a cell, or press Space, to change it.",
  number: "Type a number, drag up or down, or press + and −; Delete takes it back.",
};

/** What a panel shows, and what one can do with its cells. @param {PanelData} data */
export const meaningOf = ({ meaning, edits }) => [meaning, HOW[edits?.how]].filter(Boolean).join(" ");

export class Panel {
  /** @param {PanelData} data @param {HTMLElement} body what stands under the title
   * @param {HTMLElement} grid what in it is named and described */
  constructor(data, body, grid) {
    this.data = data;
    this.form = formOf(data);
    this.grid = grid;
    this.sheet = /** @type {HTMLElement} */ (body.firstElementChild); // what lies over a cell lies in it
    this.title = make("figcaption", "mlab-title", { id: newId() });
    this.meaning = make("p", "mlab-hidden", { id: newId() }); // to the eye it comes in the line of words
    this.legend = make("p", "mlab-legend", { id: newId() });
    this.sign = make("span", "mlab-sign");
    this.changed = new Set(); // the cells that are written differently now
    this.active = 0; // the cell where Tab comes in
    /** @type {[number, number]} */
    this.highlighted = [-1, -1]; // row and column
    this.isOutside = false; // of the window
    this.isStale = false; // not painted yet
    attributes(grid, { "aria-labelledby": this.title.id, "aria-describedby": `${this.meaning.id} ${this.legend.id}` });
    const figure = make("figure", "mlab-panel", {}, this.title, body, this.meaning, this.legend);
    this.step = make("div", "mlab-step", {}, this.sign, figure);
    Object.assign(this.step.dataset, { name: data.name, kind: data.kind, drawn: data.mode });
  }

  /** Take in the next data. @param {PanelData} data */
  update(data) {
    this.data = data;
    setText(this.title, data.title);
    setText(this.meaning, meaningOf(data));
    setText(this.legend, data.legend);
    setText(this.sign, data.sign);
  }

  /** Make ready what is written, after a change of the data. */
  refresh() {}

  /** Show the data to the eye. @param {View} view */
  paint(view) {}

  /** Say the same to those who read it with a screen reader. */
  sync() {}

  /** Frame a row, a column, and the cell where they meet; -1 is none. @param {number} row @param {number} column */
  highlight(row, column) {
    this.highlighted = [row, column];
  }

  /** Let Tab come in at a cell; with `really`, go there now. @param {number} i @param {{ really: boolean }} how */
  focus(i, how) {}

  /** Where a cell is on the sheet, in CSS pixels. @param {number} i */
  boxOf(i) {
    return { x: 0, y: 0, width: 0, height: 0 };
  }

  /** The cell under a pointer, -1 for none. @param {PointerEvent} event */
  cellAt(event) {
    return -1;
  }

  /** The cell that has the focus when `target` has it, -1 for none. @param {Element} target */
  stopAt(target) {
    return -1;
  }
}

export class EmptyPanel extends Panel {
  /** @param {PanelData} data */
  constructor(data) {
    const words = `${data.rowCount} × ${data.columnCount}: nothing to show`;
    const body = make("p", "mlab-empty", { textContent: words });
    super(data, body, body);
  }
}

/** What lies over a canvas where the selection is: a row, a column, and the cell where they meet. */
export const buildBands = () =>
  ["row", "column", "here"].map((which) => make("div", `mlab-band mlab-band-${which}`, { hidden: true }));

/** @param {HTMLElement} band @param {boolean} on */
export function placeBand(band, on, x, y, width, height) {
  band.hidden = !on;
  if (on) band.style.cssText = `left:${x}px;top:${y}px;width:${width}px;height:${height}px`;
}

/** Give a canvas the size of a plan in CSS pixels, and hand out its cleared pen.
 * @param {HTMLCanvasElement} canvas @param {{ width: number, height: number }} plan @param {number} ratio */
export function clearPen(canvas, { width, height }, ratio) {
  const [fullWidth, fullHeight] = [Math.ceil(width * ratio), Math.ceil(height * ratio)];
  if (canvas.width !== fullWidth || canvas.height !== fullHeight) {
    Object.assign(canvas, { width: fullWidth, height: fullHeight });
    canvas.style.cssText = canvas.parentElement.style.cssText = `width:${width}px;height:${height}px`;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return pen;
}
