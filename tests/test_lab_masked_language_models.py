"""The lab of lesson 03: what is hidden, what counts, what a model guesses; pictures of states, without a browser."""

import math

import pytest
import torch
import torch.nn.functional as F

from masklab import training
from masklab.corpus import MASK, UNK, VOCABULARY, words_of
from masklab.labs import hiding
from masklab.labs import masked_language_models as lesson
from masklab.labs.controls import BadInput
from masklab.labs.hiding import KEPT, MASKED, SWAPPED, choose, schedules
from masklab.models.private import seeded
from masklab.panels import EXTRA, MISSED, NOT_MARKED, RIGHT
from masklab.text import batch_of_words
from masklab.tiny import tiny_encoder

SOURCE = torch.tensor([
    [0.5135, 0.5513, 0.9017, 0.4005, 0.0784],
    [0.4215, 0.5581, 0.8376, 0.8771, 0.9324],
    [0.2851, 0.7234, 0.5639, 0.6350, 0.9162],
])  # fmt: skip
CHOSEN = torch.tensor([[0, 1, 0, 0, 1], [1, 0, 1, 0, 0], [0, 0, 0, 1, 0]])  # the source's [MASK]
IDS = torch.tensor([VOCABULARY.encode(words_of(lesson.TEXT))] * 3)
MASK_ID = VOCABULARY.id(MASK)
FATES, EIGHT = lesson.State.presets.values()
UNTRAINED = tiny_encoder(3)  # for what any model must do


def state(**changes) -> lesson.State:
    return lesson.State().changed(changes)


def picture(*, model=UNTRAINED, **changes):
    return lesson.draw(state(**changes), model)


def drawn(*, model=UNTRAINED, **changes) -> dict:
    return {panel.name: panel for panel in picture(model=model, **changes).panels}


def read(**changes) -> list[tuple[str, ...]]:
    """What the model reads in each sentence."""
    return [tuple(one.tokens) for one in picture(**changes).sentences]


# --- the source's example -------------------------------------------------------------------------------


def test_at_first_sight_the_source_s_sentences_and_its_0_505():
    assert read() == [
        ("The", MASK, "ate", "fish", MASK), (MASK, "cat", MASK, "fish", "pie"), ("The", "cat", "ate", MASK, "pie"),
    ]  # fmt: skip
    panels = drawn()
    assert list(panels) == ["losses", "mask", "counted", "input_mask", "guesses", "schedules"]
    torch.testing.assert_close(panels["losses"].values, SOURCE)
    assert torch.equal(panels["mask"].values, CHOSEN.int())
    torch.testing.assert_close(panels["counted"].values, SOURCE * CHOSEN)
    assert f"{((SOURCE * CHOSEN).sum() / CHOSEN.sum()).item():.3f}" == "0.505"
    assert picture().summary.startswith(
        "Mean over the 5 chosen: 2.524 / 5 = 0.505. ✓ input == [MASK] finds the same 5."
    )
    assert panels["counted"].row_notes == ["0.31", "0.63", "0.63"]  # (.5513 + .0784) / 2 …


def test_below_each_chip_stands_its_label_and_every_chip_can_be_clicked():
    first = picture().sentences[0]
    assert first.below == ["−100", "cat", "−100", "−100", "pie"] and first.note == "click a word · 2 of 5 chosen"
    assert first.pressed == [False, True, False, False, True]
    assert (first.edits.key, first.edits.how, first.edits.high) == ("clicks", "cycle", 3)
    padded = picture(sentences=["The cat", lesson.TEXT]).sentences[0]
    assert padded.pads == [False, False, True, True, True] and padded.below == ["−100", "cat", *["−100"] * 3]


# --- the model's losses and guesses ---------------------------------------------------------------------


def test_the_model_s_losses_are_its_cross_entropy_on_what_it_reads():
    texts, model = ["The cat ate fish pie", "The dog sleeps"], lesson.trained()
    batch = batch_of_words(list(map(words_of, texts)), to_id=VOCABULARY.id)
    ids = batch.ids.clone()
    ids[0, 1] = ids[0, 4] = ids[1, 0] = ids[1, 2] = MASK_ID
    panels = drawn(model=model, sentences=texts, losses="model")
    labels = batch.ids.masked_fill(ids != MASK_ID, -100)
    with torch.no_grad():
        logits = model(ids, batch.is_word[:, None, None, :])
        alone = model(ids[1:, :3], None)[0]  # without its padding
    assert panels["losses"].limit == pytest.approx(math.log(len(VOCABULARY)))
    losses = F.cross_entropy(logits.transpose(1, 2), batch.ids, reduction="none")
    torch.testing.assert_close(panels["losses"].values, losses, atol=1e-5, rtol=0)
    shorter = F.cross_entropy(alone, batch.ids[1, :3], reduction="none")
    torch.testing.assert_close(panels["losses"].values[1, :3], shorter, atol=1e-5, rtol=0)
    mean = F.cross_entropy(logits.transpose(1, 2), labels)  # −100 is ignore_index
    told = picture(model=model, sentences=texts, losses="model").summary
    assert f"/ 4 = {mean:.3f}." in told


