"""Masks in a stack of layers: how far the influence of a word reaches."""

import torch
from torch import Tensor

from masklab import validate


def receptive_field(*masks: Tensor, layers: int = 1) -> Tensor:
    """Which positions can influence which, after a stack of attention layers.

    Row i says which inputs output i may depend on: a boolean matrix power. A position always depends
    on itself, through its query and the residual connection. Give one mask, or one per layer, the lowest
    first; the whole stack is repeated ``layers`` times. A window of W reaches n·(W−1)+1 positions after
    n layers; Mistral 7B (Jiang et al. 2023, arXiv 2310.06825, §2) speaks of n·W.
    Shapes: each (..., length, length) bool → the same, broadcast.
    Raises TypeError for a mask that is not bool, ValueError for other shapes or ``layers`` below 0.

    >>> from masklab.masks import sliding_window
    >>> window = sliding_window(2).tensor(queries=4, keys=4)[0, 0]
    >>> receptive_field(window, layers=2).int()
    tensor([[1, 0, 0, 0],
            [1, 1, 0, 0],
            [1, 1, 1, 0],
            [0, 1, 1, 1]], dtype=torch.int32)
    """
    validate.at_least(0, layers=layers)
    shapes = [tuple(validate.bool_mask("mask", mask).shape) for mask in masks]
    if not shapes or any(len(shape) < 2 or shape[-2:] != shapes[0][-1:] * 2 for shape in shapes):
        raise ValueError(f"receptive_field needs masks (..., length, length) of one length, got {shapes}.")
    own = torch.eye(masks[0].shape[-1], dtype=torch.bool, device=masks[0].device)
    known = torch.broadcast_tensors(own, *masks)[0]  # broadcast_shapes would import sympy: seconds
    for mask in masks * layers:  # a position knows what those whom it sees know
        known = (mask | own).float() @ known.float() > 0
    return known
