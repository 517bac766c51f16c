"""Networks of our own that encode an example once in its life; their checkpoints carry their architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .family import Family

if TYPE_CHECKING:
    from torch import nn


def build(**options: Any) -> nn.Module:
    """See ``CachedContextNet``."""
    from ..networks.cached import CachedContextNet

    return CachedContextNet(**options)


FAMILY = Family(
    "cached",
    "Cached context",
    "A small network whose target reads the examples by attention; each example is encoded once.",
    build,
    defaults={"target_channels": 5, "context_channels": 5},
)
