"""Three ways to read a recurrent network's state: what each finds in a padded sentence, and what moved it."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_packed_sequence

from masklab.corpus import TOPICS
from masklab.models import Classifier
from masklab.models.rows import packed, pads_before
from masklab.panels import counted

READS = ("last step", "last word", "packed")
SAME = 1e-5  # two states: float32 sums differ in the seventh digit when their order does
WHY = {  # by number of directions and side: who has read the pads
    (1, "right"): "Only the last step has read {}.",
    (1, "left"): "Both have read {} first: the last word is the last step.",
    (2, "right"): "Direction ← begins with {}: even its state at the first word has read them.",
    (2, "left"): "Direction → begins with {}: even its state at the last word has read them.",
}


@dataclass(frozen=True, kw_only=True)
class ReadOuts:
    """What each of the `READS` gives, in their order, and the states after all ``steps``.

    Shapes: ``steps`` (L, units), ``states`` (3, units), ``probabilities`` (3, topics), ``moved`` (3, L): how long the
    gradient of the best topic's logit is at each embedding, as a share of its row. NaN where a sentence without words
    has nothing to read.
    """

    steps: Tensor
    states: Tensor
    probabilities: Tensor
    moved: Tensor


def read_outs(model: Classifier, x: Tensor, is_word: Tensor, *, side: str) -> ReadOuts:
    """Read one padded sentence in all ways at once. Shapes: ``x`` (L, dim), ``is_word`` (L,) bool.

    >>> model, is_word = Classifier(10, 4, dim=3), torch.tensor([True, True, False])
    >>> (read_outs(model, torch.ones(3, 3), is_word, side="right").moved > 0).int()
    tensor([[1, 1, 1],
            [1, 1, 0],
            [1, 1, 0]], dtype=torch.int32)
    """
    words, total = int(is_word.sum()), len(is_word)
    lengths = torch.tensor([total, total, words][: 3 if words else 1])  # two take the pads for words, packed doesn't
    before = pads_before(lengths, total=total, side=side)
    with torch.enable_grad():  # a lab draws without
        x = x.detach().repeat(len(lengths), 1, 1).requires_grad_()  # a copy for each, and one backward for all
        run, last = model.rnn(packed(x, lengths, before))
        out = pad_packed_sequence(run, batch_first=True)[0]  # (3, L, units)
        states = list(last.transpose(0, 1).flatten(1))  # at each direction's own end
        if words:
            there, *back = out[1].split(model.rnn.hidden_size, dim=-1)  # (L, hidden) each
            first = int(before[-1])
            states[1] = torch.cat([there[first + words - 1], *(one[first] for one in back)])
        logits = model.head(torch.stack(states))
        (gradient,) = torch.autograd.grad(logits.amax(dim=1).sum(), x)
    pulls = gradient.norm(dim=-1)
    found = torch.stack(states).detach(), logits.detach().softmax(dim=1), pulls / pulls.sum(dim=1, keepdim=True)
    read, probabilities, moved = (F.pad(one, (0, 0, 0, 3 - len(states)), value=torch.nan) for one in found)
    return ReadOuts(steps=out[0].detach(), states=read, probabilities=probabilities, moved=moved)


def in_words(one: ReadOuts, model: Classifier, is_word: Tensor, *, side: str) -> str:
    """What each finds, beside packed, and who has read the pads. Shape: ``is_word`` (L,) bool.

    >>> model, is_word = Classifier(10, 4, dim=3), torch.tensor([True])
    >>> in_words(read_outs(model, torch.ones(1, 3), is_word, side="right"), model, is_word, side="right")
    'Packed: HEALTH (0.29). ✓ Last step: the same state. ✓ Last word: the same state. There is no pad to read.'
    """
    pads = int((~is_word).sum())
    if not is_word.any():
        return f"There is no last word, and nothing to pack: the last step has read {counted(pads, 'pad')}."
    topics = [TOPICS[i] for i in one.probabilities.argmax(dim=1).tolist()]
    shares, gaps = one.probabilities.amax(dim=1).tolist(), (one.states - one.states[-1]).abs().amax(dim=1).tolist()
    told = [f"Packed: {topics[-1]} ({shares[-1]:.2f})."]
    for name, topic, share, gap in list(zip(READS, topics, shares, gaps, strict=True))[:-1]:
        same, still = gap <= SAME, "another state, still" if topic == topics[-1] else "now"
        found = "the same state" if same else f"{still} {topic} ({share:.2f})"
        told.append(f"{'✓' if same else '✗'} {name.capitalize()}: {found}.")
    why = WHY[2 if model.rnn.bidirectional else 1, side].format(counted(pads, "pad"))
    told.append(why if pads else "There is no pad to read.")
    return " ".join(told)
