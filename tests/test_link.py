"""Pages and the kernel: what is merged, what is answered, and what a lab does with nonsense. No browser."""

import json
import logging
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from masklab.labs import attention_padding as lesson
from masklab.view import link
from masklab.view.link import Message
from tests.odd import CHANGES, CONTENTS, VALUES

INITIAL = lesson.State().raw()
HELD_SECONDS = 0.1  # as long as nonsense may hold the kernel, on a busy machine; 4.7 before there were limits


class Wire:
    """A lab, and what it sends to its pages."""

    def __init__(self, **changes):
        self.lab, self.sent = lesson.lab(**changes), []
        self.lab._send = lambda message, buffers=None: self.sent.append(message["state"])

    def say(self, number, changes, *, page="a", serial=None):
        """What the kernel sends after this message; the page has the last picture unless it says otherwise."""
        self.sent.clear()
        serial = self.lab.picture["serial"] if serial is None else serial
        self.hear({"page": page, "number": number, "serial": serial, "changes": changes})
        return [sorted(update) for update in self.sent]

    def hear(self, content):
        """As ipywidgets hands a message over."""
        self.lab._handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})


@pytest.fixture
def wire():
    return Wire()


ALL = ["answered", "picture", "state"]

# ---- what a page sees


def test_a_change_is_merged_drawn_and_answered_by_one_update(wire):
    assert wire.say(1, {"seed": 7}) == [ALL]
    assert wire.sent[0]["state"] == INITIAL | {"seed": 7}
    assert wire.sent[0]["answered"] == {"a": 1}
    assert wire.sent[0]["picture"]["serial"] == wire.lab.picture["serial"] == 2


def test_two_pages_that_change_different_things_lose_nothing(wire):
    wire.say(1, {"seed": 7}, page="a")
    wire.say(1, {"mask": "none"}, page="b")
    assert wire.lab.state == INITIAL | {"seed": 7, "mask": "none"}
    assert wire.lab.answered == {"a": 1, "b": 1}


def test_a_message_that_comes_again_changes_nothing_and_everything_is_sent_again(wire):
    wire.say(1, {"seed": 7})
    wire.say(1, {"seed": 9}, page="b")
    serial = wire.lab.picture["serial"]
    assert wire.say(1, {"seed": 7})[-1] == ALL  # its answer was lost
    assert (wire.lab.state["seed"], wire.lab.picture["serial"]) == (9, serial)


def test_a_question_is_answered_by_a_number(wire):
    assert wire.say(1, {}) == [["answered"]]


def test_a_page_that_missed_a_picture_gets_it(wire):
    wire.say(1, {"seed": 7}, page="b")
    assert wire.say(1, {}, serial=1)[-1] == ALL


def test_changes_that_are_none_are_answered_by_the_present_state(wire):
    for number, changes in enumerate([None, 3, "seed", [["seed", 3]]], start=1):
        assert wire.say(number, changes)[-1] == ALL
    assert wire.lab.state == INITIAL


def test_the_state_set_in_python_reaches_the_pages(wire):
    wire.lab.state = INITIAL | {"seed": 7}
    assert [sorted(update) for update in wire.sent] == [["state"], ["picture"]]
    assert wire.say(1, {"mask": "none"}) == [ALL]
    assert wire.lab.state["seed"] == 7


def test_a_page_changes_the_lab_by_messages_alone(wire):
    update = {"state": {"seed": 9}, "picture": {}, "answered": {}, "controls": [], "label": "x", "palette": {}}
    before = {name: getattr(wire.lab, name) for name in update}
    wire.lab._handle_msg({"content": {"data": {"method": "update", "state": update}}, "buffers": []})
    assert {name: getattr(wire.lab, name) for name in update} == before


# ---- the state machine

messages = st.builds(
    Message, page=st.sampled_from("abc"), number=st.integers(1, 6), serial=st.none(),
    changes=st.dictionaries(st.sampled_from(["seed", "pad"]), st.integers(0, 9)),
)  # fmt: skip


