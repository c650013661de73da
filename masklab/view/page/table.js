/* A panel with numbers: painted on a canvas, because a browser takes its time to restyle, lay out and
 * paint tables of numbers (at 16 words they answered a key after 164 to 181 ms, and canvases do after 40).
 * Over the canvas lies a semantic table, clear as glass: it is what a screen reader reads, what the
 * keyboard walks in and what the pointer meets. It is written once the eye has its picture. */

import { attributes, isolated, make, setFlag, setText } from "./dom.js";
import { NO_SHADE, number, shadeOf } from "./numbers.js";
import { Panel, buildBands, clearPen, placeBand } from "./panel.js";
import { SIGNS } from "./picture.js";
import { pattern } from "./theme.js";

export class TablePanel extends Panel {
  /** @param {PanelData} data */
  constructor(data) {
    const paper = attributes(make("canvas", "mlab-paper"), { "aria-hidden": "true" });
    const table = attributes(make("table", "mlab-table"), { role: "grid" });
    const bands = buildBands();
    super(data, make("div", "mlab-scroll", {}, make("div", "mlab-sheet", {}, paper, ...bands, table)), table);
    this.paper = paper;
    this.table = table;
    this.bands = bands;
    /** @type {string[]} */
    this.texts = [];
    /** @type {Plan | null} */
    this.plan = null;
    this.painted = { looks: [], texts: [], frame: "", shape: "", theme: null }; // what is on the canvas
    this.written = { looks: [], heads: "", shape: "" }; // what is in the table
    /** @type {HTMLElement[]} */
    this.cells = [];
  }

  /** @param {PanelData} data */
  update(data) {
    super.update(data);
    const before = this.texts;
    this.refresh();
    this.changed = new Set(this.texts.flatMap((text, i) => (before.length && text !== before[i] ? [i] : [])));
  }

  refresh() {
    this.texts = Array.from(this.data.values, (value) => number(value, this.data.kind));
  }

  /** How wide a column is at least, when its widest number is so wide. @param {number} em @param {number} widest */
  leastWidth(em, widest) {
    const { small, scale } = this.data;
    const inner = scale === "plain" ? 0.9 : 0.4; // words and large numbers keep clear of the hatching
    return Math.ceil(Math.max(widest + inner * em, (small ? 1.7 : 2.6) * em) + (this.hasMarks() ? 1.1 * em : 0));
  }

  hasMarks() {
    return this.data.marks.some(Boolean);
  }

  /* All of it the first time, then the words if they are new, and the cells that look different. */
  /** @param {View} view */
  paint(view) {
    this.plan = planTable(this, view.theme);
    const { data, painted, plan } = this;
    const frame = JSON.stringify([plan.key, data.row_pads, data.column_pads, data.current]);
    const anew = painted.shape !== plan.shape || painted.theme !== view.theme;
    const pen = anew ? clearPen(this.paper, plan, view.theme.ratio) : this.paper.getContext("2d");
    if (anew || painted.frame !== frame) paintFrame(pen, this, view.theme);
    for (let r = 0; r < data.rowCount; r++) this.paintRow(pen, view, r, anew);
    Object.assign(painted, { frame, shape: plan.shape, theme: view.theme });
    this.placeTable();
  }

  paintRow(pen, view, r, anew) {
    const { data, plan, texts, painted } = this;
    const [y, pad] = [plan.head + r * plan.row, data.row_pads[r]];
    pen.font = `${pad ? "italic " : ""}${view.theme.em}px ${view.theme.family}`;
    for (let c = 0; c < data.columnCount; c++) {
      const i = r * data.columnCount + c;
      const look = this.lookOf(i);
      if (!anew && look === painted.looks[i] && texts[i] === painted.texts[i]) continue;
      this.paintCell(pen, view, i, { x: plan.xs[c], y, w: plan.widths[c] - 1, h: plan.row - 1, pad });
      [painted.looks[i], painted.texts[i]] = [look, texts[i]];
    }
  }

  /* All that a cell's look depends on but its text, as one number: its shade, then a bit for each sign. */
  lookOf(i) {
    const { values, scale, limits, row_pads, columnCount, blocked, marks, isSet } = this.data;
    const pad = row_pads[Math.floor(i / columnCount)];
    const signs = [blocked[i], marks[i] & 1, marks[i] >> 1, Number.isNaN(values[i])];
    const bits = [...signs, this.changed.has(i), pad, isSet.has(i)];
    const flags = bits.map((bit, k) => (bit ? 512 << k : 0));
    return flags.reduce((look, flag) => look | flag, shadeOf(values[i], scale, limits));
  }

