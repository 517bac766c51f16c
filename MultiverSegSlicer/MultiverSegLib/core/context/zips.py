"""Zips of examples: ours, and those of programs that write ``image_N.png`` and ``mask_N.png``."""

from __future__ import annotations

import json
import lzma
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..errors import ContextError
from ..files import replacing
from . import files
from .example import Example
from .folder import ContextFolder, reason

#: Limits of an imported archive: files, bytes of one file, bytes of all.
MAX_FILES, MAX_FILE_BYTES, MAX_BYTES = 40_000, 1 << 20, 1 << 29
MAX_MANIFEST_BYTES = 1 << 26


@contextmanager
def examples_of(archive: Path) -> Iterator[list[Example]]:
    """The examples of a zip, ours or one of bare ``image_N.png``/``mask_N.png`` pairs. Their pixels can be read inside of the ``with`` alone.

    Raises:
        ContextError: unsafe or damaged archive, pictures of another size, an image without mask; also where reading the pixels says so.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _unpack(archive, folder)
        if not (folder / files.MANIFEST).is_file():
            yield _bare_pairs(folder, archive)
            return
        try:
            imported = ContextFolder(folder).read()
            if not imported:
                raise ContextError(f"{folder} holds no examples.")
            yield imported
        except ContextError as error:
            raise ContextError(str(error).replace(str(folder), str(archive))) from error


def pack(archive: Path, examples: Sequence[Example]) -> None:
    """Writes a zip with ``image_N.png``, ``mask_N.png`` and the list; atomic.

    Raises:
        ContextError: the file can't be written.
    """
    try:
        with tempfile.TemporaryDirectory() as scratch:
            _pack(archive, examples, Path(scratch))
    except OSError as error:
        raise ContextError(f"{archive} can't be written: {reason(error)}.") from error


def _unpack(archive: Path, folder: Path) -> None:
    """Extracts the pictures and the manifest of an archive into an empty folder, by their plain names; other files are left out.

    Raises:
        ContextError: not a zip, a path that leaves the archive, too many or too large files, files in several folders, no pictures.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            names = [info for info in opened.infolist() if not info.filename.endswith("/")]
            if len(names) > MAX_FILES:
                raise ContextError(f"{archive} holds {len(names)} files, more than {MAX_FILES}: nothing was imported.")
            _unpack_entries(opened, [info for info in names if _wanted(info.filename, archive)], folder, archive)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise ContextError(f"{archive} is missing, damaged or no zip archive: nothing was imported.") from error


def _wanted(name: str, archive: Path) -> bool:
    parts = _parts(name)
    if name.startswith(("/", "\\")) or ".." in parts or ":" in name:
        raise ContextError(f"{archive} has a path that leads outside of it ({name}): nothing was imported.")
    hidden = any(part.startswith((".", "__MACOSX")) for part in parts) or not parts[-1]
    return not hidden and (parts[-1] == files.MANIFEST or files.PNG_NAME.fullmatch(parts[-1]) is not None)


def _parts(name: str) -> list[str]:
    return name.replace("\\", "/").split("/")  # some Windows programs write backslashes


def _unpack_entries(opened: zipfile.ZipFile, entries: list[zipfile.ZipInfo], folder: Path, archive: Path) -> None:
    if len({tuple(_parts(info.filename)[:-1]) for info in entries}) > 1:
        raise ContextError(f"{archive} holds more than one context: give one with a single folder. Nothing was imported.")
    total = 0
    for info in entries:
        name = _parts(info.filename)[-1]
        limit = MAX_MANIFEST_BYTES if name == files.MANIFEST else MAX_FILE_BYTES
        with opened.open(info) as stream:
            content = stream.read(limit + 1)
        total += len(content)
        if len(content) > limit or total > MAX_BYTES:
            raise ContextError(f"{archive} unpacks to more than a context can hold ({name}): nothing was imported.")
        if name != files.MANIFEST:
            files.check_png(content, name.partition("_")[0], f"{archive}: {name}")
        (folder / name).write_bytes(content)
    if not any(info.filename.endswith(".png") for info in entries):
        raise ContextError(f"{archive} holds no image_N.png and mask_N.png: nothing was imported.")


def _pack(archive: Path, examples: Sequence[Example], scratch: Path) -> None:
    """Writes a zip with ``image_N.png``, ``mask_N.png`` and the manifest; atomic. ``scratch``: an empty folder to work in."""
    lines, names = [], []
    for number, example in enumerate(examples):
        pixels = example.pixels
        names += [path.name for path in files.write_pixels(scratch, str(number), pixels)]
        parts = {"mask": pixels.mask is not None, "prompts": pixels.prompts is not None}
        lines.append(json.dumps({**example.facts(), "number": number, **parts}))
    with replacing(archive) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(files.MANIFEST, files.manifest(lines, files.NUMBERED_VERSION))
        for name in names:
            opened.write(scratch / name, name)


def _bare_pairs(folder: Path, archive: Path) -> list[Example]:
    numbers = sorted({m[2] for p in folder.glob("*.png") if (m := files.PNG_NAME.fullmatch(p.name))}, key=lambda name: (len(name), name))
    examples = []
    for number in numbers:
        try:
            pixels = files.read_pixels(folder, number)
        except ContextError as error:
            text = str(error).replace(str(folder), str(archive)).removesuffix(": remove its example from the context.")
            raise ContextError(f"{text.rstrip('.')}: nothing was imported.") from error
        examples.append(Example(pixels.image, pixels.mask, case=f"{archive.stem} {number}"))
    return examples
