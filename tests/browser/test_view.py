"""The live view in a plain page with a stand-in model: drawing, words, keyboard, painting, controls."""

import math
import random
import struct
from dataclasses import replace

import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from masklab.panels import Edit, Panel, Picture, Sentence, number
from masklab.view import MatrixView, join
from tests.browser.example import (
    CONTROLS,
    LAB_CONTROLS,
    LAB_STATE,
    SPECIAL,
    STATE,
    attention_picture,
    lab_picture,
    one_panel,
)
from tests.browser.page import ARTEFACTS, LIT, open_view, ruler, show, state

PAINTING = {**STATE, "predict": True, "painted": []}


@pytest.fixture(params=["light"])
def page(browser, request):
    """A fresh page; a script error in it fails the test, and so does a request to the network."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=request.param)
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda sent: sent.url.startswith("http") and errors.append(sent.url))
    yield page
    context.close()
    assert errors == []


def cell(page, panel, row, column, columns=5):
    return page.locator(f"[data-name={panel}] .mlab-cell").nth(row * columns + column)


def texts(page, panel):
    return page.locator(f"[data-name={panel}] .mlab-cell").all_text_contents()


def status(page):
    return page.locator(".mlab-status").text_content()


def pixel(page, panel, row, column, columns=5):
    """The colour painted in a cell's upper left corner, where the table says that the cell is."""
    return cell(page, panel, row, column, columns).evaluate("""(cell) => {
        const paper = cell.closest(".mlab-sheet").querySelector("canvas");
        const [at, from] = [cell.getBoundingClientRect(), paper.getBoundingClientRect()];
        const pen = paper.getContext("2d");
        return [...pen.getImageData(at.left - from.left + 3, at.top - from.top + 3, 1, 1).data].slice(0, 3); }""")


def lit_rows(page):
    return [step.evaluate(LIT)[0] for step in page.locator(".mlab-step").all()]


def lit_columns(page):
    return [step.evaluate(LIT)[1] for step in page.locator(".mlab-step").all()]


# ---- drawing


def test_cells_and_headers_agree_with_the_panels(page):
    picture = attention_picture()
    open_view(page, picture, controls=CONTROLS, state=STATE)
    for panel in picture.panels:
        wanted = [number(v, panel.kind) for v in panel.values.flatten().tolist()]
        assert texts(page, panel.name) == wanted
        assert page.locator(f"[data-name={panel.name}] tbody th").all_text_contents() == list(panel.rows)
    assert page.locator("[data-name=weights] td.mlab-note").all_text_contents() == ["1.00"] * 5
    assert page.locator("[data-name=mask] [data-blocked]").count() == 10
    assert page.locator("[data-name=mask] thead th[data-pad]").count() == 2
    assert page.locator(".mlab-root").get_attribute("data-serial") == "1"


def test_numbers_are_written_as_in_python(page):
    open_view(page)
    draw = random.Random(0)
    single = [struct.unpack("f", struct.pack("f", draw.uniform(-4, 4)))[0] for _ in range(200)]
    ties = [k / 8 for k in range(-40, 41)] + [0.005, -0.005, 1.005, 2.675, 5e-324, -0.0049]
    large = [99_999.994, 1e5, -123_456.0, 1e9, 1e10, 1e15, -1e20, 3.4e38, 65_504.0]
    for kind in ("score", "ids", "mask", "gradient"):
        values = single + ties + large + [0.0, -0.0, 1.0, 30521.0]
        wanted = [number(v, kind) for v in values]
        assert page.evaluate("([vs, kind]) => vs.map((v) => view.number(v, kind))", [values, kind]) == wanted
    assert page.evaluate("() => [0, 1].map((v) => view.number(v, 'bool'))") == [number(v, "bool") for v in (0, 1)]
    special = page.evaluate("() => [NaN, Infinity, -Infinity].map((v) => view.number(v, 'score'))")
    assert special == [number(v) for v in (math.nan, math.inf, -math.inf)]


def test_nan_and_infinity_have_a_pattern_or_no_colour(page):
    open_view(page, one_panel(SPECIAL))
    assert texts(page, "one") == ["NaN", "∞", "−∞", "0.00", "0.00", "1.00"]
    assert page.locator("[data-nan]").count() == 1
    infinite, minus, zero = (pixel(page, "one", *at, 3) for at in ((0, 1), (0, 2), (1, 0)))
    assert infinite == minus != zero  # no colour, and a colour


def test_marks_are_signs(page):
    open_view(page, attention_picture(judged=True))
    assert cell(page, "mask", 0, 3).get_attribute("data-mark") == "✗"
    assert cell(page, "mask", 2, 1).get_attribute("data-mark") == "!"
    assert page.locator("[data-mark='✓']").count() == 9
    page.screenshot(path=ARTEFACTS / "view-judged.png", full_page=True)


@pytest.mark.parametrize("values", [torch.zeros(0, 0), torch.zeros(3, 0), torch.zeros(0, 3)])
def test_an_empty_panel_says_so(page, values):
    open_view(page, one_panel(values))
    expect(page.locator("[data-name=one] .mlab-empty")).to_contain_text("nothing to show")


def test_a_small_panel_has_narrow_cells_and_its_words_for_a_screen_reader_only(page):
    open_view(page, one_panel(torch.eye(5), kind="ids"))
    large = cell(page, "one", 1, 2).bounding_box()
    open_view(page, one_panel(torch.eye(5), kind="ids", small=True))
    small = cell(page, "one", 1, 2).bounding_box()
    assert small["width"] < 0.8 * large["width"] and small["height"] == large["height"]
    sheet = page.locator("[data-name=one] canvas").bounding_box()
    assert cell(page, "one", 0, 0).bounding_box()["x"] == sheet["x"]
    assert (small["y"], sheet["height"]) == (large["y"], 29 + 5 * 24)  # its rows stand beside those of other panels
    assert page.locator("[data-name=one] tbody th").all_text_contents() == [f"r{i}" for i in range(5)]
    cell(page, "one", 1, 2).hover()
    assert lit_rows(page) == [1] and lit_columns(page) == [2]
    assert pixel(page, "one", 4, 4) == pixel(page, "one", 0, 0)


def test_one_token(page):
    open_view(page, one_panel([[0.5]], kind="weight"))
    cell(page, "one", 0, 0, 1).press("ArrowRight")
    assert status(page) == "query r0 → key c0: value 0.50"


def test_a_next_picture_uses_the_same_cells_and_marks_the_changed_ones(page):
    open_view(page, one_panel([[0.1, 0.2], [0.3, 0.4]]))
    page.evaluate("() => { window.before = [...document.querySelectorAll('.mlab-cell')]; }")
    show(page, one_panel([[0.1, 0.9], [0.3, 0.4]]))
    assert page.evaluate("() => [...document.querySelectorAll('.mlab-cell')].every((c, i) => c === before[i])")
    assert texts(page, "one") == ["0.10", "0.90", "0.30", "0.40"]
    root = page.locator(".mlab-root")
    expect(root).to_have_attribute("data-changed", "1")
    expect(root).to_have_attribute("data-changed", "0")  # after a moment
    show(page, one_panel([[0.1, 0.2, 0.3]]), serial=3)
    assert texts(page, "one") == ["0.10", "0.20", "0.30"]


def test_a_changed_cell_has_a_frame_for_a_moment_but_not_with_reduced_motion(page):
    frame = (
        """() => [...document.querySelector(".mlab-paper").getContext("2d").getImageData(0, 0, 999, 99).data].join()"""
    )
    open_view(page, one_panel([[0.1, 0.2]]))
    show(page, one_panel([[0.1, 0.3]]))
    framed = page.evaluate(frame)
    expect(page.locator(".mlab-root")).to_have_attribute("data-changed", "0")
    calm = page.evaluate(frame)
    assert framed != calm
    page.emulate_media(reduced_motion="reduce")
    show(page, one_panel([[0.1, 0.2]]), serial=3)
    show(page, one_panel([[0.1, 0.3]]), serial=4)
    assert page.evaluate(frame) == calm


def test_painted_colours_stand_where_the_table_says(page):
    open_view(page, one_panel([[0.0, 1.0, 0.5], [1.0, 0.0, 0.5]], kind="weight", rows=["a word", "another"]))
    dark, light = [0, 34, 78], [254, 232, 56]  # the ends of cividis
    assert [pixel(page, "one", r, c, 3) for r, c in ((0, 0), (0, 1), (1, 0), (1, 1))] == [dark, light, light, dark]


def test_the_table_lies_over_the_painted_cells_to_the_last_one(page):
    values, names = torch.zeros(16, 16), ["w", "understanding", "[PAD]", "12345.67"] * 4
    values[15, 15] = 1.0
    open_view(page, one_panel(values, kind="weight", rows=names, columns=names, row_notes=["1.00"] * 16))
    assert [pixel(page, "one", *at, 16) for at in ((15, 15), (14, 15), (15, 14))] == [
        [254, 232, 56], [0, 34, 78], [0, 34, 78]]  # fmt: skip


