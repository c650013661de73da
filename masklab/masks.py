"""Attention masks: a predicate on indices, and the bool tensor that it gives.

True = may attend. Axes are always (batch, head, query, key). Each rule is a line or two on the
indices; the rest is composed of rules with ``&``, ``|`` and ``~``.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from masklab.text import word_positions

Predicate = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

BATCH = "a rule for {} sentences does not fit a batch of {}."
HEADS = "a rule for {} heads does not fit {} heads."
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
CELLS_AT_ONCE = 2**19  # 512 KiB of bool: what a rule computes on its way stays in the processor's cache


@dataclass(frozen=True)
class Mask:
    """A rule that says which query may attend to which key.

    ``allows(b, h, q, k)`` takes index tensors that broadcast, and gives a bool
    tensor, True = may attend. The same signature as FlexAttention's ``mask_mod``.
    ``meaning`` says the rule in words; ``batch`` and ``heads`` are how many it knows, None for any
    number. Rules compose with ``&``, ``|`` and ``~``; ValueError if they know different batches
    or heads. ``joint`` and ``parts`` keep how a rule was composed, for `describe`.

    >>> both = causal() & padding(torch.tensor([2]), total=4)
    >>> both.tensor(batch=1, queries=4, keys=4).int()[0, 0]
    tensor([[1, 0, 0, 0],
            [1, 1, 0, 0],
            [1, 1, 0, 0],
            [1, 1, 0, 0]], dtype=torch.int32)
    >>> both.meaning
    'the key is not after the query and the key is a word'
    """

    allows: Predicate
    meaning: str
    batch: int | None = None
    heads: int | None = None
    joint: str = field(default="", repr=False)  # "and", "or", "not", or "" for a rule that is not composed
    parts: tuple["Mask", ...] = field(default=(), repr=False)

    def tensor(self, *, batch: int | None = None, heads: int | None = None, queries: int, keys: int) -> Tensor:
        """The rule for every pair of positions.

        Shape: (batch, heads, queries, keys) bool, True = may attend; ``batch`` and ``heads`` are by
        default what the rule knows, or 1. An axis that the rule does not look at is a view
        (`Tensor.expand`): clone before you write. Raises ValueError for another batch, other heads
        or more positions than the rule knows, TypeError for a rule that does not give bool.

        >>> causal().tensor(queries=2, keys=2)
        tensor([[[[ True, False],
                  [ True,  True]]]])
        """
        batch, heads = _agreed(self.batch, batch), _agreed(self.heads, heads, HEADS)
        shape = (1 if batch is None else batch, 1 if heads is None else heads, queries, keys)
        try:
            cells = _cells(self, shape)
        except IndexError as error:
            raise ValueError(f"the rule does not know all of {queries} queries and {keys} keys: {error}.") from error
        if cells.dtype != torch.bool:
            raise TypeError(f"a rule must give bool, True = may attend, and “{self.meaning}” gives {cells.dtype}.")
        return cells.expand(shape)

    def __and__(self, other: "Mask") -> "Mask":
        """Allowed by both rules."""
        return _composed("and", self, other, lambda b, h, q, k: self.allows(b, h, q, k) & other.allows(b, h, q, k))

    def __or__(self, other: "Mask") -> "Mask":
        """Allowed by either rule."""
        return _composed("or", self, other, lambda b, h, q, k: self.allows(b, h, q, k) | other.allows(b, h, q, k))

    def __invert__(self) -> "Mask":
        """Allowed where the rule blocks, and the other way round."""
        rule, meaning = lambda b, h, q, k: ~self.allows(b, h, q, k), f"not ({self.meaning})"
        return replace(self, allows=rule, meaning=meaning, joint="not", parts=(self,))


def _cells(mask: Mask, shape: tuple[int, int, int, int]) -> Tensor:
    """What the rule gives for every index. Shape: broadcasts to ``shape``.

    A rule on its own is one comparison, made at once. A composed rule makes a tensor for each of
    its parts: a large one is asked about some rows at a time, so that the parts stay small, in the
    processor's cache. All in all it takes little more memory than its result.
    """
    batch, heads, q, k = (torch.arange(n) for n in shape)
    b, h, q = batch.view(-1, 1, 1, 1), heads.view(-1, 1, 1), q.view(-1, 1)
    if not mask.joint or math.prod(shape) <= CELLS_AT_ONCE:
        return mask.allows(b, h, q, k)
    some = mask.allows(b, h, q[:2], k)  # two queries show on which axes the rule depends
    if some.ndim < 2 or some.shape[-2] == 1:
        return some  # not on the query: it is the same for all of them
    cells = torch.empty((*some.shape[:-2], len(q), some.shape[-1]), dtype=some.dtype)
    rows = max(1, CELLS_AT_ONCE * len(q) // cells.numel())
    for block, some_q in zip(cells.split(rows, dim=-2), q.split(rows), strict=True):
        block.copy_(mask.allows(b, h, some_q, k))
    return cells


def _composed(joint: str, first: Mask, second: Mask, allows: Predicate) -> Mask:
    """One rule made of two."""
    if not isinstance(second, Mask):
        raise TypeError(f"a rule composes with a rule, and got {type(second).__name__}; make a tensor of it first.")
    meaning = f"{first.meaning} {joint} {second.meaning}"
    return Mask(
        allows,
        f"({meaning})" if joint == "or" else meaning,
        batch=_agreed(first.batch, second.batch),
        heads=_agreed(first.heads, second.heads, HEADS),
        joint=joint,
        parts=(first, second),
    )


def _agreed(first: int | None, second: int | None, disagree: str = BATCH) -> int | None:
    """The one number of sentences, or of heads, that two parts agree on; None agrees with any."""
    if None not in (first, second) and first != second:
        raise ValueError(disagree.format(first, second))
    return second if first is None else first


def describe(mask: Mask) -> str:
    """Say in one sentence what a query may see.

    Where "and" and "or" mix, brackets show what belongs together.

    >>> words = padding(torch.tensor([2]), total=3)
    >>> print(describe(causal() & words))
    A query may attend to a key if the key is not after the query and the key is a word.
    >>> print(describe(causal() & (words | itself())))  # doctest: +NORMALIZE_WHITESPACE
    A query may attend to a key if the key is not after the query
    and (the key is a word or the key is the query itself).
    >>> print(describe(~itself()))
    A query may attend to a key unless the key is the query itself.
    """
    if mask.meaning == everything().meaning:
        return "A query may attend to every key."
    if mask.joint == "not":
        return f"A query may attend to a key unless {_clause(mask.parts[0])}."
    return f"A query may attend to a key if {_clause(mask)}."


def _clause(mask: Mask) -> str:
    """The rule as a part of a sentence; what is joined by another word than its neighbours stands in brackets."""
    if mask.joint == "not":
        return f"it is not true that ({_clause(mask.parts[0])})"
    mixed = {"and": "or", "or": "and"}.get(mask.joint)
    clauses = [f"({_clause(part)})" if part.joint == mixed else _clause(part) for part in mask.parts]
    return f" {mask.joint} ".join(clauses) or mask.meaning


def everything() -> Mask:
    """Every query may attend to every key: no mask at all.

    >>> bool(everything().tensor(queries=3, keys=5).all())
    True
    """
    return Mask(lambda b, h, q, k: torch.ones_like(b, dtype=torch.bool), "every key is allowed")


def itself() -> Mask:
    """A query sees its own key and no other.

    With ``|`` it keeps rows from being empty: ``key_dropout(…) | itself()``.

    >>> itself().tensor(queries=3, keys=3)[0, 0].int()
    tensor([[1, 0, 0],
            [0, 1, 0],
            [0, 0, 1]], dtype=torch.int32)
    """
    return Mask(lambda b, h, q, k: k == q, "the key is the query itself")


def padding(lengths: Tensor, *, total: int, side: str = "right") -> Mask:
    """Only words may be attended to: padding *keys*, the columns, are blocked.

    For padding on both sides see `between`. Shapes: ``lengths`` (batch,) integers, ``total`` the
    padded length. Raises ValueError for an unknown side, or for a length over ``total``.

    >>> padding(torch.tensor([2]), total=3).tensor(queries=3, keys=3)[0, 0].int()
    tensor([[1, 1, 0],
            [1, 1, 0],
            [1, 1, 0]], dtype=torch.int32)
    """
    word = word_positions(lengths, total=total, side=side)
    return Mask(lambda b, h, q, k: word[b, k], "the key is a word", batch=len(lengths))


def padding_queries(lengths: Tensor, *, total: int, side: str = "right") -> Mask:
    """Only words may ask: padding *queries*, the rows, are blocked.

    Rarely what you want: a blocked row has no key left, and its softmax is undefined.
    Shapes and errors: as for `padding`.

    >>> padding_queries(torch.tensor([2]), total=3).tensor(queries=3, keys=3)[0, 0].int()
    tensor([[1, 1, 1],
            [1, 1, 1],
            [0, 0, 0]], dtype=torch.int32)
    """
    word = word_positions(lengths, total=total, side=side)
    return Mask(lambda b, h, q, k: word[b, q], "the query is a word", batch=len(lengths))


def between(starts: Tensor, ends: Tensor) -> Mask:
    """Only words may be attended to, in sentences with padding on both sides.

    The words of a sentence are its positions from ``starts`` up to ``ends``, which is the first
    that is padding again. Shapes: both (batch,) integers. Raises TypeError for other tables,
    ValueError for a negative start, or an end before its start.

    >>> between(torch.tensor([1]), torch.tensor([3])).tensor(queries=2, keys=4)[0, 0].int()
    tensor([[0, 1, 1, 0],
            [0, 1, 1, 0]], dtype=torch.int32)
    """
    starts, ends = _table("starts", starts), _table("ends", ends)
    _agreed(len(starts), len(ends))
    if (starts > ends).any():
        raise ValueError(f"no end may be before its start: starts {starts.tolist()}, ends {ends.tolist()}.")
    return Mask(lambda b, h, q, k: (starts[b] <= k) & (k < ends[b]), "the key is a word", batch=len(starts))


def causal(*, offset: int = 0) -> Mask:
    """A query sees itself and what came before, never what comes after.

    ``offset`` is the position of query 0 among the keys: with 6 keys, 5 of them
    cached, and one new query, ``offset=5``. Source: Vaswani et al. 2017, arXiv 1706.03762, §3.2.3.

    >>> causal().tensor(queries=3, keys=3)[0, 0].int()
    tensor([[1, 0, 0],
            [1, 1, 0],
            [1, 1, 1]], dtype=torch.int32)
    >>> causal(offset=5).tensor(queries=1, keys=6)[0, 0].int()
    tensor([[1, 1, 1, 1, 1, 1]], dtype=torch.int32)
    """
    return Mask(lambda b, h, q, k: k <= q + offset, "the key is not after the query")


def offset_queries(mask: Mask, *, offset: int) -> Mask:
    """The same rule, when query 0 is the key at ``offset``: the earlier queries are in a KV cache.

    For any rule what ``causal(offset=…)`` is for the causal one. Raises ValueError for a negative offset.

    >>> rule = causal() & blocks(2)
    >>> torch.equal(offset_queries(rule, offset=3).tensor(queries=1, keys=4),
    ...             rule.tensor(queries=4, keys=4)[:, :, 3:])
    True
    """
    _at_least(0, offset=offset)
    return replace(mask, allows=lambda b, h, q, k: mask.allows(b, h, q + offset, k))


def sliding_window(size: int, *, offset: int = 0) -> Mask:
    """A query sees the last ``size`` keys, itself included, and never what comes after.

    Others count differently. Transformers' ``sliding_window`` is this ``size``; attention-gym's
    window sees one key more, so it is ``size - 1``. ``offset``: as for `causal`.
    Raises ValueError for a size below 1. Source: Longformer, Beltagy et al. 2020, arXiv 2004.05150, §3.1.

    >>> sliding_window(2).tensor(queries=4, keys=4)[0, 0].int()
    tensor([[1, 0, 0, 0],
            [1, 1, 0, 0],
            [0, 1, 1, 0],
            [0, 0, 1, 1]], dtype=torch.int32)
    """
    _at_least(1, size=size)
    near = Mask(lambda b, h, q, k: k > q + offset - size, f"the key is at most {size - 1} before the query")
    return causal(offset=offset) & near


def bidirectional_window(*, before: int, after: int) -> Mask:
    """A query sees itself, ``before`` keys on its left and ``after`` on its right: before + 1 + after in all.

    Others name one number W. Transformers means ``before=W, after=W`` (2W+1 keys), Keras
    ``before=W-1, after=W-1`` (2W−1). JAX's ``local_window_size=(l, r)`` is ``before=l, after=r``.
    Raises ValueError for a negative number. Source: Longformer, arXiv 2004.05150, §3.1.

    >>> bidirectional_window(before=1, after=2).tensor(queries=4, keys=4)[0, 0].int()
    tensor([[1, 1, 1, 0],
            [1, 1, 1, 1],
            [0, 1, 1, 1],
            [0, 0, 1, 1]], dtype=torch.int32)
    """
    _at_least(0, before=before, after=after)
    left = Mask(lambda b, h, q, k: k >= q - before, f"the key is at most {before} before the query")
    return left & Mask(lambda b, h, q, k: k <= q + after, f"the key is at most {after} after the query")


def dilated(step: int) -> Mask:
    """A query sees itself and every ``step``-th key on both sides.

    Compose it: ``dilated(step) & sliding_window((n - 1) * step + 1)`` sees n keys, the last one itself.
    Raises ValueError for a step below 1. Source: Longformer, arXiv 2004.05150, §3.1; Sparse
    Transformers, Child et al. 2019, arXiv 1904.10509 ("strided").

    >>> (dilated(2) & sliding_window(3)).tensor(queries=4, keys=4)[0, 0].int()
    tensor([[1, 0, 0, 0],
            [0, 1, 0, 0],
            [1, 0, 1, 0],
            [0, 1, 0, 1]], dtype=torch.int32)
    """
    _at_least(1, step=step)
    return Mask(lambda b, h, q, k: q % step == k % step, f"the key is a multiple of {step} away from the query")


def blocks(size: int, *, starts: Tensor | None = None) -> Mask:
    """A query sees its own block of ``size`` positions, before and after itself.

    With left padding give ``starts``, where each sentence begins, so that blocks are counted from
    there. Shape: ``starts`` (batch,) integers. Raises ValueError for a size below 1.

    >>> blocks(2).tensor(queries=4, keys=4)[0, 0].int()
    tensor([[1, 1, 0, 0],
            [1, 1, 0, 0],
            [0, 0, 1, 1],
            [0, 0, 1, 1]], dtype=torch.int32)
    """
    _at_least(1, size=size)
    meaning = f"the key is in the query's block of {size}"
    if starts is None:
        return Mask(lambda b, h, q, k: q // size == k // size, meaning)
    starts = _table("starts", starts)
    return Mask(lambda b, h, q, k: (q - starts[b]) // size == (k - starts[b]) // size, meaning, batch=len(starts))


def chunks(size: int, *, starts: Tensor | None = None) -> Mask:
    """A query sees itself and what came before in its own block: chunked attention, as in Llama 4.

    Shapes and errors: as for `blocks`. The same as Transformers' ``chunked_causal_mask_function``.

    >>> chunks(2).tensor(queries=4, keys=4)[0, 0].int()
    tensor([[1, 0, 0, 0],
            [1, 1, 0, 0],
            [0, 0, 1, 0],
            [0, 0, 1, 1]], dtype=torch.int32)
    """
    return blocks(size, starts=starts) & causal()


def prefix_lm(prefixes: Tensor) -> Mask:
    """Everybody sees the whole prefix; behind it, a query sees itself and what came before.

    Shape: ``prefixes`` (batch,) integers, how many positions are prefix, left padding counted in.
    Compose padding *after* it: ``prefix_lm(…) & padding(…)``. Raises TypeError for another table,
    ValueError for a negative number. Source: T5, Raffel et al. 2019, arXiv 1910.10683, §3.2.1.

    >>> prefix_lm(torch.tensor([2])).tensor(queries=4, keys=4)[0, 0].int()
    tensor([[1, 1, 0, 0],
            [1, 1, 0, 0],
            [1, 1, 1, 0],
            [1, 1, 1, 1]], dtype=torch.int32)
    """
    prefixes = _table("prefixes", prefixes)
    return causal() | Mask(lambda b, h, q, k: k < prefixes[b], "the key is in the prefix", batch=len(prefixes))


def documents(ids: Tensor) -> Mask:
    """A query sees its own document of a packed batch, before and after itself.

    The document of each position is its id; −1 means no document: a pad neither sees nor is seen,
    so its row is empty. Shape: ``ids`` (batch, length) integers, as from `document_ids`.
    Raises TypeError for another table, ValueError for an id below −1.
    Source: packing, Krell et al. 2021, arXiv 2107.02027.

    >>> documents(torch.tensor([[0, 0, 1, -1]])).tensor(queries=4, keys=4)[0, 0].int()
    tensor([[1, 1, 0, 0],
            [1, 1, 0, 0],
            [0, 0, 1, 0],
            [0, 0, 0, 0]], dtype=torch.int32)
    """
    ids = _table("ids", ids, axes=("batch", "length"), least=-1)
    asked = ids.masked_fill(ids == -1, -2)  # a pad asks for a document that no key is in
    return Mask(lambda b, h, q, k: asked[b, q] == ids[b, k], "the key is in the query's document", batch=len(ids))


def document_ids(lengths: Sequence[Sequence[int]], *, total: int) -> Tensor:
    """Number the documents of each packed row: 0, 1, 2 …, and −1 for the padding behind them.

    Shapes: ``lengths`` one sequence of document lengths a row → (rows, total) int64.
    Raises TypeError for lengths without rows, ValueError for a negative length, or for a row
    of more than ``total`` positions.

    >>> document_ids([[2, 1], [4]], total=4)
    tensor([[ 0,  0,  1, -1],
            [ 0,  0,  0,  0]])
    """
    ids = torch.full((len(lengths), total), -1)
    for row, counts in zip(ids, lengths, strict=True):
        counts = _table("each row of lengths", torch.as_tensor(counts, dtype=torch.int64), axes=("documents",))
        if counts.sum() > total:
            raise ValueError(f"documents must fill at most total={total} positions, and are {counts.tolist()} long.")
        row[: counts.sum()] = torch.arange(len(counts)).repeat_interleave(counts)
    return ids


def global_tokens(positions: Tensor) -> Mask:
    """The tokens at these positions see everybody and are seen by everybody; the others see only them.

    Compose it: ``sliding_window(…) | global_tokens(…)``. Where each sentence has its own, see
    `special_tokens`. Shape: ``positions`` (count,) integers. Raises TypeError for another table,
    ValueError for a negative position. Source: Longformer, arXiv 2004.05150, §3.1 ("global attention").

    >>> global_tokens(torch.tensor([1])).tensor(queries=3, keys=3)[0, 0].int()
    tensor([[0, 1, 0],
            [1, 1, 1],
            [0, 1, 0]], dtype=torch.int32)
    """
    positions = _table("positions", positions, axes=("count",))
    query = Mask(lambda b, h, q, k: (q[..., None] == positions).any(-1), "the query is global")
    return query | Mask(lambda b, h, q, k: (k[..., None] == positions).any(-1), "the key is global")


def special_tokens(special: Tensor, *, role: str = "hidden") -> Mask:
    """What [CLS], [SEP] and their like may do: be hidden as keys, or be global.

    ``"hidden"``: nobody sees them, and they may still ask. ``"global"``: they see everybody and are
    seen by everybody, as in `global_tokens`. Shape: ``special`` (batch, length) bool, True = special.
    Raises TypeError for another table, ValueError for another role.

    >>> special = torch.tensor([[True, False, False]])
    >>> special_tokens(special).tensor(queries=3, keys=3)[0, 0].int()
    tensor([[0, 1, 1],
            [0, 1, 1],
            [0, 1, 1]], dtype=torch.int32)
    >>> special_tokens(special, role="global").tensor(queries=3, keys=3)[0, 0].int()
    tensor([[1, 1, 1],
            [1, 0, 0],
            [1, 0, 0]], dtype=torch.int32)
    """
    if role not in ("hidden", "global"):
        raise ValueError(f"role must be 'hidden' or 'global', and is {role!r}.")
    special = _table("special", special, axes=("batch", "length"), dtypes=(torch.bool,))
    key = Mask(lambda b, h, q, k: special[b, k], "the key is special", batch=len(special))
    query = Mask(lambda b, h, q, k: special[b, q], "the query is special", batch=len(special))
    return ~key if role == "hidden" else query | key


class EncoderDecoder(NamedTuple):
    """The three masks of an encoder–decoder: who asks whom."""

    source: Mask  # encoder: source asks source
    target: Mask  # decoder: target asks target
    cross: Mask  # decoder: target asks source


def encoder_decoder(
    source_lengths: Tensor, target_lengths: Tensor, *, source_total: int, target_total: int, side: str = "right"
) -> EncoderDecoder:
    """The encoder sees the source's words, the decoder the target's words so far and the source's words.

    Shapes: lengths (batch,) integers; use ``target`` with queries = keys = ``target_total`` and ``cross``
    with queries = ``target_total``, keys = ``source_total``. Raises ValueError as `padding` does, and for
    sources and targets that differ in number. Source: Vaswani et al. 2017, arXiv 1706.03762, §3.2.3.

    >>> made = encoder_decoder(torch.tensor([1]), torch.tensor([2]), source_total=3, target_total=2)
    >>> made.target.tensor(queries=2, keys=2)[0, 0].int()
    tensor([[1, 0],
            [1, 1]], dtype=torch.int32)
    >>> made.cross.tensor(queries=2, keys=3)[0, 0].int()
    tensor([[1, 0, 0],
            [1, 0, 0]], dtype=torch.int32)
    """
    _agreed(len(source_lengths), len(target_lengths))
    source = padding(source_lengths, total=source_total, side=side)
    target = padding(target_lengths, total=target_total, side=side)
    return EncoderDecoder(source=source, target=causal() & target, cross=source)


def dropout(rate: float, *, batch: int, heads: int, queries: int, keys: int, seed: int) -> Mask:
    """Each pair of query and key is dropped by chance, before the softmax.

    So the other weights of a row still sum to 1; `nn.Dropout` on the weights is another thing.
    Drawn once: one ``seed``, one rule. A row may become empty: ``(dropout(…) | itself()) & …`` never
    drops a query's own key. ``rate`` is the chance to be dropped, 0 to 1; ValueError for another.
    Source: DropKey, Li et al. 2022, arXiv 2208.02646.

    >>> (dropout(0.5, batch=1, heads=1, queries=3, keys=4, seed=0) | itself()).tensor(queries=3, keys=4)[0, 0].int()
    tensor([[1, 1, 0, 0],
            [0, 1, 0, 1],
            [0, 1, 1, 0]], dtype=torch.int32)
    """
    kept = _kept(rate, (batch, heads, queries, keys), seed)
    return Mask(lambda b, h, q, k: kept[b, h, q, k], "the pair is not dropped", batch=batch, heads=heads)


def key_dropout(rate: float, *, batch: int, keys: int, seed: int) -> Mask:
    """Whole keys are dropped by chance: no query of any head sees them.

    ``rate``, ``seed`` and empty rows: as for `dropout`.

    >>> key_dropout(0.5, batch=1, keys=4, seed=0).tensor(queries=2, keys=4)[0, 0].int()
    tensor([[0, 1, 0, 0],
            [0, 1, 0, 0]], dtype=torch.int32)
    """
    kept = _kept(rate, (batch, keys), seed)
    return Mask(lambda b, h, q, k: kept[b, k], "the key is not dropped", batch=batch)


def head_dropout(rate: float, *, batch: int, heads: int, seed: int) -> Mask:
    """Whole heads are dropped by chance: all their rows are empty.

    ``rate``, ``seed`` and empty rows: as for `dropout`. Source: DropHead, Zhou et al. 2020, arXiv 2004.13342.

    >>> head_dropout(0.5, batch=1, heads=4, seed=0).tensor(queries=1, keys=2)[0, :, 0].int()
    tensor([[0, 0],
            [1, 1],
            [0, 0],
            [0, 0]], dtype=torch.int32)
    """
    kept = _kept(rate, (batch, heads), seed)
    return Mask(lambda b, h, q, k: kept[b, h], "the head is not dropped", batch=batch, heads=heads)


def block_dropout(rate: float, *, batch: int, heads: int, queries: int, keys: int, size: int, seed: int) -> Mask:
    """Square blocks of ``size`` queries and ``size`` keys are dropped by chance, each as a whole.

    ``rate``, ``seed`` and empty rows: as for `dropout`. Raises ValueError for a size below 1.

    >>> block_dropout(0.5, batch=1, heads=1, queries=4, keys=4, size=2, seed=0).tensor(queries=4, keys=4)[0, 0].int()
    tensor([[0, 0, 1, 1],
            [0, 0, 1, 1],
            [0, 0, 0, 0],
            [0, 0, 0, 0]], dtype=torch.int32)
    """
    _at_least(1, size=size)
    kept = _kept(rate, (batch, heads, math.ceil(queries / size), math.ceil(keys / size)), seed)
    meaning = "the block of the pair is not dropped"
    return Mask(lambda b, h, q, k: kept[b, h, q // size, k // size], meaning, batch=batch, heads=heads)


def reach(*masks: Tensor, layers: int = 1) -> Tensor:
    """Which positions can have an influence on which, after a stack of attention layers.

    Row i says which inputs output i may depend on: a boolean matrix power. A position always depends
    on itself, by its query and by the residual connection. Give one mask, or one a layer, the lowest
    first; the whole stack is used ``layers`` times. A window of W reaches n·(W−1)+1 positions after
    n layers; Mistral 7B (Jiang et al. 2023, arXiv 2310.06825, §2) speaks of n·W.
    Shapes: each (..., length, length) bool → the same. Raises ValueError for other masks, or for
    ``layers`` below 0.

    >>> window = sliding_window(2).tensor(queries=4, keys=4)[0, 0]
    >>> reach(window, layers=2).int()
    tensor([[1, 0, 0, 0],
            [1, 1, 0, 0],
            [1, 1, 1, 0],
            [0, 1, 1, 1]], dtype=torch.int32)
    """
    _at_least(0, layers=layers)
    found = [(mask.dtype, *mask.shape[-2:]) for mask in masks]
    if len(set(found)) != 1 or found[0] != (torch.bool, masks[0].shape[-1], masks[0].shape[-1]):
        raise ValueError(f"reach needs bool masks (..., length, length) of one length, True = may attend, not {found}.")
    known = own = torch.eye(masks[0].shape[-1], dtype=torch.bool)
    for mask in masks * layers:  # a position knows what those whom it sees know
        known = (mask | own).float() @ known.float() > 0
    return known


def _kept(rate: float, shape: tuple[int, ...], seed: int) -> Tensor:
    """A table of what dropout keeps, True with a chance of 1 − rate."""
    if not 0 <= rate <= 1:
        raise ValueError(f"rate is the chance to be dropped, from 0 to 1, and is {rate}.")
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) >= rate


def _at_least(least: int, **numbers: int) -> None:
    """Refuse a number that is too small to mean anything."""
    for name, number in numbers.items():
        if not isinstance(number, int) or number < least:
            raise ValueError(f"{name} must be a whole number, at least {least}, and is {number!r}.")


def _table(name: str, values: Tensor, *, axes: Sequence[str] = ("batch",), dtypes=INTEGERS, least: int = 0) -> Tensor:
    """A copy of a table, which no later edit can change, or a sentence on what is wrong with it."""
    if not isinstance(values, Tensor) or values.dtype not in dtypes or values.ndim != len(axes):
        found = f"{values.dtype} of shape {tuple(values.shape)}" if isinstance(values, Tensor) else repr(values)
        wanted = "integers" if dtypes == INTEGERS else "bool"
        raise TypeError(f"{name} must be a tensor of {wanted} with axes ({', '.join(axes)}), and is {found}.")
    if values.numel() and values.min().item() < least:
        raise ValueError(f"{name} must be at least {least}, and the least is {values.min()}.")
    return values.clone() if values.dtype == torch.bool else values.clone().long()
