"""Weights in the loss: each claim from two seeds, and controls in which nothing may differ."""

from statistics import mean

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from masklab.corpus import AMBIGUOUS, TAGS, batch
from masklab.experiments import weighting
from masklab.experiments.weighting import ANNOTATORS, HARDEST, annotator_noise, curriculum, examples, texts, votes
from masklab.losses import agreement_weights
from masklab.models import Tagger
from tests.strategies import seeds

SEEDS = (0, 1)  # `make bench` takes three
STEPS = 12  # where only sameness is asked


@pytest.fixture(scope="module")
def noise():
    return annotator_noise(seeds=SEEDS)


@pytest.fixture(scope="module")
def easy_first():
    return curriculum(seeds=SEEDS)


def gap(result, other):
    """How far the worst seed of the right variant is above the best one of the other."""
    return min(result.scores[result.right]) - max(result.scores[other])


def same_everywhere(result):
    """Whether all variants gave the very same numbers."""
    return all(len({tuple(map(str, one)) for one in found.values()}) == 1 for found in (result.scores, result.curves))


# --- Annotators ------------------------------------------------------------------------------------------------------


def test_weights_by_agreement_help_where_wrong_votes_are_scattered(noise):
    assert gap(noise, "all the same") > 0.08
    assert max(noise.scores["weighted by agreement"]) < noise.level - 0.05  # they are no cure
    assert "weighted by agreement is better than all the same" in noise.verdict()


def test_they_help_over_all_words_too():
    assert gap(annotator_noise(seeds=(0,), measure="all words"), "all the same") > 0.02


def test_they_cannot_help_where_all_err_alike():
    result = annotator_noise(seeds=(0,), guess="usual tag")
    ours, theirs = result.scores.values()
    assert abs(mean(ours) - mean(theirs)) < 0.03 and max(ours + theirs) < result.level - 0.1


def test_it_matters_which_words_weigh_less_not_that_ambiguous_ones_do(noise):
    """The same weights, dealt out anew among the ambiguous words and among the others, do not help."""
    seen, _ = texts()
    labels, weights = agreement_weights(votes(seen, seed=0))
    dealt, generator = weights.clone(), torch.Generator().manual_seed(0)
    for words in (weighting.ambiguous(seen), seen.is_word & ~weighting.ambiguous(seen)):
        dealt[words] = weights[words][torch.randperm(int(words.sum()), generator=generator)]
    run = weighting.learned(0, labels, lambda step: dealt, steps=80, measure="ambiguous words")
    assert run.score < noise.scores["weighted by agreement"][0] - 0.08


def test_without_noise_weights_change_nothing(monkeypatch):
    monkeypatch.setattr(weighting, "SLIPS", 0.0)
    result = annotator_noise(seeds=(0, 1), steps=STEPS, unclear=(0.0, 0.0))
    assert same_everywhere(result)
    assert result.level == pytest.approx(mean(result.scores["all the same"]))  # all votes are true


@given(seeds)
@settings(max_examples=10)
def test_votes_without_noise_are_true_and_pads_have_none(seed):
    seen, _ = texts()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weighting, "SLIPS", 0.0)
        said = votes(seen, unclear=(0.0, 0.0), seed=seed)
    assert said.shape == (*seen.ids.shape, ANNOTATORS)
    assert (said[seen.is_word] == seen.tags[seen.is_word][:, None]).all() and (said[~seen.is_word] == -1).all()


@given(seeds)
@settings(max_examples=10)
def test_votes_are_as_noisy_as_they_should_be(seed):
    """At a clear word 5 % guess, one in 11 of them right; at an unclear one hardly two agree at random."""
    seen, _ = texts()
    said = votes(seen, seed=seed)
    right = (said == seen.tags[..., None]).float().mean(dim=-1)  # (B, L)
    split = weighting.ambiguous(seen)
    for words, unclear in ((split, 0.6), (seen.is_word & ~split, 0.05)):
        clear = right[words] > 0.5
        assert (~clear).float().mean().item() == pytest.approx(unclear, abs=0.12 if unclear > 0.5 else 0.025)
        assert right[words][clear].mean().item() == pytest.approx(1 - 0.05 * 10 / 11, abs=0.03)
        assert right[words][~clear].mean().item() == pytest.approx(1 / 11, abs=0.05)
    assert said[seen.is_word].min() == 0 and said.max() == len(TAGS) - 1


def test_nobody_knows_and_all_give_the_usual_tag():
    part, _ = examples()
    seen, _ = texts()
    usual = weighting.usual_tags(part)
    said = votes(seen, usual, unclear=(1.0, 1.0), seed=0)
    for example, row, polled in zip(part, usual.tolist(), said, strict=True):
        slow = [AMBIGUOUS.get(w.lower(), (tag,))[0] for w, tag in zip(example.words, example.tags, strict=True)]
        assert [TAGS[i] for i in row[: len(slow)]] == slow
        assert (polled[: len(slow)] == torch.tensor([TAGS.index(tag) for tag in slow])[:, None]).all()


# --- Curriculum ------------------------------------------------------------------------------------------------------


def test_easy_words_first_do_not_help(easy_first):
    theirs, ours = easy_first.scores.values()
    assert mean(theirs) - 0.03 < mean(ours) < mean(theirs) + 0.01
    assert min(ours + theirs) > easy_first.level + 0.2


