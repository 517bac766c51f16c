"""The structures of the open cohort: which one is worked on, its colour and slice axis, new ones, and accepting just one."""

from __future__ import annotations

from dataclasses import replace

import qt
from slicer.i18n import tr as _

from ...cohort.store.records import ACCEPTED, Structure, to_json
from ...core.errors import CohortError
from ...core.grid import ANATOMICAL
from ...mrml.terminologies import codes_of, entry_of
from ..shared.widgets import button, choose, combo, described


def named(text: str, axis: str, first: int = 0) -> list[Structure]:
    """Structures of names divided by commas, with the colours of their places in the cohort (``first``: of the first one) and the standard codes
    that Slicer's lists have for just these names."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    return [replace(Structure.numbered(name, first + n, axis), terminology=entry_of(name)) for n, name in enumerate(names)]


def _code(structure: Structure) -> str:
    """What of the structure's standard code is shown beside its name."""
    if not structure.terminology:
        return _("No standard code: exports call it tissue. A code can be chosen for its segment in the Segment Editor's table.")
    value, scheme, meaning = codes_of(structure.terminology)[1]
    return _("Exported as {meaning} ({scheme} {value}); another code can be chosen for its segment in the Segment Editor's table.").format(
        meaning=meaning, scheme=scheme, value=value
    )


class StructuresBox:
    """``cohort_panel``: the CohortPanel, whose desk has the cohort and which chooses structures and opens cases."""

    def __init__(self, layout, cohort_panel) -> None:
        self.owner = cohort_panel
        row = qt.QHBoxLayout()
        self.box = combo(
            _("The structure to work on; each has its own examples. Also chosen by its segment."), _("Structure of the cohort"), length=12
        )
        self.color = described(qt.QToolButton(), _("Colour of the structure's segments."), _("Colour of the structure"))
        self.axis = combo("", _("Slice axis of the structure"))
        for axis in ANATOMICAL:
            self.axis.addItem(_(axis), axis)
        self.add = button(_("Add…"), _("One more structure to segment in every case; several divided by commas."), _("Add a structure"))
        self.accept = button(
            _("Accept this"), _("Accept only this structure of the open case, and go to its next one."), _("Accept this structure")
        )
        row.addWidget(self.box, 1)
        for widget in (self.color, self.axis, self.add, self.accept):
            row.addWidget(widget)
        layout.addLayout(row)
        self.box.connect("activated(int)", lambda index: self.owner.choose_structure(str(self.box.itemData(index))))
        self.color.connect("clicked()", lambda: self.owner.guarded(self._recolor))
        self.axis.connect("activated(int)", lambda index: self.owner.guarded(lambda: self._turn(str(self.axis.itemData(index)))))
        self.add.connect("clicked()", lambda: self.owner.guarded(self._add))
        self.accept.connect("clicked()", lambda: self.owner.steps.accept_structure())

    def show(self) -> None:
        """Shows the cohort as it is now."""
        desk = self.owner.desk
        cohort, current = desk.cohort, self.owner.structure
        names = [structure.name for structure in cohort.structures] if cohort is not None else []
        if [self.box.itemData(n) for n in range(self.box.count)] != names:
            self.box.clear()
            for number, name in enumerate(names):
                self.box.addItem(name, name)
                self.box.setItemData(number, _code(cohort.structure(name)), qt.Qt.ToolTipRole)
        writable = cohort is not None and not cohort.read_only
        self.box.enabled = cohort is not None
        for widget in (self.color, self.add):
            widget.enabled = writable
        self.accept.setVisible(len(names) > 1)
        self.accept.enabled = writable and desk.case_id is not None
        used = bool(names) and len(desk.contexts.get(current)) > 0
        self.axis.enabled = writable and not used
        self.axis.setToolTip(
            _("The axis is that of the examples; it can be changed as long as there are none.")
            if used
            else _("Along which slices are cut.")
        )
        if names:
            choose(self.box, current)
            structure = cohort.structure(current)
            choose(self.axis, structure.axis)
            self.color.setStyleSheet("background: " + qt.QColor.fromRgbF(*structure.color).name())
        else:
            self.color.setStyleSheet("")

    def _changed(self, **changes) -> None:
        cohort = self.owner.desk.cohort
        structure = replace(cohort.structure(self.owner.structure), **changes)
        cohort.record("structure", structure=to_json(structure))

    def _recolor(self) -> None:
        structure = self.owner.desk.cohort.structure(self.owner.structure)
        color = qt.QColorDialog.getColor(qt.QColor.fromRgbF(*structure.color), self.box)
        if not color.isValid():
            return
        values = (round(color.redF(), 3), round(color.greenF(), 3), round(color.blueF(), 3))
        self._changed(color=values)
        work = self.owner.desk.work
        if work is not None:
            work.nodes.segmentation.GetSegmentation().GetSegment(work.nodes.segment_id(structure.name)).SetColor(*values)
        self.show()

    def _turn(self, axis: str) -> None:
        self._changed(axis=axis)
        self.owner.choose_structure(self.owner.structure)

    def _add(self) -> None:
        desk = self.owner.desk
        text = str(
            qt.QInputDialog.getText(self.box, _("New structure"), _("Name of the structure to segment (several: divided by commas)"))
        )
        cohort = desk.cohort
        new = named(text, cohort.structure(self.owner.structure).axis, len(cohort.structures))
        known = [s.name for s in new if s.name in cohort.state.structures]
        if known:
            raise CohortError(_("The cohort has the structure '{name}' already.").format(name=known[0]))
        for structure in new:
            cohort.record("structure", structure=to_json(structure))
        if new:
            self.owner.opened_anew(new[0].name)


def next_structure(case, structures: list[str], current: str) -> str | None:
    """The structure after ``current`` (and round again) that isn't accepted yet; None when all are."""
    place = structures.index(current)
    order = structures[place + 1 :] + structures[:place]
    return next((name for name in order if case.work(name).status != ACCEPTED), None)
