"""A mask is a rule on indices and the tensor that it gives; both compose."""

import itertools
import pickle
import shutil
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd.profiler import profile
from torch.nn.attention.flex_attention import flex_attention
from torch.utils._python_dispatch import TorchDispatchMode

from masklab import dialects, masks
from masklab.attention import attend
from tests.strategies import in_threads, lengths, seeds, sides

sizes = st.integers(1, 7)


def ints(*values):
    return torch.tensor(values, dtype=torch.int64)


def by_loop(allowed, *, batch=1, heads=1, queries, keys):
    """The definition, cell by cell."""
    cells = [
        bool(allowed(b, h, q, k))
        for b in range(batch)
        for h in range(heads)
        for q in range(queries)
        for k in range(keys)
    ]
    return torch.tensor(cells, dtype=torch.bool).view(batch, heads, queries, keys)


def same(mask, allowed, **size):
    """The rule's tensor is the loop's."""
    assert torch.equal(mask.tensor(**size), by_loop(allowed, **size))


@given(sizes, sizes)
def test_diagonal_and_everything_by_a_slow_loop(queries, keys):
    same(masks.diagonal(), lambda b, h, q, k: q == k, queries=queries, keys=keys)
    same(masks.everything(), lambda b, h, q, k: True, queries=queries, keys=keys)


@given(lengths(), sides)
def test_padding_by_a_slow_loop(case, side):
    found, total = case
    columns = masks.padding(found, total=total, side=side).tensor(batch=len(found), queries=total, keys=total)
    rows = masks.padding_queries(found, total=total, side=side).tensor(batch=len(found), queries=total, keys=total)
    for b, length in enumerate(found.tolist()):
        words = range(length) if side == "right" else range(total - length, total)
        for q in range(total):
            for k in range(total):
                assert columns[b, 0, q, k] == (k in words)
                assert rows[b, 0, q, k] == (q in words)


@given(lengths(), st.lists(st.integers(0, 3), min_size=4, max_size=4), sizes)
def test_padding_on_both_sides_by_a_slow_loop(case, before, queries):
    found, total = case
    words = [range(start, start + n) for start, n in zip(before, found.tolist(), strict=False)]
    rule = masks.between(ints(*before)[: len(found)], ints(*before)[: len(found)] + found)
    same(rule, lambda b, h, q, k: k in words[b], batch=len(found), queries=queries, keys=total + 3)


@given(lengths(), sides)
def test_padding_is_padding_on_both_sides_with_nothing_on_one(case, side):
    found, total = case
    starts = torch.zeros_like(found) if side == "right" else total - found
    one = masks.padding(found, total=total, side=side).tensor(queries=1, keys=total)
    assert torch.equal(one, masks.between(starts, starts + found).tensor(queries=1, keys=total))


@given(st.integers(0, 6), st.integers(0, 6), st.integers(-2, 6))
def test_causal_by_a_slow_loop_and_by_torch(queries, keys, offset):
    mask = masks.causal(offset=offset).tensor(queries=queries, keys=keys)[0, 0]
    assert all(mask[q, k] == (k <= q + offset) for q in range(queries) for k in range(keys))
    assert torch.equal(mask, torch.ones(queries, keys, dtype=torch.bool).tril(offset))


def test_the_source_causal_mask():
    bias = torch.zeros(5, 5).masked_fill(~masks.causal().tensor(queries=5, keys=5)[0, 0], -torch.inf)
    assert torch.equal(bias, torch.triu(torch.full((5, 5), -torch.inf), diagonal=1))


@given(sizes, sizes, st.integers(0, 5), sizes)
def test_a_sliding_window_is_the_end_of_what_a_query_has_seen(queries, keys, offset, size):
    def last(b, h, q, k):
        seen = list(range(q + offset + 1))
        return k in seen[-size:]

    same(masks.sliding_window(size, offset=offset), last, queries=queries, keys=keys)


@given(sizes, st.integers(0, 4), st.integers(0, 4))
def test_a_window_counts_the_keys_that_a_query_sees(size, before, after):
    far = 20
    row = masks.sliding_window(size).tensor(queries=far, keys=far)[0, 0, 10]
    assert row.sum() == size and row[10]
    row = masks.bidirectional_window(before=before, after=after).tensor(queries=far, keys=far)[0, 0, 10]
    assert row.nonzero().flatten().tolist() == list(range(10 - before, 10 + after + 1))


@given(sizes, sizes, st.integers(0, 4), st.integers(0, 4))
def test_a_bidirectional_window_by_a_slow_loop(queries, keys, before, after):
    rule = masks.bidirectional_window(before=before, after=after)
    same(rule, lambda b, h, q, k: -before <= k - q <= after, queries=queries, keys=keys)


@given(sizes, sizes, st.integers(1, 4), sizes)
def test_a_dilated_window_sees_every_step_th_key(queries, keys, step, n):
    same(masks.dilated(step), lambda b, h, q, k: abs(q - k) in range(0, 9, step), queries=queries, keys=keys)
    window = masks.dilated(step) & masks.sliding_window((n - 1) * step + 1)
    same(window, lambda b, h, q, k: k in [q - i * step for i in range(n)], queries=queries, keys=keys)


@given(st.integers(1, 9), st.integers(1, 4), st.lists(st.integers(0, 3), min_size=1, max_size=3))
def test_blocks_and_chunks_by_a_slow_loop(length, size, starts):
    def together(b, q, k, begin):
        places = range(begin - 4 * size, length + size)
        rooms = [places[i : i + size] for i in range(0, len(places), size)]  # one room begins at `begin`
        return any(q in room and k in room for room in rooms)

    one, many = {"queries": length, "keys": length}, {"batch": len(starts), "queries": length, "keys": length}
    same(masks.blocks(size), lambda b, h, q, k: together(b, q, k, 0), **one)
    same(masks.chunks(size), lambda b, h, q, k: together(b, q, k, 0) and k <= q, **one)
    rule, began = masks.blocks(size, starts=ints(*starts)), masks.chunks(size, starts=ints(*starts))
    same(rule, lambda b, h, q, k: together(b, q, k, starts[b]), **many)
    same(began, lambda b, h, q, k: together(b, q, k, starts[b]) and k <= q, **many)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=3), sizes, sizes)
