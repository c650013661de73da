"""Three lights, in words and signs: what the words see of the padding and of the future, and the fully masked rows."""

import torch
from torch import Tensor

from masklab.dialects.additive import BLOCKS
from masklab.labs.rosetta import DIALECTS, NAN, UNIFORM, ZEROS, Dialect

EMPTY = {DIALECTS[name].reader: DIALECTS[name].empty for name in ("sdpa", "eager", "mha")}  # one for each answer


def lights_of(weights: Tensor, added: Tensor, mask: Tensor, is_word: Tensor, reader: Dialect) -> str:
    """What the words see of the padding and of the future, and what a fully masked row gives, in one line.

    Shapes: ``weights``, ``added`` and ``mask`` (L, L), of which ``mask`` is bool, True = may attend; ``is_word`` (L,).

    >>> from masklab.labs.rosetta import DIALECTS
    >>> one = torch.ones(1, 1)
    >>> lights_of(one, one - 1, one > 0, torch.tensor([True]), DIALECTS["sdpa"])
    'Pads visible? ✓ no · Future visible? ✓ no · Fully masked rows: none'
    """
    seen = (weights > 0) & is_word[:, None]
    later = torch.ones_like(mask).triu(1)
    pads, future = _light(seen & ~is_word[None], mask, "them"), _light(seen & later, mask, "it")
    return f"Pads visible? {pads} · Future visible? {future} · Fully masked rows: {_empty(weights, added, reader)}"


def _empty(weights: Tensor, added: Tensor, reader: Dialect) -> str:
    """How many rows are fully masked, what comes of them here, and what others give for a form of their own."""
    rows = weights[(added <= BLOCKS).all(dim=-1)]
    if not len(rows):
        return "none"
    here = NAN if rows.isnan().any() else UNIFORM if rows.any() else ZEROS
    others = ", ".join(f"{name}: {gives}" for name, gives in EMPTY.items() if name != reader.reader)
    # A tensor that gives something else than usual here would do so elsewhere, too.
    return f"{len(rows)} → {reader.reader}: {here}" + f" ({others})" * (here == reader.empty)


def _light(seen: Tensor, mask: Tensor, what: str) -> str:
    """Whether something is seen, and who lets it: the mask, or a library that reads it in another way."""
    if not seen.any():
        return "✓ no"
    return f"✗ yes, though the mask blocks {what}" if (seen & ~mask).any() else "yes, as the mask says"
