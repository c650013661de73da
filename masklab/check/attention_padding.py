"""Checks of lesson 05: word mask, attention mask, masked softmax, a library's layer, a row with no keys."""

import math

import torch
from torch import Tensor, nn

from masklab.check.verdict import Complaint, Exercise, Verdict, compared
from masklab.dialects import to_bias

SEED = 5


def word_mask(function) -> Verdict:
    """Judge ``function(lengths, total)`` → (batch, total) bool, True = a word; the padding is on the left.

    >>> word_mask(lambda lengths, total: torch.arange(total) < lengths[:, None]).misconception
    'wrong side'
    """
    return _WORD_MASK.judge(function)


def attention_mask(function) -> Verdict:
    """Judge ``function(words)``: (batch, length) bool → (batch, query, key) bool, True = may attend.

    >>> attention_mask(lambda words: words[:, None, :].expand(-1, words.shape[1], -1)).state
    'right'
    """
    return _ATTENTION_MASK.judge(function)


def masked_weights(function) -> Verdict:
    """Judge ``function(scores, mask)``: (query, key) floats and a bool mask → softmax weights, blocked ones 0.

    >>> masked_weights(lambda scores, mask: (scores * mask).softmax(-1)).state
    'wrong'
    """
    return _MASKED_WEIGHTS.judge(function)


def run_layer(function) -> Verdict:
    """Judge ``function(layer, x, words)``: an `nn.MultiheadAttention` that must not see the padding.

    Only the rows of words are compared, with each sentence run alone and unpadded.

    >>> run_layer(lambda layer, x, words: layer(x, x, x, key_padding_mask=~words)[0]).state
    'right'
    """
    return _RUN_LAYER.judge(lambda layer, x, words: _words_only(function(layer, x, words), words))


def safe_weights(function) -> Verdict:
    """Judge ``function(scores, bias)``: a bias of 0 and −∞, rows with no key get zeros, and no gradient is NaN.

    >>> safe_weights(lambda scores, bias: (scores + bias).softmax(-1)).state
    'wrong'
    """
    return _SAFE_WEIGHTS.judge(lambda scores, bias: _with_gradient(function, scores, bias))


# --- the definitions, as slow loops -------------------------------------------------------------


def _slow_word_mask(lengths: Tensor, total: int) -> Tensor:
    return torch.tensor([[position >= total - length for position in range(total)] for length in lengths.tolist()])


def _slow_attention_mask(words: Tensor) -> Tensor:
    return torch.tensor([[[bool(key) for key in sentence] for _query in sentence] for sentence in words])


def _slow_weights(scores: Tensor, mask: Tensor) -> Tensor:
    weights = torch.zeros_like(scores)
    for q in range(scores.shape[0]):
        total = sum(math.exp(scores[q, k]) for k in range(scores.shape[1]) if mask[q, k])
        for k in range(scores.shape[1]):
            weights[q, k] = math.exp(scores[q, k]) / total if mask[q, k] else 0.0
    return weights


def _slow_run_layer(layer: nn.MultiheadAttention, x: Tensor, words: Tensor) -> Tensor:
    out = torch.zeros_like(x)
    for i, sentence in enumerate(words):
        alone = x[i : i + 1, sentence]  # (1, n, D): this sentence's words, no padding
        out[i, sentence] = layer(alone, alone, alone)[0][0].detach()
    return out


def _slow_safe_weights(scores: Tensor, bias: Tensor) -> Tensor:
    """Weights, and the gradient of the sum of their squares, row by row. Shape: (2, query, key)."""
    w = _slow_weights(scores, bias == 0)
    inner = (2 * w * w).sum(dim=-1, keepdim=True)  # d(Σw²)/ds = w·(2w − Σ 2w²), the softmax rule
    return torch.stack([w, w * (2 * w - inner)])


# --- what is compared ---------------------------------------------------------------------------


def _words_only(output, words: Tensor):
    """Forget the rows of padding: what they hold does not matter."""
    if isinstance(output, Tensor) and output.shape[:2] == words.shape:
        return output.detach().masked_fill(~words[:, :, None], 0.0)
    return output


