"""The Segment Editor's own keys, installed so that collisions with an effect's shortcuts show."""

from __future__ import annotations

from PySide6 import QtGui


class EditorKeys:
    """As in qMRMLSegmentEditorWidget::installKeyboardShortcuts: 1-9 0, Shift+1-0, Esc, Space, Z, Y, Ctrl+Z, Ctrl+Shift+Z, Q W / * , . > < and I."""

    def __init__(self, editor):
        self._editor, self._shortcuts, self._last = editor, [], None

    def install(self, window) -> None:
        self.uninstall()
        self._window, editor = window, self._editor
        for number in range(1, 11):
            self._add(str(number % 10), lambda n=number: self._toggle_effect(n))
            self._add(f"Shift+{number % 10}", lambda n=number: self._toggle_effect(n + 10))
        self._add("Esc", lambda: editor.setActiveEffect(None))
        self._add("Space", self._toggle_last)
        for keys in ("Z", QtGui.QKeySequence.StandardKey.Undo):
            self._add(keys, editor.undo)
        for keys in ("Y", "Ctrl+Shift+Z"):  # QKeySequence::Redo of a Linux desktop; Ctrl+Y is that of Windows only
            self._add(keys, editor.redo)
        for keys, offset in (("Q", -1), ("/", -1), (",", -1), (">", -1), ("W", 1), ("*", 1), (".", 1), ("<", 1)):
            self._add(keys, lambda by=offset: self._select_neighbour(by))
        self._add("I", editor.toggleSourceVolumeIntensityMaskEnabled)

    def uninstall(self) -> None:
        for shortcut in self._shortcuts:
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._shortcuts.clear()

    def _add(self, keys, function) -> None:
        shortcut = QtGui.QShortcut(QtGui.QKeySequence(keys), self._window)
        shortcut.activated.connect(function)
        self._shortcuts.append(shortcut)

    def _toggle_effect(self, number) -> None:
        effect = self._editor.effectByIndex(number - 1)
        self._editor.setActiveEffect(None if effect is self._editor.activeEffect() else effect)

    def _toggle_last(self) -> None:
        active = self._editor.activeEffect()
        self._editor.setActiveEffect(self._last if active is None else None)
        self._last = active or self._last

    def _select_neighbour(self, by) -> None:
        segmentation = self._editor.segmentationNode()
        ids = list(segmentation.GetSegmentation().GetSegmentIDs()) if segmentation else []
        if self._editor.currentSegmentID() in ids:
            index = min(max(ids.index(self._editor.currentSegmentID()) + by, 0), len(ids) - 1)
            self._editor.setCurrentSegmentID(ids[index])
