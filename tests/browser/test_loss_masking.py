"""What lesson 01's lab is about, by hand: in a plain page with the lab's own `draw` behind it."""

import pytest
from playwright.sync_api import expect

from masklab.labs import loss_masking
from tests.browser import lab as labs
from tests.browser.lab import WAIT_MS, LabPage, open_lab
from tests.browser.page import ruler
from tests.browser.test_labs import PLACES, SCREEN

expect.set_options(timeout=WAIT_MS)


def summary(lab: LabPage):
    return expect(lab.lab.locator(".mlab-summary"))


def set_number(lab: LabPage, row: int, place: int, text: str) -> None:
    """Type a number into a cell of the losses."""
    lab.cell("losses", row, place).dblclick()
    lab.page.keyboard.type(text)
    lab.page.keyboard.press("Enter")


def column(lab: LabPage, i: int = 0) -> dict[str, str]:
    """One column of the numbers, by their denominators."""
    return dict(zip(loss_masking.BY, [row[i] for row in lab.rows("numbers")], strict=True))


# --- what must click -------------------------------------------------------------------------------------


def test_0_650_is_seen_at_first_sight(lab):
    summary(lab).to_have_text("By token: 7.801 / 12 = 0.650.")
    assert lab.rows("gradient")[0] == ["0.083"] * 3 + ["0.000"] * 2


def test_more_padding_moves_the_number_by_position_and_nothing_else(lab):
    before = column(lab)
    lab.lab.get_by_label("More padding").focus()
    for more in (1, 2, 3):
        lab.page.keyboard.press("ArrowRight")
        lab.shows(more=float(more))
        assert {by for by, number in column(lab).items() if number != before[by]} == {"position"}
    lab.picture("padding")


def test_the_same_loss_and_another_gradient(lab):
    lab.pick("Losses", "all 1")
    lab.shows(losses="ones")
    assert column(lab) == {"token": "1.00", "sentence": "1.00", "position": "0.80", "count": "1.00"}
    summary(lab).to_contain_text("By sentence: the same loss, a different gradient.")
    by_token = lab.rows("gradient")
    lab.pick("Divide by", "sentence")
    lab.shows(losses="ones", by="sentence")
    assert lab.rows("gradient") != by_token and lab.rows("gradient")[0][0] == "0.111"
    lab.picture("same-loss")


def test_how_much_a_word_of_6_and_a_word_of_2_weighs(lab):
    preset = lab.module.State.presets["6 and 2 words"]
    lab.lab.get_by_role("button", name="6 and 2 words").click()
    lab.shows(**preset)
    assert [row[0] for row in lab.rows("gradient")] == ["0.125", "0.125"]
    lab.pick("Divide by", "sentence")
    lab.shows(**preset, by="sentence")
    assert [row[0] for row in lab.rows("gradient")] == ["0.083", "0.250"]
    lab.picture("six-and-two")


def test_micro_batches_accumulate_to_the_whole_batch_by_one_count_only(lab):
    lab.pick("Micro-batches", "2")
    for by in loss_masking.BY:
        lab.pick("Divide by", by)
        lab.shows(micro=2, by=by)
        is_same = lab.rows("gradient") == lab.rows("accumulated")
        assert is_same == (column(lab)[by] == column(lab, -1)[by]) == (by == "count")
        summary(lab).to_contain_text("✓ the gradient" if is_same else "✗ not the gradient")
        lab.picture(f"micro-{by}")
    lab.lab.get_by_label("The count").fill("15")
    lab.shows(micro=2, by="count", count=15)
    summary(lab).to_contain_text("✓ the gradient of the whole batch.")


@pytest.mark.parametrize(("typed", "shown"), [("nan", "NaN"), ("∞", "∞"), ("1000000", "1.0e6")])
def test_a_masked_number_changes_nothing_until_it_counts(lab, typed, shown):
    before, slopes = column(lab), lab.rows("gradient")
    set_number(lab, 0, 4, typed)
    value = {"nan": "NaN", "∞": "Infinity", "1000000": 1e6}[typed]
    lab.shows(set_losses=[[0, 4, value]])
    assert (lab.rows("losses")[0][4], column(lab), lab.rows("gradient")) == (f"{shown}✎", before, slopes)
    if typed != "1000000":
        summary(lab).to_contain_text(f"(losses * mask).sum() would be NaN, for 0 × {shown} is NaN.")
    lab.picture(f"masked-{shown[0]}")
    lab.cell("mask", 0, 4).click()
    lab.shows(set_losses=[[0, 4, value]], toggled=[[0, 4]])
    assert all(number != before[by] for by, number in column(lab).items())
    assert lab.rows("gradient")[0][4] == "0.077"
    lab.picture(f"counted-{shown[0]}")


