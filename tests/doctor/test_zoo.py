"""The zoo: every planted mistake is found under its code, and no healthy patient is called ill."""

import pytest

from masklab.doctor import CODES
from masklab.threads import one_thread
from tests.doctor import zoo, zoo_losses, zoo_masks
from tests.doctor.patients import BUGS, assert_found, assert_healthy

ZOOS = {"model": zoo.ZOO, "mask": zoo_masks.ZOO, "loss": zoo_losses.ZOO}
ILL = {f"{kind}-{name}": one for kind, part in ZOOS.items() for name, one in part.ill.items()}
HEALTHY = {
    f"{kind}-{name}": (make, part.notes.get(name)) for kind, part in ZOOS.items() for name, make in part.healthy.items()
}


@pytest.fixture(autouse=True)
def single():
    """Small models are slower on two threads."""
    with one_thread():
        yield


@pytest.mark.parametrize("name", ILL)
def test_a_planted_mistake_is_found(name):
    assert_found(ILL[name])


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_patient_gets_no_more_than_a_note(name):
    assert_healthy(*HEALTHY[name])


def test_every_code_and_every_bug_is_planted():
    assert {one.code for one in ILL.values()} == set(CODES)
    assert {one.bug for one in ILL.values()} == set(BUGS)