def edge_colours(page, column):
    """How many colours are painted along the upper edge of a cell: one if it is plain, more if it has a pattern."""
    return cell(page, "one", 0, column, 4).evaluate("""(cell) => {
        const paper = cell.closest(".mlab-sheet").querySelector("canvas");
        const [at, from] = [cell.getBoundingClientRect(), paper.getBoundingClientRect()];
        const [x, y, width] = [at.left - from.left + 1, at.top - from.top + 1, at.width - 3].map(Math.round);
        const pixels = paper.getContext("2d").getImageData(x, y, width, 3).data;
        const colours = Array.from({ length: pixels.length / 4 }, (_, i) => pixels.slice(4 * i, 4 * i + 4).join());
        return new Set(colours).size; }""")


def test_blocked_cells_and_nan_are_painted_with_a_pattern(page):
    blocked = torch.tensor([[False, True, False, False]])
    open_view(page, one_panel([[0.0, 0.0, math.nan, 0.5]], kind="weight", blocked=blocked))
    plain, hatched, dotted, other = (edge_colours(page, column) for column in range(4))
    assert plain == other == 1
    assert hatched > 1 and dotted > 1


def test_problem_and_summary_and_text_twin(page):
    open_view(page, attention_picture(problem="Too long.", summary="4 of 6 right."), text="the twin")
    assert page.locator(".mlab-problem").text_content() == "⚠ Too long."
    assert page.locator(".mlab-summary").text_content() == "4 of 6 right."
    expect(page.locator(".mlab-text-twin")).to_have_text("the twin")
    show(page, attention_picture())
    expect(page.locator(".mlab-text-twin")).to_be_hidden()
    assert page.locator(".mlab-problem").text_content() == ""


def test_markup_is_text(page):
    bad = ["<script>window.hacked=1</script>", "<img src=x onerror='window.hacked=1'>"]
    picture = Picture(panels=[Panel(name="one", kind="score", values=torch.zeros(2, 2), rows=bad, columns=bad,
                                    title=bad[1], meaning=bad[1], say=bad[1])],
                      sentences=[Sentence(tokens=bad, pads=[False, False], note=bad[1])],
                      problem=bad[1], summary=bad[1])  # fmt: skip
    open_view(page, picture, text=bad[1], controls=CONTROLS, state={**STATE, "sentences": bad[1:]})
    cell(page, "one", 0, 1, 2).hover()
    assert bad[1] in status(page)
    assert page.evaluate("() => [window.hacked, document.querySelectorAll('.mlab-root :is(img, script)').length]") == [
        None, 0]  # fmt: skip


def test_right_to_left_words_stand_alone(page):
    tokens = ["القط", "أكل", "[PAD]"]
    picture = Picture(panels=[Panel(name="one", kind="score", values=torch.zeros(3, 3), rows=tokens, columns=tokens,
                                    title="t", meaning="m")],
                      sentences=[Sentence(tokens=tokens, pads=[False, False, True])])  # fmt: skip
    open_view(page, picture, controls=CONTROLS[:1], state={"sentences": ["القط أكل"], "shown": 0})
    assert page.locator(".mlab-chip bdi").all_text_contents() == tokens
    assert page.locator("thead bdi").all_text_contents() == tokens
    assert page.locator(".mlab-text").evaluate("(e) => getComputedStyle(e).direction") == "rtl"
    assert page.locator(".mlab-chips").evaluate("(e) => getComputedStyle(e).direction") == "ltr"


def test_the_modules_run_as_real_modules(browser):
    page = browser.new_page()
    types = {".js": "text/javascript", "": "text/html"}

    def answer(route):
        file = join.PAGE / route.request.url.rpartition("/")[2]
        body = file.read_text(encoding="utf-8") if file.suffix else ""
        route.fulfill(content_type=types[file.suffix], body=body)

    page.route("http://modules.test/**", answer)
    page.goto("http://modules.test/")
    exported = page.evaluate("async () => Object.keys(await import('http://modules.test/view.js'))")
    page.close()
    assert exported == ["default", "number", "shadesOf"]


# ---- selection and words


def test_hover_lights_row_and_column_everywhere(page):
    open_view(page, attention_picture(), controls=CONTROLS, state=STATE)
    cell(page, "masked", 2, 3).hover()
    # ids (sentence, key), scores, mask, masked, weights, output (query, feature)
    assert lit_rows(page) == [-1, 2, 2, 2, 2, 2]
    assert lit_columns(page) == [3, 3, 3, 3, 3, -1]
    chips = page.locator("[data-shown] .mlab-chip")
    assert (chips.nth(2).get_attribute("data-query"), chips.nth(3).get_attribute("data-key")) == ("Q", "K")
    page.mouse.move(1270, 890)
    assert lit_rows(page) == [-1] * 6


def test_words_of_a_blocked_cell(page):
    picture = attention_picture()
    score = number(picture.panels[1].values[2, 3].item())
    open_view(page, picture)
    cell(page, "weights", 2, 3).hover()
    assert status(page) == f"query ate → key [PAD]: blocked, score {score} → −∞, weight 0.00"
    expect(page.locator(".mlab-spoken")).to_have_text(status(page))  # a moment later


def test_a_panel_that_starts_later_is_highlighted_where_it_belongs(page):
    """The last query alone, as with a cache: its row is row 2 of the others."""
    whole, last = torch.zeros(3, 3), torch.zeros(1, 3)
    picture = Picture(panels=[
        one_panel(whole, name="whole", rows=["a", "b", "c"]).panels[0],
        one_panel(last, name="last", rows=["c"], start=(2, 0)).panels[0],
    ])  # fmt: skip
    open_view(page, picture)
    step = page.locator("[data-name=last]")
    cell(page, "whole", 2, 1, 3).hover()
    assert step.evaluate(LIT) == [0, 1]
    cell(page, "whole", 1, 1, 3).hover()
    assert step.evaluate(LIT) == [-1, 1]
    cell(page, "last", 0, 0, 3).hover()
    assert page.locator("[data-name=whole]").evaluate(LIT) == [2, 0]
    expect(page.locator(".mlab-status")).to_contain_text("query c → key ")


def test_the_current_row_looks_like_a_chip_that_is_on(page):
    ink = """([step, row]) => {
      const [paper, head] = [step.querySelector("canvas"), step.querySelectorAll("tbody th")[row]];
      const [at, from] = [head.getBoundingClientRect(), paper.getBoundingClientRect()];
      const ratio = paper.width / from.width;
      const [x, y] = [(at.right - from.left - 4) * ratio, (at.top - from.top + at.height / 2) * ratio];
      return [...paper.getContext("2d").getImageData(x, y, 1, 1).data];
    }"""
    step = page.locator(".mlab-step").element_handle

    def backs() -> list:
        return [page.evaluate(ink, [step(), row]) for row in (0, 1)]

    open_view(page, one_panel(torch.zeros(2, 2), current=1))
    blank, dark = backs()
    assert blank[3] == 0 and dark[3] == 255
    assert page.locator("tbody th[aria-current=true]").all_text_contents() == ["r1"]
    show(page, one_panel(torch.zeros(2, 2), current=0))
    assert backs() == [dark, blank]
    assert page.locator("tbody th[aria-current=true]").all_text_contents() == ["r0"]


def test_axes_are_what_is_said_and_links_are_what_is_highlighted(page):
    panels = [
        one_panel(torch.zeros(2, 3), name="a", axes=("sentence", "position"), links=("sentence", "key")).panels[0],
        one_panel(torch.zeros(3, 3), name="b").panels[0],
    ]
    open_view(page, Picture(panels=panels))
    cell(page, "a", 1, 2, 3).hover()
    assert (lit_rows(page), lit_columns(page)) == ([1, -1], [2, 2])
    assert status(page) == "sentence r1, position 3: value 0.00"


def test_rows_that_do_not_follow_one_another_are_found_by_their_places(page):
    """Of three sentences, the batch of the longer two; the other batch has no place for them, and no column either."""
    axes = {"axes": ("sentence", "position"), "columns": "01"}
    panels = [
        one_panel(torch.zeros(1, 2), name="a", places=(1,), **axes).panels[0],
        one_panel(torch.zeros(2, 2), name="b", places=(2, 0), **axes).panels[0],
    ]
    sentences = [Sentence(tokens=one, pads=[False] * 2) for one in ("pq", "rs", "tu")]
    open_view(page, Picture(panels=panels, sentences=sentences, shown=2))
    cell(page, "b", 0, 1, 2).hover()
    assert (lit_rows(page), lit_columns(page), status(page)) == (
        [-1, 0],
        [-1, 1],
        "sentence r0, position 1 u: value 0.00",
    )
    assert page.locator(".mlab-chip[data-here]").all_text_contents() == ["u"]
    page.locator("[data-shown] .mlab-chip").first.hover()
    assert (lit_rows(page), lit_columns(page), status(page)) == (
        [-1, 0],
        [-1, 0],
        "sentence r0, position 0 t: value 0.00",
    )
    assert page.locator(".mlab-chip:is([data-query], [data-key])").count() == 0  # nobody asks, where there is no query
    cell(page, "b", 1, 0, 2).click()
    page.mouse.move(1270, 890)
    assert status(page) == "sentence r1, position 0 p: value 0.00"
    cell(page, "a", 0, 0, 2).hover()
    assert (lit_rows(page), status(page)) == ([0, -1], "sentence r0, position 0 r: value 0.00")


