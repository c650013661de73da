"""Each dialect through the real library, and back again."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from torch import nn

from masklab import dialects
from tests.strategies import attention_inputs


@given(attention_inputs(dtypes=(torch.float32,)))
def test_there_and_back(case):
    *_, mask = case
    assert torch.equal(dialects.from_bias(dialects.to_bias(mask)), mask)
    assert torch.equal(dialects.to_sdpa(mask), mask)
    assert torch.equal(~dialects.to_key_padding_mask(mask[0, 0]), mask[0, 0])


@given(attention_inputs(dtypes=(torch.float32,)))
def test_both_forms_give_sdpa_the_same_attention(case):
    q, k, v, mask = case
    by_bool = F.scaled_dot_product_attention(q, k, v, attn_mask=dialects.to_sdpa(mask))
    by_bias = F.scaled_dot_product_attention(q, k, v, attn_mask=dialects.to_bias(mask))
    torch.testing.assert_close(by_bool, by_bias, atol=1e-6, rtol=1e-6)


def test_what_true_means_in_each_library():
    """One key is allowed. Where True means keep it gets all the weight; where True means ignore, none."""
    words = torch.tensor([[True, False, False]])
    values = torch.eye(3)[None, None]  # so that the output *is* the weights
    zeros = torch.zeros(1, 1, 3, 3)
    kept = F.scaled_dot_product_attention(zeros, zeros, values, attn_mask=words[:, None, None, :])
    assert torch.equal(kept[0, 0], torch.tensor([[1.0, 0, 0]] * 3))
    layer = nn.MultiheadAttention(3, 1, batch_first=True)
    x = torch.randn(1, 3, 3, generator=torch.Generator().manual_seed(0))
    right = layer(x, x, x, key_padding_mask=dialects.to_key_padding_mask(words))[1]
    wrong = layer(x, x, x, key_padding_mask=words)[1]
    assert torch.equal(right[0], torch.tensor([[1.0, 0, 0]] * 3))
    assert (wrong[0, :, 0] == 0).all()


@pytest.mark.parametrize("convert", [dialects.to_bias, dialects.to_sdpa, dialects.to_key_padding_mask])
def test_a_mask_that_is_not_bool_is_refused(convert):
    with pytest.raises(TypeError, match=r"expected a bool mask.*torch.float32.*\(1, 2\)"):
        convert(torch.ones(1, 2))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"\(batch, key\).*\(1, 1, 2, 2\)"):
        dialects.to_key_padding_mask(torch.ones(1, 1, 2, 2, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"1 or 2, query, key.*\(2, 2\)"):
        dialects.to_mha_attn_mask(torch.ones(2, 2, dtype=torch.bool), heads=2)


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64])
def test_a_bias_that_is_not_floating_point_is_refused(dtype):
    with pytest.raises(TypeError, match="must be floating-point"):
        dialects.from_bias(torch.zeros(1, 2, dtype=dtype))  # all blocked as a bool, all allowed as a bias


@pytest.mark.parametrize("value", [1.0, -1e9, float("nan"), float("inf")])
def test_a_bias_with_other_numbers_is_refused(value):
    with pytest.raises(ValueError, match="holds"):
        dialects.from_bias(torch.tensor([[0.0, value]]))
