"""The lab of lesson 04: its labels, weights, losses and steps are those of plain torch, and its words are true."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from masklab.corpus import VOCABULARY, sentences
from masklab.labs import loss_weights as lesson
from masklab.labs import tagged, two_ways
from masklab.labs.chats import CHATS, END
from masklab.panels import EXTRA, MISSED, Panel, picture_text
from tests.lessons import cells

FIRST = lesson.FIRST
IS_WORD = torch.tensor([[True] * 5, [True] * 4 + [False], [True] * 2 + [False] * 3])
CHAT_LENGTHS = (7, 6, 5)
ROLES = [
    ["prompt", "prompt", "marker", "answer", "answer", "answer", "end"],
    ["prompt", "prompt", "marker", "answer", "answer", "end", ""],
    ["prompt", "prompt", "marker", "answer", "end", "", ""],
]
LABELS = torch.tensor([[0, 1, 2, 3, 1], [0, 1, 4, 2, 0], [1, 2, 0, 0, 0]])  # of the first sentences


def state(view: str = "annotators", **changes) -> lesson.State:
    return lesson.State().changed({"view": view, **lesson.EXAMPLES[view], **changes})


def preset(name: str, **changes) -> lesson.State:
    return lesson.State().changed({**lesson.State.presets[name], **changes})


def drawn(one: lesson.State) -> dict[str, Panel]:
    """The panels of a state, by name."""
    return {panel.name: panel for panel in lesson.draw(one).panels}


def words(one: lesson.State) -> str:
    return lesson.draw(one).summary


def below(one: lesson.State) -> list[list[str]]:
    return [list(line.below) for line in lesson.draw(one).sentences]


def angle(one: lesson.State) -> float:
    """As it is written above the step."""
    return float(drawn(one)["step"].title.partition(": ")[2].partition("°")[0])


def by_hand(logits: Tensor, labels: Tensor, weights: Tensor) -> tuple[float, Tensor, Tensor]:
    """The loss, its gradient by each position's loss, and one step down on a last bias: as a training loop has it."""
    bias = torch.zeros(logits.shape[-1], requires_grad=True)
    losses = F.cross_entropy((logits + bias).transpose(1, 2), labels, reduction="none")
    losses.retain_grad()
    loss = (losses * weights).sum() / weights.sum()
    loss.backward()
    return loss.item(), losses.grad, -bias.grad


def view_of(one: lesson.State):
    return lesson._view(lesson.batch_of(one.sentences), one, one.shown)


STATES = {
    "annotators": state(),
    "other votes": state(votes0=[(4, 0), (4, 1), (4, 2), (0, 5)], votes2=[(0, 1)], shown=2),
    "missing": state("missing"),
    "OTHER": state("missing", label="other", missing=[(0, 0), (2, 1)]),
    "curriculum": state("curriculum"),
    "levels": state("curriculum", stage=1.0, ramp=0.5, levels=[(0, 0, 1.25), (2, 0, 9.0)]),
    "completion": state("completion"),
    "roles": state("completion", roles=[(0, 1), (1, 3)], pads="end"),
}


# --- numbers are torch's ---------------------------------------------------------------------------------


@pytest.mark.parametrize("one", STATES.values(), ids=STATES)
def test_losses_weights_gradients_and_steps_are_those_of_a_training_loop(one):
    panels, view = drawn(one), view_of(one)
    for row, way in enumerate(view.ways):
        loss, pull, step = by_hand(view.logits, way.labels, way.weights)
        assert panels["numbers"].values[row, 0].item() == pytest.approx(loss)
        torch.testing.assert_close(panels["step"].values[row], step[: two_ways.MOST_CLASSES])
        assert panels["step"].rows[row] == panels["numbers"].rows[row] == way.name
        if row == 0:
            torch.testing.assert_close(panels["pull"].values, pull)
            torch.testing.assert_close(panels["weights"].values, way.weights)
    losses = F.cross_entropy(view.logits.transpose(1, 2), view.ways[0].labels, reduction="none")
    torch.testing.assert_close(panels["losses"].values, losses)
    torch.testing.assert_close(panels["weighted"].values, losses * view.ways[0].weights)
    assert torch.equal(panels["weighted"].blocked, view.ways[0].weights == 0)
    assert panels["step"].columns == view.classes[: two_ways.MOST_CLASSES]


