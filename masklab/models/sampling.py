"""How the next token is chosen from its logits."""

import math

import torch
from torch import Tensor


def choose(logits: Tensor, *, temperature: float, generator: torch.Generator) -> Tensor:
    """The next token: the most likely one at temperature 0, otherwise drawn from softmax(logits / temperature).

    Shapes: ``logits`` (B, vocab_size) → (B,) int64 on the same device; the draw is the same on every device, with a
    ``generator`` on the CPU. Raises ValueError for a temperature below 0, infinite or NaN.

    >>> choose(torch.tensor([[0.0, 2.0, 1.0]]), temperature=0, generator=torch.Generator())
    tensor([1])
    """
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature must be at least 0 and finite, got {temperature}.")
    if temperature == 0:
        return logits.argmax(dim=-1)
    probabilities = (logits / temperature).softmax(dim=-1).cpu()  # (B, vocab_size), where the generator is
    return torch.multinomial(probabilities, 1, generator=generator)[:, 0].to(logits.device)
