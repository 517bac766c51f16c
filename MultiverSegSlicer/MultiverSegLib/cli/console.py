"""How the command talks: results on standard output, progress and warnings on standard error.

Names and notes come from files of strangers: they are printed as they are, never read as markup, and without control characters, which could
move the cursor or change the terminal's title.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from ..core.notices import LOG

NOTICE = "Research software, not for clinical decisions."

T = TypeVar("T")

_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_]?)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def plain(text: object) -> str:
    """The text without escape sequences and control characters; line breaks and tabs stay."""
    text = str(text).encode("utf-8", "backslashreplace").decode("utf-8")  # names of files may hold what is no text
    return _CONTROL.sub("", _SEQUENCE.sub("", text))


def say(text: object) -> None:
    """A line of the result."""
    import typer

    typer.echo(plain(text))


def tell(text: object) -> None:
    """A line about the result, for who watches: on standard error, so that it is no part of what a program reads."""
    import typer

    typer.echo(plain(text), err=True)


def error_console() -> Any:
    """A rich console on standard error: what the user watches, never what a program reads."""
    from rich.console import Console

    return Console(stderr=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """A spinner with ``text`` while something takes its time; silent where nobody watches (pipes, logs)."""
    from rich.text import Text

    with error_console().status(Text(plain(text))):
        yield


def progress(items: Iterable[T], text: str, total: int | None = None) -> Iterator[T]:
    """Iterate over ``items`` behind a progress bar."""
    from rich.progress import track

    yield from track(items, description=text, total=total, console=error_console(), transient=True)


@contextmanager
def bar(text: str) -> Iterator[Any]:
    """A progress bar; yields ``show(done, total, text)``, whose text may name a case."""
    from rich.markup import escape
    from rich.progress import Progress

    with Progress(console=error_console(), transient=True) as shown:
        task = shown.add_task(text, total=None)

        def show(done: int, total: int, what: str = text) -> None:
            shown.update(task, completed=done, total=total, description=escape(plain(what)))

        yield show


def warn(text: str) -> None:
    from rich.text import Text

    error_console().print(Text.assemble(("warning:", "yellow"), " ", plain(text)), highlight=False, soft_wrap=True)


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


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "", keep: Sequence[str] = (), numbers: Sequence[str] = ()
) -> None:
    """A table: drawn for a user at a terminal, without columns that are empty; tab-separated with one header line for a program in a pipe.

    Args:
        keep: columns that are never cut or broken (ids, which are typed or copied), as long as the terminal is wide enough for them.
        numbers: columns that are set flush right.
    """
    cells = [[plain(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in [list(columns), *cells]:
            say("\t".join(" ".join(cell.split()) for cell in row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = [n for n, column in enumerate(columns) if column in keep or any(row[n] for row in cells)]
    drawn = Table(title=Text(plain(title)) if title else None, title_justify="left", box=box.SIMPLE, pad_edge=False, padding=(0, 1))
    for column in (columns[n] for n in shown):
        # folded, not cut: every letter of what doesn't fit is still there
        drawn.add_column(column, no_wrap=column in keep, overflow="fold", justify="right" if column in numbers else "left")
    for row in cells:
        drawn.add_row(*(Text(row[n]) for n in shown))
    Console().print(drawn)


class Written:
    """What the running command has stored so far: an interrupted one says it in its last line."""

    def __init__(self) -> None:
        self._things: list[str] = []
        self._otherwise = "nothing was written"

    def add(self, thing: object) -> None:
        """Call it when ``thing`` is stored for good."""
        self._things.append(str(thing))

    def going_on(self, text: str) -> None:
        """What to say while nothing is noted here, for a command that stores its work as it goes."""
        self._otherwise = text

    def clear(self) -> None:
        self.__init__()

    def __str__(self) -> str:
        if not self._things:
            return self._otherwise
        names = ", ".join(self._things[:3])
        more = f" and {len(self._things) - 3} more" if len(self._things) > 3 else ""
        return f"written and complete: {names}{more}; nothing else was"


#: Of this process, which runs one command.
written = Written()
