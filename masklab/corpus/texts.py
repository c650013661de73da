"""The corpus as lessons use it: texts with their ends, and batches of one fixed length."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch.nn.functional as F
from torch import Tensor

from masklab.corpus.batches import BOS, EOS, VOCABULARY, LabelledBatch, batch
from masklab.corpus.grammar import Example
from masklab.text import PAD_ID, Batch, batch_of_words, pad_tokens


def with_ends(examples: Iterable[Example], *, side: str = "right") -> Batch:
    """Examples as a language model reads them, each between [BOS] and [EOS].

    >>> from masklab.corpus import RUNNING
    >>> with_ends(RUNNING[:2]).tokens
    (('[BOS]', 'The', 'cat', 'ate', '[EOS]', '[PAD]'), ('[BOS]', 'The', 'cat', 'ate', 'fish', '[EOS]'))
    """
    return batch_of_words([[BOS, *example.words, EOS] for example in examples], side=side, to_id=VOCABULARY.id)


def until_end(ids: Tensor) -> list[list[str]]:
    """The words of each row, up to its first [EOS]. Shape: ``ids`` (batch, length).

    >>> import torch
    >>> until_end(torch.tensor([VOCABULARY.encode(["Cats", "purr", "[EOS]", "purr"])]))
    [['Cats', 'purr', '[EOS]']]
    """
    words = [VOCABULARY.decode(row) for row in ids]
    return [row[: row.index(EOS) + 1] if EOS in row else row for row in words]


def padded(examples: Sequence[Example], *, total: int) -> LabelledBatch:
    """Examples padded on the right to ``total`` positions, as a fixed ``max_length`` does.

    Raises ValueError for a total that is less than the longest sentence.

    >>> from masklab.corpus import RUNNING
    >>> padded(RUNNING[:2], total=6).ids
    tensor([[5, 6, 7, 0, 0, 0],
            [5, 6, 7, 8, 0, 0]])
    """
    short = batch(examples)
    more = total - short.ids.shape[1]
    if more < 0:
        raise ValueError(f"total must be at least {short.ids.shape[1]}, the longest sentence, got {total}.")
    return replace(
        short,
        tokens=tuple(pad_tokens(row, total=total) for row in short.tokens),
        ids=F.pad(short.ids, (0, more), value=PAD_ID),
        tags=F.pad(short.tags, (0, more)),
        difficulty=F.pad(short.difficulty, (0, more), value=float("inf")),
    )
