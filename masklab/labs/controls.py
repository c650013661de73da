"""What a learner can change in a lab: each control is declared once, as a field of the lab's state.

    @dataclass(frozen=True, kw_only=True)
    class State(controls.State):
        side: str = control("right", Choice(label="Padding side", options={"left": "left", "right": "right"}))

A state is checked when it is made, so a lab's `draw` need not check it again. What a page sends may be
anything; whatever a control can't take becomes a BadInput, one sentence that is shown under the boxes.
"""

import inspect
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Self

import numpy as np

from masklab.panels import plain

TYPES = ("sentences", "choice", "slider", "number", "toggle")  # what the page can show
MOST_CELLS = 20_000  # more than anybody paints; to read so many takes some 10 ms
_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 40


class BadInput(ValueError):
    """What a person typed or a page sent can't be drawn; one sentence says why, and how to fix it."""


def must(name: str, expected: str, got: Any) -> BadInput:
    """The error for a value that can't be taken.

    >>> must("side", "left or right", "up")
    BadInput("side must be left or right, got 'up'.")
    """
    try:
        shown = _repr.repr(got)
    except Exception:  # an integer of 5,000 digits has no repr
        shown = type(got).__name__
    return BadInput(f"{name} must be {expected}, got {shown}.")


@dataclass(frozen=True, kw_only=True)
class Control:
    """What all controls have; those without a ``type`` hold a value that is changed elsewhere on the page.

    ``when`` names the toggle that shows the control, or says which value of a choice does ("view=text"), or hides it
    ("view!=text"); ``sets`` are other keys of the state that it sets, too; ``more`` puts it behind the page's "more".
    """

    label: str = ""
    help: str = ""
    when: str = ""
    sets: Mapping[str, Any] = field(default_factory=dict)
    more: bool = False
    type: ClassVar[str] = ""

    def parse(self, name: str, value: Any) -> Any:
        """The value, of the right type; raises BadInput for any other."""
        raise NotImplementedError

    def spec(self, name: str) -> dict[str, Any]:
        """What the page needs to know, without what is empty."""
        words = {"label": self.label, "help": self.help, "when": self.when, "sets": dict(self.sets), "more": self.more}
        return {"type": self.type, "name": name} | {key: value for key, value in words.items() if value}


@dataclass(frozen=True, kw_only=True)
class Choice(Control):
    """One of a few values; ``options`` are the values and their labels.

    ``each`` is what an option sets, too: its example, in the place of another option's. What was typed stays.
    """

    options: Mapping[Any, str]
    each: Mapping[Any, Mapping[str, Any]] = field(default_factory=dict)
    type: ClassVar[str] = "choice"

    def parse(self, name: str, value: Any) -> Any:
        """One of the options, and of its type: True is not 1."""
        if any(type(value) is type(option) and value == option for option in self.options):
            return value
        *most, last = map(str, self.options)
        raise must(name, f"{', '.join(most)} or {last}" if most else last, value)

    def spec(self, name: str) -> dict[str, Any]:
        """With the options as [value, label], and what each one sets."""
        each = [{key: plain(value) for key, value in self.each.get(one, {}).items()} for one in self.options]
        options = {"options": [list(option) for option in self.options.items()]}
        return super().spec(name) | options | ({"each": each} if self.each else {})


@dataclass(frozen=True, kw_only=True)
class Slider(Control):
    """A number from ``low`` to ``high``, in steps."""

    low: float
    high: float
    step: float
    type: ClassVar[str] = "slider"

    def parse(self, name: str, value: Any) -> float:
        """A finite number in the range."""
        if isinstance(value, (int, float)) and not isinstance(value, bool) and self.low <= value <= self.high:
            return float(value)
        raise must(name, f"a number from {self.low:g} to {self.high:g}".replace("-", "−"), value)

    def spec(self, name: str) -> dict[str, Any]:
        """With its ends and its step."""
        return super().spec(name) | {"min": self.low, "max": self.high, "step": self.step}


@dataclass(frozen=True, kw_only=True)
class Number(Control):
    """An integer from ``low`` to ``high``, typed into a box."""

    low: int
    high: int
    type: ClassVar[str] = "number"

    def parse(self, name: str, value: Any) -> int:
        """An integer in the range."""
        if type(value) is int and self.low <= value <= self.high:
            return value
        raise must(name, f"an integer from {self.low} to {self.high}", value)

    def spec(self, name: str) -> dict[str, Any]:
        """With its ends."""
        return super().spec(name) | {"min": self.low, "max": self.high, "step": 1}


