"""Each dialect through the real library, and back again; what is unclear is refused."""

import math
import re
from unittest.mock import patch

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.attention.flex_attention import BlockMask, create_mask, flex_attention

from masklab import dialects, masks
from masklab.attention import attend
from tests.strategies import attention_inputs, seeds

# How far two ways to compute the same attention may be apart: one or two units in the last place of 4.
TOLERANCE = {torch.float32: 1e-6, torch.float16: 4e-3, torch.bfloat16: 3e-2}
FLOATS = tuple(TOLERANCE)

quiet = pytest.mark.filterwarnings(
    "ignore:flex_attention called without", "ignore:The PyTorch API of nested tensors is in prototype"
)


def close(ours, theirs, dtype=torch.float32):
    torch.testing.assert_close(ours, theirs, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype], equal_nan=True)


# There and back


@given(attention_inputs(dtypes=(torch.float32,)))
def test_there_and_back(case):
    *_, mask = case
    assert torch.equal(dialects.from_bias(dialects.to_bias(mask)), mask)
    assert torch.equal(dialects.to_sdpa(mask), mask)
    assert torch.equal(~dialects.to_key_padding_mask(mask[0, 0]), mask[0, 0])


@given(attention_inputs(dtypes=(torch.float32,)), st.integers(1, 3))
def test_from_is_the_inverse_of_to(case, heads):
    *_, mask = case
    words = mask[:, 0, 0]
    assert torch.equal(dialects.from_sdpa(dialects.to_sdpa(mask)), mask)
    assert torch.equal(dialects.from_sdpa(dialects.to_bias(mask)), mask)
    assert torch.equal(dialects.from_key_padding_mask(dialects.to_key_padding_mask(words)), words)
    assert torch.equal(dialects.from_key_padding_mask(dialects.to_bias(words)), words)  # a float is added
    assert torch.equal(dialects.from_transformers_2d(dialects.to_transformers_2d(words)), words)
    assert torch.equal(dialects.from_transformers_4d(dialects.to_transformers_4d(mask)), mask)
    for dtype in FLOATS:
        bias = dialects.to_transformers_4d_bias(mask, dtype=dtype)
        assert bias.dtype == dtype
        assert torch.equal(dialects.from_transformers_4d(bias), mask)
        assert torch.equal(dialects.from_transformers_4d(bias + bias), mask)  # two of them add up to −∞
    one = mask[:, :1]
    there = dialects.to_mha_attn_mask(one, heads=heads)
    assert there.shape == (mask.shape[2:] if len(one) == 1 else (len(one) * heads, *mask.shape[2:]))
    back = dialects.from_mha_attn_mask(there, heads=heads)
    assert torch.equal(back.expand(-1, heads, -1, -1), one.expand(-1, heads, -1, -1))
    first = there.view(-1, *mask.shape[2:])[0]
    assert torch.equal(dialects.from_mha_attn_mask(first, heads=heads), one[:1])


@given(attention_inputs(dtypes=(torch.float32,)), st.sampled_from([1, 2, 3, (2, 3)]))
@settings(max_examples=20)
def test_flex_attention_there_and_back(case, block_size):
    q, k, _, mask = case
    size = {"queries": q.shape[-2], "keys": k.shape[-2]}
    assert torch.equal(create_mask(dialects.to_mask_mod(mask), *mask.shape, device="cpu"), mask)
    assert torch.equal(dialects.from_block_mask(dialects.to_block_mask(mask, **size, block_size=block_size)), mask)
    everywhere = dialects.to_block_mask(mask, batch=q.shape[0], heads=q.shape[1], **size, block_size=block_size)
    assert torch.equal(dialects.from_block_mask(everywhere), mask.expand(*q.shape[:3], k.shape[-2]))


def test_any_view_of_a_mask_will_do():
    """Transposed and expanded: the memory is not as the axes say."""
    turned = (torch.rand(3, 2, 4, 5, generator=torch.Generator().manual_seed(0)) < 0.5).transpose(0, 1).mT
    mask = turned[:, :1].expand(-1, 3, -1, -1)
    assert mask.shape == (2, 3, 5, 4) and not mask.is_contiguous()
    assert torch.equal(dialects.from_mha_attn_mask(dialects.to_mha_attn_mask(mask, heads=3), heads=3), mask)
    assert torch.equal(dialects.from_bias(dialects.to_bias(mask)), mask)
    assert torch.equal(dialects.from_transformers_4d(dialects.to_transformers_4d_bias(mask)), mask)
    assert torch.equal(dialects.from_block_mask(dialects.to_block_mask(mask, queries=5, keys=4)), mask)
    assert torch.equal(dialects.with_four_axes(mask[:, 0], batch=2, heads=1, queries=5, keys=4), mask[:, :1])


def test_a_mask_mod_keeps_its_own_tensor():
    mask = masks.causal().tensor(queries=4, keys=4).clone()
    block_mask, mask_mod, before = dialects.to_block_mask(mask, queries=4, keys=4), dialects.to_mask_mod(mask), ~~mask
    mask.fill_(False)
    assert torch.equal(dialects.from_block_mask(block_mask), before)
    assert torch.equal(create_mask(mask_mod, 1, 1, 4, 4, device="cpu"), before)


def test_masks_stay_on_their_device():
    mask = torch.ones(1, 1, 4, 4, dtype=torch.bool, device="meta")
    assert dialects.to_bias(mask).device.type == dialects.to_transformers_4d_bias(mask).device.type == "meta"
    assert dialects.to_block_mask(mask, queries=4, keys=4).kv_num_blocks.device.type == "meta"
    rule = masks.causal() & masks.key_dropout(0.5, batch=1, keys=4, seed=0, device="meta")
    assert dialects.to_block_mask(rule, queries=4, keys=4).kv_num_blocks.device.type == "meta"
    assert dialects.to_block_mask(masks.causal(), queries=4, keys=4, device="meta").kv_num_blocks.device.type == "meta"


