"""The lab of lesson 03: which words are hidden, which count in the loss, and what a model makes of the hole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from masklab.corpus import UNK, VOCABULARY, words_of
from masklab.labs import controls as c
from masklab.labs.controls import Cells, Choice, Number, Position, Sentences, Slider, control, settings
from masklab.labs.hiding import (
    EPOCHS,
    MASK_ID,
    SENTINELS,
    SWAPPED,
    WIDTH,
    Hidden,
    hidden,
    schedules,
    token,
)
from masklab.labs.lab import Lab
from masklab.labs.loss_masking import LOSSES, made_up
from masklab.labs.restoring import counting, guessing, hidden_so_far, side_by_side
from masklab.labs.sentences import check_counts
from masklab.losses import reduce
from masklab.models import Encoder
from masklab.panels import Edit, Picture, Sentence, counted
from masklab.text import Batch, batch_of_words
from masklab.tiny import MLM_WORDS, fit_encoder, tiny_encoder

TEXT = "The cat ate fish pie"
EVERY_FATE = ((0, 4, 1), (1, 0, 2), (2, 3, 1))  # by hand all become [MASK]: one click more is another word
EIGHT = (
    "The cat naps on the rug at night", "The curious cat sits on the old chair",
    "The vet walks the cat in the garden",
)  # fmt: skip
GIVEN = {(row, place, word): LOSSES[row][place] for row in range(3) for place, word in enumerate(TEXT.split())}
BY = {"hand": "by hand", "words": "words", "spans": "spans", "T5": "T5"}
RATE = "How many words are chosen. By hand, only static and dynamic masking use it."
ANEW: dict[str, Any] = {"clicks": []}  # another choice, and what was clicked meant something else


@dataclass(frozen=True, kw_only=True)
class State(c.State):
    """What can be changed in this lab: the sentences, what is hidden in them and how, and which losses are shown."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "Mask, swap, keep": {"sentences": (TEXT,) * 3, "strategy": "hand", "clicks": EVERY_FATE},
        "8 words, 15 %": {
            "sentences": EIGHT, "strategy": "words", "rate": 15.0, "losses": "model", "seed": 301, **ANEW
        },
    }  # fmt: skip

    sentences: tuple[str, ...] = control((TEXT,) * 3, Sentences(label="Sentences"))
    shown: int = control(0, Position())
    strategy: str = control("hand", Choice(label="Choose", options=BY, sets=ANEW))
    rate: float = control(15.0, Slider(label="Rate in %", low=0, high=100, step=5, sets=ANEW, help=RATE))
    seed: int = control(0, Number(label="Seed", low=0, high=9999, sets=ANEW, help="Other draws of the same kind."))
    losses: str = control(
        "given", Choice(label="Losses", options={"given": "made up", "model": "the model's"}, when="strategy!=T5")
    )
    epochs: float = control(
        float(EPOCHS), Slider(label="Epochs", low=1, high=EPOCHS, step=1, help="How long training has lasted so far.")
    )
    clicks: tuple[tuple[int, int, float], ...] = control((), Cells(how="number", low=0, high=3))


def lab(
    model: Encoder | None = None,
    *,
    panels: Sequence[str] | None = None,
    controls: Sequence[str] | None = None,
    **changes,
) -> Lab:
    """The lab of lesson 03; keywords change the first state, for example ``strategy="words"``.

    ``model`` is an encoder with a logit for each token; by default the lesson's tiny one, trained at first sight.
    Reset, ``panels``, ``controls`` and errors are those of lesson 05's lab.

    >>> print(str(lab(panels=["mask"])).splitlines()[0])
    ▸ The  ●[MASK] ate  fish ●[MASK]   click a word · 2 of 5 chosen
    """
    first, label = settings(State(), changes), "Lab: masked language models"
    return Lab(partial(draw, model=model), state=first, label=label, panels=panels, controls=controls)


