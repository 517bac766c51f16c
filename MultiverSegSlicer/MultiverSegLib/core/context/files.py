"""Files of a context folder: ``image_ID.png``, ``mask_ID.png``, ``prompts_ID.png`` and ``context.json``, readable without us; and zips of them.

ID is the example's, so that two processes never write one name for two examples. Folders of older versions, and zips, have numbers there.
"""

from __future__ import annotations

import json
import lzma
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ContextError
from ..files import beside, replacing
from ..grid import GRID_SIZE
from .example import Example, Pixels, from_bytes, to_bytes

MANIFEST = "context.json"
FORMAT = "multiverseg-context"
VERSION = 2
#: Pictures with numbers for names: older folders, and all zips, which other programs read.
NUMBERED_VERSION = 1
KINDS = ("image", "mask", "prompts")
#: What ``ContextSet`` writes: what it was writing when it was ended is no other program's file.
OWN_PNG_NAME = re.compile(r"(image|mask|prompts)_[0-9a-f]{16}\.png")
PNG_NAME = re.compile(r"(image|mask|prompts)_([0-9a-f]{16}|[0-9]{1,9})\.png")

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEIGHTS = {"image": GRID_SIZE, "mask": GRID_SIZE, "prompts": 3 * GRID_SIZE}
#: Limits of an imported archive: files, bytes of one file, bytes of all.
MAX_FILES, MAX_FILE_BYTES, MAX_BYTES = 40_000, 1 << 20, 1 << 29
MAX_MANIFEST_BYTES = 1 << 26


def read_manifest(content: bytes | str, origin: object) -> list[dict[str, Any]]:
    """The examples' facts in order.

    Raises:
        ContextError: not JSON, not a context's, of a newer version or of another grid.
    """
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ContextError(f"{origin} is damaged: {MANIFEST} is no JSON.") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("examples"), list):
        raise ContextError(f"{origin} is not a context: {MANIFEST} is some other program's.")
    if data.get("version") not in (NUMBERED_VERSION, VERSION):
        raise ContextError(f"{origin} was written by a newer version ({data.get('version')!r}): update the extension.")
    if data.get("grid_size") != GRID_SIZE:
        raise ContextError(f"{origin} has images of {data.get('grid_size')!r} pixels, expected {GRID_SIZE}: make a new context.")
    return data["examples"]


def pictures_name(entry: Mapping[str, Any]) -> str:
    """What the names of an entry's pictures end with.

    Raises:
        ValueError: neither its id nor a number.
    """
    name = entry["pictures"] if "pictures" in entry else entry["number"]
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    if not isinstance(name, str) or not PNG_NAME.fullmatch(f"image_{name}.png"):
        raise ValueError(f"no name of pictures: {name!r}"[:80])
    return name


def manifest(entries: Iterable[str], version: int = VERSION) -> str:
    """The content of ``context.json``, one example (as JSON) a line."""
    head = json.dumps({"format": FORMAT, "version": version, "grid_size": GRID_SIZE})[:-1]
    return f'{head}, "examples": [\n' + ",\n".join(entries) + "\n]}\n"


def check_png(content: bytes, kind: str, origin: object) -> None:
    """Raises ContextError unless the PNG header announces the grid's size; nothing is decoded."""
    if not content.startswith(_PNG_SIGNATURE) or len(content) < 24:
        raise ContextError(f"{origin} is not a PNG picture.")
    width, height = struct.unpack(">II", content[16:24])
    if (width, height) != (GRID_SIZE, _HEIGHTS[kind]):
        raise ContextError(f"{origin} is {width} x {height}, expected {GRID_SIZE} x {_HEIGHTS[kind]}.")


def read_png(path: Path, kind: str) -> np.ndarray:
    """An 8-bit (or deeper, or colour) picture as values in 0..1, float32 [128,128] or, for prompts, [3,128,128].

    Raises:
        ContextError: missing, damaged or of another size.
    """
    import SimpleITK as sitk

    try:
        with path.open("rb") as stream:
            check_png(stream.read(24), kind, path)
        values = sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="PNGImageIO"))
    except (OSError, RuntimeError) as error:
        raise ContextError(f"{path} is missing or damaged: remove its example from the context.") from error
    if values.ndim == 3:  # colour, possibly with opacity last: the peer stores grey thrice
        values = values[..., : 3 if values.shape[-1] > 2 else 1].astype(np.float32).mean(-1) / np.iinfo(values.dtype).max
    else:
        values = from_bytes(values) if values.dtype == np.uint8 else values.astype(np.float32) / np.iinfo(values.dtype).max
    return values.reshape(3, GRID_SIZE, GRID_SIZE) if kind == "prompts" else values