@pytest.mark.parametrize("one", STATES.values(), ids=STATES)
def test_the_words_say_both_losses_and_the_angle(one):
    view, said = view_of(one), words(one)
    first, second = (by_hand(view.logits, way.labels, way.weights) for way in view.ways)
    for way, (loss, *_) in zip(view.ways, (first, second), strict=True):
        total = way.weights.sum().item()
        assert f"with {way.name}: {loss * total:.2f} / {total:.2f} = {loss:.2f}" in said
    cosine = F.cosine_similarity(first[2], second[2], dim=0).item()
    assert angle(one) == pytest.approx(math.degrees(math.acos(min(cosine, 1.0))), abs=0.06)
    assert f"The steps point {angle(one):.1f}° apart" in said


def test_first_sight_is_what_the_page_says():
    picture, panels = lesson.draw(lesson.State()), drawn(lesson.State())
    assert list(panels) == ["votes", "losses", "weights", "weighted", "numbers", "pull", "step"]
    assert picture.summary == (
        "Loss with weights: 3.68 / 9.50 = 0.39, with all 1: 4.50 / 11.00 = 0.41. "
        "The steps point 18.7° apart. 5 words with a weight below 1."
    )
    share = [[1, 1, 1, 0.7, 0.7], [1, 1, 0.7, 0.7, 0], [1, 0.7, 0, 0, 0]]
    torch.testing.assert_close(panels["weights"].values, torch.tensor(share))
    assert torch.equal(panels["weights"].blocked, ~IS_WORD)
    assert below(lesson.State()) == [
        ["DET", "NOUN", "VERB", "ADJ", "NOUN"], ["DET", "NOUN", "OTHER", "VERB", ""], ["NOUN", "VERB", "", "", ""],
    ]  # fmt: skip


def test_a_harder_word_has_a_larger_loss_on_average():
    """What makes the made-up losses plausible: the reason for their seed."""
    text = tagged.tagged(lesson.batch_of(FIRST), FIRST)
    losses = F.cross_entropy(text.logits.transpose(1, 2), text.labels, reduction="none")
    means = [losses[text.difficulty == level].mean().item() for level in (0, 1, 2)]
    assert means == sorted(means)


# --- annotators ------------------------------------------------------------------------------------------


def test_labels_and_weights_are_those_of_the_lessons_own_cell():
    winner_and_share = cells("loss_weights", "import torch\n", "def winner_and_share")["winner_and_share"]
    for changes in ({}, {"votes0": [(4, i) for i in range(4)], "votes1": [(0, 0), (3, 0), (3, 1)]}):
        one = state(**changes)
        text = tagged.tagged(lesson.batch_of(FIRST), FIRST)
        for row, sentence in enumerate(FIRST):
            shown = state(**changes, shown=row)
            votes = torch.tensor([[
                [text_vote(word, tag, mark) for mark in marks]
                for word, tag, marks in zip(
                    sentence.split(), text.tags[row], drawn(shown)["votes"].values.tolist(), strict=True
                )
            ]])  # fmt: skip
            labels, shares = winner_and_share(votes, len(tagged.TAGS))
            count = len(sentence.split())
            torch.testing.assert_close(drawn(one)["weights"].values[row, :count], shares[0])
            assert below(one)[row][:count] == [tagged.TAGS[label] for label in labels[0]]


def text_vote(word: str, tag: str, mark: int) -> int:
    """A vote by its number in the panel: 1 for the word's tag, 0 for the other one."""
    return tagged.candidates(word, tag)[1 - mark]


