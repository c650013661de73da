"""The dialects of Transformers through whole models of it, tiny and with random weights.

The oracle is the same model with our `attend` registered as its attention: it is given the
mask as it is. Everything else in the model is the library's.
"""

from copy import deepcopy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertConfig, BertForMaskedLM, BertModel, LlamaConfig, LlamaModel
from transformers.masking_utils import create_causal_mask, eager_mask, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from masklab import dialects, masks
from masklab.attention import attend
from masklab.text import word_positions
from tests.strategies import lengths, seeds, sides
from tests.test_dialects import as_the_table_says, table

# After a whole layer with its norms: the bare attention's tolerances are in tests/test_dialects.py.
TOLERANCE = {torch.float32: 1e-6, torch.float16: 1e-2, torch.bfloat16: 8e-2}
SIZE = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
EMPTY_ROW = {"sdpa": "zeros", "eager": "uniform"}  # as the table in masklab/dialects/__init__.py says; tested below


def our_attention(*, empty):
    """Our `attend` as Transformers calls an attention: q, k, v (B, H, L, D) → output (B, L, H, D)."""

    def run(module, query, key, value, attention_mask, **kwargs):
        output = attend(query, key, value, attention_mask).output
        if empty == "uniform":
            fully_masked = ~attention_mask.any(dim=-1, keepdim=True)
            output = torch.where(fully_masked, value.mean(dim=-2, keepdim=True), output)
        return output.transpose(1, 2), None

    return run


for name in EMPTY_ROW.values():
    ALL_ATTENTION_FUNCTIONS.register(f"masklab_{name}", our_attention(empty=name))


def close(ours, theirs, dtype=torch.float32):
    torch.testing.assert_close(ours, theirs, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])


def with_random_weights(model):
    """Weights of our own seed, large enough that attention is far from uniform."""
    g = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        if parameter.ndim == 2:
            parameter.data = torch.randn(parameter.shape, generator=g) * 0.2
    return model.eval()


@pytest.fixture(scope="module")
def models():
    bert = with_random_weights(BertModel(BertConfig(**SIZE)))
    llama = with_random_weights(LlamaModel(LlamaConfig(**SIZE)))
    return {(name, dtype): deepcopy(model).to(dtype)
            for name, model in (("bert", bert), ("llama", llama)) for dtype in TOLERANCE}  # fmt: skip


@torch.no_grad()
def hidden(model, how, ids, mask):
    """The last hidden states of a model in one of its attentions, or with ours."""
    model.set_attn_implementation(how)
    return model(input_ids=ids, attention_mask=mask).last_hidden_state


@st.composite
def batches(draw):
    """Ids (B, L), words (B, L) with padding on either side, sentences without a word among them."""
    found, total = draw(lengths())
    total = max(total, 1)
    words = word_positions(found, total=total, side=draw(sides))
    ids = torch.randint(50, words.shape, generator=torch.Generator().manual_seed(draw(seeds)))
    return ids, words


def house_mask(name, words):
    """What the model should do: BERT sees all words, Llama those that are not in the future."""
    batch, total = words.shape
    columns = words[:, None, None, :].expand(-1, 1, total, -1)
    return columns & masks.causal().tensor(queries=total, keys=total) if name == "llama" else columns


hows = st.sampled_from(list(EMPTY_ROW))
dtypes = st.sampled_from(list(TOLERANCE))


@pytest.mark.parametrize("name", ["bert", "llama"])
@given(case=batches(), how=hows, dtype=dtypes)
@settings(max_examples=25)
def test_2d_gives_the_same_attention(models, name, case, how, dtype):
    ids, words = case
    mask = house_mask(name, words)
    ours = hidden(models[name, dtype], f"masklab_{EMPTY_ROW[how]}", ids, mask)
    close(ours, hidden(models[name, dtype], how, ids, dialects.to_transformers_2d(words)), dtype)


@pytest.mark.parametrize("name", ["bert", "llama"])
@given(case=batches(), seed=seeds, share=st.sampled_from([0.3, 0.8]), how=hows, dtype=dtypes)
@settings(max_examples=25)
def test_4d_gives_the_same_attention(models, name, case, seed, share, how, dtype):
    """Any mask at all: the model adds neither padding nor causality to it."""
    ids, _ = case
    batch, total = ids.shape
    mask = torch.rand(batch, 2, total, total, generator=torch.Generator().manual_seed(seed)) < share
    given_mask = {
        "sdpa": dialects.to_transformers_4d(mask),
        "eager": dialects.to_transformers_4d_bias(mask, dtype=dtype),
    }[how]
    ours = hidden(models[name, dtype], f"masklab_{EMPTY_ROW[how]}", ids, mask)
    close(ours, hidden(models[name, dtype], how, ids, given_mask), dtype)


