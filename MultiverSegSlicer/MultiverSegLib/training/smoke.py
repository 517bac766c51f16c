"""A training that proves the whole system in about half a minute: made-up corpus, tiny network, every source and prompt."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from ..core.errors import MultiverSegError
from .config import TrainConfig, load_config, parse_config
from .corpus import Corpus
from .synthetic import shape_task

SMOKE = {
    "model": {"family": "cached", "widths": [8, 12, 16, 24, 32], "value_channels": 16, "heads": 2, "dim": 8, "match": 4},
    "stages": [{"steps": 60, "size": 32, "batch": 4, "max_context": 3}],
    "data": {"fractions": [0.6, 0.4, 0.0]},
    "sources": {"real": 0.4, "superpixel": 0.3, "shapes": 0.3, "superpixel_maps": 1},
    "context": {"max_size": 3},
    "optim": {"name": "adamw", "lr": 3e-3, "clip": 1.0, "ema": 0.9},
    "run": {"save_every": 60, "log_every": 10, "validate_every": 60, "validation_tasks": 4},
}


def make_corpus(folder: str | Path, datasets: int = 3, images: int = 10, size: int = 128, seed: int = 0) -> Path:
    """Writes a small corpus of fully synthetic images in the corpus format: ``datasets - 1`` to train with, one marked eval, one of them
    not for shipped weights when there are three or more, and one unlabelled file."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for index in range(datasets):
        generator = torch.Generator().manual_seed(seed * 1000 + index)
        made = [shape_task(images, size, generator) for _ in range(2)]
        masks = np.stack([made[0][1].numpy() > 0, made[1][1].numpy() > 0], 1)
        name, evaluation = f"made{index}", index == datasets - 1
        np.savez_compressed(
            folder / f"{name}.npz",
            images=(made[0][0].numpy() * 255).astype(np.uint8),
            masks=np.packbits(masks, axis=-1),
            label_names=np.array(["first", "second"]),
            subjects=np.array([f"s{i // 2}" for i in range(images)]),
            names=np.array([f"{name}-{i}" for i in range(images)]),
            views=np.array(["axial", "coronal"])[np.arange(images) % 2],
        )
        split = "eval" if evaluation else "train"
        bundle = not evaluation and not (datasets > 2 and index == datasets - 2)
        entries.append({"dataset": name, "file": f"{name}.npz", "split": split, "bundle": bundle, "license": "CC0", "source_group": name})
    np.savez_compressed(
        folder / "unlabelled_made.npz", images=(shape_task(4, size, torch.Generator().manual_seed(9))[0].numpy() * 255).astype(np.uint8)
    )
    manifest = {"datasets": entries, "unlabelled": {"made": {"file": "unlabelled_made.npz", "license": "CC0"}}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def run_smoke(
    output: str | Path, config: Path | None = None, accelerator: str = "auto", devices: int = 1, say: Callable[[str], None] = print
) -> tuple[float, float]:
    """Trains on a made-up corpus in ``output``; returns the first and the last logged loss.

    Raises:
        MultiverSegError: the loss did not fall.
    """
    import csv

    from .loop import Trainer

    output = Path(output)
    settings: TrainConfig = load_config(config) if config else parse_config(SMOKE, "smoke")
    corpus = Corpus.load(make_corpus(output / "corpus"), "train", "bundle", settings.data.fractions, unlabelled=True)
    trainer = Trainer(settings, corpus, output, accelerator=accelerator, devices=devices, say=say)
    trainer.train()
    with (output / "log.csv").open() as stream:
        losses = [float(row["loss"]) for row in csv.DictReader(stream)]
    if not losses[-1] < losses[0]:
        raise MultiverSegError(f"The loss did not fall ({losses[0]:.3f} to {losses[-1]:.3f}): look at {output / 'log.csv'}.")
    return losses[0], losses[-1]
