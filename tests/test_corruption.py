"""Corruption against the papers' figures, Transformers, and slow loops that spell out the definition."""

from inspect import signature
from itertools import groupby, product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from masklab import corruption
from masklab.dialects import IGNORED
from masklab.text import tokenize
from tests.strategies import in_threads, seeds

MASK, WORDS = 4, range(1000, 2000)  # random tokens are told from the texts of these tests, whose ids are below 100
SENTINELS = range(199, 99, -1)
shares_of_one = st.sampled_from([(0.8, 0.1, 0.1), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0.3, 0.3, 0.4)])
probabilities = st.sampled_from([0.0, 0.15, 0.5, 1.0])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def everywhere(*shape: int) -> torch.Tensor:
    return torch.ones(shape, dtype=torch.bool)


@st.composite
def texts(draw, *, most: int = 14):
    """ids, may_choose, starts (B, L): ids may repeat, or be 0, or be [MASK]; any position may be forbidden."""
    batch, length = draw(st.integers(0, 3)), draw(st.integers(0, most))
    g = generator(draw(seeds))
    ids = torch.randint(0, 100, (batch, length), generator=g)
    may_choose = torch.rand(batch, length, generator=g) < draw(st.sampled_from([0.0, 0.6, 0.9, 1.0]))
    starts = torch.rand(batch, length, generator=g) < draw(st.sampled_from([0.0, 0.5, 1.0]))
    return ids, may_choose, starts


def words_of(may_choose: list[bool], starts: list[bool]) -> list[list[int]]:
    """The positions of each word of one sentence: the definition, as a slow loop."""
    words, inside = [], False
    for position, (allowed, start) in enumerate(zip(may_choose, starts, strict=True)):
        if allowed and (start or not inside):
            words.append([])
        if allowed:
            words[-1].append(position)
        inside = allowed
    return words


# The papers' figures


def figures() -> list[tuple[str, float, float, float]]:
    """What it is, the published figure, ours, and how far they may be apart."""
    lengths = torch.arange(1, 11, dtype=torch.float64)
    long, unlimited = torch.arange(1, 400, dtype=torch.float64), corruption.span_length_shares(max_len=399)
    spans = corruption.choose_spans(everywhere(1, 200_000), budget=0.02, generator=generator())
    drawn = spans[spans > 0].bincount()[1:]
    pair = corruption.t5(torch.arange(568), everywhere(568), sentinels=range(9999, 9899, -1), end_id=9000,
                         generator=generator())  # fmt: skip
    bare = corruption.t5(torch.arange(568), everywhere(568), sentinels=range(9999, 9899, -1), generator=generator())
    ids = torch.full((1000, 1000), 7)
    new = corruption.bert(ids, everywhere(*ids.shape), mask_id=MASK, random_ids=WORDS, generator=generator())
    nothing = {
        n: 1 - corruption.choose_tokens(everywhere(40_000, n), generator=generator(n)).any(dim=1).float().mean().item()
        for n in (8, 16, 32)
    }
    source = generator(1)

    def choose() -> torch.Tensor:
        return corruption.choose_tokens(everywhere(100, 1000), generator=source)

    static, dynamic = corruption.static(choose), corruption.dynamic(choose)
    ever_static, ever_dynamic = (torch.stack(masks).any(dim=0).double().mean().item() for masks in (static, dynamic))
    seen = [sum(torch.equal(mask, other) for other in static) for mask in static]
    hidden = corruption.time_spans(everywhere(20, 10_000), generator=generator())
    runs = (hidden.int().diff(dim=1, prepend=torch.zeros(20, 1, dtype=torch.int32)) == 1).sum()
    picture = corruption.patches(images=8, count=196, generator=generator())
    return [
        ("SpanBERT: mean span length", 3.797, (corruption.span_length_shares() * lengths).sum().item(), 0.0005),
        ("SpanBERT: the same, longer ones moved to 10", 4.463, (unlimited * long.clamp(max=10)).sum().item(), 0.0005),
        ("SpanBERT: the same, no limit", 5.0, (unlimited * long).sum().item(), 0.0005),
        ("SpanBERT: the same, of the spans in a text", 3.797, drawn.double().mean().item(), 0.15),
        ("T5: inputs of 568 tokens", 512, len(pair.inputs), 0),
        ("T5: targets of 568 tokens", 114, len(pair.targets), 0),
        ("T5: inputs of 568 tokens, no end token", 511, len(bare.inputs), 0),
        ("T5: targets of 568 tokens, no end token", 113, len(bare.targets), 0),
        ("T5: spans of 568 tokens", 28, sum(token > 9899 for token in pair.inputs.tolist()), 0),
        ("BERT: % of tokens to [MASK]", 12, 100 * (new.ids == MASK).double().mean().item(), 0.1),
        ("BERT: % of tokens to a random one", 1.5, 100 * (new.ids >= 1000).double().mean().item(), 0.05),
        ("BERT: % of tokens chosen, unchanged", 1.5, 100 * (new.chosen & (new.ids == 7)).double().mean().item(), 0.05),
        ("BERT: % of sentences of 8 with nothing chosen", 27.2, 100 * nothing[8], 0.7),
        ("BERT: % of sentences of 16 with nothing chosen", 7.4, 100 * nothing[16], 0.5),
        ("BERT: % of sentences of 32 with nothing chosen", 0.55, 100 * nothing[32], 0.15),
        ("RoBERTa: % of tokens ever chosen, static", 80.3, 100 * ever_static, 0.5),
        ("RoBERTa: % of tokens ever chosen, dynamic", 99.85, 100 * ever_dynamic, 0.05),
        ("RoBERTa: times that a static mask is seen, least", 4, min(seen), 0),
        ("RoBERTa: times that a static mask is seen, most", 4, max(seen), 0),
        ("wav2vec 2.0: % of time steps hidden", 49, 100 * hidden.double().mean().item(), 0.5),
        ("wav2vec 2.0: mean span length", 14.7, (hidden.sum() / runs).item(), 0.3),
        ("MAE: % of 196 patches hidden", 75, 100 * picture.chosen.double().mean().item(), 0),
        ("MAE: patches kept", 49, picture.kept.shape[1], 0),
    ]  # fmt: skip


