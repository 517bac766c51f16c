"""What weak annotations are worth as a context (figures 4 and 5 of WS-ICL): a few points or boxes an image in place of masks, and interaction
beside them, against the time that drawing them takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.effort import BOX_S, CLICK_S, DRAWN_SLICE_S
from .in_context import Draw, draw_contexts
from .methods import MethodSpec, open_method
from .protocols import BOX, POSITIVE, center, largest_component
from .queries import Entry, Method, Query
from .simulate import fast_dice
from .together import Sitting, work_together
from .users import USERS

if TYPE_CHECKING:
    from .quick import EvaluationTask

#: Seconds that an annotation takes (see ``core.effort``).
SECONDS = {"points": CLICK_S, "boxes": BOX_S, "mask": DRAWN_SLICE_S}
SIZES = (1, 2, 4, 8, 16)
COUNTS = (1, 2, 3, 5)
#: Clicks on the target itself that are measured, without examples and with all of them.
CLICKS = 8
COLUMNS = (
    "method", "dataset", "modality", "axis", "label", "subject", "simulation", "order", "position", "image", "context_size", "step", "last",
    "kind", "prompts", "seconds", "dice",
)  # fmt: skip


@dataclass(frozen=True)
class WeakJob:
    """One task for one method: plain data that travels to the workers.

    Attributes:
        targets, draws: images of the task that are predicted, and contexts drawn for each.
        sizes, counts: examples in the context, and prompts of each.
    """

    number: int
    task: EvaluationTask
    method: MethodSpec
    targets: int = 6
    draws: int = 1
    sizes: tuple[int, ...] = SIZES
    counts: tuple[int, ...] = COUNTS
    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True)
class WeakAnswer:
    """The rows of a job (see ``COLUMNS``), with its number."""

    number: int
    rows: list[dict[str, Any]]


def work(job: WeakJob) -> WeakAnswer:
    """A job, in any process, on one thread."""
    import torch

    torch.set_num_threads(1)
    return WeakAnswer(job.number, study(open_method(job.method, job.device), job))


def study(method: Method, job: WeakJob) -> list[dict[str, Any]]:
    """The rows of a task: from masks and, where the method reads them, from points and boxes, for each size of the context; then interaction with
    the target, without examples and with the largest context of masks. Sizes and kinds share targets and examples."""
    task = job.task
    draws = draw_contexts(job.number, task.subjects, job.targets, job.draws, job.sizes, job.seed)
    entries = _Entries(task, job.seed)
    rows: list[dict[str, Any]] = []
    if method.in_context:
        kinds = [("mask", 1)]
        if method.reads_weak_examples:
            kinds += [(kind, count) for kind in ("points", "boxes") for count in job.counts]
        for kind, count in kinds:
            contexts = [tuple(entries.get(kind, count, i) for i in draw.entries) for draw in draws]
            queries = [Query(entries.image(draw.target), context=context) for draw, context in zip(draws, contexts, strict=True)]
            for draw, logits in zip(draws, method.predict(queries), strict=True):
                dice = fast_dice(logits > 0, task.labels[draw.target])
                rows.append(_row(job, draw, kind, count, len(draw.entries) * count * SECONDS[kind], dice))
    if method.interactive:
        rows += _interaction(method, job, entries, draws)
    return rows


def _interaction(method: Method, job: WeakJob, entries: _Entries, draws: Sequence[Draw]) -> Iterator[dict[str, Any]]:
    """Centre clicks on each target: the time is that of the clicks, and of the masks where there are any."""
    largest = [d for d in draws if len(d.entries) == max(job.sizes)]
    alone = [Draw(d.task, d.number, d.target, ()) for d in largest]
    for chosen in (alone, largest) if method.in_context else (alone,):
        sittings = []
        for draw in chosen:
            person = USERS["clicks"](seed=[job.seed, draw.task, draw.number, draw.target])
            context = tuple(entries.get("mask", 1, i) for i in draw.entries)
            sittings.append(Sitting(entries.image(draw.target), np.array(job.task.labels[draw.target], bool), person, context))
        work_together(method, sittings, CLICKS, None)
        for draw, sitting in zip(chosen, sittings, strict=True):
            for step, dice in enumerate(sitting.dices):
                if step:
                    seconds = step * SECONDS["points"] + len(draw.entries) * SECONDS["mask"]
                    yield _row(job, draw, "interaction", step, seconds, dice)


class _Entries:
    """The context entries of a task, each made once."""

    def __init__(self, task: EvaluationTask, seed: int) -> None:
        self._task, self._seed = task, seed
        self._made: dict[tuple[str, int, int], Entry] = {}
        self._images: dict[int, np.ndarray] = {}

    def image(self, index: int) -> np.ndarray:
        if index not in self._images:
            self._images[index] = np.ascontiguousarray(self._task.images[index], np.float32)
        return self._images[index]

    def get(self, kind: str, count: int, index: int) -> Entry:
        if (kind, count, index) not in self._made:
            label = np.asarray(self._task.labels[index], bool)
            if kind == "mask":
                entry = Entry(self.image(index), label.astype(np.float32))
            else:
                annotate = points_on if kind == "points" else boxes_on
                entry = Entry(self.image(index), None, annotate(label, count, np.random.default_rng([self._seed, index])))
            self._made[kind, count, index] = entry
        return self._made[kind, count, index]


def points_on(label: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Up to ``count`` points on ``label`` bool [H, W], as float32 [3, H, W]: the first in the centre of its largest component, the others drawn
    from the rest; more points hold fewer ones of an equal generator."""
    prompts = np.zeros((3, *label.shape), np.float32)
    if label.any():
        prompts[POSITIVE][tuple(center(largest_component(label), rng))] = 1
        pixels = np.argwhere(label)
        for row, col in pixels[rng.permutation(len(pixels))]:
            if prompts[POSITIVE].sum() >= count:
                break
            prompts[POSITIVE, row, col] = 1
    return prompts


