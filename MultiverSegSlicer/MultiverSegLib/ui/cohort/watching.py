"""Notices what is done in the open case: the table follows, and what was done by hand is stored once nothing happens for a moment."""

from __future__ import annotations

import qt
from slicer.i18n import tr as _

from ...cohort.store.records import Case
from ...mrml import prompt_tags

#: Hand-made changes are stored when nothing has happened for this long.
QUIET_MS = 1500


class Watching:
    """``owner``: the CohortPanel. ``stepped`` is to be called a few times a second."""

    def __init__(self, owner) -> None:
        self.owner = owner
        self._seen = None
        self._case: Case | None = None
        self.quiet = qt.QTimer()
        self.quiet.setSingleShot(True)
        self.quiet.setInterval(QUIET_MS)
        self.quiet.connect("timeout()", self.autosave)

    def stop(self) -> None:
        """What is open is about to be put away."""
        self.quiet.stop()

    def autosave(self) -> None:
        """Stores what was done by hand."""
        if self.owner.desk.work is not None:
            self.owner.guarded(self.owner.desk.work.autosave)

    def stepped(self, proposed: list[str]) -> None:
        """Looks what is new; ``proposed``: cases that got proposals in the background."""
        owner, desk = self.owner, self.owner.desk
        for case_id in proposed:
            owner.table.refresh(desk.cohort, desk.cohort.case(case_id))
        if desk.case_id is None:
            return
        if desk.case_id in proposed:
            owner.view.proposed()
        nodes, cohort = desk.work.nodes, desk.cohort
        if nodes.notes:
            owner.say(nodes.notes.pop())
        now = cohort.state.seq, [nodes.stamp(structure.name) for structure in cohort.structures]
        if now != self._seen:
            self._seen = now
            case = cohort.case(desk.case_id)
            owner.table.refresh(cohort, case)
            self.quiet.start()
            self._say_loss(case)

    def _say_loss(self, case: Case) -> None:
        """Says that a change took a reviewer's approval."""
        before, self._case = self._case, case
        if before is not None and before.id == case.id and before.approved and not case.approved:
            who = before.approved_by or _("a reviewer")
            self.owner.say(_("{case} was changed, so the approval by {who} is gone.").format(case=case.id, who=who))
            self.owner.case_actions.show()

    def may_show(self, structure: str) -> bool:
        """Whether a proposal may be put into the open case: the user has not begun, and waits for no prediction."""
        nodes = self.owner.desk.work.nodes
        return self.owner.panel.service.idle(0) and not len(prompt_tags.load(nodes.segmentation, nodes.segment_id(structure)))
