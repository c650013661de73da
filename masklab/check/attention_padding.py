"""The checks of lesson 05: word mask, attention mask, masked softmax, a library's layer, a fully masked row.

>>> word_mask(lambda lengths, total: torch.arange(total) < lengths[:, None]).misconception
'wrong side'
>>> attention_mask(lambda is_word: is_word[:, None, :].expand(-1, is_word.shape[1], -1)).state
'right'
>>> masked_weights(lambda scores, mask: (scores * mask).softmax(-1)).misconception
'blocked scores of 0'
>>> run_layer(lambda layer, x, is_word: layer(x, x, x, key_padding_mask=~is_word)[0]).state
'right'
>>> safe_weights(lambda scores, bias: (scores + bias).softmax(-1)).misconception
'NaN in the fully masked row'
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from masklab.check import cases, oracles
from masklab.check.answers import form, same
from masklab.check.exercise import Exercise
from masklab.check.misconceptions import Misconception, Note, no_gradient, one_of
from masklab.check.pictures import compared, first_difference, positions, tokens
from masklab.check.running import Complaint, gradient
from masklab.dialects import to_bias
from masklab.models.private import private_seed
from masklab.panels import counted

# --- 1 · Which positions are words? ---------------------------------------------------------------------------------


def _one_length_for_all(lengths: Tensor, total: int) -> Tensor:
    return oracles.word_positions(lengths.max().expand_as(lengths), total)


def _minus_zero(lengths: Tensor, total: int) -> Tensor:
    """What `mask[i, -length:] = True` gives: -0 is 0, and the row is full."""
    return oracles.word_positions(torch.where(lengths == 0, total, lengths), total)


def _draw_word_mask(answer: Tensor, right: Tensor, lengths: Tensor, total: int):
    rows = [counted(length, "word") for length in lengths.tolist()]
    axes = ("sentence", "position")
    return compared(answer, right, kind="mask", title="word mask", rows=rows, columns=positions(total), axes=axes)


word_mask = Exercise(
    name="word_mask",
    asks="which positions are words, with the padding on the left: (batch, total) bool, True = a word",
    takes="lengths, total",
    # A batch of one, a sentence without a word, and a wide batch.
    cases=[
        *cases.lengths_and_total(17),
        (torch.tensor([4]), 5),
        (torch.tensor([0, 3]), 5),
        (torch.tensor([9, 5]), 12),
    ],
    definition=oracles.word_positions,
    picture=_draw_word_mask,
    wrong=[
        Misconception("inverted", "inverted. You mark the padding; here True means a word.",
                      gives=lambda lengths, total: torch.arange(total) < total - lengths[:, None]),
        Misconception("wrong side", "the wrong side. Your words stand at the start; here the padding is on the left, "
                      "and the words come last.",
                      gives=lambda lengths, total: torch.arange(total) < lengths[:, None]),
        Misconception("wrong side, inverted", "inverted, and on the wrong side as well: you mark every position from "
                      "`lengths` on. The words come last here. How many *pads* stand before them?",
                      gives=lambda lengths, total: torch.arange(total) >= lengths[:, None]),
        Misconception("one too many", "off by one. Of 5 positions a sentence of 3 words fills 2, 3 and 4: position 1 "
                      "is padding. Is it > or >= ?",
                      gives=lambda lengths, total: torch.arange(total) >= total - lengths[:, None] - 1),
        Misconception("one too few", "off by one. The first word of each sentence is lost. Is it > or >= ?",
                      gives=lambda lengths, total: torch.arange(total) > total - lengths[:, None]),
        Misconception("one length for all", "every sentence gets the longest one's length. Compare with "
                      "lengths[:, None]: one row per sentence.",
                      gives=_one_length_for_all),
        Misconception("as wide as the longest", "your mask is as wide as the longest sentence. The batch may be "
                      "wider: it has `total` positions.",
                      gives=lambda lengths, total: oracles.word_positions(lengths, int(lengths.max()))),
        Misconception("minus zero", "only a sentence without words goes wrong. -0 is 0, so `mask[i, -0:]` is the "
                      "whole row: count from the front, at total - length.",
                      gives=_minus_zero),
        Misconception("nothing is blocked", "every position is marked as a word. A sentence of 3 words in a batch 5 "
                      "wide has 2 positions of padding.",
                      gives=lambda lengths, total: torch.ones(len(lengths), total, dtype=torch.bool)),
    ],
)  # fmt: skip

# --- 2 · The padding mask of the whole batch ------------------------------------------------------------------------


def _keys(is_word: Tensor) -> Tensor:
    """Each key's own flag, for every query: the right answer."""
    return is_word[:, None, :].expand(-1, is_word.shape[1], -1)


