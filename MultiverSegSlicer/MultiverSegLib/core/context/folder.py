"""A context on the disk: the list of its examples, their pictures, and the lock under which several processes change them."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ContextError
from ..files import flush_all, os_lock, write_text
from ..resources import LIBRARY
from . import files
from .example import Example, Pixels, example_id
from .features import FeatureFile

#: Whoever changes the folder locks this file in it.
_LOCK = ".context.lock"
#: Examples whose pixels are kept in memory.
_KEPT = 256


class _Place(NamedTuple):
    """Where an example lies in the folder: how the names of its pictures end, and which of them it has."""

    pictures: str
    mask: bool
    prompts: bool


class ContextFolder:
    """``image_ID.png``, ``mask_ID.png`` (and ``prompts_ID.png``) and ``context.json``, which marks the folder as ours.

    Raises:
        ContextError: the path is a file, or inside the extension (an update would delete it).
    """

    def __init__(self, path: Path) -> None:
        _check_place(path)
        self.path = path
        self.features = FeatureFile(path)
        self._places: dict[str, _Place] = {}
        self._lines: dict[str, str] = {}
        self._kept: OrderedDict[str, Pixels] = OrderedDict()
        self._seen: tuple[int, ...] | None = None

    @property
    def listed(self) -> bool:
        """Whether the folder has a list of examples."""
        return (self.path / files.MANIFEST).is_file()

    @property
    def changed(self) -> bool:
        """Whether another process has changed the list since it was last read or written here."""
        return self._signature() != self._seen

    @contextmanager
    def locked(self) -> Iterator[None]:
        """No other process changes the folder meanwhile."""
        with ExitStack() as stack:
            try:
                stack.enter_context(os_lock(self.path / _LOCK))
            except OSError as error:
                raise self._unwritable(error) from error
            yield

    def read(self, known: Sequence[Example] = ()) -> list[Example]:
        """The examples in the folder; those of ``known`` that are still as they were are taken over.

        Raises:
            ContextError: the folder is damaged or some other program's.
        """
        seen = self._signature()  # before reading: what changes in between is read the next time
        try:
            if not self.listed:
                self._check_unlisted()
                self.forget()
                return []
            content = (self.path / files.MANIFEST).read_bytes()
        except OSError as error:
            raise ContextError(f"The context {self.path} can't be read: {error.strerror}.") from error
        before = {e.id: (e, self._places.get(e.id)) for e in known}
        try:
            found = [self._from_entry(entry, before) for entry in files.read_manifest(content, self.path)]
        except ContextError:
            if self._signature() == seen:
                raise
            return self.read(known)  # another process removed an example while its pictures were read
        self._places = {example.id: place for example, place in found}
        if len(self._places) < len(found) or len({place.pictures for _, place in found}) < len(found):
            raise ContextError(f"{self.path} is damaged: {files.MANIFEST} has two examples with the same pictures.")
        self._seen = seen
        stored = self.features.load()
        examples = [example for example, _ in found]
        for example in examples:
            if example.id in stored and not example.has_feature:
                example.remember_feature(stored[example.id])
        return examples

    def write(self, examples: Sequence[Example]) -> None:
        """Writes the list.

        Raises:
            ContextError: it can't be written; the old one is there still.
        """
        try:
            write_text(self.path / files.MANIFEST, files.manifest(map(self._line, examples)))
        except OSError as error:
            raise self._unwritable(error) from error
        self._seen = self._signature()

    def store(self, examples: Sequence[Example], progress: Callable[[int, int], None]) -> list[Example]:
        """Writes the pictures of examples that are not listed yet; returns them as they are read back. All or none."""
        stored, written = [], []
        try:
            for number, example in enumerate(examples, 1):
                place = _Place(example.id, example.mask is not None, example.prompts is not None)
                self._places[example.id] = place
                written += files.write_pixels(self.path, place.pictures, example.pixels)
                self._lines.pop(example.id, None)
                stored.append(self._bound(example.facts(), place))
                stored[-1].remember_feature(example.feature)
                progress(number, len(examples))
            flush_all(written)
        except BaseException as error:
            self.discard(examples)
            if isinstance(error, OSError):
                raise self._unwritable(error) from error
            raise
        return stored

    def discard(self, examples: Iterable[Example]) -> None:
        """Forgets these examples and deletes their pictures; they are no longer listed, or never were."""
        for example in examples:
            self._lines.pop(example.id, None)
            if (place := self._places.pop(example.id, None)) is not None:
                self._kept.pop(place.pictures, None)
                for kind in files.KINDS:
                    with suppress(OSError):  # what is listed no more does no harm
                        (self.path / f"{kind}_{place.pictures}.png").unlink()

    def clear(self, examples: Sequence[Example]) -> None:
        """Deletes these examples, which are all, the list and whatever else this class wrote."""
        self.write([])
        self.discard(examples)
        self.forget()
        self.features.delete()
        for name in (files.MANIFEST, _LOCK):
            (self.path / name).unlink(missing_ok=True)

    def forget(self) -> None:
        """As if nothing had been read."""
        self._seen = None
        for table in (self._places, self._lines, self._kept):
            table.clear()

    # --- details

    def _unwritable(self, error: OSError) -> ContextError:
        return ContextError(f"The context {self.path} can't be written: {reason(error)}.")

    def _signature(self) -> tuple[int, ...] | None:
        """What tells one state of the list from another; None while there is none."""
        try:
            stat = (self.path / files.MANIFEST).stat()
        except OSError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size

    def _check_unlisted(self) -> None:
        """Raise ContextError if the folder has no list and holds what isn't ours."""
        if not self.path.is_dir() or self._places:
            return
        if any(not p.name.startswith(".") and not files.OWN_PNG_NAME.fullmatch(p.name) for p in self.path.iterdir()):
            raise ContextError(f"{self.path} holds other files and no context: choose an empty folder, or import a zip.")

    def _line(self, example: Example) -> str:
        if example.id not in self._lines:
            self._lines[example.id] = json.dumps({**example.facts(), **self._places[example.id]._asdict()})
        return self._lines[example.id]

    def _bound(self, facts: dict[str, Any], place: _Place) -> Example:
        def pixels() -> Pixels:
            if place.pictures not in self._kept:
                self._kept[place.pictures] = self._read_pixels(example, place)
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(place.pictures)
            return self._kept[place.pictures]

        example = Example.lazy(facts, pixels, weak=not place.mask)
        return example

    def _read_pixels(self, example: Example, place: _Place) -> Pixels:
        pixels = files.read_pixels(self.path, *place)
        if example_id(pixels, example.case, example.structure) != example.id:
            raise ContextError(
                f"{self.path} is damaged: the pictures of {example.case or example.id} (image_{place.pictures}.png and others) are not the "
                f"ones that were accepted, they were changed or mixed up: remove example {example.id} and add it again."
            )
        return pixels

    def _from_entry(self, entry: Any, known: dict[str, tuple[Example, _Place | None]]) -> tuple[Example, _Place]:
        try:
            place = _Place(files.pictures_name(entry), bool(entry["mask"]), bool(entry["prompts"]))
            example, before = known.get(str(entry["id"]), (None, None))
            example = example if example is not None and before == place else self._bound(entry, place)
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError, ContextError) as error:
            raise ContextError(f"{self.path} is damaged: {files.MANIFEST} has a malformed example ({error}).") from error
        for kind, present in zip(files.KINDS, (True, place.mask, place.prompts), strict=True):
            if present and before != place:
                picture = self.path / f"{kind}_{place.pictures}.png"
                try:
                    with picture.open("rb") as stream:
                        files.check_png(stream.read(24), kind, picture)
                except OSError as error:
                    raise ContextError(f"{self.path} is damaged: {picture.name} of {example.case or example.id} is missing.") from error
        return example, place


def reason(error: OSError) -> str:
    """Why a file can't be read or written, in a few words."""
    return error.strerror or str(error).rstrip(".")


def _check_place(folder: Path) -> None:
    if folder.resolve().is_relative_to(LIBRARY.parent):
        raise ContextError(f"{folder} lies inside the extension, whose next update would delete it: choose a folder of your own.")
    if folder.exists() and not folder.is_dir():
        raise ContextError(f"{folder} is a file: choose a folder for the context.")