def test_one_dissenting_vote_turns_the_step_and_not_the_label():
    agreed = preset("All agree")
    panels = drawn(agreed)
    assert (panels["weights"].values == IS_WORD).all() and angle(agreed) == 0
    assert "Both steps point the same way. Every weight is 1." in words(agreed)
    for place in range(5):
        votes = agreed.votes0
        one = preset("All agree", votes0=[*votes, (place, 0)] if (place, 0) not in votes else votes[1:])
        assert drawn(one)["weights"].values[0, place].item() == pytest.approx(0.9)
        assert below(one) == below(agreed) and angle(one) > 0.2
        assert f"The steps point {angle(one):.1f}° apart" in words(one)
        assert "1 word with a weight below 1." in words(one)
        torch.testing.assert_close(drawn(one)["step"].values[1], panels["step"].values[1])  # of all 1


def test_the_winner_changes_when_most_votes_do_and_a_tie_is_said():
    ways = {1: "7 NOUN, 3 VERB", 2: "5 NOUN, 5 VERB", 3: "6 VERB, 4 NOUN"}
    for k, flips in {1: 0, 2: 2, 3: 3}.items():
        one = state(votes0=[(4, i) for i in range(flips)])
        assert drawn(one)["votes"].row_notes[4] == ways[k]
        assert below(one)[0][4] == ("VERB" if k == 3 else "NOUN")
        assert ("A tie: the smaller id wins." in words(one)) == (k == 2)
        assert ("“fish” is now VERB, not NOUN." in words(one)) == (k == 3)


def test_when_all_err_alike_the_label_is_wrong_and_its_weight_is_1():
    one = preset("All wrong")
    assert drawn(one)["weights"].values[0, 4] == 1 and below(one)[0][4] == "VERB"
    assert drawn(one)["votes"].row_notes[4] == "10 VERB" and angle(one) == 0
    assert words(one).endswith("Both steps point the same way. “fish” is now VERB, not NOUN, and no weight shows it.")


def test_the_votes_are_those_of_the_shown_sentence_and_each_sentence_keeps_its_own():
    one = state(votes1=[(0, 0)], shown=1)
    votes = drawn(one)["votes"]
    assert list(votes.rows) == FIRST[1].split() and votes.edits.key == "votes1"
    assert votes.values[0].tolist() == [0] + [1] * 9 and votes.edits.cells == [[0, 0]]
    assert drawn(state(votes1=[(0, 0)]))["weights"].values[1, 0].item() == pytest.approx(0.9)
    assert (drawn(state(votes1=[(0, 0)]))["votes"].values[0] == 1).all()


# --- missing labels --------------------------------------------------------------------------------------


def test_a_word_without_a_label_has_a_weight_of_0_or_the_label_other():
    one, other = state("missing"), state("missing", label="other")
    assert torch.equal(drawn(one)["weights"].values > 0, IS_WORD & (LABELS != tagged.OTHER))
    assert torch.equal(drawn(other)["weights"].values > 0, IS_WORD) and drawn(other)["weights"].edits is None
    assert torch.equal(drawn(other)["weights"].blocked, ~IS_WORD)  # what has no label counts
    assert below(one)[1][2] == "–" and below(other)[1][2] == "OTHER"
    for picture in map(lesson.draw, (one, other)):
        assert [list(line.pressed) for line in picture.sentences][1] == [True, True, False, True, False]
    assert drawn(one)["step"].rows == ["weight 0", "OTHER"] and drawn(other)["step"].rows == ["OTHER", "weight 0"]
    torch.testing.assert_close(drawn(one)["step"].values.flip(0), drawn(other)["step"].values)


def test_a_click_takes_a_label_away_and_gives_it_back():
    one = state("missing", missing=[(0, 1), (1, 2)])
    weights = drawn(one)["weights"]
    assert weights.values[0, 1] == 0 and weights.values[1, 2] == 1 and weights.blocked[0, 1]
    assert below(one)[0][1] == "–" and below(one)[1][2] == "OTHER"  # its rare tag
    assert weights.edits.key == "missing" and lesson.draw(one).sentences[0].edits == weights.edits
    assert words(state("missing", missing=[(1, 2)])).endswith("Every word has a label: click one away.")


