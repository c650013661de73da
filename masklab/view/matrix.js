/* The live view of masklab: the controls, and a row of linked heatmaps.
 *
 * The kernel computes; this page draws and listens. `model.get("picture")` is all that
 * is shown (see `wire` in matrix.py), `model.get("state")` are the values of the controls.
 * What is selected is known to this page alone. No imports, no build step: the same
 * file runs in JupyterLab and in a plain page with a stand-in model.
 *
 *   1 small helpers      4 a panel as a table     7 pointer and keyboard
 *   2 numbers, colours   5 a panel as a canvas    8 controls
 *   3 reading a picture  6 selection and words    9 putting it together
 */

/* Up to this many rows and columns a panel is a table with numbers, beyond it a canvas.
 * Measured: ms from a new picture to the end of layout, five panels with every number new,
 * 2 cores shared with other work (an edit of one word changes far less):
 *   tokens    8   16   24   32   48   64  128
 *   table    14   47   57  171  285  896        (48 and 64 before cells had boxes of their own size)
 *   canvas    4    5    4    5    6    6   12
 * and at 16 columns a panel of numbers is as wide as a notebook. */
export const LIMITS = { table: 16 };
const CHANGED_MS = 600; // how long a changed cell stays marked
const CHANGED_MAX = 400; // more changed cells than this are not marked: it would say nothing, and cost a third of the update
const SPEAK_MS = 150; // a screen reader hears the words once the selection rests

// ---------------------------------------------------------------- 1 small helpers

let ids = 0;
const newId = () => `mlab-${++ids}`;

function make(tag, className, props = {}, ...children) {
  const node = Object.assign(document.createElement(tag), { className, ...props });
  node.append(...children);
  return node;
}

function attributes(node, values) {
  for (const [name, value] of Object.entries(values)) node.setAttribute(name, value);
  return node;
}

/* Write only what differs: a page that is not touched need not be drawn again. */
const setText = (node, text) => void (node.textContent !== text && (node.textContent = text));
const setFlag = (node, name, on) => void (on ? node.setAttribute(name, "true") : node.removeAttribute(name));
const isFocused = (node) => node.getRootNode().activeElement === node;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/* Words of any writing direction, kept apart from what stands around them. */
const isolated = (text) => make("bdi", "", { textContent: text });

// ---------------------------------------------------------------- 2 numbers, colours

/* Write one value as `masklab.panels.number` does; a browser test compares the two. */
export function number(value, kind) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const whole = kind === "ids" || kind === "mask";
  const size = Math.abs(value); // toFixed rounds halves up, so away from zero for a size
  const isLarge = size >= (whole ? 1e10 : 1e5);
  const text = isLarge ? size.toExponential(1).replace("e+", "e") : size.toFixed(whole ? 0 : 2);
  return value < 0 && Number(text) !== 0 ? "−" + text : text;
}

const SHADES = 256;
const NO_SHADE = SHADES; // neutral: no number, no finite number, or no colour scale

/* A palette's anchors → 256 colours, each as a style and as the four bytes of a pixel. */
function shadesOf(anchors) {
  const styles = [];
  const pixels = new Uint8ClampedArray(4 * SHADES);
  for (let i = 0; i < SHADES; i++) {
    const rgb = between(anchors, (i / (SHADES - 1)) * (anchors.length - 1));
    const ink = luminance(rgb) > 0.179 ? "#000" : "#fff"; // where black and white contrast alike
    styles.push(`background-color:rgb(${rgb.join(",")});color:${ink}`);
    pixels.set([...rgb, 255], 4 * i);
  }
  return { styles, pixels };
}

function between(anchors, at) {
  const i = Math.min(Math.floor(at), anchors.length - 2);
  const [low, high] = [anchors[i], anchors[i + 1]].map((hex) => [1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16)));
  return low.map((channel, k) => Math.round(channel + (high[k] - channel) * (at - i)));
}

/* Relative luminance, WCAG 2. */
function luminance(rgb) {
  const [r, g, b] = rgb.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function shade(value, scale, [low, high]) {
  if (scale === "plain" || !Number.isFinite(value)) return NO_SHADE;
  return Math.round(clamp((value - low) / (high - low), 0, 1) * (SHADES - 1));
}

// ---------------------------------------------------------------- 3 reading a picture

const SIGNS = ["", "✓", "✗", "!"]; // as in panels.SIGNS: not marked, right, missed, extra

/* Each panel's data with its own piece of the buffers. They come as DataViews that may
 * start anywhere; a float needs a start that is a multiple of four, so they are copied. */
function readPanels(view) {
  const { picture, model } = view;
  const bytes = (data) => new Uint8Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength));
  const [values, blocked, marks] = ["values", "blocked", "marks"].map((name) => bytes(picture[name]));
  const floats = new Float32Array(values.buffer);
  return picture.panels.map((panel) => {
    const [rows, columns] = panel.shape;
    const [start, end] = [panel.offset, panel.offset + rows * columns];
    const own = panel.paintable ? paintedCells(model.get("state").painted, panel) : blocked.subarray(start, end);
    return { ...panel, rowCount: rows, columnCount: columns, values: floats.subarray(start, end), blocked: own, marks: marks.subarray(start, end) };
  });
}

