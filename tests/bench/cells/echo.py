"""The floor: what is typed comes back from the kernel as a label, and nothing else happens."""

import ipywidgets
from IPython.display import display

box, echo = ipywidgets.Text(), ipywidgets.Label()
box.add_class("bench-box")
echo.add_class("bench-answer")


def resize(sentences: list[str]) -> None:
    """Show another sentence."""
    box.value = sentences[0]


def answer(change) -> None:
    """Say what was typed."""
    echo.value = change["new"]


box.observe(answer, names="value")
display(ipywidgets.VBox([box, echo]))
