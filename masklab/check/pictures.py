"""A wrong answer beside the right one, as panels."""

from typing import Any

import torch
from torch import Tensor

from masklab.panels import MISSED, NOT_MARKED, Panel, counted, largest


def compared(
    answer: Tensor,
    right: Tensor,
    *,
    title: str,
    meaning: str = "What the definition gives.",
    differs: Tensor | None = None,
    **parts,
) -> list[Panel]:
    """Two panels side by side: what a function gave, with ✗ at each cell that differs, and the right answer.

    Shapes: ``answer``, ``right`` (rows, columns). ``title`` says what it is, ``meaning`` is the right answer's;
    ``parts`` are for both panels: ``kind``, ``rows``, ``columns``, ``blocked``, ``axes``, ``row_pads`` … Both have one
    scale, so that equal numbers have equal colours. ``differs`` are the cells to mark, if not all that differ.

    >>> yours, right = compared(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1.0]]),
    ...                         kind="weight", title="weights", rows=["0"], columns=["0", "1"])
    >>> yours.title, yours.meaning, right.title
    ('your weights', '✗ marks 1 cell that differs.', 'the right answer')
    >>> [one.limits for one in compared(torch.tensor([[0.5]]), torch.tensor([[2.0]]), kind="output", title="vectors",
    ...                                 rows=["0"], columns=["0"])]
    [(-2.0, 2.0), (-2.0, 2.0)]
    """
    differs = different(answer, right) if differs is None else differs
    parts = {"limit": max(largest(answer), largest(right))} | parts
    hatched = " Blocked cells are hatched." if parts.get("blocked") is not None else ""
    count = counted(int(differs.sum()), "cell")
    marked = f"✗ marks {count} that {'differs' if count == '1 cell' else 'differ'}{_slightly(answer, right)}."
    marks = torch.where(differs, MISSED, NOT_MARKED).to(torch.uint8)
    return [
        Panel(name="yours", title=f"your {title}", meaning=marked + hatched, values=answer, marks=marks,
              **_blocking(answer) | parts),
        Panel(name="right", title="the right answer", meaning=meaning + hatched, values=right,
              **_blocking(right) | parts),
    ]  # fmt: skip


def given(values: Tensor, *, title: str, meaning: str = "What your function was given.", **parts) -> Panel:
    """A panel of what an answer was made from, beside those of `compared`. Shape: (rows, columns).

    >>> given(torch.tensor([[7, 8]]), kind="ids", title="ids", rows=["sentence 0"], columns=["0", "1"]).meaning
    'What your function was given.'
    """
    return Panel(name="given", title=title, meaning=meaning, values=values, **_blocking(values) | parts)


def compared_sentence(
    answer: Tensor, right: Tensor, *, title: str, queries: Tensor | None = None, keys: Tensor | None = None, **parts
) -> list[Panel]:
    """The first sentence of a batch of masks or biases that differs, compared.

    Shapes: ``answer``, ``right`` (batch, 1, query, key); ``queries`` (batch, query) and ``keys`` (batch, key) bool,
    True = a word, name the rows and columns; without them positions are counted.

    >>> right = torch.tensor([[[[True]]], [[[True]]]])
    >>> yours, _ = compared_sentence(torch.tensor([[[[True]]], [[[False]]]]), right, title="mask", kind="mask")
    >>> yours.title, yours.rows
    ('your mask of sentence 1', ['0'])
    """
    i = first_difference(answer, right)
    for axis, is_word in (("row", queries), ("column", keys)):
        length = answer.shape[2 if axis == "row" else 3]
        parts[f"{axis}s"] = positions(length) if is_word is None else tokens(is_word[i])
        parts[f"{axis}_pads"] = () if is_word is None else (~is_word[i]).tolist()
    return compared(answer[i, 0], right[i, 0], title=f"{title} of sentence {i}", **parts)


def first_difference(answer: Tensor, right: Tensor) -> int:
    """The first entry of a batch that differs.

    >>> first_difference(torch.tensor([[1.0], [2.0]]), torch.tensor([[1.0], [3.0]]))
    1
    """
    return int(different(answer, right).flatten(1).any(dim=1).int().argmax())


def different(answer: Tensor, right: Tensor) -> Tensor:
    """Which cells differ by more than rounding; NaN equals NaN. Shape: as both.

    >>> different(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 3.0]))
    tensor([False,  True])
    """
    return ~torch.isclose(answer.double(), right.double(), atol=1e-5, equal_nan=True)


def positions(count: int) -> list[str]:
    """Labels for rows or columns that are counted.

    >>> positions(3)
    ['0', '1', '2']
    """
    return [str(i) for i in range(count)]


def sentence_grid(values: Tensor) -> dict[str, Any]:
    """The labels of a panel with a row for each sentence. Shape: ``values`` (sentences, positions).

    >>> sentence_grid(torch.ones(1, 2))
    {'rows': ['sentence 0'], 'columns': ['0', '1'], 'axes': ('sentence', 'position')}
    """
    rows = [f"sentence {i}" for i in range(len(values))]
    return {"rows": rows, "columns": positions(values.shape[1]), "axes": ("sentence", "position")}


def tokens(is_word: Tensor) -> list[str]:
    """Labels for the positions of one padded sentence.

    >>> tokens(torch.tensor([True, True, False]))
    ['0', '1', '[PAD]']
    """
    return [str(i) if word else "[PAD]" for i, word in enumerate(is_word.tolist())]


def _slightly(answer: Tensor, right: Tensor) -> str:
    """By how much cells differ where two decimals may not show it."""
    largest = (answer.double() - right.double()).abs().max().item()
    return f", by {largest:.1g} at most" if largest < 0.01 else ""


def _blocking(values: Tensor) -> dict:
    """In a bool mask False is blocked; other values have no blocked cells of their own."""
    return {"blocked": ~values} if values.dtype == torch.bool else {}
