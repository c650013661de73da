"""What lesson 07 defines in its own cells is what masklab has, and what it claims is so for other numbers, too."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from masklab import dialects, masks
from masklab.models import positions_of
from masklab.text import word_positions
from masklab.tiny import tiny_gpt
from tests.lessons import SOURCES, cells
from tests.strategies import lengths, sides

LESSON = cells(
    "combined_masks", "lengths = torch.tensor", "def combined(", "def to_bias(", "def places(", "def run_left("
)


@given(lengths(), sides)
def test_combined_is_padding_and_causal(case, side):
    found, total = case
    rule = masks.padding(found, total=total, side=side) & masks.causal()
    mask = LESSON["combined"](word_positions(found, total=total, side=side))
    assert torch.equal(mask, rule.tensor(queries=total, keys=total))
    assert torch.equal(LESSON["to_bias"](mask), dialects.to_bias(mask))


@given(lengths())
def test_places_are_position_ids_with_the_padding_on_the_left(case):
    found, total = case
    is_word = word_positions(found, total=total, side="left")
    assert torch.equal(LESSON["places"](is_word), positions_of(is_word))


def test_the_lesson_begins_with_its_three_sentences_on_either_side():
    for side in ("right", "left"):
        assert torch.equal(LESSON[side], word_positions(torch.tensor([3, 5, 4]), total=5, side=side))


@given(lengths())
def test_left_padding_makes_as_many_fully_masked_rows_as_pads_and_right_padding_none(case):
    found, total = case
    for side, expected in {"left": total - found, "right": torch.where(found == 0, total, 0)}.items():
        mask = LESSON["combined"](word_positions(found, total=total, side=side))
        assert torch.equal((~mask.any(dim=-1)).sum(dim=(1, 2)), expected)


@given(lengths(), st.integers(0, 100))
def test_only_with_both_a_batch_gives_what_each_sentence_gives_alone(case, seed):
    found, total = case
    model, is_word = tiny_gpt(seed % 3), word_positions(found, total=total, side="left")
    ids = torch.randint(5, 300, is_word.shape, generator=torch.Generator().manual_seed(seed)) * is_word
    with torch.no_grad():
        out = LESSON["run_left"](model, ids, is_word, padding_mask=True, position_ids=True)
        for row, words, text in zip(out, is_word, ids, strict=True):
            if words.any():
                torch.testing.assert_close(row[words], model(text[words][None])[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("without", ["padding_mask", "position_ids"])
def test_without_one_of_them_it_does_not(without):
    prompts, how = torch.tensor([[0, 0, 1, 2, 3]]), {"padding_mask": True, "position_ids": True}
    for seed in range(5):
        model = tiny_gpt(seed)
        with torch.no_grad():
            out = LESSON["run_left"](model, prompts, LESSON["left"][:1], **(how | {without: False}))
            assert (out[0, 2:] - model(prompts[:, 2:])[0]).abs().max() > 0.01


def test_the_encoder_decoders_masks_are_the_librarys():
    names = cells("combined_masks", "def combined(", "from masklab.models import EncoderDecoder", "import math")
    made = masks.encoder_decoder(torch.tensor([3]), torch.tensor([4]), source_total=4, target_total=5)
    sizes = {"encoder_mask": (made.source, 4, 4), "decoder_mask": (made.target, 5, 5), "cross_mask": (made.cross, 5, 4)}
    for name, (rule, queries, keys) in sizes.items():
        assert torch.equal(names[name].expand(1, 1, queries, keys), rule.tensor(queries=queries, keys=keys))


def test_same_text_is_the_librarys_document_mask():
    names = cells("combined_masks", "import math", "def combined(", "def run_left(", "def places(", "same_text =")
    rule = masks.documents(names["text"]) & masks.causal()
    assert torch.equal(names["causal"] & names["same_text"], rule.tensor(queries=5, keys=5))


def test_the_rosetta_stone_says_what_the_table_of_the_dialects_says():
    from tests.test_dialects import table

    before = ["import math", "def combined(", "def to_bias(", "padding_bias =", "import project", "weights = (scores +"]
    names = cells("combined_masks", *before, "q, k, v = project", "lowest =", "table = [")
    theirs = table()
    said = {
        (call.split(", ")[0], str(tensor.dtype)[6:], tensor.ndim): empty for call, tensor, _, empty in names["table"]
    }
    assert said == {
        ("scaled_dot_product_attention", "bool", 4): theirs["F.scaled_dot_product_attention, bool"][2],
        ("scaled_dot_product_attention", "float32", 4): theirs["F.scaled_dot_product_attention, bias"][2],
        ("nn.MultiheadAttention", "bool", 3): " or ".join(
            theirs[f"nn.MultiheadAttention, need_weights={given}"][2] for given in (True, False)
        ),
        ("nn.MultiheadAttention", "bool", 2): "NaN or zeros",
        ("flex_attention", "bool", 4): theirs["flex_attention, mask_mod in a BlockMask"][2],
        ("Transformers", "int64", 2): " or ".join(theirs[f'Transformers "{how}", 2-D'][2] for how in ("sdpa", "eager")),
        ('Transformers "sdpa"', "bool", 4): theirs['Transformers "sdpa", 4-D bool'][2],
        ('Transformers "eager"', "float32", 4): theirs['Transformers "eager", 4-D bias'][2],
        ("JAX", "bool", 4): theirs["jax.nn.dot_product_attention"][2],
    }
    source = SOURCES["combined_masks"].read_text("utf-8")
    forms = {name for name in dialects.__all__ if name.startswith("to_")} - {"to_labels", "to_block_mask"}
    assert {name for name in forms if f"dialects.{name}(" not in source} == set()
    assert {call.empty_row for call in dialects.CALLS[:-1]} == {"uniform"}  # the calls that the lesson prints


@pytest.mark.parametrize("seed", [1])
def test_what_is_said_about_training_again_holds_for_other_seeds(seed):
    """The lesson trains with one seed, and asserts the same margins in its cell."""
    code = (
        "import math",
        "def combined(",
        "def places(",
        "def run_left(",
        "reader = tiny_gpt(0)",
        "def after_training(",
    )
    found, fresh = cells("combined_masks", *code)["after_training"](seed)
    good, padding, future = found.values()
    assert padding[0] < good[0] - 0.1 and padding[1] < 0.1 < good[1]
    assert min(padding[2], future[2]) > good[2] + 0.5
    assert padding[3] < fresh - 0.4 < future[3]
