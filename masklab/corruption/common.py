"""What the ways to corrupt have in common: small steps, and the sentences for what does not fit."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def shift_right(mask: Tensor) -> Tensor:
    """Each position gets what stood before it, the first one False. Shape: (B, L).

    >>> shift_right(torch.tensor([[True, False, True]]))
    tensor([[False,  True, False]])
    """
    return F.pad(mask, (1, 0))[:, : mask.shape[1]]


def at_least_one(share: float, *, of: int) -> int:
    """A share of a number, rounded; at least 1 if there is a share, and something to share.

    >>> at_least_one(0.15, of=20), at_least_one(0.15, of=2), at_least_one(0.0, of=2), at_least_one(0.15, of=0)
    (3, 1, 0, 0)
    """
    return max(round(share * of), 1) if share and of else 0


def int64(tokens: Sequence[int] | Tensor) -> Tensor:
    """Ids as a tensor, also when there are none (an empty list would become float); a tensor of ids stays as it is.

    >>> int64([7, 8]), int64([])
    (tensor([7, 8]), tensor([], dtype=torch.int64))
    """
    return torch.as_tensor(tokens, dtype=torch.int64)


def check(*, axes: int = 2, **given: Tensor | None) -> None:
    """All tensors have one shape with these axes; ``ids`` and ``spans`` are int64, all others bool.

    >>> check(ids=torch.tensor([[7, 8]]), chosen=torch.tensor([[True]]))
    Traceback (most recent call last):
    ValueError: expected one shape (batch, length), and got {'ids': (1, 2), 'chosen': (1, 1)}.
    """
    tensors = {name: tensor for name, tensor in given.items() if tensor is not None}
    for name, tensor in tensors.items():
        wanted = torch.int64 if name in ("ids", "spans") else torch.bool
        if tensor.dtype != wanted:
            raise TypeError(
                f"{name} must be {wanted}, and is {tensor.dtype} of shape {tuple(tensor.shape)}. "
                + ("Use ids.long()." if wanted == torch.int64 else f"Use {name}.bool() if 1 means yes.")
            )
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != axes for shape in shapes.values()):
        axis_names = "(length,): one sentence" if axes == 1 else "(batch, length)"
        raise ValueError(f"expected one shape {axis_names}, and got {shapes}.")


def check_share(name: str, share: float) -> None:
    """A share is between 0 and 1.

    >>> check_share("probability", 15)
    Traceback (most recent call last):
    ValueError: probability must be between 0 and 1, and is 15. For percent divide by 100.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"{name} must be between 0 and 1, and is {share}. For percent divide by 100.")


def check_generator(generator: torch.Generator) -> None:
    """Every draw comes from a generator of the caller: torch would take None for its global one.

    >>> check_generator(None)
    Traceback (most recent call last):
    TypeError: generator must be a torch.Generator, and is None. Make one, as torch.Generator().manual_seed(0).
    """
    if not isinstance(generator, torch.Generator):
        raise TypeError(
            f"generator must be a torch.Generator, and is {generator!r}. Make one, as torch.Generator().manual_seed(0)."
        )
