"""Cycle verification: from a prediction back to its examples. What a prediction made of examples is worth shows in how well the examples can be
segmented from it; an example that does not come back may itself be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.calibration import expected_dice
from .in_context import Draw
from .queries import Entry, Method, Query
from .simulate import fast_dice


def verify(method: Method, draws: Sequence[Draw], images: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    """A row per draw: the prediction's Dice, what its probabilities promise, how well its examples come back from it (mean Dice), and, in a second run
    where the mask of the first example is shifted by a quarter of the image, whether that example comes back worst (1) or not (0).

    The price is one more prediction per example; ``predictions`` counts them.
    """
    sound = _back(method, draws, images, labels, damaged=False)
    damaged = _back(method, draws, images, labels, damaged=True)
    rows = []
    for draw, (logits, back), (_, back_damaged) in zip(draws, sound, damaged, strict=True):
        probability = 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
        rows.append(
            {
                "task": draw.task,
                "simulation": draw.number,
                "order": 0,
                "position": 0,
                "image": draw.target,
                "context_size": len(draw.entries),
                "step": 0,
                "last": 1,
                "dice": round(fast_dice(logits > 0, np.asarray(labels[draw.task][draw.target], bool)), 5),
                "hd95": float("nan"),
                "expected": round(expected_dice(probability), 5),
                "cycle": round(float(np.mean(back)), 5),
                "found_damaged": int(np.argmin(back_damaged) == 0 and len(set(draw.entries)) > 1),
                "predictions": 1 + len(draw.entries),
            }
        )
    return rows


def shifted(mask: np.ndarray) -> np.ndarray:
    """``mask`` [H, W] moved by a quarter of the image down and to the right, around the border: a wrong example."""
    return np.roll(mask, (mask.shape[0] // 4, mask.shape[1] // 4), (0, 1))


def _back(method: Method, draws: Sequence[Draw], images: Any, labels: Any, damaged: bool) -> list[tuple[np.ndarray, list[float]]]:
    contexts = []
    for draw in draws:
        masks = [np.asarray(labels[draw.task][i], np.float32) for i in draw.entries]
        if damaged:
            masks[0] = shifted(masks[0])
        pictures = [np.ascontiguousarray(images[draw.task][i], np.float32) for i in draw.entries]
        contexts.append(tuple(Entry(p, m) for p, m in zip(pictures, masks, strict=True)))
    targets = [np.ascontiguousarray(images[d.task][d.target], np.float32) for d in draws]
    forward = method.predict([Query(t, context=c) for t, c in zip(targets, contexts, strict=True)])
    questions, owners = [], []
    for number, (target, logits, context) in enumerate(zip(targets, forward, contexts, strict=True)):
        answer = (Entry(target, (logits > 0).astype(np.float32)),)
        for entry in context:
            questions.append(Query(entry.image, context=answer))
            owners.append((number, entry.mask > 0.5))
    scores: list[list[float]] = [[] for _ in draws]
    for (number, mask), logits in zip(owners, method.predict(questions), strict=True):
        scores[number].append(fast_dice(logits > 0, mask))
    return list(zip(forward, scores, strict=True))
