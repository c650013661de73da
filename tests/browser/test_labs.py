"""What holds for every lab, in a plain page with the lab's own `draw` behind it: no JupyterLab, no kernel."""

import pytest
from playwright.sync_api import Page, expect

from masklab.labs.controls import Choice, Number, Slider, Toggle
from masklab.panels import Panel
from tests.browser import lab as labs
from tests.browser.lab import FOCUSED, WAIT_MS, LabPage, settled, violations
from tests.browser.page import ruler
from tests.lessons import labs as all_labs

expect.set_options(timeout=WAIT_MS)
pytestmark = pytest.mark.parametrize("opened_lab", all_labs(), indirect=True, scope="module")
# What is left for a lab in JupyterLab at 1366×768: with the file browser folded away, and open.
PLACES = {"folded": 1186, "file browser open": 934}
SCREEN = 647  # the height that is left there
HOSTILE = {
    "script": "<script>globalThis.ran = true</script> <b>cat</b>",
    "onerror": '"><img src=nowhere onerror="globalThis.ran=true"> cat',
    "entities": "&lt;b&gt; &amp; 'cat' \"ate\" \\n {} $& %s",
    "spaces": "      ",
    "emoji": "The 🐈‍⬛ ate 👩🏽‍🚀 🇳🇱",
    "right to left": "القطة أكلت \u202eshif\u202c חתול",
    "combining marks": "Z̷̨̛a̴̡l̵̛g̸o ate e\u0301",
    "a typed [PAD]": "The [PAD] ate",
    "one endless word": "x" * 10_000,
    "too many words": "word " * 2_000,
}


def stops(page: Page, last: str, *, key: str = "Tab", most: int = 80) -> list[str]:
    """Press Tab until something has the focus; return all that had it on the way."""
    passed: list[str] = []
    while not passed or not passed[-1].startswith(last):
        page.keyboard.press(key)
        passed.append(page.evaluate(FOCUSED))
        assert len(passed) < most, f"Tab never came to {last!r}: {passed}"
    return passed


# --- what it shows --------------------------------------------------------------------------------------


def test_at_first_sight_it_shows_what_draw_says(lab):
    lab.shows()
    lab.picture("light")


def test_every_choice_switch_slider_and_number_is_drawn(lab):
    lab.show_more()
    for name, how in lab.of_type(Choice).items():
        if how.when:
            continue
        for value, label in how.options.items():
            lab.pick(how.label, label)
            lab.shows(**how.each.get(value, {}) | {name: value})
        lab.reset()
    for name, how in lab.of_type(Slider).items():
        if how.when:
            continue
        for key, value in (("End", how.high), ("Home", how.low)):
            lab.lab.get_by_label(how.label).focus()
            lab.page.keyboard.press(key)
            lab.shows(**{name: value})
        lab.reset()
    for name, how in lab.of_type(Number).items():
        if how.when:
            continue
        lab.lab.get_by_label(how.label).fill(str(how.high))
        lab.shows(**{name: how.high})
        lab.reset()
    for name, how in lab.of_type(Toggle).items():
        if not how.when:
            lab.lab.get_by_role("switch", name=how.label).click()
            lab.shows(**{name: not getattr(lab.module.State(), name)})
            lab.reset()


def test_every_number_lies_within_its_cell(lab):
    lab.show_more()
    changes = {}
    for name, how in lab.of_type(Toggle).items():
        if how.more:  # all that can be shown
            lab.choose(how.label)
            changes[name] = True
    lab.shows(**changes)
    assert settled(lab.lab).evaluate(labs.SPILLED) == []


# --- sentences ------------------------------------------------------------------------------------------


def test_typing_moves_the_chips_and_every_panel(lab):
    lab.box().click()
    lab.page.keyboard.press("End")
    lab.page.keyboard.type(" soup")
    lab.shows(sentences=[lab.sentences[0] + " soup", *lab.sentences[1:]], shown=0)  # what is typed is shown
    lab.picture("typed")


def test_what_is_typed_in_the_middle_is_kept_and_the_caret_stays(lab):
    first = lab.sentences[0]
    lab.box().click()
    lab.page.keyboard.press("Home")
    for _ in range(4):
        lab.page.keyboard.press("ArrowRight")
    lab.page.keyboard.type("hungry  black ")
    text = first[:4] + "hungry  black " + first[4:]
    lab.shows(sentences=[text, *lab.sentences[1:]], shown=0)
    assert lab.box().evaluate("box => [box.value, box.selectionStart, box.selectionEnd]") == [text, 18, 18]
    assert lab.box().evaluate("box => box === document.activeElement")


