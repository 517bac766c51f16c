"""From case to case: the row of buttons, the key that accepts, and the order of work."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

from ...cohort.store.order import ORDERS
from ..shared.widgets import button, choose, combo
from .curve import show_curve
from .structures import next_structure


class Steps:
    """``owner``: the CohortPanel."""

    def __init__(self, layout, owner) -> None:
        self.owner = owner
        row = qt.QHBoxLayout()
        self.previous_button = button(_("Previous"), _("Go to the case before."), _("Previous case"))
        tip = _("Accept all that is segmented in the open case and go to the next (Ctrl+Enter).")
        self.accept_button = button(_("Accept and next"), tip, _("Accept and next case"))
        self.skip_button = button(_("Skip"), _("Leave the open case out and go to the next."), _("Skip case"))
        for widget in (self.previous_button, self.accept_button, self.skip_button):
            row.addWidget(widget)
        layout.addLayout(row)
        row = qt.QHBoxLayout()
        self.order = combo(_("Which case comes next."), _("Order of work"))
        for number, plugin in enumerate(ORDERS):
            self.order.addItem(_(plugin.title), plugin.name)
            self.order.setItemData(number, _(plugin.help), qt.Qt.ToolTipRole)
        self.curve_button = button(_("Curve"), _("Show the interactions per case as a plot."), _("Curve of interactions"))
        row.addWidget(self.order)
        row.addWidget(self.curve_button)
        layout.addLayout(row)
        for widget, action in (
            (self.previous_button, self.previous),
            (self.accept_button, self.accept_and_next),
            (self.skip_button, self.skip),
            (self.curve_button, self.curve),
        ):
            widget.connect("clicked()", action)
        self.order.connect("activated(int)", self._order_chosen)
        self.shortcut = qt.QShortcut(qt.QKeySequence("Ctrl+Return"), owner.panel.widget)
        self.shortcut.setContext(qt.Qt.ApplicationShortcut)
        self.shortcut.autoRepeat = False  # a key held down must not accept case after case
        self.shortcut.connect("activated()", self.accept_and_next)
        self.shortcut.setEnabled(False)

    def show(self, writable: bool) -> None:
        """Shows the cohort as it is now; ``writable``: whether a case is open that may be changed."""
        for widget in (self.previous_button, self.accept_button, self.skip_button):
            widget.enabled = writable
        for widget in (self.curve_button, self.order):
            widget.enabled = self.owner.desk.cohort is not None
        self.shortcut.setEnabled(writable)

    def chosen_order(self) -> str:
        """The name of the order of work."""
        return str(self.order.itemData(self.order.currentIndex) or "")

    def choose_order(self, name: str) -> None:
        """Shows the order of a cohort that was opened."""
        choose(self.order, name)

    def _order_chosen(self, index) -> None:
        cohort = self.owner.desk.cohort
        if cohort is not None and not cohort.read_only:
            self.owner.guarded(lambda: cohort.record("setting", name="order", value=self.chosen_order()))

    def go_to(self, case_id: str, structure: str = "") -> None:
        """Opens a case; ``structure``: to work on this one."""
        owner = self.owner
        if structure and case_id == owner.desk.case_id:
            owner.choose_structure(structure)
            return
        owner.prefer_structure(structure)
        owner.guarded(lambda: owner.open_case(lambda: owner.desk.go_to(case_id)))

    def previous(self) -> None:
        """Opens the case before."""
        self.owner.guarded(lambda: self.owner.open_case(self.owner.desk.previous))

    def skip(self) -> None:
        """Leaves the open case out and opens the next."""
        owner = self.owner
        owner.guarded(lambda: owner.open_case(lambda: owner.desk.skip_and_next(order=self.chosen_order())))

    def accept_and_next(self) -> None:
        """Accepts the open case (all structures that are segmented) and opens the next."""
        owner = self.owner

        def accept() -> None:
            owner.open_case(lambda: owner.desk.accept_and_next(order=self.chosen_order()))

        owner.guarded(lambda: owner.accepting.when_answered(accept))

    def accept_structure(self) -> None:
        """Accepts the structure that is worked on, and goes to the case's next one; after the last to the next case."""
        owner = self.owner
        owner.guarded(lambda: owner.accepting.when_answered(self._accept_structure))

    def _accept_structure(self) -> None:
        self.owner.contexts.accept_structure(self.owner.structure)
        self.after_structure()

    def after_structure(self) -> None:
        """The structure worked on is done: on to the case's next one, or to the next case."""
        owner, desk = self.owner, self.owner.desk
        following = next_structure(desk.cohort.case(desk.case_id), list(desk.cohort.state.structures), owner.structure)
        if following is not None:
            owner.choose_structure(following)
        else:
            owner.open_case(lambda: desk.next(self.chosen_order()))

    def curve(self) -> None:
        """Shows the curve of interactions."""
        self.owner.guarded(lambda: show_curve(self.owner.desk.cohort))
