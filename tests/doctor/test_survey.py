"""The survey of real models: what hangs, dies or wants too much is stopped, and three real models come through."""

import multiprocessing
import os
import re
import sys
import time

import pytest
import torch

from tests.doctor.survey import NotBuilt, Row, each_apart, table


def odd(name, attention):
    """What a model can do to whoever examines it."""
    if name == "hangs":
        while True:
            time.sleep(1)
    if name == "dies":
        os._exit(3)
    if name == "is huge":
        bytearray(9 * 2**30)  # more than a process gets, and less than the system would refuse
    if name == "can't be built":
        raise NotBuilt("no")
    if name == "raises":
        raise KeyError("input")
    print("noise")
    found = [("error", "inverted"), ("note", "over-blocked")]
    return "error", [{"severity": how, "code": code, "where": "", "says": "So it is."} for how, code in found]


@pytest.fixture(scope="module")
def rows():
    names = ["hangs", "dies", "is huge", "can't be built", "raises", "is fine"]
    return {row.model: row for row in each_apart([(name, "sdpa") for name in names], odd, seconds=2)}


def test_nothing_that_a_model_does_stops_the_survey(rows):
    assert {name: row.verdict for name, row in rows.items()} == {
        "hangs": "stopped", "dies": "stopped", "is huge": "stopped", "can't be built": "not built", "raises": "not run",
        "is fine": "error",
    }  # fmt: skip
    assert all(row.why or row.findings for row in rows.values())
    assert rows["hangs"].seconds < 20 and rows["raises"].why == "KeyError: 'input'"
    assert rows["dies"].why == "its process died" and rows["is huge"].why.startswith("MemoryError")


def test_no_process_is_left(rows):
    assert multiprocessing.active_children() == []


def test_the_table_has_the_findings_and_counts_the_rest(rows):
    text = table([*rows.values(), Row("Another", "eager", "healthy", [], 0.5), Row("Noted", "sdpa", "note", [], 0.5)])
    assert "| is fine | sdpa | error | `inverted` |" in text and "Another" not in text and "Noted" not in text
    assert "stopped 3" in text and "healthy 1" in text and "note 1" in text


def test_real_models_are_examined(capsys, monkeypatch):
    """In this process, which has imported Transformers already; each model still gets one of its own."""
    from tests.doctor import survey

    names = ["LlamaForCausalLM", "BertForMaskedLM", "RwkvForCausalLM"]
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(sys, "argv", ["survey", "--only", ",".join(names)])
    threads = torch.get_num_threads()
    survey.main()
    torch.set_num_threads(threads)
    lines = re.findall(r"^(\w+) +(sdpa|eager) +(\w+)", capsys.readouterr().out, flags=re.MULTILINE)
    assert {(name, verdict) for name, _, verdict in lines if name != "RwkvForCausalLM"} == {
        ("LlamaForCausalLM", "healthy"), ("BertForMaskedLM", "note"),
    }  # fmt: skip
    assert {name for name, _, _ in lines} == set(names)
