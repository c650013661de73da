"""What a model is given, checked: ids, lengths and words of one batch, or a sentence on what does not fit.

Torch broadcasts sizes that disagree, and the result looks right: so each axis is asked for by name.
"""

import torch
from torch import Tensor

from masklab.validate import INTEGERS


def batch_and_length(ids: Tensor) -> tuple[int, int]:
    """How many sentences there are, and how many columns.

    Shapes: ``ids`` (batch, length) → the two sizes. Raises ValueError for other axes.

    >>> batch_and_length(torch.tensor([[1, 2, 3]]))
    (1, 3)
    """
    if ids.ndim != 2:
        raise ValueError(
            f"ids must have the axes (batch, length), and are of shape {tuple(ids.shape)}. "
            "A single sentence (length,) becomes ids[None]."
        )
    return tuple(ids.shape)


def checked_lengths(lengths: Tensor, *, batch: int, total: int) -> Tensor:
    """How many words each sentence has, as int64, so that small unsigned numbers do not wrap around.

    Shapes: ``lengths`` (batch,) integers → the same. Raises TypeError for other numbers; ValueError for another
    batch, for a length over ``total`` columns, and for a sentence with no word, which leaves nothing to read.

    >>> checked_lengths(torch.tensor([3, 1]), batch=2, total=3)
    tensor([3, 1])
    >>> checked_lengths(torch.tensor([3]), batch=2, total=3)
    Traceback (most recent call last):
    ValueError: lengths must be of shape (2,), one for each sentence, and are of shape (1,).
    """
    if lengths.dtype not in INTEGERS:
        raise TypeError(f"lengths must be integers, and are {lengths.dtype}: {lengths.tolist()}.")
    if lengths.shape != (batch,):
        raise ValueError(
            f"lengths must be of shape ({batch},), one for each sentence, and are of shape {tuple(lengths.shape)}."
        )
    if lengths.numel() and (lengths.min() < 1 or lengths.max() > total):
        raise ValueError(f"every sentence must have 1 to {total} words, and lengths are {lengths.tolist()}.")
    return lengths.long()


def checked_words(word: Tensor, *, shape: torch.Size | None = None) -> Tensor:
    """Which positions are words, or what is wrong with it.

    Shapes: ``word`` (batch, length) bool, True = a word → the same; of this ``shape``, if one is given.
    Raises TypeError for a mask that is not bool, ValueError for other axes.

    >>> checked_words(torch.tensor([1, 1, 0]))
    Traceback (most recent call last):
    TypeError: word must be bool, True = a word, and is torch.int64 of shape (3,). For 1 = a word use word.bool().
    """
    if word.dtype != torch.bool:
        raise TypeError(
            f"word must be bool, True = a word, and is {word.dtype} of shape {tuple(word.shape)}. "
            "For 1 = a word use word.bool()."
        )
    if word.ndim != 2 or shape not in (None, word.shape):
        wanted = "" if shape is None else f" = {tuple(shape)}"
        raise ValueError(f"word must have the axes (batch, length){wanted}, and is {tuple(word.shape)}.")
    return word
