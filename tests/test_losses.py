"""Our losses equal F.cross_entropy in value and gradient, and every denominator is the one that its name says."""

from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from masklab.losses import (
    agreement_weights,
    completion_mask,
    curriculum_weights,
    label_weights,
    next_token_labels,
    reduce,
    shift_left,
    token_losses,
)
from masklab.text import make_batch, word_positions
from tests.strategies import DTYPES, lengths, seeds, sides

IGNORED = -100
SOURCE_LOSSES = torch.tensor(
    [
        [0.5135, 0.5513, 0.9017, 0.4005, 0.0784],
        [0.4215, 0.5581, 0.8376, 0.8771, 0.9324],
        [0.2851, 0.7234, 0.5639, 0.6350, 0.9162],
    ]
)


def close(a, b, dtype=torch.float32):
    torch.testing.assert_close(a, b, atol=DTYPES[dtype], rtol=DTYPES[dtype])


def gradient(function, x):
    """The value of a function of one tensor, and its gradient."""
    leaf = x.detach().clone().requires_grad_()
    value = function(leaf)
    (slope,) = torch.autograd.grad(value, leaf)
    return value.detach(), slope


@st.composite
def classifications(draw, *, dtypes=tuple(DTYPES), least=0):
    """logits, labels, mask, and perhaps class weights and smoothing; at least ``least`` labels count."""
    batch, length, classes = draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(st.integers(1, 6))
    g = torch.Generator().manual_seed(draw(seeds))
    logits = 3 * torch.randn(batch, length, classes, generator=g, dtype=torch.float64)
    labels = torch.randint(classes, (batch, length), generator=g)
    mask = torch.rand(batch, length, generator=g) < draw(st.sampled_from([0.0, 0.3, 0.7, 1.0]))
    mask[0, :least] = True
    class_weights = draw(st.sampled_from([None, 0.1 + torch.rand(classes, generator=g, dtype=torch.float64)]))
    options = {"class_weights": class_weights, "label_smoothing": draw(st.sampled_from([0.0, 0.1, 0.7, 1.0]))}
    return logits.to(draw(st.sampled_from(dtypes))), labels, mask, options


@st.composite
def weighted(draw):
    """Losses (B, L) and weights of the same shape: a mask, or floats among which zeros are likely."""
    batch, length = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    g = torch.Generator().manual_seed(draw(seeds))
    losses = torch.rand(batch, length, generator=g, dtype=torch.float64)
    mask = torch.rand(batch, length, generator=g) < draw(st.sampled_from([0.3, 0.7, 1.0]))
    mask[draw(st.integers(0, batch - 1)), 0] = True  # so that something counts
    return losses, mask if draw(st.booleans()) else torch.rand(batch, length, generator=g, dtype=torch.float64) * mask


def by_torch(logits, labels, mask, *, reduction, class_weights, label_smoothing):
    exact = torch.promote_types(logits.dtype, torch.float32)
    return F.cross_entropy(
        logits.to(exact).transpose(1, 2),
        labels.masked_fill(~mask, IGNORED),
        weight=None if class_weights is None else class_weights.to(exact),
        ignore_index=IGNORED,
        label_smoothing=label_smoothing,
        reduction=reduction,
    )


# --- equal to torch ---------------------------------------------------------------------------------------------


@given(classifications())
def test_token_losses_equal_cross_entropy_without_reduction(case):
    logits, labels, mask, options = case
    ours = token_losses(logits, labels, mask, **options)
    assert ours.dtype == torch.promote_types(logits.dtype, torch.float32)
    close(ours, by_torch(logits, labels, mask, reduction="none", **options), ours.dtype)
    everywhere = torch.ones_like(mask)
    close(token_losses(logits, labels, **options), token_losses(logits, labels, everywhere, **options), ours.dtype)


@given(classifications())
def test_the_sum_equals_cross_entropy_in_value_and_gradient(case):
    logits, labels, mask, options = case
    ours = gradient(
        lambda x: reduce(token_losses(x, labels, mask, **options), mask, per="count", count=1, on_empty="zero"), logits
    )
    theirs = gradient(lambda x: by_torch(x, labels, mask, reduction="sum", **options), logits)
    close(ours[0], theirs[0], ours[0].dtype)
    close(ours[1], theirs[1], logits.dtype)


