"""The lab of lesson 04: masks that are weights, from annotators, missing labels, a curriculum, or a prompt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from masklab.labs.chats import CHATS, END, answers, completion, filled
from masklab.labs.controls import Cells, Choice, Sentences, Slider, Toggle, control, settings
from masklab.labs.guess import NO_GUESS, PAINT_LOSSES, GuessState, painting
from masklab.labs.lab import Lab
from masklab.labs.sentences import batch_of, chips
from masklab.labs.tagged import SENTENCES, tagged, unsure
from masklab.labs.two_ways import in_words, panels_of
from masklab.labs.weight_views import View, annotators, curriculum, missing
from masklab.panels import Picture, Sentence
from masklab.text import PAD, Batch

VIEWS = {
    "annotators": "annotators",
    "missing": "missing labels",
    "curriculum": "curriculum",
    "completion": "prompt and completion",
}
PADS = {"pad": PAD, "end": END}
FIRST = tuple(SENTENCES)
VOTES = tuple(f"votes{i}" for i in range(6))  # of each sentence
AGREED = {key: unsure(text.split()) for key, text in zip(VOTES, FIRST, strict=False)}  # nobody is unsure any more
ERRED = AGREED | {"votes0": [*unsure(FIRST[0].split()[:4]), *((4, i) for i in range(7))]}  # ten for "fish", a verb
EXAMPLES = {view: {"sentences": CHATS if view == "completion" else FIRST} for view in VIEWS}
NOT_PREDICTING = {"predict": False, **NO_GUESS}  # with another view, or a mask that is meant to be wrong


def _preset(view: str, **sets) -> dict[str, Any]:
    """A view with its example, and whatever else a button sets."""
    return {"view": view, **EXAMPLES[view], "shown": 0, **NOT_PREDICTING, **sets}


@dataclass(frozen=True, kw_only=True)
class State(GuessState):
    """What can be changed in this lab: where the weights come from, and all that a view takes to make them."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "All agree": _preset("annotators", **AGREED),
        "All wrong": _preset("annotators", **ERRED),
        "No nouns": _preset("missing", label="other", missing=[[0, 1], [0, 4], [1, 1], [2, 0]]),
        "Easy words only": _preset("curriculum", stage=0.0, ramp=0.0, levels=[]),
        "All words": _preset("curriculum", stage=2.0, ramp=0.0, levels=[]),
        "No end": _preset("completion", marker="Bot:", pads="end", wipe=True, roles=[]),
        "No marker": _preset("completion", marker="Answer:", pads="pad", wipe=False, roles=[]),
    }

    presets_by: ClassVar[str] = "view"

    sentences: tuple[str, ...] = control(FIRST, Sentences(label="Sentences", sets=NO_GUESS))
    view: str = control(
        "annotators",
        Choice(
            label="View", options=VIEWS, each=EXAMPLES, sets=NOT_PREDICTING,
            help="A view brings its example; what you typed stays.",
        ),
    )  # fmt: skip
    label: str = control(
        "none",
        Choice(
            label="A missing label is",
            options={"none": "weight 0", "other": "OTHER"},
            when="view=missing",
            help="Click a word to take its label away, or to give it back.",
        ),
    )
    stage: float = control(0.0, Slider(label="Stage", low=0, high=3, step=0.25, when="view=curriculum"))
    ramp: float = control(2.0, Slider(label="Ramp", low=0, high=3, step=0.25, when="view=curriculum"))
    marker: str = control(
        "Bot:",
        Choice(
            label="Marker", options={"Bot:": "Bot:", "Answer:": "Answer:"}, sets=NO_GUESS, when="view=completion"
        ),
    )  # fmt: skip
    pads: str = control("pad", Choice(label="Pads are", options=PADS, when="view=completion"))
    wipe: bool = control(
        False,
        Toggle(
            label="Wipe by the pad's id", sets=NOT_PREDICTING, when="view=completion",
            help="Take the weight from every token whose id is that of the pads.",
        ),
    )  # fmt: skip
    predict: bool = control(
        False,
        Toggle(label="Predict first", sets={**NO_GUESS, "wipe": False}, when="view=completion", help=PAINT_LOSSES),
    )
    votes0: tuple[tuple[int, int], ...] = control((), Cells())  # [word, annotator] whose vote was turned, by sentence
    votes1: tuple[tuple[int, int], ...] = control((), Cells())
    votes2: tuple[tuple[int, int], ...] = control((), Cells())
    votes3: tuple[tuple[int, int], ...] = control((), Cells())
    votes4: tuple[tuple[int, int], ...] = control((), Cells())
    votes5: tuple[tuple[int, int], ...] = control((), Cells())
    missing: tuple[tuple[int, int], ...] = control((), Cells())
    levels: tuple[tuple[int, int, float], ...] = control((), Cells(how="number", low=0, high=9))
    roles: tuple[tuple[int, int], ...] = control((), Cells())


