"""Lesson 04's own definitions, read from its source, are the library's; and what it says of other libraries is so."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from masklab.corpus import AMBIGUOUS, TAGS
from masklab.labs.loss_weights import EXAMPLES, State, draw
from masklab.losses import agreement_weights, completion_mask, curriculum_weights, next_token_labels, reduce
from masklab.panels import MISSED
from masklab.text import word_positions
from tests.lessons import cells

ROLES = ("template", "user", "template", *["assistant"] * 4, "pad", "pad")


@pytest.fixture(scope="module")
def lesson():
    """What the cells of parts 3 and 6 define, and those of part 4 that train nothing."""
    return cells(
        "loss_weights", "def by_weight", "def gradient", "def by_number", "def winner_and_share",
        "def soft_losses", "def stage_weights", "writes = ", "def shift_left", "known, new", "def trained",
        "def ten_votes", "talk_ids = ", "def after_marker",
    )  # fmt: skip


def generator(seed):
    return torch.Generator().manual_seed(seed)


# --- Weights ---------------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 99), odd=st.sampled_from([0.0, math.nan, math.inf, -math.inf]))
def test_the_weighted_mean_is_the_librarys_and_so_is_its_gradient(lesson, seed, odd):
    losses, weights = torch.rand(2, 3, 6, generator=generator(seed))
    weights[0, 0], weights[0, 1:3] = 1.0, 0.0
    losses[0, 1:3] = odd
    losses.requires_grad_()
    values = [lesson["by_weight"](losses, weights), reduce(losses, weights)]
    torch.testing.assert_close(*values)
    slopes = [torch.autograd.grad(value, losses)[0] for value in values]
    torch.testing.assert_close(*slopes)
    torch.testing.assert_close(slopes[0].sum(), torch.tensor(1.0))  # all together weigh 1
    assert (slopes[0][weights == 0] == 0).all()


@given(seed=st.integers(0, 99), scale=st.floats(0.1, 10))
def test_only_ratios_matter_if_the_sum_of_the_weights_is_below(lesson, seed, scale):
    losses, weights = torch.rand(2, 3, 6, generator=generator(seed))
    mean, by_number = lesson["by_weight"], lesson["by_number"]
    torch.testing.assert_close(mean(losses, weights * scale), mean(losses, weights))
    torch.testing.assert_close(by_number(losses, weights * scale), by_number(losses, weights) * scale)


def test_a_weight_above_1_makes_a_position_count_more(lesson):
    losses, weights = torch.rand(1, 3, generator=generator(0)), torch.tensor([[1.0, 2.0, 0.5]])
    shares = lesson["gradient"](losses, weights, lesson["by_weight"])
    torch.testing.assert_close(shares, weights / 3.5)


@given(seed=st.integers(0, 99), people=st.integers(1, 12))
def test_winner_and_share_are_the_librarys(lesson, seed, people):
    votes = torch.randint(4, (2, 5, people), generator=generator(seed))
    labels, weights = lesson["winner_and_share"](votes, 4)
    expected = agreement_weights(votes)  # in a tie, the smallest id
    assert torch.equal(labels, expected[0])
    torch.testing.assert_close(weights, expected[1])


@given(seed=st.integers(0, 99), stage=st.floats(-1, 3), ramp=st.floats(0.1, 3))
def test_the_curriculum_is_the_librarys(lesson, seed, stage, ramp):
    difficulty = 3 * torch.rand(2, 5, generator=generator(seed))
    difficulty[0, 3:] = math.inf  # padding
    ours = lesson["stage_weights"](difficulty, stage, ramp)
    torch.testing.assert_close(ours, curriculum_weights(difficulty, stage=stage, ramp=ramp), atol=1e-5, rtol=0)
    assert (ours[0, 3:] == 0).all()


def test_a_difficulty_with_a_gradient_would_be_made_larger(lesson):
    """What the lesson says of the model's own loss as the difficulty, and of detach."""
    losses = torch.tensor([[0.2, 1.5]], requires_grad=True)
    slopes = []
    for difficulty in (losses, losses.detach()):
        loss = lesson["by_weight"](losses, lesson["stage_weights"](difficulty, 1.0, 1.0))
        slopes.append(torch.autograd.grad(loss, losses)[0])
    assert slopes[0][0, 1] < 0 < slopes[1][0, 1]


