"""The checks of lesson 02: last words, their states, a packed GRU, a tagger's loss, a mean over words.

>>> last_word(lambda is_word: is_word.sum(dim=1) - 1).misconception
'padding always on the right'
>>> last_states(lambda states, is_word: states[:, -1]).misconception
'last position'
>>> run_packed(lambda gru, x, lengths: (gru(x)[0], gru(x)[0][:, -1])).misconception
'pads are read'
>>> tagger_loss(lambda logits, tags, is_word: F.cross_entropy(logits[is_word], tags[is_word])).state
'right'
>>> mean_pool(lambda states, is_word: states.mean(dim=1)).misconception
'pads counted'
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from masklab.check import cases, oracles
from masklab.check.answers import same
from masklab.check.exercise import Exercise
from masklab.check.misconceptions import Misconception, Note, forms, no_gradient, one_of, only_in_rows
from masklab.check.pictures import compared, first_difference, given, positions, sentence_grid
from masklab.models.private import private_seed


def _words(is_word: Tensor):
    """The panel of which positions are words."""
    return given(is_word, kind="mask", title="words", **sentence_grid(is_word))


def _draw_pooled(answer: Tensor, right: Tensor, states: Tensor, is_word: Tensor):
    """One vector for each sentence, beside the words that it comes from."""
    pair = compared(answer, right, kind="output", title="vectors", rows=sentence_grid(is_word)["rows"],
                    columns=positions(states.shape[2]), axes=("sentence", "feature"))  # fmt: skip
    return [_words(is_word), *pair]


def _no_words(*case) -> Tensor:
    """Which sentences have no word. Shape: (batch,) bool."""
    return ~case[-1].any(dim=1)


def _with_minus_1(way: Callable[[Tensor], Tensor]) -> tuple[Callable, Callable]:
    """A way to find an index, and the same with −1 for a sentence without words, which may well be right."""
    return way, lambda is_word: way(is_word).masked_fill(_no_words(is_word), -1)


# A sentence without words: alone, first, last, and between others.
_WITHOUT_WORDS = [
    torch.tensor([[False, False, False]]),
    torch.tensor([[False, False, False, False], [True, True, False, False]]),
    torch.tensor([[False, False, True, True], [False, False, False, False]]),
    torch.tensor([[True, False, False], [False, False, False], [True, True, True]]),
]

# --- 1 · The last word ----------------------------------------------------------------------------------------------


def _draw_last_word(answer: Tensor, right: Tensor, is_word: Tensor):
    pair = compared(answer[:, None], right[:, None], kind="ids", title="indices", rows=sentence_grid(is_word)["rows"],
                    columns=["last word"], axes=("sentence", "index"))  # fmt: skip
    return [_words(is_word), *pair]


last_word = Exercise(
    name="last_word",
    asks="the index of each sentence's last word, and −1 for a sentence without words: (batch,) int64",
    takes="is_word",
    cases=[
        *((is_word,) for is_word in cases.padded_batches(16)),
        (torch.tensor([[True, True, True, False, False]]),),
        *((is_word,) for is_word in _WITHOUT_WORDS),
    ],
    definition=oracles.last_words,
    picture=_draw_last_word,
    wrong=[
        *forms("padding always on the right", "you count the words and subtract 1. That is the last word's index only "
               "where the words come first: with padding on the left, where is it?",
               lambda is_word: is_word.sum(dim=1) - 1,
               lambda is_word: (is_word.sum(dim=1) - 1).clamp(min=0)),
        *forms("counts", "you count the words. Three words at the start have the indices 0, 1 and 2; and with padding "
               "on the left the count says nothing about where they are.",
               *_with_minus_1(lambda is_word: is_word.sum(dim=1))),
        *forms("last position", "you return the last position of the batch for every sentence. With padding on the "
               "right that is a pad for all but the longest.",
               *_with_minus_1(lambda is_word: torch.full((len(is_word),), is_word.shape[1] - 1))),
        *forms("first word", "you return the *first* word. If you use argmax: it finds the first True. What happens if "
               "you flip the row before?",
               *_with_minus_1(lambda is_word: is_word.int().argmax(dim=1))),
        *forms("counted from the end", "you return how far from the end the last word is. Indices count from the "
               "start: there are L positions, and the last has the index L − 1.",
               *_with_minus_1(lambda is_word: is_word.flip(1).int().argmax(dim=1)),
               lambda is_word: torch.where(_no_words(is_word), is_word.shape[1], is_word.flip(1).int().argmax(dim=1))),
        *forms("before the first pad", "you look for the first pad and step back by one. With padding on the left the "
               "first pad is at index 0, and a sentence that fills the batch has none.",
               *_with_minus_1(lambda is_word: (~is_word).int().argmax(dim=1) - 1)),
        Misconception("stops at the first pad", "you stop at the first pad. With padding on the left it comes before "
                      "all words: go through every position, and keep the last True.",
                      gives=lambda is_word: is_word.int().cumprod(dim=1).sum(dim=1) - 1),
        *forms("inverted", "inverted: you return the last *pad*. In `is_word` True is a word.",
               lambda is_word: oracles.last_words(~is_word),
               *_with_minus_1(lambda is_word: is_word.shape[1] - 1 - (~is_word).flip(1).int().argmax(dim=1))),
        *forms("one too far", "one too far: your index is the one after the last word.",
               *_with_minus_1(lambda is_word: oracles.last_words(is_word) + 1),
               lambda is_word: is_word.shape[1] - is_word.flip(1).int().argmax(dim=1)),
        *forms("one too early", "one too early: your index is the one before the last word.",
               *_with_minus_1(lambda is_word: oracles.last_words(is_word) - 1)),
        Misconception("left out", "a sentence without words is left out. There is an index for every sentence: −1 for "
                      "one without words.",
                      gives=lambda is_word: oracles.last_words(is_word)[is_word.any(dim=1)]),
        Misconception("a sentence without words", "only a sentence without words goes wrong. It has no last word, so "
                      "its index is −1. `is_word.any(dim=1)` says which sentences have one.",
                      shows=only_in_rows(_no_words), always=True),
    ],
    notes=[
        Note(
            "floats",
            "One thing to know: your indices are floats, and a tensor takes no floats as an index: .long() converts "
            "them.",
            case=(torch.tensor([[True, False]]),),
            shows=lambda answer: answer.is_floating_point(),
        )
    ],
)  # fmt: skip

# --- 2 · The state at the last word ---------------------------------------------------------------------------------


def _at(index: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """The states at an index that follows from ``is_word``; −1 is the last position."""
    return lambda states, is_word: states[torch.arange(len(states)), index(is_word)]


def _for_all(one: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """One of the last words' indices, for every sentence."""
    return lambda is_word: one(oracles.last_words(is_word)).expand(len(is_word))


