"""One writer per cohort. A lock file names the holder; a holder that died, or fell silent on another computer, is replaced."""

from __future__ import annotations

import getpass
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from .journal import now
from .storage import write_atomically

SILENT_AFTER_S = 15 * 60
_BEAT_S = 60


@dataclass(frozen=True)
class Holder:
    """Who holds a cohort: ``who`` (login name), computer, process, since when (UTC)."""

    who: str
    host: str
    pid: int
    process_start: str
    since: str
    token: str

    def __str__(self) -> str:
        return f"{self.who} on {self.host} (process {self.pid}) since {self.since}"


class CohortLock:
    """The lock file of a cohort.

    ``acquire`` never waits: it gives None when the lock is ours, else the holder. Examination and replacement of a stale lock
    happen under an operating-system lock that dies with its process, so that two openers can't both win.
    """

    def __init__(self, path: Path | str, who: str = "") -> None:
        self.path = Path(path)
        self.who = who or login_name()
        self._mine: Holder | None = None
        self._stop = threading.Event()

    @property
    def held(self) -> bool:
        """Whether the lock file is still ours (someone may have taken it over after a long silence)."""
        return self._mine is not None and self.holder() == self._mine

    def holder(self) -> Holder | None:
        """Who the lock file names, or None where it is absent or unreadable (a foreign file)."""
        try:
            return Holder(**json.loads(self.path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def acquire(self) -> Holder | None:
        """Takes the lock: None if it is ours now, else who has it."""
        with _guard(self.path.with_name(self.path.name + ".guard")):
            other = self.holder()
            if other is not None and not self._stale(other):
                return None if other == self._mine else other
            pid = os.getpid()
            mine = Holder(self.who, socket.gethostname(), pid, process_start(pid), now(), uuid.uuid4().hex)
            write_atomically(self.path, json.dumps(asdict(mine)))
            self._mine = mine
        self._stop = threading.Event()
        threading.Thread(target=self._beat, args=(self._stop,), name="cohort-lock", daemon=True).start()
        return None

    def release(self) -> None:
        """Gives the lock back if it is ours."""
        self._stop.set()
        if self.held:
            self.path.unlink(missing_ok=True)
        self._mine = None

    def _stale(self, holder: Holder) -> bool:
        if holder.host == socket.gethostname():
            start = process_start(holder.pid)
            return not _alive(holder.pid) or bool(start and holder.process_start and start != holder.process_start)
        try:
            return time.time() - self.path.stat().st_mtime > SILENT_AFTER_S
        except OSError:
            return True

    def _beat(self, stop: threading.Event) -> None:
        while not stop.wait(_BEAT_S):
            if not self.held:
                return
            try:
                os.utime(self.path)
            except OSError:
                return


def login_name() -> str:
    """The name of the person at the computer, for the journal and the lock; never fails."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"


def process_start(pid: int) -> str:
    """When a process began, so that a reused process number is not taken for the old holder; empty where unknown."""
    fields = _process_fields(pid)
    return fields[19] if len(fields) > 19 else ""


def _process_fields(pid: int) -> list[str]:
    """What Linux tells of a process, from its state on; empty elsewhere."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return []


def _alive(pid: int) -> bool:
    if os.name == "nt":
        return _alive_on_windows(pid)
    if _process_fields(pid)[:1] == ["Z"]:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _alive_on_windows(pid: int) -> bool:
    import ctypes

    kernel = ctypes.windll.kernel32
    handle = kernel.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
    if not handle:
        return False
    code = ctypes.c_ulong()
    kernel.GetExitCodeProcess(handle, ctypes.byref(code))
    kernel.CloseHandle(handle)
    return code.value == 259  # STILL_ACTIVE


@contextmanager
def _guard(path: Path) -> Iterator[None]:
    """An operating-system lock for the few milliseconds of an acquire."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+b") as handle:
        _lock_handle(handle)
        yield


def _lock_handle(handle) -> None:
    if os.name == "nt":
        import msvcrt

        handle.seek(0)
        msvcrt.locking(handle.fileno(), msvcrt.LK_LOCK, 1)
        return
    import fcntl

    with suppress(OSError):  # a file system without locks: the check of the lock file alone must do
        fcntl.flock(handle, fcntl.LOCK_EX)
