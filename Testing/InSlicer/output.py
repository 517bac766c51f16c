"""What a script prints inside Slicer: to the console, where there is one, and to a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Output:
    """A text stream to the console and to a file; Slicer's own `sys.stdout` lacks what pytest needs."""

    encoding = "utf-8"

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf-8")

    def write(self, text: str) -> int:
        self._file.write(text)
        self._file.flush()  # what was reached can be read if the application ends
        if sys.__stdout__ is not None:  # Slicer on Windows has no console
            sys.__stdout__.write(text)
            sys.__stdout__.flush()
        return len(text)

    def flush(self) -> None:
        self._file.flush()

    def isatty(self) -> bool:
        return False


@contextmanager
def printed_to(path: Path) -> Iterator[None]:
    """What is printed inside goes to the file too, and its last line says so."""
    path = Path(os.path.abspath(path))
    before = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = Output(path)
    try:
        yield
    finally:
        print(f"The results are in {path}")
        sys.stdout, sys.stderr = before