def test_what_other_does_is_told_as_it_is_drawn():
    for one in (state("missing"), preset("No nouns")):
        panel = drawn(one)["step"]
        moves = {way: f"{panel.values[i, tagged.OTHER]:.3f}".replace("-", "−") for i, way in enumerate(panel.rows)}
        said = f"With OTHER as the label, OTHER moves by {moves['OTHER']}, with weight 0 by {moves['weight 0']}."
        assert words(one).endswith(said)
    assert words(state("missing")).count("1 word without a label.") == 1
    assert "5 words without a label." in words(preset("No nouns"))
    nouns = drawn(preset("No nouns"))["step"]
    assert nouns.values[0, tagged.OTHER] > 0 > nouns.values[1, tagged.OTHER]  # the model learns to say OTHER
    assert nouns.values[0, 1] < 0 < nouns.values[1, 1] + 0.2  # and that nouns are wrong


def test_no_label_at_all_is_nan_and_said():
    gone = [(row, place) for row, place in (IS_WORD & (LABELS != tagged.OTHER)).nonzero().tolist()]
    one = state("missing", missing=gone)
    assert words(one).startswith("✗ Nothing is supervised: 0 / 0 is NaN, and every gradient is 0. ")
    panels = drawn(one)
    assert panels["numbers"].values[0].isnan().all() and (panels["pull"].values == 0).all()
    assert panels["step"].title == "the step" and "apart" not in words(one)


# --- curriculum ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("ramp", [0.5, 1.0, 2.0])
def test_weights_are_those_of_the_lessons_own_cell(stage, ramp):
    curriculum = cells("loss_weights", "import torch\n", "def stage_weights")["stage_weights"]
    panels = drawn(state("curriculum", stage=stage, ramp=ramp))
    torch.testing.assert_close(panels["weights"].values, curriculum(panels["difficulty"].values, stage, ramp))


def test_difficulties_are_the_corpus_and_can_be_set():
    levels = drawn(state("curriculum"))["difficulty"].values
    assert levels.tolist() == [[0, 0, 0, 1, 1], [0, 0, 1, 2, math.inf], [0, 2, *[math.inf] * 3]]
    for example in sentences(n=200):
        assert [tagged.difficulty_of(*one) for one in zip(example.words, example.tags, strict=True)] == list(
            example.difficulty
        )
    one = state("curriculum", stage=0.0, ramp=0.0, levels=[(0, 0, 3.0), (1, 4, 0.0), (7, 7, 0.0)])
    panels = drawn(one)
    assert panels["difficulty"].values[0, 0] == 3 and panels["weights"].values[0, 0] == 0
    assert panels["difficulty"].values[1, 4] == math.inf and panels["weights"].values[1, 4] == 0  # padding stays
    unknown = drawn(state("curriculum", sentences=["The axolotl ate"]))["difficulty"].values
    assert "axolotl" not in VOCABULARY.words and unknown.tolist() == [[0, 2, 0]]


def test_how_many_words_count_is_counted():
    assert words(state("curriculum")).endswith("Words that count: 6 fully, 3 in part, 2 not yet.")
    assert words(preset("Easy words only")).endswith("Words that count: 6 fully, 0 in part, 5 not yet.")
    assert words(preset("All words")).endswith("Words that count: 11 fully, 0 in part, 0 not yet.")
    assert "Loss with stage 1.25: " in words(state("curriculum", stage=1.25))
    hard = [(row, place, 5.0) for row, place in IS_WORD.nonzero().tolist()]
    assert words(state("curriculum", levels=hard)).startswith("✗ Nothing is supervised")


# --- prompt and completion -------------------------------------------------------------------------------


def test_the_answer_and_its_end_count_and_neither_prompt_nor_padding():
    for pads in lesson.PADS:
        one = state("completion", pads=pads)
        assert below(one) == ROLES
        counts = torch.tensor([[role in ("answer", "end") for role in row] for row in ROLES])
        assert torch.equal(drawn(one)["weights"].values.bool(), counts)
        assert [list(line.pressed) for line in lesson.draw(one).sentences] == counts.tolist()
        assert words(one).endswith("9 of 18 tokens count, 3 of 3 ends.")
        assert [line.tokens[-1] for line in lesson.draw(one).sentences] == [END, *[lesson.PADS[pads]] * 2]


