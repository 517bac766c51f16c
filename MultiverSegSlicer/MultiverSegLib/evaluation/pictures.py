"""Pictures of an evaluation: how the interactions fall along a cohort, and where the model fails."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .metrics import bootstrap
from .simulate import fast_dice


def plot_steps(results: Sequence[dict[str, Any]], path: Path) -> None:
    """Mean interactions to 90 % Dice for the n-th image of a cohort, with and without context."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for axis, (kind, title) in zip(axes, (("clicks", "Centre clicks"), ("scribbles", "Centerline scribble steps")), strict=True):
        for which, colour in (("without", "#888888"), ("with", "#d95f02")):
            by_dataset: dict[str, list] = {}
            for r in results:
                by_dataset.setdefault(r["dataset"], []).append(r[f"{kind}_{which}"]["steps"])
            means = np.array([np.mean(rows, axis=0) for rows in by_dataset.values()])
            x = np.arange(1, means.shape[1] + 1)
            bounds = np.array([bootstrap(means[:, i])[1:] for i in range(means.shape[1])])
            axis.plot(x, means.mean(0), color=colour, marker=".", label=f"{which} context")
            axis.fill_between(x, bounds[:, 0], bounds[:, 1], color=colour, alpha=0.15, lw=0)
        axis.set(title=title, xlabel="number of the image", ylabel="interactions to 90 % Dice", ylim=(0, None))
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def plot_failures(results: Sequence[dict[str, Any]], path: Path, rows: int = 8) -> None:
    """The image of each dataset that went worst with clicks and context, the worst datasets first, of those whose images may be shared: the
    reference, the prediction from the context alone, the last one with context and the last one without. Nothing is written if there are
    none."""
    by_dataset: dict[str, dict[str, Any]] = {}
    for r in sorted(results, key=lambda r: r["worst"]["with"].dice, reverse=True):
        if r["worst"]["licence"]:
            by_dataset[r["dataset"]] = r
    shown = sorted(by_dataset.values(), key=lambda r: r["worst"]["with"].dice)[:rows]
    if not shown:
        return
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(len(shown), 4, figsize=(7.6, 1.95 * len(shown)), layout="constrained", squeeze=False)
    for row, result in zip(axes, shown, strict=True):
        worst, label = result["worst"], result["worst"]["label"]
        alone, last, without = worst["with"].unprompted, worst["with"], worst["without"]
        panels = [
            (None, result["task"].replace(" / ", "\n", 1)),
            (alone, f"context alone: {fast_dice(alone, label):.2f}"),
            (last.mask, f"with context,\n{last.steps} clicks: {last.dice:.2f}"),
            (without.mask, f"without context,\n{without.steps} clicks: {without.dice:.2f}"),
        ]
        for axis, (mask, title) in zip(row, panels, strict=True):
            axis.imshow(worst["image"], cmap="gray", vmin=0, vmax=1)
            axis.contour(label, [0.5], colors="#20c060", linewidths=1)
            if mask is not None and mask.any():
                axis.contour(mask, [0.5], colors="#ff8c00", linewidths=1)
            axis.set_axis_off()
            axis.set_title(title, fontsize=7)
        row[0].text(0, -0.02, worst["licence"], fontsize=5, va="top", transform=row[0].transAxes)
    figure.savefig(path, dpi=80)
    plt.close(figure)
