"""The one door for file names: MRML resolves a relative name against the scene's folder, not against the one the user is in."""

from __future__ import annotations

import os
from pathlib import Path


def absolute(path: str | Path) -> Path:
    """``path`` as an absolute path, seen from the current folder; ``~`` is the home folder. Links are kept as they are."""
    return Path(os.path.abspath(os.path.expanduser(path)))
