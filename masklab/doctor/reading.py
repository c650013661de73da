"""A mask as it came → who may attend to whom, as the library that takes it would read it; ambiguity is said."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask

from masklab import validate
from masklab.dialects import from_block_mask
from masklab.dialects.additive import BLOCKS as LOW
from masklab.dialects.additive import UNDERFLOW
from masklab.doctor.codes import WARNING
from masklab.doctor.report import Finding, finding
from masklab.panels import number

KEEP, BLOCK, ADDED, REFUSED = "keep", "block", "added", "refused"
BLOCKS = 0.99 * LOW  # in bfloat16, −1e4 is −9984
ZEROS, UNIFORM, NAN = "zeros", "the mean of all values", "NaN"


@dataclass(frozen=True)
class Dialect:
    """How a library reads a mask: what True (or 1) does, what a float does, and what a fully masked row gives.

    ``axes`` are those of a mask with two, where the library says so; the numbers of axes that it takes are ``ndims``.
    """

    true: str
    floats: str
    empty: str
    axes: tuple[str, str] | None = None
    ndims: tuple[int, ...] = (1, 2, 3, 4)


PAIRS, PADDING = ("query", "key"), ("batch", "key")
DIALECTS = {  # named as the functions of masklab.dialects; what an empty row gives is the table's worst
    "keep": Dialect(KEEP, ADDED, ZEROS),
    "block": Dialect(BLOCK, ADDED, NAN),
    "bias": Dialect(ADDED, ADDED, NAN),
    "sdpa": Dialect(KEEP, ADDED, ZEROS, PAIRS, (2, 3, 4)),
    "key_padding_mask": Dialect(BLOCK, ADDED, NAN, PADDING, (1, 2)),
    "mha_attn_mask": Dialect(BLOCK, ADDED, NAN, PAIRS, (2, 3)),
    "transformers_2d": Dialect(KEEP, KEEP, ZEROS, PADDING, (2,)),
    "transformers_4d": Dialect(KEEP, ADDED, UNIFORM, None, (4,)),
    "block_mask": Dialect(KEEP, REFUSED, ZEROS, None, (4,)),
    "jax": Dialect(KEEP, REFUSED, UNIFORM, None, (4,)),
    "keras": Dialect(KEEP, KEEP, UNIFORM, None, (3, 4)),
}


def keeps(mask: Tensor | BlockMask, dialect: str) -> tuple[Tensor, list[Finding]]:
    """Which pairs the numbers of a mask keep, as the library reads them, and what is wrong with the numbers.

    Shape: as ``mask``, bool, True = may attend. Raises TypeError for what the library does not take, ValueError for
    numbers that are no mask.

    >>> keeps(torch.tensor([[1.0, 0.0]]), "keep")[1][0].code  # SDPA adds a float
    'float-01'
    >>> keeps(torch.tensor([[False, True]]), "key_padding_mask")
    (tensor([[ True, False]]), [])
    """
    how = DIALECTS[dialect]
    if isinstance(mask, BlockMask):
        return from_block_mask(mask), []
    if mask.is_floating_point() and how.floats == REFUSED or mask.is_complex():
        raise TypeError(f"{dialect} takes no floating-point mask, got {validate.got(mask)}. Use mask == 0 or mask > 0.")
    if mask.is_floating_point() and how.floats == ADDED:
        return _of_bias(mask)
    if not ((mask == 0) | (mask == 1)).all():
        strange = mask[(mask != 0) & (mask != 1)][0].item()
        raise ValueError(
            f"a mask of {mask.dtype} must hold 0 and 1 only, got {strange:.4g}. Is it a bias (then make it floating-"
            "point), or are these ids of documents (then use masklab.masks.documents)?"
        )
    if how.true == ADDED and mask.any():
        return torch.ones_like(mask, dtype=torch.bool), [_zeros_and_ones(mask)]
    return (mask != 0) if how.true == KEEP else (mask == 0), []


def _of_bias(bias: Tensor) -> tuple[Tensor, list[Finding]]:
    """What a float keeps that is added to the scores: a key whose weight is not 0 beside the best one's."""
    values = bias.unique()  # NaN stands in it once for each
    if values.isnan().any() or (values == torch.inf).any():
        return ~(bias <= BLOCKS), [_not_finite(bias)]  # 0 · −∞ is NaN where 0 was to stay
    if (values == 1).any() and ((values == 0) | (values == 1)).all():
        return torch.ones_like(bias, dtype=torch.bool), [_zeros_and_ones(bias)]
    kept = (bias > BLOCKS) & (bias.double() > values.max().double() + UNDERFLOW)
    nonzero = values[(values != 0) & (values > BLOCKS)]
    if len(nonzero) == 1 and nonzero[0] < 0 and (values == 0).any():  # many numbers are a learned or linear bias
        return bias == 0, [_weak(nonzero[0].item(), bias)]
    return kept, []


