"""The lab of lesson 07: what it shows is what the real libraries do, for every pair of writer and reader."""

import json
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from masklab import dialects, panels, toy
from masklab.labs import combined_masks as lesson
from masklab.labs.rosetta import DIALECTS
from masklab.labs.sentences import SENTENCES, batch_of
from masklab.panels import EXTRA, MISSED, RIGHT
from masklab.view.matrix import serialize
from tests.strategies import hostile, sides

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


def names_of(**changes) -> dict:
    """What the code of a picture needs: the mask, the vectors of all sentences, and the libraries."""
    state = lesson.State(**changes)
    batch = batch_of(state.sentences, side=state.side)
    padding, causal = lesson.rules_of(batch, padding=state.padding, causal=state.causal)
    mask = padding & causal
    mask[state.shown, 0] = ~drawn(**changes)["mask"].blocked
    x = torch.stack([toy.embed(ids, seed=state.seed) for ids in batch.ids])
    q, k, v = (torch.stack(one)[:, None] for one in zip(*(toy.qkv(one, seed=state.seed) for one in x), strict=True))
    names = {"torch": torch, "math": math, "F": F, "create_block_mask": create_block_mask}
    return names | {
        "flex_attention": flex_attention,
        "mask": mask,
        "x": x,
        "q": q,
        "k": k,
        "v": v,
        "mha": mha(state.seed),
    }


def mha(seed: int) -> nn.MultiheadAttention:
    """The real layer with the lab's projections, so that its q, k and v are the lab's."""
    layer = nn.MultiheadAttention(4, 1, batch_first=True, bias=False)
    layer.in_proj_weight.data = torch.cat([one.T for one in toy.qkv(torch.eye(4), seed=seed)])
    layer.out_proj.weight.data = torch.eye(4)
    return layer


def transformers_model(how: str, state: lesson.State, names: dict):
    """What a model of Transformers does with an ``attention_mask``: its own mask, then its own attention."""
    from transformers import LlamaConfig
    from transformers.masking_utils import create_bidirectional_mask, create_causal_mask
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
    from transformers.models.llama.modeling_llama import eager_attention_forward

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


STATES = [{"shown": shown, "side": side, "padding": padding, "causal": causal} for shown in (0, 2)
          for side in ("left", "right") for padding in (True, False) for causal in (True, False)]  # fmt: skip
STATES += [{"predict": True, "painted": PAINTED}, {"sentences": ("", "The cat")}, {"sentences": ("The",)}]


@pytest.mark.parametrize("changes", STATES, ids=str)
@pytest.mark.parametrize(("written", "read"), [pair for pair in PAIRS if pair[1] in INSTALLED])
@torch.no_grad()
def test_every_library_reads_each_tensor_as_the_lab_says(written, read, changes):
    changes = {"written": written, "read": read, **changes}
    picture, state, names = draw(**changes), lesson.State(**changes), names_of(**changes)
    if read in ("tokenizer", "eager"):
        names |= {"model": transformers_model({"tokenizer": "sdpa"}.get(read, read), state, names), "ids": None}
    write, hand, *error = picture.code.splitlines()
    exec(write, names)
    given = names["given"]
    if written != "flex":
        drawn_tensor = drawn(**changes)["tensor"].values
        shown = given[state.shown].reshape(drawn_tensor.shape) if given.ndim > 2 else given
        assert torch.equal(shown.float(), drawn_tensor.float())
        assert f"{str(given.dtype)[6:]} {tuple(given.shape)}" in write
    if error:
        with pytest.raises(Exception) as raised:
            eval(hand, names)
        assert error == [f"# {type(raised.value).__name__}: {raised.value}"]
        assert picture.panels[-1].name == "tensor" and picture.summary.startswith(("✗", "Paint"))
        return
    theirs = eval(hand, names)
    theirs = (theirs[0][:, None] if isinstance(theirs, tuple) else theirs)[state.shown, 0]
    torch.testing.assert_close(picture.panels[-1].values, theirs, equal_nan=True)
    if read == "mha":
        weights = mha(state.seed)(
            *[names["x"]] * 3, attn_mask=eval(hand.split("attn_mask=")[1].split(")  #")[0], names)
        )[1]
        torch.testing.assert_close(picture.panels[-2].values, weights[state.shown], equal_nan=True)


# --- who reads it otherwise -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("written", "read"), [("sdpa", "mha"), ("mha", "sdpa"), ("bias", "keras"), ("mha", "jax")])
def test_the_wrong_reader_inverts_the_mask_and_the_lights_turn(written, read):
    picture = draw(written=written, read=read)
    assert picture.summary.startswith("Pads visible? ✗ yes, though the mask blocks it · Future visible? ✗ yes, though")
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
    assert "SDPA: uniform" in draw(written="eager", read="sdpa").summary
    assert "HF eager: NaN" in draw(written="bias", read="eager").summary


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
    assert {panel["name"] for panel in sent["panels"] if panel["small"]} == {"padding", "causal"}
    assert sent["code"].startswith("given = ~mask[:, 0]")


@pytest.mark.parametrize("key", ["written", "read", "side"])
def test_what_the_lab_does_not_have_is_one_sentence(key):
    lab = lesson.lab()
    before = lab.picture["values"]
    lab.state = raw(**{key: "unheard of"})
    assert lab.picture["problem"].startswith(f"{key} must be ") and lab.picture["values"] == before


LAB = lesson.lab()


@settings(max_examples=200)
@given(
    sentences=st.lists(hostile, min_size=0, max_size=7),
    shown=st.integers(-2, 9),
    side=sides,
    written=st.sampled_from(list(DIALECTS)),
    read=st.sampled_from(list(lesson.READERS)),
    padding=st.booleans(),
    causal=st.booleans(),
    predict=st.booleans(),
    reveal=st.booleans(),
    painted=st.lists(st.tuples(st.integers(-1, 8), st.integers(-1, 8)).map(list), max_size=4),
)
def test_no_string_breaks_the_lab(**changes):
    LAB.state = raw(**changes)
    longest = max((len(sentence.split()) for sentence in changes["sentences"][:6]), default=0)
    assert (LAB.picture["problem"] == "") == (0 < longest <= 256)
    text_only = {key: value for key, value in LAB.picture.items() if not isinstance(value, bytes)}
    json.dumps(text_only, ensure_ascii=False).encode("utf-8")
