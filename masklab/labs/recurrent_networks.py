"""The lab of lesson 02: which state of a recurrent network is read, and what it saw on its way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from masklab.corpus import TOPICS, UNK, VOCABULARY, words_of
from masklab.corpus.grammar import LONGEST
from masklab.labs import controls as c
from masklab.labs.controls import Choice, Position, Sentences, Slider, control, settings
from masklab.labs.lab import Lab
from masklab.labs.read_outs import READS, ReadOuts, in_words, read_outs
from masklab.labs.sentences import check_counts, chips
from masklab.models import Classifier
from masklab.panels import MISSED, RIGHT, Panel, Picture, Sentence, counted, number
from masklab.text import PAD, batch_of_words
from masklab.tiny import fit_classifier, tiny_classifier

SEED = 1  # pads cost some topics with any seed, and many with this one


@dataclass(frozen=True, kw_only=True)
class State(c.State):
    """What can be changed in this lab: the sentences, their padding, and the directions of reading."""

    sentences: tuple[str, ...] = control(
        ("The cat enjoyed the chase", "Two sick kittens sleep", "The thirsty dog drinks"),
        Sentences(label="Sentences"),
    )
    shown: int = control(0, Position())
    more: float = control(
        6.0, Slider(label="More pads", low=0, high=12, step=1, help="As if one sentence of the batch were longer.")
    )
    side: str = control("right", Choice(label="Padding side", options={"left": "left", "right": "right"}))
    direction: str = control("one", Choice(label="Direction", options={"one": "→ one", "both": "⇄ both"}))


def lab(
    models: Mapping[str, Classifier] | None = None,
    *,
    panels: Sequence[str] | None = None,
    controls: Sequence[str] | None = None,
    **changes,
) -> Lab:
    """The lab of lesson 02; keywords change the first state, for example ``side="left"``.

    ``models`` are trained classifiers by their direction: "one" reads from left to right, "both" is bidirectional. One
    that is missing is trained when it is first looked at. Reset, ``panels``, ``controls`` and errors are those of
    lesson 05's lab.

    >>> print(str(lab(more=2, panels=["topics"])).splitlines()[0])
    ▸ The cat enjoyed the chase ·[PAD]· ·[PAD]·   5 of 7 are words
    """
    first, label = settings(State(), changes), "Lab: recurrent networks"
    return Lab(partial(draw, models=models), state=first, label=label, panels=panels, controls=controls)


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


@torch.no_grad()
def draw(state: State, models: Mapping[str, Classifier] | None = None) -> Picture:
    """The whole picture for a state; a pure function. Raises BadInput when nothing can be drawn.

    >>> [panel.name for panel in draw(State()).panels]
    ['states', 'read', 'topics', 'moved']
    """
    texts = list(map(words_of, state.sentences))
    lengths = list(map(len, texts))
    check_counts(lengths)
    model = (models or {}).get(state.direction) or trained(state.direction)
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
