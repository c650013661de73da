"""Our masks are Transformers' and FlexAttention's masks, cell by cell; where theirs mean another thing, it is shown."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention.flex_attention import create_mask
from transformers import DynamicCache, LlamaConfig, LongformerConfig
from transformers import masking_utils as theirs
from transformers.models.longformer.modeling_longformer import LongformerSelfAttention

from masklab import masks
from masklab.attention import attend
from tests.strategies import lengths, sides
from tests.test_masks import every_rule, ints

sizes = st.integers(1, 12)
few = settings(max_examples=25)  # FlexAttention's vmap takes milliseconds a mask


def sdpa(function, queries, keys, *, batch=1, offset=0, words=None):
    """The mask that Transformers hands to scaled_dot_product_attention."""
    return theirs.sdpa_mask(
        batch, queries, keys, offset, mask_function=function, attention_mask=words, allow_is_causal_skip=False
    )


def of_model(create, words=None, *, length, batch=1, past=0, **more):
    """The mask that a model of Transformers makes for itself; a config is enough, no weights."""
    config = LlamaConfig(
        num_hidden_layers=1, attn_implementation="sdpa", sliding_window=3, attention_chunk_size=3, layer_types=None
    )
    cache = None
    if past:
        cache = DynamicCache()
        cache.update(*torch.zeros(2, batch, 1, past, 1), layer_idx=0)
    skip = "allow_is_bidirectional_skip" if "bidirectional" in create.__name__ else "allow_is_causal_skip"
    inputs = torch.zeros(batch, length, 1)
    words = None if words is None else words.long()  # a tokenizer gives 0 and 1
    return create(config, inputs, words, past_key_values=cache, **{skip: False}, **more)


@given(sizes, sizes, st.integers(0, 12))
def test_causal(queries, keys, offset):
    mask = sdpa(theirs.causal_mask_function, queries, keys, offset=offset)
    assert torch.equal(masks.causal(offset=offset).tensor(queries=queries, keys=keys), mask)


@given(sizes, sizes, st.integers(0, 12), sizes)
def test_sliding_window(queries, keys, offset, size):
    mask = sdpa(theirs.sliding_window_causal_mask_function(size), queries, keys, offset=offset)
    assert torch.equal(masks.sliding_window(size, offset=offset).tensor(queries=queries, keys=keys), mask)


@given(sizes, sizes, st.integers(0, 12))
def test_bidirectional_window(queries, keys, size):
    mask = sdpa(theirs.sliding_window_bidirectional_mask_function(size), queries, keys)
    ours = masks.bidirectional_window(before=size, after=size)
    assert torch.equal(ours.tensor(queries=queries, keys=keys), mask)


@given(sizes, sizes, st.lists(st.integers(0, 5), min_size=1, max_size=3))
def test_chunks_with_left_padding(length, size, starts):
    mask = sdpa(theirs.chunked_causal_mask_function(size, ints(*starts)), length, length, batch=len(starts))
    assert torch.equal(masks.chunks(size, starts=ints(*starts)).tensor(queries=length, keys=length), mask)


@given(st.lists(st.integers(0, 3), min_size=12, max_size=12))
def test_documents(ids):
    ids = torch.tensor(ids).view(2, 6)
    mask = sdpa(theirs.packed_sequence_mask_function(ids), 6, 6, batch=2)
    assert torch.equal(masks.documents(ids).tensor(queries=6, keys=6), mask)


def test_pads_are_a_document_of_their_own_in_transformers_and_none_here():
    ids = masks.document_ids([[2, 1]], total=5)
    ours = masks.documents(ids).tensor(queries=5, keys=5)[0, 0]
    mask = sdpa(theirs.packed_sequence_mask_function(ids), 5, 5)[0, 0]
    assert torch.equal(mask[:3], ours[:3]) and not ours[3:].any()
    assert mask[3:].int().tolist() == [[0, 0, 0, 1, 1]] * 2


@given(lengths(most=12), sides)
def test_padding_and_causal(case, side):
    found, total = case
    total = max(total, 1)
    rule = masks.padding(found, total=total, side=side)
    words = rule.tensor(queries=1, keys=total)[:, 0, 0]
    causal = sdpa(theirs.causal_mask_function, total, total, batch=len(found), words=words)
    both = sdpa(theirs.bidirectional_mask_function, total, total, batch=len(found), words=words)
    assert torch.equal((rule & masks.causal()).tensor(queries=total, keys=total), causal)
    assert torch.equal(rule.tensor(queries=total, keys=total), both)


@pytest.mark.parametrize(("create", "rule"), [
    (theirs.create_causal_mask, masks.causal()),
    (theirs.create_sliding_window_causal_mask, masks.sliding_window(3)),
    (theirs.create_chunked_causal_mask, masks.chunks(3, starts=ints(0, 2, 1))),
    (theirs.create_bidirectional_mask, masks.everything()),
    (theirs.create_bidirectional_sliding_window_mask, masks.bidirectional_window(before=3, after=3)),
])  # fmt: skip
def test_a_models_own_mask(create, rule):
    """Padding on the right, on the left and on both sides."""
    words = masks.between(ints(0, 2, 1), ints(5, 8, 6))
    mask = of_model(create, words.tensor(queries=1, keys=8)[:, 0, 0], length=8, batch=3)
    assert torch.equal((rule & words).tensor(queries=8, keys=8), mask)


def test_a_model_with_a_cache():
    words = masks.between(ints(2, 0), ints(9, 9))
    mask = of_model(theirs.create_causal_mask, words.tensor(queries=1, keys=9)[:, 0, 0], length=3, batch=2, past=6)
    assert torch.equal((masks.causal(offset=6) & words).tensor(queries=3, keys=9), mask)
    window = of_model(theirs.create_sliding_window_causal_mask, length=3, past=6)
    assert torch.equal(masks.sliding_window(3, offset=6).tensor(queries=3, keys=9), window)
    later = masks.offset_queries(masks.causal() & words, offset=6)
    assert torch.equal(later.tensor(queries=3, keys=9), mask)


def test_a_packed_batch_is_found_by_its_positions():
    positions = torch.tensor([[0, 1, 2, 0, 1, 0, 1, 2], [0, 1, 2, 3, 4, 5, 6, 7]])
    mask = of_model(theirs.create_causal_mask, length=8, batch=2, position_ids=positions)
    ids = masks.document_ids([[3, 2, 3], [8]], total=8)
    assert torch.equal((masks.documents(ids) & masks.causal()).tensor(queries=8, keys=8), mask)


def test_the_masks_of_an_encoder_decoder():
    made = masks.encoder_decoder(ints(4, 2), ints(3, 5), source_total=4, target_total=5)
    source, target = torch.arange(4) < ints(4, 2)[:, None], torch.arange(5) < ints(3, 5)[:, None]
    encoder = of_model(theirs.create_bidirectional_mask, source, length=4, batch=2)
    decoder = of_model(theirs.create_causal_mask, target, length=5, batch=2)
    hidden = torch.zeros(2, 4, 1)
    cross = of_model(theirs.create_bidirectional_mask, source, length=5, batch=2, encoder_hidden_states=hidden)
    assert torch.equal(made.source.tensor(queries=4, keys=4), encoder)
    assert torch.equal(made.target.tensor(queries=5, keys=5), decoder)
    assert torch.equal(made.cross.tensor(queries=5, keys=4), cross)


class TestOrder:
    """In Transformers an `or_mask_function` comes *before* padding and packing. So should our `|`."""

    prefixes = ints(4, 3)
    prefix = masks.Rule(lambda b, h, q, k: k < TestOrder.prefixes[b], "the key is in the prefix", batch=2)

    def test_before_padding(self):
        words = masks.between(ints(0, 2), ints(3, 6))  # the first prefix holds a pad, the second two
        given = words.tensor(queries=1, keys=6)[:, 0, 0]
        mask = of_model(theirs.create_causal_mask, given, length=6, batch=2, or_mask_function=TestOrder.prefix.mask_mod)
        right = (masks.prefix_lm(self.prefixes) & words).tensor(queries=6, keys=6)
        wrong = (masks.causal() & words | self.prefix).tensor(queries=6, keys=6)
        assert torch.equal(right, mask) and not torch.equal(wrong, mask)
        assert not (right & ~given[:, None, None]).any() and (wrong & ~given[:, None, None]).any()

    def test_before_packing_where_each_document_has_its_prefix(self):
        positions, ids = torch.tensor([[0, 1, 2, 3, 0, 1, 2]]), masks.document_ids([[4, 3]], total=7)

        def first_two(b, h, q, k):
            return k < 2

        mask = of_model(theirs.create_causal_mask, length=7, position_ids=positions, or_mask_function=first_two)
        prefix = masks.Rule(lambda b, h, q, k: positions[b, k] < 2, "the key is among its document's first two")
        right = ((masks.causal() | prefix) & masks.documents(ids)).tensor(queries=7, keys=7)
        wrong = (masks.causal() & masks.documents(ids) | prefix).tensor(queries=7, keys=7)
        assert torch.equal(right, mask) and not torch.equal(wrong, mask)

    def test_images_in_a_text_see_themselves(self):
        """`block_sequence_ids`: −1 is no block, as in `documents`, and the rule is `|`, before padding."""
        ids = torch.tensor([[-1, 0, 0, -1, 1, 1, -1], [0, 0, 0, -1, -1, 1, 1]])
        words = masks.padding(ints(7, 6), total=7)
        given = words.tensor(queries=1, keys=7)[:, 0, 0]
        mask = of_model(theirs.create_causal_mask, given, length=7, batch=2, block_sequence_ids=ids)
        assert torch.equal(((masks.causal() | masks.documents(ids)) & words).tensor(queries=7, keys=7), mask)


@pytest.mark.parametrize("name", every_rule())
def test_every_rule_is_a_mask_mod_of_both(name):
    rule, here = every_rule()[name], {"batch": 2, "heads": 2, "queries": 4, "keys": 4}
    assert torch.equal(create_mask(rule.mask_mod, 2, 2, 4, 4, device="cpu"), rule.tensor(**here))
    one = rule.tensor(**here)[:, :1]  # Transformers makes one head
    for vmap in (False, True):
        mask = theirs.sdpa_mask(2, 4, 4, mask_function=rule.mask_mod, allow_is_causal_skip=False, use_vmap=vmap)
        assert torch.equal(mask, one)


@few
@given(lengths(), st.lists(st.integers(0, 2), min_size=8, max_size=8), st.integers(1, 4))
def test_compositions_are_mask_mods_of_flex_attention(case, ids, n):
    found, total = case
    total = max(total, 1)
    ids = torch.tensor(ids).expand(len(found), -1)
    rule = masks.padding(found, total=total) & (masks.sliding_window(n) | masks.documents(ids) & ~masks.dilated(n))
    flex = create_mask(rule.mask_mod, len(found), 2, total, total, device="cpu")
    assert torch.equal(rule.tensor(batch=len(found), heads=2, queries=total, keys=total), flex)


# What each library calls a window of W: as arithmetic, as ours, and how many keys a query sees.
WINDOWS = {
    "Transformers, causal": (lambda q, k, w: (k <= q) & (k > q - w), lambda w: masks.sliding_window(w), lambda w: w),
    "attention-gym": (lambda q, k, w: (k <= q) & (q - k <= w), lambda w: masks.sliding_window(w + 1), lambda w: w + 1),
    "Keras": (
        lambda q, k, w: abs(q - k) < w,
        lambda w: masks.bidirectional_window(before=w - 1, after=w - 1),
        lambda w: 2 * w - 1,
    ),
    "Transformers, both sides": (
        lambda q, k, w: abs(q - k) <= w,
        lambda w: masks.bidirectional_window(before=w, after=w),
        lambda w: 2 * w + 1,
    ),
}


@pytest.mark.parametrize("library", WINDOWS)
@pytest.mark.parametrize("w", [1, 2, 3, 4])
def test_a_window_of_w_has_many_meanings(library, w):
    rule, ours, seen = WINDOWS[library]
    mask = create_mask(lambda b, h, q, k: rule(q, k, w), 1, 1, 12, 12, device="cpu")
    assert mask[0, 0, 6].sum() == seen(w)
    for other in range(1, 7):  # w alone is right, and off by one is wrong
        assert torch.equal(ours(other).tensor(queries=12, keys=12), mask) == (other == w)


@pytest.mark.parametrize(("left", "right"), [(0, 0), (3, 0), (0, 2), (2, 3)])
def test_jax_names_both_sides(left, right):
    """`local_window_size=(l, r)` sees l + 1 + r keys."""
    mask = create_mask(lambda b, h, q, k: (q - left <= k) & (k <= q + right), 1, 1, 12, 12, device="cpu")
    equal = {
        (before, after)
        for before in range(6)
        for after in range(6)
        if torch.equal(masks.bidirectional_window(before=before, after=after).tensor(queries=12, keys=12), mask)
    }
    assert equal == {(left, right)} and mask[0, 0, 6].sum() == left + 1 + right


def test_the_window_off_by_one_on_purpose():
    """A model trained with one meaning and run with another sees one key too many, or too few."""
    ours = masks.sliding_window(4).tensor(queries=12, keys=12)
    gym = create_mask(lambda b, h, q, k: (k <= q) & (q - k <= 4), 1, 1, 12, 12, device="cpu")
    hugging = sdpa(theirs.sliding_window_causal_mask_function(4), 12, 12)
    assert torch.equal(ours, hugging) and not torch.equal(ours, gym)
    assert (gym & ~ours).sum() == 12 - 4 and not (ours & ~gym).any()  # one more in each row that is long enough
    assert torch.equal(masks.sliding_window(4 + 1).tensor(queries=12, keys=12), gym)


class TestLongformer:
    """Window and global tokens as Longformer's own code attends: it never makes a mask of pairs."""

    heads, length = 2, 16  # the length is a multiple of the window, and a window of 1 fails in their code

    def layer(self, side):
        config = LongformerConfig(hidden_size=8, num_attention_heads=self.heads, attention_window=[2 * side])
        layer = LongformerSelfAttention(config, layer_id=0).eval()
        with torch.no_grad():
            for seed, own in enumerate((layer.query, layer.key, layer.value)):
                own.weight.copy_(torch.randn(8, 8, generator=torch.Generator().manual_seed(seed)))
        for own in ("query", "key", "value"):  # one set of weights for all tokens
            getattr(layer, f"{own}_global").load_state_dict(getattr(layer, own).state_dict())
        return layer

    @torch.no_grad()
    def output(self, layer, x, state):
        """``state`` (batch, length): −1 a pad, 0 a local word, 1 a global word."""
        marked = {"is_index_masked": state < 0, "is_index_global_attn": state > 0}
        return layer(x, attention_mask=state * 1e4, **marked, is_global_attn=bool((state > 0).any()))[0]

    @few
    @given(st.sampled_from([2, 4]), st.sets(st.integers(0, 8)), st.lists(st.integers(9, 16), min_size=2, max_size=2))
    def test_window_and_global_tokens(self, side, positions, found):
        layer, x = self.layer(side), torch.randn(2, self.length, 8, generator=torch.Generator().manual_seed(9))
        words = torch.arange(self.length) < ints(*found)[:, None]
        state = words.float() - 1
        state[:, list(positions)] = 1.0
        rule = masks.bidirectional_window(before=side, after=side) | masks.global_tokens(ints(*positions))
        mask = (rule & masks.padding(ints(*found), total=self.length)).tensor(queries=self.length, keys=self.length)
        q, k, v = (own(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
                   for own in (layer.query, layer.key, layer.value))  # fmt: skip
        ours = attend(q, k, v, mask).output.transpose(1, 2).flatten(-2)
        torch.testing.assert_close(ours[words], self.output(layer, x, state)[words], atol=1e-5, rtol=1e-5)
        narrow = attend(q, k, v, mask & masks.diagonal().tensor(queries=self.length, keys=self.length)).output
        assert (narrow.transpose(1, 2).flatten(-2)[words] - ours[words]).abs().max() > 0.1  # another mask would show
