"""The masks of FlexAttention: a rule, and the blocks of the matrix that it leaves to compute."""

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, create_mask

from masklab import validate
from masklab.masks import Predicate, Rule


def to_mask_mod(mask: Rule | Tensor) -> Predicate:
    """The ``mask_mod(b, h, q, kv)`` of FlexAttention: True = may attend.

    A rule is one already; a tensor is copied, and looked up. `torch.nn.attention.flex_attention.create_mask`
    is the way back. Shape of a tensor: (batch, head, query, key) bool, in which an axis of 1
    serves all. Raises TypeError for a tensor that is not bool, ValueError for another
    number of axes. Source: Dong et al. 2024, arXiv 2412.05496.

    >>> mask_mod = to_mask_mod(torch.tensor([[[[True, False]]]]))
    >>> [bool(mask_mod(*torch.tensor([5, 7, 9, kv]))) for kv in (0, 1)]
    [True, False]
    """
    if isinstance(mask, Rule):
        return mask.mask_mod
    table = validate.four_axes(mask).clone()  # which no later edit can change

    def mask_mod(b: Tensor, h: Tensor, q: Tensor, kv: Tensor) -> Tensor:
        indices = [index * 0 if size == 1 else index for index, size in zip((b, h, q, kv), table.shape, strict=True)]
        return table[tuple(indices)]

    return mask_mod


def to_block_mask(
    mask: Rule | Tensor, *, batch: int | None = None, heads: int | None = None, queries: int, keys: int,
    block_size: int | tuple[int, int] = 128, device: torch.device | str | None = None,
) -> BlockMask:  # fmt: skip
    """The ``block_mask`` of `flex_attention`: which blocks of the matrix to compute, and the rule inside them.

    ``batch`` and ``heads`` are by default what the mask knows, or 1, which serves any number;
    ``block_size`` is in positions, one number or (query, key); ``device`` by default where the mask is,
    or the CPU. Shape of a tensor: (batch, head, query, key) bool, each axis its size or 1.
    Raises TypeError for a tensor that is not bool, ValueError for sizes below 1 or that the mask does not
    know. Source: Dong et al. 2024, arXiv 2412.05496.

    >>> from masklab.masks import causal
    >>> to_block_mask(causal(), queries=4, keys=4, block_size=2).sparsity()  # 1 block of 4 is all future
    25.0
    """
    block = block_size if isinstance(block_size, tuple) else (block_size, block_size)
    for size in block:
        validate.at_least(1, block_size=size)
    given = {"batch": batch, "heads": heads, "queries": queries, "keys": keys}
    validate.at_least(1, **{name: size for name, size in given.items() if size is not None})
    mask_mod, known, wanted = to_mask_mod(mask), _known_sizes(mask), (batch, heads, queries, keys)
    if any(None not in pair and pair[0] != pair[1] for pair in zip(known, wanted, strict=True)):
        raise ValueError(
            f"the mask must fit (batch, head, query, key) = {wanted}, got one for {known}; None fits any number."
        )
    several = [know if want is None else want for know, want in zip(known[:2], wanted[:2], strict=True)]
    device = device or mask.device or "cpu"
    try:
        return create_block_mask(mask_mod, several[0], several[1], queries, keys, device=device, BLOCK_SIZE=block)
    except IndexError as error:
        raise ValueError(f"the rule does not know all of {queries} queries and {keys} keys: {error}.") from error


def _known_sizes(mask: Rule | Tensor) -> tuple[int | None, ...]:
    """The sizes of the four axes that a mask is made for; None where it serves any number."""
    if isinstance(mask, Rule):
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
    batch, heads, queries, keys = block_mask.shape
    rows, columns = block_mask.BLOCK_SIZE
    listed = block_mask.to_dense().bool().repeat_interleave(rows, dim=-2).repeat_interleave(columns, dim=-1)
    rule = create_mask(block_mask.mask_mod, batch, heads, queries, keys, device=listed.device)
    return rule & listed[..., :queries, :keys]
