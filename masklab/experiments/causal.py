"""Language models: who sees the future, and which word is the label.

Every experiment trains the same tiny GPT; its variants differ in one entry of the table above it.
"""

import math
from collections.abc import Sequence
from functools import lru_cache, partial
from itertools import pairwise

import torch
from torch import Tensor

from masklab import masks
from masklab.corpus import BOS, EOS, VOCABULARY, until_end
from masklab.losses import next_token_labels, reduce, shift_left, token_losses
from masklab.models import GPT, language_loss, left_to_right_loss, next_logits, write
from masklab.text import Batch
from masklab.tiny import fit, sentences, texts, tiny_gpt
from masklab.training import Result, Run, collect

# --- 1. The causal mask ----------------------------------------------------------------------------------------------

RULES = {
    "causal": masks.causal(),
    "one token too far": masks.causal(offset=1),  # the bug triu(…, diagonal=2)
    "no mask": masks.everything(),
}


def causal_mask(*, seeds: Sequence[int] = (0, 1, 2), steps: int = 150) -> Result:
    """Can a model that sees the future in training still write?

    Variants: the causal mask, one that ends one token too late, as `triu(…, diagonal=2)` does, and none. The same
    first weights, batches and supervised tokens; pads are never seen.
    Measured: the loss of held-out text from left to right, where no future exists yet. Each model keeps the mask
    that it was trained with. ``curves``: the loss in training, too good for the two that cheat, which end up worse
    than guessing. ``samples``: what each model writes.

    >>> list(causal_mask(seeds=[0], steps=2).scores)
    ['causal', 'one token too far', 'no mask']
    """
    return Result(
        question="Can a model that sees the future in training still write?",
        measure="held-out loss, left to right",
        better="lower",
        right="causal",
        level=math.log(len(VOCABULARY)),
        level_name="guessing (ln V)",
        **collect(partial(_causal_run, steps=steps), RULES, seeds),
    )


def _causal_run(name: str, seed: int, *, steps: int) -> Run:
    """Train under one rule; then read and write under it, without a future."""
    model, rule, (_, held_out) = tiny_gpt(seed), RULES[name], texts()
    curve = fit(model, lambda batch: language_loss(model, batch, rule), seed=seed, steps=steps)
    score = left_to_right_loss(model, held_out, rule)
    written = until_end(written_texts(model, rule, count=100, seed=seed))
    known = f"{known_pairs(written):.0%} of the word pairs in 100 such texts are in the corpus."
    return Run(score, curve, "\n".join([*(" ".join(words) for words in written[:3]), known]))


def written_texts(model: GPT, rule: masks.Rule, *, count: int, seed: int) -> Tensor:
    """Texts of 8 tokens that a model writes after [BOS], (count, 8), a little more surely than it would.

    >>> written_texts(tiny_gpt(0), masks.causal(), count=3, seed=0).shape
    torch.Size([3, 8])
    """
    begin = torch.full((count, 1), VOCABULARY.id(BOS))
    return write(lambda ids: next_logits(model, ids, rule), begin, max_new_tokens=8, temperature=0.7, seed=seed)


def known_pairs(written: Sequence[Sequence[str]]) -> float:
    """The share of neighboring words that are also neighbors somewhere in the corpus; [BOS] and [EOS] count.

    >>> known_pairs([["The", "cat", "ate", "[EOS]"]]), known_pairs([["The", "ate", "pond", "pond"]])
    (1.0, 0.25)
    """
    pairs = [pair for words in written for pair in pairwise([BOS, *words])]
    return sum(pair in _corpus_pairs() for pair in pairs) / len(pairs)


@lru_cache(maxsize=1)
def _corpus_pairs() -> frozenset[tuple[str, str]]:
    """All neighbors in the corpus."""
    return frozenset(pair for example in sentences() for pair in pairwise([BOS, *example.words, EOS]))


# --- 2. The label shift ----------------------------------------------------------------------------------------------

SHIFTS = {"shifted once": 1, "not shifted": 0, "shifted twice": 2}


