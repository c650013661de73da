"""The definitions, as slow loops that a reader can check by eye: what answers are compared with."""

import math

import torch
from torch import Tensor, nn


def word_positions(lengths: Tensor, total: int, *, side: str = "left") -> Tensor:
    """Which positions hold words when the padding is on one side: position by position.

    Shapes: ``lengths`` (batch,) → (batch, total) bool, True = a word.

    >>> word_positions(torch.tensor([1, 3]), 4).int()
    tensor([[0, 0, 0, 1],
            [0, 1, 1, 1]], dtype=torch.int32)
    """
    rows = []
    for length in lengths.tolist():
        first = total - length if side == "left" else 0
        rows.append([first <= position < first + length for position in range(total)])
    return torch.tensor(rows)


def padding_mask(is_word: Tensor) -> Tensor:
    """May this query attend to this key? Only the key decides.

    Shapes: ``is_word`` (batch, length) bool → (batch, query, key) bool, True = may attend.

    >>> padding_mask(torch.tensor([[True, False]])).int()
    tensor([[[1, 0],
             [1, 0]]], dtype=torch.int32)
    """
    return torch.tensor([[[bool(key) for key in sentence] for _query in sentence] for sentence in is_word])


def softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the allowed keys of each row; zeros in a row that has none.

    Shapes: ``scores`` (query, key) floats, ``mask`` (query, key) bool, True = may attend → (query, key).

    >>> softmax(torch.zeros(2, 2), torch.tensor([[True, False], [False, False]]))
    tensor([[1., 0.],
            [0., 0.]])
    """
    weights = torch.zeros_like(scores)
    for q in range(scores.shape[0]):
        total = sum(math.exp(scores[q, k]) for k in range(scores.shape[1]) if mask[q, k])
        for k in range(scores.shape[1]):
            weights[q, k] = math.exp(scores[q, k]) / total if mask[q, k] else 0.0
    return weights


def gradient_of_squares(weights: Tensor) -> Tensor:
    """How the sum of the squared softmax weights changes with each score: w·(2w − Σ 2w²), row by row.

    Shape: ``weights`` (query, key) → (query, key).

    >>> gradient_of_squares(torch.tensor([[0.5, 0.5], [0.0, 0.0]])).abs()
    tensor([[0., 0.],
            [0., 0.]])
    """
    inner = (2 * weights * weights).sum(dim=-1, keepdim=True)
    return weights * (2 * weights - inner)


def alone(layer: nn.MultiheadAttention, x: Tensor, is_word: Tensor) -> Tensor:
    """What the layer gives for each sentence by itself, without padding; zeros at the padding.

    Shapes: ``x`` (batch, length, width), ``is_word`` (batch, length) bool → (batch, length, width).

    >>> layer = nn.MultiheadAttention(4, 2, batch_first=True)
    >>> alone(layer, torch.ones(1, 3, 4), torch.tensor([[True, True, False]]))[0, 2]
    tensor([0., 0., 0., 0.])
    """
    out = torch.zeros_like(x)
    for i, sentence in enumerate(is_word):
        words = x[i : i + 1, sentence]  # (1, n, width)
        out[i, sentence] = layer(words, words, words)[0][0].detach()
    return out
