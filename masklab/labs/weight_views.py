"""Where the weights of words with tags come from, in three views: annotators, missing labels, a curriculum."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from masklab.labs.guess import Guess
from masklab.labs.sentences import grid_labels
from masklab.labs.tagged import ANNOTATORS, OTHER, TAGS, Tagged, candidates, unsure
from masklab.labs.two_ways import Way, learned
from masklab.losses import agreement_weights, curriculum_weights
from masklab.panels import Edit, Panel, counted, number

Places = Sequence[Sequence[int]]  # [row, column] of each


@dataclass(frozen=True, kw_only=True)
class View:
    """What a view makes of the sentences: two ways to weigh them, the first of which is drawn in full.

    Shapes: ``logits`` (B, L, T), with a name in ``classes`` for each of T; ``counts`` (B, L) bool, which chips are on.
    ``below`` is the line under the chips, ``meaning`` that of the losses; ``panels`` come before them; ``edits`` are
    those of the chips and, where ``weighs`` is true, of the weights. ``guess`` is a painted mask beside the right one,
    and ``guessed`` what is said about it first.
    """

    ways: Sequence[Way]
    logits: Tensor
    classes: Sequence[str]
    below: Sequence[Sequence[str]]
    told: str
    meaning: str = "The cross-entropy of each label under a made-up model, the same for the same word."
    panels: Sequence[Panel] = ()
    edits: Edit | None = None
    weighs: bool = True
    counts: Tensor | None = None
    guess: Guess | None = None
    guessed: str = ""


def turned(cells: Places, shape: Sequence[int]) -> Tensor:
    """Cells as flags; those that lie outside are left out. → bool, True = turned.

    >>> turned([(0, 1), (7, 7)], (1, 2)).int()
    tensor([[0, 1]], dtype=torch.int32)
    """
    flags, (rows, columns) = torch.zeros(*shape, dtype=torch.bool), shape
    inside = [(row, column) for row, column in cells if 0 <= row < rows and 0 <= column < columns]
    flags[tuple(torch.tensor(inside, dtype=torch.int64).reshape(-1, 2).T)] = True
    return flags


# --- Annotators ------------------------------------------------------------------------------------------------------


def annotators(text: Tagged, *, changed: Sequence[Places], shown: int, key: str) -> View:
    """Ten votes a word: the winner is its label, and the share of it the weight.

    ``changed`` are the votes that were turned, by sentence; ``key`` is where the state has those of the shown one.

    >>> from masklab.labs.sentences import batch_of
    >>> from masklab.labs.tagged import tagged
    >>> text = tagged(batch_of(["Cats fish"]), ["Cats fish"])
    >>> annotators(text, changed=[[(0, 0)]], shown=0, key="votes0").ways[0].weights
    tensor([[0.9000, 0.7000]])
    """
    flips = [turned(cells, (len(words), ANNOTATORS)) for cells, words in zip(changed, text.words, strict=False)]
    first = [turned(unsure(words), (len(words), ANNOTATORS)) for words in text.words]
    dissent = [one ^ flip for one, flip in zip(first, flips, strict=True)]
    votes = votes_of(text, dissent)
    labels, shares = agreement_weights(votes)
    panel = _votes(text.words[shown], votes[shown], dissent[shown], Edit(key, cells=flips[shown].nonzero().tolist()))
    return View(
        ways=[Way("weights", labels, shares), Way("all 1", labels, text.batch.is_word.float())],
        logits=text.logits,
        classes=TAGS,
        below=text.below(labels),
        told=_on_votes(text, labels, shares),
        panels=[panel],
    )


def votes_of(text: Tagged, dissent: Sequence[Tensor]) -> Tensor:
    """Ten votes a word: (B, L, 10) int64, −1 at pads.

    Shapes: ``dissent``, (words, 10) bool for each sentence, True = for the other tag.

    >>> from masklab.labs.sentences import batch_of
    >>> from masklab.labs.tagged import tagged
    >>> votes_of(tagged(batch_of(["Cats"]), ["Cats"]), [torch.arange(10)[None] == 9])
    tensor([[[1, 1, 1, 1, 1, 1, 1, 1, 1, 2]]])
    """
    votes = torch.full((*text.labels.shape, ANNOTATORS), -1)
    for row, (words, tags) in enumerate(zip(text.words, text.tags, strict=True)):
        for place, (first, second) in enumerate(map(candidates, words, tags)):
            votes[row, place] = torch.where(dissent[row][place], second, first)
    return votes


def _votes(words: Sequence[str], votes: Tensor, dissent: Tensor, edits: Edit) -> Panel:
    """The votes on one sentence. Shapes: ``votes`` (L, 10); ``dissent`` (words, 10) bool."""
    return Panel(
        name="votes", kind="ids", values=(~dissent).int(), blocked=dissent, rows=words, title="votes", edits=edits,
        columns=[str(i + 1) for i in range(ANNOTATORS)], axes=("position", "annotator"), say="vote {}",
        row_notes=list(map(_tally, votes[: len(words)].tolist())),
        meaning="Ten annotators: 1 is a vote for the word's tag, 0 for another one. Click to change a vote.",
    )  # fmt: skip


def _tally(votes: Sequence[int]) -> str:
    """The votes on one word, the winner first.

    >>> _tally([1] * 7 + [2] * 3), _tally([2] * 5 + [1] * 5)
    ('7 NOUN, 3 VERB', '5 NOUN, 5 VERB')
    """
    order = sorted(set(votes), key=lambda label: (-votes.count(label), label))
    return ", ".join(f"{votes.count(label)} {TAGS[label]}" for label in order)


def _on_votes(text: Tagged, labels: Tensor, shares: Tensor) -> str:
    """Ties, another label and whether a weight shows it, or if there are none, how many words weigh less.

    Whoever clicks votes away comes by all of them: they fit into one line, so that the votes stay where they are.
    """
    is_word, told = text.batch.is_word, []
    if (is_word & (shares == 0.5)).any():
        told.append("A tie: the smaller id wins.")
    for row, place in (is_word & (labels != text.labels)).nonzero().tolist()[:1]:
        name, now, before = text.words[row][place], TAGS[labels[row, place]], TAGS[text.labels[row, place]]
        unseen = ", and no weight shows it" if shares[row, place] == 1 and not told else ""
        told.append(f"“{name}” is now {now}, not {before}{unseen}.")
    below = counted(int((is_word & (shares < 1)).sum()), "word")
    return " ".join(
        told or [f"{below} with a weight below 1." if (shares[is_word] < 1).any() else "Every weight is 1."]
    )


# --- Missing labels --------------------------------------------------------------------------------------------------


def missing(text: Tagged, *, changed: Places, as_other: bool) -> View:
    """Words without a label: their weight is 0, or their label OTHER. At first those have none whose tag is rare.

    >>> from masklab.labs.sentences import batch_of
    >>> from masklab.labs.tagged import tagged
    >>> text = tagged(batch_of(["Cats can fish"]), ["Cats can fish"])
    >>> missing(text, changed=[(0, 0)], as_other=False).ways[0].weights
    tensor([[0., 0., 1.]])
    """
    is_word, flips = text.batch.is_word, turned(changed, text.labels.shape)
    has_label = is_word & ((text.labels != OTHER) ^ flips)
    labels = text.labels.where(has_label, OTHER)
    ways = [Way("weight 0", labels, has_label.float()), Way("OTHER", labels, is_word.float())]
    below = text.below(labels)
    for row, place in (is_word & ~has_label).nonzero().tolist():
        below[row][place] = "OTHER" if as_other else "–"
    return View(
        ways=ways[::-1] if as_other else ways,
        logits=text.logits,
        classes=TAGS,
        below=below,
        told=_on_missing(int((is_word & ~has_label).sum()), ways, text.logits),
        edits=Edit("missing", cells=flips.nonzero().tolist()),
        weighs=not as_other,
        counts=has_label,
    )


def _on_missing(count: int, ways: Sequence[Way], logits: Tensor) -> str:
    """What a label OTHER does to the class of that name. Shape: ``logits`` (B, L, T)."""
    if not count:
        return "Every word has a label: click one away."
    without, other = (number(learned(way, logits).step[OTHER].item(), "gradient") for way in ways)
    moves = f"With OTHER as the label, OTHER moves by {other}, with weight 0 by {without}."
    return f"{counted(count, 'word')} without a label. {moves}"


# --- Curriculum ------------------------------------------------------------------------------------------------------


def curriculum(text: Tagged, *, stage: float, ramp: float, changed: Sequence[tuple[int, int, float]]) -> View:
    """Words that are harder than the stage wait, or count in part.

    >>> from masklab.labs.sentences import batch_of
    >>> from masklab.labs.tagged import tagged
    >>> text = tagged(batch_of(["Cats can fish"]), ["Cats can fish"])
    >>> curriculum(text, stage=0, ramp=2, changed=[(0, 2, 2)]).ways[0].weights
    tensor([[1.0000, 0.5000, 0.0000]])
    """
    is_word, difficulty = text.batch.is_word, text.difficulty.clone()
    for row, place, level in changed:
        if turned([(row, place)], is_word.shape)[is_word].any():
            difficulty[row, place] = level
    weights = curriculum_weights(difficulty, stage=stage, ramp=ramp)
    full, none = int((weights == 1).sum()), int((weights[is_word] == 0).sum())
    panel = Panel(
        name="difficulty", kind="loss", values=difficulty, blocked=~is_word, title="difficulty", limit=3.0, small=True,
        edits=Edit("levels", how="number", cells=changed, low=0, high=9, step=0.5), say="difficulty {}, ",
        meaning="0: a word with one tag. 1: with two, and this is the usual one. 2: the other one, or an unknown word.",
        **grid_labels(difficulty),
    )  # fmt: skip
    return View(
        ways=[Way(f"stage {stage:g}", text.labels, weights), Way("all 1", text.labels, is_word.float())],
        logits=text.logits,
        classes=TAGS,
        below=text.below(text.labels),
        told=f"Words that count: {full} fully, {int(is_word.sum()) - full - none} in part, {none} not yet.",
        panels=[panel],
    )
