"""Resampling of 3D arrays with anti-aliasing: what ``resample`` does to images, one dimension up.

A mapping between parallel grids becomes three passes along the axes; any other one (a sheared volume) costs a gather per sample.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from .resample import STRAIGHT, LinearWeights, linear_weights, samples_for

_SLICES = 16  # that are converted to float64 at once: a large volume of small integers stays small
_MOST = 8  # samples per cell and direction of a sheared volume, beyond which voxels are skipped
_EDGE = 1e-6  # in cells: rounding errors don't decide whether a sample on the edge is inside


def resample_volume(
    values: np.ndarray, mapping: np.ndarray, shape: tuple[int, int, int], valid: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Average of ``values`` under each output cell, and which part of it is covered.

    Args:
        values: [a, b, c], finite where valid.
        mapping: [3, 4], maps the output's indices (a, b, c, 1) to the input's; centres at integers on both sides.
        shape: of the output.
        valid: [a, b, c] bool; cells that hold no data don't count. None: all are valid.

    Returns:
        mean, coverage: of ``shape``, float64; the mean is 0 where the coverage is 0.
    """
    weigh = _along_axes(mapping, values.shape, shape) or _gathering(mapping, values.shape, shape)
    data = values if valid is None else np.where(valid, values, 0)
    total = weigh(data)
    coverage = weigh(None if valid is None or valid.all() else valid)
    covered = coverage > _EDGE
    mean = np.divide(total, coverage, out=np.zeros(shape), where=covered)
    return mean, np.where(covered, coverage, 0.0)


def _along_axes(mapping: np.ndarray, size: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """A function from values (None: ones) to sums of weighted values, if each input axis follows one output axis; else None."""
    drift = np.abs(mapping[:, :3]) * shape
    order = [int(np.argmax(row)) for row in drift]  # input axis -> output axis
    rest = drift.copy()
    rest[range(3), order] = 0
    if len(set(order)) < 3 or rest.max() >= STRAIGHT:
        return None
    middle = (np.asarray(shape) - 1) / 2
    weights = []
    for axis, follows in enumerate(order):
        others = [n for n in range(3) if n != follows]
        first = mapping[axis, 3] + mapping[axis, others] @ middle[others]
        weights.append(linear_weights(size[axis], mapping[axis, follows], first, shape[follows]))
    to_output = np.argsort(order)

    def weigh(values: np.ndarray | None) -> np.ndarray:
        if values is None:
            sums = [weights[axis].sums for axis in to_output]
            return sums[0][:, None, None] * sums[1][:, None] * sums[2]
        parts = []
        for start in range(0, values.shape[2], _SLICES):
            block = np.asarray(values[:, :, start : start + _SLICES], np.float64)
            parts.append(_apply(weights[1], _apply(weights[0], block, 0), 1))
        return _apply(weights[2], np.concatenate(parts, axis=2), 2).transpose(to_output)

    return weigh


def _apply(weights: LinearWeights, values: np.ndarray, axis: int) -> np.ndarray:
    """Weighted sums of ``values`` along one axis."""
    moved = np.moveaxis(values, axis, 0)
    return np.moveaxis(weights.apply(moved.reshape(len(moved), -1)).reshape(-1, *moved.shape[1:]), 0, axis)


def _gathering(mapping: np.ndarray, size: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """The same for any mapping."""
    counts = [samples_for(float(np.linalg.norm(mapping[:, axis])), _MOST) for axis in range(3)]
    limit = np.asarray(size)
    strides = np.array([size[1] * size[2], size[2], 1])

    def weigh(values: np.ndarray | None) -> np.ndarray:
        flat = None if values is None else np.ascontiguousarray(values, dtype=np.float64).ravel()
        total = np.zeros(shape)
        row, col = np.indices(shape[1:])
        for slab, *sub in product(range(shape[0]), *map(range, counts)):
            a, b, c = ((n + 0.5) / count - 0.5 for n, count in zip(sub, counts, strict=True))
            where = np.stack([np.full(shape[1:], slab + a), row + b, col + c], axis=-1) @ mapping[:, :3].T + mapping[:, 3]
            inside = ((where >= -0.5 - _EDGE) & (where <= limit - 0.5 + _EDGE)).all(axis=-1)
            if flat is None:
                total[slab] += inside
                continue
            where = np.clip(where, 0, limit - 1)
            low = np.minimum(where.astype(int), np.maximum(limit - 2, 0))
            part, here = where - low, low @ strides
            for corner in product((0, 1), repeat=3):
                weight = np.prod(np.where(corner, part, 1 - part), axis=-1)
                total[slab] += inside * weight * flat[here + (np.asarray(corner) * (limit > 1)) @ strides]
        return total / np.prod(counts)

    return weigh