/* In a paintable panel, what is blocked is what the learner painted: at once, before the kernel answers. */
function paintedCells(painted, { shape: [rows, columns] }) {
  const cells = new Uint8Array(rows * columns);
  for (const [r, c] of painted ?? []) if (r < rows && c < columns) cells[r * columns + c] = 1;
  return cells;
}

// ---------------------------------------------------------------- the frame around a panel

const isPair = (panel) => panel.axes[0] === "query" && panel.axes[1] === "key";

function wayOf(data) {
  if (data.values.length === 0) return "empty";
  return Math.max(...data.shape) <= LIMITS.table ? "table" : "canvas";
}

/* What must agree for the nodes of one panel to be used again for the next. */
const formOf = (data) => JSON.stringify([data.name, wayOf(data), data.shape, data.row_notes.length > 0, data.paintable, data.axes]);

/* One panel: { data, form, step (its outermost node), the nodes below it, draw, light, focus }. */
function buildPanel(data) {
  const title = make("figcaption", "mlab-title", { id: newId() });
  const meaning = make("p", "mlab-meaning", { id: newId() });
  const sign = make("span", "mlab-sign");
  const way = wayOf(data);
  const build = { table: buildTable, canvas: buildCanvas, empty: buildEmpty }[way];
  const panel = { data, form: formOf(data), title, meaning, sign, active: 0, lit: [-1, -1], ...build(data) };
  attributes(panel.grid, { "aria-labelledby": title.id, "aria-describedby": meaning.id });
  const figure = make("figure", "mlab-panel", {}, title, panel.body, meaning);
  panel.step = make("div", "mlab-step", {}, sign, figure);
  Object.assign(panel.step.dataset, { name: data.name, kind: data.kind, drawn: way });
  return panel;
}

function buildEmpty(data) {
  const body = make("p", "mlab-empty", { textContent: `${data.rowCount} × ${data.columnCount}: nothing to show` });
  return { body, grid: body, draw: () => [], light() {}, focus() {} };
}

function drawPanel(panel, data, shades) {
  panel.data = data;
  setText(panel.title, data.title);
  setText(panel.meaning, data.meaning);
  setText(panel.sign, data.sign);
  return panel.draw(panel, shades);
}

// ---------------------------------------------------------------- 4 a panel as a table

function buildTable(data) {
  const { rowCount, columnCount } = data;
  const notes = data.row_notes.length > 0;
  const columnHeads = Array.from({ length: columnCount }, () => attributes(make("th", "mlab-head", {}, isolated("")), { scope: "col" }));
  const corner = make("td", "mlab-corner", {}, make("span", "", { textContent: `${data.axes[1]} →` }), make("span", "", { textContent: `${data.axes[0]} ↓` }));
  const top = make("tr", "", {}, corner, ...columnHeads);
  const noteHead = attributes(make("th", "mlab-note"), { scope: "col" });
  if (notes) top.append(noteHead);
  const grid = make("table", "mlab-table", {}, make("thead", "", {}, top), make("tbody", ""));
  attributes(grid, { role: "grid" });
  setFlag(grid, "data-paintable", data.paintable);
  const rows = [], rowHeads = [], cells = [], numbers = [], noteCells = [];
  for (let r = 0; r < rowCount; r++) {
    const head = attributes(make("th", "mlab-head", {}, isolated("")), { scope: "row" });
    const row = make("tr", "", {}, head);
    for (let c = 0; c < columnCount; c++) {
      const text = document.createTextNode("");
      const cell = make("td", "mlab-cell", { tabIndex: -1 }, make("span", "", {}, text));
      cell.dataset.i = r * columnCount + c;
      row.append(cell), cells.push(cell), numbers.push(text);
    }
    const note = make("td", "mlab-note");
    if (notes) row.append(note);
    grid.tBodies[0].append(row);
    rows.push(row), rowHeads.push(head), noteCells.push(note);
  }
  cells[0].tabIndex = 0; // the one tab stop; arrow keys move it
  const body = make("div", "mlab-scroll", {}, grid);
  const memory = { texts: [], looks: new Int32Array(cells.length).fill(-1), heads: "" };
  return { body, grid, rows, rowHeads, columnHeads, cells, numbers, noteHead, noteCells, memory, draw: drawTable, light: lightTable, focus: focusCell };
}

