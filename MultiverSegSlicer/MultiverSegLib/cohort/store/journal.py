"""The journal: one JSON object a line, only ever appended to. With it every case can be replayed and every crash undone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ...core.errors import CohortError

Event = dict[str, Any]
#: How every journal begins.
_FIRST = b'{"seq":1,"time":'


def now() -> str:
    """The time in UTC, ISO 8601 with milliseconds: ``2026-05-04T10:11:12.345+00:00``."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


class Journal:
    """Appends events to a file and reads them back.

    Every event gets ``seq`` (1, 2, 3, ... without gaps), ``time`` (UTC) and ``who``. An append is flushed to the disk before
    it returns. A line that was being written when the process died has no line end (or is not JSON): it is cut off before the next
    append and ignored when the journal is read. The places of the events are kept in memory, so that one case's are read at once.

    ``check``: raises CohortError for an event, read from the file, that can't be.
    """

    def __init__(
        self, path: Path | str, who: str = "", clock: Callable[[], str] = now, check: Callable[[Event], None] = lambda event: None
    ) -> None:
        self.path = Path(path)
        self.who = who
        self._clock = clock
        self._check = check
        self._mended = False
        self._places: list[int] = []
        self._by_case: dict[str | None, list[int]] = {}
        self._end = 0

    def append(self, kind: str, /, **fields: Any) -> Event:
        """Stores one event and returns it as stored.

        Raises:
            CohortError: the file can't be written.
        """
        try:
            return self._append(kind, fields)
        except OSError as error:
            if self.path.is_symlink():
                raise CohortError(
                    f"{self.path} is a link to another file, which is not written to: put the journal itself there."
                ) from error
            raise CohortError(f"Can't write {self.path}: {error.strerror or error}. Check the disk space.") from error

    def __len__(self) -> int:
        """The number of stored events."""
        self._look()
        return len(self._places)

    def events(self, after: int = 0, case: str | None = None) -> Iterator[Event]:
        """The stored events in order: those with ``seq > after``, of one case if asked.

        Raises:
            CohortError: a line before the last is damaged or out of order, so that the history can't be trusted.
        """
        self._look()
        numbers = range(len(self._places)) if case is None else self._by_case.get(case, [])
        wanted = [number for number in numbers if number >= after]
        if not wanted:
            return
        with open(self.path, "rb") as handle:
            for number in wanted:
                handle.seek(self._places[number])
                event = _parse(handle.readline())
                if event is None:
                    raise CohortError(f"Line {number + 1} of {self.path} is damaged: restore the file from a copy.")
                self._check(event)
                yield event

    @property
    def foreign(self) -> bool:
        """Whether the file is there, but not the beginning of a journal (which is what a crash at the very first event may leave)."""
        self._look()
        if self._places or not self.path.exists():
            return False
        with open(self.path, "rb") as handle:
            return not _FIRST.startswith(handle.read(len(_FIRST)))

    def _append(self, kind: str, fields: dict[str, Any]) -> Event:
        self._look()
        if not self._mended:
            self._mend()
        event = {"seq": len(self._places) + 1, "time": self._clock(), "who": self.who, "event": kind, **fields}
        line = json.dumps(event, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8") + b"\n"
        with open(self.path, "ab", buffering=0, opener=not_through_links) as handle:
            try:
                handle.write(line)
                os.fsync(handle.fileno())
            except OSError:
                handle.truncate(self._end)
                raise
        self._note(event, len(line))
        written: Event = json.loads(line)
        return written

    def _mend(self) -> None:
        """Cuts off a torn last line. A file that isn't a journal is left alone.

        Raises:
            CohortError: the file is some other program's.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.foreign:
            raise CohortError(f"{self.path} is not a journal of MultiverSeg: nothing was written to it. Choose another folder.")
        with open(self.path, "ab", opener=not_through_links) as handle:
            if self._end < handle.seek(0, os.SEEK_END):
                handle.truncate(self._end)
        self._mended = True

    def _look(self) -> None:
        """Learns the places of what was written (by whomever) since the last look."""
        if not self.path.exists():
            return
        with open(self.path, "rb") as handle:
            if handle.seek(0, os.SEEK_END) <= self._end:
                return
            handle.seek(self._end)
            for line in handle:
                event = _parse(line)
                number = len(self._places) + 1
                if event is None:
                    if handle.read(1):
                        raise CohortError(f"Line {number} of {self.path} is damaged: restore the file from a copy.")
                    return
                if event.get("seq") != number:
                    raise CohortError(f"{self.path} lacks event {number}: it was changed by hand; restore it from a copy.")
                self._note(event, len(line))

    def _note(self, event: Event, size: int) -> None:
        self._by_case.setdefault(event.get("case"), []).append(len(self._places))
        self._places.append(self._end)
        self._end += size


def not_through_links(path: str, flags: int) -> int:
    """An opener that refuses symbolic links where the system can: what a link in somebody else's folder points to is not ours to write."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _parse(line: bytes) -> Event | None:
    if not line.endswith(b"\n"):
        return None
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None
