"""The checks of lesson 00: fill sentences up, say which positions are words, make batches with little padding.

>>> pad_batch(lambda sequences, side: oracles.padded(sequences, "right")).misconception
'always on the right'
>>> word_mask(lambda lengths, total, side: ~oracles.word_positions(lengths, total, side=side)).misconception
'inverted'
>>> batches(lambda lengths, size, seed: [[i] for i in range(len(lengths))]).misconception
'smaller batches'
"""

import itertools
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from masklab.check import cases, oracles
from masklab.check.answers import as_lists
from masklab.check.draws import everyones_randomness
from masklab.check.exercise import Exercise
from masklab.check.misconceptions import Misconception, Note, forms
from masklab.check.pictures import compared, given, positions
from masklab.check.running import Complaint
from masklab.panels import counted

SIDES = ("left", "right")


def _other(side: str) -> str:
    return "left" if side == "right" else "right"


def _in_one_or_both(right: Callable, wrong: Callable) -> list[Callable]:
    """A wrong answer on both sides, on the left only, and on the right only."""

    def on(*sides: str) -> Callable:
        return lambda x, *more: (wrong if more[-1] in sides else right)(x, *more)

    return [on(*SIDES), on("left"), on("right")]


# --- 1 · Fill sentences up ------------------------------------------------------------------------------------------


def _backwards(sequences: list[list[int]], side: str) -> Tensor:
    return oracles.padded([ids[::-1] for ids in sequences], side)


def _cut(sequences: list[list[int]], side: str) -> Tensor:
    shortest = min(map(len, sequences))
    return oracles.padded([ids[:shortest] for ids in sequences], side)


def _as_wide_as_the_first(sequences: list[list[int]], side: str) -> Tensor:
    return oracles.padded([ids[: len(sequences[0])] for ids in sequences], side)


def _another_order(answer: Tensor, right: Tensor, *_case) -> bool:
    return sorted(answer.tolist()) == sorted(right.tolist())


def _one_row_for_all(answer: Tensor, right: Tensor, *_case) -> bool:
    return bool((answer == answer[:1]).all()) and not bool((right == right[:1]).all())


def _another_filler(answer: Tensor, right: Tensor, sequences: list[list[int]], side: str) -> bool:
    """Whether all is right but what stands at the padding."""
    is_word = oracles.word_positions(torch.tensor([len(ids) for ids in sequences]), right.shape[1], side=side)
    return bool((answer == right)[is_word].all()) and bool((answer[~is_word] != 0).any())


def _draw_batch(answer: Tensor, right: Tensor, sequences: list[list[int]], side: str):
    return _drawn(answer, right, map(len, sequences), kind="ids", title=f"batch, padded on the {side}")


def _drawn(answer: Tensor, right: Tensor, lengths: Iterable[int], **parts):
    """The answer beside the right one; each row says how many words its sentence has."""
    rows, columns = [counted(n, "word") for n in lengths], positions(right.shape[1])
    return compared(answer, right, rows=rows, columns=columns, axes=("sentence", "position"), **parts)


