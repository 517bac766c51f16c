"""The user's contexts: one folder per structure below the folder chosen in the set-up box."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, unquote

from ..core.context import ContextSet
from ..core.errors import ContextError
from . import settings


class ContextLibrary:
    """Opens each structure's ContextSet once. ``folder``: function that gives the root, asked anew each time.

    ``listeners``: functions without arguments, called after an example was added by ``notify``.
    """

    def __init__(self, folder) -> None:
        self.listeners: list = []
        self._folder = folder
        self._open: dict[Path, ContextSet] = {}

    def structures(self) -> list[str]:
        """Names of the structures that have a context."""
        root = Path(self._folder())
        if not root.is_dir():
            return []
        return sorted(unquote(p.name) for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))

    def context(self, structure: str) -> ContextSet:
        """The context of a structure; empty, and without a folder on disk, until its first example.

        Raises:
            ContextError: no name, or the folder is damaged.
        """
        name = structure.strip()
        if not name:
            raise ContextError("Name the structure first: its examples are kept under that name.")
        folder = Path(self._folder()) / folder_name(name)
        if folder not in self._open:
            self._open[folder] = ContextSet(folder)
        return self._open[folder]

    def notify(self) -> None:
        """Tell who shows contexts that one has changed."""
        for listener in list(self.listeners):
            listener()

    def forget(self) -> None:
        """Read the folders anew next time."""
        self._open.clear()


_shared: ContextLibrary | None = None


def shared() -> ContextLibrary:
    """The application's library: effect and panel show the same contexts."""
    global _shared
    if _shared is None:
        _shared = ContextLibrary(settings.contexts_folder)
    return _shared


def folder_name(structure: str) -> str:
    """A name that is one folder on every system and can be turned back into the structure's name."""
    name = quote(structure, safe=" ()-_,+äöüÄÖÜßéèàçñ")
    return name.replace(".", "%2E") if name.startswith(".") or name.endswith(".") else name
