"""What lesson 04's lab is about, by hand: in a plain page with the lab's own `draw` behind it."""

import pytest
from playwright.sync_api import expect

from masklab.labs import loss_weights
from masklab.labs.controls import Choice, Slider, Toggle
from tests.browser import lab as labs
from tests.browser.lab import WAIT_MS, LabPage, open_lab, settled, violations
from tests.browser.page import ruler
from tests.browser.test_labs import PLACES, SCREEN

expect.set_options(timeout=WAIT_MS)
VIEWS = loss_weights.VIEWS
EXAMPLES = loss_weights.EXAMPLES


def summary(lab: LabPage):
    return expect(lab.lab.locator(".mlab-summary"))


def look_at(lab: LabPage, view: str) -> dict:
    """Choose a view; return what has changed."""
    lab.pick("View", VIEWS[view])
    lab.shows(view=view, **EXAMPLES[view])
    return {"view": view, **EXAMPLES[view]}


def chip(lab: LabPage, sentence: int, place: int):
    return lab.lab.locator(".mlab-chips").nth(sentence).locator(".mlab-chip").nth(place)


# --- what must click -------------------------------------------------------------------------------------


def test_one_dissenting_vote_turns_the_step(lab):
    lab.lab.get_by_role("button", name="All agree").click()
    agreed = loss_weights.State.presets["All agree"]
    lab.shows(**agreed)
    summary(lab).to_contain_text("Both steps point the same way. Every weight is 1.")
    assert lab.rows("step")[0] == lab.rows("step")[1]
    lab.cell("votes", 2, 4).click()
    lab.shows(**agreed | {"votes0": [*agreed["votes0"], [2, 4]]})
    assert lab.rows("weights")[0][2] == "0.90" and lab.rows("step")[0] != lab.rows("step")[1]
    summary(lab).to_contain_text("° apart")
    lab.picture("one-vote")


@pytest.mark.parametrize("key", ["Space", "Enter"])
def test_votes_are_changed_by_keyboard_until_another_label_wins(lab, key):
    lab.cell("votes", 0, 0).focus()
    for _ in range(4):
        lab.page.keyboard.press("ArrowDown")
    for _ in range(3):
        lab.page.keyboard.press(key)
        lab.page.keyboard.press("ArrowRight")
    lab.shows(votes0=[[4, 0], [4, 1], [4, 2]])
    summary(lab).to_contain_text("“fish” is now VERB, not NOUN.")
    expect(lab.lab.locator(".mlab-chips").first.locator(".mlab-below").nth(4)).to_have_text("VERB")


def test_each_sentence_has_its_own_votes(lab):
    lab.drag("votes", (0, 0), (0, 3))
    lab.shows(votes0=[[0, i] for i in range(4)])
    lab.lab.get_by_role("radio", name="show sentence 3").click()
    lab.shows(votes0=[[0, i] for i in range(4)], shown=2)
    lab.cell("votes", 1, 0).click()
    lab.shows(votes0=[[0, i] for i in range(4)], votes2=[[1, 0]], shown=2)


def test_a_label_is_clicked_away_by_its_chip_and_by_its_weight(lab):
    changed = look_at(lab, "missing")
    chip(lab, 0, 1).click()
    lab.shows(**changed, missing=[[0, 1]])
    expect(chip(lab, 0, 1)).to_have_attribute("aria-pressed", "false")
    lab.cell("weights", 1, 2).click()  # and one is given
    lab.shows(**changed, missing=[[0, 1], [1, 2]])
    lab.pick("A missing label is", "OTHER")
    lab.shows(**changed, missing=[[0, 1], [1, 2]], label="other")
    summary(lab).to_contain_text("1 word without a label. With OTHER as the label, OTHER moves by")
    lab.picture("other")


def test_stage_and_ramp_let_words_wait_and_a_difficulty_is_typed(lab):
    changed = look_at(lab, "curriculum")
    lab.lab.get_by_label("Ramp").press("Home")
    lab.shows(**changed, ramp=0.0)
    assert lab.rows("weights")[0][:5] == ["1.00"] * 3 + ["0.00▨"] * 2
    for stage in (0.25, 0.5, 0.75, 1.0):
        lab.lab.get_by_label("Stage").press("ArrowRight")
        lab.shows(**changed, ramp=0.0, stage=stage)
    assert lab.rows("weights")[0][:5] == ["1.00"] * 5
    lab.cell("difficulty", 0, 0).dblclick()
    lab.page.keyboard.type("1,5")
    lab.page.keyboard.press("Enter")
    lab.shows(**changed, ramp=0.0, stage=1.0, levels=[[0, 0, 1.5]])
    assert lab.rows("weights")[0][0] == "0.00▨"


