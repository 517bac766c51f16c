"""The table of an evaluation, a row per image and step, and averages over it: hierarchical, as in C.2 of the paper, with bootstrap intervals."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import MultiverSegError

#: From the outermost to the innermost level of averaging. A person's images are averaged first, then labels, axes, modalities, datasets.
LEVELS = ("dataset", "modality", "axis", "label", "subject")
_NUMBERS = ("dice", "hd95", "expected", "cycle", "found_damaged", "predictions", "seconds")
_WHOLE = ("simulation", "order", "position", "image", "context_size", "step", "last")
_COUNTED = (*_WHOLE, "prompts")


@dataclass(frozen=True)
class Table:
    """Columns of equal length by name: numbers or texts."""

    columns: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def where(self, keep: np.ndarray | None = None, **values: object) -> Table:
        """The rows where ``keep`` holds and the named columns have the given values."""
        keep = np.ones(len(self), bool) if keep is None else np.asarray(keep)
        for name, value in values.items():
            keep = keep & (self[name] == value)
        return Table({name: column[keep] for name, column in self.columns.items()})

    def values(self, name: str) -> list:
        """The different values of a column, in the order they first come in."""
        column = self[name]
        _, first = np.unique(column, return_index=True)
        return [column[i].item() if hasattr(column[i], "item") else column[i] for i in sorted(first)]

    def groups(self, names: Sequence[str]) -> np.ndarray:
        """int [rows]: a number for each combination of values of the named columns."""
        codes = np.zeros(len(self), np.int64)
        for name in names:
            _, own = np.unique(self[name], return_inverse=True)
            codes = codes * (int(own.max(initial=0)) + 1) + own
            _, codes = np.unique(codes, return_inverse=True)
        return codes


def read_table(path: Path) -> Table:
    """The table of ``steps.csv`` (or another file of such rows), or of the folder that it lies in.

    Raises:
        MultiverSegError: missing, or not such a table.
    """
    path = path / "steps.csv" if path.is_dir() else path
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream)
            names = next(reader)
            rows = list(reader)
        columns = {}
        for name, column in zip(names, zip(*rows, strict=True) if rows else [()] * len(names), strict=True):
            if name in _COUNTED:
                columns[name] = np.array(column, np.int64)
            elif name in _NUMBERS:
                columns[name] = np.array([float(v) if v else np.nan for v in column])
            else:
                columns[name] = np.array(column, dtype=np.str_)
    except FileNotFoundError as error:
        raise MultiverSegError(
            f"{path} is not there: give the folder that `multiverseg evaluate paper` wrote, once it is finished."
        ) from error
    except (OSError, ValueError, StopIteration) as error:
        raise MultiverSegError(f"{path} is not the table of an evaluation: {error}.") from error
    if missing := {*LEVELS, *_WHOLE, "method", "dice"} - set(columns):
        raise MultiverSegError(f"{path} is not the table of an evaluation: it has no column {sorted(missing)[0]!r}.")
    return Table(columns)


def hierarchical(table: Table, values: np.ndarray, levels: Sequence[str] = LEVELS, keep: Sequence[str] = ()) -> np.ndarray:
    """Mean of ``values`` [rows] taken level by level from the innermost outwards, so that a subject with many images or a dataset with many
    labels counts once. NaNs are left out.

    Args:
        keep: columns of which each combination of values gets its own mean; () gives one mean, as [1].

    Returns:
        float [combinations], in the order of ``table.groups(keep)``.
    """
    values = np.asarray(values, float)
    usable = np.isfinite(values)
    total = int(table.groups(keep).max(initial=-1)) + 1 if keep else 1
    outer = (table.groups(keep) if keep else np.zeros(len(table), np.int64))[usable]
    known, values = table.where(usable), values[usable]
    paths = [known.groups(levels[: depth + 1]) for depth in range(len(levels))]
    # the rows of each innermost group become one, then their groups one, and so on
    current = np.arange(len(values))
    for depth in range(len(levels) - 1, -2, -1):
        inside = paths[depth] if depth >= 0 else np.zeros(len(known), np.int64)
        combined = outer * (int(inside.max(initial=0)) + 1) + inside
        _, first, groups = np.unique(combined[current], return_index=True, return_inverse=True)
        values = np.bincount(groups, values) / np.bincount(groups)
        current = current[first]
    means = np.full(total, np.nan)
    means[outer[current]] = values
    return means


def interval(values: np.ndarray, seed: int = 0, rounds: int = 1000, level: float = 0.95) -> tuple[float, float, float, float]:
    """(mean, low, high, deviation) of ``values`` by drawing them with replacement; the deviation is that of the drawn means (table 7).

    A single value has no spread: NaN.
    """
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return (float(values.mean()) if len(values) else float("nan"), *(float("nan"),) * 3)
    rng = np.random.default_rng(seed)
    means = values[rng.integers(len(values), size=(rounds, len(values)))].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(values.mean()), float(low), float(high), float(means.std())


def per_unit(table: Table, values: np.ndarray, unit: str) -> np.ndarray:
    """Hierarchical means of ``values`` for each value of the column ``unit`` ("simulation" in experiment 1, "dataset", "subject"): what intervals
    are drawn from."""
    levels = [level for level in LEVELS if level != unit]
    return hierarchical(table, values, levels, keep=(unit,))


def last_rows(table: Table) -> Table:
    """One row per image: its last step."""
    return table.where(last=1)


def dice_after(table: Table, steps: int) -> tuple[Table, np.ndarray]:
    """(one row per image, its Dice after ``steps`` steps); an image that was finished before keeps its last Dice."""
    keep = (table["step"] == steps) | ((table["last"] == 1) & (table["step"] < steps))
    chosen = table.where(keep)
    return chosen, np.nan_to_num(chosen["dice"])


def clicks_to(table: Table, target: float, cap: int) -> tuple[Table, np.ndarray]:
    """(one row per image, steps until its Dice reached ``target`` first; ``cap`` where it never did): NoC80, NoC85, NoC90, NoC95.

    A simulation stops at its own target, so beyond it an image counts as not reached.
    """
    names = (
        "experiment",
        "method",
        "user",
        "context",
        "dataset",
        "modality",
        "axis",
        "label",
        "simulation",
        "order",
        "position",
        "image",
        "context_size",
    )
    groups = table.groups([n for n in names if n in table.columns])
    reached = np.where(table["dice"] >= target, table["step"], cap).astype(float)
    best = np.full(int(groups.max(initial=-1)) + 1, float(cap))
    np.minimum.at(best, groups, reached)
    keep = table["last"] == 1
    return table.where(keep), best[groups[keep]]


def chosen(names: Iterable[str], table: Table) -> list[str]:
    """Those of ``names`` that are methods of ``table``, in the table's order."""
    wanted = set(names)
    return [m for m in table.values("method") if m in wanted]
