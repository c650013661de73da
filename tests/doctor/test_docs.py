"""The docs page: its ten lines run as they stand, and its table has every code."""

import re
from pathlib import Path

import torch
from causal_certificate import certify

import masklab.doctor
from masklab.doctor import CODES
from masklab.doctor.reading import ADDED, BLOCK, DIALECTS, KEEP, REFUSED
from tests.bench import doctor as bench
from tests.bench.report import END, START
from tests.doctor import zoo
from tests.doctor.patients import BUGS, SEEDS

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


def test_the_zoos_table_has_every_bug_that_is_planted_and_finds_it():
    """It is written by `make bench`: whoever plants another mistake runs that again."""
    part = PAGE[PAGE.index(START) : PAGE.index(END)]
    rows = dict(re.findall(r"^\| ([^|]+) \| (\d+ × \d+ \| .*) \|$", part, flags=re.MULTILINE))
    assert list(rows) == [*BUGS, "healthy"]
    for bug in BUGS:
        planted = [one for part in bench.ZOOS for one in part.ill.values() if one.bug == bug]
        assert rows[bug].startswith(f"{len(planted)} × {SEEDS} |"), bug
        counts = {code: int(count) for code, count in re.findall(r"`([a-z0-9-]+)` (\d+)", rows[bug])}
        for code in {one.code for one in planted}:
            assert counts[code] >= SEEDS * sum(one.code == code for one in planted), bug
    assert rows["healthy"].split(" | ")[1].startswith("nothing: 0 of")


def test_a_nan_hides_a_leak_from_causal_certificate_and_an_id_does_too():
    hidden = zoo.leak_behind_a_nan(0, torch.float32)
    assert "future-visible" in hidden.report().codes
    assert certify(*bench.on_vectors(hidden.model, hidden.inputs)).ok
    past = zoo.second_table_of_the_next_id(0, torch.float32)
    assert not past.report().ok and certify(*bench.on_vectors(past.model, past.inputs)).ok
    open_future = zoo.no_mask(0, torch.float32)
    assert not certify(*bench.on_vectors(open_future.model, open_future.inputs)).ok