def _with_gradient(function, scores: Tensor, bias: Tensor):
    """Stack the weights and the gradient of the sum of their squares. Shape: (2, query, key)."""
    with torch.enable_grad():
        leaf = scores.clone().requires_grad_()
        given = leaf * 1.0
        weights = function(given, bias)
        _check_weights(weights, scores, given)
        (gradient,) = torch.autograd.grad(weights.pow(2).sum(), leaf) if weights is not None else (None,)
    return weights if weights is None else torch.stack([weights.detach().to(gradient.dtype), gradient])


def _check_weights(weights, scores: Tensor, given: Tensor) -> None:
    """Raise Complaint for what has no gradient to look at, and for scores that were written into."""
    if weights is None:
        return
    if not isinstance(weights, Tensor) or weights.shape != scores.shape:
        what = f"shape {tuple(weights.shape)}" if isinstance(weights, Tensor) else type(weights).__name__
        raise Complaint(
            f"weights of shape {tuple(scores.shape)}, one for each score, were expected, and you gave {what}."
        )
    if not torch.equal(given.detach(), scores):
        raise Complaint("your function changes its input: work on a copy.")
    if not weights.requires_grad:
        raise Complaint("the gradient is cut: without detach and no_grad the weights can learn.")


def _empty(bias: Tensor) -> Tensor:
    """Which rows have no key. Shape: (query,)."""
    return (bias < 0).all(dim=-1)


def _without_empty(bias: Tensor) -> Tensor:
    """The bias with its empty rows opened."""
    return bias.masked_fill(_empty(bias)[:, None], 0.0)


def _picture_word_mask(answer: Tensor, right: Tensor):
    return compared(answer, right, kind="mask", title="word mask", rows="sentence", columns="position")


def _picture_attention_mask(answer: Tensor, right: Tensor):
    i = int((answer != right).flatten(1).any(dim=1).int().argmax())  # the first sentence that differs
    return compared(answer[i], right[i], kind="mask", title=f"mask of sentence {i}", rows="query", columns="key")


def _picture_weights(answer: Tensor, right: Tensor):
    return compared(answer.detach(), right, kind="weight", title="weights", rows="query", columns="key")


def _picture_output(answer: Tensor, right: Tensor):
    i = int(
        (~torch.isclose(answer.double(), right.double(), atol=1e-5, equal_nan=True))
        .flatten(1)
        .any(dim=1)
        .int()
        .argmax()
    )
    return compared(
        answer[i], right[i], kind="output", title=f"output of sentence {i}", rows="query", columns="feature"
    )


def _picture_safe(answer: Tensor, right: Tensor):
    if not torch.allclose(answer[0].double(), right[0].double(), atol=1e-5, equal_nan=True):
        return _picture_weights(answer[0], right[0])
    return compared(answer[1], right[1], kind="output", title="gradient", rows="query", columns="key")


# --- random inputs ------------------------------------------------------------------------------


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(SEED)


def _lengths_cases(count: int) -> list[tuple[Tensor, int]]:
    """Batches of 2 to 4 different lengths up to 6, padded to 6 or 7 by turns."""
    g = _generator()
    return [(torch.randperm(6, generator=g)[: 2 + i % 3] + 1, 6 + i % 2) for i in range(count)]


def _words_cases(count: int) -> list[tuple[Tensor]]:
    """Which positions are words; the padding on the left and on the right by turns."""
    left = [_slow_word_mask(lengths, total) for lengths, total in _lengths_cases(count)]
    return [(words.flip(-1) if i % 2 else words,) for i, words in enumerate(left)]


def _scores_cases(count: int, *, empty_row: bool) -> list[tuple[Tensor, Tensor]]:
    """Random scores with random masks; each row has a key, or, if asked, one row has none."""
    g, cases = _generator(), []
    for i in range(count):
        length = 4 + i % 3
        mask = torch.rand(length, length, generator=g) < 0.6
        mask[torch.arange(length), torch.randint(length, (length,), generator=g)] = True
        mask[0, (int(mask[0].int().argmax()) + 1) % length] = False  # something is blocked for certain
        if empty_row:
            mask[i % length] = False
        cases.append((torch.randn(length, length, generator=g), mask))
    return cases