def test_a_rule_becomes_a_block_mask():
    rule = masks.causal() & masks.padding(torch.tensor([2, 5]), total=5)
    block_mask = dialects.to_block_mask(rule, heads=3, queries=5, keys=5, block_size=2)
    assert block_mask.shape == (2, 3, 5, 5)  # the rule knows its batch
    assert torch.equal(dialects.from_block_mask(block_mask), rule.tensor(heads=3, queries=5, keys=5))
    assert dialects.to_mask_mod(rule) is rule.mask_mod


def test_a_block_mask_is_its_rule_inside_the_blocks_that_it_lists():
    """Made from blocks alone, as `from_kv_blocks` does, the rule is "everything"."""
    first_block = BlockMask.from_kv_blocks(torch.ones(1, 1, 2, dtype=torch.int32), torch.tensor([[[[0, 1], [1, 0]]]],
                                           dtype=torch.int32), BLOCK_SIZE=2)  # fmt: skip
    expected = torch.block_diag(torch.ones(2, 2), torch.ones(2, 2)).bool()
    assert torch.equal(dialects.from_block_mask(first_block), expected[None, None])


@given(st.lists(st.integers(0, 30_000), min_size=1, max_size=8), seeds)
def test_labels_there_and_back(row, seed):
    ids = torch.tensor([row])
    supervised = torch.rand(ids.shape, generator=torch.Generator().manual_seed(seed)) < 0.5
    before = ids.clone()
    labels = dialects.to_labels(ids, supervised)
    assert torch.equal(dialects.from_labels(labels), supervised)
    assert torch.equal(labels[supervised], ids[supervised])
    assert torch.equal(ids, before)


def test_labels_count_in_cross_entropy_where_supervised():
    logits = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    ids = torch.tensor([[1, 2, 0, 4, 5], [6, 0, 1, 2, 3]])  # 0 is an id like any other
    supervised = torch.tensor([[True, False, True, False, False], [False, False, False, True, True]])
    each = -logits.log_softmax(dim=-1).gather(-1, ids[..., None])[..., 0]
    ours = F.cross_entropy(logits.flatten(0, 1), dialects.to_labels(ids, supervised).flatten())
    close(ours, each[supervised].mean())


# The same attention in the real library


@given(attention_inputs(dtypes=FLOATS))
def test_both_forms_give_sdpa_the_same_attention(case):
    q, k, v, mask = case
    ours = attend(q, k, v, mask).output
    by_bool = F.scaled_dot_product_attention(q, k, v, attn_mask=dialects.to_sdpa(mask))
    by_bias = F.scaled_dot_product_attention(q, k, v, attn_mask=dialects.to_bias(mask, dtype=q.dtype))
    close(ours, by_bool, q.dtype)
    close(ours, by_bias, q.dtype)


