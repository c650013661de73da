"""A mask is a rule on indices and the tensor that it gives; both compose."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from masklab import masks
from tests.strategies import lengths, sides


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


@given(st.integers(0, 6), st.integers(0, 6), st.integers(-2, 6))
def test_causal_by_a_slow_loop_and_by_torch(queries, keys, offset):
    mask = masks.causal(offset=offset).tensor(queries=queries, keys=keys)[0, 0]
    assert all(mask[q, k] == (k <= q + offset) for q in range(queries) for k in range(keys))
    assert torch.equal(mask, torch.ones(queries, keys, dtype=torch.bool).tril(offset))


def test_the_source_causal_mask():
    bias = torch.zeros(5, 5).masked_fill(~masks.causal().tensor(queries=5, keys=5)[0, 0], -torch.inf)
    assert torch.equal(bias, torch.triu(torch.full((5, 5), -torch.inf), diagonal=1))


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


@given(lengths())
def test_the_rule_is_a_mask_mod_of_flex_attention(case):
    from torch.nn.attention.flex_attention import create_mask

    found, total = case
    if total == 0:
        return
    rule = masks.padding(found, total=total) & masks.causal()
    flex = create_mask(rule.allows, len(found), 2, total, total, device="cpu")
    assert torch.equal(rule.tensor(batch=len(found), heads=2, queries=total, keys=total), flex)


def test_a_rule_for_some_sentences_is_never_used_for_others():
    two = masks.padding(torch.tensor([1, 2]), total=2)
    assert two.tensor(queries=2, keys=2).shape == (2, 1, 2, 2)  # it knows its batch
    with pytest.raises(ValueError, match="a rule for 2 sentences does not fit a batch of 1"):
        two.tensor(batch=1, queries=2, keys=2)
    with pytest.raises(ValueError, match="a rule for 2 sentences does not fit a batch of 3"):
        two & masks.padding(torch.tensor([1, 2, 2]), total=2)


def test_a_rule_says_what_it_means():
    assert (~masks.causal()).meaning == "not (the key is not after the query)"
    assert (masks.causal() | masks.everything()).meaning == "(the key is not after the query or every key is allowed)"