/* Write what changed into the cells; return the cells whose number changed. */
function drawTable(panel, shades) {
  const { data, cells, numbers, memory } = panel;
  const { values, blocked, marks, kind, scale, limits } = data;
  const first = memory.texts.length === 0;
  const changed = [];
  drawHeads(panel);
  for (let i = 0; i < values.length; i++) {
    const text = number(values[i], kind);
    if (text !== memory.texts[i]) {
      memory.texts[i] = numbers[i].data = text;
      if (!first) changed.push(cells[i]);
    }
    const look = shade(values[i], scale, limits) | (blocked[i] << 9) | (marks[i] << 10) | (Number.isNaN(values[i]) << 12);
    if (look !== memory.looks[i]) dress(cells[i], look, memory.looks[i], shades[scale]);
    memory.looks[i] = look;
  }
  const longest = memory.texts.reduce((most, text) => Math.max(most, text.length), 0);
  if (longest !== memory.longest) panel.grid.style.setProperty("--mlab-chars", (memory.longest = longest));
  return changed;
}

/* A cell's look is one number: its shade, then a bit for blocked, two for the mark, one for NaN. */
function dress(cell, look, before, shades) {
  const difference = before < 0 ? -1 : look ^ before;
  const [colour, isBlocked, mark] = [look & 511, (look >> 9) & 1, (look >> 10) & 3];
  if (difference & 1023) cell.style.cssText = colour === NO_SHADE || isBlocked ? "" : shades.styles[colour];
  if (difference & (1 << 9)) setFlag(cell, "data-blocked", isBlocked);
  if (difference & (3 << 10)) mark ? (cell.dataset.mark = SIGNS[mark]) : delete cell.dataset.mark;
  if (difference & (1 << 12)) setFlag(cell, "data-nan", look & (1 << 12));
}

function drawHeads(panel) {
  const { data, rows, rowHeads, columnHeads, noteHead, noteCells, memory } = panel;
  const heads = JSON.stringify([data.row_words, data.column_words, data.row_pads, data.column_pads]);
  if (heads !== memory.heads) {
    rowHeads.forEach((head, r) => drawHead(head, data.rows[r], data.row_words[r], data.row_pads[r]));
    columnHeads.forEach((head, c) => drawHead(head, data.columns[c], data.column_words[c], data.column_pads[c]));
    rows.forEach((row, r) => setFlag(row, "data-pad", data.row_pads[r]));
    memory.heads = heads;
  }
  if (data.row_notes.length === 0) return;
  setText(noteHead, data.notes_title);
  noteCells.forEach((note, r) => setText(note, data.row_notes[r]));
}

function drawHead(head, label, word, pad) {
  setText(head.firstChild, label);
  head.title = word === label ? "" : word;
  setFlag(head, "data-pad", pad);
}

function lightTable(panel, row, column) {
  const { rows, rowHeads, columnHeads, cells, lit, data } = panel;
  const paint = ([r, c], on) => {
    if (r >= 0) setFlag(rows[r], "data-lit", on), setFlag(rowHeads[r], "data-lit", on);
    if (c >= 0) setFlag(columnHeads[c], "data-lit", on);
    for (let i = c; c >= 0 && i < cells.length; i += data.columnCount) setFlag(cells[i], "data-lit", on);
    if (r >= 0 && c >= 0) setFlag(cells[r * data.columnCount + c], "data-here", on);
  };
  paint(lit, false);
  paint([row, column], true);
}

function focusCell(panel, i, { really }) {
  panel.cells[panel.active].tabIndex = -1;
  panel.cells[i].tabIndex = 0;
  if (really) panel.cells[i].focus();
}

// ---------------------------------------------------------------- 5 a panel as a canvas

const SIDE = 288; // about the longest side of a canvas, in CSS pixels
const EDGE = 6; // room above and to the left: a bar for each word, none for a pad
const HATCH_MIN = 6; // smaller cells are too small for hatching, and become solid grey
const GREY = "rgb(128,128,128)"; // seen on light and on dark

function buildCanvas(data) {
  const width = clamp(Math.floor(SIDE / data.columnCount), 1, 18);
  const height = clamp(Math.floor(SIDE / data.rowCount), 1, 18);
  const [fullWidth, fullHeight] = [EDGE + width * data.columnCount, EDGE + height * data.rowCount];
  const ratio = globalThis.devicePixelRatio || 1;
  const grid = make("canvas", "mlab-canvas", { width: fullWidth * ratio, height: fullHeight * ratio, tabIndex: 0 });
  attributes(grid, { role: "application", "aria-roledescription": "heatmap, walk with the arrow keys" });
  setFlag(grid, "data-paintable", data.paintable);
  grid.style.cssText = `width:${fullWidth}px;height:${fullHeight}px`;
  const name = make("span", "mlab-hidden", { id: newId() });
  const bands = ["row", "column", "here"].map((which) => make("div", `mlab-band mlab-band-${which}`, { hidden: true }));
  const body = make("div", "mlab-scroll mlab-canvas-box", {}, grid, name, ...bands);
  const small = make("canvas", "", { width: data.columnCount, height: data.rowCount });
  return { body, grid, name, bands, width, height, ratio, small, draw: drawCanvas, light: lightCanvas, focus: focusCanvas };
}

