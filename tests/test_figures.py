"""The still pictures: legible, the same every time, and never an exception."""

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from PIL import Image

from masklab import figures
from masklab.figures import chips, layout, letters, paint
from masklab.labs.attention_padding import State, draw
from masklab.panels import EXTRA, KINDS, MISSED, NOT_MARKED, RIGHT, Edit, Panel, Picture, Sentence
from tests.strategies import hostile

pytestmark = pytest.mark.filterwarnings("error")


def panel(values, **changes) -> Panel:
    values = torch.as_tensor(values)
    rows, columns = ([f"w{i}" for i in range(n)] for n in values.shape)
    parts = {"name": "p", "kind": "score", "title": "scores", "meaning": "What it means."}
    return Panel(**(parts | {"values": values, "rows": rows, "columns": columns} | changes))


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("L")).astype(float)


# Legible


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_have_a_contrast_of_at_least_4_5(kind):
    values = torch.linspace(-1, 1, 1000)[None] if kind != "weight" else torch.linspace(0, 1, 1000)[None]
    values = values[0, :64, None] if kind == "probability" else values
    for pads in (False, True):
        rgb = figures.colours(panel(values, kind=kind, row_pads=[pads] * len(values)))
        ink = np.where(figures.inks(rgb) == "#ffffff", 1.0, 0.0)
        light = figures.luminance(rgb)
        contrast = (np.maximum(light, ink) + 0.05) / (np.minimum(light, ink) + 0.05)
        assert contrast.min() >= 4.5


@pytest.mark.parametrize("back", ["PAPER", "BLOCKED", "HOLE", "HATCH", "WASH", "PLAIN"])
def test_black_is_legible_on_everything_it_may_stand_on_and_grey_on_paper(back):
    colours = (letters.INK, letters.GREY, getattr(paint, back))
    black, grey, behind = (figures.luminance(paint.rgb_of(colour)) for colour in colours)
    assert (behind + 0.05) / (black + 0.05) >= 4.5
    if back in ("PAPER", "WASH"):
        assert (behind + 0.05) / (grey + 0.05) >= 4.5


def test_colours_are_those_of_the_scale_at_its_ends():
    ends = {"weight": ([0.0, 1.0], "cividis"), "score": ([-2.0, 2.0], "PuOr")}
    for kind, (values, name) in ends.items():
        want = matplotlib.colormaps[name]([0.0, 1.0])[None, :, :3]
        assert np.allclose(figures.colours(panel([values], kind=kind)), want)


def test_the_scale_of_weights_is_fixed_and_that_of_scores_is_the_panels():
    low, high = (figures.colours(panel([[0.4]], kind="score", limit=limit)) for limit in (0.5, 4.0))
    assert not np.allclose(low, high)
    assert np.allclose(figures.colours(panel([[0.4]], kind="weight")), matplotlib.colormaps["cividis"](0.4)[:3])


def test_a_pad_is_washed_out():
    bright = figures.colours(panel([[2.0, 2.0]], column_pads=[False, True]))
    assert np.ptp(bright[0, 0]) > 2 * np.ptp(bright[0, 1])  # less colour
    assert figures.luminance(bright[0, 1]) > figures.luminance(bright[0, 0])