def test_words_of_other_cells(page):
    picture = attention_picture()
    open_view(page, picture)
    cell(page, "output", 2, 1, 4).hover()
    assert status(page) == f"query ate, feature 2: output {number(picture.panels[-1].values[2, 1].item())}"
    cell(page, "ids", 0, 3).hover()
    assert status(page) == "sentence 1, position 4 [PAD]: id 0"


def test_a_cell_of_a_sentence_and_a_position_is_said_by_every_panel_that_has_it(page):
    grid = {"axes": ("sentence", "position"), "rows": ["1", "2"], "columns": ["1", "2", "3"]}
    panels = [
        one_panel(torch.full((2, 3), 0.5), name="loss", say="loss {}", **grid).panels[0],
        one_panel(torch.ones(2, 3), kind="ids", name="mask", say=", mask {}", **grid).panels[0],
        one_panel(torch.ones(1, 3), name="other", say="{}", start=(1, 0), **(grid | {"rows": ["2"]})).panels[0],
        one_panel(torch.ones(2, 4), name="sum", axes=("sentence", "feature"), say="{}").panels[0],
    ]
    open_view(page, Picture(panels=panels))
    cell(page, "mask", 1, 2, 3).hover()
    assert (lit_rows(page), lit_columns(page)) == ([1, 1, 0, 1], [2, 2, 2, -1])
    assert status(page) == "sentence 2, position 3: loss 0.50, mask 1"
    cell(page, "other", 0, 1, 3).hover()
    assert status(page) == "sentence 2, position 2: 1.00"


def test_a_click_stays_and_escape_clears(page):
    open_view(page, attention_picture())
    cell(page, "scores", 1, 2).click()
    cell(page, "scores", 0, 0).hover()
    assert status(page).startswith("query The → key The")
    page.mouse.move(1270, 890)
    assert status(page).startswith("query cat → key ate")
    page.keyboard.press("Escape")
    assert lit_rows(page) == [-1] * 6
    assert "Point at a cell" in status(page)


def test_chips_select_and_show_sentences(page):
    open_view(page, attention_picture(), controls=CONTROLS, state=STATE)
    page.locator("[data-shown] .mlab-chip").nth(1).hover()
    assert status(page).startswith("query cat → key cat")
    page.locator("[data-shown] .mlab-chip").nth(1).click()
    page.keyboard.press("ArrowRight")
    page.mouse.move(1270, 890)
    assert status(page).startswith("query ate → key ate")
    page.locator(".mlab-sentence").nth(2).locator(".mlab-chip").first.click()
    assert state(page)["shown"] == 2


def test_a_selection_outside_the_next_picture_is_not_shown(page):
    open_view(page, one_panel(torch.zeros(3, 3)))
    cell(page, "one", 2, 2, 3).click()
    show(page, one_panel(torch.zeros(1, 1)))
    assert "Point at a cell" in status(page)


# ---- keyboard


def test_arrows_home_end_and_one_tab_stop_a_grid(page):
    open_view(page, attention_picture())
    assert page.locator("[role=grid] [tabindex='0']").count() == 6
    cell(page, "scores", 0, 0).focus()
    for key, wanted in [("ArrowRight", (0, 1)), ("ArrowDown", (1, 1)), ("End", (1, 4)), ("ArrowRight", (1, 4)),
                        ("Home", (1, 0)), ("Control+End", (4, 4)), ("ArrowUp", (3, 4)), ("Control+Home", (0, 0)),
                        ("ArrowLeft", (0, 0)), ("PageDown", (4, 0))]:  # fmt: skip
        page.keyboard.press(key)
        assert page.evaluate("() => Number(document.activeElement.dataset.i)") == wanted[0] * 5 + wanted[1], key
        assert lit_rows(page)[1] == wanted[0]
    assert page.locator("[role=grid] [tabindex='0']").count() == 6
    page.keyboard.press("Tab")  # the next grid, at the same cell
    assert page.evaluate("() => [document.activeElement.closest('.mlab-step').dataset.name,"
                         " document.activeElement.dataset.i]") == ["mask", "20"]  # fmt: skip


def test_no_key_leaves_the_view(page):
    open_view(page, attention_picture(), controls=CONTROLS, state=STATE)
    assert page.locator(".mlab-root").get_attribute("data-lm-suppress-shortcuts") == "true"
    page.evaluate("() => { window.keys = []; document.addEventListener('keydown', (e) => keys.push(e.key)); }")
    cell(page, "scores", 0, 0).focus()
    for key in ("ArrowDown", "x", "a", "Escape", "Control+Home", "Enter", " "):
        page.keyboard.press(key)
    page.locator(".mlab-text").first.focus()
    for key in ("x", "Enter", "Escape", "ArrowUp"):
        page.keyboard.press(key)
    assert page.evaluate("() => keys.filter((k) => k !== 'Control')") == []


def test_a_canvas_has_the_same_keyboard_and_the_same_words(page):
    picture = attention_picture(words=200, total=256)
    open_view(page, picture, controls=CONTROLS, state=STATE)
    canvas = page.locator("[data-name=weights] canvas")
    canvas.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "End"):
        page.keyboard.press(key)
    score = number(picture.panels[1].values[2, 255].item())
    assert status(page) == f"query w → key [PAD]: blocked, score {score} → −∞, weight 0.00"
    assert "key [PAD]: blocked" in page.evaluate("() => document.activeElement.nextSibling.textContent")
    assert page.locator("[data-name=scores] .mlab-band-row").is_visible()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 6 + 10.5, box["y"] + 6 + 3.5)
    assert page.evaluate("() => [...document.querySelectorAll('[data-name=weights] .mlab-band')].map("
                         "(b) => b.style.left + b.style.top)") == ["6px9px", "16px6px", "16px9px"]  # fmt: skip
    page.screenshot(path=ARTEFACTS / "view-256.png", full_page=True)


def test_a_canvas_draws_colours_hatches_and_nan(page):
    open_view(page, one_panel(torch.tensor([[0.0, 1.0] * 10, [math.nan, 0.5] * 10]), kind="weight",
                              blocked=torch.tensor([[False] * 19 + [True], [False] * 20])))  # fmt: skip
    pixel = """([x, y]) => [...document.querySelector("canvas").getContext("2d").getImageData(x, y, 1, 1).data]"""
    assert page.evaluate(pixel, [6 + 4, 6 + 4]) == [0, 34, 78, 255]
    assert page.evaluate(pixel, [6 + 14 + 4, 6 + 4]) == [254, 232, 56, 255]
    opaque = """([x, y]) => document.querySelector("canvas").getContext("2d").getImageData(x, y, 14, 18).data
        .filter((_, i) => i % 4 === 3 && i).reduce((n, a) => n + (a > 0), 0)"""
    assert 30 < page.evaluate(opaque, [6 + 19 * 14, 6]) < 220  # hatched: some pixels, not all
    pink = """([x, y]) => { const pixels = document.querySelector("canvas").getContext("2d").getImageData(x, y, 14, 18);
        const at = (i) => [...pixels.data.slice(4 * i, 4 * i + 3)].join();
        return [...Array(14 * 18).keys()].filter((i) => at(i) === "255,232,238").length; }"""
    assert 30 < page.evaluate(pink, [6, 6 + 18]) < 220  # dots on pink


# ---- painting


def test_space_enter_and_click_paint(page):
    open_view(page, attention_picture(predict=True), controls=CONTROLS, state=PAINTING)
    cell(page, "mask", 0, 3).click()
    assert state(page)["painted"] == [[0, 3]]
    assert cell(page, "mask", 0, 3).get_attribute("data-blocked") == "true"  # at once, the kernel has not answered
    page.keyboard.press("ArrowDown")
    page.keyboard.press(" ")
    assert state(page)["painted"] == [[0, 3], [1, 3]]
    page.keyboard.press("Enter")
    assert state(page)["painted"] == [[0, 3]]
    cell(page, "scores", 2, 2).click()  # not to be edited
    page.keyboard.press(" ")
    assert state(page)["painted"] == [[0, 3]]
    page.screenshot(path=ARTEFACTS / "view-paint.png", full_page=True)


def test_a_sweep_paints_one_value(page):
    open_view(page, attention_picture(predict=True), controls=CONTROLS, state={**PAINTING, "painted": [[1, 3]]})
    cell(page, "mask", 0, 3).hover()
    page.mouse.down()
    for row in (1, 2):
        cell(page, "mask", row, 3).hover()
    page.mouse.up()
    cell(page, "mask", 4, 4).hover()
    assert sorted(state(page)["painted"]) == [[0, 3], [1, 3], [2, 3]]
    cell(page, "mask", 0, 3).hover()
    page.mouse.down()
    cell(page, "mask", 1, 3).hover()
    page.mouse.up()
    assert state(page)["painted"] == [[2, 3]]


