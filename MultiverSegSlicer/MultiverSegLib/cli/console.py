"""How the command talks: results on standard output, progress and warnings on standard error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

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
    error_console().print(f"[yellow]warning:[/yellow] {text}", highlight=False, soft_wrap=True)
