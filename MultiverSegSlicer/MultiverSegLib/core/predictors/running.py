"""What predictors that run a torch network share: device, precision, retreat when memory is short, and what a prediction costs."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from ..calibration import Calibration, expected_dice
from ..devices import device_name, find_device, out_of_memory
from ..errors import DeviceError
from ..predicting import Prediction

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..models.model_list import ModelInfo

T = TypeVar("T")
N = TypeVar("N", bound="nn.Module")


class RunningNetwork(Generic[N]):
    """A network on its device.

    Args:
        network: in evaluation mode from now on.
        name: of the model.
        device, precision: see ``open_predictor``.
        info: what the registry says of the model; None: nothing.
        half: whether "auto" may take half precision on a GPU.

    Raises:
        DeviceError: no such device or precision.
    """

    def __init__(self, network: N, name: str, device: str, precision: str, info: ModelInfo | None, half: bool = True) -> None:
        if precision not in ("auto", "fp32", "bf16", "fp16"):
            raise DeviceError(f"Unknown precision {precision!r}: use auto, fp32, bf16 or fp16.")
        self.name, self.info = name, info
        self._precision = "fp32" if precision == "auto" and not half else precision
        self._device = find_device(device)
        self._notices: list[str] = []
        self.calibration = Calibration()
        if info is not None and info.calibration and info.calibration.get("sha256") == info.sha256:
            self.calibration = Calibration.from_json(info.calibration)
        self.network = network.eval().requires_grad_(False).to(self._device)

    @property
    def device(self) -> str:
        """The device in words."""
        return device_name(self._device)

    @property
    def description(self) -> str:
        """E.g. "wsicl-box on CPU (the GPU ran out of memory)"."""
        return f"{self.name} on {self.device}" + (f" ({'; '.join(self._notices)})" if self._notices else "")

    @property
    def notice(self) -> str:
        """What has happened to the device since."""
        return "; ".join(self._notices)

    def tensor(self, array: np.ndarray) -> Tensor:
        """float32 on the device; what isn't finite becomes 0."""
        import torch

        values = np.nan_to_num(np.asarray(array, np.float32), posinf=0.0, neginf=0.0)
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._device)

    def computed(self, compute: Callable[[], T], shrink: Callable[[], bool]) -> T:
        """The result of ``compute``, without gradients and in this precision. When memory runs out, ``shrink`` is asked to need less (False: it
        can't), then the CPU takes over, for good.

        Raises:
            DeviceError: out of memory on the CPU too.
        """
        import torch

        while True:
            try:
                with torch.inference_mode(), self._autocast():
                    return compute()
            except Exception as error:
                if not out_of_memory(error):
                    raise
                problem = error
            # outside of the handler: its traceback would keep the tensors alive that made the memory run out
            if self._device.type == "cuda":
                torch.cuda.empty_cache()
            if not shrink():
                self._to_cpu(problem)

    def prediction(self, logits: np.ndarray, prompted: bool, started: float, examples: int) -> Prediction:
        """The answer with these logits."""
        logits = np.nan_to_num(logits.astype(np.float32))
        probability = np.reciprocal(1 + np.exp(-np.clip(logits, -80, 80)))
        confidence = self.calibration(expected_dice(probability), prompted)
        seconds = time.perf_counter() - started
        return Prediction(probability, logits, confidence, None, self.name, self.device, seconds, examples, self.notice)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the weights' file, or of the weights where there is no file."""
        if self.info is not None and self.info.sha256:
            return self.info.sha256
        digest = hashlib.sha256()
        for name, value in self.network.state_dict().items():
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @property
    def gflop_per_second(self) -> float:
        """What matrix products reach on this device."""
        return _rate(str(self._device))

    def _to_cpu(self, problem: Exception) -> None:
        import torch

        if self._device.type == "cpu":
            raise DeviceError(f"{self.name} ran out of memory: close other programs, use fewer examples or a smaller model.") from problem
        self._notices.append(f"{self.device} ran out of memory")
        self._device = torch.device("cpu")
        self.network = self.network.to(self._device)
        if self._precision != "fp32":
            self._precision = "auto"

    def _autocast(self) -> Any:
        import torch

        kind: torch.dtype | None
        if self._precision == "auto" and self._device.type == "cuda":
            kind = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        else:
            kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self._precision)
        return contextlib.nullcontext() if kind is None else torch.autocast(self._device.type, dtype=kind)


def gflop(compute: Callable[[], Any]) -> float:
    """Billions of operations (two per multiply-add) of a computation, best made with tensors on the meta device."""
    from torch import no_grad
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, no_grad():
        compute()
    return counter.get_total_flops() / 1e9


def without_weights(network: Any) -> Any:
    """A network of the same architecture, in evaluation mode; within ``networks.outline()`` it takes no memory."""
    options = {name: value for name, value in network.architecture.items() if name != "family"}
    return type(network)(**options).eval().requires_grad_(False)


@cache
def _rate(device: str) -> float:
    """Measured once, in some hundredths of a second."""
    import torch

    side, best = (4096, 0.0) if device.startswith("cuda") else (768, 0.0)
    a = torch.rand(side, side, device=device)
    for _ in range(4):
        started = time.perf_counter()
        float((a @ a)[0, 0])  # waits for the device
        best = max(best, 2 * side**3 / 1e9 / (time.perf_counter() - started))
    return best
