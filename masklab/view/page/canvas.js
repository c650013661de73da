/* A panel without numbers: more cells than there is room for, as colours on a canvas. */

import { attributes, clamp, make, newId, setText } from "./dom.js";
import { NO_SHADE, shadeOf } from "./numbers.js";
import { Panel, buildBands, clearPen, placeBand } from "./panel.js";
import { SIGNS } from "./picture.js";
import { pattern } from "./theme.js";
import { cellWords } from "./words.js";

const SIDE = 288; // about the longest side of a canvas, in CSS pixels
const EDGE = 6; // room above and to the left: a bar for each word, none for a pad
const HATCH_MIN = 6; // smaller cells are too small for hatching, and become solid grey
const GREY = "rgb(128,128,128)"; // seen on light and on dark

export class CanvasPanel extends Panel {
  /** @param {PanelData} data */
  constructor(data) {
    const paper = attributes(make("canvas", "mlab-canvas", { tabIndex: 0 }), {
      role: "application",
      "aria-roledescription": "heatmap, walk with the arrow keys",
    });
    const name = make("span", "mlab-hidden", { id: newId() });
    const bands = buildBands();
    super(data, make("div", "mlab-scroll", {}, make("div", "mlab-sheet", {}, paper, name, ...bands)), paper);
    this.paper = paper;
    this.name = name;
    this.bands = bands;
    this.width = clamp(Math.floor(SIDE / data.columnCount), 1, 18); // of a cell
    this.height = clamp(Math.floor(SIDE / data.rowCount), 1, 18);
    this.small = make("canvas", "", { width: data.columnCount, height: data.rowCount }); // a pixel a cell
  }

  /** @param {View} view */
  paint(view) {
    const { data, paper, small, width, height } = this;
    const { values, blocked, scale, limits } = data;
    const pixels = small.getContext("2d").createImageData(small.width, small.height);
    for (let i = 0; i < values.length; i++) {
      const colour = blocked[i] ? NO_SHADE : shadeOf(values[i], scale, limits);
      if (colour === NO_SHADE) continue;
      pixels.data.set(view.shades[scale].pixels.subarray(4 * colour, 4 * colour + 4), 4 * i);
    }
    small.getContext("2d").putImageData(pixels, 0, 0);
    const plan = { width: EDGE + width * data.columnCount, height: EDGE + height * data.rowCount };
    const pen = clearPen(paper, plan, view.theme.ratio);
    pen.imageSmoothingEnabled = false;
    // Neutral cells stay clear: CSS fills them.
    pen.drawImage(small, EDGE, EDGE, width * small.width, height * small.height);
    const hatch = Math.min(width, height) >= HATCH_MIN ? pattern(view, pen, "hatch") : GREY;
    fillCells(pen, this, (i) => blocked[i], hatch);
    const isHole = (i) => Number.isNaN(values[i]);
    for (const style of [view.theme.colours.hole, pattern(view, pen, "dots")]) fillCells(pen, this, isHole, style);
    paintMarks(pen, this);
    paintEdges(pen, this);
  }

  /* The canvas has no cells that a screen reader could read: its name says where one stands. */
  sync() {
    const { data, active } = this;
    this.paper.dataset.edits = data.edits?.how ?? "";
    const words = cellWords([data], data, Math.floor(active / data.columnCount), active % data.columnCount);
    setText(this.name, `${data.rowCount} rows, ${data.columnCount} columns. ${words}`);
    attributes(this.paper, { "aria-labelledby": `${this.title.id} ${this.name.id}` });
  }

  highlight(row, column) {
    super.highlight(row, column);
    const { bands, width, height, data } = this;
    const [x, y] = [EDGE + column * width, EDGE + row * height];
    placeBand(bands[0], row >= 0, EDGE, y, data.columnCount * width, height);
    placeBand(bands[1], column >= 0, x, EDGE, width, data.rowCount * height);
    placeBand(bands[2], row >= 0 && column >= 0, x, y, width, height);
  }

  focus(i, { really }) {
    this.active = i;
    this.sync();
    if (really) this.paper.focus();
  }

  boxOf(i) {
    const { width, height, data } = this;
    const [r, c] = [Math.floor(i / data.columnCount), i % data.columnCount];
    return { x: EDGE + c * width, y: EDGE + r * height, width, height: Math.max(height, 22) };
  }

  cellAt({ target, offsetX, offsetY }) {
    if (target !== this.paper) return -1;
    const { rowCount, columnCount } = this.data;
    const [c, r] = [Math.floor((offsetX - EDGE) / this.width), Math.floor((offsetY - EDGE) / this.height)];
    return r >= 0 && c >= 0 && r < rowCount && c < columnCount ? r * columnCount + c : -1;
  }

  stopAt(target) {
    return target === this.paper ? this.active : -1;
  }
}

/* Fill the cells that `test` picks, neighbours in a row in one go. */
function fillCells(pen, { data, width, height }, test, style) {
  pen.fillStyle = style;
  pen.beginPath();
  for (let r = 0; r < data.rowCount; r++) {
    for (let c = 0, start = 0; c < data.columnCount; c++) {
      if (!test(r * data.columnCount + c)) start = c + 1;
      else if (c + 1 === data.columnCount || !test(r * data.columnCount + c + 1))
        pen.rect(EDGE + start * width, EDGE + r * height, (c + 1 - start) * width, height);
    }
  }
  pen.fill();
}

function paintMarks(pen, { data, width, height }) {
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

function paintEdges(pen, { data, width, height }) {
  pen.fillStyle = GREY;
  data.columns.forEach((_, c) => data.column_pads[c] || pen.fillRect(EDGE + c * width, 0, width - 0.5, 3));
  data.rows.forEach((_, r) => data.row_pads[r] || pen.fillRect(0, EDGE + r * height, 3, height - 0.5));
}