def test_a_prefix_is_seen_by_all(prefixes, queries, keys):
    size = {"batch": len(prefixes), "queries": queries, "keys": keys}
    same(masks.prefix_lm(ints(*prefixes)), lambda b, h, q, k: k in range(prefixes[b]) or k <= q, **size)


packed = st.lists(st.lists(st.integers(0, 3), max_size=4), min_size=1, max_size=3)


@given(packed, st.integers(0, 2))
def test_documents_by_a_slow_loop(rows, more):
    total = max(map(sum, rows)) + more
    ids = masks.document_ids(rows, total=total)
    inside = [[range(sum(row[:i]), sum(row[: i + 1])) for i in range(len(row))] for row in rows]
    for b, found in enumerate(ids.tolist()):
        assert found == [next((i for i, room in enumerate(inside[b]) if at in room), -1) for at in range(total)]
    size = {"batch": len(rows), "queries": total, "keys": total}
    same(masks.documents(ids), lambda b, h, q, k: any(q in room and k in room for room in inside[b]), **size)


def test_document_lengths_may_be_a_padded_tensor():
    rows = torch.tensor([[3, 2], [4, 0]])
    assert masks.document_ids(rows, total=6).tolist() == [[0, 0, 0, 1, 1, -1], [0, 0, 0, 0, -1, -1]]


@given(sizes, st.sets(st.integers(0, 7)), st.lists(st.booleans(), min_size=6, max_size=6))
def test_global_and_special_tokens_by_a_slow_loop(length, positions, marks):
    rule = masks.global_tokens(ints(*positions))
    same(rule, lambda b, h, q, k: q in positions or k in positions, queries=length, keys=length)
    special = torch.tensor(marks).view(2, 3)
    size = {"batch": 2, "queries": 3, "keys": 3}
    same(masks.special_tokens(special), lambda b, h, q, k: not special[b, k], **size)
    seen = masks.special_tokens(special, role="global")
    same(seen, lambda b, h, q, k: special[b, q] or special[b, k], **size)


@given(lengths(), sides, st.integers(0, 2))
def test_the_three_masks_of_an_encoder_decoder(case, side, more):
    source, longest = case
    target, total = source.flip(0), longest + more
    made = masks.encoder_decoder(source, target, source_total=longest, target_total=total, side=side)
    keys = [range(n) if side == "right" else range(longest - n, longest) for n in source.tolist()]
    own = [range(n) if side == "right" else range(total - n, total) for n in target.tolist()]
    batch = len(source)
    same(made.source, lambda b, h, q, k: k in keys[b], batch=batch, queries=longest, keys=longest)
    same(made.target, lambda b, h, q, k: k in own[b] and k <= q, batch=batch, queries=total, keys=total)
    same(made.cross, lambda b, h, q, k: k in keys[b], batch=batch, queries=total, keys=longest)


def every_rule():
    """One of each, for 2 sentences, 2 heads and 4 positions."""
    ids, special = torch.tensor([[0, 0, 1, 1], [0, 1, 1, -1]]), torch.tensor([[True, False, False, True]] * 2)
    all_four = {"batch": 2, "heads": 2, "queries": 4, "keys": 4}
    return {
        "everything": masks.everything(),
        "diagonal": masks.diagonal(),
        "padding": masks.padding(ints(4, 3), total=4),
        "padding_queries": masks.padding_queries(ints(4, 3), total=4, side="left"),
        "between": masks.between(ints(0, 1), ints(4, 3)),
        "causal": masks.causal(offset=1),
        "sliding_window": masks.sliding_window(2),
        "bidirectional_window": masks.bidirectional_window(before=1, after=0),
        "dilated": masks.dilated(2),
        "blocks": masks.blocks(2),
        "blocks with starts": masks.blocks(2, starts=ints(0, 1)),
        "chunks": masks.chunks(3, starts=ints(0, 1)),
        "prefix_lm": masks.prefix_lm(ints(0, 3)),
        "documents": masks.documents(ids),
        "global_tokens": masks.global_tokens(ints(0, 2)),
        "hidden tokens": masks.special_tokens(special),
        "special_tokens": masks.special_tokens(special, role="global"),
        "dropout": masks.dropout(0.5, **all_four, seed=0),
        "key_dropout": masks.key_dropout(0.5, batch=2, keys=4, seed=0),
        "head_dropout": masks.head_dropout(0.5, batch=2, heads=2, seed=0),
        "block_dropout": masks.block_dropout(0.5, **all_four, size=3, seed=0),
        "offset": masks.offset_queries(masks.sliding_window(2) | masks.global_tokens(ints(1)), offset=2),
        "not": ~masks.prefix_lm(ints(0, 3)) & masks.documents(ids),
    }


@pytest.mark.parametrize("name", every_rule())
def test_every_rule_is_a_function_of_single_indices(name):
    rule, size = every_rule()[name], {"batch": 2, "heads": 2, "queries": 4, "keys": 4}
    same(rule, lambda *at: rule.mask_mod(*map(torch.tensor, at)), **size)  # 0-d index tensors, one cell at a time
    mask = rule.tensor(**size)
    assert mask.dtype == torch.bool and mask.any() and (name == "everything") == bool(mask.all())


