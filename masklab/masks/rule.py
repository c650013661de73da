"""What a mask is: a rule on indices that composes with others, gives a tensor, and describes itself in words."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from masklab import validate

Predicate = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

CELLS_AT_ONCE = 2**19  # 512 KiB of bool: what a rule computes on its way stays in the processor's cache
OPPOSITE = {"every": "none", "none": "every"}


@dataclass(frozen=True, eq=False)  # two rules are the same if they are one object: functions cannot be compared
class Rule:
    """A rule that says which query may attend to which key.

    ``mask_mod(b, h, q, k)`` takes index tensors that broadcast, and gives a bool tensor, True = may
    attend: the signature of FlexAttention's ``mask_mod``. ``meaning`` says the rule in words. ``batch``
    and ``heads`` are how many it knows, ``device`` where its tables are; None means any. ``offset`` is
    the position of query 0 among the keys. ``joint`` and ``parts`` keep how it was composed.
    Rules compose with ``&``, ``|`` and ``~``; ValueError if their batches, heads, offsets or devices
    differ. They have no truth value. They cannot be pickled because they hold closures: make them
    again, or pickle the tensor.

    >>> from masklab.masks import causal, padding
    >>> both = causal() & padding(torch.tensor([2]), total=4)
    >>> both.tensor(batch=1, queries=4, keys=4).int()[0, 0]
    tensor([[1, 0, 0, 0],
            [1, 1, 0, 0],
            [1, 1, 0, 0],
            [1, 1, 0, 0]], dtype=torch.int32)
    >>> both.meaning
    'the key is not after the query and the key is a word'
    """

    mask_mod: Predicate
    meaning: str
    batch: int | None = None
    heads: int | None = None
    offset: int = 0
    device: torch.device | None = None
    joint: str = field(default="", repr=False)  # "and", "or", "not"; "every" for everything(); "" for other rules
    parts: tuple["Rule", ...] = field(default=(), repr=False)

    def tensor(
        self, *, batch: int | None = None, heads: int | None = None, queries: int, keys: int,
        device: torch.device | str | None = None,
    ) -> Tensor:  # fmt: skip
        """The rule for every pair of positions.

        Shape: (batch, heads, queries, keys) bool, True = may attend. By default ``batch`` and ``heads``
        are what the rule knows, or 1, and ``device`` is where its tables are, or torch's default.
        Extra positions are truncated. An axis that the rule does not look at is a view
        (`Tensor.expand`): clone before you write. Raises ValueError for sizes that the rule does not
        know or that are no integers, TypeError for a rule that does not give a bool tensor.

        >>> from masklab.masks import causal
        >>> causal().tensor(queries=2, keys=2)
        tensor([[[[ True, False],
                  [ True,  True]]]])
        """
        batch, heads = agreed(self.batch, batch), agreed(self.heads, heads, "head")
        shape = (1 if batch is None else batch, 1 if heads is None else heads, queries, keys)
        validate.at_least(0, batch=shape[0], heads=shape[1], queries=queries, keys=keys)
        try:
            return _cells(self, shape, self.device or device).to(device=device).expand(shape)
        except IndexError as error:
            raise ValueError(f"the rule does not know all of {queries} queries and {keys} keys: {error}.") from error

    def __and__(self, other: "Rule") -> "Rule":
        """Allowed by both rules."""
        return _composed("and", self, other, lambda b, h, q, k: self.mask_mod(b, h, q, k) & other.mask_mod(b, h, q, k))

    def __or__(self, other: "Rule") -> "Rule":
        """Allowed by either rule."""
        return _composed("or", self, other, lambda b, h, q, k: self.mask_mod(b, h, q, k) | other.mask_mod(b, h, q, k))

    def __invert__(self) -> "Rule":
        """Allowed where the rule blocks, and blocked where it allows."""
        rule, meaning = lambda b, h, q, k: ~self.mask_mod(b, h, q, k), f"not ({self.meaning})"
        return replace(self, mask_mod=rule, meaning=meaning, joint="not", parts=(self,))

    def __bool__(self) -> bool:
        """Refuse: with ``and``, ``or`` and ``not`` Python would ask for a truth value, and lose a rule silently."""
        raise TypeError(
            "a rule has no truth value: write & for and, | for or, ~ for not; rule is not None asks for one."
        )


def _cells(mask: Rule, shape: tuple[int, int, int, int], device: torch.device | str | None) -> Tensor:
    """What the rule gives for every index. Shape: broadcasts to ``shape``.

    A rule on its own is one comparison, made at once. A composed rule makes a tensor for each of
    its parts: a large one is computed some rows at a time, so that the parts stay in the processor's
    cache, and take little memory.
    """
    b, h, q, k = _indices(shape, device)
    if not mask.joint or math.prod(shape) <= CELLS_AT_ONCE:
        return _given(mask, b, h, q, k)
    some = _given(mask, b, h, q[:2], k)  # two queries show on which axes the rule depends
    if some.ndim < 2 or some.shape[-2] == 1:
        return some  # not on the query: it is the same for all of them
    cells = torch.empty((*some.shape[:-2], len(q), some.shape[-1]), dtype=some.dtype, device=some.device)
    cells_in_a_row = cells.numel() // len(q)  # of all sentences and heads: they are computed together
    rows = max(1, CELLS_AT_ONCE // cells_in_a_row)
    for block, some_q in zip(cells.split(rows, dim=-2), q.split(rows), strict=True):
        block.copy_(_given(mask, b, h, some_q, k))
    return cells


def _indices(shape: tuple[int, int, int, int], device: torch.device | str | None) -> tuple[Tensor, ...]:
    """The indices b, h, q and k of every cell. Shapes: (batch, 1, 1, 1), (heads, 1, 1), (queries, 1), (keys,)."""
    batch, heads, queries, keys = shape
    k = torch.arange(keys, device=device)
    q = k if queries == keys else torch.arange(queries, device=device)
    b, h = torch.arange(batch, device=device), torch.arange(heads, device=device)
    return b.view(-1, 1, 1, 1), h.view(-1, 1, 1), q.view(-1, 1), k


def _given(mask: Rule, b: Tensor, h: Tensor, q: Tensor, k: Tensor) -> Tensor:
    """What the rule gives for these indices, if it is a bool tensor."""
    cells = mask.mask_mod(b, h, q, k)
    if not isinstance(cells, Tensor) or cells.dtype != torch.bool:
        raise TypeError(
            f"a rule must give a bool tensor, True = may attend; “{mask.meaning}” gives {validate.got(cells)}."
        )
    return cells


def _composed(joint: str, first: Rule, second: Rule, mask_mod: Predicate) -> Rule:
    """One rule made of two."""
    if not isinstance(second, Rule):
        raise TypeError(f"a rule composes with a rule, got {validate.got(second)}. Make a tensor of the rule first.")
    meaning = f"{first.meaning} {joint} {second.meaning}"
    return Rule(
        mask_mod,
        f"({meaning})" if joint == "or" else meaning,
        batch=agreed(first.batch, second.batch),
        heads=agreed(first.heads, second.heads, "head"),
        offset=_common_offset(first, second),
        device=_common_device(first, second),
        joint=joint,
        parts=(first, second),
    )


def agreed(first: int | None, second: int | None, what: str = "sentence") -> int | None:
    """The one number of sentences, or of heads, that two parts agree on; None agrees with any.

    Raises ValueError if they disagree; ``what`` is what is counted, for the message.

    >>> agreed(2, None), agreed(None, None)
    (2, None)
    >>> agreed(2, 3)
    Traceback (most recent call last):
    ValueError: a rule for 2 sentences does not fit a batch of 3.
    """
    if first is not None and second is not None and first != second:
        wanted = f"a batch of {second}" if what == "sentence" else _many(second, what)
        raise ValueError(f"a rule for {_many(first, what)} does not fit {wanted}.")
    return second if first is None else first


def _many(count: int, what: str) -> str:
    """A number of things: 1 head, 2 heads."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _common_offset(first: Rule, second: Rule) -> int:
    """Where query 0 of both rules is; a rule that does not look at the query agrees with any."""
    if first.offset == second.offset:
        return first.offset
    looking = [rule for rule in (first, second) if looks_at_the_query(rule)]
    if len(looking) == 2:
        raise ValueError(
            f"query 0 must be at one position, got {first.offset} in “{first.meaning}” and {second.offset} in "
            f"“{second.meaning}”. Compose rules without an offset, and then use offset_queries(rule, offset=…)."
        )
    return looking[0].offset if looking else 0