def test_guesses_are_the_best_of_the_model_and_the_right_word_is_signed():
    model, panel = lesson.trained(), drawn(model=None)["guesses"]
    ids = IDS[0].clone()
    ids[[1, 4]] = MASK_ID
    probabilities = model(ids[None], None)[0].detach().softmax(dim=-1)
    for place, right in ((1, "cat"), (4, "pie")):
        mine = [i for i, one in enumerate(panel.places) if one == place]
        shares = {panel.rows[i].partition(": ")[2]: panel.values[i, 0] for i in mine}
        best = VOCABULARY.decode(probabilities[place].topk(3).indices)
        assert list(shares) == list(dict.fromkeys([*best, right]))
        for word, share in shares.items():
            torch.testing.assert_close(share, probabilities[place, VOCABULARY.id(word)], atol=1e-5, rtol=0)
        assert [panel.rows[i] for i in mine if panel.marks[i, 0] == RIGHT] == [f"{place}: {right}"]
    assert panel.links[0] == "position"


def test_the_trained_model_fills_blanks_sensibly():
    """Not one word by name: which of them it likes best is up to the training."""
    blanks = {
        "The cat ate [MASK] pie": {"fish", "chicken"},
        "The [MASK] licks her paws": {"cat", "kitten", "tabby"},
        "The [MASK] drinks milk": {"cat", "kitten", "tabby"},
    }
    for text, sensible in blanks.items():
        panel = drawn(model=None, sentences=[text, "cat"], strategy="words", rate=0)["guesses"]
        assert panel.rows[0].partition(": ")[2] in sensible
        assert len(panel.rows) == 4 and not panel.marks.any()  # nobody knows the right word


def test_with_more_holes_each_has_fewer_guesses_and_three_have_some():
    for holes, rows in ((1, 4), (2, 6), (3, 6), (5, 6)):
        clicks = [[3, place, 1] for place in range(holes)]  # no hole by hand in a fourth sentence
        panel = drawn(sentences=[lesson.TEXT] * 4, shown=3, clicks=clicks)["guesses"]
        right = panel.marks.sum().item()
        assert right == min(holes, 3) and rows <= len(panel.rows) <= rows + right
    assert "guesses" not in drawn(sentences=[lesson.TEXT] * 4, shown=3)


# --- what input == [MASK] misses ------------------------------------------------------------------------


def test_clicks_go_from_not_chosen_to_masked_swapped_and_kept_and_round():
    seen = [picture(sentences=["The cat ate fish"], clicks=[[0, 0, n]] if n else []) for n in range(4)]
    words = [one.sentences[0].tokens[0] for one in seen]
    assert words[:2] == ["The", MASK] and words[2] not in ("The", MASK) and words[3] == "The"
    assert [one.sentences[0].below[0] for one in seen] == ["−100", "The", "The", "The"]
    assert [one.sentences[0].pressed[0] for one in seen] == [False, True, True, True]
    assert read(clicks=[[0, 1, 3]])[0] == ("The", "cat", "ate", "fish", MASK)  # it was masked: once round


def test_what_input_mask_misses_is_marked_and_counted():
    panels, told = drawn(**FATES), picture(**FATES).summary
    mask, by_input = panels["mask"].values.bool(), panels["input_mask"].values.bool()
    assert torch.equal(mask, CHOSEN.bool()) and (by_input.sum(), (mask & ~by_input).sum()) == (2, 3)
    assert torch.equal(panels["input_mask"].marks, MISSED * (mask & ~by_input).to(torch.uint8))
    assert "Mean over the 5 chosen: 2.524 / 5 = 0.505." in told
    wrong = SOURCE[by_input].mean()
    assert f"✗ input == [MASK] misses 3 of 5 (2 swapped, 1 unchanged): its mean is {wrong:.3f}." in told


