"""The tiny models equal torch's own layers and slow loops, and obey their masks to the last gradient."""

import copy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

import masklab.models
from masklab import masks
from masklab.dialects import to_key_padding_mask, to_mha_attn_mask
from masklab.models import GPT, Classifier, Encoder, EncoderDecoder, Tagger, masked_mean, positions_of, trace_attention
from masklab.models.encoder_decoder import DecoderBlock
from masklab.models.layers import Attend, Block, MultiHeadAttention
from masklab.models.private import Dropout, private_seed
from masklab.models.sampling import choose
from masklab.text import PAD_ID, batch_of_words, word_positions
from tests.strategies import DTYPES, seeds, sides

VOCABULARY = 11
few = settings(max_examples=25)  # for loops that run one step, or one gradient, at a time
SMALL = {"dim": 8, "heads": 2, "max_len": 16}
MODELS = {
    "classifier": lambda **options: Classifier(VOCABULARY, 4, dim=8, **options),
    "tagger": lambda **options: Tagger(VOCABULARY, 5, dim=8, **options),
    "encoder": lambda **options: Encoder(VOCABULARY, 5, **SMALL, **options),
    "gpt": lambda **options: GPT(VOCABULARY, **SMALL, **options),
    "encoder_decoder": lambda **options: EncoderDecoder(VOCABULARY, VOCABULARY, **SMALL, **options),
}
TRANSFORMERS = ["encoder", "gpt", "encoder_decoder"]


def private(seed):
    return torch.Generator().manual_seed(seed)


@st.composite
def sentences(draw, *, most=6):
    """Ids of 1 to 4 sentences with words *under the pads too*, their lengths (1 or more), and a side."""
    found = draw(st.lists(st.integers(1, most), min_size=1, max_size=4))
    lengths, total, g = torch.tensor(found), max(found) + draw(st.integers(0, 2)), private(draw(seeds))
    return torch.randint(VOCABULARY, (len(found), total), generator=g), lengths, draw(sides)


def alone(ids, lengths, side):
    """Each sentence as a batch of one, without padding, and the columns that it came from."""
    total = ids.shape[1]
    for b, length in enumerate(lengths.tolist()):
        columns = slice(0, length) if side == "right" else slice(total - length, total)
        yield b, columns, ids[b : b + 1, columns]


def run(name, model, ids, lengths):
    """A model's logits for right-padded sentences, with the masks that it should have."""
    keys = word_positions(lengths, total=ids.shape[1])[:, None, None, :]
    causal = masks.causal().tensor(queries=ids.shape[1], keys=ids.shape[1])
    return {
        "classifier": lambda: model(ids, lengths),
        "tagger": lambda: model(ids, lengths),
        "encoder": lambda: model(ids, keys),
        "gpt": lambda: model(ids, keys & causal),
        "encoder_decoder": lambda: model(ids, ids, source_mask=keys, target_mask=keys & causal, cross_mask=keys),
    }[name]()


# ---------------------------------------------------------------- recurrent networks


def gru_by_hand(gru, x, direction=""):
    """The GRU's equations, one step after the other, for one sentence (L, dim)."""
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    w_x, w_h, b_x, b_h = (getattr(gru, name + direction) for name in names)
    h, states = torch.zeros(gru.hidden_size), []
    for step in x:
        reset_x, update_x, new_x = (w_x @ step + b_x).chunk(3)
        reset_h, update_h, new_h = (w_h @ h + b_h).chunk(3)
        update = torch.sigmoid(update_x + update_h)
        new = torch.tanh(new_x + torch.sigmoid(reset_x + reset_h) * new_h)
        h = (1 - update) * new + update * h
        states.append(h)
    return torch.stack(states)


