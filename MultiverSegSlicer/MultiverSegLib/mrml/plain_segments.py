"""Segmentations read without a node: what worker threads need of a .seg.nrrd, a DICOM SEG or a label map. No scene is touched.

``masks.plain_mask`` chooses one of the segments, as ``masks.load_mask`` does with a node.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from ..core.errors import SegmentationError, VolumeError
from . import paths
from .dicom import is_dicom
from .dicom_seg import read_dicom_seg
from .label_files import check_voxels, read_labels
from .labelmaps import SegmentVoxels, lattice_offset, overlap
from .plain_volume import PlainVolume
from .prompt_tags import STRUCTURE_TAG
from .segments import DICOM_SEGMENT, checked_nrrd

_TERMINOLOGY = "TerminologyEntry"


@dataclass(frozen=True, eq=False)
class PlainSegment:
    """One segment of a file.

    Attributes:
        segment_id, name: as in the file; a label map's are its numbers.
        number: label value; of a DICOM SEG the segment's number.
        voxels: where it is; None: it is empty.
        structure: the cohort's structure that it stands for; empty if none.
        terminology: entry as Slicer serializes it; empty if none.
    """

    segment_id: str
    name: str
    number: int
    voxels: SegmentVoxels | None
    structure: str = ""
    terminology: str = ""

    @property
    def empty(self) -> bool:
        """Whether it has no voxel."""
        return self.voxels is None or not bool((self.voxels.array == self.voxels.label).any())

    def on(self, volume: PlainVolume) -> np.ndarray:
        """On the volume's grid: uint8 [k, j, i] of 0 and 1; nearest voxel where the grids differ."""
        dimensions = volume.array.shape[::-1]
        mask = np.zeros(volume.array.shape, np.uint8)
        if self.voxels is None:
            return mask
        first = lattice_offset(self.voxels.lattice_to_ras, volume.ijk_to_ras, dimensions)
        if first is None:
            return _nearest(self.voxels, volume)
        common = overlap(self.voxels.extent, first, dimensions)
        if common is not None:
            np.equal(self.voxels.array[common[0]], self.voxels.label, out=mask[common[1]].view(bool))
        return mask


def reads_plain(path: str | Path) -> bool:
    """Whether a segmentation's file can be read without a node; only VTK's multi-block files (.vtm) can't."""
    return not str(path).lower().endswith(".vtm")


def read_plain_segments(path: str | Path, volume: PlainVolume | None = None) -> list[PlainSegment]:
    """The segments of a file, in any thread.

    Args:
        volume: whose voxels they are said to segment; see ``label_files.check_place``.

    Raises:
        SegmentationError: missing, unreadable, or made on another volume.
    """
    place = paths.existing_file(path, SegmentationError, "segmentation")
    try:
        found, shape = _read(place)
        if volume is not None:
            check_voxels([segment.voxels for segment in found], volume, shape, place)
    except VolumeError as error:
        raise SegmentationError(str(error).replace("can't be read as a volume", "can't be read as a segmentation")) from error
    return found


def _read(path: Path) -> tuple[list[PlainSegment], tuple[int, ...] | None]:
    """The segments, and the shape [k, j, i] of the file's voxels where it has one."""
    if is_dicom(path):
        found = read_dicom_seg(path)
        parts = [(s.number, s.name, s.terminology, _voxels(s.mask.view(np.uint8), 1, found.ijk_to_ras)) for s in found.segments]
        return [PlainSegment(f"{DICOM_SEGMENT}{n}", name, n, voxels, "", entry) for n, name, entry, voxels in parts], None
    image = checked_nrrd(path) if path.name.lower().endswith((".nrrd", ".nhdr")) else None
    if image is not None and image.HasMetaDataKey("Segment0_ID"):
        return list(_of_nrrd(image, path)), image.GetSize()[2::-1]
    labels = read_labels(path)
    numbers = [int(n) for n in np.unique(labels.array) if n > 0]
    made = [PlainSegment(f"Segment_{n}", str(n), n, _voxels(labels.array, n, labels.ijk_to_ras)) for n in numbers]
    return made, labels.array.shape


def _of_nrrd(image: Any, path: Path) -> Iterator[PlainSegment]:
    import SimpleITK as sitk

    array = sitk.GetArrayFromImage(image)
    layers = array if image.GetNumberOfComponentsPerPixel() > 1 else array[..., None]
    matrix = PlainVolume(layers[..., 0], _matrix(image), path.name).ijk_to_ras  # which refuses a grid that is none
    number = 0
    while image.HasMetaDataKey(f"Segment{number}_ID"):
        key = f"Segment{number}_"
        value = {
            name: image.GetMetaData(key + name) if image.HasMetaDataKey(key + name) else ""
            for name in ("ID", "Name", "LabelValue", "Layer", "Tags")
        }
        try:
            label, layer = int(value["LabelValue"] or 1), int(value["Layer"] or 0)
            voxels = _voxels(layers[..., layer], label, matrix)
        except (ValueError, IndexError) as error:
            raise SegmentationError(f"{path} describes a segment that is not in it ({value['Name'] or number}): it is damaged.") from error
        tags = dict(part.split(":", 1) for part in value["Tags"].split("|") if ":" in part)
        structure = unquote(tags.get(STRUCTURE_TAG, ""))
        yield PlainSegment(value["ID"], value["Name"], label, voxels, structure, tags.get(_TERMINOLOGY, ""))
        number += 1


def _matrix(image: Any) -> np.ndarray:
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    lps[:3, 3] = image.GetOrigin()
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps


def _voxels(array: np.ndarray, label: int, lattice_to_ras: np.ndarray) -> SegmentVoxels:
    extent = tuple(value for n in array.shape[::-1] for value in (0, n - 1))
    return SegmentVoxels(None, array, label, extent, lattice_to_ras)


def _nearest(voxels: SegmentVoxels, volume: PlainVolume) -> np.ndarray:
    """Slice by slice, which needs little memory."""
    mapping = np.linalg.solve(voxels.array_to_ras, volume.ijk_to_ras)
    depth, height, width = volume.array.shape
    mask = np.zeros(volume.array.shape, np.uint8)
    along_i, along_j = (mapping[:3, n, None] * np.arange(count) for n, count in ((0, width), (1, height)))
    for k in range(depth):
        start = mapping[:3, 2] * k + mapping[:3, 3]
        index = [np.rint(along_i[n][None, :] + along_j[n][:, None] + start[n]).astype(np.int64) for n in range(3)]
        inside = _inside(index, voxels.array.shape[::-1])
        if inside.any():
            i, j, slices = (part[inside] for part in index)
            mask[k][inside] = voxels.array[slices, j, i] == voxels.label
    return mask


def _inside(index: Sequence[np.ndarray], dimensions: Sequence[int]) -> np.ndarray:
    inside = np.ones(index[0].shape, bool)
    for part, count in zip(index, dimensions, strict=True):
        inside &= (part >= 0) & (part < count)
    return inside