def _one_feature(states: Tensor, is_word: Tensor) -> Tensor:
    """What gather gives for an index that isn't expanded: one number a sentence. Shape: (batch, 1, 1)."""
    return oracles.states_at_last_words(states, is_word)[:, None, :1]


last_states = Exercise(
    name="last_states",
    asks="each sentence's state at its last word: (batch, features)",
    takes="states, is_word",
    # The last one is a batch of one.
    cases=[*cases.states_and_words(16), (torch.arange(12.0).view(1, 3, 4), torch.tensor([[True, True, False]]))],
    definition=oracles.states_at_last_words,
    picture=_draw_pooled,
    wrong=[
        Misconception("last position", "you read the last position of every sentence. With padding on the right that "
                      "is a pad for all but the longest: which position is each sentence's last word?",
                      gives=lambda states, is_word: states[:, -1]),
        Misconception("padding always on the right", "you count the words and subtract 1. With padding on the left "
                      "that is another position: the rightmost True of `is_word` is right on both sides.",
                      gives=_at(lambda is_word: is_word.sum(dim=1) - 1)),
        *forms("every index for every sentence", "every sentence is read at the last words of *all* sentences: "
               "(batch, batch, features). A `:` takes all rows. torch.arange(batch) in its place pairs each sentence "
               "with its own index.",
               lambda states, is_word: states[:, oracles.last_words(is_word)]),
        *forms("one feature", "`gather` took one number for each sentence, not a whole state. It returns a tensor of "
               "the index's shape: expand the index to (batch, 1, features).",
               _one_feature,
               lambda states, is_word: _one_feature(states, is_word)[:, 0],
               lambda states, is_word: _one_feature(states, is_word).squeeze()),
        *forms("one index for all", "every sentence is read at the same index. Each has a last word of its own, and so "
               "an index of its own.",
               _at(_for_all(lambda last: last[0])), _at(_for_all(lambda last: last.max()))),
        Misconception("counted from the end", "you count from the end, and read at that index from the start: there "
                      "are L positions, and the last has the index L − 1.",
                      gives=_at(lambda is_word: is_word.flip(1).int().argmax(dim=1))),
        Misconception("squeezed", "right, but not for a batch of one: `squeeze()` drops *every* axis of size 1, the "
                      "batch's too. squeeze(1) drops axis 1 and no other.",
                      gives=lambda states, is_word: oracles.states_at_last_words(states, is_word).squeeze()),
        *forms("zeros at the padding", "you set the padding's states to zero and read the last position. With padding "
               "on the right that reads the zeros.",
               lambda states, is_word: (states * is_word[:, :, None])[:, -1]),
        Misconception("first word", "you read the *first* word's state, which has read one word. The last word's state "
                      "has read them all.",
                      gives=_at(lambda is_word: is_word.int().argmax(dim=1))),
        Misconception("one too early", "one too early: you read the state before the last word.",
                      gives=_at(lambda is_word: oracles.last_words(is_word) - 1)),
        *forms("mixed", "you mix the states of many positions. The state at the last word has read all the words: "
               "return that one alone.",
               oracles.word_means,
               lambda states, is_word: (states * is_word[:, :, None]).sum(dim=1),
               lambda states, is_word: states.masked_fill(~is_word[:, :, None], -math.inf).amax(dim=1),
               lambda states, is_word: states.mean(dim=1),
               lambda states, is_word: states.amax(dim=1)),
    ],
    notes=[
        no_gradient(torch.zeros(1, 2, 3, requires_grad=True), torch.tensor([[True, False]])),
        Note(
            "−1 wraps around",
            "One thing to know: a sentence without words gets the state of the last position, a pad. Its index is −1, "
            "and to a tensor that means the last.",
            case=(torch.tensor([[[1.0], [2.0]]]), torch.tensor([[False, False]])),
            shows=lambda answer: bool((answer == 2).all()),
        ),
    ],
)  # fmt: skip

