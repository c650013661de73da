"""The checks of lesson 07: combined bias, position ids, a mask for each head, an encoder–decoder's masks, empty rows.

>>> combined_bias(lambda is_word: to_bias(_keys(is_word))).misconception
'padding only'
>>> position_ids(lambda is_word: (is_word.cumsum(-1) - 1).clamp(min=0)).state
'right'
>>> for_multihead(lambda mask, heads: mask.expand(-1, heads, -1, -1).flatten(0, 1)).misconception
'not inverted'
>>> decoder_masks(lambda source, target: (_keys(source), _keys(target), _keys(source)[:, :, :1])).misconception
'padding only'
>>> no_empty_rows(lambda mask: mask | _diagonal(mask)).misconception
'other rows opened'
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from masklab.check import cases, oracles
from masklab.check.answers import form, plain, same
from masklab.check.exercise import Exercise
from masklab.check.misconceptions import Misconception, Note, forms
from masklab.check.pictures import compared, compared_sentence, different, first_difference, positions
from masklab.check.running import Complaint
from masklab.dialects import to_bias


def _keys(is_word: Tensor, queries: int | None = None) -> Tensor:
    """Each key's own flag, for every query: (batch, 1, query, key)."""
    return is_word[:, None, None, :].expand(-1, 1, queries or is_word.shape[1], -1)


def _rows(is_word: Tensor, keys: int | None = None) -> Tensor:
    """Each query's own flag, for every key: (batch, 1, query, key)."""
    return is_word[:, None, :, None].expand(-1, 1, -1, keys or is_word.shape[1])


def _past(is_word: Tensor, diagonal: int = 0, keys: int | None = None) -> Tensor:
    """The keys up to each query's own, shifted by ``diagonal``: (query, key)."""
    queries = is_word.shape[1]
    return torch.ones(queries, keys or queries, dtype=torch.bool).tril(diagonal)


# The padding on the left, on the right, and on both sides; a batch of one, and, last, a sentence without a word.
_BATCHES = [
    *((is_word,) for is_word in cases.padded_batches(12)),
    (torch.tensor([[False, True, True, True, False], [False, False, True, True, False]]),),
    (torch.tensor([[False, False, True, True]]),),
    (torch.tensor([[True, True, True, True], [False, False, False, False]]),),
]

# What goes wrong when two rules become one mask, in exercises 1 and 4: a name, a sentence, what it gives in one form or
# two (of full size, and what broadcasts to it).
_TWO_RULES: list[tuple[str, str, list[Callable]]] = [
    (
        "padding only",
        "only the padding is blocked. A query may still read words that come after it: where is the second rule?",
        [_keys, lambda is_word: _keys(is_word, queries=1)],
    ),
    (
        "causal only",
        "only the future is blocked. That hides padding on the right from the words, for it comes after them. "
        "And padding on the left?",
        [lambda is_word: torch.ones_like(_keys(is_word)) & _past(is_word), _past],
    ),
    (
        "or",
        "a cell is open as soon as *one* of the two rules allows it. How many of them have to?",
        [lambda is_word: _keys(is_word) | _past(is_word)],
    ),
    (
        "rows as well as columns",
        "rows are blocked as well as columns. With padding on the right that makes fully masked rows (no key is left) "
        "where there were none. Who reads the row of a pad?",
        [lambda is_word: _rows(is_word) & _keys(is_word) & _past(is_word)],
    ),
    (
        "rows",
        "rows are blocked instead of columns: the padding's *queries*. With padding on the left the words still read "
        "its *keys*. Which axis is the key?",
        [lambda is_word: _rows(is_word) & _past(is_word)],
    ),
    (
        "past blocked",
        "the future is open and the past is blocked. Row q is the query: which keys come before it?",
        [lambda is_word: _keys(is_word) & _past(is_word).T, lambda is_word: _keys(is_word) & ~_past(is_word)],
    ),
    (
        "transposed",
        "queries and keys have changed places. Each row is a query. Which cells of it are the keys that it may read?",
        [lambda is_word: (_keys(is_word) & _past(is_word)).mT],
    ),
    (
        "diagonal blocked",
        "the diagonal is blocked, but a word may attend to itself.",
        [lambda is_word: _keys(is_word) & _past(is_word, -1)],
    ),
    (
        "one too far",
        "each query may read the key right after its own, and that is the word which it should predict.",
        [lambda is_word: _keys(is_word) & _past(is_word, 1)],
    ),
    (
        "diagonal open",
        "the diagonal is open throughout, and each pad may attend to itself. A padding key is blocked for all.",
        [lambda is_word: (_keys(is_word) & _past(is_word)) | torch.eye(is_word.shape[1], dtype=torch.bool)],
    ),
    (
        "words blocked",
        "the padding is open and the words are blocked. What does True stand for in the argument?",
        [lambda is_word: _keys(~is_word) & _past(is_word)],
    ),
]