def test_sdpa_takes_a_padding_mask_for_pairs_silently():
    """As many sentences as queries: (batch, key) is read as (query, key). So `to_sdpa` wants all four axes."""
    words = torch.tensor([[True, True, False], [True, False, False], [True, True, True]])  # (B, S), and B = L = 3
    q, k, v = torch.randn(3, 3, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    columns, pairs = (
        dialects.with_four_axes(words, batch=3, heads=2, queries=3, keys=3, axes=axes)
        for axes in (("batch", "key"), ("query", "key"))
    )
    silent = F.scaled_dot_product_attention(q, k, v, attn_mask=words)
    close(attend(q, k, v, pairs).output, silent)
    assert (attend(q, k, v, columns).output - silent).abs().max() > 0.1
    assert torch.equal(silent, F.scaled_dot_product_attention(q, k, v, attn_mask=dialects.to_bias(words)))
    close(attend(q, k, v, columns).output, F.scaled_dot_product_attention(q, k, v, dialects.to_sdpa(columns)))
    for fewer in (words, words[:, None], words[0]):
        with pytest.raises(ValueError, match=rf"got {re.escape(str(tuple(fewer.shape)))}\. .*with_four_axes\("):
            dialects.to_sdpa(fewer)


@given(attention_inputs(dtypes=FLOATS))
@settings(max_examples=20)
def test_flex_attention_gives_the_same_attention(case):
    q, k, v, mask = case
    block_mask = dialects.to_block_mask(mask, queries=q.shape[-2], keys=k.shape[-2])
    # torch's own switch: as it is, without half a second of tracing for each new shape. The table below does without.
    with patch("torch.nn.attention.flex_attention._FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True):
        theirs = flex_attention(q, k, v, block_mask=block_mask)
    close(attend(q, k, v, mask).output, theirs, q.dtype)


def merged(x):
    return x.transpose(1, 2).flatten(-2)  # (B, H, L, D) → (B, L, H·D)


def split(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)  # (B, L, H·D) → (B, H, L, D)


def plain_layer(heads, dim, dtype):
    """`nn.MultiheadAttention` that projects nothing: its attention comes out bare."""
    layer = nn.MultiheadAttention(heads * dim, heads, batch_first=True, dtype=dtype)
    eye = torch.eye(heads * dim, dtype=dtype)
    state = {"in_proj_weight": eye.repeat(3, 1), "out_proj.weight": eye}
    layer.load_state_dict({name: state.get(name, torch.zeros_like(x)) for name, x in layer.state_dict().items()})
    return layer


@given(attention_inputs(dtypes=FLOATS), st.booleans())
@settings(max_examples=50)
def test_multihead_attention_gives_the_same_attention(case, train):
    q, k, v, mask = case
    batch, heads, _, dim = q.shape
    layer = plain_layer(heads, dim, q.dtype).train(train)
    if mask.shape[:2] != (1, 1) and (mask.shape[1] not in (1, heads) or mask.shape[0] != batch):
        mask = mask[:1, :1].expand(batch, 1, -1, -1)
    blocked = {"attn_mask": dialects.to_mha_attn_mask(mask, heads=heads)}
    nans, zeros = (attend(q, k, v, mask, on_empty=empty) for empty in ("nan", "zeros"))
    output, weights = layer(merged(q), merged(k), merged(v), **blocked, average_attn_weights=False)
    close(nans.weights, weights, q.dtype)
    close(layer.out_proj(merged(nans.output)), output, q.dtype)  # the NaN of one head spreads to all
    output, _ = layer(merged(q), merged(k), merged(v), **blocked, need_weights=False)
    close(merged(zeros.output), output, q.dtype)


def test_one_matrix_serves_every_sentence_and_one_a_head_does_not():
    x = torch.randn(2, 4, 4, generator=torch.Generator().manual_seed(0))
    layer, q, mask = plain_layer(2, 2, torch.float32), split(x, 2), masks.causal().tensor(queries=4, keys=4)
    output, _ = layer(x, x, x, attn_mask=dialects.to_mha_attn_mask(mask, heads=2))
    close(merged(attend(q, q, q, mask).output), output)
    with pytest.raises(RuntimeError, match=r"shape of the 3D attn_mask is torch.Size\(\[2, 4, 4\]\)"):
        layer(x, x, x, attn_mask=dialects.to_mha_attn_mask(mask.expand(1, 2, -1, -1), heads=2))


@st.composite
def sentences(draw):
    """Vectors x (B, L, H·D), words (B, L) and pairs (B, 1, L, L); with ``heads`` even or odd."""
    heads, dim, batch, length = (draw(st.integers(1, n)) for n in (4, 4, 3, 5))
    g = torch.Generator().manual_seed(draw(seeds))
    x = torch.randn(batch, length, heads * dim, generator=g).to(draw(st.sampled_from(FLOATS)))
    words = torch.rand(batch, length, generator=g) < draw(st.sampled_from([0.3, 0.8, 1.0]))
    pairs = torch.rand(batch, 1, length, length, generator=g) < draw(st.sampled_from([0.5, 1.0]))
    return x, heads, words, pairs


def all_forms(words, pairs, heads):
    """The three ways to tell `nn.MultiheadAttention`: padding, pairs, and both."""
    padding = {"key_padding_mask": dialects.to_key_padding_mask(words)}
    blocked = {"attn_mask": dialects.to_mha_attn_mask(pairs, heads=heads)}
    columns = words[:, None, None, :]
    return [(padding, columns.expand(pairs.shape)), (blocked, pairs), (padding | blocked, columns & pairs)]


def watched(name):
    """A function of torch that still does its work, and knows whether it was called."""
    return patch.object(torch, name, wraps=getattr(torch, name))


@given(sentences())
@settings(max_examples=50)
def test_the_fast_path_gives_the_same_attention(case):
    """In eval mode without gradients torch takes another kernel, if the number of heads is even."""
    x, heads, words, pairs = case
    layer = plain_layer(heads, x.shape[-1] // heads, x.dtype).eval()
    q = split(x, heads)
    for form, mask in all_forms(words, pairs, heads):
        with torch.no_grad(), watched("_native_multi_head_attention") as fast:
            output, _ = layer(x, x, x, **form, need_weights=False)
        assert fast.called == (heads % 2 == 0)
        ours = attend(q, q, q, mask, on_empty="nan" if fast.called else "zeros")
        close(layer.out_proj(merged(ours.output)), output, x.dtype)


@given(sentences(), st.sampled_from(["train", "eval", "fast path"]))
@settings(max_examples=50)
def test_encoder_layer_gives_the_same_attention(case, how):
    x, heads, words, pairs = case
    assume(how != "fast path" or heads % 2 == 0)
    layer = nn.TransformerEncoderLayer(
        x.shape[-1], heads, 8, dropout=0.0, batch_first=True, norm_first=True, dtype=x.dtype
    )
    layer.self_attn = plain_layer(heads, x.shape[-1] // heads, x.dtype)
    nn.init.zeros_(layer.linear2.weight)  # so that the layer is x + attention(norm(x))
    nn.init.zeros_(layer.linear2.bias)
    layer.train(how == "train")
    q = split(layer.norm1(x), heads)
    names = {"key_padding_mask": "src_key_padding_mask", "attn_mask": "src_mask"}
    for form, mask in all_forms(words, pairs, heads):
        with torch.set_grad_enabled(how != "fast path"), watched("_transformer_encoder_layer_fwd") as fast:
            output = layer(x, **{names[name]: value for name, value in form.items()})
        assert fast.called == (how == "fast path")
        ours = attend(q, q, q, mask, on_empty="nan" if fast.called else "zeros")
        close(x + layer.self_attn.out_proj(merged(ours.output)), output, x.dtype)


def encoder_of(layers=1, norm=None, **options):
    """A small `nn.TransformerEncoder` in eval mode."""
    layer = nn.TransformerEncoderLayer(8, 2, 8, dropout=0.0, batch_first=True, **options)
    return nn.TransformerEncoder(layer, layers, norm=norm).eval()


RIGHT = torch.tensor([[True, True, False], [True, False, False]])
FUTURE = torch.ones(3, 3, dtype=torch.bool).triu(1)


@quiet
@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True, but")
@pytest.mark.parametrize(("words", "pairs", "options", "zeros"), [
    (RIGHT, None, {}, True),
    (RIGHT, None, {"layers": 2}, True),
    (RIGHT.flip(1), None, {}, False),
    (RIGHT, FUTURE, {}, False),
    (RIGHT, None, {"norm_first": True}, False),
])  # fmt: skip
def test_when_the_encoder_writes_zeros_into_pads(words, pairs, options, zeros):
    """On its fast path, for right padding, with no mask beside it, and not with norm_first."""
    encoder = encoder_of(**options)
    x = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0))
    given_masks = {"mask": pairs, "src_key_padding_mask": dialects.to_key_padding_mask(words)}
    slow = encoder(x, **given_masks)
    with torch.no_grad(), watched("_transformer_encoder_layer_fwd") as called:
        fast = encoder(x, **given_masks)
    assert called.called
    close(slow[words], fast[words])
    assert (slow[~words] != 0).all() and (fast[~words] == 0).all() == zeros == (fast[~words] == 0).any()


@quiet
def test_the_zeros_of_pads_come_before_the_last_norm():
    encoder = encoder_of(norm=nn.LayerNorm(8))
    nn.init.constant_(encoder.norm.bias, 3.0)
    with torch.no_grad():
        output = encoder(torch.randn(2, 3, 8), src_key_padding_mask=dialects.to_key_padding_mask(RIGHT))
    assert (output[~RIGHT] == 3).all() and (output[RIGHT] != 3).any()


@pytest.mark.parametrize("value", [-math.inf, -1e9, -1.0, 1.0])
def test_a_float_mask_on_the_fast_path(value):
    """The encoder layer blocks what is not 0, where its slow path adds it; bare attention takes its slow path."""
    layer = encoder_of().layers[0]
    x, bias = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0)), FUTURE * 1.0
    bias = bias.masked_fill(FUTURE, value)
    slow = layer(x, src_mask=bias)
    with torch.no_grad(), watched("_transformer_encoder_layer_fwd") as called:
        fast, blocked = layer(x, src_mask=bias), layer(x, src_mask=FUTURE)
    assert called.call_count == 2 and torch.equal(fast, blocked)
    assert ((fast - slow).abs().max() < 1e-5) == (value < -1e8)
    with torch.no_grad(), watched("_native_multi_head_attention") as called:
        layer.self_attn(x, x, x, attn_mask=bias, need_weights=False)
    assert not called.called
    with torch.no_grad(), watched("_native_multi_head_attention") as called:
        layer.self_attn(x, x, x, attn_mask=FUTURE, need_weights=False)
    assert called.called


