"""The Rosetta stone: one mask in every library's words, and what each makes of the words of another.

A `Dialect` writes a mask as its library wants it, and reads any tensor as its library would: by what
that adds to the scores. What it cannot read it refuses with the library's own error. Tests run the real
torch and Transformers for every pair; JAX and Keras were run by hand (jax 0.10.2, keras 3.15.1).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from masklab import dialects, toy
from masklab.attention import Attention, attend
from masklab.masks import causal
from masklab.panels import Panel

MIN = torch.finfo(torch.float32).min
JAX_MIN, KERAS_MIN = -0.7 * torch.finfo(torch.float32).max, -2.4e38
INDEX = {4: "[b, 0, q, kv]", 3: "[b, q, kv]", 2: "[b, kv]"}  # one pair's cell in a tensor of so many axes
TO_AXES = {(4, 3): "[:, 0]", (3, 4): "[:, None]", (2, 4): "[:, None, None]", (2, 3): "[:, None]"}
BLOCK_MASK = 'create_block_mask(lambda b, h, q, kv: {}, {}, 1, {}, {}, device="cpu")'
ZEROS, UNIFORM, NAN = "zeros", "uniform", "NaN"
KINDS = {"bool": "bool", "BlockMask": "bool", "int64": "ids", "float32": "mask"}  # how a tensor's numbers are written


class Refused(Exception):
    """A library does not take this tensor; the text is its own error."""


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How one library writes and reads a mask; ``library`` is its name in the table of `masklab.dialects`.

    ``label`` names the form that it writes, ``reader`` who reads it.
    ``writes`` makes its form of a mask (B, 1, L, L), True = may attend; ``code`` is the same as text, of a ``mask``;
    ``holds`` names what it holds, ``means`` says what its numbers mean. ``call`` hands over a tensor of ``axes``
    axes (or of 2, if ``takes_2d``). ``reads`` says for each kind of tensor what the library adds to the scores,
    ``refuses`` with which error it stops; ``empty`` is what its fully masked row gives.
    """

    label: str
    reader: str
    library: str
    writes: Callable[[Tensor], Tensor]
    code: str
    holds: str
    means: str
    call: str
    reads: Mapping[str, Callable[..., Tensor]]
    refuses: Mapping[str, str]
    empty: str
    axes: int = 4
    takes_2d: bool = False

    def read(self, tensor: Tensor, holds: str, *, is_causal: bool) -> Tensor:
        """What the library adds to the scores when it is handed this; raises Refused with its error.

        Shapes: ``tensor`` (B, L), (B, L, L) or (B, 1, L, L) → (B, 1, L or 1, L) float.
        """
        if holds not in self.reads:
            raise Refused(self.refuses[holds])
        four = tensor.reshape(len(tensor), 1, -1, tensor.shape[-1])
        return self.reads[holds](four, is_causal=is_causal)

    def written(self, tensor: Tensor) -> str:
        """The line of code that makes this tensor, and what it is."""
        batch, length = len(tensor), tensor.shape[-1]
        code = BLOCK_MASK.format("mask" + INDEX[4], batch, length, length) if self.holds == "BlockMask" else self.code
        return f"given = {code}  # {self.holds} {tuple(tensor.shape)}: {self.means}"

    def handed(self, tensor: Tensor, holds: str) -> str:
        """The line of code that hands it over, with the axes that the library wants."""
        if "block_mask" in self.call and holds != "BlockMask":
            batch, length = len(tensor), tensor.shape[-1]
            return self.call.format(BLOCK_MASK.format("given" + INDEX[tensor.ndim], batch, length, length))
        axes = 2 if tensor.ndim == 2 and self.takes_2d else self.axes
        return self.call.format("given" + TO_AXES.get((tensor.ndim, axes), ""))


def attend_as(reader: Dialect, projected: toy.Projected, added: Tensor) -> Attention:
    """Attention as a library computes it once it has read its mask. Shape: ``added`` (L, L) float.

    >>> attend_as(DIALECTS["eager"], toy.project(torch.tensor([1, 2])), torch.full((2, 2), MIN)).weights[0, 0]
    tensor([[0.5000, 0.5000],
            [0.5000, 0.5000]])
    """
    q, k, v = (one[None, None] for one in projected)  # (1, 1, L, DIM)
    scores = attend(q, k, v).scores
    weights = (scores + added).softmax(dim=-1)
    if reader.empty == ZEROS:
        weights = weights.masked_fill((added == -math.inf).all(dim=-1, keepdim=True), 0.0)
    return Attention(scores=scores, bias=added[None, None], masked=scores + added, weights=weights, output=weights @ v)


