"""The page of proposals: all that wait as small pictures, worst first; opened, accepted as they are, or put aside, from the keyboard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import qt
import slicer
from slicer.i18n import tr as _

from ...cohort.results.proposals import Proposal, is_proposal, proposals
from ...cohort.store.records import NEEDS_REVIEW
from ...cohort.work.case_nodes import plain_of_scene
from ...cohort.work.reviewing import send_to_review
from ...core.errors import CohortError, MultiverSegError
from ...core.worker import InferenceWorker
from ..shared.counting import counted
from ..shared.service import END_S
from ..shared.thumbnails import thumbnail
from ..shared.widgets import button, described
from .accepting_proposals import AcceptingProposals
from .words import remarks_on, size_of, word

_PICTURE = 96
_FROM = 0.9


@dataclass(frozen=True)
class _Picture:
    """What ``thumbnail`` draws."""

    image: np.ndarray
    mask: np.ndarray


class _Keys(qt.QObject):
    """The keys of a widget while it has the focus, whatever other parts of the application mean by them (the effect's R clears prompts).

    Two shortcuts on one key would disable each other; so the key is taken before it becomes one.
    """

    def __init__(self) -> None:
        qt.QObject.__init__(self)
        self.actions: dict[int, Callable[[], object]] = {}

    def eventFilter(self, watched, event):
        kind = event.type()
        if kind not in (qt.QEvent.ShortcutOverride, qt.QEvent.KeyPress):
            return False
        action = self.actions.get(int(event.key()))
        if action is None or int(event.modifiers()) & ~int(qt.Qt.KeypadModifier):
            return False
        event.accept()
        if kind == qt.QEvent.KeyPress and not event.isAutoRepeat():  # held down, it must not accept one after the other
            action()
        return True


class ProposalsPage:
    """``owner``: the CohortPanel. Its pictures are made one by one in a thread while the page is shown."""

    def __init__(self, layout, owner) -> None:
        self.owner = owner
        self._rows: list[Proposal] = []
        self._known: list = []
        self._icons: dict[int, object] = {}
        self._problems: dict[int, str] = {}
        self._making: int | None = None
        self._worker = InferenceWorker()
        self.accepting = AcceptingProposals(owner, self.show)
        self._make(layout)
        owner.panel.service.pulse.follow(self._workers, self._worker.poll)
        slicer.app.connect("aboutToQuit()", self.finish)

    def _make(self, layout) -> None:
        owner = self.owner
        self.button = button(
            _("Proposals…"),
            _("Show all proposals that wait for somebody, worst first, to look through them."),
            _("Page of proposals"),
            checkable=True,
        )
        self.frame = qt.QFrame()
        column = qt.QVBoxLayout(self.frame)
        column.setContentsMargins(0, 0, 0, 0)
        self.list = described(
            qt.QListWidget(),
            _("The proposals, worst first. Arrow keys: from one to the next; Enter: open its case; A: accept it as it is; R: look again."),
            _("Proposals"),
        )
        self.list.setViewMode(qt.QListView.IconMode)
        self.list.setMovement(qt.QListView.Static)
        self.list.setIconSize(qt.QSize(_PICTURE, _PICTURE))
        self.list.setResizeMode(qt.QListView.Adjust)
        self.list.setSelectionMode(qt.QAbstractItemView.ExtendedSelection)
        self.list.setSpacing(2)
        self.list.setMinimumHeight(2 * (_PICTURE + 3 * self.list.fontMetrics().height()))
        self.open_button = button(_("Open"), _("Open the case of the selected proposal (Enter)."), _("Open the case of the proposal"))
        self.accept_button = button(
            _("Accept"), _("Accept the selected proposals as they are, without opening them (A)."), _("Accept the selected proposals")
        )
        self.review_button = button(
            _("Look again"), _("Put the selected proposals aside to be looked at again (R)."), _("Put the selected proposals aside")
        )
        self.above_button = button(
            _("Accept all from"),
            _("Accept all proposals with this confidence or a higher one, after asking. Those put aside are left out."),
            _("Accept all proposals from this confidence on"),
        )
        self.threshold = described(
            qt.QDoubleSpinBox(), _("The confidence from which all are accepted: the Dice to expect."), _("Confidence to accept from")
        )
        self.threshold.setRange(0.0, 1.0)
        self.threshold.setSingleStep(0.01)
        self.threshold.setDecimals(2)
        self.threshold.setValue(_FROM)
        buttons, above = qt.QHBoxLayout(), qt.QHBoxLayout()
        for widget in (self.open_button, self.accept_button, self.review_button):
            buttons.addWidget(widget)
        for widget in (self.above_button, self.threshold):
            above.addWidget(widget)
        column.addWidget(self.list)
        column.addLayout(buttons)
        column.addLayout(above)
        layout.addWidget(self.button)
        layout.addWidget(self.frame)
        self.frame.hide()
        self.button.connect("toggled(bool)", self._unfold)
        self.list.connect("itemSelectionChanged()", self._show_buttons)
        self.list.connect("itemDoubleClicked(QListWidgetItem*)", lambda item: owner.guarded(self.open))
        for widget, action in (
            (self.open_button, self.open),
            (self.accept_button, self.accept),
            (self.review_button, self.review),
            (self.above_button, self.accept_above),
        ):
            widget.connect("clicked()", owner.doing(action))
        self._keys = _Keys()
        for key, action in (
            (qt.Qt.Key_Return, self.open),
            (qt.Qt.Key_Enter, self.open),
            (qt.Qt.Key_A, self.accept),
            (qt.Qt.Key_R, self.review),
        ):
            self._keys.actions[int(key)] = owner.doing(action)
        self.list.installEventFilter(self._keys)

    # Showing

    def show(self) -> None:
        """Shows the proposals as they are now."""
        cohort = self.owner.desk.cohort
        known = [] if cohort is None else [_facts(c, s.name) for c in cohort.cases for s in cohort.structures if is_proposal(c, s.name)]
        text = _("Proposals ({count})…").format(count=len(known)) if known else _("Proposals…")
        if self.button.text != text:
            self.button.text = text
        self.button.enabled = cohort is not None
        if cohort is None:
            self.button.checked = False
            self._icons, self._problems = {}, {}
        if not self.button.checked:
            known = []
        if known != self._known:
            self._known = known
            self._fill(proposals(cohort) if known else [])
        self._show_buttons()
        self._next_picture()

    def stepped(self, proposed: list[str]) -> None:
        """``proposed``: cases that got proposals in the background."""
        if proposed:
            self.show()

    def _unfold(self, shown) -> None:
        self.frame.setVisible(self.button.checked)
        self.owner.guarded(self.show)
        if self.button.checked:
            self.list.setFocus()

    def _fill(self, rows: list[Proposal]) -> None:
        """New items; the selection stays on its proposal, or goes to the one that took its place."""
        before, place = self._current_key(), max(0, self.list.currentRow)
        self._rows = rows
        self.list.clear()
        for row in rows:
            item = qt.QListWidgetItem(self._icon(row), _text(row, len({r.structure for r in rows}) > 1))
            item.setData(qt.Qt.UserRole, [row.case, row.structure])
            item.setToolTip(self._tip(row))
            item.setData(qt.Qt.AccessibleTextRole, ", ".join([row.case, row.structure, *_about(row)]))
            self.list.addItem(item)
        if rows:
            keys = [(row.case, row.structure) for row in rows]
            self.list.setCurrentRow(keys.index(before) if before in keys else min(place, len(rows) - 1))

    def _current_key(self) -> tuple[str, str] | None:
        place = self.list.currentRow
        return (self._rows[place].case, self._rows[place].structure) if 0 <= place < len(self._rows) else None

    def _selected(self) -> list[Proposal]:
        return [row for number, row in enumerate(self._rows) if number < self.list.count and self.list.item(number).isSelected()]

    def _show_buttons(self) -> None:
        cohort, selected = self.owner.desk.cohort, bool(self._selected())
        writable = cohort is not None and not cohort.read_only
        for widget in (self.open_button, self.accept_button, self.review_button):
            widget.enabled = writable and selected
        for widget in (self.above_button, self.threshold):
            widget.enabled = writable and bool(self._rows)

    # What can be done

    def open(self) -> None:
        """Opens the case of the current proposal."""
        key = self._current_key()
        if key is None:
            raise CohortError(_("Select a proposal first."))
        self.owner.go_to(*key)

    def accept(self) -> None:
        """Accepts the selected proposals as they are."""
        selected = self._selected()
        wanted = [row for row in selected if row.acceptable]
        if not wanted:
            why = "; ".join(_about(selected[0])) if selected else _("select one first")
            raise CohortError(_("It can't be accepted as it is: {reason}.").format(reason=why))
        self.accepting.add(wanted)

    def accept_above(self) -> None:
        """Accepts all from a confidence on, after asking."""
        least = round(float(self.threshold.value), 2)
        wanted = [row for row in self._rows if row.above(least)]
        if not wanted:
            raise CohortError(_("No proposal has a confidence of {least:.2f} or more.").format(least=least))
        one = _("Accept the 1 proposal with a confidence of {least:.2f} or more, as it is?")
        several = _("Accept {count} proposals with a confidence of {least:.2f} or more, as they are?")
        if slicer.util.confirmYesNoDisplay(counted(len(wanted), one, several, least=least), _("Accept proposals")):
            self.accepting.add(wanted)

    def review(self) -> None:
        """Puts the cases of the selected proposals aside."""
        desk, note = self.owner.desk, _("put aside on the page of proposals")
        cases = list(dict.fromkeys(row.case for row in self._selected() if not row.to_review))
        for case in cases:
            if case == desk.case_id:
                desk.work.review(note)
            else:
                send_to_review(desk.cohort, [case], note)
            self.owner.table.refresh(desk.cohort, desk.cohort.case(case))
        place = self.list.currentRow
        self.show()
        if cases and place + 1 < len(self._rows):  # on to the next, as after accepting
            self.list.setCurrentRow(place + 1)

    # Pictures

    def _icon(self, row: Proposal):
        return self._icons.get(row.seq) or _blank()

    def _tip(self, row: Proposal) -> str:
        return "\n".join(filter(None, (f"{row.case}, {row.structure}", *_about(row), self._problems.get(row.seq, ""))))

    def _workers(self) -> list[InferenceWorker]:
        return [self._worker]

    def _next_picture(self) -> None:
        """Has the next missing picture made, the worst first."""
        if self._making is not None:
            return
        row = next((row for row in self._rows if row.seq not in self._icons and row.seq not in self._problems), None)
        if row is None:
            return
        cohort = self.owner.desk.cohort
        try:
            volume = plain_of_scene(cohort.case(row.case)) if row.source.kind == "scene" else None
        except MultiverSegError as error:
            self._problems[row.seq] = str(error)
            self._next_picture()
            return
        self._making = row.seq
        self._worker.submit(lambda: row.image(volume), lambda outcome: self._made(cohort, row, outcome))
        self.owner.panel.service.pulse.start()

    def _made(self, cohort, row: Proposal, outcome) -> None:
        self._making = None
        if cohort is not self.owner.desk.cohort:
            return
        if isinstance(outcome, Exception):
            self._problems[row.seq] = str(outcome)
        else:
            self._icons[row.seq] = thumbnail(_Picture(outcome, row.outline), _PICTURE)
        for number, shown in enumerate(self._rows):
            if shown.seq == row.seq and number < self.list.count:
                self.list.item(number).setIcon(self._icon(row))
                self.list.item(number).setToolTip(self._tip(row))
        self._next_picture()

    # Life

    def stop(self) -> None:
        """The cohort is put away."""
        self._worker.cancel()
        self._making = None
        self.accepting.forget()

    def close(self) -> None:
        """The panel is about to be destroyed."""
        self.stop()
        self.list.removeEventFilter(self._keys)
        self._keys.actions = {}
        self.owner.panel.service.pulse.leave(self._worker.poll)
        slicer.app.disconnect("aboutToQuit()", self.finish)
        if not self._worker.close(0):
            self.owner.panel.service.see_off([self._worker])

    def finish(self) -> None:
        """The application ends: no thread may be left."""
        self._worker.close(END_S)


def _facts(case, structure: str) -> tuple:
    """What of a proposal can be seen; the page is filled anew where it differs."""
    work = case.work(structure)
    return case.id, structure, work.proposal["seq"], bool(work.proposal.get("stale")), case.status, work.first_prediction is not None


def _about(row: Proposal) -> list[str]:
    sure = _("confidence {value:.2f}").format(value=row.confidence) if row.confidence is not None else ""
    return [text for text in (sure, size_of(row), *remarks_on(row)) if text]


def _text(row: Proposal, several: bool) -> str:
    """The lines below a picture."""
    sure = "" if row.confidence is None else f"{row.confidence:.2f}  "
    aside = [word(NEEDS_REVIEW)] if row.to_review else []
    return "\n".join([row.case, *([row.structure] if several else []), sure + size_of(row), *aside])


def _blank():
    """Stands where a picture is still to come."""
    pixmap = qt.QPixmap(_PICTURE, _PICTURE)
    pixmap.fill(qt.QColor("#404040"))
    return qt.QIcon(pixmap)
