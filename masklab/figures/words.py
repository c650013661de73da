"""Words for those who can't see a picture."""

import html
import re
from collections.abc import Sequence
from zlib import crc32

from masklab.figures.paint import blocked
from masklab.panels import Panel, Picture, cell, chips_text, counted, label, one_line, was_set

SAID = 8  # so many bars are told one by one


def alt(picture: Picture | Sequence[Panel]) -> str:
    """What a row of panels shows, in words, for the alt text of a picture.

    >>> import torch
    >>> print(alt([Panel(name="ids", kind="ids", values=torch.tensor([[1, 0]]), rows=["1"], columns=["The", "[PAD]"],
    ...                  title="ids", meaning="One number a word.")]))
    ids, 1 × 2: One number a word.
    """
    whole = picture if isinstance(picture, Picture) else Picture(panels=picture)
    sentences = [" / ".join(" ".join(line.split()) for line in chips_text(one)) + "." for one in whole.sentences]
    panels = [_panel_alt(panel, sign=panel.sign if i else "") for i, panel in enumerate(whole.panels)]
    return " ".join([*sentences, *panels])


def worded(text: str, *, title: str, description: str) -> str:
    """Give matplotlib's SVG a title and a description, and leave out what is about the file and not the picture.

    >>> worded("<svg width='1'><!-- cat --></svg>", title="a", description="b").splitlines()[2:]
    [' <title id="masklab-e8b7be43-title">a</title>', ' <desc id="masklab-e8b7be43-desc">b</desc></svg>']
    """
    root, picture = text[text.index("<svg ") :].split(">", 1)
    name = f"masklab-{crc32(title.encode('utf-8', 'replace')):08x}"
    root = root.replace("<svg ", f'<svg role="img" aria-labelledby="{name}-title {name}-desc" ', 1)
    title = f'<title id="{name}-title">{_escaped(title)}</title>'
    description = f'<desc id="{name}-desc">{_escaped(description)}</desc>'
    picture = re.sub(r"\s*<!--.*?-->", "", picture, flags=re.DOTALL)  # each text again, before its shapes
    picture = re.sub(r'(?<= d=")[^"]*', lambda match: _shorter(match[0]), picture)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{root}>\n {title}\n {description}{picture}'


def _shorter(path: str) -> str:
    """An SVG path in hundredths of a point: finer than any screen, and half the size.

    >>> _shorter("M 1.234567 2.5 \\nL 3 4.999 \\nz\\n")
    'M1.23 2.5L3 4.99z'
    """
    return re.sub(r"\s*([A-Za-z])\s*", r"\1", re.sub(r"(\.\d\d)\d+", r"\1", path)).strip()


def _escaped(string: str) -> str:
    """A string as XML text; what XML can't hold becomes "�"."""
    return html.escape("".join(c if c.isprintable() or c in " \n" else "�" for c in string), quote=False)


def _panel_alt(panel: Panel, *, sign: str) -> str:
    """One panel in words: sign, title, size, meaning, and what its cells show beside numbers."""
    cells, changed = blocked(panel), len(was_set(panel))
    shape = f"{len(panel.rows)} bars" if panel.scale == "bars" else f"{len(panel.rows)} × {len(panel.columns)}"
    parts = [f"{one_line(sign)} {one_line(panel.title)}, {shape}: {one_line(panel.meaning)}".strip()]
    if panel.scale == "bars" and panel.rows:
        said = [f"{label(name)} {cell(panel, i, 0)}" for i, name in enumerate(panel.rows[:SAID])]
        parts.append(f"{', '.join(said)}{', …' if len(panel.rows) > SAID else ''}.")
    elif cells.any():
        parts.append(f"{int(cells.sum())} of {cells.size} cells are blocked.")
    if changed:
        parts.append(f"{counted(changed, 'number')} {'were' if changed > 1 else 'was'} set.")
    return " ".join(parts)