pad_batch = Exercise(
    name="pad_batch",
    asks="sentences of different lengths as one tensor, filled up with 0 on one side: (batch, longest) int64",
    takes="sequences, side",
    # A batch of one, and sentences that are equally long.
    cases=[*cases.ragged(18), ([[5, 3]], "left"), ([[4, 2], [9, 7]], "right")],
    definition=oracles.padded,
    picture=_draw_batch,
    wrong=[
        *forms("always on the right", "your zeros are always on the right. `side` may also be \"left\": where do "
               "they go then?",
               lambda sequences, side: oracles.padded(sequences, "right")),
        *forms("always on the left", "your zeros are always on the left. `side` may also be \"right\": where do they "
               "go then?",
               lambda sequences, side: oracles.padded(sequences, "left")),
        *forms("sides swapped", "left and right are swapped. With \"left\" the zeros come first, and then the words.",
               lambda sequences, side: oracles.padded(sequences, _other(side))),
        *forms("backwards", "some sentences come out backwards. Their words stay in order, on whichever side the zeros "
               "are.",
               *_in_one_or_both(oracles.padded, _backwards)),
        *forms("as wide as the first", "your batch is as wide as its *first* sentence is long. Another one may be "
               "longer: how long is the longest of all?",
               _as_wide_as_the_first),
        *forms("cut to the shortest", "your batch is as wide as the shortest sentence, and the ends of the others are "
               "lost. How wide must it be so that no word is lost?",
               *_in_one_or_both(oracles.padded, _cut)),
        *forms("one column too many", "your batch is one column wider than the longest sentence. The longest needs no "
               "zero at all.",
               *[lambda sequences, side, ends=ends: F.pad(oracles.padded(sequences, side), ends)
                 for ends in ((0, 1), (1, 0))],
               lambda sequences, side: F.pad(oracles.padded(sequences, side), (0, 1) if side == "right" else (1, 0))),
        *forms("empty sentences lost", "a sentence without words has no row in your batch. It is still a sentence: "
               "its row is nothing but zeros.",
               lambda sequences, side: oracles.padded([ids for ids in sequences if ids], side)),
        *forms("positions first", "rows and columns are swapped: your batch has a row for each position. Here each row "
               "is a sentence. (pad_sequence does that with batch_first=True.)",
               lambda sequences, side: oracles.padded(sequences, side).T),
        Misconception("one row for all", "all rows of your batch are the same. (`[row] * 3` is a list that holds "
                      "the same row three times: write into one, and you write into all.)",
                      shows=_one_row_for_all, always=True),
        Misconception("another order", "each row is right, but they come in another order. Row 0 belongs to sentence "
                      "0, row 1 to sentence 1: whatever else goes with the batch is in this order, too.",
                      shows=_another_order, always=True),
        Misconception("another filler", "the words are right, but not all of the padding is 0.", shows=_another_filler),
        Misconception("not int64", "the numbers are right, but they are not int64. torch.tensor makes int64 from lists "
                      "of integers, but floats from an empty list, and torch.zeros makes floats, too. Both take "
                      "dtype=torch.int64.",
                      shows=lambda answer, *_case: answer.dtype != torch.int64),
    ],
)  # fmt: skip

# --- 2 · Which positions are words? ---------------------------------------------------------------------------------


def _words(lengths: Tensor, total: int, side: str, more: int = 0) -> Tensor:
    """The right answer, or one with more or fewer words in each sentence."""
    return oracles.word_positions((lengths + more).clamp(0, total), total, side=side)


def _draw_words(answer: Tensor, right: Tensor, lengths: Tensor, total: int, side: str):
    return _drawn(answer, right, lengths.tolist(), kind="mask", title=f"mask, padding on the {side}")


