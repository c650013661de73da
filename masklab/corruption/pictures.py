"""Masked autoencoders: most patches of a picture are hidden, and the encoder reads the others only."""

from dataclasses import dataclass

import torch
from torch import Tensor

from masklab.corruption.common import check_generator, check_share


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
    """Masked autoencoders: shuffle the patches of each picture, keep the first quarter.

    Every picture keeps equally many, so the encoder gets a full rectangle, with no mask and no padding.
    Shapes: see `Patches`; ``share`` of ``count`` is hidden, rounded. (MAE's code rounds the kept ones down.)
    Raises ValueError for a share outside 0 to 1, fewer than 0 images or than 1 patch, TypeError for no generator.
    Source: He et al. 2021, arXiv 2111.06377, §3.

    >>> found = patches(images=1, count=4, generator=torch.Generator().manual_seed(0))
    >>> found.kept, found.hidden, found.chosen.int()
    (tensor([[2]]), tensor([[3, 0, 1]]), tensor([[1, 1, 0, 1]], dtype=torch.int32))
    """
    check_share("share", share)
    check_generator(generator)
    if images < 0 or count < 1:
        raise ValueError(f"expected images ≥ 0 and count ≥ 1, and got images={images} and count={count}.")
    keep = count - round(share * count)
    order = torch.rand(images, count, generator=generator).argsort(dim=1)  # a shuffle of each row
    back = order.argsort(dim=1)  # where each patch went
    return Patches(kept=order[:, :keep], hidden=order[:, keep:], restore=back, chosen=back >= keep)
