"""What a model is given, checked: a TypeError or ValueError says in one sentence what does not fit.

Torch broadcasts sizes that disagree, and the result looks right: so every axis is checked.
"""

from collections.abc import Collection

import torch
from torch import Tensor

from masklab.validate import INTEGERS


def one_of(name: str, value: str, choices: Collection[str]) -> str:
    """One of a few names, or a ValueError that lists them.

    >>> one_of("side", "left", ("left", "right"))
    'left'
    """
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}.")
    return value


def integers(name: str, values: Tensor) -> Tensor:
    """A tensor of integers as int64: small unsigned numbers would wrap around. Raises TypeError for anything else.

    >>> integers("ids", [1, 2])
    Traceback (most recent call last):
    TypeError: ids must be a tensor of integers, got a list. Use torch.as_tensor(ids).
    """
    if not isinstance(values, Tensor):
        kind = type(values).__name__
        raise TypeError(f"{name} must be a tensor of integers, got a {kind}. Use torch.as_tensor({name}).")
    if values.dtype not in INTEGERS:
        raise TypeError(f"{name} must be integers, got {values.dtype}: {values.flatten()[:8].tolist()}.")
    return values.long()


def checked_ids(ids: Tensor) -> Tensor:
    """The ids of one batch, as int64. Shape: (batch, length). Raises TypeError or ValueError for anything else.

    >>> checked_ids(torch.tensor([[1, 2, 3]]))
    tensor([[1, 2, 3]])
    """
    ids = integers("ids", ids)
    if ids.ndim != 2:
        raise ValueError(
            f"ids must have the axes (batch, length), got shape {tuple(ids.shape)}. "
            "A single sentence (length,) becomes ids[None]."
        )
    return ids


def checked_positions(positions: Tensor, *, batch: int, length: int) -> Tensor:
    """The place of each id in its sentence, as int64. Shape: (batch, length), or (length,) for all sentences.

    >>> checked_positions(torch.tensor([0, 1, 2]), batch=2, length=3)
    tensor([0, 1, 2])
    """
    positions = integers("positions", positions)
    if positions.shape not in ((batch, length), (length,)):
        raise ValueError(
            f"positions must be of shape {(batch, length)} as the ids, or {(length,)}, got {tuple(positions.shape)}."
        )
    return positions


def checked_lengths(lengths: Tensor, *, batch: int, total: int) -> Tensor:
    """How many words each sentence has, 1 to ``total``, as int64. Shape: (batch,).

    >>> checked_lengths(torch.tensor([3]), batch=2, total=3)
    Traceback (most recent call last):
    ValueError: lengths must be of shape (2,), one for each sentence, got (1,).
    """
    lengths = integers("lengths", lengths)
    if lengths.shape != (batch,):
        raise ValueError(f"lengths must be of shape ({batch},), one for each sentence, got {tuple(lengths.shape)}.")
    if lengths.numel() and (lengths.min() < 1 or lengths.max() > total):
        raise ValueError(f"every sentence must have 1 to {total} words, got lengths {lengths.tolist()}.")
    return lengths


def checked_words(is_word: Tensor, *, shape: torch.Size | None = None) -> Tensor:
    """Which positions are words. Shape: (batch, length) bool, True = a word; it must be ``shape``, if one is given.

    >>> checked_words(torch.tensor([1, 1, 0]))
    Traceback (most recent call last):
    TypeError: is_word must be a bool tensor, True = a word, got torch.int64. If 1 means a word, use is_word.bool().
    """
    if not isinstance(is_word, Tensor) or is_word.dtype != torch.bool:
        found = is_word.dtype if isinstance(is_word, Tensor) else f"a {type(is_word).__name__}"
        raise TypeError(
            f"is_word must be a bool tensor, True = a word, got {found}. If 1 means a word, use is_word.bool()."
        )
    if is_word.ndim != 2 or shape not in (None, is_word.shape):
        wanted = "" if shape is None else f" = {tuple(shape)}"
        raise ValueError(f"is_word must have the axes (batch, length){wanted}, got {tuple(is_word.shape)}.")
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
