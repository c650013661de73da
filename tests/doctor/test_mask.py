"""check_mask: each fault planted in several shapes and dialects, found once and by its own code; healthy masks pass."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn.attention.bias import causal_upper_left

from masklab import dialects, masks
from masklab.doctor import check_mask
from masklab.doctor.reading import DIALECTS
from masklab.text import word_positions
from tests.doctor.zoo_masks import WRITE, as_bias, as_mha
from tests.strategies import seeds, sides

L = 6
TRIL = torch.ones(L, L, dtype=torch.bool).tril()
FULL = torch.ones(L, L, dtype=torch.bool)
RIGHT = word_positions(torch.tensor([4, 6, 3]), total=L)
LEFT = RIGHT.flip(-1)
MIN = torch.finfo(torch.float32).min


def both(mask, pad, *, own=True):
    """A mask of pairs and padding keys, with four axes; ``own``: padding sees itself, so that no row is empty."""
    mask = mask.expand(len(pad), 1, *mask.shape[-2:]) & pad[:, None, None, :]
    return mask | (torch.eye(L, dtype=torch.bool) & ~pad[:, None, :, None]) if own else mask


PAIRS = pytest.mark.parametrize("dialect", list(WRITE))
PADS = pytest.mark.parametrize("pad", [RIGHT, LEFT], ids=["right", "left"])


def codes(mask, **claims):
    return check_mask(mask, **claims).codes


# --- Healthy ----------------------------------------------------------------------------------------------------------


@PAIRS
@PADS
def test_causal_and_padding_is_healthy_in_every_dialect(dialect, pad):
    report = check_mask(WRITE[dialect](both(TRIL, pad)), dialect=dialect, pad=pad, causal=True)
    assert report.ok and not report.findings, report


@PAIRS
def test_causal_is_healthy_in_every_dialect(dialect):
    assert not check_mask(WRITE[dialect](TRIL[None, None]), dialect=dialect, causal=True).findings


@pytest.mark.parametrize("dialect", ["keep", "sdpa", "block_mask", "transformers_4d", "jax", "keras"])
def test_left_padded_causal_masks_as_everybody_makes_them_earn_a_note(dialect):
    """Their padding queries see nothing; nobody reads what comes out, and these libraries give a number."""
    report = check_mask(WRITE[dialect](both(TRIL, LEFT, own=False)), dialect=dialect, pad=LEFT, causal=True)
    assert report.ok and report.codes == ("empty-row",), report


@pytest.mark.parametrize("dialect", ["block", "bias", "mha_attn_mask"])
def test_where_an_empty_row_gives_nan_it_is_a_warning(dialect):
    report = check_mask(WRITE[dialect](both(TRIL, LEFT, own=False)), dialect=dialect, pad=LEFT, causal=True)
    assert report.codes == ("empty-row",) and report.findings[0].severity == "warning"
    assert "NaN" in report.findings[0].says


def test_nan_at_a_padding_query_does_travel_into_every_word():
    """The reason for the warning: the second of two layers, both with the left-padded mask of a MultiheadAttention."""
    torch.manual_seed(0)
    mask, x = both(TRIL, LEFT, own=False), torch.randn(3, L, 4)
    layers = [torch.nn.MultiheadAttention(4, 2, batch_first=True) for _ in range(2)]
    for layer in layers:
        x, _ = layer(x, x, x, attn_mask=as_mha(mask), need_weights=True)
    assert x[LEFT.sum(-1) < L][:, -1].isnan().all(), "the last word is NaN in every padded sentence"


HEALTHY = {
    "sliding window": (masks.sliding_window(3).tensor(queries=L, keys=L), {"causal": True}),
    "window both ways": (masks.bidirectional_window(before=1, after=2).tensor(queries=L, keys=L), {}),
    "prefix": (masks.prefix_lm(torch.tensor([2, 3])).tensor(queries=L, keys=L), {}),
    "blocks": (masks.blocks(2).tensor(queries=L, keys=L), {}),
    "chunks": (masks.chunks(2).tensor(queries=L, keys=L), {"causal": True}),
    "dilated": ((masks.dilated(2) & masks.causal()).tensor(queries=L, keys=L), {"causal": True}),
    "documents": (masks.documents(torch.tensor([[0, 0, 1, 1, 1, 1]])).tensor(queries=L, keys=L), {}),
    "causal documents": ((masks.causal() & masks.documents(torch.tensor([[0, 0, 1, 1, 1, 1]]))).tensor(queries=L,
                         keys=L), {"causal": True}),
    "documents and pads": (masks.documents(torch.tensor([[0, 0, 1, 1, -1, -1]])).tensor(queries=L, keys=L), {}),
    "full": (FULL, {}),
    "full, padded": (both(FULL, RIGHT, own=False), {"pad": RIGHT}),
    "full, padded on the left": (both(FULL, LEFT, own=False), {"pad": LEFT}),
    "padding keys, four axes": (RIGHT[:, None, None], {"pad": RIGHT}),
    "padding keys, three axes": (RIGHT[:, None], {"pad": RIGHT}),
    "padding keys, two axes": (RIGHT, {"pad": RIGHT}),
    "one sentence": (RIGHT[0], {}),
    "one sentence of one word": (torch.ones(1, 1, dtype=torch.bool), {"causal": True}),
    "a causal mask beside as many sentences": (TRIL, {"pad": torch.ones(L, L, dtype=torch.bool), "causal": True}),
    "right padding needs no more than causal": (TRIL, {"pad": RIGHT, "causal": True}),
    "cross-attention": (torch.ones(4, 7, dtype=torch.bool), {}),
    "cross-attention, padded": (RIGHT[:, None, None].expand(-1, 1, 4, -1), {"pad": RIGHT}),
    "three axes of sentences": (both(TRIL, RIGHT)[:, 0], {"pad": RIGHT, "causal": True}),
    "heads differ": (torch.stack([TRIL, TRIL & TRIL.triu(-2)])[None], {"causal": True}),
    "one new query behind a cache": (masks.causal(offset=5).tensor(queries=1, keys=6), {"causal": True}),
    "two new queries behind a cache": (masks.causal(offset=4).tensor(queries=2, keys=6), {"causal": True}),
    "behind a cache, two axes": (masks.causal(offset=4).tensor(queries=2, keys=6)[0, 0], {"causal": True}),
    "behind a cache, padded on the left": (both(TRIL, LEFT)[:, :, -2:], {"pad": LEFT, "causal": True}),
    "a window behind a cache": (masks.sliding_window(3, offset=4).tensor(queries=2, keys=6), {"causal": True}),
    "expanded": (TRIL.expand(8, 4, L, L), {"causal": True}),
    "a tokenizer's": (RIGHT.long(), {"dialect": "transformers_2d", "pad": RIGHT, "causal": True}),
    "a tokenizer's for as many sentences as words": (
        LEFT.repeat(2, 1).float(), {"dialect": "transformers_2d", "pad": LEFT.repeat(2, 1), "causal": True}),
    "MultiheadAttention's keys": (~RIGHT, {"dialect": "key_padding_mask", "pad": RIGHT, "causal": True}),
    "MultiheadAttention's keys, added": (as_bias(LEFT), {"dialect": "key_padding_mask", "pad": LEFT}),
    "finite, eager": (as_bias(both(TRIL, RIGHT), MIN), {"dialect": "bias", "pad": RIGHT, "causal": True}),
    "finite, -1e9": (as_bias(TRIL, -1e9), {"causal": True}),
    "finite, twice": (as_bias(TRIL, MIN) + as_bias(TRIL, MIN), {"dialect": "bias", "causal": True}),
    "half": (as_bias(TRIL).half(), {"dialect": "bias", "causal": True}),
    "bfloat16": (dialects.to_transformers_4d_bias(TRIL[None, None], dtype=torch.bfloat16),
                 {"dialect": "transformers_4d", "causal": True}),
    "bfloat16, -1e4": (as_bias(TRIL, -1e4).bfloat16(), {"causal": True}),
    "a cache whose end is empty": (
        torch.ones(3, 6, dtype=torch.bool).tril(),
        {"pad": torch.tensor([[True, True, True, False, False, False]]), "causal": True}),
    "a bias of zeros": (torch.zeros(L, L), {"dialect": "bias"}),
    "ALiBi": (as_bias(TRIL) - 0.25 * (torch.arange(L)[:, None] - torch.arange(L)).abs(), {"causal": True}),
    "ones and zeros, said to mean keep": (TRIL.long(), {"causal": True}),
}  # fmt: skip


@pytest.mark.parametrize(("mask", "claims"), HEALTHY.values(), ids=HEALTHY)
def test_a_healthy_mask_has_nothing_above_a_note(mask, claims):
    report = check_mask(mask, **claims)
    assert report.ok, report
    assert set(report.codes) <= {"over-blocked", "empty-row"}


@given(seeds, st.integers(1, 8), sides, st.sampled_from(list(WRITE)), st.booleans())
@settings(max_examples=60)
def test_any_padded_mask_is_healthy_in_any_dialect(seed, length, side, dialect, causal):
    g = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, length + 1, (3,), generator=g)
    pad = word_positions(lengths, total=length, side=side)
    rule = masks.padding(lengths, total=length, side=side)
    mask = ((masks.causal() & rule if causal else rule) | masks.diagonal()).tensor(queries=length, keys=length)
    mask = mask & (pad[:, None, None] | ~pad[:, None, :, None])
    report = check_mask(WRITE[dialect](mask), dialect=dialect, pad=pad, causal=causal)
    assert not report.findings, report


def _rules(length, batch, seed):
    """Rules that people compose with a causal mask and padding."""
    g = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 3, (batch, length), generator=g).sort(-1).values
    size = int(torch.randint(1, length + 1, (), generator=g))
    return {
        "none": masks.everything(), "window": masks.sliding_window(size), "blocks": masks.blocks(size),
        "documents": masks.documents(ids), "both ways": masks.bidirectional_window(before=size - 1, after=size),
        "keys dropped": masks.key_dropout(0.3, batch=batch, keys=length, seed=seed),
    }  # fmt: skip


@given(seeds, st.integers(2, 9), sides, st.sampled_from(list(WRITE)), st.booleans(), st.integers(0, 5))
@settings(max_examples=60)
def test_whatever_is_composed_with_it_is_healthy(seed, length, side, dialect, causal, which):
    lengths = torch.randint(1, length + 1, (2,), generator=torch.Generator().manual_seed(seed))
    pad = word_positions(lengths, total=length, side=side)
    rule = masks.padding(lengths, total=length, side=side) & list(_rules(length, 2, seed).values())[which]
    mask = ((masks.causal() & rule if causal else rule) | masks.diagonal()).tensor(queries=length, keys=length)
    mask = mask & (pad[:, None, None] | ~pad[:, None, :, None])
    report = check_mask(WRITE[dialect](mask), dialect=dialect, pad=pad, causal=causal)
    assert report.ok and set(report.codes) <= {"over-blocked"}, report


@given(seeds, st.lists(st.integers(1, 4), min_size=1, max_size=4), st.sampled_from(list(DIALECTS)), st.booleans())
@settings(max_examples=150)
def test_any_tensor_gets_a_report_or_one_sentence(seed, shape, dialect, causal):
    """No tensor makes it stumble, and no code comes twice."""
    g = torch.Generator().manual_seed(seed)
    share, kind, padded = (int(torch.randint(n, (), generator=g)) for n in (4, 5, 3))
    kept = torch.rand(shape, generator=g) < (0.0, 0.3, 0.7, 1.0)[share]
    values = (kept, kept.long(), kept.float(), as_bias(kept), as_bias(kept, -5.0))[kind]
    pad = torch.rand(padded, shape[-1], generator=g) < 0.6 if padded else None
    try:
        report = check_mask(values, dialect=dialect, pad=pad, causal=causal)
    except (TypeError, ValueError) as refusal:
        assert len(str(refusal)) > 20
    else:
        assert len(set(report.codes)) == len(report.codes) and str(report) and report.panels


# --- Faults -----------------------------------------------------------------------------------------------------------


@PAIRS
@PADS
@pytest.mark.parametrize("causal", [True, False])
def test_inverted(dialect, pad, causal):
    mask = ~both(TRIL if causal else FULL, pad, own=False)
    assert codes(WRITE[dialect](mask), dialect=dialect, pad=pad, causal=causal) == ("inverted",)


def test_inverted_in_other_ways():
    assert codes(~TRIL) == codes(~TRIL, causal=True) == codes(TRIL, dialect="block", causal=True) == ("inverted",)
    assert codes(FULL.triu(), causal=True) == ("inverted",), "the wrong triangle"
    assert codes(~masks.sliding_window(3).tensor(queries=L, keys=L), causal=True) == ("inverted",)
    assert codes(TRIL.float() * 1e9, causal=True, dialect="bias") == (), (
        "a large positive number keeps: the rest is far"
    )
    assert codes((~TRIL).float() * 1e9, causal=True, dialect="bias") == ("inverted",), "the sign is missing"
    for pad in (RIGHT, LEFT):
        only_pads = TRIL & ~pad[:, None, None]
        assert codes(only_pads, pad=pad, causal=True) == ("inverted",), "the padding alone"
        assert codes(~pad, pad=pad) == codes(~pad[:, None, None], pad=pad) == ("inverted",)
        assert codes(pad, dialect="key_padding_mask", pad=pad) == ("inverted",)
        assert codes((~pad).long(), dialect="transformers_2d", pad=pad) == ("inverted",)
        assert codes(~TRIL & pad[:, None, None], pad=pad, causal=True) == ("inverted",), "the triangle alone"


@PAIRS
@pytest.mark.parametrize("diagonal", [1, -1])
@pytest.mark.parametrize("pad", [None, RIGHT, LEFT], ids=["", "right", "left"])
def test_off_by_one(dialect, diagonal, pad):
    mask = FULL.tril(diagonal)[None, None]
    mask = mask if pad is None else mask & pad[:, None, None]
    mask = mask if pad is None else mask | (torch.eye(L, dtype=torch.bool) & ~pad[:, None, :, None])
    assert codes(WRITE[dialect](mask), dialect=dialect, causal=True, pad=pad) == ("off-by-one",)


def test_the_line_to_change_is_the_dialects():
    assert "here True = may attend" in check_mask(~TRIL, causal=True).findings[0].fix
    assert "True = must not attend" in check_mask(TRIL, dialect="block", causal=True).findings[0].fix
    assert "masked_fill" in check_mask(as_bias(~TRIL), dialect="bias", causal=True).findings[0].fix


def test_off_by_one_in_other_shapes():
    window = masks.sliding_window(3).tensor(queries=L, keys=L)
    assert codes(window | window.roll(1, -1), causal=True)[0] == "off-by-one"
    assert codes(torch.ones(3, 6, dtype=torch.bool).tril(4), causal=True) == ("off-by-one",), "behind a cache"
    assert codes(torch.ones(3, 6, dtype=torch.bool).tril(2), causal=True)[0] == "off-by-one"
    says = check_mask(FULL.tril(1), causal=True).findings[0]
    assert says.where == "query 0, key 1 and 4 more pairs" and "next" in says.says


@PAIRS
@pytest.mark.parametrize("pad", [None, RIGHT, LEFT], ids=["", "right", "left"])
def test_no_causal_mask_at_all(dialect, pad):
    mask = FULL[None, None] if pad is None else both(FULL, pad)
    assert codes(WRITE[dialect](mask), dialect=dialect, pad=pad, causal=True) == ("future-visible",)


def test_nothing_masked_at_all():
    assert codes(FULL, pad=RIGHT, causal=True) == ("future-visible",), "with right padding, one cause"
    assert codes(FULL, pad=LEFT, causal=True) == ("future-visible", "pad-visible"), "two masks are missing"


@given(seeds)
@settings(max_examples=40)
def test_one_pair_of_the_future_is_found_where_it_is(seed):
    g = torch.Generator().manual_seed(seed)
    b, q = (int(torch.randint(n, (), generator=g)) for n in (3, 5))
    k = int(torch.randint(q + 1, L, (), generator=g))
    mask = TRIL.repeat(3, 1, 1, 1)
    mask[b, 0, q, k] = True
    report = check_mask(mask, causal=True)
    assert report.codes == ("future-visible",)
    assert report.findings[0].where == f"sentence {b}, query {q}, key {k}"
    assert report.panels[0].marks.nonzero().tolist() == [[q, k]]


def test_the_future_in_one_head():
    mask = TRIL.repeat(2, 3, 1, 1)
    mask[1, 2, 0, 5] = True
    assert check_mask(mask, causal=True).findings[0].where == "sentence 1, head 2, query 0, key 5"


def test_a_padding_mask_is_not_causal():
    assert codes(RIGHT[:, None, None], pad=RIGHT, causal=True) == ("future-visible",)
    assert codes(RIGHT[0], causal=True) == ("future-visible",)


@PADS
@pytest.mark.parametrize("dialect", ["keep", "block", "bias", "keras", "transformers_4d"])
def test_padding_visible(dialect, pad):
    full = FULL.repeat(3, 1, 1, 1)
    assert codes(WRITE[dialect](full), dialect=dialect, pad=pad) == ("pad-visible",)


def test_padding_visible_in_other_ways():
    assert codes(TRIL, pad=LEFT, causal=True) == ("pad-visible",), "left padding needs more than a causal mask"
    assert codes(torch.ones_like(RIGHT), pad=RIGHT) == ("pad-visible",)
    assert codes(torch.ones_like(RIGHT).long(), pad=RIGHT, dialect="transformers_2d") == ("pad-visible",)
    assert codes(torch.zeros_like(RIGHT), pad=RIGHT, dialect="key_padding_mask") == ("pad-visible",)
    one_more = word_positions(RIGHT.sum(-1).add(1).clamp(max=L), total=L)
    report = check_mask(one_more[:, None, None], pad=RIGHT)
    assert report.codes == ("pad-visible",) and report.findings[0].where == "sentence 0, key 4 and 1 more pair"
    assert codes(RIGHT[:, None, :, None].expand(-1, 1, L, L), pad=RIGHT)[0] == "pad-visible", "rows in place of columns"


def test_padding_may_see_padding():
    same = RIGHT[:, None, :, None] == RIGHT[:, None, None]
    assert codes(same, pad=RIGHT) == ()


@PAIRS
def test_an_empty_row_of_a_word(dialect):
    mask = both(TRIL, RIGHT)
    mask[1, :, 3] = False
    report = check_mask(WRITE[dialect](mask), dialect=dialect, pad=RIGHT, causal=True)
    assert report.codes[0] == "empty-row" and report.findings[0].severity == "error"
    assert "sentence 1" in report.findings[0].where and "query 3" in report.findings[0].where
    assert set(report.codes[1:]) <= {"over-blocked"} and "head 1" not in report.findings[0].where


def test_empty_rows_in_other_ways():
    assert codes(FULL.triu(1)[None, None] & False) == ("empty-row",), "everything is blocked"
    rows_too = RIGHT[:, None, None] & RIGHT[:, None, :, None]
    assert codes(rows_too, pad=RIGHT) == ("empty-row",) and check_mask(rows_too, pad=RIGHT).ok
    assert (
        check_mask(rows_too, pad=RIGHT, dialect="sdpa").ok and not check_mask(~rows_too, pad=RIGHT, dialect="block").ok
    )
    no_words = RIGHT & torch.tensor([[True], [False], [True]])
    assert (
        codes(no_words, pad=RIGHT)[0] == "empty-row"
        and "sentence 1" in check_mask(no_words, pad=RIGHT).findings[0].where
    )
    assert "the mean of all values" in check_mask(as_bias(rows_too & False, MIN), dialect="bias").findings[0].says


def test_a_word_that_nobody_sees():
    one_less = RIGHT & RIGHT.roll(-1, -1)
    report = check_mask(one_less[:, None, None], pad=RIGHT)
    assert report.codes == ("over-blocked",) and report.findings[0].severity == "warning"
    ids = torch.tensor([[5, 0, 7, 8]])  # 0 is a real token: padding was guessed from the ids
    report = check_mask((ids != 0)[:, None, None], pad=torch.ones(1, 4, dtype=torch.bool))
    assert not report.ok and report.findings[0].where == "key 1"


@pytest.mark.parametrize(
    "dialect", ["keep", "bias", "sdpa", "mha_attn_mask", "transformers_4d", "block", "key_padding_mask"]
)
@pytest.mark.parametrize("mask", [TRIL, both(TRIL, RIGHT), RIGHT])
def test_zeros_and_ones_that_are_added(dialect, mask):
    two = DIALECTS[dialect].axes == ("batch", "key")
    mask = (RIGHT if two else mask.reshape(-1, 1, *mask.shape[-2:]) if dialect == "transformers_4d" else mask).float()
    mask = mask[:, 0] if dialect == "mha_attn_mask" and mask.ndim == 4 else mask
    report = check_mask(mask, dialect=dialect, causal=True)
    assert report.codes == ("float-01",), report


def test_a_bool_is_added_by_eager():
    assert codes(TRIL[None, None], dialect="bias", causal=True) == ("float-01",)
    assert codes(torch.ones(L, L), causal=True) == ("float-01",)


@pytest.mark.parametrize(
    ("low", "severity"), [(-1.0, "error"), (-2.0, "error"), (-10.0, "error"), (-1000.0, "warning")]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_weak_numbers(low, severity, dtype):
    report = check_mask(as_bias(both(TRIL, RIGHT), low).to(dtype), dialect="bias", pad=RIGHT, causal=True)
    assert report.codes == ("weak-bias",) and report.findings[0].severity == severity
    assert check_mask(as_bias(TRIL, low).to(dtype), causal=True).codes == ("weak-bias",)


def test_a_weak_number_leaks_as_much_as_it_is_said_to():
    says = check_mask(as_bias(TRIL, -10), causal=True).findings[0].says
    leak = torch.tensor([0.0, -10.0]).softmax(-1)
    assert f"{leak[1] / leak[0]:.1e}" in says


def test_an_unclear_shape_is_said_and_nothing_is_guessed():
    square = word_positions(torch.tensor([2, 4, 3, 1]), total=4)
    assert codes(square) == codes(square, pad=square) == codes(square, pad=square, causal=True) == ("ambiguous-shape",)
    assert codes(~square, pad=square) == codes(square.flip(-1)) == ("ambiguous-shape",)
    triangle = word_positions(torch.tensor([1, 2, 3, 4]), total=4)
    assert codes(triangle, pad=triangle, causal=True) == ("ambiguous-shape",), "padding that looks like a causal mask"
    assert codes(square, pad=square, dialect="transformers_2d") == codes(~square, dialect="key_padding_mask") == ()
    assert codes(square[:, None, None], pad=square) == ()
    assert codes(RIGHT, pad=RIGHT, dialect="sdpa") == ("ambiguous-shape",)
    assert codes(both(TRIL, RIGHT)[:, 0], pad=RIGHT, dialect="sdpa") == ("ambiguous-shape",), "sentences or heads"
    assert codes(both(TRIL, RIGHT)[:, 0], pad=RIGHT, causal=True) == ()


def test_not_finite():
    nan = (1 - TRIL.float()) * -math.inf
    report = check_mask(nan, causal=True)
    assert report.codes == ("non-finite",) and report.findings[0].where == "first at index (0, 0)"
    leaky = (1 - FULL.tril(2).float()) * -math.inf
    assert codes(leaky, causal=True) == ("non-finite", "future-visible"), "NaN hides no leak"
    assert codes(as_bias(TRIL).masked_fill(torch.eye(L).bool(), math.inf), causal=True) == ("non-finite",)


def test_a_cache_at_the_wrong_corner():
    assert codes(torch.ones(1, 6, dtype=torch.bool).tril()[None, None], causal=True) == ("misaligned-cache",)
    assert codes(torch.ones(3, 6, dtype=torch.bool).tril(), causal=True) == ("misaligned-cache",)
    assert codes(torch.ones(5, 6, dtype=torch.bool).tril(), causal=True) == ("misaligned-cache",)
    real = causal_upper_left(2, 5)._materialize()
    assert codes(real, causal=True) == ("misaligned-cache",)


@given(seeds, st.sampled_from(list(WRITE)), sides)
@settings(max_examples=60)
def test_a_random_fault_is_found_by_its_code(seed, dialect, side):
    """One cell of a healthy mask is changed: the future or padding becomes visible, and nothing else is said."""
    g = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, 8, (2,), generator=g)
    pad = word_positions(lengths, total=8, side=side)
    own = torch.eye(8, dtype=torch.bool)
    mask = (torch.ones(8, 8, dtype=torch.bool).tril() & pad[:, None, None]) | (own & ~pad[:, None, :, None])
    wrong = ~mask & pad[:, None, :, None]
    places = wrong.nonzero()
    assume(len(places) > 0)
    b, h, q, k = places[int(torch.randint(len(places), (), generator=g))].tolist()
    mask[b, h, q, k] = True
    found = codes(WRITE[dialect](mask), dialect=dialect, pad=pad, causal=True)
    words = int(lengths.sum()) - 2
    expected = "pad-visible" if k < q else "off-by-one" if k == q + 1 and words == 1 else "future-visible"
    assert found == (expected,)


# --- What is said -----------------------------------------------------------------------------------------------------


def test_the_text_is_for_a_learner():
    assert str(check_mask(FULL.tril(2), causal=True)).splitlines()[:3] == [
        "Mask doctor: 1 error.",
        "✗ error future-visible, query 0, key 1 and 8 more pairs",
        "    A query sees what comes after it, up to 2 positions ahead: it can read the answer.",
    ]
    healthy = check_mask(TRIL, pad=RIGHT, causal=True)
    assert str(healthy).splitlines() == [
        "Mask doctor: nothing found.",
        "Checked: the numbers (read as keep), the axes (read as query, key), fully masked rows, the future, padding, "
        "positions count from 0.",
    ]


def test_a_large_mask_shows_the_part_with_the_fault():
    mask = torch.ones(300, 300, dtype=torch.bool).tril()
    mask[200, 280] = True
    panel = check_mask(mask, causal=True).panels[0]
    (row, column), *_ = panel.marks.nonzero().tolist()
    assert (panel.rows[row], panel.columns[column]) == ("200", "280") and panel.start == (191, 236)
    assert "<iframe" in check_mask(mask, causal=True)._repr_html_()


def test_the_mask_is_left_as_it_was():
    for mask in (as_bias(TRIL, -10), TRIL, TRIL.long()):
        before = mask.clone()
        check_mask(mask, causal=True)
        assert torch.equal(mask, before)


# --- Bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("call", "error", "words"), [
    (lambda: check_mask([[True]]), TypeError, "mask must be a tensor, got [[True]]. Use torch.tensor(mask)."),
    (lambda: check_mask(TRIL.numpy()), TypeError, "Use torch.from_numpy(mask)."),
    (lambda: check_mask(masks.causal()), TypeError, "got a rule. Use rule.tensor(queries=…, keys=…)."),
    (lambda: check_mask(TRIL, dialect="tensorflow"), ValueError, "dialect must be 'keep', 'block', 'bias'"),
    (lambda: check_mask(TRIL, pad=RIGHT.long()), TypeError, "pad must be bool, True = a real token"),
    (lambda: check_mask(TRIL, pad=RIGHT[0]), TypeError, "with axes (batch, key)"),
    (lambda: check_mask(TRIL, pad=RIGHT[:, :4]), ValueError, "with the 6 keys of the mask (6, 6), got (3, 4)"),
    (lambda: check_mask(TRIL.repeat(2, 1, 1, 1), pad=RIGHT), ValueError, "must have the same batch, got 2"),
    (lambda: check_mask(TRIL[None, None, None]), ValueError, "must have 1 or 2 or 3 or 4 axes as keep"),
    (lambda: check_mask(TRIL[:0]), ValueError, "none of size 0, got shape (0, 6)"),
    (lambda: check_mask(TRIL, dialect="transformers_4d"), ValueError, "must have 4 axes as transformers_4d"),
    (lambda: check_mask(TRIL.float(), dialect="jax"), TypeError, "jax takes no floating-point mask"),
    (lambda: check_mask(TRIL.to(torch.complex64)), TypeError, "complex"),
    (lambda: check_mask(torch.tensor([[0, 0, 1, 2]])), ValueError, "ids of documents"),
    (lambda: check_mask(TRIL.float() * 2, dialect="keras"), ValueError, "must hold 0 and 1 only"),
])  # fmt: skip
def test_bad_input_is_told_in_one_sentence(call, error, words):
    with pytest.raises(error) as refusal:
        call()
    assert words in str(refusal.value)
