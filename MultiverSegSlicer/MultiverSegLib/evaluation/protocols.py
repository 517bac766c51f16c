"""Two simulated users, the evaluation protocols of MultiverSeg (section 5.3): centre clicks and centerline scribbles.

Labels, predictions and prompts live on the grid: [row, col], H x W, prompts are float32 [3, H, W] (box, positive, negative).
Both users are deterministic given their seed, and tell what they drew in ``interactions`` so that a caller can map it to RAS.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.errors import PromptError

BOX, POSITIVE, NEGATIVE = range(3)


@dataclass(frozen=True)
class DrawnMark:
    """One thing drawn by the user: ``points`` [P, 2] are (row, col) grid pixels in drawing order; a click has one."""

    kind: str
    positive: bool
    points: np.ndarray
    step: int


class SimulatedUser:
    """A simulated user. ``first`` starts an image, ``correct`` reacts to a prediction; both return the prompts so far.

    Args:
        seed: everything the user draws follows from it (and from the images it is shown, in order).
    """

    name = ""
    max_steps = 20

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._rng = np.random.default_rng(seed)
        self.interactions: list[DrawnMark] = []
        self.step = 0

    @property
    def last(self) -> list[DrawnMark]:
        """What was drawn in the latest step; empty when there was nothing to correct."""
        return [i for i in self.interactions if i.step == self.step]

    def reset(self) -> None:
        """Forgets the interactions so far, before an image whose first prediction needs no prompt."""
        self.interactions, self.step = [], 0

    def first(self, label: np.ndarray) -> np.ndarray:
        """The prompts of step 1 for ``label`` bool [H, W].

        Raises:
            PromptError: the label is empty.
        """
        label = np.asarray(label, dtype=bool)
        if not label.any():
            raise PromptError("The label is empty: there is nothing to click on. Leave this image out.")
        self.reset()
        self.step = 1
        return self._first(label, np.zeros((3, *label.shape), np.float32))

    def correct(self, label: np.ndarray, prediction: np.ndarray, prompts: np.ndarray | None = None) -> np.ndarray:
        """``prompts`` [3, H, W] with one correction added, where ``prediction`` bool [H, W] and ``label`` differ.

        Where they agree everywhere nothing is added and ``last`` is empty.
        """
        label, prediction = np.asarray(label, dtype=bool), np.asarray(prediction, dtype=bool)
        prompts = np.zeros((3, *label.shape), np.float32) if prompts is None else np.array(prompts, np.float32)
        self.step += 1
        error = label ^ prediction
        if not error.any():
            return prompts
        component = largest_component(error & label, error & ~label)
        return self._correct(component, bool((component & label).any()), error & label, error & ~label, prompts)

    def _first(self, label: np.ndarray, prompts: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _correct(self, component, positive, missed, excess, prompts) -> np.ndarray:
        raise NotImplementedError

    def _draw(self, prompts: np.ndarray, kind: str, positive: bool, points: np.ndarray) -> None:
        prompts[POSITIVE if positive else NEGATIVE][points[:, 0], points[:, 1]] = 1.0
        self.interactions.append(DrawnMark(kind, positive, points, self.step))


class CenterClicks(SimulatedUser):
    """One positive click in the centre of the largest component, then one click a step in the centre of the largest component of the
    error region, positive where the label was missed and negative where there was too much."""

    name, max_steps = "clicks", 20

    def _first(self, label, prompts):
        self._draw(prompts, "click", True, center(largest_component(label), self._rng)[None])
        return prompts

    def _correct(self, component, positive, missed, excess, prompts):
        self._draw(prompts, "click", positive, center(component, self._rng)[None])
        return prompts


class CenterlineScribbles(SimulatedUser):
    """A positive and a negative centerline scribble at first, then one centerline scribble a step on the error region that holds the
    largest component. Lines are warped and broken by smooth noise (ScribblePrompt) and stay inside their region."""

    name, max_steps = "scribbles", 10

    def _first(self, label, prompts):
        self._scribble(prompts, label, True)
        if not label.all():
            self._scribble(prompts, ~label, False)
        return prompts

    def _correct(self, component, positive, missed, excess, prompts):
        self._scribble(prompts, missed if positive else excess, positive)
        return prompts

    def _scribble(self, prompts, region, positive):
        line = centerline_scribble(region, self._rng)
        for points in trace(line):
            self._draw(prompts, "scribble", positive, points)


def largest_component(*regions: np.ndarray) -> np.ndarray:
    """The largest 8-connected component among the regions (bool [H, W] each); components of two regions never join."""
    from scipy import ndimage

    best, best_size = np.zeros(regions[0].shape, dtype=bool), 0
    for region in regions:
        labels, count = ndimage.label(region, structure=np.ones((3, 3)))
        if count:
            sizes = np.bincount(labels.ravel())[1:]
            if sizes.max() > best_size:
                best, best_size = labels == sizes.argmax() + 1, sizes.max()
    return best


def distance_inside(region: np.ndarray) -> np.ndarray:
    """Euclidean distance (in pixels) of each pixel of ``region`` to the nearest outside pixel; the image's frame counts as outside."""
    from scipy import ndimage

    return ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]