def test_what_true_means_in_each_library():
    """One key is allowed. Where True means keep it gets all the weight; where True means ignore, none."""
    words = torch.tensor([[True, False, False]])
    values = torch.eye(3)[None, None]  # so that the output *is* the weights
    zeros = torch.zeros(1, 1, 3, 3)
    kept = F.scaled_dot_product_attention(zeros, zeros, values, attn_mask=words[:, None, None, :])
    assert torch.equal(kept[0, 0], torch.tensor([[1.0, 0, 0]] * 3))
    layer = nn.MultiheadAttention(3, 1, batch_first=True)
    x = torch.randn(1, 3, 3, generator=torch.Generator().manual_seed(0))
    right = layer(x, x, x, key_padding_mask=dialects.to_key_padding_mask(words))[1]
    wrong = layer(x, x, x, key_padding_mask=words)[1]
    assert torch.equal(right[0], torch.tensor([[1.0, 0, 0]] * 3))
    assert (wrong[0, :, 0] == 0).all()


# The table in the module's docstring, line by line. Its own words decide what is kept and what is blocked.


def table():
    """Lines of the table: call → (keep, block, fully masked row)."""
    lines = dialects.__doc__.split("\n===")[2].splitlines()[1:]
    return {name: tuple(rest) for name, *rest in (re.split(r"\s{2,}", line.strip()) for line in lines)}


def as_the_table_says(mask, call, dtype):
    """The mask in the numbers that the table names for this call."""
    values = {"True": True, "False": False, "1": 1, "0": 0, "−∞": -math.inf, "min": torch.finfo(dtype).min}
    keep, block, _ = (values.get(word) for word in table()[call])
    if "−∞" in table()[call] or "min" in table()[call]:
        return torch.where(mask, torch.tensor(keep, dtype=dtype), torch.tensor(block, dtype=dtype))
    return torch.where(mask, keep, block)


def fully_masked_row(output, q, k, v, mask):
    """Which word of the table describes the fully masked rows of an attention; the others must be right."""
    empty = ~mask.expand(*q.shape[:-1], k.shape[-2]).any(dim=-1)
    assert empty.any() and not empty.all()
    close(attend(q, k, v, mask).output[~empty], output[~empty], q.dtype)
    candidates = {
        "zeros": torch.zeros_like(v),
        "uniform": v.mean(dim=-2, keepdim=True).expand(output.shape),
        "no mask": attend(q, k, v).output,
        "NaN": torch.full_like(output, math.nan),
    }
    found = [
        word
        for word, what in candidates.items()
        if torch.allclose(output[empty], what[empty], atol=TOLERANCE[q.dtype], equal_nan=True)
    ]
    assert len(found) == 1  # the values are such that no two words describe the same output
    return found[0]


def written_out(scores, mask, lowest):
    return scores.masked_fill(~mask, lowest).softmax(dim=-1)


def jax_softmax(scores, mask):
    return written_out(scores, mask, -0.7 * torch.finfo(torch.float32).max)


def flax_softmax(scores, mask):
    return written_out(scores, mask, torch.finfo(scores.dtype).min)


def keras_softmax(scores, mask):
    return written_out(scores, mask, -1e9).where(mask, 0.0)


def keras_on_torch(scores, mask):
    return (scores + torch.where(mask, 0.0, -0.7 * 3.38953e38)).softmax(dim=-1)


def run_sdpa(q, k, v, mask):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def run_flex(q, k, v, mask):
    return flex_attention(q, k, v, block_mask=dialects.to_block_mask(mask, queries=q.shape[-2], keys=k.shape[-2]))


def run_layer(*, need_weights, fast=False):
    def run(q, k, v, mask):
        x = merged(q)  # q, k and v are the same in this table, as the fast path demands
        layer = plain_layer(q.shape[1], q.shape[-1], q.dtype).train(not fast)
        with torch.set_grad_enabled(not fast):
            return split(layer(x, x, x, attn_mask=mask[0, 0], need_weights=need_weights)[0], q.shape[1])

    return run


def run_encoder_layer(*, fast=False):
    def run(q, k, v, mask):
        x, heads = merged(q), q.shape[1]
        layer = nn.TransformerEncoderLayer(x.shape[-1], heads, 8, dropout=0.0, batch_first=True, norm_first=True)
        layer.self_attn = plain_layer(heads, q.shape[-1], q.dtype)
        layer.norm1.eps = layer.norm2.eps = 0.0  # the input is normalised; equal, or there is no fast path
        nn.init.zeros_(layer.linear2.weight)
        nn.init.zeros_(layer.linear2.bias)
        with torch.set_grad_enabled(not fast):
            return split(layer.train(not fast)(x, src_mask=mask[0, 0]) - x, heads)

    return run


