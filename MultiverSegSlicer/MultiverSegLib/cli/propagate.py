"""``multiverseg propagate``: proposals for the remaining cases of a cohort."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import MultiverSegError
from .console import bar, say, warn, written
from .options import Device, Wait


def register(app: typer.Typer) -> None:
    app.command()(propagate)


def propagate(
    folder: Annotated[Path, typer.Argument(help="The cohort's folder (or its cohort.json).")],
    structure: Annotated[list[str] | None, typer.Option("--structure", "-s", help="Structure; repeatable (default: all).")] = None,
    volumes: Annotated[bool, typer.Option("--volumes", help="Whole volumes instead of the slice that shows the structure best.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this computer.")] = 1,
    engine: Annotated[str, typer.Option(help="'local', or 'ray' for a Ray cluster (extra 'cluster').")] = "local",
    address: Annotated[str, typer.Option(help="Address of the Ray cluster ('auto': the running one; default: this computer).")] = "",
    refresh: Annotated[bool, typer.Option("--refresh", help="Also where a proposal is recent enough.")] = False,
    device: Device = "auto",
    wait: Wait = 0,
) -> None:
    """Predict the remaining cases of a cohort without prompts. Results are proposals until somebody accepts them.

    Killed and started again it goes on with what is missing. Proposals are made anew when the context has grown. Results of one kind of device
    are the same to the bit.

    Example: multiverseg propagate study --workers 4
    """
    from ..cohort.batch.engines import LocalEngine, RayEngine
    from ..cohort.batch.jobs import propagate as run
    from ..cohort.store.cohort import Cohort

    if engine not in ("local", "ray"):
        raise typer.BadParameter(f"unknown engine {engine!r}: 'local' or 'ray'")
    runner = RayEngine(address) if engine == "ray" else LocalEngine(workers)
    with Cohort.open(folder, wait=wait) as cohort, bar("Predicting cases") as show:

        def report(case: str, done: int, total: int) -> None:
            written.add(f"the proposal of {case}")
            show(done, total, f"Predicted {case}")

        outcome = run(cohort, runner, structure or (), "volume" if volumes else "slice", refresh, device, report)
    for case, reason in outcome.failed.items():
        warn(f"{case}: {reason}")
    say(f"{len(outcome.proposed)} proposed, {len(outcome.skipped)} not due, {len(outcome.failed)} failed")
    if outcome.failed and not outcome.proposed:
        raise MultiverSegError("No case could be predicted.")
