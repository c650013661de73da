"""A canary: tokens that nobody can predict, and models that do, because they see them.

Every variant trains the same tiny GPT, with one part changed.
"""

import math
from collections.abc import Sequence
from functools import partial
from statistics import mean

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masklab import masks
from masklab.experiments.causal import RULES
from masklab.models import GPT, next_token_loss
from masklab.tiny import BATCH, LR
from masklab.training import Result, Run, collect, draws, train

SYMBOLS, LENGTH = 32, 8  # random tokens: how many different ones, and how many a row
# Those that are not in RULES have the causal mask, and one part of the model changed: see `leaking_gpt`.
CANARIES = ("correct", "no mask", "one token too far", "a bias of −2", "mean over all positions", "BatchNorm")


def canary(*, seeds: Sequence[int] = (0, 1, 2), steps: int = 120) -> Result:
    """Does training on random tokens expose a model that sees the future?

    Nobody can predict fresh random tokens: a loss below ln V means that the model sees what it predicts.
    Variants: the causal mask; none; one token too far; a mask that adds −2 instead of −∞; a mean over all
    positions, added to each; BatchNorm instead of the last LayerNorm. The same tokens for all.
    Measured: how many nats the loss is below ln V in the last fifth of the training; 0 is right. A model that knows
    nothing is a little above ln V, since it learns the last batch's luck: that counts as 0.
    ``curves``: the loss. ``samples``: the largest gradient of an output with respect to a later token, without any
    training. It finds all five; the canary misses BatchNorm, whose leak is too faint to learn from.

    >>> list(canary(seeds=[0], steps=5).scores) == list(CANARIES)
    True
    """
    return Result(
        question="Does training on random tokens expose a leak?",
        measure="nats below ln V",
        better="lower",
        right="correct",
        level=math.log(SYMBOLS),
        level_name="the largest leak there can be (ln V)",
        **collect(partial(_canary_run, steps=steps), CANARIES, seeds),
    )


def _canary_run(name: str, seed: int, *, steps: int) -> Run:
    """Train on random tokens, a fresh batch in each step, and see how much the model knows in the end."""
    model, rule = leaking_gpt(name, seed=seed), RULES.get(name, masks.causal())
    gradient = later_gradient(model, rule)
    symbols = draws(range(SYMBOLS), size=BATCH * LENGTH, seed=seed)
    losses = train(
        model,
        lambda step: random_tokens_loss(model, torch.tensor(symbols(step)).view(BATCH, LENGTH), rule),
        steps=steps, lr=LR, keep_every=1,
    )  # fmt: skip
    last = losses[-max(1, steps // 5) :]
    return Run(max(0.0, math.log(SYMBOLS) - mean(last)), losses[::10], f"gradient of later tokens: {gradient:.4f}")


def random_tokens_loss(model: GPT, ids: Tensor, rule: masks.Rule) -> Tensor:
    """The mean loss of the next token, in rows without padding.

    >>> ids = torch.arange(SYMBOLS).view(-1, LENGTH)
    >>> 3 < random_tokens_loss(leaking_gpt("correct", seed=0), ids, masks.causal()) < 4.5  # untrained, about ln V
    tensor(True)
    """
    mask = rule.tensor(queries=ids.shape[1], keys=ids.shape[1])
    return next_token_loss(model(ids, mask), ids, torch.ones_like(ids, dtype=torch.bool))


def later_gradient(model: GPT, rule: masks.Rule) -> float:
    """How much an output in the middle of a row depends on what comes after it: the largest gradient; 0 is right.

    No training and no loss are needed. ``model`` is put into train mode, the only one in which BatchNorm leaks.

    >>> [round(later_gradient(leaking_gpt(name, seed=0), masks.causal()), 4) for name in ("correct", "BatchNorm")]
    [0.0, 0.4098]
    """
    model.train()
    out = model(torch.arange(LENGTH)[None], rule.tensor(queries=LENGTH, keys=LENGTH))[0, LENGTH // 2]  # (V,)
    direction = torch.randn(
        out.shape, generator=torch.Generator().manual_seed(0)
    )  # a plain sum is constant after a norm
    vectors = next(part.weight for part in model.modules() if isinstance(part, nn.Embedding))  # (V, dim)
    gradient = torch.autograd.grad(out, vectors, direction)[0]  # (V, dim): token i is at position i
    return gradient[LENGTH // 2 + 1 : LENGTH].abs().max().item()


def leaking_gpt(name: str, *, seed: int) -> GPT:
    """A GPT with one part changed, unless its leak is in the mask.

    >>> type(leaking_gpt("BatchNorm", seed=0).norm).__name__, type(leaking_gpt("no mask", seed=0).norm).__name__
    ('TokenBatchNorm', 'LayerNorm')
    """
    model = GPT(SYMBOLS, dim=32, layers=1, max_len=LENGTH, seed=seed)
    if name == "a bias of −2":
        for block in model.blocks:
            block.attention.attend = SoftBlocking()
    if name == "mean over all positions":
        model.embed = PlusMean(model.embed)
    if name == "BatchNorm":
        model.norm = TokenBatchNorm(model.norm.normalized_shape[0])
    return model


class SoftBlocking(nn.Module):
    """Attention that adds −2 where it should block: a weight becomes 7 times smaller, but not zero.

    >>> zeros, v, mask = torch.zeros(1, 1, 2, 1), torch.tensor([[[[0.0], [1.0]]]]), torch.ones(2, 2).tril().bool()
    >>> SoftBlocking()(zeros, zeros, v, mask).flatten()  # the first query should see 0 only
    tensor([0.1192, 0.5000])
    """

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        """As `masklab.models.layers.Attend`, but for the bias."""
        return F.scaled_dot_product_attention(q, k, v, attn_mask=torch.zeros(mask.shape).masked_fill(~mask, -2.0))


class PlusMean(nn.Module):
    """Embeddings, each with the mean of its row added: a summary that nobody masked.

    >>> PlusMean(lambda ids, positions, start: ids[..., None].float())(torch.tensor([[1, 3]])).flatten()
    tensor([3., 5.])
    """

    def __init__(self, embed: nn.Module):
        super().__init__()
        self.embed = embed

    def forward(self, ids: Tensor, positions: Tensor | None = None, *, start: int = 0) -> Tensor:
        """(B, L) → (B, L, dim)."""
        x = self.embed(ids, positions, start=start)
        return x + x.mean(dim=1, keepdim=True)  # the mean over time sees the future


class TokenBatchNorm(nn.Module):
    """BatchNorm over all tokens: in training, each is divided by a spread to which later tokens add.

    >>> TokenBatchNorm(1)(torch.tensor([[[0.0], [2.0]]])).detach().flatten()
    tensor([-1.0000,  1.0000])
    """

    def __init__(self, dim: int):
        super().__init__()
        self.norm = nn.BatchNorm1d(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, L, dim) → the same shape."""
        return self.norm(x.flatten(0, 1)).view_as(x)
