"""The zoo: every planted mistake is found under its code, and no healthy model is called ill."""

import pytest
import torch

from masklab.doctor import check_model
from tests.doctor import zoo

DTYPES = (torch.float32, torch.float64, torch.bfloat16)
SEEDS = 20


def examined(make, seed):
    """The report on one patient; the three dtypes take turns over the seeds."""
    torch.set_num_threads(1)
    patient = make(seed, DTYPES[seed % len(DTYPES)])
    return check_model(patient.model, patient.inputs, allowed=patient.allowed, pad=patient.pad)


def bad(report):
    return {one.code for one in report.findings if one.severity != "note"}


@pytest.mark.parametrize("name", zoo.ILL)
def test_a_planted_mistake_is_found(name):
    code, make = zoo.ILL[name]
    found = [bad(examined(make, seed)) for seed in range(SEEDS)]
    assert all(code in codes for codes in found), found
    also = {"leak_behind_a_nan": {"non-finite"}, "is_causal_without_a_mask": {"train-eval-differ"}}.get(name, set())
    assert set().union(*found) == {code} | also  # the cause, and once


@pytest.mark.parametrize("name", zoo.HEALTHY)
def test_a_healthy_model_gets_no_more_than_a_note(name):
    for seed in range(SEEDS):
        report = examined(zoo.HEALTHY[name], seed)
        assert report.ok, report
        assert set(report.codes) <= {zoo.NOTES.get(name)} - {None}, report


def test_there_are_as_many_kinds_of_models_as_of_mistakes():
    assert len(zoo.HEALTHY) >= 30 and {code for code, _ in zoo.ILL.values()} >= {
        "inverted", "future-visible", "off-by-one", "non-finite", "depends-on-padding", "depends-on-pad-side",
        "batch-leak", "document-leak", "train-eval-differ", "misaligned-cache", "undecided",
    }  # fmt: skip


@pytest.mark.parametrize("name", zoo.NOTES)
def test_what_is_so_by_design_gets_a_note(name):
    assert examined(zoo.HEALTHY[name], 0).codes == (zoo.NOTES[name],)
