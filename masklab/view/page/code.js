/* A few lines of code under the panels, and a button that copies them. */

import { attributes, make, setText } from "./dom.js";

const COPIED_MS = 2000; // how long the button says so

/** @param {View} view */
export function makeCode(view) {
  const lines = make("code", "");
  const copy = make("button", "mlab-button mlab-copy", { type: "button", textContent: "Copy" });
  const said = attributes(make("span", "mlab-hidden"), { role: "status" });
  const node = make("div", "mlab-code", { hidden: true }, make("pre", "", {}, lines), copy, said);
  view.on(copy, "click", async () => {
    const isCopied = await copied(lines);
    setText(copy, isCopied ? "Copied ✓" : "Press Ctrl+C");
    setText(said, isCopied ? "The code is copied." : "The code is selected: press Control and C to copy it.");
    clearTimeout(view.copying);
    view.copying = setTimeout(() => (setText(copy, "Copy"), setText(said, "")), COPIED_MS);
  });
  view.code = { node, lines };
  return node;
}

/** @param {View} view */
export function showCode(view) {
  setText(view.code.lines, view.picture.code);
  view.code.node.hidden = !view.picture.code;
}

/* A page that a browser doesn't trust has no clipboard: then the lines are selected, and one key copies them. */
async function copied(lines) {
  try {
    await navigator.clipboard.writeText(lines.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(lines);
    return document.execCommand("copy");
  }
}