function drawCanvas(panel, shades) {
  const { data, grid, small, width, height, ratio } = panel;
  const { values, blocked, scale, limits } = data;
  const pixels = small.getContext("2d").createImageData(small.width, small.height);
  for (let i = 0; i < values.length; i++) {
    const colour = blocked[i] ? NO_SHADE : shade(values[i], scale, limits);
    if (colour !== NO_SHADE) pixels.data.set(shades[scale].pixels.subarray(4 * colour, 4 * colour + 4), 4 * i);
  }
  small.getContext("2d").putImageData(pixels, 0, 0);
  const pen = grid.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, grid.width, grid.height);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(small, EDGE, EDGE, width * small.width, height * small.height); // neutral cells stay clear: CSS fills them
  fillCells(pen, panel, (i) => blocked[i], Math.min(width, height) >= HATCH_MIN ? pattern(pen, "hatch") : GREY);
  fillCells(pen, panel, (i) => Number.isNaN(values[i]), pattern(pen, "dots"));
  drawMarks(pen, panel);
  drawEdges(pen, panel);
  nameCanvas(panel);
  return [];
}

/* Fill the cells that `test` picks, neighbours in a row in one go. */
function fillCells(pen, { data, width, height }, test, style) {
  pen.fillStyle = style;
  pen.beginPath();
  for (let r = 0; r < data.rowCount; r++) {
    for (let c = 0, start = 0; c < data.columnCount; c++) {
      if (!test(r * data.columnCount + c)) start = c + 1;
      else if (c + 1 === data.columnCount || !test(r * data.columnCount + c + 1)) pen.rect(EDGE + start * width, EDGE + r * height, (c + 1 - start) * width, height);
    }
  }
  pen.fill();
}

function pattern(pen, which) {
  const tile = make("canvas", "", { width: 4, height: 4 });
  const tilePen = tile.getContext("2d");
  tilePen.fillStyle = GREY;
  if (which === "hatch") for (let k = 0; k < 4; k++) tilePen.fillRect(k, 3 - k, 1.5, 1);
  else tilePen.fillRect(1, 1, 2, 2);
  return pen.createPattern(tile, "repeat");
}

function drawMarks(pen, { data, width, height }) {
  const size = Math.min(width, height);
  if (size < 8 || !data.marks.some(Boolean)) return;
  pen.font = `bold ${size - 1}px sans-serif`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  data.marks.forEach((mark, i) => {
    if (!mark) return;
    const [x, y] = [EDGE + (i % data.columnCount) * width, EDGE + Math.floor(i / data.columnCount) * height];
    pen.fillStyle = "#000";
    pen.fillRect(x + 1, y + 1, width - 2, height - 2);
    pen.fillStyle = "#fff";
    pen.fillText(SIGNS[mark], x + width / 2, y + height / 2);
  });
}

function drawEdges(pen, { data, width, height }) {
  pen.fillStyle = GREY;
  for (let c = 0; c < data.columnCount; c++) if (!data.column_pads[c]) pen.fillRect(EDGE + c * width, 0, width - 0.5, 3);
  for (let r = 0; r < data.rowCount; r++) if (!data.row_pads[r]) pen.fillRect(0, EDGE + r * height, 3, height - 0.5);
}

/* The canvas has no cells that a screen reader could read: its name says where one stands. */
function nameCanvas({ data, grid, name, active, title }) {
  const words = cellWords([{ data }], { data }, Math.floor(active / data.columnCount), active % data.columnCount);
  setText(name, `${data.rowCount} rows, ${data.columnCount} columns. ${words}`);
  attributes(grid, { "aria-labelledby": `${title.id} ${name.id}` });
}

function lightCanvas({ bands, width, height, data }, row, column) {
  const place = (band, x, y, w, h, on) => {
    band.hidden = !on;
    if (on) band.style.cssText = `left:${x}px;top:${y}px;width:${w}px;height:${h}px`;
  };
  const [x, y] = [EDGE + column * width, EDGE + row * height];
  place(bands[0], EDGE, y, data.columnCount * width, height, row >= 0);
  place(bands[1], x, EDGE, width, data.rowCount * height, column >= 0);
  place(bands[2], x, y, width, height, row >= 0 && column >= 0);
}

function focusCanvas(panel, i, { really }) {
  panel.active = i;
  if (really) panel.grid.focus(), nameCanvas(panel);
}

// ---------------------------------------------------------------- 6 selection and words

/* A selection is one index an axis, { query: 2, key: 4 }, and the panel where it was made.
 * Pointing is for the moment; what was clicked or walked to stays. */
const selection = (view) => view.pointed ?? view.chosen ?? { axes: {}, source: null };

function select(view, how, axes, source = null) {
  view[how] = axes && { axes, source };
  showSelection(view);
}