def boxes_on(label: np.ndarray, count: int, rng: np.random.Generator | None = None) -> np.ndarray:
    """``count`` boxes around what ``label`` bool [H, W] shows, as float32 [3, H, W]: those of its largest components; where there are fewer, the
    part in the largest box is cut in two along the box's longer side, and each half gets its own, tighter box."""
    from scipy import ndimage

    prompts = np.zeros((3, *label.shape), np.float32)
    components, number = ndimage.label(label, np.ones((3, 3)))
    parts = sorted((components == k + 1 for k in range(number)), key=lambda part: -int(part.sum()))
    while parts and len(parts) < count:
        largest = max(range(len(parts)), key=lambda k: _extent(parts[k]))
        if _extent(parts[largest]) < 2:
            break
        parts[largest : largest + 1] = _halves(parts[largest])
    for part in parts[:count]:
        prompts[BOX][_box(part)] = 1
    return prompts


def _box(part: np.ndarray) -> tuple[slice, slice]:
    rows, cols = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
    return slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)


def _extent(part: np.ndarray) -> int:
    """Pixels of its box."""
    rows, cols = _box(part)
    return (rows.stop - rows.start) * (cols.stop - cols.start)


def _halves(part: np.ndarray) -> list[np.ndarray]:
    rows, cols = _box(part)
    first, second = part.copy(), part.copy()
    if rows.stop - rows.start >= cols.stop - cols.start:
        middle = (rows.start + rows.stop) // 2
        first[middle:], second[:middle] = False, False
    else:
        middle = (cols.start + cols.stop) // 2
        first[:, middle:], second[:, :middle] = False, False
    return [half for half in (first, second) if half.any()]


def _row(job: WeakJob, draw: Draw, kind: str, prompts: int, seconds: float, dice: float) -> dict[str, Any]:
    dataset, _, rest = job.task.name.partition(" / ")
    label, _, axis = rest.rpartition(" / ")
    return {
        "method": job.method.name,
        "dataset": job.task.dataset or dataset,
        "modality": job.task.modality,
        "axis": axis,
        "label": label or rest,
        "subject": str(job.task.subjects[draw.target]),
        "simulation": draw.number,
        "image": draw.target,
        "context_size": len(draw.entries),
        "kind": kind,
        "prompts": prompts,
        "step": prompts if kind == "interaction" else 0,
        "last": 1,
        "order": 0,
        "position": 0,
        "seconds": seconds,
        "dice": round(dice, 5),
    }