word_mask = Exercise(
    name="word_mask",
    asks="which positions are words, with the padding on either side: (batch, total) bool, True = a word",
    takes="lengths, total, side",
    # A batch of one, a sentence without a word, and a wide batch.
    cases=[
        *((*case, SIDES[i % 2]) for i, case in enumerate(cases.lengths_and_total(18))),
        *((*case, side) for side in SIDES for case in [(torch.tensor([4]), 5), (torch.tensor([0, 3]), 5)]),
        (torch.tensor([9, 5]), 12, "left"),
    ],
    definition=_words,
    picture=_draw_words,
    wrong=[
        *forms("inverted", "inverted. You mark the padding, and here True means a word.",
               *_in_one_or_both(_words, lambda lengths, total, side: ~_words(lengths, total, side))),
        *forms("always on the right", "your padding is always on the right. `side` may also be \"left\": where do the "
               "words stand then?",
               lambda lengths, total, side: _words(lengths, total, "right")),
        *forms("always on the left", "your padding is always on the left. `side` may also be \"right\": where do the "
               "words stand then?",
               lambda lengths, total, side: _words(lengths, total, "left")),
        *forms("sides swapped", "left and right are swapped. With the padding on the left, the words come last.",
               lambda lengths, total, side: _words(lengths, total, _other(side))),
        *forms("as many as pads", "with the padding on the left you mark as many positions as there are pads. "
               "A sentence of 2 words in 5 positions has 3 pads: which positions are left for its words?",
               lambda lengths, total, side: _words(total - lengths if side == "left" else lengths, total, side)),
        *forms("one too many", "off by one: one position too many counts as a word. How many True should a sentence of "
               "3 words have? Is it < or <= ?",
               *_in_one_or_both(_words, lambda lengths, total, side: _words(lengths, total, side, 1))),
        *forms("one too few", "off by one: one word of each sentence is lost. How many True should a sentence of "
               "3 words have? Is it > or >= ?",
               *_in_one_or_both(_words, lambda lengths, total, side: _words(lengths, total, side, -1))),
        *forms("counted from 1", "off by one: with the padding on the right a word is lost, with the padding on the "
               "left a pad counts as a word. Do your positions go from 0 to total - 1?",
               lambda lengths, total, side: _words(lengths, total, side, -1 if side == "right" else 1)),
        *forms("minus zero", "only a sentence without words goes wrong, and only with the padding on the left. -0 is "
               "0, so `row[-0:]` is the whole row: count from the front, from total - length on.",
               lambda lengths, total, side: _words(
                   torch.where((lengths == 0) & (side == "left"), total, lengths), total, side)),
        *forms("one length for all", "every sentence gets the length of the longest one. Each has a length of its own, "
               "and a row of its own.",
               *_in_one_or_both(_words, lambda lengths, *more: _words(lengths.max().expand_as(lengths), *more))),
        *forms("as wide as the longest", "your mask is as wide as the longest sentence. The batch may be wider: "
               "it has `total` positions.",
               lambda lengths, total, side: _words(lengths, int(lengths.max()), side)),
        *forms("counted from the longest", "with the padding on the left your words come too early if the batch is "
               "wider than its longest sentence. The words end where the batch ends: at `total`.",
               lambda lengths, total, side: _words(lengths, total, side) if side == "right" else (
                   torch.arange(total) >= lengths.max() - lengths[:, None])),
        *forms("nothing is padding", "every position counts as a word. A sentence of 3 words in 5 positions has 2 that "
               "are padding.",
               lambda lengths, total, side: torch.ones(len(lengths), total, dtype=torch.bool)),
        *forms("positions first", "rows and columns are swapped: your mask has a row for each position. Here each row "
               "is a sentence: (batch, total).",
               lambda lengths, total, side: _words(lengths, total, side).T),
    ],
)  # fmt: skip

# --- 3 · Batches with little padding --------------------------------------------------------------------------------

LITTLE = 0.8  # of the padding of batches drawn at random: less is little
_HOLDS = ("all once", "well filled", "same again", "seed used", "other mates", "other order", "not sorted",
          "little padding")  # fmt: skip
SORTED = 0.7  # correlation of a batch's place and its mean length: first a short half, then a long one has 0.8
SHOWN = 10  # batches in a picture: with more of them, their numbers are too small to read


def _batches_of(answer) -> list[list[int]]:
    """The answer as lists; a Complaint if it is something else."""
    found = as_lists(answer)
    if isinstance(found, list) and all(isinstance(one, list) and all(type(i) is int for i in one) for one in found):
        return found
    one_list = isinstance(found, list) and all(type(i) is int for i in found)
    got = "one list of numbers" if one_list else "something else"
    raise Complaint(f"your answer must be a list of lists: the numbers of the sentences, batch by batch. Got {got}.")


def _padding(found: list[list[int]], lengths: list[int]) -> int:
    """How many pads fill all batches up, each to its own longest sentence."""
    return sum(max(lengths[i] for i in batch) - lengths[j] for batch in found for j in batch)


def _at_random(lengths: list[int], size: int, seed: int) -> list[list[int]]:
    order = torch.randperm(len(lengths), generator=cases.generator(seed)).tolist()
    return [order[i : i + size] for i in range(0, len(order), size)]


