"""The page's modules → the one script and the one style sheet that a widget takes, with no build step."""

import re
from pathlib import Path

PAGE = Path(__file__).parent / "page"
# Each module imports only from those before it, and the last one alone exports to the outside.
SCRIPTS = (
    "dom", "numbers", "theme", "picture", "words", "panel", "table", "bars", "canvas", "link", "memory", "notice",
    "selection", "edit", "editor", "pointer", "controls", "chips", "sentences", "code", "view",
)  # fmt: skip
STYLES = ("theme", "sentences", "notice", "controls", "panels", "code", "words")
IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
EXPORT = re.compile(r"^export (?=(?:function|class|const) )", re.MULTILINE)


def script() -> str:
    """All modules in one: without the imports and exports that they have among themselves.

    >>> [line for line in script().splitlines() if line.startswith(("import ", "export "))][-1]
    'export default { initialize() {}, render };'
    """
    return "\n".join(EXPORT.sub("", IMPORT.sub("", _read(f"{name}.js"))) for name in SCRIPTS)


def style() -> str:
    """All style sheets in one.

    >>> style().startswith("/* The live view's looks.")
    True
    """
    return "\n".join(_read(f"{name}.css") for name in STYLES)


def _read(name: str) -> str:
    return (PAGE / name).read_text(encoding="utf-8")
