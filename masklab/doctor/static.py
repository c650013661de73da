"""The static check: what a mask lets through, before any model has run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask

from masklab import validate
from masklab.doctor.codes import NOTE, WARNING
from masklab.doctor.reading import ADDED, BLOCK, DIALECTS, KEEP, NAN, PADDING, UNIFORM, keeps, with_axes
from masklab.doctor.report import Finding, Report, diagnosis, finding
from masklab.panels import EXTRA, MISSED, NOT_MARKED, Panel, counted

CAUSAL_ELSEWHERE = ("transformers_2d", "key_padding_mask")  # the causal mask is given, or made, beside these
FIXES = {  # of an inverted mask, by what True does
    KEEP: "mask = ~mask  # here True = may attend",
    BLOCK: "mask = ~mask  # here True = must not attend",
    ADDED: "bias = torch.zeros(mask.shape).masked_fill(~mask, -math.inf)  # mask: True = may attend",
}
LARGEST_PANEL = 64  # positions; of a larger mask the part around the first finding is shown


def check_mask(
    mask: Tensor | BlockMask, *, dialect: str = "keep", pad: Tensor | None = None, causal: bool = False
) -> Report:
    """Look at a mask: inverted, off by one, the future or padding visible, empty rows, weak numbers, unclear shapes.

    ``dialect`` says who reads it: "keep" (True = may attend; a float is added), "block" (True = may not), "bias", or
    one of the libraries' forms in `masklab.doctor.reading.DIALECTS`. ``causal`` says that no query may see what comes
    after it. With fewer queries than keys, the queries are the last ones, as with a cache.
    Shapes: ``mask`` 1 to 4 axes of (batch, head, query, key), or a `BlockMask`; ``pad`` (batch, key) bool, True = a
    real token. Raises TypeError for another kind of tensor, ValueError for axes or numbers that are no mask.

    >>> check_mask(torch.ones(4, 4, dtype=torch.bool).tril(), causal=True).ok
    True
    >>> check_mask(torch.ones(4, 4, dtype=torch.bool).tril(1), causal=True).codes
    ('off-by-one',)
    """
    _check_arguments(mask, dialect, pad)
    kept, wrong = keeps(mask, dialect)
    pad = None if pad is None else pad.to(kept.device)
    four, axes, unclear = with_axes(kept, dialect, pad, causal)
    seen = Seen(_once(four), pad, causal, axes, dialect, _empty_gives(mask, dialect))
    found = [*wrong, unclear, *(check(seen) for check in CHECKS)]
    return diagnosis(filter(None, found), [_panel(seen)], _checked(seen))


def _check_arguments(mask: Tensor | BlockMask, dialect: str, pad: Tensor | None) -> None:
    """Refuse what is no mask, an unknown dialect, and padding that is not (batch, key) bool."""
    validate.one_of(tuple(DIALECTS), dialect=dialect)
    if not isinstance(mask, BlockMask):
        validate.tensor("mask", mask)
    if pad is not None:
        validate.bool_mask("pad", pad, true="a real token", axes=PADDING)


def _once(mask: Tensor) -> Tensor:
    """The mask without the copies that `Tensor.expand` made: an axis that says the same everywhere has size 1."""
    for axis in (0, 1):
        if mask.stride(axis) == 0:
            mask = mask.narrow(axis, 0, 1)
    return mask


def _empty_gives(mask: Tensor | BlockMask, dialect: str) -> str:
    """What a fully masked row gives: the dialect's, and the mean of all values where nothing is −∞."""
    added = DIALECTS[dialect].floats == ADDED
    if isinstance(mask, Tensor) and mask.is_floating_point() and added and not mask.isneginf().any():
        return UNIFORM
    return DIALECTS[dialect].empty


