"""Language models that can only be called: some are causal, and some have a leak."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from masklab.check import cases
from masklab.models import GPT

VOCABULARY, LENGTH = 10, 6  # of the models below
CAUSAL = torch.ones(8, 8, dtype=torch.bool).tril()


class LanguageModel(nn.Module):
    """A GPT of one layer with a fixed mask, and a change ``before`` it (of ids) or ``after`` it. It can only be called.

    It computes in float64 and gives float32: a text and its beginning have the same logits, without rounding.
    Shapes: ``mask`` (8, 8) bool, True = may attend; ``ids`` (batch, length) → (batch, length, 10).

    >>> LanguageModel("causal", CAUSAL)(torch.tensor([[1, 2, 3]])).shape
    torch.Size([1, 3, 10])
    """

    mask: Tensor

    def __init__(self, kind: str, mask: Tensor, *, before: Callable | None = None, after: Callable | None = None):
        super().__init__()
        self.kind, self.before, self.after = kind, before, after
        self.gpt = GPT(VOCABULARY, dim=8, heads=1, layers=1, max_len=len(mask), seed=cases.SEED).double()
        self.register_buffer("mask", mask)
        self.gpt.get_parameter("blocks.0.attention.out.weight").data *= 20  # untrained attention only whispers
        self.eval().requires_grad_(False)  # logits that NumPy takes, too

    def forward(self, ids: Tensor) -> Tensor:
        """The logits of the token after each."""
        n = ids.shape[1]
        seen = self.before(ids) if self.before else ids
        logits = self.gpt(seen, self.mask[None, None, :n, :n])
        return (self.after(logits) if self.after else logits).float()


def _shifted(ids: Tensor) -> Tensor:
    """Each position reads the token before it."""
    return torch.cat([torch.zeros_like(ids[:, :1]), ids[:, :-1]], dim=1)


def _plus_mean(logits: Tensor) -> Tensor:
    """A little of the mean over all positions."""
    return logits + 0.05 * logits.mean(dim=1, keepdim=True)


def _ordered(logits: Tensor) -> Tensor:
    """Always 0 … 9, in the order of the logits: their sum, their largest and the first one say nothing."""
    first = torch.tensor([0])
    return logits.index_fill(-1, first, -math.inf).argsort(dim=-1).argsort(dim=-1).double()


def _rounded(logits: Tensor) -> Tensor:
    """The same logits, but for rounding: a number that knows the future is added and subtracted."""
    future = 4 + logits.mean(dim=(1, 2), keepdim=True).float()
    return (logits.float() + 2 + future) - future


def _with(query: int, key: int) -> Tensor:
    """The causal mask, and one cell more."""
    mask = CAUSAL.clone()
    mask[query, key] = True
    return mask


def models_and_ids() -> list[tuple[LanguageModel, Tensor]]:
    """Models that are causal, and models that leak, each with a text of 6 tokens; `LanguageModel.kind` says which.

    They are in the order of what a learner should hear of first. Shapes: a model, and ids (1, 6) each.

    >>> [model.kind for model, ids in models_and_ids()[:3]]
    ['no token', 'its own token', 'causal']
    """
    models = [
        LanguageModel("no token", CAUSAL, before=torch.zeros_like),
        LanguageModel("its own token", torch.eye(8, dtype=torch.bool)),
        LanguageModel("causal", CAUSAL),
        LanguageModel("earlier tokens", CAUSAL, before=_shifted),
        LanguageModel("no mask", torch.ones_like(CAUSAL)),
        LanguageModel("a faint mean", CAUSAL, after=_plus_mean),
        LanguageModel("one too far", CAUSAL | torch.ones_like(CAUSAL).tril(1)),
        LanguageModel("only the first", _with(0, 1)),
        LanguageModel("only the last", _with(LENGTH - 2, LENGTH - 1)),
        LanguageModel("in the middle", _with(1, 3)),
        LanguageModel("another order", torch.ones_like(CAUSAL), after=_ordered),
        LanguageModel("rounding", CAUSAL, after=_rounded),
    ]
    g, found = cases.generator(), []
    for model in models:
        ids = torch.randint(VOCABULARY, (1, LENGTH), generator=g)
        ids[0, [1, 3, 5]] = torch.tensor([1, 9, 0])  # whoever puts such a constant there changes nothing
        found.append((model, ids))
    return found
