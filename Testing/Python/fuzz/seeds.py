"""Valid files of every format that is read, and seeded mutations of them."""

from __future__ import annotations

import gzip
import json
import random
import re
import shutil
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from file_cases import dicom_seg, enhanced, series

#: Values that headers, tables and JSON documents don't expect.
ODD = (
    *("", "0", "-1", "1", "nan", "-nan", "inf", "1e308", "1e-308", "-0.0", "4096", "65536", "2147483648", "18446744073709551616"),
    *(
        "none",
        "x",
        "1 2",
        "(1,0)",
        "(nan,0,0)",
        "(0,0,0)",
        "(1,0,0) (1,0,0) (1,0,0)",
        "LIST",
        "LOCAL",
        "a%d.raw 1 2 1",
        "True",
        "../x",
        "/etc/passwd",
    ),
    *("\u2028", "\x00", "é" * 50, "%s%n", "9" * 400),
)
ODD_JSON = (
    None,
    True,
    -1,
    0,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "é",
    [],
    {},
    [1],
    [[]],
    [None] * 3,
    {"a": 1},
    [1, 2],
    "9" * 300,
    [{}] * 3,
)


def image(seed: int = 0) -> sitk.Image:
    voxels = np.random.default_rng(seed).integers(-200, 300, (6, 10, 12)).astype(np.int16)
    found = sitk.GetImageFromArray(voxels)
    found.SetSpacing((0.9, 1.1, 3.0))
    found.SetOrigin((-30, 12, 55))
    return found


def labels() -> np.ndarray:
    found = np.zeros((6, 10, 12), np.uint8)
    found[1:3, 2:7, 3:8], found[3:5, 4:9, 1:6] = 1, 2
    return found


def make_seeds(folder: Path) -> dict[str, Path]:
    """Kind -> valid file. What comes before the first dot of a kind says what it is read as."""
    picture, mask = image(), sitk.GetImageFromArray(labels())
    mask.CopyInformation(picture)
    seeds: dict[str, Path] = {}

    def write(kind: str, name: str, what: sitk.Image, packed: bool) -> None:
        seeds[kind] = folder / kind / name
        seeds[kind].parent.mkdir(parents=True)
        sitk.WriteImage(what, str(seeds[kind]), packed)

    for ending in ("nrrd", "mha", "nii", "nhdr", "mhd"):
        write(f"volume.{ending}", f"a.{ending}", picture, False)
    for ending in ("nrrd", "mha", "nii.gz"):
        write(f"volume.packed.{ending}", f"a.{ending}", picture, True)
    for ending in ("nrrd", "mha", "nii.gz"):
        write(f"labels.{ending}", f"l.{ending}", mask, ending == "nii.gz")
    seeds["segments.nrrd"] = _segments(folder / "segments" / "s.seg.nrrd", packed=False)
    seeds["segments.packed.nrrd"] = _segments(folder / "packed" / "s.seg.nrrd", packed=True)
    series(folder / "ct", picture)
    one = folder / "one" / "IM002.dcm"
    one.parent.mkdir()
    shutil.copy(folder / "ct" / "IM002", one)
    seeds["volume.dcm"] = one
    seeds["volume.frames.dcm"] = enhanced(folder / "frames" / "f.dcm", picture, [0, 2, 4, 1, 3, 5])
    seeds["segments.dcm"] = dicom_seg(folder / "seg.dcm", folder / "ct", {"a": labels() == 1, "b": labels() == 2})
    seeds["prompts.mrk.json"] = folder / "p.mrk.json"
    seeds["prompts.mrk.json"].write_text(json.dumps(_markups()))
    seeds["prompts.fcsv"] = folder / "p.fcsv"
    seeds["prompts.fcsv"].write_text(
        "# Markups fiducial file version = 5.2\n# CoordinateSystem = LPS\n# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"
        "1,-30.5,14,60,0,0,0,1,1,1,0,F-1,,\n2,-29,15,61,0,0,0,1,1,1,0,neg-2,,\n"
    )
    seeds["table.csv"] = folder / "t.csv"
    seeds["table.csv"].write_text('case;volume;label;note\na;one/IM002.dcm;;x\nb;ct;;"y;z"\nc;volume.nrrd/a.nrrd;labels.nrrd/l.nrrd;\n')
    return seeds


def _segments(path: Path, packed: bool) -> Path:
    layers = np.stack([labels() == 1, labels() == 2], -1).astype(np.uint8)
    fields = {"Segmentation_MasterRepresentation": "Binary labelmap", "Segmentation_ContainedRepresentationNames": "Binary labelmap|"}
    for n in range(2):
        fields |= {f"Segment{n}_ID": f"S{n}", f"Segment{n}_Name": f"part {n}", f"Segment{n}_LabelValue": "1", f"Segment{n}_Layer": str(n)}
        fields |= {
            f"Segment{n}_Extent": "0 11 0 9 0 5",
            f"Segment{n}_Color": "1 0.5 0",
            f"Segment{n}_Tags": "TerminologyEntry:a~SCT^1^b~SCT^2^c~^^~~^^~^^|",
        }
    head = (
        "NRRD0005\ntype: uchar\ndimension: 4\nspace: left-posterior-superior\nsizes: 2 12 10 6\n"
        f"space directions: none (0.9,0,0) (0,1.1,0) (0,0,3)\nkinds: list domain domain domain\nencoding: {'gzip' if packed else 'raw'}\n"
        "space origin: (-30,12,55)\n"
    )
    text = head + "".join(f"{key}:={value}\n" for key, value in fields.items()) + "\n"
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode() + (gzip.compress(layers.tobytes()) if packed else layers.tobytes()))
    return path


