"""The quick evaluation: what a model reaches of the goals, per dataset, with bootstrap intervals, from a fixed seed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.asking import ask
from ..core.context.example import Example
from ..core.predicting import Predictor
from ..core.predictors import open_predictor
from .metrics import bootstrap, hd95
from .pictures import plot_failures, plot_steps
from .protocols import PROTOCOLS
from .simulate import ImageResult, fast_dice, simulate_cohort

CONTEXT_SIZES = (1, 4, 16)
#: name -> (goal, unit, True if more is better): the figures of the paper (abstract and table 7), and two of our own for examples alone.
GOALS: dict[str, tuple[float, str, bool]] = {
    "clicks saved by context": (36.0, "%", True),
    "scribble steps saved by context": (53.0, "%", True),
    "clicks per 18 images, without context": (131.0, "", False),
    "clicks per 18 images, with context": (84.0, "", False),
    "scribble steps per 18 images, without context": (55.0, "", False),
    "scribble steps per 18 images, with context": (26.0, "", False),
    "Dice from 16 examples, no prompt": (0.70, "", True),
    "Dice with boxes for masks, share": (0.9, "", True),
    "Dice with points for masks, share": (0.9, "", True),
}


@dataclass(frozen=True)
class EvaluationTask:
    """Images float32 [N, H, W] 0..1, labels bool [N, H, W] and subjects [N] of one binary task; ``licence``: under which pictures of them may be
    shared, "" if they may not."""

    dataset: str
    name: str
    modality: str
    images: np.ndarray
    labels: np.ndarray
    subjects: np.ndarray
    licence: str = ""


@dataclass(frozen=True)
class Options:
    """What is simulated: ``images`` per task after the seed image, entries the context may hold, targets for the prompt-free part."""

    images: int = 18
    max_context: int = 16
    targets: int = 9
    seed: int = 0


def evaluate_task(predictor: Predictor, task: EvaluationTask, options: Options) -> dict[str, Any]:
    """Everything that is measured on one task: steps per image for both protocols, with and without context, and prompt-free Dice;
    ``worst`` holds the pictures of the image that went worst with clicks and context (see ``pictures.plot_failures``)."""
    rng = np.random.default_rng([options.seed, *task.name.encode()])
    order = rng.permutation(len(task.images))[: options.images + 1]
    images, labels = list(task.images[order]), list(task.labels[order])
    result: dict[str, Any] = {"dataset": task.dataset, "task": task.name, "modality": task.modality}
    went: dict[str, list[ImageResult]] = {}
    for name, user_class in PROTOCOLS.items():
        for key, use_context in (("without", False), ("with", True)):
            user = user_class(options.seed)
            cohort = simulate_cohort(predictor, images, labels, user, use_context, options.max_context)
            result[f"{name}_{key}"] = {
                "steps": [r.steps for r in cohort.images],
                "dice": [round(r.dice, 4) for r in cohort.images],
                "hd95": [round(hd95(r.mask, label), 2) for r, label in zip(cohort.images, labels[1:], strict=True)],
                "failures": cohort.failures,
            }
            went[f"{name}_{key}"] = cohort.images
    worst = int(np.argmin([r.dice for r in went["clicks_with"]]))
    result["worst"] = {
        "licence": task.licence,
        "image": images[worst + 1],
        "label": labels[worst + 1],
        "with": went["clicks_with"][worst],
        "without": went["clicks_without"][worst],
    }
    result.update(_from_context_alone(predictor, task, options, rng))
    return result


def _from_context_alone(predictor: Predictor, task: EvaluationTask, options: Options, rng: np.random.Generator) -> dict[str, Any]:
    """Dice without a prompt, from 1, 4 and 16 reference masks and from 16 weak annotations, of other subjects than the target's."""
    result: dict[str, list[float]] = {f"context_{n}": [] for n in CONTEXT_SIZES} | {"weak_boxes": [], "weak_points": []}
    entries: dict[tuple[str, int], Example] = {}

    def entry(kind: str, index: int) -> Example:
        if (kind, index) not in entries:
            image, label = task.images[index], task.labels[index]
            generator = np.random.default_rng([options.seed, int(index)])
            prompts = None if kind == "mask" else annotate(label, kind, generator)
            entries[kind, index] = Example(image, label.astype(np.uint8) if kind == "mask" else None, prompts, case=f"{kind} {index}")
        return entries[kind, index]

    for target in rng.permutation(len(task.images))[: options.targets]:
        others = np.flatnonzero(task.subjects != task.subjects[target])
        if len(others) < CONTEXT_SIZES[-1]:
            others = np.delete(np.arange(len(task.images)), target)
        chosen = rng.permutation(others)[: CONTEXT_SIZES[-1]]
        runs = {f"context_{n}": [entry("mask", i) for i in chosen[:n]] for n in CONTEXT_SIZES}
        runs |= {f"weak_{kind}": [entry(kind, i) for i in chosen] for kind in ("boxes", "points")}
        for key, context in runs.items():
            logits = ask(predictor, task.images[target], examples=context).logits
            result[key].append(round(fast_dice(logits > 0, task.labels[target]), 4))
    return result


