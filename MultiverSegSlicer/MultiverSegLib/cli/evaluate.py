"""``multiverseg evaluate quick``: what a model reaches of the goals, on data that no model here was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from . import evaluate_paper

app = typer.Typer(
    no_args_is_help=True, help="Measure a model.\n\nExample: [bold]multiverseg evaluate quick --model compact --corpus corpus[/bold]"
)


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="evaluate")


@app.callback()
def _group() -> None:
    pass


evaluate_paper.register(app)


@app.command("quick")
def quick(
    model: Annotated[str, typer.Option("--model", "-m", help="Name of a model, or path of a checkpoint.")] = "compact",
    corpus: Annotated[
        Path | None, typer.Option(envvar="MULTIVERSEG_CORPUS", help="Corpus with eval datasets; none: the sample cohort.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for results.json, table.md and steps.png.")] = None,
    per_dataset: Annotated[int, typer.Option(min=1, help="Tasks of each dataset, drawn by the seed.")] = 2,
    images: Annotated[int, typer.Option(min=1, help="Images of a cohort, after the seed image.")] = 18,
    seed: Annotated[int, typer.Option(help="Seed of tasks, images and simulated users.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Processes, one core each.")] = 2,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda.")] = "auto",
) -> None:
    """Simulate people who segment cohorts with centre clicks and centerline scribbles, with and without context.

    Prints the goals' figures beside the goals, and each dataset's, with 95 % bootstrap intervals.

    Example: [bold]multiverseg evaluate quick --model compact --corpus corpus -o evaluation[/bold]
    """
    import time

    from ..evaluation.quick import Options, evaluate, markdown, save, summarise
    from ..training.evaluation_tasks import load_tasks
    from .console import progress

    began = time.monotonic()
    options = Options(images=images, seed=seed)
    tasks = load_tasks(corpus, per_dataset, images, seed)
    results = evaluate(model, tasks, options, device, jobs, lambda items: progress(items, "Simulating", len(tasks)))
    summary = summarise(results, images, seed)
    if output is not None:
        save(output, model, options, results, summary, time.monotonic() - began)
    typer.echo(markdown(summary))
    typer.echo(f"{len(tasks)} tasks of {len(summary['datasets'])} datasets, seed {seed}, {time.monotonic() - began:.0f} s.")


@app.command("validation")
def validation(
    model: Annotated[str, typer.Option("--model", "-m", help="Name of a model, or path of a checkpoint.")] = "compact",
    corpus: Annotated[Path | None, typer.Option(envvar="MULTIVERSEG_CORPUS", help="Corpus that the model was trained on.")] = None,
    unseen: Annotated[
        bool, typer.Option("--unseen", help="The training datasets that the model was not trained on, e.g. for their licence.")
    ] = False,
    count: Annotated[int, typer.Option(min=1, help="Images, spread over the tasks.")] = 80,
    size: Annotated[int, typer.Option(min=32, help="Pixels of the grid's side.")] = 128,
) -> None:
    """Measure a model as the training does, to compare trainings: Dice after some clicks, without context and with five examples.

    By default on the validation subjects of its own datasets; evaluation datasets play no part.

    Example: [bold]multiverseg evaluate validation --model run/ema.pt --corpus corpus --unseen[/bold]
    """
    from ..core.errors import MultiverSegError
    from ..core.models.loading import load_network
    from ..training.evaluation_tasks import validation_tasks
    from ..training.validation import validate

    if corpus is None:
        raise MultiverSegError("No corpus: give --corpus FOLDER or set MULTIVERSEG_CORPUS.")
    tasks = validation_tasks(corpus, model, unseen)
    row = validate(load_network(model), tasks, count, size)
    typer.echo("  ".join(f"{name} {value:.3f}" for name, value in row.items()))
    typer.echo(f"{count} images of {len(tasks)} tasks of {len({t.dataset.name for t in tasks})} datasets.")


@app.command("volumes")
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
    from ..benchmarks.volume_measures import METHODS, VolumeOptions, measure_volumes, volumes_table
    from ..benchmarks.volumes import read_cases
    from ..core.errors import MultiverSegError
    from ..core.imaging import ImageSettings
    from ..core.predictor import Predictor

    if unknown := [m for m in method or () if m not in METHODS]:
        raise MultiverSegError(f"There is no method {unknown[0]!r}: use {', '.join(METHODS)}.")
    boxes = (True, False) if box is None else (box,)
    settings = ImageSettings() if minmax else None
    options = VolumeOptions(
        axis, examples, slices, shift, tolerance, methods=tuple(method or METHODS), boxes=boxes, settings=settings, seed=seed
    )
    rows = measure_volumes(Predictor(model, device), read_cases(cohort, cases), options, lambda text: typer.echo(text, err=True))
    table = volumes_table(rows, seed)
    typer.echo(table)
    _write(
        output, "volumes", {"model": model, "cohort": cohort.name, "options": _plain(options), "rows": [r.to_json() for r in rows]}, table
    )


@app.command("absence")
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
    from ..benchmarks.volume_measures import VolumeOptions, absence_table, measure_absence
    from ..benchmarks.volumes import read_cases
    from ..core.imaging import ImageSettings
    from ..core.predictor import Predictor

    options = VolumeOptions(axis, examples, slices, shift, settings=ImageSettings() if minmax else None, seed=seed)
    said = measure_absence(Predictor(model, device), read_cases(cohort, cases), options, lambda text: typer.echo(text, err=True))
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
