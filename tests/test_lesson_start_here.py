"""Lesson 00's own cells give what the library gives, and its counts are counted again by slow loops."""

import inspect
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from masklab import corpus, text
from masklab.models import Classifier
from tests.lessons import SOURCES, cells

SENTENCES = ["The cat ate", "The cat ate fish pie", "The cat ate fish"]
PAGE = SOURCES["start_here"].read_text("utf-8")


@pytest.fixture(scope="module")
def lesson():
    """What the cells of parts 2, 3 and 5 define, without the one that takes the time."""
    return cells(
        "start_here", "vocabulary = ", "PAD_ID = 0", "by_hand = ", "tensors = ", "is_word = ", "def shuffled",
        "PLANS = ", "def padding", "def word_pieces", "split = ",
    )  # fmt: skip


# From sentences to a batch


def test_the_batch_is_the_librarys(lesson):
    library = text.make_batch(SENTENCES)
    assert lesson["vocabulary"] == text.WORD_IDS and lesson["PAD_ID"] == text.PAD_ID
    assert lesson["sentences"] == SENTENCES
    for batch in (lesson["batch"], lesson["by_hand"]):
        assert torch.equal(batch, library.ids) and batch.dtype == torch.int64
    assert torch.equal(lesson["lengths"], library.lengths)
    assert torch.equal(lesson["is_word"], library.is_word)


def test_torch_says_what_the_lesson_says_of_a_ragged_list(lesson):
    with pytest.raises(ValueError, match=r"length 3 at dim 1 \(got 5\)"):
        torch.tensor(lesson["sequences"])
    assert "The second row has 5 numbers where the first has 3." in PAGE


def test_pad_sequence_takes_0_when_nobody_says_otherwise():
    assert inspect.signature(torch.nn.utils.rnn.pad_sequence).parameters["padding_value"].default == 0


def test_pad_sequence_pads_on_the_left_as_the_library_does(lesson):
    left = torch.nn.utils.rnn.pad_sequence(lesson["tensors"], batch_first=True, padding_side="left")
    assert torch.equal(left, text.make_batch(SENTENCES, side="left").ids)


def test_a_typed_pad_is_a_word():
    """What the lesson says of the text "[PAD]"."""
    batch = text.make_batch(["The [PAD] ate", "cat"])
    assert batch.ids[0, 1] != text.PAD_ID and batch.is_word[0].all()


def test_padded_with_1_nothing_could_tell():
    """What the lesson says the first sentence would read."""
    padded = torch.nn.utils.rnn.pad_sequence([torch.tensor([1, 2, 3]), torch.arange(1, 6)], True, padding_value=1)
    assert padded[0].tolist() == [text.WORD_IDS[word] for word in text.tokenize("The cat ate The The")]


def test_right_now_the_ids_give_the_same_mask(lesson):
    assert torch.equal(lesson["batch"] != 0, lesson["is_word"])
    assert torch.equal(lesson["batch"].count_nonzero(dim=1), lesson["lengths"])


# What padding costs


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["one by one", "equal lengths", "sorted", "plain"])
def test_a_plan_takes_every_sentence_once(lesson, name, seed):
    batches = lesson["PLANS"][name](seed)
    assert sorted(i for batch in batches for i in batch) == list(range(640))
    assert max(map(len, batches)) == (1 if name == "one by one" else 32)
    assert batches == lesson["PLANS"][name](seed) != lesson["PLANS"][name](seed + 1)


def test_equal_lengths_are_equal_and_sorted_ones_nearly(lesson):
    words_in = lesson["words_in"]
    assert all(len({words_in[i] for i in batch}) == 1 for batch in lesson["PLANS"]["equal lengths"](0))
    assert all(len({words_in[i] for i in batch}) <= 3 for batch in lesson["PLANS"]["sorted"](0))
    left_over = [len(batch) for batch in lesson["PLANS"]["equal lengths"](0) if len(batch) < 32]
    assert len(left_over) == len(set(words_in)), "each length leaves a batch that isn't full"


def test_sorted_batches_are_always_the_same_ones(lesson):
    first, second = ({frozenset(batch) for batch in lesson["PLANS"]["sorted"](seed)} for seed in (0, 1))
    assert first == second


@pytest.mark.parametrize("name", ["one by one", "equal lengths", "sorted", "plain"])
def test_the_share_of_padding_is_counted_in_the_tables(lesson, name):
    batches = lesson["PLANS"][name](0)
    tables = [corpus.batch([lesson["examples"][i] for i in batch]) for batch in batches]
    pads = sum(int((~table.is_word).sum()) for table in tables)
    assert lesson["padding"](batches) == pytest.approx(pads / sum(table.ids.numel() for table in tables))