def test_the_mask_is_that_of_the_lessons_own_cell():
    after_marker = cells("loss_weights", "import torch\n", "def after_marker")["after_marker"]
    one = state("completion", sentences=[*CHATS[:2], "User: nap? Cats nap [END]"])
    tokens = [text.split() for text in one.sentences]
    ids = {token: i for i, token in enumerate(dict.fromkeys(token for row in tokens for token in row))}
    for row, weights in zip(tokens, drawn(one)["weights"].values, strict=True):
        mask = after_marker(torch.tensor([ids[token] for token in row]), [ids["Bot:"]])
        assert weights[: len(row)].bool().tolist() == mask.tolist()


def test_only_together_an_end_for_padding_and_wiping_by_id_lose_the_end():
    for pads in lesson.PADS:
        for wipe in (False, True):
            one = state("completion", pads=pads, wipe=wipe)
            panels, lost = drawn(one), (pads, wipe) == ("end", True)
            ends = [panels["weights"].values[row, length - 1].item() for row, length in enumerate(CHAT_LENGTHS)]
            assert ends == [0.0 if lost else 1.0] * 3
            assert ("✗ Wiping the pads' id wipes [END], too: nothing teaches" in words(one)) == lost
            assert panels["step"].columns[0] == END
            assert (panels["step"].values[0, 0] < 0) == lost  # as the words say: it is made less likely
    assert preset("No end") == state("completion", pads="end", wipe=True)
    assert "6 of 18 tokens count, 0 of 3 ends." in words(preset("No end"))


def test_an_end_that_is_clicked_away_is_forgotten_by_the_mask():
    ends = [(row, length - 1) for row, length in enumerate(CHAT_LENGTHS)]
    one = state("completion", roles=ends[:2])
    assert "7 of 18 tokens count, 1 of 3 ends." in words(one) and "✗" not in words(one)
    one = state("completion", roles=ends)
    assert words(one).endswith("✗ No end counts: nothing teaches the model to stop.")
    assert drawn(one)["step"].values[0, 0] < 0


def test_a_word_that_is_clicked_counts_or_no_longer_and_padding_never_does():
    one = state("completion", roles=[(0, 0), (0, 3), (2, 6)])
    assert drawn(one)["weights"].values[0].tolist() == [1, 0, 0, 0, 1, 1, 1]
    assert drawn(one)["weights"].values[2, 6] == 0
    assert drawn(one)["weights"].edits.key == "roles"


def test_without_the_marker_nothing_is_supervised():
    one = preset("No marker")
    said = words(one)
    assert said.startswith("✗ Nothing is supervised: 0 / 0 is NaN, and every gradient is 0. ")
    assert "0 of 18 tokens count, 0 of 3 ends. No sentence has the marker “Answer:” as one token" in said
    panels = drawn(one)
    assert panels["numbers"].values[0].isnan().all() and panels["numbers"].values[1].isfinite().all()
    assert (panels["pull"].values == 0).all() and (panels["step"].values[0] == 0).all()
    assert {role for row in below(one) for role in row} == {"prompt", ""}
    ignored = F.cross_entropy(torch.zeros(2, 3), torch.tensor([-100, -100]))  # what torch gives
    assert ignored.isnan()


def test_nothing_stands_before_the_first_token_so_the_model_knows_nothing_of_it():
    losses = drawn(state("completion"))["losses"].values
    torch.testing.assert_close(losses[:, 0], torch.full((3,), math.log(13)))  # 13 tokens, [PAD] is one
    losses = drawn(state("completion", pads="end"))["losses"].values
    torch.testing.assert_close(losses[:, 0], torch.full((3,), math.log(12)))