def annotate(label: np.ndarray, kind: str, rng: np.random.Generator, count: int = 5) -> np.ndarray:
    """A weak annotation float32 [3, H, W] of ``label``: the boxes of its ``count`` largest components, or ``count`` points in it (WS-ICL)."""
    from scipy import ndimage

    prompts = np.zeros((3, *label.shape), np.float32)
    if kind == "boxes":
        components, number = ndimage.label(label, np.ones((3, 3)))
        sizes = np.bincount(components.ravel(), minlength=number + 1)[1:]
        boxes = ndimage.find_objects(components)
        for index in np.argsort(-sizes)[:count]:
            prompts[0][boxes[index]] = 1
    else:
        pixels = np.argwhere(label)
        for row, col in pixels[rng.permutation(len(pixels))[:count]]:
            prompts[1, row, col] = 1
    return prompts


def evaluate(
    model: str,
    tasks: Sequence[EvaluationTask],
    options: Options,
    device: str = "auto",
    jobs: int = 1,
    progress: Callable = lambda items: items,
) -> list[dict[str, Any]]:
    """Results of ``evaluate_task`` in the order of ``tasks``; ``jobs`` processes share the tasks (CPU only)."""
    if jobs <= 1:
        predictor = open_predictor(model, device)
        return [evaluate_task(predictor, task, options) for task in progress(tasks)]
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _start_worker, (model, device)) as pool:
        return list(progress(pool.map(_work, tasks, [options] * len(tasks))))


_worker_predictor: Predictor | None = None


def _start_worker(model: str, device: str) -> None:
    global _worker_predictor
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)
    _worker_predictor = open_predictor(model, device)


def _work(task: EvaluationTask, options: Options) -> dict[str, Any]:
    assert _worker_predictor is not None
    return evaluate_task(_worker_predictor, task, options)


def summarise(results: Sequence[dict[str, Any]], images: int = 18, seed: int = 0) -> dict[str, Any]:
    """Figures per dataset and over the datasets, each (mean, low, high) with a 95 % bootstrap interval.

    A dataset's figure is the mean over its tasks and images, its interval comes from drawing images; the overall figure is the mean of the
    datasets, its interval comes from drawing datasets (C.2 of the paper averages hierarchically too).
    """
    datasets = sorted({r["dataset"] for r in results})
    per_dataset = {name: _figures([r for r in results if r["dataset"] == name], images, seed) for name in datasets}
    overall = {}
    for figure in next(iter(per_dataset.values())):
        values = [per_dataset[name][figure][0] for name in datasets]
        overall[figure] = bootstrap(values, seed=seed)
    for unit in ("clicks", "scribble steps"):
        pairs = np.array([[per_dataset[n][f"{unit} per 18 images, {w} context"][0] for w in ("without", "with")] for n in datasets])
        overall[f"{unit} saved by context"] = _saving(pairs, seed)
    for kind in ("boxes", "points"):
        overall[f"Dice with {kind} for masks, share"] = _ratio(per_dataset, datasets, kind, seed)
    return {"datasets": per_dataset, "overall": overall}