def test_a_canvas_can_be_painted(page):
    open_view(page, one_panel(torch.zeros(20, 20), edits=Edit("painted")), state={"painted": []})
    page.locator("canvas").focus()
    for key in ("ArrowDown", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    assert state(page)["painted"] == [[1, 1]]
    assert "blocked" in status(page)


def test_a_cell_that_the_lab_blocks_by_itself_can_be_freed(page):
    """The state lists the cells that differ from what the lab would show, whatever that is."""
    blocked = torch.tensor([[True, False], [False, False]])
    open_view(page, one_panel(torch.zeros(2, 2), blocked=blocked, edits=Edit("votes")), state={})
    for at in ((0, 0), (1, 1)):
        cell(page, "one", *at, 2).click()
    assert state(page)["votes"] == [[0, 0], [1, 1]]
    flags = page.locator(".mlab-cell").evaluate_all("all => all.map((cell) => cell.dataset.blocked === 'true')")
    assert flags == [False, False, False, True]
    assert status(page).endswith("blocked, value 0.00")
    drawn = torch.tensor([[False, False], [False, True]])
    show(page, one_panel(torch.zeros(2, 2), blocked=drawn, edits=Edit("votes", cells=[[0, 0], [1, 1]])))
    assert page.locator(".mlab-cell").evaluate_all("all => all.map((c) => c.dataset.blocked === 'true')") == flags


def test_two_panels_are_edited_by_their_own_keys(page):
    two = [one_panel(torch.zeros(2, 2), name=name, edits=Edit(key)).panels[0] for name, key in (("a", "x"), ("b", "y"))]
    open_view(page, Picture(panels=two), state={"x": [], "y": []})
    cell(page, "a", 0, 0, 2).click()
    cell(page, "b", 1, 1, 2).click()
    cell(page, "a", 0, 1, 2).hover()
    page.mouse.down()
    cell(page, "b", 0, 0, 2).hover()  # a sweep stays in its panel
    page.mouse.up()
    assert state(page) == {"x": [[0, 0], [0, 1]], "y": [[1, 1]]}


def test_a_grid_says_whether_it_can_be_edited_and_how(page):
    edits = {"no": None, "flags": Edit("x"), "numbers": Edit("y", how="number")}
    panels = [one_panel(torch.zeros(1, 1), name=name, edits=edit).panels[0] for name, edit in edits.items()]
    open_view(page, Picture(panels=panels), state={})
    grids = page.locator("[role=grid]")
    assert grids.evaluate_all("all => all.map((grid) => grid.ariaReadOnly)") == ["true", "false", "false"]
    described = """all => all.map((grid) => {
        const [meaning] = grid.getAttribute("aria-describedby").split(" ");
        return document.getElementById(meaning).textContent; })"""
    no, flags, numbers = grids.evaluate_all(described)
    assert "Click" not in no and "Space" in flags and "Type a number" in numbers


# ---- numbers that can be set

NUMBERS = {"how": "number", "low": 0, "high": 1, "step": 0.05}


def open_numbers(page, **edit):
    values = torch.tensor([[0.5, 0.25], [0.75, 1.0]])
    picture = one_panel(values, kind="weight", edits=Edit("set", **{**NUMBERS, **edit}))
    open_view(page, picture, state={"set": []})
    return picture


def box(page):
    return page.locator(".mlab-cell-input")


def test_digits_typed_on_a_cell_set_its_number(page):
    open_numbers(page)
    cell(page, "one", 0, 1, 2).focus()
    page.keyboard.type("0.8")
    expect(box(page)).to_have_value("0.8")
    assert box(page).get_attribute("aria-label") == "new number for query r0 → key c1: value 0.25"
    page.keyboard.press("Enter")
    assert state(page)["set"] == [[0, 1, 0.8]]
    assert texts(page, "one") == ["0.50", "0.80", "0.75", "1.00"]  # at once, the kernel has not answered
    assert status(page) == "query r0 → key c1: value 0.80"
    expect(page.locator(".mlab-spoken")).to_have_text("query r0 → key c1: value 0.80")
    assert page.evaluate("() => document.activeElement.dataset.i") == "1"
    page.keyboard.type(".3")
    page.keyboard.press("Enter")
    assert state(page)["set"] == [[0, 1, 0.3]]  # one entry a cell


@pytest.mark.parametrize("opening", ["dblclick", "Enter", "F2"])
def test_a_box_opens_with_the_number_to_be_replaced_and_escape_leaves_it(page, opening):
    open_numbers(page)
    at = cell(page, "one", 1, 0, 2)
    at.dblclick() if opening == "dblclick" else at.press(opening)
    expect(box(page)).to_have_value("0.75")
    page.keyboard.type("0,1")
    page.keyboard.press("Escape")
    assert state(page)["set"] == []
    expect(box(page)).to_have_count(0)
    assert page.evaluate("() => document.activeElement.dataset.i") == "2"
    assert status(page) == "query r1 → key c0: value 0.75"


def test_a_number_that_was_set_is_underlined_and_said_until_it_is_taken_back(page):
    open_numbers(page)
    painted = "() => document.querySelector('[data-name=one] canvas').toDataURL()"
    before = page.evaluate(painted)
    page.evaluate("() => model.set('state', { set: [[0, 1, 0.25], [5, 5, 1]] })")  # the number that it has already
    expect(cell(page, "one", 0, 1, 2)).to_have_attribute("data-set", "true")
    assert page.locator("[data-name=one] [data-set]").count() == 1 and page.evaluate(painted) != before
    assert texts(page, "one") == ["0.50", "0.25", "0.75", "1.00"]
    cell(page, "one", 0, 1, 2).focus()
    page.keyboard.press("Delete")
    expect(page.locator("[data-name=one] [data-set]")).to_have_count(0)
    assert page.evaluate(painted) == before


def test_a_comma_and_a_click_elsewhere_are_fine(page):
    open_numbers(page)
    cell(page, "one", 1, 0, 2).dblclick()
    page.keyboard.type("0,1")
    cell(page, "one", 0, 0, 2).click()
    assert state(page)["set"] == [[1, 0, 0.1]]
    expect(box(page)).to_have_count(0)


def test_a_box_that_is_left_as_it_was_sets_nothing(page):
    open_numbers(page)
    cell(page, "one", 1, 0, 2).dblclick()
    page.keyboard.press("Enter")
    assert state(page)["set"] == []


@pytest.mark.parametrize("bad", ["abc", "2", "-0.1", "", "1e", "nan"])
def test_what_is_no_number_stays_in_the_box_and_one_sentence_says_so(page, bad):
    open_numbers(page)
    cell(page, "one", 0, 0, 2).dblclick()
    box(page).fill(bad)
    page.keyboard.press("Enter")
    sentence = "Type a number from 0 to 1; Escape leaves it as it was."
    assert status(page) == sentence
    expect(page.locator(".mlab-spoken")).to_have_text(sentence)
    expect(box(page)).to_have_value(bad)
    assert box(page).get_attribute("aria-invalid") == "true"
    assert state(page)["set"] == []
    box(page).fill("1")
    page.keyboard.press("Enter")
    assert state(page)["set"] == [[0, 0, 1]]


@pytest.mark.parametrize(
    ("typed", "sent", "shown"),
    [("nan", "NaN", "NaN"), ("-inf", "-Infinity", "−∞"), ("1e6", 1e6, "1.0e6"), ("−2", -2, "−2.00")],
)  # noqa: E501
def test_a_number_without_limits_may_be_anything(page, typed, sent, shown):
    open_numbers(page, low=None, high=None)
    cell(page, "one", 0, 0, 2).dblclick()
    page.keyboard.insert_text(typed)
    page.keyboard.press("Enter")
    assert state(page)["set"] == [[0, 0, sent]]
    assert texts(page, "one")[0] == shown


@pytest.mark.parametrize(("typed", "sent"), [("nan", "NaN"), ("Inf", "Infinity")])
def test_letters_typed_on_a_cell_open_its_box_too(page, typed, sent):
    open_numbers(page, high=None)
    cell(page, "one", 0, 0, 2).focus()
    page.keyboard.type(typed)
    page.keyboard.press("Enter")
    assert state(page)["set"] == [[0, 0, sent]]


def test_a_word_typed_on_a_cell_is_refused_with_what_may_be_typed(page):
    open_numbers(page, high=None)
    cell(page, "one", 0, 0, 2).focus()
    page.keyboard.type("abc")
    page.keyboard.press("Enter")
    assert status(page) == "Type a number of at least 0, nan or inf; Escape leaves it as it was."
    expect(box(page)).to_have_value("abc")


def test_arrows_with_shift_and_plus_and_minus_step(page):
    open_numbers(page)
    cell(page, "one", 0, 1, 2).focus()
    for key, wanted in [("+", 0.3), ("Shift+ArrowUp", 0.35), ("Shift+ArrowRight", 0.4), ("-", 0.35),
                        ("Shift+ArrowDown", 0.3), ("Shift+ArrowLeft", 0.25)]:  # fmt: skip
        page.keyboard.press(key)
        assert state(page)["set"] == [[0, 1, wanted]]
        assert status(page) == f"query r0 → key c1: value {wanted:.2f}"
    page.keyboard.press("Delete")
    assert state(page)["set"] == []
    page.keyboard.press("ArrowDown")  # plain arrows walk
    page.keyboard.press("+")
    assert state(page)["set"] == [[1, 1, 1]]  # no further than the limit


def test_a_drag_up_or_down_changes_the_number(page):
    open_numbers(page)
    at = cell(page, "one", 0, 0, 2).bounding_box()
    x, y = at["x"] + 10, at["y"] + 10
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - 1)
    assert state(page)["set"] == []  # a click with an unsteady hand
    page.mouse.move(x + 5, y - 8, steps=3)
    assert state(page)["set"] == [[0, 0, 0.7]]
    assert status(page) == "query r0 → key c0: value 0.70"
    page.mouse.move(x, y + 400)  # far outside
    assert state(page)["set"] == [[0, 0, 0]]
    page.mouse.up()
    page.mouse.move(x, y - 30)
    assert state(page)["set"] == [[0, 0, 0]]


