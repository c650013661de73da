"""The checks of lesson 06: causal mask, prefixes, labels shifted once, a leak to find, the mask beside a cache.

>>> causal_mask(lambda length: torch.ones(length, length).triu(1).bool()).misconception
'inverted'
>>> prefix_lengths(lambda mask: mask.sum(dim=-1)).misconception
'counts'
>>> shift_labels(lambda ids, is_word: ids.masked_fill(~is_word, -100)).misconception
'not shifted'
>>> leaks(lambda model, ids: not torch.equal(model(ids)[:, :-1], model(ids[:, :-1]))).misconception
'a leak at the start'
>>> cached_mask(lambda queries, keys: torch.ones(queries, keys).tril(keys - queries).bool()).state
'right'
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from masklab.check import cases, oracles
from masklab.check.answers import same
from masklab.check.exercise import Exercise
from masklab.check.language_models import models_and_ids
from masklab.check.misconceptions import Misconception, Note, only_in_rows
from masklab.check.pictures import compared, first_difference, given, positions, tokens
from masklab.panels import counted


def _tril(queries: int, keys: int, diagonal: int = 0) -> Tensor:
    """True up to a diagonal: 0 is the one that starts in the upper left corner."""
    return torch.ones(queries, keys, dtype=torch.bool).tril(diagonal)


# --- 1 · The causal mask --------------------------------------------------------------------------------------------


def _square(length: int) -> Tensor:
    return oracles.causal_mask(length, length)


def _draw_causal_mask(answer: Tensor, right: Tensor, length: int):
    names = positions(length)
    return compared(answer, right, kind="mask", title="mask", rows=names, columns=names)


causal_mask = Exercise(
    name="causal_mask",
    asks="which query may attend to which key, itself and the past: (length, length) bool, True = may attend",
    takes="length",
    cases=[(length,) for length in (5, 2, 3, 4, 6, 7, 1, 12)],
    definition=_square,
    picture=_draw_causal_mask,
    wrong=[
        Misconception(
            "inverted",
            "inverted. You mark the future, as one does to fill it with −∞; here True means may attend.",
            gives=lambda length: ~_square(length),
        ),
        Misconception(
            "one too far",
            "one too far: each query also sees the next token, the very one that it has to predict. "
            "Where does a query find itself in its row?",
            gives=lambda length: _tril(length, length, 1),
        ),
        Misconception(
            "diagonal blocked",
            "the diagonal is blocked: no token sees itself, and the first row is fully masked (no key is left). "
            "What would its softmax be?",
            gives=lambda length: _tril(length, length, -1),
        ),
        Misconception(
            "the past is blocked",
            "mirrored at the diagonal: each query sees itself and the *future*. Rows are queries and columns are keys. "
            "Which of the two may be the larger number?",
            gives=lambda length: _square(length).T,
        ),
        Misconception(
            "only itself",
            "each query sees itself and nothing else. It may look back as well: what about the keys before it?",
            gives=lambda length: torch.eye(length, dtype=torch.bool),
        ),
        Misconception(
            "nothing is blocked",
            "nothing is blocked: the first query may read all the text. Which keys come after a query?",
            gives=lambda length: _tril(length, length, length),
        ),
        Misconception(
            "one row",
            "one row, not one for each query. Compare a row of numbers with a *column* of numbers, and each meets "
            "each: what does x[:, None] do?",
            gives=lambda length: torch.ones(length, dtype=torch.bool),
        ),
    ],
)

# --- 2 · A causal row is a prefix -----------------------------------------------------------------------------------


def _until_false(mask: Tensor) -> Tensor:
    """How many keys each row has before its first False."""
    return mask.int().cumprod(dim=-1).sum(dim=-1)


def _last_true(mask: Tensor) -> Tensor:
    """Where each row's last True is, counted from 1; 0 if there is none."""
    return (mask * torch.arange(1, mask.shape[-1] + 1)).amax(dim=-1)


def _all_or_none(mask: Tensor) -> Tensor:
    """What `all()` without an axis gives."""
    lengths = oracles.prefix_lengths(mask)
    return lengths if bool((lengths >= 0).all()) else torch.full_like(lengths, -1)


def _draw_prefix_lengths(answer: Tensor, right: Tensor, mask: Tensor):
    names = positions(len(mask))
    shown = given(mask, kind="mask", title="mask", rows=names, columns=positions(mask.shape[1]))
    pair = compared(answer[:, None], right[:, None], kind="ids", title="lengths", rows=names, columns=["length"],
                    axes=("query", "length"))  # fmt: skip
    return [shown, *pair]


