"""Several sentences in one row: what is saved, who sees whom, and what it costs to let them.

Source: Krell et al. 2021, "Efficient sequence packing without cross-contamination", arXiv 2107.02027.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import mean

import torch
from torch import Tensor

from masklab import corpus, masks
from masklab.experiments.language import LR, language_loss, rows, texts, tiny_gpt
from masklab.losses import next_token_labels, reduce, token_losses
from masklab.models import GPT, positions_of
from masklab.text import Batch
from masklab.training import Result, Run, collect, draws, train

PACKINGS = {  # whether a document sees itself only, and whether its positions begin at 0
    "mask and positions": (True, True),
    "mask only": (True, False),
    "positions only": (False, True),
    "concatenated": (False, False),
}
ROW = 144  # tokens a row
SENTENCES = 32  # a step: about 25 fit in a row


@dataclass(frozen=True)
class Packed:
    """Rows that hold several documents each, and padding behind the last one.

    Shapes, all (rows, length) int64: ``ids``; ``documents``, as `masks.document_ids` gives them, −1 where
    there is padding; ``positions``, 0, 1, 2 … in each document.
    """

    ids: Tensor
    documents: Tensor
    positions: Tensor


def first_fit(lengths: Sequence[int], *, total: int) -> list[list[int]]:
    """Put each document in the first row that has room for it; give the documents of each row.

    ``total`` is how many tokens a row holds. Raises ValueError for a document that is longer.

    >>> first_fit([3, 4, 2, 1], total=5)
    [[0, 2], [1, 3]]
    """
    if max(lengths, default=0) > total:
        raise ValueError(f"every document must fit in a row of {total}, and the longest has {max(lengths)} tokens.")
    packed: list[list[int]] = []
    for i, length in enumerate(lengths):
        with_room = [row for row in packed if sum(lengths[j] for j in row) + length <= total]
        if with_room:
            with_room[0].append(i)
        else:
            packed.append([i])
    return packed


def pack(batch: Batch, *, total: int) -> Packed:
    """Lay the sentences of a batch behind each other, in rows of ``total`` tokens.

    >>> two = Batch(tokens=(), ids=torch.tensor([[5, 6, 0], [7, 8, 9]]), lengths=torch.tensor([2, 3]), side="right")
    >>> packed = pack(two, total=6)
    >>> packed.ids, packed.documents, packed.positions
    (tensor([[5, 6, 7, 8, 9, 0]]), tensor([[ 0,  0,  1,  1,  1, -1]]), tensor([[0, 1, 0, 1, 2, 0]]))
    """
    plan = first_fit(batch.lengths.tolist(), total=total)
    documents = masks.document_ids([batch.lengths[row].tolist() for row in plan], total=total)
    order = [i for row in plan for i in row]
    word = batch.is_word[order]

    def laid(values: Tensor) -> Tensor:
        return torch.zeros_like(documents).masked_scatter(documents >= 0, values[order][word])

    return Packed(ids=laid(batch.ids), documents=documents, positions=laid(positions_of(batch.is_word)))


def packed_logits(model: GPT, packed: Packed, *, masked: bool, reset: bool) -> Tensor:
    """Logits (rows, length, V) of packed rows, used in one of the four ways of `PACKINGS`.

    >>> row = pairs_of_rows(torch.tensor([[3, 6, 4]]), torch.tensor([[3, 7, 4]]))
    >>> logits = packed_logits(tiny_gpt(0), row, masked=True, reset=True)
    >>> torch.allclose(logits[:, 3:], tiny_gpt(0)(torch.tensor([[3, 7, 4]])), atol=1e-5)
    True
    """
    rule = masks.causal() & masks.documents(packed.documents) if masked else masks.causal()
    length = packed.ids.shape[1]
    return model(packed.ids, rule.tensor(queries=length, keys=length), positions=packed.positions if reset else None)


def packed_loss(model: GPT, packed: Packed, *, masked: bool, reset: bool) -> Tensor:
    """The mean loss of the next token; no document has to predict the first word of another one.

    >>> some, model = rows(texts()[1], range(5)), tiny_gpt(0, max_len=48)
    >>> together = packed_loss(model, pack(some, total=48), masked=True, reset=True)
    >>> torch.allclose(together, language_loss(model, some, masks.causal()))  # as if each stood in its own row
    True
    """
    logits = packed_logits(model, packed, masked=masked, reset=reset)  # (rows, length, V)
    labels, supervised = next_token_labels(packed.ids, packed.documents >= 0, documents=packed.documents)
    return reduce(token_losses(logits, labels, supervised), supervised)


# --- What it costs in quality ----------------------------------------------------------------------------------------


def documents(*, seeds: Sequence[int] = (0, 1, 2), steps: int = 120) -> Result:
    """Does it harm a model if packed sentences see each other in training?

    Variants: a document mask, positions that begin anew, both, neither. The same weights at first, the same packed
    rows, the same supervised tokens: no label is ever taken from another document.
    Measured: the loss of held-out sentences, each in a row of its own, as they are used later.
    ``curves``: the loss in training. With mask and positions it is that of sentences in rows of their own.
    Without new positions, sentences begin anywhere, and position 0, where each stands later, was trained rarely.
    Came out: both 2.56, positions only 2.63, mask only 2.80, neither 2.85. With 300 steps it is 2.23, 2.41, 2.36 and
    2.54. With a few hundred sentences instead of thousands the order turns around once they are learned by heart.

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
    model, curve = _trained(name, seed, steps)
    _, held_out = texts()
    with torch.no_grad():
        return Run(language_loss(model, held_out, masks.causal()).item(), curve)


