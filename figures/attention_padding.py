"""The pictures of lesson 05, drawn from the lab's own panels.

    python figures/attention_padding.py [folder]

writes the SVG files (beside this script, when no folder is named), and prints for
each the alt text to use in Markdown. The same data gives the same bytes.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from masklab.figures.drawings import Drawing, transposed, write
from masklab.labs.attention_padding import State, draw
from masklab.labs.sentences import SENTENCES
from masklab.panels import Panel

FIRST = "“The cat ate [PAD] [PAD]”"


def drawings() -> list[Drawing]:
    """The lesson's pictures, in its order."""
    usual = stages()
    return [scores(usual), two_masks(), batch(), adding(usual), softmax(usual), output(usual)]


def stages(**changes) -> dict[str, Panel]:
    """The panels of the lab by name, Q, K and V among them; keywords change its state."""
    return {panel.name: panel for panel in draw(State(qkv=True, **changes)).panels}


def scores(panels: Mapping[str, Panel]) -> Drawing:
    """Q × Kᵀ ÷ √d = scores, before any mask."""
    return Drawing(
        name="scores",
        title=f"Attention scores of {FIRST}",
        point="Every query is compared with every key, and so with the padding too: "
        "the grey rows and columns mean nothing.",
        panels=[panels["Q"], replace(transposed(panels["K"]), sign="×"), replace(panels["scores"], sign="÷ √d =")],
    )


def two_masks() -> Drawing:
    """The mask that comes to mind first, beside the one that models use."""
    first = "Blocks every cell with a [PAD] in its row or its column: two rows are fully masked."
    usual = "Blocks the columns of [PAD] only: no word looks at padding, and no row is fully masked."
    return Drawing(
        name="two_masks",
        title=f"Two padding masks for {FIRST}",
        point="On the left the mask that comes to mind first, on the right the one that models use.",
        panels=[
            replace(stages(mask="both")["mask"], title="rows and columns", meaning=first, sign=""),
            replace(stages()["mask"], title="columns only", meaning=usual, sign=""),
        ],
    )


def batch() -> Drawing:
    """One mask a sentence."""
    masks = [stages(shown=i)["mask"] for i in range(len(SENTENCES))]
    return Drawing(
        name="batch",
        title="One mask for each sentence of the batch",
        point="Together the masks are one tensor of size B × L × L = 3 × 5 × 5.",
        panels=[
            replace(mask, title=f"sentence {i + 1}", meaning=f"“{sentence}”: {blocked_columns(mask)}.", sign="")
            for i, (mask, sentence) in enumerate(zip(masks, SENTENCES, strict=True))
        ],
    )


def adding(panels: Mapping[str, Panel]) -> Drawing:
    """Scores + mask = masked scores."""
    return Drawing(
        name="adding",
        title=f"Applying the padding mask of {FIRST}",
        point="A mask is applied by adding it to the scores.",
        panels=[panels["scores"], panels["mask"], panels["masked"]],
    )


def softmax(panels: Mapping[str, Panel]) -> Drawing:
    """Masked scores, softmax, weights."""
    return Drawing(
        name="softmax",
        title=f"From masked scores to attention weights for {FIRST}",
        point="Softmax turns each row into weights: the words share everything, the padding gets nothing.",
        panels=[panels["masked"], panels["weights"]],
    )


def output(panels: Mapping[str, Panel]) -> Drawing:
    """Weights × V = output."""
    return Drawing(
        name="output",
        title=f"From attention weights to the output for {FIRST}",
        point="The vectors of [PAD] are multiplied by 0, so they add nothing to any output; "
        "the rows of [PAD] still get an output.",
        panels=[panels["weights"], replace(panels["V"], sign="×"), replace(panels["output"], sign="=")],
    )


def blocked_columns(mask: Panel) -> str:
    """How many columns of a mask are blocked, in words."""
    count = int(mask.blocked.all(dim=0).sum())
    words = {0: "no column is blocked", 1: "the last column is blocked"}
    return words.get(count, f"the last {count} columns are blocked")


if __name__ == "__main__":
    here = Path(__file__)
    write(drawings(), Path(sys.argv[1]) if len(sys.argv) > 1 else here.parent, module=here.stem)
