"""Files that are whole or absent: written beside their place under another name, flushed, renamed. A killed process leaves the old file or
the new one, never half of one."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

#: More files than this are flushed together.
_MANY = 8
_TEMPORARY = re.compile(r"^\.writing-[0-9a-f]{32}-")
_TEMPORARY_FOLDER = re.compile(r"^\.writing-[a-z0-9_]{8}$")  # as tempfile names the one in which a node is written


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yields a temporary path in the same folder that becomes ``path`` if the block succeeds and vanishes if not.

    The temporary name keeps the endings, by which writers choose the format. The file gets the permissions of any new file (``tempfile`` would
    keep it from everybody else, also in a folder that is shared).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside(path)
    try:
        yield temporary
        flush(temporary)
        os.replace(temporary, path)
        _flush_folder(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_text(path: Path | str, text: str) -> None:
    """Stores ``text`` as UTF-8 in one step."""
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def beside(path: Path | str) -> Path:
    """A new name in the same folder, with the same endings, that ``remove_leftovers`` knows."""
    path = Path(path)
    return path.parent / f".writing-{uuid.uuid4().hex}-{path.name}"


def remove_leftovers(folder: Path | str) -> int:
    """Deletes the temporary files and folders that killed processes left in ``folder`` (not below it); returns their number."""
    found = list(Path(folder).glob(".writing-*"))
    leftovers = [p for p in found if _TEMPORARY.match(p.name)]
    folders = [p for p in found if _TEMPORARY_FOLDER.match(p.name) and p.is_dir() and not p.is_symlink()]
    for leftover in leftovers:
        leftover.unlink(missing_ok=True)
    for leftover in folders:
        shutil.rmtree(leftover, ignore_errors=True)
    return len(leftovers) + len(folders)


@contextmanager
def os_lock(path: Path | str) -> Iterator[None]:
    """Waits for the operating system's lock on ``path``, which is made, and holds it; it dies with its process.

    Threads of one process exclude each other too. On a file system without locks nobody is kept out.

    Raises:
        OSError: the file can't be made, or is a link to somewhere else.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    while True:
        descriptor = os.open(path, flags, 0o666)
        _lock(descriptor)
        # whoever had it may have deleted the file meanwhile: then the lock is one on nothing
        if os.name == "nt" or _is_at(descriptor, path):
            break
        os.close(descriptor)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        while True:
            with suppress(OSError):  # gives up after ten seconds
                msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
                return
    import fcntl

    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


class ScratchFolder:
    """A temporary folder of this process. Making one deletes those of the same prefix whose processes were killed.

    Attributes:
        path: the folder.
    """

    _IN_USE = ".in-use"

    def __init__(self, prefix: str) -> None:
        for other in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
            self._remove_if_abandoned(other)
        self.path = Path(tempfile.mkdtemp(prefix=prefix))
        making = self.path / ".making"
        self._descriptor: int | None = os.open(making, os.O_RDWR | os.O_CREAT, 0o600)
        if _try_lock(self._descriptor):
            making.rename(self.path / self._IN_USE)  # marked only when locked: nobody takes it for abandoned in between

    def remove(self) -> None:
        """Deletes it, with what is in it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        shutil.rmtree(self.path, ignore_errors=True)

    @classmethod
    def _remove_if_abandoned(cls, folder: Path) -> None:
        """Only a folder of this user's whose mark nobody locks; on Windows, where the lock can't be asked for, none."""
        mark = folder / cls._IN_USE
        try:
            if os.name == "nt" or mark.is_symlink() or not mark.is_file() or folder.lstat().st_uid != os.getuid():
                return
            descriptor = os.open(mark, os.O_RDWR)
        except OSError:
            return
        try:
            if _try_lock(descriptor):
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    """Whether nobody else has the lock; it is ours then. False too where there are no locks: what can't be known is not deleted."""
    if os.name == "nt":
        return False
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def flush_all(paths: Sequence[Path]) -> None:
    """Makes many files durable at the price of about one."""
    if len(paths) > _MANY and hasattr(os, "sync"):
        os.sync()  # in one go; the single calls, which report errors, then have nothing to wait for
    for path in paths:
        flush(path)
    for folder in {path.parent for path in paths}:
        _flush_folder(folder)


def flush(path: Path) -> None:
    """Makes what was written to ``path`` durable."""
    with open(path, "rb+") as handle:
        os.fsync(handle.fileno())


def _flush_folder(folder: Path) -> None:
    """Makes the rename itself durable; folders can't be opened on Windows, where the rename is journalled anyway."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems refuse it; the rename is still atomic
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
