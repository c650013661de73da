"""What a language model is asked: its losses all at once and word by word, and texts under any mask."""

from collections.abc import Callable

import torch
from torch import Tensor

from masklab import masks
from masklab.losses import next_token_labels, reduce, token_losses
from masklab.models.embeddings import positions_of
from masklab.models.gpt import GPT
from masklab.models.private import seeded
from masklab.models.sampling import choose
from masklab.text import Batch


def next_token_loss(logits: Tensor, ids: Tensor, is_word: Tensor) -> Tensor:
    """The mean loss of the next token, over all tokens that have one.

    Shapes: ``logits`` (B, L, V), ``ids`` int64 and ``is_word`` bool (B, L) → a scalar.

    >>> ids = torch.tensor([[3, 4, 0]])
    >>> sure = 50.0 * torch.eye(9)[[4, 7, 7]][None]  # after the 3 it expects a 4; nothing else is asked
    >>> next_token_loss(sure, ids, ids > 0)
    tensor(0.)
    """
    labels, supervised = next_token_labels(ids, is_word)
    return reduce(token_losses(logits, labels, supervised), supervised)


def language_loss(model: GPT, batch: Batch, rule: masks.Rule) -> Tensor:
    """The mean loss of the next token with all positions computed at once, as in training.

    Pads are never seen, whatever the rule: a model that saw them would know how long the sentence is. They may be
    on either side.

    >>> from masklab.text import make_batch
    >>> language_loss(GPT(30_522), make_batch(["The cat ate", "The cat"]), masks.causal()).shape
    torch.Size([])
    """
    length = batch.ids.shape[1]
    allowed = rule.tensor(queries=length, keys=length, device=batch.ids.device)  # (1, 1, L, L)
    mask = allowed & batch.is_word[:, None, None, :]  # (B, 1, L, L)
    logits = model(batch.ids, mask, positions=positions_of(batch.is_word))  # (B, L, V)
    return next_token_loss(logits, batch.ids, batch.is_word)


@torch.no_grad()
def left_to_right_loss(model: GPT, batch: Batch, rule: masks.Rule) -> float:
    """The mean loss of the next token, each predicted from a text that ends just before it.

    With a causal rule it equals `language_loss`: that is what the mask is for.
    Raises ValueError for a batch that is padded on the left.

    >>> from masklab.text import make_batch
    >>> model, batch, rule = GPT(30_522), make_batch(["The cat ate", "The cat"]), masks.causal()
    >>> abs(left_to_right_loss(model, batch, rule) - language_loss(model, batch, rule).item()) < 1e-4
    True
    """
    if batch.side != "right":
        raise ValueError(f"a text must end before its pads, so they must be on the right, got side={batch.side!r}.")
    length = batch.ids.shape[1]
    logits = [next_logits(model, batch.ids[:, :n], rule) for n in range(1, length)]
    labels, supervised = (x[:, :-1] for x in next_token_labels(batch.ids, batch.is_word))  # (B, L-1)
    return reduce(token_losses(torch.stack(logits, dim=1), labels, supervised), supervised).item()


def next_logits(model: GPT, ids: Tensor, rule: masks.Rule) -> Tensor:
    """The logits of the token after the last one, (B, V), from a text that ends there: no future exists.

    >>> next_logits(GPT(10), torch.tensor([[3, 6, 7]]), masks.causal()).shape
    torch.Size([1, 10])
    """
    length = ids.shape[1]
    return model(ids, rule.tensor(queries=length, keys=length, device=ids.device))[:, -1]


@torch.no_grad()
def write(
    logits_of: Callable[[Tensor], Tensor], ids: Tensor, *, max_new_tokens: int, temperature: float = 0.0, seed: int = 0
) -> Tensor:
    """Write ``max_new_tokens`` tokens after each prompt, one by one, without a cache: slow, but for any mask.

    `GPT.generate` does it with a cache. Shapes: ``ids`` (B, L); ``logits_of`` gets the text so far, (B, L+n), and
    returns the logits of its next token, (B, V) → (B, max_new_tokens).

    >>> count = lambda ids: torch.eye(9)[ids[:, -1] + 1]  # after 3 comes 4
    >>> write(count, torch.tensor([[3], [5]]), max_new_tokens=3)
    tensor([[4, 5, 6],
            [6, 7, 8]])
    """
    generator = seeded(seed)
    prompt = ids.shape[1]
    for _ in range(max_new_tokens):
        chosen = choose(logits_of(ids), temperature=temperature, generator=generator)  # (B,)
        ids = torch.cat([ids, chosen[:, None]], dim=1)
    return ids[:, prompt:]