def _layer_cases(count: int) -> list[tuple[nn.MultiheadAttention, Tensor, Tensor]]:
    g, cases = _generator(), []
    with torch.random.fork_rng():  # building a layer draws numbers: the learner's own seed stays as it is
        torch.manual_seed(SEED)
        layer = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    for (words,) in _words_cases(count):
        cases.append((layer, torch.randn(*words.shape, 8, generator=g), words))
    return cases


# --- the exercises, with the wrong answers that have a name ---------------------------------------

_WORD_MASK = Exercise(
    name="word_mask",
    # A batch of one, and a sentence without a word: `mask[i, -length:]` would take all of it.
    cases=[*_lengths_cases(18), (torch.tensor([4]), 5), (torch.tensor([0, 3]), 5)],
    oracle=_slow_word_mask,
    picture=_picture_word_mask,
    wrong={
        "inverted": (
            lambda n, t: ~_slow_word_mask(n, t),
            "inverted. You mark the padding; here True means a word.",
        ),
        "wrong side": (
            lambda n, t: _slow_word_mask(n, t).flip(-1),
            "the wrong side. Your words stand at the start; here the padding is on the left and the words at the end.",
        ),
        "one too many": (
            lambda n, t: _slow_word_mask(n + 1, t),
            "off by one. Of 5 positions a sentence of 3 words fills 2, 3 and 4: position 1 is padding. Is it > or >= ?",
        ),
        "one too few": (
            lambda n, t: _slow_word_mask(n - 1, t),
            "off by one. The first word of each sentence is lost. Is it > or >= ?",
        ),
        "one length for all": (
            lambda n, t: _slow_word_mask(n.max().expand_as(n), t),
            "every sentence gets the longest one's length. Compare with lengths[:, None]: one row a sentence.",
        ),
    },
)

_ATTENTION_MASK = Exercise(
    name="attention_mask",
    cases=_words_cases(20),
    oracle=_slow_attention_mask,
    picture=_picture_attention_mask,
    wrong={
        "rows": (
            lambda w: _slow_attention_mask(w).transpose(1, 2),
            "rows instead of columns. You block padding *queries*; the words still read the padding *keys*. "
            "The key is the last axis.",
        ),
        "rows and columns": (
            lambda w: _slow_attention_mask(w) & _slow_attention_mask(w).transpose(1, 2),
            "rows as well as columns. The padding rows have no key left, and their softmax is NaN. Columns are enough.",
        ),
        "rows or columns": (
            lambda w: _slow_attention_mask(w) | _slow_attention_mask(w).transpose(1, 2),
            "rows *or* columns. A padding key is still open to the words: only the key decides.",
        ),
        "inverted": (
            lambda w: ~_slow_attention_mask(w),
            "inverted. You allow the padding and block the words; here True means may attend.",
        ),
        "additive": (
            lambda w: torch.zeros(_slow_attention_mask(w).shape).masked_fill(~_slow_attention_mask(w), -math.inf),
            "this is the additive form, 0 and −∞. Here a bool mask is asked for, True = may attend.",
        ),
        "one row": (
            lambda w: _slow_attention_mask(w)[:, :1],
            "one row a sentence. It would broadcast, but one L×L matrix each is asked for: expand the query axis.",
        ),
    },
)

_MASKED_WEIGHTS = Exercise(
    name="masked_weights",
    cases=_scores_cases(20, empty_row=False),
    oracle=_slow_weights,
    picture=_picture_weights,
    wrong={
        "no mask": (
            lambda s, m: s.softmax(dim=-1),
            "the mask is not used: blocked keys still get weight.",
        ),
        "multiplies the scores": (
            lambda s, m: (s * m).softmax(dim=-1),
            "you multiply the scores by the mask. A score of 0 still gets exp(0) = 1 before it is shared out: "
            "a blocked score must become −∞.",
        ),
        "multiplies the weights": (
            lambda s, m: s.softmax(dim=-1) * m,
            "you mask after the softmax. The rows no longer sum to 1: mask the scores, then softmax.",
        ),
        "−∞ too late": (
            lambda s, m: s.softmax(dim=-1).masked_fill(~m, -math.inf),
            "you put −∞ into the weights. It belongs into the scores: mask first, then softmax.",
        ),
        "adds 0 and 1": (
            lambda s, m: (s + m.float()).softmax(dim=-1),
            "you add a mask of zeros and ones. That gives allowed keys a larger share and blocks nothing: "
            "add 0 and −∞.",
        ),
        "inverted": (
            lambda s, m: s.masked_fill(m, -math.inf).softmax(dim=-1),
            "inverted. masked_fill fills where its mask is True, and here True means may attend: use ~mask.",
        ),
        "wrong axis": (
            lambda s, m: s.masked_fill(~m, -math.inf).softmax(dim=-2),
            "softmax along the queries. Each *row* has to sum to 1: dim=-1, over the keys.",
        ),
    },
)

