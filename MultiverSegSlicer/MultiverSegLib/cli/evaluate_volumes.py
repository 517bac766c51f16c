"""``multiverseg evaluate volumes`` and ``absence``: what a model makes of whole volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    app.command("volumes")(volumes)
    app.command("absence")(absence)


def volumes(
    cohort: Annotated[Path, typer.Argument(help="Folder with images and labels, or a volumes/*.npz of a corpus.")],
    model: Annotated[str, typer.Option("--model", "-m", help="Name of a model, or path of a checkpoint.")] = "compact",
    axis: Annotated[str, typer.Option(help="axial, coronal, sagittal, or auto: the coarsest.")] = "auto",
    examples: Annotated[int, typer.Option(min=0, help="Other cases that give the context.")] = 5,
    slices: Annotated[int, typer.Option(min=1, help="Slices that each of them gives.")] = 1,
    cases: Annotated[int | None, typer.Option(min=2, help="Only the first cases.")] = None,
    method: Annotated[list[str] | None, typer.Option(help="Only this method; repeatable.")] = None,
    box: Annotated[bool | None, typer.Option("--box/--no-box", help="Only with a box, or only without; default: both.")] = None,
    tolerance: Annotated[float | None, typer.Option(help="Of the surface Dice, in mm; default: one voxel.")] = None,
    shift: Annotated[bool, typer.Option("--shift/--no-shift", help="Move each volume in its crop at random.")] = True,
    minmax: Annotated[bool, typer.Option("--minmax", help="Show slices from minimum to maximum, not in the suggested window.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of boxes, shifts and contexts.")] = 0,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for volumes.json and volumes.md.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda.")] = "auto",
) -> None:
    """Segment whole volumes with a box and five clicks, by the rules of the CVPR 2025 challenge for interactive 3D segmentation.

    Prints Dice after each step, the area under it (of 4) and surface Dice, for the model and for what needs no model, with 95 % intervals.

    Example: [bold]multiverseg evaluate volumes cohort --axis coronal --cases 12 -o evaluation[/bold]
    """
    from ..core.errors import MultiverSegError
    from ..core.imaging import ImageSettings
    from ..core.predictors import open_predictor
    from .volume_measures import METHODS, VolumeOptions, measure_volumes, volumes_table
    from .volume_methods import read_cases

    if unknown := [m for m in method or () if m not in METHODS]:
        raise MultiverSegError(f"There is no method {unknown[0]!r}: use {', '.join(METHODS)}.")
    boxes = (True, False) if box is None else (box,)
    settings = ImageSettings() if minmax else None
    options = VolumeOptions(
        axis, examples, slices, shift, tolerance, methods=tuple(method or METHODS), boxes=boxes, settings=settings, seed=seed
    )
    rows = measure_volumes(open_predictor(model, device), read_cases(cohort, cases), options, lambda text: typer.echo(text, err=True))
    table = volumes_table(rows, seed)
    typer.echo(table)
    _write(
        output, "volumes", {"model": model, "cohort": cohort.name, "options": _plain(options), "rows": [r.to_json() for r in rows]}, table
    )


def absence(
    cohort: Annotated[Path, typer.Argument(help="Folder with images and labels, or a volumes/*.npz of a corpus.")],
    model: Annotated[str, typer.Option("--model", "-m", help="Name of a model, or path of a checkpoint.")] = "compact",
    axis: Annotated[str, typer.Option(help="axial, coronal, sagittal, or auto: the coarsest.")] = "auto",
    examples: Annotated[int, typer.Option(min=1, help="Other cases that give the context.")] = 4,
    slices: Annotated[int, typer.Option(min=1, help="Slices that each of them gives.")] = 1,
    cases: Annotated[int | None, typer.Option(min=2, help="Only the first cases.")] = None,
    shift: Annotated[bool, typer.Option("--shift/--no-shift", help="Move each volume in its crop at random.")] = True,
    minmax: Annotated[bool, typer.Option("--minmax", help="Show slices from minimum to maximum, not in the suggested window.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of shifts and contexts.")] = 0,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for absence.json and absence.md.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda.")] = "auto",
) -> None:
    """Count on which slices a model says that the structure is not there, from examples alone.

    Slices count from 2 mm and one slice beyond a structure's end, and from as far inside; those between are told apart.

    Example: [bold]multiverseg evaluate absence cohort --axis coronal --cases 12[/bold]
    """
    from ..core.imaging import ImageSettings
    from ..core.predictors import open_predictor
    from .volume_measures import VolumeOptions, absence_table, measure_absence
    from .volume_methods import read_cases

    options = VolumeOptions(axis, examples, slices, shift, settings=ImageSettings() if minmax else None, seed=seed)
    said = measure_absence(open_predictor(model, device), read_cases(cohort, cases), options, lambda text: typer.echo(text, err=True))
    table = absence_table(said, seed)
    typer.echo(table)
    rows = [{"case": s.case, "zone": s.zone, "shown": s.shown, "called_absent": s.called_absent} for s in said]
    _write(output, "absence", {"model": model, "cohort": cohort.name, "options": _plain(options), "rows": rows}, table)


def _plain(options: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(options)


def _write(folder: Path | None, name: str, data: dict[str, Any], table: str) -> None:
    import json

    from ..core.files import write_text

    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / f"{name}.json", json.dumps(data, indent=1))
        write_text(folder / f"{name}.md", table)
