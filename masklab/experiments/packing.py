"""Several sentences in one row: what it costs to let them see each other."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from masklab import masks
from masklab.losses import next_token_labels, reduce, token_losses
from masklab.models import GPT, language_loss
from masklab.packing import Packed, pack
from masklab.tiny import LR, texts, tiny_gpt
from masklab.training import Result, Run, collect, draws, rows, train

PACKINGS = {  # whether a document sees itself only, and whether its positions begin at 0
    "mask and positions": (True, True),
    "mask only": (True, False),
    "positions only": (False, True),
    "concatenated": (False, False),
}
ROW = 144  # tokens a row
SENTENCES = 32  # a step: about 25 fit in a row


def packed_logits(model: GPT, packed: Packed, *, masked: bool, reset: bool) -> Tensor:
    """Logits (rows, length, V) of packed rows, used in one of the four ways of `PACKINGS`.

    >>> one_row = Packed(ids=torch.tensor([[3, 6, 4, 3, 7, 4]]), documents=torch.tensor([[0, 0, 0, 1, 1, 1]]))
    >>> logits = packed_logits(tiny_gpt(0), one_row, masked=True, reset=True)
    >>> torch.allclose(logits[:, 3:], tiny_gpt(0)(torch.tensor([[3, 7, 4]])), atol=1e-5)
    True
    """
    rule = masks.causal() & masks.documents(packed.documents) if masked else masks.causal()
    length = packed.ids.shape[1]
    return model(packed.ids, rule.tensor(queries=length, keys=length), positions=packed.positions if reset else None)


def packed_loss(model: GPT, packed: Packed, *, masked: bool, reset: bool) -> Tensor:
    """The mean loss of the next token; no document has to predict the first word of another.

    >>> some, model = rows(texts()[1], range(5)), tiny_gpt(0, max_len=48)
    >>> together = packed_loss(model, pack(some, total=48), masked=True, reset=True)
    >>> torch.allclose(together, language_loss(model, some, masks.causal()))  # as if each had a row of its own
    True
    """
    logits = packed_logits(model, packed, masked=masked, reset=reset)  # (rows, length, V)
    labels, supervised = next_token_labels(packed.ids, packed.documents >= 0, documents=packed.documents)
    return reduce(token_losses(logits, labels, supervised), supervised)


def documents(*, seeds: Sequence[int] = (0, 1, 2), steps: int = 120) -> Result:
    """Does it harm a model if packed sentences see each other in training?

    Variants: a document mask, positions that begin anew, both, neither. The same first weights, packed rows and
    supervised tokens: no label is ever taken from another document.
    Measured: the loss of held-out sentences, each in a row of its own, as they are used later.
    ``curves``: the loss in training.
    Without new positions, sentences begin anywhere, and position 0, where each begins later, was rarely trained.
    With a few hundred sentences instead of thousands the order is reversed once they are learned by heart.

    >>> list(documents(seeds=[0], steps=2).scores)
    ['mask and positions', 'mask only', 'positions only', 'concatenated']
    """
    return Result(
        question="Does it harm if packed sentences see each other?",
        measure="held-out loss, alone",
        better="lower",
        right="mask and positions",
        **collect(partial(_documents_run, steps=steps), PACKINGS, seeds),
    )


def _documents_run(name: str, seed: int, *, steps: int) -> Run:
    """Train on packed rows in one way, and read sentences one by one."""
    model, (train_texts, held_out), (masked, reset) = tiny_gpt(seed, max_len=ROW), texts(), PACKINGS[name]
    chosen = draws(range(len(train_texts.ids)), size=SENTENCES, seed=seed)

    def loss_of(step: int) -> Tensor:
        return packed_loss(model, pack(rows(train_texts, chosen(step)), total=ROW), masked=masked, reset=reset)

    curve = train(model, loss_of, steps=steps, lr=LR)
    with torch.no_grad():
        return Run(language_loss(model, held_out, masks.causal()).item(), curve)
