"""Panels of lesson 03's lab: which losses count, what a model guesses in the holes, how often each word was hidden."""

import math

import torch
from torch import Tensor

from masklab.corpus import VOCABULARY
from masklab.labs.hiding import Hidden, text_to_text, token
from masklab.labs.next_word import best
from masklab.labs.sentences import grid_labels
from masklab.losses import reduce
from masklab.panels import EXTRA, MISSED, RIGHT, Panel, counted, number
from masklab.text import Batch

GUESSES = (4, 3, 2)  # best guesses of each hole, when one, two or three have theirs shown: more would take the screen
LIMITS = {"given": 1.0, "model": math.log(len(VOCABULARY))}  # of the colours: the model's losses are as guessing costs
TITLES = {"given": "losses, made up", "model": "losses, the model's"}
MEANINGS = {
    "given": "The numbers of part 3, and others for words of your own.",
    "model": f"−log of the right word's probability; guessing costs {LIMITS['model']:.2f}.",
}


def counting(losses: Tensor, one: Hidden, *, which: str) -> list[Panel]:
    """From the losses that are "given" or the "model"'s to what counts, and what would if one looked for [MASK].

    Shape: ``losses`` (B, L).

    >>> one = Hidden(read=torch.tensor([[5, 2, 7]]), fates=torch.tensor([[0, 1, 3]]))
    >>> panels = counting(torch.tensor([[0.5, 1.0, 2.0]]), one, which="given")
    >>> panels[1].values, panels[2].row_notes, panels[3].marks  # [MASK] would miss the third
    (tensor([[0, 1, 1]], dtype=torch.int32), ['1.50'], tensor([[0, 0, 2]], dtype=torch.uint8))
    """
    chosen, is_mask, grid, limit = one.chosen, one.is_mask, grid_labels(losses), LIMITS[which]
    means = [reduce(*row, on_empty="nan").item() for row in zip(losses.split(1), chosen.split(1), strict=True)]
    notes = [number(mean) if some else "–" for mean, some in zip(means, chosen.any(dim=1).tolist(), strict=True)]
    marks = (chosen & ~is_mask) * MISSED + (is_mask & ~chosen) * EXTRA
    return [
        Panel(
            name="losses", kind="loss", values=losses, title=TITLES[which], limit=limit, say="loss {}",
            meaning=MEANINGS[which], **grid,
        ),
        Panel(
            name="mask", kind="ids", values=chosen.int(), blocked=~chosen, title="chosen", sign="where", small=True,
            say=", chosen {}", meaning="1 where a word was chosen: this is the loss mask. Elsewhere the label is −100.",
            **grid,
        ),
        Panel(
            name="counted", kind="loss", values=losses.masked_fill(~chosen, 0.0), blocked=~chosen, title="counted",
            sign="→", say=" → {}", limit=limit, row_notes=notes, notes_title="mean",
            meaning="These are added up, and divided by how many there are.", **grid,
        ),
        Panel(
            name="input_mask", kind="ids", values=is_mask.int(), blocked=~is_mask, title="input == [MASK]", sign="vs",
            small=True, say=", input == [MASK] {}", marks=marks.to(torch.uint8),
            meaning="What one finds by looking for [MASK]: ✗ a chosen word that it misses, ! a [MASK] that was typed.",
            **grid,
        ),
    ]  # fmt: skip