def lab(*, panels: Sequence[str] | None = None, controls: Sequence[str] | None = None, **changes) -> Lab:
    """The lab of lesson 04; keywords change the first state, for example ``view="curriculum"``.

    Without ``sentences`` a view begins with its own example. Reset goes back to the first state. ``panels`` and
    ``controls`` name those of a small lab.
    Raises TypeError for a keyword that is not part of the state, ValueError for a value or a name that the
    lab doesn't have.

    >>> print(str(lab(view="completion")).splitlines()[0])
    ▸ User:  food?  Bot:   ●The   ●cat   ●ate   ●[END]   7 of 7 are words
    """
    first = settings(State(), changes)
    return Lab(draw, state=first, label="Lab: masks that are weights", panels=panels, controls=controls)


def draw(state: State) -> Picture:
    """The whole picture for a state; a pure function. Raises BadInput when nothing can be drawn.

    >>> [panel.name for panel in draw(State()).panels]
    ['votes', 'losses', 'weights', 'weighted', 'numbers', 'pull', 'step']
    """
    batch = batch_of(state.sentences)
    shown = min(max(state.shown, 0), len(batch.tokens) - 1)
    view = _view(batch, state, shown)
    edits = view.edits if view.weighs else None
    flags = painting(view.guess, title="weights") if view.guess else {"title": "weights", "edits": edits}
    shared = panels_of(view.ways, view.logits, view.classes, flags=flags, meaning=view.meaning)
    told = [view.guessed, in_words(view.ways, view.logits), view.told]
    return Picture(
        panels=[*view.panels, *shared],
        sentences=_sentences(batch, view, PADS[state.pads] if state.view == "completion" else PAD),
        shown=shown,
        summary=" ".join(filter(None, told)),
    )


def _view(batch: Batch, state: State, shown: int) -> View:
    """What the chosen view makes of the sentences."""
    if state.view == "completion":
        guess = state.guess(answers(batch, state.marker))
        return completion(
            batch, marker=state.marker, pad=PADS[state.pads], wipe=state.wipe, changed=state.roles, guess=guess
        )
    text = tagged(batch, state.sentences)
    if state.view == "missing":
        return missing(text, changed=state.missing, as_other=state.label == "other")
    if state.view == "curriculum":
        return curriculum(text, stage=state.stage, ramp=state.ramp, changed=state.levels)
    return annotators(text, changed=[getattr(state, key) for key in VOTES], shown=shown, key=VOTES[shown])


def _sentences(batch: Batch, view: View, pad: str) -> list[Sentence]:
    """The chips, each with its label or role below it; where chips can be clicked, those that count are on."""
    counts = [()] * len(batch.tokens) if view.counts is None else view.counts.tolist()
    parts = zip(chips(batch), filled(batch, pad), view.below, counts, strict=True)
    return [
        replace(one, tokens=tokens, below=below, pressed=pressed, edits=view.edits)
        for one, tokens, below, pressed in parts
    ]