  /* A cell: its colour, or a pattern with the number on a plain chip; a frame in a row of padding; a sign if judged;
   * a line under a number that was set. */
  paintCell(pen, view, i, { x, y, w, h, pad }) {
    const { data, texts, changed } = this;
    const { colours } = view.theme;
    const [blocked, mark, isNaN] = [data.blocked[i], data.marks[i], Number.isNaN(data.values[i])];
    const colour = blocked ? NO_SHADE : shadeOf(data.values[i], data.scale, data.limits);
    const shades = view.shades[data.scale];
    const fill = (style, across = 0, down = across) => {
      pen.fillStyle = style;
      pen.fillRect(x + across, y + down, w - 2 * across, h - 2 * down);
    };
    const frame = (style) => {
      [pen.strokeStyle, pen.lineWidth] = [style, 2];
      pen.strokeRect(x + 1, y + 1, w - 2, h - 2);
    };
    fill(colour === NO_SHADE ? (isNaN ? colours.hole : colours.neutral) : shades.fills[colour]);
    if (isNaN) fill(pattern(view, pen, "dots")), fill(colours.hole, 3, 6);
    else if (blocked) fill(pattern(view, pen, "hatch")), fill(colours.bg, 4);
    if (pad) frame(colours.line);
    if (changed.has(i)) frame(colours.key);
    const ink = colour === NO_SHADE ? colours.ink : shades.inks[colour];
    paintText(pen, texts[i], x + w / 2 - (mark ? 6 : 0), y + h / 2 + 0.5, ink);
    if (mark) paintMark(pen, view.theme, mark, x + w, y);
    if (data.isSet.has(i)) pen.fillStyle = ink, pen.fillRect(x + 6, y + h - 5, w - 12, 2);
  }

  /* The table's rows and columns lie exactly over the painted ones. */
  placeTable() {
    const { table, plan, written } = this;
    if (written.shape === plan.shape || !table.rows.length) return;
    written.shape = plan.shape;
    table.style.cssText = `width:${plan.width}px;--mlab-head:${plan.head}px;--mlab-row:${plan.row}px`;
    const widths = [plan.first, ...plan.widths, plan.notes];
    table.querySelectorAll("col").forEach((column, c) => (column.style.width = `${widths[c]}px`));
  }

  /* Write into the table what the canvas shows. */
  sync() {
    const { data, written, table } = this;
    if (!this.cells.length) this.fillTable();
    this.placeTable();
    setFlag(table, "data-small", data.small);
    attributes(table, { "data-edits": data.edits?.how ?? "", "aria-readonly": String(!data.edits) });
    this.syncHeads();
    this.cells.forEach((cell, i) => {
      setText(cell, this.texts[i]);
      const others = (Number.isNaN(data.values[i]) ? 8 : 0) | (data.isSet.has(i) ? 16 : 0);
      const look = (data.blocked[i] ? 1 : 0) | (data.marks[i] << 1) | others;
      if (look === (written.looks[i] ?? 0)) return;
      written.looks[i] = look;
      setFlag(cell, "data-blocked", data.blocked[i]);
      setFlag(cell, "data-nan", Number.isNaN(data.values[i]));
      setFlag(cell, "data-set", data.isSet.has(i));
      data.marks[i] ? (cell.dataset.mark = SIGNS[data.marks[i]]) : delete cell.dataset.mark;
    });
  }

  /* The nodes of the table: all rows, headers and cells, with nothing written in them yet. */
  fillTable() {
    const { data, table } = this;
    const head = (scope) => attributes(make("th", "mlab-head", {}, isolated("")), { scope });
    const note = (tag) => (data.row_notes.length ? [make(tag, "mlab-note")] : []);
    const words = cornerWords(data).map((word) => make("span", "", { textContent: word }));
    const corner = make("td", "mlab-corner", {}, ...words);
    this.columnHeads = data.columns.map(() => head("col"));
    this.rowHeads = data.rows.map(() => head("row"));
    this.cells = Array.from(data.values, (_, i) => make("td", "mlab-cell", { tabIndex: i === this.active ? 0 : -1 }));
    this.cells.forEach((cell, i) => (cell.dataset.i = String(i)));
    const cellsOf = (r) => this.cells.slice(r * data.columnCount, (r + 1) * data.columnCount);
    this.rows = this.rowHeads.map((first, r) => make("tr", "", {}, first, ...cellsOf(r), ...note("td")));
    const top = make("tr", "", {}, corner, ...this.columnHeads, ...note("th"));
    const columns = [...top.children].map(() => make("col", ""));
    const parts = { colgroup: columns, thead: [top], tbody: this.rows };
    table.replaceChildren(...Object.entries(parts).map(([tag, nodes]) => make(tag, "", {}, ...nodes)));
    this.notes = [...table.querySelectorAll(".mlab-note")];
    this.written.looks = [];
  }