def guessing(logits: Tensor, ids: Tensor, one: Hidden, row: int) -> list[Panel]:
    """The model's best guesses in the first holes of one sentence; no panel if it has none.

    A hole is a chosen word, or a [MASK] that was typed, and has no right answer. Shapes: (B, L, V), ``ids`` (B, L).

    >>> one = Hidden(read=torch.tensor([[5, 2, 7]]), fates=torch.tensor([[0, 1, 0]]))
    >>> (panel,) = guessing(torch.arange(9.0).expand(1, 3, 9), torch.tensor([[5, 4, 7]]), one, 0)
    >>> panel.rows, panel.marks.flatten()  # the best at place 1, and what is right
    (['1: fish', '1: ate', '1: cat', '1: The', '1: [EOS]'], tensor([0, 0, 0, 0, 1], dtype=torch.uint8))
    """
    places: list[int] = []
    rows, values, marks = [], [], []
    shown = holes(one, row)[: len(GUESSES)]
    for place in shown:
        probabilities = logits[row, place].softmax(dim=0)
        right = [int(ids[row, place])] if one.chosen[row, place] else []
        for guess in dict.fromkeys([*best(probabilities, GUESSES[len(shown) - 1]), *right]):
            places.append(place)
            rows.append(f"{place}: {VOCABULARY.tokens[guess]}")
            values.append(probabilities[guess])
            marks.append(RIGHT * (guess in right))
    if not places:
        return []
    return [Panel(
        name="guesses", kind="probability", values=torch.stack(values)[:, None], rows=rows, columns=["p"],
        marks=torch.tensor(marks, dtype=torch.uint8)[:, None], title="what was here?", say="{}", sign="the model →",
        places=places,
        axes=("guess", "probability"), links=("position", "probability"),
        meaning="The model's best guesses for each blank, from the words on both sides. ✓ is the right word, if known.",
    )]  # fmt: skip


def holes(one: Hidden, row: int) -> list[int]:
    """The places of a sentence at which there is something to guess.

    >>> holes(Hidden(read=torch.tensor([[5, 2, 7]]), fates=torch.tensor([[0, 0, 3]])), 0)
    [1, 2]
    """
    return (one.chosen[row] | one.is_mask[row]).nonzero().flatten().tolist()


def hidden_so_far(often: Tensor, may_choose: Tensor, batch: Batch, row: int) -> Panel:
    """How often static and dynamic masking have hidden each word of one sentence. Shapes: (2, L), bool (L,).

    >>> from masklab.text import make_batch
    >>> often, may_choose = torch.tensor([[2, 0], [1, 1]]), torch.tensor([True, True])
    >>> hidden_so_far(often, may_choose, make_batch(["The cat"]), 0).row_notes
    ['1 of 2', '2 of 2']
    """
    return Panel(
        name="schedules", kind="ids", values=often, rows=["static", "dynamic"], columns=batch.tokens[row],
        column_pads=(~batch.is_word[row]).tolist(), blocked=(often == 0) & may_choose, title="how often hidden so far",
        axes=("masking", "position"), say="{} times", notes_title="words",
        row_notes=[f"{int((line > 0).sum())} of {int(may_choose.sum())}" for line in often],
        meaning="Static makes ten masks and uses them in turn. Dynamic makes a new one for each epoch.",
    )  # fmt: skip


def side_by_side(ids: Tensor, chosen: Tensor) -> tuple[list[Panel], str]:
    """One sentence as T5 reads and writes it, and whether the two give it back. Shapes: (L,), bool (L,).

    >>> panels, told = side_by_side(torch.tensor([5, 6, 7]), torch.tensor([False, True, True]))
    >>> [panel.columns for panel in panels]
    [['The', '<0>'], ['<0>', 'cat', 'ate']]
    >>> told
    'T5 reads 2 tokens and writes 3, all of which count in the loss. ✓ Put together again: The cat ate.'
    """
    if not len(ids):
        return [], "This sentence has no word: there is nothing to read, and nothing to write."
    inputs, targets, is_back = text_to_text(ids, chosen)
    halves = {
        "input": (inputs, "What the encoder reads: one sentinel for each run of hidden words."),
        "target": (targets, "What the decoder should write: each sentinel, and the words that it stands for."),
    }
    panels = [
        Panel(
            name=name, kind="ids", values=torch.tensor([several], dtype=torch.int64).reshape(1, -1), rows=["id"],
            columns=list(map(token, several)), title=f"{name}: {counted(len(several), 'token')}", sign=sign,
            axes=("text", "token"), say="{}", meaning=meaning,
        )
        for sign, (name, (several, meaning)) in zip(("", "→"), halves.items(), strict=True)
        if several
    ]  # fmt: skip
    told = f"T5 reads {counted(len(inputs), 'token')} and writes {len(targets)}, all of which count in the loss."
    return panels, f"{told} {'✓' if is_back else '✗'} Put together again: {' '.join(VOCABULARY.decode(ids))}."
