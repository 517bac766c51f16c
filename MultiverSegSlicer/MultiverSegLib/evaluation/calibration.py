"""What a model promises and what it keeps, sampled over tasks; and the calibration that follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.asking import ask
from ..core.calibration import Calibration, expected_dice, logit, sigmoid
from ..core.context.example import Example
from ..core.predicting import Predictor
from .protocols import CenterClicks
from .quick import EvaluationTask
from .simulate import fast_dice

CLICKS = (1, 3)


@dataclass(frozen=True)
class Sample:
    """One prediction: the Dice that its probabilities promise, the one it has, and whether it had prompts."""

    expected: float
    dice: float
    prompted: bool


def gather(
    predictor: Predictor, tasks: Sequence[EvaluationTask], targets: int = 3, seed: int = 0, progress: Callable = lambda items: items
) -> list[Sample]:
    """Predictions of ``targets`` images of each task: from 1 to 16 examples of other subjects alone, and with 1 and 3 centre clicks;
    with 1 and 3 clicks without examples."""
    samples: list[Sample] = []
    for task in progress(tasks):
        rng = np.random.default_rng([seed, *task.name.encode()])
        for target in rng.permutation(len(task.images))[:targets]:
            others = rng.permutation(np.flatnonzero(task.subjects != task.subjects[target]))[: rng.integers(1, 17)]
            context = [Example(task.images[i], task.labels[i], case=f"{i}") for i in others]
            for examples in (context, []) if context else ([],):
                samples += _clicked(predictor, task.images[target], task.labels[target], examples, seed)
    return samples


def _clicked(predictor: Predictor, image: np.ndarray, label: np.ndarray, examples: Sequence[Example], seed: int) -> list[Sample]:
    user, samples, prompts, prediction = CenterClicks(seed), [], None, None
    for clicks in range(max(CLICKS) + 1):
        if clicks:
            prompts = user.first(label) if prediction is None else user.correct(label, prediction.mask(), prompts)
        elif not examples:
            continue
        prediction = ask(predictor, image, prompts, None if prediction is None else prediction.logits, examples)
        if clicks in (0, *CLICKS):
            samples.append(Sample(expected_dice(prediction.probability), fast_dice(prediction.mask(), label), clicks > 0))
    return samples


def fit(samples: Sequence[Sample]) -> Calibration:
    """The curves with the least cross-entropy; empty predictions say nothing and are left out. The slope is never negative."""
    return Calibration(*(_fit([s for s in samples if s.prompted is prompted and s.expected > 0]) for prompted in (True, False)))


def _fit(samples: Sequence[Sample]) -> tuple[float, float]:
    from scipy.optimize import minimize

    if not samples:
        return 1.0, 0.0
    x, y = logit(np.array([s.expected for s in samples])), np.array([s.dice for s in samples])

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        z = parameters[0] * x + parameters[1]
        difference = (sigmoid(z) - y) / len(x)
        return float((np.logaddexp(0, z) - y * z).mean()), np.array([(difference * x).sum(), difference.sum()])

    slope, offset = minimize(loss, np.array([1.0, 0.0]), jac=True, bounds=[(0, None), (None, None)]).x
    return round(float(slope), 4), round(float(offset), 4)
