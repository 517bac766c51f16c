"""``multiverseg cohort note``, ``approve`` and ``review``: the second look at a cohort, and the look through its proposals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .cohort_results import Folder
from .console import bar, say, step, warn, written
from .options import Wait

if TYPE_CHECKING:
    from ..cohort.store.cohort import Cohort

CaseId = Annotated[str, typer.Argument(help="The case's id, as in 'status'.")]


def register(commands: typer.Typer) -> None:
    for command in (note, approve, review):
        commands.command()(command)


def note(
    folder: Folder,
    case: CaseId,
    text: Annotated[str, typer.Argument(help="What is to be remembered about the case.")],
    wait: Wait = 0,
) -> None:
    """Write a note about a case; earlier ones stay. The report lists them.

    Example: multiverseg cohort note study p03 "motion in the upper slices"
    """
    from ..cohort.store.cohort import Cohort
    from ..cohort.store.reviewing import add_note

    with Cohort.open(folder, wait=wait) as cohort:
        add_note(cohort, case, text)
        written.add(f"the note about {case}")
        say(f"{case}: {len(cohort.case(case).notes)} {'note' if len(cohort.case(case).notes) == 1 else 'notes'}")


def approve(
    folder: Folder,
    case: CaseId,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take the approval back; the case stays accepted.")] = False,
    wait: Wait = 0,
) -> None:
    """Approve an accepted case as its reviewer. Any later change takes the approval back, and says so.

    Example: multiverseg cohort approve study p03
    """
    from ..cohort.store import reviewing
    from ..cohort.store.cohort import Cohort

    with Cohort.open(folder, wait=wait) as cohort:
        if withdraw:
            reviewing.withdraw_approval(cohort, case)
        else:
            reviewing.approve(cohort, case)
        written.add(f"the state of {case}")
        record = cohort.case(case)
        by = f" by {record.approved_by}" if record.approved_by else ""
        by += ", who accepted it too: no second reader has seen it" if reviewing.own_work(record) else ""
        say(f"{case} is {f'approved{by}' if record.approved else 'accepted, and not approved'}")


def review(
    folder: Folder,
    accept: Annotated[
        list[str] | None, typer.Option("--accept", help="CASE or CASE:STRUCTURE whose proposal is accepted as it is; repeatable.")
    ] = None,
    accept_above: Annotated[
        float | None, typer.Option("--accept-above", min=0, max=1, help="Accept all proposals from this confidence on.")
    ] = None,
    send_to_review: Annotated[list[str] | None, typer.Option("--send-to-review", help="Case to be looked at again; repeatable.")] = None,
    note_: Annotated[str, typer.Option("--note", help="Why, for --send-to-review.")] = "",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The page's file (default: proposals.html in the cohort's folder).")
    ] = None,
    wait: Wait = 0,
) -> None:
    """Look through all proposals on one page, worst first; the options do what was decided there.

    Without options the page is written; marks that are made on it become the command to copy.

    Example: multiverseg cohort review study --accept-above 0.9 --send-to-review p03
    """
    from ..cohort.store.cohort import Cohort
    from ..cohort.work import reviewing
    from ..mrml.headless import start

    start()
    if accept_above is None and not accept and not send_to_review:
        _write_page(folder, out)
        return
    if out is not None:
        raise typer.BadParameter("--out is the page's file: give it without the options that decide something")
    with Cohort.open(folder, wait=wait) as cohort:
        again = list(dict.fromkeys(send_to_review or ()))
        wanted = _wanted(cohort, accept or (), accept_above, again)
        reviewing.send_to_review(cohort, again, note_)
        for case in again:
            written.add(f"the state of {case}")
            say(f"{case}: to be looked at again")
        with bar("Accepting") as show:
            done = reviewing.accept_proposals(cohort, wanted, progress=lambda case, number, total: show(number, total, case))
        for case, structures in done.accepted.items():
            written.add(f"{case}, accepted")
            say(f"{case}: {', '.join(structures)} accepted")
        for case, reason in done.left_out.items():
            warn(f"{case}: {reason}")
        if accept_above is not None and not wanted:
            say(f"No proposal has a confidence of {accept_above:g} or more.")
    if done.left_out:
        raise typer.Exit(1)


def _write_page(folder: Path, out: Path | None) -> None:
    from ..cohort.results.proposals_page import NAME, write_proposals_page
    from ..cohort.store.cohort import Cohort

    with Cohort.open(folder, read_only=True) as cohort, step("Drawing"):
        path = write_proposals_page(cohort, out or cohort.folder / NAME)
    written.add(path)
    say(path)


def _wanted(cohort: Cohort, accept: list[str] | tuple[str, ...], above: float | None, again: list[str]) -> dict[str, list[str] | None]:
    """What is to be accepted, by case: its structures, or None for all that have a proposal."""
    from ..cohort.results.proposals import proposals

    wanted: dict[str, list[str] | None] = {}
    for entry in accept:
        case, _, structure = entry.partition(":")
        if case in again:
            raise typer.BadParameter(f"{case} can't be accepted and looked at again at once.", param_hint="--send-to-review")
        named = wanted.setdefault(cohort.case(case).id, [])
        if not structure:
            wanted[case] = None
        elif named is not None:
            named.append(cohort.structure(structure).name)
    for row in [] if above is None else [p for p in proposals(cohort) if p.above(above)]:
        names = wanted.get(row.case, [])
        if row.case not in again and names is not None and row.structure not in names:
            wanted[row.case] = [*names, row.structure]
    return wanted
