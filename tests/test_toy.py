"""The toy words' vectors: what depends on what, and that lessons and labs share them."""

import torch

from masklab import toy
from masklab.text import PAD_ID, make_batch

IDS = make_batch(["The cat ate", "The cat ate fish pie"]).ids[0]


def test_projecting_is_embedding_and_then_three_products():
    made, x = toy.project(IDS, pad=2.0, seed=5), toy.embed(IDS, pad=2.0, seed=5)
    again = toy.qkv(x, seed=5)
    assert torch.equal(made.q, again.q) and torch.equal(made.k, again.k) and torch.equal(made.v, again.v)
    double = toy.qkv(2 * x, seed=5)
    torch.testing.assert_close(double.q, 2 * made.q)


def test_only_the_padding_depends_on_the_size_of_its_vector():
    small, large = toy.embed(IDS, pad=1.0), toy.embed(IDS, pad=-3.0)
    pads = IDS == PAD_ID
    assert torch.equal(small[~pads], large[~pads])
    assert torch.equal(-3 * small[pads], large[pads])
    assert (toy.embed(IDS, pad=0.0)[pads] == 0).all()


def test_another_seed_gives_other_words_and_other_projections():
    one, two = (toy.embed(IDS, seed=seed) for seed in (1, 2))
    assert not torch.isclose(one, two).any()
    assert not torch.isclose(toy.qkv(one, seed=1).v, toy.qkv(one, seed=2).v).any()


def test_the_global_generator_is_left_alone():
    torch.manual_seed(0)
    want = torch.rand(3)
    torch.manual_seed(0)
    toy.project(IDS, seed=9)
    assert torch.equal(torch.rand(3), want)


def test_an_empty_sentence_has_empty_vectors():
    assert toy.project(torch.zeros(0, dtype=torch.int64)).q.shape == (0, toy.DIM)
