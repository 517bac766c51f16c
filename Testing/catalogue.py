"""What the extensions catalogue is told: written once, here, into MultiverSeg.json, MultiverSeg.s4ext and CMakeLists.txt.

python Testing/catalogue.py --check    say which file differs
python Testing/catalogue.py --write    rewrite them
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPOSITORY = "https://github.com/MultiverSeg/SlicerMultiverSegCohort"
RAW = "https://raw.githubusercontent.com/MultiverSeg/SlicerMultiverSegCohort/main/"
HOMEPAGE = f"{REPOSITORY}#readme"
CATEGORY = "Segmentation"
CONTRIBUTORS = "MultiverSeg for 3D Slicer contributors"
#: At most 120 characters: the catalogue cuts longer ones.
DESCRIPTION = "Segment a cohort with clicks, boxes or strokes: every accepted case makes the next cheaper. Not for clinical decisions."
DEPENDENCIES = ["PyTorch"]
ICON = "Resources/Icons/MultiverSegSlicer.png"
SCREENSHOTS = ["Docs/pictures/heart.png", "Docs/pictures/effect.png"]
TIER = 1
SCHEMA = "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/slicer-extension-catalog-entry-schema-v1.0.2.json#"


def entry_json() -> str:
    """MultiverSeg.json, what the catalogue reads."""
    entry = {
        "$schema": SCHEMA,
        "build_dependencies": DEPENDENCIES,
        "build_subdirectory": ".",
        "category": CATEGORY,
        "scm_revision": "main",
        "scm_url": f"{REPOSITORY}.git",
        "tier": TIER,
    }
    return json.dumps(entry, indent=2) + "\n"


def entry_s4ext() -> str:
    """MultiverSeg.s4ext, the older format of the same facts."""
    lines = [
        "# The description of the extension in the older format; the catalogue itself reads MultiverSeg.json.",
        "scm git",
        f"scmurl {REPOSITORY}.git",
        "scmrevision main",
        f"depends {' '.join(DEPENDENCIES)}",
        "build_subdirectory .",
        f"homepage {HOMEPAGE}",
        f"contributors {CONTRIBUTORS}",
        f"category {CATEGORY}",
        f"iconurl {RAW}{ICON}",
        "status",
        f"description {DESCRIPTION}",
        f"screenshoturls {' '.join(RAW + name for name in SCREENSHOTS)}",
        "enabled 1",
    ]
    return "\n".join(lines) + "\n"


def cmake(text: str) -> str:
    """CMakeLists.txt with its extension variables set to these facts."""
    values = {
        "EXTENSION_HOMEPAGE": HOMEPAGE,
        "EXTENSION_CONTRIBUTORS": CONTRIBUTORS,
        "EXTENSION_DESCRIPTION": DESCRIPTION,
        "EXTENSION_ICONURL": RAW + ICON,
        "EXTENSION_SCREENSHOTURLS": " ".join(RAW + name for name in SCREENSHOTS),
        "EXTENSION_DEPENDS": " ".join(DEPENDENCIES),
    }
    for name, value in values.items():
        text, count = re.subn(rf'set\({name} "[^"]*"\)', lambda _match, name=name, value=value: f'set({name} "{value}")', text)
        if count != 1:
            raise SystemExit(f"CMakeLists.txt must set {name} exactly once.")
    return text


def files() -> dict[Path, str]:
    """Path -> the text it should have."""
    lists = ROOT / "CMakeLists.txt"
    return {
        ROOT / "MultiverSeg.json": entry_json(),
        ROOT / "MultiverSeg.s4ext": entry_s4ext(),
        lists: cmake(lists.read_text(encoding="utf-8")),
    }


def differences() -> list[str]:
    """Names of the files that say something else."""
    return [path.name for path, text in files().items() if path.read_text(encoding="utf-8") != text]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--check", action="store_true")
    choice.add_argument("--write", action="store_true")
    if parser.parse_args().write:
        for path, text in files().items():
            path.write_text(text, encoding="utf-8")
    different = differences()
    print("\n".join(f"{name} differs from Testing/catalogue.py" for name in different) or "The catalogue's files agree.")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
