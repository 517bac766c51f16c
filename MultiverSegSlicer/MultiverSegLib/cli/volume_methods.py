"""Volumes for ``evaluate volumes`` and ``evaluate absence``: reading them, and what a model makes of boxes, clicks and examples in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..core.asking import ask_each
from ..core.context.showing import shown_example
from ..core.errors import MultiverSegError
from ..core.grid import GRID_SIZE
from ..core.imaging import ImageSettings, suggest_settings
from ..core.predicting import Predictor, ShownExample
from ..engine.volume_prompting import VolumePrompting, within
from ..engine.volume_propagation import Limits
from ..engine.volume_session import SliceStack
from ..evaluation.interpolation import fill_by_distance
from ..evaluation.volume_clicks import VolumeBox, VolumeClick, shifted
from ..mrml.axes import array_axis, voxel_axis
from ..mrml.plain_volume import PlainVolume

#: Spacings that differ by more than this are cut along the coarsest axis.
_ISOTROPIC = 1.5


@dataclass(frozen=True, eq=False)
class VolumeCase:
    """A volume with its labels, bool [k, j, i] by name."""

    name: str
    subject: str
    volume: PlainVolume
    labels: dict[str, np.ndarray]

    @property
    def spacing(self) -> tuple[float, float, float]:
        """mm per voxel along (k, j, i)."""
        edges = np.linalg.norm(self.volume.ijk_to_ras[:3, :3], axis=0)
        return tuple(float(e) for e in edges[::-1])

    def moved(self, seed: int) -> VolumeCase:
        """The same, moved at random in its crop (see ``evaluation.volume_clicks.shifted``)."""
        rng = np.random.default_rng([seed, *self.name.encode()])
        image, labels = shifted(self.volume.array, self.labels, rng)
        return VolumeCase(self.name, self.subject, PlainVolume(image, self.volume.ijk_to_ras, self.name), labels)


def read_cases(place: Path, limit: int | None = None) -> list[VolumeCase]:
    """The volumes of a folder with ``images`` and ``labels``, or of an .npz file of a corpus; each value of a label is a structure of its own.

    Raises:
        MultiverSegError: neither of them, a damaged file, or nothing labelled.
    """
    cases = list(_from_archive(place) if place.suffix == ".npz" else _from_folder(place))
    cases = [c for c in cases if any(label.any() for label in c.labels.values())][:limit]
    if not cases:
        raise MultiverSegError(f"{place} holds no labelled volume: give a folder with images and labels, or a volumes/*.npz of a corpus.")
    return cases


def _from_folder(folder: Path) -> Iterator[VolumeCase]:
    import SimpleITK as sitk

    from ..training.build_corpus import pair_files

    for image_path, label_path in pair_files(folder / "images", folder / "labels"):
        try:
            image, label = (sitk.ReadImage(str(path)) for path in (image_path, label_path))
        except RuntimeError as error:
            raise MultiverSegError(f"{image_path} or its label can't be read: {str(error).strip().splitlines()[-1]}.") from error
        name = image_path.name.split(".")[0]
        volume, drawn = PlainVolume.of(image, name), PlainVolume.of(label, name).array
        if drawn.shape != volume.array.shape:
            raise MultiverSegError(f"{label_path} has the shape {drawn.shape}, its image {volume.array.shape}: they must match.")
        values = [int(v) for v in np.unique(drawn) if v]
        yield VolumeCase(name, name, volume, {f"label {v}": drawn == v for v in values})


def _from_archive(path: Path) -> Iterator[VolumeCase]:
    import zipfile

    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            names = [str(n) for n in archive["label_names"]]
            numbers = sorted(n.removeprefix("volume_") for n in archive.files if n.startswith("volume_"))
            for order, number in enumerate(numbers):
                image, drawn = (archive[f"{kind}_{number}"].transpose(2, 1, 0) for kind in ("volume", "label"))
                matrix = np.diag([*archive["spacings"][order].astype(float), 1.0])
                name, subject = f"{path.stem}_{number}", str(archive["subjects"][order])
                labels = {label: drawn == k + 1 for k, label in enumerate(names)}
                yield VolumeCase(name, subject, PlainVolume(np.ascontiguousarray(image), matrix, name), labels)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise MultiverSegError(f"{path} is not a file of volumes: {error}.") from error


class Stack:
    """The slices of a case along one axis, on the network's grid.

    Args:
        axis: "axial", "coronal", "sagittal", or "auto": the axis with the coarsest spacing, axial where none is.
        settings: how slices are shown; None: as suggested for the volume.
        size: rows and columns s of the grid.
    """

    def __init__(self, case: VolumeCase, axis: str = "auto", settings: ImageSettings | None = None, size: int = GRID_SIZE) -> None:
        self.case = case
        spacing = case.spacing[::-1]  # i, j, k
        coarse = max(spacing) / min(spacing) > _ISOTROPIC
        self.name = (
            "ijk"[int(np.argmax(spacing))] if axis == "auto" and coarse else voxel_axis(case.volume, "axial" if axis == "auto" else axis)
        )
        self.axis = array_axis(self.name)
        self.settings = suggest_settings(case.volume.array) if settings is None else settings
        self.slices = SliceStack(case.volume, self.name, self.settings, size)
        self.step = self.slices.step

    def __len__(self) -> int:
        return len(self.slices)

    @property
    def spacing(self) -> float:
        """Distance of two slices in mm."""
        return self.case.spacing[self.axis]

    @cached_property
    def images(self) -> np.ndarray:
        """float32 [n, s, s]."""
        return np.stack([self.slices.image(n) for n in range(len(self))])

    def grid_masks(self, label: np.ndarray) -> np.ndarray:
        """bool [n, s, s] of a label [k, j, i]."""
        masks = []
        for plane in self.slices.planes:
            sheet = plane.sheet_of(self.case.volume)
            values, valid = sheet.interpolate(label.astype(np.uint8))
            masks.append(sheet.to_grid(values, None if valid.all() else valid)[0] >= 0.5)
        return np.stack(masks)

    def to_voxels(self, probabilities: dict[int, np.ndarray]) -> np.ndarray:
        """bool [k, j, i] from probabilities [s, s] by slice."""
        array = np.zeros(self.case.volume.array.shape, np.uint8)
        for index, probability in probabilities.items():
            if np.any(probability > 0.5):
                pasted = self.slices.planes[index].paste(np.asarray(probability, np.float32), self.case.volume)
                pasted.sheet.put(array, np.uint8(1), pasted.mask)
        return array != 0

    def pixel(self, voxel: tuple[int, int, int]) -> tuple[int, int, int]:
        """(slice, row, col) of a voxel (k, j, i)."""
        ras = self.case.volume.ijk_to_ras @ [*voxel[::-1], 1.0]
        row, col, _ = self.slices.planes[voxel[self.axis]].to_grid(ras[:3])
        return voxel[self.axis], *(int(np.clip(round(x), 0, self.slices.size - 1)) for x in (row, col))

    def box_channel(self, box: VolumeBox) -> np.ndarray:
        """float32 [s, s]: the box on its middle slice."""
        corners = []
        for low_high in (box.low, box.high):
            voxel = list(low_high)
            voxel.insert(box.axis, box.middle)
            corners.append(self.pixel(tuple(voxel))[1:])
        (a, b), (c, d) = corners
        channel = np.zeros((self.slices.size,) * 2, np.float32)
        channel[min(a, c) : max(a, c) + 1, min(b, d) : max(b, d) + 1] = 1
        return channel

    def example(self, mask: np.ndarray, index: int) -> ShownExample:
        return shown_example(self.images[index], mask)

    def examples(self, label: np.ndarray, count: int = 1) -> list[ShownExample]:
        """What an accepted case gives to the context: its widest slice, then others along the structure, and one beyond each end."""
        masks = self.grid_masks(label)
        return [self.example(masks[index], index) for index in context_slices(masks.sum((1, 2)), count)]


def context_slices(areas: np.ndarray, count: int) -> list[int]:
    """Which slices of an accepted volume its context gets, from the label's area on each [n]: the widest; from 3 on one just beyond each end
    too, where the volume goes on; the rest evenly along the structure."""
    shown = np.flatnonzero(areas)
    chosen = [int(np.argmax(areas))]
    if count >= 3:
        beyond = (shown[0] - 2, shown[-1] + 2)
        chosen += [int(b) for b in beyond if 0 <= b < len(areas)]
    between = np.linspace(shown[0], shown[-1], max(count - len(chosen), 0) + 2)[1:-1]
    chosen += [round(float(b)) for b in between]
    return list(dict.fromkeys(chosen))[:count]


class Engine:
    """The model by the extension's engine: prompted slices from their prompts, the others propagated. For ``evaluation.volume_clicks``."""

    def __init__(self, predictor: Predictor, stack: Stack, examples: Sequence[ShownExample] = ()) -> None:
        self.predictor, self.stack, self.examples = predictor, stack, list(examples)
        self.prompts: dict[int, np.ndarray] = {}
        self.limits = Limits()

    def start(self, box: VolumeBox | None) -> np.ndarray:
        if box is not None:
            self.limits = within(self.limits, box.first, box.last)
            self._channels(box.middle)[0] = self.stack.box_channel(box)
        self._open()
        if box is None and not self.examples:
            return np.zeros(self.stack.case.volume.array.shape, bool)
        return self._run()

    def click(self, click: VolumeClick) -> np.ndarray:
        index, row, col = self.stack.pixel(click.index)
        self._channels(index)[1 if click.positive else 2, row, col] = 1
        return self._run()

    def _open(self) -> None:
        images, stack = self.stack.images, self.stack
        self.work = VolumePrompting(
            lambda n: images[n],
            len(stack),
            self.predictor,
            self.examples,
            lambda image, mask, n: stack.example(mask, n),
            self.limits,
            stack.step,
        )

    def _no_prompts(self) -> np.ndarray:
        return np.zeros((3, *self.predictor.capabilities.shape), np.float32)

    def _channels(self, index: int) -> np.ndarray:
        return self.prompts.setdefault(index, self._no_prompts())

    def _run(self) -> np.ndarray:
        results = self.work.run({index: channels.copy() for index, channels in self.prompts.items()})
        return self.stack.to_voxels({index: result.probability for index, result in results.items()})


