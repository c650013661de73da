"""Our attention equals torch's own, stage by stage, on random shapes, masks and dtypes."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from masklab import dialects, masks
from masklab.attention import attend
from tests.strategies import DTYPES, attention_inputs, seeds


def close(a, b, dtype):
    torch.testing.assert_close(a, b, atol=DTYPES[dtype], rtol=DTYPES[dtype], equal_nan=True)


@given(attention_inputs())
def test_attend_equals_scaled_dot_product_attention(case):
    q, k, v, mask = case
    ours = attend(q, k, v, mask)
    close(ours.output, F.scaled_dot_product_attention(q, k, v, attn_mask=mask), q.dtype)
    by_bias = F.scaled_dot_product_attention(q, k, v, attn_mask=dialects.to_bias(mask, dtype=q.dtype))
    close(ours.output, by_bias, q.dtype)


@given(attention_inputs())
def test_a_fully_masked_row_is_zeros_in_the_library_and_nan_in_the_formula(case):
    q, k, v, mask = case
    empty = ~mask.expand(*q.shape[:-1], k.shape[-2]).any(dim=-1)
    zeros, nans = attend(q, k, v, mask), attend(q, k, v, mask, on_empty="nan")
    assert (zeros.weights[empty] == 0).all() and (zeros.output[empty] == 0).all()
    assert nans.weights[empty].isnan().all() and nans.output[empty].isnan().all()
    assert torch.equal(zeros.weights[~empty], nans.weights[~empty])
    sums = torch.where(empty, 0.0, 1.0).to(q.dtype)
    close(zeros.weights.sum(dim=-1), sums, q.dtype)


@given(attention_inputs())
def test_the_stages_are_the_formula(case):
    q, k, v, mask = case
    stages = attend(q, k, v, mask, on_empty="nan")
    close(stages.scores, q @ k.mT / q.shape[-1] ** 0.5, q.dtype)
    assert torch.equal(stages.bias, dialects.to_bias(mask, dtype=q.dtype).expand(stages.bias.shape))
    assert torch.equal(stages.masked, stages.scores + stages.bias)
    close(stages.weights, stages.masked.softmax(dim=-1), q.dtype)
    close(stages.output, stages.weights @ v, q.dtype)


@given(attention_inputs(dtypes=(torch.float32, torch.float64)))
def test_gradients_stay_finite_with_empty_rows(case):
    q, k, v, mask = case
    leaves = [x.clone().requires_grad_() for x in (q, k, v)]
    attend(*leaves, mask).output.pow(2).sum().backward()
    reference = [x.clone().requires_grad_() for x in (q, k, v)]
    F.scaled_dot_product_attention(*reference, attn_mask=mask).pow(2).sum().backward()
    for ours, theirs in zip(leaves, reference, strict=True):
        assert ours.grad.isfinite().all()
        close(ours.grad, theirs.grad, q.dtype)


def split_heads(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)  # (B, L, E) → (B, H, L, E/H)


def by_hand(layer: nn.MultiheadAttention, x, mask, *, empty):
    """nn.MultiheadAttention's own weights, run through our attention."""
    q, k, v = (
        split_heads(part, layer.num_heads)
        for part in F.linear(x, layer.in_proj_weight, layer.in_proj_bias).chunk(3, -1)
    )
    return layer.out_proj(attend(q, k, v, mask, on_empty=empty).output.transpose(1, 2).flatten(-2))


@st.composite
def layer_inputs(draw):
    heads, dim, batch, length = (draw(st.integers(1, n)) for n in (3, 4, 3, 5))
    g = torch.Generator().manual_seed(draw(seeds))
    dtype = draw(st.sampled_from(list(DTYPES)))
    x = torch.randn(batch, length, heads * dim, generator=g).to(dtype)
    words = torch.rand(batch, length, generator=g) < draw(st.sampled_from([0.3, 0.8, 1.0]))
    pairs = torch.rand(batch, 1, length, length, generator=g) < draw(st.sampled_from([0.5, 1.0]))
    return heads, x, words, pairs


@given(layer_inputs())
def test_attend_equals_multihead_attention(case):
    heads, x, words, pairs = case
    layer = nn.MultiheadAttention(x.shape[-1], heads, batch_first=True, dtype=x.dtype)
    both = {
        "key_padding_mask": dialects.to_key_padding_mask(words),
        "attn_mask": dialects.to_mha_attn_mask(pairs, heads=heads),
    }
    mask = words[:, None, None, :] & pairs
    close(layer(x, x, x, **both, need_weights=True)[0], by_hand(layer, x, mask, empty="nan"), x.dtype)
    # Without the weights, in train mode, the fused kernel runs: a fully masked row is finite there.
    close(layer(x, x, x, **both, need_weights=False)[0], by_hand(layer, x, mask, empty="zeros"), x.dtype)


@given(layer_inputs(), st.booleans())
def test_attend_equals_transformer_encoder_layer(case, norm_first):
    heads, x, words, _ = case
    layer = nn.TransformerEncoderLayer(
        x.shape[-1], heads, dim_feedforward=7, dropout=0.0, batch_first=True, norm_first=norm_first, dtype=x.dtype
    )
    mask = words[:, None, None, :]

    def feed_forward(y):
        return layer.linear2(F.relu(layer.linear1(y)))

    if norm_first:
        y = x + by_hand(layer.self_attn, layer.norm1(x), mask, empty="zeros")
        ours = y + feed_forward(layer.norm2(y))
    else:
        y = layer.norm1(x + by_hand(layer.self_attn, x, mask, empty="zeros"))
        ours = layer.norm2(y + feed_forward(y))
    theirs = layer(x, src_key_padding_mask=dialects.to_key_padding_mask(words))
    # Layer norms divide by a spread that can be tiny here, so an error can grow tenfold.
    torch.testing.assert_close(ours, theirs, atol=10 * DTYPES[x.dtype], rtol=10 * DTYPES[x.dtype])


