"""What a page says to the kernel, and what the kernel keeps of it: a small state machine, with no widget.

A page sends one message at a time, and sends it again until it is answered:
``{"page": …, "number": …, "serial": …, "changes": {…}}``. ``page`` is a name that it gave itself. ``number`` counts
its messages, so a message that comes twice is merged once. ``serial`` says which picture the page has, so one that
was lost is sent again. ``changes`` are new values for some keys of the state; without any, the page only asks
whether the kernel is there. The answer is the number, in ``answered``.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, compress
from typing import Any

MOST_PAGES = 16  # as many are remembered: the last ones that said something
NAME_LENGTH = 64  # of a page's name
MOST_PARTS = 200_000  # in one value: a painted mask of 256 × 256 cells has 196,609 lists and numbers
MOST_TEXT = 1_000_000  # characters in one value; no page sends so much in one message
DEEPEST = 4  # lists in lists
LARGEST = 2**53  # a page counts its messages up to here
TEXT: frozenset[type] = frozenset({str})
LISTS: frozenset[type] = frozenset({list, tuple})
NUMBERS: frozenset[type] = frozenset({int, float, bool, type(None)})


@dataclass(frozen=True)
class Message:
    """One message of a page; ``serial`` is None when the page must get everything again."""

    page: str
    number: int
    serial: int | None
    changes: Mapping[str, Any]


def read(content: Any) -> Message | None:
    """A message as it came; None for one that nobody waits for. Changes that are no dict count as none.

    >>> read({"page": "a", "number": 1, "serial": 5, "changes": {"seed": 3}})
    Message(page='a', number=1, serial=5, changes={'seed': 3})
    >>> read({"page": "a", "number": 2, "changes": "nonsense"})
    Message(page='a', number=2, serial=None, changes={})
    >>> read({"number": "two"}) is None
    True
    """
    if not isinstance(content, Mapping):
        return None
    page, number, serial, changes = (content.get(name) for name in ("page", "number", "serial", "changes"))
    if not isinstance(page, str) or len(page) > NAME_LENGTH or type(number) is not int or not 0 < number <= LARGEST:
        return None
    if not isinstance(changes, Mapping):
        return Message(page, number, None, {})
    return Message(page, number, serial if type(serial) is int else None, changes)


def is_new(answered: Mapping[str, int], message: Message) -> bool:
    """Whether a message was not answered before; ``answered`` has the last number of each page.

    >>> is_new({"a": 4}, Message("a", 4, None, {})), is_new({"a": 4}, Message("b", 1, None, {}))
    (False, True)
    """
    return message.number > answered.get(message.page, 0)


def answer(answered: Mapping[str, int], message: Message) -> dict[str, int]:
    """The last number of each page once this message is answered; a page that was long silent is forgotten.

    >>> answer({"a": 4, "b": 2}, Message("a", 5, None, {}))
    {'b': 2, 'a': 5}
    """
    others = {page: number for page, number in answered.items() if page != message.page}
    last = max(message.number, answered.get(message.page, 0))
    return dict(list(others.items())[1 - MOST_PAGES :]) | {message.page: last}


def merge(state: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The state with what a page changed. Keys that it doesn't have, and values that don't fit, are left out.

    >>> merge({"seed": 1, "painted": []}, {"seed": 3, "painted": "all", "__proto__": {}})
    {'seed': 3, 'painted': []}
    """
    return {
        key: changes[key] if key in changes and _kind(changes[key]) is _kind(old) and is_bounded(changes[key]) else old
        for key, old in state.items()
    }


def is_bounded(value: Any) -> bool:
    """Whether a value is plain and small enough to be kept and sent to every page; it takes some 20 ms at most.

    Plain are text, finite numbers, True, False, None, and lists of such.

    >>> is_bounded([[0, 1], [2, 3]]), is_bounded(float("nan")), is_bounded("x" * 2_000_000)
    (True, False, False)
    """
    level, parts, text = [value], 1, 0
    for _ in range(DEEPEST + 1):
        texts, lists, numbers = (list(_of_types(level, types)) for types in (TEXT, LISTS, NUMBERS))
        parts, text = parts + sum(map(len, lists)), text + sum(map(len, texts))
        if parts > MOST_PARTS or text > MOST_TEXT or len(texts) + len(lists) + len(numbers) < len(level):
            return False
        if not _are_finite(numbers) or not _is_whole("".join(texts)):
            return False
        level = list(chain.from_iterable(lists))
    return not level


def _kind(value: Any) -> type:
    """What JSON calls a value: one type for all numbers, and one for all lists."""
    if isinstance(value, bool) or not isinstance(value, int | float | list | tuple):
        return type(value)
    return list if isinstance(value, list | tuple) else float


def _of_types(values: Iterable, types: frozenset[type]) -> Iterable:
    """The values of these types; a subclass is another type."""
    return compress(values, map(types.__contains__, map(type, values)))


def _are_finite(numbers: Iterable) -> bool:
    """Whether a page can read all these numbers back; None counts as one."""
    try:
        return all(map(math.isfinite, filter(None, numbers)))
    except OverflowError:  # an integer of more than 308 digits
        return False


def _is_whole(text: str) -> bool:
    """Whether a text can be sent: half of a pair that makes one character can't."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
