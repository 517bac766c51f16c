"""When images with positions in the patient form one volume: the same checks for the files of a series and the frames of a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import MultiverSegError, VolumeError
from .paths import reason_of


@contextmanager
def refusing(path: Path, error: type[MultiverSegError]) -> Iterator[None]:
    """Turn what pydicom raises at damaged files into ``error``; it reads elements when they are asked for, and raises almost anything."""
    try:
        yield
    except MultiverSegError:
        raise
    except Exception as reason:
        raise error(f"{path} can't be read as DICOM ({type(reason).__name__}: {reason_of(reason)}).") from reason


def numbers_of(value: Any, count: int) -> tuple[float, ...] | None:
    """``count`` finite numbers of a DICOM element; None if they are missing, too few, or no numbers."""
    try:
        found = tuple(float(v) for v in value)
    except (TypeError, ValueError):
        return None
    return found if len(found) == count and np.isfinite(found).all() else None


def normal_of(orientation: np.ndarray, where: Path) -> np.ndarray:
    """Unit normal (LPS) of an ImageOrientationPatient [6].

    Raises:
        VolumeError: its two directions are not perpendicular ones.
    """
    row, column = orientation[:3], orientation[3:]
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if min(lengths) < 0.5 or abs(row @ column) > 0.05 * lengths[0] * lengths[1]:
        raise VolumeError(f"{where} holds DICOM images whose orientation can't be true ({', '.join(f'{v:g}' for v in orientation)}).")
    normal = np.cross(row, column)
    return normal / np.linalg.norm(normal)


def check_stack(positions: np.ndarray, orientations: np.ndarray, spacings: np.ndarray, where: Path) -> np.ndarray:
    """The order of images along their normal.

    Args:
        positions: [n, 3], ImagePositionPatient.
        orientations: [n, 6], ImageOrientationPatient.
        spacings: [n, 2], PixelSpacing.
        where: file or folder, for the messages.

    Raises:
        VolumeError: they don't form one evenly spaced, straight stack of equal images.
    """
    if np.abs(orientations - orientations[0]).max() > 1e-3:
        raise VolumeError(f"{where} holds DICOM images of different orientations or sizes in one series: it is no single volume.")
    if np.abs(spacings - spacings[0]).max() > 1e-3 * spacings[0].max() or spacings.min() <= 0:
        raise VolumeError(
            f"{where} holds DICOM images with different PixelSpacing ({spacings.min():g} to {spacings.max():g} mm): it is no single volume."
        )
    normal = normal_of(orientations[0], where)
    order = np.argsort(positions @ normal, kind="stable")
    if len(positions) > 1:
        _check_steps(positions[order], normal, where)
    return order


def _check_steps(positions: np.ndarray, normal: np.ndarray, where: Path) -> None:
    """Positions [n, 3] in order: one step, along the normal, from each slice to the next."""
    steps = np.diff(positions @ normal)
    if steps.min() < 1e-3 * max(float(np.median(steps)), 1e-6):
        raise VolumeError(f"{where} holds several DICOM images at one position (time points or echoes): give one 3D volume.")
    middle = float(np.median(steps))
    if np.abs(steps - middle).max() > max(0.02 * middle, min(0.01, 0.1 * middle)):
        raise VolumeError(f"{where} holds unevenly spaced DICOM slices ({steps.min():.2f} to {steps.max():.2f} mm): is a file missing?")
    sideways = positions - positions[0]
    sideways = np.linalg.norm(sideways - np.outer(sideways @ normal, normal), axis=1)
    if sideways.max() > 0.1 * middle + 0.01:
        raise VolumeError(f"{where} was acquired with a tilted gantry: convert it to a straight volume first.")
