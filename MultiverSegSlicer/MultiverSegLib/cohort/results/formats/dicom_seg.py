"""The DICOM SEG of a case that came from DICOM images, made with highdicom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ....core.errors import CohortError
from ....core.plugins import Plugin
from ....mrml import dicom, paths
from ....mrml.dicom_frames import frame_order, read_dataset
from ....mrml.plain_volume import PlainVolume
from ...store.files import save_with
from ...store.records import Structure
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


def write(result: CaseResult, folder: Path) -> list[Path]:
    """One file with all structures, which refers to the images that the case's volume was made of."""
    masks, volume = result.filled_masks(), result.volume
    target = result.target(folder, f"{result.case_id}.dcm")
    try:
        import highdicom
        import pydicom
    except ImportError as error:
        raise CohortError(f"DICOM SEG needs the Python package {error.name}: install it (pip install highdicom).") from error
    case = result.cohort.case(result.case_id)
    uids = volume.attributes.get("DICOM.instanceUIDs", "").split()
    if not uids:
        raise CohortError(
            f"Case {case.id} did not come from a DICOM series, which a DICOM SEG has to refer to: export it as nifti or seg.nrrd."
        )
    images = _source_images(result.cohort.resolve(case.volume.path), uids)
    for image in images:
        _fill_in(image, volume)
    described = [_described(highdicom, number, result, structure) for number, (structure, _) in enumerate(masks, start=1)]
    try:
        segmentation = _segmentation(highdicom, images, _in_order_of_frames(images, masks), described)
    except Exception as error:  # highdicom checks the source images' attributes while it copies them
        raise CohortError(f"No DICOM SEG can be made of case {case.id}: {type(error).__name__}, {paths.reason_of(error)}.") from error
    segmentation.SpecificCharacterSet = "ISO_IR 192"  # else letters that the source's character set lacks become "?"
    _shorten_decimals(segmentation)
    save_with(target, lambda path: pydicom.dcmwrite(path, segmentation, enforce_file_format=True))
    return [target]


def _segmentation(highdicom: Any, images: list[Any], pixels: np.ndarray, described: list[Any]) -> Any:
    return highdicom.seg.Segmentation(
        source_images=images,
        pixel_array=pixels,
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=described,
        series_instance_uid=highdicom.UID(),
        series_number=_whole(images[0].get("SeriesNumber")) + 1000,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="MultiverSeg",
        manufacturer_model_name="MultiverSeg for 3D Slicer",
        software_versions=_version(),
        device_serial_number="0",
        series_description=f"Segmentation of {images[0].get('SeriesDescription') or 'the series'}"[:64],
        content_label="SEGMENTATION",
    )


def _whole(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


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


def _in_order_of_frames(images: list[Any], masks: list[tuple[Structure, np.ndarray]]) -> np.ndarray:
    """uint8 [frame, row, column, segment]; the frames of one file may lie in another order than the volume's slices."""
    pixels = np.stack([mask for _, mask in masks], axis=-1).astype(np.uint8)
    if len(images) > 1 or _whole(images[0].get("NumberOfFrames")) < 2:
        return pixels
    placed = np.empty_like(pixels)
    placed[frame_order(images[0], Path(str(images[0].filename)))] = pixels
    return placed


def _shorten_decimals(data: Any) -> None:
    """Decimal strings have at most 16 characters; some scanners' and converters' have more, and highdicom copies them."""
    from pydicom.valuerep import DSfloat

    for element in data.iterall():
        if element.VR == "DS" and not element.is_empty:
            values = element.value if element.VM > 1 else [element.value]
            if any(len(str(value)) > 16 for value in values):
                short = [DSfloat(float(value), auto_format=True) for value in values]
                element.value = short if element.VM > 1 else short[0]


def _source_images(folder: Path, uids: list[str]) -> list[Any]:
    """The series' data sets in the order of the volume's slices."""
    found, wanted = {}, set(uids)
    for path in paths.files_below(folder) if folder.is_dir() else [folder]:
        header = dicom.read_header(path)
        if header is not None and str(header.get("SOPInstanceUID")) in wanted - found.keys():
            found[str(header.SOPInstanceUID)] = read_dataset(path, CohortError)
    missing = [uid for uid in uids if uid not in found]
    if missing:
        raise CohortError(f"{folder} lacks {len(missing)} of the {len(uids)} images that the volume was made of.")
    return [found[uid] for uid in uids]


def _described(highdicom: Any, number: int, result: CaseResult, structure: Structure) -> Any:
    category, kind = terminology_codes(result.terminology(structure))
    work = result.cohort.case(result.case_id).work(structure.name)
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=f"MultiverSeg {work.model or 'model'}"[:64],
        version=_version(),
        family=highdicom.sr.CodedConcept("123110", "DCM", "Artificial Intelligence"),
    )
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=structure.name[:64],
        segmented_property_category=highdicom.sr.CodedConcept(*category),
        segmented_property_type=highdicom.sr.CodedConcept(*kind),
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
        algorithm_identification=algorithm,
    )


def terminology_codes(entry: str) -> tuple[tuple[str, str, str], tuple[str, str, str]]:
    """(value, scheme, meaning) of category and type in a terminology entry as Slicer serializes it; Tissue where it says nothing."""
    tissue = ("85756007", "SCT", "Tissue")
    parts = (entry or "").split("~")
    codes = []
    for part in parts[1:3]:
        fields = part.split("^")
        codes.append((fields[1], fields[0], fields[2]) if len(fields) == 3 and all(fields) else tissue)
    return (codes[0], codes[1]) if len(codes) == 2 else (tissue, tissue)


def _version() -> str:
    from .... import __version__

    return __version__


PLUGIN = Plugin(
    "dicom-seg",
    "DICOM segmentation (SEG)",
    "One DICOM file with all structures; the case must have come from DICOM images.",
    write,
    needs=("highdicom>=0.22",),
)
