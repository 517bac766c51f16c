"""Makes training batches: draws tasks, augments them and fills the context. A batch follows from (seed, rank, step) alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .augment import SYNTHETIC, Augmentation
from .config import StageConfig, TrainConfig
from .corpus import Corpus, Task
from .prompts import noisy_masks, weak_prompts, wrong_masks
from .synthetic import cached_superpixels, pick_superpixel, shape_task

SOURCES = ("real", "superpixel", "shapes")


@dataclass
class Batch:
    """``image``, ``label`` [B, 1, H, W]; ``context`` [B, m, 5, H, W] (image, mask, box, positive, negative) or None; where each came from;
    ``before``: steps of interaction that happened before those that are learned from."""

    image: Tensor
    label: Tensor
    context: Tensor | None
    sources: list[str]
    before: int = 0

    @property
    def context_size(self) -> int:
        return 0 if self.context is None else self.context.shape[1]


class TaskSampler:
    """Draws tasks hierarchically: dataset, then view (axis), then label (B.1)."""

    def __init__(self, tasks: list[Task], dataset_power: float = 0.0) -> None:
        self.tree: dict[str, dict[str, list[Task]]] = {}
        for task in tasks:
            self.tree.setdefault(task.dataset.name, {}).setdefault(task.view, []).append(task)
        self.names = list(self.tree)
        sizes = {task.dataset.name: len(task.dataset.images) for task in tasks}
        weights = np.array([sizes[n] for n in self.names], dtype=float) ** dataset_power
        self.weights = weights / weights.sum()

    def draw(self, rng: np.random.Generator) -> Task:
        views = self.tree[self.names[rng.choice(len(self.names), p=self.weights)]]
        labels = views[list(views)[rng.integers(len(views))]]
        return labels[rng.integers(len(labels))]


def draw_examples(task: Task, count: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of a target (first) and ``count - 1`` context images: of other subjects than the target's where there are any, of other
    images at least; with repetition only where there are too few."""
    target = rng.choice(task.indices)
    subjects = task.dataset.subjects[task.indices]
    others = task.indices[subjects != task.dataset.subjects[target]]
    if not len(others):
        others = task.indices[task.indices != target]
    context = rng.choice(others, count - 1, replace=len(others) < count - 1) if count > 1 else np.empty(0, int)
    return np.concatenate([[target], context]).astype(int)


