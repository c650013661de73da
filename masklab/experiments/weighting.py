"""Weights in the loss: words on which annotators disagree count less, and hard words wait.

A small tagger learns from a few sentences about cats, and is judged by the true tags of others. All variants of a seed
start from the same weights and read the same sentences in the same order; only the weights of the loss differ.
`losses.reduce` divides by their sum, so smaller weights do not mean smaller steps.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from statistics import mean
from types import MappingProxyType

import torch
from torch import Tensor

from masklab import validate
from masklab.corpus import TAGS, USUAL, VOCABULARY, Example, LabelledBatch, batch, sentences, split
from masklab.losses import agreement_weights, curriculum_weights, reduce, token_losses
from masklab.models import Tagger
from masklab.threads import one_thread
from masklab.training import Result, Run, collect, draws, train

ANNOTATORS = 10
SLIPS = 0.05  # how often an annotator guesses at a clear word
UNCLEAR = (0.05, 0.6)  # the share of words at which all of them guess: of the words with one tag, of the ambiguous
HARDEST = 2.0  # the difficulty of an ambiguous word whose tag is the rarer one

# --- Train and judge -------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)  # the same for every seed and variant
def examples() -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """A few sentences to train on, as when people must label them, and more that are held out.

    >>> [len(part) for part in examples()]
    [300, 600]
    """
    seen, unseen = split(sentences(n=900), test=2 / 3)
    return tuple(seen), tuple(unseen)


@lru_cache(maxsize=1)
def texts() -> tuple[LabelledBatch, LabelledBatch]:
    """The same as batches.

    >>> [len(part.ids) for part in texts()]
    [300, 600]
    """
    seen, unseen = examples()
    return batch(seen), batch(unseen)


def ambiguous(text: LabelledBatch) -> Tensor:
    """Which words have two possible tags: (B, L) bool.

    >>> from masklab.corpus import RUNNING
    >>> ambiguous(batch(RUNNING[:2])).int()  # "fish" is a noun or a verb
    tensor([[0, 0, 0, 0],
            [0, 0, 0, 1]], dtype=torch.int32)
    """
    return text.is_word & (text.difficulty > 0)


MEASURES: Mapping[str, Callable[[LabelledBatch], Tensor]] = MappingProxyType(
    {
        "ambiguous words": ambiguous,
        "words with one tag": lambda text: text.is_word & ~ambiguous(text),
        "all words": lambda text: text.is_word,
    }
)


def accuracy(model: Tagger, measure: str) -> float:
    """The share of held-out words that get their true tag; ``measure`` says of which words.

    >>> 0 <= accuracy(Tagger(len(VOCABULARY), len(TAGS), seed=0), "all words") < 0.5  # untrained
    True
    """
    _, unseen = texts()
    with torch.no_grad():
        right = model(unseen.ids, unseen.lengths).argmax(dim=-1) == unseen.tags  # (B, L)
    return right[MEASURES[measure](unseen)].float().mean().item()


def learned(seed: int, labels: Tensor, weights_at: Callable[[int], Tensor], *, steps: int, measure: str) -> Run:
    """Train a tagger; return its accuracy in the end, and as a curve the accuracy before every tenth step.

    Shapes: ``labels`` (B, L) int64, for all sentences to train on; ``weights_at(step)`` (B, L) float, 0 at pads.

    >>> seen, _ = texts()
    >>> len(learned(0, seen.tags, lambda step: seen.is_word.float(), steps=2, measure="all words").curve)
    1
    """
    seen, _ = texts()
    model = Tagger(len(VOCABULARY), len(TAGS), bidirectional=True, seed=seed)
    rows_of, curve = draws(range(len(seen.ids)), size=32, seed=seed), []

    def loss_of(step: int) -> Tensor:
        if step % 10 == 0:
            curve.append(accuracy(model, measure))
        rows = rows_of(step)
        losses = token_losses(model(seen.ids[rows], seen.lengths[rows]), labels[rows], seen.is_word[rows])
        return reduce(losses, weights_at(step)[rows])

    train(model, loss_of, steps=steps, lr=1e-2)
    return Run(accuracy(model, measure), curve)


# --- Annotators who disagree -----------------------------------------------------------------------------------------


def votes(
    text: LabelledBatch, guesses: Tensor | None = None, *, unclear: tuple[float, float] = UNCLEAR, seed: int
) -> Tensor:
    """What ten annotators say about each word.

    They know the true tag of a clear word, and only slip now and then; of an unclear one they all guess it. By default
    60 % of the ambiguous words are unclear, and 5 % of the others. A guess is any tag, or what ``guesses`` says.
    Shapes: ``guesses`` (B, L) int64 or None → (B, L, 10) int64, −1 at pads.

    >>> from masklab.corpus import RUNNING
    >>> votes(batch(RUNNING[1:2]), unclear=(0.0, 1.0), seed=3)[0]  # The cat ate fish: 4 is DET, 5 NOUN, 10 VERB
    tensor([[ 4,  4,  4,  4,  4,  4,  4,  4,  4,  4],
            [ 5,  5,  5,  5,  5,  5,  5,  5,  5,  4],
            [10, 10, 10, 10, 10, 10, 10, 10, 10, 10],
            [ 4,  2,  3,  0,  5,  7,  9,  0,  2,  6]])
    """
    generator = torch.Generator().manual_seed(seed)
    truth = text.tags[..., None].expand(-1, -1, ANNOTATORS)  # (B, L, 10)
    share = torch.where(ambiguous(text), unclear[1], unclear[0])  # (B, L)
    nobody_knows = torch.rand(share.shape, generator=generator) < share
    slips = torch.rand(truth.shape, generator=generator) < SLIPS
    guess = torch.randint(len(TAGS), truth.shape, generator=generator)
    if guesses is not None:
        guess = guesses[..., None].expand_as(truth)
    said = guess.where(nobody_knows[..., None] | slips, truth)
    return said.masked_fill(~text.is_word[..., None], -1)


def usual_tags(part: Sequence[Example]) -> Tensor:
    """The tag that each word usually has, whatever its sentence: (B, L) int64, 0 at pads.

    >>> fishing = Example(("Cats", "fish"), ("NOUN", "VERB"), "FOOD", cue=1)
    >>> [TAGS[i] for i in usual_tags([fishing])[0]]
    ['NOUN', 'NOUN']
    """
    return batch([replace(one, tags=tuple(USUAL[word.lower()] for word in one.words)) for one in part]).tags


def annotator_noise(
    *,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 80,
    measure: str = "ambiguous words",
    guess: str = "any tag",
    unclear: tuple[float, float] = UNCLEAR,
) -> Result:
    """Should words on which annotators disagree count less?

    Ten annotators vote on every word (`votes`), and the tagger learns what most of them said, right or wrong.
    Variants: a label weighs as much as its share of the votes, or all labels weigh the same.
    Measured: the accuracy on held-out sentences, by true tags, of the ambiguous words, or of others (`MEASURES`).
    ``curves``: the same before every tenth step. The level is what true tags to learn from would give.

    The weights help because wrong guesses are scattered. With ``guess="usual tag"`` everybody who does not know gives
    the tag that the word usually has: all agree on the same error, no weight can show it, and nothing is gained.
    Raises ValueError for an unknown ``measure`` or ``guess``.

    >>> list(annotator_noise(seeds=(0,), steps=2).scores)
    ['weighted by agreement', 'all the same']
    """
    validate.one_of(tuple(MEASURES), measure=measure)
    validate.one_of(("any tag", "usual tag"), guess=guess)
    seen, _ = texts()
    guesses = usual_tags(examples()[0]) if guess == "usual tag" else None
    same = seen.is_word.float()

    def run(name: str, seed: int) -> Run:
        labels, agreement = agreement_weights(votes(seen, guesses, unclear=unclear, seed=seed))
        weights = agreement if name == "weighted by agreement" else same
        return learned(seed, labels, lambda step: weights, steps=steps, measure=measure)

    with one_thread():
        level = mean(learned(seed, seen.tags, lambda step: same, steps=steps, measure=measure).score for seed in seeds)
    return Result(
        question="Should words on which annotators disagree count less?",
        measure=f"accuracy at {measure}",
        better="higher",
        right="weighted by agreement",
        level=level,
        level_name="true labels, all the same",
        **collect(run, ("weighted by agreement", "all the same"), seeds),
    )


# --- Hard words that wait --------------------------------------------------------------------------------------------


def stage_at(step: int, *, steps: int, rises: float) -> float:
    """The hardest difficulty that counts at a step: it rises from 0 in the first ``rises`` of all steps, then stays.

    >>> [stage_at(step, steps=8, rises=0.5) for step in range(8)]
    [0.0, 0.5, 1.0, 1.5, 2.0, 2.0, 2.0, 2.0]
    """
    return HARDEST if step >= rises * steps else HARDEST * step / (rises * steps)


def curriculum(
    *, seeds: Sequence[int] = (0, 1, 2), steps: int = 120, measure: str = "ambiguous words", rises: float = 0.5
) -> Result:
    """Does it help to learn easy words first? Here it does not.

    Difficulty is the corpus's: 0 for a word with one tag, 1 for the usual tag of two, 2 for the other one.
    Variants: all words count from the first step; or, with a curriculum, a word counts once the stage has reached its
    difficulty, and the stage rises in the first ``rises`` of all steps (`stage_at`): by default words of difficulty 1
    count after a quarter of the steps, and those of 2 after half.
    Both read whole sentences. Measured: the accuracy on held-out sentences, of the ambiguous words, or of others
    (`MEASURES`), at the end; ``curves``: the same before every tenth step.

    Words that wait are learned later, and the others hardly earlier: the hard ones were not in their way.
    Raises ValueError for an unknown ``measure``. Sources: Bengio et al. 2009, "Curriculum learning", for the idea;
    Wu et al. 2021, arXiv 2012.03107, who find hardly any benefit, except with little time or noisy labels.

    >>> list(curriculum(seeds=(0,), steps=2).scores)
    ['all at once', 'easy first']
    """
    validate.one_of(tuple(MEASURES), measure=measure)
    seen, unseen = texts()

    def run(name: str, seed: int) -> Run:
        def weights_at(step: int) -> Tensor:
            stage = stage_at(step, steps=steps, rises=rises) if name == "easy first" else HARDEST
            return curriculum_weights(seen.difficulty, stage=stage)  # 0 at pads: their difficulty is infinite

        return learned(seed, seen.tags, weights_at, steps=steps, measure=measure)

    return Result(
        question="Does it help to learn easy words first?",
        measure=f"accuracy at {measure}",
        better="higher",
        right="all at once",
        level=(unseen.difficulty[MEASURES[measure](unseen)] < HARDEST).float().mean().item(),
        level_name="each word's usual tag",
        **collect(run, ("all at once", "easy first"), seeds),
    )
