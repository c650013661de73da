"""The tagger's view of lesson 02's lab: a tag and a loss for each position, and which of the losses count."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from masklab.corpus import TAGS, UNK, VOCABULARY
from masklab.labs.guess import TOLD_OF_LOSSES, GuessState, painting
from masklab.labs.loss_masking import counting
from masklab.labs.sentences import chips, grid_labels
from masklab.labs.tagged import tags_of
from masklab.losses import reduce
from masklab.models import Tagger
from masklab.panels import MISSED, RIGHT, Panel, Picture, Sentence, counted, number
from masklab.text import Batch, batch_of_words
from masklab.tiny import TAG_LABELS

LIMIT = math.log(len(TAG_LABELS))  # of the colours: what guessing costs
MEANS = ("words", "positions", "ignore_index")


@dataclass(frozen=True, kw_only=True)
class Means:
    """The losses as one number in three ways, those of `MEANS`: what counts ÷ its number, all ÷ all, and torch's mean.

    ``total`` and ``count`` are those of what counts, ``everything`` is the sum over all ``positions``.
    """

    values: tuple[float, float, float]
    total: float
    count: int
    everything: float
    positions: int


def tagging(texts: Sequence[Sequence[str]], model: Tagger, *, state: GuessState, side: str, more: int) -> Picture:
    """The tagger's view of some texts, as a batch with ``more`` pads at the longest of them.

    ``state`` is the lab's: the sentence that is shown, and the guess.

    >>> from masklab.tiny import tiny_tagger
    >>> picture = tagging([["Cats", "fish"]], tiny_tagger(0), state=GuessState(), side="right", more=1)
    >>> [panel.name for panel in picture.panels]
    ['losses', 'mask', 'counted', 'numbers']
    """
    batch = batch_of_words(texts, side=side, to_id=VOCABULARY.id, at_least=max(map(len, texts)) + more)
    labels = labels_of(texts, batch.is_word)
    logits = model(batch.ids, batch.lengths.clamp(min=1), side=side)  # (B, L, tags); without a word a pad is read
    losses = F.cross_entropy(logits.transpose(1, 2), labels, reduction="none")  # (B, L)
    guess = state.guess(batch.is_word)
    mask = guess.used if guess else batch.is_word
    means = means_of(logits, losses, labels, mask)
    found = logits.argmax(dim=-1)
    told = [guess.told(*TOLD_OF_LOSSES)] if guess else []
    is_painted = bool(guess and not guess.reveal)
    told += in_words(means, "unmasked positions" if is_painted else "")
    if not is_painted:
        told += _errors(batch, found, labels)
    if side == "left" and not model.packed and not batch.is_word.all():
        told.append("The pads are read before the words, and no loss mask undoes that.")
    return Picture(
        panels=[
            _losses(losses),
            *counting(losses, mask, painting(guess, title="mask"), limit=LIMIT),
            _numbers(means, "your mask" if is_painted else MEANS[0]),
        ],
        sentences=_sentences(batch, found, labels),
        shown=min(max(state.shown, 0), len(texts) - 1),
        summary=" ".join(told),
    )


def labels_of(texts: Sequence[Sequence[str]], is_word: Tensor) -> Tensor:
    """The labels of words, numbers of `TAG_LABELS`, and 0 at pads. Shapes: n texts, (n, L) bool → (n, L) int64.

    Words of the lab's own sentences have their true tags, others their usual one; an unknown one is called a noun.

    >>> [TAG_LABELS[label] for label in labels_of([["Cats", "sushi"]], torch.tensor([[True, True, False]]))[0]]
    ['NOUN', 'NOUN', '[PAD]']
    """
    ids = [1 + TAGS.index(tag) for words in texts for tag in tags_of(words)]
    return torch.zeros(is_word.shape, dtype=torch.int64).masked_scatter(is_word, torch.tensor(ids))


def means_of(logits: Tensor, losses: Tensor, labels: Tensor, mask: Tensor) -> Means:
    """One number in three ways. Shapes: ``logits`` (B, L, tags), the others (B, L); ``mask`` bool, True = counts.

    >>> logits, labels, mask = torch.zeros(1, 2, 4), torch.tensor([[3, 0]]), torch.tensor([[True, False]])
    >>> [round(one, 2) for one in means_of(logits, torch.tensor([[1.39, 0.01]]), labels, mask).values]
    [1.39, 0.7, 1.39]
    """
    ignored = F.cross_entropy(logits.transpose(1, 2), labels.masked_fill(~mask, -100), ignore_index=-100)
    by_words = reduce(losses, mask, on_empty="nan").item()
    return Means(
        values=(by_words, losses.mean().item(), ignored.item()), total=losses[mask].sum().item(),
        count=int(mask.sum()), everything=losses.sum().item(), positions=losses.numel(),
    )  # fmt: skip


def in_words(means: Means, left: str = "") -> list[str]:
    """The three numbers in words; ``left`` says in place of "words" which ones count, while a mask is painted.

    >>> in_words(Means(values=(1.5, 2.0, 1.5), total=3.0, count=2, everything=6.0, positions=3))
    ['Mean over the 2 words: 3.00 / 2 = 1.50.', '✓ ignore_index=-100 gives the same.', '✗ Over all 3 positions: 2.00.']
    """
    words, positions, _ = means.values
    if not means.count:
        return [f"Nothing counts: 0 / 0 is NaN, with ignore_index=-100, too. Over all positions: {number(positions)}."]
    which = f"the {means.count} {left}" if left else f"the {counted(means.count, 'word')}"
    same = means.count == means.positions
    told = "the same" if same else number(positions)
    return [
        f"Mean over {which}: {number(means.total)} / {means.count} = {number(words)}.",
        "✓ ignore_index=-100 gives the same.",
        f"{'✓' if same else '✗'} Over all {counted(means.positions, 'position')}: {told}.",
    ]


def _errors(batch: Batch, found: Tensor, labels: Tensor) -> list[str]:
    """How many words have a wrong tag, and one of them. Shapes: (B, L) int64 both."""
    wrong = (batch.is_word & (found != labels)).nonzero().tolist()
    words = int(batch.is_word.sum())
    told = f"{words - len(wrong)} of {counted(words, 'word')} tagged right"
    if not wrong:
        return [f"{told}."]
    row, place = wrong[0]
    said, right = TAG_LABELS[found[row, place]], TAG_LABELS[labels[row, place]]
    return [f"{told}; “{batch.tokens[row][place]}” is tagged {said}, not {right}."]


def _losses(losses: Tensor) -> Panel:
    """The loss of every position. Shape: (B, L)."""
    return Panel(
        name="losses", kind="loss", values=losses, title="losses", say="loss {}", limit=LIMIT,
        meaning=f"The cross-entropy at each position; the label at a pad is [PAD]. Guessing costs {LIMIT:.2f}.",
        **grid_labels(losses),
    )  # fmt: skip


def _numbers(means: Means, first: str) -> Panel:
    """One number, computed in three ways, of which the ``first`` has this name: ✓ the same as that, ✗ another one."""
    marks = torch.tensor([[0], [RIGHT if means.count == means.positions else MISSED], [RIGHT]], dtype=torch.uint8)
    return Panel(
        name="numbers", kind="loss", values=torch.tensor(means.values)[:, None], columns=["mean"],
        rows=[first, *MEANS[1:]],
        title="one number", sign="÷", axes=("over", "mean"), say="{}", limit=LIMIT, current=0,
        marks=marks if means.count else None,
        row_notes=[f"{number(means.total)} / {means.count}", f"{number(means.everything)} / {means.positions}", ""],
        meaning="What counts ÷ its number, everything ÷ all positions, and torch's mean with −100 where the mask is 0.",
    )  # fmt: skip


def _sentences(batch: Batch, found: Tensor, labels: Tensor) -> list[Sentence]:
    """The chips with the tag that the model gives below each, ✗ where it is wrong. Shapes: (B, L) int64 both."""
    return [
        replace(one, below=list(map(_below, *rows)), note=one.note + _unknown(ids))
        for one, ids, *rows in zip(
            chips(batch), batch.ids, found.tolist(), labels.tolist(), batch.is_word.tolist(), strict=True
        )
    ]


def _below(found: int, label: int, is_word: bool) -> str:
    """The tag below a chip.

    >>> _below(6, 6, True), _below(6, 11, True), _below(6, 0, False)
    ('NOUN', 'NOUN ✗', 'NOUN')
    """
    return f"{TAG_LABELS[found]} ✗" if is_word and found != label else TAG_LABELS[found]


def _unknown(ids: Tensor) -> str:
    """What happens to words that the corpus doesn't know. Shape: (L,)."""
    unknown = int((ids == VOCABULARY.id(UNK)).sum())
    return f"; {counted(unknown, 'unknown word')}: read as {UNK}, labelled NOUN" if unknown else ""