def _figures(results: Sequence[dict[str, Any]], images: int, seed: int) -> dict[str, tuple[float, float, float]]:
    figures: dict[str, tuple[float, float, float]] = {}
    for kind, unit in (("clicks", "clicks"), ("scribbles", "scribble steps")):
        pairs = np.array([[s for r in results for s in r[f"{kind}_{w}"]["steps"]] for w in ("without", "with")], float).T
        for column, which in enumerate(("without", "with")):
            figures[f"{unit} per 18 images, {which} context"] = tuple(18 * v for v in bootstrap(pairs[:, column], seed=seed))
        figures[f"{unit} saved by context"] = _saving(pairs, seed)
        for which in ("without", "with"):
            runs = [r[f"{kind}_{which}"] for r in results]
            figures[f"final Dice, {unit}, {which} context"] = bootstrap([d for r in runs for d in r["dice"]], seed=seed)
            figures[f"HD95 in pixels, {unit}, {which} context"] = bootstrap([d for r in runs for d in r["hd95"]], seed=seed)
            failed = 100 * sum(r["failures"] for r in runs) / sum(len(r["steps"]) for r in runs)
            figures[f"images below 90 % Dice at the cap, {unit}, {which} context"] = (failed,) * 3
    for n in CONTEXT_SIZES:
        figures[f"Dice from {n} example{'s' if n > 1 else ''}, no prompt"] = bootstrap(
            [d for r in results for d in r[f"context_{n}"]], seed=seed
        )
    masks = figures[f"Dice from {CONTEXT_SIZES[-1]} examples, no prompt"][0]
    for kind in ("boxes", "points"):
        weak = bootstrap([d for r in results for d in r[f"weak_{kind}"]], seed=seed)
        figures[f"Dice with {kind} for masks, share"] = tuple(v / max(masks, 1e-9) for v in weak)
    return figures


def _saving(pairs: np.ndarray, seed: int, rounds: int = 1000) -> tuple[float, float, float]:
    """Percent fewer steps in the second column than in the first, with an interval from drawing rows."""
    rng = np.random.default_rng(seed)
    drawn = pairs[rng.integers(len(pairs), size=(rounds, len(pairs)))].sum(1)
    savings = 100 * (1 - drawn[:, 1] / np.maximum(drawn[:, 0], 1e-9))
    total = pairs.sum(0)
    low, high = np.quantile(savings, [0.025, 0.975])
    return float(100 * (1 - total[1] / max(total[0], 1e-9))), float(low), float(high)


def _ratio(per_dataset: dict[str, Any], datasets: Sequence[str], kind: str, seed: int) -> tuple[float, float, float]:
    """Mean weak Dice over mean masks' Dice, over the datasets."""
    masks = np.array([per_dataset[n]["Dice from 16 examples, no prompt"][0] for n in datasets])
    weak = masks * np.array([per_dataset[n][f"Dice with {kind} for masks, share"][0] for n in datasets])
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(masks), size=(1000, len(masks)))
    low, high = np.quantile(weak[rows].mean(1) / np.maximum(masks[rows].mean(1), 1e-9), [0.025, 0.975])
    return float(weak.mean() / max(masks.mean(), 1e-9)), float(low), float(high)


def markdown(summary: dict[str, Any]) -> str:
    """The goals' table and the table per dataset, as Markdown."""
    lines = ["| figure | goal | reached | 95 % interval | |", "|---|---|---|---|---|"]
    for name, (goal, unit, more) in GOALS.items():
        mean, low, high = summary["overall"][name]
        met = mean >= goal if more else mean <= goal
        sign = "at least" if more else "at most"
        lines.append(f"| {name} | {sign} {goal:g}{unit} | {mean:.3g}{unit} | {low:.3g} to {high:.3g} | {'met' if met else 'not met'} |")
    columns = {
        "clicks without": "clicks per 18 images, without context",
        "clicks with": "clicks per 18 images, with context",
        "saved %": "clicks saved by context",
        "scribbles without": "scribble steps per 18 images, without context",
        "scribbles with": "scribble steps per 18 images, with context",
        "saved % ": "scribble steps saved by context",
        "Dice, 1 example": "Dice from 1 example, no prompt",
        "4": "Dice from 4 examples, no prompt",
        "16": "Dice from 16 examples, no prompt",
        "boxes / masks": "Dice with boxes for masks, share",
        "points / masks": "Dice with points for masks, share",
    }
    lines += ["", "| dataset | " + " | ".join(columns) + " |", "|" + "---|" * (len(columns) + 1)]
    for name, figures in [*summary["datasets"].items(), ("**mean**", summary["overall"])]:
        cells = [f"{figures[k][0]:.3g} ({figures[k][1]:.3g} to {figures[k][2]:.3g})" for k in columns.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def save(folder: Path, model: str, options: Options, results: Sequence[dict[str, Any]], summary: dict[str, Any], seconds: float) -> None:
    """Writes ``results.json``, ``table.md``, ``steps.png`` and ``failures.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {"model": model, "options": vars(options), "seconds": round(seconds), "date": time.strftime("%Y-%m-%d")}
    tasks = [{k: v for k, v in r.items() if k != "worst"} for r in results]
    (folder / "results.json").write_text(json.dumps({**about, "summary": summary, "tasks": tasks}, indent=1))
    (folder / "table.md").write_text(markdown(summary))
    plot_steps(results, folder / "steps.png")
    plot_failures(results, folder / "failures.png")
