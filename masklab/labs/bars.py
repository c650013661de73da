"""What a model expects: its best guesses as bars, with the right answer among them."""

import torch
from torch import Tensor

from masklab.corpus import VOCABULARY, Vocabulary
from masklab.panels import RIGHT, Panel

MOST = 5  # guesses, and the right answer below them if it is none of them


def guesses_panel(
    probabilities: Tensor, target: int, *, name: str, title: str, meaning: str, sign: str = "",
    vocabulary: Vocabulary = VOCABULARY,
) -> Panel:  # fmt: skip
    """The most likely tokens, and the right one, as a panel of bars. Shape: ``probabilities`` (V,).

    >>> sure = torch.nn.functional.one_hot(torch.tensor(VOCABULARY.id("fish")), len(VOCABULARY)).float()
    >>> panel = guesses_panel(sure, VOCABULARY.id("pie"), name="next", title="next word", meaning="Best guesses.")
    >>> panel.rows[0], panel.rows[-1], panel.marks.flatten().tolist()
    ('fish', 'pie', [0, 0, 0, 0, 0, 1])
    """
    shown = probabilities.topk(min(MOST, len(probabilities))).indices.tolist()
    shown += [target] * (target not in shown)
    return Panel(
        name=name, kind="probability", values=probabilities[shown, None], title=title, meaning=meaning, sign=sign,
        rows=vocabulary.decode(shown), columns=["p"], axes=("word", "probability"), say="{}",
        marks=RIGHT * (torch.tensor(shown) == target).to(torch.uint8)[:, None],
    )  # fmt: skip