  syncHeads() {
    const { data, written } = this;
    const { row_words, column_words, row_pads, column_pads, row_notes, current } = data;
    const heads = JSON.stringify([row_words, column_words, row_pads, column_pads, row_notes, current]);
    if (heads === written.heads) return;
    written.heads = heads;
    this.rowHeads.forEach((head, r) => syncHead(head, data.rows[r], row_words[r], row_pads[r]));
    this.rowHeads.forEach((head, r) => setFlag(head, "aria-current", r === current));
    this.columnHeads.forEach((head, c) => syncHead(head, data.columns[c], column_words[c], column_pads[c]));
    this.rows.forEach((row, r) => setFlag(row, "data-pad", data.row_pads[r]));
    this.notes.forEach((note, i) => setText(note, [data.notes_title, ...data.row_notes][i]));
  }

  highlight(row, column) {
    super.highlight(row, column);
    const { plan, bands } = this;
    if (!plan) return;
    const [x, y] = [plan.xs[column], plan.head + row * plan.row];
    placeBand(bands[0], row >= 0, 0, y, plan.width, plan.row - 1);
    placeBand(bands[1], column >= 0, x, 0, plan.widths[column] - 1, plan.height - 1);
    placeBand(bands[2], row >= 0 && column >= 0, x, y, plan.widths[column] - 1, plan.row - 1);
  }

  focus(i, { really }) {
    if (this.cells.length) {
      this.cells[this.active].tabIndex = -1;
      this.cells[i].tabIndex = 0;
      if (really) this.cells[i].focus();
    }
    this.active = i;
  }

  boxOf(i) {
    const { plan, data } = this;
    const [r, c] = [Math.floor(i / data.columnCount), i % data.columnCount];
    return { x: plan.xs[c], y: plan.head + r * plan.row, width: plan.widths[c] - 1, height: plan.row - 1 };
  }

  cellAt({ target }) {
    const cell = target.closest(".mlab-cell");
    return cell ? Number(cell.dataset.i) : -1;
  }

  stopAt(target) {
    return target.matches(".mlab-cell") ? Number(target.dataset.i) : -1;
  }
}

const WORD_EM = 12; // a word beside its row or above its column gets so much room
const cornerWords = ({ axes }) => [`${axes[1]} →`, `${axes[0]} ↓`];

/** Where everything stands, in whole CSS pixels. Planned again only when words, widths or the theme change.
 * A small panel has no words, but its rows stand beside those of the others.
 * @param {TablePanel} panel @param {Theme} theme @returns {Plan} */
function planTable(panel, { em, family, ratio }) {
  const { data, paper, plan } = panel;
  const shapes = shapesOf(panel);
  const words = [data.small, data.rows, data.columns, data.row_notes, data.notes_title];
  const key = JSON.stringify([em, family, ratio, shapes, panel.hasMarks(), words]);
  if (plan?.key === key) return plan;
  const pen = paper.getContext("2d");
  const widest = (size, words) => {
    pen.font = `${size * em}px ${family}`;
    return Math.max(0, ...words.map((word) => pen.measureText(word).width));
  };
  const px = (ems) => Math.round(ems * em);
  const room = (words) => Math.min(widest(1, words), WORD_EM * em);
  const beside = Math.max(room(data.rows), widest(0.85, cornerWords(data))) + 0.75 * em;
  const first = data.small ? 0 : Math.ceil(beside);
  const least = panel.leastWidth(em, widest(1, shapes));
  const widths = data.columns.map((word) => Math.max(least, data.small ? 0 : Math.ceil(room([word]) + 0.5 * em)));
  const notes = data.row_notes.length ? Math.ceil(widest(1, [data.notes_title, ...data.row_notes]) + 0.9 * em) : 0;
  const xs = widths.map((_, c) => widths.slice(0, c).reduce((sum, width) => sum + width, first));
  const [head, row, inner] = [px(2.4), px(2), widths.reduce((sum, width) => sum + width, first)];
  const shape = JSON.stringify([first, widths, notes, head, row]);
  const [width, height] = [inner + notes, head + row * data.rowCount];
  return { key, shape, first, widths, xs, notes, head, row, inner, width, height };
}

const ALWAYS = { ids: "0", bool: "False", mask: "−∞", bias: "−∞" };