function selectCell(view, how, panel, i) {
  const { axes, columnCount, name } = panel.data;
  select(view, how, { [axes[0]]: Math.floor(i / columnCount), [axes[1]]: i % columnCount }, name);
}

/* Where a selection is in one panel; -1 where it is not. */
const placeOf = (data, axes) => data.axes.map((axis, k) => (axes[axis] < data.shape[k] ? axes[axis] : -1));

function showSelection(view, { speak = true } = {}) {
  const { axes, source } = selection(view);
  for (const panel of view.panels) {
    const { data } = panel;
    const [row, column] = placeOf(data, axes);
    if (row !== panel.lit[0] || column !== panel.lit[1]) panel.light(panel, row, column);
    panel.lit = [row, column];
    const [stopRow, stopColumn] = placeOf(data, view.chosen?.axes ?? {});
    if (stopRow >= 0 && stopColumn >= 0) moveTabStop(panel, stopRow * data.columnCount + stopColumn);
  }
  lightChips(view, axes);
  const words = selectionWords(view, axes, source);
  setText(view.status, words || "Point at a cell, or walk with the arrow keys.");
  clearTimeout(view.speaking);
  if (speak) view.speaking = setTimeout(() => setText(view.spoken, words), SPEAK_MS);
}

function moveTabStop(panel, i, { really = false } = {}) {
  if (i !== panel.active || really) panel.focus(panel, i, { really });
  panel.active = i;
}

function selectionWords(view, axes, source) {
  const fits = ({ data }) => data.axes.every((axis, k) => axes[axis] < data.shape[k]);
  const here = view.panels.filter(fits);
  const from = here.find(({ data }) => data.name === source) ?? here.find(({ data }) => isPair(data));
  if (!from) return "";
  return cellWords(here, from, axes[from.data.axes[0]], axes[from.data.axes[1]], view.picture.sentences);
}

/* One cell in words: "query ate → key [PAD]: blocked, score 0.41 → −∞, weight 0.00".
 * A cell of a query and a key takes its parts from every panel that has both. */
function cellWords(panels, { data }, row, column, sentences = []) {
  const at = (panel) => row * panel.columnCount + column;
  const told = isPair(data) ? panels.map((panel) => panel.data).filter((panel) => isPair(panel) && panel.say) : [data];
  const parts = told.map((panel) => panel.say.replace("{}", () => number(panel.values[at(panel)], panel.kind)));
  const isBlocked = isPair(data) && panels.some((panel) => isPair(panel.data) && panel.data.blocked[at(panel.data)]);
  const body = (isBlocked ? "blocked, " : "") + parts.join("").replace(/^[\s,;]+/, "");
  const [first, second] = [`${data.axes[0]} ${data.row_words[row]}`, `${data.axes[1]} ${columnWord(data, row, column, sentences)}`];
  return `${first}${isPair(data) ? " → " : ", "}${second}${body && ": " + body}`;
}

/* Where rows are sentences, a column is a position, and its word is that of the sentence. */
function columnWord(data, row, column, sentences) {
  const word = data.column_words[column];
  if (data.axes[0] !== "sentence") return word;
  const place = /^\d+$/.test(word) ? word : column + 1;
  return `${place} ${sentences[row]?.words[column] ?? ""}`.trim();
}

// ---------------------------------------------------------------- 7 pointer and keyboard

const panelOf = (view, target) => view.panels.find((panel) => panel.step.contains(target));

/* The cell under the pointer: { panel, i }, or null. */
function cellAt(view, event) {
  const panel = panelOf(view, event.target);
  if (!panel) return null;
  const cell = event.target.closest(".mlab-cell");
  if (cell) return { panel, i: Number(cell.dataset.i) };
  if (event.target.tagName !== "CANVAS") return null;
  const [c, r] = [Math.floor((event.offsetX - EDGE) / panel.width), Math.floor((event.offsetY - EDGE) / panel.height)];
  return r >= 0 && c >= 0 && r < panel.data.rowCount && c < panel.data.columnCount ? { panel, i: r * panel.data.columnCount + c } : null;
}

function listenToPanels(view, node, on) {
  on(node, "pointerover", (event) => event.target.tagName !== "CANVAS" && pointAt(view, event));
  on(node, "pointermove", (event) => event.target.tagName === "CANVAS" && pointAt(view, event));
  on(node, "pointerleave", () => select(view, "pointed", null));
  on(node, "pointerdown", (event) => {
    const at = cellAt(view, event);
    if (!at || event.button !== 0) return;
    selectCell(view, "chosen", at.panel, at.i);
    if (!at.panel.data.paintable) return;
    event.target.releasePointerCapture?.(event.pointerId); // else a finger would stay on the first cell
    view.painting = !at.panel.data.blocked[at.i];
    paint(view, at, view.painting);
  });
  on(globalThis, "pointerup", () => (view.painting = null));
  on(globalThis, "pointercancel", () => (view.painting = null));
  on(node, "focusin", (event) => {
    const panel = panelOf(view, event.target);
    const isCell = event.target.matches(".mlab-cell, canvas");
    if (panel && isCell) selectCell(view, "chosen", panel, Number(event.target.dataset.i ?? panel.active));
  });
  on(node, "keydown", (event) => walk(view, event));
}

