"""The host's own tests need the host alone."""

from __future__ import annotations

import sys
from pathlib import Path

_TESTING = str(Path(__file__).resolve().parents[2])
if _TESTING not in sys.path:
    sys.path.append(_TESTING)  # for `Host`; at the end, because Testing/packaging.py must not hide the library of that name

from Host.fixtures import slicer_host  # noqa: E402, F401
