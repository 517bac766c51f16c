"""Published checkpoints, which say little about themselves: where the weights are in the file, and which network they are of.

Each family knows its own names; nothing here is about what the weights were trained for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Where training programs keep the weights: plain scripts, then Lightning.
_KEYS = ("model", "state_dict")
#: What they put before every name: DistributedDataParallel, and the wrapper of WS-ICL.
_PREFIXES = ("module.", "net.")
#: The state of a training, which may be larger than the weights and is of no use here.
_TRAINING_STATE = {"optimizer", "optimizer_states", "scheduler", "lr_schedulers", "callbacks", "loops", "scaler"}


def split_content(content: Any) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """(state dict with prefixes stripped, everything else but the state of a training) of what a checkpoint file holds; (None, {}) if it holds no
    weights."""
    import torch

    if not isinstance(content, dict):
        return None, {}
    key = next((key for key in _KEYS if key in content and not isinstance(content[key], torch.Tensor)), None)
    state = content if key is None else content[key]
    if not state or not isinstance(state, dict) or not all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in state.items()):
        return None, {}
    others = {} if key is None else {k: v for k, v in content.items() if k != key and k not in _TRAINING_STATE}
    return _stripped(state), others


def recognise(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """(architecture, the state dict that fits it) of published weights, by names and shapes; None if they are of no known network."""
    from ..networks import PRESETS, neuroverse3d
    from ..networks.verse import published

    if "enc_blocks.0.cross.cross_conv.weight" in state:
        return _crossblocks(state), dict(state)
    if "downs.0.conv.0.weight" in state:
        return PRESETS["scribbleprompt"], dict(state)
    if architecture := neuroverse3d.architecture_of(state):
        return architecture, dict(state)
    if architecture := published.architecture_of(state):
        return architecture, published.used_part(state)
    return None


def _stripped(state: dict[str, Any]) -> dict[str, Any]:
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _crossblocks(state: Mapping[str, Any]) -> dict[str, Any]:
    from ..networks import PRESETS

    def widths(part: str) -> list[int]:
        names = (f"{part}.{i}.cross.cross_conv.weight" for i in range(64))
        return [len(state[name]) for name in names if name in state]

    normed = any(".norml." in name for name in state)
    inputs = state["enc_blocks.0.cross.cross_conv.weight"].shape[1]
    context = 2
    return {
        **PRESETS["multiverseg" if normed else "universeg"],
        "target_channels": inputs - context,
        "context_channels": context,
        "encoder_features": widths("enc_blocks"),
        "decoder_features": widths("dec_blocks"),
    }
