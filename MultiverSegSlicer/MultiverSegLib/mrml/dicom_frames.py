"""One DICOM file with several frames (enhanced CT, MR, PET ...): each frame has a position, a time and a slope of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import MultiverSegError, VolumeError
from . import paths
from .dicom_stack import check_stack, normal_of, numbers_of, refusing
from .plain_volume import PlainVolume

#: Bytes that one stored byte may stand for (empty frames, compressed).
_RATIO = 2000


class Frames:
    """The functional groups of a multi-frame data set: what a frame says itself, else what all share.

    Raises:
        error: it has none, or not one for each frame.
    """

    def __init__(self, data: Any, path: Path, error: type[MultiverSegError]) -> None:
        self.path, self._error = path, error
        self.data = data
        shared = data.get("SharedFunctionalGroupsSequence") or [{}]
        self._shared = shared[0]
        self._own = list(data.get("PerFrameFunctionalGroupsSequence") or [])
        self.count = _whole(data.get("NumberOfFrames"), 1)
        if not self._own:
            raise error(f"{path} has {self.count} frames without positions in the patient: convert it to NRRD or NIfTI first.")
        if len(self._own) != self.count:
            raise error(f"{path} describes {len(self._own)} of its {self.count} frames: it is damaged.")

    def get(self, frame: int, group: str, attribute: str) -> Any:
        """The value of ``attribute`` in the functional group ``group`` of a frame; None where there is none."""
        for place in (self._own[frame], self._shared):
            found = place.get(group)
            if found:
                value = found[0].get(attribute)
                if value is not None:
                    return value
        return None

    def geometry(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """positions [n, 3], orientations [n, 6] and pixel spacings [n, 2] (between rows, between columns), LPS in mm.

        Raises:
            error: a frame lacks one of them.
        """
        wanted = (
            ("PlanePositionSequence", "ImagePositionPatient", 3),
            ("PlaneOrientationSequence", "ImageOrientationPatient", 6),
            ("PixelMeasuresSequence", "PixelSpacing", 2),
        )
        result = []
        for group, attribute, size in wanted:
            values = [numbers_of(self.get(n, group, attribute), size) for n in range(self.count)]
            if any(value is None for value in values):
                raise self._error(f"{self.path} has frames without {attribute}: they can't be put in order.")
            result.append(np.array(values, float))
        positions, orientations, spacings = result
        return positions, orientations, spacings

    def pixels(self) -> np.ndarray:
        """[n, rows, columns] as stored.

        Raises:
            error: cut short, or compressed in a way that needs a decoder which is not installed.
        """
        self._check_length()
        try:
            array = self.data.pixel_array
        except Exception as error:  # pydicom's decoders raise almost anything at damaged data
            raise self._error(f"The pixels of {self.path} can't be decoded ({paths.reason_of(error, 200)}).") from error
        return array.reshape(self.count, int(self.data.Rows), int(self.data.Columns))

    def _check_length(self) -> None:
        """Compare what the header claims with what is there, before memory for it is asked for."""
        sizes = [self.data.get(key) for key in ("Rows", "Columns", "BitsAllocated")]
        if not all(isinstance(size, int) and size > 0 for size in sizes):
            raise self._error(f"{self.path} does not say how large its images are: it is damaged.")
        needed = self.count * sizes[0] * sizes[1] * sizes[2] // 8
        stored = self.path.stat().st_size
        if needed > stored * _RATIO:
            raise self._error(f"{self.path} was cut short, or its header claims too much: {needed:,} bytes needed, {stored:,} there.")


def read_dataset(path: Path, error: type[MultiverSegError]) -> Any:
    """The whole DICOM file.

    Raises:
        error: it can't be read.
    """
    import pydicom

    with refusing(path, error):
        return pydicom.dcmread(path)


def _whole(value: Any, default: int) -> int:
    try:
        return int(value or default)
    except (TypeError, ValueError):
        return default


def stack_matrix(position: np.ndarray, orientation: np.ndarray, spacing: np.ndarray, step: float, path: Path) -> np.ndarray:
    """4x4, (i, j, k) to RAS in mm, of a stack whose first slice lies at ``position``, with ``step`` mm from slice to slice."""
    lps = np.eye(4)
    lps[:3, 0], lps[:3, 1] = orientation[:3] * spacing[1], orientation[3:] * spacing[0]
    lps[:3, 2], lps[:3, 3] = normal_of(orientation, path) * step, position
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps


def frame_order(data: Any, path: Path) -> np.ndarray:
    """Of a multi-frame data set: the number of the frame that is slice 0, 1, 2 ... of its volume (see ``read_multiframe``).

    Raises:
        VolumeError: its frames don't form one volume.
    """
    positions, orientations, spacings = Frames(data, path, VolumeError).geometry()
    return check_stack(positions, orientations, spacings, path)


def read_multiframe(path: Path, name: str) -> PlainVolume:
    """The frames of a file as one volume, in ascending order along their normal, with each frame's slope and intercept applied.

    Raises:
        VolumeError: no positions; several time points, echoes or orientations; uneven steps; or pixels that can't be decoded.
    """
    with refusing(path, VolumeError):
        frames = Frames(read_dataset(path, VolumeError), path, VolumeError)
        positions, orientations, spacings = frames.geometry()
        order = check_stack(positions, orientations, spacings, path)
        if frames.count > 1:
            step = float(np.linalg.norm(positions[order[-1]] - positions[order[0]])) / (frames.count - 1)
        else:
            step = (numbers_of([frames.get(0, "PixelMeasuresSequence", "SliceThickness")], 1) or (1.0,))[0] or 1.0
        matrix = stack_matrix(positions[order[0]], orientations[0], spacings[0], step, path)
        values = _rescaled(frames)[order]
        uid = str(frames.data.get("SOPInstanceUID", ""))
        return PlainVolume(np.ascontiguousarray(values), matrix, name, {"DICOM.instanceUIDs": uid} if uid else {})


def _rescaled(frames: Frames) -> np.ndarray:
    stored = frames.pixels()
    group = "PixelValueTransformationSequence"
    slopes = _per_frame(frames, group, "RescaleSlope", 1.0)
    intercepts = _per_frame(frames, group, "RescaleIntercept", 0.0)
    if np.issubdtype(stored.dtype, np.integer) and (slopes % 1 == 0).all() and (intercepts % 1 == 0).all():
        values = stored.astype(np.int64) * slopes.astype(np.int64)[:, None, None] + intercepts.astype(np.int64)[:, None, None]
        small = next((t for t in (np.int16, np.int32) if np.iinfo(t).min <= values.min() and values.max() <= np.iinfo(t).max), np.float64)
        return values.astype(small)
    return (stored * slopes[:, None, None] + intercepts[:, None, None]).astype(np.float32)


def _per_frame(frames: Frames, group: str, attribute: str, default: float) -> np.ndarray:
    found = []
    for n in range(frames.count):
        value = frames.get(n, group, attribute)
        value = frames.data.get(attribute) if value is None else value
        numbers = (default,) if value in (None, "") else numbers_of([value], 1)
        if numbers is None:
            raise VolumeError(f"{frames.path} has a {attribute} that is no number ({value}).")
        found.append(numbers[0])
    return np.array(found)
