"""Filling between segmented slices without a model: what propagation is compared with."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from itertools import pairwise

import numpy as np

from ..core.errors import CohortError


def fill_by_distance(slices: Mapping[int, np.ndarray], count: int, spacing: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """Shape-based interpolation (Raya and Udupa, IEEE TMI 9, 1990): signed distances of neighbouring given slices, blended linearly.

    Args:
        slices: masks [rows, cols] by slice index; slices before the first and behind the last stay empty.
        count: number of slices.
        spacing: pixel size (row, col) in mm.

    Returns:
        bool [count, rows, cols].
    """
    known = sorted(slices)
    volume = np.zeros((count, *np.shape(slices[known[0]])), bool)
    distances = {index: _signed_distance(np.asarray(slices[index]) != 0, spacing) for index in known}
    for low, high in pairwise(known):
        for index in range(low + 1, high):
            weight = (high - index) / (high - low)
            volume[index] = weight * distances[low] + (1 - weight) * distances[high] < 0
    for index in known:
        volume[index] = np.asarray(slices[index]) != 0
    return volume


def fill_by_morphology(slices: Mapping[int, np.ndarray], count: int) -> np.ndarray:
    """Morphological contour interpolation (Zukić et al., Insight Journal 2016) by ITK's remote module; as ``fill_by_distance``.

    Raises:
        CohortError: the package itk-morphologicalcontourinterpolation is not installed, or it crashed.
    """
    known = sorted(slices)
    volume = np.zeros((count, *np.shape(slices[known[0]])), np.uint8)
    for index in known:
        volume[index] = np.asarray(slices[index]) != 0
    try:
        return _other_process().submit(_interpolate, volume).result()
    except BrokenProcessPool as error:
        _other_process.cache_clear()
        raise CohortError("Morphological interpolation crashed in its process; signed distances need no such package.") from error


@lru_cache(maxsize=1)
def _other_process() -> ProcessPoolExecutor:
    """Where the package runs: it damages the memory of its process (version 2.1.2 with ITK 5.4), which then dies sooner or later."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


def _interpolate(volume: np.ndarray) -> np.ndarray:
    try:
        import itk

        interpolator = itk.MorphologicalContourInterpolator
    except (ImportError, AttributeError) as error:
        raise CohortError("Morphological interpolation needs the Python package itk-morphologicalcontourinterpolation.") from error
    filled = interpolator.New(Input=itk.image_from_array(volume), Axis=2, HeuristicAlignment=True)
    filled.Update()
    return itk.array_from_image(filled.GetOutput()) != 0


def _signed_distance(mask: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """Distance in mm to the border, negative inside; far outside everywhere for an empty mask."""
    from scipy import ndimage

    if not mask.any():
        return np.full(mask.shape, float(np.hypot(*(n * s for n, s in zip(mask.shape, spacing, strict=True)))))
    outside = ndimage.distance_transform_edt(~mask, sampling=spacing)
    return outside - ndimage.distance_transform_edt(mask, sampling=spacing)
