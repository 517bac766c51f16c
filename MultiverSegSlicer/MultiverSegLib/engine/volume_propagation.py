"""Through a volume: from the confirmed slices outwards, slice by slice, the neighbour's result as previous logits.

Nothing here touches MRML: images come from a function (index -> [n, n]), results go out as probabilities, so it runs in a worker thread.

The slices between two confirmed ones are one *run*, walked from both ends and blended by distance; before the first and behind the last
confirmed slice a run has one end and stops where the structure ends. A run depends on its own confirmed slices only (its length on how far
all of them reach). That is why a correction makes just the runs beside it anew.

What else was tried: Docs/decisions/following-a-structure.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from ..core.asking import ask_each
from ..core.confidence import entropy_confidence
from ..core.errors import Cancelled, PromptError
from ..core.predicting import Predictor

_SURE = 8.0  # the logit given to the inside of a confirmed mask; the outside gets the negative
_FEWEST_PIXELS = 3


@dataclass(frozen=True)
class Limits:
    """Where propagation goes and stops.

    ``first`` and ``last`` are slice indices (inclusive; None: the volume's). A run that leaves the structure stops after ``patience``
    slices in a row whose area is below ``min_area`` of the confirmed slice's, whose confidence is below ``min_confidence``, or of which the
    model says that the structure is not there (``min_presence``). From one slice to the next the structure grows by at most ``reach`` grid pixels (None: no limit), except where prompts say otherwise.

    Confirmed slices that span more than the structure is wide show its length: walks then go ``beyond`` the outermost by this share of the
    span, and by one slice at least (None: no limit). On a side with ``first`` or ``last`` that limit is the user's.
    """

    first: int | None = None
    last: int | None = None
    min_area: float = 0.05
    min_confidence: float = 0.5
    min_presence: float = 0.5
    patience: int = 2
    threshold: float = 0.5
    reach: int | None = 3
    beyond: float | None = 0.1


@dataclass(frozen=True)
class Confirmed:
    """A slice that the user prompted or accepted: ``mask`` [n, n] (non-zero is inside) and, if it was predicted, its ``logits``.

    An empty mask is a statement too: the structure ends there.
    """

    mask: np.ndarray
    logits: np.ndarray | None = None

    @property
    def previous(self) -> np.ndarray:
        """What the neighbour gets as previous logits, float32 [n, n]."""
        if self.logits is not None:
            return np.asarray(self.logits, np.float32)
        return np.where(np.asarray(self.mask) > 0, _SURE, -_SURE).astype(np.float32)

    @property
    def empty(self) -> bool:
        return not np.any(self.mask)


@dataclass(frozen=True)
class SliceResult:
    """One slice: ``probability`` and ``logits`` float32 [n, n], ``area`` in grid pixels, which confirmed slices it ``came_from``, and the
    ``presence`` that the model gave it (None: it can't say)."""

    index: int
    probability: np.ndarray
    logits: np.ndarray
    confidence: float
    area: int
    came_from: tuple[int, ...]
    presence: float | None = None

    @property
    def confirmed(self) -> bool:
        return self.came_from == (self.index,)


@dataclass(frozen=True)
class _Run:
    """Slices ``inner`` between the confirmed slices ``low`` and ``high`` (None: the run leaves the structure on that side)."""

    low: int | None
    high: int | None
    inner: range

    @property
    def ends(self) -> tuple[int, ...]:
        return tuple(e for e in (self.low, self.high) if e is not None)


@dataclass
class _Front:
    """A walk from a confirmed slice: what it has found so far, and how long it has found nothing."""

    start: int
    order: list[int]
    previous: np.ndarray
    full_area: int
    may_stop: bool
    found: dict[int, SliceResult] = field(default_factory=dict)
    doubtful: int = 0
    stopped: bool = False


class VolumePropagation:
    """Fills a volume from its confirmed slices, and keeps what later corrections leave valid.

    Args:
        image: the image of a slice on its grid, float32 [n, n] in 0..1, by index.
        count: number of slices.
        predictor: see ``core.predicting``.
        examples: the cohort's examples (already selected).
        example_of: makes an example of a confirmed slice (image, mask) for the context; None: confirmed slices serve as neighbours only.
        limits: range and stopping rule.
        step: distance of two slices in grid pixels.
    """

    def __init__(
        self,
        image: Callable[[int], np.ndarray],
        count: int,
        predictor: Predictor,
        examples: Sequence[Any] = (),
        example_of: Callable[[np.ndarray, np.ndarray, int], Any] | None = None,
        limits: Limits | None = None,
        step: float = 1.0,
    ) -> None:
        self.limits = limits or Limits()
        self._step = step
        self._image = image
        self._count = count
        self._predictor = predictor
        self._examples = list(examples)
        self._example_of = example_of
        self._done: dict[str, dict[int, SliceResult]] = {}
        self.predicted = 0

    def run(
        self,
        confirmed: Mapping[int, Confirmed],
        prompts: Mapping[int, np.ndarray] | None = None,
        cancel: Callable[[], bool] = lambda: False,
        progress: Callable[[int], None] = lambda done: None,
    ) -> dict[int, SliceResult]:
        """The slices of the structure by index, confirmed ones included; slices that aren't in it are empty.

        Args:
            confirmed: by slice index; at least one that isn't empty.
            prompts: prompts [3, n, n] on slices in between, by index.
            cancel: asked before each forward pass.
            progress: gets the number of slices predicted in this call.

        Raises:
            PromptError: nothing to start from, or a confirmed slice lies outside the volume.
            Cancelled: ``cancel`` said so; nothing is kept of the unfinished runs.
        """
        prompts = dict(prompts or {})
        runs = self._plan(confirmed)
        keys = {run: self._key(run, confirmed, prompts) for run in runs}
        before = self.predicted
        for group in _grouped([run for run in runs if keys[run] not in self._done]):
            finished = self._walk(group, confirmed, prompts, cancel, lambda: progress(self.predicted - before))
            for run, results in finished.items():
                self._done[keys[run]] = results
        self._done = {key: self._done[key] for key in keys.values()}
        results = {index: self._as_result(index, entry) for index, entry in confirmed.items()}
        for key in keys.values():
            results.update(self._done[key])
        return dict(sorted(results.items()))

    def _plan(self, confirmed: Mapping[int, Confirmed]) -> list[_Run]:
        if all(entry.empty for entry in confirmed.values()):
            raise PromptError("There is nothing to propagate: segment or accept one slice of the structure first.")
        outside = [index for index in confirmed if not 0 <= index < self._count]
        if outside:
            raise PromptError(f"Slice {outside[0]} is outside of the volume, which has slices 0 to {self._count - 1}.")
        known = sorted(confirmed)
        farthest = self._farthest(confirmed)
        first = max(0, self.limits.first if self.limits.first is not None else known[0] - farthest)
        last = min(self._count - 1, self.limits.last if self.limits.last is not None else known[-1] + farthest)
        runs = [_Run(None, known[0], range(first, known[0]))]
        runs += [_Run(a, b, range(max(a + 1, first), min(b, last + 1))) for a, b in pairwise(known)]
        runs.append(_Run(known[-1], None, range(known[-1] + 1, last + 1)))
        return [run for run in runs if len(run.inner) and not all(confirmed[end].empty for end in run.ends)]

    def _farthest(self, confirmed: Mapping[int, Confirmed]) -> int:
        """By how many slices walks may leave the confirmed ones."""
        shown = {index: int(np.count_nonzero(entry.mask)) for index, entry in confirmed.items() if not entry.empty}
        span = max(shown) - min(shown)
        width = 2 * np.sqrt(max(shown.values()) / np.pi)  # of the largest mask, were it a disk
        if self.limits.beyond is None or span * self._step < width:
            return self._count
        return max(1, round(self.limits.beyond * span))

    def _key(self, run: _Run, confirmed: Mapping[int, Confirmed], prompts: Mapping[int, np.ndarray]) -> str:
        """Everything a run depends on; equal keys, equal results."""
        digest = hashlib.sha256(repr((run.low, run.high, run.inner)).encode())
        for end in run.ends:
            digest.update(np.packbits(np.asarray(confirmed[end].mask) > 0).tobytes() + confirmed[end].previous.tobytes())
        for index in run.inner:
            if index in prompts:
                digest.update(f"{index}".encode() + np.asarray(prompts[index], np.float32).tobytes())
        return digest.hexdigest()

    def _walk(
        self,
        group: list[_Run],
        confirmed: Mapping[int, Confirmed],
        prompts: Mapping[int, np.ndarray],
        cancel: Callable[[], bool],
        progress: Callable[[], None],
    ) -> dict[_Run, dict[int, SliceResult]]:
        """Runs with the same confirmed slices as context, all their fronts in one batch per step."""
        context = self._context(group[0], confirmed)
        fronts = {run: self._fronts(run, confirmed) for run in group}
        every = [front for run in group for front in fronts[run]]
        while active := [front for front in every if front.order and not front.stopped]:
            if cancel():
                raise Cancelled("Propagation was cancelled; nothing was changed.")
            self._advance(active, context, prompts)
            progress()
        return {run: self._joined(run, fronts[run]) for run in group}

    def _context(self, run: _Run, confirmed: Mapping[int, Confirmed]) -> list[Any]:
        if self._predictor.capabilities.context == "none":
            return []
        own = [] if self._example_of is None else [self._example_of(self._image(e), confirmed[e].mask, e) for e in run.ends]
        return [*own, *self._examples]

    def _fronts(self, run: _Run, confirmed: Mapping[int, Confirmed]) -> list[_Front]:
        """From each end that shows the structure. Between two of them nothing stops; else the structure ends somewhere in the run."""
        starts = [end for end in run.ends if not confirmed[end].empty]
        forward, backward = list(run.inner), list(run.inner)[::-1]
        return [
            _Front(
                start,
                forward if start == run.low else backward,
                confirmed[start].previous,
                int(np.count_nonzero(confirmed[start].mask)),
                may_stop=len(starts) == 1,
            )
            for start in starts
        ]

    def _advance(self, active: list[_Front], context: list, prompts: Mapping[int, np.ndarray]) -> None:
        """One forward pass: the next slice of every front."""
        indices = [front.order.pop(0) for front in active]
        given = [prompts.get(index) for index in indices]
        images = [self._image(index) for index in indices]
        predictions = ask_each(self._predictor, images, given, [front.previous for front in active], context)
        self.predicted += len(indices)
        for front, index, prediction in zip(active, indices, predictions, strict=True):
            result = self._result(index, prediction.probability, prediction.logits, (front.start,))
            result = replace(result, presence=prediction.presence)
            if self.limits.reach is not None and index not in prompts:
                result = self._within_reach(result, front.previous > 0)
            front.found[index] = result
            front.previous = result.logits
            self._judge(front, result, index in prompts)

    def _within_reach(self, result: SliceResult, neighbour: np.ndarray) -> SliceResult:
        """The result without what is farther than ``reach`` from the neighbour's: drift would grow from slice to slice."""
        near = _dilated(neighbour, self.limits.reach)
        logits = np.where(near, result.logits, np.minimum(result.logits, -_SURE)).astype(np.float32)
        near_only = self._result(result.index, np.where(near, result.probability, 0), logits, result.came_from)
        return replace(near_only, presence=result.presence)

    def _judge(self, front: _Front, result: SliceResult, prompted: bool) -> None:
        """Stops a front that has left the structure, and forgets the slices in which it had."""
        if not front.may_stop:
            return
        too_small = result.area < max(_FEWEST_PIXELS, self.limits.min_area * front.full_area)
        absent = result.presence is not None and result.presence < self.limits.min_presence
        doubtful = absent or too_small or result.confidence < self.limits.min_confidence
        front.doubtful = front.doubtful + 1 if doubtful and not prompted else 0
        if front.doubtful >= self.limits.patience:
            front.stopped = True
            for index in list(front.found)[-front.doubtful :]:
                del front.found[index]

    def _joined(self, run: _Run, fronts: list[_Front]) -> dict[int, SliceResult]:
        """One result per slice: from the only front, or both blended in logits by the distance to their confirmed slices."""
        if len(fronts) == 1:
            return fronts[0].found
        up, down = fronts
        return {index: self._blended(index, run, up.found.get(index), down.found.get(index)) for index in run.inner}

    def _blended(self, index: int, run: _Run, up: SliceResult, down: SliceResult) -> SliceResult:
        weight = (run.high - index) / (run.high - run.low)
        logits = (weight * up.logits + (1 - weight) * down.logits).astype(np.float32)
        return self._result(index, 1 / (1 + np.exp(-logits)), logits, (run.low, run.high))

    def _result(self, index: int, probability: np.ndarray, logits: np.ndarray, came_from: tuple[int, ...]) -> SliceResult:
        probability = np.asarray(probability, np.float32)
        area = int((probability > self.limits.threshold).sum())
        return SliceResult(index, probability, np.asarray(logits, np.float32), entropy_confidence(probability), area, came_from)

    def _as_result(self, index: int, entry: Confirmed) -> SliceResult:
        mask = (np.asarray(entry.mask) > 0).astype(np.float32)
        return replace(self._result(index, mask, entry.previous, (index,)), confidence=1.0)


def _dilated(mask: np.ndarray, steps: int) -> np.ndarray:
    """``mask`` grown by ``steps`` pixels (4 and 8 neighbours in turn, which is nearly round)."""
    grown = np.pad(mask, steps)
    for step in range(steps):
        rows = grown | np.roll(grown, 1, 0) | np.roll(grown, -1, 0)
        base = rows if step % 2 else grown
        grown = rows | np.roll(base, 1, 1) | np.roll(base, -1, 1)
    return grown[steps:-steps, steps:-steps] if steps else grown


def _grouped(runs: list[_Run]) -> list[list[_Run]]:
    """Runs of the same confirmed slices together."""
    groups: dict[tuple[int, ...], list[_Run]] = {}
    for run in runs:
        groups.setdefault(run.ends, []).append(run)
    return list(groups.values())