def test_the_published_figures():
    table = figures()
    print(f"\n{'':52}{'paper':>9}{'ours':>9}")
    for what, paper, ours, _ in table:
        print(f"{what:52}{paper:9.4g}{ours:9.4g}")
    for what, paper, ours, apart in table:
        assert abs(ours - paper) <= apart, what


def test_the_two_other_readings_of_spanberts_clip():
    geometric = [0.2 * 0.8 ** (length - 1) for length in range(1, 400)]
    assert sum(length * share for length, share in enumerate(geometric, 1)) == pytest.approx(5.0)
    clipped = sum(min(length, 10) * share for length, share in enumerate(geometric, 1))
    assert clipped == pytest.approx(4.463, abs=5e-4)
    ours = corruption.span_length_shares(p=0.2, max_len=10).tolist()
    assert ours == pytest.approx([share / sum(geometric[:10]) for share in geometric[:10]])
    assert corruption.span_length_shares(p=0.2, max_len=399) @ torch.arange(
        1.0, 400, dtype=torch.float64
    ) == pytest.approx(5)
    assert corruption.span_length_shares(p=1.0, max_len=3).tolist() == [1, 0, 0]


# Every method


@given(texts(), probabilities, shares_of_one, seeds)
def test_what_all_text_methods_keep(case, probability, shares, seed):
    ids, may_choose, starts = before = case
    copies = [one.clone() for one in before]
    options = {"mask_id": MASK, "random_ids": WORDS, "shares": shares}

    def methods(g):
        return [
            corruption.bert(ids, may_choose, probability=probability, generator=g, **options),
            corruption.whole_word(ids, may_choose, starts, probability=probability, generator=g, **options),
            corruption.spanbert(ids, may_choose, starts, budget=probability, generator=g, **options),
            corruption.spanbert(ids, may_choose, budget=probability, generator=g, **options),
        ]

    global_state = torch.get_rng_state()
    first, second = methods(generator(seed)), methods(generator(seed))
    assert torch.equal(global_state, torch.get_rng_state())  # only the caller's generator moved
    assert all(torch.equal(one, copy) for one, copy in zip(before, copies, strict=True))
    for new, again in zip(first, second, strict=True):
        assert torch.equal(new.ids, again.ids) and torch.equal(new.chosen, again.chosen)
        assert new.ids.shape == new.chosen.shape == new.labels.shape == ids.shape
        assert new.ids.dtype == new.labels.dtype == torch.int64 and new.chosen.dtype == torch.bool
        assert not (new.chosen & ~may_choose).any()
        grids = (ids, new.ids, new.labels, new.chosen)
        for old, now, label, chosen in zip(*(grid.flatten().tolist() for grid in grids), strict=True):
            fates = (now == MASK, now in WORDS, now == old)
            if chosen:
                assert label == old and any(fate for fate, share in zip(fates, shares, strict=True) if share)
            else:
                assert label == IGNORED and now == old
        assert probability > 0 or not new.chosen.any()
        assert probability < 1 or torch.equal(new.chosen, may_choose)