def test_what_waits_is_learned_later(easy_first):
    theirs, ours = easy_first.curves.values()
    assert [curve[0] for curve in ours] == [curve[0] for curve in theirs]  # the same weights
    for place in (2, 3, 4):  # at step 20, 30 and 40 of 120
        assert max(curve[place] for curve in ours) < min(curve[place] for curve in theirs) - 0.1


def test_what_is_easy_is_hardly_learned_earlier():
    """The stage rises as slowly as by default: through 60 steps."""
    result = curriculum(seeds=(0, 1), steps=41, rises=60 / 41, measure="words with one tag")
    ours, theirs = ([mean(points) for points in zip(*curves, strict=True)] for curves in result.curves.values())
    assert all(abs(one - other) < 0.05 for one, other in zip(ours, theirs, strict=True))
    assert ours[4] > 0.9  # at step 40 they are learned


def test_the_level_is_a_guess_from_the_word_alone(easy_first):
    _, unseen = examples()
    right = [
        AMBIGUOUS[word][0] == tag
        for example in unseen
        for word, tag in zip(example.words, example.tags, strict=True)
        if word in AMBIGUOUS
    ]
    assert easy_first.level == pytest.approx(mean(right))


def test_a_curriculum_that_never_waits_changes_nothing():
    assert same_everywhere(curriculum(seeds=(0, 1), steps=STEPS, rises=0.0))
    assert not same_everywhere(curriculum(seeds=(0, 1), steps=STEPS, rises=1.0))


@given(st.integers(1, 200), st.floats(0, 1))
def test_the_stage_rises_to_the_hardest_word_and_stays(steps, rises):
    stages = [weighting.stage_at(step, steps=steps, rises=rises) for step in range(steps)]
    assert stages == sorted(stages) and stages[0] >= 0 and stages[-1] <= HARDEST
    assert all(stage == HARDEST for step, stage in enumerate(stages) if step >= rises * steps)
    assert rises == 0 or stages[0] == 0


# --- What is held equal ----------------------------------------------------------------------------------------------


def spied(monkeypatch, run):
    """The losses and weights of every step, before they become one number."""
    calls = []
    reduce = weighting.reduce

    def spy(losses, weights):
        calls.append((losses.detach(), weights))
        return reduce(losses, weights)

    monkeypatch.setattr(weighting, "reduce", spy)
    run()
    return calls


def test_weighted_or_not_the_first_losses_are_the_same(monkeypatch):
    calls = spied(monkeypatch, lambda: annotator_noise(seeds=(1,), steps=3))
    _, weighted, same = calls[:3], calls[3:6], calls[6:]  # true labels come first
    assert torch.equal(weighted[0][0], same[0][0])  # the same words, labels and model
    for (losses, weights), (others, ones) in zip(weighted, same, strict=True):
        assert torch.equal(losses == 0, others == 0)  # the same sentences: pads are where they were
        assert torch.equal(weights > 0, ones > 0) and (weights <= ones).all() and (weights < ones).any()


def test_with_a_curriculum_words_come_in_by_difficulty(monkeypatch):
    calls = spied(monkeypatch, lambda: curriculum(seeds=(1,), steps=8, rises=0.5))
    at_once, waiting = calls[:8], calls[8:]
    assert torch.equal(waiting[0][0], at_once[0][0])
    seen, _ = texts()
    rows_of = weighting.draws(range(len(seen.ids)), size=32, seed=1)
    for step, ((_, ours), (_, theirs)) in enumerate(zip(waiting, at_once, strict=True)):
        difficulty, words = (part[rows_of(step)] for part in (seen.difficulty, seen.is_word))
        assert torch.equal(theirs.bool(), words)
        assert torch.equal(ours.bool(), words & (difficulty <= min(2.0, step / 2)))


def test_held_out_sentences_are_new():
    seen, unseen = examples()
    assert not {example.text for example in seen} & {example.text for example in unseen}


# --- The measures, against a slow loop -------------------------------------------------------------------------------


@pytest.mark.parametrize(("measure", "counts"), [
    ("all words", lambda word: True),
    ("ambiguous words", lambda word: word in AMBIGUOUS),
    ("words with one tag", lambda word: word not in AMBIGUOUS),
])  # fmt: skip
def test_accuracy_is_the_share_of_true_tags_of_those_words(monkeypatch, measure, counts):
    some = examples()[1][:25]
    monkeypatch.setattr(weighting, "texts", lambda: (None, batch(some)))
    model, right = Tagger(len(weighting.VOCABULARY), len(TAGS), bidirectional=True, seed=2), []
    for example in some:  # each alone, without padding
        alone = batch([example])
        said = model(alone.ids, alone.lengths)[0].argmax(dim=-1).tolist()
        right += [TAGS[i] == tag for i, tag, w in zip(said, example.tags, example.words, strict=True) if counts(w)]
    assert 0 < mean(right) < 1
    assert weighting.accuracy(model, measure) == pytest.approx(mean(right))


def test_an_unknown_choice_is_refused_by_name():
    for experiment in (annotator_noise, curriculum):
        with pytest.raises(ValueError, match="measure must be 'ambiguous words'.* got 'luck'"):
            experiment(measure="luck", steps=1)
    with pytest.raises(ValueError, match="guess must be 'any tag' or 'usual tag', got 'none'"):
        annotator_noise(guess="none")
