"""The widget without a browser: what goes over the wire, and what a saved notebook keeps."""

import json
import re
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
import torch

from masklab.panels import Edit, Panel, Picture, Sentence, picture_text
from masklab.view import MatrixView, join, serialize
from masklab.view.palette import PALETTE
from tests.browser.example import attention_picture, one_panel


def test_buffers_hold_all_panels_one_after_the_other():
    picture = attention_picture()
    data = serialize(picture, serial=7)
    values, blocked, marks = (np.frombuffer(data[k], t) for k, t in
                              (("values", "<f4"), ("blocked", "u1"), ("marks", "u1")))  # fmt: skip
    assert values.size == blocked.size == marks.size == sum(p.values.numel() for p in picture.panels)
    for panel, sent in zip(picture.panels, data["panels"], strict=True):
        own = slice(sent["offset"], sent["offset"] + panel.values.numel())
        assert values[own].reshape(sent["shape"]).tolist() == panel.values.float().tolist()
        wanted = panel.blocked if panel.blocked is not None else torch.zeros(sent["shape"])
        assert blocked[own].reshape(sent["shape"]).tolist() == wanted.int().tolist()
    assert data["serial"] == 7


def test_all_but_the_buffers_is_json():
    data = serialize(attention_picture(problem="too long"), serial=1)
    plain = {k: v for k, v in data.items() if not isinstance(v, bytes)}
    assert json.loads(json.dumps(plain)) == plain
    assert set(data) - set(plain) == {"values", "blocked", "marks"}


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.float64, torch.bfloat16, torch.float16])
def test_any_dtype_and_any_stride(dtype):
    values = torch.tensor([[0, 1], [1, 1], [0, 0]]).to(dtype).T
    data = serialize(Picture(panels=[Panel(name="x", kind="ids", values=values, rows="ab", columns="cde",
                                      title="", meaning="")]), serial=1)  # fmt: skip
    assert np.frombuffer(data["values"], "<f4").tolist() == [0, 1, 0, 1, 1, 0]


def test_labels_are_cleaned_and_long_words_kept_for_the_spoken_line():
    picture = one_panel([[1.0, 2.0, 3.0]], rows=["a\u202eb"], columns=["understanding-everything", "x" * 10_000, "ok"])
    data = serialize(picture, serial=1)
    rows, columns = (data["lines"][data["panels"][0][name]] for name in ("rows", "columns"))
    assert rows["labels"] == rows["words"] == ["a�b"]
    assert columns["labels"] == ["understandi…", "x" * 11 + "…", "ok"]
    assert columns["words"][0] == "understanding-everything"
    assert len(columns["words"][1]) == 200


def test_a_line_of_words_goes_once():
    picture = attention_picture()
    data = serialize(picture, serial=1)
    for panel, sent in zip(picture.panels, data["panels"], strict=True):
        for words, pads, line in (
            (panel.rows, panel.row_pads, sent["rows"]),
            (panel.columns, panel.column_pads, sent["columns"]),
        ):
            assert data["lines"][line] == {"labels": list(words), "words": list(words), "pads": list(pads)}
    shown = next(sent for panel, sent in zip(picture.panels, data["panels"], strict=True) if panel.name == "mask")
    assert data["sentences"][picture.shown]["line"] == shown["rows"] == shown["columns"]
    assert len({str(line) for line in data["lines"]}) == len(data["lines"])


def test_what_may_be_edited_and_what_is_linked_goes_with_the_panel_and_the_sentence():
    edits = Edit("set", how="number", cells=[(0, 1, 0.5)], low=0, step=0.1)
    picture = one_panel([[1.0, 2.0]], edits=edits, axes=("sentence", "position"), links=("sentence", "key"))
    chips = Sentence(tokens=["a", "b"], pads=[False, True], below=["1", "\u202e0"], pressed=[True, False], edits=edits)
    data = serialize(Picture(panels=picture.panels, sentences=[chips]), serial=1)
    sent = {"key": "set", "how": "number", "cells": [[0, 1, 0.5]], "low": 0, "high": None, "step": 0.1}
    (panel,), (sentence,) = data["panels"], data["sentences"]
    assert (panel["edits"], panel["axes"], panel["links"]) == (sent, ["sentence", "position"], ["sentence", "key"])
    assert (sentence["below"], sentence["pressed"], sentence["edits"]) == (["1", "�0"], [True, False], sent)
    plain = serialize(one_panel([[1.0]]), serial=1)["panels"][0]
    assert (plain["edits"], plain["links"]) == (None, ["query", "key"])
    assert (plain["start"], plain["current"]) == ([0, 0], None)
    cached = serialize(one_panel([[1.0]], start=(5, 0), current=0), serial=1)["panels"][0]
    assert (cached["start"], cached["current"]) == ([5, 0], 0)
    sorted_rows = one_panel([[1.0], [2.0]], places=(4, 0))
    assert [serialize(one, serial=1)["panels"][0]["places"] for one in (sorted_rows, one_panel([[1.0]]))] == [
        [4, 0],
        [],
    ]


