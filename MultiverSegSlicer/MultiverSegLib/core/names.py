"""Names that users give to structures and cases, as names of files and folders: short, readable, and safe on every system.

NTFS and APFS don't tell "Liver" from "liver", Windows keeps names such as CON for itself and drops dots and blanks at the end, and 255 bytes are all
that most systems take, of which a temporary name and the endings need their share.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, unquote

#: Bytes that a name may take.
LONGEST = 80
_KEPT_BY_WINDOWS = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_MARKED = re.compile(r"-[0-9a-f]{8}")


def safe_name(name: str, allowed: str, taken: Iterable[str] = (), empty: str = "unnamed") -> str:
    r"""``name`` where it can be a file's name as it is, else what of it can be, marked by eight digits so that two names stay two.

    Args:
        allowed: the characters, as in a regular expression's brackets; others become "_".
        taken: names that the result must not be equal to, ignoring case.

    Example:
        >>> safe_name("left kidney", r"\w ")
        'left kidney'
        >>> safe_name("liver/spleen", r"\w ")  # doctest: +ELLIPSIS
        'liver_spleen-...'
    """
    name = unicodedata.normalize("NFC", name)
    plain = shortened(re.sub(f"[^{allowed}]+", "_", name).strip(" ._") or empty)
    if plain == name and not kept_by_windows(plain) and plain.casefold() not in {other.casefold() for other in taken}:
        return plain
    return f"{plain}-{_mark(name)}"


def kept_by_windows(name: str) -> bool:
    """Whether no file can have this name on Windows."""
    return _KEPT_BY_WINDOWS.fullmatch(name) is not None


def shortened(name: str, longest: int = LONGEST) -> str:
    """``name``, cut to so many bytes of UTF-8 at the end of a letter.

    Example:
        >>> shortened("naïve", 3)  # ï has two bytes
        'na'
        >>> shortened("naïve", 4)
        'naï'
    """
    return name.encode("utf-8")[:longest].decode("utf-8", errors="ignore").rstrip(" .")


def structure_folder(root: Path, structure: str, taken: Iterable[str] = ()) -> Path:
    """The folder of a structure's context below ``root``; one that was made before (by the first version, say) keeps its name.

    Args:
        taken: names of folders that belong to other structures, whether they are there yet or not.
    """
    present = [entry.name for entry in root.iterdir() if entry.is_dir()] if root.is_dir() else []
    for name in (_folder_name(structure), _first_versions_name(structure)):
        if name in present and name not in taken:
            return root / name
    return root / _folder_name(structure, [*present, *taken])


def structure_of(folder: Path, manifest: str = "context.json") -> str:
    """The structure whose context is in ``folder``: by the folder's name or, where that was shortened, as its examples say."""
    marked = _MARKED.fullmatch(folder.name[-9:])
    if marked is None:
        return unquote(folder.name)
    try:
        examples = json.loads((folder / manifest).read_text(encoding="utf-8"))["examples"]
        named = (str(example.get("structure") or "") for example in examples)
        return next(name for name in named if marked[0] == "-" + _mark(unicodedata.normalize("NFC", name)))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, StopIteration, RecursionError):
        return folder.name


def _folder_name(structure: str, taken: Iterable[str] = ()) -> str:
    return safe_name(structure, r"\w (),.+-", taken)


def _first_versions_name(structure: str) -> str:
    name = quote(structure, safe=" ()-_,+äöüÄÖÜßéèàçñ")
    return name.replace(".", "%2E") if name.startswith(".") or name.endswith(".") else name


def _mark(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", errors="surrogateescape")).hexdigest()[:8]
