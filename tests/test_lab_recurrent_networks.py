"""The lab of lesson 02: which state is read, and what it saw on its way; pictures of states, without a browser."""

import pytest
import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from masklab import tiny, training
from masklab.corpus import TAGS, TOPICS, UNK, USUAL, VOCABULARY, batch_text, words_of
from masklab.labs import recurrent_networks as lesson
from masklab.labs.controls import BadInput, controls_of
from masklab.labs.read_outs import READS, ReadOuts, in_words
from masklab.labs.tagged import tags_of
from masklab.models import Classifier, Tagger
from masklab.models.rows import roll_rows
from masklab.panels import MISSED, NOT_MARKED, RIGHT

SENTENCES = lesson.State().sentences
FIRST, LONGEST = SENTENCES[0], 5
KINDS = [(side, direction) for side in ("right", "left") for direction in ("one", "both")]
each_kind = pytest.mark.parametrize(("side", "direction"), KINDS, ids=map("-".join, KINDS))


def state(**changes) -> lesson.State:
    return lesson.State().changed(changes)


def drawn(**changes) -> dict:
    return {panel.name: panel for panel in lesson.draw(state(**changes)).panels}


def summary(**changes) -> str:
    return lesson.draw(state(**changes)).summary


def values(panels: dict, name: str) -> torch.Tensor:
    return panels[name].values


def found(**changes) -> list[str]:
    """The topic of each read-out."""
    return [TOPICS[i] for i in values(drawn(**changes), "topics").argmax(dim=0).tolist()]


def untrained(direction: str = "one", *, dim: int = 8, seed: int = 3) -> Classifier:
    return Classifier(len(VOCABULARY), len(TOPICS), dim=dim, bidirectional=direction == "both", seed=seed)


