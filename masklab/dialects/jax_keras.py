"""JAX, Flax and Keras, which are not installed here: their calls as text."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """How a library that masklab does not import takes a mask: the exact call, as text.

    ``library`` is the name in the table of `masklab.dialects`, which says what True means there; ``code`` the
    call, for a bool ``mask`` with all four axes; ``weights`` how the library computes the
    weights from the scores; ``empty_row`` what a fully masked row gives; ``source`` what was read.

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
        code="flax.nnx.MultiHeadAttention(heads, dim, decode=False, rngs=flax.nnx.Rngs(0))(x, mask=mask.numpy())"
        "  # flax.nnx is imported by itself: import flax.nnx",
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
