"""DICOM series: files sorted along the slice normal, and refused where they don't form one evenly spaced stack."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import VolumeError
from ..core.notices import notice
from . import paths
from .dicom_stack import check_stack, numbers_of
from .plain_volume import PlainVolume
from .volumes import new_volume, read_files

if TYPE_CHECKING:
    from slicer import vtkMRMLScalarVolumeNode

#: Modalities of objects that are no images of a patient, although some of them have pixels.
NOT_IMAGES = frozenset({"SEG", "RTSTRUCT", "RTPLAN", "RTRECORD", "SR", "PR", "KO", "REG", "DOC", "FID", "RWV", "PLAN"})
_TAGS = (
    "SeriesInstanceUID",
    "SeriesDescription",
    "SOPInstanceUID",
    "Modality",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "PixelSpacing",
    "RescaleSlope",
    "RescaleIntercept",
    "SamplesPerPixel",
    "NumberOfFrames",
    "Rows",
    "Columns",
)
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
Slices = list[tuple[Path, Any]]


def load_dicom(folder: str | Path, name: str | None = None, series: str | None = None) -> vtkMRMLScalarVolumeNode:
    """Load one DICOM series of a folder (searched through its sub-folders).

    Args:
        name: name of the node; None: the series description, else the folder's name.
        series: SeriesInstanceUID; needed where the folder holds several series.

    Returns:
        the vtkMRMLScalarVolumeNode, slices in ascending order along the normal, with the attribute ``DICOM.instanceUIDs``.

    Raises:
        VolumeError: no or several series, colour images, missing or repeated slices, changing pixel sizes, a tilted gantry.
    """
    slices = _chosen_slices(paths.existing(folder, VolumeError, "DICOM series"), series)
    title = _name(slices, folder, name)
    plain = _frames_of(slices, title)
    if plain is not None:
        return new_volume(plain.array, plain.ijk_to_ras, plain.name, attributes=plain.attributes)
    node = read_files([file for file, _ in slices], title)
    for key, value in _attributes(slices).items():
        node.SetAttribute(key, value)
    return node


def read_plain_dicom(folder: str | Path, name: str | None = None, series: str | None = None) -> PlainVolume:
    """``load_dicom`` without a node: the same voxels, geometry and errors, in any thread."""
    import SimpleITK as sitk

    slices = _chosen_slices(paths.existing(folder, VolumeError, "DICOM series"), series)
    title = _name(slices, folder, name)
    plain = _frames_of(slices, title)
    if plain is not None:
        return plain
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(file) for file, _ in slices])
    if len({(str(header.get("RescaleSlope")), str(header.get("RescaleIntercept"))) for _, header in slices}) > 1:
        reader.SetOutputPixelType(sitk.sitkFloat64)  # else the first slice's scale decides which values there can be (PET has one for each)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise VolumeError(f"{folder} can't be read as a volume ({paths.reason_of(error)}).") from error
    return PlainVolume.of(image, title, attributes=_attributes(slices))


def is_dicom(path: Path) -> bool:
    """True if the file begins as DICOM files do."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def read_frames(path: Path, name: str) -> PlainVolume | None:
    """A DICOM file with several frames; None for any other file and for a single image.

    Raises:
        VolumeError: it is no image (a segmentation, a plan, a report ...), or its frames don't form one volume.
    """
    if not is_dicom(path):
        return None
    header = read_header(path)
    if header is None:
        raise VolumeError(f"{path} can't be read as a volume (its DICOM header is damaged): copy or download it again.")
    modality = str(header.get("Modality", ""))
    if modality in NOT_IMAGES:
        hint = ": give it where a segmentation is asked for" if modality == "SEG" else ""
        raise VolumeError(f"{path} is a DICOM {modality}, not an image{hint}.")
    if not _has_image(header):
        raise VolumeError(f"{path} can't be read as a volume (a DICOM file without an image).")
    _check_whole(path, header)
    slices = _sorted_slices([(path, header)], path)
    return _frames_of(slices, name)


def read_header(path: Path) -> Any | None:
    """What is needed of a DICOM file's header; None if it can't be read."""
    import pydicom

    try:
        header = pydicom.dcmread(path, defer_size=1024, specific_tags=[*_TAGS, *_PIXELS])  # pixels are found, not read
        for tag in _TAGS:
            header.get(tag)  # elements are read when they are asked for, and may be damaged
        return header
    except Exception:  # pydicom raises almost anything at damaged files (InvalidDicomError, struct.error, AttributeError, KeyError ...)
        return None


def _has_image(header: Any) -> bool:
    """Asked before GDCM reads the file, since it searches damaged ones for a long time."""
    return bool(header.get("Rows") and header.get("Columns") and any(keyword in header for keyword in _PIXELS))


def _check_whole(path: Path, header: Any) -> None:
    element = next(header.get_item(keyword) for keyword in _PIXELS if keyword in header)
    length, place = getattr(element, "length", None), getattr(element, "value_tell", 0)
    if length not in (None, 0xFFFFFFFF) and place + length > path.stat().st_size:
        raise VolumeError(f"{path} was cut short: copy or download it again.")


