"""Accepted results in other programs' formats: NIfTI, .seg.nrrd, DICOM SEG, STL and OBJ surfaces. Main thread.

Surfaces are written in LPS, which is what Slicer reads by default and what other DICOM-minded programs expect.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import CohortError
from ...mrml import volumes
from ..store.cohort import Cohort
from ..store.files import save_with
from ..store.records import ACCEPTED, Structure, file_safe
from ..work.case_nodes import CaseNodes

FORMATS = ("nifti", "seg.nrrd", "dicom-seg", "stl", "obj")
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def export_case(cohort: Cohort, case_id: str, folder: Path | str, format: str = "nifti") -> list[Path]:
    """Writes a case's result into ``folder`` and gives the files.

    Args:
        format: one of ``FORMATS``. "nifti": one label map (values of the structures), or one file per structure where these overlap;
            "dicom-seg" needs a case that came from DICOM, and the packages highdicom and pydicom; "stl", "obj": one file per structure.

    Raises:
        CohortError: unknown format, no result, not from DICOM, a package is missing, or the folder can't be written.
    """
    if format not in FORMATS:
        raise CohortError(f"Unknown format {format!r}: use one of {', '.join(FORMATS)}.")
    saved = cohort.segmentation_path(case_id)
    cohort.case(case_id)
    if not saved.is_file():
        raise CohortError(f"Case {case_id} has no result yet: accept it first.")
    folder = Path(folder)
    if format == "seg.nrrd":
        target = folder / saved.name
        save_with(target, lambda path: shutil.copyfile(saved, path))
        return [target]
    nodes = CaseNodes(cohort, case_id)
    try:
        return _WRITERS[format](nodes, folder)
    finally:
        nodes.close()


def export_cohort(
    cohort: Cohort, folder: Path | str, formats: Iterable[str], progress: Callable[[str], None] = lambda case: None
) -> list[Path]:
    """Writes all accepted cases in each of the formats; see ``export_case``.

    Raises:
        CohortError: nothing is accepted yet.
    """
    accepted = [case.id for case in cohort.cases if case.status == ACCEPTED]
    if not accepted:
        raise CohortError("No case is accepted yet: there is nothing to export.")
    files = []
    for case_id in accepted:
        progress(case_id)
        for format in formats:
            files += export_case(cohort, case_id, folder, format)
    return files


def _masks(nodes: CaseNodes) -> list[tuple[Structure, np.ndarray]]:
    """The structures that have something in them, with their masks [k, j, i]."""
    found = [(structure, nodes.mask(structure.name) != 0) for structure in nodes.cohort.structures]
    found = [(structure, mask) for structure, mask in found if mask.any()]
    if not found:
        raise CohortError(f"The result of case {nodes.case_id} is empty.")
    return found


def _write_nifti(nodes: CaseNodes, folder: Path) -> list[Path]:
    import SimpleITK as sitk

    masks = _masks(nodes)
    overlap = np.sum([mask for _, mask in masks], axis=0).max() > 1
    if overlap:
        parts = {f"{nodes.case_id}.{file_safe(s.name)}.nii.gz": mask * np.uint16(s.value) for s, mask in masks}
    else:
        parts = {f"{nodes.case_id}.nii.gz": np.sum([mask * np.uint16(s.value) for s, mask in masks], axis=0).astype(np.uint16)}
    matrix = _RAS_TO_LPS @ volumes.ijk_to_ras(nodes.volume)
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    for name, labels in parts.items():
        image = sitk.GetImageFromArray(np.ascontiguousarray(labels))
        image.SetSpacing(spacing.tolist())
        image.SetOrigin(matrix[:3, 3].tolist())
        image.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())
        save_with(folder / name, lambda path, image=image: sitk.WriteImage(image, path, True))
    return [folder / name for name in parts]


def _write_surfaces(nodes: CaseNodes, folder: Path, format: str) -> list[Path]:
    import vtk

    segmentation = nodes.segmentation
    if not segmentation.CreateClosedSurfaceRepresentation():
        raise CohortError(f"No surface can be made of the result of {nodes.case_id}.")
    files = []
    for structure, _ in _masks(nodes):
        surface = vtk.vtkPolyData()
        segmentation.GetClosedSurfaceRepresentation(nodes.segment_id(structure.name), surface)
        transform = vtk.vtkTransform()
        transform.Scale(-1, -1, 1)
        turned = vtk.vtkTransformPolyDataFilter()
        turned.SetTransform(transform)
        turned.SetInputData(surface)
        target = folder / f"{nodes.case_id}.{file_safe(structure.name)}.{format}"
        save_with(target, lambda path, turned=turned: _write_mesh(turned, path, format))
        files.append(target)
    return files


def _write_mesh(source: Any, path: str, format: str) -> None:
    import vtk

    writer = vtk.vtkSTLWriter() if format == "stl" else vtk.vtkOBJWriter()
    if format == "stl":
        writer.SetFileTypeToBinary()
        writer.SetHeader("MultiverSeg. SPACE=LPS")
    writer.SetInputConnection(source.GetOutputPort())
    writer.SetFileName(path)
    writer.Write()


def _write_dicom_seg(nodes: CaseNodes, folder: Path) -> list[Path]:
    try:
        import highdicom
        import pydicom
    except ImportError as error:
        raise CohortError(f"DICOM SEG needs the Python package {error.name}: install it (pip install highdicom).") from error
    case = nodes.cohort.case(nodes.case_id)
    uids = (nodes.volume.GetAttribute("DICOM.instanceUIDs") or "").split()
    if case.volume.kind != "dicom" or not uids:
        raise CohortError(
            f"Case {case.id} did not come from a DICOM series, which a DICOM SEG has to refer to: export it as nifti or seg.nrrd."
        )
    images = _source_images(nodes.cohort.resolve(case.volume.path), uids)
    masks = _masks(nodes)
    described = [_described(highdicom, number, nodes, structure) for number, (structure, _) in enumerate(masks, start=1)]
    segmentation = highdicom.seg.Segmentation(
        source_images=images,
        pixel_array=np.stack([mask for _, mask in masks], axis=-1).astype(np.uint8),
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=described,
        series_instance_uid=highdicom.UID(),
        series_number=int(images[0].get("SeriesNumber") or 0) + 1000,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="MultiverSeg",
        manufacturer_model_name="MultiverSeg for 3D Slicer",
        software_versions=_version(),
        device_serial_number="0",
        series_description=f"Segmentation of {images[0].get('SeriesDescription', 'the series')}"[:64],
        content_label="SEGMENTATION",
    )
    _shorten_decimals(segmentation)
    target = folder / f"{nodes.case_id}.dcm"
    save_with(target, lambda path: pydicom.dcmwrite(path, segmentation, enforce_file_format=True))
    return [target]


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
    import pydicom

    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            try:
                data = pydicom.dcmread(path)
            except (pydicom.errors.InvalidDicomError, OSError):
                continue
            found[str(data.get("SOPInstanceUID"))] = data
    missing = [uid for uid in uids if uid not in found]
    if missing:
        raise CohortError(f"{folder} lacks {len(missing)} of the {len(uids)} images that the volume was made of.")
    return [found[uid] for uid in uids]


def _described(highdicom: Any, number: int, nodes: CaseNodes, structure: Structure) -> Any:
    segment = nodes.segmentation.GetSegmentation().GetSegment(nodes.segment_id(structure.name))
    category, kind = terminology_codes(segment.GetTerminology() if hasattr(segment, "GetTerminology") else structure.terminology)
    work = nodes.cohort.case(nodes.case_id).work(structure.name)
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
    from ... import __version__

    return __version__


_WRITERS: dict[str, Callable[[CaseNodes, Path], list[Path]]] = {
    "nifti": _write_nifti,
    "dicom-seg": _write_dicom_seg,
    "stl": lambda nodes, folder: _write_surfaces(nodes, folder, "stl"),
    "obj": lambda nodes, folder: _write_surfaces(nodes, folder, "obj"),
}
