"""Where a learner is, read from saved notebooks: solved, wrong, open, and files that are no notebooks."""

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from masklab.progress import NO_LESSON, SAVE, UNREADABLE, progress

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
RIGHT, WRONG, OPEN = ("✓ a: right, on 20 random inputs.\n", "✗ a: some cells differ.\n", "○ a: not attempted yet.\n")


def stream(*lines):
    return {"output_type": "stream", "name": "stdout", "text": list(lines)}


def result(text):
    return {"output_type": "execute_result", "data": {"text/plain": text}, "metadata": {}, "execution_count": 1}


ERROR = {"output_type": "error", "ename": "NameError", "evalue": "x", "traceback": ["✓ is not said here"]}
PICTURE = {"output_type": "display_data", "data": {"image/png": "AAAA"}, "metadata": {}}


def exercise(*outputs):
    return {"cell_type": "code", "metadata": {"tags": ["exercise"]}, "source": [], "outputs": list(outputs)}


def write(folder, *cells, name="05_a.ipynb", heading="# 05 · A lesson"):
    text = {"cell_type": "markdown", "metadata": {}, "source": [heading]}
    plain = {"cell_type": "code", "metadata": {}, "source": [], "outputs": [stream(RIGHT)]}
    (folder / name).write_text(json.dumps({"cells": [text, plain, *cells]}), encoding="utf-8")


@pytest.mark.parametrize(("outputs", "sign"), [
    ([], "○"),
    ([stream(OPEN)], "○"),
    ([stream(RIGHT)], "✓"),
    ([stream(WRONG), PICTURE], "✗"),
    ([result(RIGHT.strip())], "✓"),
    ([stream("my own print\n", RIGHT)], "✓"),
    ([stream("my own print\n"), stream(RIGHT)], "✓"),
    ([stream(RIGHT, WRONG)], "✗"),
    ([stream("all is ✓ now\n")], "○"),
    ([stream("✓✓✓\n")], "○"),
    ([ERROR], "✗"),
    ([PICTURE], "○"),
])  # fmt: skip
def test_the_last_word_of_the_check_counts(tmp_path, outputs, sign):
    write(tmp_path, exercise(*outputs))
    (lesson,) = progress(tmp_path).lessons
    assert lesson.signs == sign


def test_the_table_counts_and_says_what_to_do(tmp_path):
    write(tmp_path, exercise(stream(RIGHT)), exercise(stream(WRONG)), exercise())
    write(tmp_path, exercise(stream(RIGHT)), name="06_b.ipynb", heading="# 06 · Longer name")
    assert repr(progress(tmp_path)).splitlines() == [
        "05 · A lesson     ✓✗○  1 of 3 solved",
        "06 · Longer name  ✓  1 of 1 solved",
        SAVE,
    ]


def test_a_page_without_exercises_is_no_row(tmp_path):
    write(tmp_path, name="00_start.ipynb")
    assert repr(progress(tmp_path)) == NO_LESSON
    assert progress(tmp_path)._repr_html_() == f"<p>{NO_LESSON}</p>"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"cells": 3}', b'{"cells": [3]}', b'{"cells": [{}]}', b"\xff\xfe", b"<html>",
     b'{"cells": [{"cell_type": "code", "metadata": {"tags": ["exercise"]}}]}'],
)  # fmt: skip
def test_a_file_that_is_no_notebook_becomes_a_sentence(tmp_path, content):
    write(tmp_path, exercise(stream(RIGHT)))
    (tmp_path / "07_c.ipynb").write_bytes(content)
    good, bad = progress(tmp_path).lessons
    assert (good.signs, bad.title, str(bad)) == ("✓", "07_c", UNREADABLE)
    assert UNREADABLE in repr(progress(tmp_path)) and UNREADABLE in progress(tmp_path)._repr_html_()


def test_a_folder_named_like_a_notebook_becomes_a_sentence(tmp_path):
    (tmp_path / "05_a.ipynb").mkdir()
    assert str(progress(tmp_path).lessons[0]) == UNREADABLE


class Seen(HTMLParser):
    """The tags and the text of some HTML."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)


def test_a_title_is_shown_as_text_whatever_it_holds(tmp_path):
    hostile = "<script>alert(1)</script> & \"quotes\" <img src=x onerror='y'>"
    write(tmp_path, exercise(), heading=f"# {hostile}", name='05_"<b>.ipynb')
    seen = Seen(progress(tmp_path)._repr_html_())
    assert hostile in seen.texts
    assert {tag for tag, _ in seen.tags} == {"table", "thead", "tbody", "tr", "th", "td", "a", "span", "p"}
    assert ("a", {"href": '05_"<b>.ipynb'}) in seen.tags


def test_the_signs_are_words_for_a_screen_reader(tmp_path):
    write(tmp_path, exercise(stream(RIGHT)), exercise(stream(WRONG)), exercise())
    labels = [
        attributes["aria-label"] for tag, attributes in Seen(progress(tmp_path)._repr_html_()).tags if tag == "span"
    ]
    assert labels == ["1 solved, 2 not right yet, 3 open"]


def test_as_shipped_nothing_is_solved_and_in_the_solutions_everything_is():
    shipped, solved = progress(NOTEBOOKS), progress(NOTEBOOKS / "solutions")
    assert shipped.lessons and {sign for lesson in shipped.lessons for sign in lesson.signs} == {"○"}
    assert {sign for lesson in solved.lessons for sign in lesson.signs} == {"✓"}
    assert [lesson.file for lesson in shipped.lessons] == [lesson.file for lesson in solved.lessons]


def test_what_is_solved_shows_once_the_notebook_is_saved(tmp_path):
    """A learner's notebook with one exercise solved, as JupyterLab would save it."""
    (path,) = NOTEBOOKS.glob("05_*.ipynb")
    shutil.copy(path, tmp_path)
    shutil.copy(NOTEBOOKS / "solutions" / path.name, tmp_path / "solved.ipynb")
    learner, solved = (json.loads((tmp_path / name).read_text("utf-8")) for name in (path.name, "solved.ipynb"))
    at = next(i for i, cell in enumerate(solved["cells"]) if "exercise" in cell["metadata"].get("tags", []))
    learner["cells"][at] = solved["cells"][at]
    (tmp_path / path.name).write_text(json.dumps(learner), encoding="utf-8")
    (lesson,) = progress(tmp_path).lessons
    assert lesson.signs == "✓" + "○" * (len(lesson.signs) - 1) and len(lesson.signs) > 1
