"""Accepted results in other programs' formats (see ``formats``). Main thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ...core.errors import CohortError, MultiverSegError
from ...mrml import paths
from ..store.cohort import Cohort
from ..store.records import ACCEPTED
from .case_result import CaseResult
from .formats import FORMATS


def export_case(cohort: Cohort, case_id: str, folder: Path | str, format: str = "nifti") -> list[Path]:
    """Writes a case's result into ``folder`` and returns the files.

    Args:
        format: the name of one of ``formats.FORMATS``.

    Raises:
        CohortError: unknown format, no result, or the format can't hold or write it (not from DICOM, a package is missing, no rights ...).
    """
    write = FORMATS.get(format).run
    result = CaseResult(cohort, case_id)
    try:
        return write(result, paths.absolute(folder, CohortError))
    finally:
        result.close()


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
    formats = [FORMATS.get(format) for format in formats]
    chosen = [cohort.case(c).id for c in cases] if cases is not None else [case.id for case in cohort.cases if case.status == ACCEPTED]
    if not chosen:
        raise CohortError("No case is accepted yet: there is nothing to export.")
    done = Exported()
    for case_id in chosen:
        progress(case_id)
        reasons = []
        for format in formats:
            try:
                done.files += export_case(cohort, case_id, folder, format.name)
            except MultiverSegError as error:
                reasons.append(f"{format.name}: {error}")
        if reasons:
            done.left_out[case_id] = "; ".join(reasons)
    if not done.files:
        more = f" (and {len(done.left_out) - 1} more cases)" if len(done.left_out) > 1 else ""
        case_id, reason = next(iter(done.left_out.items()))
        raise CohortError(f"Nothing was exported: {case_id}, {reason}{more}")
    return done
