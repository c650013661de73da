"""The checks of lesson 03: choose words, corrupt them, the loss over the chosen, T5's spans and back, a mask per epoch.

>>> choose(lambda is_word, is_special, probability, generator: is_word & (
...     torch.rand(is_word.shape, generator=generator) < probability)).misconception
'specials chosen'
>>> corrupt(lambda ids, chosen, mask_id, random_ids, generator: ids.masked_fill(chosen, mask_id)).misconception
'always [MASK]'
>>> mlm_loss(lambda logits, ids, chosen: F.cross_entropy(logits.transpose(1, 2), ids)).misconception
'all positions'
>>> to_spans(lambda ids, chosen, sentinels: ([], [])).state
'wrong'
>>> from_spans(lambda inputs, targets, sentinels: inputs).misconception
'sentinels left'
>>> schedule(lambda make, epochs, copies: [make()] * epochs).misconception
'one mask for all'
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from masklab.check import cases, oracles
from masklab.check.answers import as_lists, same
from masklab.check.draws import RARE, drawn, within
from masklab.check.exercise import Exercise
from masklab.check.gradients import by_value, gradient_faults, value_and_gradient, value_is_not_finite
from masklab.check.misconceptions import Misconception, forms
from masklab.check.pictures import compared, given, positions, sentence_grid
from masklab.check.running import Complaint
from masklab.panels import Panel


def _fails(name: str) -> Callable[..., bool]:
    """The symptom of draws for which a property does not hold."""
    return lambda answer, *_case: not answer[name]


def _though_it_moves(name: str) -> Callable[..., bool]:
    """The symptom of a property that does not hold, although the calls differ."""
    return lambda answer, *_case: bool(answer["moves on"]) and not answer[name]


def _generator_faults(what: str) -> list[Misconception]:
    """What is wrong with draws that don't come from the generator alone."""
    return [
        Misconception("everyone's generator", "your function draws from the random numbers that all code shares, or "
                      "seeds them. Draw from `generator` only: torch.rand(shape, generator=generator).",
                      shows=_fails("own generator")),
        Misconception("not the same again", "from the same state of `generator`, your function gives something else "
                      "the second time. Everything that is random in it must come from `generator`.",
                      shows=_fails("same again")),
        Misconception("nothing drawn", f"you give the same {what} in each call, and nothing is drawn from `generator`. "
                      "Pass it on: torch.rand(shape, generator=generator). Don't make a new one from its seed.",
                      shows=lambda answer, *_case: not answer["moves on"] and not answer["is drawn from"]),
        Misconception("every call the same", f"you give the same {what} in each call, because you seed `generator` "
                      "again. It goes on from draw to draw: leave its seed alone.",
                      shows=lambda answer, *_case: not answer["moves on"] and not answer["goes on"]),
    ]  # fmt: skip


# --- 1 · Choose words -----------------------------------------------------------------------------------------------

CHOICES = 100  # calls of one case
FEW = 12  # calls of a case in which nothing is left to chance


def _choose_case(lengths: list[int], total: int, side: str, probability: float, *, pads: bool = False, inside=()):
    """Sentences that begin and end with a special token; pads may be special, too, and some tokens ``inside``."""
    is_word = oracles.word_positions(torch.tensor(lengths), total, side=side)
    is_special = torch.zeros_like(is_word)
    for row, words in zip(is_special, is_word, strict=True):
        where = words.nonzero().flatten()
        row[where[[0, -1]]] = True
        row[where[list(inside)]] = True
    return is_word, is_special | (~is_word & pads), probability, cases.generator(len(lengths))


def _no_specials(length: int, probability: float):
    is_word = torch.ones(1, length, dtype=torch.bool)
    return is_word, torch.zeros_like(is_word), probability, cases.generator()


def _choice(function: Callable, *case) -> dict:
    """What holds for a choice that is made again and again: each with True or False, and how often each was chosen."""
    holds = _chosen(function, *case)
    return {name: holds[name] for name in (*_SEEN_CHOICE, *_CHOICE)}


def _chosen(function: Callable, is_word: Tensor, is_special: Tensor, probability: float, generator) -> dict:
    may = is_word & ~is_special
    calls = CHOICES if may.any() and 0 < probability < 1 else FEW
    found, holds = drawn(function, is_word, is_special, probability, generator=generator, calls=calls, like=is_word)
    holds |= {
        "first": found[0],
        "counts": (found & may).sum(dim=2),
        "shares": found.float().mean(dim=0),
        "long rows": True,
        "no pads": not bool((found & ~is_word).any()),
        "no specials": not bool((found & is_word & is_special).any()),
    } | dict.fromkeys(_CHANCE, True)
    if not may.any():
        return holds | {"moves on": True}
    holds |= {
        "share": bool(within(found[:, may].float().mean(), probability, found[:, may].numel())),
        "long rows": _long_rows_are_right(found, may, probability),
        "each word": bool(within(holds["shares"][may], probability, calls).all()),
        "may be empty": all(_is_empty_at_times(row[:, of], probability) for row, of in _rows(found, may)),
    }
    if probability in (0.0, 1.0):
        return holds | {"moves on": True}
    return holds | {
        "rows differ": _differ_in(found.transpose(1, 2), may.T),
        "words differ": _differ_in(found, may),
        # The count of 8 words or more stays between two neighbours in less than two thirds of all calls.
        "count varies": len(may) == 1 or all(_spread(row[:, of]) > 1 for row, of in _rows(found, may) if of.sum() > 7),
        "total varies": may.sum() < 16 or _spread(found[:, may]) > 1,
        "by itself": _pairs_as_likely(found, may, probability),
    }


_CHANCE = ("share", "each word", "may be empty", "rows differ", "words differ", "count varies", "total varies",
           "by itself")  # fmt: skip
_SEEN_CHOICE = ("first", "counts", "shares", "long rows", "is drawn from", "goes on")  # shown, and not judged
_CHOICE = ("own generator", "same again", "moves on", "no pads", "no specials", *_CHANCE)


