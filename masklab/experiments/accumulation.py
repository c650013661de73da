"""Denominators: what a mean divides by, when batches are padded and gradients are accumulated.

The variants of both experiments are listed in one dictionary; everything else is the same for all.
"""

from collections.abc import Sequence
from functools import lru_cache, partial
from statistics import mean

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masklab import corpus
from masklab.corpus import BOS, EOS, VOCABULARY
from masklab.experiments.language import BATCH, LR, rows, tiny_gpt
from masklab.losses import next_token_labels, reduce, token_losses
from masklab.models import GPT
from masklab.text import Batch, batch_of_words, word_positions
from masklab.training import Result, Run, collect, draws, train


def token_weights(lengths: Tensor, *, per: str) -> Tensor:
    """How much the loss of each token weighs in the number that `reduce` returns.

    It is the gradient of the number with respect to each loss: what the step of an optimizer feels.
    Shapes: ``lengths`` (B,) → (B, longest). ``per`` and errors: as for `reduce`.

    >>> for per in ("token", "sequence", "position"):
    ...     weights = token_weights(torch.tensor([6, 2]), per=per)
    ...     print(f"{per:8}  long {weights[0, 0]:.3f}  short {weights[1, 0]:.3f}  sum {weights.sum():.3f}")
    token     long 0.125  short 0.125  sum 1.000
    sequence  long 0.083  short 0.250  sum 1.000
    position  long 0.083  short 0.083  sum 0.667
    """
    mask = word_positions(lengths, total=int(lengths.max()))
    losses = torch.zeros(mask.shape, requires_grad=True)
    return torch.autograd.grad(reduce(losses, mask, per=per), losses)[0]


def same_loss(lengths: Tensor, *, classes: int) -> tuple[float, float, float]:
    """The loss per token, the loss per sequence, and the cosine of their gradients, for a model that knows nothing.

    All logits are 0, so each token loses ln V, and every mean of that is ln V, too. The gradients with respect to
    the logits differ all the same: a loss says nothing about its denominator.

    >>> print("{:.4f}, {:.4f}, cosine {:.3f}".format(*same_loss(torch.tensor([10, 2]), classes=7)))
    1.9459, 1.9459, cosine 0.745
    """
    mask = word_positions(lengths, total=int(lengths.max()))
    logits = torch.zeros(*mask.shape, classes, requires_grad=True)
    losses = token_losses(logits, torch.zeros_like(mask, dtype=torch.int64), mask)
    both = [reduce(losses, mask, per=per) for per in ("token", "sequence")]
    one, two = (torch.autograd.grad(loss, logits, retain_graph=True)[0].flatten() for loss in both)
    return both[0].item(), both[1].item(), F.cosine_similarity(one, two, dim=0).item()


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
    words = [[BOS, *example.words, EOS] for example in corpus.sentences(n=4000)]
    short = [row for row in words if len(row) - 2 <= SHORT]
    long = [row for row in words if len(row) - 2 >= LONG]
    return batch_of_words(short, to_id=VOCABULARY.id), batch_of_words(long, to_id=VOCABULARY.id)


