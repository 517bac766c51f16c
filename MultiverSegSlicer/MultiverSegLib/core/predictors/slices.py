"""Networks for slices with prompts as channels and examples as context, behind the seam: the predictor of ``core.predictor``, asked in its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..context.example import Pixels
from ..grid import GRID_SIZE
from ..predicting import PROMPTS, Cancel, Capabilities, Cost, Prediction, Progress, Request, ShownExample
from ..predictor import Predictor


@dataclass(frozen=True, eq=False)
class _Example:
    """What ``core.predictor`` needs of an example."""

    id: str
    pixels: Pixels

    @property
    def weak(self) -> bool:
        return self.pixels.mask is None


class SlicePredictor:
    """See ``core.predicting.Predictor``. Examples that a network can't read are refused, not left out."""

    def __init__(self, model: Any, device: str = "auto", precision: str = "auto", registry: Any = None) -> None:
        self._predictor = Predictor(model, device, precision, registry)

    @property
    def description(self) -> str:
        """Model and device in words."""
        return self._predictor.description

    @property
    def capabilities(self) -> Capabilities:
        """What the model can do."""
        network = self._predictor._network
        reads = PROMPTS if network.target_channels >= 4 else ()
        context = {0: "none", 2: "masks"}.get(network.context_channels, "prompts")
        needs = () if reads else ("example",)
        return Capabilities(self._predictor.model, 2, GRID_SIZE, reads, context, needs, refines=network.target_channels >= 5, cost=Cost())

    def predict(self, request: Request, cancel: Cancel = None, progress: Progress | None = None) -> Prediction:
        """See ``core.predicting.Predictor``."""
        return self.predict_batch([request], cancel, progress)[0]

    def predict_batch(self, requests: Sequence[Request], cancel: Cancel = None, progress: Progress | None = None) -> list[Prediction]:
        """Requests that follow each other with the same examples go through the network together."""
        capabilities = self.capabilities
        for request in requests:
            capabilities.check(request)
        results: list[Prediction] = []
        while len(results) < len(requests):
            ids = _ids(requests[len(results)])
            together = []
            for request in requests[len(results) :]:
                if _ids(request) != ids:
                    break
                together.append(request)
            images, prompts, previous = ([getattr(r, name) for r in together] for name in ("image", "prompts", "previous"))
            examples = [_shown(example) for example in together[0].examples]
            for found in self._predictor.predict_batch(images, prompts, previous, examples, cancel):
                results.append(Prediction(**vars(found)))
            if progress is not None:
                progress(len(results), len(requests))
        return results


def _ids(request: Request) -> tuple[str, ...]:
    return tuple(example.id for example in request.examples)


def _shown(example: ShownExample) -> _Example:
    return _Example(example.id, Pixels.checked(example.image, example.mask, example.prompts))
