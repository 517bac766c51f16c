"""Does a case's work again from the journal, through the same engine, and compares every step with what was stored. Main thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...core.errors import CohortError
from ...core.imaging import ImageSettings
from ...core.prompts import Prompts
from ...engine.slice_session import SliceSession
from ...mrml import segments
from ...mrml.slice_plane import SlicePlane
from ..store.cohort import Cohort
from ..store.cohort_contexts import Contexts
from ..store.journal import Event
from ..store.mask_delta import apply_change, array_sha256, change_between, mask_sha256
from .case_nodes import load_source

_FROM_THE_HOST = ("shown", "propagated", "undone")


@dataclass(frozen=True)
class ReplayStep:
    """One replayed event: its number and kind, and what differs from the journal (empty: identical to the bit)."""

    seq: int
    event: str
    structure: str
    difference: str = ""


@dataclass
class Replay:
    """The result: every step, and the masks [k, j, i] by structure at the end."""

    case: str
    steps: list[ReplayStep] = field(default_factory=list)
    masks: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def identical(self) -> bool:
        return not any(step.difference for step in self.steps)


def replay(cohort: Cohort, case_id: str, predictor: Any) -> Replay:
    """Replays a case: prompts, predictions, undo, hand edits, accepts. Changes nothing in the cohort (it may be read-only).

    Predictions are computed again; hand edits, the host's undo, shown proposals and propagations through the volume are taken from the journal,
    which holds their voxels.

    Raises:
        CohortError: no such case, nothing was done in it, or its volume was exchanged.
        ContextError: an example that was used is gone.
    """
    events = list(cohort.journal.events(case=case_id))
    if not any(e["event"] in _STEPS for e in events):
        raise CohortError(f"Nothing was done in case {case_id} yet: there is nothing to replay.")
    player = _Player(cohort, case_id, predictor)
    try:
        for event in events:
            player.play(event)
        return player.finished()
    finally:
        player.close()


class _Player:
    """The nodes and sessions of a replay."""

    def __init__(self, cohort: Cohort, case_id: str, predictor: Any) -> None:
        self.cohort, self.predictor = cohort, predictor
        self.contexts = Contexts(cohort)
        self.volume, self._loaded = load_source(cohort, cohort.case(case_id))
        self.segmentation = segments.new_segmentation(self.volume, f"{case_id} replay")
        self.ids = {s.name: segments.add_segment(self.segmentation, s.name) for s in cohort.structures}
        self.sessions: dict[int, _ReplaySession] = {}
        self.result = Replay(case_id)

    def play(self, event: Event) -> None:
        action = _STEPS.get(event["event"])
        if action is not None and event["structure"] in self.ids:
            difference = action(self, event)
            self.result.steps.append(ReplayStep(event["seq"], event["event"], event["structure"], difference))

    def finished(self) -> Replay:
        self.result.masks = {name: self.mask(name) for name in self.ids}
        return self.result

    def close(self) -> None:
        segments.remove_node(self.segmentation)
        if self._loaded:
            segments.remove_node(self.volume)

    def mask(self, structure: str) -> np.ndarray:
        return segments.get_segment(self.segmentation, self.ids[structure], self.volume) != 0

    def session(self, event: Event) -> _ReplaySession:
        number = event["session"]
        if number not in self.sessions:
            plane, settings = SlicePlane.from_json(event["plane"]), ImageSettings.from_json(event["image"])
            segment_id = self.ids[event["structure"]]
            self.sessions[number] = _ReplaySession(self.volume, self.segmentation, segment_id, plane, settings, self.predictor)
        return self.sessions[number]

    def predicted(self, event: Event) -> str:
        session, before = self.session(event), self.mask(event["structure"])
        session.chosen = [self.contexts.find(event["structure"], e) for e in event["examples"]]
        session.prompts = Prompts.from_json(event["prompts"])
        session.threshold = event["threshold"]
        prediction = session.predict()
        if array_sha256(prediction.logits) != event["logits_sha256"]:
            return "the logits differ"
        return self._compared(event, before)

    def commanded(self, event: Event) -> str:
        session, before = self.sessions.get(event["session"]), self.mask(event["structure"])
        if session is None:
            return "its session has no prediction"
        getattr(session, {"undo": "undo", "redo": "redo", "clear": "clear"}[event["command"]])()
        return self._compared(event, before)

    def edited(self, event: Event) -> str:
        mask = apply_change(self.mask(event["structure"]), event["change"])
        segments.set_segment(self.segmentation, self.ids[event["structure"]], self.volume, mask)
        return ""

    def accepted(self, event: Event) -> str:
        return "" if mask_sha256(self.mask(event["structure"])) == event["mask_sha256"] else "the accepted mask differs"

    def _compared(self, event: Event, before: np.ndarray) -> str:
        change = change_between(before, self.mask(event["structure"]))
        return "" if change == event["change"] else "the change of the segment differs"


class _ReplaySession(SliceSession):
    """A session that gets exactly the examples that were used then."""

    chosen: Sequence[Any] = ()

    def _examples(self, image: np.ndarray) -> tuple[Any, ...]:
        return tuple(self.chosen)


_STEPS = {
    "predicted": _Player.predicted,
    "command": _Player.commanded,
    "edited": _Player.edited,
    "accepted": _Player.accepted,
    **dict.fromkeys(_FROM_THE_HOST, _Player.edited),
}
