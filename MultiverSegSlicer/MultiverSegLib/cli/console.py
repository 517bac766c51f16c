"""How the command talks: results on standard output, progress and warnings on standard error."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from ..core.notices import LOG

NOTICE = "Research software, not for clinical decisions."

T = TypeVar("T")


def error_console():
    """A rich console on standard error: what a person watches, never what a program reads."""
    from rich.console import Console

    return Console(stderr=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """A spinner with ``text`` while something takes its time; silent where nobody watches (pipes, logs)."""
    with error_console().status(text):
        yield


def progress(items: Iterable[T], text: str, total: int | None = None) -> Iterator[T]:
    """Iterate over ``items`` behind a progress bar."""
    from rich.progress import track

    yield from track(items, description=text, total=total, console=error_console(), transient=True)


def warn(text: str) -> None:
    from rich.markup import escape

    error_console().print(f"[yellow]warning:[/yellow] {escape(text)}", highlight=False, soft_wrap=True)


class _Notices(logging.Handler):
    """What the library noticed, as warnings; each text once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.shown: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text not in self.shown:
            self.shown.add(text)
            warn(text)


def show_notices() -> None:
    """Print what ``core.notices`` tells from now on, in place of Python's own way of logging."""
    for handler in [handler for handler in LOG.handlers if isinstance(handler, _Notices)]:
        LOG.removeHandler(handler)
    LOG.addHandler(_Notices())
    LOG.propagate = False