@given(classifications(least=1))
def test_the_mean_equals_cross_entropy_in_value_and_gradient(case):
    logits, labels, mask, options = case
    weights = options["class_weights"]

    def mean(x):
        losses = token_losses(x, labels, mask, **options)
        if weights is None:
            return reduce(losses, mask)
        return reduce(losses, mask, per="count", count=label_weights(labels, mask, weights).sum())

    ours = gradient(mean, logits)
    theirs = gradient(lambda x: by_torch(x, labels, mask, reduction="mean", **options), logits)
    close(ours[0], theirs[0], theirs[0].dtype)
    close(ours[1], theirs[1], logits.dtype)


@given(classifications(least=1))
def test_without_smoothing_class_weights_are_weights_of_labels(case):
    logits, labels, mask, options = case
    weights = torch.ones(logits.shape[-1]) if options["class_weights"] is None else options["class_weights"]
    weights = weights.to(torch.promote_types(logits.dtype, torch.float32))
    ours = reduce(token_losses(logits, labels, mask), label_weights(labels, mask, weights))
    theirs = by_torch(logits, labels, mask, reduction="mean", class_weights=weights, label_smoothing=0.0)
    close(ours, theirs, ours.dtype)


@given(classifications(dtypes=(torch.bfloat16, torch.float16), least=1))
def test_half_precision_is_computed_in_float32(case):
    logits, labels, mask, options = case
    ours = gradient(lambda x: reduce(token_losses(x, labels, mask, **options), mask), logits)
    exact = gradient(lambda x: reduce(token_losses(x, labels, mask, **options), mask), logits.float())
    assert ours[0].dtype == torch.float32 and ours[1].dtype == logits.dtype
    assert torch.equal(ours[0], exact[0]) and torch.equal(ours[1], exact[1].to(logits.dtype))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_long_sum_in_half_precision_neither_overflows_nor_stops(dtype):
    losses = torch.ones(1, 100_000, dtype=dtype)  # the largest float16 is 65,504; bfloat16 has 8 bits
    weights = torch.full((1, 100_000), 0.75, dtype=dtype)
    assert reduce(losses, weights, per="count", count=1).item() == 75_000
    assert reduce(losses, weights) == 1 and reduce(losses, weights, per="sequence") == 1
    ones = label_weights(torch.zeros(1, 100_000).long(), losses.bool(), torch.ones(1, dtype=dtype))
    assert ones.sum().item() == 100_000  # .item(): as float16, 100,000 would be inf too


# --- denominators -----------------------------------------------------------------------------------------------


@given(weighted())
def test_every_denominator_by_a_slow_loop(case):
    losses, weights = case
    total, weight, means = 0.0, 0.0, []
    for row, row_weights in zip(losses.tolist(), weights.tolist(), strict=True):
        row_total = sum(w * loss for w, loss in zip(row_weights, row, strict=True))
        total, weight = total + row_total, weight + sum(row_weights)
        if sum(row_weights) > 0:
            means.append(row_total / sum(row_weights))
    expected = {
        "token": total / weight,
        "sequence": sum(means) / len(means),
        "position": total / losses.numel(),
    }
    for per, number in expected.items():
        assert reduce(losses, weights, per=per).item() == pytest.approx(number)
    assert reduce(losses, weights, per="count", count=7).item() == pytest.approx(total / 7)
    for count in (torch.tensor(7), torch.tensor([7.0], dtype=torch.float64)):
        assert torch.equal(reduce(losses.float(), weights, per="count", count=count),
                           reduce(losses.float(), weights, per="count", count=7))  # fmt: skip


def test_the_numbers_of_the_source():
    batch = make_batch(["The cat ate", "The cat ate fish pie", "The cat ate fish"])
    assert round(reduce(SOURCE_LOSSES, batch.is_word).item(), 3) == 0.650
    chosen = torch.zeros(3, 5, dtype=torch.bool)
    chosen[[0, 0, 1, 1, 2], [1, 4, 0, 2, 3]] = True  # where the source's sentences say [MASK]
    assert round(reduce(SOURCE_LOSSES, chosen).item(), 3) == 0.505


