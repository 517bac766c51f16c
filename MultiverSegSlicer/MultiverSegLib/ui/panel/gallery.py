"""The context gallery: the examples of the structure as pictures, with their case; remove, reorder, show, import and export."""

from __future__ import annotations

from pathlib import Path

import qt
from slicer.i18n import tr as _

from ..shared.counting import counted
from ..shared.thumbnails import thumbnail, tooltip
from ..shared.widgets import told


class Gallery:
    """``ui``: the named widgets; ``context``: function that returns the ContextSet of the structure chosen now, or None; ``to_change``: the same
    for a change, raises MultiverSegError where none is allowed; ``show_plane`` and ``remove_example``: functions of an example."""

    def __init__(self, ui, context, to_change, show_plane, remove_example) -> None:
        self.ui = ui
        self.context = context
        self.to_change = to_change
        self.show_plane = show_plane
        self.remove_example = remove_example
        self._shown: list[str] = []
        ui.moveExampleUpButton.connect("clicked()", self.move_up)
        ui.removeExampleButton.connect("clicked()", self.remove)
        ui.showExampleButton.connect("clicked()", self.show)
        ui.importContextButton.connect("clicked()", self.import_zip)
        ui.exportContextButton.connect("clicked()", self.export_zip)
        ui.contextListWidget.connect("itemSelectionChanged()", self._update_buttons)

    def update(self) -> None:
        """Show the examples of the structure chosen now; pictures are drawn only for those that are new."""
        listing, context = self.ui.contextListWidget, self.context()
        examples = list(context) if context is not None else []
        ids = [example.id for example in examples]
        if ids[: len(self._shown)] != self._shown:
            listing.clear()
            self._shown = []
        for example in examples[len(self._shown) :]:
            item = qt.QListWidgetItem(thumbnail(example), example.case or _("unnamed"))
            item.setToolTip(tooltip(example))
            listing.addItem(item)
        self._shown = ids
        self.ui.contextSummaryLabel.text = summary(examples)
        self._update_buttons()

    def _selected(self) -> list:
        context = self.context()
        examples = list(context) if context is not None else []
        rows = [row for row in range(self.ui.contextListWidget.count) if self.ui.contextListWidget.item(row).isSelected()]
        return [examples[row] for row in rows if row < len(examples)]

    def _update_buttons(self) -> None:
        count = len(self._selected())
        self.ui.removeExampleButton.enabled = count > 0
        self.ui.moveExampleUpButton.enabled = count == 1
        self.ui.showExampleButton.enabled = count == 1
        self.ui.exportContextButton.enabled = self.ui.contextListWidget.count > 0
        self.ui.importContextButton.enabled = self.context() is not None

    def remove(self) -> None:
        with told(_("The examples could not be removed.")):
            for example in self._selected():
                self.remove_example(example)
        self.update()

    def move_up(self) -> None:
        selected = self._selected()
        if len(selected) != 1:
            return
        row = self.ui.contextListWidget.currentRow
        with told(_("The order could not be changed.")):
            self.to_change().move(selected[0].id, max(0, row - 1))
        self.update()
        self.ui.contextListWidget.setCurrentRow(max(0, row - 1))

    def show(self) -> None:
        for example in self._selected():
            self.show_plane(example)

    def import_zip(self) -> None:
        path = qt.QFileDialog.getOpenFileName(self.ui.contextListWidget, _("Import examples"), "", "Zip (*.zip)")
        if not path:
            return
        with told(_("The file holds no examples that can be used.")):
            self.to_change().import_zip(Path(str(path)))
        self.update()

    def export_zip(self) -> None:
        path = qt.QFileDialog.getSaveFileName(self.ui.contextListWidget, _("Export examples"), "context.zip", "Zip (*.zip)")
        if not path:
            return
        with told(_("The examples could not be exported.")):
            self.context().export_zip(Path(str(path)))


def summary(examples) -> str:
    """How many examples there are, in words."""
    weak = sum(example.weak for example in examples)
    full = len(examples) - weak
    if not examples:
        return _("No examples yet: accept a segmentation to make the first one.")
    if weak:
        return counted(len(examples), _("1 weak example."), _("{full} full, {weak} weak examples."), full=full, weak=weak)
    return counted(full, _("1 example."), _("{count} examples."))