def center(region: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(row, col) of a maximum of the distance transform; equal maxima are drawn from."""
    distance = distance_inside(region)
    candidates = np.argwhere(distance >= distance.max() - 1e-9)
    return candidates[rng.integers(len(candidates))]


def centerline_scribble(region: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A broken, warped skeleton of ``region`` as bool [H, W], inside the region and never empty for a region that isn't."""
    from scipy import ndimage
    from skimage.morphology import skeletonize

    skeleton = skeletonize(region)
    if not skeleton.any():
        skeleton = np.zeros_like(region)
        skeleton[tuple(center(region, rng))] = True
    points = np.argwhere(skeleton)
    warp = np.stack([_smooth_noise(region.shape, 8.0, rng) for _ in range(2)]) * rng.uniform(1.0, 4.0)
    moved = np.rint(points + warp[:, points[:, 0], points[:, 1]].T).astype(int)
    moved = np.clip(moved, 0, np.array(region.shape) - 1)
    line = np.zeros_like(region)
    line[moved[:, 0], moved[:, 1]] = True
    line = skeletonize(ndimage.binary_closing(line, np.ones((3, 3)))) & region
    broken = line & (_smooth_noise(region.shape, 6.0, rng) < rng.uniform(0.0, 1.5))
    return next(candidate for candidate in (broken, line, skeleton) if candidate.any())


def _smooth_noise(shape: tuple[int, ...], sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise of unit standard deviation, smooth over ``sigma`` pixels."""
    from scipy import ndimage

    noise = ndimage.gaussian_filter(rng.standard_normal(shape), sigma, mode="wrap")
    return noise / max(float(noise.std()), 1e-12)


def trace(line: np.ndarray) -> list[np.ndarray]:
    """Cuts a thin line (bool [H, W]) into strokes: int [P, 2] arrays of 8-connected (row, col) pixels that together cover it."""
    left = {tuple(p) for p in np.argwhere(line)}

    def neighbours(p):
        return [q for dr in (-1, 0, 1) for dc in (-1, 0, 1) if (q := (p[0] + dr, p[1] + dc)) in left and q != p]

    strokes = []
    while left:
        p = min(left, key=lambda q: (len(neighbours(q)), q))
        stroke = [p]
        left.discard(p)
        while following := neighbours(p):
            p = min(following, key=lambda q: (abs(q[0] - stroke[-1][0]) + abs(q[1] - stroke[-1][1]), q))
            stroke.append(p)
            left.discard(p)
        strokes.append(np.array(stroke))
    return strokes


PROTOCOLS: dict[str, type[SimulatedUser]] = {p.name: p for p in (CenterClicks, CenterlineScribbles)}
