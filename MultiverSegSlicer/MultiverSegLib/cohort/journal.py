"""The journal: one JSON object a line, only ever appended to. With it every case can be replayed and every crash undone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..core.errors import CohortError

Event = dict[str, Any]


def now() -> str:
    """The time in UTC, ISO 8601 with milliseconds: ``2026-05-04T10:11:12.345+00:00``."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


class Journal:
    """Appends events to a file and reads them back.

    Every event gets ``seq`` (1, 2, 3, ... without gaps), ``time`` (UTC) and ``who``. An append is flushed to the disk before
    it returns. A line that was being written when the process died has no line end (or is not JSON): it is cut off when the
    journal is opened for writing and ignored when it is read.
    """

    def __init__(self, path: Path | str, who: str = "", clock: Callable[[], str] = now) -> None:
        self.path = Path(path)
        self.who = who
        self._clock = clock
        self._seq: int | None = None

    def append(self, kind: str, /, **fields: Any) -> Event:
        """Stores one event and returns it as stored.

        Raises:
            CohortError: the file can't be written.
        """
        try:
            return self._append(kind, fields)
        except OSError as error:
            raise CohortError(f"Can't write {self.path}: {error.strerror or error}. Check the disk space.") from error

    def _append(self, kind: str, fields: dict[str, Any]) -> Event:
        if self._seq is None:
            self._seq = self._mended()
        event = {"seq": self._seq + 1, "time": self._clock(), "who": self.who, "event": kind, **fields}
        line = json.dumps(event, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
        with open(self.path, "ab", buffering=0) as handle:
            end = handle.seek(0, os.SEEK_END)
            try:
                handle.write(line.encode("utf-8"))
                os.fsync(handle.fileno())
            except OSError:
                handle.truncate(end)
                raise
        self._seq += 1
        return json.loads(line)

    def _mended(self) -> int:
        """Cuts off a torn last line; gives the last ``seq``."""
        good = last = 0
        for event, size in self._lines():
            good, last = good + size, event["seq"]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "ab") as handle:
            if good < handle.seek(0, os.SEEK_END):
                handle.truncate(good)
        return last

    def events(self, after: int = 0, case: str | None = None) -> Iterator[Event]:
        """The stored events in order: those with ``seq > after``, of one case if asked.

        Raises:
            CohortError: a line before the last is damaged or out of order, so that the history can't be trusted.
        """
        for event, _ in self._lines():
            if event["seq"] > after and (case is None or event.get("case") == case):
                yield event

    def _lines(self) -> Iterator[tuple[Event, int]]:
        if not self.path.exists():
            return
        last = 0
        with open(self.path, "rb") as handle:
            for line in handle:
                event = _parse(line)
                if event is None:
                    if handle.read(1):
                        raise CohortError(f"Line {last + 1} of {self.path} is damaged: restore the file from a copy.")
                    return
                if event.get("seq") != last + 1:
                    raise CohortError(f"{self.path} lacks event {last + 1}: it was changed by hand; restore it from a copy.")
                last += 1
                yield event, len(line)


def _parse(line: bytes) -> Event | None:
    if not line.endswith(b"\n"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) else None
