"""What belongs to this computer and not to the scene: model, device, folders. Kept in Slicer's application settings."""

from __future__ import annotations

from pathlib import Path

import qt

_PREFIX = "MultiverSeg/"
DEFAULTS = {"Model": "compact", "Device": "auto", "Proposals": "slice"}


def value(name: str) -> str:
    """A setting as text; its default where it was never set."""
    stored = qt.QSettings().value(_PREFIX + name)
    return str(stored) if stored not in (None, "") else DEFAULTS.get(name, "")


def set_value(name: str, text: str) -> None:
    qt.QSettings().setValue(_PREFIX + name, str(text))


def contexts_folder() -> Path:
    """Where the user's examples are kept without a cohort: a document folder of the user's, never inside the extension."""
    stored = value("ContextsFolder")
    if stored:
        return Path(stored)
    documents = str(qt.QStandardPaths.writableLocation(qt.QStandardPaths.DocumentsLocation) or "")  # may lie on another disk or in a cloud
    return Path(documents or Path.home()) / "MultiverSeg" / "contexts"
