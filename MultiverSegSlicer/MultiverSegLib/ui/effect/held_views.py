"""The slice and 3D views wait for a result that comes soon, and then render once, with all of it. No Qt."""

from __future__ import annotations

from collections.abc import Callable

import slicer

#: Views wait for a result at most so long, in ms.
AT_MOST_MS = 100


class HeldViews:
    """Keeps the views from rendering while a prediction is computed.

    Where software renders, that takes the processor from the network for longer than the network needs; and a view that is asked twice within a
    frame's time renders at once, in the middle of whatever asks it (``ctkVTKAbstractView::scheduleRender``).

    Args:
        later: has a function called after so many milliseconds; 0: when the event at hand is over.
        draw: draws what the views lack, before they go on.
    """

    def __init__(self, later: Callable[[int, Callable[[], None]], object], draw: Callable[[], None]) -> None:
        self._later, self._draw = later, draw
        self._held = False
        self._turn = 0  # what was to happen later in an earlier one does not happen any more

    def hold(self) -> None:
        """Until ``go_on``, or for ``AT_MOST_MS``."""
        if not self._held:
            self._held = True
            self._turn += 1
            slicer.app.pauseRender()
            self._go_on_after(AT_MOST_MS)

    def go_on_soon(self) -> None:
        """When the event at hand is over."""
        self._go_on_after(0)

    def go_on(self) -> None:
        """Draw, and let the views render if they were held."""
        try:
            self._draw()
        finally:
            self._resume()

    def end(self) -> None:
        """Nothing is drawn from now on; the views render."""
        self._turn += 1
        self._resume()

    def _go_on_after(self, milliseconds: int) -> None:
        turn = self._turn
        self._later(milliseconds, lambda: self.go_on() if turn == self._turn else None)

    def _resume(self) -> None:
        held, self._held = self._held, False
        if held:
            slicer.app.resumeRender()