class IndependentSlices(Engine):
    """Every slice by itself: the box on each slice of its range, clicks on their own slices, the same examples for all."""

    def _open(self) -> None:
        self.found: dict[int, Any] = {}
        if self.limits.first is not None:
            box = next(iter(self.prompts.values()))[0]
            for index in range(self.limits.first, self.limits.last + 1):
                self._channels(index)[0] = box

    def _run(self) -> np.ndarray:
        wanted = list(self.prompts)
        if self.limits.first is None and self.examples:
            wanted = list(range(len(self.stack)))
        changed = [n for n in wanted if self._changed(n)]
        nothing = self._no_prompts()
        for start in range(0, len(changed), 8):
            part = changed[start : start + 8]
            given = [self.prompts.get(n, nothing).copy() for n in part]
            before = [self.found[n][0].logits if n in self.found else None for n in part]
            images = [self.stack.images[n] for n in part]
            for n, p, prediction in zip(part, given, ask_each(self.predictor, images, given, before, self.examples), strict=True):
                self.found[n] = prediction, p
        return self.stack.to_voxels({n: prediction.probability for n, (prediction, _) in self.found.items()})

    def _changed(self, index: int) -> bool:
        known = self.found.get(index)
        return known is None or (index in self.prompts and not np.array_equal(self.prompts[index], known[1]))


class Interpolated(Engine):
    """The prompted slices, and signed distances between them; at the ends of a box the structure shrinks to a pixel."""

    def _run(self) -> np.ndarray:
        results = self.work.run({index: channels.copy() for index, channels in self.prompts.items()})
        known = {n: r.probability > 0.5 for n, r in results.items() if r.confirmed and (r.probability > 0.5).any()}
        if not known:
            return np.zeros(self.stack.case.volume.array.shape, bool)
        for end in (self.limits.first, self.limits.last):
            if end is not None and end not in known:
                nearest = known[min(known, key=lambda n: abs(n - end))]
                known[end] = np.zeros(nearest.shape, bool)
                known[end][tuple(np.argwhere(nearest).mean(0).round().astype(int))] = True
        return self.stack.to_voxels(dict(enumerate(fill_by_distance(known, len(self.stack)).astype(np.float32))))


#: The ways to use a model, by name.
MODEL_METHODS: dict[str, Callable[..., Engine]] = {"engine": Engine, "independent slices": IndependentSlices, "interpolated": Interpolated}
