"""The lab of lesson 02: which state of a recurrent network is read, and which of a tagger's losses count."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from masklab.corpus import TOPICS, UNK, VOCABULARY, words_of
from masklab.corpus.grammar import LONGEST
from masklab.labs.controls import Choice, Sentences, Slider, Toggle, control, settings
from masklab.labs.guess import NO_GUESS, PAINT_LOSSES, GuessState
from masklab.labs.lab import Lab
from masklab.labs.read_outs import READS, ReadOuts, in_words, read_outs
from masklab.labs.sentences import check_counts, chips
from masklab.labs.tagged import SENTENCES as TAGGED
from masklab.labs.tagging import tagging
from masklab.models import Classifier, Tagger
from masklab.panels import MISSED, RIGHT, Panel, Picture, Sentence, counted, number
from masklab.text import PAD, batch_of_words
from masklab.tiny import fit_classifier, fit_tagger, tiny_classifier, tiny_tagger

SEED = 1  # pads cost some topics with any seed, and many with this one
VIEWS = {"classifier": "classifier", "tagger": "tagger"}
FIRST = ("The cat enjoyed the chase", "Two sick kittens sleep", "The thirsty dog drinks")
EXAMPLES = {
    "classifier": {"sentences": FIRST, "more": 6.0},
    "tagger": {"sentences": tuple(TAGGED), "more": 2.0},
}
AT_PADS = {"with the mask": -100, "without it": 0}  # the label of a pad, when the tagger was trained


@dataclass(frozen=True, kw_only=True)
class State(GuessState):
    """What can be changed in this lab: the sentences and their padding, which model reads them, and a guess."""

    sentences: tuple[str, ...] = control(FIRST, Sentences(label="Sentences"))  # a guess is about all of them
    view: str = control(
        "classifier",
        Choice(
            label="View", options=VIEWS, each=EXAMPLES, sets={"predict": False, **NO_GUESS},
            help="A view brings its example; what you typed stays.",
        ),
    )  # fmt: skip
    more: float = control(
        6.0,
        Slider(
            label="More pads", low=0, high=12, step=1, sets=NO_GUESS,
            help="As if one sentence of the batch were longer.",
        ),
    )  # fmt: skip
    side: str = control(
        "right",
        Choice(
            label="Side", options={"left": "left", "right": "right"}, sets=NO_GUESS, help="Where the padding is."
        ),
    )  # fmt: skip
    direction: str = control(
        "one",
        Choice(
            label="Direction", options={"one": "one", "both": "both"}, when="view=classifier",
            help="From left to right only, or from right to left as well.",
        ),
    )  # fmt: skip
    trained: str = control(
        "with the mask",
        Choice(
            label="Trained", options={name: name for name in AT_PADS}, when="view=tagger",
            help="With the mask, only words counted. Without it, [PAD] was a tag to learn, like any other.",
        ),
    )  # fmt: skip
    predict: bool = control(
        False,
        Toggle(
            label="Predict first", sets=NO_GUESS, when="view=tagger",
            help=PAINT_LOSSES,
        ),
    )  # fmt: skip


def lab(
    models: Mapping[str, Classifier] | None = None,
    *,
    taggers: Mapping[str, Tagger] | None = None,
    panels: Sequence[str] | None = None,
    controls: Sequence[str] | None = None,
    **changes,
) -> Lab:
    """The lab of lesson 02; keywords change the first state, for example ``side="left"``.

    ``models`` are trained classifiers by their direction: "one" reads from left to right, "both" is bidirectional.
    ``taggers`` are those of ``view="tagger"``, by how they were trained: "with the mask" or "without it"; their
    classes are `masklab.tiny.TAG_LABELS`. A model that is missing is trained when it is first looked at. Without
    ``sentences`` and ``more`` a view begins with its own example. Reset, ``panels``, ``controls`` and errors are those
    of lesson 05's lab.

    >>> print(str(lab(more=2, panels=["topics"])).splitlines()[0])
    ▸ The cat enjoyed the chase ·[PAD]· ·[PAD]·   5 of 7 are words
    """
    first, label = settings(State(), changes), "Lab: recurrent networks"
    draws = partial(draw, models=models, taggers=taggers)
    return Lab(draws, state=first, label=label, panels=panels, controls=controls)


@lru_cache(maxsize=2)
def trained(name: str) -> Classifier:
    """The lesson's tiny classifier, "one" or "both", trained packed: a second or two, the first time.

    >>> trained("one") is trained("one")
    True
    """
    model = tiny_classifier(SEED, bidirectional=name == "both")
    with torch.enable_grad():  # a lab draws without
        fit_classifier(model, seed=SEED, progress=True)
    return model


@lru_cache(maxsize=2)
def trained_tagger(name: str) -> Tagger:
    """The lesson's tiny tagger, trained "with the mask" or "without it": less than a second, the first time.

    >>> trained_tagger("without it") is trained_tagger("without it")
    True
    """
    model = tiny_tagger(0)
    with torch.enable_grad():
        fit_tagger(model, seed=0, at_pads=AT_PADS[name], progress=True)
    return model


@torch.no_grad()
def draw(
    state: State, models: Mapping[str, Classifier] | None = None, taggers: Mapping[str, Tagger] | None = None
) -> Picture:
    """The whole picture for a state; a missing model is trained once. Raises BadInput when nothing can be drawn.

    >>> [panel.name for panel in draw(State()).panels]
    ['states', 'read', 'topics', 'moved']
    """
    texts = list(map(words_of, state.sentences))
    check_counts(list(map(len, texts)))
    if state.view == "tagger":
        tagger = (taggers or {}).get(state.trained) or trained_tagger(state.trained)
        return tagging(texts, tagger, state=state, side=state.side, more=int(state.more))
    return _classifying(texts, state, (models or {}).get(state.direction) or trained(state.direction))


def _classifying(texts: Sequence[Sequence[str]], state: State, model: Classifier) -> Picture:
    """The classifier's view: its states, and what each read-out makes of them."""
    lengths = list(map(len, texts))
    shown = min(max(state.shown, 0), len(texts) - 1)
    longer = [PAD] * (max(lengths) + int(state.more))  # the sentence that they are padded to; it is not shown
    batch = batch_of_words([*texts, longer], side=state.side, to_id=VOCABULARY.id)
    ids, is_word = batch.ids[shown], batch.is_word[shown]  # (L,)
    one = read_outs(model, model.token(ids), is_word, side=state.side)
    told = in_words(one, model, is_word, side=state.side)
    if lengths[shown] > LONGEST:
        told += f" No sentence in training had more than {LONGEST} words."
    return Picture(
        panels=_panels(model, one, ids, is_word),
        sentences=list(map(_with_unknown, chips(batch)[:-1], batch.ids)),
        shown=shown,
        summary=told,
    )