_RUN_LAYER = Exercise(
    name="run_layer",
    cases=_layer_cases(8),
    oracle=_slow_run_layer,
    picture=_picture_output,
    wrong={
        "no mask": (
            lambda layer, x, w: _words_only(layer(x, x, x)[0], w),
            "the layer still reads the padding: hand it the key_padding_mask.",
        ),
        "inverted": (
            lambda layer, x, w: _words_only(layer(x, x, x, key_padding_mask=w)[0], w),
            "inverted. In nn.MultiheadAttention True means *ignore*: it wants ~words.",
        ),
        "a float is added": (
            lambda layer, x, w: _words_only(layer(x, x, x, key_padding_mask=(~w).float())[0], w),
            "a mask of zeros and ones as floats is *added* to the scores, and blocks nothing. Hand over a bool.",
        ),
        "a float is added, inverted": (
            lambda layer, x, w: _words_only(layer(x, x, x, key_padding_mask=w.float())[0], w),
            "a mask of zeros and ones as floats is *added* to the scores, and blocks nothing. Hand over a bool, "
            "and mind what True means.",
        ),
    },
)

_SAFE_WEIGHTS = Exercise(
    name="safe_weights",
    cases=[(scores, to_bias(mask)) for scores, mask in _scores_cases(20, empty_row=True)],
    oracle=_slow_safe_weights,
    picture=_picture_safe,
    wrong={
        "nan": (
            lambda s, b: _with_gradient(lambda s, b: (s + b).softmax(dim=-1), s, b),
            "still NaN. A row with no key is 0/0: give such a row weights of zero.",
        ),
        "nan, filled": (
            lambda s, b: _with_gradient(lambda s, b: s.masked_fill(b < 0, -math.inf).softmax(dim=-1), s, b),
            "still NaN. A row with no key is 0/0: give such a row weights of zero.",
        ),
        "uniform": (
            lambda s, b: _with_gradient(lambda s, b: (s + b.clamp(min=torch.finfo(s.dtype).min)).softmax(dim=-1), s, b),
            "uniform. With a large finite number in place of −∞, a row with no key shares its weight over "
            "blocked keys. It should be zero.",
        ),
        "large number": (
            lambda s, b: _with_gradient(lambda s, b: (s + b.clamp(min=-1e4)).softmax(dim=-1), s, b),
            "a large number is not −∞: a row with no key shares its weight over blocked keys. It should be zero.",
        ),
        "not zeroed": (
            lambda s, b: _with_gradient(lambda s, b: (s + _without_empty(b)).softmax(dim=-1), s, b),
            "no NaN any more, but the rows with no key still hold weights: set them to zero after the softmax.",
        ),
        "no keepdim": (
            lambda s, b: _with_gradient(
                lambda s, b: (s + b.masked_fill(_empty(b), 0.0)).softmax(dim=-1).masked_fill(_empty(b), 0.0), s, b
            ),
            "your rows became columns. all(dim=-1) has shape (L,), and lies along the keys: keepdim=True mends it.",
        ),
        "nan gradient": (
            lambda s, b: _with_gradient(lambda s, b: (s + b).softmax(dim=-1).nan_to_num(), s, b),
            "the weights are right, but the gradient is NaN. The 0/0 still happens on the way, and it comes back in "
            "training. Take −∞ away from the empty rows *before* the softmax, and zero them after it.",
        ),
    },
)