def keep(tensor: Tensor, *, low: float, is_causal: bool, adds_causal: bool = False) -> Tensor:
    """What a mask adds in which whatever is not 0 keeps a key: 0 there, ``low`` elsewhere.

    With ``adds_causal`` the library blocks the future, too, if its model ``is_causal``.

    >>> keep(torch.tensor([[[[1, 0]]]]), low=-math.inf, is_causal=False)
    tensor([[[[0., -inf]]]])
    """
    kept = tensor.bool()
    if adds_causal and is_causal:
        length = kept.shape[-1]
        kept = kept & causal().tensor(queries=length, keys=length)
    return torch.zeros(kept.shape).masked_fill(~kept, low)


def ignore(tensor: Tensor, *, is_causal: bool) -> Tensor:
    """What a mask adds in which True means: ignore this key.

    >>> ignore(torch.tensor([True, False]), is_causal=True)
    tensor([-inf, 0.])
    """
    return torch.zeros(tensor.shape).masked_fill(tensor, -math.inf)


def added(tensor: Tensor, *, is_causal: bool) -> Tensor:
    """What is added as it is; True counts as 1.

    >>> added(torch.tensor([True, False]), is_causal=True)
    tensor([1., 0.])
    """
    return tensor.float()


def words(mask: Tensor) -> Tensor:
    """The keys that some query may attend to, as a tokenizer says it. Shape: (B, 1, L, L) → (B, L) int64.

    >>> words(torch.tensor([[[[True, False], [True, False]]]]))
    tensor([[1, 0]])
    """
    return dialects.to_transformers_2d(mask.any(dim=(1, 2)))


def tensor_panel(given: Tensor, writer: Dialect, shown: int, mask: Tensor, square: Mapping[str, Any]) -> Panel:
    """The tensor as it is written: of the shown sentence, or of all sentences where each has one row.

    Shapes: ``given`` as the writer wants it, ``mask`` (L, L) bool of the shown sentence; ``square`` are the words.

    >>> mask, square = torch.tensor([[[[True, False], [True, True]]]]), {"rows": "ab", "columns": "ab"}
    >>> tensor_panel(DIALECTS["mha"].writes(mask), DIALECTS["mha"], 0, mask[0, 0], square).values
    tensor([[False,  True],
            [False, False]])
    """
    look: dict[str, Any] = {
        "name": "tensor", "kind": KINDS[writer.holds], "sign": "→", "title": f"as {writer.label} writes it",
        "meaning": f"{writer.holds} {tuple(given.shape)}: {writer.means}.",
    }  # fmt: skip
    if given.ndim > 2:
        return Panel(values=given[shown].reshape(mask.shape), blocked=~mask, say=", written {}", **look, **square)
    rows, columns = given.shape
    return Panel(
        values=given, blocked=given == 0, rows=[str(i + 1) for i in range(rows)],
        columns=[str(i) for i in range(columns)], axes=("sentence", "position"), links=("sentence", "key"),
        say="{}", **look,
    )  # fmt: skip


NO_BLOCK_MASK = {
    "sdpa": "TypeError: scaled_dot_product_attention(): argument 'attn_mask' must be Tensor, not BlockMask",
    "mha": "TypeError: is_floating_point(): argument 'input' (position 1) must be Tensor, not BlockMask",
    "plus": "TypeError: unsupported operand type(s) for +: 'Tensor' and 'BlockMask'",
    "numpy": "AttributeError: 'BlockMask' object has no attribute 'numpy'",
}
SDPA_INTEGERS = (
    "RuntimeError: Expected attn_mask dtype to be bool or float or to match query dtype, "
    "but got attn_mask.dtype: long int and  query.dtype: float instead."
)
SDPA: dict[str, Any] = {
    "call": "F.scaled_dot_product_attention(q, k, v, attn_mask={})",
    "reads": {"bool": partial(keep, low=-math.inf), "float32": added},
    "refuses": {"int64": SDPA_INTEGERS, "BlockMask": NO_BLOCK_MASK["sdpa"]},
    "empty": ZEROS,
}
ADDED = "0 = may attend; added to the scores"
MAY = "True = may attend"

