"""Lesson 03's own definitions, read from its source, are the library's; and its numbers are those of the papers."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from masklab import corpus, corruption, losses, tiny
from masklab.corpus import BOS, EOS, MASK, SPECIALS, VOCABULARY
from masklab.dialects import to_labels
from masklab.labs import masked_language_models as lab
from tests.lessons import cells
from tests.strategies import seeds

shares_of_one = st.sampled_from([(0.8, 0.1, 0.1), (1.0, 0.0, 0.0), (0.3, 0.3, 0.4), (0.0, 0.0, 1.0)])


@pytest.fixture(scope="module")
def lesson():
    """What the cells define; nothing is trained."""
    return cells(
        "masked_language_models", "MASK_IDX = 999", "counted = ", "batch = batch_text", "def choose_tokens",
        "def replace_chosen", "many = ", '"input != original"', "labels = batch.ids", "nothing = torch.full",
        "schedules = ", "def restoring_loss", "p = 0.15", "def choose_words", "renormalised = ", "def t5_choice",
        "careless = ", "readable = ", "attempts = ",
    )  # fmt: skip


@pytest.fixture(scope="module")
def measured(lesson):
    """The lesson's functions that train and judge; the cell's own runs are left out."""
    from tests.lessons import codes

    (code,) = [code for code in codes("masked_language_models") if "def hidden_right" in code]
    exec(compile(code.partition("WAYS = ")[0], "lesson 03", "exec"), names := dict(lesson))
    return names


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- by hand ---------------------------------------------------------------------------------------------------------


def test_the_sources_batch_its_mask_and_its_mean(lesson):
    assert lesson["mlm_batch"].tolist() == [[1, 999, 3, 4, 999], [999, 2, 999, 4, 5], [1, 2, 3, 999, 5]]
    cells_of_source = cells("masked_language_models", "MASK_IDX = 999", "counted = ")  # chosen is made anew further on
    chosen, given_losses = cells_of_source["chosen"], cells_of_source["losses"]
    assert torch.equal(chosen, cells_of_source["mlm_batch"] == 999)
    assert round(losses.reduce(given_losses, chosen).item(), 3) == 0.505
    assert cells("loss_masking", "losses = torch.tensor(")["losses"].tolist() == given_losses.tolist()


def test_only_words_may_be_chosen(lesson):
    batch, may = lesson["batch"], lesson["may_choose"]
    names = [[token not in ("[PAD]", BOS, EOS) for token in row] for row in batch.tokens]
    assert may.tolist() == names and may.any() and not may.all()


@given(seeds, st.floats(0, 1))
def test_the_choice_is_the_librarys(lesson, seed, probability):
    ours = lesson["choose_tokens"](lesson["may_choose"], probability, generator(seed))
    theirs = corruption.choose_tokens(lesson["may_choose"], probability=probability, generator=generator(seed))
    assert torch.equal(ours, theirs)


@given(seeds, shares_of_one)
def test_what_is_put_there_is_what_the_library_puts(lesson, seed, shares):
    """The library's first draw of a row is for tokens outside all spans: with one more column the draws are the same.

    Random ids are drawn for another shape then, so one word stands for all of them.
    """
    ids, chosen = torch.arange(100, 300).view(4, 50), torch.rand(4, 50, generator=generator(seed + 1)) < 0.5
    wider = [F.pad(one, (1, 0)) for one in (ids, chosen)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(lesson, "WORD_IDS", torch.tensor([7]))
        ours = lesson["replace_chosen"](*wider, generator(seed), shares)[:, 1:]
    theirs = corruption.replace(
        ids, chosen, mask_id=lesson["MASK_ID"], random_ids=[7], shares=shares, generator=generator(seed)
    )
    assert torch.equal(ours, theirs.ids)


def test_a_random_word_is_any_word_and_no_special_token(lesson):
    ids = torch.full((200, 200), VOCABULARY.id("cat"))
    new = lesson["replace_chosen"](ids, ids > 0, generator(), shares=(0.0, 1.0, 0.0))
    assert set(new.flatten().tolist()) == set(range(len(SPECIALS), len(VOCABULARY)))
    assert lesson["MASK_ID"] == VOCABULARY.id(MASK) and (ids == VOCABULARY.id("cat")).all()  # ids is not edited


def test_all_three_fates_are_in_the_sentence_that_is_shown(lesson):
    row, read, chosen = lesson["batch"].ids[0], lesson["read"][0], lesson["chosen"][0]
    assert torch.equal(row[~chosen], read[~chosen])
    fates = {"mask" if new == lesson["MASK_ID"] else "same" if new == old else "random"
             for old, new in zip(row[chosen], read[chosen], strict=True)}  # fmt: skip
    assert fates == {"mask", "same", "random"}


def test_80_10_10_of_15_percent(lesson):
    shares = [fate.double().mean().item() for fate in lesson["fates"].values()]
    assert shares == pytest.approx([0.12, 0.015, 0.015], abs=0.001)


def test_what_the_input_shows_misses_a_fifth_and_with_the_original_a_tenth(lesson):
    chosen, read, many = lesson["many_chosen"], lesson["many_read"], lesson["many"]
    for found, share in ((read == lesson["MASK_ID"], 0.2), (read != many, 0.1)):
        assert not (found & ~chosen).any()
        assert (chosen & ~found).sum() / chosen.sum() == pytest.approx(share, abs=0.005)


def test_labels_are_the_librarys_from_the_ids_before(lesson):
    assert torch.equal(lesson["labels"], to_labels(lesson["batch"].ids, lesson["chosen"]))


def test_nothing_chosen_is_nan_with_a_gradient_of_zeros(lesson):
    assert lesson["loss"].isnan() and (lesson["logits"].grad == 0).all()
    assert [round(100 * 0.85**n, 2) for n in (8, 16, 32)] == [27.25, 7.43, 0.55]


def test_the_two_schedules_are_the_librarys(lesson):
    made = iter(range(99))
    assert [i % 10 for i in range(40)] == corruption.static(lambda: next(made), epochs=40, masks=10)
    static, dynamic = (lesson["schedules"][name] for name in ("static", "dynamic"))
    assert [sum(one is other for other in static) for one in static] == [4] * 40
    assert len({id(one) for one in dynamic}) == len(dynamic) == 40
    ever = [torch.stack(masks).any(dim=0).double().mean().item() for masks in (static, dynamic)]
    assert ever == pytest.approx([1 - 0.85**10, 1 - 0.85**40], abs=0.004)
    assert [round(100 * (1 - 0.85**n), 2) for n in (10, 40)] == [80.31, 99.85]


# --- trained ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shares", [(0.8, 0.1, 0.1), (1.0, 0.0, 0.0)])
def test_the_loss_is_the_librarys_mean_over_the_choice(lesson, shares):
    model, batch = tiny.tiny_encoder(3), lesson["rows"](lesson["known"], range(20))
    ours = lesson["restoring_loss"](model, batch, 7, probability=0.4, shares=shares)
    draws = generator(7)
    chosen = lesson["choose_tokens"](batch.is_word, 0.4, draws)
    read = lesson["replace_chosen"](batch.ids, chosen, draws, shares)
    logits = model(read, batch.is_word[:, None, None, :])
    theirs = losses.reduce(losses.token_losses(logits, batch.ids, chosen), chosen)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_the_wrong_mask_counts_only_the_blanks(lesson):
    model, batch, seen = tiny.tiny_encoder(3), lesson["rows"](lesson["known"], range(20)), {}

    def spy(read, chosen):
        seen["missed"] = (chosen & (read != lesson["MASK_ID"])).sum().item()
        return lesson["where_mask_is"](read, chosen)

    options = {"probability": 0.4, "loss_mask": spy}
    wrong = lesson["restoring_loss"](model, batch, 7, **options)
    assert seen["missed"] > 0 and wrong != lesson["restoring_loss"](model, batch, 7, probability=0.4)
    same = lesson["restoring_loss"](model, batch, 7, shares=(1.0, 0.0, 0.0), **options)
    assert seen["missed"] == 0  # with 100/0/0 the two masks are one
    assert same == lesson["restoring_loss"](model, batch, 7, probability=0.4, shares=(1.0, 0.0, 0.0))


def test_words_right_by_a_slow_loop(measured):
    model = tiny.tiny_encoder(0)
    tiny.fit_encoder(model, seed=0, steps=30)
    measured["some"] = few = measured["rows"](measured["new"], range(8))
    hidden, plain = [], []
    for row, is_word in zip(few.ids, few.is_word, strict=True):
        words = row[is_word]
        alone = model(words[None], None)[0].argmax(dim=-1)  # no padding: every position may be read
        plain += (alone == words).tolist()
        for place in range(len(words)):
            blank = words.index_fill(0, torch.tensor([place]), measured["MASK_ID"])
            hidden.append((model(blank[None], None)[0, place].argmax() == words[place]).item())
    by_loop = [sum(scores) / len(scores) for scores in (hidden, plain)]
    ours = [measured["hidden_right"](model), measured["plain_right"](model)]
    assert ours == pytest.approx(by_loop) and 0 < by_loop[0] < 1
    assert measured["all_right"](model) == [*ours, measured["tags_right"](model)]


def test_tags_right_by_the_definition(measured):
    """A model that knows the tags gets all of them; one whose numbers say nothing gets the most common one."""

    class Knows(torch.nn.Module):
        def __init__(self, labels_of):
            super().__init__()
            self.labels_of = labels_of

        def features(self, ids, mask):
            (part,) = [one for one in (known, new) if torch.equal(one.ids, ids)]
            assert torch.equal(mask, part.is_word[:, None, None, :])
            return F.one_hot(self.labels_of(part), 48).float()

    known, new = (measured["rows"](measured[name], range(400)) for name in ("known", "new"))
    assert measured["tags_right"](Knows(lambda part: part.tags)) == 1.0
    most_common = known.tags[known.is_word].mode().values
    chance = (new.tags[new.is_word] == most_common).float().mean().item()
    assert measured["tags_right"](Knows(lambda part: torch.zeros_like(part.tags))) == pytest.approx(chance)


def test_all_versions_begin_alike_read_the_same_and_choose_more_of_the_same(measured, monkeypatch):
    calls = []

    def spy(model, batch, seed, **options):
        chosen = measured["choose_tokens"](batch.is_word, options.get("probability", 0.15), generator(seed))
        first = torch.cat([weight.detach().flatten() for weight in model.parameters()])
        calls.append((batch.ids, chosen, first))
        return measured_loss(model, batch, seed, **options)

    measured_loss = measured["restoring_loss"]
    monkeypatch.setitem(measured, "restoring_loss", spy)
    for options in ({}, {"probability": 0.4}, {"loss_mask": measured["where_mask_is"]}):
        measured["trained"](1, {1: lambda model: "tested"}, **options)
    few, many, slip = calls[:2], calls[2:4], calls[4:]
    assert torch.equal(few[0][2], many[0][2]) and torch.equal(few[0][2], slip[0][2])
    for (ids, fifteen, _), (ids_2, forty, _), (ids_3, wrong, _) in zip(few, many, slip, strict=True):
        assert torch.equal(ids, ids_2) and torch.equal(ids, ids_3) and torch.equal(fifteen, wrong)
        assert (fifteen <= forty).all() and fifteen.sum() < forty.sum()


def test_equal_words_means_about_equally_many():
    assert 150 * 0.15 == pytest.approx(56 * 0.4, rel=0.01) == pytest.approx(28 * 0.8, rel=0.01)


# --- more than single words ------------------------------------------------------------------------------------------


@given(seeds, st.floats(0, 1))
def test_whole_words_are_the_librarys(lesson, seed, probability):
    starts = torch.rand(3, 12, generator=generator(seed)) < 0.6
    starts[:, 0] = True
    may = torch.ones_like(starts)
    ours = lesson["choose_words"](may, starts, probability, generator(seed))
    assert torch.equal(ours, corruption.choose_words(may, starts, probability=probability, generator=generator(seed)))


def test_the_lengths_of_spanberts_spans(lesson):
    shares = corruption.span_length_shares()
    torch.testing.assert_close(lesson["renormalised"].double(), shares, atol=1e-6, rtol=1e-5)
    assert (shares * torch.arange(1, 11)).sum() == pytest.approx(3.797, abs=5e-4)


@given(seeds, st.integers(20, 600))
def test_t5s_choice_is_the_librarys_that_ends_in_noise(lesson, seed, length):
    ours, where = lesson["t5_choice"](length, generator(seed)), torch.ones(length, dtype=torch.bool)
    assert torch.equal(ours, corruption.choose_t5_spans(where, ends_in_noise=True, generator=generator(seed)))


def test_of_20_tokens_t5_always_hides_the_last_3_and_ours_does_not(lesson):
    last_three = [False] * 17 + [True] * 3
    assert all(lesson["t5_choice"](20, generator(seed)).tolist() == last_three for seed in range(30))
    where = torch.ones(20, dtype=torch.bool)
    others = {tuple(corruption.choose_t5_spans(where, generator=generator(seed)).tolist()) for seed in range(30)}
    assert len(others) > 5


def test_568_tokens_become_512_and_114(lesson):
    pair = lesson["pair"]
    assert (len(pair.inputs), len(pair.targets), lesson["spans"]) == (512, 114, 28)
    back = corruption.restore(pair, sentinels=range(9999, 9000, -1), end_id=900)
    assert torch.equal(back, lesson["text"])


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_almost_half_of_a_careless_choice_is_wasted(lesson):
    wasted = lesson["careless"] & ~(lesson["padded"].is_word & ~lesson["special"])
    assert 0.4 < wasted.sum() / lesson["careless"].sum() < 0.5
    assert lesson["special"].sum() == 2 * len(corpus.sentences(n=500))


def test_with_labels_for_everything_most_of_what_counts_can_be_read(lesson):
    assert lesson["readable"].double().mean() == pytest.approx(1 - 0.15 * 0.9, abs=0.005)


def test_one_draw_for_two_questions(lesson):
    chosen = lesson["chosen_by_draw"]
    shares = [(chosen & fate).sum() / chosen.sum() for fate in lesson["attempts"].values()]
    assert shares == pytest.approx([0, 1, 0.8], abs=0.005)


# --- the lab ---------------------------------------------------------------------------------------------------------


def picture(**changes):
    """The lab's picture of a state, with the model that the lesson hands over."""
    return lab.draw(lab.State().changed(changes))