@given(lengths(), st.integers(1, 3))
def test_composition_of_rules_is_composition_of_tensors(case, heads):
    found, total = case
    size = {"batch": len(found), "heads": heads, "queries": total, "keys": total}
    pad, causal = masks.padding(found, total=total), masks.causal()
    a, b = pad.tensor(**size), causal.tensor(**size)
    assert a.shape == (len(found), heads, total, total)
    assert torch.equal((pad & causal).tensor(**size), a & b)
    assert torch.equal((pad | causal).tensor(**size), a | b)
    assert torch.equal((~pad).tensor(**size), ~a)
    assert torch.equal((masks.everything() & pad).tensor(**size), a)


@pytest.mark.parametrize("name", every_rule())
@pytest.mark.parametrize("cells", [1, 20, 100])
def test_block_by_block_is_the_same_as_at_once(name, cells, monkeypatch):
    rule = every_rule()[name]
    others = (masks.offset_queries(other, offset=rule.offset) for other in (masks.causal(), masks.diagonal()))
    rule = rule & next(others) | next(others)
    whole = rule.tensor(batch=2, heads=2, queries=4, keys=4)
    monkeypatch.setattr(masks.rule, "CELLS_AT_ONCE", cells)
    assert torch.equal(rule.tensor(batch=2, heads=2, queries=4, keys=4), whole)


def peak(make):
    """The most memory, in bytes, that tensors took at one time."""
    with profile(profile_memory=True) as profiled:
        made = make()
    events = [event for event in profiled.kineto_results.events() if event.name() == "[memory]"]
    assert made.numel() > 0  # it is alive until here
    return max(itertools.accumulate(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())))


N, NINES = 4096, torch.arange(4096)[None] // 9


@pytest.mark.parametrize("rule", [
    masks.causal(),
    masks.documents(NINES),
    masks.sliding_window(8) | masks.global_tokens(ints(0)),
    masks.padding(ints(1500), total=N) & masks.causal() & masks.dilated(2),
    ~(masks.documents(NINES) & masks.chunks(64)) | masks.bidirectional_window(before=2, after=3) & masks.causal(),
])  # fmt: skip
def test_a_large_mask_takes_little_more_memory_than_itself(rule):
    assert N * N <= peak(lambda: rule.tensor(queries=N, keys=N)) < N * N + 6 * masks.rule.CELLS_AT_ONCE


def test_a_large_mask_of_many_sentences_takes_little_more_memory_than_itself():
    rule = masks.documents(NINES[:, :512].expand(64, -1)) & masks.causal()
    cells = 64 * 512 * 512
    assert cells <= peak(lambda: rule.tensor(queries=512, keys=512)) < cells + 6 * masks.rule.CELLS_AT_ONCE


@pytest.mark.parametrize("rule", [
    masks.padding(ints(1500, 9), total=2048),
    masks.padding(ints(1500, 9), total=2048) & masks.key_dropout(0.5, batch=2, keys=2048, seed=0) & masks.everything(),
])  # fmt: skip
def test_a_rule_that_looks_at_no_query_gives_a_view(rule):
    mask = rule.tensor(heads=3, queries=2048, keys=2048)
    assert mask.shape == (2, 3, 2048, 2048) and mask.stride()[1:3] == (0, 0)
    assert mask.untyped_storage().nbytes() == 2 * 2048


def test_heads_and_sentences_that_a_rule_does_not_tell_apart_are_a_view():
    mask = (masks.causal() & masks.dilated(2)).tensor(batch=4, heads=8, queries=1024, keys=1024)
    assert mask.shape == (4, 8, 1024, 1024) and mask.untyped_storage().nbytes() == 1024 * 1024


@given(st.integers(0, 5), sizes)
def test_queries_behind_a_cache_are_the_last_rows(past, new):
    total = past + new
    ids = torch.arange(total)[None] // 2
    rule = (masks.causal() & masks.documents(ids)) | masks.global_tokens(ints(0))
    late = masks.offset_queries(rule, offset=past)
    assert torch.equal(late.tensor(queries=new, keys=total), rule.tensor(queries=total, keys=total)[:, :, past:])
    where = f", where query 0 is at position {past}." if past else "."
    assert masks.describe(late) == masks.describe(rule).removesuffix(".") + where


IDS = torch.tensor([[0, 0, 1, 1, 1, 2]])
DOCUMENTS = masks.documents(IDS)
LATE = {"causal": masks.causal(offset=5), "window": masks.sliding_window(2, offset=5),
        "any rule": masks.offset_queries(masks.diagonal() | masks.padding(ints(6), total=6), offset=5)}  # fmt: skip


@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
@pytest.mark.parametrize("other", [DOCUMENTS, masks.causal(), masks.causal(offset=4), ~DOCUMENTS | masks.diagonal()])
def test_two_parts_of_a_rule_never_mean_different_queries(late, other):
    """Query 0 is position 5 for one part, and another one for the other: `causal(offset=5) & documents(…)`."""
    for compose in (lambda: late & other, lambda: other | late, lambda: ~late & (other & masks.everything())):
        with pytest.raises(
            ValueError, match=r"query 0 must be at one position, got .* offset_queries\(rule, offset=…\)"
        ):
            compose()


@given(st.integers(0, 5), sizes)
def test_one_offset_for_all_parts_is_right(past, new):
    """Parts that do not look at the query, and parts of the same offset, compose as they are."""
    total = past + new
    words, ids = masks.padding(ints(total - 1), total=total), torch.arange(total)[None] // 2
    late = masks.offset_queries(masks.documents(ids), offset=past)
    rule = words & masks.causal(offset=past) & (masks.everything() & late | masks.key_dropout(0.5, **ONE_ROW, seed=0))
    kept = masks.key_dropout(0.5, **ONE_ROW, seed=0).tensor(queries=1, keys=20)[0, 0, 0]

    def allowed(b, h, q, k):
        q = q + past
        return k < total - 1 and k <= q and (ids[0, q] == ids[0, k] or kept[k])

    same(rule, allowed, queries=new, keys=total)
    assert rule.offset == past


