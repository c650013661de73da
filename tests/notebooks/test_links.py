"""Every link in lessons, README and CONTRIBUTING leads to a file or a heading that is there. Nothing is fetched."""

import re
from urllib.parse import unquote

import build
import nbformat
import pytest

ROOT = build.HERE.parent
SOURCES = sorted((build.HERE / "src").glob("*.md"))
# A page's text, and where its links start from: a source's links are those of the notebook that it becomes.
PAGES = [*((source, build.HERE / f"{source.stem}.ipynb") for source in SOURCES),
         *((page, page) for page in sorted(ROOT.glob("*.md")))]  # fmt: skip
CODE = re.compile(r"^(```+|~~~+).*?^\1[`~]*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"""\]\(\s*<?([^)\s>]+)|(?:src|href)=["']([^"']+)["']""")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
NAMED = re.compile(r"""<[^>]+\b(?:id|name)=["']([^"']+)["']""")


def links(prose):
    """The targets of all links and images in a text, but for those to other machines."""
    found = ["".join(pair) for pair in LINK.findall(CODE.sub("", prose))]
    return [unquote(link) for link in found if not re.match(r"[a-z][a-z0-9+.-]*:|//", link)]


def prose(page):
    """The Markdown of a page or a notebook."""
    if page.suffix != ".ipynb":
        return page.read_text(encoding="utf-8")
    return "\n\n".join(cell.source for cell in nbformat.read(page, as_version=4).cells if cell.cell_type == "markdown")


def anchors(page):
    """What a link to this page may name after #: a notebook's headings as JupyterLab does, others as GitHub does."""
    text = re.sub(r"^(```+|~~~+).*?^\1[`~]*$", "", prose(page), flags=re.MULTILINE | re.DOTALL)
    heads = [re.sub(r"\[([^]]*)\]\([^)]*\)|[`*]", r"\1", heading) for heading in HEADING.findall(text)]
    slugs = [head.replace(" ", "-") if page.suffix == ".ipynb" else github(head) for head in heads]
    repeated = [f"{slug}-{slugs[:i].count(slug)}" for i, slug in enumerate(slugs) if slug in slugs[:i]]
    return {*slugs, *repeated, *NAMED.findall(text)}


def github(heading):
    """A heading's anchor on GitHub: lower case, hyphens for spaces, no punctuation."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def broken(text, *, page):
    """The links in a text of this page that lead nowhere."""
    return [link for link in links(text) if not leads_somewhere(link, page=page)]


def leads_somewhere(link, *, page):
    """Whether a link from a page leads to a file, and to a heading in it if it names one."""
    file, _, anchor = link.partition("#")
    target = (page.parent / file).resolve() if file else page
    return target.exists() and (not anchor or anchor in anchors(target))


@pytest.mark.parametrize(("text", "page"), [pytest.param(*pair, id=f"{pair[0].name}") for pair in PAGES])
def test_every_link_leads_somewhere(text, page):
    assert broken(prose(text), page=page) == []


def test_there_are_links_to_check():
    assert {page.name for page, _ in PAGES} >= {"README.md", "CONTRIBUTING.md", "00_start_here.md"}
    assert sum(len(links(prose(page))) for page, _ in PAGES) > 15


@pytest.fixture
def pages(tmp_path):
    """A README and a lesson to link to."""
    heads = "# The course!\n\n## A `code` word & more\n\n## Twice\n\n## Twice\n\n"
    (tmp_path / "README.md").write_text(f"{heads}```\n# no heading\n```\n<a id='here'></a>\n")
    cell = nbformat.v4.new_markdown_cell("# 1 · Predict **first**\n\n## Read more")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "05_a.ipynb")
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "link",
    ["README.md", "folder", "folder/", "05_a.ipynb", "#the-course", "#a-code-word--more", "#twice", "#twice-1", "#here",
     "README.md#twice", "05_a.ipynb#1-·-Predict-first", "05_a.ipynb#Read-more", "05_a.ipynb#1-%C2%B7-Predict-first",
     "https://example.org/x#y", "mailto:a@b.c", "//example.org/x", "data:image/png;base64,AA"],
)  # fmt: skip
def test_a_good_link_is_good(pages, link):
    for text in (f"a [b]({link}) c", f'![b]({link} "title")', f"<img src='{link}'>", f'<a href="{link}">b</a>'):
        assert broken(text, page=pages / "README.md") == []


@pytest.mark.parametrize(
    "link",
    ["READ.md", "folder/x.md", "#nowhere", "#The-course", "#twice-2", "#no-heading", "README.md#no", "06_b.ipynb",
     "05_a.ipynb#read-more", "05_a.ipynb#1-Predict-first"],
)  # fmt: skip
def test_a_broken_link_is_found(pages, link):
    for text in (f"a [b]({link}) c", f'![b]({link} "title")', f"<img src='{link}'>", f'<a href="{link}">b</a>'):
        assert broken(text, page=pages / "README.md") == [link]


def test_code_holds_no_links(pages):
    text = "`x[0](y)` and\n```python\nf[i](x)\n```\nand ``[a](b)``"
    assert broken(text, page=pages / "README.md") == []
