"""What padding does where nobody masks it: to a state that is read, to a tagger, and to a denominator.

Each experiment's variants stand in one table or one line, and differ in nothing else.
"""

from collections.abc import Sequence
from copy import copy
from functools import lru_cache, partial
from statistics import mean
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masklab import corpus
from masklab.corpus import BOS, EOS, TAGS, TOPICS, VOCABULARY, Example
from masklab.experiments.causal import RATE, Run, collect, rows, tiny_gpt
from masklab.experiments.result import Result
from masklab.experiments.training import draws, train
from masklab.losses import next_token_labels, reduce, token_losses
from masklab.models import GPT, Classifier, Tagger
from masklab.text import PAD_ID, Batch, batch_of_words, word_positions

BATCH = 32  # sentences a step
PADDED_TO = 32  # a fixed length, as a `max_length` gives: the longest sentence has 14 words

# --- Sentences of one fixed length -----------------------------------------------------------------------------------


class Padded(NamedTuple):
    """Labelled sentences, padded on the right to a fixed length.

    Shapes: ``ids`` (n, L) int64; ``lengths`` (n,) int64; ``mask`` (n, L) bool, True = a word; ``tags`` (n, L)
    int64, where 0 is padding and the others are one more than in ``TAGS``; ``topics`` (n,) int64.
    """

    ids: Tensor
    lengths: Tensor
    mask: Tensor
    tags: Tensor
    topics: Tensor


def padded(examples: Sequence[Example], *, total: int) -> Padded:
    """Pad examples to ``total`` positions; padding gets a tag of its own, 0.

    Raises ValueError for a total that is less than the longest sentence.

    >>> two = padded(corpus.RUNNING[:2], total=6)
    >>> two.ids
    tensor([[5, 6, 7, 0, 0, 0],
            [5, 6, 7, 8, 0, 0]])
    >>> two.tags
    tensor([[ 5,  6, 11,  0,  0,  0],
            [ 5,  6, 11,  6,  0,  0]])
    """
    batch = corpus.batch(examples)
    more = (0, total - batch.ids.shape[1])
    tags = F.pad((batch.tags + 1).masked_fill(~batch.mask, 0), more)
    ids = F.pad(batch.ids, more, value=PAD_ID)
    return Padded(ids, batch.lengths, word_positions(batch.lengths, total=total), tags, batch.topics)


def picked(sentences: Padded, chosen: Sequence[int]) -> Padded:
    """Some of the sentences, in the order in which they are named.

    >>> picked(padded(corpus.RUNNING, total=5), [2, 0]).lengths
    tensor([5, 3])
    """
    return Padded(*(values[chosen] for values in sentences))


@lru_cache(maxsize=2)
def labelled(total: int) -> tuple[Padded, Padded]:
    """The corpus for training and for the test, with no text in both.

    >>> [len(sentences.ids) for sentences in labelled(14)]
    [3200, 800]
    """
    known, new = corpus.split(corpus.sentences(n=4000))
    return padded(known, total=total), padded(new, total=total)


# --- 1. Which state is read ------------------------------------------------------------------------------------------

READS = {  # how the state is read in training, and in the test
    "packed": ("packed", "packed"),
    "last word": ("last_valid", "last_valid"),
    "last step": ("last_step", "last_step"),
    "last step, pads are new": ("packed", "behind"),
}
MORE = (0, 5, 20)  # pads that a sentence has in the test, beside those that it had in training


