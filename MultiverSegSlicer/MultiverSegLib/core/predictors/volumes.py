"""A network for whole volumes behind the seam.

The published networks have no channel for prompts on the target: the target itself, with its prompts, is one more example. What the others add is
read once per target and kept, so that a new prompt costs one example and the decoder.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..devices import check_cancel
from ..errors import MultiverSegError
from ..families.describing import of_volumes
from ..predicting import PROMPTS, Cancel, Capabilities, Cost, Prediction, Progress, Request, ShownExample
from .running import RunningNetwork, gflop, without_weights

if TYPE_CHECKING:
    from ..models.model_list import ModelInfo
    from ..networks.neuroverse3d import Encoded, Neuroverse3D, Reading

#: Kinds of prompts in a list of models -> channels of the seam.
_CHANNELS = {"box": ("box",), "point": ("positive",), "scribble": ("positive",)}
#: Examples that are read at once on a GPU; a CPU gains nothing by more than one.
_PIECE = 4


@dataclass
class _Kept:
    """What the last target was found to be, and what it read from the examples ``ids``."""

    image: np.ndarray
    encoded: Encoded
    ids: tuple[str, ...] = ()
    reading: Reading | None = None


class VolumePredictor:
    """See ``core.predicting.Predictor``. ``piece``: examples that are read at once; None: by the device.

    Cancelling is looked at before each piece. Out of memory: pieces of one example, then the CPU.
    """

    def __init__(
        self,
        network: Neuroverse3D,
        name: str,
        device: str = "auto",
        precision: str = "auto",
        info: ModelInfo | None = None,
        piece: int | None = None,
    ) -> None:
        self._run = RunningNetwork(network, name, device, precision, info)
        self._piece = piece or (_PIECE if self._run._device.type == "cuda" else 1)
        self._kept: _Kept | None = None
        self._all_channels = network.context_channels > 2
        self._described = of_volumes(name, network.size, network.context_channels, info)
        self._reads = self._described.prompts
        self._cost = _cost(network)

    @property
    def description(self) -> str:
        """Model and device in words."""
        return self._run.description

    @property
    def capabilities(self) -> Capabilities:
        """What the model can do."""
        return replace(self._described, cost=Cost(*self._cost, self._run.gflop_per_second))

    def predict(self, request: Request, cancel: Cancel = None, progress: Progress | None = None) -> Prediction:
        """See ``core.predicting.Predictor``. A previous prediction is not read."""
        self.capabilities.check(request)
        started = time.perf_counter()
        own = [ShownExample("", request.image, None, request.prompts)] if request.prompted else []
        logits = self._run.computed(lambda: self._logits(request, own, cancel, progress), self._shrink)
        check_cancel(cancel)
        return self._run.prediction(logits, request.prompted, started, len(request.examples))

    def predict_batch(self, requests: Sequence[Request], cancel: Cancel = None, progress: Progress | None = None) -> list[Prediction]:
        """One after the other; what a target read from its examples is kept for the next request about it."""
        results = []
        for number, request in enumerate(requests):
            results.append(self.predict(request, cancel))
            if progress is not None:
                progress(number + 1, len(requests))
        return results

    # --- details

    def _logits(self, request: Request, own: list[ShownExample], cancel: Cancel, progress: Progress | None) -> np.ndarray:
        from ..networks.neuroverse3d import combined

        network = self._run.network
        ids = tuple(example.id for example in request.examples)
        kept = self._kept if self._kept is not None and np.array_equal(self._kept.image, request.image) else None
        fresh = [] if kept is not None and kept.ids == ids else list(request.examples)
        pieces = [fresh[n : n + self._piece] for n in range(0, len(fresh), self._piece)]
        steps, done = (kept is None) + len(pieces) + bool(own) + 1, 0

        def step() -> None:
            nonlocal done
            check_cancel(cancel)
            if progress is not None:
                progress(done, steps)
            done += 1

        if kept is None:
            step()
            kept = _Kept(np.array(request.image), network.encode_target(self._run.tensor(request.image)[None, None]))
            self._kept = kept
        encoded = kept.encoded

        def read(piece: list[ShownExample]) -> Reading:
            step()
            return network.read(encoded, self._run.tensor(np.stack([self._entry(e) for e in piece]))[None])

        if kept.ids != ids:
            reading = combined(map(read, pieces)) if pieces else None
            kept.ids, kept.reading = ids, reading
        readings = ([] if kept.reading is None else [kept.reading]) + ([read(own)] if own else [])
        step()
        output = network.logits(network.decode(encoded, combined(readings)).float())
        if progress is not None:
            progress(steps, steps)
        return np.asarray(output[0, 0].cpu().numpy())

    def _entry(self, example: ShownExample) -> np.ndarray:
        """[Cc, n, n, n]: the image and what was drawn on it, in the network's channels."""
        nothing = np.zeros_like(example.image)
        prompts = nothing[None].repeat(len(PROMPTS), 0) if example.prompts is None else np.asarray(example.prompts)
        if self._all_channels:
            return np.stack([example.image, nothing if example.mask is None else example.mask, *prompts])
        shown = [channel for name, channel in zip(PROMPTS, prompts, strict=True) if name in self._reads and channel.any()]
        drawn = np.max(shown, axis=0) if shown else example.mask
        if drawn is None:
            raise MultiverSegError(
                f"{self._run.name} can't read example {example.id}: it has neither a mask nor a prompt that the model reads."
            )
        return np.stack([example.image, drawn])

    def _shrink(self) -> bool:
        self._kept = None
        smaller, self._piece = self._piece > 1, 1
        return smaller


def _cost(network: Neuroverse3D) -> tuple[float, float]:
    """Billions of operations for a target with one example less that example's, and for an example."""
    import torch

    from ..networks import outline

    with outline():
        twin = without_weights(network)
        image = torch.empty(1, 1, *(network.size,) * 3)
        entry = torch.empty(1, 1, network.context_channels, *(network.size,) * 3)
    with torch.inference_mode():
        encoded = twin.encode_target(image)
        reading = twin.read(encoded, entry)
    own = gflop(lambda: twin.encode_target(image)) + gflop(lambda: twin.decode(encoded, reading))
    return own, gflop(lambda: twin.read(encoded, entry))
