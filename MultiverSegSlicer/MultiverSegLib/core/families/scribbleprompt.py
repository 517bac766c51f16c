"""ScribblePrompt: prompts without examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .family import Family

if TYPE_CHECKING:
    from torch import nn

PRESETS: dict[str, dict[str, Any]] = {"scribbleprompt": {"family": "scribbleprompt", "target_channels": 5, "features": [192] * 4}}


def build(**options: Any) -> nn.Module:
    """See ``ScribblePromptUNet``."""
    from ..networks.scribbleprompt import ScribblePromptUNet

    return ScribblePromptUNet(**options)


def recognise(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """By the name of the first convolution; there is one published size."""
    return (PRESETS["scribbleprompt"], dict(state)) if "downs.0.conv.0.weight" in state else None


FAMILY = Family(
    "scribbleprompt",
    "ScribblePrompt",
    "A U-Net that reads points, boxes and scribbles, and no examples.",
    build,
    defaults={"target_channels": 5, "context_channels": 0},
    presets=PRESETS,
    published=("ScribblePrompt",),
    recognise=recognise,
)