def test_what_a_token_weighs_under_each_denominator():
    mask = word_positions(torch.tensor([6, 2]), total=6)
    weighs = {per: gradient(lambda x, per=per: reduce(x, mask, per=per), torch.ones(2, 6))[1] for per in
              ("token", "sequence", "position")}  # fmt: skip
    for per, (long, short) in {
        "token": (1 / 8, 1 / 8),
        "sequence": (1 / 12, 1 / 4),
        "position": (1 / 12, 1 / 12),
    }.items():
        close(weighs[per], torch.tensor([[long] * 6, [short] * 2 + [0.0] * 4]))
    sums = [round(weighs[per].sum().item(), 3) for per in ("token", "sequence", "position")]
    assert sums == [1.0, 1.0, 0.667]  # only .mean() over padding loses a third
    more_padding = word_positions(torch.tensor([6, 2]), total=12)
    assert gradient(lambda x: reduce(x, more_padding, per="position"), torch.ones(2, 12))[1].sum() == pytest.approx(
        1 / 3
    )


def test_one_loss_may_hide_two_gradients():
    """Lengths 10 and 2, nothing learned yet: the loss is ln 7 by tokens and by sequences, the step is not."""
    mask = word_positions(torch.tensor([10, 2]), total=10)
    labels = torch.zeros(2, 10, dtype=torch.int64)
    found = [
        gradient(lambda x, per=per: reduce(token_losses(x, labels, mask), mask, per=per), torch.zeros(2, 10, 7))
        for per in ("token", "sequence")
    ]
    assert [round(value.item(), 4) for value, _ in found] == [1.9459, 1.9459]
    assert F.cosine_similarity(found[0][1].flatten(), found[1][1].flatten(), dim=0).item() == pytest.approx(5**0.5 / 3)


@given(classifications(dtypes=(torch.float64,), least=1), st.integers(1, 3))
def test_accumulated_gradients_equal_the_full_batch_with_a_count(case, size):
    logits, labels, mask, options = case
    parts = list(zip(logits.split(size), labels.split(size), mask.split(size), strict=True))
    whole = gradient(lambda x: reduce(token_losses(x, labels, mask, **options), mask), logits)
    pieces = [
        gradient(
            lambda x, y=y, m=m: reduce(
                token_losses(x, y, m, **options), m, per="count", count=mask.sum(), on_empty="zero"
            ),
            x,
        )
        for x, y, m in parts
    ]
    close(sum(value for value, _ in pieces), whole[0], torch.float64)
    close(torch.cat([slope for _, slope in pieces]), whole[1], torch.float64)


@given(weighted(), st.integers(1, 3))
def test_accumulated_weights_equal_the_full_batch_with_the_sum_of_all_weights(case, size):
    losses, weights = case
    parts = zip(losses.split(size), weights.split(size), strict=True)
    pieces = [reduce(x, w, per="count", count=weights.sum(), on_empty="zero") for x, w in parts]
    close(sum(pieces), reduce(losses, weights), torch.float64)


@given(weighted(), st.integers(1, 3))
def test_accumulated_means_of_sequences_equal_the_full_batch_by_their_shares(case, size):
    losses, weights = case
    counts = weights.any(dim=1)  # the sequences that count
    parts = zip(losses.split(size), weights.split(size), counts.split(size), strict=True)
    pieces = [reduce(x, w, per="sequence", on_empty="zero") * c.sum() / counts.sum() for x, w, c in parts]
    close(sum(pieces), reduce(losses, weights, per="sequence"), torch.float64)


def test_accumulated_means_weigh_short_micro_batches_more():
    mask = word_positions(torch.tensor([6, 2]), total=6)
    pieces = [gradient(lambda x, m=m: reduce(x, m[None]) / 2, torch.ones(1, 6))[1] for m in mask]
    whole = gradient(lambda x: reduce(x, mask), torch.ones(2, 6))[1]
    assert not torch.allclose(torch.cat(pieces), whole)
    close(torch.cat(pieces), gradient(lambda x: reduce(x, mask, per="sequence"), torch.ones(2, 6))[1])


# --- nothing supervised, and what is not finite -----------------------------------------------------------------


@pytest.mark.parametrize("per", ["token", "sequence", "position", "count"])
@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 0, 4)])
def test_nothing_supervised_is_an_error_or_a_zero_and_never_nan(per, shape):
    logits, labels = torch.full(shape, torch.nan), torch.full(shape[:2], IGNORED)
    mask, options = labels != IGNORED, {"per": per, "count": 1 if per == "count" else None}
    assert by_torch(logits, labels, mask, reduction="mean", class_weights=None, label_smoothing=0.0).isnan()
    for weights in (mask, mask.float()):
        with pytest.raises(ValueError, match=r"nothing is supervised.*on_empty=\"zero\""):
            reduce(token_losses(logits, labels, mask), weights, **options)
        value, slope = gradient(
            lambda x, w=weights: reduce(token_losses(x, labels, mask), w, on_empty="zero", **options), logits
        )
        assert value == 0 and (slope == 0).all()


