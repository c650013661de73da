/* The page's end of the line to the kernel; link.py has the other end, and says what a message is.
 *
 * What changes is shown here at once, and goes to the kernel in messages: one at a time, again until it is answered,
 * and what changes meanwhile goes with the next. So an answer that never comes costs nothing but time. When nothing
 * changes, a message without changes asks now and then whether the kernel is still there.
 */

const BEAT_MS = 3000; // how often to ask, while the page is looked at
const PATIENCE_MS = 2500; // without an answer for so long, the page says so
const AGAIN_MS = 2000; // the first wait before a message goes again; each next one is twice as long,
const SELDOM_MS = 16_000; // up to this
const TICK_MS = 250;
const ALONE_MS = 120_000; // so long after the last key or move nobody is there, and a server may go to sleep
const MOST_BYTES = 1_000_000; // in one message: Jupyter cuts the connection at 10 MiB
const HERE = ["pointermove", "pointerdown", "keydown", "wheel"];

/** @typedef {"" | "cut" | "busy" | "gone" | "silent" | "large"} Trouble */

export class Link {
  number = 0; // of the last message
  /** @type {Sent | null} */
  sent = null; // the message that waits for its answer
  /** @type {State} */
  waiting = {}; // what changed since
  /** @type {Trouble} */
  trouble = "";
  isGone = false; // a message could not even be sent
  isLarge = false; // the last change was too large to be sent
  wasCut = false;
  /** @type {State} */
  shown = {}; // the last state, what it came from,
  from = [];
  announced = this.shown; // and the last one that the listeners know of

  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    this.page = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
    this.heardAt = this.touchedAt = performance.now();
  }

  picture() {
    return this.model.get("picture");
  }

  /** @returns {Spec[]} */
  controls() {
    return this.model.get("controls");
  }

  /** @returns {Record<string, string[]>} */
  palette() {
    return this.model.get("palette");
  }

  /** @returns {string} */
  label() {
    return this.model.get("label") || "masklab";
  }

  /** The kernel's state, and over it what it has not answered yet. What is the same stays the same object.
   * @returns {State} */
  state() {
    const from = [this.model.get("state"), this.sent && !this.isAnswered() ? this.sent.changes : null, this.waiting];
    if (from.every((one, i) => one === this.from[i])) return this.shown;
    this.from = from;
    return (this.shown = kept(this.shown, Object.assign({}, ...from)));
  }

  /** Change the state, here at once and then in the kernel. False if that is too much for one message.
   * @param {State} changes */
  change(changes) {
    const all = { ...this.waiting, ...wellFormed(changes) };
    this.isLarge = new TextEncoder().encode(JSON.stringify(all)).length > MOST_BYTES;
    if (!this.isLarge) {
      this.waiting = all;
      this.showState();
      this.sendChanges();
    }
    this.showTrouble();
    return !this.isLarge;
  }

  /** Call the listeners when something is to be shown, and watch the line; returns what ends that.
   * @param {Record<"picture" | "state" | "controls" | "trouble", () => void>} listeners */
  listen(listeners) {
    this.listeners = listeners;
    const events = {
      "change:picture": listeners.picture,
      "change:controls": listeners.controls,
      "change:state": () => this.showState(),
      "change:answered": () => this.hear(),
      comm_live_update: () => (this.heardAt = -Infinity), // the kernel was restarted, or is back: ask at once
    };
    const touch = () => (this.touchedAt = performance.now());
    for (const [name, listener] of Object.entries(events)) this.model.on(name, listener);
    for (const name of HERE) globalThis.addEventListener(name, touch, { capture: true, passive: true });
    const ticking = setInterval(() => this.tick(), TICK_MS);
    this.announced = this.state();
    return () => {
      clearInterval(ticking);
      for (const [name, listener] of Object.entries(events)) this.model.off(name, listener);
      for (const name of HERE) globalThis.removeEventListener(name, touch, { capture: true });
    };
  }

  isAnswered() {
    return (this.model.get("answered")?.[this.page] ?? 0) >= this.sent.number;
  }

  showState() {
    const state = this.state();
    if (state === this.announced) return;
    this.announced = state;
    this.listeners.state();
  }

  /* A question may be overtaken by a change, a change is waited for. */
  sendChanges() {
    const isWaiting = this.sent && Object.keys(this.sent.changes).length > 0;
    if (!isWaiting && Object.keys(this.waiting).length > 0) this.sendNext();
  }

  sendNext() {
    const now = performance.now();
    this.sent = { number: ++this.number, changes: this.waiting, since: this.sent?.since ?? now, at: now, tries: 0 };
    this.waiting = {};
    this.post();
  }

  post() {
    const { number, changes } = this.sent;
    this.sent.at = performance.now();
    this.sent.tries += 1;
    try {
      this.model.send({ page: this.page, number, serial: this.picture().serial ?? 0, changes });
      this.isGone = false;
    } catch {
      this.isGone = true;
    }
  }

  hear() {
    if (this.sent && this.isAnswered()) {
      this.heardAt = performance.now();
      this.sent = null;
      this.sendChanges();
    }
    this.showState(); // what the kernel didn't take goes back to what it was
    this.showTrouble();
  }

  tick() {
    const now = performance.now();
    const isLookedAt = document.visibilityState === "visible" && now - this.touchedAt < ALONE_MS;
    if (!this.sent && isLookedAt && now - this.heardAt > BEAT_MS) this.sendNext();
    else if (this.sent && this.isTimeToSendAgain(now)) this.post();
    this.showTrouble();
  }

  /* While the connection is cut JupyterLab keeps what is sent; once it is back, what was on its way may be lost. */
  isTimeToSendAgain(now) {
    const [isCut, isBack] = [this.isCut(), this.wasCut && !this.isCut()];
    this.wasCut = isCut;
    const { at, tries } = this.sent;
    return !isCut && (isBack || now - at > Math.min(AGAIN_MS * 2 ** (tries - 1), SELDOM_MS));
  }

  isCut() {
    const status = this.kernel()?.connectionStatus;
    return Boolean(status) && status !== "connected";
  }

  /* JupyterLab's own connection to the kernel; other places may not have it. */
  kernel() {
    return this.model.widget_manager?.kernel;
  }

  showTrouble() {
    const isLate = this.sent && performance.now() - this.sent.since > PATIENCE_MS;
    const trouble = this.isGone ? "gone" : isLate ? this.reason() : this.isLarge ? "large" : "";
    if (trouble === this.trouble) return;
    this.trouble = trouble;
    this.listeners.trouble();
  }

  /** @returns {Trouble} */
  reason() {
    if (this.isCut()) return "cut";
    return this.kernel()?.status === "busy" ? "busy" : "silent";
  }
}

/** Change the state, here at once and then in the kernel; with `force` also in the box that has the focus.
 * @param {View} view @param {State} changes */
export function setState(view, changes, { force = false } = {}) {
  view.force = force;
  view.changedAt = performance.now();
  if (view.link.change(changes)) view.memory.keep(changes);
  view.force = false;
}

/* The next state, with the parts of the one before wherever they are the same. */
function kept(before, next) {
  for (const [key, value] of Object.entries(next)) if (isSame(value, before[key])) next[key] = before[key];
  const isAll = (one, other) => Object.keys(one).every((key) => Object.hasOwn(other, key) && one[key] === other[key]);
  return isAll(before, next) && isAll(next, before) ? before : next;
}

/** Whether two values of a state are the same: both plain data.
 * @param {any} one @param {any} other @returns {boolean} */
export function isSame(one, other) {
  if (Object.is(one, other)) return true;
  if (!Array.isArray(one) || !Array.isArray(other) || one.length !== other.length) return false;
  return one.every((part, i) => isSame(part, other[i]));
}

/* Half of a character's pair can't be sent. */
function wellFormed(value) {
  if (typeof value === "string") return value.toWellFormed();
  if (Array.isArray(value)) return value.map(wellFormed);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, wellFormed(one)]));
}
