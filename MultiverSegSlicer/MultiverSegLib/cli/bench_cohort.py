"""``multiverseg bench cohort``: what cohorts cost on this machine, and what their methods are worth against labels."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from .console import error_console
from .options import Device, Model

COSTS = ("selection", "files", "opening", "loop")
WORTHS = ("propagation", "slices", "calibration", "orders", "strategies")


def register(bench_app: typer.Typer) -> None:
    bench_app.command("cohort")(cohort)


def cohort(
    part: Annotated[list[str] | None, typer.Option(help=f"{', '.join((*COSTS, *WORTHS))}; repeatable (default: the first four).")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Folder of labelled volumes (default: the sample cohort).")] = None,
    corpus: Annotated[Path | None, typer.Option(help="Corpus folder: 'strategies' then also runs on its evaluation tasks.")] = None,
    tasks: Annotated[int, typer.Option(min=1, help="How many of these tasks.")] = 6,
    axis: Annotated[str, typer.Option(help="Slice axis in these volumes.")] = "coronal",
    limit: Annotated[int | None, typer.Option(min=2, help="At most so many volumes.")] = None,
    cases: Annotated[int, typer.Option(min=1, help="Cases of 'files' and 'loop'.")] = 500,
    model: Model = "compact",
    device: Device = "auto",
    json_only: Annotated[bool, typer.Option("--json", help="Print only the JSON.")] = False,
) -> None:
    """Measure cohorts: choosing among 10,000 examples, the files, opening a CT, 500 cases in a row; and, against labels, propagation through
    volumes, the choice of slices, confidence, orders of work and selection strategies.

    Example: [bold]multiverseg bench cohort --part propagation --part slices[/bold]
    """
    unknown = [name for name in part or () if name not in (*COSTS, *WORTHS)]
    if unknown:
        raise typer.BadParameter(f"unknown part {unknown[0]!r}: one of {', '.join((*COSTS, *WORTHS))}.", param_hint="--part")
    from ..mrml.host import start

    start()
    chosen, results = list(part or COSTS), {}
    with tempfile.TemporaryDirectory() as folder, error_console().status("Measuring") as status:
        for name in chosen:
            status.update(f"Measuring: {name}")
            if name in COSTS:
                results[name] = _cost(name, Path(folder), cases)
        worths = [name for name in chosen if name in WORTHS]
        if worths:
            results |= _worths(worths, data, corpus, tasks, axis, limit, model, device, lambda text: status.update(f"Measuring: {text}"))
    if not json_only:
        for name, result in results.items():
            _print(name, result)
    typer.echo(json.dumps(results, indent=1))


def _cost(name: str, folder: Path, cases: int) -> dict[str, Any]:
    from . import cohort_measures as measures

    if name in ("files", "loop"):
        return getattr(measures, name)(folder, cases)
    return getattr(measures, name)(folder)


def _worths(
    names: list[str],
    data: Path | None,
    corpus: Path | None,
    tasks: int,
    axis: str,
    limit: int | None,
    model: str,
    device: str,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    from ..core.predictor import Predictor
    from ..core.resources import resource_path
    from . import cohort_trials as trials

    predictor = Predictor(model=model, device=device)
    loaded = trials.load_trials(data or resource_path("SampleCohort"), axis, limit)
    results: dict[str, Any] = {"model": predictor.description, "volumes": len(loaded)}
    for name in names:
        progress(name)
        if name == "propagation":
            results[name] = summarized(trials.propagation(predictor, loaded, progress=progress), ("slices", "method"))
        elif name == "slices":
            results[name] = summarized(trials.slices(predictor, loaded), ())
        elif name == "strategies":
            results[name] = _strategies(predictor, loaded, corpus, tasks, progress)
        else:
            results[name] = getattr(trials, name)(predictor, loaded)
    return results


def _strategies(predictor: Any, loaded: list, corpus: Path | None, tasks: int, progress: Callable[[str], None]) -> list[dict]:
    """By strategy and cap: clicks a case on the volumes and, with a corpus, averaged over its tasks."""
    from . import cohort_trials as trials

    rows = [{"on": "volumes", **row} for row in trials.strategies(predictor, loaded)]
    per_task = []
    for name, task in trials.load_tasks(corpus, tasks) if corpus is not None else ():
        progress(f"strategies, {name}")
        per_task += [{"on": name, **row} for row in trials.strategies(predictor, task)]
    rows += summarized(
        [{k: row[k] for k in ("strategy", "cap", "clicks")} for row in per_task], ("strategy", "cap"), on="corpus, mean of tasks"
    )
    return [{k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()} for row in rows]


def summarized(rows: list[dict], keys: tuple[str, ...], **more: Any) -> list[dict]:
    """Means of the numbers of all rows that agree in ``keys`` (missing values, such as the distance to an empty mask, are left out)."""
    import numpy as np

    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        groups.setdefault(tuple(row[k] for k in keys), []).append(row)
    result = []
    for values, group in groups.items():
        numbers = [k for k, v in group[0].items() if k not in keys and isinstance(v, (int, float))]
        means = {k: round(float(np.nanmean([row[k] for row in group])), 3) for k in numbers}
        result.append({**more, **dict(zip(keys, values, strict=True)), "cases": len(group), **means})
    return result


def _print(name: str, result: Any) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if isinstance(result, str | int):
        Console().print(f"{name}: {result}")
        return
    rows = result if isinstance(result, list) else [{"": k, "value": v} for k, v in result.items()]
    table = Table(title=name, box=box.SIMPLE)
    columns = list(dict.fromkeys(k for row in rows for k in row))
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(str(row.get(c, "")) for c in columns))
    Console().print(table)