# --- Soft labels -----------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 99))
def test_soft_losses_are_those_of_torch(lesson, seed):
    logits = torch.randn(2, 5, 4, generator=generator(seed))
    shares = torch.rand(2, 5, 4, generator=generator(seed + 1)).softmax(dim=-1)
    theirs = F.cross_entropy(logits.transpose(1, 2), shares.transpose(1, 2), reduction="none")
    torch.testing.assert_close(lesson["soft_losses"](logits, shares), theirs)


def test_torchs_mean_of_soft_labels_counts_pads_and_ignores_no_label():
    logits = torch.zeros(3, 4)
    shares = torch.tensor([[0.6, 0.4, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    each = F.cross_entropy(logits, shares, reduction="none")
    assert each[2] == 0
    torch.testing.assert_close(F.cross_entropy(logits, shares), each.sum() / 3)
    with pytest.raises(RuntimeError, match="ignore_index is not supported"):
        F.cross_entropy(logits, shares, ignore_index=0)


def test_a_soft_label_is_satisfied_by_its_own_shares_and_a_weighted_one_is_not(lesson):
    logits, shares = lesson["says"], lesson["shares"]
    (soft,) = torch.autograd.grad(lesson["soft_losses"](logits, shares).sum(), logits)
    hard = F.cross_entropy(logits.transpose(1, 2), torch.tensor([[1]]), reduction="none")
    (weighted,) = torch.autograd.grad((0.6 * hard).sum(), logits)
    torch.testing.assert_close(soft, torch.zeros(1, 1, 3), atol=1e-6, rtol=0)
    torch.testing.assert_close(weighted, torch.tensor([[[0.0, -0.24, 0.24]]]), atol=1e-6, rtol=0)


# --- Missing labels --------------------------------------------------------------------------------------------------


def test_other_pushes_every_tag_down_and_a_weight_of_0_pushes_nothing():
    slope = cells("loss_weights", "def by_weight", "def winner_and_share", "OTHER = 3")["logits"].grad
    assert (slope[0, 3] == 0).all() and (slope[0, :3] != 0).all()  # the last way is the weight of 0
    logits = torch.zeros(1, 4, requires_grad=True)
    F.cross_entropy(logits, torch.tensor([3])).backward()
    assert (logits.grad[0, :3] > 0).all() and logits.grad[0, 3] < 0


# --- Completions -----------------------------------------------------------------------------------------------------


def test_what_the_model_writes_is_the_librarys_completion_mask(lesson):
    assert torch.equal(lesson["writes"][:1], completion_mask([ROLES]))


def test_labels_and_mask_shifted_by_hand_are_the_librarys(lesson):
    chat, is_word = lesson["chat"], word_positions(lesson["lengths"], total=9)
    labels, supervised = next_token_labels(chat, is_word, learn=lesson["writes"])
    assert torch.equal(lesson["next_words"], labels) and torch.equal(lesson["counts"], supervised)
    assert supervised[0, 2] and not supervised[0, 6]  # “Bot:” counts, [END] predicts nothing


def test_the_marker_gives_the_same_mask_or_none(lesson):
    after, chat, lengths = lesson["after_marker"], lesson["chat"], lesson["lengths"]
    for row, length, writes in zip(chat, lengths, lesson["writes"], strict=True):
        assert torch.equal(after(row, [7, 8])[:length], writes[:length])
        assert not after(row, [8, 7]).any() and not after(row, [3, 9, 9, 9, 9, 9]).any()


def test_found_by_the_id_no_end_counts_and_all_else_is_the_same(lesson):
    ids, end = lesson["talk_ids"], lesson["END"]
    by_length, by_id = lesson["masks"].values()
    assert (by_length & (ids == end)).sum() == len(ids) and not (by_id & (ids == end)).any()
    assert torch.equal(by_length & (ids != end), by_id)
    assert by_length.sum() - by_id.sum() == len(ids)


# --- The planted noise -----------------------------------------------------------------------------------------------


def test_votes_are_as_noisy_as_the_lesson_says(lesson):
    known, ambiguous, votes = lesson["known"], lesson["ambiguous"], lesson["ten_votes"](0)
    right = (votes == known.tags[..., None]).float().mean(dim=-1)
    for words, unclear in ((ambiguous, 0.6), (known.is_word & ~ambiguous, 0.05)):
        assert (right[words] < 0.6).float().mean().item() == pytest.approx(unclear, abs=0.08)
    slips = 1 - right[ambiguous & (right > 0.6)].mean()
    assert slips.item() == pytest.approx(0.05 * 10 / 11, abs=0.03)


def test_the_usual_tags_are_the_corpuss(lesson):
    known = lesson["known"]
    for tokens, usual, tags in zip(known.tokens, lesson["usual_tags"].tolist(), known.tags.tolist(), strict=True):
        for token, found, tag in zip(tokens, usual, tags, strict=True):
            if token != "[PAD]":
                assert TAGS[found] == AMBIGUOUS.get(token, (TAGS[tag],))[0]


def test_no_new_sentence_was_learned(lesson):
    assert not set(lesson["known"].tokens) & set(lesson["new"].tokens)


def test_it_matters_which_words_weigh_less():
    """The same weights, dealt out anew among the ambiguous words and among the others, do not help."""
    names = cells("loss_weights", "def by_weight", "def winner_and_share", "known, new", "def trained", "def ten_votes")
    known, ambiguous = names["known"], names["ambiguous"]
    labels, weights = names["winner_and_share"](names["ten_votes"](0), len(TAGS))
    weights = weights * known.is_word
    dealt = weights.clone()
    for words in (ambiguous, known.is_word & ~ambiguous):
        dealt[words] = weights[words][torch.randperm(int(words.sum()), generator=generator(0))]
    ours, others = (names["right"](names["trained"](0, names["learn"](labels, one))) for one in (weights, dealt))
    assert ours > others + 0.08


# --- What to try in the lab -----------------------------------------------------------------------------------------


def looked_at(**changes):
    """The values of each panel of the lab, by its name, and the names of the answers that a step moves."""
    panels = {panel.name: panel for panel in draw(State(**changes)).panels}
    return {name: panel.values for name, panel in panels.items()}, list(panels["step"].columns)


def step_of(*, way=0, **changes):
    """How far the step of one way moves each answer."""
    values, answers = looked_at(**changes)
    return dict(zip(answers, values["step"][way].tolist(), strict=True))


def test_1_a_vote_less_moves_one_step_and_a_tie_moves_both():
    (before, _), (fewer, _), (tied, _) = (
        looked_at(votes0=votes) for votes in ((), ((3, 6),), ((3, 6), (3, 5)))
    )  # “warm” has 7 of 10 votes, then 6, then 5
    pull, now = before["pull"], fewer["pull"]
    assert now[0, 3] < pull[0, 3] and (now > pull).sum() == 10
    for found in (pull, now, tied["pull"]):
        assert found.sum().item() == pytest.approx(1)
    assert torch.equal(before["step"][1], fewer["step"][1]) and not torch.equal(before["step"][0], fewer["step"][0])
    assert not torch.equal(before["step"][1], tied["step"][1])


def test_2_all_wrong_is_seen_in_no_weight():
    values, _ = looked_at(**State.presets["All wrong"])
    assert set(values["weights"].flatten().tolist()) == {0.0, 1.0}  # 0 at the padding
    assert torch.equal(values["step"][0], values["step"][1])


def test_3_other_is_pulled_up_by_its_label_alone():
    other, zero = (step_of(**State.presets["No nouns"] | {"label": label}) for label in ("other", "none"))
    assert other["OTHER"] > 0.2 and other["NOUN"] < -0.2
    assert zero["OTHER"] < 0 and -0.15 < zero["NOUN"] < 0


def test_4_the_rarer_of_two_tags_comes_last():
    for stage in (0.0, 1.0, 1.75, 2.0, 3.0):
        values, _ = looked_at(view="curriculum", stage=stage, ramp=0.0)
        assert (values["weights"][1, 3] == values["weights"][2, 1]) and bool(values["weights"][1, 3]) is (stage >= 2)
        assert torch.equal(values["step"][0], values["step"][1]) is (stage >= 2)


def test_5_one_end_of_each_sentence_counts_and_12_cells_are_to_be_masked():
    changes = {"view": "completion", "sentences": EXAMPLES["completion"]["sentences"], "pads": "end"}
    picture = draw(State(**changes, predict=True, reveal=True))
    (marks,) = (panel.marks for panel in picture.panels if panel.name == "weights")
    assert (marks == MISSED).sum() == 12 and marks.numel() == 21
    assert "0 of the 12 cells" in picture.summary
    for sentence, missed in zip(picture.sentences, (marks == MISSED).tolist(), strict=True):
        ends = [not one for token, one in zip(sentence.tokens, missed, strict=True) if token == "[END]"]
        assert ends == [True, *[False] * (len(ends) - 1)]


def test_6_without_ends_the_end_becomes_less_likely():
    assert step_of(**State.presets["No marker"] | {"marker": "Bot:"})["[END]"] > 0.2
    assert -0.1 < step_of(**State.presets["No end"])["[END]"] < 0


def test_7_no_marker_is_a_mean_over_nothing():
    values, _ = looked_at(**State.presets["No marker"])
    assert values["numbers"][0].isnan().all() and (values["pull"] == 0).all() and (values["step"][0] == 0).all()


# --- Libraries -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tokenizer():
    """A tokenizer of five words, whose padding is its end."""
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    words = {word: i for i, word in enumerate(("[END]", "The", "cat", "ate", "fish"))}
    plain = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[END]"))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=plain, eos_token="[END]", pad_token="[END]")


TALKS = ([1, 2, 3, 0], [1, 2, 3, 4, 0])  # each with its end


def test_the_collator_for_language_models_wipes_the_end(tokenizer):
    from transformers import DataCollatorForLanguageModeling

    batch = DataCollatorForLanguageModeling(tokenizer, mlm=False)([{"input_ids": ids} for ids in TALKS])
    assert batch["labels"].tolist() == [[1, 2, 3, -100, -100], [1, 2, 3, 4, -100]]  # not one end is left


def test_the_collator_for_pairs_ignores_only_what_it_adds(tokenizer):
    from transformers import DataCollatorForSeq2Seq

    talks = [{"input_ids": ids, "labels": [-100, *ids[1:]]} for ids in TALKS]
    batch = DataCollatorForSeq2Seq(tokenizer)(talks)
    assert batch["labels"].tolist() == [[-100, 2, 3, 0, -100], [-100, 2, 3, 4, 0]]


def test_the_models_of_transformers_shift_labels_themselves():
    pytest.importorskip("transformers")
    from transformers.loss.loss_utils import ForCausalLMLoss

    labels, logits = torch.tensor([[-100, 1, 2]]), torch.randn(1, 3, 4, generator=generator(0))
    expected = F.cross_entropy(logits[0, :2], torch.tensor([1, 2]))
    torch.testing.assert_close(ForCausalLMLoss(logits, labels, vocab_size=4), expected)