ONE_ROW = {"batch": 1, "keys": 20}


def test_what_does_not_look_at_the_query_has_no_offset():
    assert masks.offset_queries(WORDS, offset=2).offset == 0
    assert masks.describe(masks.offset_queries(WORDS, offset=2)) == masks.describe(WORDS)
    assert masks.offset_queries(masks.offset_queries(masks.causal(), offset=2), offset=3).offset == 5
    short = masks.documents(torch.zeros(1, 1, dtype=torch.int64))  # a table of one query
    assert masks.offset_queries(short, offset=1).offset == 1


@pytest.mark.parametrize("lose", [
    lambda a, b: a and b,
    lambda a, b: a or b,
    lambda a, b: not a,
    lambda a, b: a if b else b,
    lambda a, b: all([a, b]),
])  # fmt: skip
def test_python_words_do_not_lose_a_rule(lose):
    with pytest.raises(TypeError, match="no truth value: write & for and, | for or, ~ for not"):
        lose(masks.causal(), WORDS)


def test_a_rule_stays_where_its_tables_are():
    """With another default device every tensor whose place is not said would come out on it: on "meta" here."""
    cpu = torch.device("cpu")
    tables = ints(4, 3), ints(0, 1), torch.tensor([[0, 0, 1, 1], [0, 1, 1, -1]]), torch.tensor([[True, False] * 2] * 2)
    with torch.device("meta"):
        lengths, starts, ids, special = tables
        rules = [
            masks.padding(lengths, total=4, side="left") & masks.causal(),
            masks.causal() | masks.padding_queries(lengths, total=4),
            masks.between(starts, lengths) & masks.everything(),
            masks.sliding_window(2) | masks.global_tokens(starts),
            masks.chunks(3, starts=starts),
            masks.prefix_lm(starts),
            ~masks.documents(ids),
            masks.special_tokens(special, role="global") | masks.diagonal(),
            masks.offset_queries(masks.causal() & masks.documents(ids), offset=1) & masks.padding(lengths, total=4),
            masks.encoder_decoder(lengths, lengths, source_total=4, target_total=4).target,
            masks.block_dropout(0.5, batch=2, heads=2, queries=4, keys=4, size=3, seed=0, device=cpu) & masks.causal(),
        ]
        found = [rule.tensor(queries=3, keys=4) for rule in rules]
        assert masks.causal().tensor(queries=2, keys=2).is_meta  # no table: torch's default device
        assert masks.causal().tensor(queries=2, keys=2, device="cpu").device == cpu
    for rule, mask in zip(rules, found, strict=True):
        assert rule.device == mask.device == cpu
        assert torch.equal(mask, rule.tensor(queries=3, keys=4))
    assert rules[0].tensor(queries=2, keys=4, device="meta").is_meta


def test_a_large_rule_stays_where_its_tables_are(monkeypatch):
    monkeypatch.setattr(masks.rule, "CELLS_AT_ONCE", 20)
    rule = DOCUMENTS & masks.causal()
    with torch.device("meta"):
        mask = rule.tensor(queries=6, keys=6)
    assert torch.equal(mask, rule.tensor(queries=6, keys=6))


def test_dropout_is_the_same_on_every_device_and_tables_of_two_devices_do_not_compose():
    away = masks.key_dropout(0.5, batch=1, keys=6, seed=0, device="meta")
    assert away.tensor(queries=2, keys=6).is_meta
    with pytest.raises(ValueError, match="on one device, got meta and cpu"):
        away & DOCUMENTS


def test_seeds_hold_in_threads():
    def make(seed):
        return [
            rule.tensor(queries=26, keys=30)
            for rule in (
                masks.dropout(0.5, **BIG, seed=seed),
                masks.key_dropout(0.5, batch=20, keys=30, seed=seed),
                masks.head_dropout(0.5, batch=20, heads=6, seed=seed),
                masks.block_dropout(0.5, **BIG, size=3, seed=seed),
            )
        ]

    for seed, made in enumerate(in_threads(make)):
        assert all(torch.equal(one, other) for one, other in zip(made, make(seed), strict=True))


class Listed(TorchDispatchMode):
    """Keep the operations that torch is asked for."""

    def __init__(self):
        super().__init__()
        self.operations = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.operations.append(operation)
        return operation(*args, **(kwargs or {}))


# Besides pointwise operations FlexAttention's compiler takes these; it has no code for sums or `any` along an axis.
LOOKED_UP = {"aten.index.Tensor", "aten.ones_like.default", "aten.floor_divide.default"}


@pytest.mark.parametrize("name", every_rule())
def test_every_rule_is_made_of_what_flex_attention_compiles(name):
    rule, index = every_rule()[name], torch.arange(2)
    with Listed() as listed:
        rule.mask_mod(index, index, index, index)
    assert {str(one) for one in listed.operations if torch.Tag.pointwise not in one.tags} <= LOOKED_UP
    assert listed.operations


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
def test_flex_attention_compiles_global_tokens():
    q, k, v = torch.randn(3, 1, 2, 32, 16, generator=torch.Generator().manual_seed(0))
    rule = masks.sliding_window(8) | masks.global_tokens(ints(0, 3))
    block_mask = dialects.to_block_mask(rule, heads=2, queries=32, keys=32, block_size=16)
    output = torch.compile(flex_attention)(q, k, v, block_mask=block_mask)
    expected = attend(q, k, v, rule.tensor(heads=2, queries=32, keys=32)).output
    torch.testing.assert_close(output, expected, atol=1e-5, rtol=1e-5)


