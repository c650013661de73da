"""What all labs share: controls are declared once, a page may send anything, and a lab never dies."""

import gc
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from masklab.corpus import words_of
from masklab.labs import attention_padding as lesson
from masklab.labs import controls
from masklab.labs.controls import BadInput, Cells, Choice, Control, Number, Position, Sentences, Slider, Toggle, control
from masklab.labs.guess import guess_of
from masklab.labs.lab import Lab
from masklab.labs.sentences import MAX_TOKENS, batch_of, chips
from masklab.labs.stages import AttentionState, attention_picture
from masklab.panels import Panel, Picture
from tests.lessons import labs
from tests.strategies import hostile


@dataclass(frozen=True, kw_only=True)
class State(controls.State):
    """One control of each kind."""

    side: str = control("right", Choice(label="Side", options={"left": "on the left", "right": "on the right"}))
    layers: int = control(1, Choice(label="Layers", options={1: "1", 2: "2"}))
    pad: float = control(1.0, Slider(label="Pad", low=-3, high=3, step=0.1, help="Drag it."))
    seed: int = control(1, Number(label="Seed", low=0, high=999, more=True))
    predict: bool = control(False, Toggle(label="Predict", sets={"painted": []}))
    reveal: bool = control(False, Toggle(label="Reveal", when="predict"))
    sentences: tuple[str, ...] = control(("a b",), Sentences(label="Sentences"))
    shown: int = control(0, Position())
    painted: tuple = control((), Cells())
    losses: tuple = control((), Cells(how="number", low=0, high=5))
    logits: tuple = control((), Cells(how="number"))
    gaps: tuple = control((), Cells(how="number", low=1))


def draw(state: State) -> Picture:
    """A picture that shows its state."""
    values = torch.full((1, 1), state.pad)
    names = ("one", "two") if state.layers == 2 else ("one",)
    return Picture(panels=[
        Panel(name=name, kind="score", values=values, rows="q", columns="k", title=name, meaning="", sign="→")
        for name in names
    ])  # fmt: skip


def lab(**options) -> Lab:
    return Lab(draw, state=State(), label="a lab", **options)


def test_a_control_that_is_declared_again_stands_where_it_is_declared_again():
    @dataclass(frozen=True, kw_only=True)
    class Own(State):
        view: str = control("a", Choice(label="View", options={"a": "a"}))
        predict: bool = control(False, Toggle(label="Predict"))
        side: str = control("left", Choice(label="Side", options={"left": "left"}))

    first = list(controls.controls_of(Own))[:5]
    assert first == ["view", "predict", "side", "layers", "pad"]


# What a page can send


