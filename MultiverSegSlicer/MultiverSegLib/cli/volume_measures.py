"""``evaluate volumes`` and ``evaluate absence``: every structure of every volume, by each method, with examples of other cases and without."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.asking import ask_each
from ..core.imaging import ImageSettings, suggest_settings
from ..core.predicting import Predictor
from ..evaluation import absence
from ..evaluation.metrics import bootstrap
from ..evaluation.volume_baselines import ExtrudedEllipse, MeanOfOthers
from ..evaluation.volume_clicks import CLICKS, Course, VolumeMethod, draw_box, work_through
from .volume_methods import MODEL_METHODS, Stack, VolumeCase

ELLIPSE, MEAN = "extruded ellipse", "mean of the other masks"
METHODS = (*MODEL_METHODS, ELLIPSE, MEAN)


@dataclass(frozen=True)
class VolumeOptions:
    """What is measured: ``examples`` other cases in the context, ``slices`` of each; ``tolerance`` in mm (None: one voxel)."""

    axis: str = "auto"
    examples: int = 5
    slices: int = 1
    moved: bool = True
    tolerance: float | None = None
    clicks: int = CLICKS
    methods: tuple[str, ...] = METHODS
    boxes: tuple[bool, ...] = (True, False)
    settings: ImageSettings | None = None
    seed: int = 0


@dataclass(frozen=True)
class Row:
    """One structure of one volume by one method."""

    case: str
    label: str
    method: str
    examples: int
    box: bool
    course: Course

    def to_json(self) -> dict[str, Any]:
        c = self.course
        scores = {"dice": c.dice, "nsd": c.nsd, "dice_auc": c.dice_auc, "nsd_auc": c.nsd_auc, "seconds": c.seconds}
        about = {"case": self.case, "label": self.label, "method": self.method, "examples": self.examples, "box": self.box}
        return {**about, **{k: np.round(v, 4).tolist() for k, v in scores.items()}}


class Cohort:
    """The cases as they are measured: moved in their crops, on their slices' grids, and who gives examples to whom."""

    def __init__(self, cases: Sequence[VolumeCase], options: VolumeOptions, size: int) -> None:
        self.options = options
        settings = options.settings or suggest_settings(cases[0].volume.array)
        moved = [case.moved(options.seed) if options.moved else case for case in cases]
        self.stacks = [Stack(case, options.axis, settings, size) for case in moved]

    @property
    def labels(self) -> list[str]:
        return list(dict.fromkeys(name for stack in self.stacks for name, label in stack.case.labels.items() if label.any()))

    def with_label(self, name: str) -> list[Stack]:
        return [s for s in self.stacks if name in s.case.labels and s.case.labels[name].any()]

    def others(self, stack: Stack, name: str) -> list[Stack]:
        """The cases of other subjects that give the context, drawn for each case."""
        among = [s for s in self.with_label(name) if s.case.subject != stack.case.subject]
        rng = np.random.default_rng([self.options.seed, *f"{stack.case.name} {name}".encode()])
        return [among[n] for n in rng.permutation(len(among))[: self.options.examples]]

    def context(self, stack: Stack, name: str) -> list[Any]:
        return [e for other in self.others(stack, name) for e in other.examples(other.case.labels[name], self.options.slices)]


def measure_volumes(
    predictor: Predictor, cases: Sequence[VolumeCase], options: VolumeOptions, progress: Callable[[str], None] = lambda text: None
) -> list[Row]:
    """The course of every structure of every case by each method."""
    cohort, rows = Cohort(cases, options, predictor.capabilities.size), []
    for name in cohort.labels:
        for stack in cohort.with_label(name):
            progress(f"{stack.case.name}, {name}")
            label, spacing = stack.case.labels[name], stack.case.spacing
            rng = np.random.default_rng([options.seed, *f"{name} {stack.case.name}".encode()])
            box = draw_box(label, stack.axis, rng)
            tolerance = options.tolerance or float(np.mean(spacing))
            for method, examples, boxed, made in _methods(predictor, cohort, stack, name):
                course = work_through(made, label, spacing, tolerance, box if boxed else None, options.clicks)
                rows.append(Row(stack.case.name, name, method, examples, boxed, course))
    return rows


