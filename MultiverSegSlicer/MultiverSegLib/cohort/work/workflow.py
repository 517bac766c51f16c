"""The desk on which one case lies at a time: open a cohort, go from case to case, the next one loaded ahead. No Qt; main thread.

Slicer's panel and the tests drive the same desk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ...core.errors import CohortError, MultiverSegError
from ...engine.session_events import SessionEvents
from ...mrml.segments import SegmentWriter
from ...mrml.volumes import node_of
from ..store.cohort import Cohort
from ..store.cohort_contexts import Contexts
from ..store.noticing import keep
from ..store.order import next_case, previous_case
from .case_nodes import CaseNodes
from .open_case import OpenCase
from .prefetch import CroppedMask, PrefetchedCase, PrefetchTask


class Desk:
    """At most one open cohort, one open case and one case loaded ahead.

    Args:
        predictor: for the sessions of cases; may be None where the host predicts itself.
        writer: how segments are written.
        clock: monotonic seconds, for the active time.
        events: of the sessions on which the open case keeps its journal (see ``OpenCase``); None: only of those that the case makes.
    """

    def __init__(
        self,
        predictor: Any = None,
        writer: SegmentWriter | None = None,
        clock: Callable[[], float] = time.monotonic,
        events: SessionEvents | None = None,
    ) -> None:
        self.predictor, self.writer = predictor, writer
        self.cohort: Cohort | None = None
        self.contexts: Contexts | None = None
        self.work: OpenCase | None = None
        self._clock, self._events = clock, events
        self._ahead: PrefetchedCase | None = None

    def open(self, folder: Path | str, who: str = "") -> Cohort:
        """Opens the cohort in ``folder``; the one open before is closed."""
        return self.take(Cohort.open(folder, who))

    def take(self, cohort: Cohort) -> Cohort:
        """Works on a cohort that is open already (a new one, say); the one before is closed.

        Raises:
            CohortError: the one before can't be stored; both are closed.
        """
        try:
            self.close()
        except BaseException:
            cohort.close()
            raise
        self.cohort, self.contexts = cohort, Contexts(cohort)
        return cohort

    @property
    def case_id(self) -> str | None:
        """The open case."""
        return self.work.case_id if self.work is not None else None

    def go_to(self, case_id: str) -> OpenCase:
        """Opens a case, with its proposals where nothing was done yet; the case before is closed and kept as it is.

        Raises:
            CohortError: the case before can't be stored; it stays open.
            CohortError, VolumeError, SegmentationError: read-only, unknown, or its files are missing; then no case is open.
        """
        cohort = self._writable()
        cohort.case(case_id)
        if self.work is not None:
            self.work.store()  # where that fails, the case stays open
        self.close_case()
        ahead, self._ahead = self._ahead, None
        ahead = ahead if ahead is not None and ahead.case_id == case_id else PrefetchedCase(case_id)
        nodes = None
        if ahead.volume is not None:
            nodes = CaseNodes(cohort, case_id, lambda: node_of(ahead.volume, ahead.window_level))
            keep(cohort, ahead.told, case_id)
        self.work = OpenCase(cohort, case_id, self.predictor, self.writer, self.contexts, nodes, self._clock, self._events)
        for structure in cohort.structures:
            seq, cut = ahead.proposals.get(structure.name, (None, None))
            current = cohort.case(case_id).work(structure.name).proposal.get("seq")
            self.work.show_proposal(structure.name, cut if seq == current else None)
        return self.work

    def next(self, order: str = "") -> OpenCase | None:
        """Goes to the next open case; None when nothing is left (then no case is open)."""
        case = next_case(self._writable().state, order, self.case_id)
        if case is None:
            self.close_case()
            return None
        return self.go_to(case.id)

    def previous(self) -> OpenCase | None:
        """Goes to the case before in file order; None at the top (the open case stays)."""
        case = previous_case(self._writable().state, self._current())
        return None if case is None else self.go_to(case.id)

    def accept_and_next(self, structures: Iterable[str] | None = None, order: str = "", absent: Iterable[str] = ()) -> OpenCase | None:
        """Accepts the open case (structures in ``absent`` as not there) and goes to the next.

        Raises:
            SegmentationError: nothing is segmented; the case stays open.
        """
        self._current()
        self.work.accept(structures, absent)
        return self.next(order)

    def skip_and_next(self, note: str = "", order: str = "") -> OpenCase | None:
        """Leaves the open case out and goes to the next."""
        self._current()
        self.work.skip(note)
        return self.next(order)

    def load_ahead(self, order: str = "") -> str | None:
        """Reads the case that ``next`` would open, if it isn't yet; gives its id. A case that can't be read is left for ``next`` to report."""
        wanted = self.to_read(order)
        if wanted is not None:
            try:
                self.keep_ahead(wanted.read())
            except MultiverSegError:
                return None
        return self._ahead.case_id if self._ahead is not None else None

    def to_read(self, order: str = "") -> PrefetchTask | None:
        """What is to be read ahead now: the case that ``next`` would open; None where it has been read, or there is none."""
        case = next_case(self.cohort.state, order, self.case_id) if self.cohort is not None and not self.cohort.read_only else None
        if self._ahead is not None and (case is None or self._ahead.case_id != case.id):
            self._ahead = None
        return None if case is None or self._ahead is not None else PrefetchTask.of(self.cohort, case.id)

    @property
    def ahead(self) -> PrefetchedCase | None:
        """The case that was read ahead."""
        return self._ahead

    def keep_ahead(self, ahead: PrefetchedCase) -> None:
        """Keeps a case that was read (in a thread, say) until it is opened or another one is next."""
        self._ahead = ahead

    def keep_proposal(self, case_id: str, structure: str, seq: int, cut: CroppedMask) -> None:
        """A proposal was made for the case that was read ahead."""
        if self._ahead is not None and self._ahead.case_id == case_id:
            self._ahead = self._ahead.with_proposal(structure, seq, cut)

    def close_case(self) -> None:
        """Puts the open case away."""
        work, self.work = self.work, None
        if work is not None:
            work.close()

    def close(self) -> None:
        """Puts everything away and gives the cohort's lock back, also where something can't be stored.

        Raises:
            CohortError: what could not be stored, and why.
        """
        cohort, self._ahead = self.cohort, None
        self.cohort = self.contexts = None
        try:
            self.close_case()
        finally:
            if cohort is not None:
                cohort.close()

    def forget_scene(self) -> None:
        """The scene was closed and took the nodes along: what is open is gone, what was done is in the journal."""
        work, self.work, self._ahead = self.work, None, None
        if work is not None:
            work.abandon()

    def _writable(self) -> Cohort:
        if self.cohort is None:
            raise CohortError("No cohort is open: open or begin one first.")
        self.cohort.check_writable()
        return self.cohort

    def _current(self) -> str:
        if self.work is None:
            raise CohortError("No case is open: choose one in the table.")
        return self.work.case_id