def _all_once(found: list[list[int]], lengths: list[int]) -> bool:
    return sorted(itertools.chain(*found)) == list(range(len(lengths)))


def _well_filled(found: list[list[int]], size: int) -> bool:
    sizes = sorted(map(len, found))
    return bool(sizes) and sizes[0] > 0 and sizes[-1] <= size and all(one == size for one in sizes[1:])


def _from_short_to_long(found: list[list[int]], lengths: list[int]) -> float:
    """1 if the batches go from short sentences to long ones, −1 if they go back, about 0 if they are in no order."""
    means = torch.tensor([sum(lengths[i] for i in batch) / len(batch) for batch in found])
    return float(torch.corrcoef(torch.stack([means, torch.arange(len(means))]))[0, 1])


def _properties(function: Callable, lengths: list[int], size: int, seed: int) -> dict:
    """What is to hold for batches that may come in many orders: each with True or False.

    One call follows the other with the same seed, and then with three more.
    """
    before = everyones_randomness()
    first, again, *others = (
        _batches_of(function(list(lengths), size, one)) for one in (seed, seed, *range(seed + 1, seed + 4))
    )
    draws = [first, *others]
    all_once = all(_all_once(found, lengths) for found in draws)
    well_filled = all(_well_filled(found, size) for found in draws)
    holds = {"batches": first, "own generator": before == everyones_randomness()} | dict.fromkeys(_HOLDS, True)
    holds |= {"all once": all_once, "well filled": well_filled, "same again": first == again}
    if not (all_once and well_filled):  # then the rest makes no sense
        return holds
    padding = sum(_padding(found, lengths) for found in draws) / len(draws)
    at_random = sum(_padding(_at_random(lengths, size, i), lengths) for i in range(20)) / 20
    return holds | {
        "seed used": any(found != first for found in others),
        "other mates": len({frozenset(map(frozenset, found)) for found in draws}) > 1,
        "other order": len({tuple(max(lengths[i] for i in batch) for batch in found) for found in draws}) > 1,
        "not sorted": any(abs(_from_short_to_long(found, lengths)) < SORTED for found in draws),
        "little padding": padding < LITTLE * at_random,
    }


def _fails(name: str) -> Callable[..., bool]:
    """The symptom of batches for which a property does not hold."""
    return lambda answer, *_case: not answer[name]


def _seen(symptom: Callable[[list[list[int]], list[int], int], bool]) -> Callable[..., bool]:
    """A symptom that is seen in the batches themselves."""
    return lambda answer, _right, lengths, size, seed: symptom(as_lists(answer["batches"]), lengths, size)


def _numbers(found: list[list[int]]) -> list[int]:
    return sorted(itertools.chain(*found))


def _last_one_lost(found: list[list[int]], lengths: list[int], size: int) -> bool:
    whole = len(lengths) - len(lengths) % size
    return len(_numbers(found)) == len(set(_numbers(found))) == whole < len(lengths) and set(map(len, found)) == {size}


def _as_many_as_size(found: list[list[int]], lengths: list[int], size: int) -> bool:
    return len(found) == size and not _well_filled(found, size)


def _draw_batches(answer: dict, right: dict, lengths: list[int], size: int, seed: int):
    if not (answer["all once"] and answer["well filled"]):
        return ()
    found = as_lists(answer["batches"])
    cells = [[lengths[i] for i in batch] + [0] * (size - len(batch)) for batch in found[:SHOWN]]
    meaning = (
        f"Each row is a batch: the lengths of its sentences. These are the first {len(cells)} of {len(found)} batches. "
        f"Filling all up takes {_padding(found, lengths)} pads."
    )
    return [given(torch.tensor(cells), kind="ids", title="lengths in your batches", meaning=meaning,
                  rows=positions(len(cells)), columns=positions(size), axes=("batch", "sentence"))]  # fmt: skip