def looks_at_the_query(rule: Rule) -> bool:
    """Whether the rule gives a row for each query, or one for all.

    >>> from masklab.masks import causal, padding
    >>> looks_at_the_query(causal()), looks_at_the_query(padding(torch.tensor([2]), total=4))
    (True, False)
    """
    b, h, q, k = _indices((1, 1, 2, 0), rule.device)
    try:
        return _given(rule, b, h, q, k).shape[-2:-1] == (2,)
    except IndexError:  # its table does not know two queries
        return True


def _common_device(first: Rule, second: Rule) -> torch.device | None:
    """Where the tables of both rules are."""
    if None not in (first.device, second.device) and first.device != second.device:
        raise ValueError(
            f"the tables of composed rules must be on one device, got {first.device} and {second.device}. "
            "Move what the rules are made of."
        )
    return first.device or second.device


def describe(mask: Rule) -> str:
    """Say in one sentence what a query may see.

    Where "and" and "or" mix, brackets show what belongs together; parts that decide nothing are left out.

    >>> from masklab.masks import causal, diagonal, padding
    >>> words = padding(torch.tensor([2]), total=3)
    >>> print(describe(causal() & words))
    A query may attend to a key if the key is not after the query and the key is a word.
    >>> print(describe(causal() & (words | diagonal())))  # doctest: +NORMALIZE_WHITESPACE
    A query may attend to a key if the key is not after the query
    and (the key is a word or the key is the query itself).
    >>> print(describe(causal(offset=5)))
    A query may attend to a key if the key is not after the query, where query 0 is at position 5.
    >>> print(describe(~diagonal()))
    A query may attend to a key unless the key is the query itself.
    >>> print(describe(causal() & ~everything()))
    A query may attend to no key.
    """
    where = f", where query 0 is at position {mask.offset}" if mask.offset else ""
    mask = _simplified(mask)
    if mask.joint in OPPOSITE:
        return f"A query may attend to {'every' if mask.joint == 'every' else 'no'} key."
    if mask.joint == "not":
        return f"A query may attend to a key unless {_clause(mask.parts[0])}{where}."
    return f"A query may attend to a key if {_clause(mask)}{where}."


