"""A trained language model reads one text under a mask: all at once, up to a step, or with a cache."""

from dataclasses import dataclass

import torch
from torch import Tensor

from masklab import masks
from masklab.attention import Attention
from masklab.corpus import until_end
from masklab.models import GPT, next_logits, trace_attention, write

SAME = 1e-5  # of the largest logit: float32 sums differ in the seventh digit when their order does
# Which queries are computed at step t of L tokens, from the first one up to the end, where the text ends, too.
VIEWS = {
    "training": lambda t, L: (0, L),  # all at once
    "generation": lambda t, L: (0, t + 1),  # no later word exists
    "cached": lambda t, L: (t, t + 1),  # keys and values of the earlier words are kept
}


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a model computes on L tokens at step t, in one view and in the others.

    Shapes: the view's ``attention`` with queries ``first`` to ``end`` − 1 and ``end`` keys, ``row`` (V,), the logits
    after token t that it leads to, and ``other`` (V,), the same computed in another way: from a text that ends at t
    if the view has all of it, else from all of it. For every token: ``at_once`` and ``one_by_one`` (L, V), the logits
    from the whole text, and from a text that ends there. ``top`` is the largest score of the whole text.
    """

    first: int
    end: int
    attention: Attention
    row: Tensor
    other: Tensor
    at_once: Tensor
    one_by_one: Tensor
    top: float

    @property
    def gap(self) -> float:
        """By how much the logits of both ways differ at most."""
        return (self.row - self.other).abs().max().item()

    @property
    def same(self) -> bool:
        """Whether they are the same numbers, to five digits."""
        return self.gap <= rounding(self.other)


def rounding(logits: Tensor) -> float:
    """By how much the same logits, computed in another order, may differ. Shape: any.

    >>> f"{rounding(torch.tensor([3.0, -20.0])):.4f}"
    '0.0002'
    """
    return SAME * max(1.0, logits.abs().max().item())


@torch.no_grad()
def read(model: GPT, ids: Tensor, allowed: Tensor, *, t: int, view: str) -> Reading:
    """Let a model read a text in one of the `VIEWS`. Shapes: ``ids`` (1, L); ``allowed`` (1, 1, L, L) bool.

    >>> model, ids = GPT(10), torch.tensor([[3, 6, 7]])
    >>> causal = torch.ones(1, 1, 3, 3, dtype=torch.bool).tril()
    >>> [read(model, ids, causal, t=1, view=view).same for view in VIEWS]
    [True, True, True]
    >>> [read(model, ids, ~causal | causal, t=1, view=view).same for view in VIEWS]
    [False, False, False]
    """
    first, end = VIEWS[view](t, ids.shape[1])
    at_once, whole = attended(model, ids, allowed)
    one_by_one = logits_one_by_one(model, ids, allowed)
    logits, attention = attended(model, ids[:, :end], allowed[..., :end, :end], first=first)
    return Reading(
        first=first, end=end, attention=attention, row=logits[t - first], at_once=at_once, one_by_one=one_by_one,
        other=one_by_one[t] if view == "training" else at_once[t], top=whole.scores.abs().max().item(),
    )  # fmt: skip


def attended(model: GPT, ids: Tensor, allowed: Tensor, *, first: int = 0) -> tuple[Tensor, Attention]:
    """The logits after each token from ``first`` on, and the last block's attention; the tokens before are cached.

    Shapes: ``ids`` (1, L); ``allowed`` (1, 1, L, L) bool, True = may attend → (L − first, V), and L − first queries.

    >>> model, ids, all_keys = GPT(10), torch.tensor([[3, 6, 7]]), torch.ones(1, 1, 3, 3, dtype=torch.bool)
    >>> logits, attention = attended(model, ids, all_keys, first=2)
    >>> logits.shape, attention.weights.shape
    (torch.Size([1, 10]), torch.Size([1, 2, 1, 3]))
    """
    _, cache = model(ids[:, :first], allowed[..., :first, :first], cache=()) if first else (None, ())
    (logits, _), stages = trace_attention(model, ids[:, first:], allowed[..., first:, :], cache=cache)
    return logits[0], list(stages.values())[-1]


def logits_one_by_one(model: GPT, ids: Tensor, allowed: Tensor) -> Tensor:
    """The logits after each token, each from a text that ends there: what generation sees.

    Row n of a batch is the text with every key after its token n blocked, which is as if it had ended there.
    Shapes: ``ids`` (1, L); ``allowed`` (1, 1, L, L) bool → (L, V).

    >>> model, ids, all_keys = GPT(10), torch.tensor([[3, 6, 7]]), torch.ones(1, 1, 3, 3, dtype=torch.bool)
    >>> torch.allclose(logits_one_by_one(model, ids, all_keys)[0], model(ids[:, :1])[0, 0], atol=1e-5)
    True
    """
    L = ids.shape[1]
    is_there = torch.ones(L, L, dtype=torch.bool).tril()[:, None, None, :]  # (L, 1, 1, L): text n has the keys up to n
    logits = model(ids.expand(L, L), allowed & is_there)  # (L, L, V)
    return logits.diagonal().T  # text n's logits after its token n: (L, V)


def continuation(model: GPT, ids: Tensor, rule: masks.Rule, *, most: int) -> list[str]:
    """The words that a model writes after a text, always the most likely one, up to [EOS] or its longest text.

    Shape: ``ids`` (1, L).

    >>> from masklab.tiny import tiny_gpt
    >>> model, ids = tiny_gpt(0, max_len=4), torch.tensor([[3, 6]])
    >>> len(continuation(model, ids, masks.causal(), most=6))
    2
    """
    new = write(
        lambda text: next_logits(model, text, rule), ids, max_new_tokens=min(most, max_len(model) - ids.shape[1])
    )
    return until_end(new)[0]


def max_len(model: GPT) -> int:
    """How many tokens a model reads at most.

    >>> max_len(GPT(10, max_len=32))
    32
    """
    return model.embed.position.num_embeddings
