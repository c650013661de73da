"""Replace what was chosen, as BERT, whole word masking and SpanBERT do; once, or anew for every epoch."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from masklab import validate
from masklab.corruption.choose import choose_spans, choose_tokens, choose_words
from masklab.corruption.common import check, int64, uniform
from masklab.dialects import to_labels

BERT_SHARES = (0.8, 0.1, 0.1)  # of the chosen: to [MASK], to a random token, unchanged

Made = TypeVar("Made")


@dataclass(frozen=True)
class Corrupted:
    """A corrupted batch, and what a model should say about it.

    Shapes: all (batch, length). ``spans`` is None where a method knows no spans.
    """

    ids: Tensor  # int64, what the model reads
    chosen: Tensor  # bool, True = counts in the loss, also where the token was left unchanged
    labels: Tensor  # int64, the original id where chosen, −100 elsewhere
    spans: Tensor | None = None  # int64, the span that a position is in, from 1; 0 = in none


def replace(
    ids: Tensor,
    chosen: Tensor,
    *,
    mask_id: int,
    random_ids: Sequence[int] | Tensor = (),
    shares: tuple[float, float, float] = BERT_SHARES,
    spans: Tensor | None = None,
    generator: torch.Generator,
) -> Corrupted:
    """Replace what was chosen: by default 80 % become [MASK], 10 % a random token, and 10 % stay.

    A random token is any of ``random_ids`` (a range of words, so that no special token is drawn);
    it may happen to be the right one. ``shares=(1, 0, 0)`` puts [MASK] everywhere.
    Shapes: ``ids`` int64, ``chosen`` bool and ``spans`` int64, all (batch, length). With ``spans``,
    numbered from 1 with 0 = in none, positions of the same span have the same fate, each with a random
    token of its own. ``chosen`` and ``spans`` of the result are copies.
    Raises TypeError for another dtype or no generator; ValueError for shapes that differ, a span number outside
    0 … length, a chosen position in no span, shares that are not three parts of 1, or no ``random_ids`` to
    draw from. Source: arXiv 1810.04805, §3.1 and appendix A.1.

    >>> ids, chosen = torch.tensor([[7, 8, 9]]), torch.tensor([[True, False, True]])
    >>> new = replace(ids, chosen, mask_id=4, shares=(1, 0, 0), generator=torch.Generator().manual_seed(0))
    >>> new.ids, new.labels
    (tensor([[4, 8, 4]]), tensor([[   7, -100,    9]]))
    """
    check("batch", "length", ids=ids, chosen=chosen, spans=spans)
    validate.generator(generator)
    _check_shares(shares, random_ids)
    if spans is not None:
        _check_spans(chosen, spans)
        spans = spans.clone()
    to_mask, to_random, _ = shares
    # Draw n decides for span n, and spans count from 1: draw 0 belongs to what is in no span, and decides nothing.
    # There are at most as many spans as positions; without ``spans`` each position is a span of its own.
    draws = uniform(len(ids), ids.shape[1] + 1, like=ids, generator=generator)
    fate = draws[:, 1:] if spans is None else draws.gather(1, spans)  # (B, L)
    new = ids.masked_fill(chosen & (fate < to_mask), mask_id)
    if to_random > 0:
        places = torch.randint(len(random_ids), ids.shape, generator=generator, device=generator.device)
        words = int64(random_ids, like=ids)[places.to(ids.device)]
        new = words.where(chosen & (fate >= to_mask) & (fate < to_mask + to_random), new)
    return Corrupted(ids=new, chosen=chosen.clone(), labels=to_labels(ids, chosen), spans=spans)


def bert(
    ids: Tensor,
    may_choose: Tensor,
    *,
    mask_id: int,
    random_ids: Sequence[int] | Tensor = (),
    probability: float = 0.15,
    shares: tuple[float, float, float] = BERT_SHARES,
    generator: torch.Generator,
) -> Corrupted:
    """BERT's masked language modelling: choose tokens, then replace 80/10/10.

    Shapes, errors and source: as for `choose_tokens` and `replace`.

    >>> ids = torch.tensor([[1, 7, 8, 9, 2, 0]])  # [BOS], three words, [EOS], [PAD]
    >>> words = torch.tensor([[False, True, True, True, False, False]])
    >>> g = torch.Generator().manual_seed(4)
    >>> new = bert(ids, words, mask_id=4, random_ids=range(5, 100), probability=0.5, generator=g)
    >>> new.ids, new.labels  # 8 was chosen, and left unchanged
    (tensor([[1, 7, 8, 4, 2, 0]]), tensor([[-100, -100,    8,    9, -100, -100]]))
    """
    check("batch", "length", ids=ids, may_choose=may_choose)
    chosen = choose_tokens(may_choose, probability=probability, generator=generator)
    return replace(ids, chosen, mask_id=mask_id, random_ids=random_ids, shares=shares, generator=generator)


def whole_word(
    ids: Tensor,
    may_choose: Tensor,
    starts: Tensor,
    *,
    mask_id: int,
    random_ids: Sequence[int] | Tensor = (),
    probability: float = 0.15,
    shares: tuple[float, float, float] = BERT_SHARES,
    generator: torch.Generator,
) -> Corrupted:
    """Whole word masking: choose words, then replace each piece by itself, 80/10/10.

    Shapes, errors and source: as for `choose_words` and `replace`.

    >>> ids, words = torch.tensor([[7, 8, 9]]), torch.ones(1, 3).bool()
    >>> starts = torch.tensor([[True, True, False]])  # a word of 1 piece, a word of 2
    >>> g = torch.Generator().manual_seed(0)
    >>> whole_word(ids, words, starts, mask_id=4, shares=(1, 0, 0), probability=0.5, generator=g).ids
    tensor([[7, 4, 4]])
    """
    check("batch", "length", ids=ids, may_choose=may_choose)
    chosen = choose_words(may_choose, starts, probability=probability, generator=generator)
    return replace(ids, chosen, mask_id=mask_id, random_ids=random_ids, shares=shares, generator=generator)


def spanbert(
    ids: Tensor,
    may_choose: Tensor,
    starts: Tensor | None = None,
    *,
    mask_id: int,
    random_ids: Sequence[int] | Tensor = (),
    budget: float = 0.15,
    p: float = 0.2,
    max_len: int = 10,
    shares: tuple[float, float, float] = BERT_SHARES,
    generator: torch.Generator,
) -> Corrupted:
    """SpanBERT's spans: choose spans of whole words, then replace each span as one, 80/10/10.

    Shapes, errors and source: as for `choose_spans` and `replace`.

    >>> ids, words = torch.arange(10, 20)[None], torch.ones(1, 10).bool()
    >>> g = torch.Generator().manual_seed(1)
    >>> spanbert(ids, words, mask_id=4, budget=0.4, shares=(1, 0, 0), generator=g).ids
    tensor([[10,  4,  4, 13, 14,  4,  4, 17, 18, 19]])
    """
    check("batch", "length", ids=ids, may_choose=may_choose)
    spans = choose_spans(may_choose, starts, budget=budget, p=p, max_len=max_len, generator=generator)
    return replace(
        ids, spans > 0, mask_id=mask_id, random_ids=random_ids, shares=shares, spans=spans, generator=generator
    )


def static(corrupt: Callable[[], Made], *, epochs: int = 40, masks: int = 10) -> list[Made]:
    """Static masking: corrupt ``masks`` times before training, and reuse these in turn, epoch by epoch.

    At 15 % and with the defaults, 1 − .85¹⁰ of the tokens are ever chosen. Epochs with the same mask get
    the same object, not copies: to edit one is to edit all.
    Raises ValueError for fewer than 1 mask, or fewer than 0 epochs.
    Source: Liu et al. 2019 (RoBERTa), arXiv 1907.11692, §4.1.

    >>> numbers = iter(range(100))
    >>> static(lambda: next(numbers), epochs=6, masks=2)
    [0, 1, 0, 1, 0, 1]
    """
    validate.at_least(1, masks=masks)
    validate.at_least(0, epochs=epochs)
    made = [corrupt() for _ in range(masks)]
    return [made[epoch % masks] for epoch in range(epochs)]


def dynamic(corrupt: Callable[[], Made], *, epochs: int = 40) -> list[Made]:
    """Dynamic masking: corrupt anew for every epoch.

    At 15 %, 1 − .85⁴⁰ of the tokens are ever chosen in 40 epochs. All are made, and kept, before the
    first epoch: if that is too much for the memory, call ``corrupt()`` in each epoch instead.
    Errors and source: as for `static`.

    >>> numbers = iter(range(100))
    >>> dynamic(lambda: next(numbers), epochs=6)
    [0, 1, 2, 3, 4, 5]
    """
    return static(corrupt, epochs=epochs, masks=max(epochs, 1))


def _check_spans(chosen: Tensor, spans: Tensor) -> None:
    """Spans have numbers from 1 to the length, and every chosen position is in one."""
    fix = "Number the spans of each sentence from 1; 0 means in none."
    validate.between("span numbers", spans, 0, spans.shape[1], fix=fix)
    outside = (chosen & (spans == 0)).nonzero().tolist()
    if outside:
        sentence, position = outside[0]
        raise ValueError(
            f"every chosen position must be in a span, got span 0 at position {position} of sentence {sentence}. "
            "Choose only inside spans, as chosen = spans > 0."
        )


def _check_shares(shares: tuple[float, float, float], random_ids: Sequence[int] | Tensor) -> None:
    """Three shares are parts of 1, and there are words for the random ones."""
    if len(shares) != 3 or min(shares) < 0 or not math.isclose(sum(shares), 1, abs_tol=1e-6):
        raise ValueError(f"shares must be three parts of 1, (to [MASK], random, unchanged), got {shares}.")
    if shares[1] > 0 and not len(random_ids):
        raise ValueError(
            f"random_ids must not be empty, because a share of {shares[1]} becomes random tokens. "
            "Give the ids of words, as range(5, 100), or shares without random tokens, as (1, 0, 0)."
        )
