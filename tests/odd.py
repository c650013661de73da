"""Messages and values that no page of ours sends: from a broken page, or from somebody who tries."""

import math

DEEP: list = []
for _ in range(300):
    DEEP = [DEEP]

# For a key of a state, whatever kind of value it should have.
VALUES = {
    "none": None, "true": True, "zero": 0, "minus": -1, "half": 0.5, "nan": math.nan, "infinity": math.inf,
    "minus infinity": -math.inf, "huge float": 1e308, "huge integer": 10**400, "2**64": 2**64, "empty text": "",
    "text": "abc", "number as text": "3", "markup": "<img src=x onerror=alert(1)>", "zero byte": "a\x00b",
    "half a pair": "\ud800", "halves of pairs": ["a \ud800"],
    "long text": "x" * 1_500_000, "no list": {}, "prototype": {"__proto__": {"seed": 5}},
    "array-like": {"length": 3, "0": "a"}, "empty list": [], "list of numbers": [1, 2, 3], "list of none": [None] * 3,
    "mixed list": ["a", 1, None, [2], {}], "list of lists of text": [["a", "b"]], "pairs": [[0, 1], [1, 0]],
    "pairs far away": [[-1, 10**9], [2**40, 0]], "halves": [[0.5, 0.5]], "ragged": [[], [1], [1, 2, 3]],
    "deep list": DEEP, "many texts": ["word"] * 5_000, "many cells": [[i % 256, i // 256] for i in range(100_000)],
}  # fmt: skip
# The whole content of a message.
CONTENTS = [
    None, 0, "edit", [], {}, {"page": "odd"}, {"number": 1}, {"page": 1, "number": 1}, {"page": "odd", "number": "1"},
    {"page": "odd", "number": True}, {"page": "odd", "number": -1}, {"page": "odd", "number": 0.5},
    {"page": "x" * 1000, "number": 1}, {"page": None, "number": None, "serial": None, "changes": None},
]  # fmt: skip
# The changes of a message that is right otherwise.
CHANGES = [
    None, 0, "seed", [], [["seed", 3]], {}, {"": 1}, {"unheard of": 1}, {"__proto__": {"seed": 5}},
    {"constructor": {"prototype": {}}}, {"__class__": "x", "__dict__": {}}, {f"key {i}": i for i in range(10_000)},
]  # fmt: skip
