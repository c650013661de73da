/* A cell in words. */

import { number } from "./numbers.js";
import { isPair, placeOfRow } from "./picture.js";

/** One cell: "query ate → key [PAD]: blocked, score 0.41 → −∞, weight 0.00".
 * A cell of a query and a key takes its parts from every panel that has it; so does one of a sentence and a position.
 * @param {PanelData[]} all @param {PanelData} data @param {number} row @param {number} column
 * @param {Sentence[]} [sentences] */
export function cellWords(all, data, row, column, sentences = []) {
  const at = (one) => row * one.columnCount + column;
  const speaking = isPair(data) || isGrid(data) ? all.filter((one) => hasSameCells(one, data) && one.say) : [data];
  const parts = speaking.map((one) => one.say.replace("{}", () => number(one.values[at(one)], one.kind)));
  const last = all.find((one) => isPair(one) && one.edits) ?? all.filter(isPair).at(-1); // that is what counts
  const isBlocked = isPair(data) && Boolean(last.blocked[at(last)]);
  const body = (isBlocked ? "blocked, " : "") + parts.join("").replace(/^[\s,;]+/, "");
  const first = `${data.axes[0]} ${data.row_words[row]}`;
  const second = `${data.axes[1]} ${columnWord(data, row, column, sentences)}`;
  return `${first}${isPair(data) ? " → " : ", "}${second}${body && ": " + body}`;
}

const isGrid = ({ links }) => links[0] === "sentence" && links[1] === "position";

/* Whether two panels have the same cells. */
const hasSameCells = (one, other) =>
  ["links", "start", "places", "shape"].every((part) => `${one[part]}` === `${other[part]}`);

/* Where rows are the sentences above, a column is a position, and its word is that of the sentence. */
function columnWord(data, row, column, sentences) {
  const word = data.column_words[column];
  if (data.links[0] !== "sentence") return word;
  const place = /^\d+$/.test(word) ? word : column + 1;
  return `${place} ${sentences[placeOfRow(data, row)]?.words[column] ?? ""}`.trim();
}
