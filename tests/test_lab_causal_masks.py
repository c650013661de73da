"""The lab of lesson 06: what its picture shows, compared with the model itself, and that it never dies."""

import pytest
import torch
import torch.nn.functional as F

from masklab.corpus import BOS, EOS, UNK, VOCABULARY, batch_text
from masklab.labs import causal_masks as lesson
from masklab.labs.controls import BadInput
from masklab.labs.reading import VIEWS, attended, logits_one_by_one
from masklab.models import GPT, language_loss, left_to_right_loss
from masklab.panels import EXTRA, MISSED, RIGHT
from masklab.tiny import tiny_gpt

TEXT = "The cat ate fish pie"
L = 6  # with [BOS]
LONG = " ".join(["The cat ate fish"] * 4)  # 16 words


def state(**changes) -> lesson.State:
    return lesson.State().changed(changes)


def raw(**changes) -> dict:
    """A state as a page sends it."""
    return lesson.State().raw() | changes


def drawn(**changes) -> dict:
    """The panels of a state, by name."""
    return {panel.name: panel for panel in lesson.draw(state(**changes)).panels}


def values(panels, name: str) -> torch.Tensor:
    return panels[name].values


def summary(**changes) -> str:
    return lesson.draw(state(**changes)).summary


def ids_of(text: str = TEXT) -> torch.Tensor:
    return torch.tensor([VOCABULARY.encode([BOS, *text.split()])])


def untrained(*, seed: int = 0, layers: int = 2) -> GPT:
    """Two blocks, so that a cache that saw too much would show."""
    return GPT(len(VOCABULARY), dim=16, heads=2, layers=layers, max_len=32, seed=seed).eval()


# --- first sight ----------------------------------------------------------------------------------------


def test_first_sight_is_a_causal_mask_and_numbers_that_generation_gets_too():
    picture, panels = lesson.draw(state()), drawn()
    assert list(panels) == ["scores", "mask", "masked", "weights", "next", "loss"]
    bias = torch.full((L, L), -torch.inf).triu(diagonal=1)
    assert torch.equal(values(panels, "mask"), bias)
    assert torch.equal(values(panels, "masked"), values(panels, "scores") + bias)
    assert torch.equal(values(panels, "weights"), values(panels, "masked").softmax(dim=-1))
    assert panels["weights"].rows == panels["weights"].columns == [BOS, *TEXT.split()]
    assert picture.sentences[0].pressed == [False, False, False, True, False, False]  # after "ate"
    assert picture.summary.startswith('✓ One by one, row "ate" has the same numbers.')


@pytest.mark.parametrize(("name", "diagonal"), [("causal", 1), ("too far", 2), ("none", L)])
def test_masks_are_those_of_triu(name, diagonal):
    bias = torch.full((L, L), -torch.inf).triu(diagonal=diagonal)
    assert torch.equal(values(drawn(mask=name), "mask"), bias)


def test_the_mask_now_is_that_of_the_training_or_another():
    assert torch.equal(values(drawn(mask="too far"), "mask"), torch.full((L, L), -torch.inf).triu(diagonal=2))
    one_too_far = drawn(model="too far")
    assert torch.equal(values(one_too_far, "mask"), torch.full((L, L), -torch.inf).triu(diagonal=2))
    assert torch.equal(values(drawn(model="too far", mask="causal"), "mask"), values(drawn(), "mask"))


# --- the same numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("t", range(L))
@pytest.mark.parametrize("seed", [0, 1])
def test_under_the_causal_mask_a_row_is_what_generation_and_a_cache_compute(t, seed):
    model, ids = untrained(seed=seed), ids_of()
    allowed = lesson.RULES["causal"].tensor(queries=L, keys=L)
    until = allowed[..., : t + 1, : t + 1]
    at_once, _ = attended(model, ids, allowed)
    generated, _ = attended(model, ids[:, : t + 1], until)
    cached, attention = attended(model, ids[:, : t + 1], until, first=t)
    assert attention.weights.shape[2:] == (1, t + 1) and cached.shape == (1, len(VOCABULARY))
    for other in (generated[-1], cached[0], logits_one_by_one(model, ids, allowed)[t]):
        torch.testing.assert_close(at_once[t], other, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["too far", "none"])