@given(case=batches(), dtype=dtypes)
def test_4d_masks_are_those_that_transformers_makes(case, dtype):
    ids, words = case
    batch, total = words.shape
    sizes = {"batch_size": batch, "q_length": total, "kv_length": total, "attention_mask": words}
    mask = house_mask("llama", words)
    theirs = sdpa_mask(**sizes, allow_is_causal_skip=False)
    assert torch.equal(dialects.to_transformers_4d(mask), theirs)
    assert torch.equal(dialects.from_transformers_4d(theirs), mask)
    theirs = eager_mask(**sizes, dtype=dtype)
    ours = dialects.to_transformers_4d_bias(mask, dtype=dtype)
    assert ours.dtype == theirs.dtype and torch.equal(ours, theirs)
    assert torch.equal(dialects.from_transformers_4d(theirs), mask)


def test_eager_adds_a_bool_4d_mask_and_blocks_nothing(models):
    """Why there are two functions: True = 1 is added to the score, and False = 0 is not."""
    bert = models["bert", torch.float32]
    ids, changed = torch.tensor([[1, 2, 3, 4]]), torch.tensor([[1, 2, 3, 9]])  # different under the mask only
    mask = torch.tensor([[[[True, True, False, False]]]]).expand(1, 1, 4, 4)
    leak, none = (
        (hidden(bert, "eager", ids, form) - hidden(bert, "eager", changed, form))[:, :3].abs().max()
        for form in (dialects.to_transformers_4d(mask), dialects.to_transformers_4d_bias(mask))
    )
    assert leak > 0.1 and none == 0


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("call", [call for call in table() if call.startswith("Transformers")])
def test_each_line_of_the_table(models, call, dtype):
    """A sentence of no words in BERT, with hooks on its attention: its values, and what it makes of them."""
    bert, heard = models["bert", dtype], {}
    attention = bert.encoder.layer[0].attention.self
    words = torch.tensor([[True, True, True, False], [False] * 4])
    mask = words if "2-D" in call else words[:, None, None, :].expand(-1, 1, 4, -1)
    how = call.split('"')[1]
    handles = [
        attention.value.register_forward_hook(lambda module, given, values: heard.update(values=values[1])),
        attention.register_forward_hook(lambda module, given, output: heard.update(output=output[0][1])),
    ]
    hidden(bert, how, torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]]), as_the_table_says(mask, call, dtype))
    for handle in handles:
        handle.remove()
    expected = {"zeros": 0 * heard["values"], "uniform": heard["values"].mean(dim=0).expand(4, -1)}
    assert table()[call][2] == EMPTY_ROW[how]
    close(expected[EMPTY_ROW[how]], heard["output"], dtype)
    assert heard["values"].mean(dim=0).abs().max() > 0.1  # so that the two words differ


@pytest.mark.parametrize("side", ["left", "right"])
def test_or_mask_function_comes_before_padding_and_packing(side):
    """(causal or ours) and padding, and never causal and padding, or ours: order matters."""
    config = LlamaConfig(**SIZE, attn_implementation="sdpa")
    found, total = torch.tensor([3, 5]), 5
    first_two = masks.Rule(lambda b, h, q, k: k < 2, "the key is one of the first two")
    theirs = create_causal_mask(
        config,
        inputs_embeds=torch.zeros(2, total, 16),
        attention_mask=dialects.to_transformers_2d(word_positions(found, total=total, side=side)),
        past_key_values=None,
        or_mask_function=dialects.to_mask_mod(first_two),
    )
    padding = masks.padding(found, total=total, side=side)
    ours = ((masks.causal() | first_two) & padding).tensor(queries=total, keys=total)
    assert torch.equal(dialects.from_transformers_4d(theirs), ours)
    if side == "left":  # where the first two keys are padding, the other order keeps them
        other = ((masks.causal() & padding) | first_two).tensor(queries=total, keys=total)
        assert not torch.equal(theirs, other)


def test_or_mask_function_comes_before_packing_and_counts_in_each_document():
    config = LlamaConfig(**SIZE, attn_implementation="sdpa")
    document, position = torch.tensor([0, 0, 0, 1, 1, 1]), torch.tensor([[0, 1, 2, 0, 1, 2]])
    first_two = masks.Rule(lambda b, h, q, k: k < 2, "the key is one of the first two")
    theirs = create_causal_mask(
        config,
        inputs_embeds=torch.zeros(1, 6, 16),
        attention_mask=None,
        past_key_values=None,
        position_ids=position,
        or_mask_function=dialects.to_mask_mod(first_two),
    )
    for q in range(6):
        for k in range(6):
            within = k <= q or position[0, k] < 2  # positions start again in each document
            assert theirs[0, 0, q, k] == (within and document[q] == document[k])


def test_labels_count_in_a_model_where_supervised():
    model = with_random_weights(BertForMaskedLM(BertConfig(**SIZE)))
    ids = torch.tensor([[1, 2, 0, 4], [5, 0, 7, 8]])
    supervised = torch.tensor([[True, False, True, False], [False, True, False, False]])
    with torch.no_grad():
        output = model(input_ids=ids, labels=dialects.to_labels(ids, supervised))
    each = -output.logits.log_softmax(dim=-1).gather(-1, ids[..., None])[..., 0]
    close(each[supervised].mean(), output.loss)
