"""Models of Transformers, tiny and with random weights: what is wrong with how they are used, and what is right."""

import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from masklab import masks
from masklab.models import positions_of
from masklab.models.private import private_seed
from tests.doctor.patients import Patient, Zoo
from tests.doctor.zoo import TRIL, B, L, V, documents, ids_of, padded

ZOO = Zoo()
SIZE = {"vocab_size": V, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
        "max_position_embeddings": 32}  # fmt: skip
LLAMA = {**SIZE, "num_key_value_heads": 1, "attention_dropout": 0.1}
W = 3


MADE: dict[tuple, torch.nn.Module] = {}  # making one takes longer than running it


def built(kind, config, seed, dtype):
    """A model with weights of its own seed, ten times as large as usual, so that attention is not uniform."""
    key = (kind, repr(config), config._attn_implementation, dtype)
    if key not in MADE:
        with private_seed(0):
            MADE[key] = kind(config).to(dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in MADE[key].parameters():
            if parameter.ndim == 2:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return MADE[key].train()


def gpt2(seed, dtype, how="sdpa"):
    config = GPT2Config(vocab_size=V, n_embd=16, n_layer=1, n_head=2, n_positions=32, attn_implementation=how)
    return built(GPT2LMHeadModel, config, seed, dtype)


def llama(seed, dtype, how="sdpa", layers=1):
    return built(
        LlamaForCausalLM, LlamaConfig(**LLAMA | {"num_hidden_layers": layers}, attn_implementation=how), seed, dtype
    )


def mistral(seed, dtype, how="sdpa", layers=1):
    config = MistralConfig(**LLAMA | {"num_hidden_layers": layers}, sliding_window=W, attn_implementation=how)
    return built(MistralForCausalLM, config, seed, dtype)


def bert(seed, dtype, how="sdpa"):
    return built(BertForMaskedLM, BertConfig(**SIZE, attn_implementation=how), seed, dtype)


def t5(seed, dtype):
    config = T5Config(vocab_size=V, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, decoder_start_token_id=0)
    return built(T5ForConditionalGeneration, config, seed, dtype)


def text(seed, side="right", *, positions=False, mask=True):
    """The inputs of a padded batch, as a tokenizer makes them."""
    ids, pad = padded(seed, side)
    inputs = {"input_ids": ids}
    if mask:
        inputs["attention_mask"] = pad.long()
    return inputs | ({"position_ids": positions_of(pad)} if positions else {})


def pair(seed, *, mask=True):
    """A padded source, and a target."""
    return text(seed, mask=mask) | {"decoder_input_ids": ids_of(seed + 1, words=5)}


def packed_text(seed):
    """Two documents in a row, as `documents` has them, with positions that start again."""
    positions = torch.cat([torch.arange(3), torch.arange(L - 3)]).expand(B, L)
    return {"input_ids": ids_of(seed), "position_ids": positions}


# --- Ill --------------------------------------------------------------------------------------------------------------


@ZOO.plants("no causal mask, or one step off", "future-visible")
def bert_is_not_causal(seed, dtype):
    return Patient(bert(seed, dtype), {"input_ids": ids_of(seed)}, "causal")


@ZOO.plants("0 and 1 are added as a mask", "future-visible")
def llama_eager_adds_a_bool_mask(seed, dtype):
    """A bool 4-D mask is for sdpa; eager adds it, and blocks nothing."""
    inputs = {"input_ids": ids_of(seed), "attention_mask": TRIL.expand(B, 1, L, L)}
    return Patient(llama(seed, dtype, "eager"), inputs, "causal")


@ZOO.plants("a mask is inverted", "inverted")
def gpt2_mask_inverted(seed, dtype):
    inputs = {"input_ids": ids_of(seed), "attention_mask": ~TRIL.expand(B, 1, L, L)}
    return Patient(gpt2(seed, dtype), inputs, "causal")


@ZOO.plants("no causal mask, or one step off", "off-by-one")
def llama_one_step_too_far(seed, dtype):
    inputs = {"input_ids": ids_of(seed), "attention_mask": ~torch.ones(B, 1, L, L).triu(2).bool()}
    return Patient(llama(seed, dtype, layers=2), inputs, "causal")


@ZOO.plants("a mask is inverted", "inverted")
def bert_padding_inverted(seed, dtype):
    ids = ids_of(seed)
    pad = torch.ones_like(ids).bool()
    pad[0, -2:], pad[1, -3:] = False, False
    return Patient(bert(seed, dtype), {"input_ids": ids, "attention_mask": (~pad).long()}, "full", pad)


@ZOO.plants("a window sees one key more", "off-by-one")
def mistral_window_taken_for_one_less(seed, dtype):
    """Its sliding_window counts the query itself."""
    allowed = masks.sliding_window(W - 1).tensor(queries=L, keys=L)
    return Patient(mistral(seed, dtype), {"input_ids": ids_of(seed)}, allowed)


@ZOO.plants("left padding without mask or positions", "depends-on-pad-side")
def gpt2_left_padding_without_positions(seed, dtype):
    return Patient(gpt2(seed, dtype), text(seed, "left"), "causal")


@ZOO.plants("left padding without mask or positions", "depends-on-padding")
def llama_left_padding_without_a_mask(seed, dtype):
    return Patient(llama(seed, dtype), text(seed, "left", mask=False), "causal", padded(seed, "left")[1])


@ZOO.plants("no padding mask", "depends-on-padding")
def bert_without_a_mask(seed, dtype):
    return Patient(bert(seed, dtype), text(seed, mask=False), "full", padded(seed, "right")[1])


@ZOO.plants("cross-attention reads the source's padding", "depends-on-padding")
def t5_without_a_mask(seed, dtype):
    return Patient(t5(seed, dtype), pair(seed, mask=False), "causal", padded(seed, "right")[1])


@ZOO.plants("packed documents see each other", "document-leak")
def llama_packed(seed, dtype):
    return Patient(llama(seed, dtype), {"input_ids": ids_of(seed)}, documents())


@ZOO.plants("packed documents see each other", "document-leak")
def llama_packed_with_positions_and_a_cache(seed, dtype):
    """With a cache, which is the default, positions that start again make no mask."""
    return Patient(llama(seed, dtype), packed_text(seed), documents())


# --- Healthy ----------------------------------------------------------------------------------------------------------


@ZOO.is_healthy
def gpt2_alone(seed, dtype):
    return Patient(gpt2(seed, dtype), ids_of(seed), "causal")


@ZOO.is_healthy(note="depends-on-pad-side")
def gpt2_right_padding(seed, dtype):
    return Patient(gpt2(seed, dtype), text(seed), "causal")


@ZOO.is_healthy
def gpt2_left_padding(seed, dtype):
    return Patient(gpt2(seed, dtype), text(seed, "left", positions=True), "causal")


@ZOO.is_healthy
def llama_right_padding(seed, dtype):
    return Patient(llama(seed, dtype), text(seed), "causal")


@ZOO.is_healthy
def llama_left_padding(seed, dtype):
    return Patient(llama(seed, dtype), text(seed, "left"), "causal")


@ZOO.is_healthy
def llama_eager(seed, dtype):
    """In float64 its fully masked rows are NaN under left padding: finfo.min is −∞ in its float32 softmax."""
    return Patient(llama(seed, dtype, "eager"), text(seed), "causal")


@ZOO.is_healthy
def llama_packed_with_positions(seed, dtype):
    """Positions that start again are enough: Transformers makes the mask of them, if there is no cache."""
    return Patient(llama(seed, dtype), packed_text(seed) | {"use_cache": False}, documents())


@ZOO.is_healthy
def mistral_as_claimed(seed, dtype):
    allowed = masks.sliding_window(W).tensor(queries=L, keys=L)
    return Patient(mistral(seed, dtype, layers=2), {"input_ids": ids_of(seed)}, allowed)


@ZOO.is_healthy(note="over-blocked")
def mistral_under_causal(seed, dtype):
    return Patient(mistral(seed, dtype, "eager"), {"input_ids": ids_of(seed)}, "causal")


@ZOO.is_healthy(note="depends-on-pad-side")
def bert_padded(seed, dtype):
    return Patient(bert(seed, dtype), text(seed), "full")


@ZOO.is_healthy(note="depends-on-pad-side")
def bert_eager(seed, dtype):
    return Patient(bert(seed, dtype, "eager"), text(seed), "full")


@ZOO.is_healthy
def t5_padded(seed, dtype):
    return Patient(t5(seed, dtype), pair(seed), "causal")


@ZOO.is_healthy
def llama_float_inputs(seed, dtype):
    model = llama(seed, dtype)
    return Patient(model, {"inputs_embeds": model.model.embed_tokens(ids_of(seed)).detach()}, "causal")
