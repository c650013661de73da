"""What lesson 02's lab is about, by hand: in a plain page with the lab's own `draw` behind it."""

import pytest
from playwright.sync_api import expect

from masklab.labs import recurrent_networks
from tests.browser import lab as labs
from tests.browser.lab import WAIT_MS, LabPage, open_lab, settled
from tests.browser.page import ruler

expect.set_options(timeout=WAIT_MS)
LAST_STEP, LAST_WORD, PACKED = range(3)
PLACES, SCREEN = (1186, 934), 647  # what is left for a lab in JupyterLab at 1366×768


def column(lab: LabPage, panel: str, read_out: int) -> list[str]:
    return [row[read_out] for row in lab.rows(panel)]


def topic(lab: LabPage, read_out: int) -> tuple[str, str]:
    """The topic of a read-out, and the sign that stands there."""
    names = lab.step("topics").locator("tbody th").all_text_contents()
    return next(
        (name, cell[-1]) for name, cell in zip(names, column(lab, "topics", read_out), strict=True) if cell[-1] in "✓✗"
    )


def summary(lab: LabPage):
    return expect(lab.lab.locator(".mlab-summary"))


def slide(lab: LabPage, key: str) -> None:
    lab.lab.get_by_label("More pads").focus()
    lab.page.keyboard.press(key)


# --- more pads ------------------------------------------------------------------------------------------


def test_more_pads_flip_the_last_step_while_the_others_stand_still(lab):
    slide(lab, "Home")
    lab.shows(more=0)
    assert [topic(lab, i) for i in range(3)] == [("BEHAVIOR", "✓")] * 3
    word = column(lab, "read", LAST_WORD)
    lab.picture("no-pads")
    seen = []
    for more in range(1, 13):
        slide(lab, "ArrowRight")
        lab.shows(more=more)
        seen.append(column(lab, "read", LAST_STEP))
        assert column(lab, "read", LAST_WORD) == column(lab, "read", PACKED) == word
    assert topic(lab, LAST_STEP) == ("FOOD", "✗") and len(set(map(tuple, seen))) > 3
    summary(lab).to_contain_text("Only the last step has read 12 pads.")
    lab.picture("12-pads")


def test_padding_on_the_left_flips_the_last_word_too(lab):
    packed = column(lab, "read", PACKED)
    lab.pick("Padding side", "left")
    lab.shows(side="left")
    assert [topic(lab, i) for i in range(3)] == [("FOOD", "✗"), ("FOOD", "✗"), ("BEHAVIOR", "✓")]
    assert column(lab, "read", PACKED) == packed
    lab.picture("left")


def test_the_second_direction_begins_in_the_pads(lab):
    lab.pick("Direction", "⇄ both")
    lab.shows(direction="both")
    word, packed = column(lab, "read", LAST_WORD), column(lab, "read", PACKED)
    assert word[:4] == packed[:4] and all(one != other for one, other in zip(word[4:], packed[4:], strict=True))
    assert topic(lab, LAST_WORD) == ("HEALTH", "✗")
    summary(lab).to_contain_text("Direction ← begins with 6 pads")
    lab.picture("both")
    slide(lab, "Home")
    lab.shows(direction="both", more=0)
    assert column(lab, "read", PACKED) == packed == column(lab, "read", LAST_WORD)


# --- pointing -------------------------------------------------------------------------------------------


def test_pointing_at_a_read_out_lights_the_words_that_moved_it(lab):
    lab.cell("topics", 0, LAST_STEP).hover()
    lit = lab.lab.evaluate(labs.LIT)["panels"]
    assert lit == {"states": [[], []], "read": [[], [0]], "topics": [[0], [0]], "moved": [[0], []]}
    expect(lab.lab.locator(".mlab-status")).to_contain_text("topic FOOD, read-out last step")
    lab.cell("moved", PACKED, 4).hover()
    lit = lab.lab.evaluate(labs.LIT)["panels"]
    assert lit == {"states": [[], [4]], "read": [[], [2]], "topics": [[], [2]], "moved": [[2], [4]]}
    expect(lab.lab.locator("[data-shown] .mlab-chip").nth(4)).to_have_attribute("data-here", "true")
    lab.page.screenshot(path=labs.ARTEFACTS / f"{lab.name}-pointing.png")


def test_a_word_is_pointed_at_in_the_chips_and_lights_its_column(lab):
    lab.lab.locator("[data-shown] .mlab-chip").nth(2).hover()
    lit = lab.lab.evaluate(labs.LIT)["panels"]
    assert (lit["states"], lit["moved"], lit["topics"]) == ([[], [2]], [[], [2]], [[], []])


# --- any text -------------------------------------------------------------------------------------------


def test_words_that_it_does_not_know(lab):
    lab.box().fill("My dog enjoyed homework")
    lab.shows(sentences=["My dog enjoyed homework", *lab.sentences[1:]])
    expect(lab.lab.locator(".mlab-sentence-note").first).to_have_text("4 of 10 are words; 2 unknown words: [UNK]")
    lab.picture("unknown")


def test_a_sentence_without_words_is_drawn(lab):
    lab.box().fill("")
    lab.shows(sentences=["", *lab.sentences[1:]])
    summary(lab).to_have_text("There is no last word, and nothing to pack: the last step has read 10 pads.")
    assert set(column(lab, "topics", PACKED)) == {"NaN"}
    lab.picture("empty")


@pytest.mark.parametrize("direction", ["→ one", "⇄ both"])
def test_16_words_that_it_knows(lab, direction):
    text = "The old dog near the house sees the hungry kitten that waits by the green door"
    assert len(text.split()) == 16
    lab.pick("Direction", direction)
    lab.box().fill(text)
    lab.shows(sentences=[text, *lab.sentences[1:]], direction="one" if "one" in direction else "both")
    summary(lab).to_contain_text("No sentence in training had more than 14 words.")
    assert lab.lab.evaluate(labs.TOO_WIDE) == []
    lab.picture(f"16-{direction[-4:].strip()}")


# --- looks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("side", ["right", "left"])
def test_pictures_to_look_at(lab, theme, side):
    lab.page.emulate_media(color_scheme=theme)
    lab.pick("Direction", "⇄ both")
    lab.pick("Padding side", side)
    lab.shows(direction="both", side=side)
    settled(lab.lab)
    lab.picture(f"{theme}-both-{side}")
    lab.page.emulate_media(color_scheme="light")


@pytest.mark.parametrize("state", [
    {"side": "left"}, {"direction": "both"}, {"direction": "both", "side": "left"}, {"more": 0}, {"shown": 2},
], ids=str)  # fmt: skip
def test_no_state_of_the_first_sentences_is_taller_than_one_screen(browser, state):
    page = browser.new_page(viewport={"width": 1300, "height": 1800})
    open_lab(page, recurrent_networks, **state)
    for width in PLACES:
        found = ruler(page, width)
        assert found["height"] <= SCREEN and (found["outside"], found["scrolled"], found["cut"]) == ([], 0, 0)
    page.close()
