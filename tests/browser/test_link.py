"""The page's end of the line to the kernel, in a plain page with a stand-in for the kernel that can fall silent."""

import pytest
from playwright.sync_api import expect

from tests.browser.example import CONTROLS, STATE, attention_picture
from tests.browser.page import open_view, packed, state

PLACE = "http://masklab.test/lab"  # answered by the test: a page of its own, for the browser's storage
SILENT = "⚠ The kernel doesn't answer."
GONE = "⚠ The kernel was restarted or has ended"
OFFER = "Bring back what you typed"


@pytest.fixture
def page(browser):
    """A page with a clock that the test can turn on; a script error in it fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.clock.install()
    yield page
    context.close()
    assert errors == []


def open_lab(page, **changes):
    """A lab with a kernel that answers."""
    open_view(page, attention_picture(), controls=CONTROLS, state=STATE | changes)


@pytest.fixture
def lab(page):
    open_lab(page)
    return page


def messages(page):
    return page.evaluate("() => model.messages")


def mute(page, is_mute=True):
    page.evaluate("(is) => { model.isMute = is; }", is_mute)


def answer_last(page):
    page.evaluate("() => model.answer(model.messages.at(-1))")


def come(page, **changes):
    """The kernel's state changes by another page, or from Python."""
    page.evaluate("(changes) => model.update({ state: { ...model.get('state'), ...changes } })", changes)


def box(page, i=0):
    return page.locator(".mlab-text").nth(i)


def type_in(page, text, i=0):
    box(page, i).press("End")
    box(page, i).press_sequentially(text)


def trouble(page):
    return page.locator(".mlab-trouble")


def chosen(page, name):
    return page.get_by_label(name, exact=True)


# ---- what is sent


def test_only_what_changed_is_sent(lab):
    chosen(lab, "left").click()
    type_in(lab, "x")
    first, second = messages(lab)
    assert first["changes"] == {"side": "left"}
    assert set(second["changes"]) == {"sentences"}
    assert (first["number"], second["number"], first["serial"]) == (1, 2, 1)
    assert first["page"] == second["page"] != ""


def test_one_message_is_on_its_way_and_what_changes_meanwhile_goes_with_the_next(lab):
    mute(lab)
    box(lab).fill("a")
    box(lab).press_sequentially("bc")
    chosen(lab, "left").click()
    assert [one["changes"] for one in messages(lab)] == [{"sentences": ["a", *STATE["sentences"][1:]]}]
    answer_last(lab)
    assert messages(lab)[1]["changes"] == {"sentences": ["abc", *STATE["sentences"][1:]], "side": "left"}
    answer_last(lab)
    assert len(messages(lab)) == 2
    assert state(lab)["sentences"][0] == "abc" and state(lab)["side"] == "left"


def test_what_is_not_answered_yet_lies_over_what_comes(lab):
    mute(lab)
    box(lab).fill("mine")
    come(lab, sentences=["theirs", "b", "c"], mask="both")
    assert box(lab).input_value() == "mine"
    assert box(lab, 1).input_value() == STATE["sentences"][1]  # the boxes are one value
    expect(chosen(lab, "rows and columns")).to_be_checked()
    answer_last(lab)
    assert state(lab)["sentences"] == ["mine", *STATE["sentences"][1:]]


def test_what_the_kernel_does_not_take_goes_back(lab):
    mute(lab)
    chosen(lab, "left").click()
    expect(chosen(lab, "left")).to_be_checked()
    lab.evaluate("() => model.update({ answered: { [model.messages[0].page]: 1 } })")
    expect(chosen(lab, "right")).to_be_checked()


def test_a_box_that_has_the_focus_follows_once_nobody_types_in_it(lab):
    type_in(lab, "x")
    come(lab, sentences=["theirs", "b", "c"])
    assert box(lab).input_value() == "The cat atex"
    lab.clock.run_for(2500)
    come(lab, sentences=["theirs again", "b", "c"])
    assert box(lab).input_value() == "theirs again"


