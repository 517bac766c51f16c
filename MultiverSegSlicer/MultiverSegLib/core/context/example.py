"""An example of a context: an accepted (image, mask) pair of one structure on the grid, and where it came from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from ..errors import ContextError, MultiverSegError
from ..grid import GRID_SHAPE, GRID_SIZE
from ..imaging import ImageSettings

#: Numbers in an example's feature vector.
FEATURE_LENGTH = 256


@dataclass(frozen=True, eq=False)
class Pixels:
    """``image`` float32 [128,128] in 0..1, ``mask`` uint8 [128,128] of 0 and 1 or None, ``prompts`` float32 [3,128,128] or None; read-only."""

    image: np.ndarray
    mask: np.ndarray | None
    prompts: np.ndarray | None

    @staticmethod
    def checked(image: Any, mask: Any, prompts: Any) -> Pixels:
        """Raises ContextError for another size, values that are not finite, or neither mask nor prompts."""
        image = _checked(image, GRID_SHAPE, "image")
        if mask is None and prompts is None:
            raise ContextError("An example needs a mask or prompts.")
        mask = None if mask is None else (_checked(mask, GRID_SHAPE, "mask") >= 0.5).astype(np.uint8)
        prompts = None if prompts is None else _checked(prompts, (3, *GRID_SHAPE), "prompts")
        for array in (image, mask, prompts):
            if array is not None:
                array.setflags(write=False)
        return Pixels(image, mask, prompts)

    def as_stored(self) -> Pixels:
        """As read back from files: image and prompts in 256 steps."""
        prompts = None if self.prompts is None else from_bytes(to_bytes(self.prompts))
        return Pixels.checked(from_bytes(to_bytes(self.image)), self.mask, prompts)


class Example:
    """An example; immutable. Equal examples have the same ``id``.

    Args:
        image, mask, prompts: see ``Pixels``; at least one of mask and prompts (box, positive, negative).
        case, structure, axis: names; the axis is "i", "j", "k" or "" for an oblique plane.
        grid_to_ras: 4x4, (col, row, 0, 1) -> RAS mm; None if unknown.
        settings: how the image was scaled and cut out.
        model: name of the model that predicted the mask first, "" if none.
        date: ISO 8601; None: now.

    Attributes:
        id: 16 hexadecimal digits, a hash of the pixels (in 256 steps), case and structure.
        empty: whether it says that the structure is not there: a mask without a pixel, and no prompts.

    Raises:
        ContextError: arrays of another size, or neither mask nor prompts.
    """

    id: str
    case: str
    structure: str
    axis: str
    model: str
    date: str
    empty: bool
    grid_to_ras: np.ndarray | None
    settings: ImageSettings | None
    _pixels: Pixels | Callable[[], Pixels]
    _weak: bool | None
    _feature: np.ndarray | None

    __slots__ = ("_feature", "_pixels", "_weak", "axis", "case", "date", "empty", "grid_to_ras", "id", "model", "settings", "structure")

    def __init__(
        self,
        image: Any,
        mask: Any = None,
        prompts: Any = None,
        case: str = "",
        structure: str = "",
        axis: str = "",
        grid_to_ras: Any = None,
        settings: ImageSettings | None = None,
        model: str = "",
        date: str | None = None,
    ) -> None:
        pixels = Pixels.checked(image, mask, prompts)
        facts: dict[str, Any] = {
            "case": case,
            "structure": structure,
            "axis": axis,
            "grid_to_ras": grid_to_ras,
            "settings": settings,
            "model": model,
            "empty": pixels.mask is not None and not pixels.mask.any() and (pixels.prompts is None or not pixels.prompts.any()),
        }
        self._set(facts, date or datetime.now().astimezone().isoformat(timespec="seconds"), example_id(pixels, case, structure), pixels)

    @classmethod
    def lazy(cls, facts: dict[str, Any], pixels: Pixels | Callable[[], Pixels], weak: bool | None = None) -> Example:
        """An example from its ``facts()`` whose pixels are read when first needed. ``weak``: see there; None: the pixels tell.

        Raises:
            ContextError: a fact is missing or malformed.
        """
        example = cls.__new__(cls)
        try:
            settings = None if facts.get("settings") is None else ImageSettings.from_json(facts["settings"])
            example._set({**facts, "settings": settings}, str(facts["date"]), str(facts["id"]), pixels, weak)
        except (KeyError, TypeError, ValueError, MultiverSegError) as error:
            raise ContextError(f"the facts of an example are malformed ({error})") from error
        return example

    def _set(self, facts: dict[str, Any], date: str, identity: str, pixels: Any, weak: bool | None = None) -> None:
        matrix = facts.get("grid_to_ras")
        if matrix is not None:
            matrix = np.array(matrix, dtype=float)
            if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
                raise ContextError(f"grid_to_ras must be a finite 4x4 matrix, got {facts['grid_to_ras']!r}.")
            matrix.setflags(write=False)
        values: dict[str, Any] = {name: str(facts.get(name) or "") for name in ("case", "structure", "axis", "model")}
        values |= {
            "empty": bool(facts.get("empty")),
            "grid_to_ras": matrix,
            "settings": facts.get("settings"),
            "date": date,
            "id": identity,
        }
        for name, value in {**values, "_pixels": pixels, "_weak": weak, "_feature": None}.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"An example can't be changed: make a new one with another {name}.")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Example) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"Example({self.case!r}, {self.structure!r}, id={self.id!r})"

    def __reduce__(self) -> tuple:
        return Example.lazy, (self.facts(), self.pixels)

    @property
    def pixels(self) -> Pixels:
        """The arrays; a stored example reads them from its files.

        Raises:
            ContextError: a file is missing, damaged or of another size.
        """
        return self._pixels if isinstance(self._pixels, Pixels) else self._pixels()

    @property
    def image(self) -> np.ndarray:
        return self.pixels.image

    @property
    def mask(self) -> np.ndarray | None:
        return self.pixels.mask

    @property
    def prompts(self) -> np.ndarray | None:
        return self.pixels.prompts

    @property
    def weak(self) -> bool:
        """Whether it has prompts only, no mask; a stored example reads no pixels for it."""
        return self.pixels.mask is None if self._weak is None else self._weak

    @property
    def feature(self) -> np.ndarray:
        """``image_feature(image)``, computed once."""
        feature = self._feature
        if feature is None:
            self.remember_feature(feature := image_feature(self.image))
        return feature

    @property
    def has_feature(self) -> bool:
        """Whether ``feature`` costs nothing."""
        return self._feature is not None

    def remember_feature(self, feature: np.ndarray) -> None:
        """Takes a feature that was computed earlier."""
        object.__setattr__(self, "_feature", np.asarray(feature, np.float32))

    def facts(self) -> dict[str, Any]:
        """All but the pixels as plain values, readable by ``lazy``."""
        return {
            "id": self.id,
            "case": self.case,
            "structure": self.structure,
            "axis": self.axis,
            "grid_to_ras": None if self.grid_to_ras is None else self.grid_to_ras.tolist(),
            "settings": None if self.settings is None else self.settings.to_json(),
            "model": self.model,
            "date": self.date,
            **({"empty": True} if self.empty else {}),
        }

    def stored(self, pixels: Pixels | Callable[[], Pixels] | None = None) -> Example:
        """The same example as it will be read back from its files."""
        example = Example.lazy(self.facts(), self.pixels.as_stored() if pixels is None else pixels)
        if self.has_feature:
            example.remember_feature(self.feature)
        return example


def image_feature(image: np.ndarray) -> np.ndarray:
    """What an image looks like from afar: its 16 x 16 block means, centred and of unit length; zeros if constant. [128,128] -> [256].

    The product of two features is the correlation of the two blurred images.
    """
    block = GRID_SIZE // 16
    means = np.asarray(image, np.float32).reshape(16, block, 16, block).mean((1, 3)).ravel()
    means -= means.mean()
    length = float(np.linalg.norm(means))
    return means / length if length > 1e-6 else np.zeros_like(means)


def to_bytes(values: np.ndarray) -> np.ndarray:
    """0..1 -> 0..255."""
    return np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)


def from_bytes(values: np.ndarray) -> np.ndarray:
    """0..255 -> 0..1, float32."""
    return values.astype(np.float32) / np.float32(255)


def _checked(array: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    array = np.array(array, dtype=np.float32)
    if array.shape != shape:
        raise ContextError(
            f"An example's {what} must be {' x '.join(map(str, shape))}, got {' x '.join(map(str, array.shape)) or 'a number'}."
        )
    if not np.isfinite(array).all():
        raise ContextError(f"An example's {what} holds values that are not finite.")
    return array


def example_id(pixels: Pixels, case: str, structure: str) -> str:
    """The 16 hexadecimal digits that name an example: a hash of its pixels in 256 steps, case and structure."""
    digest = hashlib.sha256()
    parts = [to_bytes(pixels.image), pixels.mask, None if pixels.prompts is None else to_bytes(pixels.prompts)]
    for part in parts:
        digest.update(b"-" if part is None else part.tobytes())
    digest.update(f"{case}\0{structure}".encode())
    return digest.hexdigest()[:16]