def run_weights(*rules):
    """A softmax written out as a library's source has it, in place of a library that is not installed."""

    def run(q, k, v, mask):
        outputs = [rule(attend(q, k, v).scores, mask) @ v for rule in rules]
        for output in outputs[1:]:
            close(outputs[0], output)
        return outputs[0]

    return run


RUNS = {
    "F.scaled_dot_product_attention, bool": run_sdpa,
    "F.scaled_dot_product_attention, bias": run_sdpa,
    "F.scaled_dot_product_attention, finite bias": run_sdpa,
    "F.scaled_dot_product_attention, finite bias, float16": run_sdpa,
    "nn.MultiheadAttention, need_weights=True": run_layer(need_weights=True),
    "nn.MultiheadAttention, need_weights=False": run_layer(need_weights=False),
    "nn.MultiheadAttention, need_weights=False, fast path": run_layer(need_weights=False, fast=True),
    "nn.TransformerEncoderLayer": run_encoder_layer(),
    "nn.TransformerEncoderLayer, fast path": run_encoder_layer(fast=True),
    "flex_attention, mask_mod in a BlockMask": run_flex,
    "jax.nn.dot_product_attention": run_weights(jax_softmax),
    "flax.linen.MultiHeadDotProductAttention": run_weights(flax_softmax),
    "flax.nnx.MultiHeadAttention": run_weights(jax_softmax, flax_softmax),
    "keras.layers.MultiHeadAttention": run_weights(jax_softmax, keras_on_torch),
    "keras.layers.MultiHeadAttention, scores returned": run_weights(keras_softmax),
}


