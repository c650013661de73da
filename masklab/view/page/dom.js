/* Small helpers: making nodes, and writing only what differs. */

/* Each widget loads this script anew and counts from one: names that two labs shared made their radio buttons one group. */
const ours = Math.random().toString(36).slice(2, 8);
let ids = 0;
export const newId = () => `mlab-${ours}-${++ids}`;

/** A new node; `props` are properties of the node, not attributes.
 * @param {string} tag @param {string} className @param {any} [props]
 * @param {(Node | string)[]} children @returns {any} */
export function make(tag, className, props = {}, ...children) {
  const node = Object.assign(document.createElement(tag), { className, ...props });
  node.append(...children);
  return node;
}

/** @template {Element} T @param {T} node @param {Record<string, string>} values @returns {T} */
export function attributes(node, values) {
  for (const [name, value] of Object.entries(values)) node.setAttribute(name, value);
  return node;
}

/* A page that is not touched need not be drawn again. */
/** @param {Node} node @param {string} text */
export const setText = (node, text) => void (node.textContent !== text && (node.textContent = text));
/** @param {Element} node @param {string} name @param {any} on */
export const setFlag = (node, name, on) => void (on ? node.setAttribute(name, "true") : node.removeAttribute(name));

/** @param {Element} node */
export const isFocused = (node) => /** @type {Document} */ (node.getRootNode()).activeElement === node;
/** @param {number} value @param {number} low @param {number} high */
export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** Words of any writing direction, kept apart from what stands around them.
 * @param {string} text @returns {HTMLElement} */
export const isolated = (text) => make("bdi", "", { textContent: text });
