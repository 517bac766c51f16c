"""Headers of NRRD, MetaImage and NIfTI files, read here before a C++ reader sees them.

The readers of ITK and MRML end the process at some headers, ask for all the memory that a header claims, read any file that a detached header
names, and put a volume somewhere where its header says NaN. Each of these is one line here.
"""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import VolumeError
from ..core.notices import notice
from .plain_volume import is_flat

_LONGEST = 1 << 24  # bytes of a text header
#: A compressed byte stands for at most so many: deflate's limit is 1032, bzip2's about 45,000.
_RATIO = {"gzip": 1100, "gz": 1100, "bzip2": 50_000, "bz2": 50_000}
_NRRD_BYTES = {
    **dict.fromkeys(("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"), 1),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), 2),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), 2),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t", "uint", "unsigned int", "uint32", "uint32_t", "float"), 4),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"), 8),
    **dict.fromkeys(("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t", "double"), 8),
}
_META_BYTES = {
    **dict.fromkeys(("MET_CHAR", "MET_UCHAR", "MET_ASCII_CHAR"), 1),
    **dict.fromkeys(("MET_SHORT", "MET_USHORT"), 2),
    **dict.fromkeys(("MET_INT", "MET_UINT", "MET_LONG", "MET_ULONG", "MET_FLOAT"), 4),
    **dict.fromkeys(("MET_LONG_LONG", "MET_ULONG_LONG", "MET_DOUBLE"), 8),
}


def check_header(path: Path) -> None:
    """Refuse a file whose header can't be true; do nothing for other formats.

    Args:
        path: an existing regular file.

    Raises:
        VolumeError: with the reason and, where there is one, the way out.
    """
    name = path.name.lower()
    try:
        if name.endswith((".nrrd", ".nhdr")):
            _check_nrrd(path)
        elif name.endswith((".mha", ".mhd")):
            _check_meta(path)
        elif name.endswith((".nii", ".nii.gz")):
            _check_nifti(path)
        elif name.endswith((".hdr", ".img", ".img.gz")):
            _check_pair(path)
    except OSError as error:
        raise VolumeError(f"{path} can't be read: {error.strerror or error}.") from error


def _refuse(path: Path, reason: str) -> VolumeError:
    return VolumeError(f"{path} can't be read as a volume ({reason}).")


# --- NRRD