DEEP = json.loads("[" * 500 + "]" * 500)
# (key, value, what is said). JSON from a page may hold any of these; so may a person's call.
WRONG = [
    ("side", "up", "side must be left or right, got 'up'."),
    ("side", None, "side must be left or right, got None."),
    ("side", ["left"], "side must be left or right, got ['left']."),
    ("layers", True, "layers must be 1 or 2, got True."),
    ("layers", 1.0, "layers must be 1 or 2, got 1.0."),
    ("layers", "2", "layers must be 1 or 2, got '2'."),
    ("layers", math.nan, "layers must be 1 or 2, got nan."),
    ("pad", math.nan, "pad must be a number from −3 to 3, got nan."),
    ("pad", math.inf, "pad must be a number from −3 to 3, got inf."),
    ("pad", "1", "pad must be a number from −3 to 3, got '1'."),
    ("pad", True, "pad must be a number from −3 to 3, got True."),
    ("pad", 3.1, "pad must be a number from −3 to 3, got 3.1."),
    ("pad", 10**400, "pad must be a number from −3 to 3, got 1000"),
    ("pad", 10**5000, "pad must be a number from −3 to 3, got int."),
    ("seed", 1.5, "seed must be an integer from 0 to 999, got 1.5."),
    ("seed", True, "seed must be an integer from 0 to 999, got True."),
    ("seed", -1, "seed must be an integer from 0 to 999, got -1."),
    ("seed", 10**18, "seed must be an integer from 0 to 999, got 1000000000000000000."),
    ("predict", 1, "predict must be True or False, got 1."),
    ("predict", {}, "predict must be True or False, got {}."),
    ("text", "yes", "text must be True or False, got 'yes'."),
    ("sentences", "abc", "sentences must be a list of texts, got 'abc'."),
    ("sentences", None, "sentences must be a list of texts, got None."),
    ("sentences", {"0": "a"}, "sentences must be a list of texts, got {'0': 'a'}."),
    ("sentences", ["a", 1], "sentences must be a list of texts, got ['a', 1]."),
    ("sentences", [["a"]], "sentences must be a list of texts, got [['a']]."),
    ("sentences", DEEP, "sentences must be a list of texts, got [[[[[[[...]]]]]]]."),
    ("sentences", ["x", "y" * 100_001], "Sentence 2 has 100,001 characters and the lab reads up to 100,000:"),
    ("shown", None, "shown must be an integer, got None."),
    ("shown", 0.5, "shown must be an integer, got 0.5."),
    ("painted", "abc", "painted must be a list of [row, column], got 'abc'."),
    ("painted", [1, 2], "painted must be a list of [row, column], got [1, 2]."),
    ("painted", [[1, 2, 3]], "painted must be a list of [row, column], got [[1, 2, 3]]."),
    ("painted", [[1, 2], [3]], "painted must be a list of [row, column], got [[1, 2], [3]]."),
    ("painted", [["1", "2"]], "painted must be a list of [row, column], got [['1', '2']]."),
    ("painted", [[0.5, 1]], "painted must be a list of [row, column], got [[0.5, 1]]."),
    ("painted", [[None, 1]], "painted must be a list of [row, column], got [[None, 1]]."),
    ("painted", [[1, {"a": 1}]], "painted must be a list of [row, column], got [[1, {'a': 1}]]."),
    ("painted", [[0, 1], None], "painted must be a list of [row, column], got [[0, 1], None]."),
    ("painted", [[10**30, 1]], "painted must be a list of [row, column], got [[1000"),
    ("painted", DEEP, "painted must be a list of [row, column], got [[[[[[[...]]]]]]]."),
    ("painted", [[0, 0]] * 100_000, "painted must have at most 20,000 cells, got 100,000."),
    ("losses", [[0, 0]], "losses must be a list of [row, column, number], got [[0, 0]]."),
    ("losses", [[0, 0, 9.0]], "each number in losses must be from 0 to 5, got [[0, 0, 9.0]]."),
    ("losses", [[0, 0, math.nan]], "losses must be a list of [row, column, number], got [[0, 0, nan]]."),
    ("losses", [[0.5, 0, 1.0]], "losses must be a list of [row, column, number], got [[0.5, 0, 1.0]]."),
    ("losses", [[0, 0, "NaN"]], "losses must be a list of [row, column, number], got [[0, 0, 'NaN']]."),
    ("losses", [[0, 0, "Infinity"]], "each number in losses must be from 0 to 5, got [[0, 0, 'Infinity']]."),
    ("logits", [[0, 0, "nan"]], "logits must be a list of [row, column, number], got [[0, 0, 'nan']]."),
    ("logits", [["NaN", 0, 1]], "logits must be a list of [row, column, number], got [['NaN', 0, 1]]."),
    ("gaps", [[0, 0, "-Infinity"]], "each number in gaps must be at least 1, got [[0, 0, '-Infinity']]."),
    ("losses", [[math.inf, 0, 1.0]], "losses must be a list of [row, column, number], got [[inf, 0, 1.0]]."),
]


