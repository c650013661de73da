"""What random tests draw from: shapes, lengths, masks, and strings that nobody would type."""

import random
from concurrent.futures import ThreadPoolExecutor

import torch
from hypothesis import strategies as st

DTYPES = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 4e-2}  # and the error each may have

seeds = st.integers(0, 2**16)
sides = st.sampled_from(["right", "left"])
hostile = st.one_of(
    st.text(max_size=40),
    st.text(alphabet=st.characters(categories=["Cc", "Cf", "Cs", "Mn", "So", "Zs", "Lo"]), max_size=20),
    st.sampled_from(
        ["", "   ", "\n\t", "[PAD]", "[PAD] [PAD]", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>",
         "a" * 10_000, "word " * 300,
         "שלום עולם", "🐈 ate 🐟", "é́́", "\u202eabc", "$x^2$ \\frac", "\ud800", "\x00",
         "NaN", "−∞"]
    ),
)  # fmt: skip


@st.composite
def lengths(draw, *, most: int = 6):
    """Lengths of 1 to 4 sentences, 0 to ``most`` words each, and a total that holds the longest."""
    found = draw(st.lists(st.integers(0, most), min_size=1, max_size=4))
    return torch.tensor(found), max(found) + draw(st.integers(0, 2))


@st.composite
def attention_inputs(draw, *, dtypes=tuple(DTYPES)):
    """q, k, v and a bool mask (B, H, L, S), in which fully masked rows are likely."""
    batch, heads, queries, keys, dim = (draw(st.integers(1, n)) for n in (3, 3, 6, 6, 8))
    g = torch.Generator().manual_seed(draw(seeds))
    dtype = draw(st.sampled_from(dtypes))
    q = torch.randn(batch, heads, queries, dim, generator=g, dtype=torch.float64).to(dtype)
    k, v = (torch.randn(batch, heads, keys, dim, generator=g, dtype=torch.float64).to(dtype) for _ in "kv")
    share = draw(st.sampled_from([0.0, 0.3, 0.7, 1.0]))
    shape = tuple(draw(st.sampled_from([1, n])) for n in (batch, heads)) + (queries, keys)
    return q, k, v, torch.rand(shape, generator=g) < share


def in_threads(make, *, count=40):
    """What ``make(seed)`` gives for many seeds in four threads at once, while a fifth draws from the global generators.

    What the fifth draws must not depend on the others.
    """

    def draw(times):
        return [torch.rand(3).sum().item() + random.random() for _ in range(times)]

    def seed_all():
        torch.manual_seed(0)
        random.seed(0)

    seed_all()
    expected = draw(500)
    seed_all()
    with ThreadPoolExecutor(5) as pool:
        drawn, made = pool.submit(draw, 500), list(pool.map(make, range(count)))
        assert drawn.result() == expected
    return made