def test_a_mask_that_is_typed_is_a_hole_that_must_not_count():
    one = drawn(sentences=["The [MASK] ate fish pie"])
    assert one["mask"].values[0].tolist() == [0, 0, 0, 0, 1]  # nothing can be chosen at 1
    assert one["input_mask"].marks[0].tolist() == [NOT_MARKED, EXTRA, *[NOT_MARKED] * 3]
    assert one["losses"].values[0, 1].isnan() and one["counted"].values.isfinite().all()
    assert {row.partition(": ")[0] for row in one["guesses"].rows} == {"1", "4"}
    told = picture(sentences=["The [MASK] ate fish pie"]).summary
    assert "! A [MASK] that you type has no right answer: it must not count." in told and "✓" not in told
    swapped = picture(sentences=["The [MASK] ate fish pie"], clicks=[[0, 4, 1]]).summary
    assert "(1 swapped): its mean is NaN." in swapped  # it would take in what has no right answer
    clicked = picture(sentences=["The [MASK] ate fish pie"], clicks=[[0, 1, 1]])
    assert clicked.sentences[0].pressed[1] is False


# --- strategies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["words", "spans", "T5"])
def test_a_strategy_chooses_its_share_and_never_padding_or_a_typed_mask(strategy):
    may_choose = torch.ones(500, 16, dtype=torch.bool)
    may_choose[:, 3] = may_choose[:, 12:] = False
    chosen = choose(may_choose, strategy=strategy, rate=0.4, generator=seeded(0))
    assert not (chosen & ~may_choose).any()
    assert chosen.sum() / may_choose.sum() == pytest.approx(0.4, abs=0.06)


def test_chosen_words_become_80_10_10():
    ids = torch.arange(5, 21).expand(400, 16)
    one = hiding.hidden(ids, ids > 0, torch.zeros_like(ids), strategy="words", rate=0.5, seed=1)
    shares = [((one.fates == fate).sum() / one.chosen.sum()).item() for fate in (MASKED, SWAPPED, KEPT)]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.02)
    assert torch.equal(one.read == MASK_ID, one.fates == MASKED)
    assert torch.equal((one.read != ids) & (one.read != MASK_ID), one.fates == SWAPPED)
    assert one.read[one.fates == SWAPPED].min() >= 5  # no special token


def test_one_word_more_moves_no_other_choice():
    options = {"strategy": "words", "rate": 50, "seed": 7}
    before = read(sentences=["The cat ate fish", "The dog"], **options)
    after = read(sentences=["The cat ate fish pie", "The dog"], **options)
    assert [line[:4] for line in after] == [line[:4] for line in before]
    masks = [schedules((True,) * n, strategy="words", rate=0.15, seed=0) for n in (4, 5)]
    assert torch.equal(*(one[:, :, :4] for one in masks))


def test_another_seed_or_rate_draws_anew_and_a_higher_rate_keeps_what_was_chosen():
    def chosen(**changes):
        return drawn(strategy="words", **changes)["mask"].values.bool()

    assert not torch.equal(chosen(rate=50), chosen(rate=50, seed=1))
    assert (chosen(rate=15) <= chosen(rate=50)).all() and (chosen(rate=50) <= chosen(rate=100)).all()
    assert chosen(rate=100).all() and not chosen(rate=0).any()


def test_what_was_just_done_by_hand_is_not_said_to_happen_never():
    told = [picture(sentences=["cat"] * 2, strategy="words", rate=100, clicks=[[0, 0, n]]).summary for n in (1, 2, 3)]
    assert sum("(as in less than 1 % of all with 1 word)" in one for one in told) == 1  # clicked out of the choice
    assert not any("as in 0 %" in one for one in told)


def test_a_sentence_in_which_nothing_is_chosen_says_so():
    one = picture(**EIGHT)
    counts = [sum(sentence.pressed) for sentence in one.sentences]
    assert counts == [2, 0, 3]
    assert "Nothing is chosen in sentence 2 (as in 27 % of all with 8 words): it teaches nothing." in one.summary
    assert f"{0.85**8:.0%}" == "27%"
    assert drawn(**EIGHT)["counted"].row_notes[1] == "–"
    assert "(1 swapped, 1 unchanged)" in one.summary  # also to be seen in this preset


def test_nothing_chosen_at_all_is_nan():
    told = picture(strategy="words", rate=0).summary
    assert told.startswith("Nothing is chosen: the mean is 0 / 0, NaN. Click a word to hide it.")
    assert drawn(strategy="words", rate=0)["counted"].row_notes == ["–"] * 3


# --- T5 -------------------------------------------------------------------------------------------------


