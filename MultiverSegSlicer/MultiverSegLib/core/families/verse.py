"""VerSe: structures that are asked for by name, corrected by clicks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .describing import of_structures
from .family import Architecture, Family, Loaded

if TYPE_CHECKING:
    from torch import nn

    from ..models.model_list import ModelInfo
    from ..predicting import Capabilities, Predictor

PRESETS: dict[str, dict[str, Any]] = {
    "verse": {"family": "verse", "structures": 6, "queries": 4, "size": 256},
    "verse-small": {  # 5.3 M parameters, 6.4 GFLOP at 128 x 128
        "family": "verse",
        "structures": 6,
        "size": 128,
        "encoder_widths": [24, 48, 96, 192],
        "width": 96,
        "hidden": 384,
        "pixel_hidden": 64,
        "head_width": 24,
        "clicks": "learned",
    },
}


def build(**options: Any) -> nn.Module:
    """See ``Verse``."""
    from ..networks.verse import Verse

    return Verse(**options)


def recognise(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """By names of the decoder and the encoder; what no prediction reads is left out."""
    from ..networks.verse import published

    architecture = published.architecture_of(state)
    return None if architecture is None else (architecture, published.used_part(state))


def describe(name: str, architecture: Architecture, info: ModelInfo | None) -> Capabilities:
    """See ``Family.describe``."""
    return of_structures(name, architecture, info)


def open_queries(loaded: Loaded, device: str, precision: str) -> Predictor:
    """See ``Family.open``."""
    from ..networks.verse import Verse
    from ..predictors.queries import QueryPredictor

    return QueryPredictor(loaded.of_kind(Verse), loaded.name, device, precision, loaded.info)


FAMILY = Family(
    "verse",
    "VerSe",
    "A network that finds structures it knows by their name, corrected by clicks.",
    build,
    defaults={"size": 256, "queries": 4},
    presets=PRESETS,
    published=("VerSe",),
    recognise=recognise,
    describe=describe,
    open=open_queries,
)
