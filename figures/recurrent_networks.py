"""The pictures of lesson 02: a state that is passed on from word to word, and through the padding.

    python figures/recurrent_networks.py [folder]

writes the SVG files (beside this script, when no folder is named), and prints for
each the alt text to use in Markdown. The same data gives the same bytes.
"""

import sys
from pathlib import Path

from masklab.figures.diagrams import Arrow, Box, Diagram, Note
from masklab.figures.drawings import write

SENTENCES = (("The", "cat", "ate"), ("The", "cat", "ate", "fish", "pie"), ("The", "cat", "ate", "fish"))
PADDED = (*SENTENCES[0], "[PAD]", "[PAD]")
TAGS = ("DET", "NOUN", "VERB")
X, STEP = 56, 84  # the first column, and from one to the next
WORDS, STATES, SAID = 176, 110, 32  # how far down the words, the states and the answers are
Parts = list[Box | Arrow | Note]


def drawings() -> list[Diagram]:
    """The lesson's pictures, in its order."""
    return [classifier(), tagger(), packed(), both()]


def classifier() -> Diagram:
    """One answer for a sentence: from the state after its last word, or from one that has read the pads."""
    said: Parts = [
        Arrow(start=(at(2), STATES - 12), end=(at(2), SAID + 14), style="says"),
        Box(x=at(2), y=SAID, text="FOOD", style="made"),
        Arrow(start=(at(4), STATES - 12), end=(at(4), SAID + 14), style="leak"),
        Box(x=at(4), y=SAID, text="?", width=30),
    ]
    notes = [
        Note(x=at(4) + 46, y=SAID, text="the topic of the sentence"),
        *captions(),
    ]
    return Diagram(
        name="classifier",
        title="A recurrent classifier reads “The cat ate [PAD] [PAD]”",
        point="Five tokens, “The cat ate [PAD] [PAD]”, with a state above each. Arrows lead from each token to its "
        "state, and from each state to the next one. An arrow leads from the state after “ate” to the answer FOOD. A "
        "dashed arrow leads from the last state, which has read both pads, to a question mark.",
        size=(640, 204),
        parts=[*reader(), *said, *notes],
    )


def tagger() -> Diagram:
    """One answer for each word, and which of them count."""
    parts = reader()
    for i in range(len(PADDED)):
        word = i < len(TAGS)
        parts += [
            Arrow(start=(at(i), STATES - 12), end=(at(i), SAID + 44), style="says" if word else "reads"),
            Box(x=at(i), y=SAID + 30, text=TAGS[i] if word else "?", style="made" if word else "pad"),
            Note(x=at(i), y=SAID, text="1" if word else "0", centred=True, grey=not word),
        ]
    parts += [
        Note(x=at(4) + 46, y=SAID, text="the loss mask"),
        Note(x=at(4) + 46, y=SAID + 30, text="a tag for each token"),
        *captions(),
    ]
    return Diagram(
        name="tagger",
        title="A recurrent tagger reads “The cat ate [PAD] [PAD]”",
        point="Five tokens, “The cat ate [PAD] [PAD]”, with a state above each, which is passed on to the next. Above "
        "each state is a tag: DET, NOUN, VERB, and two question marks for the pads. The loss mask on top is 1, 1, "
        "1, 0, 0.",
        size=(640, 204),
        parts=parts,
    )


def packed() -> Diagram:
    """PackedSequence: sorted by length, a staircase, stored column by column."""
    longest_first = sorted(SENTENCES, key=len, reverse=True)
    columns = [[words[t] for words in longest_first if t < len(words)] for t in range(len(longest_first[0]))]
    parts: Parts = []
    for t, column in enumerate(columns):
        parts += [Box(x=150 + STEP * t, y=60 + 32 * i, text=word) for i, word in enumerate(column)]
        parts += [Note(x=150 + STEP * t, y=26, text=f"step {t}", centred=True)]
        parts += [Note(x=150 + STEP * t, y=162, text=str(len(column)), centred=True, grey=False)]
    for row, words in enumerate(longest_first):
        parts += [Note(x=14, y=60 + 32 * row, text=f"sentence {SENTENCES.index(words)}")]
    data = [(t, word) for t, column in enumerate(columns) for word in column]
    parts += [
        Box(x=139 + 39 * i, y=204, text=word, width=38, style="part" if t % 2 else "given")
        for i, (t, word) in enumerate(data)
    ]
    parts += [Note(x=14, y=162, text="batch_sizes"), Note(x=14, y=204, text="data")]
    return Diagram(
        name="packed",
        title="What a PackedSequence holds",
        point="Three rows of words, the longest sentence first: five, four and three words. Their right edge is a "
        "staircase; no pad is there. Below each column is the number of its words: 3, 3, 3, 2, 1. The last line has "
        "the same words column by column: The The The, cat cat cat, ate ate ate, fish fish, pie.",
        size=(620, 230),
        parts=parts,
    )


def both() -> Diagram:
    """Two directions: the second one starts in the pads."""
    there, back = 104, 56
    parts = reader(y=176, states=there)
    for i in range(len(PADDED)):
        parts += [
            Arrow(start=(at(i) + 26, 164), end=(at(i) + 10, back + 12)),
            Box(x=at(i), y=back, width=26, style="part" if i < 3 else "pad"),
        ]
        if i:
            style = "says" if i < 3 else "leak"
            parts += [Arrow(start=(at(i) - 13, back), end=(at(i - 1) + 15, back), style=style)]
    parts += [
        Note(x=at(4) + 46, y=back, text="from right to left: it starts in the pads"),
        Note(x=at(4) + 46, y=there, text="from left to right"),
        Note(x=at(1), y=22, text="every word gets a state that has read the pads"),
    ]
    return Diagram(
        name="both",
        title="Two directions, and padding on the right",
        point="Five tokens, “The cat ate [PAD] [PAD]”, with two rows of states above. In the lower row arrows lead "
        "from left to right. In the upper row they lead from right to left: dashed from the last pad to the first pad "
        "and on to “ate”, and from there on to “cat” and “The”.",
        size=(680, 204),
        parts=parts,
    )


def at(i: int) -> float:
    """The middle of a column."""
    return X + STEP * i


def reader(*, y: float = WORDS, states: float = STATES) -> Parts:
    """Tokens, a state above each, and each state passed on to the next step."""
    parts: Parts = []
    for i, token in enumerate(PADDED):
        style = "pad" if token == "[PAD]" else "given"
        parts += [
            Arrow(start=(at(i), y - 12), end=(at(i), states + 14), style="says"),
            Box(x=at(i), y=y, text=token, style=style),
            Box(x=at(i), y=states, width=26, style="part" if style == "given" else "pad"),
        ]
        if i:
            parts += [Arrow(start=(at(i - 1) + 13, states), end=(at(i) - 15, states), style="says")]
    return parts


def captions() -> Parts:
    """What the two lower rows are."""
    return [
        Note(x=at(4) + 46, y=STATES, text="the state after each step"),
        Note(x=at(4) + 46, y=WORDS, text="what is read, step by step"),
    ]


if __name__ == "__main__":
    here = Path(__file__)
    write(drawings(), Path(sys.argv[1]) if len(sys.argv) > 1 else here.parent, module=here.stem)