DIALECTS = {
    "sdpa": Dialect(
        label="SDPA bool", reader="SDPA", library="F.scaled_dot_product_attention, bool", writes=dialects.to_sdpa,
        code="mask", holds="bool", means=MAY, **SDPA,
    ),
    "bias": Dialect(
        label="SDPA bias", reader="SDPA", library="F.scaled_dot_product_attention, bias", writes=dialects.to_bias,
        code="torch.zeros(mask.shape).masked_fill(~mask, -math.inf)", holds="float32", means=ADDED, **SDPA,
    ),
    "mha": Dialect(
        label="MHA", reader="MHA", library="nn.MultiheadAttention, need_weights=True",
        writes=lambda mask: dialects.to_mha_attn_mask(mask, heads=1).reshape(-1, *mask.shape[2:]),
        code="~mask[:, 0]", holds="bool", means="True = ignore", axes=3,
        call="mha(x, x, x, attn_mask={})  # mha = nn.MultiheadAttention(4, 1, batch_first=True)",
        reads={"bool": ignore, "float32": added},
        refuses={
            "int64": "AssertionError: only bool and floating types of attn_mask are supported",
            "BlockMask": NO_BLOCK_MASK["mha"],
        },
        empty=NAN,
    ),
    "flex": Dialect(
        label="flex", reader="flex", library="flex_attention, mask_mod in a BlockMask", writes=dialects.to_sdpa,
        code="", holds="BlockMask", means=MAY, call="flex_attention(q, k, v, block_mask={})",
        reads={"bool": partial(keep, low=-math.inf), "BlockMask": partial(keep, low=-math.inf)},
        refuses={
            "int64": "AssertionError: mask.dtype must be torch.bool, got torch.int64",
            "float32": "AssertionError: mask.dtype must be torch.bool, got torch.float32",
        },
        empty=ZEROS,
    ),
    "tokenizer": Dialect(
        label="HF 2-D", reader="HF sdpa", library='Transformers "sdpa", 2-D',
        writes=words, code="mask.any(dim=(1, 2)).long()",
        holds="int64", means="1 = a word", takes_2d=True,
        call='model(ids, attention_mask={})  # attn_implementation="sdpa"',
        reads=SDPA["reads"] | {"int64": partial(keep, low=-math.inf, adds_causal=True)},
        refuses={"BlockMask": NO_BLOCK_MASK["sdpa"]}, empty=ZEROS,
    ),
    "eager": Dialect(
        label="HF eager", reader="HF eager", library='Transformers "eager", 4-D bias',
        writes=dialects.to_transformers_4d_bias,
        code="torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)",
        holds="float32", means=ADDED, takes_2d=True,
        call='model(ids, attention_mask={})  # attn_implementation="eager"',
        reads={"bool": added, "float32": added, "int64": partial(keep, low=MIN, adds_causal=True)},
        refuses={"BlockMask": NO_BLOCK_MASK["plus"]}, empty=UNIFORM,
    ),
    "jax": Dialect(
        label="JAX", reader="JAX", library="jax.nn.dot_product_attention", writes=dialects.to_sdpa, code="mask",
        holds="bool", means=MAY, call="jax.nn.dot_product_attention(q, k, v, mask={}.numpy())",
        reads={"bool": partial(keep, low=JAX_MIN)},
        refuses={
            "int64": "ValueError: mask dtype should be bool, but got int32",
            "float32": "ValueError: mask dtype should be bool, but got float32",
            "BlockMask": NO_BLOCK_MASK["numpy"],
        },
        empty=UNIFORM,
    ),
    "keras": Dialect(
        label="Keras", reader="Keras", library="keras.layers.MultiHeadAttention",
        writes=lambda mask: mask[:, 0], code="mask[:, 0]",
        holds="bool", means=MAY, axes=3, call="keras.layers.MultiHeadAttention(1, 4)(x, x, attention_mask={}.numpy())",
        reads=dict.fromkeys(("bool", "int64", "float32"), partial(keep, low=KERAS_MIN)),
        refuses={"BlockMask": NO_BLOCK_MASK["numpy"]}, empty=UNIFORM,
    ),
}  # fmt: skip
