"""Tasks and methods whose behaviour is known by construction, for the tests of the experiments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from MultiverSegLib.evaluation.methods import MethodSpec
from MultiverSegLib.evaluation.protocols import POSITIVE
from MultiverSegLib.evaluation.queries import Query
from MultiverSegLib.evaluation.quick import EvaluationTask

SPEC = MethodSpec("made up", "made up")


def disk(row, col, radius, shape=(64, 64)):
    r, c = np.indices(shape)
    return (r - row) ** 2 + (c - col) ** 2 <= radius**2


def task(name="A / disk / axial", count=8, same=False, licence="CC0"):
    """Disks that wander (or all ``same``) in noise; two images of each subject."""
    labels = np.stack([disk(30 if same else 16 + 4 * i, 32, 9) for i in range(count)])
    images = np.random.default_rng(count).random(labels.shape, np.float32)
    subjects = np.array([f"s{i // 2}" for i in range(count)])
    for array in (labels, images):
        array.setflags(write=False)  # as a cluster hands them over
    return EvaluationTask(name.partition(" / ")[0], name, "made up", images, labels, subjects, licence)


class Painter:
    """Paints a disk at each positive click, and all that its last example shows."""

    interactive, in_context, reads_weak_examples = True, True, True

    def __init__(self, in_context: bool = True, reads_weak_examples: bool = True) -> None:
        self.in_context, self.reads_weak_examples = in_context, reads_weak_examples
        self.asked: list[Query] = []

    def predict(self, queries: Sequence[Query]) -> list[np.ndarray]:
        self.asked += queries
        return [self._one(q) for q in queries]

    def _one(self, query: Query) -> np.ndarray:
        mask = np.zeros(query.image.shape, bool)
        if query.context and self.in_context:
            last = query.context[-1]
            mask |= (last.prompts.max(0) if last.mask is None else last.mask) > 0.5
        for row, col in np.argwhere(query.prompts[POSITIVE] > 0) if query.prompts is not None else ():
            mask |= disk(row, col, 9, mask.shape)
        return np.where(mask, 5.0, -5.0).astype(np.float32)
