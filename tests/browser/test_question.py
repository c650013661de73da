"""A question in a plain page with a stand-in model: mouse, keyboard, words, memory, both themes."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from masklab.check.question import Question, question
from tests.browser.page import ARTEFACTS

HTML = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>question</title></head>
<body><main><h1 style="font-size:1em">question</h1><div id="a"></div><div id="b"></div></main></body></html>"""
STAND_IN = """
window.makeModel = (values, listeners = new Set()) => ({
  saves: 0,
  get: (name) => values[name],
  set(name, value) { values[name] = value; for (const [of, tell] of listeners) if (of === `change:${name}`) tell(); },
  on: (of, tell) => listeners.add([of, tell]),
  off: (of, tell) => listeners.forEach((one) => one[0] === of && one[1] === tell && listeners.delete(one)),
  count: () => listeners.size,
  save_changes() { this.saves += 1; },
});
"""
DRAW = """async ([source, css, values, place]) => {
  document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
  const view = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const model = makeModel(values);
  (window.models ??= {})[place] = model;
  (window.cleanups ??= {})[place] = view.default.render({ model, el: document.getElementById(place) });
}"""
ORIGIN = "http://masklab.invalid/"  # a page from somewhere has a storage; nothing is asked from the network
OPTIONS = {"Nothing.": "a", "It changes.": "b", "It changes, but zeros do no harm.": "c"}


@pytest.fixture(params=["light"])
def page(browser, request):
    """A fresh page; a script error in it fails the test, and so does any request."""
    context = browser.new_context(viewport={"width": 700, "height": 500}, color_scheme=request.param)
    page, errors, requests = context.new_page(), [], []
    page.route("**/*", lambda route: route.fulfill(body=HTML, content_type="text/html"))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda sent: requests.append(sent.url))
    page.goto(ORIGIN)
    page.add_script_tag(content=STAND_IN)
    yield page
    context.close()
    assert errors == [] and {url for url in requests if url.startswith("http")} == {ORIGIN}


def draw(page, *, text="What happens to “cat”?", options=OPTIONS, chosen=0, place="a"):
    values = {"text": text, "options": list(options), "chosen": chosen}
    page.evaluate(DRAW, [str(Question._esm), str(Question._css), values, place])


def draw_lines(page, lines, place="b"):
    page.evaluate(DRAW, [str(Question._esm), str(Question._css), {"lines": lines}, place])


def chosen(page, place="a"):
    return page.evaluate("(place) => models[place].get('chosen')", place)


def saves(page):
    return page.evaluate("() => models.a.saves")


def test_a_click_anywhere_on_an_option_chooses_it(page):
    draw(page)
    assert (chosen(page), saves(page)) == (0, 0)
    page.get_by_text("It changes.", exact=True).click()
    assert (chosen(page), saves(page)) == (2, 1)
    expect(page.get_by_role("radio", name="2. It changes.", exact=True)).to_be_checked()
    page.get_by_text("Nothing.").click()
    assert (chosen(page), saves(page)) == (1, 2)
    expect(page.get_by_role("status")).to_contain_text("You chose 1.")


def test_the_keyboard_alone_is_enough(page):
    draw(page)
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert chosen(page) == 1
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert chosen(page) == 3
    page.keyboard.press("Enter")  # would send the form, and leave the page
    assert page.url == ORIGIN and chosen(page) == 3
    focused = page.locator(".mlab-option:has(:focus-visible)")
    assert focused.evaluate("(node) => getComputedStyle(node).outlineStyle") == "solid"


def test_a_screen_reader_hears_a_group_with_its_question(page):
    draw(page)
    group = page.get_by_role("group", name="What happens to “cat”?")
    assert group.get_by_role("radio").count() == 3
    expect(page.get_by_role("status")).to_have_text("Choose one.")


def test_no_key_gets_out_to_jupyterlabs_shortcuts(page):
    draw(page)
    assert page.locator("form.mlab-question").get_attribute("data-lm-suppress-shortcuts") == "true"
    page.evaluate("() => { window.heard = []; document.addEventListener('keydown', ({ key }) => heard.push(key)); }")
    page.get_by_role("radio").first.focus()
    for key in ("Space", "ArrowDown", "d", "d", "x", "Shift+Enter"):
        page.keyboard.press(key)
    assert page.evaluate("() => heard") == [] and chosen(page) == 2
    page.locator("h1").click()
    page.keyboard.press("d")
    assert page.evaluate("() => heard") == ["d"]  # the listener does hear


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_accessible_and_legible_in_both_themes(page):
    draw(page, chosen=2)
    draw_lines(page, ["✗ You chose 1. Nothing. a", "✓ The answer is 2. It changes. b"])
    scheme = "dark" if page.evaluate("() => matchMedia('(prefers-color-scheme: dark)').matches") else "light"
    page.screenshot(path=ARTEFACTS / f"question-{scheme}.png")
    assert Axe().run(page).response["violations"] == []


