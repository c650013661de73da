"""A tiny language model: its texts, its training, its loss, and how it writes. Several experiments share it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from masklab import corpus, masks
from masklab.corpus import BOS, EOS, VOCABULARY
from masklab.losses import next_token_labels, reduce, token_losses
from masklab.models import GPT
from masklab.models.gpt import choose
from masklab.text import Batch, batch_of_words
from masklab.training import draws, train

LR = 0.01  # of Adam, for all: so large that 150 steps are enough for a model this small
BATCH = 16  # sentences a step


@lru_cache(maxsize=1)
def sentences() -> tuple[corpus.Example, ...]:
    """What the grammar says: so many sentences, short and long, that no model here can learn them by heart.

    >>> len(sentences()), sentences()[0].text
    (12000, 'The cat ate')
    """
    return tuple(corpus.sentences(n=12_000))


@lru_cache(maxsize=1)
def texts() -> tuple[Batch, Batch]:
    """The corpus's sentences of 2 to 7 words, each between [BOS] and [EOS]: (train, held-out), no text in both.

    >>> train_texts, held_out = texts()
    >>> train_texts.tokens[0][-1], train_texts.ids.shape[1]
    ('[PAD]', 9)
    """
    short = [example for example in sentences() if len(example.words) <= 7]
    first, second = (
        batch_of_words([[BOS, *example.words, EOS] for example in part], to_id=VOCABULARY.id)
        for part in corpus.split(short)
    )
    return first, second


def rows(batch: Batch, chosen: Sequence[int]) -> Batch:
    """Some rows of a batch, in the order in which they are named.

    >>> rows(batch_of_words([["The", "cat"], ["Cats"]]), [1]).tokens
    (('Cats', '[PAD]'),)
    """
    tokens = tuple(batch.tokens[i] for i in chosen)
    return replace(batch, tokens=tokens, ids=batch.ids[chosen], lengths=batch.lengths[chosen])


def tiny_gpt(seed: int, *, max_len: int = 16) -> GPT:
    """One block, 32 wide: enough to learn which word follows which.

    >>> tiny_gpt(0)(torch.tensor([[3, 6, 7]])).shape[-1] == len(VOCABULARY)
    True
    """
    return GPT(len(VOCABULARY), dim=32, layers=1, max_len=max_len, seed=seed)


def fit(model: GPT, loss_of: Callable[[Batch], Tensor], *, seed: int, steps: int) -> list[float]:
    """Train on batches of `texts`, the same for every variant of a seed, and give the curve of the loss.

    >>> len(fit(tiny_gpt(0), lambda batch: torch.ones((), requires_grad=True), seed=0, steps=20))
    2
    """
    train_texts, _ = texts()
    chosen = draws(range(len(train_texts.ids)), size=BATCH, seed=seed)
    return train(model, lambda step: loss_of(rows(train_texts, chosen(step))), steps=steps, lr=LR)


def next_token_loss(logits: Tensor, ids: Tensor, word: Tensor) -> Tensor:
    """The mean loss of the next token, over all tokens that have one; ``word`` is False at pads.

    Shapes: ``logits`` (B, L, V), ``ids`` int64 and ``word`` bool (B, L) → a scalar.

    >>> ids = torch.tensor([[3, 4, 0]])
    >>> sure = 50.0 * torch.eye(9)[[4, 7, 7]][None]  # at the 3 it says 4; nothing else is asked
    >>> next_token_loss(sure, ids, ids > 0)
    tensor(0.)
    """
    labels, supervised = next_token_labels(ids, word)
    return reduce(token_losses(logits, labels, supervised), supervised)


def language_loss(model: GPT, batch: Batch, rule: masks.Rule) -> Tensor:
    """The mean loss of the next token, when all positions are computed at once, as in training.

    Pads are never seen, whatever the rule: a model that sees them knows how long the sentence is.

    >>> 5 < language_loss(tiny_gpt(0), texts()[1], masks.causal()) < 7  # untrained, about ln V = 5.98
    tensor(True)
    """
    length = batch.ids.shape[1]
    mask = rule.tensor(queries=length, keys=length) & batch.is_word[:, None, None, :]  # (B, 1, L, L)
    return next_token_loss(model(batch.ids, mask), batch.ids, batch.is_word)


def next_logits(model: GPT, ids: Tensor, rule: masks.Rule) -> Tensor:
    """The logits of the token after the last one, (B, V), from what is there and nothing else.

    >>> next_logits(tiny_gpt(0), torch.tensor([[3, 6, 7]]), masks.causal()).shape[0]
    1
    """
    length = ids.shape[1]
    return model(ids, rule.tensor(queries=length, keys=length))[:, -1]


@torch.no_grad()
def write(
    logits_of: Callable[[Tensor], Tensor], ids: Tensor, *, max_new_tokens: int, temperature: float = 0.0, seed: int = 0
) -> Tensor:
    """Write ``max_new_tokens`` tokens after each prompt, from left to right: each is chosen before the next one exists.

    The slow way, without a cache, so that it fits every mask: see `GPT.generate`.
    Shapes: ``ids`` (B, L); ``logits_of`` gets all that is written so far, (B, L+n), and gives (B, V)
    → (B, max_new_tokens).

    >>> count = lambda ids: torch.eye(9)[ids[:, -1] + 1]  # after 3 comes 4
    >>> write(count, torch.tensor([[3], [5]]), max_new_tokens=3)
    tensor([[4, 5, 6],
            [6, 7, 8]])
    """
    generator = torch.Generator().manual_seed(seed)
    prompt = ids.shape[1]
    for _ in range(max_new_tokens):
        chosen = choose(logits_of(ids), temperature=temperature, generator=generator)  # (B,)
        ids = torch.cat([ids, chosen[:, None]], dim=1)
    return ids[:, prompt:]


def until_end(ids: Tensor) -> list[list[str]]:
    """The words of each row, up to its first [EOS].

    >>> until_end(torch.tensor([VOCABULARY.encode(["Cats", "purr", "[EOS]", "purr"])]))
    [['Cats', 'purr', '[EOS]']]
    """
    words = [VOCABULARY.decode(row) for row in ids]
    return [row[: row.index(EOS) + 1] if EOS in row else row for row in words]
