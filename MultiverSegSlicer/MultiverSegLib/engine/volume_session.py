"""Propagation through a volume node: gather on the main thread, compute anywhere, commit as one undo step on the main thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from ..core.grid import GRID_SIZE
from ..core.imaging import ImageSettings, sample_image
from ..core.predicting import Predictor
from ..core.prompts import Prompts
from ..mrml import segments, volumes
from ..mrml.axes import array_axis
from ..mrml.slice_plane import SlicePlane, planes_of
from .volume_propagation import Confirmed, Limits, SliceResult, VolumePropagation


class VolumeWork:
    """One structure in one volume. Lives as long as the case is open, so that a correction re-propagates only what it changes.

    ``prepare`` and ``commit`` belong to the main thread; ``compute`` touches no node and may run in the worker.

    Args:
        volume, segmentation, segment_id: the nodes.
        axis: voxel axis "i", "j" or "k".
        settings: how slices are shown to the network.
        predictor: see ``core.predicting``.
        examples: the cohort's examples, already selected.
        example_of: makes an example of (image, mask, index); None: confirmed slices serve as neighbours only.
        limits: range and stopping rule.
    """

    def __init__(
        self,
        volume: Any,
        segmentation: Any,
        segment_id: str,
        axis: str,
        settings: ImageSettings,
        predictor: Predictor,
        examples: Sequence[Any] = (),
        example_of: Callable[[np.ndarray, np.ndarray, int], Any] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.volume, self.segmentation, self.segment_id, self.axis = volume, segmentation, segment_id, axis
        self.stack = SliceStack(volume, axis, settings, predictor.capabilities.size)
        self._propagation = VolumePropagation(self.stack.image, len(self.stack), predictor, examples, example_of, limits, self.stack.step)
        self._written: dict[int, np.ndarray] = {}
        self._confirmed: dict[int, Confirmed] = {}
        self._prompts: dict[int, np.ndarray] = {}

    @property
    def confirmed(self) -> list[int]:
        """The slices that propagation starts from, as of the last ``prepare``."""
        return sorted(self._confirmed)

    @property
    def predicted(self) -> int:
        """Slices predicted so far, all calls together."""
        return self._propagation.predicted

    def prepare(self, prompts: Prompts | None = None, also: Iterable[int] = ()) -> None:
        """Looks at the segment: every slice with something in it that the last ``commit`` did not write is confirmed, and so is ``also``.

        Args:
            prompts: the structure's prompts; those on slices that are not confirmed guide the prediction there.
        """
        mask = segments.get_segment(self.segmentation, self.segment_id, self.volume)
        slices = np.moveaxis(mask, array_axis(self.axis), 0)
        chosen = {index for index in self._confirmed if index < len(slices)} | set(also)
        for index, now in enumerate(slices):
            written = self._written.get(index)
            if now.any() if written is None else not np.array_equal(now, written):
                chosen.add(index)
        self._confirmed = {index: self._as_confirmed(index) for index in sorted(chosen)}
        self._prompts = {}
        for index, plane in enumerate(self.stack.planes if prompts else ()):
            channels = plane.rasterize(prompts)
            if index not in chosen and channels.any():
                self._prompts[index] = channels

    @property
    def compute(self) -> Callable[..., dict[int, SliceResult]]:
        """``VolumePropagation.run`` for what ``prepare`` found, with ``cancel`` and ``progress``; in any thread, because it holds no node."""
        return partial(self._propagation.run, self._confirmed, self._prompts)

    def commit(self, results: Mapping[int, SliceResult], writer: segments.SegmentWriter | None = None) -> segments.PlaneEdit:
        """Writes the slices that propagation found, and clears those it had found before but not now. One undo step."""
        empty = np.zeros((self.stack.size, self.stack.size), np.float32)
        found = {index: result.probability for index, result in results.items() if not result.confirmed}
        gone = {index: empty for index in self._written if index not in results and index not in self._confirmed}
        threshold = self._propagation.limits.threshold
        pasted = [self.stack.planes[i].paste(p, self.volume, threshold) for i, p in sorted({**found, **gone}.items())]
        edit = (writer or segments.SegmentWriter()).write_all(self.segmentation, self.segment_id, self.volume, pasted)
        mask = segments.get_segment(self.segmentation, self.segment_id, self.volume)
        slices = np.moveaxis(mask, array_axis(self.axis), 0)
        self._written = {index: slices[index].copy() for index in {**found, **gone}}
        return edit

    def _as_confirmed(self, index: int) -> Confirmed:
        coverage = self.stack.planes[index].sample_segment(self.segmentation, self.segment_id)
        return Confirmed((coverage >= 0.5).astype(np.uint8))


class SliceStack:
    """The slices of a volume along an axis as images of ``size`` x ``size`` pixels. Made on the main thread; ``image`` works on plain arrays in any thread."""

    def __init__(self, volume: Any, axis: str, settings: ImageSettings, size: int = GRID_SIZE) -> None:
        self.size = size
        self.planes: list[SlicePlane] = planes_of(volume, axis, settings, size)
        self._sheets = [plane.sheet_of(volume) for plane in self.planes]
        self._array = volumes.array_of(volume)
        self._settings = settings
        self.image = lru_cache(maxsize=64)(self._sample)

    def __len__(self) -> int:
        return len(self.planes)

    @property
    def step(self) -> float:
        """Distance of two slices in grid pixels."""
        if len(self) < 2:
            return 1.0
        first, second = (plane.grid_to_ras for plane in self.planes[:2])
        return abs(float((np.linalg.inv(first) @ second)[2, 3])) / float(np.linalg.norm(first[:3, 0]))

    def _sample(self, index: int) -> np.ndarray:
        """float32 [n, n] in 0..1."""
        return sample_image(self._array, self._sheets[index], self._settings)
