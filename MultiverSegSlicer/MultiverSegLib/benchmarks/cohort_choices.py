"""How many clicks a cohort costs, by how its examples are selected and by the order in which its cases are worked. Arrays only, no volumes.

The person is simulated as in ``cohort_trials``; each accepted prediction enters the context. A case that meets the same examples again (early
in a cohort all strategies still choose all of them) is not simulated again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..cohort.store.order import ORDERS
from ..core.asking import ask
from ..core.calibration import expected_dice
from ..core.confidence import subset_agreement
from ..core.context.example import Example
from ..core.selection import STRATEGIES, select
from ..evaluation.metrics import bootstrap
from ..evaluation.quick import EvaluationTask
from .cohort_trials import Trial, click_until_good

CAPS = (4, 8, 16)
#: Of each part: what its rows are called, and the row that the others are compared with.
PARTS = {"strategies": ("strategy", "most_similar"), "orders": ("order", "file order")}


@dataclass(frozen=True)
class Walk:
    """One way through a cohort: the ``subjects`` in the order worked and the ``clicks`` of each."""

    subjects: tuple[str, ...]
    clicks: tuple[int, ...]


@dataclass(frozen=True)
class Measured:
    """The walks through one cohort by (strategy, cap), or (order, cap). ``unit``: what is drawn in the bootstrap, a dataset or ""."""

    name: str
    unit: str
    walks: dict[tuple[str, int], Walk]


class Person:
    """Works through one cohort's images with a predictor, and remembers what came out."""

    def __init__(self, predictor: Any, task: EvaluationTask, seed: int = 0) -> None:
        self._predictor, self._task, self._seed = predictor, task, seed
        self._clicked: dict[tuple, tuple[int, Example | None]] = {}
        self._judged: dict[tuple, float] = {}

    def walk(self, strategy: str, cap: int, order: str = "file order") -> Walk:
        context: list[Example] = []
        left, subjects, clicks = list(range(len(self._task.images))), [], []
        while left:
            case = self._next(left, order, context, cap)
            left.remove(case)
            spent, example = self._click(case, select(strategy, self._task.images[case], context, cap))
            subjects.append(str(self._task.subjects[case]))
            clicks.append(spent)
            context += [] if example is None else [example]
        return Walk(tuple(subjects), tuple(clicks))

    def _click(self, case: int, examples: Sequence[Example]) -> tuple[int, Example | None]:
        key = (case, frozenset(e.id for e in examples))
        if key not in self._clicked:
            image, label = self._task.images[case], self._task.labels[case]
            prediction, spent = click_until_good(self._predictor, image, label, examples, self._seed)
            mask = prediction.mask()
            self._clicked[key] = spent, Example(image, mask, case=f"{case}") if mask.any() else None
        return self._clicked[key]

    def _next(self, left: list[int], order: str, context: list[Example], cap: int) -> int:
        if order == "file order" or not context:
            return left[0]
        return min(left, key=lambda case: self._judge(case, order, select("most_similar", self._task.images[case], context, cap)))

    def _judge(self, case: int, order: str, examples: Sequence[Example]) -> float:
        """What the order sorts by; the case with the lowest value is next."""
        key = (case, order, tuple(e.id for e in examples))
        if key not in self._judged:

            def predicted(part: Sequence[Example]) -> np.ndarray:
                return ask(self._predictor, self._task.images[case], examples=part).probability

            measure = expected_dice(predicted(examples)) if order == "least certain" else subset_agreement(predicted, examples)
            self._judged[key] = measure
        return self._judged[key]


def measure(predictor: Any, task: EvaluationTask, part: str, seed: int = 0, caps: Sequence[int] = CAPS, unit: str = "") -> Measured:
    """All walks of one part ("strategies" or "orders") through one cohort."""
    person = Person(predictor, task, seed)
    if part == "strategies":
        walks = {(strategy, cap): person.walk(strategy, cap) for strategy in STRATEGIES.names for cap in caps}
    else:
        walks = {(order, max(caps)): person.walk("most_similar", max(caps), order) for order in ORDERS.names}
    return Measured(task.name, unit, walks)


def from_trials(trials: Sequence[Trial], name: str, shuffles: int, seed: int) -> list[EvaluationTask]:
    """The max slices of a folder's cases as cohorts: in file order, and in ``shuffles`` - 1 random orders."""
    images, labels = (np.stack([getattr(t, what)[t.largest] for t in trials]) for what in ("images", "labels"))
    subjects, rng, tasks = np.array([t.name for t in trials]), np.random.default_rng(seed), []
    for number in range(shuffles):
        order = np.arange(len(trials)) if number == 0 else rng.permutation(len(trials))
        tasks.append(EvaluationTask("", f"{name}, order {number + 1}", "", images[order], labels[order], subjects[order]))
    return tasks


