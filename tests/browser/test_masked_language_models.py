"""What lesson 03's lab is about, by hand: in a plain page with the lab's own `draw` behind it."""

import pytest
from playwright.sync_api import expect

from masklab.labs import masked_language_models as lesson
from tests.browser import lab as labs
from tests.browser.lab import WAIT_MS, LabPage, open_lab, settled
from tests.browser.page import ruler
from tests.browser.test_labs import PLACES, SCREEN

expect.set_options(timeout=WAIT_MS)
FATES, EIGHT = "Mask, swap, keep", "8 words, 15 %"


def summary(lab: LabPage):
    return expect(lab.lab.locator(".mlab-summary"))


def chip(lab: LabPage, row: int, place: int):
    return lab.lab.locator(".mlab-chips").nth(row).locator(".mlab-chip").nth(place)


def below(lab: LabPage, row: int, place: int):
    return expect(lab.lab.locator(".mlab-chips").nth(row).locator(".mlab-below").nth(place))


def preset(lab: LabPage, name: str) -> dict:
    """Click a preset; what it sets."""
    lab.lab.get_by_role("button", name=name, exact=True).click()
    return dict(lesson.State.presets[name])


# --- what must click ------------------------------------------------------------------------------------


def test_0_505_is_seen_at_first_sight_and_what_the_model_makes_of_the_holes(lab):
    summary(lab).to_contain_text("Mean over the 5 chosen: 2.524 / 5 = 0.505. ✓ input == [MASK] finds the same 5.")
    guesses = lab.step("guesses").locator("tbody th").all_text_contents()
    assert {"1: cat", "4: pie"} <= set(guesses)
    assert sum("✓" in row[0] for row in lab.rows("guesses")) == 2


def test_a_click_goes_on_to_the_next_fate_and_only_the_input_loses_sight_of_it(lab):
    pie, seen = chip(lab, 0, 4), []
    for clicks in range(4):
        lab.shows(clicks=[[0, 4, clicks]] if clicks else [])
        expect(pie).to_have_attribute("aria-pressed", "false" if clicks == 3 else "true")
        below(lab, 0, 4).to_have_text("−100" if clicks == 3 else "pie")
        seen.append((lab.rows("mask")[0][4], lab.rows("input_mask")[0][4]))
        lab.picture(f"clicks-{clicks}")
        pie.click()
    lab.shows()  # once round
    assert seen == [("1", "1"), ("1", "0▨✗"), ("1", "0▨✗"), ("0▨", "0▨")]


def test_words_are_hidden_by_the_keyboard_too(lab):
    chip(lab, 0, 0).focus()
    for key in ("Space", "ArrowRight", "Enter"):
        lab.page.keyboard.press(key)
    lab.shows(clicks=[[0, 0, 1], [0, 1, 1]])
    expect(chip(lab, 0, 0)).to_have_text("[MASK]")
    expect(chip(lab, 0, 1)).to_be_focused()


def test_what_looking_for_mask_misses_is_counted(lab):
    lab.shows(**preset(lab, FATES))
    summary(lab).to_contain_text("✗ input == [MASK] misses 3 of 5 (2 swapped, 1 unchanged): its mean is")
    assert str(lab.rows("input_mask")).count("✗") == 3
    lab.picture("fates")


def test_a_short_sentence_with_nothing_chosen(lab):
    sets = preset(lab, EIGHT)
    lab.shows(**sets)
    summary(lab).to_contain_text(
        "Nothing is chosen in sentence 2 (as in 27 % of all with 8 words): it teaches nothing."
    )
    lab.picture("eight")
    lab.lab.get_by_label("Rate in %").press("Home")
    lab.shows(**sets | {"rate": 0.0})
    summary(lab).to_contain_text("Nothing is chosen: the mean is 0 / 0, NaN.")


def test_static_stands_still_after_ten_epochs_and_dynamic_goes_on(lab):
    slider = lab.lab.get_by_label("Epochs")
    slider.press("Home")
    for _ in range(9):
        slider.press("ArrowRight")
    lab.shows(epochs=10.0)
    static, dynamic = lab.rows("schedules")
    assert static == dynamic and static[4] == "0▨"
    slider.press("End")
    lab.shows()
    static, dynamic = lab.rows("schedules")
    assert static[4] == "0▨" and not any("▨" in one for one in dynamic)


