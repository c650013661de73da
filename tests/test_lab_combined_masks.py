"""The lab of lesson 07: what it shows is what the real libraries do, for every pair of writer and reader."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from masklab import dialects, panels, toy
from masklab.corpus import VOCABULARY
from masklab.labs import combined_masks as lesson
from masklab.labs import left_padding
from masklab.labs.rosetta import DIALECTS
from masklab.labs.sentences import SENTENCES, batch_of
from masklab.panels import EXTRA, MISSED, RIGHT
from masklab.tiny import tiny_gpt
from masklab.view.matrix import serialize

PAIRS = [(writer, reader) for writer in DIALECTS for reader in lesson.READERS if reader != "same"]
INSTALLED = ("sdpa", "mha", "tokenizer", "eager", "flex")  # the others were run by hand, see rosetta.py
FIRST = "Pads visible? ✓ no · Future visible? ✓ no · Fully masked rows: 2 → SDPA: zeros (HF eager: uniform, MHA: NaN)"
PAINTED = tuple((row, column) for row in range(5) for column in range(5) if column != 2)  # all but the column of "The"


def draw(**changes) -> panels.Picture:
    return lesson.draw(lesson.State(**changes))


def drawn(**changes) -> dict[str, panels.Panel]:
    """The panels of a state, by name."""
    return {panel.name: panel for panel in draw(**changes).panels}


def values(name: str, **changes) -> torch.Tensor:
    return drawn(**changes)[name].values


def raw(**changes) -> dict:
    """A state as a page sends it."""
    return lesson.State().raw() | changes


# --- what is seen at first sight ----------------------------------------------------------------------------


def test_first_sight_shows_the_point():
    picture = draw()
    assert [panel.name for panel in picture.panels] == [
        "padding",
        "causal",
        "mask",
        "tensor",
        "read",
        "weights",
        "output",
    ]
    assert picture.summary == FIRST
    assert picture.code.splitlines() == [
        "given = mask  # bool (3, 1, 5, 5): True = may attend",
        "F.scaled_dot_product_attention(q, k, v, attn_mask=given)",
    ]
    weights = values("weights")
    assert (weights[:2] == 0).all() and torch.allclose(weights[2:].sum(dim=-1), torch.ones(3))
    assert drawn()["weights"].row_notes == ["0.00", "0.00", "1.00", "1.00", "1.00"]


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_and_causal_are_combined(side):
    for shown, sentence in enumerate(SENTENCES):
        found, words = drawn(side=side, shown=shown), len(sentence.split())
        pads = range(5 - words) if side == "left" else range(words, 5)
        for q in range(5):
            for k in range(5):
                expected = {"padding": k not in pads, "causal": k <= q, "mask": k not in pads and k <= q}
                assert {name: found[name].values[q, k].item() for name in expected} == expected
                assert {name: not found[name].blocked[q, k].item() for name in expected} == expected
                assert (found["read"].values[q, k] == 0).item() is expected["mask"]


def test_right_padding_and_one_rule_alone_leave_no_row_fully_masked():
    for changes in ({"side": "right"}, {"causal": False}, {"padding": False}, {"shown": 1}):
        assert draw(**changes).summary.endswith("Fully masked rows: none")
        assert values("weights", **changes).sum(dim=-1).allclose(torch.ones(5))
    assert "Pads visible? yes, as the mask says" in draw(padding=False).summary
    assert "Future visible? yes, as the mask says" in draw(causal=False).summary
    assert draw(padding=False).summary.startswith("Pads visible? yes, as the mask says · Future visible? ✓ no")


@pytest.mark.parametrize(
    ("written", "gives"),
    {"sdpa": "zeros", "bias": "zeros", "flex": "zeros", "tokenizer": "zeros", "eager": "uniform", "jax": "uniform",
     "keras": "uniform", "mha": "NaN"}.items(),
)  # fmt: skip
def test_a_fully_masked_row_gives_what_the_table_of_dialects_says(written, gives):
    assert f"2 → {DIALECTS[written].reader}: {gives}" in draw(written=written).summary
    assert DIALECTS[written].empty == gives
    weights, output = (values(name, written=written) for name in ("weights", "output"))
    v = drawn(written=written, qkv=True)["V"].values
    expected = {"zeros": torch.zeros(4), "uniform": v.mean(dim=0), "NaN": torch.full((4,), math.nan)}[gives]
    for row in (0, 1):
        torch.testing.assert_close(output[row], expected, equal_nan=True)
    assert torch.equal(weights[2:], values("weights")[2:]) and torch.equal(output[2:], values("output")[2:])


def test_what_is_said_of_each_library_is_in_the_table_of_dialects():
    lines = {line.split("  ")[0]: line.split() for line in dialects.__doc__.splitlines()}
    for dialect in DIALECTS.values():
        assert lines[dialect.library][-1] == dialect.empty


# --- the code is run: with torch and Transformers as they are -------------------------------------------------


def names_of(state: lesson.State) -> dict:
    """What the code of a picture needs: the mask, the vectors of all sentences, and the libraries."""
    batch = batch_of(state.sentences, side=state.side)
    padding, causal = lesson.rules_of(batch, padding=state.padding, causal=state.causal)
    mask = padding & causal
    mask[state.shown, 0] = {panel.name: ~panel.blocked for panel in lesson.draw(state).panels[:3]}["mask"]
    x = torch.stack([toy.embed(ids, seed=state.seed) for ids in batch.ids])
    q, k, v = (torch.stack(one)[:, None] for one in zip(*(toy.qkv(one, seed=state.seed) for one in x), strict=True))
    names = {"torch": torch, "math": math, "F": F, "create_block_mask": create_block_mask}
    names |= {"flex_attention": flex_attention, "mha": mha(state.seed)}
    return names | {"mask": mask, "x": x, "q": q, "k": k, "v": v}


def mha(seed: int) -> nn.MultiheadAttention:
    """The real layer with the lab's projections, so that its q, k and v are the lab's."""
    layer = nn.MultiheadAttention(4, 1, batch_first=True, bias=False)
    layer.in_proj_weight.data = torch.cat([one.T for one in toy.qkv(torch.eye(4), seed=seed)])
    layer.out_proj.weight.data = torch.eye(4)
    return layer


def transformers_model(state: lesson.State, names: dict):
    """What a model of Transformers does with an ``attention_mask``: its own mask, then its own attention."""
    from transformers import LlamaConfig
    from transformers.masking_utils import create_bidirectional_mask, create_causal_mask
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
    from transformers.models.llama.modeling_llama import eager_attention_forward

    how = "eager" if state.read == "eager" else "sdpa"
    config = LlamaConfig(hidden_size=4, num_attention_heads=1, attn_implementation=how)
    module = nn.Module().eval()
    module.num_key_value_groups, module.is_causal = 1, state.causal

    def model(ids, attention_mask):
        make = create_causal_mask if state.causal else create_bidirectional_mask
        extra = {"past_key_values": None} if state.causal else {}
        made = make(config, inputs_embeds=names["x"], attention_mask=attention_mask, **extra)
        attention = eager_attention_forward if how == "eager" else ALL_ATTENTION_FUNCTIONS["sdpa"]
        output, _ = attention(module, names["q"], names["k"], names["v"], made, scaling=0.5)
        return output.transpose(1, 2)

    return model


STATES = [{}, {"side": "right", "shown": 2}, {"causal": False}, {"padding": False}, {"padding": False, "causal": False},
          {"predict": True, "painted": PAINTED}, {"sentences": ("", "The cat")}, {"sentences": ("The",)}]  # fmt: skip


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize(("written", "read"), [pair for pair in PAIRS if pair[1] in INSTALLED])
@torch.no_grad()
def test_every_library_reads_each_tensor_as_the_lab_says(written, read):
    for changes in STATES:
        state = lesson.State(written=written, read=read, **changes)
        picture, names = lesson.draw(state), names_of(state)
        names |= {"ids": None, "model": transformers_model(state, names) if read in ("tokenizer", "eager") else None}
        write, hand, *error = picture.code.splitlines()
        exec(write, names)
        found = {panel.name: panel.values for panel in picture.panels}
        if written != "flex":
            is_the_tensor(found["tensor"], names["given"], state.shown)
            assert f"{str(names['given'].dtype)[6:]} {tuple(names['given'].shape)}" in write
        if error:
            with pytest.raises(Exception) as raised:
                eval(hand, names)
            assert error == [f"# {type(raised.value).__name__}: {raised.value}"]
            assert "output" not in found and picture.summary.startswith(("✗", "Paint"))
            continue
        theirs = eval(hand, names)
        output, weights = theirs if isinstance(theirs, tuple) else (theirs[:, 0], None)
        torch.testing.assert_close(found["output"], output[state.shown], equal_nan=True)
        if weights is not None:
            torch.testing.assert_close(found["weights"], weights[state.shown], equal_nan=True)


def is_the_tensor(drawn: torch.Tensor, given: torch.Tensor, shown: int) -> None:
    """The panel is what the code made: of the shown sentence, or of all where each has one row."""
    assert torch.equal(drawn, given[shown].reshape(drawn.shape) if given.ndim > 2 else given)


# --- who reads it otherwise -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("written", "read"), [("sdpa", "mha"), ("mha", "sdpa"), ("bias", "keras"), ("mha", "jax")])
def test_the_wrong_reader_inverts_the_mask_and_the_lights_turn(written, read):
    picture = draw(written=written, read=read)
    assert picture.summary.startswith(
        "Pads visible? ✗ yes, though the mask blocks them · Future visible? ✗ yes, though"
    )
    found = drawn(written=written, read=read)
    assert torch.equal(found["read"].blocked, ~found["mask"].blocked)
    assert torch.equal(found["read"].marks == MISSED, found["mask"].blocked)
    assert torch.equal(found["read"].marks == EXTRA, ~found["mask"].blocked)


def test_a_bool_that_is_added_blocks_nothing():
    found = drawn(written="sdpa", read="eager")
    assert not found["read"].blocked.any() and set(found["read"].values.flatten().tolist()) == {0.0, 1.0}
    assert (found["weights"].values > 0).all()


def test_a_reader_that_reads_it_right_has_no_marks():
    for written in DIALECTS:
        assert drawn(written=written)["read"].marks is None


def test_a_form_for_the_keys_alone_cannot_say_what_is_painted():
    """It says nothing of a single pair, and the library adds the future by itself."""
    marks = drawn(predict=True, painted=[[3, 3]], written="tokenizer")["read"].marks
    assert marks[3, 3] == MISSED and marks[3, 4] == EXTRA and marks[3, 2] == 0


def test_zeros_are_given_for_infinity_alone():
    assert draw(written="eager", read="sdpa").summary.endswith("2 → SDPA: uniform")  # and not MHA: NaN, as usual
    assert draw(written="eager", read="mha").summary.endswith("2 → MHA: uniform")
    assert draw(written="bias", read="eager").summary.endswith("2 → HF eager: NaN")


# --- predict first --------------------------------------------------------------------------------------------


def test_the_painted_mask_is_handed_on_until_the_right_one_is_revealed():
    painted = [[2, 2], [0, 0]]
    found = drawn(predict=True, painted=painted)
    assert found["mask"].title == "your mask" and found["mask"].edits.key == "painted"
    for name in ("mask", "tensor", "read", "weights"):
        assert found[name].blocked.nonzero().tolist() == [[0, 0], [2, 2]]
    assert found["tensor"].values.sum() == 23 and found["weights"].values[2, 2] == 0
    shown = drawn(predict=True, painted=painted, reveal=True)
    assert torch.equal(shown["tensor"].values, values("tensor")) and shown["mask"].edits is None
    assert (shown["mask"].marks[0, 0], shown["mask"].marks[2, 2], shown["mask"].marks[0, 1]) == (RIGHT, EXTRA, MISSED)
    assert draw(predict=True, painted=painted, reveal=True).summary == (
        f"You blocked 1 of the 19 cells to block (✓ 1, ✗ 18 missed), and 1 too many (!). {FIRST}"
    )


def test_another_rule_starts_the_guess_anew():
    specs = {spec["name"]: spec for spec in lesson.lab().controls}
    for name in ("side", "padding", "causal", "sentences", "predict"):
        assert specs[name]["sets"] == {"painted": [], "reveal": False}
    assert not any("sets" in specs[name] for name in ("written", "read"))  # the mask stays what it is


# --- the lab ----------------------------------------------------------------------------------------------------


def test_controls_panels_and_the_text_twin():
    lab = lesson.lab(panels=["mask", "tensor"], controls=["written"])
    assert [panel["name"] for panel in lab.picture["panels"]] == ["mask", "tensor"]
    assert "given = mask  # bool (3, 1, 5, 5): True = may attend\nF.scaled_dot" in repr(lab)
    assert [spec["name"] for spec in lesson.lab().controls if spec.get("more")] == ["scores", "text", "seed", "qkv"]
    everything = [panel.name for panel in draw(scores=True, qkv=True).panels]
    assert everything[4:] == ["Q", "K", "V", "scores", "read", "weights", "output"]


def test_small_panels_and_code_are_sent_to_the_page():
    sent = serialize(draw(written="mha"), serial=1)
    assert {panel["name"] for panel in sent["panels"] if panel["small"]} == {"padding", "causal", "read"}
    assert sent["code"].startswith("given = ~mask[:, 0]")


# --- the small lab: batched equals alone ------------------------------------------------------------------------

GPT = tiny_gpt(0)
WAYS = [(mask, positions) for mask in (False, True) for positions in (False, True)]


def prompts(**changes) -> panels.Picture:
    return left_padding.picture(left_padding.Prompts(**changes), GPT)


@torch.no_grad()
def test_a_batch_equals_the_prompt_alone_only_with_mask_and_position_ids():
    ids = torch.tensor([VOCABULARY.encode(["[BOS]", "The", "hungry", "cat"])])
    alone = GPT(ids)[0, -1]
    for mask, positions in WAYS:
        picture = prompts(mask=mask, positions=positions)
        one, batch, difference = picture.panels
        torch.testing.assert_close(one.values[:, 0], alone.softmax(dim=-1)[VOCABULARY.encode(one.rows)])
        is_right = mask and positions
        assert torch.allclose(one.values, batch.values, atol=1e-5) is is_right
        assert ("✓ the batch gives what the prompt gives alone" in picture.summary) is is_right
        found = difference.values[int(mask), int(positions)]
        assert (found < 1e-5) == is_right and (found > 0.05) != is_right
        assert difference.marks.tolist() == [[MISSED, MISSED], [MISSED, RIGHT]]
    assert "Without the mask, with position ids: ✗" in prompts(mask=False, positions=True).summary


def test_the_number_of_each_position_stands_below_its_chip():
    counted = prompts(positions=True).sentences
    assert [list(map(int, one.below)) for one in counted] == [[0, 0, 0, 0, 0, 1, 2, 3], list(range(8))]
    assert [list(map(int, one.below)) for one in prompts().sentences] == [list(range(8))] * 2


def test_a_prompt_without_padding_and_odd_ones():
    picture = prompts(shown=1)
    assert picture.summary.startswith("This prompt is the longest") and (picture.panels[2].values < 1e-5).all()
    assert list(prompts(sentences=("", "zebra crossing")).sentences[1].tokens) == ["[BOS]", "[UNK]", "[UNK]"]
    lab = left_padding.lab(GPT, sentences=["word " * 16, "a"])
    assert lab.picture["problem"].startswith("Sentence 1 has 16 words and the model reads up to 15")
    assert left_padding.lab(GPT, sentences=["", ""]).picture["problem"].startswith("There is no word yet")


def test_with_the_trained_model_the_best_guess_is_lost():
    """By default it is lesson 06's, for which the difference is larger than any between two guesses."""
    one, batch, difference = left_padding.picture(left_padding.Prompts()).panels
    assert one.values.max() > 4 * batch.values[one.values.argmax()] and difference.values[1, 0] > 2
