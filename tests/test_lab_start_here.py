"""The lab of lesson 00: the batches that it shows are torch's own, and it counts the padding right."""

import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils.rnn import pad_sequence

from masklab.labs import start_here as lesson
from masklab.labs.controls import BadInput
from masklab.labs.sentences import SENTENCES
from masklab.panels import EXTRA, MISSED, RIGHT, Panel, Picture, cell
from masklab.text import tokenize, word_id

LENGTHS = [3, 5, 4, 11, 3, 10]  # of the six sentences
sentences = st.lists(st.lists(st.sampled_from(["The", "cat", "[PAD]", "🐟"]), max_size=9).map(" ".join), min_size=1,
                     max_size=6).filter(lambda texts: any(map(str.strip, texts)))  # fmt: skip
settings = st.fixed_dictionaries({
    "sentences": sentences, "side": st.sampled_from(["left", "right"]), "pad_to": st.sampled_from(list(lesson.WIDTHS)),
    "order": st.sampled_from(list(lesson.ORDERS)), "batch_size": st.sampled_from([1, 2, 3, 6]),
})  # fmt: skip


def draw(**changes) -> Picture:
    return lesson.draw(lesson.State(**changes))


def drawn(**changes) -> dict[str, Panel]:
    """The panels of a state, by name."""
    return {panel.name: panel for panel in draw(**changes).panels}


def batches(picture: Picture) -> list[tuple[Panel, Panel]]:
    """The two panels of each batch."""
    return list(zip(picture.panels[::2], picture.panels[1::2], strict=True))


def ids_of(text: str) -> torch.Tensor:
    return torch.tensor([word_id(word) for word in tokenize(text)], dtype=torch.int64)


# --- what is seen at first sight ----------------------------------------------------------------------------


def test_first_sight_shows_the_point():
    picture = draw()
    assert [panel.name for panel in picture.panels] == ["ids", "is_word"]
    assert picture.panels[0].title == "ids of the batch: 3 × 5" and picture.panels[0].current == 0
    assert {panel.axes for panel in picture.panels} == {("sentence", "position")}
    assert picture.panels[0].values.tolist() == [[1, 2, 3, 0, 0], [1, 2, 3, 4, 5], [1, 2, 3, 4, 0]]
    assert picture.panels[1].values.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]
    assert picture.summary == "3 of 15 cells are padding (20 %)."
    assert picture.code == "torch.tensor([[1, 2, 3, 0, 0], [1, 2, 3, 4, 5], [1, 2, 3, 4, 0]])  # shape (3, 5)"
    assert [one.below for one in picture.sentences] == [
        list(map(str, row)) for row in picture.panels[0].values.tolist()
    ]


@pytest.mark.parametrize(("changes", "summary"), [
    ({"sentences": lesson.SIX, "batch_size": 6}, "30 of 66 cells are padding (45 %)."),
    ({"sentences": lesson.SIX, "batch_size": 2}, "16 of 52 cells are padding (31 %), in 3 batches. "
     "Compare: by length 2 of 38 (5 %), in one batch 30 of 66 (45 %)."),
    ({"sentences": lesson.SIX, "batch_size": 2, "order": "length"}, "2 of 38 cells are padding (5 %), in 3 batches. "
     "Compare: as typed 16 of 52 (31 %), in one batch 30 of 66 (45 %)."),
    ({"batch_size": 2, "order": "length"}, "1 of 13 cells is padding (8 %), in 2 batches. "
     "Compare: as typed 2 of 14 (14 %), in one batch 3 of 15 (20 %)."),
    ({"batch_size": 1}, "0 of 12 cells are padding (0 %), in 3 batches. Compare: in one batch 3 of 15 (20 %)."),
    ({"pad_to": 8}, "12 of 24 cells are padding (50 %)."),
    ({"pad_to": 8, "batch_size": 2}, "12 of 24 cells are padding (50 %), in 2 batches."),  # the same in any order
])  # fmt: skip
def test_what_filling_up_costs(changes, summary):
    assert draw(**changes).summary == summary


# --- any batch ----------------------------------------------------------------------------------------------