class BatchMaker:
    """Batches for one training process.

    Args:
        corpus: datasets and unlabelled images; superpixel tasks use the training fold's images and the unlabelled ones.
        cache: a folder for the superpixel maps; None computes them anew.
        device: where images are augmented.
    """

    def __init__(self, config: TrainConfig, corpus: Corpus, cache: str | Path | None = None, device: torch.device | str = "cpu") -> None:
        self.config, self.device = config, torch.device(device)
        self.sampler = TaskSampler(corpus.tasks("train", config.data.min_area), config.data.dataset_power)
        shares = np.array([getattr(config.sources, name) for name in SOURCES], dtype=float)
        self.shares = shares / shares.sum()
        self.plain = np.concatenate([d.images[d.folds == "train"] for d in corpus.datasets] + list(corpus.unlabelled.values()))
        self.maps = None
        if config.sources.superpixel > 0:
            self.maps = cached_superpixels(self.plain, cache, config.sources.superpixel_maps, config.sources.superpixel_scale)
        tables = config.augmentation_tables()
        self.synthetic = Augmentation(tables.get("synthetic", SYNTHETIC))
        self.within, self.task = Augmentation(tables["within_task"]), Augmentation(tables["task"])

    def make(self, step: int, rank: int = 0, stage: StageConfig | None = None) -> Batch:
        """The batch of ``step`` for process ``rank``; reseeds torch's global generator."""
        stage = stage or self.config.stage_at(step)
        rng = np.random.default_rng([self.config.run.seed, rank, step])
        torch.manual_seed(int(rng.integers(2**62)))
        options = self.config.context
        limit = options.max_size if stage.max_context is None else stage.max_context
        # All processes draw the same context size and as many earlier steps, so that none waits for another.
        common = np.random.default_rng([self.config.run.seed, step])
        size = 0 if common.random() < options.empty_share else int(common.integers(limit + 1))
        prompts = self.config.prompts
        before = int(common.integers(1, prompts.long_steps + 1)) if common.random() < prompts.long_share else 0
        images, labels, sources = self._raw(stage.batch, size + 1, stage.size, rng)
        images, labels = self._augment(images, labels, torch.tensor([s != "real" for s in sources], device=self.device))
        context = self._context(images[:, 1:], labels[:, 1:], rng) if size else None
        return Batch(images[:, :1], labels[:, :1], context, sources, before)

    def _raw(self, batch: int, count: int, size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, list[str]]:
        """Images and labels [B, count, size, size] before augmentation, values 0..1."""
        sources = [SOURCES[i] for i in rng.choice(len(SOURCES), batch, p=self.shares)]
        pairs = [getattr(self, f"_{source}")(count, size, rng) for source in sources]
        return torch.stack([p[0] for p in pairs]), torch.stack([p[1] for p in pairs]), sources

    def _real(self, count: int, size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        task = self.sampler.draw(rng)
        indices = draw_examples(task, count, rng)
        masks = np.stack([task.dataset.mask(i, task.label) for i in indices])
        return self._to_grid(task.dataset.images[indices], masks, size)

    def _superpixel(self, count: int, size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        index = rng.integers(len(self.plain))
        mask = pick_superpixel(self.maps[index, rng.integers(self.maps.shape[1])], rng)
        image, label = self._to_grid(self.plain[index][None], mask[None], size)
        return image.expand(count, -1, -1), label.expand(count, -1, -1)

    def _shapes(self, count: int, size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        return shape_task(count, size, generator, self.device)

    def _to_grid(self, images: np.ndarray, masks: np.ndarray, size: int) -> tuple[Tensor, Tensor]:
        stacked = torch.from_numpy(np.stack([images, masks.astype(np.uint8) * 255])).to(self.device).float() / 255
        if stacked.shape[-1] != size:
            stacked = F.interpolate(stacked, size=(size, size), mode="area")
        return stacked[0], (stacked[1] >= 0.5).float()

    def _augment(self, images: Tensor, labels: Tensor, synthetic: Tensor) -> tuple[Tensor, Tensor]:
        """Table 4 on the synthetic tasks, then 5a on each example, then 5b on each task. A task whose target's label is lost by it stays
        as it was drawn."""
        shape = images.shape
        raw_images, raw_labels = images, labels
        for augmentation, rows in ((self.synthetic, synthetic), (self.within, torch.ones_like(synthetic))):
            if rows.any():
                flat = [x[rows].reshape(-1, 1, *shape[2:]) for x in (images, labels)]
                done = [x.reshape(-1, *shape[1:]) for x in augmentation(*flat)]
                images, labels = (torch.empty_like(x).copy_(x).index_put((rows,), d) for x, d in zip((images, labels), done, strict=True))
        images, labels = self.task(images, labels)
        lost = labels[:, 0].flatten(1).sum(1) < 3
        keep = lost[:, None, None, None]
        return rescale(torch.where(keep, raw_images, images)), torch.where(keep, raw_labels, labels)

    def _context(self, images: Tensor, labels: Tensor, rng: np.random.Generator) -> Tensor:
        """[B, m, H, W] images and labels -> [B, m, 5, H, W] entries with a mask, an imperfect or wrong one, prompts, or a mask and prompts."""
        options, (b, m, h, w) = self.config.context, images.shape
        masks = labels.reshape(-1, 1, h, w)
        weak_share = 1.0 if rng.random() < options.all_weak_share else (options.weak_share if rng.random() < 0.5 else 0.0)
        weak = torch.rand(b * m, device=masks.device) < weak_share
        chance = torch.rand(b * m, device=masks.device)
        wrong = (chance < options.wrong_share) & ~weak
        noisy = (chance < options.wrong_share + options.noisy_share) & ~weak & ~wrong
        prompts = torch.zeros(b * m, 3, h, w, device=masks.device)
        shown = masks.clone()
        if noisy.any():
            shown[noisy] = noisy_masks(masks[noisy])
        if wrong.any():
            shown[wrong] = wrong_masks(masks[wrong])
        prompted = weak | (torch.rand(b * m, device=masks.device) < options.both_share)
        if prompted.any():
            prompts[prompted] = weak_prompts(masks[prompted])
        shown[weak] = 0
        return torch.cat([images.reshape(-1, 1, h, w), shown, prompts], 1).view(b, m, 5, h, w)


def rescale(images: Tensor) -> Tensor:
    """Min-max to 0..1 for each image [..., H, W], as the extension's imaging does for every slice; constant images become zeros."""
    low, high = images.amin((-1, -2), keepdim=True), images.amax((-1, -2), keepdim=True)
    return torch.where(high > low, (images - low) / (high - low).clamp_min(1e-6), torch.zeros_like(images))
