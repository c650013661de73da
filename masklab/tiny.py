"""Tiny models that train in seconds: a language model, a classifier, a tagger, an encoder; their texts and training."""

from collections.abc import Callable
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from masklab import corpus
from masklab.corpus import MASK, SPECIALS, TAGS, TOPICS, VOCABULARY, LabelledBatch
from masklab.corruption import BERT_SHARES, bert
from masklab.models import GPT, Classifier, Encoder, Tagger
from masklab.models.private import seeded
from masklab.text import PAD, PAD_ID, Batch
from masklab.training import draws, rows, train

LR = 0.01  # of Adam, for a language model: so large that 150 steps are enough for a model this small
BATCH = 16  # sentences a step
STATE = 8  # numbers of a classifier: so few that a lab can show them all
CLASSIFIER_LR, CLASSIFIER_BATCH = 0.03, 32  # so small a state learns more slowly
TAGGER_LR, TAGGER_BATCH = 0.01, 32
TAGGER_LENGTH = 32  # positions of each sentence, most of them padding
TAG_LABELS = (PAD, *TAGS)  # a tagger's classes: what follows a sentence may be a tag of its own
ENCODER_LR, ENCODER_BATCH = 0.005, 64  # few words of a sentence are learned from, so it takes more sentences
MOST_WORDS = 7  # of a sentence in `texts`, which has two ends more
MLM_WORDS = 9  # of a sentence in `mlm_texts`
WORD_IDS = range(len(SPECIALS), len(VOCABULARY))  # what a random word is drawn from


@lru_cache(maxsize=1)
def sentences() -> tuple[corpus.Example, ...]:
    """Short and long sentences of the grammar, so many that no model here can learn them by heart.

    >>> len(sentences()), sentences()[0].text
    (12000, 'The cat ate')
    """
    return tuple(corpus.sentences(n=12_000))


@lru_cache(maxsize=1)
def texts() -> tuple[Batch, Batch]:
    """The sentences of 2 to 7 words, each between [BOS] and [EOS]: (train, held-out), with no text in both.

    >>> train_texts, held_out = texts()
    >>> train_texts.tokens[0][-1], train_texts.ids.shape[1]
    ('[PAD]', 9)
    """
    known, new = corpus.split(example for example in sentences() if len(example.words) <= MOST_WORDS)
    return corpus.with_ends(known), corpus.with_ends(new)


def tiny_gpt(seed: int, *, heads: int = 2, max_len: int = 16) -> GPT:
    """One block, 32 wide: enough to learn which word follows which.

    >>> tiny_gpt(0)(texts()[1].ids[:2]).shape[-1] == len(VOCABULARY)
    True
    """
    return GPT(len(VOCABULARY), dim=32, heads=heads, layers=1, max_len=max_len, seed=seed)


def fit(
    model: GPT, loss_of: Callable[[Batch], Tensor], *, seed: int, steps: int, progress: bool = False
) -> list[float]:
    """Train on batches of `texts`, the same for every variant of a seed; return the curve of the loss.

    ``progress`` shows a bar under the cell of a notebook.

    >>> model = tiny_gpt(0)
    >>> len(fit(model, lambda batch: model(batch.ids).logsumexp(dim=-1).mean(), seed=0, steps=20))
    2
    """
    train_texts, _ = texts()
    chosen = draws(range(len(train_texts.ids)), size=BATCH, seed=seed)
    return train(model, lambda step: loss_of(rows(train_texts, chosen(step))), steps=steps, lr=LR, progress=progress)


# --- A classifier of topics ------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def topics() -> tuple[LabelledBatch, LabelledBatch]:
    """Sentences with their topics, all padded on the right: (train, held-out), with no text in both.

    >>> known, new = topics()
    >>> known.ids.shape, new.ids.shape, TOPICS[known.topics[0]]
    (torch.Size([3200, 14]), torch.Size([800, 14]), 'BEHAVIOR')
    """
    known, new = corpus.split(corpus.sentences(n=4000))
    return corpus.batch(known), corpus.batch(new)


def tiny_classifier(seed: int, *, bidirectional: bool = False, read: str = "packed") -> Classifier:
    """A GRU whose state has so few numbers that all can be shown; ``read`` as for `Classifier`.

    Two directions share the numbers, half of them each, so that both kinds have a state of the same size.
    Raises ValueError for an unknown ``read``.

    >>> _, new = topics()
    >>> tiny_classifier(0)(new.ids[:2], new.lengths[:2]).shape
    torch.Size([2, 4])
    """
    dim = STATE // 2 if bidirectional else STATE
    return Classifier(len(VOCABULARY), len(TOPICS), dim=dim, bidirectional=bidirectional, read=read, seed=seed)


def fit_classifier(
    model: Classifier, *, seed: int, steps: int = 500, more_pads: int = 0, progress: bool = False
) -> list[float]:
    """Train on batches of `topics`, the same for every variant of a seed; return the curve of the loss.

    500 steps take a second or two. ``more_pads`` follow each sentence. ``progress`` shows a bar under the cell of a
    notebook.

    >>> len(fit_classifier(tiny_classifier(0), seed=0, steps=20))
    2
    """
    known, _ = topics()
    chosen = draws(range(len(known.ids)), size=CLASSIFIER_BATCH, seed=seed)

    def loss_of(step: int) -> Tensor:
        batch = rows(known, chosen(step))
        ids = F.pad(batch.ids, (0, more_pads), value=PAD_ID)
        return F.cross_entropy(model(ids, batch.lengths), batch.topics)

    return train(model, loss_of, steps=steps, lr=CLASSIFIER_LR, progress=progress)