def test_sizes_may_be_integers_of_numpy():
    n = np.int64
    for rule, plain in (
        (masks.causal(offset=n(1)), masks.causal(offset=1)),
        (masks.sliding_window(n(2)), masks.sliding_window(2)),
        (masks.blocks(n(2)) & masks.dilated(n(2)), masks.blocks(2) & masks.dilated(2)),
        (masks.padding(ints(2), total=n(4)), masks.padding(ints(2), total=4)),
        (masks.key_dropout(0.5, batch=n(1), keys=n(4), seed=n(0)), masks.key_dropout(0.5, batch=1, keys=4, seed=0)),
    ):
        assert torch.equal(rule.tensor(batch=n(1), queries=n(3), keys=n(4)), plain.tensor(queries=3, keys=4))
    assert torch.equal(masks.document_ids([[2]], total=n(3)), masks.document_ids([[2]], total=3))


def test_a_rule_keeps_its_own_table():
    ids, special = torch.tensor([[0, 0, 1, -1]]), torch.tensor([[True, False, False, False]])
    starts, ends, prefix, positions = ints(0), ints(3), ints(2), ints(1)
    rules = [
        masks.documents(ids),
        masks.special_tokens(special),
        masks.between(starts, ends),
        masks.blocks(2, starts=starts),
        masks.prefix_lm(prefix),
        masks.global_tokens(positions),
    ]
    before = [rule.tensor(queries=4, keys=4).clone() for rule in rules]
    for table in (ids, special, starts, ends, prefix, positions):
        table.fill_(1)
    assert all(torch.equal(rule.tensor(queries=4, keys=4), was) for rule, was in zip(rules, before, strict=True))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int32])
def test_a_table_may_be_of_any_integers_and_any_view(dtype):
    ids, at = torch.tensor([[0, 0, 1, 1], [0, 1, 1, 1]]), ints(1, 2)
    views = torch.stack([ids, ids + 1], dim=-1).to(dtype)[..., 0], torch.stack([at, at], dim=-1).to(dtype)[:, 0]
    assert not views[0].is_contiguous() and not views[1].is_contiguous()
    for make in (
        lambda ids, at: masks.documents(ids) & masks.padding(at, total=4),
        lambda ids, at: masks.chunks(2, starts=at) | masks.global_tokens(at),
        lambda ids, at: masks.prefix_lm(at) & ~masks.between(at, at),
    ):
        assert torch.equal(make(*views).tensor(queries=4, keys=4), make(ids, at).tensor(queries=4, keys=4))