IDS, ALL = torch.arange(10, 70).reshape(2, 30), everywhere(2, 30)
STARTS, SPANS = torch.arange(30).expand(2, 30) % 3 == 0, torch.arange(30).expand(2, 30) // 3 + 1
REPLACEMENT = {"mask_id": MASK, "random_ids": WORDS}
DRAWS = {  # each function that draws, with a request of which hardly two draws agree
    "choose_tokens": lambda g: corruption.choose_tokens(ALL, generator=g),
    "choose_words": lambda g: corruption.choose_words(ALL, STARTS, probability=0.5, generator=g),
    "choose_spans": lambda g: corruption.choose_spans(ALL, STARTS, generator=g),
    "time_spans": lambda g: corruption.time_spans(ALL, length=2, generator=g),
    "choose_t5_spans": lambda g: corruption.choose_t5_spans(ALL[0], generator=g),
    "t5": lambda g: corruption.t5(IDS[0], ALL[0], sentinels=SENTINELS, generator=g),
    "patches": lambda g: corruption.patches(images=2, count=16, generator=g),
    "replace": lambda g: corruption.replace(IDS, ALL, generator=g, **REPLACEMENT),
    "replace, by span": lambda g: corruption.replace(IDS, ALL, spans=SPANS, generator=g, **REPLACEMENT),
    "bert": lambda g: corruption.bert(IDS, ALL, generator=g, **REPLACEMENT),
    "whole_word": lambda g: corruption.whole_word(IDS, ALL, STARTS, generator=g, **REPLACEMENT),
    "spanbert": lambda g: corruption.spanbert(IDS, ALL, STARTS, generator=g, **REPLACEMENT),
}
each_that_draws = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)


def tensors_of(result) -> list[torch.Tensor]:
    return [result] if isinstance(result, torch.Tensor) else [one for one in vars(result).values() if one is not None]


def same(results, others) -> bool:
    return all(torch.equal(one, other) for one, other in zip(tensors_of(results), tensors_of(others), strict=True))


def test_no_function_that_draws_is_forgotten():
    public = {name: getattr(corruption, name) for name in corruption.__all__}
    draw = {name for name, one in public.items() if callable(one) and "generator" in signature(one).parameters}
    assert draw == {name.split(",")[0] for name in DRAWS}


@each_that_draws
def test_all_draws_come_from_the_callers_generator(draw):
    global_state = torch.get_rng_state()
    g = generator()
    first, second = draw(g), draw(g)
    assert torch.equal(global_state, torch.get_rng_state())
    torch.manual_seed(1)  # another global seed changes nothing
    again = draw(generator())
    torch.set_rng_state(global_state)
    assert same(first, again) and not same(first, second)


@each_that_draws
def test_seeds_hold_in_threads(draw):
    made = in_threads(lambda seed: draw(generator(seed)))
    assert all(same(one, draw(generator(seed))) for seed, one in enumerate(made))


@each_that_draws
def test_draws_are_those_of_the_generator_whatever_the_default_device_and_dtype_are(draw):
    with torch.device("meta"):
        torch.set_default_dtype(torch.float64)
        try:
            made = draw(generator())
        finally:
            torch.set_default_dtype(torch.float32)
    assert same(made, draw(generator()))


@each_that_draws
@pytest.mark.parametrize("wrong", [None, 0])
def test_another_generator_is_refused(draw, wrong):
    with pytest.raises(TypeError, match=rf"generator must be a torch.Generator, got {wrong}\. .*manual_seed"):
        draw(wrong)


@each_that_draws
def test_no_argument_is_edited_and_none_is_handed_back(draw):
    arguments = IDS, ALL, STARTS, SPANS
    before = [one.clone() for one in arguments]
    result = draw(generator())
    assert all(torch.equal(one, copy) for one, copy in zip(arguments, before, strict=True))
    storages = {one.untyped_storage().data_ptr() for one in arguments}
    assert not any(one.untyped_storage().data_ptr() in storages for one in tensors_of(result))


def test_two_draws_from_one_generator_differ():
    g, ids = generator(), torch.full((4, 50), 7)
    first, second = (
        corruption.bert(ids, everywhere(*ids.shape), mask_id=MASK, random_ids=WORDS, generator=g) for _ in "ab"
    )
    assert not torch.equal(first.chosen, second.chosen)


@pytest.mark.filterwarnings("error")  # torch warns where it copies a tensor in a roundabout way
def test_random_tokens_are_any_of_the_given_ids():
    ids = torch.full((20, 100), 7)
    everything = {"mask_id": MASK, "shares": (0, 1, 0), "generator": generator()}
    for words in (range(5, 9), [60, 11, 30], torch.tensor([60, 11, 30])):
        new = corruption.replace(ids, everywhere(*ids.shape), random_ids=words, **everything).ids
        assert set(new.unique().tolist()) == {int(word) for word in words}
        assert (new[:, 1:] != new[:, :-1]).any()


# Words


@given(texts(), st.sampled_from([0.2, 0.5, 0.8]), seeds)
def test_a_choice_of_words_is_a_union_of_words(case, probability, seed):
    _, may_choose, starts = case
    chosen = corruption.choose_words(may_choose, starts, probability=probability, generator=generator(seed))
    for row, allowed, begins in zip(chosen.tolist(), may_choose.tolist(), starts.tolist(), strict=True):
        for word in words_of(allowed, begins):
            assert len({row[position] for position in word}) == 1


