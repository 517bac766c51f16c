"""Networks for slices with prompts as channels and examples as context, behind the seam."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..calibration import Calibration, expected_dice
from ..devices import check_cancel, device_name, find_device, out_of_memory
from ..errors import DeviceError
from ..families.describing import of_slices
from ..grid import GRID_SHAPE, GRID_SIZE
from ..predicting import Cancel, Capabilities, Prediction, Progress, Request, ShownExample
from .slice_reading import Reading

if TYPE_CHECKING:
    from ..models.model_list import ModelInfo
    from ..networks import SliceNetwork

#: Channels of a target, in the order the networks read them; a network reads the first few.
TARGET_CHANNELS = ("image", "box", "positive", "negative", "logits")


class SlicePredictor:
    """See ``core.predicting.Predictor``. Examples that a network can't read are refused, not left out.

    Args:
        network: see ``networks.SliceNetwork``.
        name: of the model.
        device, precision: see ``open_predictor``.
        info: what the registry says of the model; None: nothing.
        partner: name and network that predict when there are no examples, as published for multiverseg-v1.
        missing: name of such a partner whose weights are not there: the model itself predicts, with the dummy entry of the paper's A.1, and says so.

    Out of memory: batches are halved, then the context is read in smaller pieces, then the CPU takes over, for good; ``description`` and the
    predictions' ``notice`` say so.

    Raises:
        DeviceError: no such device or precision.
    """

    def __init__(
        self,
        network: SliceNetwork,
        name: str,
        device: str = "auto",
        precision: str = "auto",
        info: ModelInfo | None = None,
        partner: tuple[str, SliceNetwork] | None = None,
        missing: str = "",
    ) -> None:
        if precision not in ("auto", "fp32", "bf16", "fp16"):
            raise DeviceError(f"Unknown precision {precision!r}: use auto, fp32, bf16 or fp16.")
        self._precision = precision
        self._notices: list[str] = []
        self._device = find_device(device)
        self._reading = Reading(self._device)
        #: From what the model believes of its masks to what they turned out to be; see ``core.calibration``.
        self.calibration = Calibration()
        if (
            info is not None and info.calibration and info.calibration.get("sha256") == info.sha256
        ):  # else it was measured with other weights
            self.calibration = Calibration.from_json(info.calibration)
        self._name, self._network = name, self._placed(network)
        self._partner = None if partner is None else (partner[0], self._placed(partner[1]))
        self._missing = missing
        self.capabilities: Capabilities = of_slices(name, network.target_channels, network.context_channels, info)
        self.batch_size = self._fitting_batch()

    @property
    def description(self) -> str:
        """E.g. "compact on CPU" or "compact on CPU (the GPU ran out of memory)"."""
        return f"{self._name} on {self.device}" + (f" ({'; '.join(self._notices)})" if self._notices else "")

    @property
    def device(self) -> str:
        """The device in words."""
        return device_name(self._device)

    def predict(self, request: Request, cancel: Cancel = None, progress: Progress | None = None) -> Prediction:
        """See ``core.predicting.Predictor``; ``cancel`` is looked at before and after each forward pass."""
        return self.predict_batch([request], cancel, progress)[0]

    def predict_batch(self, requests: Sequence[Request], cancel: Cancel = None, progress: Progress | None = None) -> list[Prediction]:
        """Requests that follow each other with the same examples go through the network together."""
        for request in requests:
            self.capabilities.check(request)
        results: list[Prediction] = []
        while len(results) < len(requests):
            part = self._together(requests[len(results) :])
            model, network, notice = self._choose(part[0].examples)
            check_cancel(cancel)
            started = time.perf_counter()
            try:
                predicted = self._forward(network, _targets(part), part[0].examples)
            except Exception as error:
                if not out_of_memory(error):
                    raise
                problem = error
            else:
                check_cancel(cancel)
                seconds = (time.perf_counter() - started) / len(part)
                text = "; ".join(filter(None, [notice, *self._notices]))
                for request, logits, presence in zip(part, *predicted, strict=True):
                    probability = np.reciprocal(1 + np.exp(-np.clip(logits, -80, 80)))
                    confidence = self._confidence(model, probability, request.prompted)
                    found = (probability, logits, confidence, presence, model, self.device, seconds, len(request.examples), text)
                    results.append(Prediction(*found))
                if progress is not None:
                    progress(len(results), len(requests))
                continue
            # outside of the handler: its traceback would keep the tensors alive that made the memory run out
            self._retreat(network, problem)
        return results

    # --- choosing the network

    def _together(self, requests: Sequence[Request]) -> list[Request]:
        """The first of them that have the same examples and fit one pass."""
        ids, part = _ids(requests[0]), [requests[0]]
        for request in requests[1 : self.batch_size]:
            if request.examples is not requests[0].examples and _ids(request) != ids:
                break
            part.append(request)
        return part

    def _choose(self, examples: Sequence[ShownExample]) -> tuple[str, SliceNetwork, str]:
        if examples or not (self._partner or self._missing):
            return self._name, self._network, ""
        if self._partner is not None:
            return *self._partner, ""
        return self._name, self._network, f"{self._missing}, made for the case without examples, is not there"

    def _confidence(self, model: str, probability: np.ndarray, prompted: bool) -> float:
        calibration = self.calibration if model == self._name else Calibration()
        return calibration(expected_dice(probability), prompted)

    # --- computing

    def _forward(
        self, network: SliceNetwork, targets: np.ndarray, examples: Sequence[ShownExample]
    ) -> tuple[np.ndarray, list[float | None]]:
        """targets [B,5,n,n] -> logits [B,n,n] and the probabilities of presence."""
        import torch

        target = torch.from_numpy(targets[:, : network.target_channels]).to(self._device)
        with torch.inference_mode(), self._autocast():
            result, present = self._reading.look(network, target, examples)
        if self._autocast_type() is not None and not bool(torch.isfinite(result).all()):
            self._reading.forget()
            with torch.inference_mode():  # fp16 overflowed
                result, present = self._reading.look(network, target, examples)
        logits = np.nan_to_num(result[:, 0].float().cpu().numpy())
        if present is None:
            return logits, [None] * len(logits)
        presence = np.nan_to_num(present.float().cpu().numpy())
        return _without_absent(logits, presence, targets), torch.sigmoid(torch.from_numpy(presence)).tolist()

    def _autocast(self) -> Any:
        import contextlib

        import torch

        kind = self._autocast_type()
        return contextlib.nullcontext() if kind is None else torch.autocast(self._device.type, dtype=kind)

    def _autocast_type(self) -> Any:
        import torch

        if self._precision == "auto":
            if self._device.type != "cuda":
                return None
            return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        return {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[self._precision]

    def _placed(self, network: SliceNetwork) -> SliceNetwork:
        import torch

        network = network.eval().to(self._device)
        if self._device.type == "cuda":
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's annotation lacks it
        return network

    def _fitting_batch(self) -> int:
        """On a CPU, larger batches only help networks whose features fit the cache."""
        if self._device.type == "cuda":
            return 16
        return min(8, max(1, (16 << 20) // (4 * self._network.widest * GRID_SIZE**2)))

    # --- out of memory

    def _retreat(self, network: SliceNetwork, problem: Exception) -> None:
        """Make the next try need less memory: smaller batches, smaller pieces of the context, the CPU."""
        self._reading.forget()
        if self._device.type == "cuda":
            import torch

            torch.cuda.empty_cache()
        if self.batch_size > 1:
            self.batch_size //= 2
        elif network.reads_in_chunks and network.chunk != 1:
            network.chunk = 1
        elif self._device.type != "cpu":
            self._retreat_to_cpu()
        else:
            raise DeviceError(f"{self._name} ran out of memory: close other programs or use fewer examples.") from problem

    def _retreat_to_cpu(self) -> None:
        import torch

        name = self.device
        self._device = self._reading.device = torch.device("cpu")
        self._notices.append(f"{name} ran out of memory")
        self._network = self._placed(self._network)
        if self._partner is not None:
            self._partner = self._partner[0], self._placed(self._partner[1])
        for network in (self._network, *(self._partner or ())[1:]):
            network.chunk = None
        if self._precision != "fp32":
            self._precision = "auto"
        self.batch_size = self._fitting_batch()


def _targets(requests: Sequence[Request]) -> np.ndarray:
    """[B,5,n,n]; what is missing is zero, and so are values that are not finite."""
    targets = np.zeros((len(requests), len(TARGET_CHANNELS), *GRID_SHAPE), np.float32)
    for target, request in zip(targets, requests, strict=True):
        target[0] = request.image
        if request.prompts is not None:
            target[1:4] = request.prompts
        if request.previous is not None:
            target[4] = request.previous
    return np.nan_to_num(targets, copy=False, posinf=0.0, neginf=0.0)


def _ids(request: Request) -> tuple[str, ...]:
    return tuple(example.id for example in request.examples)


def _without_absent(logits: np.ndarray, presence: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """``logits`` [B,128,128] lowered where the structure is more likely absent (``presence`` [B], logits): no pixel is likelier than that it is
    there. Where the user says so by a box or a positive prompt, nothing is lowered."""
    asserted = (targets[:, 1:3] > 0).any((1, 2, 3))
    excess = np.maximum(logits.max((1, 2)) - presence, 0)
    return logits - np.where((presence < 0) & ~asserted, excess, 0).astype(np.float32)[:, None, None]
