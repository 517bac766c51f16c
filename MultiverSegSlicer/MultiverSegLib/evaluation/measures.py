"""What the tables and figures of an evaluation say, computed from its rows alone; every figure is (mean, low, high, deviation)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.errors import MultiverSegError
from .plan import BOOTSTRAPPED, CONTEXT_ONLY, CORRECTED, CYCLE, ORDERS, SEQUENCE, YARDSTICKS
from .simulate import TARGET_DICE
from .table import LEVELS, Table, clicks_to, dice_after, hierarchical, interval, last_rows, per_unit
from .users import USERS

Figure = tuple[float, float, float, float]
TARGETS = (0.80, 0.85, 0.90, 0.95)
#: Fewer simulations than this say little about the spread over simulations: intervals are then drawn over the datasets.
_ENOUGH = 10
_TASK = LEVELS[:-1]


@dataclass(frozen=True)
class Line:
    """A line of a figure: values at ``x`` with their intervals."""

    label: str
    x: list[float]
    y: list[float]
    low: list[float]
    high: list[float]


def unit_of(table: Table) -> str:
    """What intervals are drawn over: the simulations as in the paper, where there are enough of them, else the datasets."""
    return "simulation" if len(table.values("simulation")) >= _ENOUGH else "dataset"


def figure(table: Table, values: np.ndarray, unit: str = "", scale: float = 1.0, levels: Sequence[str] = LEVELS) -> Figure:
    """The hierarchical mean of ``values`` with the interval over ``unit``; the mean itself is that of the table, whatever the unit."""
    if not len(table):
        return (float("nan"),) * 4
    unit = unit or unit_of(table)
    inner = [level for level in levels if level != unit]
    _, low, high, deviation = interval(hierarchical(table, values, inner, keep=(unit,)))
    mean = (
        float(np.nanmean(hierarchical(table, values, levels, keep=("simulation",))))
        if unit == "simulation"
        else float(hierarchical(table, values, levels)[0])
    )
    return mean * scale, low * scale, high * scale, deviation * scale


def sequence(table: Table, user: str, method: str, context: str = "", experiment: str = SEQUENCE) -> Table:
    """The rows of one method's sequences; ``context`` empty: its first."""
    part = table.where(experiment=experiment, user=user, method=method)
    if not len(part):
        return part
    return part.where(context=context or part.values("context")[0])


def images_per_walk(table: Table) -> int:
    """Images of a sequence, after the seed image."""
    return int(table["position"].max(initial=0))


def summary_row(part: Table, unit: str = "") -> dict[str, Figure]:
    """The columns of table 7 and the failures, of one method's sequences: Dice in %, HD95 in pixels, steps for a whole sequence, images below the
    target at the cap for a sequence."""
    last = last_rows(part)
    count = images_per_walk(part)
    failed = (~(last["dice"] >= TARGET_DICE)).astype(float)
    return {
        "Dice %": figure(last, np.nan_to_num(last["dice"]), unit, 100),
        "HD95 px": figure(last, last["hd95"], unit),
        "total steps": figure(last, last["step"], unit, count, _TASK),
        "failures": figure(last, failed, unit, count, _TASK),
    }


def table_seven(table: Table, experiment: str = SEQUENCE) -> list[tuple[str, str, str, dict[str, Figure]]]:
    """(user, method, context, columns) of each kind of sequence there is."""
    found = []
    rows = table.where(experiment=experiment)
    for user in rows.values("user"):
        for method in rows.where(user=user).values("method"):
            part = rows.where(user=user, method=method)
            found += [(user, method, context, summary_row(part.where(context=context))) for context in part.values("context")]
    return found


def along(part: Table, label: str, value: str = "step") -> Line:
    """Steps (or another column of an image's last row) against the number of the image in its sequence: figures 3, 11 to 15; Dice: 17a, 18."""
    last = last_rows(part)
    return _line(label, last, "position", last[value].astype(float))


def _line(label: str, table: Table, x: str, values: np.ndarray) -> Line:
    xs = sorted(table.values(x))
    figures = []
    for at in xs:
        keep = table[x] == at
        figures.append(figure(table.where(keep), values[keep]))
    return Line(label, [float(v) for v in xs], *([f[i] for f in figures] for i in range(3)))


def against_size(part: Table, label: str) -> Line:
    """Dice from the context alone against its size: figures 6 and 19."""
    return _line(label, part, "context_size", part["dice"])


def against_steps(part: Table, label: str) -> Line:
    """Dice after each number of steps (figures 7, 20, 21, and Dice(n)); finished images keep their last Dice."""
    figures, xs = [], range(int(part["step"].min(initial=0)), int(part["step"].max(initial=0)) + 1)
    for steps in xs:
        rows, dices = dice_after(part, steps)
        figures.append(figure(rows, dices, "dataset"))
    return Line(label, [float(s) for s in xs], *([f[i] for f in figures] for i in range(3)))


def area_under(line: Line) -> float:
    """Mean Dice over 0 to the last number of steps: the area under Dice(n), divided by its width."""
    x, y = np.array(line.x), np.array(line.y)
    width = float(x[-1] - x[0]) if len(x) > 1 else 0.0
    return float(((y[1:] + y[:-1]) / 2 * np.diff(x)).sum() / width) if width else float(y[0]) if len(y) else float("nan")