# --- 3 · Pack and unpack --------------------------------------------------------------------------------------------

with private_seed(cases.SEED):
    _GRUS = [
        nn.GRU(3, 4, num_layers=layers, bidirectional=both, batch_first=True)
        for layers, both in ((1, False), (1, True), (2, False), (2, True))
    ]


def _gru_case(i: int, lengths: Tensor, total: int) -> tuple[nn.GRU, Tensor, Tensor]:
    """Random vectors; those of the padding are long, so that whoever reads them goes far astray."""
    x = torch.randn(len(lengths), total, 3, generator=cases.generator(i))
    is_word = oracles.word_positions(lengths, total, side="right")
    return _GRUS[i % 4], torch.where(is_word[:, :, None], x, 8 * x), lengths


def _run(gru: nn.GRU, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """What a packed run gives: (batch, length, H), zeros at the padding, and h_n (layers · directions, batch, size)."""
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    out, final = gru(packed)
    return nn.utils.rnn.pad_packed_sequence(out, batch_first=True, total_length=x.shape[1])[0], final


def _last_is(way: Callable[[Tensor, Tensor, nn.GRU, Tensor], Tensor]) -> Callable:
    """Right outputs, and last states that come from them, from h_n, the GRU and the lengths in some way."""

    def gives(gru: nn.GRU, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        out, final = _run(gru, x, lengths)
        return out, way(out, final, gru, lengths)

    return gives


def _side_by_side(final: Tensor, gru: nn.GRU) -> Tensor:
    """The last layer's final states: (layers · directions, batch, size) → (batch, H)."""
    return torch.cat([*final[-2:]], dim=-1) if gru.bidirectional else final[-1]


def _packed_results(gru: nn.GRU, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    out, final = _run(gru, x, lengths)
    return out, _side_by_side(final, gru)


def _reads_pads(answer: tuple, right: tuple, gru: nn.GRU, x: Tensor, lengths: Tensor) -> bool:
    """Whether the last states, or the outputs at words, are those of a run over the padding, as it is or as zeros."""
    is_word = oracles.word_positions(lengths, x.shape[1], side="right")
    for out, final in (gru(x), gru(x * is_word[:, :, None])):
        at_words = [part[is_word] for part in (answer[0], right[0], out)]
        at_the_end = [answer[1], right[1], _side_by_side(final, gru)]
        if any(not same(one, expected) and same(one, wrong) for one, expected, wrong in (at_words, at_the_end)):
            return True
    return False


def _as_it_is(gru: nn.GRU, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """A run over the padding and h_n[-1], whose form doesn't fit if there are two directions."""
    out, final = gru(x)
    return out, final[-1]


def _another_order(answer: tuple, right: tuple, gru: nn.GRU, x: Tensor, lengths: Tensor) -> bool:
    """Whether the sentences are in the order of their lengths, or sorted twice."""
    order = lengths.argsort(descending=True)
    return any(
        not same(one, expected) and (same(one, expected[order]) or same(one, expected[order][order]))
        for one, expected in zip(answer, right, strict=True)
    )


def _only_pads_differ(answer: tuple, right: tuple, gru: nn.GRU, x: Tensor, lengths: Tensor) -> bool:
    is_word = oracles.word_positions(lengths, x.shape[1], side="right")
    return same(answer[0][is_word], right[0][is_word]) and same(answer[1], right[1])


def _draw_run_packed(answer: tuple, right: tuple, gru: nn.GRU, x: Tensor, lengths: Tensor):
    is_word, columns = oracles.word_positions(lengths, x.shape[1], side="right"), positions(right[1].shape[1])
    if same(answer[0], right[0]):
        pair = compared(answer[1], right[1], kind="output", title="last states", rows=sentence_grid(is_word)["rows"],
                        columns=columns, axes=("sentence", "feature"))  # fmt: skip
        return [_words(is_word), *pair]
    i = first_difference(answer[0], right[0])
    return compared(answer[0][i], right[0][i], kind="output", title=f"out of sentence {i}", columns=columns,
                    rows=positions(x.shape[1]), axes=("position", "feature"),
                    row_pads=(~is_word[i]).tolist())  # fmt: skip


_PADS_ARE_READ = (
    "the GRU reads the padding: its state moves on with each pad, and a second direction even starts there. "
    "pack_padded_sequence takes the lengths and leaves the pads out."
)
run_packed = Exercise(
    name="run_packed",
    asks="a GRU's outputs (batch, length, H), zeros at the padding, and its last states (batch, H); no pad is read",
    takes="gru, x, lengths",
    # All of one length, one word in all, and a batch of one.
    cases=[
        *(_gru_case(i, *one) for i, one in enumerate(cases.lengths_and_total(12))),
        _gru_case(1, torch.tensor([4, 4]), 4),
        _gru_case(0, torch.tensor([1]), 1),
        _gru_case(3, torch.tensor([3]), 5),
    ],
    definition=oracles.read_alone,
    picture=_draw_run_packed,
    wrong=[
        Misconception("pads are read", _PADS_ARE_READ, shows=_reads_pads),
        Misconception("pads are read", _PADS_ARE_READ, gives=_as_it_is),
        Misconception("last position", "you read the last position. In a packed run no state is computed there for a "
                      "shorter sentence: its outputs are zeros. The final states are the second thing that the GRU "
                      "returns.",
                      gives=_last_is(lambda out, final, gru, lengths: out[:, -1])),
        Misconception("order not restored", "the sentences come back in another order than they came in. If you sort "
                      "by length before packing, undo it afterwards, in both results; enforce_sorted=False does it "
                      "for you.",
                      shows=_another_order),
        *forms("sorted apart", "x and the lengths are not in the same order, so sentences get each other's lengths. "
               "Sort both, or neither: enforce_sorted=False does it for you.",
               lambda gru, x, lengths: _packed_results(gru, x, lengths.sort(descending=True).values),
               lambda gru, x, lengths: _packed_results(gru, x[lengths.argsort(descending=True)], lengths)),
        *forms("as wide as the longest", "your outputs are as wide as the longest sentence. The batch may be wider: "
               "pad_packed_sequence has an argument `total_length`.",
               lambda gru, x, lengths: (
                   _run(gru, x, lengths)[0][:, : lengths.max()], oracles.read_alone(gru, x, lengths)[1]
               )),
        *forms("one direction", "only one direction's final state. A bidirectional GRU has two, and both belong in "
               "the result: torch.cat puts them side by side.",
               _last_is(lambda out, final, gru, lengths: final[-1]),
               _last_is(lambda out, final, gru, lengths: final[-2] if gru.bidirectional else final[-1]),
               _last_is(lambda out, final, gru, lengths: final[0])),
        Misconception("out at the last word", "right for one direction. The second one reads from right to left: at "
                      "the last word it has read only that word. Its final state is at the *first* word, and h_n has "
                      "both.",
                      gives=_last_is(lambda out, final, gru, lengths: out[torch.arange(len(out)), lengths - 1])),
        Misconception("directions swapped", "the two directions are swapped: h_n[-2] has read from left to right and "
                      "comes first, as in `out`.",
                      gives=_last_is(lambda out, final, gru, lengths: _side_by_side(
                          final.flip(0)[:2] if gru.bidirectional else final, gru))),
        Misconception("on top of each other", "the two directions are stacked along the batch: without a `dim`, "
                      "torch.cat joins along the first axis, and that is the batch. dim=-1 puts them side by side.",
                      gives=_last_is(lambda out, final, gru, lengths: (
                          torch.cat([*final[-2:]]) if gru.bidirectional else final[-1]))),
        Misconception("results swapped", "the two results are swapped: out comes first, then the last states.",
                      gives=lambda gru, x, lengths: oracles.read_alone(gru, x, lengths)[::-1]),
        *forms("reshaped", "sentences get mixed. In h_n the directions are the first axis and the sentences the "
               "second; `view` and `reshape` don't swap them: use torch.cat.",
               _last_is(lambda out, final, gru, lengths: final.reshape(len(out), -1)),
               _last_is(lambda out, final, gru, lengths: (
                   final[-2:] if gru.bidirectional else final[-1:]).reshape(len(out), -1))),
        Misconception("h_n as it is", "this is all of h_n: (layers · directions, batch, size). The last layer's final "
                      "state is h_n[-1]; with two directions it is h_n[-2] and h_n[-1], side by side.",
                      gives=_last_is(lambda out, final, gru, lengths: final)),
        Misconception("all layers", "these are the final states of all layers, side by side. Return only the last "
                      "layer's: they come last in h_n.",
                      gives=_last_is(lambda out, final, gru, lengths: torch.cat([*final], dim=-1))),
        *forms("first layer", "the *first* layer's final states get in. The last layer's are at the end of h_n.",
               _last_is(lambda out, final, gru, lengths: torch.cat([final[0], final[-1]], dim=-1) if gru.bidirectional
                        else final[-1]),
               _last_is(lambda out, final, gru, lengths: torch.cat([*final[:2]], dim=-1) if gru.bidirectional
                        else final[0])),
        *forms("time first", "your outputs are (length, batch, H). pad_packed_sequence, too, has an argument "
               "batch_first.",
               lambda gru, x, lengths: (
                   _run(gru, x, lengths)[0].transpose(0, 1), oracles.read_alone(gru, x, lengths)[1]
               )),
        Misconception("no zeros at the padding", "the outputs are right at the words, but those at the padding are "
                      "not zeros.",
                      shows=_only_pads_differ, always=True),
    ],
    notes=[no_gradient(*_gru_case(0, torch.tensor([1, 2]), 2))],
)  # fmt: skip

# --- 4 · A tagger's loss --------------------------------------------------------------------------------------------


def _tagger_case(i: int, is_word: Tensor, pad: int | None) -> tuple[Tensor, Tensor, Tensor]:
    """Random logits for 5 tags; at the padding the tags are ``pad``, or random classes."""
    g = cases.generator(i)
    logits, tags = torch.randn(*is_word.shape, 5, generator=g), torch.randint(5, is_word.shape, generator=g)
    return logits, tags if pad is None else tags.masked_fill(~is_word, pad), is_word


def _sure_case() -> tuple[Tensor, Tensor, Tensor]:
    """Like another case, but the tagger is so sure of one word that its loss is exactly 0."""
    logits, tags, is_word = _tagger_case(15, cases.padded_batches(2)[1], 0)
    logits[0, 0, tags[0, 0]] = 40.0
    return logits, tags, is_word


def _known(tags: Tensor) -> Tensor:
    """The tags, with −100 in place of what is none."""
    return tags.where((tags >= 0) & (tags < 5), -100)


def _each(logits: Tensor, tags: Tensor) -> Tensor:
    """The loss at each position; what is no tag counts 0, as −100 does. Shape: (batch, length)."""
    return F.cross_entropy(logits.mT, _known(tags), reduction="none")


# The mean over all positions: of the tags as they are, with 0 or any tag at the padding, and with a loss of 0 for what
# is no tag. Or the sum over all positions, divided by the number of words.
_PADS_COUNTED: tuple[Callable, ...] = (
    lambda logits, tags, is_word: F.cross_entropy(logits.mT, _known(tags)),
    lambda logits, tags, is_word: F.cross_entropy(logits.mT, tags.masked_fill(~is_word, 0)),
    lambda logits, tags, is_word: F.cross_entropy(logits.mT, tags.clamp(0, 4)),
    lambda logits, tags, is_word: _each(logits, tags).mean(),
    lambda logits, tags, is_word: _each(logits, tags).sum() / is_word.sum(),
    lambda logits, tags, is_word: _each(logits, tags.masked_fill(~is_word, 0)).sum() / is_word.sum(),
)


def _over_words(way: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The right mean, but of other logits."""
    return lambda logits, tags, is_word: F.cross_entropy(way(logits)[is_word], tags[is_word])


def _means(logits: Tensor, tags: Tensor, is_word: Tensor) -> Tensor:
    """The mean over each sentence's words; NaN where there are none. Shape: (batch,)."""
    return (_each(logits, tags) * is_word).sum(dim=1) / is_word.sum(dim=1)


def _draw_tagger_loss(answer: Tensor, right: Tensor, logits: Tensor, tags: Tensor, is_word: Tensor):
    losses = given(oracles.word_losses(logits, tags, is_word), kind="loss", title="losses", blocked=~is_word,
                   meaning="The loss of each word. The padding is hatched.", **sentence_grid(is_word))  # fmt: skip
    pair = compared(answer.reshape(1, 1), right.reshape(1, 1), kind="loss", title="loss", rows=["batch"],
                    columns=["mean"], axes=("batch", "mean"))  # fmt: skip
    return [losses, *pair]


tagger_loss = Exercise(
    name="tagger_loss",
    asks="the mean cross-entropy over all words of the batch: one number",
    takes="logits, tags, is_word",
    # A sentence without words, numbers at the padding that are no class at all, and a word whose loss is 0.
    cases=[
        *(_tagger_case(i, is_word, (0, None, -100)[i % 3]) for i, is_word in enumerate(cases.padded_batches(12))),
        _tagger_case(12, _WITHOUT_WORDS[3], None),
        _tagger_case(13, cases.padded_batches(2)[1], 99),
        _tagger_case(14, cases.padded_batches(1)[0], -1),
        _sure_case(),
    ],
    definition=lambda logits, tags, is_word: oracles.word_losses(logits, tags, is_word).sum() / is_word.sum(),
    picture=_draw_tagger_loss,
    wrong=[
        *forms("pads counted", "the padding counts: its losses are in the mean as well. Choose the words first, with "
               "logits[is_word], or put −100 into the tags at the padding.",
               *_PADS_COUNTED),
        Misconception("divided by all positions", "the losses at the padding are gone, but you still divide by all "
                      "positions. More padding makes this loss smaller: divide by the number of words.",
                      gives=lambda logits, tags, is_word: (_each(logits, tags) * is_word).mean()),
        Misconception("mean of means", "each sentence weighs the same: you take the mean within each sentence first. "
                      "Here each *word* weighs the same: one sum, divided by the number of all words.",
                      shows=one_of(
                          lambda *case: _means(*case).nanmean(),
                          lambda *case: _means(*case).nan_to_num().mean(),
                          lambda *case: _means(*case).nansum(),
                          lambda *case: _means(*case).mean(),
                      ), always=True),
        Misconception("sum", "this is the sum over the words, not the mean: divide by the number of words.",
                      gives=lambda logits, tags, is_word: (_each(logits, tags) * is_word).sum()),
        Misconception("divided by sentences", "you divide by the number of sentences. The mean over words divides by "
                      "the number of words.",
                      gives=lambda logits, tags, is_word: (_each(logits, tags) * is_word).sum() / len(tags)),
        Misconception("divided by the length", "you divide by the length of the batch. The mean over words divides by "
                      "the number of words.",
                      gives=lambda logits, tags, is_word: (_each(logits, tags) * is_word).sum() / tags.shape[1]),
        *forms("tag 0 left out", "words with the tag 0 are left out. 0 is a tag like any other: `is_word` says what "
               "is padding.",
               lambda logits, tags, is_word: F.cross_entropy(logits[is_word], tags[is_word], ignore_index=0),
               lambda logits, tags, is_word: F.cross_entropy(logits.mT, _known(tags).clamp(min=0), ignore_index=0),
               lambda logits, tags, is_word: (_each(logits, tags) * (is_word & (tags > 0))).sum() / is_word.sum()),
        *forms("logits set to 0", "you set the logits to 0 at the padding. Equal logits are a guess, and each "
               "pad still has a loss: leave the pads out of the loss.",
               *(lambda logits, tags, is_word, way=way: way(logits * is_word[:, :, None], tags, is_word)
                 for way in _PADS_COUNTED)),
        Misconception("softmax twice", "softmax is taken twice: cross_entropy takes logits and does it itself.",
                      gives=_over_words(lambda logits: logits.softmax(dim=-1))),
        *forms("softmax along another axis", "softmax runs along another axis. A word's scores for the tags are on the "
               "last one: dim=-1.",
               lambda logits, tags, is_word: F.nll_loss(logits.log_softmax(dim=1)[is_word], tags[is_word]),
               lambda logits, tags, is_word: F.nll_loss(logits[is_word].log_softmax(dim=0), tags[is_word])),
        *forms("no logarithm", "these are not log-probabilities. log_softmax makes them from logits. nll_loss leaves "
               "that to you; cross_entropy does it itself.",
               lambda logits, tags, is_word: F.nll_loss(logits[is_word], tags[is_word]),
               lambda logits, tags, is_word: F.nll_loss(logits.softmax(dim=-1)[is_word], tags[is_word])),
        Misconception("losses of 0 left out", "you count the losses that are not 0. Where the tagger is sure, a word's "
                      "loss may be exactly 0, and it still is a word: is_word.sum() counts it.",
                      gives=lambda logits, tags, is_word: (
                          (losses := _each(logits, tags) * is_word).sum() / losses.count_nonzero())),
        Misconception("sign", "the sign is wrong: a loss is the *negative* logarithm of a probability, and at least 0.",
                      gives=lambda logits, tags, is_word: -F.cross_entropy(logits[is_word], tags[is_word])),
        Misconception("inverted", "inverted: your mean is over the padding. In `is_word` True is a word.",
                      gives=lambda logits, tags, is_word: F.cross_entropy(logits[~is_word], _known(tags)[~is_word])),
        *forms("classes on the wrong axis", "the logits get mixed. cross_entropy wants the classes on axis 1, and "
               "`view` or `reshape` doesn't swap axes: transpose(1, 2) does.",
               _over_words(lambda logits: logits.reshape(len(logits), 5, -1).mT)),
    ],
    notes=[no_gradient(torch.zeros(1, 1, 3, requires_grad=True), torch.tensor([[1]]), torch.tensor([[True]]))],
)  # fmt: skip

# --- 5 · The mean over words ----------------------------------------------------------------------------------------


def _sum(states: Tensor, is_word: Tensor) -> Tensor:
    """The sum over words. Shape: (batch, features)."""
    return states.masked_fill(~is_word[:, :, None], 0.0).sum(dim=1)


def _counts(is_word: Tensor) -> Tensor:
    """How many words each sentence has. Shape: (batch, 1)."""
    return is_word.sum(dim=1, keepdim=True)


def _where_telling(*ways: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., bool]:
    """The symptom of another vector, where each sentence has words and padding, and no state is NaN.

    Elsewhere different ways give the same: the mean over all positions is that over the padding if there is no word.
    """
    symptom = one_of(*ways)

    def shows(answer: Tensor, right: Tensor, states: Tensor, is_word: Tensor) -> bool:
        telling = states.isfinite().all() and is_word.any(dim=1).all() and (~is_word).any(dim=1).all()
        return bool(telling) and symptom(answer, right, states, is_word)

    return shows


def _nan_without_words(answer: Tensor, right: Tensor, states: Tensor, is_word: Tensor) -> bool:
    empty = _no_words(is_word)
    return bool(answer[empty].isnan().all()) and same(answer[~empty], right[~empty])


def _nan_gets_in(answer: Tensor, right: Tensor, states: Tensor, is_word: Tensor) -> bool:
    """Whether a sentence with words is NaN, and had NaN at its padding."""
    return bool(answer[states.isnan().flatten(1).any(dim=1) & is_word.any(dim=1)].isnan().any())


def _empty_cases(pads: float) -> list[tuple[Tensor, Tensor]]:
    """Batches with a sentence without words; all states are 1, and those of the padding are ``pads``."""
    return [(torch.ones(*w.shape, 4).masked_fill(~w[:, :, None], pads), w) for w in _WITHOUT_WORDS]


mean_pool = Exercise(
    name="mean_pool",
    asks="the mean of each sentence's states over its words, and zeros for one without words: (batch, features)",
    takes="states, is_word",
    # In the last one, some numbers in the words' states are 0.
    cases=[
        *cases.states_and_words(10),
        *_empty_cases(8.0),
        *cases.states_and_words(4, pads=math.nan),
        *_empty_cases(math.nan),
        (torch.ones(2, 4, 4).tril(-1), torch.tensor([[True, True, True, True], [True, True, False, False]])),
    ],
    definition=oracles.word_means,
    picture=_draw_pooled,
    wrong=[
        Misconception("pads counted", "the padding counts: its states are in the mean. `is_word` says which positions "
                      "belong in it.",
                      shows=_where_telling(
                          lambda states, is_word: states.mean(dim=1),
                          lambda states, is_word: states.sum(dim=1) / _counts(is_word),
                      )),
        Misconception("divided by all positions", "the sum is over the words, but you divide by all positions. A "
                      "sentence with more padding gets a smaller vector: divide by the number of its words.",
                      shows=_where_telling(lambda states, is_word: _sum(states, is_word) / is_word.shape[1])),
        Misconception("divided by the batch's words", "you divide by the words of the whole batch. Each sentence has "
                      "a count of its own: sum(dim=1).",
                      shows=_where_telling(lambda states, is_word: _sum(states, is_word) / is_word.sum())),
        Misconception("divided by one more", "you divide by one more than there are words. Adding 1 does avoid 0/0, "
                      "but it changes every mean: clamp(min=1) changes only 0.",
                      shows=_where_telling(lambda states, is_word: _sum(states, is_word) / (_counts(is_word) + 1))),
        Misconception("sum", "this is the sum, not the mean: divide by the number of words.",
                      shows=_where_telling(_sum)),
        Misconception("padding always on the right", "you count the words and take the first positions. With padding "
                      "on the left these are pads: `is_word` says itself where the words are.",
                      shows=_where_telling(lambda states, is_word: oracles.word_means(
                          states, torch.arange(states.shape[1]) < _counts(is_word)))),
        Misconception("inverted", "inverted: you keep the padding and drop the words. In `is_word` True is a word, and "
                      "masked_fill fills where its mask is True.",
                      shows=_where_telling(
                          lambda states, is_word: oracles.word_means(states, ~is_word),
                          lambda states, is_word: _sum(states, ~is_word) / _counts(is_word),
                      )),
        Misconception("last word", "you return the last word's state, as in exercise 2. Here it is the mean over all "
                      "words.",
                      shows=_where_telling(oracles.states_at_last_words)),
        Misconception("0/0", "only a sentence without words goes wrong: a sum over no words, divided by no words, is "
                      "0/0, and that is NaN. Its vector is zeros.",
                      shows=_nan_without_words, always=True),
        Misconception("a sentence without words", "only a sentence without words goes wrong: its vector is zeros.",
                      shows=only_in_rows(_no_words), always=True),
        Misconception("NaN replaced too late", "a NaN at the padding gets into the sum, and nan_to_num afterwards "
                      "turns the whole vector into zeros. Put zeros at the padding *before* you add up.",
                      gives=lambda states, is_word: (
                          (states * is_word[:, :, None]).sum(dim=1) / _counts(is_word)).nan_to_num()),
        *forms("zeros left out", "you count what is not 0. A word's state may well hold a 0: is_word.sum(dim=1) counts "
               "the words.",
               *(lambda states, is_word, all_of=all_of: _sum(states, is_word) / (
                   all_of(states != 0) & is_word[:, :, None]).sum(dim=1).clamp(min=1)
                 for all_of in (lambda there: there, lambda there: there.any(dim=2, keepdim=True)))),
        Misconception("NaN gets in", "a NaN at the padding gets into the mean. NaN × 0 is NaN, so a product with the "
                      "mask doesn't remove it. masked_fill and torch.where put a zero in its place.",
                      shows=_nan_gets_in),
    ],
    notes=[no_gradient(torch.zeros(1, 2, 3, requires_grad=True), torch.tensor([[True, False]]))],
)  # fmt: skip
