"""What the pictures of lesson 00 claim is so."""

import re

import pytest
import torch

from masklab.figures.diagrams import Arrow, Box
from masklab.text import make_batch
from tests.lessons import SOURCES
from tests.test_figures_scripts import SCRIPTS, load


@pytest.fixture(scope="module")
def script():
    return load(SCRIPTS["start_here"])


@pytest.fixture(scope="module")
def pictures(script):
    return {drawing.name: drawing for drawing in script.drawings()}


def boxes(picture):
    return {box.text: box for box in picture.parts if isinstance(box, Box)}


def test_the_map_has_every_lesson_of_the_table_by_its_title(pictures):
    rows = re.findall(r"^\| (\d\d) \| ([^|]*) \|", SOURCES["start_here"].read_text("utf-8"), re.MULTILINE)
    titles = [f"{number} {re.sub(r'[*]{2}|[*].*[*]|[(][^)]*[)]|[][]', '', title).strip()}" for number, title in rows]
    assert list(boxes(pictures["map"])) == titles and len(titles) == 12


def test_what_is_ready_is_shaded(pictures):
    ready = {path.stem[:2] for path in SOURCES.values()}
    assert {text[:2] for text, box in boxes(pictures["map"]).items() if box.style == "part"} == ready


def test_an_arrow_leads_from_the_edge_of_a_lesson_to_the_edge_of_a_later_one(pictures, script):
    def at(point):
        """The lesson on whose box a point is."""
        (found,) = (
            text[:2]
            for text, box in boxes(pictures["map"]).items()
            if abs(point[0] - box.x) <= box.width / 2 and abs(point[1] - box.y) <= 12
        )
        return found

    arrows = [(at(a.start), at(a.end)) for a in pictures["map"].parts if isinstance(a, Arrow)]
    assert sorted(arrows) == sorted((b, after) for after, those in script.BUILDS_ON.items() for b in those)
    assert all(before < after for before, after in arrows)
    assert {after for _, after in arrows} == set(script.LESSONS) - {"00"}, "every lesson can be reached"


def test_no_two_boxes_overlap_and_all_are_on_the_sheet(pictures):
    every, (wide, high) = list(boxes(pictures["map"]).values()), pictures["map"].size
    assert all(b.width / 2 < b.x < wide - b.width / 2 and 12 < b.y < high - 12 for b in every)
    for i, one in enumerate(every):
        for other in every[:i]:
            assert abs(one.x - other.x) > (one.width + other.width) / 2 or abs(one.y - other.y) > 24


def test_the_tables_are_the_running_batch(pictures):
    ids, words = pictures["padded"].panels
    batch = make_batch(["The cat ate", "The cat ate fish pie", "The cat ate fish"])
    assert torch.equal(ids.values, batch.ids) and torch.equal(words.values.bool(), batch.is_word)
    assert "3 of its 15 cells" in pictures["padded"].point and (words.values == 0).sum() == 3


def test_on_the_right_all_begin_in_one_column_and_on_the_left_all_end_in_one(pictures):
    right, left = (panel.values for panel in pictures["sides"].panels)
    assert right[:, 0].tolist() == [1, 1, 1] and left[:, -1].tolist() == [3, 5, 4]
    assert torch.equal(right[right != 0], left[left != 0])
