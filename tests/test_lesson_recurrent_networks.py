"""Lesson 02's own definitions, read from its source, are the library's and torch's; and torch does what it says."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence

from masklab import losses, tiny
from masklab.labs import recurrent_networks as lab
from masklab.labs.loss_masking import LOSSES
from masklab.text import make_batch, word_positions
from tests.lessons import cells

SENTENCES = ["The cat ate", "The cat ate fish pie", "The cat ate fish"]


@pytest.fixture(scope="module")
def lesson():
    """What the cells of parts 3, 5 and 6 define; nothing is trained."""
    return cells(
        "recurrent_networks", "sequences = [", "def read(", "alone = read(", "last = states[", "def read_words",
        "left = torch.stack", "def mean_of_words", "to_tags = ", "lesson_01 = ", "packed_ids = ", "def run_padded",
        "both = nn.GRU", "def three_ways", "wrong = ", "only_ate = ", "spoilt = ",
    )  # fmt: skip


def same(one, other):
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def plain_rnn(lesson):
    """torch's plainest recurrent layer, with the lesson's weights."""
    layer = nn.RNN(4, 4, batch_first=True, bias=False)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(lesson["W"].T)
        layer.weight_hh_l0.copy_(lesson["U"].T)
    return layer


# --- by hand ---------------------------------------------------------------------------------------------------------


def test_the_batch_and_its_words_are_the_librarys(lesson):
    batch = make_batch(SENTENCES)
    assert torch.equal(lesson["batch"], batch.ids) and torch.equal(lesson["is_word"], batch.is_word)
    assert torch.equal(lesson["left"], make_batch(SENTENCES, side="left").ids)
    assert torch.equal(lesson["is_word_left"], word_positions(batch.lengths, total=5, side="left"))
    assert (batch.ids.count_nonzero(dim=1) - 1).tolist() == (lesson["lengths"] - 1).tolist() == [2, 4, 3]


def test_reading_step_by_step_is_torchs_rnn(lesson):
    x = lesson["vectors"][lesson["batch"]]
    same(lesson["read"](x), plain_rnn(lesson)(x)[0].detach())


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("lengths", [[3, 5, 4], [1, 1, 2], [5, 5, 5]])
def test_the_mask_in_the_network_is_packing(lesson, side, lengths):
    lengths = torch.tensor(lengths)
    is_word = word_positions(lengths, total=5, side=side)
    x = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(1))
    states = lesson["read_words"](x, is_word)
    packed = pack_sequence([row[words] for row, words in zip(x, is_word, strict=True)], enforce_sorted=False)
    out, h_n = plain_rnn(lesson)(packed)
    same(states[:, -1], h_n[-1].detach())
    same(
        states[is_word],
        pad_packed_sequence(out, batch_first=True)[0][word_positions(lengths, total=int(lengths.max()))],
    )


def test_a_zero_vector_does_not_stop_the_state(lesson):
    assert (lesson["zeroed"][0] == 0).all()
    moved = (lesson["read"](lesson["zeroed"][lesson["batch"]])[0, 4] - lesson["last"][0]).abs().max()
    assert moved > 0.5


def test_the_mean_over_words_by_a_slow_loop(lesson):
    states = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(2))
    by_loop = [sum(states[b, t] for t in range(n)) / n for b, n in enumerate([3, 5, 4])]
    same(lesson["mean_of_words"](states, lesson["is_word"]), torch.stack(by_loop))
    assert lesson["times"].isnan()[[0, 2]].all() and lesson["filled"].isfinite().all()
    same(lesson["filled"], lesson["mean_of_words"](lesson["states"], lesson["is_word"]))


def test_the_taggers_two_losses_are_the_librarys(lesson):
    logits, tags, is_word = (lesson[name] for name in ("logits", "tags", "is_word"))
    library = losses.reduce(losses.token_losses(logits, tags, is_word), is_word)
    assert (lesson["losses"].numel(), int(is_word.sum())) == (15, 12)
    same(lesson["by_mask"], library)
    same(lesson["by_label"], library)
    same(F.cross_entropy(logits.flatten(0, 1), lesson["labels"].flatten()), library)  # −100 is the default
    assert (lesson["labels"][~is_word] == -100).all() and torch.equal(lesson["labels"][is_word], tags[is_word])


def test_the_losses_of_lesson_01_have_its_mean(lesson):
    assert lesson["lesson_01"].tolist() == torch.tensor(LOSSES).tolist()
    assert f"{losses.reduce(lesson['lesson_01'], lesson['is_word']):.3f}" == "0.650"


# --- what PyTorch does -----------------------------------------------------------------------------------------------


def test_a_packed_sequence_is_a_staircase(lesson):
    packed, batch, lengths = lesson["packed_ids"], lesson["batch"], lesson["lengths"]
    order = lengths.argsort(descending=True).tolist()
    columns = [[batch[b, t].item() for b in order if t < lengths[b]] for t in range(5)]
    assert packed.data.tolist() == [i for column in columns for i in column]
    assert packed.batch_sizes.tolist() == [len(column) for column in columns] == [3, 3, 3, 2, 1]
    assert packed.sorted_indices.tolist() == order == [1, 2, 0]


def test_packing_wants_sorted_lengths_or_sorts_itself_and_at_least_one_word(lesson):
    with pytest.raises(RuntimeError, match="sorted in decreasing order"):
        pack_padded_sequence(lesson["batch"], lesson["lengths"], batch_first=True)
    with pytest.raises(RuntimeError, match="greater than 0"):
        pack_padded_sequence(lesson["batch"], torch.tensor([3, 0, 4]), batch_first=True, enforce_sorted=False)


def test_the_table_of_what_comes_out(lesson):
    gru, x, lengths = (lesson[name] for name in ("gru", "x", "lengths"))
    alone = [gru(x[b : b + 1, :n])[1][0, 0].detach() for b, n in enumerate(lengths.tolist())]
    (padded, padded_h), (packed, packed_h) = lesson["run_padded"](gru, x), lesson["run_on_words"](gru, x, lengths)
    for b, n in enumerate(lengths.tolist()):
        same(padded[b, n - 1], alone[b])
        same(packed[b, n - 1], alone[b])
        same(packed_h[b], alone[b])
        longest = n == 5
        assert torch.equal(packed[b, -1], torch.zeros(4)) is not longest
        for wrong in (padded[b, -1], padded_h[b]):
            assert torch.allclose(wrong, alone[b], atol=1e-3) is longest


def test_both_directions_are_wrong_at_real_words_unless_packed(lesson):
    both, x, lengths = (lesson[name] for name in ("both", "x", "lengths"))
    alone = both(x[:1, :3])[0][0].detach()
    moved = (lesson["run_padded"](both, x)[0][0, :3] - alone).abs()
    assert moved[:, :4].max() < 1e-6 and (moved[:, 4:].amax(dim=1) > 0.05).all()
    assert moved[2, 4:].max() == moved[:, 4:].max()  # most at the last word
    same(lesson["run_on_words"](both, x, lengths)[0][0, :3], alone)


def test_zero_pads_do_not_help_the_second_direction(lesson):
    """Its biases move the state where everything else is zero, as pytorch/pytorch#517 shows."""
    both, x = lesson["both"], lesson["x"].masked_fill(~lesson["is_word"][..., None], 0)
    moved = (both(x)[0][0, :3] - both(x[:1, :3])[0][0]).abs().amax(dim=-1)
    assert (moved > 0.01).all()


