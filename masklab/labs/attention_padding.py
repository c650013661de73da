"""The lab of lesson 05: padding in attention, from the sentence to the output."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from masklab import masks
from masklab.attention import Attention, attend
from masklab.labs.lab import BadInput, Lab
from masklab.panels import EXTRA, MISSED, RIGHT, Edit, Panel, Picture, Sentence, number
from masklab.text import PAD, PAD_ID, Batch, make_batch, vectors

DIM = 4  # the width of a word's vector: small enough to read every number
MAX_SENTENCES = 6
MAX_TOKENS = 256
SENTENCES = ("The cat ate", "The cat ate fish pie", "The cat ate fish")
INITIAL = {
    "sentences": list(SENTENCES),
    "shown": 0,
    "side": "right",
    "mask": "columns",
    "pad": 1.0,
    "seed": 1,
    "qkv": False,
    "text": False,
    "predict": False,
    "reveal": False,
    "painted": [],
}
NO_GUESS = {"painted": [], "reveal": False}  # another sentence or side has another mask: a guess starts anew
CHOICES = {"mask": ("none", "columns", "both"), "side": ("right", "left")}
CONTROLS = (
    {"type": "sentences", "name": "sentences", "label": "Sentences", "max": MAX_SENTENCES, "sets": NO_GUESS},
    {"type": "choice", "name": "mask", "label": "Mask",
     "options": [["none", "no mask"], ["columns", "mask columns"], ["both", "mask rows and columns"]]},
    {"type": "choice", "name": "side", "label": "Padding side", "sets": NO_GUESS,
     "options": [["right", "right"], ["left", "left"]]},
    {"type": "slider", "name": "pad", "label": "Embedding of [PAD]", "min": -3, "max": 3, "step": 0.1,
     "help": "Drag it, and watch the words' outputs."},
    {"type": "number", "name": "seed", "label": "Seed", "min": 0, "max": 999, "step": 1},
    {"type": "toggle", "name": "qkv", "label": "Show Q, K and V"},
    {"type": "toggle", "name": "text", "label": "Show as text"},
    {"type": "toggle", "name": "predict", "label": "Predict first", "sets": NO_GUESS,
     "help": "Paint what should be blocked, then reveal."},
    {"type": "toggle", "name": "reveal", "label": "Reveal", "when": "predict"},
)  # fmt: skip


@dataclass(frozen=True)
class Projected:
    """Queries, keys and values of one sentence. Shapes: (1, 1, length, DIM)."""

    q: Tensor
    k: Tensor
    v: Tensor


def lab(**changes) -> Lab:
    """The lab of lesson 05; keywords change the first state, for example ``mask="none"``.

    Reset goes back to that state. Raises TypeError for a keyword that is no part of the
    state, ValueError for a mask or a side that the lab does not have.

    >>> print(str(lab(mask="none")).splitlines()[0])
    ▸ The cat ate ·[PAD]· ·[PAD]·   3 of 5 are words
    """
    _check_settings(changes)
    initial = INITIAL | changes
    reset = {"type": "button", "name": "reset", "label": "Reset", "sets": initial}
    return Lab(draw, initial=initial, controls=[*CONTROLS, reset], label="Lab: padding in attention")


def _check_settings(changes: Mapping) -> None:
    """Refuse what the lab does not have, in a sentence that says what it has."""
    unknown = sorted(set(changes) - set(INITIAL))
    if unknown:
        raise TypeError(f"the lab has no setting {unknown[0]!r}; it has {', '.join(INITIAL)}.")
    for name, choices in CHOICES.items():
        if changes.get(name, choices[0]) not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, and is {changes[name]!r}.")


def draw(state: Mapping) -> Picture:
    """The whole picture for a state; a pure function.

    ``state`` has the keys of INITIAL. Raises BadInput, in one sentence, when nothing can be drawn.

    >>> [panel.name for panel in draw(INITIAL).panels]
    ['ids', 'scores', 'mask', 'masked', 'weights', 'output']
    """
    sentences = [str(s) for s in state["sentences"]][:MAX_SENTENCES]
    batch = make_batch(sentences, side="left" if state["side"] == "left" else "right")
    _check_size(batch)
    shown = min(max(int(state["shown"]), 0), len(sentences) - 1)
    answer = mask_of(batch, kind=state["mask"])[shown]
    painted = _painted(state["painted"], length=batch.ids.shape[1])
    used = ~painted[None] if state["predict"] and not state["reveal"] else answer  # (1, L, L)
    projected = project(batch.ids[shown], pad=float(state["pad"]), seed=int(state["seed"]))
    attention = attend(projected.q, projected.k, projected.v, used[None], on_empty="nan")
    guess = painted if state["predict"] else None
    panels = _panels(batch, shown, projected if state["qkv"] else None, attention, guess, reveal=bool(state["reveal"]))
    return Picture(
        panels=panels,
        sentences=_sentences(batch),
        shown=shown,
        summary=_summary(used[0], answer[0], guess, state["reveal"]),
    )


def mask_of(batch: Batch, *, kind: str) -> Tensor:
    """The attention mask of every sentence: "none", "columns" or "both" (rows and columns).

    Shape: (batch, 1, length, length) bool, True = may attend.

    >>> mask_of(make_batch(["The cat", "The"]), kind="both")[1, 0].int()
    tensor([[1, 0],
            [0, 0]], dtype=torch.int32)
    """
    total = batch.ids.shape[1]
    columns = masks.padding(batch.lengths, total=total, side=batch.side)
    rows = masks.padding_queries(batch.lengths, total=total, side=batch.side)
    mask = {"none": masks.everything(), "columns": columns, "both": rows & columns}[kind]
    return mask.tensor(batch=len(batch.tokens), queries=total, keys=total)


def project(ids: Tensor, *, pad: float, seed: int) -> Projected:
    """Look the words' vectors up and project them to queries, keys and values.

    The vector of [PAD] is ``pad`` times a fixed direction; every other one depends
    on its id and the seed alone. Shapes: ``ids`` (length,) → three of (1, 1, length, DIM).

    >>> project(torch.tensor([1, 2, 0]), pad=1.0, seed=1).q.shape
    torch.Size([1, 1, 3, 4])
    """
    x = vectors(ids, dim=DIM, seed=seed)  # (L, D)
    x = torch.where((ids == PAD_ID)[:, None], pad * x, x)
    generator = torch.Generator().manual_seed(-1 - seed)  # apart from every word's seed
    to_q, to_k, to_v = torch.randn(3, DIM, DIM, generator=generator) / DIM**0.5
    return Projected(*(x[None, None] @ weight for weight in (to_q, to_k, to_v)))


def _check_size(batch: Batch) -> None:
    """Say in one sentence why a batch can't be drawn."""
    if not batch.tokens or batch.ids.shape[1] == 0:
        raise BadInput("There is no word yet: type at least one to see the picture again.")
    longest = int(batch.lengths.argmax())
    if batch.lengths[longest] > MAX_TOKENS:
        raise BadInput(
            f"Sentence {longest + 1} has {int(batch.lengths[longest]):,} words and the lab draws up to {MAX_TOKENS}: "
            "your text is kept, shorten it to see it."
        )


