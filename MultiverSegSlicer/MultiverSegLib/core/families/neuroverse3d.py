"""Networks for whole volumes with volumes as examples: Neuroverse3D and WS-ICL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .describing import of_volumes
from .family import Architecture, Family, Loaded

if TYPE_CHECKING:
    from torch import nn

    from ..models.model_list import ModelInfo
    from ..predicting import Capabilities, Predictor

PRESETS: dict[str, dict[str, Any]] = {
    "neuroverse3d": {"family": "neuroverse3d", "widths": [32, 64, 128, 256, 512]},
    "compact3d": {  # 1.1 M parameters, 73 GFLOP with 8 examples at 128 cubed
        "family": "neuroverse3d",
        "widths": [8, 16, 32, 64],
        "fold": 2,
        "context_channels": 5,
        "norm": "group1",
        "output": "logits",
    },
}


def build(**options: Any) -> nn.Module:
    """See ``Neuroverse3D``."""
    from ..networks.neuroverse3d import Neuroverse3D

    return Neuroverse3D(**options)


def recognise(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """By the names of both encoders."""
    from ..networks.neuroverse3d import architecture_of

    architecture = architecture_of(state)
    return None if architecture is None else (architecture, dict(state))


def describe(name: str, architecture: Architecture, info: ModelInfo | None) -> Capabilities:
    """See ``Family.describe``."""
    return of_volumes(name, architecture["size"], architecture["context_channels"], info)


def open_volumes(loaded: Loaded, device: str, precision: str) -> Predictor:
    """See ``Family.open``."""
    from ..networks.neuroverse3d import Neuroverse3D
    from ..predictors.volumes import VolumePredictor

    return VolumePredictor(loaded.of_kind(Neuroverse3D), loaded.name, device, precision, loaded.info)


FAMILY = Family(
    "neuroverse3d",
    "Neuroverse3D",
    "A network for whole volumes with volumes as examples; also WS-ICL.",
    build,
    defaults={"context_channels": 2, "size": 128},
    presets=PRESETS,
    published=("WS-ICL",),
    recognise=recognise,
    describe=describe,
    open=open_volumes,
)