def _trained(name: str, seed: int, steps: int) -> tuple[GPT, list[float]]:
    """A model that saw packed rows in one of the four ways, and its curve."""
    model, (train_texts, _), (masked, reset) = tiny_gpt(seed, max_len=ROW), texts(), PACKINGS[name]
    chosen = draws(range(len(train_texts.ids)), size=SENTENCES, seed=seed)

    def loss_of(step: int) -> Tensor:
        return packed_loss(model, pack(rows(train_texts, chosen(step)), total=ROW), masked=masked, reset=reset)

    return model, train(model, loss_of, steps=steps, lr=LR)


# --- Who sees whom ---------------------------------------------------------------------------------------------------


def neighbors(*, seeds: Sequence[int] = (0, 1, 2), steps: int = 60) -> Result:
    """Does document B change when document A, before it in the same row, becomes another sentence?

    Variants: as for `documents`, but one model a seed, trained rightly: what differs is how it is *used*.
    Measured: the largest change of a logit in B, when A becomes another sentence of the same length; exactly 0 is
    right. ``curves``: the largest change at each token of B. ``samples``: the same, when A also gets a word shorter.
    Came out: with the mask 0, without it 3 to 6. But with the mask only, B still changes with the *length* of A.

    >>> list(neighbors(seeds=[0], steps=2).scores)
    ['mask and positions', 'mask only', 'positions only', 'concatenated']
    """
    models = {seed: _trained("mask and positions", seed, steps)[0] for seed in seeds}
    return Result(
        question="Does a document change when its neighbor in the row changes?",
        measure="largest change of a logit",
        better="lower",
        right="mask and positions",
        **collect(partial(_neighbors_run, models=models), PACKINGS, seeds),
    )


@torch.no_grad()
def _neighbors_run(name: str, seed: int, *, models: dict[int, GPT]) -> Run:
    """Compute B behind one sentence, and behind another one: of the same length, and one word shorter."""
    same, shorter = _of_one_length(6), _of_one_length(5)
    same, shorter = same[: len(shorter)], shorter[: len(same)]
    used = partial(_behind, models[seed], way=PACKINGS[name])
    before = used(same.roll(1, dims=0), same)  # (B, length of B, V): each sentence behind the one before it
    change = (used(same.roll(2, dims=0), same) - before).abs().amax(dim=(0, 2))
    moved = (used(shorter, same) - before).abs().max().item()
    return Run(change.max().item(), change.tolist(), f"{moved:.4f} when A gets a word shorter")


def _behind(model: GPT, first: Tensor, second: Tensor, *, way: tuple[bool, bool]) -> Tensor:
    """The logits of ``second``, when ``first`` stands before it in the same row."""
    masked, reset = way
    return packed_logits(model, pairs_of_rows(first, second), masked=masked, reset=reset)[:, first.shape[1] :]


def _of_one_length(words: int) -> Tensor:
    """All held-out sentences of so many words, [BOS] and [EOS] around them: (B, words + 2)."""
    _, held_out = texts()
    return held_out.ids[held_out.lengths == words + 2, : words + 2]


def pairs_of_rows(first: Tensor, second: Tensor) -> Packed:
    """Each row of ``first`` with a row of ``second`` behind it.

    >>> pairs_of_rows(torch.tensor([[5, 6]]), torch.tensor([[7]])).positions
    tensor([[0, 1, 0]])
    """
    one, two = torch.arange(first.shape[1]), torch.arange(second.shape[1])
    ids = torch.cat([first, second], dim=1)
    return Packed(
        ids=ids,
        documents=torch.cat([torch.zeros_like(one), torch.ones_like(two)]).expand_as(ids),
        positions=torch.cat([one, two]).expand_as(ids),
    )


# --- What is saved ---------------------------------------------------------------------------------------------------


def waste(lengths: Sequence[int], *, total: int, count: int) -> float:
    """The share of padding, when documents of these lengths stand in ``count`` rows of ``total`` tokens.

    >>> waste([3, 1], total=4, count=2)
    0.5
    """
    return 1 - sum(lengths) / (count * total)


def padding_saved(*, seeds: Sequence[int] = (0, 1, 2), steps: int = 20) -> Result:
    """How much of a batch is padding, with one sentence a row, and packed?

    Both see the same batches, each 64 sentences of 2 to 14 words between [BOS] and [EOS]. Nothing is trained:
    a step is a batch. One a row, a batch is as long as its longest sentence; packed, a row has 64 tokens.
    Measured: the mean share of padding. Source: arXiv 2107.02027 finds up to 50 % in real data.
    Came out: one a row 30 %, packed 7 %.

    >>> list(padding_saved(seeds=[0], steps=2).scores)
    ['packed', 'one a row']
    """
    lengths = [len(example.words) + 2 for example in corpus.sentences(n=2000)]
    return Result(
        question="How much padding does packing save?",
        measure="share of padding",
        better="lower",
        right="packed",
        **collect(partial(_waste_run, lengths=lengths, steps=steps), ("packed", "one a row"), seeds),
    )


def _waste_run(name: str, seed: int, *, lengths: Sequence[int], steps: int) -> Run:
    """The share of padding in each batch, and its mean."""
    lengths_of = draws(lengths, size=64, seed=seed)
    shares = []
    for step in range(steps):
        drawn = lengths_of(step)
        total = 64 if name == "packed" else max(drawn)
        count = len(first_fit(drawn, total=total)) if name == "packed" else len(drawn)
        shares.append(waste(drawn, total=total, count=count))
    return Run(mean(shares), shares)
