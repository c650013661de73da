"""Choose which positions are hidden: tokens, words, spans of words, spans of time. True = chosen."""

import torch
import torch.nn.functional as F
from torch import Tensor

from masklab import validate
from masklab.corruption.common import at_least_one, check, shift_right, uniform


def choose_tokens(may_choose: Tensor, *, probability: float = 0.15, generator: torch.Generator) -> Tensor:
    """Choose each token by itself, with the same probability.

    A short sentence may get nothing: one of L tokens with a probability of (1 − probability)ᴸ.
    BERT's own code draws a fixed number instead, 15 % rounded and at least 1.
    Shapes: ``may_choose`` (batch, length) bool → the same, True = chosen.
    Raises TypeError for a mask that is not bool or no generator, ValueError for another number of axes, or
    a probability outside 0 to 1. Source: Devlin et al. 2018, arXiv 1810.04805, §3.1.

    >>> g = torch.Generator().manual_seed(0)
    >>> choose_tokens(torch.tensor([[False, True, True, True, True, False]]), probability=0.5, generator=g).int()
    tensor([[0, 0, 1, 1, 1, 0]], dtype=torch.int32)
    """
    check("batch", "length", may_choose=may_choose)
    validate.share(probability=probability)
    validate.generator(generator)
    return (uniform(*may_choose.shape, like=may_choose, generator=generator) < probability) & may_choose


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
    check("batch", "length", may_choose=may_choose, starts=starts)
    validate.share(probability=probability)
    validate.generator(generator)
    word = _begins(may_choose, starts).cumsum(dim=1)  # (B, L), words count from 1
    draws = uniform(len(word), word.shape[1] + 1, like=word, generator=generator)
    return (draws.gather(1, word) < probability) & may_choose  # one draw for all pieces of a word


def word_starts(word_ids: Tensor) -> Tensor:
    """Where a word starts, from the number of the word that each token is a piece of.

    It is where the number changes. Only neighbours are compared, so numbers may come again, as they do when a
    tokenizer counts each sentence of a pair from 0. Give a special token any number, say −1.
    Shapes: ``word_ids`` (batch, length) integers → the same, bool.
    Raises TypeError for something else, ValueError for another number of axes.

    >>> word_starts(torch.tensor([[-1, 0, 1, 1, -1, 0, 0]])).int()
    tensor([[1, 1, 1, 0, 1, 1, 0]], dtype=torch.int32)
    """
    fix = "The numbers of one sentence become word_ids[None]."
    validate.same_shape("batch", "length", word_ids=validate.integers("word_ids", word_ids), fix=fix)
    changes = word_ids.diff(dim=1) != 0
    return F.pad(changes, (1, 0), value=True)[:, : word_ids.shape[1]]


def span_length_shares(*, p: float = 0.2, max_len: int = 10) -> Tensor:
    """How often SpanBERT draws a span of 1, 2, …, ``max_len`` words.

    Geometric(p), cut off at ``max_len`` and renormalised. The paper says "clip", but its code and its
    mean of 3.8 words renormalise; to move every longer span to ``max_len`` would give a larger mean.
    Shape: (max_len,) float64, sums to 1. Raises ValueError for p outside 0 < p ≤ 1, or max_len < 1.
    Source: Joshi et al. 2019, arXiv 1907.10529, §3.1.

    >>> span_length_shares(p=0.5, max_len=2)
    tensor([0.6667, 0.3333], dtype=torch.float64)
    """
    validate.at_least(1, max_len=max_len)
    if not 0 < p <= 1:
        raise ValueError(f"p must be above 0 and at most 1, got {p}.")
    shares = p * (1 - p) ** torch.arange(max_len, dtype=torch.float64, device="cpu")  # where generators are
    return shares / shares.sum()