def test_without_it_they_are_not(name):
    model, ids, allowed = untrained(), ids_of(), lesson.RULES[name].tensor(queries=L, keys=L)
    at_once, _ = attended(model, ids, allowed)
    gaps = (at_once - logits_one_by_one(model, ids, allowed)).abs().amax(dim=1)
    assert (gaps[:-1] > 0.01).all() and gaps[-1] < 1e-5  # after the last word nothing comes


@pytest.mark.parametrize("name", lesson.RULES)
def test_one_by_one_is_the_text_up_to_each_word(name):
    model, ids = untrained(), ids_of()
    one_by_one = logits_one_by_one(model, ids, lesson.RULES[name].tensor(queries=L, keys=L))
    for n in range(L):
        alone = model(ids[:, : n + 1], lesson.RULES[name].tensor(queries=n + 1, keys=n + 1))[0, -1]
        torch.testing.assert_close(one_by_one[n], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("t", [0, 3, 5])
def test_the_views_show_one_row_each_in_its_own_frame(t):
    training, generation, cached = (drawn(view=view, step=t) for view in VIEWS)
    for name in ("scores", "masked", "weights"):
        assert values(generation, name).shape == (t + 1, t + 1) and values(cached, name).shape == (1, t + 1)
        row = values(training, name)[t, : t + 1]
        torch.testing.assert_close(values(generation, name)[t], row, atol=1e-5, rtol=0)
        torch.testing.assert_close(values(cached, name)[0], row, atol=1e-5, rtol=0)
    assert [panels["weights"].current for panels in (training, generation, cached)] == [t, t, 0]
    assert cached["weights"].start == (t, 0) and cached["weights"].rows == [[BOS, *TEXT.split()][t]]
    assert generation["scores"].limits == cached["scores"].limits == training["scores"].limits  # and its colours
    for panels in (generation, cached):
        torch.testing.assert_close(values(panels, "next"), values(training, "next"), atol=1e-5, rtol=0)
        torch.testing.assert_close(values(panels, "loss"), values(training, "loss"), atol=1e-5, rtol=0)


@pytest.mark.parametrize("view", VIEWS)
def test_the_summary_says_whether_the_numbers_are_the_same(view):
    same, other = summary(view=view), summary(view=view, model="none")
    assert "✓ " in same and "✗ " in other
    assert "the same numbers." in same and "other logits" not in same
    assert "other logits: up to " in other and "the same numbers" not in other


def test_what_is_not_there_yet_looks_like_padding():
    sentence = lesson.draw(state(view="generation")).sentences[0]
    assert sentence.pads == [False] * 4 + [True] * 2
    assert not any(lesson.draw(state()).sentences[0].pads)


def test_generation_goes_on_by_itself_from_the_step():
    model, ids = lesson.trained("causal"), ids_of()[:, :4]
    for _ in range(6):
        ids = torch.cat([ids, model(ids)[:, -1:].argmax(dim=-1)], dim=1)
    text = " ".join(VOCABULARY.decode(ids[0, 4:])).partition(EOS)
    assert f'By itself it goes on: "{text[0]}{text[1]}".' in summary(view="generation")
    assert "By itself" not in summary(view="generation", sentences=["cat " * 31], step=31)  # there is no room
    assert "By itself" not in summary() and "By itself" not in summary(view="cached")


def test_the_cached_view_says_what_comes_from_the_cache():
    assert "all keys and values but its own come from the cache" in summary(view="cached")
    assert "cache" not in summary(view="cached", step=0)


# --- the next word, and the losses ----------------------------------------------------------------------


@pytest.mark.parametrize("name", lesson.RULES)
def test_losses_are_those_of_cross_entropy_computed_by_hand(name):
    model, ids = lesson.trained(name), ids_of()
    mask = lesson.RULES[name].tensor(queries=L, keys=L)
    labels = torch.tensor([*VOCABULARY.encode(TEXT.split()), VOCABULARY.id(EOS)])
    at_once = F.cross_entropy(model(ids, mask)[0], labels, reduction="none")
    panels = drawn(model=name)
    torch.testing.assert_close(values(panels, "loss")[:, 0], at_once, atol=1e-5, rtol=1e-5)
    assert panels["loss"].row_notes == [*TEXT.split(), EOS]
    one_by_one = left_to_right_loss(model, batch_text([TEXT], ends=True), lesson.RULES[name])
    assert values(panels, "loss")[:, 1].mean().item() == pytest.approx(one_by_one, abs=1e-4)
    right = panels["next"].marks == RIGHT
    assert panels["next"].rows[int(right.int().argmax())] == "fish" and right.sum() == 1
    torch.testing.assert_close(values(panels, "next")[right][0], at_once.neg().exp()[3], atol=1e-5, rtol=1e-4)
    means = values(panels, "loss").mean(dim=0).tolist()
    assert "Mean loss: {:.2f} all at once, {:.2f} one by one.".format(*means) in summary(model=name)


def test_under_the_causal_mask_the_mean_loss_is_the_training_loss():
    loss = language_loss(lesson.trained("causal"), batch_text([TEXT], ends=True), lesson.RULES["causal"])
    assert values(drawn(), "loss")[:, 0].mean().item() == pytest.approx(loss.item(), abs=1e-4)


def test_bars_are_the_best_guesses_and_the_right_word_below_them():
    panels = drawn(step=2)  # "ate" is no good guess after "cat"
    bars = values(panels, "next")[:, 0]
    assert (bars[:4] >= bars[1:5]).all() and len(bars) == 6
    assert panels["next"].rows[5] == "ate" and panels["next"].marks.flatten().tolist() == [0] * 5 + [RIGHT]
    assert drawn(step=5)["next"].rows[0] == EOS


# --- cheating -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["too far", "none"])
def test_a_model_that_saw_the_answer_puts_its_weight_there_and_is_lost_without(name):
    panels = drawn(model=name)
    weight = values(panels, "weights")[3, 4]
    assert weight > 0.8 and f'Row "ate" cheats: weight {weight:.2f} on its answer, "fish".' in summary(model=name)
    loss = values(panels, "loss")
    assert (loss[:-1, 0] < 1).all() and loss[3, 1] > 5
    masked = drawn(model=name, mask="causal")
    torch.testing.assert_close(values(masked, "loss")[3], loss[3, 1].expand(2), atol=1e-4, rtol=1e-4)


def test_nothing_is_said_of_cheating_where_nobody_can():
    assert "cheat" not in summary() and "cheat" not in summary(model="none", mask="causal")
    assert "cheat" not in summary(model="none", view="generation")
    assert summary(model="none", step=5).startswith('The text ends with "pie": there is no answer to look at.')
    assert 'Row "ate" could cheat' in summary(mask="none")  # it never learned to


# --- text -----------------------------------------------------------------------------------------------


def test_unknown_words_are_unk_and_the_note_says_how_many():
    picture = lesson.draw(state(sentences=["My dog ate xyz", TEXT]))
    sentence = picture.sentences[0]
    assert sentence.tokens == [BOS, "My", "dog", "ate", "xyz"] and sentence.below == ["", UNK, "", "", UNK]
    assert sentence.note == "2 unknown words: [UNK]"
    assert picture.sentences[1].note == "" and picture.sentences[1].below == ()
    assert picture.panels[0].rows == [BOS, UNK, "dog", "ate", UNK]


def test_punctuation_is_no_word():
    assert lesson.draw(state(sentences=["The cat, ate!"])).sentences[0].tokens == [BOS, "The", "cat", "ate"]


def test_the_longest_text_is_the_models_and_more_is_one_sentence():
    lab = lesson.lab()
    good = repr(lab)
    lab.state = raw(sentences=["cat " * 32])
    problem = "Sentence 1 has 32 words and the model reads up to 31: your text is kept, shorten it to see it."
    assert lab.picture["problem"] == problem and repr(lab) == f"{good}\n\n{problem}"
    lab.state = raw(sentences=["cat " * 31], step=99)
    assert lab.picture["problem"] == "" and lab.picture["panels"][3]["shape"] == [32, 32]


def test_the_limit_is_that_of_the_model_that_is_handed_over():
    short = {"causal": tiny_gpt(0, heads=1, max_len=4)}
    with pytest.raises(BadInput, match="Sentence 2 has 7 words and the model reads up to 3"):
        lesson.draw(state(), short)
    assert lesson.draw(state(sentences=["The cat ate"]), short).panels


def test_longer_texts_than_in_training_are_said_to_be():
    assert "No text in training had more than 7 words." in summary(sentences=[LONG])
    assert "No text in training" not in summary(shown=1)  # 7 words


def test_16_words_have_their_numbers():
    assert all(panel.written for panel in drawn(sentences=[LONG]).values())


@pytest.mark.parametrize("sentences", [[], [""], ["  ", "\n"], ["...!"]])
def test_no_word_at_all_is_one_sentence(sentences):
    with pytest.raises(BadInput, match="There is no word yet"):
        lesson.draw(state(sentences=sentences))


def test_an_empty_sentence_beside_another_predicts_its_first_word():
    picture = lesson.draw(state(sentences=["", TEXT], step=3))
    assert picture.sentences[0].tokens == [BOS] and picture.sentences[0].pressed == [True]
    assert [panel.values.shape for panel in picture.panels[:4]] == [(1, 1)] * 4


@pytest.mark.parametrize(("step", "shown"), [(-5, 0), (99, 5)])
def test_a_step_outside_the_sentence_is_the_nearest(step, shown):
    assert lesson.draw(state(step=step)).sentences[0].pressed.index(True) == shown
    assert lesson.draw(state(step=step)).sentences[1].pressed.count(True) == 0  # only the shown one has a step


# --- predict first --------------------------------------------------------------------------------------


def test_painting_starts_empty_follows_the_brush_and_is_judged():
    assert (values(drawn(predict=True), "mask") == 0).all()
    assert summary(predict=True) == "Paint the cells that should be blocked: 0 painted so far. Then reveal."
    painted = drawn(predict=True, painted=[[0, 1], [9, 9]])
    assert values(painted, "weights")[0, 1] == 0 and painted["mask"].edits.key == "painted"
    cells = [[0, 1], [0, 2], [3, 3]]
    marks = drawn(predict=True, reveal=True, painted=cells)["mask"].marks
    assert marks[0, 1] == RIGHT and marks[3, 3] == EXTRA and marks[4, 5] == MISSED and marks[2, 2] == 0
    told = summary(predict=True, reveal=True, painted=cells)
    assert told == "You blocked 2 of the 15 cells to block (✓ 2, ✗ 13 missed), and 1 too many (!)."


def test_the_whole_causal_mask_painted_gives_the_causal_numbers():
    cells = torch.ones(L, L).triu(diagonal=1).nonzero().tolist()
    painted, causal = drawn(predict=True, painted=cells), drawn()
    for name in causal:
        torch.testing.assert_close(values(painted, name), values(causal, name))


def test_every_cell_painted_is_drawn_too():
    cells = torch.ones(L, L).nonzero().tolist()
    assert values(drawn(predict=True, painted=cells), "weights").abs().sum() == 0


def test_with_a_cache_there_is_nothing_to_block():
    told = summary(view="cached", predict=True, reveal=True, painted=[[0, 3], [0, 9], [1, 0]])
    assert told == "You blocked 0 of the 0 cells to block (✓ 0, ✗ 0 missed), and 1 too many (!)."


@pytest.mark.parametrize("name", ["view", "model", "mask"])
def test_what_changes_the_right_mask_begins_a_new_guess(name):
    spec = next(spec for spec in lesson.lab().controls if spec["name"] == name)
    assert spec["sets"] == {"painted": [], "reveal": False}


def test_a_guess_is_about_the_causal_mask_whatever_the_mask_was():
    spec = next(spec for spec in lesson.lab(model="none").controls if spec["name"] == "predict")
    assert spec["sets"] == {"painted": [], "reveal": False, "mask": "causal"}


# --- the lab --------------------------------------------------------------------------------------------


def test_only_the_model_that_is_looked_at_is_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(lesson, "trained", lambda name: asked.append(name) or untrained(layers=1))
    lesson.draw(state(model="none"))
    lesson.draw(state(model="causal"), {"causal": untrained(layers=1)})
    assert asked == ["none"]


def test_models_that_are_handed_over_are_shown():
    ours = {"causal": untrained(seed=3)}
    lab = lesson.lab(ours, step=2)
    assert lab.picture["values"] != lesson.lab(step=2).picture["values"]
    assert lab.picture["sentences"][0]["pressed"].index(True) == 2


def test_training_works_where_a_lab_draws():
    """A lab draws without gradients, and a model may be missing then."""
    lesson.trained.cache_clear()
    lab = lesson.lab()
    assert lab.picture["problem"] == "" and len(lab.picture["panels"]) == 6
    assert all(not part.training for part in lesson.trained("causal").modules())


def test_the_repr_is_the_text_twin():
    assert repr(lesson.lab()).startswith("▸ [BOS] The cat ●ate fish pie   Click a word: what comes next?\n")
