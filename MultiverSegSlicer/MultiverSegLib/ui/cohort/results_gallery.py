"""The accepted results of a cohort as pictures."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

from ...cohort.store.records import ACCEPTED
from ..shared.thumbnails import THUMBNAIL, thumbnail, tooltip
from ..shared.widgets import described


class ResultsGallery:
    """``open_case``: called with the case's id and the structure of a picture when it is activated."""

    def __init__(self, layout, open_case) -> None:
        self.widget = described(qt.QListWidget(), _("The accepted results. Double-click one to open its case."), _("Gallery of results"))
        self.widget.setViewMode(qt.QListView.IconMode)
        self.widget.setIconSize(qt.QSize(THUMBNAIL, THUMBNAIL))
        self.widget.setResizeMode(qt.QListView.Adjust)
        self.widget.setMinimumHeight(110)
        layout.addWidget(self.widget)
        self.widget.connect("itemDoubleClicked(QListWidgetItem*)", lambda item: open_case(*item.data(qt.Qt.UserRole)))
        self._shown: list = []

    def show(self, cohort, contexts) -> None:
        """The results of all structures; pictures are drawn again only where something changed."""
        examples = []
        for structure in cohort.structures if cohort is not None else ():
            accepted = {case.id for case in cohort.cases if case.work(structure.name).status == ACCEPTED}
            examples += [example for example in contexts.get(structure.name).examples if example.case in accepted]
        ids = [example.id for example in examples]
        if ids[: len(self._shown)] != self._shown:
            self.widget.clear()
            self._shown = []
        for example in examples[len(self._shown) :]:
            item = qt.QListWidgetItem(thumbnail(example), example.case)
            item.setToolTip(tooltip(example))
            item.setData(qt.Qt.UserRole, [example.case, example.structure])
            self.widget.addItem(item)
        self._shown = ids
