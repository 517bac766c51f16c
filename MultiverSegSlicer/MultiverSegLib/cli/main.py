"""The ``multiverseg`` command: finds its sub-commands, and turns what goes wrong into one line and an exit code.

Exit codes: 0 done, 1 the job failed, 2 bad usage, 130 interrupted. Each sub-command lives in a module of its own with a function ``register(app)``;
modules import torch, MRML and other heavy packages inside their functions, so that ``--help`` answers at once.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from typing import NoReturn

import typer

from .. import __version__
from ..core.errors import MultiverSegError
from ..mrml.paths import check_utf8
from .console import plain, written

#: Exit code of a command that was interrupted, as shells have it for SIGINT.
INTERRUPTED = 130

COMMANDS = (
    "segment",
    "context",
    "models",
    "demo",
    "bench",
    "train",
    "corpus",
    "evaluate",
    "cohort",
    "propagate",
    "doctor",  # one a line: parts are added by different hands
)

app = typer.Typer(
    name="multiverseg",
    help="Segment a collection of volumes in context: each finished case spares prompts on the next.\n\n"
    "Example: [bold]multiverseg segment ct.nrrd --prompts liver.mrk.json -o liver.seg.nrrd[/bold]\n\n"
    "Research software, not for clinical decisions.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"multiverseg {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Print the version and stop."),
) -> None:
    from .console import show_notices

    show_notices()


#: Commands that have a room of their own.
_ELSEWHERE = {"demo": "..demo.run", "bench": "..benchmarks.commands"}

for _name in COMMANDS:
    importlib.import_module(_ELSEWHERE.get(_name, f".{_name}"), __package__).register(app)


def run(arguments: list[str] | None = None) -> NoReturn:
    """Run the command and leave the process with its exit code; never a traceback unless MULTIVERSEG_DEBUG is set.

    ``arguments`` are what follows the program's name (default: ``sys.argv[1:]``).
    """
    written.clear()
    try:
        for argument in sys.argv[1:] if arguments is None else arguments:
            check_utf8(argument, MultiverSegError)
        app(args=arguments, prog_name="multiverseg")  # leaves by SystemExit: 0, or 2 for bad usage
    except BaseException as error:
        if _interrupted(error):
            print(f"interrupted: {one_line(written)}.", file=sys.stderr)
            sys.exit(INTERRUPTED)
        if isinstance(error, SystemExit) or os.environ.get("MULTIVERSEG_DEBUG"):
            raise
        print(f"error: {one_line(_message(error))}", file=sys.stderr)
        sys.exit(1)
    sys.exit(0)


def _interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl+C is behind it; typer turns it into an exit of its own."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def one_line(text: object) -> str:
    """Without line breaks and control characters."""
    return " ".join(plain(text).split())


def _message(error: BaseException) -> str:
    if isinstance(error, MultiverSegError):
        return str(error)
    if isinstance(error, RecursionError):
        return "A file is nested too deeply to be what it should be (RecursionError); find out which with MULTIVERSEG_DEBUG=1."
    if isinstance(error, MemoryError):
        return "The computer has not enough memory for this; use fewer context examples (--cap) or a smaller model."
    if isinstance(error, OSError):
        return _os_error(error)
    if isinstance(error, ImportError):
        return f"A package is missing or broken ({error}); install with 'pip install -c constraints.txt -e .' and run 'multiverseg doctor'."
    return f"Internal error ({type(error).__name__}: {error}); run again with MULTIVERSEG_DEBUG=1 for the details and report them."


def _os_error(error: OSError) -> str:
    where = f" {error.filename}" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full: cannot write{where or ' the result'}; free some space and run again."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"No permission to read or write{where or ' a file'}; choose another place or change its permissions."
    if error.errno == errno.ENOENT:
        return f"No such file or folder:{where or ' (unnamed)'}."
    return f"{error.strerror or error}{':' if where else ''}{where}."
