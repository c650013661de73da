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
      values: floats.subarray(start, end),
      drawnBlocked: blocked.subarray(start, end),
      marks: marks.subarray(start, end),
    };
    applyEdits(data, state);
    return data;
  });
}

function modeOf({ shape, written }) {
  if (shape[0] * shape[1] === 0) return "empty";
  return written ? "table" : "canvas";
}

/** Show at once what the learner changed, before the kernel answers: a flag is turned where the
 * cell is among the changes of the state or among those that were drawn, not where it is in both.
 * @param {PanelData} data @param {State} state */
export function applyEdits(data, state) {
  data.blocked = data.drawnBlocked.slice();
  if (!data.edits) return;
  const [drawn, now] = [data.edits.cells, state[data.edits.key] ?? []].map((cells) => places(data, cells));
  for (const i of new Set([...drawn, ...now])) if (drawn.has(i) !== now.has(i)) data.blocked[i] ^= 1;
}

/* The cells of a list that the panel has; a list may be of a longer sentence. */
function places({ rowCount, columnCount }, cells) {
  const isInside = ([r, c]) => r >= 0 && r < rowCount && c >= 0 && c < columnCount;
  return new Set(cells.filter(isInside).map(([r, c]) => r * columnCount + c));
}

/** Whether a panel's cells belong to a query and a key.
 * @param {PanelData} data */
export const isPair = (data) => data.links[0] === "query" && data.links[1] === "key";

/** What must agree for the nodes of one panel to be used again for the next.
 * @param {PanelData} data */
export const formOf = (data) =>
  JSON.stringify([data.name, data.mode, data.shape, data.row_notes.length > 0, data.edits?.how, data.axes]);
