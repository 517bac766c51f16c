"""Examples of a context as a model reads them: on its own grid; those that it can't read are left out, and a sentence says so."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from ..errors import ContextError
from ..grid import GRID_SIZE
from ..predicting import Capabilities, ShownExample
from ..resample import resample
from .example import Example


def show(examples: Iterable[Example | ShownExample], able: Capabilities) -> tuple[tuple[ShownExample, ...], str]:
    """The examples on the model's grid, and what the user should know about those that were left out ("": nothing). Those that are on it already
    stay as they are.

    Raises:
        ContextError: slices for a model of volumes; or a file of an example is missing or damaged.
    """
    given = list(examples)
    if given and able.context == "none":
        return (), f"{able.model} reads no examples: {_count(len(given))} left out"
    if able.dims != 2 and any(isinstance(e, Example) for e in given):
        raise ContextError(f"{able.model} works on volumes and can't read examples of slices: give it examples of volumes.")
    used = [e for e in given if _readable(e, able)]
    notice = ""
    if len(used) < len(given):
        lacking = "masks" if able.context == "masks" else "masks or prompts of another kind"
        notice = f"{able.model} needs {lacking}: {len(given) - len(used)} of {len(given)} examples have none and were left out"
    return tuple(_shown(e, able.size) for e in used), notice


def _readable(example: Example | ShownExample, able: Capabilities) -> bool:
    weak = example.weak if isinstance(example, Example) else example.mask is None  # which reads no pixels of a stored example
    return able.reads_example(not weak, example.prompts if weak and able.context == "prompts" else None)


def _count(number: int) -> str:
    return f"{number} example was" if number == 1 else f"{number} examples were"


def _shown(example: Example | ShownExample, size: int) -> ShownExample:
    if isinstance(example, ShownExample):
        return example
    if size != GRID_SIZE:
        return _resampled(example, size)
    pixels = example.pixels
    return ShownExample(example.id, pixels.image, pixels.mask, pixels.prompts)


@lru_cache(maxsize=64)
def _resampled(example: Example, size: int) -> ShownExample:
    pixels = example.pixels
    image = to_size(pixels.image, size)
    mask = None if pixels.mask is None else (to_size(pixels.mask, size) >= 0.5).astype(np.uint8)
    prompts = None if pixels.prompts is None else np.stack([pool_to_size(channel, size) for channel in pixels.prompts])
    return ShownExample(example.id, image, mask, prompts)


def to_size(values: np.ndarray, size: int) -> np.ndarray:
    """A square picture [n, n] with ``size`` pixels a side over the same field, float32: linear between pixels, averaged where they merge."""
    step = values.shape[0] / size
    mapping = np.array([[step, 0, step / 2 - 0.5], [0, step, step / 2 - 0.5]])
    return resample(np.asarray(values, np.float64), mapping, (size, size))[0].astype(np.float32)


def shown_example(image: np.ndarray, mask: np.ndarray) -> ShownExample:
    """An example that lives no longer than the work at hand: ``image`` float32 in 0..1 and ``mask`` (non-zero is inside) on the model's grid."""
    inside = np.asarray(mask) > 0
    name = hashlib.sha256(np.ascontiguousarray(image).tobytes() + np.packbits(inside).tobytes()).hexdigest()[:16]
    return ShownExample(name, image, inside.astype(np.uint8))


def pool_to_size(channel: np.ndarray, size: int) -> np.ndarray:
    """Prompts [n, n] with ``size`` pixels a side: every pixel that is set sets the one that its centre falls into, a larger one all within it."""
    there = channel.shape[0]
    if size >= there:
        nearest = np.minimum((np.arange(size) * there) // size, there - 1)
        return channel[np.ix_(nearest, nearest)].astype(np.float32)
    out = np.zeros((size, size), np.float32)
    rows, cols = np.nonzero(channel)
    np.maximum.at(out, (rows * size // there, cols * size // there), channel[rows, cols].astype(np.float32))
    return out
