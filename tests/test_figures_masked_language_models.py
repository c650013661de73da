"""What the pictures of lesson 03 claim is so."""

import pytest
import torch

from masklab.corruption import with_sentinels
from masklab.dialects import to_labels
from masklab.figures.diagrams import Arrow, Box
from tests.test_figures_scripts import SCRIPTS, load


@pytest.fixture(scope="module")
def script():
    return load(SCRIPTS["masked_language_models"])


@pytest.fixture(scope="module")
def parts(script):
    return {drawing.name: drawing.parts for drawing in script.drawings()}


def rows(parts):
    """The texts of the boxes by their height, each row from left to right."""
    boxes = sorted((p for p in parts if isinstance(p, Box)), key=lambda box: (box.y, box.x))
    return [[box.text for box in boxes if box.y == y] for y in dict.fromkeys(box.y for box in boxes)]


def test_only_the_outputs_at_the_blanks_lead_to_the_loss(script, parts):
    said, _, read = rows(parts["idea"])[1:]
    assert " ".join(read) == "The [MASK] ate fish [MASK]"
    assert [i for i, token in enumerate(read) if token == "[MASK]"] == list(script.BLANKS) == [1, 4]
    assert said == [word if i in script.BLANKS else "✗" for i, word in enumerate(script.SENTENCE)]
    loss = [arrow.start[0] for arrow in parts["idea"] if isinstance(arrow, Arrow) and arrow.style == "reads"]
    assert loss == [script.at(i) for i in script.BLANKS]


def test_each_fate_occurs_and_the_labels_are_those_of_the_choice(script, parts):
    sentence, choice, read, labels, guess = rows(parts["fates"])
    chosen = torch.tensor([[one == "1" for one in choice]])
    expected = to_labels(torch.arange(5)[None], chosen)[0].tolist()
    assert [word if word == "−100" else sentence.index(word) for word in labels] == [
        "−100" if label == -100 else label for label in expected
    ]
    changed = [old != new for old, new in zip(sentence, read, strict=True)]
    assert [token == "[MASK]" for token in read] == [one == "1" for one in guess]
    assert (sum(map(int, choice)), sum(changed), read.count("[MASK]")) == (3, 2, 1)  # masked, swapped, unchanged
    assert "misses 2 of 3" in " ".join(p.text for p in parts["fates"] if not isinstance(p, Arrow))


def test_t5s_input_and_target_are_the_librarys(script, parts):
    words = list(script.SENTENCE)
    chosen = torch.tensor([any(i in span for span in script.SPANS) for i in range(5)])
    pair = with_sentinels(torch.arange(5), chosen, sentinels=[5, 6])
    names = [*words, *script.SENTINELS]
    assert rows(parts["t5"]) == [words, *([names[i] for i in half.tolist()] for half in (pair.inputs, pair.targets))]