def test_t5_shows_the_sentence_as_input_and_target(lab):
    losses = expect(lab.lab.locator(".mlab-control-name").get_by_text("Losses", exact=True))
    losses.to_be_visible()
    lab.pick("Choose", "T5")
    lab.shows(strategy="T5")
    losses.to_be_hidden()  # there is no panel that they would change
    for place, on in enumerate(lab.drawn(strategy="T5").sentences[0].pressed):
        if on:
            chip(lab, 0, place).click()  # off, whatever the seed chose
    expect(lab.step("target")).to_have_count(0)  # nothing is hidden any more
    chip(lab, 0, 1).click()
    chip(lab, 0, 2).click()
    expect(lab.step("target").locator("thead th")).to_have_text(["<0>", "cat", "ate"])
    heads = [lab.step(name).locator("thead th").all_text_contents() for name in ("input", "target")]
    assert heads == [["The", "<0>", "fish", "pie"], ["<0>", "cat", "ate"]]
    summary(lab).to_contain_text("✓ Put together again: The cat ate fish pie.")
    lab.picture("t5")


# --- typing and pointing --------------------------------------------------------------------------------


def test_the_guesses_follow_what_is_typed(lab):
    lab.box().fill("The [MASK] drinks")
    lab.shows(sentences=["The [MASK] drinks", *lab.sentences[1:]])
    before = lab.rows("guesses")
    lab.box().press("End")
    lab.page.keyboard.type(" milk")
    lab.shows(sentences=["The [MASK] drinks milk", *lab.sentences[1:]])
    assert lab.rows("guesses") != before
    assert lab.step("guesses").locator("tbody th").first.text_content() in ("1: cat", "1: kitten", "1: tabby")
    summary(lab).to_contain_text("! A [MASK] that you type has no right answer: it must not count.")
    lab.picture("blank")


def test_a_guess_lights_its_hole_and_a_cell_says_what_became_of_it(lab):
    (guesses,) = (panel for panel in lab.drawn().panels if panel.name == "guesses")
    lab.cell("guesses", list(guesses.rows).index("4: pie"), 0).hover()
    expect(chip(lab, 0, 4)).to_have_attribute("data-here", "true")
    assert lab.lab.evaluate(labs.LIT)["panels"]["schedules"] == [[], [4]]
    lab.cell("losses", 2, 3).hover()
    status = expect(lab.lab.locator(".mlab-status"))
    status.to_have_text("sentence 3, position 3 [MASK]: loss 0.63, chosen 1 → 0.63, input == [MASK] 1")
    lab.page.screenshot(path=labs.ARTEFACTS / f"{lab.name}-pointing.png")


# --- looks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [
    {"losses": "model"}, {"strategy": "T5"}, {"strategy": "spans"}, lesson.State.presets[FATES],
    lesson.State.presets[EIGHT], {"sentences": ["The [MASK] drinks milk"]},
], ids=["model", "T5", "spans", "fates", "eight", "blank"])  # fmt: skip
@pytest.mark.parametrize("width", PLACES.values())
def test_what_must_click_is_on_one_screen(browser, state, width):
    page = browser.new_page(viewport={"width": 1366, "height": 1400})
    open_lab(page, lesson, **state)
    found = ruler(page, width)
    if state is not lesson.State.presets[EIGHT] or width == PLACES["folded"]:  # 24 words need the width
        assert found["height"] <= SCREEN
    assert (found["outside"], found["scrolled"], found["cut"]) == ([], 0, 0)
    page.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_to_look_at(lab, theme):
    lab.page.emulate_media(color_scheme=theme)
    lab.shows(**preset(lab, FATES))
    lab.picture(f"{theme}-fates")
    words = "The old dog near the house sees the hungry kitten that waits by the green door"
    lab.pick("Losses", "the model's")
    lab.box().fill(words)
    lab.shows(**lesson.State.presets[FATES] | {"sentences": [words, *lab.sentences[1:]], "losses": "model"})
    settled(lab.lab)
    assert lab.lab.evaluate(labs.TOO_WIDE) == []
    lab.picture(f"{theme}-16-known")
