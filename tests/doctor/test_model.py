"""`check_model`: what it says, what it refuses, and that it leaves a model as it was."""

import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from masklab.doctor import check_model
from masklab.doctor.inputs import make_case
from masklab.models import GPT
from masklab.panels import EXTRA
from tests.doctor import zoo

IDS = torch.tensor([[5, 3, 8, 2, 9, 6], [4, 9, 1, 7, 2, 8]])
ALL = torch.ones(1, 1, 6, 6, dtype=torch.bool)


@pytest.fixture
def gpt():
    return GPT(12, dim=8, seed=0)


def leaky(model):
    return lambda ids: model(ids, ALL)


# --- What it says -----------------------------------------------------------------------------------------------------


def test_a_finding_names_positions_tokens_and_the_module(gpt):
    report = check_model(leaky(gpt), IDS, allowed="causal")
    (found,) = report.findings
    assert "(id " in found.says and "which comes later" in found.says and "blocks.0.attention" in found.says
    assert "sentence" in found.where and found.fix and found.source


def test_reports_are_the_same_every_time(gpt):
    first, second = (repr(check_model(leaky(gpt), IDS, allowed="causal", layers=True)) for _ in range(2))
    assert first == second


def test_claimed_stands_beside_measured(gpt):
    claimed, measured = check_model(leaky(gpt), IDS, allowed="causal").panels
    assert (claimed.name, measured.name) == ("claimed", "measured")
    assert torch.equal(claimed.values, torch.ones(6, 6).tril().int())
    assert torch.equal(measured.values, torch.ones(6, 6).int())
    assert torch.equal(measured.marks == EXTRA, torch.ones(6, 6).triu(1).bool())


def test_after_every_layer_where_asked():
    window = zoo.masks.sliding_window(3).tensor(queries=zoo.L, keys=zoo.L)
    patient = zoo.window_as_claimed(0, torch.float32)
    report = check_model(patient.model, patient.inputs, allowed=window, layers=True)
    one, two = [panel for panel in report.panels if panel.name.startswith("after layer")]
    assert report.ok
    assert torch.equal(one.values.bool(), window[0, 0])
    assert torch.equal(two.values.bool(), zoo.masks.receptive_field(window, layers=2)[0, 0])


def test_a_leak_in_the_second_layer_is_found_there():
    open_mask, causal = torch.ones(zoo.L, zoo.L, dtype=torch.bool), zoo.TRIL
    model = zoo.stack(0, torch.float32, zoo.with_mask(causal), zoo.with_mask(open_mask))
    (found,) = check_model(model, zoo.ids_of(0), allowed="causal").findings
    assert "layers.1.mix" in found.says


def test_a_mode_with_a_leak_of_its_own_is_named():
    patient = zoo.batch_norm(0, torch.float32)
    (found,) = check_model(patient.model, patient.inputs, allowed="causal").findings
    assert (
        "in train mode only" in found.says
        and found.fix == "nn.LayerNorm(d) in place of BatchNorm: each position by itself"
    )


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM, nn.MultiheadAttention, nn.TransformerEncoderLayer])
def test_a_first_axis_that_is_taken_for_positions_is_told(kind):
    """torch's own modules want (length, batch, features) unless they are told otherwise."""
    options = {"num_heads": 2} if kind is nn.MultiheadAttention else {"nhead": 2, "dim_feedforward": 8}
    layer = kind(4, 4) if issubclass(kind, nn.RNNBase) else kind(4, **options)

    def model(x):
        return layer(x, x, x)[0] if kind is nn.MultiheadAttention else layer(x)

    (found,) = check_model(
        model, torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0)), allowed="full"
    ).findings
    assert found.code == "batch-leak" and "batch_first=True" in found.fix


def test_whoever_sees_too_far_back_is_told_of_the_mask_and_not_of_documents():
    """Under a window there is one text: a fix that names documents would send people elsewhere."""
    window = zoo.masks.sliding_window(2).tensor(queries=zoo.L, keys=zoo.L)
    model = zoo.stack(0, torch.float32, zoo.with_mask(zoo.TRIL), layers=1)
    (found,) = check_model(model, zoo.ids_of(0), allowed=window).findings
    assert found.code == "document-leak" and "documents" not in found.fix
    (found,) = check_model(model, zoo.ids_of(0), allowed=zoo.documents()).findings
    assert found.code == "document-leak" and "documents" in found.fix


def test_several_outputs_never_cancel(gpt):
    """The sum of two outputs is constant, and each of them sees everything."""
    model = lambda ids: torch.stack([leaky(gpt)(ids), -leaky(gpt)(ids)], dim=2)  # noqa: E731
    assert check_model(model, IDS, allowed="causal").codes == ("future-visible",)


