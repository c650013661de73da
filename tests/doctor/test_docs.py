"""The docs page: its ten lines run as they stand, and its table has every code."""

import re
from pathlib import Path

import masklab.doctor
from masklab.doctor import CODES
from masklab.doctor.reading import ADDED, BLOCK, DIALECTS, KEEP, REFUSED

PAGE = (Path(masklab.doctor.__file__).parent / "README.md").read_text(encoding="utf-8")


def test_the_lines_for_a_test_suite_run():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names: dict = {}
    exec(code, names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()


def test_every_code_is_in_the_table_with_its_severity():
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (error|warning|note) \|", PAGE, flags=re.MULTILINE)
    assert rows == [(code, CODES[code].severity) for code in CODES]


def test_the_table_of_dialects_says_what_the_code_does():
    words = {KEEP: "may attend", BLOCK: "must not attend", ADDED: "is added", REFUSED: "is refused"}
    rows = re.findall(r"^\| (`keep`.*|`b.*|`t.*|`j.*) \| ([^|]+) \| ([^|]+) \|$", PAGE, flags=re.MULTILINE)
    told = {name: row[1:] for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert told.keys() == DIALECTS.keys()
    for name, (true, floats) in told.items():
        how = DIALECTS[name]
        assert true.startswith(words[how.true]) and floats.endswith(words[how.floats]), name
