"""A panel: one labelled matrix with its meaning, and its text twin.

Everything that a person sees is a panel first. Text (here), matplotlib
(`masklab.figures`) and the live view (`masklab.view`) draw the same panel;
none of them computes anything.
"""

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal

from torch import Tensor

# How a kind of value is drawn: "signed" colours around 0, "unit" from 0 upwards, "plain" none; "bars" are lengths.
KINDS = {
    "ids": "plain", "mask": "plain", "bias": "plain", "score": "signed", "vector": "signed", "output": "signed",
    "gradient": "signed", "weight": "unit", "loss": "unit", "probability": "bars",
}  # fmt: skip
HOWS = ("toggle", "number")
ENDS = {"signed": ("orange", "purple"), "unit": ("dark blue", "yellow")}  # the colours of the lowest and the highest
# What a cell of a judged mask can be, and the sign that shows it: colour is never the only one.
NOT_MARKED, RIGHT, MISSED, EXTRA = range(4)
SIGNS = {NOT_MARKED: "", RIGHT: "✓", MISSED: "✗", EXTRA: "!"}
WHOLE = ("ids", "mask")  # kinds whose values are written without decimals
LARGE, LARGE_ID = 1e5, 1e10  # from here on a number is written with a power of ten
ROUNDED = Context(prec=2, rounding=ROUND_HALF_UP)
TURNING = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
LABEL_LENGTH = 12
# Up to so many rows and columns a panel shows its numbers; with more, colours alone, and the text twin is cut. A cell
# of the live view takes 46 px, and a notebook beside its file list is 850 px wide on a laptop.
WRITTEN = 16