def read_state(*, seeds: Sequence[int] = (0, 1, 2), steps: int = 150, padded_to: int = PADDED_TO) -> Result:
    """Which state of a GRU should tell the topic of a sentence?

    Variants (FACTS bugs 11 and 23): packed, so that no pad is read; the state after the last word; the state
    after the last step, pads included. For each, all sentences are padded on the right to one fixed length.
    In "last step, pads are new" the *training* is packed, as if each sentence were alone, and the test reads on
    through the pads: a model that never met padding is served in padded batches.
    The same weights at first, the same batches, the same steps. Packed and last word are the same computation.
    Measured: the accuracy on held-out sentences, with 20 more pads than in training.
    ``curves``: the accuracy with 0, 5 and 20 more pads. ``samples``: how many predictions these 20 change.

    A GRU can learn to carry its state over the pads, and that is what it does; it learns the topics later for it.
    With ``padded_to=14``, the longest sentence, or with three times the steps, little is left of the difference.
    The last variant stays worse: nobody taught that GRU to carry, and its vector of [PAD] is as random as at first.
    Raises ValueError for a ``padded_to`` below the longest sentence.

    >>> list(read_state(seeds=[0], steps=2).scores)
    ['packed', 'last word', 'last step', 'last step, pads are new']
    """
    known, _ = labelled(padded_to)
    models = {
        (read, seed): trained_classifier(known, read=read, seed=seed, steps=steps)
        for read in ("packed", "last_valid", "last_step")
        for seed in seeds
    }
    return Result(
        question="Which state of a GRU should tell the topic of a sentence?",
        measure=f"accuracy, {MORE[-1]} more pads",
        better="higher",
        right="packed",
        level=1 / len(TOPICS),
        level_name="guessing",
        **collect(partial(_read_run, models=models, padded_to=padded_to), READS, seeds),
    )


def _read_run(name: str, seed: int, *, models: dict[tuple[str, int], Classifier], padded_to: int) -> Run:
    """Test one model in one way, with more and more pads."""
    (read, read_in_test), (_, new) = READS[name], labelled(padded_to)
    topics = [predicted_topics(models[read, seed], new, read=read_in_test, more=more) for more in MORE]
    curve = [(found == new.topics).float().mean().item() for found in topics]
    changed = (topics[0] != topics[-1]).float().mean().item()
    return Run(curve[-1], curve, f"{MORE[-1]} more pads change {changed:.1%} of the predictions.")


def trained_classifier(sentences: Padded, *, read: str, seed: int, steps: int) -> Classifier:
    """A classifier that learned the topics of padded sentences; ``read`` as for `Classifier`."""
    model = Classifier(len(VOCABULARY), len(TOPICS), read=read, seed=seed)
    chosen = draws(range(len(sentences.ids)), size=BATCH, seed=seed)

    def loss_of(step: int) -> Tensor:
        batch = picked(sentences, chosen(step))
        return F.cross_entropy(model(batch.ids, batch.lengths), batch.topics)

    train(model, loss_of, steps=steps, rate=RATE)
    return model


@torch.no_grad()
def predicted_topics(model: Classifier, sentences: Padded, *, read: str, more: int) -> Tensor:
    """The topic that the model finds, (n,), when ``more`` pads are added on the right.

    ``read`` is as for `Classifier`, or "behind": the state after the last word and ``more`` pads, as if the
    longest sentence in the batch had so many more words. With ``more=0`` that is the last word.
    """
    ids = F.pad(sentences.ids, (0, more), value=PAD_ID)  # (n, L + more)
    reader = copy(model)  # the same weights
    reader.read = "last_valid" if read == "behind" else read
    lengths = sentences.lengths + more if read == "behind" else sentences.lengths
    return reader(ids, lengths).argmax(dim=-1)


# --- 2. The loss mask of a tagger ------------------------------------------------------------------------------------


def tag_loss_mask(*, seeds: Sequence[int] = (0, 1, 2), steps: int = 40, over: str = "words") -> Result:
    """What does a tagger lose that learns the tag of padding, too?

    Variants: with the mask, only words count in the loss; without it, padding is one more class, and the most
    common one. Both losses are means over what counts. The same weights at first, the same batches, the same
    steps; the GRU reads from left to right, so that a word never sees the pads behind it.
    Measured: the accuracy on held-out sentences, over words; or, with ``over="positions"``, over all positions,
    the number that misleads: without a mask it looks good before one word is right.
    ``curves``: the same on each batch in training, every tenth step.

    The model without a mask learns padding first and words later. It catches up: padding is soon known by its
    id, and with 150 steps little is left of the difference. The misleading number stays.
    Raises ValueError for another ``over``.

    >>> list(tag_loss_mask(seeds=[0], steps=2).scores)
    ['with mask', 'without mask']
    """
    if over not in ("words", "positions"):
        raise ValueError(f"over must be 'words' or 'positions', and is {over!r}.")
    _, new = labelled(PADDED_TO)
    return Result(
        question="What does a tagger lose that learns the tag of padding, too?",
        measure=f"accuracy over {over}",
        better="higher",
        right="with mask",
        level=most_common_tag_share(new, over=over),
        level_name="always the most common tag",
        **collect(partial(_tagger_run, steps=steps, over=over), ("with mask", "without mask"), seeds),
    )