prefix_lengths = Exercise(
    name="prefix_lengths",
    asks="how many keys each query sees, if they are the first ones and no others, and −1 if not: (queries,) int64",
    takes="mask",
    # A causal mask, one beside a cache, padding on the left, and one query.
    cases=[
        *((mask,) for mask in cases.prefix_masks(16)),
        (oracles.causal_mask(5, 5),),
        (oracles.causal_mask(2, 6),),
        (torch.tensor([[False, False, True, True]] * 3),),
        (torch.tensor([[True, True, False]]),),
    ],
    definition=oracles.prefix_lengths,
    picture=_draw_prefix_lengths,
    wrong=[
        Misconception(
            "counts",
            "you count the keys of a row, wherever they are. True False True has two, but they are not the first two. "
            "Which keys would a prefix of that length have?",
            gives=lambda mask: mask.sum(dim=-1),
        ),
        Misconception(
            "stops at the first False",
            "you count up to the first False and stop. In True False True there is one more key after it, "
            "so the row is no prefix.",
            gives=_until_false,
        ),
        Misconception(
            "last True",
            "you return where the last True is. In True False True it is the third key, but the query does not see "
            "three keys: what about those before it?",
            gives=_last_true,
        ),
        Misconception(
            "other rows are not −1",
            "the prefixes are right, but a row that is none gets 0, as a fully masked row does. −1 tells them apart.",
            gives=lambda mask: oracles.prefix_lengths(mask).clamp(min=0),
        ),
        Misconception(
            "index of the last",
            "one too few: you return the index of the last key. Indices start at 0. How many keys are there up to "
            "index 2?",
            gives=lambda mask: oracles.prefix_lengths(mask).sub(1).clamp(min=-1),
        ),
        Misconception(
            "columns",
            "columns instead of rows. A row is a query, and the keys lie along the last axis, dim=-1.",
            gives=lambda mask: mask.sum(dim=0),
        ),
        Misconception(
            "one key too many",
            "only full rows are prefixes to you. Is the prefix that you compare with one key too long? "
            "Of 3 keys the last has the number 2: is it < or <= ?",
            gives=lambda mask: torch.where(mask.all(dim=-1), mask.shape[1], -1),
        ),
        Misconception(
            "all rows or none",
            "one row that is no prefix makes every row −1. Each row has its own answer: does your `all` take the "
            "whole mask, or one row at a time?",
            gives=_all_or_none,
        ),
        Misconception(
            "a full row",
            "a row without any False goes wrong: it is a prefix of all its keys. If you look for the first False, "
            "what does your search return when there is none?",
            shows=only_in_rows(lambda mask: mask.all(dim=-1)),
        ),
        Misconception(
            "a fully masked row",
            "a fully masked row goes wrong. It sees the first 0 keys and no others, and that is a prefix, too.",
            shows=only_in_rows(lambda mask: ~mask.any(dim=-1)),
        ),
    ],
)

# --- 3 · Labels, shifted once ---------------------------------------------------------------------------------------


def _left(values: Tensor, steps: int, fill: int | bool) -> Tensor:
    """Shifted to the left, or to the right by negative steps; what has no source is filled."""
    shifted = values.roll(-steps, dims=1)
    places = torch.arange(values.shape[1]) + steps
    return shifted.masked_fill((places < 0) | (places >= values.shape[1]), fill)


def _labels_are(steps: int) -> Callable[..., bool]:
    """The symptom of another shift: in two sentences or more, all labels are the ids so many steps ahead."""

    def shows(answer: Tensor, right: Tensor, ids: Tensor, is_word: Tensor) -> bool:
        counts = is_word & _left(is_word, steps, False) & (answer != -100)
        many = int(counts.sum()) >= 3 and int(counts.any(dim=1).sum()) >= 2
        return many and same(answer[counts], _left(ids, steps, 0)[counts]) and not same(answer, right)

    return shows


def _but_for_the_end(way: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., bool]:
    """The symptom of one way to shift: the answer has labels where none belongs, as it gives them before the end."""

    def shows(answer: Tensor, right: Tensor, *case) -> bool:
        labels = way(*case)[:, :-1]
        return same(answer[:, :-1], labels) and bool((labels[right[:, :-1] == -100] > 0).any())

    return shows


def _only_elsewhere(answer: Tensor, right: Tensor, ids: Tensor, is_word: Tensor) -> bool:
    """No word that has a label gets one, and something else does."""
    labelled = right != -100
    return bool((answer[labelled] == -100).all() and (answer[~labelled] != -100).any())