@dataclass(frozen=True, kw_only=True)
class Toggle(Control):
    """On or off."""

    type: ClassVar[str] = "toggle"

    def parse(self, name: str, value: Any) -> bool:
        """True or False."""
        if isinstance(value, bool):
            return value
        raise must(name, "True or False", value)


@dataclass(frozen=True, kw_only=True)
class Sentences(Control):
    """Boxes to type sentences in: the first ``most`` count, each of up to ``longest`` characters."""

    most: int = 6
    longest: int = 100_000
    type: ClassVar[str] = "sentences"

    def parse(self, name: str, value: Any) -> tuple[str, ...]:
        """The sentences, none of them too long."""
        if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) for one in value[: self.most]):
            raise must(name, "a list of texts", value)
        for i, one in enumerate(value[: self.most]):
            if len(one) > self.longest:
                raise BadInput(
                    f"Sentence {i + 1} has {len(one):,} characters and the lab reads up to {self.longest:,}: "
                    "your text is kept, shorten it to see it."
                )
        return tuple(value[: self.most])

    def spec(self, name: str) -> dict[str, Any]:
        """With how many sentences there may be, and how long each."""
        return super().spec(name) | {"max": self.most, "max_length": self.longest}


@dataclass(frozen=True, kw_only=True)
class Position(Control):
    """The place of something in a list, from 0: the sentence that is shown."""

    def parse(self, name: str, value: Any) -> int:
        """Any integer; what shows the list takes the nearest place that there is."""
        if type(value) is int:
            return value
        raise must(name, "an integer", value)


@dataclass(frozen=True, kw_only=True)
class Cells(Control):
    """What was edited in a panel's cells, as its `Edit` has it: [row, column], or [row, column, number].

    The page has NaN and the infinities by name ("NaN", "Infinity", "-Infinity"), since JSON has no such numbers.
    Infinities lie beyond any limit, and NaN may stand where there are not two.
    """

    how: str = "toggle"
    low: float | None = None
    high: float | None = None

    def parse(self, name: str, value: Any) -> tuple[tuple, ...]:
        """The cells, whether or not a panel has them, but not endlessly many."""
        has_numbers = self.how == "number"
        kind = "[row, column, number]" if has_numbers else "[row, column]"
        if not isinstance(value, (list, tuple)):
            raise must(name, f"a list of {kind}", value)
        if len(value) > MOST_CELLS:
            raise BadInput(f"{name} must have at most {MOST_CELLS:,} cells, got {len(value):,}.")
        cells = _table(value, width=3 if has_numbers else 2, kinds="if" if has_numbers else "i")
        if cells is None or (None not in (self.low, self.high) and np.isnan(cells).any()):
            raise must(name, f"a list of {kind}", value)
        if not has_numbers:
            return tuple(map(tuple, cells.tolist()))
        if (cells[:, 2] < _or(self.low, -np.inf)).any() or (cells[:, 2] > _or(self.high, np.inf)).any():
            raise must(f"each number in {name}", self._range(), value)
        return tuple((int(row), int(column), float(number)) for row, column, number in cells.tolist())

    def _range(self) -> str:
        """The limits in words."""
        low, high = (f"{_or(end, 0):g}".replace("-", "−") for end in (self.low, self.high))
        if None in (self.low, self.high):
            return f"at most {high}" if self.low is None else f"at least {low}"
        return f"from {low} to {high}"


def _or(end: float | None, otherwise: float) -> float:
    """A limit, or what stands for none."""
    return otherwise if end is None else end


def _table(value: Sequence, *, width: int, kinds: str) -> np.ndarray | None:
    """Lists of ``width`` numbers as an array, the first two of them integers; None for anything else."""
    if not value:
        return np.zeros((0, width), dtype=int)
    try:
        cells = np.array([_unnamed(cell) for cell in value] if width == 3 else value)
    except (TypeError, ValueError, OverflowError):
        return None
    fits = cells.shape[1:] == (width,) and cells.dtype.kind in kinds and np.isfinite(cells[:, :2]).all()
    return cells if fits and (cells[:, :2] == np.floor(cells[:, :2])).all() else None


