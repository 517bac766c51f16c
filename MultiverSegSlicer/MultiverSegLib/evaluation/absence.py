"""Whether a model knows on which slices a structure is: counted away from its ends, whose place is the annotators' convention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .metrics import bootstrap

PRESENT, ABSENT, BORDER = "present", "absent", "border"


def zones(shown: np.ndarray, spacing: float, margin_mm: float = 2.0) -> list[str]:
    """Each slice's zone, from bool [n] (is the label on the slice) and the slices' distance in mm.

    ABSENT: at least one slice and ``margin_mm`` beyond a label's end; PRESENT: as far inside; BORDER: the slices between. A label that ends at the
    volume's first or last slice has no end there. Nothing shown at all: all ABSENT.
    """
    shown = np.asarray(shown, bool)
    index = np.arange(len(shown))
    result = []
    for n in index:
        other = np.flatnonzero(shown != shown[n])
        # the end lies at the last slice that shows the label
        distance = np.abs(other - n).min() - (1 if shown[n] else 0) if len(other) else len(shown)
        inside = distance >= 1 and distance * spacing >= margin_mm - 1e-6
        result.append((PRESENT if shown[n] else ABSENT) if inside else BORDER)
    return result


@dataclass(frozen=True)
class Said:
    """What a model said of one slice of ``case``: its zone, whether the label is on it, whether it was called absent."""

    case: str
    zone: str
    shown: bool
    called_absent: bool


def count(said: Sequence[Said], seed: int = 0) -> dict[str, tuple[float, float, float]]:
    """Shares (mean, low, high) with 95 % intervals from drawing cases: absent slices called absent, present ones called absent, border slices
    called rightly. A case counts as its share; NaN where there are no such slices."""
    figures = {}
    questions = {
        "absent called absent": (ABSENT, lambda s: s.called_absent),
        "present called absent": (PRESENT, lambda s: s.called_absent),
        "border called rightly": (BORDER, lambda s: s.called_absent != s.shown),
    }
    for name, (zone, question) in questions.items():
        by_case: dict[str, list[bool]] = {}
        for s in said:
            if s.zone == zone:
                by_case.setdefault(s.case, []).append(bool(question(s)))
        figures[name] = bootstrap([float(np.mean(v)) for v in by_case.values()], seed=seed)
    return figures
