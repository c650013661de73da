"""What lesson 02's lab is about, by hand: in a plain page with the lab's own `draw` behind it."""

import pytest
from playwright.sync_api import expect

from masklab.labs import recurrent_networks
from tests.browser import lab as labs
from tests.browser.lab import WAIT_MS, LabPage, open_lab, settled, violations
from tests.browser.page import ruler

expect.set_options(timeout=WAIT_MS)
LAST_STEP, LAST_WORD, PACKED = range(3)
PLACES, SCREEN = (1186, 934), 647  # what is left for a lab in JupyterLab at 1366×768

TAGGER = {"view": "tagger", **recurrent_networks.EXAMPLES["tagger"]}


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
    lab.pick("Side", "left")
    lab.shows(side="left")
    assert [topic(lab, i) for i in range(3)] == [("FOOD", "✗"), ("FOOD", "✗"), ("BEHAVIOR", "✓")]
    assert column(lab, "read", PACKED) == packed
    lab.picture("left")


def test_the_second_direction_begins_in_the_pads(lab):
    lab.pick("Direction", "both")
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


# --- the tagger's view ----------------------------------------------------------------------------------


def look_at_the_tagger(lab: LabPage) -> dict:
    """Its view, with its own example; return what has changed."""
    lab.pick("View", "tagger")
    lab.shows(**TAGGER)
    return dict(TAGGER)


def below(lab: LabPage) -> list[str]:
    """The tags under the chips of all sentences."""
    return lab.lab.locator(".mlab-below").all_text_contents()


def test_the_mask_of_the_losses_is_painted_before_it_is_revealed(lab):
    changed = look_at_the_tagger(lab)
    lab.choose("Predict first")
    lab.shows(**changed, predict=True)
    assert lab.rows("mask") == [["1"] * 7] * 3
    summary(lab).to_contain_text("✓ Over all 21 positions: the same.")
    lab.drag("mask", (0, 5), (0, 6))
    lab.cell("mask", 1, 0).click()
    painted = [[0, 5], [0, 6], [1, 0]]
    lab.shows(**changed, predict=True, painted=painted)
    lab.picture("tagger-painting")
    lab.choose("Reveal")
    lab.shows(**changed, predict=True, painted=painted, reveal=True)
    summary(lab).to_contain_text("You masked 2 of the 10 cells to mask (✓ 2, ✗ 8 missed), and 1 too many (!).")
    assert lab.rows("mask")[0] == ["1"] * 5 + ["0▨✓"] * 2 and lab.rows("mask")[1][0] == "1!"
    lab.picture("tagger-revealed")
    lab.pick("View", "classifier")  # a guess ends with its view
    lab.shows()
    expect(lab.lab.get_by_role("switch", name="Reveal")).to_be_hidden()


def test_the_means_swap_places_with_the_other_training(lab):
    changed = look_at_the_tagger(lab)
    words, positions, ignored = (float(row[0].rstrip("✓✗")) for row in lab.rows("numbers"))
    assert words == ignored < 0.7 < 2 < positions
    lab.pick("Trained", "without it")
    lab.shows(**changed, trained="without it")
    words, positions, ignored = (float(row[0].rstrip("✓✗")) for row in lab.rows("numbers"))
    assert positions < 0.6 < 0.7 < words == ignored
    assert below(lab)[5:7] == ["[PAD]"] * 2
    lab.picture("tagger-without")


def test_a_sentence_is_tagged_as_it_is_typed_and_more_pads_move_one_mean_only(lab):
    changed = look_at_the_tagger(lab)
    lab.box(2).fill("Two sick kittens sleep on homework")
    lab.shows(**changed | {"sentences": [*changed["sentences"][:2], "Two sick kittens sleep on homework"], "shown": 2})
    expect(lab.lab.locator(".mlab-sentence-note").nth(2)).to_have_text(
        "6 of 8 are words; 1 unknown word: read as [UNK], labelled NOUN"
    )
    assert below(lab)[16:18] == ["NUM", "ADJ"]
    before = lab.rows("numbers")
    slide(lab, "End")
    expect(lab.lab.get_by_label("More pads")).to_have_value("12")
    settled(lab.lab)
    after = lab.rows("numbers")
    assert after[0] == before[0] and after[2] == before[2] and after[1] != before[1]
    assert lab.lab.evaluate(labs.TOO_WIDE) == []
    lab.picture("tagger-typed")


def test_each_view_has_its_own_controls(lab):
    def named(label):
        return lab.lab.locator(".mlab-control-name").get_by_text(label, exact=True)

    expect(named("Direction")).to_be_visible()
    expect(named("Predict first")).to_be_hidden()
    look_at_the_tagger(lab)
    expect(named("Direction")).to_be_hidden()
    expect(named("Trained")).to_be_visible()
    lab.cell("counted", 1, 3).hover()
    said = expect(lab.lab.locator(".mlab-status"))
    loss = lab.rows("losses")[1][3]
    said.to_have_text(f"sentence 2, position 3 fish: loss {loss}, mask 1 → {loss}")
    lab.cell("numbers", 1, 0).hover()
    said.to_contain_text("over positions")


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


@pytest.mark.parametrize("direction", ["one", "both"])
def test_16_words_that_it_knows(lab, direction):
    text = "The old dog near the house sees the hungry kitten that waits by the green door"
    assert len(text.split()) == 16
    lab.pick("Direction", direction)
    lab.box().fill(text)
    lab.shows(sentences=[text, *lab.sentences[1:]], direction=direction)
    summary(lab).to_contain_text("No sentence in training had more than 14 words.")
    assert lab.lab.evaluate(labs.TOO_WIDE) == []
    lab.picture(f"16-{direction}")


# --- looks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_taggers_view_can_be_read_in_light_and_dark(lab, theme):
    lab.page.emulate_media(color_scheme=theme)
    look_at_the_tagger(lab)
    assert [low for low in settled(lab.lab).evaluate(labs.CONTRAST) if low[0] < 4.5] == []
    assert lab.lab.evaluate(labs.SPILLED) == [] and violations(lab) == []
    lab.picture(f"{theme}-tagger")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("side", ["right", "left"])
def test_pictures_to_look_at(lab, theme, side):
    lab.page.emulate_media(color_scheme=theme)
    lab.pick("Direction", "both")
    lab.pick("Side", side)
    lab.shows(direction="both", side=side)
    settled(lab.lab)
    lab.picture(f"{theme}-both-{side}")
    lab.page.emulate_media(color_scheme="light")


@pytest.mark.parametrize("state", [
    {"side": "left"}, {"direction": "both"}, {"direction": "both", "side": "left"}, {"more": 0}, {"shown": 2},
    *({**TAGGER, **changes} for changes in ({}, {"trained": "without it"}, {"side": "left"}, {"predict": True})),
], ids=str)  # fmt: skip
def test_no_state_of_the_first_sentences_is_taller_than_one_screen(browser, state):
    page = browser.new_page(viewport={"width": 1300, "height": 1800})
    open_lab(page, recurrent_networks, **state)
    for width in PLACES:
        found = ruler(page, width)
        assert found["height"] <= SCREEN and (found["outside"], found["scrolled"], found["cut"]) == ([], 0, 0)
    page.close()
