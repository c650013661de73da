"""The doctor's bench on a small scale, the docs page's table, and what causal-certificate can't see."""

import re

import torch
from causal_certificate import certify
from transformers import logging  # the zoo has its models: with LESSON this file is left out

from masklab.threads import one_thread
from tests.bench import doctor as bench
from tests.bench import report
from tests.bench.__main__ import PAGES
from tests.bench.report import END, START
from tests.doctor import zoo
from tests.doctor.patients import BUGS, SEEDS

logging.set_verbosity_error()
PAGE = next(page for page, parts in PAGES.items() if "doctor_zoo" in parts).read_text(encoding="utf-8")


def quiet(what):
    """Nobody is told what is going on."""


def test_four_ways_are_timed_and_find_the_same():
    costs = bench.costs([(8, 1)], quiet, rounds=1)
    assert all(0 < seconds < 60 for seconds in costs[8, 1].values())
    ways, triangle = bench.ways_of(8, 1), torch.ones(8, 8, dtype=torch.bool).tril()
    assert ways["check_model"]().ok and ways["certificate"]().ok
    assert (ways["matrix"]() == triangle).all() and (ways["loop"]() == triangle).all()
    (row,) = report.doctor_costs(costs).rows
    assert row[:2] == ["8", "1"] and len(row) == len(report.doctor_costs(costs).header)


def test_each_bug_is_found_as_its_codes():
    with one_thread():
        rows = dict(zip(("ill", "healthy"), report.doctor_compared(bench.compared(quiet, seeds=1)).rows, strict=True))
    assert rows["ill"][1] == rows["ill"][2] and rows["healthy"][1] == rows["healthy"][2], "the doctor is right"
    assert "leak behind a nan" in rows["ill"][4]
    found = {"a mask is inverted": bench.Found(2, 3, bench.Counter({"inverted": 6})), "healthy": bench.Found(
        4, 3, bench.Counter())}  # fmt: skip
    assert report.doctor_zoo(found).rows == [
        ["a mask is inverted", "2 × 3", "`inverted` 6"], ["healthy", "4 × 3", "nothing: 0 of 12"],
    ]  # fmt: skip


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