def test_sentences_are_added_chosen_and_removed(lab):
    more = [*lab.sentences, "A dog"]
    lab.lab.get_by_role("button", name="+ add").click()
    lab.page.keyboard.type("A dog")
    lab.shows(sentences=more, shown=len(more) - 1)  # what is typed is shown
    for shown in (0, len(more) - 1):
        lab.lab.get_by_role("radio", name=f"show sentence {shown + 1}").click()
        lab.shows(sentences=more, shown=shown)
    lab.lab.get_by_role("button", name="remove sentence 2").click()
    lab.shows(sentences=[more[0], *more[2:]], shown=len(more) - 2)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_kept_and_shown_as_text(lab, text):
    lab.paste(text)
    lab.shows_or_says(sentences=[text, *lab.sentences[1:]], shown=0)
    assert lab.box().input_value() == text
    assert lab.page.evaluate("() => globalThis.ran") is None
    assert lab.lab.locator("script, img, b, iframe, a").count() == 0
    assert lab.lab.evaluate(labs.TOO_WIDE) == []


def test_markup_typed_letter_by_letter_never_runs(lab):
    text = "<img src=x onerror=globalThis.ran=true>"
    lab.box().fill("")
    lab.box().press_sequentially(text)
    lab.shows(sentences=[text, *lab.sentences[1:]], shown=0)
    assert lab.box().input_value() == text
    assert lab.page.evaluate("() => globalThis.ran") is None
    assert lab.lab.locator("img").count() == 0


def test_no_word_at_all_is_drawn_or_keeps_the_last_picture_and_says_why(lab):
    for i in range(len(lab.sentences), 1, -1):
        lab.lab.get_by_role("button", name=f"remove sentence {i}").click()
    lab.shows(sentences=lab.sentences[:1])
    lab.box().fill("   ")
    lab.shows_or_says(sentences=["   "], kept={"sentences": lab.sentences[:1]})
    assert lab.box().input_value() == "   "
    lab.picture("problem")
    lab.box().fill("cat")
    lab.shows(sentences=["cat"])


# --- keyboard -------------------------------------------------------------------------------------------


def test_tab_reaches_every_control_and_every_panel_in_order(lab):
    lab.show_more()
    panels = [f"panel {panel.name}" for panel in lab.drawn().panels]
    lab.lab.locator("input, button, [tabindex='0']").first.focus()
    passed = [lab.page.evaluate(FOCUSED), *stops(lab.page, panels[-1])]
    assert [name for name in passed if name.startswith("panel")] == panels  # one stop a panel
    labels = [how.label for how in lab.of_type(Slider, Number, Toggle).values() if not how.when]
    assert [label for label in labels if not any(name.startswith(label) for name in passed)] == []
    assert "outside" not in passed


def test_no_key_leaves_the_lab(lab):
    """JupyterLab's shortcuts would fire: `x` cuts the learner's cell."""
    assert lab.lab.get_attribute("data-lm-suppress-shortcuts") == "true"
    lab.page.evaluate("() => { window.keys = []; document.addEventListener('keydown', (e) => keys.push(e.key)); }")
    for place in ("tbody .mlab-cell", "[data-shown] .mlab-chip", "input[type=range]", "[role=switch]", ".mlab-text"):
        for one in lab.lab.locator(f"{place}:visible").all()[:1]:
            one.focus()
            for key in ("ArrowDown", "x", "a", "d", "d", "Escape", "Control+Home", "Shift+Enter", " ", "0"):
                lab.page.keyboard.press(key)
            assert lab.page.evaluate(FOCUSED) != "outside"
    assert lab.page.evaluate("() => keys.filter((k) => !['Control', 'Shift'].includes(k))") == []


def switch(lab: LabPage, name: str, *, key: str = "") -> None:
    """Click a switch, or press a key on it."""
    one = lab.lab.get_by_role("switch", name=lab.of_type(Toggle)[name].label)
    one.press(key) if key else one.click()


def predicting(lab: LabPage, *, key: str = "") -> tuple[dict, list[Panel]]:
    """Switch the guess on, where there is one: what has changed, and the panels that can be edited now.

    Where only one view has a guess, that view is chosen first.
    """
    state: dict = {}
    if toggle := lab.of_type(Toggle).get("predict"):
        if toggle.when:
            name, _, value = toggle.when.partition("=")
            choice = lab.of_type(Choice)[name]
            lab.pick(choice.label, choice.options[value])
            state = {**choice.each.get(value, {}), name: value}
        switch(lab, "predict", key=key)
        state |= {"predict": True}
        lab.shows(**state)
    return state, [panel for panel in lab.drawn(**state).panels if panel.edits]