function pointAt(view, event) {
  const at = cellAt(view, event);
  if (!at) return;
  selectCell(view, "pointed", at.panel, at.i);
  if (typeof view.painting === "boolean" && at.panel.data.paintable) paint(view, at, view.painting);
}

function walk(view, event) {
  const panel = panelOf(view, event.target);
  if (!panel || !event.target.matches(".mlab-cell, canvas")) return;
  const { rowCount, columnCount } = panel.data;
  const [r, c] = [Math.floor(panel.active / columnCount), panel.active % columnCount];
  const moves = {
    ArrowLeft: [r, c - 1], ArrowRight: [r, c + 1], ArrowUp: [r - 1, c], ArrowDown: [r + 1, c],
    Home: [event.ctrlKey ? 0 : r, 0], End: [event.ctrlKey ? rowCount - 1 : r, columnCount - 1],
    PageUp: [0, c], PageDown: [rowCount - 1, c],
  };
  if (event.key in moves) {
    const [row, column] = moves[event.key];
    const i = clamp(row, 0, rowCount - 1) * columnCount + clamp(column, 0, columnCount - 1);
    view.pointed = null; // the keyboard spoke last
    moveTabStop(panel, i, { really: true });
    selectCell(view, "chosen", panel, i);
  } else if ((event.key === " " || event.key === "Enter") && panel.data.paintable) {
    paint(view, { panel, i: panel.active }, !panel.data.blocked[panel.active]);
    showSelection(view);
  } else if (event.key !== " ") return; // a space would scroll the page
  event.preventDefault();
  event.stopPropagation();
}

/* Paint one cell as blocked or free: at once on the page, and into the state for the kernel. */
function paint(view, { panel, i }, blocked) {
  const cell = [Math.floor(i / panel.data.columnCount), i % panel.data.columnCount];
  const others = (view.model.get("state").painted ?? []).filter(([r, c]) => r !== cell[0] || c !== cell[1]);
  if (Boolean(panel.data.blocked[i]) !== blocked) setState(view, { painted: blocked ? [...others, cell] : others });
}

/* The state says what is painted; draw it. */
function showPainted(view) {
  for (const panel of view.panels.filter(({ data }) => data.paintable)) {
    panel.data.blocked = paintedCells(view.model.get("state").painted, panel.data);
    panel.draw(panel, view.shades);
  }
}

// ---------------------------------------------------------------- 8 controls

/* Each builder returns { node, sync(state) }: sync shows a state, from here or from the kernel. */
const CONTROLS = { sentences: sentenceBoxes, choice, slider, number: numberBox, toggle, button };

function setState(view, changes, { force = false } = {}) {
  view.force = force; // write also into the box that has the focus
  view.model.set("state", { ...view.model.get("state"), ...changes });
  view.force = false;
  view.model.save_changes();
}

/* What is being typed is never overwritten, unless a button asked for it. */
function setValue(view, input, value) {
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
    view.on(radio, "change", () => setState(view, { [spec.name]: value }));
    return radio;
  });
  const labels = spec.options.map(([, text], i) => make("label", "", {}, radios[i], make("span", "", { textContent: text })));
  const name = make("span", "mlab-control-name", { textContent: spec.label, id: newId() });
  const segments = attributes(make("div", "mlab-segments", {}, ...labels), { role: "radiogroup", "aria-labelledby": name.id });
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
  view.on(input, "blur", () => (input.value = view.model.get("state")[spec.name] ?? ""));
  return { node: labelled(spec, input), sync: (state) => setValue(view, input, state[spec.name] ?? "") };
}

