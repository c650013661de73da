/* Two lines under the sentences: what is wrong with the line to the kernel, and an offer of what was typed before. */

import { attributes, make, setText } from "./dom.js";
import { setState } from "./link.js";

const KEPT = "What you type is kept";
const AGAIN = "run this cell again, then bring back what you typed";

/** @type {Record<import("./link.js").Trouble, string>} */
const SENTENCES = {
  "": "",
  cut: `The connection to the kernel is lost. ${KEPT}, and goes there when it is back.`,
  busy: `The kernel is busy with another cell. ${KEPT}; the lab answers when the cell is done.`,
  gone: `The kernel was restarted or has ended: ${AGAIN}.`,
  silent: `The kernel doesn't answer. If it is busy, wait; if it was restarted, ${AGAIN}.`,
  large: "That is too much to send to the kernel (at most 1 MB): shorten it.",
};

/** @param {View} view */
export function makeNotice(view) {
  const sentence = attributes(make("p", "mlab-trouble"), { role: "status" });
  const take = make("button", "mlab-button", { type: "button", textContent: "Bring back what you typed" });
  const decline = make("button", "mlab-button mlab-remove", { type: "button", textContent: "×" });
  attributes(decline, { "aria-label": "don't bring back" });
  const offer = make("div", "mlab-offer", { hidden: true }, take, decline);
  view.on(take, "click", () => {
    const typed = view.memory.offer();
    view.memory.settle();
    if (typed) setState(view, structuredClone(typed), { force: true });
    showNotice(view);
  });
  view.on(decline, "click", () => {
    view.memory.settle();
    showNotice(view);
  });
  view.notice = { sentence, offer };
  return make("div", "mlab-notice", {}, sentence, offer);
}

/** @param {View} view */
export function showNotice(view) {
  const sentence = SENTENCES[view.link.trouble];
  setText(view.notice.sentence, sentence && `⚠ ${sentence}`);
  if (view.root.dataset.trouble !== view.link.trouble) view.root.dataset.trouble = view.link.trouble;
  view.notice.offer.hidden = !view.memory.offer();
}
