"""The lab of lesson 05 (or of another one, whose name is put in), as the lesson shows it."""

from IPython.display import display

from masklab.labs import attention_padding

view = attention_padding.lab()


def resize(sentences: list[str]) -> None:
    """Show other sentences."""
    view.state = view.state | {"sentences": sentences}


display(view)