@pytest.fixture
def no_collection() -> Iterator[None]:
    """No garbage is collected: after many tests that takes over 0.5 s, and would be counted as the lab's time."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize(("key", "value", "said"), WRONG, ids=lambda x: repr(x)[:30] if not isinstance(x, int) else "n")
def test_a_wrong_value_is_one_sentence_and_the_last_picture_stays(no_collection, key, value, said):
    one = lab()
    before = one.picture
    start = time.thread_time()
    one.state = one.state | {"nobody": "knows", key: value}  # a new key, since True == 1 would be no change
    assert time.thread_time() - start < 0.5
    assert one.picture["problem"].startswith(said) and len(one.picture["problem"]) < 200
    assert all(one.picture[part] == before[part] for part in ("panels", "lines", "values"))
    one.state = State().raw() | {"pad": 2.0}  # Reset
    assert one.picture["problem"] == "" and one.picture["values"] != before["values"]


def test_a_number_that_is_none_goes_to_the_page_and_comes_back_by_name():
    state = State().changed({"logits": [[0, 1, "NaN"]]})
    assert math.isnan(state.logits[0][2]) and state.raw()["logits"] == [[0, 1, "NaN"]]


@pytest.mark.parametrize(("key", "value", "read"), [
    ("side", "left", "left"), ("layers", 2, 2), ("pad", -3, -3.0), ("pad", 0.1, 0.1), ("seed", 999, 999),
    ("predict", True, True), ("sentences", ["", "\ud800"], ("", "\ud800")), ("sentences", [], ()),
    ("sentences", [str(i) for i in range(9)], ("0", "1", "2", "3", "4", "5")), ("shown", -(10**30), -(10**30)),
    ("painted", [[0, 1], [-1, 7]], ((0, 1), (-1, 7))), ("painted", (), ()), ("losses", [[0, 1, 2]], ((0, 1, 2.0),)),
    ("losses", [[3, 1, 0.5]], ((3, 1, 0.5),)), ("gaps", [[0, 0, "Infinity"]], ((0, 0, math.inf),)),
    ("logits", [[0, 1, "Infinity"], [2, 0, "-Infinity"], [1, 1, -2]],
     ((0, 1, math.inf), (2, 0, -math.inf), (1, 1, -2.0))),
])  # fmt: skip
def test_a_right_value_is_read_with_its_type(key, value, read):
    state = State().changed({key: value})
    assert getattr(state, key) == read and type(getattr(state, key)) is type(read)
    assert json.loads(json.dumps(state.raw()))[key] == state.raw()[key]  # it can travel to the page


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
LAB = lab()


@settings(max_examples=500)
@given(st.dictionaries(st.sampled_from([*State().raw(), "unknown", ""]), junk, max_size=6))
def test_no_state_kills_a_lab(raw):
    LAB.state = raw
    problem = LAB.picture["problem"]
    assert "could not draw" not in problem and len(problem) < 300
    assert LAB.picture["panels"]
    json.dumps(problem, ensure_ascii=False).encode("utf-8")


def test_what_a_page_does_not_send_is_as_at_first_sight():
    one = Lab(draw, state=State(pad=2.0), label="a lab")
    one.state = {"side": "left", "nobody": "knows"}
    assert one.picture["problem"] == "" and one.picture["values"] == lab_values(2.0)


def lab_values(pad: float) -> bytes:
    return Lab(draw, state=State(pad=pad), label="a lab").picture["values"]


@pytest.mark.parametrize("cells", [100_000, 20_000])
def test_many_painted_cells_take_bounded_work(cells):
    one = lesson.lab(predict=True)
    state = one.state | {"painted": [[i % 300, i % 7] for i in range(cells)]}
    times = []
    for _ in range(5):
        start = time.thread_time()  # the work alone, whatever else the machine does
        one._picture(state)
        times.append(time.thread_time() - start)
    assert min(times) < 0.05  # it was 4.7 s
    one.state = state
    assert len(one.picture["panels"]) == 5


def test_the_longest_texts_take_bounded_work():
    one = lesson.lab()
    state = one.state | {"sentences": ["a " * 50_000] * 6}
    times = []
    for _ in range(5):
        start = time.thread_time()
        problem = one._picture(state).problem
        times.append(time.thread_time() - start)
    assert problem.startswith("Sentence 1 has 50,000 words and the lab draws up to 256") and min(times) < 0.05


def test_text_that_was_asked_for_comes_with_a_problem_too():
    one = lesson.lab()
    one.state = one.state | {"text": True, "sentences": [""]}
    assert one.picture["text"].endswith("There is no word yet: type at least one to see the picture again.")
    one.state = one.state | {"side": "up"}
    assert one.picture["text"].endswith("side must be left or right, got 'up'.")


def test_a_fault_of_ours_is_said_and_logged_and_the_lab_lives_on(caplog):
    def draw_or_fail(state):
        return draw(state) if state.side == "right" else {}["a fault"]

    one = Lab(draw_or_fail, state=State(), label="a lab")
    one.state = one.state | {"side": "left"}
    assert one.picture["problem"].startswith("The lab could not draw this (KeyError).") and caplog.records
    assert len(one.picture["panels"]) == 1
    one.state = one.state | {"side": "right"}
    assert one.picture["problem"] == ""


# Controls, declared once


def test_the_page_gets_every_control_with_all_it_needs():
    assert lab().controls == [
        {"type": "button", "name": "reset", "label": "Reset", "sets": State().raw()},
        {"type": "choice", "name": "side", "label": "Side",
         "options": [["left", "on the left"], ["right", "on the right"]]},
        {"type": "choice", "name": "layers", "label": "Layers", "options": [[1, "1"], [2, "2"]]},
        {"type": "slider", "name": "pad", "label": "Pad", "help": "Drag it.", "min": -3, "max": 3, "step": 0.1},
        {"type": "toggle", "name": "predict", "label": "Predict", "sets": {"painted": []}},
        {"type": "toggle", "name": "reveal", "label": "Reveal", "when": "predict"},
        {"type": "sentences", "name": "sentences", "label": "Sentences", "max": 6, "max_length": 100_000},
        {"type": "number", "name": "seed", "label": "Seed", "more": True, "min": 0, "max": 999, "step": 1},
        {"type": "toggle", "name": "text", "label": "Show as text", "more": True},
    ]  # fmt: skip
    json.dumps(lab().controls)


def test_a_preset_is_a_button_beside_reset():
    @dataclass(frozen=True, kw_only=True)
    class Other(State):
        presets = {"Two layers": {"layers": 2, "painted": ((0, 1),)}}

    reset, preset, *others = Lab(draw, state=Other(), label="a lab").controls
    assert reset["name"] == "reset" and others[0]["name"] == "side"
    assert preset == {
        "type": "button", "name": "two layers", "label": "Two layers", "sets": {"layers": 2, "painted": [[0, 1]]},
    }  # fmt: skip
    assert lab().controls[1]["name"] == "side" and "presets" not in State().raw()


def test_a_preset_may_belong_to_an_option_of_a_choice():
    @dataclass(frozen=True, kw_only=True)
    class Other(State):
        presets = {"Both": {"side": "left", "layers": 2}}
        presets_by = "side"

    reset, preset, *_ = Lab(draw, state=Other(), label="a lab").controls
    assert preset["when"] == "side=left" and "when" not in reset


def test_an_option_may_set_more():
    @dataclass(frozen=True, kw_only=True)
    class Other(State):
        side: str = control(
            "right", Choice(label="Side", options={"left": "l", "right": "r"}, each={"left": {"painted": ((0, 1),)}})
        )

    spec = next(spec for spec in Lab(draw, state=Other(), label="a lab").controls if spec["name"] == "side")
    assert spec["each"] == [{"painted": [[0, 1]]}, {}]
    first = controls.settings(Other(), {"side": "left", "layers": 2})
    assert (first.side, first.layers, first.painted) == ("left", 2, ((0, 1),))
    assert controls.settings(Other(), {"side": "left", "painted": []}).painted == ()  # a person's own comes first
    assert controls.settings(Other(), {"side": "right"}).painted == ()


def test_a_states_own_controls_come_before_those_it_shares():
    @dataclass(frozen=True, kw_only=True)
    class More(State):
        mask: str = control("on", Choice(label="Mask", options={"on": "on"}))

    assert list(controls.controls_of(More))[:2] == ["mask", "side"]


@pytest.mark.parametrize("default", [
    field(default=1), field(default=1, metadata={"control": "slider"}), control(1, {"type": "slider"}),
])  # fmt: skip
def test_a_field_without_a_control_is_refused(default):
    @dataclass(frozen=True, kw_only=True)
    class Wrong(controls.State):
        dial: int = default

    with pytest.raises(TypeError, match="dial of Wrong must have a control of type sentences, choice"):
        Wrong()


def test_a_control_that_the_page_cannot_show_is_refused():
    @dataclass(frozen=True, kw_only=True)
    class Dial(Control):
        type = "dial"

    @dataclass(frozen=True, kw_only=True)
    class Wrong(controls.State):
        dial: int = control(1, Dial())

    with pytest.raises(TypeError, match="dial of Wrong must have a control of type .*, got .*Dial"):
        Wrong()


def test_a_state_is_right_or_does_not_exist():
    with pytest.raises(BadInput, match="side must be left or right, got 'up'"):
        State(side="up")
    with pytest.raises(BadInput, match="pad must be a number"):
        replace(State(), pad=None)


# A small lab


def test_a_small_lab_has_some_panels_and_some_controls():
    small = lesson.lab(panels=["output", "weights"], controls=["pad", "mask"], mask="none")
    assert [panel["name"] for panel in small.picture["panels"]] == ["weights", "output"]
    assert [spec["name"] for spec in small.controls] == ["mask", "pad"]
    assert small.picture["panels"][0]["sign"] == ""  # nothing stands before it
    before = small.picture["values"]
    small.state = small.state | {"pad": 3.0}
    assert small.picture["values"] != before and len(small.picture["panels"]) == 2
    assert "scores" not in repr(small)


def test_names_that_the_lab_does_not_have_are_refused():
    with pytest.raises(
        ValueError, match="the lab has no panel 'wieghts'; it has scores, mask, masked, weights, output"
    ):
        lesson.lab(panels=["wieghts"])
    with pytest.raises(ValueError, match="the lab has no control 'colour'; it has reset, mask"):
        lesson.lab(controls=["colour"])


def test_a_panel_that_comes_later_is_not_there_until_then():
    small = lab(panels=["one"])
    small.state = small.state | {"layers": 2}
    assert [panel["name"] for panel in small.picture["panels"]] == ["one"]


def test_a_small_lab_may_begin_with_nothing_to_draw():
    small = lesson.lab(panels=["output"], sentences=[""])
    assert small.picture["problem"].startswith("There is no word yet")
    small.state = small.state | {"sentences": ["The cat"]}
    assert [panel["name"] for panel in small.picture["panels"]] == ["output"]


# The labs of the lessons

each_lab = pytest.mark.parametrize("module", labs().values(), ids=labs())


def of_type(module, kind: type[Control]) -> dict:
    """A lab's controls of one type, by name."""
    return {name: how for name, how in controls.controls_of(module.State).items() if isinstance(how, kind)}


