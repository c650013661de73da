"""The masks of torch's own attention: scaled_dot_product_attention and nn.MultiheadAttention."""

from torch import Tensor

from masklab import validate
from masklab.dialects.additive import from_bias


def to_sdpa(mask: Tensor) -> Tensor:
    """The bool ``attn_mask`` of `F.scaled_dot_product_attention`: True = may attend, as in masklab.

    With fewer axes the library takes the last two for (query, key) silently: a padding mask
    (batch, key) of as many sentences as queries then masks other pairs. Here that is refused.
    Shape: (batch, head, query, key) bool, each its size or 1, the same back.
    Raises TypeError for a mask that is not bool, ValueError for another number of axes.

    >>> import torch
    >>> to_sdpa(torch.tensor([[[[True, False]]]]))
    tensor([[[[ True, False]]]])
    """
    return validate.four_axes(mask)


def from_sdpa(attn_mask: Tensor) -> Tensor:
    """The mask in an ``attn_mask`` of `F.scaled_dot_product_attention`: a float is added to the scores.

    Shape: as ``attn_mask``, whose last axes are (query, key). Raises TypeError for integers, which
    the library refuses too, ValueError for a float that holds more than 0 and −∞.

    >>> import torch
    >>> from_sdpa(torch.tensor([[0.0, -torch.inf]]))
    tensor([[ True, False]])
    """
    floating = validate.tensor("attn_mask", attn_mask).is_floating_point()
    return from_bias(attn_mask) if floating else validate.bool_mask("attn_mask", attn_mask)


def to_key_padding_mask(is_word: Tensor) -> Tensor:
    """The ``key_padding_mask`` of `nn.MultiheadAttention`: True = **ignore** this key.

    Also the ``src_key_padding_mask`` of `nn.TransformerEncoder`.
    Shape: (batch, key) bool, True = a word → the same shape, True = padding.
    Raises TypeError for a mask that is not bool, ValueError for another number of axes.

    >>> import torch
    >>> to_key_padding_mask(torch.tensor([[True, True, False]]))
    tensor([[False, False,  True]])
    """
    return ~validate.batch_key("is_word", validate.bool_mask("is_word", is_word, true="a word"))


def from_key_padding_mask(key_padding_mask: Tensor) -> Tensor:
    """Which keys are words, from the ``key_padding_mask`` of `nn.MultiheadAttention`.

    Shape: (batch, key), bool with True = padding, or a float that is added to the scores →
    the same shape, True = a word. Raises TypeError for integers, ValueError for another
    number of axes, or a float that holds more than 0 and −∞.

    >>> import torch
    >>> from_key_padding_mask(torch.tensor([[False, False, True]]))
    tensor([[ True,  True, False]])
    """
    name = "key_padding_mask"
    return _from_blocked(name, validate.batch_key(name, key_padding_mask), true="padding")


def to_mha_attn_mask(mask: Tensor, *, heads: int) -> Tensor:
    """The ``attn_mask`` of `nn.MultiheadAttention`: True = **blocked**, one matrix a head or one for all.

    Shape: (1, 1, query, key) bool → (query, key), True = blocked, which the library uses for every
    sentence and head; any other (batch, 1 or head, query, key) → (batch·heads, query, key), with the
    heads of one sentence together; ``batch`` must be the library's.
    Raises TypeError for a mask that is not bool, ValueError for other axes, or fewer heads than 1.

    >>> import torch
    >>> mask = torch.tensor([[[[True, False]]]])
    >>> to_mha_attn_mask(mask, heads=2)
    tensor([[False,  True]])
    >>> to_mha_attn_mask(mask.expand(3, -1, -1, -1), heads=2).shape
    torch.Size([6, 1, 2])
    """
    validate.at_least(1, heads=heads)
    if validate.four_axes(mask).shape[1] not in (1, heads):
        raise ValueError(f"mask must have the axes (batch, 1 or {heads}, query, key), got {tuple(mask.shape)}.")
    if mask.shape[:2] == (1, 1):
        return ~mask[0, 0]
    return ~mask.expand(-1, heads, -1, -1).flatten(0, 1)


def from_mha_attn_mask(attn_mask: Tensor, *, heads: int) -> Tensor:
    """The mask in an ``attn_mask`` of `nn.MultiheadAttention`.

    Shape: (query, key) or (batch·heads, query, key), bool with True = blocked, or a float that
    is added to the scores → (1, 1, query, key) or (batch, head, query, key), True = may attend.
    Raises TypeError for integers, ValueError for a first axis that ``heads`` does not divide,
    fewer heads than 1, or a float that holds more than 0 and −∞.

    >>> import torch
    >>> from_mha_attn_mask(torch.tensor([[False, True]]), heads=2)
    tensor([[[[ True, False]]]])
    """
    validate.at_least(1, heads=heads)
    if validate.tensor("attn_mask", attn_mask).ndim == 2:
        return _from_blocked("attn_mask", attn_mask, true="blocked")[None, None]
    if attn_mask.ndim != 3 or len(attn_mask) % heads:
        raise ValueError(
            f"attn_mask must have the axes (query, key) or (batch·{heads}, query, key), got {tuple(attn_mask.shape)}."
        )
    return _from_blocked("attn_mask", attn_mask, true="blocked").unflatten(0, (-1, heads))


def _from_blocked(name: str, mask: Tensor, *, true: str) -> Tensor:
    """What `nn.MultiheadAttention` reads: a float is added, and in a bool True = blocked."""
    return from_bias(mask) if mask.is_floating_point() else ~validate.bool_mask(name, mask, true=true)
