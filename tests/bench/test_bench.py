"""The bench's own arithmetic, tables and cells; no test asks how fast anything is."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from masklab.training import Result
from tests.bench import __main__ as command
from tests.bench import keystrokes, report, sentences, stages
from tests.lessons import labs

FLOATS = st.floats(0, 1e6)


def typed(sentence: str, edit: tuple[int, int, str]) -> str:
    """What a box holds after a press."""
    start, end, key = edit
    if key == "Backspace":
        return sentence[: start - 1] + sentence[end:]
    return sentence[:start] + key + sentence[end:]


@given(st.lists(FLOATS, min_size=1, max_size=50), st.floats(0, 100))
def test_percentile_is_numpys(values, percent):
    assert report.percentile(values, percent) == pytest.approx(np.percentile(values, percent), abs=1e-6)


@pytest.mark.parametrize("tokens", [5, 8, 16, 32, 64, 128])
def test_each_letter_changes_one_word_and_no_shape(tokens):
    text = sentences.sentences(tokens)[0]
    edits = sentences.letters(text)
    for _ in range(25):
        after = typed(text, next(edits))
        assert sum(a != b for a, b in zip(text.split(), after.split(), strict=True)) == 1
        text = after


def test_each_split_changes_the_number_of_words():
    start = text = sentences.sentences(8)[1]
    edits = sentences.splits(text)
    lengths = []
    for _ in range(4):
        text = typed(text, next(edits))
        lengths.append(len(text.split()))
    assert lengths == [9, 8, 9, 8] and text == start


@pytest.mark.parametrize("tokens", [5, 8, 16, 32, 64, 128])
def test_sentences_are_as_wide_as_they_say_and_the_first_is_padded(tokens):
    lengths = [len(one.split()) for one in sentences.sentences(tokens)]
    assert max(lengths) == tokens and lengths[0] < tokens


def test_every_round_presses_each_kind_once_and_takes_turns():
    orders = [keystrokes.turned(keystrokes.KINDS, number) for number in range(3)]
    assert all(sorted(order) == sorted(keystrokes.KINDS) for order in orders)
    assert len({order[0] for order in orders}) == 3


def test_notebooks_hold_valid_python():
    for made in keystrokes.notebooks().values():
        for cell in made.cells:
            compile(cell.source, "cell", "exec")


@pytest.mark.parametrize("kind", keystrokes.KINDS)
def test_the_cells_run_and_show_other_sentences(kind, monkeypatch):
    """Each kind draws what it is asked to; matplotlib one picture for each panel of the lab."""
    plt.switch_backend("agg")
    figures = []
    monkeypatch.setattr(plt, "show", lambda: figures.append(plt.gcf()))
    monkeypatch.setattr("IPython.display.display", lambda *shown: None)
    names = {}
    exec(keystrokes.notebook(kind).cells[0].source, names)
    names["resize"](sentences.sentences(5))
    if kind == "pyplot":
        panels = names["draw"](names["State"]()).panels
        assert [[one.get_title() for one in figure.axes] for figure in figures] == [[p.title for p in panels]] * 2
    plt.close("all")


def test_stages_add_up_to_the_whole():
    stamps = {"origin": 5_000.0, "pressed": 100.0, "changed": 150.0, "painted": 180.0}
    frames = [["in", 90.0, 9000], ["out", 101.0, 500], ["in", 120.0, 300], ["in", 140.0, 9000], ["in", 145.0, 300]]
    steps = [["draw", 5.111, 5.114], ["serialize", 5.115, 5.116], ["update", 5.110, 5.120]]
    one = stages.stages(stamps, frames, steps)
    assert tuple(one) == stages.STAGES
    assert list(one.values()) == pytest.approx([1, 9, 3, 1, 6, 20, 10, 30])
    assert stages.medians([one])["sum"] == pytest.approx(80)


RESULTS = {
    ("lab", 5, "letter"): [50.0, 60.0], ("echo", 5, "letter"): [45.0, 47.0], ("pyplot", 5, "letter"): [400.0, 420.0],
    ("lab", 5, "word"): [90.0], ("echo", 5, "word"): [45.0], ("pyplot", 5, "word"): [450.0],
}  # fmt: skip


def test_keystrokes_say_what_is_met_and_give_a_new_word_no_target():
    letter, word = report.keystrokes(RESULTS, machine="2 cores").rows
    assert letter == ["5", "55 (60)", "46 (47)", "1.20 (≤ 1.25 met)", "410 (419)", "7.45 (≥ 6 met)"]
    assert word == ["5 ± a word", "90 (90)", "45 (45)", "2.00", "450 (450)", "5.00"]


def test_a_lab_with_a_model_may_take_longer():
    results = {name: report.Against([56.0], [40.0], has_model=name == "gpt") for name in ("toy", "gpt")}
    table = report.labs(results, words=16)
    assert table.rows == [["toy", "56 (56)", "40 (40)", "1.40 (≤ 1.25 missed)"],
                          ["gpt", "56 (56)", "40 (40)", "1.40 (≤ 1.5 met)"]]  # fmt: skip
    assert "at 16 words" in table.title


def test_every_lesson_has_a_notebook_with_its_own_lab():
    made = keystrokes.notebooks()
    for name in labs():
        assert f"view = {name}.lab()" in made[f"lab-{name}"].cells[0].source


def test_experiments_say_how_often_their_seeds_agree_by_chance():
    one = {"question": "", "measure": "accuracy", "better": "higher", "right": "a"}
    for seeds, chance in ((3, "3 seeds, which agree by chance 1 time in 4"), (1, "1 seed")):
        result = Result(scores={"a": [2.0] * seeds, "b": [1.0] * seeds}, **one)
        table = report.experiments({"module.name": (result, 1.4)})
        assert table.title == f"Experiments, one thread, {chance}"
        assert [row[-1] for row in table.rows] == ["this one", "better"]


def test_imports_say_what_is_missed():
    slow = report.imports({"torch": (1.0, 200.0), "core": (0.2, 10.0), "lab": (0.5, 20.0)})
    assert "missed" in slow.rows[1][-1]
    fast = report.imports({"torch": (1.0, 200.0), "core": (0.1, 10.0), "lab": (0.5, 20.0)})
    assert fast.rows[1][-1].endswith("met")


def test_markdown_has_as_many_cells_in_every_line():
    lines = report.markdown(report.keystrokes(RESULTS, machine="2 cores")).splitlines()[2:]
    assert len({line.count("|") for line in lines}) == 1


def test_readme_keeps_everything_around_the_markers():
    readme = f"before\n{report.START}\nold\n{report.END}\nafter\n"
    once = report.placed(readme, "| new |")
    assert once == f"before\n{report.START}\n| new |\n{report.END}\nafter\n"
    assert report.placed(once, "| new |") == once


@pytest.mark.parametrize("readme", ["", "no markers", report.START, report.END, report.END + report.START])
def test_a_page_without_markers_is_said_and_left(readme, tmp_path, capsys):
    file = tmp_path / "README.md"
    file.write_text(readme)
    command.write(file, [report.notebooks({"00.ipynb": 1.0})])
    assert file.read_text() == readme and "no lines" in capsys.readouterr().out


def test_machine_names_versions_and_nothing_that_identifies_it():
    assert command.machine("156.0.1.2").startswith(f"{command.os.cpu_count()} cores, headless Chromium 156, JupyterLab")
    assert f"{sys.version_info.minor}" in command.machine("1.2")
