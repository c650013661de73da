"""Corruption: hide part of a text, a sound or a picture, and ask a model to restore it.

Two steps, kept apart: *choose* positions (bool, True = chosen), then *replace* what
stands there. The choice itself is the loss mask: it can't be read off the ids
afterwards, because some of the chosen positions keep their token.

Only positions where ``may_choose`` is True are ever chosen. The caller says which
these are (words, not padding and not special tokens); they are never guessed from ids.
Every draw comes from the ``generator`` that the caller passes, and no argument is edited.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

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


# Choose


def choose_tokens(may_choose: Tensor, *, probability: float = 0.15, generator: torch.Generator) -> Tensor:
    """Choose each token by itself, with the same probability.

    A short sentence may get nothing: at 15 %, this happens to 27 % of the sentences of 8 tokens (.85⁸).
    BERT's own code draws a fixed number instead, 15 % rounded and at least 1.
    Shapes: ``may_choose`` (batch, length) bool → the same, True = chosen.
    Raises TypeError for a mask that is not bool, ValueError for another number of axes, or
    a probability outside 0 to 1. Source: Devlin et al. 2018, arXiv 1810.04805, §3.1.

    >>> g = torch.Generator().manual_seed(0)
    >>> choose_tokens(torch.tensor([[False, True, True, True, True, False]]), probability=0.5, generator=g).int()
    tensor([[0, 0, 1, 1, 1, 0]], dtype=torch.int32)
    """
    _check(may_choose=may_choose)
    _check_share("probability", probability)
    return (torch.rand(may_choose.shape, generator=generator) < probability) & may_choose


def choose_words(
    may_choose: Tensor, starts: Tensor, *, probability: float = 0.15, generator: torch.Generator
) -> Tensor:
    """Choose each word by itself: all of its pieces, or none.

    A hidden piece is easy to guess from its neighbours ("pla ##y ##ing"); a hidden word is not.
    Shapes: ``may_choose`` and ``starts`` (batch, length) bool → the same, True = chosen.
    ``starts`` is True at the first piece of a word; a word also ends where ``may_choose`` does.
    Errors: as for `choose_tokens`. Source: whole word masking, the README of google-research/bert, May 2019.

    >>> starts = torch.tensor([[True, True, False, False, True, False]])  # 1, 3 and 2 pieces
    >>> g = torch.Generator().manual_seed(0)
    >>> choose_words(torch.ones(1, 6).bool(), starts, probability=0.5, generator=g).int()
    tensor([[0, 1, 1, 1, 1, 1]], dtype=torch.int32)
    """
    _check(may_choose=may_choose, starts=starts)
    _check_share("probability", probability)
    word = _begins(may_choose, starts).cumsum(dim=1)  # (B, L), words count from 1
    draws = torch.rand(len(word), word.shape[1] + 1, generator=generator)
    return (draws.gather(1, word) < probability) & may_choose  # one draw for all pieces of a word


def word_starts(word_ids: Tensor) -> Tensor:
    """Where a word starts, from the number of the word that each token is a piece of.

    It is where the number changes. Numbers may come again, as they do when a tokenizer counts each
    sentence of a pair from 0: only neighbours are compared. Give a special token any number, say −1.
    Shapes: ``word_ids`` (batch, length) integers → the same, bool.

    >>> word_starts(torch.tensor([[-1, 0, 1, 1, -1, 0, 0]])).int()
    tensor([[1, 1, 1, 0, 1, 1, 0]], dtype=torch.int32)
    """
    changes = word_ids.diff(dim=1) != 0
    return F.pad(changes, (1, 0), value=True)[:, : word_ids.shape[1]]


def span_length_shares(*, p: float = 0.2, longest: int = 10) -> Tensor:
    """How often SpanBERT draws a span of 1, 2, …, ``longest`` words.

    Geometric(p), cut off at ``longest`` and renormalised: mean 3.8 words. The paper says "clip", but
    its code and its 3.8 renormalise; moving every longer span to 10 would give 4.46, no limit 5.0.
    Shape: (longest,) float64, sums to 1. Raises ValueError for p outside 0 < p ≤ 1, or longest < 1.
    Source: Joshi et al. 2019, arXiv 1907.10529, §3.1.

    >>> span_length_shares(p=0.5, longest=2)
    tensor([0.6667, 0.3333], dtype=torch.float64)
    """
    if not 0 < p <= 1 or longest < 1:
        raise ValueError(f"expected 0 < p ≤ 1 and longest ≥ 1, and got p={p} and longest={longest}.")
    shares = p * (1 - p) ** torch.arange(longest, dtype=torch.float64)
    return shares / shares.sum()


def choose_spans(
    may_choose: Tensor,
    starts: Tensor | None = None,
    *,
    budget: float = 0.15,
    p: float = 0.2,
    longest: int = 10,
    generator: torch.Generator,
) -> Tensor:
    """Choose spans of whole words, one after the other, until the budget of tokens is spent.

    A span begins at any word that is still free. It ends early at a position that may not be
    chosen, at another span, and when the budget is spent: so a short text has short spans (15 % of 16
    tokens is 2). The budget is rounded, and at least 1 token; only the word that crosses it goes
    over. (SpanBERT's code rounds up, cuts that word, lets spans run into each other, and merges them.)
    Shapes: ``may_choose``, ``starts`` (batch, length) bool → (batch, length) int64: which span a
    position is in, from 1, and 0 for none. Without ``starts`` each token is a word.
    Errors: as for `choose_words` and `span_length_shares`. Source: arXiv 1907.10529, §3.1.

    >>> g = torch.Generator().manual_seed(1)
    >>> choose_spans(torch.ones(1, 10).bool(), budget=0.5, longest=3, generator=g)
    tensor([[0, 2, 2, 2, 0, 1, 1, 0, 0, 0]])
    """
    starts = torch.ones_like(may_choose) if starts is None else starts
    _check(may_choose=may_choose, starts=starts)
    _check_share("budget", budget)
    shares = span_length_shares(p=p, longest=longest)
    spans = torch.zeros(may_choose.shape, dtype=torch.int64)
    for row, (free, begins) in enumerate(zip(may_choose, _begins(may_choose, starts), strict=True)):
        tokens = _at_least_one(budget, of=int(free.sum()))
        spans[row] = _spans_of_a_sentence(free, begins, tokens=tokens, shares=shares, generator=generator)
    return spans


def _spans_of_a_sentence(
    may_choose: Tensor, begins: Tensor, *, tokens: int, shares: Tensor, generator: torch.Generator
) -> Tensor:
    """The spans of one sentence, at least ``tokens`` long together. Shapes: all (length,)."""
    first_pieces = begins.nonzero().flatten()
    free, begins = may_choose.tolist(), begins.tolist()
    spans = [0] * len(free)
    span = spent = 0
    for start in first_pieces[torch.randperm(len(first_pieces), generator=generator)].tolist():  # each once, shuffled
        if not free[start] or spent >= tokens:
            continue
        span, words = span + 1, 0
        length = 1 + int(torch.multinomial(shares, 1, generator=generator))
        for position in range(start, len(free)):
            full = words == length or spent >= tokens
            if not free[position] or (begins[position] and full):  # never stop inside a word
                break
            words += begins[position]
            spans[position], free[position], spent = span, False, spent + 1
    return torch.tensor(spans, dtype=torch.int64)


def time_spans(may_choose: Tensor, *, p: float = 0.065, length: int = 10, generator: torch.Generator) -> Tensor:
    """Hide spans of a sound: a share ``p`` of all time steps begins a span, and spans may overlap.

    With the defaults 49 % of the steps are hidden, in runs of 14.7 steps on average. A span ends
    early where ``may_choose`` does. (fairseq begins a span only where all of it fits, gives the
    share as p·length, and drops hidden steps until all rows of a batch have equally many.)
    Shapes: ``may_choose`` (batch, steps) bool → the same, True = hidden.
    Raises TypeError for a mask that is not bool, ValueError for another number of axes, p
    outside 0 to 1, or length < 1. Source: Baevski et al. 2020, arXiv 2006.11477, §3.1 and §4.2.

    >>> g = torch.Generator().manual_seed(13)
    >>> time_spans(torch.ones(1, 12).bool(), p=0.2, length=3, generator=g).int()  # two spans of 3, overlapping
    tensor([[0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]], dtype=torch.int32)
    """
    _check(may_choose=may_choose)
    _check_share("p", p)
    if length < 1:
        raise ValueError(f"a span has at least 1 time step, and length={length}.")
    # A share of 7.4 steps means 7 in some draws and 8 in others: right on average, also in short sounds.
    counts = (p * may_choose.sum(dim=1) + torch.rand(len(may_choose), generator=generator)).floor()
    score = torch.rand(may_choose.shape, generator=generator).masked_fill(~may_choose, 2.0)
    newest = (score.argsort(dim=1).argsort(dim=1) < counts[:, None]) & may_choose  # the lowest scores begin a span
    hidden = newest
    for _ in range(min(length, may_choose.shape[1]) - 1):
        newest = _shift_right(newest) & may_choose
        hidden = hidden | newest
    return hidden


# Replace


def replace(
    ids: Tensor,
    chosen: Tensor,
    *,
    mask_id: int,
    random_ids: Sequence[int] = (),
    shares: tuple[float, float, float] = BERT_SHARES,
    spans: Tensor | None = None,
    generator: torch.Generator,
) -> Corrupted:
    """Replace what was chosen: by default 80 % with [MASK], 10 % with a random token, 10 % stay.

    A random token is any of ``random_ids`` (a range of words, so that no special token is drawn);
    it may be the right one by chance. ``shares=(1, 0, 0)`` puts [MASK] everywhere.
    Shapes: ``ids`` int64, ``chosen`` bool and ``spans`` int64, all (batch, length). With ``spans``,
    positions of the same span have the same fate, each with a random token of its own.
    Raises TypeError for another dtype; ValueError for shapes that differ, shares that are not three
    parts of 1, or no ``random_ids`` to draw from. Source: arXiv 1810.04805, §3.1 and appendix A.1.

    >>> ids, chosen = torch.tensor([[7, 8, 9]]), torch.tensor([[True, False, True]])
    >>> new = replace(ids, chosen, mask_id=4, shares=(1, 0, 0), generator=torch.Generator().manual_seed(0))
    >>> new.ids, new.labels
    (tensor([[4, 8, 4]]), tensor([[   7, -100,    9]]))
    """
    _check(ids=ids, chosen=chosen, spans=spans)
    _check_shares(shares, random_ids)
    to_mask, to_random, _ = shares
    draws = torch.rand(len(ids), ids.shape[1] + 1, generator=generator)
    fate = draws[:, 1:] if spans is None else draws.gather(1, spans)  # (B, L)
    new = ids.masked_fill(chosen & (fate < to_mask), mask_id)
    if to_random > 0:
        places = torch.randint(len(random_ids), ids.shape, generator=generator)
        words = _int64(random_ids)[places]
        new = words.where(chosen & (fate >= to_mask) & (fate < to_mask + to_random), new)
    return Corrupted(ids=new, chosen=chosen, labels=to_labels(ids, chosen), spans=spans)


# Choose and replace, as papers do


def bert(
    ids: Tensor,
    may_choose: Tensor,
    *,
    mask_id: int,
    random_ids: Sequence[int] = (),
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
    _check(ids=ids, may_choose=may_choose)
    chosen = choose_tokens(may_choose, probability=probability, generator=generator)
    return replace(ids, chosen, mask_id=mask_id, random_ids=random_ids, shares=shares, generator=generator)


def whole_word(
    ids: Tensor,
    may_choose: Tensor,
    starts: Tensor,
    *,
    mask_id: int,
    random_ids: Sequence[int] = (),
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
    _check(ids=ids, may_choose=may_choose)
    chosen = choose_words(may_choose, starts, probability=probability, generator=generator)
    return replace(ids, chosen, mask_id=mask_id, random_ids=random_ids, shares=shares, generator=generator)


def spanbert(
    ids: Tensor,
    may_choose: Tensor,
    starts: Tensor | None = None,
    *,
    mask_id: int,
    random_ids: Sequence[int] = (),
    budget: float = 0.15,
    p: float = 0.2,
    longest: int = 10,
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
    _check(ids=ids, may_choose=may_choose)
    spans = choose_spans(may_choose, starts, budget=budget, p=p, longest=longest, generator=generator)
    return replace(
        ids, spans > 0, mask_id=mask_id, random_ids=random_ids, shares=shares, spans=spans, generator=generator
    )


def static(corrupt: Callable[[], Made], *, epochs: int = 40, masks: int = 10) -> list[Made]:
    """Static masking: corrupt ``masks`` times before training, and go round them, epoch by epoch.

    With the defaults each mask is seen four times, and 80.3 % of the tokens are ever chosen
    (1 − .85¹⁰). Raises ValueError for fewer than 1 mask, or fewer than 0 epochs.
    Source: Liu et al. 2019 (RoBERTa), arXiv 1907.11692, §4.1.

    >>> numbers = iter(range(100))
    >>> static(lambda: next(numbers), epochs=6, masks=2)
    [0, 1, 0, 1, 0, 1]
    """
    if masks < 1 or epochs < 0:
        raise ValueError(f"expected masks ≥ 1 and epochs ≥ 0, and got masks={masks} and epochs={epochs}.")
    made = [corrupt() for _ in range(masks)]
    return [made[epoch % masks] for epoch in range(epochs)]


def dynamic(corrupt: Callable[[], Made], *, epochs: int = 40) -> list[Made]:
    """Dynamic masking: corrupt anew for every epoch.

    In 40 epochs 99.85 % of the tokens are ever chosen (1 − .85⁴⁰). Errors and source: as for `static`.

    >>> numbers = iter(range(100))
    >>> dynamic(lambda: next(numbers), epochs=6)
    [0, 1, 2, 3, 4, 5]
    """
    return static(corrupt, epochs=epochs, masks=max(epochs, 1))


# T5: the hidden spans leave the text


@dataclass(frozen=True)
class TextToText:
    """A text with holes, and what stood in them.

    Shapes: both (length of its own,) int64. Each hole is one sentinel token in ``inputs``;
    in ``targets`` the same sentinel stands before the tokens of the hole.
    """

    inputs: Tensor
    targets: Tensor


def t5(
    ids: Tensor,
    may_choose: Tensor,
    *,
    sentinels: Sequence[int],
    density: float = 0.15,
    mean_span: float = 3.0,
    end_id: int | None = None,
    ends_in_noise: bool = False,
    generator: torch.Generator,
) -> TextToText:
    """T5's span corruption of one sentence: 568 tokens become 512 inputs and 114 targets.

    One sentence *without padding*, because the results have lengths of their own: take it out of a
    batch with ``batch.ids[i][batch.mask[i]]``, and pad the results afterwards.
    Shapes: ``ids`` int64, ``may_choose`` bool, both (length,). Errors and source: as for
    `choose_t5_spans` and `with_sentinels`. `restore` is the way back.

    >>> ids, words, g = torch.arange(1, 11), torch.ones(10).bool(), torch.Generator().manual_seed(1)
    >>> t5(ids, words, sentinels=range(99, 89, -1), density=0.4, mean_span=2, generator=g)
    TextToText(inputs=tensor([ 1,  2,  3, 99,  6, 98,  9, 10]), targets=tensor([99,  4,  5, 98,  7,  8]))
    """
    chosen = choose_t5_spans(
        may_choose, density=density, mean_span=mean_span, ends_in_noise=ends_in_noise, generator=generator
    )
    return with_sentinels(ids, chosen, sentinels=sentinels, end_id=end_id)


def choose_t5_spans(
    may_choose: Tensor,
    *,
    density: float = 0.15,
    mean_span: float = 3.0,
    ends_in_noise: bool = False,
    generator: torch.Generator,
) -> Tensor:
    """Choose a fixed number of tokens in a fixed number of spans; only where they stand is random.

    Of n tokens, n·density are chosen (rounded, at least 1), in that number / mean_span spans.
    Every such choice is equally likely, and spans never touch. ``ends_in_noise=True`` is what T5's
    code does: it alternates kept, noise, …, kept, noise, so that the first token is always kept and
    the last always noise, and a text of 20 tokens *always* loses exactly its last 3
    (text-to-text-transfer-transformer#905, where this default is proposed).
    Shapes: ``may_choose`` (length,) bool → the same. A position that may not be chosen
    is jumped over, and cuts a span in two.
    Raises TypeError for a mask that is not bool; ValueError for another number of axes, density
    outside 0 to 1, or mean_span < 1. Source: Raffel et al. 2019, arXiv 1910.10683, §3.3.4.

    >>> where = torch.ones(20).bool()
    >>> g = torch.Generator().manual_seed(0)
    >>> choose_t5_spans(where, generator=g).int()
    tensor([0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0],
           dtype=torch.int32)
    >>> choose_t5_spans(where, ends_in_noise=True, generator=g).int()
    tensor([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1],
           dtype=torch.int32)
    """
    _check(axes=1, may_choose=may_choose)
    length = int(may_choose.sum())
    noise, spans = _t5_counts(length, density=density, mean_span=mean_span, ends_in_noise=ends_in_noise)
    chosen = torch.zeros_like(may_choose)
    if spans:
        hidden = _random_parts(noise, spans, generator=generator)
        kept = _t5_gaps(length - noise, spans, ends_in_noise=ends_in_noise, generator=generator)
        runs = [run for pair in zip(kept, hidden, strict=False) for run in pair] + [kept[-1]]  # kept, hidden, …, kept
        is_noise = torch.arange(len(runs)) % 2 == 1
        chosen[may_choose] = is_noise.repeat_interleave(torch.tensor(runs))
    return chosen


def _t5_counts(length: int, *, density: float, mean_span: float, ends_in_noise: bool) -> tuple[int, int]:
    """How many tokens T5 hides, and in how many spans.

    >>> _t5_counts(568, density=0.15, mean_span=3.0, ends_in_noise=False)
    (85, 28)
    """
    _check_share("density", density)
    if not mean_span >= 1:
        raise ValueError(f"a span has at least 1 token, and mean_span={mean_span}.")
    may_hide = length - 1 if ends_in_noise else length  # T5's code keeps the first token
    noise = min(_at_least_one(density, of=length), max(may_hide, 0))
    gaps = length - noise if ends_in_noise else length - noise + 1  # a kept token stands before each span, or between
    return noise, min(max(round(noise / mean_span), 1), gaps) if noise else 0


def _t5_gaps(kept: int, spans: int, *, ends_in_noise: bool, generator: torch.Generator) -> list[int]:
    """The lengths of the kept runs before, between and after the spans: one more than spans."""
    if ends_in_noise:
        return _random_parts(kept, spans, generator=generator) + [0]
    first, *between, last = _random_parts(kept + 2, spans + 1, generator=generator)
    return [first - 1, *between, last - 1]  # the outer two may be empty


def _random_parts(items: int, parts: int, *, generator: torch.Generator) -> list[int]:
    """Cut a row of items into parts of at least 1, every way equally likely.

    >>> _random_parts(10, 3, generator=torch.Generator().manual_seed(0))
    [1, 8, 1]
    """
    cuts = torch.randperm(items - 1, generator=generator)[: parts - 1] + 1
    edges = [0, *sorted(cuts.tolist()), items]
    return [right - left for left, right in pairwise(edges)]


def with_sentinels(
    ids: Tensor,
    chosen: Tensor,
    *,
    sentinels: Sequence[int],
    end_id: int | None = None,
    last_sentinel: bool = False,
) -> TextToText:
    """Take the chosen runs out of a text: inputs with one sentinel a run, targets with the runs.

    ``end_id`` is put at the end of both, as T5's code does. ``last_sentinel=True`` closes the targets
    with one more sentinel, as the paper's figure 2 does.
    Shapes: ``ids`` int64, ``chosen`` bool, both (length,). ``sentinels`` are ids of their own, in the
    order of use; T5's count down from the top of the vocabulary: ``range(32_099, 31_999, -1)``.
    Raises TypeError for another dtype; ValueError for shapes that differ, for more runs than
    sentinels, or if a sentinel is among the ids. Source: arXiv 1910.10683, §3.1.4.

    >>> chosen = torch.tensor([False, True, True, False, True])
    >>> with_sentinels(torch.tensor([5, 6, 7, 8, 9]), chosen, sentinels=[99, 98], end_id=1)
    TextToText(inputs=tensor([ 5, 99,  8, 98,  1]), targets=tensor([99,  6,  7, 98,  9,  1]))
    """
    _check(axes=1, ids=ids, chosen=chosen)
    _check_sentinels(ids, chosen, sentinels=sentinels, spare=int(last_sentinel), end_id=end_id)
    unused, inputs, targets, was_hidden = iter(sentinels), [], [], False
    for token, hidden in zip(ids.tolist(), chosen.tolist(), strict=True):
        if hidden and not was_hidden:
            sentinel = next(unused)
            inputs.append(sentinel)
            targets.append(sentinel)
        (targets if hidden else inputs).append(token)
        was_hidden = hidden
    end = [] if end_id is None else [end_id]
    last = [next(unused)] if last_sentinel else []
    return TextToText(inputs=_int64(inputs + end), targets=_int64(targets + last + end))


def restore(pair: TextToText, *, sentinels: Sequence[int], end_id: int | None = None) -> Tensor:
    """Put the targets back into the holes of the inputs: the original text, no token lost.

    Shape: (length,) int64. Raises ValueError if the two don't belong together.

    >>> restore(TextToText(torch.tensor([5, 99, 8, 98]), torch.tensor([99, 6, 7, 98, 9])), sentinels=[99, 98])
    tensor([5, 6, 7, 8, 9])
    """
    inputs, targets = (_without_end(half.tolist(), end_id) for half in (pair.inputs, pair.targets))
    if targets and targets[-1] in sentinels:  # it only closes the last piece
        targets = targets[:-1]
    _check_pair(inputs, targets, sentinels)
    pieces: dict[int, list[int]] = {}
    for token in targets:
        if token in sentinels:
            sentinel = token
            pieces[sentinel] = []
        else:
            pieces[sentinel].append(token)
    return _int64([restored for token in inputs for restored in pieces.get(token, [token])])


# MAE: most of a picture


@dataclass(frozen=True)
class Patches:
    """Which patches of each picture are kept and which are hidden, in shuffled order.

    Shapes: ``kept`` (images, n) and ``hidden`` (images, count − n) int64, positions of patches;
    ``restore`` (images, count) int64: ``torch.cat([kept, hidden], dim=1).gather(1, restore)`` puts
    all patches in their own order again; ``chosen`` (images, count) bool, True = hidden.
    """

    kept: Tensor
    hidden: Tensor
    restore: Tensor
    chosen: Tensor


def patches(*, images: int, count: int, share: float = 0.75, generator: torch.Generator) -> Patches:
    """Masked autoencoders: shuffle the patches of each picture, keep the first quarter.

    Every picture keeps equally many, so the encoder gets a full rectangle, with no mask and no padding.
    Shapes: see `Patches`; ``share`` of ``count`` is hidden, rounded. (MAE's code rounds the kept ones down.)
    Raises ValueError for a share outside 0 to 1. Source: He et al. 2021, arXiv 2111.06377, §3.

    >>> found = patches(images=1, count=4, generator=torch.Generator().manual_seed(0))
    >>> found.kept, found.hidden, found.chosen.int()
    (tensor([[2]]), tensor([[3, 0, 1]]), tensor([[1, 1, 0, 1]], dtype=torch.int32))
    """
    _check_share("share", share)
    keep = count - round(share * count)
    order = torch.rand(images, count, generator=generator).argsort(dim=1)  # a shuffle of each row
    back = order.argsort(dim=1)  # where each patch went
    return Patches(kept=order[:, :keep], hidden=order[:, keep:], restore=back, chosen=back >= keep)


# What several functions need


def _begins(may_choose: Tensor, starts: Tensor) -> Tensor:
    """Where a word begins: at its first piece, and behind a position that may not be chosen. Shapes: (B, L)."""
    return may_choose & (starts | ~_shift_right(may_choose))


def _shift_right(mask: Tensor) -> Tensor:
    """Each position gets what stood before it, the first one False. Shape: (B, L)."""
    return F.pad(mask, (1, 0))[:, : mask.shape[1]]


def _at_least_one(share: float, *, of: int) -> int:
    """A share of a number, rounded; at least 1 if there is a share, and something to share.

    >>> _at_least_one(0.15, of=20), _at_least_one(0.15, of=2), _at_least_one(0.0, of=2), _at_least_one(0.15, of=0)
    (3, 1, 0, 0)
    """
    return max(round(share * of), 1) if share and of else 0


def _int64(tokens: Sequence[int]) -> Tensor:
    """Ids as a tensor, also when there are none (an empty list would become float)."""
    return torch.tensor(tokens, dtype=torch.int64)


def _without_end(tokens: list[int], end_id: int | None) -> list[int]:
    """Drop the end token that `with_sentinels` has put there, or say that it is missing."""
    if end_id is None:
        return tokens
    if tokens[-1:] != [end_id]:
        raise ValueError(
            f"expected end_id={end_id} at the end of inputs and of targets, and one of them ends otherwise."
        )
    return tokens[:-1]


def _check(*, axes: int = 2, **given: Tensor | None) -> None:
    """All tensors have one shape with these axes; ``ids`` and ``spans`` are int64, all others bool."""
    tensors = {name: tensor for name, tensor in given.items() if tensor is not None}
    for name, tensor in tensors.items():
        wanted = torch.int64 if name in ("ids", "spans") else torch.bool
        if tensor.dtype != wanted:
            raise TypeError(
                f"{name} must be {wanted}, and is {tensor.dtype} of shape {tuple(tensor.shape)}. "
                + ("Use ids.long()." if wanted == torch.int64 else f"Use {name}.bool() if 1 means yes.")
            )
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != axes for shape in shapes.values()):
        axis_names = "(length,): one sentence" if axes == 1 else "(batch, length)"
        raise ValueError(f"expected one shape {axis_names}, and got {shapes}.")


def _check_share(name: str, share: float) -> None:
    """A share is between 0 and 1."""
    if not 0 <= share <= 1:
        raise ValueError(f"{name} must be between 0 and 1, and is {share}. For percent divide by 100.")


def _check_shares(shares: tuple[float, float, float], random_ids: Sequence[int]) -> None:
    """Three shares are parts of 1, and there are words for the random ones."""
    if len(shares) != 3 or min(shares) < 0 or not math.isclose(sum(shares), 1, abs_tol=1e-6):
        raise ValueError(f"shares must be three parts of 1, (to [MASK], random, unchanged), and are {shares}.")
    if shares[1] > 0 and not len(random_ids):
        raise ValueError(
            f"a share of {shares[1]} becomes random tokens, and random_ids is empty. "
            "Give the ids of words, as range(5, 100), or shares without random tokens, as (1, 0, 0)."
        )


def _check_sentinels(ids: Tensor, chosen: Tensor, *, sentinels: Sequence[int], spare: int, end_id: int | None) -> None:
    """There are enough sentinels, and none of them stands for anything else."""
    runs = int((chosen & ~_shift_right(chosen[None])[0]).sum())
    if runs + spare > len(sentinels):
        raise ValueError(f"{runs + spare} sentinels are needed, and there are {len(sentinels)}.")
    if len(set(sentinels)) < len(sentinels):
        raise ValueError(f"sentinels must be different ids, each once, and are {list(sentinels)}.")
    taken = [token for token in [*ids.tolist(), end_id] if token in sentinels]
    if taken:
        raise ValueError(f"a sentinel must be an id of its own, and {taken[0]} is also a token of the text.")


def _check_pair(inputs: list[int], targets: list[int], sentinels: Sequence[int]) -> None:
    """Inputs and targets name the same sentinels, in the same order, each once."""
    if targets and targets[0] not in sentinels:
        raise ValueError(f"the targets must begin with a sentinel, and begin with {targets[0]}.")
    holes, named = ([token for token in half if token in sentinels] for half in (inputs, targets))
    if holes != named or len(set(holes)) < len(holes):
        raise ValueError(f"inputs and targets must name the same sentinels, each once, and name {holes} and {named}.")
