"""DICOM segmentations (SEG) decoded by segment and by the frames' positions in the patient; needs pydicom, which Slicer has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import SegmentationError, VolumeError
from ..core.notices import notice
from .dicom_frames import Frames, read_dataset, stack_matrix
from .dicom_stack import normal_of, numbers_of, refusing

_ENTRY = "Segmentation category and type - DICOM master list~{0}~{1}~^^~Anatomic codes - DICOM master list~^^~^^"


@dataclass(frozen=True, eq=False)
class DicomSegment:
    """One segment: ``mask`` bool [k, j, i] on the grid of its ``DicomSegmentation``."""

    number: int
    name: str
    terminology: str
    mask: np.ndarray


@dataclass(frozen=True, eq=False)
class DicomSegmentation:
    """All segments of a file on one grid: ``ijk_to_ras`` 4x4 in mm."""

    segments: list[DicomSegment]
    ijk_to_ras: np.ndarray


def read_dicom_seg(path: Path) -> DicomSegmentation:
    """The segments of a DICOM SEG file: binary, fractional (from half of the maximum) or label map.

    Frames may be in any order and leave slices out; a slice without a frame is empty.

    Raises:
        SegmentationError: another kind of DICOM, damaged, of a slide (tiled), or frames that are on no common grid.
    """
    with refusing(path, SegmentationError):
        return _decoded(read_dataset(path, SegmentationError), path)


def _decoded(data: Any, path: Path) -> DicomSegmentation:
    modality = str(data.get("Modality", ""))
    if modality != "SEG":
        raise SegmentationError(
            f"{path} is a DICOM {modality or 'file without modality'}, not a segmentation: give a SEG, .seg.nrrd or label map."
        )
    described = {int(item.SegmentNumber): item for item in data.get("SegmentSequence") or [] if item.get("SegmentNumber") is not None}
    if not described:
        raise SegmentationError(f"{path} describes no segment.")
    frames = Frames(data, path, SegmentationError)
    positions, orientations, spacings = frames.geometry()
    if np.abs(orientations - orientations[0]).max() > 1e-3 or np.abs(spacings - spacings[0]).max() > 1e-3 * spacings[0].max():
        raise SegmentationError(f"{path} has frames of different orientations or pixel sizes: they are on no common grid.")
    try:
        normal = normal_of(orientations[0], path)
    except VolumeError as error:
        raise SegmentationError(str(error)) from error
    levels, step = _levels(positions, normal, frames, path)
    first = positions[int(np.argmin(levels))]
    masks = _masks(data, frames, levels, described, path)
    matrix = stack_matrix(first, orientations[0], spacings[0], step, path)
    return DicomSegmentation(
        [DicomSegment(n, _label(item, n), _terminology(item), masks[n]) for n, item in sorted(described.items())], matrix
    )


def _levels(positions: np.ndarray, normal: np.ndarray, frames: Frames, path: Path) -> tuple[np.ndarray, float]:
    """The slice of each frame, counted from the lowest, and the step from slice to slice in mm."""
    heights = positions @ normal
    heights = heights - heights.min()
    sideways = positions - positions[int(np.argmin(heights))]
    sideways = np.linalg.norm(sideways - np.outer(sideways @ normal, normal), axis=1)
    different = np.unique(np.round(heights, 4))
    gaps = np.diff(different)
    told = (frames.get(0, "PixelMeasuresSequence", key) for key in ("SpacingBetweenSlices", "SliceThickness"))
    spacing, thickness = (abs((numbers_of([value], 1) or (0.0,))[0]) for value in told)
    steps = [step for step in (spacing, gaps.min() if len(gaps) else 0.0, thickness) if step > 0]
    for step in steps or [1.0]:
        levels = np.round(heights / step)
        if np.abs(heights - levels * step).max() <= 0.1 * step and sideways.max() <= 0.1 * step + 0.01:
            count = int(levels.max())
            return levels.astype(int), float(heights.max()) / count if count else step
    raise SegmentationError(f"{path} has frames at uneven or shifted positions: they are on no common grid.")


def _masks(data: Any, frames: Frames, levels: np.ndarray, described: dict[int, Any], path: Path) -> dict[int, np.ndarray]:
    pixels = frames.pixels()
    kind = str(data.get("SegmentationType", "BINARY"))
    shape = (int(levels.max()) + 1, *pixels.shape[1:])
    masks = {number: np.zeros(shape, bool) for number in described}
    if kind == "LABELMAP":
        for level, frame in zip(levels, pixels, strict=True):
            for number, mask in masks.items():
                mask[level] |= frame == number
        return masks
    limit = 0.5
    if kind == "FRACTIONAL":
        limit = (numbers_of([data.get("MaximumFractionalValue")], 1) or (255.0,))[0] / 2
        notice(f"{path} is a fractional segmentation: what is at least half covered or half probable is taken.")
    for n, (level, frame) in enumerate(zip(levels, pixels, strict=True)):
        number = frames.get(n, "SegmentIdentificationSequence", "ReferencedSegmentNumber")
        if number is None or int(number) not in masks:
            raise SegmentationError(f"{path} has a frame of a segment that it doesn't describe ({number}): it is damaged.")
        masks[int(number)][level] |= frame >= limit
    return masks


def _label(item: Any, number: int) -> str:
    return str(item.get("SegmentLabel") or "").strip() or f"segment {number}"


def _terminology(item: Any) -> str:
    codes = []
    for key in ("SegmentedPropertyCategoryCodeSequence", "SegmentedPropertyTypeCodeSequence"):
        found = item.get(key)
        if not found:
            return ""
        code = found[0]
        codes.append("^".join(str(code.get(part, "")) for part in ("CodingSchemeDesignator", "CodeValue", "CodeMeaning")))
    return "" if any("~" in code or "|" in code for code in codes) else _ENTRY.format(*codes)
