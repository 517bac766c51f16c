"""Checkpoint files: writing them small, reading them without running any code they may carry."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..errors import CheckpointError
from ..families import build_network, published_networks, recognise
from ..files import replacing
from .layouts import split_content

if TYPE_CHECKING:
    from torch import nn


def save_checkpoint(
    path: str | Path, network: nn.Module, architecture: Mapping[str, Any] | None = None, half: bool = True, **extra: Any
) -> Path:
    """Writes ``{"architecture", "model", **extra}`` atomically; weights as fp16 unless ``half`` is False.

    ``architecture`` defaults to ``network.architecture``; ``extra`` must be plain values (str, numbers, lists, dicts).
    """
    import torch

    path = Path(path)
    weights = {
        k: v.detach().cpu().to(torch.float16 if half and v.is_floating_point() else v.dtype) for k, v in network.state_dict().items()
    }
    content = {"architecture": dict(architecture or cast(Any, network).architecture), "model": weights, **extra}
    with replacing(path) as temporary:
        torch.save(content, temporary)
    return path


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The content of a checkpoint file as {"architecture": dict or None, "model": state dict, ...}; no code in it is run.

    Public layouts are read too: a dict with key ``model``, a Lightning file, or a bare state dict; prefixes that all names share are stripped and the
    state of a training (optimiser, scheduler) is forgotten.

    Raises:
        CheckpointError: missing, truncated, not a checkpoint, or it holds more than plain data and tensors.
    """
    import torch

    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist: give the path of a checkpoint file.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch names what it refused to build; everything else is a broken file
        if isinstance(error, pickle.UnpicklingError) and re.search(r"(?i)unsupported (global|class)", str(error)):
            raise CheckpointError(
                f"{path} holds more than weights and is not loaded, for safety: get it from its official source."
            ) from error
        raise CheckpointError(f"{path} is damaged or not a checkpoint: get the file again.") from error
    state, extra = split_content(content)
    if state is None:
        raise CheckpointError(f"{path} holds no network weights: give a checkpoint of {published_networks()}.")
    for name, value in state.items():
        if value.layout is not torch.strided or value.is_quantized or value.is_complex():
            raise CheckpointError(f"{path} holds weights of an unusual kind ({name}: {value.layout}, {value.dtype}): get the file again.")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise CheckpointError(
                f"{path} is damaged: {name} holds values that are not finite. Get the file again, or take an earlier one."
            )
    return {"architecture": None, **extra, "model": state}


def load_checkpoint(path: str | Path) -> nn.Module:
    """The network of a checkpoint file; see ``load_network``."""
    from ..networks import outline

    content = read_checkpoint(path)
    architecture, state = content["architecture"], content["model"]
    if not architecture:
        try:
            known = recognise(state)
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path} has weights of shapes that no known network has: get the file again.") from error
        if known is None:
            raise CheckpointError(f"{path} is of an unknown architecture: give a checkpoint of {published_networks()}.")
        architecture, state = known
    if not isinstance(architecture, Mapping | str):
        raise CheckpointError(f"{path} has a malformed architecture: get the file again.")
    try:
        with outline():  # compare before anything is allocated
            expected = {k: tuple(v.shape) for k, v in build_network(architecture).state_dict().items()}
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    found = {k: tuple(v.shape) for k, v in state.items()}
    if wrong := [k for k in sorted(expected.keys() | found.keys()) if expected.get(k) != found.get(k)]:
        name = wrong[0]
        raise CheckpointError(
            f"{path} does not fit its architecture: {name} is {found.get(name, 'missing')}, "
            f"expected {expected.get(name, 'nothing')} ({len(wrong)} such weights)."
        )
    network = build_network(architecture)
    network.load_state_dict(state)
    return network.float().eval()
