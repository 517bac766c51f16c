"""``multiverseg cohort reopen``, ``relink`` and ``add``: what a cohort needs once it was begun."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core.counting import counted
from .cohort_results import Folder
from .console import say, step, warn, written
from .options import Wait, label_value


def register(commands: typer.Typer) -> None:
    for command in (reopen, relink, add):
        commands.command()(command)


def reopen(
    folder: Folder,
    case: Annotated[str, typer.Argument(help="The case's id, as in 'status'.")],
    structure: Annotated[
        list[str] | None, typer.Option("--structure", "-s", help="Only this structure; may be given several times (default: all).")
    ] = None,
    wait: Wait = 0,
) -> None:
    """Take the acceptance of a case back: it is in progress again, and no example any more. The result stays.

    Example: multiverseg cohort reopen study p03
    """
    from ..cohort.store.cohort import Cohort
    from ..cohort.store.cohort_contexts import Contexts

    with Cohort.open(folder, wait=wait) as cohort:
        Contexts(cohort).reopen(case, structure or ())
        written.add(f"the state of {case}")
        say(f"{case} is {cohort.case(case).status}")


def relink(
    folder: Folder,
    source: Annotated[Path | None, typer.Option("--from", help="Folder that the scans were moved to (any nesting).")] = None,
    case: Annotated[
        list[str] | None, typer.Option("--case", help="Only this case; repeatable (default: all whose scans are not there).")
    ] = None,
    volume: Annotated[Path | None, typer.Option(help="The volume of one --case: a file, or the folder of its DICOM series.")] = None,
    wait: Wait = 0,
) -> None:
    """Point a cohort at its scans where they were moved to. Nothing is copied; other work in the cohort stays as it is.

    Example: multiverseg cohort relink study --from scans
    """
    from ..cohort.sources import keeping
    from ..cohort.store.cohort import Cohort

    if (source is None) == (volume is None):
        raise typer.BadParameter("give either --from FOLDER, or --case ID with --volume PATH")
    if volume is not None and len(case or ()) != 1:
        raise typer.BadParameter("--volume is that of one case: give it with --case")
    with Cohort.open(folder, wait=wait) as cohort:
        if volume is not None:
            say(f"{case[0]}: {keeping.relink_case(cohort, case[0], volume)}")
            written.add(f"the place of {case[0]}")
            return
        with step("Looking for the scans"):
            result = keeping.relink(cohort, source, case or ())
    for case_id, path in result.found.items():
        say(f"{case_id}: {path}")
    for case_id, reason in result.left_out.items():
        warn(f"{case_id}: {reason}")
    if not result.found and not result.left_out:
        say("All scans are where they were.")
    if result.left_out:
        raise typer.Exit(1)


def add(
    folder: Folder,
    source: Annotated[Path | None, typer.Option("--from", help="Folder of volumes (NRRD, NIfTI, DICOM series; any nesting).")] = None,
    table: Annotated[Path | None, typer.Option("--csv", help="CSV with a column 'volume', as for 'init'.")] = None,
    labels: Annotated[str, typer.Option(help="Name rule of existing label files, e.g. '{case}_liver' (default: the usual names).")] = "",
    value: Annotated[str | None, typer.Option(help="Label value of the structure in them, or 'all', as for 'init'.")] = None,
    wait: Wait = 0,
) -> None:
    """Add cases to a cohort that was begun. Volumes that it has already are left out.

    Example: multiverseg cohort add study --from scans
    """
    from ..cohort.sources.files import NameRule, cases_from_folder
    from ..cohort.sources.keeping import add_cases
    from ..cohort.sources.tables import cases_from_csv
    from ..cohort.store.cohort import Cohort
    from ..cohort.store.noticing import keep
    from ..core.notices import noticed

    if (source is None) == (table is None):
        raise typer.BadParameter("give either --from FOLDER or --csv FILE")
    with Cohort.open(folder, wait=wait) as cohort:
        cohort.check_writable()
        structures = list(cohort.state.structures)
        with step("Looking for volumes"), noticed() as told:
            if source is not None:
                found = cases_from_folder(source, cohort.folder, structures, NameRule(labels), label_value(value))
            else:
                found = cases_from_csv(table, cohort.folder, structures, label_value(value))
        fresh = add_cases(cohort, found)
        keep(cohort, told)
        written.add(counted(len(fresh), "case"))
        known = len(found) - len(fresh)
        say(f"{counted(len(fresh), 'case')} added, {known} {'was' if known == 1 else 'were'} there already; {len(cohort.cases)} in all")
