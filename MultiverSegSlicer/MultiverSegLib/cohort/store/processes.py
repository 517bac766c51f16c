"""Whether a process of this computer runs, and since when, on Linux, macOS and Windows. Needs no package and no special rights."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

_QUERY, _ACCESS_DENIED, _STILL_ACTIVE = 0x1000, 5, 259  # PROCESS_QUERY_LIMITED_INFORMATION, ERROR_ACCESS_DENIED, STILL_ACTIVE


def alive(pid: int) -> bool:
    """Whether a process runs, also another user's."""
    if os.name == "nt":
        return WindowsProcess(pid).alive
    if _linux_fields(pid)[:1] == ["Z"]:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def process_start(pid: int) -> str:
    """When a process began, so that a reused process number is not taken for the old holder; empty where unknown."""
    if os.name == "nt":
        return WindowsProcess(pid).started
    fields = _linux_fields(pid)
    if fields:
        return fields[19] if len(fields) > 19 else ""
    return "" if Path("/proc/self/stat").exists() else asked_of_ps(pid)


def asked_of_ps(pid: int) -> str:
    """What ``ps`` tells, where there is no /proc (macOS); empty if there is no such process."""
    try:
        told = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)],
            capture_output=True,
            text=True,
            timeout=5,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return told.stdout.strip()


class WindowsProcess:
    """A process as the Windows API tells it. ``kernel``: kernel32, loaded with ``use_last_error``."""

    def __init__(self, pid: int, kernel: Any = None) -> None:
        import ctypes

        if kernel is None:
            kernel = getattr(ctypes, "WinDLL")("kernel32", use_last_error=True)  # noqa: B009  (only Windows has it)
        self.started = ""
        kernel.OpenProcess.restype = ctypes.c_void_p  # a handle is as wide as a pointer
        handle = kernel.OpenProcess(_QUERY, False, pid)
        if not handle:
            # another user's process may not be asked, but it is there
            self.alive = _last_error(kernel) == _ACCESS_DENIED
            return
        handle = ctypes.c_void_p(handle)
        code, times = ctypes.c_ulong(), [ctypes.c_ulonglong() for _ in range(4)]
        kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        if kernel.GetProcessTimes(handle, *(ctypes.byref(time) for time in times)):
            self.started = str(times[0].value)
        kernel.CloseHandle(handle)
        self.alive = code.value == _STILL_ACTIVE


def _last_error(kernel: Any) -> int:
    import ctypes

    return int(ctypes.get_last_error() if hasattr(ctypes, "get_last_error") else kernel.GetLastError())


def _linux_fields(pid: int) -> list[str]:
    """What Linux tells of a process, from its state on; empty elsewhere."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return []