batches = Exercise(
    name="batches",
    asks="batches of `size` sentence numbers with little padding, different ones for another seed: a list of lists",
    takes="lengths, size, seed",
    cases=[
        (torch.randint(1, 8, (count,), generator=cases.generator(size)).tolist(), size, seed)
        for count, size, seed in ((94, 4, 0), (96, 4, 5), (129, 6, 1), (118, 5, 2))
    ],
    definition=lambda lengths, size, seed: {"batches": ..., "own generator": ...} | dict.fromkeys(_HOLDS, True),
    observed=_properties,
    picture=_draw_batches,
    wrong=[
        Misconception("lengths", "your batches hold lengths. They should hold the numbers of the sentences: 0 is "
                      "the first one, 1 the second.",
                      shows=_seen(lambda found, lengths, size: _numbers(found) == sorted(lengths))),
        Misconception("from 1", "you count the sentences from 1. Here the first sentence is number 0, as in a list.",
                      shows=_seen(lambda found, lengths, size: _numbers(found) == list(range(1, len(lengths) + 1)))),
        Misconception("last batch lost", "the sentences that don't fill a whole batch are lost. The last batch may be "
                      "smaller.",
                      shows=_seen(_last_one_lost)),
        Misconception("no such sentence", "one of your numbers belongs to no sentence. They go from 0 to "
                      "len(lengths) - 1. (`everyone` and `words_in` belong to the 640 sentences of part 3.)",
                      shows=_seen(lambda found, lengths, size: not set(_numbers(found)) <= set(range(len(lengths))))),
        Misconception("twice", "a sentence comes twice. Each one belongs in one batch, and only once.",
                      shows=_seen(lambda found, lengths, size: len(_numbers(found)) > len(set(_numbers(found))))),
        Misconception("missing", "a sentence is in no batch. Each one has to be in one.", shows=_fails("all once")),
        Misconception("as many batches as size", "you make `size` batches. `size` is the number of sentences in each "
                      "batch.",
                      shows=_seen(_as_many_as_size), always=True),
        Misconception("an empty batch", "one of your batches is empty. Where does your loop stop?",
                      shows=_seen(lambda found, lengths, size: not all(found))),
        Misconception("larger batches", "one of your batches has more than `size` sentences.",
                      shows=_seen(lambda found, lengths, size: max(map(len, found)) > size)),
        Misconception("smaller batches", "several batches have fewer than `size` sentences. Only one may be smaller: "
                      "the last, which takes what is left.",
                      shows=_fails("well filled")),
        Misconception("not the same again", "with the same seed your function gives different batches the second time. "
                      "Does everything that is random in it come from `seed`?",
                      shows=_fails("same again")),
        Misconception("seed not used", "the batches are the same for every seed. In training they should differ from "
                      "epoch to epoch: shuffle something, with a generator that starts from `seed`.",
                      shows=_fails("seed used")),
        Misconception("much padding", "your batches need almost as much padding as batches drawn at random. Which "
                      "sentences should be together so that little has to be filled up? (`words_in` holds the lengths "
                      "of part 3. Here they are in `lengths`.)",
                      shows=_fails("little padding")),
        Misconception("same mates", "another seed puts the batches in another order, but the same sentences are always "
                      "together. Shuffle the sentences, too, before you sort them or cut them into batches.",
                      shows=_fails("other mates")),
        Misconception("from short to long", "whatever the seed, your batches go from short sentences to long ones, or "
                      "the other way round. A model would see one kind first. What can you shuffle once the batches "
                      "are there?",
                      shows=_fails("not sorted")),
        Misconception("same order", "whatever the seed, the batches of long and of short sentences come in the same "
                      "order. Does anything that decides their order depend on `seed`?",
                      shows=_fails("other order")),
    ],
    notes=[
        Note("everyone's generator", "One thing to know: your function also changes what the notebook draws at random "
             "afterwards. random.Random(seed) gives you a generator of your own; in torch it is "
             "torch.Generator().manual_seed(seed).",
             case=([1, 2, 3, 4, 5, 6], 2, 0),
             shows=lambda answer: not answer["own generator"]),
    ],
)  # fmt: skip