def _queries(is_word: Tensor) -> Tensor:
    """Each query's own flag, for every key."""
    return is_word[:, :, None].expand(-1, -1, is_word.shape[1])


def _first_ones(is_word: Tensor) -> Tensor:
    """As many keys as there are words, from the first one on."""
    return _keys(torch.arange(is_word.shape[1]) < is_word.sum(dim=-1, keepdim=True))


def _draw_attention_mask(answer: Tensor, right: Tensor, is_word: Tensor):
    i = first_difference(answer, right)
    names, pads = tokens(is_word[i]), (~is_word[i]).tolist()
    return compared(
        answer[i], right[i], kind="mask", title=f"mask of sentence {i}", rows=names, columns=names, row_pads=pads,
        column_pads=pads,
    )  # fmt: skip


attention_mask = Exercise(
    name="attention_mask",
    asks="which query may attend to which key: (batch, query, key) bool, True = may attend",
    takes="is_word",
    # A batch of one, and words in the middle.
    cases=[
        *((is_word,) for is_word in cases.padded_batches(18)),
        (torch.tensor([[True, True, False, False, False]]),),
        (torch.tensor([[False, True, True, False, False], [True, True, False, True, True]]),),
    ],
    definition=oracles.padding_mask,
    picture=_draw_attention_mask,
    wrong=[
        Misconception("rows", "rows instead of columns. You block padding *queries*; the words still read the padding "
                      "*keys*. The key is the last axis.",
                      gives=_queries),
        Misconception("rows and columns", "rows as well as columns. The padding's rows are fully masked (no key is "
                      "left), and their softmax is NaN. Columns are enough.",
                      gives=lambda is_word: _queries(is_word) & _keys(is_word)),
        Misconception("rows or columns", "rows *or* columns. A padding key is still open to the words: only the key "
                      "decides.",
                      gives=lambda is_word: _queries(is_word) | _keys(is_word)),
        Misconception("words among words, pads among pads", "words see words, and pads see pads. The words are safe, "
                      "but the padding's queries are restricted as well, and nobody asked for that: only the key "
                      "decides.",
                      gives=lambda is_word: _queries(is_word) == _keys(is_word)),
        Misconception("inverted", "inverted. You allow the padding and block the words; here True means may attend.",
                      gives=lambda is_word: ~_keys(is_word)),
        Misconception("rows, inverted", "inverted, and rows instead of columns. The key is the last axis, and True "
                      "means may attend.",
                      gives=lambda is_word: ~_queries(is_word)),
        Misconception("padding always on the right", "you count the words and open the first keys. That holds only "
                      "where the padding is on the right: `is_word` says itself which keys are words.",
                      gives=_first_ones),
        Misconception("nothing is blocked", "nothing is blocked: every query may attend to every key, and so to the "
                      "padding.",
                      gives=lambda is_word: torch.ones_like(_keys(is_word))),
        Misconception("causal only", "you block the future, not the padding. That is another mask (lesson 06); here "
                      "`is_word` decides.",
                      gives=lambda is_word: torch.ones_like(_keys(is_word)).tril()),
        Misconception("diagonal open", "the diagonal is open: each padding position may still attend to itself. A "
                      "padding key is blocked for all.",
                      gives=lambda is_word: _keys(is_word) | torch.eye(is_word.shape[1], dtype=torch.bool)),
        Misconception("causal as well", "you block the future as well. That is another mask (lesson 06); here a word "
                      "may attend to every word.",
                      gives=lambda is_word: _keys(is_word).tril()),
        Misconception("additive", "this is the additive form, 0 and −∞. Here a bool mask is asked for, True = may "
                      "attend.",
                      gives=lambda is_word: torch.where(_keys(is_word), 0.0, -math.inf)),
        Misconception("one row", "one row per sentence. It would broadcast, but an L×L matrix each is the task: "
                      "expand the query axis.",
                      gives=lambda is_word: is_word[:, None, :]),
        Misconception("one sentence for all", "every sentence gets the first one's mask. Each has a length of its "
                      "own: keep the batch axis.",
                      gives=lambda is_word: _keys(is_word[:1].expand_as(is_word))),
    ],
)  # fmt: skip

