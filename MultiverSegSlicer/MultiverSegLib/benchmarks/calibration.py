"""``multiverseg bench calibration``: how far a model's confidence can be believed, and the two numbers that make it honest."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..cli.console import progress
from ..cli.options import Device, Model
from ..core.errors import MultiverSegError

if TYPE_CHECKING:
    from ..core.calibration import Calibration
    from ..evaluation.calibration import Sample
    from ..evaluation.quick import EvaluationTask
    from ..training.corpus import Task


def register(bench_app: typer.Typer) -> None:
    bench_app.command("calibration")(calibration)


def calibration(
    model: Model = "compact",
    corpus: Annotated[Path | None, typer.Option(envvar="MULTIVERSEG_CORPUS", help="Corpus folder, see Docs/training.md.")] = None,
    tasks: Annotated[int, typer.Option(min=1, help="At most so many tasks to fit on, and as many to test on.")] = 80,
    per_dataset: Annotated[int, typer.Option(min=1, help="Of each dataset at most so many.")] = 3,
    targets: Annotated[int, typer.Option(min=1, help="Images of each task; each gives seven predictions.")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of images, contexts and clicks.")] = 0,
    device: Device = "auto",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for calibration.json, table.md and reliability.png.")
    ] = None,
) -> None:
    """Fit a model's calibration on the validation subjects of its training, and test it on datasets that no model was trained on.

    Prints a table and the line for the model's entry in Resources/Models/models.json. It is only used with weights of the same checksum.

    Example: [bold]multiverseg bench calibration --model compact --corpus corpus -o calibration[/bold]
    """
    from ..core.models.registry import Registry
    from ..core.predictors import open_predictor
    from ..evaluation.calibration import fit, gather
    from ..training.corpus import Corpus
    from ..training.evaluation_tasks import validation_tasks

    if corpus is None:
        raise MultiverSegError("No corpus: give --corpus FOLDER or set MULTIVERSEG_CORPUS.")
    began = time.monotonic()
    sizes = (per_dataset, tasks)
    predictor = open_predictor(model, device)
    fitting = chosen_tasks(validation_tasks(corpus, model), *sizes)
    testing = chosen_tasks(Corpus.load(corpus, "eval", "any").tasks(None, min_images=6), *sizes)
    samples = gather(predictor, fitting, targets, seed, lambda items: progress(items, "Fitting", len(fitting)))
    found = fit(samples)
    tests = gather(predictor, testing, targets, seed, lambda items: progress(items, "Testing", len(testing)))
    registry = Registry()
    sha256 = registry.get(model).sha256 if registry.has(model) else None
    entry = {"sha256": sha256, **found.to_json(), "data": f"{len(samples)} predictions of {len(fitting)} tasks, validation subjects"}
    table = f"Fitted on\n\n{markdown(samples, found)}\n\nTested on\n\n{markdown(tests, found)}"
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        (output / "calibration.json").write_text(json.dumps(entry, indent=1), encoding="utf-8")
        (output / "table.md").write_text(table + "\n", encoding="utf-8")
        plot_reliability(output / "reliability.png", _pairs(tests, found))
    typer.echo(f"{table}\n\n{len(fitting)} and {len(testing)} tasks, seed {seed}, {time.monotonic() - began:.0f} s.\n")
    typer.echo(f'"calibration": {json.dumps(entry)}')


def chosen_tasks(every: Sequence[Task], per_dataset: int, count: int) -> list[EvaluationTask]:
    """``count`` of these tasks, as many of each dataset as of the others."""
    import numpy as np

    from ..evaluation.quick import EvaluationTask

    by_dataset: dict[str, list[Task]] = {}
    for task in every:
        by_dataset.setdefault(task.dataset.name, []).append(task)
    chosen = [group[n] for n in range(per_dataset) for group in by_dataset.values() if n < len(group)][:count]
    tasks = []
    for task in chosen:
        data = task.dataset
        images = data.images[task.indices].astype(np.float32)
        low, high = images.min((1, 2), keepdims=True), images.max((1, 2), keepdims=True)
        labels = np.stack([data.mask(i, task.label) for i in task.indices])
        images = (images - low) / np.maximum(high - low, 1e-6)
        tasks.append(EvaluationTask(data.name, task.name, "", images, labels, data.subjects[task.indices]))
    return tasks


def markdown(samples: list[Sample], calibration: Calibration) -> str:
    """Mean Dice and mean confidence before and after, without and with prompts; the error is the mean distance in ten bins of confidence."""
    import numpy as np

    from ..core.confidence import reliability

    lines = ["| predictions | number | Dice | confidence before | error | after | error |", "|---|---|---|---|---|---|---|"]
    for name, prompted in (("without prompts", False), ("with prompts", True)):
        rows = [s for s in samples if s.prompted is prompted and s.expected > 0]
        if rows:
            dice, before = [s.dice for s in rows], [s.expected for s in rows]
            after = [calibration(s.expected, prompted) for s in rows]
            cells = [f"{np.mean(c):.2f} | {reliability(np.array(c), np.array(dice)).error:.2f}" for c in (before, after)]
            lines.append(f"| {name} | {len(rows)} | {np.mean(dice):.2f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _pairs(samples: list[Sample], calibration: Calibration) -> dict[str, tuple[list[float], list[float]]]:
    rows = [s for s in samples if s.expected > 0]
    dice = [s.dice for s in rows]
    return {"before": ([s.expected for s in rows], dice), "after": ([calibration(s.expected, s.prompted) for s in rows], dice)}


def plot_reliability(path: Path, curves: dict[str, tuple[Any, Any]], x_label: str = "confidence", y_label: str = "Dice") -> None:
    """A reliability diagram: per bin of (predicted, outcome) pairs their means; the larger the dot, the more there are."""
    import matplotlib

    matplotlib.use("Agg")
    import numpy as np
    from matplotlib import pyplot as plt

    from ..core.confidence import reliability

    figure, axes = plt.subplots(figsize=(4.2, 4), layout="constrained")
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle="dashed")
    for (name, (predicted, outcome)), colour in zip(curves.items(), ("#d95f02", "#0b6bcb"), strict=False):
        found = reliability(np.asarray(predicted), np.asarray(outcome))
        sizes = 12 + 150 * np.array(found.counts) / sum(found.counts)
        axes.plot(found.predicted, found.observed, color=colour, linewidth=1.5, label=f"{name}, mean error {found.error:.2f}")
        axes.scatter(found.predicted, found.observed, s=sizes, color=colour)
    axes.set(xlabel=x_label, ylabel=y_label, xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    figure.savefig(path, dpi=110)
    plt.close(figure)
