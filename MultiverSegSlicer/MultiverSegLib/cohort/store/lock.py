"""One writer per cohort. A lock file names the holder; a holder that died, or fell silent on another computer, is replaced."""

from __future__ import annotations

import getpass
import json
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from ...core.errors import CohortError
from ...core.files import beside
from .checking import fits, hints_of
from .files import write_atomically
from .journal import not_through_links, now
from .processes import alive, process_start

SILENT_AFTER_S = 15 * 60
_BEAT_S = 60
#: A holder of our own computer that can't be looked up (in another container, or before the computer was started again) is gone after this.
_SILENT_HERE_S = 3 * _BEAT_S
_LOOK_AGAIN_S = 0.2


@dataclass(frozen=True)
class Holder:
    """Who holds a cohort: ``who`` (login name; empty where names are not wanted), computer, process, since when (UTC).

    ``process_start``, ``boot`` and ``namespace`` say which process of this number: the same number means another one after the computer was
    started again, and in another container. Empty where the system doesn't tell.
    """

    who: str
    host: str
    pid: int
    process_start: str
    since: str
    token: str
    boot: str = ""
    namespace: str = ""

    @staticmethod
    def of(data: Any) -> Holder | None:
        """The holder in a lock file's JSON; None where it is no lock file's. What a later version adds is left out."""
        if not isinstance(data, dict):
            return None
        hints = hints_of(Holder)
        known = {name: value for name, value in data.items() if name in hints}
        if not all(fits(value, hints[name]) for name, value in known.items()) or known.get("pid", 0) <= 0:
            return None
        try:
            return Holder(**known)
        except TypeError:
            return None

    def __str__(self) -> str:
        if not self.who:
            return f"process {self.pid} on {self.host} since {self.since}"
        return f"{self.who} on {self.host} (process {self.pid}) since {self.since}"


class CohortLock:
    """The lock file of a cohort. It names the computer and the process; the person only after ``sign``, or where ``who`` is given.

    ``acquire`` gives None when the lock is ours, else the holder. Examination and replacement of a stale lock happen under an
    operating-system lock that dies with its process, so that two openers can't both win.
    """

    def __init__(self, path: Path | str, who: str = "") -> None:
        self.path = Path(path)
        self.who = who
        self._mine: Holder | None = None
        self._stop = threading.Event()

    @property
    def held(self) -> bool:
        """Whether the lock file is still ours (someone may have taken it over after a long silence)."""
        return self._mine is not None and self.holder() == self._mine

    def holder(self) -> Holder | None:
        """Who the lock file names, or None where it is absent or unreadable (a foreign file)."""
        try:
            return Holder.of(json.loads(self.path.read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError):
            return None

    def acquire(self, wait: float = 0.0) -> Holder | None:
        """Takes the lock: None if it is ours now, else who has it.

        Args:
            wait: for so many seconds, try again while somebody else has it.
        """
        until = time.monotonic() + wait
        holder = self._take()
        while holder is not None and time.monotonic() < until:
            time.sleep(_LOOK_AGAIN_S)
            holder = self._take()
        return holder

    def _take(self) -> Holder | None:
        with _guard(self.path.with_name(self.path.name + ".guard")):
            other = self.holder()
            if other is not None and not self._stale(other):
                return None if other == self._mine else other
            pid = os.getpid()
            mine = Holder(self.who, socket.gethostname(), pid, process_start(pid), now(), uuid.uuid4().hex, boot_id(), process_namespace())
            write_atomically(self.path, json.dumps(asdict(mine)))
            self._mine = mine
        self._stop = threading.Event()
        threading.Thread(target=self._beat, args=(self._stop,), name="cohort-lock", daemon=True).start()
        return None

    def sign(self, who: str) -> None:
        """Writes into the lock file that ``who`` holds it, if it is ours."""
        with _guard(self.path.with_name(self.path.name + ".guard")):
            if self._mine is not None and self.held:
                mine = replace(self._mine, who=who)
                write_atomically(self.path, json.dumps(asdict(mine)))
                self.who, self._mine = who, mine

    def release(self) -> None:
        """Gives the lock back if it is ours."""
        self._stop.set()
        if self.held:
            self.path.unlink(missing_ok=True)
        self._mine = None

    def _stale(self, holder: Holder) -> bool:
        here = holder.host == socket.gethostname()
        if here and (holder.boot, holder.namespace) == (boot_id(), process_namespace()):
            start = process_start(holder.pid)
            return not alive(holder.pid) or bool(start and holder.process_start and start != holder.process_start)
        silence = self._silence()
        return silence > (_SILENT_HERE_S if here else SILENT_AFTER_S) or silence < -2 * _BEAT_S

    def _silence(self) -> float:
        """Seconds since the holder touched the file, by the clock of the folder's own file system. Less than zero: that clock was set back
        since, and a holder that was alive would have touched the file again within a minute."""
        probe = beside(self.path)
        try:
            probe.touch()
            return probe.stat().st_mtime - self.path.stat().st_mtime
        except OSError:
            return time.time() - self.path.stat().st_mtime if self.path.exists() else float("inf")
        finally:
            with suppress(OSError):
                probe.unlink()

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


def boot_id() -> str:
    """Which start of the computer this is; empty where unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def process_namespace() -> str:
    """Within which process numbers are counted (containers have their own); empty where unknown."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except (OSError, AttributeError):
        return ""


@contextmanager
def _guard(path: Path) -> Iterator[None]:
    """An operating-system lock for the few milliseconds of an acquire."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = open(path, "a+b", opener=not_through_links)  # noqa: SIM115  (closed below)
    except OSError as error:
        reason = "it is a link to another file" if path.is_symlink() else error.strerror or error
        raise CohortError(f"Can't write {path}: {reason}. Check your rights on that folder.") from error
    with handle:
        _lock_handle(handle)
        yield


def _lock_handle(handle: IO[bytes]) -> None:
    if sys.platform == "win32":
        import msvcrt

        handle.seek(0)
        msvcrt.locking(handle.fileno(), msvcrt.LK_LOCK, 1)
        return
    import fcntl

    with suppress(OSError):  # a file system without locks: the check of the lock file alone must do
        fcntl.flock(handle, fcntl.LOCK_EX)