def _panels(model: Classifier, one: ReadOuts, ids: Tensor, is_word: Tensor) -> list[Panel]:
    """From the states to the topics, and what moved these. Shapes: ``ids``, ``is_word`` (L,)."""
    names = [str(i + 1) for i in range(model.rnn.hidden_size)]
    units = [arrow + name for arrow in "→←" for name in names] if model.rnn.bidirectional else names
    down: dict[str, Any] = {"rows": units, "kind": "vector", "limit": 1.0, "say": "{}"}
    across: dict[str, Any] = {"columns": VOCABULARY.decode(ids), "column_pads": (~is_word).tolist()}
    ways: dict[str, Any] = {"columns": list(READS)}
    new = ", though none was met in training." if model.read == "packed" else "."
    best = one.probabilities == one.probabilities.amax(dim=1, keepdim=True)  # (3, topics)
    marks = best * torch.where(best[-1], RIGHT, MISSED) * is_word.any()
    return [
        Panel(
            name="states", values=one.steps.T, title="hidden states", axes=("unit", "position"), **down, **across,
            meaning="The state after each step. Pads are read like words" + new,
        ),
        Panel(
            name="read", values=one.states.T, title="the state that is read", axes=("unit", "read-out"), sign="read →",
            meaning="After the last step, after the last word, and after the words alone (packed).", **down, **ways,
        ),
        Panel(
            name="topics", kind="weight", values=one.probabilities.T, title="topic", rows=TOPICS, say="{}",
            axes=("topic", "read-out"), sign="linear, softmax →", marks=marks.T.to(torch.uint8), **ways,
            meaning="What the classifier makes of each state: ✓ the topic that packed finds, ✗ another one.",
        ),
        Panel(
            name="moved", kind="weight", values=one.moved, title="what moved the topic", rows=list(READS), say="{}",
            axes=("read-out", "position"), blocked=~is_word & torch.tensor([[False], [False], [True]]), **across,
            row_notes=[number(share) for share in (one.moved * ~is_word).sum(dim=1).tolist()], notes_title="pads",
            meaning="How much each token moves the best topic's logit: its gradient's length, as a share of the row.",
        ),
    ]  # fmt: skip


def _with_unknown(sentence: Sentence, ids: Tensor) -> Sentence:
    """A sentence's chips with [UNK] below the words that the model doesn't know. Shape: ``ids`` (L,)."""
    unknown = (ids == VOCABULARY.id(UNK)).tolist()
    if not any(unknown):
        return sentence
    note = f"{sentence.note}; {counted(sum(unknown), 'unknown word')}: {UNK}"
    return replace(sentence, below=[UNK * one for one in unknown], note=note)
