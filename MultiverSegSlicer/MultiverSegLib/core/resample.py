"""Resampling of 2D arrays with anti-aliasing: linear interpolation, averaged over the area of each output pixel.

The average is the midpoint rule with as many samples per output pixel as there are input pixels under it, so that no input pixel is skipped
when the grid is coarser than the image, and plain (bi)linear interpolation when it is finer. Outside of the input there is nothing: outputs
come with the covered fraction of their area. An axis-aligned mapping becomes two passes along the axes; any other mapping costs a gather per sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Samples per output pixel and direction beyond which input pixels are skipped: images of 500,000 pixels, or tilted ones of 8,000, are no images
# of a patient but headers that can't be true, and must not take all memory or for ever.
_MOST_STRAIGHT, _MOST_ANY = 4096, 64
_EDGE = 1e-6  # in pixels: rounding errors don't decide whether a sample on the edge is inside
#: In pixels over the whole output: how far a mapping may drift and still be axis-aligned.
STRAIGHT = 1e-3


def resample(
    values: np.ndarray,
    mapping: np.ndarray,
    shape: tuple[int, int],
    valid: np.ndarray | None = None,
    shift: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Average of ``values`` under each output pixel, and which part of it is covered.

    Args:
        values: [y, x], finite where valid.
        mapping: [2, 3], maps the output's (col, row, 1) to the input's (x, y); pixel centres at integers on both sides.
        shape: (rows, cols) of the output.
        valid: [y, x] bool; pixels that hold no data don't count. None: all are valid.
        shift: [2, rows, cols], added to the (x, y) of ``mapping``; None: nothing.

    Returns:
        mean, coverage: [rows, cols] float64; the mean is 0 where the coverage is 0.
    """
    straight = _straight_axes(mapping, shape) if shift is None else None
    data = values if valid is None else np.where(valid, values, 0)
    total, coverage = _weigh(data, mapping, shape, straight, shift)
    if valid is not None and not valid.all():
        coverage = _weigh(valid.astype(np.float64), mapping, shape, straight, shift)[0]
    covered = coverage > _EDGE
    mean = np.divide(total, coverage, out=np.zeros(shape), where=covered)
    return mean, np.where(covered, coverage, 0.0)


