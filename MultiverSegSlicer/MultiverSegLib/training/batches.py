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
from .corpus import Corpus, Dataset
from .draws import Drawn, TaskSampler, draw_slices
from .prompts import dilate, erode, noisy_masks, weak_prompts, wrong_masks
from .synthetic import cached_superpixels, pick_superpixel, shape_task

SOURCES = ("real", "superpixel", "shapes")
#: A previous prediction is as sure as this, in logits.
_SURE = (3.0, 10.0)


@dataclass
class Batch:
    """``image``, ``label`` [B, 1, H, W] (an empty label: the structure is not there); ``context`` [B, m, 5, H, W] (image, mask, box, positive,
    negative) or None; where each came from; ``before``: steps of interaction that happened before those that are learned from; ``previous``
    [B, 1, H, W]: logits that the interaction begins with, zeros for none, or None."""

    image: Tensor
    label: Tensor
    context: Tensor | None
    sources: list[str]
    before: int = 0
    previous: Tensor | None = None

    @property
    def context_size(self) -> int:
        return 0 if self.context is None else self.context.shape[1]


@dataclass
class _Raw:
    """Images and labels [B, count, H, W], previous masks [B, H, W] or None, and where each row came from."""

    images: Tensor
    labels: Tensor
    previous: Tensor | None
    sources: list[str]


#: Images and labels [count, H, W] of one task, and the mask [H, W] of the target's previous prediction or None.
_Made = tuple[Tensor, Tensor, Tensor | None]


