"""A small lab of lesson 07: does a batch with its padding on the left give what a prompt gives alone?"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from masklab import masks
from masklab.corpus import BOS, UNK, VOCABULARY, words_of
from masklab.labs.causal_masks import trained
from masklab.labs.controls import Position, Sentences, State, Toggle, control, settings
from masklab.labs.lab import Lab
from masklab.labs.reading import SAME
from masklab.labs.sentences import check_counts
from masklab.models import GPT, positions_of
from masklab.panels import MISSED, RIGHT, Panel, Picture, Sentence, largest
from masklab.text import PAD, PAD_ID, word_positions

SHOWN = 4  # best guesses of the prompt alone, and as many of the batch
MASKS, POSITIONS = ("no mask", "mask"), ("without ids", "with ids")


@dataclass(frozen=True, kw_only=True)
class Prompts(State):
    """What can be changed: the prompts, and the two things that a batch with left padding needs."""

    sentences: tuple[str, ...] = control(
        ("The hungry cat", "The old dog waits by the door"), Sentences(label="Prompts", most=3)
    )
    shown: int = control(0, Position())
    mask: bool = control(True, Toggle(label="Attention mask", help="Padding is never attended to."))
    positions: bool = control(False, Toggle(label="Position ids", help="Count the words, and not the slots."))


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
    check_counts(list(map(len, texts)), most=model.embed.position.num_embeddings - 1, reader="the model reads")
    prompts = [VOCABULARY.encode([BOS, *text]) for text in texts]
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    is_word = word_positions(lengths, total=int(lengths.max()), side="left")  # (B, L)
    ids = torch.full(is_word.shape, PAD_ID)
    ids[is_word] = torch.tensor([one for prompt in prompts for one in prompt])

    shown = min(max(state.shown, 0), len(texts) - 1)
    alone = model(torch.tensor([prompts[shown]]))[0, -1]  # (V,)
    batched = {(m, p): batched_logits(model, ids, is_word, mask=bool(m), positions=bool(p))[shown]
               for m in (0, 1) for p in (0, 1)}  # fmt: skip
    differences = torch.tensor([[largest(batched[m, p] - alone) for p in (0, 1)] for m in (0, 1)])
    same = differences <= SAME * max(1.0, largest(alone))
    now = int(state.mask), int(state.positions)
    best = [logits.topk(SHOWN).indices.tolist() for logits in (alone, batched[now])]
    guesses = list(dict.fromkeys(best[0] + best[1]))
    numbers = positions_of(is_word) if state.positions else torch.arange(ids.shape[1]).expand_as(ids)
    return Picture(
        panels=[
            _bars("alone", "alone", alone, guesses),
            _bars("batched", "in the batch", batched[now], guesses, sign="=?"),
            _differences(differences, same),
        ],
        sentences=[_chips(*row) for row in zip(texts, is_word.tolist(), numbers.tolist(), strict=True)],
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


def _bars(name: str, title: str, logits: Tensor, guesses: Sequence[int], *, sign: str = "") -> Panel:
    """The next word's probability, for the best guesses of both. Shape: ``logits`` (V,)."""
    return Panel(
        name=name, kind="probability", values=logits.softmax(dim=-1)[list(guesses), None], title=f"next word, {title}",
        meaning=f"The {SHOWN} best guesses after the prompt alone, and those in the batch.", sign=sign, say="{}",
        rows=VOCABULARY.decode(guesses), columns=["p"], axes=("word", "probability"),
    )  # fmt: skip


def _differences(differences: Tensor, same: Tensor) -> Panel:
    """All four ways to run the batch. Shapes: (2, 2), ``same`` bool."""
    return Panel(
        name="difference", kind="loss", values=differences, title="largest logit difference", sign="all four →",
        meaning="How far the batch is from the prompt alone, in the logits after it. ✓ is the same, up to rounding.",
        rows=MASKS, columns=POSITIONS, axes=("mask", "positions"), say="{}",
        marks=torch.where(same, RIGHT, MISSED).to(torch.uint8),
    )  # fmt: skip


def _chips(text: Sequence[str], is_word: Sequence[bool], numbers: Sequence[int]) -> Sentence:
    """A prompt as chips, the number of each one's position below it."""
    tokens = [BOS, *(word if VOCABULARY.id(word) != VOCABULARY.id(UNK) else UNK for word in text)]
    pads = len(is_word) - len(tokens)
    note = f"{len(tokens)} of {len(is_word)} are words"
    return Sentence(
        tokens=[PAD] * pads + tokens, pads=[not one for one in is_word], below=[str(i) for i in numbers], note=note
    )


def _told(now: tuple[int, int], difference: float, same: bool, pads: int) -> str:
    """What the present way gives, in one line."""
    if not pads:
        return "This prompt is the longest: it has no padding, so nothing can go wrong. Look at a shorter one."
    found = f"{difference:.2f}" if difference >= 0.005 else f"{difference:.0e}".replace("-", "−") if difference else "0"
    verdict = "✓ the batch gives what the prompt gives alone" if same else "✗ the batch gives something else"
    how = f"{'With' if now[0] else 'Without'} the mask, {POSITIONS[now[1]].removesuffix('ids')}position ids"
    return f"{how}: {verdict}. The logits differ by up to {found}."
