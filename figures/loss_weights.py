"""The pictures of lesson 04: weights beside a mask, votes that become weights, and what a model learns to write.

    python figures/loss_weights.py [folder]

writes the SVG files (beside this script, when no folder is named), and prints for
each the alt text to use in Markdown. The same data gives the same bytes.
"""

import sys
from pathlib import Path

import torch

from masklab.figures.diagrams import Arrow, Box, Diagram, Note
from masklab.figures.drawings import Drawing, write
from masklab.losses import agreement_weights
from masklab.panels import Panel

WORDS = ("The", "cat", "ate", "fish")
TAGS = ("DET", "NOUN", "VERB")
COUNTS = ((10, 0, 0), (0, 10, 0), (0, 1, 9), (0, 6, 4))  # how many of ten people said each tag of each word
LOSSES = (0.4215, 0.5581, 0.8376, 0.8771)
TALK = ("User:", "food?", "Bot:", "The", "cat", "ate", "[END]", "[PAD]")
WRITES = range(3, 7)  # where the bot's words are
STEP, LEFT = 84, 62  # from one position to the next, and where the first one is


def drawings() -> list[Drawing | Diagram]:
    """The lesson's pictures, in its order."""
    return [idea(), votes(), completion()]


def agreement() -> torch.Tensor:
    """The weight of each word: the share of the votes that its label got. Shape: (4,)."""
    said = [[tag for tag, n in enumerate(row) for _ in range(n)] for row in COUNTS]
    return agreement_weights(torch.tensor([said]))[1][0]


def idea() -> Diagram:
    """A mask and weights above the same losses, and the one number."""
    weights = [f"{weight:.1f}".replace(".0", "") for weight in agreement().tolist()] + ["0"]
    parts: list[Box | Arrow | Note] = []
    for i, word in enumerate((*WORDS, "[PAD]")):
        x, is_word = LEFT + STEP * i, i < len(WORDS)
        parts += [
            Box(x=x, y=226, text=word, style="given" if is_word else "pad"),
            Arrow(start=(x, 213), end=(x, 192), style="says"),
            Box(x=x, y=178, text=f"{LOSSES[i]:.3f}" if is_word else "?", style="given" if is_word else "pad"),
            Note(x=x, y=146, text="1" if is_word else "0", centred=True, grey=not is_word),
            Box(x=x, y=114, text=weights[i], style="part" if is_word else "pad"),
        ]
        if is_word:
            parts += [Arrow(start=(x, 101), end=(LEFT + 1.5 * STEP, 54), style="reads")]
    right = LEFT + 4.6 * STEP
    total = agreement().sum().item()
    parts += [
        Box(x=LEFT + 1.5 * STEP, y=40, width=250, text=f"sum of weights × losses ÷ {total:.1f}", style="made"),
        Note(x=right, y=226, text="the words"),
        Note(x=right, y=178, text="a loss for each"),
        Note(x=right, y=146, text="a mask"),
        Note(x=right, y=114, text="weights"),
        Note(x=right, y=40, text=f"{total:.1f} is the sum of the weights"),
    ]
    return Diagram(
        name="idea",
        title="From a mask to weights",
        point="The words “The cat ate fish [PAD]”, and above each of them a loss. Above the losses is a mask of 1, "
        "1, 1, 1, 0, and above the mask weights of 1, 1, 0.9, 0.6 and 0. Lines lead from the weights of the four words "
        "to one number: the sum of weights times losses, divided by 3.5, the sum of the weights.",
        size=(640, 248),
        parts=parts,
    )


def votes() -> Drawing:
    """How often each tag was named, and the share of the winner."""
    counts, weights = torch.tensor(COUNTS), agreement()[:, None]
    labelled = [f"{word}: {TAGS[i]}" for word, i in zip(WORDS, counts.argmax(dim=1).tolist(), strict=True)]
    return Drawing(
        name="votes",
        title="Ten people, one label",
        point="The most votes make the label, and their share makes the weight.",
        panels=[
            Panel(
                name="votes", kind="ids", values=counts, rows=WORDS, columns=TAGS, title="votes",
                axes=("word", "tag"), meaning="How many of ten people said this tag.",
            ),
            Panel(
                name="weight", kind="weight", values=weights, rows=labelled, columns=("",), sign="→",
                title="label and weight", axes=("word: label", "weight"), limit=1.0,
                meaning="The share of the votes that the label got.",
            ),
        ],
    )  # fmt: skip


def completion() -> Diagram:
    """Each position predicts the next token; those that the bot writes count."""
    who = ("the program", "the user", "the program", *["the bot"] * 4, "nobody")
    parts: list[Box | Arrow | Note] = []
    for i, token in enumerate(TALK):
        x = LEFT + STEP * i
        parts += [
            Box(x=x, y=120, text=token, style="pad" if token == "[PAD]" else "given"),
            Note(x=x, y=150, text=who[i], centred=True, grey=i not in WRITES),
        ]
        if i + 1 < len(TALK):
            counts = i + 1 in WRITES
            parts += [
                Arrow(start=(x, 107), end=(x, 74), style="says" if counts else "reads"),
                Box(x=x, y=60, text=TALK[i + 1], style="made" if counts else "pad"),
                Note(x=x, y=26, text="1" if counts else "0", centred=True, grey=not counts),
            ]
    right = LEFT + STEP * 7.6
    parts += [
        Note(x=right - 40, y=26, text="counts"),
        Note(x=right - 40, y=60, text="the label"),
        Note(x=right, y=120, text="position"),
        Note(x=right, y=150, text="written by"),
    ]
    return Diagram(
        name="completion",
        title="What a chat model learns to write",
        point="The tokens “User: food? Bot: The cat ate [END] [PAD]”, with the next token above each of them as its "
        "label. The labels The, cat, ate and [END] are written by the bot, and count. “The” is predicted at “Bot:”, "
        "the last position of the prompt. The labels food?, Bot: and [PAD] don't count.",
        size=(790, 172),
        parts=parts,
    )


if __name__ == "__main__":
    here = Path(__file__)
    write(drawings(), Path(sys.argv[1]) if len(sys.argv) > 1 else here.parent, module=here.stem)