def test_what_a_panel_lets_one_edit_is_edited_by_the_keyboard(lab):
    """Also when a guess has to be switched on first."""
    for panel in predicting(lab)[1]:
        before = lab.page.evaluate("(key) => model.get('state')[key]", panel.edits.key)
        lab.cell(panel.name, 0, 0).focus()
        lab.page.keyboard.press("Enter" if panel.edits.how == "toggle" else "+")
        after = lab.page.evaluate("(key) => model.get('state')[key]", panel.edits.key)
        assert len(after) - len(before) in (-1, 1) or (after != before and panel.edits.how == "number")


@pytest.mark.parametrize("key", ["Space", ""], ids=["keyboard", "mouse"])
def test_a_guess_is_painted_and_revealed(lab, key):
    state, panels = predicting(lab, key=key)
    if not state:
        pytest.skip("nothing is to be guessed in this lab")
    panel = next(panel for panel in panels if panel.edits.how == "toggle")
    rows, column = range(len(panel.rows) - 1), len(panel.columns) - 1  # the last column, but for its last cell
    painted = [[row, column] for row in rows] + [[0, 0]]
    if key:
        lab.cell(panel.name, 0, 0).focus()
        lab.page.keyboard.press("End")
        for row in rows:
            lab.page.keyboard.press("Enter" if row % 2 else key)
            lab.page.keyboard.press("Control+Home" if row == rows[-1] else "ArrowDown")
        lab.page.keyboard.press(key)
    else:
        lab.drag(panel.name, (0, column), (rows[-1], column))
        lab.cell(panel.name, 0, 0).click()
    lab.shows(**state, painted=painted)
    assert lab.page.evaluate("(key) => model.get('state')[key]", panel.edits.key) == painted
    said = "blocked" if panel.axes == ("query", "key") else panel.say.format(0).lstrip(", ")
    expect(lab.lab.locator(".mlab-status")).to_contain_text(said)
    lab.picture("painting")
    switch(lab, "reveal", key=key)
    lab.shows(**state, painted=painted, reveal=True)  # with a sign in each cell of the guess, and their count
    assert violations(lab) == []
    lab.picture("revealed")


# --- for every reader, on every screen --------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_text_has_contrast_enough_and_axe_finds_nothing(lab, theme):
    lab.page.emulate_media(color_scheme=theme)
    lab.show_more()
    lab.cell(lab.drawn().panels[0].name, 0, 0).click()
    settled(lab.lab)
    found = lab.lab.evaluate(labs.CONTRAST)
    words = sum(len(one.tokens) for one in lab.drawn().sentences)
    assert len(found) > words + len(lab.drawn().panels) + len(lab.of_type(Choice, Slider, Number, Toggle))
    assert [low for low in found if low[0] < 4.5] == []
    assert violations(lab) == []
    lab.picture(theme)


@pytest.mark.parametrize("place", PLACES)
def test_the_first_state_fits_on_one_screen(lab, place):
    try:
        found = ruler(lab.page, PLACES[place])
        lab.picture(f"{PLACES[place]}")
    finally:
        lab.page.evaluate("() => { document.getElementById('a').style.width = ''; }")
    assert found["height"] <= SCREEN, f"{found['height']:.0f} px of {SCREEN}"
    assert (found["outside"], found["scrolled"], found["cut"]) == ([], 0, 0)


def test_it_can_be_used_on_a_projector(lab):
    """1024×768 at a zoom of 150 % are 683 CSS pixels; JupyterLab's margins take some."""
    try:
        found = ruler(lab.page, 560)
        lab.picture("projector")
        assert lab.lab.evaluate(labs.TOO_WIDE) == []
    finally:
        lab.page.evaluate("() => { document.getElementById('a').style.width = ''; }")
    assert (found["outside"], found["cut"]) == ([], 0)
    assert found["chips"] > 200  # no slivers


def test_16_words_leave_the_boxes_in_sight(lab):
    lab.page.set_viewport_size({"width": 1280, "height": 720})
    text = " ".join(f"word{i}" for i in range(16))
    lab.box().fill(text)
    lab.shows(sentences=[text, *lab.sentences[1:]], shown=0)
    settled(lab.lab)
    lab.page.evaluate("() => window.scrollTo(0, document.body.scrollHeight)")
    box = lab.box().bounding_box()
    assert 0 <= box["y"] < 720
    lab.page.screenshot(path=labs.ARTEFACTS / f"{lab.name}-16.png")
