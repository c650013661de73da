"""The loop that every experiment shares: draw a batch, compute a loss, take a step."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from masklab.threads import one_thread


def train(
    model: nn.Module, loss_of: Callable[[int], Tensor], *, steps: int, lr: float = 3e-3, keep_every: int = 10
) -> list[float]:
    """Train with Adam, and give the loss at every ``keep_every``-th step.

    ``loss_of(step)`` computes the loss of one batch, a scalar with a gradient. ``model`` is changed.
    Gradients are clipped to a norm of 1, so that one unlucky batch spoils nothing.
    Source: Kingma and Ba 2015, arXiv 1412.6980.

    >>> model = nn.Linear(1, 1, bias=False)
    >>> losses = train(model, lambda step: (model(torch.ones(1, 1)) - 2).square().sum(), steps=100, lr=0.1)
    >>> len(losses), losses[-1] < 0.1
    (10, True)
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    kept = []
    model.train()
    with one_thread():
        for step in range(steps):
            optimizer.zero_grad()
            loss = loss_of(step)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            if step % keep_every == 0:
                kept.append(loss.item())
    model.eval()
    return kept


def draws(examples: Sequence, *, size: int, seed: int) -> Callable[[int], list]:
    """A function from a step to the examples of its batch, drawn with a private generator.

    Every variant of an experiment that uses the same seed sees the same batches in the same order.

    >>> batch_of = draws("abcdef", size=3, seed=0)
    >>> batch_of(0) == batch_of(0), len(batch_of(1))
    (True, 3)
    """

    def batch_of(step: int) -> list:
        generator = torch.Generator().manual_seed(1_000_003 * seed + step)
        return [examples[i] for i in torch.randint(len(examples), (size,), generator=generator).tolist()]

    return batch_of
