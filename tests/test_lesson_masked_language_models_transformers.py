"""What lesson 03 says of the collator of Transformers, run with the real one."""

import re

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerFast
from transformers import __version__ as version

from tests.lessons import SOURCES

NAMES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "purr", "##ed", "and", "ate"]
SPECIAL = set(range(5))
SENTENCES = ["the cat purred and ate", "the cat ate"]
EQUALLY_LONG = {"return_offsets_mapping": True, "padding": "max_length", "max_length": 9}


@pytest.fixture(scope="module")
def tokenizer():
    """A tokenizer as BERT's, with eleven tokens."""
    pieces = Tokenizer(WordPiece({name: i for i, name in enumerate(NAMES)}, unk_token="[UNK]"))
    pieces.pre_tokenizer = Whitespace()
    pieces.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(name, NAMES.index(name)) for name in ("[CLS]", "[SEP]")]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=pieces, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]",
    )  # fmt: skip


def many(collator, tokenizer, *, times=4000, **options):
    """The ids before, the ids after, and the labels, of a batch with the two sentences many times."""
    examples = [dict(tokenizer(sentence, **options)) for sentence in SENTENCES * times]
    before = tokenizer.pad([{"input_ids": one["input_ids"]} for one in examples], return_tensors="pt")["input_ids"]
    after = collator(examples)
    return before, after["input_ids"], after["labels"], after


def shares(before, after, labels):
    """Of the words: how many are chosen; of the chosen: to [MASK], to another token, unchanged."""
    words, chosen = before >= len(SPECIAL), labels != -100
    masked, same = (after == NAMES.index("[MASK]")) & chosen, (after == before) & chosen
    of = chosen.sum()
    return [one.item() for one in (chosen.sum() / words.sum(), masked.sum() / of,
                                   (chosen & ~masked & ~same).sum() / of, same.sum() / of)]  # fmt: skip


def test_the_version_is_the_lessons():
    said = re.search(r"the real collator, version (\d+\.\d+)", SOURCES["masked_language_models"].read_text("utf-8"))
    assert version.startswith(said[1] + ".")


def test_the_code_that_is_shown_runs_and_gives_what_it_says(tokenizer):
    (code,) = re.findall(
        r"```python\n(from transformers.*?)```", SOURCES["masked_language_models"].read_text("utf-8"), re.S
    )
    torch.manual_seed(0)
    exec(code, names := {"tokenizer": tokenizer, "sentences": SENTENCES * 50})
    batch, before = names["batch"], tokenizer(SENTENCES * 50, padding=True, return_tensors="pt")["input_ids"]
    chosen = batch["labels"] != -100
    assert chosen.any() and torch.equal(batch["labels"][chosen], before[chosen])
    assert torch.equal(batch["input_ids"][~chosen], before[~chosen]) and not torch.equal(batch["input_ids"], before)
    assert torch.equal(batch["attention_mask"].bool(), before != tokenizer.pad_token_id)
    assert names["collator"].mask_replace_prob == 0.8 and names["collator"].random_replace_prob == 0.1


def test_15_percent_and_80_10_10(tokenizer):
    before, after, labels, _ = many(DataCollatorForLanguageModeling(tokenizer, seed=0), tokenizer)
    # A random token of eleven is the right one now and then: 1 in 11 of the 10 % looks unchanged, and 1 in 11 masked.
    expected = [0.15, 0.8 + 0.1 / 11, 0.1 - 0.2 / 11, 0.1 + 0.1 / 11]
    assert shares(before, after, labels) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("options", [{}, {"return_special_tokens_mask": True}])
def test_special_tokens_and_padding_are_never_chosen(tokenizer, options):
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=1.0, seed=0)
    before, _, labels, batch = many(collator, tokenizer, times=20, **options)
    assert torch.equal(labels != -100, before >= len(SPECIAL)) and "special_tokens_mask" not in batch


def test_the_examples_own_mask_is_believed(tokenizer):
    """The table: it asks ``special_tokens_mask`` if the examples bring one."""
    examples = [{"input_ids": [2, 5, 6, 3], "special_tokens_mask": [0, 1, 0, 0]}]
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=1.0, seed=0)
    assert (collator(examples)["labels"] != -100).tolist() == [[True, False, True, True]]


def test_a_batch_may_have_nothing_chosen(tokenizer):
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15, seed=0)
    nothing = [(collator([tokenizer("the cat ate")])["labels"] == -100).all().item() for _ in range(300)]
    assert sum(nothing) / len(nothing) == pytest.approx(0.85**3, abs=0.1)


def test_a_random_word_may_be_a_special_token(tokenizer):
    collator = DataCollatorForLanguageModeling(
        tokenizer, mlm_probability=1.0, mask_replace_prob=0.0, random_replace_prob=1.0, seed=0
    )
    before, after, labels, _ = many(collator, tokenizer, times=200)
    assert set(after[labels != -100].tolist()) == set(range(len(NAMES)))


def test_whole_words_are_masked_100_0_0_and_want_offsets_of_equally_long_examples(tokenizer):
    with pytest.warns(UserWarning, match="Setting mask_replace_prob to 1"):
        collator = DataCollatorForLanguageModeling(tokenizer, whole_word_mask=True, mlm_probability=0.4, seed=0)
    before, after, labels, _ = many(collator, tokenizer, times=200, **EQUALLY_LONG)
    chosen = labels != -100
    assert (after[chosen] == NAMES.index("[MASK]")).all() and not chosen[before < len(SPECIAL)].any()
    purr = before == NAMES.index("purr")
    together = chosen[purr] == chosen[:, 1:][purr[:, :-1]]  # its second piece stands next to it
    assert together.all() and chosen[purr].any() and not chosen[purr].all()
    with pytest.raises(ValueError, match="offset_mapping"):  # they are not padded
        collator([tokenizer(sentence, return_offsets_mapping=True) for sentence in SENTENCES])
    with pytest.raises(IndexError):  # no offsets
        collator([tokenizer(sentence) for sentence in SENTENCES])


def test_each_call_chooses_anew(tokenizer):
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.5, seed=0)
    examples = [tokenizer(sentence) for sentence in SENTENCES * 20]
    first, second = (collator(examples)["labels"] for _ in range(2))
    assert not torch.equal(first, second)
