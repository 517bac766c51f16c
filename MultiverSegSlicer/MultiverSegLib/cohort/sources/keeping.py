"""Keeping a cohort that was begun in step with its scans: cases that came later, and scans that were moved."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from ...core.errors import CohortError
from ...core.notices import noticed
from ...mrml import paths
from ..store.cohort import Cohort, relative_path
from ..store.records import Case, Labels, Source, file_safe
from .files import cases_from_folder, existing_folder


@dataclass
class Relinked:
    """Where cases' scans are now (case -> path), and why other cases' were not found."""

    found: dict[str, Path] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def add_cases(cohort: Cohort, cases: Iterable[Case]) -> list[Case]:
    """Appends the cases whose volumes the cohort hasn't got yet, with ids that are free; returns them.

    Raises:
        CohortError: read-only.
    """
    known = {_key(cohort, case) for case in cohort.cases}
    fresh: list[Case] = []
    for case in cases:
        if _key(cohort, case) not in known:
            known.add(_key(cohort, case))
            taken = [*cohort.state.cases, *(c.id for c in fresh)]
            fresh.append(replace(case, id=file_safe(case.id, taken)))
    if fresh:
        cohort.add_cases(fresh)
    return fresh


def relink(cohort: Cohort, folder: Path | str, cases: Sequence[str] = ()) -> Relinked:
    """Points cases at their scans (and label files) in another folder, where these were moved to.

    A file is known by its name and, where several have it, by the folders above; a DICOM series by its instance UID.

    Args:
        cases: ids (none: every case whose scans are not where they were).

    Raises:
        CohortError: read-only, no such folder or case.
    """
    cohort.check_writable()
    moved = _Moved(existing_folder(folder), cohort)
    result = Relinked()
    for case in [cohort.case(case_id) for case_id in cases] or [c for c in cohort.cases if _is_lost(cohort, c.volume)]:
        try:
            source = moved.source(cohort, case)
            _record(cohort, case, source, [moved.label(cohort, entry) for entry in case.labels])
            result.found[case.id] = cohort.resolve(source.path)
        except CohortError as error:
            result.left_out[case.id] = str(error)
    return result


def relink_case(cohort: Cohort, case_id: str, path: Path | str) -> Path:
    """Points one case at its volume (a file, or the folder of its DICOM series) in another place; returns it.

    Raises:
        CohortError: read-only, no such case or file, or another volume than the one that was worked on.
    """
    cohort.check_writable()
    case, path = cohort.case(case_id), Path(path).absolute()
    if case.volume.kind == "dicom" and path.is_dir():
        source = _Moved(path, cohort).source(cohort, case)
    elif path.is_file() and case.volume.kind in ("file", "sequence"):
        source = replace(case.volume, path=relative_path(path, cohort.folder))
        _check_size(cohort, case, path)
    else:
        raise CohortError(f"{path} is not what {case_id} was made of ({_described(case.volume)}): give the moved one.")
    _record(cohort, case, source, case.labels)
    return cohort.resolve(source.path)


class _Moved:
    """The files below a folder, by name, and its DICOM series.

    A file is one that the cohort knew by the path that its own shares most of the end with: ``labels/p1.nrrd`` never becomes ``images/p1.nrrd``.
    """

    def __init__(self, folder: Path, cohort: Cohort) -> None:
        self.folder = folder
        self._known = {_parts(r.path) for case in cohort.cases for r in (case.volume, *case.labels) if r.path}
        self._by_name: dict[str, list[Path]] = {}
        for path in paths.files_below(folder):
            self._by_name.setdefault(path.name, []).append(path)
        self._series: dict[str, str] | None = None

    def source(self, cohort: Cohort, case: Case) -> Source:
        volume = case.volume
        if volume.kind == "scene":
            raise CohortError("its volume is only in a scene of Slicer")
        if volume.kind == "dicom":
            series = self._found_series(cohort)
            if volume.series not in series:
                raise CohortError(f"no image series {volume.series} is below {self.folder}")
            return replace(volume, path=series[volume.series])
        path = self._named(volume.path)
        _check_size(cohort, case, path)
        return replace(volume, path=relative_path(path, cohort.folder))

    def label(self, cohort: Cohort, labels: Labels) -> Labels:
        """The label file's new place, where it was moved and is found; else as it was."""
        if cohort.resolve(labels.path).is_file():
            return labels
        try:
            return replace(labels, path=relative_path(self._named(labels.path), cohort.folder))
        except CohortError:
            return labels

    def _named(self, stored: str) -> Path:
        parts = _parts(stored)
        others = [known for known in self._known if known[-1] == parts[-1] and known != parts]
        found = []
        for path in self._by_name.get(parts[-1], []):
            ours = _shared_ending(path.parts, parts)
            if all(_shared_ending(path.parts, other) <= ours for other in others):
                found.append(path)
        if not found:
            raise CohortError(f"no file {parts[-1]} of its own is below {self.folder}")
        shared = [_shared_ending(path.parts, parts) for path in found]
        best = [path for path, number in zip(found, shared, strict=True) if number == max(shared)]
        if len(best) > 1:
            raise CohortError(f"{len(best)} files {parts[-1]} are below {self.folder}: give the right one with --case and --volume")
        return best[0]

    def _found_series(self, cohort: Cohort) -> dict[str, str]:
        if self._series is None:
            with noticed():  # of files that are no series
                cases = cases_from_folder(self.folder, cohort.folder, [])
            self._series = {case.volume.series: case.volume.path for case in cases if case.volume.kind == "dicom"}
        return self._series


def _record(cohort: Cohort, case: Case, source: Source, labels: Sequence[Labels]) -> None:
    cohort.record("relinked", case=case.id, volume=_plain(source), labels=[_plain(entry) for entry in labels])


def _plain(record: Any) -> dict[str, Any]:
    return {name: value for name, value in asdict(record).items() if value not in (None, "")}


def _is_lost(cohort: Cohort, volume: Source) -> bool:
    return volume.kind != "scene" and not cohort.resolve(volume.path).exists()


def _key(cohort: Cohort, case: Case) -> tuple:
    volume = case.volume
    place = volume.path if volume.kind == "scene" else os.path.realpath(cohort.resolve(volume.path))
    return volume.kind, place, volume.frame, volume.series


def _check_size(cohort: Cohort, case: Case, path: Path) -> None:
    """What was done in a case tells the size of its volume: another file of that name is noticed."""
    import SimpleITK as sitk

    shape = next((e["change"]["shape"] for e in cohort.journal.events(case=case.id) if (e.get("change") or {}).get("shape")), None)
    if shape is None or case.volume.kind != "file":
        return
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise CohortError(f"{path} can't be read as a volume") from error
    size = list(reader.GetSize())[:3][::-1]
    if size != list(shape):
        raise CohortError(f"{path} has {_times(size)} voxels, but the work on {case.id} was done on {_times(shape)}")


def _times(shape: Sequence[int]) -> str:
    return " x ".join(str(n) for n in reversed(list(shape)))


def _parts(stored: str) -> tuple[str, ...]:
    return PurePosixPath(stored.replace("\\", "/")).parts


def _shared_ending(one: Sequence[str], other: Sequence[str]) -> int:
    number = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        number += 1
    return number


def _described(volume: Source) -> str:
    return {"dicom": f"the DICOM series {volume.series}", "scene": "a node of a scene"}.get(volume.kind, f"a file like {volume.path}")