def _rows(found: Tensor, may: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Row by row what was found in all calls (calls, length), and where something may be chosen (length,)."""
    return zip(found.unbind(dim=1), may, strict=True)


def _long_rows_are_right(found: Tensor, may: Tensor, probability: float) -> bool:
    """Whether the share is right in rows of 8 words or more: few of them are empty, so one word more changes little."""
    words = torch.cat([row[:, of].flatten() for row, of in _rows(found, may) if of.sum() > 7] + [found.new_empty(0)])
    return bool(within(words.float().mean().nan_to_num(probability), probability, len(words)))


def _is_empty_at_times(found: Tensor, probability: float) -> bool:
    """Whether nothing is chosen in some call, where chance would bring that for certain. Shape: (calls, words)."""
    never = (1 - (1 - probability) ** found.shape[1]) ** len(found)
    return never > RARE or not bool(found.any(dim=1).all())


def _differ_in(found: Tensor, may: Tensor) -> bool:
    """Whether in some call the words of some row are not all alike; True if no row has two words."""
    two = [row[:, of] for row, of in _rows(found, may) if of.sum() > 1]
    return not two or any(bool((row != row[:, :1]).any()) for row in two)


def _spread(found: Tensor) -> int:
    """How far the numbers of chosen words are apart. Shape: (calls, words)."""
    counts = found.sum(dim=1)
    return int(counts.max() - counts.min())


def _pairs_as_likely(found: Tensor, may: Tensor, probability: float) -> bool:
    """Whether two neighbours are both chosen as often as independent ones. No word is in two pairs."""
    both = [row[:, of][:, : int(of.sum()) // 2 * 2].unflatten(1, (-1, 2)).all(dim=2) for row, of in _rows(found, may)]
    pairs = torch.cat(both, dim=1)
    return not pairs.numel() or bool(within(pairs.float().mean(), probability**2, pairs.numel()))


def _share_is(share: Callable[[float], float]) -> Callable[..., bool]:
    """The symptom of another share than asked for, which is ``share(probability)``."""

    def shows(answer: dict, right: dict, is_word: Tensor, is_special: Tensor, probability: float, _generator) -> bool:
        chosen = answer["shares"][is_word & ~is_special]
        other = share(probability)
        return not answer["share"] and bool(within(chosen.mean(), other, len(answer["counts"]) * chosen.numel()))

    return shows


def _an_end_is_never_chosen(answer: dict, right: dict, is_word: Tensor, is_special: Tensor, probability, _generator):
    rows = [row[of] for row, of in zip(answer["shares"], is_word & ~is_special, strict=True) if of.sum() > 3]
    ends = [[row[end].item() for row in rows] for end in (0, -1)]
    return not answer["each word"] and any(row.any() for row in rows) and any(not any(end) for end in ends)


def _draw_choice(answer: dict, right: dict, is_word: Tensor, is_special: Tensor, probability: float, _generator):
    may = is_word & ~is_special
    expected = probability * may.float()
    calls = len(answer["counts"])
    differs = torch.where(may, ~within(answer["shares"], probability, calls), answer["shares"] > 0)
    shown = given(may, kind="mask", title="may be chosen", meaning="Words that are not special.", **sentence_grid(may))
    if not (answer["count varies"] and answer["total varies"] and answer["may be empty"]):
        counts = answer["counts"][:FEW].T
        rows, columns = sentence_grid(may)["rows"], positions(counts.shape[1])
        return [given(counts, kind="ids", title="how many you choose", meaning=f"The first {FEW} calls, sentence by "
                      "sentence.", rows=rows, columns=columns, axes=("sentence", "call"))]  # fmt: skip
    if differs.any():
        pair = compared(answer["shares"], expected, kind="weight", title="shares", differs=differs,
                        meaning=f"How often each is chosen in {calls} calls, but for chance.",
                        **sentence_grid(may))  # fmt: skip
        return [shown, *pair]
    first = given(answer["first"], kind="mask", title="your mask", meaning="The first call.", **sentence_grid(may))
    return [shown, Panel(**vars(first) | {"name": "first"})]


choose = Exercise(
    name="choose",
    asks="which words are hidden: each that is not special with `probability`, nothing else; (batch, length) bool",
    takes="is_word, is_special, probability, generator",
    cases=[
        _choose_case([13, 11, 6, 3], 13, "right", 0.5),
        _choose_case([4, 16, 5, 14, 10], 16, "left", 0.15, pads=True, inside=[2]),
        _no_specials(16, 0.5),
        _choose_case([6, 3], 7, "left", 0.0),
        _choose_case([3, 7, 5], 8, "right", 1.0, pads=True),
        _choose_case([2, 2], 3, "right", 0.5),  # special tokens only
        _no_specials(4, 0.2),  # in two of five calls nothing is chosen at all
    ],
    definition=lambda *case: dict.fromkeys(_SEEN_CHOICE, ...) | dict.fromkeys(_CHOICE, True),
    observed=_choice,
    picture=_draw_choice,
    wrong=[
        Misconception("pads chosen", "you choose positions at the padding. No word was there, so there is nothing to "
                      "guess: choose where `is_word` is True.",
                      shows=_fails("no pads")),
        Misconception("specials chosen", "you choose special tokens, such as [BOS] and [EOS]. They are where they "
                      "always are, and a model learns nothing from guessing them: leave out the positions "
                      "where `is_special` is True.",
                      shows=_fails("no specials")),
        Misconception("always 15 %", "you choose 15 % whatever `probability` says. Take the number from the argument.",
                      shows=_share_is(lambda probability: 0.15), always=True),
        Misconception("the others", "you choose the words that should be left alone, and the other way round. "
                      "A number from 0 to 1 is *below* `probability` with that probability.",
                      shows=_share_is(lambda probability: 1 - probability), always=True),
        *_generator_faults("mask"),
        Misconception("one draw for all rows", "all sentences get the same choice at the same positions. Each needs "
                      "draws of its own: torch.rand of the whole shape.",
                      shows=_though_it_moves("rows differ")),
        Misconception("one draw for a row", "in each sentence you choose all words or none. Each word needs a draw of "
                      "its own.",
                      shows=_though_it_moves("words differ")),
        Misconception("a fixed number", "you choose the same number of words in a sentence each time. Here each word "
                      "is chosen by itself, so one call chooses more and the next one fewer.",
                      shows=_though_it_moves("count varies")),
        Misconception("a fixed total", "you choose the same number of words in the batch each time. Here each word is "
                      "chosen by itself, so one call chooses more and the next one fewer.",
                      shows=_though_it_moves("total varies")),
        Misconception("at least one", "you always choose something, even in the shortest sentence. If each word is "
                      "chosen by itself, a short sentence often gets nothing, and here that is right.",
                      shows=lambda answer, *_case: answer["long rows"] and not answer["may be empty"]),
        Misconception("an end left out", "the first or the last word of a sentence is never chosen, although it may "
                      "be. `is_special` already says what to leave out at the ends: is a slice or a range too short?",
                      shows=_an_end_is_never_chosen, always=True),
        Misconception("some words", "some words are chosen more often than others. Each has the same `probability`; "
                      "see the picture.",
                      shows=lambda answer, *_case: answer["share"] and not answer["each word"]),
        Misconception("another share", "the share of words that you choose is not `probability`. One draw for each "
                      "word, compared with `probability`, is all it takes; see the picture.",
                      shows=_fails("share")),
        Misconception("together", "neighbours are chosen together too often, or too rarely. Each word has a draw of "
                      "its own here: whether its neighbour is chosen makes no difference.",
                      shows=_fails("by itself")),
    ],
)  # fmt: skip

# --- 2 · Corrupt what was chosen ------------------------------------------------------------------------------------

CORRUPTED = 5000  # chosen words in all calls of a case; where 13 are chosen, even a fate of 10 % befalls each of them
SHARES = (0.8, 0.1, 0.1)
FATES = ("[MASK]", "random", "unchanged", "another id")
_RANDOM = torch.tensor([27, 11, 30, 14, 22, 15, 19, 23])  # no range, and no word of the sentences


def _corrupt_case(seed: int, rows: int, length: int, mask_id: int, random_ids: Tensor, share: float):
    """Padded sentences with a special token at each end, and which words are chosen; with a ``share`` of 1 all are."""
    g = cases.generator(seed)
    ids = torch.randint(40, 60, (rows, length), generator=g)
    if share < 1:
        ids[:, 0], ids[:, -2], ids[:, -1] = 3, 4, 0
    chosen = torch.rand(rows, length, generator=g) < share
    return ids, chosen & (ids >= 40), mask_id, random_ids, cases.generator(seed)


def _corruption(function: Callable, *case) -> dict:
    """What holds for ids that are corrupted again and again: each with True or False, and what becomes of them."""
    holds = _corrupted(function, *case)
    return {name: holds[name] for name in (*_SEEN_CORRUPTION, *_CORRUPTION)}


def _corrupted(function: Callable, ids: Tensor, chosen: Tensor, mask_id: int, random_ids: Tensor, generator) -> dict:
    calls = CORRUPTED // int(chosen.sum()) if chosen.any() else FEW
    found, holds = drawn(function, ids, chosen, mask_id, random_ids, generator=generator, calls=calls, like=ids)
    holds["int64"] = found.dtype == torch.int64
    found = found.double().nan_to_num(-1, -1, -1).long()  # whatever it is, it can be looked at
    fates = torch.stack([found == mask_id, torch.isin(found, random_ids), found == ids])  # (3, calls, batch, length)
    fates = torch.cat([fates, ~fates.any(dim=0, keepdim=True)])
    holds |= {
        "found": found,
        "shares": torch.stack([_means(fates, chosen), _means(fates, ~chosen)]),  # (2, 4)
        "by position": fates.float().mean(dim=1),  # (4, batch, length)
        "others": not bool((found != ids)[:, ~chosen].any()),
        "known ids": not bool(fates[3][:, chosen].any()),
        "drawn ids": found[fates[1] & chosen],
    } | dict.fromkeys(_SPREAD, True)
    if not chosen.any():
        return holds | {"moves on": True}
    fate, random = fates.int().argmax(dim=0), fates[1] & chosen
    shares = [bool(within(one, share, calls * int(chosen.sum()))) for one, share in _as_asked(holds["shares"][0])]
    each = [bool(within(one[chosen], share, calls).all()) for one, share in _as_asked(holds["by position"])]
    return holds | {
        "shares right": all(shares),
        "each position": all(each) and _all_befall(holds["by position"][:3, chosen], calls),
        "own fates": _differ_in(fate, chosen) and _differ_in(fate.transpose(1, 2), chosen.T),
        "own ids": _not_one_id(found, random) and _not_one_id(found.transpose(1, 2), random.transpose(1, 2)),
        "each id": _as_often(holds["drawn ids"], random_ids),
    }


_SPREAD = ("shares right", "each position", "own fates", "own ids", "each id")
_SEEN_CORRUPTION = ("found", "shares", "by position", "drawn ids", "is drawn from", "goes on")
_CORRUPTION = ("own generator", "same again", "moves on", "int64", "others", "known ids", *_SPREAD)


def _means(fates: Tensor, where: Tensor) -> Tensor:
    """Which share has each fate; zeros if there is no such position. Shape: (4,)."""
    return fates[:, :, where].float().mean(dim=(1, 2)).nan_to_num(0.0)


def _as_asked(fates: Sequence[Tensor] | Tensor) -> Iterator[tuple[Tensor, float]]:
    """The three fates, each with the share that is asked for."""
    return zip(fates[:3], SHARES, strict=True)


def _all_befall(shares: Tensor, calls: int) -> bool:
    """Whether each fate befalls each position, where so many calls bring that for certain. Shape: (3, positions)."""
    return (1 - min(SHARES)) ** calls > RARE or bool(shares.all())


def _not_one_id(found: Tensor, random: Tensor) -> bool:
    """Whether some row of some call has two different random ids; with 20 pairs to look at, chance brings that."""
    several = random.sum(dim=2) > 1  # (calls, rows)
    largest = found.masked_fill(~random, -1).amax(dim=2)
    smallest = found.masked_fill(~random, 10**6).amin(dim=2)
    return int(several.sum()) < 20 or bool((largest != smallest)[several].any())


def _frequencies(drawn_ids: Tensor, random_ids: Tensor) -> Tensor:
    """How often each of the random ids was drawn. Shape: as ``random_ids``."""
    return (drawn_ids[:, None] == random_ids).float().mean(dim=0)


def _as_often(drawn_ids: Tensor, random_ids: Tensor) -> bool:
    if not len(drawn_ids):
        return True
    return bool(within(_frequencies(drawn_ids, random_ids), 1 / len(random_ids), len(drawn_ids)).all())


def _shares_are(*triples: tuple[float, float, float]) -> Callable[..., bool]:
    """The symptom of other shares than asked for, which are those of one of the triples."""

    def shows(answer: dict, right: dict, ids: Tensor, chosen: Tensor, *_more) -> bool:
        count = len(answer["found"]) * int(chosen.sum())
        return not answer["shares right"] and any(
            all(
                bool(within(one, share, count, rare=0.02))
                for one, share in zip(answer["shares"][0], triple, strict=False)
            )
            for triple in triples
        )

    return shows


def _another_mask(answer: dict, right: dict, ids: Tensor, chosen: Tensor, *_more) -> bool:
    """Whether most of the chosen become one id, but not mask_id."""
    fates = answer["shares"][0]
    return bool(fates[0] == 0 and fates[3] > 0.5) and len(_stray(answer, ids, chosen, *_more[:2]).unique()) == 1


def _always_masked(answer: dict, right: dict, *case) -> bool:
    """Whether all become [MASK], and not just by the luck of one seed."""
    one_seed = answer["is drawn from"] and not answer["goes on"]
    return not one_seed and _shares_are((1.0, 0.0, 0.0))(answer, right, *case)


def _stray(answer: dict, ids: Tensor, chosen: Tensor, mask_id: int, random_ids: Tensor) -> Tensor:
    """The ids at chosen positions that are none of those allowed."""
    found = answer["found"][:, chosen]
    return found[(found != mask_id) & ~torch.isin(found, random_ids) & (found != ids[chosen])]


def _strays(symptom: Callable[[Tensor, int, Tensor], bool]) -> Callable[..., bool]:
    """A symptom seen in the ids that don't belong there: ``symptom(stray, mask_id, random_ids)``."""

    def shows(answer: dict, right: dict, *case) -> bool:
        stray = _stray(answer, *case[:4])
        return bool(len(stray)) and bool(symptom(stray, *case[2:4]))

    return shows


def _others_get(*fates: int) -> Callable[..., bool]:
    """The symptom of positions that were not chosen and changed: into these fates, and no others."""

    def shows(answer: dict, right: dict, ids: Tensor, chosen: Tensor, *_more) -> bool:
        got = {fate for fate in (0, 1, 3) if answer["shares"][1][fate] > 0}
        return not answer["others"] and got == set(fates)

    return shows


def _only_others_change(answer: dict, *_case) -> bool:
    return not answer["others"] and answer["shares"][0][2] == 1


def _places(symptom: Callable[..., bool]) -> list[Misconception]:
    """A word's position decides: always, or just more than it should."""
    says = (
        "a word's position decides what happens to it. Any chosen word may become [MASK], or a random word, or stay: "
        "that is drawn anew for each word in each call."
    )
    return [Misconception("fixed places", says, shows=symptom)]


def _draw_corruption(answer: dict, right: dict, ids: Tensor, chosen: Tensor, mask_id: int, random_ids: Tensor, _g):
    expected = torch.tensor([[*SHARES, 0.0], [0.0, 0.0, 1.0, 0.0]])
    expected[0] *= bool(chosen.any())
    calls = len(answer["found"])
    counts = [calls * int(chosen.sum()), calls * int((~chosen).sum())]
    odd = torch.stack([torch.stack([~within(one, share, n) for one, share in zip(mine, row.tolist(), strict=True)])
                       for mine, row, n in zip(answer["shares"], expected, counts, strict=True)])  # fmt: skip
    if odd.any():
        return compared(answer["shares"], expected, kind="weight", title="shares", differs=odd,
                        meaning=f"What becomes of each in {calls} calls, but for chance.",
                        rows=["chosen", "others"], columns=FATES, axes=("position", "fate"))  # fmt: skip
    if not answer["each id"]:
        mine = _frequencies(answer["drawn ids"], random_ids)[None]
        even = torch.full_like(mine, 1 / len(random_ids))
        return compared(mine, even, kind="weight", title="random ids", rows=["share"],
                        differs=~within(mine, 1 / len(random_ids), len(answer["drawn ids"])),
                        columns=[str(one) for one in random_ids.tolist()], axes=("share", "id"))  # fmt: skip
    meaning = "What your function was given. The chosen words are hatched."
    first = given(answer["found"][0], kind="ids", title="your ids", meaning="The first call. The chosen are hatched.",
                  blocked=chosen, **sentence_grid(ids))  # fmt: skip
    return [given(ids, kind="ids", title="ids", meaning=meaning, blocked=chosen, **sentence_grid(ids)),
            Panel(**vars(first) | {"name": "first"})]  # fmt: skip


corrupt = Exercise(
    name="corrupt",
    asks="new ids: of the chosen 80 % mask_id, 10 % one of random_ids, 10 % as they were; (batch, length) int64",
    takes="ids, chosen, mask_id, random_ids, generator",
    cases=[
        _corrupt_case(1, 3, 10, 2, _RANDOM, 0.7),
        _corrupt_case(2, 12, 13, 103, _RANDOM + 100, 1.0),
        _corrupt_case(3, 2, 5, 2, _RANDOM, 0.0),  # nothing is chosen
    ],
    definition=lambda *case: dict.fromkeys(_SEEN_CORRUPTION, ...) | dict.fromkeys(_CORRUPTION, True),
    observed=_corruption,
    picture=_draw_corruption,
    wrong=[
        Misconception("not int64", "your ids are not int64, as `ids` are. Is one of the numbers in your function a "
                      "float? Or was a dtype chosen somewhere? `.long()` converts.",
                      shows=_fails("int64")),
        Misconception("the others corrupted", "you corrupt the words that were *not* chosen, and leave the chosen ones "
                      "as they are.",
                      shows=_only_others_change),
        Misconception("chosen not used", "you corrupt words that were not chosen, too. The 80, 10 and 10 % are shares "
                      "of the *chosen* words: nothing else may change.",
                      shows=_others_get(0, 1)),
        Misconception("random ids everywhere", "you put random words at positions that were not chosen, too. Is the "
                      "second draw limited to `chosen`?",
                      shows=_others_get(1)),
        Misconception("[MASK] everywhere", "you put mask_id at positions that were not chosen, too.",
                      shows=_others_get(0)),
        Misconception("others changed", "positions that were not chosen have changed. They keep their ids.",
                      shows=_fails("others")),
        Misconception("places, not ids", "your random ids are *places* in random_ids, not the ids at these places. "
                      "Draw the places, then look the ids up: random_ids[places].",
                      shows=_strays(lambda stray, mask_id, random_ids: bool((stray < len(random_ids)).all())
                                    and len(stray.unique()) > 2)),
        Misconception("another [MASK]", "you don't use the `mask_id` that is given. It is not the same number in all "
                      "vocabularies: take it from the argument.",
                      shows=_another_mask),
        Misconception("not of random_ids", "some random words are none of `random_ids`. These are the ids of real "
                      "words. If you draw from the whole vocabulary, or from a range, a word may become [PAD] or "
                      "[EOS].",
                      shows=_fails("known ids")),
        Misconception("always [MASK]", "all chosen words become [MASK]. That is right for 80 % of them: of the others "
                      "half become random words, and half stay as they are.",
                      shows=_always_masked, always=True),
        *_generator_faults("ids"),
        Misconception("nothing corrupted", "all chosen words stay as they are. That is right for 10 % of them: 80 % "
                      "become [MASK], and 10 % random words.",
                      shows=_shares_are((0.0, 0.0, 1.0)), always=True),
        Misconception("always random", "all chosen words become random ones. That is right for 10 % of them: 80 % "
                      "become [MASK], and 10 % stay as they are.",
                      shows=_shares_are((0.0, 1.0, 0.0)), always=True),
        Misconception("one draw for all", "all chosen words of a sentence, or of a position, have the same fate. Each "
                      "needs a draw of its own: torch.rand of the whole shape.",
                      shows=_fails("own fates")),
        *_places(lambda answer, right, ids, chosen, *_more: bool(answer["moves on"]) and bool(chosen.any()) and bool(
            (answer["by position"][:, chosen].amax(dim=0) == 1).all())),
        Misconception("none unchanged", "no chosen word keeps its id. 10 % of them should.",
                      shows=_shares_are((0.8, 0.2, 0.0), (0.9, 0.1, 0.0))),
        Misconception("none random", "no chosen word becomes a random one. 10 % of them should.",
                      shows=_shares_are((0.8, 0.0, 0.2), (0.9, 0.0, 0.1))),
        Misconception("a tenth of the rest", "your second draw decides over what [MASK] has left: a fifth of the "
                      "chosen. A tenth of that is 2 %. 10 % of all chosen is *half* of what is left.",
                      shows=_shares_are((0.8, 0.02, 0.18), (0.8, 0.18, 0.02))),
        Misconception("overwritten", "your shares are those of two draws, of which the second one overwrites some "
                      "[MASK]. One draw with two limits, at 0.8 and 0.9, gives each word one fate.",
                      shows=_shares_are((0.72, 0.1, 0.18), (0.4, 0.5, 0.1))),
        Misconception("other shares", "the shares are not 80, 10 and 10 %; see the picture.",
                      shows=_fails("shares right")),
        Misconception("one random id", "all random words of a sentence, of a position or of the batch are the same. "
                      "Each needs a draw of its own.",
                      shows=_fails("own ids")),
        Misconception("some ids only", "not all of `random_ids` are drawn equally often. "
                      "torch.randint(len(random_ids), shape, generator=generator) draws from all places.",
                      shows=_fails("each id")),
        *_places(_fails("each position")),
    ],
)  # fmt: skip

# --- 3 · The loss over the chosen -----------------------------------------------------------------------------------


def _loss_case(i: int, is_word: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Random logits and ids of words, with pads, and which words are chosen: each fourth time none at all."""
    g = cases.generator(i)
    ids = torch.randint(5, 12, is_word.shape, generator=g).masked_fill(~is_word, 0)  # 1 to 4 are special tokens
    chosen = is_word & (torch.rand(is_word.shape, generator=g) < 0.5) & (i % 4 != 3)
    if i % 4 == 0:
        chosen[0] = is_word[0]  # something is chosen for certain
    return torch.randn(*is_word.shape, 12, generator=g), ids, chosen


SURE = 300.0  # a logit: the probability of any other word is 0 in float32


def _odd_cases() -> list[tuple[Tensor, Tensor, Tensor]]:
    """The model is sure of a word and right: its loss is exactly 0. It is sure and wrong. One is chosen. An id is 0."""
    sure, wrong, one, zero = (_loss_case(0, torch.ones(3, 5, dtype=torch.bool)) for _ in range(4))
    sure[0][0, 0, sure[1][0, 0]] = 60.0
    wrong[0][0, 0, (wrong[1][0, 0] + 1) % 12] = SURE
    one[2].fill_(False)[0, 1] = True
    zero[1][0, 1] = 0
    return [sure, wrong, one, zero]


def _counts(logits: Tensor, ids: Tensor, chosen: Tensor) -> Tensor:
    return chosen


def _each(logits: Tensor, ids: Tensor) -> Tensor:
    """The loss at each position. Shape: (batch, length)."""
    return F.cross_entropy(logits.transpose(1, 2), ids, reduction="none")


def _sum(logits: Tensor, ids: Tensor, chosen: Tensor) -> Tensor:
    return (_each(logits, ids) * chosen).sum()


def _sentence_means(logits: Tensor, ids: Tensor, chosen: Tensor) -> Tensor:
    """The mean over each sentence's chosen words; NaN where there are none. Shape: (batch,)."""
    return (_each(logits, ids) * chosen).sum(dim=1) / chosen.sum(dim=1)


def _at_least_1(chosen: Tensor) -> Tensor:
    return chosen.sum().clamp(min=1)


def _next_word(where: Callable[[Tensor], Tensor]) -> Callable:
    """The loss against the word after each, over those that are chosen: ``where`` cuts the mask."""
    return lambda logits, ids, chosen: F.cross_entropy(logits[:, :-1][where(chosen)], ids[:, 1:][where(chosen)])


def _draw_mlm_loss(answer: dict, right: dict, logits: Tensor, ids: Tensor, chosen: Tensor):
    if not same(answer["value"], right["value"]):
        losses = given(oracles.word_losses(logits, ids, torch.ones_like(chosen)), kind="loss", title="losses",
                       meaning="The loss at each position. What was not chosen is hatched.", blocked=~chosen,
                       **sentence_grid(chosen))  # fmt: skip
        pair = compared(answer["value"].reshape(1, 1), right["value"].reshape(1, 1), kind="loss", title="loss",
                        rows=["batch"], columns=["mean"], axes=("batch", "mean"))  # fmt: skip
        return [losses, *pair]
    if not same(answer["gradient"], right["gradient"]):
        mine, theirs = (one["gradient"].abs().sum(dim=2) for one in (answer, right))
        return compared(mine, theirs, kind="gradient", title="gradient, added up without signs", blocked=~chosen,
                        **sentence_grid(chosen))  # fmt: skip
    return ()


NOTHING_CHOSEN = (
    "where nothing is chosen, your loss is NaN: 0 divided by 0. With 15 % of a short sentence that happens. What can "
    "you divide the sum by so that it stays 0?"
)

mlm_loss = Exercise(
    name="mlm_loss",
    asks="the mean cross-entropy over the chosen positions; 0, with a gradient of zeros, if nothing is chosen",
    takes="logits, ids, chosen",
    cases=[*(_loss_case(i, is_word) for i, is_word in enumerate(cases.padded_batches(16))), *_odd_cases()],
    definition=oracles.mean_word_loss,
    observed=value_and_gradient(_counts),
    picture=_draw_mlm_loss,
    wrong=[
        Misconception("0/0", NOTHING_CHOSEN, shows=value_is_not_finite(_counts, empty=True), always=True),
        by_value("all positions", "your mean is over all positions. A word that the model can see is no riddle, and at "
                 "the padding there is no word: only the chosen count.",
                 lambda logits, ids, chosen: _each(logits, ids).mean(),
                 lambda logits, ids, chosen: _each(logits, ids)[ids != 0].mean(),
                 lambda logits, ids, chosen: _each(logits, ids).sum() / chosen.sum(),
                 lambda logits, ids, chosen: _each(logits, ids).sum() / _at_least_1(chosen)),
        *forms("looked for [MASK]", "in no batch does anything count. Are you looking for [MASK] in `ids`? These are "
               "the ids *before* corruption. And afterwards, only 80 % of the chosen are [MASK]: `chosen` says what "
               "counts.",
               lambda logits, ids, chosen: F.cross_entropy(logits[ids < 0], ids[ids < 0]),
               lambda logits, ids, chosen: logits[ids < 0].sum(),
               lambda logits, ids, chosen: (_each(logits, ids) * (ids < 0)).sum() / (ids < 0).sum()),
        by_value("divided by all positions", "the sum is right, but you divide it by the number of all positions, or "
                 "of all words. How many are chosen?",
                 lambda logits, ids, chosen: _sum(logits, ids, chosen) / ids.numel(),
                 lambda logits, ids, chosen: _sum(logits, ids, chosen) / (ids != 0).sum(),
                 lambda logits, ids, chosen: _sum(logits, ids, chosen) / len(ids),
                 lambda logits, ids, chosen: _sum(logits, ids, chosen) / ids.shape[1]),
        by_value("not divided", "this is the sum over the chosen. A mean divides it: by which number?", _sum),
        by_value("one too many", "you divide by one more than the number of chosen positions.",
                 lambda logits, ids, chosen: _sum(logits, ids, chosen) / (chosen.sum() + 1)),
        by_value("the others", "you take the positions that were *not* chosen. In `chosen`, True means that a word was "
                 "chosen, and counts.",
                 lambda logits, ids, chosen: _each(logits, ids)[~chosen].mean(),
                 lambda logits, ids, chosen: _each(logits, ids)[~chosen].sum() / _at_least_1(~chosen),
                 lambda logits, ids, chosen: _each(logits, ids)[~chosen].sum() / _at_least_1(chosen)),
        by_value("mean of means", "this is the mean of the sentences' means. Here each chosen word weighs the same: "
                 "one sum, divided by the number of all chosen words.",
                 lambda *case: _sentence_means(*case).nanmean(),
                 lambda *case: _sentence_means(*case).nan_to_num().mean(),
                 lambda *case: _sentence_means(*case).mean(),
                 lambda *case: _sentence_means(*case).nansum()),
        by_value("next word", "you compare with the word *after* each. A causal model predicts the next word; this one "
                 "guesses the word at the same position. Nothing is shifted.",
                 _next_word(lambda chosen: chosen[:, :-1]), _next_word(lambda chosen: chosen[:, 1:]),
                 lambda logits, ids, chosen: F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:])),
        by_value("0 as a label", "you set to 0 what was not chosen, in the ids or in the logits. But 0 is an id like "
                 "any other, and equal logits are a guess: both have a loss. Which label does F.cross_entropy ignore?",
                 lambda logits, ids, chosen: _each(logits, ids * chosen).mean(),
                 lambda logits, ids, chosen: _each(logits * chosen[..., None], ids).mean(),
                 lambda logits, ids, chosen: _each(logits * chosen[..., None], ids * chosen).mean()),
        by_value("softmax twice", "softmax is taken twice: cross_entropy takes logits and does it itself.",
                 lambda logits, ids, chosen: F.cross_entropy(logits[chosen].softmax(dim=-1), ids[chosen]),
                 lambda logits, ids, chosen: _sum(logits.softmax(dim=-1), ids, chosen) / _at_least_1(chosen)),
        by_value("softmax along another axis", "softmax runs along another axis. A position's scores for the words are "
                 "on the last one: dim=-1.",
                 lambda logits, ids, chosen: F.nll_loss(logits.log_softmax(dim=1)[chosen], ids[chosen]),
                 lambda logits, ids, chosen: F.nll_loss(logits.log_softmax(dim=0)[chosen], ids[chosen]),
                 lambda logits, ids, chosen: F.nll_loss(logits[chosen].log_softmax(dim=0), ids[chosen])),
        by_value("reshaped", "the logits of different positions get mixed. cross_entropy wants the words on axis 1, "
                 "but `view` or `reshape` doesn't swap axes: transpose(1, 2) does.",
                 lambda logits, ids, chosen: _sum(logits.reshape(len(ids), 12, -1).mT, ids, chosen) / chosen.sum(),
                 lambda logits, ids, chosen: _sum(logits.reshape(len(ids), 12, -1).mT, ids, chosen) / _at_least_1(
                     chosen)),
        by_value("no logarithm", "these are not log-probabilities. log_softmax makes them from logits. nll_loss leaves "
                 "that to you; cross_entropy does it itself.",
                 lambda logits, ids, chosen: F.nll_loss(logits[chosen], ids[chosen]),
                 lambda logits, ids, chosen: F.nll_loss(logits.softmax(dim=-1)[chosen], ids[chosen])),
        by_value("sign", "the sign is wrong: a loss is the *negative* logarithm of a probability, and at least 0.",
                 lambda *case: -_sum(*case) / _at_least_1(case[2]), lambda *case: -_sum(*case) / case[2].sum()),
        by_value("losses of 0 left out", "you count the losses that are not 0. Where the model is sure, a chosen "
                 "word's loss may be exactly 0, and it counts like the others: chosen.sum() has them all.",
                 lambda logits, ids, chosen: (lambda losses: losses.sum() / losses.count_nonzero())(
                     _each(logits, ids) * chosen),
                 lambda logits, ids, chosen: (lambda losses: losses.sum() / losses.count_nonzero().clamp(min=1))(
                     _each(logits, ids) * chosen)),
        Misconception("id 0 left out", "you are wrong only where a chosen word has the id 0: you leave it out, as "
                      "with ignore_index=0. An id of 0 may be a word, or not: `chosen` says what counts.",
                      shows=lambda answer, right, logits, ids, chosen: bool((ids[chosen] == 0).any()),
                      always=True),
        Misconception("NaN elsewhere", "your loss is NaN or infinite even where words are chosen. Leave out what is "
                      "not chosen: setting it to −∞ does not help.",
                      shows=lambda answer, right, logits, ids, chosen: not answer["value"].isfinite()
                      and bool(chosen.any()) and bool(logits.max() < SURE)),
        Misconception("log(0)", "your loss is infinite or NaN where the model is sure of a wrong word: softmax rounds "
                      "a small probability to 0. Take log_softmax or cross_entropy, not the logarithm of softmax.",
                      shows=value_is_not_finite(_counts, empty=False)),
        Misconception("0/0", NOTHING_CHOSEN, shows=value_is_not_finite(_counts, empty=True)),
        *gradient_faults(_counts, to="logits"),
    ],
)  # fmt: skip