def _painted(pairs: Sequence, *, length: int) -> Tensor:
    """The cells that a person painted as blocked. Shape: (length, length) bool, True = painted."""
    painted = torch.zeros(length, length, dtype=torch.bool)
    for query, key in pairs:
        if 0 <= query < length and 0 <= key < length:
            painted[query, key] = True
    return painted


def _sentences(batch: Batch) -> list[Sentence]:
    """The sentences as chips, each with a note on how much of it is words."""
    total = batch.ids.shape[1]
    rows = zip(batch.tokens, batch.is_word.tolist(), batch.lengths.tolist(), strict=True)
    return [
        Sentence(tokens=tokens, pads=[not word for word in words], note=_note(tokens, words, length, total))
        for tokens, words, length in rows
    ]


def _note(tokens: Sequence[str], words: Sequence[bool], length: int, total: int) -> str:
    """What to say beside a sentence's chips."""
    if length == 0:
        return "no word yet: all padding"
    typed = any(word and token == PAD for token, word in zip(tokens, words, strict=True))
    return f"{length} of {total} are words" + ("; a [PAD] that you type is a word, too" if typed else "")


def _panels(
    batch, shown: int, projected: Projected | None, attention: Attention, guess: Tensor | None, *, reveal: bool
):
    """All panels in the order of the formula."""
    tokens, pads = batch.tokens[shown], (~batch.is_word[shown]).tolist()
    words = {"rows": tokens, "row_pads": pads}
    square = words | {"columns": tokens, "column_pads": pads}
    wide = words | {"columns": [str(i) for i in range(DIM)], "say": "{}"}
    scores, bias, masked, weights = (
        x[0, 0] for x in (attention.scores, attention.bias, attention.masked, attention.weights)
    )
    blocked = bias < 0
    painting = guess is not None and not reveal
    top = max(scores.abs().max().item(), 1e-6)  # one colour scale for the scores before and after the mask
    panels = [
        Panel(
            name="ids", kind="ids", values=batch.ids, axes=("sentence", "position"), title="ids", say="id {}",
            links=("sentence", "key"),
            meaning="One number a word; 0 is padding.",
            rows=[str(i + 1) for i in range(len(batch.tokens))], columns=[str(i + 1) for i in range(len(tokens))],
        ),
        *_projections(projected, wide),
        Panel(
            name="scores", kind="score", values=scores, title="scores QKᵀ/√d", sign="→", say="score {}", limit=top,
            meaning="How well each query (row) fits each key (column), before any mask.", **square,
        ),
        Panel(
            name="mask", kind="mask", values=bias, blocked=blocked, title="your mask" if painting else "mask", sign="+",
            meaning="0 where a query may look, −∞ where it may not.",
            edits=Edit("painted", cells=guess.nonzero().tolist()) if painting else None,
            marks=_marks(blocked, guess) if guess is not None and reveal else None, **square,
        ),
        Panel(
            name="masked", kind="score", values=masked, blocked=blocked, title="masked scores", sign="=", say=" → {}",
            meaning="A score plus −∞ is −∞; the others stay.", limit=top, **square,
        ),
        Panel(
            name="weights", kind="weight", values=weights, blocked=blocked, title="weights", sign="softmax →",
            say=", weight {}", meaning="Each row is shared out so that it sums to 1; −∞ gets exactly 0.",
            row_notes=[number(total) for total in weights.sum(dim=-1).tolist()], notes_title="sum", **square,
        ),
        Panel(
            name="output", kind="output", values=attention.output[0, 0], axes=("query", "feature"), title="output",
            sign="× V →", meaning="Each row is the weighted mean of the value vectors.", **wide,
        ),
    ]  # fmt: skip
    return panels