def _tagger_run(name: str, seed: int, *, steps: int, over: str) -> Run:
    """Train with or without the mask, and look at words or at everything."""
    known, new = labelled(PADDED_TO)
    model = Tagger(len(VOCABULARY), 1 + len(TAGS), packed=False, seed=seed)
    chosen, curve = draws(range(len(known.ids)), size=BATCH, seed=seed), []

    def loss_of(step: int) -> Tensor:
        batch = picked(known, chosen(step))
        logits = model(batch.ids, batch.lengths)  # (B, L, tags)
        curve.append(accuracy(logits, batch, over=over))
        counts = batch.mask if name == "with mask" else torch.ones_like(batch.mask)
        return reduce(token_losses(logits, batch.tags, counts), counts)

    train(model, loss_of, steps=steps, rate=RATE)
    with torch.no_grad():
        return Run(accuracy(model(new.ids, new.lengths), new, over=over), curve[::10])


def accuracy(logits: Tensor, sentences: Padded, *, over: str) -> float:
    """The share of tags that are right, over the words or over all positions.

    >>> one = padded(corpus.RUNNING[:1], total=12)  # 3 words, 9 pads
    >>> only_padding = F.one_hot(torch.zeros(1, 12, dtype=torch.int64), 12)
    >>> accuracy(only_padding, one, over="words"), accuracy(only_padding, one, over="positions")
    (0.0, 0.75)
    """
    right = logits.argmax(dim=-1) == sentences.tags
    return (right[sentences.mask] if over == "words" else right).float().mean().item()


def most_common_tag_share(sentences: Padded, *, over: str) -> float:
    """The accuracy of a model that always gives the most common tag, padding included."""
    tags = sentences.tags[sentences.mask] if over == "words" else sentences.tags.flatten()
    return (tags.bincount().max() / len(tags)).item()


# --- 3. Denominators -------------------------------------------------------------------------------------------------


def token_weights(lengths: Tensor, *, per: str) -> Tensor:
    """How much the loss of each token weighs in a loss that `reduce` has made one number.

    It is the gradient of the number with respect to each loss: what the step of an optimizer feels.
    Shapes: ``lengths`` (B,) → (B, longest). ``per`` and errors: as for `reduce`. Source: FACTS bug 7.

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
    the logits differ all the same: a loss says nothing about its denominator. Source: FACTS bug 7.

    >>> print("{:.4f}, {:.4f}, cosine {:.3f}".format(*same_loss(torch.tensor([10, 2]), classes=7)))
    1.9459, 1.9459, cosine 0.745
    """
    mask = word_positions(lengths, total=int(lengths.max()))
    logits = torch.zeros(*mask.shape, classes, requires_grad=True)
    losses = token_losses(logits, torch.zeros_like(mask, dtype=torch.int64), mask)
    both = [reduce(losses, mask, per=per) for per in ("token", "sequence")]
    one, two = (torch.autograd.grad(loss, logits, retain_graph=True)[0].flatten() for loss in both)
    return both[0].item(), both[1].item(), F.cosine_similarity(one, two, dim=0).item()