def from_corpus(corpus: Path, tasks: int, images: int, seed: int) -> list[EvaluationTask]:
    """``tasks`` tasks of the corpus's ``eval`` datasets, as many of each as of the others, with ``images`` + 1 images, drawn by ``seed``.

    Raises:
        CorpusError: no corpus, or no evaluation dataset with so many images.
    """
    from ..training.corpus import CorpusError
    from ..training.evaluation_tasks import load_tasks

    by_dataset: dict[str, list[EvaluationTask]] = {}
    for task in load_tasks(corpus, tasks, images, seed, sample_cohort=False):
        by_dataset.setdefault(task.dataset, []).append(task)
    longest = max(map(len, by_dataset.values()), default=0)
    chosen = [group[n] for n in range(longest) for group in by_dataset.values() if n < len(group)][:tasks]
    if not chosen:
        raise CorpusError(f"No evaluation task of {corpus} has {images + 1} images: ask for fewer with --images.")
    result = []
    for task in chosen:
        order = np.random.default_rng([seed, *task.name.encode()]).permutation(len(task.images))[: images + 1]
        result.append(replace(task, images=task.images[order], labels=task.labels[order], subjects=task.subjects[order]))
    return result


def measure_all(
    tasks: Sequence[EvaluationTask], parts: Sequence[str], model: str, device: str, jobs: int = 1, seed: int = 0
) -> Iterator[tuple[str, Measured]]:
    """(part, result) of every part and task, as they come; ``jobs`` processes of one thread each share them."""
    work = [(model, device, task, part, seed) for task in tasks for part in parts]
    if jobs <= 1:
        yield from ((part, measured) for part, measured in map(_work, work))
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed

    pool = ProcessPoolExecutor(min(jobs, len(work)), multiprocessing.get_context("spawn"), _start_worker)
    try:
        yield from (future.result() for future in as_completed([pool.submit(_work, item) for item in work]))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


_predictors: dict[tuple[str, str], Any] = {}


def _start_worker() -> None:
    import signal

    from ..core.devices import compute_on_threads

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl+C ends a worker without a word
    compute_on_threads(1)


def _work(item: tuple[str, str, EvaluationTask, str, int]) -> tuple[str, Measured]:
    from ..core.predictors import open_predictor

    model, device, task, part, seed = item
    if (model, device) not in _predictors:
        _predictors[model, device] = open_predictor(model, device)
    return part, measure(_predictors[model, device], task, part, seed, unit=task.dataset)


def summary(part: str, measured: Iterable[Measured], seed: int = 0) -> list[dict[str, Any]]:
    """One row per way: clicks a case, and against the base (paired), each (mean, low, high), and the means of the thirds of the cohort.

    The intervals come from drawing datasets or, of one folder, its cases. Of strategies the first case, which has no context, is left out.
    """
    measured = list(measured)
    (column, base), skip = PARTS[part], int(part == "strategies")
    rows = []
    for way, cap in measured[0].walks:
        values = _per_unit(measured, (way, cap), skip)
        bases = _per_unit(measured, (base, cap), skip)
        along = np.mean([m.walks[way, cap].clicks[skip:] for m in measured], axis=0)
        rows.append(
            {
                column: way,
                "cap": cap,
                "clicks": bootstrap(values, seed=seed),
                "against": None if way == base else bootstrap(values - bases, seed=seed),
                "thirds": [float(third.mean()) for third in np.array_split(along, 3)],
            }
        )
    return rows


def _per_unit(measured: Sequence[Measured], way: tuple[str, int], skip: int) -> np.ndarray:
    """Mean clicks of each dataset; of a folder, of each case over its orders."""
    units: dict[str, list[float]] = {}
    for m in measured:
        walk = m.walks[way]
        for subject, clicks in list(zip(walk.subjects, walk.clicks, strict=True))[skip:]:
            units.setdefault(m.unit or subject, []).append(clicks)
    return np.array([np.mean(units[unit]) for unit in sorted(units)])


def markdown(part: str, rows: Sequence[dict[str, Any]]) -> str:
    """The summary as a Markdown table."""
    name, base = PARTS[part]
    lines = [f"| {name} | cap | clicks a case | against {base} | first third | second | last |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        mean, low, high = row["clicks"]
        against = "" if row["against"] is None else "{:+.2f} ({:+.2f} to {:+.2f})".format(*row["against"])
        thirds = " | ".join(f"{v:.1f}" for v in row["thirds"])
        lines.append(f"| {row[name]} | {row['cap']} | {mean:.2f} ({low:.2f} to {high:.2f}) | {against} | {thirds} |")
    return "\n".join(lines)