@given(settings)
def test_each_batch_is_what_torch_pads(changes):
    picture, texts = draw(**changes), changes["sentences"]
    seen = []
    for ids, is_word in batches(picture):
        rows = [ids_of(texts[i]) for i in ids.places]
        expected = pad_sequence(rows, batch_first=True, padding_side=changes["side"])
        more = max(0, changes["pad_to"] - expected.shape[1])
        expected = torch.nn.functional.pad(expected, (more, 0) if changes["side"] == "left" else (0, more))
        assert torch.equal(ids.values, expected)
        assert torch.equal(is_word.values == 0, is_word.blocked) and torch.equal(expected == 0, is_word.blocked)
        assert list(ids.rows) == [str(i + 1) for i in ids.places] and is_word.places == ids.places
        for i, row in zip(ids.places, expected.tolist(), strict=True):
            assert picture.sentences[i].below == list(map(str, row))
        assert len(ids.places) <= changes["batch_size"]
        seen += ids.places
    in_order = [len(tokenize(texts[i])) for i in seen]
    assert sorted(seen) == list(range(len(texts)))
    assert seen == sorted(seen) if changes["order"] == "typed" else in_order == sorted(in_order)


@given(settings)
def test_the_padding_that_is_counted_is_the_padding_that_is_shown(changes):
    picture = draw(**changes)
    blocked = torch.cat([is_word.blocked.flatten() for _, is_word in batches(picture)])
    assert picture.summary.startswith(f"{int(blocked.sum())} of {blocked.numel()} cells ")


@given(settings, st.integers(-1, 6))
def test_a_line_of_code_is_what_torch_says(changes, shown):
    for side in ("none", changes["side"]):
        picture = draw(**changes | {"side": side, "shown": shown})
        line, _, said = picture.code.partition("  # ")
        if not line:
            continue  # a long one is left out
        try:
            assert said == f"shape {tuple(eval(line, {'torch': torch}).shape)}"
        except ValueError as error:
            assert said == f"ValueError: {error}" and side == "none" and picture.summary.startswith("✗")


def test_of_several_batches_there_is_no_line_of_code():
    """It would be that of one batch only, and take the room of the others."""
    assert draw(batch_size=3).code and draw(batch_size=2).code == ""


# --- without padding ----------------------------------------------------------------------------------------


def test_a_ragged_batch_is_no_tensor_and_its_sentences_stand_apart():
    picture = draw(side="none")
    assert [panel.title for panel in picture.panels] == ["sentence 1: 3 ids", "sentence 2: 5 ids", "sentence 3: 4 ids"]
    assert picture.summary == "✗ torch refuses the batch: the rows differ in length."
    assert picture.code.endswith("# ValueError: expected sequence of length 3 at dim 1 (got 5)")
    assert [one.note for one in picture.sentences] == ["3 words", "5 words", "4 words"]


def test_batches_of_equally_long_sentences_need_no_padding():
    for changes in ({"batch_size": 1}, {"sentences": ["The cat", "The dog"]}, {"sentences": ["The cat"]}):
        assert draw(side="none", **changes).summary.startswith("✓ No padding is needed")
    picture = draw(side="none", sentences=lesson.SIX, batch_size=2, order="length")
    assert picture.summary == "✗ torch refuses 2 of 3 batches: the rows differ in length."
    titles = [panel.title for panel in picture.panels]
    assert titles[:2] == ["ids of batch 1: 2 × 3", "sentence 3: 4 ids"] and picture.code.endswith("# shape (2, 3)")
    assert draw(side="none", batch_size=2, shown=2).code == "torch.tensor([[1, 2, 3, 4]])  # shape (1, 4)"


def test_without_padding_there_is_nothing_to_predict():
    for changes in ({}, {"batch_size": 1}):
        summary = draw(side="none", predict=True, **changes).summary
        assert summary == f"Nothing is filled up, so there is nothing to paint. {draw(side='none', **changes).summary}"


# --- odd input ----------------------------------------------------------------------------------------------


