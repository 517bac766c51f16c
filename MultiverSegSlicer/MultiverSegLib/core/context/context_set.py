"""ContextSet: the examples of one structure, in order of acceptance, in memory or in a folder of the user's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ContextError
from . import files, zips
from .example import FEATURE_LENGTH, Example, Pixels
from .folder import ContextFolder

__all__ = ["ContextSet", "Example", "Pixels"]


class ContextSet:
    """Examples in order of acceptance.

    On disk: a folder with ``image_ID.png``, ``mask_ID.png`` (and ``prompts_ID.png``) and ``context.json``, which marks it as ours. Every change
    is written at once and atomically, under a lock and upon what is in the folder then: several processes may work on one context. Pixels are
    read when needed, and compared with the id, which is a hash of them. Images have 256 steps, in memory too, so that a prediction can be
    repeated.

    Args:
        folder: of the user's, made by the first example; None: in memory only.

    Raises:
        ContextError: the folder is damaged, of another image size, some other program's, or inside the extension (an update would delete it).
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = None if folder is None else Path(folder)
        self._examples: list[Example] = []
        self._matrix: np.ndarray | None = None
        self._disk = None if self.folder is None else ContextFolder(self.folder)
        if self._disk is not None:
            self._examples = self._disk.read()

    def __len__(self) -> int:
        return len(self._examples)

    def __iter__(self) -> Iterator[Example]:
        return iter(self.examples)

    @property
    def examples(self) -> tuple[Example, ...]:
        return tuple(self._examples)

    def get(self, example_id: str) -> Example:
        """Raises ContextError if there is no such example."""
        return self._examples[self._position(example_id)]

    def add(self, example: Example) -> Example:
        """Appends an example and returns it as stored; an example that is already stored is not added twice.

        Raises:
            ContextError: the folder can't be written (the set stays as it was).
        """
        return self.extend([example])[0]

    def extend(self, examples: list[Example], progress: Callable[[int, int], None] = lambda done, total: None) -> list[Example]:
        """Appends several examples in one step; all or none. ``progress`` is called with the pictures' examples so far and in all."""
        with self._changing():
            known = {e.id: e for e in self._examples}
            fresh = list({e.id: e for e in examples if e.id not in known}.values())
            stored = self._disk.store(fresh, progress) if self._disk is not None else [e.stored() for e in fresh]
            matrix = self._matrix
            try:
                self._change([*self._examples, *stored])
            except ContextError:
                if self._disk is not None:
                    self._disk.discard(stored)
                raise
            if stored and matrix is not None:
                self._matrix = np.concatenate([matrix, [e.feature for e in stored]])
            if stored and self._disk is not None:
                self._disk.features.save(self._examples)
        known |= {e.id: e for e in stored}
        return [known[e.id] for e in examples]

    def remove(self, example_id: str) -> None:
        """Takes an example out and deletes its files.

        Raises:
            ContextError: no such example, or the folder can't be written.
        """
        with self._changing():
            position = self._position(example_id)
            removed = self._examples[position]
            self._change(self._examples[:position] + self._examples[position + 1 :])
            if self._disk is not None:
                self._disk.discard([removed])

    def move(self, example_id: str, position: int) -> None:
        """Puts an example at another place in the order (0 is first).

        Raises:
            ContextError: no such example, or the folder can't be written.
        """
        with self._changing():
            old = self._position(example_id)
            rest = self._examples[:old] + self._examples[old + 1 :]
            position = min(max(0, position), len(rest))
            self._change([*rest[:position], self._examples[old], *rest[position:]])

    def delete(self) -> None:
        """Forgets all examples and deletes what this class wrote; the folder itself only if nothing else is in it."""
        if self._disk is None or not self._disk.listed:
            if self._disk is not None:
                self._disk.forget()
            self._take([])
            return
        with self._changing():
            self._disk.clear(self._examples)
            self._take([])
        if not any(self._disk.path.iterdir()):
            self._disk.path.rmdir()

    def refresh(self) -> bool:
        """Takes over what other processes changed in the folder; whether there was anything.

        Raises:
            ContextError: the folder has been damaged meanwhile.
        """
        if self._disk is None or not self._disk.changed:
            return False
        self._take(self._disk.read(self._examples))
        return True

    def selection(self, image: np.ndarray, strategy: str = "most_similar", cap: int | None = 8, **hints: Any) -> list[Example]:
        """At most ``cap`` examples (None: no limit) for a target image [128,128], chosen by one of ``selection.strategies()``."""
        from ..selection import STRATEGIES, select

        if "features" in STRATEGIES.get(strategy).needs:
            hints.setdefault("features", self.features())
        return select(strategy, image, self.examples, cap, **hints)

    def features(self) -> np.ndarray:
        """The examples' features, float32 [n, 256]; missing ones are computed and kept beside the examples."""
        if self._matrix is None:
            fresh = any(not e.has_feature for e in self._examples)
            self._matrix = np.stack([e.feature for e in self._examples]) if self._examples else np.zeros((0, FEATURE_LENGTH), np.float32)
            if fresh and self._disk is not None:
                self._disk.features.save(self._examples)
        return self._matrix

    def save(self, folder: str | Path) -> ContextSet:
        """Writes all examples into another folder (new, or a context already) and returns that set."""
        target = ContextSet(folder)
        target.extend(self._examples)
        return target

    @classmethod
    def load(cls, folder: str | Path) -> ContextSet:
        """The context in an existing folder.

        Raises:
            ContextError: there is none.
        """
        if not (Path(folder) / files.MANIFEST).is_file():
            raise ContextError(f"{folder} is not a context: {files.MANIFEST} is missing.")
        return cls(folder)

    def export_zip(self, path: str | Path) -> Path:
        """Writes the examples as a zip; also readable by programs that expect ``image_N.png`` and ``mask_N.png``.

        Raises:
            ContextError: empty, or the file can't be written.
        """
        if not self._examples:
            raise ContextError("There are no examples to export.")
        zips.pack(Path(path), self._examples)
        return Path(path)

    def import_zip(self, path: str | Path, progress: Callable[[int, int], None] = lambda done, total: None) -> list[Example]:
        """Adds the examples of a zip, ours or one of bare ``image_N.png``/``mask_N.png`` pairs; all or none. ``progress``: see ``extend``.

        Raises:
            ContextError: unsafe or damaged archive, pictures of another size, an image without mask.
        """
        with zips.examples_of(Path(path)) as examples:
            return self.extend(examples, progress)

    # --- details

    def _position(self, example_id: str) -> int:
        for position, example in enumerate(self._examples):
            if example.id == example_id:
                return position
        raise ContextError(f"The context has no example {example_id}.")

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Around every change: no other process changes the folder meanwhile, and earlier changes by others are known."""
        if self._disk is None:
            yield
            return
        with self._disk.locked():
            self.refresh()
            yield

    def _change(self, examples: list[Example]) -> None:
        """The one place where the list changes: on the disk first, then in memory."""
        if self._disk is not None and (examples or self._disk.listed):
            self._disk.write(examples)
        self._take(examples)

    def _take(self, examples: list[Example]) -> None:
        self._examples = examples
        self._matrix = None
