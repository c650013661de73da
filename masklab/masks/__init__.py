"""Attention masks: a predicate on indices, and the bool tensor that it gives.

True = may attend. Axes are always (batch, head, query, key). Each rule is a line or two on the
indices; the rest is composed of rules with ``&``, ``|`` and ``~``. A rule made of tensors gives its
mask on their device.
"""

from masklab.masks.layers import receptive_field
from masklab.masks.patterns import (
    EncoderDecoderMasks,
    between,
    bidirectional_window,
    blocks,
    causal,
    chunks,
    diagonal,
    dilated,
    document_ids,
    documents,
    encoder_decoder,
    global_tokens,
    offset_queries,
    padding,
    padding_queries,
    prefix_lm,
    sliding_window,
    special_tokens,
)
from masklab.masks.random_masks import block_dropout, dropout, head_dropout, key_dropout
from masklab.masks.rule import Predicate, Rule, describe, everything

__all__ = [
    "EncoderDecoderMasks", "Rule", "Predicate", "between", "bidirectional_window", "block_dropout", "blocks", "causal",
    "chunks", "describe", "dilated", "document_ids", "documents", "dropout", "encoder_decoder", "everything",
    "global_tokens", "head_dropout", "diagonal", "key_dropout", "offset_queries", "padding", "padding_queries",
    "prefix_lm", "receptive_field", "sliding_window", "special_tokens",
]  # fmt: skip
