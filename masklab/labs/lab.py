"""What every lab shares: a state comes in, a picture goes out, and a lab never dies."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from masklab.labs.controls import BadInput, State, known, specs
from masklab.panels import Picture, picture_text
from masklab.threads import one_thread
from masklab.view.matrix import MatrixView

Draw = Callable[[Any], Picture]
log = logging.getLogger(__name__)


class Lab(MatrixView):
    """Controls and panels in one widget; ``draw(state)`` says what the panels show.

    ``draw`` is pure: the same state gives the same picture. When it raises BadInput,
    the last good picture stays and the sentence stands under the boxes.
    ``state`` is the state at first sight. ``panels`` and ``controls`` name those that a small lab
    has; all of them by default. Raises ValueError for a name that the lab doesn't have.
    """

    def __init__(
        self,
        draw: Draw,
        *,
        state: State,
        label: str,
        panels: Sequence[str] | None = None,
        controls: Sequence[str] | None = None,
    ):
        self._draw, self._first, self._panels = draw, state, panels
        _check_panels(draw, state, panels or ())
        self._text = state.text
        super().__init__(state=state.raw(), controls=_chosen_controls(specs(state), controls), label=label)
        self._update(None)
        self.observe(self._update, names="state")

    def _update(self, _change) -> None:
        """Draw the present state."""
        with self._lock, torch.no_grad(), one_thread():  # no_grad holds for this thread only, so it is entered here
            self._show(self._picture(self.state))

    def _merged(self, changes: Mapping) -> dict:
        """The state with what a page changed; as it was, with a sentence, if a control can't take that."""
        merged = super()._merged(changes)
        names = merged.keys() & changes.keys()
        try:
            taken = self._read({name: merged[name] for name in names}).raw()
        except BadInput as problem:
            self._show(self._kept(str(problem)))
            return self.state
        merged |= {name: taken[name] for name in names}
        if merged == self.state and self._shown is not None and self._shown.problem:
            self._update(None)  # what was refused before this is no problem any more
        return merged

    def _show(self, picture: Picture) -> None:
        """Show a picture, with its text twin if that was asked for."""
        self.show(picture, text=picture_text(picture) if self._text else "")

    def _picture(self, raw: Mapping) -> Picture:
        """The picture for what a page sent; on bad input the last picture, and what is wrong."""
        try:
            state = self._read(raw)
            self._text = state.text
            return _chosen_panels(self._draw(state), self._panels)
        except BadInput as problem:
            return self._kept(str(problem))
        except Exception as error:  # a lab never dies: a fault of ours is said, and logged
            log.exception("the lab could not draw its state")
            return self._kept(
                f"The lab could not draw this ({type(error).__name__}). Your text is kept; Reset goes back."
            )

    def _read(self, raw: Mapping) -> State:
        """What a page sent as a state; what it didn't send is as at first sight."""
        return self._first.changed(raw)

    def _kept(self, problem: str) -> Picture:
        """The last good picture, with a problem."""
        return replace(self._shown or Picture(panels=[]), problem=problem)


def _chosen_controls(all_specs: list[dict], names: Sequence[str] | None) -> list[dict]:
    """The named controls, or all, in their order."""
    have = [spec["name"] for spec in all_specs]
    chosen = have if names is None else [known(name, have, what="control") for name in names]
    return [spec for spec in all_specs if spec["name"] in chosen]


def _check_panels(draw: Draw, state: State, names: Sequence[str]) -> None:
    """Raise ValueError for a panel that the first picture doesn't have."""
    try:
        have = [panel.name for panel in draw(state).panels] if names else []
    except BadInput:  # it begins with nothing to draw
        return
    for name in names:
        known(name, have, what="panel")


def _chosen_panels(picture: Picture, names: Sequence[str] | None) -> Picture:
    """The picture with the named panels, or all; no sign stands before the first."""
    panels = [panel for panel in picture.panels if names is None or panel.name in names]
    return replace(picture, panels=[replace(panel, sign=panel.sign if i else "") for i, panel in enumerate(panels)])
