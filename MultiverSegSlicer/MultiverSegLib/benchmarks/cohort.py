"""``multiverseg bench cohort``: what cohorts cost on this machine, and what their methods are worth against labels."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ..cli.console import error_console, progress, warn
from ..cli.options import Device, Model
from ..core.errors import CohortError

COSTS = ("selection", "files", "opening", "loop", "commands")
WORTHS = ("propagation", "slices", "calibration")
CHOICES = ("strategies", "orders")
PARTS = (*COSTS, *WORTHS, *CHOICES)


def register(bench_app: typer.Typer) -> None:
    bench_app.command("cohort")(cohort)


def cohort(
    part: Annotated[list[str] | None, typer.Option(help=f"{', '.join(PARTS)}; repeatable (default: the first five).")] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Folder of labelled volumes (default: the sample cohort).")] = None,
    corpus: Annotated[
        Path | None,
        typer.Option(envvar="MULTIVERSEG_CORPUS", help="Corpus folder: strategies and orders also run on its evaluation tasks."),
    ] = None,
    tasks: Annotated[int, typer.Option(min=1, help="How many of these tasks.")] = 10,
    images: Annotated[int, typer.Option(min=1, help="Images of such a task, after the first one.")] = 18,
    shuffles: Annotated[int, typer.Option(min=1, help="How many orders of the folder's cases strategies and orders run on.")] = 2,
    seed: Annotated[int, typer.Option(help="Seed of tasks, images, orders and the simulated person.")] = 0,
    axis: Annotated[str, typer.Option(help="Slice axis in these volumes.")] = "coronal",
    limit: Annotated[int | None, typer.Option(min=2, help="At most so many volumes.")] = None,
    cases: Annotated[int, typer.Option(min=1, help="Cases of 'files', 'loop' and 'commands'.")] = 500,
    jobs: Annotated[int, typer.Option(min=1, help="Processes for strategies and orders, one core each.")] = 2,
    model: Model = "compact",
    device: Device = "auto",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for table.md, results.json and diagrams.")] = None,
    json_only: Annotated[bool, typer.Option("--json", help="Print JSON instead of Markdown.")] = False,
) -> None:
    """Measure cohorts: choosing among 10,000 examples, the files, opening a CT, 500 cases in a row at the desk and by the commands; and, against labels, propagation through
    volumes, the choice of slices, confidence, and clicks along a cohort by selection strategy and by order of work. Prints Markdown.

    Ctrl+C while strategies and orders run prints what was measured until then.

    Example: [bold]multiverseg bench cohort --part strategies --part orders --corpus corpus[/bold]
    """
    unknown = [name for name in part or () if name not in PARTS]
    if unknown:
        raise typer.BadParameter(f"unknown part {unknown[0]!r}: one of {', '.join(PARTS)}.", param_hint="--part")
    from ..mrml.headless import start

    start()
    began, chosen = time.monotonic(), list(dict.fromkeys(part or COSTS))
    tables: list[str] = []
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, error_console().status("Measuring") as status:
        for name in [name for name in chosen if name in COSTS]:
            status.update(f"Measuring: {name}")
            results[name] = _cost(name, Path(folder), cases)
            tables.append(f"{name}\n\n{_table(results[name])}")
    trials = _trials(data, axis, limit) if set(chosen) & {*WORTHS, *CHOICES} else []
    if names := [name for name in chosen if name in WORTHS]:
        with error_console().status("Measuring") as status:
            results |= _worths(names, trials, model, device, lambda text: status.update(f"Measuring: {text}"), output)
        tables += [f"{name}, {len(trials)} volumes\n\n{_table(results[name])}" for name in names]
    if names := [name for name in chosen if name in CHOICES]:
        found, more = _choices(names, trials, corpus, (tasks, images, shuffles, seed), model, device, jobs)
        results |= found
        tables += more
    text = "\n\n".join([f"Model {model}, {time.monotonic() - began:.0f} s.", *tables])
    if output is not None:
        _save(output, text, results)
    typer.echo(json.dumps(results, indent=1) if json_only else text)


def _cost(name: str, folder: Path, cases: int) -> dict[str, Any]:
    from . import cohort_measures as measures

    if name in ("files", "loop", "commands"):
        return getattr(measures, name)(folder, cases)
    return getattr(measures, name)(folder)


def _trials(data: Path | None, axis: str, limit: int | None) -> list:
    from ..core.resources import resource_path
    from .cohort_trials import load_trials

    folder = data or resource_path("SampleCohort")
    trials = load_trials(folder, axis, limit)
    if len(trials) < 2:
        raise CohortError(f"{folder} has {len(trials)} volumes with labels: at least two are needed.")
    return trials


def _worths(names: list[str], trials: list, model: str, device: str, say: Callable[[str], None], output: Path | None) -> dict[str, Any]:
    from ..core.predictors import open_predictor
    from . import cohort_trials

    predictor = open_predictor(model, device)
    results: dict[str, Any] = {}
    for name in names:
        say(name)
        if name == "propagation":
            results[name] = summarized(cohort_trials.propagation(predictor, trials, progress=say), ("cases", "slices", "method"))
        elif name == "slices":
            results[name] = summarized(cohort_trials.slices(predictor, trials), ())
        else:
            trust = cohort_trials.calibration(predictor, trials)
            results[name] = trust.summary()
            if output is not None:
                _plot(output, trust)
    return results


def _plot(folder: Path, trust: Any) -> None:
    from .calibration import plot_reliability

    folder.mkdir(parents=True, exist_ok=True)
    plot_reliability(folder / "pixels.png", {"pixels": trust.pixels}, "probability", "share of the structure")
    curves = {"before": trust.confidences["expected Dice"], "after": trust.confidences["calibrated"]}
    plot_reliability(folder / "reliability.png", {name: (values, trust.dice) for name, values in curves.items()})


def _choices(
    names: list[str], trials: list, corpus: Path | None, sizes: tuple[int, int, int, int], model: str, device: str, jobs: int
) -> tuple[dict[str, Any], list[str]]:
    """Strategies and orders on the folder's max slices and on the corpus's tasks: results and tables."""
    from . import cohort_choices as choices

    tasks, images, shuffles, seed = sizes
    work = choices.from_trials(trials, "volumes", shuffles, seed)
    work += choices.from_corpus(corpus, tasks, images, seed) if corpus is not None else []
    measured: list[tuple[str, Any]] = []
    total = len(work) * len(names)
    try:
        for result in progress(choices.measure_all(work, names, model, device, jobs, seed), "Simulating", total):
            measured.append(result)
    except KeyboardInterrupt:
        warn(f"stopped: these are {len(measured)} of {total} cohorts")
    results, tables = {}, []
    for name in names:
        for place, has_unit in (("folder", False), ("corpus", True)):
            found = [m for part, m in measured if part == name and bool(m.unit) == has_unit]
            if found:
                rows = choices.summary(name, found, seed)
                results[f"{name}, {place}"] = rows
                size = sum(len(next(iter(m.walks.values())).clicks) for m in found)
                drawn = f"{len({m.unit for m in found})} datasets" if has_unit else f"{len(trials)} cases"
                title = f"{name}, {place}: {len(found)} cohorts of {drawn}, {size} images, seed {seed}"
                tables.append(f"{title}\n\n{choices.markdown(name, rows)}")
    return results, tables


def summarized(rows: list[dict], keys: tuple[str, ...]) -> list[dict]:
    """Means of the numbers of all rows that agree in ``keys`` (missing values, such as the distance to an empty mask, are left out)."""
    import numpy as np

    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        groups.setdefault(tuple(row[k] for k in keys), []).append(row)
    result = []
    for values, group in groups.items():
        numbers = [k for k, v in group[0].items() if k not in keys and isinstance(v, (int, float))]
        means = {k: round(float(np.nanmean([row[k] for row in group])), 3) for k in numbers}
        result.append({**dict(zip(keys, values, strict=True)), "number": len(group), **means})
    return result


def _table(result: Any) -> str:
    """Rows, or names and values, as Markdown."""
    rows = result if isinstance(result, list) else [{"": k, "value": v} for k, v in result.items()]
    columns = list(dict.fromkeys(k for row in rows for k in row))
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join(lines + ["| " + " | ".join(str(row.get(c, "")) for c in columns) + " |" for row in rows])


def _save(folder: Path, text: str, results: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(text + "\n", encoding="utf-8")
    (folder / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