@quiet
@pytest.mark.parametrize("call", RUNS)
def test_each_line_of_the_table(call):
    half = torch.float16 if call.endswith("float16") else torch.bfloat16
    once = "EncoderLayer" in call or call.startswith(("flex", "jax", "flax", "keras"))
    for dtype in [torch.float32] if once else [half] if half == torch.float16 else [torch.float32, half]:
        x = torch.randn(2, 2, 4, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
        x = split(F.layer_norm(merged(x), (16,), eps=0.0), 2)  # so that an encoder layer's norm changes nothing
        mask = masks.causal().tensor(queries=4, keys=4) & (torch.arange(4) != 2)[:, None]  # row 2 is fully masked
        output = RUNS[call](x, x, x, as_the_table_says(mask, call, dtype))
        assert fully_masked_row(output.detach(), x, x, x, mask) == table()[call][2]


def test_the_nan_of_a_row_is_in_all_gradients_even_if_no_loss_reads_it():
    mask = masks.causal().tensor(queries=4, keys=4) & (torch.arange(4) != 2)[:, None]  # row 2 is fully masked
    x = torch.randn(1, 4, 4, generator=torch.Generator().manual_seed(0))
    for need_weights in (True, False):
        layer = plain_layer(2, 2, torch.float32)
        output, _ = layer(x, x, x, attn_mask=~mask[0, 0], need_weights=need_weights)
        output[:, [0, 1, 3]].sum().backward()
        for weight in (layer.in_proj_weight, layer.out_proj.weight):
            assert weight.grad.isnan().any() == need_weights


def test_the_last_line_of_the_table():
    logits, labels = torch.randn(3, 5, generator=torch.Generator().manual_seed(0)), torch.full((3,), -100)
    assert table()["F.cross_entropy, labels"] == ("the id", "−100", "mean NaN, sum 0")
    assert F.cross_entropy(logits, labels).isnan() and F.cross_entropy(logits, labels, reduction="sum") == 0
    assert not dialects.from_labels(labels).any()


def test_every_line_of_the_table_is_tested_and_every_call_is_in_it():
    here = {name for name in table() if not name.startswith("Transformers")}  # the others: in their own test file
    assert here == {*RUNS, "F.cross_entropy, labels"}
    elsewhere = {name for name in here if name.startswith(("jax", "flax", "keras"))}
    assert elsewhere == {call.library for call in dialects.CALLS}
    for call in dialects.CALLS:
        assert table()[call.library] == ("True", "False", call.empty_row)
        assert call.true_means == "may attend"
        compile(call.code, call.library, "eval")  # it is Python


# What is unclear is refused

SIZES = {"batch": 2, "heads": 4, "queries": 3, "keys": 5}


@given(st.tuples(*[st.integers(1, 4)] * 4), st.integers(1, 4), seeds)
def test_a_shape_is_read_only_if_it_can_mean_one_thing(sizes, ndim, seed):
    """Against a slow search: put the axes into every place there are, and see which masks come out."""
    size = dict(zip(("batch", "heads", "queries", "keys"), sizes, strict=True))
    g = torch.Generator().manual_seed(seed)
    places = {1: [(3,)], 2: [(0, 3), (2, 3)], 3: [(0, 2, 3), (1, 2, 3)], 4: [(0, 1, 2, 3)]}[ndim]
    shape = [sizes[place] for place in places[seed % len(places)]]
    shape = [1 if torch.rand((), generator=g) < 0.2 else n for n in shape]
    mask = torch.rand(shape, generator=g) < 0.5
    meanings = set()
    for places_of_axes in places:
        four = [1, 1, 1, 1]
        for place, n in zip(places_of_axes, shape, strict=True):
            four[place] = n
        if all(n in (1, want) for n, want in zip(four, sizes, strict=True)):
            meanings.add(tuple(four))
    if len(meanings) == 1:
        result = dialects.with_four_axes(mask, **size)
        assert (result.shape, result.flatten().tolist()) == (*meanings, mask.flatten().tolist())
    else:
        with pytest.raises(ValueError, match=r"could be \(.*\) or \(.*\) for .*: say axes=\(.*\) or axes=\(.*\)\."):
            dialects.with_four_axes(mask, **size)


@pytest.mark.parametrize(("shape", "size", "first", "second"), [
    ((3, 3), {"batch": 3, "heads": 1, "queries": 3, "keys": 3}, ("batch", "key"), ("query", "key")),
    ((3, 5), {"batch": 3, "heads": 2, "queries": 3, "keys": 5}, ("batch", "key"), ("query", "key")),
    ((2, 4, 5), {"batch": 2, "heads": 2, "queries": 4, "keys": 5}, ("batch", "query", "key"), ("head", "query", "key")),
])  # fmt: skip
def test_two_readings_are_named_and_axes_says_which(shape, size, first, second):
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.5
    with pytest.raises(ValueError) as refusal:
        dialects.with_four_axes(mask, **size)
    for reading in (first, second):
        assert f"({', '.join(reading)})" in str(refusal.value) and f"axes={reading}" in str(refusal.value)
        result = dialects.with_four_axes(mask, **size, axes=reading)
        names = ["batch", "head", "query", "key"]
        assert result.shape == tuple(shape[reading.index(name)] if name in reading else 1 for name in names)
        assert torch.equal(result.flatten(), mask.flatten())
    # SDPA takes it without a word, and for the second reading.
    q = torch.randn(size["batch"], size["heads"], size["queries"], 4, generator=torch.Generator().manual_seed(1))
    k = torch.randn(size["batch"], size["heads"], size["keys"], 4, generator=torch.Generator().manual_seed(2))
    silent = F.scaled_dot_product_attention(q, k, k, attn_mask=mask)
    close(attend(q, k, k, dialects.with_four_axes(mask, **size, axes=second)).output, silent)


@pytest.mark.parametrize(("shape", "axes", "words"), [
    ((2, 3), None, r"must be \(batch, key\) or \(query, key\) for batch=2, heads=4, queries=3, keys=5.*got \(2, 3\)"),
    ((8, 3, 5), None, r"must be \(batch, query, key\) or \(head, query, key\).*batch·heads, use from_mha_attn_mask"),
    ((2, 3, 3, 5), None, r"must be \(batch, head, query, key\)"),
    ((), None, r"of 1 to 4 axes.*got \(\)"),
    ((1, 1, 1, 1, 1), None, r"of 1 to 4 axes.*got \(1, 1, 1, 1, 1\)"),
    ((3, 5), ("batch", "key"), r"must be \(batch, key\) for .*got \(3, 5\)"),
    ((2, 5), ("key", "batch"), "in the order of"),
    ((2, 5), ("sentence", "key"), "in the order of"),
    ((2, 5), ("key",), "the 2 axes"),
])  # fmt: skip
def test_a_shape_that_fits_nothing_is_refused(shape, axes, words):
    with pytest.raises(ValueError, match=words):
        dialects.with_four_axes(torch.ones(shape, dtype=torch.bool), **SIZES, axes=axes)


@pytest.mark.parametrize(("batch", "queries"), [(2, 3), (3, 3), (1, 1)])
def test_axes_of_size_one_serve_all(batch, queries):
    """(1, key) is the same mask as a padding mask and as a matrix, so it is clear."""
    row = torch.tensor([[True, False, True]])
    assert dialects.with_four_axes(row, batch=batch, heads=2, queries=queries, keys=3).shape == (1, 1, 1, 3)


def test_numbers_with_one_meaning_are_read():
    keep = torch.tensor([[True, False]])
    assert torch.equal(dialects.keep_mask(keep), keep)
    assert torch.equal(dialects.keep_mask(dialects.to_bias(keep)), keep)
    assert torch.equal(dialects.keep_mask(~keep, means="block"), keep)
    assert torch.equal(dialects.keep_mask(keep.long(), means="keep"), keep)
    assert torch.equal(dialects.keep_mask(keep.float(), means="keep"), keep)
    assert torch.equal(dialects.keep_mask(torch.zeros(1, 2), means="bias"), torch.tensor([[True, True]]))


@pytest.mark.parametrize(
    ("values", "means", "error", "words"),
    [
        ([1.0, 0.0], None, ValueError, r"zeros and ones \(torch.float32, shape \(2,\)\).*1 = keep, 1 = block, or a b"),
        ([1.0, 0.0], None, ValueError, "Say means='keep', means='block' or means='bias'"),
        ([0.0, 0.0], None, ValueError, "could mean three things"),
        ([1, 0], None, TypeError, r"integers \(torch.int64, shape \(2,\)\).*1 = keep, 1 = block, or ids of documents"),
        ([1, 0], None, TypeError, "Say means='keep' or means='block', or use masklab.masks.documents"),
        ([1 + 0j, 0j], None, TypeError, r"got torch.complex64 of shape \(2,\)"),
        ([1 + 0j, 0j], "keep", TypeError, "complex"),
        ([1, 2], None, TypeError, "ids of documents"),
        ([1, 2], "keep", ValueError, "1 means keep must hold 0 and 1 only, got 2"),
        ([1.0, -math.inf], "block", ValueError, "1 means block must hold 0 and 1 only, got -inf"),
        ([1.0, 0.0], "bias", ValueError, "must hold 0 .*got 1"),
        ([True, False], "bias", TypeError, "must be floating-point"),
        ([0.0, -1e9], None, ValueError, r"must hold 0 .*got -1e\+09.*it blocks a key beside"),
        ([0.0, 0.5], None, ValueError, "must hold 0 .*got 0.5"),
        ([0.0, math.nan], None, ValueError, "must hold 0 .*got nan"),
        ([True], "ignore", ValueError, "'keep', 'block' or 'bias', got 'ignore'"),
    ],
)  # fmt: skip
def test_numbers_that_could_mean_two_things_are_refused(values, means, error, words):
    with pytest.raises(error, match=words):
        dialects.keep_mask(torch.tensor(values), means=means)


@pytest.mark.parametrize("lowest", [-1.0, -10.0, -100.0])
def test_what_a_finite_minus_infinity_leaks_is_said_right(lowest):
    with pytest.raises(ValueError) as refusal:
        dialects.from_bias(torch.tensor([[0.0, lowest]]))
    said = float(re.search(r"the key keeps (\S+) times the weight", str(refusal.value))[1])
    weights = torch.tensor([0.0, lowest], dtype=torch.float64).softmax(dim=-1)
    assert said == pytest.approx((weights[1] / weights[0]).item(), rel=0.05)
    assert torch.tensor([0.0, lowest]).softmax(dim=-1)[1] > 0  # in float32, too
    empty_row = torch.tensor([0.0, 0.0, 0.0]).add(lowest).softmax(dim=-1)
    assert torch.equal(empty_row, torch.full((3,), 1 / 3))  # "attends to every key"


@pytest.mark.parametrize("lowest", [-105.0, -1e4, -1e9, torch.finfo(torch.float32).min])
def test_what_a_huge_finite_minus_infinity_fails_at_is_said_right(lowest):
    with pytest.raises(ValueError, match="it blocks a key beside .* a fully masked row attends to every key"):
        dialects.from_bias(torch.tensor([[0.0, lowest]]))
    assert torch.equal(torch.tensor([0.0, lowest]).softmax(dim=-1), torch.tensor([1.0, 0.0]))
    empty_row = torch.tensor([0.0, 0.0, 0.0]).add(lowest).softmax(dim=-1)
    assert torch.equal(empty_row, torch.full((3,), 1 / 3))


# Errors


@pytest.mark.parametrize("convert", [
    dialects.to_bias,
    dialects.to_sdpa,
    dialects.to_key_padding_mask,
    dialects.to_transformers_2d,
    lambda mask: dialects.with_four_axes(mask, batch=1, heads=1, queries=1, keys=2),
])  # fmt: skip
def test_a_mask_that_is_not_bool_is_refused(convert):
    with pytest.raises(TypeError, match=r"must be bool, True = .*torch.float32.*\(1, 2\)"):
        convert(torch.ones(1, 2))


TAKE_A_TENSOR = {
    "with_four_axes": {"batch": 1, "heads": 1, "queries": 1, "keys": 2},
    "to_mha_attn_mask": {"heads": 1},
    "from_mha_attn_mask": {"heads": 1},
} | {
    f"{way}_{what}": {}
    for way in ("to", "from")
    for what in ("bias", "sdpa", "key_padding_mask", "transformers_2d", "transformers_4d")
} | {"keep_mask": {}, "to_transformers_4d_bias": {}}  # fmt: skip


@pytest.mark.parametrize("name", TAKE_A_TENSOR)
def test_a_rule_in_place_of_a_tensor_is_refused(name):
    convert, options = getattr(dialects, name), TAKE_A_TENSOR[name]
    with pytest.raises(TypeError, match=r"must be a tensor.*, got a rule\. Use rule.tensor\(queries=…, keys=…\)"):
        convert(masks.causal(), **options)
    with pytest.raises(TypeError, match=r"must be a tensor.*, got \[\[True\]\]\. Use torch.tensor"):
        convert([[True]], **options)
    with pytest.raises(TypeError, match=r"must be a tensor.*, got a NumPy array of bool and .*torch.from_numpy"):
        convert(np.array([[True]]), **options)


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.complex64])
@pytest.mark.parametrize("convert", [dialects.to_bias, dialects.to_transformers_4d_bias])
def test_a_bias_of_another_dtype_is_refused(convert, dtype):
    """As a bool 0 and −∞ would be False and True: the mask inverted."""
    with pytest.raises(TypeError, match=f"dtype must be floating-point, .* got {dtype}"):
        convert(torch.ones(1, 1, 2, 2, dtype=torch.bool), dtype=dtype)