# --- 4 and 5 · T5's spans, and the way back -------------------------------------------------------------------------

Ids = list[int]


def _spans_of(ids: Ids, chosen: list[bool], sentinels: Ids) -> tuple[Ids, Ids]:
    """T5's format, token by token: a new run takes the next sentinel, in the inputs and in the targets."""
    inputs: Ids = []
    targets: Ids = []
    runs = 0
    for t, (token, hidden) in enumerate(zip(ids, chosen, strict=True)):
        if hidden and (t == 0 or not chosen[t - 1]):
            inputs.append(sentinels[runs])
            targets.append(sentinels[runs])
            runs += 1
        (targets if hidden else inputs).append(token)
    return inputs, targets


def _sentences() -> list[tuple[Ids, list[bool], Ids]]:
    """Sentences with runs inside, at both ends, everywhere and nowhere; sentinels are not always the largest ids."""
    chosen = ["0110010", "1100110", "0100011", "1011101", "1000000", "0000001", "0000000", "1111111", "0101010", "1",
              "00111000110001", "10110111001", "1001"]  # fmt: skip
    g, found = cases.generator(), []
    for i, flags in enumerate(chosen):
        ids = torch.randint(20, 60, (len(flags),), generator=g).tolist()
        if i in (2, 10):
            ids[-1] = ids[0]  # a word that comes twice
        sentinels = (list(range(99, 91, -1)), list(range(4, 12)), [70, 15, 62, 3, 88, 9])[i % 3]
        found.append((ids, [flag == "1" for flag in flags], sentinels))
    return found


