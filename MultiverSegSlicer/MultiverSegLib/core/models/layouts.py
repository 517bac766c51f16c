"""Published checkpoints, which say little about themselves: where the weights are in the file. Which network they are of, ``core.families`` says."""

from __future__ import annotations

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


def _stripped(state: dict[str, Any]) -> dict[str, Any]:
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state
