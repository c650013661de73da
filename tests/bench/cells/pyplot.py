"""What people do today: the lab's panels drawn by matplotlib into an Output widget, again at every keystroke."""

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import clear_output, display

from masklab.figures import WRITTEN
from masklab.labs.attention_padding import State, draw
from masklab.panels import number

MAPS = {"signed": "PuOr", "unit": "cividis", "plain": "Greys"}
boxes = [ipywidgets.Text(value=sentence) for sentence in State().sentences]
out = ipywidgets.Output()
out.add_class("bench-answer")


def resize(sentences: list[str]) -> None:
    """Show other sentences, drawn once."""
    for box, sentence in zip(boxes, sentences, strict=True):
        box.unobserve_all("value")
        box.value = sentence
        box.observe(redraw, names="value")
    redraw()


def redraw(_change=None) -> None:
    """Draw every panel of the lab as a subplot."""
    panels = draw(State(sentences=tuple(box.value for box in boxes))).panels
    with out:
        clear_output(wait=True)
        _, axes = plt.subplots(2, 3, figsize=(12, 8))
        for spare in axes.flat[len(panels) :]:
            spare.remove()
        for one, panel in zip(axes.flat, panels, strict=False):
            plot(one, panel)
        plt.show()


def plot(axes, panel) -> None:
    """One panel as an image, with its words and numbers where they fit."""
    low, high = panel.limits
    axes.imshow(panel.values.numpy(), cmap=MAPS[panel.scale], vmin=low, vmax=high)
    axes.set_title(panel.title)
    if max(panel.values.shape) > WRITTEN:
        return
    axes.set_xticks(range(len(panel.columns)), panel.columns, rotation=90)
    axes.set_yticks(range(len(panel.rows)), panel.rows)
    for i, row in enumerate(panel.values.tolist()):
        for j, value in enumerate(row):
            axes.text(j, i, number(value, panel.kind), ha="center", va="center", fontsize=8)


for box in boxes:
    box.add_class("bench-box")
    box.observe(redraw, names="value")
display(ipywidgets.VBox([*boxes, out]))
redraw()
