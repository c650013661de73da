/* The live view of masklab: the controls, and a row of linked heatmaps.
 *
 * The kernel computes; this page draws and listens. `model.get("picture")` is all that
 * is shown (see `wire` in matrix.py), `model.get("state")` are the values of the controls.
 * What is selected is known to this page alone. No imports, no build step: the same
 * file runs in JupyterLab and in a plain page with a stand-in model.
 *
 *   1 small helpers      4 a panel with numbers     7 pointer and keyboard
 *   2 numbers, colours   5 a panel without          8 controls
 *   3 reading a picture  6 selection and words      9 putting it together
 *
 * Every panel is painted on a canvas, because a browser takes its time to restyle, lay out and
 * paint tables of numbers: at 16 words they answered a key after 164 to 181 ms, and canvases do
 * after 40. Where numbers fit, a semantic table lies over the canvas, clear as glass: it is what
 * a screen reader reads, what the keyboard walks in and what the pointer meets. It is written
 * once the eye has its picture.
 */

const CHANGED_MS = 600; // how long a changed cell stays marked
const CHANGED_MAX = 400; // more changed cells than this are not marked
const SPEAK_MS = 150; // a screen reader hears the words once the selection rests
const TELL_MS = 200; // the table follows the canvas once typing rests

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

/* A palette's anchors → 256 colours: to fill with, to write on them with, and as the four bytes of a pixel. */
export function shadesOf(anchors) {
  const [fills, inks, pixels] = [[], [], new Uint8ClampedArray(4 * SHADES)];
  for (let i = 0; i < SHADES; i++) {
    const rgb = between(anchors, (i / (SHADES - 1)) * (anchors.length - 1));
    fills.push(`rgb(${rgb.join(",")})`);
    inks.push(luminance(rgb) > 0.179 ? "#000" : "#fff"); // where black and white contrast alike
    pixels.set([...rgb, 255], 4 * i);
  }
  return { fills, inks, pixels };
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

/* A canvas knows no style sheet: read what the theme gives. True if anything is new. */
const NAMES = ["bg", "ink", "muted", "line", "neutral", "hatch", "key", "right", "wrong"];

/* Until the page is there: any theme will do. */
const PLAIN = { colours: Object.fromEntries(NAMES.map((name) => [name, "#888"])), family: "sans-serif", em: 13, ratio: 1 };

function readTheme(view) {
  if (!view.root.isConnected) return false;
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

/* A pattern of diagonal lines or of dots, made once a theme. */
function pattern(view, pen, which) {
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
    const [down, across] = [picture.lines[panel.rows], picture.lines[panel.columns]];
    const words = { rows: down.labels, columns: across.labels, row_words: down.words, column_words: across.words, row_pads: down.pads, column_pads: across.pads };
    const own = panel.paintable ? paintedCells(model.get("state").painted, panel) : blocked.subarray(start, end);
    return { ...panel, ...words, rowCount: rows, columnCount: columns, values: floats.subarray(start, end), blocked: own, marks: marks.subarray(start, end) };
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
  return data.written ? "table" : "canvas";
}

/* What must agree for the nodes of one panel to be used again for the next. */
const formOf = (data) => JSON.stringify([data.name, wayOf(data), data.shape, data.row_notes.length > 0, data.paintable, data.axes]);

/* One panel: { data, form, step (its outermost node), changed, the nodes below it, paint, tell, light, focus }. */
function buildPanel(data) {
  const title = make("figcaption", "mlab-title", { id: newId() });
  const meaning = make("p", "mlab-meaning", { id: newId() });
  const sign = make("span", "mlab-sign");
  const way = wayOf(data);
  const build = { table: buildTable, canvas: buildCanvas, empty: buildEmpty }[way];
  const panel = { data, form: formOf(data), title, meaning, sign, texts: [], changed: new Set(), active: 0, lit: [-1, -1], ...build(data) };
  attributes(panel.grid, { "aria-labelledby": title.id, "aria-describedby": meaning.id });
  const figure = make("figure", "mlab-panel", {}, title, panel.body, meaning);
  panel.step = make("div", "mlab-step", {}, sign, figure);
  Object.assign(panel.step.dataset, { name: data.name, kind: data.kind, drawn: way });
  return panel;
}

function buildEmpty(data) {
  const body = make("p", "mlab-empty", { textContent: `${data.rowCount} × ${data.columnCount}: nothing to show` });
  return { body, grid: body, paint() {}, tell() {}, light() {}, focus() {} };
}

/* What lies over a canvas where the selection is: a row, a column, and the cell where they meet. */
const buildBands = () => ["row", "column", "here"].map((which) => make("div", `mlab-band mlab-band-${which}`, { hidden: true }));

function placeBand(band, on, x, y, width, height) {
  band.hidden = !on;
  if (on) band.style.cssText = `left:${x}px;top:${y}px;width:${width}px;height:${height}px`;
}

/* Take in the next data, and note which numbers are written differently now. */
function update(panel, data) {
  panel.data = data;
  setText(panel.title, data.title);
  setText(panel.meaning, data.meaning);
  setText(panel.sign, data.sign);
  if (wayOf(data) !== "table") return;
  const before = panel.texts;
  panel.texts = Array.from(data.values, (value) => number(value, data.kind));
  panel.changed = new Set(panel.texts.flatMap((text, i) => (before.length && text !== before[i] ? [i] : [])));
}

/* Give a canvas the size of a plan in CSS pixels, and hand out its cleared pen. */
function clearPen(canvas, { width, height }, ratio) {
  const [fullWidth, fullHeight] = [Math.ceil(width * ratio), Math.ceil(height * ratio)];
  if (canvas.width !== fullWidth || canvas.height !== fullHeight) {
    Object.assign(canvas, { width: fullWidth, height: fullHeight });
    canvas.style.cssText = canvas.parentNode.style.cssText = `width:${width}px;height:${height}px`;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return pen;
}

// ---------------------------------------------------------------- 4 a panel with numbers

function buildTable() {
  const paper = attributes(make("canvas", "mlab-paper"), { "aria-hidden": "true" });
  const grid = attributes(make("table", "mlab-table"), { role: "grid" });
  const bands = buildBands();
  const body = make("div", "mlab-scroll", {}, make("div", "mlab-sheet", {}, paper, ...bands, grid));
  return { body, grid, paper, bands, cells: [], painted: { looks: [], texts: [] }, told: { heads: "" }, paint: paintTable, tell: tellTable, light: lightTable, focus: focusCell };
}

/* Where everything stands, in whole CSS pixels. Planned again only when words, widths or the theme change. */
function planTable(panel, { em, family, ratio }) {
  const { data } = panel;
  const longest = panel.texts.reduce((most, text) => Math.max(most, text.length), 0);
  const key = JSON.stringify([em, family, ratio, longest, data.rows, data.columns, data.row_notes, data.notes_title]);
  if (panel.plan?.key === key) return;
  const pen = panel.paper.getContext("2d");
  const widest = (size, words) => ((pen.font = `${size * em}px ${family}`), Math.max(0, ...words.map((word) => pen.measureText(word).width)));
  const px = (ems) => Math.round(ems * em);
  const first = Math.ceil(Math.max(widest(1, data.rows), widest(0.85, cornerWords(data))) + 0.75 * em);
  const widths = data.columns.map((word) => Math.max(px(3.5), px(0.65 * longest + 0.3), Math.ceil(widest(1, [word]) + 0.5 * em)));
  const notes = data.row_notes.length ? Math.ceil(widest(1, [data.notes_title, ...data.row_notes]) + 0.9 * em) : 0;
  const xs = widths.map((_, c) => widths.slice(0, c).reduce((sum, width) => sum + width, first));
  const [head, row, inner] = [px(2.4), px(2.15), widths.reduce((sum, width) => sum + width, first)];
  const shape = JSON.stringify([first, widths, notes, head, row]);
  panel.plan = { key, shape, first, widths, xs, notes, head, row, inner, width: inner + notes, height: head + row * data.rowCount };
}

const cornerWords = ({ axes }) => [`${axes[1]} →`, `${axes[0]} ↓`];

/* Paint a panel: all of it the first time, then the words if they are new, and the cells that look different. */
function paintTable(panel, view) {
  const { data, paper, painted } = panel;
  planTable(panel, view.theme);
  const frame = JSON.stringify([panel.plan.key, data.row_pads, data.column_pads]);
  const anew = painted.shape !== panel.plan.shape || painted.theme !== view.theme;
  const pen = anew ? clearPen(paper, panel.plan, view.theme.ratio) : paper.getContext("2d");
  if (anew || painted.frame !== frame) paintFrame(pen, panel, view.theme);
  for (let r = 0; r < data.rowCount; r++) paintRow(pen, panel, view, r, anew);
  Object.assign(painted, { frame, shape: panel.plan.shape, theme: view.theme });
  placeTable(panel);
}

/* All but the cells: the corner, the words above and beside, the notes. */
function paintFrame(pen, { data, plan }, theme) {
  pen.clearRect(0, 0, plan.width, plan.head);
  pen.clearRect(0, 0, plan.first, plan.height);
  pen.clearRect(plan.inner, 0, plan.notes, plan.height);
  pen.textBaseline = "middle";
  paintCorner(pen, { data, plan }, theme);
  data.columns.forEach((word, c) => paintHead(pen, theme, word, data.column_pads[c], plan.xs[c] + (plan.widths[c] - 1) / 2, plan.head - 0.85 * theme.em, "center"));
  data.rows.forEach((word, r) => {
    const middle = plan.head + r * plan.row + (plan.row - 1) / 2;
    paintHead(pen, theme, word, data.row_pads[r], plan.first - 0.45 * theme.em, middle, "right");
    pen.font = `${theme.em}px ${theme.family}`;
    pen.fillStyle = theme.colours.muted;
    if (plan.notes) pen.fillText(data.row_notes[r], plan.width - 2, middle);
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

/* A word beside its row or above its column; padding is slanted, grey, and underlined with dots. */
function paintHead(pen, { em, family, colours }, word, pad, x, y, align) {
  pen.font = `${pad ? "italic " : ""}${em}px ${family}`;
  pen.fillStyle = pad ? colours.muted : colours.ink;
  pen.textAlign = align;
  pen.fillText(word, x, y);
  if (!pad) return;
  const width = pen.measureText(word).width;
  const left = align === "right" ? x - width : x - width / 2;
  for (let dot = 0; dot < width; dot += 3) pen.fillRect(left + dot, y + 0.65 * em, 1.5, 1.5);
}

function paintRow(pen, panel, view, r, anew) {
  const { data, plan, texts, painted } = panel;
  const [y, pad] = [plan.head + r * plan.row, data.row_pads[r]];
  pen.font = `${pad ? "italic " : ""}${view.theme.em}px ${view.theme.family}`;
  for (let c = 0; c < data.columnCount; c++) {
    const i = r * data.columnCount + c;
    const look = lookOf(panel, i);
    if (!anew && look === painted.looks[i] && texts[i] === painted.texts[i]) continue;
    paintCell(pen, panel, view, i, { x: plan.xs[c], y, w: plan.widths[c] - 1, h: plan.row - 1, pad });
    [painted.looks[i], painted.texts[i]] = [look, texts[i]];
  }
}

/* All that a cell's look depends on but its text, as one number: its shade, then a bit for each sign. */
function lookOf({ data, changed }, i) {
  const [colour, pad] = [shade(data.values[i], data.scale, data.limits), data.row_pads[Math.floor(i / data.columnCount)]];
  const bits = [data.blocked[i], data.marks[i] & 1, data.marks[i] >> 1, Number.isNaN(data.values[i]), changed.has(i), pad];
  return bits.reduce((look, bit, k) => look | (bit ? 512 << k : 0), colour);
}

/* A cell: its colour, or a pattern with the number on a plain chip; a frame in a row of padding; a sign if judged. */
function paintCell(pen, { data, texts, changed }, view, i, { x, y, w, h, pad }) {
  const { colours } = view.theme;
  const [blocked, mark, isNaN] = [data.blocked[i], SIGNS[data.marks[i]], Number.isNaN(data.values[i])];
  const colour = blocked ? NO_SHADE : shade(data.values[i], data.scale, data.limits);
  const shades = view.shades[data.scale];
  const fill = (style, inset = 0) => ((pen.fillStyle = style), pen.fillRect(x + inset, y + inset, w - 2 * inset, h - 2 * inset));
  const frame = (style, inset) => ((pen.strokeStyle = style), (pen.lineWidth = 2), pen.strokeRect(x + inset, y + inset, w - 2 * inset, h - 2 * inset));
  fill(colour === NO_SHADE ? colours.neutral : shades.fills[colour]);
  if (blocked || isNaN) fill(pattern(view, pen, isNaN ? "dots" : "hatch")), fill(colours.bg, 4);
  if (pad) frame(colours.line, 1);
  if (changed.has(i)) frame(colours.key, 1);
  pen.fillStyle = colour === NO_SHADE ? colours.ink : shades.inks[colour];
  pen.fillText(texts[i], x + w / 2 - (mark ? 6 : 0), y + h / 2 + 0.5);
  if (mark) paintMark(pen, view.theme, mark, x + w, y);
}

function paintMark(pen, { em, colours }, mark, right, top) {
  pen.fillStyle = colours.bg;
  pen.fillRect(right - 1.05 * em, top + 1, em, 1.15 * em);
  const font = pen.font;
  pen.font = font.replace("italic ", "bold ");
  pen.fillStyle = mark === "✓" ? colours.right : colours.wrong;
  pen.fillText(mark, right - 0.55 * em, top + 0.65 * em);
  pen.font = font;
}

/* The table's rows and columns lie exactly over the painted ones. */
function placeTable({ grid, plan, told }) {
  if (told.shape === plan.shape || !grid.rows.length) return;
  told.shape = plan.shape;
  grid.style.cssText = `width:${plan.width}px;--mlab-head:${plan.head}px;--mlab-row:${plan.row}px`;
  const widths = [plan.first, ...plan.widths, plan.notes];
  [...grid.querySelectorAll("col")].forEach((column, c) => (column.style.width = `${widths[c]}px`));
}

/* Write into the table what the canvas shows. */
function tellTable(panel) {
  const { data, told, grid } = panel;
  if (!panel.cells.length) fillTable(panel);
  placeTable(panel);
  setFlag(grid, "data-paintable", data.paintable);
  tellHeads(panel);
  panel.cells.forEach((cell, i) => {
    setText(cell, panel.texts[i]);
    const look = (data.blocked[i] ? 1 : 0) | (data.marks[i] << 1) | (Number.isNaN(data.values[i]) << 3);
    if (look === (told.looks[i] ?? 0)) return;
    told.looks[i] = look;
    setFlag(cell, "data-blocked", data.blocked[i]);
    setFlag(cell, "data-nan", Number.isNaN(data.values[i]));
    data.marks[i] ? (cell.dataset.mark = SIGNS[data.marks[i]]) : delete cell.dataset.mark;
  });
}

/* The nodes of the table: all rows, headers and cells, with nothing written in them yet. */
function fillTable(panel) {
  const { data, grid, told } = panel;
  const head = (scope) => attributes(make("th", "mlab-head", {}, isolated("")), { scope });
  const note = (tag) => (data.row_notes.length ? [make(tag, "mlab-note")] : []);
  const corner = make("td", "mlab-corner", {}, ...cornerWords(data).map((word) => make("span", "", { textContent: word })));
  const columns = [corner, ...data.columns, ...note("td")].map(() => make("col", ""));
  const columnHeads = data.columns.map(() => head("col"));
  const rowHeads = data.rows.map(() => head("row"));
  const cells = Array.from(data.values, (_, i) => make("td", "mlab-cell", { tabIndex: i === panel.active ? 0 : -1 }));
  cells.forEach((cell, i) => (cell.dataset.i = i));
  const rowOf = (r) => make("tr", "", {}, rowHeads[r], ...cells.slice(r * data.columnCount, (r + 1) * data.columnCount), ...note("td"));
  const top = make("tr", "", {}, corner, ...columnHeads, ...note("th"));
  grid.replaceChildren(make("colgroup", "", {}, ...columns), make("thead", "", {}, top), make("tbody", "", {}, ...data.rows.map((_, r) => rowOf(r))));
  Object.assign(panel, { cells, rowHeads, columnHeads, rows: [...grid.tBodies[0].rows], notes: [...grid.querySelectorAll(".mlab-note")] });
  told.looks = [];
}

function tellHeads({ data, rows, rowHeads, columnHeads, notes, told }) {
  const heads = JSON.stringify([data.row_words, data.column_words, data.row_pads, data.column_pads, data.row_notes]);
  if (heads === told.heads) return;
  told.heads = heads;
  rowHeads.forEach((head, r) => tellHead(head, data.rows[r], data.row_words[r], data.row_pads[r]));
  columnHeads.forEach((head, c) => tellHead(head, data.columns[c], data.column_words[c], data.column_pads[c]));
  rows.forEach((row, r) => setFlag(row, "data-pad", data.row_pads[r]));
  notes.forEach((note, i) => setText(note, [data.notes_title, ...data.row_notes][i]));
}

function tellHead(head, label, word, pad) {
  setText(head.firstChild, label);
  head.title = word === label ? "" : word;
  setFlag(head, "data-pad", pad);
}

function lightTable(panel, row, column) {
  const { plan, bands } = panel;
  if (!plan) return;
  const [x, y] = [plan.xs[column], plan.head + row * plan.row];
  placeBand(bands[0], row >= 0, 0, y, plan.width, plan.row - 1);
  placeBand(bands[1], column >= 0, x, 0, plan.widths[column] - 1, plan.height - 1);
  placeBand(bands[2], row >= 0 && column >= 0, x, y, plan.widths[column] - 1, plan.row - 1);
}

function focusCell({ cells, active }, i, { really }) {
  if (!cells.length) return;
  cells[active].tabIndex = -1;
  cells[i].tabIndex = 0;
  if (really) cells[i].focus();
}

// ---------------------------------------------------------------- 5 a panel without numbers

const SIDE = 288; // about the longest side of a canvas, in CSS pixels
const EDGE = 6; // room above and to the left: a bar for each word, none for a pad
const HATCH_MIN = 6; // smaller cells are too small for hatching, and become solid grey
const GREY = "rgb(128,128,128)"; // seen on light and on dark

function buildCanvas(data) {
  const width = clamp(Math.floor(SIDE / data.columnCount), 1, 18);
  const height = clamp(Math.floor(SIDE / data.rowCount), 1, 18);
  const grid = make("canvas", "mlab-canvas", { tabIndex: 0 });
  attributes(grid, { role: "application", "aria-roledescription": "heatmap, walk with the arrow keys" });
  setFlag(grid, "data-paintable", data.paintable);
  const name = make("span", "mlab-hidden", { id: newId() });
  const bands = buildBands();
  const body = make("div", "mlab-scroll", {}, make("div", "mlab-sheet", {}, grid, name, ...bands));
  const plan = { width: EDGE + width * data.columnCount, height: EDGE + height * data.rowCount };
  const small = make("canvas", "", { width: data.columnCount, height: data.rowCount });
  return { body, grid, name, bands, width, height, plan, small, paint: paintCanvas, tell: nameCanvas, light: lightCanvas, focus: focusCanvas };
}

function paintCanvas(panel, view) {
  const { data, grid, small, width, height, plan } = panel;
  const { values, blocked, scale, limits } = data;
  const pixels = small.getContext("2d").createImageData(small.width, small.height);
  for (let i = 0; i < values.length; i++) {
    const colour = blocked[i] ? NO_SHADE : shade(values[i], scale, limits);
    if (colour !== NO_SHADE) pixels.data.set(view.shades[scale].pixels.subarray(4 * colour, 4 * colour + 4), 4 * i);
  }
  small.getContext("2d").putImageData(pixels, 0, 0);
  const pen = clearPen(grid, plan, view.theme.ratio);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(small, EDGE, EDGE, width * small.width, height * small.height); // neutral cells stay clear: CSS fills them
  fillCells(pen, panel, (i) => blocked[i], Math.min(width, height) >= HATCH_MIN ? pattern(view, pen, "hatch") : GREY);
  fillCells(pen, panel, (i) => Number.isNaN(values[i]), pattern(view, pen, "dots"));
  drawMarks(pen, panel);
  drawEdges(pen, panel);
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
  const [x, y] = [EDGE + column * width, EDGE + row * height];
  placeBand(bands[0], row >= 0, EDGE, y, data.columnCount * width, height);
  placeBand(bands[1], column >= 0, x, EDGE, width, data.rowCount * height);
  placeBand(bands[2], row >= 0 && column >= 0, x, y, width, height);
}

function focusCanvas(panel, i, { really }) {
  panel.active = i;
  nameCanvas(panel);
  if (really) panel.grid.focus();
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
  const { links, columnCount, name } = panel.data;
  select(view, how, { [links[0]]: Math.floor(i / columnCount), [links[1]]: i % columnCount }, name);
}

/* Where a selection is in one panel; -1 where it is not. */
const placeOf = (data, axes) => data.links.map((axis, k) => (axes[axis] < data.shape[k] ? axes[axis] : -1));

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
  const fits = ({ data }) => data.links.every((axis, k) => axes[axis] < data.shape[k]);
  const here = view.panels.filter(fits);
  const from = here.find(({ data }) => data.name === source) ?? here.find(({ data }) => isPair(data));
  if (!from) return "";
  return cellWords(here, from, axes[from.data.links[0]], axes[from.data.links[1]], view.sentences);
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
    if (event.target.matches(":focus-visible")) view.pointed = null; // the keyboard spoke last
    if (panel && isCell) selectCell(view, "chosen", panel, Number(event.target.dataset.i ?? panel.active));
  });
  on(node, "keydown", (event) => walk(view, event));
  // The browser says which panels it leaves out because they are outside the window.
  node.addEventListener("contentvisibilityautostatechange", (event) => {
    const panel = panelOf(view, event.target); // none, if another picture has come since
    if (panel) panel.isOutside = event.skipped;
  }, { capture: true });
}

function pointAt(view, event) {
  const at = cellAt(view, event);
  if (!at) return;
  if (!(event.buttons & 1)) view.painting = null; // the button was let go elsewhere
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
  if (event.key in moves && !event.altKey) {
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

/* The state says what is painted; show it. */
function showPainted(view) {
  for (const panel of view.panels.filter(({ data }) => data.paintable)) {
    panel.data.blocked = paintedCells(view.model.get("state").painted, panel.data);
    panel.paint(panel, view);
    panel.tell(panel);
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
    view.on(radio, "change", () => setState(view, { ...structuredClone(spec.sets ?? {}), [spec.name]: value }));
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
function sentenceBoxes(view, { name, label = "sentences", max = 6, sets = {} }) {
  const list = make("div", "mlab-sentences");
  const add = make("button", "mlab-button mlab-add", { type: "button", textContent: "+ add sentence" });
  const node = attributes(make("div", "mlab-sentence-box", {}, list), { role: "group", "aria-label": label });
  if (name) node.append(add);
  const group = newId();
  const texts = () => view.model.get("state")[name] ?? [];
  const rows = [];
  const addRow = () => {
    rows.push(sentenceRow(view, rows.length, { name, group, texts, sets, rows }));
    list.append(rows.at(-1).node);
  };
  view.on(add, "click", () => {
    setState(view, { [name]: [...texts(), ""] }, { force: true });
    rows.at(-1).input.focus();
  });
  const sync = (state) => {
    const sentences = view.sentences;
    const count = name ? texts().length : sentences.length;
    while (rows.length < count) addRow();
    while (rows.length > count) rows.pop().node.remove();
    view.shown = clamp(state.shown ?? view.picture?.shown ?? 0, 0, Math.max(count - 1, 0));
    view.chipRows = rows.map((row) => row.chips);
    rows.forEach((row, i) => {
      setFlag(row.node, "data-shown", i === view.shown);
      if (name) setValue(view, row.input, texts()[i]);
      row.radio.checked = i === view.shown;
      row.remove.disabled = count <= 1;
      setText(row.note, sentences[i]?.note ?? "");
      drawChips(row.chips, sentences[i] ?? { labels: [], words: [], pads: [] }, i === view.shown);
    });
    add.hidden = count >= max;
  };
  return { node, sync };
}

function sentenceRow(view, i, { name, group, texts, sets, rows }) {
  const radio = attributes(make("input", "", { type: "radio", name: group }), { "aria-label": `show sentence ${i + 1}` });
  const input = attributes(make("input", "mlab-text", { type: "text", dir: "auto", spellcheck: false, autocomplete: "off" }), { "aria-label": `sentence ${i + 1}` });
  const strip = attributes(make("div", "mlab-chips"), { role: "toolbar", "aria-label": `words of sentence ${i + 1}` });
  const note = make("span", "mlab-sentence-note");
  const remove = attributes(make("button", "mlab-button mlab-remove", { type: "button", textContent: "×" }), { "aria-label": `remove sentence ${i + 1}` });
  const chips = { node: strip, buttons: [], active: 0, drawn: "" };
  const show = () => setState(view, { ...structuredClone(sets), shown: i });
  view.on(radio, "change", show);
  view.on(input, "input", () => setState(view, { [name]: texts().with(i, input.value) }));
  view.on(remove, "click", () => {
    const shown = view.shown > i || view.shown === texts().length - 1 ? Math.max(view.shown - 1, 0) : view.shown;
    setState(view, { [name]: texts().filter((_, k) => k !== i), shown }, { force: true });
    rows[Math.min(i, rows.length - 1)].input.focus(); // the button is gone, and the focus would be, too
  });
  listenToChips(view, chips, i, show);
  const parts = name ? [radio, input, strip, note, remove] : [radio, strip, note];
  return { node: make("div", "mlab-sentence", {}, ...parts), radio, input, note, remove, chips };
}

function drawChips(chips, { labels, words, pads }, isShown) {
  const drawn = JSON.stringify([labels, words, pads, isShown]);
  if (drawn === chips.drawn) return;
  chips.drawn = drawn;
  while (chips.buttons.length > labels.length) chips.buttons.pop().remove();
  while (chips.buttons.length < labels.length) {
    const chip = make("button", "mlab-chip", { type: "button" }, isolated(""));
    chip.dataset.i = chips.buttons.length;
    chips.buttons.push(chip);
    chips.node.append(chip);
  }
  chips.active = clamp(chips.active, 0, Math.max(labels.length - 1, 0));
  chips.buttons.forEach((chip, i) => {
    setText(chip.firstChild, labels[i]);
    chip.title = words[i] === labels[i] ? "" : words[i];
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
  view.sentences = picture.sentences.map(({ line, note }) => ({ ...picture.lines[line], note }));
  const before = new Map(view.panels.map((panel) => [panel.form, panel]));
  const all = readPanels(view);
  view.panels = all.map((data) => before.get(formOf(data)) ?? buildPanel(data));
  const steps = view.panels.map((panel) => panel.step);
  const same = steps.length === view.row.children.length && steps.every((step, i) => step === view.row.children[i]);
  if (!same) view.row.replaceChildren(...steps);
  view.panels.forEach((panel, i) => update(panel, all[i]));
  markChanged(view);
  paintPanels(view);
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
  clearTimeout(view.telling);
  view.telling = setTimeout(tell, TELL_MS, view);
}

/* Paint what can be seen, so that it is answered first; the rest follows once this frame is on the screen. */
function paintPanels(view) {
  for (const panel of view.panels) {
    panel.isStale = panel.isOutside;
    if (!panel.isStale) panel.paint(panel, view);
  }
  cancelAnimationFrame(view.following);
  const nextFrame = (then) => (view.following = requestAnimationFrame(then));
  nextFrame(() => nextFrame(() => setTimeout(paintStale, 0, view)));
}

function paintStale(view) {
  for (const panel of view.panels.filter(({ isStale }) => isStale)) {
    panel.isStale = false;
    panel.paint(panel, view);
    panel.light(panel, ...panel.lit);
  }
}

/* The eye has its picture; now the tables say the same to those who read them. */
function tell(view) {
  paintStale(view); // a page in the background has no frames
  view.panels.forEach((panel) => panel.tell(panel));
  for (const panel of view.panels) panel.light(panel, ...panel.lit);
  view.root.dataset.told = view.root.dataset.serial;
}

function repaint(view) {
  for (const panel of view.panels) panel.paint(panel, view), panel.light(panel, ...panel.lit);
}

/* Mark the changed cells for a moment: not many at once, and not for those who want no motion. */
function markChanged(view) {
  const count = view.panels.reduce((sum, panel) => sum + panel.changed.size, 0);
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (count > CHANGED_MAX || calm) view.panels.forEach((panel) => panel.changed.clear());
  view.root.dataset.changed = view.panels.reduce((sum, panel) => sum + panel.changed.size, 0);
  clearTimeout(view.unmarking);
  if (count) view.unmarking = setTimeout(unmark, CHANGED_MS, view);
}

function unmark(view) {
  view.root.dataset.changed = 0;
  for (const panel of view.panels.filter(({ changed }) => changed.size)) panel.changed.clear(), panel.paint(panel, view);
}

function frame(view) {
  const labelId = newId();
  Object.assign(view, {
    root: make("div", "mlab-root"),
    probe: attributes(make("span", "mlab-probe", { hidden: true }), { "aria-hidden": "true" }), // to read the theme from
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
  view.root.append(view.probe, view.sentencesNode, view.problem, view.controlsNode, view.summary, view.row, view.status, view.spoken, view.textBox);
}

function render({ model, el }) {
  const end = new AbortController();
  const on = (node, type, listener) => node.addEventListener(type, listener, { signal: end.signal });
  const view = { model, on, picture: null, sentences: [], panels: [], controls: [], chipRows: [], litChips: [], theme: PLAIN, patterns: {}, shown: 0, pointed: null, chosen: null, painting: null };
  const palette = model.get("palette");
  view.shades = { unit: shadesOf(palette.unit), signed: shadesOf(palette.signed) };
  frame(view);
  listenToPanels(view, view.row, on);
  on(view.root, "keydown", (event) => {
    if (event.key === "Escape") view.pointed = null, select(view, "chosen", null);
    event.stopPropagation(); // Control+Enter, too, would run the cell again; copy and paste are the browser's own
  });
  // The page may come later than the picture, the theme may change, the page may be zoomed.
  const look = () => readTheme(view) && repaint(view);
  const resized = new ResizeObserver(look);
  resized.observe(view.root);
  on(view.root, "transitionend", (event) => event.target === view.root && look()); // the style sheet gives its colour a moment
  const listeners = { "change:picture": () => showPicture(view), "change:state": () => showState(view), "change:controls": () => showControls(view) };
  for (const [name, listener] of Object.entries(listeners)) model.on(name, listener);
  el.append(view.root);
  readTheme(view);
  showControls(view);
  showPicture(view);
  if (view.picture) tell(view);
  return () => {
    end.abort();
    resized.disconnect();
    cancelAnimationFrame(view.following);
    for (const [name, listener] of Object.entries(listeners)) model.off(name, listener);
    [view.speaking, view.unmarking, view.telling].forEach(clearTimeout);
    view.root.remove();
  };
}

export default { initialize() {}, render };
