"""A network that is asked for structures by name, corrected by clicks, behind the seam (VerSe).

The mode follows from what is there: a structure alone, a structure and clicks, clicks alone. Its masks are hard decisions, so it runs in full
precision unless something else is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..devices import check_cancel
from ..families.describing import of_structures
from ..predicting import Cancel, Capabilities, Cost, Prediction, Progress, Query, Request
from .running import RunningNetwork, gflop, without_weights

if TYPE_CHECKING:
    from ..models.model_list import ModelInfo
    from ..networks.verse import Verse

#: Click queries at the most; a long stroke is stood for by some of its pixels, and shown to the pixels as a whole.
MOST_CLICKS = 24


@dataclass
class _Kept:
    image: np.ndarray
    encoded: tuple[Any, ...]


class QueryPredictor:
    """See ``core.predicting.Predictor``. The image's encoding is kept for the next structure or click on it."""

    def __init__(self, network: Verse, name: str, device: str = "auto", precision: str = "auto", info: ModelInfo | None = None) -> None:
        self._run = RunningNetwork(network, name, device, precision, info, half=False)
        self._kept: _Kept | None = None
        self._described = of_structures(name, vars(network), info, self._run.fingerprint)
        self._gflop = _cost(network)

    @property
    def description(self) -> str:
        """Model and device in words."""
        return self._run.description

    @property
    def capabilities(self) -> Capabilities:
        """What the model can do."""
        return replace(self._described, cost=Cost(self._gflop, 0.0, self._run.gflop_per_second))

    def predict(self, request: Request, cancel: Cancel = None, progress: Progress | None = None) -> Prediction:
        """See ``core.predicting.Predictor``. A previous prediction is read together with prompts; without them the mode is automatic."""
        self.capabilities.check(request)
        check_cancel(cancel)
        started = time.perf_counter()
        logits = self._run.computed(lambda: self._logits(request, cancel), self._forget)
        check_cancel(cancel)
        if progress is not None:
            progress(1, 1)
        return self._run.prediction(logits, request.prompted, started, 0)

    def predict_batch(self, requests: Sequence[Request], cancel: Cancel = None, progress: Progress | None = None) -> list[Prediction]:
        """One after the other; requests about one image share its encoding."""
        results = []
        for number, request in enumerate(requests):
            results.append(self.predict(request, cancel))
            if progress is not None:
                progress(number + 1, len(requests))
        return results

    # --- details

    def _logits(self, request: Request, cancel: Cancel) -> np.ndarray:
        network = self._run.network
        if self._kept is None or not np.array_equal(self._kept.image, request.image):
            self._kept = _Kept(np.array(request.image), network.encode(self._run.tensor(request.image)[None, None]))
            check_cancel(cancel)
        clicks = strokes = previous = None
        if request.prompts is not None and request.prompted:
            found, painted = clicks_of(request.prompts[1:])
            clicks, strokes = self._run.tensor(found)[None], self._run.tensor(painted)[None]
            if request.previous is not None and np.any(request.previous):  # no previous result is zeros, not one half
                previous = self._run.tensor(request.previous)[None, None].sigmoid()
        layers = network.layers(self._kept.encoded, self._query(request.query), clicks, previous, strokes)
        return network.upsampled(layers[-1].float(), request.image.shape)[0, 0].cpu().numpy()

    def _query(self, query: Query | None) -> Any:
        from ..networks.verse import ObjectQuery

        if query is None:
            return None
        if query.taught is not None:
            return ObjectQuery(self._run.tensor(query.taught.features), self._run.tensor(query.taught.embedding))
        known = self._described.structure(query.structure)
        return self._run.network.query([self._described.structures.index(known)])

    def _forget(self) -> bool:
        kept, self._kept = self._kept is not None, None
        return kept


def clicks_of(channels: np.ndarray, most: int = MOST_CLICKS) -> tuple[np.ndarray, np.ndarray]:
    """Clicks and strokes of painted channels [2, n, n] (positive, negative).

    A pixel without neighbours is a click. Everything else is a stroke; pixels spread over it stand for it among the clicks.

    Returns:
        [k, 3] (row, column, 1 positive or 0 negative), at most ``most`` if there are strokes; [2, n, n] of the strokes alone.
    """
    painted = np.asarray(channels) > 0
    alone = painted & (_around(painted) == 1)
    strokes = painted & ~alone
    clicks = [(*place, 1 - sign) for sign, *place in np.argwhere(alone)]
    room = max(2, most - len(clicks))
    along = np.argwhere(strokes)
    chosen = along[np.unique(np.linspace(0, len(along) - 1, min(room, len(along))).round().astype(int))] if len(along) else along
    clicks += [(*place, 1 - sign) for sign, *place in chosen]
    return np.array(clicks, np.float32).reshape(-1, 3), strokes.astype(np.float32)


def _around(painted: np.ndarray) -> np.ndarray:
    """Painted pixels among each pixel and its eight neighbours."""
    padded = np.pad(painted.astype(int), ((0, 0), (1, 1), (1, 1)))
    height, width = painted.shape[1:]
    return np.sum([padded[:, a : a + height, b : b + width] for a in range(3) for b in range(3)], axis=0)


def _cost(network: Verse) -> float:
    """Billions of operations of an automatic prediction."""
    import torch

    from ..networks import outline

    with outline():
        twin = without_weights(network)
        image = torch.empty(1, 1, network.size, network.size)
        parameters = twin.sem_seg_head["predictor"]
    query = (parameters.query_feat.weight[None, : network.queries], parameters.query_embed.weight[None, : network.queries])

    def predict() -> None:
        twin.layers(twin.encode(image), query)

    return gflop(predict)