def _simplified(mask: Rule) -> Rule:
    """The rule for its words alone: parts that allow every key, or none, decide all of it or nothing."""
    parts = [_simplified(part) for part in mask.parts]
    if mask.joint == "not" and parts[0].joint in OPPOSITE:
        return replace(mask, joint=OPPOSITE[parts[0].joint], parts=())
    if mask.joint in ("and", "or"):
        idle = "every" if mask.joint == "and" else "none"
        deciding = [part for part in parts if part.joint == OPPOSITE[idle]]
        parts = deciding[:1] or [part for part in parts if part.joint != idle] or parts[:1]
        if len(parts) == 1:
            return parts[0]
    return replace(mask, parts=tuple(parts))


def _clause(mask: Rule) -> str:
    """The rule as a part of a sentence; what is joined by another word than its neighbours stands in brackets."""
    if not mask.parts:
        return mask.meaning
    if mask.joint == "not":
        return f"it is not true that ({_clause(mask.parts[0])})"
    other = "or" if mask.joint == "and" else "and"
    return f" {mask.joint} ".join(f"({_clause(part)})" if part.joint == other else _clause(part) for part in mask.parts)


def everything() -> Rule:
    """Every query may attend to every key: no mask at all.

    >>> bool(everything().tensor(queries=3, keys=5).all())
    True
    """

    def allowed(b, h, q, k):
        return torch.ones_like(b, dtype=torch.bool)

    return Rule(allowed, "every key is allowed", joint="every")
