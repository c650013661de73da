"""A tiny language model that trains in seconds: its texts, and its training."""

from collections.abc import Callable
from functools import lru_cache

from torch import Tensor

from masklab import corpus
from masklab.corpus import VOCABULARY
from masklab.models import GPT
from masklab.text import Batch
from masklab.training import draws, rows, train

LR = 0.01  # of Adam, for all: so large that 150 steps are enough for a model this small
BATCH = 16  # sentences a step
MOST_WORDS = 7  # of a sentence in `texts`, which has two ends more


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