def _written(ids: Ids) -> str:
    return " ".join(map(str, ids))


def _read(ids: str) -> Ids:
    return list(map(int, ids.split()))


def _is_ids(found) -> bool:
    return isinstance(found, list) and all(type(one) is int and abs(one) < 2**63 for one in found)


def _got(found, nested: bool) -> str:
    """What somebody has handed back instead of lists of ids; ``nested`` says that a list holds a list."""
    if _is_ids(found):
        return "one list of ids"
    return "a list inside a list: `+=` and `extend` add a run's tokens one by one" if nested else "something else"


def _two_lists(function: Callable, ids: Ids, chosen: list[bool], sentinels: Ids) -> dict:
    """The inputs and targets of an answer; a Complaint if it is something else."""
    found = as_lists(function(list(ids), list(chosen), list(sentinels)))
    if not (isinstance(found, list) and len(found) == 2 and all(map(_is_ids, found))):
        nested = isinstance(found, list) and any(isinstance(one, list) for part in found if isinstance(part, list)
                                                 for one in part)  # fmt: skip
        raise Complaint(f"your answer must be two lists of ids, (inputs, targets). Got {_got(found, nested)}.")
    return dict(zip(("inputs", "targets"), map(_written, found), strict=True))


def _one_list(function: Callable, inputs: Ids, targets: Ids, sentinels: Ids) -> dict:
    found = as_lists(function(list(inputs), list(targets), list(sentinels)))
    if not _is_ids(found):
        nested = isinstance(found, list) and {list, int} <= {type(part) for part in found}
        raise Complaint(f"your answer must be one list of ids. Got {_got(found, nested)}.")
    return {"ids": _written(found)}


