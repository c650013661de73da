"""The live view: a row of linked heatmaps and the controls above them, in one widget."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache

import anywidget
import numpy as np
import traitlets

from masklab import panels
from masklab.panels import Edit, Panel, Picture, Sentence, one_line, plain
from masklab.view import join, link
from masklab.view.palette import PALETTE

OURS = ("picture", "state", "answered", "controls", "label", "palette")  # a page reads them and syncs none
WORD_LENGTH = 200  # a word is shown in full up to here; the header has panels.LABEL_LENGTH


class MatrixView(anywidget.AnyWidget):
    """Show pictures live: the page draws and listens, the kernel computes.

    ``picture`` is everything shown at one moment, in ONE trait, so that panels never
    disagree (see `serialize`). ``state`` holds the controls' values: observe it to answer.
    A page changes it by messages (see `link`), and every page shows what came of it.
    ``controls`` declares them: dicts with ``type`` ("sentences",
    "choice", "slider", "number", "toggle", "button"), ``name`` (the key in ``state``),
    ``label``, and as needed ``help``, ``when`` (shown while that key of ``state`` is true, or "key=value"),
    ``options`` [[value, label], …], ``min``, ``max``, ``step``, ``sets`` {key: value}, ``each`` (what each option
    sets where another's is set), ``more`` (rarely used: behind the page's "More" button).
    ``label`` is the accessible name of the whole.
    """

    _esm = join.script()  # a string, not a file: nothing is watched and loaded again
    _css = join.style()

    picture = traitlets.Dict().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)
    answered = traitlets.Dict().tag(sync=True)  # the number of each page's last message
    controls = traitlets.List(traitlets.Dict()).tag(sync=True)
    label = traitlets.Unicode("masklab").tag(sync=True)
    palette = traitlets.Dict(PALETTE).tag(sync=True)

    _shown: Picture | None = None  # the last picture, for the text twin and the PNG
    _serial = 0

    def __init__(self, **traits):
        self._lock = threading.RLock()  # messages come on a thread of their own
        super().__init__(**traits)
        _stay_awake(self.comm)
        self.on_msg(self._hear)

    def show(self, picture: Picture, *, text: str = "") -> None:
        """Draw a picture; ``text`` is its text twin when the learner asked to see it."""
        self._shown = picture
        self._serial += 1
        self.picture = serialize(picture, serial=self._serial, text=text)

    def set_state(self, sync_data: dict) -> None:
        """Take what a page synced, without what it can only change by a message."""
        super().set_state({name: value for name, value in sync_data.items() if name not in OURS})

    def _hear(self, _widget, content, _buffers) -> None:
        """Merge a page's message and answer it: one update with all that changed, for every page."""
        message = link.read(content)
        if message is None:
            return
        with self._lock:
            is_behind = message.serial != self._serial or not link.is_new(self.answered, message)
            with self.hold_sync():
                changes = message.changes if link.is_new(self.answered, message) else {}
                self.answered = link.answer(self.answered, message)
                if changes:
                    self.state = self._merged(changes)
            if is_behind:
                self.send_state(["answered", "state", "picture"])

    def _merged(self, changes: Mapping) -> dict:
        """The state with what a page changed."""
        return link.merge(self.state, changes)

    def __repr__(self) -> str:
        """The text twin of the last picture: stable, so that stored notebooks compare equal."""
        return panels.picture_text(self._shown) if self._shown is not None else f"{type(self).__name__}: no picture yet"

    def _repr_mimebundle_(self, **kwargs):
        """The live view, and for places without a kernel a PNG and the whole text twin.

        anywidget cuts the text at 110 characters; here it is kept.
        """
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        data = {**data, "text/plain": repr(self)}
        if self._shown is not None:
            from masklab import figures  # only here: matplotlib takes its time to import

            data["image/png"] = figures.png(self._shown)
        return data, metadata


def _stay_awake(comm) -> None:
    """Let messages come while a cell runs, and after a restart.

    JupyterLab sends them to a subshell, apart from the cells. ipykernel 7.4 gives them to the shell that the widget
    last spoke from: that of the cell that made it, busy perhaps for minutes. And after a restart in another page,
    JupyterLab still names the subshell of the kernel before, which answers nothing: then the main shell does.
    """
    if not hasattr(comm, "_reply_subshell_for"):
        return

    def shell_for(_data, subshell_id):
        known = comm.kernel.shell_channel_thread.manager.list_subshell()
        return subshell_id if subshell_id in known else None

    comm._reply_subshell_for = shell_for