def test_the_numbers_of_the_text(lesson):
    padding, plans = lesson["padding"], lesson["PLANS"]
    assert all(0.3 < padding(plans["plain"](seed)) < 0.4 for seed in range(20)), "the right answer, and “a third”"
    assert all(padding(plans["sorted"](seed)) < 0.05 for seed in range(3))
    assert lesson["mates"](plans["sorted"]) == 31
    mates = {name: lesson["mates"](plan) for name, plan in plans.items()}
    assert mates["one by one"] == 0 < mates["equal lengths"] < mates["plain"], "plain mixes best"
    assert (min(lesson["words_in"]), max(lesson["words_in"]), len(lesson["words_in"])) == (3, 14, 640)


def test_batch_mates_by_a_slow_loop(lesson):
    def plan(seed):
        return [[0, 1], [2, 3]] if seed % 2 else [[0, 2], [1, 3]]

    # fresh ones: they are changed
    lesson = cells("start_here", "vocabulary = ", "def shuffled", "PLANS = ", "def padding")
    lesson["tokens"][4:] = []
    assert (lesson["mates"](plan), lesson["mates"](plan, epochs=1)) == (2, 1)


def test_the_model_reads_what_the_lesson_gives_it(lesson):
    """It is read after each sentence's last word, so more padding changes nothing that it says."""
    model = Classifier(len(corpus.VOCABULARY), len(corpus.TOPICS), read="last_word")
    ids, lengths = torch.tensor([[5, 6, 7, 0]]), torch.tensor([3])
    torch.testing.assert_close(model(ids, lengths), model(ids[:, :3], lengths))


def test_group_by_length_of_transformers_sorts_a_few_batches_at_a_time(lesson):
    """What the last hint of exercise 3 says."""
    utils, words_in = pytest.importorskip("transformers.trainer_pt_utils"), lesson["words_in"]
    found = [
        utils.get_length_grouped_indices(words_in, 32, mega_batch_mult=4, generator=torch.Generator().manual_seed(seed))
        for seed in (0, 1)
    ]
    for part in (order[start + 1 : start + 128] for order in found for start in range(0, 640, 128)):
        assert [words_in[i] for i in part] == sorted((words_in[i] for i in part), reverse=True)  # all but a first one
    first, second = ({frozenset(batch) for batch in lesson["cut"](order, 32)} for order in found)
    assert sorted(found[0]) == list(range(640)) and not first & second


# Real tokenizers


@pytest.fixture(scope="module")
def bert(lesson, tmp_path_factory):
    """Transformers' own WordPiece, with the lesson's pieces."""
    from transformers import BertTokenizer

    path = tmp_path_factory.mktemp("bert") / "vocab.txt"
    path.write_text("\n".join(lesson["pieces"]) + "\n", encoding="utf-8")
    return BertTokenizer(str(path))


def test_the_block_of_code_gives_what_the_page_says(lesson, bert, tmp_path, monkeypatch):
    (block,) = re.findall(r"^```python\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "vocab.txt").write_text("\n".join(lesson["pieces"]) + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    *lines, call = [line for line in block.splitlines() if line and not line.startswith("#")]
    names: dict = {}
    exec("\n".join(lines), names)
    found = eval(call, names)
    said = dict(re.findall(r"^# (\w+) +(.*)$", block, re.MULTILINE))
    assert {name: str(found[name]) for name in said} == said and len(said) == 2
    assert found["input_ids"] == lesson["ids"].tolist()
    lengths = torch.tensor([len(one) for one in lesson["split"]])
    assert torch.equal(torch.tensor(found["attention_mask"]).bool(), text.word_positions(lengths, total=7))


def test_bpe_cuts_the_words_as_the_page_says():
    from tokenizers import Tokenizer, models

    (said,) = re.findall(r"If it has learned .*?(?=The tokens are different)", PAGE)
    merges = [tuple(one) for one in re.findall(r"`(\w+)\+(\w+)`", said)]
    letters = sorted(set("catsfishcakes"))
    vocabulary = {piece: i for i, piece in enumerate([*letters, *("".join(pair) for pair in merges)])}
    bpe = Tokenizer(models.BPE(vocabulary, merges))
    for word, pieces in re.findall(r"\*(\w+)\* becomes ((?:`\w+` ?)+)", said):
        assert bpe.encode(word).tokens == re.findall(r"\w+", pieces), word
    assert len(merges) == 7 and said.count("becomes") == 2


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["the", "cat", "s", "ate", "fish", "cake", "pie", "x", "fis", "Cat"]), max_size=4))
def test_a_word_is_cut_as_bert_cuts_it(lesson, bert, parts):
    word = "".join(parts)
    assert lesson["tokenize"](word) == bert.tokenize(word)


@pytest.mark.parametrize(
    "sentence", [*SENTENCES, "The cats ate fishcakes", "The cats ate sushi", "catsfish fishcats", ""]
)
def test_a_sentence_is_cut_as_bert_cuts_it(lesson, bert, sentence):
    assert lesson["tokenize"](sentence) == bert.tokenize(sentence)