class BatchMaker:
    """Batches for one training process.

    Args:
        corpus: datasets and unlabelled images; superpixel tasks use the training fold's images and the unlabelled ones.
        cache: a folder for the superpixel maps; None computes them anew.
        device: where images are augmented.
    """

    def __init__(self, config: TrainConfig, corpus: Corpus, cache: str | Path | None = None, device: torch.device | str = "cpu") -> None:
        self.config, self.device = config, torch.device(device)
        data = config.data
        tasks = corpus.tasks("train", data.min_area, complete=data.complete, min_gap=config.absence.min_gap)
        self.sampler = TaskSampler(tasks, data.dataset_power, data.most_images, data.favour)
        shares = np.array([getattr(config.sources, name) for name in SOURCES], dtype=float)
        self.shares = shares / shares.sum()
        plain = [d.images[d.folds == "train"] for d in corpus.datasets if d.picked]
        self.plain = np.concatenate(plain + list(corpus.unlabelled.values()))
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
        raw = self._raw(stage.batch, size + 1, stage.size, rng)
        synthetic = torch.tensor([s != "real" for s in raw.sources], device=self.device)
        images, labels, previous = self._augment(raw.images, raw.labels, raw.previous, synthetic)
        context = self._context(images[:, 1:], labels[:, 1:], rng) if size else None
        return Batch(images[:, :1], labels[:, :1], context, raw.sources, before, previous)

    def _raw(self, batch: int, count: int, size: int, rng: np.random.Generator) -> _Raw:
        """Images and labels [B, count, size, size] before augmentation, values 0..1, and the masks [B, size, size] of previous predictions."""
        sources = [SOURCES[i] for i in rng.choice(len(SOURCES), batch, p=self.shares)]
        made = []
        for source in sources:
            absent = rng.random() < self.config.absence.share
            made.append(getattr(self, f"_{source}")(count, size, absent, rng))
        images, labels, masks = ([m[i] for m in made] for i in range(3))
        previous = None
        if any(m is not None for m in masks):
            previous = torch.stack([torch.zeros_like(i[0]) if m is None else m for i, m in zip(images, masks, strict=True)])
        return _Raw(torch.stack(images), torch.stack(labels), previous, sources)

    def _real(self, count: int, size: int, absent: bool, rng: np.random.Generator) -> _Made:
        options = self.config.absence
        task = self.sampler.draw(rng)
        foreign = None
        if absent and count > 1 and rng.random() < options.foreign_share:
            foreign = self.sampler.draw_foreign(task, rng)
        elif absent:
            other = self.sampler.draw_absent(rng)
            task, absent = (task, False) if other is None else (other, True)
        if foreign is not None or not absent:
            drawn = draw_slices(task, count, False, options, rng)
        else:
            drawn = draw_slices(task, count, True, options, rng)
            if count == 1 and drawn.neighbour is None:  # nothing would tell what is not there
                drawn = draw_slices(task, count, False, options, rng)
        return self._drawn(task.dataset, task.label, drawn, size, foreign, rng)

    def _drawn(
        self, dataset: Dataset, label: int, drawn: Drawn, size: int, foreign: tuple[Dataset, int] | None, rng: np.random.Generator
    ) -> _Made:
        images = dataset.pictures(drawn.indices, rng)
        masks = np.stack([dataset.mask(i, label) for i in drawn.indices])
        neighbour = drawn.neighbour
        if foreign is not None:
            images, neighbour = images.copy(), None
            images[0], masks[0] = foreign[0].images[foreign[1]], False
        previous = None
        if neighbour is not None:
            previous = self._to_grid(images[:1], dataset.mask(neighbour, label)[None], size)[1][0]
        return *self._to_grid(images, masks, size), previous

    def _superpixel(self, count: int, size: int, absent: bool, rng: np.random.Generator) -> _Made:
        index = rng.integers(len(self.plain))
        mask = pick_superpixel(self.maps[index, rng.integers(self.maps.shape[1])], rng)
        image, label = (x.expand(count, -1, -1).clone() for x in self._to_grid(self.plain[index][None], mask[None], size))
        if absent and count > 1:
            image[0] = self._to_grid(self.plain[rng.integers(len(self.plain))][None], mask[None], size)[0][0]
            label[0] = 0
        return image, label, None

    def _shapes(self, count: int, size: int, absent: bool, rng: np.random.Generator) -> _Made:
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        return *shape_task(count, size, generator, self.device, absent and count > 1), None

    def _to_grid(self, images: np.ndarray, masks: np.ndarray, size: int) -> tuple[Tensor, Tensor]:
        stacked = torch.from_numpy(np.stack([images, masks.astype(np.uint8) * 255])).to(self.device).float() / 255
        if stacked.shape[-1] != size:
            stacked = F.interpolate(stacked, size=(size, size), mode="area")
        # a mask too thin for the grid keeps its heaviest pixels: an empty one would say that nothing is there
        least = stacked[1].amax((-1, -2), keepdim=True).clamp(1e-6, 0.5)
        return stacked[0], (stacked[1] >= least).float()

    def _augment(self, images: Tensor, labels: Tensor, previous: Tensor | None, synthetic: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Table 4 on the synthetic tasks, then 5a on each example, then 5b on each task; a previous mask goes with its target.

        A task whose target's label is lost by it stays as it was drawn; a context entry whose label is lost gives way to another one, since it
        would say that the structure is absent.
        """
        count, raw = images.shape[1], (images, labels, previous)
        # each label with a second channel: the target's previous mask
        marks = labels[:, :, None] if previous is None else torch.stack([labels, F.pad(previous[:, None], (0, 0, 0, 0, 0, count - 1))], 2)
        for augmentation, rows in ((self.synthetic, synthetic), (self.within, torch.ones_like(synthetic))):
            if rows.any():
                done = augmentation(images[rows].flatten(0, 1)[:, None], marks[rows].flatten(0, 1))
                images = images.clone().index_put((rows,), done[0].reshape(-1, *images.shape[1:]))
                marks = marks.clone().index_put((rows,), done[1].reshape(-1, *marks.shape[1:]))
        labels = marks[:, :, 0] if previous is None else torch.cat([marks[:, :, 0], marks[:, :1, 1]], 1)
        images, labels = self.task(images, labels)
        labels, previous = labels[:, :count], None if previous is None else labels[:, count]
        lost = (labels.flatten(2).sum(2) < 3) & raw[1].flatten(2).any(2)
        images, labels = _replace_lost(images, labels, lost)
        keep = (lost[:, 0] | ~labels[:, 1:].flatten(1).any(1) & raw[1][:, 1:].flatten(1).any(1))[:, None, None, None]
        images, labels = torch.where(keep, raw[0], images), torch.where(keep, raw[1], labels)
        if previous is not None:
            previous = _as_logits(torch.where(keep[:, 0], raw[2], previous)[:, None])
        return rescale(images), labels, previous

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


def _replace_lost(images: Tensor, labels: Tensor, lost: Tensor) -> tuple[Tensor, Tensor]:
    """Context entries [B, count, H, W] that are ``lost`` [B, count] become copies of an entry of the same task that shows its label, if any."""
    images, labels = images.clone(), labels.clone()
    shows = labels[:, 1:].flatten(2).any(2)
    for row in torch.nonzero(lost[:, 1:].any(1) & shows.any(1))[:, 0].tolist():
        source = 1 + int(shows[row].float().argmax())
        places = 1 + torch.nonzero(lost[row, 1:])[:, 0]
        images[row, places], labels[row, places] = images[row, source].clone(), labels[row, source].clone()
    return images, labels


def _as_logits(masks: Tensor) -> Tensor:
    """Masks [B, 1, H, W] as a previous prediction would give them: imperfect, soft at the border, more or less sure; zeros for empty masks."""
    shown = masks.flatten(1).any(1)
    if not shown.any():
        return torch.zeros_like(masks)
    noisy = noisy_masks(masks)
    soft = (noisy + erode(noisy) + dilate(noisy)) / 3
    low, high = _SURE
    sure = low + (high - low) * torch.rand(len(masks), 1, 1, 1, device=masks.device)
    return (2 * soft - 1) * sure * shown[:, None, None, None].to(masks)