def serialize(picture: Picture, *, serial: int, text: str = "") -> dict:
    """A picture as the page gets it: plain data, and the numbers of all panels as binary.

    ``values`` is float32 little-endian, ``blocked`` and ``marks`` are one byte a cell; each
    panel's cells are row by row, from its ``offset``. ipywidgets sends bytes as buffers.
    Words stand beside many panels and go once, in ``lines``: a panel's ``rows`` and
    ``columns``, and a sentence's ``line``, say which one.

    >>> serialize(Picture(panels=[]), serial=1)["values"]
    b''
    """
    sizes = [len(panel.rows) * len(panel.columns) for panel in picture.panels]
    offsets = [sum(sizes[:i]) for i in range(len(sizes))]
    lines: dict[tuple, int] = {}  # each line of words, and its place

    def place(words: Sequence[str], pads: Sequence[bool]) -> int:
        return lines.setdefault((tuple(words), tuple(map(bool, pads))), len(lines))

    described = [
        _panel(panel, offset)
        | {"rows": place(panel.rows, panel.row_pads), "columns": place(panel.columns, panel.column_pads)}
        for panel, offset in zip(picture.panels, offsets, strict=True)
    ]
    sentences = [_sentence(one) | {"line": place(one.tokens, one.pads)} for one in picture.sentences]
    return {
        "serial": serial,
        "values": b"".join(_float_bytes(panel) for panel in picture.panels),
        "blocked": b"".join(_flag_bytes(panel.blocked, n) for panel, n in zip(picture.panels, sizes, strict=True)),
        "marks": b"".join(_flag_bytes(panel.marks, n) for panel, n in zip(picture.panels, sizes, strict=True)),
        "panels": described,
        "sentences": sentences,
        "lines": [_line(words, pads) for words, pads in lines],
        "shown": picture.shown,
        "summary": one_line(picture.summary),
        "code": panels.code_text(picture.code),
        "problem": one_line(picture.problem),
        "text": text,
    }


def _panel(panel: Panel, offset: int) -> dict:
    """All of a panel but its numbers and its words."""
    return {
        "name": panel.name,
        "kind": panel.kind,
        "scale": panel.scale,
        "limits": list(panel.limits),
        "title": panel.title,
        "meaning": panel.meaning,
        "legend": "" if panel.written else panel.legend,
        "axes": list(panel.axes),
        "links": list(panel.links or panel.axes),
        "start": list(panel.start),
        "places": list(panel.places),
        "current": panel.current,
        "sign": panel.sign,
        "say": panel.say,
        "row_notes": [one_line(note) for note in panel.row_notes],
        "notes_title": panel.notes_title,
        "edits": _edits(panel.edits),
        "written": panel.written,
        "small": panel.small,
        "shape": [len(panel.rows), len(panel.columns)],
        "offset": offset,
    }


def _sentence(sentence: Sentence) -> dict:
    """What belongs to one sentence's chips alone."""
    return {
        "note": one_line(sentence.note),
        "below": [_label(one) for one in sentence.below],
        "pressed": list(map(bool, sentence.pressed)),
        "edits": _edits(sentence.edits),
    }


def _edits(edits: Edit | None) -> dict | None:
    """What may be changed, as plain data."""
    return None if edits is None else asdict(edits) | {"cells": plain(edits.cells)}


def _line(words: Sequence[str], pads: Sequence[bool]) -> dict:
    """A line of words: their labels, the words in full where a label is cut, and which are pads."""
    return {"labels": [_label(word) for word in words], "words": [_word(word) for word in words], "pads": list(pads)}


_label = lru_cache(maxsize=4096)(panels.label)  # the same few words come in every panel and at every keystroke


@lru_cache(maxsize=4096)
def _word(token: str) -> str:
    """A token in full, cleaned; only the endless is cut."""
    return panels.clean(token) if len(token) <= WORD_LENGTH else panels.clean(token[: WORD_LENGTH - 1]) + "…"


def _float_bytes(panel: Panel) -> bytes:
    """The panel's values, row by row, as float32 little-endian."""
    return panel.values.detach().float().contiguous().numpy().astype("<f4", copy=False).tobytes()


def _flag_bytes(flags, count: int) -> bytes:
    """One byte a cell; zeros when the panel has none."""
    return bytes(count) if flags is None else flags.detach().contiguous().numpy().astype(np.uint8, copy=False).tobytes()