# --- 3 · Softmax under a mask ---------------------------------------------------------------------------------------


def _fill(scores: Tensor, mask: Tensor) -> Tensor:
    """The masked scores: −∞ where a query may not attend."""
    return scores.masked_fill(~mask, -math.inf)


_NOT_ZERO = (
    "blocked keys still get some weight. It must be exactly zero, and exp of a finite number never is: mask with −∞."
)


def _leaks(answer: Tensor, right: Tensor, scores: Tensor, mask: Tensor) -> bool:
    """Whether blocked keys get some weight, while the allowed ones share the rest as they should."""
    allowed = answer.masked_fill(~mask, 0.0)
    shares = allowed / allowed.sum(dim=-1, keepdim=True)
    return bool((answer[~mask] != 0).any()) and same(shares, right, tolerance=1e-3)


def _divided_without_keepdim(weights: Tensor) -> Tensor:
    return weights / weights.sum(dim=-1)


def _only_blocked_keys(answer: Tensor, right: Tensor, scores: Tensor, mask: Tensor) -> bool:
    """Whether allowed keys get nothing where others are blocked."""
    mixed = ~mask.all(dim=-1)
    return bool((answer[mixed] * mask[mixed] == 0).all()) and bool((answer[~mask] > 0).any())


def _one_for_all_rows(answer: Tensor, right: Tensor, *_case) -> bool:
    """Whether all cells together sum to 1, and no row does."""
    rows = answer.sum(dim=-1).double()
    return math.isclose(rows.sum(), 1.0, abs_tol=1e-4) and bool((rows < 0.999).all())


def _not_a_share(answer: Tensor) -> bool:
    """Whether some row no longer sums to 1."""
    return not torch.allclose(answer.sum(dim=-1).double(), torch.ones(len(answer)).double(), atol=1e-3)


def _draw_weights(answer: Tensor, right: Tensor, scores: Tensor, mask: Tensor):
    names = positions(len(mask))
    return compared(answer, right, kind="weight", title="weights", rows=names, columns=names, blocked=~mask)


_FAR_APART = torch.tensor([[0.0, 1.0, 200.0], [1.0, 0.0, 200.0], [0.0, 0.0, 200.0]])
_LAST_BLOCKED = torch.tensor([True, True, False]).expand(3, 3)

