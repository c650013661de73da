/* What the kernel sent → the data of each panel. */

export const SIGNS = ["", "✓", "✗", "!"]; // as in panels.SIGNS: not marked, right, missed, extra

/** Each panel's data with its own piece of the buffers. They come as DataViews that may start
 * anywhere; a float needs a start that is a multiple of four, so they are copied.
 * @param {any} picture @param {State} state @returns {PanelData[]} */
export function readPanels(picture, state) {
  const bytes = (data) => new Uint8Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength));
  const [values, blocked, marks] = ["values", "blocked", "marks"].map((name) => bytes(picture[name]));
  const floats = new Float32Array(values.buffer);
  return picture.panels.map((panel) => {
    const [rowCount, columnCount] = panel.shape;
    const [start, end] = [panel.offset, panel.offset + rowCount * columnCount];
    const [down, across] = [picture.lines[panel.rows], picture.lines[panel.columns]];
    const data = {
      ...panel,
      mode: modeOf(panel),
      rowCount,
      columnCount,
      rows: down.labels,
      columns: across.labels,
      row_words: down.words,
      column_words: across.words,
      row_pads: down.pads,
      column_pads: across.pads,
      drawnValues: floats.subarray(start, end),
      drawnBlocked: blocked.subarray(start, end),
      marks: marks.subarray(start, end),
    };
    applyEdits(data, state);
    return data;
  });
}

function modeOf({ shape, scale, written }) {
  if (shape[0] * shape[1] === 0) return "empty";
  if (scale === "bars") return "bars";
  return written ? "table" : "canvas";
}

/** Show at once what the learner changed, before the kernel answers.
 * @param {PanelData} data @param {State} state */
export function applyEdits(data, state) {
  const { edits, drawnBlocked, drawnValues } = data;
  const changes = edits ? (state[edits.key] ?? []) : [];
  data.applied = edits && state[edits.key];
  data.blocked = edits?.how === "toggle" ? drawnBlocked.slice() : drawnBlocked;
  data.values = edits?.how === "number" ? drawnValues.slice() : drawnValues;
  const place = (cell) => placeIn(data, cell);
  if (edits?.how === "toggle") for (const i of turnedPlaces(edits.cells, changes, place)) data.blocked[i] ^= 1;
  const numbers = edits?.how === "number" ? changes.filter((cell) => place(cell) >= 0) : [];
  for (const cell of numbers) data.values[place(cell)] = Number(cell[2]);
  data.isSet = new Set(numbers.map(place));
}

/** Where a flag is turned: at the places that are in one of two lists of cells, not in both. -1 is no place.
 * @param {number[][]} drawn @param {number[][]} now @param {(cell: number[]) => number} place */
export function turnedPlaces(drawn, now, place) {
  const [before, after] = [drawn, now].map((cells) => new Set(cells.map(place)));
  return new Set([...before, ...after].filter((at) => at >= 0 && before.has(at) !== after.has(at)));
}

/* A list may be of a longer sentence: then a cell has no place, -1. */
function placeIn({ rowCount, columnCount }, [r, c]) {
  return r >= 0 && r < rowCount && c >= 0 && c < columnCount ? r * columnCount + c : -1;
}

/** Whether a panel's cells belong to a query and a key.
 * @param {PanelData} data */
export const isPair = (data) => data.links[0] === "query" && data.links[1] === "key";

/** Which of all that is linked a row is.
 * @param {PanelData} data @param {number} row */
export const placeOfRow = ({ places, start }, row) => (places.length ? places[row] : start[0] + row);

/** What must agree for the nodes of one panel to be used again for the next.
 * @param {PanelData} data */
export const formOf = (data) =>
  JSON.stringify([data.name, data.mode, data.shape, data.row_notes.length > 0, data.edits?.how, data.axes]);