def test_an_answer_that_says_the_same_draws_nothing_again(lab):
    lab.evaluate("""() => {
      const { set, get } = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "checked");
      const counted = function (on) { syncs += 1; set.call(this, on); };
      window.syncs = 0;
      Object.defineProperty(HTMLInputElement.prototype, "checked", { get, set: counted });
    }""")
    mute(lab)
    type_in(lab, "x")
    before = lab.evaluate("() => syncs")
    answer_last(lab)
    assert lab.evaluate("() => syncs") == before > 0


# ---- no answer


def test_within_three_seconds_without_an_answer_a_sentence_says_so_and_it_goes_with_the_answer(lab):
    mute(lab)
    type_in(lab, "x")
    lab.clock.run_for(2000)
    expect(trouble(lab)).to_have_text("")
    lab.clock.run_for(1000)
    expect(trouble(lab)).to_contain_text(SILENT)
    assert trouble(lab).get_attribute("role") == "status"
    answer_last(lab)
    expect(trouble(lab)).to_have_text("")


def test_a_message_goes_again_ever_more_seldom_until_it_is_answered(lab):
    mute(lab)
    type_in(lab, "x")
    type_in(lab, "y")
    lab.clock.run_for(31_000)
    sent = messages(lab)
    assert 4 <= len(sent) <= 6
    assert all(one == sent[0] for one in sent)
    answer_last(lab)
    assert messages(lab)[-1]["changes"]["sentences"][0] == "The cat atexy"


def test_a_lab_that_is_looked_at_asks_whether_the_kernel_is_there(lab):
    lab.clock.run_for(10_000)
    assert [(one["changes"], one["number"]) for one in messages(lab)] == [({}, 1), ({}, 2), ({}, 3)]
    mute(lab)
    lab.clock.run_for(6500)
    expect(trouble(lab)).to_contain_text(SILENT)


def test_a_change_does_not_wait_for_the_answer_to_a_question(lab):
    mute(lab)
    lab.clock.run_for(3500)
    type_in(lab, "x")
    assert [bool(one["changes"]) for one in messages(lab)] == [False, True]


def test_nobody_asks_from_a_hidden_page_nor_when_everybody_has_left(lab):
    see = "(how) => Object.defineProperty(document, 'visibilityState', { value: how, configurable: true })"
    lab.evaluate(see, "hidden")
    lab.clock.run_for(20_000)
    assert messages(lab) == []
    lab.evaluate(see, "visible")
    lab.clock.run_for(1000)
    assert len(messages(lab)) == 1
    lab.clock.run_for(200_000)
    count = len(messages(lab))
    assert count < 45
    lab.clock.run_for(20_000)
    assert len(messages(lab)) == count
    lab.mouse.move(200, 200)
    lab.clock.run_for(1000)
    assert len(messages(lab)) == count + 1


def test_a_kernel_that_is_gone_is_noticed_at_once_and_so_is_its_return(lab):
    lab.evaluate("() => { window.send = model.send; model.send = () => { throw new Error('Cannot send'); }; }")
    lab.evaluate("() => model.trigger('comm_live_update')")
    lab.clock.run_for(500)
    expect(trouble(lab)).to_contain_text(GONE)
    type_in(lab, "x")
    expect(trouble(lab)).to_contain_text(GONE)
    lab.evaluate("() => { model.send = send; }")
    lab.clock.run_for(16_500)
    expect(trouble(lab)).to_have_text("")
    assert state(lab)["sentences"][0] == "The cat atex"


def know_kernel(page, **status):
    """What JupyterLab says of its connection."""
    page.evaluate("(status) => { model.widget_manager = { kernel: status }; }", status)


def test_a_busy_kernel_is_called_busy(lab):
    know_kernel(lab, connectionStatus="connected", status="busy")
    mute(lab)
    type_in(lab, "x")
    lab.clock.run_for(3000)
    expect(trouble(lab)).to_contain_text("The kernel is busy with another cell.")


