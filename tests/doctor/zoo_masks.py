"""Masks with one planted mistake each, and healthy ones, in sizes and dialects that take turns."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from masklab import dialects, masks
from masklab.masks import Rule
from masklab.text import word_positions
from tests.doctor.patients import Mask, Zoo

ZOO = Zoo()
SIDES = ("right", "left")


def as_mha(mask: Tensor, heads: int = 2) -> Tensor:
    return dialects.to_mha_attn_mask(mask, heads=heads)


def as_bias(mask: Tensor, low: float = -math.inf) -> Tensor:
    return torch.zeros(mask.shape).masked_fill(~mask, low)


# How each dialect writes a mask with four axes.
WRITE = {
    "keep": lambda mask: mask, "block": lambda mask: ~mask, "bias": as_bias, "sdpa": dialects.to_sdpa,
    "mha_attn_mask": as_mha, "transformers_4d": dialects.to_transformers_4d_bias, "jax": lambda mask: mask,
    "keras": lambda mask: mask[:, 0].long(),
    "block_mask": lambda mask: dialects.to_block_mask(mask, queries=mask.shape[2], keys=mask.shape[3], block_size=2),
}  # fmt: skip


@dataclass(frozen=True)
class Texts:
    """Three padded texts of a random length each, and a dialect for their mask."""

    total: int
    pad: Tensor
    side: str
    dialect: str

    @classmethod
    def of(cls, seed: int) -> "Texts":
        g = torch.Generator().manual_seed(seed)
        total = 6 + seed % 3
        lengths = torch.cat([torch.tensor([total]), torch.randint(2, total, (2,), generator=g)])
        side = SIDES[seed % 2]
        return cls(total, word_positions(lengths, total=total, side=side), side, list(WRITE)[seed % len(WRITE)])

    def tensor(self, rule: Rule) -> Tensor:
        return rule.tensor(queries=self.total, keys=self.total)

    def padded(self, mask: Tensor) -> Tensor:
        """Keys that are padding are blocked; a pad sees itself, so that no row is empty."""
        return mask & self.pad[:, None, None] | torch.eye(self.total).bool() & ~self.pad[:, None, :, None]

    def written(self, mask: Tensor, **claims) -> Mask:
        """The mask as the dialect writes it; it is said to be causal and to hide the padding, if not otherwise."""
        mask = mask.expand(len(self.pad), 1, self.total, self.total)
        return Mask(WRITE[self.dialect](mask), {"dialect": self.dialect, "pad": self.pad, "causal": True} | claims)


@ZOO.plants("a mask is inverted", "inverted")
def the_whole_mask(seed, dtype):
    texts = Texts.of(seed)
    return texts.written(~(texts.tensor(masks.causal()) & texts.pad[:, None, None]))


@ZOO.plants("a mask is inverted", "inverted")
def the_padding(seed, dtype):
    pad = Texts.of(seed).pad
    return Mask((~pad)[:, None, None], {"pad": pad})


@ZOO.plants("no causal mask, or one step off", "future-visible")
def padding_alone(seed, dtype):
    texts = Texts.of(seed)
    return texts.written(texts.padded(torch.ones(1, 1, texts.total, texts.total).bool()))


@ZOO.plants("no causal mask, or one step off", "off-by-one")
def one_step(seed, dtype):
    texts = Texts.of(seed)
    moved = torch.ones(texts.total, texts.total).bool().tril(1 if seed % 4 < 2 else -1)
    return texts.written(texts.padded(moved))


@ZOO.plants("a row with no allowed key", "empty-row")
def a_word_that_sees_nothing(seed, dtype):
    texts = Texts.of(seed)
    mask = texts.padded(texts.tensor(masks.causal()))
    mask[0, :, seed % texts.total] = False
    return texts.written(mask)


@ZOO.plants("0 and 1 are added as a mask", "float-01")
def a_float_that_is_added(seed, dtype):
    texts = Texts.of(seed)
    mask = texts.padded(texts.tensor(masks.causal()))
    return Mask(mask.to(dtype), {"dialect": "sdpa", "pad": texts.pad, "causal": True})


@ZOO.plants("“minus infinity” is too small, or times 0", "weak-bias")
def a_bias_of_ten(seed, dtype):
    texts = Texts.of(seed)
    mask = texts.padded(texts.tensor(masks.causal()))
    return Mask(as_bias(mask, -10).to(dtype), {"dialect": "bias", "pad": texts.pad, "causal": True})


@ZOO.plants("“minus infinity” is too small, or times 0", "non-finite")
def zero_times_infinity(seed, dtype):
    texts = Texts.of(seed)
    return Mask((1 - texts.tensor(masks.causal()).to(dtype)) * -math.inf, {"causal": True})


@ZOO.plants("axes are confused, or broadcast silently", "ambiguous-shape")
def as_many_sentences_as_words(seed, dtype):
    """(batch, key) or (query, key)? SDPA would take it for the second."""
    pad = word_positions(torch.tensor([2 + seed % 3, 5, 3, 4, 1]), total=5, side=SIDES[seed % 2])
    return Mask(pad, {"pad": pad})


@ZOO.plants("no padding mask", "pad-visible")
def causal_alone(seed, dtype):
    """Pads on the left are a part of the past."""
    texts = Texts.of(2 * seed + 1)
    return texts.written(texts.tensor(masks.causal()))


@ZOO.plants("padding is guessed from the ids", "over-blocked")
def a_word_with_the_id_0(seed, dtype):
    g = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, 50, (3, 6), generator=g)
    ids[1, seed % 6] = 0
    return Mask((ids != 0)[:, None, None], {"pad": torch.ones(3, 6).bool()})


@ZOO.plants("the mask doesn't fit the cache", "misaligned-cache")
def the_upper_left_corner(seed, dtype):
    """As `is_causal` aligns it: new queries behind a cache see only its beginning."""
    keys = 6 + seed % 4
    return Mask(torch.ones(1 + seed % 3, keys).bool().tril(), {"causal": True})


@ZOO.is_healthy
def causal_and_padding(seed, dtype):
    texts = Texts.of(seed)
    return texts.written(texts.padded(texts.tensor(masks.causal())))


@ZOO.is_healthy(note="over-blocked")
def a_window_and_padding(seed, dtype):
    texts = Texts.of(seed)
    return texts.written(texts.padded(texts.tensor(masks.sliding_window(3))))


@ZOO.is_healthy
def padding_and_no_more(seed, dtype):
    texts = Texts.of(seed)
    return texts.written(texts.padded(torch.ones(1, 1, texts.total, texts.total).bool()), causal=False)


@ZOO.is_healthy(note="over-blocked")
def documents(seed, dtype):
    texts = Texts.of(seed)
    ids = (torch.arange(texts.total) > 1 + seed % 3).long()[None]
    return Mask(texts.tensor(masks.causal() & masks.documents(ids)), {"causal": True})


@ZOO.is_healthy
def behind_a_cache(seed, dtype):
    queries, cached = 1 + seed % 3, 2 + seed % 5
    return Mask(masks.causal(offset=cached).tensor(queries=queries, keys=queries + cached), {"causal": True})