@pytest.mark.parametrize("heads", [0, -1, True])
def test_no_heads_are_refused(heads):
    mask = torch.ones(1, 1, 2, 2, dtype=torch.bool)
    for convert, given_mask in ((dialects.to_mha_attn_mask, mask), (dialects.from_mha_attn_mask, mask[0])):
        with pytest.raises(ValueError, match=f"heads must be an integer, at least 1, got {heads}"):
            convert(given_mask, heads=heads)


@pytest.mark.parametrize(
    ("lowest", "dtype"),
    [
        (torch.finfo(torch.float16).min, torch.float32),
        (torch.finfo(torch.float16).min, torch.bfloat16),
        (torch.finfo(torch.bfloat16).min, torch.float32),
        (torch.finfo(torch.float32).min, torch.float64),
        (torch.finfo(torch.float32).min, torch.bfloat16),  # −∞ there
    ],
)
def test_the_finfo_min_of_another_dtype_is_read(lowest, dtype):
    """A model in half precision whose bias is cast to the scores' float32."""
    bias = torch.tensor([[[[0.0, lowest]]]], dtype=torch.float64).to(dtype)
    assert dialects.from_transformers_4d(bias).tolist() == [[[[True, False]]]]


@pytest.mark.parametrize("value", [-1.0, -1e4, -65503.0, -65505.0, -1e9, -3e38, 1.0, math.nan, math.inf])
def test_other_numbers_of_transformers_are_refused(value):
    with pytest.raises(ValueError, match="must hold 0"):
        dialects.from_transformers_4d(torch.tensor([[[[0.0, value]]]]))


@pytest.mark.parametrize("convert", [
    dialects.from_sdpa,
    dialects.from_key_padding_mask,
    lambda mask: dialects.from_mha_attn_mask(mask, heads=1),
    lambda mask: dialects.from_transformers_4d(mask[None, None]),
    lambda mask: dialects.to_transformers_4d_bias(mask[None, None]),
    lambda mask: dialects.to_mask_mod(mask[None, None]),
])  # fmt: skip
def test_integers_are_refused(convert):
    with pytest.raises(TypeError, match="must be bool, True = .*torch.int64"):
        convert(torch.ones(1, 2, dtype=torch.int64))


