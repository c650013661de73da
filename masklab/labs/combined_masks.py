"""The lab of lesson 07: padding & causal in one mask, written for one library and read by another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from masklab import masks, toy
from masklab.attention import Attention
from masklab.dialects.additive import BLOCKS
from masklab.labs.controls import Choice, Toggle, control, settings
from masklab.labs.guess import NO_GUESS, Guess, painting
from masklab.labs.lab import Lab
from masklab.labs.lights import lights_of
from masklab.labs.rosetta import DIALECTS, Dialect, Refused, attend_as, tensor_panel
from masklab.labs.sentences import batch_of, chips
from masklab.labs.stages import AttentionState, Stages, labels_of, limits, outputs, projections, run, weighing
from masklab.panels import EXTRA, MISSED, Panel, Picture
from masklab.text import Batch

NAMES = {name: dialect.label for name, dialect in DIALECTS.items()}
READERS = {"same": "the same"} | {name: one.reader for name, one in DIALECTS.items() if name != "bias"}
FORMS = "MHA is nn.MultiheadAttention, flex flex_attention; HF Transformers: its tokenizer's 2-D, or its eager bias."
CALLS = "Hands the tensor to another call, its axes made to fit. HF sdpa and HF eager are attentions of Transformers."
Square = Mapping[str, Any]  # the words of rows and columns


@dataclass(frozen=True, kw_only=True)
class State(AttentionState):
    """What can be changed in this lab: the two rules of the mask, who writes it and who reads it."""

    side: str = control("left", Choice(label="Padding side", sets=NO_GUESS, options={"left": "left", "right": "right"}))
    padding: bool = control(True, Toggle(label="Padding mask", sets=NO_GUESS))
    causal: bool = control(True, Toggle(label="Causal mask", sets=NO_GUESS))
    written: str = control("sdpa", Choice(label="Written for", options=NAMES, help=FORMS))
    read: str = control("same", Choice(label="Read by", options=READERS, help=CALLS))
    scores: bool = control(False, Toggle(label="Show the scores", more=True))


def lab(*, panels: Sequence[str] | None = None, controls: Sequence[str] | None = None, **changes) -> Lab:
    """The lab of lesson 07; keywords change the first state, for example ``written="mha"``.

    Reset goes back to that state. ``panels`` and ``controls`` name those of a small lab.
    Raises TypeError for a keyword that is not part of the state, ValueError for a value or a name
    that the lab doesn't have.

    >>> lab(written="mha").picture["code"].splitlines()[0]
    'given = ~mask[:, 0]  # bool (3, 5, 5): True = ignore'
    """
    first = settings(State(), changes)
    return Lab(draw, state=first, label="Lab: masks combined", panels=panels, controls=controls)


def draw(state: State) -> Picture:
    """The whole picture for a state; a pure function. Raises BadInput when nothing can be drawn.

    >>> [panel.name for panel in draw(State()).panels]
    ['padding', 'causal', 'mask', 'tensor', 'read', 'weights', 'output']
    """
    batch = batch_of(state.sentences, side=state.side)
    shown = min(max(state.shown, 0), len(batch.tokens) - 1)
    padding, causal = rules_of(batch, padding=state.padding, causal=state.causal)
    both = padding & causal  # (B, 1, L, L)
    answer = both[shown, 0]
    guess = state.guess(answer)
    used = guess.used if guess else answer  # until the right mask is revealed, the painted one is handed on
    mask = torch.cat([both[:shown], used[None, None], both[shown + 1 :]])

    writer = DIALECTS[state.written]
    reader = writer if state.read == "same" else DIALECTS[state.read]
    given = writer.writes(mask)
    code = [writer.written(given), reader.handed(given, writer.holds)]
    _, square = labels_of(batch, shown)
    panels = _combining(padding[shown, 0], causal[0, 0], used, square, guess)
    panels.append(tensor_panel(given, writer, shown, used, square))
    try:
        added = reader.read(given, writer.holds, is_causal=state.causal).expand(mask.shape)[shown, 0]
    except Refused as error:
        code.append(f"# {error}")
        lights = f"✗ {reader.reader} refuses the tensor that is written for {writer.label}: its error is in the code."
    else:
        more, lights = _attention(state, batch, shown, reader, added, used=used, answer=answer)
        panels += more
    summary = lights if not guess else f"{guess.told()} {lights}" if guess.reveal else guess.told()
    return Picture(panels=panels, sentences=chips(batch), shown=shown, summary=summary, code="\n".join(code))


def rules_of(batch: Batch, *, padding: bool, causal: bool) -> tuple[Tensor, Tensor]:
    """The two rules as masks, or masks that block nothing: (B, 1, L, L) and (1, 1, L, L) bool, True = may attend.

    >>> padding, causal = rules_of(batch_of(["a b", "c"], side="left"), padding=True, causal=True)
    >>> (padding & causal)[1, 0].int()
    tensor([[0, 0],
            [0, 1]], dtype=torch.int32)
    """
    total = batch.ids.shape[1]
    columns = masks.padding(batch.lengths, total=total, side=batch.side) if padding else masks.everything()
    past = masks.causal() if causal else masks.everything()
    return columns.tensor(batch=len(batch.tokens), queries=total, keys=total), past.tensor(queries=total, keys=total)


def _combining(padding: Tensor, causal: Tensor, used: Tensor, square: Square, guess: Guess | None) -> list[Panel]:
    """The two rules and what both allow, 1 = may attend. Shapes: (L, L) bool."""
    return [
        Panel(
            name="padding", kind="ids", values=padding.int(), blocked=~padding, title="padding", say="padding {}",
            meaning="1 where the key is a word.", small=True, **square,
        ),
        Panel(
            name="causal", kind="ids", values=causal.int(), blocked=~causal, title="causal", say=" & causal {}",
            meaning="1 where the key is not in the query's future.", sign="&", small=True, **square,
        ),
        Panel(
            name="mask", kind="ids", values=used.int(), blocked=~used, sign="=", say=" = {}",
            meaning="1 where the query may attend: the key is a word, and not in its future.",
            **painting(guess, title="combined"), **square,
        ),
    ]  # fmt: skip


def _attention(
    state: State, batch: Batch, shown: int, reader: Dialect, added: Tensor, *, used: Tensor, answer: Tensor
) -> tuple[list[Panel], str]:
    """From what the reader adds to the output, and the lights in a line.

    Shapes: ``added`` (L, L) float; ``used``, the mask that was meant, and ``answer``, the right one, (L, L) bool.
    """
    (labels, square), is_word = labels_of(batch, shown), batch.is_word[shown]
    x = toy.embed(batch.ids[shown], seed=state.seed)
    projected = toy.qkv(x, seed=state.seed)
    stages = Stages(first=attend_as(reader, projected, added), projected=projected)
    ends = limits(run(x[is_word], answer[is_word][:, is_word], seed=state.seed))
    panels = projections(stages, ends, labels) if state.qkv else []
    panels += _weighing(stages.first, ends, square, used, reader, scores=state.scores)
    lights = lights_of(stages.first.weights[0, 0], added, used, is_word, reader)
    return panels + outputs(stages, ends, labels), lights


def _weighing(
    stage: Attention, ends: Mapping[str, float], square: Square, used: Tensor, reader: Dialect, *, scores: bool
) -> list[Panel]:
    """What the reader adds to the scores, each cell judged by the mask that was meant, and the weights.

    Shape: ``used`` (L, L) bool, True = may attend.
    """
    before, read, _, weights = weighing(stage, ends, square, None)
    blocked, marks = stage.bias[0, 0] <= BLOCKS, torch.zeros(used.shape, dtype=torch.uint8)
    marks[~blocked & ~used], marks[blocked & used] = MISSED, EXTRA
    wrong = " ✗ is open and should be blocked, ! is blocked and should be open."
    read = replace(
        read, name="read", title=f"what {reader.reader} adds", sign="+" if scores else "→", say=", adds {}", small=True,
        meaning="What is added to the scores: so this library reads the tensor." + wrong * bool(marks.any()),
        marks=marks if marks.any() else None,
    )  # fmt: skip
    weights = replace(weights, meaning="Softmax of the scores and what is added. A fully masked row is 0/0: see above.")
    return [*([before] if scores else []), read, weights]
