"""The widget without a browser: what goes over the wire, and what a saved notebook keeps."""

import json
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
import torch

from masklab.panels import Panel, Picture, picture_text
from masklab.view import MatrixView, serialize
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
