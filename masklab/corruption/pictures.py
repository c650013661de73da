"""Masked autoencoders: most patches of a picture are hidden, and the encoder reads the others only."""

from dataclasses import dataclass

import torch
from torch import Tensor

from masklab import validate


@dataclass(frozen=True)
class Patches:
    """Which patches of each picture are kept and which are hidden, in shuffled order.

    Shapes: ``kept`` (images, n) and ``hidden`` (images, count − n) int64, positions of patches;
    ``restore`` (images, count) int64: ``torch.cat([kept, hidden], dim=1).gather(1, restore)`` puts
    all patches in their own order again; ``chosen`` (images, count) bool, True = hidden.
    """

    kept: Tensor
    hidden: Tensor
    restore: Tensor
    chosen: Tensor


def patches(*, images: int, count: int, share: float = 0.75, generator: torch.Generator) -> Patches:
    """Masked autoencoders: shuffle the patches of each picture, and hide all but the first.

    Every picture keeps equally many, so the encoder gets a full rectangle, with no mask and no padding.
    Shapes: see `Patches`; ``share`` of ``count`` is hidden, rounded. (MAE's code rounds the kept ones down.)
    Raises ValueError for a share outside 0 to 1, or fewer than 1 patch, TypeError for no generator.
    Source: He et al. 2021, arXiv 2111.06377, §3.

    >>> found = patches(images=1, count=4, generator=torch.Generator().manual_seed(0))
    >>> found.kept, found.hidden, found.chosen.int()
    (tensor([[2]]), tensor([[3, 0, 1]]), tensor([[1, 1, 0, 1]], dtype=torch.int32))
    """
    validate.share(share=share)
    validate.generator(generator)
    validate.at_least(0, images=images)
    validate.at_least(1, count=count)
    keep = count - round(share * count)
    draws = torch.rand(images, count, generator=generator, dtype=torch.float32, device=generator.device)
    order = draws.argsort(dim=1)  # a shuffle of each row
    back = order.argsort(dim=1)  # where each patch went
    return Patches(kept=order[:, :keep], hidden=order[:, keep:], restore=back, chosen=back >= keep)
