"""notebooks/build.py: what it makes of a source, and what it says about a source that is wrong."""

import base64
import struct

import build
import nbformat
import pytest

LESSON = '''---
kernelspec:
  name: python3
  display_name: Python 3
---

# A lesson

![a picture](../figures/a.svg) and [the next lesson](06_causal.ipynb#start), see [a site](https://example.org/a.html).

```{code-cell}
import sys

import matplotlib.pyplot as plt

print("one")
sys.stdout.flush()
print("two")
```

```{code-cell}
:tags: [exercise]

def padding_mask(ids):
    """Mark the words."""
    ### BEGIN SOLUTION
    return ids > 0
    ### END SOLUTION


padding_mask(3)
```

```{code-cell}
figure, axes = plt.subplots(figsize=(1, 1))
axes.plot([1, 2]);
```

```{code-cell}
:tags: [raises-exception]

1 / 0
```

```{code-cell}
import ipywidgets

ipywidgets.IntSlider(3)
```

```{code-cell}
class Lab:
    """What a lab gives to a notebook."""

    def _repr_mimebundle_(self, **_):
        return {
            "application/vnd.jupyter.widget-view+json": {"model_id": "0"},
            "image/png": "AAAA",
            "text/plain": "a lab",
        }


Lab()
```
'''


@pytest.fixture
def course(tmp_path):
    """An empty course whose src folder holds one lesson."""
    (tmp_path / "notebooks" / "src").mkdir(parents=True)
    (tmp_path / "notebooks" / "src" / "05_lesson.md").write_text(LESSON, encoding="utf-8")
    return tmp_path / "notebooks"


def source(course):
    return course / "src" / "05_lesson.md"


def cut(code, *, exercise=True, solved=False):
    return build.cut(code, exercise=exercise, solved=solved, where="05_x.md, cell 3")


def test_a_build_writes_both_notebooks_the_same_in_every_run(course):
    build.build([source(course)], out=course)
    first = {path: path.read_bytes() for path in course.glob("**/*.ipynb")}
    stamps = {path: path.stat().st_mtime_ns for path in first}
    assert sorted(path.relative_to(course).as_posix() for path in first) == [
        "05_lesson.ipynb",
        "solutions/05_lesson.ipynb",
    ]
    build.build([source(course)], out=course)
    assert {path: path.stat().st_mtime_ns for path in first} == stamps, "a second build must not touch the files"

    learner = nbformat.read(course / "05_lesson.ipynb", as_version=4)
    nbformat.validate(learner)
    text, _, exercise, *_, lab = learner.cells
    assert "](../figures/a.svg)" in text.source
    assert exercise.source.splitlines()[2] == "    ...  # your code here"
    assert [set(output.data) for output in lab.outputs] == [{"text/plain", "image/png"}]
    assert [cell.outputs for cell in learner.cells[1:-1]] == [[]] * 5, "nothing is given away, but for the lab"
    assert [cell.get("execution_count") for cell in learner.cells] == [None] * 6 + [6]
    assert learner.metadata == build.METADATA

    solved = nbformat.read(course / "solutions" / "05_lesson.ipynb", as_version=4)
    nbformat.validate(solved)
    text, stream, exercise, figure, error, widget, again = solved.cells
    assert "](../../figures/a.svg)" in text.source
    assert "](../06_causal.ipynb#start)" in text.source
    assert "](https://example.org/a.html)" in text.source
    assert [output.text for output in stream.outputs] == ["one\ntwo\n"], "the pieces of one stream are joined"
    assert "SOLUTION" not in exercise.source
    assert exercise.outputs[0].data["text/plain"] == "True"
    assert [set(output.data) for output in figure.outputs] == [{"text/plain", "image/png"}]
    assert error.outputs[0].traceback == ["ZeroDivisionError: division by zero"]
    assert [set(output.data) for output in widget.outputs] == [{"text/plain"}]
    assert again.outputs == lab.outputs
    assert [cell.get("execution_count") for cell in solved.cells] == [None, 1, 2, 3, 4, 5, 6]
    assert [cell.id for cell in solved.cells] == [cell.id for cell in learner.cells]

    assert build.problems([source(course)], out=course) == []
    assert build.orphans([source(course)], out=course) == []


@pytest.fixture
def stored(course):
    """The same course with notebooks that look as if they had been run; running them is not the point here."""
    for target, notebook in build.targets(source(course), out=course):
        build.write(target, build.normalise(notebook) if build.is_solved(target) else notebook)
    return course


def test_a_stored_notebook_that_is_what_its_source_gives_is_no_problem(stored):
    assert build.problems([source(stored)], out=stored) == []


