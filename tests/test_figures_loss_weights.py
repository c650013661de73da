"""What the pictures of lesson 04 claim is so."""

import pytest
import torch

from masklab.figures.diagrams import Arrow, Box, Note
from tests.lessons import cells
from tests.test_figures_scripts import SCRIPTS, load


@pytest.fixture(scope="module")
def pictures():
    return {drawing.name: drawing for drawing in load(SCRIPTS["loss_weights"]).drawings()}


@pytest.fixture(scope="module")
def lesson():
    return cells("loss_weights", "def by_weight", "def winner_and_share", "writes = ", "def shift_left")


def boxes(picture):
    """The text of each box, by its place."""
    return {(part.x, part.y): part.text for part in picture.parts if isinstance(part, Box)}


def row(picture, y):
    """The texts at one height, from left to right."""
    return [part.text for part in sorted(picture.parts, key=lambda one: getattr(one, "x", 0))
            if isinstance(part, Box | Note) and part.y == y]  # fmt: skip


def test_the_votes_and_the_weights_are_the_lessons(pictures, lesson):
    votes, weight = (panel.values for panel in pictures["votes"].panels)
    assert torch.equal(votes, lesson["count_votes"](lesson["votes"], 3)[0])
    torch.testing.assert_close(weight[:, 0], lesson["agreement"][0])


def test_the_idea_shows_these_weights_and_the_lessons_losses(pictures, lesson):
    picture = pictures["idea"]
    said = [f"{weight:.1f}".replace(".0", "") for weight in lesson["agreement"][0].tolist()]
    assert row(picture, 114)[:5] == [*said, "0"]
    assert row(picture, 178)[:4] == [f"{loss:.3f}" for loss in lesson["losses"][0, :4].tolist()]
    assert row(picture, 146)[:5] == ["1", "1", "1", "1", "0"]
    assert f"÷ {lesson['agreement'].sum().item():.1f}" in row(picture, 40)[0]


def test_no_line_leads_from_the_pad_to_the_one_number(pictures):
    lines = [part for part in pictures["idea"].parts if isinstance(part, Arrow) and part.style == "reads"]
    places = boxes(pictures["idea"])
    assert [places[line.start[0], line.start[1] + 13] for line in lines] == ["1", "1", "0.9", "0.6"]


def test_the_labels_that_count_are_those_of_the_shifted_mask(pictures, lesson):
    picture, tokens = pictures["completion"], lesson["TOKENS"]
    talk = [tokens[i] for i in lesson["chat"][0, :7].tolist()]
    assert row(picture, 120)[:7] == talk
    assert row(picture, 60)[:6] == talk[1:]
    assert row(picture, 26)[:7] == [str(int(counted)) for counted in lesson["counts"][0, :7].tolist()]
    made = [part.text for part in picture.parts if isinstance(part, Box) and part.style == "made"]
    assert made == ["The", "cat", "ate", "[END]"]
