"""Every lesson's pictures: what its script draws is what is committed, says itself in words, and loads nothing."""

import importlib.util
import io
import os
import re
import runpy
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pytest

from masklab import figures
from masklab.figures import paint

FIGURES = Path(__file__).parents[1] / "figures"
SCRIPTS = {path.stem: path for path in sorted(FIGURES.glob("*.py")) if path.stem != "lab"}
FILES = [path for module in SCRIPTS for path in sorted(FIGURES.glob(f"{module}_*.svg"))]
each_file = pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])


def load(script: Path) -> ModuleType:
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(f"{script.stem}_pictures", script)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=SCRIPTS)
def script(request) -> Path:
    return SCRIPTS[request.param]


@pytest.fixture(scope="module")
def pictures(script):
    return load(script).drawings()


@pytest.fixture(scope="module")
def drawn(script, tmp_path_factory):
    """What the script draws and prints: run in this process, for a fresh Python loads torch for three seconds."""
    folder, printed = tmp_path_factory.mktemp("pictures"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.setattr(sys, "argv", [str(script), str(folder)])
        runpy.run_path(str(script), run_name="__main__")
    return folder, printed.getvalue()


def test_a_script_runs_by_itself(tmp_path):
    """As `make figures` runs it."""
    script = next(iter(SCRIPTS.values()))
    subprocess.run([sys.executable, script, tmp_path], env={**os.environ, "PYTHONPATH": "."}, cwd=FIGURES.parent,
                   capture_output=True, check=True)  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        path.name for path in FIGURES.glob(f"{script.stem}_*.svg")
    )


def test_the_script_gives_the_committed_files_byte_for_byte(script, drawn):
    folder, _ = drawn
    names = sorted(path.name for path in FIGURES.glob(f"{script.stem}_*.svg"))
    assert names and sorted(path.name for path in folder.iterdir()) == names
    for name in names:
        assert (folder / name).read_bytes() == (FIGURES / name).read_bytes(), (
            f"{name} is not what {script.name} draws: run it, look at the picture, and commit it."
        )


def test_every_svg_belongs_to_a_script():
    assert sorted(FIGURES.glob("*.svg")) == sorted(FILES)


def test_no_value_in_the_pictures_stands_near_a_rounding_edge(pictures):
    """Sums differ between processors in the 7th digit: numbers and colours must not tip over by that."""
    for drawing in pictures:
        for one in drawing.panels:
            values = one.values.double()
            typed = ((values * 10_000).round() / 10_000).to(one.values.dtype).double()
            values = values[values.isfinite() & (values != typed)]  # what a script has typed in doesn't differ
            hundredths = (values * 100 - 0.5).numpy()
            assert np.abs(hundredths - hundredths.round()).min(initial=1) > 1e-4, f"{one.name}: another seed is needed"
            if one.scale == "plain":
                continue
            low, high = one.limits
            share = (values - low) / (high - low)
            share = share[(share > 1e-6) & (share < 1 - 1e-6)].numpy() * 256
            assert np.abs(share - share.round()).min(initial=1) > 1e-4, f"{one.name}: another seed is needed"


@each_file
def test_a_picture_says_in_words_what_it_shows(path):
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    space = "{http://www.w3.org/2000/svg}"
    title, description = root.find(f"{space}title"), root.find(f"{space}desc")
    assert root.get("role") == "img"
    assert root.get("aria-labelledby").split() == [title.get("id"), description.get("id")]
    assert len(title.text) > 10
    assert len(description.text) > 50


@each_file
def test_a_picture_loads_nothing_and_runs_nothing(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"<script|<foreignObject|<image|\son\w+=|@import|javascript:", text)
    assert all(link.startswith("#") for link in re.findall(r'href="([^"]*)"', text))
    assert all(link.startswith("#") for link in re.findall(r"url\(([^)]*)\)", text))
    assert set(re.findall(r"https?://[^\"\s]+", text)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert len(text) < 200_000
    assert f"fill: {paint.PAPER}" in text  # an opaque background, for dark pages


def test_the_script_prints_alt_text_for_each_picture(script, drawn, pictures):
    _, printed = drawn
    lines = [line for line in printed.splitlines() if line]
    assert len(lines) == len(pictures)
    for line, drawing in zip(lines, pictures, strict=True):
        assert line.startswith(f"![{drawing.title}")
        assert line.endswith(f"]({script.stem}_{drawing.name}.svg)")
        assert figures.alt(drawing.panels) in line