def test_words_are_chosen_one_by_one_with_the_probability():
    starts = torch.tensor([True, False, False, True, True, False]).repeat(500, 40)
    chosen = corruption.choose_words(everywhere(500, 240), starts, probability=0.3, generator=generator())
    assert chosen.double().mean().item() == pytest.approx(0.3, abs=0.01)
    neighbours = (chosen[:, 3::6] & chosen[:, 4::6]).double().mean().item()  # two words side by side
    assert neighbours == pytest.approx(0.3 * 0.3, abs=0.01)


def test_what_may_not_be_chosen_ends_a_word():
    may_choose = torch.tensor([True, False, True]).repeat(5000, 1)
    chosen = corruption.choose_words(may_choose, ~everywhere(5000, 3), probability=0.5, generator=generator())
    assert (chosen[:, 0] & chosen[:, 2]).double().mean().item() == pytest.approx(0.25, abs=0.03)  # two words, not one


@given(st.lists(st.integers(-1, 3), max_size=8))
def test_word_starts_by_a_slow_loop(numbers):
    found = corruption.word_starts(torch.tensor([numbers], dtype=torch.int64))[0].tolist()
    assert found == [i == 0 or number != numbers[i - 1] for i, number in enumerate(numbers)]


# SpanBERT


@given(texts(most=30), st.sampled_from([0.05, 0.15, 0.5, 0.9]), st.integers(1, 10), seeds)
def test_spans_are_runs_of_whole_words_within_the_budget(case, budget, longest, seed):
    _, may_choose, starts = case
    spans = corruption.choose_spans(may_choose, starts, budget=budget, max_len=longest, generator=generator(seed))
    for row, allowed, begins in zip(spans.tolist(), may_choose.tolist(), starts.tolist(), strict=True):
        words = words_of(allowed, begins)
        found = sorted(set(row) - {0})
        assert found == list(range(1, len(found) + 1))
        for span in found:
            places = [position for position, number in enumerate(row) if number == span]
            inside = [word for word in words if set(word) <= set(places)]
            assert places == list(range(places[0], places[-1] + 1))
            assert sum(map(len, inside)) == len(places) and 1 <= len(inside) <= longest
        wanted = max(1, round(budget * sum(allowed))) if any(allowed) else 0
        spent = sum(number > 0 for number in row)
        assert wanted <= spent < wanted + max(map(len, words), default=1)


def spans_of_spanbert(may_choose, **options):
    ids = torch.full(may_choose.shape, 7)
    return corruption.spanbert(ids, may_choose, mask_id=MASK, random_ids=WORDS, **options).spans


@pytest.mark.parametrize("spans_of", [corruption.choose_spans, spans_of_spanbert])
@pytest.mark.parametrize(("p", "longest"), [(0.5, 3), (0.2, 4), (0.9, 10)])
def test_p_and_longest_decide_how_long_spans_are(spans_of, p, longest):
    spans = spans_of(everywhere(1, 100_000), budget=0.02, p=p, max_len=longest, generator=generator())
    lengths = spans[spans > 0].bincount()[1:]
    found = lengths.bincount(minlength=longest + 1)[1:] / len(lengths)
    assert found.tolist() == pytest.approx(corruption.span_length_shares(p=p, max_len=longest).tolist(), abs=0.05)


def test_a_span_begins_anywhere_and_a_text_is_never_cut_at_its_end():
    spans = corruption.choose_spans(everywhere(4000, 20), budget=0.05, generator=generator())
    assert (spans.sum(dim=1) == 1).all()  # a budget of 1 token
    assert (spans.sum(dim=0) - 200).abs().max() < 70  # 5 standard deviations of 200
    whole = corruption.choose_spans(everywhere(3, 30), budget=1.0, generator=generator())
    assert (whole > 0).all()


def test_a_span_has_one_fate_and_spans_have_different_ones():
    ids = torch.arange(50).repeat(20, 1) + 10
    shares = (0.4, 0.3, 0.3)
    new = corruption.spanbert(
        ids, everywhere(20, 50), mask_id=MASK, random_ids=WORDS, budget=0.5, shares=shares, generator=generator()
    )
    fates = torch.where(new.ids == MASK, 1, torch.where(new.ids >= 1000, 2, 3))
    met = set()
    for row, spans in zip(fates, new.spans, strict=True):
        for span in range(1, int(spans.max()) + 1):
            fate = set(row[spans == span].tolist())
            assert len(fate) == 1
            met |= fate
    assert met == {1, 2, 3}
    of_two = new.ids[(fates == 2) & (new.spans == new.spans.roll(1, dims=1))]
    assert len(of_two.unique()) > 5  # each token of a random span is drawn by itself


# T5


