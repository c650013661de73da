"""Masks in a stack of layers: how far a word can be felt."""

import torch
from torch import Tensor

from masklab.masks.tables import at_least


def reach(*masks: Tensor, layers: int = 1) -> Tensor:
    """Which positions can have an influence on which, after a stack of attention layers.

    Row i says which inputs output i may depend on: a boolean matrix power. A position always depends
    on itself, by its query and by the residual connection. Give one mask, or one a layer, the lowest
    first; the whole stack is used ``layers`` times. A window of W reaches n·(W−1)+1 positions after
    n layers; Mistral 7B (Jiang et al. 2023, arXiv 2310.06825, §2) speaks of n·W.
    Shapes: each (..., length, length) bool → the same. Raises ValueError for other masks, or for
    ``layers`` below 0.

    >>> from masklab.masks import sliding_window
    >>> window = sliding_window(2).tensor(queries=4, keys=4)[0, 0]
    >>> reach(window, layers=2).int()
    tensor([[1, 0, 0, 0],
            [1, 1, 0, 0],
            [1, 1, 1, 0],
            [0, 1, 1, 1]], dtype=torch.int32)
    """
    at_least(0, layers=layers)
    found = [(mask.dtype, *mask.shape[-2:]) for mask in masks]
    if len(set(found)) != 1 or found[0] != (torch.bool, masks[0].shape[-1], masks[0].shape[-1]):
        raise ValueError(f"reach needs bool masks (..., length, length) of one length, True = may attend, not {found}.")
    known = own = torch.eye(masks[0].shape[-1], dtype=torch.bool)
    for mask in masks * layers:  # a position knows what those whom it sees know
        known = (mask | own).float() @ known.float() > 0
    return known
