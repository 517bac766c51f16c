"""Pictures of a training run: its curves and what the network predicts."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .batches import BatchMaker
from .config import TrainConfig
from .interaction import Interaction


def _read(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        return {}
    with path.open() as stream:
        rows = list(csv.DictReader(stream))
    return {k: np.array([float(r[k]) for r in rows]) for k in rows[0]} if rows else {}


def plot_curves(folder: Path) -> Path:
    """Writes ``curves.png`` from ``log.csv`` and ``validation.csv``."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    log, validation = _read(folder / "log.csv"), _read(folder / "validation.csv")
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.5), layout="constrained")
    for key in (k for k in log if k.startswith("loss_")):
        window = min(10, len(log[key]))
        axes[0].plot(log["step"][window - 1 :], np.convolve(log[key], np.ones(window) / window, "valid"), label=f"step {key[5:]}", lw=1)
    axes[0].set(xlabel="training step", ylabel="loss", title="Loss by interaction step")
    for key in (k for k in validation if k.startswith(("click_", "context_"))):
        kind, clicks = key.split("_")
        name = f"{clicks} click{'s' * (clicks != '1')}" + (", 5 examples" if kind == "context" else "")
        axes[1].plot(validation["step"], validation[key], marker=".", lw=1, ls="--" if kind == "context" else "-", label=name)
    axes[1].set(xlabel="training step", ylabel="Dice", title="Validation subjects")
    for axis in axes:
        if axis.lines:
            axis.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
        axis.spines[["top", "right"]].set_visible(False)
    path = folder / "curves.png"
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


@torch.no_grad()
def plot_samples(network: nn.Module, batches: BatchMaker, config: TrainConfig, path: Path, step: int = 10_000_019) -> Path:
    """Writes a picture of one (always the same) batch: target, label, prompts, the three steps' predictions and two context entries."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    state = torch.get_rng_state()
    stage = config.stage_at(config.total_steps - 1).model_copy(update={"batch": 6})
    batch = batches.make(step, stage=stage)
    lesson = Interaction(network, config)(batch.image, batch.label, batch.context, previous=batch.previous)
    inputs, outputs = lesson.inputs, lesson.outputs
    torch.set_rng_state(state)
    columns = 2 + len(outputs) + min(2, batch.context_size)
    figure, axes = plt.subplots(len(batch.label), columns, figsize=(1.5 * columns, 1.5 * len(batch.label)), layout="constrained")
    for row in range(len(batch.label)):
        panels = [(batch.image[row, 0], None), (batch.image[row, 0], batch.label[row, 0])]
        panels += [(batch.image[row, 0], (o[row, 0] > 0).float()) for o in outputs]
        panels += [(batch.context[row, i, 0], batch.context[row, i, 1:3].amax(0)) for i in range(columns - len(panels))]
        for axis, (image, mask) in zip(axes[row], panels, strict=True):
            axis.imshow(image.cpu(), cmap="gray", vmin=0, vmax=1)
            if mask is not None and mask.any():
                axis.contour(mask.cpu(), [0.5], colors="#ffb000", linewidths=1)
            axis.set_axis_off()
        for index in range(len(outputs)):
            for channel, colour in ((2, "#20d060"), (3, "#ff4040")):
                rows, cols = np.nonzero(inputs[index][row, channel].cpu().numpy())
                axes[row, 2 + index].plot(cols, rows, ".", ms=2, color=colour)
        axes[row, 0].set_title(batch.sources[row], fontsize=7)
    for column, title in enumerate(["label", *(f"step {i + 1}" for i in range(len(outputs))), "context", "context"][: columns - 1]):
        axes[0, column + 1].set_title(title, fontsize=7)
    figure.savefig(path, dpi=90)
    plt.close(figure)
    return path
