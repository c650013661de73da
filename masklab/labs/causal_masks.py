"""The lab of lesson 06: what a word may see while the next one is predicted, and what a model makes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
from torch import Tensor

from masklab import masks
from masklab.attention import Attention
from masklab.corpus import BOS, EOS, VOCABULARY, words_of
from masklab.labs.controls import Choice, Position, Sentences, Toggle, control, settings
from masklab.labs.guess import NO_GUESS, Guess, GuessState
from masklab.labs.lab import Lab
from masklab.labs.next_word import best, guesses_panel, losses_panel, step_chips
from masklab.labs.reading import VIEWS, Reading, continuation, max_len, read
from masklab.labs.sentences import check_counts
from masklab.labs.stages import weighing
from masklab.models import GPT, language_loss
from masklab.panels import Panel, Picture
from masklab.tiny import MOST_WORDS, fit, tiny_gpt

RULES = {"causal": masks.causal(), "too far": masks.causal(offset=1), "none": masks.everything()}
STEPS = 200
HOW = {"training": "training (all at once)", "generation": "generation (one by one)", "cached": "cached"}
TRAINED_WITH = {"causal": "causal mask", "too far": "one too far", "none": "no mask"}
MASKS = {"trained": "as trained", "causal": "causal", "too far": "one too far", "none": "off"}
HINT = "Click a word: what comes next?"
GUESSES = 5
WRITTEN = 6  # tokens that the model writes by itself


@dataclass(frozen=True, kw_only=True)
class State(GuessState):
    """What can be changed in this lab: the text, how it is read, the mask in training, the mask now, the step."""

    sentences: tuple[str, ...] = control(
        ("The cat ate fish pie", "The hungry cat waits by the door"), Sentences(label="Sentences", sets=NO_GUESS)
    )
    view: str = control("training", Choice(label="View", sets=NO_GUESS, options=HOW))
    model: str = control("causal", Choice(label="Trained with", sets=NO_GUESS, options=TRAINED_WITH))
    mask: str = control("trained", Choice(label="Mask now", sets=NO_GUESS, options=MASKS))
    step: int = control(3, Position())
    predict: bool = control(
        False,
        Toggle(
            label="Predict first", sets={**NO_GUESS, "mask": "causal"},
            help="Paint what a word must not see while the next one is predicted, then reveal.",
        ),
    )  # fmt: skip


def lab(
    models: Mapping[str, GPT] | None = None,
    *,
    panels: Sequence[str] | None = None,
    controls: Sequence[str] | None = None,
    **changes,
) -> Lab:
    """The lab of lesson 06; keywords change the first state, for example ``model="none"``.

    ``models`` are trained GPTs by the names of `RULES`; one that is missing is trained when it is first looked at.
    Reset, ``panels``, ``controls`` and errors are those of lesson 05's lab.

    >>> print(str(lab(panels=["weights"])).splitlines()[0])
    ▸ [BOS] The cat ●ate fish pie   Click a word: what comes next?
    """
    first = settings(State(), changes)
    return Lab(partial(draw, models=models), state=first, label="Lab: causal masks", panels=panels, controls=controls)


@lru_cache(maxsize=len(RULES))
def trained(name: str) -> GPT:
    """The lesson's tiny GPT, trained under one of the `RULES`: a few seconds, the first time.

    >>> trained("causal") is trained("causal")
    True
    """
    model = tiny_gpt(0, heads=1, max_len=32)
    with torch.enable_grad():  # a lab draws without
        fit(model, lambda batch: language_loss(model, batch, RULES[name]), seed=0, steps=STEPS, progress=True)
    return model


@torch.no_grad()
def draw(state: State, models: Mapping[str, GPT] | None = None) -> Picture:
    """The whole picture for a state; a pure function. Raises BadInput when nothing can be drawn.

    >>> [panel.name for panel in draw(State()).panels]
    ['scores', 'mask', 'masked', 'weights', 'next', 'loss']
    """
    model, texts = (models or {}).get(state.model) or trained(state.model), list(map(words_of, state.sentences))
    check_counts(list(map(len, texts)), most=max_len(model) - 1, reader="the model reads")
    shown = min(max(state.shown, 0), len(texts) - 1)
    ids = torch.tensor([VOCABULARY.encode([BOS, *texts[shown]])])  # (1, L)
    t = min(max(state.step, 0), ids.shape[1] - 1)
    allowed, guess = mask_of(state, t=t, length=ids.shape[1])
    one = read(model, ids, allowed, t=t, view=state.view)
    words = [*VOCABULARY.decode(ids[0]), EOS]  # as the model reads them, and what comes after the last
    loss = losses_panel(words, {"all at once": one.at_once, "one by one": one.one_by_one}, current=t)
    told = [
        _cheating(words, t, one.attention, allowed) if state.view == "training" else "",
        _goes_on(model, ids[:, : t + 1], rule_of(state)) if state.view == "generation" and not guess else "",
        _compared(one, words[t], state.view),
        f"Mean loss: {loss.values[:, 0].mean():.2f} all at once, {loss.values[:, 1].mean():.2f} one by one.",
        f"No text in training had more than {MOST_WORDS} words." if len(texts[shown]) > MOST_WORDS else "",
    ]
    return Picture(
        panels=[*_stages(one, words, t, guess), _next(one, words, t), loss],
        sentences=[
            step_chips([BOS, *text], step=t if i == shown else None, end=one.end, hint=HINT)
            for i, text in enumerate(texts)
        ],
        shown=shown,
        summary=guess.told() if guess else " ".join(filter(None, told)),
    )


def rule_of(state: State) -> masks.Rule:
    """The mask that is used now.

    >>> rule_of(State(model="none")) is RULES["none"], rule_of(State(model="none", mask="causal")) is RULES["causal"]
    (True, True)
    """
    return RULES[state.model if state.mask == "trained" else state.mask]


def mask_of(state: State, *, t: int, length: int) -> tuple[Tensor, Guess | None]:
    """The mask of the whole text, (1, 1, L, L) bool, with what was painted in the part that the view shows.

    >>> mask_of(State(predict=True, painted=[[1, 0]]), t=1, length=2)[0][0, 0].int()
    tensor([[1, 1],
            [0, 1]], dtype=torch.int32)
    """
    first, end = VIEWS[state.view](t, length)
    allowed = rule_of(state).tensor(queries=length, keys=length).clone()
    guess = state.guess(allowed[0, 0, first:end, :end].clone())
    if guess:
        allowed[0, 0, first:end, :end] = guess.used
    return allowed, guess


def _stages(one: Reading, words: Sequence[str], t: int, guess: Guess | None) -> list[Panel]:
    """From the scores to the weights, of the queries that the view has."""
    first, end = one.first, one.end
    labels = {"rows": words[first:end], "columns": words[:end], "start": (first, 0), "current": t - first}
    return weighing(one.attention, {"scores": one.top, "weights": 1.0}, labels, guess)


def _next(one: Reading, words: Sequence[str], t: int) -> Panel:
    """The best guesses for the word after step ``t``, and the right word below them if it is none of them."""
    probabilities, right = one.row.softmax(dim=0), VOCABULARY.id(words[t + 1])
    return guesses_panel(
        probabilities, [*best(probabilities, GUESSES), right], right=right, name="next",
        title=f"next word after {words[t]}", sign="× V … →",
        meaning="What the rest of the model makes of the weighted values: its best guesses. ✓ is the right word.",
    )  # fmt: skip


def _goes_on(model: GPT, ids: Tensor, rule: masks.Rule) -> str:
    """What the model writes after a text by itself. Shape: ``ids`` (1, t + 1)."""
    words = continuation(model, ids, rule, most=WRITTEN)
    return f'By itself it goes on: "{" ".join(words)}".' if words else ""


def _cheating(words: Sequence[str], t: int, attention: Attention, allowed: Tensor) -> str:
    """How much step ``t`` looks at its own answer, if it may."""
    if not allowed[0, 0].triu(diagonal=1).any():
        return ""
    if t + 2 == len(words):
        return f'The text ends with "{words[t]}": there is no answer to look at.'
    weight = attention.weights[0, 0, t, t + 1].item()
    verb = "cheats" if weight >= 0.5 else "could cheat"
    return f'Row "{words[t]}" {verb}: weight {weight:.2f} on its answer, "{words[t + 1]}".'


def _compared(one: Reading, word: str, view: str) -> str:
    """Whether all at once and one by one give the same logits after a word."""
    sign = "✓" if one.same else "✗"
    numbers = "the same numbers" if one.same else f"other logits: up to {one.gap:.2f} apart"
    cache = "One new row: all keys and values but its own come from the cache. " if one.first else ""
    other = "One by one" if view == "training" else "All at once"
    return f'{cache}{sign} {other}, row "{word}" has {numbers}.'