def test_the_second_direction_ends_at_the_first_word(lesson):
    both, x, lengths = (lesson[name] for name in ("both", "x", "lengths"))
    out, h_n = both(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
    out, _ = pad_packed_sequence(out, batch_first=True)
    same(h_n[-1], out[:, 0, 4:])
    same(h_n[-2], out[torch.arange(3), lengths - 1, :4])
    same(lesson["out"][0, 2, 4:], lesson["only_ate"][4:])


def test_packing_takes_the_first_positions(lesson):
    kept, _ = pad_packed_sequence(lesson["wrong"], batch_first=True)
    assert [row[:n].tolist() for row, n in zip(kept, [3, 5, 4], strict=True)] == [
        row[:n].tolist() for row, n in zip(lesson["left"], [3, 5, 4], strict=True)
    ]
    assert kept[0, :3].tolist() == [0, 0, 1]


def test_only_the_mask_finds_the_last_word_in_every_case(lesson):
    right = dict.fromkeys(("counted", "before_pad", "rightmost"), 0)
    for ids, mask, pad in lesson["cases"].values():
        truth = max(i for i, word in enumerate(mask) if word)
        found = lesson["three_ways"](torch.tensor(ids), torch.tensor(mask).bool(), pad)
        for way, index in zip(right, found, strict=True):
            right[way] += index == truth
    assert right == {"counted": 2, "before_pad": 1, "rightmost": 5}
    assert "T" not in lesson  # in exercise 4 it is the number of tags: a forgotten T must be a NameError


# --- trained ---------------------------------------------------------------------------------------------------------


def test_the_read_outs_of_the_table_are_the_classifiers(lesson):
    """ "packed" and "last_word" are one computation, and a sentence gives in a batch what it gives alone."""
    _, new = tiny.topics()
    ids, lengths = new.ids[:20], new.lengths[:20]
    found = {}
    for read in ("packed", "last_word", "last_step"):
        model = tiny.tiny_classifier(1, read=read)
        found[read] = model(ids, lengths)
        alone = torch.cat([model(row[None, :n], n[None]) for row, n in zip(ids, lengths, strict=True)])
        assert torch.allclose(found[read], alone, atol=1e-5) is (read != "last_step")
        longer = model(F.pad(ids, (0, 20)), lengths)
        assert torch.allclose(found[read], longer, atol=1e-5) is (read != "last_step")
    same(found["packed"], found["last_word"])


def test_with_many_pads_in_training_carrying_has_a_price():
    """What the lesson says it got, in the cell that it leaves to the reader."""
    _, new = tiny.topics()
    right = []
    for seed in (0, 1, 2):
        model = tiny.tiny_classifier(seed, read="last_step")
        tiny.fit_classifier(model, seed=seed, more_pads=18)
        with torch.no_grad():
            found = model(F.pad(new.ids, (0, 18)), new.lengths).argmax(dim=-1)
        right.append((found == new.topics).float().mean().item())
    assert right[0] > 0.85 and 0.55 < right[1] < 0.85 and right[2] < 0.4


def test_training_with_the_last_words_state_is_training_packed():
    """The same state, hence the same gradients; the last step's are others."""
    known, _ = tiny.topics()
    gradients = {}
    for read in ("packed", "last_word", "last_step"):
        model = tiny.tiny_classifier(1, read=read)
        F.cross_entropy(model(known.ids[:32], known.lengths[:32]), known.topics[:32]).backward()
        gradients[read] = torch.cat([one.grad.flatten() for one in model.parameters()])
    same(gradients["packed"], gradients["last_word"])
    assert (gradients["packed"] - gradients["last_step"]).abs().max() > 0.01


def right(model, *, more=0):
    """The share of new sentences whose topic is found, with so many more pads."""
    _, new = tiny.topics()
    with torch.no_grad():
        found = model(F.pad(new.ids, (0, more)), new.lengths).argmax(dim=-1)
    return (found == new.topics).float().mean().item()


def test_each_pad_costs_topics_read_at_the_last_step():
    """Trained packed, and on average over the lesson's seeds."""
    average = torch.zeros(21)
    for seed in (0, 1, 2):
        model = tiny.tiny_classifier(seed)
        tiny.fit_classifier(model, seed=seed)
        model.read = "last_step"
        average += torch.tensor([right(model, more=more) for more in range(21)]) / 3
    assert (average.diff() < 0.002).all() and (average[::4].diff() < -0.01).all()  # a wobble is no claim


def test_stopped_early_the_bug_still_shows():
    """What the lesson says it got after 100 steps, in the cell that it leaves to the reader."""
    found = {}
    for read in ("packed", "last_step"):
        for seed in (0, 1, 2):
            model = tiny.tiny_classifier(seed, read=read)
            tiny.fit_classifier(model, seed=seed, steps=100)
            found[read, seed] = right(model)
    packed, last_step = (sum(found[read, seed] for seed in (0, 1, 2)) / 3 for read in ("packed", "last_step"))
    assert 0.6 < packed < 0.75 and last_step < packed - 0.05


# --- the tagger ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def taggers():
    """The lesson's own, with seed 0 after 40 steps, as it hands them to the lab."""
    names = cells("recurrent_networks", "sequences = [", "def trained_tagger")
    return {name: names["trained_tagger"](label, 0) for name, label in lab.AT_PADS.items()}


def test_the_lessons_taggers_are_the_librarys(taggers):
    for name, label in lab.AT_PADS.items():
        model = tiny.tiny_tagger(0)
        tiny.fit_tagger(model, seed=0, at_pads=label)
        for one, other in zip(model.parameters(), taggers[name].parameters(), strict=True):
            torch.testing.assert_close(one, other, atol=1e-3, rtol=0)


def drawn(taggers, **changes):
    """The lab's tagger view: the three numbers, by words, by positions and by ignore_index, and its sentences."""
    state = lab.State().changed({"view": "tagger", **lab.EXAMPLES["tagger"], **changes})
    picture = lab.draw(state, taggers=taggers)
    return picture.panels[-1].values[:, 0], picture.sentences


def test_what_one_should_have_seen_in_the_taggers_view(taggers):
    numbers, _ = drawn(taggers)
    same(numbers[0], numbers[2])
    longer, _ = drawn(taggers, more=12)
    same(numbers[[0, 2]], longer[[0, 2]])
    assert abs(longer[1] - numbers[1]) > 0.5
    without, sentences = drawn(taggers, trained="without it")
    assert without[0] > numbers[0] + 0.1 and without[1] < numbers[1] / 3
    assert sentences[0].below[5:] == ["[PAD]", "[PAD]"]
    for name in lab.AT_PADS:
        (on_the_right, _), (on_the_left, sentences) = (drawn(taggers, trained=name, side=s) for s in ("right", "left"))
        assert abs(on_the_left[0] - on_the_right[0]) > 0.01  # two decimals show it
    assert (sentences[2].tokens[5], sentences[2].below[5]) == ("Cats", "[PAD] ✗")  # without the mask