def test_a_layer_norm_at_the_end_hides_nothing(gpt):
    """Its features add up to 0, whatever comes in."""
    norm = nn.LayerNorm(12, elementwise_affine=False)
    assert check_model(lambda ids: norm(leaky(gpt)(ids)), IDS, allowed="causal").codes == ("future-visible",)


def test_a_nan_in_one_feature_hides_no_leak(gpt):
    def model(ids):
        logits = leaky(gpt)(ids)
        return torch.cat([logits[..., :-1], logits[..., -1:] * torch.nan], dim=-1)

    assert check_model(model, IDS, allowed="causal").codes == ("non-finite", "future-visible")


def test_a_nan_in_the_gradient_alone_hides_no_leak(gpt):
    def model(ids):  # √0 has an infinite slope, and ∞ · 0 is NaN
        logits = leaky(gpt)(ids)
        return logits + (0 * logits).sqrt()

    assert set(check_model(model, IDS, allowed="causal").codes) == {"non-finite", "future-visible"}


@pytest.mark.parametrize("bias", [-2.0, -5.0, -10.0])
def test_the_smallest_leak_that_is_found(bias):
    """Of −10 about 1 part in 20,000 is left: more than rounding in float32."""
    for seed in range(5):
        mask = torch.zeros(zoo.L, zoo.L).masked_fill(~zoo.TRIL, bias)
        patient = zoo.causal_lm(seed, torch.float32, zoo.with_mask(mask))
        assert check_model(patient.model, patient.inputs, allowed="causal").codes == ("future-visible",)


def test_nothing_depends_on_the_inputs():
    assert check_model(lambda ids: torch.ones(2, 6, 3), IDS, allowed="causal").codes == ("undecided",)


def test_a_model_that_sees_nothing_else_is_warned_of():
    model = nn.Sequential(nn.Embedding(12, 8), nn.Linear(8, 8))
    report = check_model(model, IDS, allowed="causal")
    assert report.codes == ("over-blocked",) and not report.ok and "any other position" in report.findings[0].says
    assert check_model(model, IDS, allowed=torch.eye(IDS.shape[1], dtype=torch.bool)).codes == ()


def test_a_causal_model_that_might_see_all_is_said_to_be_causal(gpt):
    (note,) = check_model(gpt, IDS, allowed="full").findings
    assert note.severity == "note" and note.code == "over-blocked" and "is causal" in note.says


# --- Which input, and what it says of padding -------------------------------------------------------------------------


def test_which_of_two_inputs_has_the_outputs_positions_is_asked(gpt):
    everything = torch.ones(1, 1, *IDS.shape[1:], IDS.shape[1], dtype=torch.bool)

    def model(lang, tok):
        return gpt(tok, everything) + 0 * lang[..., None]

    with pytest.raises(ValueError, match="which of lang, tok .* main='tok'"):
        check_model(model, {"lang": IDS, "tok": IDS}, allowed="causal")
    report = check_model(model, {"lang": IDS, "tok": IDS}, allowed="causal", main="tok")
    assert report.codes == ("future-visible",) and any("position of tok" in what for what in report.checked)
    with pytest.raises(ValueError, match="main must be"):
        check_model(model, {"lang": IDS, "tok": IDS}, allowed="causal", main="ids")


def test_a_sentence_of_pads_alone_may_be_an_inverted_mask(gpt):
    pad = torch.ones_like(IDS).bool()
    pad[1] = False
    report = check_model(gpt, IDS, allowed="causal", pad=pad)
    found = next(one for one in report.findings if one.code == "empty-row")
    assert found.severity == "warning" and "inverted" in found.says and found.where == "sentence 1"


def test_a_float_attention_mask_of_0_and_1_is_padding():
    ids, pad = zoo.padded(0, "right")
    assert make_case(len, {"input_ids": ids, "attention_mask": pad.float()}, None).pad.equal(pad)
    assert make_case(len, {"input_ids": ids, "attention_mask": pad.float() - 1}, None).pad is None


# --- What can't be run, or has a form of its own ----------------------------------------------------------------------


def test_a_nested_tensor_on_the_way_is_no_stumble():
    """nn.TransformerEncoder makes one of padding; NaN is looked for in every module."""
    model = nn.Transformer(8, 2, 1, 1, 8, dropout=0.0, batch_first=True)
    x, pad = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0)), torch.ones(2, 6, dtype=torch.bool)
    pad[1, 4:] = False
    inputs = {
        "src": x,
        "tgt": x,
        "src_key_padding_mask": ~pad,
        "tgt_mask": ~torch.ones(6, 6, dtype=torch.bool).tril(-1),
    }
    assert "non-finite" in check_model(model, inputs, allowed="causal").codes