# --- 1 · Combine, then convert --------------------------------------------------------------------------------------


def _biased(rule: Callable) -> Callable:
    """A rule's mask in the additive form."""
    return lambda is_word: to_bias(rule(is_word))


def _both_block(is_word: Tensor) -> Tensor:
    return ~_keys(is_word) & ~_past(is_word)


def _two_large_numbers(answer: Tensor, right: Tensor, is_word: Tensor) -> bool:
    """Whether only the sum of two finite numbers is −∞."""
    both = _both_block(is_word)
    once = (right < 0) & ~both
    sums = bool(both.any()) and bool((answer[both] == -math.inf).all())
    return sums and bool((answer[once].isfinite() & (answer[once] < -1e3)).all()) and same(answer < 0, right < 0)


def _ones(answer: Tensor, *_case) -> bool:
    """Whether a mask of ones and zeros is in the bias, alone or beside −∞."""
    ones = answer == 1
    return bool(ones.any()) and bool((ones | (answer == 0) | (answer == -math.inf)).all())


def _finite(answer: Tensor, right: Tensor, *_case) -> bool:
    """Whether the right cells are blocked, but some by a finite number."""
    blocked = right < 0
    negative = same(answer < 0, blocked) and same(answer[~blocked], right[~blocked])
    return negative and bool(answer[blocked].isfinite().any())


def _nan_where_allowed(answer: Tensor, right: Tensor, is_word: Tensor) -> bool:
    """Whether 0 was multiplied by −∞: for the whole mask at once, or for one of the two rules."""
    allowed, elsewhere = right == 0, _both_block(is_word)
    everywhere = bool(allowed.any()) and bool(answer[allowed].isnan().all())
    return everywhere and not bool(answer[elsewhere].isnan().any())


def _only_empty_rows_opened(answer: Tensor, right: Tensor, *_case) -> bool:
    empty = (right < 0).all(dim=-1)
    return bool(empty.any()) and same(answer[~empty], right[~empty]) and bool((answer[empty] == 0).any())


def _draw_bias(answer: Tensor, right: Tensor, is_word: Tensor):
    return compared_sentence(answer, right, kind="bias", title="bias", queries=is_word, keys=is_word)


