"""What each kind of event in the journal must say. Others, of a later version, are let through; more than this may be said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.errors import CohortError
from .checking import check_fields

_OBJECT = Mapping[str, Any]
_CASE = {"case": str}
_WORK = {"case": str, "structure": str}
_PREDICTED = {**_WORK, "model": str, "examples": list[str], "confidence": float | None}
REQUIRED: dict[str, dict[str, Any]] = {
    "created": {"name": str, "settings": _OBJECT, "structures": list[_OBJECT], "cases": list[_OBJECT]},
    "structure": {"structure": _OBJECT},
    "cases": {"cases": list[_OBJECT]},
    "setting": {"name": str, "value": Any},
    "labels": {**_CASE, "labels": list[_OBJECT]},
    "relinked": {**_CASE, "volume": _OBJECT},
    "status": {**_CASE, "status": str},
    "opened": _CASE,
    "prompt": {**_WORK, "prompts": list[_OBJECT], "counts": Mapping[str, int]},
    "undone": {**_WORK, "prompts": list[_OBJECT], "counts": Mapping[str, int]},
    "edited": _WORK,
    "predicted": _PREDICTED,
    "shown": _PREDICTED,
    "propagated": _PREDICTED,
    "command": {**_WORK, "command": str},
    "proposed": _WORK,
    "active": {**_CASE, "seconds": float},
    "accepted": _WORK,
    "reopened": _CASE,
    "note": {**_CASE, "text": str},
    "approved": {**_CASE, "approved": bool},
    "example added": {**_WORK, "example": str},
    "example removed": {"structure": str, "example": str},
    "noticed": {"texts": list[str]},
}
#: Fields that not every event of a kind has.
_KNOWN: dict[str, Any] = {
    "who": str,
    "time": str,
    "note": str,
    "change": _OBJECT | None,
    "plane": _OBJECT,
    "image": _OBJECT,
    "mask": str,
    "threshold": float,
    "prompts": list[_OBJECT],
    "examples": list[str],
    "confidence": float | None,
    "informative": float | None,
    "presence": float | None,
    "known": int,
    "file": str,
    "index": int,
    "example": str,
    "source": str,
    "mask_sha256": str,
    "area_mm2": float | None,
    "volume_ml": float | None,
    "slices": int | None,
    "first_vs_accepted_dice": float | None,
    "saved_dice": float | None,
    "absent": bool,
    "via": str,
    "structures": list,
}


def check_event(event: Mapping[str, Any]) -> None:
    """CohortError, in one sentence, where an event lacks a field or has one of another type."""
    what = (
        f"Event {event.get('seq')} of the journal ({event['event']!r})" if "event" in event else f"Event {event.get('seq')} of the journal"
    )
    if not isinstance(event.get("event"), str):
        raise CohortError(f"{what} does not say what happened: restore the journal from a copy.")
    required = REQUIRED.get(event["event"])
    if required is None:
        return
    missing = next((name for name in required if name not in event), None)
    if missing is not None:
        raise CohortError(f"{what} lacks the field {missing!r}: restore the journal from a copy.")
    check_fields(event, {**_KNOWN, **required}, what)