def test_a_kernel_without_a_backward_pass_is_no_illness(gpt):
    class ForwardOnly(nn.Module):
        def forward(self, ids):
            if torch.is_grad_enabled():
                raise NotImplementedError("no backward on this device")
            return gpt(ids)

    report = check_model(ForwardOnly(), IDS, allowed="causal")
    assert report.ok and report.codes == ("train-eval-differ",) and "one by one" in report.findings[0].says


def test_an_output_with_a_token_more_says_what_to_cut_off(gpt):
    with pytest.raises(ValueError, match=r"\[:, -6:\]"):
        check_model(lambda ids: torch.cat([gpt(ids)[:, :1], gpt(ids)], dim=1), IDS, allowed="full")


def test_all_zero_gates_are_counted():
    model = zoo.stack(0, torch.float32, zoo.with_mask(zoo.TRIL), layers=5)
    for layer in model.layers:
        nn.init.zeros_(layer.mix.out.weight)
    assert "and 2 more are zero" in check_model(model, zoo.ids_of(0), allowed="causal").findings[0].says


def test_ids_that_are_positions_too_are_told_apart():
    """The look-up of 0, 1, 2 … is the token's, or the position's: the one that follows the ids."""
    ids = torch.arange(6)[None].repeat(2, 1)
    assert check_model(leaky(GPT(12, dim=8)), ids, allowed="causal").codes == ("future-visible",)


def test_one_sentence_is_enough(gpt):
    assert check_model(gpt, IDS[:1], allowed="causal").ok
    assert check_model(gpt, IDS[:, :1], allowed="causal").ok


def test_a_leak_by_one_step_hides_no_other_one_in_another_mode():
    class Patient(nn.Module):
        def __init__(self):
            super().__init__()
            self.gpt = GPT(12, dim=8)

        def forward(self, ids):
            return self.gpt(ids, ALL if self.training else ALL.tril(1))

    assert set(check_model(Patient(), IDS, allowed="causal").codes) == {"off-by-one", "future-visible"}


def test_what_was_not_checked_is_said(gpt):
    checked = check_model(gpt, IDS[:1], allowed="causal").checked
    assert {"not sentences apart: there is only one", "not padding: no pad was given"} <= set(checked)
    long = check_model(nn.Embedding(12, 2), torch.arange(300)[None] % 12, allowed="full").checked
    assert "dependence of 256 of 300 outputs on each position, against full" in long


def test_raise_if_bad(gpt):
    check_model(gpt, IDS, allowed="causal").raise_if_bad()
    with pytest.raises(AssertionError, match="future-visible"):
        check_model(leaky(gpt), IDS, allowed="causal").raise_if_bad()