combined_bias = Exercise(
    name="combined_bias",
    asks="padding and causal order as one bias: (batch, 1, query, key) float, 0 = may attend, −∞ = blocked",
    takes="is_word",
    cases=_BATCHES,
    definition=_biased(oracles.padding_and_causal),
    picture=_draw_bias,
    wrong=[
        *(one for name, says, rules in _TWO_RULES for one in forms(name, says, *map(_biased, rules))),
        Misconception(
            "inverted",
            "inverted. You put −∞ where a query may attend, and 0 where it may not.",
            gives=lambda is_word: to_bias(~oracles.padding_and_causal(is_word)),
        ),
        Misconception(
            "nothing is blocked",
            "every cell is 0, and nothing is blocked. If you called `masked_fill`: it leaves its tensor as it is, "
            "and gives a new one. Where does that go?",
            gives=lambda is_word: torch.zeros(_keys(is_word).shape),
        ),
        Misconception(
            "+∞",
            "some cells hold +∞. A score with +∞ added is the largest of its row, and softmax turns it into NaN. "
            "What do you add to a score so that its share is 0?",
            shows=lambda answer, *_case: bool((answer == math.inf).any()),
        ),
        Misconception(
            "ones",
            "some cells hold a 1. A bias is added to the scores, and a score that is 1 higher is neither blocked nor "
            "left alone. What can you add that changes nothing, and what that leaves no share?",
            shows=_ones,
        ),
        Misconception(
            "two large numbers added",
            "some blocked cells are −∞, and some finite, as when two very large numbers are added: where both rules "
            "block, the sum is out of range. Can you combine the rules before they are numbers?",
            shows=_two_large_numbers,
        ),
        Misconception(
            "finite",
            "blocked cells hold a finite number. Where a row has no other key left, softmax gives such cells its whole "
            "weight. Only −∞ blocks for certain.",
            shows=_finite,
            always=True,
        ),
        Misconception(
            "0 × −∞",
            "NaN where a query may attend. A product such as (~mask) * -inf multiplies the allowed cells' 0 by −∞, "
            "and that is NaN. Which function *fills* cells, and leaves the others alone?",
            shows=_nan_where_allowed,
        ),
        Misconception(
            "bool",
            "the mask is right, but it is bool. One step is missing: a bias is a float, to be added to the scores.",
            gives=oracles.padding_and_causal,
        ),
        Misconception(
            "no head axis",
            "the values are right, but there is no axis for the heads. Against scores of (batch, head, query, key) "
            "your batch axis would meet the *heads*: torch lines axes up from the right.",
            gives=lambda is_word: to_bias(oracles.padding_and_causal(is_word))[:, 0],
        ),
        Misconception(
            "fully masked rows opened",
            "some rows have no key left, and you open them. That is a good idea, and it is exercise 5. "
            "Here such a row stays −∞ throughout.",
            shows=_only_empty_rows_opened,
            always=True,
        ),
    ],
)

# --- 2 · Position ids -----------------------------------------------------------------------------------------------


def _at_the_words(function, is_word: Tensor):
    """The numbers with 0 at the padding, whatever position stands there; a number that is none stays."""
    numbers = function(is_word)
    if not isinstance(numbers, Tensor) or not plain(numbers) or numbers.shape != is_word.shape:
        return numbers
    exists = (numbers >= 0) & (numbers < is_word.shape[1])
    return numbers.masked_fill(~is_word & exists, 0)


def _row_of(is_word: Tensor) -> Tensor:
    """0, 1, 2 … from the left end of the row, for each sentence."""
    return torch.arange(is_word.shape[1]).expand(is_word.shape)


def _no_such_position(answer: Tensor, right: Tensor, is_word: Tensor) -> bool:
    return same(answer[is_word], right[is_word]) and not same(answer[~is_word], right[~is_word])


def _runs_on(answer: Tensor, right: Tensor, is_word: Tensor) -> bool:
    """Whether the words of the whole batch are numbered as if they were one sentence."""
    return same(answer[is_word], torch.arange(int(is_word.sum())))


def _places(sentence: Tensor) -> str:
    """Where the words of a sentence are, as the label of its row."""
    first, *_, last = 2 * sentence.nonzero().flatten().tolist()
    return f"words {first}–{last}" if first < last else f"word {first}"


def _draw_positions(answer: Tensor, right: Tensor, is_word: Tensor):
    rows = [_places(sentence) for sentence in is_word]
    meaning = "What the definition gives. At the padding only a number that is no position counts."
    return compared(
        answer, right, kind="ids", title="positions", meaning=meaning, rows=rows,
        columns=positions(is_word.shape[1]), axes=("sentence", "position"),
    )  # fmt: skip


