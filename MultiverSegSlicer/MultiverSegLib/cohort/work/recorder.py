"""Writes down the work on one case: prompts, predictions, edits, active seconds. Slicer's widget and the command line use the same one.

It sees arrays and prompts, no nodes. What it stores is enough to restore an interrupted case without a model, and to replay it with one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ...core.predicting import Prediction
from ...core.prompts import Prompt, Prompts
from ..store.cohort import Cohort
from ..store.journal import Event
from ..store.mask_delta import apply_change, array_sha256, change_between, mask_sha256, pack_bits
from .active_time import ActivityClock


class CaseRecorder:
    """The journal's pen while a case is open.

    Args:
        cohort: open for writing.
        case_id: the case.
        clock: monotonic seconds, for the active time.
    """

    def __init__(self, cohort: Cohort, case_id: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.cohort = cohort
        self.case_id = case_id
        self._clock = ActivityClock(cohort.setting("idle_after_s"), clock)
        self._prompts = restored_prompts(cohort.journal.events(case=case_id))
        self.acted = False
        self._taken_back: dict[str, list[Prompt]] = {}
        cohort.record("opened", case=case_id)

    def prompts(self, structure: str) -> Prompts:
        """The structure's prompts as the journal knows them, in the segmentation's own coordinates."""
        return self._prompts.get(structure, Prompts())

    def prompted(self, structure: str, prompts: Prompts) -> None:
        """The prompts of a structure are now these: what was added counts as interactions, what was taken away as "undo"."""
        before = self.prompts(structure)
        if prompts == before:
            return
        self._clock.touch()
        added = [p for p in prompts if p not in before.items]
        counts = Prompts(tuple(added)).counts()
        removed = self._take_back(structure, before, prompts)
        if removed:
            counts["undo"] = removed
        self._prompts[structure] = prompts
        self._record("prompt", structure, op="set", prompts=prompts.to_json(), counts=counts)

    def is_undo(self, structure: str, prompts: Prompts) -> bool:
        """Whether the host's undo (or redo) explains that the prompts are these: some went, or some that had gone are back."""
        before = self.prompts(structure)
        added = [p for p in prompts if p not in before.items]
        back = bool(added) and all(p in self._taken_back.get(structure, ()) for p in added)
        return any(p not in prompts.items for p in before) or back

    def undone(self, structure: str, prompts: Prompts, before: np.ndarray, after: np.ndarray) -> None:
        """The host took prompts back (or made them again) and, perhaps, what they had given: the masks [k, j, i] before and now."""
        self._clock.touch()
        known, fresh = self.prompts(structure), self._taken_back.get(structure, [])
        again = [p for p in prompts if p not in known.items and p in fresh]
        removed = self._take_back(structure, known, prompts)
        kept = Prompts(tuple(p for p in prompts if p in known.items or p in again))
        counts = {name: number for name, number in (("undo", removed), ("redo", len(again))) if number}
        self._prompts[structure] = kept
        self._record("undone", structure, prompts=kept.to_json(), counts=counts, change=change_between(before, after))

    def _take_back(self, structure: str, before: Prompts, after: Prompts) -> int:
        """Remembers what of ``before`` is gone; gives the number."""
        removed = [p for p in before if p not in after.items]
        self._taken_back.setdefault(structure, []).extend(removed)
        return len(removed)

    def predicted(
        self,
        structure: str,
        prediction: Prediction,
        *,
        plane: Mapping[str, Any],
        image: Mapping[str, Any],
        examples: Sequence[str],
        session: int,
        prompts: Prompts,
        change: Mapping[str, Any] | None = None,
        threshold: float = 0.5,
    ) -> Event:
        """A prediction was made and, if ``change`` is given, written to the segment.

        Args:
            prediction: see ``core.predicting``.
            plane, image: SlicePlane and ImageSettings as JSON.
            examples: ids of the examples it was made with, in order.
            session: which of the case's sessions it was made in (their previous logits and undo steps are their own).
            prompts: the session's prompts.
            change: ``changes.change_between`` of the segment before and after.
        """
        self._clock.touch()
        return self._record(
            "predicted",
            structure,
            model=prediction.model,
            examples=list(examples),
            confidence=_finite(prediction.confidence),
            presence=_finite(prediction.presence),
            seconds=_finite(prediction.seconds),
            plane=dict(plane),
            image=dict(image),
            prompts=prompts.to_json(),
            session=session,
            threshold=threshold,
            mask=pack_bits(np.asarray(prediction.probability) > threshold),
            logits_sha256=array_sha256(prediction.logits),
            change=change,
        )

    def commanded(self, structure: str, command: str, session: int, prompts: Prompts, change: Mapping[str, Any] | None) -> Event:
        """The person took steps of a session back ("undo", "clear") or made them again ("redo"); ``prompts`` are those left."""
        self._clock.touch()
        self._prompts[structure] = prompts
        return self._record("command", structure, command=command, session=session, prompts=prompts.to_json(), change=change)

    def edited(self, structure: str, before: np.ndarray, after: np.ndarray) -> Event | None:
        """The person changed the segment by hand (masks [k, j, i]); nothing is stored if it is the same."""
        change = change_between(before, after)
        if change is None:
            return None
        self._clock.touch()
        return self._record("edited", structure, change=change)

    def touch(self) -> None:
        """The person did something that isn't recorded, such as scrolling: the active time goes on."""
        self._clock.touch()

    def pause(self) -> None:
        """Stores the active seconds so far."""
        seconds = round(self._clock.taken(), 3)
        if seconds:
            self.cohort.record("active", case=self.case_id, seconds=seconds)

    def accepted(self, structure: str, mask: np.ndarray, **facts: Any) -> Event:
        """The person says the structure is done. Its prompts have done their work: what comes now begins without them.

        Args:
            mask: the accepted voxels [k, j, i].
            facts: example, area_mm2, volume_ml, first_vs_accepted_dice and the like; None is left out.
        """
        self._clock.touch()
        self.pause()
        known = {name: value for name, value in facts.items() if value is not None}
        self._take_back(structure, self.prompts(structure), Prompts())
        self._prompts[structure] = Prompts()
        return self._record("accepted", structure, mask_sha256=mask_sha256(mask), **known)

    def first_prediction(self, structure: str) -> Event | None:
        """The event of the structure's first prediction in this case."""
        seq = self.cohort.case(self.case_id).work(structure).first_prediction
        if seq is None:
            return None
        return next(self.cohort.journal.events(after=seq - 1), None)

    def _record(self, kind: str, structure: str, /, **fields: Any) -> Event:
        self.acted = True
        return self.cohort.record(kind, case=self.case_id, structure=structure, **fields)


def restored_masks(events: Iterable[Event], shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    """The masks [k, j, i] by structure at the end of a case's ``events``, from the stored changes alone (no model is run)."""
    masks: dict[str, np.ndarray] = {}
    for event in events:
        if event.get("change"):
            structure = event["structure"]
            masks[structure] = apply_change(masks.get(structure, np.zeros(shape, bool)), event["change"])
    return masks


def restored_prompts(events: Iterable[Event]) -> dict[str, Prompts]:
    """The prompts by structure at the end of a case's ``events``: none where it was accepted and nothing was done since."""
    found: dict[str, Prompts] = {}
    for event in events:
        if event["event"] in ("prompt", "command", "undone"):
            found[event["structure"]] = Prompts.from_json(event["prompts"])
        elif event["event"] == "accepted":
            found[event["structure"]] = Prompts()
    return found


def _finite(value: Any) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 6)
