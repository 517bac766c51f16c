"""The one door for file names: every reader and writer of MRML takes its path from here.

MRML resolves relative names against its scene's folder, its C++ readers end the process at names that are not UTF-8, and any reader waits for ever
on a pipe. So what goes through the door is absolute, UTF-8, and of the kind that was asked for; everything else is one line that says why.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from ..core.errors import MultiverSegError
from ..core.notices import notice

_LIBRARY = re.compile(r"^(?:sitk::ERROR: |itk::ERROR: |ITK ERROR: |\w+\((?:0x)?[0-9a-f]+\): )+")


def shown(path: str | Path) -> str:
    """The name as it can be printed: bytes that are not UTF-8 as ``\\xNN``."""
    return os.fsencode(str(path)).decode("utf-8", "backslashreplace")


def absolute(path: str | Path, error: type[MultiverSegError] = MultiverSegError) -> Path:
    """``path`` made absolute against the current folder, with ``~`` for the user's own.

    Raises:
        error: the name is empty, or can't be given to MRML (not UTF-8, or with a NUL in it).
    """
    text = os.fspath(path)
    if not text.strip() or "\0" in text:
        raise error(f"{text!r} is no file name.")
    check_utf8(text, error)
    if text.startswith("~") and not os.path.lexists(text):
        try:
            return Path(os.path.abspath(Path(text).expanduser()))
        except RuntimeError:
            raise error(f"{text} can't be used: there is no such user.") from None
    return Path(os.path.abspath(text))


def check_utf8(text: str, error: type[MultiverSegError]) -> None:
    """Raise ``error`` if a name has bytes that are not UTF-8: no file that keeps names can keep it."""
    if not _is_utf8(text):
        raise error(f"{shown(text)} can't be used: its name is not UTF-8 (from an old disk or archive). Rename it.")


def existing(path: str | Path, error: type[MultiverSegError], what: str) -> Path:
    """The absolute path of a regular file or a folder that can be read.

    Args:
        what: what the file should be, for the message ("volume").

    Raises:
        error: not there, neither a file nor a folder, or without permission.
    """
    place = absolute(path, error)
    try:
        kind = os.stat(place).st_mode
    except FileNotFoundError:
        raise error(f"{path} does not exist: check the path of the {what}.") from None
    except OSError as reason:
        raise error(f"{path} can't be read: {reason.strerror or reason}.") from reason
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise error(f"{path} is a device or a pipe, not a file: check the path of the {what}.")
    if not os.access(place, os.R_OK):
        raise error(f"{path} can't be read: no permission.")
    return place


def existing_file(path: str | Path, error: type[MultiverSegError], what: str) -> Path:
    """``existing`` for what must be a file.

    Raises:
        error: see ``existing``; or it is a folder.
    """
    place = existing(path, error, what)
    if place.is_dir():
        raise error(f"{path} is a folder: give the file of the {what}.")
    return place


def writable(path: str | Path, error: type[MultiverSegError]) -> Path:
    """The absolute path of a file to be written or replaced; its folder is there.

    Raises:
        error: no such folder, or the name belongs to a folder, a device or a pipe.
    """
    place = absolute(path, error)
    if not place.parent.is_dir():
        raise error(f"{path} can't be written: the folder {place.parent} does not exist.")
    if place.is_dir():
        raise error(f"{path} can't be written: it is a folder.")
    if place.exists() and not place.is_file():
        raise error(f"{path} can't be written: it is a device or a pipe.")
    return place


def same_file(first: str | Path, second: str | Path) -> bool:
    """True if both names lead to one file that exists."""
    try:
        return os.path.samefile(first, second)
    except OSError:
        return False


def reason_of(error: BaseException, limit: int = 160) -> str:
    """The reader's own reason in one line, without its C++ addresses.

    Example:
        >>> reason_of(RuntimeError('Unable to determine ImageIO reader for "scan.xyz"'))
        'unknown format'
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = _LIBRARY.sub("", lines[-1] if lines else type(error).__name__)
    if "Unable to determine ImageIO reader" in text:
        return "unknown format"
    return text[:limit].rstrip(". ")


def files_below(folder: Path) -> list[Path]:
    """All regular files below ``folder``, sorted, through links to folders too (each folder once); hidden names included.

    A folder that may not be read, a link that leads nowhere and a name that is not UTF-8 are left out with a notice.
    """
    found, seen = [], {os.path.realpath(folder)}
    for place, folders, files in os.walk(folder, followlinks=True, onerror=_unreadable):
        for name in list(folders):
            real = os.path.realpath(os.path.join(place, name))
            if real in seen:
                folders.remove(name)
            seen.add(real)
        for name in files:
            path = Path(place, name)
            if not _is_utf8(path):
                notice(f"{shown(path)} is left out: its name is not UTF-8 (from an old disk or archive). Rename it.")
            elif path.is_file():
                found.append(path)
            elif path.is_symlink() and not path.exists():
                notice(f"{path} is left out: the link leads nowhere.")
    return sorted(found)


def _unreadable(error: OSError) -> None:
    notice(f"{shown(error.filename)} is left out: {error.strerror or error}.")


def _is_utf8(path: str | Path) -> bool:
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