@pytest.mark.parametrize(("per", "formula"), {
    "token": lambda x, w: (x * w).sum() / w.sum(), "sequence": lambda x, w: ((x * w).sum(1) / w.sum(1)).mean(),
    "position": lambda x, w: (x * w).mean(), "count": lambda x, w: (x * w).sum() / 7,
}.items(), ids=["token", "sequence", "position", "count"])  # fmt: skip
def test_nothing_supervised_is_what_the_plain_formula_gives_if_that_is_wished(per, formula):
    losses, count = torch.rand(2, 3), 7 if per == "count" else None
    for weights in (torch.zeros(2, 3, dtype=torch.bool), torch.zeros(2, 3)):
        value, slope = gradient(lambda x, w=weights: reduce(x, w, per=per, count=count, on_empty="nan"), losses)
        torch.testing.assert_close(value, formula(losses, weights), equal_nan=True)
        assert (slope == 0).all() and value.isnan() == (per in ("token", "sequence"))
    weights = torch.tensor([[True, True, False], [True, False, False]])
    assert torch.equal(*(reduce(losses, weights, per=per, count=count, on_empty=how) for how in ("nan", "error")))


def test_a_zero_has_the_dtype_of_any_other_loss():
    nobody = torch.zeros(1, 2, dtype=torch.bool)
    assert reduce(torch.ones(1, 2, dtype=torch.float16), nobody, on_empty="zero").dtype == torch.float32


def test_a_sequence_with_nothing_supervised_does_not_count_as_a_sequence():
    mask = torch.tensor([[True, True], [False, False]])
    value, slope = gradient(lambda x: reduce(x, mask, per="sequence"), torch.tensor([[1.0, 3.0], [torch.nan, 9.0]]))
    assert value == 2 and torch.equal(slope, torch.tensor([[0.5, 0.5], [0.0, 0.0]]))


@given(classifications(dtypes=(torch.float32, torch.bfloat16), least=1), st.sampled_from(["nan", "inf", "-inf"]))
def test_logits_that_do_not_count_spoil_neither_value_nor_gradient(case, bad):
    logits, labels, mask, options = case
    spoiled = logits.masked_fill(~mask[..., None], float(bad))
    ids = labels.masked_fill(~mask, IGNORED)  # any number may stand where nothing counts
    for per in ("token", "sequence", "position"):
        clean = gradient(lambda x, per=per: reduce(token_losses(x, labels, mask, **options), mask, per=per), logits)
        value, slope = gradient(
            lambda x, per=per: reduce(token_losses(x, ids, mask, **options), mask, per=per), spoiled
        )
        assert torch.equal(value, clean[0]) and torch.equal(slope, clean[1])
        assert (slope[~mask] == 0).all()


@given(weighted(), st.sampled_from(["nan", "inf", "-inf"]), st.sampled_from(["token", "sequence", "position", "count"]))
def test_losses_that_do_not_count_spoil_neither_value_nor_gradient(case, bad, per):
    losses, weights = case
    options = {"per": per, "count": 3 if per == "count" else None}
    clean = gradient(lambda x: reduce(x, weights, **options), losses)
    value, slope = gradient(lambda x: reduce(x, weights, **options), losses.masked_fill(weights == 0, float(bad)))
    assert torch.equal(value, clean[0]) and torch.equal(slope, clean[1])


def test_masking_after_the_softmax_is_too_late_for_the_gradient():
    """Why token_losses takes rows first: torch's ignore_index, and a `where` on the losses, give NaN gradients."""
    logits = torch.tensor([[[1.0, 2.0], [torch.nan, 0.0]]])
    labels, mask = torch.tensor([[0, 1]]), torch.tensor([[True, False]])
    ignored = {"mask": mask, "class_weights": None, "label_smoothing": 0.0}
    assert gradient(lambda x: by_torch(x, labels, reduction="mean", **ignored), logits)[1].isnan().any()
    late = gradient(lambda x: torch.where(mask, F.cross_entropy(x.mT, labels, reduction="none"), 0.0).sum(), logits)
    assert late[0].isfinite() and late[1].isnan().any()
    assert gradient(lambda x: reduce(token_losses(x, labels, mask), mask), logits)[1].isfinite().all()


