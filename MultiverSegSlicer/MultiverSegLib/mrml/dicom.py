"""DICOM series: files sorted along the slice normal, and refused where they don't form one evenly spaced stack."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import VolumeError
from .plain import PlainVolume
from .volumes import read_files

_TAGS = (
    "SeriesInstanceUID",
    "SeriesDescription",
    "SOPInstanceUID",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "SamplesPerPixel",
    "NumberOfFrames",
    "Rows",
    "Columns",
)


def load_dicom(folder: str | Path, name: str | None = None, series: str | None = None) -> Any:
    """Load one DICOM series of a folder (searched through its sub-folders).

    Args:
        name: name of the node; None: the series description, else the folder's name.
        series: SeriesInstanceUID; needed where the folder holds several series.

    Returns:
        the vtkMRMLScalarVolumeNode, slices in ascending order along the normal, with the attribute ``DICOM.instanceUIDs``.

    Raises:
        VolumeError: no or several series, colour images, missing or repeated slices, a tilted gantry.
    """
    slices = _chosen_slices(Path(folder), series)
    node = read_files([file for file, _ in slices], _name(slices, folder, name))
    node.SetAttribute(*_instances(slices))
    return node


def read_plain_dicom(folder: str | Path, name: str | None = None, series: str | None = None) -> PlainVolume:
    """``load_dicom`` without a node: the same voxels, geometry and errors, in any thread."""
    import SimpleITK as sitk

    slices = _chosen_slices(Path(folder), series)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(file) for file, _ in slices])
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise VolumeError(f"{folder} can't be read as a volume: it may be damaged.") from error
    return PlainVolume.of(image, _name(slices, folder, name), attributes=dict([_instances(slices)]))


def _name(slices: list[tuple[Path, Any]], folder: str | Path, name: str | None) -> str:
    return name or str(slices[0][1].get("SeriesDescription", "")) or Path(folder).resolve().name


def _instances(slices: list[tuple[Path, Any]]) -> tuple[str, str]:
    return "DICOM.instanceUIDs", " ".join(str(header.SOPInstanceUID) for _, header in slices)


def _chosen_slices(folder: Path, series: str | None) -> list[tuple[Path, Any]]:
    """(file, header) of the one series, sorted."""
    found = _series(folder)
    if series is not None:
        found = {uid: slices for uid, slices in found.items() if uid == series}
    if not found:
        raise VolumeError(f"{folder} holds no DICOM images{f' of the series {series}' if series else ''}: check the folder.")
    if len(found) > 1:
        listing = ", ".join(f"{slices[0][1].get('SeriesDescription', 'unnamed')} ({len(slices)} images)" for slices in found.values())
        raise VolumeError(f"{folder} holds {len(found)} DICOM series ({listing}): give a folder with one of them.")
    return _sorted_slices(next(iter(found.values())), folder)


def _series(folder: Path) -> dict[str, list[tuple[Path, Any]]]:
    """(file, header) of every image, by series."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    found: dict[str, list[tuple[Path, Any]]] = defaultdict(list)
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path.name.upper() != "DICOMDIR"):
        try:
            header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_TAGS))
        except (InvalidDicomError, OSError, EOFError, AttributeError, ValueError):
            continue
        if "Rows" in header and "SeriesInstanceUID" in header:
            found[str(header.SeriesInstanceUID)].append((file, header))
    return dict(found)


def _sorted_slices(slices: list[tuple[Path, Any]], folder: Path) -> list[tuple[Path, Any]]:
    first = slices[0][1]
    if int(first.get("SamplesPerPixel", 1)) != 1:
        raise VolumeError(f"{folder} holds colour DICOM images: give a scalar series.")
    if len(slices) == 1:
        return slices
    if any("ImagePositionPatient" not in header or "ImageOrientationPatient" not in header for _, header in slices):
        raise VolumeError(f"{folder} holds DICOM images without a position in the patient: they can't be put in order.")
    orientations = np.array([header.ImageOrientationPatient for _, header in slices], float)
    if np.abs(orientations - orientations[0]).max() > 1e-3 or len({(header.Rows, header.Columns) for _, header in slices}) > 1:
        raise VolumeError(f"{folder} holds DICOM images of different orientations or sizes in one series: it is no single volume.")
    normal = np.cross(orientations[0, :3], orientations[0, 3:])
    positions = np.array([header.ImagePositionPatient for _, header in slices], float)
    order = np.argsort(positions @ normal, kind="stable")
    _check_stack(positions[order], normal / np.linalg.norm(normal), folder)
    return [slices[index] for index in order]


def _check_stack(positions: np.ndarray, normal: np.ndarray, folder: Path) -> None:
    """Positions [n, 3] in order: one step, along the normal, from each slice to the next."""
    steps = np.diff(positions @ normal)
    if steps.min() < 1e-3:
        raise VolumeError(f"{folder} holds several DICOM images at one position (time points or echoes): give one 3D volume.")
    middle = float(np.median(steps))
    if np.abs(steps - middle).max() > max(0.02 * middle, 0.01):
        raise VolumeError(f"{folder} holds unevenly spaced DICOM slices ({steps.min():.2f} to {steps.max():.2f} mm): is a file missing?")
    sideways = positions - positions[0]
    sideways = np.linalg.norm(sideways - np.outer(sideways @ normal, normal), axis=1)
    if sideways.max() > 0.1 * middle + 0.01:
        raise VolumeError(f"{folder} was acquired with a tilted gantry: convert it to a straight volume first.")
