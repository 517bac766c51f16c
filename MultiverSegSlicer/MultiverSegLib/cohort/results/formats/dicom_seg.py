"""The DICOM SEG of a case that came from DICOM images, made with highdicom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ....core.errors import CohortError
from ....core.plugins import Plugin
from ....mrml import paths
from ....mrml.dicom_frames import frame_order
from ....mrml.terminologies import codes_of
from ...store.files import save_with
from ...store.records import Structure
from ..case_result import CaseResult
from .source_images import shorten_decimals, source_images, version, whole


def write(result: CaseResult, folder: Path) -> list[Path]:
    """One file with all structures, which refers to the images that the case's volume was made of."""
    masks = result.filled_masks()
    target = result.target(folder, f"{result.case_id}.dcm")
    try:
        import highdicom
        import pydicom
    except ImportError as error:
        raise CohortError(f"DICOM SEG needs the Python package {error.name}: install it (pip install highdicom).") from error
    images = source_images(result, "a DICOM SEG")
    described = [_described(highdicom, number, result, structure) for number, (structure, _) in enumerate(masks, start=1)]
    try:
        segmentation = _segmentation(highdicom, images, _in_order_of_frames(images, masks), described)
    except Exception as error:  # highdicom checks the source images' attributes while it copies them
        raise CohortError(
            f"No DICOM SEG can be made of case {result.case_id}: {type(error).__name__}, {paths.reason_of(error)}."
        ) from error
    segmentation.SpecificCharacterSet = "ISO_IR 192"  # else letters that the source's character set lacks become "?"
    shorten_decimals(segmentation)
    save_with(target, lambda path: pydicom.dcmwrite(path, segmentation, enforce_file_format=True))
    return [target]


def _segmentation(highdicom: Any, images: list[Any], pixels: np.ndarray, described: list[Any]) -> Any:
    return highdicom.seg.Segmentation(
        source_images=images,
        pixel_array=pixels,
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=described,
        series_instance_uid=highdicom.UID(),
        series_number=whole(images[0].get("SeriesNumber")) + 1000,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="MultiverSeg",
        manufacturer_model_name="MultiverSeg for 3D Slicer",
        software_versions=version(),
        device_serial_number="0",
        series_description=f"Segmentation of {images[0].get('SeriesDescription') or 'the series'}"[:64],
        content_label="SEGMENTATION",
    )


def _in_order_of_frames(images: list[Any], masks: list[tuple[Structure, np.ndarray]]) -> np.ndarray:
    """uint8 [frame, row, column, segment]; the frames of one file may lie in another order than the volume's slices."""
    pixels = np.stack([mask for _, mask in masks], axis=-1).astype(np.uint8)
    if len(images) > 1 or whole(images[0].get("NumberOfFrames")) < 2:
        return pixels
    placed = np.empty_like(pixels)
    placed[frame_order(images[0], Path(str(images[0].filename)))] = pixels
    return placed


def _described(highdicom: Any, number: int, result: CaseResult, structure: Structure) -> Any:
    category, kind = codes_of(result.terminology(structure))
    work = result.cohort.case(result.case_id).work(structure.name)
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=f"MultiverSeg {work.model or 'model'}"[:64],
        version=version(),
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


PLUGIN = Plugin(
    "dicom-seg",
    "DICOM segmentation (SEG)",
    "One DICOM file with all structures; the case must have come from DICOM images.",
    write,
    needs=("highdicom>=0.22",),
)
