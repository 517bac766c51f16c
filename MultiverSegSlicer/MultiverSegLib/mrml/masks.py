"""One structure's mask out of a file that may hold several: by name, by label value, or because it is the only one. Never a guess."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import SegmentationError
from . import segments
from .label_files import listed

if TYPE_CHECKING:
    from slicer import vtkMRMLSegmentationNode

    from .plain_volume import Volume

#: As a label's value: every label of the file, merged.
EVERY_LABEL = "*"


def load_mask(volume: Volume, path: str | Path, value: int | str | None = None, structure: str = "") -> np.ndarray:
    """A label file on the voxel grid of ``volume``: uint8 [k, j, i].

    Args:
        value: label value (of a DICOM SEG: segment number), segment name, or ``EVERY_LABEL``; None: see ``chosen_segments``.
        structure: name of the structure that is looked for.

    Raises:
        SegmentationError: missing, unreadable, no such label in it, or a choice that nobody made.
    """
    node = segments.load_segmentation(path, volume)
    try:
        return np.max([segments.get_segment(node, i, volume) for i in chosen_segments(node, path, value, structure)], axis=0)
    finally:
        segments.remove_node(node)


def chosen_segments(node: vtkMRMLSegmentationNode, path: str | Path, value: int | str | None = None, structure: str = "") -> list[str]:
    """IDs of the segments that ``value`` means; without one, the segment called ``structure``, else the only one that is not empty.

    Raises:
        SegmentationError: none fits, or several are there and none has the name.
    """
    names = {i: node.GetSegmentation().GetSegment(i).GetName() for i in segments.segment_ids(node)}
    if value == EVERY_LABEL:
        return list(names)
    if value is not None:
        found = [i for i in names if _means(node, i, value)]
        if not found:
            kind = "segment called" if isinstance(value, str) else "label"
            raise SegmentationError(f"{path} holds no {kind} {value!r}: it has {listed(names.values())}.")
        return found
    named = [i for i, name in names.items() if structure and name == structure]
    if len(named) == 1:
        return named
    filled = [i for i in names if not segments.is_empty(node, i)] if len(names) > 1 else list(names)
    if len(filled) == 1 and not named:
        return filled
    what = f", {'several' if named else 'none'} called {structure}" if structure else ""
    raise SegmentationError(f"{path} holds the segments {listed(names.values())}{what}: say which one is meant.")


def _means(node: vtkMRMLSegmentationNode, segment_id: str, value: int | str) -> bool:
    segment = node.GetSegmentation().GetSegment(segment_id)
    if isinstance(value, str):
        return segment.GetName() == value
    if segment_id.startswith(segments.DICOM_SEGMENT):
        return segment_id == f"{segments.DICOM_SEGMENT}{value}"
    return segment.GetLabelValue() == value
