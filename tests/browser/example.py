"""A picture for the view's tests: attention with padding, in the state that shows the point."""

import math
from dataclasses import replace

import torch

from masklab.attention import attend
from masklab.panels import EXTRA, MISSED, NOT_MARKED, RIGHT, Edit, Panel, Picture, Sentence
from masklab.text import make_batch, vectors

RUNNING = ["The cat ate", "The cat ate fish pie", "The cat ate fish"]
STATE = {"sentences": RUNNING, "shown": 0, "side": "right", "pad": 1.0, "seed": 0, "predict": False, "painted": []}
CONTROLS = [
    {"type": "sentences", "name": "sentences", "label": "sentences", "max": 6},
    {"type": "choice", "name": "side", "label": "pads on the", "options": [["left", "left"], ["right", "right"]]},
    {"type": "choice", "name": "mask", "label": "mask",
     "options": [["none", "none"], ["columns", "columns"], ["both", "rows and columns"]]},
    {"type": "slider", "name": "pad", "label": "[PAD]'s embedding", "min": -3, "max": 3, "step": 0.1},
    {"type": "number", "name": "seed", "label": "seed", "min": 0, "max": 99, "step": 1},
    {"type": "toggle", "name": "predict", "label": "predict first", "sets": {"painted": []}},
    {"type": "button", "name": "reveal", "label": "reveal", "when": "predict", "sets": {"predict": False}},
    {"type": "button", "name": "reset", "label": "reset", "sets": STATE},
]  # fmt: skip


# What the lab of lesson 05 shows at first sight: no panel of ids, and what is rarely used behind "More".
LAB_STATE = {"sentences": RUNNING, "shown": 0, "side": "right", "mask": "columns", "layers": 1, "pad": 1.0, "seed": 1}
LAB_CONTROLS = [
    {"type": "button", "name": "reset", "label": "Reset", "sets": LAB_STATE},
    {"type": "sentences", "name": "sentences", "label": "Sentences", "max": 6},
    {"type": "choice", "name": "mask", "label": "Mask",
     "options": [["none", "no mask"], ["columns", "mask columns"], ["both", "mask rows and columns"]]},
    {"type": "choice", "name": "side", "label": "Padding side", "options": [["right", "right"], ["left", "left"]]},
    {"type": "choice", "name": "layers", "label": "Layers", "options": [[1, "1"], [2, "2"]]},
    {"type": "slider", "name": "pad", "label": "Embedding of [PAD]", "min": -3, "max": 3, "step": 0.1,
     "help": "Drag it, and watch the words' outputs."},
    {"type": "toggle", "name": "predict", "label": "Predict first",
     "help": "Paint what should be blocked, then reveal."},
    {"type": "number", "name": "seed", "label": "Seed", "min": 0, "max": 999, "step": 1, "more": True},
    {"type": "toggle", "name": "qkv", "label": "Show Q, K and V", "more": True},
    {"type": "toggle", "name": "text", "label": "Show as text", "more": True},
]  # fmt: skip


def lab_picture(**parts):
    """The panels of `attention_picture` but the ids, which stand under the chips."""
    whole = attention_picture(**parts)
    sentences = [replace(one, below=[str(i + 1) for i in range(len(one.tokens))]) for one in whole.sentences]
    return replace(whole, panels=whole.panels[1:], sentences=sentences)


def attention_picture(*, words=3, total=5, seed=0, mode="columns", predict=False, painted=(), judged=False, **parts):
    """Five panels of one padded sentence, as the lab of lesson 05 shows them."""
    sentences = RUNNING if total == 5 else ["w " * words, "w " * total]
    batch = make_batch(sentences)
    tokens, mask = batch.tokens[0], batch.is_word[0]
    q, k, v = (vectors(torch.arange(total) * 3 + i, dim=4, seed=seed)[None, None] for i in range(3))
    allowed = {"columns": mask[None, :].expand(total, total), "both": mask[None, :] & mask[:, None],
               "none": torch.ones(total, total, dtype=torch.bool)}[mode]  # fmt: skip
    truth = ~allowed
    blocked = torch.zeros_like(truth)
    for r, c in painted:
        blocked[r, c] = True
    blocked = blocked if predict else truth
    stage = attend(q, k, v, ~blocked[None, None], on_empty="nan" if mode == "both" else "zeros")
    pads = (~mask).tolist()
    edit = {"edits": Edit("painted", cells=painted)} if predict else {}
    two = {"rows": tokens, "columns": tokens, "row_pads": pads, "column_pads": pads}
    marks = torch.full(truth.shape, NOT_MARKED, dtype=torch.uint8)
    if judged:
        marks[truth] = RIGHT
        marks[0, 3], marks[2, 1] = MISSED, EXTRA
    panels = [
        Panel(name="ids", kind="ids", values=batch.ids, rows=[str(i + 1) for i in range(len(sentences))],
              columns=[str(i + 1) for i in range(total)], title="ids", meaning="One number a word; 0 is padding.",
              axes=("sentence", "position"), links=("sentence", "key"), say="id {}", blocked=None),
        Panel(name="scores", kind="score", values=stage.scores[0, 0], title="scores", sign="→",
              meaning="QKᵀ/√d: how well each query fits each key.", say="score {}", **two),
        Panel(name="mask", kind="mask", values=stage.bias[0, 0], title="mask", sign="+", blocked=blocked, marks=marks,
              meaning="0 where the query may attend, −∞ where it may not.", **edit, **two),
        Panel(name="masked", kind="score", values=stage.masked[0, 0], title="masked scores", sign="=", blocked=blocked,
              meaning="−∞ stays −∞.", say=" → {}", **two),
        Panel(name="weights", kind="weight", values=stage.weights[0, 0], title="weights", sign="softmax →",
              blocked=blocked, meaning="Each row sums to 1.", say=", weight {}", notes_title="sum",
              row_notes=[f"{x:.2f}" for x in stage.weights[0, 0].sum(-1).tolist()], **two),
        Panel(name="output", kind="output", values=stage.output[0, 0], title="output", sign="× V →",
              meaning="The weighted mean of the values.", axes=("query", "feature"), rows=tokens,
              columns=["1", "2", "3", "4"], row_pads=pads, say="output {}"),
    ]  # fmt: skip
    shown = [Sentence(tokens=t, pads=(~m).tolist(), note=f"{int(m.sum())} of {total} are words")
             for t, m in zip(batch.tokens, batch.is_word, strict=True)]  # fmt: skip
    return Picture(panels=panels, sentences=shown, **parts)


def one_panel(values, *, kind="score", name="one", **parts):
    """A picture of a single panel with plain labels."""
    values = torch.as_tensor(values, dtype=torch.float32)
    rows, columns = values.shape
    defaults = {"rows": [f"r{i}" for i in range(rows)], "columns": [f"c{i}" for i in range(columns)],
                "title": name, "meaning": "a test", "say": "value {}"}  # fmt: skip
    return Picture(panels=[Panel(name=name, kind=kind, values=values, **{**defaults, **parts})])


SPECIAL = [[math.nan, math.inf, -math.inf], [0.0, -0.0, 1.0]]