def padded(text: str = FIRST, *, total: int, side: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The ids of one sentence (1, total) and its length (1,)."""
    batch = batch_text([text])
    ids = F.pad(batch.ids, (0, total - batch.ids.shape[1]))
    return (roll_rows(ids, batch.lengths) if side == "left" else ids), batch.lengths


# --- the numbers are those of the model -----------------------------------------------------------------


@each_kind
def test_every_read_out_is_what_the_classifier_computes_with_it(side, direction):
    model = lesson.trained(direction)
    ids, lengths = padded(total=LONGEST + 6, side=side)
    for i, read in enumerate(("last_step", "last_word", "packed")):
        same = untrained(direction, dim=model.rnn.hidden_size)
        same.load_state_dict(model.state_dict())
        same.read = read
        probabilities = same(ids, lengths, side=side).softmax(dim=-1)[0]
        shown = values(drawn(side=side, direction=direction), "topics")[:, i]
        torch.testing.assert_close(shown, probabilities.detach(), atol=1e-6, rtol=0)


@each_kind
def test_states_are_those_of_torch_and_each_read_out_is_one_of_them(side, direction):
    model, panels = lesson.trained(direction), drawn(side=side, direction=direction)
    ids, lengths = padded(total=LONGEST + 6, side=side)
    states = model.rnn(model.token(ids))[0][0].detach()
    torch.testing.assert_close(values(panels, "states").T, states, atol=1e-6, rtol=0)
    read, half = values(panels, "read").T, model.rnn.hidden_size
    first = 6 if side == "left" else 0
    for row, there, back in ((0, -1, 0), (1, first + 4, first)):
        ends = torch.cat([states[there, :half], states[back, half:]])
        torch.testing.assert_close(read[row], ends, atol=1e-6, rtol=0)
    words = model.token(ids[:, first : first + 5])
    alone = model.rnn(pack_padded_sequence(words, lengths, batch_first=True))[1].flatten()
    torch.testing.assert_close(read[2], alone, atol=1e-6, rtol=0)


@each_kind
def test_what_moved_a_read_out_is_its_gradient_at_each_embedding(side, direction):
    model, moved = lesson.trained(direction), values(drawn(side=side, direction=direction), "moved")
    ids, lengths = padded(total=LONGEST + 6, side=side)
    first, half = 6 if side == "left" else 0, model.rnn.hidden_size
    x = model.token(ids).detach().requires_grad_()
    out = model.rnn(x)[0][0]
    alone = model.rnn(x[:, first : first + 5])[1].flatten()
    ends = [torch.cat([out[there, :half], out[back, half:]]) for there, back in ((-1, 0), (first + 4, first))] + [alone]
    for i, one in enumerate(ends):
        (gradient,) = torch.autograd.grad(model.head(one).max(), x, retain_graph=True)
        pull = gradient[0].norm(dim=-1)
        torch.testing.assert_close(moved[i], pull / pull.sum(), atol=1e-5, rtol=0)
    torch.testing.assert_close(moved.sum(dim=1), torch.ones(3))


def test_the_share_of_the_pads_stands_beside_each_row():
    moved = drawn()["moved"]
    assert moved.row_notes == [f"{moved.values[i, 5:].sum():.2f}" for i in range(3)]
    assert float(moved.row_notes[0]) > 0.5 and moved.row_notes[1:] == ["0.00", "0.00"]


# --- what clicks ----------------------------------------------------------------------------------------


def test_at_first_sight_the_last_step_finds_another_topic():
    picture, panels = lesson.draw(state()), drawn()
    assert list(panels) == ["states", "read", "topics", "moved"]
    assert found() == ["FOOD", "BEHAVIOR", "BEHAVIOR"]
    assert values(panels, "topics")[1, 2] > 0.8 and values(panels, "topics")[0, 0] > 0.7
    food, behavior = panels["topics"].marks[:2].tolist()
    assert (food, behavior) == ([MISSED, NOT_MARKED, NOT_MARKED], [NOT_MARKED, RIGHT, RIGHT])
    assert not panels["topics"].marks[2:].any()
    assert panels["states"].column_pads == panels["moved"].column_pads == [False] * 5 + [True] * 6
    last_step = values(panels, "topics")[0, 0]
    assert f"✗ Last step: now FOOD ({last_step:.2f})." in picture.summary
    assert "✓ Last word: the same state. Only the last step has read 6 pads." in picture.summary
    assert picture.sentences[0].note == "5 of 11 are words"


def test_more_pads_drift_the_last_step_and_the_others_stand_still():
    reads = torch.stack([values(drawn(more=more), "read") for more in range(13)])  # (13, units, 3)
    moves = (reads - reads[0]).abs().amax(dim=1)  # (13, 3)
    assert (moves[:, 1:] < 1e-6).all() and (moves[1:, 0] > 0.1).all()
    torch.testing.assert_close(reads[0, :, :2], reads[0, :, 2:].expand(-1, 2), atol=1e-6, rtol=0)  # no pad at all
    assert found(more=0) == ["BEHAVIOR"] * 3 and found(more=12) == ["FOOD", "BEHAVIOR", "BEHAVIOR"]
    assert found(more=2)[0] != "BEHAVIOR"  # a pad or two is enough


def test_padding_on_the_left_breaks_the_last_word_too():
    assert found(side="left") == ["FOOD", "FOOD", "BEHAVIOR"]
    read, right = (values(drawn(side=side), "read") for side in ("left", "right"))
    assert torch.equal(read[:, 0], read[:, 1])  # the last word *is* the last step
    torch.testing.assert_close(read[:, 2], right[:, 2], atol=1e-6, rtol=0)
    told = summary(side="left")
    assert told.count("✗") == 2 and "Both have read 6 pads first: the last word is the last step." in told


@pytest.mark.parametrize(("side", "broken"), [("right", "←"), ("left", "→")])
def test_with_two_directions_one_of_them_begins_in_the_pads(side, broken):
    panels = drawn(side=side, direction="both")
    assert panels["states"].rows == [f"{arrow}{i}" for arrow in "→←" for i in (1, 2, 3, 4)]
    gap = (values(panels, "read")[:, 1] - values(panels, "read")[:, 2]).abs().unflatten(0, (2, 4)).amax(dim=1)
    wrong = "→←".index(broken)
    assert gap[wrong] > 0.01 and gap[1 - wrong] < 1e-6
    assert f"Direction {broken} begins with 6 pads" in summary(side=side, direction="both")


def test_with_two_directions_the_last_word_changes_and_packed_stands_still():
    assert found(direction="both") == ["HEALTH", "HEALTH", "BEHAVIOR"]
    packed = torch.stack([
        values(drawn(direction="both", side=side, more=more), "read")[:, 2]
        for side in ("left", "right") for more in (0, 3, 12)
    ])  # fmt: skip
    torch.testing.assert_close(packed, packed[:1].expand_as(packed), atol=1e-6, rtol=0)


@each_kind
def test_without_a_pad_all_read_the_same(side, direction):
    told = summary(more=0, side=side, direction=direction)
    assert told.count("✓") == 2 and "✗" not in told and told.endswith("There is no pad to read.")


def test_another_state_with_the_same_topic_is_said_to_be_another_state():
    told = summary(shown=2)  # a sentence of FOOD, the topic that this model drifts to
    assert found(shown=2) == ["FOOD"] * 3
    assert "✗ Last step: another state, still FOOD" in told and "✓ Last word" in told


def test_states_are_compared_number_by_number():
    """The last step is off by a thousandth, below zero and in one number of two; the last word by rounding."""
    states = torch.tensor([[-1e-3, 0.0], [-1e-6, 0.0], [0.0, 0.0]])
    probabilities = torch.tensor([[0.6, 0.4, 0.0, 0.0], [0.7, 0.3, 0.0, 0.0], [0.8, 0.2, 0.0, 0.0]])
    one = ReadOuts(steps=states, states=states, probabilities=probabilities, moved=states)
    assert in_words(one, untrained(), torch.tensor([True, False]), side="right") == (
        "Packed: FOOD (0.80). ✗ Last step: another state, still FOOD (0.60). ✓ Last word: the same state. "
        "Only the last step has read 1 pad."
    )


def test_pads_come_from_the_longest_sentence_and_the_slider():
    sentences = lesson.draw(state(shown=1, more=2)).sentences
    assert [one.pads.count(True) for one in sentences] == [2, 3, 3]
    assert len(drawn(shown=1, more=2)["states"].columns) == 7
    assert summary(shown=1, more=0).endswith("has read 1 pad.")
    assert lesson.draw(state(more=2.9)).sentences[0].tokens == sentences[0].tokens  # a page of ours sends integers


def test_a_sentence_is_read_alike_whatever_the_others_are():
    alone = drawn(sentences=[FIRST], more=6)
    for name, panel in drawn().items():
        torch.testing.assert_close(panel.values, alone[name].values)


def test_a_pad_that_packing_hides_is_blocked():
    blocked = drawn(side="left")["moved"].blocked
    assert blocked.tolist() == [[False] * 11, [False] * 11, [True] * 6 + [False] * 5]


# --- the tagger's view ----------------------------------------------------------------------------------

TAGGER = {"view": "tagger", **lesson.EXAMPLES["tagger"]}
IS_WORD = torch.arange(7) < torch.tensor([[5], [4], [2]])


def tagged(**changes):
    """The tagger's view, and its panels by name."""
    picture = lesson.draw(state(**TAGGER | changes))
    return picture, {panel.name: panel for panel in picture.panels}


def by_hand(trained: str = "with the mask", *, side: str = "right", more: int = 2):
    """Its losses, labels, logits and words: (3, L)."""
    texts = list(map(words_of, TAGGER["sentences"]))
    ids = [torch.tensor(VOCABULARY.encode(words)) for words in texts]
    labels = [torch.tensor([1 + TAGS.index(tag) for tag in tags_of(words)]) for words in texts]
    padding = [((5 + more - len(one), 0) if side == "left" else (0, 5 + more - len(one))) for one in ids]
    ids, labels = (torch.stack([F.pad(*one) for one in zip(rows, padding, strict=True)]) for rows in (ids, labels))
    logits = lesson.trained_tagger(trained)(ids, torch.tensor([5, 4, 2]), side=side).detach()
    return F.cross_entropy(logits.transpose(1, 2), labels, reduction="none"), labels, logits, ids > 0


@pytest.mark.parametrize("trained", lesson.AT_PADS)
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("more", [0, 2, 12])
def test_losses_mask_and_means_are_those_of_torch(trained, side, more):
    losses, labels, logits, is_word = by_hand(trained, side=side, more=more)
    picture, panels = tagged(trained=trained, side=side, more=more)
    assert list(panels) == ["losses", "mask", "counted", "numbers"]
    torch.testing.assert_close(panels["losses"].values, losses)
    assert torch.equal(panels["mask"].values.bool(), is_word) and torch.equal(panels["counted"].blocked, ~is_word)
    torch.testing.assert_close(panels["counted"].values, losses * is_word)
    ignored = F.cross_entropy(logits.transpose(1, 2), labels.masked_fill(~is_word, -100))
    numbers = panels["numbers"].values[:, 0]
    torch.testing.assert_close(numbers, torch.stack([losses[is_word].mean(), losses.mean(), ignored]))
    torch.testing.assert_close(numbers[0], numbers[2])
    assert panels["numbers"].marks[:, 0].tolist() == [NOT_MARKED, MISSED, RIGHT]
    names = ("[PAD]", *TAGS)
    for row, line in enumerate(picture.sentences):
        places = zip(logits.argmax(dim=-1)[row].tolist(), labels[row].tolist(), is_word[row].tolist(), strict=True)
        assert line.below == [names[one] + " ✗" * (word and one != right) for one, right, word in places]


def test_the_taggers_summary_says_what_is_drawn():
    picture, panels = tagged()
    words, positions, _ = panels["numbers"].values[:, 0].tolist()
    wrong = sum("✗" in tag for line in picture.sentences for tag in line.below)
    assert picture.summary.startswith(f"Mean over the 11 words: {words * 11:.2f} / 11 = {words:.2f}. ")
    assert f"✓ ignore_index=-100 gives the same. ✗ Over all 21 positions: {positions:.2f}. " in picture.summary
    assert f"{11 - wrong} of 11 words tagged right; “" in picture.summary and wrong > 0
    assert "no loss mask undoes that" not in picture.summary
    assert tagged(side="left")[0].summary.endswith("The pads are read before the words, and no loss mask undoes that.")
    alone = tagged(sentences=["The cat ate"], more=0, side="left")[0].summary
    assert "✓ Over all 3 positions: the same. 3 of 3 words tagged right." in alone and alone.endswith("right.")


def test_by_the_mean_over_all_positions_the_worse_tagger_looks_better():
    with_mask, without = (tagged(trained=name)[1]["numbers"].values[:, 0] for name in lesson.AT_PADS)
    assert with_mask[0] < without[0] - 0.1 and with_mask[1] > without[1] + 1


def test_more_pads_move_the_mean_over_positions_only():
    few, many = (tagged(more=more)[1]["numbers"].values[:, 0] for more in (0, 12))
    torch.testing.assert_close(few[[0, 2]], many[[0, 2]])
    assert many[1] > few[1] + 0.5
    assert tagged(trained="without it", more=12)[1]["numbers"].values[1] < 0.3


def test_on_the_left_what_is_said_of_words_depends_on_the_pads():
    right, left = (tagged(trained="without it", side=side) for side in ("right", "left"))
    assert left[1]["numbers"].values[0] > right[1]["numbers"].values[0] + 0.1
    assert right[0].sentences[2].below[0] == "NOUN" and left[0].sentences[2].below[5] == "[PAD] ✗"


def test_the_mask_is_painted_before_it_is_revealed():
    painted = [(0, 5), (0, 6), (1, 0)]
    picture, panels = tagged(predict=True, painted=painted)
    losses, labels, logits, _ = by_hand()
    left = torch.ones(3, 7, dtype=torch.bool)
    left[tuple(torch.tensor(painted).T)] = False
    assert torch.equal(panels["mask"].values.bool(), left) and panels["mask"].title == "your mask"
    assert panels["mask"].edits.key == "painted" and panels["mask"].marks is None
    assert picture.summary.startswith(
        f"Paint the losses that should not count: 3 painted so far. Then reveal. Mean over the 18 unmasked positions: "
        f"{losses[left].sum():.2f} / 18 = {losses[left].mean():.2f}. ✓ ignore_index=-100 gives the same."
    )
    assert "tagged right" not in picture.summary
    assert panels["numbers"].rows == ["your mask", "positions", "ignore_index"]  # pads may count in it
    ignored = F.cross_entropy(logits.transpose(1, 2), labels.masked_fill(~left, -100))
    torch.testing.assert_close(panels["numbers"].values[2, 0], ignored)
    picture, panels = tagged(predict=True, painted=painted, reveal=True)
    assert torch.equal(panels["mask"].values.bool(), IS_WORD) and panels["mask"].edits is None
    assert panels["numbers"].rows[0] == "words"
    assert panels["mask"].marks[0, 4:].tolist() == [NOT_MARKED, RIGHT, RIGHT]
    assert picture.summary.startswith(
        "You masked 2 of the 10 cells to mask (✓ 2, ✗ 8 missed), and 1 too many (!). Mean over the 11 words: "
    )


def test_where_nothing_counts_the_mean_is_nan_and_said():
    every = [(row, place) for row in range(3) for place in range(7)]
    picture, panels = tagged(predict=True, painted=every)
    numbers = panels["numbers"].values[:, 0]
    assert numbers[[0, 2]].isnan().all() and numbers[1].isfinite() and panels["numbers"].marks is None
    assert "Nothing counts: 0 / 0 is NaN, with ignore_index=-100, too." in picture.summary


def test_what_happens_to_unknown_words_is_said_and_a_sentence_without_words_is_drawn():
    picture, panels = tagged(sentences=["Sushi ate 🐈", "", "The [MASK]"], shown=1)
    assert picture.sentences[0].note == "3 of 5 are words; 2 unknown words: read as [UNK], labelled NOUN"
    assert picture.sentences[1].note == "no word yet: all padding" and picture.shown == 1
    assert panels["losses"].values.isfinite().all() and panels["counted"].row_notes[1] == "–"
    assert all(word.lower() in USUAL for word in VOCABULARY.words)  # any other word is unknown
    with pytest.raises(BadInput, match="There is no word yet"):
        tagged(sentences=["", "!"])
    with pytest.raises(BadInput, match="Sentence 1 has 257 words"):
        tagged(sentences=["cat " * 257])
    assert tagged(sentences=["cat " * 256] * 6, more=12)[1]["losses"].values.shape == (6, 268)


def test_a_view_brings_its_example_and_ends_a_guess():
    lab = lesson.lab(view="tagger")
    assert lab.state["sentences"] == list(TAGGER["sentences"]) and lab.state["more"] == 2
    assert lesson.lab(view="tagger", sentences=["A dog"]).state["sentences"] == ["A dog"]
    view = controls_of(lesson.State)["view"]
    assert view.sets == {"predict": False, "painted": [], "reveal": False} and view.each == lesson.EXAMPLES


def test_taggers_that_are_handed_over_are_shown_and_only_a_missing_one_is_trained(monkeypatch):
    asked, other = [], Tagger(len(VOCABULARY), len(tiny.TAG_LABELS), seed=5)  # packed
    monkeypatch.setattr(lesson, "trained_tagger", lambda name: asked.append(name) or tiny.tiny_tagger(3))
    handed = {"with the mask": other}
    left, right = (lesson.draw(state(**TAGGER, side=side), taggers=handed) for side in ("left", "right"))
    assert asked == [] and "undoes" not in left.summary
    torch.testing.assert_close(left.panels[3].values[[0]], right.panels[3].values[[0]])
    lab = lesson.lab(taggers=handed, **TAGGER, trained="without it")
    assert set(asked) == {"without it"} and lab.picture["problem"] == ""


# --- text -----------------------------------------------------------------------------------------------


def test_unknown_words_are_unk_and_the_note_says_how_many():
    picture = lesson.draw(state(sentences=["My dog ate xyz", FIRST], more=0))
    assert picture.sentences[0].below == [UNK, "", "", UNK, ""]
    assert picture.sentences[0].note == "4 of 5 are words; 2 unknown words: [UNK]"
    assert picture.sentences[1].below == [] and picture.panels[0].columns == [UNK, "dog", "ate", UNK, "[PAD]"]


@pytest.mark.parametrize("sentences", [[], [""], ["  ", "\n"], ["...!"]])
def test_no_word_at_all_is_one_sentence(sentences):
    with pytest.raises(BadInput, match="There is no word yet"):
        lesson.draw(state(sentences=sentences))


@each_kind
def test_a_sentence_without_words_has_a_last_step_only(side, direction):
    picture = lesson.draw(state(sentences=[FIRST, ""], shown=1, side=side, direction=direction))
    states, read, topics, moved = (panel.values for panel in picture.panels)
    assert states.isfinite().all() and not topics[:, 0].isnan().any() and moved[0].sum().item() == pytest.approx(1)
    assert all(one.isnan().all() for one in (read[:, 1:], topics[:, 1:], moved[1:]))
    assert not picture.panels[2].marks.any()
    assert picture.summary == "There is no last word, and nothing to pack: the last step has read 11 pads."


def test_longer_sentences_than_in_training_are_said_to_be():
    said = "No sentence in training had more than 14 words."
    assert summary(sentences=["cat " * 15]).endswith(said) and said not in summary(sentences=["cat " * 14])
    assert said not in summary(sentences=["cat " * 15, FIRST], shown=1)


def test_the_longest_text_is_drawn_and_more_is_one_sentence():
    assert drawn(sentences=["cat " * 256], more=12)["states"].values.shape == (8, 268)
    with pytest.raises(BadInput, match="Sentence 1 has 257 words and the lab draws up to 256"):
        lesson.draw(state(sentences=["cat " * 257]))


def test_16_words_have_their_numbers():
    assert all(panel.written for panel in drawn(sentences=["cat " * 16], more=1).values())


# --- models ---------------------------------------------------------------------------------------------


def test_models_that_are_handed_over_are_shown_and_only_a_missing_one_is_trained(monkeypatch):
    asked = []
    monkeypatch.setattr(lesson, "trained", lambda name: asked.append(name) or untrained(name))
    lesson.draw(state(), {"one": untrained()})
    lesson.draw(state(direction="both"), {"one": untrained()})
    assert asked == ["both"]
    lab = lesson.lab({"one": untrained(dim=5)}, more=1)
    assert lab.picture["panels"][0]["shape"] == [5, 6] and lab.picture["problem"] == ""


def test_only_of_a_model_that_was_trained_packed_it_is_said():
    other = untrained()
    other.read = "last_step"
    said = "none was met in training"
    assert said in drawn()["states"].meaning
    assert said not in lesson.draw(state(), {"one": other}).panels[0].meaning


def test_training_works_where_a_lab_draws_with_a_bar_and_leaves_no_gradient(monkeypatch):
    shown = []
    monkeypatch.setattr(training, "progress_bar", lambda items, label: shown.append(label) or items)
    lesson.trained.cache_clear()
    lab = lesson.lab()
    assert shown == ["training steps"]
    assert lab.picture["problem"] == "" and len(lab.picture["panels"]) == 4
    model = lesson.trained("one")
    before = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    lesson.draw(state())
    assert all(b is p.grad or torch.equal(b, p.grad) for b, p in zip(before, model.parameters(), strict=True))


def test_rows_and_columns_are_linked_by_unit_position_read_out_and_topic():
    assert [panel.axes for panel in drawn().values()] == [
        ("unit", "position"), ("unit", "read-out"), ("topic", "read-out"), ("read-out", "position"),
    ]  # fmt: skip
    assert drawn()["read"].columns == list(READS) == drawn()["moved"].rows