@given(
    st.lists(st.integers(0, 99), max_size=12),
    st.data(),
    st.sampled_from([None, 0, 1000]),
    st.booleans(),
)
def test_sentinels_by_the_definition_and_back_again(tokens, data, end_id, last_sentinel):
    chosen = data.draw(st.lists(st.booleans(), min_size=len(tokens), max_size=len(tokens)))
    ids, mask = torch.tensor(tokens, dtype=torch.int64), torch.tensor(chosen, dtype=torch.bool)
    copies = ids.clone(), mask.clone()
    pair = corruption.with_sentinels(ids, mask, sentinels=SENTINELS, end_id=end_id, last_sentinel=last_sentinel)

    inputs, targets, unused = [], [], list(SENTINELS)
    for hidden, run in groupby(range(len(tokens)), key=lambda i: chosen[i]):
        run = [tokens[i] for i in run]
        if hidden:
            inputs, targets = inputs + [unused[0]], targets + [unused.pop(0)] + run
        else:
            inputs = inputs + run
    targets += [unused[0]] * last_sentinel
    end = [end_id] * (end_id is not None)
    assert pair.inputs.tolist() == inputs + end and pair.targets.tolist() == targets + end
    assert pair.inputs.dtype == pair.targets.dtype == torch.int64

    back = corruption.restore(pair, sentinels=SENTINELS, end_id=end_id)
    assert torch.equal(back, ids) and torch.equal(ids, copies[0]) and torch.equal(mask, copies[1])


def test_sentinels_may_be_a_tensor():
    ids, chosen = torch.tensor([5, 6, 7, 8, 9]), torch.tensor([False, True, True, False, True])
    pairs = [
        corruption.with_sentinels(ids, chosen, sentinels=sentinels, last_sentinel=True)
        for sentinels in ([99, 98, 97], torch.tensor([99, 98, 97]))
    ]
    assert same(*pairs)
    assert torch.equal(corruption.restore(pairs[1], sentinels=torch.tensor([99, 98, 97])), ids)


@pytest.mark.parametrize("ends_in_noise", [False, True])
@pytest.mark.parametrize("density", [0.0, 0.15, 0.5, 1.0])
@pytest.mark.parametrize("mean_span", [1.0, 3.0, float("inf")])
def test_t5_at_every_edge(density, mean_span, ends_in_noise):
    for length in [0, 1, 2, 3, 4, 7, 20, 33]:
        for allowed in (1.0, 0.7, 0.0):  # 0.0: a text of nothing but special tokens
            ids = torch.randint(0, 100, (length,), generator=generator(length))
            may_choose = torch.rand(length, generator=generator(length)) < allowed
            options = {"density": density, "mean_span": mean_span, "ends_in_noise": ends_in_noise}
            chosen = corruption.choose_t5_spans(may_choose, generator=generator(5), **options)
            assert not (chosen & ~may_choose).any()
            n = int(may_choose.sum())
            noise = min(max(1, round(n * density)), max(n - ends_in_noise, 0)) if density else 0
            assert chosen.sum() == noise
            if allowed == 1.0 and noise:  # nothing forbidden can cut a span in two
                spans = min(max(1, round(noise / mean_span)), n - noise + (not ends_in_noise))
                assert sum(hidden for hidden, _ in groupby(chosen.tolist())) == spans
            pair = corruption.t5(ids, may_choose, sentinels=SENTINELS, end_id=0, generator=generator(5), **options)
            assert torch.equal(corruption.restore(pair, sentinels=SENTINELS, end_id=0), ids)
            assert pair.inputs.tolist() == corruption.with_sentinels(
                ids, chosen, sentinels=SENTINELS, end_id=0).inputs.tolist()  # fmt: skip


@pytest.mark.parametrize(("ends_in_noise", "length", "density", "mean_span"), [
    (False, 8, 0.4, 1.5),
    (True, 8, 0.4, 1.5),
    (False, 6, 0.5, 1),
    (True, 9, 0.4, 2),
    (True, 7, 0.5, 1),
    (False, 5, 0.8, 1),
])  # fmt: skip
def test_every_mask_of_t5_is_equally_likely(ends_in_noise, length, density, mean_span):
    noise = round(length * density)
    spans = min(round(noise / mean_span), length - noise + (not ends_in_noise))  # no more than fit between kept tokens
    possible = [
        mask
        for mask in product([False, True], repeat=length)
        if sum(mask) == noise
        and sum(hidden for hidden, _ in groupby(mask)) == spans
        and (not ends_in_noise or (mask[-1] and not mask[0]))
    ]
    g, times = generator(), 100
    drawn = [
        tuple(
            corruption.choose_t5_spans(
                everywhere(length), density=density, mean_span=mean_span, ends_in_noise=ends_in_noise, generator=g
            ).tolist()
        )
        for _ in range(times * len(possible))
    ]
    assert set(drawn) == set(possible)
    assert all(abs(drawn.count(mask) - times) < 5 * times**0.5 for mask in possible)


def test_t5_code_always_ends_in_noise_and_ours_does_not():
    last_three = [False] * 17 + [True] * 3
    draws = [
        [corruption.choose_t5_spans(everywhere(20), ends_in_noise=option, generator=generator(seed)).tolist()
         for seed in range(60)]
        for option in (True, False)
    ]  # fmt: skip
    assert all(mask == last_three for mask in draws[0])
    assert {mask.index(True) for mask in draws[1]} >= {0, 17}  # also at the two ends, and between
    assert len({tuple(mask) for mask in draws[1]}) > 12