def micro_batches(step: int, *, seed: int) -> list[Batch]:
    """What one step of the optimizer sees: 16 short sentences, then 16 long ones, each padded for itself.

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
        return sum(reduce(losses, counts, per="count", count=count) for losses, counts in several)
    return sum(reduce(losses, counts, per=per) for losses, counts in several) / len(several)


def trained_writer(name: str, *, seed: int, steps: int) -> tuple[GPT, list[float]]:
    """A GPT that learned from accumulated micro-batches, by one denominator, and the curve of its loss.

    >>> model, curve = trained_writer("one count", seed=0, steps=20)
    >>> len(curve), curve[1] < curve[0]
    (2, True)
    """
    model, per = tiny_gpt(seed), DENOMINATORS[name]
    curve = train(
        model, lambda step: accumulated_loss(model, micro_batches(step, seed=seed), per=per), steps=steps, lr=LR
    )
    return model, curve


def accumulated_gradients(*, seeds: Sequence[int] = (0, 1, 2), steps: int = 60) -> Result:
    """Is the gradient of accumulated micro-batches the gradient of the whole batch?

    Variants: each micro-batch divided by one count, the tokens of *all* of them; by its own tokens; sentence by
    sentence; by its own positions, pads included; all but the first then averaged. All are computed for one model a
    seed, that was trained rightly, and for the same ten fresh batches.
    Source: the mean of means in the wild, transformers#34191.
    Measured: the relative error |g − g₀| / |g₀|, where g₀ comes from one padded batch and its mean over tokens.
    ``curves``: the error of each batch. ``samples``: the cosine of g and g₀, and |g| / |g₀|.
    Came out: one count has no error; the mean of means 0.54, over sentences 0.58, over positions 0.43.

    >>> list(accumulated_gradients(seeds=[0], steps=2).scores)
    ['one count', 'mean of means', 'mean over sentences', 'mean over positions']
    """
    models = {seed: trained_writer("one count", seed=seed, steps=steps)[0] for seed in seeds}
    return Result(
        question="Is the gradient of accumulated micro-batches the gradient of the whole batch?",
        measure="relative error",
        better="lower",
        right="one count",
        **collect(partial(_gradient_run, models=models, first=steps), DENOMINATORS, seeds),
    )


def _gradient_run(name: str, seed: int, *, models: dict[int, GPT], first: int) -> Run:
    """Compare the gradients of ten steps, which training would take next."""
    model = models[seed]
    pairs = []
    for step in range(first, first + 10):
        batches = micro_batches(step, seed=seed)
        ours = gradient(model, accumulated_loss(model, batches, per=DENOMINATORS[name]))
        pairs.append((ours, gradient(model, reduce(*language_losses(model, joined(batches))))))
    errors = [((ours - whole).norm() / whole.norm()).item() for ours, whole in pairs]
    cosine = mean(F.cosine_similarity(ours, whole, dim=0).item() for ours, whole in pairs)
    length = mean((ours.norm() / whole.norm()).item() for ours, whole in pairs)
    return Run(mean(errors), errors, f"cosine {cosine:.3f}, size {length:.3f}")


def gradient(model: nn.Module, loss: Tensor) -> Tensor:
    """The gradient of a loss with respect to all parameters, as one long vector.

    >>> model = nn.Linear(2, 1, bias=False)
    >>> gradient(model, model(torch.tensor([3.0, 4.0])).sum())
    tensor([3., 4.])
    """
    return torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(model.parameters()))])


def joined(batches: Sequence[Batch]) -> Batch:
    """Several batches as one, padded to the longest sentence of all.

    >>> joined(micro_batches(0, seed=0)).ids.shape
    torch.Size([32, 16])
    """
    words = [row[:n] for batch in batches for row, n in zip(batch.tokens, batch.lengths.tolist(), strict=True)]
    return batch_of_words(words, to_id=VOCABULARY.id)


def denominators(*, seeds: Sequence[int] = (0, 1, 2), steps: int = 160) -> Result:
    """What does a language model learn from micro-batches of short and of long sentences?

    Variants: as for `accumulated_gradients`. The same weights at first, the same micro-batches, the same tokens
    that count. Each step sees as many short sentences as long ones, so half of what the model writes should be
    short. By the mean of means a token of a short sentence weighs more, and with it the choice to be short:
    that is another goal, and more training does not mend it. So it is by sentences; by positions it is much the
    same, for each micro-batch is padded for itself.
    Measured: how far the share of short texts, among 400 that are written, is from one half.
    ``curves``: the loss in training, each by its own denominator: they cannot be compared, and the one over
    positions looks best. ``samples``: the share of short texts, and the mean length of all.
    Came out: one count is off by 0.05; the others by 0.23 to 0.27, and all of them write too many short texts.

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
    model, curve = trained_writer(name, seed=seed, steps=steps)
    begin = torch.full((TEXTS, 1), VOCABULARY.id(BOS))
    _, lengths = model.generate(begin, max_new_tokens=LONG + 2, stop=VOCABULARY.id(EOS), temperature=1.0, seed=seed)
    short = (lengths - 1 < (SHORT + LONG) / 2).float().mean().item()  # without [EOS]
    counted = f"{short:.0%} of the texts are short; a text has {lengths.float().mean() - 1:.1f} words."
    return Run(abs(short - 0.5), curve, counted)
