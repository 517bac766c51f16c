"""Work on one case, written down as it goes: the same engine for Slicer's panel and for the command line. Main thread.

work = OpenCase(cohort, "p07", predictor)
session = work.session("liver")                 # a SliceSession that keeps the journal
session.add(Point((12.0, -4.5, 30.0)))
session.predict()
work.accept()                                   # result saved, max slice into the context, case done
work.close()
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ...core.confidence import mask_dice
from ...core.errors import CohortError, SegmentationError
from ...core.imaging import ImageSettings
from ...core.prompts import Prompts
from ...engine.make_example import example_of
from ...engine.session_events import SessionEvents
from ...engine.slice_session import PredictionRequest, SliceSession
from ...mrml import labelmaps, markups, prompt_tags, segments, volumes
from ...mrml.axes import axis_number, on_slice
from ...mrml.masks import load_mask
from ...mrml.measures import measures
from ...mrml.slice_plane import SlicePlane
from ..store.cohort import Cohort
from ..store.cohort_contexts import Contexts
from ..store.files import save_with
from ..store.mask_delta import apply_change, change_between, unpack_map
from ..store.noticing import noting
from ..store.records import ACCEPTED, NEEDS_REVIEW
from .absence import example_of_absence
from .case_nodes import CaseNodes, segment_slice
from .case_session import CaseSession
from .prefetch import CroppedMask
from .recorder import CaseRecorder, restored_masks


class OpenCase:
    """An open case of a cohort that is open for writing.

    Args:
        cohort, case_id: which case.
        predictor: a Predictor; None: only for accepting, editing and looking.
        writer: how segments are written (undo and masking of the host); None: plainly.
        contexts: the cohort's contexts, shared between cases; None: opened anew.
        nodes: the case's nodes, if they were loaded ahead.
        clock: monotonic seconds.
        events: of the sessions whose journal is kept, whoever makes them; None: only of those made by ``session``.

    Raises:
        CohortError, VolumeError, SegmentationError: read-only, no such case, or its files are missing or damaged.
    """

    def __init__(
        self,
        cohort: Cohort,
        case_id: str,
        predictor: Any = None,
        writer: segments.SegmentWriter | None = None,
        contexts: Contexts | None = None,
        nodes: CaseNodes | None = None,
        clock: Callable[[], float] = time.monotonic,
        events: SessionEvents | None = None,
    ) -> None:
        self.events = events or SessionEvents()
        self.cohort, self.case_id, self.predictor, self.writer = cohort, case_id, predictor, writer
        self._masks: dict[str, np.ndarray] = {}
        self._stamps: dict[str, int] = {}
        self._sessions: list[CaseSession] = []
        self._numbers: dict[SliceSession, int] = {}
        try:
            cohort.check_writable()
            self.contexts = contexts or Contexts(cohort)
            with noting(cohort, case_id):
                nodes = self.nodes = nodes or CaseNodes(cohort, case_id)
            self.recorder = CaseRecorder(cohort, case_id, clock)
            self._first_number = cohort.state.seq
            self._reconcile()
        except BaseException:
            if nodes is not None:
                nodes.close()
            raise
        nodes.remember(self._masks)
        self.events.requesting.connect(self._requesting)
        self.events.predicted.connect(self._predicted)

    # --- predicting

    def session(self, structure: str = "", plane: SlicePlane | None = None) -> CaseSession:
        """A session on a plane (None: ``plane_for``) that records what is done in it."""
        structure = self.cohort.structure(structure).name
        session = CaseSession(self, structure, plane or self.plane_for(structure))
        self._sessions.append(session)
        return session

    def plane_for(self, structure: str) -> SlicePlane:
        """The slice to work on: that of the proposal, else the max slice of what is segmented, else the middle of the volume."""
        axis, settings = self.nodes.axis(structure), self.settings(structure)
        proposed = self.cohort.case(self.case_id).work(structure).proposal.get("index")
        if self._masks[structure].any():
            index = segments.max_slice(self.nodes.segmentation, self.nodes.segment_id(structure), self.nodes.volume, axis)
        elif proposed is not None:
            index = int(proposed)
        else:
            index = volumes.dimensions_of(self.nodes.volume)[axis_number(axis)] // 2
        return SlicePlane.from_volume(self.nodes.volume, axis, index, settings)

    def settings(self, structure: str) -> ImageSettings:
        """How slices of the structure are shown to the network."""
        stored = self.cohort.structure(structure).image
        return ImageSettings.from_json(dict(stored)) if stored else ImageSettings()

    def show_proposal(self, structure: str, cut: CroppedMask | None = None) -> bool:
        """Puts the structure's proposal into its segment if nothing is there yet; it stays a proposal until accepted.

        ``cut``: its voxels, where they are at hand; None: from its file.
        """
        proposal = self.cohort.case(self.case_id).work(structure).proposal
        path = self.cohort.resolve(proposal["file"]) if proposal.get("file") else None
        if path is None or self._masks[structure].any():
            return False
        if cut is None:
            if not path.is_file():
                return False
            cut = CroppedMask.of(load_mask(self.nodes.volume, path, structure))
        if not cut.inside.size:
            return False
        nodes, segment_id = self.nodes, self.nodes.segment_id(structure)
        if not labelmaps.fill_empty(nodes.segmentation, segment_id, nodes.volume, cut.first, cut.inside):
            segments.set_segment(nodes.segmentation, segment_id, nodes.volume, cut.whole())
        event = self._event_of(proposal["seq"])
        fields = {k: event[k] for k in ("model", "examples", "confidence", "plane", "image", "mask") if k in event}
        self._masks[structure] = cut.whole().view(bool)
        self._looked(structure, None)
        self.cohort.record("shown", case=self.case_id, structure=structure, proposal=proposal["seq"], change=cut.as_change(), **fields)
        return True

    def uncertainty(self, structure: str) -> tuple[SlicePlane, np.ndarray] | None:
        """Where, and how unsure (0..1, [n, n]), the model was about the structure's proposal; None without one (or from an older version)."""
        proposal = self.cohort.case(self.case_id).work(structure).proposal
        event = self._event_of(proposal["seq"]) if proposal.get("file") else {}
        if "uncertainty" not in event:
            return None
        plane = SlicePlane.from_json(event["plane"])
        return plane, unpack_map(event["uncertainty"], (plane.size, plane.size))

    def untouched(self, structure: str) -> bool:
        """Whether neither the person nor the model has done anything yet, so that a proposal may be put in."""
        return not self.cohort.case(self.case_id).work(structure).touched and not self.nodes.stamp(structure)

    def propagated(self, structure: str, facts: dict[str, Any]) -> None:
        """Notes that propagation through the volume was committed; ``facts`` say with what (model, examples, confidence, limits)."""
        change = self.take_change(structure)
        self.recorder.acted = True
        self.cohort.record("propagated", case=self.case_id, structure=structure, change=change, **facts)

    def number_of(self, session: SliceSession) -> int:
        """The number of a session in the journal."""
        return self._numbers.setdefault(session, len(self._numbers) + self._first_number)

    def _requesting(self, session: SliceSession) -> None:
        """Keeps the journal of every session on this case's segmentation, whoever made it."""
        structure = self._structure_of(session)
        if structure is None:
            return
        if isinstance(session, CaseSession):
            session.store_prompts()
        self.note_edits(structure, session.plane)
        self.recorder.prompted(structure, self.tagged(structure))

    def _predicted(self, session: SliceSession, request: PredictionRequest, prediction: Any) -> None:
        structure = self._structure_of(session)
        if structure is None:
            return
        self.recorder.predicted(
            structure,
            prediction,
            plane=session.plane.to_json(),
            image=session.settings.to_json(),
            examples=[example.id for example in request.examples],
            session=self.number_of(session),
            prompts=session.prompts,
            change=self.take_change(structure, session.plane),
            threshold=session.threshold,
        )

    # --- bookkeeping

    def note_edits(self, structure: str, plane: SlicePlane | None = None) -> None:
        """Records what the person changed by hand since the last look, in the whole volume or on one slice of it; also what the host's undo took
        back, which is told by the prompts: they are kept with the voxels."""
        prompts = self.tagged(structure)
        if self.recorder.is_undo(structure, prompts):
            before, after = self._before_and_now(structure, None)
            self.recorder.undone(structure, prompts, before, after)
            self._masks[structure] = np.array(after)
            self._looked(structure, None)
            return
        if self.nodes.stamp(structure) == self._stamps.get(structure):
            return
        before, after = self._before_and_now(structure, plane)
        if self.recorder.edited(structure, before, after) is not None:
            self._masks[structure] = np.array(after)
        self._looked(structure, plane)

    def autosave(self) -> None:
        """Stores what the person did by hand and the active time so far. Hosts call it when a stroke has ended and nothing else happens."""
        for structure in self._masks:
            self.note_edits(structure)
            self.recorder.prompted(structure, self.tagged(structure))
        self.recorder.pause()

    def take_change(self, structure: str, plane: SlicePlane | None = None) -> dict[str, Any] | None:
        """The change of the segment since the last look, which the caller records."""
        before, after = self._before_and_now(structure, plane)
        change = change_between(before, after)
        self._masks[structure] = np.array(after) if change else self._masks[structure]
        self._looked(structure, plane)
        return change

    def accept(self, structures: Iterable[str] | None = None, absent: Iterable[str] = (), via: str = "") -> list[str]:
        """The person says that the given structures (None: all that are not empty) are done. Returns their names.

        The segmentation and the prompts are saved, the max slice of each becomes an example (instead of an older one of this case), and
        the journal is told last, so that a crash in between is an accept that was not made.

        Args:
            absent: structures that are not in this volume: they are accepted as that, and an empty slice becomes the example.
            via: how it was accepted where that was not in the open case ("review").

        Raises:
            SegmentationError: a structure is empty, or one that is said to be absent is not.
        """
        gone = [self.cohort.structure(s).name for s in absent]
        chosen = [self.cohort.structure(s).name for s in structures] if structures is not None else self._segmented()
        chosen = [*chosen, *(name for name in gone if name not in chosen)]
        for structure in chosen:
            self.note_edits(structure)
            self.recorder.prompted(structure, self.tagged(structure))
        for name in gone:
            if self._masks[name].any():
                raise SegmentationError(
                    f"{name} is segmented in {self.case_id}: erase it before it is accepted as absent, or accept it as it is."
                )
        empty = [s for s in chosen if s not in gone and not self._masks[s].any()]
        if empty or not chosen:
            raise SegmentationError(
                f"{empty[0] if empty else 'Every structure'} is empty in {self.case_id}: segment something, accept it as absent, "
                "or skip the case."
            )
        self.nodes.save()
        for structure in chosen:
            self._save_prompts(structure)
            facts = {**self._measures(structure), "absent": structure in gone or None, "via": via or None}
            example = example_of_absence(self, structure) if structure in gone else self._example(structure)
            self.contexts.replace_case(structure, example)
            kept = None if structure in gone else self._first_vs_accepted_dice(structure)
            facts |= {"example": example.id, "first_vs_accepted_dice": kept}
            self.recorder.accepted(structure, self._masks[structure], **facts)
            prompt_tags.save_own(self.nodes.segmentation, self.nodes.segment_id(structure), Prompts())
        return chosen

    def skip(self, note: str = "") -> None:
        """Leaves the case out, also as an example; ``note`` says why."""
        self._stored_before_leaving()
        self.contexts.skip(self.case_id, note)

    def review(self, note: str = "") -> None:
        """Marks the case to be looked at again."""
        self._stored_before_leaving()
        self.cohort.record("status", case=self.case_id, status=NEEDS_REVIEW, note=note)

    def reopen(self, structures: Iterable[str] = ()) -> None:
        """Takes the acceptance back (of some structures), to go on working; see ``Contexts.reopen``."""
        self.contexts.reopen(self.case_id, structures)

    def prompts(self, structure: str) -> Prompts:
        """The structure's prompts as the journal knows them, in the segmentation's own coordinates; none once it is accepted."""
        return self.recorder.prompts(structure)

    @property
    def acted(self) -> bool:
        """Whether anything was done in the case since it was opened."""
        return self.recorder.acted

    def store(self) -> None:
        """Records what was done by hand, and saves the segmentation unless all of it is accepted and saved.

        Raises:
            CohortError: the disk refuses; the case stays as it is.
        """
        if self.nodes.segmentation is None or self.cohort.read_only:
            return
        self.autosave()
        works = self.cohort.case(self.case_id).works.values()
        unfinished = any(work.interactions and work.status != ACCEPTED for work in works)
        there = self.cohort.segmentation_path(self.case_id).is_file()
        if unfinished and self.nodes.in_scene and (there or self._segmented()):
            self.nodes.save()

    def close(self) -> None:
        """Stores what was done and removes the case's nodes, these also where storing fails.

        Raises:
            CohortError: see ``store``.
        """
        self._let_go()
        try:
            self.store()
        finally:
            self.nodes.close()

    def abandon(self) -> None:
        """The scene took the nodes away: only the active time is left to store."""
        self._let_go()
        if not self.cohort.read_only:
            self.recorder.pause()

    # --- details

    def _let_go(self) -> None:
        self.events.requesting.disconnect(self._requesting)
        self.events.predicted.disconnect(self._predicted)
        for session in self._sessions:
            session.close()

    def _structure_of(self, session: SliceSession) -> str | None:
        if session.segmentation_node is not self.nodes.segmentation or self.nodes.segmentation is None:
            return None
        return next((name for name in self._masks if self.nodes.segment_id(name) == session.segment_id), None)

    def _segmented(self) -> list[str]:
        return [name for name in self._masks if self.nodes.stamp(name) and self.nodes.mask(name).any()]

    def _stored_before_leaving(self) -> None:
        """What was done before belongs before the case's new status, which it would else undo."""
        self.recorder.touch()
        self.autosave()

    def tagged(self, structure: str) -> Prompts:
        """The structure's prompts as they are now, in the segmentation's own coordinates."""
        return prompt_tags.load_own(self.nodes.segmentation, self.nodes.segment_id(structure))

    def _reconcile(self) -> None:
        """A result that was changed outside of the cohort (in another program) since its journal ended is an edit."""
        shape = volumes.dimensions_of(self.nodes.volume)[::-1]
        known: dict[str, np.ndarray] = {}
        for event in self.cohort.journal.events(case=self.case_id):
            if event.get("change"):
                name = event["structure"]
                known[name] = apply_change(known.get(name, np.zeros(shape, bool)), event["change"])
        for structure in self.cohort.state.structures:
            self._masks[structure] = known.get(structure, np.zeros(shape, bool))
            if self.nodes.stamp(structure):
                self.note_edits(structure)

    def _looked(self, structure: str, plane: SlicePlane | None) -> None:
        """Remembers how far the segment is known; after a look at one slice the others may still hold news."""
        if plane is None or plane.axis is None:
            self._stamps[structure] = self.nodes.stamp(structure)

    def _before_and_now(self, structure: str, plane: SlicePlane | None) -> tuple[np.ndarray, np.ndarray]:
        before = self._masks[structure]
        if plane is None or plane.axis is None:
            return before, self.nodes.mask(structure) != 0
        now = before.copy()
        now[on_slice(plane.axis, plane.index)] = segment_slice(
            self.nodes.segmentation, self.nodes.segment_id(structure), self.nodes.volume, plane.axis, plane.index
        )
        return before, now

    def _example(self, structure: str) -> Any:
        nodes, axis, settings = self.nodes, self.nodes.axis(structure), self.settings(structure)
        index = segments.max_slice(nodes.segmentation, nodes.segment_id(structure), nodes.volume, axis)
        plane = SlicePlane.from_volume(nodes.volume, axis, index, settings)
        model = self.cohort.case(self.case_id).work(structure).model
        return example_of(nodes.volume, nodes.segmentation, nodes.segment_id(structure), plane, settings, self.case_id, structure, model)

    def _measures(self, structure: str) -> dict[str, Any]:
        return measures(self._masks[structure], volumes.ijk_to_ras(self.nodes.volume), self.nodes.axis(structure))

    def _first_vs_accepted_dice(self, structure: str) -> float | None:
        """Dice of what the structure's first prediction in this case left on its slice against what is accepted there; None without one.

        Voxels are compared with voxels: the network's own grid is coarser, so that even a result accepted untouched would differ from it.
        """
        first = self.recorder.first_prediction(structure)
        if first is None or "plane" not in first:
            return None
        so_far = (e for e in self.cohort.journal.events(case=self.case_id) if e["seq"] <= first["seq"] and e.get("structure") == structure)
        accepted = self._masks[structure]
        written = restored_masks(so_far, accepted.shape).get(structure, np.zeros_like(accepted))
        sheet = SlicePlane.from_json(first["plane"]).sheet_of(self.nodes.volume)
        return round(mask_dice(sheet.take(written) & sheet.in_view, sheet.take(accepted) & sheet.in_view), 4)

    def _save_prompts(self, structure: str) -> Path | None:
        prompts = self.prompts(structure)
        if not len(prompts):
            return None
        path = self.cohort.prompts_path(self.case_id, structure)
        save_with(path, lambda target: markups.save_prompts(prompts, target))
        return path

    def _event_of(self, seq: int) -> dict[str, Any]:
        found = next(self.cohort.journal.events(after=seq - 1), None)
        if found is None:
            raise CohortError(f"{self.cohort.journal.path} has no event {seq}: restore it from a copy.")
        return found
