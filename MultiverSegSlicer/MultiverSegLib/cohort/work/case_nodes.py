"""The nodes of an open case: its volume and its segmentation, one segment per structure. Main thread only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import CohortError, MultiverSegError, SegmentationError
from ...mrml import dicom, labelmaps, paths, prompt_tags, segments, volume_files, volumes
from ...mrml.axes import array_axis, voxel_axis
from ...mrml.headers import check_header
from ...mrml.masks import load_mask
from ...mrml.plain_volume import PlainVolume
from ..store.cohort import Cohort
from ..store.files import save_with
from ..store.records import ACCEPTED, Case, Labels, Source, Structure
from .recorder import restored_masks, restored_prompts

#: Attribute of a case's segmentation node: the id of the case.
CASE_ATTRIBUTE = "MultiverSeg.Case"


def load_source(cohort: Cohort, case: Case) -> tuple[Any, bool]:
    """The case's volume node, and whether it was loaded (and is to be removed) by us.

    Raises:
        VolumeError: the file is missing or unusable.
        CohortError: the node is not in this scene any more.
    """
    source = case.volume
    if source.kind == "scene":
        return _scene_volume(source, case), False
    return load_source_files(source, cohort.resolve(source.path), case.id), True


def load_source_files(source: Source, path: Path, name: str) -> Any:
    """The volume node of a source that lies in files at ``path``.

    Raises:
        VolumeError: missing or unusable.
        CohortError: not in files, or no such frame.
    """
    if source.kind == "scene":
        raise CohortError(f"The volume of case {name} is only in a scene of Slicer: save it to a file to use it here.")
    if source.kind == "sequence":
        return _frame(path, source.frame or 0, name)
    if source.kind == "dicom":
        return dicom.load_dicom(path, name, source.series or None)
    return volume_files.load_volume(path, name)


def read_source(source: Source, path: Path, name: str) -> PlainVolume:
    """``load_source_files`` without a node, in any thread.

    Raises:
        VolumeError: missing or unusable.
        CohortError: not in files, or no such frame.
    """
    if source.kind == "scene":
        raise CohortError(f"The volume of case {name} is only in a scene of Slicer: save it to a file to use it here.")
    if source.kind == "sequence":
        return _plain_frame(path, source.frame or 0, name)
    if source.kind == "dicom":
        return dicom.read_plain_dicom(path, name, source.series or None)
    return volume_files.read_plain(path, name)


def plain_of_scene(case: Case) -> PlainVolume:
    """The voxels (shared, not copied) of a case that is in the scene; main thread, the result in any.

    Raises:
        CohortError: the node is not in this scene any more.
        VolumeError: not a scalar volume, or under a non-linear transform.
    """
    node = _scene_volume(case.volume, case)
    return PlainVolume(volumes.array_of(node), volumes.ijk_to_ras(node), case.id)


def scene_volumes(cohort: Cohort, cases: Iterable[str]) -> dict[str, PlainVolume]:
    """``plain_of_scene`` of those of the cases that are in the scene, by id; those that can't be given are left out, and whoever reads them says
    why. Main thread, the result in any."""
    found = {}
    for case in map(cohort.case, cases):
        if case.volume.kind == "scene":
            with suppress(MultiverSegError):
                found[case.id] = plain_of_scene(case)
    return found


def plain_volume(cohort: Cohort, case: Case, volumes: Mapping[str, PlainVolume] | None = None) -> PlainVolume:
    """A case's voxels without loading a node.

    Args:
        volumes: those of the cases that are in the scene (``scene_volumes``), for a thread; None: this is the main thread.

    Raises:
        VolumeError: missing or unusable.
        CohortError: not in this scene, or no such frame.
    """
    if volumes is not None and case.id in volumes:
        return volumes[case.id]
    if case.volume.kind == "scene" and volumes is None:
        return plain_of_scene(case)
    return read_source(case.volume, cohort.resolve(case.volume.path), case.id)


def _plain_frame(path: Path, frame: int, name: str) -> PlainVolume:
    """One frame of a sequence file: the frames are its values per voxel, or its fourth dimension."""
    import SimpleITK as sitk

    path = _checked_sequence(path)
    try:
        image = sitk.ReadImage(str(path))
        count = image.GetNumberOfComponentsPerPixel() if image.GetDimension() < 4 else image.GetSize()[3]
    except RuntimeError as error:
        raise CohortError(f"{path} can't be read as a sequence of volumes ({paths.reason_of(error)}).") from error
    if not 0 <= frame < count:
        raise CohortError(f"The sequence {path} has no volume as frame {frame}.")
    return PlainVolume.of(image, name, frame)


class CaseNodes:
    """A case in the scene. ``segment_id`` finds a structure's segment; ``close`` removes what was loaded.

    The segmentation is, in this order: the saved result brought up to date from the journal; else what the journal knows of an interrupted
    session; else empty. Existing label files are not shown: they are references or become context.

    A structure's segment is known by a tag of ours: one that is renamed gets its name back, one that is deleted comes back with what it had
    (see ``remember``), and ``notes`` says so.

    ``make_volume``: gives the volume's node where its voxels were read ahead.
    """

    def __init__(self, cohort: Cohort, case_id: str, make_volume: Callable[[], Any] | None = None) -> None:
        self.cohort = cohort
        self.case_id = case_id
        self.volume, self._loaded = (make_volume(), True) if make_volume else load_source(cohort, cohort.case(case_id))
        self.segmentation: Any = None
        self._remembered: Mapping[str, np.ndarray] = {}
        self.notes: list[str] = []
        try:
            self.segmentation = self._open_segmentation()
        except BaseException:
            self.close()
            raise

    def remember(self, masks: Mapping[str, np.ndarray]) -> None:
        """Structure -> its voxels [k, j, i] as last looked at; whoever gives them keeps them up to date."""
        self._remembered = masks

    def segment_id(self, structure: str) -> str:
        """The structure's segment; made (with colour and terminology) where it is missing."""
        found = self._find(structure)
        if found is None:
            record: Structure = self.cohort.structure(structure)
            found = segments.add_segment(self.segmentation, structure, record.color, record.terminology or None)
            mask = self._remembered.get(structure)
            if mask is not None and mask.any():
                segments.set_segment(self.segmentation, found, self.volume, mask)
                self.notes.append(f"The segment {structure} belongs to the case and was put back; to empty it, erase what is in it.")
        segment = self.segmentation.GetSegmentation().GetSegment(found)
        prompt_tags.mark_structure(segment, structure)
        if segment.GetName() != structure:
            self.notes.append(f"The segment of {structure} keeps its name, by which the cohort's results are found.")
            segment.SetName(structure)
        return found

    def structure_of(self, segment_id: str) -> str:
        """The structure that a segment stands for; empty if none of the cohort's."""
        segment = self.segmentation.GetSegmentation().GetSegment(segment_id) if segment_id else None
        name = prompt_tags.structure_of(segment) if segment is not None else ""
        return name if name in self.cohort.state.structures else ""

    @property
    def in_scene(self) -> bool:
        """False once somebody has removed the volume or the segmentation from the scene."""
        return self.segmentation is not None and self.segmentation.GetScene() is not None and self.volume.GetScene() is not None

    def mask(self, structure: str) -> np.ndarray:
        """The structure's voxels on the volume's grid, uint8 [k, j, i]."""
        return segments.get_segment(self.segmentation, self.segment_id(structure), self.volume)

    def stamp(self, structure: str) -> int:
        """A number that changes whenever somebody writes the structure's voxels."""
        voxels = labelmaps.segment_voxels(self.segmentation, self.segment_id(structure))
        return 0 if voxels is None or voxels.image is None else voxels.image.GetMTime()

    def axis(self, structure: str) -> str:
        """The structure's voxel axis in this volume."""
        return voxel_axis(self.volume, self.cohort.structure(structure).axis)

    def save(self) -> Path:
        """Writes the segmentation to the cohort's folder in one step.

        Raises:
            SegmentationError: it was removed from the scene.
            CohortError: the disk refuses.
        """
        if not self.in_scene:
            raise SegmentationError(
                f"The nodes of {self.case_id} were removed from the scene: open the case again, which brings its work back."
            )
        path = self.cohort.segmentation_path(self.case_id)
        save_segmentation(self.segmentation, path)
        return path

    def close(self) -> None:
        """Removes the nodes that this object brought into the scene."""
        segmentation, volume = self.segmentation, self.volume if self._loaded else None
        self.segmentation = self.volume = None
        for node in (segmentation, volume):
            if node is not None and node.GetScene() is not None:
                segments.remove_node(node)

    def _open_segmentation(self) -> Any:
        path = self.cohort.segmentation_path(self.case_id)
        if path.is_file():
            node = segments.load_segmentation(path, self.volume, self.case_id)
        else:
            node = segments.new_segmentation(self.volume, self.case_id)
        self.segmentation = node
        node.SetAttribute(CASE_ATTRIBUTE, self.case_id)
        for structure in self.cohort.structures:
            self.segment_id(structure.name)
        self._restore()
        return node

    def _find(self, structure: str) -> str | None:
        """The segment that is tagged with the structure; in files of other origin, the one that is called like it."""
        known = self.segmentation.GetSegmentation()
        tagged: list[str] = []
        named: list[str] = []
        for segment_id in segments.segment_ids(self.segmentation):
            segment = known.GetSegment(segment_id)
            tag, same_name = prompt_tags.structure_of(segment), segment.GetName() == structure
            if tag == structure:
                tagged.insert(0 if same_name else len(tagged), segment_id)
            elif same_name and not tag:
                named.append(segment_id)
        return next(iter([*tagged, *named]), None)

    def _restore(self) -> None:
        """Brings back what an interrupted session had done: the journal's changes are newer than a saved file of a case in progress."""
        case, events = self.cohort.case(self.case_id), list(self.cohort.journal.events(case=self.case_id))
        masks = restored_masks(events, volumes.dimensions_of(self.volume)[::-1])
        for structure, mask in masks.items():
            if case.work(structure).status != ACCEPTED and structure in self.cohort.state.structures:
                segments.set_segment(self.segmentation, self.segment_id(structure), self.volume, mask)
        for structure, prompts in restored_prompts(events).items():
            if structure in self.cohort.state.structures:
                prompt_tags.save_own(self.segmentation, self.segment_id(structure), prompts)


