"""What every lab shares: a state comes in, a picture goes out, and a lab never dies."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch

from masklab.panels import Picture, picture_text
from masklab.threads import one_thread
from masklab.view.matrix import MatrixView

Draw = Callable[[Mapping], Picture]
log = logging.getLogger(__name__)


class BadInput(ValueError):
    """What a person typed can't be drawn; the message is one sentence that says why and how to mend it."""


class Lab(MatrixView):
    """Controls and panels in one widget; ``draw(state)`` says what the panels show.

    ``draw`` is pure: the same state gives the same picture. When it raises BadInput,
    the last good picture stays and the sentence stands under the boxes.
    ``initial`` is the state at first sight.
    """

    def __init__(self, draw: Draw, *, initial: Mapping, controls: Sequence[Mapping], label: str):
        self._draw = draw
        super().__init__(state=dict(initial), controls=list(controls), label=label)
        self._update(None)
        self.observe(self._update, names="state")

    def _update(self, _change) -> None:
        """Draw the present state; on bad input keep the last picture and say what is wrong."""
        with self._lock, torch.no_grad(), one_thread():  # each holds for this thread only, so it is entered here
            state = self.state
            try:
                picture = self._draw(state)
            except BadInput as problem:
                picture = replace(self._shown or Picture(panels=[]), problem=str(problem))
            except Exception as error:  # a lab never dies: a fault of ours is said, and logged
                log.exception("the lab could not draw %r", state)
                problem = f"The lab could not draw this ({type(error).__name__}). Your text is kept; Reset goes back."
                picture = replace(self._shown or Picture(panels=[]), problem=problem)
            self.show(picture, text=picture_text(picture) if state.get("text") else "")
