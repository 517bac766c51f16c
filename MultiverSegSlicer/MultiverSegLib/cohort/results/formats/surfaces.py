"""Surfaces, one file per structure, in LPS: what Slicer reads by default and other DICOM-minded programs expect."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from ....core.errors import CohortError
from ....core.plugins import Plugin
from ...store.files import save_with
from ...store.records import file_safe
from ..case_result import CaseResult


def _write_surfaces(result: CaseResult, folder: Path, format: str) -> list[Path]:
    import vtk

    masks, nodes = result.filled_masks(), result.nodes
    segmentation = nodes.segmentation
    if not segmentation.CreateClosedSurfaceRepresentation():
        raise CohortError(f"No surface can be made of the result of {nodes.case_id}.")
    files = []
    for structure, _ in masks:
        surface = vtk.vtkPolyData()
        segmentation.GetClosedSurfaceRepresentation(nodes.segment_id(structure.name), surface)
        transform = vtk.vtkTransform()
        transform.Scale(-1, -1, 1)
        turned = vtk.vtkTransformPolyDataFilter()
        turned.SetTransform(transform)
        turned.SetInputData(surface)
        target = result.target(folder, f"{nodes.case_id}.{file_safe(structure.name)}.{format}")
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


STL = Plugin("stl", "STL surfaces", "One closed surface per structure, for 3D printing.", partial(_write_surfaces, format="stl"))
OBJ = Plugin("obj", "OBJ surfaces", "One closed surface per structure, for 3D viewers.", partial(_write_surfaces, format="obj"))
