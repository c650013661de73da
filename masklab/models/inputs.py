"""What a model is given, checked: a TypeError or ValueError says in one sentence what does not fit.

Torch broadcasts sizes that disagree, and the result looks right: so every axis is checked. `validate` has what is not
about models.
"""

import torch
from torch import Tensor

from masklab import validate


def checked_ids(ids: Tensor) -> Tensor:
    """The ids of one batch, as int64. Shape: (batch, length).

    >>> checked_ids(torch.tensor([1, 2, 3]))
    Traceback (most recent call last):
    TypeError: ids must be a tensor of integers with axes (batch, length), got torch.int64 of shape (3,). A single one \
becomes ids[None].
    """
    return validate.integers("ids", ids, axes=("batch", "length")).long()


def checked_positions(positions: Tensor, *, batch: int, length: int) -> Tensor:
    """The place of each id in its sentence, as int64. Shape: (batch, length), or (length,) for all sentences.

    >>> checked_positions(torch.tensor([0, 1, 2]), batch=2, length=3)
    tensor([0, 1, 2])
    """
    if validate.integers("positions", positions).shape not in ((batch, length), (length,)):
        raise ValueError(
            f"positions must be of shape {(batch, length)} as the ids, or {(length,)}, got {tuple(positions.shape)}."
        )
    return positions.long()


def checked_lengths(lengths: Tensor, *, batch: int, total: int) -> Tensor:
    """How many words each sentence has, 1 to ``total``, as int64: small unsigned numbers would wrap. Shape: (batch,).

    >>> checked_lengths(torch.tensor([3]), batch=2, total=3)
    Traceback (most recent call last):
    ValueError: lengths must be of shape (2,), one for each sentence, got (1,).
    """
    if validate.integers("lengths", lengths).shape != (batch,):
        raise ValueError(f"lengths must be of shape ({batch},), one for each sentence, got {tuple(lengths.shape)}.")
    if lengths.numel() and not 1 <= lengths.min() <= lengths.max() <= total:
        raise ValueError(f"every sentence must have 1 to {total} words, got lengths {lengths.tolist()}.")
    return lengths.long()


def checked_words(is_word: Tensor, *, shape: torch.Size | None = None) -> Tensor:
    """Which positions are words. Shape: (batch, length) bool, True = a word; it must be ``shape``, if one is given.

    >>> checked_words(torch.ones(1, 3, dtype=torch.bool), shape=torch.Size([2, 3]))
    Traceback (most recent call last):
    ValueError: is_word must be of shape (2, 3), one for each position, got (1, 3).
    """
    validate.bool_mask("is_word", is_word, true="a word", axes=("batch", "length"))
    if shape not in (None, is_word.shape):
        raise ValueError(f"is_word must be of shape {tuple(shape)}, one for each position, got {tuple(is_word.shape)}.")
    return is_word


def cached_tokens(cache, *, layers: int, batch: int, heads: int, width: int) -> int:
    """How many tokens a cache of keys and values holds, 0 for None and (), if it belongs to this model and batch.

    >>> cached_tokens([(torch.zeros(1, 2, 5, 4), torch.zeros(1, 2, 5, 4))], layers=1, batch=1, heads=2, width=4)
    5
    """
    if not cache:
        return 0
    shape = tuple(cache[0][0].shape)
    if len(cache) != layers or (shape[:2], shape[3:]) != ((batch, heads), (width,)):
        raise ValueError(
            f"a cache must hold keys and values of each of the {layers} layers, of shape "
            f"({batch}, {heads}, any, {width}), got {len(cache)} of shape {shape}. "
            "Give the cache that this model returned for this batch, or () first."
        )
    return shape[2]
