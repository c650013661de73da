"""What lesson 05's lab is about, by hand: in a plain page with the lab's own `draw` behind it."""

import re

from playwright.sync_api import expect

from masklab.panels import number
from tests.browser import lab as labs
from tests.browser.lab import WAIT_MS, LabPage

expect.set_options(timeout=WAIT_MS)
STAGES = ("scores", "mask", "masked", "weights")


def value(lab: LabPage, panel: str, row: int, column: int) -> str:
    """A number as the lab must write it at first sight."""
    found = next(one for one in lab.drawn().panels if one.name == panel)
    return number(found.values[row, column], found.kind)


def status(lab: LabPage):
    return expect(lab.lab.locator(".mlab-status"))


# --- pointing -------------------------------------------------------------------------------------------


def test_pointing_at_a_cell_highlights_the_same_words_everywhere_and_says_them(lab):
    lab.cell("weights", 2, 3).hover()
    assert lab.lab.evaluate(labs.LIT) == {
        "panels": {**dict.fromkeys(STAGES, [[2], [3]]), "output": [[2], []]},
        "query": 2,
        "key": 3,
    }
    status(lab).to_contain_text(f"query ate → key [PAD]: blocked, score {value(lab, 'scores', 2, 3)} → −∞, weight 0.00")
    lab.page.screenshot(path=labs.ARTEFACTS / "attention_padding-pointing.png")


def test_pointing_at_a_chip_highlights_its_row_and_its_column(lab):
    lab.lab.locator("[data-shown] .mlab-chip").nth(1).hover()
    lit = lab.lab.evaluate(labs.LIT)
    assert (lit["query"], lit["key"], lit["panels"]["weights"]) == (1, 1, [[1], [1]])


# --- what the lesson is about ---------------------------------------------------------------------------


def test_with_the_mask_only_the_pads_follow_the_slider_and_without_it_every_word_does(lab):
    masked = lab.rows("output")
    slide(lab, "End")
    lab.shows(pad=3)
    moved = lab.rows("output")
    assert moved[:3] == masked[:3]
    assert all(now != then for now, then in zip(moved[3:], masked[3:], strict=True))
    lab.choose("no mask")
    lab.shows(pad=3, mask="none")
    unmasked = lab.rows("output")
    slide(lab, "Home")
    lab.shows(pad=-3, mask="none")
    assert all(now != then for now, then in zip(lab.rows("output"), unmasked, strict=True))


def slide(lab: LabPage, key: str) -> None:
    """Move the slider of [PAD] with a key."""
    lab.lab.locator("input[type=range]").focus()
    lab.page.keyboard.press(key)


def test_unmoved_words_keep_their_colours_on_the_page(lab):
    """Under the mask nothing about the words moves when [PAD] does, so no pixel of theirs may change."""
    pixels = {}
    for key in ("Home", "End"):
        slide(lab, key)
        lab.shows(pad=3 if key == "End" else -3)
        labs.settled(lab.lab)
        pixels[key] = [lab.cell("output", row, column).screenshot() for row in range(3) for column in range(4)]
    assert pixels["Home"] == pixels["End"]


def test_masking_rows_too_gives_nan_and_in_the_second_layer_it_is_everywhere(lab):
    lab.choose("mask rows and columns")
    lab.shows(mask="both")
    output = lab.rows("output")
    assert output[3:] == [["NaN"] * 4] * 2 and "NaN" not in sum(output[:3], [])
    lab.choose("2")
    lab.shows(mask="both", layers=2)
    assert lab.rows("output2") == [["NaN"] * 4] * 5
    lab.picture("nan")
    lab.choose("mask columns")
    lab.shows(layers=2)
    assert "NaN" not in sum(lab.rows("output2"), [])


def test_left_padding_and_all_that_can_be_shown(lab):
    lab.choose("left")
    lab.choose("Show Q, K and V")
    lab.shows(side="left", qkv=True)
    lab.choose("Show as text")
    expect(lab.lab.locator(".mlab-text-twin")).to_contain_text("weights")
    lab.picture("everything")


# --- many words -----------------------------------------------------------------------------------------


def test_256_words_are_drawn_on_canvases(lab):
    text = " ".join(f"word{i}" for i in range(256))
    lab.box().fill(text)
    expect(lab.lab.locator(".mlab-sentence-note").first).to_have_text("256 of 256 are words")
    drawn = lab.lab.locator(".mlab-step").evaluate_all("all => all.map((step) => step.dataset.drawn)")
    assert drawn == ["canvas"] * 5
    assert lab.box().input_value() == text
    lab.lab.locator(".mlab-step canvas").nth(3).hover(position={"x": 100, "y": 100})
    status(lab).to_contain_text(re.compile(r"query word\d+ → key word\d+: score"))
    lab.picture("256")