def _frames_of(slices: Slices, name: str) -> PlainVolume | None:
    from .dicom_frames import read_multiframe

    file, header = slices[0]
    return read_multiframe(file, name) if _frames(header) > 1 else None


def _frames(header: Any) -> int:
    try:
        return int(header.get("NumberOfFrames") or 1)
    except (TypeError, ValueError):
        return 1


def _name(slices: Slices, folder: str | Path, name: str | None) -> str:
    return name or str(slices[0][1].get("SeriesDescription", "")) or Path(folder).resolve().name


def _attributes(slices: Slices) -> dict[str, str]:
    uids = [str(header.get("SOPInstanceUID", "")) for _, header in slices]
    return {"DICOM.instanceUIDs": " ".join(uids)} if all(uids) else {}


def _chosen_slices(folder: Path, series: str | None) -> Slices:
    """(file, header) of the one series, sorted."""
    found, others = _series(folder)
    if series is not None:
        found = {uid: slices for uid, slices in found.items() if uid == series}
    if not found:
        only = f" (only {', '.join(f'{n} {kind}' for kind, n in sorted(others.items()))})" if others else ""
        raise VolumeError(f"{folder} holds no DICOM images{f' of the series {series}' if series else ''}{only}: check the folder.")
    if len(found) > 1:
        listing = ", ".join(f"{slices[0][1].get('SeriesDescription') or 'unnamed'} ({len(slices)} images)" for slices in found.values())
        raise VolumeError(f"{folder} holds {len(found)} DICOM series ({listing}): give a folder with one of them.")
    slices = _without_copies(next(iter(found.values())), folder)
    for file, header in slices:
        _check_whole(file, header)
    return _sorted_slices(slices, folder)


def _series(folder: Path) -> tuple[dict[str, Slices], Counter[str]]:
    """(file, header) of every image, by series; and how many objects of other kinds there are."""
    found: dict[str, Slices] = defaultdict(list)
    others: Counter[str] = Counter()
    for file in paths.files_below(folder):
        header = read_header(file) if file.name.upper() != "DICOMDIR" else None
        if header is None and is_dicom(file):
            notice(f"{file} is left out: its DICOM header is damaged.")
        if header is None or "SeriesInstanceUID" not in header:
            continue
        if header.get("Modality") in NOT_IMAGES:
            others[str(header.Modality)] += 1
        elif _has_image(header):
            found[str(header.SeriesInstanceUID)].append((file, header))
    return dict(found), others


def _without_copies(slices: Slices, folder: Path) -> Slices:
    """One file for each SOP instance: folders that were copied twice hold ``IM1`` and ``IM1 (1)``."""
    kept: dict[str, tuple[Path, Any]] = {}
    for number, entry in enumerate(slices):
        kept.setdefault(str(entry[1].get("SOPInstanceUID") or f"file {number}"), entry)
    if len(kept) < len(slices):
        notice(f"{folder} holds {len(slices) - len(kept)} files twice (the same SOPInstanceUID); the first of each is used.")
    return list(kept.values())


def _sorted_slices(slices: Slices, folder: Path) -> Slices:
    first = slices[0][1]
    if _whole(first.get("SamplesPerPixel"), 1) != 1:
        raise VolumeError(f"{folder} holds colour DICOM images: give a scalar series.")
    several = [file.name for file, header in slices if _frames(header) > 1]
    if several and len(slices) > 1:
        raise VolumeError(
            f"{folder} holds {len(slices)} files of one series, some with several frames ({several[0]}): give one of these files."
        )
    if several:
        return slices
    spacings = [numbers_of(header.get("PixelSpacing"), 2) for _, header in slices]
    if len(slices) == 1:
        if spacings[0] is None:
            notice(f"{folder} has no PixelSpacing: pixels of 1 mm are assumed, so sizes and areas are not true.")
        return slices
    positions = [numbers_of(header.get("ImagePositionPatient"), 3) for _, header in slices]
    orientations = [numbers_of(header.get("ImageOrientationPatient"), 6) for _, header in slices]
    if _missing(positions) or _missing(orientations):
        raise VolumeError(f"{folder} holds DICOM images without a position in the patient: they can't be put in order.")
    if _missing(spacings):
        raise VolumeError(f"{folder} holds DICOM images without a PixelSpacing: their size in mm is unknown.")
    order = check_stack(np.array(positions), np.array(orientations), np.array(spacings), folder)
    if len({(header.Rows, header.Columns) for _, header in slices}) > 1:
        raise VolumeError(f"{folder} holds DICOM images of different orientations or sizes in one series: it is no single volume.")
    return [slices[index] for index in order]


def _missing(values: Iterable[Any]) -> bool:
    return any(value is None for value in values)


def _whole(value: Any, default: int) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return default
