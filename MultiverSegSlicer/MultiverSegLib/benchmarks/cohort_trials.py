"""What a cohort's methods are worth, measured against labels: propagation, which slice, confidence.

The person is simulated by the paper's protocol (centre clicks until 90 % Dice or 20 clicks; the accepted prediction enters the context).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.asking import ask, ask_each
from ..core.calibration import expected_dice
from ..core.confidence import entropy_confidence, mask_dice, reliability, subset_agreement
from ..core.context.context_set import Example
from ..core.errors import CohortError
from ..core.imaging import ImageSettings
from ..engine.find_slice import find_slice
from ..engine.volume_propagation import Confirmed, VolumePropagation
from ..evaluation.interpolation import fill_by_distance, fill_by_morphology
from ..evaluation.metrics import hd95
from ..evaluation.protocols import CenterClicks

TARGET, CLICKS = 0.9, 20
#: Cases of the sample cohort that the limits of propagation were tuned on.
TUNED = ("hippocampus_008", "hippocampus_011", "hippocampus_014")
#: Where in the structure's extent the confirmed slices lie, by their number.
PLACES = {1: (None,), 3: (0.1, None, 0.9), 5: (0.05, 0.25, None, 0.75, 0.95)}


@dataclass
class Trial:
    """A case as arrays: grid images [n, 128, 128] of all slices, grid labels, voxel label [k, j, i], the slices'
    distance in grid pixels, and how to go back to voxels."""

    name: str
    images: np.ndarray
    labels: np.ndarray
    voxels: np.ndarray
    spacing: tuple[float, float, float]
    axis: str
    step: float
    to_voxels: Callable[[np.ndarray], np.ndarray]

    @property
    def largest(self) -> int:
        return int(self.labels.sum((1, 2)).argmax())

    def example(self, mask: np.ndarray | None = None, index: int | None = None) -> Example:
        index = self.largest if index is None else index
        return Example(self.images[index], self.labels[index] if mask is None else mask, case=self.name)


def load_trials(folder: Path, axis: str = "coronal", limit: int | None = None) -> list[Trial]:
    """The labelled cases of a folder (``cases_from_folder``'s rules); every non-zero voxel is the structure."""
    from ..cohort.sources.files import cases_from_folder
    from ..cohort.work.case_nodes import load_source_files
    from ..engine.volume_session import SliceStack
    from ..mrml import segments, volumes
    from ..mrml.axes import voxel_axis
    from ..mrml.masks import EVERY_LABEL, load_mask

    trials = []
    for case in [c for c in cases_from_folder(folder, folder, ["structure"]) if c.labels][:limit]:
        volume = load_source_files(case.volume, folder / case.volume.path, case.id)
        mask = load_mask(volume, folder / case.labels[0].path, EVERY_LABEL)
        own = voxel_axis(volume, axis)
        stack = SliceStack(volume, own, ImageSettings())
        segmentation = segments.new_segmentation(volume)
        segment_id = segments.add_segment(segmentation, "structure")
        segments.set_segment(segmentation, segment_id, volume, mask)
        labels = np.stack([plane.sample_segment(segmentation, segment_id) >= 0.5 for plane in stack.planes])
        images = np.stack([stack.image(n) for n in range(len(stack))])
        spacing = tuple(float(s) for s in np.linalg.norm(volumes.ijk_to_ras(volume)[:3, :3], axis=0))
        pasted = _paster(stack.planes, volumes.ijk_to_ras(volume), volumes.dimensions_of(volume))
        trials.append(Trial(case.id, images, labels, mask != 0, spacing, own, stack.step, pasted))
        segments.remove_node(segmentation)
        segments.remove_node(volume)
    return trials


def _paster(planes: Sequence[Any], matrix: np.ndarray, dimensions: tuple[int, int, int]) -> Callable[[np.ndarray], np.ndarray]:
    from ..mrml.slice_plane import PastedSlice

    def to_voxels(probabilities: np.ndarray) -> np.ndarray:
        array = np.zeros(dimensions[::-1], np.uint8)
        for plane, probability in zip(planes, probabilities, strict=True):
            if np.any(probability > 0.5):
                pasted = PastedSlice(plane, np.asarray(probability, np.float32), 0.5, matrix, dimensions)
                pasted.sheet.put(array, np.uint8(1), pasted.mask)
        return array != 0

    return to_voxels


def click_until_good(predictor: Any, image: np.ndarray, label: np.ndarray, examples: Sequence[Example], seed: int = 0) -> tuple[Any, int]:
    """The prediction after which the person stops, and the clicks it took (none if the context alone is good enough)."""
    user, prompts, prediction = CenterClicks(seed), None, None
    if examples:
        prediction = ask(predictor, image, examples=examples)
    for clicks in range(CLICKS + 1):
        if prediction is not None and (mask_dice(prediction.mask(), label) >= TARGET or clicks == CLICKS):
            return prediction, clicks
        prompts = user.first(label) if prediction is None else user.correct(label, prediction.mask(), prompts)
        prediction = ask(predictor, image, prompts, None if prediction is None else prediction.logits, examples)
    return prediction, CLICKS


def propagation(predictor: Any, trials: Sequence[Trial], known: int = 5, progress: Callable[[str], None] = lambda text: None) -> list[dict]:
    """3D Dice, HD95 (mm), volume error (%) and clicks of four ways to fill a volume from 1, 3 or 5 confirmed slices.

    The first ``known`` cases give the context (their labels' max slices); the others are measured. ``TUNED`` are marked: the limits of
    propagation were chosen by them.
    """
    context, rows = [t.example() for t in trials[:known]], []
    for trial in trials[known:]:
        for count in PLACES:
            progress(f"{trial.name}, {count} slices")
            confirmed, clicks = _confirm(predictor, trial, context, count)
            for method, fill in _METHODS.items():
                filled = fill(predictor, trial, context, confirmed)
                if filled is not None:
                    tuned = "the limits were tuned on" if trial.name in TUNED else "not tuned on"
                    rows.append(
                        {"cases": tuned, "case": trial.name, "slices": count, "method": method, "clicks": clicks, **_scores(trial, filled)}
                    )
    return rows


def _confirm(predictor: Any, trial: Trial, context: list[Example], count: int) -> tuple[dict[int, Any], int]:
    """The slices that the person segments, with their predictions, and the clicks spent on them."""
    present = np.flatnonzero(trial.labels.any((1, 2)))
    places = [trial.largest if p is None else round(float(present[0] + p * (present[-1] - present[0]))) for p in PLACES[count]]
    confirmed, total, own = {}, 0, []
    for index in sorted({p for p in places if trial.labels[p].any()}, key=lambda p: abs(p - trial.largest)):
        confirmed[index], clicks = click_until_good(predictor, trial.images[index], trial.labels[index], [*own, *context])
        own.append(trial.example(confirmed[index].mask(), index))
        total += clicks
    return confirmed, total


def _propagated(predictor: Any, trial: Trial, context: list[Example], confirmed: dict[int, Any]) -> np.ndarray:
    work = VolumePropagation(
        lambda index: trial.images[index],
        len(trial.images),
        predictor,
        context,
        lambda image, mask, index: trial.example(mask, index),
        step=trial.step,
    )
    results = work.run({index: Confirmed(p.mask(), p.logits) for index, p in confirmed.items()})
    filled = np.zeros(trial.images.shape, np.float32)
    for index, result in results.items():
        filled[index] = confirmed[index].probability if index in confirmed else result.probability
    return filled


def _independent(predictor: Any, trial: Trial, context: list[Example], confirmed: dict[int, Any]) -> np.ndarray:
    """Every slice alone, with the same context; what has no neighbour's result has no end either."""
    examples = [trial.example(p.mask(), index) for index, p in confirmed.items()] + context
    predictions = ask_each(predictor, list(trial.images), examples=examples)
    return np.stack([confirmed[n].probability if n in confirmed else p.probability for n, p in enumerate(predictions)])


def _interpolated(fill: Callable[..., np.ndarray]) -> Callable[..., np.ndarray | None]:
    def run(_predictor: Any, trial: Trial, _context: list[Example], confirmed: dict[int, Any]) -> np.ndarray | None:
        if len(confirmed) < 2:
            return None
        try:
            return fill({index: p.mask() for index, p in confirmed.items()}, len(trial.images)).astype(np.float32)
        except CohortError:  # the package of the morphological interpolation is optional
            return None

    return run


_METHODS: dict[str, Callable[..., np.ndarray | None]] = {
    "propagated": _propagated,
    "independent slices": _independent,
    "signed distance": _interpolated(fill_by_distance),
    "morphological": _interpolated(fill_by_morphology),
}


def _scores(trial: Trial, filled: np.ndarray) -> dict[str, float]:
    mask, label = trial.to_voxels(filled), trial.voxels
    return {
        "dice": mask_dice(mask, label),
        "hd95": hd95(mask, label, float(np.mean(trial.spacing))),
        "volume_error": 100 * abs(int(mask.sum()) - int(label.sum())) / int(label.sum()),
    }


def slices(predictor: Any, trials: Sequence[Trial], known: int = 5) -> list[dict]:
    """Which slice: the one found without prompts against the label's max slice."""
    context, rows = [t.example() for t in trials[:known]], []
    for trial in trials[known:]:
        found = find_slice(lambda index, t=trial: t.images[index], len(trial.images), context)
        prediction = ask(predictor, trial.images[found.index], examples=context)
        areas = trial.labels.sum((1, 2))
        middle = len(areas) // 2
        step = trial.spacing["ijk".index(trial.axis)]
        rows.append(
            {
                "case": trial.name,
                "distance_mm": abs(found.index - trial.largest) * step,
                "area_share": float(areas[found.index] / areas.max()),
                "middle_share": float(areas[middle] / areas.max()),
                "dice": mask_dice(prediction.mask(), trial.labels[found.index]),
            }
        )
    return rows


@dataclass(frozen=True)
class Trust:
    """Predictions without prompts of one set of slices: ``pixels`` (probabilities, labels) where the model sees something at all; per slice
    the true ``dice``, and by name the ``confidences``."""

    pixels: tuple[np.ndarray, np.ndarray]
    dice: np.ndarray
    confidences: dict[str, np.ndarray]

    def summary(self) -> dict[str, Any]:
        ranks = {name: np.argsort(np.argsort(values)) for name, values in {"dice": self.dice, **self.confidences}.items()}
        diagram = reliability(*self.pixels)
        found: dict[str, Any] = {"slices": len(self.dice), "mean Dice": round(float(self.dice.mean()), 3)}
        for name in self.confidences:
            found[f"{name}: rank correlation with Dice"] = round(float(np.corrcoef(ranks["dice"], ranks[name])[0, 1]), 3)
        for name in ("expected Dice", "calibrated"):
            found[f"{name}: mean"] = round(float(self.confidences[name].mean()), 3)
            found[f"{name}: mean error in bins"] = round(reliability(self.confidences[name], self.dice).error, 3)
        return {**found, "pixels: mean error in bins": round(diagram.error, 3)}


def calibration(predictor: Any, trials: Sequence[Trial], known: int = 5) -> Trust:
    """Whether confidence can be believed: every third slice of all cases but the first ``known``, which give the context."""
    context = [t.example() for t in trials[:known]]
    probabilities, labels, rows = [], [], []
    for trial in trials[known:]:
        indices = np.flatnonzero(trial.labels.any((1, 2)))[::3]
        predictions = ask_each(predictor, [trial.images[i] for i in indices], examples=context)
        for index, prediction in zip(indices, predictions, strict=True):
            p, image = prediction.probability, trial.images[index]
            near = p > 0.01
            probabilities.append(p[near])
            labels.append(trial.labels[index][near])
            agreed = subset_agreement(lambda part, i=image: ask(predictor, i, examples=part).probability, context)
            dice = mask_dice(prediction.mask(), trial.labels[index])
            rows.append((dice, expected_dice(p), prediction.confidence, entropy_confidence(p), agreed))
    dice, *measured = np.array(rows).T
    names = ("expected Dice", "calibrated", "entropy", "agreement of context subsets")
    pixels = np.concatenate(probabilities), np.concatenate(labels).astype(float)
    return Trust(pixels, dice, dict(zip(names, measured, strict=True)))
