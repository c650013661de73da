"""Corruption: hide part of a text, a sound or a picture, and ask a model to restore it.

Two steps, kept apart: *choose* positions (bool, True = chosen), then *replace* what
is there. The choice itself is the loss mask: it can't be read off the ids
afterwards, because some of the chosen positions keep their token.

Only positions where ``may_choose`` is True are ever chosen. The caller says which
these are (words, not padding and not special tokens); they are never guessed from ids.
Every draw comes from the ``generator`` that the caller passes, and no argument is edited.
"""

from masklab.corruption.choose import (
    choose_spans,
    choose_tokens,
    choose_words,
    span_length_shares,
    time_spans,
    word_starts,
)
from masklab.corruption.pictures import Patches, patches
from masklab.corruption.recipes import BERT_SHARES, Corrupted, bert, dynamic, replace, spanbert, static, whole_word
from masklab.corruption.sentinels import TextToText, choose_t5_spans, restore, t5, with_sentinels

__all__ = [
    "BERT_SHARES", "Corrupted", "Patches", "TextToText", "bert", "choose_spans", "choose_t5_spans", "choose_tokens",
    "choose_words", "dynamic", "patches", "replace", "restore", "span_length_shares", "spanbert", "static", "t5",
    "time_spans", "whole_word", "with_sentinels", "word_starts",
]  # fmt: skip