def choose_spans(
    may_choose: Tensor,
    starts: Tensor | None = None,
    *,
    budget: float = 0.15,
    p: float = 0.2,
    max_len: int = 10,
    generator: torch.Generator,
) -> Tensor:
    """Choose spans of whole words, one after the other, until the budget of tokens is spent.

    A span begins at any word that is still free. It ends early at a position that may not be
    chosen, at another span, and when the budget is spent: so a short text has short spans. The budget
    is rounded, and at least 1 token; only the word that crosses it goes over. (SpanBERT's code rounds
    up, cuts that word, lets spans run into each other, and merges them.)
    Shapes: ``may_choose``, ``starts`` (batch, length) bool → (batch, length) int64: which span a
    position is in, from 1, and 0 for none. Without ``starts`` each token is a word.
    Errors: as for `choose_words` and `span_length_shares`. Source: arXiv 1907.10529, §3.1.

    >>> g = torch.Generator().manual_seed(1)
    >>> choose_spans(torch.ones(1, 10).bool(), budget=0.5, max_len=3, generator=g)
    tensor([[0, 2, 2, 2, 0, 1, 1, 0, 0, 0]])
    """
    starts = torch.ones_like(validate.tensor("may_choose", may_choose)) if starts is None else starts
    check("batch", "length", may_choose=may_choose, starts=starts)
    validate.share(budget=budget)
    validate.generator(generator)
    shares = span_length_shares(p=p, max_len=max_len)
    spans = torch.zeros(may_choose.shape, dtype=torch.int64, device=may_choose.device)
    for row, (free, begins) in enumerate(zip(may_choose, _begins(may_choose, starts), strict=True)):
        tokens = at_least_one(budget, of=int(free.sum()))
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
    for start in first_pieces[
        torch.randperm(len(first_pieces), generator=generator, device=generator.device)
    ].tolist():  # each once, shuffled
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
    return torch.tensor(spans, dtype=torch.int64, device=first_pieces.device)


def time_spans(may_choose: Tensor, *, p: float = 0.065, length: int = 10, generator: torch.Generator) -> Tensor:
    """Hide spans of a sound: a share ``p`` of all time steps begins a span, and spans may overlap.

    A span ends early where ``may_choose`` does. (fairseq begins a span only where all of it fits, gives
    the share as p·length, and drops hidden steps until all rows of a batch have equally many.)
    Shapes: ``may_choose`` (batch, steps) bool → the same, True = hidden.
    Raises TypeError for a mask that is not bool or no generator, ValueError for another number of axes, p
    outside 0 to 1, or length < 1. Source: Baevski et al. 2020, arXiv 2006.11477, §3.1 and §4.2.

    >>> g = torch.Generator().manual_seed(13)
    >>> time_spans(torch.ones(1, 12).bool(), p=0.2, length=3, generator=g).int()  # two spans of 3, overlapping
    tensor([[0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0]], dtype=torch.int32)
    """
    check("batch", "length", may_choose=may_choose)
    validate.share(p=p)
    validate.generator(generator)
    validate.at_least(1, length=length)
    # A share of 7.4 steps means 7 in some draws and 8 in others: right on average, also in short sounds.
    rows, steps = may_choose.shape
    counts = (p * may_choose.sum(dim=1) + uniform(rows, like=may_choose, generator=generator)).floor()
    score = uniform(rows, steps, like=may_choose, generator=generator).masked_fill(~may_choose, 2.0)
    order = score.argsort(dim=1)  # the positions, lowest score first
    rank = order.argsort(dim=1)  # where each position is in that order: 0 = it has the lowest score
    newest = (rank < counts[:, None]) & may_choose  # the lowest scores begin a span
    hidden = newest
    for _ in range(min(length, steps) - 1):
        newest = shift_right(newest) & may_choose
        hidden = hidden | newest
    return hidden


def _begins(may_choose: Tensor, starts: Tensor) -> Tensor:
    """Where a word begins: at its first piece, and behind a position that may not be chosen. Shapes: (B, L)."""
    return may_choose & (starts | ~shift_right(may_choose))
