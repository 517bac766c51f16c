"""What comes out of a cohort: the commands ``export``, ``report`` and ``replay``, and the table of ``status``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import bar, say, step, table, tell, written
from .options import Device, one_of

if TYPE_CHECKING:
    from ..cohort.store.cohort import Cohort
    from ..cohort.store.records import Case

Folder = Annotated[Path, typer.Argument(help="The cohort's folder (or its cohort.json).")]


def known_formats(names: list[str]) -> list[str]:
    from ..cohort.results.formats import FORMATS

    return [one_of(name, FORMATS.names, "--format") for name in names]


def register(commands: typer.Typer) -> None:
    for command in (export, report, replay):
        commands.command()(command)


def export(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")],
    format_: Annotated[
        list[str], typer.Option("--format", "-f", help="nifti, seg.nrrd, dicom-seg, stl or obj; repeatable.", callback=known_formats)
    ] = ("nifti",),
    case: Annotated[list[str] | None, typer.Option("--case", help="Only these cases; repeatable (default: all accepted).")] = None,
) -> None:
    """Write the results for other programs.

    Example: multiverseg cohort export study -o results -f nifti -f dicom-seg
    """
    from ..cohort.results.export import export_cohort
    from ..cohort.store.cohort import Cohort
    from ..mrml.headless import start

    start()
    cohort = Cohort.open(folder, read_only=True)
    begun: list[str] = []
    with bar("Exporting") as show:

        def shown(case_id: str, done: int, total: int) -> None:
            exporting(begun, case_id)
            show(done, total, case_id)

        done = export_cohort(cohort, out, format_, shown, cases=case or None)
    for path in done.files:
        say(path)
    tell(done)


def exporting(begun: list[str], case: str) -> None:
    """The export begins a case: the one before it is done."""
    for done in begun:
        written.add(f"the files of {done}")
    begun[:] = [case]
    written.going_on(f"the files of {case} may be there in some of the formats, each whole; of other cases nothing was written")


def report(
    folder: Folder,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder (default: the cohort's).")] = None,
) -> None:
    """Write report.html, report.csv and methods.txt.

    Example: multiverseg cohort report study
    """
    from ..cohort.results.report import write_cohort_report
    from ..cohort.store.cohort import Cohort
    from ..mrml.headless import start

    start()
    cohort = Cohort.open(folder, read_only=True)
    with step("Drawing"):
        for path in write_cohort_report(cohort, out or cohort.folder):
            written.add(path)
            say(path)


def replay(
    folder: Folder,
    case: Annotated[list[str] | None, typer.Argument(help="Cases (default: all that were worked on).")] = None,
    device: Device = "auto",
) -> None:
    """Do the work again from the journal, and compare every step to the bit. Exit code 1 if anything differs.

    Results are the same to the bit only on the same kind of device.

    Example: multiverseg cohort replay study p03
    """
    from ..cohort.store.cohort import Cohort
    from ..mrml.headless import start
    from .cohort_work import replay_cases

    start()
    cohort = Cohort.open(folder, read_only=True)
    different = 0
    for result in replay_cases(cohort, case or [], device):
        bad = [f"event {s.seq} ({s.event} {s.structure}): {s.difference}" for s in result.steps if s.difference]
        different += bool(bad)
        say(f"{result.case}: {len(result.steps)} steps, {'identical' if not bad else '; '.join(bad)}")
    if different:
        raise typer.Exit(1)


COLUMNS = ("case", "status", "structure", "clicks", "seconds", "confidence", "agreement", "approved", "note")
#: What a number in the table is, for who sees it first.
AGREEMENT = "agreement: Dice of the first prediction with what was accepted from it (1: accepted as it was); not an accuracy"


def print_table(cohort: Cohort) -> None:
    """The cases; at a terminal columns without any entry are left out."""
    cells = rows(cohort)
    table(COLUMNS, cells, keep=("case", "status"), numbers=COLUMNS[3:7])
    if any(w.first_vs_accepted_dice is not None for case in cohort.cases for w in case.works.values()):
        typer.echo(AGREEMENT, err=True)


def rows(cohort: Cohort) -> list[list[str]]:
    """The table's cells: one row per case and structure."""
    found = []
    for case in cohort.cases:
        for structure in cohort.structures:
            work = case.work(structure.name)
            confidence = work.confidence if work.confidence is not None else work.proposal.get("confidence")
            state = "proposed" if case.status == "todo" and work.proposal else case.status
            cells = [
                case.id,
                state,
                structure.name,
                str(work.clicks),
                f"{case.active_seconds:.0f}",
                _number(confidence),
                _number(work.first_vs_accepted_dice),
            ]
            found.append([*cells, approval(case), case.remark(structure.name)])
    return found


def approval(case: Case) -> str:
    """Who approved the case, or "yes" where names are not recorded; empty: nobody."""
    return (case.approved_by or "yes") if case.approved else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
