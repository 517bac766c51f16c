"""Files that are whole or absent: write beside, fsync, rename. A killed process leaves the old file or the new one, never half of one."""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..core.errors import CohortError, MultiverSegError

_BESIDE = re.compile(r"^\.beside-[0-9a-f]{32}-")


@contextmanager
def written_beside(path: Path | str) -> Iterator[Path]:
    """Yields a temporary path in the same folder; when the block ends without an error it replaces ``path`` atomically.

    The temporary name keeps the extension (writers such as VTK's choose the format by it).

    Raises:
        CohortError: the folder or the disk does not take the file.
    """
    path = Path(path)
    beside = path.parent / f".beside-{uuid.uuid4().hex}-{path.name}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        _fsync(beside)
        os.replace(beside, path)
        _fsync_folder(path.parent)
    except OSError as error:
        raise CohortError(f"Can't write {path}: {error.strerror or error}. Check the disk space and your rights on that folder.") from error
    finally:
        with suppress(OSError):
            beside.unlink()


def write_atomically(path: Path | str, content: bytes | str) -> None:
    """Replaces ``path`` by ``content`` (text is stored as UTF-8) in one step."""
    with written_beside(path) as beside:
        beside.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def write_draft(path: Path | str, content: bytes) -> Path:
    """Writes ``content`` beside ``path`` and gives the draft, whose ``replace(path)`` puts it in place at once. A draft that is left behind
    goes with ``remove_leftovers``."""
    path = Path(path)
    beside = path.parent / f".beside-{uuid.uuid4().hex}-{path.name}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(content)
        _fsync(beside)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise CohortError(f"Can't write {path}: {error.strerror or error}. Check the disk space and your rights on that folder.") from error
    return beside


def write_json(path: Path | str, data: Any) -> None:
    """Stores ``data`` as indented JSON in one step; NaN is refused because other programs can't read it."""
    write_atomically(path, json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path | str) -> Any:
    """The content of a JSON file.

    Raises:
        CohortError: missing, unreadable or not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise CohortError(f"Can't read {path}: {error.strerror or error}.") from error
    except ValueError as error:
        raise CohortError(f"{path} is not a JSON file ({error}). Restore it from a copy; nothing was changed.") from error


def save_with(path: Path | str, writer: Callable[[str], object]) -> None:
    """Lets ``writer(temporary_path)`` make a file (a segmentation, markups) and puts it in place in one step."""
    with written_beside(path) as beside:
        try:
            writer(str(beside))
        except MultiverSegError as error:  # a person knows the file by its own name
            raise type(error)(str(error).replace(str(beside), str(path))) from error
        if not beside.is_file():
            raise CohortError(f"Can't write {path}: the writer made no file. Check the disk space and your rights on that folder.")


def remove_leftovers(folder: Path | str) -> int:
    """Deletes the temporary files that killed processes left in ``folder`` (not below it); gives their number."""
    leftovers = [p for p in Path(folder).glob(".beside-*") if _BESIDE.match(p.name)]
    for leftover in leftovers:
        leftover.unlink(missing_ok=True)
    return len(leftovers)


def _fsync(path: Path) -> None:
    if not path.exists():
        return
    with open(path, "rb+") as handle:
        os.fsync(handle.fileno())


def _fsync_folder(folder: Path) -> None:
    """Makes the rename itself durable; folders can't be opened on Windows, where the rename is journalled anyway."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems refuse it; the rename is still atomic
    finally:
        os.close(descriptor)
