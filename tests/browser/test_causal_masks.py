"""What lesson 06's lab is about, by hand: in a plain page with the lab's own `draw` behind it."""

import pytest
from playwright.sync_api import expect

from masklab.labs import causal_masks
from tests.browser import lab as labs
from tests.browser.lab import WAIT_MS, LabPage, open_lab, settled
from tests.browser.page import ruler

expect.set_options(timeout=WAIT_MS)
SQUARES = ("scores", "mask", "masked", "weights")
FOLDED, SCREEN = 1186, 647  # what is left for a lab in JupyterLab then


def chip(lab: LabPage, i: int):
    return lab.lab.locator("[data-shown] .mlab-chip").nth(i)


def pressed(lab: LabPage) -> list[bool]:
    """Which chips of the shown sentence are on."""
    return lab.lab.locator("[data-shown] .mlab-chip").evaluate_all(
        "all => all.map((one) => one.ariaPressed === 'true')"
    )


def summary(lab: LabPage):
    return expect(lab.lab.locator(".mlab-summary"))


def bars(lab: LabPage) -> dict[str, str]:
    """What each word gets as the next one, as it is written."""
    names = lab.step("next").locator("tbody th").all_text_contents()
    return dict(zip(names, (row[0] for row in lab.rows("next")), strict=True))


# --- cheating -------------------------------------------------------------------------------------------


def test_without_the_mask_the_weight_is_on_the_answer_and_generation_has_no_answer(lab):
    lab.pick("Trained with", "no mask")
    lab.shows(model="none")
    weight = lab.rows("weights")[3][4]
    assert float(weight) > 0.8 and "▨" not in str(lab.rows("mask"))
    summary(lab).to_contain_text(f'Row "ate" cheats: weight {weight} on its answer, "fish".')
    assert float(bars(lab)["fish"].removesuffix("✓")) > 0.8
    lab.picture("cheats")
    lab.pick("View", "generation (one by one)")
    lab.shows(model="none", view="generation")
    assert float(bars(lab)["fish"].removesuffix("✓")) < 0.1
    summary(lab).to_contain_text("other logits")
    lab.picture("cheats-no-more")


def test_the_mask_of_the_training_can_be_taken_away_or_put_on(lab):
    assert lab.rows("weights")[3][4] == "0.00▨"
    lab.pick("Mask now", "off")
    lab.shows(mask="none")
    assert lab.rows("weights")[3][4] not in ("0.00", "0.00▨")
    lab.pick("Trained with", "no mask")
    lab.pick("Mask now", "causal")
    lab.shows(model="none", mask="causal")
    summary(lab).to_contain_text("the same numbers")
    at_once, one_by_one = lab.rows("loss")[3]
    assert at_once == one_by_one and float(at_once) > 5


# --- the step -------------------------------------------------------------------------------------------


def test_a_click_on_a_word_asks_what_comes_after_it(lab):
    chip(lab, 5).click()
    lab.shows(step=5)
    assert pressed(lab) == [False] * 5 + [True]
    assert bars(lab)["[EOS]"].endswith("✓")
    expect(lab.step("next").locator(".mlab-title")).to_have_text("next word after pie")
    expect(lab.step("weights").locator("[aria-current]")).to_have_text("pie")


def test_the_step_is_chosen_with_the_keyboard_alone(lab):
    chip(lab, 0).focus()
    lab.page.keyboard.press("End")
    lab.page.keyboard.press("ArrowLeft")
    lab.shows()
    lab.page.keyboard.press("Enter")
    lab.shows(step=4)
    assert pressed(lab).index(True) == 4


def test_a_word_of_another_sentence_shows_that_sentence(lab):
    lab.lab.locator(".mlab-chips").nth(1).locator(".mlab-chip").nth(5).click()
    lab.shows(shown=1, step=5)
    assert pressed(lab).index(True) == 5 and bars(lab)["the"].endswith("✓")