@few
@given(sentences(), seeds)
def test_each_read_by_a_slow_loop(case, seed):
    ids, lengths, side = case
    read = {
        name: Classifier(VOCABULARY, 4, dim=6, read=name, seed=seed) for name in ("last_step", "last_word", "packed")
    }
    logits = {name: model(ids, lengths, side=side) for name, model in read.items()}
    model = read["packed"]
    for b, columns, sentence in alone(ids, lengths, side):
        truth = model.head(gru_by_hand(model.rnn, model.token(sentence[0]))[-1])
        row = gru_by_hand(model.rnn, model.token(ids[b]))  # the whole row, pads and all
        torch.testing.assert_close(logits["packed"][b], truth, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(logits["last_step"][b], model.head(row[-1]), atol=1e-5, rtol=1e-5)
        last = columns.stop - 1
        torch.testing.assert_close(logits["last_word"][b], model.head(row[last]), atol=1e-5, rtol=1e-5)
        if side == "right":
            torch.testing.assert_close(logits["last_word"][b], truth, atol=1e-5, rtol=1e-5)


@few
@given(sentences(), seeds)
def test_each_direction_is_read_at_its_own_end(case, seed):
    ids, lengths, side = case
    read = {
        name: Classifier(VOCABULARY, 4, dim=6, bidirectional=True, read=name, seed=seed)
        for name in ("last_step", "last_word", "packed")
    }
    logits = {name: model(ids, lengths, side=side) for name, model in read.items()}
    model = read["packed"]

    def states(x):
        return gru_by_hand(model.rnn, x), gru_by_hand(model.rnn, x.flip(0), "_reverse").flip(0)

    for b, columns, sentence in alone(ids, lengths, side):
        there, back = states(model.token(sentence[0]))
        truth = {"packed": model.head(torch.cat([there[-1], back[0]]))}
        there, back = states(model.token(ids[b]))  # the whole row, pads and all
        truth["last_step"] = model.head(torch.cat([there[-1], back[0]]))
        truth["last_word"] = model.head(torch.cat([there[columns.stop - 1], back[columns.start]]))
        for name in truth:
            torch.testing.assert_close(logits[name][b], truth[name], atol=1e-5, rtol=1e-5)


def test_the_wrong_reads_are_visibly_wrong():
    ids, lengths = torch.tensor([[1, 2, 3, 0, 0]]), torch.tensor([3])
    truth = Classifier(VOCABULARY, 4)(ids[:, :3], lengths)
    error = {
        (read, side): (Classifier(VOCABULARY, 4, read=read)(row, lengths, side=side) - truth).abs().max().item()
        for read in ("last_step", "last_word", "packed")
        for side, row in (("right", ids), ("left", ids.roll(2, dims=1)))
    }
    wrong = [("last_step", "right"), ("last_step", "left"), ("last_word", "left")]
    assert all(error[case] > 0.01 for case in wrong)
    assert all(error[case] < 1e-6 for case in error if case not in wrong)


@few
@given(sentences(), seeds, st.booleans())
def test_a_packed_tagger_by_a_slow_loop(case, seed, bidirectional):
    ids, lengths, side = case
    model = Tagger(VOCABULARY, 5, dim=6, bidirectional=bidirectional, seed=seed)
    logits = model(ids, lengths, side=side)
    assert logits.shape == (*ids.shape, 5)
    for b, columns, sentence in alone(ids, lengths, side):
        x = model.token(sentence[0])
        states = [gru_by_hand(model.rnn, x)]
        if bidirectional:
            states.append(gru_by_hand(model.rnn, x.flip(0), "_reverse").flip(0))
        truth = model.head(torch.cat(states, dim=-1))
        torch.testing.assert_close(logits[b, columns], truth, atol=1e-5, rtol=1e-5)


def test_an_unpacked_bidirectional_tagger_is_wrong_at_real_words():
    ids, lengths = torch.tensor([[1, 2, 3, 0, 0]]), torch.tensor([3])

    def error(**options):
        model = Tagger(VOCABULARY, 5, **options)
        return (model(ids, lengths)[:, :3] - model(ids[:, :3], lengths)).abs().max().item()

    assert error(bidirectional=True, packed=False) > 0.05
    assert error(bidirectional=True, packed=True) < 1e-6
    assert error(bidirectional=False, packed=False) < 1e-6  # pads come after: a reader from left never saw them


@pytest.mark.parametrize(
    "model", [Classifier(VOCABULARY, 4, read=r) for r in ("last_word", "packed")] + [Tagger(VOCABULARY, 5)]
)
@pytest.mark.parametrize(("lengths", "side", "words"), [
    ([2, 0], "right", r"1 to 3 words.*\[2, 0\]"),
    ([2, 4], "right", r"1 to 3 words.*\[2, 4\]"),
    ([2, 1], "both", "'left' or 'right', got 'both'"),
])  # fmt: skip
def test_lengths_that_no_network_can_read_are_refused(model, lengths, side, words):
    with pytest.raises(ValueError, match=words):
        model(torch.ones(2, 3, dtype=torch.int64), torch.tensor(lengths), side=side)


LENGTHS_FOR_TWO = [
    (torch.tensor([2]), ValueError, r"\(2,\), one for each sentence, got \(1,\)"),  # it would broadcast
    (torch.tensor([2, 1, 3]), ValueError, r"\(2,\), one .* \(3,\)"),
    (torch.tensor(2), ValueError, r"\(2,\), one .* \(\)"),
    (torch.tensor([[2, 1]]), ValueError, r"\(2,\), one .* \(1, 2\)"),
    (torch.tensor([2.5, 1.0]), TypeError, r"integers, got torch.float32 of shape \(2,\)"),
    (torch.tensor([True, True]), TypeError, "integers, got torch.bool"),
]
LENGTHS_READERS = {
    "last_step": lambda ids, lengths, **side: Classifier(VOCABULARY, 4, read="last_step")(ids, lengths, **side),
    "last_word": lambda ids, lengths, **side: Classifier(VOCABULARY, 4, read="last_word")(ids, lengths, **side),
    "packed": lambda ids, lengths, **side: Classifier(VOCABULARY, 4)(ids, lengths, **side),
    "tagger": lambda ids, lengths, **side: Tagger(VOCABULARY, 5)(ids, lengths, **side),
    "unpacked tagger": lambda ids, lengths, **side: Tagger(VOCABULARY, 5, packed=False)(ids, lengths, **side),
    "generate": lambda ids, lengths, **side: GPT(VOCABULARY, **SMALL).generate(ids, lengths, max_new_tokens=2, **side)[
        0
    ],
}


@pytest.mark.parametrize("read", LENGTHS_READERS.values(), ids=LENGTHS_READERS)
@pytest.mark.parametrize(("lengths", "error", "words"), LENGTHS_FOR_TWO)
def test_lengths_of_another_batch_are_refused(read, lengths, error, words):
    with pytest.raises(error, match=words):
        read(torch.ones(2, 3, dtype=torch.int64), lengths)


@pytest.mark.parametrize("name", LENGTHS_READERS)
def test_lengths_may_be_any_integers(name):
    """A small unsigned number must not wrap around when it is turned into a number of pads."""
    ids, lengths = torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([1, 3])
    expected = LENGTHS_READERS[name](ids, lengths, side="left")
    for dtype in (torch.uint8, torch.int32):
        assert torch.equal(LENGTHS_READERS[name](ids.to(dtype), lengths.to(dtype), side="left"), expected)


def test_no_sentence_gives_no_result():
    ids, lengths = torch.zeros(0, 3, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)
    for read in ("last_step", "last_word", "packed"):
        for both in (False, True):
            assert Classifier(VOCABULARY, 4, bidirectional=both, read=read)(ids, lengths).shape == (0, 4)
    for packed, bidirectional in ((True, True), (True, False), (False, True), (False, False)):
        assert Tagger(VOCABULARY, 5, packed=packed, bidirectional=bidirectional)(ids, lengths).shape == (0, 3, 5)
    for temperature in (0, 1.0):
        for given_lengths in (lengths, None):
            found, count = GPT(VOCABULARY).generate(ids, given_lengths, max_new_tokens=4, temperature=temperature)
            assert found.shape == (0, 0) and count.shape == (0,)
            assert found.dtype == count.dtype == torch.int64


def test_an_unknown_read_is_refused():
    with pytest.raises(ValueError, match="'last'"):
        Classifier(VOCABULARY, 4, read="last")
    model = Classifier(VOCABULARY, 4)
    model.read = "last step"  # read anew after the training, with a slip: it must not read something else silently
    with pytest.raises(ValueError, match="'last step'"):
        model(torch.ones(1, 2, dtype=torch.int64), torch.tensor([2]))


# ---------------------------------------------------------------- torch's own layers, with our weights


def in_torch_names(found):
    """A block's tensors (its weights, or their gradients) under the names of nn.Transformer{En,De}coderLayer."""
    decoder = "cross.out.weight" in found
    attentions = {"attention": "self_attn"} | ({"cross": "multihead_attn"} if decoder else {})
    others = {"norm_attention": "norm1", "feed.0": "linear1", "feed.2": "linear2"}
    others |= {"norm_cross": "norm2", "norm_feed": "norm3"} if decoder else {"norm_feed": "norm2"}
    renamed = {}
    for kind in ("weight", "bias"):
        renamed |= {f"{theirs}.{kind}": found[f"{ours}.{kind}"] for ours, theirs in others.items()}
        for ours, theirs in attentions.items():
            parts = [found[f"{ours}.{part}.{kind}"] for part in ("query", "key", "value")]
            renamed |= {f"{theirs}.in_proj_{kind}": torch.cat(parts)}
            renamed |= {f"{theirs}.out_proj.{kind}": found[f"{ours}.out.{kind}"]}
    return renamed


def torch_twin(block, kind):
    """Torch's own layer with a block's weights."""
    dim, heads = block.norm_feed.normalized_shape[0], block.attention.heads
    twin = kind(dim, heads, 4 * dim, dropout=0.0, batch_first=True, norm_first=True)
    twin = twin.to(block.norm_feed.weight.dtype)
    twin.load_state_dict(in_torch_names(block.state_dict()))
    return twin.train(block.training)


@st.composite
def blocks(draw):
    """Sizes, a stream x (B, L, dim), a source (B, S, dim), their words, a mask of pairs, a dtype, train or eval."""
    heads, width, batch, length, keys = (
        draw(st.integers(low, high)) for low, high in ((1, 3), (6, 8), (1, 3), (1, 6), (1, 6))
    )  # a norm over two or three numbers can divide by almost nothing, and then float32 itself is off by more than 1e-5
    dtype, g = draw(st.sampled_from([torch.float32, torch.float64])), private(draw(seeds))
    x, source = (torch.randn(batch, n, heads * width, generator=g, dtype=dtype) for n in (length, keys))
    words = [torch.rand(batch, n, generator=g) < draw(st.sampled_from([0.5, 0.9, 1.0])) for n in (length, keys)]
    pairs = masks.causal().tensor(queries=length, keys=length)
    if draw(st.booleans()):  # any mask, another for each head
        pairs = torch.rand(batch, heads, length, length, generator=g) < 0.7
    return heads, x, source, words, pairs.expand(batch, -1, -1, -1), draw(st.booleans())


def same(ours, theirs):
    tolerance = DTYPES[ours.dtype]
    torch.testing.assert_close(ours, theirs, atol=tolerance, rtol=tolerance)


def same_with_gradients(block, twin, run_ours, run_theirs, inputs):
    """Equal outputs, equal gradients of every weight and every input, for a random cotangent."""
    ours = [x.clone().requires_grad_() for x in inputs]
    theirs = [x.clone().requires_grad_() for x in inputs]
    out_ours, out_theirs = run_ours(*ours), run_theirs(*theirs)
    same(out_ours, out_theirs)
    cotangent = torch.randn(out_ours.shape, generator=private(0), dtype=out_ours.dtype)
    out_ours.backward(cotangent)
    out_theirs.backward(cotangent)
    for a, b in zip(ours, theirs, strict=True):
        same(a.grad, b.grad)
    gradients = in_torch_names({name: weight.grad for name, weight in block.named_parameters()})
    assert gradients.keys() == dict(twin.named_parameters()).keys()
    for name, weight in twin.named_parameters():
        same(gradients[name], weight.grad)


@few
@given(blocks(), seeds)
def test_block_equals_transformer_encoder_layer(case, seed):
    heads, x, _, (words, _), pairs, training = case
    with private_seed(seed):
        block = Block(x.shape[-1], heads).to(x.dtype).train(training)
    twin = torch_twin(block, nn.TransformerEncoderLayer)
    mask = words[:, None, None, :] & pairs
    theirs = {
        "src_mask": to_mha_attn_mask(pairs, heads=heads),
        "src_key_padding_mask": to_key_padding_mask(words),
    }
    same_with_gradients(block, twin, lambda y: block(y, mask)[0], lambda y: twin(y, **theirs), [x])
    with torch.no_grad():  # in eval mode torch now takes another path, which is free to break rows with no key
        asks = (words[:, None, :] & mask.any(dim=-1)).all(dim=1)
        same(block(x, mask)[0][asks], twin(x, **theirs)[asks])


@few
@given(blocks(), seeds)
def test_decoder_block_equals_transformer_decoder_layer(case, seed):
    heads, x, source, (words, source_words), pairs, training = case
    with private_seed(seed):
        block = DecoderBlock(x.shape[-1], heads).to(x.dtype).train(training)
    twin = torch_twin(block, nn.TransformerDecoderLayer)
    mask, cross_mask = words[:, None, None, :] & pairs, source_words[:, None, None, :]
    theirs = {
        "tgt_mask": to_mha_attn_mask(pairs, heads=heads),
        "tgt_key_padding_mask": to_key_padding_mask(words),
        "memory_key_padding_mask": to_key_padding_mask(source_words),
    }
    same_with_gradients(
        block, twin, lambda y, s: block(y, s, mask, cross_mask), lambda y, s: twin(y, s, **theirs), [x, source]
    )  # fmt: skip


def torch_stack(found, norm, kind, layer_kind, **options):
    """Torch's nn.TransformerEncoder or nn.TransformerDecoder with the weights of our blocks and our last norm."""
    stack = kind(torch_twin(found[0], layer_kind), len(found), norm=copy.deepcopy(norm), **options)
    stack.layers = nn.ModuleList(torch_twin(block, layer_kind) for block in found)
    return stack


@settings(max_examples=10)
@given(sentences(), seeds)
def test_whole_models_equal_torch_stacks(case, seed):
    ids, lengths, side = case
    B, L = ids.shape
    words = word_positions(lengths, total=L, side=side)
    keys, causal = words[:, None, None, :], masks.causal().tensor(queries=L, keys=L)
    ignored, later = to_key_padding_mask(words), ~causal[0, 0]
    encoder_options = {
        "kind": nn.TransformerEncoder,
        "layer_kind": nn.TransformerEncoderLayer,
        "enable_nested_tensor": False,
    }
    places = torch.arange(L)

    model = Encoder(VOCABULARY, 5, **SMALL, seed=seed)
    x = model.embed.token(ids) + model.embed.position(places)
    stack = torch_stack(model.blocks, model.norm, **encoder_options)
    same(model(ids, keys), model.head(stack(x, src_key_padding_mask=ignored)))

    model = GPT(VOCABULARY, **SMALL, seed=seed)
    x = model.embed.token(ids) + model.embed.position(places)
    stack = torch_stack(model.blocks, model.norm, **encoder_options)
    same(model(ids), model.head(stack(x, mask=later)))
    same(model(ids, keys & causal), model.head(stack(x, mask=later, src_key_padding_mask=ignored)))

    model = EncoderDecoder(VOCABULARY, VOCABULARY, **SMALL, seed=seed)
    target = ids[:, : max(1, L - 1)].flip(0)
    T = target.shape[1]
    encoder = torch_stack(model.encoder, model.norm_source, **encoder_options)
    decoder = torch_stack(model.decoder, model.norm_target, nn.TransformerDecoder, nn.TransformerDecoderLayer)
    read = encoder(model.embed_source.token(ids) + model.embed_source.position(places), src_key_padding_mask=ignored)
    y = model.embed_target.token(target) + model.embed_target.position(places[:T])
    theirs = decoder(y, read, tgt_mask=later[:T, :T], memory_key_padding_mask=ignored)
    same(model(ids, target, source_mask=keys, cross_mask=keys), model.head(theirs))


# ---------------------------------------------------------------- who may influence whom


def dependence(embed, call):
    """One vector-Jacobian product for each output position, with a random cotangent: (B, outputs, B, inputs) bool.

    ``embed`` is the layer whose output, at its first call, counts as the input; ``call()`` runs the model in float64.
    """
    leaves = []

    def cut(module, received, output):
        leaves.append(output.detach().requires_grad_())
        return leaves[-1]

    hook = embed.register_forward_hook(cut)
    logits = call()
    hook.remove()
    found = torch.zeros(*logits.shape[:2], *leaves[0].shape[:2], dtype=torch.bool)
    g = private(0)
    for b in range(logits.shape[0]):
        for i in range(logits.shape[1]):
            cotangent = torch.randn(logits.shape[-1], generator=g, dtype=logits.dtype)
            (gradient,) = torch.autograd.grad(logits[b, i], leaves[0], cotangent, retain_graph=True)
            assert gradient.isfinite().all()
            found[b, i] = (gradient != 0).any(dim=-1)
    return found


def reach(mask, layers):
    """What each output of ``layers`` blocks can depend on: itself, and what the mask lets through, again and again."""
    once = mask.any(dim=1) | torch.eye(mask.shape[-1], dtype=torch.bool)  # (B, L, L); any head will do
    far = torch.eye(mask.shape[-1]).expand_as(once)
    for _ in range(layers):
        far = once.float() @ far
    return far > 0


def in_the_same_sentence(expected):
    """(B, outputs, inputs) → (B, outputs, B, inputs), with nothing across the batch."""
    B = len(expected)
    return torch.eye(B, dtype=torch.bool)[:, None, :, None] & expected[:, :, None, :]


@st.composite
def masked_texts(draw):
    """Ids (B, L), and a mask: one of those that experiments use, or any at all, for each head, with empty rows."""
    B, L, g = draw(st.integers(1, 2)), draw(st.integers(1, 5)), private(draw(seeds))
    mask = {
        "everything": masks.everything().tensor(queries=L, keys=L),
        "causal": masks.causal().tensor(queries=L, keys=L),
        "one too far": ~torch.ones(L, L, dtype=torch.bool).triu(2)[None, None],
        "random": torch.rand(B, 2, L, L, generator=g) < 0.3,
    }[draw(st.sampled_from(["everything", "causal", "one too far", "random"]))]
    return torch.randint(VOCABULARY, (B, L), generator=g), mask.expand(B, -1, -1, -1), draw(st.integers(1, 2))


@few
@given(masked_texts(), seeds)
def test_gradients_are_zero_exactly_where_the_mask_says_so(case, seed):
    ids, mask, layers = case
    expected = in_the_same_sentence(reach(mask, layers))
    gpt = GPT(VOCABULARY, **SMALL, layers=layers, seed=seed).double()
    assert torch.equal(dependence(gpt.embed, lambda: gpt(ids, mask)), expected)
    encoder = Encoder(VOCABULARY, 5, **SMALL, layers=layers, seed=seed).double()
    assert torch.equal(dependence(encoder.embed, lambda: encoder(ids, mask)), expected)


def test_without_a_mask_gpt_is_causal():
    gpt = GPT(VOCABULARY, **SMALL).double()
    found = dependence(gpt.embed, lambda: gpt(torch.tensor([[1, 2, 3, 4]])))
    assert torch.equal(found[0, :, 0], torch.ones(4, 4, dtype=torch.bool).tril())


@few
@given(masked_texts(), st.integers(1, 4), seeds)
def test_the_three_masks_of_an_encoder_decoder(case, S, seed):
    target, target_mask, layers = case
    (B, T), g = target.shape, private(seed)
    source = torch.randint(VOCABULARY, (B, S), generator=g)
    source_mask, cross_mask = (torch.rand(B, 1, n, S, generator=g) < 0.5 for n in (S, T))
    model = EncoderDecoder(VOCABULARY, VOCABULARY, **SMALL, layers=layers, seed=seed).double()

    def call():
        return model(source, target, source_mask=source_mask, target_mask=target_mask, cross_mask=cross_mask)

    seen = torch.zeros(B, T, S)
    for _ in range(layers):  # a block mixes the targets, and then looks at the source
        seen = reach(target_mask, 1).float() @ seen + cross_mask[:, 0].float() @ reach(source_mask, layers).float()
    assert torch.equal(dependence(model.embed_source, call), in_the_same_sentence(seen > 0))
    assert torch.equal(dependence(model.embed_target, call), in_the_same_sentence(reach(target_mask, layers)))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("seed", range(5))
def test_pads_never_influence_words(name, seed):
    lengths, g = torch.tensor([3, 6, 1]), private(seed)
    words = word_positions(lengths, total=6)
    ids = torch.randint(1, VOCABULARY, (3, 6), generator=g)
    scrambled = torch.where(words, ids, torch.randint(1, VOCABULARY, (3, 6), generator=g))
    assert not torch.equal(ids, scrambled)
    model = MODELS[name](seed=seed)
    first, second = run(name, model, ids, lengths), run(name, model, scrambled, lengths)
    if name in TRANSFORMERS:  # the pads' own rows do change, and nobody reads them; a packed GRU has no such rows
        assert not torch.equal(first, second)
        first, second = first[words], second[words]
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_row_with_no_key_is_finite_forward_and_backward(name):
    model, ids = MODELS[name](), torch.tensor([[1, 2, 3], [4, 5, 6]])
    nothing = torch.zeros(2, 1, 3, 3, dtype=torch.bool)
    if name == "encoder_decoder":
        logits = model(ids, ids, source_mask=nothing, target_mask=nothing, cross_mask=nothing)
    else:
        logits = model(ids, nothing)
    logits.pow(2).sum().backward()
    assert logits.isfinite().all()
    assert all(weight.grad.isfinite().all() for weight in model.parameters())


# ---------------------------------------------------------------- positions


def test_left_padding_needs_positions_and_a_mask():
    """Alone against batched, as FACTS has it: only both together give no error."""
    text, left = torch.tensor([[1, 2, 3]]), torch.tensor([[7, 7, 1, 2, 3]])
    word = torch.tensor([[False, False, True, True, True]])
    keys, causal = word[:, None, None, :], masks.causal().tensor(queries=5, keys=5)
    gpt, encoder = GPT(VOCABULARY), Encoder(VOCABULARY, 5)

    def errors(mask, positions):
        of_gpt = gpt(left, mask & causal, positions=positions)[:, 2:] - gpt(text)
        of_encoder = encoder(left, mask, positions=positions)[:, 2:] - encoder(text, None)
        return of_gpt.abs().max(), of_encoder.abs().max()

    no_mask = torch.ones(1, 1, 1, 5, dtype=torch.bool)
    assert max(errors(keys, positions_of(word))) < 1e-6
    assert min(errors(keys, None)) > 0.05
    assert min(errors(no_mask, positions_of(word))) > 0.05


@settings(max_examples=15)
@given(sentences(), seeds)
def test_padded_is_alone(case, seed):
    ids, lengths, side = case
    word = word_positions(lengths, total=ids.shape[1], side=side)
    keys, causal = word[:, None, None, :], masks.causal().tensor(queries=ids.shape[1], keys=ids.shape[1])
    gpt, encoder = GPT(VOCABULARY, **SMALL, seed=seed), Encoder(VOCABULARY, 5, **SMALL, seed=seed)
    both = EncoderDecoder(VOCABULARY, VOCABULARY, **SMALL, seed=seed)
    places = positions_of(word)
    of_gpt, of_encoder = gpt(ids, keys & causal, positions=places), encoder(ids, keys, positions=places)
    of_both = both(
        ids, ids, source_mask=keys, cross_mask=keys, target_mask=keys & causal,
        source_positions=places, target_positions=places,
    )  # fmt: skip
    of_classes = encoder.classify(ids, keys, word, positions=places)
    for b, columns, text in alone(ids, lengths, side):
        assert torch.equal(places[b, columns], torch.arange(len(text[0])))
        same(of_gpt[b, columns], gpt(text)[0])
        same(of_encoder[b, columns], encoder(text, None)[0])
        same(of_both[b, columns], both(text, text, source_mask=None, cross_mask=None)[0])
        same(of_classes[b], encoder.head(encoder.features(text, None)[0].mean(dim=0)))


def test_packed_documents_are_alone_with_a_mask_and_positions():
    first, second, model = torch.tensor([[1, 2, 3]]), torch.tensor([[4, 5]]), GPT(VOCABULARY)
    document, places = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([0, 1, 2, 0, 1])
    mask = (document[:, None] == document) & masks.causal().tensor(queries=5, keys=5)
    packed = torch.cat([first, second], dim=1)
    apart = torch.cat([model(first), model(second)], dim=1)
    same(model(packed, mask, positions=places), apart)
    assert (model(packed, mask) - apart)[:, 3:].abs().max() > 0.05
    assert (model(packed, positions=places) - apart)[:, 3:].abs().max() > 0.05


@few
@given(sentences())
def test_masked_mean_by_a_slow_loop(case):
    ids, lengths, side = case
    word = word_positions(lengths, total=ids.shape[1], side=side)
    x = torch.randn(*ids.shape, 3, generator=private(0)).masked_fill(~word[..., None], torch.nan)
    means = masked_mean(x, word)
    for b, columns, _ in alone(ids, lengths, side):
        torch.testing.assert_close(means[b], x[b, columns].mean(dim=0))
    assert torch.equal(masked_mean(x, torch.zeros_like(word)), torch.zeros(len(ids), 3))


@pytest.mark.parametrize(("word", "error", "words"), [
    (torch.ones(2, 3), TypeError, r"bool, True = a word .*, got torch.float32 of shape \(2, 3\)"),
    (torch.ones(2, 3, dtype=torch.int64), TypeError, "got torch.int64"),
    (torch.ones(3, dtype=torch.bool), TypeError, r"\(batch, length\).* got .*\(3,\)"),
    (torch.ones(2, 1, 1, 3, dtype=torch.bool), TypeError, r"\(batch, length\).* got .*\(2, 1, 1, 3\)"),
])  # fmt: skip
def test_positions_and_mean_need_the_words_of_each_sentence(word, error, words):
    with pytest.raises(error, match=words):
        positions_of(word)
    with pytest.raises(error, match=words):
        masked_mean(torch.zeros(2, 3, 4), word)


@pytest.mark.parametrize("shape", [(1, 3), (2, 1), (3, 3), (2, 4)])
def test_a_mean_over_other_words_is_refused(shape):
    word, model = torch.ones(shape, dtype=torch.bool), MODELS["encoder"]()
    with pytest.raises(ValueError, match=rf"of shape \(2, 3\), one for each position, got \({shape[0]}, {shape[1]}\)"):
        masked_mean(torch.zeros(2, 3, 4), word)
    with pytest.raises(ValueError, match=r"of shape \(2, 3\)"):
        model.classify(torch.ones(2, 3, dtype=torch.int64), None, word)
    with pytest.raises(ValueError, match=r"got \(2, 3\)"):
        masked_mean(torch.zeros(2, 3), torch.ones(2, 3, dtype=torch.bool))


# ---------------------------------------------------------------- the cache, and writing


@few
@given(sentences(), seeds, st.data())
def test_cached_equals_uncached(case, seed, data):
    """In any pieces, with padding on either side, and with no more than 1e-5 of difference."""
    ids, lengths, side = case
    L = ids.shape[1]
    word = word_positions(lengths, total=L, side=side)
    mask, places = word[:, None, None, :] & masks.causal().tensor(queries=L, keys=L), positions_of(word)
    model = GPT(VOCABULARY, **SMALL, seed=seed)
    whole, plain = model(ids, mask, positions=places), model(ids)
    cuts = sorted(data.draw(st.sets(st.integers(1, L - 1), max_size=3))) if L > 1 else []
    cache, simple_cache = (), ()
    for start, end in zip([0, *cuts], [*cuts, L], strict=True):
        piece = ids[:, start:end]
        before = [(keys.clone(), values.clone()) for keys, values in cache]
        logits, longer = model(piece, mask[:, :, start:end, :end], positions=places[:, start:end], cache=cache)
        for (a, b), (c, d) in zip(cache, before, strict=True):  # the cache that was given is as it was
            assert torch.equal(a, c) and torch.equal(b, d)
        cache = longer
        same(logits[word[:, start:end]], whole[:, start:end][word[:, start:end]])
        logits, simple_cache = model(piece, cache=simple_cache)  # no mask and no positions: they go on by themselves
        same(logits, plain[:, start:end])


def slow_greedy(model, prompt, new):
    """No cache, no padding, one sentence: run everything again for each token."""
    for _ in range(new):
        prompt = torch.cat([prompt, model(prompt)[:, -1:].argmax(dim=-1)], dim=1)
    return prompt[0, -new:]


@few
@given(sentences(most=5), seeds, st.integers(1, 6))
def test_generate_by_a_slow_loop(case, seed, new):
    """With words under the pads, on either side."""
    ids, lengths, side = case
    model = GPT(VOCABULARY, **SMALL, seed=seed)
    found, count = model.generate(ids, lengths, side=side, max_new_tokens=new)
    truth = torch.stack([slow_greedy(model, text, new) for _, _, text in alone(ids, lengths, side)])
    assert torch.equal(found, truth) and count.tolist() == [new] * len(ids)
    stop = truth[0, new // 2].item()
    found, count = model.generate(ids, lengths, side=side, max_new_tokens=new, stop=stop)
    assert found.shape[1] == count.max()
    for row, n, whole in zip(found.tolist(), count.tolist(), truth.tolist(), strict=True):
        assert n == (whole.index(stop) + 1 if stop in whole else new)
        assert row == whole[:n] + [PAD_ID] * (len(row) - n)


def test_generate_without_lengths_and_without_new_tokens():
    model, ids = GPT(VOCABULARY, **SMALL), torch.tensor([[1, 2], [3, 4]])
    assert torch.equal(
        model.generate(ids, max_new_tokens=3)[0], model.generate(ids, torch.tensor([2, 2]), max_new_tokens=3)[0]
    )
    found, count = model.generate(ids, max_new_tokens=0)
    assert found.shape == (2, 0) and count.tolist() == [0, 0]


def test_a_step_of_generate_depends_on_the_words_before_and_on_nothing_else():
    """The same two calls that generate makes, with gradients: a prompt, then one new token."""
    model, ids = GPT(VOCABULARY, **SMALL).double(), torch.tensor([[7, 7, 1], [1, 2, 3]])
    word = word_positions(torch.tensor([2, 4]), total=4, side="left")
    mask, places = word[:, None, None, :] & masks.causal().tensor(queries=4, keys=4), positions_of(word)
    _, cache = model(ids, mask[:, :, :3, :3], positions=places[:, :3], cache=())
    grown = [(keys.detach().requires_grad_(), values.detach().requires_grad_()) for keys, values in cache]
    logits, _ = model(torch.tensor([[4], [5]]), mask[:, :, 3:], positions=places[:, 3:], cache=grown)
    cotangent = torch.randn(logits.shape, generator=private(0), dtype=logits.dtype)
    for gradient in torch.autograd.grad(logits, [part for layer in grown for part in layer], cotangent):
        used = (gradient != 0).any(dim=-1).all(dim=1)  # (B, P): a cached position that some head's width used
        assert torch.equal(used, word[:, :3])

    def from_prompt_to_step():
        _, cache = model(ids, mask[:, :, :3, :3], positions=places[:, :3], cache=())
        return model(torch.tensor([[4], [5]]), mask[:, :, 3:], positions=places[:, 3:], cache=cache)[0]

    prompt = dependence(model.embed, from_prompt_to_step)
    assert torch.equal(prompt, in_the_same_sentence(word[:, None, :3]))


def test_scrambled_pads_do_not_change_what_is_written():
    model, lengths = GPT(VOCABULARY, **SMALL), torch.tensor([1, 3])
    options = {"side": "left", "max_new_tokens": 8, "temperature": 1.0, "seed": 1}
    first = model.generate(torch.tensor([[0, 0, 5], [1, 2, 3]]), lengths, **options)
    second = model.generate(torch.tensor([[9, 8, 5], [1, 2, 3]]), lengths, **options)
    assert torch.equal(first[0], second[0])


def test_padded_prompts_must_say_on_which_side():
    model, batch = GPT(VOCABULARY, **SMALL), batch_of_words([["a"], ["bb", "ccc"]], to_id=len)
    with pytest.raises(ValueError, match="say on which side: side='left' or side='right'. A Batch has it: batch.side"):
        model.generate(batch.ids, batch.lengths, max_new_tokens=2)
    with pytest.raises(ValueError, match="side must be 'left' or 'right', got 'both'"):
        model.generate(batch.ids[1:], side="both", max_new_tokens=2)
    found, _ = model.generate(batch.ids, batch.lengths, side=batch.side, max_new_tokens=2)
    left = batch_of_words([["a"], ["bb", "ccc"]], side="left", to_id=len)
    assert torch.equal(found, model.generate(left.ids, left.lengths, side=left.side, max_new_tokens=2)[0])
    assert torch.equal(found[:1], model.generate(torch.tensor([[1]]), max_new_tokens=2)[0])


def test_temperature():
    logits = torch.tensor([0.0, 1.0, 2.0]).expand(20_000, 3)
    for temperature in (0.5, 1.0, 2.0):
        drawn = choose(logits, temperature=temperature, generator=private(0)).bincount(minlength=3) / len(logits)
        torch.testing.assert_close(drawn, (logits[0] / temperature).softmax(dim=-1), atol=0.015, rtol=0.0)
    model, ids = GPT(VOCABULARY, **SMALL), torch.tensor([[1, 2, 3]])

    def written(**options):
        return model.generate(ids, max_new_tokens=10, **options)[0].tolist()

    assert written(temperature=1e-4, seed=1) == written()
    assert written(temperature=1.0, seed=1) == written(temperature=1.0, seed=1) != written(temperature=1.0, seed=2)


@pytest.mark.parametrize("temperature", [-1, -0.001, float("nan"), float("inf"), float("-inf")])
def test_a_temperature_that_divides_nothing_is_refused(temperature):
    with pytest.raises(ValueError, match=f"at least 0 and finite, got {temperature}"):
        GPT(VOCABULARY).generate(torch.tensor([[1, 2]]), max_new_tokens=1, temperature=temperature)
    with pytest.raises(ValueError, match=f"at least 0 and finite, got {temperature}"):
        choose(torch.zeros(1, 3), temperature=temperature, generator=private(0))


def test_a_cache_of_another_model_is_refused():
    ids = torch.tensor([[1, 2, 3]])
    caches = {layers: GPT(VOCABULARY, layers=layers)(ids, cache=())[1] for layers in (1, 2, 3)}
    for layers in (1, 3):
        with pytest.raises(ValueError, match=f"each of the 2 layers.* got {layers} of"):
            GPT(VOCABULARY, layers=2)(ids, cache=caches[layers])
    assert GPT(VOCABULARY, layers=2)(ids, cache=caches[2])[0].shape == (1, 3, VOCABULARY)
    for other in ({"heads": 4}, {"dim": 16}):
        with pytest.raises(ValueError, match="Give the cache that this model returned"):
            GPT(VOCABULARY, **other)(ids, cache=caches[2])


@pytest.mark.parametrize("batch", [0, 2, 3])
def test_a_cache_of_another_batch_is_refused(batch):
    model = GPT(VOCABULARY)
    _, cache = model(torch.tensor([[1, 2, 3]]), cache=())
    with pytest.raises(ValueError, match=rf"shape \({batch}, 2, any, 16\), got 2 of shape \(1, 2, 3, 16\)"):
        model(torch.ones(batch, 1, dtype=torch.int64), cache=cache)


def test_generate_drops_nothing_out_and_gives_the_mode_back():
    ids = torch.tensor([[1, 2, 3]])
    model, without = GPT(VOCABULARY, **SMALL, dropout=0.5), GPT(VOCABULARY, **SMALL)
    model.blocks[0].eval()  # a frozen part stays as it was
    modes = [module.training for module in model.modules()]
    assert model.training and not all(modes)
    for temperature in (0, 1.0):
        found, expected = (m.generate(ids, max_new_tokens=8, temperature=temperature)[0] for m in (model, without))
        assert torch.equal(found, expected)
        assert [module.training for module in model.modules()] == modes
    with pytest.raises(ValueError, match="max_len"):
        model.generate(ids, max_new_tokens=20)
    assert [module.training for module in model.modules()] == modes
    assert not model.eval().generate(ids, max_new_tokens=1)[0].requires_grad and not model.training


# ---------------------------------------------------------------- private randomness


@pytest.mark.parametrize("name", MODELS)
def test_weights_come_from_a_private_seed(name):
    torch.manual_seed(1)
    first = MODELS[name](seed=3)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second, other = MODELS[name](seed=3), MODELS[name](seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    pairs = list(zip(first.parameters(), second.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert any(not torch.equal(a, c) for a, _, c in pairs)


@pytest.mark.parametrize("layer", [
    lambda: nn.Linear(3, 4),
    lambda: nn.Embedding(5, 6),
    lambda: nn.GRU(3, 4, bidirectional=True),
    lambda: nn.LayerNorm(4),
    lambda: nn.MultiheadAttention(4, 2),
    lambda: Block(4, heads=2),
])  # fmt: skip
def test_first_weights_are_those_that_torch_draws_after_manual_seed(layer):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        expected = layer().state_dict()
    before = torch.get_rng_state()
    with private_seed(3):
        found = layer().state_dict()
    assert expected and all(torch.equal(found[name], expected[name]) for name in expected)
    assert torch.equal(torch.get_rng_state(), before)


def test_models_made_in_four_threads_are_those_made_one_after_the_other():
    """While somebody else draws from the global generator, who gets what is due."""

    def made(seed):
        model = GPT(VOCABULARY, **SMALL, dropout=0.5, seed=seed)
        return [*model.parameters(), model(torch.tensor([[1, 2, 3]]))]  # in train mode: dropout too

    def drawn_elsewhere():
        return [torch.randn(4) for _ in range(100)]

    one_by_one = [made(seed) for seed in range(120)]
    torch.manual_seed(0)
    expected = drawn_elsewhere()
    torch.manual_seed(0)
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(made, range(120))
        drawn = drawn_elsewhere()
        wrong = [
            seed
            for seed, (ours, theirs) in enumerate(zip(found, one_by_one, strict=True))
            if not all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
        ]
    assert wrong == []
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(drawn, expected, strict=True))


def test_a_model_may_be_made_on_another_device():
    with torch.device("meta"):
        assert {weight.device.type for weight in GPT(VOCABULARY, dropout=0.5).parameters()} == {"meta"}


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_dropout_is_private_and_only_in_training(name):
    ids, lengths = torch.tensor([[1, 2, 3]]), torch.tensor([3])
    before = torch.get_rng_state()
    model, twin, without = MODELS[name](dropout=0.5), MODELS[name](dropout=0.5), MODELS[name]()
    first, second = run(name, model, ids, lengths), run(name, model, ids, lengths)
    assert not torch.equal(first, second)
    assert torch.equal(first, run(name, twin, ids, lengths)) and torch.equal(second, run(name, twin, ids, lengths))
    assert torch.equal(run(name, model.eval(), ids, lengths), run(name, without, ids, lengths))
    if name == "gpt":
        model.generate(ids, max_new_tokens=3, temperature=1.0)
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_drops_its_share_and_keeps_the_mean():
    with private_seed(0):
        drop = Dropout(0.3)
    dropped = drop(torch.ones(20_000))
    assert abs((dropped == 0).float().mean() - 0.3) < 0.015
    assert abs(dropped.mean() - 1) < 0.02
    with pytest.raises(ValueError, match="got 1"):
        Dropout(1)


@pytest.mark.parametrize(("kind", "branch"), [
    (Block, "attention"),
    (Block, "feed"),
    (DecoderBlock, "attention"),
    (DecoderBlock, "cross"),
    (DecoderBlock, "feed"),
])  # fmt: skip
def test_each_branch_has_its_dropout(kind, branch):
    """All branches but one are silent: what is added is what that branch adds in eval mode, doubled, or nothing."""
    with private_seed(0):
        block = kind(8, heads=2, dropout=0.5).double()
    ends = {"attention": block.attention.out, "feed": block.feed[-1]}
    ends |= {"cross": block.cross.out} if kind is DecoderBlock else {}
    for name, end in ends.items():
        if name != branch:
            nn.init.zeros_(end.weight)
            nn.init.zeros_(end.bias)
    x, source = (torch.randn(4, n, 8, dtype=torch.float64, generator=private(n)) for n in (5, 6))

    def added():
        return (block(x, None)[0] if kind is Block else block(x, source, None, None)) - x

    trained = added()
    block.eval()
    whole = added()
    dropped = trained == 0
    assert 0.3 < dropped.double().mean() < 0.7
    torch.testing.assert_close(trained[~dropped], 2 * whole[~dropped])


# ---------------------------------------------------------------- learning, looking, refusing


@pytest.mark.parametrize("name", MODELS)
def test_the_loss_falls_on_a_toy_batch(name):
    g, lengths = private(0), torch.tensor([6, 3, 4, 5])
    ids = torch.randint(1, VOCABULARY, (4, 6), generator=g)
    model, words = MODELS[name](), word_positions(lengths, total=6)
    classes = run(name, model, ids, lengths).shape[-1]
    labels = torch.randint(classes, (4,) if name == "classifier" else (4, 6), generator=g)
    losses = []
    for _ in range(60):
        logits = run(name, model, ids, lengths)
        loss = (
            F.cross_entropy(logits, labels) if name == "classifier" else F.cross_entropy(logits[words], labels[words])
        )
        gradients = torch.autograd.grad(loss, list(model.parameters()))  # an error for a weight that nothing uses
        with torch.no_grad():
            for weight, gradient in zip(model.parameters(), gradients, strict=True):
                weight -= 0.5 * gradient
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0], losses


def test_look_keeps_every_stage_and_changes_nothing():
    ids, word = torch.tensor([[1, 2, 3, 0], [1, 2, 3, 4]]), word_positions(torch.tensor([3, 4]), total=4)
    keys, model = word[:, None, None, :], MODELS["encoder_decoder"]()
    inputs, options = (ids, ids[:, :3]), {"source_mask": keys, "cross_mask": keys}
    logits, stages = trace_attention(model, *inputs, **options)
    assert torch.equal(logits, model(*inputs, **options))
    assert set(stages) == {"encoder.0.attention", "encoder.1.attention"} | {
        f"decoder.{i}.{kind}" for i in (0, 1) for kind in ("attention", "cross")
    }
    shapes = {"encoder.0.attention": (2, 2, 4, 4), "decoder.1.attention": (2, 2, 3, 3), "decoder.1.cross": (2, 2, 3, 4)}
    for name, shape in shapes.items():
        mask = masks.causal().tensor(queries=3, keys=3) if name == "decoder.1.attention" else keys
        assert stages[name].weights.shape == shape
        assert torch.equal(stages[name].weights != 0, mask.expand(shape))
    assert not any(module._forward_hooks for module in model.modules())
    seen = {}
    attention = model.decoder[1].cross
    hook = attention.attend.register_forward_hook(lambda module, received, output: seen.update(output=output))
    model(*inputs, **options)
    hook.remove()
    same(stages["decoder.1.cross"].output, seen["output"])  # the fast kernel and the written-out stages agree


def test_look_removes_its_hooks_after_an_error_too():
    model = MODELS["gpt"]()
    with pytest.raises(TypeError):
        trace_attention(model, torch.tensor([[1, 2]]), torch.ones(1, 1, 2, 2))
    assert not any(module._forward_hooks for module in model.modules())


def test_look_at_one_attention_by_itself():
    x = torch.randn(1, 3, 4, generator=private(0))
    q = torch.randn(1, 2, 3, 2, generator=private(1))
    assert list(trace_attention(Attend(), q, q, q, None)[1]) == ["attention"]
    assert list(trace_attention(MultiHeadAttention(4, heads=2), x, x, None)[1]) == ["attention"]
    assert list(trace_attention(Block(4, heads=2), x, None)[1]) == ["attention"]


def test_look_as_its_docstring_says():
    """The last of several runs; dropout in train mode; nothing without attention."""

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.attend = Attend()

        def forward(self, q):
            first = self.attend(q, q, q, None)
            return first, self.attend(first, first, first, None)

    q = torch.randn(1, 2, 3, 2, generator=private(1))
    (first, second), stages = trace_attention(Twice(), q)
    (stage,) = stages.values()
    same(stage.output, second)
    assert not torch.allclose(stage.output, first)

    model, ids = GPT(VOCABULARY, dropout=0.5), torch.tensor([[1, 2, 3]])
    scores = [trace_attention(model, ids)[1]["blocks.1.attention"].scores for _ in range(2)]
    assert not torch.equal(*scores)
    assert trace_attention(Classifier(VOCABULARY, 4), ids, torch.tensor([3]))[1] == {}


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_model_runs_where_its_ids_are(name):
    """The meta device computes shapes only, and refuses to mix with another device."""
    ids = torch.ones(2, 3, dtype=torch.int64, device="meta")
    keys = torch.ones(2, 1, 1, 3, dtype=torch.bool, device="meta")
    model = MODELS[name](dropout=0.5).to("meta")
    looked_up = []  # torch lets a lookup on the meta device pass with indices from another, and so we look
    for table in [module for module in model.modules() if isinstance(module, nn.Embedding)]:
        table.register_forward_pre_hook(lambda module, received: looked_up.append(received[0].device.type))
    calls = {
        "encoder": lambda: (model(ids, keys), (2, 3, 5)),
        "gpt": lambda: (model(ids, cache=model(ids, cache=())[1])[0], (2, 3, VOCABULARY)),
        "encoder_decoder": lambda: (model(ids, ids, source_mask=keys, cross_mask=keys), (2, 3, VOCABULARY)),
    }
    logits, shape = calls[name]()
    assert logits.device.type == "meta" and logits.shape == shape
    assert set(looked_up) == {"meta"}


def test_tokens_are_written_where_the_ids_are():
    """Shapes only, on the meta device; and a draw for a pretended device."""
    model, ids = GPT(VOCABULARY, **SMALL).to("meta"), torch.ones(2, 3, dtype=torch.int64, device="meta")
    found, count = model.generate(ids, max_new_tokens=4)
    assert (found.device.type, found.shape) == ("meta", (2, 4)) and (count.device.type, count.shape) == ("meta", (2,))
    with FakeTensorMode():
        logits = torch.empty(2, 5, device="cuda")
        for temperature in (0, 1.0):
            assert choose(logits, temperature=temperature, generator=private(0)).device.type == "cuda"


@pytest.mark.parametrize("name", ["encoder", "gpt"])
@pytest.mark.parametrize(
    ("mask", "error", "words"),
    [
        (torch.ones(1, 1, 4, 4), TypeError, "must be bool.*torch.float32"),
        (torch.ones(1, 1, 4, 4, dtype=torch.int64), TypeError, "must be bool.*torch.int64"),
        (torch.ones(2, 4, dtype=torch.bool), ValueError, r"\(batch, head, query, key\).* got \(2, 4\)"),
        (torch.ones(2, 4, 4, dtype=torch.bool), ValueError, r"got \(2, 4, 4\)"),  # torch takes it: (heads, L, L)
        (torch.ones(2, 1, 4, 5, dtype=torch.bool), ValueError, r"got \(2, 1, 4, 5\)"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(name, mask, error, words):
    with pytest.raises(error, match=words):
        MODELS[name]()(torch.ones(2, 4, dtype=torch.int64), mask)


def test_a_padding_mask_is_not_taken_for_a_mask_of_pairs():
    """As many sentences as words: (batch, key) has the shape of (query, key)."""
    ids, word = torch.ones(4, 4, dtype=torch.int64), torch.ones(4, 4, dtype=torch.bool).tril()
    encoder, gpt, both = (MODELS[name]() for name in TRANSFORMERS)
    keys, read = {"source_mask": None, "cross_mask": None}, both.encode(ids, None)
    calls = [
        lambda: encoder(ids, word),
        lambda: encoder.features(ids, word),
        lambda: encoder.classify(ids, word, word),
        lambda: gpt(ids, word),
        lambda: gpt(ids, word, cache=()),
        lambda: both.encode(ids, word),
        lambda: both.decode(ids, read, cross_mask=word),
        *(lambda name=name: both(ids, ids, **keys | {name: word}) for name in (*keys, "target_mask")),
    ]
    for call in calls:
        with pytest.raises(
            ValueError,
            match=r"the axes \(batch, head, query, key\).* got \(4, 4\)\. A padding .*mask\[:, None, None, :\]",
        ):
            call()
    assert encoder(ids, word[:, None, None, :]).shape == (4, 4, 5)


@pytest.mark.parametrize("shape", [(3,), (), (1, 2, 3)])
def test_ids_are_a_batch_of_sentences(shape):
    ids, lengths, batch = torch.ones(shape, dtype=torch.int64), torch.tensor([3]), torch.ones(1, 3, dtype=torch.int64)
    encoder, gpt, both = (MODELS[name]() for name in TRANSFORMERS)
    masks_for_both = {"source_mask": None, "cross_mask": None}
    calls = [
        lambda: encoder(ids, None),
        lambda: gpt(ids),
        lambda: gpt.generate(ids, max_new_tokens=1),
        lambda: both(ids, batch, **masks_for_both),
        lambda: both(batch, ids, **masks_for_both),
        lambda: MODELS["classifier"]()(ids, lengths),
        lambda: MODELS["tagger"]()(ids, lengths),
    ]
    for call in calls:
        with pytest.raises(TypeError, match=r"ids must be .* with axes \(batch, length\), got .* of shape \("):
            call()


def with_positions(name):
    """How a model is called with positions of its ids: (2, 3)."""
    model, ids, keys = MODELS[name](), torch.ones(2, 3, dtype=torch.int64), {"source_mask": None, "cross_mask": None}
    return {
        "encoder": [lambda places: model(ids, None, positions=places)],
        "gpt": [lambda places: model(ids, positions=places)],
        "encoder_decoder": [
            lambda places, which=which: model(ids, ids, **keys | {which: places})
            for which in ("source_positions", "target_positions")
        ],
    }[name]


@pytest.mark.parametrize("name", TRANSFORMERS)
@pytest.mark.parametrize("shape", [(2, 1), (1, 3), (3, 3), (1,), (), (2, 4), (1, 2, 3), (2,)])
def test_positions_of_other_ids_are_refused(name, shape):
    """Torch would broadcast most of them, (3, 3) even with a single sentence."""
    for call in with_positions(name):
        with pytest.raises(ValueError, match=r"positions must be of shape \(2, 3\) as the ids, or \(3,\), got \("):
            call(torch.zeros(shape, dtype=torch.int64))
        assert torch.equal(call(torch.arange(3)), call(torch.arange(3).expand(2, 3)))
    with pytest.raises(ValueError, match=r"\(1, 3\) as the ids"):
        MODELS["gpt"]()(torch.ones(1, 3, dtype=torch.int64), positions=torch.zeros(2, 3, dtype=torch.int64))


@pytest.mark.parametrize("name", TRANSFORMERS)
@pytest.mark.parametrize("places", [torch.zeros(2, 3), [[0, 1, 2]] * 2, torch.ones(2, 3, dtype=torch.bool)])
def test_positions_are_integers(name, places):
    for call in with_positions(name):
        with pytest.raises(TypeError, match="positions must be "):
            call(places)


def test_a_mask_of_another_batch_is_refused():
    """One sentence, and a mask for two: the result would have two sentences."""
    ids, mask, keys = torch.ones(1, 3, dtype=torch.int64), torch.ones(2, 1, 3, 3, dtype=torch.bool), {}
    encoder, gpt, both = (MODELS[name]() for name in TRANSFORMERS)
    keys = {"source_mask": None, "cross_mask": None}
    calls = [
        lambda: encoder(ids, mask),
        lambda: gpt(ids, mask),
        *(lambda name=name: both(ids, ids, **keys | {name: mask}) for name in (*keys, "target_mask")),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"mask must have the axes .*\(2, 1, 3, 3\)"):
            call()


@pytest.mark.parametrize(("sources", "targets"), [(1, 2), (2, 1), (2, 3)])
def test_source_and_target_have_as_many_sentences(sources, targets):
    model, masks_for_both = MODELS["encoder_decoder"](), {"source_mask": None, "cross_mask": None}
    source, target = (torch.ones(count, 3, dtype=torch.int64) for count in (sources, targets))
    with pytest.raises(ValueError, match=f"as many sentences, got {sources} and {targets}"):
        model(source, target, **masks_for_both)
    with pytest.raises(ValueError, match=f"as many sentences, got {sources} and {targets}"):
        model.decode(target, model.encode(source, None), cross_mask=None)


@pytest.mark.parametrize("ids", [[[1, 2, 3]], [1, 2, 3], "The cat ate", torch.ones(1, 3), torch.ones(1, 3).bool()])
def test_ids_are_a_tensor_of_integers(ids):
    lengths = torch.tensor([3])
    encoder, gpt, both = (MODELS[name]() for name in TRANSFORMERS)
    calls = [
        lambda: encoder(ids, None),
        lambda: gpt(ids),
        lambda: gpt.generate(ids, max_new_tokens=1),
        lambda: both(ids, torch.tensor([[1]]), source_mask=None, cross_mask=None),
        lambda: both(torch.tensor([[1]]), ids, source_mask=None, cross_mask=None),
        lambda: MODELS["classifier"]()(ids, lengths),
        lambda: MODELS["tagger"]()(ids, lengths),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="ids must be a tensor of integers.*, got "):
            call()


@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
def test_nothing_is_embedded_as_nothing(shape):
    ids, encoder = torch.zeros(shape, dtype=torch.int64), MODELS["encoder"]()
    assert encoder(ids, None).shape == encoder(ids, None, positions=ids).shape == (*shape, 5)


@pytest.mark.parametrize("seed", [0.5, "1", None, True])
def test_a_seed_is_an_integer(seed):
    calls = [
        *(lambda name=name: MODELS[name](seed=seed) for name in MODELS),
        lambda: MODELS["gpt"]().generate(torch.tensor([[1]]), max_new_tokens=1, seed=seed),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="seed must be an integer, got "):
            call()


def test_numbers_of_numpy_are_numbers():
    ids, three = torch.tensor([[1, 2]]), np.int64(3)
    ours, same = (GPT(VOCABULARY, seed=seed) for seed in (three, 3))
    found = ours.generate(ids, max_new_tokens=three, temperature=1.0, seed=three)[0]
    assert torch.equal(found, same.generate(ids, max_new_tokens=3, temperature=1.0, seed=3)[0])


def test_other_mistakes_are_refused_in_one_sentence():
    gpt, ids = MODELS["gpt"](), torch.ones(1, 16, dtype=torch.int64)
    with pytest.raises(ValueError, match="max_len - 1 = 15, got 0 to 16"):
        gpt(torch.ones(1, 17, dtype=torch.int64))
    with pytest.raises(ValueError, match="got 16 to 16"):
        gpt(ids[:, :1], cache=gpt(ids, cache=())[1])
    with pytest.raises(ValueError, match="got -1 to 0"):
        gpt(ids[:, :2], positions=torch.tensor([-1, 0]))
    for dim, heads in ((7, 2), (8, 0), (8, -2)):
        with pytest.raises(ValueError, match=f"got dim={dim} and heads={heads}"):
            GPT(VOCABULARY, dim=dim, heads=heads)
    for new in (-1, 1.5, "2"):
        with pytest.raises(ValueError, match="max_new_tokens must be an integer, at least 0, got"):
            gpt.generate(ids, max_new_tokens=new)
    for prompts, lengths in ((ids, torch.tensor([0])), (ids[:, :0], None)):
        with pytest.raises(ValueError, match=r"got lengths \[0\]"):
            gpt.generate(prompts, lengths, max_new_tokens=1)


@pytest.mark.parametrize("path", sorted(Path(masklab.models.__file__).parent.glob("*.py")), ids=lambda path: path.name)
def test_a_model_fits_on_two_screens(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < 120
