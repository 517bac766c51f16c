"""Files of a context folder: ``image_ID.png``, ``mask_ID.png``, ``prompts_ID.png`` and ``context.json``, readable without us.

ID is the example's, so that two processes never write one name for two examples. Folders of older versions, and zips, have numbers there.
"""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ContextError
from ..files import beside
from ..grid import GRID_SIZE
from .example import Pixels, from_bytes, to_bytes

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
