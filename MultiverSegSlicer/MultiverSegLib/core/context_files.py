"""Files of a context folder: ``image_N.png``, ``mask_N.png``, ``prompts_N.png`` and ``context.json``, readable without us; and zips of them."""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .errors import ContextError
from .examples import Pixels, from_bytes, to_bytes
from .files import replacing
from .grid import GRID_SIZE

MANIFEST = "context.json"
FORMAT = "multiverseg-context"
VERSION = 1
KINDS = ("image", "mask", "prompts")
PNG_NAME = re.compile(r"(image|mask|prompts)_(\d{1,9})\.png")

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
    except ValueError as error:
        raise ContextError(f"{origin} is damaged: {MANIFEST} is no JSON.") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("examples"), list):
        raise ContextError(f"{origin} is not a context: {MANIFEST} is some other program's.")
    if data.get("version") != VERSION:
        raise ContextError(f"{origin} was written by a newer version ({data.get('version')!r}): update the extension.")
    if data.get("grid_size") != GRID_SIZE:
        raise ContextError(f"{origin} has images of {data.get('grid_size')!r} pixels, expected {GRID_SIZE}: make a new context.")
    return data["examples"]


def manifest(entries: Iterable[str]) -> str:
    """The content of ``context.json``, one example (as JSON) a line."""
    head = json.dumps({"format": FORMAT, "version": VERSION, "grid_size": GRID_SIZE})[:-1]
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
    if values.ndim == 3:  # colour, perhaps with opacity last: the peer stores grey thrice
        values = values[..., : 3 if values.shape[-1] > 2 else 1].astype(np.float32).mean(-1) / np.iinfo(values.dtype).max
    else:
        values = from_bytes(values) if values.dtype == np.uint8 else values.astype(np.float32) / np.iinfo(values.dtype).max
    return values.reshape(3, GRID_SIZE, GRID_SIZE) if kind == "prompts" else values


def write_png(path: Path, values: np.ndarray) -> None:
    """Values in 0..1, [128,128] or [3,128,128], as an 8-bit grey picture; atomic."""
    import SimpleITK as sitk

    picture = sitk.GetImageFromArray(to_bytes(values).reshape(-1, GRID_SIZE))
    with replacing(path) as temporary:
        try:
            sitk.WriteImage(picture, str(temporary), useCompression=True)
        except RuntimeError as error:
            raise OSError(f"{path} can't be written.") from error


def read_pixels(folder: Path, number: int, has_mask: bool = True, has_prompts: bool = False) -> Pixels:
    """The pixels of example ``number``."""
    mask = read_png(folder / f"mask_{number}.png", "mask") if has_mask else None
    if mask is not None and 0 < mask.max() < 0.5:  # some programs write 0 and 1 instead of 0 and 255
        mask = mask / mask.max()
    prompts = read_png(folder / f"prompts_{number}.png", "prompts") if has_prompts else None
    return Pixels.checked(read_png(folder / f"image_{number}.png", "image"), mask, prompts)


def write_pixels(folder: Path, number: int, pixels: Pixels) -> None:
    """Writes the pictures of example ``number``."""
    for kind, values in zip(KINDS, (pixels.image, pixels.mask, pixels.prompts), strict=True):
        if values is not None:
            write_png(folder / f"{kind}_{number}.png", values)


def unpack(archive: Path, folder: Path) -> None:
    """Extracts the pictures and the manifest of an archive into an empty folder, by their plain names; other files are left out.

    Raises:
        ContextError: not a zip, a path that leaves the archive, too many or too large files, files in several folders, no pictures.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            names = [info for info in opened.infolist() if not info.is_dir()]
            if len(names) > MAX_FILES:
                raise ContextError(f"{archive} holds {len(names)} files, more than {MAX_FILES}: nothing was imported.")
            _unpack_entries(opened, [info for info in names if _wanted(info.filename, archive)], folder, archive)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise ContextError(f"{archive} is missing, damaged or no zip archive: nothing was imported.") from error


def _wanted(name: str, archive: Path) -> bool:
    parts = _parts(name)
    if name.startswith(("/", "\\")) or ".." in parts or ":" in name:
        raise ContextError(f"{archive} has a path that leads outside of it ({name}): nothing was imported.")
    hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
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


def pack(archive: Path, folder: Path) -> None:
    """Zips the pictures and the manifest of a folder; atomic."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as opened:
        for path in sorted(folder.iterdir()):
            if path.name == MANIFEST or PNG_NAME.fullmatch(path.name):
                opened.write(path, path.name)
    with replacing(archive) as temporary:
        temporary.write_bytes(content.getvalue())
