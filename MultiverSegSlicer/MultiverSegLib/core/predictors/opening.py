"""From the name of a model, or the path of a checkpoint, to a predictor: the one place where they are made."""

from __future__ import annotations

from pathlib import Path

from ..models.loading import load_network
from ..models.registry import Registry
from ..predicting import Predictor

#: Families of which the registry's word is enough: their predictor loads the weights itself.
_OF_SLICES = ("multiverseg", "cached", "scribbleprompt")


def open_predictor(
    model: str | Path = "compact", device: str = "auto", precision: str = "auto", registry: Registry | None = None
) -> Predictor:
    """The predictor of a registered model or a checkpoint file, whatever its kind.

    Args:
        model: name in the registry, or path of a checkpoint.
        device: "auto" (a CUDA GPU if there is one), "cpu", "cuda", "cuda:1".
        precision: "auto" (half precision on a GPU where the network bears it, else fp32), "fp32", "bf16", "fp16".
        registry: where names are looked up; None: the default one.

    Raises:
        CheckpointError: unknown model, or its weights are missing or damaged.
        DeviceError: no such device.
    """
    registry = registry or Registry()
    known = registry.has(str(model))
    info = registry.get(str(model)) if known else None
    if info is not None and dict(info.architecture).get("family") in _OF_SLICES:
        return _of_slices(info.name, device, precision, registry)
    network, name = load_network(model, registry), info.name if info else Path(model).stem
    if getattr(network, "dims", 2) == 3:
        from .volumes import VolumePredictor

        return VolumePredictor(network, name, device, precision, info)
    if getattr(network, "by_query", False):
        from .queries import QueryPredictor

        return QueryPredictor(network, name, device, precision, info)
    return _of_slices(model, device, precision, registry)


def _of_slices(model: str | Path, device: str, precision: str, registry: Registry) -> Predictor:
    from .slices import SlicePredictor

    return SlicePredictor(model, device, precision, registry)