@dataclass(frozen=True, eq=False)
class Seen:
    """A mask as it is read, with what may be claimed of it: which keys are words, and that nothing sees the future.

    Shapes: ``kept`` (batch, head, query, key) bool, True = may attend; ``pad`` (batch, key), True = a real token.
    """

    kept: Tensor
    pad: Tensor | None
    causal: bool
    axes: tuple[str, ...]
    dialect: str
    empty: str

    @property
    def true(self) -> str:
        """What True does in this dialect."""
        return DIALECTS[self.dialect].true

    @property
    def queries(self) -> int:
        """How many queries the mask has."""
        return self.kept.shape[2]

    @property
    def keys(self) -> int:
        """How many keys the mask has."""
        return self.kept.shape[3]

    @property
    def of_keys(self) -> bool:
        """Whether it says nothing about queries: one row serves all of them.

        One row is read as one query, the newest, unless the newest key of some sentence is padding.
        """
        padded = self.pad is not None and not self.pad[:, -1].all()
        return "query" not in self.axes or (self.queries == 1 < self.keys and padded)

    @property
    def offset(self) -> int:
        """The position of query 0 among the keys: with a cache, the queries are the last ones."""
        return max(self.keys - self.queries, 0)

    @cached_property
    def key_is_word(self) -> Tensor:
        """Shape: (batch, 1, 1, key)."""
        if self.pad is None:
            return self.kept.new_ones(1, 1, 1, self.keys)
        return self.pad[:, None, None, :]

    @cached_property
    def query_is_word(self) -> Tensor:
        """Shape: (batch, 1, query, 1). Queries are the last keys, if that can be."""
        ours = self.queries == self.keys or (self.causal and 1 < self.queries < self.keys)
        if self.pad is None or self.of_keys or not ours:
            return self.kept.new_ones(1, 1, 1, 1)
        return self.key_is_word[..., self.offset :].mT

    @cached_property
    def ahead(self) -> Tensor:
        """How far each key is after its query, (query, key): 0 is the query itself, 1 the next position."""
        places = torch.arange(self.keys, device=self.kept.device)
        return places - (torch.arange(self.queries, device=self.kept.device) + self.offset)[:, None]

    @cached_property
    def real(self) -> Tensor:
        """The pairs of a real query and a real key."""
        return self.query_is_word & self.key_is_word

    @cached_property
    def future(self) -> Tensor:
        """What real queries see of the future, where that is forbidden."""
        return self.kept & self.query_is_word & (self.ahead > 0) & (self.causal and not self.of_keys)

    @cached_property
    def pads(self) -> Tensor:
        """What real queries see of the padding."""
        return self.kept & self.query_is_word & ~self.key_is_word

    def all_pairs(self, cells: Tensor) -> Tensor:
        """Cells for every sentence and head that the mask has."""
        return torch.broadcast_tensors(cells, self.kept)[0]  # broadcast_shapes would import sympy: seconds

    def at(self, found: Tensor) -> str:
        """The first of these pairs or rows in words, and how many more there are.

        Shape: (batch, head, query, key), or (batch, head, query).
        """
        several = (len(found) > 1, found.shape[1] > 1, self.queries > 1, True)
        places = zip(validate.AXES, found.nonzero()[0].tolist(), several, strict=False)
        words = [f"{'sentence' if axis == 'batch' else axis} {i}" for axis, i, said in places if said]
        more = int(found.sum()) - 1
        kind = "more pair" if found.ndim == 4 else "more row"
        return (", ".join(words) or "its only row") + f" and {counted(more, kind)}" * bool(more)


# --- The checks, in the order in which they are told ------------------------------------------------------------------


def _inverted(seen: Seen) -> Finding | None:
    """Padding is seen and words are not; or the future is, and the past is not."""
    pads = seen.kept & ~seen.key_is_word
    if pads.any() and seen.key_is_word.any() and not (seen.kept & seen.key_is_word).any():
        says = "Queries see only padding, and no real token is seen at all: True means the opposite here."
        return finding("inverted", f"{says} {_how_read(seen)}", where=seen.at(pads), fix=FIXES[seen.true])
    if _sees_only_the_future(seen):
        says = "Queries see what comes after them and not what came before: True means the opposite here."
        where = seen.at(seen.kept & (seen.ahead > 0))
        return finding("inverted", f"{says} {_how_read(seen)}", where=where, fix=FIXES[seen.true])
    return None


def _sees_only_the_future(seen: Seen) -> bool:
    """Whether all of the future is seen, and the query itself or the past is not; if not told that it is to be causal,
    only the exact opposite of a causal mask is: nobody would want that.
    """
    if not seen.causal:
        return seen.queries == seen.keys > 1 and torch.equal(seen.kept, (seen.ahead > 0).expand_as(seen.kept))
    future = seen.real & (seen.ahead > 0)
    own, past = (bool((seen.kept & seen.real & where).any()) for where in (seen.ahead == 0, seen.ahead < 0))
    return bool(future.any()) and not (future & ~seen.kept).any() and not (own and past)


def _how_read(seen: Seen) -> str:
    """How the dialect reads True."""
    means = {KEEP: "may attend", BLOCK: "must not attend", ADDED: "1 is added"}[seen.true]
    return f"(Read as {seen.dialect}: True = {means}.)"


def _off_by_one(seen: Seen) -> Finding | None:
    """The diagonal is one too far, or one short."""
    if not seen.causal or seen.keys == 1:
        return None
    leaks = _one_too_far(seen)
    if leaks.any():
        says = "Each query sees one position too many, the next one: the very token that it should predict."
        return finding("off-by-one", says, where=seen.at(leaks))
    if _is_short(seen):
        says = "No query sees itself: the diagonal is one short, and the first word sees nothing at all."
        return finding("off-by-one", says, where=seen.at(seen.all_pairs(seen.real & (seen.ahead == 0))))
    return None


