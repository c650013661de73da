"""The patterns: who may attend to whom, each in a line or two on the indices."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from masklab import validate
from masklab.masks.rule import Predicate, Rule, agreed, looks_at_the_query
from masklab.text import word_positions


def diagonal() -> Rule:
    """A query sees its own key and no other.

    With ``|`` it keeps every row from being fully masked: ``key_dropout(…) | diagonal()``.

    >>> diagonal().tensor(queries=3, keys=3)[0, 0].int()
    tensor([[1, 0, 0],
            [0, 1, 0],
            [0, 0, 1]], dtype=torch.int32)
    """

    def itself(b, h, q, k):
        return k == q

    return Rule(itself, "the key is the query itself")


def padding(lengths: Tensor, *, total: int, side: str = "right") -> Rule:
    """Only words may be attended to: padding *keys*, the columns, are blocked.

    For padding on both sides see `between`. Shapes: ``lengths`` (batch,) integers, ``total`` the padded length.
    Raises TypeError for other lengths, ValueError for a length over ``total`` or an unknown side.

    >>> padding(torch.tensor([2]), total=3).tensor(queries=3, keys=3)[0, 0].int()
    tensor([[1, 1, 0],
            [1, 1, 0],
            [1, 1, 0]], dtype=torch.int32)
    """
    is_word = word_positions(lengths, total=total, side=side)

    def key_is_word(b, h, q, k):
        return is_word[b, k]

    return _of_sentences(key_is_word, "the key is a word", is_word)


def padding_queries(lengths: Tensor, *, total: int, side: str = "right") -> Rule:
    """Only words may attend: padding *queries*, the rows, are blocked.

    Rarely what you want: such a row is fully masked, and its softmax is undefined.
    Shapes and errors: as for `padding`.

    >>> padding_queries(torch.tensor([2]), total=3).tensor(queries=3, keys=3)[0, 0].int()
    tensor([[1, 1, 1],
            [1, 1, 1],
            [0, 0, 0]], dtype=torch.int32)
    """
    is_word = word_positions(lengths, total=total, side=side)

    def query_is_word(b, h, q, k):
        return is_word[b, q]

    return _of_sentences(query_is_word, "the query is a word", is_word)


def between(starts: Tensor, ends: Tensor) -> Rule:
    """Only words may be attended to, in sentences with padding on both sides.

    The words of a sentence are its positions from ``starts`` up to ``ends``, the first that is padding
    again; an end beyond the keys is truncated. Shapes: both (batch,) integers.
    Raises TypeError for other tensors, ValueError for a negative start, or an end before its start.

    >>> between(torch.tensor([1]), torch.tensor([3])).tensor(queries=2, keys=4)[0, 0].int()
    tensor([[0, 1, 1, 0],
            [0, 1, 1, 0]], dtype=torch.int32)
    """
    starts, ends = _table("starts", starts), _table("ends", ends)
    agreed(len(starts), len(ends))
    if (starts > ends).any():
        raise ValueError(f"no end may be before its start, got starts {starts.tolist()} and ends {ends.tolist()}.")

    def key_is_word(b, h, q, k):
        return (starts[b] <= k) & (k < ends[b])

    return _of_sentences(key_is_word, "the key is a word", starts)


def causal(*, offset: int = 0) -> Rule:
    """A query sees itself and what came before, never what comes after.

    ``offset`` is the position of query 0 among the keys: with 6 keys, 5 of them cached, and one new
    query, ``offset=5``. To compose it with other rules see `offset_queries`.
    Raises ValueError for an offset that is no integer. Source: Vaswani et al. 2017, arXiv 1706.03762, §3.2.3.

    >>> causal().tensor(queries=3, keys=3)[0, 0].int()
    tensor([[1, 0, 0],
            [1, 1, 0],
            [1, 1, 1]], dtype=torch.int32)
    >>> causal(offset=5).tensor(queries=1, keys=6)[0, 0].int()
    tensor([[1, 1, 1, 1, 1, 1]], dtype=torch.int32)
    """

    def not_after(b, h, q, k):
        return k <= q

    return _shifted(Rule(not_after, "the key is not after the query"), offset)


def offset_queries(mask: Rule, *, offset: int) -> Rule:
    """The same rule when query 0 is the key at ``offset``: the earlier queries are in a KV cache.

    For any rule what ``causal(offset=…)`` is for the causal one. Compose first, then offset the whole:
    ``causal(offset=3) & blocks(2)`` is refused, because its two parts would mean different queries.
    Raises ValueError for an offset that is negative or no integer.

    >>> rule = causal() & blocks(2)
    >>> torch.equal(offset_queries(rule, offset=3).tensor(queries=1, keys=4),
    ...             rule.tensor(queries=4, keys=4)[:, :, 3:])
    True
    """
    validate.at_least(0, offset=offset)
    return _shifted(mask, offset)


def _shifted(mask: Rule, offset: int) -> Rule:
    """The same rule, in which query 0 is ``offset`` positions further on."""
    validate.at_least(None, offset=offset)
    if offset == 0 or not looks_at_the_query(mask):
        return mask

    def later(b, h, q, k):
        return mask.mask_mod(b, h, q + offset, k)

    return replace(mask, mask_mod=later, offset=mask.offset + int(offset))


def sliding_window(size: int, *, offset: int = 0) -> Rule:
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
    validate.at_least(1, size=size)
    last = f"one of the last {size}, the query itself included" if size > 1 else "the last one, the query itself"

    def near(b, h, q, k):
        return k > q - size

    return _shifted(causal() & Rule(near, f"the key is {last}"), offset)


def bidirectional_window(*, before: int, after: int) -> Rule:
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
    validate.at_least(0, before=before, after=after)
    left, right = (f"at most {n}" if n else "not" for n in (before, after))

    def not_far_before(b, h, q, k):
        return k >= q - before

    def not_far_after(b, h, q, k):
        return k <= q + after

    near = Rule(not_far_before, f"the key is {left} before the query")
    return near & Rule(not_far_after, f"the key is {right} after the query")


def dilated(step: int) -> Rule:
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
    validate.at_least(1, step=step)

    def on_the_grid(b, h, q, k):
        return q % step == k % step

    return Rule(on_the_grid, f"the key is a multiple of {step} away from the query")


def blocks(size: int, *, starts: Tensor | None = None) -> Rule:
    """A query sees its own block of ``size`` positions, before and after itself.

    With left padding give ``starts``, where each sentence begins, so that blocks are counted from
    there. Shape: ``starts`` (batch,) integers. Raises ValueError for a size below 1.

    >>> blocks(2).tensor(queries=4, keys=4)[0, 0].int()
    tensor([[1, 1, 0, 0],
            [1, 1, 0, 0],
            [0, 0, 1, 1],
            [0, 0, 1, 1]], dtype=torch.int32)
    """
    validate.at_least(1, size=size)
    meaning = f"the key is in the query's block of {size}"

    def same_block(b, h, q, k):
        return q // size == k // size

    if starts is None:
        return Rule(same_block, meaning)
    starts = _table("starts", starts)

    def same_block_from_the_start(b, h, q, k):
        return (q - starts[b]) // size == (k - starts[b]) // size

    return _of_sentences(same_block_from_the_start, meaning, starts)


def chunks(size: int, *, starts: Tensor | None = None) -> Rule:
    """A query sees itself and what came before in its own block: chunked attention, as in Llama 4.

    Shapes and errors: as for `blocks`. The same as Transformers' ``chunked_causal_mask_function``.

    >>> chunks(2).tensor(queries=4, keys=4)[0, 0].int()
    tensor([[1, 0, 0, 0],
            [1, 1, 0, 0],
            [0, 0, 1, 0],
            [0, 0, 1, 1]], dtype=torch.int32)
    """
    return blocks(size, starts=starts) & causal()


def prefix_lm(prefixes: Tensor) -> Rule:
    """Every query sees the whole prefix; after it, a query sees itself and what came before.

    Shape: ``prefixes`` (batch,) integers, how many positions are prefix, left padding included.
    A prefix longer than the text is truncated. Compose padding *after* it:
    ``prefix_lm(…) & padding(…)``. Raises TypeError for another tensor, ValueError for a negative number.
    Source: T5, Raffel et al. 2019, arXiv 1910.10683, §3.2.1.

    >>> prefix_lm(torch.tensor([2])).tensor(queries=4, keys=4)[0, 0].int()
    tensor([[1, 1, 0, 0],
            [1, 1, 0, 0],
            [1, 1, 1, 0],
            [1, 1, 1, 1]], dtype=torch.int32)
    """
    prefixes = _table("prefixes", prefixes)

    def in_the_prefix(b, h, q, k):
        return k < prefixes[b]

    return causal() | _of_sentences(in_the_prefix, "the key is in the prefix", prefixes)


def documents(ids: Tensor) -> Rule:
    """A query sees its own document of a packed batch, before and after itself.

    The document of each position is its id; −1 means no document: a pad neither sees nor is seen,
    so its row is fully masked. Shape: ``ids`` (batch, length) integers, as from `document_ids`.
    Raises TypeError for another tensor, ValueError for an id below −1.
    Source: packing, Krell et al. 2021, arXiv 2107.02027.

    >>> documents(torch.tensor([[0, 0, 1, -1]])).tensor(queries=4, keys=4)[0, 0].int()
    tensor([[1, 1, 0, 0],
            [1, 1, 0, 0],
            [0, 0, 1, 0],
            [0, 0, 0, 0]], dtype=torch.int32)
    """
    ids = _table("ids", ids, axes=("batch", "length"), least=-1)
    wanted = ids + ids.clamp(max=0)  # −1 becomes −2: a pad looks for a document that no key is in

    def same_document(b, h, q, k):
        return wanted[b, q] == ids[b, k]

    return _of_sentences(same_document, "the key is in the query's document", ids)


def document_ids(lengths: Sequence[Sequence[int]], *, total: int) -> Tensor:
    """Number the documents of each packed row: 0, 1, 2 …, and −1 for the padding after them.

    Shapes: ``lengths`` one sequence of document lengths per row → (rows, total) int64.
    Raises TypeError for lengths without rows, ValueError for a negative length, or for a row
    of more than ``total`` positions.

    >>> document_ids([[2, 1], [4]], total=4)
    tensor([[ 0,  0,  1, -1],
            [ 0,  0,  0,  0]])
    """
    validate.at_least(0, total=total)
    device = lengths.device if isinstance(lengths, Tensor) else None
    ids = torch.full((len(lengths), total), -1, device=device)
    for row, counts in zip(ids, lengths, strict=True):
        counts = torch.as_tensor(counts, device=device)
        counts = counts.long() if counts.numel() == 0 else counts  # of no numbers torch makes a float
        counts = validate.integers("each row of lengths", counts, axes=("documents",), least=0)
        if counts.sum() > total:
            raise ValueError(f"each row of lengths must add up to at most total={total}, got {counts.tolist()}.")
        row[: counts.sum()] = torch.arange(len(counts), device=device).repeat_interleave(counts)
    return ids


def global_tokens(positions: Tensor) -> Rule:
    """The tokens at these positions see all and are seen by all; the others see only them.

    Compose it: ``sliding_window(…) | global_tokens(…)``. Where each sentence has its own, see
    `special_tokens`. Positions beyond the text are ignored. Shape: ``positions`` (count,) integers.
    Raises TypeError for another tensor, ValueError for a negative position.
    Source: Longformer, arXiv 2004.05150, §3.1 ("global attention").

    >>> global_tokens(torch.tensor([1])).tensor(queries=3, keys=3)[0, 0].int()
    tensor([[0, 1, 0],
            [1, 1, 1],
            [0, 1, 0]], dtype=torch.int32)
    """
    positions = _table("positions", positions, axes=("count",))
    beyond = 1 + max(positions.tolist(), default=-1)  # from here on, no position is global
    # A look-up, not an `any` over the positions: FlexAttention cannot compile a reduction.
    is_global = torch.isin(torch.arange(beyond + 1, device=positions.device), positions)

    query = Rule(lambda b, h, q, k: is_global[q.clamp(max=beyond)], "the query is global", device=is_global.device)
    return query | Rule(lambda b, h, q, k: is_global[k.clamp(max=beyond)], "the key is global")


def special_tokens(special: Tensor, *, role: str = "hidden") -> Rule:
    """Let [CLS], [SEP] and the like be hidden as keys, or be global.

    ``"hidden"``: no query sees them, but they may still attend. ``"global"``: they see all and are
    seen by all, as in `global_tokens`. Shape: ``special`` (batch, length) bool, True = special.
    Raises TypeError for another tensor, ValueError for another role.

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
    validate.one_of(("hidden", "global"), role=role)
    special = validate.bool_mask("special", special, true="special", axes=("batch", "length")).clone()
    key = _of_sentences(lambda b, h, q, k: special[b, k], "the key is special", special)
    query = _of_sentences(lambda b, h, q, k: special[b, q], "the query is special", special)
    return ~key if role == "hidden" else query | key


class EncoderDecoderMasks(NamedTuple):
    """The three masks of an encoder–decoder: who attends to whom."""

    source: Rule  # encoder: source to source
    target: Rule  # decoder: target to target
    cross: Rule  # decoder: target to source


def encoder_decoder(
    source_lengths: Tensor, target_lengths: Tensor, *, source_total: int, target_total: int, side: str = "right"
) -> EncoderDecoderMasks:
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
    source = padding(source_lengths, total=source_total, side=side)
    target = padding(target_lengths, total=target_total, side=side)
    agreed(source.batch, target.batch)
    return EncoderDecoderMasks(source=source, target=causal() & target, cross=source)


def _of_sentences(mask_mod: Predicate, meaning: str, table: Tensor) -> Rule:
    """A rule that looks into a table of (batch, …)."""
    return Rule(mask_mod, meaning, batch=len(table), device=table.device)


def _table(name: str, values: Tensor, *, axes: Sequence[str] = ("batch",), least: int = 0) -> Tensor:
    """A copy of a table of integers, which no later edit can change, as int64."""
    return validate.integers(name, values, axes=axes, least=least).clone().long()