def test_while_the_connection_is_cut_nothing_piles_up_and_then_it_goes_at_once(lab):
    know_kernel(lab, connectionStatus="connecting", status="unknown")
    mute(lab)
    type_in(lab, "x")
    type_in(lab, "y")
    lab.clock.run_for(20_000)
    expect(trouble(lab)).to_contain_text("The connection to the kernel is lost.")
    assert len(messages(lab)) == 1  # JupyterLab keeps it, unless it was on its way
    know_kernel(lab, connectionStatus="connected", status="idle")
    mute(lab, False)
    lab.clock.run_for(300)
    expect(trouble(lab)).to_have_text("")  # this waits until the kernel's answer is there, and so is the state
    assert state(lab)["sentences"][0] == "The cat atexy"


# ---- too much, and what cannot be sent


def test_what_is_too_large_is_never_sent_and_says_so(lab):
    come(lab, sentences=["字" * 90_000] * 3 + ["a"])
    box(lab, 3).fill("字" * 60_000)
    box(lab, 3).fill("字" * 70_000)
    (size,) = lab.evaluate("() => model.messages.map((one) => new Blob([JSON.stringify(one)]).size)")
    assert 990_000 < size < 1_000_000
    assert box(lab, 3).input_value() == "字" * 70_000
    expect(trouble(lab)).to_contain_text("too much to send")
    box(lab, 3).fill("short")
    assert messages(lab)[-1]["changes"]["sentences"][3] == "short"
    expect(trouble(lab)).to_have_text("")


def test_half_of_a_pair_is_sent_as_a_character_that_exists(lab):
    box(lab).evaluate("(box) => { box.value = 'a\\ud800b'; box.dispatchEvent(new Event('input')); }")
    assert messages(lab)[0]["changes"]["sentences"][0] == "a\ufffdb"


# ---- what was typed comes back