def test_in_jupyterlab_the_theme_of_jupyterlab_counts(page):
    page.evaluate("""() => {
      document.body.dataset.jpThemeLight = "false";
      document.body.style.setProperty("--jp-layout-color1", "#111");
      document.body.style.setProperty("--jp-ui-font-color1", "#eee");
    }""")
    draw(page)
    style = page.locator(".mlab-question").evaluate("""(node) => {
      const { color, backgroundColor, colorScheme } = getComputedStyle(node);
      return [color, backgroundColor, colorScheme];
    }""")
    assert style == ["rgb(238, 238, 238)", "rgb(17, 17, 17)", "dark"]


def test_words_are_words_whatever_is_in_them(page):
    hostile = "<img src=x onerror='document.title=\"ran\"'><script>1</script>"
    draw(page, text=hostile, options=[hostile, "</label>b"])
    draw_lines(page, [hostile])
    assert page.title() == "question" and page.locator("img, script[src]").count() == 0
    expect(page.get_by_role("group")).to_contain_text(hostile)
    expect(page.locator(".mlab-line")).to_have_text(hostile)


def test_a_long_option_does_not_widen_the_page(page):
    draw(page, options=["x" * 400, "word " * 100])
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def test_two_questions_do_not_share_their_buttons(page):
    draw(page)
    draw(page, text="Another?", place="b")
    page.locator("#a").get_by_text("Nothing.").click()
    page.locator("#b").get_by_text("It changes.", exact=True).click()
    assert (chosen(page, "a"), chosen(page, "b")) == (1, 2)
    expect(page.locator("#a").get_by_role("radio", name="1. Nothing.")).to_be_checked()


def test_a_choice_from_the_kernel_is_shown(page):
    draw(page)
    page.evaluate("() => models.a.set('chosen', 3)")
    expect(page.get_by_role("radio", name="3.")).to_be_checked()
    assert saves(page) == 0


def test_a_new_kernel_learns_the_earlier_choice_from_the_page(page):
    draw(page)
    page.get_by_text("Nothing.").click()
    page.evaluate("() => cleanups.a()")
    draw(page)  # the kernel knows of none
    assert (chosen(page), saves(page)) == (1, 1)
    page.evaluate("() => cleanups.a()")
    draw(page, chosen=2)  # it knows better
    assert (chosen(page), saves(page)) == (2, 0)
    draw(page, text="Another?", place="b")
    assert chosen(page, "b") == 0


@pytest.mark.parametrize("kept", ["9", "-1", "x", ""])
def test_what_else_a_storage_may_hold_is_ignored(page, kept):
    draw(page)
    page.get_by_text("Nothing.").click()
    page.evaluate("(kept) => Object.keys(sessionStorage).forEach((key) => sessionStorage.setItem(key, kept))", kept)
    page.evaluate("() => cleanups.a()")
    draw(page)
    assert chosen(page) == 0


def test_a_page_without_a_storage_works_too(page):
    page.goto("about:blank")
    page.set_content(HTML)
    page.add_script_tag(content=STAND_IN)
    draw(page)
    page.get_by_text("Nothing.").click()
    assert chosen(page) == 1


def test_the_answer_follows_and_is_spoken(page):
    draw_lines(page, question("q", {"a": "x", "b": "y"}, right="b").answer().lines)
    status = page.locator("#b").get_by_role("status")
    expect(status).to_contain_text("No answer was chosen.")
    page.evaluate("() => models.b.set('lines', ['✓ You chose 2. b y'])")
    expect(status).to_have_text("✓ You chose 2. b y")


def test_what_is_taken_away_listens_no_more(page):
    draw(page)
    draw_lines(page, ["a"])
    page.evaluate("() => { cleanups.a(); cleanups.b(); }")
    assert page.evaluate("() => [models.a.count(), models.b.count()]") == [0, 0]
    assert page.locator(".mlab-question").count() == 0
