"""One mask as each library wants it, and back.

Inside masklab a mask is bool, True = may attend, with axes (batch, head, query, key).
Libraries differ. ``to_…`` writes a mask as a library wants it, ``from_…`` reads it back,
and the rest of the name says whose form it is. Of a tensor of unknown origin `keep_mask`
reads the numbers and `with_four_axes` the axes, and both refuse to guess.

The softmax of a fully masked row is 0/0, and here the libraries differ most. What torch
2.13 and transformers 5.23 give for it on a CPU, each line run by a test; for JAX, Flax
and Keras what their sources say, see `CALLS`:

=======================================================  =======  =======  ===================
call                                                     keep     block    fully masked row
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
padding and future included. *no mask*: attention as if nothing were masked. *NaN*: also
in the gradients of all weights, even if no loss reads that row. *min* is `torch.finfo(dtype).min`.
The *fast path* is what torch takes in eval mode, without gradients, for plain layers:
self-attention, ``batch_first=True``, an even number of heads. `nn.MultiheadAttention` takes it
for bool masks only. `nn.TransformerEncoderLayer` takes a float mask there too, and then blocks
wherever it is not 0, be it −∞, −1 or +1; off the fast path it adds what it is given.
`nn.TransformerEncoder` also writes 0 into every padded position, before its last norm, if it
takes the fast path for right padding, with no ``mask`` beside it, and ``norm_first=False``.
For left padding, with a ``mask``, or with ``norm_first=True`` the pads keep some output.
"""

from masklab.dialects.additive import from_bias, to_bias
from masklab.dialects.flex import from_block_mask, to_block_mask, to_mask_mod
from masklab.dialects.huggingface import (
    from_transformers_2d,
    from_transformers_4d,
    to_transformers_2d,
    to_transformers_4d,
    to_transformers_4d_bias,
)
from masklab.dialects.jax_keras import CALLS, Call
from masklab.dialects.labels import IGNORED, from_labels, to_labels
from masklab.dialects.pytorch import (
    from_key_padding_mask,
    from_mha_attn_mask,
    from_sdpa,
    to_key_padding_mask,
    to_mha_attn_mask,
    to_sdpa,
)
from masklab.dialects.unknown import keep_mask, with_four_axes

__all__ = [
    "CALLS", "IGNORED", "Call", "from_bias", "from_block_mask",
    "from_key_padding_mask", "from_labels", "from_mha_attn_mask", "from_sdpa", "from_transformers_2d",
    "from_transformers_4d", "keep_mask", "to_bias", "to_block_mask", "to_key_padding_mask", "to_labels", "to_mask_mod",
    "to_mha_attn_mask", "to_sdpa", "to_transformers_2d", "to_transformers_4d", "to_transformers_4d_bias",
    "with_four_axes",
]  # fmt: skip