def test_a_nan_that_counts_stays_visible():
    assert reduce(torch.tensor([[torch.nan, 1.0]]), torch.tensor([[True, True]])).isnan()
    logits = torch.tensor([[[torch.nan, 0.0]]])
    assert token_losses(logits, torch.tensor([[0]])).isnan().all()


def test_a_forbidden_class_costs_nothing_where_it_is_not_the_label():
    logits = torch.tensor([[[0.0, 0.0, -torch.inf]]])
    value, slope = gradient(lambda x: token_losses(x, torch.tensor([[1]])).sum(), logits)
    close(value, torch.tensor(2.0).log())
    close(slope, torch.tensor([[[0.5, -0.5, 0.0]]]))


# --- labels, roles, votes, curriculum ---------------------------------------------------------------------------


@given(lengths(), sides, seeds, st.booleans(), st.booleans())
def test_next_token_labels_by_a_slow_loop(case, side, seed, packed, chosen):
    found, total = case
    g = torch.Generator().manual_seed(seed)
    is_word = word_positions(found, total=total, side=side)
    ids = torch.randint(9, is_word.shape, generator=g)  # 0 among the words and under the padding
    documents = torch.randint(2, is_word.shape, generator=g).cumsum(dim=1) if packed else None
    learn = torch.rand(is_word.shape, generator=g) < 0.5 if chosen else None
    labels, supervised = next_token_labels(ids, is_word, documents=documents, learn=learn)
    assert labels.shape == supervised.shape == ids.shape and supervised.dtype == torch.bool
    for b in range(len(found)):
        for i in range(total):
            counts = i + 1 < total and bool(is_word[b, i]) and bool(is_word[b, i + 1])
            counts = counts and (documents is None or bool(documents[b, i] == documents[b, i + 1]))
            counts = counts and (learn is None or bool(learn[b, i + 1]))
            assert supervised[b, i] == counts
            assert not counts or labels[b, i] == ids[b, i + 1]


@given(lengths(), sides)
def test_each_sentence_has_one_label_less_than_words(case, side):
    found, total = case
    is_word = word_positions(found, total=total, side=side)
    supervised = next_token_labels(torch.ones_like(is_word, dtype=torch.int64), is_word)[1]
    assert torch.equal(supervised.sum(dim=1), (found - 1).clamp(min=0))


def test_the_shift_is_done_once():
    """A model that copies has loss 0 without the shift; one that knows the next word has 0 with one shift only."""
    ids, mask = torch.arange(6)[None], torch.ones(1, 6, dtype=torch.bool)
    copies, knows = (50.0 * F.one_hot((ids + step) % 6, 6) for step in (0, 1))
    once, supervised = next_token_labels(ids, mask)
    twice, both = next_token_labels(once, supervised)
    assert reduce(token_losses(copies, ids, mask), mask) < 1e-6
    assert reduce(token_losses(copies, once, supervised), supervised) > 10
    assert reduce(token_losses(knows, once, supervised), supervised) < 1e-6
    assert reduce(token_losses(knows, twice, both), both) > 10


def test_packed_documents_do_not_label_each_other():
    ids, documents = torch.tensor([[1, 2, 3, 4, 5, 0]]), torch.tensor([[0, 0, 0, 1, 1, 1]])
    labels, supervised = next_token_labels(ids, torch.tensor([[True] * 5 + [False]]), documents=documents)
    assert labels[supervised].tolist() == [2, 3, 5]


@pytest.mark.parametrize("side", sides.elements)
def test_the_first_and_the_last_token_of_a_completion_are_learned(side):
    """The end of the turn shares its id, 0, with padding: labels wiped by id would lose it."""
    words = ["template", "user", "user", "template", "assistant", "assistant", "assistant"]
    ids = [7, 11, 0, 7, 12, 13, 0]
    pads = [[0, 0], ["pad", "pad"]]
    row, roles = (p + x if side == "left" else x + p for p, x in zip(pads, [ids, words], strict=True))
    mask = word_positions(torch.tensor([7]), total=9, side=side)
    labels, supervised = next_token_labels(torch.tensor([row]), mask, learn=completion_mask([roles]))
    assert labels[supervised].tolist() == [12, 13, 0]
    assert [roles[i] for i in supervised[0].nonzero().flatten()] == ["template", "assistant", "assistant"]


