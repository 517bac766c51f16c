"""A case read before it is opened: its voxels and its proposals as arrays, so that a thread can do it and opening costs no reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...core.notices import noticed
from ...mrml.plain_volume import PlainVolume
from ..store.cohort import Cohort
from ..store.mask_delta import pack_bits
from ..store.records import Source
from .case_nodes import read_source


@dataclass(frozen=True, eq=False)
class CroppedMask:
    """A mask [k, j, i] as the box that holds it."""

    shape: tuple[int, ...]
    box: tuple[slice, ...]
    inside: np.ndarray

    @staticmethod
    def of(mask: np.ndarray) -> CroppedMask:
        mask = np.asarray(mask)
        box = []
        for axis in range(mask.ndim):
            hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
            box.append(slice(int(hit[0]), int(hit[-1]) + 1) if hit.size else slice(0, 0))
        return CroppedMask(mask.shape, tuple(box), np.asarray(mask[tuple(box)] != 0, np.uint8))

    @property
    def first(self) -> tuple[int, ...]:
        """[k, j, i] of the box's first voxel."""
        return tuple(part.start for part in self.box)

    def as_change(self) -> dict[str, Any]:
        """What turns an empty mask into this one (see ``mask_delta.change_between``)."""
        return {"shape": list(self.shape), "box": [[part.start, part.stop] for part in self.box], "bits": pack_bits(self.inside)}

    def whole(self) -> np.ndarray:
        """uint8 [k, j, i]."""
        mask = np.zeros(self.shape, np.uint8)
        mask[self.box] = self.inside
        return mask


@dataclass(frozen=True, eq=False)
class PrefetchedCase:
    """What was read: ``volume`` (None: it is in the scene anyway) with its display window and level, by structure the number of the
    proposal's event and its voxels, and what was noticed (``told``)."""

    case_id: str
    volume: PlainVolume | None = None
    window_level: tuple[float, float] = (1.0, 0.5)
    proposals: Mapping[str, tuple[int, CroppedMask]] = field(default_factory=dict)
    told: tuple[str, ...] = ()

    def with_proposal(self, structure: str, seq: int, cut: CroppedMask) -> PrefetchedCase:
        return replace(self, proposals={**self.proposals, structure: (seq, cut)})


@dataclass(frozen=True)
class PrefetchTask:
    """What is to be read: plain data, made on the main thread; ``read`` works in any."""

    case_id: str
    source: Source
    proposals: Mapping[str, tuple[int, str]]

    @staticmethod
    def of(cohort: Cohort, case_id: str) -> PrefetchTask:
        case = cohort.case(case_id)
        source = replace(case.volume, path=str(cohort.resolve(case.volume.path)))
        made = {name: work.proposal for name, work in case.works.items() if work.proposal.get("file")}
        return PrefetchTask(case_id, source, {name: (p["seq"], str(cohort.resolve(p["file"]))) for name, p in made.items()})

    def read(self) -> PrefetchedCase:
        """Reads it all.

        Raises:
            VolumeError, CohortError: the volume is missing or unusable. A proposal that can't be read is left out.
        """
        with noticed() as told:
            volume = None if self.source.kind == "scene" else read_source(self.source, Path(self.source.path), self.case_id)
        found = {}
        for structure, (seq, path) in self.proposals.items():
            mask = _mask(path)
            if mask is not None and (volume is None or mask.shape == volume.array.shape):
                found[structure] = seq, CroppedMask.of(mask)
        return PrefetchedCase(self.case_id, volume, volume.window_level() if volume is not None else (1.0, 0.5), found, tuple(told))


def _mask(path: str) -> Any:
    import SimpleITK as sitk

    try:
        return sitk.GetArrayFromImage(sitk.ReadImage(path))
    except RuntimeError:
        return None
