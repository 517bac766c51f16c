"""Accepts proposals one after the other while the user goes on looking: their volumes are read in a thread."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from slicer.i18n import tr as _

from ...cohort.results.proposals import Proposal
from ...cohort.work.accept_files import Prepared, ToAccept
from ...cohort.work.case_nodes import scene_volumes
from ...cohort.work.reviewing import Reviewed, accept_by_nodes, accept_shown, checked
from ...core.errors import CohortError, MultiverSegError
from ..shared.counting import counted
from .long_work import InThread, Progress, Steps, Told


class AcceptingProposals:
    """``owner``: the CohortPanel; ``changed``: called after each case."""

    def __init__(self, owner, changed) -> None:
        self.owner, self._changed = owner, changed
        self._waiting: dict[str, list[str]] = {}

    def add(self, rows: Iterable[Proposal]) -> None:
        """Accepts these too.

        Raises:
            MultiverSegError: something else is being done.
        """
        going_on = bool(self._waiting)
        before = {case: list(names) for case, names in self._waiting.items()}
        for row in rows:
            names = self._waiting.setdefault(row.case, [])
            if row.structure not in names:
                names.append(row.structure)
        if going_on:
            return  # the steps that are under way come to them
        try:
            self.owner.tasks.start(self._steps(self.owner.desk), self._done)
        except MultiverSegError:
            self._waiting = before
            raise

    def forget(self) -> None:
        """What was not accepted yet is not wanted any more."""
        self._waiting = {}

    def _steps(self, desk) -> Steps:
        done, cohort = Reviewed(), desk.cohort
        try:
            while self._waiting:
                case = next(iter(self._waiting))
                yield Told(_("Accepting {case}").format(case=case), len(done.accepted), len(done.accepted) + len(self._waiting))
                try:
                    names, made = self._waiting[case], None
                    if case != desk.case_id:
                        names = checked(cohort, case, names)
                        ready = ToAccept.of(cohort, case, names, scene_volumes(cohort, [case]))
                        if ready is not None:
                            made = yield InThread(partial(_prepare, ready))
                    if case == desk.case_id:
                        if made is not None:  # it was opened meanwhile
                            made.drop()
                        done.accepted[case] = self._open(names)
                    elif made is not None:
                        done.accepted[case] = made.store(cohort, desk.contexts)
                    else:
                        done.accepted[case] = accept_by_nodes(cohort, case, names, desk.contexts)
                except MultiverSegError as error:
                    done.left_out[case] = str(error)
                self._waiting.pop(case, None)
                self.owner.table.refresh(cohort, cohort.case(case))
                self._changed()
        finally:
            self._waiting = {}
        return done

    def _open(self, names: list[str]) -> list[str]:
        """Accepts proposals of the open case, which stays open."""
        owner, work = self.owner, self.owner.desk.work
        if owner.accepting.unanswered() or owner.panel.predict.busy:
            raise CohortError(_("{case} is open, and something is being predicted in it: accept it there.").format(case=work.case_id))
        for name in checked(work.cohort, work.case_id, names):
            work.show_proposal(name)
        return accept_shown(work, names)

    def _done(self, done: Reviewed) -> None:
        self.owner.contexts.changed.emit()
        self.owner.panel.contexts.changed.emit()
        count = sum(len(names) for names in done.accepted.values())
        text = counted(count, _("1 proposal was accepted as it is."), _("{count} proposals were accepted as they are."))
        if done.left_out:
            self.owner.outcome.tell(text, done.left_out)
        else:
            self.owner.say(text)


def _prepare(ready: ToAccept, progress: Progress) -> Prepared | None:
    return ready.prepare()
