"""A change of a mask as a small piece of JSON: where it changed, and which voxels flipped. Applied twice it undoes itself."""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import Any

import numpy as np

from ...core.errors import CohortError
from .checking import fits


def pack_bits(mask: np.ndarray) -> str:
    """A boolean array of any shape as text (bits, deflated, base64)."""
    return base64.b64encode(zlib.compress(np.packbits(np.asarray(mask, bool), axis=None).tobytes(), 6)).decode("ascii")


def unpack_bits(text: str, shape: tuple[int, ...]) -> np.ndarray:
    """Inverse of ``pack_bits``; CohortError where the text doesn't fit the shape.

    Example:
        >>> mask = np.array([[True, False], [True, True]])
        >>> bool((unpack_bits(pack_bits(mask), (2, 2)) == mask).all())
        True
    """
    count = int(np.prod(shape))
    try:
        packed = np.frombuffer(zlib.decompress(base64.b64decode(text, validate=True)), np.uint8)
        return np.unpackbits(packed, count=count).astype(bool).reshape(shape)
    except (ValueError, zlib.error) as error:
        raise CohortError(f"The journal holds a damaged mask ({error}): restore it from a copy.") from error


def pack_map(values: np.ndarray) -> str:
    """Values in 0..1 of any shape as text, in 16 steps (deflated, base64): enough for a picture."""
    steps = np.round(np.clip(np.asarray(values, np.float64), 0, 1) * 15).astype(np.uint8)
    return base64.b64encode(zlib.compress(steps.tobytes(), 9)).decode("ascii")


def unpack_map(text: str, shape: tuple[int, ...]) -> np.ndarray:
    """Inverse of ``pack_map``, float32; CohortError where the text doesn't fit the shape."""
    try:
        steps = np.frombuffer(zlib.decompress(base64.b64decode(text, validate=True)), np.uint8)
        return (steps.reshape(shape) / np.float32(15)).astype(np.float32)
    except (ValueError, zlib.error) as error:
        raise CohortError(f"The journal holds a damaged map ({error}): restore it from a copy.") from error


def change_between(before: np.ndarray, after: np.ndarray) -> dict[str, Any] | None:
    """What turns ``before`` into ``after`` (both [k, j, i], non-zero is inside); None if nothing does."""
    before, after = np.asarray(before), np.asarray(after)
    if before.shape != after.shape:
        raise CohortError(f"A mask changed its size from {before.shape} to {after.shape}: it belongs to another volume.")
    before, after = (mask if mask.dtype == bool else mask != 0 for mask in (before, after))
    if np.array_equal(before, after):
        return None
    flipped = before != after
    box = _bounding_box(flipped)
    if box is None:
        return None
    inner = flipped[tuple(slice(low, high) for low, high in box)]
    return {"shape": list(flipped.shape), "box": [list(b) for b in box], "bits": pack_bits(inner)}


def apply_change(mask: np.ndarray, change: dict[str, Any] | None) -> np.ndarray:
    """A copy of ``mask`` (bool) with the change applied; CohortError if the change is of another volume.

    Example:
        >>> before, after = np.zeros((2, 3, 4), bool), np.zeros((2, 3, 4), bool)
        >>> after[1, 2, 1:3] = True
        >>> change = change_between(before, after)
        >>> change["box"]
        [[1, 2], [2, 3], [1, 3]]
        >>> bool((apply_change(before, change) == after).all())
        True
    """
    result: np.ndarray = np.asarray(mask) != 0
    if change is None:
        return result.copy() if result is mask else result
    if not _is_change(change):
        raise CohortError("The journal holds a damaged change of a mask: restore it from a copy.")
    if list(result.shape) != list(change["shape"]):
        raise CohortError(
            f"A change of a {tuple(change['shape'])} mask can't be applied to one of {result.shape}: the volume was exchanged."
        )
    where = tuple(slice(low, high) for low, high in change["box"])
    result = result.copy()
    result[where] ^= unpack_bits(change["bits"], result[where].shape)
    return result


def _is_change(change: Any) -> bool:
    """Whether a change has its shape, a box within it, and bits."""
    if not isinstance(change, dict):
        return False
    shape: Any = change.get("shape")
    box: Any = change.get("box")
    if not fits(shape, list[int]) or not fits(box, list[list[int]]) or not isinstance(change.get("bits"), str) or len(box) != len(shape):
        return False
    return all(len(side) == 2 and 0 <= side[0] <= side[1] <= size for side, size in zip(box, shape, strict=True))


def mask_sha256(mask: np.ndarray) -> str:
    """A fingerprint of a mask's shape and voxels."""
    bits = np.packbits(np.asarray(mask) != 0, axis=None).tobytes()
    return hashlib.sha256(repr(np.shape(mask)).encode() + bits).hexdigest()


def array_sha256(array: np.ndarray) -> str:
    """A fingerprint of float32 values, to the bit."""
    return hashlib.sha256(np.ascontiguousarray(array, "<f4").tobytes()).hexdigest()


def _bounding_box(flipped: np.ndarray) -> list[tuple[int, int]] | None:
    box = []
    for axis in range(flipped.ndim):
        hit = np.flatnonzero(flipped.any(axis=tuple(a for a in range(flipped.ndim) if a != axis)))
        if not hit.size:
            return None
        box.append((int(hit[0]), int(hit[-1]) + 1))
    return box