def _spans(way: Callable[..., tuple[Ids, Ids]]) -> Callable:
    """A way to make spans, as it is judged: two lists, written as text."""
    return lambda *case: dict(zip(("inputs", "targets"), map(_written, way(*case)), strict=True))


def _row(ids: Ids, width: int) -> Tensor:
    return torch.tensor([ids + [-1] * (width - len(ids))])


def _draw_ids(answer: str, right: str, *, title: str) -> list[Panel]:
    """One list beside the right one; −1 where one of them has ended."""
    mine, theirs = _read(answer), _read(right)
    width = max(len(mine), len(theirs))
    ended = " −1 is past its end." if len(mine) != len(theirs) else ""
    return compared(_row(mine, width), _row(theirs, width), kind="ids", title=title,
                    meaning=f"What the definition gives.{ended}", rows=["ids"], columns=positions(width),
                    axes=("list", "position"))  # fmt: skip


def _draw_spans(answer: dict, right: dict, ids: Ids, chosen: list[bool], sentinels: Ids):
    part = "inputs" if answer["inputs"] != right["inputs"] else "targets"
    sentence = given(torch.tensor([ids]), kind="ids", title="sentence", meaning="What was chosen is hatched.",
                     blocked=torch.tensor([chosen]), rows=["ids"], columns=positions(len(ids)),
                     axes=("list", "position"))  # fmt: skip
    return [sentence, *_draw_ids(answer[part], right[part], title=part)]