def test_the_end_is_lost_where_pads_share_its_id_and_are_wiped_by_it(lab):
    changed = look_at(lab, "completion")
    lab.pick("Pads are", "[END]")
    lab.shows(**changed, pads="end")
    summary(lab).to_contain_text("3 of 3 ends.")
    lab.choose("Wipe by the pad's id")
    lab.shows(**changed, pads="end", wipe=True)
    summary(lab).to_contain_text("0 of 3 ends. ✗ Wiping the pads' id wipes [END], too")
    assert lab.rows("step")[0][0].startswith("−")
    expect(chip(lab, 0, 6)).to_have_attribute("aria-pressed", "false")
    lab.picture("no-end")


def test_a_marker_that_is_missing_is_nan_and_said(lab):
    changed = look_at(lab, "completion")
    lab.pick("Marker", "Answer:")
    lab.shows(**changed, marker="Answer:")
    summary(lab).to_contain_text("✗ Nothing is supervised: 0 / 0 is NaN")
    assert lab.rows("numbers")[0] == ["NaN"]
    lab.picture("no-marker")
    lab.pick("Marker", "Bot:")
    lab.box(1).fill("User: play?Bot: Cats fish [END]")  # glued to the word before
    texts = [EXAMPLES["completion"]["sentences"][0], "User: play?Bot: Cats fish [END]", lab.box(2).input_value()]
    lab.shows(**changed | {"sentences": texts, "shown": 1})
    summary(lab).to_contain_text("No marker “Bot:” in sentence 2.")


def test_a_token_counts_or_not_by_a_click_and_by_the_keyboard(lab):
    changed = look_at(lab, "completion")
    chip(lab, 0, 6).click()
    lab.shows(**changed, roles=[[0, 6]])
    lab.page.keyboard.press("Home")
    lab.page.keyboard.press("Enter")
    lab.shows(**changed, roles=[[0, 6], [0, 0]])


def test_a_mask_is_painted_on_weights_and_chips_then_revealed_and_marked(lab):
    changed = look_at(lab, "completion")
    expect(lab.lab.locator(".mlab-control-name").get_by_text("Reveal", exact=True)).to_be_hidden()
    lab.choose("Predict first")
    lab.shows(**changed, predict=True)
    lab.drag("weights", (0, 0), (2, 2))
    chip(lab, 0, 6).click()  # an end, which should count
    painted = [[row, place] for row in range(3) for place in range(3)] + [[0, 6]]
    lab.shows(**changed, predict=True, painted=painted)
    expect(chip(lab, 0, 6)).to_have_attribute("aria-pressed", "false")
    expect(lab.lab.locator(".mlab-below").nth(3)).to_have_text("?")
    lab.picture("painting")
    lab.choose("Reveal")
    lab.shows(**changed, predict=True, painted=painted, reveal=True)
    assert lab.rows("weights")[0][6] == "1.00!" and lab.rows("weights")[1][6] == "0.00▨✗"
    summary(lab).to_contain_text("(✓ 9, ✗ 3 missed), and 1 too many (!). ✗ You masked 1 of 3 ends")
    expect(lab.lab.locator(".mlab-below").nth(3)).to_have_text("answer")
    lab.picture("revealed")
    lab.choose("Predict first")  # off: a click on a token's role is one again
    lab.shows(**changed)
    chip(lab, 0, 6).click()
    lab.shows(**changed, roles=[[0, 6]])


def test_another_view_or_a_wrong_mask_ends_the_guess_and_another_text_begins_it_anew(lab):
    changed = look_at(lab, "completion")
    lab.choose("Predict first")
    lab.cell("weights", 0, 0).click()
    lab.shows(**changed, predict=True, painted=[[0, 0]])
    lab.pick("Marker", "Answer:")
    lab.shows(**changed, predict=True, marker="Answer:")
    lab.cell("weights", 0, 0).click()
    lab.choose("Wipe by the pad's id")
    lab.shows(**changed, marker="Answer:", wipe=True)
    lab.choose("Predict first")
    lab.shows(**changed, marker="Answer:", predict=True)
    lab.cell("weights", 0, 0).click()
    typed = [*changed["sentences"][:2], "User: nap? Bot: No [END]"]
    lab.box(2).fill(typed[2])
    lab.shows(**changed | {"sentences": typed, "shown": 2}, marker="Answer:", predict=True)
    lab.pick("View", VIEWS["missing"])
    lab.shows(view="missing", sentences=typed, shown=2)
    expect(lab.lab.locator(".mlab-control-name").get_by_text("Reveal", exact=True)).to_be_hidden()


def test_the_panels_stay_where_they_are_while_votes_change(browser):
    """Clicked from seven votes to none: a tie, another label, no weight that shows it; and a tie beside it."""
    page = browser.new_page(viewport={"width": PLACES["folded"], "height": 1400})
    lab = open_lab(page, loss_weights)
    places = {lab.step("losses").bounding_box()["y"]}
    for i in range(7):
        lab.cell("votes", 4, i).click()
        lab.shows(votes0=[[4, k] for k in range(i + 1)])
        places.add(lab.step("losses").bounding_box()["y"])
    summary(lab).to_contain_text("“fish” is now VERB, not NOUN")
    lab.cell("votes", 1, 0).click()
    for i in range(1, 5):
        lab.cell("votes", 1, i).click()
    summary(lab).to_contain_text("A tie: the smaller id wins. “fish”")
    assert places == {lab.step("losses").bounding_box()["y"]}
    page.close()


