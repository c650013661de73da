"""Each check says what was expected, what came and how to fix it; the doctests of `masklab.validate` show the rest."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from masklab import masks, validate

IDS, FOUR = torch.tensor([[1, 2]]), torch.ones(1, 1, 2, 2, dtype=torch.bool)


@pytest.mark.parametrize(("value", "words"), [
    (torch.zeros(0, 2, dtype=torch.bool), "torch.bool of shape (0, 2)"),
    (np.zeros((2, 3), dtype=bool), "a NumPy array of bool and shape (2, 3)"),
    (np.int64(3), "np.int64(3)"),
    (masks.causal(), "a rule"),
    (None, "None"),
    ("a" * 99, "'aaaaaaaaaaaa...aaaaaaaaaaaaa'"),
    (list(range(99)), "[0, 1, 2, 3, 4, 5, ...]"),
])  # fmt: skip
def test_what_came_is_said_in_a_few_words(value, words):
    assert validate.got(value) == words


@pytest.mark.parametrize(("value", "fix"), [
    ([[True]], " Use torch.tensor(mask)."),
    (np.ones(2, dtype=bool), " Use torch.from_numpy(mask)."),
    (masks.causal(), " Use rule.tensor(queries=…, keys=…)."),
    (None, ""),
    ("mask", ""),
])  # fmt: skip
def test_what_is_no_tensor_is_told_how_to_become_one_if_it_can(value, fix):
    expected = {
        validate.tensor: "a tensor",
        validate.integers: "a tensor of integers",
        validate.int64: "a tensor (int64)",
        validate.floats: "a tensor (floating-point)",
        validate.bool_mask: "a tensor (bool, True = may attend)",
    }
    for check, wanted in expected.items():
        with pytest.raises(TypeError) as refusal:
            check("mask", value)
        assert str(refusal.value) == f"mask must be {wanted}, got {validate.got(value)}.{fix}"


def test_what_fits_comes_back():
    assert validate.tensor("ids", IDS) is validate.integers("ids", IDS, axes=("batch", "length"), least=1) is IDS
    assert validate.int64("ids", IDS) is IDS and validate.four_axes(FOUR, shape=(3, 4, 2, 2)) is FOUR
    assert validate.bool_mask("mask", FOUR[0, 0], axes=("query", "key")) is not None
    validate.at_least(1, a=1, b=np.int64(2), c=np.uint8(1))
    validate.at_least(None, a=-3)
    validate.share(a=0, b=1, c=np.float32(0.5), d=torch.tensor(0.5))
    validate.one_of(("left", "right"), side="left")
    validate.same_shape("batch", "length", ids=IDS, spans=None, mask=IDS > 0)
    validate.generator(torch.Generator())
    assert validate.list_of("words", "words", (word for word in "ab")) == ["a", "b"]


@pytest.mark.parametrize("dtype", validate.INTEGERS)
def test_integers_may_have_any_width(dtype):
    assert validate.integers("ids", IDS.to(dtype)).dtype == dtype


@pytest.mark.parametrize(
    ("check", "error", "words"),
    [
        (lambda: validate.integers("ids", IDS[0], axes=("batch", "length")), TypeError,
         "ids must be a tensor of integers with axes (batch, length), got torch.int64 of shape (2,). "
         "A single one becomes ids[None]."),
        (lambda: validate.bool_mask("mask", IDS), TypeError,
         "mask must be bool, True = may attend, got torch.int64 of shape (1, 2). Use mask.bool() if 1 = may attend. "
         "If it holds 0 and −∞, use masklab.dialects.from_bias(mask)."),
        (lambda: validate.four_axes(FOUR, shape=(1, 1, 3, 2)), ValueError,
         "mask must have the axes (batch, head, query, key) = (1, 1, 3, 2), each its size or 1, got (1, 1, 2, 2). "
         "A padding mask (batch, key) becomes mask[:, None, None, :], a mask of pairs (query, key) becomes "
         "mask[None, None]; see also masklab.dialects.with_four_axes(mask, …)."),
        (lambda: validate.same_shape(ids=IDS, spans=IDS, mask=FOUR), ValueError,
         "ids, spans and mask must have one shape, got (1, 2), (1, 2) and (1, 1, 2, 2)."),
        (lambda: validate.same_shape("length", ids=IDS, fix="Take one."), ValueError,
         "ids must have the shape (length), got (1, 2). Take one."),
        (lambda: validate.one_of(("a", "b", "c"), role="d"), ValueError, "role must be 'a', 'b' or 'c', got 'd'."),
        (lambda: validate.at_least(1, a=1, b=True), ValueError, "b must be an integer, at least 1, got True."),
        (lambda: validate.at_least(0, a=np.float64(2)), ValueError,
         "a must be an integer, at least 0, got np.float64(2.0)."),
        (lambda: validate.share(p=float("nan")), ValueError,
         "p must be between 0 and 1, got nan. For percent divide by 100."),
        (lambda: validate.lengths(torch.tensor([-1]), total=3), ValueError,
         "lengths must be between 0 and total=3, got [-1]."),
        (lambda: validate.list_of("rows", "roles", "user", fix="[[…]]"), TypeError,
         "roles must be a list of rows, got the text 'user'. Write [[…]]."),
    ],
)  # fmt: skip
def test_one_true_sentence(check, error, words):
    with pytest.raises(error) as refusal:
        check()
    assert str(refusal.value) == words


def test_a_check_stands_once():
    """The sentences of validate.py are written there alone, and all say "got"."""
    mine = ["masks", "dialects", "corruption", "corpus", "attention.py", "text.py", "losses.py"]
    paths = [path for name in mine for path in sorted(Path("masklab").glob(f"{name}/*.py")) or [Path("masklab") / name]]
    assert len(paths) > 25
    for path in paths:
        text = path.read_text(encoding="utf-8")
        again = re.findall(
            r"must be (?:a tensor|an integer|bool|int64|floating-point|a torch|a list|one of)|and is {", text
        )
        assert not again, f"{path}: {again}"
