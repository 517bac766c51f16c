"""The table of a cohort's cases: one row per case and structure, sortable, filtered by text and status."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

from ...cohort.store.records import ACCEPTED, IN_PROGRESS, STATUSES, TODO
from ..shared.widgets import described

COLUMNS = ("case", "status", "structure", "clicks", "seconds", "confidence", "first vs. accepted")
PROPOSED = "proposed"
_ROW_HEIGHT = 22
#: Background of the status chip; readable with black text in light and dark themes.
CHIPS = {
    "todo": "#c9ced6",
    PROPOSED: "#a9c7f5",
    "in progress": "#f5d38a",
    "accepted": "#9fdcae",
    "skipped": "#b8b8b8",
    "needs review": "#f2a59d",
}


class CohortTable:
    """``open_case``: called with the case's id and the structure of a row when it is activated."""

    def __init__(self, layout, open_case) -> None:
        self.open_case = open_case
        self._keys: list[tuple[str, str]] = []
        self._values: dict[tuple[str, str], list] = {}
        row = qt.QHBoxLayout()
        self.filter = described(qt.QLineEdit(), _("Show only the cases whose name contains this."), _("Filter cases"))
        self.filter.setPlaceholderText(_("Filter"))
        self.status = described(qt.QComboBox(), _("Show only cases of this status."), _("Status of the cases shown"))
        self.status.addItem(_("all"), "")
        for name in (*STATUSES, PROPOSED):
            self.status.addItem(_(name), name)
        self.structure = described(qt.QComboBox(), _("Show only the rows of this structure."), _("Structure of the rows shown"))
        row.addWidget(self.filter)
        row.addWidget(self.structure)
        row.addWidget(self.status)
        layout.addLayout(row)
        self.widget = described(qt.QTableWidget(), _("The cases of the cohort. Double-click one to open it."), _("Cases"))
        self.widget.setColumnCount(len(COLUMNS))
        self.widget.setHorizontalHeaderLabels([_(name) for name in COLUMNS])
        self.widget.horizontalHeaderItem(COLUMNS.index("first vs. accepted")).setToolTip(
            _(
                "How much of the first prediction was kept: its Dice with what was accepted (1: accepted as it was). It says nothing about accuracy."
            )
        )
        self.widget.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        self.widget.setSelectionMode(qt.QAbstractItemView.SingleSelection)
        self.widget.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        self.widget.verticalHeader().setVisible(False)
        self.widget.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        self.widget.setMinimumHeight(8 * _ROW_HEIGHT)
        layout.addWidget(self.widget)
        self.widget.connect("cellDoubleClicked(int,int)", self._activated)
        self.filter.connect("textChanged(QString)", lambda text: self.apply_filter())
        for box in (self.status, self.structure):
            box.connect("currentIndexChanged(int)", lambda index: self.apply_filter())

    def show(self, cohort, current: str | None) -> None:
        """Fills the table; the open case is selected. The person's sorting stays."""
        self._offer_structures([structure.name for structure in cohort.structures] if cohort is not None else [])
        rows = [(case, structure.name) for case in cohort.cases for structure in cohort.structures] if cohort is not None else []
        keys = [(case.id, structure) for case, structure in rows]
        if keys != self._keys:
            self._keys, self._values = keys, {}
            self.widget.setSortingEnabled(False)
            self.widget.setRowCount(0)
            self.widget.setRowCount(len(rows))
            for number, (case, structure) in enumerate(rows):
                self._fill_row(number, case, structure)
            self.widget.setSortingEnabled(True)
            self.widget.setColumnHidden(COLUMNS.index("structure"), len({name for _case, name in keys}) == 1)
            self.widget.resizeColumnsToContents()
            self.apply_filter()
        else:
            self._update(rows)
        self._select(current)

    def _offer_structures(self, names: list[str]) -> None:
        if [self.structure.itemData(n) for n in range(1, self.structure.count)] != names:
            self.structure.clear()
            self.structure.addItem(_("all structures"), "")
            for name in names:
                self.structure.addItem(name, name)
        self.structure.setVisible(len(names) > 1)

    def refresh(self, case) -> None:
        """Shows what is new about one case."""
        self._update([(case, structure) for case_id, structure in self._keys if case_id == case.id])

    def _update(self, rows: list[tuple]) -> None:
        """Fills the rows anew whose values have changed; ``rows``: (case, structure)."""
        changed = {(case.id, name): (case, name) for case, name in rows if self._values.get((case.id, name)) != cells(case, name)}
        if not changed:
            return
        self.widget.setSortingEnabled(False)  # else a row may move while it is filled
        for row in range(self.widget.rowCount):
            key = self.widget.item(row, 0).text(), self.widget.item(row, COLUMNS.index("structure")).text()
            if key in changed:
                self._fill_row(row, *changed[key])
        self.widget.setSortingEnabled(True)
        self.apply_filter()

    def _fill_row(self, row: int, case, structure: str) -> None:
        self._values[case.id, structure] = values = cells(case, structure)
        for column, value in enumerate(values):
            self._fill(row, column, value)
        self.widget.item(row, 0).setToolTip(case.note or case.name)

    def apply_filter(self) -> None:
        """Hides the rows that don't match."""
        text, status = self.filter.text.lower(), str(self.status.itemData(self.status.currentIndex) or "")
        structure = str(self.structure.itemData(self.structure.currentIndex) or "")
        for row in range(self.widget.rowCount):
            case, chip, name = (self.widget.item(row, column).text() for column in (0, 1, 2))
            self.widget.setRowHidden(row, not (text in case.lower() and status in ("", chip) and structure in ("", name)))

    def _fill(self, row: int, column: int, value) -> None:
        item = self.widget.item(row, column)
        if item is None:
            item = qt.QTableWidgetItem()
            self.widget.setItem(row, column, item)
        item.setData(qt.Qt.DisplayRole, value)
        if COLUMNS[column] == "status":
            item.setBackground(qt.QBrush(qt.QColor(CHIPS[value])))
            item.setForeground(qt.QBrush(qt.QColor("#000000")))

    def _select(self, current: str | None) -> None:
        self.widget.clearSelection()
        for row in range(self.widget.rowCount):
            if current is not None and self.widget.item(row, 0).text() == current:
                self.widget.selectRow(row)
                return

    def _activated(self, row: int, column: int) -> None:
        self.open_case(self.widget.item(row, 0).text(), self.widget.item(row, COLUMNS.index("structure")).text())


def cells(case, structure: str) -> list:
    """The values of a row; None leaves a cell empty."""
    work = case.work(structure)
    confidence = work.confidence if work.confidence is not None else work.proposal.get("confidence")
    return [
        case.id,
        status_of(case, structure),
        structure,
        work.clicks,
        round(case.active_seconds),
        None if confidence is None else round(confidence, 2),
        None if work.first_vs_accepted_dice is None else round(work.first_vs_accepted_dice, 3),
    ]


def status_of(case, structure: str) -> str:
    """What the chip of a row says: the case's status, but for a structure that is further (or less far) than its case."""
    work = case.work(structure)
    done = work.status == ACCEPTED and not work.doubt
    # what the model put in stays a proposal until the person accepts it or does something about it
    if work.proposal and not work.interactions and not done and case.status in (TODO, IN_PROGRESS):
        return PROPOSED
    if case.status == IN_PROGRESS and done:
        return ACCEPTED
    if case.status == ACCEPTED and work.status != ACCEPTED:
        return TODO
    return case.status