def _one_too_far(seen: Seen) -> Tensor:
    """The pairs in which queries see the next position, if most of them do, and none sees more: else no pair."""
    following = seen.all_pairs(seen.real & (seen.ahead == 1))
    leaks = seen.future & following
    more = (seen.future & (seen.ahead > 1)).any()
    return leaks if 2 * leaks.sum() > following.sum() and not more else leaks & False


def _is_short(seen: Seen) -> bool:
    """Whether a causal mask ends one position before the query itself."""
    own, before = (seen.all_pairs(seen.real & (seen.ahead == step)) for step in (0, -1))
    itself = seen.kept & seen.query_is_word & (seen.ahead >= 0)
    most = 2 * int((seen.kept & before).sum()) > int(before.sum())
    return seen.causal and most and bool(own.any()) and not itself.any()


def _misaligned(seen: Seen) -> Finding | None:
    """Fewer queries than keys, and the causal triangle begins at the upper left, where the cache is."""
    if not seen.causal or seen.of_keys or seen.offset == 0:
        return None
    upper_left = seen.ahead + seen.offset <= 0
    if not seen.key_is_word[..., seen.queries :].any():
        return None  # the rest of the cache is empty
    if (seen.kept != (upper_left & seen.key_is_word)).any():
        return None
    last = seen.queries - 1
    says = (
        f"There is a mask for {counted(seen.queries, 'query', 'queries')} and {seen.keys} keys, "
        f"and query {last} sees no key after {last}. "
        "Behind a cache, where the queries are the newest tokens, they miss themselves. (Is its end empty? Pass pad.)"
    )
    return finding("misaligned-cache", says, where=f"query {last}", severity=WARNING)  # a cache may be partly empty


def _future_visible(seen: Seen) -> Finding | None:
    """A real query sees what comes after it."""
    if seen.causal and seen.of_keys and seen.dialect not in CAUSAL_ELSEWHERE:
        says = "The mask says the same for all queries, because it has no axis for them: each sees every later word."
        return finding("future-visible", says, where=f"axes ({', '.join(seen.axes)})")
    if not seen.future.any() or _one_too_far(seen).any():
        return None
    far = int(seen.ahead.expand_as(seen.future)[seen.future].max())
    says = f"A query sees what comes after it, up to {counted(far, 'position')} ahead: it can read the answer."
    return finding("future-visible", says, where=seen.at(seen.future))


def _pad_visible(seen: Seen) -> Finding | None:
    """A real query sees padding; padding in the future is the future's fault."""
    pads = seen.pads & (seen.ahead <= 0) if seen.causal and not seen.of_keys else seen.pads
    if not pads.any():
        return None
    says = "A real token attends to padding, and part of its weight goes there: its output depends on the padding."
    return finding("pad-visible", says, where=seen.at(pads))


def _empty_row(seen: Seen) -> Finding | None:
    """A fully masked row: for a word always an error, for padding only where it gives NaN.

    Nobody reads the output at padding, so there it matters what the library gives. Zeros, or the mean of all values,
    stay where they are. NaN doesn't: in the next layer it is a value with the weight 0, and 0 · NaN is NaN.
    """
    empty = ~seen.kept.any(dim=-1)  # (batch, head, query)
    if _is_short(seen):  # the first word's row is told already
        empty = empty & (~seen.query_is_word | (seen.real & (seen.ahead < 0))).any(dim=-1)
    real = empty & ~_is_padding(seen)
    if real.any():
        gives = f"{seen.empty}, or NaN where the softmax is written by hand" if seen.empty != NAN else NAN
        hint = " If it is padding, pass pad." if seen.pad is None else ""
        says = f"A query that may attend to nothing: its softmax is 0/0, which gives {gives}.{hint}"
        return finding("empty-row", says, where=seen.at(real))
    if not empty.any():
        return None
    if seen.empty == NAN:
        says = "Padding queries may attend to nothing, which can give NaN here. One layer on, 0 · NaN is NaN for all."
        return finding("empty-row", says, where=seen.at(empty), severity=WARNING)
    says = f"Padding queries may attend to nothing, which gives {seen.empty} here. A softmax written by hand gives NaN."
    return finding("empty-row", says, where=seen.at(empty), severity=NOTE)


def _is_padding(seen: Seen) -> Tensor:
    """Which queries are padding: as ``pad`` says, or positions that neither see nor are seen. (batch, head, query)."""
    if seen.pad is not None:
        return ~seen.query_is_word[..., 0]
    if seen.queries != seen.keys:
        return seen.kept.new_zeros(1, 1, 1)
    alone = ~seen.kept.any(dim=-1) & ~seen.kept.any(dim=-2)
    return alone & seen.kept.any(dim=(-1, -2))[..., None]  # where all are alone, none is padding


