"""One structure's mask out of a file that may hold several: by name, by label value, or because it is the only one. Never a guess."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import SegmentationError
from . import segments
from .label_files import listed
from .plain_segments import read_plain_segments

if TYPE_CHECKING:
    from slicer import vtkMRMLSegmentationNode

    from .plain_volume import PlainVolume, Volume

#: As a label's value: every label of the file, merged.
EVERY_LABEL = "*"


def load_mask(volume: Volume, path: str | Path, value: int | str | None = None, structure: str = "") -> np.ndarray:
    """A label file on the voxel grid of ``volume``: uint8 [k, j, i].

    Args:
        value: label value (of a DICOM SEG: segment number), segment name, or ``EVERY_LABEL``; None: see ``chosen_segments``.
        structure: name of the structure that is looked for.

    Raises:
        SegmentationError: missing, unreadable, no such label in it, or a choice that was not made.
    """
    node = segments.load_segmentation(path, volume)
    try:
        return np.max([segments.get_segment(node, i, volume) for i in chosen_segments(node, path, value, structure)], axis=0)
    finally:
        segments.remove_node(node)


def plain_mask(volume: PlainVolume, path: str | Path, value: int | str | None = None, structure: str = "") -> np.ndarray:
    """``load_mask`` without a node, in any thread; not of .vtm files (see ``plain_segments.reads_plain``)."""
    found = read_plain_segments(path, volume)
    known = [_Known(s.segment_id, s.name, s.number, partial(attrgetter("empty"), s)) for s in found]
    chosen = set(_chosen(known, path, value, structure))
    return np.max([segment.on(volume) for segment in found if segment.segment_id in chosen], axis=0)


@dataclass(frozen=True)
class _Known:
    """What of a segment says whether it is meant; ``number``: label value, of a DICOM SEG the segment's number."""

    segment_id: str
    name: str
    number: int
    is_empty: Callable[[], bool]


def chosen_segments(node: vtkMRMLSegmentationNode, path: str | Path, value: int | str | None = None, structure: str = "") -> list[str]:
    """IDs of the segments that ``value`` means; without one, the segment called ``structure``, else the only one that is not empty.

    Raises:
        SegmentationError: none fits, or several are there and none has the name.
    """
    return _chosen([_known(node, segment_id) for segment_id in segments.segment_ids(node)], path, value, structure)


def _chosen(known: list[_Known], path: str | Path, value: int | str | None, structure: str) -> list[str]:
    names = [segment.name for segment in known]
    if value == EVERY_LABEL:
        return [segment.segment_id for segment in known]
    if value is not None:
        found = [s.segment_id for s in known if (s.name == value if isinstance(value, str) else s.number == value)]
        if not found:
            kind = "segment called" if isinstance(value, str) else "label"
            raise SegmentationError(f"{path} holds no {kind} {value!r}: it has {listed(names)}.")
        return found
    named = [segment.segment_id for segment in known if structure and segment.name == structure]
    if len(named) == 1:
        return named
    filled = [segment.segment_id for segment in known if len(known) == 1 or not segment.is_empty()]
    if len(filled) == 1 and not named:
        return filled
    what = f", {'several' if named else 'none'} called {structure}" if structure else ""
    raise SegmentationError(f"{path} holds the segments {listed(names)}{what}: say which one is meant.")


def _known(node: vtkMRMLSegmentationNode, segment_id: str) -> _Known:
    segment = node.GetSegmentation().GetSegment(segment_id)
    number = segment_id.removeprefix(segments.DICOM_SEGMENT)
    of_dicom = number != segment_id and number.isdecimal()
    label = int(number) if of_dicom else int(segment.GetLabelValue())
    return _Known(segment_id, segment.GetName(), label, lambda: segments.is_empty(node, segment_id))