@each_lab
def test_settings_that_a_lab_does_not_have_are_refused(module):
    with pytest.raises(TypeError, match="no setting 'colour'"):
        module.lab(colour="red")
    for name, how in of_type(module, Choice).items():
        with pytest.raises(ValueError, match=f"{name} must be .*{list(how.options)[-1]}, got 'bth'"):
            module.lab(**{name: "bth"})


@each_lab
def test_a_choice_that_a_lab_does_not_have_is_one_sentence(module):
    one = module.lab()
    before, count = one.picture["values"], len(one.picture["panels"])
    for name in of_type(module, Choice):
        for value in ("unheard of", 30):
            one.state = one.state | {name: value}
            problem = one.picture["problem"]
            assert problem.startswith(f"{name} must be ") and problem.endswith(f"got {value!r}.")
            assert one.picture["values"] == before and len(one.picture["panels"]) == count > 0
            one.state = module.State().raw()
            assert one.picture["problem"] == ""


@each_lab
def test_reset_goes_back_to_the_state_that_a_lab_began_with(module):
    changes = {name: list(how.options)[-1] for name, how in of_type(module, Choice).items()}
    changes |= dict.fromkeys(of_type(module, Position), 1)
    one = module.lab(**changes)
    reset = one.controls[0]
    brought = [how.each.get(changes[name], {}) for name, how in of_type(module, Choice).items()]
    first = module.State().changed({key: value for sets in brought for key, value in sets.items()} | changes)
    assert (reset["name"], reset["sets"]) == ("reset", first.raw())