def _draw_restored(answer: dict, right: dict, inputs: Ids, targets: Ids, sentinels: Ids):
    width = max(len(inputs), len(targets))
    pair = given(torch.cat([_row(inputs, width), _row(targets, width)]), kind="ids", title="inputs and targets",
                 meaning="What your function was given. −1 is past an end.", rows=["inputs", "targets"],
                 columns=positions(width), axes=("list", "position"))  # fmt: skip
    return [pair, *_draw_ids(answer["ids"], right["ids"], title="ids")]


def _starts(chosen: list[bool]) -> list[bool]:
    """Where a run begins."""
    return [hidden and (t == 0 or not chosen[t - 1]) for t, hidden in enumerate(chosen)]


def _one_for_each(ids: Ids, chosen: list[bool], sentinels: Ids) -> tuple[Ids, Ids]:
    """A sentinel for each chosen token, round and round if there are too few."""
    unused = [sentinels[i % len(sentinels)] for i in range(sum(chosen))]
    inputs, targets = list(ids), []
    for sentinel, t in zip(unused, [t for t, hidden in enumerate(chosen) if hidden], strict=True):
        inputs[t] = sentinel
        targets += [sentinel, ids[t]]
    return inputs, targets


def _sentinel_behind(ids: Ids, chosen: list[bool], sentinels: Ids) -> tuple[Ids, Ids]:
    inputs, targets = _spans_of(ids, chosen, sentinels)
    return inputs, _spans_of(ids[::-1], chosen[::-1], sentinels[: sum(_starts(chosen))][::-1])[1][::-1]


def _wraps_around(ids: Ids, chosen: list[bool], sentinels: Ids) -> tuple[Ids, Ids]:
    """chosen[t − 1] is chosen[−1] where t = 0: the first run is taken for a part of the last one."""
    begins = [hidden and not chosen[t - 1] for t, hidden in enumerate(chosen)]
    inputs, targets, runs = [], [], 0
    for token, hidden, new in zip(ids, chosen, begins, strict=True):
        if new:
            inputs.append(sentinels[runs])
            targets.append(sentinels[runs])
            runs += 1
        (targets if hidden else inputs).append(token)
    return inputs, targets


def _without(sentinels: Ids, ids: Ids) -> Ids:
    return [one for one in ids if one not in sentinels]


def _lost(ids: Ids, *halves: Ids) -> bool:
    """Whether an id comes more often in a list than in all the others together."""
    return bool(Counter(ids) - Counter(sum(halves, [])))


def _only_sentinels_differ(mine: Ids, theirs: Ids, sentinels: Ids) -> bool:
    """Whether all is in its place, but for what should be sentinels."""
    pairs = zip(mine, theirs, strict=False)
    return len(mine) == len(theirs) and all(one == other or other in sentinels for one, other in pairs)


def _seen_in_spans(symptom: Callable[..., bool]) -> Callable[..., bool]:
    """A symptom seen in the lists: ``symptom(mine, right, *case)``, both are inputs and targets."""

    def shows(answer: dict, right: dict, *case) -> bool:
        mine, theirs = ((_read(one["inputs"]), _read(one["targets"])) for one in (answer, right))
        return symptom(mine, theirs, *case)

    return shows


