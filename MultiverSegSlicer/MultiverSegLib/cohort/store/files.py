"""The files of a cohort: ``core.files`` with errors that a user can read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...core.errors import CohortError, MultiverSegError
from ...core.files import beside, flush, replacing


@contextmanager
def written_beside(path: Path | str) -> Iterator[Path]:
    """``core.files.replacing``.

    Raises:
        CohortError: the folder or the disk does not take the file.
    """
    try:
        with replacing(path) as temporary:
            yield temporary
    except OSError as error:
        raise CohortError(f"Can't write {path}: {error.strerror or error}. Check the disk space and your rights on that folder.") from error


def write_atomically(path: Path | str, content: bytes | str) -> None:
    """Replaces ``path`` by ``content`` (text is stored as UTF-8) in one step."""
    with written_beside(path) as temporary:
        temporary.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def write_draft(path: Path | str, content: bytes) -> Path:
    """Writes ``content`` beside ``path`` and returns the draft, whose ``replace(path)`` puts it in place at once. A draft that is left behind
    goes with ``remove_leftovers``."""
    path = Path(path)
    draft = beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content)
        flush(draft)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise CohortError(f"Can't write {path}: {error.strerror or error}. Check the disk space and your rights on that folder.") from error
    return draft


def read_json(path: Path | str) -> Any:
    """The content of a JSON file.

    Raises:
        CohortError: missing, unreadable or not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))  # programs of Windows begin text with a mark
    except OSError as error:
        raise CohortError(f"Can't read {path}: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise CohortError(f"{path} is not a JSON file ({error}). Restore it from a copy; nothing was changed.") from error


def save_with(path: Path | str, writer: Callable[[str], object]) -> None:
    """Lets ``writer(temporary_path)`` make a file (a segmentation, markups) and puts it in place in one step."""
    with written_beside(path) as temporary:
        try:
            writer(str(temporary))
        except MultiverSegError as error:  # the user knows the file by its own name
            raise type(error)(str(error).replace(str(temporary), str(path))) from error
        if not temporary.is_file():
            raise CohortError(f"Can't write {path}: the writer made no file. Check the disk space and your rights on that folder.")
