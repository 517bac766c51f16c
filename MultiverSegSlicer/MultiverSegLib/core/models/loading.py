"""From the name of a model, or the path of a checkpoint, to its network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import CheckpointError
from .checkpoints import load_checkpoint
from .registry import Registry

if TYPE_CHECKING:
    from torch import nn


def load_network(path_or_model: str | Path, registry: Registry | None = None) -> nn.Module:
    """The network of a registered model (its weights must be here) or of a checkpoint file, in float32 on the CPU, in evaluation mode.

    Raises:
        CheckpointError: one line that says what is wrong with the file, or that there is no such model.
    """
    registry = registry or Registry()
    if registry.has(str(path_or_model)):
        return load_checkpoint(registry.path(str(path_or_model)))
    if not Path(path_or_model).is_file():
        names = ", ".join(m.name for m in registry.list())
        raise CheckpointError(f"{path_or_model} is neither a model ({names}) nor a checkpoint file.")
    return load_checkpoint(path_or_model)