def guesses(**changes):
    """The probability of each guess that is shown."""
    (panel,) = [panel for panel in picture(**changes).panels if panel.name == "guesses"]
    return dict(zip(panel.rows, panel.values[:, 0].tolist(), strict=True))


def test_the_lab_gets_the_model_that_it_would_train_itself():
    shown = cells("masked_language_models", "from masklab.tiny import mlm_texts", "fit_encoder(model")["model"]
    for ours, theirs in zip(shown.parameters(), lab.trained().parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_what_to_try_with_clicks():
    expected = {1: ("cat", "misses 1 of 5"), 2: ("cat", "misses 1 of 5"), 3: ("−100", "finds the same 4")}
    for clicks, (label, found) in expected.items():
        seen = picture(clicks=((0, 1, clicks),))
        assert seen.sentences[0].below[1] == label and found in seen.summary
        assert ("2.524 / 5 = 0.505" in seen.summary) is (clicks < 3)
    masked, swapped, kept = (guesses(losses="model", clicks=((0, 1, n),) if n else ())["4: pie"] for n in range(3))
    assert swapped < masked - 0.1 and kept > masked


def test_what_to_try_with_words():
    eight = picture(**lab.State.presets["8 words, 15 %"])
    assert "Nothing is chosen in sentence 2 (as in 27 % of all with 8 words)" in eight.summary
    everything = picture(strategy="words", rate=100.0)
    assert all(all(one.pressed) for one in everything.sentences)
    typed = picture(sentences=("The [MASK] drinks milk",), strategy="words", rate=0.0)
    assert "the mean is 0 / 0" in typed.summary and "has no right answer" in typed.summary


def test_what_to_try_with_epochs_and_t5():
    often = {epochs: {p.name: p for p in picture(epochs=float(epochs)).panels}["schedules"] for epochs in range(1, 41)}
    same = [epochs for epochs, panel in often.items() if torch.equal(*panel.values)]
    assert same[:10] == list(range(1, 11)) and max(same) < 13
    assert often[40].row_notes == ["4 of 5", "5 of 5"]
    t5 = picture(strategy="T5", clicks=((0, 1, 1), (0, 2, 1)))
    assert t5.sentences[0].below == ["", "<0>", "<0>", "", "<1>"]
