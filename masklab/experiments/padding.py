"""What padding does where nobody masks it: to a state that is read, and to a tagger.

The variants of an experiment are listed in one dictionary or tuple; everything else is the same for all.
"""

from collections.abc import Sequence
from copy import copy
from functools import lru_cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from masklab import corpus, validate
from masklab.corpus import TAGS, TOPICS, VOCABULARY, LabelledBatch
from masklab.losses import reduce, token_losses
from masklab.models import Classifier, Tagger
from masklab.text import PAD_ID
from masklab.tiny import LR
from masklab.training import Result, Run, collect, draws, rows, train

BATCH = 32  # sentences a step
PADDED_TO = 32  # a fixed length, as `max_length` gives: the longest sentence has 14 words


@lru_cache(maxsize=2)
def labelled(total: int) -> tuple[LabelledBatch, LabelledBatch]:
    """The corpus for training and for the test, with no text in both.

    >>> [len(sentences.ids) for sentences in labelled(14)]
    [3200, 800]
    """
    known, new = corpus.split(corpus.sentences(n=4000))
    return corpus.padded(known, total=total), corpus.padded(new, total=total)


# --- 1. Which state is read ------------------------------------------------------------------------------------------

READS = {  # how the state is read in training, and in the test
    "packed": ("packed", "packed"),
    "last word": ("last_valid", "last_valid"),
    "last step": ("last_step", "last_step"),
    "last step, pads are new": ("packed", "behind"),
}
MORE = (0, 5, 20)  # pads that a sentence has in the test, beyond those that it had in training