def test_a_number_stays_set_when_the_kernel_answers_and_another_page_may_set_one(page):
    open_numbers(page)
    cell(page, "one", 0, 0, 2).press("+")
    show(page, one_panel([[0.55, 0.25], [0.75, 1.0]], kind="weight",
                         edits=Edit("set", cells=[[0, 0, 0.55]], **NUMBERS)))  # fmt: skip
    assert texts(page, "one")[0] == "0.55"
    assert page.locator(".mlab-root").get_attribute("data-changed") == "0"  # it was shown already
    page.evaluate("() => model.set('state', { set: [[1, 1, 0.5], [9, 9, 3]] })")
    assert texts(page, "one") == ["0.55", "0.25", "0.75", "0.50"]


def test_numbers_of_a_panel_without_room_for_them_can_be_set(page):
    open_view(page, one_panel(torch.zeros(20, 20), edits=Edit("set", how="number")), state={})
    page.locator("canvas").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.type("0.5")
    page.keyboard.press("Enter")
    assert state(page)["set"] == [[0, 1, 0.5]]
    assert status(page) == "query r0 → key c1: value 0.50"
    assert page.evaluate("() => document.activeElement.tagName") == "CANVAS"


# ---- bars


def bars(values=(0.42, 0.21, math.nan, 0.05), **parts):
    values, names = torch.tensor(values)[:, None], ["cat", "kitten", "[MASK]", "dog"][: len(values)]
    defaults = {"kind": "probability", "rows": names, "columns": ["p"], "axes": ("word", "probability"),
                "links": ("key", "probability"), "say": "{}", "marks": torch.tensor([[1], [0], [0], [0]])}  # fmt: skip
    return one_panel(values, **{**defaults, **parts})


def colours_along(page, row, lines=1):
    """The colours painted along a bar, and how many pixels each has."""
    return cell(page, "one", row, 0, 1).evaluate(
        """(cell, lines) => {
        const paper = cell.closest(".mlab-sheet").querySelector("canvas");
        const [at, from] = [cell.getBoundingClientRect(), paper.getBoundingClientRect()];
        const y = Math.round(at.top - from.top + 8);
        const pixels = paper.getContext("2d").getImageData(at.left - from.left, y, 96, lines).data;
        const counts = {};
        for (let i = 0; i < 96 * lines; i++) {
          const colour = [...pixels.slice(4 * i, 4 * i + 3)].join();
          counts[colour] = (counts[colour] ?? 0) + 1;
        }
        return counts; }""",
        lines,
    )


def test_bars_have_a_name_a_length_a_number_and_a_sign(page):
    open_view(page, bars(blocked=torch.tensor([[False], [True], [False], [False]])))
    step = page.locator(".mlab-step")
    assert step.get_attribute("data-drawn") == "bars"
    assert page.locator("tbody th").all_text_contents() == ["cat", "kitten", "[MASK]", "dog"]
    assert texts(page, "one") == ["0.42", "0.21", "NaN", "0.05"]
    assert cell(page, "one", 0, 0, 1).get_attribute("data-mark") == "✓"
    first, last = colours_along(page, 0), colours_along(page, 3)
    hatched, nan = colours_along(page, 1, lines=6), colours_along(page, 2, lines=6)
    bar = min(first, key=first.get)  # the rest of the longest has another colour
    assert abs(first[bar] - 0.42 * 96) <= 2 and abs(last[bar] - 0.05 * 96) <= 2
    assert bar not in hatched and len(hatched) > 2  # a pattern, no colour alone
    assert bar not in nan and len(nan) > 1


