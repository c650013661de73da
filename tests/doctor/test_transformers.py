"""check_mask and check_loss on what Transformers really makes: its masks, its shift, and its collator's −100."""

import pytest
import torch
from transformers import (
    DataCollatorForLanguageModeling,
    Gemma3nForCausalLM,
    Gemma3nTextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    T5Config,
    T5ForConditionalGeneration,
)
from transformers.masking_utils import create_causal_mask

from masklab.doctor import check_loss, check_mask, check_model
from masklab.text import word_positions
from tests.doctor.tiny_models import tiny, tiny_config

L, V, EOS = 7, 40, 1
LENGTHS = torch.tensor([7, 4])


def batch(side, pad_id=0):
    pad = word_positions(LENGTHS, total=L, side=side)
    g = torch.Generator().manual_seed(0)
    ids = torch.stack([torch.randperm(V - 2, generator=g)[:L] + 2 for _ in LENGTHS])
    last = (torch.arange(L) * pad).amax(1, keepdim=True)
    return ids.scatter(1, last, EOS).masked_fill(~pad, pad_id), pad


@pytest.fixture(scope="module")
def gpt2():
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=V, n_positions=16, n_embd=8, n_layer=1, n_head=2)).eval()


def made(implementation, pad):
    config = GPT2Config(vocab_size=V, n_positions=16, n_embd=8, n_layer=1, n_head=2)
    config._attn_implementation = implementation
    return create_causal_mask(
        config=config, inputs_embeds=torch.zeros(2, L, 8), attention_mask=pad.long(), past_key_values=None,
        position_ids=None,
    )  # fmt: skip


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_the_masks_of_transformers_are_healthy(implementation, side):
    pad = batch(side)[1]
    mask = made(implementation, pad)
    report = check_mask(mask, dialect="transformers_4d", pad=pad, causal=True)
    assert report.ok and set(report.codes) <= {"empty-row"}, report
    assert check_mask(pad.long(), dialect="transformers_2d", pad=pad, causal=True).findings == ()


def test_a_mask_for_sdpa_that_is_given_to_eager_blocks_nothing():
    """It is added to the scores: True is 1. The finding is what `masklab.dialects` warns of."""
    pad = batch("right")[1]
    assert check_mask(made("sdpa", pad), dialect="bias", pad=pad, causal=True).codes == ("float-01",)


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_model_that_shifts_by_itself_is_healthy(gpt2, side):
    ids, pad = batch(side)
    made = gpt2(input_ids=ids, attention_mask=pad.long(), labels=ids.masked_fill(~pad, -100))
    report = check_loss(made.loss, made.logits, ids=ids, pad=pad, eos=EOS)
    assert report.ok and set(report.codes) == ({"pad-supervised"} if side == "left" else set()), report
    assert "it is the next token" in report.checked


def test_labels_that_are_shifted_for_a_model_that_shifts(gpt2):
    ids, pad = batch("right")
    labels = ids.masked_fill(~pad, -100).roll(-1, 1)
    labels[:, -1] = -100
    made = gpt2(input_ids=ids, attention_mask=pad.long(), labels=labels)
    assert check_loss(made.loss, made.logits, ids=ids, pad=pad, eos=EOS).codes == ("double-shift",)


def test_labels_with_their_padding(gpt2):
    ids, pad = batch("right")
    made = gpt2(input_ids=ids, attention_mask=pad.long(), labels=ids)
    assert check_loss(made.loss, made.logits, ids=ids, pad=pad, eos=EOS).codes == ("pad-supervised",)


def test_a_mean_over_the_tokens_of_all_batches(gpt2):
    ids, pad = batch("right")
    labels = ids.masked_fill(~pad, -100)
    made = gpt2(input_ids=ids, attention_mask=pad.long(), labels=labels, num_items_in_batch=50)
    report = check_loss(made.loss, made.logits, ids=ids, pad=pad, eos=EOS)
    assert report.findings == () and "each weighs 1/50" in report.checked


class Tokenizer:
    """As much of a tokenizer as the collator asks for; padding has the id of the end."""

    pad_token, pad_token_id, eos_token_id, padding_side, mask_token = "</s>", EOS, EOS, "right", None

    def pad(self, examples, return_tensors=None, pad_to_multiple_of=None, **_):
        rows = [example["input_ids"] for example in examples]
        most = max(map(len, rows))
        ids = torch.tensor([row + [EOS] * (most - len(row)) for row in rows])
        return {"input_ids": ids, "attention_mask": word_positions(torch.tensor([*map(len, rows)]), total=most).long()}


def test_the_collator_wipes_the_end_with_the_padding(gpt2):
    """transformers#23530: DataCollatorForLanguageModeling sets every label to −100 that has the id of padding."""
    ids, pad = batch("right", pad_id=EOS)
    rows = [{"input_ids": row[keep].tolist()} for row, keep in zip(ids, pad, strict=True)]
    made = DataCollatorForLanguageModeling(Tokenizer(), mlm=False)(rows)
    out = gpt2(**made)
    report = check_loss(out.loss, out.logits, ids=made["input_ids"], pad=made["attention_mask"].bool(), eos=EOS)
    assert report.codes == ("eos-unsupervised",), report


def test_a_decoder_that_is_shifted_at_its_inputs():
    torch.manual_seed(0)
    config = T5Config(vocab_size=V, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, decoder_start_token_id=0)
    model = T5ForConditionalGeneration(config).eval()
    ids, pad = batch("right")
    labels = ids.masked_fill(~pad, -100)
    made = model(input_ids=ids, labels=labels)
    read = model.prepare_decoder_input_ids_from_labels(labels)  # the start, and the labels one to the right
    its_pad = torch.cat([torch.ones(2, 1, dtype=torch.bool), pad[:, :-1]], dim=1)
    report = check_loss(made.loss, made.logits, ids=read, pad=its_pad, eos=EOS)
    assert report.findings == () and "it is the next token" in report.checked, report


# --- What the docs page says of real patients -------------------------------------------------------------------------


def test_a_pads_vector_of_zero_spoils_nearly_all_gradients_of_gemma_3n():
    """AltUp takes the root of a mean of squares: at a vector of zeros, as padding's is at first, it has no slope.

    Under SDPA a row of padding that sees only padding hands it on, when there are as many pads as the window is wide.
    """
    ids = torch.randint(4, V, (2, 12), generator=torch.Generator().manual_seed(0))
    pad = word_positions(torch.tensor([12, 8]), total=12)
    ids, found = ids.masked_fill(~pad, 0), {}
    for zero in (True, False):
        torch.manual_seed(0)
        model = Gemma3nForCausalLM(tiny_config(Gemma3nTextConfig))
        table = model.get_input_embeddings()
        assert table.padding_idx == 0 and not table.weight[0].any()
        if not zero:
            torch.nn.init.ones_(table.weight.data[0])
        model(input_ids=ids, attention_mask=pad.long(), labels=ids.masked_fill(~pad, -100)).loss.backward()
        slopes = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        found[zero] = sum(not slope.isfinite().all() for slope in slopes) / len(slopes)
    assert found[True] > 0.8 and found[False] == 0


def test_mra_attends_to_nothing_without_its_cuda_kernel():
    model = tiny("MraForMaskedLM", "eager")
    report = check_model(model, {"input_ids": batch("right")[0]}, allowed="full")
    assert "over-blocked" in report.codes and "any other position" in report.findings[0].says
