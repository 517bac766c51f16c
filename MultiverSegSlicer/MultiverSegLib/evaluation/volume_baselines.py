"""What needs no model: an extruded ellipse, the mean of other cases' masks, and filling between known slices. For ``volume_clicks``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .volume_clicks import VolumeBox, VolumeClick


class ExtrudedEllipse:
    """The ellipse that touches the sides of the box, on all its slices; without a box nothing. Clicks change nothing."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.mask = np.zeros(shape, bool)

    def start(self, box: VolumeBox | None) -> np.ndarray:
        if box is not None:
            slices = np.moveaxis(self.mask, box.axis, 0)
            slices[box.first : box.last + 1] = ellipse(slices.shape[1:], box.low, box.high)
        return self.mask

    def click(self, click: VolumeClick) -> np.ndarray:
        return self.mask


def ellipse(shape: tuple[int, int], low: tuple[int, int], high: tuple[int, int]) -> np.ndarray:
    """bool [rows, cols]: the pixels whose centres lie in the ellipse that touches the outer sides of the box from ``low`` to ``high`` (inside)."""
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    parts = [((x - (a + b) / 2) / ((b - a + 1) / 2)) ** 2 for x, a, b in zip((rows, cols), low, high, strict=True)]
    return parts[0] + parts[1] <= 1


class MeanOfOthers:
    """Where at least half of the other cases' masks are, stretched to this volume's shape; box and clicks change nothing."""

    def __init__(self, masks: Sequence[np.ndarray], shape: tuple[int, int, int]) -> None:
        from scipy import ndimage

        total = np.zeros(shape)
        for mask in masks:
            zoom = np.array(shape) / np.array(mask.shape)
            total += ndimage.zoom(mask.astype(np.float32), zoom, order=1, mode="nearest", grid_mode=True)
        self.mask = total >= len(masks) / 2 if len(masks) else np.zeros(shape, bool)

    def start(self, box: VolumeBox | None) -> np.ndarray:
        return self.mask

    def click(self, click: VolumeClick) -> np.ndarray:
        return self.mask
