"""What holds for every exercise of every lesson; test_check_<lesson>.py has the answers.

There ``RIGHT`` maps an exercise to right answers, written in many ways, and ``WRONG`` maps (exercise, misconception)
to a learner's answer, or to several.
"""

import re
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

import pytest
import torch

import masklab.check
import tests
from masklab import panels
from masklab.check.exercise import Exercise

MODULES = {name: vars(import_module(f"masklab.check.{name}")) for _, name, _ in iter_modules(masklab.check.__path__)}
EXERCISES = {
    (lesson, name): one for lesson, names in MODULES.items() for name, one in names.items() if isinstance(one, Exercise)
}
LESSONS = list(dict.fromkeys(lesson for lesson, _ in EXERCISES))
FILES = {name for _, name, _ in iter_modules(tests.__path__)}
ANSWERS = {lesson: import_module(f"tests.test_check_{lesson}") for lesson in LESSONS if f"test_check_{lesson}" in FILES}
RIGHT = {
    (lesson, name, i): answer
    for lesson, module in ANSWERS.items()
    for name, answers in module.RIGHT.items()
    for i, answer in enumerate(answers)
}
WRONG = {
    (lesson, *key, i): answer
    for lesson, module in ANSWERS.items()
    for key, answers in module.WRONG.items()
    for i, answer in enumerate(answers if isinstance(answers, list) else [answers])
}


def each(keys):
    """The test once for each key, which names it."""
    return pytest.mark.parametrize("key", keys, ids=lambda key: "-".join(map(str, key)))


@cache
def verdict_on(key):
    """What a check says to the wrong answer of this key."""
    return EXERCISES[key[:2]](WRONG[key])


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_exercise_has_right_answers_and_every_misconception_a_learners_answer(lesson):
    exercises = {name: one for (of, name), one in EXERCISES.items() if of == lesson}
    assert {name for name, answers in ANSWERS[lesson].RIGHT.items() if len(answers) > 1} == set(exercises)
    assert set(ANSWERS[lesson].WRONG) == {(name, one.name) for name, own in exercises.items() for one in own.wrong}


@each(RIGHT)
def test_a_right_answer_passes_however_it_is_written(key):
    verdict = EXERCISES[key[:2]](RIGHT[key])
    assert verdict.state == "right", verdict
    assert repr(verdict).startswith(f"✓ {key[1]}: right, on ")


@each(WRONG)
def test_each_wrong_answer_gets_its_own_sentence(key):
    verdict = verdict_on(key)
    assert (verdict.state, verdict.misconception) == ("wrong", key[2]), verdict
    others = {verdict_on(other).message for other in WRONG if other[:2] == key[:2] and other[2] != key[2]}
    assert verdict.message not in others


@each(WRONG)
def test_what_is_said_is_a_sentence_and_its_picture_marks_what_differs(key):
    verdict = verdict_on(key)
    assert re.fullmatch(r".{20,400}[.?)]", verdict.message) and "masklab" not in verdict.message
    yours, right = (next((one for one in verdict.panels if one.name == name), None) for name in ("yours", "right"))
    if yours:
        assert yours.marks.any() and right.marks is None
        assert "✗" in panels.text(yours)


@each(EXERCISES)
def test_the_stub_is_told_kindly_what_is_missing(key):
    verdict = EXERCISES[key](lambda *arguments: None)
    assert verdict.state == "open"
    assert repr(verdict) == f"○ {key[1]}: not attempted yet: replace `...` and return a result."


@each(EXERCISES)
def test_a_check_has_its_exercises_name_and_says_what_it_asks_for(key):
    exercise = EXERCISES[key]
    assert repr(exercise) == f"{key[1]}({exercise.takes}): {exercise.asks}"


@each(EXERCISES)
def test_a_check_leaves_the_learners_random_numbers_alone(key):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    EXERCISES[key](RIGHT[*key, 0])
    assert torch.equal(torch.rand(2), expected)
