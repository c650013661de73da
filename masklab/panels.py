"""A panel: one labelled matrix, or a row of bars, with its meaning, and its text twin.

Everything that a person sees is a panel first. Text (here), matplotlib
(`masklab.figures`) and the live view (`masklab.view`) draw the same panel;
none of them computes anything.
"""

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from torch import Tensor

# How a kind of value is drawn: "signed" colours around 0, "unit" from 0 upwards, "plain" none; "bars" are lengths.
KINDS = {
    "ids": "plain", "mask": "plain", "bool": "plain", "bias": "plain", "score": "signed", "vector": "signed",
    "output": "signed", "gradient": "signed", "weight": "unit", "loss": "unit", "probability": "bars",
}  # fmt: skip
HOWS = ("toggle", "number", "pick", "cycle")
ENDS = {"signed": ("orange", "purple"), "unit": ("dark blue", "yellow")}  # the colours of the lowest and the highest
# What a cell of a judged mask can be, and the sign that shows it: colour is never the only one.
NOT_MARKED, RIGHT, MISSED, EXTRA = range(4)
SIGNS = {NOT_MARKED: "", RIGHT: "✓", MISSED: "✗", EXTRA: "!"}
BLOCKED, SET, PRESSED = "▨", "✎", "●"  # a blocked cell; a number that a learner set; a chip that is on, a current row
WHOLE = ("ids", "mask")  # kinds whose values are written without decimals
BOOLS = ("False", "True")  # how values of kind "bool" are written
LARGE, LARGE_ID = 1e5, 1e10  # from here on a number is written with a power of ten
ROUNDED = Context(prec=2, rounding=ROUND_HALF_UP)
TURNING = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
UNSEEN = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of a character, separators of lines and paragraphs
STACKED = ("Mn", "Me")  # marks that stand above or below the character before them
STACK = 4  # more marks than this on one character would cover the neighbours; Hebrew and Vietnamese need up to three
LABEL_LENGTH, LINE_LENGTH = 12, 1000
BAR_LENGTH, MOST_BARS = 16, 64  # the longest bar of the text twin, in characters; more bars nobody would read
# Up to so many rows and columns a panel shows its numbers; with more, colours alone, and the text twin is cut. A cell
# of the live view takes 46 px, and a notebook beside its file list is 850 px wide on a laptop.
WRITTEN = 17  # 16 words and [BOS]


