"""What lesson 07's lab is about, by hand: in a plain page with the lab's own `draw` behind it."""

from types import SimpleNamespace

import pytest
from playwright.sync_api import expect

from masklab.labs import left_padding
from masklab.labs.rosetta import DIALECTS
from tests.browser import lab as labs
from tests.browser.lab import WAIT_MS, LabPage, open_lab
from tests.browser.page import RULER

expect.set_options(timeout=WAIT_MS)
INVERTED = "Pads visible? ✗ yes, though the mask blocks them · Future visible? ✗ yes, though the mask blocks it"


def summary(lab: LabPage):
    return expect(lab.lab.locator(".mlab-summary"))


def code(lab: LabPage) -> str:
    return lab.lab.locator(".mlab-code code").text_content()


def test_two_fully_masked_rows_are_seen_at_first_sight_and_three_libraries_give_three_answers(lab):
    summary(lab).to_contain_text("Fully masked rows: 2 → SDPA: zeros (HF eager: uniform, MHA: NaN)")
    assert lab.rows("output")[:2] == [["0.00"] * 4] * 2
    lab.pick("Written for", "HF eager")
    lab.shows(written="eager")
    assert lab.rows("weights")[:2] == [["0.20▨"] * 5] * 2
    lab.picture("uniform")
    lab.pick("Written for", "MHA")
    lab.shows(written="mha")
    assert lab.rows("output")[:2] == [["NaN"] * 4] * 2
    lab.picture("nan")


def test_every_form_is_shown_with_its_own_numbers_and_its_call(lab):
    seen = set()
    for name, dialect in DIALECTS.items():
        lab.pick("Written for", dialect.label)
        lab.shows(written=name)
        seen.add((lab.rows("tensor")[0][0], code(lab)))
    assert {number for number, _ in seen} == {"False▨", "−∞▨", "True▨", "0▨", "−3.4e38▨"}
    assert len({lines for _, lines in seen}) == len(DIALECTS)


def test_a_tensor_that_is_read_otherwise_turns_the_lights(lab):
    lab.pick("Written for", "MHA")
    lab.pick("Read by", "SDPA")
    lab.shows(written="mha", read="sdpa")
    summary(lab).to_contain_text(INVERTED)
    assert lab.cell("read", 0, 0).get_attribute("data-mark") == "✗"  # to block, and not blocked
    assert lab.cell("read", 2, 2).get_attribute("data-mark") == "!"  # blocked for nothing
    lab.picture("inverted")


def test_a_tensor_that_is_refused_gives_the_librarys_error(lab):
    lab.pick("Written for", "HF 2-D")
    lab.shows(written="tokenizer")
    assert lab.rows("tensor") == [["0▨", "0▨", "1", "1", "1"], ["1"] * 5, ["0▨", "1", "1", "1", "1"]]
    lab.picture("two-axes")
    lab.pick("Read by", "SDPA")
    lab.shows(written="tokenizer", read="sdpa")
    summary(lab).to_contain_text("✗ SDPA refuses the tensor that is written for HF 2-D")
    assert "# RuntimeError: Expected attn_mask dtype to be bool or float" in code(lab)
    assert lab.step("weights").count() == 0
    lab.picture("refused")


def test_libraries_are_gone_through_by_the_arrow_keys(lab):
    lab.lab.get_by_role("radio", name="SDPA bool", exact=True).focus()
    for name in ("bias", "mha"):
        lab.page.keyboard.press("ArrowRight")
        lab.shows(written=name)


def test_the_code_is_copied(lab):
    lab.page.evaluate("""() => Object.defineProperty(navigator, "clipboard", {
        value: { writeText: async (text) => void (window.copied = text) } })""")
    lab.lab.get_by_role("button", name="Copy").click()
    assert lab.page.evaluate("copied") == lab.drawn().code


def test_pointing_at_a_cell_says_how_it_comes_about(lab):
    lab.cell("causal", 2, 3).hover()
    lit = lab.lab.evaluate(labs.LIT)
    assert lit["panels"] == {**dict.fromkeys(lit["panels"], [[2], [3]]), "output": [[2], []]}
    expect(lab.lab.locator(".mlab-status")).to_have_text(
        "query The → key cat: blocked, padding 1 & causal 0 = 0, written False, adds −∞, weight 0.00"
    )
    lab.page.screenshot(path=labs.ARTEFACTS / "combined_masks-pointing.png")


def test_predict_first_by_painting(lab):
    lab.choose("Predict first")
    lab.shows(predict=True)
    lab.drag("mask", (0, 0), (3, 0))
    painted = [[row, 0] for row in range(4)]
    lab.shows(predict=True, painted=painted)
    lab.cell("mask", 0, 1).focus()
    lab.page.keyboard.press("Space")
    painted.append([0, 1])
    lab.shows(predict=True, painted=painted)
    lab.picture("painting")
    lab.choose("Reveal")
    lab.shows(predict=True, painted=painted, reveal=True)
    summary(lab).to_contain_text("You blocked 5 of the 19 cells to block (✓ 5, ✗ 14 missed), and 0 too many (!).")
    lab.picture("revealed")


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_on_a_laptop(lab, scheme):
    """For the eye: in a window of 1366×768, with 16 words in the shown sentence."""
    lab.page.set_viewport_size({"width": 1366, "height": 768})
    lab.page.emulate_media(color_scheme=scheme)
    lab.picture(f"1366-{scheme}")
    text = " ".join(f"word{i}" for i in range(16))
    lab.box().fill(text)
    lab.shows(sentences=[text, *lab.sentences[1:]])
    lab.picture(f"1366-{scheme}-16")


# --- the small lab of left padding ----------------------------------------------------------------------


def test_all_four_ways_to_run_a_batch(browser):
    page = browser.new_page(viewport={"width": 1186, "height": 700})
    names = {"lab": left_padding.lab, "draw": left_padding.picture, "State": left_padding.Prompts}
    small = SimpleNamespace(**names, __name__="left_padding")
    lab = open_lab(page, small)
    lab.shows()
    assert lab.rows("difference")[1][1] == "0.00✓"
    lab.picture("combined_masks-first")
    lab.choose("Position ids")
    lab.shows(positions=True)
    assert lab.rows("alone") == lab.rows("batched")
    lab.picture("combined_masks-equal")
    lab.choose("Attention mask")
    lab.shows(positions=True, mask=False)
    assert lab.rows("alone") != lab.rows("batched")
    lab.choose("Position ids")
    lab.shows(mask=False)
    lab.box().fill("The hungry little cat")
    lab.shows(mask=False, sentences=["The hungry little cat", lab.sentences[1]])
    assert page.evaluate(RULER, 934)["height"] < 500
    page.close()