def _not_finite(bias: Tensor) -> Finding:
    """NaN or +∞ in a bias."""
    wrong = bias.isnan() | (bias == torch.inf)
    value = "NaN" if bias.isnan().any() else "+∞"
    return finding(
        "non-finite",
        f"The mask holds {value} ({int(wrong.sum())} of {bias.numel()} cells), and {value} makes its whole row of "
        "weights NaN. Zero times infinity is NaN: a mask can't be made by multiplying with −∞.",
        where=f"first at index {tuple(wrong.nonzero()[0].tolist())}",
        fix="bias = torch.zeros(mask.shape).masked_fill(~mask, -math.inf)  # in place of (1 - mask) * -math.inf",
    )


def _zeros_and_ones(mask: Tensor) -> Finding:
    """A mask of zeros and ones that is added to the scores."""
    return finding(
        "float-01",
        f"This mask of {str(mask.dtype).removeprefix('torch.')} holds only 0 and 1 and is added to the scores. A key "
        "with 0 keeps its score, so nothing is blocked: 1 only makes a key 2.7 times as heavy.",
    )


def _weak(value: float, bias: Tensor) -> Finding:
    """A number that should block and doesn't for certain."""
    word, hard = number(value), value <= UNDERFLOW
    says = (
        f"Blocked keys get {word}, which blocks only while their scores are not {number(-value)} above the others. "
        "A fully masked row attends to every key."
        if hard
        else f"Blocked keys get {word}, and each keeps {torch.tensor(value).exp().item():.1e} times the weight of an "
        "allowed key with the same score: it leaks."
    )
    where = f"{int((bias == value).sum())} of {bias.numel()} cells"
    return finding("weak-bias", says, where=where, severity=WARNING if hard else "error")


# --- Axes ------------------------------------------------------------------------------------------------------------


def with_axes(
    kept: Tensor, dialect: str, pad: Tensor | None, causal: bool
) -> tuple[Tensor, tuple[str, ...], Finding | None]:
    """The mask with all four axes, how it was read, and a finding if it could be read in two ways.

    Shape: → (batch, head, query, key). Raises ValueError for axes that the dialect doesn't take, or that don't fit
    ``pad``, (batch, key).

    >>> with_axes(torch.ones(2, 3, dtype=torch.bool), "key_padding_mask", None, False)[:2]
    (tensor([[[[True, True, True]]],
    <BLANKLINE>
    <BLANKLINE>
            [[[True, True, True]]]]), ('batch', 'key'))
    """
    allowed = DIALECTS[dialect].ndims
    if kept.ndim not in allowed or not kept.numel():
        wanted = " or ".join(map(str, allowed))
        raise ValueError(f"mask must have {wanted} axes as {dialect}, none of size 0, got shape {tuple(kept.shape)}.")
    if pad is not None and pad.shape[1] != kept.shape[-1]:
        raise ValueError(
            f"pad must be (batch, key) with the {kept.shape[-1]} keys of the mask {tuple(kept.shape)}, got "
            f"{tuple(pad.shape)}."
        )
    axes, unclear = _axes(kept, dialect, pad, causal)
    four = _placed(kept, axes, pad)
    if pad is not None and len(four) not in (1, len(pad)):
        raise ValueError(
            f"mask and pad must have the same batch, got {len(four)} sentences in a mask of shape {tuple(kept.shape)}, "
            f"read as ({', '.join(axes)}), and {len(pad)} in pad."
        )
    return four, axes, unclear


