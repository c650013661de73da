"""A small lab of lesson 07: does a batch with its padding on the left give what a prompt gives alone?"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from masklab import masks
from masklab.corpus import BOS, VOCABULARY, words_of
from masklab.labs.causal_masks import trained
from masklab.labs.controls import Position, Sentences, State, Toggle, control, settings
from masklab.labs.lab import Lab
from masklab.labs.next_word import best, guesses_panel
from masklab.labs.reading import max_len, rounding
from masklab.labs.sentences import check_counts, chips
from masklab.models import GPT, positions_of
from masklab.panels import MISSED, RIGHT, Panel, Picture
from masklab.text import batch_of_words

SHOWN = 4  # best guesses of the prompt alone, and as many of the batch
MASKS, POSITIONS = ("no mask", "mask"), ("without ids", "with ids")


@dataclass(frozen=True, kw_only=True)
class Prompts(State):
    """What can be changed: the prompts, and the two things that a batch with left padding needs."""

    sentences: tuple[str, ...] = control(
        ("The hungry cat", "The old dog waits by the door"), Sentences(label="Prompts", most=3)
    )
    shown: int = control(0, Position())
    mask: bool = control(True, Toggle(label="Padding mask", help="Padding is never attended to."))
    positions: bool = control(False, Toggle(label="Position ids", help="Count the words, not the slots."))


def lab(
    model: GPT | None = None, *, panels: Sequence[str] | None = None, controls: Sequence[str] | None = None, **changes
) -> Lab:
    """The lab of left padding; keywords change the first state, for example ``positions=True``.

    ``model`` is by default the GPT of lesson 06, trained under the causal mask when it is first needed: a few seconds.
    ``panels``, ``controls`` and errors are those of the other labs.

    >>> from masklab.tiny import tiny_gpt
    >>> print(str(lab(tiny_gpt(0))).splitlines()[0])
    ▸ ·[PAD]· ·[PAD]· ·[PAD]· ·[PAD]· [BOS] The hungry cat   4 of 8 are words
    """
    first = settings(Prompts(), changes)
    return Lab(partial(picture, model=model), state=first, label="Lab: left padding", panels=panels, controls=controls)


@torch.no_grad()
def picture(state: Prompts, model: GPT | None = None) -> Picture:
    """The whole picture for a state; a pure function. Raises BadInput when nothing can be drawn.

    >>> from masklab.tiny import tiny_gpt
    >>> [panel.name for panel in picture(Prompts(), tiny_gpt(0)).panels]
    ['alone', 'batched', 'difference']
    """
    model, texts = model or trained("causal"), [words_of(text) for text in state.sentences]
    check_counts(list(map(len, texts)), most=max_len(model) - 1, reader="the model reads")
    prompts = [VOCABULARY.decode(VOCABULARY.encode([BOS, *text])) for text in texts]  # as the model reads them
    batch = batch_of_words(prompts, side="left", to_id=VOCABULARY.id)
    ids, is_word = batch.ids, batch.is_word  # (B, L)

    shown = min(max(state.shown, 0), len(texts) - 1)
    alone = model(ids[shown, is_word[shown]][None])[0, -1]  # (V,)
    both = (False, True)
    ways = [batched_logits(model, ids, is_word, mask=m, positions=p)[shown] for m in both for p in both]
    batched = torch.stack(ways).unflatten(0, (2, 2))  # (mask, positions, V)
    differences = (batched - alone).abs().amax(dim=-1)
    same = differences <= rounding(alone)
    now = int(state.mask), int(state.positions)
    bars = partial(
        guesses_panel, ids=best(alone, SHOWN) + best(batched[now], SHOWN),
        meaning=f"The {SHOWN} best guesses after the prompt alone, and those in the batch.",
    )  # fmt: skip
    return Picture(
        panels=[
            bars(alone.softmax(dim=0), name="alone", title="next word, alone"),
            bars(batched[now].softmax(dim=0), name="batched", title="next word, in the batch", sign="=?"),
            _differences(differences, same),
        ],
        sentences=chips(batch, positions_of(is_word) if state.positions else torch.arange(ids.shape[1]).expand_as(ids)),
        shown=shown,
        summary=_told(now, differences[now].item(), bool(same[now]), int((~is_word[shown]).sum())),
    )


def batched_logits(model: GPT, ids: Tensor, is_word: Tensor, *, mask: bool, positions: bool) -> Tensor:
    """The logits after each prompt of a batch, with its padding on the left. Shapes: (B, L), bool (B, L) → (B, V).

    >>> model, ids = GPT(10), torch.tensor([[0, 0, 3, 6], [5, 4, 3, 6]])
    >>> both = batched_logits(model, ids, ids > 0, mask=True, positions=True)
    >>> torch.allclose(both[0], model(ids[:1, 2:])[0, -1], atol=1e-5)
    True
    """
    length = ids.shape[1]
    allowed = masks.causal().tensor(queries=length, keys=length)  # (1, 1, L, L)
    allowed = allowed & is_word[:, None, None, :] if mask else allowed  # (B, 1, L, L)
    return model(ids, allowed, positions=positions_of(is_word) if positions else None)[:, -1]


def _differences(differences: Tensor, same: Tensor) -> Panel:
    """All four ways to run the batch. Shapes: (2, 2), ``same`` bool."""
    return Panel(
        name="difference", kind="loss", values=differences, title="largest logit difference", sign="all four →",
        meaning="How far the batch is from the prompt alone, in the logits after it. ✓ is the same, up to rounding.",
        rows=MASKS, columns=POSITIONS, axes=("mask", "positions"), say="{}",
        marks=torch.where(same, RIGHT, MISSED).to(torch.uint8),
    )  # fmt: skip


def _told(now: tuple[int, int], difference: float, same: bool, pads: int) -> str:
    """What the present way gives, in one line."""
    if not pads:
        return "This prompt is the longest: it has no padding, so nothing can go wrong. Look at a shorter one."
    found = f"{difference:.2f}" if difference >= 0.005 else f"{difference:.0e}".replace("-", "−") if difference else "0"
    verdict = "✓ the batch gives what the prompt gives alone" if same else "✗ the batch gives something else"
    how = f"{'With' if now[0] else 'Without'} the mask, {POSITIONS[now[1]].removesuffix('ids')}position ids"
    return f"{how}: {verdict}. The logits differ by up to {found}."
