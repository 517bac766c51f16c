"""Experiment 2: reference masks as context, drawn anew for each prediction (section 7): context alone, and corrected step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .queries import Entry, Method
from .together import Sitting, work_together
from .users import USERS


@dataclass(frozen=True)
class Draw:
    """One prediction to make: the image ``target`` of ``task`` with the context of the images ``entries``."""

    task: int
    number: int
    target: int
    entries: tuple[int, ...]


def draw_contexts(task: int, subjects: np.ndarray, targets: int, draws: int, sizes: Sequence[int], seed: int) -> list[Draw]:
    """For ``targets`` images of a task (all if it has fewer) ``draws`` contexts of each size, with replacement, from other subjects' images.

    A larger context of one draw holds the smaller ones, so that sizes are compared on the same examples.
    """
    rng = np.random.default_rng([seed, task])
    found = []
    for target in rng.permutation(len(subjects))[:targets].tolist():
        others = np.flatnonzero(subjects != subjects[target])
        if not len(others):
            others = np.delete(np.arange(len(subjects)), target)
        if not len(others):
            continue
        for number in range(draws):
            chosen = others[rng.integers(len(others), size=max(sizes))].tolist()
            found += [Draw(task, number, target, tuple(chosen[:size])) for size in sizes]
    return found


def segment_in_context(
    method: Method,
    draws: Sequence[Draw],
    images: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    user: str = "clicks",
    steps: int = 0,
    seed: int = 0,
    target: float | None = None,
) -> list[dict[str, Any]]:
    """A row per draw and step: Dice without a prompt and after 1 to ``steps`` corrections, or until ``target`` is reached."""
    entries: dict[tuple[int, int], Entry] = {}

    def entry(task: int, index: int) -> Entry:
        if (task, index) not in entries:
            image = np.ascontiguousarray(images[task][index], np.float32)
            entries[task, index] = Entry(image, np.asarray(labels[task][index], np.float32))
        return entries[task, index]

    sittings = []
    for draw in draws:
        person = USERS[user](seed=[seed, draw.task, draw.number, draw.target])
        label = np.array(labels[draw.task][draw.target], bool)  # a copy, see ``sequence.Block``
        context = tuple(entry(draw.task, i) for i in draw.entries)
        sittings.append(Sitting(entry(draw.task, draw.target).image, label, person, context))
    work_together(method, sittings, steps, target)
    rows = []
    for draw, sitting in zip(draws, sittings, strict=True):
        for step, dice in enumerate(sitting.dices):
            rows.append(
                {
                    "task": draw.task,
                    "simulation": draw.number,
                    "order": 0,
                    "position": 0,
                    "image": draw.target,
                    "context_size": len(draw.entries),
                    "step": step,
                    "last": int(step == sitting.steps),
                    "dice": round(dice, 5),
                    "hd95": float("nan"),
                }
            )
    return rows