def test_a_row_stays_the_same_in_every_view(lab):
    row = [number.removesuffix("▨") for number in lab.rows("weights")[3][:4]]
    lab.pick("View", "generation (one by one)")
    lab.shows(view="generation")
    assert len(lab.rows("weights")) == 4 and lab.rows("weights")[3] == row
    assert [chip(lab, i).get_attribute("data-pad") for i in (3, 4, 5)] == [None, "true", "true"]
    lab.picture("generation")
    lab.pick("View", "cached")
    lab.shows(view="cached")
    assert lab.rows("weights") == [row]
    summary(lab).to_contain_text('All at once, row "ate" has the same numbers.')
    lab.cell("weights", 0, 1).hover()
    lit = lab.lab.evaluate(labs.LIT)
    assert (lit["query"], lit["key"]) == (3, 1)  # the chip "ate", though it is the first row here
    assert lit["panels"] == {**dict.fromkeys(SQUARES, [[0], [1]]), "next": [[], []], "loss": [[3], []]}
    lab.picture("cached")


# --- predict first --------------------------------------------------------------------------------------


def test_predict_first_by_painting_what_generation_could_not_see(lab):
    lab.choose("Predict first")
    lab.shows(predict=True)
    lab.drag("mask", (0, 1), (0, 5))
    cells = [[0, column] for column in range(1, 6)]
    lab.shows(predict=True, mask="causal", painted=cells)
    lab.choose("Reveal")
    lab.shows(predict=True, mask="causal", painted=cells, reveal=True)
    summary(lab).to_have_text("You blocked 5 of the 15 cells to block (✓ 5, ✗ 10 missed), and 0 too many (!).")
    lab.picture("revealed")
    lab.pick("Mask now", "one too far")
    lab.shows(predict=True, mask="too far")  # another right mask: the guess begins anew


# --- any text -------------------------------------------------------------------------------------------


def test_words_that_it_does_not_know(lab):
    lab.box().fill("My dog ate homework")
    lab.shows(sentences=["My dog ate homework", *lab.sentences[1:]])
    expect(lab.lab.locator(".mlab-sentence-note").first).to_have_text("2 unknown words: [UNK]")
    lab.picture("unknown")


def test_16_words_that_it_knows(lab):
    text = " ".join(["The hungry cat waits by the door near the house"] * 2)[
        : len("The hungry cat waits by the door near the house The hungry cat waits by the")
    ]
    assert len(text.split()) == 16
    lab.box().fill(text)
    lab.shows(sentences=[text, *lab.sentences[1:]])
    summary(lab).to_contain_text("No text in training had more than 7 words.")
    assert lab.lab.evaluate(labs.TOO_WIDE) == []
    lab.picture("16-known")


def test_more_words_than_it_can_read_is_one_sentence(lab):
    lab.box().fill("cat " * 32)
    expect(lab.lab.locator(".mlab-problem")).to_have_text(
        "⚠ Sentence 1 has 32 words and the model reads up to 31: your text is kept, shorten it to see it."
    )
    assert lab.box().input_value() == "cat " * 32


# --- looks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_to_look_at(lab, theme):
    lab.page.emulate_media(color_scheme=theme)
    lab.pick("Trained with", "no mask")
    lab.shows(model="none")
    settled(lab.lab)
    lab.picture(f"{theme}-none")
    lab.page.emulate_media(color_scheme="light")


@pytest.mark.parametrize("state", [
    {"model": "none"}, {"model": "too far"}, {"model": "none", "mask": "causal"}, {"mask": "none"}, {"view": "cached"},
    {"model": "none", "view": "generation"}, {"predict": True},
], ids=str)  # fmt: skip
def test_no_state_of_the_first_sentence_is_taller_than_one_screen(browser, state):
    page = browser.new_page(viewport={"width": 1300, "height": 1800})
    open_lab(page, causal_masks, **state)
    found = ruler(page, FOLDED)
    assert found["height"] <= SCREEN and (found["outside"], found["scrolled"], found["cut"]) == ([], 0, 0)
    page.close()