def test_a_legend_goes_only_where_no_number_is_written():
    for columns, legend in ((17, ""), (18, "0 is dark blue, 0.5 is yellow.")):
        panel = serialize(one_panel(torch.full((1, columns), 0.5), kind="weight"), serial=1)["panels"][0]
        assert (panel["meaning"], panel["legend"]) == ("a test", legend)


def test_an_empty_panel_goes_over_the_serialize():
    data = serialize(one_panel(torch.zeros(0, 0)), serial=1)
    assert data["values"] == b"" and data["panels"][0]["shape"] == [0, 0]


def test_show_counts_the_pictures_and_keeps_the_text_twin():
    view, picture = MatrixView(), attention_picture()
    assert repr(view) == "MatrixView: no picture yet"
    view.show(picture)
    view.show(picture, text="twin")
    assert (view.picture["serial"], view.picture["text"]) == (2, "twin")
    assert repr(view) == picture_text(picture)


def test_a_saved_notebook_keeps_the_whole_text_twin_and_a_picture():
    view = MatrixView()
    view.show(attention_picture())
    data, _ = view._repr_mimebundle_()
    assert data["text/plain"] == repr(view) and len(data["text/plain"]) > 1000
    assert data["image/png"]
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == view.model_id


def test_importing_the_view_does_not_import_matplotlib():
    code = "import sys, masklab.view; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("name", "colours"), [("unit", "cividis"), ("signed", "PuOr")])
def test_the_palette_is_matplotlibs(name, colours):
    anchors = np.array([[int(a[i : i + 2], 16) / 255 for i in (1, 3, 5)] for a in PALETTE[name]])
    x = np.linspace(0, 1, 256)
    drawn = np.stack([np.interp(x, np.linspace(0, 1, len(anchors)), anchors[:, k]) for k in range(3)], axis=1)
    assert np.abs(drawn - matplotlib.colormaps[colours](x)[:, :3]).max() < 8 / 255


# ---- the page's modules become one script

DECLARED = re.compile(r"^(?:export )?(?:function|class|const|let) (\w+)", re.MULTILINE)
IMPORTED = re.compile(r"^import \{ ([\w, ]+) \} from \"\./(\w+)\.js\";$", re.MULTILINE)


def module(name):
    return (join.PAGE / f"{name}.js").read_text(encoding="utf-8")


def test_every_file_of_the_page_is_joined():
    assert sorted(join.SCRIPTS) == sorted(path.stem for path in join.PAGE.glob("*.js"))
    assert sorted(join.STYLES) == sorted(path.stem for path in join.PAGE.glob("*.css"))


def test_no_two_modules_declare_the_same_name():
    names = [name for one in join.SCRIPTS for name in DECLARED.findall(module(one))]
    assert len(names) > 100
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("name", join.SCRIPTS)
def test_a_module_imports_only_what_those_before_it_export(name):
    before = join.SCRIPTS[: join.SCRIPTS.index(name)]
    found = IMPORTED.findall(module(name))
    assert len(found) == module(name).count("\nimport "), "an import in another form: join.py would not see it"
    for words, source in found:
        assert source in before
        exported = re.findall(r"^export (?:function|class|const) (\w+)", module(source), re.MULTILINE)
        assert set(words.split(", ")) <= set(exported)
        assert [word for word in words.split(", ") if len(re.findall(rf"\b{word}\b", module(name))) < 2] == []


def test_the_joined_script_imports_nothing_and_exports_what_the_widget_needs():
    lines = MatrixView._esm.splitlines()
    assert [line for line in lines if line.startswith("import ")] == []
    assert [line for line in lines if line.startswith("export ")] == [
        "export { number, shadesOf }; // for the tests",
        "export default { initialize() {}, render };",
    ]


def test_free_texts_can_be_sent_whatever_they_hold():
    """Half of a character's pair is no JSON for a page, and an endless message is cut."""
    sent = serialize(Picture(panels=[], summary="half \ud800 a pair", problem="x" * 100_000), serial=1)
    assert sent["summary"] == "half � a pair" and len(sent["problem"]) == 1_000
    json.dumps(sent, default=str).encode("utf-8")
