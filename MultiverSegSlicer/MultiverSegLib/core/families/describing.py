"""What a model can do, from what the registry says of it: known before its weights are read, and without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..grid import GRID_SIZE
from ..predicting import PROMPTS, Capabilities, Structure

if TYPE_CHECKING:
    from ..models.model_list import ModelInfo

#: Kinds of prompts in a list of models -> channels of the seam.
_CHANNELS = {"box": ("box",), "point": ("positive", "negative"), "scribble": ("positive", "negative")}


def of_slices(name: str, target_channels: int, context_channels: int, info: ModelInfo | None) -> Capabilities:
    """Of a network for slices that reads so many channels."""
    reads = read_prompts(info, PROMPTS) if target_channels >= 4 else ()
    context = {0: "none", 2: "masks"}.get(context_channels, "prompts")
    needs = () if reads else ("example",)
    return Capabilities(name, 2, GRID_SIZE, reads, context, needs, refines=target_channels >= 5, weights=_weights(info), image=shown(info))


def of_volumes(name: str, size: int, context_channels: int, info: ModelInfo | None) -> Capabilities:
    """Of a network for volumes, whose target with its prompts is one more example."""
    reads = read_prompts(info, PROMPTS if context_channels > 2 else ("box", "positive"))
    if context_channels == 2:  # one channel holds what was drawn, whatever its kind: it has no sign
        reads = tuple(kind for kind in reads if kind != "negative")
    needs = ("example", "prompt")
    return Capabilities(name, 3, size, reads, "prompts", needs, refines=False, weights=_weights(info), image=shown(info))


def of_structures(name: str, found: Mapping[str, Any], info: ModelInfo | None, weights: str = "") -> Capabilities:
    """Of a network that is asked for structures by name; ``found``: its ``size`` and names of ``structures`` or their number."""
    structures = known_structures(found.get("structures", ()), info)
    needs = ("structure", "prompt")
    return Capabilities(
        name,
        2,
        int(found["size"]),
        PROMPTS[1:],
        "none",
        needs,
        structures,
        teachable=True,
        weights=weights or _weights(info),
        image=shown(info),
    )


def known_structures(names: Any, info: ModelInfo | None) -> tuple[Structure, ...]:
    """The structures of a network that has these ``names`` (or so many): with codes where the list of models tells them."""
    described = list(info.structures) if info is not None else []
    count = names if isinstance(names, int) else len(names)
    if len(described) == count:
        return tuple(Structure(entry["name"], entry["code"]) for entry in described)
    return tuple(map(Structure, (f"structure {n + 1}" for n in range(count)) if isinstance(names, int) else names))


def read_prompts(info: ModelInfo | None, every: tuple[str, ...]) -> tuple[str, ...]:
    """Those of ``every`` that the weights were trained to read."""
    if info is None or info.prompts is None:
        return every
    channels = {channel for kind in info.prompts for channel in _CHANNELS[kind]}
    return tuple(kind for kind in every if kind in channels)


def shown(info: ModelInfo | None) -> dict[str, Any]:
    """How images are to be shown to the model, as fields of ``ImageSettings``; {} if nothing is said."""
    return dict(info.image) if info is not None else {}


def _weights(info: ModelInfo | None) -> str:
    return info.sha256 or "" if info is not None else ""
