"""The pictures of lesson 07: two rules and what both allow, attention under it, and three answers to an empty row.

    python figures/combined_masks.py [folder]

writes the SVG files (beside this script, when no folder is named), and prints for
each the alt text to use in Markdown. The same data gives the same bytes.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from masklab import masks
from masklab.figures.drawings import Drawing, write
from masklab.labs.combined_masks import State, draw
from masklab.labs.sentences import SENTENCES, batch_of
from masklab.labs.stages import AttentionState, attention_picture
from masklab.masks import Rule
from masklab.panels import Panel

SOURCE, TARGET = ["The", "cat", "ate", "[PAD]"], ["[BOS]", "Die", "Katze", "aß", "[PAD]"]
NAMED = {"right": "“The cat ate [PAD] [PAD]”", "left": "“[PAD] [PAD] The cat ate”"}


def drawings() -> list[Drawing]:
    """The lesson's pictures, in its order."""
    usual = stages()
    return [right(), adding(usual), output(usual), left(), three_answers(), three_masks()]


def right() -> Drawing:
    """Padding & causal, with the padding on the right."""
    return Drawing(
        name="right",
        title=f"Padding and causal mask of {NAMED['right']}, combined",
        point="A cell stays open where both masks are open: here each row keeps at least one.",
        panels=combining("right"),
    )


def left() -> Drawing:
    """Padding & causal, with the padding on the left."""
    return Drawing(
        name="left",
        title=f"Padding and causal mask of {NAMED['left']}, combined",
        point="With the padding on the left, nothing is left open in the rows of the padding.",
        panels=combining("left"),
    )


def adding(panels: dict[str, Panel]) -> Drawing:
    """Scores + mask = masked scores."""
    return Drawing(
        name="adding",
        title=f"Applying the combined mask of {NAMED['right']}",
        point="The combined mask becomes a bias once, and is added to the scores.",
        panels=[panels["scores"], panels["mask"], panels["masked"]],
    )


def output(panels: dict[str, Panel]) -> Drawing:
    """Weights × V = output."""
    return Drawing(
        name="output",
        title=f"From the weights to the output for {NAMED['right']}",
        point="Each row of weights sums to one and mixes only the words up to its own; the padding adds nothing.",
        panels=[
            replace(panels["weights"], sign=""),
            replace(panels["V"], sign="×"),
            replace(panels["output"], sign="="),
        ],
    )


def three_answers() -> Drawing:
    """The weights under the same mask in three libraries, which differ in the fully masked rows."""
    readers = {
        "sdpa": ("scaled_dot_product_attention", "Zeros where no key is left."),
        "eager": ("finfo.min for −∞", "Uniform: even the future."),
        "mha": ("nn.MultiheadAttention", "NaN: 0/0."),
    }
    bare = {"sign": "", "blocked": None, "row_notes": (), "notes_title": ""}
    return Drawing(
        name="three_answers",
        title=f"The weights of {NAMED['left']} in three libraries",
        point="The rows of the words are the same. In the two fully masked rows each library has another answer.",
        panels=[
            replace(lab_panels(written=name)["weights"], title=title, meaning=meaning, **bare)
            for name, (title, meaning) in readers.items()
        ],
    )


def three_masks() -> Drawing:
    """The masks of an encoder–decoder."""
    lengths = torch.tensor([3]), torch.tensor([4])
    made = masks.encoder_decoder(*lengths, source_total=len(SOURCE), target_total=len(TARGET))
    return Drawing(
        name="three_masks",
        title=f"The three masks of a translator that reads “{' '.join(SOURCE)}” and writes “{' '.join(TARGET)}”",
        point="In each of them the padding that is blocked is that of the keys.",
        panels=[
            rule_panel(made.source, SOURCE, SOURCE, title="encoder", meaning="Source asks source."),
            rule_panel(made.target, TARGET, TARGET, title="decoder", meaning="Target asks target, and its past only."),
            rule_panel(made.cross, TARGET, SOURCE, title="cross", meaning="Target asks source."),
        ],
    )


def combining(side: str) -> list[Panel]:
    """The lab's two rules for its first sentence, and what both allow."""
    panels = lab_panels(side=side)
    return [panels[name] for name in ("padding", "causal", "mask")]


def rule_panel(rule: Rule, queries: Sequence[str], keys: Sequence[str] | None = None, **words: str) -> Panel:
    """A mask as 1 (may attend) and 0, for the first sentence of those it knows."""
    keys = queries if keys is None else keys
    mask = rule.tensor(queries=len(queries), keys=len(keys))[0, 0]
    return Panel(
        name=words["title"], kind="ids", values=mask.int(), blocked=~mask, rows=queries, columns=keys,
        row_pads=[token == "[PAD]" for token in queries], column_pads=[token == "[PAD]" for token in keys], **words,
    )  # fmt: skip


def lab_panels(**changes) -> dict[str, Panel]:
    """The panels of the lab by name; keywords change its state."""
    return {panel.name: panel for panel in draw(State(**changes)).panels}


def stages() -> dict[str, Panel]:
    """Attention of “The cat ate [PAD] [PAD]” under padding & causal, each stage by its name, masked scores included."""
    batch = batch_of(SENTENCES)
    rule = masks.causal() & masks.padding(batch.lengths, total=5)
    picture = attention_picture(AttentionState(qkv=True), batch, rule.tensor(queries=5, keys=5), remark=lambda used: "")
    return {panel.name: panel for panel in picture.panels}


if __name__ == "__main__":
    here = Path(__file__)
    write(drawings(), Path(sys.argv[1]) if len(sys.argv) > 1 else here.parent, module=here.stem)
