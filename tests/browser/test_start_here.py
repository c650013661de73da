"""What lesson 00's lab is about, by hand: in a plain page with the lab's own `draw` behind it."""

import pytest
from playwright.sync_api import expect

from masklab.labs import start_here as lesson
from tests.browser import lab as labs
from tests.browser.lab import WAIT_MS, LabPage
from tests.browser.page import ruler
from tests.browser.test_labs import PLACES, SCREEN

expect.set_options(timeout=WAIT_MS)
LONG = [" ".join(f"word{i}{j}" for i in range(16)) for j in range(6)]


def summary(lab: LabPage):
    return expect(lab.lab.locator(".mlab-summary"))


def status(lab: LabPage):
    return expect(lab.lab.locator(".mlab-status"))


def six(lab: LabPage) -> dict:
    """Press the button that brings six sentences; what has changed."""
    lab.lab.get_by_role("button", name="Six sentences").click()
    lab.shows(sentences=lesson.SIX)
    return {"sentences": lesson.SIX}


def test_a_long_sentence_makes_everybodys_padding_grow(lab):
    summary(lab).to_have_text("3 of 15 cells are padding (20 %).")
    lab.box(1).click()
    lab.page.keyboard.press("End")
    lab.page.keyboard.type(" and more pie")
    lab.shows(sentences=[lab.sentences[0], "The cat ate fish pie and more pie", lab.sentences[2]], shown=1)
    summary(lab).to_have_text("9 of 24 cells are padding (38 %).")


def test_batches_of_two_by_length_make_most_of_the_padding_vanish(lab):
    state = six(lab)
    for changes, padding in (
        ({"batch_size": 6}, "30 of 66 cells are padding (45 %)."),
        ({"batch_size": 2}, "16 of 52 cells are padding (31 %), in 3 batches. Compare: by length 2 of 38 (5 %),"),
        ({"order": "length"}, "2 of 38 cells are padding (5 %), in 3 batches. Compare: as typed 16 of 52 (31 %),"),
    ):
        for name, value in changes.items():
            state[name] = value
            how = lab.of_type(labs.Choice)[name]
            lab.pick(how.label, how.options[value])
        lab.shows(**state)
        summary(lab).to_contain_text(padding)
        lab.picture(f"six-{state['batch_size']}-{state.get('order', 'typed')}")


def test_a_ragged_list_is_no_tensor_and_batches_of_one_are(lab):
    lab.pick("Padding", "none")
    lab.shows(side="none")
    code = expect(lab.lab.locator(".mlab-code code"))
    code.to_contain_text("# ValueError: expected sequence of length 3 at dim 1 (got 5)")
    summary(lab).to_contain_text("✗ torch refuses the batch: the rows differ in length.")
    lab.picture("ragged")
    lab.pick("Batches of", "1")
    lab.shows(side="none", batch_size=1)
    code.not_to_contain_text("Error")
    summary(lab).to_contain_text("✓ No padding is needed")


def test_a_word_is_found_in_its_batch_wherever_that_is(lab):
    """By length the second batch holds sentence 2 alone, and the first one sentences 1 and 3."""
    lab.pick("Order", "by length")
    lab.pick("Batches of", "2")
    lab.shows(order="length", batch_size=2)
    lab.lab.locator("[data-shown] .mlab-chip").nth(2).hover()
    assert lab.lab.evaluate(labs.LIT) == {
        "panels": {"ids": [[0], [2]], "is_word": [[0], [2]], "ids2": [[], []], "is_word2": [[], []]},
        "query": -1,
        "key": -1,
    }
    assert lab.lab.locator("[data-shown] .mlab-chip[data-here]").text_content() == "ate"
    status(lab).to_have_text("sentence 1, position 2 ate: id 3, is_word 1")
    lab.cell("ids", 1, 3).hover()
    status(lab).to_have_text("sentence 3, position 3 fish: id 4, is_word 1")
    lab.cell("is_word2", 0, 4).hover()
    status(lab).to_have_text("sentence 2, position 4 pie: id 5, is_word 1")
    assert lab.lab.evaluate(labs.LIT)["panels"]["ids"] == [[], []]
    assert lab.lab.locator(".mlab-chip[data-here]").text_content() == "pie"


def test_predict_first_where_the_padding_will_be(lab):
    lab.pick("Padding", "left")
    lab.choose("Predict first")
    lab.shows(side="left", predict=True)
    assert lab.lab.locator(".mlab-chip[data-pad]").count() == 0 and lab.step("ids").count() == 0
    lab.drag("is_word", (0, 0), (0, 1))
    painted = [[0, 0], [0, 1]]
    lab.shows(side="left", predict=True, painted=painted)
    status(lab).to_have_text("sentence 1, position 1: is_word 0")  # and not which word this is
    lab.picture("painting")
    lab.choose("Reveal")
    lab.shows(side="left", predict=True, painted=painted, reveal=True)
    summary(lab).to_contain_text("You found 2 of 3 cells of padding (✓ 2, ✗ 1 missed), and 0 too many (!).")
    lab.picture("revealed")
    lab.pick("Padding", "right")
    lab.shows(predict=True)  # another side, another guess


@pytest.mark.parametrize(("place", "batch_size"), [("folded", 2), ("folded", 6), ("file browser open", 6)])
def test_six_sentences_fit_on_one_screen(lab, place, batch_size):
    state = six(lab)
    lab.pick("Batches of", str(batch_size))
    lab.shows(**state, batch_size=batch_size)
    try:
        found = ruler(lab.page, PLACES[place])
        lab.picture(f"six-{batch_size}-{PLACES[place]}")
    finally:
        lab.page.evaluate("() => { document.getElementById('a').style.width = ''; }")
    assert (found["outside"], found["scrolled"]) == ([], 0)
    assert found["height"] <= SCREEN, f"{found['height']:.0f} px of {SCREEN}"


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_on_a_laptop(lab, scheme):
    """For the eye: in a window of 1366×768, with six sentences of 16 words."""
    lab.page.set_viewport_size({"width": 1366, "height": 768})
    lab.page.emulate_media(color_scheme=scheme)
    state = six(lab)
    lab.picture(f"1366-{scheme}")
    for i, text in enumerate(LONG):
        lab.box(i).fill(text)
    lab.shows(**state | {"sentences": LONG, "shown": 5})
    lab.picture(f"1366-{scheme}-16")
    lab.pick("Batches of", "2")
    lab.shows(sentences=LONG, shown=5, batch_size=2)
    lab.picture(f"1366-{scheme}-16-2")
