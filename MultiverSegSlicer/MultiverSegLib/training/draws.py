"""Which images a real task's target and context are: of other subjects, slices without the structure, slices of the target's own volume."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from .config import AbsenceConfig
from .corpus import Dataset, Task

#: Absence is learned more often close to a structure's end: a slice is drawn in proportion to 1 / (its distance + this), in mm.
_NEAR_MM = 6.0


@dataclass(frozen=True)
class Drawn:
    """``indices`` of the target (first) and its context; ``neighbour``: the slice whose mask is the target's previous prediction, or None."""

    indices: np.ndarray
    neighbour: int | None = None


class TaskSampler:
    """Draws tasks hierarchically: dataset, then view (axis), then label (B.1)."""

    def __init__(
        self, tasks: list[Task], dataset_power: float = 0.0, most_images: int = 10**9, favour: dict[str, float] | None = None
    ) -> None:
        self.tree: dict[str, dict[str, list[Task]]] = {}
        for task in tasks:
            self.tree.setdefault(task.dataset.name, {}).setdefault(task.view, []).append(task)
        self.names = list(self.tree)
        sizes = {task.dataset.name: min(len(task.dataset.images), most_images) for task in tasks}
        weights = np.array([sizes[n] for n in self.names], dtype=float) ** dataset_power
        weights *= [(favour or {}).get(n, 1.0) for n in self.names]
        self.weights = weights / weights.sum()
        self.absent = {n: [t for views in tree.values() for t in views if len(t.absent)] for n, tree in self.tree.items()}

    def draw(self, rng: np.random.Generator) -> Task:
        views = self.tree[self.names[rng.choice(len(self.names), p=self.weights)]]
        labels = views[list(views)[rng.integers(len(views))]]
        return labels[rng.integers(len(labels))]

    def draw_absent(self, rng: np.random.Generator) -> Task | None:
        """A task that has images without its structure; None if no task has any."""
        weights = self.weights * [bool(self.absent[n]) for n in self.names]
        if not weights.any():
            return None
        tasks = self.absent[self.names[rng.choice(len(self.names), p=weights / weights.sum())]]
        return tasks[rng.integers(len(tasks))]

    def draw_foreign(self, task: Task, rng: np.random.Generator) -> tuple[Dataset, int] | None:
        """An image of another dataset in which nobody expects the structure of ``task``: other patients, other anatomy, other words."""
        known = _words(task)
        for _ in range(20):
            other = self.draw(rng)
            if other.dataset.group != task.dataset.group and not known & _words(other) and not other.dataset.info.get("paint"):
                return other.dataset, int(rng.choice(other.indices))
        return None


def _words(task: Task) -> set[str]:
    """The longer words of the label's name and of the dataset's anatomy."""
    text = f"{task.dataset.label_names[task.label]} {task.dataset.info.get('anatomy', '')}".lower()
    return set(re.findall(r"[a-z]{4,}", text))


def draw_slices(task: Task, count: int, absent: bool, options: AbsenceConfig, rng: np.random.Generator) -> Drawn:
    """A target and ``count - 1`` context images: of other subjects than the target's where there are any, of other images at least, with
    repetition only where there are too few; and what slices of volumes and known absence allow. One context image at least shows the structure.

    Args:
        absent: the target is an image without the structure (``task.absent`` must not be empty).
    """
    target = _near(task, np.arange(len(task.absent)), rng) if absent else int(rng.choice(task.indices))
    widest = rng.random() < options.widest_share
    context = _context(task, target, _widest(task) if widest else task.indices, count - 1, rng)
    if len(context) > 1 and len(task.absent) and rng.random() < 0.5:
        others = np.flatnonzero(task.dataset.subjects[task.absent] != task.dataset.subjects[target])
        for place in range(1, len(context)):
            if len(others) and rng.random() < options.entry_share:
                context[place] = _near(task, others, rng)
    own = _own(task, target)
    if len(own) and len(context) and rng.random() < options.own_share:
        for place in range(min(len(context), int(rng.integers(1, 4)))):
            context[place] = rng.choice(own)
        if not np.isin(context, task.indices).any():
            context[0] = rng.choice(task.indices)
    neighbour = _neighbour(task, target, options, rng) if rng.random() < options.neighbour_share else None
    return Drawn(np.concatenate([[target], context]).astype(int), neighbour)


def _context(task: Task, target: int, among: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    subjects = task.dataset.subjects
    others = among[subjects[among] != subjects[target]]
    if not len(others):
        others = task.indices[task.indices != target]
    return rng.choice(others, count, replace=len(others) < count) if count > 0 else np.empty(0, int)


def _near(task: Task, places: np.ndarray, rng: np.random.Generator) -> int:
    """One of ``task.absent[places]``, more often one that is close to the structure."""
    weights = 1 / (task.gaps[places] + _NEAR_MM)
    return int(task.absent[rng.choice(places, p=weights / weights.sum())])


def _widest(task: Task) -> np.ndarray:
    """Of each volume the slice with the largest label; all images where they are no slices of known volumes."""
    slices = task.dataset.slices
    if task.dataset.picked:
        return task.indices
    areas, stacks = task.dataset.areas[task.indices, task.label], slices.stacks[task.indices]
    order = np.lexsort((-areas, stacks))
    return task.indices[order[np.r_[True, np.diff(stacks[order]) != 0]]]


def _own(task: Task, target: int) -> np.ndarray:
    """The other slices of the target's volume of which it is known whether they show the structure."""
    slices = task.dataset.slices
    if task.dataset.picked:
        return np.empty(0, int)
    known = np.concatenate([task.indices, task.absent])
    return known[(slices.stacks[known] == slices.stacks[target]) & (known != target)]


def _neighbour(task: Task, target: int, options: AbsenceConfig, rng: np.random.Generator) -> int | None:
    """A slice close to the target that shows the structure."""
    slices = task.dataset.slices
    if task.dataset.picked:
        return None
    same = task.indices[slices.stacks[task.indices] == slices.stacks[target]]
    distance = np.abs(slices.positions[same] - slices.positions[target])
    close = same[(distance > 0) & (distance <= options.reach)]
    return int(rng.choice(close)) if len(close) else None
