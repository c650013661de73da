"""What a lab of a language model shows beside attention: a text with its step, the best guesses, and the losses."""

import math
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from masklab.corpus import UNK, VOCABULARY
from masklab.panels import RIGHT, Edit, Panel, Sentence, counted


def step_chips(tokens: Sequence[str], *, step: int | None, end: int, hint: str) -> Sentence:
    """A text as chips to pick a step from: those from ``end`` on are not there yet, and [UNK] stands below some.

    Without a step, as in a text that is not shown, all are there.

    >>> step_chips(["[BOS]", "The", "dog", "xyz"], step=1, end=2, hint="Click a word.")
    Sentence(tokens=['[BOS]', 'The', 'dog', 'xyz'], pads=[False, False, True, True], note='1 unknown word: [UNK]', \
below=['', '', '', '[UNK]'], pressed=[False, True, False, False], edits=Edit(key='step', how='pick', cells=(), \
low=None, high=None, step=0.01))
    """
    unknown = [VOCABULARY.id(token) == VOCABULARY.id(UNK) for token in tokens]
    count, places = sum(unknown), range(len(tokens))
    return Sentence(
        tokens=tokens,
        pads=[step is not None and i >= end for i in places],
        pressed=[i == step for i in places],
        below=[UNK * one for one in unknown] if count else (),
        edits=Edit("step", how="pick"),
        note=f"{counted(count, 'unknown word')}: {UNK}" if count else hint if step is not None else "",
    )


def best(logits: Tensor, most: int) -> list[int]:
    """The ids of the most likely tokens. Shape: ``logits`` or probabilities (V,).

    >>> best(torch.tensor([0.1, 0.6, 0.3]), most=2)
    [1, 2]
    """
    return logits.topk(most).indices.tolist()


def guesses_panel(probabilities: Tensor, ids: Iterable[int], *, right: int | None = None, **parts) -> Panel:
    """Some tokens and their probabilities as a panel of bars, each token once, with ✓ at the ``right`` one.

    Shape: ``probabilities`` (V,). ``parts`` are the panel's ``name``, ``title``, ``meaning`` and ``sign``.

    >>> panel = guesses_panel(torch.ones(9), [7, 8, 7], right=8, name="next", title="next word", meaning="Guesses.")
    >>> panel.values.tolist(), panel.marks.tolist()
    ([[1.0], [1.0]], [[0], [1]])
    """
    shown = torch.tensor(list(dict.fromkeys(ids)))
    return Panel(
        kind="probability", values=probabilities[shown, None], rows=VOCABULARY.decode(shown), columns=["p"],
        marks=None if right is None else RIGHT * (shown == right).to(torch.uint8)[:, None],
        axes=("word", "probability"), say="{}", **parts,
    )  # fmt: skip


def losses_panel(tokens: Sequence[str], logits: dict[str, Tensor], *, current: int) -> Panel:
    """The loss of each next token, in a column for each way to compute the logits.

    Shapes: ``tokens`` L + 1, ``logits`` (L, V) each: those after every token but the last.

    >>> panel = losses_panel(["The", "cat", "[EOS]"], {"at once": torch.zeros(2, len(VOCABULARY))}, current=1)
    >>> panel.rows, panel.row_notes, [f"{loss:.2f}" for loss in panel.values.flatten()]
    (['The', 'cat'], ['cat', '[EOS]'], ['5.98', '5.98'])
    """
    labels, guessing = torch.tensor(VOCABULARY.encode(tokens[1:])), math.log(len(VOCABULARY))
    losses = [F.cross_entropy(one, labels, reduction="none") for one in logits.values()]
    return Panel(
        name="loss", kind="loss", values=torch.stack(losses, dim=1), title="loss of each next word", sign="−log →",
        rows=tokens[:-1], columns=list(logits), axes=("query", "loss"), say="{}",
        row_notes=tokens[1:], notes_title="next", limit=guessing, current=current,
        meaning=f"−log of the next word's probability. Guessing costs {guessing:.2f}, the same for each word.",
    )  # fmt: skip
