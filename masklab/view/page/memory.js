/* What was typed, kept by the page for this lab: it outlives the kernel, and the page's being loaded again.
 *
 * It is never put back by itself, so a lab that is run again begins as stored; it is offered. The browser keeps it
 * for this tab alone, and only as long as the tab is open. Where it keeps nothing, nothing is offered. */

import { isSame } from "./link.js";

const MOST_CHARACTERS = 200_000; // the browser gives all pages of a place some 5 MB together

export class Memory {
  /** @type {State | null} */
  offered = null;

  /** @param {import("./link.js").Link} link */
  constructor(link) {
    this.link = link;
    this.key = keyOf(link);
    const found = this.read();
    this.offered = found && this.differs(found) ? found : null;
    this.isBegun = this.offered === null; // else the next change begins anew
  }

  /** Remember changes, over what was remembered before. @param {State} changes */
  keep(changes) {
    const all = { ...(this.isBegun ? this.read() : null), ...changes };
    this.isBegun = true;
    this.write(all);
  }

  /** What is offered, if it is not what the lab shows anyway. */
  offer() {
    return this.offered && this.differs(this.offered) ? this.offered : null;
  }

  /** What was offered was taken or declined. */
  settle() {
    this.offered = null;
    if (!this.isBegun) this.write({});
    this.isBegun = true;
  }

  differs(changes) {
    const state = this.link.state();
    return Object.entries(changes).some(([key, value]) => !isSame(value, state[key]));
  }

  /* Only what the lab knows, and only of the kind that it has there: what is stored may be damaged. */
  read() {
    const state = this.link.state();
    try {
      const stored = JSON.parse(sessionStorage.getItem(this.key));
      const isKnown = ([key, value]) => Object.hasOwn(state, key) && isLike(value, state[key]);
      const known = Object.entries(stored ?? {}).filter(isKnown);
      return known.length ? Object.fromEntries(known) : null;
    } catch {
      return null;
    }
  }

  write(changes) {
    const text = JSON.stringify(changes);
    try {
      if (text === "{}" || text.length > MOST_CHARACTERS) sessionStorage.removeItem(this.key);
      else sessionStorage.setItem(this.key, text);
    } catch {
      // no storage, or no room in it: nothing is kept
    }
  }
}

/* A lab is known by its notebook, its label and its controls: another version of it is another lab. */
function keyOf(link) {
  const path = link.model.widget_manager?.context?.path ?? location.pathname;
  return `masklab ${path} ${link.label()} ${hash(JSON.stringify(link.controls()))}`;
}

/** @param {string} text */
function hash(text) {
  let sum = 0;
  for (let i = 0; i < text.length; i += 1) sum = (Math.imul(sum, 31) + text.charCodeAt(i)) | 0;
  return (sum >>> 0).toString(36);
}

/* Of the same kind; the parts of a list, too, are of one kind. */
function isLike(one, other) {
  const kind = (value) => (Array.isArray(value) ? "list" : typeof value);
  if (kind(one) !== kind(other) || one === null) return false;
  return kind(one) !== "list" || new Set([...one, ...other].map(kind)).size <= 1;
}
