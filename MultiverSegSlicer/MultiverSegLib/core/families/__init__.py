"""Families of networks: each says how its networks are built, recognised, described and opened. Another package adds one by an entry point of the
group ``multiverseg.families`` that names a ``Family`` (see Docs/bring-your-own.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from ..errors import CheckpointError
from ..plugins import Plugins
from . import cached, multiverseg, neuroverse3d, scribbleprompt, verse
from .family import Family, Loaded

if TYPE_CHECKING:
    from torch import nn

__all__ = ["FAMILIES", "Family", "Loaded", "build_network", "family_of", "presets", "recognise"]

#: In the order in which a checkpoint is compared with them.
FAMILIES: Plugins[Family] = Plugins(
    "network family",
    "multiverseg.families",
    CheckpointError,
    [multiverseg.FAMILY, scribbleprompt.FAMILY, neuroverse3d.FAMILY, verse.FAMILY, cached.FAMILY],
    Family,
)
#: The family of architectures that name none, as the first version wrote them.
_UNNAMED = "multiverseg"


def presets() -> dict[str, dict[str, Any]]:
    """Complete architectures by name: the published ones, and small ones of our own to train."""
    return {name: architecture for family in FAMILIES for name, architecture in family.presets.items()}


def family_of(architecture: Mapping[str, Any]) -> Family:
    """The family that an architecture names.

    Raises:
        CheckpointError: there is no such family here.
    """
    name = architecture.get("family", _UNNAMED)
    if not isinstance(name, str) or name not in FAMILIES:
        raise CheckpointError(
            f"Unknown network family {name!r}: use one of {', '.join(FAMILIES.names)}, update the extension, or install the package that brings it."
        )
    return FAMILIES.get(name)


def build_network(architecture: Mapping[str, Any] | str) -> nn.Module:
    """Builds a network from its ``architecture`` (plain values with a "family") or a preset's name; weights are random.

    Raises:
        CheckpointError: unknown preset, unknown family, or options the family doesn't have.
    """
    if isinstance(architecture, str):
        known = presets()
        if architecture not in known:
            raise CheckpointError(f"Unknown architecture {architecture!r}: use one of {', '.join(known)}.")
        architecture = known[architecture]
    family = family_of(architecture)
    options = {name: value for name, value in architecture.items() if name != "family"}
    try:
        return cast("nn.Module", family.run(**options))
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RuntimeError) as error:  # whatever a foreign file says
        text = " ".join(f"The architecture {str(dict(architecture))[:200]} can't be built: {error}".split())
        raise CheckpointError(text) from error


def recognise(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """(architecture, the state dict that fits it) of published weights, by names and shapes; None if they are of no known family."""
    for family in FAMILIES:
        if (found := family.recognise(state)) is not None:
            return found
    return None


def published_networks() -> str:
    """The published networks whose checkpoints are read, for messages."""
    names = [name for family in FAMILIES for name in family.published]
    return ", ".join(names[:-1]) + f" or {names[-1]}"
