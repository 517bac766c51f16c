"""Registry: the known models, where their weights lie, and how they get there. Contacts an address only in ``fetch``."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from ..errors import CheckpointError
from ..files import replacing, write_text
from ..resources import resource_path
from .download import difference, download, sha256_of
from .model_list import NAME, ModelInfo, model_of, read_list, rows

#: Where fetched and added weights are kept, instead of the user's cache folder.
FOLDER_VARIABLE = "MULTIVERSEG_MODELS"
_LIST = "models.json"


class Registry:
    """Models by name: those of ``Resources/Models/models.json`` and those the user added.

    Args:
        folder: of fetched and added weights; None: the environment's ``MULTIVERSEG_MODELS`` or the user's cache folder.
        resources: the folder with ``models.json``; None: the shipped one.

    Raises:
        CheckpointError: a list of models is damaged.
    """

    def __init__(self, folder: str | Path | None = None, resources: str | Path | None = None) -> None:
        self.folder = Path(folder) if folder else models_folder()
        self._resources = Path(resources) if resources is not None else resource_path("Models")
        shipped = read_list(self._resources / _LIST)
        self._default = str(shipped.get("default", "compact"))
        self._models = {m.name: m for m in map(model_of, rows(shipped, "models", list, self._resources / _LIST))}
        self._added: dict[str, dict[str, Any]] = {}
        self._verified: dict[Path, tuple[int, int]] = {}
        if (self.folder / _LIST).is_file():
            self._added = rows(read_list(self.folder / _LIST), "files", dict, self.folder / _LIST)
            for name in self._added:
                self._described(name, self.folder / _LIST)

    @property
    def default(self) -> str:
        """Name of the model to use when none was chosen."""
        return self._default

    def list(self) -> list[ModelInfo]:
        """The models, shipped ones first."""
        return [self.get(name) for name in [*self._models, *(n for n in self._added if n not in self._models)]]

    def has(self, name: str) -> bool:
        """Whether a model of this name is known."""
        return name in self._models or name in self._added

    def get(self, name: str) -> ModelInfo:
        """The model's description, with size and checksum as recorded when its file was fetched or added.

        Raises:
            CheckpointError: unknown name.
        """
        if not self.has(name):
            raise CheckpointError(
                f"Unknown model {name!r}: use one of {', '.join(m.name for m in self.list())}, or the path of a checkpoint."
            )
        return self._models[name] if name not in self._added else self._described(name, self.folder / _LIST)

    def available(self, name: str) -> bool:
        """Whether the weights are here and whole."""
        try:
            self.path(name)
        except CheckpointError:
            return False
        return True

    def path(self, name: str) -> Path:
        """The verified file of a model; nothing is downloaded.

        Raises:
            CheckpointError: unknown, not here, or damaged.
        """
        info = self.get(name)
        path = self._place(info)
        if not path.is_file():
            way = "fetch it or give its weights as a file" if info.url else "give its weights as a file"
            raise CheckpointError(f"The weights of {name} are not here: {way}.")
        if problem := self._problem(path, info):
            raise CheckpointError(f"The weights of {name} in {path} are damaged ({problem}): fetch or add them again.")
        return path

    def verify(self, name: str) -> Path:
        """Like ``path``, but reads the file anew and builds the network from it.

        Raises:
            CheckpointError: what is wrong.
        """
        from .checkpoints import load_checkpoint

        self._verified.clear()
        path = self.path(name)
        load_checkpoint(path)
        return path

    def fetch(self, name: str, progress: Callable[[int, int | None], None] | None = None, cancel: Callable[[], bool] | None = None) -> Path:
        """Downloads a model's weights unless they are here and whole. A failed or damaged download changes nothing.

        Args:
            progress: called with the bytes so far and in all (None if unknown).
            cancel: asked now and then; True stops.

        Raises:
            CheckpointError: no address, no connection, or the file isn't what it should be.
            Cancelled: ``cancel`` gave True.
        """
        from .checkpoints import load_checkpoint

        if self.available(name):
            return self.path(name)
        info = self._models.get(name)
        if info is None or not info.url:
            raise CheckpointError(f"No address is known for {name}: give its weights as a file.")
        with self._writing(self.folder / info.file) as temporary:
            download(info, temporary, progress, cancel)
            if problem := difference(temporary, info):
                raise CheckpointError(f"The download of {name} is not what it should be ({problem}): try again later. Nothing was changed.")
            try:
                _check_fit(load_checkpoint(temporary), info)
            except CheckpointError as error:
                raise CheckpointError(str(error).replace(str(temporary), f"The download of {name}")) from error
            self._record(name, temporary, {})
        return self.path(name)

    def add_file(self, path: str | Path, name: str | None = None) -> str:
        """Copies a checkpoint file into the folder and returns the name of its model.

        Without ``name``, a file that fits a shipped model without weights here becomes that model's; any other gets its own name.

        Raises:
            CheckpointError: not a checkpoint, not one of the named model, or one that fits several models; nothing was changed.
        """
        from .checkpoints import load_checkpoint

        path = Path(path)
        network = load_checkpoint(path)
        name = name or self._name_for(path, network)
        if not NAME.fullmatch(name):
            raise CheckpointError(f"{name!r} can't be a model's name: use letters, digits, '.', '_' and '-'.")
        info = self._models.get(name)
        if info is not None:
            if info.bundled:
                raise CheckpointError(f"{name} comes with the extension: add the file under another name.")
            if problem := difference(path, info):
                raise CheckpointError(f"{path} is not the file of {name} ({problem}).")
            _check_fit(network, info)
        entry = (
            {}
            if info is not None
            else {"note": f"added from {path.name}", "architecture": dict(cast(Any, network).architecture), "file": f"{name}.pt"}
        )
        with self._writing(self.folder / (info.file if info is not None else f"{name}.pt")) as temporary:
            shutil.copyfile(path, temporary)
            self._record(name, temporary, entry)
        return name

    def clear(self) -> None:
        """Deletes the fetched and added weights, and nothing else."""
        for name in self._added:
            (self.folder / self.get(name).file).unlink(missing_ok=True)
        (self.folder / _LIST).unlink(missing_ok=True)
        self._added = {}
        self._verified.clear()

    # --- details

    def _described(self, name: str, origin: Path) -> ModelInfo:
        known, added = self._models.get(name), self._added[name]
        if not isinstance(added, dict):
            raise CheckpointError(
                f"The list of models {origin} has a malformed entry ({name!r}): delete the file and add the weights again."
            )
        return model_of({"title": name, **({} if known is None else vars(known)), **added, "name": name})

    def _place(self, info: ModelInfo) -> Path:
        return (self._resources if info.bundled else self.folder) / info.file

    def _problem(self, path: Path, info: ModelInfo) -> str:
        stat = path.stat()
        state = (stat.st_mtime_ns, stat.st_size)
        if self._verified.get(path) == state:
            return ""
        problem = difference(path, info)
        if not problem:
            self._verified[path] = state
        return problem

    def _name_for(self, path: Path, network: Any) -> str:
        digest = sha256_of(path)
        for info in self.list():
            if info.sha256 == digest and not info.bundled:
                return info.name
        waiting = [m for m in self._models.values() if not m.bundled and m.sha256 is None and m.architecture and not self.available(m.name)]
        fitting = [info for info in waiting if _fits(network, info)]
        named = [info for info in fitting if info.file == path.name] if len(fitting) > 1 else fitting
        if len(named) == 1:
            return named[0].name
        if fitting:
            names = " or ".join(info.name for info in fitting)
            raise CheckpointError(f"{path} may be the file of {names}, which look alike: say which one by its name.")
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-.")[:60] or "model"
        return stem if stem not in self._models else f"{stem}-file"

    def _record(self, name: str, path: Path, entry: dict[str, Any]) -> None:
        """Notes size and checksum, so that later damage is seen even where no checksum was published."""
        files = {**self._added, name: {**entry, "size": path.stat().st_size, "sha256": sha256_of(path)}}
        write_text(self.folder / _LIST, json.dumps({"version": 1, "files": files}, indent=1))
        self._added = files

    @contextmanager
    def _writing(self, path: Path) -> Iterator[Path]:
        before = dict(self._added)
        try:
            with replacing(path) as temporary:
                yield temporary
        except BaseException as error:
            self._restore(before)
            if isinstance(error, OSError):
                raise CheckpointError(f"{path} can't be written: {error.strerror or error}.") from error
            raise
        self._verified.pop(path, None)

    def _restore(self, files: dict[str, Any]) -> None:
        if files != self._added:
            write_text(self.folder / _LIST, json.dumps({"version": 1, "files": files}, indent=1))
            self._added = files


def models_folder() -> Path:
    """Where fetched and added weights are kept: the environment's ``MULTIVERSEG_MODELS`` or the user's cache folder."""
    if chosen := os.environ.get(FOLDER_VARIABLE):
        return Path(chosen)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "MultiverSegSlicer" / "models"


def _fits(network: Any, info: ModelInfo) -> bool:
    from ..families import build_network
    from ..networks import outline

    with outline():
        return not info.architecture or build_network(info.architecture).architecture == network.architecture


def _check_fit(network: Any, info: ModelInfo) -> None:
    if not _fits(network, info):
        raise CheckpointError(f"The file holds a network of another kind than {info.name}. Nothing was changed.")