def _projections(projected: Projected | None, wide: Mapping) -> list[Panel]:
    """Q, K and V, when they are to be shown."""
    if projected is None:
        return []
    parts = (
        ("Q", projected.q, "query", "What each word asks for."),
        ("K", projected.k, "key", "What each word offers to be found by."),
        ("V", projected.v, "key", "What each word hands over when it is found."),
    )
    return [
        Panel(name=name, kind="vector", values=x[0, 0], axes=(axis, "feature"), title=name, meaning=meaning, **wide)
        for name, x, axis, meaning in parts
    ]


def _marks(blocked: Tensor, guess: Tensor) -> Tensor:
    """Judge a painted mask cell by cell. Shapes: bool (L, L) twice → uint8 (L, L)."""
    marks = torch.zeros(blocked.shape, dtype=torch.uint8)
    marks[blocked & guess] = RIGHT
    marks[blocked & ~guess] = MISSED
    marks[~blocked & guess] = EXTRA
    return marks


def _summary(used: Tensor, answer: Tensor, guess: Tensor | None, reveal: bool) -> str:
    """One line under the panels: how a guess did, or what to notice."""
    if guess is not None and reveal:
        found, missed, extra = int((guess & ~answer).sum()), int((~guess & ~answer).sum()), int((guess & answer).sum())
        right = f"You blocked {found} of the {found + missed} cells to block (✓ {found}, ✗ {missed} missed)"
        return f"{right}, and {extra} too many (!)."
    if guess is not None:
        return f"Paint the cells that should be blocked: {int(guess.sum())} painted so far. Then reveal."
    empty = int((~used.any(dim=-1)).sum())
    if empty:
        rows = "1 row has" if empty == 1 else f"{empty} rows have"
        return f"{rows} no key left: softmax is 0/0 there, which is NaN."
    return ""