@given(st.lists(messages, max_size=12))
def test_what_was_answered_never_goes_back_and_nothing_is_merged_twice(said):
    answered, state, merged = {}, {"seed": 0, "pad": 0}, []
    for message in said:
        before = answered.get(message.page, 0)
        if link.is_new(answered, message):
            state, merged = link.merge(state, message.changes), [*merged, message]
        answered = link.answer(answered, message)
        assert answered[message.page] == max(before, message.number)
        assert link.answer(answered, message) == answered
    assert len({(one.page, one.number) for one in merged}) == len(merged)
    expected = {"seed": 0, "pad": 0}
    for one in merged:
        expected |= one.changes
    assert state == expected


def test_the_pages_that_were_silent_longest_are_forgotten():
    answered = {}
    for number in range(1, 40):
        answered = link.answer(answered, Message("first", number, None, {}))
        answered = link.answer(answered, Message(f"page {number}", 1, None, {}))
    assert len(answered) == link.MOST_PAGES
    assert answered["first"] == 39 and "page 1" not in answered and answered["page 39"] == 1


# ---- nonsense


@pytest.mark.parametrize("key", INITIAL)
@pytest.mark.parametrize("name", VALUES)
def test_no_value_kills_the_lab_or_holds_it(wire, key, name, caplog):
    caplog.set_level(logging.CRITICAL)
    start = time.thread_time()
    wire.say(1, {key: VALUES[name]})
    held = time.thread_time() - start
    assert held < HELD_SECONDS
    assert wire.lab.answered == {"a": 1}
    assert can_be_sent(wire.lab.state)
    assert lesson.State().changed(wire.lab.state).raw() == wire.lab.state  # nothing is in it that a page can't show
    wire.say(2, INITIAL)
    assert wire.lab.picture["problem"] == "" and repr(wire.lab) == repr(lesson.lab())


def can_be_sent(value):
    """Whether every page can read it."""
    return json.loads(json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")) == value


def test_values_of_another_kind_are_left_out(wire):
    wire.say(1, {"sentences": "abc", "shown": "1", "pad": [1], "predict": 1, "painted": True, "mask": 3})
    assert wire.lab.state == INITIAL


def test_what_a_control_does_not_take_is_said_and_not_kept(wire):
    assert wire.say(1, {"sentences": ["a", None], "mask": "none"}) == [["answered", "picture"]]
    assert wire.lab.picture["problem"].startswith("sentences must be a list of texts")
    assert wire.lab.state == INITIAL
    wire.say(2, {"seed": 7})
    assert wire.lab.picture["problem"] == ""


def test_what_python_set_wrongly_does_not_lock_the_controls(wire):
    wire.lab.state = INITIAL | {"side": "up"}
    assert wire.lab.picture["problem"].startswith("side must be")
    wire.say(1, {"seed": 7})
    wire.say(2, {"side": "left"})
    assert wire.lab.picture["problem"] == "" and wire.lab.state == INITIAL | {"side": "left", "seed": 7}


@pytest.mark.parametrize("changes", CHANGES, ids=lambda changes: str(changes)[:30])
def test_no_changes_kill_the_lab(wire, changes):
    wire.say(1, changes)
    assert wire.lab.state == INITIAL
    assert wire.say(2, {"seed": 7}) == [ALL]


@pytest.mark.parametrize("content", CONTENTS, ids=lambda content: str(content)[:30])
def test_what_is_no_message_is_not_answered(wire, content):
    wire.hear(content)
    assert wire.sent == []
    assert wire.say(2, {"seed": 7}) == [ALL]


def test_a_whole_painted_mask_of_256_words_fits():
    cells = [[row, column] for row in range(256) for column in range(256)]
    assert link.merge({"painted": []}, {"painted": cells}) == {"painted": cells}
    assert link.merge({"painted": []}, {"painted": cells * 2}) == {"painted": []}


@pytest.mark.parametrize("name", VALUES)
def test_a_view_without_controls_keeps_only_what_every_page_can_read(name):
    state = {"text": "a", "number": 1, "on": False, "texts": ["a"], "cells": []}
    start = time.thread_time()
    merged = link.merge(state, dict.fromkeys(state, VALUES[name]))
    assert time.thread_time() - start < HELD_SECONDS
    assert can_be_sent(merged)
    assert [type(value) for value in merged.values()][2:] == [bool, list, list]
    assert isinstance(merged["text"], str) and isinstance(merged["number"], int | float)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=20))
def test_what_is_bounded_can_be_sent(value):
    assert not link.is_bounded(value) or can_be_sent(value)