def test_a_number_is_taken_back(lab):
    set_number(lab, 1, 0, "3,5")
    lab.shows(set_losses=[[1, 0, 3.5]])
    lab.cell("losses", 1, 0).focus()
    lab.page.keyboard.press("Delete")
    lab.shows()


def test_nothing_supervised_is_said(lab):
    lab.drag("mask", (0, 0), (0, 2))
    lab.shows(toggled=[[0, 0], [0, 1], [0, 2]])
    lab.drag("mask", (1, 0), (1, 4))
    lab.drag("mask", (2, 0), (2, 3))
    words = [[row, place] for row, length in enumerate((3, 5, 4)) for place in range(length)]
    lab.shows(toggled=words)
    assert column(lab) == {"token": "NaN", "sentence": "NaN", "position": "0.00", "count": "0.00"}
    summary(lab).to_contain_text("Nothing is supervised: by token and by sentence that is 0 / 0, NaN")
    lab.picture("nothing")


# --- pointing --------------------------------------------------------------------------------------------


def test_a_cell_is_lit_in_every_panel_and_in_the_chips_of_its_sentence_and_said(lab):
    lab.cell("mask", 2, 4).hover()
    lit = lab.lab.evaluate(labs.LIT)["panels"]
    assert lit == {**dict.fromkeys(("losses", "mask", "counted", "gradient"), [[2], [4]]), "numbers": [[], []]}
    chips = lab.lab.locator(".mlab-chips").nth(2).locator(".mlab-chip")
    expect(chips.nth(4)).to_have_attribute("data-here", "true")
    status = expect(lab.lab.locator(".mlab-status"))
    status.to_have_text("sentence 3, position 4 [PAD]: loss 0.92, mask 0 → 0.00, gradient 0.000")
    lab.page.screenshot(path=labs.ARTEFACTS / "loss_masking-pointing.png")
    lab.lab.locator(".mlab-chips").nth(0).locator(".mlab-chip").nth(1).hover()
    status.to_have_text("sentence 1, position 1 cat: loss 0.55, mask 1 → 0.55, gradient 0.083")
    assert lab.lab.evaluate(labs.LIT)["panels"]["gradient"] == [[0], [1]]
    lab.cell("numbers", 1, 0).hover()
    status.to_have_text("by sentence, loss of whole batch: 0.64")


def test_a_guess_is_about_all_sentences(lab):
    lab.choose("Predict first")
    lab.cell("mask", 0, 3).click()
    lab.lab.get_by_role("radio", name="show sentence 2").click()
    lab.cell("mask", 2, 4).click()
    lab.shows(predict=True, shown=1, painted=[[0, 3], [2, 4]])


def test_another_right_mask_begins_the_guess_anew(lab):
    lab.choose("Predict first")
    lab.cell("mask", 0, 3).click()
    lab.lab.get_by_label("More padding").press("ArrowRight")  # the new column would be judged by an old guess
    lab.shows(predict=True, more=1.0, painted=[], reveal=False)


# --- looks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [
    {"micro": 2}, {"micro": 3, "by": "sentence", "losses": "ones"}, {"predict": True}, {"set_losses": [[0, 3, "NaN"]]},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("width", PLACES.values())
def test_what_must_click_is_on_one_screen(browser, state, width):
    page = browser.new_page(viewport={"width": 1366, "height": 1400})
    open_lab(page, loss_masking, **state)
    found = ruler(page, width)
    assert found["height"] <= SCREEN and (found["outside"], found["scrolled"], found["cut"]) == ([], 0, 0)
    page.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_to_look_at(lab, theme):
    lab.page.emulate_media(color_scheme=theme)
    lab.pick("Micro-batches", "2")
    lab.shows(micro=2)
    lab.picture(f"{theme}-micro")
    lab.box().fill(" ".join(f"word{i}" for i in range(16)))
    lab.shows(micro=2, sentences=[" ".join(f"word{i}" for i in range(16)), *lab.sentences[1:]])
    assert lab.lab.evaluate(labs.TOO_WIDE) == []
    lab.picture(f"{theme}-16-micro")