@each_lab
def test_a_lab_looks_the_same_each_time_and_begins_with_no_problem(module):
    assert module.lab().picture["problem"] == ""
    assert repr(module.lab()) == repr(module.lab())


@each_lab
def test_every_preset_can_be_drawn(module):
    one = module.lab()
    for sets in module.State.presets.values():
        assert sets.keys() <= one.state.keys()
        one.state = one.state | sets
        assert one.picture["problem"] == "" and one.picture["panels"]


@each_lab
def test_a_lab_may_begin_with_nothing_to_draw(module):
    if not of_type(module, Sentences):
        pytest.skip("it has no sentence boxes")
    one = module.lab(sentences=[""])
    one.state = module.State().raw()
    assert one.picture["problem"] == "" and len(one.picture["panels"]) == len(module.draw(module.State()).panels)


def values_of(how: Control):
    """Values that a page of ours could send for a control, most of them such as nobody would."""
    if isinstance(how, Choice):
        return st.sampled_from(list(how.options))
    if isinstance(how, Slider):
        return st.floats(how.low, how.high)
    if isinstance(how, Number):
        return st.integers(how.low, how.high)
    if isinstance(how, Sentences):
        return st.lists(hostile, max_size=7)
    if isinstance(how, Position):
        return st.integers(-2, 40)
    if isinstance(how, Cells):
        cell = [st.integers(-1, 8), st.integers(-1, 8)]
        number = [st.floats(how.low, how.high)] if how.how == "number" else []
        return st.lists(st.tuples(*cell, *number).map(list), max_size=4)
    return st.booleans()


