"""Denominators: what a mean divides by, when batches are padded and gradients are accumulated."""

from collections.abc import Sequence
from functools import lru_cache, partial

import torch
from torch import Tensor

from masklab import corpus
from masklab.corpus import BOS, EOS, VOCABULARY
from masklab.losses import next_token_labels, reduce, token_losses
from masklab.models import GPT
from masklab.text import Batch
from masklab.tiny import BATCH, LR, tiny_gpt
from masklab.training import Result, Run, collect, draws, rows, train

DENOMINATORS = {  # of each micro-batch; all but the first are then divided by the number of micro-batches
    "one count": "count",
    "mean of means": "token",
    "mean over sentences": "sequence",
    "mean over positions": "position",
}
SHORT, LONG = 5, 13  # words: at most, and at least
TEXTS = 400  # that a model writes


@lru_cache(maxsize=1)
def short_and_long() -> tuple[Batch, Batch]:
    """The short sentences of the corpus, and the long ones, each between [BOS] and [EOS].

    >>> short, long = short_and_long()
    >>> short.lengths.max(), long.lengths.min()  # with [BOS] and [EOS]
    (tensor(7), tensor(15))
    """
    examples = corpus.sentences(n=4000)
    short = [example for example in examples if len(example.words) <= SHORT]
    long = [example for example in examples if len(example.words) >= LONG]
    return corpus.with_ends(short), corpus.with_ends(long)


def micro_batches(step: int, *, seed: int) -> list[Batch]:
    """What one step of the optimizer sees: 16 short sentences, then 16 long ones, each batch padded by itself.

    >>> [batch.ids.shape for batch in micro_batches(0, seed=0)]
    [torch.Size([16, 7]), torch.Size([16, 16])]
    """
    return [rows(batch, draws(range(len(batch.ids)), size=BATCH, seed=seed)(step)) for batch in short_and_long()]


def language_losses(model: GPT, batch: Batch) -> tuple[Tensor, Tensor]:
    """The loss of each next token, (B, L), and which of them count, (B, L).

    >>> losses, counts = language_losses(tiny_gpt(0), micro_batches(0, seed=0)[0])
    >>> losses.shape, counts.shape
    (torch.Size([16, 7]), torch.Size([16, 7]))
    """
    labels, supervised = next_token_labels(batch.ids, batch.is_word)
    return token_losses(model(batch.ids), labels, supervised), supervised  # causal, so pads on the right are not seen


def accumulated_loss(model: GPT, batches: Sequence[Batch], *, per: str) -> Tensor:
    """The losses of all micro-batches added up, each by a denominator of `DENOMINATORS`.

    A loop that saves memory calls ``backward`` after each; its gradients add up to the gradient of this sum.

    >>> 5 < accumulated_loss(tiny_gpt(0), micro_batches(0, seed=0), per="count") < 7  # untrained, about ln V = 5.98
    tensor(True)
    """
    several = [language_losses(model, batch) for batch in batches]
    if per == "count":  # known before the first micro-batch is computed: it needs the labels only
        count = sum(int(counts.sum()) for _, counts in several)
        return torch.stack([reduce(losses, counts, per="count", count=count) for losses, counts in several]).sum()
    return torch.stack([reduce(losses, counts, per=per) for losses, counts in several]).mean()


def denominators(*, seeds: Sequence[int] = (0, 1, 2), steps: int = 160) -> Result:
    """What does a language model learn from micro-batches of short and of long sentences?

    Variants: each micro-batch divided by one count, the tokens of *all* of them; by its own tokens; sentence by
    sentence; by its own positions, pads included; all but the first then averaged. The same first weights,
    micro-batches and tokens that count. Each step sees as many short sentences as long ones, so half of what the
    model writes should be short. In the mean of means a token of a short sentence weighs more, and with it the choice
    to be short: that is another goal, and more training does not fix it. The other two do much the same.
    Measured: how far the share of short texts, among 400 that are written, is from one half.
    ``curves``: the loss in training, each by its own denominator: they cannot be compared, and the one over
    positions looks best. ``samples``: the share of short texts, and their mean length.

    >>> list(denominators(seeds=[0], steps=2).scores)
    ['one count', 'mean of means', 'mean over sentences', 'mean over positions']
    """
    return Result(
        question="What does a model learn from micro-batches of short and of long sentences?",
        measure="error of the share of short texts",
        better="lower",
        right="one count",
        **collect(partial(_denominator_run, steps=steps), DENOMINATORS, seeds),
    )


def _denominator_run(name: str, seed: int, *, steps: int) -> Run:
    """Train by one denominator, write, and count."""
    model, per = tiny_gpt(seed), DENOMINATORS[name]
    curve = train(
        model, lambda step: accumulated_loss(model, micro_batches(step, seed=seed), per=per), steps=steps, lr=LR
    )
    begin = torch.full((TEXTS, 1), VOCABULARY.id(BOS))
    _, lengths = model.generate(begin, max_new_tokens=LONG + 2, stop=VOCABULARY.id(EOS), temperature=1.0, seed=seed)
    short = (lengths - 1 < (SHORT + LONG) / 2).float().mean().item()  # without [EOS]
    counted = f"{short:.0%} of the texts are short; a text has {lengths.float().mean() - 1:.1f} words."
    return Run(abs(short - 0.5), curve, counted)