def _unnamed(cell: Any) -> Any:
    """A cell with its number, where that came by name."""
    if isinstance(cell, (list, tuple)) and len(cell) == 3 and cell[2] in ("NaN", "Infinity", "-Infinity"):
        return [*cell[:2], float(cell[2])]
    return cell


def control(default: Any, how: Control) -> Any:
    """A field of a state: its first value and its control.

    >>> control(False, Toggle(label="Reveal")).metadata["control"].label
    'Reveal'
    """
    return field(default=default, metadata={"control": how})


@dataclass(frozen=True, kw_only=True)
class State:
    """Everything that a lab's picture depends on. Raises BadInput for a value that its control doesn't take.

    ``presets`` are buttons by their labels: what of the state each one sets. ``presets_by`` names a choice that they
    all set: then each button is shown with its own option only.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    presets_by: ClassVar[str] = ""
    text: bool = control(False, Toggle(label="Show as text", more=True))

    def __post_init__(self):
        for name, how in controls_of(type(self)).items():
            object.__setattr__(self, name, how.parse(name, getattr(self, name)))

    def changed(self, raw: Mapping[str, Any]) -> Self:
        """This state with what a page sent; keys that it doesn't have are left out."""
        return replace(self, **{name: raw[name] for name in controls_of(type(self)) if name in raw})

    def raw(self) -> dict[str, Any]:
        """As plain data, for the page."""
        return {name: plain(getattr(self, name)) for name in controls_of(type(self))}


def settings(state: State, changes: Mapping[str, Any]) -> State:
    """The state with a person's own settings, and with what an option among them sets, where they don't say otherwise.

    Raises TypeError for a setting that the state doesn't have, BadInput for a wrong one.

    >>> settings(State(), {"text": True}).text
    True
    >>> settings(State(), {"colour": "red"})
    Traceback (most recent call last):
    TypeError: the lab has no setting 'colour'; it has text.
    """
    for name in changes:
        known(name, controls_of(type(state)), what="setting", error=TypeError)
    brought: dict[str, Any] = {}
    for name, how in controls_of(type(state)).items():
        for option, sets in how.each.items() if isinstance(how, Choice) and name in changes else ():
            brought |= sets if option == changes[name] else {}
    return state.changed(brought | dict(changes))


def known(name: str, names: Iterable[str], *, what: str, error: type[Exception] = ValueError) -> str:
    """The name, if the lab has it; raises an error that says which ones it has.

    >>> known("mask", ["mask", "output"], what="panel")
    'mask'
    """
    if name not in names:
        raise error(f"the lab has no {what} {name!r}; it has {', '.join(names)}.")
    return name


def controls_of(kind: type[State]) -> dict[str, Control]:
    """The controls of a state by name: the lab's own first, then those that it shares, the rarely used ones last.

    Raises TypeError for a field without a control, and for a control that the page can't show.

    >>> list(controls_of(State))
    ['text']
    """
    found = {}
    own = list(inspect.get_annotations(kind))  # a field that is declared again has the place of its new declaration
    for one in sorted(fields(kind), key=lambda one: own.index(one.name) if one.name in own else len(own)):
        how = one.metadata.get("control")
        if not isinstance(how, Control) or how.type not in ("", *TYPES):
            raise TypeError(
                f"{one.name} of {kind.__name__} must have a control of type {', '.join(TYPES)}, got {how!r}."
            )
        found[one.name] = how
    return dict(sorted(found.items(), key=lambda item: item[1].more))


def specs(state: State) -> list[dict[str, Any]]:
    """What the page needs to know of all controls: Reset first, which goes back to this state, then the presets.

    >>> [(spec["name"], spec["type"]) for spec in specs(State())]
    [('reset', 'button'), ('text', 'toggle')]
    """
    presets = [_button(label, sets, by=state.presets_by) for label, sets in state.presets.items()]
    sent = [_button("Reset", state.raw()), *presets]
    return [*sent, *(how.spec(name) for name, how in controls_of(type(state)).items() if how.type)]


def _button(label: str, sets: Mapping[str, Any], *, by: str = "") -> dict[str, Any]:
    """A button that sets a part of the state; ``by`` is the choice whose option it belongs to."""
    spec = {"type": "button", "name": label.lower(), "label": label, "sets": {key: plain(sets[key]) for key in sets}}
    return spec | ({"when": f"{by}={sets[by]}"} if by else {})
