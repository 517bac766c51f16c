"""Examples from outside of the work: existing segmentations in one step (every case's max slice), and weak ones from prompts. Main thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...core.context.example import Example
from ...core.errors import MultiverSegError, PromptError, SegmentationError
from ...core.grid import GRID_SIZE
from ...core.imaging import ImageSettings
from ...core.prompts import Prompts
from ...mrml import segments
from ...mrml.axes import array_axis, slice_of_prompts, voxel_axis
from ...mrml.masks import plain_mask
from ...mrml.plain_segments import reads_plain
from ...mrml.plain_volume import PlainVolume
from ...mrml.slice_plane import SlicePlane
from ...mrml.volumes import dimensions_of, ijk_to_ras
from ..store.cohort import Cohort
from ..store.cohort_contexts import Contexts
from ..store.noticing import noting
from ..store.records import ACCEPTED, Case, Structure
from .case_nodes import load_source, plain_volume, reference_mask


@dataclass
class ImportedLabels:
    """What became an example, and why other cases did not (case id -> reason)."""

    cases: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def labels_to_context(
    cohort: Cohort,
    structure: str = "",
    cases: Iterable[str] | None = None,
    contexts: Contexts | None = None,
    progress: Callable[[str], None] = lambda case: None,
) -> ImportedLabels:
    """Adds the max slice of each case's accepted result or, without one, of its existing label file to the structure's context.

    Args:
        cases: ids (None: every case that has either).

    Raises:
        CohortError: read-only, an unknown case, or none of the cases has a segmentation.
    """
    cohort.check_writable()
    record, contexts = cohort.structure(structure), contexts or Contexts(cohort)
    chosen = [cohort.case(c) for c in cases] if cases is not None else [c for c in cohort.cases if _has_segmentation(cohort, c, record)]
    taken = ImportedLabels()
    for case in chosen:
        progress(case.id)
        try:
            with noting(cohort, case.id):
                example = example_from_files(cohort, case, record)
        except MultiverSegError as error:
            taken.left_out[case.id] = str(error)
            continue
        take_example(cohort, contexts, record.name, case.id, example)
        taken.cases.append(case.id)
    if not taken.cases:
        reasons = list(taken.left_out.values()) or [f"no case has an existing segmentation of {record.name}"]
        more = f" ({len(reasons) - 1} more cases were left out.)" if len(reasons) > 1 else ""
        raise SegmentationError(f"No example was made: {reasons[0]}{more}")
    return taken


def example_from_files(cohort: Cohort, case: Case, structure: Structure, volumes: Mapping[str, PlainVolume] | None = None) -> Example:
    """The example that a case's accepted result or, without one, its existing label file gives. Any thread, but for .vtm files.

    Args:
        volumes: see ``case_nodes.plain_volume``.

    Raises:
        SegmentationError: the case has neither, or it is empty, damaged, or of another volume.
        VolumeError, CohortError: the volume can't be read.
    """
    volume = plain_volume(cohort, case, volumes)
    if case.work(structure.name).status == ACCEPTED:
        mask = plain_mask(volume, cohort.segmentation_path(case.id), structure=structure.name)
    else:
        entry = next((entry for entry in case.labels if entry.structure == structure.name), None)
        if entry is None:
            raise SegmentationError(f"Case {case.id} has no existing segmentation of {structure.name}.")
        if not reads_plain(entry.path):
            return _example_by_node(cohort, case, structure)
        mask = plain_mask(volume, cohort.resolve(entry.path), entry.value, structure.name)
    return example_of_mask(volume, mask, structure, case.id)


def _example_by_node(cohort: Cohort, case: Case, structure: Structure) -> Example:
    """Of a label file that only MRML reads. Main thread."""
    volume, loaded = load_source(cohort, case)
    try:
        mask = reference_mask(cohort, case, structure.name, volume)
        if mask is None:
            raise SegmentationError(f"Case {case.id} has no existing segmentation of {structure.name}.")
        return example_of_mask(volume, mask, structure, case.id)
    finally:
        if loaded:
            segments.remove_node(volume)


def take_example(cohort: Cohort, contexts: Contexts, structure: str, case_id: str, example: Example) -> None:
    """The example of an existing segmentation joins the context, instead of an older one of the case. Main thread."""
    contexts.replace_case(structure, example)
    cohort.record("example added", case=case_id, structure=structure, example=example.id, origin="segmentation")


def prompts_to_context(cohort: Cohort, case_id: str, prompts: Prompts, structure: str = "", contexts: Contexts | None = None) -> Any:
    """A weak example: a slice with points, boxes or scribbles instead of a mask (WS-ICL), for models whose context has prompt channels.

    The slice along the structure's axis that the prompts mean is taken. Gives the example.

    Raises:
        CohortError: read-only, or no such case or structure.
        PromptError: no prompt lies in the volume.
    """
    cohort.check_writable()
    record, case = cohort.structure(structure), cohort.case(case_id)
    settings = ImageSettings.from_json(dict(record.image)) if record.image else ImageSettings()
    volume, loaded = load_source(cohort, case)
    try:
        plane = plane_of_prompts(volume, voxel_axis(volume, record.axis), settings, prompts)
        image, channels = plane.sample(volume, settings), plane.rasterize(prompts)
    finally:
        if loaded:
            segments.remove_node(volume)
    example = Example(
        image, None, channels, case=case_id, structure=record.name, axis=plane.axis or "", grid_to_ras=plane.grid_to_ras, settings=settings
    )
    (contexts or Contexts(cohort)).replace_case(record.name, example)
    cohort.record("example added", case=case_id, structure=record.name, example=example.id, origin="prompts")
    return example


def plane_of_prompts(volume: Any, axis: str, settings: ImageSettings, prompts: Prompts) -> SlicePlane:
    """The slice that the prompts mean (see ``slice_of_prompts``).

    Raises:
        PromptError: no prompts, or none of them lies in the volume.
    """
    index = slice_of_prompts(prompts, ijk_to_ras(volume), dimensions_of(volume), axis)
    if index is None:
        raise PromptError("There are no prompts: give points, boxes or scribbles.")
    plane = SlicePlane.from_volume(volume, axis, index, settings)
    if not plane.rasterize(prompts).any():
        raise PromptError(f"None of the prompts lies in the volume {volume.GetName()}: check that they were made on it.")
    return plane


def _has_segmentation(cohort: Cohort, case: Case, structure: Structure) -> bool:
    work = case.work(structure.name)
    return (work.status == ACCEPTED and not work.absent) or any(entry.structure == structure.name for entry in case.labels)


def example_of_mask(volume: Any, mask: np.ndarray, structure: Structure, case: str, model: str = "") -> Example:
    """The example of a mask [k, j, i] on the volume's grid (node or ``PlainVolume``): its max slice along the structure's axis.

    Raises:
        SegmentationError: the mask is empty, or too small to be seen on the grid.
    """
    settings = ImageSettings.from_json(dict(structure.image)) if structure.image else ImageSettings()
    axis = voxel_axis(volume, structure.axis)
    areas = np.count_nonzero(np.moveaxis(mask, array_axis(axis), 0), axis=(1, 2))
    if not areas.any():
        raise SegmentationError(f"The segmentation of {structure.name} in {case} is empty.")
    largest = np.flatnonzero(areas == areas.max())
    plane = SlicePlane.from_volume(volume, axis, int(largest[len(largest) // 2]), settings).at(GRID_SIZE)
    sheet = plane.sheet_of(volume)
    mean, coverage = sheet.to_grid(sheet.take(np.asarray(mask != 0, np.uint8)))
    drawn = mean * coverage >= 0.5
    if not drawn.any():
        raise SegmentationError(
            f"{structure.name} is too small in {case} to be seen on the network's grid: choose a smaller field of view."
        )
    return Example(
        plane.sample(volume, settings),
        drawn.astype(np.uint8),
        case=case,
        structure=structure.name,
        axis=plane.axis or "",
        grid_to_ras=plane.grid_to_ras,
        settings=settings,
        model=model,
    )