def test_bars_are_walked_and_said_as_cells_are(page):
    open_view(page, bars())
    cell(page, "one", 0, 0, 1).focus()
    for key in ("ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    assert status(page) == "word kitten, probability p: 0.21"
    assert lit_rows(page) == [1]
    cell(page, "one", 3, 0, 1).hover()
    assert status(page) == "word dog, probability p: 0.05"


def test_bars_keep_their_scale_and_take_a_limit(page):
    open_view(page, bars((0.1, 0.05, 0.02, 0.01), limit=0.1))
    assert len(colours_along(page, 0)) == 1  # full
    show(page, bars((0.1, 0.05, 0.02, 0.01)))
    assert len(colours_along(page, 0)) == 2


def test_a_bar_can_be_dragged(page):
    open_view(page, bars(edits=Edit("set", **NUMBERS)), state={})
    at = cell(page, "one", 1, 0, 1).bounding_box()
    page.mouse.move(at["x"] + 10, at["y"] + 10)
    page.mouse.down()
    page.mouse.move(at["x"] + 10, at["y"] + 2)
    assert state(page)["set"] == [[1, 0, 0.41]]


# ---- chips that can be toggled


def toggled_chips(**parts):
    edits = Edit("hidden", cells=[[0, 1]])
    sentences = [
        Sentence(tokens=["The", "cat", "ate"], pads=[False] * 3, below=["1", "2", "3"], pressed=[False, True, False],
                 edits=edits, note="1 hidden"),
        Sentence(tokens=["A", "dog", "[PAD]"], pads=[False, False, True], below=["4", "5", "0"], pressed=[False] * 3,
                 edits=edits),
    ]  # fmt: skip
    return Picture(panels=[], sentences=sentences, **parts)


def pressed(page):
    return page.locator(".mlab-chip").evaluate_all("all => all.map((chip) => chip.ariaPressed)")


def test_chips_are_toggled_by_click_space_and_enter(page):
    open_view(page, toggled_chips(), controls=CONTROLS[:1],
              state={"sentences": ["The cat ate", "A dog"], "shown": 0, "hidden": [[0, 1]]})  # fmt: skip
    assert pressed(page) == ["false", "true", "false", "false", "false", "false"]
    chips = page.locator(".mlab-chip")
    chips.nth(0).click()
    assert state(page)["hidden"] == [[0, 1], [0, 0]]
    assert pressed(page)[:3] == ["true", "true", "false"]  # at once, the kernel has not answered
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert state(page)["hidden"] == [[0, 0], [0, 2]]
    assert pressed(page)[:3] == ["true", "false", "true"]
    chips.nth(4).click()  # of another sentence: it is shown, too
    assert (state(page)["hidden"], state(page)["shown"]) == ([[0, 0], [0, 2], [1, 1]], 1)
    assert pressed(page)[3:] == ["false", "true", "false"]


def test_one_chip_is_picked_and_the_nearest_where_the_sentence_is_shorter(page):
    edits = Edit("step", how="pick")
    words = (["The", "cat", "ate"], ["A", "dog"])
    sentences = [Sentence(tokens=line, pads=[False] * len(line), edits=edits) for line in words]
    state_ = {"sentences": ["The cat ate", "A dog"], "shown": 0, "step": 1}
    open_view(page, Picture(panels=[], sentences=sentences), controls=CONTROLS[:1], state=state_)
    assert pressed(page) == ["false", "true", "false", "false", "false"]
    page.locator(".mlab-chip").nth(1).focus()
    page.keyboard.press("ArrowRight")
    assert state(page)["step"] == 1  # walking picks nothing
    page.keyboard.press("Space")
    assert state(page)["step"] == 2 and pressed(page) == ["false", "false", "true", "false", "false"]
    page.get_by_label("show sentence 2").check()
    assert pressed(page) == ["false", "false", "false", "false", "true"]  # it has no third word
    page.locator(".mlab-chip").nth(0).click()
    assert (state(page)["step"], state(page)["shown"]) == (0, 0)
    assert pressed(page) == ["true", "false", "false", "false", "false"]


def test_a_chip_is_clicked_through_what_it_may_be(page):
    words, edits = ["The", "cat"], Edit("clicks", how="cycle", high=2)
    sentences = [Sentence(tokens=words, pads=[False] * 2, pressed=[True, False], edits=edits)] * 2
    open_view(page, Picture(panels=[], sentences=sentences), state={"shown": 0, "clicks": [[0, 1, 1]]})
    chips = page.locator(".mlab-chip")
    chips.nth(1).click()
    assert state(page)["clicks"] == [[0, 1, 2]]
    chips.nth(3).click()  # of another sentence: it is shown, too
    assert (state(page)["clicks"], state(page)["shown"]) == ([[0, 1, 2], [1, 1, 1]], 1)
    chips.nth(1).click()
    assert state(page)["clicks"] == [[1, 1, 1]]  # as it was
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    assert state(page)["clicks"] == [[1, 1, 1], [0, 0, 2]]
    assert pressed(page) == ["true", "false", "true", "false"]  # as the kernel says


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_letters_of_query_and_key_can_be_read_on_a_chip_that_is_on(page, theme):
    page.emulate_media(color_scheme=theme)
    picture = toggled_chips()
    panels = one_panel(torch.zeros(3, 3)).panels
    open_view(page, Picture(panels=panels, sentences=picture.sentences), state={"hidden": [[0, 1]]})
    chip = page.locator(".mlab-chip").nth(1)
    chip.focus()
    colours = "(chip, part) => [getComputedStyle(chip).color, getComputedStyle(chip, part).color]"
    for part, letter in (("::before", "Q"), ("::after", "K")):
        assert chip.evaluate("(chip, part) => getComputedStyle(chip, part).content", part) == f'"{letter}"'
        word, sign = chip.evaluate(colours, part)
        assert word == sign


def test_a_small_line_stands_under_each_chip(page):
    open_view(page, toggled_chips())
    chips = page.locator(".mlab-chip")
    assert chips.all_text_contents() == ["The", "cat", "ate", "A", "dog", "[PAD]"]
    described = "all => all.map((chip) => document.getElementById(chip.getAttribute('aria-describedby')).textContent)"
    assert chips.evaluate_all(described) == ["1", "2", "3", "4", "5", "0"]
    chip, below = (page.locator(one).first.bounding_box() for one in (".mlab-chip", ".mlab-below"))
    assert below["y"] >= chip["y"] + chip["height"] - 1
    assert below["height"] < chip["height"]


def test_chips_without_edits_are_no_toggles(page):
    open_view(page, attention_picture())
    assert set(pressed(page)) == {None}


# ---- controls


def test_typing_is_never_lost(page):
    open_view(page, attention_picture(), controls=CONTROLS, state=STATE)
    box = page.locator(".mlab-text").first
    box.focus()
    page.keyboard.press("Home")
    page.keyboard.type("Oh ")
    assert state(page)["sentences"][0] == "Oh The cat ate"
    show(page, attention_picture(seed=1))
    page.evaluate("() => model.set('state', { ...model.get('state'), sentences: ['late', 'b', 'c'] })")
    assert box.input_value() == "Oh The cat ate"
    assert box.evaluate("(e) => [e === document.activeElement, e.selectionStart]") == [True, 3]
    assert page.locator(".mlab-text").nth(1).input_value() == "b"  # others follow the kernel


def test_a_keystroke_syncs_each_sentence_once(page):
    open_view(page, attention_picture(), controls=CONTROLS, state=STATE)
    page.evaluate("""() => {
      const { set, get } = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "checked");
      window.syncs = 0;
      Object.defineProperty(HTMLInputElement.prototype, "checked", { get, set(on) {
        if (this.ariaLabel?.startsWith("show sentence")) syncs += 1;
        set.call(this, on);
      } });
    }""")
    page.locator(".mlab-text").first.press("End")
    page.keyboard.type("x")
    show(page, attention_picture(seed=1))
    assert page.evaluate("() => syncs") == 3  # of three sentences


def test_a_text_too_long_is_not_sent_and_stays_in_its_box(page):
    open_view(page, attention_picture(), controls=CONTROLS, state=STATE)
    box, refusal = page.locator(".mlab-text").nth(1), page.locator(".mlab-refusal").nth(1)
    sent = page.evaluate("() => model.messages.length")
    box.fill("x" * 100_001)
    assert page.evaluate("() => model.messages.length") == sent
    assert state(page)["sentences"] == STATE["sentences"]
    expect(refusal).to_have_text(
        "This text has 100,001 characters, and up to 100,000 are sent: it is kept here, shorten it to see it."
    )
    assert box.get_attribute("aria-invalid") == "true"
    page.locator(".mlab-text").first.fill("Another one")  # neither another box nor an answer takes it away
    show(page, attention_picture(seed=1))
    page.get_by_role("button", name="+ add sentence").click()
    page.get_by_role("button", name="remove sentence 1").click()
    above = page.locator(".mlab-text").first
    assert len(above.input_value()) == 100_001 and refusal.is_hidden()
    above.press("End")
    page.keyboard.press("Backspace")
    assert len(state(page)["sentences"][0]) == 100_000
    expect(page.locator(".mlab-refusal").first).to_be_empty()
    above.fill("y" * 200_000)
    page.get_by_role("button", name="reset").click()
    assert above.input_value() == "The cat ate"
    expect(page.locator(".mlab-refusal").first).to_be_empty()


def test_sentences_are_added_removed_and_reset(page):
    open_view(page, attention_picture(), controls=CONTROLS, state={**STATE, "shown": 2})
    add = page.get_by_role("button", name="+ add sentence")
    for _ in range(3):
        add.click()
    expect(add).to_be_hidden()  # six are the most
    page.keyboard.type("hi")
    assert state(page)["sentences"][3:] == ["", "", "hi"]
    page.get_by_role("button", name="remove sentence 1").click()
    assert (state(page)["sentences"][0], state(page)["shown"]) == ("The cat ate fish pie", 4)
    assert page.locator(".mlab-text").first.input_value() == "The cat ate fish pie"
    page.get_by_role("button", name="reset").click()
    assert state(page)["sentences"] == STATE["sentences"]
    assert page.locator(".mlab-text").all()[0].input_value() == "The cat ate"
    page.get_by_role("radio", name="show sentence 2").check()
    assert state(page)["shown"] == 1


def test_choice_slider_number_toggle_and_button(page):
    open_view(page, attention_picture(), controls=CONTROLS, state=STATE | {"painted": [[0, 0]]})
    page.get_by_text("columns", exact=True).click()  # words and button do the same
    assert state(page)["mask"] == "columns"
    page.get_by_role("radio", name="rows and columns").check()
    page.get_by_label("[PAD]'s embedding").fill("-2")
    page.get_by_label("seed").fill("7")
    reveal = page.get_by_role("button", name="reveal")
    expect(reveal).to_be_hidden()
    page.get_by_role("switch", name="predict first").check()
    told = state(page)
    assert (told["mask"], told["pad"], told["seed"], told["predict"]) == ("both", -2, 7, True)
    assert told["painted"] == []  # the switch sets more than itself
    reveal.click()
    assert state(page)["predict"] is False
    expect(reveal).to_be_hidden()
    page.get_by_label("seed").fill("1000")
    assert state(page)["seed"] == 99
    page.evaluate("() => model.set('state', { ...model.get('state'), mask: 'none', pad: 3 })")
    assert page.get_by_role("radio", name="none").is_checked()
    assert page.get_by_label("[PAD]'s embedding").input_value() == "3"


def test_every_control_is_reached_by_tab(page):
    open_view(page, attention_picture(), controls=CONTROLS, state=STATE)
    page.locator(".mlab-root input").first.focus()
    seen = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("() => document.activeElement.type ?? document.activeElement.tagName"))
    assert {"text", "radio", "range", "number", "checkbox", "button", "TD"} <= seen


def test_two_views_of_one_model_and_cleanup(page):
    open_view(page, attention_picture(), controls=CONTROLS, state=STATE)
    listeners = page.evaluate("() => model.count()")
    page.evaluate("() => { window.second = view.default.render({ model, el: document.getElementById('b') }); }")
    page.get_by_label("seed").first.fill("5")
    assert page.get_by_label("seed").nth(1).input_value() == "5"
    cell(page, "scores", 0, 0).hover()
    assert "Point at a cell" in page.locator(".mlab-status").nth(1).text_content()
    page.evaluate("() => second()")
    assert page.evaluate("() => [model.count(), document.getElementById('b').childElementCount]") == [listeners, 0]
    page.evaluate("() => cleanup()")
    assert page.evaluate("() => model.count()") == 0


def test_without_a_sentence_control_the_chips_are_shown_alone(page):
    open_view(page, attention_picture())
    assert page.locator(".mlab-text").count() == 0
    assert page.locator(".mlab-sentence").count() == 3


def test_what_is_typed_is_shown(page):
    controls = [{**spec, "sets": {"painted": []}} if spec["name"] == "sentences" else spec for spec in CONTROLS]
    open_view(page, attention_picture(), controls=controls, state={**STATE, "painted": [[0, 3]]})
    page.locator(".mlab-text").nth(2).press("End")
    page.keyboard.type("!")
    assert (state(page)["shown"], state(page)["sentences"][2]) == (2, "The cat ate fish!")
    assert state(page)["painted"] == []  # another sentence has another mask: a guess starts anew
    assert page.locator(".mlab-sentence").nth(2).get_attribute("data-shown") == "true"
    page.evaluate("() => model.set('state', { ...model.get('state'), painted: [[1, 1]] })")
    page.keyboard.type("!")
    assert state(page)["painted"] == [[1, 1]]  # the same sentence as before


