"""Simulates a person who segments a cohort, image after image, with a model and an evaluation protocol (MultiverSeg, section 6.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..core.context.showing import shown_example
from ..core.predicting import Predictor, Request, ShownExample
from .metrics import hd95
from .protocols import SimulatedUser as User

TARGET_DICE = 0.9


@dataclass
class ImageResult:
    """How one image went: ``dices[s]`` after s interactions (``dices[0]`` is NaN where there was no prediction without a prompt).

    ``mask``: the last prediction, bool [H, W]; ``unprompted``: the one from the context alone, if there was one.
    """

    steps: int
    dice: float
    failed: bool
    mask: np.ndarray
    dices: list[float] = field(default_factory=list)
    hd95: float = float("nan")
    unprompted: np.ndarray | None = None


def fast_dice(a: np.ndarray, b: np.ndarray) -> float:
    """Dice of two bool masks; two empty ones agree. The simulation calls it after each step, so it stays plain numpy."""
    total = int(a.sum()) + int(b.sum())
    return 1.0 if total == 0 else 2.0 * int((a & b).sum()) / total


def segment_image(
    predictor: Predictor,
    image: np.ndarray,
    label: np.ndarray,
    user: User,
    context: Sequence[ShownExample] = (),
    target: float = TARGET_DICE,
    max_steps: int | None = None,
    with_hd95: bool = False,
) -> ImageResult:
    """Interacts with one image until Dice reaches ``target`` or the protocol's cap; keeps the last prediction.

    ``image`` is on the predictor's grid. With context the first prediction needs no prompt (0 interactions if it is good enough). ``label`` bool [H, W].
    """
    cap = user.max_steps if max_steps is None else max_steps
    prompts, logits, mask, dices = None, None, np.zeros(label.shape, bool), [float("nan")]
    user.reset()
    if len(context):
        logits = predictor.predict(Request(image, examples=tuple(context))).logits
        mask = logits > 0
        dices[0] = fast_dice(mask, label)
    unprompted = mask if len(context) else None
    steps = 0
    while steps < cap and not (dices[-1] >= target):
        prompts = user.first(label) if logits is None else user.correct(label, mask, prompts)
        logits = predictor.predict(Request(image, prompts, logits, tuple(context))).logits
        mask = logits > 0
        steps += 1
        dices.append(fast_dice(mask, label))
    distance = hd95(mask, label) if with_hd95 else float("nan")
    return ImageResult(steps, dices[-1], not dices[-1] >= target, mask, dices, distance, unprompted)


@dataclass
class CohortResult:
    """The images of a cohort in order, without the seed image."""

    images: list[ImageResult]

    @property
    def total_steps(self) -> int:
        return sum(r.steps for r in self.images)

    @property
    def failures(self) -> int:
        return sum(r.failed for r in self.images)

    @property
    def mean_dice(self) -> float:
        return float(np.mean([r.dice for r in self.images]))


def simulate_cohort(
    predictor: Predictor,
    images: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    user: User,
    use_context: bool = True,
    max_context: int = 16,
    seed_image: bool = True,
    target: float = TARGET_DICE,
    with_hd95: bool = False,
) -> CohortResult:
    """Segments ``images`` (float32 [H, W] each) in order; accepted, thresholded predictions enter the context.

    Args:
        use_context: False gives the same model without context (the baseline).
        max_context: the most recent entries that the model sees at once.
        seed_image: the first image is segmented without context and left out of the result (as in the paper).
    """
    use_context = use_context and predictor.capabilities.context != "none"
    context: list[ShownExample] = []
    results = []
    for image, label in zip(images, labels, strict=True):
        shown = context[-max_context:] if use_context else []
        result = segment_image(predictor, image, np.asarray(label, bool), user, shown, target, with_hd95=with_hd95)
        results.append(result)
        context.append(shown_example(image, result.mask))
    return CohortResult(results[1:] if seed_image else results)
