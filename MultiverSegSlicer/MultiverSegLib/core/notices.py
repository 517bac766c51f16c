"""Findings that do not stop the work but that a person has to know: told in the log, on the terminal, and kept in a cohort's journal.

They go through Python's ``logging`` under the name ``MultiverSegLib``: Slicer shows them in its log, the command prints them as warnings.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LOG = logging.getLogger("MultiverSegLib")


def notice(text: str) -> None:
    """Tell one finding: what was noticed in which file or node, with numbers."""
    LOG.warning("%s", text)


class _Withheld(logging.Filter):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._thread = threading.get_ident()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.thread != self._thread or record.levelno < logging.WARNING:
            return True
        if record.getMessage() not in self.texts:
            self.texts.append(record.getMessage())
        return False


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread and record.getMessage() not in self.texts:
            self.texts.append(record.getMessage())


@contextmanager
def noticed() -> Iterator[list[str]]:
    """The list that fills with what this thread is told inside of the block, each text once."""
    collector = _Collector()
    LOG.addHandler(collector)
    try:
        yield collector.texts
    finally:
        LOG.removeHandler(collector)


@contextmanager
def withheld() -> Iterator[list[str]]:
    """Like ``noticed``, but nothing is told: whoever gets the list (in another process, say) tells it."""
    withholding = _Withheld()
    LOG.addFilter(withholding)
    try:
        yield withholding.texts
    finally:
        LOG.removeFilter(withholding)
