"""Accepted results in other programs' formats: NIfTI, .seg.nrrd, DICOM SEG, STL and OBJ surfaces. Main thread.

Surfaces are written in LPS, which is what Slicer reads by default and what other DICOM-minded programs expect.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import CohortError, MultiverSegError, VolumeError
from ...mrml import paths, segments, volumes
from ...mrml.headers import check_header
from ..store.cohort import Cohort
from ..store.files import save_with
from ..store.records import ACCEPTED, Structure, file_safe
from ..work.case_nodes import CaseNodes
from .export_dicom import write_dicom_seg

#: Shear beyond which NIfTI readers show a volume elsewhere.
_STRAIGHT = 1e-4
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
    folder = paths.absolute(folder, CohortError)
    if format == "seg.nrrd":
        segments.checked_nrrd(saved)
        target = target_in(cohort, folder, saved.name)
        save_with(target, lambda path: shutil.copyfile(saved, path))
        return [target]
    nodes = CaseNodes(cohort, case_id)
    try:
        return _WRITERS[format](nodes, folder)
    finally:
        nodes.close()


@dataclass
class Exported:
    """The files that were written, and why others were not (case -> reason)."""

    files: list[Path] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def export_cohort(
    cohort: Cohort,
    folder: Path | str,
    formats: Iterable[str],
    progress: Callable[[str], None] = lambda case: None,
    cases: Iterable[str] | None = None,
) -> Exported:
    """Writes accepted cases (None: all) in each of the formats; see ``export_case``. A case that can't be written doesn't stop the others.

    Raises:
        CohortError: nothing is accepted yet, an unknown case or format, or no file could be written at all (with the first reason).
    """
    formats = list(formats)
    chosen = [cohort.case(c).id for c in cases] if cases is not None else [case.id for case in cohort.cases if case.status == ACCEPTED]
    if not chosen:
        raise CohortError("No case is accepted yet: there is nothing to export.")
    if unknown := [format for format in formats if format not in FORMATS]:
        raise CohortError(f"Unknown format {unknown[0]!r}: use one of {', '.join(FORMATS)}.")
    done = Exported()
    for case_id in chosen:
        progress(case_id)
        for format in formats:
            try:
                done.files += export_case(cohort, case_id, folder, format)
            except MultiverSegError as error:
                done.left_out[case_id] = "; ".join(filter(None, (done.left_out.get(case_id), f"{format}: {error}")))
    if not done.files:
        more = f" (and {len(done.left_out) - 1} more cases)" if len(done.left_out) > 1 else ""
        case_id, reason = next(iter(done.left_out.items()))
        raise CohortError(f"Nothing was exported: {case_id}, {reason}{more}")
    return done


def target_in(cohort: Cohort, folder: Path, name: str) -> Path:
    """The file ``name`` in ``folder``, which must not be one that the cohort reads.

    Raises:
        CohortError: it is a volume, a label file or a result of the cohort.
    """
    target = folder / name
    if target.exists():
        for case in cohort.cases:
            read = [cohort.segmentation_path(case.id), *(cohort.resolve(entry.path) for entry in case.labels)]
            read += [cohort.resolve(case.volume.path)] if case.volume.kind != "scene" else []
            if any(paths.same_file(target, source) for source in read):
                raise CohortError(f"{target} is a file that the cohort reads (case {case.id}): export to another folder.")
    return target


def filled_masks(nodes: CaseNodes) -> list[tuple[Structure, np.ndarray]]:
    """The structures that have something in them, with their masks [k, j, i]."""
    found = [(structure, nodes.mask(structure.name) != 0) for structure in nodes.cohort.structures]
    found = [(structure, mask) for structure, mask in found if mask.any()]
    if not found:
        raise CohortError(f"The result of case {nodes.case_id} is empty.")
    return found


def _write_nifti(nodes: CaseNodes, folder: Path) -> list[Path]:
    import SimpleITK as sitk

    masks = filled_masks(nodes)
    overlap = np.sum([mask for _, mask in masks], axis=0).max() > 1
    if overlap:
        parts = {f"{nodes.case_id}.{file_safe(s.name)}.nii.gz": mask * np.uint16(s.value) for s, mask in masks}
    else:
        parts = {f"{nodes.case_id}.nii.gz": np.sum([mask * np.uint16(s.value) for s, mask in masks], axis=0).astype(np.uint16)}
    matrix = _RAS_TO_LPS @ volumes.ijk_to_ras(nodes.volume)
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    shear = float(np.abs((matrix[:3, :3] / spacing).T @ (matrix[:3, :3] / spacing) - np.eye(3)).max())
    if shear > _STRAIGHT:
        raise CohortError(
            f"The volume of case {nodes.case_id} is sheared by {shear:.2g} (a tilted stack), which NIfTI does not hold: export it as seg.nrrd."
        )
    files = []
    for name, labels in parts.items():
        image = sitk.GetImageFromArray(np.ascontiguousarray(labels))
        image.SetSpacing(spacing.tolist())
        image.SetOrigin(matrix[:3, 3].tolist())
        image.SetDirection((matrix[:3, :3] / spacing).ravel().tolist())
        target = target_in(nodes.cohort, folder, name)
        save_with(target, lambda path, image=image: _write_image(image, path))
        files.append(target)
    return files


def _write_image(image: Any, path: str) -> None:
    import SimpleITK as sitk

    try:
        sitk.WriteImage(image, path, True)
        check_header(Path(path))  # the NIfTI writer says nothing on a full disk
    except (RuntimeError, VolumeError) as error:
        raise CohortError(
            f"{path} can't be written ({paths.reason_of(error)}): check the disk space and your rights on its folder."
        ) from error


def _write_surfaces(nodes: CaseNodes, folder: Path, format: str) -> list[Path]:
    import vtk

    segmentation = nodes.segmentation
    if not segmentation.CreateClosedSurfaceRepresentation():
        raise CohortError(f"No surface can be made of the result of {nodes.case_id}.")
    files = []
    for structure, _ in filled_masks(nodes):
        surface = vtk.vtkPolyData()
        segmentation.GetClosedSurfaceRepresentation(nodes.segment_id(structure.name), surface)
        transform = vtk.vtkTransform()
        transform.Scale(-1, -1, 1)
        turned = vtk.vtkTransformPolyDataFilter()
        turned.SetTransform(transform)
        turned.SetInputData(surface)
        target = target_in(nodes.cohort, folder, f"{nodes.case_id}.{file_safe(structure.name)}.{format}")
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
    if writer.GetErrorCode() or not _is_whole(Path(path), source.GetOutput(), format):  # vtkOBJWriter sets no code on a full disk
        raise CohortError(f"{path} can't be written completely: check the disk space and your rights on its folder.")


def _is_whole(path: Path, surface: Any, format: str) -> bool:
    content = path.read_bytes() if path.is_file() else b""
    if format == "stl":
        return len(content) == 84 + 50 * int.from_bytes(content[80:84], "little") > 84
    lines = content.splitlines()
    faces = sum(line.startswith(b"f ") for line in lines)
    return (
        content.endswith(b"\n")
        and sum(line.startswith(b"v ") for line in lines) == surface.GetNumberOfPoints()
        and faces >= surface.GetNumberOfPolys()
    )


def _write_dicom_seg(nodes: CaseNodes, folder: Path) -> list[Path]:
    target = target_in(nodes.cohort, folder, f"{nodes.case_id}.dcm")
    write_dicom_seg(nodes, target, filled_masks(nodes))
    return [target]


_WRITERS: dict[str, Callable[[CaseNodes, Path], list[Path]]] = {
    "nifti": _write_nifti,
    "dicom-seg": _write_dicom_seg,
    "stl": lambda nodes, folder: _write_surfaces(nodes, folder, "stl"),
    "obj": lambda nodes, folder: _write_surfaces(nodes, folder, "obj"),
}