DENOMINATORS = {  # of each micro-batch; the last two are then divided by the number of micro-batches
    "one count": "count",
    "mean of means": "token",
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
    return [rows(batch, draws(range(len(batch.ids)), size=BATCH // 2, seed=seed)(step)) for batch in short_and_long()]


def language_losses(model: GPT, batch: Batch) -> tuple[Tensor, Tensor]:
    """The loss of each next token, (B, L), and which of them count, (B, L)."""
    labels, supervised = next_token_labels(batch.ids, batch.mask)
    return token_losses(model(batch.ids), labels, supervised), supervised  # causal, so pads on the right are not seen


def accumulated_loss(model: GPT, batches: Sequence[Batch], *, per: str) -> Tensor:
    """The losses of all micro-batches added up, each by a denominator of `DENOMINATORS`.

    A loop that saves memory calls ``backward`` after each; its gradients add up to the gradient of this sum.
    """
    several = [language_losses(model, batch) for batch in batches]
    if per == "count":  # known before the first micro-batch is computed: it needs the labels only
        count = sum(int(counts.sum()) for _, counts in several)
        return sum(reduce(losses, counts, per="count", count=count) for losses, counts in several)
    return sum(reduce(losses, counts, per=per) for losses, counts in several) / len(several)


def trained_writer(name: str, *, seed: int, steps: int) -> tuple[GPT, list[float]]:
    """A GPT that learned from accumulated micro-batches, by one denominator, and the curve of its loss."""
    model, per = tiny_gpt(seed), DENOMINATORS[name]
    curve = train(
        model, lambda step: accumulated_loss(model, micro_batches(step, seed=seed), per=per), steps=steps, rate=RATE
    )
    return model, curve


def accumulated_gradients(*, seeds: Sequence[int] = (0, 1, 2), steps: int = 60) -> Result:
    """Is the gradient of accumulated micro-batches the gradient of the whole batch?

    Variants: each micro-batch divided by one count, the tokens of *all* of them; by its own tokens; by its own
    positions, pads included; the last two then averaged (FACTS bug 7). All are computed for one model a seed,
    that was trained rightly, and for the same ten batches it did not see.
    Measured: the relative error |g − g₀| / |g₀|, where g₀ comes from one padded batch and its mean over tokens.
    ``curves``: the error of each batch. ``samples``: the cosine of g and g₀, and |g| / |g₀|.

    >>> list(accumulated_gradients(seeds=[0], steps=2).scores)
    ['one count', 'mean of means', 'mean over positions']
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
    return Run(mean(errors), errors, f"cosine {cosine:.3f}, length {length:.3f}")


def gradient(model: nn.Module, loss: Tensor) -> Tensor:
    """The gradient of a loss with respect to all parameters, as one long vector."""
    return torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(model.parameters()))])


def joined(batches: Sequence[Batch]) -> Batch:
    """Several batches as one, padded to the longest sentence of all.

    >>> joined(micro_batches(0, seed=0)).ids.shape
    torch.Size([32, 16])
    """
    words = [row[:n] for batch in batches for row, n in zip(batch.tokens, batch.lengths.tolist(), strict=True)]
    return batch_of_words(words, to_id=VOCABULARY.id)


def denominators(*, seeds: Sequence[int] = (0, 1, 2), steps: int = 100) -> Result:
    """What does a language model learn from micro-batches of short and of long sentences?

    Variants: as for `accumulated_gradients`. The same weights at first, the same micro-batches, the same tokens
    that count. Each step sees as many short sentences as long ones, so half of what the model writes should be
    short. By the mean of means a token of a short sentence weighs more, and with it the choice to be short:
    that is another goal, and more training does not mend it. By positions it is much the same, for each
    micro-batch is padded for itself.
    Measured: how far the share of short texts, among 400 that are written, is from one half.
    ``curves``: the loss in training, each by its own denominator: they cannot be compared, and the one over
    positions looks best. ``samples``: the share of short texts, and the mean length of all.

    >>> list(denominators(seeds=[0], steps=2).scores)
    ['one count', 'mean of means', 'mean over positions']
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
    _, lengths = model.generate(begin, new=LONG + 2, stop=VOCABULARY.id(EOS), temperature=1.0, seed=seed)
    short = (lengths - 1 < (SHORT + LONG) / 2).float().mean().item()  # without [EOS]
    counted = f"{short:.0%} of the texts are short; a text has {lengths.float().mean() - 1:.1f} words."
    return Run(abs(short - 0.5), curve, counted)