position_ids = Exercise(
    name="position_ids",
    asks="each word's place in its sentence, 0, 1, 2 …, wherever the padding is: (batch, length) int64",
    takes="is_word",
    cases=_BATCHES[:-1],  # a sentence without a word has no positions, and the task doesn't speak of one
    definition=oracles.word_numbers,
    observed=_at_the_words,
    picture=_draw_positions,
    wrong=[
        *forms(
            "padding counted",
            "you count from the left end of the row, padding included. With 2 pads before it a sentence starts at 2, "
            "while alone it starts at 0.",
            _row_of,
            lambda is_word: torch.arange(is_word.shape[1]),
            lambda is_word: torch.arange(is_word.shape[1])[None],
        ),
        Misconception(
            "from 1",
            "off by one. The first word is number 0, and yours gets 1.",
            gives=lambda is_word: is_word.cumsum(dim=-1),
        ),
        *forms(
            "padding always on the left",
            "you subtract the number of pads from each place. That holds only where all of them stand *before* the "
            "words: how many pads stand before a word when they are on the right?",
            lambda is_word: _row_of(is_word) - (~is_word).sum(dim=-1, keepdim=True),
            lambda is_word: (_row_of(is_word) - (~is_word).sum(dim=-1, keepdim=True)).clamp(min=0),
        ),
        *forms(
            "pads numbered",
            "you number the pads, not the words. Here True in `is_word` means a word.",
            lambda is_word: (~is_word).cumsum(dim=-1) - 1,
            lambda is_word: ((~is_word).cumsum(dim=-1) - 1).clamp(min=0),
            lambda is_word: (~is_word).cumsum(dim=-1),
        ),
        *forms(
            "how many words",
            "that is how many words a sentence has, the same at each of its places. "
            "How many words stand *before* each one?",
            lambda is_word: is_word.sum(dim=-1),
            lambda is_word: is_word.sum(dim=-1, keepdim=True).expand(is_word.shape),
        ),
        Misconception(
            "backwards",
            "you number the words from the last one backwards. The first word is number 0.",
            gives=lambda is_word: (is_word.flip(-1).cumsum(dim=-1).flip(-1) - 1).clamp(min=0),
        ),
        *forms(
            "wrong axis",
            "you count down the batch, from sentence to sentence. The places of one sentence lie along the last axis.",
            lambda is_word: is_word.cumsum(dim=0) - 1,
            lambda is_word: (is_word.cumsum(dim=0) - 1).clamp(min=0),
        ),
        Misconception(
            "runs on",
            "your numbers run on from one sentence into the next. Each sentence starts again at 0.",
            shows=_runs_on,
            always=True,
        ),
        Misconception(
            "no such position",
            "the words are right, but some pads get a number that is no position of the sentence: below 0, or past its "
            "end. Pads are looked up in the table of positions, too, and nn.Embedding has no row −1.",
            shows=_no_such_position,
            always=True,
        ),
        Misconception(
            "not an index",
            "positions are looked up in an nn.Embedding, and that takes int64 or int32 only. Which dtype do yours "
            "have?",
            shows=lambda answer, *_case: answer.dtype not in (torch.int64, torch.int32),
        ),
    ],
    notes=[
        Note(
            "gaps",
            "One thing to know: with padding *between* words (a prompt padded on the right, and then continued) your "
            "numbers skip the pads. Counting the words themselves has no such limit.",
            case=(torch.tensor([[True, False, True]]),),
            shows=lambda answer: not same(answer[0, 2], torch.tensor(1)),
        )
    ],
)

# --- 3 · A mask for each head ---------------------------------------------------------------------------------------


def _heads_first(mask: Tensor, heads: int) -> Tensor:
    """All sentences of the first head, then those of the next: what `repeat` gives. True = ignore."""
    return ~mask.expand(-1, heads, -1, -1).transpose(0, 1).flatten(0, 1)


def _mixed_up(answer: Tensor, right: Tensor, mask: Tensor, heads: int) -> bool:
    return not same(answer, right) and same(answer, _heads_first(mask, heads))


def _mixed_up_and_not_inverted(answer: Tensor, right: Tensor, mask: Tensor, heads: int) -> bool:
    return not same(answer, ~right) and same(answer, ~_heads_first(mask, heads))


def _first_heads(answer: Tensor, right: Tensor, mask: Tensor, heads: int) -> bool:
    first = oracles.ignored_by_head(mask[:, :1], heads)
    return not same(answer, right) and same(answer, first)


def _draw_for_multihead(answer: Tensor, right: Tensor, mask: Tensor, heads: int):
    i = first_difference(answer, right)
    names = positions(mask.shape[-1])
    return compared(
        answer[i], right[i], kind="mask", title=f"mask {i}", rows=names, columns=names, blocked=None,
        meaning=f"Sentence {i // heads}, head {i % heads}. True means ignore.",
    )  # fmt: skip