def test_shapes_that_do_not_fit_are_refused():
    four = torch.ones(1, 1, 2, 2, dtype=torch.bool)
    for convert in (dialects.to_key_padding_mask, dialects.from_key_padding_mask,
                    dialects.to_transformers_2d, dialects.from_transformers_2d):  # fmt: skip
        with pytest.raises(ValueError, match=r"\(batch, key\).*\(1, 1, 2, 2\)"):
            convert(four)
    with pytest.raises(ValueError, match=r"1 or 2, query, key.*\(1, 3, 2, 2\)"):
        dialects.to_mha_attn_mask(four.expand(1, 3, 2, 2), heads=2)
    with pytest.raises(ValueError, match=r"\(batch, head, query, key\).*\(2, 2\)"):
        dialects.from_transformers_4d(torch.zeros(2, 2))  # a bias
    with pytest.raises(ValueError, match=r"\(batch, head, query, key\).*\(2, 2\).*four_axes"):
        dialects.to_mha_attn_mask(torch.ones(2, 2, dtype=torch.bool), heads=2)
    with pytest.raises(ValueError, match=r"\(batch·2, query, key\).*\(3, 2, 2\)"):
        dialects.from_mha_attn_mask(torch.ones(3, 2, 2, dtype=torch.bool), heads=2)
    for convert in (dialects.to_transformers_4d, dialects.from_transformers_4d, dialects.to_mask_mod):
        with pytest.raises(ValueError, match=r"\(batch, head, query, key\).*\(2, 2\)"):
            convert(four[0, 0])


def test_sizes_may_be_integers_of_numpy():
    n, rule = np.int64, masks.causal()
    block_mask = dialects.to_block_mask(rule, batch=n(2), heads=n(1), queries=n(4), keys=n(4), block_size=n(2))
    assert torch.equal(dialects.from_block_mask(block_mask), rule.tensor(batch=2, queries=4, keys=4))
    mask = rule.tensor(batch=2, queries=3, keys=3)
    assert torch.equal(dialects.from_mha_attn_mask(dialects.to_mha_attn_mask(mask, heads=n(1)), heads=n(1)), mask)


def test_a_block_mask_of_another_size_is_refused():
    mask = torch.ones(2, 1, 3, 3, dtype=torch.bool)
    with pytest.raises(ValueError, match="must fit"):
        dialects.to_block_mask(mask, queries=3, keys=4)
    with pytest.raises(ValueError, match="must fit"):
        dialects.to_block_mask(mask, batch=3, queries=3, keys=3)
    for length in (1, 2):
        rule = masks.padding(torch.full((length,), 3), total=3)
        with pytest.raises(
            ValueError, match=rf"must fit .* = \(3, None, 3, 3\), got one for \({length}, None, None, None\)"
        ):
            dialects.to_block_mask(rule, batch=3, queries=3, keys=3)
    rule = masks.Rule(lambda b, h, q, k: h > 0, "not the first head", heads=2)
    with pytest.raises(ValueError, match="must fit"):
        dialects.to_block_mask(rule, heads=3, queries=3, keys=3)
    assert dialects.from_block_mask(dialects.to_block_mask(rule, queries=3, keys=3)).shape == (1, 2, 3, 3)


@pytest.mark.parametrize(("sizes", "words"), [
    ({"queries": 4, "keys": 3}, "does not know all of 4 queries and 3 keys"),
    ({"queries": 3, "keys": 400, "block_size": 2}, "does not know all of 3 queries and 400 keys"),
    ({"queries": 0, "keys": 3}, "queries must be an integer, at least 1, got 0"),
    ({"queries": 3, "keys": 0}, "keys must be an integer, at least 1, got 0"),
    ({"queries": 3, "keys": 3, "block_size": 0}, "block_size must be an integer, at least 1, got 0"),
    ({"queries": 3, "keys": 3, "batch": 1.5}, "batch must be an integer, at least 1, got 1.5"),
    ({"queries": 3, "keys": 3, "heads": 0}, "heads must be an integer, at least 1, got 0"),
    ({"queries": 3, "keys": 3, "block_size": (2, 0)}, "block_size must be an integer, at least 1, got 0"),
])  # fmt: skip
def test_a_block_mask_of_nothing_or_of_too_much_is_refused(sizes, words):
    rule = masks.documents(torch.zeros(1, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match=words):
        dialects.to_block_mask(rule, **sizes)


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64])
def test_a_bias_that_is_not_floating_point_is_refused(dtype):
    with pytest.raises(TypeError, match="must be floating-point"):
        dialects.from_bias(torch.zeros(1, 2, dtype=dtype))  # all blocked as a bool, all allowed as a bias


@pytest.mark.parametrize("value", [1.0, -1e9, float("nan"), float("inf")])
def test_a_bias_with_other_numbers_is_refused(value):
    with pytest.raises(ValueError, match="must hold 0 "):
        dialects.from_bias(torch.tensor([[0.0, value]]))


def test_labels_that_are_no_labels_are_refused():
    ids, some = torch.tensor([[1, 2]]), torch.tensor([[True, False]])
    with pytest.raises(TypeError, match="int64.*torch.float32"):
        dialects.to_labels(ids.float(), some)
    with pytest.raises(ValueError, match=r"one shape.*\(1, 2\) and \(1, 1\)"):
        dialects.to_labels(ids, some[:, :1])
    with pytest.raises(TypeError, match=r"supervised must be bool, True = counts.*torch.int64 of shape \(1, 2\)"):
        dialects.to_labels(ids, some.long())
    for strange in (-100, -1):
        with pytest.raises(ValueError, match=rf"counts in the loss must be 0 or more, got {strange}\."):
            dialects.to_labels(torch.tensor([[strange, 2]]), some)
        assert dialects.to_labels(torch.tensor([[1, strange]]), some).tolist() == [[1, -100]]  # it does not count
    with pytest.raises(TypeError, match="int64.*torch.bool"):
        dialects.from_labels(some)
    with pytest.raises(ValueError, match=r"got -1\. .*labels == -1"):
        dialects.from_labels(torch.tensor([[1, -100, -1]]))


@pytest.mark.parametrize(("skipped", "rule"), [
    (46.875, masks.causal()),
    (90.625, masks.documents(torch.arange(2048)[None] // 256) & masks.causal()),  # eight documents of 256
])  # fmt: skip
def test_how_much_of_a_text_of_2048_flex_attention_skips_in_blocks_of_128(skipped, rule):
    assert dialects.to_block_mask(rule, queries=2048, keys=2048).sparsity() == skipped