function toggle(view, spec) {
  const input = attributes(make("input", "mlab-switch", { type: "checkbox" }), { role: "switch" });
  // As a button does, a switch may set more: a guess begins with nothing painted.
  view.on(input, "change", () => setState(view, { ...structuredClone(spec.sets ?? {}), [spec.name]: input.checked }));
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

/* Boxes to type sentences in, each with its chips; without `name`, the chips alone. */
function sentenceBoxes(view, { name, label = "sentences", max = 6 }) {
  const list = make("div", "mlab-sentences");
  const add = make("button", "mlab-button mlab-add", { type: "button", textContent: "+ add sentence" });
  const node = attributes(make("div", "mlab-sentence-box", {}, list), { role: "group", "aria-label": label });
  if (name) node.append(add);
  const group = newId();
  const texts = () => view.model.get("state")[name] ?? [];
  const rows = [];
  const addRow = () => {
    rows.push(sentenceRow(view, rows.length, { name, group, texts }));
    list.append(rows.at(-1).node);
  };
  view.on(add, "click", () => {
    setState(view, { [name]: [...texts(), ""] }, { force: true });
    rows.at(-1).input.focus();
  });
  const sync = (state) => {
    const sentences = view.picture?.sentences ?? [];
    const count = name ? texts().length : sentences.length;
    while (rows.length < count) addRow();
    while (rows.length > count) rows.pop().node.remove();
    view.shown = state.shown ?? view.picture?.shown ?? 0;
    view.chipRows = rows.map((row) => row.chips);
    rows.forEach((row, i) => {
      setFlag(row.node, "data-shown", i === view.shown);
      if (name) setValue(view, row.input, texts()[i]);
      row.radio.checked = i === view.shown;
      row.remove.disabled = count <= 1;
      setText(row.note, sentences[i]?.note ?? "");
      drawChips(row.chips, sentences[i] ?? { tokens: [], words: [], pads: [] }, i === view.shown);
    });
    add.hidden = count >= max;
  };
  return { node, sync };
}

function sentenceRow(view, i, { name, group, texts }) {
  const radio = attributes(make("input", "", { type: "radio", name: group }), { "aria-label": `show sentence ${i + 1}` });
  const input = attributes(make("input", "mlab-text", { type: "text", dir: "auto", spellcheck: false, autocomplete: "off" }), { "aria-label": `sentence ${i + 1}` });
  const strip = attributes(make("div", "mlab-chips"), { role: "toolbar", "aria-label": `words of sentence ${i + 1}` });
  const note = make("span", "mlab-sentence-note");
  const remove = attributes(make("button", "mlab-button mlab-remove", { type: "button", textContent: "×" }), { "aria-label": `remove sentence ${i + 1}` });
  const chips = { node: strip, buttons: [], active: 0, drawn: "" };
  const show = () => setState(view, { shown: i });
  view.on(radio, "change", show);
  view.on(input, "input", () => setState(view, { [name]: texts().with(i, input.value) }));
  view.on(remove, "click", () => {
    const shown = view.shown > i || view.shown === texts().length - 1 ? Math.max(view.shown - 1, 0) : view.shown;
    setState(view, { [name]: texts().filter((_, k) => k !== i), shown }, { force: true });
  });
  listenToChips(view, chips, i, show);
  const parts = name ? [radio, input, strip, note, remove] : [radio, strip, note];
  return { node: make("div", "mlab-sentence", {}, ...parts), radio, input, note, remove, chips };
}

function drawChips(chips, { tokens, words, pads }, isShown) {
  const drawn = JSON.stringify([tokens, words, pads, isShown]);
  if (drawn === chips.drawn) return;
  chips.drawn = drawn;
  while (chips.buttons.length > tokens.length) chips.buttons.pop().remove();
  while (chips.buttons.length < tokens.length) {
    const chip = make("button", "mlab-chip", { type: "button" }, isolated(""));
    chip.dataset.i = chips.buttons.length;
    chips.buttons.push(chip);
    chips.node.append(chip);
  }
  chips.active = clamp(chips.active, 0, Math.max(tokens.length - 1, 0));
  chips.buttons.forEach((chip, i) => {
    setText(chip.firstChild, tokens[i]);
    chip.title = words[i] === tokens[i] ? "" : words[i];
    chip.tabIndex = isShown && i === chips.active ? 0 : -1;
    setFlag(chip, "data-pad", pads[i]);
  });
}

/* Chips of the shown sentence choose a word as query and as key; any other shows its sentence. */
function listenToChips(view, chips, row, show) {
  const chipOf = (event) => event.target.closest(".mlab-chip");
  const choose = (how, chip) => select(view, how, { query: Number(chip.dataset.i), key: Number(chip.dataset.i) });
  const isShown = () => view.shown === row;
  view.on(chips.node, "pointerover", (event) => chipOf(event) && isShown() && choose("pointed", chipOf(event)));
  view.on(chips.node, "pointerleave", () => select(view, "pointed", null));
  view.on(chips.node, "focusin", (event) => {
    if (!isShown()) return;
    chips.buttons[chips.active].tabIndex = -1;
    chips.active = Number(chipOf(event).dataset.i);
    chips.buttons[chips.active].tabIndex = 0;
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

function lightChips(view, { query, key }) {
  for (const chip of view.litChips) delete chip.dataset.query, delete chip.dataset.key;
  const buttons = view.chipRows[view.shown]?.buttons ?? [];
  if (buttons[query]) buttons[query].dataset.query = "Q";
  if (buttons[key]) buttons[key].dataset.key = "K";
  view.litChips = [buttons[query], buttons[key]].filter(Boolean);
}

// ---------------------------------------------------------------- 9 putting it together

function showState(view) {
  const state = view.model.get("state");
  for (const { spec, control } of view.controls) {
    control.node.hidden = Boolean(spec.when) && !state[spec.when];
    control.sync(state);
  }
  showPainted(view);
}

function showControls(view) {
  const specs = view.model.get("controls");
  const all = specs.some((spec) => spec.type === "sentences") ? specs : [{ type: "sentences" }, ...specs];
  view.controls = all.filter((spec) => CONTROLS[spec.type]).map((spec) => ({ spec, control: CONTROLS[spec.type](view, spec) }));
  const nodesOf = (wanted) => view.controls.filter(({ spec }) => (spec.type === "sentences") === wanted).map(({ control }) => control.node);
  view.sentencesNode.replaceChildren(...nodesOf(true));
  view.controlsNode.replaceChildren(...nodesOf(false));
  showState(view);
}

function showPicture(view) {
  const picture = view.model.get("picture");
  if (!picture.panels) return; // the kernel has not shown anything yet
  view.picture = picture;
  const before = new Map(view.panels.map((panel) => [panel.form, panel]));
  const all = readPanels(view);
  view.panels = all.map((data) => before.get(formOf(data)) ?? buildPanel(data));
  const steps = view.panels.map((panel) => panel.step);
  const same = steps.length === view.row.children.length && steps.every((step, i) => step === view.row.children[i]);
  if (!same) view.row.replaceChildren(...steps);
  markChanged(view, view.panels.flatMap((panel, i) => drawPanel(panel, all[i], view.shades)));
  const state = view.model.get("state");
  for (const { spec, control } of view.controls) if (spec.type === "sentences") control.sync(state);
  setText(view.problem, picture.problem && `⚠ ${picture.problem}`);
  setText(view.summary, picture.summary);
  setText(view.text, picture.text);
  view.textBox.hidden = !picture.text;
  const { axes, source } = selection(view);
  if (!selectionWords(view, axes, source)) view.pointed = view.chosen = null; // what it chose is no longer there
  showSelection(view, { speak: false });
  view.root.dataset.serial = picture.serial; // last: who waits for it may look at the page now
}

function markChanged(view, cells) {
  const unmark = () => view.changed.splice(0).forEach((cell) => cell.classList.remove("mlab-changed"));
  clearTimeout(view.unmarking);
  unmark();
  if (cells.length > CHANGED_MAX) return;
  cells.forEach((cell) => cell.classList.add("mlab-changed"));
  view.changed = cells;
  view.unmarking = setTimeout(unmark, CHANGED_MS);
}

function frame(view) {
  const labelId = newId();
  Object.assign(view, {
    root: make("div", "mlab-root"),
    sentencesNode: make("div", ""),
    problem: attributes(make("p", "mlab-problem"), { role: "status" }),
    controlsNode: make("div", "mlab-controls"),
    summary: attributes(make("p", "mlab-summary"), { role: "status" }),
    row: make("div", "mlab-panels"),
    status: attributes(make("p", "mlab-status"), { "aria-hidden": "true" }), // the next one speaks
    spoken: attributes(make("p", "mlab-hidden mlab-spoken"), { "aria-live": "polite" }),
    text: attributes(make("pre", "mlab-text-twin", { tabIndex: 0 }), { "aria-labelledby": labelId, role: "region" }),
  });
  view.textBox = make("div", "mlab-text-box", { hidden: true }, make("p", "mlab-control-name", { id: labelId, textContent: "the same as text" }), view.text);
  // JupyterLab's shortcuts would fire from inside: `x` cuts the learner's cell. This keeps them off.
  attributes(view.root, { "data-lm-suppress-shortcuts": "true", role: "group", "aria-label": view.model.get("label") || "masklab" });
  view.root.append(view.sentencesNode, view.problem, view.controlsNode, view.summary, view.row, view.status, view.spoken, view.textBox);
}

function render({ model, el }) {
  const end = new AbortController();
  const on = (node, type, listener) => node.addEventListener(type, listener, { signal: end.signal });
  const view = { model, on, picture: null, panels: [], controls: [], chipRows: [], litChips: [], changed: [], shown: 0, pointed: null, chosen: null, painting: null };
  const palette = model.get("palette");
  view.shades = { unit: shadesOf(palette.unit), signed: shadesOf(palette.signed) };
  frame(view);
  listenToPanels(view, view.row, on);
  on(view.root, "keydown", (event) => {
    if (event.key === "Escape") view.pointed = null, select(view, "chosen", null);
    event.stopPropagation(); // Control+Enter, too, would run the cell again; copy and paste are the browser's own
  });
  const listeners = { "change:picture": () => showPicture(view), "change:state": () => showState(view), "change:controls": () => showControls(view) };
  for (const [name, listener] of Object.entries(listeners)) model.on(name, listener);
  showControls(view);
  showPicture(view);
  el.append(view.root);
  return () => {
    end.abort();
    for (const [name, listener] of Object.entries(listeners)) model.off(name, listener);
    clearTimeout(view.speaking), clearTimeout(view.unmarking);
    view.root.remove();
  };
}

export default { initialize() {}, render };