def _axes(kept: Tensor, dialect: str, pad: Tensor | None, causal: bool) -> tuple[tuple[str, ...], Finding | None]:
    """The names of the mask's axes; of two or three axes they may be unclear."""
    if kept.ndim == 4:
        return validate.AXES, None
    if kept.ndim == 1:
        return ("key",), None
    if kept.ndim == 3:
        return _three(kept, dialect, pad)
    if DIALECTS[dialect].axes == PADDING:
        return PADDING, None
    return _two(kept, dialect, pad, causal)


def _three(kept: Tensor, dialect: str, pad: Tensor | None) -> tuple[tuple[str, ...], Finding | None]:
    """(batch, query, key), (head, query, key), or all heads of all sentences one after the other."""
    first, batch = len(kept), 1 if pad is None else len(pad)
    if dialect == "mha_attn_mask":
        return ("batch·head", "query", "key"), None
    if first != batch or first == 1 or dialect != "sdpa":
        return ("head" if pad is not None and first != batch else "batch", "query", "key"), None
    return ("batch", "query", "key"), finding(
        "ambiguous-shape",
        f"The mask's shape is {tuple(kept.shape)} and there are {batch} sentences. SDPA puts missing axes in front: "
        f"with {batch} heads, it takes the sentences for heads without a word.",
        fix="mask = mask[:, None]  # (batch, 1, query, key)",
    )


def _two(kept: Tensor, dialect: str, pad: Tensor | None, causal: bool) -> tuple[tuple[str, str], Finding | None]:
    """(query, key) or (batch, key): what fits, and a finding where both do."""
    rows, keys = kept.shape
    if rows == 1 or (not causal and bool((kept == kept[:1]).all())):
        return PAIRS, None  # the same for every row, whatever rows are
    if pad is None:
        return PAIRS, _unclear(kept) if not causal and rows == keys and _like_padding(kept) else None
    if rows != len(pad) or _surely_pairs(kept, pad, causal):
        return PAIRS, None
    if rows == keys or causal or dialect in ("sdpa", "mha_attn_mask"):
        return (PAIRS, None) if dialect == "mha_attn_mask" else (PADDING, _unclear(kept))
    return PADDING, None


def _like_padding(kept: Tensor) -> bool:
    """Whether each row looks like a padded sentence, and not like a query that sees itself."""
    steps = kept.int().diff(dim=-1)
    runs = bool((steps <= 0).all() or (steps >= 0).all())
    return runs and bool(kept.any(-1).all()) and not bool(kept.diagonal().all())


def _surely_pairs(kept: Tensor, pad: Tensor, causal: bool) -> bool:
    """Whether a mask as large as ``pad`` cannot be the padding mask: it is another, and makes sense for pairs."""
    if torch.equal(kept, pad):
        return bool(pad.all())  # where nothing is blocked both readings are one
    offset = kept.shape[1] - kept.shape[0]
    is_causal = causal and not kept.triu(offset + 1).any() and bool(kept.diagonal(offset).all())
    return is_causal or (bool(pad.all()) and not torch.equal(kept, ~pad))


def _unclear(kept: Tensor) -> Finding:
    """A shape that could be two things."""
    rows, keys = kept.shape
    return finding(
        "ambiguous-shape",
        f"A mask of shape ({rows}, {keys}) could be (batch, key) for {rows} sentences or (query, key) for {rows} "
        "queries. Libraries take it for (query, key) without a word, and then a sentence's padding masks a query.",
        where=f"shape ({rows}, {keys})",
    )


def _placed(kept: Tensor, axes: tuple[str, ...], pad: Tensor | None) -> Tensor:
    """The mask with four axes; all heads of all sentences are sorted by sentence if their number is known."""
    if axes[0] == "batch·head":
        batch = 1 if pad is None else len(pad)
        return kept.unflatten(0, (batch, -1)) if len(kept) % batch == 0 else kept[:, None]
    names = dict(zip(axes, kept.shape, strict=True))
    return kept.reshape([names.get(axis, 1) for axis in validate.AXES])
