"""Keys that live only while the effect is active.

Slicer's own keys of the Segment Editor (digits, Space, Z, Y, the system's keys of undo and redo, Q, W, I, ...) are left alone: two
shortcuts on one key would disable each other. A key that is held counts once. Undo and redo need none of ours, because the prompts are part of what the editor restores.
"""

from __future__ import annotations

import qt


class _EscapeFilter(qt.QObject):
    """Takes Escape while something can be cancelled; otherwise Escape leaves the effect, as everywhere in the Segment Editor."""

    cancel = None

    def eventFilter(self, watched, event):
        if event.type() == qt.QEvent.ShortcutOverride and event.key() == qt.Qt.Key_Escape and self.cancel is not None and self.cancel():
            event.accept()
            return True
        return False


class Shortcuts:
    """``commands``: key -> function; ``cancel``: returns True if it stopped something. ``window``: the main window, or None."""

    def __init__(self, window, commands, cancel) -> None:
        self.window = window
        self._shortcuts = []
        self._filter = None
        if window is None:
            return
        for key, command in commands.items():
            shortcut = qt.QShortcut(qt.QKeySequence(key), window)
            shortcut.autoRepeat = False
            shortcut.connect("activated()", command)
            self._shortcuts.append(shortcut)
        self._filter = _EscapeFilter()
        self._filter.cancel = cancel
        window.installEventFilter(self._filter)

    def remove(self) -> None:
        for shortcut in self._shortcuts:
            shortcut.disconnect("activated()")
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._shortcuts = []
        if self._filter is not None:
            self.window.removeEventFilter(self._filter)
            self._filter.cancel = None
            self._filter = None
