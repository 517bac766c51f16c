"""``multiverseg evaluate paper``, ``compare``, ``speed`` and ``radioactive``: the paper's experiments and yardsticks from outside, for any method."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..core.counting import counted

_ENGINE = "'local', or 'ray' for a Ray cluster (extra 'cluster')."


def register(app: typer.Typer) -> None:
    app.command("paper")(paper)
    app.command("compare")(compare)
    app.command("speed")(speed)
    app.command("radioactive")(radioactive)


def paper(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of the results; one that holds an unfinished run goes on with it.")
    ],
    full: Annotated[bool, typer.Option("--full/--quick", help="All simulations of the paper, or under half an hour on two cores.")] = False,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method", "-m", help="Model or checkpoint; NAME:alone without examples; sp+uvs:SCRIBBLEPROMPT:UNIVERSEG. Repeatable."
        ),
    ] = None,
    seed_method: Annotated[
        str, typer.Option(help="Who segments the seed image for all methods (default: the first that is corrected).")
    ] = "",
    corpus: Annotated[
        Path | None, typer.Option(envvar="MULTIVERSEG_CORPUS", help="Corpus with eval datasets; none: the sample cohort.")
    ] = None,
    per_dataset: Annotated[int | None, typer.Option(min=1, help="Tasks of each dataset (default: 1, with --full all).")] = None,
    simulations: Annotated[int | None, typer.Option(min=1, help="Simulations of each task (default: 2, with --full 200).")] = None,
    images: Annotated[int, typer.Option(min=1, help="Images of a sequence, after the seed image.")] = 18,
    experiment: Annotated[list[str] | None, typer.Option("--experiment", "-e", help="Only these experiments; repeatable.")] = None,
    user: Annotated[list[str] | None, typer.Option("--user", "-u", help="Only these simulated people; repeatable.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of tasks, images and simulated people.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this computer, one core each.")] = 2,
    engine: Annotated[str, typer.Option(help=_ENGINE)] = "local",
    address: Annotated[str, typer.Option(help="Address of the Ray cluster ('auto': the running one; default: this computer).")] = "",
    device: Annotated[str, typer.Option(help="cpu or cuda; only numbers from one kind of device are the same.")] = "cpu",
) -> None:
    """Run the experiments of the MultiverSeg paper and yardsticks from outside, and write table, figures and a report.

    Killed and started again it goes on; the number of workers changes no number.

    Example: [bold]multiverseg evaluate paper --quick --corpus corpus -o evaluation[/bold]
    """
    from dataclasses import replace

    from ..core.errors import MultiverSegError
    from ..evaluation.pages import cases_of, publish
    from ..evaluation.plan import FULL, QUICK, jobs_of, placed
    from ..evaluation.run import run
    from ..evaluation.table import read_table
    from ..training.evaluation_tasks import load_tasks

    config = replace(FULL if full else QUICK, images=images, seed=seed)
    config = replace(config, simulations=simulations or config.simulations, experiments=tuple(experiment or config.experiments))
    config = replace(config, users=tuple(user or config.users)).checked()
    runner = _engine(engine, workers, address)
    specs, reads = _methods(method or _usual_methods())
    seeder = _seeder(seed_method, specs, reads)
    tasks = load_tasks(corpus, per_dataset or (1_000_000 if full else 1), images, seed)
    jobs = jobs_of(config, tasks, specs, seeder, reads)
    if not jobs:
        raise MultiverSegError("Nothing to do: the methods can't take part in these experiments.")
    folder = output.absolute()
    with _bar(len(jobs)) as progress:
        rows = run(folder, placed(jobs, str(folder), device), tasks, config, runner, {"device": device}, progress)
    table = read_table(rows)
    typer.echo(publish(folder, table, cases_of(folder, table, jobs, tasks)))
    sums = "; ".join(f"{s.name}: {', '.join(f'{m} {c[:16]}' for m, c in s.checksums)}" for s in specs)
    typer.echo(f"{len(tasks)} tasks, seed {seed}. {sums}.\nReport: {output / 'report.html'}")


def compare(
    first: Annotated[Path, typer.Argument(help="Folder of an evaluation.")],
    second: Annotated[Path, typer.Argument(help="Folder of the evaluation it is compared with.")],
    method: Annotated[
        list[str] | None, typer.Option("--method", "-m", help="Method to compare; twice: one of each (default: those that both have).")
    ] = None,
) -> None:
    """Print what one evaluation reached more or less than another on the same images, with intervals.

    Example: [bold]multiverseg evaluate compare evaluation evaluation-new[/bold]
    """
    from ..evaluation.compare import compare as differences
    from ..evaluation.pages import markdown

    typer.echo(markdown(differences(first, second, method or ())))


def speed(
    model: Annotated[str, typer.Option("--model", "-m", help="Name of a model, or path of a checkpoint.")] = "compact",
    simulations: Annotated[int, typer.Option(min=1, help="Simulations of each worker, which walk in step.")] = 16,
    images: Annotated[int, typer.Option(min=1, help="Images of a sequence, after the seed image.")] = 18,
    workers: Annotated[int, typer.Option(min=1, help="Processes, one core each; the other way gets as many threads.")] = 2,
    user: Annotated[str, typer.Option(help="Who is simulated.")] = "clicks",
) -> None:
    """Measure simulations per second on the sample cohort: one image at a time against many together, on the same cores.

    Example: [bold]multiverseg evaluate speed --simulations 4[/bold]
    """
    from ..core.devices import compute_on_threads
    from ..core.errors import MultiverSegError
    from ..evaluation.methods import method_spec
    from ..evaluation.speed import alone, jobs_for_speed, measure, one_at_a_time, together
    from ..evaluation.users import USERS
    from ..training.evaluation_tasks import load_tasks

    if user not in USERS:
        raise MultiverSegError(f"Unknown user {user!r}: use {', '.join(USERS)}.")
    task, spec = load_tasks(None, 1, images)[0], method_spec(model)
    compute_on_threads(workers)
    whole = jobs_for_speed(task, spec, 1, simulations * workers, images, user)
    jobs = jobs_for_speed(task, spec, workers, simulations, images, user)
    ways = {
        f"one image at a time, one process of {workers} threads": measure(whole, lambda jobs: map(one_at_a_time, jobs)),
        f"one image at a time, {workers} processes": measure(jobs, _engine("local", workers, "", alone).run),
        f"together, {workers} processes": measure(jobs, _engine("local", workers, "", together).run),
    }
    best = list(ways.values())[-1].per_second
    for name, result in ways.items():
        times = f"together is {best / result.per_second:.2f} times as fast" if result.per_second != best else ""
        typer.echo(f"{name}: {result.per_second:.4g} simulations/s, {result.steps:.1f} steps a sequence {times}".rstrip())


def _engine(name: str, workers: int, address: str, job: Any = None) -> Any:
    from ..cohort.batch.engines import LocalEngine, RayEngine
    from ..evaluation.run import work

    if name not in ("local", "ray"):
        raise typer.BadParameter(f"unknown engine {name!r}: 'local' or 'ray'")
    return RayEngine(address, work=job or work) if name == "ray" else LocalEngine(workers, job or work)


def _usual_methods() -> list[str]:
    """The bundled model with and without examples, and the published ones whose weights are here."""
    from ..core.models.registry import Registry
    from .console import warn

    registry, names = Registry(), ["compact", "compact:alone"]
    published = [m.name for m in registry.list() if m.name in ("multiverseg-v1", "scribbleprompt-v1", "universeg-v1")]
    here = [name for name in published if registry.available(name)]
    if {"scribbleprompt-v1", "universeg-v1"} <= set(here):
        here.append("sp+uvs:scribbleprompt-v1:universeg-v1")
    if missing := [name for name in published if name not in here]:
        warn(f"Left out, their weights are not here: {', '.join(missing)} (multiverseg models).")
    return names + here


def _methods(names: list[str]) -> tuple[list[Any], dict[str, tuple[bool, bool]]]:
    """The methods and what each reads: (interactive, in context)."""
    from ..core.errors import MultiverSegError
    from ..evaluation.methods import method_spec, open_method

    specs = [method_spec(name) for name in dict.fromkeys(names)]
    if twice := {s.name for s in specs if sum(t.name == s.name for t in specs) > 1}:
        raise MultiverSegError(f"Two methods would both be called {sorted(twice)[0]}: rename one of the files.")
    opened = {spec.name: open_method(spec) for spec in specs}
    return specs, {name: (m.interactive, m.in_context) for name, m in opened.items()}


def _seeder(name: str, specs: list[Any], reads: dict[str, tuple[bool, bool]]) -> Any:
    from ..core.errors import MultiverSegError
    from ..evaluation.methods import method_spec

    if name:
        return method_spec(name)
    seeder = next((s for s in specs if reads[s.name][0]), None)
    if seeder is None:
        raise MultiverSegError("No method can be corrected by prompts, so none can segment the seed image: give --seed-method.")
    return seeder


def _bar(total: int) -> Any:
    """A progress bar with the time left, as a context manager that yields ``progress(done, total)``."""
    from contextlib import contextmanager

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from .console import error_console

    @contextmanager
    def opened():
        columns = (TextColumn("Simulating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(elapsed_when_finished=True))
        with Progress(*columns, console=error_console(), transient=True) as bar:
            task = bar.add_task("", total=total)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    return opened()


def radioactive(
    images: Annotated[Path | None, typer.Option(help="Folder of volumes (default: the sample cohort).")] = None,
    labels: Annotated[Path | None, typer.Option(help="Folder of their reference segmentations, of the same names.")] = None,
    label: Annotated[int, typer.Option(min=0, help="Value of the structure; 0: all that is not 0.")] = 0,
    model: Annotated[str, typer.Option("--model", "-m", help="As for `evaluate paper --method`.")] = "compact",
    examples: Annotated[
        int, typer.Option(min=0, help="Volumes, from the first, whose largest slices are the context; they are left out.")
    ] = 0,
    count: Annotated[int, typer.Option(min=1, help="Volumes to segment.")] = 10,
    seed: Annotated[int, typer.Option(help="Seed of the corrections.")] = 0,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File of the rows (CSV).")] = None,
) -> None:
    """Segment volumes by the iterative protocol of the RadioActive benchmark: a point on each slice, then five rounds of corrections.

    Example: [bold]multiverseg evaluate radioactive --count 3[/bold]
    """
    import csv
    import io
    from itertools import islice

    import numpy as np

    from ..core.errors import MultiverSegError
    from ..core.files import write_text
    from ..core.resources import resource_path
    from ..evaluation.methods import method_spec, open_method
    from ..evaluation.queries import Entry
    from ..evaluation.radioactive import ROUNDS, segment_stack
    from ..evaluation.table import interval
    from ..training.evaluation_stacks import read_stacks
    from .console import progress

    if (images is None) != (labels is None):
        raise MultiverSegError("Give both --images and --labels, or neither.")
    folders = (images, labels) if images and labels else tuple(resource_path("SampleCohort", name) for name in ("images", "labels"))
    method = open_method(method_spec(model))
    if not method.interactive:
        raise MultiverSegError(f"{model} reads no prompts, so its results cannot be corrected.")
    stacks = read_stacks(*folders, label=label)
    context = []
    for stack in islice(stacks, examples):
        k = int(stack.labels.sum((1, 2)).argmax())
        context.append(Entry(stack.images[k], stack.labels[k].astype(np.float32)))
    rows = [
        row for stack in progress(islice(stacks, count), "Correcting", count) for row in segment_stack(method, stack, context, seed=seed)
    ]
    if not rows:
        raise MultiverSegError("No volume is left: there must be more than the examples.")
    if output is not None:
        stream = io.StringIO()
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(output, stream.getvalue())
    for number in range(ROUNDS + 1):
        part = [row for row in rows if row["round"] == number]
        mean, low, high, _ = interval(np.array([row["dice"] for row in part]))
        prompts = np.mean([row["prompts"] for row in part])
        typer.echo(f"round {number}: Dice {mean:.3f} ({low:.3f} to {high:.3f}), {prompts:.1f} prompts")
    typer.echo(f"{counted(len(part), 'volume')}, {counted(len(context), 'example')}, seed {seed}.")