def _in_spans(name: str, says: str, symptom: Callable[..., bool]) -> Misconception:
    """A misconception that is seen in the lists wherever they are wrong."""
    return Misconception(name, says, shows=_seen_in_spans(symptom), always=True)


to_spans = Exercise(
    name="to_spans",
    asks="T5's format: inputs with one sentinel for each run of chosen tokens, targets with the runs; two lists",
    takes="ids, chosen, sentinels",
    cases=_sentences(),
    definition=_spans(_spans_of),
    observed=_two_lists,
    picture=_draw_spans,
    wrong=[
        *forms("a sentinel for each token", "each chosen token has a sentinel of its own. Tokens side by side are "
               "*one* run, and a run has one sentinel: so the model has to find out how many words are missing.",
               _one_for_each,
               lambda *case: (_one_for_each(*case)[0], _spans_of(*case)[1])),
        _in_spans("as long as before", "your inputs are as long as the sentence. In T5's format all tokens of a run "
                  "leave, and *one* sentinel takes their place.",
                  lambda mine, right, ids, *_more: len(mine[0]) == len(ids)),
        *forms("one sentinel for all", "all runs have the same sentinel. Each has its own, or nobody can tell which "
               "words belong in which blank.",
               lambda ids, chosen, sentinels: _spans_of(ids, chosen, sentinels[:1] * len(ids))),
        _in_spans("other sentinels", "all is in its place, but these are other sentinels. The first run gets "
                  "sentinels[0], the next one sentinels[1], and so on, whatever their numbers are.",
                  lambda mine, right, ids, chosen, sentinels: all(
                      _only_sentinels_differ(*pair, sentinels) for pair in zip(mine, right, strict=True))),
        _in_spans("one token more", "your targets end in one token too many. Here there is no end token, and no "
                  "sentinel at the end. (T5's paper draws one there, its code has none.)",
                  lambda mine, right, *_case: mine[0] == right[0] and mine[1][:-1] == right[1]),
        *forms("no sentinels in the targets", "in your targets the words of all runs follow one another. Before each "
               "run its sentinel is missing: it says which blank the words belong in.",
               lambda ids, chosen, sentinels: (
                   _spans_of(ids, chosen, sentinels)[0], [i for i, hidden in zip(ids, chosen, strict=True) if hidden])),
        *forms("no sentinels in the inputs", "in your inputs the chosen words are gone without a trace. Where a run "
               "was, its sentinel should be.",
               lambda *case: (_without(case[2], _spans_of(*case)[0]), _spans_of(*case)[1]),
               lambda *case: (_without(case[2], _spans_of(*case)[0]), _without(case[2], _spans_of(*case)[1]))),
        Misconception("sentinel behind the run", "in your targets the sentinel comes *after* the words of its run. It "
                      "comes first, and announces them.",
                      gives=_sentinel_behind),
        *forms("the whole sentence", "your targets are the whole sentence. T5 writes only what is missing: for each "
               "run its sentinel, and its words.",
               lambda *case: (_spans_of(*case)[0], case[0])),
        *forms("targets first", "inputs and targets are swapped. Return the inputs first.",
               lambda *case: _spans_of(*case)[::-1]),
        *forms("inverted", "inverted: you hide what was not chosen. In `chosen`, True means that a token leaves.",
               lambda ids, chosen, sentinels: _spans_of(ids, [not one for one in chosen], sentinels)),
        *forms("wraps around", "only where a sentence begins *and* ends with a run, the first sentinel is missing. "
               "At t = 0, chosen[t - 1] is chosen[-1], the last one of all. Nothing comes before the first token.",
               _wraps_around),
        _in_spans("by its value", "only sentences in which a token comes twice are wrong. Do you look for its value, "
                  "with `in`, `index` or `remove`? Its *position* says whether it is chosen.",
                  lambda mine, right, ids, *_more: len(set(ids)) < len(ids)),
        _in_spans("the start", "only sentences that begin with a run are wrong. Does your loop begin at the second "
                  "token, or compare with the one before? Before the first token nothing is hidden.",
                  lambda mine, right, ids, chosen, sentinels: chosen[0]),
        _in_spans("the end", "only sentences that end with a run are wrong. If your loop closes a run when the next "
                  "word comes, the last one is never closed: do it after the loop.",
                  lambda mine, right, ids, chosen, sentinels: chosen[-1]),
        _in_spans("only the first run", "only the first run of a sentence gets a sentinel. When a run has ended, the "
                  "next chosen token begins a new one: does your loop notice the end?",
                  lambda mine, right, ids, chosen, sentinels: sum(_starts(chosen)) > 1 == sum(
                      token in sentinels for token in mine[1])),
        Misconception("lost", "a token of the sentence is in neither list. A chosen one goes into the targets, any "
                      "other into the inputs. Does your loop come to the last token?",
                      shows=_seen_in_spans(lambda mine, right, ids, *_more: _lost(ids, *mine))),
    ],
)  # fmt: skip


def _pieces(targets: Ids, sentinels: Ids) -> dict[int, Ids]:
    """The words behind each sentinel of the targets."""
    pieces: dict[int, Ids] = {}
    current: Ids = []
    for token in targets:
        if token in sentinels:
            current = pieces.setdefault(token, [])
        else:
            current.append(token)
    return pieces


def _filled(inputs: Ids, pieces: dict[int, Ids]) -> Ids:
    """The inputs with a piece in place of each sentinel that has one."""
    return [restored for token in inputs for restored in pieces.get(token, [token])]


def _restored(inputs: Ids, targets: Ids, sentinels: Ids) -> Ids:
    return _filled(inputs, _pieces(targets, sentinels))


def _back(way: Callable[..., Ids]) -> Callable:
    return lambda *case: {"ids": _written(way(*case))}


def _each_piece(change: Callable[[Ids], Ids], *, last: bool = False) -> Callable:
    """The way back with every piece changed, or only the last one."""

    def way(inputs: Ids, targets: Ids, sentinels: Ids) -> Ids:
        pieces = _pieces(targets, sentinels)
        names = list(pieces)[-1:] if last else list(pieces)
        return _filled(inputs, pieces | {name: change(pieces[name]) for name in names})

    return way


def _to_the_end(inputs: Ids, targets: Ids, sentinels: Ids) -> Ids:
    """In each hole all that comes after its sentinel, the next runs included."""
    return _filled(inputs, {one: targets[targets.index(one) + 1 :] for one in _pieces(targets, sentinels)})


def _seen_in_sentence(symptom: Callable[..., bool]) -> Callable[..., bool]:
    """A symptom seen in the sentence: ``symptom(mine, right, inputs, targets, sentinels)``."""
    return lambda answer, right, *case: symptom(_read(answer["ids"]), _read(right["ids"]), *case)


def _in_sentence(name: str, says: str, symptom: Callable[..., bool]) -> Misconception:
    """A misconception that is seen in the sentence wherever it is wrong."""
    return Misconception(name, says, shows=_seen_in_sentence(symptom), always=True)