def write_png(path: Path, values: np.ndarray) -> None:
    """Values in 0..1, [128,128] or [3,128,128], as an 8-bit grey picture: whole or not at all, not yet flushed (see ``files.flush_all``).

    Raises:
        OSError: the folder can't be written.
    """
    import SimpleITK as sitk

    picture = sitk.GetImageFromArray(to_bytes(values).reshape(-1, GRID_SIZE))
    temporary = beside(path)
    try:
        sitk.WriteImage(picture, str(temporary), useCompression=True)
        os.replace(temporary, path)
    except RuntimeError as error:
        raise OSError(f"{path} can't be written (a full disk?)") from error
    finally:
        temporary.unlink(missing_ok=True)


def read_pixels(folder: Path, name: str, has_mask: bool = True, has_prompts: bool = False) -> Pixels:
    """The pixels of the example whose pictures end with ``name``."""
    mask = read_png(folder / f"mask_{name}.png", "mask") if has_mask else None
    if mask is not None and 0 < mask.max() < 0.5:  # some programs write 0 and 1 instead of 0 and 255
        mask = mask / mask.max()
    prompts = read_png(folder / f"prompts_{name}.png", "prompts") if has_prompts else None
    return Pixels.checked(read_png(folder / f"image_{name}.png", "image"), mask, prompts)


def write_pixels(folder: Path, name: str, pixels: Pixels) -> list[Path]:
    """Writes the pictures of an example and returns their paths; they still have to be flushed."""
    written = []
    for kind, values in zip(KINDS, (pixels.image, pixels.mask, pixels.prompts), strict=True):
        if values is not None:
            written.append(folder / f"{kind}_{name}.png")
            write_png(written[-1], values)
    return written


def unpack(archive: Path, folder: Path) -> None:
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
    return not hidden and (parts[-1] == MANIFEST or PNG_NAME.fullmatch(parts[-1]) is not None)


def _parts(name: str) -> list[str]:
    return name.replace("\\", "/").split("/")  # some Windows programs write backslashes


def _unpack_entries(opened: zipfile.ZipFile, entries: list[zipfile.ZipInfo], folder: Path, archive: Path) -> None:
    if len({tuple(_parts(info.filename)[:-1]) for info in entries}) > 1:
        raise ContextError(f"{archive} holds more than one context: give one with a single folder. Nothing was imported.")
    total = 0
    for info in entries:
        name = _parts(info.filename)[-1]
        limit = MAX_MANIFEST_BYTES if name == MANIFEST else MAX_FILE_BYTES
        with opened.open(info) as stream:
            content = stream.read(limit + 1)
        total += len(content)
        if len(content) > limit or total > MAX_BYTES:
            raise ContextError(f"{archive} unpacks to more than a context can hold ({name}): nothing was imported.")
        if name != MANIFEST:
            check_png(content, name.partition("_")[0], f"{archive}: {name}")
        (folder / name).write_bytes(content)
    if not any(info.filename.endswith(".png") for info in entries):
        raise ContextError(f"{archive} holds no image_N.png and mask_N.png: nothing was imported.")


def pack(archive: Path, examples: Sequence[Example], scratch: Path) -> None:
    """Writes a zip with ``image_N.png``, ``mask_N.png`` and the manifest; atomic. ``scratch``: an empty folder to work in."""
    lines, names = [], []
    for number, example in enumerate(examples):
        pixels = example.pixels
        names += [path.name for path in write_pixels(scratch, str(number), pixels)]
        parts = {"mask": pixels.mask is not None, "prompts": pixels.prompts is not None}
        lines.append(json.dumps({**example.facts(), "number": number, **parts}))
    with replacing(archive) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(MANIFEST, manifest(lines, NUMBERED_VERSION))
        for name in names:
            opened.write(scratch / name, name)