/* The forms of a panel's numbers, all digits being as wide as 0; and one that it always has room for,
 * so that no cell gets wider while one types. */
function shapesOf({ data, texts }) {
  const always = data.scale === "signed" ? "−0.00" : ALWAYS[data.kind] ?? "0.00";
  return [...new Set([always, ...texts.map((text) => text.replace(/\d/g, "0"))])].sort();
}

/* All but the cells: the corner, the words above and beside, the notes. */
function paintFrame(pen, { data, plan }, theme) {
  const { em, family, colours } = theme;
  pen.clearRect(0, 0, plan.width, plan.head);
  pen.clearRect(0, 0, plan.first, plan.height);
  pen.clearRect(plan.inner, 0, plan.notes, plan.height);
  pen.textBaseline = "middle";
  pen.textAlign = "center";
  if (data.small) return;
  paintCorner(pen, { data, plan }, theme);
  data.columns.forEach((word, c) => {
    const [x, y] = [plan.xs[c] + (plan.widths[c] - 1) / 2, plan.head - 0.85 * em];
    const box = [plan.xs[c], 0, plan.widths[c] - 1, plan.head];
    paintHead(pen, theme, word, { pad: data.column_pads[c], x, y, align: "center", box });
  });
  data.rows.forEach((word, r) => {
    const [x, y] = [plan.first - 0.45 * em, plan.head + r * plan.row + (plan.row - 1) / 2];
    const box = [0, plan.head + r * plan.row, plan.first, plan.row];
    paintHead(pen, theme, word, { pad: data.row_pads[r], x, y, align: "right", box, isOn: r === data.current });
    pen.font = `${em}px ${family}`;
    pen.fillStyle = colours.muted;
    if (plan.notes) pen.fillText(data.row_notes[r], plan.width - 2, y);
  });
  pen.textAlign = "center";
}

function paintCorner(pen, { data, plan }, { em, family, colours }) {
  pen.font = `${0.85 * em}px ${family}`;
  pen.fillStyle = colours.muted;
  pen.textAlign = "right";
  cornerWords(data).forEach((word, i) => pen.fillText(word, plan.first - 0.45 * em, (0.65 + 0.95 * i) * em));
  if (!plan.notes) return;
  pen.font = `${em}px ${family}`;
  pen.fillText(data.notes_title, plan.width - 2, plan.head - 0.85 * em);
}

/* A word beside its row or above its column, cut at its box: marks may be stacked forty high.
 * Padding is slanted, grey, and underlined with dots. The current row's word looks as a chip does that is on. */
function paintHead(pen, { em, family, colours }, word, { pad, x, y, align, box, isOn = false }) {
  pen.save();
  pen.beginPath();
  pen.rect(...box);
  pen.clip();
  pen.font = `${pad ? "italic " : ""}${em}px ${family}`;
  const width = pad || isOn ? pen.measureText(word).width : 0;
  const left = align === "right" ? x - width : x - width / 2;
  pen.fillStyle = colours.ink;
  if (isOn) pen.beginPath(), pen.roundRect(left - 0.3 * em, y - 0.75 * em, width + 0.6 * em, 1.5 * em, 3), pen.fill();
  pen.fillStyle = isOn ? colours.bg : pad ? colours.muted : colours.ink;
  pen.textAlign = align;
  pen.fillText(word, x, y);
  for (let dot = 0; pad && dot < width; dot += 3) pen.fillRect(left + dot, y + 0.65 * em, 1.5, 1.5);
  pen.restore();
}

/** @param {CanvasRenderingContext2D} pen @param {string} text @param {number} x its middle */
export function paintText(pen, text, x, y, colour) {
  pen.fillStyle = colour;
  pen.fillText(text, x, y);
}

/** The sign of a judged cell, in its upper right corner.
 * @param {CanvasRenderingContext2D} pen @param {Theme} theme @param {number} mark */
export function paintMark(pen, { em, colours }, mark, right, top) {
  pen.fillStyle = colours.bg;
  pen.fillRect(right - 1.05 * em, top + 1, em, 1.15 * em);
  const font = pen.font;
  pen.font = font.replace("italic ", "bold ");
  const colour = SIGNS[mark] === "✓" ? colours.right : colours.wrong;
  paintText(pen, SIGNS[mark], right - 0.55 * em, top + 0.65 * em, colour);
  pen.font = font;
}

function syncHead(head, label, word, pad) {
  setText(head.firstChild, label);
  head.title = word === label ? "" : word;
  setFlag(head, "data-pad", pad);
}