masked_weights = Exercise(
    name="masked_weights",
    asks="the softmax of the scores, blocked keys left out: (L, L) weights, each row sums to 1",
    takes="scores, mask",
    cases=cases.scores_and_masks(20),
    definition=oracles.softmax,
    picture=_draw_weights,
    wrong=[
        Misconception("no mask", "the mask is not used: blocked keys still get weight.",
                      gives=lambda scores, mask: scores.softmax(dim=-1)),
        Misconception("scaled twice", "softmax and mask are right, but you scale the scores, too. That was done when "
                      "they were computed (÷ √d).",
                      gives=lambda scores, mask: _fill(scores / math.sqrt(scores.shape[-1]), mask).softmax(dim=-1)),
        Misconception("no softmax", "these are the masked scores. One step is missing: softmax turns each row into "
                      "shares that sum to 1.",
                      gives=_fill),
        Misconception("blocked scores of 0", "your blocked scores become 0, by multiplying or by filling in. But "
                      "exp(0) = 1, so a score of 0 still takes its share: a blocked score must become −∞.",
                      gives=lambda scores, mask: scores.masked_fill(~mask, 0.0).softmax(dim=-1)),
        Misconception("mask after the softmax", "you mask after the softmax. The rows no longer sum to 1: mask the "
                      "scores, then softmax.",
                      gives=lambda scores, mask: scores.softmax(dim=-1) * mask),
        Misconception("normalised along the wrong axis", "you divide by the wrong sums: sum(dim=-1) has shape (L,) "
                      "and lies along the keys. keepdim=True fixes it; masking the scores, and then softmax, needs no "
                      "repair.",
                      shows=one_of(
                          lambda scores, mask: _divided_without_keepdim(scores.softmax(dim=-1) * mask),
                          lambda scores, mask: _divided_without_keepdim(scores.exp() * mask),
                      )),
        Misconception("−∞ too late", "you put −∞ into the weights. It belongs in the scores: mask first, then softmax.",
                      gives=lambda scores, mask: _fill(scores.softmax(dim=-1), mask)),
        Misconception("adds 0 and 1", "you add a mask of zeros and ones. That gives allowed keys a larger share and "
                      "blocks nothing: add 0 and −∞.",
                      gives=lambda scores, mask: (scores + mask.float()).softmax(dim=-1)),
        Misconception("0 × −∞", "everything is NaN. A product such as (~mask) * -inf multiplies the allowed keys' "
                      "zeros by −∞, and 0 × −∞ is NaN: fill in −∞ where it is needed, and multiply nothing.",
                      gives=lambda scores, mask: scores * math.nan),
        Misconception("+∞", "you fill with +∞, the *largest* score there is, and ∞/∞ is NaN. A blocked key needs the "
                      "smallest: −∞.",
                      gives=lambda scores, mask: scores.masked_fill(~mask, math.inf).softmax(dim=-1)),
        Misconception("inverted", "inverted. masked_fill fills where its mask is True, and here True means may "
                      "attend: use ~mask.",
                      gives=lambda scores, mask: _fill(scores, ~mask).softmax(dim=-1)),
        Misconception("wrong axis", "softmax along the queries. Each *row* has to sum to 1: dim=-1, over the keys.",
                      gives=lambda scores, mask: _fill(scores, mask).softmax(dim=-2)),
        Misconception("one softmax for all rows", "all cells together sum to 1. Each *row* is a question of its own, "
                      "and sums to 1: softmax along dim=-1.",
                      shows=_one_for_all_rows),
        Misconception("logarithms", "these are logarithms (log_softmax). Weights are the shares themselves: softmax.",
                      gives=lambda scores, mask: _fill(scores, mask).log_softmax(dim=-1)),
        Misconception("exp, not normalised", "you take exp, but you never divide: each row must sum to 1. Softmax "
                      "does both.",
                      gives=lambda scores, mask: _fill(scores, mask).exp()),
        Misconception("softmax twice", "softmax is taken twice. The second time it smooths the shares of the first: "
                      "mask the scores, then take softmax once.",
                      shows=one_of(
                          lambda scores, mask: _fill(scores, mask).softmax(dim=-1).softmax(dim=-1),
                          lambda scores, mask: _fill(scores.softmax(dim=-1), mask).softmax(dim=-1),
                          lambda scores, mask: (scores.softmax(dim=-1) * mask).softmax(dim=-1),
                      )),
        Misconception("only blocked keys", "only the blocked keys get weight. Is the mask inverted, or a sign? A "
                      "blocked score must become −∞.",
                      shows=_only_blocked_keys),
        Misconception("not quite −∞", _NOT_ZERO,
                      shows=_leaks),
    ],
    notes=[
        no_gradient(torch.zeros(2, 2, requires_grad=True), torch.ones(2, 2, dtype=torch.bool)),
        Note("mask after the softmax, normalised", "One thing to know: with scores 200 apart your rows no longer sum "
             "to 1, because exp runs out of range before the mask is applied. Masking the scores before the softmax "
             "has no such limit.",
             case=(_FAR_APART, _LAST_BLOCKED),
             shows=_not_a_share),
        Note("a large number for −∞", "One thing to know: in a fully masked row (no key is left) your weights look "
             "healthy, but they go to blocked keys. That is what a large negative number does; −∞ gives NaN, which at "
             "least says that something is wrong.",
             case=(torch.zeros(2, 2), torch.zeros(2, 2, dtype=torch.bool)),
             shows=lambda answer: not _not_a_share(answer)),
    ],
)  # fmt: skip

# --- 4 · A real layer -----------------------------------------------------------------------------------------------


def _words_only(function, layer: nn.MultiheadAttention, x: Tensor, is_word: Tensor):
    """The output with zeros at the padding, whatever is there, but for NaN: that would get into the next layer."""
    output = function(layer, x, is_word)
    if not isinstance(output, Tensor) or output.shape != x.shape:
        return output
    return output.masked_fill(~is_word[:, :, None] & output.isfinite(), 0.0)


def _nan_in_the_padding(answer: Tensor, right: Tensor, layer: nn.Module, x: Tensor, is_word: Tensor) -> bool:
    return same(answer[is_word], right[is_word]) and bool(answer[~is_word].isnan().any())


def _for_each_head(mask: Tensor, layer: nn.MultiheadAttention) -> Tensor:
    """(batch, query, key) → (batch · heads, query, key), as `attn_mask` wants it."""
    return mask.repeat_interleave(layer.num_heads, dim=0)