def test_figure_2_of_the_t5_paper():
    words = tokenize("Thank you for inviting me to your party last week .")
    ids = torch.arange(len(words))
    chosen = torch.tensor([word in ("for", "inviting", "last") for word in words])
    pair = corruption.with_sentinels(ids, chosen, sentinels=[100, 101, 102], last_sentinel=True)
    text = dict(enumerate(words)) | {100: "<X>", 101: "<Y>", 102: "<Z>"}
    assert " ".join(text[i] for i in pair.inputs.tolist()) == "Thank you <X> me to your party <Y> week ."
    assert " ".join(text[i] for i in pair.targets.tolist()) == "<X> for inviting <Y> last <Z>"


# Time and pictures


@given(texts(most=25), st.sampled_from([0.0, 0.065, 0.3, 1.0]), st.integers(1, 12), seeds)
def test_time_spans_by_a_slow_loop(case, p, length, seed):
    _, may_choose, _ = case
    before = may_choose.clone()
    hidden = corruption.time_spans(may_choose, p=p, length=length, generator=generator(seed))
    begins = corruption.time_spans(may_choose, p=p, length=1, generator=generator(seed))  # the same draws
    assert torch.equal(may_choose, before)
    for row, starts, allowed in zip(hidden.tolist(), begins.tolist(), may_choose.tolist(), strict=True):
        assert not any(start and not may for start, may in zip(starts, allowed, strict=True))
        assert abs(sum(starts) - p * sum(allowed)) < 1  # rounded up or down
        expected = [False] * len(row)
        for start in range(len(row)):
            for position in range(start, min(start + length, len(row))):
                if not starts[start] or not allowed[position]:
                    break
                expected[position] = True
        assert row == expected


def test_a_share_of_1_in_a_sound_too_long_for_float32():
    may_choose = everywhere(1, 2**18 + 1).index_fill(1, torch.tensor(7), False)
    seed = next(seed for seed in range(9999) if torch.rand(1, generator=generator(seed)) > 0.99)  # 2¹⁸ + .99 is 2¹⁸ + 1
    assert torch.equal(corruption.time_spans(may_choose, p=1.0, length=1, generator=generator(seed)), may_choose)


def test_the_share_of_starts_is_right_on_average_in_short_sounds():
    begins = corruption.time_spans(everywhere(20_000, 10), p=0.065, length=1, generator=generator())
    assert begins.double().mean().item() == pytest.approx(0.065, abs=0.003)
    assert (begins.sum(dim=0) - 1300).abs().max() < 180  # anywhere: 5 standard deviations


@given(st.integers(0, 3), st.integers(1, 20), st.sampled_from([0.0, 0.25, 0.75, 0.9, 1.0]), seeds)
def test_patches_are_all_there_and_go_back(images, count, share, seed):
    found = corruption.patches(images=images, count=count, share=share, generator=generator(seed))
    assert found.hidden.shape == (images, round(share * count))
    shuffled = torch.cat([found.kept, found.hidden], dim=1)
    assert torch.equal(shuffled.gather(1, found.restore), torch.arange(count).expand(images, count))
    for b in range(images):
        assert set(found.hidden[b].tolist()) == {i for i in range(count) if found.chosen[b, i]}
        assert set(found.kept[b].tolist()) == {i for i in range(count) if not found.chosen[b, i]}


def test_patches_are_shuffled_as_transformers_shuffles_them():
    from transformers.models.vit_mae.modeling_vit_mae import ViTMAEConfig, ViTMAEEmbeddings

    embeddings = ViTMAEEmbeddings(ViTMAEConfig(hidden_size=8, num_attention_heads=2, image_size=8, patch_size=2))
    pictures = torch.rand(5, 16, 8, generator=generator(1))
    noise = torch.rand(5, 16, generator=generator(3))
    kept, mask, restore = embeddings.random_masking(pictures, noise=noise)
    ours = corruption.patches(images=5, count=16, generator=generator(3))
    assert torch.equal(ours.restore, restore) and torch.equal(ours.chosen, mask == 1)
    assert torch.equal(pictures.gather(1, ours.kept[:, :, None].expand(-1, -1, 8)), kept)


def test_time_spans_hide_as_much_as_those_of_transformers():
    import numpy
    from transformers.models.wav2vec2.modeling_wav2vec2 import _compute_mask_indices

    numpy.random.seed(0)  # theirs draws from the global seed
    theirs = torch.from_numpy(_compute_mask_indices((40, 3000), mask_prob=0.65, mask_length=10))
    ours = corruption.time_spans(everywhere(40, 3000), p=0.065, length=10, generator=generator())
    for measure in (
        lambda hidden: hidden.double().mean(),
        lambda hidden: hidden.sum() / (hidden.int().diff() == 1).sum(),
    ):
        assert measure(ours).item() == pytest.approx(measure(theirs).item(), rel=0.03)