def _markups() -> dict:
    points = [
        {"id": str(n), "label": f"p-{n}", "description": "", "position": [-31.0 - n, 14.0, 58.0], "positionStatus": "defined"}
        for n in range(3)
    ]
    measured = [{"name": "length", "enabled": True, "value": 3.0, "units": "mm"}]
    shown = {"visibility": True, "color": [1, 0, 0], "opacity": 0.5}
    turned = [-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0]
    return {
        "@schema": "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#",
        "markups": [
            {"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": points, "measurements": [], "display": shown},
            {"type": "Curve", "coordinateSystem": "LPS", "controlPoints": points, "measurements": measured, "display": shown},
            {"type": "ClosedCurve", "coordinateSystem": "RAS", "controlPoints": points},
            {
                "type": "ROI",
                "coordinateSystem": "LPS",
                "roiType": "Box",
                "center": [-30.0, 14, 58],
                "orientation": turned,
                "size": [4.0, 5, 6],
                "insideOut": False,
                "controlPoints": points[:1],
            },
        ],
    }


def mutated(kind: str, path: Path, target: Path, rng: random.Random) -> Path:
    """A mutation of the file, in ``target`` with the files that belong to it."""
    target.mkdir(parents=True)
    if kind in ("volume.nhdr", "volume.mhd"):
        for other in path.parent.iterdir():
            shutil.copy(other, target / other.name)
    content = path.read_bytes()
    if kind.endswith(".json"):
        content = _mutated_json(content, rng) if rng.random() < 0.8 else _mutated_bytes(content, rng, len(content))
    elif rng.random() < 0.55 and not kind.endswith(".dcm") and (changed := _mutated_text(kind, content, rng)) is not None:
        content = changed
    else:
        packed = kind.endswith(".gz") and rng.random() < 0.7
        plain = gzip.decompress(content) if packed else content
        head = 400 if "nii" in kind else 1400 if kind.endswith(".dcm") else len(plain)
        plain = _mutated_bytes(plain, rng, head if rng.random() < 0.7 else len(plain))
        content = gzip.compress(plain, 1) if packed else plain
    (target / path.name).write_bytes(content)
    return target / path.name


def _mutated_bytes(content: bytes, rng: random.Random, head: int) -> bytes:
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        place = rng.randrange(max(1, min(head, len(data))))
        action = rng.randrange(5)
        if action == 0:
            data[place : place + 1] = bytes([rng.randrange(256)])
        elif action == 1:
            data[place : place + 4] = rng.choice((b"\xff" * 4, b"\0" * 4, b"\x7f\x80\0\0", b"\0\0\xc0\x7f"))
        elif action == 2:
            del data[place : place + rng.randrange(1, 40)]
        elif action == 3:
            del data[place:]
        else:
            data[place:place] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 12)))
    return bytes(data)


def _mutated_text(kind: str, content: bytes, rng: random.Random) -> bytes | None:
    """One or two lines of a text header changed; None where there is no text."""
    end = re.search(rb"\n\n|ElementDataFile[^\n]*\n", content)
    whole = kind.endswith((".csv", ".fcsv"))
    if end is None and not whole and not kind.endswith((".nhdr", ".mhd")):
        return None
    cut = len(content) if end is None or whole else end.end()
    lines = content[:cut].decode("utf-8", "surrogateescape").split("\n")
    for _ in range(rng.choice((1, 1, 2))):
        n = rng.randrange(len(lines))
        action = rng.randrange(5)
        if action == 0:
            del lines[n]
        elif action == 1:
            lines.insert(n, rng.choice(lines))
        elif action == 2:
            lines[n] = re.sub(r"-?\d+(\.\d+)?", lambda found: rng.choice(ODD) if rng.random() < 0.5 else found.group(), lines[n])
        else:
            parts = re.split(r"(:=|: | = |;|,)", lines[n], maxsplit=0 if whole else 1)
            parts[rng.randrange(len(parts))] = rng.choice(ODD)
            lines[n] = "".join(parts)
        if not lines:
            break
    return "\n".join(lines).encode("utf-8", "surrogateescape") + content[cut:]


def _mutated_json(content: bytes, rng: random.Random) -> bytes:
    document = json.loads(content)
    for _ in range(rng.choice((1, 1, 2, 3))):
        places = list(_places(document))
        holder, key = rng.choice(places)
        action = rng.randrange(4)
        if action == 0:
            del holder[key]
        elif action == 1 and isinstance(holder, dict):
            holder[rng.choice(("measurements", "controlPoints", "center", "display", "units", "x"))] = rng.choice(ODD_JSON)
        else:
            holder[key] = rng.choice(ODD_JSON)
        if not document:
            break
    return json.dumps(document).encode()


def _places(value):
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(entries):
        yield value, key
        yield from _places(inner)
