"""Any language model of Transformers, tiny and with random weights, from its configuration alone: no download.

The names of sizes are much the same everywhere. `SIZES` says how small each may be; where a configuration's fields are
not independent of each other, `OWN` helps. `tests.doctor.survey` gives every model to the doctor.
"""

import dataclasses
import re
from typing import Any

import torch
import transformers

KINDS = {"ForCausalLM": "causal", "ForMaskedLM": "full"}  # how a class's name ends → what the doctor is told
VOCABULARY = 60

# The whole name of an integer field → its size. The first pattern that fits counts.
SIZES: list[tuple[str, int]] = [
    (r"(.*_)?vocab_size(_per_layer_input)?|text_vocab_size", VOCABULARY),
    (r"type_vocab_size|num_labels", 2),
    (r"(.*_)?max_(position_embeddings|target_positions|source_positions|2d_position_embeddings)|n_positions|n_ctx", 64),
    (r"max_(seq_len|sequence_length|seq_length)|context_length|seq_length|original_max_position_embeddings", 64),
    (r"(moe_|num_)?(n_)?(topk_)?groups?|n_group|topk_group|moe_topk_group|mamba_n_groups|n_groups", 1),
    (r".*(num_experts|n_routed_experts|num_local_experts|moe_num_experts|n_experts|expert_num|num_routed_experts)", 4),
    (r".*(experts_per_tok(en)?|top_?k(_experts)?|moe_k|num_selected_experts)", 2),
    (r".*shared_experts", 1),
    (r"num_kv_shared_layers|hidden_size_per_layer_input", 0),
    (r"encoder_layers|decoder_layers", 2),
    (r"(num_)?(encoder_|decoder_|.*_)?(hidden_)?layers|n_layers?|num_blocks", 4),
    (r".*(attention_heads|num_heads|n_heads?|num_mem_heads|key_value_heads|kv_heads|n_head_kv)", 4),
    (r".*(rotary_dim|head_dim|head_size|kv_channels|d_kv|d_head)|mamba_headdim", 8),
    (r".*lora_rank|.*_rank", 16),
    (r".*(intermediate_size|ffn_dim|ffn_hidden_size|d_ff|d_inner|ffn_size)", 32),
    (r"(.*_)?(hidden_size|d_model|n_embd|embed_dim|embedding_size|d_embed|dim)", 32),
    (r".*(sliding_window|window_size|local_attention|attention_window|attention_chunk_size|chunk_length)", 4),
    (r"(mamba_)?chunk_size", 4),
    (r".*(state_size|d_state|ssm_state_size)", 8),
]

NEEDED = ("vocab_size", "num_experts_per_tok", "n_routed_experts", "n_shared_experts")  # also where the default is None

# What the fields of one configuration want of each other.
OWN: dict[str, dict[str, Any]] = {
    "BailingHybridConfig": {"layer_group_size": 2},
    "BambaConfig": {"attn_layer_indices": [1]},
    "EsmConfig": {"pad_token_id": 0, "mask_token_id": 3},
    "GraniteMoeHybridConfig": {"layer_types": ["mamba", "attention"] * 2},
    "Gemma3nTextConfig": {"hidden_size_per_layer_input": 8},
    "GPTNeoConfig": {"attention_types": [[["global", "local"], 2]]},
    "HunYuanDenseV1Config": {"head_dim": 8},
    "HunYuanMoEV1Config": {"head_dim": 8},
    "JambaConfig": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "KimiLinearConfig": {"layer_types": ["linear_attention", "full_attention"] * 2},
    "Lfm2MoeConfig": {"layer_types": ["conv", "full_attention"] * 2},
    "Mamba2Config": {"num_heads": 8},
    "MinistralConfig": {"head_dim": 8},
    "MusicgenDecoderConfig": {"num_codebooks": 1},
    "MusicgenMelodyDecoderConfig": {"num_codebooks": 1},
    "NemotronConfig": {"head_dim": 8, "num_key_value_heads": 2},
    "NeoMMEConfig": {"head_dim": 16},
    "Qwen4ExpTextConfig": {
        "indexer_n_heads": 4,
        "indexer_kv_heads": 1,
        "indexer_head_dim": 8,
        "ngram_vocab_size_base": 60,
        "indexer_budget": 4,
        "indexer_compress_ratio": 2,
    },
    "ReformerConfig": {"axial_pos_embds": False, "feed_forward_size": 32, "num_hashes": 1, "num_buckets": 2},
    "XmodConfig": {"default_language": "en_XX"},
    "Zamba2Config": {"layers_block_type": ["linear_attention", "hybrid"] * 2},
    "ZambaConfig": {"num_hidden_layers": 6, "attn_layer_period": 2, "attn_layer_offset": 1},
    "xLSTMConfig": {"hidden_size": 128},
}


def language_models() -> list[str]:
    """The names of all causal and masked language models of this version."""
    return [name for name in dir(transformers) if name.endswith(tuple(KINDS)) and not name.startswith("Auto")]


def tiny(name: str, attention: str = "sdpa") -> torch.nn.Module:
    """A model by the name of its class. Whatever it raises is the reason why it can't be built.

    No weight stays 0 but a pad's vector: behind a gate of 0 nothing could be measured.
    """
    kind = getattr(transformers, name)
    config = tiny_config(kind.config_class)
    for decoder in {id(part): part for part in (config, config.get_text_config(decoder=True))}.values():
        if name.endswith("ForCausalLM") and hasattr(decoder, "is_decoder"):
            decoder.is_decoder = True
    config._attn_implementation = attention
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = kind(config).float()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
            for part in model.modules():
                if isinstance(part, torch.nn.Embedding) and part.padding_idx is not None:
                    part.weight[part.padding_idx] = 0
    return model.eval()


def tiny_config(kind: type) -> Any:
    """A small configuration of one class, its parts small, too."""
    usual = kind() if getattr(kind, "sub_configs", {}) else None
    parts = {name: getattr(usual, name, None) for name in getattr(kind, "sub_configs", {})}
    small = {name: tiny_config(type(part)) for name, part in parts.items() if part is not None}
    fields = {one.name: one.default for one in dataclasses.fields(kind) if one.name not in small}
    return kind(**small | _small(fields) | OWN.get(kind.__name__, {}))


def _small(fields: dict[str, Any]) -> dict[str, int]:
    """The integers among the fields, small."""
    small = {}
    for name, default in fields.items():
        size = next((size for names, size in SIZES if re.fullmatch(names, name)), None)
        if name.endswith(("_token_id", "_token_index")):
            if isinstance(default, int) and default >= VOCABULARY:
                small[name] = _special(name)
        elif size is not None and (default is None and name in NEEDED or type(default) is int and default > size):
            small[name] = size
    few = fields.get("num_key_value_heads"), fields.get("num_attention_heads")
    if None not in few and few[0] < few[1] and "kv_lora_rank" not in fields:
        small["num_key_value_heads"] = min(2, few[0])  # as in the large one, heads share their keys
    return small


def _special(name: str) -> int:
    """The id of a special token: one of the first ten."""
    return {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}.get(name, 3)