# --- What it refuses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "inputs", "options", "words"),
    [
        ("no model", IDS, {}, "model must be a module or another callable"),
        (nn.Identity(), [1, 2], {}, "inputs must be ids"),
        (nn.Identity(), {"a": 3}, {}, "inputs must hold ids"),
        (nn.Identity(), torch.zeros(3), {}, "inputs must hold ids"),
        (nn.Embedding(12, 4), IDS, {"pad": torch.ones(2, 5, dtype=torch.bool)}, r"pad must be .* got \(2, 5\)"),
        (nn.Embedding(12, 4), IDS, {"pad": torch.ones(2, 6)}, "pad must be bool"),
        (nn.Embedding(12, 4), IDS, {"allowed": "forward"}, "allowed must be 'causal' or 'full'"),
        (nn.Embedding(12, 4), IDS, {"allowed": torch.ones(5, 5, dtype=torch.bool)}, "allowed must be 'causal', 'full'"),
        (nn.Embedding(12, 4), IDS, {"allowed": torch.ones(6, 6)}, "allowed must be bool"),
        (lambda ids: ids, IDS, {}, "must return floats, such as logits"),
        (lambda ids: "text", IDS, {}, "must return a tensor"),
        (lambda ids: torch.zeros(2, 3), IDS, {}, r"output must be \(batch, length, …\)"),
        (lambda ids: torch.zeros(6, 2, 3), IDS, {}, "batch_first=True"),
        (lambda ids: torch.zeros(2, 1, 3), IDS, {}, "only the last one"),
        (nn.Embedding(12, 4, device="meta"), IDS, {}, "the model is on meta and its inputs on cpu"),
    ],
)  # fmt: skip
def test_bad_input_gets_a_sentence(model, inputs, options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        check_model(model, inputs, **{"allowed": "causal"} | options)


def test_what_the_model_raises_goes_through():
    with pytest.raises(IndexError):
        check_model(nn.Embedding(3, 4), IDS, allowed="causal")


# --- How it leaves a model --------------------------------------------------------------------------------------------


class Restless(nn.Module):
    """It draws, counts, keeps, and changes its buffers, in every run; the ninth may fail."""

    def __init__(self, fails=False):
        super().__init__()
        self.token, self.norm = nn.Embedding(12, 8), nn.BatchNorm1d(8)
        self.generator = torch.Generator().manual_seed(3)
        self.runs, self.kept, self.fails = 0, [], fails

    def forward(self, ids):
        self.runs += 1
        self.kept.append(self.runs)
        self.last = torch.rand(2, generator=self.generator) + torch.rand(2) + random.random() + np.random.rand()
        self.register_buffer(f"of_run_{self.runs}", torch.zeros(1))
        if self.fails and self.runs % 9 == 0:
            raise ZeroDivisionError("in the middle")
        return self.norm(self.token(ids).transpose(1, 2)).transpose(1, 2)


@pytest.mark.parametrize("fails", [False, True])
def test_everything_is_as_it_was(fails):
    model = Restless(fails)
    model.norm.eval()
    model.token.weight.requires_grad_(False)
    model.norm.weight.grad = torch.ones(8)
    heard = []
    handle = model.token.register_forward_hook(lambda *_: heard.append(1))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [part.training for part in model.modules()]
    states = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist(), model.generator.get_state())
    if fails:
        with pytest.raises(ZeroDivisionError):
            check_model(model, IDS, allowed="causal")
    else:
        assert "batch-leak" in check_model(model, IDS, allowed="causal").codes
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert modes == [part.training for part in model.modules()]
    assert (model.runs, model.kept, hasattr(model, "last")) == (0, [], False)
    assert torch.equal(model.norm.weight.grad, torch.ones(8)) and model.token.weight.grad is None
    assert not model.token.weight.requires_grad and model.norm.weight.requires_grad
    now = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist(), model.generator.get_state())
    assert torch.equal(states[0], now[0]) and states[1:3] == now[1:3] and torch.equal(states[3], now[3])
    assert len(model.token._forward_hooks) == 1
    handle.remove()  # a hook's handle still knows its dict
    assert not model.token._forward_hooks and torch.is_grad_enabled()


def test_a_model_behind_a_function_is_left_as_it_was():
    model = zoo.stack(0, torch.bfloat16, zoo.with_mask(zoo.TRIL)).train()
    weight, values = model.head.weight, model.head.weight.detach().clone()
    assert check_model(lambda ids: model(ids), zoo.ids_of(0), allowed="causal").ok
    assert model.head.weight is weight and weight.dtype == torch.bfloat16 and torch.equal(weight, values)
    assert all(part.training for part in model.modules())


def test_inference_mode_and_no_grad_around_it(gpt):
    with torch.no_grad():
        assert check_model(leaky(gpt), IDS, allowed="causal").codes == ("future-visible",)
        assert not torch.is_grad_enabled()


def test_a_custom_function_without_a_batching_rule_is_measured_in_a_loop(gpt):
    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            return 2 * x

        @staticmethod
        def backward(context, gradient):
            return gradient * float(gradient.new_tensor(2.0).item()) * (gradient.sum().item() == gradient.sum().item())

    report = check_model(lambda ids: Twice.apply(leaky(gpt)(ids)), IDS, allowed="causal")
    assert report.codes == ("future-visible",)


def test_functional_dropout_is_off():
    """In train mode it would hide what depends on what, and make two runs differ."""

    class Dropping(nn.Module):
        def __init__(self):
            super().__init__()
            self.gpt = GPT(12, dim=8)

        def forward(self, ids):
            return F.dropout(self.gpt(ids), 0.9, self.training)

    assert check_model(Dropping().train(), IDS, allowed="causal").ok


def test_a_model_that_seeds_itself_in_train_mode_leaks_nothing(gpt):
    """As Reformer does: torch.seed() makes every run another one, and a difference proves nothing."""

    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.gpt = gpt

        def forward(self, ids):
            torch.seed() if self.training else None
            return self.gpt(ids) + (torch.rand(1) if self.training else 0)

    report = check_model(Noisy(), torch.tensor([[1, 2, 3], [4, 5, 6]]), allowed="causal")
    assert report.codes == ("undecided",) and "train mode" in report.findings[0].says, report


def test_a_model_that_empties_its_gradients_gets_them_back():
    model = zoo.stack(0, torch.float32, zoo.with_mask(zoo.TRIL))
    model(zoo.ids_of(0)).square().mean().backward()
    before = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    model.register_forward_pre_hook(lambda module, inputs: module.zero_grad(set_to_none=False))
    check_model(model, zoo.ids_of(0), allowed="causal")
    after = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert before[0].any() and all(torch.equal(*pair) for pair in zip(before, after, strict=True))