# --- views -----------------------------------------------------------------------------------------------


def test_each_view_has_its_own_controls_and_buttons(lab):
    for view in VIEWS:
        look_at(lab, view)
        for how in lab.of_type(Choice, Slider, Toggle).values():
            if how.when:
                named = lab.lab.locator(".mlab-control-name").get_by_text(how.label, exact=True)
                expect(named).to_be_visible() if how.when == f"view={view}" else expect(named).to_be_hidden()
        for name, sets in loss_weights.State.presets.items():
            button = lab.lab.locator("button").get_by_text(name, exact=True)
            expect(button).to_be_visible() if sets["view"] == view else expect(button).to_be_hidden()


def test_what_was_typed_stays_in_another_view_and_an_example_does_not(lab):
    lab.paste("The dog can play")
    typed = ["The dog can play", *loss_weights.FIRST[1:]]
    lab.shows(sentences=typed)
    for view in [*VIEWS][1:]:
        lab.pick("View", VIEWS[view])
        lab.shows(view=view, sentences=typed)
    summary(lab).to_contain_text("No sentence has the marker “Bot:” as one token")
    lab.lab.get_by_role("button", name="No end").click()
    lab.shows(**loss_weights.State.presets["No end"])
    lab.pick("View", VIEWS["annotators"])
    lab.shows(**loss_weights.State.presets["No end"] | {"view": "annotators", "sentences": loss_weights.FIRST})


@pytest.mark.parametrize("name", loss_weights.State.presets)
def test_a_button_sets_a_whole_example(lab, name):
    sets = loss_weights.State.presets[name]
    look_at(lab, sets["view"])
    lab.lab.get_by_role("button", name=name).click()
    lab.shows(**sets)
    lab.picture(name.replace(" ", "-").lower())


@pytest.mark.parametrize("view", VIEWS)
def test_every_control_of_a_view_is_reached_by_tab(lab, view):
    changed = look_at(lab, view)
    lab.lab.locator("input, button, [tabindex='0']").first.focus()
    panels = [f"panel {panel.name}" for panel in lab.drawn(**changed).panels]
    passed = [lab.page.evaluate(labs.FOCUSED)]
    while passed[-1] != panels[-1]:
        lab.page.keyboard.press("Tab")
        passed.append(lab.page.evaluate(labs.FOCUSED))
        assert passed[-1] != "outside" and len(passed) < 60
    assert [name for name in passed if name.startswith("panel")] == panels
    used = [how.label for how in lab.of_type(Slider, Toggle).values() if how.when == f"view={view}"]
    assert all(any(name.startswith(label) for name in passed) for label in used)
    presets = [name for name, sets in loss_weights.State.presets.items() if sets["view"] == view]
    assert set(presets) <= set(passed)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("text", ["[PAD] [END] Bot: 🐈", "word " * 300], ids=len)  # more in test_labs.py
def test_any_text_is_drawn_or_its_problem_said(lab, view, text):
    changed = look_at(lab, view)
    lab.box().fill(text)
    typed = {**changed, "sentences": [text, *changed["sentences"][1:]]}
    lab.shows_or_says(**typed, kept=changed)
    assert lab.lab.evaluate(labs.TOO_WIDE) == []


def test_pointing_at_a_vote_lights_its_word(lab):
    lab.cell("votes", 3, 8).hover()
    lit = lab.lab.evaluate(labs.LIT)["panels"]
    assert lit["votes"] == [[3], [8]] and lit["weights"][1] == [3]
    expect(lab.lab.locator(".mlab-status")).to_contain_text("warm")


# --- looks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [
    *({"view": view} for view in VIEWS), *loss_weights.State.presets.values(), {"shown": 1, "votes1": [[0, 0]]},
    {"view": "missing", "label": "other"}, {"view": "completion", "roles": [[0, 6], [1, 5], [2, 4]]},
    {"view": "completion", "predict": True},
    {"view": "completion", "predict": True, "reveal": True, "painted": [[0, 6], [1, 5], [2, 4]]},
], ids=lambda state: str(state)[:60])  # fmt: skip
def test_what_must_click_is_on_one_screen(browser, state):
    page = browser.new_page(viewport={"width": 1366, "height": 1400})
    open_lab(page, loss_weights, **state)
    found = ruler(page, min(PLACES.values()))
    assert found["height"] <= SCREEN and (found["outside"], found["scrolled"], found["cut"]) == ([], 0, 0)
    page.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_can_be_read_in_light_and_dark(lab, theme, view):
    lab.page.emulate_media(color_scheme=theme)
    look_at(lab, view)
    assert [low for low in settled(lab.lab).evaluate(labs.CONTRAST) if low[0] < 4.5] == []
    assert lab.lab.evaluate(labs.SPILLED) == [] and violations(lab) == []
    lab.picture(f"{theme}-{view}")