for_multihead = Exercise(
    name="for_multihead",
    asks="the mask as nn.MultiheadAttention wants it: (batch · heads, query, key) bool, True = ignore",
    takes="mask, heads",
    cases=cases.masks_and_heads(8),
    definition=oracles.ignored_by_head,
    picture=_draw_for_multihead,
    wrong=[
        Misconception(
            "not inverted",
            "not inverted. In nn.MultiheadAttention True means *ignore*, and in `mask` it means may attend.",
            shows=lambda answer, right, mask, heads: len(mask) > 1 and same(answer, ~right),
        ),
        Misconception(
            "heads mixed up",
            "the order is wrong: all sentences for head 0, then all for head 1. The layer wants all heads of sentence "
            "0 first. As it is, sentences get each other's masks, and no error says so.",
            shows=_mixed_up,
        ),
        Misconception(
            "heads mixed up, not inverted",
            "two things: in this layer True means *ignore*, and it wants all heads of sentence 0 first, "
            "then those of sentence 1. In what order are yours?",
            shows=_mixed_up_and_not_inverted,
        ),
        Misconception(
            "first head for all",
            "every head gets the mask of head 0. `mask` may have one mask for all heads, (batch, 1, L, L), or one for "
            "each, (batch, heads, L, L).",
            shows=_first_heads,
        ),
        *forms(
            "one mask for each sentence",
            "one mask for each sentence. The layer wants one for each *head* of each sentence, even where all heads "
            "have the same.",
            lambda mask, heads: ~mask[:, 0],
            lambda mask, heads: mask[:, 0],
            lambda mask, heads: (~mask).squeeze(1),
            lambda mask, heads: mask.squeeze(1),
            lambda mask, heads: (~mask).flatten(0, 1),
            lambda mask, heads: mask.flatten(0, 1),
        ),
        *forms(
            "four axes",
            "batch and heads are still two axes. The layer's scores have one axis for both, of size batch · heads.",
            lambda mask, heads: ~mask,
            lambda mask, heads: mask,
            lambda mask, heads: ~mask.expand(-1, heads, -1, -1),
            lambda mask, heads: mask.expand(-1, heads, -1, -1),
        ),
        *forms(
            "repeated twice",
            "right where all heads share one mask. But `mask` may have one for each head, (batch, heads, L, L), and "
            "then there is nothing to repeat. What does `expand` do to an axis that has its size already?",
            lambda mask, heads: (~mask).squeeze(1).repeat_interleave(heads, dim=0),
            lambda mask, heads: (~mask).repeat_interleave(heads, dim=0).flatten(0, 1),
            lambda mask, heads: (~mask).repeat_interleave(heads, dim=1).flatten(0, 1),
            lambda mask, heads: (~mask).repeat(1, heads, 1, 1).flatten(0, 1),
        ),
    ],
)

# --- 4 · The three masks of an encoder–decoder ----------------------------------------------------------------------


def _full(mask, shape: tuple[int, ...]):
    """A mask with its axes of size 1 written out; anything else, and what doesn't fit, as it is."""
    if not isinstance(mask, Tensor) or not plain(mask):
        return mask
    fits = all(have in (1, size) for have, size in zip(mask.shape, shape, strict=True))
    return mask.expand(shape) if fits else mask


def _three_masks(function, source_is_word: Tensor, target_is_word: Tensor):
    """The three masks by their names, written out: a mask that broadcasts is as good as a full one."""
    masks = function(source_is_word, target_is_word)
    if not isinstance(masks, tuple | list) or len(masks) != 3:
        raise Complaint(form(masks, (0, 0, 0)))
    (batch, s), t = source_is_word.shape, target_is_word.shape[1]
    shapes = {"encoder self": (batch, 1, s, s), "decoder self": (batch, 1, t, t), "cross": (batch, 1, t, s)}
    for name, mask in zip(shapes, masks, strict=True):
        if isinstance(mask, Tensor) and plain(mask) and mask.ndim != 4:
            raise Complaint(
                f"'{name}' must have four axes, (batch, head, query, key), got shape {tuple(mask.shape)}. "
                "Along which of the four is the mask the same? There its size is 1."
            )
    return {name: _full(mask, shape) for (name, shape), mask in zip(shapes.items(), masks, strict=True)}