def label_shift(*, seeds: Sequence[int] = (0, 1, 2), steps: int = 150) -> Result:
    """Which word should be the label of a word: the next one, the word itself, or the next but one?

    Variants: labels shifted once, not at all, and twice, as when both the data and the model shift. The same first
    weights, batches and causal mask. After two shifts the last position has no label and is left out.
    Measured: how often the model's first choice is the next word, in held-out text. ``curves``: the loss in training,
    which gives no warning: without a shift it is the lowest. ``samples``: what each writes after "The cat".

    >>> list(label_shift(seeds=[0], steps=2).scores)
    ['shifted once', 'not shifted', 'shifted twice']
    """
    return Result(
        question="How often should the labels be shifted?",
        measure="next word right",
        better="higher",
        right="shifted once",
        level=most_common_share(texts()[1]),
        level_name="always the most common",
        **collect(partial(_shift_run, steps=steps), SHIFTS, seeds),
    )


def _shift_run(name: str, seed: int, *, steps: int) -> Run:
    """Train on shifted labels, and ask for the next word."""
    model, (_, held_out) = tiny_gpt(seed), texts()
    curve = fit(model, lambda batch: shifted_loss(model, batch, SHIFTS[name]), seed=seed, steps=steps)
    prompt = torch.tensor([VOCABULARY.encode([BOS, "The", "cat"])])
    written = write(lambda ids: next_logits(model, ids, masks.causal()), prompt, max_new_tokens=6)
    return Run(next_word_accuracy(model, held_out), curve, " ".join(["The cat", *until_end(written)[0]]))


def shifted_labels(batch: Batch, shift: int) -> tuple[Tensor, Tensor]:
    """Labels shifted 0, 1 or 2 times, and the positions that have one: (B, L) each.

    >>> from masklab.text import batch_of_words
    >>> two = batch_of_words([["[BOS]", "Cats", "purr", "[EOS]"]], to_id=VOCABULARY.id)
    >>> for shift in (0, 1, 2):
    ...     labels, supervised = shifted_labels(two, shift)
    ...     print(VOCABULARY.decode(labels[supervised]))
    ['[BOS]', 'Cats', 'purr']
    ['Cats', 'purr', '[EOS]']
    ['purr', '[EOS]']
    """
    once, supervised = next_token_labels(batch.ids, batch.is_word)
    if shift == 2:
        return shift_left(once), shift_left(supervised)
    return (once if shift else batch.ids), supervised


def shifted_loss(model: GPT, batch: Batch, shift: int) -> Tensor:
    """The mean loss of labels shifted 0, 1 or 2 times, under the causal mask.

    >>> (_, held_out), model = texts(), tiny_gpt(0)
    >>> torch.allclose(shifted_loss(model, held_out, 1), language_loss(model, held_out, masks.causal()))
    True
    """
    labels, supervised = shifted_labels(batch, shift)
    return reduce(token_losses(model(batch.ids), labels, supervised), supervised)


@torch.no_grad()
def next_word_accuracy(model: GPT, batch: Batch) -> float:
    """How often the most likely token is the next one, whatever was trained.

    >>> from masklab.text import batch_of_words
    >>> two = batch_of_words([["[BOS]", "Cats", "purr", "[EOS]"]], to_id=VOCABULARY.id)
    >>> looks_ahead = lambda ids: torch.nn.functional.one_hot(ids.roll(-1, dims=1))
    >>> next_word_accuracy(looks_ahead, two)
    1.0
    """
    labels, supervised = next_token_labels(batch.ids, batch.is_word)
    return (model(batch.ids).argmax(dim=-1) == labels)[supervised].float().mean().item()


def most_common_share(batch: Batch) -> float:
    """How often the next token is the most common one: the accuracy of a model that looks at nothing.

    >>> from masklab.text import batch_of_words
    >>> most_common_share(batch_of_words([["a", "bb", "bb", "a"]], to_id=len))  # bb, bb and a are predicted
    0.6666666865348816
    """
    labels, supervised = next_token_labels(batch.ids, batch.is_word)
    counts = labels[supervised].bincount()
    return (counts.max() / counts.sum()).item()
