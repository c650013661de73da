"""Tiny models that train in seconds: each takes its masks in the house convention, and a private seed."""

from masklab.models.embeddings import positions_of
from masklab.models.encoder import Encoder, masked_mean
from masklab.models.encoder_decoder import EncoderDecoder
from masklab.models.gpt import GPT
from masklab.models.rnn import Classifier, Tagger
from masklab.models.trace import trace_attention

__all__ = ["GPT", "Classifier", "Encoder", "EncoderDecoder", "Tagger", "trace_attention", "masked_mean", "positions_of"]
