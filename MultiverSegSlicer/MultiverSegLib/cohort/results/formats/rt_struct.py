"""The DICOM RT Structure Set of a case that came from DICOM images: one contour per slice and part, on the images' own planes.

Attributes: DICOM PS3.3, A.19 and C.8.8. Holes are joined to the contour around them by a channel without width, which every reader understands.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ....core.errors import CohortError
from ....core.plugins import Plugin
from ....mrml.dicom_frames import Frames, frame_order
from ....mrml.dicom_stack import numbers_of
from ....mrml.terminologies import codes_of
from ...store.files import save_with
from ...store.records import Case, Structure
from ..case_result import CaseResult
from .contours import contours_of
from .source_images import source_images, version, whole

_RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
_STUDY = "1.2.840.10008.3.1.2.3.1"  # what readers expect here, though retired
_PATIENT_AND_STUDY = (
    "SpecificCharacterSet",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientWeight",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
)


class _Plane(NamedTuple):
    """Where the pixels of one slice lie (LPS, mm): ``origin``, and the steps to the next ``row`` and ``column``; and which image it is."""

    origin: np.ndarray
    row: np.ndarray
    column: np.ndarray
    image: Any

    def points(self, contour: np.ndarray) -> np.ndarray:
        """[points, 3] of a contour in (row, column)."""
        return self.origin + contour[:, :1] * self.row + contour[:, 1:] * self.column


def write(result: CaseResult, folder: Path) -> list[Path]:
    """One file with all structures, which refers to the images that the case's volume was made of."""
    masks = result.filled_masks()
    target = result.target(folder, f"{result.case_id}.rtstruct.dcm")
    try:
        import pydicom
        import skimage.measure  # noqa: F401 - what contours are made with
    except ImportError as error:
        raise CohortError(f"RT-STRUCT needs the Python package {error.name}: install it (pip install scikit-image pydicom).") from error
    images = source_images(result, "an RT structure set")
    planes = _planes(images)
    shape = masks[0][1].shape
    if len(planes) != shape[0] or (whole(images[0].get("Rows")), whole(images[0].get("Columns"))) != shape[1:]:
        raise CohortError(
            f"The result of case {result.case_id} does not lie on the voxels of its DICOM images: export it as nifti or seg.nrrd."
        )
    data = _header(pydicom, images[0], result.cohort.case(result.case_id))
    data.ReferencedFrameOfReferenceSequence = [_references(pydicom, images)]
    data.StructureSetROISequence, data.ROIContourSequence, data.RTROIObservationsSequence = [], [], []
    for number, (structure, mask) in enumerate(masks, start=1):
        _add(pydicom, data, number, structure, result.terminology(structure), list(_contours(pydicom, mask, planes)))
    save_with(target, lambda path: pydicom.dcmwrite(path, data, enforce_file_format=True))
    return [target]


def _planes(images: list[Any]) -> list[_Plane]:
    """One per slice of the volume, in its order.

    Raises:
        CohortError: an image does not say where it lies.
    """
    if len(images) == 1 and whole(images[0].get("NumberOfFrames")) > 1:
        data, path = images[0], Path(str(images[0].filename))
        positions, orientations, spacings = Frames(data, path, CohortError).geometry()
        order = frame_order(data, path)
        return [_plane(positions[n], orientations[n], spacings[n], _reference(data, int(n) + 1)) for n in order]
    planes = []
    for image in images:
        position, orientation, spacing = (
            numbers_of(image.get(name), size)
            for name, size in (("ImagePositionPatient", 3), ("ImageOrientationPatient", 6), ("PixelSpacing", 2))
        )
        if position is None or orientation is None or spacing is None:
            raise CohortError(f"{image.filename} does not say where it lies in the patient: export the case as nifti or seg.nrrd.")
        planes.append(_plane(position, orientation, spacing, _reference(image)))
    return planes


def _plane(position: Any, orientation: Any, spacing: Any, image: Any) -> _Plane:
    orientation = np.asarray(orientation, float)
    return _Plane(np.asarray(position, float), orientation[3:] * spacing[0], orientation[:3] * spacing[1], image)


def _reference(image: Any, frame: int | None = None) -> Any:
    import pydicom

    item = pydicom.Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    if frame is not None:
        item.ReferencedFrameNumber = frame
    return item


