"""Where the process of the ``multiverseg`` command begins: it hears Ctrl+C from the first import to the last line."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn


def run() -> NoReturn:
    """See ``main.run``, which has the process's arguments here."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else somebody wants it to be ignored
        signal.signal(signal.SIGINT, _interrupt)
    try:
        from .main import run as command

        command()
    except KeyboardInterrupt:
        print("interrupted: nothing was written.", file=sys.stderr)
        sys.exit(130)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is said and written: nothing is left to be interrupted


def _interrupt(_number: int, frame: FrameType | None) -> None:
    """Ctrl+C. In the middle of an import it waits for the import's end: VTK's binary modules don't bear an exception there, and take the process down."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            again = threading.Timer(0.02, _thread.interrupt_main)
            again.daemon = True
            again.start()
            return
        frame = frame.f_back
    raise KeyboardInterrupt