def _in(**ways: Callable) -> Callable[..., bool]:
    """The symptom of a misconception about parts: one of these masks is wrong, and is what its way gives."""
    names = {"encoder": "encoder self", "decoder": "decoder self", "cross": "cross"}

    def shows(answer: dict, right: dict, source: Tensor, target: Tensor) -> bool:
        return any(
            not same(answer[names[part]], right[names[part]]) and same(answer[names[part]], way(source, target))
            for part, way in ways.items()
        )

    return shows


def _in_decoder(name: str, says: str, rule: Callable) -> Misconception:
    """One of exercise 1's misconceptions, in the decoder's own mask."""
    shows = _in(decoder=lambda source, target: rule(target))
    return Misconception(name, f"in the decoder's own mask {says}", shows=shows, always=True)


def _cross(source: Tensor, target: Tensor) -> Tensor:
    return _keys(source, target.shape[1])


def _with_cross(rule: Callable) -> Callable:
    """The three masks, the cross mask made from the target by this rule."""
    return lambda source, target: (_keys(source), _keys(target) & _past(target), rule(target))


def _draw_masks(answer: dict, right: dict, source: Tensor, target: Tensor):
    name = next(name for name in right if bool(different(answer[name], right[name]).any()))
    queries, keys = source if name == "encoder self" else target, target if name == "decoder self" else source
    return compared_sentence(answer[name], right[name], kind="mask", title=f"{name} mask", queries=queries, keys=keys)


decoder_masks = Exercise(
    name="decoder_masks",
    asks="three bool masks, True = may attend: encoder self (batch, 1, 1, S), decoder self (batch, 1, T, T), "
    "cross (batch, 1, 1, S), or what they broadcast to",
    takes="source_is_word, target_is_word",
    cases=cases.sources_and_targets(8),
    definition=oracles.encoder_decoder_masks,
    observed=_three_masks,
    picture=_draw_masks,
    wrong=[
        _in_decoder(
            "fully masked rows opened",
            "some rows have no key left, and you open them. That is a good idea, and it is exercise 5. "
            "Here they stay as they are.",
            lambda is_word: oracles.with_itself(oracles.padding_and_causal(is_word)),
        ),
        *(_in_decoder(name, says, rule) for name, says, rules in _TWO_RULES for rule in rules),
        Misconception(
            "causal where the source is read",
            "causal order is in a mask where it does not belong. The source is given from the start: "
            "which of it may be read before the first target word is written?",
            shows=_in(
                encoder=lambda source, target: _keys(source) & _past(source),
                cross=lambda source, target: _cross(source, target) & _past(target, keys=source.shape[1]),
            ),
            always=True,
        ),
        *forms(
            "the target's pads in the cross mask",
            "your cross mask is made from the target's padding. In cross-attention the queries are the target's: "
            "whose are the keys?",
            _with_cross(lambda target: _keys(target, queries=1)),
            _with_cross(_keys),
            _with_cross(lambda target: _keys(target) & _past(target)),
        ),
        Misconception(
            "rows as well as columns, of the source or the cross mask",
            "in a mask over the source you block the padding's rows as well as its columns. That leaves fully masked "
            "rows, and their softmax is 0/0. Who reads the row of a pad?",
            shows=_in(
                encoder=lambda source, target: _keys(source) & _rows(source),
                cross=lambda source, target: _cross(source, target) & _rows(target, source.shape[1]),
            ),
            always=True,
        ),
        Misconception(
            "rows of the source or the cross mask",
            "in a mask over the source you block rows instead of columns. The third axis is the query's, and "
            "the fourth the key's. Whose padding lies along the fourth?",
            shows=_in(
                encoder=lambda source, target: _rows(source),
                cross=lambda source, target: _rows(target, source.shape[1]),
            ),
            always=True,
        ),
        Misconception(
            "inverted",
            "some mask is inverted. In all three True means may attend.",
            shows=lambda answer, right, *_case: any(same(answer[name], ~right[name]) for name in right),
            always=True,
        ),
        Misconception(
            "nothing is blocked",
            "some mask blocks nothing. Each of the three has padding among its keys.",
            shows=lambda answer, *_case: any(bool(mask.all()) for mask in answer.values()),
            always=True,
        ),
    ],
)

