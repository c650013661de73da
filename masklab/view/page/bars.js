/* A panel of bars: a name, a bar, its number, and a sign on the right one. All else is as in a table. */

import { clamp } from "./dom.js";
import { paintMark, paintText, TablePanel } from "./table.js";
import { pattern } from "./theme.js";

const BAR_EM = 8; // the longest bar

export class BarsPanel extends TablePanel {
  /** @param {number} em @param {number} widest */
  leastWidth(em, widest) {
    return Math.ceil((BAR_EM + 2.3) * em + widest);
  }

  /* How much of the longest bar a cell's bar is; a value without number has none. */
  partOf(i) {
    const { values, limits } = this.data;
    return clamp((values[i] - limits[0]) / (limits[1] - limits[0]), 0, 1) || 0;
  }

  lookOf(i) {
    return super.lookOf(i) + Math.round(this.partOf(i) * 1000) * 2 ** 16; // behind the bits of a table's cell
  }

  /* The bar's length is the value; the number stands behind the place of the longest, the sign at the end. */
  paintCell(pen, view, i, { x, y, w, h }) {
    const { data, texts, changed } = this;
    const { colours, em } = view.theme;
    const length = Math.round(BAR_EM * em);
    const own = Math.round(this.partOf(i) * length);
    const fill = (style, width) => ((pen.fillStyle = style), pen.fillRect(x, y + 3, width, h - 6));
    pen.fillStyle = colours.bg;
    pen.fillRect(x, y, w, h);
    fill(colours.neutral, length);
    if (Number.isNaN(data.values[i])) fill(colours.hole, length), fill(pattern(view, pen, "dots"), length);
    else if (data.blocked[i]) fill(pattern(view, pen, "hatch"), own);
    else fill(colours.bar, own);
    if (changed.has(i)) [pen.strokeStyle, pen.lineWidth] = [colours.key, 2], pen.strokeRect(x + 1, y + 1, w - 2, h - 2);
    const middle = x + length + (w - length - 1.3 * em) / 2;
    paintText(pen, texts[i], middle, y + h / 2 + 0.5, colours.ink);
    if (data.marks[i]) paintMark(pen, view.theme, data.marks[i], x + w, y + h / 2 - 0.65 * em);
  }
}
