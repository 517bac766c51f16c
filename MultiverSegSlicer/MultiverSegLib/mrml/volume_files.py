"""Volumes from files and into files: NRRD, NIfTI, MetaImage and DICOM, each read into the scene or, in any thread, without a node."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import VolumeError
from . import dicom, paths
from .headers import check_header
from .plain_volume import PlainVolume
from .volumes import new_volume, read_files, stem, write_node

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode

_CAPITALS = (".MHA", ".MHD")


def load_volume(path: str | Path, name: str | None = None, labelmap: bool = False) -> vtkMRMLScalarVolumeNode:
    """Load a scalar 3D volume (NRRD, NIfTI, MetaImage, a DICOM file or a folder with one DICOM series) into the scene.

    Args:
        name: name of the node; None: the file's name without its endings.
        labelmap: load as a vtkMRMLLabelMapVolumeNode.

    Returns:
        the vtkMRMLScalarVolumeNode; its voxels in the order of the file.

    Raises:
        VolumeError: missing, unreadable, 4D, or not scalar.
    """
    path = paths.existing(path, VolumeError, "volume")
    if path.is_dir():
        return dicom.load_dicom(path, name)
    plain = _read_apart(path, name or stem(path))
    if plain is None:
        return read_files([path], name or stem(path), labelmap)
    return new_volume(plain.array, plain.ijk_to_ras, plain.name, labelmap, plain.attributes)


def _read_apart(path: Path, name: str) -> PlainVolume | None:
    """What Slicer's reader can't be given: DICOM files of several frames, 64-bit integers (it hangs on them in NIfTI and rounds them in NRRD)
    and MetaImage's ending in capitals. None: it may read the file."""
    frames = dicom.read_frames(path, name)
    if frames is None and (_check_header(path) or path.suffix in _CAPITALS):
        return _read_image(path, name)
    return frames


def read_plain(path: str | Path, name: str | None = None) -> PlainVolume:
    """``load_volume`` without a node: the same voxels, geometry and errors, in any thread. 64-bit integers become 32 bits where they suffice,
    else float64."""
    path = paths.existing(path, VolumeError, "volume")
    if path.is_dir():
        return dicom.read_plain_dicom(path, name)
    frames = dicom.read_frames(path, name or stem(path))
    if frames is None:
        _check_header(path)
        return _read_image(path, name or stem(path))
    return frames


def _read_image(path: Path, name: str) -> PlainVolume:
    try:
        plain = PlainVolume.of(_reader(path).Execute(), name)
    except RuntimeError as error:
        raise VolumeError(f"{path} can't be read as a volume ({paths.reason_of(error)}).") from error
    if plain.array.dtype not in (np.int64, np.uint64):
        return plain
    limits = np.iinfo(np.int32)
    fits = plain.array.min() >= limits.min and plain.array.max() <= limits.max
    return replace(plain, array=plain.array.astype(np.int32 if fits else np.float64))


def _reader(path: Path) -> Any:
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    if path.suffix in _CAPITALS:  # ITK knows MetaImage by small letters only
        reader.SetImageIO("MetaImageIO")
    reader.SetFileName(str(path))
    return reader


def save_volume(volume: vtkMRMLScalarVolumeNode, path: str | Path) -> None:
    """Write a volume; the format follows the file's ending.

    Raises:
        VolumeError: the folder is missing or not writable, or the disk is full.
    """
    write_node(volume, path, VolumeError, _check_header)


def _check_header(path: Path) -> bool:
    """Read the header first: MRML would silently keep one component or one time point of what isn't a scalar 3D image.

    Returns:
        True if the voxels are 64-bit integers.
    """
    import SimpleITK as sitk

    check_header(path)
    reader = _reader(path)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise VolumeError(f"{path} can't be read as a volume ({paths.reason_of(error)}).") from error
    size = reader.GetSize()
    if len(size) > 3 and max(size[3:]) > 1:
        raise VolumeError(f"{path} has {len(size)} dimensions ({' x '.join(map(str, size))}): give one 3D volume, e.g. one time point.")
    if reader.GetNumberOfComponents() > 1:
        raise VolumeError(f"{path} has {reader.GetNumberOfComponents()} values per voxel (colour or vectors): give a scalar volume.")
    return reader.GetPixelID() in (sitk.sitkInt64, sitk.sitkUInt64)