def test_bert_does_what_the_collator_of_transformers_does():
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"word{i}" for i in range(95)]
    words = Tokenizer(WordLevel({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]",
    )  # fmt: skip
    ids = torch.randint(5, 100, (1000, 200), generator=generator())
    ids[:, 0], ids[:, 180], ids[:, 181:] = 2, 3, 0
    special = ids < 5
    for probability, shares in ((0.15, (0.8, 0.1, 0.1)), (0.4, (0.5, 0.3, 0.2)), (0.15, (1.0, 0.0, 0.0))):
        collator = DataCollatorForLanguageModeling(
            tokenizer, mlm_probability=probability, mask_replace_prob=shares[0], random_replace_prob=shares[1], seed=0
        )
        collator.create_rng()
        new_ids, labels = collator.torch_mask_tokens(ids.clone(), special_tokens_mask=special)
        ours = corruption.bert(ids, ~special, mask_id=4, random_ids=range(100), probability=probability, shares=shares,
                               generator=generator(1))  # fmt: skip
        assert torch.equal(ours.labels != IGNORED, ours.chosen)
        measures = [
            [
                (lab != IGNORED)[~special].double().mean().item(),
                (new == 4).double().mean().item(),
                ((new != ids) & (new != 4)).double().mean().item(),
                ((new == ids) & (lab != IGNORED)).double().mean().item(),
                (lab != IGNORED)[special].double().sum().item(),
            ]
            for new, lab in ((ours.ids, ours.labels), (new_ids, labels))
        ]
        assert measures[0] == pytest.approx(measures[1], abs=0.005)
        assert measures[0][4] == 0


# Requests that make no sense

TWO = everywhere(1, 2)
TOKENS = torch.tensor([[5, 6]])


def replaced(g, **options):
    return corruption.replace(TOKENS, TWO, mask_id=4, random_ids=[7], generator=g, **options)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda g: corruption.choose_tokens(TWO.float(), generator=g), TypeError,
         r"may_choose must be bool, True = yes, got torch.float32 of shape \(1, 2\). Use may_choose.bool\(\)"),
        (lambda g: corruption.choose_tokens(TWO.numpy(), generator=g), TypeError,
         r"may_choose must be a tensor .*got a NumPy array of bool.*torch.from_numpy\(may_choose\)"),
        (lambda g: corruption.choose_spans([[True]], generator=g), TypeError, r"may_choose .*got \[\[True\]\]"),
        (lambda g: corruption.word_starts(torch.rand(1, 2)), TypeError, "word_ids must be .* got torch.float32"),
        (lambda g: corruption.time_spans(TWO, length=2.5, generator=g), ValueError, "length must be .* got 2.5"),
        (lambda g: corruption.patches(images=1, count=2.5, generator=g), ValueError, "count must be .* got 2.5"),
        (lambda g: corruption.static(list, masks=1.5), ValueError, "masks must be .* got 1.5"),
        (lambda g: corruption.span_length_shares(max_len=2.5), ValueError, "max_len must be .* got 2.5"),
        (lambda g: corruption.choose_tokens(TWO[0], generator=g), ValueError, r"the shape \(batch, length\).*\(2,\)"),
        (lambda g: corruption.choose_tokens(TWO, probability=15, generator=g), ValueError, "got 15.*by 100"),
        (lambda g: corruption.choose_tokens(TWO, probability=float("nan"), generator=g), ValueError, "got nan"),
        (lambda g: corruption.choose_words(TWO, everywhere(1, 3), generator=g),
         ValueError, r"may_choose and starts .*\(1, 2\) and \(1, 3\)"),
        (lambda g: corruption.choose_words(TWO, TOKENS, generator=g), TypeError, "starts must be bool"),
        (lambda g: corruption.choose_spans(TWO, budget=-1, generator=g), ValueError, "budget must be between 0 and 1"),
        (lambda g: corruption.choose_spans(TWO, max_len=0, generator=g), ValueError, "max_len must be .* got 0"),
        (lambda g: corruption.choose_spans(TWO, p=0, generator=g), ValueError, "p must be .* got 0"),
        (lambda g: corruption.bert(TOKENS, TWO, mask_id=4, generator=g), ValueError, "random_ids must not be empty"),
        (lambda g: corruption.bert(TOKENS, TWO, mask_id=4, shares=(0.8, 0.1, 0.2), generator=g), ValueError,
         r"three parts of 1.*\(0.8, 0.1, 0.2\)"),
        (lambda g: corruption.bert(TOKENS, TWO, mask_id=4, shares=(1.5, -0.5, 0), generator=g), ValueError, "-0.5"),
        (lambda g: corruption.bert(TOKENS, TWO, mask_id=4, shares=(0.8, 0.2), generator=g), ValueError, "three parts"),
        (lambda g: corruption.bert(TOKENS.int(), TWO, mask_id=4, generator=g),
         TypeError, r"ids must be int64, got torch.int32.*ids.long"),
        (lambda g: corruption.spanbert(TOKENS, everywhere(2, 2), mask_id=4, generator=g),
         ValueError, r"ids and may_choose .*got \(1, 2\) and \(2, 2\)"),
        (lambda g: corruption.replace(TOKENS, TWO[:, :1], mask_id=4, generator=g),
         ValueError, r"ids and chosen .* and \(1, 1\)"),
        (lambda g: replaced(g, spans=torch.tensor([[1, 0]])),
         ValueError, r"in a span, got span 0 at position 1 of sentence 0\. .*spans > 0"),
        (lambda g: replaced(g, spans=torch.tensor([[1, 3]])),
         ValueError, r"between 0 and 2, .*got 3\."),
        (lambda g: replaced(g, spans=torch.tensor([[-1, 1]])),
         ValueError, r"between 0 and 2, .*got -1\."),
        (lambda g: corruption.word_starts(torch.tensor([0, 0, 1])), ValueError,
         r"word_ids .*\(batch, length\).*\(3,\)\. .*word_ids\[None\]"),
        (lambda g: corruption.static(list, masks=0), ValueError, "masks must be .* got 0"),
        (lambda g: corruption.dynamic(list, epochs=-1), ValueError, "epochs must be .* got -1"),
        (lambda g: corruption.t5(TOKENS, TWO, sentinels=[9], generator=g),
         ValueError, r"\(length\), got \(1, 2\)\. Give one sentence"),
        (lambda g: corruption.choose_t5_spans(TWO[0], density=2, generator=g), ValueError, "density"),
        (lambda g: corruption.choose_t5_spans(TWO[0], mean_span=0.5, generator=g),
         ValueError, "mean_span must be .* got 0.5"),
        (lambda g: corruption.with_sentinels(TOKENS[0], TWO[0], sentinels=[]), ValueError, "at least 1 ids, .* got 0"),
        (lambda g: corruption.with_sentinels(TOKENS[0], TWO[0], sentinels=[9], last_sentinel=True),
         ValueError, "at least 2 ids, .* got 1"),
        (lambda g: corruption.with_sentinels(TOKENS[0], TWO[0], sentinels=[6]), ValueError, "6 is also a token"),
        (lambda g: corruption.with_sentinels(TOKENS[0], TWO[0], sentinels=[9], end_id=9), ValueError, "9 is also"),
        (lambda g: corruption.with_sentinels(TOKENS[0], TWO[0], sentinels=[9, 9]), ValueError, "each once"),
        (lambda g: corruption.with_sentinels(TOKENS[0], TWO[0], sentinels=torch.tensor([9, 9])), ValueError,
         "each once"),
        (lambda g: corruption.with_sentinels(TOKENS[0], TWO[0], sentinels=torch.tensor([6])), ValueError, "6 is also"),
        (lambda g: corruption.time_spans(TWO, length=0, generator=g), ValueError, "length must be .* got 0"),
        (lambda g: corruption.time_spans(TWO, p=2, generator=g), ValueError, "p must be between 0 and 1"),
        (lambda g: corruption.patches(images=1, count=4, share=75, generator=g), ValueError, "share must be"),
        (lambda g: corruption.patches(images=-1, count=4, generator=g), ValueError, "images must be .* got -1"),
        (lambda g: corruption.patches(images=1, count=0, generator=g), ValueError, "count must be .* got 0"),
    ],
)  # fmt: skip
def test_an_impossible_request_is_a_clear_error(call, error, words):
    with pytest.raises(error, match=words):
        call(generator())