# --- A tagger --------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def tag_texts() -> tuple[LabelledBatch, LabelledBatch]:
    """The sentences of `topics`, padded on the right to one length for all: (train, held-out).

    >>> known, new = tag_texts()
    >>> known.ids.shape, round((~known.is_word).float().mean().item(), 2)
    (torch.Size([3200, 32]), 0.72)
    """
    known, new = corpus.split(corpus.sentences(n=4000))
    return corpus.padded(known, total=TAGGER_LENGTH), corpus.padded(new, total=TAGGER_LENGTH)


def tiny_tagger(seed: int) -> Tagger:
    """A GRU that reads every position, pads too, with a logit for each of `TAG_LABELS`.

    >>> _, new = tag_texts()
    >>> tiny_tagger(0)(new.ids[:2], new.lengths[:2]).shape
    torch.Size([2, 32, 12])
    """
    return Tagger(len(VOCABULARY), len(TAG_LABELS), packed=False, seed=seed)


def fit_tagger(
    model: Tagger, *, seed: int, at_pads: int = -100, steps: int = 40, progress: bool = False
) -> list[float]:
    """Train on batches of `tag_texts`, the same for every variant of a seed; return the curve of the loss.

    ``at_pads`` is the label at the padding: −100, which is left out of the loss, or 0, a tag like any other.
    40 steps take less than a second. ``progress`` shows a bar under the cell of a notebook.

    >>> len(fit_tagger(tiny_tagger(0), seed=0, steps=20))
    2
    """
    known, _ = tag_texts()
    chosen = draws(range(len(known.ids)), size=TAGGER_BATCH, seed=seed)

    def loss_of(step: int) -> Tensor:
        batch = rows(known, chosen(step))
        labels = (batch.tags + 1).masked_fill(~batch.is_word, at_pads)
        return F.cross_entropy(model(batch.ids, batch.lengths).transpose(1, 2), labels, ignore_index=-100)

    return train(model, loss_of, steps=steps, lr=TAGGER_LR, progress=progress)


# --- An encoder that restores hidden words ---------------------------------------------------------------------------


@lru_cache(maxsize=1)
def mlm_texts() -> tuple[LabelledBatch, LabelledBatch]:
    """The sentences of 2 to 9 words, padded on the right: (train, held-out), with no text in both.

    >>> known, new = mlm_texts()
    >>> known.ids.shape, new.ids.shape
    (torch.Size([5286, 9]), torch.Size([1321, 9]))
    """
    known, new = corpus.split(example for example in sentences() if len(example.words) <= MLM_WORDS)
    return corpus.batch(known), corpus.batch(new)


def tiny_encoder(seed: int, *, max_len: int = 16) -> Encoder:
    """One block, 48 wide, with a logit for each token of the vocabulary: what does it read, or what is hidden here?

    Its embeddings start with a spread of 0.2, as BERT's do with 0.02: torch's own spread of 1 takes long to unlearn.

    >>> model = tiny_encoder(0)
    >>> bool(model.embed.token.weight.std() < 0.21), model.head.out_features == len(VOCABULARY)
    (True, True)
    """
    model = Encoder(len(VOCABULARY), len(VOCABULARY), dim=48, heads=4, layers=1, max_len=max_len, seed=seed)
    with torch.no_grad():
        for table in (model.embed.token, model.embed.position):
            table.weight.mul_(0.2)
    return model


def fit_encoder(
    model: Encoder,
    *,
    seed: int,
    steps: int = 600,
    probability: float = 0.15,
    shares: tuple[float, float, float] = BERT_SHARES,
    progress: bool = False,
) -> list[float]:
    """Let it restore words of `mlm_texts`, corrupted anew in each step as `bert` does; return the curve of the loss.

    The loss is the mean over the chosen words, so their number does not scale it. All variants of a seed read the
    same sentences in the same order, and share their draws: what is chosen at 15 % is also chosen at 40 %.
    600 steps take two or three seconds. ``progress`` shows a bar under the cell of a notebook.

    >>> losses = fit_encoder(tiny_encoder(0), seed=0, steps=2)
    >>> len(losses), 5 < losses[0] < 7  # it starts near ln 394 = 5.98, as a guess
    (1, True)
    """
    known, _ = mlm_texts()
    drawn = draws(range(len(known.ids)), size=ENCODER_BATCH, seed=seed)

    def loss_of(step: int) -> Tensor:
        batch = rows(known, drawn(step))
        new = bert(
            batch.ids, batch.is_word, mask_id=VOCABULARY.id(MASK), random_ids=WORD_IDS, probability=probability,
            shares=shares, generator=seeded(1_000_003 * seed + step),
        )  # fmt: skip
        x = model.features(new.ids, batch.is_word[:, None, None, :])[new.chosen]  # (N, dim): others need no logits
        return F.cross_entropy(model.head(x), new.labels[new.chosen])

    return train(model, loss_of, steps=steps, lr=ENCODER_LR, progress=progress)
