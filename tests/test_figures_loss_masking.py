"""What the pictures of lesson 01 claim is so."""

import pytest
import torch

from masklab.figures.diagrams import Arrow, Box
from masklab.panels import number
from tests.lessons import cells
from tests.test_figures_scripts import SCRIPTS, load


@pytest.fixture(scope="module")
def pictures():
    return {drawing.name: drawing for drawing in load(SCRIPTS["loss_masking"]).drawings()}


@pytest.fixture(scope="module")
def lesson():
    return cells("loss_masking", "ids = torch", "mask = torch.arange", "def by_token", "def by_sentence")


def test_the_counted_losses_are_the_lessons(pictures, lesson):
    losses, mask, counted = (panel.values for panel in pictures["counted"].panels)
    assert torch.equal(losses, lesson["losses"]) and torch.equal(mask.bool(), lesson["mask"])
    assert torch.equal(losses * mask, counted)
    assert number(counted.sum().item()) == "7.80" and number(counted.sum().item() / 12) == "0.65"


def test_the_weights_are_the_lessons_gradients(pictures, lesson):
    mask = torch.arange(6) < torch.tensor([[6], [2]])
    for panel, name in zip(pictures["weights"].panels, ("token", "sentence", "position"), strict=True):
        ours = lesson["gradient"](torch.ones(2, 6), mask, lesson["DENOMINATORS"][name])
        torch.testing.assert_close(panel.values, ours)
        assert torch.equal(panel.blocked, ~mask) and (panel.values[panel.blocked] == 0).all()


def test_no_line_leads_from_a_pad_to_the_one_number(pictures, lesson):
    parts = pictures["idea"].parts
    boxes = {(one.x, one.y): one.text for one in parts if isinstance(one, Box)}
    lines = [one for one in parts if isinstance(one, Arrow) and one.style == "reads"]
    from_losses = [boxes[line.start[0], line.start[1] + 13] for line in lines]  # the middle of the box below its end
    assert from_losses == [f"{loss:.3f}" for loss in lesson["losses"][0, :3].tolist()]
    assert list(boxes.values()).count("✗") == 2
    (total,) = [text for text in boxes.values() if "÷" in text]
    assert total == f"sum ÷ 3 = {lesson['losses'][0, :3].mean().item():.3f}"
