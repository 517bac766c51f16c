"""Icons for light and dark panels."""

from __future__ import annotations

import qt
import slicer

from ...core.errors import MultiverSegError
from ...core.resources import resource_path


def icon(name: str):
    """The QIcon of ``Resources/Icons/<name>.png``, or of its dark variant; empty where the file is missing."""
    dark = slicer.app.palette().color(qt.QPalette.Window).lightness() < 128
    for candidate in ([f"{name}-dark.png"] if dark else []) + [f"{name}.png"]:
        try:
            return qt.QIcon(str(resource_path("Icons", candidate)))
        except MultiverSegError:
            continue
    return qt.QIcon()
