"""Random inputs for the checks: always the same ones, drawn from private generators."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from masklab.check.oracles import word_positions
from masklab.models import GPT

SEED = 5


def generator(seed: int = SEED) -> torch.Generator:
    """A generator of its own: the global random numbers stay as they are.

    >>> torch.equal(torch.rand(2, generator=generator()), torch.rand(2, generator=generator()))
    True
    """
    return torch.Generator().manual_seed(seed)


def lengths_and_total(count: int) -> list[tuple[Tensor, int]]:
    """Batches of 2 to 4 different lengths from 1 to 6, padded to 6 or 7 by turns.

    >>> lengths_and_total(2)
    [(tensor([6, 1]), 6), (tensor([5, 4, 2]), 7)]
    """
    g = generator()
    return [(torch.randperm(6, generator=g)[: 2 + i % 3] + 1, 6 + i % 2) for i in range(count)]


def padded_batches(count: int) -> list[Tensor]:
    """Which positions are words, with the padding on the left and on the right by turns.

    Shapes: (batch, length) bool each, True = a word.

    >>> padded_batches(1)[0].int()
    tensor([[1, 1, 1, 1, 1, 1],
            [0, 0, 0, 0, 0, 1]], dtype=torch.int32)
    """
    sides = ("left", "right")
    return [word_positions(n, total, side=sides[i % 2]) for i, (n, total) in enumerate(lengths_and_total(count))]


def scores_and_masks(count: int, *, empty_rows: bool = False) -> list[tuple[Tensor, Tensor]]:
    """Random scores and masks of 4 to 6 queries and keys; each row has a key.

    With ``empty_rows`` one row, two rows or no row loses its keys, by turns.

    Shapes: (query, key) floats and (query, key) bool, True = may attend.

    >>> [(scores, mask)] = scores_and_masks(1, empty_rows=True)
    >>> scores.shape, mask.any(dim=-1)
    (torch.Size([4, 4]), tensor([False,  True,  True,  True]))
    """
    g, found = generator(), []
    for i in range(count):
        length = 4 + i % 3
        mask = torch.rand(length, length, generator=g) < 0.6
        mask[torch.arange(length), torch.randint(length, (length,), generator=g)] = True
        mask[0, (int(mask[0].int().argmax()) + 1) % length] = False  # something is blocked for certain
        if empty_rows:
            mask[[i % length, (i + 2) % length][: (1, 2, 0, 1)[i % 4]]] = False
        found.append((torch.randn(length, length, generator=g), mask))
    return found


def prefix_masks(count: int) -> list[Tensor]:
    """Masks of 4 to 6 queries and 5 to 8 keys whose rows are prefixes, prefixes with one more key, and neither.

    Shapes: (query, key) bool each, True = may attend.

    >>> prefix_masks(1)[0].int()
    tensor([[1, 1, 1, 1, 1],
            [0, 0, 0, 0, 0],
            [1, 0, 1, 0, 0],
            [1, 1, 1, 0, 0]], dtype=torch.int32)
    """
    g, found = generator(), []
    for i in range(count):
        queries, keys = 4 + i % 3, 5 + i % 4
        n = torch.randint(keys + 1, (queries, 1), generator=g)  # 0: a fully masked row; keys: an open one
        mask = torch.arange(keys) < n
        mask[2] = mask[2] | (torch.arange(keys) == n[2] + 1)
        mask[3] = mask[3] ^ (torch.rand(keys, generator=g) < 0.3 * (i % 2))
        found.append(mask)
    return found


def padded_ids(count: int) -> list[tuple[Tensor, Tensor]]:
    """Batches of ids with real zeros among the words; the pads are 0, or another word's id.

    Shapes: (batch, length) int64 and bool, True = a word.

    >>> padded_ids(1)[0][0]
    tensor([[ 0, 22, 89,  4,  9, 53],
            [ 0,  0,  0,  0,  0, 76]])
    """
    g, found = generator(), []
    for i, is_word in enumerate(padded_batches(count)):
        ids = torch.randint(1, 100, is_word.shape, generator=g)
        ids[torch.rand(is_word.shape, generator=g) < 0.2] = 0
        pad = int(ids[is_word][-1]) if i % 3 == 2 else 0  # many models have one id for the end and for padding
        found.append((ids.masked_fill(~is_word, pad), is_word))
    return found


VOCABULARY, LENGTH = 10, 6  # of the models below
CAUSAL = torch.ones(8, 8, dtype=torch.bool).tril()


class LanguageModel(nn.Module):
    """A GPT of one layer with a fixed mask, and a change ``after`` it. It can only be called.

    It computes in float64 and gives float32: a text and its beginning have the same logits, without rounding.
    Shapes: ``mask`` (8, 8) bool, True = may attend; ``ids`` (batch, length) → (batch, length, 10).

    >>> LanguageModel("causal", CAUSAL)(torch.tensor([[1, 2, 3]])).shape
    torch.Size([1, 3, 10])
    """

    mask: Tensor

    def __init__(self, kind: str, mask: Tensor, *, before: Callable | None = None, after: Callable | None = None):
        super().__init__()
        self.kind, self.before, self.after = kind, before, after
        self.gpt = GPT(VOCABULARY, dim=8, heads=1, layers=1, max_len=len(mask), seed=SEED).double()
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
        LanguageModel("only the first", _with(0, LENGTH - 1)),
        LanguageModel("only the last", _with(LENGTH - 2, LENGTH - 1)),
        LanguageModel("in the middle", _with(1, 3)),
        LanguageModel("another order", torch.ones_like(CAUSAL), after=_ordered),
        LanguageModel("rounding", CAUSAL, after=_rounded),
    ]
    g, found = generator(), []
    for i, model in enumerate(models):
        ids = torch.randint(VOCABULARY, (1, LENGTH), generator=g)
        ids[0, -1] = (0, 9, 5, 1)[i % 4]  # whoever puts a constant there may change nothing
        found.append((model, ids))
    return found
