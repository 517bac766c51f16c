"""From a plain description (JSON) to a network, and what every network offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from ..errors import CheckpointError
from .cached import CachedContextNet
from .multiverseg import MultiverSegNet
from .neuroverse3d import Neuroverse3D
from .scribbleprompt import ScribblePromptUNet
from .verse import Verse

#: Configurations by name: the published ones, and small ones of our own to train. `compact` networks carry their own description in their checkpoint.
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
    "scribbleprompt": {"family": "scribbleprompt", "target_channels": 5, "features": [192] * 4},
    "neuroverse3d": {"family": "neuroverse3d", "widths": [32, 64, 128, 256, 512]},
    "verse": {"family": "verse", "structures": 6, "queries": 4, "size": 256},
    "compact3d": {  # 1.1 M parameters, 73 GFLOP with 8 examples at 128 cubed
        "family": "neuroverse3d",
        "widths": [8, 16, 32, 64],
        "fold": 2,
        "context_channels": 5,
        "norm": "group1",
        "output": "logits",
    },
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

#: Network classes by the "family" of their description.
FAMILIES: dict[str, type[nn.Module]] = {
    "multiverseg": MultiverSegNet,
    "cached": CachedContextNet,
    "scribbleprompt": ScribblePromptUNet,
    "neuroverse3d": Neuroverse3D,
    "verse": Verse,
}


@runtime_checkable
class Network(Protocol):
    """A torch module that segments a target given a context.

    ``target_channels``/``context_channels``: what it reads (0 context channels: it ignores the context).
    ``architecture``: plain values for ``build_network``.
    """

    target_channels: int
    context_channels: int
    architecture: dict[str, Any]

    def forward(self, target: Tensor, context: Tensor | None = None) -> Tensor:
        """target [B,Ct,H,W], context [B,N,Cc,H,W] -> logits [B,1,H,W]."""


@runtime_checkable
class CachingNetwork(Network, Protocol):
    """A network whose context features don't depend on the target, so that an example is encoded once in its life.

    ``forward(t, c)`` must equal ``forward_with_features(t, encode_context(c))``. It may also offer ``encode_target(image [B,1,H,W])``,
    ``read(encoded, features)``, ``decode(t, encoded, readings)``, which together equal ``forward_with_features``, and ``empty_context(image)``: what
    depends on the image and the examples alone is then computed once for all clicks on it.

    ``decode_with_presence(t, encoded, readings)`` returns the logit [B] of the structure being there besides.

    ``looks_twice``: where examples are all that a prediction has to go by, the predictor gives the mean of the logits for the images as they
    are and turned by 180 degrees. Networks that don't say so look once.
    """

    def encode_context(self, context: Tensor) -> tuple[Tensor, ...]:
        """context [B,N,Cc,H,W] -> features, each [B,N,...]: entry n depends on example n alone."""

    def forward_with_features(self, target: Tensor, features: tuple[Tensor, ...]) -> Tensor:
        """target [B,Ct,H,W], features each [B,N,...] (N >= 1) -> logits [B,1,H,W]."""


def build_network(architecture: Mapping[str, Any] | str) -> nn.Module:
    """Builds a network from its ``architecture`` (plain values with a "family") or a preset's name; weights are random.

    Raises:
        CheckpointError: unknown preset, unknown family, or options the family doesn't have.
    """
    if isinstance(architecture, str):
        if architecture not in PRESETS:
            raise CheckpointError(f"Unknown architecture {architecture!r}: use one of {', '.join(PRESETS)}.")
        architecture = PRESETS[architecture]
    options = dict(architecture)
    family = options.pop("family", "multiverseg")
    family = FAMILIES.get(family) if isinstance(family, str) else None
    if family is None:
        raise CheckpointError(
            f"Unknown network family {architecture.get('family')!r}: use one of {', '.join(FAMILIES)}, or update the extension."
        )
    try:
        return family(**options)
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RuntimeError) as error:  # whatever a foreign file says
        text = " ".join(f"The architecture {str(dict(architecture))[:200]} can't be built: {error}".split())
        raise CheckpointError(text) from error
