"""One mask as each library wants it, and back.

Inside masklab a mask is bool, True = may attend, with axes (batch, head, query, key).
Libraries differ. ``to_…`` writes a mask as a library wants it, ``from_…`` reads it back,
and the rest of the name says whose form it is. When nobody says what a tensor is,
`keep_mask` reads its numbers and `four_axes` its axes, and both refuse to guess.

A row with no key is 0/0, and here the libraries differ most. What torch 2.13 and
transformers 5.23 give for it on a CPU, each line run by a test; for JAX, Flax and
Keras what their sources say, see `CALLS`:

=======================================================  =======  =======  ===================
call                                                     keep     block    row with no key
=======================================================  =======  =======  ===================
F.scaled_dot_product_attention, bool                     True     False    zeros
F.scaled_dot_product_attention, bias                     0        −∞       zeros
F.scaled_dot_product_attention, finite bias              0        min      uniform
F.scaled_dot_product_attention, finite bias, float16     0        min      no mask
nn.MultiheadAttention, need_weights=True                 False    True     NaN
nn.MultiheadAttention, need_weights=False                False    True     zeros
nn.MultiheadAttention, need_weights=False, fast path     False    True     NaN
nn.TransformerEncoderLayer                               False    True     zeros
nn.TransformerEncoderLayer, fast path                    False    True     NaN
flex_attention, mask_mod in a BlockMask                  True     False    zeros
Transformers "sdpa", 2-D                                 1        0        zeros
Transformers "sdpa", 4-D bool                            True     False    zeros
Transformers "eager", 2-D                                1        0        uniform
Transformers "eager", 4-D bias                           0        min      uniform
jax.nn.dot_product_attention                             True     False    uniform
flax.linen.MultiHeadDotProductAttention                  True     False    uniform
flax.nnx.MultiHeadAttention                              True     False    uniform
keras.layers.MultiHeadAttention                          True     False    uniform
keras.layers.MultiHeadAttention, scores returned         True     False    zeros
F.cross_entropy, labels                                  the id   −100     mean NaN, sum 0
=======================================================  =======  =======  ===================

*zeros*: the output is 0, before any last linear layer. *uniform*: the mean of all values,
padding and future with them. *no mask*: attention as if nothing were masked. *NaN*: also
in the gradients of all weights, even if no loss reads that row. *min* is `torch.finfo(dtype).min`.
The *fast path* is what torch takes in eval mode, without gradients, for plain layers:
self-attention, ``batch_first=True``, an even number of heads, bool masks. Then
`nn.TransformerEncoder` also writes 0 into every padded position of its output.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, create_mask

from masklab.masks import Mask, Predicate

AXES = ("batch", "head", "query", "key")
READINGS = {  # what a mask with so many axes can be
    1: [("key",)],
    2: [("batch", "key"), ("query", "key")],
    3: [("batch", "query", "key"), ("head", "query", "key")],
    4: [AXES],
}
IGNORED = -100  # the label that torch's and Transformers' losses leave out


# A mask of unknown origin


def keep_mask(values: Tensor, *, means: str | None = None) -> Tensor:
    """What a tensor says about who may attend, as a bool: True = may attend.

    ``means`` says how to read it: ``"keep"`` (1 or True = may attend), ``"block"`` (1 or
    True = may not), or ``"bias"`` (it is added to the scores: 0 and −∞). Without it, only a
    bool (True = may attend, as everywhere in masklab) and a bias with a −∞ in it are clear.
    Shape: as ``values``. Raises TypeError for integers, and ValueError for a float of zeros
    and ones, unless ``means`` is given: both can mean two things. Raises ValueError for
    numbers that are no mask.

    >>> keep_mask(torch.tensor([[0.0, -math.inf]]))
    tensor([[ True, False]])
    >>> keep_mask(torch.tensor([[1, 0]]), means="keep")
    tensor([[ True, False]])
    >>> keep_mask(torch.tensor([[1, 0]]), means="block")
    tensor([[False,  True]])
    """
    if means not in (None, "keep", "block", "bias"):
        raise ValueError(f"means must be 'keep', 'block' or 'bias', and is {means!r}.")
    means = means or _only_meaning(values)
    if means == "bias":
        return from_bias(values)
    if not ((values == 0) | (values == 1)).all():
        strange = values[(values != 0) & (values != 1)][0].item()
        raise ValueError(
            f"a mask in which 1 means {means} holds 0 and 1 only, and this one holds {strange:.4g} "
            f"(shape {tuple(values.shape)}). Is it a bias, or are these ids of documents?"
        )
    return values == 1 if means == "keep" else values == 0


def _only_meaning(values: Tensor) -> str:
    """What a tensor means when it can mean one thing only."""
    if values.dtype == torch.bool:
        return "keep"
    if not values.is_floating_point():
        raise TypeError(
            f"integers ({values.dtype}, shape {tuple(values.shape)}) could mean two things: 1 = keep, or ids of "
            "documents, in which equal ids may attend to each other. Say means='keep', or use masklab.masks.documents."
        )
    if ((values == 0) | (values == 1)).all():
        raise ValueError(
            f"a float of zeros and ones ({values.dtype}, shape {tuple(values.shape)}) could mean two things: 1 = keep, "
            "or a bias that is added to the scores, in which neither 0 nor 1 blocks anything. "
            "Say means='keep' or means='bias'."
        )
    return "bias"


def four_axes(
    mask: Tensor, *, batch: int, heads: int, queries: int, keys: int, axes: Sequence[str] | None = None
) -> Tensor:
    """The mask with all four axes (batch, head, query, key), if its shape can mean one thing only.

    Libraries put missing axes in front without asking, so that (batch, key) is taken for
    (query, key) in silence when there are as many sentences as queries. Here that is refused.
    ``axes`` names the mask's axes in the order of the house, for example ``("batch", "key")``.
    Shape: bool with 1 to 4 axes → (batch, head, query, key), each of them its size or 1.
    Raises TypeError for a mask that is not bool, ValueError for a shape that could be two
    things or none, and for ``axes`` that do not fit.

    >>> words = torch.tensor([[True, True, False], [True, True, True]])
    >>> four_axes(words, batch=2, heads=4, queries=3, keys=3).shape
    torch.Size([2, 1, 1, 3])
    >>> four_axes(words[:, :2], batch=2, heads=4, queries=2, keys=2, axes=("query", "key")).shape
    torch.Size([1, 1, 2, 2])
    """
    sizes = (batch, heads, queries, keys)
    readings = READINGS.get(_bool(mask).ndim, []) if axes is None else [_checked_axes(tuple(axes), mask)]
    shapes = {_placed(mask, reading): reading for reading in readings}  # equal shapes are the same mask
    fitting = {shape: reading for shape, reading in shapes.items() if _fits(shape, sizes)}
    if len(fitting) == 1:
        return mask.reshape(*fitting)
    known = f"batch={batch}, heads={heads}, queries={queries}, keys={keys}"
    if not fitting:
        tried = " or ".join(_named(reading) for reading in readings) or "a mask of 1 to 4 axes"
        raise ValueError(
            f"a mask of shape {tuple(mask.shape)} is not {tried} for {known}, where each axis may also be 1; "
            "if its first axis is batch·heads, use from_mha_attn_mask."
        )
    both = " or ".join(_named(reading) for reading in fitting.values())
    choice = " or ".join(f"axes={reading}" for reading in fitting.values())
    raise ValueError(f"a mask of shape {tuple(mask.shape)} could be {both} for {known}: say {choice}.")


def _checked_axes(axes: tuple[str, ...], mask: Tensor) -> tuple[str, ...]:
    """The names, if they are axes of the house in its order and as many as the mask has."""
    if axes != tuple(name for name in AXES if name in axes) or len(axes) != mask.ndim:
        raise ValueError(
            f"axes must name the {mask.ndim} axes of the mask in the order of {_named(AXES)}, and is {axes!r}."
        )
    return axes


def _placed(mask: Tensor, reading: tuple[str, ...]) -> tuple[int, ...]:
    """The four-axis shape of a mask whose axes are called so: 1 where it has no such axis."""
    return tuple(mask.shape[reading.index(name)] if name in reading else 1 for name in AXES)


def _fits(shape: Sequence[int], sizes: Sequence[int]) -> bool:
    """Whether each axis has its size, or 1."""
    return all(have in (1, want) for have, want in zip(shape, sizes, strict=True))


def _named(axes: tuple[str, ...]) -> str:
    """The axes as people write them: (batch, key)."""
    return f"({', '.join(axes)})"


# Added to the scores


def to_bias(mask: Tensor, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """The additive form: 0 where a query may attend, −∞ where it may not.

    For `F.scaled_dot_product_attention(attn_mask=…)` and for adding to scores by hand.
    Shape: as ``mask``. Raises TypeError for a mask that is not bool.

    >>> to_bias(torch.tensor([[True, False]]))
    tensor([[0., -inf]])
    """
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~_bool(mask), -math.inf)


def from_bias(bias: Tensor) -> Tensor:
    """The mask that an additive bias of zeros and −∞ stands for.

    Shape: as ``bias``. Raises TypeError for a bias that is not floating-point, ValueError
    for any other value: 0 and 1, or a large finite number, do not block anything.

    >>> from_bias(torch.tensor([[0.0, -math.inf]]))
    tensor([[ True, False]])
    """
    if not bias.is_floating_point():
        raise TypeError(
            f"a bias must be floating-point, 0 and −∞, and is {bias.dtype} of shape {tuple(bias.shape)}. "
            "A bool mask needs no change; integers become one with (mask == 1) if 1 means keep."
        )
    allowed = bias == 0
    strange = bias[~(allowed | (bias == -math.inf))]
    if strange.numel():
        value = strange[0].item()
        raise ValueError(
            f"a bias must hold 0 (may attend) and −∞ (may not) only, and holds {value:.4g} (shape "
            f"{tuple(bias.shape)}). {_why_not(value)}"
        )
    return allowed


def _why_not(value: float) -> str:
    """What happens when a number other than 0 and −∞ is added to a score."""
    if not -math.inf < value < 0:
        return "If 1 means keep, use (mask == 1); nothing but −∞ blocks for certain."
    return (
        f"If that stands for −∞ it leaks: the key keeps {math.exp(value):.1e} times the weight of an allowed one "
        "with the same score, and a row with no allowed key attends to every key. Use −∞, or read the finfo.min of "
        "Transformers with from_transformers_4d."
    )


# torch


def to_sdpa(mask: Tensor) -> Tensor:
    """The bool ``attn_mask`` of `F.scaled_dot_product_attention`: True = may attend, as in masklab.

    Shape: as ``mask``, broadcasting to (batch, head, query, key).
    Raises TypeError for a mask that is not bool.

    >>> to_sdpa(torch.tensor([[True, False]]))
    tensor([[ True, False]])
    """
    return _bool(mask)


def from_sdpa(attn_mask: Tensor) -> Tensor:
    """The mask in an ``attn_mask`` of `F.scaled_dot_product_attention`: a float is added to the scores.

    Shape: as ``attn_mask``. Raises TypeError for integers, which the library refuses too,
    ValueError for a float that holds more than 0 and −∞.

    >>> from_sdpa(torch.tensor([[0.0, -math.inf]]))
    tensor([[ True, False]])
    """
    return from_bias(attn_mask) if attn_mask.is_floating_point() else _bool(attn_mask)


def to_key_padding_mask(mask: Tensor) -> Tensor:
    """The ``key_padding_mask`` of `nn.MultiheadAttention`: True = **ignore** this key.

    Also the ``src_key_padding_mask`` of `nn.TransformerEncoder`.
    Shape: (batch, key) bool, True = a word → the same shape, True = padding.
    Raises TypeError for a mask that is not bool, ValueError for another number of axes.

    >>> to_key_padding_mask(torch.tensor([[True, True, False]]))
    tensor([[False, False,  True]])
    """
    return ~_bool(_batch_key(mask, "key padding mask"))


def from_key_padding_mask(key_padding_mask: Tensor) -> Tensor:
    """Which keys are words, from the ``key_padding_mask`` of `nn.MultiheadAttention`.

    Shape: (batch, key), bool with True = padding, or a float that is added to the scores →
    the same shape, True = a word. Raises TypeError for integers, ValueError for another
    number of axes, or a float that holds more than 0 and −∞.

    >>> from_key_padding_mask(torch.tensor([[False, False, True]]))
    tensor([[ True,  True, False]])
    """
    return _from_blocked(_batch_key(key_padding_mask, "key padding mask"))


def to_mha_attn_mask(mask: Tensor, *, heads: int) -> Tensor:
    """The ``attn_mask`` of `nn.MultiheadAttention`: True = **blocked**, one matrix a head.

    Shape: (batch, 1 or head, query, key) bool → (batch·heads, query, key), True = blocked;
    the heads of one sentence stand together.
    Raises TypeError for a mask that is not bool, ValueError for another number of axes.

    >>> to_mha_attn_mask(torch.tensor([[[[True, False]]]]), heads=2)
    tensor([[[False,  True]],
    <BLANKLINE>
            [[False,  True]]])
    """
    if mask.ndim != 4 or mask.shape[1] not in (1, heads):
        raise ValueError(
            f"expected axes (batch, 1 or {heads}, query, key), and this mask has shape {tuple(mask.shape)}."
        )
    return ~_bool(mask).expand(-1, heads, -1, -1).flatten(0, 1)


def from_mha_attn_mask(attn_mask: Tensor, *, heads: int) -> Tensor:
    """The mask in an ``attn_mask`` of `nn.MultiheadAttention`.

    Shape: (query, key) or (batch·heads, query, key), bool with True = blocked, or a float that
    is added to the scores → (1, 1, query, key) or (batch, head, query, key), True = may attend.
    Raises TypeError for integers, ValueError for a first axis that ``heads`` does not divide,
    or a float that holds more than 0 and −∞.

    >>> from_mha_attn_mask(torch.tensor([[False, True]]), heads=2)
    tensor([[[[ True, False]]]])
    """
    if attn_mask.ndim == 2:
        return _from_blocked(attn_mask)[None, None]
    if attn_mask.ndim != 3 or len(attn_mask) % heads:
        raise ValueError(
            f"expected axes (query, key) or (batch·{heads}, query, key), and this mask has shape "
            f"{tuple(attn_mask.shape)}."
        )
    return _from_blocked(attn_mask).unflatten(0, (-1, heads))


def _from_blocked(mask: Tensor) -> Tensor:
    """What `nn.MultiheadAttention` reads: a float is added, and of a bool True = blocked."""
    return from_bias(mask) if mask.is_floating_point() else ~_bool(mask)


# Transformers


def to_transformers_2d(mask: Tensor) -> Tensor:
    """The ``attention_mask`` that a Transformers tokenizer makes: 1 = a word, 0 = padding.

    Shape: (batch, key) bool → the same shape, int64.
    Raises TypeError for a mask that is not bool, ValueError for another number of axes.

    >>> to_transformers_2d(torch.tensor([[True, True, False]]))
    tensor([[1, 1, 0]])
    """
    return _bool(_batch_key(mask, "2-D attention mask")).long()


def from_transformers_2d(attention_mask: Tensor) -> Tensor:
    """Which keys are words, from the ``attention_mask`` of a Transformers tokenizer: 1 = a word.

    Shape: (batch, key) → the same shape, bool. Raises ValueError for another number of axes,
    or for values other than 0 and 1.

    >>> from_transformers_2d(torch.tensor([[1, 1, 0]]))
    tensor([[ True,  True, False]])
    """
    return keep_mask(_batch_key(attention_mask, "2-D attention mask"), means="keep")


def to_transformers_4d(mask: Tensor) -> Tensor:
    """The bool 4-D ``attention_mask`` of Transformers with ``attn_implementation="sdpa"``: True = may attend.

    The model takes it as it is, and adds nothing: no causal mask, no padding. Don't give it to
    ``"eager"``, which adds it to the scores and blocks nothing: see `to_transformers_4d_bias`.
    Shape: (batch, 1 or head, query, key) bool, the same back.
    Raises TypeError for a mask that is not bool, ValueError for another number of axes.
    Source: `transformers.masking_utils.sdpa_mask`.

    >>> to_transformers_4d(torch.tensor([[[[True, False]]]]))
    tensor([[[[ True, False]]]])
    """
    if mask.ndim != 4:
        raise ValueError(f"expected axes (batch, head, query, key), and this mask has shape {tuple(mask.shape)}.")
    return _bool(mask)


def to_transformers_4d_bias(mask: Tensor, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """The additive 4-D ``attention_mask`` of Transformers with ``attn_implementation="eager"``: 0 and finfo.min.

    ``dtype`` is the model's. The finite number makes a row with no key uniform instead of NaN.
    Shape: (batch, 1 or head, query, key) bool → the same shape, float.
    Raises TypeError for a mask that is not bool, ValueError for another number of axes.
    Source: `transformers.masking_utils.eager_mask`.

    >>> to_transformers_4d_bias(torch.tensor([[[[True, False]]]]), dtype=torch.float16)
    tensor([[[[     0., -65504.]]]], dtype=torch.float16)
    """
    return torch.zeros_like(mask, dtype=dtype).masked_fill(~to_transformers_4d(mask), torch.finfo(dtype).min)


def from_transformers_4d(attention_mask: Tensor) -> Tensor:
    """The mask in a 4-D ``attention_mask`` of Transformers, be it bool or additive.

    Shape: (batch, 1 or head, query, key), bool with True = may attend, or a float of 0 and
    finfo.min (or −∞, which two of them add up to) → the same shape, bool.
    Raises TypeError for integers, ValueError for another number of axes or other numbers.

    >>> from_transformers_4d(torch.tensor([[[[0.0, torch.finfo(torch.float32).min]]]]))
    tensor([[[[ True, False]]]])
    """
    if not attention_mask.is_floating_point():
        return to_transformers_4d(attention_mask)
    lowest = attention_mask == torch.finfo(attention_mask.dtype).min
    return to_transformers_4d(from_bias(attention_mask.masked_fill(lowest, -math.inf)))


# FlexAttention


def to_mask_mod(mask: Mask | Tensor) -> Predicate:
    """The ``mask_mod(b, h, q, kv)`` of FlexAttention: True = may attend.

    A rule is one already; a tensor is looked up. `torch.nn.attention.flex_attention.create_mask`
    is the way back. Shape of a tensor: (batch, head, query, key) bool, in which an axis of 1
    counts for all. Raises TypeError for a tensor that is not bool, ValueError for another
    number of axes. Source: Dong et al. 2024, arXiv 2412.05496.

    >>> mask_mod = to_mask_mod(torch.tensor([[[[True, False]]]]))
    >>> [bool(mask_mod(*torch.tensor([5, 7, 9, kv]))) for kv in (0, 1)]
    [True, False]
    """
    if isinstance(mask, Mask):
        return mask.allows
    shape = to_transformers_4d(mask).shape  # the same demands: bool, four axes

    def mask_mod(b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
        indices = [index * 0 if size == 1 else index for index, size in zip((b, h, q, kv), shape, strict=True)]
        return mask[tuple(indices)]

    return mask_mod


def to_block_mask(
    mask: Mask | Tensor, *, batch: int | None = None, heads: int | None = None, queries: int, keys: int,
    block_size: int | tuple[int, int] = 128,
) -> BlockMask:  # fmt: skip
    """The ``block_mask`` of `flex_attention`: which blocks of the matrix to compute, and the rule inside them.

    ``batch`` and ``heads`` are by default what the mask knows, or 1, which serves any number;
    ``block_size`` is in positions, one number or (query, key).
    Shape of a tensor: (batch, head, query, key) bool, each axis its size or 1.
    Raises TypeError for a tensor that is not bool, ValueError for sizes that do not fit.
    Source: Dong et al. 2024, arXiv 2412.05496.

    >>> from masklab.masks import causal
    >>> to_block_mask(causal(), queries=4, keys=4, block_size=2).sparsity()  # 1 block of 4 is all future
    25.0
    """
    mask_mod, known, wanted = to_mask_mod(mask), _known_sizes(mask), (batch, heads, queries, keys)
    if any(None not in pair and pair[0] != pair[1] for pair in zip(known, wanted, strict=True)):
        raise ValueError(f"a mask for (batch, head, query, key) = {known} does not fit {wanted}; None fits any number.")
    sizes = [know if want is None else want for know, want in zip(known, wanted, strict=True)]
    device = mask.device if isinstance(mask, Tensor) else "cpu"
    return create_block_mask(mask_mod, *sizes, device=device, BLOCK_SIZE=block_size)


def _known_sizes(mask: Mask | Tensor) -> tuple[int | None, ...]:
    """The sizes of the four axes that a mask is made for; None where it serves any number."""
    if isinstance(mask, Mask):
        return (mask.batch, mask.heads, None, None)
    return tuple(None if size == 1 else size for size in mask.shape)


def from_block_mask(block_mask: BlockMask) -> Tensor:
    """The mask in a `BlockMask`: the rule, inside the blocks that it lists.

    Shape: (batch, head, query, key) bool, True = may attend.

    >>> from masklab.masks import causal
    >>> from_block_mask(to_block_mask(causal(), queries=3, keys=3, block_size=2))[0, 0].int()
    tensor([[1, 0, 0],
            [1, 1, 0],
            [1, 1, 1]], dtype=torch.int32)
    """
    queries, keys = block_mask.shape[-2:]
    rows, columns = block_mask.BLOCK_SIZE
    listed = block_mask.to_dense().bool().repeat_interleave(rows, dim=-2).repeat_interleave(columns, dim=-1)
    rule = create_mask(block_mask.mask_mod, *block_mask.shape, device=listed.device)
    return rule & listed[..., :queries, :keys]


# Labels


def to_labels(ids: Tensor, supervised: Tensor) -> Tensor:
    """Labels as losses want them: the id where a position counts, −100 where it does not.

    Shapes: ``ids`` int64 and ``supervised`` bool, both (batch, length) → the same, int64.
    Raises TypeError for a mask that is not bool or ids that are not int64, ValueError for
    shapes that differ.

    >>> to_labels(torch.tensor([[7, 8, 9]]), torch.tensor([[True, False, True]]))
    tensor([[   7, -100,    9]])
    """
    if ids.dtype != torch.int64:
        raise TypeError(f"ids must be int64, and are {ids.dtype} of shape {tuple(ids.shape)}.")
    if ids.shape != supervised.shape:
        raise ValueError(
            f"ids and supervised must have one shape, and have {tuple(ids.shape)} and {tuple(supervised.shape)}."
        )
    return ids.masked_fill(~_bool(supervised), IGNORED)


def from_labels(labels: Tensor) -> Tensor:
    """Which positions count in the loss: those whose label is not −100.

    Shape: as ``labels``, bool, True = counts. Raises TypeError for labels that are not int64,
    ValueError for another negative number, which no loss of torch takes for a class.

    >>> from_labels(torch.tensor([[7, -100, 9]]))
    tensor([[ True, False,  True]])
    """
    if labels.dtype != torch.int64:
        raise TypeError(f"labels must be int64, and are {labels.dtype} of shape {tuple(labels.shape)}.")
    counts = labels != IGNORED
    if (labels[counts] < 0).any():
        strange = labels[counts & (labels < 0)][0].item()
        raise ValueError(
            f"a label is an id, 0 or more, or {IGNORED} (left out), and here is {strange} (shape "
            f"{tuple(labels.shape)}). If it means left out, use labels.masked_fill(labels == {strange}, {IGNORED})."
        )
    return counts


# JAX, Flax and Keras, which are not installed here


@dataclass(frozen=True)
class Call:
    """How a library that masklab does not import takes a mask of the house: the exact call, as text.

    ``library`` is the name in the table above, which says what True means there; ``code`` the
    call, for a bool ``mask`` with all four axes; ``weights`` how the library computes the
    weights from the scores; ``empty_row`` what that gives with no key; ``source`` what was read.

    >>> CALLS[0].code
    'jax.nn.dot_product_attention(q, k, v, mask=mask.numpy())  # q, k, v: (batch, length, head, dim)'
    """

    library: str
    code: str
    true_means: str
    weights: str
    empty_row: str
    source: str


CALLS = (
    Call(
        library="jax.nn.dot_product_attention",
        code="jax.nn.dot_product_attention(q, k, v, mask=mask.numpy())  # q, k, v: (batch, length, head, dim)",
        true_means="may attend",
        weights="softmax(where(mask, scores, -0.7 * finfo(float32).max))",
        empty_row="uniform",
        source="jax 0.11.1, jax/_src/nn/functions.py",
    ),
    Call(
        library="flax.linen.MultiHeadDotProductAttention",
        code="flax.linen.MultiHeadDotProductAttention(num_heads=heads).apply(weights, x, mask=mask.numpy())",
        true_means="may attend",
        weights="softmax(where(mask, scores, finfo(scores.dtype).min))",
        empty_row="uniform",
        source="flax 0.12.8, flax/linen/attention.py",
    ),
    Call(
        library="flax.nnx.MultiHeadAttention",
        code="flax.nnx.MultiHeadAttention(heads, dim, decode=False, rngs=flax.nnx.Rngs(0))(x, mask=mask.numpy())",
        true_means="may attend",
        weights="jax.nn.dot_product_attention; with dropout or sow_weights as flax.linen",
        empty_row="uniform",
        source="flax 0.12.8, flax/nnx/nn/attention.py",
    ),
    Call(
        library="keras.layers.MultiHeadAttention",
        code="keras.layers.MultiHeadAttention(heads, dim)(x, x, attention_mask=mask.numpy())",
        true_means="may attend",
        weights="softmax(where(mask, scores, -2.4e38)); on torch softmax(scores + where(mask, 0, -2.4e38))",
        empty_row="uniform",
        source="keras 3.16.0, keras/src/backend/*/nn.py, dot_product_attention",
    ),
    Call(
        library="keras.layers.MultiHeadAttention, scores returned",
        code="keras.layers.MultiHeadAttention(heads, dim)"
        "(x, x, attention_mask=mask.numpy(), return_attention_scores=True)  # the same path if dropout > 0",
        true_means="may attend",
        weights="where(mask, softmax(where(mask, scores, -1e9)), 0)",
        empty_row="zeros",
        source="keras 3.16.0, keras/src/layers/activations/softmax.py",
    ),
)


def _bool(mask: Tensor) -> Tensor:
    """Return the mask if it is bool, or say what to do."""
    if mask.dtype != torch.bool:
        raise TypeError(
            f"expected a bool mask, True = may attend, and got {mask.dtype} of shape {tuple(mask.shape)}. "
            "Use mask.bool() if 1 means keep, or from_bias(mask) if it holds 0 and −∞."
        )
    return mask


def _batch_key(mask: Tensor, name: str) -> Tensor:
    """Return the mask if it has two axes, or say what to do."""
    if mask.ndim != 2:
        raise ValueError(
            f"a {name} has axes (batch, key), and this mask has shape {tuple(mask.shape)}. "
            "Of four axes take mask[:, 0, 0], if all heads and queries see the same keys."
        )
    return mask
