"""MultiverSeg and UniverSeg: a U-Net of CrossBlocks between a target and its examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .family import Family

if TYPE_CHECKING:
    from torch import nn

PRESETS: dict[str, dict[str, Any]] = {
    "multiverseg": {"family": "multiverseg", "target_channels": 5, "context_channels": 2, "encoder_features": [256] * 4},
    "universeg": {
        "family": "multiverseg",
        "target_channels": 1,
        "context_channels": 2,
        "encoder_features": [64] * 4,
        "norm": None,
        "cross_activation": False,
    },
}


def build(**options: Any) -> nn.Module:
    """See ``MultiverSegNet``."""
    from ..networks.multiverseg import MultiverSegNet

    return MultiverSegNet(**options)


def recognise(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """By the names of the CrossBlocks; widths and channels are read off their shapes."""
    if "enc_blocks.0.cross.cross_conv.weight" not in state:
        return None

    def widths(part: str) -> list[int]:
        names = (f"{part}.{i}.cross.cross_conv.weight" for i in range(64))
        return [len(state[name]) for name in names if name in state]

    normed = any(".norml." in name for name in state)
    inputs = state["enc_blocks.0.cross.cross_conv.weight"].shape[1]
    context = 2
    architecture = {
        **PRESETS["multiverseg" if normed else "universeg"],
        "target_channels": inputs - context,
        "context_channels": context,
        "encoder_features": widths("enc_blocks"),
        "decoder_features": widths("dec_blocks"),
    }
    return architecture, dict(state)


FAMILY = Family(
    "multiverseg",
    "MultiverSeg",
    "A U-Net that compares the target with every example at every level; also UniverSeg.",
    build,
    defaults={"target_channels": 5, "context_channels": 2},
    presets=PRESETS,
    published=("MultiverSeg", "UniverSeg"),
    recognise=recognise,
)
