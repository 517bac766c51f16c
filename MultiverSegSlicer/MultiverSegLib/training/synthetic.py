"""Tasks that nobody labelled: superpixels of real images (MultiverSeg B.2) and fully synthetic shapes (section 4, "Synthetic Data").

Both give m + 1 *copies* of one example; table 4's augmentation (``augment.SYNTHETIC``) then makes them differ.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.files import replacing


def superpixel_maps(images: np.ndarray, scales: np.ndarray, min_size: int = 30) -> np.ndarray:
    """Felzenszwalb superpixels of ``images`` uint8 [N, H, W], one scale lambda each: uint16 [N, H, W], values from 0."""
    from skimage.segmentation import felzenszwalb

    return np.stack(
        [felzenszwalb(i / 255.0, scale=float(s), sigma=0.8, min_size=min_size) for i, s in zip(images, scales, strict=True)]
    ).astype(np.uint16)


def cached_superpixels(
    images: np.ndarray, cache: str | Path | None, per_image: int = 2, scale: tuple[float, float] = (1.0, 500.0), seed: int = 0
) -> np.ndarray:
    """``per_image`` maps of each image, uint16 [N, per_image, H, W], read from the ``cache`` folder if they were made before.

    The file's name follows from the images and the options, so a changed corpus never meets old maps.
    """
    key = hashlib.sha256(images.tobytes() + repr((per_image, scale, seed, images.shape)).encode()).hexdigest()[:16]
    path = None if cache is None else Path(cache) / f"superpixels-{key}.npy"
    if path is not None and path.is_file():
        return np.load(path, mmap_mode="r")
    rng = np.random.default_rng(seed)
    maps = np.stack([superpixel_maps(images, rng.uniform(*scale, len(images))) for _ in range(per_image)], axis=1)
    if path is not None:
        with replacing(path) as temporary:
            np.save(temporary, maps)
    return maps


def pick_superpixel(labels: np.ndarray, rng: np.random.Generator, min_area: int = 40, max_share: float = 0.6) -> np.ndarray:
    """One superpixel of ``labels`` [H, W] as bool [H, W], drawn among those of a usable size (the largest one if none is)."""
    sizes = np.bincount(labels.ravel())
    usable = np.flatnonzero((sizes >= min_area) & (sizes <= max_share * labels.size))
    return labels == (rng.choice(usable) if len(usable) else sizes.argmax())


def _field(n: int, k: int, cells: int, size: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Smooth noise [n, k, size, size] of about unit standard deviation with ``cells`` bumps along a side."""
    coarse = torch.randn(n, k, cells, cells, generator=generator).to(device)
    return F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=False) * 1.3


def shape_task(
    copies: int, size: int, generator: torch.Generator, device: torch.device | str = "cpu", absent: bool = False
) -> tuple[Tensor, Tensor]:
    """One fully synthetic task: images [copies, size, size] 0..1 and labels [copies, size, size] 0/1.

    Random smooth regions (in half of the tasks at the same place in each copy, as anatomy is; otherwise anywhere, as cells or lesions are)
    get an intensity and a texture each, common to the task, and every copy is re-imaged with its own jitter, texture and bias field.
    ``absent``: the first copy lacks the region in question; its neighbours take its place.
    """
    device = torch.device(device)

    def draw(low: float, high: float) -> float:
        return float(torch.rand((), generator=generator)) * (high - low) + low

    regions, cells, anywhere = int(draw(2, 9)), int(draw(3, 14)), draw(0, 1) < 0.5
    fields = _field(copies if anywhere else 1, regions, cells, size, generator, device)
    levels = torch.randn(regions, generator=generator).to(device) * 0.7
    labels = (fields + levels[None, :, None, None]).argmax(1).expand(copies, size, size)
    shares = torch.bincount(labels.reshape(-1), minlength=regions).float() / labels.numel()
    usable = torch.where((shares > 0.004) & (shares < 0.6), shares.clamp_min(0.05), torch.zeros_like(shares)).cpu()
    if not usable.any():
        usable = shares.cpu()
    chosen = int(torch.multinomial(usable, 1, generator=generator))
    if absent:
        without = fields[0] + levels[:, None, None]
        without[chosen] = -torch.inf
        labels = labels.clone()
        labels[0] = without.argmax(0)

    means = torch.rand(regions, generator=generator).to(device)
    jitter = torch.randn(copies, regions, generator=generator).to(device) * draw(0.0, 0.08)
    images = (means[None] + jitter).gather(1, labels.reshape(copies, -1)).reshape(copies, size, size)
    amplitudes = torch.rand(regions, generator=generator).to(device) * draw(0.0, 0.35)
    texture = _field(copies, 1, int(draw(12, size // 2)), size, generator, device)[:, 0]
    images = images + texture * amplitudes[labels]
    bias = _field(copies, 1, 3, size, generator, device)[:, 0]
    images = images * (1 + draw(0.0, 0.3) * bias)
    low, high = images.amin((-1, -2), keepdim=True), images.amax((-1, -2), keepdim=True)
    return (images - low) / (high - low).clamp_min(1e-6), (labels == chosen).float()
