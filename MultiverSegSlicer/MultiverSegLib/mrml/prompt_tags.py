"""Keeps the prompts of a segment, and the structure that it stands for, in tags of that segment.

So they are saved and loaded with the segmentation, vanish with the segment, and Slicer's own undo restores prompts and result together, because the
undo history of the Segment Editor copies a segment's tags with its voxels.

Prompts are kept in the segmentation's own coordinates, and with them the voxel grid that it had then: they follow the segmentation when it gets another
transform, and when that is hardened, which moves the voxels and the grid but leaves tags alone.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import numpy as np

from ..core.errors import PromptError, VolumeError
from ..core.prompts import Prompts
from .labelmaps import segment_voxels
from .volumes import local_to_world

if TYPE_CHECKING:
    from slicer import vtkMRMLSegmentationNode, vtkSegment

TAG = "MultiverSegPrompt.Prompts"
STRUCTURE_TAG = "MultiverSeg.Structure"


def encode(prompts: Prompts, geometry: str = "") -> str:
    """Text without ``|`` (which would cut a tag short when it is written to a file). ``geometry``: the segmentation's grid, as Slicer writes it."""
    content = {"prompts": prompts.to_json(), "geometry": geometry}
    return base64.urlsafe_b64encode(zlib.compress(json.dumps(content, separators=(",", ":")).encode(), 9)).decode()


def decode(text: str) -> tuple[Prompts, str]:
    """Inverse of ``encode``; also reads what the first version wrote, a bare list.

    Raises:
        PromptError: the text is damaged.

    Example:
        >>> from MultiverSegLib.core.prompts import Point
        >>> prompts, _ = decode(encode(Prompts((Point((12.0, -4.5, 30.0)),))))
        >>> prompts.items[0].position
        (12.0, -4.5, 30.0)
    """
    try:
        content = json.loads(zlib.decompress(base64.urlsafe_b64decode(text.encode())))
        content = content if isinstance(content, dict) else {"prompts": content}
        return Prompts.from_json(content.get("prompts")), str(content.get("geometry", ""))
    except (ValueError, zlib.error, RecursionError) as error:
        raise PromptError(f"The prompts saved with the segment are damaged ({error}): clear them (R) and place them again.") from error


def load(segmentation: vtkMRMLSegmentationNode, segment_id: str) -> Prompts:
    """The prompts of a segment where they are now (RAS, mm); none if there is no such segment or its tag is damaged."""
    return load_own(segmentation, segment_id).moved(_to_world(segmentation)) if segmentation is not None else Prompts()


def load_own(segmentation: vtkMRMLSegmentationNode, segment_id: str) -> Prompts:
    """The prompts of a segment in the segmentation's own coordinates (mm), which no transform above it changes."""
    try:
        prompts, then = decode(text_of(segmentation, segment_id))
    except PromptError:
        return Prompts()
    return prompts.moved(_hardened(segmentation, segment_id, then))


def text_of(segmentation: vtkMRMLSegmentationNode, segment_id: str) -> str:
    """The tag as it is: another text means that somebody (an undo, say) changed the prompts."""
    segment = segmentation.GetSegmentation().GetSegment(segment_id) if segmentation is not None and segment_id else None
    return _tag(segment, TAG) if segment is not None else ""


def save(segmentation: vtkMRMLSegmentationNode, segment_id: str, prompts: Prompts) -> None:
    """Writes (or, when empty, removes) the prompts (RAS, mm) of a segment and tells its observers."""
    save_own(segmentation, segment_id, prompts.moved(np.linalg.inv(_to_world(segmentation))))


def save_own(segmentation: vtkMRMLSegmentationNode, segment_id: str, prompts: Prompts) -> None:
    """``save`` of prompts in the segmentation's own coordinates."""
    segment = segmentation.GetSegmentation().GetSegment(segment_id)
    if segment is None:
        return
    if len(prompts):
        segment.SetTag(TAG, encode(prompts, _geometry(segmentation)))
    else:
        segment.RemoveTag(TAG)
    segment.Modified()


def structure_of(segment: vtkSegment) -> str:
    """The structure of a cohort that a segment stands for, whatever it is called; empty if none."""
    return unquote(_tag(segment, STRUCTURE_TAG))


def mark_structure(segment: vtkSegment, structure: str) -> None:
    """Says which structure of a cohort a segment stands for."""
    if structure_of(segment) != structure:
        segment.SetTag(STRUCTURE_TAG, structure_tag(structure))


def structure_tag(structure: str) -> str:
    """The value of ``STRUCTURE_TAG``: without letters that mean something in a file's tags."""
    return quote(structure, safe=" ")


def _to_world(segmentation: vtkMRMLSegmentationNode) -> np.ndarray:
    try:
        return local_to_world(segmentation)
    except VolumeError:  # nothing is predicted under a transform that bends
        return np.eye(4)


def _geometry(segmentation: vtkMRMLSegmentationNode) -> str:
    import slicer

    name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    return str(segmentation.GetSegmentation().GetConversionParameter(name) or "")


def _hardened(segmentation: vtkMRMLSegmentationNode, segment_id: str, then: str) -> np.ndarray:
    """The transform (4 x 4) that was hardened on the segmentation since its grid was ``then``: the segment's voxels lie on the new grid, not on the
    old one. Where another volume became its source, they stay where they are."""
    old, new = _grid(then), _grid(_geometry(segmentation))
    if old is None or new is None or np.allclose(old[0], new[0], rtol=0, atol=1e-6) or old[1] != new[1]:
        return np.eye(4)
    voxels = segment_voxels(segmentation, segment_id)
    if voxels is not None:
        lattice = np.linalg.solve(_to_world(segmentation), voxels.lattice_to_ras)
        if np.allclose(lattice, old[0], rtol=0, atol=1e-6) or not _same_lattice(lattice, new[0]):
            return np.eye(4)
    return new[0] @ np.linalg.inv(old[0])


def _grid(geometry: str) -> tuple[np.ndarray, tuple[int, ...]] | None:
    """(4 x 4 from indices to the segmentation's coordinates, extent) of a geometry as Slicer writes it."""
    try:
        values = [float(part) for part in geometry.split(";") if part.strip()]
        matrix = np.array(values[:16]).reshape(4, 4)
        return (matrix, tuple(int(v) for v in values[16:22])) if abs(np.linalg.det(matrix)) > 0 else None
    except ValueError:
        return None


def _same_lattice(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether the voxels of two grids coincide but for whole numbers of voxels."""
    shift = np.linalg.solve(other, one)
    return bool(np.allclose(shift[:3, :3], np.eye(3), atol=1e-4) and np.allclose(shift[:3, 3], np.round(shift[:3, 3]), atol=1e-2))


def _tag(segment: vtkSegment, name: str) -> str:
    import vtk

    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else ""