@pytest.mark.parametrize("size", [5, 40])
@pytest.mark.parametrize("kind", ["mask", "weight", "score"])
def test_blocked_cells_differ_without_colour(size, kind):
    """In grey, a blocked cell has stripes and an open one is even, whatever its value."""
    blocked = torch.zeros(size, size, dtype=torch.bool)
    blocked[:, size // 2 :] = True
    one = panel(torch.zeros(size, size), kind=kind, blocked=blocked)
    (block,), _ = layout.placed(layout.in_lines(layout.blocks([one], captions=True), 900), layout.MARGIN)
    grey, (w, h) = pixels(figures.png([one])), block.cell
    depth = 8 if block.number else h * size  # the strip above the numbers
    strip = grey[round(block.y) + 3 : round(block.y + depth) - 1]
    wide = size // 2 * w
    open_cells = strip[:, round(block.x) + 3 : round(block.x + (w if block.number else wide)) - 3]
    closed = strip[:, round(block.x + wide) + 3 : round(block.x + wide + (w if block.number else wide)) - 3]
    assert np.ptp(open_cells) <= 2
    assert np.ptp(closed) > 30


def test_minus_infinity_is_hatched_even_when_no_cell_is_named_blocked():
    cells = figures.colours(panel([[0.0, -torch.inf, torch.nan]]))
    assert np.allclose(cells[0, 1], paint.rgb_of(paint.BLOCKED))
    assert np.allclose(cells[0, 2], paint.rgb_of(paint.HOLE))


@pytest.mark.parametrize("letter", "✓✗!✎●−∞→×=√ᵀ…�▸÷↓")
def test_every_sign_is_in_every_font(letter):
    assert all(letters.drawable(letter, font) == letter for font in letters.FONTS)
    assert all(ord(letter) in letters.letters(font) for font in letters.FONTS)


def test_marks_show_in_large_and_in_small_cells():
    for size in (3, 30):
        plain = panel(torch.zeros(size, size), kind="mask")
        seen = {figures.png([plain])}
        for mark in (RIGHT, MISSED, EXTRA):
            seen.add(figures.png([replace(plain, marks=torch.full((size, size), mark, dtype=torch.uint8))]))
        assert len(seen) == 4


# Bars, numbers that were set, chips


def bars(values, **changes) -> Panel:
    return panel(torch.tensor(values)[:, None], **{"kind": "probability", "axes": ("word", "share")} | changes)


def drawn_bars(one: Panel) -> tuple[list[float], np.ndarray]:
    """How long each bar is in pixels, read from the picture, and the picture in grey."""
    grey = pixels(figures.png([one]))
    (block,), _ = layout.placed(layout.in_lines(layout.blocks([one], captions=True), 900), layout.MARGIN)
    rows = [round(block.y + (i + 0.5) * block.cell[1]) for i in range(len(one.rows))]
    left = round(block.x)
    strips = [grey[row, left : left + layout.BAR_WIDTH] for row in rows]
    return [int((strip < 150).sum()) for strip in strips], grey


def test_a_bar_is_as_long_as_its_share():
    lengths, _ = drawn_bars(bars([0.0, 0.25, 0.5, 1.0, 7.0, -1.0]))
    assert lengths == pytest.approx([0, 27.5, 55, 110, 110, 0], abs=2)
    assert drawn_bars(bars([0.25], limit=0.5))[0] == pytest.approx([55], abs=2)


def test_a_bar_of_padding_is_as_long_and_its_name_grey():
    word, pad = (drawn_bars(bars([0.5], row_pads=[flag])) for flag in (False, True))
    assert word[0] == pytest.approx(pad[0], abs=1) and not np.array_equal(word[1], pad[1])


def test_the_right_bar_and_a_bar_without_a_number_have_signs_of_their_own():
    marks = torch.tensor([[RIGHT]], dtype=torch.uint8)
    pictures = {figures.png([one]) for one in (
        bars([0.5]), bars([0.5], marks=marks), bars([0.5], marks=marks * MISSED), bars([torch.nan]),
        bars([0.0]), bars([0.0], blocked=torch.tensor([[True]])),
    )}  # fmt: skip
    assert len(pictures) == 6


def test_a_bar_stands_out_from_its_track_and_a_sign_from_the_paper():
    light = {name: figures.luminance(paint.rgb_of(getattr(paint, name))) + 0.05 for name in ("BAR", "PLAIN", "PAPER")}
    assert light["PLAIN"] / light["BAR"] >= 3 and light["PAPER"] / light["BAR"] >= 3


def test_many_bars_leave_their_neighbours_their_numbers():
    few, many = panel([[0.5]]), bars([0.1] * 40)
    assert [block.number > 0 for block in layout.blocks([few, many], captions=True)] == [True, True]


@pytest.mark.parametrize("size", [2, 20])
def test_a_number_that_was_set_shows(size):
    values = torch.zeros(size, size)
    seen = {
        figures.png([panel(values, kind="loss", edits=Edit("losses", how="number", cells=cells))])
        for cells in ([], [[0, 1, 0.0]], [[0, 1, 0.0], [1, 0, 0.0]], [[size, 0, 1.0]])
    }
    assert len(seen) == 3  # the last one is outside


def test_toggled_cells_have_no_pencil():
    one = panel(torch.zeros(2, 2), kind="mask")
    assert figures.png([one]) == figures.png([replace(one, edits=Edit("painted", cells=[[0, 1]]))])


def test_chips_show_what_is_below_them_and_which_are_on():
    plain = Sentence(tokens=["cat", "[PAD]"], pads=[False, True])
    sentences = [plain, replace(plain, below=["2", "0"]), replace(plain, pressed=[True, False]),
                 replace(plain, pressed=[False, False])]  # fmt: skip
    pictures = [figures.png(Picture(panels=[], sentences=[one])) for one in sentences]
    assert len(set(pictures)) == 3 and pictures[0] == pictures[3]
    heights = [Image.open(io.BytesIO(data)).height for data in pictures]
    assert heights[1] == heights[0] + chips.BELOW


def test_a_long_line_below_widens_its_chip():
    lines = chips.chip_lines([Sentence(tokens=["a", "b"], pads=[False, False], below=["understanding", "2"])], 0, 900)
    _, first, second, _ = lines[0]
    assert first.x + letters.width(first.below, 9) < second.x


# Laid out


@pytest.mark.parametrize("width", [300, 600, 900, 1400])
def test_panels_wrap_and_do_not_overlap(width):
    panels = draw(State(qkv=True)).panels
    blocks, bottom = layout.placed(layout.in_lines(layout.blocks(panels, captions=True), width - 28), 14)
    boxes = [(b.x - b.labels - b.sign, b.x + b.body, b.y - b.header, b.y + b.below) for b in blocks]
    for i, (left, right, top, under) in enumerate(boxes):
        assert left >= 14 - 1e-9
        assert under <= bottom
        assert right <= width - 14 or right - left > width - 28
        for other in boxes[:i]:
            assert right <= other[0] or other[1] <= left or under <= other[2] or other[3] <= top


def test_the_labs_first_picture_reads_as_one_formula_in_two_lines():
    lines = layout.in_lines(layout.blocks(draw(State()).panels, captions=True), 1000 - 28)
    assert [[block.panel.name for block in line] for line in lines] == [
        ["scores", "mask", "masked"],
        ["weights", "output"],
    ]
    assert [block.panel.sign for line in lines for block in line] == ["", "+", "=", "softmax →", "× V →"]


def test_the_first_panels_sign_is_not_drawn():
    signed = panel([[1.0]], sign="softmax →")
    assert figures.png([signed]) == figures.png([replace(signed, sign="")])


def test_png_is_small_and_a_thousand_pixels_wide():
    assert len(figures.png(draw(State()))) < 60_000
    data = figures.png(draw(State(qkv=True)))
    assert len(data) < 60_000
    assert 850 < Image.open(io.BytesIO(data)).width <= 1000


# The same every time


def test_four_threads_draw_the_same_bytes():
    picture = draw(State())
    words = {"title": "t", "description": "d"}
    png, svg = figures.png(picture), figures.svg(picture, **words)
    with ThreadPoolExecutor(4) as pool:
        pngs = [pool.submit(figures.png, picture) for _ in range(4)]
        svgs = [pool.submit(figures.svg, picture, **words) for _ in range(4)]
        assert {job.result() for job in pngs} == {png}
        assert {job.result() for job in svgs} == {svg}


def test_a_learners_own_matplotlib_settings_change_nothing():
    picture, words = draw(State()), {"title": "t", "description": "d"}
    png, svg = figures.png(picture), figures.svg(picture, **words)
    mine = {"figure.autolayout": True, "text.usetex": True, "savefig.bbox": "tight", "axes.facecolor": "black",
            "font.size": 30, "figure.facecolor": "black", "savefig.dpi": 20, "svg.fonttype": "none"}  # fmt: skip
    with matplotlib.rc_context(mine):
        assert figures.png(picture) == png
        assert figures.svg(picture, **words) == svg


def test_no_pyplot():
    code = "import sys, masklab.figures; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# SVG


def test_marks_stacked_forty_high_are_cut_in_every_text():
    high, low = ("a" + count * "\u0301" for count in (40, 4))
    pictures = [figures.png([panel([[1.0]], title=word, meaning=word, row_notes=[word])]) for word in (high, low)]
    assert pictures[0] == pictures[1]


def test_markup_in_words_stays_text():
    text = figures.svg([panel([[1.0]])], title="<script>a</script> & b", description="]]> \ud800 \x00 --> </desc>")
    root = ElementTree.fromstring(text)
    assert "<script" not in text
    assert root[0].text == "<script>a</script> & b"


def test_svg_writes_what_it_returns(tmp_path):
    path = tmp_path / "one.svg"
    text = figures.svg([panel([[1.0]])], path, title="t", description="d")
    assert path.read_bytes() == text.encode()


def test_alt_names_every_panel_its_sign_and_its_meaning():
    first, *rest = panels = draw(State()).panels
    words = figures.alt(Picture(panels=panels))
    assert words.startswith(first.title)
    for one in rest:
        assert f"{one.sign} {one.title}" in words
        assert one.meaning in words
    assert "10 of 25 cells are blocked" in words


def test_alt_tells_bars_one_by_one_and_which_is_right():
    marks = torch.tensor([[NOT_MARKED], [RIGHT], [NOT_MARKED]], dtype=torch.uint8)
    words = figures.alt([bars([0.5, 0.25, 0.125], title="next word", meaning="The best guesses.", marks=marks)])
    assert words == "next word, 3 bars: The best guesses. w0 0.50, w1 0.25✓, w2 0.13."
    assert figures.alt([bars([0.1] * 9)]).endswith("w7 0.10, ….")


def test_alt_counts_the_numbers_that_were_set():
    edit = Edit("losses", how="number", cells=[[0, 0, 1.0]])
    assert figures.alt([panel([[1.0, 2.0]], kind="loss", edits=edit)]).endswith("1 number was set.")
    edit = replace(edit, cells=[[0, 0, 1.0], [0, 1, 2.0]])
    assert figures.alt([panel([[1.0, 2.0]], kind="loss", edits=edit)]).endswith("2 numbers were set.")


def test_alt_reads_the_chips():
    sentence = Sentence(tokens=["cat", "[PAD]"], pads=[False, True], below=["2", "0"], pressed=[True, False], note="n")
    assert figures.alt(Picture(panels=[], sentences=[sentence])) == "●cat ·[PAD]· n / 2 0."


# Any size, any value, any string


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (1, 1), (5, 5), (17, 17), (2, 18), (64, 4), (64, 64)])
def test_any_size_draws(shape, kind):
    generator = torch.Generator().manual_seed(0)
    shape = (shape[0], 1) if kind == "probability" else shape  # bars are one column
    data = figures.png([panel(torch.rand(shape, generator=generator), kind=kind)])
    assert data.startswith(b"\x89PNG")


