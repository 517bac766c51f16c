"""``multiverseg evaluate weak``: what examples with a few points or boxes are worth, beside masks and interaction."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command("weak")(weak)


def weak(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for weak.csv, tables.md and figures.")],
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="As for `evaluate paper --method`; repeatable (default: compact).")
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option(envvar="MULTIVERSEG_CORPUS", help="Corpus with eval datasets; none: the sample cohort.")
    ] = None,
    per_dataset: Annotated[int, typer.Option(min=1, help="Tasks of each dataset, drawn by the seed.")] = 1,
    targets: Annotated[int, typer.Option(min=1, help="Images of a task that are predicted.")] = 6,
    draws: Annotated[int, typer.Option(min=1, help="Contexts drawn for each of them.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of tasks, images, contexts and prompts.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this computer, one core each.")] = 2,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Measure Dice against the number of examples and the time they take to draw: masks, points, boxes, and clicks on the image itself.

    Example: [bold]multiverseg evaluate weak --corpus corpus -o weak[/bold]
    """
    from ..cohort.batch.engines import LocalEngine
    from ..evaluation.methods import method_spec
    from ..evaluation.weak import SIZES, WeakJob, work
    from ..evaluation.weak_pages import save_weak
    from ..training.evaluation_tasks import load_tasks
    from .console import progress

    specs = [method_spec(name) for name in dict.fromkeys(model or ["compact"])]
    tasks = load_tasks(corpus, per_dataset, max(SIZES), seed)
    places = [(task, spec) for task in tasks for spec in specs]
    jobs = [WeakJob(n, task, spec, targets, draws, seed=seed, device=device) for n, (task, spec) in enumerate(places)]
    answers = list(progress(LocalEngine(workers, work).run(jobs), "Measuring", len(jobs)))
    sums = "; ".join(f"{name} {value[:16]}" for spec in specs for name, value in spec.checksums)
    facts = {"seed": seed, "tasks": [task.name for task in tasks], "targets": targets, "draws": draws}
    typer.echo(save_weak(output, [row for a in sorted(answers, key=lambda a: a.number) for row in a.rows], specs, facts))
    typer.echo(f"{len(tasks)} tasks of {len({t.dataset for t in tasks})} datasets, seed {seed}. {sums}.")