def test_odd_sentences():
    typed = draw(sentences=["The [PAD]", "🐈 ate 🐟"])
    assert typed.panels[1].values.tolist() == [[1, 1, 0], [1, 1, 1]] and typed.panels[0].values[0, 1] != 0
    assert "a [PAD] that you type is a word, too" in typed.sentences[0].note
    empty = draw(sentences=["", "The cat"])
    assert empty.panels[1].values.tolist() == [[0, 0], [1, 1]] and empty.sentences[0].note.startswith("no word yet")
    assert drawn(sentences=["", "The cat"], batch_size=1)["ids"].values.shape == (1, 0)
    assert drawn(sentences=["", "The cat"], side="none")["ids"].values.shape == (1, 0)
    assert [draw(shown=i).shown for i in (-1, 2, 9)] == [0, 2, 2]  # the last one, when sentences have gone
    for side in lesson.SIDES:
        long = draw(sentences=["word " * 256, "a"], side=side)
        assert long.code == "" and long.panels[0].values.shape[1] == 256
        with pytest.raises(BadInput, match="There is no word yet"):
            draw(sentences=["", " "], side=side)
        with pytest.raises(BadInput, match="Sentence 2 has 257 words and the lab draws up to 256"):
            draw(sentences=["a", "word " * 257], side=side)


# --- predict first ------------------------------------------------------------------------------------------


def test_nothing_gives_the_answer_away_until_it_is_revealed():
    picture = draw(predict=True, side="left", painted=[[0, 0], [1, 1]])
    assert [(panel.name, panel.title) for panel in picture.panels] == [("is_word", "your mask")]
    assert picture.panels[0].values.tolist() == [[0, 1, 1, 1, 1], [1, 0, 1, 1, 1], [1, 1, 1, 1, 1]]
    assert picture.summary == "Paint the padding of this batch: 2 painted so far. Then reveal." and picture.code == ""
    assert not any(any(one.pads) for one in picture.sentences)
    assert picture.panels[0].links == ("row", "column")  # a position here is no word of the chips


def test_a_guess_is_judged():
    picture = draw(predict=True, reveal=True, side="left", painted=[[0, 0], [1, 1]])
    assert picture.panels[1].marks.tolist() == [
        [RIGHT, MISSED, 0, 0, 0],
        [0, EXTRA, 0, 0, 0],
        [MISSED, 0, 0, 0, 0],
    ]
    assert [cell(picture.panels[1], 0, i) for i in (0, 1)] == ["0▨✓", "0▨✗"]
    assert picture.summary == (
        "You found 1 of 3 cells of padding (✓ 1, ✗ 2 missed), and 1 too many (!). 3 of 15 cells are padding (20 %)."
    )


def test_the_batch_of_the_shown_sentence_is_guessed():
    """By length and in twos, sentence 2 is alone in the second batch."""
    changes = {"predict": True, "order": "length", "batch_size": 2}
    assert [drawn(shown=i, **changes).popitem()[1].places for i in range(3)] == [[0, 2], [1], [0, 2]]
    marked = [panel.marks is not None for panel in draw(shown=1, reveal=True, **changes).panels]
    assert marked == [False, False, False, True]
    assert list(drawn(shown=1, **changes)) == ["is_word2"]


def test_what_moves_the_padding_starts_the_guess_anew():
    specs = {spec["name"]: spec for spec in lesson.lab().controls}
    for name in ("sentences", "side", "pad_to", "order", "batch_size", "predict"):
        assert specs[name]["sets"] == {"painted": [], "reveal": False}
    assert specs["six sentences"]["sets"] == {"sentences": list(lesson.SIX), "painted": [], "reveal": False}


# --- the lab ------------------------------------------------------------------------------------------------


def test_the_six_sentences_begin_with_the_three():
    assert lesson.SIX[:3] == SENTENCES and [len(tokenize(one)) for one in lesson.SIX] == LENGTHS


def test_a_small_lab():
    small = lesson.lab(panels=["ids"], controls=["side", "six sentences"], side="left")
    assert [panel["name"] for panel in small.picture["panels"]] == ["ids"]
    assert [spec["name"] for spec in small.controls] == ["six sentences", "side"]


@pytest.mark.parametrize("changes", [{}, {"batch_size": 1}, {"side": "none", "batch_size": 2}])
def test_16_words_are_drawn_in_under_3_ms(changes):
    texts = [" ".join(f"word{i}{j}" for i in range(16 - j)) for j in range(6)]
    state = lesson.State(sentences=texts, **changes)
    times = []
    for _ in range(20):
        start = time.thread_time()
        lesson.draw(state)
        times.append(time.thread_time() - start)
    assert min(times) < 0.003  # it takes about 0.4 ms