def _weigh(
    values: np.ndarray, mapping: np.ndarray, shape: tuple[int, int], straight: str | None, shift: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """(sum of weighted values, sum of weights) of each output pixel."""
    if straight is not None:
        return _weigh_straight(values, mapping, shape, straight)
    return _weigh_any(values, mapping, shape, np.zeros((2, 1, 1)) if shift is None else shift)


def _straight_axes(mapping: np.ndarray, shape: tuple[int, int]) -> str | None:
    """ "same" if x depends on the column only and y on the row only, "swapped" if the other way round, else None."""
    drift = np.abs(mapping[:, :2]) * (shape[1], shape[0])
    if max(drift[0, 1], drift[1, 0]) < STRAIGHT:
        return "same"
    if max(drift[0, 0], drift[1, 1]) < STRAIGHT:
        return "swapped"
    return None


def samples_for(step: float, most: int) -> int:
    """How many samples average an output pixel that is ``step`` input pixels wide; ``most`` at the most."""
    return int(min(max(1, np.ceil(abs(step) - STRAIGHT)), most))


@dataclass(frozen=True)
class LinearWeights:
    """Weights of the input's values for each output pixel along one axis, as ``samples`` pairs of neighbours.

    Attributes:
        length: number of input values.
        low: [samples, count] int: index of the first neighbour of each sample; the second is the next one, or the same at the end.
        first, second: [samples, count] float64: their weights.
    """

    length: int
    low: np.ndarray
    first: np.ndarray
    second: np.ndarray

    @property
    def count(self) -> int:
        """Number of output pixels."""
        return self.low.shape[1]

    @property
    def sums(self) -> np.ndarray:
        """[count] float64: the weights' sum for each output pixel, 1 where it is covered by the input."""
        return (self.first + self.second).sum(axis=0)

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Weighted sums of ``values`` [length, n] along its first axis: [count, n] float64."""
        total = np.zeros((self.count, values.shape[1]))
        part = np.empty_like(total)  # new memory for each sample would take longer than its sums
        high = np.minimum(self.low + 1, self.length - 1)
        for index, weight in ((self.low, self.first), (high, self.second)):
            for sample in range(len(self.low)):
                np.take(values, index[sample], axis=0, out=part, mode="clip")
                total += np.multiply(part, weight[sample, :, None], out=part)
        return total


def linear_weights(length: int, step: float, first: float, count: int) -> LinearWeights:
    """Output pixel n averages the linear interpolation of ``length`` values over ``step`` of them around ``first + step * n``.

    Example:
        >>> linear_weights(length=4, step=2.0, first=0.5, count=2).apply(np.eye(4))
        array([[0.5, 0.5, 0. , 0. ],
               [0. , 0. , 0.5, 0.5]])
    """
    samples = samples_for(step, _MOST_STRAIGHT)
    offsets = (np.arange(samples) + 0.5) / samples - 0.5
    positions = first + step * (np.arange(count) + offsets[:, None])
    inside = (positions >= -0.5 - _EDGE) & (positions <= length - 0.5 + _EDGE)
    positions = np.clip(positions, 0, length - 1)
    low = np.minimum(np.floor(positions).astype(int), max(length - 2, 0))
    part = positions - low
    return LinearWeights(length, low, inside * (1 - part) / samples, inside * part / samples)


def _both(along_rows: LinearWeights, values: np.ndarray, along_cols: LinearWeights) -> tuple[np.ndarray, np.ndarray]:
    """Weighted sums of ``values`` along its rows and its columns, and the sums of the weights."""
    values = np.ascontiguousarray(values, np.float64)
    if along_rows.count < along_rows.length:  # the larger array is not turned
        total = along_cols.apply(np.ascontiguousarray(along_rows.apply(values).T)).T
    else:
        total = along_rows.apply(np.ascontiguousarray(along_cols.apply(np.ascontiguousarray(values.T)).T))
    return total, np.outer(along_rows.sums, along_cols.sums)


def _weigh_straight(values: np.ndarray, mapping: np.ndarray, shape: tuple[int, int], axes: str) -> tuple[np.ndarray, np.ndarray]:
    rows, cols = shape
    if axes == "same":
        along_x = linear_weights(values.shape[1], mapping[0, 0], mapping[0, 2] + mapping[0, 1] * (rows - 1) / 2, cols)
        along_y = linear_weights(values.shape[0], mapping[1, 1], mapping[1, 2] + mapping[1, 0] * (cols - 1) / 2, rows)
        return _both(along_y, values, along_x)
    along_x = linear_weights(values.shape[1], mapping[0, 1], mapping[0, 2] + mapping[0, 0] * (cols - 1) / 2, rows)
    along_y = linear_weights(values.shape[0], mapping[1, 0], mapping[1, 2] + mapping[1, 1] * (rows - 1) / 2, cols)
    return _both(along_x, values.T, along_y)


def _weigh_any(values: np.ndarray, mapping: np.ndarray, shape: tuple[int, int], shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    height, width = values.shape
    flat = np.ascontiguousarray(values, dtype=np.float64).ravel()
    along_cols, along_rows = (samples_for(float(np.linalg.norm(mapping[:, axis])), _MOST_ANY) for axis in (0, 1))
    cols, rows = np.arange(shape[1])[None, :], np.arange(shape[0])[:, None]
    total, coverage = np.zeros(shape), np.zeros(shape)
    for a in range(along_cols):
        for b in range(along_rows):
            col, row = cols + (a + 0.5) / along_cols - 0.5, rows + (b + 0.5) / along_rows - 0.5
            x = mapping[0, 0] * col + mapping[0, 1] * row + mapping[0, 2] + shift[0]
            y = mapping[1, 0] * col + mapping[1, 1] * row + mapping[1, 2] + shift[1]
            inside = (x >= -0.5 - _EDGE) & (x <= width - 0.5 + _EDGE) & (y >= -0.5 - _EDGE) & (y <= height - 0.5 + _EDGE)
            x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
            x0, y0 = np.minimum(x.astype(int), max(width - 2, 0)), np.minimum(y.astype(int), max(height - 2, 0))
            fx, fy = x - x0, y - y0
            here, right, below = y0 * width + x0, int(width > 1), width * int(height > 1)
            top = flat[here] * (1 - fx) + flat[here + right] * fx
            bottom = flat[here + below] * (1 - fx) + flat[here + below + right] * fx
            total += inside * (top * (1 - fy) + bottom * fy)
            coverage += inside
    return total / (along_cols * along_rows), coverage / (along_cols * along_rows)