@pytest.fixture
def place(page):
    """A page with storage of its own."""
    page.route(f"{PLACE}*", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    page.goto(PLACE)
    open_lab(page)
    return page


def again(page, **parts):
    """The lab as its cell makes it anew, by another kernel."""
    page.evaluate("() => cleanup()")
    open_view(page, attention_picture(), **{"controls": CONTROLS, "state": STATE} | parts)


def offer(page):
    return page.get_by_role("button", name=OFFER)


def test_what_was_typed_is_offered_to_a_fresh_lab_and_comes_back(place):
    expect(offer(place)).to_have_count(0)  # hidden
    box(place).fill("My own cat")
    chosen(place, "left").click()
    expect(offer(place)).to_have_count(0)
    again(place)
    assert box(place).input_value() == "The cat ate"  # as stored
    assert messages(place) == []
    offer(place).click()
    assert box(place).input_value() == "My own cat"
    assert [one["changes"] for one in messages(place)] == [
        {"sentences": ["My own cat", *STATE["sentences"][1:]], "side": "left"}
    ]
    expect(offer(place)).to_have_count(0)
    again(place)
    expect(offer(place)).to_be_visible()  # used, and still not lost


def test_it_comes_back_after_the_page_is_loaded_again(place):
    box(place).fill("My own cat")
    place.goto(PLACE)
    open_lab(place)
    offer(place).click()
    assert state(place)["sentences"][0] == "My own cat"


def test_nothing_is_offered_that_is_shown_anyway(place):
    box(place).fill("My own cat")
    kept = state(place)
    again(place, state=kept)  # the kernel lives on
    expect(offer(place)).to_have_count(0)
    chosen(place, "left").click()
    again(place)
    offer(place).click()
    assert (state(place)["sentences"][0], state(place)["side"]) == ("My own cat", "left")
    again(place)
    expect(offer(place)).to_be_visible()
    box(place).fill("My own cat")
    chosen(place, "left").click()
    expect(offer(place)).to_have_count(0)  # typed again


def test_an_offer_can_be_declined(place):
    box(place).fill("My own cat")
    again(place)
    place.get_by_role("button", name="don't bring back").click()
    expect(offer(place)).to_have_count(0)
    again(place)
    expect(offer(place)).to_have_count(0)


def test_what_is_typed_beside_an_offer_is_offered_next(place):
    box(place).fill("My own cat")
    chosen(place, "left").click()
    again(place)
    box(place).fill("My own dog")
    expect(offer(place)).to_be_visible()
    again(place)
    offer(place).click()
    assert (state(place)["sentences"][0], state(place)["side"]) == ("My own dog", "right")


def test_after_reset_there_is_nothing_to_bring_back(place):
    box(place).fill("My own cat")
    place.get_by_role("button", name="reset").click()
    again(place)
    expect(offer(place)).to_have_count(0)


@pytest.mark.parametrize("other", [{"label": "another lab"}, {"controls": CONTROLS[:3]}])
def test_another_lab_is_offered_nothing(place, other):
    box(place).fill("My own cat")
    again(place, **other)
    expect(offer(place)).to_have_count(0)


DAMAGED = ["", "{", "null", "3", '"text"', "[]", "{}", '{"unheard of": 1}', '{"__proto__": {"seed": 1}}',
           '{"sentences": "abc", "shown": "1", "painted": {}, "pad": null}',
           '{"sentences": [1, ["a"], null]}']  # fmt: skip


@pytest.mark.parametrize("stored", DAMAGED)
def test_a_damaged_memory_is_no_memory(place, stored):
    box(place).fill("My own cat")
    place.evaluate("(text) => { for (const key of Object.keys(sessionStorage)) sessionStorage[key] = text; }", stored)
    again(place)
    expect(offer(place)).to_have_count(0)
    box(place).fill("My own dog")
    again(place)
    expect(offer(place)).to_be_visible()


@pytest.mark.parametrize("method", ["getItem", "setItem"])
def test_without_storage_the_lab_works_and_offers_nothing(place, method):
    place.evaluate(f"() => {{ Storage.prototype.{method} = () => {{ throw new Error('full'); }}; }}")
    box(place).fill("My own cat")
    assert state(place)["sentences"][0] == "My own cat"
    again(place)
    expect(offer(place)).to_have_count(0)


def test_a_page_that_may_not_store_works(lab):  # its place is about:blank
    box(lab).fill("My own cat")
    again(lab)
    expect(offer(lab)).to_have_count(0)


def test_what_is_kept_is_bounded(place):
    box(place).fill("x" * 90_000)
    chosen(place, "left").click()
    assert place.evaluate("() => Object.keys(sessionStorage).length") == 1
    box(place, 1).fill("x" * 99_000)
    box(place, 2).fill("x" * 99_000)
    assert place.evaluate("() => JSON.stringify(sessionStorage).length") < 250_000


def test_two_views_of_a_lab_keep_what_was_typed_in_either(place):
    place.evaluate("() => view.default.render({ model, el: document.getElementById('b') })")
    box(place).fill("My own cat")
    place.locator("#b").get_by_label("left", exact=True).click()
    again(place)
    offer(place).click()
    assert (state(place)["sentences"][0], state(place)["side"]) == ("My own cat", "left")


# ---- the whole


@pytest.mark.parametrize("first", ["picture", "state"])
def test_a_picture_and_its_state_come_together_and_are_both_shown(lab, first):
    picture = packed(attention_picture(seed=3), serial=2)
    lab.evaluate(
        """([picture, first]) => {
          const state = { ...model.get("state"), sentences: ["theirs", "b", "c"] };
          const both = { picture: unpack(picture), state };
          model.update(first === "state" ? { state, ...both } : both);
        }""",
        [picture, first],
    )
    assert lab.locator(".mlab-root").get_attribute("data-serial") == "2"
    assert box(lab).input_value() == "theirs"


def test_nothing_is_left_running_when_the_view_goes(lab):
    lab.evaluate("() => cleanup()")
    assert lab.evaluate("() => model.count()") == 0
    lab.clock.run_for(20_000)
    assert messages(lab) == []
