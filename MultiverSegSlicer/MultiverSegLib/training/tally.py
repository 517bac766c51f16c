"""How training goes, by where the samples come from and by whether the structure is there."""

from __future__ import annotations

from collections.abc import Sequence

from .batches import SOURCES, Batch
from .interaction import Lesson


class Tally:
    """How the rows of the last steps went: the first step's loss by source and by whether the structure is there, and how often the answer to
    that was right (at a probability of one half)."""

    GROUPS = tuple(f"{source}_{state}" for source in SOURCES for state in ("present", "absent"))

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {}

    def add(self, lesson: Lesson, batch: Batch) -> None:
        there = batch.label.flatten(1).any(1).tolist()
        losses = lesson.each[0].tolist()
        for row, source in enumerate(batch.sources):
            state = "present" if there[row] else "absent"
            self.values.setdefault(f"{source}_{state}", []).append(losses[row])
            if lesson.present is not None:
                self.values.setdefault(f"said_{state}", []).append(float((lesson.present[0, row] > 0).item() == there[row]))

    def row(self) -> dict[str, float]:
        """Means by group, NaN where nothing was seen, and shares of right answers."""
        return {g: _mean(self.values.get(g, ())) for g in (*self.GROUPS, "said_present", "said_absent")}

    def text(self) -> str:
        if not any(name.endswith("_absent") for name in self.values):
            return ""
        parts = ("present", "absent")
        losses = [_mean([v for s in SOURCES for v in self.values.get(f"{s}_{p}", ())]) for p in parts]
        right = [_mean(self.values.get(f"said_{p}", ())) for p in parts]
        return f"present {losses[0]:.3f} ({right[0]:.0%} seen)  absent {losses[1]:.3f} ({right[1]:.0%} seen)"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