def yardsticks(table: Table) -> list[tuple[str, str, int, dict[str, float]]]:
    """(user, method, context size, NoC80 to NoC95, area under Dice(n), images never at 90 %) of each method."""
    rows, found = table.where(experiment=YARDSTICKS), []
    for user in rows.values("user"):
        cap = USERS[user].max_steps
        for method in rows.where(user=user).values("method"):
            for size in sorted(rows.where(user=user, method=method).values("context_size")):
                part = rows.where(user=user, method=method, context_size=size)
                values = {}
                for target in TARGETS:
                    images, steps = clicks_to(part, target, cap)
                    values[f"NoC{100 * target:.0f}"] = float(hierarchical(images, steps)[0])
                last = last_rows(part)
                values["area under Dice(n)"] = area_under(against_steps(part, method))
                values["never at 90 %"] = float(hierarchical(last, (~(last["dice"] >= TARGET_DICE)).astype(float))[0])
                found.append((user, method, size, values))
    return found


def changes(table: Table, user: str, method: str, baseline: str) -> Figure:
    """Percent fewer steps than ``baseline``, averaged over the tasks (figure 4): the same images, the same people."""
    ours, theirs = sequence(table, user, method), sequence(table, user, baseline)
    return paired(ours, theirs, relative=True)


def paired(ours: Table, theirs: Table, relative: bool = False) -> Figure:
    """Difference of the total steps of a sequence, task by task and simulation by simulation: ours less theirs, or with ``relative`` the percent
    saved.

    Raises:
        MultiverSegError: they have no sequence in common.
    """
    names = (*_TASK, "simulation")
    totals = [_totals(t, names) for t in (ours, theirs)]
    common = [key for key in totals[0] if key in totals[1]]
    if not common:
        raise MultiverSegError("The two have no sequence in common: run them on the same tasks with the same seed.")
    a, b = (np.array([t[key] for key in common], float) for t in totals)
    both = Table({name: np.array([key[i] for key in common]) for i, name in enumerate(names)})
    values = 100 * (1 - a / np.maximum(b, 1e-9)) if relative else a - b
    if relative:
        values = np.where((a == 0) & (b == 0), 0.0, values)
    return figure(both, values, levels=_TASK)


def _totals(table: Table, names: Sequence[str]) -> dict[tuple, float]:
    last = last_rows(table)
    groups = last.groups(names)
    sums = np.bincount(groups, last["step"]) if len(last) else []
    _, first = np.unique(groups, return_index=True)
    return {tuple(last[n][i] for n in names): float(total) for i, total in zip(first, sums, strict=True)}


def order_effects(table: Table) -> list[tuple[str, float, float]]:
    """(method, deviation of the total steps over the orders of one set of images, over the sets): how much depends on who comes first."""
    rows, found = table.where(experiment=ORDERS), []
    for method in rows.values("method"):
        totals = _totals(rows.where(method=method), (*_TASK, "simulation", "order"))
        sets: dict[tuple, list[float]] = {}
        for key, total in totals.items():
            sets.setdefault(key[:-1], []).append(total)
        within = np.sqrt(np.mean([np.var(v) for v in sets.values()]))
        tasks: dict[tuple, list[float]] = {}
        for key, values in sets.items():
            tasks.setdefault(key[:-1], []).append(float(np.mean(values)))
        between = [np.var(v) for v in tasks.values() if len(v) > 1]
        found.append((method, float(within), float(np.sqrt(np.mean(between))) if between else float("nan")))
    return found


def cycle_verification(table: Table) -> list[tuple[str, dict[str, float]]]:
    """(method, figures): rank correlation with the true Dice of the cycle's score and of what the probabilities promise, how often a damaged example
    comes back worst, what chance gives, and predictions for one answer."""
    rows, found = table.where(experiment=CYCLE), []
    for method in rows.values("method"):
        part = rows.where(method=method)
        found.append(
            (
                method,
                {
                    "images": float(len(part)),
                    "correlation of the cycle with Dice": rank_correlation(part["cycle"], part["dice"]),
                    "correlation of the probabilities with Dice": rank_correlation(part["expected"], part["dice"]),
                    "damaged example found": float(hierarchical(part, part["found_damaged"])[0]),
                    "by chance": float(np.mean(1 / np.maximum(part["context_size"], 1))),
                    "predictions for one answer": float(part["predictions"].mean()),
                },
            )
        )
    return found


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's; NaN where one of them is constant."""
    from scipy.stats import rankdata

    a, b = rankdata(a), rankdata(b)
    return float(np.corrcoef(a, b)[0, 1]) if len(a) > 1 and a.std() and b.std() else float("nan")


def context_sizes(table: Table) -> dict[str, Table]:
    """Rows of the prompt-free part of experiment 2 by method."""
    rows = table.where(experiment=CONTEXT_ONLY)
    return {m: rows.where(method=m) for m in rows.values("method")}


def corrected(table: Table, user: str) -> dict[tuple[str, int], Table]:
    """Rows of the corrected part of experiment 2 by method and context size."""
    rows = table.where(experiment=CORRECTED, user=user)
    return {
        (m, s): rows.where(method=m, context_size=s)
        for m in rows.values("method")
        for s in sorted(rows.where(method=m).values("context_size"))
    }


def bootstrapped(table: Table) -> list[tuple[str, str, Table]]:
    """(method, context, rows) of the bootstrapped in-context segmentation."""
    rows = table.where(experiment=BOOTSTRAPPED)
    return [(m, c, rows.where(method=m, context=c)) for m in rows.values("method") for c in rows.where(method=m).values("context")]


def spread_over_simulations(table: Table, values: np.ndarray) -> np.ndarray:
    """Hierarchical means of each simulation, [simulations]."""
    return per_unit(table, values, "simulation")