def _check_nrrd(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(_LONGEST)
    if not head.startswith(b"NRRD"):
        raise _refuse(path, "it is no NRRD file, whatever its name says")
    text, data_at = _split_header(head)
    fields: dict[str, str] = {}
    for line in text.splitlines()[1:]:
        if line.startswith("#") or ":=" in line:
            continue
        key, colon, value = line.partition(": ")
        if colon:
            fields.setdefault(key.strip().lower(), value.strip())
    for key in ("space origin", "space directions", "spacings"):
        _check_finite(path, key, re.findall(r"[^\s,()]+", fields.get(key, "").replace("none", "")), nan=key == "spacings")
    vectors = [re.findall(r"[^\s,]+", vector) for vector in re.findall(r"\(([^()]*)\)", fields.get("space directions", ""))]
    if len(vectors) == 3 and all(len(vector) == 3 for vector in vectors) and is_flat(np.array(vectors, float).T):
        raise _refuse(path, "its space directions give a degenerate voxel grid")
    if fields.get("type", "").lower() == "block":
        raise _refuse(path, "its voxels are blocks of bytes, not numbers")
    sizes = _numbers(path, "sizes", fields.get("sizes", "").split(), len_of=fields.get("dimension", ""), most=16)
    width = _NRRD_BYTES.get(fields.get("type", "").lower())
    if width is None:
        raise _refuse(path, f"unknown type {fields.get('type', '')!r}")
    needed, encoding = _count(sizes) * width, fields.get("encoding", "raw").lower()
    named = fields.get("data file", fields.get("datafile"))
    held = path.stat().st_size - data_at if named is None else _size_of_data(path, _listed(named, text, "data file"))
    if encoding in ("txt", "text", "ascii"):
        needed = 2 * _count(sizes) - 1  # a digit and a blank each
    elif encoding == "hex":
        needed *= 2
    _check_held(path, needed, held, _RATIO.get(encoding, 1))


def _split_header(head: bytes) -> tuple[str, int]:
    """(text of the header, offset of the data)."""
    found = re.search(rb"\r?\n\r?\n", head)
    end = found.end() if found else len(head)
    return head[:end].decode("utf-8", "replace"), end


def _listed(named: str, text: str, key: str) -> list[str]:
    """The data files that a detached header names."""
    if named.upper().startswith("LIST"):
        lines = [line.strip() for line in text.splitlines()]
        start = next(n for n, line in enumerate(lines) if line.lower().replace(" ", "").startswith(key.replace(" ", "").lower()))
        return [line for line in lines[start + 1 :] if line]
    if "%" in named:
        pattern, _, rest = named.partition(" ")
        numbers = [int(n) for n in re.findall(r"-?\d+", rest)[:3]]
        if len(numbers) >= 2 and re.fullmatch(r"[^%]*%0?\d{0,3}d[^%]*", pattern):
            step = numbers[2] if len(numbers) > 2 and numbers[2] else 1
            return [pattern % n for n in range(numbers[0], numbers[1] + (1 if step > 0 else -1), step)][:100_000]
    return [named]


def _size_of_data(header: Path, names: Iterable[str]) -> int:
    total = 0
    for name in names:
        parts = re.split(r"[/\\]", name)
        if Path(name).is_absolute() or re.match(r"^[A-Za-z]:", name) or ".." in parts:
            raise _refuse(header, f"its voxels are said to be in {name}, outside of the header's folder")
        data = header.parent / name
        if not data.exists():
            raise _refuse(header, f"its data file {name} is missing beside it")
        if not data.is_file():
            raise _refuse(header, f"its data file {name} is not a regular file")
        total += data.stat().st_size
    return total


# --- MetaImage


def _check_meta(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(_LONGEST)
    found = re.search(rb"(?m)^[ \t]*ElementDataFile[ \t]*=[ \t]*([^\r\n]*)\r?\n?", head)
    if not found:
        raise _refuse(path, "its header names no data")
    text = head[: found.end()].decode("utf-8", "replace")
    fields = {k.strip(): v.strip() for k, _, v in (line.partition("=") for line in text.splitlines())}
    for key in ("Offset", "Position", "Origin", "TransformMatrix", "Rotation", "Orientation", "ElementSpacing", "ElementSize"):
        _check_finite(path, key, fields.get(key, "").split())
    sizes = _numbers(path, "DimSize", fields.get("DimSize", "").split(), len_of=fields.get("NDims", ""), most=10)
    channels = _numbers(path, "ElementNumberOfChannels", [fields.get("ElementNumberOfChannels", "1")])
    kind = fields.get("ElementType", "").removesuffix("_ARRAY")
    if kind not in _META_BYTES:
        raise _refuse(path, f"unknown type {kind!r}")
    named = found.group(1).decode("utf-8", "replace").strip()
    if named.upper() == "LOCAL":
        held = path.stat().st_size - found.end()
    else:
        rest = head[found.end() :].decode("utf-8", "replace") if named.upper().startswith("LIST") else ""
        held = _size_of_data(path, _listed(named, text + rest, "ElementDataFile"))
    compressed = fields.get("CompressedData", "False").lower() in ("true", "1", "yes")
    if compressed:
        claimed = fields.get("CompressedDataSize", "")
        if not claimed.isdecimal():
            raise _refuse(path, "it is compressed but has no CompressedDataSize, without which its voxels come out wrong: write it again")
        _check_held(path, int(claimed), held, 1)
        held = int(claimed)
    _check_held(path, _count(sizes) * channels[0] * _META_BYTES[kind], held, _RATIO["gzip"] if compressed else 1)


# --- NIfTI


@dataclass(frozen=True)
class _Nifti:
    """What is looked at of a NIfTI-1 header."""

    sizes: tuple[int, ...]
    bits: int
    offset: float
    spacing: tuple[float, ...]
    qform: int
    sform: int
    quaternion: tuple[float, ...]
    rows: np.ndarray


def _check_nifti(path: Path) -> None:
    with path.open("rb") as file:
        packed = path.name.lower().endswith(".gz") and file.read(2) == b"\x1f\x8b"  # what is only called .gz is read, too
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            head = file.read(348)
    except (EOFError, OSError, zlib.error) as error:
        raise _refuse(path, f"{error or 'cut short'}") from error
    header = _nifti_header(path, head)
    _check_finite(path, "pixdim and vox_offset", map(str, (*header.spacing, header.offset)))
    if header.qform > 0:
        _check_finite(path, "quaternion and offset", map(str, header.quaternion))
    if header.sform > 0:
        _check_sform(path, header)
    needed = _count(header.sizes) * header.bits // 8 + int(header.offset)
    held = path.stat().st_size
    if not packed:
        _check_held(path, needed, held, 1)
        return
    _check_held(path, needed, held, _RATIO["gzip"])
    with path.open("rb") as file:
        file.seek(-4, 2)
        # the last four bytes of a gzip file are its unpacked size; where they differ (several parts, or cut) count the bytes
        if int.from_bytes(file.read(4), "little") != needed % 2**32:
            _check_held(path, needed, _unpacked_size(path), 1)


def _nifti_header(path: Path, head: bytes) -> _Nifti:
    if len(head) < 348:
        raise _refuse(path, "it was cut short: copy or download it again")
    first = {struct.unpack(order + "i", head[:4])[0]: order for order in "<>"}
    if 540 in first:
        raise _refuse(path, "it is NIfTI-2, which is not read: convert it to NIfTI-1 or NRRD, e.g. with nibabel")
    if 348 not in first:
        raise _refuse(path, "it is no NIfTI file, whatever its name says")
    order = first[348]
    dim = struct.unpack(order + "8h", head[40:56])
    if not 1 <= dim[0] <= 7 or any(n < 0 for n in dim[1 : dim[0] + 1]):
        raise _refuse(path, f"its size can't be {dim[1:8]}")
    qform, sform = struct.unpack(order + "2h", head[252:256])
    floats = struct.unpack(order + "18f", head[256:328])
    return _Nifti(
        tuple(max(n, 1) for n in dim[1 : dim[0] + 1]),
        struct.unpack(order + "h", head[72:74])[0],
        *struct.unpack(order + "f", head[108:112]),
        struct.unpack(order + "8f", head[76:108])[: min(dim[0], 3) + 1],
        qform,
        sform,
        floats[:6],
        np.reshape(floats[6:], (3, 4)),
    )


def _check_sform(path: Path, header: _Nifti) -> None:
    _check_finite(path, "sform", map(str, header.rows.ravel()))
    columns = header.rows[:, :3]
    lengths = np.linalg.norm(columns, axis=0)
    if is_flat(columns):
        raise _refuse(path, "its sform matrix is degenerate: it maps the voxels into a plane or a line")
    if not np.allclose(lengths[: len(header.spacing) - 1], header.spacing[1:], rtol=0.01):
        sizes = " and ".join(" x ".join(f"{v:.4g}" for v in values) for values in (lengths, header.spacing[1:]))
        notice(f"{path}: sform and pixdim disagree about the size of a voxel ({sizes} mm); pixdim is used.")
    shear = float(np.abs((columns / lengths).T @ (columns / lengths) - np.eye(3)).max())
    if shear > 1e-4 and header.qform > 0:
        notice(f"{path} has a sheared sform matrix ({shear:.2g}); its qform is used, so that other programs may show it elsewhere.")
    elif shear > 1e-4:
        raise _refuse(
            path,
            f"its sform matrix is sheared by {shear:.2g}, which NIfTI readers of ITK refuse: resample it to a straight grid, or give NRRD",
        )


def _unpacked_size(path: Path) -> int:
    size = 0
    try:
        with gzip.open(path) as file:
            while block := file.read(1 << 22):
                size += len(block)
    except (EOFError, OSError, zlib.error):
        pass  # what could be unpacked counts
    return size


def _check_pair(path: Path) -> None:
    """Analyze and NIfTI pairs: both files are regular ones."""
    stem = re.sub(r"\.(hdr|img|img\.gz)$", "", path.name, flags=re.IGNORECASE)
    for other in path.parent.glob(f"{glob_escaped(stem)}.*"):
        if other.suffix.lower() in (".hdr", ".img", ".gz") and not other.is_file():
            raise _refuse(path, f"{other.name} beside it is not a regular file")


def glob_escaped(text: str) -> str:
    """``text`` as a literal part of a glob pattern."""
    return re.sub(r"([*?[])", r"[\1]", text)


# --- shared


def _numbers(path: Path, key: str, words: list[str], len_of: str = "", most: int = 0) -> list[int]:
    """Positive integers; as many as ``len_of`` says, and at most ``most``."""
    if len_of or most:
        if not len_of.isdecimal() or not 1 <= int(len_of) <= most:
            raise _refuse(path, f"it can't have {len_of or 'no'} dimensions")
        if len(words) != int(len_of):
            raise _refuse(path, f"{key} has {len(words)} values for {len_of} dimensions")
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        raise _refuse(path, f"{key} can't be {' '.join(words)[:60]}")
    return [int(word) for word in words]


def _count(sizes: Iterable[int]) -> int:
    count = 1
    for size in sizes:
        count *= int(size)
    return count


def _check_finite(path: Path, key: str, words: Iterable[str], nan: bool = False) -> None:
    """``nan``: NaN is allowed, as in NRRD's spacings of an axis that has none."""
    for word in words:
        try:
            value = float(word)
        except ValueError:
            raise _refuse(path, f"{key} can't be {word[:40]!r}") from None
        if not np.isfinite(value) and not (nan and np.isnan(value)):
            raise _refuse(path, f"{key} in its header is not a finite number")


def _check_held(path: Path, needed: int, held: int, ratio: int) -> None:
    if needed > max(held, 0) * ratio:
        raise _refuse(path, f"it was cut short, or its header claims too much: {needed:,} bytes needed, {held:,} there. Copy it again")