@pytest.mark.parametrize(("old", "new", "sentence"), [
    ("A lesson", "The lesson", "cell 1 differs in its source"),
    ("return ids > 0", "return ids", "cell 3 differs in its source"),
    ('"exercise"', '"exercises"', "cell 3 differs in its metadata"),
    ('"execution_count": 3', '"execution_count": null', "code cell 3 was not run in its turn"),
    ('"execution_count": 3', '"execution_count": 7', "code cell 3 was not run in its turn"),
    ("Python 3 (ipykernel)", "Julia", "its metadata differs"),
])  # fmt: skip
def test_the_check_says_what_differs(stored, old, new, sentence):
    target = stored / "solutions" / "05_lesson.ipynb"
    target.write_text(target.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    (problem,) = build.problems([source(stored)], out=stored)
    assert "solutions/05_lesson.ipynb is out of date" in problem
    assert sentence in problem


PRINTED = nbformat.v4.new_output("stream", text="the answer")
FIGURE = nbformat.v4.new_output("display_data", data={"image/png": "AAAA", "text/plain": "<Figure size 1x1>"})
LAB = nbformat.v4.new_output("display_data", data={"image/png": "AAAA", "text/plain": "a lab"}, metadata=build.LAB)


@pytest.mark.parametrize(("outputs", "count", "sentence"), [
    ([PRINTED], 3, "code cell 3 has an output that is not the picture of a lab"),
    ([PRINTED], None, "code cell 3 has an output that is not the picture of a lab"),
    ([FIGURE], 3, "code cell 3 has an output that is not the picture of a lab"),
    ([LAB, FIGURE], 3, "code cell 3 has an output that is not the picture of a lab"),
    ([], 3, "code cell 3 must have a count only if it shows a lab, got 3"),
    ([LAB], None, "code cell 3 must have a count only if it shows a lab, got None"),
    ([LAB], 7, "code cell 3 must have a count only if it shows a lab, got 7"),
])  # fmt: skip
def test_the_check_finds_what_gives_something_away(stored, outputs, count, sentence):
    target = stored / "05_lesson.ipynb"
    notebook = nbformat.read(target, as_version=4)
    notebook.cells[3].update(outputs=outputs, execution_count=count)
    build.write(target, notebook)
    (problem,) = build.problems([source(stored)], out=stored)
    assert problem == f"{stored.name}/05_lesson.ipynb is out of date: {sentence}."


def test_the_picture_of_a_lab_gives_nothing_away(stored):
    notebook = nbformat.read(stored / "05_lesson.ipynb", as_version=4)
    notebook.cells[3].update(outputs=[LAB], execution_count=3)
    build.write(stored / "05_lesson.ipynb", notebook)
    assert build.problems([source(stored)], out=stored) == []


def test_a_lab_needs_a_cell_of_its_own():
    cells = [nbformat.v4.new_code_cell("lab()", outputs=[LAB, PRINTED])]
    with pytest.raises(build.SourceError, match="05_x.md, code cell 1: a lab and another output; give the lab a cell"):
        build.without_spoilers(nbformat.v4.new_notebook(cells=cells), name="05_x.md")


def test_the_check_counts_cells_and_misses_files(stored):
    notebook = nbformat.read(stored / "05_lesson.ipynb", as_version=4)
    del notebook.cells[-1]
    build.write(stored / "05_lesson.ipynb", notebook)
    (stored / "solutions" / "05_lesson.ipynb").unlink()
    fewer, missing = build.problems([source(stored)], out=stored)
    assert "it has 6 cells, its source has 7" in fewer
    assert missing == "solutions/05_lesson.ipynb is missing."


def test_a_notebook_without_a_source_is_an_orphan(stored):
    (stored / "06_old.ipynb").write_text("{}", encoding="utf-8")
    assert [path.name for path in build.orphans([source(stored)], out=stored)] == ["06_old.ipynb"]


def page(*outputs, tags=()):
    """A notebook of one cell with these outputs."""
    cell = nbformat.v4.new_code_cell("x", outputs=list(outputs), id="a", metadata={"tags": list(tags)})
    return nbformat.v4.new_notebook(cells=[cell])


def compared(one, other):
    """What differs, if two notebooks may come from two machines."""
    return build.difference(build.comparable(one), build.comparable(other))


def picture(width, *, twin="a lab", height=5, metadata=build.LAB):
    """The output of a lab, or of another figure: of its picture only the size is real."""
    png = base64.b64encode(b"\x89PNG\r\n\x1a\n0000IHDR" + struct.pack(">II", width, height)).decode()
    return nbformat.v4.new_output("display_data", data={"image/png": png, "text/plain": twin}, metadata=metadata)


def test_figures_are_compared_by_being_there_only():
    one, other, none = page(picture(5, metadata={})), page(picture(6, metadata={})), page(PRINTED)
    assert compared(one, other) is None
    assert "cell 1 differs in its outputs" in compared(one, none)
    assert one.cells[0].outputs[0] == picture(5, metadata={}), "the notebook itself stays as it was"


def test_a_lab_is_compared_by_its_words_its_numbers_and_the_size_of_its_picture():
    assert compared(page(picture(5)), page(picture(5))) is None
    assert "'a picture of 5 × 5'" in compared(page(picture(5)), page(picture(6)))
    assert "'sum 0.51', but now it is 'sum 0.52'" in compared(
        page(picture(5, twin="sum 0.51")), page(picture(5, twin="sum 0.52"))
    )


TRAINED = """▸ The cat ate   3 of 3 are words

losses: What it costs.
       The   cat
once  0.51  −1.2
again    0    −∞▨

next word: Its best guesses.
                    p
fish  ▮▮▮▮▮▮▮▮▮  0.55✓
pie   ▮▮▮        0.21"""


@pytest.mark.parametrize(("old", "new", "differs"), [
    ("0.51", "10.52", False), ("−1.2", "1.3", False), ("3 of 3", "2 of 3", False), ("pie ", "bread", False),
    ("▮▮▮▮", "▮", False), ("it costs", "it cost", True), ("again", "twice", True), ("−∞▨", "0.00", True),
    ("guesses", "words", True), ("The cat ate", "The cat sat", True), ("   cat", "mouse", True),
])  # fmt: skip
def test_where_the_numbers_come_from_training_a_lab_is_compared_by_its_words(old, new, differs):
    assert old in TRAINED
    one, other = (
        page(picture(width, twin=twin), PRINTED, tags=["nbval-ignore-output"])
        for width, twin in ((5, TRAINED), (6, TRAINED.replace(old, new)))
    )
    assert bool(compared(one, other)) == differs


def test_outputs_tagged_as_ignored_are_not_compared():
    one, other = (nbformat.v4.new_output("stream", text=text) for text in ("1\n0.51", "1\n0.52"))
    assert compared(page(one), page(other)) == "cell 1 differs in its outputs: it has '0.51', but now it is '0.52'"
    assert compared(page(one, tags=["nbval-ignore-output"]), page(other, tags=["nbval-ignore-output"])) is None


def test_the_sign_of_a_zero_is_not_compared():
    one, other, less = (nbformat.v4.new_output("stream", text=text) for text in ("-0.00", "0.00", "-0.01"))
    assert compared(page(one), page(other)) is None and compared(page(one), page(less))


def test_an_exercise_keeps_what_stands_around_its_solution():
    code = "def f(x):\n    y = 1\n    ### BEGIN SOLUTION\n    y = 2\n\n    ### END SOLUTION\n    return y"
    assert cut(code) == "def f(x):\n    y = 1\n    ...  # your code here\n    return y"
    assert cut(code, solved=True) == "def f(x):\n    y = 1\n    y = 2\n\n    return y"


@pytest.mark.parametrize(("code", "exercise", "sentence"), [
    ("### BEGIN SOLUTION\nx", True, "write '### BEGIN SOLUTION' and '### END SOLUTION' in pairs"),
    ("x\n### END SOLUTION", True, "in pairs"),
    ("### END SOLUTION\n### BEGIN SOLUTION", True, "in pairs"),
    ("### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION", True, "in pairs"),
    ("### BEGIN SOLUTION\nx\n### END SOLUTION", False, "a cell that is not tagged 'exercise'"),
    ("x", True, "is tagged 'exercise' and has no '### BEGIN SOLUTION'"),
])  # fmt: skip
def test_wrong_markers_are_named_with_file_and_cell(code, exercise, sentence):
    with pytest.raises(build.SourceError) as error:
        cut(code, exercise=exercise)
    assert str(error.value).startswith("05_x.md, cell 3: ")
    assert sentence in str(error.value)


def test_code_that_ruff_would_write_otherwise_is_shown(course):
    source(course).write_text(LESSON.replace('print("one")', "print( 'one' )"), encoding="utf-8")
    with pytest.raises(build.SourceError, match=r'(?s)05_lesson.md: ruff would format.*\+print\("one"\)'):
        build.prepare(source(course), solved=False)


def test_a_cell_that_fails_is_named(course):
    source(course).write_text("# x\n\n```{code-cell}\nundefined_name\n```\n", encoding="utf-8")
    with pytest.raises(build.SourceError, match=r"(?s)05_lesson.md: a cell failed.*undefined_name"):
        build.build([source(course)], out=course)


def test_an_unknown_name_is_told_which_there_are(capsys):
    assert build.main(["99"]) == 1
    assert "No source's name starts with 99. The sources are: 00_start_here, 01_" in capsys.readouterr().err


def test_the_start_page_is_built_last():
    assert build.all_sources()[-1].name == "00_start_here.md", "it reads the notebooks of the lessons"
