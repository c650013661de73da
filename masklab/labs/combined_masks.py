"""The lab of lesson 07: padding & causal in one mask, written for one library and read by another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from masklab import masks, toy
from masklab.labs.controls import Choice, Toggle, control, settings
from masklab.labs.guess import NO_GUESS, Guess, guess_of
from masklab.labs.lab import Lab
from masklab.labs.lights import lights_of
from masklab.labs.rosetta import BLOCKS, DIALECTS, Dialect, Refused, attend_as
from masklab.labs.sentences import batch_of, chips
from masklab.labs.stages import AttentionState, Stages, limits, outputs, projections, run, weighing
from masklab.panels import EXTRA, MISSED, Panel, Picture, Sentence
from masklab.text import Batch

NAMES = {name: dialect.label for name, dialect in DIALECTS.items()}
READERS = {"same": "the same"} | {name: one.reader for name, one in DIALECTS.items() if name != "bias"}
FORMS = "MHA is nn.MultiheadAttention, flex flex_attention; HF Transformers: its tokenizer's 2-D, or its eager bias."
CALLS = "Hands the tensor to another call, its axes made to fit. HF sdpa and HF eager are attentions of Transformers."
KINDS = {"bool": "bool", "BlockMask": "bool", "int64": "ids", "float32": "mask"}  # how a tensor's numbers are written


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
    mask = padding & causal
    answer = mask[shown, 0]
    guess = guess_of(state.painted, mask=answer, reveal=state.reveal) if state.predict else None
    if guess:  # until the right mask is revealed, the painted one is handed on
        mask = torch.cat([mask[:shown], guess.used[None, None], mask[shown + 1 :]])
    writer, reader = DIALECTS[state.written], DIALECTS[state.written if state.read == "same" else state.read]
    given = writer.writes(mask)
    code = [writer.written(given), reader.handed(given, writer.holds)]
    labels = {"rows": batch.tokens[shown], "row_pads": (~batch.is_word[shown]).tolist()}
    panels = [*_combining(padding[shown, 0], causal[0, 0], mask[shown, 0], labels, guess),
              _tensor(given, writer, shown, mask[shown, 0], labels)]  # fmt: skip
    try:
        added = reader.read(given, writer.holds, is_causal=state.causal).expand(mask.shape)[shown, 0]
        stages, ends = _stages(state, batch, shown, answer, added, reader)
        panels += _attention(state, stages, ends, labels, mask[shown, 0], reader)
        lights = lights_of(stages.first.weights[0, 0], added, mask[shown, 0], batch.is_word[shown], reader)
    except Refused as error:
        code.append(f"# {error}")
        lights = f"✗ {reader.reader} refuses the tensor that is written for {writer.label}: its error is in the code."
    summary = lights if not guess else f"{guess.summary} {lights}" if guess.reveal else guess.summary
    return Picture(panels=panels, sentences=_chips(batch), shown=shown, summary=summary, code="\n".join(code))


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


def _combining(
    padding: Tensor, causal: Tensor, mask: Tensor, labels: Mapping[str, Any], guess: Guess | None
) -> list[Panel]:
    """The two rules, and what both allow; 1 = may attend."""
    square: dict[str, Any] = {"kind": "ids", **_square(labels)}
    return [
        Panel(name="padding", values=padding.int(), blocked=~padding, title="padding", say="padding {}", small=True,
              meaning="1 where the key is a word.", **square),
        Panel(name="causal", values=causal.int(), blocked=~causal, title="causal", sign="&", say=" & causal {}",
              small=True, meaning="1 where the key is not in the query's future.", **square),
        Panel(name="mask", values=mask.int(), blocked=~mask, sign="=", say=" = {}",
              title="your mask" if guess and not guess.reveal else "combined",
              meaning="1 where the query may attend: the key is a word, and not in its future.",
              edits=guess.edits if guess else None, marks=guess.marks if guess else None, **square),
    ]  # fmt: skip


def _tensor(given: Tensor, writer: Dialect, shown: int, mask: Tensor, labels: Mapping[str, Any]) -> Panel:
    """The tensor as it is written: of the shown sentence, or of all sentences where it has a row for each."""
    look: dict[str, Any] = {
        "name": "tensor", "kind": KINDS[writer.holds], "sign": "→", "title": f"as {writer.label} writes it",
        "meaning": f"{writer.holds} {tuple(given.shape)}: {writer.means}.",
    }  # fmt: skip
    if given.ndim > 2:
        one = given[shown].reshape(mask.shape)
        return Panel(values=one, blocked=~mask, say=", written {}", **look, **_square(labels))
    rows, columns = given.shape
    return Panel(
        values=given, blocked=given == 0, rows=[str(i + 1) for i in range(rows)],
        columns=[str(i) for i in range(columns)], axes=("sentence", "position"), links=("sentence", "key"),
        say="{}", **look,
    )  # fmt: skip


def _stages(
    state: State, batch: Batch, shown: int, answer: Tensor, added: Tensor, reader: Dialect
) -> tuple[Stages, dict[str, float]]:
    """Attention as the reader computes it, and the ends of its colour scales."""
    x, is_word = toy.embed(batch.ids[shown], seed=state.seed), batch.is_word[shown]
    projected = toy.qkv(x, seed=state.seed)
    ends = limits(run(x[is_word], answer[is_word][:, is_word], seed=state.seed))
    return Stages(first=attend_as(reader, projected, added), projected=projected), ends


def _attention(
    state: State, stages: Stages, ends: Mapping[str, float], labels: Mapping[str, Any], mask: Tensor, reader: Dialect
) -> list[Panel]:
    """What the reader adds to the scores, and what follows."""
    scores, read, _, weights = weighing(stages.first, ends, _square(labels), None)
    blocked = stages.first.bias[0, 0] <= BLOCKS
    marks = torch.zeros(mask.shape, dtype=torch.uint8)
    marks[~blocked & ~mask], marks[blocked & mask] = MISSED, EXTRA
    read = replace(read, name="read", title=f"what {reader.reader} adds", sign="+" if state.scores else "→", small=True,
                   meaning="What is added to the scores: so this library reads the tensor.", say=", adds {}",
                   marks=marks if marks.any() else None)  # fmt: skip
    before = [*(projections(stages, ends, labels) if state.qkv else []), *([scores] if state.scores else [])]
    return [*before, read, weights, *outputs(stages, ends, labels)]


def _chips(batch: Batch) -> list[Sentence]:
    """The sentences as chips; ids say nothing here, and each line less leaves more of the panels in sight."""
    return [replace(sentence, below=()) for sentence in chips(batch)]


def _square(labels: Mapping[str, Any]) -> dict[str, Any]:
    """One row a query, one column a key."""
    return {**labels, "columns": labels["rows"], "column_pads": labels["row_pads"]}
