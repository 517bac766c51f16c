"""Interactions as seconds: estimates of the authors of WS-ICL (section 4 of their paper), not measured here."""

from __future__ import annotations

from collections.abc import Mapping

CLICK_S, BOX_S, DRAWN_SLICE_S = 5.0, 10.0, 80.0
#: What to say beside such a number.
SOURCE = f"estimated with {CLICK_S:g} s a click, {BOX_S:g} s a box and {DRAWN_SLICE_S:g} s a drawn slice, as in the WS-ICL paper"


def estimated_seconds(interactions: Mapping[str, int]) -> float:
    """The seconds that interactions take, by kind as in ``StructureProgress.interactions``.

    A scribble is a stroke like a box; a change by hand ("edit") is a drawn slice; all others are clicks, undoing too.

    Example:
        >>> estimated_seconds({"positive point": 2, "box": 1, "edit": 1, "undo": 1})
        105.0
    """
    return float(sum(number * _seconds_of(kind) for kind, number in interactions.items()))


def _seconds_of(kind: str) -> float:
    if kind == "edit":
        return DRAWN_SLICE_S
    return BOX_S if kind == "box" or kind.endswith("scribble") else CLICK_S