@dataclass(frozen=True)
class Edit:
    """What a learner may change in the cells of a panel, or in the chips of a sentence.

    ``key`` is the key of the lab's state that holds the changes, and ``cells`` are the changes that this
    picture was drawn with. ``how`` is "toggle": [row, column] of each cell whose flag differs from what the
    lab would show by itself; or "number": [row, column, value] of each number that was set, from ``low`` to
    ``high`` (None is no limit), in steps of ``step``. Raises ValueError for another ``how``.

    >>> Edit("painted", cells=[[0, 3]]).how
    'toggle'
    """

    key: str
    how: str = "toggle"
    cells: Sequence[Sequence[float]] = ()
    low: float | None = None
    high: float | None = None
    step: float = 0.01

    def __post_init__(self):
        if self.how not in HOWS:
            raise ValueError(f"how must be one of {', '.join(HOWS)}, got {self.how!r}.")


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One labelled matrix: its values, what they mean, and how to say one of them.

    Shapes: ``values`` (rows, columns), any number type; ``blocked`` bool and ``marks``
    uint8 (see SIGNS) of the same shape; ``rows``, ``columns``, ``row_pads``,
    ``column_pads`` and ``row_notes`` one entry a row or column.
    ``axes`` names the two axes as a person reads them ("query", "key", "position", "feature", "sentence");
    ``links`` says what is highlighted together (as ``axes`` says, by default).
    ``sign`` stands between the panel before and this one. ``say`` is this panel's part of the spoken line;
    ``{}`` is the value. ``edits`` says what a learner may change in the cells.
    ``limit`` fixes the ends of the scale of signed values, losses and bars. Panels shown together need different names.
    Raises ValueError when a part doesn't fit the values, TypeError for values that are no tensor.
    """

    name: str
    kind: str
    values: Tensor
    rows: Sequence[str]
    columns: Sequence[str]
    title: str
    meaning: str
    axes: tuple[str, str] = ("query", "key")
    links: tuple[str, str] | None = None
    sign: str = ""
    say: str = ""
    blocked: Tensor | None = None
    marks: Tensor | None = None
    row_pads: Sequence[bool] = ()
    column_pads: Sequence[bool] = ()
    row_notes: Sequence[str] = ()
    notes_title: str = ""
    edits: Edit | None = None
    limit: float | None = None

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, and is {self.kind!r}.")
        shape = (len(self.rows), len(self.columns))
        for name in ("values", "blocked", "marks"):
            have = getattr(self, name)
            if have is not None and not isinstance(have, Tensor):
                raise TypeError(f"{name} of panel {self.name!r} must be a tensor, and is {type(have).__name__}.")
            if have is not None and tuple(have.shape) != shape:
                raise ValueError(
                    f"{name} of panel {self.name!r} must be {shape}, as its labels say, and is {tuple(have.shape)}."
                )
        for name, want in (("row_pads", shape[0]), ("row_notes", shape[0]), ("column_pads", shape[1])):
            if len(getattr(self, name)) not in (0, want):
                raise ValueError(
                    f"{name} of panel {self.name!r} must have {want} entries, and has {len(getattr(self, name))}."
                )

    @property
    def scale(self) -> str:
        """How the values are drawn: "signed", "unit", "plain" or "bars"."""
        return KINDS[self.kind]

    @property
    def written(self) -> bool:
        """Whether there is room for the numbers."""
        return max(len(self.rows), len(self.columns)) <= WRITTEN

    @property
    def limits(self) -> tuple[float, float]:
        """The values at the two ends of the colour scale.

        Weights go from 0 to 1, always, so that pictures can be compared. Only where no number is
        written the largest weight is the end: of a hundred keys each gets little, and all would be dark.
        Losses go from 0 to the largest one, bars from 0 to 1, or to ``limit``.
        """
        finite = self.values.float()[self.values.isfinite()].abs()
        largest = finite.max().item() if finite.numel() else 0.0
        if self.scale == "signed":
            top = self.limit or largest or 1.0
            return (-top, top)
        if self.kind == "loss":
            return (0.0, self.limit or largest or 1.0)
        if self.scale == "bars":
            return (0.0, self.limit or 1.0)
        return (0.0, 1.0) if self.written or self.scale == "plain" else (0.0, largest or 1.0)

    @property
    def legend(self) -> str:
        """What the ends of the colour scale mean, for a panel without numbers."""
        if self.scale not in ENDS:
            return ""
        low, high = (f"{limit:.2g}".replace("-", "−") for limit in self.limits)
        start, end = ENDS[self.scale]
        return f"{low} is {start}, {high} is {end}."

    @property
    def caption(self) -> str:
        """The meaning, and where no number is written, what the colours mean."""
        return self.meaning if self.written else f"{self.meaning} {self.legend}".strip()


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One padded sentence as a row of chips: its tokens, which are pads, a note in words.

    ``below`` is a small line under each chip (an id, a label), ``pressed`` says which chips are on; both
    have one entry a token, or none. With ``edits`` a chip can be toggled; its cells are [sentence, position].
    """

    tokens: Sequence[str]
    pads: Sequence[bool]
    note: str = ""
    below: Sequence[str] = ()
    pressed: Sequence[bool] = ()
    edits: Edit | None = None


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What a lab shows at one moment: sentences, panels, one line in words, one problem in words."""

    panels: Sequence[Panel]
    sentences: Sequence[Sentence] = ()
    shown: int = 0
    summary: str = ""
    problem: str = ""


def number(value: float, kind: str = "score") -> str:
    """Write one value as every renderer writes it: two decimals, ids whole, −∞ and NaN by name.

    Large numbers get a power of ten, so that they fit into a cell. Halves
    are rounded away from zero, as JavaScript does it.

    >>> number(0.125), number(-0.001), number(float("-inf")), number(float("nan")), number(4, "ids")
    ('0.13', '0.00', '−∞', 'NaN', '4')
    >>> number(-1e9), number(3.4e38)
    ('−1.0e9', '3.4e38')
    """
    size = abs(float(value))
    sign = "−" if value < 0 else ""
    if math.isnan(size):
        return "NaN"
    if math.isinf(size):
        return sign + "∞"
    whole = kind in WHOLE
    if size >= (LARGE_ID if whole else LARGE):
        digits, power = f"{ROUNDED.create_decimal(size):e}".split("e+")
        return f"{sign}{digits}e{power}"
    text = str(Decimal(size).quantize(Decimal("1" if whole else "0.01"), ROUND_HALF_UP))
    return sign + text if float(text) else text


def clean(token: str) -> str:
    """Make characters visible that would disturb the page.

    Control characters, lone surrogates and marks that turn the writing direction become "�".

    >>> clean("a\u202eb")
    'a�b'
    """
    return "".join("�" if c in TURNING or unicodedata.category(c) in ("Cc", "Cs") else c for c in token)


def label(token: str) -> str:
    """Shorten a token for a header, and `clean` it.

    >>> label("understanding-everything")
    'understandi…'
    """
    return clean(token) if len(token) <= LABEL_LENGTH else clean(token[: LABEL_LENGTH - 1]) + "…"


def cell(panel: Panel, row: int, column: int) -> str:
    """Write one cell as text: its value, "▨" after a blocked one, and the sign of its mark.

    >>> import torch
    >>> p = Panel(name="w", kind="weight", values=torch.tensor([[0.0]]), rows=["a"], columns=["b"],
    ...           title="weights", meaning="", blocked=torch.tensor([[True]]))
    >>> cell(p, 0, 0)
    '0.00▨'
    """
    hatch = "▨" if panel.blocked is not None and panel.blocked[row, column] else ""
    mark = SIGNS[int(panel.marks[row, column])] if panel.marks is not None else ""
    return number(panel.values[row, column].item(), panel.kind) + hatch + mark


def text(panel: Panel) -> str:
    """The panel's text twin: a title, a sentence, and a table in plain characters.

    >>> import torch
    >>> print(text(Panel(name="ids", kind="ids", values=torch.tensor([[1, 0]]), rows=["1"],
    ...                  columns=["The", "[PAD]"], title="ids", meaning="One number a word.")))
    ids: One number a word.
       The  [PAD]
    1    1      0
    """
    shown = min(len(panel.columns), WRITTEN)
    notes = [panel.notes_title, *panel.row_notes] if panel.row_notes else []
    columns, rows = _heads(panel.columns, panel.column_pads), _heads(panel.rows, panel.row_pads)
    table = [["", *columns[:shown]]]
    for i, row in enumerate(rows[:WRITTEN]):
        table.append([row, *(cell(panel, i, j) for j in range(shown))])
    if notes:
        table = [line + [note] for line, note in zip(table, notes, strict=False)]
    lines = [f"{panel.sign}  {panel.title}: {panel.meaning}".strip(), *_aligned(table)]
    if len(panel.columns) > shown or len(panel.rows) > WRITTEN:
        lines.append(
            f"(the first {min(len(panel.rows), WRITTEN)} of {len(panel.rows)} rows and "
            f"{shown} of {len(panel.columns)} columns)"
        )
    return "\n".join(lines)


def picture_text(picture: Picture) -> str:
    """The whole picture in words: the sentences, then each panel's text twin.

    >>> print(picture_text(Picture(panels=[], sentences=[Sentence(tokens=["The", "[PAD]"], pads=[False, True])])))
    ▸ The ·[PAD]·
    """
    lines = []
    for i, sentence in enumerate(picture.sentences):
        words = " ".join(_heads(sentence.tokens, sentence.pads))
        lines.append(f"{'▸' if i == picture.shown else ' '} {words}   {sentence.note}".rstrip())
    parts = ["\n".join(lines), *map(text, picture.panels), picture.summary, picture.problem]
    return "\n\n".join(part for part in parts if part)


def _heads(tokens: Sequence[str], pads: Sequence[bool]) -> list[str]:
    """Labels as text, padding between dots: a word that is spelt like padding is none."""
    return [f"·{label(t)}·" if pad else label(t) for t, pad in zip(tokens, pads or [False] * len(tokens), strict=True)]


def _aligned(table: list[list[str]]) -> list[str]:
    """Pad the cells so that columns stand under each other; the first column to the left."""
    widths = [max(map(_width, column)) for column in zip(*table, strict=True)]
    lines = []
    for first, *rest in table:
        cells = [" " * (w - _width(c)) + c for c, w in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([first + " " * (widths[0] - _width(first)), *cells]).rstrip())
    return lines


def _width(string: str) -> int:
    """How many columns a string takes in a fixed-width font."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in string)
