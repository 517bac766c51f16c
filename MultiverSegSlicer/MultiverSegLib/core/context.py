"""ContextSet: the examples of one structure, in order of acceptance, in memory or in a folder of the user's."""

from __future__ import annotations

import json
import tempfile
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from . import context_files as files
from .errors import ContextError
from .examples import FEATURE_LENGTH, Example, Pixels
from .files import replacing, write_text

__all__ = ["ContextSet", "Example", "Pixels"]

_LIB = Path(__file__).resolve().parent.parent
#: Computed from the images, may be deleted at any time.
_FEATURES = ".features.npz"
#: Examples whose pixels are kept in memory.
_KEPT = 256


class _Place(NamedTuple):
    """Where an example lies in the folder: the N of its files, and which of them it has."""

    number: int
    mask: bool
    prompts: bool


class ContextSet:
    """Examples in order of acceptance.

    On disk: a folder with ``image_N.png``, ``mask_N.png`` (and ``prompts_N.png``) and ``context.json``, which marks it as ours. Every change is
    written at once and atomically. Pixels are read when needed. Images have 256 steps, in memory too, so that a prediction can be repeated.

    Args:
        folder: of the user's, made by the first example; None: in memory only.

    Raises:
        ContextError: the folder is damaged, of another image size, some other program's, or inside the extension (an update would delete it).
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = None if folder is None else Path(folder)
        self._examples: list[Example] = []
        self._places: dict[str, _Place] = {}
        self._lines: dict[str, str] = {}
        self._next = 0
        self._kept: OrderedDict[int, Pixels] = OrderedDict()
        self._matrix: np.ndarray | None = None
        if self.folder is not None:
            _check_place(self.folder)
            self._load()

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
        """Appends an example and gives it back as stored; one that is there already is not added twice.

        Raises:
            ContextError: the folder can't be written (the set stays as it was).
        """
        return self.extend([example])[0]

    def extend(self, examples: list[Example]) -> list[Example]:
        """Appends several examples in one step; all or none."""
        known = {e.id: e for e in self._examples}
        fresh = {e.id: e for e in examples if e.id not in known}
        stored = self._store(list(fresh.values())) if self.folder is not None else [e.stored() for e in fresh.values()]
        matrix = self._matrix
        try:
            self._change([*self._examples, *stored])
        except ContextError:
            self._unlink([self._places.pop(e.id).number for e in stored])
            raise
        if stored and matrix is not None:
            self._matrix = np.concatenate([matrix, [e.feature for e in stored]])
        if stored and self.folder is not None:
            self._save_features()
        known |= {e.id: e for e in stored}
        return [known[e.id] for e in examples]

    def remove(self, example_id: str) -> None:
        """Takes an example out and deletes its files.

        Raises:
            ContextError: no such example, or the folder can't be written.
        """
        position = self._position(example_id)
        self._change(self._examples[:position] + self._examples[position + 1 :])
        self._lines.pop(example_id, None)
        place = self._places.pop(example_id, None)
        if place is not None:
            self._unlink([place.number])

    def move(self, example_id: str, position: int) -> None:
        """Puts an example at another place in the order (0 is first).

        Raises:
            ContextError: no such example, or the folder can't be written.
        """
        old = self._position(example_id)
        rest = self._examples[:old] + self._examples[old + 1 :]
        position = min(max(0, position), len(rest))
        self._change([*rest[:position], self._examples[old], *rest[position:]])

    def delete(self) -> None:
        """Forgets all examples and deletes what this class wrote; the folder itself only if nothing else is in it."""
        numbers = [place.number for place in self._places.values()]
        self._change([])
        self._places.clear()
        self._lines.clear()
        if self.folder is None or not (self.folder / files.MANIFEST).is_file():
            return
        self._unlink(numbers)
        (self.folder / _FEATURES).unlink(missing_ok=True)
        (self.folder / files.MANIFEST).unlink()
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def selection(self, image: np.ndarray, strategy: str = "most_similar", cap: int | None = 8, **hints: Any) -> list[Example]:
        """At most ``cap`` examples (None: no limit) for a target image [128,128], chosen by one of ``selection.strategies()``."""
        from .selection import BY_FEATURES, select

        if strategy in BY_FEATURES:
            hints.setdefault("features", self.features())
        return select(strategy, image, self.examples, cap, **hints)

    def features(self) -> np.ndarray:
        """The examples' features, float32 [n, 256]; missing ones are computed and kept beside the examples."""
        if self._matrix is None:
            fresh = any(not e.has_feature for e in self._examples)
            self._matrix = np.stack([e.feature for e in self._examples]) if self._examples else np.zeros((0, FEATURE_LENGTH), np.float32)
            if fresh and self.folder is not None:
                self._save_features()
        return self._matrix

    def save(self, folder: str | Path) -> ContextSet:
        """Writes all examples into another folder (new, or a context already) and gives that set."""
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
        try:
            with tempfile.TemporaryDirectory() as scratch:
                copy = self.save(Path(scratch) / "context")
                files.pack(Path(path), copy.folder)
        except OSError as error:
            raise ContextError(f"{path} can't be written: {error.strerror or error}.") from error
        return Path(path)

    def import_zip(self, path: str | Path) -> list[Example]:
        """Adds the examples of a zip, ours or one of bare ``image_N.png``/``mask_N.png`` pairs; all or none.

        Raises:
            ContextError: unsafe or damaged archive, pictures of another size, an image without mask.
        """
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            files.unpack(Path(path), folder)
            if not (folder / files.MANIFEST).is_file():
                return self.extend(_bare_pairs(folder, Path(path)))
            imported = ContextSet.load(folder).examples
            if not imported:
                raise ContextError(f"{path} holds no examples.")
            return self.extend(list(imported))

    # --- details

    def _position(self, example_id: str) -> int:
        for position, example in enumerate(self._examples):
            if example.id == example_id:
                return position
        raise ContextError(f"The context has no example {example_id}.")

    def _change(self, examples: list[Example]) -> None:
        """The one place where the list changes: on the disk first, then in memory."""
        if self.folder is not None and (examples or (self.folder / files.MANIFEST).is_file()):
            try:
                write_text(self.folder / files.MANIFEST, files.manifest(map(self._line, examples)))
            except OSError as error:
                raise ContextError(f"The context {self.folder} can't be written: {error.strerror or error}.") from error
        self._examples = examples
        self._matrix = None

    def _store(self, examples: list[Example]) -> list[Example]:
        first, stored = self._next, []
        try:
            for example in examples:
                place = _Place(self._next, example.mask is not None, example.prompts is not None)
                self._next += 1
                files.write_pixels(self.folder, place.number, example.pixels)
                self._places[example.id] = place
                self._lines.pop(example.id, None)
                stored.append(self._bound(example.facts(), place))
                stored[-1].remember_feature(example.feature)
        except OSError as error:
            self._unlink(range(first, self._next))
            raise ContextError(f"The context {self.folder} can't be written: {error.strerror or error}.") from error
        return stored

    def _unlink(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._kept.pop(number, None)
            for kind in files.KINDS:
                (self.folder / f"{kind}_{number}.png").unlink(missing_ok=True)

    def _line(self, example: Example) -> str:
        if example.id not in self._lines:
            self._lines[example.id] = json.dumps({**example.facts(), **self._places[example.id]._asdict()})
        return self._lines[example.id]

    def _bound(self, facts: dict[str, Any], place: _Place) -> Example:
        def pixels() -> Pixels:
            if place.number not in self._kept:
                self._kept[place.number] = files.read_pixels(self.folder, *place)
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(place.number)
            return self._kept[place.number]

        return Example.lazy(facts, pixels, weak=not place.mask)

    def _load(self) -> None:
        path = self.folder / files.MANIFEST
        try:
            if not path.is_file():
                if self.folder.is_dir() and any(not p.name.startswith(".") for p in self.folder.iterdir()):
                    raise ContextError(f"{self.folder} holds other files and no context: choose an empty folder, or import a zip.")
                return
            content = path.read_bytes()
        except OSError as error:
            raise ContextError(f"The context {self.folder} can't be read: {error.strerror}.") from error
        for entry in files.read_manifest(content, self.folder):
            self._examples.append(self._from_entry(entry))
        # numbers of pictures that nobody lists (a crash, another program) are not used again
        self._next = 1 + max((int(m[2]) for p in self.folder.iterdir() if (m := files.PNG_NAME.fullmatch(p.name))), default=-1)
        self._load_features()

    def _from_entry(self, entry: Any) -> Example:
        try:
            place = _Place(int(entry["number"]), bool(entry["mask"]), bool(entry["prompts"]))
            example = self._bound(entry, place)
        except (KeyError, TypeError, ValueError, ContextError) as error:
            raise ContextError(f"{self.folder} is damaged: {files.MANIFEST} has a malformed example ({error}).") from error
        for kind, present in zip(files.KINDS, (True, place.mask, place.prompts), strict=True):
            if present:
                picture = self.folder / f"{kind}_{place.number}.png"
                try:
                    with picture.open("rb") as stream:
                        files.check_png(stream.read(24), kind, picture)
                except OSError as error:
                    raise ContextError(f"{self.folder} is damaged: {picture.name} of {example.case or example.id} is missing.") from error
        self._places[example.id] = place
        return example

    def _load_features(self) -> None:
        try:
            with np.load(self.folder / _FEATURES, allow_pickle=False) as stored:
                known = dict(zip(stored["ids"].tolist(), stored["features"].astype(np.float32), strict=True))
        except (OSError, ValueError, KeyError, EOFError):
            return
        for example in self._examples:
            feature = known.get(example.id)
            if feature is not None and feature.shape == (FEATURE_LENGTH,):
                example.remember_feature(feature)

    def _save_features(self) -> None:
        known = [e for e in self._examples if e.has_feature]
        try:
            with replacing(self.folder / _FEATURES) as temporary:
                np.savez(temporary, ids=np.array([e.id for e in known]), features=np.array([e.feature for e in known], np.float16))
        except OSError:
            pass  # a read-only context works; its features are computed again next time


def _bare_pairs(folder: Path, archive: Path) -> list[Example]:
    numbers = sorted({int(m[2]) for p in folder.glob("*.png") if (m := files.PNG_NAME.fullmatch(p.name))})
    examples = []
    for number in numbers:
        try:
            pixels = files.read_pixels(folder, number)
        except ContextError as error:
            text = str(error).replace(str(folder), str(archive)).removesuffix(": remove its example from the context.")
            raise ContextError(f"{text.rstrip('.')}: nothing was imported.") from error
        examples.append(Example(pixels.image, pixels.mask, case=f"{archive.stem} {number}"))
    return examples


def _check_place(folder: Path) -> None:
    if folder.resolve().is_relative_to(_LIB.parent):
        raise ContextError(f"{folder} lies inside the extension, whose next update would delete it: choose a folder of your own.")
    if folder.exists() and not folder.is_dir():
        raise ContextError(f"{folder} is a file: choose a folder for the context.")