def test_rarely_used_controls_are_behind_one_button(page):
    open_view(page, lab_picture(), controls=LAB_CONTROLS, state=LAB_STATE)
    more, seed = page.locator(".mlab-more-button"), page.get_by_label("Seed")
    expect(seed).to_be_hidden()
    assert more.get_attribute("aria-expanded") == "false"
    more.press("Enter")
    assert (more.get_attribute("aria-expanded"), more.text_content()) == ("true", "Less")
    assert page.locator(f"#{more.get_attribute('aria-controls')}").get_by_label("Seed").is_visible()
    page.keyboard.press("Tab")  # the next stop is the first of them
    assert page.evaluate("() => document.activeElement.type") == "number"
    seed.fill("7")
    assert state(page)["seed"] == 7
    more.click()
    expect(seed).to_be_hidden()
    page.evaluate("() => model.set('controls', model.get('controls').filter((spec) => !spec.more))")
    expect(more).to_be_hidden()


def test_help_is_heard_with_its_control_and_seen_while_it_is_pointed_at(page):
    open_view(page, lab_picture(), controls=LAB_CONTROLS, state=LAB_STATE)
    slider, hint = page.get_by_label("Embedding of [PAD]"), page.locator(".mlab-hint")
    described = slider.evaluate("(e) => document.getElementById(e.getAttribute('aria-describedby')).textContent")
    assert described == "Drag it, and watch the words' outputs."
    expect(hint).to_be_empty()
    slider.hover()
    expect(hint).to_have_text(described)
    page.mouse.move(0, 0)
    expect(hint).to_be_empty()
    slider.focus()
    expect(hint).to_have_text(described)


# ---- one screen

FOLDED, OPEN, PROJECTOR = 1186, 934, 683  # as wide as JupyterLab leaves it: 1366×768, and 1024×768 at 150 %
SCREEN = 647  # as tall as JupyterLab leaves it at 768 pixels
MARGIN = 20  # for fonts that are a little larger


@pytest.mark.parametrize("width", [FOLDED, OPEN])
@pytest.mark.parametrize("mode", ["columns", "both"])
def test_the_first_state_fits_on_one_screen(page, width, mode):
    open_view(page, lab_picture(mode=mode), controls=LAB_CONTROLS, state=LAB_STATE)
    size = ruler(page, width)
    assert size["height"] <= SCREEN - MARGIN
    assert page.locator(".mlab-root").get_attribute("data-tall") is None  # so nothing lies over anything
    assert (size["outside"], size["scrolled"], size["lines"]) == ([], 0, 2)
    assert 29 <= size["cell"][0] <= 39 and 22 <= size["cell"][1] <= 26
    page.screenshot(path=ARTEFACTS / f"view-{width}-{mode}.png", full_page=True)


def test_on_a_projector_chips_are_no_slivers(page):
    open_view(page, lab_picture(), controls=LAB_CONTROLS, state=LAB_STATE)
    page.set_viewport_size({"width": 683, "height": 512})
    size = ruler(page, PROJECTOR - 16)
    assert (size["outside"], size["scrolled"], size["cut"]) == ([], 0, 0)
    assert size["chips"] >= 0.9 * size["width"]  # a line of their own
    tops = page.locator("[data-shown] .mlab-chip").evaluate_all("all => all.map((c) => c.getBoundingClientRect().top)")
    assert len(set(tops)) == 1
    assert ruler(page, 320)["outside"] == []


@pytest.mark.parametrize("words", [16, 40])
def test_the_boxes_and_the_words_stay_in_sight_when_panels_wrap(page, words):
    open_view(page, lab_picture(words=words - 4, total=words), controls=LAB_CONTROLS, state=LAB_STATE)
    page.set_viewport_size({"width": FOLDED, "height": SCREEN})
    assert ruler(page, FOLDED - 16)["height"] > SCREEN
    for down in (0, 300, 300):
        page.mouse.wheel(0, down)
        page.wait_for_timeout(100)
        for seen in (".mlab-text", ".mlab-status"):
            box = page.locator(seen).first.bounding_box()
            assert 0 <= box["y"] <= SCREEN - box["height"]
    # What has the focus is not under them.
    page.locator("[data-name=scores]").locator("canvas" if words > 16 else ".mlab-cell").first.focus()
    page.keyboard.press("ArrowDown")
    panel = page.evaluate("() => document.activeElement.getBoundingClientRect().top")
    assert panel >= page.locator(".mlab-top").bounding_box()["height"] - 1


def test_what_a_panel_means_is_said_below_when_it_is_pointed_at_or_chosen(page):
    open_view(page, lab_picture(), controls=LAB_CONTROLS, state=LAB_STATE)
    hint = page.locator(".mlab-hint")
    expect(hint).to_be_empty()
    page.locator("[data-name=masked] figcaption").hover()
    expect(hint).to_have_text("masked scores: −∞ stays −∞.")
    cell(page, "weights", 0, 0).click()
    page.mouse.move(0, 0)
    expect(hint).to_have_text("weights: Each row sums to 1.")  # it stays chosen
    page.keyboard.press("Tab")
    expect(hint).to_contain_text("output: The weighted mean")
    page.keyboard.press("Escape")
    expect(hint).to_be_empty()
    meaning = page.locator("[data-name=weights] table").evaluate(
        "(e) => e.getAttribute('aria-describedby').split(' ').map((id) => document.getElementById(id).textContent)"
    )
    assert meaning == ["Each row sums to 1.", ""]


def test_a_panel_without_numbers_keeps_its_legend(page):
    open_view(page, one_panel(torch.full((20, 20), 0.5), kind="weight"))
    assert page.locator(".mlab-legend").text_content() == "0 is dark blue, 0.5 is yellow."
    assert page.locator(".mlab-legend").is_visible()


def ink(page, panel, x, y, width, height):
    """How many pixels of a panel's canvas have anything on them, in CSS pixels from its upper left corner."""
    return page.locator(f"[data-name={panel}] canvas").evaluate("""(paper, box) => {
        const { data } = paper.getContext("2d").getImageData(...box);
        return data.filter((_, i) => i % 4 === 3).reduce((n, alpha) => n + (alpha > 0), 0); }""",
        [x, y, width, height])  # fmt: skip


def test_marks_stacked_high_do_not_cover_the_neighbours(page):
    zalgo = "Z" + "\u0311\u0315\u031b\u0321" * 10
    plain, stacked = (one_panel(torch.zeros(3, 3), rows=["a", word, "c"], columns=["a", word, "c"])
                      for word in ("Z", zalgo))  # fmt: skip
    counts = []
    for picture in (plain, stacked):
        open_view(page, picture)
        row = cell(page, "one", 1, 0, 3).bounding_box()
        sheet = page.locator(".mlab-sheet").bounding_box()
        top = round(row["y"] - sheet["y"])
        counts.append(ink(page, "one", 0, top - 24, 40, 24) + ink(page, "one", 0, top + 24, 40, 24))
    assert counts[0] == counts[1] > 0
    sentence = Sentence(tokens=["a", zalgo], pads=[False, False], below=[zalgo, zalgo], note=zalgo)
    open_view(page, Picture(panels=stacked.panels, sentences=[sentence], problem=zalgo, summary=zalgo))
    cell(page, "one", 1, 1, 3).hover()
    clipped = """all => all.map((node) => getComputedStyle(node).overflowY)"""
    for part in (".mlab-chip bdi", ".mlab-below", ".mlab-sentence-note", ".mlab-status", ".mlab-problem"):
        assert set(page.locator(part).evaluate_all(clipped)) <= {"hidden", "clip"}, part


def test_a_long_word_scrolls_in_its_own_panel(page):
    wide = "﷽" * 12
    panels = [one_panel(torch.zeros(3, 3), name=name, rows=[wide] * 3, columns=[wide] * 3).panels[0] for name in "ab"]
    open_view(page, Picture(panels=panels))
    size = ruler(page, PROJECTOR - 16)
    assert (size["outside"], size["scrolled"]) == ([], 0)
    size = ruler(page, 320)
    assert (size["outside"], size["scrolled"]) == ([], 2)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


# ---- for every reader


