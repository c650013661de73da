"""The pictures of lesson 03: which outputs are read, the fates of chosen words, and T5's blanks.

    python figures/masked_language_models.py [folder]

writes the SVG files (beside this script, when no folder is named), and prints for
each the alt text to use in Markdown. The same data gives the same bytes.
"""

import sys
from pathlib import Path

from masklab.figures.diagrams import Arrow, Box, Diagram, Note
from masklab.figures.drawings import write

SENTENCE = ("The", "cat", "ate", "fish", "pie")
BLANKS = (1, 4)  # hidden in the first picture, as in the source: "the [MASK] ate fish [MASK]"
FATES = {1: "[MASK]", 3: "door", 4: "pie"}  # a word of each fate: masked, random, unchanged
SPANS, SENTINELS = ((1, 2), (4,)), ("<0>", "<1>")  # what T5 takes out, and what it puts there
X, STEP = 56, 84  # the first column, and from one to the next
Parts = list[Box | Arrow | Note]


def drawings() -> list[Diagram]:
    """The lesson's pictures, in its order."""
    return [idea(), fates(), t5()]


def idea() -> Diagram:
    """A model reads a sentence with blanks; only the outputs at the blanks are read."""
    middle = at(2)
    parts: Parts = [Box(x=middle, y=150, width=5 * STEP - 10, text="a model that reads both sides", style="part")]
    for i, word in enumerate(SENTENCE):
        hidden = i in BLANKS
        parts += [
            Box(x=at(i), y=208, text="[MASK]" if hidden else word),
            Arrow(start=(at(i), 195), end=(at(i), 164), style="says"),
            Arrow(start=(at(i), 137), end=(at(i), 106), style="says"),
            Box(x=at(i), y=92, text=word if hidden else "✗", style="made" if hidden else "pad"),
            Note(x=at(i), y=234, text=str(i), centred=True),
        ]
        if hidden:
            parts += [Arrow(start=(at(i), 79), end=(middle, 42), style="reads")]
    parts += [
        Box(x=middle, y=30, width=70, text="loss", style="made"),
        Note(x=at(4) + 46, y=92, text="one output for each token"),
        Note(x=at(4) + 46, y=208, text="what the model reads"),
        Note(x=at(4) + 46, y=234, text="position"),
    ]
    return Diagram(
        name="idea",
        title="Which outputs are read",
        point="Five tokens, “The [MASK] ate fish [MASK]”, go into a box, a model that reads both sides. Above it there "
        "is an output at each position. The outputs at 1 and 4, “cat” and “pie”, lead to the loss. The other three are "
        "crossed out.",
        size=(640, 250),
        parts=parts,
    )


def fates() -> Diagram:
    """Three chosen words, each with another fate: what the model reads, its labels, and two loss masks."""
    rows = {
        "the sentence": list(SENTENCE),
        "the choice = the loss mask": [str(int(i in FATES)) for i in range(5)],
        "what the model reads": [FATES.get(i, word) for i, word in enumerate(SENTENCE)],
        "the labels": [word if i in FATES else "−100" for i, word in enumerate(SENTENCE)],
        "input == [MASK]": [str(int(FATES.get(i) == "[MASK]")) for i in range(5)],
    }
    parts: Parts = []
    for row, (name, texts) in enumerate(rows.items()):
        y = 26 + 38 * row
        parts += [Note(x=at(4) + 46, y=y, text=name + (": misses 2 of 3" if "==" in name else ""))]
        for i, text in enumerate(texts):
            style = "made" if i in FATES and row else "given"
            parts += [Box(x=at(i), y=y, text=text, style="pad" if style == "made" and text == "0" else style)]
    return Diagram(
        name="fates",
        title="Three fates of a chosen word",
        point="“The cat ate fish pie”: cat, fish and pie are chosen. The model reads “The [MASK] ate door pie”: cat is "
        "masked, fish is swapped for a random word, pie is left as it is. The labels are −100, cat, −100, fish, pie. "
        "The choice is 0 1 0 1 1, and input == [MASK] is 0 1 0 0 0: it misses two of three.",
        size=(660, 204),
        parts=parts,
    )


def t5() -> Diagram:
    """Spans leave the sentence, a sentinel stands for each, and the target says what it was."""
    input_, target = ("The", "<0>", "fish", "<1>"), ("<0>", "cat", "ate", "<1>", "pie")
    parts: Parts = [
        Box(x=at(i), y=28, text=word, style="made" if i in sum(SPANS, ()) else "given")
        for i, word in enumerate(SENTENCE)
    ]
    for y, texts, columns in ((86, input_, (0, 1.5, 3, 4)), (144, target, range(5))):
        for text, i in zip(texts, columns, strict=True):
            width = STEP + 60 if i == 1.5 else 60  # as wide as the span that it stands for
            style = "part" if text in SENTINELS else "made" if y == 144 else "given"
            parts += [Box(x=at(i), y=y, text=text, width=width, style=style)]
    parts += [
        Arrow(start=(at(i), 41), end=(at(j), 73), style="says") for i, j in ((0, 0), (1, 1.3), (2, 1.7), (3, 3), (4, 4))
    ]
    names = {28: "the sentence, three words chosen", 86: "input: a sentinel for each span", 144: "target"}
    parts += [Note(x=at(4) + 46, y=y, text=text) for y, text in names.items()]
    return Diagram(
        name="t5",
        title="T5: sentinels",
        point="“The cat ate fish pie”: “cat ate” and “pie” are chosen, two spans. The input is “The <0> fish <1>”, one "
        "sentinel for each span. The target is “<0> cat ate <1> pie”.",
        size=(660, 166),
        parts=parts,
    )


def at(i: float) -> float:
    """The middle of a column."""
    return X + STEP * i


if __name__ == "__main__":
    here = Path(__file__)
    write(drawings(), Path(sys.argv[1]) if len(sys.argv) > 1 else here.parent, module=here.stem)
