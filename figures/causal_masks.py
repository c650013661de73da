"""The pictures of lesson 06: who reads what, and attention under a causal mask.

    python figures/causal_masks.py [folder]

writes the SVG files (beside this script, when no folder is named), and prints for
each the alt text to use in Markdown. The same data gives the same bytes.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from masklab import masks
from masklab.figures.diagrams import Arrow, Box, Diagram, Note
from masklab.figures.drawings import Drawing, transposed, write
from masklab.labs.sentences import batch_of
from masklab.labs.stages import AttentionState, attention_picture
from masklab.panels import Panel

SENTENCE = "The cat ate fish pie"
WORDS = tuple(SENTENCE.split())
QUOTED = f"“{SENTENCE}”"
STEP, RISE = 74, 92  # from one word to the next, and from the words that are read to what comes out


def drawings() -> list[Drawing | Diagram]:
    """The lesson's pictures, in its order."""
    usual = stages()
    return [
        encoder_decoder(), decoder_only(), writing(), training(),
        scores(usual), mask(usual), adding(usual), softmax(usual), output(usual),
    ]  # fmt: skip


# --- Who reads what --------------------------------------------------------------------------------------------------


def encoder_decoder() -> Diagram:
    """The first Transformer: one half reads the source, the other writes."""
    source = reader(("The", "cat", "ate"), x=60, y=190, sees=lambda query, key: True)
    target = reader(("[BOS]", "Die", "Katze"), ("Die", "Katze", "fraß"), x=520, y=190, sees=earlier)
    cross = [Arrow(start=(60 + 2 * STEP + 40, 98), end=(520 - 42, 98), style="says")]
    notes = [
        Note(x=60 + STEP, y=226, text="the source", centred=True),
        Note(x=60 + STEP, y=60, text="Encoder", centred=True, grey=False),
        Note(x=60 + STEP, y=250, text="Each word sees every word.", centred=True),
        Note(x=520 + STEP, y=226, text="the translation so far", centred=True),
        Note(x=520 + STEP, y=18, text="Decoder", centred=True, grey=False),
        Note(x=520 + STEP, y=250, text="Each word sees itself and what came before.", centred=True),
        Note(x=364, y=80, text="cross-attention", centred=True),
        Note(x=364, y=116, text="each target word sees", centred=True),
        Note(x=364, y=132, text="the whole source", centred=True),
    ]
    return Diagram(
        name="encoder_decoder",
        title="An encoder and a decoder",
        point="On the left the encoder reads “The cat ate”, and lines lead from every word to every word. On the right "
        "the decoder reads “[BOS] Die Katze” and says “Die Katze fraß”. There lines lead from each word only to itself "
        "and to later words. An arrow, the cross-attention, goes from the encoder to the decoder.",
        size=(780, 268),
        parts=[*source, *target, *cross, *notes],
    )


def decoder_only() -> Diagram:
    """GPT and its like: one text, the prompt and what follows it."""
    parts = reader(WORDS[:4], WORDS[1:], x=60, y=174, sees=earlier, made=(3,))
    notes = [
        Note(x=60 + STEP, y=208, text="the prompt", centred=True),
        Note(x=60 + 3 * STEP, y=208, text="written", centred=True),
        Note(x=60 + 4 * STEP, y=174, text="Each word sees itself and what came before."),
        Note(x=60 + 4 * STEP, y=30, text="Each position says which word comes next."),
    ]
    return Diagram(
        name="decoder_only",
        title="A decoder alone",
        point="One row of words, “The cat ate” as the prompt and “fish”, which the model wrote. Lines lead from each "
        "word only to itself and to later words. Above each word stands the next one: cat, ate, fish, pie.",
        size=(690, 226),
        parts=[*parts, *notes],
    )


def writing() -> Diagram:
    """Inference: each step reads a longer text, and says one word."""
    parts: list[Box | Arrow | Note] = []
    for i, said in enumerate(("fish", "pie", "[EOS]")):
        y, known = 24 + 44 * i, 3 + i
        parts += [
            Box(x=60 + STEP * j, y=y, text=word, style="made" if j > 2 else "given")
            for j, word in enumerate(WORDS[:known])
        ]
        end = 60 + STEP * known
        parts += [Arrow(start=(end - 40, y), end=(end + 22, y), style="says")]
        parts += [Box(x=end + 56, y=y, text=said, style="made")]
    notes = [Note(x=580, y=24 + 44 * i, text=f"run {i + 1}") for i in range(3)]
    return Diagram(
        name="writing",
        title="Writing: one word at a time",
        point="Three runs. The first reads “The cat ate” and says “fish”. The second reads “The cat ate fish” and says "
        "“pie”. The third reads “The cat ate fish pie” and says “[EOS]”.",
        size=(650, 136),
        parts=[*parts, *notes],
    )