@pytest.mark.parametrize(("roles", "shape"), [([], (0, 0)), ([[]], (1, 0)), ([[], []], (2, 0))])
def test_no_roles_are_an_empty_mask_with_two_axes(roles, shape):
    found = completion_mask(roles)
    assert found.shape == shape and found.dtype == torch.bool


def test_a_classifier_has_one_label_a_sequence():
    logits, labels = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 3, 1, 1, 2])
    ours = token_losses(logits[:, None], labels[:, None])  # as the error for two axes says
    close(ours[:, 0], F.cross_entropy(logits, labels, reduction="none"))


def test_other_roles_may_be_learned():
    roles = [["system", "user", "tool", "assistant"], ["user", "assistant", "pad", "pad"]]
    found = completion_mask(roles, learn=("assistant", "tool"))
    assert found.int().tolist() == [[0, 0, 1, 1], [0, 1, 0, 0]]


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 6), st.integers(1, 4), seeds)
def test_agreement_by_a_slow_loop(batch, length, annotators, classes, seed):
    votes = torch.randint(-1, classes, (batch, length, annotators), generator=torch.Generator().manual_seed(seed))
    labels, weights = agreement_weights(votes)
    assert labels.dtype == torch.int64 and weights.dtype == torch.float32
    for b in range(batch):
        for i in range(length):
            given_votes = [vote for vote in votes[b, i].tolist() if vote >= 0]
            counts = Counter(sorted(given_votes))  # most_common keeps this order among equals
            label, most = counts.most_common(1)[0] if given_votes else (0, 0)
            assert labels[b, i] == label
            assert weights[b, i].item() == pytest.approx(most / max(len(given_votes), 1))


def test_agreement_weighs_the_loss():
    labels, weights = agreement_weights(torch.tensor([[[1] * 10, [1] * 5 + [0] * 3 + [2] * 2, [-1] * 10]]))
    losses = token_losses(torch.zeros(1, 3, 3), labels)
    assert labels.tolist() == [[1, 1, 0]] and weights.tolist() == [[1.0, 0.5, 0.0]]
    slope = gradient(lambda x: reduce(x, weights), losses)[1]
    close(slope, torch.tensor([[2 / 3, 1 / 3, 0.0]]))


@given(st.lists(st.one_of(st.integers(0, 5), st.floats(0, 5), st.just(torch.inf)), min_size=1, max_size=6),
       st.one_of(st.floats(-1, 7), st.just(torch.inf)), st.sampled_from([0.0, 0.5, 3.0]))  # fmt: skip
def test_curriculum_by_a_slow_loop(found, stage, ramp):
    weights = curriculum_weights(torch.tensor([found], dtype=torch.float64), stage=stage, ramp=ramp)
    for difficulty, weight in zip(found, weights[0].tolist(), strict=True):
        if difficulty <= stage and difficulty < torch.inf:
            expected = 1.0
        elif ramp == 0 or difficulty >= stage + ramp:
            expected = 0.0
        else:
            expected = (stage + ramp - difficulty) / ramp
        assert weight == pytest.approx(expected, abs=1e-6)


@given(st.lists(st.floats(0, 5), min_size=1, max_size=6), st.sampled_from([0.0, 0.5, 3.0]))
def test_a_curriculum_only_ever_adds_tokens_and_ends_with_all(found, ramp):
    difficulty = torch.tensor([found], dtype=torch.float64)
    weights = torch.cat([curriculum_weights(difficulty, stage=stage, ramp=ramp) for stage in (-9, 0, 1, 2, 4, 5)])
    assert (weights[0] == 0).all() and (weights[-1] == 1).all() and (weights.diff(dim=0) >= 0).all()


@pytest.mark.parametrize("ramp", [0.0, 2.0])
@pytest.mark.parametrize("stage", [-torch.inf, 0.0, 1e30, torch.inf])
def test_a_pad_of_infinite_difficulty_never_counts(stage, ramp):
    assert curriculum_weights(torch.tensor([[1.0, torch.inf]]), stage=stage, ramp=ramp)[0, 1] == 0


