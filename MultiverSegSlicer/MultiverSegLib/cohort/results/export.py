"""Accepted results in other programs' formats (see ``formats``). Any thread: no node is touched; give it a cohort of its own.

    done = export_cohort(cohort, "results", ["nifti", "dicom-seg"], progress=show, cancel=pressed)
    print(done)                  # 23 files of 12 cases in results; 1 case left out in part or whole: p03 (dicom-seg: Case p03 did not come from ...)

What a format needs beyond Slicer's packages says ``requirements.requirements``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...core.errors import CohortError, MultiverSegError
from ...core.notices import notice
from ...mrml import paths
from ...mrml.plain_volume import PlainVolume
from ..store.cohort import Cohort
from ..store.records import ACCEPTED
from .case_result import CaseResult
from .formats import FORMATS

#: How many cases the one line about an export names.
_NAMED = 3


@dataclass
class Exported:
    """What an export did.

    Attributes:
        folder: where the files are.
        files: those that were written, each whole.
        cases: ids of the cases that have at least one file.
        left_out: case -> why one or all of its files are missing.
        remarks: case -> what else one should know of its files (a structure that nobody accepted yet, say).
        not_accepted: ids of the cases that were not asked for by name and have no accepted result.
        cancelled: the user stopped it.
    """

    folder: Path
    files: list[Path] = field(default_factory=list)
    cases: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    not_accepted: list[str] = field(default_factory=list)
    cancelled: bool = False

    def __str__(self) -> str:
        """One line: how much was written, what was left out and why."""
        parts = [f"{_count(self.files, 'file')} of {_count(self.cases, 'case')} in {self.folder}"]
        if self.left_out:
            named = [f"{case} ({reason.rstrip('.')})" for case, reason in list(self.left_out.items())[:_NAMED]]
            parts.append(f"{_count(self.left_out, 'case')} left out in part or whole: {_listed(named, len(self.left_out))}")
        if self.not_accepted:
            parts.append(f"{_count(self.not_accepted, 'case')} not accepted: {_listed(self.not_accepted[:_NAMED], len(self.not_accepted))}")
        return f"{'Cancelled. ' if self.cancelled else ''}{'; '.join(parts)}."


def export_case(cohort: Cohort, case_id: str, folder: Path | str, format: str = "nifti") -> list[Path]:
    """Writes a case's result into ``folder`` and returns the files.

    Args:
        format: the name of one of ``formats.FORMATS``.

    Raises:
        CohortError: unknown format, no result, or the format can't hold or write it (not from DICOM, a package is missing, no rights ...).
    """
    write = FORMATS.get(format).run
    return write(CaseResult(cohort, case_id), paths.absolute(folder, CohortError))


def export_cohort(
    cohort: Cohort,
    folder: Path | str,
    formats: Iterable[str],
    progress: Callable[[str, int, int], None] = lambda case, done, total: None,
    cases: Iterable[str] | None = None,
    cancel: Callable[[], bool] = lambda: False,
    volumes: Mapping[str, PlainVolume] | None = None,
) -> Exported:
    """Writes accepted cases in each of the formats; see ``export_case``. A case that can't be written doesn't stop the others.

    What is left out is told in the log, too.

    Args:
        progress: called before each case with its id, the number of cases done and that of all.
        cases: ids of the cases; None: all that are accepted.
        cancel: asked before each file; once it says yes, the rest is left out. Files that are there by then are whole and stay.
        volumes: the voxels of cases that are in the scene (``scene_volumes``), for a thread; None: this is the main thread, they are taken
            from there.

    Raises:
        CohortError: nothing is accepted yet, an unknown case or format, or no file could be written at all (with the first reason).
    """
    formats = [FORMATS.get(format).name for format in formats]
    chosen = to_export(cohort, cases)
    done = Exported(paths.absolute(folder, CohortError))
    if cases is None:
        done.not_accepted = [case.id for case in cohort.cases if case.status != ACCEPTED]
    for number, case_id in enumerate(chosen):
        done.cancelled = done.cancelled or cancel()
        if done.cancelled:
            done.left_out[case_id] = "cancelled before it"
            continue
        progress(case_id, number, len(chosen))
        _export_one(cohort, case_id, formats, done, cancel, volumes)
    for case_id, reason in done.left_out.items():
        notice(f"{case_id} was left out: {reason}")
    for case_id, remark in done.remarks.items():
        notice(f"Exported {case_id}: {remark}")
    if not done.files and not done.cancelled:
        more = f" (and {len(done.left_out) - 1} more cases)" if len(done.left_out) > 1 else ""
        case_id, reason = next(iter(done.left_out.items()))
        raise CohortError(f"Nothing was exported: {case_id}, {reason}{more}")
    return done


def to_export(cohort: Cohort, cases: Iterable[str] | None = None) -> list[str]:
    """The ids of the given cases; None: of all that are accepted.

    Raises:
        CohortError: nothing is accepted yet, or an unknown case.
    """
    chosen = [cohort.case(c).id for c in cases] if cases is not None else [case.id for case in cohort.cases if case.status == ACCEPTED]
    if not chosen:
        raise CohortError("No case is accepted yet: there is nothing to export.")
    return chosen


def _export_one(
    cohort: Cohort,
    case_id: str,
    formats: list[str],
    done: Exported,
    cancel: Callable[[], bool],
    volumes: Mapping[str, PlainVolume] | None,
) -> None:
    """Writes one case in all formats and notes in ``done`` what came of it; its files are read once."""
    reasons: list[str] = []
    try:
        result = CaseResult(cohort, case_id, volumes)
    except MultiverSegError as error:
        done.left_out[case_id] = str(error)
        return
    for name in formats:
        done.cancelled = done.cancelled or cancel()
        if done.cancelled:
            reasons.append(f"{name}: cancelled before it")
            continue
        try:
            files = FORMATS.get(name).run(result, done.folder)
        except MultiverSegError as error:
            reasons.append(f"{name}: {error}")
            continue
        done.files += files
        if files and case_id not in done.cases:
            done.cases.append(case_id)
    if reasons:
        done.left_out[case_id] = "; ".join(reasons)
    open_structures = [s.name for s in cohort.structures if cohort.case(case_id).work(s.name).status != ACCEPTED]
    remarks = [f"not accepted yet: {', '.join(open_structures)}"] if open_structures else []
    if result.absent:
        remarks.append(f"accepted as absent, so empty or left out: {', '.join(s.name for s in result.absent)}")
    if case_id in done.cases and remarks:
        done.remarks[case_id] = "; ".join(remarks) + "."


def _count(things: Iterable[object], name: str) -> str:
    number = len(list(things))
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def _listed(named: list[str], total: int) -> str:
    return ", ".join(named) + (f" and {total - len(named)} more" if total > len(named) else "")
