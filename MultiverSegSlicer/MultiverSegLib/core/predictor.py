"""Predictor: owns network, device, precision and batching; arrays in, arrays out. Safe to use in any one thread; knows no MRML."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .calibration import Calibration, expected_dice
from .devices import check_cancel, device_name, find_device, out_of_memory
from .errors import CheckpointError, DeviceError, MultiverSegError
from .grid import GRID_SHAPE, GRID_SIZE

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .context.context_set import Example

#: Channels of a target and of an example, in the order the networks read them; a network reads the first few.
TARGET_CHANNELS = ("image", "box", "positive", "negative", "logits")
CONTEXT_CHANNELS = ("image", "mask", "box", "positive", "negative")
#: Examples whose encoding is kept, for networks that can reuse it.
_KEPT_ENCODINGS = 512
#: Of these, how many are computed in one pass: bounds the memory where a large context is met for the first time.
_ENCODED_AT_ONCE = 32
#: The axes that are flipped: nothing, and both, which turns an image by 180 degrees.
_UPRIGHT, _TURNED = (), (-2, -1)


@dataclass(frozen=True, eq=False)
class Prediction:
    """A prediction on the grid.

    Attributes:
        probability, logits: float32 [128,128].
        confidence: the Dice to expect, 0..1, calibrated where that was measured for the model; 0 if nothing reaches 0.5.
        presence: probability that the structure is on the slice at all; None from a model that can't say. Below 0.5 no pixel of the prediction is
            likelier than this, unless a positive prompt or a box says that it is there.
        model: name of the model that was used (of a pair, the one for this case).
        device: e.g. "CPU" or "NVIDIA RTX A4000".
        seconds: of computing, its share of the batch.
        n_context: examples used.
        notice: what the person should know, e.g. that the GPU ran out of memory; "" normally.
    """

    probability: np.ndarray
    logits: np.ndarray
    confidence: float
    model: str
    device: str
    seconds: float
    n_context: int
    notice: str = ""
    presence: float | None = None

    @property
    def absent(self) -> bool:
        """Whether the model says that the structure is not on the slice: by its presence, or as nothing reaches 0.5."""
        return not bool((self.probability >= 0.5).any()) if self.presence is None else self.presence < 0.5

    def mask(self, threshold: float = 0.5) -> np.ndarray:
        """bool [128,128]: probability of at least ``threshold``."""
        return self.probability >= threshold


@dataclass
class _Kept:
    """What the last image was found to be, before any prompt: its encoding, and what it reads from the examples ``ids``."""

    image: Tensor
    encoded: tuple[Tensor, ...]
    ids: tuple[str, ...] | None = None
    readings: tuple[Tensor, ...] = ()


class Predictor:
    """Predicts with a registered model, a checkpoint file or a network.

    Args:
        model: name in the registry, path of a checkpoint, or a network (see ``networks.Network``). Of a model with a partner for the empty context
            (multiverseg-v1: scribbleprompt-v1) the partner predicts when there are no examples, as published; if its weights are not there,
            the model itself does, with the dummy entry of the paper's A.1, and says so.
        device: "auto" (a CUDA GPU if there is one), "cpu", "cuda", "cuda:1".
        precision: "auto" (bf16 or fp16 on a GPU, else fp32), "fp32", "bf16", "fp16".
        registry: where names are looked up; None: the default one.

    Out of memory: batches are halved, then the context is read in smaller pieces, then the CPU takes over, for good; ``description`` and the
    predictions' ``notice`` say so.

    Raises:
        CheckpointError: unknown model, or its weights are missing or damaged.
        DeviceError: no such device.
    """

    def __init__(self, model: Any = "compact", device: str = "auto", precision: str = "auto", registry: Any = None) -> None:
        if precision not in ("auto", "fp32", "bf16", "fp16"):
            raise DeviceError(f"Unknown precision {precision!r}: use auto, fp32, bf16 or fp16.")
        self._precision = precision
        self._registry = registry
        self._notices: list[str] = []
        self._device = find_device(device)
        self._encodings: OrderedDict[tuple[str, tuple[int, ...]], tuple[Tensor, ...]] = OrderedDict()
        self._kept: _Kept | None = None
        self._partner: tuple[str, nn.Module] | None = None
        self._partner_name = ""
        #: From what the model believes of its masks to what they turned out to be; see ``core.calibration``.
        self.calibration = Calibration()
        self.model, self._network = self._load(model)
        self.batch_size = self._fitting_batch()

    @property
    def description(self) -> str:
        """E.g. "compact on CPU" or "compact on CPU (the GPU ran out of memory)"."""
        return f"{self.model} on {self.device}" + (f" ({'; '.join(self._notices)})" if self._notices else "")

    @property
    def device(self) -> str:
        """The device in words."""
        return device_name(self._device)

    def predict(
        self,
        image: np.ndarray,
        prompts: np.ndarray | None = None,
        logits: np.ndarray | None = None,
        examples: Sequence[Example] = (),
        cancel: Any = None,
    ) -> Prediction:
        """Predict one slice.

        Args:
            image: [128,128] in 0..1.
            prompts: [3,128,128] (box, positive, negative) in 0..1, or None.
            logits: [128,128] of the previous prediction (logits, never a mask), or None.
            examples: the context. A network that reads masks only leaves out examples without one, and the notice says so.
            cancel: ``threading.Event`` or a function; looked at before and after each forward pass.

        Raises:
            Cancelled: ``cancel`` was set.
            MultiverSegError: arrays of another shape.
            DeviceError: out of memory on the CPU too.
        """
        return self.predict_batch([image], [prompts], [logits], examples, cancel)[0]

    def predict_batch(
        self,
        images: Sequence[np.ndarray],
        prompts: Sequence[np.ndarray | None] | None = None,
        logits: Sequence[np.ndarray | None] | None = None,
        examples: Sequence[Example] = (),
        cancel: Any = None,
    ) -> list[Prediction]:
        """Predict several slices with the same context; see ``predict``. ``prompts`` and ``logits``: one entry per image, or None."""
        targets = _targets(images, prompts, logits)
        model, network, used, notice = self._choose(examples)
        results: list[Prediction] = []
        while len(results) < len(targets):
            part = targets[len(results) : len(results) + self.batch_size]
            check_cancel(cancel)
            started = time.perf_counter()
            try:
                predicted = self._forward(network, part, used)
            except Exception as error:
                if not out_of_memory(error):
                    raise
                problem = error
            else:
                check_cancel(cancel)
                seconds = (time.perf_counter() - started) / len(part)
                text = "; ".join(filter(None, [notice, *self._notices]))
                for target, logits, presence in zip(part, *predicted, strict=True):
                    probability = np.reciprocal(1 + np.exp(-np.clip(logits, -80, 80)))
                    confidence = self._confidence(model, probability, bool(target[1:4].any()))
                    found = (probability, logits, confidence, model, self.device, seconds, len(used), text, presence)
                    results.append(Prediction(*found))
                continue
            # outside of the handler: its traceback would keep the tensors alive that made the memory run out
            self._retreat(network, problem)
        return results

    def warm_up(self) -> None:
        """One forward pass, so that the first real prediction is as fast as the next; of a pair, by the network for the empty context and,
        on a GPU, by the other one too."""
        target = np.zeros((1, len(TARGET_CHANNELS), *GRID_SHAPE), np.float32)
        networks = [self._network] if self._partner is None else [self._partner[1], self._network]
        for network in networks if self._device.type == "cuda" else networks[:1]:
            self._forward(network, target, ())

    # --- choosing the network

    def _load(self, model: Any) -> tuple[str, nn.Module]:
        from .models.loading import load_network
        from .models.registry import Registry

        if hasattr(model, "forward"):
            return type(model).__name__, self._placed(_of_slices(model, type(model).__name__))
        registry = self._registry or Registry()
        if not registry.has(str(model)):
            network = _of_slices(load_network(model, registry), Path(model).name)
            return Path(model).stem, self._placed(network)
        info = registry.get(str(model))
        network = _of_slices(load_network(info.name, registry), info.name)
        if info.calibration and info.calibration.get("sha256") == info.sha256:  # else it was measured with other weights
            self.calibration = Calibration.from_json(info.calibration)
        if info.empty_context:
            self._load_partner(info.empty_context, registry)
        return info.name, self._placed(network)

    def _load_partner(self, name: str, registry: Any) -> None:
        from .models.loading import load_network

        try:
            self._partner = name, self._placed(load_network(name, registry))
        except CheckpointError:
            self._partner_name = name

    def _choose(self, examples: Sequence[Example]) -> tuple[str, nn.Module, tuple[Example, ...], str]:
        channels = self._network.context_channels
        used = tuple(e for e in examples if channels > 2 or not e.weak) if channels else ()
        notice = ""
        if channels and len(used) < len(examples):
            notice = f"{self.model} needs masks: {len(examples) - len(used)} of {len(examples)} examples have none and were left out"
        if not used and self._partner is not None:
            return *self._partner, used, notice
        if not used and self._partner_name:
            notice = f"{self._partner_name}, made for the case without examples, is not there"
        return self.model, self._network, used, notice

    def _confidence(self, model: str, probability: np.ndarray, prompted: bool) -> float:
        calibration = self.calibration if model == self.model else Calibration()
        return calibration(expected_dice(probability), prompted)

    # --- computing

    def _forward(self, network: nn.Module, targets: np.ndarray, examples: Sequence[Example]) -> tuple[np.ndarray, list[float | None]]:
        """targets [B,5,128,128] -> logits [B,128,128] and the probabilities of presence."""
        import torch

        target = torch.from_numpy(targets[:, : network.target_channels]).to(self._device)
        with torch.inference_mode(), self._autocast():
            result, present = self._run(network, target, examples)
        if self._autocast_type() is not None and not bool(torch.isfinite(result).all()):
            self._forget()
            with torch.inference_mode():  # fp16 overflowed
                result, present = self._run(network, target, examples)
        logits = np.nan_to_num(result[:, 0].float().cpu().numpy())
        if present is None:
            return logits, [None] * len(logits)
        presence = np.nan_to_num(present.float().cpu().numpy())
        return _without_absent(logits, presence, targets), torch.sigmoid(torch.from_numpy(presence)).tolist()

    def _run(self, network: nn.Module, target: Tensor, examples: Sequence[Example]) -> tuple[Tensor, Tensor | None]:
        """target [B,5,128,128] -> logits [B,1,128,128] and of presence [B]; see ``networks.CachingNetwork`` for ``looks_twice``."""
        logits, present = self._look(network, target, examples)
        if examples and getattr(network, "looks_twice", False):
            alone = ~target[:, 1:].flatten(1).any(1)  # nothing but the examples says what is wanted
            if alone.any():
                turned, again = self._look(network, target[alone].flip(_TURNED), examples, _TURNED)
                logits[alone] = (logits[alone] + turned.flip(_TURNED)) / 2
                if present is not None and again is not None:
                    present[alone] = (present[alone] + again) / 2
        return logits, present

    def _look(
        self, network: nn.Module, target: Tensor, examples: Sequence[Example], flip: tuple[int, ...] = _UPRIGHT
    ) -> tuple[Tensor, Tensor | None]:
        """``flip``: axes along which the target was flipped, and the examples are to be."""
        if hasattr(network, "decode"):
            return _decoded(network, target, *self._read(network, target, examples, flip))
        if not examples:
            return network(target, None), None
        if hasattr(network, "encode_context"):
            features = tuple(f.expand(len(target), *f.shape[1:]) for f in self._encoded(network, examples, flip))
            return network.forward_with_features(target, features), None
        context = self._context(network, examples)
        return network(target, context.expand(len(target), *context.shape[1:])), None

    def _context(self, network: nn.Module, examples: Sequence[Example]) -> Tensor:
        """[1,N,Cc,128,128]; a missing mask or missing prompts are zeros."""
        import torch

        context = np.zeros((1, len(examples), len(CONTEXT_CHANNELS), *GRID_SHAPE), np.float32)
        for entry, example in zip(context[0], examples, strict=True):
            pixels = example.pixels
            entry[0] = pixels.image
            if pixels.mask is not None:
                entry[1] = pixels.mask
            if pixels.prompts is not None:
                entry[2:] = pixels.prompts
        return torch.from_numpy(context[:, :, : network.context_channels]).to(self._device)

    def _encoded(self, network: nn.Module, examples: Sequence[Example], flip: tuple[int, ...] = _UPRIGHT) -> list[Tensor]:
        """The encodings of the examples, each [1,N,...]; an example is encoded once, and once more where it is flipped."""
        import torch

        fresh = [e for e in examples if (e.id, flip) not in self._encodings]
        for start in range(0, len(fresh), _ENCODED_AT_ONCE):
            part = fresh[start : start + _ENCODED_AT_ONCE]
            encoded = network.encode_context(self._context(network, part).flip(flip))
            for i, example in enumerate(part):
                self._encodings[example.id, flip] = tuple(f[:, i : i + 1].clone() for f in encoded)
        for example in examples:
            self._encodings.move_to_end((example.id, flip))
        features = [torch.cat(parts, dim=1) for parts in zip(*(self._encodings[e.id, flip] for e in examples), strict=True)]
        while len(self._encodings) > _KEPT_ENCODINGS:
            self._encodings.popitem(last=False)
        return features

    def _read(
        self, network: nn.Module, target: Tensor, examples: Sequence[Example], flip: tuple[int, ...]
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The images' encodings and what they read from the examples; those of a single upright image are kept for the next click on it."""
        image, ids = target[:, :1], tuple(e.id for e in examples)
        if len(target) > 1 or flip != _UPRIGHT:
            features = self._encoded(network, examples, flip) if examples else self._no_examples(network, target[:1])
            encoded = network.encode_target(image)
            return encoded, network.read(encoded, tuple(f.expand(len(target), *f.shape[1:]) for f in features))
        if self._kept is None or not image.equal(self._kept.image):
            self._kept = _Kept(image.clone(), network.encode_target(image))
        if self._kept.ids != ids:
            features = self._encoded(network, examples) if examples else self._no_examples(network, target)
            self._kept.ids, self._kept.readings = ids, network.read(self._kept.encoded, tuple(features))
        return self._kept.encoded, self._kept.readings

    def _no_examples(self, network: nn.Module, target: Tensor) -> tuple[Tensor, ...]:
        """The encoding of the dummy entry, which is always the same."""
        key = "", _UPRIGHT
        if key not in self._encodings:
            self._encodings[key] = network.encode_context(network.empty_context(target))
        self._encodings.move_to_end(key)
        return self._encodings[key]

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

    def _placed(self, network: nn.Module) -> nn.Module:
        import torch

        network = network.eval().to(self._device)
        return network.to(memory_format=torch.channels_last) if self._device.type == "cuda" else network

    def _fitting_batch(self) -> int:
        """On a CPU, larger batches only help networks whose features fit the cache."""
        if self._device.type == "cuda":
            return 16
        widths = [*getattr(self._network, "encoder_features", ()), *getattr(self._network, "decoder_features", ())] or [32]
        return min(8, max(1, (16 << 20) // (4 * max(widths) * GRID_SIZE**2)))

    # --- out of memory

    def _retreat(self, network: nn.Module, problem: Exception) -> None:
        """Make the next try need less memory: smaller batches, smaller pieces of the context, the CPU."""
        self._forget()
        if self._device.type == "cuda":
            import torch

            torch.cuda.empty_cache()
        if self.batch_size > 1:
            self.batch_size //= 2
        elif getattr(network, "chunk", 1) != 1:
            network.chunk = 1
        elif self._device.type != "cpu":
            self._retreat_to_cpu()
        else:
            raise DeviceError(f"{self.model} ran out of memory: close other programs or use fewer examples.") from problem

    def _forget(self) -> None:
        """What was computed on another device or in another precision."""
        self._encodings.clear()
        self._kept = None

    def _retreat_to_cpu(self) -> None:
        import torch

        name = self.device
        self._device = torch.device("cpu")
        self._notices.append(f"{name} ran out of memory")
        self._network = self._placed(self._network)
        if self._partner is not None:
            self._partner = self._partner[0], self._placed(self._partner[1])
        for network in (self._network, *(self._partner or ())[1:]):
            if hasattr(network, "chunk"):
                network.chunk = None
        if self._precision != "fp32":
            self._precision = "auto"
        self.batch_size = self._fitting_batch()


def _targets(images: Sequence[np.ndarray], prompts: Sequence | None, logits: Sequence | None) -> np.ndarray:
    """[B,5,128,128]; what is missing is zero, and so are values that are not finite."""
    targets = np.zeros((len(images), len(TARGET_CHANNELS), *GRID_SHAPE), np.float32)
    for what, values, channels in (("image", images, slice(0, 1)), ("prompts", prompts, slice(1, 4)), ("logits", logits, slice(4, 5))):
        if values is None:
            continue
        if len(values) != len(images):
            raise MultiverSegError(f"Expected {len(images)} {what}, one per image, got {len(values)}.")
        for target, value in zip(targets, values, strict=True):
            if value is None and what != "image":
                continue
            expected = (3, *GRID_SHAPE) if what == "prompts" else GRID_SHAPE
            if np.shape(value) != expected:
                raise MultiverSegError(f"The {what} must have the shape {expected}, got {np.shape(value)}.")
            target[channels] = value
    return np.nan_to_num(targets, copy=False, posinf=0.0, neginf=0.0)


def _of_slices(network: nn.Module, name: str) -> nn.Module:
    """The network, if it reads slices with prompts as channels.

    Raises:
        CheckpointError: it is of another kind.
    """
    if getattr(network, "dims", 2) != 2:
        raise CheckpointError(f"{name} segments whole volumes, not single slices: choose another model here.")
    if getattr(network, "by_query", False):
        raise CheckpointError(f"{name} is asked for structures by name, not by examples: choose another model here.")
    return network


def _decoded(network: nn.Module, target: Tensor, encoded: tuple[Tensor, ...], readings: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None]:
    """The logits, and those of presence from a network that can say."""
    if hasattr(network, "decode_with_presence"):
        return network.decode_with_presence(target, encoded, readings)
    return network.decode(target, encoded, readings), None


def _without_absent(logits: np.ndarray, presence: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """``logits`` [B,128,128] lowered where the structure is more likely absent (``presence`` [B], logits): no pixel is likelier than that it is
    there. Where the person says so by a box or a positive prompt, nothing is lowered."""
    asserted = (targets[:, 1:3] > 0).any((1, 2, 3))
    excess = np.maximum(logits.max((1, 2)) - presence, 0)
    return logits - np.where((presence < 0) & ~asserted, excess, 0).astype(np.float32)[:, None, None]
