"""A proposal for an untouched case: the slice that shows the structure best, or the whole volume, without prompts. Arrays only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.asking import ask
from ..core.confidence import entropy_confidence, subset_agreement
from ..core.predicting import Prediction, Predictor
from .find_slice import find_slice
from .volume_propagation import Confirmed, Limits, SliceResult, VolumePropagation

KINDS = ("slice", "volume")


@dataclass(frozen=True)
class Proposal:
    """What the model proposes.

    Attributes:
        index: the slice it began with.
        results: the slices by index; only ``index`` for a slice proposal, none if nothing was found.
        confidence: the Dice to expect of the first slice (0..1, see ``core.calibration``); 0 if nothing was found.
        informative: 1 - agreement of the predictions made with disjoint parts of the context (query by committee: Seung et al., COLT 1992).
        examples: ids of the examples it was made with.
        presence: probability that the structure is on the first slice; None from a model that can't say.
    """

    index: int
    results: dict[int, SliceResult]
    confidence: float
    informative: float
    examples: tuple[str, ...]
    presence: float | None = None


def is_due(proposal: Mapping[str, Any], kind: str, model: str, examples: Collection[str], refresh_after: int) -> bool:
    """Whether a proposal (as in ``StructureProgress.proposal``; empty: none) is to be made, or made anew: by another model, of a slice where volumes are
    wanted, when the context (ids of its ``examples``) has grown by ``refresh_after`` since or lost one that it was made with."""
    if not proposal or proposal.get("stale") or proposal.get("model") != model:
        return True
    if kind == "volume" and proposal.get("kind") != "volume":
        return True
    lost = not set(proposal.get("examples", ())) <= set(examples)
    return lost or len(examples) - proposal.get("known", 0) >= refresh_after


def propose(
    image: Callable[[int], np.ndarray],
    count: int,
    predictor: Predictor,
    examples: Sequence[Any],
    select: Callable[[np.ndarray], Sequence[Any]],
    kind: str = "slice",
    limits: Limits | None = None,
    example_of: Callable[[np.ndarray, np.ndarray, int], Any] | None = None,
    cancel: Callable[[], bool] = lambda: False,
) -> Proposal:
    """Predicts a case without prompts.

    Args:
        image: image of a slice on its grid, by index; ``count`` slices.
        examples: the context.
        select: those of them that a prediction of an image gets (a selection strategy with its cap).
        kind: "slice", or "volume" to propagate from there.
        limits, example_of: see ``VolumePropagation``.
    """
    found = find_slice(image, count, examples, cancel)
    examples = list(select(image(found.index)))

    def predicted(part: Sequence[Any]) -> Prediction:
        return ask(predictor, image(found.index), examples=part)

    first = predicted(examples)
    probability = np.asarray(first.probability, np.float32)
    informative = 1 - subset_agreement(lambda part: predicted(part).probability, examples)
    limits = limits or Limits()
    mask = probability > limits.threshold
    results: dict[int, SliceResult] = {}
    if mask.any():
        confirmed = {found.index: Confirmed(mask, np.asarray(first.logits, np.float32))}
        if kind == "slice":
            limits = Limits(found.index, found.index, threshold=limits.threshold)
        work = VolumePropagation(image, count, predictor, examples, example_of, limits)
        results = work.run(confirmed, cancel=cancel)
        results[found.index] = SliceResult(
            found.index, probability, confirmed[found.index].previous, entropy_confidence(probability), int(mask.sum()), ()
        )
    return Proposal(found.index, results, float(first.confidence), informative, tuple(e.id for e in examples), first.presence)
