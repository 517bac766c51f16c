"""Packs a model as a MONAI bundle: a folder with configs, docs and weights that `monai.bundle` runs."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..core.errors import MultiverSegError
from ..core.models.registry import Registry
from ..core.resources import resource_path


def make_bundle(folder: str | Path, model: str = "compact") -> Path:
    """Writes the bundle of ``model`` (a name in the registry, or a checkpoint's path) into the new or empty ``folder``.

    Raises:
        MultiverSegError: the folder holds something, or the model's weights are not there.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise MultiverSegError(f"{folder} is not an empty folder: give a new one for the bundle.")
    registry = Registry()
    weights = registry.path(model) if registry.has(model) else Path(model)
    if not weights.is_file():
        raise MultiverSegError(f"{model} is neither a known model with weights nor a checkpoint file.")
    shutil.copytree(resource_path("Bundle"), folder, dirs_exist_ok=True)
    (folder / "models").mkdir()
    shutil.copyfile(weights, folder / "models" / "model.pt")
    return folder
