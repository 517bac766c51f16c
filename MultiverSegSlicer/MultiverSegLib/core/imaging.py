"""How intensities become what the network reads: scaling to 0..1, field of view, and the same for plain 2D arrays without a volume.

The published networks were trained on slices padded with zeros to a square, resized to 128 x 128 with anti-aliasing and scaled to 0..1 by the
minimum and maximum of the slice (papers: MultiverSeg appendix B.1, ScribblePrompt, UniverSeg). Here the padding is zero *after* the scaling, that
is the darkest value of the slice: zero Hounsfield units would be brighter than the air around the patient.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from .errors import MultiverSegError, VolumeError
from .grid import place_grid
from .sheet import Sheet

SCALINGS = ("minmax", "window", "percentiles")
FIELDS_OF_VIEW = ("whole", "fixed", "roi")

#: Windows (low, high) in Hounsfield units.
CT_PRESETS: dict[str, tuple[float, float]] = {
    "abdomen": (-160.0, 240.0),
    "liver": (-45.0, 105.0),
    "lung": (-1350.0, 150.0),
    "mediastinum": (-125.0, 225.0),
    "bone": (-450.0, 1050.0),
    "brain": (0.0, 80.0),
    "angiography": (-50.0, 550.0),
}


@dataclass(frozen=True)
class ImageSettings:
    """How a structure's slices are shown to the network; stored with its context, so that target and context can't disagree.

    Attributes:
        scaling: "minmax" (of the slice in the field of view), "window" (clip to ``window``) or "percentiles" (clip to ``percentiles`` of the slice).
        window: (low, high) intensities, for "window".
        percentiles: (low, high) in 0..100, for "percentiles".
        field_of_view: "whole" (the slice, padded to a square), "fixed" (``fov_mm`` around the slice's centre) or "roi" (the square around ``roi``).
        fov_mm: side in mm, for "fixed".
        roi: ((R, A, S) centre, (R, A, S) size) in mm, for "roi".
    """

    scaling: str = "minmax"
    window: tuple[float, float] | None = None
    percentiles: tuple[float, float] = (0.5, 99.5)
    field_of_view: str = "whole"
    fov_mm: float | None = None
    roi: tuple[tuple[float, float, float], tuple[float, float, float]] | None = None

    def __post_init__(self) -> None:
        if self.scaling not in SCALINGS:
            raise MultiverSegError(f"Unknown intensity scaling {self.scaling!r}: use one of {', '.join(SCALINGS)}.")
        if self.field_of_view not in FIELDS_OF_VIEW:
            raise MultiverSegError(f"Unknown field of view {self.field_of_view!r}: use one of {', '.join(FIELDS_OF_VIEW)}.")
        if self.scaling == "window":
            self._set("window", self._pair(self.window, "window"))
        percentiles = self._pair(self.percentiles, "pair of percentiles")
        if not 0 <= percentiles[0] < percentiles[1] <= 100:
            raise MultiverSegError(f"Percentiles must be between 0 and 100, got {self.percentiles}.")
        self._set("percentiles", percentiles)
        if self.field_of_view == "fixed" and not (self.fov_mm and np.isfinite(self.fov_mm) and self.fov_mm > 0):
            raise MultiverSegError(f"A fixed field of view needs a side of more than 0 mm, got {self.fov_mm!r}.")
        if self.field_of_view == "roi":
            roi = np.asarray(self.roi if self.roi is not None else np.nan, float)
            if roi.shape != (2, 3) or not np.isfinite(roi).all() or not (roi[1] >= 0).all():
                raise MultiverSegError(f"An ROI needs a centre and a size of three coordinates each, in mm, got {self.roi!r}.")
            self._set("roi", tuple(tuple(float(v) for v in part) for part in roi))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @staticmethod
    def _pair(value: Any, what: str) -> tuple[float, float]:
        pair = np.asarray(value if value is not None else np.nan, float)
        if pair.shape != (2,) or not np.isfinite(pair).all() or not pair[0] < pair[1]:
            raise MultiverSegError(f"A {what} needs two numbers, low before high, got {value!r}.")
        return float(pair[0]), float(pair[1])

    @staticmethod
    def ct(preset: str) -> ImageSettings:
        """Settings with one of the ``CT_PRESETS``."""
        if preset not in CT_PRESETS:
            raise MultiverSegError(f"Unknown CT window {preset!r}: use one of {', '.join(CT_PRESETS)}.")
        return ImageSettings(scaling="window", window=CT_PRESETS[preset])

    def with_(self, **changes: Any) -> ImageSettings:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Plain lists and numbers, readable by ``from_json``."""
        return asdict(self)

    @staticmethod
    def from_json(data: Any) -> ImageSettings:
        """Inverse of ``to_json``; missing fields take their defaults.

        Raises:
            MultiverSegError: unknown or malformed fields.
        """
        if not isinstance(data, dict):
            raise MultiverSegError("Image settings must be an object.")
        try:
            return ImageSettings(**data)
        except (TypeError, ValueError) as error:
            raise MultiverSegError(f"Malformed image settings: {error}.") from error


#: A volume with darker voxels is a CT: air has -1000 Hounsfield units, fat -100; other modalities have nothing below zero by so much.
_CT_HU = -250.0
_LOOKED_AT = 1_000_000


def looks_like_ct(array: np.ndarray) -> bool:
    """Whether the intensities are Hounsfield units, as far as they tell."""
    return bool(_some(array).min(initial=0) < _CT_HU)


def suggest_settings(array: np.ndarray) -> ImageSettings:
    """How the slices of a volume are best shown to the network, for a new structure: a CT in a window that holds its body (the percentiles of
    what is denser than air and lung), anything else between the percentiles of each slice. The trainings did the same."""
    if not looks_like_ct(array):
        return ImageSettings(scaling="percentiles")
    return ImageSettings(scaling="window", window=body_window(array))


def body_window(array: np.ndarray) -> tuple[float, float]:
    """(low, high) of a CT in Hounsfield units, rounded to tens: the percentiles inside the body."""
    values = _some(array)
    body = values[values > _CT_HU]
    low, high = np.percentile(body if body.size else values, ImageSettings().percentiles)
    low, high = 10 * np.floor(low / 10), 10 * np.ceil(high / 10)
    return float(low), float(max(high, low + 10))


def _some(array: np.ndarray) -> np.ndarray:
    """A part of the finite voxels, evenly spread."""
    values = np.asarray(array).reshape(-1)[:: max(1, array.size // _LOOKED_AT)].astype(np.float64)
    return values[np.isfinite(values)]


def scale_to_unit(slice2d: np.ndarray, settings: ImageSettings | None = None, coverage: np.ndarray | None = None) -> np.ndarray:
    """Scale a slice to 0..1.

    Args:
        slice2d: 2D array of any number type. Values that are not finite become 0; they don't influence the others.
        settings: the scaling; None: min-max.
        coverage: same shape, 0..1: the part of each pixel that holds data. Uncovered pixels are padding: 0, and not counted in the scaling.

    Returns:
        float32 of the same shape; zeros if the slice is constant (or holds nothing).
    """
    settings = settings or ImageSettings()
    values = np.asarray(slice2d, dtype=np.float64)
    counted = np.isfinite(values)
    if coverage is not None:
        counted &= coverage > 0
    if not counted.any():
        return np.zeros(values.shape, np.float32)
    low, high = _limits(values[counted], settings)
    # halves, since the difference of two float64 may overflow; the smallest span keeps denormals from dividing by zero
    span = high / 2 - low / 2
    if not span > np.finfo(np.float64).tiny:
        return np.zeros(values.shape, np.float32)
    unit = np.clip((np.where(counted, values, low) / 2 - low / 2) / span, 0, 1)
    if coverage is not None:
        unit *= coverage
    return unit.astype(np.float32)


def _limits(values: np.ndarray, settings: ImageSettings) -> tuple[float, float]:
    if settings.window is not None and settings.scaling == "window":
        return settings.window
    if settings.scaling == "percentiles":
        low, high = np.percentile(values, settings.percentiles)
        if high > low:
            return float(low), float(high)
    return float(values.min()), float(values.max())


def sample_image(array: np.ndarray, sheet: Sheet, settings: ImageSettings | None = None) -> np.ndarray:
    """The image on the sheet's grid, float32 [n, n] in 0..1, of a scalar ``array`` [k, j, i] whose ``sheet`` lies under the grid.

    Raises:
        VolumeError: the plane does not meet the volume, or only voxels without a finite value.
    """
    settings = settings or ImageSettings()
    values, valid = sheet.interpolate(array)
    if settings.window is not None and settings.scaling == "window":
        # before the averaging: metal must not brighten its neighbours beyond the window
        values = np.clip(values, *settings.window)
    mean, coverage = sheet.to_grid(values, None if valid.all() else valid)
    if not coverage.any():
        if sheet.empty:
            raise VolumeError("The plane does not meet the volume: move the slice or the field of view into the image.")
        return np.zeros(mean.shape, np.float32)
    return scale_to_unit(mean, settings, coverage)


def slice_sheet(shape: tuple[int, int], spacing: tuple[float, float] = (1.0, 1.0), fov_mm: float | None = None) -> Sheet:
    """The sheet of a plain 2D image of ``shape`` (rows, cols), without a volume, padded to a square or cut to ``fov_mm``.

    Args:
        spacing: (mm per row, mm per column).
    """
    ijk_to_ras = np.diag([-spacing[1], -spacing[0], 1.0, 1.0])  # columns to L, rows to P: the grid keeps the image as it is
    dimensions = (shape[1], shape[0], 1)
    return Sheet.of(ijk_to_ras, dimensions, place_grid(ijk_to_ras, dimensions, np.zeros(3), np.array([0, 0, 1.0]), fov_mm))


def image_to_grid(slice2d: np.ndarray, spacing: tuple[float, float] = (1.0, 1.0), settings: ImageSettings | None = None) -> np.ndarray:
    """Image on the grid, float32 [128, 128] in 0..1, of a 2D array [row, col]; the same code as for a slice of a volume.

    Args:
        spacing: (mm per row, mm per column).
    """
    settings = settings or ImageSettings()
    fov_mm = settings.fov_mm if settings.field_of_view == "fixed" else None
    return sample_image(np.asarray(slice2d)[None], slice_sheet(np.shape(slice2d), spacing, fov_mm), settings)