@pytest.mark.parametrize(("inputs", "targets", "end_id", "words"), [
    ([5, 99, 8], [6, 99, 7], None, "must begin with a sentinel, got 6"),
    ([5, 99, 8], [98, 7], None, r"the same sentinels.*\[99\] and \[98\]"),
    ([5, 99, 8, 98], [99, 7], None, r"\[99, 98\] and \[99\]"),
    ([5, 99, 99], [99, 7, 99, 8], None, "each once"),
    ([5, 99, 8], [99, 7], 1, "must end in end_id=1, but the inputs end in 8.*before padding"),
    ([5, 99, 8, 1], [99, 7, 1, 0], 1, "must end in end_id=1, but the targets end in 0.*before padding"),
    ([], [], 1, "must end in end_id=1, but the inputs are empty"),
    ([5, 1], [1], None, "begin with a sentinel, got 1.*end_id"),
    ([5, 99, 8, 1], [99, 7, 98, 1], None, r"\[99\] and \[99, 98\].*end_id"),
])  # fmt: skip
def test_a_pair_that_does_not_belong_together_is_a_clear_error(inputs, targets, end_id, words):
    pair = corruption.TextToText(torch.tensor(inputs), torch.tensor(targets))
    with pytest.raises(ValueError, match=words):
        corruption.restore(pair, sentinels=[99, 98], end_id=end_id)
