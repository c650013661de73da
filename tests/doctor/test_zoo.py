"""The zoo: every planted mistake is found under its code, and no healthy patient is called ill."""

import pytest

from masklab.doctor import CODES
from tests.doctor import zoo, zoo_losses, zoo_masks
from tests.doctor.patients import BUGS, SEEDS, bad, examined

ZOOS = {"model": zoo.ZOO, "mask": zoo_masks.ZOO, "loss": zoo_losses.ZOO}
ILL = {f"{kind}-{name}": one for kind, part in ZOOS.items() for name, one in part.ill.items()}
HEALTHY = {f"{kind}-{name}": make for kind, part in ZOOS.items() for name, make in part.healthy.items()}
NOTES = {f"{kind}-{name}": code for kind, part in ZOOS.items() for name, code in part.notes.items()}


@pytest.mark.parametrize("name", ILL)
def test_a_planted_mistake_is_found(name):
    planted = ILL[name]
    found = [bad(examined(planted.make, seed)) for seed in range(SEEDS)]
    assert all(planted.code in codes for codes in found), found
    assert frozenset().union(*found) == {planted.code} | planted.also  # the cause, and once


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_patient_gets_no_more_than_a_note(name):
    for seed in range(SEEDS):
        report = examined(HEALTHY[name], seed)
        assert report.ok and set(report.codes) <= {NOTES.get(name)} - {None}, report


def test_every_code_and_every_bug_is_planted_and_as_much_is_healthy():
    models = zoo.ZOO.ill
    assert {one.code for one in ILL.values()} == set(CODES)
    assert {one.bug for one in ILL.values()} == set(BUGS)
    assert len(zoo.ZOO.healthy) >= 30 and len(models) >= 30


@pytest.mark.parametrize("name", NOTES)
def test_what_is_so_by_design_gets_a_note(name):
    assert examined(HEALTHY[name], 0).codes == (NOTES[name],)
