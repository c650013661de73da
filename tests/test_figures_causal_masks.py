"""What the pictures of lesson 06 claim is so."""

import math

import pytest
import torch

from masklab.figures.diagrams import Arrow, Box
from masklab.panels import number
from tests.test_figures_scripts import SCRIPTS, load


@pytest.fixture(scope="module")
def pictures():
    return {drawing.name: drawing for drawing in load(SCRIPTS["causal_masks"]).drawings()}


@pytest.fixture(scope="module")
def seen(pictures):
    return {name: {one.name: one for one in drawing.panels} for name, drawing in pictures.items()}


def test_the_pictures_claim_what_is_so(pictures, seen):
    q, k, scores = (seen["scores"][name].values for name in ("Q", "K", "scores"))
    assert torch.allclose(q @ k / math.sqrt(4), scores, atol=1e-6)
    full, usual = (panel.values for panel in pictures["mask"].panels)
    assert torch.equal(torch.triu(full, diagonal=1), usual) and (full == -math.inf).all()
    adding = seen["adding"]
    assert torch.equal(adding["mask"].values, usual)
    assert torch.equal(adding["scores"].values + adding["mask"].values, adding["masked"].values)
    weights = seen["softmax"]["weights"]
    assert torch.allclose(seen["softmax"]["masked"].values.softmax(-1), weights.values)
    assert list(weights.row_notes) == [number(1.0)] * 5
    output = seen["output"]
    assert torch.allclose(output["weights"].values @ output["V"].values, output["output"].values)
    assert torch.allclose(output["weights"].values[2, :3] @ output["V"].values[:3], output["output"].values[2])


def lines(picture) -> list[tuple[float, float]]:
    """From where to where the lines of a diagram lead, from left to right."""
    return [(a.start[0], a.end[0]) for a in picture.parts if isinstance(a, Arrow) and a.style == "reads"]


def test_lines_lead_backwards_in_the_encoder_only(pictures):
    for name in ("decoder_only", "training"):
        words = [box for box in pictures[name].parts if isinstance(box, Box) and box.text and box.y > 150]
        drawn = lines(pictures[name])
        assert len(drawn) == len(words) * (len(words) + 1) / 2 and all(key <= query for key, query in drawn)
    encoder, decoder = [], []
    for key, query in lines(pictures["encoder_decoder"]):
        (encoder if key < 400 else decoder).append(key <= query)
    assert len(encoder) == 9 and not all(encoder) and len(decoder) == 6 and all(decoder)


def test_the_leak_leads_from_a_word_to_the_position_before_it(pictures):
    leak, _ = (a for a in pictures["training"].parts if isinstance(a, Arrow) and a.style == "leak")
    said = {(box.x, box.y < 100): box.text for box in pictures["training"].parts if isinstance(box, Box) and box.text}
    target = min((x for x, above in said if above), key=lambda x: abs(x - leak.end[0]))
    assert said[leak.start[0], False] == said[target, True] == "fish" and said[target, False] == "ate"
