"""The features of a context's examples, kept beside them: a cache that may be damaged or deleted at any time."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..files import beside
from .example import FEATURE_LENGTH, Example

_NAME = ".features"
#: Of older versions.
_OLD_NAME = ".features.npz"
_HEAD = b"MVSFEAT1"
_RECORD = struct.Struct(f"<8s{2 * FEATURE_LENGTH}sI")
_ID = re.compile(r"[0-9a-f]{16}")


class FeatureFile:
    """One file to which records are appended: id, feature (float16), check sum. What can't be read is computed again.

    Appending keeps the cost of an added example independent of how many there are; the file is written anew only where it is damaged, or
    where most of it belongs to examples that are gone.
    """

    def __init__(self, folder: Path) -> None:
        self.path, self._old = folder / _NAME, folder / _OLD_NAME
        self._stored: set[str] = set()
        self._records = 0
        self._whole = False

    def load(self) -> dict[str, np.ndarray]:
        """The features by example id, float32 [256]; those before the first damaged record."""
        self._stored, self._records, self._whole = set(), 0, False
        try:
            content = self.path.read_bytes()
        except OSError:
            return {}
        found: dict[str, np.ndarray] = {}
        if not content.startswith(_HEAD):
            return found
        for start in range(len(_HEAD), len(content) - _RECORD.size + 1, _RECORD.size):
            key, values, check = _RECORD.unpack_from(content, start)
            feature = np.frombuffer(values, "<f2").astype(np.float32)
            if zlib.crc32(key + values) != check or not np.isfinite(feature).all():
                break
            found[key.hex()] = feature
            self._records += 1
        self._stored = set(found)
        self._whole = len(content) == len(_HEAD) + self._records * _RECORD.size
        return found

    def save(self, examples: Sequence[Example]) -> None:
        """Keeps the features that are known; a folder that can't be written goes without."""
        known = [e for e in examples if e.has_feature and _ID.fullmatch(e.id)]
        try:
            if not self._whole or self._records > 2 * len(known) + 64:
                self._rewrite(known)
            elif fresh := [e for e in known if e.id not in self._stored]:
                with self.path.open("ab") as stream:
                    stream.write(b"".join(map(_record, fresh)))
                self._stored |= {e.id for e in fresh}
                self._records += len(fresh)
        except OSError:
            self._whole = False

    def delete(self) -> None:
        for path in (self.path, self._old):
            path.unlink(missing_ok=True)
        self._stored, self._records, self._whole = set(), 0, False

    def _rewrite(self, known: Sequence[Example]) -> None:
        temporary = beside(self.path)
        try:
            temporary.write_bytes(_HEAD + b"".join(map(_record, known)))
            temporary.replace(self.path)
        finally:
            temporary.unlink(missing_ok=True)
        self._old.unlink(missing_ok=True)
        self._stored, self._records, self._whole = {e.id for e in known}, len(known), True


def _record(example: Example) -> bytes:
    key, values = bytes.fromhex(example.id), example.feature.astype("<f2").tobytes()
    return _RECORD.pack(key, values, zlib.crc32(key + values))
