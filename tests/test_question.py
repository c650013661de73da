"""A prediction: plain text without a browser, the learner's own choice later, and nothing that changes by itself."""

import gc

import pytest
from traitlets import TraitError

from masklab.check import question as module
from masklab.check.question import question

CAT = "What happens to the output for “cat”?"
OPTIONS = {
    "Nothing.": "With a mask that comes true.",
    "It changes.": "Every key gets its share.",
    "It changes, but zeros would do no harm.": "exp(0) = 1 takes its share, too.",
}
RIGHT = "It changes."


@pytest.fixture(autouse=True)
def nobody_has_chosen_before(monkeypatch):
    monkeypatch.setattr(module, "_earlier", {})


def asked(text=CAT, options=OPTIONS, right=RIGHT):
    return question(text, options, right=right)


def test_the_text_twin_lists_the_options_and_how_to_choose_without_a_page():
    assert repr(asked()) == (
        f"{CAT}\n  1. Nothing.\n  2. It changes.\n  3. It changes, but zeros would do no harm.\n"
        "(No buttons here? Use .choose(1) to .choose(3).)"
    )


def test_the_text_twin_marks_the_choice_and_gives_nothing_away():
    prediction = asked()
    prediction.choose(3)
    assert "\n● 3. It changes, but" in repr(prediction)
    assert not any(sign in repr(prediction) for sign in ["✓", "✗", *OPTIONS.values()])


def test_unanswered_it_says_what_each_option_gets_right():
    assert repr(asked().answer()).split("\n") == [
        "No answer was chosen. This is what each gets right:",
        "✗ 1. Nothing. With a mask that comes true.",
        "✓ 2. It changes. Every key gets its share.",
        "✗ 3. It changes, but zeros would do no harm. exp(0) = 1 takes its share, too.",
    ]


def test_answered_it_speaks_about_the_learners_own_choice():
    prediction = asked()
    prediction.choose(1)
    assert repr(prediction.answer()) == (
        "✗ You chose 1. Nothing. With a mask that comes true.\n✓ The answer is 2. It changes. Every key gets its share."
    )
    prediction.choose(2)
    assert repr(prediction.answer()) == "✓ You chose 2. It changes. Every key gets its share."


def test_an_answer_that_is_already_shown_follows_the_choice():
    prediction = asked()
    answer = prediction.answer()
    prediction.chosen = 1  # as a click does it
    assert answer.lines[0].startswith("✗ You chose 1. Nothing.")
    prediction.choose(2)
    assert answer.lines == ["✓ You chose 2. It changes. Every key gets its share."]


def test_a_cell_that_is_run_again_keeps_the_choice_and_another_question_does_not():
    asked().choose(2)
    gc.collect()
    assert asked().chosen == 2 and "You chose 2" in repr(asked().answer())
    assert asked(text="Another one?").chosen == 0
    assert asked(options={**OPTIONS, "One more.": ""}).chosen == 0


@pytest.mark.parametrize("number", [-1, 4, 10**9])
def test_a_page_cannot_choose_what_is_not_there(number):
    prediction = asked()
    prediction.chosen = number
    assert prediction.chosen == 0 and "No answer was chosen" in repr(prediction.answer())


def test_a_page_cannot_choose_by_a_word():
    with pytest.raises(TraitError):
        asked().chosen = "2"


@pytest.mark.parametrize("number", [0, 4, -1, "2", None])
def test_choosing_by_hand_says_which_numbers_there_are(number):
    with pytest.raises(ValueError, match="number must be from 1 to 3, got"):
        asked().choose(number)


@pytest.mark.parametrize(
    ("options", "right"), [({}, ""), ({"Yes.": "It is."}, "Yes."), (OPTIONS, "It changes"), (OPTIONS, 2)]
)
def test_an_author_is_told_what_does_not_fit(options, right):
    with pytest.raises(ValueError, match="right must be one of at least 2 options, got"):
        asked(options=options, right=right)


def test_in_a_notebook_it_is_a_widget_with_its_text_twin_and_no_address():
    for shown in (asked(), asked().answer()):
        data, _ = shown._repr_mimebundle_()
        assert data["text/plain"] == repr(shown) and "0x" not in data["text/plain"]
        assert "application/vnd.jupyter.widget-view+json" in data


def test_characters_that_disturb_a_page_are_made_visible():
    prediction = asked(text="a\x1b[31m\u202eb", options={"\x00x": "\ud800", "y": ""}, right="y")
    assert prediction.text == "a�[31m�b" and prediction.options == ["�x", "y"]
    prediction.choose(1)
    repr(prediction.answer()).encode("utf-8")