def test_the_model_is_not_paid_for_making_a_token_look_hard():
    losses = torch.tensor([[1.0, 2.0]], requires_grad=True)  # the difficulty is the loss itself
    weights = curriculum_weights(losses, stage=1, ramp=2)
    slope = torch.autograd.grad(reduce(losses, weights, per="count", count=1), losses)[0]
    close(slope, torch.tensor([[1.0, 0.5]]))


# --- refused in one sentence ------------------------------------------------------------------------------------

LOGITS, LABELS, MASK, LOSSES = torch.zeros(2, 3, 4), torch.zeros(2, 3).long(), torch.ones(2, 3).bool(), torch.ones(2, 3)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: token_losses(LOGITS.long(), LABELS),
         TypeError, r"logits must be floating-point, got torch.int64 of shape \(2, 3, 4\)"),
        (lambda: token_losses(LOGITS.numpy(), LABELS), TypeError,
         r"logits .*NumPy array of float32.*from_numpy\(logits\)"),
        (lambda: token_losses(LOGITS, LABELS, MASK.tolist()), TypeError, r"mask must be a tensor .*got \[\[True"),
        (lambda: reduce(LOSSES, MASK.numpy()), TypeError, "weights must be a tensor.*NumPy array of bool"),
        (lambda: reduce([[1.0]], MASK), TypeError, r"losses must be a tensor .*got \[\[1.0\]\]"),
        (lambda: label_weights(LABELS, MASK, [1.0] * 4), TypeError, "class_weights must be a tensor, got"),
        (lambda: next_token_labels(LABELS, MASK, documents=LOSSES), TypeError, "documents must be .* integers"),
        (lambda: shift_left([[1, 2]]), TypeError, "values must be a tensor"),
        (lambda: agreement_weights([[[1]]]), TypeError, r"votes must be a tensor \(int64\)"),
        (lambda: curriculum_weights([[1.0]], stage=1), TypeError, "difficulty must be a tensor"),
        (lambda: token_losses(LOGITS, LOSSES), TypeError, r"labels must be int64, got torch.float32 of shape \(2, 3\)"),
        (lambda: token_losses(LOGITS.mT, LABELS), ValueError, r"\(2, 4, 3\).*\(2, 3\).*transpose\(1, 2\)"),
        (lambda: token_losses(LOGITS[0], LABELS[0]), ValueError,
         r"\(batch, position, class\).*\(3, 4\) and \(3,\).*logits\[:, None\] and labels\[:, None\]\.$"),
        (lambda: token_losses(LOGITS, LABELS, LOSSES), TypeError, r"must be bool.*mask.bool\(\).*reduce"),
        (lambda: token_losses(LOGITS, LABELS, MASK[:1]), ValueError, r"\(2, 3\) and \(1, 3\)"),
        (lambda: token_losses(LOGITS, LABELS + 4), ValueError, "between 0 and 3, got 4"),
        (lambda: token_losses(LOGITS, LABELS - 100), ValueError, r"got -100.*labels != -100"),
        (lambda: token_losses(LOGITS, LABELS, class_weights=LOSSES), ValueError, r"each of 4 classes.*\(2, 3\)"),
        (lambda: token_losses(LOGITS, LABELS, label_smoothing=1.5), ValueError, "between 0 and 1, got 1.5"),
        (lambda: label_weights(LABELS, MASK[:1], torch.ones(4)), ValueError, r"\(2, 3\) and \(1, 3\)"),
        (lambda: label_weights(LABELS, LOSSES, torch.ones(4)), TypeError, "must be bool"),
        (lambda: label_weights(LABELS + 4, MASK, torch.ones(4)), ValueError, "between 0 and 3, got 4"),
        (lambda: label_weights(LOSSES, MASK, torch.ones(4)), TypeError, r"labels must be int64.*float32.*\(2, 3\)"),
        (lambda: label_weights(LABELS, MASK, LOSSES), ValueError, r"class_weights must have.*\(2, 3\)"),
        (lambda: label_weights(LABELS, MASK, torch.tensor(1.0)), ValueError, r"class_weights must have.*\(\)"),
        (lambda: reduce(LOSSES, MASK.long()), TypeError, r"torch.int64.*weights.bool\(\)"),
        (lambda: reduce(LABELS, MASK), TypeError, "losses must be floating-point"),
        (lambda: reduce(LOSSES, MASK[:, 0]), ValueError, r"\(2, 3\) and \(2,\).*expand_as\(losses\)"),
        (lambda: reduce(LOSSES[0], MASK[0]), ValueError, r"\(batch, position\), got \(3,\)"),
        (lambda: reduce(LOSSES, -LOSSES), ValueError, "finite and not negative"),
        (lambda: reduce(LOSSES, LOSSES * torch.nan), ValueError, "finite and not negative"),
        (lambda: reduce(LOSSES, MASK, per="word"), ValueError, "'sequence'.*got 'word'"),
        (lambda: reduce(LOSSES, MASK, on_empty="none"), ValueError, "'error', 'zero' or 'nan', got 'none'"),
        (lambda: reduce(LOSSES, MASK, per="count"), ValueError, "per='count' and count=None"),
        (lambda: reduce(LOSSES, MASK, count=8), ValueError, "per='token' and count=8"),
        (lambda: reduce(LOSSES, MASK, per="count", count=0), ValueError, "positive and finite, got 0.0"),
        (lambda: reduce(LOSSES, MASK, per="count", count=LOSSES), ValueError, r"one number.*\(2, 3\).*\.sum\(\)\.$"),
        (lambda: reduce(LOSSES, MASK, per="count", count=LOSSES[:0]), ValueError, r"one number.*\(0, 3\)"),
        (lambda: shift_left(LOGITS), ValueError, r"\(batch, position\), got \(2, 3, 4\)"),
        (lambda: next_token_labels(LABELS, MASK[:1]), ValueError, r"ids and is_word must .* \(2, 3\) and \(1, 3\)"),
        (lambda: next_token_labels(LABELS, MASK, documents=LABELS[0]),
         ValueError, r"documents must have one shape .* \(2, 3\) and \(3,\)"),
        (lambda: next_token_labels(LOSSES, MASK), TypeError, r"ids must be int64.*float32.*\(2, 3\).*ids.long\(\)"),
        (lambda: next_token_labels(MASK, MASK), TypeError, "ids must be int64.*torch.bool"),
        (lambda: next_token_labels(LABELS, LOSSES), TypeError, "is_word must be bool"),
        (lambda: next_token_labels(LABELS, MASK, learn=LABELS), TypeError, "learn must be bool"),
        (lambda: completion_mask([["Assistant"]]), ValueError, "'system'.*got 'Assistant'"),
        (lambda: completion_mask([["user"]], learn=("bot",)), ValueError, "got 'bot'"),
        (lambda: completion_mask("user"), TypeError, "a list of rows of roles.*the text 'user'"),
        (lambda: completion_mask(["user"]), TypeError, "a list of roles.*the text 'user'"),
        (lambda: completion_mask([["user"]], learn="user"), TypeError, "a list of roles.*the text 'user'"),
        (lambda: completion_mask([["user"], []]), ValueError, r"got \[0, 1\]: fill up with 'pad'"),
        (lambda: agreement_weights(LOGITS), TypeError, "votes must be int64"),
        (lambda: agreement_weights(LABELS), ValueError, r"annotators ≥ 1\), got \(2, 3\)"),
        (lambda: agreement_weights(LABELS[..., None][..., :0]), ValueError, r"\(2, 3, 0\)"),
        (lambda: curriculum_weights(LOSSES, stage=1, ramp=-1), ValueError, "not negative, got -1"),
        (lambda: curriculum_weights(LOSSES * torch.nan, stage=1), ValueError, "may be NaN"),
        (lambda: curriculum_weights(LOSSES, stage=torch.nan), ValueError, "may be NaN"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_one_sentence(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_nothing_is_edited_in_place():
    losses, weights, votes = LOSSES.clone(), LOSSES.clone() * 0.5, torch.ones(2, 3, 2).long()
    logits, labels, mask = LOGITS.clone(), LABELS - 100, torch.zeros(2, 3).bool()
    before = [x.clone() for x in (losses, weights, votes, logits, labels, mask)]
    reduce(losses, weights)
    agreement_weights(votes)
    token_losses(logits, labels, mask)
    next_token_labels(labels, mask)
    curriculum_weights(losses, stage=0, ramp=0.5)
    assert all(torch.equal(x, y) for x, y in zip(before, (losses, weights, votes, logits, labels, mask), strict=True))
