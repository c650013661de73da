"""The lab of lesson 06: what a word may see while the next one is predicted, and what a model makes of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from masklab import masks
from masklab.corpus import BOS, EOS, UNK, VOCABULARY, until_end, words_of
from masklab.labs.bars import guesses_panel
from masklab.labs.controls import Choice, Position, Sentences, control, settings
from masklab.labs.guess import NO_GUESS, GuessState
from masklab.labs.lab import Lab
from masklab.labs.reading import logits_one_by_one, read
from masklab.labs.sentences import check_counts
from masklab.labs.stages import weighing
from masklab.models import GPT, language_loss, next_logits, write
from masklab.panels import Edit, Panel, Picture, Sentence, largest
from masklab.tiny import fit, tiny_gpt

RULES = {"causal": masks.causal(), "too far": masks.causal(offset=1), "none": masks.everything()}
STEPS = 200
VIEWS = {"training": "training (all at once)", "generation": "generation (one by one)", "cached": "cached"}
TRAINED_WITH = {"causal": "causal mask", "too far": "one too far", "none": "no mask"}
MASKS = {"trained": "as trained", "causal": "causal", "too far": "one too far", "none": "off"}
SEEN = 9  # tokens of the longest text in training
WRITTEN = 6  # tokens that the model writes by itself
SAME = 1e-5  # what is computed in two ways differs by less


@dataclass(frozen=True, kw_only=True)
class State(GuessState):
    """What can be changed in this lab: the text, how it is read, the mask in training, the mask now, the step."""

    sentences: tuple[str, ...] = control(
        ("The cat ate fish pie", "The hungry cat waits by the door"), Sentences(label="Sentences", sets=NO_GUESS)
    )
    view: str = control("training", Choice(label="View", sets=NO_GUESS, options=VIEWS))
    model: str = control("causal", Choice(label="Trained with", sets=NO_GUESS, options=TRAINED_WITH))
    mask: str = control("trained", Choice(label="Mask now", sets=NO_GUESS, options=MASKS))
    step: int = control(3, Position())


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
    check_counts(list(map(len, texts)), most=model.embed.position.num_embeddings - 1, reader="the model reads")
    shown = min(max(state.shown, 0), len(texts) - 1)
    ids = torch.tensor([VOCABULARY.encode([BOS, *texts[shown]])])  # (1, L)
    L = ids.shape[1]
    t = min(max(state.step, 0), L - 1)
    first, end = {"training": (0, L), "generation": (0, t + 1), "cached": (t, t + 1)}[state.view]

    rule = RULES[state.model if state.mask == "trained" else state.mask]
    allowed = rule.tensor(queries=L, keys=L).clone()  # (1, 1, L, L)
    guess = state.guess(allowed[0, 0, first:end, :end].clone())
    if guess:
        allowed[0, 0, first:end, :end] = guess.used

    logits, attention = read(model, ids[:, :end], allowed[..., :end, :end], first=first)  # (end − first, V)
    at_once, whole = (logits, attention) if state.view == "training" else read(model, ids, allowed)  # (L, V)
    one_by_one = logits_one_by_one(model, ids, allowed)  # (L, V)
    words = [*VOCABULARY.decode(ids[0]), EOS]  # as the model reads them, and what comes after the last
    loss = _loss_panel(words, t, at_once, one_by_one)
    square = {"rows": words[first:end], "columns": words[:end], "start": (first, 0), "current": t - first}
    stages = weighing(attention, {"scores": largest(whole.scores), "weights": 1.0}, square, guess)
    other = model(ids[:, : t + 1], allowed[..., : t + 1, : t + 1])[0, -1] if state.view == "training" else at_once[t]
    told = [
        _cheating(words, t, attention.weights[0, 0], allowed[0, 0]) if state.view == "training" else "",
        _written(model, ids[:, : t + 1], rule) if state.view == "generation" and not guess else "",
        _compared(state.view, words[t], t, logits[t - first], other),
        f"Mean loss: {loss.values[:, 0].mean():.2f} all at once, {loss.values[:, 1].mean():.2f} one by one.",
        f"No text in training had more than {SEEN} tokens." if L > SEEN else "",
    ]
    return Picture(
        panels=[*stages, _next_panel(words, t, logits[t - first]), loss],
        sentences=[_chips(text, step=t if i == shown else None, end=end) for i, text in enumerate(texts)],
        shown=shown,
        summary=guess.summary if guess else " ".join(filter(None, told)),
    )


def _chips(text: Sequence[str], *, step: int | None, end: int) -> Sentence:
    """A sentence as chips: one of them is the step, those from ``end`` on are not there yet; [UNK] stands below."""
    tokens = [BOS, *text]
    unknown = [VOCABULARY.id(word) == VOCABULARY.id(UNK) for word in tokens]
    count = sum(unknown)
    hint = "Click a word: what comes next?" if step is not None else ""
    return Sentence(
        tokens=tokens,
        pads=[step is not None and i >= end for i in range(len(tokens))],
        pressed=[i == step for i in range(len(tokens))],
        below=[UNK if one else "" for one in unknown] if count else (),
        edits=Edit("step", how="pick"),
        note=f"{count} unknown word{'s' * (count > 1)}: {UNK}" if count else hint,
    )


def _next_panel(words: Sequence[str], t: int, logits: Tensor) -> Panel:
    """The best guesses for the word after step ``t``. Shape: ``logits`` (V,)."""
    return guesses_panel(
        logits.softmax(dim=0),
        VOCABULARY.id(words[t + 1]),
        name="next",
        title=f"next word after {words[t]}",
        sign="× V … →",
        meaning="What the rest of the model makes of the weighted values: its best guesses. ✓ is the right word.",
    )


def _loss_panel(words: Sequence[str], t: int, at_once: Tensor, one_by_one: Tensor) -> Panel:
    """The loss of each next word, computed in both ways. Shapes: logits (L, V) each."""
    labels = torch.tensor(VOCABULARY.encode(words[1:]))
    losses = [F.cross_entropy(logits, labels, reduction="none") for logits in (at_once, one_by_one)]
    return Panel(
        name="loss", kind="loss", values=torch.stack(losses, dim=1), title="loss of each next word", sign="−log →",
        rows=words[:-1], columns=["all at once", "one by one"], axes=("query", "loss"), say="{}",
        row_notes=words[1:], notes_title="next", limit=math.log(len(VOCABULARY)), current=t,
        meaning=f"−log of the next word's probability. Guessing costs ln V = {math.log(len(VOCABULARY)):.2f}.",
    )  # fmt: skip


def _written(model: GPT, ids: Tensor, rule: masks.Rule) -> str:
    """What the model writes after a text by itself. Shape: ``ids`` (1, t + 1)."""
    room = model.embed.position.num_embeddings - ids.shape[1]
    new = write(lambda text: next_logits(model, text, rule), ids, max_new_tokens=min(WRITTEN, room))
    return f'By itself it goes on: "{" ".join(until_end(new)[0])}".' if room else ""


def _cheating(words: Sequence[str], t: int, weights: Tensor, allowed: Tensor) -> str:
    """How much step ``t`` looks at its own answer, if it may. Shapes: (L, L)."""
    if t + 1 == len(weights) or not allowed[t, t + 1]:
        return ""
    weight = weights[t, t + 1].item()
    verb = "cheats" if weight >= 0.5 else "could cheat"
    return f'Row "{words[t]}" {verb}: the weight on the answer itself, "{words[t + 1]}", is {weight:.2f}.'


def _compared(view: str, word: str, past: int, row: Tensor, other: Tensor) -> str:
    """Whether all at once and one by one give the same logits after a word. Shapes: ``row``, ``other`` (V,)."""
    gap = (row - other).abs().max().item()
    same = gap <= SAME * max(1.0, largest(other))
    numbers = "the same numbers" if same else f"other numbers: the logits differ by up to {gap:.2f}"
    if view == "training":
        return f'Generation, which sees nothing after "{word}", computes {numbers}.'
    cache = f"One new row; keys and values of the {past} tokens before it come from the cache. " if past else ""
    return f'{cache if view == "cached" else ""}All at once, row "{word}" has {numbers}.'