def save_segmentation(segmentation: Any, path: Path) -> None:
    """Writes a .seg.nrrd in one step and leaves the node pointing at it."""
    save_with(path, lambda target: segments.save_segmentation(segmentation, target))
    segmentation.GetStorageNode().SetFileName(str(path))


def segment_slice(segmentation: Any, segment_id: str, volume: Any, axis: str, index: int) -> np.ndarray:
    """One slice of a segment on the volume's grid, bool on the two other array axes; does not read the rest of the volume."""
    dimensions, number = volumes.dimensions_of(volume), array_axis(axis)
    shape = tuple(n for a, n in enumerate(dimensions[::-1]) if a != number)
    voxels = labelmaps.segment_voxels(segmentation, segment_id)
    if voxels is None:
        return np.zeros(shape, bool)
    first = labelmaps.lattice_offset(voxels.lattice_to_ras, volumes.ijk_to_ras(volume), dimensions)
    if first is None:
        return segments.get_segment(segmentation, segment_id, volume).take(index, axis=number) != 0
    result = np.zeros(shape, bool)
    common = labelmaps.overlap(voxels.extent, first, dimensions)
    if common is None or not common[1][number].start <= index < common[1][number].stop:
        return result
    source, target = list(common[0]), [s for a, s in enumerate(common[1]) if a != number]
    source[number] = source[number].start + index - common[1][number].start
    result[tuple(target)] = voxels.array[tuple(source)] == voxels.label
    return result


