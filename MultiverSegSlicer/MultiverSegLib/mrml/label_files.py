"""What a segmentation's file really holds, and whether it belongs to the volume it is given for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import SegmentationError
from ..core.notices import notice
from .labelmaps import SegmentVoxels, lattice_offset, overlap, segment_voxels
from .plain_volume import PlainVolume
from .volume_files import read_plain
from .volumes import dimensions_of, ijk_to_ras

if TYPE_CHECKING:
    from slicer import vtkMRMLSegmentationNode

    from .plain_volume import Volume

#: More different values than this are an image, not labels.
_MOST_LABELS = 1000
#: Part of the labelled voxels that may lie outside of the volume without a word.
_SPILT = 0.01
_LISTED = 12


def listed(names: Iterable[object]) -> str:
    """Names for a message; the first ones where there are many."""
    texts = [str(name) for name in names]
    more = f" and {len(texts) - _LISTED} more" if len(texts) > _LISTED else ""
    return ", ".join(texts[:_LISTED]) + more


def read_labels(path: Path) -> PlainVolume:
    """A label map of another program, in any number type: int32, 0 is outside.

    Raises:
        SegmentationError: an image rather than labels, or no label at all.
        VolumeError: it can't be read.
    """
    plain = read_plain(path)
    values = np.nan_to_num(plain.array)
    if abs(values).max() > np.iinfo(np.int32).max:
        raise SegmentationError(f"{path} holds values up to {abs(values).max():g}: it is no label map.")
    labels = values.round().astype(np.int32)
    if values.dtype.kind == "f" and (share := np.mean(np.abs(values - labels) > 1e-3)) > 0:
        notice(f"{path} holds fractions ({share:.1%} of its voxels): from one half on they count as the next label.")
    if (share := np.mean(labels < 0)) > 0:
        notice(f"{path} holds negative values ({share:.1%} of its voxels): they count as outside.")
        labels[labels < 0] = 0
    found = np.unique(labels)
    found = found[found > 0]
    if len(found) > _MOST_LABELS:
        raise SegmentationError(f"{path} holds {len(found)} different values: it is an image, not a label map.")
    if not len(found):
        raise SegmentationError(f"{path} holds no segment: every voxel is 0.")
    return replace(plain, array=labels)


def check_place(
    segmentation: vtkMRMLSegmentationNode, ids: Iterable[str], volume: Volume, shape: tuple[int, ...] | None, path: Path
) -> None:
    """Refuse labels that belong to another volume; a notice with the share where a part of them lies outside.

    Args:
        ids: the segments that were read.
        shape: [k, j, i] of the file's voxels, where it has one grid.

    Raises:
        SegmentationError: nothing lies in the volume; or as many voxels as the volume has, in another place and partly outside, which is what
            a lost header looks like.
    """
    check_voxels([segment_voxels(segmentation, segment_id) for segment_id in ids], volume, shape, path)


def check_voxels(segments: Iterable[SegmentVoxels | None], volume: Volume, shape: tuple[int, ...] | None, path: Path) -> None:
    """``check_place`` of voxels that are in no node; None is an empty segment."""
    matrix, dimensions = ijk_to_ras(volume), dimensions_of(volume)
    total = inside = 0
    elsewhere = 0.0
    for voxels in segments:
        if voxels is None:
            continue
        mask = voxels.array == voxels.label
        total += int(np.count_nonzero(mask))
        first = lattice_offset(voxels.lattice_to_ras, matrix, dimensions)
        if first is not None:
            common = overlap(voxels.extent, first, dimensions)
            inside += int(np.count_nonzero(mask[common[0]])) if common is not None else 0
            continue
        mapping = np.linalg.solve(matrix, voxels.array_to_ras)
        places = np.argwhere(mask)[:, ::-1] @ mapping[:3, :3].T + mapping[:3, 3]
        inside += int(((places >= -0.5) & (places < np.array(dimensions) - 0.5)).all(axis=1).sum())
        elsewhere = max(elsewhere, _shift(np.linalg.solve(matrix, voxels.lattice_to_ras), dimensions))
    if not total:
        return
    share = 1 - inside / total
    same_shape = elsewhere > 1 and shape is not None and tuple(shape) == tuple(dimensions[::-1])
    told = f"{share:.0%} of the labelled voxels of {path} lie outside of the volume {volume.GetName()}"
    if not inside:
        raise SegmentationError(
            f"None of the labelled voxels of {path} lies in the volume {volume.GetName()}: was it made on another volume?"
        )
    if same_shape and share > _SPILT:
        raise SegmentationError(
            f"{told}, although both have the same number of voxels: its header was lost, or it belongs to another volume."
        )
    if share > _SPILT:
        notice(f"{told} and are left out.")
    elif same_shape:
        notice(
            f"{path} has as many voxels as the volume {volume.GetName()}, but up to {elsewhere:.0f} voxels away: was its header changed?"
        )


def _shift(mapping: np.ndarray, dimensions: tuple[int, ...]) -> float:
    """By how many voxels the corners of two grids of ``dimensions`` differ at most."""
    corners = np.array([[(0, n - 1)[bit >> axis & 1] for axis, n in enumerate(dimensions)] for bit in range(8)], float)
    return float(np.abs(corners @ mapping[:3, :3].T + mapping[:3, 3] - corners).max())
