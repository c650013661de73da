"""Randomness that belongs to one model: its first weights, and its dropout."""

from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from masklab import validate


def seeded(seed: int) -> torch.Generator:
    """A generator of one's own. Raises ValueError for a seed that is not an integer.

    >>> torch.rand(1, generator=seeded(0)) == torch.rand(1, generator=seeded(0))
    tensor([True])
    """
    validate.at_least(None, seed=seed)
    return torch.Generator().manual_seed(int(seed))


class PrivateDraws(TorchFunctionMode):
    """Inside ``with``, every call that takes a generator and was given None draws from ours.

    So do torch's own layers when they draw their first weights (`torch.nn.init`). A mode holds for one thread only,
    and the global generator is never touched.
    """

    def __init__(self, seed: int):
        super().__init__()
        self.generator = seeded(seed)

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        ours = {"generator": self.generator} if kwargs.get("generator", self) is None else {}
        return function(*args, **kwargs | ours)


def private_seed(seed: int) -> PrivateDraws:
    """Inside ``with``, first weights are those of `torch.manual_seed`, but the global generator is not touched.

    Build a model on the CPU, then move it: the generator is there.

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
    """Inside ``with``, the model is in eval mode; afterwards, even after an error, each part is back in its own mode.

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
    """A mask on features, drawn anew in each training step from the layer's own generator.

    It sets a share ``p`` of the numbers to zero and divides the rest by 1 − p, which keeps the mean.
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
            raise ValueError(f"dropout must be at least 0 and less than 1, got {p}.")
        self.p = p
        # In `private_seed` this draw is private too, and each layer gets a seed of its own.
        seed = int(torch.randint(2**31, (), generator=None, device="cpu"))
        self.generator = torch.Generator().manual_seed(seed)

    def forward(self, x: Tensor) -> Tensor:
        """Zero a share of x."""
        if not self.training or self.p == 0:
            return x
        keep = (torch.rand(x.shape, generator=self.generator) >= self.p).to(x.device)  # the same draw on every device
        return x.masked_fill(~keep, 0.0) / (1 - self.p)
