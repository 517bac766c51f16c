"""Finds the files that come with the extension, in the source tree and in an installed extension."""

from __future__ import annotations

from pathlib import Path

from .errors import MultiverSegError

#: The folder of the package.
LIBRARY = Path(__file__).resolve().parent.parent


def resource_path(*parts: str) -> Path:
    """Path of a shipped resource, e.g. ``resource_path("Models", "models.json")``.

    The source tree has ``Resources/`` at its top; Slicer's build copies it beside the module file, the wheel into the package.

    Raises:
        MultiverSegError: no such resource in any layout.
    """
    candidates = [base.joinpath("Resources", *parts) for base in (LIBRARY, LIBRARY.parent, LIBRARY.parent.parent)]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise MultiverSegError(f"The resource {'/'.join(parts)} is missing from the installation: reinstall the extension.")