def _zeros_are_dropped(answer: Tensor, right: Tensor, ids: Tensor, is_word: Tensor) -> bool:
    """Real zeros have no label, and the other words of their sentences do."""
    zeros, others = right == 0, (right > 0) & (ids != 0)
    dropped = bool((zeros.any(dim=1) & others.any(dim=1)).any() and (answer[zeros] == -100).all())
    return dropped and same(answer[others], right[others])


def _last_column_is(*values: Callable[[Tensor], Tensor]) -> Callable[..., bool]:
    """The symptom of an answer whose labels in the last column are one of these, in every row that has one."""

    def shows(answer: Tensor, right: Tensor, ids: Tensor, is_word: Tensor) -> bool:
        rows = answer[:, -1] != -100
        return bool((answer[rows, -1] > 0).any()) and any(same(answer[rows, -1], value(ids)[rows]) for value in values)

    return shows


def _only_the_last_column(answer: Tensor, right: Tensor, ids: Tensor, is_word: Tensor) -> bool:
    """Where some sentences end before the last column, so that another label of a last word would show."""
    padded = bool((~is_word[:, -1]).any())
    return padded and same(answer[:, :-1], right[:, :-1]) and not same(answer, right)


def _ignored_by_another_number(answer: Tensor, right: Tensor, ids: Tensor, is_word: Tensor) -> bool:
    """One number stands where −100 should, and it is not the padding's id."""
    ignored, pads = right == -100, ids[~is_word]
    numbers = answer[ignored].unique()
    other = len(numbers) == 1 and len(pads) > 0 and numbers.item() not in (-100, *pads.tolist())
    return other and same(answer[~ignored], right[~ignored])


def _draw_shift_labels(answer: Tensor, right: Tensor, ids: Tensor, is_word: Tensor):
    i = first_difference(answer, right)
    rows, columns, pads = [f"sentence {i}"], tokens(is_word[i]), (~is_word[i]).tolist()

    def shown(draw: Callable, *rows_of: Tensor, title: str):
        return draw(*(x[i : i + 1] for x in rows_of), kind="ids", title=title, rows=rows, columns=columns,
                    column_pads=pads, axes=("sentence", "position"))  # fmt: skip

    return [shown(given, ids, title="ids"), *shown(compared, answer, right, title="labels")]


shift_labels = Exercise(
    name="shift_labels",
    asks="the label of each word is the word after it, −100 elsewhere: (batch, length) int64",
    takes="ids, is_word",
    # A sentence that fills its batch beside one that does not, and a batch of one.
    cases=[
        *cases.padded_ids(18),
        (
            torch.tensor([[4, 0, 9, 2, 0, 0], [7, 8, 0, 5, 6, 1]]),
            oracles.word_positions(torch.tensor([4, 6]), 6, side="right"),
        ),
        (torch.tensor([[4, 0, 9, 2, 0, 0]]), torch.tensor([[True, True, True, True, False, False]])),
    ],
    definition=oracles.next_tokens,
    picture=_draw_shift_labels,
    wrong=[
        Misconception(
            "not shifted",
            "not shifted: the label of a word is the word itself, which the model can see. It would learn to copy.",
            shows=_labels_are(0),
        ),
        Misconception(
            "shifted twice",
            "shifted twice: the label is the next but one. A model trained on it skips a word each time.",
            shows=_labels_are(2),
        ),
        Misconception(
            "shifted the wrong way",
            "shifted the wrong way: the label of a word is the one *before* it. What is to be predicted comes after.",
            shows=_labels_are(-1),
        ),
        Misconception(
            "pads as labels",
            "pads become labels, and pads get labels: these are all ids, shifted. A model trained on them learns to "
            "write padding. `is_word` says which positions are words.",
            shows=lambda answer, right, ids, is_word: same(answer[:, :-1], ids[:, 1:]),
            always=True,
        ),
        Misconception(
            "inverted",
            "inverted. The words that have a next word get −100, and the other positions get a label. "
            "Which of them does your condition choose?",
            shows=_only_elsewhere,
            always=True,
        ),
        Misconception(
            "the last word predicts a pad",
            "with padding on the right the last word gets a pad as its label. `is_word` says that this position is a "
            "word. What does it say about the next one?",
            shows=_but_for_the_end(lambda ids, is_word: _left(ids, 1, -100).masked_fill(~is_word, -100)),
        ),
        Misconception(
            "a pad predicts the first word",
            "with padding on the left the last pad gets the first word as its label. A pad predicts nothing: both this "
            "position and the next must be words.",
            shows=_but_for_the_end(
                lambda ids, is_word: _left(ids, 1, -100).masked_fill(~_left(is_word, 1, False), -100)
            ),
        ),
        Misconception(
            "padding always on the right",
            "you count the words and take the first positions. That holds only where the padding is on the right: "
            "`is_word` says itself where the words are.",
            gives=lambda ids, is_word: _left(ids, 1, -100).where(
                torch.arange(1, ids.shape[1] + 1) < is_word.sum(dim=1, keepdim=True), -100
            ),
        ),
        Misconception(
            "wraps around",
            "a first token comes back as a label in the last column, as with `roll`, which wraps around. "
            "Nothing follows there: −100.",
            shows=_last_column_is(lambda ids: ids[:, 0], lambda ids: ids[:, 0].roll(-1)),
        ),
        Misconception(
            "id 0 is padding",
            "a real word with id 0 is not predicted. Padding can't be recognised by its id: ask `is_word`.",
            shows=_zeros_are_dropped,
        ),
        Misconception(
            "another number than −100",
            "the labels are right, but the other positions have another number than −100. "
            "The loss leaves out −100 and no other number, unless you tell it to.",
            shows=_ignored_by_another_number,
        ),
        Misconception(
            "a label at the end",
            "only the last column is wrong. No token follows it, so no label can stand there: −100.",
            shows=_only_the_last_column,
        ),
        Misconception(
            "one column short",
            "one column is missing. The logits have a row for the last position, too: keep the length, "
            "and put −100 where nothing follows.",
            gives=lambda ids, is_word: ids[:, 1:],
        ),
    ],
    notes=[
        Note(
            "not int64",
            "One thing to know: your labels are not int64, and cross_entropy takes no others: .long() converts them.",
            case=(torch.tensor([[1, 2]]), torch.tensor([[True, True]])),
            shows=lambda answer: answer.dtype != torch.int64,
        )
    ],
)