def test_no_mask_is_a_mask_of_all_true():
    q, k, v = torch.randn(3, 2, 1, 4, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(attend(q, k, v).output, attend(q, k, v, torch.ones(1, 1, 4, 4, dtype=torch.bool)).output)


@pytest.mark.parametrize(("mask", "error", "words"), [
    (torch.ones(2, 4, 4), TypeError, r"must be bool.*torch.float32.*\(2, 4, 4\)"),
    (torch.ones(4, 4, dtype=torch.int64), TypeError, "must be bool"),
    (torch.ones(2, 4, dtype=torch.bool), ValueError,
     r"\(2, 1, 4, 4\).*got \(2, 4\).*mask\[:, None, None, :\].*mask\[None, None\]"),
    (torch.ones(2, 4, 4, dtype=torch.bool), ValueError, r"\(2, 1, 4, 4\)"),
    (torch.ones(3, 1, 4, 4, dtype=torch.bool), ValueError, r"got \(3, 1, 4, 4\)"),
])  # fmt: skip
def test_a_mask_that_does_not_fit_is_refused_in_one_sentence(mask, error, words):
    q = torch.zeros(2, 1, 4, 8)
    with pytest.raises(error, match=words):
        attend(q, q, q, mask)


@pytest.mark.parametrize(("dtype", "large"), [(torch.float16, 60.0), (torch.bfloat16, 4e18)])
def test_half_precision_scales_before_the_product_as_the_library_does(dtype, large):
    """64·60² is more than float16 has room for, and 64·60²/√64 is not."""
    g = torch.Generator().manual_seed(0)
    q, v = torch.full((1, 1, 4, 64), large, dtype=dtype), torch.randn(1, 1, 4, 64, generator=g).to(dtype)
    mask = torch.ones(1, 1, 4, 4, dtype=torch.bool).tril()
    assert (q @ q.mT).isinf().all()
    stages = attend(q, q, v, mask)
    assert stages.scores.isfinite().all()
    with sdpa_kernel(SDPBackend.MATH):  # the fused kernel scales in float32, after the product: too late in bfloat16
        theirs = F.scaled_dot_product_attention(q, q, v, attn_mask=mask)
    torch.testing.assert_close(stages.output, theirs, atol=DTYPES[torch.bfloat16], rtol=DTYPES[torch.bfloat16])


Q, K, ONES = torch.zeros(2, 1, 4, 8), torch.zeros(2, 1, 3, 8), torch.ones(2, 1, 4, 3, dtype=torch.bool)


@pytest.mark.parametrize(
    ("inputs", "error", "words"),
    [
        ((Q, K, K, ONES.numpy()), TypeError, r"mask must be a tensor .*NumPy array of bool and .*from_numpy\(mask\)"),
        ((Q, K, K, ONES.tolist()), TypeError, r"mask must be a tensor .*got \[\[\[\[True.*torch.tensor\(mask\)"),
        ((Q, K, K, masks.causal()), TypeError, r"mask must be a tensor .*got a rule\. Use rule.tensor"),
        ((Q.tolist(), K, K), TypeError, r"q must be a tensor \(floating-point\).*Use torch.tensor\(q\)"),
        ((Q, K.long(), K), TypeError, "k must be floating-point"),
        ((Q[:, 0], K[:, 0], K[:, 0]), TypeError, r"q must .* axes \(batch, head, position, feature\).*\(2, 4, 8\)"),
        ((Q, K[:1], K[:1]), ValueError, r"got \(2, 1, 4, 8\), \(1, 1, 3, 8\) and"),  # torch would use it for both
        ((Q, K, Q), ValueError, r"got \(2, 1, 4, 8\), \(2, 1, 3, 8\) and \(2, 1, 4, 8\)"),
        ((Q, K[..., :4], K), ValueError, r"got \(2, 1, 4, 8\), \(2, 1, 3, 4\) and"),
    ],
)
def test_what_is_no_attention_is_refused_in_one_sentence(inputs, error, words):
    attend(Q, K, K, ONES)
    with pytest.raises(error, match=words):
        attend(*inputs)


def test_a_square_batch_is_never_taken_for_a_matrix_silently():
    """(B, S) with B == L fits (query, key), too: which of the two is meant is said by all four axes, whatever B is."""
    mask = torch.eye(4, dtype=torch.bool)
    for batch in (1, 3, 4):
        q = torch.zeros(batch, 1, 4, 8)
        with pytest.raises(ValueError, match=r"\(batch, head, query, key\).*got \(4, 4\)"):
            attend(q, q, q, mask)
    assert torch.equal(attend(q, q, q, mask[None, None]).weights[0, 0], torch.eye(4))
    assert torch.equal(attend(q, q, q, mask[:, None, None, :]).weights[2, 0], torch.eye(4)[2].expand(4, 4))


def test_unknown_choice_for_empty_rows():
    q = torch.zeros(1, 1, 1, 1)
    with pytest.raises(ValueError, match="'uniform'"):
        attend(q, q, q, on_empty="uniform")