@dataclass(frozen=True)
class Edit:
    """What a learner may change in the cells of a panel, or in the chips of a sentence.

    ``key`` is the key of the lab's state that holds the changes, and ``cells`` are the changes that this
    picture was drawn with. ``how`` is "toggle": [row, column] of each cell whose flag differs from what the
    lab would show by itself; or "number": [row, column, value] of each number that was set, from ``low`` to
    ``high`` (None is no limit), in steps of ``step``; or "pick", of chips alone: one of them is on, and the state
    holds its place in the sentence, from 0; or "cycle", of chips alone: each click goes on to the next of the
    ``high`` + 1 things that a chip may be, and the state holds [row, column, clicks]. Raises ValueError for another
    ``how``, and for a cycle without ``high``.

    >>> Edit("painted", cells=[[0, 3]]).hint
    'Its cells can be toggled.'
    >>> Edit("losses", how="number", low=0, cells=[[0, 3, 0.5]]).hint
    'Its numbers can be set, from 0.'
    >>> Edit("step", how="pick").hint
    'One of them can be picked.'
    >>> Edit("clicks", how="cycle", high=3).hint
    'A click goes on to the next of 4.'
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
        if self.how == "cycle" and not self.high:
            raise ValueError(f"high must be the number of clicks before a cycle begins anew, got {self.high}.")

    @property
    def hint(self) -> str:
        """What can be done, in one sentence."""
        if self.how == "toggle":
            return "Its cells can be toggled."
        if self.how == "pick":
            return "One of them can be picked."
        if self.how == "cycle":
            return f"A click goes on to the next of {(self.high or 0) + 1:g}."
        ends = [f"{word} {end:g}" for word, end in (("from", self.low), ("to", self.high)) if end is not None]
        return " ".join(["Its numbers can be set" + "," * bool(ends), *ends]).replace("-", "−") + "."


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One labelled matrix, or a row of bars: its values, what they mean, and how to say one of them.

    Shapes: ``values`` (rows, columns), any number type; ``blocked`` bool and ``marks``
    uint8 (see SIGNS) of the same shape; ``rows``, ``columns``, ``row_pads``,
    ``column_pads``, ``row_notes`` and ``places`` one entry a row or column, or none.
    ``axes`` names the two axes as a person reads them ("query", "key", "position", "feature", "sentence");
    ``links`` says what is highlighted together (as ``axes`` says, by default).
    ``sign`` stands between the panel before and this one. ``say`` is this panel's part of the spoken line;
    ``{}`` is the value. ``edits`` says what a learner may change in the cells.
    ``limit`` fixes the upper end of the scale, where it isn't always 1. ``start`` says where the first row and column
    are among all that is linked: a query whose past is in a cache has ``(5, 0)``. ``places`` says the same of each
    row, where they don't follow one another: the sentences of one of several batches. ``current`` is the row
    that the picture is about. Panels shown together need different names.
    A ``small`` panel has narrow cells, and to the eye no words beside them: for one beside others of the same words.
    Bars, of kind "probability", are one column with at most MOST_BARS rows; RIGHT marks the right answer.
    Raises ValueError when a part doesn't fit the values, TypeError for values that are not a tensor.
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
    start: tuple[int, int] = (0, 0)
    places: Sequence[int] = ()
    current: int | None = None
    small: bool = False

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}.")
        shape = (len(self.rows), len(self.columns))
        for part in ("values", "blocked", "marks"):
            self._check_tensor(part, getattr(self, part), shape)
        for part in ("row_pads", "row_notes", "places", "column_pads"):
            _check_count(f"{part} of panel {self.name!r}", getattr(self, part), shape[part == "column_pads"])
        if self.scale == "bars" and (shape[1] != 1 or shape[0] > MOST_BARS):
            raise ValueError(
                f"bars must be one column of at most {MOST_BARS} rows, got {shape} in panel {self.name!r}."
            )
        if self.current is not None and not 0 <= self.current < shape[0]:
            raise ValueError(f"current must be one of the {shape[0]} rows of panel {self.name!r}, got {self.current}.")
        if self.limit is not None and not 0 <= self.limit < math.inf:
            raise ValueError(f"limit of panel {self.name!r} must be a positive number, got {self.limit}.")

    def _check_tensor(self, part: str, have, shape: tuple[int, int]) -> None:
        """Refuse a part that is not a tensor, or does not fit the labels."""
        if have is not None and not isinstance(have, Tensor):
            raise TypeError(f"{part} of panel {self.name!r} must be a tensor, got {type(have).__name__}.")
        if have is not None and tuple(have.shape) != shape:
            raise ValueError(
                f"{part} of panel {self.name!r} must be {shape}, as its labels say, got {tuple(have.shape)}."
            )

    @property
    def scale(self) -> str:
        """How the values are drawn: "signed", "unit", "plain" or "bars"."""
        return KINDS[self.kind]

    @property
    def written(self) -> bool:
        """Whether there is room for the numbers; beside a bar there always is."""
        return self.scale == "bars" or max(len(self.rows), len(self.columns)) <= WRITTEN

    @property
    def limits(self) -> tuple[float, float]:
        """The values at the two ends of the scale.

        Signed values have ``limit`` at both ends, or their largest. Losses go from 0 to ``limit`` or their
        largest, bars from 0 to ``limit`` or 1. Weights go from 0 to 1, so that pictures can be compared. Only where
        no number is written they end as losses do: of a hundred keys each gets little, and all would be dark.
        """
        top = self.limit or largest(self.values) or 1.0
        if self.scale == "signed":
            return (-top, top)
        if self.kind == "loss" or (self.kind == "weight" and not self.written):
            return (0.0, top)
        return (0.0, (self.limit or 1.0) if self.scale == "bars" else 1.0)

    @property
    def legend(self) -> str:
        """What the ends of the colour scale mean, for a panel without numbers."""
        if self.scale not in ENDS:
            return ""
        low, high = (f"{limit:.2g}".replace("-", "−") for limit in self.limits)
        start, end = ENDS[self.scale]
        return f"{low} is {start}, {high} is {end}."


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One padded sentence as a row of chips: its tokens, which are pads, a note in words.

    ``below`` is a small line under each chip (an id, a label), ``pressed`` says which chips are on; both
    have one entry a token, or none. With ``edits`` a chip can be toggled, its cells are [sentence, position]; or
    picked, and ``pressed`` says which one is; or clicked through what it may be.
    Raises ValueError when a part doesn't fit the tokens.
    """

    tokens: Sequence[str]
    pads: Sequence[bool]
    note: str = ""
    below: Sequence[str] = ()
    pressed: Sequence[bool] = ()
    edits: Edit | None = None

    def __post_init__(self):
        if len(self.pads) != len(self.tokens):
            raise ValueError(f"pads of a sentence must have {len(self.tokens)} entries, got {len(self.pads)}.")
        for part in ("below", "pressed"):
            _check_count(f"{part} of a sentence", getattr(self, part), len(self.tokens))


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What a lab shows at one moment: sentences, panels, one line in words, one problem in words.

    ``code`` are a few lines of code that say the same; a page shows them under the panels, to be copied.
    """

    panels: Sequence[Panel]
    sentences: Sequence[Sentence] = ()
    shown: int = 0
    summary: str = ""
    code: str = ""
    problem: str = ""


def number(value: float, kind: str = "score") -> str:
    """Write one value as every renderer writes it: two decimals, gradients three, ids whole, −∞ and NaN by name.

    Large numbers get a power of ten, so that they fit into a cell. Halves
    are rounded away from zero, as JavaScript does it.

    >>> number(0.125), number(-0.001), number(float("-inf")), number(float("nan")), number(4, "ids")
    ('0.13', '0.00', '−∞', 'NaN', '4')
    >>> number(-1e9), number(3.4e38), number(True, "bool"), number(1 / 12, "gradient")
    ('−1.0e9', '3.4e38', 'True', '0.083')
    """
    if kind == "bool":
        return BOOLS[bool(value)]
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
    digits = Decimal("1" if whole else "0.001" if kind == "gradient" else "0.01")  # a share of 12 words needs a third
    text = str(Decimal(size).quantize(digits, ROUND_HALF_UP))
    return sign + text if float(text) else text


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """A number and its noun; ``plural`` if it is not the noun with an s.

    >>> counted(1, "word"), counted(2, "word"), counted(2, "query", "queries")
    ('1 word', '2 words', '2 queries')
    """
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def plain(value: Any) -> Any:
    """A value as JSON can carry it: a list for each sequence; NaN and the infinities by name, as JavaScript has them.

    >>> plain(((0, 1), (2, math.nan), (3, -math.inf)))
    [[0, 1], [2, 'NaN'], [3, '-Infinity']]
    """
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def largest(values: Tensor) -> float:
    """The largest finite magnitude; 0 when there is none.

    >>> import torch
    >>> largest(torch.tensor([0.5, -2.0, torch.nan, -torch.inf])), largest(torch.zeros(0))
    (2.0, 0.0)
    """
    return values.float().abs().nan_to_num(nan=0.0, posinf=0.0).max().item() if values.numel() else 0.0


def clean(token: str) -> str:
    """Make characters visible that would disturb the page, and cut marks that would cover it.

    Control characters, lone surrogates and marks that turn the writing direction become "�".
    Of the marks above and below one character, at most STACK are kept.

    >>> clean("a\u202eb"), clean("e" + 40 * "\u0301") == "e" + 4 * "\u0301"
    ('a�b', True)
    """
    if token.isascii() and token.isprintable():
        return token  # nearly always, and this is on the way of every keystroke
    kept, stacked = [], 0
    for c in token:
        kind = unicodedata.category(c)
        stacked = stacked + 1 if kind in STACKED else stacked if kind == "Cf" else 0  # a joiner (Cf) is not a character
        if stacked <= STACK or kind not in STACKED:
            kept.append("�" if c in TURNING or kind in UNSEEN else c)
    return "".join(kept)


def label(token: str) -> str:
    """Shorten a token for a header, and `clean` it.

    >>> label("understanding-everything")
    'understandi…'
    """
    return clean(token) if len(token) <= LABEL_LENGTH else clean(token[: LABEL_LENGTH - 1]) + "…"


def one_line(words: str) -> str:
    """Any text as one clean line: each run of white space is a space, and the end of a long text is cut.

    >>> one_line("Traceback:\\n  \x1b[31mFile"), len(one_line("x" * 10_000))
    ('Traceback: �[31mFile', 1000)
    """
    line = " ".join(words[: LINE_LENGTH + 1].split())
    return clean(line) if len(line) <= LINE_LENGTH else clean(line[: LINE_LENGTH - 1]) + "…"


def was_set(panel: Panel) -> frozenset[tuple[int, int]]:
    """The cells whose numbers a learner has set: (row, column) each.

    >>> import torch
    >>> loss = Panel(name="loss", kind="loss", values=torch.tensor([[0.5]]), rows=["a"], columns=["loss"], title="loss",
    ...              meaning="", edits=Edit("losses", how="number", cells=[[0, 0, 0.5], [7, 7, 1.0]]))
    >>> was_set(loss)
    frozenset({(0, 0)})
    """
    if panel.edits is None or panel.edits.how != "number":
        return frozenset()
    rows, columns = panel.values.shape
    return frozenset((int(r), int(c)) for r, c, _ in panel.edits.cells if 0 <= r < rows and 0 <= c < columns)


def cell(panel: Panel, row: int, column: int) -> str:
    """Write one cell as text: its value, "▨" when it is blocked, "✎" when it was set, and the sign of its mark.

    NaN is never shown as blocked: such a cell was blocked, and what came out is not a number.

    >>> import torch
    >>> p = Panel(name="w", kind="weight", values=torch.tensor([[0.0, torch.nan]]), rows=["a"], columns=["b", "c"],
    ...           title="weights", meaning="", blocked=torch.tensor([[True, True]]))
    >>> cell(p, 0, 0), cell(p, 0, 1)
    ('0.00▨', 'NaN')
    """
    return _cell(panel, row, column, was_set(panel))


def _cell(panel: Panel, row: int, column: int, changed: frozenset[tuple[int, int]]) -> str:
    """One cell as text, for a caller that knows which cells were set."""
    value = panel.values[row, column].item()
    hatch = BLOCKED if panel.blocked is not None and panel.blocked[row, column] and not math.isnan(value) else ""
    pencil = SET if (row, column) in changed else ""
    mark = SIGNS[int(panel.marks[row, column])] if panel.marks is not None else ""
    return number(value, panel.kind) + hatch + pencil + mark


def row_labels(panel: Panel) -> list[str]:
    """The words beside the rows, as they are drawn; a sign stands before the current one.

    >>> import torch
    >>> row_labels(Panel(name="w", kind="weight", values=torch.ones(2, 1), rows="ab", columns="c", title="", meaning="",
    ...                  current=1))
    ['a', '● b']
    """
    return [f"{PRESSED} " * (i == panel.current) + label(row) for i, row in enumerate(panel.rows)]


def text(panel: Panel) -> str:
    """The panel's text twin: a title, a sentence, and a table in plain characters.

    >>> import torch
    >>> print(text(Panel(name="ids", kind="ids", values=torch.tensor([[1, 0]]), rows=["1"],
    ...                  columns=["The", "[PAD]"], title="ids", meaning="One number a word.")))
    ids: One number a word.
       The  [PAD]
    1    1      0
    >>> print(text(Panel(name="next", kind="probability", values=torch.tensor([[0.5], [0.25]]), rows=["fish", "pie"],
    ...                  columns=["share"], title="next word", meaning="The best guesses.",
    ...                  marks=torch.tensor([[RIGHT], [NOT_MARKED]], dtype=torch.uint8))))
    next word: The best guesses.
                            share
    fish  ▮▮▮▮▮▮▮▮          0.50✓
    pie   ▮▮▮▮               0.25
    """
    hint = panel.edits.hint if panel.edits else ""
    title = f"{one_line(panel.title)}: {one_line(panel.meaning)} {hint}"
    lines = [f"{one_line(panel.sign)}  {title}".strip(), *_aligned(_table(panel))]
    rows, columns = len(panel.rows), len(panel.columns)
    if max(rows, columns) > WRITTEN:
        lines.append(
            f"(the first {min(rows, WRITTEN)} of {rows} rows and {min(columns, WRITTEN)} of {columns} columns)"
        )
    return "\n".join(lines)


def _table(panel: Panel) -> list[list[str]]:
    """What the text twin writes, line by line: labels, cells as far as they are shown, bars, notes."""
    shown, changed = range(min(len(panel.columns), WRITTEN)), was_set(panel)
    heads, names = _heads(panel.columns, panel.column_pads), _heads(panel.rows, panel.row_pads)
    names = [PRESSED * (i == panel.current) + name for i, name in enumerate(names)]
    table = [["", *(heads[j] for j in shown)]]
    for i, name in enumerate(names[:WRITTEN]):
        table.append([name, *(_cell(panel, i, j, changed) for j in shown)])
    if panel.scale == "bars":
        bars = ["", *(_bar(panel, i) for i in range(len(names)))]
        table = [[name, bar.ljust(BAR_LENGTH), *cells] for (name, *cells), bar in zip(table, bars, strict=False)]
    if panel.row_notes:
        notes = [panel.notes_title, *panel.row_notes]
        table = [[*line, one_line(note)] for line, note in zip(table, notes, strict=False)]
    return table


def _bar(panel: Panel, row: int) -> str:
    """One bar in characters; none for what is not a number."""
    share = panel.values[row, 0].item() / panel.limits[1]
    return "" if math.isnan(share) else "▮" * round(BAR_LENGTH * min(max(share, 0.0), 1.0))


def chips_text(sentence: Sentence) -> list[str]:
    """A sentence as text: its words and its note, and under them what stands below the chips.

    >>> print("\\n".join(chips_text(Sentence(tokens=["The", "cat"], pads=[False, False], below=["1", "2"],
    ...                                     pressed=[False, True], note="2 words"))))
    The ●cat   2 words
    1   2
    """
    pressed = sentence.pressed or [False] * len(sentence.tokens)
    words = [
        PRESSED * bool(on) + word for word, on in zip(_heads(sentence.tokens, sentence.pads), pressed, strict=True)
    ]
    below = [label(one) for one in sentence.below] or [""] * len(words)
    widths = [max(_width(word), _width(under)) for word, under in zip(words, below, strict=True)]
    lines = [" ".join(map(_padded, line, widths)).rstrip() for line in (words, below)]
    return [f"{lines[0]}   {one_line(sentence.note)}".rstrip(), *filter(None, lines[1:])]


def picture_text(picture: Picture) -> str:
    """The whole picture in words: the sentences, then each panel's text twin.

    >>> print(picture_text(Picture(panels=[], sentences=[Sentence(tokens=["The", "[PAD]"], pads=[False, True])])))
    ▸ The ·[PAD]·
    """
    lines = []
    for i, sentence in enumerate(picture.sentences):
        first, *under = chips_text(sentence)
        lines += [f"{'▸' if i == picture.shown else ' '} {first}".rstrip(), *(f"  {line}" for line in under)]
    words = [one_line(picture.summary), code_text(picture.code), one_line(picture.problem)]
    parts = ["\n".join(lines), *map(text, picture.panels), *words]
    return "\n\n".join(part for part in parts if part)


def code_text(code: str) -> str:
    """Lines of code as every renderer writes them: each cleaned as a word is, their ends and their spaces kept.

    >>> code_text("a = 1\\n  b = '\u202e'")
    "a = 1\\n  b = '�'"
    """
    return "\n".join(map(clean, code.split("\n")))


def _check_count(what: str, have: Sequence, count: int) -> None:
    """Refuse a part that has neither one entry for each of ``count``, nor none."""
    if len(have) not in (0, count):
        raise ValueError(f"{what} must have {count} entries, got {len(have)}.")


def _heads(tokens: Sequence[str], pads: Sequence[bool]) -> list[str]:
    """Labels as text, padding between dots: a word that is spelt like padding is none."""
    return [f"·{label(t)}·" if pad else label(t) for t, pad in zip(tokens, pads or [False] * len(tokens), strict=True)]


def _aligned(table: list[list[str]]) -> list[str]:
    """Pad the cells so that columns stand under each other; the first column to the left."""
    widths = [max(map(_width, column)) for column in zip(*table, strict=True)]
    lines = []
    for first, *rest in table:
        cells = [" " * (w - _width(c)) + c for c, w in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([_padded(first, widths[0]), *cells]).rstrip())
    return lines


def _padded(string: str, width: int) -> str:
    """A string and the spaces after it."""
    return string + " " * (width - _width(string))


def _width(string: str) -> int:
    """How many columns a string takes in a fixed-width font."""
    if string.isascii():
        return len(string)
    kinds = (*STACKED, "Cf")
    return sum(0 if unicodedata.category(c) in kinds else 1 + (unicodedata.east_asian_width(c) in "WF") for c in string)
