"""The DICOM images that a case's volume was made of, and what an object made of them says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ....core.errors import CohortError
from ....mrml import dicom, paths
from ....mrml.dicom_frames import read_dataset
from ....mrml.plain_volume import PlainVolume
from ..case_result import CaseResult

#: Attributes that must be there and may be empty (DICOM: type 2).
_MAY_BE_EMPTY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "Manufacturer",
)


def source_images(result: CaseResult, what: str) -> list[Any]:
    """The data sets that the case's volume was made of, in the order of its slices, or the one with all of them as frames.

    Args:
        result: of the case.
        what: the object to be made, for the error.

    Raises:
        CohortError: the case did not come from DICOM images, or they are not all there, or lack what says which they are.
    """
    case = result.cohort.case(result.case_id)
    uids = result.volume.attributes.get("DICOM.instanceUIDs", "").split()
    if not uids:
        raise CohortError(f"Case {case.id} did not come from a DICOM series, which {what} has to refer to: export it as nifti or seg.nrrd.")
    images = _images(result.cohort.resolve(case.volume.path), uids)
    for image in images:
        _fill_in(image, result.volume)
    return images


def _images(folder: Path, uids: list[str]) -> list[Any]:
    """The series' data sets in the order of the volume's slices."""
    found: dict[str, Any] = {}
    wanted = set(uids)
    for path in paths.files_below(folder) if folder.is_dir() else [folder]:
        header = dicom.read_header(path)
        if header is not None and str(header.get("SOPInstanceUID")) in wanted - found.keys():
            found[str(header.SOPInstanceUID)] = read_dataset(path, CohortError)
    missing = [uid for uid in uids if uid not in found]
    if missing:
        raise CohortError(f"{folder} lacks {len(missing)} of the {len(uids)} images that the volume was made of.")
    return [found[uid] for uid in uids]


def _fill_in(image: Any, volume: PlainVolume) -> None:
    """What anonymisation takes away and a DICOM SEG has to have: empty where the standard allows it, else from the volume."""
    for keyword in _MAY_BE_EMPTY:
        if keyword not in image:
            setattr(image, keyword, "")
    if image.get("SliceThickness") in (None, ""):
        image.SliceThickness = f"{float(np.linalg.norm(volume.ijk_to_ras[:3, 2])):.8g}"
    missing = [keyword for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID") if not image.get(keyword)]
    if missing:
        raise CohortError(f"The DICOM images of {volume.name} lack {', '.join(missing)}: export the case as nifti or seg.nrrd.")
    if not image.get("FrameOfReferenceUID"):
        image.FrameOfReferenceUID = f"{image.SeriesInstanceUID}.1"[:64].rstrip(".")


def shorten_decimals(data: Any) -> None:
    """Decimal strings have at most 16 characters; some scanners' and converters' have more, and they are copied."""
    from pydicom.valuerep import DSfloat

    for element in data.iterall():
        if element.VR == "DS" and not element.is_empty:
            values = element.value if element.VM > 1 else [element.value]
            if any(len(str(value)) > 16 for value in values):
                short = [DSfloat(float(value), auto_format=True) for value in values]
                element.value = short if element.VM > 1 else short[0]


def whole(value: Any) -> int:
    """The number, or 0 where there is none."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


def version() -> str:
    """Of this extension."""
    from .... import __version__

    return __version__
