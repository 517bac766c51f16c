"""Keys and hands on the test host's slice views."""

from __future__ import annotations

from PySide6 import QtCore, QtGui, QtTest

from . import eventloop
from .hands import Hands
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


class ViewDriver(Hands):
    """Hands on a view of the test host."""

    def _process(self):
        eventloop.process()

    def to_xy(self, ras):
        x, y, _ = self.sliceView.convertRASToXYZ(ras)
        return round(x), round(y)

    def to_ras(self, xy):
        return tuple(self.sliceView.convertXYZToRAS([*xy, 0]))

    def key(self, keys, held=0):
        """Qt's shortcuts see it first. See `press_key`."""
        self.sliceView.setFocus()
        press_key(self.sliceView, keys, held)

    def pixels(self):
        eventloop.process()
        return self.sliceView.pixels()

    def cursor_shape(self):
        return QtCore.Qt.CursorShape(self.sliceView.cursor().shape())