@lru_cache(maxsize=1)
def trained() -> Encoder:
    """The lesson's tiny encoder, trained in a few seconds, the first time: at 40 %, where it learns most in each step.

    >>> trained() is trained()
    True
    """
    model = tiny_encoder(0)
    with torch.enable_grad():  # a lab draws without
        fit_encoder(model, seed=0, probability=0.4, progress=True)
    return model


@torch.no_grad()
def draw(state: State, model: Encoder | None = None) -> Picture:
    """The whole picture for a state; a pure function. Raises BadInput when nothing can be drawn.

    >>> picture = draw(State())
    >>> [panel.name for panel in picture.panels]
    ['losses', 'mask', 'counted', 'input_mask', 'guesses', 'schedules']
    >>> picture.summary.partition(". ")[0]
    'Mean over the 5 chosen: 2.524 / 5 = 0.505'
    """
    model, texts = model or trained(), list(map(words_of, state.sentences))
    check_counts(list(map(len, texts)), most=min(WIDTH, model.embed.position.num_embeddings), reader="the model reads")
    shown = min(max(state.shown, 0), len(texts) - 1)
    batch = batch_of_words(texts, to_id=VOCABULARY.id)
    may_choose = batch.is_word & (batch.ids != MASK_ID)
    drawing: dict[str, Any] = {"strategy": state.strategy, "rate": state.rate / 100, "seed": state.seed}
    one = hidden(batch.ids, may_choose, _clicks(state, batch.ids), **drawing)
    if state.strategy == "T5":
        words = batch.is_word[shown]
        panels, told = side_by_side(batch.ids[shown, words], one.chosen[shown, words])
    else:
        logits = model(one.read, batch.is_word[:, None, None, :])  # (B, L, V)
        losses = losses_of(batch, logits if state.losses == "model" else None)
        panels = [*counting(losses, one, which=state.losses), *guessing(logits, batch.ids, one, shown)]
        told = _in_words(losses, one, may_choose, state)
    masks = schedules(tuple(may_choose[shown].tolist()), **drawing)  # (2, EPOCHS, WIDTH)
    often = masks[:, : int(state.epochs), : batch.ids.shape[1]].sum(dim=1)  # (2, L)
    return Picture(
        panels=[*panels, hidden_so_far(often, may_choose[shown], batch, shown)],
        sentences=[_chips(batch, one, row, state.strategy, is_shown=row == shown) for row in range(len(texts))],
        shown=shown,
        summary=" ".join([told, *_beyond(texts[shown])]),
    )


def losses_of(batch: Batch, logits: Tensor | None) -> Tensor:
    """The loss of each position: the model's, or without logits one that is made up, as in lesson 01.

    NaN at a [MASK] that was typed: nobody knows what is right there. Shapes: ``logits`` (B, L, V) → (B, L).

    >>> losses_of(batch_of_words([["The", "cat", "[MASK]"]], to_id=VOCABULARY.id), None)
    tensor([[0.5135, 0.5513,    nan]])
    """
    if logits is not None:
        losses = F.cross_entropy(logits.transpose(1, 2), batch.ids, reduction="none")  # (B, L)
    else:
        losses = torch.tensor([
            [GIVEN.get((row, place, word), made_up(row, place, word)) for place, word in enumerate(tokens)]
            for row, tokens in enumerate(batch.tokens)
        ])  # fmt: skip
    return losses.masked_fill(batch.ids == MASK_ID, torch.nan)


def _clicks(state: State, ids: Tensor) -> Tensor:
    """How often each chip was clicked, (B, L) int64; clicks beyond the sentences are left out."""
    clicks = torch.zeros_like(ids)
    for row, place, count in state.clicks:
        if 0 <= row < ids.shape[0] and 0 <= place < ids.shape[1]:
            clicks[row, place] = int(count)
    return clicks