def _over_blocked(seen: Seen) -> Finding | None:
    """Less is seen than may be: a real token that nobody sees is a fault, a window is not."""
    if seen.pad is None and (seen.of_keys or not seen.causal):
        return None
    past = seen.causal and not seen.of_keys
    missing = seen.all_pairs(seen.real & (seen.ahead <= 0) if past else seen.real) & ~seen.kept
    if not missing.any():
        return None
    unseen = _unseen_words(seen) & missing
    if unseen.any():
        says = "No query sees this real token: the mask treats it as padding."
        return finding("over-blocked", says, where=seen.at(unseen), severity=WARNING)
    most = int((seen.kept & seen.key_is_word).sum(-1).max())
    says = f"Queries see less than they may, {most} at most: right for a window or packed documents, otherwise a fault."
    return finding("over-blocked", says, where=seen.at(missing))


def _unseen_words(seen: Seen) -> Tensor:
    """The real keys that no query of their sentence sees, (batch, 1, 1, key); none behind a cache, or without ``pad``.

    A word whose own query sees nothing either is left out: that fully masked row is told already.
    """
    unseen = ~seen.kept.any(dim=(1, 2), keepdim=True) & seen.key_is_word
    if seen.pad is None or (seen.causal and seen.offset):
        return unseen & False
    return unseen & seen.kept.any(dim=(1, 3))[:, None, None] if seen.queries == seen.keys else unseen


CHECKS: tuple[Callable[[Seen], Finding | None], ...] = (
    _inverted, _misaligned, _off_by_one, _future_visible, _pad_visible, _empty_row, _over_blocked,
)  # fmt: skip


# --- What was checked, and the picture --------------------------------------------------------------------------------


def _checked(seen: Seen) -> list[str]:
    """What was looked at, and how the mask was read."""
    axes = "one query, the newest" if seen.queries == 1 and not seen.of_keys else f"({', '.join(seen.axes)})"
    future = seen.causal and not (seen.of_keys and seen.dialect in CAUSAL_ELSEWHERE)
    looked = [f"the numbers (read as {seen.dialect})", f"the axes (read as {axes.strip('()')})", "fully masked rows"]
    return looked + ["the future"] * future + ["padding"] * (seen.pad is not None) + ["positions count from 0"]


def _panel(seen: Seen) -> Panel:
    """Who may attend to whom in the first sentence and head with a fault, and where that is wrong."""
    wrong, missed = _marks(seen)
    places = (wrong if wrong.any() else missed).nonzero()
    b, h, q, k = places[0].tolist() if len(places) else (0, 0, 0, 0)
    rows, columns = (slice(max(0, min(i - 9, n - LARGEST_PANEL)), None) for i, n in ((q, seen.queries), (k, seen.keys)))
    cut = (slice(rows.start, rows.start + LARGEST_PANEL), slice(columns.start, columns.start + LARGEST_PANEL))

    def part(cells: Tensor) -> Tensor:
        return cells[min(b, len(cells) - 1), min(h, cells.shape[1] - 1)][cut].cpu()

    def pads(are_words: Tensor, at: slice) -> list[bool]:
        return (~are_words[min(b, len(are_words) - 1)].flatten()[at]).tolist() if are_words.numel() > 1 else []

    kept, extra, less = part(seen.kept), part(wrong), part(missed)
    names = [[str(i) for i in range(at.start, at.start + n)] for at, n in zip(cut, kept.shape, strict=True)]
    marks = torch.full(kept.shape, NOT_MARKED, dtype=torch.uint8)
    several = [f"sentence {b}"] * (len(wrong) > 1) + [f"head {h}"] * (wrong.shape[1] > 1)
    return Panel(
        name="mask", kind="bool", values=kept, blocked=~kept, rows=names[0], columns=names[1],
        marks=marks.masked_fill(less, MISSED).masked_fill(extra, EXTRA), start=(rows.start, columns.start),
        title=", ".join(["mask", *several]), meaning="True = may attend. “!” must not be seen, “✗” is missing.",
        axes=("query", "key"), say="{}", row_pads=pads(seen.query_is_word, cut[0]),
        column_pads=pads(seen.key_is_word, cut[1]),
    )  # fmt: skip


def _marks(seen: Seen) -> tuple[Tensor, Tensor]:
    """Which pairs are seen and must not be, and which query misses itself because its row is empty."""
    empty = ~seen.kept.any(dim=-1, keepdim=True) & seen.real & (seen.ahead == 0)
    return seen.all_pairs(seen.pads | seen.future), seen.all_pairs(empty)
