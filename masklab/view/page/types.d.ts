/* The shapes of what the page's modules hand to each other, for `tsc --checkJs`; nothing of this reaches a browser. */

type State = Record<string, any>;

/** What ipywidgets gives a view: synced values, and events when they change. */
interface Model {
  get(name: string): any;
  set(name: string, value: any): void;
  on(event: string, listener: () => void): void;
  off(event: string, listener: () => void): void;
  send(message: any): void;
  widget_manager?: any;
}

/** A message that waits for its answer: when it was first and last sent, in ms, and how often. */
interface Sent {
  number: number; since: number; at: number; tries: number;
  changes: State;
}

/** What may be changed in the cells of a panel: see `Edit` in panels.py. */
interface Edits {
  key: string;
  how: "toggle" | "number" | "pick" | "cycle";
  cells: number[][];
  low: number | null; high: number | null;
  step: number;
}

/** A line of words beside or above a panel, or of one sentence. */
interface Line {
  labels: string[]; words: string[];
  pads: boolean[];
}

interface Sentence extends Line {
  note: string;
  below: string[];
  pressed: boolean[];
  edits: Edits | null;
}

/** One panel's data: what `serialize` in matrix.py sends of it, with its own words and numbers. */
interface PanelData {
  name: string; kind: string; title: string; meaning: string; legend: string; sign: string; say: string;
  notes_title: string;
  scale: "signed" | "unit" | "plain" | "bars";
  mode: "table" | "canvas" | "bars" | "empty";
  limits: [number, number]; start: [number, number]; shape: [number, number];
  axes: [string, string]; links: [string, string];
  places: number[];
  current: number | null;
  row_notes: string[]; rows: string[]; columns: string[]; row_words: string[]; column_words: string[];
  edits: Edits | null;
  small: boolean;
  rowCount: number; columnCount: number;
  row_pads: boolean[]; column_pads: boolean[];
  drawnValues: Float32Array; values: Float32Array;
  drawnBlocked: Uint8Array; blocked: Uint8Array; marks: Uint8Array;
  applied: number[][] | null;
  isSet: Set<number>; // the cells whose number a learner has set
}

/** What the style sheet says, for those that paint. */
interface Theme {
  colours: Record<string, string>;
  family: string;
  em: number; ratio: number;
}

/** A palette's 256 colours: to fill with, to write on them with, and as the four bytes of a pixel. */
interface Shades {
  fills: string[]; inks: string[];
  pixels: Uint8ClampedArray;
}

/** How the kernel declares a control: see `MatrixView` in matrix.py. */
interface Spec {
  type: string; name?: string; label?: string; help?: string; when?: string;
  options?: [any, string][];
  min?: number; max?: number; step?: number;
  sets?: State;
  each?: State[];
  more?: boolean;
}

/** A control on the page; `sync` shows a state, `draw` what the kernel answered. */
interface Control {
  node: HTMLElement;
  sync(state: State): void;
  draw?(): void;
}

/** Where the parts of a table stand on its canvas, in CSS pixels. */
interface Plan {
  key: string; shape: string;
  first: number; notes: number; head: number; row: number; inner: number; width: number; height: number;
  widths: number[]; xs: number[];
}

/** The chips of one sentence. */
interface Chips {
  node: HTMLElement;
  buttons: HTMLElement[];
  active: number;
  drawn: string; pressed: string;
  sentence: Sentence;
}

/** What is selected: an index for each link, and the panel where it was selected. */
interface Selected {
  axes: Record<string, number>;
  source: string | null;
}

type Listen = (node: EventTarget, type: string, listener: (event: any) => void) => void;

/** All that one lab on a page knows. */
interface View {
  link: import("./link.js").Link;
  memory: import("./memory.js").Memory;
  notice: { sentence: HTMLElement; offer: HTMLElement };
  changedAt: number; shown: number; speaking: number; unmarking: number; syncing: number; copying: number;
  following: number;
  on: Listen;
  root: HTMLElement; probe: HTMLElement; top: HTMLElement; sentencesNode: HTMLElement; problem: HTMLElement;
  controlsNode: HTMLElement; summary: HTMLElement; row: HTMLElement; status: HTMLElement; hint: HTMLElement;
  more: HTMLElement; moreButton: HTMLElement; spoken: HTMLElement; text: HTMLElement; textBox: HTMLElement;
  code: { node: HTMLElement; lines: HTMLElement };
  picture: any;
  sentences: Sentence[];
  panels: import("./panel.js").Panel[];
  controls: { spec: Spec; control: Control }[];
  chipRows: Chips[];
  markedChips: HTMLElement[];
  theme: Theme;
  patterns: Record<string, CanvasPattern>;
  shades: Record<string, Shades>;
  pointed: Selected | null; chosen: Selected | null;
  asked: string; // what is pointed at, in a sentence
  under: { panel: import("./panel.js").Panel; i: number } | null;
  sweep: { panel: import("./panel.js").Panel; blocked: boolean } | null;
  drag: { panel: import("./panel.js").Panel; i: number; from: number; y: number } | null;
  editor: { panel: import("./panel.js").Panel; i: number; input: HTMLInputElement; problem: string } | null;
  force: boolean;
}
