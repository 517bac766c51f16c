"""A whole volume from prompts in patient space: which slice gets which prompt, what a box in 3D bounds, and writing the result as one undo step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.context.example import Example
from ..core.context.showing import shown_example
from ..core.imaging import ImageSettings
from ..core.predicting import Predictor
from ..core.prompts import Prompts
from ..core.selection import select
from ..mrml.segments import SegmentWriter
from ..mrml.slice_plane import SlicePlane
from .find_slice import find_slice
from .volume_prompting import VolumePrompting, within
from .volume_propagation import Limits, SliceResult
from .volume_session import SliceStack


def prompts_by_slice(planes: Sequence[SlicePlane], prompts: Prompts) -> tuple[dict[int, np.ndarray], tuple[int, int] | None]:
    """Prompts [3, n, n] by slice index, and the first and last slice that the boxes leave (None: there is no box).

    A box says on its middle slice where the structure is; elsewhere it only bounds the slices, since the structure is narrower towards its ends.
    """
    others = Prompts(tuple(p for p in prompts if not p.bounds))
    given = {n: channels for n, plane in enumerate(planes) if (channels := plane.rasterize(others)).any()}
    crossed: set[int] = set()
    for box in (p for p in prompts if p.bounds):
        found = {n: drawn for n, plane in enumerate(planes) if (drawn := plane.rasterize(Prompts((box,)))).any()}
        if found:
            crossed |= set(found)
            middle = sorted(found)[len(found) // 2]
            given[middle] = np.maximum(given.get(middle, 0), found[middle])
    return given, (min(crossed), max(crossed)) if crossed else None


def segment_volume(
    volume: Any,
    segmentation: Any,
    segment_id: str,
    axis: str,
    settings: ImageSettings,
    predictor: Predictor,
    prompts: Prompts,
    examples: Sequence[Example] = (),
    strategy: str = "most_similar",
    cap: int = 16,
    limits: Limits | None = None,
    cancel: Callable[[], bool] = lambda: False,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[int, SliceResult]:
    """Predicts the structure in the whole volume and writes it into the segment; returns the slices by index along ``axis`` ("i", "j", "k").

    Raises:
        ContextError: neither prompts nor examples.
        Cancelled: ``cancel`` said so; nothing was written.
    """
    stack = SliceStack(volume, axis, settings, predictor.capabilities.size)
    given, bounds = prompts_by_slice(stack.planes, prompts)
    limits = limits or Limits()
    if bounds is not None:
        limits = within(limits, *bounds)
    chosen = list(examples)
    if chosen:
        middle = len(stack) // 2
        guide = min(given, key=lambda n: abs(n - middle)) if given else find_slice(stack.image, len(stack), chosen, cancel).index
        chosen = list(select(strategy, stack.image(guide), chosen, cap))

    work = VolumePrompting(
        stack.image, len(stack), predictor, chosen, lambda image, mask, _: shown_example(image, mask), limits, stack.step
    )
    results = work.run(given, cancel, progress)
    pasted = [stack.planes[n].paste(r.probability, volume, limits.threshold) for n, r in sorted(results.items())]
    SegmentWriter().write_all(segmentation, segment_id, volume, pasted)
    return results