BIG = {"batch": 20, "heads": 6, "queries": 26, "keys": 30}  # not square: an index in the wrong place shows


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 1.0])
def test_dropout_drops_at_its_rate_and_by_its_seed_alone(rate):
    def all_of(seed):
        return [
            masks.dropout(rate, **BIG, seed=seed),
            masks.key_dropout(rate, batch=400, keys=30, seed=seed),
            masks.head_dropout(rate, batch=400, heads=30, seed=seed),
            masks.block_dropout(rate, **BIG, size=3, seed=seed),
        ]

    state = torch.random.get_rng_state()
    for one, again, other in zip(all_of(1), all_of(1), all_of(2), strict=True):
        mask = one.tensor(queries=26, keys=30)
        assert abs(1 - mask.float().mean() - rate) < 0.025  # at least 10,800 draws: five standard deviations
        assert torch.equal(mask, again.tensor(queries=26, keys=30))
        assert torch.equal(mask, other.tensor(queries=26, keys=30)) == (rate in (0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_seed_is_one_rule_whatever_torchs_default_dtype_is():
    here = masks.dropout(0.5, **BIG, seed=0).tensor(queries=26, keys=30)
    torch.set_default_dtype(torch.float64)
    try:
        there = masks.dropout(0.5, **BIG, seed=0).tensor(queries=26, keys=30)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(here, there)


def varies(mask):
    """On which axes is a mask not the same everywhere?"""
    return [axis for axis in range(4) if not torch.equal(mask, mask.roll(1, axis))]


def test_structured_dropout_drops_together():
    singly = masks.dropout(0.5, **BIG, seed=0).tensor(queries=26, keys=30)
    assert varies(singly) == [0, 1, 2, 3]
    by_key = masks.key_dropout(0.5, batch=4, keys=30, seed=0).tensor(heads=3, queries=26, keys=30)
    assert varies(by_key) == [0, 3]
    by_head = masks.head_dropout(0.5, batch=4, heads=8, seed=0).tensor(queries=26, keys=30)
    assert varies(by_head) == [0, 1]
    by_block = masks.block_dropout(0.5, **BIG, size=4, seed=0).tensor(queries=26, keys=30)
    corners = by_block[:, :, ::4, ::4]
    whole = corners.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)[:, :, :26, :30]
    assert torch.equal(by_block, whole) and varies(corners) == [0, 1, 2, 3]


@given(seeds, st.sampled_from([0.3, 0.9, 1.0]), lengths())
def test_a_query_never_loses_its_own_key_when_it_is_kept(seed, rate, case):
    found, total = case
    size = {"batch": len(found), "heads": 2, "queries": total, "keys": total}
    rules = [
        masks.dropout(rate, **size, seed=seed),
        masks.key_dropout(rate, batch=len(found), keys=total, seed=seed),
        masks.head_dropout(rate, batch=len(found), heads=2, seed=seed),
        masks.block_dropout(rate, **size, size=2, seed=seed),
    ]
    words = masks.padding(found, total=total).tensor(queries=1, keys=total)[:, 0, 0]
    for rule in rules:
        mask = ((rule | masks.diagonal()) & masks.causal() & masks.padding(found, total=total)).tensor(**size)
        full = mask.any(-1)
        assert full.transpose(1, 2)[words].all()  # every row of a word has a key


@given(
    seeds, st.integers(1, 5), st.lists(st.sampled_from([0.0, 0.2, 0.5, 1.0]), min_size=1, max_size=3), st.integers(0, 2)
)
def test_the_receptive_field_is_what_gradients_find(seed, length, shares, layers):
    """Random masks, empty rows and blocked diagonals among them; one a layer, the stack repeated."""
    g = torch.Generator().manual_seed(seed)
    stack = [torch.rand(length, length, generator=g) < share for share in shares]

    def model(x):
        for mask in stack * layers:
            x = x + attend(x, x, x, mask[None, None]).output
        return x

    x = torch.randn(1, 1, length, 2, generator=g, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(model, x).view(length, 2, length, 2)
    assert torch.equal(jacobian.abs().amax((1, 3)) > 0, masks.receptive_field(*stack, layers=layers))


@given(st.integers(1, 5), st.integers(0, 4))
def test_the_receptive_field_of_a_window(size, layers):
    window = masks.sliding_window(size).tensor(queries=20, keys=20)
    wider = masks.sliding_window(layers * (size - 1) + 1).tensor(queries=20, keys=20)
    assert torch.equal(masks.receptive_field(window, layers=layers).expand_as(wider), wider)
    assert masks.receptive_field(window, layers=layers)[..., 19, :].sum() == layers * (size - 1) + 1


def test_the_receptive_field_of_no_layer_is_each_position_itself():
    two = torch.ones(2, 1, 3, 3, dtype=torch.bool)
    assert torch.equal(masks.receptive_field(two, layers=0), torch.eye(3, dtype=torch.bool).expand(2, 1, 3, 3))
    assert masks.receptive_field(two[0, 0], two, layers=0).shape == (2, 1, 3, 3)  # as with layers


def test_the_receptive_field_stays_where_the_masks_are():
    away = torch.ones(3, 3, dtype=torch.bool, device="meta")
    assert (
        masks.receptive_field(away, layers=2).device.type == masks.receptive_field(away, layers=0).device.type == "meta"
    )


def test_the_receptive_field_across_chunks_needs_another_rule():
    chunks = masks.chunks(4).tensor(queries=12, keys=12)
    assert torch.equal(masks.receptive_field(chunks, layers=9), chunks)  # the same wall in every layer
    full = masks.causal().tensor(queries=12, keys=12)
    assert torch.equal(masks.receptive_field(chunks, chunks, full), full)


WORDS = masks.padding(ints(2), total=3)


@pytest.mark.parametrize(("rule", "sentence"), [
    (masks.everything(), "A query may attend to every key."),
    (masks.diagonal(), "A query may attend to a key if the key is the query itself."),
    (masks.causal() & WORDS, "A query may attend to a key if the key is not after the query and the key is a word."),
    (masks.causal() | WORDS, "A query may attend to a key if the key is not after the query or the key is a word."),
    (~WORDS, "A query may attend to a key unless the key is a word."),
    (~(WORDS | masks.diagonal()),
     "A query may attend to a key unless the key is a word or the key is the query itself."),
    (~~WORDS, "A query may attend to a key unless it is not true that (the key is a word)."),
    (masks.causal() & ~WORDS & masks.diagonal(),
     "A query may attend to a key if the key is not after the query and it is not true that (the key is a word) "
     "and the key is the query itself."),
    (masks.causal() & WORDS | masks.diagonal(),
     "A query may attend to a key if (the key is not after the query and the key is a word) "
     "or the key is the query itself."),
    (masks.causal() & (WORDS | masks.diagonal() | masks.everything()),
     "A query may attend to a key if the key is not after the query."),
    (masks.causal() & (WORDS | masks.diagonal() | ~masks.everything()),
     "A query may attend to a key if the key is not after the query "
     "and (the key is a word or the key is the query itself)."),
    (masks.sliding_window(3) | masks.global_tokens(ints(0)),
     "A query may attend to a key if (the key is not after the query "
     "and the key is one of the last 3, the query itself included) or the query is global or the key is global."),
    (masks.sliding_window(1),
     "A query may attend to a key if the key is not after the query and the key is the last one, the query itself."),
    (masks.bidirectional_window(before=0, after=2),
     "A query may attend to a key if the key is not before the query and the key is at most 2 after the query."),
    (masks.bidirectional_window(before=1, after=0),
     "A query may attend to a key if the key is at most 1 before the query and the key is not after the query."),
    (masks.causal() & masks.everything(), "A query may attend to a key if the key is not after the query."),
    (~masks.everything() | masks.causal(), "A query may attend to a key if the key is not after the query."),
    (~(masks.causal() & masks.everything()), "A query may attend to a key unless the key is not after the query."),
    (~masks.everything(), "A query may attend to no key."),
    (masks.causal() & ~masks.everything(), "A query may attend to no key."),
    (~masks.everything() | ~masks.everything(), "A query may attend to no key."),
    (~~masks.everything(), "A query may attend to every key."),
    (masks.causal() | masks.everything(), "A query may attend to every key."),
    (masks.everything() & masks.everything(), "A query may attend to every key."),
    (masks.offset_queries(masks.everything(), offset=2), "A query may attend to every key."),
    (masks.causal(offset=1),
     "A query may attend to a key if the key is not after the query, where query 0 is at position 1."),
    (~masks.causal(offset=-2) | WORDS,
     "A query may attend to a key if it is not true that (the key is not after the query) or the key is a word, "
     "where query 0 is at position -2."),
    (masks.offset_queries(masks.causal() & masks.everything(), offset=5),
     "A query may attend to a key if the key is not after the query, where query 0 is at position 5."),
    (masks.Rule(masks.diagonal().mask_mod, masks.everything().meaning),
     "A query may attend to a key if every key is allowed."),
    (masks.prefix_lm(ints(2)) & WORDS,
     "A query may attend to a key if (the key is not after the query or the key is in the prefix) "
     "and the key is a word."),
])  # fmt: skip
def test_a_rule_in_one_sentence(rule, sentence):
    assert masks.describe(rule) == sentence


def test_every_rule_is_a_sentence():
    for rule in every_rule().values():
        sentence = masks.describe(rule)
        assert sentence.startswith("A query may attend to ") and sentence.count(".") == 1 and sentence.endswith(".")
        assert sentence.count("(") == sentence.count(")")


def test_a_rule_says_what_it_means():
    assert (~masks.causal()).meaning == "not (the key is not after the query)"
    assert (masks.causal() | masks.everything()).meaning == "(the key is not after the query or every key is allowed)"


def test_a_rule_is_itself_alone_and_is_not_pickled():
    """Two rules of the same parts may still differ, because functions cannot be compared."""
    rule = masks.causal()
    again = masks.Rule(rule.mask_mod, rule.meaning)
    assert rule == rule and rule != again and len({rule, again, rule}) == 2
    assert len({masks.documents(table(1, 2)) & rule, rule}) == 2  # hashable, whatever it is made of
    with pytest.raises((AttributeError, pickle.PicklingError), match="local object"):
        pickle.dumps(rule)


def test_what_lies_beyond_the_text_does_not_count():
    size = {"queries": 4, "keys": 4}
    assert not masks.global_tokens(ints(4, 9)).tensor(**size).any()
    assert masks.prefix_lm(ints(9)).tensor(**size).all()
    assert torch.equal(masks.between(ints(1), ints(9)).tensor(**size), masks.between(ints(1), ints(4)).tensor(**size))


def test_a_rule_for_some_sentences_is_never_used_for_others():
    two = masks.padding(torch.tensor([1, 2]), total=2)
    assert two.tensor(queries=2, keys=2).shape == (2, 1, 2, 2)  # it knows its batch
    with pytest.raises(ValueError, match="a rule for 2 sentences does not fit a batch of 1"):
        two.tensor(batch=1, queries=2, keys=2)
    with pytest.raises(ValueError, match="a rule for 2 sentences does not fit a batch of 3"):
        two & masks.padding(torch.tensor([1, 2, 2]), total=2)
    with pytest.raises(ValueError, match="a rule for 2 sentences does not fit a batch of 1"):
        masks.encoder_decoder(ints(1, 2), ints(1), source_total=2, target_total=2)
    with pytest.raises(ValueError, match="a rule for 1 sentence does not fit a batch of 2"):
        masks.between(ints(0), ints(1, 2))


def test_a_rule_for_some_heads_is_never_used_for_others():
    four = masks.head_dropout(0.5, batch=1, heads=4, seed=0)
    assert four.tensor(queries=2, keys=2).shape == (1, 4, 2, 2)  # it knows its heads
    assert (~four & masks.causal()).tensor(queries=2, keys=2).shape == (1, 4, 2, 2)
    with pytest.raises(ValueError, match=r"a rule for 4 heads does not fit 1 head\."):
        four.tensor(heads=1, queries=2, keys=2)
    with pytest.raises(ValueError, match="a rule for 4 heads does not fit 2 heads"):
        four | masks.head_dropout(0.5, batch=1, heads=2, seed=0)


def test_no_sentence_and_no_position_give_an_empty_mask():
    none = torch.zeros(0, dtype=torch.int64)
    assert masks.padding(none, total=0).tensor(queries=0, keys=0).shape == (0, 1, 0, 0)
    assert masks.document_ids([(), [1]], total=1).tolist() == [[-1], [0]]
    assert masks.documents(masks.document_ids([[]], total=0)).tensor(queries=0, keys=0).shape == (1, 1, 0, 0)


def table(*shape):
    return torch.zeros(shape, dtype=torch.int64)


BOOL = torch.zeros(2, 2, dtype=torch.bool)
NO_BOOL = masks.Rule(lambda b, h, q, k: k - q, "no bool")
PYTHON_BOOL = masks.Rule(lambda b, h, q, k: True, "a bool of Python")
RULE = r"must be a tensor .*, got a rule\. Use rule.tensor\(queries=…, keys=…\)"


@pytest.mark.parametrize(("wrong", "error", "words"), [
    (lambda: masks.sliding_window(0), ValueError, "size must be an integer, at least 1, got 0"),
    (lambda: masks.sliding_window(2.0), ValueError, "size must be an integer, at least 1, got 2.0"),
    (lambda: masks.bidirectional_window(before=1, after=-1), ValueError, "after must be .* at least 0, got -1"),
    (lambda: masks.dilated(0), ValueError, "step must be"),
    (lambda: masks.blocks(0), ValueError, "size must be"),
    (lambda: masks.chunks(2, starts=table(2, 2)), TypeError, r"starts .* axes \(batch\), .* shape \(2, 2\)"),
    (lambda: masks.offset_queries(masks.causal(), offset=-1), ValueError, "offset must be .* at least 0, got -1"),
    (lambda: masks.between(ints(2), ints(1)),
     ValueError, r"no end may be before its start, got starts \[2\] and ends \[1\]"),
    (lambda: masks.between(ints(-1), ints(1)), ValueError, "starts must be at least 0, got -1"),
    (lambda: masks.prefix_lm(torch.tensor([1.0])), TypeError, "prefixes must be a tensor of integers .* torch.float32"),
    (lambda: masks.prefix_lm([1]), TypeError, r"prefixes must be a tensor of integers .* got \[1\]"),
    (lambda: masks.documents(ints(0, 1)), TypeError, r"ids .* axes \(batch, length\), .* shape \(2,\)"),
    (lambda: masks.documents(table(1, 2) - 2), ValueError, "ids must be at least -1, got -2"),
    (lambda: masks.document_ids([3, 2], total=6), TypeError, r"each row of lengths .* axes \(documents\)"),
    (lambda: masks.document_ids([[1.5, 2.0]], total=6), TypeError, r"must be a tensor of integers.*torch.float32"),
    (lambda: masks.document_ids([[3, 2]], total=4), ValueError, r"at most total=4, got \[3, 2\]"),
    (lambda: masks.document_ids([[3, -2]], total=4), ValueError, "must be at least 0, got -2"),
    (lambda: masks.global_tokens(ints(-1)), ValueError, "positions must be at least 0"),
    (lambda: masks.special_tokens(table(1, 2)),
     TypeError, r"special must be bool, .* axes \(batch, length\), got torch.int64"),
    (lambda: masks.special_tokens(BOOL, role="seen"), ValueError, "'hidden' or 'global', got 'seen'"),
    (lambda: masks.key_dropout(1.5, batch=1, keys=2, seed=0), ValueError, "rate must be between 0 and 1, got 1.5"),
    (lambda: masks.block_dropout(0.5, **BIG, size=0, seed=0), ValueError, "size must be"),
    (lambda: masks.block_dropout(0.5, **BIG, size=True, seed=0), ValueError, "size must be .* got True"),
    (lambda: masks.causal(offset=0.5), ValueError, "offset must be an integer, got 0.5"),
    (lambda: masks.causal(offset=True), ValueError, "offset must be an integer, got True"),
    (lambda: masks.sliding_window(2, offset=0.5), ValueError, "offset must be an integer, got 0.5"),
    (lambda: masks.padding(torch.tensor([2.5]), total=3), TypeError, r"lengths must .* integers .* torch.float32"),
    (lambda: masks.padding_queries([2], total=3), TypeError, r"lengths must .* integers .* got \[2\]"),
    (lambda: masks.encoder_decoder(ints(1), torch.tensor(1), source_total=2, target_total=2),
     TypeError, r"lengths must .* axes \(batch\), .* of shape \(\)"),
    (lambda: masks.encoder_decoder([1], [1], source_total=2, target_total=2), TypeError, r"lengths must .* got \[1\]"),
    (lambda: masks.receptive_field(), ValueError, r"needs masks \(\.\.\., length, length\) of one length, got \[\]"),
    (lambda: masks.receptive_field(masks.causal()), TypeError, RULE),
    (lambda: masks.receptive_field([BOOL]), TypeError, r"must be a tensor .*, got \[tensor"),
    (lambda: masks.receptive_field(torch.tensor(True)), ValueError, r"got \[\(\)\]"),
    (lambda: masks.receptive_field(BOOL[0]), ValueError, r"got \[\(2,\)\]"),
    (lambda: masks.receptive_field(table(2, 2)), TypeError, r"must be bool.*torch.int64 of shape \(2, 2\)"),
    (lambda: masks.receptive_field(BOOL[:1]), ValueError, "of one length"),
    (lambda: masks.receptive_field(BOOL, BOOL[:1, :1]), ValueError, "of one length"),
    (lambda: masks.receptive_field(BOOL, layers=-1), ValueError, "layers must be"),
    (lambda: masks.causal() & BOOL, TypeError, "a rule composes with a rule, got torch.bool"),
    (lambda: NO_BOOL.tensor(queries=2, keys=2), TypeError, "“no bool” gives torch.int64"),
    (lambda: (~NO_BOOL).tensor(queries=999, keys=999), TypeError, r"“not \(no bool\)” gives torch.int64"),
    (lambda: PYTHON_BOOL.tensor(queries=2, keys=2), TypeError, "“a bool of Python” gives True"),
    (lambda: (~PYTHON_BOOL).tensor(queries=999, keys=999), TypeError, "a bool tensor, .* gives -2"),
    (lambda: masks.causal().tensor(queries=-1, keys=2), ValueError, "queries must be .* at least 0, got -1"),
    (lambda: masks.causal().tensor(queries=2, keys=-1), ValueError, "keys must be .* at least 0, got -1"),
    (lambda: masks.causal().tensor(queries=2, keys=2.0), ValueError, "keys must be .* got 2.0"),
    (lambda: masks.causal().tensor(batch=-1, queries=2, keys=2), ValueError, "batch must be .* got -1"),
    (lambda: masks.padding(ints(2), total=2.5), ValueError, "total must be an integer, at least 0, got 2.5"),
    (lambda: masks.padding(ints(0), total=-1), ValueError, "total must be .* got -1"),
    (lambda: masks.document_ids([[2]], total=2.5), ValueError, "total must be .* got 2.5"),
    (lambda: masks.dropout(0.5, **BIG | {"keys": 3.0}, seed=0), ValueError, "keys must be .* got 3.0"),
    (lambda: masks.block_dropout(0.5, **BIG | {"keys": 3.0}, size=2, seed=0), ValueError, "keys must be .* got 3.0"),
    (lambda: masks.padding(np.array([2]), total=3), TypeError,
     r"got a NumPy array of int64 and shape \(1,\)\. Use torch.from_numpy\(lengths\)"),
    (lambda: masks.documents(masks.causal()), TypeError, r"got a rule\. Use rule.tensor"),
    (lambda: masks.special_tokens(np.array([[True]])), TypeError, "must be a tensor .* got a NumPy array of bool"),
    (lambda: WORDS.tensor(queries=3, keys=4), ValueError, "the rule does not know all of 3 queries and 4 keys"),
])  # fmt: skip
def test_what_is_wrong_is_said(wrong, error, words):
    with pytest.raises(error, match=words):
        wrong()
