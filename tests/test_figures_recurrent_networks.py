"""What the pictures of lesson 02 claim is so."""

import pytest
from torch.nn.utils.rnn import pack_sequence

from masklab.figures.diagrams import Arrow, Box, Note
from masklab.text import make_batch
from tests.test_figures_scripts import SCRIPTS, load


@pytest.fixture(scope="module")
def script():
    return load(SCRIPTS["recurrent_networks"])


@pytest.fixture(scope="module")
def parts(script):
    return {drawing.name: drawing.parts for drawing in script.drawings()}


def boxes(parts, y):
    """The texts of the boxes at one height, from left to right."""
    return [box.text for box in sorted((p for p in parts if isinstance(p, Box) and p.y == y), key=lambda box: box.x)]


def arrows(parts, style):
    return [p for p in parts if isinstance(p, Arrow) and p.style == style]


@pytest.mark.parametrize("name", ["classifier", "tagger", "both"])
def test_the_sentence_is_the_batchs_first_one_and_its_pads_look_like_pads(script, parts, name):
    batch = make_batch([" ".join(words) for words in script.SENTENCES])
    assert tuple(boxes(parts[name], script.WORDS)) == batch.tokens[0]
    pads = [p.style == "pad" for p in parts[name] if isinstance(p, Box) and p.y == script.WORDS]
    assert pads == (~batch.is_word[0]).tolist()


def test_the_topic_is_read_after_the_last_word_and_the_leak_after_the_last_pad(script, parts):
    (topic,) = (a for a in arrows(parts["classifier"], "says") if a.end[1] < script.SAID + 20)
    (leak,) = arrows(parts["classifier"], "leak")
    assert (topic.start[0], leak.start[0]) == (script.at(2), script.at(4))


def test_the_mask_of_the_tagger_is_one_where_a_word_is(script, parts):
    ones = [p for p in parts["tagger"] if isinstance(p, Note) and p.text in ("0", "1")]
    at_a_word = {box.x: box.style != "pad" for box in parts["tagger"] if isinstance(box, Box) and box.y == script.WORDS}
    assert [note.text == "1" for note in ones] == [at_a_word[note.x] for note in ones] and len(ones) == 5


def test_the_staircase_is_torchs(script, parts):
    batch = make_batch([" ".join(words) for words in script.SENTENCES])
    lengths = [len(words) for words in script.SENTENCES]
    packed = pack_sequence([ids[:n] for ids, n in zip(batch.ids, lengths, strict=True)], enforce_sorted=False)
    notes = [p for p in parts["packed"] if isinstance(p, Note)]
    assert [int(note.text) for note in notes if note.text.isdigit()] == packed.batch_sizes.tolist()
    rows = [int(note.text.removeprefix("sentence ")) for note in notes if note.text.startswith("sentence")]
    assert rows == packed.sorted_indices.tolist()
    words = dict(zip(batch.ids[1].tolist(), batch.tokens[1], strict=True))  # the longest sentence has them all
    lowest = max(p.y for p in parts["packed"] if isinstance(p, Box))
    assert boxes(parts["packed"], lowest) == [words[i] for i in packed.data.tolist()]


def test_the_second_direction_starts_in_the_pads(script, parts):
    leaks = arrows(parts["both"], "leak")
    assert sorted((a.start[0], a.end[0]) for a in leaks) == [
        (pytest.approx(script.at(i) - 13), pytest.approx(script.at(i - 1) + 15)) for i in (3, 4)
    ]
