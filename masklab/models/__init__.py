"""Tiny models that train in seconds: each takes its masks in the house convention, and a private seed."""

from masklab.models.embeddings import positions_of
from masklab.models.encoder import Encoder, masked_mean
from masklab.models.encoder_decoder import EncoderDecoder
from masklab.models.gpt import GPT
from masklab.models.language import language_loss, left_to_right_loss, next_logits, next_token_loss, write
from masklab.models.rnn import Classifier, Tagger
from masklab.models.trace import trace_attention

__all__ = [
    "GPT", "Classifier", "Encoder", "EncoderDecoder", "Tagger", "language_loss", "left_to_right_loss", "masked_mean",
    "next_logits", "next_token_loss", "positions_of", "trace_attention", "write",
]  # fmt: skip
