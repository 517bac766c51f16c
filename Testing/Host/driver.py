"""A person's hands on a slice view: clicks, drags, keys, as events on the view's interactor."""

from __future__ import annotations

import itertools

import vtk
from PySide6 import QtCore, QtGui, QtTest

from . import eventloop
from .pythonqt import exceptions


def press_key(widget, keys, held: int = 0) -> None:
    """Press and release a key on a widget; ``held``: so many times more the keyboard repeats it meanwhile.

    Two shortcuts on the key are an error: Qt then activates neither.
    """
    combination = QtGui.QKeySequence(keys)[0]
    sequence = QtGui.QKeySequence(combination)
    claims = [s for s in widget.window().findChildren(QtGui.QShortcut) if s.isEnabled() and s.key() == sequence]
    if len(claims) > 1:
        exceptions.append(RuntimeError(f"{len(claims)} shortcuts claim {keys}"))
    key, modifiers, test = combination.key(), combination.keyboardModifiers(), QtTest.QTest
    test.keyPress(widget, key, modifiers)
    for _ in range(held):
        test.simulateEvent(widget, True, key.value, modifiers, "", True, -1)
    test.keyRelease(widget, key, modifiers)
    eventloop.process()


class ViewDriver:
    """Acts on one qMRMLSliceWidget. Points are RAS in mm, or with ``xy=True`` pixels from the lower left corner."""

    def __init__(self, widget):
        self.widget, self.sliceView = widget, widget.sliceView()
        self.interactor = self.sliceView.interactor()

    @property
    def node(self):
        return self.widget.mrmlSliceNode()

    @property
    def logic(self):
        return self.widget.sliceLogic()

    def to_xy(self, ras):
        """Pixel of the view that is nearest to a RAS point."""
        x, y, _ = self.sliceView.convertRASToXYZ(ras)
        return round(x), round(y)

    def to_ras(self, xy):
        """RAS point of a pixel, on the view's plane."""
        return tuple(self.sliceView.convertXYZToRAS([*xy, 0]))

    def set_offset(self, millimetres):
        self.logic.SetSliceOffset(millimetres)

    def jump_to(self, ras):
        """Show the slice through a point."""
        self.node.JumpSliceByOffsetting(*ras)

    # ---- mouse ----
    def _event(self, name, position, ctrl=False, shift=False, alt=False):
        self.interactor.SetLastEventPosition(*self.interactor.GetEventPosition())
        self.interactor.SetEventInformation(int(position[0]), int(position[1]), int(ctrl), int(shift), "\0", 0, "")
        self.interactor.SetAltKey(int(alt))
        self.interactor.InvokeEvent(name)
        eventloop.process()

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
        x, y = self.interactor.GetEventPosition()
        self._event("MouseWheelForwardEvent" if forward else "MouseWheelBackwardEvent", (x, y), ctrl=ctrl)

    def enter(self):
        self._event("EnterEvent", self.interactor.GetEventPosition())

    def leave(self):
        self._event("LeaveEvent", self.interactor.GetEventPosition())

    # ---- keys ----
    def key(self, keys, held=0):
        """Press and release a key, e.g. "b", "Ctrl+Z", "Escape", with the view focused: Qt's shortcuts see it first. See `press_key`."""
        self.sliceView.setFocus()
        press_key(self.sliceView, keys, held)

    # ---- seeing ----
    def pixels(self):
        """The rendered view, uint8 [row, col, 3]."""
        eventloop.process()
        return self.sliceView.pixels()

    def event_id(self, name):
        return vtk.vtkCommand.GetEventIdFromString(name)

    def cursor_shape(self):
        return QtCore.Qt.CursorShape(self.sliceView.cursor().shape())
