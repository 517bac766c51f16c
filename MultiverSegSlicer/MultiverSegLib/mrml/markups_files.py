"""Markups files read and checked here before MRML's reader sees them: it ends the process at values of a type it doesn't expect, and leaves out
control points that it can't read without a word."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import PromptError

#: The kinds of markups that are prompts.
KINDS = ("Fiducial", "ROI", "Curve", "ClosedCurve", "Line")
_LARGEST = 64 << 20  # bytes; a million control points
_SYSTEMS = ("LPS", "RAS", "0", "1")


def checked_json(path: Path) -> str:
    """The content of a .mrk.json with nothing in it but what a prompt is made of, each value of the type that MRML's reader expects.

    Raises:
        PromptError: not such a file, a kind of markup that is no prompt, or a point or ROI whose place can't be read.
    """
    markups = _markups(path)
    kinds = {str(markup.get("type")) for markup in markups}
    if unknown := kinds - set(KINDS):
        raise PromptError(f"{path} holds a {', '.join(sorted(unknown))[:100]}: only points, ROIs, lines and curves are prompts.")
    clean = [_clean_markup(markup, f"markup {number} of {path}") for number, markup in enumerate(markups, start=1)]
    return json.dumps({"@schema": _SCHEMA, "markups": clean})


_SCHEMA = "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#"


def _markups(path: Path) -> list[dict[str, Any]]:
    try:
        if path.stat().st_size > _LARGEST:
            raise PromptError(f"{path} is no markups file: it has {path.stat().st_size:,} bytes.")
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError:
        raise PromptError(f"{path} is no markups file: it is nested too deeply.") from None
    except (OSError, ValueError) as error:
        raise PromptError(f"{path} is no markups file ({type(error).__name__}: {str(error)[:100]}).") from error
    markups = data.get("markups") if isinstance(data, dict) else None
    if not isinstance(markups, list) or not all(isinstance(markup, dict) for markup in markups):
        raise PromptError(f"{path} is no markups file: it has no list called markups.")
    if not markups:
        raise PromptError(f"{path} holds no markups.")
    return markups


def _clean_markup(markup: dict[str, Any], where: str) -> dict[str, Any]:
    system = str(markup.get("coordinateSystem", "LPS"))
    if system not in _SYSTEMS:
        raise PromptError(f"The coordinate system of {where} is {system[:20]!r}: it must be LPS or RAS.")
    clean: dict[str, Any] = {"type": markup["type"], "coordinateSystem": {"0": "RAS", "1": "LPS"}.get(system, system)}
    if isinstance(markup.get("name"), str):
        clean["name"] = markup["name"]
    units = markup.get("coordinateUnits", "mm")
    if units not in ("mm", ["mm", "UCUM", "millimeter"]):
        raise PromptError(f"The unit of {where} is {str(units)[:40]}: it must be mm.")
    points = markup.get("controlPoints", [])
    if not isinstance(points, list):
        raise PromptError(f"The control points of {where} can't be read.")
    found = [_clean_point(point, f"control point {number} of {where}") for number, point in enumerate(points, start=1)]
    clean["controlPoints"] = [point for point in found if point is not None]
    if markup["type"] == "ROI":
        clean |= _clean_roi(markup, where)
    return clean


def _clean_point(point: Any, where: str) -> dict[str, Any] | None:
    """None: not placed yet."""
    if not isinstance(point, dict):
        raise PromptError(f"The {where} can't be read.")
    if point.get("positionStatus", "defined") != "defined":
        return None
    position = _numbers(point.get("position"), 3)
    if position is None:
        raise PromptError(f"The position of {where} can't be read ({str(point.get('position'))[:60]}): correct it or take the point out.")
    texts = {key: point[key] for key in ("id", "label", "description") if isinstance(point.get(key), str)}
    return {**texts, "position": position, "positionStatus": "defined"}


def _clean_roi(markup: dict[str, Any], where: str) -> dict[str, Any]:
    clean: dict[str, Any] = {"roiType": markup["roiType"]} if isinstance(markup.get("roiType"), str) else {}
    for key, count in (("center", 3), ("orientation", 9), ("size", 3)):
        if key in markup:
            clean[key] = _numbers(markup[key], count)
            if clean[key] is None:
                raise PromptError(f"The {key} of {where} can't be read ({str(markup[key])[:60]}).")
    if "orientation" in clean and abs(np.linalg.det(np.reshape(clean["orientation"], (3, 3)))) < 1e-6:
        raise PromptError(f"The orientation of {where} is degenerate.")
    if min(clean.get("size", (0,))) < 0:
        raise PromptError(f"The size of {where} is negative.")
    return clean


def _numbers(value: Any, count: int) -> list[float] | None:
    """``count`` finite numbers within a kilometre, else None."""
    if not isinstance(value, list) or len(value) != count:
        return None
    if not all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in value):
        return None
    return [float(v) for v in value] if all(math.isfinite(v) and abs(v) < 1e6 for v in value) else None


def check_fcsv(path: Path) -> None:
    """Refuse a Slicer 4 point list with a point that can't be read.

    Raises:
        PromptError: not such a file, or a point without three coordinates (with its line).
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"{path} is no markups file ({type(error).__name__}: {str(error)[:100]}).") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            position = [float(part) for part in line.split(",")[1:4]]
        except ValueError:
            position = []
        if _numbers(position, 3) is None:
            raise PromptError(f"{path}, line {number}: the position of this point can't be read ({line[:60]}).")