def test_256_tokens_draw_and_stay_small():
    words = " ".join(f"w{i}" for i in range(256))
    picture = draw(State(sentences=(words, words[:500]), shown=1, mask="both"))
    assert len(figures.png(picture)) < 200_000
    assert len(figures.svg(picture.panels, title="t", description="d")) < 3_000_000


def test_no_panel_draws():
    assert figures.png([]).startswith(b"\x89PNG")
    assert figures.png(Picture(panels=[], problem="There is no word yet.")) != figures.png([])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8])
@pytest.mark.parametrize("kind", KINDS)
def test_any_number_type_draws(dtype, kind):
    figures.png([panel(torch.ones(2, 1 if kind == "probability" else 2).to(dtype), kind=kind)])


@pytest.mark.parametrize("size", [2, 20])
@pytest.mark.parametrize("kind", KINDS)
def test_nan_and_infinity_draw(kind, size):
    values = torch.full((size, size), torch.nan)
    values[0, 0], values[0, 1] = torch.inf, -torch.inf
    values = values.T[:, :1] if kind == "probability" else values
    figures.png([panel(values, kind=kind), panel(values.requires_grad_(), kind=kind)])


@settings(max_examples=100, deadline=None)
@given(hostile, hostile)
def test_any_string_draws(first, second):
    strings = [first, second]
    one = panel(
        [[0.5, -torch.inf]], rows=[first], columns=strings, row_pads=[True], column_pads=[False, True],
        row_notes=[second], notes_title=first, title=second, meaning=first, axes=(first, second), sign=second,
    )  # fmt: skip
    bar = bars([0.5, 0.1], rows=strings, columns=[second], title=first, meaning=second)
    sentence = Sentence(tokens=strings, pads=[False, True], note=first, below=strings, pressed=[True, False])
    picture = Picture(panels=[one, bar], sentences=[sentence], summary=second, problem=first)
    figures.png(picture)
    ElementTree.fromstring(figures.svg([one, bar], title=first, description=figures.alt(picture)))
    figures.alt(picture).encode("utf-8")


STACKED = "a" + 40 * "\u0301"
RAISED = '\x1b[31mTraceback (most recent call last):\n  File "<cell>"\x1b[0m \ud800 \u2028' + "x" * 10_000
HOSTILE = [
    STACKED,
    RAISED,
    "👩\u200d👧",
    "مرحبا",
    "\u0301",
    "日本語",
    r"\frac{",
    "$",
    "-->",
    "%s{0}",
    "\n",
    " " * 50,
    "\u0e33" * 30,
]


@pytest.mark.parametrize("word", HOSTILE, ids=ascii)
def test_hostile_words_draw(word):
    one = panel([[0.5, 1.0]], rows=["query"], columns=[word, word], column_pads=[False, True], title=word, sign=word)
    picture = Picture(panels=[one, one], sentences=[Sentence(tokens=[word], pads=[False], note=word)], summary=word)
    figures.png(picture)
    ElementTree.fromstring(figures.svg(picture, title=word, description=word))