def read_state(*, seeds: Sequence[int] = (0, 1, 2), steps: int = 150, padded_to: int = PADDED_TO) -> Result:
    """Which state of a GRU should tell the topic of a sentence?

    Variants: packed, so that no pad is read; the state after the last word; the state after the last step, pads
    included. All sentences are padded on the right to one fixed length.
    In "last step, pads are new" the *training* is packed, as if each sentence were alone, and the test reads on
    through the pads: a model that never met padding is served in padded batches.
    The same first weights, batches and steps. Packed and last word are the same computation.
    Measured: the accuracy on held-out sentences, with 20 more pads than in training.
    ``curves``: the accuracy with 0, 5 and 20 more pads. ``samples``: how many predictions these 20 change.

    Reading the last step learns the topics later, since it must also learn to carry its state over the pads. It does
    learn that: with ``padded_to=14``, the longest sentence, or with three times the steps, little of the difference
    is left. A GRU that never met pads was not taught to carry, and its vector of [PAD] is as random as at first.
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


def trained_classifier(sentences: LabelledBatch, *, read: str, seed: int, steps: int) -> Classifier:
    """A classifier that learned the topics of padded sentences; ``read`` as for `Classifier`.

    >>> known, _ = labelled(14)
    >>> trained_classifier(known, read="packed", seed=0, steps=1).read
    'packed'
    """
    model = Classifier(len(VOCABULARY), len(TOPICS), read=read, seed=seed)
    chosen = draws(range(len(sentences.ids)), size=BATCH, seed=seed)

    def loss_of(step: int) -> Tensor:
        batch = rows(sentences, chosen(step))
        return F.cross_entropy(model(batch.ids, batch.lengths), batch.topics)

    train(model, loss_of, steps=steps, lr=LR)
    return model


@torch.no_grad()
def predicted_topics(model: Classifier, sentences: LabelledBatch, *, read: str, more: int) -> Tensor:
    """The topic that the model finds, (n,), when ``more`` pads are added on the right.

    ``read`` is as for `Classifier`, or "behind": the state after the last word and ``more`` pads, as if the
    longest sentence in the batch were that much longer. With ``more=0`` that is the last word.

    >>> known, new = labelled(14)
    >>> predicted_topics(trained_classifier(known, read="packed", seed=0, steps=1), new, read="packed", more=5).shape
    torch.Size([800])
    """
    ids = F.pad(sentences.ids, (0, more), value=PAD_ID)  # (n, L + more)
    reader = copy(model)  # the same weights
    reader.read = "last_valid" if read == "behind" else read
    lengths = sentences.lengths + more if read == "behind" else sentences.lengths
    return reader(ids, lengths).argmax(dim=-1)


# --- 2. The loss mask of a tagger ------------------------------------------------------------------------------------


def tag_loss_mask(*, seeds: Sequence[int] = (0, 1, 2), steps: int = 40, over: str = "words") -> Result:
    """What does a tagger lose that also learns the tag of padding?

    Variants: with the mask, only words count in the loss; without it, padding is one more class, and the most
    common one. Both losses are means over what counts. The same first weights, batches and steps; the GRU reads from
    left to right, so a word never sees the pads after it.
    Measured: the accuracy on held-out sentences, over words; or, with ``over="positions"``, over all positions,
    the number that misleads: without a mask it looks good before one word is right.
    ``curves``: the same on every tenth batch in training.

    Without the mask, words are only about a quarter of what the mean counts: the model learns padding first, and
    words later. Given time, it catches up.
    Raises ValueError for another ``over``.

    >>> list(tag_loss_mask(seeds=[0], steps=2).scores)
    ['with mask', 'without mask']
    """
    validate.one_of(("words", "positions"), over=over)
    _, new = labelled(PADDED_TO)
    return Result(
        question="What does a tagger lose that also learns the tag of padding?",
        measure=f"accuracy over {over}" + (" (misleads)" if over == "positions" else ""),
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
        batch = rows(known, chosen(step))
        logits = model(batch.ids, batch.lengths)  # (B, L, tags)
        if step % 10 == 0:
            curve.append(accuracy(logits, batch, over=over))
        counts = batch.is_word if name == "with mask" else torch.ones_like(batch.is_word)
        return reduce(token_losses(logits, tags_and_padding(batch), counts), counts)

    train(model, loss_of, steps=steps, lr=LR)
    with torch.no_grad():
        return Run(accuracy(model(new.ids, new.lengths), new, over=over), curve)


def tags_and_padding(sentences: LabelledBatch) -> Tensor:
    """The tag of each position, one more than in ``TAGS``: padding has the tag 0. Shape: (n, L) int64.

    >>> tags_and_padding(corpus.padded(corpus.RUNNING[:2], total=6))
    tensor([[ 5,  6, 11,  0,  0,  0],
            [ 5,  6, 11,  6,  0,  0]])
    """
    return (sentences.tags + 1).masked_fill(~sentences.is_word, 0)


def accuracy(logits: Tensor, sentences: LabelledBatch, *, over: str) -> float:
    """The share of tags that are right, over the words or over all positions.

    >>> one = corpus.padded(corpus.RUNNING[:1], total=12)  # 3 words, 9 pads
    >>> only_padding = F.one_hot(torch.zeros(1, 12, dtype=torch.int64), 12)
    >>> accuracy(only_padding, one, over="words"), accuracy(only_padding, one, over="positions")
    (0.0, 0.75)
    """
    right = logits.argmax(dim=-1) == tags_and_padding(sentences)
    return (right[sentences.is_word] if over == "words" else right).float().mean().item()


def most_common_tag_share(sentences: LabelledBatch, *, over: str) -> float:
    """The accuracy of a model that always gives the most common tag, padding included.

    >>> sentences = corpus.padded(corpus.RUNNING, total=10)  # 12 words, 6 of them nouns, and 18 pads
    >>> most_common_tag_share(sentences, over="words"), most_common_tag_share(sentences, over="positions")
    (0.5, 0.6000000238418579)
    """
    tags = tags_and_padding(sentences)
    tags = tags[sentences.is_word] if over == "words" else tags.flatten()
    return (tags.bincount().max() / len(tags)).item()
