"""Two evaluations side by side: differences of the same images, tasks and people, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..core.errors import MultiverSegError
from . import measures
from .figures import TITLES
from .pages import PageTable, _figure
from .plan import CONTEXT_ONLY, SEQUENCE
from .table import LEVELS, Table, last_rows, read_table


def compare(first: Path, second: Path, methods: Sequence[str] = ()) -> list[PageTable]:
    """Tables of the differences, ``first`` less ``second``.

    Args:
        methods: one name for both, or one each; empty: each method that both have, and if there is none, the first of each.

    Raises:
        MultiverSegError: not evaluations, no such method, or nothing in common.
    """
    a, b = read_table(first), read_table(second)
    steps, dices = [], []
    for one, other in _pairs(a, b, methods):
        name = one if one == other else f"{one} less {other}"
        for user in a.where(experiment=SEQUENCE, method=one).values("user"):
            ours, theirs = measures.sequence(a, user, one), measures.sequence(b, user, other)
            if not len(theirs):
                continue
            dice = _difference(last_rows(ours), last_rows(theirs), (*LEVELS, "simulation", "order", "image"), 100)
            steps.append(
                (TITLES[user], name, _figure(measures.paired(ours, theirs)), _figure(measures.paired(ours, theirs, True)), _figure(dice))
            )
        for size in a.where(experiment=CONTEXT_ONLY, method=one).values("context_size"):
            parts = [t.where(experiment=CONTEXT_ONLY, method=m, context_size=size) for t, m in ((a, one), (b, other))]
            if len(parts[1]):
                dices.append((name, str(size), _figure(_difference(*parts, (*LEVELS, "simulation", "image"), 100))))
    if not steps and not dices:
        raise MultiverSegError("The two evaluations have nothing in common: run them with the same tasks, seed and experiments.")
    text = "Differences of the same images and people: mean ± standard deviation by bootstrap (95 % interval)."
    sheets = []
    if steps:
        sheets.append(PageTable("Sequences", text, ("prompts", "method", "total steps", "saved %", "final Dice, points"), steps))
    if dices:
        sheets.append(PageTable("From the context alone", text, ("method", "examples", "Dice, points"), dices))
    return sheets


def _pairs(a: Table, b: Table, methods: Sequence[str]) -> list[tuple[str, str]]:
    ours, theirs = a.values("method"), b.values("method")
    if not methods:
        both = [m for m in ours if m in theirs]
        return [(m, m) for m in both] or [(ours[0], theirs[0])]
    one, other = methods[0], methods[-1]
    for name, known in ((one, ours), (other, theirs)):
        if name not in known:
            raise MultiverSegError(f"There is no method {name!r}: the evaluation has {', '.join(known)}.")
    return [(one, other)]


def _difference(a: Table, b: Table, names: Sequence[str], scale: float) -> measures.Figure:
    """Of Dice, row by row of what both have."""
    places = [{key: i for i, key in enumerate(zip(*(t[n].tolist() for n in names), strict=True))} for t in (a, b)]
    common = [key for key in places[0] if key in places[1]]
    if not common:
        return (float("nan"),) * 4
    rows = [np.array([place[key] for key in common]) for place in places]
    both = Table({name: column[rows[0]] for name, column in a.columns.items()})
    return measures.figure(both, a["dice"][rows[0]] - b["dice"][rows[1]], scale=scale)
