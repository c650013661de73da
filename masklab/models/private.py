"""Randomness that belongs to one model alone: first weights, and dropout, on and off."""

from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


class PrivateDraws(TorchFunctionMode):
    """Inside ``with``, whoever could name a generator and names none draws from ours.

    Torch's layers draw their first weights so (`torch.nn.init`), by formulas of their own. A mode holds for one thread
    alone, and the global generator is never touched.
    """

    def __init__(self, seed: int):
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        ours = {"generator": self.generator} if kwargs.get("generator", self) is None else {}
        return function(*args, **kwargs | ours)


def private_seed(seed: int) -> PrivateDraws:
    """Inside ``with``, weights are drawn from this seed, as after `torch.manual_seed`; the global state stays.

    Weights are drawn on the CPU: build a model first, then move it.

    >>> with private_seed(0):
    ...     first = nn.Linear(2, 2).weight
    >>> with private_seed(0):
    ...     second = nn.Linear(2, 2).weight
    >>> torch.equal(first, second)
    True
    """
    return PrivateDraws(seed)


@contextmanager
def eval_mode(model: nn.Module):
    """Inside, nothing is dropped out; afterwards, also after an error, each part is in its former mode.

    >>> model = nn.Sequential(nn.Dropout(0.5))
    >>> with eval_mode(model):
    ...     print(model(torch.ones(3)), model.training)
    tensor([1., 1., 1.]) False
    >>> model.training
    True
    """
    former = {part: part.training for part in model.modules()}  # parts may differ: one may be frozen
    model.eval()
    try:
        yield
    finally:
        for part, training in former.items():
            part.training = training


class Dropout(nn.Module):
    """A mask on features, drawn anew in each training step from a generator of the layer's own.

    It sets a share ``p`` of the numbers to zero and divides the rest by 1 − p, so that the mean stays.
    In eval mode nothing happens. Shape: any. ValueError for ``p`` outside [0, 1).
    Source: Srivastava et al. 2014, JMLR 15, §4.

    >>> with private_seed(0):
    ...     drop = Dropout(0.5)
    >>> sorted(set(drop(torch.ones(100)).tolist())), set(drop.eval()(torch.ones(100)).tolist())
    ([0.0, 2.0], {1.0})
    """

    def __init__(self, p: float):
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout must be a share, at least 0 and less than 1, and is {p}.")
        self.p = p
        # In `private_seed` this draw is private too, and each layer gets a seed of its own.
        seed = torch.randint(2**31, (), generator=None, device="cpu").item()
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, x: Tensor) -> Tensor:
        """Zero a share of x."""
        if not self.training or self.p == 0:
            return x
        keep = (torch.rand(x.shape, generator=self.generator) >= self.p).to(x.device)  # the same draw on every device
        return x.masked_fill(~keep, 0.0) / (1 - self.p)
