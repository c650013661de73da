"""The zoo of Transformers: GPT-2, Llama, Mistral with a window, BERT and T5, tiny, with random weights."""

import pytest
import torch
from transformers import logging

from tests.doctor import zoo_transformers as zoo
from tests.doctor.patients import Patient, assert_found, assert_healthy, examined

logging.set_verbosity_error()
ZOO = zoo.ZOO


@pytest.mark.parametrize("name", ZOO.ill)
def test_a_planted_mistake_is_found(name):
    assert_found(ZOO.ill[name])


@pytest.mark.parametrize("name", ZOO.healthy)
def test_a_healthy_model_gets_no_more_than_a_note(name):
    assert_healthy(ZOO.healthy[name], ZOO.notes.get(name))


def test_caches_are_tried():
    for name in ("gpt2_alone", "llama_right_padding", "t5_padded"):
        assert "with and without a cache" in examined(ZOO.healthy[name], 0).checked


def test_what_was_tried_is_said():
    checked = examined(ZOO.healthy["llama_left_padding"], 0).checked
    assert {"each sentence alone", "more pads on the left", "more pads on the right", "sentences apart"} <= set(checked)


def test_the_model_is_as_it_was():
    model = zoo.gpt2(0, torch.float32).train()
    model.transformer.h[0].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [part.training for part in model.modules()]
    examined(lambda seed, dtype: Patient(model, zoo.text(0), "causal"), 0)
    assert modes == [part.training for part in model.modules()]
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