# --- 4 · Find the leak ----------------------------------------------------------------------------------------------


def _leaks(model: nn.Module, ids: Tensor) -> bool:
    """Whether some logits depend on a later token."""
    return bool(oracles.dependencies(model, ids).triu(1).any())


def _wrong_on(*kinds: str) -> Callable[..., bool]:
    """The symptom of an answer that is wrong on a model of one of these kinds."""
    return lambda answer, right, model, ids: model.kind in kinds and bool(answer != right)


def _draw_leaks(answer: Tensor, right: Tensor, model: nn.Module, ids: Tensor):
    depends, names = oracles.dependencies(model, ids), positions(ids.shape[1])
    leaks = counted(int(depends.triu(1).sum()), "cell")
    meaning = f"1: the row's logits change with the column's token. Above the diagonal that is a leak: {leaks} here."
    return [given(depends, kind="mask", title="what a model reads", meaning=meaning, rows=names, columns=names,
                  axes=("logits", "token"))]  # fmt: skip


leaks = Exercise(
    name="leaks",
    asks="do the logits of some position depend on a later token? True or False",
    takes="model, ids",
    cases=models_and_ids(),
    definition=_leaks,
    picture=_draw_leaks,
    wrong=[
        Misconception(
            "always True",
            "you say True to every model, also to one that reads no token at all. What do you compare?",
            gives=lambda model, ids: True,
        ),
        Misconception(
            "always False",
            "you say False to every model, also to one without any mask. Do you change a *later* token, does the "
            "model get the changed text, and what do you compare?",
            gives=lambda model, ids: False,
        ),
        Misconception(
            "inverted",
            "you accuse a model that reads no token at all. Is your answer inverted? True means that the model leaks. "
            "Or do you compare two different positions?",
            shows=_wrong_on("no token"),
        ),
        Misconception(
            "the token itself",
            "you accuse a model in which each position reads its own token and no other. That is allowed: "
            "which positions come *before* the token that you change? Does each try start from a fresh copy?",
            shows=_wrong_on("its own token"),
        ),
        Misconception(
            "earlier tokens",
            "you accuse a causal model. Its logits depend on earlier tokens, as they should. "
            "Which tokens can you change so that a position must not notice?",
            shows=_wrong_on("causal", "earlier tokens"),
        ),
        Misconception(
            "no mask is missed",
            "you miss a model without any mask. Do you change a later token into a different one, and do you compare "
            "all logits of the earlier positions, with a small tolerance?",
            shows=_wrong_on("no mask"),
        ),
        Misconception(
            "a faint leak",
            "you miss a model that adds a little of the mean over all positions. Its logits change by a few hundredths "
            "at most, and the likeliest token stays the same: compare the logits themselves, with a small tolerance.",
            shows=_wrong_on("a faint mean"),
        ),
        Misconception(
            "the next token",
            "you miss a model in which each position sees one token too far. Is the position just before the changed "
            "token among those that you compare?",
            shows=_wrong_on("one too far"),
        ),
        Misconception(
            "a leak at the start",
            "you miss a model in which position 0 sees token 1, and no other leak. "
            "Do you change or cut off that token, do you look at that position, and is one leak enough for True?",
            shows=_wrong_on("only the first"),
        ),
        Misconception(
            "a leak at the end",
            "you miss a model in which position 4 sees token 5, the last one, and no other leak. Do you change or cut "
            "off that token, and do you look at that position? Or does a `return` end your loop too early?",
            shows=_wrong_on("only the last"),
        ),
        Misconception(
            "a leak in the middle",
            "you miss a model in which position 1 sees token 3, and no other leak. Do you change every token, each "
            "into a different one, and do you look at *all* positions before it?",
            shows=_wrong_on("in the middle"),
        ),
        Misconception(
            "a sum over the vocabulary",
            "you miss a model whose logits are always 0 … 9 in another order: their sum and their largest stay the "
            "same. Compare each number.",
            shows=_wrong_on("another order"),
        ),
        Misconception(
            "rounding",
            "you accuse a causal model whose logits change by less than 0.000001 when a later token does. "
            "That is rounding, not a leak: do you compare with == or with a tolerance?",
            shows=_wrong_on("rounding"),
        ),
    ],
)