# How a lab reads a text, how many words it draws, and how many words its chips show; any other as the last one.
READS = {
    "causal_masks": (words_of, 31, lambda line: len(line["words"]) - 1),  # without [BOS]
    "masked_language_models": (words_of, 16, lambda line: line["pads"].count(False)),
    "recurrent_networks": (words_of, MAX_TOKENS, lambda line: line["pads"].count(False)),
    "": (str.split, MAX_TOKENS, lambda line: line["pads"].count(False)),
}


@each_lab
@settings(max_examples=300)
@given(data=st.data())
def test_no_text_and_no_setting_breaks_a_lab(module, data):
    one, declared = shared(module), controls.controls_of(module.State)
    before = one.picture
    one.state = {name: data.draw(values_of(how), label=name) for name, how in declared.items()}
    picture = one.picture
    assert "could not draw" not in picture["problem"] and picture["panels"]
    if of_type(module, Sentences):
        words, most, shown = READS.get(module.__name__.rpartition(".")[2], READS[""])
        counts = [len(words(sentence)) for sentence in one.state["sentences"][:6]]
        assert (picture["problem"] == "") == (0 < max(counts, default=0) <= most)
    if picture["problem"]:
        assert all(picture[part] == before[part] for part in ("panels", "lines", "values"))  # the last good one
    elif of_type(module, Sentences):
        lines = [picture["lines"][sentence["line"]] for sentence in picture["sentences"]]
        assert list(map(shown, lines)) == counts
    text_only = {key: value for key, value in picture.items() if not isinstance(value, bytes)}
    json.dumps(text_only, ensure_ascii=False).encode("utf-8")  # it can travel to the page


@cache
def shared(module) -> Lab:
    """One lab for many states."""
    return module.lab()


# Sentences and guesses


def test_each_chip_has_its_id_below():
    batch = batch_of(["The cat ate", "The cat ate fish pie"], side="left")
    below = [["0", "0", "1", "2", "3"], ["1", "2", "3", "4", "5"]]
    assert [one.below for one in chips(batch, batch.ids)] == below
    picture = attention_picture(AttentionState(), batch, torch.ones(2, 1, 5, 5, dtype=torch.bool), remark=str)
    assert [one.below for one in picture.sentences] == below
    assert [one.below for one in chips(batch)] == [[], []]


def test_painted_cells_of_a_longer_sentence_are_kept_not_drawn():
    guess = guess_of([(7, 7), (-1, 0), (1, 0)], mask=torch.ones(2, 2, dtype=torch.bool), reveal=False)
    assert guess.painted.nonzero().tolist() == [[1, 0]]
    assert guess.edits.cells == [[1, 0]] and guess.edits.how == "toggle"


def test_a_revealed_guess_can_no_longer_be_painted():
    guess = guess_of([], mask=torch.ones(2, 2, dtype=torch.bool), reveal=True)
    assert guess.edits is None and guess.marks is not None