def _header(pydicom: Any, image: Any, case: Case) -> Any:
    """A structure set without structures, of the patient and study of ``image``."""
    uid = pydicom.uid.generate_uid
    data, meta = pydicom.Dataset(), pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = _RT_STRUCTURE_SET, uid()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.file_meta = meta
    for keyword in _PATIENT_AND_STUDY:
        if keyword in image:
            data[keyword] = image[keyword]
    data.SpecificCharacterSet = "ISO_IR 192"  # else letters that the source's character set lacks become "?"
    data.SOPClassUID, data.SOPInstanceUID = _RT_STRUCTURE_SET, meta.MediaStorageSOPInstanceUID
    now = datetime.now()
    data.InstanceCreationDate = data.StructureSetDate = now.strftime("%Y%m%d")
    data.InstanceCreationTime = data.StructureSetTime = now.strftime("%H%M%S")
    data.Modality, data.SeriesInstanceUID, data.SeriesNumber = "RTSTRUCT", uid(), whole(image.get("SeriesNumber")) + 2000
    data.SeriesDescription = f"Structures of {image.get('SeriesDescription') or 'the series'}"[:64]
    data.OperatorsName, data.InstanceNumber = "", 1
    data.Manufacturer, data.ManufacturerModelName, data.SoftwareVersions = "MultiverSeg", "MultiverSeg for 3D Slicer", version()
    data.FrameOfReferenceUID, data.PositionReferenceIndicator = image.FrameOfReferenceUID, image.get("PositionReferenceIndicator") or ""
    data.StructureSetLabel, data.StructureSetName = "MULTIVERSEG", case.id[:64]
    data.ApprovalStatus = "APPROVED" if case.approved else "UNAPPROVED"
    if case.approved:
        when = datetime.fromisoformat(case.approved_when)
        data.ReviewDate, data.ReviewTime, data.ReviewerName = when.strftime("%Y%m%d"), when.strftime("%H%M%S"), case.approved_by
    return data


def _references(pydicom: Any, images: list[Any]) -> Any:
    """The frame of reference, with the study, series and images in it."""
    frame, study, series = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    series.SeriesInstanceUID = images[0].SeriesInstanceUID
    series.ContourImageSequence = [_reference(image) for image in images]
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = _STUDY, images[0].StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = images[0].FrameOfReferenceUID, [study]
    return frame


def _contours(pydicom: Any, mask: np.ndarray, planes: list[_Plane]) -> Iterator[Any]:
    """The items of a contour sequence, slice by slice."""
    number = 0
    for index in np.flatnonzero(mask.any((1, 2))):
        for contour in contours_of(mask[index]):
            points = planes[index].points(contour)
            number += 1
            item = pydicom.Dataset()
            item.ContourNumber, item.ContourGeometricType = number, "CLOSED_PLANAR"
            item.ContourImageSequence = [planes[index].image]
            item.NumberOfContourPoints = len(points)
            item.ContourData = [f"{value:.4f}".rstrip("0").rstrip(".") or "0" for value in points.ravel()]
            yield item


def _add(pydicom: Any, data: Any, number: int, structure: Structure, terminology: str, contours: list[Any]) -> None:
    """One structure: its name, its contours and what is known of it."""
    roi, drawn, observed = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    roi.ROINumber, roi.ReferencedFrameOfReferenceUID, roi.ROIName = number, data.FrameOfReferenceUID, structure.name[:64]
    roi.ROIGenerationAlgorithm = "SEMIAUTOMATIC"
    drawn.ReferencedROINumber, drawn.ContourSequence = number, contours
    drawn.ROIDisplayColor = [round(255 * value) for value in structure.color]
    observed.ObservationNumber, observed.ReferencedROINumber = number, number
    observed.RTROIInterpretedType, observed.ROIInterpreter = "", ""
    if terminology:
        code = pydicom.Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = codes_of(terminology)[1]
        observed.RTROIIdentificationCodeSequence = [code]
    data.StructureSetROISequence.append(roi)
    data.ROIContourSequence.append(drawn)
    data.RTROIObservationsSequence.append(observed)


PLUGIN = Plugin(
    "rt-struct",
    "DICOM structure set (RT-STRUCT)",
    "Contours for treatment planning, one file with all structures; the case must have come from DICOM images.",
    write,
    needs=("scikit-image>=0.21",),
)
