"""ContextSet: the examples of one structure, in order of acceptance, in memory or in a folder of the user's."""

from __future__ import annotations

import json
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import ContextError
from ..files import flush_all, os_lock, write_text
from ..resources import LIBRARY
from . import files
from .example import FEATURE_LENGTH, Example, Pixels, example_id
from .features import FeatureFile

__all__ = ["ContextSet", "Example", "Pixels"]

#: Whoever changes the folder locks this file in it.
_LOCK = ".context.lock"
#: Examples whose pixels are kept in memory.
_KEPT = 256


class _Place(NamedTuple):
    """Where an example lies in the folder: how the names of its pictures end, and which of them it has."""

    pictures: str
    mask: bool
    prompts: bool


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
        self._places: dict[str, _Place] = {}
        self._lines: dict[str, str] = {}
        self._kept: OrderedDict[str, Pixels] = OrderedDict()
        self._matrix: np.ndarray | None = None
        self._seen: tuple[int, ...] | None = None
        if self.folder is not None:
            _check_place(self.folder)
            self._feature_file = FeatureFile(self.folder)
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
            stored = self._store(fresh, progress) if self.folder is not None else [e.stored() for e in fresh]
            matrix = self._matrix
            try:
                self._change([*self._examples, *stored])
            except ContextError:
                self._unlink([self._places.pop(e.id) for e in stored])
                raise
            if stored and matrix is not None:
                self._matrix = np.concatenate([matrix, [e.feature for e in stored]])
            if stored and self.folder is not None:
                self._feature_file.save(self._examples)
        known |= {e.id: e for e in stored}
        return [known[e.id] for e in examples]

    def remove(self, example_id: str) -> None:
        """Takes an example out and deletes its files.

        Raises:
            ContextError: no such example, or the folder can't be written.
        """
        with self._changing():
            position = self._position(example_id)
            self._change(self._examples[:position] + self._examples[position + 1 :])
            self._lines.pop(example_id, None)
            place = self._places.pop(example_id, None)
            if place is not None:
                self._unlink([place])

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
        if self.folder is None or not (self.folder / files.MANIFEST).is_file():
            self._forget()
            return
        with self._changing():
            places = list(self._places.values())
            self._change([])
            self._forget()
            self._unlink(places)
            self._feature_file.delete()
            (self.folder / files.MANIFEST).unlink(missing_ok=True)
            (self.folder / _LOCK).unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def refresh(self) -> bool:
        """Takes over what other processes changed in the folder; whether there was anything.

        Raises:
            ContextError: the folder has been damaged meanwhile.
        """
        if self.folder is None or self._signature() == self._seen:
            return False
        self._load()
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
            if fresh and self.folder is not None:
                self._feature_file.save(self._examples)
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
        try:
            with tempfile.TemporaryDirectory() as scratch:
                files.pack(Path(path), self._examples, Path(scratch))
        except OSError as error:
            raise ContextError(f"{path} can't be written: {_reason(error)}.") from error
        return Path(path)

    def import_zip(self, path: str | Path, progress: Callable[[int, int], None] = lambda done, total: None) -> list[Example]:
        """Adds the examples of a zip, ours or one of bare ``image_N.png``/``mask_N.png`` pairs; all or none. ``progress``: see ``extend``.

        Raises:
            ContextError: unsafe or damaged archive, pictures of another size, an image without mask.
        """
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            files.unpack(Path(path), folder)
            if not (folder / files.MANIFEST).is_file():
                return self.extend(_bare_pairs(folder, Path(path)), progress)
            try:
                imported = ContextSet.load(folder).examples
                if not imported:
                    raise ContextError(f"{folder} holds no examples.")
                return self.extend(list(imported), progress)
            except ContextError as error:
                raise ContextError(str(error).replace(str(folder), str(path))) from error

    # --- details

    def _position(self, example_id: str) -> int:
        for position, example in enumerate(self._examples):
            if example.id == example_id:
                return position
        raise ContextError(f"The context has no example {example_id}.")

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Around every change: nobody else changes the folder meanwhile, and what others did before is known."""
        if self.folder is None:
            yield
            return
        with ExitStack() as stack:
            try:
                stack.enter_context(os_lock(self.folder / _LOCK))
            except OSError as error:
                raise ContextError(f"The context {self.folder} can't be written: {_reason(error)}.") from error
            self.refresh()
            yield

    def _change(self, examples: list[Example]) -> None:
        """The one place where the list changes: on the disk first, then in memory."""
        if self.folder is not None and (examples or (self.folder / files.MANIFEST).is_file()):
            try:
                write_text(self.folder / files.MANIFEST, files.manifest(map(self._line, examples)))
            except OSError as error:
                raise ContextError(f"The context {self.folder} can't be written: {_reason(error)}.") from error
            self._seen = self._signature()
        self._examples = examples
        self._matrix = None

    @property
    def _place_on_disk(self) -> Path:
        """The folder of a context that has one."""
        assert self.folder is not None
        return self.folder

    def _forget(self) -> None:
        self._examples, self._matrix, self._seen = [], None, None
        for table in (self._places, self._lines, self._kept):
            table.clear()

    def _signature(self) -> tuple[int, ...] | None:
        """What tells one state of the list from another; None while there is none."""
        try:
            stat = (self._place_on_disk / files.MANIFEST).stat()
        except OSError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size

    def _store(self, examples: list[Example], progress: Callable[[int, int], None]) -> list[Example]:
        stored, written = [], []
        try:
            for number, example in enumerate(examples, 1):
                place = _Place(example.id, example.mask is not None, example.prompts is not None)
                self._places[example.id] = place
                written += files.write_pixels(self._place_on_disk, place.pictures, example.pixels)
                self._lines.pop(example.id, None)
                stored.append(self._bound(example.facts(), place))
                stored[-1].remember_feature(example.feature)
                progress(number, len(examples))
            flush_all(written)
        except BaseException as error:
            self._unlink([self._places.pop(e.id) for e in examples if e.id in self._places])
            if isinstance(error, OSError):
                raise ContextError(f"The context {self.folder} can't be written: {_reason(error)}.") from error
            raise
        return stored

    def _unlink(self, places: Iterable[_Place]) -> None:
        for place in places:
            self._kept.pop(place.pictures, None)
            for kind in files.KINDS:
                with suppress(OSError):  # what is listed no more does no harm
                    (self._place_on_disk / f"{kind}_{place.pictures}.png").unlink()

    def _line(self, example: Example) -> str:
        if example.id not in self._lines:
            self._lines[example.id] = json.dumps({**example.facts(), **self._places[example.id]._asdict()})
        return self._lines[example.id]

    def _bound(self, facts: dict[str, Any], place: _Place) -> Example:
        def pixels() -> Pixels:
            if place.pictures not in self._kept:
                self._kept[place.pictures] = self._read(example, place)
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(place.pictures)
            return self._kept[place.pictures]

        example = Example.lazy(facts, pixels, weak=not place.mask)
        return example

    def _read(self, example: Example, place: _Place) -> Pixels:
        pixels = files.read_pixels(self._place_on_disk, *place)
        if example_id(pixels, example.case, example.structure) != example.id:
            raise ContextError(
                f"{self.folder} is damaged: the pictures of {example.case or example.id} (image_{place.pictures}.png and others) are not the "
                f"ones that were accepted, they were changed or mixed up: remove example {example.id} and add it again."
            )
        return pixels

    def _load(self) -> None:
        path = self._place_on_disk / files.MANIFEST
        seen = self._signature()  # before reading: what changes in between is read the next time
        try:
            if not path.is_file():
                if (
                    self._place_on_disk.is_dir()
                    and not self._places
                    and any(not p.name.startswith(".") and not files.OWN_PNG_NAME.fullmatch(p.name) for p in self._place_on_disk.iterdir())
                ):
                    raise ContextError(f"{self.folder} holds other files and no context: choose an empty folder, or import a zip.")
                self._forget()
                return
            content = path.read_bytes()
        except OSError as error:
            raise ContextError(f"The context {self.folder} can't be read: {error.strerror}.") from error
        known = {e.id: (e, self._places.get(e.id)) for e in self._examples}
        try:
            found = [self._from_entry(entry, known) for entry in files.read_manifest(content, self._place_on_disk)]
        except ContextError:
            if self._signature() == seen:
                raise
            return self._load()  # somebody removed an example while its pictures were looked for
        self._places = {example.id: place for example, place in found}
        if len(self._places) < len(found) or len({place.pictures for _, place in found}) < len(found):
            raise ContextError(f"{self.folder} is damaged: {files.MANIFEST} has two examples with the same pictures.")
        self._examples, self._matrix, self._seen = [example for example, _ in found], None, seen
        stored = self._feature_file.load()
        for example in self._examples:
            if example.id in stored and not example.has_feature:
                example.remember_feature(stored[example.id])

    def _from_entry(self, entry: Any, known: dict[str, tuple[Example, _Place | None]]) -> tuple[Example, _Place]:
        try:
            place = _Place(files.pictures_name(entry), bool(entry["mask"]), bool(entry["prompts"]))
            example, before = known.get(str(entry["id"]), (None, None))
            example = example if example is not None and before == place else self._bound(entry, place)
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError, ContextError) as error:
            raise ContextError(f"{self.folder} is damaged: {files.MANIFEST} has a malformed example ({error}).") from error
        for kind, present in zip(files.KINDS, (True, place.mask, place.prompts), strict=True):
            if present and before != place:
                picture = self._place_on_disk / f"{kind}_{place.pictures}.png"
                try:
                    with picture.open("rb") as stream:
                        files.check_png(stream.read(24), kind, picture)
                except OSError as error:
                    raise ContextError(f"{self.folder} is damaged: {picture.name} of {example.case or example.id} is missing.") from error
        return example, place


def _bare_pairs(folder: Path, archive: Path) -> list[Example]:
    numbers = sorted({m[2] for p in folder.glob("*.png") if (m := files.PNG_NAME.fullmatch(p.name))}, key=lambda name: (len(name), name))
    examples = []
    for number in numbers:
        try:
            pixels = files.read_pixels(folder, number)
        except ContextError as error:
            text = str(error).replace(str(folder), str(archive)).removesuffix(": remove its example from the context.")
            raise ContextError(f"{text.rstrip('.')}: nothing was imported.") from error
        examples.append(Example(pixels.image, pixels.mask, case=f"{archive.stem} {number}"))
    return examples


def _reason(error: OSError) -> str:
    return error.strerror or str(error).rstrip(".")


def _check_place(folder: Path) -> None:
    if folder.resolve().is_relative_to(LIBRARY.parent):
        raise ContextError(f"{folder} lies inside the extension, whose next update would delete it: choose a folder of your own.")
    if folder.exists() and not folder.is_dir():
        raise ContextError(f"{folder} is a file: choose a folder for the context.")
