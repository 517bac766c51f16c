"""Files that are whole or absent: written beside their place under another name, then renamed."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary path in the same folder that becomes ``path`` if the block succeeds and vanishes if not.

    The temporary name keeps the ending, by which writers choose the format. The file gets the permissions of any new file (``tempfile`` would
    keep it from everybody else, also in a folder that is shared).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".writing-{uuid.uuid4().hex}{path.suffix}"
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Atomic and flushed to the disk."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
