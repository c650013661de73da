"""What lesson 03's lab hides: which words, what the model reads in their place, and how often in training."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from masklab.corpus import MASK, VOCABULARY
from masklab.corruption import (
    BERT_SHARES,
    choose_spans,
    choose_t5_spans,
    choose_tokens,
    dynamic,
    replace,
    restore,
    static,
    with_sentinels,
)
from masklab.models.private import seeded
from masklab.tiny import WORD_IDS

NOT_CHOSEN, MASKED, SWAPPED, KEPT = range(4)  # the fate of a word, in the order in which clicks go through them
WIDTH = 16  # words that are drawn for, however few there are: so a word more moves no other draw
EPOCHS, MASKS = 40, 10  # RoBERTa, §4.1: so long was the training, and so many static masks were made
ALWAYS, NEVER = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)  # shares: all become [MASK], all a random word
MASK_ID = VOCABULARY.id(MASK)
HAND = ((1, 4), (0, 2), (3,))  # the source's choice: the places of its three sentences
SENTINELS = range(len(VOCABULARY), len(VOCABULARY) + WIDTH)  # ids of their own, in the order of use


@dataclass(frozen=True, kw_only=True)
class Hidden:
    """What became of a batch. Shapes: all (B, L): ``read`` int64, what the model reads; ``fates`` int64."""

    read: Tensor
    fates: Tensor

    @property
    def chosen(self) -> Tensor:
        """Which words are to be restored: they count in the loss, whatever the model reads there. bool."""
        return self.fates != NOT_CHOSEN

    @property
    def is_mask(self) -> Tensor:
        """What one sees of that in the input: where [MASK] is. bool."""
        return self.read == MASK_ID


def choose(may_choose: Tensor, *, strategy: str, rate: float, generator: torch.Generator) -> Tensor:
    """Which words are chosen, by "words", "spans" or "T5", or by "hand" as the source does. Shape: (B, L) bool, too.

    >>> may_choose = torch.ones(1, 5, dtype=torch.bool)
    >>> for strategy in ("hand", "words", "spans", "T5"):
    ...     print(choose(may_choose, strategy=strategy, rate=0.4, generator=seeded(2)).int().tolist())
    [[0, 1, 0, 0, 1]]
    [[0, 1, 0, 0, 0]]
    [[0, 0, 0, 1, 1]]
    [[1, 1, 0, 0, 0]]
    """
    if strategy == "words":
        return choose_tokens(may_choose, probability=rate, generator=generator)
    if strategy == "spans":
        return choose_spans(may_choose, budget=rate, generator=generator) > 0
    if strategy == "T5":
        return torch.stack([choose_t5_spans(row, density=rate, generator=generator) for row in may_choose])
    chosen = torch.zeros_like(may_choose)
    for row, places in zip(chosen, HAND, strict=False):
        row[list(places)] = True
    return chosen & may_choose


def hidden(ids: Tensor, may_choose: Tensor, clicks: Tensor, *, strategy: str, rate: float, seed: int) -> Hidden:
    """Choose words and replace them 80/10/10, by hand all by [MASK]; each click goes on to the next fate.

    T5 has two fates: it hides a word or not.

    Shapes: all (B, L): ``ids`` and ``clicks`` int64, ``may_choose`` bool.

    >>> ids, clicks = torch.tensor([[5, 6, 7]]), torch.tensor([[0, 0, 3]])
    >>> one = hidden(ids, ids > 0, clicks, strategy="hand", rate=0.15, seed=0)
    >>> one.read, one.fates, one.chosen == one.is_mask  # "ate" counts, and is no [MASK]
    (tensor([[5, 2, 7]]), tensor([[0, 1, 3]]), tensor([[ True,  True, False]]))
    """
    more = (0, WIDTH - ids.shape[1])
    wide, may = F.pad(ids, more), F.pad(may_choose, more)  # (B, WIDTH)
    generator = seeded(seed)
    chosen = choose(may, strategy=strategy, rate=rate, generator=generator)
    options: dict[str, Any] = {"mask_id": MASK_ID, "random_ids": WORD_IDS, "generator": generator}
    new = replace(wide, chosen, shares=ALWAYS if strategy in ("hand", "T5") else BERT_SHARES, **options).ids
    others = replace(wide, may, shares=NEVER, **options).ids  # a random word for each place,
    others = others.where(others != wide, WORD_IDS[0] + (others + 1 - WORD_IDS[0]) % len(WORD_IDS))  # and another one
    fates = torch.where(new == MASK_ID, MASKED, torch.where(new != wide, SWAPPED, KEPT)) * chosen
    fates = (fates[:, : ids.shape[1]] + clicks) % (2 if strategy == "T5" else 4) * may_choose
    read = torch.where(fates == MASKED, MASK_ID, torch.where(fates == SWAPPED, others[:, : ids.shape[1]], ids))
    return Hidden(read=read, fates=fates)


@lru_cache(maxsize=64)  # a sentence has the same masks while one types within a word, or moves the epochs
def schedules(words: tuple[bool, ...], *, strategy: str, rate: float, seed: int) -> Tensor:
    """Which words of a sentence static and dynamic masking hide, epoch by epoch: (2, EPOCHS, WIDTH) bool.

    Both draw the same masks in the first epochs. By hand, words are chosen as for "words".

    >>> masks = schedules((True,) * 5, strategy="words", rate=0.15, seed=0)
    >>> torch.equal(masks[0, :10], masks[1, :10]), torch.equal(masks[0, :10], masks[0, 10:20])
    (True, True)
    """
    may_choose = F.pad(torch.tensor([words]), (0, WIDTH - len(words)))
    by = "words" if strategy == "hand" else strategy

    def masks(schedule: Callable[..., list[Tensor]], **options: int) -> Tensor:
        generator = seeded(seed)
        return torch.cat(
            schedule(lambda: choose(may_choose, strategy=by, rate=rate, generator=generator), epochs=EPOCHS, **options)
        )

    return torch.stack([masks(static, masks=MASKS), masks(dynamic)])


def text_to_text(ids: Tensor, chosen: Tensor) -> tuple[list[int], list[int], bool]:
    """One sentence as T5 reads it, what T5 should write, and whether the two give it back. Shapes: (L,), bool (L,).

    >>> text_to_text(torch.tensor([5, 6, 7]), torch.tensor([False, True, True]))
    ([5, 394], [394, 6, 7], True)
    """
    pair = with_sentinels(ids, chosen, sentinels=SENTINELS)
    back = restore(pair, sentinels=SENTINELS)
    return pair.inputs.tolist(), pair.targets.tolist(), torch.equal(back, ids)


def token(number: int) -> str:
    """An id as a word; a sentinel has its number between angle brackets.

    >>> token(6), token(SENTINELS[1])
    ('cat', '<1>')
    """
    return f"<{number - SENTINELS[0]}>" if number in SENTINELS else VOCABULARY.tokens[number]