def training() -> Diagram:
    """Training: all positions in one run, and the word that must not be seen."""
    parts = reader(WORDS, (*WORDS[1:], "[EOS]"), x=60, y=180, sees=earlier)
    leak = [
        Arrow(start=(60 + 3 * STEP, 168), end=(60 + 2 * STEP + 13, 100), style="leak"),
        Arrow(start=(60 + 5 * STEP, 105), end=(60 + 5 * STEP + 30, 105), style="leak"),
    ]
    notes = [
        Note(x=60 + 5 * STEP, y=180, text="read, all at once"),
        Note(x=60 + 5 * STEP, y=30, text="to be said: the next word"),
        Note(x=98 + 5 * STEP, y=97, text="the leak: “ate” must say “fish”,", grey=False),
        Note(x=98 + 5 * STEP, y=114, text="and “fish” is in the input", grey=False),
    ]
    return Diagram(
        name="training",
        title="Training: all words at once",
        point="One run reads the whole sentence “The cat ate fish pie”. Above each word stands the one that it must "
        "say: cat, ate, fish, pie, [EOS]. Lines lead from each word to itself and to later words. A dashed arrow, the "
        "leak, leads back: from “fish” in the input to the position of “ate”, which must say “fish”.",
        size=(720, 204),
        parts=[*parts, *leak, *notes],
    )


def reader(
    words: Sequence[str],
    said: Sequence[str] = (),
    *,
    x: float,
    y: float,
    sees: Callable[[int, int], bool],
    made: Sequence[int] = (),
) -> list[Box | Arrow | Note]:
    """Words, a vector above each, lines between those that see each other, and on top what each position says."""
    top, parts = y - RISE, []
    for i, word in enumerate(words):
        at = x + STEP * i
        parts += [Arrow(start=(x + STEP * j, y - 12), end=(at, top + 12)) for j in range(len(words)) if sees(i, j)]
        parts += [Box(x=at, y=y, text=word, style="made" if i in made else "given")]
        parts += [Box(x=at, y=top, width=26, style="part")]
    for i, word in enumerate(said):
        at = x + STEP * i
        parts += [
            Arrow(start=(at, top - 12), end=(at, top - 38), style="says"),
            Box(x=at, y=top - 52, text=word, style="made"),
        ]
    return parts


def earlier(query: int, key: int) -> bool:
    """Whether a key is not after the query."""
    return key <= query


# --- Attention under the mask ----------------------------------------------------------------------------------------


def stages() -> dict[str, Panel]:
    """All panels of attention for the sentence under the causal mask, by name."""
    state, batch = AttentionState(sentences=(SENTENCE,), qkv=True), batch_of([SENTENCE])
    causal = masks.causal().tensor(queries=len(WORDS), keys=len(WORDS))
    return {panel.name: panel for panel in attention_picture(state, batch, causal, remark=lambda used: "").panels}


def scores(panels: Mapping[str, Panel]) -> Drawing:
    """Q × Kᵀ ÷ √d = scores, before any mask."""
    return Drawing(
        name="scores",
        title=f"Attention scores of {QUOTED}",
        point="Every query is compared with every key, and so with the words that come later, too.",
        panels=[panels["Q"], replace(transposed(panels["K"]), sign="×"), replace(panels["scores"], sign="÷ √d =")],
    )


def mask(panels: Mapping[str, Panel]) -> Drawing:
    """`full` blocks everything, `triu` keeps the upper triangle of that."""
    usual = panels["mask"]
    full = torch.full((len(WORDS), len(WORDS)), -torch.inf)
    return Drawing(
        name="mask",
        title="The causal mask in two steps",
        point="First everything is blocked, then only what is above the diagonal: the words that come later.",
        panels=[
            replace(usual, title="full(−∞)", values=full, blocked=full < 0, sign="", meaning="Everything is blocked."),
            replace(
                usual, title="A_causal", sign="triu →",
                meaning="0 on the diagonal and below it: a word sees itself and what came before.",
            ),
        ],
    )  # fmt: skip


def adding(panels: Mapping[str, Panel]) -> Drawing:
    """Scores + mask = masked scores."""
    return Drawing(
        name="adding",
        title=f"Applying the causal mask to {QUOTED}",
        point="A mask is applied by adding it to the scores.",
        panels=[panels["scores"], panels["mask"], panels["masked"]],
    )


def softmax(panels: Mapping[str, Panel]) -> Drawing:
    """Masked scores, softmax, weights."""
    return Drawing(
        name="softmax",
        title=f"From masked scores to attention weights for {QUOTED}",
        point="Softmax turns each row into weights: each word shares its attention among itself and the words before.",
        panels=[panels["masked"], panels["weights"]],
    )


def output(panels: Mapping[str, Panel]) -> Drawing:
    """Weights × V = output."""
    return Drawing(
        name="output",
        title=f"From attention weights to the output for {QUOTED}",
        point="The output for “ate” is made from the value vectors of “The”, “cat” and “ate”, and of no later word.",
        panels=[panels["weights"], replace(panels["V"], sign="×"), replace(panels["output"], sign="=")],
    )


if __name__ == "__main__":
    here = Path(__file__)
    write(drawings(), Path(sys.argv[1]) if len(sys.argv) > 1 else here.parent, module=here.stem)