CONTRAST = """() => {
  const channel = (c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d",
    { willReadFrequently: true });
  const rgb = (colours) => { pen.clearRect(0, 0, 1, 1);
    for (const colour of colours) { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); }
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3); };
  const light = (c) => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
  const behind = (node) => { const all = [];
    for (let n = node; n; n = n.parentElement) all.unshift(getComputedStyle(n).backgroundColor);
    return all; };
  const ratios = [...document.querySelectorAll(".mlab-root :is(bdi, span, p, label, button, input, th, td)")]
    .filter((n) => n.checkVisibility({ opacityProperty: true }) && n.matches(":not(:disabled)") && (n.value || [...n.childNodes].some((c) => c.nodeType === 3 && c.data.trim())))
    .map((node) => { const back = behind(node);
      const [a, b] = [light(rgb([...back, getComputedStyle(node).color])), light(rgb(back))].sort((x, y) => y - x);
      return [(a + 0.05) / (b + 0.05), node.outerHTML.slice(0, 80)]; });
  // What canvases are painted with: each shade and its ink, and the theme's own pairs.
  const ratio = (one, other) => { const [a, b] = [light(one), light(other)].sort((x, y) => y - x); return (a + 0.05) / (b + 0.05); };
  for (const anchors of Object.values(model.get("palette"))) {
    const { fills, inks } = view.shadesOf(anchors);
    fills.forEach((fill, i) => ratios.push([ratio(rgb([fill]), rgb([inks[i]])), `${inks[i]} on ${fill}`]));
  }
  const probe = document.querySelector(".mlab-probe");
  const colour = (name) => ((probe.style.color = `var(--mlab-${name})`), getComputedStyle(probe).color);
  for (const [ink, back] of [["ink", "neutral"], ["ink", "hole"], ["ink", "bg"], ["muted", "bg"], ["right", "bg"], ["wrong", "bg"]])
    ratios.push([ratio(rgb([colour("bg"), colour(ink)]), rgb([colour("bg"), colour(back)])), `${ink} on ${back}`]);
  return ratios.sort((x, y) => x[0] - y[0])[0];
}"""  # noqa: E501
JUPYTERLAB_DARK = """() => { document.body.dataset.jpThemeLight = "false";
  document.body.style.cssText = "background:#111; --jp-layout-color1:#111; --jp-ui-font-color1:rgba(255,255,255,1)" }"""


@pytest.mark.parametrize("transition", ["", "none"])
def test_the_canvases_follow_jupyterlabs_theme(page, transition):
    open_view(page, one_panel([[0.0]], kind="mask"))
    page.locator(".mlab-root").evaluate("(root, transition) => (root.style.transition = transition)", transition)
    page.evaluate(JUPYTERLAB_DARK)
    page.wait_for_timeout(100)
    assert max(pixel(page, "one", 0, 0, 1)) < 64


@pytest.mark.parametrize("theme", ["light", "dark", "jupyterlab dark"])
@pytest.mark.parametrize("kind", ["weight", "score", "mask"])
def test_text_contrast(browser, theme, kind):
    page = browser.new_page(color_scheme="dark" if theme == "dark" else "light")
    values = torch.linspace(0 if kind == "weight" else -1, 1, 256).reshape(16, 16)
    values[0, :3] = torch.tensor(SPECIAL[0])
    blocked = torch.zeros(16, 16, dtype=torch.bool)
    blocked[:, 12:] = True
    pads = [False] * 12 + [True] * 4
    picture = one_panel(values, kind=kind, blocked=blocked, row_pads=pads, column_pads=pads, row_notes=["1.00"] * 16)
    sentence = Sentence(tokens=["a", "[PAD]"], pads=[False, True], note="1 of 2 are words")
    open_view(page, Picture(panels=picture.panels, sentences=[sentence], problem="No."), controls=CONTROLS, state=STATE)
    if theme == "jupyterlab dark":
        page.evaluate(JUPYTERLAB_DARK)
    cell(page, "one", 3, 13, 16).hover()
    lowest, where = page.evaluate(CONTRAST)
    page.close()
    assert lowest >= 4.5, where


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
@pytest.mark.parametrize("total", [5, 20])
def test_axe_finds_nothing_serious(page, total):
    open_view(page, attention_picture(total=total, judged=total == 5, problem="No.", summary="4 of 6."),
              controls=CONTROLS, state=PAINTING, text="the twin")  # fmt: skip
    if total == 5:
        cell(page, "weights", 2, 3).click()
    violations = Axe().run(page).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in violations if v["impact"] in ("serious", "critical")] == []


def test_removing_a_sentence_keeps_the_focus_in_the_boxes(page):
    open_view(page, attention_picture(), controls=CONTROLS, state=STATE)
    for left in (2, 1):
        page.get_by_role("button", name=f"remove sentence {left + 1}").press("Enter")
        assert page.evaluate("() => document.activeElement.ariaLabel") == f"sentence {left}"


def test_the_focus_ring_follows_the_keyboard_wherever_the_mouse_rests(page):
    open_view(page, attention_picture())
    cell(page, "scores", 0, 0).focus()
    cell(page, "scores", 3, 3).hover()
    page.keyboard.press("Tab")
    assert status(page).startswith("query The → key The")
    assert lit_rows(page)[2] == 0


def test_another_sentence_or_side_starts_the_guess_anew(page):
    controls = [
        {**spec, "sets": {"painted": []}} if spec["name"] in ("sentences", "side") else spec for spec in CONTROLS
    ]
    open_view(page, attention_picture(predict=True), controls=controls, state={**PAINTING, "painted": [[0, 3]]})
    page.get_by_role("radio", name="show sentence 2").check()
    assert (state(page)["painted"], state(page)["shown"]) == ([], 1)
    cell(page, "mask", 0, 3).click()
    page.get_by_role("radio", name="left").check()
    assert (state(page)["painted"], state(page)["side"]) == ([], "left")


def test_two_labs_on_one_page_share_no_name(page):
    """Each widget loads the script anew: radio buttons of one name would be one group, across both labs."""
    open_view(page, attention_picture(), controls=CONTROLS, state=STATE)
    page.evaluate(
        """async (source) => {
        const other = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
        const names = ["picture", "state", "controls", "palette", "label"];
        const values = Object.fromEntries(names.map((name) => [name, model.get(name)]));
        other.default.render({ model: makeModel(values), el: document.getElementById("b") }); }""",
        str(MatrixView._esm),
    )
    names = page.locator("input[type=radio]").evaluate_all(
        "all => all.map((one) => [one.closest('div[id]').id, one.name])"
    )
    groups = [{name for place, name in names if place == part} for part in ("a", "b")]
    assert all(groups) and groups[0] & groups[1] == set()
    ids = page.locator("[id^=mlab]").evaluate_all("all => all.map((one) => one.id)")
    assert len(set(ids)) == len(ids)
    checked = page.locator("#a input[type=radio]:checked").count()
    page.locator("#b").get_by_role("radio", name="none").check()
    assert page.locator("#a input[type=radio]:checked").count() == checked


# ---- code

CODE = "a = '<b>x</b>'\n  b = a  # \u202eturned"


def with_code(code):
    return replace(one_panel([[0.5]]), code=code)


def test_code_is_text_on_its_lines_and_goes_when_there_is_none(page):
    open_view(page, with_code(CODE))
    assert page.locator(".mlab-code code").text_content() == CODE.replace("\u202e", "�")
    assert page.locator(".mlab-code b").count() == 0
    assert page.locator(".mlab-code pre").evaluate("(pre) => getComputedStyle(pre).whiteSpace") == "pre-wrap"
    show(page, with_code(""))
    expect(page.locator(".mlab-code")).to_be_hidden()


def test_code_is_copied_by_mouse_and_by_keyboard(page):
    open_view(page, with_code("a = 1\nb = 2"))
    page.evaluate("""() => {
        window.copied = [];
        const clipboard = { writeText: async (text) => void copied.push(text) };
        Object.defineProperty(navigator, "clipboard", { value: clipboard });
    }""")
    page.get_by_role("button", name="Copy").click()
    expect(page.locator(".mlab-copy")).to_have_text("Copied ✓")
    expect(page.locator(".mlab-code [role=status]")).to_have_text("The code is copied.")
    expect(page.locator(".mlab-copy")).to_have_text("Copy")
    page.locator(".mlab-copy").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".mlab-copy")).to_have_text("Copied ✓")
    assert page.evaluate("copied") == ["a = 1\nb = 2"] * 2


def test_without_a_clipboard_the_code_is_selected_and_one_key_copies_it(page):
    open_view(page, with_code("a = 1"))
    page.evaluate("""() => {
        Object.defineProperty(navigator, "clipboard", { value: undefined });
        document.execCommand = () => false;
    }""")
    page.get_by_role("button", name="Copy").click()
    expect(page.locator(".mlab-copy")).to_have_text("Press Ctrl+C")
    assert page.evaluate("() => getSelection().toString()") == "a = 1"


# ---- who says that a pair is blocked


@pytest.mark.parametrize(("blocks", "words"), [(False, ""), (True, "blocked, ")])
def test_a_pair_is_blocked_if_the_last_panel_blocks_it(page, blocks, words):
    """The first panel may be a mask that a library reads in another way."""
    first = one_panel([[0.0]], name="first", blocked=torch.tensor([[True]]), say="said {}").panels[0]
    last = one_panel([[1.0]], name="last", blocked=torch.tensor([[blocks]]), say=", heard {}").panels[0]
    open_view(page, Picture(panels=[first, last]))
    cell(page, "first", 0, 0, 1).hover()
    assert status(page) == f"query r0 → key c0: {words}said 0.00, heard 1.00"
