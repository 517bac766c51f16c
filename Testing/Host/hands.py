"""A person's hands on a slice view, for the test host and for the application alike: mouse events go to the view's interactor.

What differs between the two (how events are processed, how keys are pressed, how pixels are read) a subclass says.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod

import vtk


class Hands(ABC):
    """Acts on one qMRMLSliceWidget. Points are RAS in mm, or with ``xy=True`` pixels from the lower left corner."""

    def __init__(self, widget):
        self.widget, self.sliceView = widget, widget.sliceView()
        self.interactor = self.sliceView.interactor()

    @abstractmethod
    def _process(self) -> None:
        """Let everything happen that an event has begun."""

    @abstractmethod
    def to_xy(self, ras):
        """Pixel of the view that is nearest to a RAS point."""

    @abstractmethod
    def to_ras(self, xy):
        """RAS point of a pixel, on the view's plane."""

    @abstractmethod
    def key(self, keys, held=0):
        """Press and release a key ("b", "Ctrl+Z", "Escape") with the view focused; ``held``: how often it repeats itself meanwhile."""

    @abstractmethod
    def pixels(self):
        """The rendered view, uint8 [row, col, 3]."""

    @abstractmethod
    def cursor_shape(self):
        """The ``Qt.CursorShape`` over the view."""

    @property
    def node(self):
        return self.widget.mrmlSliceNode()

    @property
    def logic(self):
        return self.widget.sliceLogic()

    def set_offset(self, millimetres):
        self.logic.SetSliceOffset(millimetres)

    def jump_to(self, ras):
        """Show the slice through a point."""
        self.node.JumpSliceByOffsetting(*ras)

    def event_id(self, name):
        return vtk.vtkCommand.GetEventIdFromString(name)

    # ---- mouse ----
    def _event(self, name, position, ctrl=False, shift=False, alt=False):
        self.interactor.SetLastEventPosition(*self.interactor.GetEventPosition())
        self.interactor.SetEventInformation(int(position[0]), int(position[1]), int(ctrl), int(shift), "\0", 0, "")
        self.interactor.SetAltKey(int(alt))
        self.interactor.InvokeEvent(name)
        self._process()

    def press(self, point, xy=False, button="Left", **modifiers):
        self.sliceView.setFocus()
        self._event(f"{button}ButtonPressEvent", point if xy else self.to_xy(point), **modifiers)

    def release(self, point, xy=False, button="Left", **modifiers):
        self._event(f"{button}ButtonReleaseEvent", point if xy else self.to_xy(point), **modifiers)

    def move(self, point, xy=False, **modifiers):
        self._event("MouseMoveEvent", point if xy else self.to_xy(point), **modifiers)

    def click(self, ras=None, xy=None, button="Left", **modifiers):
        """Move there, press, release; `modifiers`: ctrl, shift, alt."""
        position = xy if xy is not None else self.to_xy(ras)
        self.move(position, xy=True, **modifiers)
        self.press(position, xy=True, button=button, **modifiers)
        self.release(position, xy=True, button=button, **modifiers)

    def double_click(self, ras=None, xy=None, **modifiers):
        position = xy if xy is not None else self.to_xy(ras)
        self.click(xy=position, **modifiers)
        self._event("LeftButtonDoubleClickEvent", position, **modifiers)
        self.release(position, xy=True, **modifiers)

    def drag(self, points, xy=False, button="Left", steps=8, **modifiers):
        """Press at the first point, move through the others with `steps` events each, release at the last."""
        path = [tuple(p) for p in points] if xy else [self.to_xy(p) for p in points]
        self.move(path[0], xy=True, **modifiers)
        self.press(path[0], xy=True, button=button, **modifiers)
        for start, end in itertools.pairwise(path):
            for step in range(1, steps + 1):
                at = tuple(round(a + (b - a) * step / steps) for a, b in zip(start, end, strict=True))
                self.move(at, xy=True, **modifiers)
        self.release(path[-1], xy=True, button=button, **modifiers)

    def wheel(self, forward=True, ctrl=False):
        self._event("MouseWheelForwardEvent" if forward else "MouseWheelBackwardEvent", self.interactor.GetEventPosition(), ctrl=ctrl)

    def enter(self):
        self._event("EnterEvent", self.interactor.GetEventPosition())

    def leave(self):
        self._event("LeaveEvent", self.interactor.GetEventPosition())
