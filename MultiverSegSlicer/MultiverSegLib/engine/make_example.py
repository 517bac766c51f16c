"""From a segment on a slice plane to an example of the context, and the image settings that go with a context. Main thread."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.context.context_set import ContextSet, Example
from ..core.errors import SegmentationError
from ..core.grid import GRID_SIZE
from ..core.imaging import ImageSettings
from ..mrml.slice_plane import SlicePlane


def settings_of(context: ContextSet | None) -> ImageSettings:
    """How the context's images were made, so that the target's is made alike; the defaults without one."""
    made = (example.settings for example in (context.examples if context is not None else ()))
    return next((settings for settings in made if settings is not None), ImageSettings())


def example_of(
    volume: Any,
    segmentation: Any,
    segment_id: str,
    plane: SlicePlane,
    settings: ImageSettings,
    case: str,
    structure: str = "",
    model: str = "",
) -> Example:
    """The context example made of a segment on a plane: image and binary mask on the context's grid, and where they came from.

    Raises:
        SegmentationError: the segment is empty on the plane.
    """
    plane = plane.at(GRID_SIZE)
    mask = plane.sample_segment(segmentation, segment_id) >= 0.5
    if not mask.any():
        name = segmentation.GetSegmentation().GetSegment(segment_id).GetName()
        raise SegmentationError(f"The segment {name} is empty on this slice of {volume.GetName()}: segment something before accepting.")
    return Example(
        image=plane.sample(volume, settings),
        mask=mask.astype(np.uint8),
        case=case,
        structure=structure,
        axis=plane.axis or "",
        grid_to_ras=plane.grid_to_ras,
        settings=settings,
        model=model,
    )