def test_a_sentence_without_the_marker_is_named_and_the_others_count():
    one = state("completion", sentences=[CHATS[0], "User: play?Bot: Cats fish [END]", CHATS[2]])  # glued to a word
    assert words(one).endswith("6 of 17 tokens count, 2 of 3 ends. No marker “Bot:” in sentence 2.")
    two = state("completion", sentences=["User: nap", "User: play", CHATS[2]])
    assert words(two).endswith("No marker “Bot:” in sentences 1 and 2.")


def test_many_words_leave_the_end_and_the_marker_in_the_step():
    one = state("completion", sentences=[" ".join(f"w{i}" for i in range(30)), CHATS[0]])
    panel = drawn(one)["step"]
    assert list(panel.columns) == [END, "Bot:", "The", "cat", "ate", "w0", "w1"]
    assert panel.title.endswith("apart; 7 of 38 words")


# --- predict first ---------------------------------------------------------------------------------------

TO_MASK = [(row, place) for row, roles in enumerate(ROLES) for place, role in enumerate(roles)
           if role not in ("answer", "end")]  # fmt: skip
ENDS = [(row, length - 1) for row, length in enumerate(CHAT_LENGTHS)]


def predicting(painted=(), **changes) -> lesson.State:
    return state("completion", predict=True, painted=list(painted), **changes)


def test_until_it_is_revealed_the_painted_mask_counts_then_the_right_one_does():
    painted, revealed = (drawn(predicting([(0, 0), (2, 6)], reveal=reveal)) for reveal in (False, True))
    assert painted["weights"].title == "your mask" and painted["weights"].edits.key == "painted"
    assert painted["weights"].values.sum() == 19 and painted["weights"].marks is None
    assert painted["step"].rows == painted["numbers"].rows == ["your mask", "all words"]
    assert revealed["weights"].title == "weights" and revealed["weights"].edits is None
    for name in ("weights", "weighted", "numbers", "pull", "step"):
        torch.testing.assert_close(revealed[name].values, drawn(state("completion"))[name].values)
        assert not torch.equal(painted[name].values, revealed[name].values)
    assert revealed["step"].rows == ["completion", "all words"]


@pytest.mark.parametrize("pads", lesson.PADS)
def test_painted_right_all_is_as_it_is_without_a_guess(pads):
    painted, without = drawn(predicting(TO_MASK, pads=pads)), drawn(state("completion", pads=pads))
    for name in ("losses", "weights", "weighted", "numbers", "pull", "step"):
        torch.testing.assert_close(painted[name].values, without[name].values)


@pytest.mark.parametrize("pads", lesson.PADS)
def test_what_counts_is_learned_by_its_own_label_padding_too(pads):
    """A loss by hand: what the painted mask leaves is weighed, with the pad as the label where a pad counts."""
    one = predicting([(0, 0), (1, 1), (2, 5)], pads=pads)
    view = view_of(one)
    loss, pull, step = by_hand(view.logits, view.ways[0].labels, view.ways[0].weights)
    panels = drawn(one)
    assert panels["numbers"].values[0, 0].item() == pytest.approx(loss) and panels["weights"].values[2, 6] == 1
    torch.testing.assert_close(panels["pull"].values, pull)
    torch.testing.assert_close(panels["step"].values[0], step[: two_ways.MOST_CLASSES])
    assert view.classes[view.ways[0].labels[2, 6]] == lesson.PADS[pads]


def test_a_guess_is_marked_and_counted_and_a_lost_end_is_named():
    painted = [*TO_MASK[:8], ENDS[0], ENDS[2], (0, 3)]
    one = predicting(painted, reveal=True)
    marks = drawn(one)["weights"].marks
    assert {(row, place) for row, place in (marks == MISSED).nonzero().tolist()} == set(TO_MASK[8:])
    assert {(row, place) for row, place in (marks == EXTRA).nonzero().tolist()} == {ENDS[0], ENDS[2], (0, 3)}
    assert words(one).startswith(
        "You masked 8 of the 12 cells to mask (✓ 8, ✗ 4 missed), and 3 too many (!). "
        "✗ You masked 2 of 3 ends: only they teach the model to stop. Loss with completion: "
    )
    right = words(predicting(TO_MASK, reveal=True))
    assert right.startswith("You masked 12 of the 12 cells to mask (✓ 12, ✗ 0 missed), and 0 too many (!). Loss with")
    assert right.endswith("9 of 18 tokens count, 3 of 3 ends.")


