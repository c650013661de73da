"""What a check found: a sign, a sentence, and a picture of the difference."""

from collections.abc import Sequence
from dataclasses import dataclass

from masklab.panels import Panel

SIGNS = {"right": "✓", "open": "○", "wrong": "✗"}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a check found: a sign and a sentence, and the panels that show the difference.

    ``state`` is "right", "open" (not attempted yet) or "wrong"; ``misconception`` names a wrong
    answer that the check knows, ``note`` a right one that has a limit.

    >>> Verdict(exercise="word_mask", state="wrong", message="inverted. Here True means a word.")
    ✗ word_mask: inverted. Here True means a word.
    """

    exercise: str
    state: str
    message: str
    misconception: str = ""
    note: str = ""
    panels: Sequence[Panel] = ()

    def __repr__(self) -> str:
        """The sign, the name of the exercise and the sentence."""
        return f"{SIGNS[self.state]} {self.exercise}: {self.message}"

    def _ipython_display_(self) -> None:
        """Print the sentence, so that it is text for everyone, then draw the difference."""
        print(self)
        if self.panels:
            from IPython.display import Image, display  # only a notebook needs them

            from masklab import figures

            display(Image(figures.png(self.panels), alt=f"{self}: {figures.alt(self.panels)}"))