def _heads_mixed_up(layer: nn.MultiheadAttention, x: Tensor, is_word: Tensor) -> Tensor:
    """`repeat` puts the sentences one after the other, where the layer wants the heads of one sentence."""
    return layer(x, x, x, attn_mask=~_keys(is_word).repeat(layer.num_heads, 1, 1))[0]


def _causal_as_well(layer: nn.MultiheadAttention, x: Tensor, is_word: Tensor) -> Tensor:
    future = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    return layer(x, x, x, key_padding_mask=~is_word, attn_mask=future)[0]


def _draw_output(answer: Tensor, right: Tensor, layer: nn.Module, x: Tensor, is_word: Tensor):
    i = first_difference(answer, right)
    names, pads = tokens(is_word[i]), (~is_word[i]).tolist()
    return compared(
        answer[i], right[i], kind="output", title=f"output of sentence {i}",
        meaning="What the sentence gives alone. In the padding's rows only NaN counts.",
        axes=("query", "feature"), rows=names, columns=positions(x.shape[-1]), row_pads=pads,
    )  # fmt: skip


with private_seed(cases.SEED):
    _LAYERS = [nn.MultiheadAttention(width, heads, batch_first=True).eval() for width, heads in ((8, 2), (12, 4))]


def _layer_case(seed: int, is_word: Tensor) -> tuple[nn.Module, Tensor, Tensor]:
    """Random vectors; those of the padding are long, so that even a small leak shows."""
    layer = _LAYERS[seed // 4 % 2]
    x = torch.randn(*is_word.shape, layer.embed_dim, generator=cases.generator(seed))
    return layer, torch.where(is_word[:, :, None], x, 8 * x), is_word


run_layer = Exercise(
    name="run_layer",
    asks="the output of an nn.MultiheadAttention in which no word sees padding: (batch, L, D)",
    takes="layer, x, is_word",
    cases=[_layer_case(i, is_word) for i, is_word in enumerate(cases.padded_batches(8))],
    definition=oracles.alone,
    observed=_words_only,
    picture=_draw_output,
    wrong=[
        Misconception("no mask", "the layer still reads the padding: hand it the key_padding_mask.",
                      gives=lambda layer, x, is_word: layer(x, x, x)[0]),
        Misconception("zeros for the padding", "zeros are no mask: a key of zeros still gets its share. Hand the "
                      "layer the key_padding_mask.",
                      gives=lambda layer, x, is_word: layer(*[x * is_word[:, :, None]] * 3)[0]),
        Misconception("inverted", "inverted. In nn.MultiheadAttention True means *ignore*: it wants ~is_word.",
                      gives=lambda layer, x, is_word: layer(x, x, x, key_padding_mask=is_word)[0]),
        Misconception("a float is added", "a mask of zeros and ones as floats is *added* to the scores, and blocks "
                      "nothing. Hand over a bool.",
                      gives=lambda layer, x, is_word: layer(x, x, x, key_padding_mask=(~is_word).float())[0]),
        Misconception("a float is added, inverted", "a mask of zeros and ones as floats is *added* to the scores, and "
                      "blocks nothing. Hand over a bool, and mind what True means.",
                      gives=lambda layer, x, is_word: layer(x, x, x, key_padding_mask=is_word.float())[0]),
        Misconception("weights, not the output", "these are the attention weights, the second thing that the layer "
                      "returns. The output is the first.",
                      gives=lambda layer, x, is_word: layer(x, x, x, key_padding_mask=~is_word)[1]),
        Misconception("heads mixed up", "sentences get each other's masks. attn_mask wants all heads of one sentence "
                      "side by side: repeat_interleave, not repeat. (key_padding_mask is easier.)",
                      gives=_heads_mixed_up),
        Misconception("rows", "you block the padding's rows: they become NaN, and the words still read the padding. "
                      "Block its columns, as key_padding_mask does.",
                      gives=lambda layer, x, is_word: layer(
                          x, x, x, attn_mask=_for_each_head(~_queries(is_word), layer))[0]),
        Misconception("padding always on the right", "you count the words and open the first keys. That holds only "
                      "where the padding is on the right: hand over ~is_word as it is.",
                      gives=lambda layer, x, is_word: layer(x, x, x, key_padding_mask=~_first_ones(is_word)[:, 0])[0]),
        Misconception("one sentence for all", "every sentence gets the first one's mask. Each has a row of its own: "
                      "hand over the whole ~is_word.",
                      gives=lambda layer, x, is_word: layer(
                          x, x, x, key_padding_mask=~is_word[:1].expand_as(is_word))[0]),
        Misconception("causal as well", "you block the future as well. That is another mask (lesson 06); here a word "
                      "may attend to every word.",
                      gives=_causal_as_well),
        Misconception("residual", "you add x to the output, as a residual connection does. Here the layer's output "
                      "alone is asked for.",
                      gives=lambda layer, x, is_word: x + layer(x, x, x, key_padding_mask=~is_word)[0]),
        Misconception("NaN in the padding", "the words are right, but the padding's rows are NaN: they are fully "
                      "masked (no key is left). In the next layer that NaN reaches every word. Mask the columns only.",
                      shows=_nan_in_the_padding),
    ],
    notes=[no_gradient(*_layer_case(0, cases.padded_batches(1)[0]))],
)  # fmt: skip

# --- 5 · Make the fully masked row safe -----------------------------------------------------------------------------


def _weights_and_gradient(function, scores: Tensor, bias: Tensor):
    """The weights, and the gradient of the sum of their squares at the scores."""
    leaf = scores.clone().requires_grad_()
    with torch.enable_grad():
        weights = function(leaf * 1.0, bias)
        fault = form(weights, scores)
        if fault:
            raise Complaint(fault)
        right = same(weights, oracles.softmax(scores, bias == 0))
        found = gradient(weights.pow(2).sum(), leaf, values_right=right)
    return {"weights": weights, "gradient": found}


def _safe_weights_and_gradient(scores: Tensor, bias: Tensor) -> dict:
    weights = oracles.softmax(scores, bias == 0)
    return {"weights": weights, "gradient": oracles.gradient_of_squares(weights)}


def _empty(bias: Tensor) -> Tensor:
    """Which rows are fully masked. Shape: (query, 1)."""
    return (bias < 0).all(dim=-1, keepdim=True)


def _opened(scores: Tensor, bias: Tensor) -> Tensor:
    """Softmax with the fully masked rows opened, so that there is no 0/0."""
    return (scores + bias.masked_fill(_empty(bias), 0.0)).softmax(dim=-1)


def _without_keepdim(scores: Tensor, bias: Tensor) -> Tensor:
    empty = _empty(bias)[:, 0]
    return (scores + bias.masked_fill(empty, 0.0)).softmax(dim=-1).masked_fill(empty, 0.0)


def _empty_columns(scores: Tensor, bias: Tensor) -> Tensor:
    empty = (bias < 0).all(dim=0, keepdim=True)
    return (scores + bias.masked_fill(empty, 0.0)).softmax(dim=-1).masked_fill(empty, 0.0)


def _where_each_row_has_a_key(gives: Callable) -> Callable[..., bool]:
    """The symptom of a wrong answer of exercise 3: without a fully masked row, the task is the same."""

    def shows(answer: dict, right: dict, scores: Tensor, bias: Tensor) -> bool:
        weights = answer["weights"]
        wrong = not _empty(bias).any() and not same(weights, right["weights"])
        return wrong and same(weights, gives(scores, bias == 0))

    return shows


def _as_in_exercise_3(name: str, says: str = "") -> Misconception:
    known = next(one for one in masked_weights.wrong if one.name == name)
    assert known.gives is not None, "it must be told by what it gives"
    return Misconception(name, says or known.says, shows=_where_each_row_has_a_key(known.gives))


def _nan_in_empty_rows(answer: dict, right: dict, scores: Tensor, bias: Tensor) -> bool:
    nan = bool(answer["weights"][_empty(bias)[:, 0]].isnan().any())
    return nan and _only_empty_rows_differ(answer, right, scores, bias)


def _only_empty_rows_differ(answer: dict, right: dict, scores: Tensor, bias: Tensor) -> bool:
    others = ~_empty(bias)[:, 0]
    weights, expected = answer["weights"], right["weights"]
    return same(weights[others], expected[others]) and not same(weights, expected)


def _weights_leak(answer: dict, right: dict, scores: Tensor, bias: Tensor) -> bool:
    others = ~_empty(bias)[:, 0]
    return _leaks(answer["weights"][others], right["weights"][others], scores[others], bias[others] == 0)


def _nan_gradient(answer: dict, right: dict, *_case) -> bool:
    return same(answer["weights"], right["weights"]) and bool(answer["gradient"].isnan().any())


def _wrong_gradient(answer: dict, right: dict, *_case) -> bool:
    return same(answer["weights"], right["weights"]) and not same(answer["gradient"], right["gradient"])


def _draw_safe_weights(answer: dict, right: dict, scores: Tensor, bias: Tensor):
    if not same(answer["weights"], right["weights"]):
        return _draw_weights(answer["weights"], right["weights"], scores, bias == 0)
    given, expected, names = answer["gradient"], right["gradient"], positions(len(bias))
    return compared(given, expected, kind="gradient", title="gradient", rows=names, columns=names, blocked=bias < 0)


safe_weights = Exercise(
    name="safe_weights",
    asks="softmax under a bias of 0 and −∞: zeros in a fully masked row, and no NaN in the gradient",
    takes="scores, bias",
    cases=[(scores, to_bias(mask)) for scores, mask in cases.scores_and_masks(20, empty_rows=True)],
    definition=_safe_weights_and_gradient,
    observed=_weights_and_gradient,
    picture=_draw_safe_weights,
    wrong=[
        Misconception("empty columns", "you look for empty *columns*. A fully masked row has no key: all(dim=-1), "
                      "over the keys.",
                      gives=_empty_columns),
        Misconception("NaN in the fully masked row", "still NaN. A fully masked row is 0/0: give each such row "
                      "weights of zero.",
                      shows=_nan_in_empty_rows),
        _as_in_exercise_3(
            "no mask", "the bias is not used: in rows that have a key, blocked keys still get their full share."
        ),
        _as_in_exercise_3("+∞", "you subtract the bias, but minus −∞ is +∞, and ∞/∞ is NaN: add it."),
        Misconception("multiplied", "you multiply by the bias. It is *added*: 0 leaves a score as it is, and −∞ "
                      "blocks it.",
                      shows=_where_each_row_has_a_key(lambda scores, mask: (scores * to_bias(mask)).softmax(dim=-1))),
        *map(_as_in_exercise_3, ("wrong axis", "mask after the softmax", "no softmax")),
        Misconception("−∞ too late", "you put −∞ into the weights. It belongs in the scores; the weights of a fully "
                      "masked row are zero.",
                      shows=lambda answer, *_case: bool((answer["weights"] == -math.inf).any())),
        Misconception("uniform", "uniform. Your fully masked row spreads its weight evenly over blocked keys, as a "
                      "row of equal scores does. Set it to zero after the softmax.",
                      gives=lambda scores, bias: (
                          scores + bias.clamp(min=torch.finfo(scores.dtype).min)).softmax(dim=-1)),
        Misconception("not zeroed", "no NaN any more, but the fully masked rows still hold weights: set them to zero "
                      "after the softmax.",
                      gives=_opened),
        Misconception("large number", "only the fully masked row is wrong: it still gives weight to blocked keys. Set "
                      "it to zero at the end.",
                      shows=_only_empty_rows_differ),
        Misconception("any, not all", "you clear every row in which *some* key is blocked. Only a row in which *all* "
                      "are needs it: all, not any.",
                      gives=lambda scores, bias: _opened(scores, bias).masked_fill(
                          (bias < 0).any(dim=-1, keepdim=True), 0.0)),
        Misconception("no keepdim", "your rows became columns. all(dim=-1) has shape (L,), and lies along the keys: "
                      "keepdim=True fixes it.",
                      gives=_without_keepdim),
        Misconception("not quite −∞", _NOT_ZERO,
                      shows=_weights_leak),
        Misconception("NaN gradient", "the weights are right, but the gradient is NaN. The 0/0 still happens on the "
                      "way, and it comes back in training. Take −∞ out of the fully masked rows *before* the softmax, "
                      "and zero them after it.",
                      shows=_nan_gradient),
        Misconception("wrong gradient", "the weights are right, but their gradient is not: part of it never gets back "
                      "to the scores. Is something in your computation detached?",
                      shows=_wrong_gradient),
    ],
    notes=[
        Note("exp by hand", "One thing to know: a score of 200 makes your weights NaN, because exp(200) is too large "
             "for a float32. torch's softmax has no such limit: it subtracts each row's largest score first.",
             case=(_FAR_APART, torch.zeros(3, 3)),
             shows=lambda answer: bool(answer["weights"].isnan().any())),
    ],
)  # fmt: skip
