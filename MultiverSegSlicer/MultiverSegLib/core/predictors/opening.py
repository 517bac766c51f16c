"""From the name of a model, the path of a checkpoint or a network to a predictor: the one place where they are made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError
from ..families import FAMILIES, Loaded, family_of
from ..models.loading import load_network
from ..models.registry import Registry
from ..predicting import Capabilities, Predictor, Request

if TYPE_CHECKING:
    from torch import nn

    from ..models.model_list import ModelInfo


def open_predictor(
    model: str | Path | nn.Module = "compact", device: str = "auto", precision: str = "auto", registry: Registry | None = None
) -> Predictor:
    """The predictor of a registered model, a checkpoint file or a network, whatever its kind.

    Args:
        model: name in the registry, path of a checkpoint, or a network of a known family (see ``core.families``). Of a model with a partner for the empty context
            (multiverseg-v1: scribbleprompt-v1) the partner predicts when there are no examples, as published; if its weights are not there, the
            model itself does, and says so.
        device: "auto" (a CUDA GPU if there is one), "cpu", "cuda", "cuda:1".
        precision: "auto" (half precision on a GPU where the network bears it, else fp32), "fp32", "bf16", "fp16".
        registry: where names are looked up; None: the default one.

    Raises:
        CheckpointError: unknown model, or its weights are missing or damaged.
        DeviceError: no such device or precision.
    """
    registry = registry or Registry()
    network: Any
    info: ModelInfo | None = None
    if isinstance(model, str | Path):
        info = registry.get(str(model)) if registry.has(str(model)) else None
        network, name = load_network(model, registry), info.name if info else Path(model).stem
    else:
        network, name = model, type(model).__name__
    family = family_of(network.architecture)
    return family.open(Loaded(network, name, info, *_partner(info, registry)), device, precision)


def _partner(info: ModelInfo | None, registry: Registry) -> tuple[tuple[str, nn.Module] | None, str]:
    """The network for the empty context, or the name of one that is not here."""
    if info is None or not info.empty_context:
        return None, ""
    try:
        return (info.empty_context, load_network(info.empty_context, registry)), ""
    except CheckpointError:
        return None, info.empty_context


def capabilities_of(model: str | Path, registry: Registry | None = None) -> Capabilities:
    """What a model can do, but for its cost: known without torch for listed models, else read from its file.

    Raises:
        CheckpointError: unknown model, or its file must be read and is missing or damaged.
    """
    registry = registry or Registry()
    found = _described(registry.get(str(model))) if registry.has(str(model)) else None
    return found or open_predictor(model, "cpu", registry=registry).capabilities


def _described(info: ModelInfo) -> Capabilities | None:
    """The capabilities of a listed model but for cost and, unless its file is here, the weights' fingerprint; None if its list entry says too
    little and the file must be read."""
    name = info.architecture.get("family")
    if name not in FAMILIES:
        return None
    family = FAMILIES.get(str(name))
    return family.describe(info.name, {**family.defaults, **info.architecture}, info)


def warm_up(predictor: Predictor) -> None:
    """Make a first prediction, of nothing, so that the first real one is as fast as the next."""
    import numpy as np

    able = predictor.capabilities
    image, prompts = np.zeros(able.shape, np.float32), np.zeros((3, *able.shape), np.float32)
    if "prompt" in able.needs:
        prompts[("box", "positive").index("positive" if "positive" in able.prompts else "box")][(able.size // 2,) * able.dims] = 1
    if not able.lacking(False, bool(prompts.any()), False):
        predictor.predict(Request(image, prompts if able.prompts else None))