from_spans = Exercise(
    name="from_spans",
    asks="the sentence that inputs and targets were made from: one list of ids",
    takes="inputs, targets, sentinels",
    cases=[(*_spans_of(*case), case[2]) for case in _sentences()],
    definition=_back(_restored),
    observed=_one_list,
    picture=_draw_restored,
    wrong=[
        *forms("holes left out", "your sentence is what was left in the inputs. The words of the targets are missing.",
               lambda inputs, targets, sentinels: _without(sentinels, inputs)),
        *forms("at the end", "the words of the targets are at the end of your sentence. Each run belongs where its "
               "sentinel is.",
               lambda inputs, targets, sentinels: _without(sentinels, inputs + targets),
               lambda inputs, targets, sentinels: inputs + targets),
        _in_sentence("one word for each hole", "in each blank you put one word. A run may be longer: take all words up "
                     "to the next sentinel.",
                     lambda mine, right, inputs, targets, sentinels: not {*mine} & {*sentinels}
                     and _only_sentinels_differ(mine, inputs, sentinels)),
        *forms("too far", "in each blank you put all that follows its sentinel in the targets. A run ends where the "
               "next sentinel comes.",
               _to_the_end, lambda *case: _without(case[2], _to_the_end(*case))),
        _in_sentence("told by their size", "you put the sentence together again only where the sentinels are larger "
                     "than all words. They need not be: `token in sentinels` tells them apart.",
                     lambda mine, right, inputs, targets, sentinels: min(sentinels) < max(right)),
        _in_sentence("another order", "all words are there, but in another order. Each run belongs, as it stands, in "
                     "place of its own sentinel.",
                     lambda mine, right, *_case: sorted(mine) == sorted(right)),
        *forms("the first run everywhere", "all blanks get the words of one run. Look each sentinel up in the targets.",
               lambda inputs, targets, sentinels: _filled(inputs, dict.fromkeys(
                   sentinels, next(iter(_pieces(targets, sentinels).values()), []))),
               lambda inputs, targets, sentinels: _filled(inputs, dict.fromkeys(
                   sentinels, [*_pieces(targets, sentinels).values()][-1] if targets else [])),
               lambda inputs, targets, sentinels: _filled(inputs, dict.fromkeys(
                   sentinels, _without(sentinels, targets)))),
        *forms("last run lost", "the last run is missing from your sentence, or not complete. No sentinel follows it: "
               "is it put away when your loop has ended?",
               _each_piece(lambda piece: [], last=True),
               _each_piece(lambda piece: piece[:-1], last=True),
               lambda inputs, targets, sentinels: _filled(
                   inputs, dict(list(_pieces(targets, sentinels).items())[:-1]))),
        Misconception("sentinels left", "there are sentinels in your sentence. Replace each by the words that come "
                      "after it in the targets.",
                      shows=_seen_in_sentence(lambda mine, right, inputs, targets, sentinels: bool(
                          {*mine} & {*sentinels}))),
        Misconception("lost", "words are missing in your sentence. All words of both lists belong in it, and only the "
                      "sentinels don't.",
                      shows=_seen_in_sentence(lambda mine, right, *_case: _lost(right, mine))),
    ],
)  # fmt: skip

# --- 6 · Static or dynamic ------------------------------------------------------------------------------------------

UNCALLED, UNKNOWN = -2, -1  # in place of a mask's number


def _plan(function: Callable, epochs: int, copies: int | None) -> dict:
    """What holds for a list of masks: each with True or False; and the number of the mask that each epoch has."""
    g, made = cases.generator(), []

    def make() -> Tensor:
        made.append(torch.rand(2, 30, generator=g) < 0.15)  # no two are the same
        return made[-1].clone()

    answer = function(make, epochs, copies)
    one_mask = isinstance(answer, Tensor) and _number(answer, made) >= 0
    if isinstance(answer, Tensor) and answer.ndim and not one_mask:
        answer = list(answer)
    if not isinstance(answer, list | tuple):
        got = "one mask" if one_mask else "something else"
        raise Complaint(f"your answer must be a list with a mask for each epoch. Got {got}.")
    numbers = [_number(mask, made) for mask in answer]
    uses = [numbers.count(i) for i in range(len(made))]
    wanted = epochs if copies is None else copies
    return {
        "numbers": torch.tensor(numbers, dtype=torch.int64),
        "uses": torch.tensor(uses, dtype=torch.int64),
        "from make": all(number >= 0 for number in numbers),
        "an epoch each": len(answer) == epochs,
        "as many made": len(made) == wanted,
        "equally often": sorted(uses, reverse=True)[:wanted] == _uses(epochs, wanted),
    }


def _uses(epochs: int, copies: int) -> list[int]:
    """How often each of the masks is used, the most used first: equally often, or once more."""
    return [epochs // copies + (i < epochs % copies) for i in range(copies)]


def _number(mask, made: list[Tensor]) -> int:
    if callable(mask) and not isinstance(mask, Tensor):
        return UNCALLED
    known = [i for i, one in enumerate(made) if isinstance(mask, Tensor) and same(mask, one)]
    return known[0] if known else UNKNOWN


def _planned(symptom: Callable[[list[int], list[int], int, int | None], bool]) -> Callable[..., bool]:
    """A symptom seen in the numbers of the masks and their uses: ``symptom(numbers, uses, epochs, copies)``."""

    def shows(answer: dict, right: dict, epochs: int, copies: int | None) -> bool:
        numbers, uses = (answer[name].tolist() for name in ("numbers", "uses"))
        return bool(symptom(numbers, uses, epochs, copies))

    return shows


def _draw_plan(answer: dict, right: dict, epochs: int, copies: int | None):
    wanted = epochs if copies is None else copies
    mine, theirs = sorted(answer["uses"].tolist(), reverse=True), _uses(epochs, wanted)
    width = max(len(mine), len(theirs), 1)
    rows = [torch.tensor([one + [0] * (width - len(one))]) for one in (mine, theirs)]
    if torch.equal(*rows):
        return ()
    return compared(*rows, kind="ids", title="uses", meaning="How often each mask is used, the most used first.",
                    rows=["uses"], columns=positions(width), axes=("uses", "mask"))  # fmt: skip


schedule = Exercise(
    name="schedule",
    asks="a mask for each epoch: `copies` of them in turn, or with copies=None a new one each; a list",
    takes="make, epochs, copies",
    cases=[(12, 3), (8, None), (40, 10), (8, 1), (25, 10), (40, None), (5, 5), (1, None)],
    definition=lambda epochs, copies: {"numbers": ..., "uses": ...} | dict.fromkeys(
        ("from make", "an epoch each", "as many made", "equally often"), True),
    observed=_plan,
    picture=_draw_plan,
    wrong=[
        Misconception("make not called", "your list holds the function `make` itself. Call it: make() returns a mask.",
                      shows=_planned(lambda numbers, uses, epochs, copies: UNCALLED in numbers)),
        Misconception("not from make", "some masks in your list don't come from make(), or were changed afterwards.",
                      shows=_fails("from make")),
        Misconception("one mask for all", "all epochs get the same mask. ([make()] * 40 calls make() once, and then "
                      "holds that one mask 40 times.)",
                      shows=_planned(lambda numbers, uses, epochs, copies: len(set(numbers)) == 1 < min(
                          epochs, copies or epochs)), always=True),
        Misconception("as long as copies", "your list has a mask for each copy. It should have one for each *epoch*: "
                      "the copies are used again.",
                      shows=_planned(lambda numbers, uses, epochs, copies: len(numbers) == copies != epochs)),
        Misconception("another length", "your list should have one mask for each epoch, no more and no fewer.",
                      shows=_fails("an epoch each")),
        Misconception("always dynamic", "you make a new mask in each epoch, whatever `copies` says. With copies=10, "
                      "only ten are made, and used again and again.",
                      shows=_planned(lambda numbers, uses, epochs, copies: copies is not None and copies < epochs
                                     and len(set(numbers)) == epochs), always=True),
        Misconception("always static", "with copies=None you reuse masks. Dynamic masking makes a new one in each "
                      "epoch.",
                      shows=_planned(lambda numbers, uses, epochs, copies: copies is None
                                     and len(set(numbers)) < epochs)),
        Misconception("made too often", "make() is called too often: with copies=10 ten times, and with copies=None "
                      "once for each epoch. Is there a make() inside the loop over the epochs?",
                      shows=_planned(lambda numbers, uses, epochs, copies: len(uses) > (copies or epochs))),
        Misconception("too few copies", "you make fewer masks than `copies` says.",
                      shows=_fails("as many made")),
        Misconception("not equally often", "some copies are used more often than others. Take them in turn, or each "
                      "for a block of epochs. If `copies` does not divide `epochs`, some come once more than others.",
                      shows=_fails("equally often")),
    ],
)  # fmt: skip
