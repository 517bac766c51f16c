"""The table of a cohort's cases: one row per case and structure, sortable, filtered by text and status."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

from ...cohort.store.records import ACCEPTED
from ..shared.widgets import described
from .words import STATES, Confidences, Mark, confidence_of, meaning, state_of, word

COLUMNS = ("case", "status", "structure", "clicks", "seconds", "confidence", "agreement")
_CASE, _STATUS, _STRUCTURE, _CONFIDENCE = 0, 1, 2, 5
_ROW_HEIGHT = 22
#: Background of the status chip; readable with black text in light and dark themes.
CHIPS = {
    "todo": "#c9ced6",
    "proposed": "#a9c7f5",
    "in progress": "#f5d38a",
    "accepted": "#9fdcae",
    "skipped": "#b8b8b8",
    "needs review": "#f2a59d",
}


class CohortTable:
    """``open_case``: called with the case's id and the structure of a row when it is activated; ``selected``: called when another row is
    selected."""

    def __init__(self, layout, open_case, selected=lambda: None) -> None:
        self.open_case = open_case
        self._keys: list[tuple[str, str]] = []
        self._values: dict[tuple[str, str], list] = {}
        self._current: str | None = None
        row = qt.QHBoxLayout()
        self.filter = described(qt.QLineEdit(), _("Show only the cases whose name contains this."), _("Filter cases"))
        self.filter.setPlaceholderText(_("Filter"))
        self.status = described(qt.QComboBox(), _("Show only cases of this status."), _("Status of the cases shown"))
        self.status.addItem(_("all"), "")
        for state in STATES:
            self.status.addItem(word(state), state)
            self.status.setItemData(self.status.count - 1, meaning(state), qt.Qt.ToolTipRole)
        self.structure = described(qt.QComboBox(), _("Show only the rows of this structure."), _("Structure of the rows shown"))
        row.addWidget(self.filter)
        row.addWidget(self.structure)
        row.addWidget(self.status)
        layout.addLayout(row)
        self.widget = described(
            qt.QTableWidget(), _("The cases of the cohort. Double-click one, or press Enter on it, to open it."), _("Cases")
        )
        self.widget.setColumnCount(len(COLUMNS))
        self.widget.setHorizontalHeaderLabels(
            [_("case"), _("status"), _("structure"), _("clicks"), _("seconds"), _("confidence"), _("agreement")]
        )
        for column, tip in (
            (_CONFIDENCE, _("How sure the model was, beside the cases that were accepted in this cohort; the number is in the tooltip.")),
            (
                COLUMNS.index("agreement"),
                _("Dice of the first prediction with what was accepted from it (1: accepted as it was). It says nothing about accuracy."),
            ),
        ):
            self.widget.horizontalHeaderItem(column).setToolTip(tip)
        self.widget.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        self.widget.setSelectionMode(qt.QAbstractItemView.SingleSelection)
        self.widget.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        self.widget.verticalHeader().setVisible(False)
        self.widget.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        self.widget.setMinimumHeight(8 * _ROW_HEIGHT)
        layout.addWidget(self.widget)
        self.widget.connect("cellDoubleClicked(int,int)", self._activated)
        self.widget.connect("itemSelectionChanged()", selected)
        self.enter = qt.QShortcut(qt.QKeySequence("Return"), self.widget)
        self.enter.setContext(qt.Qt.WidgetShortcut)
        self.enter.connect("activated()", self._entered)
        self.filter.connect("textChanged(QString)", lambda text: self.apply_filter())
        for box in (self.status, self.structure):
            box.connect("currentIndexChanged(int)", lambda index: self.apply_filter())

    def show(self, cohort, current: str | None) -> None:
        """Fills the table; the open case is selected. The person's sorting stays."""
        self._offer_structures([structure.name for structure in cohort.structures] if cohort is not None else [])
        rows = [(case, structure.name) for case in cohort.cases for structure in cohort.structures] if cohort is not None else []
        keys = [(case.id, structure) for case, structure in rows]
        known = _known(cohort)
        if keys != self._keys:
            self._keys, self._values = keys, {}
            self.widget.setSortingEnabled(False)
            self.widget.setRowCount(0)
            self.widget.setRowCount(len(rows))
            for number, (case, structure) in enumerate(rows):
                self._fill_row(number, case, structure, known[structure])
            self.widget.setSortingEnabled(True)
            self.widget.setColumnHidden(_STRUCTURE, len({name for _case, name in keys}) == 1)
            self.widget.resizeColumnsToContents()
            self.apply_filter()
        else:
            self._update(rows, known)
        self._select(current)

    def _offer_structures(self, names: list[str]) -> None:
        if [self.structure.itemData(n) for n in range(1, self.structure.count)] != names:
            self.structure.clear()
            self.structure.addItem(_("all structures"), "")
            for name in names:
                self.structure.addItem(name, name)
        self.structure.setVisible(len(names) > 1)

    def refresh(self, cohort, case) -> None:
        """Shows what is new about one case."""
        self._update([(case, structure) for case_id, structure in self._keys if case_id == case.id], _known(cohort))

    def selected(self) -> tuple[str, str] | None:
        """The case and the structure of the selected row."""
        row = self.widget.currentRow() if self.widget.selectedItems() else -1
        return self._key(row) if row >= 0 else None

    def _update(self, rows: list[tuple], known: dict[str, Confidences]) -> None:
        """Fills the rows anew whose values have changed; ``rows``: (case, structure)."""
        changed = {
            (case.id, name): (case, name, known[name])
            for case, name in rows
            if self._values.get((case.id, name)) != cells(case, name, known[name])
        }
        if not changed:
            return
        self.widget.setSortingEnabled(False)  # else a row may move while it is filled
        for row in range(self.widget.rowCount):
            if self._key(row) in changed:
                self._fill_row(row, *changed[self._key(row)])
        self.widget.setSortingEnabled(True)
        self.apply_filter()

    def _key(self, row: int) -> tuple[str, str]:
        return self.widget.item(row, _CASE).text(), self.widget.item(row, _STRUCTURE).text()

    def _fill_row(self, row: int, case, structure: str, known: Confidences) -> None:
        self._values[case.id, structure] = values = cells(case, structure, known)
        for column, (value, tip) in enumerate(values):
            item = self.widget.item(row, column)
            if item is None:
                item = qt.QTableWidgetItem()
                self.widget.setItem(row, column, item)
            item.setData(qt.Qt.DisplayRole, value)
            item.setToolTip(tip)
        self.widget.item(row, _CONFIDENCE).setData(qt.Qt.AccessibleTextRole, mark_of(case, structure, known).word)
        state = state_of(case, structure)
        chip = self.widget.item(row, _STATUS)
        chip.setData(qt.Qt.UserRole, state)
        chip.setBackground(qt.QBrush(qt.QColor(CHIPS[state])))
        chip.setForeground(qt.QBrush(qt.QColor("#000000")))

    def apply_filter(self) -> None:
        """Hides the rows that don't match."""
        text, status = self.filter.text.lower(), str(self.status.itemData(self.status.currentIndex) or "")
        structure = str(self.structure.itemData(self.structure.currentIndex) or "")
        for row in range(self.widget.rowCount):
            case, name = self._key(row)
            state = str(self.widget.item(row, _STATUS).data(qt.Qt.UserRole))
            self.widget.setRowHidden(row, not (text in case.lower() and status in ("", state) and structure in ("", name)))

    def _select(self, current: str | None) -> None:
        """The open case is selected when it was opened; later the user may select others."""
        if current == self._current and self.selected() is not None:
            return
        self._current = current
        self.widget.clearSelection()
        for row in range(self.widget.rowCount):
            if current is not None and self._key(row)[0] == current:
                self.widget.selectRow(row)
                return

    def _entered(self) -> None:
        if self.widget.currentRow() >= 0:
            self._activated(self.widget.currentRow(), 0)

    def _activated(self, row: int, column: int) -> None:
        self.open_case(*self._key(row))