# --- 5 · The mask beside a cache ------------------------------------------------------------------------------------


def _without_the_cache(queries: int, keys: int) -> Tensor:
    """The new tokens see each other, and nothing else."""
    return oracles.causal_mask(queries, keys) & (torch.arange(keys) >= keys - queries)


def _draw_cached_mask(answer: Tensor, right: Tensor, queries: int, keys: int):
    rows = positions(keys)[keys - queries :]
    return compared(answer, right, kind="mask", title="mask", rows=rows, columns=positions(keys))


cached_mask = Exercise(
    name="cached_mask",
    asks="the causal mask of the last `queries` of `keys` positions: (queries, keys) bool, True = may attend",
    takes="queries, keys",
    # A chunk, one step, no cache, and one token in all.
    cases=[(2, 5), (1, 6), (3, 4), (4, 4), (3, 8), (5, 7), (1, 1), (4, 12)],
    definition=oracles.causal_mask,
    picture=_draw_cached_mask,
    wrong=[
        Misconception(
            "upper left",
            "aligned at the upper left, as `is_causal` does it: query 0 sees key 0 only. But it is not the first token "
            "of the text. At which position is it?",
            gives=_tril,
        ),
        Misconception(
            "the wrong sign",
            "shifted the wrong way: the rows see fewer keys with a cache than without. Each cached token is one key "
            "more for every query.",
            gives=lambda queries, keys: _tril(queries, keys, queries - keys),
        ),
        Misconception(
            "one too far",
            "one too far: a query also sees the token after it. The last query sees all keys. How many does the one "
            "before it see?",
            gives=lambda queries, keys: _tril(queries, keys, keys - queries + 1),
        ),
        Misconception(
            "one too few",
            "one too few: no query sees itself. The last query is the last token: which keys may it see?",
            gives=lambda queries, keys: _tril(queries, keys, keys - queries - 1),
        ),
        Misconception(
            "the cache is blocked",
            "the new tokens see each other but not the cache. It holds the past: may they look back?",
            gives=_without_the_cache,
        ),
        Misconception(
            "the past is blocked",
            "mirrored: each query sees itself and the *future*. Rows are queries and columns are keys. "
            "Which of the two may be the larger number?",
            gives=lambda queries, keys: torch.ones(queries, keys, dtype=torch.bool).triu(keys - queries),
        ),
        Misconception(
            "the cache on the right",
            "your new tokens are the first columns. The cache was there before them: which columns are the new ones?",
            gives=lambda queries, keys: _tril(queries, keys) | (torch.arange(keys) >= queries),
        ),
        Misconception(
            "nothing is blocked",
            "nothing is blocked. For one new token that is right, but two of them have an order: may the first one see "
            "the second?",
            gives=lambda queries, keys: _tril(queries, keys, keys),
        ),
        Misconception(
            "inverted",
            "inverted. You mark the future; here True means may attend.",
            gives=lambda queries, keys: ~oracles.causal_mask(queries, keys),
        ),
        Misconception(
            "only the new keys",
            "your mask has a column for each new token only. The cached ones are keys, too: (queries, keys).",
            gives=lambda queries, keys: _square(queries),
        ),
        Misconception(
            "a row for every key",
            "your mask has a row for each cached token as well. They were queries in an earlier step: only the last "
            "`queries` rows are needed.",
            gives=lambda queries, keys: _square(keys),
        ),
    ],
)
