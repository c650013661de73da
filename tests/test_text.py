"""Sentences become one padded batch, and the batch knows which positions are words."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from masklab.text import PAD, PAD_ID, batch_of_words, make_batch, tokenize, vectors, word_id, word_positions
from masklab.validate import INTEGERS
from tests.strategies import hostile, in_threads, lengths, sides


def test_the_source_batch():
    batch = make_batch(["The cat ate", "The cat ate fish pie", "The cat ate fish"])
    assert batch.ids.tolist() == [[1, 2, 3, 0, 0], [1, 2, 3, 4, 5], [1, 2, 3, 4, 0]]
    assert (batch.lengths - 1).tolist() == [2, 4, 3]  # the last word's index, as the source counts it


def test_a_batch_can_be_wider_than_its_longest_row():
    rows = [["The", "cat"], []]
    assert batch_of_words(rows, at_least=3, side="left").ids.tolist() == [[0, 1, 2], [0, 0, 0]]
    assert batch_of_words(rows, at_least=1).ids.tolist() == [[1, 2], [0, 0]]
    assert batch_of_words([], at_least=3).ids.shape == (0, 3)


@given(st.lists(hostile, max_size=5), sides)
def test_any_text_becomes_a_batch(sentences, side):
    batch = make_batch(sentences, side=side)
    assert batch.is_word.sum(dim=1).tolist() == [len(tokenize(s)) for s in sentences]
    for tokens, ids, is_word, sentence in zip(batch.tokens, batch.ids, batch.is_word, sentences, strict=True):
        assert [t for t, word in zip(tokens, is_word, strict=True) if word] == tokenize(sentence)
        assert all(t == PAD and i == PAD_ID for t, i, word in zip(tokens, ids, is_word, strict=True) if not word)
        assert (ids[is_word] != PAD_ID).all()


def test_a_typed_pad_is_a_word():
    batch = make_batch(["[PAD] ate", "The cat ate"])
    assert batch.is_word.tolist() == [[True, True, False], [True, True, True]]


@given(lengths(), sides)
def test_word_positions_by_a_slow_loop(case, side):
    found, total = case
    is_word = word_positions(found, total=total, side=side)
    for i, length in enumerate(found.tolist()):
        for j in range(total):
            assert is_word[i, j] == (j < length if side == "right" else j >= total - length)


def test_bad_arguments_say_what_came():
    with pytest.raises(ValueError, match="'middle'"):
        word_positions(torch.tensor([1]), total=2, side="middle")
    with pytest.raises(ValueError, match=r"between 0 and total=2.*\[3\]"):
        word_positions(torch.tensor([3]), total=2)

    with pytest.raises(ValueError, match=r"between 0 and total=2.*\[-1, 2\]"):
        word_positions(torch.tensor([-1, 2]), total=2)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (torch.tensor([2.5]), r"torch.float32 of shape \(1,\)"),
        (torch.tensor([True]), r"torch.bool of shape \(1,\)"),
        (torch.ones(1, 3, dtype=torch.int64), r"torch.int64 of shape \(1, 3\)"),  # a mask, or (batch, 1) lengths
        (torch.tensor(2), r"torch.int64 of shape \(\)"),
        (torch.zeros(0), r"torch.float32 of shape \(0,\)"),
        ([2, 3], r"\[2, 3\]"),
        (3, "3"),
    ],
)
def test_lengths_are_integers_with_one_axis(found, words):
    with pytest.raises(TypeError, match=rf"lengths must be a tensor of integers with axes \(batch\), got {words}\."):
        word_positions(found, total=5)


@given(lengths(), sides, st.sampled_from(INTEGERS))
def test_lengths_may_be_any_integers_and_any_view(case, side, dtype):
    found, total = case
    expected = word_positions(found, total=total, side=side)
    assert torch.equal(word_positions(found.to(dtype), total=total, side=side), expected)
    every_second = torch.stack([found, found * 0 - 9], dim=-1)[:, 0]
    assert len(found) < 2 or not every_second.is_contiguous()
    assert torch.equal(word_positions(every_second, total=total, side=side), expected)


@given(st.integers(0, 999), hostile)
def test_a_vector_depends_on_the_word_and_the_seed_alone(seed, text):
    torch.manual_seed(0)
    before = torch.rand(1)
    torch.manual_seed(0)
    ids = torch.tensor([word_id("cat"), word_id(text), word_id("cat")])
    table = vectors(ids, dim=4, seed=seed)
    assert torch.equal(table[0], table[2])
    assert torch.equal(table[0], vectors(torch.tensor([2]), dim=4, seed=seed)[0])
    assert torch.equal(torch.rand(1), before)  # the learner's own random numbers stay as they were


def test_a_sentence_is_not_taken_for_its_letters():
    with pytest.raises(TypeError, match=r"list of sentences, got the text 'The cat ate'\. Write \['The cat ate'\]\."):
        make_batch("The cat ate")
    for rows in (["The", "cat"], "The cat"):
        with pytest.raises(TypeError, match=r"each row must be a list of words, got the text .*Write tokenize\(text\)"):
            batch_of_words(rows)
    assert make_batch(sentence for sentence in ["The cat"]).ids.tolist() == [[1, 2]]  # any iterable of sentences


@pytest.mark.parametrize(("call", "error", "words"), [
    (lambda: vectors([1, 2], dim=4, seed=0), TypeError, r"ids must be a tensor of integers, got \[1, 2\]"),
    (lambda: vectors(torch.rand(2), dim=4, seed=0), TypeError, "ids must be a tensor of integers, got torch.float32"),
    (lambda: vectors(torch.tensor([1]), dim=2.5, seed=0), ValueError, "dim must be an integer, at least 0, got 2.5"),
    (lambda: word_positions(torch.tensor([1]), total=2.5), ValueError, "total must be .* got 2.5"),
])  # fmt: skip
def test_what_has_no_vector_is_said(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_words_and_vectors_stay_where_their_tensors_are_and_one_seed_is_one_vector():
    """Whatever torch's default device and dtype are."""
    lengths, ids = torch.tensor([1, 2]), torch.tensor([[40], [41]])  # ids that no other test has asked for
    with torch.device("meta"):
        torch.set_default_dtype(torch.float64)
        try:
            found = vectors(ids, dim=3, seed=9), word_positions(lengths, total=3, side="left")
        finally:
            torch.set_default_dtype(torch.float32)
    expected = torch.randn(3, generator=torch.Generator().manual_seed(9 * 30_522 + 41))
    assert torch.equal(found[0][1, 0], expected)
    assert torch.equal(found[1], word_positions(lengths, total=3, side="left"))


def test_seeds_hold_in_threads():
    ids = torch.arange(5)
    assert torch.equal(vectors(ids, dim=np.int64(3), seed=np.int64(7)), vectors(ids, dim=3, seed=7))
    made = in_threads(lambda seed: vectors(ids, dim=3, seed=1000 + seed))
    assert all(torch.equal(one, vectors(ids, dim=3, seed=1000 + seed)) for seed, one in enumerate(made))