def test_t5_reads_one_sentinel_a_run_and_writes_what_it_stands_for():
    one = picture(strategy="T5", rate=0, clicks=[[0, 1, 1], [0, 2, 1], [0, 4, 1]])
    halves = {panel.name: list(panel.columns) for panel in one.panels[:2]}
    assert halves == {"input": ["The", "<0>", "fish", "<1>"], "target": ["<0>", "cat", "ate", "<1>", "pie"]}
    assert one.panels[0].values.tolist() == [[5, 394, 8, 395]]
    assert one.sentences[0].tokens == lesson.TEXT.split()  # its words stay, with their sentinels below
    assert list(one.sentences[0].below) == ["", "<0>", "<0>", "", "<1>"] and one.sentences[0].edits.high == 1
    told = "T5 reads 4 tokens and writes 5, all of which count in the loss. ✓ Put together again: The cat ate fish pie."
    assert one.summary.startswith(told)


def test_t5_with_nothing_hidden_and_with_no_word():
    assert [panel.name for panel in picture(strategy="T5", rate=0).panels] == ["input", "schedules"]
    assert "nothing to read, and nothing to write" in picture(strategy="T5", sentences=["", "cat"]).summary


# --- static and dynamic ---------------------------------------------------------------------------------


def test_static_and_dynamic_begin_alike_and_only_static_leaves_a_word_out():
    for epochs in (1, 10):
        often = drawn(epochs=epochs)["schedules"].values
        assert torch.equal(often[0], often[1])
    panel = drawn()["schedules"]
    assert torch.equal(drawn(epochs=10)["schedules"].values[0] * 4, panel.values[0])  # each of ten masks four times
    assert panel.row_notes == ["4 of 5", "5 of 5"] and panel.values.tolist()[0][4] == 0
    assert torch.equal(panel.blocked, panel.values == 0)


def test_static_leaves_out_a_fifth_of_all_words_and_dynamic_almost_none():
    hid = torch.stack([schedules((True,) * 16, strategy="words", rate=0.15, seed=s).any(dim=1) for s in range(200)])
    static, dynamic = 1 - hid.float().mean(dim=(0, 2))
    assert static == pytest.approx(0.85**10, abs=0.02) and dynamic == pytest.approx(0.85**40, abs=0.003)


# --- any text -------------------------------------------------------------------------------------------


def test_words_that_it_does_not_know_are_noted_and_their_label_is_unk():
    first = picture(sentences=["My sushi ate"], clicks=[[0, 0, 1]]).sentences[0]
    assert first.tokens == [MASK, MASK, "ate"] and first.below == [UNK, UNK, "−100"]
    assert first.note == "click a word · 2 of 3 chosen; 2 unknown words: [UNK]"


def test_long_sentences_are_said_to_be_new_to_the_model_or_refused():
    assert "No sentence in the lesson's training had more than 9 words." in picture(sentences=["cat " * 16]).summary
    assert "in training" not in picture(sentences=["cat " * 9]).summary
    with pytest.raises(BadInput, match="Sentence 1 has 17 words and the model reads up to 16"):
        picture(sentences=["cat " * 17])
    with pytest.raises(BadInput, match="There is no word yet"):
        picture(sentences=["", " "])
    with pytest.raises(BadInput, match="the model reads up to 9"):
        picture(model=tiny_encoder(0, max_len=9), sentences=["cat " * 10])


# --- the lab --------------------------------------------------------------------------------------------


def test_a_model_that_is_handed_over_is_used_and_none_is_trained(monkeypatch):
    monkeypatch.setattr(lesson, "trained", None)
    one = lesson.lab(UNTRAINED, losses="model")
    assert one.picture["problem"] == "" and "0.505" not in one.picture["summary"]


def test_training_is_shown_by_a_bar(monkeypatch):
    shown = []
    monkeypatch.setattr(training, "progress_bar", lambda items, label: shown.append(label) or [])
    lesson.trained.__wrapped__()
    assert shown == ["training steps"]


def test_a_small_lab_has_the_panels_and_controls_that_are_named():
    one = lesson.lab(UNTRAINED, panels=["guesses"], controls=["strategy"], strategy="words", rate=100)
    assert [panel["name"] for panel in one.picture["panels"]] == ["guesses"] and len(one.controls) == 1
    with pytest.raises(ValueError, match="no panel 'attention'"):
        lesson.lab(UNTRAINED, panels=["attention"])
    with pytest.raises(TypeError, match="no setting 'colour'"):
        lesson.lab(colour="red")