def cells(case, structure: str, known: Confidences) -> list[tuple]:
    """The values of a row, each with its tooltip; None leaves a cell empty. ``known``: see ``Confidences``."""
    work, state, mark = case.work(structure), state_of(case, structure), mark_of(case, structure, known)
    kept = work.first_vs_accepted_dice
    return [
        (case.id, _about(case)),
        (word(state) + _sign(case, structure, state), "\n".join(filter(None, (meaning(state), _second_look(case, structure))))),
        (structure, ""),
        (work.clicks, ""),
        (round(case.active_seconds), ""),
        (mark.sign or None, mark.tip),
        (None if kept is None else round(kept, 3), ""),
    ]


def _sign(case, structure: str, state: str) -> str:
    """What is beside the word of an accepted result: that it says "not there", and that a reviewer approved it."""
    if state != ACCEPTED:
        return ""
    return (" (" + _("absent") + ")" if case.work(structure).absent else "") + (" ✓" if case.approved else "")


def _second_look(case, structure: str) -> str:
    work = case.work(structure)
    approved = _("Approved by {who}, {when}.").format(who=case.approved_by or _("a reviewer"), when=_minute(case.approved_when))
    return "\n".join(filter(None, (work.doubt or case.note, approved if case.approved else "")))


def mark_of(case, structure: str, known: Confidences) -> Mark:
    """How sure the model is, beside the accepted cases; none where nothing was predicted."""
    return known.mark(confidence_of(case, structure))


def _about(case) -> str:
    """The case's name, who did what, and what was noted about it."""
    lines = [case.name or case.id]
    for name, work in case.works.items():
        if work.who and work.when:
            lines.append(_("{structure}: accepted by {who}, {when}").format(structure=name, who=work.who, when=_minute(work.when)))
    lines += [_("Note: {text}").format(text=note["text"]) for note in case.notes]
    return "\n".join(filter(None, (*lines, case.note)))


def _minute(when: str) -> str:
    return when[:16].replace("T", " ")


def _known(cohort) -> dict[str, Confidences]:
    return {} if cohort is None else {s.name: Confidences.of(cohort.cases, s.name) for s in cohort.structures}