def reference_mask(cohort: Cohort, case: Case, structure: str, volume: Any) -> np.ndarray | None:
    """The existing label of a structure in a case, uint8 [k, j, i]; None where the case has none."""
    labels: Labels | None = next((entry for entry in case.labels if entry.structure == structure), None)
    return None if labels is None else load_mask(volume, cohort.resolve(labels.path), labels.value, structure)


def _scene_volume(source: Source, case: Case) -> Any:
    import slicer

    node = slicer.mrmlScene.GetNodeByID(source.path) or slicer.mrmlScene.GetFirstNode(case.name, "vtkMRMLScalarVolumeNode")
    if node is None:
        raise CohortError(f"The volume of case {case.id} is not in this scene: open the scene that the cohort was made from.")
    return node


def _checked_sequence(path: Path) -> Path:
    """The absolute path of a sequence file whose header can be given to a reader."""
    path = paths.existing_file(path, CohortError, "sequence")
    check_header(path)
    return path


def _frame(path: Path, frame: int, name: str) -> Any:
    """A copy of one frame of a sequence file as a volume of its own."""
    import slicer

    path, scene = _checked_sequence(path), slicer.mrmlScene
    storage = scene.AddNewNodeByClass("vtkMRMLVolumeSequenceStorageNode")
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", name)
    try:
        storage.SetFileName(str(path))
        if not storage.ReadData(sequence):
            raise CohortError(f"{path} can't be read as a sequence of volumes: it is damaged or of an unknown format.")
        return copy_frame(sequence, frame, name)
    finally:
        scene.RemoveNode(sequence)
        scene.RemoveNode(storage)


def copy_frame(sequence: Any, frame: int, name: str) -> Any:
    """Adds a copy of a sequence's ``frame`` (from 0) to the scene.

    Raises:
        CohortError: there is no such frame, or it is not a volume.
    """
    import slicer

    node = sequence.GetNthDataNode(frame)
    if node is None or not node.IsA("vtkMRMLScalarVolumeNode"):
        raise CohortError(f"The sequence {sequence.GetName()} has no volume as frame {frame}.")
    volume = slicer.mrmlScene.AddNewNodeByClass(node.GetClassName(), name)
    volume.CopyContent(node)
    volume.CreateDefaultDisplayNodes()
    return volume
