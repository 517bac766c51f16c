"""Surfaces, one file per structure, in LPS: what Slicer reads by default and other DICOM-minded programs expect."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ....core.errors import CohortError
from ....core.plugins import Plugin
from ....mrml.surfaces import closed_surface
from ...store.files import save_with
from ...store.records import file_safe
from ..case_result import CaseResult

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def _write_surfaces(result: CaseResult, folder: Path, format: str) -> list[Path]:
    files = []
    for structure, mask in result.filled_masks():
        surface = closed_surface(mask, _RAS_TO_LPS @ result.volume.ijk_to_ras)
        target = result.target(folder, f"{result.case_id}.{file_safe(structure.name)}.{format}")
        save_with(target, lambda path, surface=surface: _write_mesh(surface, path, format))
        files.append(target)
    return files


def _write_mesh(surface: Any, path: str, format: str) -> None:
    import vtk

    writer = vtk.vtkSTLWriter() if format == "stl" else vtk.vtkOBJWriter()
    if format == "stl":
        writer.SetFileTypeToBinary()
        writer.SetHeader("MultiverSeg. SPACE=LPS")
    writer.SetInputData(surface)
    writer.SetFileName(path)
    writer.Write()
    if writer.GetErrorCode() or not _is_whole(Path(path), surface, format):  # vtkOBJWriter sets no code on a full disk
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