# --- 5 · No fully masked row ----------------------------------------------------------------------------------------


def _empty(mask: Tensor) -> Tensor:
    """Which rows are fully masked: (batch, 1, query, 1)."""
    return ~mask.any(dim=-1, keepdim=True)


def _diagonal(mask: Tensor) -> Tensor:
    return torch.eye(mask.shape[-1], dtype=torch.bool)


def _only_diagonal_opened(answer: Tensor, right: Tensor, mask: Tensor) -> bool:
    """Whether rows that had keys may attend to themselves now, and that is all."""
    more = answer & ~right
    return bool(more.any()) and not bool((right & ~answer).any()) and not bool((more & ~_diagonal(mask)).any())


def _still_empty(answer: Tensor, right: Tensor, mask: Tensor) -> bool:
    return bool(_empty(answer).any())


def _not_only_itself(answer: Tensor, right: Tensor, mask: Tensor) -> bool:
    return bool((answer & _empty(mask) & ~_diagonal(mask)).any())


def _other_rows(answer: Tensor, right: Tensor, mask: Tensor) -> bool:
    had = ~_empty(mask)[..., 0]
    return not same(answer[had], right[had])


def _draw_rows(answer: Tensor, right: Tensor, mask: Tensor):
    return compared_sentence(answer, right, kind="mask", title="mask")


no_empty_rows = Exercise(
    name="no_empty_rows",
    asks="the same mask, but each fully masked row may attend to itself, and to nothing else: (batch, 1, L, L) bool",
    takes="mask",
    cases=[
        *((mask,) for mask in cases.masks_with_empty_rows(8)),
        *((oracles.padding_and_causal(is_word),) for is_word in cases.padded_batches(4)),
    ],
    definition=oracles.with_itself,
    picture=_draw_rows,
    wrong=[
        Misconception(
            "unchanged",
            "nothing has changed: the fully masked rows are as they were. Which rows do you find, and does what you "
            "open get into your result?",
            gives=lambda mask: mask,
        ),
        *forms(
            "inverted",
            "some True is taken for *blocked*. In this mask, and in the one that you return, True means may attend.",
            lambda mask: ~oracles.with_itself(mask),
            lambda mask: ~oracles.with_itself(~mask),
        ),
        Misconception(
            "empty columns",
            "you look for empty *columns*, keys that nobody reads. A fully masked row is a query without a key: "
            "along which axis do its keys lie?",
            gives=lambda mask: mask | (~mask.any(dim=-2, keepdim=True) & _diagonal(mask)),
        ),
        Misconception(
            "other rows opened",
            "you open the diagonal of rows that have keys, too. In a combined mask that lets a pad read itself, "
            "for instance. How can you tell which rows need it?",
            shows=_only_diagonal_opened,
            always=True,
        ),
        Misconception(
            "whole row opened",
            "you open the whole row, the future and all. One key is enough against 0/0: the query's own.",
            gives=lambda mask: mask | _empty(mask),
        ),
        Misconception(
            "column opened",
            "you open a column: now every query may read that key. It is the *row* that has no key.",
            gives=lambda mask: mask | _empty(mask).mT,
        ),
        Misconception(
            "no keepdim",
            "your result has a batch axis too many. any(dim=-1) drops the key axis, and with the diagonal, (L, L), "
            "the batch then meets the axis of the heads. Which option keeps the axis?",
            gives=lambda mask: mask | (~mask.any(dim=-1) & _diagonal(mask)),
        ),
        Misconception(
            "rows with keys changed",
            "rows that have a key are changed. Only a fully masked row should differ from what you got.",
            shows=_other_rows,
        ),
        Misconception(
            "more than itself",
            "a fully masked row may now attend to another position than its own. It should see itself only.",
            shows=_not_only_itself,
        ),
        Misconception(
            "still empty",
            "some rows are still fully masked. Does your answer reach every sentence, and every row?",
            shows=_still_empty,
        ),
    ],
)