@pytest.mark.parametrize("pads", lesson.PADS)
def test_neither_the_chips_nor_the_words_give_the_answer_away(pads):
    for painted in ((), ENDS, TO_MASK):
        picture = lesson.draw(predicting(painted, pads=pads))
        assert [["?" if role else "" for role in row] for row in ROLES] == [
            list(one.below) for one in picture.sentences
        ]
        assert [list(one.pressed) for one in picture.sentences] == [
            [(row, place) not in painted for place in range(7)] for row in range(3)
        ]
        assert "end" not in picture.summary and "stop" not in picture.summary and "tokens count" not in picture.summary
        said = (
            f"Paint the losses that should not count: {len(painted)} painted so far. Then reveal. Loss with your mask: "
        )
        assert picture.summary.startswith(said)
    assert below(predicting(reveal=True)) == ROLES


def test_while_a_mask_is_painted_nothing_is_wiped_and_no_role_changed():
    for reveal in (False, True):
        one = predicting(TO_MASK, reveal=reveal, pads="end")
        changed = predicting(TO_MASK, reveal=reveal, pads="end", wipe=True, roles=ENDS)
        assert picture_text(lesson.draw(changed)) == picture_text(lesson.draw(one))
    assert drawn(state("completion", roles=ENDS))["weights"].edits.key == "roles"  # and it is there again


def test_without_the_marker_all_should_be_painted_and_the_reason_is_said_afterwards():
    all_cells = [(row, place) for row in range(3) for place in range(7)]
    assert "marker" not in words(predicting(marker="Answer:"))
    one = words(predicting(all_cells, marker="Answer:", reveal=True))
    assert one.startswith("You masked 21 of the 21 cells to mask (✓ 21, ✗ 0 missed), and 0 too many (!). ✗ Nothing is")
    assert "No sentence has the marker “Answer:” as one token" in one


def test_in_another_view_nothing_is_predicted():
    for view in lesson.VIEWS:
        if view != "completion":
            one = state(view, predict=True, painted=[(0, 0)], reveal=True)
            assert words(one) == words(state(view)) and drawn(one)["weights"].marks is None


# --- a lab ----------------------------------------------------------------------------------------------


def test_each_view_begins_with_its_own_example():
    for view, one in lesson.EXAMPLES.items():
        small = lesson.lab(view=view)
        assert tuple(small.state["sentences"]) == one["sentences"] and small.picture["problem"] == ""
    assert lesson.lab(view="completion", sentences=["Hi Bot: Meow"]).state["sentences"] == ["Hi Bot: Meow"]


def test_a_typed_word_moves_only_what_it_must():
    before, after = drawn(state()), drawn(state(sentences=["The dog ate warm fish", *FIRST[1:]]))
    assert (before["losses"].values != after["losses"].values).nonzero().tolist() == [[0, 1]]


@pytest.mark.parametrize("view", lesson.VIEWS)
def test_one_word_and_empty_sentences_can_be_drawn(view):
    for texts in (["cat"], ["", "cat"], ["[PAD] [END] Bot:"], ["cat"] * 6):
        picture = lesson.draw(state(view, sentences=texts, shown=9))
        assert picture.panels and len(picture.sentences) == len(texts)


def test_edits_of_longer_sentences_are_kept_and_not_drawn():
    far = [(9, 9), (-1, 0), (0, 30)]
    for view in lesson.VIEWS:
        one = state(view, missing=far, roles=far, votes0=far, levels=[(*cell, 1.0) for cell in far])
        torch.testing.assert_close(drawn(one)["weights"].values, drawn(state(view))["weights"].values)
