"""Datasets of slices cut from the corpus' 3D volumes: all slices along each axis, those beyond a structure's ends too, so that a training sees
where structures are not. Label maps without images come as they are; ``paint`` gives them made-up contrasts."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from ..core.files import replacing
from ..core.imaging import body_window

SIZE = 128
#: Spacings that differ by more than this are sliced along the coarsest axis alone.
_ISOTROPIC = 2.0
#: Percentiles of a slice that become 0 and 1.
_PERCENTILES = (0.5, 99.5)


def read_slices(path: Path, cache: str | Path | None = None) -> dict[str, np.ndarray]:
    """``cut_volumes`` of a file, kept in the folder ``cache`` under the checksum of its content.

    Raises:
        OSError, ValueError, KeyError, zipfile.BadZipFile: the file is missing or damaged.
    """
    stamp = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    kept = None if cache is None else Path(cache) / f"slices-{path.stem}-{stamp}.npz"
    if kept is not None and kept.is_file():
        with np.load(kept, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive}
    arrays = cut_volumes(path)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with replacing(kept) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **arrays)
    return arrays


def cut_volumes(path: Path) -> dict[str, np.ndarray]:
    """All slices of a file of volumes, as arrays of a dataset; ``gaps`` [N, L] in mm (see ``corpus.Slices``)."""
    parts: dict[str, list[np.ndarray]] = {n: [] for n in ("images", "masks", "areas", "gaps", "stacks", "positions", "views", "subjects")}
    with np.load(path, allow_pickle=False) as archive:
        count = len(archive["label_names"])
        numbers = sorted(n.removeprefix("label_") for n in archive.files if n.startswith("label_") and n != "label_names")
        paint = not any(n.startswith("volume_") for n in archive.files)
        for order, number in enumerate(numbers):
            labels, spacing = archive[f"label_{number}"], archive["spacings"][order].astype(float)
            volume = labels if paint else window_volume(archive[f"volume_{number}"])
            axes = range(3) if spacing.max() / spacing.min() < _ISOTROPIC else [int(spacing.argmax())]
            for axis in axes:
                stack = _stack(volume, labels, spacing, axis, count, paint)
                n = len(stack["images"])
                stack |= {
                    "stacks": np.full(n, order * 3 + axis, np.int32),
                    "positions": np.arange(n, dtype=np.int32),
                    "views": np.full(n, f"axis{axis}"),
                    "subjects": np.full(n, str(archive["subjects"][order])),
                }
                for name, values in stack.items():
                    parts[name].append(values)
        names = archive["label_names"].astype(str)
    return {**{name: np.concatenate(values) for name, values in parts.items()}, "label_names": names, "paint": np.array(paint)}


def window_volume(volume: np.ndarray) -> np.ndarray:
    """float32 0..1; a CT (int16, Hounsfield units) between percentiles inside the body, as the extension shows it; others as they are."""
    values = volume.astype(np.float32)
    if volume.dtype == np.uint8:
        return values / 255
    low, high = body_window(volume)
    return np.clip((values - low) / (high - low), 0, 1)


def _stack(volume: np.ndarray, labels: np.ndarray, spacing: np.ndarray, axis: int, count: int, paint: bool) -> dict[str, np.ndarray]:
    images, drawn = np.moveaxis(volume, axis, 0), torch.from_numpy(np.moveaxis(labels, axis, 0).astype(np.int64))
    in_plane = tuple(np.delete(spacing, axis))
    shown = np.stack([np.moveaxis(labels == k + 1, axis, 0).any((1, 2)) for k in range(count)])  # [L, n]
    masks = np.zeros((len(images), count, SIZE, SIZE // 8), np.uint8)
    areas = np.zeros((len(images), count), np.int64)
    for k in range(count):
        mask = _square((drawn == k + 1).float(), in_plane)
        masks[:, k] = np.packbits((mask >= 0.5).numpy(), axis=-1)
        areas[:, k] = (mask >= 0.5).sum((1, 2)).numpy()
    if paint:
        grid = _square(torch.from_numpy(np.ascontiguousarray(images)).float(), in_plane, "nearest").numpy().astype(np.uint8)
    else:
        grid = np.stack([_to_bytes(s) for s in _square(torch.from_numpy(np.ascontiguousarray(images)).float(), in_plane).numpy()])
    return {"images": grid, "masks": masks, "areas": areas, "gaps": gaps(shown, spacing[axis]).T}


def gaps(shown: np.ndarray, spacing: float) -> np.ndarray:
    """Distance in mm of each slice to the nearest that shows the label, [L, n] from bool [L, n]; 0 where it does, NaN for labels that no slice
    shows (nobody may have looked for them)."""
    index = np.arange(shown.shape[1])
    result = np.full(shown.shape, np.nan, np.float32)
    for row, on in zip(result, shown, strict=True):
        if on.any():
            row[:] = np.abs(index[:, None] - np.flatnonzero(on)[None]).min(1) * spacing
    return result


def _square(stack: torch.Tensor, spacing: tuple[float, float], mode: str = "bilinear") -> torch.Tensor:
    """[n, rows, cols] -> [n, SIZE, SIZE], padded with zeros to a physical square."""
    rows, cols = stack.shape[1] * spacing[0], stack.shape[2] * spacing[1]
    side = max(rows, cols)
    size = [max(1, round(SIZE * extent / side)) for extent in (rows, cols)]
    options = {} if mode == "nearest" else {"align_corners": False, "antialias": True}
    grown = F.interpolate(stack[:, None], size=size, mode=mode, **options)[:, 0]
    top, left = (SIZE - size[0]) // 2, (SIZE - size[1]) // 2
    return F.pad(grown, (left, SIZE - size[1] - left, top, SIZE - size[0] - top))


def _to_bytes(image: np.ndarray) -> np.ndarray:
    low, high = np.percentile(image, _PERCENTILES)
    if high <= low:
        low, high = float(image.min()), float(image.max())
    return np.rint(np.clip((image - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)


def paint(maps: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Images uint8 [n, H, W] for label maps [n, H, W]: a grey level for each structure, common to all up to a jitter, texture and blur; the
    background is dark."""
    levels = rng.uniform(0.15, 1.0, 256) * (rng.uniform(0, 1, 256) > 0.1)
    levels[0] = rng.uniform(0, 0.1)
    images = np.stack([(levels * (1 + 0.06 * rng.standard_normal(256)))[m] for m in maps])
    x = torch.from_numpy(images).float()[:, None]
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    cells = int(rng.integers(24, 64))
    texture = torch.randn(len(maps), 1, cells, cells, generator=generator)
    x = x + F.interpolate(texture, size=x.shape[-2:], mode="bilinear", align_corners=False) * rng.uniform(0, 0.06)
    x = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)[:, 0]
    return (x.clamp(0, 1) * 255).round().numpy().astype(np.uint8)
