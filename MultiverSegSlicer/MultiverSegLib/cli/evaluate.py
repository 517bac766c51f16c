"""``multiverseg evaluate quick``: what a model reaches of the goals, on data that no model here was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import evaluate_paper, evaluate_volumes, evaluate_weak

app = typer.Typer(
    no_args_is_help=True, help="Measure a model.\n\nExample: [bold]multiverseg evaluate quick --model compact --corpus corpus[/bold]"
)


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="evaluate")


@app.callback()
def _group() -> None:
    pass


evaluate_paper.register(app)
evaluate_volumes.register(app)
evaluate_weak.register(app)


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
    config: Annotated[
        Path | None, typer.Option(help="A training's YAML file: its validation subjects, for any model; and absence, where it has slices.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only this dataset; repeatable.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder with the slices of volumes, as of the training.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Images, spread over the tasks.")] = 80,
    size: Annotated[int, typer.Option(min=32, help="Pixels of the grid's side.")] = 128,
) -> None:
    """Measure a model as the training does, to compare trainings: Dice after some clicks, without context and with five examples.

    By default on the validation subjects of its own datasets; evaluation datasets play no part. Where a dataset knows on which slices its
    structures are not: how many of those are called so, and how many others (absent_said, present_missed; by empty masks: _empty).

    Example: [bold]multiverseg evaluate validation --model run/ema.pt --corpus corpus --unseen[/bold]
    """
    from ..core.errors import MultiverSegError
    from ..core.models.loading import load_network
    from ..training.config import load_config
    from ..training.evaluation_tasks import configured_tasks, validation_tasks
    from ..training.validation import validate, validate_absence

    if corpus is None:
        raise MultiverSegError("No corpus: give --corpus FOLDER or set MULTIVERSEG_CORPUS.")
    tasks = validation_tasks(corpus, model, unseen) if config is None else configured_tasks(corpus, load_config(config), cache)
    tasks = [t for t in tasks if not only or t.dataset.name in only]
    if not tasks:
        raise MultiverSegError(f"None of the validation subjects is in {', '.join(only or [])}.")
    network, picked = load_network(model), [t for t in tasks if t.dataset.picked]
    row = validate(network, picked, count, size) if picked else {}
    row |= validate_absence(network, tasks, 2 * count, size)
    typer.echo("  ".join(f"{name} {value:.3f}" for name, value in row.items()))
    typer.echo(f"{count} images of {len(tasks)} tasks of {len({t.dataset.name for t in tasks})} datasets.")