def _in_words(losses: Tensor, one: Hidden, may_choose: Tensor, state: State) -> str:
    """The mean over the chosen, what looking for [MASK] makes of it, and where nothing is chosen. Shapes: (B, L)."""
    chosen, is_mask, count = one.chosen, one.is_mask, int(one.chosen.sum())
    typed, missed = bool((is_mask & ~chosen).any()), int((chosen & ~is_mask).sum())
    told = ["Nothing is chosen: the mean is 0 / 0, NaN. Click a word to hide it."]
    if count:
        total = losses[chosen].sum().item()
        told = [f"Mean over the {count} chosen: {total:.3f} / {count} = {total / count:.3f}."]
    if missed:
        swapped = int((one.fates == SWAPPED).sum())
        mean = f"{reduce(losses, is_mask, on_empty='nan').item():.3f}".replace("nan", "NaN")
        parts = [f"{some} {how}" for some, how in ((swapped, "swapped"), (missed - swapped, "unchanged")) if some]
        told.append(f"✗ input == [MASK] misses {missed} of {count} ({', '.join(parts)}): its mean is {mean}.")
    elif count and not typed:
        told.append(f"✓ input == [MASK] finds the same {count}.")
    if typed:
        told.append("! A [MASK] that you type has no right answer: it must not count.")
    empty = [row for row in range(len(chosen)) if may_choose[row].any() and not chosen[row].any()]
    if count and empty:
        told.append(_nothing_in(empty, int(may_choose[empty[0]].sum()), state))
    return " ".join(told)


def _nothing_in(rows: Sequence[int], words: int, state: State) -> str:
    """That sentences teach nothing, and how often that happens when words are drawn one by one."""
    chance = (1 - state.rate / 100) ** words
    share = f"{100 * chance:.0f} %" if chance >= 0.005 else "less than 1 %"  # it has just happened: not 0 %
    often = f" (as in {share} of all with {counted(words, 'word')})" if state.strategy == "words" else ""
    numbers = " and ".join(str(row + 1) for row in rows)
    where, teach = (f"sentences {numbers}", "they teach") if len(rows) > 1 else (f"sentence {numbers}", "it teaches")
    return f"Nothing is chosen in {where}{often}: {teach} nothing."


def _beyond(words: Sequence[str]) -> list[str]:
    """That the lesson's model has never read so long a sentence."""
    return [f"No sentence in the lesson's training had more than {MLM_WORDS} words."] if len(words) > MLM_WORDS else []


def _chips(batch: Batch, one: Hidden, row: int, strategy: str, *, is_shown: bool) -> Sentence:
    """A sentence as the model reads it, and below each chip its label; for T5 its words, and their sentinels."""
    ids, is_word, chosen = batch.ids[row], batch.is_word[row], one.chosen[row]
    if strategy == "T5":
        tokens = list(batch.tokens[row])
        runs = (chosen & ~F.pad(chosen, (1, 0))[:-1]).cumsum(dim=0).tolist()  # the run that a place is in, from 1
        below = [token(SENTINELS[run - 1]) if on else "" for run, on in zip(runs, chosen.tolist(), strict=True)]
    else:  # a word that is still there is shown as it was typed
        pairs = zip(batch.tokens[row], one.read[row].tolist(), (one.read[row] == ids).tolist(), strict=True)
        tokens = [typed if same else token(read) for typed, read, same in pairs]
        below = [token(label) if on else "−100" for label, on in zip(ids.tolist(), chosen.tolist(), strict=True)]
    unknown = int((ids == VOCABULARY.id(UNK)).sum())
    note = f"{'click a word · ' * is_shown}{int(chosen.sum())} of {int(is_word.sum())} chosen"
    return Sentence(
        tokens=tokens,
        pads=(~is_word).tolist(),
        below=below,
        pressed=chosen.tolist(),
        note=f"{note}; {counted(unknown, 'unknown word')}: {UNK}" if unknown else note,
        edits=Edit("clicks", how="cycle", high=1 if strategy == "T5" else 3),
    )
