"""Cases from what is open in Slicer: the scene's volumes, a subject-hierarchy folder, a Sequence node's frames. Main thread only."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...core.errors import CohortError
from ..store.cohort import relative_path
from ..store.records import Case, Source, file_safe


def cases_from_scene(cohort_folder: Path | str) -> list[Case]:
    """Every scalar volume of the scene. Volumes that lie in a file are referred to by it; the others only while this scene is open.

    Raises:
        CohortError: the scene has no volume.
    """
    import slicer

    return cases_from_volumes(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"), cohort_folder)


def subject_hierarchy_folders() -> list[tuple[str, int]]:
    """(name with those of the folders above it, item) of every folder, study and patient of the subject hierarchy that holds a volume."""
    import slicer
    import vtk

    hierarchy, items, found = slicer.mrmlScene.GetSubjectHierarchyNode(), vtk.vtkIdList(), []
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, True)
    for item in (items.GetId(n) for n in range(items.GetNumberOfIds())):
        if hierarchy.GetItemDataNode(item) is None and _volumes(_nodes_below(item)):
            names, above = [], item
            while above and above != hierarchy.GetSceneItemID():
                names.insert(0, hierarchy.GetItemName(above))
                above = hierarchy.GetItemParent(above)
            found.append((" / ".join(names), item))
    return found


def _nodes_below(item: int) -> list[Any]:
    import slicer
    import vtk

    hierarchy, items = slicer.mrmlScene.GetSubjectHierarchyNode(), vtk.vtkIdList()
    hierarchy.GetItemChildren(item, items, True)
    return [hierarchy.GetItemDataNode(items.GetId(n)) for n in range(items.GetNumberOfIds())]


def _volumes(nodes: Iterable[Any]) -> list[Any]:
    """The scalar volumes among ``nodes``."""
    scalar = [n for n in nodes if n is not None and n.IsA("vtkMRMLScalarVolumeNode") and not n.IsA("vtkMRMLLabelMapVolumeNode")]
    return [node for node in scalar if node.GetImageData()]


def cases_from_subject_hierarchy(folder_item: int, cohort_folder: Path | str) -> list[Case]:
    """The volumes in a folder of the subject hierarchy, and in the folders below it.

    Raises:
        CohortError: there is none.
    """
    return cases_from_volumes(_nodes_below(folder_item), cohort_folder)


def cases_from_volumes(nodes: Iterable[Any], cohort_folder: Path | str) -> list[Case]:
    """A case for each scalar volume among ``nodes`` (label maps and others are left out).

    Raises:
        CohortError: there is none.
    """
    cases: list[Case] = []
    for node in _volumes(nodes):
        identity = file_safe(node.GetName(), (c.id for c in cases))
        cases.append(Case(identity, _source(node, cohort_folder), node.GetName()))
    if not cases:
        raise CohortError("There is no scalar volume to make a cohort of.")
    return cases


def cases_from_sequence(sequence: Any, cohort_folder: Path | str) -> list[Case]:
    """A case for each frame of a sequence that was loaded from, or saved to, a file.

    Raises:
        CohortError: no frames, no volumes, or no file.
    """
    count = sequence.GetNumberOfDataNodes()
    if not count or not sequence.GetNthDataNode(0).IsA("vtkMRMLScalarVolumeNode"):
        raise CohortError(f"{sequence.GetName()} is not a sequence of volumes.")
    path = _file_of(sequence)
    if path is None:
        raise CohortError(f"Save the sequence {sequence.GetName()} to a file first: its frames are read from there.")
    stored, base = relative_path(path, cohort_folder), file_safe(sequence.GetName())
    return [Case(f"{base}_{n:03d}", Source("sequence", stored, n), f"{sequence.GetName()} {n}") for n in range(count)]


def _source(node: Any, cohort_folder: Path | str) -> Source:
    """The volume's file; the node itself if it has none, was changed since, or came from several files (a DICOM series)."""
    storage, path = node.GetStorageNode(), _file_of(node)
    changed = node.GetModifiedSinceRead() if path else True
    several = storage is not None and storage.GetNumberOfFileNames() > 1
    if path is None or changed or several or node.GetParentTransformNode() is not None:
        return Source("scene", node.GetID())
    return Source("file", relative_path(path, cohort_folder))


def _file_of(node: Any) -> Path | None:
    storage = node.GetStorageNode()
    name = storage.GetFullNameFromFileName() if storage is not None and storage.GetFileName() else ""
    return Path(name) if name and Path(name).is_file() else None
