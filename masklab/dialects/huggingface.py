"""The masks of Transformers: a tokenizer's, and the two that its attentions take."""

import math

import torch
from torch import Tensor

from masklab import validate
from masklab.dialects.additive import from_bias
from masklab.dialects.unknown import keep_mask

LOWEST = torch.tensor(  # Transformers' −∞, in a model's dtype or cast to a wider one
    [torch.finfo(dtype).min for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64)],
    dtype=torch.float64,
)


def to_transformers_2d(is_word: Tensor) -> Tensor:
    """The ``attention_mask`` that a Transformers tokenizer makes: 1 = a word, 0 = padding.

    Shape: (batch, key) bool → the same shape, int64.
    Raises TypeError for a mask that is not bool, ValueError for another number of axes.

    >>> to_transformers_2d(torch.tensor([[True, True, False]]))
    tensor([[1, 1, 0]])
    """
    return validate.batch_key("is_word", validate.bool_mask("is_word", is_word, true="a word")).long()


def from_transformers_2d(attention_mask: Tensor) -> Tensor:
    """Which keys are words, from the ``attention_mask`` of a Transformers tokenizer: 1 = a word.

    Shape: (batch, key) → the same shape, bool. Raises ValueError for another number of axes,
    or for values other than 0 and 1.

    >>> from_transformers_2d(torch.tensor([[1, 1, 0]]))
    tensor([[ True,  True, False]])
    """
    return keep_mask(validate.batch_key("attention_mask", attention_mask), means="keep")


def to_transformers_4d(mask: Tensor) -> Tensor:
    """The bool 4-D ``attention_mask`` of Transformers with ``attn_implementation="sdpa"``: True = may attend.

    The model takes it as it is, and adds neither a causal mask nor padding. Don't give it to ``"eager"``,
    which adds it to the scores and blocks nothing: see `to_transformers_4d_bias`.
    Shape: (batch, 1 or head, query, key) bool, the same back.
    Raises TypeError for a mask that is not bool, ValueError for another number of axes.
    Source: `transformers.masking_utils.sdpa_mask`.

    >>> to_transformers_4d(torch.tensor([[[[True, False]]]]))
    tensor([[[[ True, False]]]])
    """
    return validate.four_axes(mask)


def to_transformers_4d_bias(mask: Tensor, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """The additive 4-D ``attention_mask`` of Transformers with ``attn_implementation="eager"``: 0 and finfo.min.

    ``dtype`` is the model's. The finite number makes a fully masked row uniform instead of NaN.
    Shape: (batch, 1 or head, query, key) bool → the same shape, float. Raises TypeError for a mask
    that is not bool or a ``dtype`` that is not floating-point, ValueError for another number of axes.
    Source: `transformers.masking_utils.eager_mask`.

    >>> to_transformers_4d_bias(torch.tensor([[[[True, False]]]]), dtype=torch.float16)
    tensor([[[[     0., -65504.]]]], dtype=torch.float16)
    """
    blocked = ~validate.four_axes(mask)
    return torch.zeros_like(blocked, dtype=validate.float_dtype(dtype)).masked_fill(blocked, torch.finfo(dtype).min)


def from_transformers_4d(attention_mask: Tensor) -> Tensor:
    """The mask in a 4-D ``attention_mask`` of Transformers, bool or additive.

    Shape: (batch, 1 or head, query, key), bool with True = may attend, or a float of 0 and
    finfo.min → the same shape, bool. −∞, which two of these add up to, and the finfo.min of any
    floating-point dtype block, too: a bias may be cast from the dtype of the model.
    Raises TypeError for integers, ValueError for another number of axes or other numbers.

    >>> from_transformers_4d(torch.tensor([[[[0.0, torch.finfo(torch.float32).min]]]]))
    tensor([[[[ True, False]]]])
    """
    name = "attention_mask"
    if not validate.tensor(name, attention_mask).is_floating_point():
        return validate.four_axes(attention_mask, name=name)
    lowest = torch.isin(attention_mask, LOWEST.to(attention_mask))
    return validate.four_axes(from_bias(attention_mask.masked_fill(lowest, -math.inf)), name=name)