def _methods(predictor: Predictor, cohort: Cohort, stack: Stack, name: str) -> Iterator[tuple[str, int, bool, VolumeMethod]]:
    options, shape = cohort.options, stack.case.volume.array.shape
    context = cohort.context(stack, name) if options.examples else []
    for method in options.methods:
        if method == ELLIPSE:
            yield method, 0, True, ExtrudedEllipse(shape)
        elif method == MEAN:
            masks = [s.case.labels[name] for s in cohort.with_label(name) if s.case.subject != stack.case.subject]
            yield method, len(masks), False, MeanOfOthers(masks, shape)
        else:
            for boxed in options.boxes:
                for examples in ([], context) if context else ([],):
                    yield method, len(examples), boxed, MODEL_METHODS[method](predictor, stack, examples)


def volumes_table(rows: Sequence[Row], seed: int = 0) -> str:
    """Mean Dice at each step, areas and surface Dice as Markdown; 95 % intervals from drawing cases."""
    groups: dict[tuple[str, int, bool], list[Row]] = {}
    for row in rows:  # cases may have different numbers of examples to draw from
        groups.setdefault((row.method, min(row.examples, 1), row.box), []).append(row)
    steps = len(rows[0].course.dice)
    lines = [
        "| method | context | box | " + " | ".join(f"Dice {n}" for n in range(steps)) + " | Dice AUC | NSD | NSD AUC | slowest step, s |"
    ]
    lines.append("|" + "---|" * (steps + 7))
    for (method, _, boxed), members in groups.items():
        most = max(r.examples for r in members)
        dice = [_drawn(members, lambda r, n=n: r.course.dice[n], seed) for n in range(steps)]
        area, final, surface = (
            _drawn(members, f, seed) for f in (lambda r: r.course.dice_auc, lambda r: r.course.nsd[-1], lambda r: r.course.nsd_auc)
        )
        slowest = max(r.course.seconds for r in members)
        cells = [f"{d[0]:.3f}" for d in dice[:-1]] + [f"{v[0]:.3f} ({v[1]:.3f} to {v[2]:.3f})" for v in (dice[-1], area, final, surface)]
        lines.append(f"| {method} | {most or 'none'} | {'yes' if boxed else 'no'} | " + " | ".join(cells) + f" | {slowest:.2f} |")
    return "\n".join(lines) + "\n"


def _drawn(rows: Sequence[Row], score: Callable[[Row], float], seed: int) -> tuple[float, float, float]:
    """Mean over the cases of their labels' means, with an interval from drawing cases."""
    by_case: dict[str, list[float]] = {}
    for row in rows:
        by_case.setdefault(row.case, []).append(score(row))
    return bootstrap([float(np.mean(v)) for v in by_case.values()], seed=seed)


def measure_absence(
    predictor: Predictor, cases: Sequence[VolumeCase], options: VolumeOptions, progress: Callable[[str], None] = lambda text: None
) -> list[absence.Said]:
    """What the model says of each slice of each case from examples alone."""
    cohort, said = Cohort(cases, options, predictor.capabilities.size), []
    for name in cohort.labels:
        for stack in cohort.with_label(name):
            context = cohort.context(stack, name)
            if not context:
                continue
            progress(f"{stack.case.name}, {name}")
            shown = np.moveaxis(stack.case.labels[name], stack.axis, 0).any((1, 2))
            zones = absence.zones(shown, stack.spacing)
            for start in range(0, len(stack), 8):
                part = range(start, min(start + 8, len(stack)))
                predictions = ask_each(predictor, [stack.images[n] for n in part], examples=context)
                for n, prediction in zip(part, predictions, strict=True):
                    said.append(absence.Said(stack.case.name, zones[n], bool(shown[n]), prediction.absent))
    return said


def absence_table(said: Sequence[absence.Said], seed: int = 0) -> str:
    """The shares as Markdown, with the goals."""
    goals = {"absent called absent": "at least 95 %", "present called absent": "at most 3 %", "border called rightly": ""}
    figures, lines = absence.count(said, seed), ["| slices | goal | share | 95 % interval | number |", "|---|---|---|---|---|"]
    for name, (mean, low, high) in figures.items():
        number = sum(s.zone == name.split()[0] for s in said)
        lines.append(f"| {name} | {goals[name]} | {100 * mean:.1f} % | {100 * low:.1f} to {100 * high:.1f} % | {number} |")
    return "\n".join(lines) + "\n"
